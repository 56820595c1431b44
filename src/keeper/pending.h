/* What the tree will look like when every prepared transaction is applied: the znodes that they
 * change, laid over the tree.
 *
 * There is one entry for each changed path. It goes when the last transaction that changed it is
 * applied: entries hang in a list in the order of those zxids.
 *
 * The operations of a multi see each other, and fail together: changes can be taken back.
 *
 * Memory: a piece of the tree's slab for each entry, arena memory for taking back. Shard: one
 * owner.
 */
#ifndef KEEPER_PENDING_H
#define KEEPER_PENDING_H

#include "keeper/tree.h"

/* The part of a znode that decisions need. */
struct pending_state {
    bool exists;
    int32_t version;
    int32_t cversion;
    int32_t aversion;
    int32_t child_count;
    int64_t owner;
    uint32_t data_size;
    struct acl_entry *acl; /* NULL: it does not exist. */
};

struct pending_znode {
    struct hash_link by_path;
    struct list link;           /* In pending->znodes. */
    int64_t zxid;               /* Of the last transaction that changed it. */
    struct pending_state state; /* With a reference of its own to the access list. */
    size_t reserved_bytes;      /* What applying the changes may take from the heap. */
    uint32_t path_size;
    uint8_t path[]; /* [path_size] */
};

/* How an entry was before the transaction that is being prepared, with a reference of its own to
 * the access list. */
struct pending_undo {
    struct pending_undo *next;
    struct pending_znode *znode;
    struct pending_state state;
    int64_t zxid; /* 0: there was no entry. */
    size_t reserved_bytes;
};

struct pending {
    struct tree *tree;
    uint64_t hash_seed;
    struct hash_table by_path;
    struct list znodes;    /* By zxid. */
    size_t reserved_bytes; /* Of all entries. */
    int64_t zxid;          /* Of the transaction that is being prepared. */
    struct arena *arena;
    struct pending_undo *undo;
};

/* Keeps tree. ERR_NO_MEMORY. */
MUST_CHECK enum err pending_init(struct pending *pending, struct heap *heap, struct tree *tree,
                                 uint64_t hash_seed);

void pending_deinit(struct pending *pending);

/* Moves to another struct, with nothing pending. Keeps tree. */
void pending_move(struct pending *pending, struct pending *from, struct tree *tree);

/* Changes from here on belong to zxid. Keeps arena until pending_keep, which accepts the
 * changes, or pending_roll_back, which takes all of them back. */
void pending_begin(struct pending *pending, struct arena *arena, int64_t zxid);
void pending_keep(struct pending *pending);
void pending_roll_back(struct pending *pending);

/* The state of a path now; false: there is no znode. Lends state->acl. */
bool pending_look(const struct pending *pending, struct slice path, struct pending_state *state);

/* The entry of path, for changing its state, with the state that it has now; NULL: the heap or the
 * arena is full. */
struct pending_znode *pending_change(struct pending *pending, struct slice path);

/* Gives the entry another access list; NULL: none. Shares acl. */
void pending_set_acl(struct pending *pending, struct pending_znode *znode, struct acl_entry *acl);

/* Notes what applying the change may take. */
void pending_reserve(struct pending *pending, struct pending_znode *znode, size_t bytes);

/* Everything up to zxid is applied: forgets the entries that it explains. */
void pending_settle(struct pending *pending, int64_t zxid);

#endif
