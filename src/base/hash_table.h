/* An intrusive hash table: the links are fields of the members, the caller compares keys.
 *
 * Chains hang from a power-of-two array that grows by moving a few chains with every insertion, so
 * no single insertion pays for all. While it grows, two arrays live: members of the old one below
 * `moved` have moved to the new one.
 *
 * Memory: the bucket arrays, from the heap given to hash_table_init. If the heap says no, the table
 * goes on with longer chains. Shard: one owner.
 */
#ifndef BASE_HASH_TABLE_H
#define BASE_HASH_TABLE_H

#include "base/err.h"
#include "base/heap.h"

struct hash_link {
    struct hash_link *next;
    uint64_t hash;
};

struct hash_table {
    struct heap *heap;
    struct hash_link **buckets;
    uint64_t bucket_count;
    struct hash_link **old_buckets; /* NULL unless growing. */
    uint64_t old_bucket_count;
    uint64_t moved; /* Chains of old_buckets already moved. */
    uint64_t count;
};

/* Whether link is the member that key names. */
typedef bool hash_table_is(const struct hash_link *link, const void *key);

/* ERR_NO_MEMORY: not even the first small array. */
MUST_CHECK enum err hash_table_init(struct hash_table *table, struct heap *heap);

/* Members are the caller's and stay. */
void hash_table_deinit(struct hash_table *table);

/* The member with this hash for which is(link, key) holds, or NULL. */
struct hash_link *hash_table_find(const struct hash_table *table, uint64_t hash, hash_table_is *is,
                                  const void *key);

/* Makes the array large enough for count members at once, so that it need not grow while they are
 * added; without the memory for it the table stays as it is. Takes time for each member it has. */
void hash_table_reserve(struct hash_table *table, uint64_t count);

/* Keeps link; its key must be new. */
void hash_table_add(struct hash_table *table, struct hash_link *link, uint64_t hash);

/* link must be in the table. */
void hash_table_remove(struct hash_table *table, struct hash_link *link);

/* Every member in bucket order: start with *position zero, ends with NULL. The table must not
 * change meanwhile. The order never reaches a wire or a disk. */
struct hash_link *hash_table_next(const struct hash_table *table, uint64_t *position,
                                  struct hash_link *previous);

/* A keyed hash of bytes (seed: from the io's entropy, so that nobody can aim at one chain). */
uint64_t hash_bytes(struct slice bytes, uint64_t seed);

uint64_t hash_u64(uint64_t value, uint64_t seed);

#endif
