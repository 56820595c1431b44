#include "base/heap.h"

#include <stdlib.h>

/* In front of each block. Sixteen bytes keep the block aligned for any type. */
struct block {
    size_t size;
    struct heap *heap;
};

/* In front of the block header when the heap is tracked. */
struct tracked_block {
    struct list link;
    struct block block;
};

_Static_assert(sizeof(struct block) == 16, "the block header must keep the alignment");
_Static_assert(sizeof(struct tracked_block) == 32, "the block header must keep the alignment");

void heap_init(struct heap *heap, struct heap_options options)
{
    *heap = (struct heap){.limit_bytes = options.limit_bytes, .tracked = options.tracked};
    list_init(&heap->blocks);
}

void heap_deinit(struct heap *heap)
{
    if (!heap->tracked)
        return;
    for (struct list *link = list_pop(&heap->blocks); link != NULL; link = list_pop(&heap->blocks))
        free(CONTAINER_OF(link, struct tracked_block, link));
    heap->used_bytes = 0;
    heap->block_count = 0;
}

static size_t header_size(const struct heap *heap)
{
    return heap->tracked ? sizeof(struct tracked_block) : sizeof(struct block);
}

void *heap_take(struct heap *heap, size_t size)
{
    const size_t header = header_size(heap);
    if (size > heap->limit_bytes || size + header > heap->limit_bytes - heap->used_bytes)
        return NULL;

    void *memory = malloc(size + header);
    if (memory == NULL)
        return NULL;
    struct block *block = memory;
    if (heap->tracked) {
        struct tracked_block *tracked = memory;
        list_push(&heap->blocks, &tracked->link);
        block = &tracked->block;
    }
    *block = (struct block){.size = size, .heap = heap};
    heap->used_bytes += size + header;
    heap->used_bytes_max = max_size(heap->used_bytes_max, heap->used_bytes);
    heap->block_count++;
    return block + 1;
}

void *heap_take_zeroed(struct heap *heap, size_t size)
{
    void *block = heap_take(heap, size);
    if (block != NULL)
        memset(block, 0, size);
    return block;
}

void *heap_resize(struct heap *heap, void *block, size_t size)
{
    void *bigger = heap_take(heap, size);
    if (bigger == NULL || block == NULL)
        return bigger;
    memcpy(bigger, block, min_size(size, heap_block_size(block)));
    heap_give(heap, block);
    return bigger;
}

void heap_give(struct heap *heap, void *memory)
{
    if (memory == NULL)
        return;
    struct block *block = (struct block *)memory - 1;
    assert(block->heap == heap);
    assert(heap->block_count > 0);
    heap->block_count--;
    heap->used_bytes -= block->size + header_size(heap);
    block->heap = NULL; /* Giving it back twice trips the assertion above. */
    if (!heap->tracked) {
        free(block);
        return;
    }
    struct tracked_block *tracked = CONTAINER_OF(block, struct tracked_block, block);
    list_remove(&tracked->link);
    free(tracked);
}

size_t heap_block_size(const void *memory)
{
    return ((const struct block *)memory - 1)->size;
}
