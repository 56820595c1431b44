/* The znodes: a tree in memory, found by full path in one hash table.
 *
 * A znode stores its last component and points to its parent, so a lookup hashes the path once and
 * compares components upwards. Siblings form a ring in order of creation; the parent points to the
 * oldest. Znodes with an owner (a session, or the marks of containers and TTL znodes) hang in the
 * list of that owner.
 *
 * There are millions of them, so they point to each other by slab_ref, and what most of them lack
 * is not in them: owners, and all that comes with children (struct znode_more).
 *
 * A cursor walks parents before children while the tree changes under it: what exists from the
 * walk's start to its end is seen exactly once, in a state between both.
 *
 * Memory: pieces of the slab for each znode, its data and what else it has, and for each owner;
 * buckets, access lists and what is too large for the slab from the heap.
 * Shard: one owner.
 */
#ifndef KEEPER_TREE_H
#define KEEPER_TREE_H

#include "base/slab_table.h"
#include "keeper/acl_table.h"
#include "wire/gen/zk.h"

struct znode {
    struct slab_link by_path;
    slab_ref next_sibling; /* A ring without a head. */
    slab_ref previous_sibling;
    slab_ref parent; /* 0: the root. */
    slab_ref more;   /* A znode_more, or 0. */
    slab_ref acl;    /* An acl_entry. */
    slab_ref data;   /* Its size and bytes, or 0: nothing or null, as is_data_null says. */
    int64_t czxid;
    int64_t mzxid;
    int32_t version;
    uint32_t digest;
    uint64_t ctime : 48; /* Times in ms, signed: good for some 4400 years around 1970. */
    uint32_t name_size : 8;
    bool is_data_null : 1; /* The protocol's null. */
    bool is_owned : 1;
    uint64_t mtime : 48;
    uint8_t name[]; /* A long one is a block of the heap, and this its address. */
};

/* What a znode has once it had a child or another access list. */
struct znode_more {
    int64_t pzxid;
    slab_ref first_child;
    int32_t child_count;
    int32_t cversion; /* Creates of children only; clients see 2 * cversion - child_count. */
    int32_t aversion;
};

enum tree_owner_kind {
    TREE_OWNER_NONE,
    TREE_OWNER_SESSION,
    TREE_OWNER_CONTAINER,
    TREE_OWNER_TTL,
};

/* The znodes of one session; also the containers, and the TTL znodes. */
struct tree_owner {
    struct hash_link by_id;
    int64_t id;
    struct list znodes;
    uint64_t znode_count;
};

struct tree_cursor {
    struct list link; /* In tree->cursors. */
    const struct tree *tree;
    struct znode *next;
};

struct tree {
    struct heap *heap;
    struct slab *slab; /* Of znodes, data and owners. */
    uint64_t hash_seed;
    struct slab_table by_path;
    struct hash_table owners;
    struct tree_owner containers;
    struct tree_owner ttl_znodes;
    struct acl_table acls;
    struct znode *root;
    struct list cursors;
    uint64_t ephemeral_count;
    uint64_t digest;     /* As Apache's servers compute it, version 2. */
    uint64_t data_bytes; /* Of all paths and data. */
    bool extended_types_enabled;
    bool emulates_353_ttl;
};

struct tree_options {
    uint64_t hash_seed;
    bool extended_types_enabled; /* Owners may be marks of TTL znodes. */
    bool emulates_353_ttl;       /* Then every owner below 0 is one, but that of containers. */
};

/* Keeps heap and slab. ERR_NO_MEMORY. The root and the built-in znodes exist afterwards. */
MUST_CHECK enum err tree_init(struct tree *tree, struct heap *heap, struct slab *slab,
                              struct tree_options options);

/* Gives everything back; cursors must be closed. */
void tree_deinit(struct tree *tree);

/* Moves everything to another struct, whose slab is that of from, moved; cursors must be closed.
 * Keeps slab. */
void tree_move(struct tree *tree, struct tree *from, struct slab *slab);

/* Lends: until it is deleted. NULL: there is none. Any bytes may be asked for. */
struct znode *tree_find(const struct tree *tree, struct slice path);

/* What a znode starts with. */
struct tree_create_options {
    struct slice path; /* Valid; its parent exists, it does not. */
    struct slice data;
    struct acl_entry *acl; /* Takes one reference. */
    int64_t owner;
    int64_t zxid;
    int64_t time_ms;
    const struct zk_stat_persisted *stat; /* Not NULL: instead of owner, zxid and time_ms. */
};

/* Adds a znode under parent, whose stat fields the caller changes. NULL: the heap says no, and the
 * reference of acl is still the caller's. */
struct znode *tree_create(struct tree *tree, struct znode *parent,
                          const struct tree_create_options *options);

/* znode has no children and is not the root. */
void tree_delete(struct tree *tree, struct znode *znode);

/* With all its descendants; it is not the root. Only a replay over a fuzzy snapshot needs it: what
 * is below was created later, and will be again. */
void tree_delete_subtree(struct tree *tree, struct znode *znode);

/* ERR_NO_MEMORY: data is as it was. */
MUST_CHECK enum err tree_set_data(struct tree *tree, struct znode *znode, struct slice data);

/* Takes one reference of acl. */
void tree_set_acl(struct tree *tree, struct znode *znode, struct acl_entry *acl);

/* Takes the fields from a snapshot, but for the owner, which is the znode's for life.
 * ERR_NO_MEMORY. */
MUST_CHECK enum err tree_set_stat(struct tree *tree, struct znode *znode,
                                  const struct zk_stat_persisted *stat);

/* The znode's own, to be changed. NULL: it had none, and the heap says no. */
struct znode_more *tree_take_more(struct tree *tree, struct znode *znode);

/* To be called after any change of a znode's data or stat fields: brings the digest up to date.
 * path: its own. */
void tree_changed(struct tree *tree, struct znode *znode, struct slice path);

/* What clients see. */
void tree_stat(const struct tree *tree, const struct znode *znode, struct zk_stat *stat);

/* Lends, all of them: until the znode changes. */
struct slice tree_data(const struct tree *tree, const struct znode *znode);
struct slice tree_name(const struct znode *znode);
struct acl_entry *tree_acl(const struct tree *tree, const struct znode *znode);

/* What a znode without one would have if it is without one. */
struct znode_more tree_more(const struct tree *tree, const struct znode *znode);

int64_t tree_ctime(const struct znode *znode);
int64_t tree_mtime(const struct znode *znode);

/* A time that does not fit, which no clock tells, becomes the nearest that does. */
void tree_set_mtime(struct znode *znode, int64_t time_ms);

/* A session id, a mark of tree_owner_kind, or 0. */
int64_t tree_owner_id(const struct znode *znode);

/* The length of the full path, and the path itself written at out. */
size_t tree_path_bytes(const struct tree *tree, const struct znode *znode);
struct slice tree_path_write(const struct tree *tree, const struct znode *znode, uint8_t *out);

/* Children in order of creation: first, then next until NULL. */
struct znode *tree_first_child(const struct tree *tree, const struct znode *znode);
struct znode *tree_next_sibling(const struct tree *tree, const struct znode *znode);

/* The next one, parents first, of top and its descendants; NULL at the end. */
struct znode *tree_next_below(const struct tree *tree, const struct znode *znode,
                              const struct znode *top);

/* All descendants, without itself. */
uint64_t tree_descendant_count(const struct tree *tree, const struct znode *znode);

enum tree_owner_kind tree_owner_kind_of(const struct tree *tree, int64_t owner);

/* New marks are in the layout of 3.5.4 always; the time of a mark is its low 40 bits, of 3.5.3's
 * also, as in Apache's server. */
int64_t tree_ttl_owner(int64_t ttl_ms);
int64_t tree_ttl_ms(int64_t owner);

/* The znodes of a session or NULL; walk owner->znodes with tree_owned. */
struct tree_owner *tree_find_owner(const struct tree *tree, int64_t session_id);
struct znode *tree_owned(struct list *link);

/* --- cursors --- */

/* At the root. Keeps cursor until it is closed. */
void tree_cursor_open(struct tree *tree, struct tree_cursor *cursor);
void tree_cursor_close(struct tree_cursor *cursor);

/* The next znode, or NULL at the end. Lends: until the tree changes. */
struct znode *tree_cursor_next(struct tree_cursor *cursor);

/* What a znode costs at most, with what its parent needs for a first child. */
size_t tree_znode_bytes(size_t name_size, size_t data_size);

/* What data of that size costs. */
size_t tree_data_bytes(size_t data_size);

enum {
    tree_path_bytes_max = 1 << 24, /* No frame holds a longer one. */
    tree_stat_disk_bytes = 60,
};

#define TREE_OWNER_CONTAINER_MARK INT64_MIN
#define TREE_TTL_MS_MAX           ((INT64_C(1) << 40) - 1)

#endif
