/* What one write at a time could take at best in an ensemble on this machine.
 *
 *   keeper_commit_floor leader|follower DIRECTORY BYTES COUNT
 *
 * Three processes that speak over loopback connections: client, leader and follower. The leader
 * passes each request on, both append BYTES to a file of their own in DIRECTORY and fdatasync it at
 * the same time, the follower says so and the leader answers: two syncs in parallel and two round
 * trips. Through the follower the request and the answer take one way more. The files have their
 * space beforehand, as a journal's do.
 */
#include "keeper_wire.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    message_bytes = 128,
    file_bytes = 64 << 20,
    record_bytes_max = 4096,
    warm_up_count = 20,
};

/* First byte of a message. */
enum { WORD_REQUEST = 1, WORD_PROPOSAL, WORD_ACK, WORD_COMMIT, WORD_ANSWER };

static void say(int handle, uint8_t word)
{
    const uint8_t message[message_bytes] = {word};
    keeper_wire_send(handle, message, sizeof message);
}

/* Its word; the other side's end ends the program. */
static uint8_t hear(int handle)
{
    uint8_t message[message_bytes];
    if (recv(handle, message, sizeof message, MSG_WAITALL) != sizeof message)
        exit(0);
    return message[0];
}

/* A connection over loopback, both ends of it. */
static void make_pair(int ends[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    const int one = 1;
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (const struct sockaddr *)&address, size) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        keeper_wire_die("listen");
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(ends[0], (const struct sockaddr *)&address, sizeof address) != 0)
        keeper_wire_die("connect");
    ends[1] = accept(listener, NULL, NULL);
    close(listener);
    setsockopt(ends[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(ends[1], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static int open_file(const char *directory, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    const int file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    if (file < 0 || posix_fallocate(file, 0, file_bytes) != 0 || fsync(file) != 0)
        keeper_wire_die(path);
    return file;
}

static void append(int file, size_t size)
{
    static uint8_t record[record_bytes_max];
    static off_t at;
    memset(record, 'x', size);
    if (pwrite(file, record, size, at) != (ssize_t)size || fdatasync(file) != 0)
        keeper_wire_die("write");
    at = (at + (off_t)size) % (file_bytes - record_bytes_max);
}

static void lead(int client, int follower, int file, size_t size)
{
    const bool is_through_follower = client < 0;
    for (;;) {
        (void)hear(is_through_follower ? follower : client);
        say(follower, WORD_PROPOSAL);
        append(file, size);
        (void)hear(follower);
        say(is_through_follower ? follower : client,
            is_through_follower ? WORD_COMMIT : WORD_ANSWER);
    }
}

static void follow(int client, int leader, int file, size_t size)
{
    for (;;) {
        if (client >= 0) {
            (void)hear(client);
            say(leader, WORD_REQUEST);
        }
        (void)hear(leader);
        append(file, size);
        say(leader, WORD_ACK);
        if (client >= 0) {
            (void)hear(leader);
            say(client, WORD_ANSWER);
        }
    }
}

static pid_t fork_or_die(void)
{
    const pid_t pid = fork();
    if (pid < 0)
        keeper_wire_die("fork");
    return pid;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: keeper_commit_floor leader|follower DIRECTORY BYTES COUNT\n");
        return 2;
    }
    const bool is_through_follower = strcmp(argv[1], "follower") == 0;
    const size_t size = strtoul(argv[3], NULL, 10);
    const unsigned count = (unsigned)strtoul(argv[4], NULL, 10);
    if (size > record_bytes_max)
        keeper_wire_refuse("bytes, at most", record_bytes_max);
    int client[2], quorum[2];
    make_pair(client);
    make_pair(quorum);
    const int leader_file = open_file(argv[2], "floor-leader");
    const int follower_file = open_file(argv[2], "floor-follower");
    const pid_t leader = fork_or_die();
    if (leader == 0)
        lead(is_through_follower ? -1 : client[1], quorum[0], leader_file, size);
    const pid_t follower = fork_or_die();
    if (follower == 0)
        follow(is_through_follower ? client[1] : -1, quorum[1], follower_file, size);
    for (unsigned index = 0; index < count + warm_up_count; index++) {
        const uint64_t start = latency_now_ns();
        say(client[0], WORD_REQUEST);
        (void)hear(client[0]);
        if (index >= warm_up_count)
            latency_count(latency_now_ns() - start);
    }
    kill(leader, SIGKILL);
    kill(follower, SIGKILL);
    waitpid(leader, NULL, 0);
    waitpid(follower, NULL, 0);
    printf("count %u p50_us %llu p99_us %llu\n", count, (unsigned long long)latency_percentile(0.5),
           (unsigned long long)latency_percentile(0.99));
    return 0;
}
