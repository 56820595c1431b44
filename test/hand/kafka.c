#include "test/hand/kafka.h"

#include "base/bytes.h"
#include "base/checksum.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

enum {
    frame_bytes_max = 8 << 20,
    request_bytes_max = 1 << 20,
    record_bytes_max = kafka_record_value_bytes + 32,
    record_count_per_batch_max = 4096,
    api_produce = 0,
    api_fetch = 1,
    api_list_offsets = 2,
    api_metadata = 3,
    api_create_topics = 19,
    create_timeout_ms = 120000,
};

static uint8_t request[request_bytes_max];
static uint8_t reply[frame_bytes_max];

static _Noreturn void fail(const char *what, int code)
{
    fprintf(stderr, "%s: %d\n", what, code);
    exit(1);
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

static uint8_t *put_varint(uint8_t *at, int32_t value)
{
    uint32_t rest = (uint32_t)value << 1 ^ (uint32_t)(value >> 31);
    for (; rest >= 0x80; rest >>= 7)
        *at++ = (uint8_t)(rest | 0x80);
    *at++ = (uint8_t)rest;
    return at;
}

static const uint8_t *get_varint(const uint8_t *at, int32_t *value)
{
    uint32_t raw = 0;
    for (int shift = 0; shift < 35; shift += 7) {
        raw |= (uint32_t)(*at & 0x7f) << shift;
        if ((*at++ & 0x80) == 0)
            break;
    }
    *value = (int32_t)(raw >> 1) ^ -(int32_t)(raw & 1);
    return at;
}

static uint8_t *begin(int api, int version)
{
    uint8_t *at = put_u16(request + 4, api);
    at = put_u16(at, version);
    at = put_u32(at, 1);
    return put_text(at, "by-hand");
}

static void finish(int handle, const uint8_t *end)
{
    store_u32(request, (uint32_t)(end - request) - 4);
    const uint8_t *at = request;
    while (at < end) {
        const ssize_t sent = send(handle, at, (size_t)(end - at), MSG_NOSIGNAL);
        if (sent <= 0)
            fail("send", (int)sent);
        at += sent;
    }
}

/* The bytes after the correlation id, or NULL: the connection is gone. */
static const uint8_t *receive(int handle)
{
    if (recv(handle, reply, 4, MSG_WAITALL) != 4)
        return NULL;
    const uint32_t size = load_u32(reply);
    if (size > sizeof reply)
        fail("a reply of so many bytes", (int)size);
    return recv(handle, reply, size, MSG_WAITALL) == (ssize_t)size ? reply + 4 : NULL;
}

static const uint8_t *must_receive(int handle)
{
    const uint8_t *at = receive(handle);
    if (at == NULL)
        fail("the connection is gone", 0);
    return at;
}

static uint8_t *put_record(uint8_t *at, int32_t offset_delta, uint64_t stamp)
{
    uint8_t body[record_bytes_max];
    uint8_t *end = body;
    *end++ = 0;
    end = put_varint(end, 0);
    end = put_varint(end, offset_delta);
    end = put_varint(end, -1);
    end = put_varint(end, kafka_record_value_bytes);
    memset(end, 'x', kafka_record_value_bytes);
    store_u64(end, stamp);
    end += kafka_record_value_bytes;
    end = put_varint(end, 0);
    at = put_varint(at, (int32_t)(end - body));
    memcpy(at, body, (size_t)(end - body));
    return at + (end - body);
}

uint32_t kafka_record_count_for(size_t batch_bytes)
{
    const size_t record_bytes = kafka_record_value_bytes + 11;
    return (uint32_t)((batch_bytes - kafka_batch_header_bytes) / record_bytes);
}

static void put_batch_header(uint8_t *batch, const uint8_t *end, uint32_t record_count)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    const int64_t wall_ms = wall.tv_sec * 1000 + wall.tv_nsec / 1000000;
    uint8_t *head = put_u64(batch, 0);
    head = put_u32(head, end - batch - 12);
    head = put_u32(head, 0);
    *head++ = 2;
    head = put_u16(head + 4, 0);
    head = put_u32(head, record_count - 1);
    head = put_u64(head, wall_ms);
    head = put_u64(head, wall_ms);
    head = put_u64(head, -1);
    head = put_u16(head, -1);
    head = put_u32(head, -1);
    put_u32(head, record_count);
    store_u32(batch + 17, checksum_crc32c(0, slice_of(batch + 21, (size_t)(end - batch) - 21)));
}

static uint8_t *put_batch(uint8_t *batch, struct kafka_batch_options options)
{
    uint8_t *at = batch + kafka_batch_header_bytes;
    if (options.record_count == 0 || options.record_count > record_count_per_batch_max)
        fail("records in a batch", (int)options.record_count);
    for (uint32_t index = 0; index < options.record_count; index++)
        at = put_record(at, (int32_t)index, options.first_stamp + index * options.stamp_step);
    put_batch_header(batch, at, options.record_count);
    return at;
}

void kafka_send_produce(int handle, const char *topic, int acks, struct kafka_batch_options options)
{
    uint8_t *at = begin(api_produce, 7);
    at = put_u16(at, -1);
    at = put_u16(at, acks);
    at = put_u32(at, 30000);
    at = put_u32(at, 1);
    at = put_text(at, topic);
    at = put_u32(at, 1);
    at = put_u32(at, options.partition);
    uint8_t *batch = at + 4;
    at = put_batch(batch, options);
    put_u32(batch - 4, at - batch);
    finish(handle, at);
}

int kafka_take_produce_code(int handle, int64_t *base_offset)
{
    const uint8_t *at = receive(handle);
    if (at == NULL)
        return -1;
    at += 4 + 2 + load_u16(at + 4) + 8;
    *base_offset = load_i64(at + 2);
    return load_i16(at);
}

bool kafka_take_produce_reply(int handle, int64_t *base_offset)
{
    const int code = kafka_take_produce_code(handle, base_offset);
    if (code > 0)
        fail("produce: error code", code);
    return code == 0;
}

/* Asks for the topic, which may create it; the reply behind its brokers, or NULL: the connection is
 * gone. */
static const uint8_t *ask_metadata(int handle, const char *topic)
{
    uint8_t *end = begin(api_metadata, 1);
    end = put_u32(end, 1);
    finish(handle, put_text(end, topic));
    const uint8_t *at = receive(handle);
    if (at == NULL)
        return NULL;
    const uint32_t broker_count = load_u32(at);
    at += 4;
    for (uint32_t index = 0; index < broker_count; index++) {
        at += 4;
        at += 2 + load_u16(at) + 4;
        at += 2 + (load_i16(at) > 0 ? load_i16(at) : 0);
    }
    return at;
}

/* Where the topic's partitions are counted, behind an error code that is *code. */
static const uint8_t *skip_topic_head(const uint8_t *at, int *code)
{
    at += 4 + 4;
    *code = load_i16(at);
    at += 2;
    return at + 2 + load_u16(at) + 1;
}

bool kafka_await_topic(int handle, const char *topic)
{
    for (int attempt = 0; attempt < 1500; attempt++) {
        int code;
        const uint8_t *at = ask_metadata(handle, topic);
        if (at == NULL)
            return false;
        at = skip_topic_head(at, &code);
        if (code == 0 && load_u32(at) > 0 && load_i16(at + 4) == 0)
            return true;
        const struct timespec pause = {.tv_nsec = 20000000};
        nanosleep(&pause, NULL);
    }
    fail("no leader for the topic after so many tries", 1500);
}

struct kafka_view kafka_ask_leaders(int handle, const char *topic, int32_t *leaders,
                                    uint32_t partition_count, uint32_t replica_count)
{
    int code;
    const uint8_t *at = ask_metadata(handle, topic);
    if (at == NULL)
        fail("the connection is gone", 0);
    struct kafka_view view = {.controller = load_i32(at)};
    at = skip_topic_head(at, &code);
    for (uint32_t index = 0; index < partition_count; index++)
        leaders[index] = -1;
    uint32_t told_count = code == 0 ? load_u32(at) : 0;
    for (at += 4; told_count > 0; told_count--) {
        const uint32_t index = load_u32(at + 2);
        const int32_t leader = load_i32(at + 6);
        at += 10;
        at += 4 + 4 * load_u32(at);
        const uint32_t in_sync_count = load_u32(at);
        at += 4 + 4 * in_sync_count;
        if (index >= partition_count || leader < 0)
            continue;
        leaders[index] = leader;
        view.ready_count += in_sync_count >= replica_count;
    }
    return view;
}

int kafka_create_topic(int handle, const char *topic, uint32_t partition_count,
                       uint32_t replica_count)
{
    uint8_t *end = begin(api_create_topics, 0);
    end = put_u32(end, 1);
    end = put_text(end, topic);
    end = put_u32(end, partition_count);
    end = put_u16(end, (int)replica_count);
    end = put_u32(end, 0);
    end = put_u32(end, 0);
    finish(handle, put_u32(end, create_timeout_ms));
    const uint8_t *at = receive(handle);
    return at == NULL ? -1 : load_i16(at + 4 + 2 + load_u16(at + 4));
}

int64_t kafka_end_offset(int handle, const char *topic, uint32_t partition)
{
    uint8_t *at = begin(api_list_offsets, 1);
    at = put_u32(at, -1);
    at = put_u32(at, 1);
    at = put_text(at, topic);
    at = put_u32(at, 1);
    at = put_u32(at, partition);
    finish(handle, put_u64(at, -1));
    const uint8_t *answer = must_receive(handle) + 4;
    answer += 2 + load_u16(answer) + 4 + 4 + 2 + 8;
    return load_i64(answer);
}

void kafka_send_fetch(int handle, const char *topic, struct kafka_fetch_options options)
{
    uint8_t *at = begin(api_fetch, 11);
    at = put_u32(at, -1);
    at = put_u32(at, options.wait_ms_max);
    at = put_u32(at, 1);
    at = put_u32(at, options.bytes_max);
    *at++ = 0;
    at = put_u32(at, 0);
    at = put_u32(at, -1);
    at = put_u32(at, 1);
    at = put_text(at, topic);
    at = put_u32(at, 1);
    at = put_u32(at, options.partition);
    at = put_u32(at, -1);
    at = put_u64(at, options.offset);
    at = put_u64(at, -1);
    at = put_u32(at, options.bytes_max);
    at = put_u32(at, 0);
    finish(handle, put_text(at, ""));
}

/* Every record from offset on; our own records have no keys and no headers. */
static void walk_batch(const uint8_t *batch, int64_t offset,
                       void (*on_record)(void *context, int64_t offset, uint64_t stamp),
                       void *context)
{
    const int64_t base = load_i64(batch);
    const uint32_t count = load_u32(batch + 57);
    const uint8_t *at = batch + kafka_batch_header_bytes;
    for (uint32_t index = 0; index < count; index++) {
        int32_t size, ignored;
        at = get_varint(at, &size);
        const uint8_t *next = at + size;
        at++;
        for (int field = 0; field < 4; field++)
            at = get_varint(at, &ignored);
        if (base + index >= offset)
            on_record(context, base + index, load_u64(at));
        at = next;
    }
}

int64_t kafka_take_fetch_reply(int handle, int64_t offset,
                               void (*on_record)(void *context, int64_t offset, uint64_t stamp),
                               void *context)
{
    const uint8_t *at = must_receive(handle) + 4 + 2 + 4 + 4;
    at += 2 + load_u16(at) + 4 + 4;
    const int code = load_i16(at);
    if (code != 0)
        fail("fetch: error code", code);
    at += 2 + 8 + 8 + 8;
    const int32_t aborted_count = load_i32(at);
    at += 4 + (aborted_count > 0 ? aborted_count * 16 : 0) + 4;
    const int32_t size = load_i32(at);
    at += 4;
    const uint8_t *end = at + (size > 0 ? size : 0);
    while (end - at >= kafka_batch_header_bytes) {
        const uint32_t batch_size = 12 + load_u32(at + 8);
        if (batch_size > (size_t)(end - at))
            break; /* Cut short by the byte limit. */
        if (on_record != NULL)
            walk_batch(at, offset, on_record, context);
        offset = load_i64(at) + load_i32(at + 23) + 1;
        at += batch_size;
    }
    return offset;
}
