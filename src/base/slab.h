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
 * Things that point to each other may do so in 32 bits: a slab_ref names a cell by its region and
 * its place there.
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
    slab_region_count_first = 16,
    slab_region_count_max = 1 << 16,
    slab_ref_place_bits = 16, /* A region has so many pieces of 8 bytes. */
};

#define SLAB_REGION_BYTES_MAX ((size_t)slab_region_count_max * slab_region_bytes)

/* A cell; 0: none. */
typedef uint32_t slab_ref;

struct slab {
    struct heap *heap;
    struct list regions;
    struct list free_chunks;
    uint8_t *fresh_chunks; /* Of the last region, those that were never used: up to its end. */
    uint8_t *fresh_end;
    struct list chunks[slab_class_count]; /* With a free cell. */
    uint8_t **bases;                      /* Of each region: its first chunk. */
    uint32_t region_count;
    uint32_t region_capacity;
    size_t region_bytes; /* Of all regions; no more than SLAB_REGION_BYTES_MAX. */
    size_t used_bytes;   /* Of cells in use. */
};

void slab_init(struct slab *slab, struct heap *heap);

/* Everything must have been given back. */
void slab_deinit(struct slab *slab);

/* Moves everything to another struct; what was taken stays where it is, and from is as if it had
 * never been initialised. */
void slab_move(struct slab *slab, struct slab *from);

/* Not zeroed, aligned to 8 bytes; NULL: the heap's limit is reached, or the slab's. */
void *slab_take(struct slab *slab, size_t size);

/* Takes back what slab_take gave for this size; NULL is allowed. */
void slab_give(struct slab *slab, void *memory, size_t size);

/* The name of a place in a cell, a multiple of 8 bytes from its start. Blocks of the heap have
 * none. */
slab_ref slab_ref_of(const struct slab *slab, const void *place);

/* What ref, which is not 0, names. */
static inline void *slab_at(const struct slab *slab, slab_ref ref)
{
    const size_t place = ref & ((1 << slab_ref_place_bits) - 1);
    return slab->bases[ref >> slab_ref_place_bits] + place * 8;
}

/* What a thing of this size costs. */
size_t slab_bytes(size_t size);

#endif
