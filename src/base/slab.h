/* Memory for very many small things of mixed sizes, without a header on each: the giver says how
 * large the thing was.
 *
 * Sizes are rounded up to classes. A class takes chunks of 16 KiB and cuts them into cells; a chunk
 * without a used cell goes back to all classes. Chunks lie at multiples of their size, so a cell
 * finds its chunk by its address; they come from the heap in regions of 512 KiB, which are kept
 * until slab_deinit. Things above slab_cell_bytes_max are blocks of the heap.
 *
 *   region | gap | chunk | chunk | ..        chunk: head, cell, cell, ..
 *
 * Memory: regions and large blocks from the heap. Shard: one owner.
 */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include "base/heap.h"

enum {
    slab_chunk_bytes = 1 << 14,
    slab_region_bytes = 1 << 19,
    slab_cell_bytes_max = 1024,
    slab_fine_bytes_max = 512, /* Classes are 8 bytes apart up to here, then 64. */
    slab_class_count = slab_fine_bytes_max / 8 + (slab_cell_bytes_max - slab_fine_bytes_max) / 64,
    /* What the heap must have left beside the sizes themselves, so that taking cannot fail: a new
     * chunk for each class, and the region that the last one is cut from. */
    slab_reserve_bytes = slab_class_count * slab_chunk_bytes + 2 * slab_region_bytes,
};

struct slab {
    struct heap *heap;
    struct list regions;
    struct list free_chunks;
    struct list chunks[slab_class_count]; /* With a free cell. */
    size_t region_bytes;                  /* Of all regions. */
    size_t used_bytes;                    /* Of cells in use. */
};

void slab_init(struct slab *slab, struct heap *heap);

/* Everything must have been given back. */
void slab_deinit(struct slab *slab);

/* Not zeroed, aligned to 8 bytes; NULL: the heap's limit is reached. */
void *slab_take(struct slab *slab, size_t size);

/* Takes back what slab_take gave for this size; NULL is allowed. */
void slab_give(struct slab *slab, void *memory, size_t size);

/* What a thing of this size costs. */
size_t slab_bytes(size_t size);

#endif
