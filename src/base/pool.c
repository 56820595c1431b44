#include "base/pool.h"

#include <stdalign.h>

enum err pool_init(struct pool *pool, struct heap *heap, struct pool_options options)
{
    const size_t alignment = alignof(max_align_t);
    const size_t item_size =
        (max_size(options.item_size, sizeof(void *)) + alignment - 1) & ~(alignment - 1);
    *pool = (struct pool){.item_size = item_size, .item_count = options.item_count};
    pool->memory = heap_take(heap, item_size * options.item_count);
    if (pool->memory == NULL)
        return ERR_NO_MEMORY;
    for (uint32_t index = options.item_count; index-- > 0;) {
        void *item = pool->memory + index * item_size;
        memcpy(item, &pool->free, sizeof pool->free);
        pool->free = item;
    }
    return ERR_OK;
}

void pool_deinit(struct pool *pool, struct heap *heap)
{
    heap_give(heap, pool->memory);
    *pool = (struct pool){0};
}

void *pool_acquire(struct pool *pool)
{
    void *item = pool->free;
    if (item == NULL)
        return NULL;
    memcpy(&pool->free, item, sizeof pool->free);
    memset(item, 0, pool->item_size);
    pool->used_count++;
    if (pool->used_count > pool->used_count_max)
        pool->used_count_max = pool->used_count;
    return item;
}

void pool_release(struct pool *pool, void *item)
{
    uint8_t *bytes = item;
    assert(pool->used_count > 0);
    assert(bytes >= pool->memory && bytes < pool->memory + pool->item_size * pool->item_count);
    assert((size_t)(bytes - pool->memory) % pool->item_size == 0);
    memcpy(item, &pool->free, sizeof pool->free);
    pool->free = item;
    pool->used_count--;
}
