#include "server/keeper/record_pool.h"

#include "base/assert.h"

void record_pool_init(struct record_pool *pool, struct heap *heap)
{
    *pool = (struct record_pool){.heap = heap};
}

static void release(struct record_pool *pool, struct record_block *block)
{
    assert(block->users > 0);
    if (--block->users == 0)
        heap_give_reusable(pool->heap, block);
}

void record_pool_deinit(struct record_pool *pool)
{
    if (pool->filling == NULL)
        return;
    assert(pool->filling->users == 1);
    release(pool, pool->filling);
    pool->filling = NULL;
}

static struct record_block *make_block(struct record_pool *pool, size_t block_bytes)
{
    struct record_block *block = heap_take_reusable(pool->heap, block_bytes);
    if (block == NULL)
        return NULL;
    block->users = 1;
    block->used = 0;
    block->capacity = (uint32_t)(block_bytes - sizeof *block);
    return block;
}

/* False: the heap says no. */
static bool find_room(struct record_pool *pool, size_t size)
{
    struct record_block *block = pool->filling;
    if (block != NULL && block->users == 1)
        block->used = 0; /* All its records are gone. */
    if (block != NULL && size <= block->capacity - block->used)
        return true;
    struct record_block *fresh = make_block(pool, record_block_bytes);
    if (fresh == NULL)
        return false;
    if (block != NULL)
        release(pool, block);
    pool->filling = fresh;
    return true;
}

uint8_t *record_pool_take(struct record_pool *pool, size_t size, struct record_block **block)
{
    if (size > record_shared_bytes_max) {
        *block = make_block(pool, sizeof **block + size);
        return *block == NULL ? NULL : (*block)->bytes;
    }
    if (!find_room(pool, size))
        return NULL;
    *block = pool->filling;
    uint8_t *bytes = (*block)->bytes + (*block)->used;
    (*block)->used += (uint32_t)size;
    (*block)->users++;
    return bytes;
}

void record_pool_give(struct record_pool *pool, struct record_block *block)
{
    release(pool, block);
}
