/* What sending and writing files could cost at best on this machine.
 *
 *   file_floor drop FILE..
 *   file_floor send TIMES FILE..
 *   file_floor serve TIMES FILE..
 *   file_floor append SECONDS COUNT DIRECTORY
 *
 * - drop: writes them to the disk and drops them from the page cache
 * - send: sends them to a socket by sendfile, over and over; the CPU of that
 * - serve: the same, a MiB whenever it is asked for it
 * - append: takes 16 KiB from a socket, appends them to the next of COUNT files, each open in a
 *   directory of its own, and answers; the CPU of that
 *
 * The other end is a process of its own that reads into a buffer, or has five batches on their way,
 * as the load generators do.
 */
#include "bench/broker_wire.h"
#include "test/crash/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    chunk_bytes = 1 << 20,
    receive_bytes = 8 << 20,
    batch_bytes = 16 * 1024,
    in_flight_max = 5,
    file_count_max = 20000,
};

static int open_file(const char *path)
{
    const int handle = open(path, O_RDWR);
    if (handle < 0)
        process_fail("cannot open %s", path);
    return handle;
}

static void drop(const char *path)
{
    const int handle = open_file(path);
    if (fdatasync(handle) != 0 || posix_fadvise(handle, 0, 0, POSIX_FADV_DONTNEED) != 0)
        process_fail("cannot drop %s", path);
    close(handle);
}

static uint8_t buffer[receive_bytes];

static void receive_all(uint16_t port)
{
    const int handle = broker_wire_dial(port);
    while (recv(handle, buffer, sizeof buffer, 0) > 0)
        ;
    _exit(0);
}

/* What comes is preceded by its size. */
static void ask_for_all(uint16_t port)
{
    const int handle = broker_wire_dial(port);
    for (size_t size;;) {
        process_send(handle, "", 1);
        if (!process_receive(handle, &size, sizeof size) || !process_receive(handle, buffer, size))
            _exit(0);
    }
}

static void await_question(int to, size_t size)
{
    uint8_t question;
    if (!process_receive(to, &question, sizeof question) ||
        send(to, &size, sizeof size, MSG_MORE) != sizeof size)
        process_fail("the receiver is gone");
}

static int listen_on(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int handle = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(handle, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(handle, 1) != 0)
        process_fail("cannot listen on port %u", port);
    return handle;
}

static uint64_t send_file(int to, const char *path, bool when_asked)
{
    const int handle = open_file(path);
    const off_t size = lseek(handle, 0, SEEK_END);
    for (off_t at = 0; at < size;) {
        const off_t end = at + chunk_bytes < size ? at + chunk_bytes : size;
        if (when_asked)
            await_question(to, (size_t)(end - at));
        while (at < end)
            if (sendfile(to, handle, &at, (size_t)(end - at)) <= 0)
                process_fail("sendfile failed");
    }
    close(handle);
    return (uint64_t)size;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void send_all(unsigned times, char **paths, bool when_asked)
{
    const uint16_t port = process_free_port();
    const int listener = listen_on(port);
    const pid_t receiver = fork();
    if (receiver == 0 && when_asked)
        ask_for_all(port);
    if (receiver == 0)
        receive_all(port);
    const int to = accept(listener, NULL, NULL);
    const double cpu_before = cpu_seconds();
    const uint64_t start = latency_now_ns();
    uint64_t bytes = 0;
    for (unsigned round = 0; round < times; round++)
        for (char **path = paths; *path != NULL; path++)
            bytes += send_file(to, *path, when_asked);
    const double cpu = cpu_seconds() - cpu_before;
    shutdown(to, SHUT_WR);
    waitpid(receiver, NULL, 0);
    printf("mib %.1f cpu %.3f seconds %.3f\n", (double)bytes / (1 << 20), cpu,
           (double)(latency_now_ns() - start) / 1e9);
}

/* ---- append ---- */

static void send_batches(uint16_t port)
{
    const int handle = broker_wire_dial(port);
    uint8_t answer;
    for (uint32_t sent = 0;; sent++) {
        if (sent >= in_flight_max && !process_receive(handle, &answer, sizeof answer))
            _exit(0);
        if (send(handle, buffer, batch_bytes, MSG_NOSIGNAL) != batch_bytes)
            _exit(0);
    }
}

struct appended {
    int handle;
    off_t size;
};

static struct appended open_appended(const char *directory, uint32_t number)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%u", directory, number);
    mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/%u/log", directory, number);
    const int handle = open(path, O_RDWR | O_CREAT, 0644);
    if (handle < 0)
        process_fail("cannot open %s", path);
    return (struct appended){.handle = handle, .size = lseek(handle, 0, SEEK_END)};
}

static void append_batch(struct appended *file)
{
    if (pwrite(file->handle, buffer, batch_bytes, file->size) != batch_bytes)
        process_fail("cannot append");
    file->size += batch_bytes;
}

static void append_all(double seconds, uint32_t count, const char *directory)
{
    static struct appended files[file_count_max];
    if (count == 0 || count > file_count_max)
        process_fail("%u files", count);
    for (uint32_t number = 0; number < count; number++)
        files[number] = open_appended(directory, number);
    sync();
    const uint16_t port = process_free_port();
    const int listener = listen_on(port);
    const pid_t sender = fork();
    if (sender == 0)
        send_batches(port);
    const int from = accept(listener, NULL, NULL);
    const double cpu_before = cpu_seconds();
    const uint64_t start = latency_now_ns();
    uint64_t batches = 0;
    for (; latency_now_ns() - start < (uint64_t)(seconds * 1e9); batches++) {
        if (!process_receive(from, buffer, batch_bytes))
            process_fail("the sender is gone");
        append_batch(&files[batches % count]);
        process_send(from, "", 1);
    }
    const double cpu = cpu_seconds() - cpu_before;
    printf("all %llu cpu %.3f per_second %.0f\n", (unsigned long long)batches, cpu,
           (double)batches * 1e9 / (double)(latency_now_ns() - start));
    close(from);
    waitpid(sender, NULL, 0);
}

int main(int argc, char **argv)
{
    if (argc >= 3 && strcmp(argv[1], "drop") == 0)
        for (char **path = argv + 2; *path != NULL; path++)
            drop(*path);
    else if (argc >= 4 && (strcmp(argv[1], "send") == 0 || strcmp(argv[1], "serve") == 0))
        send_all((unsigned)strtoul(argv[2], NULL, 10), argv + 3, strcmp(argv[1], "serve") == 0);
    else if (argc == 5 && strcmp(argv[1], "append") == 0)
        append_all(strtod(argv[2], NULL), (uint32_t)strtoul(argv[3], NULL, 10), argv[4]);
    else
        process_fail("usage: file_floor drop FILE.. | file_floor send|serve TIMES FILE.. | "
                     "file_floor append SECONDS COUNT DIRECTORY");
    return 0;
}
