#include "keeper/tree.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "keeper/path.h"

/* The top byte that marks extended kinds of owners; the kind is in the two bytes behind it. */
#define OWNER_EXTENDED_MARK UINT64_C(0xff00000000000000)
#define OWNER_KIND_MASK     UINT64_C(0x00ffff0000000000)

/* What data of size zero points to. */
static const uint8_t empty_data[1];

enum tree_owner_kind tree_owner_kind_of(int64_t owner, bool extended_types_enabled)
{
    if (owner == 0)
        return TREE_OWNER_NONE;
    if (owner == TREE_OWNER_CONTAINER_MARK)
        return TREE_OWNER_CONTAINER;
    if (extended_types_enabled && ((uint64_t)owner & OWNER_EXTENDED_MARK) == OWNER_EXTENDED_MARK &&
        ((uint64_t)owner & OWNER_KIND_MASK) == 0)
        return TREE_OWNER_TTL;
    return TREE_OWNER_SESSION;
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

/* The link of an owned znode lies in front of it, so that the others do not pay for it. */
static struct list *owned_link(struct znode *znode)
{
    return (struct list *)(void *)znode - 1;
}

struct znode *tree_owned(struct list *link)
{
    return (struct znode *)(void *)(link + 1);
}

static size_t znode_bytes(size_t name_size, bool is_owned)
{
    return (is_owned ? sizeof(struct list) : 0) + offsetof(struct znode, name) + name_size;
}

static void give_znode(struct tree *tree, struct znode *znode)
{
    const bool is_owned = znode->owner != 0;
    slab_give(tree->slab, is_owned ? (void *)owned_link(znode) : (void *)znode,
              znode_bytes(znode->name_size, is_owned));
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
    switch (tree_owner_kind_of(owner, tree->extended_types_enabled)) {
    case TREE_OWNER_NONE: break;
    case TREE_OWNER_SESSION: return find_or_add_session(tree, owner);
    case TREE_OWNER_CONTAINER: return &tree->containers;
    case TREE_OWNER_TTL: return &tree->ttl_znodes;
    }
    return NULL;
}

static void own(struct tree *tree, struct tree_owner *owner, struct znode *znode)
{
    list_push(&owner->znodes, owned_link(znode));
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
    if (znode->owner == 0)
        return;
    struct tree_owner *owner = owner_for(tree, znode->owner);
    assert(owner != NULL && owner->znode_count > 0);
    list_remove(owned_link(znode));
    owner->znode_count--;
    tree->ephemeral_count -= owner != &tree->containers && owner != &tree->ttl_znodes;
    drop_owner_if_empty(tree, owner);
}

/* --- paths --- */

struct slice tree_name(const struct znode *znode)
{
    return slice_of(znode->name, znode->name_size);
}

struct slice tree_data(const struct znode *znode)
{
    return slice_of(znode->data, znode->data_size);
}

size_t tree_path_bytes(const struct znode *znode)
{
    if (znode->parent == NULL)
        return 1;
    size_t size = 0;
    for (; znode->parent != NULL; znode = znode->parent)
        size += 1 + (size_t)znode->name_size;
    return size;
}

struct slice tree_path_write(const struct znode *znode, uint8_t *out)
{
    const size_t size = tree_path_bytes(znode);
    out[0] = '/';
    size_t at = size;
    for (; znode->parent != NULL; znode = znode->parent) {
        at -= znode->name_size;
        memcpy(out + at, znode->name, znode->name_size);
        at--;
        out[at] = '/';
    }
    return slice_of(out, size);
}

/* Compares the components from the last to the first. */
static bool has_path(const struct hash_link *link, const void *key)
{
    const struct znode *znode = CONTAINER_OF(link, const struct znode, by_path);
    struct slice left = *(const struct slice *)key;
    for (; znode->parent != NULL; znode = znode->parent) {
        if (left.size <= znode->name_size)
            return false;
        left.size -= znode->name_size;
        if (memcmp(left.data + left.size, znode->name, znode->name_size) != 0)
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
    struct hash_link *link =
        hash_table_find(&tree->by_path, hash_bytes(path, tree->hash_seed), has_path, &path);
    return link == NULL ? NULL : CONTAINER_OF(link, struct znode, by_path);
}

/* --- digest --- */

static uint32_t compute_digest(const struct znode *znode, struct slice path)
{
    /* Servers may differ in what is under /zookeeper (quota usage, configuration). */
    if (slice_starts_with(path, SLICE_LITERAL("/zookeeper/")))
        return 0;
    if (path.size == 1)
        path.size = 0;
    uint8_t stat[tree_stat_disk_bytes];
    store_i64(stat, znode->czxid);
    store_i64(stat + 8, znode->mzxid);
    store_i64(stat + 16, znode->pzxid);
    store_i64(stat + 24, znode->ctime);
    store_i64(stat + 32, znode->mtime);
    store_i32(stat + 40, znode->version);
    store_i32(stat + 44, znode->cversion);
    store_i32(stat + 48, znode->aversion);
    store_i64(stat + 52, znode->owner);
    uint32_t digest = checksum_crc32(0, path);
    if (znode->data_size > 0)
        digest = checksum_crc32(digest, tree_data(znode));
    return checksum_crc32(digest, slice_of(stat, sizeof stat));
}

void tree_changed(struct tree *tree, struct znode *znode, struct slice path)
{
    tree->digest -= znode->digest;
    znode->digest = compute_digest(znode, path);
    tree->digest += znode->digest;
}

/* --- the tree --- */

static void link_child(struct znode *parent, struct znode *child)
{
    list_init(&child->siblings);
    if (parent->first_child == NULL)
        parent->first_child = child;
    else
        list_push(&parent->first_child->siblings, &child->siblings); /* In front of the oldest. */
    parent->child_count++;
}

static void unlink_child(struct znode *child)
{
    struct znode *parent = child->parent;
    if (parent->first_child == child)
        parent->first_child = tree_next_sibling(child);
    list_remove(&child->siblings);
    assert(parent->child_count > 0);
    parent->child_count--;
}

struct znode *tree_next_sibling(const struct znode *znode)
{
    if (znode->parent == NULL)
        return NULL;
    struct znode *next = CONTAINER_OF(znode->siblings.next, struct znode, siblings);
    return next == znode->parent->first_child || next == znode ? NULL : next;
}

static const uint8_t *copy_data(struct tree *tree, struct slice data)
{
    if (data.data == NULL)
        return NULL;
    if (data.size == 0)
        return empty_data;
    uint8_t *copy = slab_take(tree->slab, data.size);
    if (copy != NULL)
        memcpy(copy, data.data, data.size);
    return copy;
}

static void give_data(struct tree *tree, const uint8_t *data, size_t size)
{
    if (data != empty_data)
        slab_give(tree->slab, (void *)(uintptr_t)data, size);
}

static struct znode *take_znode(struct tree *tree, struct slice name, int64_t owner)
{
    const size_t front = owner == 0 ? 0 : sizeof(struct list);
    uint8_t *block = slab_take(tree->slab, znode_bytes(name.size, owner != 0));
    if (block == NULL)
        return NULL;
    struct znode *znode = (struct znode *)(void *)(block + front);
    /* Not as one struct: its end may lie behind the block. */
    memset(znode, 0, offsetof(struct znode, name));
    znode->owner = owner;
    znode->name_size = (uint32_t)name.size;
    if (name.size > 0)
        memcpy(znode->name, name.data, name.size);
    return znode;
}

void tree_set_stat(struct znode *znode, const struct zk_stat_persisted *stat)
{
    assert(znode->owner == stat->ephemeral_owner);
    znode->czxid = stat->czxid;
    znode->mzxid = stat->mzxid;
    znode->pzxid = stat->pzxid;
    znode->ctime = stat->ctime;
    znode->mtime = stat->mtime;
    znode->version = stat->version;
    znode->cversion = stat->cversion;
    znode->aversion = stat->aversion;
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
    const uint8_t *data = copy_data(tree, options->data);
    struct znode *znode = take_znode(tree, path_last(options->path), owner_id);
    if (znode == NULL || (data == NULL && options->data.data != NULL)) {
        if (data != NULL)
            give_data(tree, data, options->data.size);
        if (znode != NULL)
            give_znode(tree, znode);
        if (owner != NULL)
            drop_owner_if_empty(tree, owner);
        return NULL;
    }
    znode->parent = parent;
    znode->acl = options->acl;
    znode->data = data;
    znode->data_size = (uint32_t)options->data.size;
    znode->czxid = znode->mzxid = znode->pzxid = options->zxid;
    znode->ctime = znode->mtime = options->time_ms;
    if (options->stat != NULL)
        tree_set_stat(znode, options->stat);
    link_child(parent, znode);
    hash_table_add(&tree->by_path, &znode->by_path, hash_bytes(options->path, tree->hash_seed));
    if (owner != NULL)
        own(tree, owner, znode);
    tree->data_bytes += options->path.size + options->data.size;
    tree_changed(tree, znode, options->path);
    return znode;
}

/* The znode after this one and its descendants. */
static struct znode *after_subtree(const struct znode *znode)
{
    for (; znode != NULL; znode = znode->parent) {
        struct znode *next = tree_next_sibling(znode);
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
            cursor->next = after_subtree(znode);
    }
}

void tree_delete(struct tree *tree, struct znode *znode)
{
    assert(znode->first_child == NULL && znode->child_count == 0);
    assert(znode->parent != NULL);
    move_cursors_off(tree, znode);
    tree->data_bytes -= tree_path_bytes(znode) + znode->data_size;
    tree->digest -= znode->digest;
    hash_table_remove(&tree->by_path, &znode->by_path);
    unlink_child(znode);
    disown(tree, znode);
    acl_table_release(&tree->acls, znode->acl);
    give_data(tree, znode->data, znode->data_size);
    give_znode(tree, znode);
}

/* Leaves first, without recursion: paths may be very deep. */
static void delete_descendants(struct tree *tree, struct znode *top)
{
    struct znode *at = top;
    while (at != top || top->first_child != NULL) {
        if (at->first_child != NULL) {
            at = at->first_child;
            continue;
        }
        struct znode *parent = at->parent;
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
    /* Same size: most writes. The block stays. */
    if (data.size > 0 && data.size == znode->data_size) {
        memcpy((void *)(uintptr_t)znode->data, data.data, data.size);
        return ERR_OK;
    }
    const uint8_t *copy = copy_data(tree, data);
    if (copy == NULL && data.data != NULL)
        return ERR_NO_MEMORY;
    give_data(tree, znode->data, znode->data_size);
    tree->data_bytes += data.size;
    tree->data_bytes -= znode->data_size;
    znode->data = copy;
    znode->data_size = (uint32_t)data.size;
    return ERR_OK;
}

void tree_set_acl(struct tree *tree, struct znode *znode, struct acl_entry *acl)
{
    acl_table_release(&tree->acls, znode->acl);
    znode->acl = acl;
}

void tree_stat(const struct tree *tree, const struct znode *znode, struct zk_stat *stat)
{
    const bool is_ephemeral =
        tree_owner_kind_of(znode->owner, tree->extended_types_enabled) == TREE_OWNER_SESSION;
    *stat = (struct zk_stat){
        .czxid = znode->czxid,
        .mzxid = znode->mzxid,
        .ctime = znode->ctime,
        .mtime = znode->mtime,
        .version = znode->version,
        /* Unsigned, because the counter may wrap. */
        .cversion = (int32_t)((uint32_t)znode->cversion * 2 - (uint32_t)znode->child_count),
        .aversion = znode->aversion,
        .ephemeral_owner = is_ephemeral ? znode->owner : 0,
        .data_length = (int32_t)znode->data_size,
        .num_children = znode->child_count,
        .pzxid = znode->pzxid,
    };
}

struct znode *tree_next_below(const struct znode *znode, const struct znode *top)
{
    if (znode->first_child != NULL)
        return znode->first_child;
    for (; znode != top; znode = znode->parent) {
        struct znode *next = tree_next_sibling(znode);
        if (next != NULL)
            return next;
    }
    return NULL;
}

uint64_t tree_descendant_count(const struct znode *znode)
{
    uint64_t count = 0;
    const struct znode *at = tree_next_below(znode, znode);
    for (; at != NULL; at = tree_next_below(at, znode))
        count++;
    return count;
}

size_t tree_znode_bytes(size_t name_size, size_t data_size)
{
    /* With its share of buckets while the table grows. */
    enum { bucket_bytes = 4 * sizeof(void *) };
    return slab_bytes(znode_bytes(name_size, true)) + slab_bytes(data_size) + bucket_bytes;
}

/* --- init --- */

static struct znode *add_builtin(struct tree *tree, struct znode *parent, const char *path)
{
    return tree_create(tree, parent,
                       &(struct tree_create_options){
                           .path = slice_from_text(path),
                           .data = slice_of(empty_data, 0),
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
    config->aversion = -1;
    return ERR_OK;
}

static enum err add_builtins(struct tree *tree)
{
    tree->root = take_znode(tree, SLICE_LITERAL(""), 0);
    if (tree->root == NULL)
        return ERR_NO_MEMORY;
    tree->root->acl = acl_table_share(tree->acls.open);
    tree->root->data = empty_data;
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
    };
    list_init(&tree->cursors);
    list_init(&tree->containers.znodes);
    list_init(&tree->ttl_znodes.znodes);
    if (acl_table_init(&tree->acls, heap, options.hash_seed) != ERR_OK ||
        hash_table_init(&tree->by_path, heap) != ERR_OK ||
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
        acl_table_release(&tree->acls, tree->root->acl);
        give_data(tree, tree->root->data, tree->root->data_size);
        give_znode(tree, tree->root);
    }
    if (tree->owners.heap != NULL)
        hash_table_deinit(&tree->owners);
    if (tree->by_path.heap != NULL)
        hash_table_deinit(&tree->by_path);
    acl_table_deinit(&tree->acls);
    *tree = (struct tree){0};
}

/* --- cursors --- */

void tree_cursor_open(struct tree *tree, struct tree_cursor *cursor)
{
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
    if (znode != NULL)
        cursor->next = znode->first_child != NULL ? znode->first_child : after_subtree(znode);
    return znode;
}
