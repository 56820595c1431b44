#include "net/net_pool.h"

#include "net/net_receiver.h"

struct net_pool *net_pool_make(struct heap *heap, uint32_t busy_bytes)
{
    struct net_pool *pool = heap_take(heap, sizeof *pool);
    if (pool == NULL)
        return NULL;
    const size_t size = max_size(heap_reusable_size(busy_bytes), net_receiver_quiet_bytes);
    *pool = (struct net_pool){.heap = heap, .busy_bytes = (uint32_t)size};
    slab_init(&pool->slab, heap);
    return pool;
}

static void free_if_unused(struct net_pool *pool)
{
    if (!pool->is_ended || pool->block_count > 0)
        return;
    slab_deinit(&pool->slab);
    heap_give(pool->heap, pool);
}

void net_pool_end(struct net_pool *pool)
{
    pool->is_ended = true;
    free_if_unused(pool);
}

void *net_pool_take(struct net_pool *pool, size_t size)
{
    void *block = size > slab_cell_bytes_max ? heap_take_reusable(pool->heap, size)
                                             : slab_take(&pool->slab, size);
    pool->block_count += block != NULL;
    return block;
}

void net_pool_give(struct net_pool *pool, void *block, size_t size)
{
    assert(pool->block_count > 0);
    if (size > slab_cell_bytes_max)
        heap_give_reusable(pool->heap, block);
    else
        slab_give(&pool->slab, block, size);
    pool->block_count--;
    free_if_unused(pool);
}
