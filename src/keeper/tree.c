#include "keeper/tree.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "keeper/path.h"

/* The top byte that marks extended kinds of owners; the kind is in the two bytes behind it. */
#define OWNER_EXTENDED_MARK UINT64_C(0xff00000000000000)
#define OWNER_KIND_MASK     UINT64_C(0x00ffff0000000000)

enum {
    name_size_outside = UINT8_MAX,                 /* The name is a block of its own. */
    name_bytes_inside_max = name_size_outside - 1, /* Longer ones are. */
    time_bits = 48,
    data_bytes_inside_max = slab_cell_bytes_max - (int)sizeof(uint32_t),
};

/* What lies in front of an owned znode, so that the others do not pay for it. */
struct owned {
    struct list link; /* In the owner's znodes. */
    int64_t owner;
};

/* Data is in one piece with its size, or, if large, has the address of its block there. */
struct data_piece {
    uint32_t size;
    uint8_t bytes[];
};

static void *at_ref(const struct tree *tree, slab_ref ref)
{
    return ref == 0 ? NULL : slab_at(tree->slab, ref);
}

/* The block whose address lies at place. */
static uint8_t *block_at(const uint8_t *place)
{
    uint8_t *block;
    memcpy(&block, place, sizeof block);
    return block;
}

static bool is_ttl_mark(const struct tree *tree, int64_t owner)
{
    if (!tree->extended_types_enabled)
        return false;
    if (tree->emulates_353_ttl)
        return owner < 0;
    return ((uint64_t)owner & OWNER_EXTENDED_MARK) == OWNER_EXTENDED_MARK &&
           ((uint64_t)owner & OWNER_KIND_MASK) == 0;
}

enum tree_owner_kind tree_owner_kind_of(const struct tree *tree, int64_t owner)
{
    if (owner == 0)
        return TREE_OWNER_NONE;
    if (owner == TREE_OWNER_CONTAINER_MARK)
        return TREE_OWNER_CONTAINER;
    return is_ttl_mark(tree, owner) ? TREE_OWNER_TTL : TREE_OWNER_SESSION;
}

int64_t tree_ttl_owner(int64_t ttl_ms)
{
    assert(ttl_ms > 0 && ttl_ms <= TREE_TTL_MS_MAX);
    return (int64_t)(OWNER_EXTENDED_MARK | (uint64_t)ttl_ms);
}

int64_t tree_ttl_ms(int64_t owner)
{
    return owner & TREE_TTL_MS_MAX;
}

/* --- owners --- */

static struct owned *owned_of(const struct znode *znode)
{
    assert(znode->is_owned);
    return (struct owned *)(uintptr_t)znode - 1;
}

struct znode *tree_owned(struct list *link)
{
    return (struct znode *)(void *)(CONTAINER_OF(link, struct owned, link) + 1);
}

int64_t tree_owner_id(const struct znode *znode)
{
    return znode->is_owned ? owned_of(znode)->owner : 0;
}

/* The piece of a znode, without the block of a long name. */
static size_t znode_bytes(size_t name_size, bool is_owned)
{
    const size_t inside = name_size > name_bytes_inside_max ? sizeof(uint8_t *) : name_size;
    return (is_owned ? sizeof(struct owned) : 0) + offsetof(struct znode, name) + inside;
}

static void give_znode(struct tree *tree, struct znode *znode)
{
    if (znode->name_size == name_size_outside)
        heap_give(tree->heap, block_at(znode->name));
    slab_give(tree->slab, znode->is_owned ? (void *)owned_of(znode) : (void *)znode,
              znode_bytes(znode->name_size, znode->is_owned));
}

static struct tree_owner *owner_of_link(const struct hash_link *link)
{
    return CONTAINER_OF(link, struct tree_owner, by_id);
}

static bool has_owner_id(const struct hash_link *link, const void *key)
{
    const int64_t *id = key;
    return owner_of_link(link)->id == *id;
}

struct tree_owner *tree_find_owner(const struct tree *tree, int64_t session_id)
{
    const uint64_t hash = hash_u64((uint64_t)session_id, tree->hash_seed);
    struct hash_link *link = hash_table_find(&tree->owners, hash, has_owner_id, &session_id);
    return link == NULL ? NULL : owner_of_link(link);
}

static struct tree_owner *find_or_add_session(struct tree *tree, int64_t session_id)
{
    struct tree_owner *owner = tree_find_owner(tree, session_id);
    if (owner != NULL)
        return owner;
    owner = slab_take(tree->slab, sizeof *owner);
    if (owner == NULL)
        return NULL;
    *owner = (struct tree_owner){.id = session_id};
    list_init(&owner->znodes);
    hash_table_add(&tree->owners, &owner->by_id, hash_u64((uint64_t)session_id, tree->hash_seed));
    return owner;
}

/* The owner of that mark or session; NULL: none, or the heap says no. */
static struct tree_owner *owner_for(struct tree *tree, int64_t owner)
{
    switch (tree_owner_kind_of(tree, owner)) {
    case TREE_OWNER_NONE: break;
    case TREE_OWNER_SESSION: return find_or_add_session(tree, owner);
    case TREE_OWNER_CONTAINER: return &tree->containers;
    case TREE_OWNER_TTL: return &tree->ttl_znodes;
    }
    return NULL;
}

static void own(struct tree *tree, struct tree_owner *owner, struct znode *znode)
{
    list_push(&owner->znodes, &owned_of(znode)->link);
    owner->znode_count++;
    tree->ephemeral_count += owner != &tree->containers && owner != &tree->ttl_znodes;
}

static void drop_owner_if_empty(struct tree *tree, struct tree_owner *owner)
{
    if (owner->znode_count > 0 || owner == &tree->containers || owner == &tree->ttl_znodes)
        return;
    hash_table_remove(&tree->owners, &owner->by_id);
    slab_give(tree->slab, owner, sizeof *owner);
}

static void disown(struct tree *tree, struct znode *znode)
{
    if (!znode->is_owned)
        return;
    struct tree_owner *owner = owner_for(tree, owned_of(znode)->owner);
    assert(owner != NULL && owner->znode_count > 0);
    list_remove(&owned_of(znode)->link);
    owner->znode_count--;
    tree->ephemeral_count -= owner != &tree->containers && owner != &tree->ttl_znodes;
    drop_owner_if_empty(tree, owner);
}

/* --- what a znode has --- */

struct slice tree_name(const struct znode *znode)
{
    if (znode->name_size != name_size_outside)
        return slice_of(znode->name, znode->name_size);
    const uint8_t *block = block_at(znode->name);
    return slice_of(block, heap_block_size(block));
}

/* --- times --- */

static uint64_t pack_time(int64_t time_ms)
{
    const int64_t max = (INT64_C(1) << (time_bits - 1)) - 1;
    return (uint64_t)min_i64(max_i64(time_ms, -max), max) & ((UINT64_C(1) << time_bits) - 1);
}

static int64_t unpack_time(uint64_t packed)
{
    const uint64_t sign = UINT64_C(1) << (time_bits - 1);
    return (int64_t)((packed ^ sign) - sign);
}

int64_t tree_ctime(const struct znode *znode)
{
    return unpack_time(znode->ctime);
}

int64_t tree_mtime(const struct znode *znode)
{
    return unpack_time(znode->mtime);
}

void tree_set_mtime(struct znode *znode, int64_t time_ms)
{
    znode->mtime = pack_time(time_ms) & ((UINT64_C(1) << time_bits) - 1);
}

static void set_ctime(struct znode *znode, int64_t time_ms)
{
    znode->ctime = pack_time(time_ms) & ((UINT64_C(1) << time_bits) - 1);
}

/* --- data, access list and the rest --- */

struct slice tree_data(const struct tree *tree, const struct znode *znode)
{
    const struct data_piece *piece = at_ref(tree, znode->data);
    if (piece == NULL)
        return znode->is_data_null ? SLICE_NULL : SLICE_LITERAL("");
    const bool is_inside = piece->size <= data_bytes_inside_max;
    return slice_of(is_inside ? piece->bytes : block_at(piece->bytes), piece->size);
}

struct acl_entry *tree_acl(const struct tree *tree, const struct znode *znode)
{
    return slab_at(tree->slab, znode->acl);
}

static struct znode *parent_of(const struct tree *tree, const struct znode *znode)
{
    return at_ref(tree, znode->parent);
}

static struct znode_more *more_of(const struct tree *tree, const struct znode *znode)
{
    return at_ref(tree, znode->more);
}

struct znode_more tree_more(const struct tree *tree, const struct znode *znode)
{
    const struct znode_more *more = more_of(tree, znode);
    const struct znode_more none = {.pzxid = znode->czxid};
    return more == NULL ? none : *more;
}

struct znode_more *tree_take_more(struct tree *tree, struct znode *znode)
{
    struct znode_more *more = more_of(tree, znode);
    if (more != NULL)
        return more;
    more = slab_take(tree->slab, sizeof *more);
    if (more == NULL)
        return NULL;
    *more = tree_more(tree, znode);
    znode->more = slab_ref_of(tree->slab, more);
    return more;
}

/* --- paths --- */

size_t tree_path_bytes(const struct tree *tree, const struct znode *znode)
{
    if (znode->parent == 0)
        return 1;
    size_t size = 0;
    for (; znode->parent != 0; znode = parent_of(tree, znode))
        size += 1 + tree_name(znode).size;
    return size;
}

struct slice tree_path_write(const struct tree *tree, const struct znode *znode, uint8_t *out)
{
    const size_t size = tree_path_bytes(tree, znode);
    out[0] = '/';
    size_t at = size;
    for (; znode->parent != 0; znode = parent_of(tree, znode)) {
        const struct slice name = tree_name(znode);
        at -= name.size;
        memcpy(out + at, name.data, name.size);
        at--;
        out[at] = '/';
    }
    return slice_of(out, size);
}

struct path_key {
    const struct tree *tree;
    struct slice path;
};

/* Compares the components from the last to the first. */
static bool has_path(const struct slab_link *link, const void *key)
{
    const struct znode *znode = CONTAINER_OF(link, const struct znode, by_path);
    const struct tree *tree = ((const struct path_key *)key)->tree;
    struct slice left = ((const struct path_key *)key)->path;
    for (; znode->parent != 0; znode = parent_of(tree, znode)) {
        const struct slice name = tree_name(znode);
        if (left.size <= name.size)
            return false;
        left.size -= name.size;
        if (memcmp(left.data + left.size, name.data, name.size) != 0)
            return false;
        left.size--;
        if (left.data[left.size] != '/')
            return false;
    }
    return left.size == 0;
}

struct znode *tree_find(const struct tree *tree, struct slice path)
{
    if (path.size == 0 || (path.size == 1 && path.data[0] == '/'))
        return tree->root;
    const struct path_key key = {tree, path};
    struct slab_link *link =
        slab_table_find(&tree->by_path, hash_bytes(path, tree->hash_seed), has_path, &key);
    return link == NULL ? NULL : CONTAINER_OF(link, struct znode, by_path);
}

/* --- digest --- */

static uint32_t compute_digest(const struct tree *tree, const struct znode *znode,
                               struct slice path)
{
    /* Servers may differ in what is under /zookeeper (quota usage, configuration). */
    if (slice_starts_with(path, SLICE_LITERAL("/zookeeper/")))
        return 0;
    if (path.size == 1)
        path.size = 0;
    const struct znode_more more = tree_more(tree, znode);
    uint8_t stat[tree_stat_disk_bytes];
    store_i64(stat, znode->czxid);
    store_i64(stat + 8, znode->mzxid);
    store_i64(stat + 16, more.pzxid);
    store_i64(stat + 24, tree_ctime(znode));
    store_i64(stat + 32, tree_mtime(znode));
    store_i32(stat + 40, znode->version);
    store_i32(stat + 44, more.cversion);
    store_i32(stat + 48, more.aversion);
    store_i64(stat + 52, tree_owner_id(znode));
    const struct slice data = tree_data(tree, znode);
    uint32_t digest = checksum_crc32(0, path);
    if (data.size > 0)
        digest = checksum_crc32(digest, data);
    return checksum_crc32(digest, slice_of(stat, sizeof stat));
}

void tree_changed(struct tree *tree, struct znode *znode, struct slice path)
{
    tree->digest -= znode->digest;
    znode->digest = compute_digest(tree, znode, path);
    tree->digest += znode->digest;
}

/* --- the tree --- */

static struct znode *next_in_ring(const struct tree *tree, const struct znode *znode)
{
    return slab_at(tree->slab, znode->next_sibling);
}

static struct znode *previous_in_ring(const struct tree *tree, const struct znode *znode)
{
    return slab_at(tree->slab, znode->previous_sibling);
}

/* more: the parent's. */
static void link_child(struct tree *tree, struct znode_more *more, struct znode *child)
{
    const slab_ref ref = slab_ref_of(tree->slab, child);
    struct znode *oldest = at_ref(tree, more->first_child);
    more->child_count++;
    if (oldest == NULL) {
        more->first_child = child->next_sibling = child->previous_sibling = ref;
        return;
    }
    child->next_sibling = more->first_child;
    child->previous_sibling = oldest->previous_sibling;
    previous_in_ring(tree, oldest)->next_sibling = ref;
    oldest->previous_sibling = ref;
}

static void unlink_child(struct tree *tree, const struct znode *child)
{
    const slab_ref ref = slab_ref_of(tree->slab, child);
    struct znode_more *more = more_of(tree, parent_of(tree, child));
    assert(more != NULL && more->child_count > 0);
    more->child_count--;
    if (more->first_child == ref)
        more->first_child = child->next_sibling == ref ? 0 : child->next_sibling;
    next_in_ring(tree, child)->previous_sibling = child->previous_sibling;
    previous_in_ring(tree, child)->next_sibling = child->next_sibling;
}

struct znode *tree_first_child(const struct tree *tree, const struct znode *znode)
{
    const struct znode_more *more = more_of(tree, znode);
    return more == NULL ? NULL : at_ref(tree, more->first_child);
}

struct znode *tree_next_sibling(const struct tree *tree, const struct znode *znode)
{
    if (znode->parent == 0)
        return NULL;
    struct znode *next = next_in_ring(tree, znode);
    return next == tree_first_child(tree, parent_of(tree, znode)) ? NULL : next;
}

static size_t data_piece_bytes(size_t size)
{
    return sizeof(struct data_piece) + (size <= data_bytes_inside_max ? size : sizeof(uint8_t *));
}

/* At least one byte; NULL: the heap says no. */
static struct data_piece *copy_data(struct tree *tree, struct slice data)
{
    const bool is_inside = data.size <= data_bytes_inside_max;
    uint8_t *block = is_inside ? NULL : heap_take(tree->heap, data.size);
    struct data_piece *piece =
        is_inside || block != NULL ? slab_take(tree->slab, data_piece_bytes(data.size)) : NULL;
    if (piece == NULL) {
        heap_give(tree->heap, block);
        return NULL;
    }
    piece->size = (uint32_t)data.size;
    if (!is_inside)
        memcpy(piece->bytes, &block, sizeof(uint8_t *));
    memcpy(is_inside ? piece->bytes : block, data.data, data.size);
    return piece;
}

static void give_data(struct tree *tree, struct znode *znode)
{
    struct data_piece *piece = at_ref(tree, znode->data);
    znode->data = 0;
    if (piece == NULL)
        return;
    if (piece->size > data_bytes_inside_max)
        heap_give(tree->heap, block_at(piece->bytes));
    slab_give(tree->slab, piece, data_piece_bytes(piece->size));
}

/* Instead of what it has. ERR_NO_MEMORY: data is as it was. */
static enum err put_data(struct tree *tree, struct znode *znode, struct slice data)
{
    struct data_piece *piece = data.size == 0 ? NULL : copy_data(tree, data);
    if (piece == NULL && data.size > 0)
        return ERR_NO_MEMORY;
    give_data(tree, znode);
    znode->data = piece == NULL ? 0 : slab_ref_of(tree->slab, piece);
    znode->is_data_null = data.data == NULL;
    return ERR_OK;
}

static struct znode *take_znode(struct tree *tree, struct slice name, int64_t owner)
{
    const size_t front = owner == 0 ? 0 : sizeof(struct owned);
    const bool is_inside = name.size <= name_bytes_inside_max;
    uint8_t *block = is_inside ? NULL : heap_take(tree->heap, name.size);
    uint8_t *piece = is_inside || block != NULL
                         ? slab_take(tree->slab, znode_bytes(name.size, owner != 0))
                         : NULL;
    if (piece == NULL) {
        heap_give(tree->heap, block);
        return NULL;
    }
    struct znode *znode = (struct znode *)(void *)(piece + front);
    /* Not as one struct: its end may lie behind the piece. */
    memset(znode, 0, offsetof(struct znode, name));
    znode->name_size = is_inside ? (uint8_t)name.size : (uint8_t)name_size_outside;
    znode->is_owned = owner != 0;
    if (owner != 0)
        owned_of(znode)->owner = owner;
    if (!is_inside)
        memcpy(znode->name, &block, sizeof(uint8_t *));
    if (name.size > 0)
        memcpy(is_inside ? znode->name : block, name.data, name.size);
    return znode;
}

enum err tree_set_stat(struct tree *tree, struct znode *znode, const struct zk_stat_persisted *stat)
{
    assert(tree_owner_id(znode) == stat->ephemeral_owner);
    const bool needs_more =
        stat->pzxid != stat->czxid || stat->cversion != 0 || stat->aversion != 0;
    struct znode_more *more = needs_more ? tree_take_more(tree, znode) : more_of(tree, znode);
    if (needs_more && more == NULL)
        return ERR_NO_MEMORY;
    if (more != NULL) {
        more->pzxid = stat->pzxid;
        more->cversion = stat->cversion;
        more->aversion = stat->aversion;
    }
    znode->czxid = stat->czxid;
    znode->mzxid = stat->mzxid;
    set_ctime(znode, stat->ctime);
    tree_set_mtime(znode, stat->mtime);
    znode->version = stat->version;
    return ERR_OK;
}

/* With data and stat fields, but in no list and no table; NULL: the heap says no. */
static struct znode *make_znode(struct tree *tree, const struct tree_create_options *options,
                                int64_t owner_id)
{
    struct znode *znode = take_znode(tree, path_last(options->path), owner_id);
    if (znode == NULL)
        return NULL;
    znode->czxid = znode->mzxid = options->zxid;
    set_ctime(znode, options->time_ms);
    tree_set_mtime(znode, options->time_ms);
    if (put_data(tree, znode, options->data) == ERR_OK &&
        (options->stat == NULL || tree_set_stat(tree, znode, options->stat) == ERR_OK))
        return znode;
    give_data(tree, znode);
    give_znode(tree, znode);
    return NULL;
}

struct znode *tree_create(struct tree *tree, struct znode *parent,
                          const struct tree_create_options *options)
{
    assert(options->path.size <= tree_path_bytes_max && options->data.size <= UINT32_MAX);
    const int64_t owner_id =
        options->stat == NULL ? options->owner : options->stat->ephemeral_owner;
    struct tree_owner *owner = owner_for(tree, owner_id);
    if (owner == NULL && owner_id != 0)
        return NULL;
    struct znode_more *more = tree_take_more(tree, parent);
    struct znode *znode = more == NULL ? NULL : make_znode(tree, options, owner_id);
    if (znode == NULL) {
        if (owner != NULL)
            drop_owner_if_empty(tree, owner);
        return NULL;
    }
    znode->parent = slab_ref_of(tree->slab, parent);
    znode->acl = slab_ref_of(tree->slab, options->acl);
    link_child(tree, more, znode);
    slab_table_add(&tree->by_path, &znode->by_path, hash_bytes(options->path, tree->hash_seed));
    if (owner != NULL)
        own(tree, owner, znode);
    tree->data_bytes += options->path.size + options->data.size;
    tree_changed(tree, znode, options->path);
    return znode;
}

/* The znode after this one and its descendants. */
static struct znode *after_subtree(const struct tree *tree, const struct znode *znode)
{
    for (; znode != NULL; znode = parent_of(tree, znode)) {
        struct znode *next = tree_next_sibling(tree, znode);
        if (next != NULL)
            return next;
    }
    return NULL;
}

static void move_cursors_off(struct tree *tree, const struct znode *znode)
{
    list_each (link, &tree->cursors) {
        struct tree_cursor *cursor = CONTAINER_OF(link, struct tree_cursor, link);
        if (cursor->next == znode)
            cursor->next = after_subtree(tree, znode);
    }
}

/* All pieces of a znode that is in no list and no table any more. */
static void give_whole(struct tree *tree, struct znode *znode)
{
    acl_table_release(&tree->acls, tree_acl(tree, znode));
    slab_give(tree->slab, more_of(tree, znode), sizeof(struct znode_more));
    give_data(tree, znode);
    give_znode(tree, znode);
}

void tree_delete(struct tree *tree, struct znode *znode)
{
    assert(tree_more(tree, znode).child_count == 0);
    assert(znode->parent != 0);
    move_cursors_off(tree, znode);
    tree->data_bytes -= tree_path_bytes(tree, znode) + tree_data(tree, znode).size;
    tree->digest -= znode->digest;
    slab_table_remove(&tree->by_path, &znode->by_path);
    unlink_child(tree, znode);
    disown(tree, znode);
    give_whole(tree, znode);
}

/* Leaves first, without recursion: paths may be very deep. */
static void delete_descendants(struct tree *tree, struct znode *top)
{
    struct znode *at = top;
    for (;;) {
        struct znode *child = tree_first_child(tree, at);
        if (child != NULL) {
            at = child;
            continue;
        }
        if (at == top)
            return;
        struct znode *parent = parent_of(tree, at);
        tree_delete(tree, at);
        at = parent;
    }
}

void tree_delete_subtree(struct tree *tree, struct znode *znode)
{
    delete_descendants(tree, znode);
    tree_delete(tree, znode);
}

enum err tree_set_data(struct tree *tree, struct znode *znode, struct slice data)
{
    assert(data.size <= UINT32_MAX);
    const struct slice old = tree_data(tree, znode);
    /* Same size: most writes. The piece stays. */
    if (data.size > 0 && data.size == old.size) {
        memcpy((void *)(uintptr_t)old.data, data.data, data.size);
        return ERR_OK;
    }
    const size_t old_size = old.size;
    const enum err err = put_data(tree, znode, data);
    if (err == ERR_OK)
        tree->data_bytes += data.size - old_size;
    return err;
}

void tree_set_acl(struct tree *tree, struct znode *znode, struct acl_entry *acl)
{
    acl_table_release(&tree->acls, tree_acl(tree, znode));
    znode->acl = slab_ref_of(tree->slab, acl);
}

void tree_stat(const struct tree *tree, const struct znode *znode, struct zk_stat *stat)
{
    const struct znode_more more = tree_more(tree, znode);
    const int64_t owner = tree_owner_id(znode);
    const bool is_ephemeral = tree_owner_kind_of(tree, owner) == TREE_OWNER_SESSION;
    *stat = (struct zk_stat){
        .czxid = znode->czxid,
        .mzxid = znode->mzxid,
        .ctime = tree_ctime(znode),
        .mtime = tree_mtime(znode),
        .version = znode->version,
        /* Unsigned, because the counter may wrap. */
        .cversion = (int32_t)((uint32_t)more.cversion * 2 - (uint32_t)more.child_count),
        .aversion = more.aversion,
        .ephemeral_owner = is_ephemeral ? owner : 0,
        .data_length = (int32_t)tree_data(tree, znode).size,
        .num_children = more.child_count,
        .pzxid = more.pzxid,
    };
}

struct znode *tree_next_below(const struct tree *tree, const struct znode *znode,
                              const struct znode *top)
{
    struct znode *child = tree_first_child(tree, znode);
    if (child != NULL)
        return child;
    for (; znode != top; znode = parent_of(tree, znode)) {
        struct znode *next = tree_next_sibling(tree, znode);
        if (next != NULL)
            return next;
    }
    return NULL;
}

uint64_t tree_descendant_count(const struct tree *tree, const struct znode *znode)
{
    uint64_t count = 0;
    const struct znode *at = tree_next_below(tree, znode, znode);
    for (; at != NULL; at = tree_next_below(tree, at, znode))
        count++;
    return count;
}

size_t tree_data_bytes(size_t data_size)
{
    return slab_bytes(data_piece_bytes(data_size)) +
           (data_size > data_bytes_inside_max ? slab_bytes(data_size) : 0);
}

size_t tree_znode_bytes(size_t name_size, size_t data_size)
{
    /* With its share of buckets while the table grows. */
    enum { bucket_bytes = 4 * sizeof(slab_ref) };
    const size_t name =
        name_size > name_bytes_inside_max ? slab_bytes(name_size + slab_cell_bytes_max) : 0;
    return slab_bytes(znode_bytes(name_size, true)) + name + tree_data_bytes(data_size) +
           slab_bytes(sizeof(struct znode_more)) + bucket_bytes;
}

/* --- init --- */

static struct znode *add_builtin(struct tree *tree, struct znode *parent, const char *path)
{
    return tree_create(tree, parent,
                       &(struct tree_create_options){
                           .path = slice_from_text(path),
                           .data = SLICE_LITERAL(""),
                           .acl = acl_table_share(tree->acls.open),
                       });
}

/* The configuration is for everybody to read, and nobody to change. */
static enum err protect_configuration(struct tree *tree, struct znode *config)
{
    const struct zk_acl read_only = {ACL_READ, {SLICE_LITERAL("world"), SLICE_LITERAL("anyone")}};
    struct acl_entry *acl = acl_table_acquire(&tree->acls, (struct acl_list){&read_only, 1});
    if (acl == NULL)
        return ERR_NO_MEMORY;
    tree_set_acl(tree, config, acl);
    struct znode_more *more = tree_take_more(tree, config);
    if (more == NULL)
        return ERR_NO_MEMORY;
    more->aversion = -1;
    return ERR_OK;
}

static enum err add_builtins(struct tree *tree)
{
    tree->root = take_znode(tree, SLICE_LITERAL(""), 0);
    if (tree->root == NULL)
        return ERR_NO_MEMORY;
    tree->root->acl = slab_ref_of(tree->slab, acl_table_share(tree->acls.open));
    tree_changed(tree, tree->root, SLICE_LITERAL("/"));
    struct znode *zookeeper = add_builtin(tree, tree->root, "/zookeeper");
    if (zookeeper == NULL)
        return ERR_NO_MEMORY;
    struct znode *config = add_builtin(tree, zookeeper, "/zookeeper/config");
    if (config == NULL || protect_configuration(tree, config) != ERR_OK)
        return ERR_NO_MEMORY;
    return add_builtin(tree, zookeeper, "/zookeeper/quota") == NULL ? ERR_NO_MEMORY : ERR_OK;
}

enum err tree_init(struct tree *tree, struct heap *heap, struct slab *slab,
                   struct tree_options options)
{
    *tree = (struct tree){
        .heap = heap,
        .slab = slab,
        .hash_seed = options.hash_seed,
        .extended_types_enabled = options.extended_types_enabled,
        .emulates_353_ttl = options.emulates_353_ttl,
    };
    list_init(&tree->cursors);
    list_init(&tree->containers.znodes);
    list_init(&tree->ttl_znodes.znodes);
    if (acl_table_init(&tree->acls, slab, options.hash_seed) != ERR_OK ||
        slab_table_init(&tree->by_path, slab) != ERR_OK ||
        hash_table_init(&tree->owners, heap) != ERR_OK || add_builtins(tree) != ERR_OK) {
        tree_deinit(tree);
        return ERR_NO_MEMORY;
    }
    return ERR_OK;
}

void tree_deinit(struct tree *tree)
{
    assert(list_empty(&tree->cursors));
    if (tree->root != NULL) {
        delete_descendants(tree, tree->root);
        give_whole(tree, tree->root);
    }
    if (tree->owners.heap != NULL)
        hash_table_deinit(&tree->owners);
    if (tree->by_path.slab != NULL)
        slab_table_deinit(&tree->by_path);
    acl_table_deinit(&tree->acls);
    *tree = (struct tree){0};
}

void tree_move(struct tree *tree, struct tree *from, struct slab *slab)
{
    assert(list_empty(&from->cursors));
    *tree = *from;
    tree->slab = slab;
    tree->by_path.slab = slab;
    tree->acls.slab = slab;
    list_init(&tree->cursors);
    list_move(&tree->containers.znodes, &from->containers.znodes);
    list_move(&tree->ttl_znodes.znodes, &from->ttl_znodes.znodes);
    *from = (struct tree){0};
}

/* --- cursors --- */

void tree_cursor_open(struct tree *tree, struct tree_cursor *cursor)
{
    cursor->tree = tree;
    cursor->next = tree->root;
    list_push(&tree->cursors, &cursor->link);
}

void tree_cursor_close(struct tree_cursor *cursor)
{
    list_remove(&cursor->link);
}

struct znode *tree_cursor_next(struct tree_cursor *cursor)
{
    struct znode *znode = cursor->next;
    if (znode == NULL)
        return NULL;
    struct znode *child = tree_first_child(cursor->tree, znode);
    cursor->next = child != NULL ? child : after_subtree(cursor->tree, znode);
    return znode;
}
