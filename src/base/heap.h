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

struct heap {
    size_t limit_bytes;
    size_t used_bytes; /* What was asked for, plus the header of each block. */
    size_t used_bytes_max;
    uint64_t block_count;
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

/* A new block with the old one's bytes, or NULL with the old one untouched. block may be NULL. */
void *heap_resize(struct heap *heap, void *block, size_t size);

/* Takes block; NULL is allowed. */
void heap_give(struct heap *heap, void *block);

/* The size that was asked for. */
size_t heap_block_size(const void *block);

#endif
