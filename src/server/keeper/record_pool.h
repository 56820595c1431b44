/* Where the journal's records lie until they are applied: one right behind the other, so that the
 * journal writes a whole group of them with a few vectors.
 *
 *   block: [ record | record | record | room ]     users: the records, and the pool for the block
 *                                          ^ used   that it fills
 *
 * Memory: recycled blocks from a heap; a large record has a block of its own. Shard: one owner.
 */
#ifndef SERVER_KEEPER_RECORD_POOL_H
#define SERVER_KEEPER_RECORD_POOL_H

#include "base/heap.h"

struct record_block {
    uint32_t users;
    uint32_t used;
    uint32_t capacity;
    uint8_t bytes[];
};

enum {
    record_block_bytes = 64 * 1024, /* With its head. */
    record_shared_bytes_max = 16 * 1024,
};

struct record_pool {
    struct heap *heap;
    struct record_block *filling; /* NULL: none. */
};

/* Keeps heap. */
void record_pool_init(struct record_pool *pool, struct heap *heap);

/* Everything must have been given back. */
void record_pool_deinit(struct record_pool *pool);

/* Room for a record, in *block; NULL: the heap's limit is reached. Lends: until it is given back.
 */
uint8_t *record_pool_take(struct record_pool *pool, size_t size, struct record_block **block);

/* One record of the block is no longer needed. */
void record_pool_give(struct record_pool *pool, struct record_block *block);

#endif
