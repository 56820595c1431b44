#include "server/broker/directory_checkpoints.h"

#include "base/assert.h"
#include "broker/checkpoint_file.h"
#include "server/broker/log_directory.h"
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
        /* A refused partition keeps the line that it had. */
        entry->offset =
            is_loaded ? partition_store_recovery_point(store) : max_i64(store->recovery_point, 0);
        return true;
    }
    if (name == directory_high_watermarks) {
        entry->offset = store->high_watermark;
        return is_loaded;
    }
    entry->offset = store->log_start_offset;
    return !is_loaded ? store->log_start_offset > 0
                      : store->log_start_offset >
                            CONTAINER_OF(store->segments.next, struct partition_segment, link)
                                ->index.base_offset;
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

static void on_written(void *context, int64_t result)
{
    struct log_directory *directory = context;
    directory->checkpoints_writing--;
    if (result < 0)
        diag_warn(directory->diag, "%s: a checkpoint could not be written: %s",
                  directory->options.path, err_text(err_from_errno((int)result)));
    if (result < 0)
        directory->has_checkpoint_failed = true;
    log_directory_on_idle(directory, NULL);
}

static enum err replace(struct log_directory *directory, const char *name, struct slice bytes)
{
    char path[path_bytes];
    const int size = snprintf(path, sizeof path, "%s/%s", directory->options.path, name);
    assert(size > 0 && size < path_bytes);
    const enum err err = file_queue_replace(&directory->files, path, bytes, on_written, directory);
    if (err == ERR_OK)
        directory->checkpoints_writing++;
    return err;
}

enum err directory_checkpoints_write(struct log_directory *directory, const char *name)
{
    const uint32_t count = count_entries(directory, name);
    const size_t capacity =
        checkpoint_header_bytes_max + (size_t)count * checkpoint_entry_bytes_max;
    char *text = heap_take(directory->heap, capacity);
    if (text == NULL)
        return ERR_NO_MEMORY;
    struct checkpoint_writer writer;
    struct checkpoint_entry entry;
    uint64_t position = 0;
    checkpoint_writer_init(&writer, text, capacity, count);
    for (struct partition_store *store = log_directory_next(directory, &position, NULL);
         store != NULL; store = log_directory_next(directory, &position, store))
        if (entry_of(name, store, &entry))
            checkpoint_writer_add(&writer, entry);
    const enum err err = replace(directory, name, slice_of(text, writer.size));
    heap_give(directory->heap, text);
    return err;
}

enum err directory_checkpoints_write_marker(struct log_directory *directory)
{
    return replace(directory, directory_clean_marker,
                   SLICE_LITERAL("{\"version\":0,\"brokerEpoch\":-1}"));
}
