/* The memory of one request: a first piece that is there anyway, then blocks from a heap, up to a
 * limit.
 *
 * Memory: that. Shard: one owner.
 */
#ifndef SERVER_BROKER_REQUEST_MEMORY_H
#define SERVER_BROKER_REQUEST_MEMORY_H

#include "base/arena.h"
#include "base/heap.h"

struct request_memory {
    struct heap *heap;
    size_t bytes_max; /* Of all blocks. */
    void *block;      /* The newest. */
    size_t block_bytes;
    struct arena arena;
};

/* Keeps heap and first until request_memory_deinit. */
struct request_memory_options {
    struct heap *heap;
    size_t bytes_max;
    void *first;
    size_t first_bytes;
};
void request_memory_init(struct request_memory *memory, struct request_memory_options options);

/* Gives all blocks back. */
void request_memory_deinit(struct request_memory *memory);

/* Zeroed, aligned for any type; NULL: the limit is reached, or the heap's. */
void *request_memory_take(struct request_memory *memory, size_t size);

/* The arena goes on in a block with room for size. False: as above. */
MUST_CHECK bool request_memory_grow(struct request_memory *memory, size_t size);

#endif
