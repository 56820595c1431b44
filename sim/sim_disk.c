#include "sim/sim_disk.h"

#include "sim/sim_node.h"

#include <errno.h>
#include <stdio.h>

enum { path_bytes_max = 2048 };

static const uint64_t stall_ns_mean = 1000000000;
static const uint64_t quota_free_default = (uint64_t)1 << 40;

static struct sim *sim_of(const struct sim_disk *disk)
{
    return disk->node->sim;
}

static void *take(struct sim_disk *disk, size_t size)
{
    void *block = heap_take_zeroed(disk->heap, size);
    assert(block != NULL); /* The world is too small for this workload. */
    return block;
}

static char *copy_text(struct sim_disk *disk, const char *text)
{
    const size_t size = strlen(text) + 1;
    return memcpy(take(disk, size), text, size);
}

/* ---- Bytes. ---- */

static void bytes_resize(struct sim_disk *disk, struct sim_bytes *bytes, uint64_t size)
{
    if (size > bytes->capacity) {
        const uint64_t capacity = max_u64(size, bytes->capacity * 2);
        uint8_t *data = heap_resize(disk->heap, bytes->data, capacity);
        assert(data != NULL);
        bytes->data = data;
        bytes->capacity = capacity;
    }
    if (size > bytes->size)
        memset(bytes->data + bytes->size, 0, size - bytes->size);
    bytes->size = size;
}

static void bytes_write(struct sim_disk *disk, struct sim_bytes *bytes, uint64_t offset,
                        const uint8_t *data, uint64_t size)
{
    if (size == 0)
        return;
    if (offset + size > bytes->size)
        bytes_resize(disk, bytes, offset + size);
    memcpy(bytes->data + offset, data, size);
}

static void bytes_copy(struct sim_disk *disk, struct sim_bytes *to, const struct sim_bytes *from)
{
    to->size = 0;
    bytes_write(disk, to, 0, from->data, from->size);
}

/* ---- Inodes and names. ---- */

static struct sim_inode *make_inode(struct sim_disk *disk, bool is_directory)
{
    struct sim_inode *inode = take(disk, sizeof *inode);
    inode->number = disk->inode_number++;
    inode->is_directory = is_directory;
    list_init(&inode->entries);
    list_init(&inode->durable_entries);
    list_init(&inode->changes);
    list_push(&disk->inodes, &inode->link);
    return inode;
}

void sim_disk_init(struct sim_disk *disk, struct sim_node *node, uint64_t seed)
{
    *disk = (struct sim_disk){.node = node, .heap = &node->sim->heap};
    prng_init(&disk->prng, seed);
    list_init(&disk->inodes);
    disk->root = make_inode(disk, true);
}

static struct sim_entry *find_entry(struct list *entries, const char *name)
{
    list_each (link, entries) {
        struct sim_entry *entry = CONTAINER_OF(link, struct sim_entry, link);
        if (strcmp(entry->name, name) == 0)
            return entry;
    }
    return NULL;
}

static void set_entry(struct sim_disk *disk, struct list *entries, const char *name,
                      struct sim_inode *inode)
{
    struct sim_entry *entry = find_entry(entries, name);
    if (entry == NULL) {
        entry = take(disk, sizeof *entry);
        snprintf(entry->name, sizeof entry->name, "%s", name);
        list_push(entries, &entry->link);
    }
    entry->inode = inode;
}

static void clear_entry(struct sim_disk *disk, struct list *entries, const char *name)
{
    struct sim_entry *entry = find_entry(entries, name);
    if (entry == NULL)
        return;
    list_remove(&entry->link);
    heap_give(disk->heap, entry);
}

static void clear_entries(struct sim_disk *disk, struct list *entries)
{
    while (!list_empty(entries))
        heap_give(disk->heap, CONTAINER_OF(list_pop(entries), struct sim_entry, link));
}

struct place {
    struct sim_inode *directory; /* NULL: a directory on the way is missing. */
    struct sim_inode *inode;     /* NULL: there is nothing of this name. */
    char name[256];
};

/* Relative paths start at the root too: a process has no other directory. */
static struct place find(struct sim_disk *disk, const char *path)
{
    struct place place = {.directory = disk->root, .inode = disk->root};
    while (*path != 0) {
        const size_t size = strcspn(path, "/");
        const bool is_step = size > 0 && !(size == 1 && path[0] == '.');
        if (is_step) {
            assert(size < sizeof place.name);
            place.directory = place.inode;
            if (place.directory == NULL || !place.directory->is_directory)
                return (struct place){0};
            memcpy(place.name, path, size);
            place.name[size] = 0;
            const struct sim_entry *entry = find_entry(&place.directory->entries, place.name);
            place.inode = entry == NULL ? NULL : entry->inode;
        }
        path += size + (path[size] == '/');
    }
    return place;
}

/* ---- Changes. ---- */

static void give_change(struct sim_disk *disk, struct sim_change *change)
{
    list_remove(&change->link);
    heap_give(disk->heap, change->data);
    heap_give(disk->heap, change->name_added);
    heap_give(disk->heap, change->name_removed);
    heap_give(disk->heap, change);
}

static void clear_changes(struct sim_disk *disk, struct sim_inode *inode)
{
    while (!list_empty(&inode->changes))
        give_change(disk, CONTAINER_OF(inode->changes.next, struct sim_change, link));
}

static void apply_names(struct sim_disk *disk, struct list *entries,
                        const struct sim_change *change)
{
    if (change->name_removed != NULL)
        clear_entry(disk, entries, change->name_removed);
    if (change->name_added != NULL)
        set_entry(disk, entries, change->name_added, change->inode);
}

static void apply_bytes(struct sim_disk *disk, struct sim_bytes *bytes,
                        const struct sim_change *change)
{
    switch (change->kind) {
    case SIM_CHANGE_WRITE:
        bytes_write(disk, bytes, change->offset, change->data, change->size);
        return;
    case SIM_CHANGE_RESIZE: bytes_resize(disk, bytes, change->offset); return;
    case SIM_CHANGE_GROW: bytes_resize(disk, bytes, max_u64(bytes->size, change->offset)); return;
    case SIM_CHANGE_NAMES: return;
    }
}

/* The process sees it at once. */
static void add_change(struct sim_disk *disk, struct sim_inode *inode, struct sim_change *change)
{
    change->sequence = ++disk->sequence;
    list_push(&inode->changes, &change->link);
    if (change->kind == SIM_CHANGE_NAMES)
        apply_names(disk, &inode->entries, change);
    else
        apply_bytes(disk, &inode->cache, change);
}

static void add_names(struct sim_disk *disk, struct sim_inode *directory, const char *removed,
                      const char *added, struct sim_inode *inode)
{
    struct sim_change *change = take(disk, sizeof *change);
    change->kind = SIM_CHANGE_NAMES;
    change->name_removed = removed == NULL ? NULL : copy_text(disk, removed);
    change->name_added = added == NULL ? NULL : copy_text(disk, added);
    change->inode = inode;
    add_change(disk, directory, change);
}

static void add_size(struct sim_disk *disk, struct sim_inode *inode, enum sim_change_kind kind,
                     uint64_t size)
{
    struct sim_change *change = take(disk, sizeof *change);
    change->kind = kind;
    change->offset = size;
    add_change(disk, inode, change);
}

/* Changes up to sequence become durable. */
static void make_durable(struct sim_disk *disk, struct sim_inode *inode, uint64_t sequence)
{
    list_each_safe (link, after, &inode->changes) {
        struct sim_change *change = CONTAINER_OF(link, struct sim_change, link);
        if (change->sequence > sequence)
            return;
        if (change->kind == SIM_CHANGE_NAMES)
            apply_names(disk, &inode->durable_entries, change);
        else
            apply_bytes(disk, &inode->durable, change);
        give_change(disk, change);
    }
}

/* ext4 and others: a synced file has its name, which takes the changes of the directory before. */
static void make_entry_durable(struct sim_disk *disk, const struct sim_inode *inode,
                               uint64_t sequence)
{
    list_each (link, &disk->inodes) {
        struct sim_inode *directory = CONTAINER_OF(link, struct sim_inode, link);
        uint64_t limit = 0;
        list_each (other, &directory->changes) {
            const struct sim_change *change = CONTAINER_OF(other, struct sim_change, link);
            if (change->kind == SIM_CHANGE_NAMES && change->inode == inode &&
                change->sequence <= sequence)
                limit = change->sequence;
        }
        make_durable(disk, directory, limit);
    }
}

/* ---- Forgetting files that nobody can reach. ---- */

static void mark_entries(struct list *entries)
{
    list_each (link, entries)
        CONTAINER_OF(link, struct sim_entry, link)->inode->is_marked = true;
}

static void mark_directory(struct sim_inode *directory)
{
    mark_entries(&directory->entries);
    mark_entries(&directory->durable_entries);
    list_each (link, &directory->changes) {
        struct sim_inode *inode = CONTAINER_OF(link, struct sim_change, link)->inode;
        if (inode != NULL)
            inode->is_marked = true;
    }
}

static void give_inode(struct sim_disk *disk, struct sim_inode *inode)
{
    clear_changes(disk, inode);
    clear_entries(disk, &inode->entries);
    clear_entries(disk, &inode->durable_entries);
    heap_give(disk->heap, inode->cache.data);
    heap_give(disk->heap, inode->durable.data);
    list_remove(&inode->link);
    heap_give(disk->heap, inode);
}

static void forget_unreachable(struct sim_disk *disk)
{
    list_each (link, &disk->inodes)
        CONTAINER_OF(link, struct sim_inode, link)->is_marked = false;
    disk->root->is_marked = true;
    list_each (link, &disk->inodes) {
        struct sim_inode *inode = CONTAINER_OF(link, struct sim_inode, link);
        if (inode->is_directory)
            mark_directory(inode);
    }
    list_each_safe (link, after, &disk->inodes) {
        struct sim_inode *inode = CONTAINER_OF(link, struct sim_inode, link);
        if (!inode->is_marked && !sim_node_has_open(disk->node, inode))
            give_inode(disk, inode);
    }
}

/* ---- Space. ---- */

static void count_space(struct sim_disk *disk)
{
    disk->used_bytes = 0;
    list_each (link, &disk->inodes)
        disk->used_bytes += CONTAINER_OF(link, struct sim_inode, link)->cache.size;
}

static bool has_space(struct sim_disk *disk, const struct sim_inode *inode, uint64_t end)
{
    if (disk->quota_bytes == 0 || end <= inode->cache.size)
        return true;
    count_space(disk);
    return disk->used_bytes + (end - inode->cache.size) <= disk->quota_bytes;
}

uint64_t sim_disk_free_bytes(const struct sim_disk *disk)
{
    if (disk->quota_bytes == 0)
        return quota_free_default;
    uint64_t used = 0;
    list_each (link, &disk->inodes)
        used += CONTAINER_OF(link, struct sim_inode, link)->cache.size;
    return used >= disk->quota_bytes ? 0 : disk->quota_bytes - used;
}

/* ---- Operations. ---- */

static struct sim_inode *file_of(struct sim_disk *disk, const struct io_op *op)
{
    const struct sim_handle *handle = sim_node_handle(disk->node, op->handle);
    assert(handle->kind == SIM_HANDLE_FILE);
    return handle->inode;
}

static int64_t do_open(struct sim_disk *disk, const struct io_op *op)
{
    const uint32_t flags = op->path.flags;
    struct place place = find(disk, op->path.path);
    if (place.directory == NULL)
        return -ENOENT;
    if (place.inode == NULL && !(flags & IO_OPEN_CREATE))
        return -ENOENT;
    if (place.inode != NULL && (flags & IO_OPEN_EXCLUSIVE))
        return -EEXIST;
    if (place.inode != NULL && place.inode->is_directory && (flags & IO_OPEN_WRITE))
        return -EISDIR;
    if (place.inode != NULL && !place.inode->is_directory && (flags & IO_OPEN_DIRECTORY))
        return -ENOTDIR;

    const bool is_new = place.inode == NULL;
    if (is_new)
        place.inode = make_inode(disk, false);
    const int32_t handle = sim_node_handle_take(
        disk->node,
        (struct sim_handle){.kind = SIM_HANDLE_FILE, .inode = place.inode, .flags = flags});
    if (is_new && handle >= 0)
        add_names(disk, place.directory, NULL, place.name, place.inode);
    else if (is_new)
        give_inode(disk, place.inode);
    else if (handle >= 0 && (flags & IO_OPEN_TRUNCATE) && place.inode->cache.size > 0)
        add_size(disk, place.inode, SIM_CHANGE_RESIZE, 0);
    return handle;
}

struct slice sim_inode_bytes(const struct sim_inode *inode, uint64_t offset, uint64_t size)
{
    if (offset >= inode->cache.size)
        return (struct slice){.data = (const uint8_t *)"", .size = 0};
    return slice_of(inode->cache.data + offset, min_u64(size, inode->cache.size - offset));
}

static int64_t do_read(struct sim_disk *disk, const struct io_op *op)
{
    struct sim *sim = sim_of(disk);
    struct slice bytes = sim_inode_bytes(file_of(disk, op), op->read.offset, op->read.size);
    if (sim_draw(&disk->prng, sim->faults.read_error_per_million)) {
        sim->counters.disk_errors++;
        return -EIO;
    }
    if (bytes.size > 1 && sim_draw(&disk->prng, sim->faults.short_read_per_million))
        bytes.size = prng_between(&disk->prng, 1, bytes.size);
    if (bytes.size > 0)
        memcpy(op->read.data, bytes.data, bytes.size);
    return (int64_t)bytes.size;
}

static int64_t do_write(struct sim_disk *disk, const struct io_op *op)
{
    struct sim_inode *inode = file_of(disk, op);
    assert(sim_node_handle(disk->node, op->handle)->flags & IO_OPEN_WRITE);
    assert(op->write.vector_count <= io_vector_count_max);
    uint64_t size = 0;
    for (uint32_t index = 0; index < op->write.vector_count; index++)
        size += op->write.vectors[index].iov_len;
    if (!has_space(disk, inode, op->write.offset + size))
        return -ENOSPC;

    struct sim_change *change = take(disk, sizeof *change);
    change->kind = SIM_CHANGE_WRITE;
    change->offset = op->write.offset;
    change->size = size;
    change->data = take(disk, size + 1);
    uint64_t at = 0;
    for (uint32_t index = 0; index < op->write.vector_count; index++) {
        const struct iovec *vector = &op->write.vectors[index];
        if (vector->iov_len > 0)
            memcpy(change->data + at, vector->iov_base, vector->iov_len);
        at += vector->iov_len;
    }
    sim_trace_bytes(sim_of(disk), slice_of(change->data, size));
    sim_of(disk)->counters.bytes_written += size;
    add_change(disk, inode, change);
    return (int64_t)size;
}

/* A failed sync: the kernel takes the pages for clean all the same, or throws them away. */
static int64_t fail_sync(struct sim_disk *disk, struct sim_inode *inode)
{
    if (!inode->is_directory) {
        if (sim_of(disk)->faults.sync_error_reverts)
            bytes_copy(disk, &inode->cache, &inode->durable);
        clear_changes(disk, inode);
    }
    return -EIO;
}

static int64_t sync_now(struct sim_disk *disk, const struct sim_pending *pending)
{
    struct sim *sim = sim_of(disk);
    struct sim_inode *inode = file_of(disk, pending->op);
    sim->counters.syncs++;
    make_durable(disk, inode, pending->limit_sequence);
    if (sim->faults.file_sync_keeps_entry && !inode->is_directory)
        make_entry_durable(disk, inode, pending->limit_sequence);
    return 0;
}

static int64_t do_sync(struct sim_disk *disk, const struct sim_pending *pending)
{
    struct sim *sim = sim_of(disk);
    if (!sim_draw(&disk->prng, sim->faults.sync_error_per_million))
        return sync_now(disk, pending);
    sim->counters.disk_errors++;
    return fail_sync(disk, file_of(disk, pending->op));
}

static int64_t do_resize(struct sim_disk *disk, const struct io_op *op)
{
    struct sim_inode *inode = file_of(disk, op);
    const bool is_truncate = op->kind == IO_TRUNCATE;
    const uint64_t size = op->range.offset + (is_truncate ? 0 : op->range.size);
    if (!is_truncate && !has_space(disk, inode, size))
        return -ENOSPC;
    add_size(disk, inode, is_truncate ? SIM_CHANGE_RESIZE : SIM_CHANGE_GROW, size);
    return 0;
}

static int64_t do_rename(struct sim_disk *disk, const struct io_op *op)
{
    const struct place from = find(disk, op->path.path);
    const struct place to = find(disk, op->path.path_to);
    if (from.inode == NULL || to.directory == NULL)
        return -ENOENT;
    if (to.inode == from.inode)
        return 0;
    if (from.directory == to.directory) {
        add_names(disk, to.directory, from.name, to.name, from.inode);
        return 0;
    }
    add_names(disk, to.directory, NULL, to.name, from.inode);
    add_names(disk, from.directory, from.name, NULL, NULL);
    return 0;
}

static int64_t do_unlink(struct sim_disk *disk, const struct io_op *op)
{
    const bool wants_directory = (op->path.flags & IO_OPEN_DIRECTORY) != 0;
    const struct place place = find(disk, op->path.path);
    if (place.inode == NULL)
        return -ENOENT;
    if (place.inode->is_directory != wants_directory)
        return wants_directory ? -ENOTDIR : -EISDIR;
    if (wants_directory && !list_empty(&place.inode->entries))
        return -ENOTEMPTY;
    add_names(disk, place.directory, place.name, NULL, NULL);
    return 0;
}

static int64_t do_mkdir(struct sim_disk *disk, const struct io_op *op)
{
    const struct place place = find(disk, op->path.path);
    if (place.directory == NULL)
        return -ENOENT;
    if (place.inode != NULL)
        return -EEXIST;
    add_names(disk, place.directory, NULL, place.name, make_inode(disk, true));
    return 0;
}

static int64_t do_close(struct sim_disk *disk, const struct io_op *op)
{
    struct sim_handle *handle = sim_node_handle(disk->node, op->handle);
    *handle = (struct sim_handle){.kind = SIM_HANDLE_NONE};
    return 0;
}

static int64_t perform(struct sim_disk *disk, const struct sim_pending *pending)
{
    const struct io_op *op = pending->op;
    switch (op->kind) {
    case IO_OPEN: return do_open(disk, op);
    case IO_READ: return do_read(disk, op);
    case IO_WRITE: return do_write(disk, op);
    case IO_SYNC: return do_sync(disk, pending);
    case IO_ALLOCATE:
    case IO_TRUNCATE: return do_resize(disk, op);
    case IO_RENAME: return do_rename(disk, op);
    case IO_UNLINK: return do_unlink(disk, op);
    case IO_MKDIR: return do_mkdir(disk, op);
    case IO_CLOSE: return do_close(disk, op);
    case IO_ACCEPT:
    case IO_CONNECT:
    case IO_RECV:
    case IO_SEND:
    case IO_SEND_FILE:
    case IO_TIMER: break;
    }
    assert(false && "not an operation of the disk");
    return -EINVAL;
}

static bool is_broken_at(struct sim_disk *disk, const char *path)
{
    const struct place place = find(disk, path);
    return (place.inode != NULL && place.inode->is_broken) ||
           (place.directory != NULL && place.directory->is_broken);
}

static bool meets_broken(struct sim_disk *disk, const struct io_op *op)
{
    switch (op->kind) {
    case IO_OPEN:
    case IO_UNLINK:
    case IO_MKDIR: return is_broken_at(disk, op->path.path);
    case IO_RENAME:
        return is_broken_at(disk, op->path.path) || is_broken_at(disk, op->path.path_to);
    case IO_READ:
    case IO_WRITE:
    case IO_SYNC:
    case IO_ALLOCATE:
    case IO_TRUNCATE: return file_of(disk, op)->is_broken;
    case IO_CLOSE:
    case IO_ACCEPT:
    case IO_CONNECT:
    case IO_RECV:
    case IO_SEND:
    case IO_SEND_FILE:
    case IO_TIMER: return false;
    }
    return false;
}

static void break_inode(struct sim_inode *inode, bool is_broken)
{
    inode->is_broken = is_broken;
    list_each (link, &inode->entries)
        break_inode(CONTAINER_OF(link, struct sim_entry, link)->inode, is_broken);
}

void sim_disk_break(struct sim_disk *disk, const char *path, bool is_broken)
{
    const struct place place = find(disk, path);
    assert(place.inode != NULL);
    break_inode(place.inode, is_broken);
}

static bool is_mutating(const struct io_op *op)
{
    switch (op->kind) {
    case IO_OPEN: return (op->path.flags & (IO_OPEN_CREATE | IO_OPEN_TRUNCATE)) != 0;
    case IO_WRITE:
    case IO_SYNC:
    case IO_ALLOCATE:
    case IO_TRUNCATE:
    case IO_RENAME:
    case IO_UNLINK:
    case IO_MKDIR: return true;
    case IO_READ:
    case IO_CLOSE:
    case IO_ACCEPT:
    case IO_CONNECT:
    case IO_RECV:
    case IO_SEND:
    case IO_SEND_FILE:
    case IO_TIMER: return false;
    }
    return false;
}

static void happen_operation(struct sim *sim, const struct sim_event *event)
{
    struct sim_pending *pending = event->subject;
    struct sim_disk *disk = &pending->node->disk;
    if (is_mutating(pending->op)) {
        disk->boundary_count++;
        if (disk->boundary_count == disk->crash_boundary) {
            disk->crash_boundary = 0;
            sim_node_lose_power(disk->node, disk->crash_loss);
            return;
        }
        const bool is_write = pending->op->kind == IO_WRITE || pending->op->kind == IO_TRUNCATE;
        if (disk->boundary_count == disk->error_boundary ||
            (is_write && sim_draw(&disk->prng, sim->faults.write_error_per_million))) {
            sim->counters.disk_errors++;
            const int64_t error = disk->error == 0 ? -EIO : -disk->error;
            if (pending->op->kind == IO_SYNC)
                fail_sync(disk, file_of(disk, pending->op));
            sim_node_complete(pending, error);
            return;
        }
    }
    if (meets_broken(disk, pending->op)) {
        sim->counters.disk_errors++;
        if (pending->op->kind == IO_SYNC)
            fail_sync(disk, file_of(disk, pending->op));
        sim_node_complete(pending, -EIO);
        return;
    }
    sim_node_complete(pending, perform(disk, pending));
}

void sim_disk_submit(struct sim_disk *disk, struct sim_pending *pending)
{
    const struct sim_faults *faults = &sim_of(disk)->faults;
    const bool is_sync = pending->op->kind == IO_SYNC;
    uint64_t delay =
        1000 + sim_draw_ns(&disk->prng, is_sync ? faults->sync_ns_mean : faults->disk_ns_mean);
    delay += disk->delay_ns_extra;
    if (sim_draw(&disk->prng, faults->stall_per_million))
        delay += sim_draw_ns(&disk->prng, stall_ns_mean);
    pending->limit_sequence = disk->sequence;
    sim_schedule(
        sim_of(disk), delay,
        (struct sim_event){.happen = happen_operation, .node = disk->node, .subject = pending});
}

/* A sync does not fail here, as nobody would hear of it: Linux keeps such an error for the next who
 * opens the file and syncs it. */
void sim_disk_settle(struct sim_disk *disk, struct sim_pending *pending)
{
    if (is_mutating(pending->op) && prng_chance(&disk->prng, 1, 2)) {
        const bool is_sync = pending->op->kind == IO_SYNC;
        const int64_t result = is_sync ? sync_now(disk, pending) : perform(disk, pending);
        sim_trace(sim_of(disk), disk->node->index, 2000, (uint64_t)result);
    }
}

/* ---- Power loss. ---- */

/* What becomes of one file's or directory's changes. */
struct verdict {
    enum sim_loss loss;
    uint64_t last_sequence; /* PREFIX, TORN: the last one kept. */
    uint64_t block_bytes;   /* SUBSET, GARBAGE. */
};

static uint64_t pick_sequence(struct sim_disk *disk, const struct list *changes)
{
    uint64_t count = 0;
    list_each (link, changes)
        count++;
    uint64_t kept = prng_between(&disk->prng, 0, count);
    uint64_t sequence = 0;
    list_each (link, changes) {
        if (kept-- == 0)
            break;
        sequence = CONTAINER_OF(link, struct sim_change, link)->sequence;
    }
    return sequence;
}

/* Copies the blocks of a write that happened to reach the disk, within the size that did. */
static void write_blocks(struct sim_disk *disk, struct sim_inode *inode,
                         const struct sim_change *change, uint64_t block_bytes)
{
    const uint64_t end = min_u64(change->offset + change->size, inode->durable.size);
    uint64_t at = change->offset;
    while (at < end) {
        const uint64_t next = min_u64(end, (at / block_bytes + 1) * block_bytes);
        if (prng_chance(&disk->prng, 1, 2))
            memcpy(inode->durable.data + at, change->data + (at - change->offset), next - at);
        else
            sim_of(disk)->counters.writes_torn++;
        at = next;
    }
}

static void fill_garbage(struct sim_disk *disk, struct sim_bytes *bytes, uint64_t from)
{
    for (uint64_t at = from; at < bytes->size; at++)
        bytes->data[at] = (uint8_t)prng_next(&disk->prng);
}

/* Sizes are the file system's journal: a prefix of their changes; the data are pages: any of them.
 */
static void lose_pages(struct sim_disk *disk, struct sim_inode *inode,
                       const struct verdict *verdict)
{
    const uint64_t size_sequence = pick_sequence(disk, &inode->changes);
    list_each (link, &inode->changes) {
        const struct sim_change *change = CONTAINER_OF(link, struct sim_change, link);
        const uint64_t size = inode->durable.size;
        if (change->kind == SIM_CHANGE_WRITE) {
            const uint64_t end = change->offset + change->size;
            if (end > size && change->sequence <= size_sequence) {
                bytes_resize(disk, &inode->durable, end);
                if (verdict->loss == SIM_LOSS_GARBAGE)
                    fill_garbage(disk, &inode->durable, max_u64(size, change->offset));
            }
            write_blocks(disk, inode, change, verdict->block_bytes);
        } else if (change->sequence <= size_sequence) {
            apply_bytes(disk, &inode->durable, change);
        }
    }
}

static void lose_behind(struct sim_disk *disk, struct sim_inode *inode,
                        const struct verdict *verdict)
{
    list_each (link, &inode->changes) {
        struct sim_change *change = CONTAINER_OF(link, struct sim_change, link);
        if (change->sequence > verdict->last_sequence) {
            sim_of(disk)->counters.changes_lost++;
            continue;
        }
        if (change->sequence == verdict->last_sequence && verdict->loss == SIM_LOSS_TORN &&
            change->kind == SIM_CHANGE_WRITE) {
            change->size = prng_between(&disk->prng, 0, change->size);
            sim_of(disk)->counters.writes_torn++;
        }
        apply_bytes(disk, &inode->durable, change);
    }
}

static void lose_names(struct sim_disk *disk, struct sim_inode *directory,
                       const struct verdict *verdict)
{
    const bool any = verdict->loss == SIM_LOSS_SUBSET || verdict->loss == SIM_LOSS_GARBAGE;
    list_each (link, &directory->changes) {
        const struct sim_change *change = CONTAINER_OF(link, struct sim_change, link);
        const bool is_kept =
            any ? prng_chance(&disk->prng, 1, 2) : change->sequence <= verdict->last_sequence;
        if (is_kept)
            apply_names(disk, &directory->durable_entries, change);
        else
            sim_of(disk)->counters.changes_lost++;
    }
}

static void lose_inode(struct sim_disk *disk, struct sim_inode *inode, struct verdict verdict,
                       bool is_common_prefix)
{
    const bool is_prefix = verdict.loss == SIM_LOSS_PREFIX || verdict.loss == SIM_LOSS_TORN;
    if (is_prefix && !is_common_prefix)
        verdict.last_sequence = pick_sequence(disk, &inode->changes);
    if (inode->is_directory)
        lose_names(disk, inode, &verdict);
    else if (verdict.loss == SIM_LOSS_SUBSET || verdict.loss == SIM_LOSS_GARBAGE)
        lose_pages(disk, inode, &verdict);
    else
        lose_behind(disk, inode, &verdict);
    clear_changes(disk, inode);
    bytes_copy(disk, &inode->cache, &inode->durable);
    clear_entries(disk, &inode->entries);
    list_each (link, &inode->durable_entries) {
        const struct sim_entry *entry = CONTAINER_OF(link, struct sim_entry, link);
        set_entry(disk, &inode->entries, entry->name, entry->inode);
    }
}

/* The oldest unsynced change of any file: a common prefix ends behind it. */
static uint64_t oldest_change(const struct sim_disk *disk)
{
    uint64_t oldest = disk->sequence;
    list_each (link, &disk->inodes) {
        const struct sim_inode *inode = CONTAINER_OF(link, struct sim_inode, link);
        const struct list *first = list_first(&inode->changes);
        if (first != NULL)
            oldest = min_u64(oldest, CONTAINER_OF(first, struct sim_change, link)->sequence - 1);
    }
    return oldest;
}

void sim_disk_lose_power(struct sim_disk *disk, enum sim_loss loss)
{
    static const uint64_t block_sizes[] = {512, 4096};
    struct verdict verdict = {.loss = loss};
    if (loss == SIM_LOSS_RANDOM)
        verdict.loss = (enum sim_loss)prng_below(&disk->prng, sim_loss_count);
    verdict.block_bytes = block_sizes[prng_below(&disk->prng, ARRAY_COUNT(block_sizes))];
    const bool is_common_prefix = prng_chance(&disk->prng, 1, 2);
    if (verdict.loss == SIM_LOSS_NONE)
        verdict.last_sequence = UINT64_MAX;
    else if (verdict.loss != SIM_LOSS_ALL)
        verdict.last_sequence = prng_between(&disk->prng, oldest_change(disk), disk->sequence);

    sim_trace(sim_of(disk), disk->node->index, 3000 + (uint64_t)verdict.loss, disk->sequence);
    list_each (link, &disk->inodes)
        lose_inode(disk, CONTAINER_OF(link, struct sim_inode, link), verdict, is_common_prefix);
    forget_unreachable(disk);
}

/* ---- Looking. ---- */

int sim_disk_list(struct sim_disk *disk, const char *path,
                  void (*entry)(void *context, const char *name), void *context)
{
    const struct place place = find(disk, path);
    if (place.inode == NULL)
        return -ENOENT;
    if (place.inode->is_broken)
        return -EIO;
    if (!place.inode->is_directory)
        return -ENOTDIR;
    uint64_t count = 0;
    list_each (link, &place.inode->entries)
        count++;
    if (count == 0)
        return 0;
    /* From some place on, in either direction: whoever needs an order must sort. */
    const bool is_reversed = prng_chance(&disk->prng, 1, 2);
    struct list *at = &place.inode->entries;
    for (uint64_t skip = prng_below(&disk->prng, count + 1); skip > 0; skip--)
        at = at->next;
    for (uint64_t left = count; left > 0; at = is_reversed ? at->prev : at->next) {
        if (at == &place.inode->entries)
            continue;
        entry(context, CONTAINER_OF(at, struct sim_entry, link)->name);
        left--;
    }
    return 0;
}

int sim_disk_info(struct sim_disk *disk, const char *path, struct io_file_info *out)
{
    const struct place place = find(disk, path);
    if (place.inode == NULL)
        return -ENOENT;
    if (place.inode->is_broken)
        return -EIO;
    *out = (struct io_file_info){
        .size_bytes = place.inode->cache.size,
        .is_directory = place.inode->is_directory,
        .is_regular = !place.inode->is_directory,
    };
    return 0;
}

struct slice sim_disk_peek(struct sim_disk *disk, const char *path)
{
    const struct place place = find(disk, path);
    if (place.inode == NULL)
        return SLICE_NULL;
    return sim_inode_bytes(place.inode, 0, UINT64_MAX);
}

struct slice sim_disk_peek_durable(struct sim_disk *disk, const char *path)
{
    const struct place place = find(disk, path);
    if (place.inode == NULL)
        return SLICE_NULL;
    return slice_of(place.inode->durable.size == 0 ? (const uint8_t *)""
                                                   : place.inode->durable.data,
                    place.inode->durable.size);
}

bool sim_disk_corrupt(struct sim_disk *disk, const char *path, uint64_t offset, uint8_t bits)
{
    const struct place place = find(disk, path);
    if (place.inode == NULL || offset >= place.inode->cache.size)
        return false;
    place.inode->cache.data[offset] ^= bits;
    if (offset < place.inode->durable.size)
        place.inode->durable.data[offset] ^= bits;
    return true;
}
