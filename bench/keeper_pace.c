/* Reads from a ZooKeeper server at a steady pace and says how long the longest answer took.
 *
 *   keeper_pace PORT READS_PER_SECOND WRITES_PER_SECOND SECONDS
 *
 * Sixteen connections, each request on its own; a latency counts from the moment when the request
 * was due, so that a server that stops is charged for all that it kept waiting. Writes go to a
 * connection of their own and are not counted: they make the server take snapshots.
 */
#include "keeper_wire.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    connection_count = 16,
    in_flight_max = 65536, /* Of one connection: a server may stop for seconds. */
    buffer_bytes = 64 * 1024,
    data_bytes = 100,
    settle_ns = 500000000, /* Not counted. */
};

struct connection {
    int handle;
    uint8_t in[buffer_bytes];
    size_t in_size;
    uint64_t due_ns[in_flight_max];
    uint64_t sent_count;
    uint64_t received_count;
};

static struct connection readers[connection_count + 1]; /* The last one writes. */
static const char path[] = "/pace";

static void send_request(struct connection *connection, bool is_write, uint64_t due_ns)
{
    uint8_t frame[512];
    const int32_t xid = (int32_t)(connection->sent_count & 0x3fffffff) + 1;
    uint8_t *at =
        keeper_wire_begin(frame, xid, is_write ? KEEPER_WIRE_SET_DATA : KEEPER_WIRE_GET_DATA);
    if (is_write) {
        at = keeper_wire_put_set(at, path, data_bytes);
    } else {
        at = keeper_wire_put_text(at, path);
        *at++ = 0;
    }
    if (connection->sent_count - connection->received_count == in_flight_max)
        keeper_wire_refuse("the server has stopped; requests in flight", in_flight_max);
    connection->due_ns[connection->sent_count++ % in_flight_max] = due_ns;
    keeper_wire_send(connection->handle, frame, keeper_wire_end(frame, at));
}

static void take_replies(struct connection *connection, uint64_t counted_from)
{
    const ssize_t size = recv(connection->handle, connection->in + connection->in_size,
                              sizeof connection->in - connection->in_size, MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno != EAGAIN))
        keeper_wire_die("recv");
    connection->in_size += size > 0 ? (size_t)size : 0;
    const uint64_t now = keeper_wire_now_ns();
    size_t at = 0;
    while (connection->in_size - at >= 4) {
        const uint8_t *frame = connection->in + at;
        const size_t frame_size = 4 + load_u32(frame);
        if (connection->in_size - at < frame_size)
            break;
        if (load_i32(frame + 16) != 0)
            keeper_wire_refuse("a reply with error", load_i32(frame + 16));
        const uint64_t due = connection->due_ns[connection->received_count++ % in_flight_max];
        if (due >= counted_from && connection != &readers[connection_count])
            keeper_wire_count(now - due);
        at += frame_size;
    }
    connection->in_size -= at;
    memmove(connection->in, connection->in + at, connection->in_size);
}

static void create_path(void)
{
    static uint8_t frame[keeper_wire_frame_bytes_max];
    uint8_t *at = keeper_wire_begin(frame, 1, KEEPER_WIRE_CREATE);
    at = keeper_wire_put_create(at, path, data_bytes);
    keeper_wire_send(readers[0].handle, frame, keeper_wire_end(frame, at));
    keeper_wire_receive(readers[0].handle, frame);
}

/* One kind of request, evenly spread over time. */
struct stream {
    uint64_t period_ns; /* 0: none. */
    uint64_t next_ns;
    uint64_t count;
};

static void send_due(struct stream *stream, bool is_write, uint64_t now)
{
    while (stream->period_ns > 0 && stream->next_ns <= now) {
        struct connection *connection =
            &readers[is_write ? connection_count : stream->count % connection_count];
        send_request(connection, is_write, stream->next_ns);
        stream->next_ns += stream->period_ns;
        stream->count++;
    }
}

static bool is_all_received(void)
{
    for (unsigned index = 0; index <= connection_count; index++)
        if (readers[index].received_count < readers[index].sent_count)
            return false;
    return true;
}

static void run(struct stream *reads, struct stream *writes, double seconds)
{
    struct pollfd polls[connection_count + 1];
    for (unsigned index = 0; index <= connection_count; index++)
        polls[index] = (struct pollfd){.fd = readers[index].handle, .events = POLLIN};
    const uint64_t start = keeper_wire_now_ns();
    const uint64_t end = start + (uint64_t)(seconds * 1e9);
    reads->next_ns = writes->next_ns = start;
    for (uint64_t now = start; now < end || !is_all_received(); now = keeper_wire_now_ns()) {
        if (now < end) {
            send_due(reads, false, now);
            send_due(writes, true, now);
        }
        const struct timespec wait = {.tv_nsec = 50000};
        if (ppoll(polls, connection_count + 1, &wait, NULL) <= 0)
            continue;
        for (unsigned index = 0; index <= connection_count; index++)
            if (polls[index].revents != 0)
                take_replies(&readers[index], start + settle_ns);
    }
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: keeper_pace PORT READS_PER_SECOND WRITES_PER_SECOND SECONDS\n");
        return 2;
    }
    const uint16_t port = (uint16_t)strtoul(argv[1], NULL, 10);
    const uint64_t read_rate = strtoull(argv[2], NULL, 10);
    const uint64_t write_rate = strtoull(argv[3], NULL, 10);
    for (unsigned index = 0; index <= connection_count; index++)
        readers[index].handle = keeper_wire_open_session(port, index);
    create_path();
    struct stream reads = {.period_ns = read_rate > 0 ? 1000000000u / read_rate : 0};
    struct stream writes = {.period_ns = write_rate > 0 ? 1000000000u / write_rate : 0};
    run(&reads, &writes, strtod(argv[4], NULL));
    printf("reads %llu writes %llu p50_us %llu p99_us %llu p999_us %llu max_us %llu\n",
           (unsigned long long)reads.count, (unsigned long long)writes.count,
           (unsigned long long)keeper_wire_percentile(0.5),
           (unsigned long long)keeper_wire_percentile(0.99),
           (unsigned long long)keeper_wire_percentile(0.999),
           (unsigned long long)keeper_wire_percentile(1));
    return 0;
}
