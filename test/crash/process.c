#include "test/crash/process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void process_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

uint16_t process_free_port(void)
{
    const int handle = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (handle < 0 || bind(handle, (const struct sockaddr *)&address, size) != 0 ||
        getsockname(handle, (struct sockaddr *)&address, &size) != 0)
        process_fail("no free port: %s", strerror(errno));
    close(handle);
    return ntohs(address.sin_port);
}

pid_t process_start(char *const command[], const char *output_path)
{
    const pid_t pid = fork();
    if (pid < 0)
        process_fail("fork: %s", strerror(errno));
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* A failed test leaves no server behind. */
    const int output = open(output_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    execvp(command[0], command);
    _exit(127);
}

void process_kill(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

int process_stop(pid_t pid)
{
    int status;
    kill(pid, SIGTERM);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static uint64_t now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static int try_connect(uint16_t port)
{
    const struct sockaddr_in address = loopback(port);
    const int one = 1;
    struct sockaddr_in own;
    socklen_t own_size = sizeof own;
    const int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* A socket that dials a free port of the dynamic range can meet itself there. */
    if (connect(handle, (const struct sockaddr *)&address, sizeof address) == 0 &&
        getsockname(handle, (struct sockaddr *)&own, &own_size) == 0 &&
        ntohs(own.sin_port) != port) {
        setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        return handle;
    }
    close(handle);
    return -1;
}

int process_connect(pid_t pid, uint16_t port, unsigned deadline_ms)
{
    const uint64_t deadline = now_ms() + deadline_ms;
    while (now_ms() < deadline) {
        const int handle = try_connect(port);
        if (handle >= 0)
            return handle;
        if (waitpid(pid, NULL, WNOHANG) != 0)
            return -1;
        const struct timespec pause = {.tv_nsec = 2000000};
        nanosleep(&pause, NULL);
    }
    return -1;
}

void process_send(int handle, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        const ssize_t sent = send(handle, at, size, MSG_NOSIGNAL);
        if (sent <= 0)
            process_fail("send: %s", strerror(errno));
        at += sent;
        size -= (size_t)sent;
    }
}

bool process_receive(int handle, void *bytes, size_t size)
{
    return recv(handle, bytes, size, MSG_WAITALL) == (ssize_t)size;
}
