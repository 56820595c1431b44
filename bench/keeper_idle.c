/* Holds many sessions on a ZooKeeper server that do nothing but ping.
 *
 *   keeper_idle PORT SESSIONS [PINGS_PER_SECOND]
 *
 * Prints "ready" when all are open, then pings each of them every ten seconds, as clients with a
 * timeout of 30 s do, or so often that all together make PINGS_PER_SECOND, evenly spread over time,
 * until its input ends. Sessions beyond
 * keeper_wire_connects_per_source come from 127.0.0.2 and so on.
 */
#include "keeper_wire.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    usual_period_ms = 10000,
    event_count_max = 1024,
    wait_ms = 5,
    opened_at_once = 64,
};

struct sessions {
    int *handles;
    uint64_t *pinged_ns; /* When each was pinged last, or opened. */
    unsigned count;      /* Opened so far. */
    unsigned next;       /* Whose turn it is. */
    int poll;
    uint64_t ping_period_ns;
    uint64_t ping_count;
    uint64_t answer_count;
};

static void ping_due(struct sessions *sessions)
{
    const uint64_t now = latency_now_ns();
    while (sessions->pinged_ns[sessions->next] + sessions->ping_period_ns <= now) {
        uint8_t frame[16];
        uint8_t *at = keeper_wire_begin(frame, keeper_wire_xid_ping, KEEPER_WIRE_PING);
        keeper_wire_send(sessions->handles[sessions->next], frame, keeper_wire_end(frame, at));
        sessions->pinged_ns[sessions->next] = now;
        sessions->next = (sessions->next + 1) % sessions->count;
        sessions->ping_count++;
    }
}

static void take_answers(struct sessions *sessions, int timeout_ms)
{
    static uint8_t bytes[4096];
    struct epoll_event events[event_count_max];
    const int ready = epoll_wait(sessions->poll, events, event_count_max, timeout_ms);
    for (int index = 0; index < ready; index++) {
        const ssize_t size = recv(events[index].data.fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (size <= 0)
            keeper_wire_refuse("a session was closed; open so far", (long)sessions->count);
        sessions->answer_count += (uint64_t)size / 20; /* A ping's answer is a header alone. */
    }
}

static void open_some(struct sessions *sessions, uint16_t port, unsigned count)
{
    const unsigned first = sessions->count;
    for (unsigned index = first; index < first + count; index++)
        sessions->handles[index] = keeper_wire_ask_session(port, index);
    for (unsigned index = first; index < first + count; index++) {
        keeper_wire_take_session(sessions->handles[index], index);
        sessions->pinged_ns[index] = latency_now_ns();
        struct epoll_event event = {.events = EPOLLIN, .data.fd = sessions->handles[index]};
        epoll_ctl(sessions->poll, EPOLL_CTL_ADD, sessions->handles[index], &event);
    }
    sessions->count += count;
}

/* Pings from then on are evenly spread. */
static void spread(struct sessions *sessions)
{
    const uint64_t step_ns = sessions->ping_period_ns / sessions->count;
    const uint64_t start = latency_now_ns() - sessions->ping_period_ns;
    sessions->next = 0;
    for (unsigned index = 0; index < sessions->count; index++)
        sessions->pinged_ns[index] = start + index * step_ns;
}

static bool is_input_over(void)
{
    char byte;
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, &byte, 1) <= 0;
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: keeper_idle PORT SESSIONS [PINGS_PER_SECOND]\n");
        return 2;
    }
    const uint16_t port = (uint16_t)strtoul(argv[1], NULL, 10);
    const unsigned count = (unsigned)strtoul(argv[2], NULL, 10);
    struct sessions sessions = {.handles = calloc(count, sizeof(int)),
                                .pinged_ns = calloc(count, sizeof(uint64_t)),
                                .poll = epoll_create1(0),
                                .ping_period_ns = (uint64_t)usual_period_ms * 1000000};
    if (sessions.handles == NULL || sessions.pinged_ns == NULL || count == 0)
        keeper_wire_die("calloc");
    while (sessions.count < count) {
        const unsigned left = count - sessions.count;
        open_some(&sessions, port, left < opened_at_once ? left : opened_at_once);
        ping_due(&sessions);
        take_answers(&sessions, 0);
    }
    if (argc == 4)
        sessions.ping_period_ns = (uint64_t)count * 1000000000 / strtoul(argv[3], NULL, 10);
    spread(&sessions);
    printf("ready\n");
    fflush(stdout);
    while (!is_input_over()) {
        ping_due(&sessions);
        take_answers(&sessions, wait_ms);
    }
    printf("pings %llu answers %llu\n", (unsigned long long)sessions.ping_count,
           (unsigned long long)sessions.answer_count);
    return 0;
}
