#include "base/arena.h"

#include "base/assert.h"

#include <stdalign.h>

void arena_init(struct arena *arena, void *memory, size_t capacity)
{
    assert(memory != NULL || capacity == 0);
    assert((uintptr_t)memory % alignof(max_align_t) == 0);
    *arena = (struct arena){.data = memory, .capacity = capacity};
}

void *arena_take(struct arena *arena, size_t size)
{
    const size_t start = (arena->used + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (start > arena->capacity || size > arena->capacity - start)
        return NULL;
    arena->used = start + size;
    arena->used_max = max_size(arena->used_max, arena->used);
    memset(arena->data + start, 0, size);
    return arena->data + start;
}

void *arena_take_array(struct arena *arena, size_t count, size_t item_size)
{
    size_t size;
    if (__builtin_mul_overflow(count, item_size, &size))
        return NULL;
    return arena_take(arena, size);
}

struct slice arena_copy(struct arena *arena, struct slice bytes)
{
    uint8_t *copy = arena_take(arena, bytes.size);
    if (copy == NULL)
        return SLICE_NULL;
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    return slice_of(copy, bytes.size);
}

void arena_reset(struct arena *arena)
{
    arena->used = 0;
}
