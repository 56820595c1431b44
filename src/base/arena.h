/* A bump allocator over memory that somebody else owns: for what lives until a request or the
 * process ends.
 *
 * Memory: the caller's block. Shard: one owner.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/macros.h"
#include "base/slice.h"

struct arena {
    uint8_t *data;
    size_t capacity;
    size_t used;
    size_t used_max; /* The most that was ever used, for sizing. */
};

/* Keeps memory until the arena is no longer used. */
void arena_init(struct arena *arena, void *memory, size_t capacity);

/* Zeroed, aligned for any type; NULL when full. Lends: valid until arena_reset. */
void *arena_take(struct arena *arena, size_t size);

/* The same for count things of item_size; NULL also when the product overflows. */
void *arena_take_array(struct arena *arena, size_t count, size_t item_size);

/* A copy of the bytes; a null slice when full (an empty slice copies to a non-null one). */
struct slice arena_copy(struct arena *arena, struct slice bytes);

/* Forgets everything taken. */
void arena_reset(struct arena *arena);

#endif
