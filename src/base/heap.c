#include "base/heap.h"

#include <stdlib.h>

/* A kept block must not be touched: the address sanitizer watches all but its link. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(start, size)   ((void)(start), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(start, size) ((void)(start), (void)(size))
#endif

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

static void drop_kept(struct heap *heap);

void heap_deinit(struct heap *heap)
{
    drop_kept(heap);
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

static bool has_room(const struct heap *heap, size_t size)
{
    const size_t taken = heap->used_bytes + heap->kept_bytes;
    return size <= heap->limit_bytes && size + header_size(heap) <= heap->limit_bytes - taken;
}

void *heap_take(struct heap *heap, size_t size)
{
    const size_t header = header_size(heap);
    if (!has_room(heap, size))
        drop_kept(heap);
    if (!has_room(heap, size))
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
    heap->system_take_count++;
    return block + 1;
}

void *heap_take_zeroed(struct heap *heap, size_t size)
{
    void *block = heap_take(heap, size);
    if (block != NULL)
        memset(block, 0, size);
    return block;
}

/* The start of the process's block: of the header that is in front of memory. */
static void *whole_of(const struct heap *heap, void *memory)
{
    return (uint8_t *)memory - header_size(heap);
}

static struct list *link_of(void *whole)
{
    return &((struct tracked_block *)whole)->link;
}

void *heap_resize(struct heap *heap, void *memory, size_t size)
{
    if (memory == NULL)
        return heap_take(heap, size);
    const size_t old_size = heap_block_size(memory);
    assert(((struct block *)memory - 1)->heap == heap);
    if (size > old_size && !has_room(heap, size - old_size))
        drop_kept(heap);
    if (size > old_size && !has_room(heap, size - old_size))
        return NULL;

    void *whole = whole_of(heap, memory);
    if (heap->tracked)
        list_remove(link_of(whole));
    /* Large blocks grow by a change of the page tables, without a copy. */
    void *bigger = realloc(whole, size + header_size(heap));
    if (heap->tracked)
        list_push(&heap->blocks, link_of(bigger == NULL ? whole : bigger));
    if (bigger == NULL)
        return NULL;
    heap->used_bytes = heap->used_bytes - old_size + size;
    heap->used_bytes_max = max_size(heap->used_bytes_max, heap->used_bytes);
    heap->system_take_count++;
    memory = (uint8_t *)bigger + header_size(heap);
    ((struct block *)memory - 1)->size = size;
    return memory;
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

/* Reusable blocks. A kept one is not in use: it counts in kept_bytes only, and goes on carrying its
 * header. */

static uint32_t class_index(size_t size)
{
    if (size <= heap_reusable_bytes_min)
        return 0;
    /* One more than the number of doublings that stay below. */
    return (uint32_t)(__builtin_clzll(heap_reusable_bytes_min - 1) - __builtin_clzll(size - 1));
}

size_t heap_reusable_size(size_t size)
{
    return size > heap_reusable_bytes_max ? size
                                          : (size_t)heap_reusable_bytes_min << class_index(size);
}

static void *take_kept(struct heap *heap, struct heap_class *class, size_t size)
{
    void *block = class->free;
    const size_t whole = size + header_size(heap);
    memcpy(&class->free, block, sizeof class->free);
    ASAN_UNPOISON_MEMORY_REGION(block, size);
    class->kept_bytes -= whole;
    heap->kept_bytes -= whole;
    heap->used_bytes += whole;
    heap->used_bytes_max = max_size(heap->used_bytes_max, heap->used_bytes);
    heap->block_count++;
    return block;
}

void *heap_take_reusable(struct heap *heap, size_t size)
{
    if (size > heap_reusable_bytes_max)
        return heap_take(heap, size);
    const uint32_t index = class_index(size);
    const size_t rounded = (size_t)heap_reusable_bytes_min << index;
    struct heap_class *class = &heap->classes[index];
    return class->free == NULL ? heap_take(heap, rounded) : take_kept(heap, class, rounded);
}

void heap_give_reusable(struct heap *heap, void *block)
{
    if (block == NULL)
        return;
    const size_t size = heap_block_size(block);
    const size_t whole = size + header_size(heap);
    struct heap_class *class =
        size > heap_reusable_bytes_max ? NULL : &heap->classes[class_index(size)];
    if (class == NULL || class->kept_bytes + whole > heap_class_kept_bytes_max) {
        heap_give(heap, block);
        return;
    }
    assert(heap_reusable_size(size) == size);
    assert(((const struct block *)block - 1)->heap == heap);
    memcpy(block, &class->free, sizeof class->free);
    ASAN_POISON_MEMORY_REGION((uint8_t *)block + sizeof class->free, size - sizeof class->free);
    class->free = block;
    class->kept_bytes += whole;
    heap->kept_bytes += whole;
    heap->used_bytes -= whole;
    heap->block_count--;
}

static void drop_kept(struct heap *heap)
{
    for (uint32_t index = 0; index < heap_class_count; index++) {
        struct heap_class *class = &heap->classes[index];
        const size_t size = (size_t)heap_reusable_bytes_min << index;
        while (class->free != NULL)
            heap_give(heap, take_kept(heap, class, size));
    }
}

size_t heap_block_size(const void *memory)
{
    return ((const struct block *)memory - 1)->size;
}
