#include "broker/record_batch.h"

#include "base/bytes.h"
#include "base/checksum.h"

enum {
    magic_at = 16,
    crc_at = 17,
    attributes_at = 21,
    last_offset_delta_at = 23,
    base_timestamp_at = 27,
    max_timestamp_at = 35,
    producer_id_at = 43,
    producer_epoch_at = 51,
    base_sequence_at = 53,
    record_count_at = 57,
    leader_epoch_at = 12,
    legacy_crc_at = 12,
    legacy_crc_from = 16,
    legacy_attributes_at = 17,
    legacy_timestamp_at = 18,
    legacy_bytes_min_v1 = 22,
    varint_bytes_max = 5,
    varlong_bytes_max = 10,
};

int32_t record_batch_sequence_after(int32_t sequence, int32_t distance)
{
    if (sequence > INT32_MAX - distance)
        return distance - (INT32_MAX - sequence) - 1;
    return sequence + distance;
}

static enum err decode_legacy(struct record_batch *batch, const uint8_t *data, size_t size)
{
    const uint32_t size_min =
        batch->magic == 0 ? record_batch_legacy_bytes_min : legacy_bytes_min_v1;
    if (batch->size - record_batch_prefix_bytes < size_min)
        return ERR_MALFORMED;
    if (size < record_batch_prefix_bytes + size_min)
        return ERR_TRUNCATED;
    batch->crc = load_u32(data + legacy_crc_at);
    batch->attributes = data[legacy_attributes_at];
    batch->base_timestamp_ms = batch->magic == 0 ? -1 : load_i64(data + legacy_timestamp_at);
    batch->max_timestamp_ms = batch->base_timestamp_ms;
    batch->leader_epoch = -1;
    batch->producer_id = -1;
    batch->producer_epoch = -1;
    batch->base_sequence = -1;
    batch->record_count = 1;
    return ERR_OK;
}

enum err record_batch_decode(struct record_batch *batch, struct slice bytes)
{
    const uint8_t *data = bytes.data;
    *batch = (struct record_batch){0};
    if (bytes.size < record_batch_prefix_bytes)
        return ERR_TRUNCATED;
    const int32_t length = load_i32(data + record_batch_length_at);
    if (length < record_batch_legacy_bytes_min || length > INT32_MAX - record_batch_prefix_bytes)
        return ERR_MALFORMED;
    if (bytes.size <= magic_at)
        return ERR_TRUNCATED;

    batch->base_offset = load_i64(data);
    batch->size = (uint32_t)length + record_batch_prefix_bytes;
    batch->magic = (int8_t)data[magic_at];
    if (batch->magic < 0 || batch->magic > record_batch_magic)
        return ERR_UNSUPPORTED;
    if (batch->magic < record_batch_magic)
        return decode_legacy(batch, data, bytes.size);
    if (batch->size < record_batch_header_bytes)
        return ERR_MALFORMED;
    if (bytes.size < record_batch_header_bytes)
        return ERR_TRUNCATED;

    batch->leader_epoch = load_i32(data + leader_epoch_at);
    batch->crc = load_u32(data + crc_at);
    batch->attributes = load_i16(data + attributes_at);
    batch->last_offset_delta = load_i32(data + last_offset_delta_at);
    batch->base_timestamp_ms = load_i64(data + base_timestamp_at);
    batch->max_timestamp_ms = load_i64(data + max_timestamp_at);
    batch->producer_id = load_i64(data + producer_id_at);
    batch->producer_epoch = load_i16(data + producer_epoch_at);
    batch->base_sequence = load_i32(data + base_sequence_at);
    batch->record_count = load_i32(data + record_count_at);
    return ERR_OK;
}

bool record_batch_crc_matches(const struct record_batch *batch, struct slice bytes)
{
    assert(bytes.size == batch->size);
    if (batch->magic == record_batch_magic)
        return checksum_crc32c(0, slice_skip(bytes, record_batch_crc_from)) == batch->crc;
    return checksum_crc32(0, slice_skip(bytes, legacy_crc_from)) == batch->crc;
}

void record_batch_set_max_timestamp(struct record_batch *batch, uint8_t *data,
                                    int64_t max_timestamp_ms)
{
    assert(batch->magic == record_batch_magic);
    batch->max_timestamp_ms = max_timestamp_ms;
    store_i64(data + max_timestamp_at, max_timestamp_ms);
    batch->crc = checksum_crc32c(
        0, slice_of(data + record_batch_crc_from, batch->size - record_batch_crc_from));
    store_u32(data + crc_at, batch->crc);
}

void record_batch_stamp(struct record_batch *batch, uint8_t *data, struct record_batch_stamp stamp)
{
    assert(batch->magic == record_batch_magic);
    assert(stamp.base_offset >= 0 && stamp.leader_epoch >= -1);

    batch->base_offset = stamp.base_offset;
    batch->leader_epoch = stamp.leader_epoch;
    store_i64(data, stamp.base_offset);
    store_i32(data + leader_epoch_at, stamp.leader_epoch);
    if (!stamp.is_log_append_time)
        return;

    batch->attributes |= RECORD_LOG_APPEND_TIME;
    store_i16(data + attributes_at, batch->attributes);
    record_batch_set_max_timestamp(batch, data, stamp.log_append_time_ms);
}

void record_batch_walk_init(struct record_batch_walk *walk, struct slice records)
{
    *walk = (struct record_batch_walk){.rest = records};
}

bool record_batch_walk_next(struct record_batch_walk *walk, enum err *err)
{
    *err = ERR_OK;
    if (walk->rest.size == 0)
        return false;
    *err = record_batch_decode(&walk->batch, walk->rest);
    if (*err == ERR_OK && walk->batch.size > walk->rest.size)
        *err = ERR_TRUNCATED;
    if (*err != ERR_OK)
        return false;
    walk->bytes = slice_of(walk->rest.data, walk->batch.size);
    walk->rest = slice_skip(walk->rest, walk->batch.size);
    return true;
}

static int64_t from_zig_zag(uint64_t raw)
{
    return (int64_t)(raw >> 1) ^ -(int64_t)(raw & 1);
}

static bool take_long_varint(struct slice *rest, uint32_t bytes_max, int64_t *value)
{
    uint64_t raw = 0;
    for (uint32_t i = 0; i < bytes_max && i < rest->size; i++) {
        const uint8_t byte = rest->data[i];
        raw |= (uint64_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0) {
            *rest = slice_skip(*rest, i + 1);
            *value = from_zig_zag(raw);
            return true;
        }
    }
    return false;
}

/* Zig-zag, low seven bits first. False: it does not end within bytes_max bytes or within rest. Each
 * record has seven of them, nearly all of one byte or two: those are a fifth of the broker's work
 * on small records, so they come first. */
static inline bool take_varint(struct slice *rest, uint32_t bytes_max, int64_t *value)
{
    const uint8_t *at = rest->data;
    if (rest->size < 2)
        return take_long_varint(rest, bytes_max, value);
    if ((at[0] & 0x80) == 0) {
        *rest = slice_skip(*rest, 1);
        *value = from_zig_zag(at[0]);
        return true;
    }
    if ((at[1] & 0x80) == 0) {
        *rest = slice_skip(*rest, 2);
        *value = from_zig_zag((at[0] & 0x7fu) | (uint32_t)at[1] << 7);
        return true;
    }
    return take_long_varint(rest, bytes_max, value);
}

static inline bool take_int32(struct slice *rest, int32_t *value)
{
    int64_t wide;
    if (!take_varint(rest, varint_bytes_max, &wide) || wide < INT32_MIN || wide > INT32_MAX)
        return false;
    *value = (int32_t)wide;
    return true;
}

/* A length, then so many bytes; -1 is null where that is allowed. */
static inline bool take_bytes(struct slice *rest, bool null_allowed, struct slice *bytes)
{
    int32_t size;
    if (!take_int32(rest, &size))
        return false;
    *bytes = SLICE_NULL;
    if (size == -1)
        return null_allowed;
    if (size < 0 || (size_t)size > rest->size)
        return false;
    *bytes = slice_of(rest->data, (size_t)size);
    *rest = slice_skip(*rest, (size_t)size);
    return true;
}

static bool take_headers(struct slice *rest, struct record *record)
{
    if (!take_int32(rest, &record->header_count) || record->header_count < 0)
        return false;
    const uint8_t *begin = rest->data;
    for (int32_t i = 0; i < record->header_count; i++) {
        struct slice part;
        if (!take_bytes(rest, false, &part) || !take_bytes(rest, true, &part))
            return false;
    }
    record->headers = slice_of(begin, (size_t)(rest->data - begin));
    return true;
}

void record_walk_init(struct record_walk *walk, const struct record_batch *batch,
                      struct slice bytes)
{
    assert(batch->magic == record_batch_magic && bytes.size == batch->size);
    assert(record_batch_codec(batch) == CODEC_NONE);
    *walk =
        (struct record_walk){.rest = slice_skip(bytes, record_batch_header_bytes), .batch = batch};
}

static bool take_record(struct slice body, const struct record_batch *batch, struct record *record)
{
    int64_t timestamp_delta;
    int32_t offset_delta;
    if (body.size == 0)
        return false;
    body = slice_skip(body, 1); /* Attributes: no bit has a meaning. */
    if (!take_varint(&body, varlong_bytes_max, &timestamp_delta) ||
        !take_int32(&body, &offset_delta) || offset_delta < 0 ||
        offset_delta > batch->last_offset_delta || !take_bytes(&body, true, &record->key) ||
        !take_bytes(&body, true, &record->value) || !take_headers(&body, record))
        return false;
    /* Both wrap as Java's additions do: the sums are only shown and compared. */
    record->offset = (int64_t)((uint64_t)batch->base_offset + (uint64_t)offset_delta);
    record->timestamp_ms =
        (batch->attributes & RECORD_LOG_APPEND_TIME) != 0
            ? batch->max_timestamp_ms
            : (int64_t)((uint64_t)batch->base_timestamp_ms + (uint64_t)timestamp_delta);
    return body.size == 0;
}

bool record_walk_next(struct record_walk *walk, struct record *record, enum err *err)
{
    *err = ERR_OK;
    if (walk->index >= walk->batch->record_count) {
        if (walk->rest.size != 0)
            *err = ERR_MALFORMED;
        return false;
    }
    struct slice body;
    *err = ERR_MALFORMED;
    if (!take_bytes(&walk->rest, false, &body) || !take_record(body, walk->batch, record))
        return false;
    *err = ERR_OK;
    walk->index++;
    return true;
}

static size_t varint_size(int64_t value)
{
    uint64_t raw = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    size_t size = 1;
    while (raw >= 0x80) {
        raw >>= 7;
        size++;
    }
    return size;
}

static uint8_t *put_varint(uint8_t *at, int64_t value)
{
    uint64_t raw = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    while (raw >= 0x80) {
        *at++ = (uint8_t)(raw | 0x80);
        raw >>= 7;
    }
    *at++ = (uint8_t)raw;
    return at;
}

static size_t bytes_size(struct slice bytes)
{
    return slice_is_null(bytes) ? 1 : varint_size((int64_t)bytes.size) + bytes.size;
}

static uint8_t *put_bytes(uint8_t *at, struct slice bytes)
{
    if (slice_is_null(bytes))
        return put_varint(at, -1);
    at = put_varint(at, (int64_t)bytes.size);
    if (bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

void record_batch_writer_init(struct record_batch_writer *writer, uint8_t *data, size_t capacity,
                              int64_t timestamp_ms)
{
    assert(capacity >= record_batch_header_bytes && capacity <= INT32_MAX);
    *writer = (struct record_batch_writer){
        .data = data,
        .capacity = capacity,
        .used = record_batch_header_bytes,
        .base_timestamp_ms = timestamp_ms,
    };
}

size_t record_batch_writer_record_bytes(struct slice key, struct slice value)
{
    return 2 * (size_t)varint_bytes_max + 3 + bytes_size(key) + bytes_size(value);
}

bool record_batch_writer_add(struct record_batch_writer *writer, struct slice key,
                             struct slice value)
{
    /* Attributes, timestamp delta 0, offset delta, key, value, no headers. */
    const size_t body_size =
        3 + varint_size(writer->record_count) + bytes_size(key) + bytes_size(value);
    const size_t size = varint_size((int64_t)body_size) + body_size;
    if (writer->is_full || size > writer->capacity - writer->used) {
        writer->is_full = true;
        return false;
    }
    uint8_t *at = put_varint(writer->data + writer->used, (int64_t)body_size);
    *at++ = 0;
    at = put_varint(at, 0);
    at = put_varint(at, writer->record_count);
    at = put_bytes(at, key);
    at = put_bytes(at, value);
    at = put_varint(at, 0);
    writer->used += size;
    writer->record_count++;
    assert(at == writer->data + writer->used);
    return true;
}

struct slice record_batch_writer_finish(struct record_batch_writer *writer)
{
    if (writer->record_count == 0)
        return SLICE_NULL;
    uint8_t *data = writer->data;
    store_i64(data, 0);
    store_i32(data + record_batch_length_at, (int32_t)(writer->used - record_batch_prefix_bytes));
    store_i32(data + leader_epoch_at, -1);
    data[magic_at] = record_batch_magic;
    store_i16(data + attributes_at, 0);
    store_i32(data + last_offset_delta_at, writer->record_count - 1);
    store_i64(data + base_timestamp_at, writer->base_timestamp_ms);
    store_i64(data + max_timestamp_at, writer->base_timestamp_ms);
    store_i64(data + producer_id_at, -1);
    store_i16(data + producer_epoch_at, -1);
    store_i32(data + base_sequence_at, -1);
    store_i32(data + record_count_at, writer->record_count);
    store_u32(data + crc_at, checksum_crc32c(0, slice_of(data + record_batch_crc_from,
                                                         writer->used - record_batch_crc_from)));
    return slice_of(data, writer->used);
}
