#include "keeper/pending.h"

#include "base/assert.h"

static struct pending_znode *znode_of(const struct hash_link *link)
{
    return CONTAINER_OF(link, struct pending_znode, by_path);
}

static bool has_path(const struct hash_link *link, const void *key)
{
    const struct pending_znode *znode = znode_of(link);
    return slice_equal(slice_of(znode->path, znode->path_size), *(const struct slice *)key);
}

enum err pending_init(struct pending *pending, struct heap *heap, struct tree *tree,
                      uint64_t hash_seed)
{
    *pending = (struct pending){.tree = tree, .hash_seed = hash_seed};
    list_init(&pending->znodes);
    return hash_table_init(&pending->by_path, heap);
}

static size_t znode_bytes(size_t path_size)
{
    return offsetof(struct pending_znode, path) + path_size;
}

static void drop(struct pending *pending, struct pending_znode *znode)
{
    assert(pending->reserved_bytes >= znode->reserved_bytes);
    pending->reserved_bytes -= znode->reserved_bytes;
    acl_table_release(&pending->tree->acls, znode->state.acl);
    list_remove(&znode->link);
    hash_table_remove(&pending->by_path, &znode->by_path);
    slab_give(pending->tree->slab, znode, znode_bytes(znode->path_size));
}

void pending_deinit(struct pending *pending)
{
    if (pending->by_path.heap == NULL)
        return;
    pending_settle(pending, INT64_MAX);
    hash_table_deinit(&pending->by_path);
    *pending = (struct pending){0};
}

void pending_move(struct pending *pending, struct pending *from, struct tree *tree)
{
    assert(list_empty(&from->znodes));
    *pending = *from;
    pending->tree = tree;
    list_init(&pending->znodes);
    *from = (struct pending){0};
}

void pending_begin(struct pending *pending, struct arena *arena, int64_t zxid)
{
    pending->arena = arena;
    pending->zxid = zxid;
    pending->undo = NULL;
}

static struct pending_znode *find(const struct pending *pending, struct slice path)
{
    struct hash_link *link =
        hash_table_find(&pending->by_path, hash_bytes(path, pending->hash_seed), has_path, &path);
    return link == NULL ? NULL : znode_of(link);
}

static void state_in_tree(const struct tree *tree, struct slice path, struct pending_state *state)
{
    *state = (struct pending_state){0};
    const struct znode *znode = tree_find(tree, path);
    if (znode == NULL)
        return;
    const struct znode_more more = tree_more(tree, znode);
    *state = (struct pending_state){
        .exists = true,
        .version = znode->version,
        .cversion = more.cversion,
        .aversion = more.aversion,
        .child_count = more.child_count,
        .owner = tree_owner_id(znode),
        .data_size = (uint32_t)tree_data(tree, znode).size,
        .acl = tree_acl(tree, znode),
    };
}

bool pending_look(const struct pending *pending, struct slice path, struct pending_state *state)
{
    const struct pending_znode *znode = find(pending, path);
    if (znode != NULL)
        *state = znode->state;
    else
        state_in_tree(pending->tree, path, state);
    return state->exists;
}

static struct pending_znode *add(struct pending *pending, struct slice path)
{
    assert(path.size <= UINT32_MAX);
    struct pending_znode *znode = slab_take(pending->tree->slab, znode_bytes(path.size));
    if (znode == NULL)
        return NULL;
    /* Not as one struct: its end may lie behind the block. */
    memset(znode, 0, offsetof(struct pending_znode, path));
    znode->path_size = (uint32_t)path.size;
    memcpy(znode->path, path.data, path.size);
    state_in_tree(pending->tree, path, &znode->state);
    if (znode->state.acl != NULL)
        acl_table_share(znode->state.acl);
    hash_table_add(&pending->by_path, &znode->by_path, hash_bytes(path, pending->hash_seed));
    list_push(&pending->znodes, &znode->link);
    return znode;
}

struct pending_znode *pending_change(struct pending *pending, struct slice path)
{
    struct pending_znode *znode = find(pending, path);
    if (znode != NULL && znode->zxid == pending->zxid)
        return znode; /* Changed by this transaction before, so taking back is provided for. */
    struct pending_undo *undo = arena_take(pending->arena, sizeof *undo);
    if (undo == NULL)
        return NULL;
    if (znode == NULL)
        znode = add(pending, path);
    if (znode == NULL)
        return NULL;
    *undo = (struct pending_undo){
        .next = pending->undo,
        .znode = znode,
        .state = znode->state,
        .zxid = znode->zxid,
        .reserved_bytes = znode->reserved_bytes,
    };
    if (undo->state.acl != NULL)
        acl_table_share(undo->state.acl);
    pending->undo = undo;
    znode->zxid = pending->zxid;
    list_remove(&znode->link);
    list_push(&pending->znodes, &znode->link);
    return znode;
}

void pending_set_acl(struct pending *pending, struct pending_znode *znode, struct acl_entry *acl)
{
    struct acl_entry *old = znode->state.acl;
    znode->state.acl = acl == NULL ? NULL : acl_table_share(acl);
    acl_table_release(&pending->tree->acls, old);
}

void pending_reserve(struct pending *pending, struct pending_znode *znode, size_t bytes)
{
    znode->reserved_bytes += bytes;
    pending->reserved_bytes += bytes;
}

void pending_keep(struct pending *pending)
{
    for (struct pending_undo *undo = pending->undo; undo != NULL; undo = undo->next)
        acl_table_release(&pending->tree->acls, undo->state.acl);
    pending->undo = NULL;
}

/* Puts the entry back to where its zxid belongs. */
static void sort_in(struct pending *pending, struct pending_znode *znode)
{
    list_remove(&znode->link);
    struct list *place = pending->znodes.prev;
    while (place != &pending->znodes &&
           CONTAINER_OF(place, struct pending_znode, link)->zxid > znode->zxid)
        place = place->prev;
    list_insert_after(place, &znode->link);
}

static void restore(struct pending *pending, const struct pending_undo *undo)
{
    struct pending_znode *znode = undo->znode;
    assert(znode->zxid == pending->zxid);
    acl_table_release(&pending->tree->acls, znode->state.acl);
    znode->state = undo->state;
    if (undo->zxid == 0) {
        drop(pending, znode);
        return;
    }
    pending->reserved_bytes -= znode->reserved_bytes - undo->reserved_bytes;
    znode->reserved_bytes = undo->reserved_bytes;
    znode->zxid = undo->zxid;
    sort_in(pending, znode);
}

void pending_roll_back(struct pending *pending)
{
    for (; pending->undo != NULL; pending->undo = pending->undo->next)
        restore(pending, pending->undo);
}

void pending_settle(struct pending *pending, int64_t zxid)
{
    while (!list_empty(&pending->znodes)) {
        struct pending_znode *znode =
            CONTAINER_OF(pending->znodes.next, struct pending_znode, link);
        if (znode->zxid > zxid)
            return;
        drop(pending, znode);
    }
}
