/* Loads a Kafka broker: one partition, batches of fixed records.
 *
 *   broker_load PORT TOPIC produce ACKS SECONDS                 as fast as it goes, five requests
 * in flight broker_load PORT TOPIC latency ACKS SECONDS RECORDS_PER_S   a fixed rate; from send to
 * arrival at a consumer
 *
 * Batches hold 100-byte records: as many as fit 16 KiB for produce, one for latency. It speaks the
 * wire by hand on purpose: a load generator that shares code with the server would share its bugs
 * and its speed.
 */
#include "base/bytes.h"
#include "base/checksum.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    frame_bytes_max = 8 << 20,
    record_value_bytes = 100,
    batch_bytes = 16 * 1024,
    batch_header_bytes = 61,
    in_flight_max = 5,
    sample_count_max = 4 << 20,
    api_produce = 0,
    api_fetch = 1,
    api_list_offsets = 2,
    api_metadata = 3,
    warm_up_share = 5,
};

static const char *topic;
static uint32_t samples_us[sample_count_max];
static size_t sample_count;

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

static int dial(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const int one = 1;
    const int handle = socket(AF_INET, SOCK_STREAM, 0);
    if (handle < 0 || connect(handle, (const struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return handle;
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

/* The bytes after the correlation id. */
static const uint8_t *receive(int handle)
{
    static uint8_t frame[frame_bytes_max];
    if (recv(handle, frame, 4, MSG_WAITALL) != 4)
        die("recv");
    const uint32_t size = load_u32(frame);
    if (size > sizeof frame || recv(handle, frame, size, MSG_WAITALL) != (ssize_t)size)
        die("recv");
    return frame + 4;
}

static uint8_t *put_u16(uint8_t *at, int value)
{
    store_i16(at, (int16_t)value);
    return at + 2;
}

static uint8_t *put_u32(uint8_t *at, int64_t value)
{
    store_u32(at, (uint32_t)value);
    return at + 4;
}

static uint8_t *put_u64(uint8_t *at, int64_t value)
{
    store_i64(at, value);
    return at + 8;
}

static uint8_t *put_text(uint8_t *at, const char *text)
{
    const size_t size = strlen(text);
    at = put_u16(at, (int)size);
    memcpy(at, text, size);
    return at + size;
}

static uint8_t *begin(uint8_t *frame, int api, int version)
{
    uint8_t *at = put_u16(frame + 4, api);
    at = put_u16(at, version);
    at = put_u32(at, 1);
    return put_text(at, "broker_load");
}

static void finish(int handle, uint8_t *frame, const uint8_t *at)
{
    store_u32(frame, (uint32_t)(at - frame) - 4);
    send_all(handle, frame, (size_t)(at - frame));
}

static uint8_t *put_varint(uint8_t *at, int32_t value)
{
    uint32_t rest = (uint32_t)value << 1 ^ (uint32_t)(value >> 31);
    for (; rest >= 0x80; rest >>= 7)
        *at++ = (uint8_t)(rest | 0x80);
    *at++ = (uint8_t)rest;
    return at;
}

/* Null key, no headers; the value starts with stamp_ns. */
static uint8_t *put_record(uint8_t *at, int32_t offset_delta, uint64_t stamp_ns)
{
    uint8_t body[record_value_bytes + 32];
    uint8_t *end = body;
    *end++ = 0;
    end = put_varint(end, 0);
    end = put_varint(end, offset_delta);
    end = put_varint(end, -1);
    end = put_varint(end, record_value_bytes);
    memset(end, 'x', record_value_bytes);
    store_u64(end, stamp_ns);
    end += record_value_bytes;
    end = put_varint(end, 0);
    at = put_varint(at, (int32_t)(end - body));
    memcpy(at, body, (size_t)(end - body));
    return at + (end - body);
}

/* Returns the end; *record_count: out. */
static uint8_t *put_batch(uint8_t *batch, size_t bytes_max, uint64_t stamp_ns,
                          int32_t *record_count)
{
    uint8_t *at = batch + batch_header_bytes;
    int32_t count = 0;
    do {
        at = put_record(at, count, stamp_ns);
        count++;
    } while ((size_t)(at - batch) + record_value_bytes + 16 < bytes_max);

    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    const int64_t wall_ms = wall.tv_sec * 1000 + wall.tv_nsec / 1000000;
    uint8_t *head = put_u64(batch, 0);
    head = put_u32(head, at - batch - 12);
    head = put_u32(head, 0);
    *head++ = 2;
    head = put_u16(head + 4, 0);
    head = put_u32(head, count - 1);
    head = put_u64(head, wall_ms);
    head = put_u64(head, wall_ms);
    head = put_u64(head, -1);
    head = put_u16(head, -1);
    head = put_u32(head, -1);
    put_u32(head, count);
    store_u32(batch + 17, checksum_crc32c(0, slice_of(batch + 21, (size_t)(at - batch) - 21)));
    *record_count = count;
    return at;
}

static int32_t send_produce(int handle, int acks, size_t bytes_max)
{
    static uint8_t frame[batch_bytes * 2];
    int32_t record_count;
    uint8_t *at = begin(frame, api_produce, 7);
    at = put_u16(at, -1);
    at = put_u16(at, acks);
    at = put_u32(at, 30000);
    at = put_u32(at, 1);
    at = put_text(at, topic);
    at = put_u32(at, 1);
    at = put_u32(at, 0);
    uint8_t *batch = at + 4;
    at = put_batch(batch, bytes_max, now_ns(), &record_count);
    put_u32(batch - 4, at - batch);
    finish(handle, frame, at);
    return record_count;
}

static void take_produce_reply(int handle)
{
    const uint8_t *at = receive(handle) + 4;
    at += 2 + load_u16(at) + 8;
    const int error = load_i16(at);
    if (error != 0) {
        fprintf(stderr, "produce: error %d\n", error);
        exit(1);
    }
}

/* Creates the topic by asking for it, and waits until its partition has a leader. */
static void await_topic(int handle)
{
    for (int attempt = 0; attempt < 1000; attempt++) {
        uint8_t frame[512];
        uint8_t *at = begin(frame, api_metadata, 1);
        at = put_u32(at, 1);
        finish(handle, frame, put_text(at, topic));
        const uint8_t *reply = receive(handle);
        const uint32_t broker_count = load_u32(reply);
        reply += 4;
        for (uint32_t index = 0; index < broker_count; index++) {
            reply += 4;
            reply += 2 + load_u16(reply) + 4;
            reply += 2 + (load_i16(reply) > 0 ? load_i16(reply) : 0);
        }
        reply += 4 + 4;
        const int error = load_i16(reply);
        reply += 2;
        reply += 2 + load_u16(reply) + 1;
        if (error == 0 && load_u32(reply) > 0 && load_i16(reply + 4) == 0)
            return;
        const struct timespec pause = {.tv_nsec = 20000000};
        nanosleep(&pause, NULL);
    }
    fprintf(stderr, "the topic %s does not get a leader\n", topic);
    exit(1);
}

static int64_t end_offset(int handle)
{
    uint8_t frame[512];
    uint8_t *at = begin(frame, api_list_offsets, 1);
    at = put_u32(at, -1);
    at = put_u32(at, 1);
    at = put_text(at, topic);
    at = put_u32(at, 1);
    at = put_u32(at, 0);
    finish(handle, frame, put_u64(at, -1));
    const uint8_t *reply = receive(handle) + 4;
    reply += 2 + load_u16(reply) + 4 + 4 + 2 + 8;
    return load_i64(reply);
}

static void send_fetch(int handle, int64_t offset)
{
    uint8_t frame[512];
    uint8_t *at = begin(frame, api_fetch, 11);
    at = put_u32(at, -1);
    at = put_u32(at, 500);
    at = put_u32(at, 1);
    at = put_u32(at, 4 << 20);
    *at++ = 0;
    at = put_u32(at, 0);
    at = put_u32(at, -1);
    at = put_u32(at, 1);
    at = put_text(at, topic);
    at = put_u32(at, 1);
    at = put_u32(at, 0);
    at = put_u32(at, -1);
    at = put_u64(at, offset);
    at = put_u64(at, -1);
    at = put_u32(at, 4 << 20);
    at = put_u32(at, 0);
    finish(handle, frame, put_text(at, ""));
}

/* Notes the latency of each batch (they hold one record) and returns the next offset to fetch. */
static int64_t take_fetch_reply(int handle, int64_t offset, bool counted)
{
    const uint8_t *at = receive(handle) + 4 + 2 + 4 + 4;
    at += 2 + load_u16(at) + 4 + 4;
    const int error = load_i16(at);
    if (error != 0) {
        fprintf(stderr, "fetch: error %d\n", error);
        exit(1);
    }
    at += 2 + 8 + 8 + 8;
    const int32_t aborted = load_i32(at);
    at += 4 + (aborted > 0 ? aborted * 16 : 0) + 4;
    const int32_t size = load_i32(at);
    const uint8_t *end = at + 4 + (size > 0 ? size : 0);
    const uint64_t now = now_ns();
    for (at += 4; end - at >= batch_header_bytes; at += 12 + load_u32(at + 8)) {
        if (at + 12 + load_u32(at + 8) > end)
            break;
        /* Length (2), attributes, two deltas, null key, value length (2): the value is at 8. */
        const uint64_t stamp = load_u64(at + batch_header_bytes + 8);
        offset = load_i64(at) + load_i32(at + 23) + 1;
        if (counted && sample_count < sample_count_max)
            samples_us[sample_count++] = (uint32_t)((now - stamp) / 1000);
    }
    return offset;
}

static void run_produce(int handle, int acks, double seconds)
{
    const uint64_t start = now_ns();
    const uint64_t counted_from = start + (uint64_t)(seconds * 1e9 / warm_up_share);
    uint64_t records = 0;
    int in_flight = 0;
    uint64_t now = start;
    while (now < start + (uint64_t)(seconds * 1e9)) {
        const int32_t count = send_produce(handle, acks, batch_bytes);
        in_flight += acks != 0;
        if (in_flight == in_flight_max) {
            take_produce_reply(handle);
            in_flight--;
        }
        now = now_ns();
        records += now >= counted_from ? (uint64_t)count : 0;
    }
    for (; in_flight > 0; in_flight--)
        take_produce_reply(handle);
    const double counted = (double)(now_ns() - counted_from) / 1e9;
    printf("records %llu seconds %.2f per_second %.0f\n", (unsigned long long)records, counted,
           (double)records / counted);
}

static int by_value(const void *a, const void *b)
{
    const uint32_t first = *(const uint32_t *)a;
    const uint32_t second = *(const uint32_t *)b;
    return (first > second) - (first < second);
}

static void print_samples(void)
{
    if (sample_count == 0) {
        fprintf(stderr, "no record arrived\n");
        exit(1);
    }
    qsort(samples_us, sample_count, sizeof *samples_us, by_value);
    printf("records %zu p50_us %u p99_us %u p999_us %u max_us %u\n", sample_count,
           samples_us[sample_count / 2], samples_us[sample_count * 99 / 100],
           samples_us[sample_count * 999 / 1000], samples_us[sample_count - 1]);
}

static void run_latency(uint16_t port, int producer, int acks, double seconds, double rate)
{
    const int consumer = dial(port);
    int64_t offset = end_offset(consumer);
    send_fetch(consumer, offset);
    const uint64_t start = now_ns();
    const uint64_t counted_from = start + (uint64_t)(seconds * 1e9 / warm_up_share);
    const uint64_t end = start + (uint64_t)(seconds * 1e9);
    uint64_t sent = 0;
    for (uint64_t now = start; now < end; now = now_ns()) {
        const uint64_t due = (uint64_t)((double)(now - start) / 1e9 * rate);
        for (; sent < due; sent++)
            send_produce(producer, acks, batch_header_bytes + 8);
        struct pollfd handles[2] = {{.fd = producer, .events = POLLIN},
                                    {.fd = consumer, .events = POLLIN}};
        const struct timespec wait = {.tv_nsec = 50000};
        if (ppoll(handles, 2, &wait, NULL) < 0)
            die("poll");
        if (handles[0].revents != 0)
            take_produce_reply(producer);
        if (handles[1].revents != 0) {
            offset = take_fetch_reply(consumer, offset, now >= counted_from);
            send_fetch(consumer, offset);
        }
    }
    print_samples();
}

int main(int argc, char **argv)
{
    if (argc < 6 || (strcmp(argv[3], "latency") == 0 && argc < 7)) {
        fprintf(stderr, "usage: broker_load PORT TOPIC produce|latency ACKS SECONDS [RATE]\n");
        return 2;
    }
    const uint16_t port = (uint16_t)strtoul(argv[1], NULL, 10);
    topic = argv[2];
    const int acks = (int)strtol(argv[4], NULL, 10);
    const int handle = dial(port);
    await_topic(handle);
    if (strcmp(argv[3], "latency") == 0)
        run_latency(port, handle, acks, strtod(argv[5], NULL), strtod(argv[6], NULL));
    else
        run_produce(handle, acks, strtod(argv[5], NULL));
    return 0;
}
