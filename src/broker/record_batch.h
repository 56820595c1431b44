/* Kafka's record batch, format version 2: reading its header, checking it, stamping it in place.
 *
 *   0 base_offset i64 | 8 length i32 | 12 leader_epoch i32 | 16 magic i8 | 17 crc u32 |
 *   21 attributes i16 | 23 last_offset_delta i32 | 27 base_timestamp i64 | 35 max_timestamp i64 |
 *   43 producer_id i64 | 51 producer_epoch i16 | 53 base_sequence i32 | 57 count i32 | 61 records
 *
 * The CRC-32C covers bytes 21 to the end, so a leader assigns offsets and its epoch without
 * touching it. `length` counts the bytes after itself. Records are compressed as one block, or
 * follow one another as zig-zag varints.
 *
 * Memory: none; views borrow the bytes. Shard: any.
 */
#ifndef BROKER_RECORD_BATCH_H
#define BROKER_RECORD_BATCH_H

#include "base/assert.h"
#include "base/err.h"
#include "base/macros.h"
#include "base/slice.h"

enum {
    record_batch_header_bytes = 61,
    record_batch_length_at = 8,
    record_batch_prefix_bytes = 12,     /* What `length` does not count. */
    record_batch_crc_from = 21,         /* The first byte that the CRC covers. */
    record_batch_legacy_bytes_min = 14, /* Of a message of magic 0, after its prefix. */
    record_batch_magic = 2,
};

enum record_attribute {
    RECORD_CODEC_MASK = 0x07,
    RECORD_LOG_APPEND_TIME = 0x08,
    RECORD_TRANSACTIONAL = 0x10,
    RECORD_CONTROL = 0x20,
    RECORD_DELETE_HORIZON = 0x40,
};

enum record_codec { CODEC_NONE, CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD };

/* A decoded header. */
struct record_batch {
    int64_t base_offset;
    int64_t base_timestamp_ms;
    int64_t max_timestamp_ms;
    int64_t producer_id; /* -1: none. */
    uint32_t size;       /* Of the whole batch, the 12 bytes of the prefix included. */
    uint32_t crc;
    int32_t leader_epoch;
    int32_t last_offset_delta;
    int32_t base_sequence;
    int32_t record_count;
    int16_t producer_epoch;
    int16_t attributes;
    int8_t magic; /* 0 and 1: only base_offset, size, crc, magic, attributes and the timestamp. */
};

static inline int64_t record_batch_last_offset(const struct record_batch *batch)
{
    /* Unsigned, because a damaged header may hold anything. */
    return (int64_t)((uint64_t)batch->base_offset + (uint64_t)(int64_t)batch->last_offset_delta);
}

static inline enum record_codec record_batch_codec(const struct record_batch *batch)
{
    return (enum record_codec)(batch->attributes & RECORD_CODEC_MASK);
}

/* The sequence number `distance` after sequence: 2147483647 is followed by 0. */
int32_t record_batch_sequence_after(int32_t sequence, int32_t distance);

/* Decodes the header at the start of bytes, which may be longer or end inside the records.
 * ERR_TRUNCATED: fewer bytes than the header; ERR_MALFORMED: a length below the header's, negative,
 * or above INT32_MAX; ERR_UNSUPPORTED: a magic above 2 or below 0. The CRC is not looked at. */
MUST_CHECK enum err record_batch_decode(struct record_batch *batch, struct slice bytes);

/* Whether the CRC matches; bytes are exactly the batch. Knows the three magics. */
bool record_batch_crc_matches(const struct record_batch *batch, struct slice bytes);

/* Sets max_timestamp and computes the CRC anew. data is the whole batch, of magic 2. */
void record_batch_set_max_timestamp(struct record_batch *batch, uint8_t *data,
                                    int64_t max_timestamp_ms);

/* What the broker writes into a batch that it takes. */
struct record_batch_stamp {
    int64_t base_offset;
    int32_t leader_epoch;
    bool is_log_append_time; /* Sets the attribute and max_timestamp, and computes the CRC anew. */
    int64_t log_append_time_ms;
};

/* data is the whole batch, of magic 2 and checked; batch follows. */
void record_batch_stamp(struct record_batch *batch, uint8_t *data, struct record_batch_stamp stamp);

/* Walks the batches of a records field or of a piece of a file. */
struct record_batch_walk {
    struct slice rest;
    struct record_batch batch; /* The current one. */
    struct slice bytes;        /* Its bytes. */
};

void record_batch_walk_init(struct record_batch_walk *walk, struct slice records);

/* Moves to the next batch. True: there is one, whole. False with *err = ERR_OK: no byte is left;
 * ERR_TRUNCATED: rest holds a part of one; otherwise as record_batch_decode. */
bool record_batch_walk_next(struct record_batch_walk *walk, enum err *err);

/* One record of an uncompressed batch. */
struct record {
    int64_t timestamp_ms;
    int64_t offset;
    struct slice key;     /* Null allowed. */
    struct slice value;   /* Null allowed. */
    struct slice headers; /* As encoded. */
    int32_t header_count;
};

struct record_walk {
    struct slice rest;
    const struct record_batch *batch;
    int32_t index; /* Of the next record. */
};

/* Keeps batch and bytes, which are the whole batch, not compressed, magic 2. */
void record_walk_init(struct record_walk *walk, const struct record_batch *batch,
                      struct slice bytes);

/* False with *err = ERR_OK: all records of the count were read and no byte is left. ERR_MALFORMED:
 * a length, a count or an offset delta that is not what the format says. Lends slices into bytes.
 */
bool record_walk_next(struct record_walk *walk, struct record *record, enum err *err);

/* Writes one batch of key and value records: what a broker itself appends. */
struct record_batch_writer {
    uint8_t *data;
    size_t capacity;
    size_t used; /* Of the whole batch so far, its header included. */
    int64_t base_timestamp_ms;
    int32_t record_count;
    bool is_full; /* A record did not fit: the batch ends before it. */
};

/* Keeps data until record_batch_writer_finish. capacity is at least the header's size. */
void record_batch_writer_init(struct record_batch_writer *writer, uint8_t *data, size_t capacity,
                              int64_t timestamp_ms);

/* Bytes that one record takes at most. */
size_t record_batch_writer_record_bytes(struct slice key, struct slice value);

/* False: it does not fit, and the writer is full. Null key or value allowed. */
bool record_batch_writer_add(struct record_batch_writer *writer, struct slice key,
                             struct slice value);

/* Fills in the header, base offset 0; returns the batch, or a null slice if it has no record. */
struct slice record_batch_writer_finish(struct record_batch_writer *writer);

#endif
