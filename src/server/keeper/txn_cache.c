#include "server/keeper/txn_cache.h"

#include "base/assert.h"

#include <string.h>

enum { capacity_first = 64 * 1024 };

enum err txn_cache_init(struct txn_cache *cache, struct heap *heap,
                        struct txn_cache_options options)
{
    assert(options.count_max > 0 && options.bytes_max > 0);
    *cache = (struct txn_cache){.heap = heap, .options = options};
    cache->places = heap_take(heap, options.count_max * sizeof *cache->places);
    if (cache->places != NULL)
        return ERR_OK;
    cache->heap = NULL;
    return ERR_NO_MEMORY;
}

void txn_cache_deinit(struct txn_cache *cache)
{
    if (cache->heap == NULL)
        return;
    heap_give(cache->heap, cache->places);
    heap_give(cache->heap, cache->bytes);
    *cache = (struct txn_cache){0};
}

void txn_cache_reset(struct txn_cache *cache, int64_t zxid)
{
    cache->first = 0;
    cache->count = 0;
    cache->zxid_before = zxid;
    cache->zxid_last = zxid;
}

static struct txn_cache_place *place_at(const struct txn_cache *cache, uint32_t index)
{
    assert(index < cache->count);
    const uint64_t at = (uint64_t)cache->first + index;
    return &cache->places[at % cache->options.count_max];
}

static void drop_oldest(struct txn_cache *cache)
{
    cache->zxid_before = place_at(cache, 0)->zxid;
    cache->first = (cache->first + 1) % cache->options.count_max;
    cache->count--;
}

/* Where so many bytes may lie; false: nowhere. */
static bool find_room(const struct txn_cache *cache, size_t size, size_t *offset)
{
    *offset = 0;
    if (cache->count == 0)
        return size <= cache->capacity;
    const struct txn_cache_place *oldest = place_at(cache, 0);
    const struct txn_cache_place *newest = place_at(cache, cache->count - 1);
    const size_t end = newest->offset + newest->size;
    const bool is_wrapped = newest->offset < oldest->offset;
    if (size <= (is_wrapped ? oldest->offset : cache->capacity) - end) {
        *offset = end;
        return true;
    }
    return !is_wrapped && size <= oldest->offset;
}

/* False: the ring is as large as it may be, or there is no memory. */
static bool grow(struct txn_cache *cache, size_t size)
{
    const size_t wanted = max_size(2 * cache->capacity, max_size(size, capacity_first));
    const size_t capacity = min_size(wanted, cache->options.bytes_max);
    if (capacity <= cache->capacity)
        return false;
    uint8_t *bytes = heap_take(cache->heap, capacity);
    if (bytes == NULL)
        return false;
    size_t used = 0;
    for (uint32_t i = 0; i < cache->count; i++) {
        struct txn_cache_place *place = place_at(cache, i);
        memcpy(bytes + used, cache->bytes + place->offset, place->size);
        place->offset = used;
        used += place->size;
    }
    heap_give(cache->heap, cache->bytes);
    cache->bytes = bytes;
    cache->capacity = capacity;
    return true;
}

void txn_cache_add(struct txn_cache *cache, int64_t zxid, struct slice bytes)
{
    if (cache->heap == NULL)
        return;
    assert(zxid > cache->zxid_last && bytes.size > 0);
    size_t offset;
    if (cache->count == cache->options.count_max)
        drop_oldest(cache);
    while (!find_room(cache, bytes.size, &offset)) {
        if (grow(cache, bytes.size))
            continue;
        if (cache->count == 0) { /* It is larger than all. */
            txn_cache_reset(cache, zxid);
            return;
        }
        drop_oldest(cache);
    }
    cache->count++;
    *place_at(cache, cache->count - 1) = (struct txn_cache_place){zxid, offset, bytes.size};
    memcpy(cache->bytes + offset, bytes.data, bytes.size);
    cache->zxid_last = zxid;
}

/* How many are at or below zxid. */
static uint32_t count_up_to(const struct txn_cache *cache, int64_t zxid)
{
    uint32_t low = 0;
    uint32_t high = cache->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (place_at(cache, middle)->zxid <= zxid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool txn_cache_next(const struct txn_cache *cache, int64_t zxid, struct txn_cache_entry *entry)
{
    const uint32_t index = count_up_to(cache, zxid);
    if (index == cache->count)
        return false;
    const struct txn_cache_place *place = place_at(cache, index);
    *entry =
        (struct txn_cache_entry){place->zxid, slice_of(cache->bytes + place->offset, place->size)};
    return true;
}

int64_t txn_cache_at(const struct txn_cache *cache, int64_t zxid)
{
    const uint32_t count = count_up_to(cache, zxid);
    return count == 0 ? 0 : place_at(cache, count - 1)->zxid;
}

int64_t txn_cache_zxid_first(const struct txn_cache *cache)
{
    return cache->count == 0 ? 0 : place_at(cache, 0)->zxid;
}
