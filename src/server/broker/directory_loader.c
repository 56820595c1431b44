#include "server/broker/directory_loader.h"

#include "base/assert.h"
#include "broker/checkpoint_file.h"
#include "broker/partition_name.h"
#include "journal/small_file.h"
#include "server/broker/directory_checkpoints.h"
#include "server/broker/log_directory.h"
#include "server/broker/partition_loader.h"
#include "server/broker/partition_removal.h"
#include "server/broker/partition_store.h"

#include <errno.h>
#include <stdio.h>

enum { path_bytes = 1024, checkpoint_bytes_max = 256 << 20, loads_at_once = 32 };

static void print_path(const struct log_directory *directory, const char *name, char *path)
{
    const int size = snprintf(path, path_bytes, "%s/%s", directory->options.path, name);
    assert(size > 0 && size < path_bytes);
}

/* ---- Open. ---- */

static enum err lock_directory(struct log_directory *directory)
{
    char path[path_bytes];
    print_path(directory, ".lock", path);
    struct io_op op = {.kind = IO_OPEN,
                       .handle = io_handle_none,
                       .path = {.path = path, .flags = IO_OPEN_WRITE | IO_OPEN_CREATE}};
    const int64_t handle = io_wait(directory->io, &op);
    if (handle < 0)
        return err_from_errno((int)handle);
    directory->lock = (int32_t)handle;
    const int locked = io_lock(directory->io, directory->lock);
    if (locked == 0)
        return ERR_OK;
    diag_error(directory->diag, "%s is locked: another broker uses %s", path,
               directory->options.path);
    op = (struct io_op){.kind = IO_CLOSE, .handle = directory->lock};
    (void)io_wait(directory->io, &op);
    directory->lock = io_handle_none;
    return ERR_BUSY;
}

static enum err read_meta(struct log_directory *directory)
{
    char path[path_bytes];
    char text[meta_properties_text_bytes_max * 4];
    print_path(directory, "meta.properties", path);
    const int64_t size = small_file_read_wait(directory->io, path, text, sizeof text);
    if (size == -ENOENT)
        return ERR_OK;
    enum err err = size < 0 ? err_from_errno((int)size) : ERR_OK;
    if (err == ERR_OK)
        err = meta_properties_decode(&directory->meta, slice_of(text, (size_t)size));
    if (err == ERR_UNSUPPORTED)
        diag_error(
            directory->diag,
            "%s: expected version=0; version=1 belongs to a broker without ZooKeeper (KRaft)",
            path);
    else if (err != ERR_OK)
        diag_error(directory->diag, "%s: %s", path, err_text(err));
    directory->has_meta = err == ERR_OK;
    return err;
}

enum err directory_loader_open(struct log_directory *directory)
{
    assert(directory->state == DIRECTORY_NEW);
    const int64_t made = small_file_make_directory_wait(directory->io, directory->options.path);
    enum err err = made < 0 ? err_from_errno((int)made) : ERR_OK;
    if (err == ERR_OK)
        err = lock_directory(directory);
    if (err == ERR_OK)
        err = read_meta(directory);
    else if (err != ERR_BUSY)
        diag_error(directory->diag, "%s: %s", directory->options.path, err_text(err));
    if (err == ERR_OK)
        directory->state = DIRECTORY_OPEN;
    return err;
}

/* ---- Load. ---- */

static enum err sync_root(struct log_directory *directory)
{
    struct io_op op = {
        .kind = IO_OPEN,
        .handle = io_handle_none,
        .path = {.path = directory->options.path, .flags = IO_OPEN_READ | IO_OPEN_DIRECTORY}};
    const int64_t handle = io_wait(directory->io, &op);
    if (handle < 0)
        return err_from_errno((int)handle);
    op = (struct io_op){.kind = IO_SYNC, .handle = (int32_t)handle};
    const int64_t result = io_wait(directory->io, &op);
    op = (struct io_op){.kind = IO_CLOSE, .handle = (int32_t)handle};
    (void)io_wait(directory->io, &op);
    return result < 0 ? err_from_errno((int)result) : ERR_OK;
}

/* The marker is only good for the start that finds it: gone before anything is read. Without it the
 * names that are found may not be on the disk yet: they are from here on. */
static enum err take_clean_marker(struct log_directory *directory)
{
    char path[path_bytes];
    struct io_file_info info;
    print_path(directory, directory_clean_marker, path);
    directory->was_clean = io_file_info(directory->io, path, &info) == 0;
    if (!directory->was_clean)
        return sync_root(directory);
    struct io_op op = {.kind = IO_UNLINK, .handle = io_handle_none, .path = {.path = path}};
    const int64_t result = io_wait(directory->io, &op);
    return result < 0 ? err_from_errno((int)result) : sync_root(directory);
}

struct listing {
    struct log_directory *directory;
    enum err err;
    bool has_futures;  /* That were passed by, */
    bool wants_future; /* and which are all that is wanted. */
};

static enum err add_partition(struct log_directory *directory, const struct partition_name *parsed,
                              const char *name)
{
    if (log_directory_partition_count(directory) >= directory->options.partition_count_max) {
        diag_error(directory->diag, "%s holds more than %u partitions", directory->options.path,
                   directory->options.partition_count_max);
        return ERR_LIMIT;
    }
    const struct partition_config config =
        directory->events.config_of(directory->events.context, parsed->topic, parsed->partition);
    struct partition_store *store =
        parsed->kind == PARTITION_NAME_FUTURE
            ? partition_store_take_future(directory, parsed->topic, parsed->partition, config, name)
            : partition_store_take(directory, parsed->topic, parsed->partition, config);
    if (store == NULL)
        return ERR_NO_MEMORY;
    log_directory_add(directory, store);
    return ERR_OK;
}

/* A copy beside the replica itself, or a second one, moves nothing: nobody makes such. */
static enum err add_future(struct log_directory *directory, const struct partition_name *parsed,
                           const char *name)
{
    if (log_directory_find(directory, parsed->topic, parsed->partition) == NULL)
        return add_partition(directory, parsed, name);
    diag_warn(directory->diag, "%s/%s is left alone: the partition is here already",
              directory->options.path, name);
    return ERR_OK;
}

static bool is_directory_of_others(const char *name)
{
    return strcmp(name, "__cluster_metadata-0") == 0 || strcmp(name, "remote-log-index-cache") == 0;
}

static void on_entry(void *context, const char *name)
{
    struct listing *listing = context;
    struct log_directory *directory = listing->directory;
    char path[path_bytes];
    struct io_file_info info;
    const int size = snprintf(path, sizeof path, "%s/%s", directory->options.path, name);
    if (listing->err != ERR_OK || size < 0 || size >= path_bytes ||
        io_file_info(directory->io, path, &info) < 0 || !info.is_directory ||
        is_directory_of_others(name))
        return;
    const struct partition_name parsed = partition_name_parse(slice_from_text(name));
    if (listing->wants_future && parsed.kind != PARTITION_NAME_FUTURE)
        return;
    switch (parsed.kind) {
    case PARTITION_NAME_LIVE: listing->err = add_partition(directory, &parsed, name); return;
    case PARTITION_NAME_DELETED:
        partition_removal_add(directory,
                              (struct removal_options){.path = path, .is_directory = true});
        return;
    case PARTITION_NAME_FUTURE:
        listing->has_futures = true;
        if (listing->wants_future)
            listing->err = add_future(directory, &parsed, name);
        return;
    case PARTITION_NAME_STRAY:
        diag_warn(directory->diag, "%s is left alone: a stray replica of Apache's", path);
        return;
    case PARTITION_NAME_UNRELATED:
        diag_error(directory->diag,
                   "%s is no partition: keep other directories out of %s (log.dirs)", path,
                   directory->options.path);
        listing->err = ERR_CONFIG;
        return;
    }
}

/* A checkpoint that cannot be read counts as empty: recovery reads more then. */
static enum err read_checkpoint(struct log_directory *directory, const char *name,
                                void (*use)(struct partition_store *store, int64_t offset))
{
    char path[path_bytes];
    struct io_file_info info;
    print_path(directory, name, path);
    if (io_file_info(directory->io, path, &info) < 0 || info.size_bytes == 0)
        return ERR_OK; /* Apache's brokers begin with an empty file. */
    if (info.size_bytes > checkpoint_bytes_max)
        return ERR_LIMIT;
    char *text = heap_take(directory->heap, (size_t)info.size_bytes + 1);
    if (text == NULL)
        return ERR_NO_MEMORY;
    const int64_t size =
        small_file_read_wait(directory->io, path, text, (size_t)info.size_bytes + 1);
    struct checkpoint_reader reader;
    struct checkpoint_entry entry;
    enum err err =
        size < 0 ? ERR_IO : checkpoint_reader_init(&reader, slice_of(text, (size_t)size));
    while (err == ERR_OK && checkpoint_reader_next(&reader, true, &entry, &err)) {
        struct partition_store *store = log_directory_find(directory, entry.topic, entry.number);
        if (store != NULL)
            use(store, entry.offset);
        directory->has_stale_entries |= store == NULL;
    }
    if (err != ERR_OK)
        diag_warn(directory->diag, "%s: %s; what follows there is not used", path, err_text(err));
    heap_give(directory->heap, text);
    return ERR_OK;
}

static void use_recovery_point(struct partition_store *store, int64_t offset)
{
    store->recovery_point = offset;
}

static void use_log_start(struct partition_store *store, int64_t offset)
{
    store->log_start_offset = offset;
}

static void use_high_watermark(struct partition_store *store, int64_t offset)
{
    store->watermark.checkpointed = offset;
}

/* The stores by what a mark says of them, with at least as many empty places among them. */
struct mark_lookup {
    struct log_directory *directory;
    struct partition_store **places;
    uint64_t mask;
};

static uint64_t mark_place(const struct mark_lookup *lookup, uint64_t name, int32_t partition)
{
    return hash_u64((uint32_t)partition, name ^ lookup->directory->hash_seed) & lookup->mask;
}

static enum err mark_lookup_init(struct mark_lookup *lookup, struct log_directory *directory)
{
    uint64_t count = 2;
    while (count < 2 * directory->stores.count)
        count *= 2;
    *lookup = (struct mark_lookup){
        .directory = directory,
        .places = heap_take_zeroed(directory->heap, count * sizeof(struct partition_store *)),
        .mask = count - 1,
    };
    if (lookup->places == NULL)
        return ERR_NO_MEMORY;
    uint64_t position = 0;
    for (struct partition_store *store = log_directory_next(directory, &position, NULL);
         store != NULL; store = log_directory_next(directory, &position, store)) {
        uint64_t place = mark_place(lookup, synced_mark_name(store->topic), store->partition);
        while (lookup->places[place] != NULL)
            place = (place + 1) & lookup->mask;
        lookup->places[place] = store;
    }
    return ERR_OK;
}

/* Only the mark of this life of the topic counts. */
static bool use_mark(void *context, uint32_t slot, const struct synced_mark *mark)
{
    const struct mark_lookup *lookup = context;
    struct partition_store *store;
    for (uint64_t place = mark_place(lookup, mark->name, mark->partition);
         (store = lookup->places[place]) != NULL; place = (place + 1) & lookup->mask) {
        if (store->partition != mark->partition || topic_id_is_none(&store->id) ||
            !topic_id_equal(&store->id, &mark->id) ||
            synced_mark_name(store->topic) != mark->name || store->mark_slot != UINT32_MAX)
            continue;
        store->synced_mark = mark->offset;
        store->mark_sequence = mark->sequence;
        store->mark_slot = slot;
        return true;
    }
    return false;
}

static enum err load_marks(struct log_directory *directory)
{
    struct mark_lookup lookup;
    enum err err = mark_lookup_init(&lookup, directory);
    if (err == ERR_OK)
        err = synced_marks_open(&directory->marks, directory->io, directory->heap,
                                directory->options.path, use_mark, &lookup);
    heap_give(directory->heap, lookup.places);
    return err;
}

/* Partitions that are being loaded: one is read while the disk syncs others. */
struct loads {
    struct partition_loader loaders[loads_at_once];
    uint32_t busy_count;
    uint32_t offline_count;
    enum err err; /* The first one. */
};

static void on_loaded(struct partition_loader *loader, enum err err)
{
    struct partition_store *store = loader->store;
    struct loads *loads = loader->context;
    if (err != ERR_OK)
        diag_error(loader->diag, "%s: %s", store->path, err_text(err));
    if (loads->err == ERR_OK)
        loads->err = err;
    loads->offline_count += store->offline_reason != NULL;
    loads->busy_count--;
    loader->store = NULL;
    if (err == ERR_OK)
        log_directory_queue_metadata(store->directory, store);
}

static struct partition_loader *idle_loader(struct loads *loads)
{
    for (uint32_t i = 0; i < loads_at_once; i++)
        if (loads->loaders[i].store == NULL)
            return &loads->loaders[i];
    return NULL;
}

static void load_store(struct log_directory *directory, struct loads *loads,
                       const struct partition_loader *pattern, struct partition_store *store)
{
    struct partition_loader *loader;
    while ((loader = idle_loader(loads)) == NULL)
        io_run(directory->io, UINT64_MAX);
    *loader = *pattern;
    loader->store = store;
    loader->context = loads;
    loader->done = on_loaded;
    loads->busy_count++;
    partition_loader_load(loader);
}

static enum err load_stores(struct log_directory *directory, const struct partition_loader *pattern)
{
    uint64_t position = 0;
    struct loads loads = {.err = ERR_OK};
    for (struct partition_store *store = log_directory_next(directory, &position, NULL);
         store != NULL && loads.err == ERR_OK;
         store = log_directory_next(directory, &position, store))
        load_store(directory, &loads, pattern, store);
    while (loads.busy_count > 0)
        io_run(directory->io, UINT64_MAX);
    if (loads.err != ERR_OK)
        return loads.err;
    diag_info(directory->diag, "%s: %u partitions loaded%s, %u offline", directory->options.path,
              log_directory_partition_count(directory),
              directory->was_clean ? "" : " and recovered", loads.offline_count);
    return directory->offline_reason == NULL ? ERR_OK : ERR_IO;
}

/* Copies last: whether the partition is here itself must be known. */
static enum err list_all(struct log_directory *directory)
{
    struct listing listing = {.directory = directory, .err = ERR_OK};
    for (;;) {
        const int listed =
            io_list_directory(directory->io, directory->options.path, on_entry, &listing);
        if (listed < 0)
            return err_from_errno(listed);
        if (listing.err != ERR_OK || listing.wants_future || !listing.has_futures)
            return listing.err;
        listing.wants_future = true;
    }
}

static enum err load(struct log_directory *directory, struct partition_loader *loader)
{
    enum err err = take_clean_marker(directory);
    loader->was_clean = directory->was_clean;
    if (err != ERR_OK)
        return err;
    err = list_all(directory);
    if (err != ERR_OK)
        return err;
    uint64_t position = 0;
    for (struct partition_store *store = log_directory_next(directory, &position, NULL);
         store != NULL; store = log_directory_next(directory, &position, store)) {
        loader->store = store;
        partition_loader_load_metadata(loader);
    }
    err = read_checkpoint(directory, directory_recovery_points, use_recovery_point);
    if (err == ERR_OK)
        err = read_checkpoint(directory, directory_log_starts, use_log_start);
    if (err == ERR_OK)
        err = read_checkpoint(directory, directory_high_watermarks, use_high_watermark);
    if (err == ERR_OK)
        err = load_marks(directory);
    if (err == ERR_OK)
        err = load_stores(directory, loader);
    /* They must not be taken for those of a later partition of that name. */
    if (err == ERR_OK && directory->has_stale_entries)
        err = directory_checkpoints_write_all_wait(directory);
    return err;
}

enum err directory_loader_load(struct log_directory *directory)
{
    assert(directory->state == DIRECTORY_OPEN);
    struct partition_loader loader = {
        .io = directory->io,
        .heap = directory->heap,
        .diag = directory->diag,
        .buffer = heap_take(directory->heap, partition_loader_buffer_bytes),
    };
    if (loader.buffer == NULL)
        return ERR_NO_MEMORY;
    const enum err err = load(directory, &loader);
    heap_give(directory->heap, loader.buffer);
    if (err == ERR_OK)
        directory->state = DIRECTORY_LOADED;
    return err;
}
