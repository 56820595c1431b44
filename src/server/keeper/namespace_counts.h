/* A counter for each namespace, as Apache ZooKeeper calls the first part of a path: its names are
 * made of what clients write, so there are only so many.
 *
 * Memory: from the heap given to namespace_counts_init, a block for each. Shard: one owner.
 */
#ifndef SERVER_KEEPER_NAMESPACE_COUNTS_H
#define SERVER_KEEPER_NAMESPACE_COUNTS_H

#include "base/heap.h"

/* No metric tells of a longer one. */
enum { namespace_bytes_max = 1024 };

struct namespace_count {
    struct list link;
    uint64_t value;
    uint32_t name_bytes;
    uint8_t name[];
};

struct namespace_counts {
    struct heap *heap;
    struct list all; /* Of namespace_count, the last one counted first. */
    uint32_t count;
    uint32_t count_max;
};

/* "a" of "/a/b". Lends path. */
struct slice namespace_of(struct slice path);

/* Keeps heap. */
void namespace_counts_init(struct namespace_counts *counts, struct heap *heap, uint32_t count_max);
void namespace_counts_deinit(struct namespace_counts *counts);

/* One more of name. Beyond count_max, of a longer name than there may be, or when the heap says
 * no, it is not counted. */
void namespace_counts_add(struct namespace_counts *counts, struct slice name);

/* All become zero; the names stay, as in Apache's server. */
void namespace_counts_reset(struct namespace_counts *counts);

#endif
