/* Loads a ZooKeeper server: many connections, each with a fixed number of requests in flight.
 *
 *   keeper_load PORT[,PORT..] get|set|ping CONNECTIONS DEPTH DATA_BYTES SECONDS
 *
 * With several ports, of an ensemble's servers, the connections go to them in turns.
 * Prints one line: operations, seconds, and the latency percentiles in microseconds.
 */
#include "keeper_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
    connection_count_max = 1024,
    port_count_max = 8,
    depth_max = 1024,
    path_count = 1000,
    buffer_bytes = 128 * 1024,
    data_bytes_max = 64 * 1024,
    request_slack_bytes = 128,
    warm_up_share = 5, /* A fifth of the time is not counted. */
};

enum operation { OPERATION_GET, OPERATION_SET, OPERATION_PING };

struct connection {
    int handle;
    uint8_t in[buffer_bytes];
    size_t in_size;
    uint8_t out[buffer_bytes];
    size_t out_size;
    uint64_t sent_ns[depth_max]; /* A ring: replies come in request order. */
    uint64_t sent_count;
    uint64_t received_count;
};

static struct connection *connections;

static const char *path_of(unsigned index)
{
    static char text[32];
    snprintf(text, sizeof text, "/load-%04u", index);
    return text;
}

static void create_paths(int handle, uint32_t data_bytes)
{
    static uint8_t frame[keeper_wire_frame_bytes_max];
    for (unsigned index = 0; index < path_count; index++) {
        uint8_t *at = keeper_wire_begin(frame, 1, KEEPER_WIRE_CREATE);
        at = keeper_wire_put_create(at, path_of(index), data_bytes);
        keeper_wire_send(handle, frame, keeper_wire_end(frame, at));
        keeper_wire_receive(handle, frame);
        const int32_t error = load_i32(frame + 12);
        if (error != 0 && error != keeper_wire_error_exists)
            keeper_wire_refuse("create failed", error);
    }
}

static size_t put_request(uint8_t *frame, enum operation operation, uint64_t count,
                          uint32_t data_bytes)
{
    uint8_t *at = frame;
    const int32_t xid = (int32_t)(count & 0x3fffffff) + 1;
    const char *path = path_of((unsigned)(count * 7919 % path_count));
    switch (operation) {
    case OPERATION_GET:
        at = keeper_wire_put_text(keeper_wire_begin(frame, xid, KEEPER_WIRE_GET_DATA), path);
        *at++ = 0;
        break;
    case OPERATION_SET:
        at = keeper_wire_begin(frame, xid, KEEPER_WIRE_SET_DATA);
        at = keeper_wire_put_set(at, path, data_bytes);
        break;
    case OPERATION_PING:
        at = keeper_wire_begin(frame, keeper_wire_xid_ping, KEEPER_WIRE_PING);
        break;
    }
    return keeper_wire_end(frame, at);
}

/* Each server has seen the paths before it is loaded: their creates are answered by it. */
static void open_connections(const char *ports, unsigned connection_count, uint32_t data_bytes)
{
    uint16_t list[port_count_max];
    unsigned port_count = 0;
    for (const char *at = ports; at != NULL && port_count < port_count_max;) {
        list[port_count++] = (uint16_t)strtoul(at, NULL, 10);
        at = strchr(at, ',');
        at = at == NULL ? NULL : at + 1;
    }
    for (unsigned index = 0; index < connection_count; index++)
        connections[index].handle = keeper_wire_open_session(list[index % port_count], index);
    for (unsigned index = 0; index < port_count && index < connection_count; index++)
        create_paths(connections[index].handle, data_bytes);
}

static void fill(struct connection *connection, enum operation operation, unsigned depth,
                 uint32_t data_bytes)
{
    const uint64_t now = latency_now_ns();
    while (connection->sent_count - connection->received_count < depth &&
           connection->out_size + data_bytes + request_slack_bytes < sizeof connection->out) {
        connection->sent_ns[connection->sent_count % depth_max] = now;
        connection->out_size += put_request(connection->out + connection->out_size, operation,
                                            connection->sent_count, data_bytes);
        connection->sent_count++;
    }
    const ssize_t sent =
        send(connection->handle, connection->out, connection->out_size, MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN)
        keeper_wire_die("send");
    if (sent > 0) {
        connection->out_size -= (size_t)sent;
        memmove(connection->out, connection->out + sent, connection->out_size);
    }
}

static void take_reply(struct connection *connection, const uint8_t *frame, bool counted)
{
    const int32_t error = load_i32(frame + 16);
    if (error != 0)
        keeper_wire_refuse("a reply with error", error);
    const uint64_t sent_ns = connection->sent_ns[connection->received_count % depth_max];
    connection->received_count++;
    if (counted)
        latency_count(latency_now_ns() - sent_ns);
}

/* How many replies were taken. */
static uint64_t drain(struct connection *connection, bool counted)
{
    const ssize_t size = recv(connection->handle, connection->in + connection->in_size,
                              sizeof connection->in - connection->in_size, MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno != EAGAIN))
        keeper_wire_die("recv");
    connection->in_size += size > 0 ? (size_t)size : 0;
    size_t at = 0;
    uint64_t count = 0;
    while (connection->in_size - at >= 4) {
        const size_t frame_size = 4 + load_u32(connection->in + at);
        if (connection->in_size - at < frame_size)
            break;
        take_reply(connection, connection->in + at, counted);
        at += frame_size;
        count++;
    }
    connection->in_size -= at;
    memmove(connection->in, connection->in + at, connection->in_size);
    return count;
}

static void run(enum operation operation, unsigned connection_count, unsigned depth,
                uint32_t data_bytes, double seconds)
{
    const int poll = epoll_create1(0);
    for (unsigned index = 0; index < connection_count; index++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
        epoll_ctl(poll, EPOLL_CTL_ADD, connections[index].handle, &event);
        fill(&connections[index], operation, depth, data_bytes);
    }
    const uint64_t start = latency_now_ns();
    const uint64_t counted_from = start + (uint64_t)(seconds * 1e9 / warm_up_share);
    const uint64_t end = start + (uint64_t)(seconds * 1e9);
    uint64_t count = 0;
    uint64_t now = start;
    while (now < end) {
        struct epoll_event events[connection_count_max];
        const int ready = epoll_wait(poll, events, connection_count_max, 100);
        now = latency_now_ns();
        for (int index = 0; index < ready; index++) {
            struct connection *connection = &connections[events[index].data.u32];
            const uint64_t taken = drain(connection, now >= counted_from);
            count += now >= counted_from ? taken : 0;
            fill(connection, operation, depth, data_bytes);
        }
    }
    const double counted_seconds = (double)(now - counted_from) / 1e9;
    printf(
        "operations %llu seconds %.2f per_second %.0f p50_us %llu p99_us %llu p999_us %llu "
        "max_us %llu\n",
        (unsigned long long)count, counted_seconds, (double)count / counted_seconds,
        (unsigned long long)latency_percentile(0.5), (unsigned long long)latency_percentile(0.99),
        (unsigned long long)latency_percentile(0.999), (unsigned long long)latency_percentile(1));
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr,
                "usage: keeper_load PORT[,PORT..] get|set|ping CONNECTIONS DEPTH DATA_BYTES "
                "SECONDS\n");
        return 2;
    }
    const enum operation operation = strcmp(argv[2], "get") == 0   ? OPERATION_GET
                                     : strcmp(argv[2], "set") == 0 ? OPERATION_SET
                                                                   : OPERATION_PING;
    const unsigned connection_count = (unsigned)strtoul(argv[3], NULL, 10);
    const unsigned depth = (unsigned)strtoul(argv[4], NULL, 10);
    const uint32_t data_bytes = (uint32_t)strtoul(argv[5], NULL, 10);
    if (connection_count == 0 || connection_count > connection_count_max || depth == 0 ||
        depth > depth_max || data_bytes > data_bytes_max) {
        fprintf(stderr, "at most %d connections, %d in flight, %d bytes\n", connection_count_max,
                depth_max, data_bytes_max);
        return 2;
    }
    connections = calloc(connection_count, sizeof *connections);
    if (connections == NULL)
        keeper_wire_die("calloc");
    open_connections(argv[1], connection_count, data_bytes);
    run(operation, connection_count, depth, data_bytes, strtod(argv[6], NULL));
    return 0;
}
