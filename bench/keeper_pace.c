/* Reads from a ZooKeeper server at a steady pace and says how long the longest answer took.
 *
 *   keeper_pace PORT READS_PER_SECOND WRITES_PER_SECOND SECONDS
 *
 * Sixteen connections, each request on its own; a latency counts from the moment when the request
 * was due, so that a server that stops is charged for all that it kept waiting. Writes go to a
 * connection of their own and are not counted: they make the server take snapshots.
 *
 * Two more figures part the server from what keeps this program from running. own_us: the longest
 * round of its own loop; no latency below that says anything about the server. server_us: the
 * longest time from when a read was really sent to when the kernel took its reply in; sending never
 * waits for replies, so a server that stops is charged for that here, too. SIGTERM ends it before
 * its time.
 */
#include "keeper_wire.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

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
    uint64_t sent_ns[in_flight_max]; /* By the clock of the kernel's marks. */
    uint64_t sent_count;
    uint64_t received_count;
};

static struct connection readers[connection_count + 1]; /* The last one writes. */
static const char path[] = "/pace";
static volatile sig_atomic_t is_ended;
static uint64_t server_max_ns;

static void on_end(int number)
{
    (void)number;
    is_ended = 1;
}

static uint64_t wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

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
    connection->sent_ns[connection->sent_count % in_flight_max] = wall_ns();
    connection->due_ns[connection->sent_count++ % in_flight_max] = due_ns;
    keeper_wire_send(connection->handle, frame, keeper_wire_end(frame, at));
}

/* As recv, with the time at which the last of these bytes arrived, 0 if that is not known. */
static ssize_t receive(struct connection *connection, uint64_t *arrived_ns)
{
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct timespec))];
    struct iovec room = {connection->in + connection->in_size,
                         sizeof connection->in - connection->in_size};
    struct msghdr message = {.msg_iov = &room,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    const ssize_t size = recvmsg(connection->handle, &message, MSG_DONTWAIT);
    const struct cmsghdr *mark = size > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    *arrived_ns = 0;
    if (mark != NULL && mark->cmsg_level == SOL_SOCKET && mark->cmsg_type == SCM_TIMESTAMPNS) {
        struct timespec at;
        memcpy(&at, CMSG_DATA(mark), sizeof at);
        *arrived_ns = (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
    }
    return size;
}

static void count_reply(const struct connection *connection, uint64_t now_ns, uint64_t arrived_ns)
{
    const uint64_t slot = connection->received_count % in_flight_max;
    latency_count(now_ns - connection->due_ns[slot]);
    if (arrived_ns > connection->sent_ns[slot] + server_max_ns)
        server_max_ns = arrived_ns - connection->sent_ns[slot];
}

static void take_replies(struct connection *connection, uint64_t counted_from)
{
    uint64_t arrived_ns;
    const ssize_t size = receive(connection, &arrived_ns);
    if (size == 0 || (size < 0 && errno != EAGAIN))
        keeper_wire_die("recv");
    connection->in_size += size > 0 ? (size_t)size : 0;
    const uint64_t now = latency_now_ns();
    size_t at = 0;
    while (connection->in_size - at >= 4) {
        const uint8_t *frame = connection->in + at;
        const size_t frame_size = 4 + load_u32(frame);
        if (connection->in_size - at < frame_size)
            break;
        if (load_i32(frame + 16) != 0)
            keeper_wire_refuse("a reply with error", load_i32(frame + 16));
        if (connection->due_ns[connection->received_count % in_flight_max] >= counted_from &&
            connection != &readers[connection_count])
            count_reply(connection, now, arrived_ns);
        connection->received_count++;
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

/* The longest round of the loop. */
static uint64_t run(struct stream *reads, struct stream *writes, double seconds)
{
    struct pollfd polls[connection_count + 1];
    for (unsigned index = 0; index <= connection_count; index++)
        polls[index] = (struct pollfd){.fd = readers[index].handle, .events = POLLIN};
    const uint64_t start = latency_now_ns();
    uint64_t end = start + (uint64_t)(seconds * 1e9);
    reads->next_ns = writes->next_ns = start;
    uint64_t round_max = 0;
    uint64_t before = start;
    for (uint64_t now = start; now < end || !is_all_received(); now = latency_now_ns()) {
        if (before >= start + settle_ns && now - before > round_max)
            round_max = now - before;
        before = now;
        if (is_ended && now < end)
            end = now;
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
    return round_max;
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
    for (unsigned index = 0; index <= connection_count; index++) {
        readers[index].handle = keeper_wire_open_session(port, index);
        if (setsockopt(readers[index].handle, SOL_SOCKET, SO_TIMESTAMPNS, &(int){1}, sizeof(int)) !=
            0)
            keeper_wire_die("setsockopt");
    }
    create_path();
    signal(SIGTERM, on_end);
    struct stream reads = {.period_ns = read_rate > 0 ? 1000000000u / read_rate : 0};
    struct stream writes = {.period_ns = write_rate > 0 ? 1000000000u / write_rate : 0};
    const uint64_t round_max = run(&reads, &writes, strtod(argv[4], NULL));
    printf("reads %llu writes %llu p50_us %llu p99_us %llu p999_us %llu max_us %llu server_us %llu "
           "own_us %llu\n",
           (unsigned long long)reads.count, (unsigned long long)writes.count,
           (unsigned long long)latency_percentile(0.5),
           (unsigned long long)latency_percentile(0.99),
           (unsigned long long)latency_percentile(0.999), (unsigned long long)latency_percentile(1),
           (unsigned long long)(server_max_ns / 1000), (unsigned long long)(round_max / 1000));
    return 0;
}
