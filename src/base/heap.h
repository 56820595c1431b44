/* A counted heap: memory of varying size and life, under a limit that can say no.
 *
 * For the long-lived variable things only (znodes, groups, large frames); hot paths use pools and
 * arenas. Every block is linked to its heap, so that heap_deinit gives all back at once: a
 * simulated server that dies leaves nothing behind.
 *
 * Memory: the process's, up to limit_bytes. Shard: one owner.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include "base/list.h"
#include "base/slice.h"

#include <stdint.h>

/* Reusable blocks come in powers of two from reusable_bytes_min to reusable_bytes_max. */
enum {
    heap_class_count = 11,
    heap_reusable_bytes_min = 64,
    heap_reusable_bytes_max = 64 * 1024,
    heap_class_kept_bytes_max = 512 * 1024, /* Free blocks kept, of each class. */
};

struct heap_class {
    void *free; /* Linked through their own first bytes. */
    size_t kept_bytes;
};

struct heap {
    size_t limit_bytes;
    size_t used_bytes; /* What was asked for, plus the header of each block. */
    size_t used_bytes_max;
    size_t kept_bytes; /* In free reusable blocks; they count against the limit too. */
    uint64_t block_count;
    uint64_t system_take_count; /* Blocks ever taken from the process; a hot path adds none. */
    struct heap_class classes[heap_class_count];
    bool tracked; /* Blocks are linked, so that heap_deinit frees them. */
    struct list blocks;
};

/* A tracked heap costs 16 bytes more for each block; the simulator and the tests use one. */
struct heap_options {
    size_t limit_bytes;
    bool tracked;
};

void heap_init(struct heap *heap, struct heap_options options);

/* Gives back all blocks of a tracked heap; an untracked one must be empty or the process at its
 * end. */
void heap_deinit(struct heap *heap);

/* Not zeroed, aligned for any type; NULL: the limit is reached. The caller gives it back with
 * heap_give. */
void *heap_take(struct heap *heap, size_t size);

/* Zeroed. */
void *heap_take_zeroed(struct heap *heap, size_t size);

/* A block of the new size with the old one's bytes, in its place or in another one; NULL: the limit
 * is reached, and the old one stays. block may be NULL. */
void *heap_resize(struct heap *heap, void *block, size_t size);

/* Takes block; NULL is allowed. */
void heap_give(struct heap *heap, void *block);

/* The same for what comes and goes with every request: the size is rounded up to its class, and a
 * block that is given back stays here for the next taker. Sizes above heap_reusable_bytes_max work
 * too, without the staying. */
void *heap_take_reusable(struct heap *heap, size_t size);

/* Takes block, which came from heap_take_reusable; NULL is allowed. */
void heap_give_reusable(struct heap *heap, void *block);

/* What heap_take_reusable rounds size up to. */
size_t heap_reusable_size(size_t size);

/* The size that was asked for. */
size_t heap_block_size(const void *block);

#endif
