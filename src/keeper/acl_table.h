/* Every access list that is in use, once: znodes refer to entries, and lists are many fewer than
 * znodes.
 *
 * An entry goes when its last reference goes. Its id is what snapshots name it by; the list that
 * grants everything to everybody is built in and has id -1.
 *
 * Memory: a piece of the slab for each entry, a block from the heap for its list. Shard: one owner.
 */
#ifndef KEEPER_ACL_TABLE_H
#define KEEPER_ACL_TABLE_H

#include "base/hash_table.h"
#include "base/slab.h"
#include "keeper/acl.h"

enum { acl_open_id = -1 };

struct acl_entry {
    struct hash_link by_list;
    struct hash_link by_id;
    int64_t id;
    uint64_t reference_count;
    struct acl_list list; /* One block: items, then schemes and ids. */
};

struct acl_table {
    struct slab *slab;
    uint64_t hash_seed;
    struct hash_table by_list;
    struct hash_table by_id;
    int64_t id_last; /* Ids only grow. */
    struct acl_entry *open;
};

/* Keeps slab and its heap. ERR_NO_MEMORY. */
MUST_CHECK enum err acl_table_init(struct acl_table *table, struct slab *slab, uint64_t hash_seed);

/* All references must be gone. */
void acl_table_deinit(struct acl_table *table);

/* The entry of the list, with one reference more; NULL: the heap says no. */
struct acl_entry *acl_table_acquire(struct acl_table *table, struct acl_list list);

/* One reference more to an entry that has one. */
struct acl_entry *acl_table_share(struct acl_entry *entry);

/* One reference less; NULL is allowed. */
void acl_table_release(struct acl_table *table, struct acl_entry *entry);

/* The entry that a snapshot names, with one reference more; NULL: there is none. */
struct acl_entry *acl_table_acquire_id(struct acl_table *table, int64_t id);

/* A list of a snapshot, without a reference yet. ERR_NO_MEMORY. A known id keeps its list. */
MUST_CHECK enum err acl_table_load(struct acl_table *table, int64_t id, struct acl_list list);

/* After loading: forgets the lists that no znode refers to. */
void acl_table_purge(struct acl_table *table);

/* Any order: start with *position zero and previous NULL; NULL at the end. Skips the open list. */
struct acl_entry *acl_table_next(const struct acl_table *table, uint64_t *position,
                                 struct acl_entry *previous);

/* What slab and heap pay for a list. */
size_t acl_table_bytes(struct acl_list list);

#endif
