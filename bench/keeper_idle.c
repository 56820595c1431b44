/* Holds many sessions on a ZooKeeper server that do nothing but ping.
 *
 *   keeper_idle PORT SESSIONS
 *
 * Prints "ready" when all are open, then pings each of them every ten seconds, as clients with a
 * timeout of 30 s do, evenly spread over time, until its input ends. Sessions beyond
 * keeper_wire_connects_per_source come from 127.0.0.2 and so on.
 */
#include "keeper_wire.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ping_period_ms = 10000, event_count_max = 1024, wait_ms = 5 };

static void take_replies(int poll, uint64_t *received)
{
    static uint8_t bytes[4096];
    struct epoll_event events[event_count_max];
    const int ready = epoll_wait(poll, events, event_count_max, wait_ms);
    for (int index = 0; index < ready; index++) {
        const ssize_t size = recv(events[index].data.fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (size <= 0)
            keeper_wire_die("a session was closed");
        *received += (uint64_t)size / 20; /* A ping's answer is a header alone. */
    }
}

static bool is_input_over(void)
{
    char byte;
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, &byte, 1) <= 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: keeper_idle PORT SESSIONS\n");
        return 2;
    }
    const unsigned count = (unsigned)strtoul(argv[2], NULL, 10);
    int *handles = calloc(count, sizeof *handles);
    const int poll = epoll_create1(0);
    if (handles == NULL || count == 0)
        keeper_wire_die("calloc");
    for (unsigned index = 0; index < count; index++) {
        handles[index] = keeper_wire_open_session((uint16_t)strtoul(argv[1], NULL, 10), index);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = handles[index]};
        epoll_ctl(poll, EPOLL_CTL_ADD, handles[index], &event);
    }
    printf("ready\n");
    fflush(stdout);
    const uint64_t period_ns = (uint64_t)ping_period_ms * 1000000 / count;
    uint64_t sent = 0, received = 0;
    const uint64_t start = keeper_wire_now_ns();
    while (!is_input_over()) {
        for (; start + sent * period_ns <= keeper_wire_now_ns(); sent++) {
            uint8_t frame[16];
            uint8_t *at = keeper_wire_begin(frame, keeper_wire_xid_ping, KEEPER_WIRE_PING);
            keeper_wire_send(handles[sent % count], frame, keeper_wire_end(frame, at));
        }
        take_replies(poll, &received);
    }
    printf("pings %llu answers %llu\n", (unsigned long long)sent, (unsigned long long)received);
    return 0;
}
