/* The blocks that come with every connection: those of quiet connections lie in a slab, without a
 * header each, larger ones are reusable blocks of the heap.
 *
 * A protocol may hold a receive buffer after its net is gone, so the pool lives until net has ended
 * it and all blocks have been given back.
 *
 * Memory: blocks from the heap. Shard: one owner.
 */
#ifndef NET_NET_POOL_H
#define NET_NET_POOL_H

#include "base/slab.h"

struct net_pool {
    struct heap *heap;
    struct slab slab;
    uint64_t block_count; /* Taken. */
    uint32_t busy_bytes;  /* Size of a busy connection's receive buffer. */
    bool is_ended;
};

/* NULL: the heap's limit is reached. */
struct net_pool *net_pool_make(struct heap *heap, uint32_t busy_bytes);

/* Takes pool. */
void net_pool_end(struct net_pool *pool);

/* NULL: the heap's limit is reached. */
void *net_pool_take(struct net_pool *pool, size_t size);

/* Takes back what net_pool_take gave for this size, or what heap_resize made of a large one. */
void net_pool_give(struct net_pool *pool, void *block, size_t size);

#endif
