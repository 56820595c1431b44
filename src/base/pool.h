/* A fixed number of equal things, taken and given back without allocation.
 *
 * Free members hang in a list through their own first bytes.
 *
 * Memory: one block from a heap at pool_init. Shard: one owner.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include "base/err.h"
#include "base/heap.h"

struct pool {
    uint8_t *memory;
    void *free;
    size_t item_size;
    uint32_t item_count;
    uint32_t used_count;
    uint32_t used_count_max;
};

struct pool_options {
    size_t item_size;
    uint32_t item_count;
};

/* ERR_NO_MEMORY: the heap's limit is too small. */
MUST_CHECK enum err pool_init(struct pool *pool, struct heap *heap, struct pool_options options);

void pool_deinit(struct pool *pool, struct heap *heap);

/* Zeroed; NULL when all are taken. */
void *pool_acquire(struct pool *pool);

/* Takes item, which came from this pool. */
void pool_release(struct pool *pool, void *item);

#endif
