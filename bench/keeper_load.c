/* Loads a ZooKeeper server: many connections, each with a fixed number of requests in flight.
 *
 *   keeper_load PORT get|set|ping CONNECTIONS DEPTH DATA_BYTES SECONDS
 *
 * Prints one line: operations, seconds, and the latency percentiles in microseconds. It speaks the
 * wire by hand on purpose: a load generator that shares code with the server would share its bugs
 * and its speed.
 */
#include "base/bytes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    connection_count_max = 1024,
    depth_max = 1024,
    path_count = 1000,
    buffer_bytes = 1 << 20,
    bucket_count = 4096, /* Of latencies: 64 per power of two of microseconds. */
    xid_set_up = 1,
    warm_up_share = 5, /* A fifth of the time is not counted. */
};

enum operation { OPERATION_GET, OPERATION_SET, OPERATION_PING };

struct connection {
    int handle;
    uint8_t in[buffer_bytes / 8];
    size_t in_size;
    uint8_t out[buffer_bytes / 8];
    size_t out_size;
    uint64_t sent_ns[depth_max]; /* A ring: replies come in request order. */
    uint64_t sent_count;
    uint64_t received_count;
};

static struct connection *connections;
static uint64_t latencies[bucket_count];
static uint8_t data[buffer_bytes];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Six bits of mantissa under the exponent: an error of at most 1.6 %. */
static unsigned bucket_of(uint64_t microseconds)
{
    if (microseconds < 64)
        return (unsigned)microseconds;
    const unsigned exponent = 63 - (unsigned)__builtin_clzll(microseconds);
    const unsigned bucket = (exponent - 5) * 64 + (unsigned)((microseconds >> (exponent - 6)) & 63);
    return bucket < bucket_count ? bucket : bucket_count - 1;
}

static uint64_t bucket_start(unsigned bucket)
{
    if (bucket < 64)
        return bucket;
    const unsigned exponent = bucket / 64 + 5;
    return (uint64_t)(64 + bucket % 64) << (exponent - 6);
}

static uint64_t percentile(double share)
{
    uint64_t total = 0, seen = 0;
    for (unsigned bucket = 0; bucket < bucket_count; bucket++)
        total += latencies[bucket];
    for (unsigned bucket = 0; bucket < bucket_count; bucket++) {
        seen += latencies[bucket];
        if ((double)seen >= share * (double)total)
            return bucket_start(bucket);
    }
    return 0;
}

static void send_all(int handle, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t sent = send(handle, bytes, size, 0);
        if (sent <= 0)
            die("send");
        bytes += sent;
        size -= (size_t)sent;
    }
}

static size_t receive_frame(int handle, uint8_t *frame)
{
    uint8_t head[4];
    if (recv(handle, head, sizeof head, MSG_WAITALL) != sizeof head)
        die("recv");
    const uint32_t size = load_u32(head);
    if (size > buffer_bytes / 8 || recv(handle, frame, size, MSG_WAITALL) != (ssize_t)size)
        die("recv");
    return size;
}

static void open_session(struct connection *connection, uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const int one = 1;
    connection->handle = socket(AF_INET, SOCK_STREAM, 0);
    if (connection->handle < 0 ||
        connect(connection->handle, (const struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    setsockopt(connection->handle, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    uint8_t request[49] = {0};
    store_u32(request, 45);
    store_u32(request + 16, 30000);
    store_u32(request + 28, 16);
    send_all(connection->handle, request, sizeof request);
    uint8_t reply[buffer_bytes / 8];
    receive_frame(connection->handle, reply);
    if (load_u32(reply + 4) == 0) {
        fprintf(stderr, "the server refused the session\n");
        exit(1);
    }
}

static size_t put_path(uint8_t *at, unsigned index)
{
    const int size = snprintf((char *)at + 4, 32, "/load-%04u", index);
    store_u32(at, (uint32_t)size);
    return 4 + (size_t)size;
}

static size_t put_data(uint8_t *at, uint32_t size)
{
    store_u32(at, size);
    memcpy(at + 4, data, size);
    return 4 + size;
}

/* Length, xid and type; the length is filled in by end_frame. */
static uint8_t *begin_frame(uint8_t *at, uint32_t xid, uint32_t type)
{
    store_u32(at + 4, xid);
    store_u32(at + 8, type);
    return at + 12;
}

static size_t end_frame(uint8_t *start, const uint8_t *end)
{
    store_u32(start, (uint32_t)(end - start) - 4);
    return (size_t)(end - start);
}

static void create_paths(struct connection *connection, uint32_t data_bytes)
{
    static uint8_t frame[buffer_bytes];
    for (unsigned index = 0; index < path_count; index++) {
        uint8_t *at = begin_frame(frame, xid_set_up, 1);
        at += put_path(at, index);
        at += put_data(at, data_bytes);
        store_u32(at, 1);
        store_u32(at + 4, 31);
        store_u32(at + 8, 5);
        memcpy(at + 12, "world", 5);
        store_u32(at + 17, 6);
        memcpy(at + 21, "anyone", 6);
        store_u32(at + 27, 0);
        send_all(connection->handle, frame, end_frame(frame, at + 31));
        receive_frame(connection->handle, frame);
        const int32_t error = load_i32(frame + 12);
        if (error != 0 && error != -110) {
            fprintf(stderr, "create failed: %d\n", error);
            exit(1);
        }
    }
}

static size_t put_request(uint8_t *frame, enum operation operation, uint64_t count,
                          uint32_t data_bytes)
{
    uint8_t *at = frame;
    const uint32_t xid = (uint32_t)(count & 0x7fffffff) + 1;
    const unsigned path = (unsigned)(count * 7919 % path_count);
    switch (operation) {
    case OPERATION_GET:
        at = begin_frame(frame, xid, 4);
        at += put_path(at, path);
        *at++ = 0;
        break;
    case OPERATION_SET:
        at = begin_frame(frame, xid, 5);
        at += put_path(at, path);
        at += put_data(at, data_bytes);
        store_i32(at, -1);
        at += 4;
        break;
    case OPERATION_PING: at = begin_frame(frame, (uint32_t)-2, 11); break;
    }
    return end_frame(frame, at);
}

static void fill(struct connection *connection, enum operation operation, unsigned depth,
                 uint32_t data_bytes)
{
    const uint64_t now = now_ns();
    while (connection->sent_count - connection->received_count < depth &&
           connection->out_size + data_bytes + 128 < sizeof connection->out) {
        connection->sent_ns[connection->sent_count % depth_max] = now;
        connection->out_size += put_request(connection->out + connection->out_size, operation,
                                            connection->sent_count, data_bytes);
        connection->sent_count++;
    }
    const ssize_t sent =
        send(connection->handle, connection->out, connection->out_size, MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN)
        die("send");
    if (sent > 0) {
        connection->out_size -= (size_t)sent;
        memmove(connection->out, connection->out + sent, connection->out_size);
    }
}

static void take_reply(struct connection *connection, const uint8_t *frame, bool counted)
{
    const int32_t error = load_i32(frame + 16);
    if (error != 0) {
        fprintf(stderr, "a reply with error %d\n", error);
        exit(1);
    }
    const uint64_t sent_ns = connection->sent_ns[connection->received_count % depth_max];
    connection->received_count++;
    if (counted)
        latencies[bucket_of((now_ns() - sent_ns) / 1000)]++;
}

/* How many replies were taken. */
static uint64_t drain(struct connection *connection, bool counted)
{
    const ssize_t size = recv(connection->handle, connection->in + connection->in_size,
                              sizeof connection->in - connection->in_size, MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno != EAGAIN))
        die("recv");
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
    const uint64_t start = now_ns();
    const uint64_t counted_from = start + (uint64_t)(seconds * 1e9 / warm_up_share);
    const uint64_t end = start + (uint64_t)(seconds * 1e9);
    uint64_t count = 0;
    uint64_t now = start;
    while (now < end) {
        struct epoll_event events[connection_count_max];
        const int ready = epoll_wait(poll, events, connection_count_max, 100);
        now = now_ns();
        for (int index = 0; index < ready; index++) {
            struct connection *connection = &connections[events[index].data.u32];
            const uint64_t taken = drain(connection, now >= counted_from);
            count += now >= counted_from ? taken : 0;
            fill(connection, operation, depth, data_bytes);
        }
    }
    const double counted_seconds = (double)(now - counted_from) / 1e9;
    printf("operations %llu seconds %.2f per_second %.0f p50_us %llu p99_us %llu p999_us %llu "
           "max_us %llu\n",
           (unsigned long long)count, counted_seconds, (double)count / counted_seconds,
           (unsigned long long)percentile(0.5), (unsigned long long)percentile(0.99),
           (unsigned long long)percentile(0.999), (unsigned long long)percentile(1));
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr,
                "usage: keeper_load PORT get|set|ping CONNECTIONS DEPTH DATA_BYTES SECONDS\n");
        return 2;
    }
    const uint16_t port = (uint16_t)strtoul(argv[1], NULL, 10);
    const enum operation operation = strcmp(argv[2], "get") == 0   ? OPERATION_GET
                                     : strcmp(argv[2], "set") == 0 ? OPERATION_SET
                                                                   : OPERATION_PING;
    const unsigned connection_count = (unsigned)strtoul(argv[3], NULL, 10);
    const unsigned depth = (unsigned)strtoul(argv[4], NULL, 10);
    const uint32_t data_bytes = (uint32_t)strtoul(argv[5], NULL, 10);
    if (connection_count == 0 || connection_count > connection_count_max || depth == 0 ||
        depth > depth_max || data_bytes > buffer_bytes / 16) {
        fprintf(stderr, "at most %d connections, %d in flight, %d bytes\n", connection_count_max,
                depth_max, buffer_bytes / 16);
        return 2;
    }
    memset(data, 'x', sizeof data);
    connections = calloc(connection_count, sizeof *connections);
    if (connections == NULL)
        die("calloc");
    for (unsigned index = 0; index < connection_count; index++)
        open_session(&connections[index], port);
    create_paths(&connections[0], data_bytes);
    run(operation, connection_count, depth, data_bytes, strtod(argv[6], NULL));
    return 0;
}
