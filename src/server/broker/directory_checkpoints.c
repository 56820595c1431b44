#include "server/broker/directory_checkpoints.h"

#include "base/assert.h"
#include "broker/checkpoint_file.h"
#include "journal/small_file.h"
#include "server/broker/log_directory.h"
#include "server/broker/partition_cut.h"
#include "server/broker/partition_removal.h"
#include "server/broker/partition_store.h"

#include <stdio.h>

const char directory_recovery_points[] = "recovery-point-offset-checkpoint";
const char directory_log_starts[] = "log-start-offset-checkpoint";
const char directory_high_watermarks[] = "replication-offset-checkpoint";
const char directory_clean_marker[] = ".kafka_cleanshutdown";

enum { path_bytes = 1024 };

/* The store's line in a file; false: it has none. */
static bool entry_of(const char *name, struct partition_store *store,
                     struct checkpoint_entry *entry)
{
    entry->topic = store->topic;
    entry->number = store->partition;
    const bool is_loaded = !list_empty(&store->segments) && store->offline_reason == NULL;
    if (name == directory_recovery_points) {
        /* A partition that is refused, or has failed, keeps the line that it had. */
        if (is_loaded)
            store->recovery_point = partition_store_recovery_point(store);
        entry->offset = max_i64(store->recovery_point, 0);
        return true;
    }
    if (name == directory_high_watermarks) {
        /* After a start the old line stays until somebody has said what holds. */
        const bool is_settled = store->watermark.is_settled;
        entry->offset = is_settled ? store->high_watermark : store->watermark.checkpointed;
        if (store->cut != NULL)
            entry->offset = min_i64(entry->offset, store->cut->offset);
        return is_loaded && entry->offset >= 0;
    }
    /* Also where the first file's name says so: a power loss may bring back the files before it. */
    entry->offset = store->log_start_offset;
    return store->log_start_offset > 0;
}

static uint32_t count_entries(struct log_directory *directory, const char *name)
{
    struct checkpoint_entry entry;
    uint32_t count = 0;
    uint64_t position = 0;
    for (struct partition_store *store = log_directory_next(directory, &position, NULL);
         store != NULL; store = log_directory_next(directory, &position, store))
        count += entry_of(name, store, &entry);
    return count;
}

static void print_path(const struct log_directory *directory, const char *name, char *path)
{
    const int size = snprintf(path, path_bytes, "%s/%s", directory->options.path, name);
    assert(size > 0 && size < path_bytes);
}

static void on_written(void *context, int64_t result)
{
    struct log_directory *directory = context;
    directory->checkpoints_writing--;
    directory->has_checkpoint_failed |= result < 0;
    log_directory_check_write(directory, "write of a checkpoint", directory->options.path, result);
    log_directory_on_idle(directory, NULL);
}

static void on_set_written(void *context, int64_t result)
{
    struct log_directory *directory = context;
    directory->checkpoint_set_count--;
    directory->has_checkpoint_set_failed |= result < 0;
    directory->is_high_watermark_changed |= result < 0;
    log_directory_check_write(directory, "write of a checkpoint", directory->options.path, result);
    if (directory->checkpoint_set_count == 0 && !directory->has_checkpoint_set_failed)
        directory->checkpoint_ended = directory->checkpoint_begun;
    on_written(context, result);
    if (directory->checkpoint_set_count == 0)
        partition_removal_on_checkpoint(directory);
}

static enum err replace(struct log_directory *directory, const char *name, struct slice bytes,
                        void (*done)(void *context, int64_t result))
{
    char path[path_bytes];
    print_path(directory, name, path);
    const enum err err = file_queue_replace(&directory->files, path, bytes, done, directory);
    if (err == ERR_OK)
        directory->checkpoints_writing++;
    return err;
}

/* The text of a checkpoint, from the heap; NULL: no memory. */
static char *take_text(struct log_directory *directory, const char *name, size_t *size)
{
    const uint32_t count = count_entries(directory, name);
    const size_t capacity =
        checkpoint_header_bytes_max + (size_t)count * checkpoint_entry_bytes_max;
    char *text = heap_take(directory->heap, capacity);
    if (text == NULL)
        return NULL;
    struct checkpoint_writer writer;
    struct checkpoint_entry entry;
    uint64_t position = 0;
    checkpoint_writer_init(&writer, text, capacity, count);
    for (struct partition_store *store = log_directory_next(directory, &position, NULL);
         store != NULL; store = log_directory_next(directory, &position, store))
        if (entry_of(name, store, &entry))
            checkpoint_writer_add(&writer, entry);
    *size = writer.size;
    return text;
}

static enum err write_text(struct log_directory *directory, const char *name,
                           void (*done)(void *context, int64_t result))
{
    size_t size;
    char *text = take_text(directory, name, &size);
    if (text == NULL)
        return ERR_NO_MEMORY;
    const enum err err = replace(directory, name, slice_of(text, size), done);
    heap_give(directory->heap, text);
    return err;
}

static void on_high_watermarks_written(void *context, int64_t result)
{
    struct log_directory *directory = context;
    const bool is_set_wanted = directory->is_checkpoint_set_wanted;
    directory->is_writing_high_watermarks = false;
    directory->is_checkpoint_set_wanted = false;
    on_written(context, result);
    if (is_set_wanted && directory_checkpoints_write_set(directory) != ERR_OK)
        partition_removal_on_checkpoint(directory); /* No memory for the text. */
}

enum err directory_checkpoints_write_high_watermarks(struct log_directory *directory)
{
    assert(directory->checkpoints_writing == 0);
    directory->is_high_watermark_changed = false;
    const enum err err =
        write_text(directory, directory_high_watermarks, on_high_watermarks_written);
    directory->is_writing_high_watermarks = err == ERR_OK;
    return err;
}

enum err directory_checkpoints_write_set(struct log_directory *directory)
{
    static const char *const names[] = {directory_recovery_points, directory_log_starts,
                                        directory_high_watermarks};
    directory->is_checkpoint_set_wanted = directory->is_writing_high_watermarks;
    if (directory->checkpoint_set_count > 0 || directory->is_writing_high_watermarks)
        return ERR_OK;
    directory->has_checkpoint_set_failed = false;
    directory->is_high_watermark_changed = false;
    directory->checkpoint_begun++;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const enum err err = write_text(directory, names[i], on_set_written);
        directory->has_checkpoint_set_failed |= err != ERR_OK;
        if (err != ERR_OK)
            return err;
        directory->checkpoint_set_count++;
    }
    return ERR_OK;
}

static enum err write_wait(struct log_directory *directory, const char *name)
{
    char path[path_bytes];
    size_t size;
    char *text = take_text(directory, name, &size);
    if (text == NULL)
        return ERR_NO_MEMORY;
    print_path(directory, name, path);
    const int64_t result = small_file_replace_wait(directory->io, path, slice_of(text, size));
    heap_give(directory->heap, text);
    return result < 0 ? err_from_errno((int)result) : ERR_OK;
}

enum err directory_checkpoints_write_all_wait(struct log_directory *directory)
{
    static const char *const names[] = {directory_recovery_points, directory_log_starts,
                                        directory_high_watermarks};
    enum err err = ERR_OK;
    for (size_t i = 0; i < ARRAY_COUNT(names) && err == ERR_OK; i++)
        err = write_wait(directory, names[i]);
    return err;
}

enum err directory_checkpoints_write_marker(struct log_directory *directory)
{
    return replace(directory, directory_clean_marker,
                   SLICE_LITERAL("{\"version\":0,\"brokerEpoch\":-1}"), on_written);
}
