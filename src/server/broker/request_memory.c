#include "server/broker/request_memory.h"

#include <stdalign.h>

enum { block_bytes_first = 64 * 1024 };

/* A block, behind its link. */
struct block {
    alignas(16) struct block *older;
};

void request_memory_init(struct request_memory *memory, struct request_memory_options options)
{
    *memory = (struct request_memory){.heap = options.heap, .bytes_max = options.bytes_max};
    arena_init(&memory->arena, options.first, options.first_bytes);
}

void request_memory_deinit(struct request_memory *memory)
{
    for (struct block *block = memory->block; block != NULL;) {
        struct block *older = block->older;
        heap_give(memory->heap, block);
        block = older;
    }
    memory->block = NULL;
}

bool request_memory_grow(struct request_memory *memory, size_t size)
{
    if (size > memory->bytes_max || memory->block_bytes > memory->bytes_max - size)
        return false;
    const size_t capacity = max_size(size, block_bytes_first);
    struct block *block = heap_take(memory->heap, sizeof *block + capacity);
    if (block == NULL)
        return false;
    block->older = memory->block;
    memory->block = block;
    memory->block_bytes += capacity;
    arena_init(&memory->arena, block + 1, capacity);
    return true;
}

void *request_memory_take(struct request_memory *memory, size_t size)
{
    void *taken = arena_take(&memory->arena, size);
    if (taken == NULL && request_memory_grow(memory, size))
        taken = arena_take(&memory->arena, size);
    return taken;
}
