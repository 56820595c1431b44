/* The two sparse indexes of one segment: offset to file position, and timestamp to offset.
 *
 *   .index      relative offset i32 | position i32     (8 bytes; by the LAST offset of a batch and
 *                                                       the position where that batch begins)
 *   .timeindex  timestamp i64 | relative offset i32    (12 bytes; the largest timestamp so far, and
 *                                                       the last offset of the batch that has it)
 *
 * An entry is made when more than index.interval.bytes went by since the last one, so the first
 * batch of a segment has none. Entries are made here and wait in memory until the owner writes them
 * behind those already in the files. A missing entry is never wrong, only slower.
 *
 * Memory: two buffers from the heap while entries wait, as large as they need; they do not move
 * while they are being written. Shard: one owner.
 */
#ifndef BROKER_SEGMENT_INDEX_H
#define BROKER_SEGMENT_INDEX_H

#include "base/err.h"
#include "base/heap.h"
#include "base/slice.h"

enum {
    offset_entry_bytes = 8,
    time_entry_bytes = 12,
    segment_index_pending_max = 256, /* Entries of one kind. */
    segment_index_pending_first =
        8, /* For so many there is room at first, then for twice as many. */
};

struct offset_entry {
    uint32_t relative_offset;
    uint32_t position;
};

struct time_entry {
    int64_t timestamp_ms;
    uint32_t relative_offset;
};

void offset_entry_encode(struct offset_entry entry, uint8_t out[offset_entry_bytes]);
struct offset_entry offset_entry_decode(const uint8_t in[offset_entry_bytes]);
void time_entry_encode(struct time_entry entry, uint8_t out[time_entry_bytes]);
struct time_entry time_entry_decode(const uint8_t in[time_entry_bytes]);

/* How many entries of a file's bytes are meant: whole ones, without the tail of zeros of a file
 * that was not closed. ERR_CORRUPT: they do not grow, or point beyond log_bytes. */
MUST_CHECK enum err offset_index_check(struct slice bytes, uint64_t log_bytes, uint32_t *count);
MUST_CHECK enum err time_index_check(struct slice bytes, uint32_t *count);

/* The last entry at or below the target; false: none is. bytes holds whole entries, in order. */
bool offset_index_find(struct slice bytes, uint32_t relative_offset, struct offset_entry *entry);
bool time_index_find(struct slice bytes, int64_t timestamp_ms, struct time_entry *entry);

struct segment_index {
    struct heap *heap;
    int64_t base_offset;
    int64_t max_timestamp_ms;     /* -1: none. */
    int64_t max_timestamp_offset; /* Last offset of the batch that has it. */
    int64_t time_entry_last_ms;   /* -1: none. */
    uint64_t bytes_since_entry;
    uint32_t offset_count; /* Entries in the file, those that wait not counted. */
    uint32_t time_count;
    uint32_t offset_pending_count;
    uint32_t time_pending_count;
    uint32_t pending_capacity; /* Of each kind. */
    bool is_lent; /* The entries that wait are being written: they stay where they are. */
    uint8_t *offset_pending;
    uint8_t *time_pending;
};

void segment_index_init(struct segment_index *index, struct heap *heap, int64_t base_offset);
void segment_index_deinit(struct segment_index *index);

struct segment_index_batch {
    int64_t last_offset;
    int64_t max_timestamp_ms;
    uint32_t position;
    uint32_t size;
};

/* The batch goes into the segment. Without memory it gets no entry. */
void segment_index_add(struct segment_index *index, uint32_t interval_bytes,
                       struct segment_index_batch batch);

/* The segment takes no more batches: the last time entry, if it says something new. */
void segment_index_seal(struct segment_index *index);

/* Whether so many entries wait that they should be written now. */
bool segment_index_is_pending_full(const struct segment_index *index);

/* The bytes that wait. segment_index_lend keeps them valid while entries are added, until
 * segment_index_flushed says that so many are in the files, which forgets them; or none. */
struct slice segment_index_pending_offsets(const struct segment_index *index);
struct slice segment_index_pending_times(const struct segment_index *index);
void segment_index_lend(struct segment_index *index);
void segment_index_flushed(struct segment_index *index, uint32_t offset_count, uint32_t time_count);

/* Batches will not come soon: gives back the room for entries, if none waits. */
void segment_index_rest(struct segment_index *index);

#endif
