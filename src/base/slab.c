#include "base/slab.h"

#include "base/assert.h"

/* The address sanitizer learns which cells nobody has, or it could not see a use after giving. */
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#if !defined(ASAN_POISON_MEMORY_REGION)
#define ASAN_POISON_MEMORY_REGION(memory, size)   ((void)(memory), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(memory, size) ((void)(memory), (void)(size))
#endif

/* At the start of each chunk. */
struct chunk {
    struct list link; /* In slab->chunks of its class, in slab->free_chunks, or in no list: full. */
    void *free;       /* Cells that were given back, each pointing to the next. */
    uint32_t class_index;
    uint32_t region_index;
    uint32_t used_count;
    uint32_t fresh_count; /* Cells behind these were never taken. */
};

/* At the start of each region. */
struct region {
    struct list link;
};

enum { chunk_head_bytes = (sizeof(struct chunk) + 15) / 16 * 16 };

static uint32_t class_of(size_t size)
{
    if (size <= slab_fine_bytes_max)
        return size == 0 ? 0 : (uint32_t)((size + 7) / 8 - 1);
    return slab_fine_bytes_max / 8 + (uint32_t)((size - slab_fine_bytes_max + 63) / 64 - 1);
}

static size_t cell_bytes(uint32_t class_index)
{
    const uint32_t fine_count = slab_fine_bytes_max / 8;
    if (class_index < fine_count)
        return ((size_t)class_index + 1) * 8;
    return slab_fine_bytes_max + ((size_t)class_index - fine_count + 1) * 64;
}

size_t slab_bytes(size_t size)
{
    /* A block of the heap has a header. */
    enum { block_header_bytes_max = 32 };
    return size > slab_cell_bytes_max ? size + block_header_bytes_max : cell_bytes(class_of(size));
}

static uint32_t cell_count(const struct chunk *chunk)
{
    return (uint32_t)((slab_chunk_bytes - chunk_head_bytes) / cell_bytes(chunk->class_index));
}

void slab_init(struct slab *slab, struct heap *heap)
{
    *slab = (struct slab){.heap = heap};
    list_init(&slab->regions);
    list_init(&slab->free_chunks);
    for (int index = 0; index < slab_class_count; index++)
        list_init(&slab->chunks[index]);
}

void slab_deinit(struct slab *slab)
{
    if (slab->heap == NULL)
        return;
    assert(slab->used_bytes == 0);
    for (struct list *link = list_pop(&slab->regions); link != NULL;
         link = list_pop(&slab->regions))
        heap_give(slab->heap, CONTAINER_OF(link, struct region, link));
    heap_give(slab->heap, slab->bases);
    *slab = (struct slab){0};
}

void slab_move(struct slab *slab, struct slab *from)
{
    *slab = *from;
    list_move(&slab->regions, &from->regions);
    list_move(&slab->free_chunks, &from->free_chunks);
    for (int index = 0; index < slab_class_count; index++)
        list_move(&slab->chunks[index], &from->chunks[index]);
    *from = (struct slab){0};
}

/* Room for the base of one more region; false: the heap says no, or there are as many as refs can
 * name. */
static bool make_room_for_base(struct slab *slab)
{
    if (slab->region_count < slab->region_capacity)
        return true;
    if (slab->region_count == slab_region_count_max)
        return false;
    const uint32_t capacity =
        slab->region_capacity == 0 ? slab_region_count_first : 2 * slab->region_capacity;
    uint8_t **bases = heap_resize(slab->heap, slab->bases, capacity * sizeof *bases);
    if (bases == NULL)
        return false;
    slab->bases = bases;
    slab->region_capacity = capacity;
    return true;
}

/* False: the heap says no. */
static bool add_region(struct slab *slab)
{
    struct region *region =
        make_room_for_base(slab) ? heap_take(slab->heap, slab_region_bytes) : NULL;
    if (region == NULL)
        return false;
    list_push(&slab->regions, &region->link);
    slab->region_bytes += slab_region_bytes;
    const uintptr_t first = (uintptr_t)(region + 1) + slab_chunk_bytes - 1;
    const uintptr_t end = (uintptr_t)region + slab_region_bytes;
    slab->fresh_chunks = (uint8_t *)(first - first % slab_chunk_bytes);
    slab->fresh_end = (uint8_t *)(end - end % slab_chunk_bytes);
    slab->bases[slab->region_count] = slab->fresh_chunks;
    slab->region_count++;
    return true;
}

/* A chunk that no class has; NULL: the heap says no. */
static struct chunk *take_free_chunk(struct slab *slab)
{
    struct list *link = list_pop(&slab->free_chunks);
    if (link != NULL)
        return CONTAINER_OF(link, struct chunk, link);
    if (slab->fresh_chunks == slab->fresh_end && !add_region(slab))
        return NULL;
    struct chunk *chunk = (struct chunk *)(void *)slab->fresh_chunks;
    slab->fresh_chunks += slab_chunk_bytes; /* What is never used is never touched. */
    chunk->region_index = slab->region_count - 1;
    return chunk;
}

/* A chunk of the class with a free cell; NULL: the heap says no. */
static struct chunk *find_chunk(struct slab *slab, uint32_t class_index)
{
    struct list *link = list_first(&slab->chunks[class_index]);
    if (link != NULL)
        return CONTAINER_OF(link, struct chunk, link);
    struct chunk *chunk = take_free_chunk(slab);
    if (chunk == NULL)
        return NULL;
    chunk->free = NULL;
    chunk->class_index = class_index;
    chunk->used_count = 0;
    chunk->fresh_count = 0;
    list_push_front(&slab->chunks[class_index], &chunk->link);
    return chunk;
}

static void *take_cell(struct chunk *chunk)
{
    void *cell = chunk->free;
    if (cell != NULL) {
        ASAN_UNPOISON_MEMORY_REGION(cell, cell_bytes(chunk->class_index));
        memcpy(&chunk->free, cell, sizeof chunk->free);
    } else {
        cell = (uint8_t *)chunk + chunk_head_bytes +
               chunk->fresh_count * cell_bytes(chunk->class_index);
        chunk->fresh_count++;
    }
    chunk->used_count++;
    return cell;
}

void *slab_take(struct slab *slab, size_t size)
{
    if (size > slab_cell_bytes_max)
        return heap_take(slab->heap, size);
    const uint32_t class_index = class_of(size);
    struct chunk *chunk = find_chunk(slab, class_index);
    if (chunk == NULL)
        return NULL;
    void *cell = take_cell(chunk);
    if (chunk->used_count == cell_count(chunk))
        list_remove(&chunk->link);
    slab->used_bytes += cell_bytes(class_index);
    return cell;
}

static struct chunk *chunk_of(const void *place)
{
    return (struct chunk *)((uintptr_t)place / slab_chunk_bytes * slab_chunk_bytes);
}

slab_ref slab_ref_of(const struct slab *slab, const void *place)
{
    const uint32_t region_index = chunk_of(place)->region_index;
    assert(region_index < slab->region_count);
    const size_t offset = (size_t)((const uint8_t *)place - slab->bases[region_index]);
    assert(offset < slab_region_bytes && offset % 8 == 0);
    return region_index << slab_ref_place_bits | (slab_ref)(offset / 8);
}

void slab_give(struct slab *slab, void *memory, size_t size)
{
    if (memory == NULL)
        return;
    if (size > slab_cell_bytes_max) {
        heap_give(slab->heap, memory);
        return;
    }
    uint8_t *cell = memory;
    struct chunk *chunk = chunk_of(cell);
    assert(chunk->class_index == class_of(size) && chunk->used_count > 0);
    if (chunk->used_count == cell_count(chunk))
        list_push(&slab->chunks[chunk->class_index], &chunk->link);
    memcpy(cell, &chunk->free, sizeof chunk->free);
    chunk->free = cell;
    ASAN_POISON_MEMORY_REGION(cell, cell_bytes(chunk->class_index));
    chunk->used_count--;
    slab->used_bytes -= cell_bytes(chunk->class_index);
    if (chunk->used_count > 0)
        return;
    ASAN_UNPOISON_MEMORY_REGION((uint8_t *)chunk + chunk_head_bytes,
                                slab_chunk_bytes - chunk_head_bytes);
    list_remove(&chunk->link);
    list_push_front(&slab->free_chunks, &chunk->link);
}
