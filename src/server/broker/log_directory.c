#include "server/broker/log_directory.h"

#include "base/assert.h"
#include "broker/partition_name.h"
#include "server/broker/directory_checkpoints.h"
#include "server/broker/directory_loader.h"
#include "server/broker/partition_cut.h"
#include "server/broker/partition_loader.h"
#include "server/broker/partition_removal.h"
#include "server/broker/partition_scan.h"
#include "server/broker/partition_store.h"

#include <errno.h>
#include <stdio.h>

enum {
    path_bytes = 1024,
    flush_pause_ms = 1000,
    expiry_interval_ms = 600000,
    rest_interval_ms = 30000,
    close_poll_ms = 2,
    writer_count = 64,
};

static const uint64_t ns_per_ms = 1000000;
static const uint64_t reserve_bytes = 16u << 20;

struct log_directory_options log_directory_options_default(const char *path)
{
    return (struct log_directory_options){
        .path = path,
        .flush_checkpoint_ms = 60000,
        .high_watermark_checkpoint_ms = 5000,
        .retention_check_ms = 300000,
        .producer_id_expiration_ms = 86400000,
        .producer_count_max = 1000000,
        .open_file_count_max = 2000,
        .open_file_idle_ms = 300000,
        .partition_count_max = 100000,
        .reserve_bytes = reserve_bytes,
        .unpacked_batch_bytes_max = 64 << 20,
    };
}

/* ---- Life. ---- */

static void on_disk_failed(struct journal_disk *disk, const char *what, const char *path, int error)
{
    (void)path;
    (void)error; /* The disk has told in a diag line. */
    log_directory_fail(disk->options.user, what);
}

static void on_marks_failed(void *context, const char *what, int64_t result)
{
    struct log_directory *directory = context;
    journal_disk_fail(&directory->disk, what, directory->marks.path, result);
}

static void on_flushed(struct index_flush *flush, int64_t result);

static void init_fields(struct log_directory *directory)
{
    directory->state = DIRECTORY_NEW;
    directory->lock = io_handle_none;
    directory->marks.handle = io_handle_none;
    directory->marks.context = directory;
    directory->marks.on_failed = on_marks_failed;
    list_init(&directory->marks.dirty);
    list_init(&directory->busy_stores);
    list_init(&directory->flushes);
    list_init(&directory->scans_waiting);
    list_init(&directory->deferred);
    list_init(&directory->cuts);
    list_init(&directory->deletions);
    deadline_queue_init(&directory->removals);
    file_queue_init(&directory->files, directory->io, directory->heap);
    directory_sync_init(&directory->sync, directory->io, directory->options.path);
    io_entropy(directory->io, &directory->hash_seed, sizeof directory->hash_seed);
    directory->producers = (struct producer_budget){
        .heap = directory->heap,
        .seed = directory->hash_seed,
        .count_max = directory->options.producer_count_max,
    };
    for (uint32_t i = 0; i < index_flush_count; i++)
        directory->flush_slots[i].done = on_flushed;
}

enum err log_directory_init(struct log_directory **out, struct io *io, struct heap *heap,
                            struct diag *diag, struct log_directory_options options,
                            struct log_directory_events events)
{
    struct log_directory *directory = heap_take_zeroed(heap, sizeof *directory);
    *out = NULL;
    if (directory == NULL)
        return ERR_NO_MEMORY;
    directory->io = io;
    directory->heap = heap;
    directory->diag = diag;
    directory->options = options;
    directory->events = events;
    init_fields(directory);
    enum err err = journal_disk_init(&directory->disk, io, heap, diag,
                                     (struct journal_disk_options){
                                         .path = options.path,
                                         .reserve_bytes = options.reserve_bytes,
                                         .writer_count = writer_count,
                                         .handle_count_max = options.open_file_count_max,
                                         .pass_write = options.pass_write,
                                         .on_failed = on_disk_failed,
                                         .user = directory,
                                     });
    if (err == ERR_OK)
        err = hash_table_init(&directory->stores, heap);
    if (err == ERR_OK)
        err = pool_init(&directory->scans, heap,
                        (struct pool_options){.item_size = sizeof(struct partition_scan),
                                              .item_count = partition_scan_count});
    *out = directory;
    return err;
}

void log_directory_deinit(struct log_directory *directory)
{
    uint64_t position = 0;
    struct partition_store *store = log_directory_next(directory, &position, NULL);
    while (store != NULL) {
        struct partition_store *next = log_directory_next(directory, &position, store);
        journal_deinit(&store->journal);
        partition_store_give(store);
        store = next;
    }
    partition_removal_forget_all(directory);
    journal_disk_deinit(&directory->disk);
    heap_give(directory->heap, directory->marks.free_slots);
    pool_deinit(&directory->scans, directory->heap);
    hash_table_deinit(&directory->stores);
    heap_give(directory->heap, directory);
}

enum err log_directory_open(struct log_directory *directory)
{
    return directory_loader_open(directory);
}

const struct meta_properties *log_directory_meta(const struct log_directory *directory)
{
    return directory->has_meta ? &directory->meta : NULL;
}

static uint64_t after_ms(const struct log_directory *directory, int64_t ms)
{
    return io_now_ns(directory->io) + (uint64_t)ms * ns_per_ms;
}

enum err log_directory_load(struct log_directory *directory)
{
    const enum err err = directory_loader_load(directory);
    if (err != ERR_OK)
        return err;
    enum { first_retention_ms = 30000 };
    directory->flush_checkpoint_at_ns = after_ms(directory, directory->options.flush_checkpoint_ms);
    directory->high_watermark_checkpoint_at_ns =
        after_ms(directory, directory->options.high_watermark_checkpoint_ms);
    directory->retention_at_ns =
        after_ms(directory, min_i64(first_retention_ms, directory->options.retention_check_ms));
    directory->expiry_at_ns = after_ms(directory, expiry_interval_ms);
    directory->rest_at_ns = after_ms(directory, rest_interval_ms);
    return ERR_OK;
}

bool log_directory_is_offline(const struct log_directory *directory)
{
    return directory->offline_reason != NULL;
}

void log_directory_fail(struct log_directory *directory, const char *reason)
{
    if (directory->offline_reason != NULL)
        return;
    directory->offline_reason = reason;
    diag_error(directory->diag, "%s is offline: %s failed", directory->options.path, reason);
    uint64_t position = 0;
    for (struct partition_store *store = log_directory_next(directory, &position, NULL);
         store != NULL; store = log_directory_next(directory, &position, store))
        partition_store_fail(store, "its log directory failed");
    directory->events.on_offline(directory->events.context, directory, reason);
    log_directory_on_idle(directory, NULL); /* Nobody waits for the disk any more. */
}

void log_directory_check_write(struct log_directory *directory, const char *what, const char *path,
                               int64_t result)
{
    if (result == -ENOSPC || result == -EDQUOT)
        diag_warn(directory->diag, "%s: %s failed: the disk is full", path, what);
    else if (result < 0)
        journal_disk_fail(&directory->disk, what, path, result);
}

void log_directory_check_read(struct log_directory *directory, const char *path, int64_t result)
{
    if (result == -EIO || result == -ENOENT)
        journal_disk_fail(&directory->disk, "read", path, result);
}

/* ---- The table. ---- */

struct store_key {
    struct slice topic;
    int32_t partition;
};

static bool is_store(const struct hash_link *link, const void *key)
{
    const struct partition_store *store = CONTAINER_OF(link, const struct partition_store, link);
    const struct store_key *wanted = key;
    return store->partition == wanted->partition && slice_equal(store->topic, wanted->topic);
}

static uint64_t hash_of(const struct log_directory *directory, struct slice topic,
                        int32_t partition)
{
    return hash_bytes(topic, directory->hash_seed + (uint64_t)partition);
}

struct partition_store *log_directory_find(struct log_directory *directory, struct slice topic,
                                           int32_t partition)
{
    const struct store_key key = {.topic = topic, .partition = partition};
    struct hash_link *link =
        hash_table_find(&directory->stores, hash_of(directory, topic, partition), is_store, &key);
    return link == NULL ? NULL : CONTAINER_OF(link, struct partition_store, link);
}

struct partition_store *log_directory_next(struct log_directory *directory, uint64_t *position,
                                           struct partition_store *previous)
{
    struct hash_link *link =
        hash_table_next(&directory->stores, position, previous == NULL ? NULL : &previous->link);
    return link == NULL ? NULL : CONTAINER_OF(link, struct partition_store, link);
}

uint32_t log_directory_partition_count(const struct log_directory *directory)
{
    return (uint32_t)directory->stores.count;
}

void log_directory_add(struct log_directory *directory, struct partition_store *store)
{
    hash_table_add(&directory->stores, &store->link,
                   hash_of(directory, store->topic, store->partition));
}

/* ---- What waits for the loop to turn: callbacks, scans. ---- */

static void start_scans(struct log_directory *directory)
{
    while (!list_empty(&directory->scans_waiting)) {
        struct partition_scan *scan = pool_acquire(&directory->scans);
        if (scan == NULL)
            return;
        struct list *link = list_pop(&directory->scans_waiting);
        struct partition_wait *wait = CONTAINER_OF(link, struct partition_wait, link);
        scan->batch = NULL;
        if (wait->is_lookup)
            partition_scan_start_lookup(scan, CONTAINER_OF(wait, struct partition_lookup, wait));
        else
            partition_scan_start_read(scan, CONTAINER_OF(wait, struct partition_read, wait));
    }
}

static void close_step(struct log_directory *directory);

static void on_deferred(struct io_op *op, int64_t result)
{
    struct log_directory *directory = CONTAINER_OF(op, struct log_directory, defer_op);
    struct list deferred;
    (void)result;
    directory->is_deferring = false;
    list_init(&deferred);
    list_splice(&deferred, &directory->deferred);
    for (struct list *link = list_pop(&deferred); link != NULL; link = list_pop(&deferred)) {
        struct partition_append *append = CONTAINER_OF(link, struct partition_append, link);
        struct partition_store *store = append->store;
        append->done(append, KAFKA_NONE);
        store->busy_count--;
    }
    start_scans(directory);
    partition_cut_resume(directory);
    partition_removal_on_idle(directory);
    if (directory->state == DIRECTORY_CLOSING)
        close_step(directory);
}

static void defer_by(struct log_directory *directory, int64_t ms)
{
    if (directory->is_deferring)
        return;
    directory->is_deferring = true;
    directory->defer_op = (struct io_op){.kind = IO_TIMER,
                                         .handle = io_handle_none,
                                         .done = on_deferred,
                                         .timer.deadline_ns = after_ms(directory, ms)};
    io_submit(directory->io, &directory->defer_op);
}

void log_directory_defer(struct log_directory *directory)
{
    defer_by(directory, 0);
}

void log_directory_defer_append(struct log_directory *directory, struct list *append_link)
{
    CONTAINER_OF(append_link, struct partition_append, link)->store->busy_count++;
    list_push(&directory->deferred, append_link);
    log_directory_defer(directory);
}

void log_directory_queue_scan(struct log_directory *directory, struct list *wait_link)
{
    CONTAINER_OF(wait_link, struct partition_wait, link)->store->busy_count++;
    list_push(&directory->scans_waiting, wait_link);
    log_directory_defer(directory);
}

void log_directory_release_scan(struct log_directory *directory, struct partition_scan *scan)
{
    struct partition_store *store = scan->store;
    pool_release(&directory->scans, scan);
    store->busy_count--;
    if (!list_empty(&directory->scans_waiting) || store->is_deleting || store->cut != NULL ||
        directory->state == DIRECTORY_CLOSING)
        log_directory_defer(directory);
}

void log_directory_on_idle(struct log_directory *directory, struct partition_store *store)
{
    /* Not at once: the caller may still use the store. */
    const bool is_deleting =
        store == NULL ? !list_empty(&directory->deletions) : store->is_deleting;
    if (is_deleting || directory->state == DIRECTORY_CLOSING || !list_empty(&directory->cuts))
        log_directory_defer(directory);
}

/* ---- Index entries on their way to the files. ---- */

static void pump_flushes(struct log_directory *directory)
{
    if (directory->offline_reason != NULL ||
        io_now_ns(directory->io) < directory->flush_pause_until_ns)
        return;
    for (uint32_t i = 0; i < index_flush_count; i++) {
        struct index_flush *flush = &directory->flush_slots[i];
        if (flush->segment != NULL || list_empty(&directory->flushes))
            continue;
        struct partition_segment *segment =
            CONTAINER_OF(list_pop(&directory->flushes), struct partition_segment, flush_link);
        segment->is_flushing = true;
        segment->store->busy_count++;
        index_flush_start(flush, directory->io, segment);
    }
}

static void on_flushed(struct index_flush *flush, int64_t result)
{
    struct partition_segment *segment = flush->segment;
    struct partition_store *store = segment->store;
    struct log_directory *directory = store->directory;
    flush->segment = NULL;
    segment->is_flushing = false;
    store->busy_count--;
    if (result == -ENOSPC || result == -EDQUOT)
        directory->flush_pause_until_ns = after_ms(directory, flush_pause_ms);
    else if (result < 0)
        journal_disk_fail(&directory->disk, "write of an index", flush->path, result);
    segment->is_index_complete |= result == 0 && flush->is_last;
    if (segment->is_dropped)
        partition_store_give_segment(segment);
    else if (segment->is_sealed && !segment->is_index_complete)
        log_directory_queue_flush(directory, segment);
    pump_flushes(directory);
    log_directory_on_idle(directory, store);
}

void log_directory_queue_flush(struct log_directory *directory, struct partition_segment *segment)
{
    if (segment->is_flushing || list_linked(&segment->flush_link))
        return;
    list_push(&directory->flushes, &segment->flush_link);
    pump_flushes(directory);
}

/* ---- Small files of a store. ---- */

static void on_metadata(void *context, int64_t result)
{
    struct partition_store *store = context;
    struct log_directory *directory = store->directory;
    store->is_writing = false;
    const int64_t epochs_from = store->epochs_writing_from;
    store->epochs_writing_from = INT64_MAX;
    log_directory_check_write(directory, "write of a small file", store->path, result);
    log_directory_queue_metadata(directory, store);
    if (result < 0 && epochs_from != INT64_MAX) { /* A full disk: later. */
        store->is_epochs_dirty = true;
        store->epochs_dirty_from = min_i64(store->epochs_dirty_from, epochs_from);
    }
    log_directory_on_idle(directory, store);
}

static enum err write_file(struct partition_store *store, const char *name, struct slice bytes)
{
    char path[path_bytes];
    const int size = snprintf(path, sizeof path, "%s/%s", store->path, name);
    assert(size > 0 && size < path_bytes);
    const enum err err =
        file_queue_replace(&store->directory->files, path, bytes, on_metadata, store);
    store->is_writing |= err == ERR_OK;
    return err;
}

static enum err write_epochs(struct partition_store *store)
{
    struct heap *heap = store->directory->heap;
    const size_t capacity = leader_epochs_text_bytes(&store->epochs);
    char *text = heap_take(heap, capacity);
    if (text == NULL)
        return ERR_NO_MEMORY;
    const size_t size = leader_epochs_encode(&store->epochs, text, capacity);
    const enum err err = write_file(store, "leader-epoch-checkpoint", slice_of(text, size));
    heap_give(heap, text);
    return err;
}

/* As long as no segment lies between the batches that leader-epoch-checkpoint does not know of and
 * the end, recovery reads them anyway: ten thousand partitions that are led anew write no file. */
static bool are_epochs_due(const struct log_directory *directory, struct partition_store *store)
{
    const struct partition_segment *active = partition_store_active(store);
    if (!store->is_epochs_dirty || store->offline_reason != NULL || active == NULL)
        return false;
    return directory->state == DIRECTORY_CLOSING || store->is_future ||
           store->epochs_dirty_from < active->index.base_offset;
}

void log_directory_queue_metadata(struct log_directory *directory, struct partition_store *store)
{
    if (store->is_writing || store->is_deleting || directory->offline_reason != NULL)
        return;
    if (store->is_metadata_dirty) {
        char text[partition_metadata_text_bytes];
        const size_t size = partition_loader_print_metadata(&store->id, text);
        if (write_file(store, "partition.metadata", slice_of(text, size)) == ERR_OK)
            store->is_metadata_dirty = false;
        return;
    }
    if (are_epochs_due(directory, store) && write_epochs(store) == ERR_OK) {
        store->is_epochs_dirty = false;
        store->epochs_writing_from = store->epochs_dirty_from;
        store->epochs_dirty_from = INT64_MAX;
    }
}

static void on_snapshot(void *context, int64_t result)
{
    struct partition_store *store = context;
    store->busy_count--;
    log_directory_check_write(store->directory, "write of a producer snapshot", store->path,
                              result);
    log_directory_on_idle(store->directory, store);
}

void log_directory_write_snapshot(struct log_directory *directory, struct partition_store *store)
{
    char path[path_bytes];
    const size_t size = producer_state_snapshot_bytes(&store->producers);
    uint8_t *bytes = heap_take(directory->heap, size);
    if (bytes == NULL ||
        !index_flush_print_path(path, sizeof path, store->path, store->log_end_offset, ".snapshot"))
        return;
    producer_state_encode(&store->producers, bytes);
    if (file_queue_replace(&directory->files, path, slice_of(bytes, size), on_snapshot, store) ==
        ERR_OK) {
        store->busy_count++;
        store->is_changed = false;
    }
    heap_give(directory->heap, bytes);
}

void log_directory_remove_segment_files(struct log_directory *directory,
                                        const struct partition_store *store, int64_t base_offset)
{
    static const struct {
        const char *suffix;
        bool is_delayed;
    } files[] = {
        {".log.deleted", true}, {".index", false},    {".timeindex", false},
        {".snapshot", false},   {".txnindex", false},
    };
    char path[path_bytes];
    for (size_t i = 0; i < ARRAY_COUNT(files); i++)
        if (index_flush_print_path(path, sizeof path, store->path, base_offset, files[i].suffix))
            partition_removal_add(
                directory,
                (struct removal_options){
                    .path = path,
                    .delay_ms = files[i].is_delayed ? store->config.file_delete_delay_ms : 0});
}

/* ---- Identity. ---- */

struct identification {
    struct log_directory *directory;
    void (*done)(void *context, enum err err);
    void *context;
    enum err err;
    struct io_op op;
};

static void finish_identify(struct identification *identification)
{
    struct heap *heap = identification->directory->heap;
    void (*done)(void *context, enum err err) = identification->done;
    void *context = identification->context;
    const enum err err = identification->err;
    heap_give(heap, identification);
    done(context, err);
}

static void on_meta_written(void *context, int64_t result)
{
    struct identification *identification = context;
    struct log_directory *directory = identification->directory;
    directory->has_meta = result >= 0;
    if (result < 0)
        journal_disk_fail(&directory->disk, "write of meta.properties", directory->options.path,
                          result);
    finish_identify(identification);
}

static void on_compared(struct io_op *op, int64_t result)
{
    (void)result;
    finish_identify(CONTAINER_OF(op, struct identification, op));
}

static enum err compare_meta(struct log_directory *directory,
                             struct log_directory_identity identity)
{
    const struct meta_properties *meta = &directory->meta;
    if (meta->cluster_id[0] != 0 && strcmp(meta->cluster_id, identity.cluster_id) != 0) {
        diag_error(directory->diag,
                   "%s/meta.properties: cluster.id is %s, but the keeper's cluster is %s: the "
                   "directory belongs to another cluster",
                   directory->options.path, meta->cluster_id, identity.cluster_id);
        return ERR_CONFIG;
    }
    if (meta->broker_id != -1 && meta->broker_id != identity.broker_id) {
        diag_error(directory->diag, "%s/meta.properties: broker.id is %d, but this broker is %d",
                   directory->options.path, meta->broker_id, identity.broker_id);
        return ERR_CONFIG;
    }
    return ERR_OK;
}

/* False: nothing was started, identification->err says why. */
static bool write_meta(struct identification *identification,
                       struct log_directory_identity identity)
{
    struct log_directory *directory = identification->directory;
    char path[path_bytes];
    char text[meta_properties_text_bytes_max];
    if (strlen(identity.cluster_id) >= sizeof directory->meta.cluster_id) {
        identification->err = ERR_LIMIT;
        return false;
    }
    directory->meta.broker_id = identity.broker_id;
    memcpy(directory->meta.cluster_id, identity.cluster_id, strlen(identity.cluster_id) + 1);
    const size_t size = meta_properties_encode(&directory->meta, text, sizeof text);
    const int path_size =
        snprintf(path, sizeof path, "%s/meta.properties", directory->options.path);
    assert(path_size > 0 && path_size < path_bytes);
    identification->err = file_queue_replace(&directory->files, path, slice_of(text, size),
                                             on_meta_written, identification);
    return identification->err == ERR_OK;
}

void log_directory_identify(struct log_directory *directory, struct log_directory_identity identity,
                            void (*done)(void *context, enum err err), void *context)
{
    struct identification *identification =
        heap_take_zeroed(directory->heap, sizeof *identification);
    if (identification == NULL) {
        done(context, ERR_NO_MEMORY);
        return;
    }
    identification->directory = directory;
    identification->done = done;
    identification->context = context;
    if (directory->has_meta)
        identification->err = compare_meta(directory, identity);
    else if (write_meta(identification, identity))
        return;
    identification->op = (struct io_op){.kind = IO_TIMER,
                                        .handle = io_handle_none,
                                        .done = on_compared,
                                        .timer.deadline_ns = io_now_ns(directory->io)};
    io_submit(directory->io, &identification->op);
}

/* ---- A new partition. ---- */

struct creation {
    struct log_directory *directory;
    struct partition_store *store;
    void (*done)(void *context, enum err err, struct partition_store *store);
    void *context;
    enum err err;
    bool is_made;            /* Its directory is there. */
    struct removal *removal; /* Of that, if it comes to nothing. */
    struct io_op op;
    struct directory_sync_wait sync;
};

/* The next attempt must not find its directory. */
static void undo_creation(struct creation *creation)
{
    struct partition_store *store = creation->store;
    if (creation->is_made) {
        partition_removal_use(creation->removal,
                              (struct removal_options){.path = store->path, .is_directory = true});
        creation->removal = NULL;
    }
    hash_table_remove(&creation->directory->stores, &store->link);
    journal_deinit(&store->journal);
    partition_store_give(store);
}

static void end_creation(struct creation *creation)
{
    struct log_directory *directory = creation->directory;
    struct partition_store *store = creation->store;
    void (*done)(void *context, enum err err, struct partition_store *store) = creation->done;
    void *context = creation->context;
    enum err err = creation->err;
    if (store != NULL && err == ERR_OK) {
        journal_start_empty(&store->journal);
        err = partition_store_add_segment(store, 0);
        store->offline_reason = directory->offline_reason;
    }
    if (store != NULL && err != ERR_OK) {
        undo_creation(creation);
        store = NULL;
    }
    heap_give(directory->heap, creation->removal);
    heap_give(directory->heap, creation);
    if (store != NULL)
        log_directory_queue_metadata(directory, store);
    done(context, err, store);
}

static void on_creation_metadata(void *context, int64_t result)
{
    struct creation *creation = context;
    log_directory_check_write(creation->directory, "write of partition.metadata",
                              creation->store->path, result);
    if (result < 0)
        creation->err = err_from_errno((int)result);
    end_creation(creation);
}

/* The topic's id is on the disk before the first record: it says whose records they are. */
static void write_creation_metadata(struct creation *creation)
{
    struct partition_store *store = creation->store;
    char path[path_bytes];
    char text[partition_metadata_text_bytes];
    if (creation->err == ERR_OK && !topic_id_is_none(&store->id)) {
        const int size = snprintf(path, sizeof path, "%s/partition.metadata", store->path);
        assert(size > 0 && size < path_bytes);
        const size_t text_size = partition_loader_print_metadata(&store->id, text);
        creation->err =
            file_queue_replace(&creation->directory->files, path, slice_of(text, text_size),
                               on_creation_metadata, creation);
        if (creation->err == ERR_OK)
            return;
    }
    end_creation(creation);
}

static void fail_creation(struct creation *creation, int64_t result)
{
    diag_error(creation->directory->diag, "%s: cannot be created: %s", creation->store->path,
               err_text(err_from_errno((int)result)));
    creation->err = err_from_errno((int)result);
    if (result != -EEXIST)
        log_directory_check_write(creation->directory, "creation of a partition",
                                  creation->store->path, result);
    end_creation(creation);
}

static void on_creation_synced(struct directory_sync_wait *wait, int64_t result)
{
    struct creation *creation = CONTAINER_OF(wait, struct creation, sync);
    if (result < 0) {
        creation->err = err_from_errno((int)result);
        journal_disk_fail(&creation->directory->disk, "sync of the directory",
                          creation->directory->options.path, result);
    }
    write_creation_metadata(creation);
}

static void on_made(struct io_op *op, int64_t result)
{
    struct creation *creation = CONTAINER_OF(op, struct creation, op);
    if (result < 0) {
        fail_creation(creation, result);
        return;
    }
    creation->is_made = true;
    creation->sync.done = on_creation_synced;
    directory_sync_join(&creation->directory->sync, &creation->sync);
}

static void on_refused(struct io_op *op, int64_t result)
{
    (void)result;
    end_creation(CONTAINER_OF(op, struct creation, op));
}

static struct partition_store *take_store(struct log_directory *directory,
                                          const struct partition_spec *spec)
{
    char name[partition_name_bytes_max];
    uint8_t id[16];
    if (!spec->is_future)
        return partition_store_take(directory, spec->topic, spec->partition, spec->config);
    io_entropy(directory->io, id, sizeof id);
    partition_name_print_future(spec->topic, spec->partition, id, name);
    return partition_store_take_future(directory, spec->topic, spec->partition, spec->config, name);
}

static enum err prepare_creation(struct creation *creation, const struct partition_spec *spec)
{
    struct log_directory *directory = creation->directory;
    if (directory->offline_reason != NULL || directory->state != DIRECTORY_LOADED)
        return ERR_IO;
    if (log_directory_find(directory, spec->topic, spec->partition) != NULL)
        return ERR_EXISTS;
    if (directory->stores.count >= directory->options.partition_count_max)
        return ERR_LIMIT;
    const enum err err = journal_disk_admit(&directory->disk, 1);
    if (err != ERR_OK)
        return err;
    creation->removal = partition_removal_reserve(directory);
    struct partition_store *store = creation->removal == NULL ? NULL : take_store(directory, spec);
    if (store == NULL)
        return ERR_NO_MEMORY;
    store->id = spec->id;
    store->offline_reason = "it is being created";
    log_directory_add(directory, store);
    creation->store = store;
    return ERR_OK;
}

void log_directory_create(struct log_directory *directory, struct partition_spec spec,
                          void (*done)(void *context, enum err err, struct partition_store *store),
                          void *context)
{
    struct creation *creation = heap_take_zeroed(directory->heap, sizeof *creation);
    if (creation == NULL) {
        done(context, ERR_NO_MEMORY, NULL);
        return;
    }
    creation->directory = directory;
    creation->done = done;
    creation->context = context;
    creation->err = prepare_creation(creation, &spec);
    creation->op = creation->err != ERR_OK
                       ? (struct io_op){.kind = IO_TIMER,
                                        .handle = io_handle_none,
                                        .done = on_refused,
                                        .timer.deadline_ns = io_now_ns(directory->io)}
                       : (struct io_op){.kind = IO_MKDIR,
                                        .handle = io_handle_none,
                                        .done = on_made,
                                        .path = {.path = creation->store->path}};
    io_submit(directory->io, &creation->op);
}

void log_directory_delete(struct log_directory *directory, struct partition_store *store,
                          void (*done)(void *context, enum err err), void *context)
{
    assert(!store->is_deleting);
    hash_table_remove(&directory->stores, &store->link);
    directory->is_high_watermark_changed = true; /* A later partition of the name begins anew. */
    partition_removal_delete(directory, store, done, context);
}

/* ---- Time. ---- */

static void retain_all(struct log_directory *directory)
{
    const int64_t now_ms = io_wall_ms(directory->io);
    uint64_t position = 0;
    for (struct partition_store *store = log_directory_next(directory, &position, NULL);
         store != NULL; store = log_directory_next(directory, &position, store)) {
        partition_store_retain(store, now_ms);
        log_directory_queue_metadata(directory, store);
    }
}

void log_directory_expire_producers_after(struct log_directory *directory, int64_t ms)
{
    directory->options.producer_id_expiration_ms = ms;
}

void log_directory_note_busy(struct log_directory *directory, struct partition_store *store)
{
    if (!list_linked(&store->rest_link))
        list_push(&directory->busy_stores, &store->rest_link);
}

static void rest_all(struct log_directory *directory)
{
    list_each_safe (link, after, &directory->busy_stores)
        if (!partition_store_rest(CONTAINER_OF(link, struct partition_store, rest_link)))
            list_remove(link);
}

static void expire_all(struct log_directory *directory)
{
    const int64_t now_ms = io_wall_ms(directory->io);
    uint64_t position = 0;
    for (struct partition_store *store = log_directory_next(directory, &position, NULL);
         store != NULL; store = log_directory_next(directory, &position, store))
        producer_state_expire(&store->producers, now_ms,
                              directory->options.producer_id_expiration_ms);
}

static bool is_due(struct log_directory *directory, uint64_t *at_ns, int64_t interval_ms)
{
    if (io_now_ns(directory->io) < *at_ns)
        return false;
    *at_ns = after_ms(directory, interval_ms);
    return true;
}

/* Without memory for the text the next time will do. */
static void write_high_watermarks(struct log_directory *directory)
{
    if (directory_checkpoints_write_high_watermarks(directory) != ERR_OK)
        diag_warn(directory->diag, "%s: no memory to write %s", directory->options.path,
                  directory_high_watermarks);
}

static void write_checkpoint_set(struct log_directory *directory)
{
    if (directory_checkpoints_write_set(directory) != ERR_OK)
        diag_warn(directory->diag, "%s: no memory to write checkpoints", directory->options.path);
}

/* Truncations whose checkpoints a full disk did not take. */
static void retry_cuts(struct log_directory *directory)
{
    if (list_empty(&directory->cuts))
        return;
    if (directory->has_checkpoint_set_failed && directory->checkpoint_set_count == 0)
        write_checkpoint_set(directory);
    log_directory_defer(directory);
}

void log_directory_tick(struct log_directory *directory)
{
    const struct log_directory_options *options = &directory->options;
    if (directory->state != DIRECTORY_LOADED || directory->offline_reason != NULL)
        return;
    synced_marks_sync(&directory->marks);
    journal_disk_rest(&directory->disk, (uint64_t)options->open_file_idle_ms);
    partition_removal_tick(directory);
    retry_cuts(directory);
    pump_flushes(directory);
    const bool is_writing = directory->checkpoints_writing > 0;
    if (!is_writing &&
        is_due(directory, &directory->high_watermark_checkpoint_at_ns,
               options->high_watermark_checkpoint_ms) &&
        directory->is_high_watermark_changed)
        write_high_watermarks(directory);
    if (!is_writing &&
        is_due(directory, &directory->flush_checkpoint_at_ns, options->flush_checkpoint_ms)) {
        write_checkpoint_set(directory);
    }
    if (is_due(directory, &directory->retention_at_ns, options->retention_check_ms))
        retain_all(directory);
    if (is_due(directory, &directory->rest_at_ns, rest_interval_ms))
        rest_all(directory);
    if (is_due(directory, &directory->expiry_at_ns, expiry_interval_ms))
        expire_all(directory);
}

/* ---- The clean end. ---- */

enum close_step {
    CLOSE_WAIT,        /* For appends, scans, small files. */
    CLOSE_FLUSH,       /* Index entries and snapshots are being written. */
    CLOSE_JOURNALS,    /* Journals sync and close. */
    CLOSE_CHECKPOINTS, /* The checkpoints, then the marks. */
    CLOSE_MARKS,
    CLOSE_MARKER,
    CLOSE_DONE,
};

/* Index entries that a full disk does not take are made anew by the next start's recovery. */
static bool has_flushes(struct log_directory *directory)
{
    if (list_empty(&directory->flushes) || directory->offline_reason != NULL)
        return false;
    if (io_now_ns(directory->io) >= directory->flush_pause_until_ns)
        return true;
    directory->closing.has_failed = true;
    return false;
}

static bool is_idle(struct log_directory *directory)
{
    uint64_t position = 0;
    if (has_flushes(directory) || !list_empty(&directory->deletions) ||
        directory->files.count > 0 || directory->checkpoints_writing > 0 ||
        directory->removal != NULL || !synced_marks_is_idle(&directory->marks))
        return false;
    for (struct partition_store *store = log_directory_next(directory, &position, NULL);
         store != NULL; store = log_directory_next(directory, &position, store))
        if (!list_empty(&store->appends) || store->busy_count > 0 || store->is_writing ||
            store->is_requesting)
            return false;
    return true;
}

static void flush_store(struct log_directory *directory, struct partition_store *store)
{
    if (list_empty(&store->segments))
        return;
    struct partition_segment *active = partition_store_active(store);
    if (active->file->size_bytes > 0) {
        segment_index_seal(&active->index);
        active->is_sealed = true;
        active->is_index_complete = false;
        log_directory_queue_flush(directory, active);
    }
    if (store->is_changed)
        log_directory_write_snapshot(directory, store);
    log_directory_queue_metadata(directory, store);
}

static void on_store_closed(struct journal_request *request, enum err err)
{
    struct partition_store *store = CONTAINER_OF(request, struct partition_store, request);
    struct log_directory *directory = store->directory;
    if (err == ERR_OK)
        store->durable_offset = store->log_end_offset;
    store->is_requesting = false;
    directory->closing.open_count--;
    directory->closing.has_failed |= err != ERR_OK;
    log_directory_on_idle(directory, store);
}

/* Starts something in every store that is online; what remains offline forbids the marker. */
static void flush_all(struct log_directory *directory)
{
    uint64_t position = 0;
    for (struct partition_store *store = log_directory_next(directory, &position, NULL);
         store != NULL; store = log_directory_next(directory, &position, store)) {
        if (store->offline_reason != NULL)
            directory->closing.has_failed = true;
        else
            flush_store(directory, store);
    }
}

static void close_journals(struct log_directory *directory)
{
    uint64_t position = 0;
    for (struct partition_store *store = log_directory_next(directory, &position, NULL);
         store != NULL; store = log_directory_next(directory, &position, store)) {
        if (store->offline_reason != NULL || !store->journal.is_started)
            continue;
        directory->closing.has_failed |=
            store->is_epochs_dirty; /* A full disk did not take them. */
        store->is_requesting = true;
        directory->closing.open_count++;
        store->request.done = on_store_closed;
        journal_close(&store->journal, &store->request);
    }
}

/* After the journals: every store ends at its log end, on the disk. */
static void write_last_checkpoints(struct log_directory *directory)
{
    uint64_t position = 0;
    if (directory->offline_reason != NULL)
        return; /* They stay as they are, with what was never read. */
    for (struct partition_store *store = log_directory_next(directory, &position, NULL);
         store != NULL; store = log_directory_next(directory, &position, store))
        if (store->offline_reason == NULL && store->durable_offset > max_i64(store->synced_mark, 0))
            synced_marks_note(&directory->marks, store);
    write_checkpoint_set(directory);
}

static void write_marker(struct log_directory *directory)
{
    const bool is_clean = !directory->closing.has_failed && !directory->has_checkpoint_failed &&
                          directory->offline_reason == NULL;
    if (is_clean && directory_checkpoints_write_marker(directory) == ERR_OK)
        return;
    diag_warn(directory->diag, "%s: no clean end, the next start will recover",
              directory->options.path);
    directory->closing.has_failed = true;
}

static void finish_close(struct log_directory *directory)
{
    const enum err err = directory->closing.has_failed ? ERR_IO : ERR_OK;
    directory->closing.done(directory->closing.context, err);
}

static void on_handle_closed(struct io_op *op, int64_t result)
{
    struct log_directory *directory = CONTAINER_OF(op, struct log_directory, defer_op);
    (void)result;
    int32_t *handles[] = {&directory->marks.handle, &directory->lock};
    for (size_t i = 0; i < ARRAY_COUNT(handles); i++) {
        const int32_t handle = *handles[i];
        if (handle == io_handle_none)
            continue;
        *handles[i] = io_handle_none;
        directory->defer_op =
            (struct io_op){.kind = IO_CLOSE, .handle = handle, .done = on_handle_closed};
        io_submit(directory->io, &directory->defer_op);
        return;
    }
    finish_close(directory);
}

/* Of journals that were not closed, as their partition is offline or the load did not end: what
 * they have begun by themselves. */
static bool has_journal_in_flight(struct log_directory *directory)
{
    uint64_t position = 0;
    for (struct partition_store *store = log_directory_next(directory, &position, NULL);
         store != NULL; store = log_directory_next(directory, &position, store))
        if (journal_is_in_flight(&store->journal))
            return true;
    return false;
}

/* Does the next step if the last one has ended. */
static void close_step(struct log_directory *directory)
{
    const bool is_last = directory->closing.step == CLOSE_MARKER;
    if (directory->closing.open_count > 0 || !is_idle(directory) ||
        (is_last && has_journal_in_flight(directory))) {
        defer_by(directory, close_poll_ms);
        return;
    }
    const enum close_step step = (enum close_step)directory->closing.step++;
    switch (step) {
    case CLOSE_WAIT: flush_all(directory); break;
    case CLOSE_FLUSH: close_journals(directory); break;
    case CLOSE_JOURNALS: write_last_checkpoints(directory); break;
    case CLOSE_CHECKPOINTS: synced_marks_sync(&directory->marks); break;
    case CLOSE_MARKS: write_marker(directory); break;
    case CLOSE_MARKER: on_handle_closed(&directory->defer_op, 0); return;
    case CLOSE_DONE: return;
    }
    log_directory_defer(directory);
}

void log_directory_close(struct log_directory *directory, void (*done)(void *context, enum err err),
                         void *context)
{
    const bool is_loaded = directory->state == DIRECTORY_LOADED;
    assert(directory->state != DIRECTORY_CLOSING);
    directory->closing = (struct log_directory_closing){
        .done = done,
        .context = context,
        /* What was not loaded is left as it is. */
        .step = is_loaded ? CLOSE_WAIT : CLOSE_MARKER,
        .has_failed = !is_loaded || directory->offline_reason != NULL,
    };
    directory->state = DIRECTORY_CLOSING;
    log_directory_defer(directory);
}
