#include "broker/segment_index.h"

#include "base/assert.h"
#include "base/bytes.h"

void offset_entry_encode(struct offset_entry entry, uint8_t out[offset_entry_bytes])
{
    store_u32(out, entry.relative_offset);
    store_u32(out + 4, entry.position);
}

struct offset_entry offset_entry_decode(const uint8_t in[offset_entry_bytes])
{
    return (struct offset_entry){.relative_offset = load_u32(in), .position = load_u32(in + 4)};
}

void time_entry_encode(struct time_entry entry, uint8_t out[time_entry_bytes])
{
    store_i64(out, entry.timestamp_ms);
    store_u32(out + 8, entry.relative_offset);
}

struct time_entry time_entry_decode(const uint8_t in[time_entry_bytes])
{
    return (struct time_entry){.timestamp_ms = load_i64(in), .relative_offset = load_u32(in + 8)};
}

/* Whole entries without the zeros that a file is extended with. */
static uint32_t count_entries(struct slice bytes, size_t entry_bytes)
{
    size_t count = bytes.size / entry_bytes;
    while (count > 0) {
        const uint8_t *entry = bytes.data + (count - 1) * entry_bytes;
        size_t zero_count = 0;
        while (zero_count < entry_bytes && entry[zero_count] == 0)
            zero_count++;
        if (zero_count < entry_bytes)
            break;
        count--;
    }
    return (uint32_t)count;
}

enum err offset_index_check(struct slice bytes, uint64_t log_bytes, uint32_t *count)
{
    struct offset_entry last = {0};
    *count = count_entries(bytes, offset_entry_bytes);
    for (uint32_t i = 0; i < *count; i++) {
        const struct offset_entry entry = offset_entry_decode(bytes.data + i * offset_entry_bytes);
        const bool grows = i == 0 || (entry.relative_offset > last.relative_offset &&
                                      entry.position > last.position);
        if (!grows || entry.relative_offset > INT32_MAX || entry.position >= log_bytes)
            return ERR_CORRUPT;
        last = entry;
    }
    return ERR_OK;
}

enum err time_index_check(struct slice bytes, uint32_t *count)
{
    struct time_entry last = {0};
    *count = count_entries(bytes, time_entry_bytes);
    for (uint32_t i = 0; i < *count; i++) {
        const struct time_entry entry = time_entry_decode(bytes.data + i * time_entry_bytes);
        const bool grows = i == 0 || (entry.timestamp_ms >= last.timestamp_ms &&
                                      entry.relative_offset >= last.relative_offset);
        if (!grows || entry.relative_offset > INT32_MAX)
            return ERR_CORRUPT;
        last = entry;
    }
    return ERR_OK;
}

bool offset_index_find(struct slice bytes, uint32_t relative_offset, struct offset_entry *entry)
{
    size_t low = 0; /* Entries below low are at or below the target, from high on above it. */
    size_t high = bytes.size / offset_entry_bytes;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (load_u32(bytes.data + middle * offset_entry_bytes) <= relative_offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return false;
    *entry = offset_entry_decode(bytes.data + (low - 1) * offset_entry_bytes);
    return true;
}

bool time_index_find(struct slice bytes, int64_t timestamp_ms, struct time_entry *entry)
{
    size_t low = 0;
    size_t high = bytes.size / time_entry_bytes;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (load_i64(bytes.data + middle * time_entry_bytes) <= timestamp_ms)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return false;
    *entry = time_entry_decode(bytes.data + (low - 1) * time_entry_bytes);
    return true;
}

void segment_index_init(struct segment_index *index, struct heap *heap, int64_t base_offset)
{
    *index = (struct segment_index){
        .heap = heap,
        .base_offset = base_offset,
        .max_timestamp_ms = -1,
        .max_timestamp_offset = base_offset,
        .time_entry_last_ms = -1,
    };
}

static void give_pending(struct segment_index *index)
{
    heap_give(index->heap, index->offset_pending);
    heap_give(index->heap, index->time_pending);
    index->offset_pending = NULL;
    index->time_pending = NULL;
    index->pending_capacity = 0;
}

void segment_index_deinit(struct segment_index *index)
{
    give_pending(index);
    index->offset_pending_count = 0;
    index->time_pending_count = 0;
}

/* Without memory all stays as it is. */
static void grow(struct segment_index *index, uint32_t capacity)
{
    uint8_t *offsets =
        heap_resize(index->heap, index->offset_pending, (size_t)capacity * offset_entry_bytes);
    if (offsets == NULL)
        return;
    index->offset_pending = offsets;
    uint8_t *times =
        heap_resize(index->heap, index->time_pending, (size_t)capacity * time_entry_bytes);
    if (times == NULL)
        return;
    index->time_pending = times;
    index->pending_capacity = capacity;
}

/* Room for one more entry of each kind, or false. */
static bool make_room(struct segment_index *index)
{
    const uint32_t count = index->offset_pending_count > index->time_pending_count
                               ? index->offset_pending_count
                               : index->time_pending_count;
    if (count == index->pending_capacity && count < segment_index_pending_max && !index->is_lent)
        grow(index, count == 0 ? segment_index_pending_first : count * 2);
    return count < index->pending_capacity;
}

static void add_time_entry(struct segment_index *index)
{
    if (index->max_timestamp_ms <= index->time_entry_last_ms)
        return;
    const struct time_entry entry = {
        .timestamp_ms = index->max_timestamp_ms,
        .relative_offset = (uint32_t)(index->max_timestamp_offset - index->base_offset),
    };
    time_entry_encode(entry, index->time_pending + index->time_pending_count++ * time_entry_bytes);
    index->time_entry_last_ms = entry.timestamp_ms;
}

void segment_index_add(struct segment_index *index, uint32_t interval_bytes,
                       struct segment_index_batch batch)
{
    assert(batch.last_offset - index->base_offset >= 0);
    assert(batch.last_offset - index->base_offset <= INT32_MAX);
    if (batch.max_timestamp_ms > index->max_timestamp_ms) {
        index->max_timestamp_ms = batch.max_timestamp_ms;
        index->max_timestamp_offset = batch.last_offset;
    }
    if (index->bytes_since_entry > interval_bytes && make_room(index)) {
        const struct offset_entry entry = {
            .relative_offset = (uint32_t)(batch.last_offset - index->base_offset),
            .position = batch.position,
        };
        offset_entry_encode(entry, index->offset_pending +
                                       index->offset_pending_count++ * offset_entry_bytes);
        add_time_entry(index);
        index->bytes_since_entry = 0;
    }
    index->bytes_since_entry += batch.size;
}

void segment_index_seal(struct segment_index *index)
{
    if (index->max_timestamp_ms > index->time_entry_last_ms && make_room(index))
        add_time_entry(index);
}

bool segment_index_is_pending_full(const struct segment_index *index)
{
    return index->offset_pending_count >= segment_index_pending_max / 2;
}

struct slice segment_index_pending_offsets(const struct segment_index *index)
{
    return slice_of(index->offset_pending,
                    (size_t)index->offset_pending_count * offset_entry_bytes);
}

struct slice segment_index_pending_times(const struct segment_index *index)
{
    return slice_of(index->time_pending, (size_t)index->time_pending_count * time_entry_bytes);
}

static void forget_front(uint8_t *bytes, uint32_t *pending_count, uint32_t count,
                         size_t entry_bytes)
{
    assert(count <= *pending_count);
    *pending_count -= count;
    if (*pending_count > 0 && count > 0)
        memmove(bytes, bytes + count * entry_bytes, *pending_count * entry_bytes);
}

void segment_index_lend(struct segment_index *index)
{
    assert(!index->is_lent);
    if (index->offset_pending_count > 0 && index->pending_capacity < segment_index_pending_max)
        grow(index, segment_index_pending_max); /* For what comes meanwhile. */
    index->is_lent = true;
}

void segment_index_flushed(struct segment_index *index, uint32_t offset_count, uint32_t time_count)
{
    index->is_lent = false;
    forget_front(index->offset_pending, &index->offset_pending_count, offset_count,
                 offset_entry_bytes);
    forget_front(index->time_pending, &index->time_pending_count, time_count, time_entry_bytes);
    index->offset_count += offset_count;
    index->time_count += time_count;
}

void segment_index_rest(struct segment_index *index)
{
    if (index->offset_pending_count == 0 && index->time_pending_count == 0 && !index->is_lent)
        give_pending(index);
}
