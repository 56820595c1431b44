/* Kills a server of an ensemble and says how long no write was acknowledged.
 *
 *   keeper_failover PID PORT,PORT,.. [PATIENCE_MS]
 *
 * A client that tries all servers: at each of them it asks for a fresh session and then writes to
 * /load-0000; where it is refused or cut off it tries again some milliseconds later, and where it
 * hears nothing for PATIENCE_MS too. The first acknowledgement from anywhere ends the program,
 * which prints the milliseconds since the kill.
 */
#include "keeper_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    probe_count_max = 8,
    retry_ns = 3000000,
    poll_ms = 1,
    give_up_s = 120,
    patience_ms_default = 1000,
    connect_reply_bytes = 41,
    write_reply_bytes_min = 20,
    session_timeout_ms = 4000, /* The session goes by itself. */
    data_bytes = 100,
};

struct probe {
    uint16_t port;
    int handle; /* -1: none. */
    bool has_asked;
    bool has_session;
    uint64_t since_ns; /* Of the connection, or of its end. */
    uint8_t in[512];
    size_t in_size;
};

static uint64_t patience_ns = (uint64_t)patience_ms_default * 1000000;

static void end(struct probe *probe, uint64_t now)
{
    close(probe->handle);
    *probe = (struct probe){.port = probe->port, .handle = -1, .since_ns = now};
}

static void begin(struct probe *probe, uint64_t now)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(probe->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    /* From another address, or the socket could meet itself while nobody listens on the port. */
    const struct sockaddr_in source = {.sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1)};
    const int one = 1;
    probe->handle = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    probe->since_ns = now;
    setsockopt(probe->handle, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(probe->handle, (const struct sockaddr *)&source, sizeof source) != 0)
        keeper_wire_die("bind");
    if (connect(probe->handle, (const struct sockaddr *)&address, sizeof address) != 0 &&
        errno != EINPROGRESS)
        end(probe, now);
}

static bool ask_session(const struct probe *probe)
{
    uint8_t request[49] = {0};
    store_u32(request, 45);
    store_u32(request + 16, session_timeout_ms);
    store_u32(request + 28, 16);
    return send(probe->handle, request, sizeof request, MSG_NOSIGNAL) == sizeof request;
}

static bool ask_write(const struct probe *probe)
{
    uint8_t frame[512];
    uint8_t *at = keeper_wire_begin(frame, 1, KEEPER_WIRE_SET_DATA);
    at = keeper_wire_put_set(at, "/load-0000", data_bytes);
    const size_t size = keeper_wire_end(frame, at);
    return send(probe->handle, frame, size, MSG_NOSIGNAL) == (ssize_t)size;
}

/* What has come; false: the connection is of no use. */
static bool take(struct probe *probe, bool *is_acknowledged)
{
    const ssize_t size = recv(probe->handle, probe->in + probe->in_size,
                              sizeof probe->in - probe->in_size, MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno != EAGAIN))
        return false;
    probe->in_size += size > 0 ? (size_t)size : 0;
    if (!probe->has_session) {
        if (probe->in_size < connect_reply_bytes)
            return true;
        probe->has_session = true;
        probe->in_size = 0;
        return load_u32(probe->in + 8) != 0 && ask_write(probe);
    }
    if (probe->in_size < write_reply_bytes_min)
        return true;
    *is_acknowledged = load_i32(probe->in + 16) == 0;
    return *is_acknowledged;
}

/* Whether its write was acknowledged. */
static bool go_on(struct probe *probe, short events, uint64_t now)
{
    bool is_acknowledged = false;
    if (probe->handle < 0) {
        if (now - probe->since_ns >= retry_ns)
            begin(probe, now);
        return false;
    }
    if (events == 0) {
        if (now - probe->since_ns > patience_ns)
            end(probe, now);
        return false;
    }
    if (!probe->has_asked) {
        probe->has_asked = true;
        if ((events & (POLLERR | POLLHUP)) != 0 || !ask_session(probe))
            end(probe, now);
        return false;
    }
    if (!take(probe, &is_acknowledged))
        end(probe, now);
    return is_acknowledged;
}

static uint16_t run(struct probe *probes, unsigned count, uint64_t start)
{
    struct pollfd polls[probe_count_max];
    for (uint64_t now = start; now < start + give_up_s * UINT64_C(1000000000);) {
        for (unsigned index = 0; index < count; index++)
            polls[index] = (struct pollfd){.fd = probes[index].handle,
                                           .events = probes[index].has_asked ? POLLIN : POLLOUT};
        poll(polls, count, poll_ms);
        now = latency_now_ns();
        for (unsigned index = 0; index < count; index++)
            if (go_on(&probes[index], polls[index].revents, now))
                return probes[index].port;
    }
    keeper_wire_refuse("no write was acknowledged; seconds", give_up_s);
}

int main(int argc, char **argv)
{
    struct probe probes[probe_count_max];
    unsigned count = 0;
    if (argc < 3) {
        fprintf(stderr, "usage: keeper_failover PID PORT,PORT,.. [PATIENCE_MS]\n");
        return 2;
    }
    for (const char *at = argv[2]; at != NULL && count < probe_count_max; count++) {
        probes[count] = (struct probe){.port = (uint16_t)strtoul(at, NULL, 10), .handle = -1};
        at = strchr(at, ',');
        at = at == NULL ? NULL : at + 1;
    }
    if (argc > 3)
        patience_ns = strtoull(argv[3], NULL, 10) * 1000000;
    const uint64_t start = latency_now_ns();
    if (kill((pid_t)strtol(argv[1], NULL, 10), SIGKILL) != 0)
        keeper_wire_die("kill");
    const uint16_t port = run(probes, count, start);
    printf("ms %llu port %u\n", (unsigned long long)(latency_now_ns() - start) / 1000000, port);
    return 0;
}
