/* A hash table of cells of one slab: like base/hash_table.h, in half the memory.
 *
 * Members begin with a slab_link. Chains hang from a power-of-two array of refs that grows by
 * moving a few chains with every insertion, so no single insertion pays for all. While it grows,
 * two arrays live: members of the old one below `moved` have moved to the new one.
 *
 * Memory: the bucket arrays, from the heap of the slab. If the heap says no, the table goes on with
 * longer chains. Shard: one owner.
 */
#ifndef BASE_SLAB_TABLE_H
#define BASE_SLAB_TABLE_H

#include "base/err.h"
#include "base/slab.h"

struct slab_link {
    slab_ref next;
    uint32_t hash;
};

struct slab_table {
    const struct slab *slab;
    slab_ref *buckets;
    uint64_t bucket_count;
    slab_ref *old_buckets; /* NULL unless growing. */
    uint64_t old_bucket_count;
    uint64_t moved; /* Chains of old_buckets already moved. */
    uint64_t count;
};

/* Whether link is the member that key names. */
typedef bool slab_table_is(const struct slab_link *link, const void *key);

/* ERR_NO_MEMORY: not even the first small array. */
MUST_CHECK enum err slab_table_init(struct slab_table *table, const struct slab *slab);

/* Members are the caller's and stay. */
void slab_table_deinit(struct slab_table *table);

/* The member with this hash for which is(link, key) holds, or NULL. */
struct slab_link *slab_table_find(const struct slab_table *table, uint64_t hash, slab_table_is *is,
                                  const void *key);

/* Makes the array large enough for count members at once, so that it need not grow while they are
 * added; without the memory for it the table stays as it is. Takes time for each member it has. */
void slab_table_reserve(struct slab_table *table, uint64_t count);

/* Keeps link; its key must be new. */
void slab_table_add(struct slab_table *table, struct slab_link *link, uint64_t hash);

/* link must be in the table. */
void slab_table_remove(struct slab_table *table, struct slab_link *link);

/* Every member in bucket order: start with *position zero, ends with NULL. The table must not
 * change meanwhile. The order never reaches a wire or a disk. */
struct slab_link *slab_table_next(const struct slab_table *table, uint64_t *position,
                                  const struct slab_link *previous);

#endif
