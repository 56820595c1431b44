#include "server/broker/partition_future.h"

#include "base/assert.h"
#include "broker/partition_name.h"
#include "server/broker/log_directory.h"

#include <stdio.h>
#include <string.h>

const char partition_takeover_name[] = "rookery-takeover";
const char partition_left_name[] = "rookery-left";

void partition_future_print_mark(const struct partition_store *store, const char *name, char *path,
                                 size_t capacity)
{
    const int size = snprintf(path, capacity, "%s/%s", store->path, name);
    assert(size > 0 && (size_t)size < capacity);
}

static bool is_empty(const struct partition_store *store)
{
    return store->log_start_offset == store->log_end_offset;
}

/* Up to where the copy's records are the source's, by the epochs of both. */
static int64_t common_end(const struct partition_store *source, const struct partition_store *copy)
{
    const int64_t end = copy->log_end_offset;
    int32_t epoch = partition_store_latest_epoch(copy);
    struct partition_epoch_end theirs = partition_store_epoch_end(source, epoch);
    if (theirs.end_offset < 0) { /* The copy's epoch is later than all that the source has. */
        epoch = partition_store_latest_epoch(source);
        theirs = partition_store_epoch_end(source, epoch);
    }
    if (epoch < 0 || theirs.end_offset < 0)
        return -1;
    const struct partition_epoch_end ours = partition_store_epoch_end(copy, theirs.leader_epoch);
    const int64_t shared = min_i64(theirs.end_offset, end);
    return ours.end_offset < 0 ? shared : min_i64(shared, ours.end_offset);
}

bool partition_future_diverges(const struct partition_store *source,
                               const struct partition_store *copy, int64_t *offset,
                               bool *begins_anew)
{
    const int64_t end = copy->log_end_offset;
    const int64_t start = source->log_start_offset;
    const bool is_outside = end < start || end > source->log_end_offset;
    *offset = start;
    *begins_anew = true;
    if (is_empty(copy))
        return is_outside;
    const int64_t common = common_end(source, copy);
    const bool is_kept = common > start || (common == start && common == end);
    if (!is_kept || common <= copy->log_start_offset)
        return true;
    *offset = common;
    *begins_anew = false;
    return common < end;
}

/* Those whose last batches are deleted are in no record that was copied. Without memory they are
 * not known, as after a start. */
static void inherit_producers(const struct partition_store *source, struct partition_store *copy)
{
    struct log_directory *directory = copy->directory;
    struct producer_state producers;
    const size_t size = producer_state_snapshot_bytes(&source->producers);
    uint8_t *bytes = heap_take(directory->heap, size);
    if (bytes == NULL)
        return;
    producer_state_encode(&source->producers, bytes);
    producer_state_init(&producers, &directory->producers);
    if (producer_state_decode(&producers, slice_of(bytes, size)) == ERR_OK) {
        producer_state_deinit(&copy->producers);
        copy->producers = producers;
        log_directory_write_snapshot(directory, copy);
    } else {
        diag_warn(directory->diag, "%s: no memory for all producers", copy->path);
    }
    heap_give(directory->heap, bytes);
}

/* Batches have brought all epochs but those that began behind the last one. */
static void inherit_epochs(const struct partition_store *source, struct partition_store *copy)
{
    bool changed = false;
    if (source->epochs.count == 0)
        return;
    const struct leader_epoch last = source->epochs.entries[source->epochs.count - 1];
    if (leader_epochs_assign(&copy->epochs, last, &changed) != ERR_OK)
        diag_warn(copy->directory->diag, "%s: no memory for leader epoch %d", copy->path,
                  last.epoch);
    if (changed)
        partition_store_doubt_epochs(copy, last.start_offset);
}

void partition_future_inherit(const struct partition_store *source, struct partition_store *copy)
{
    inherit_producers(source, copy);
    inherit_epochs(source, copy);
    partition_store_raise_high_watermark(copy, source->high_watermark);
    partition_store_move_log_start(copy, source->log_start_offset);
}

static bool has_pending_entries(const struct partition_segment *segment)
{
    return (segment->is_sealed && !segment->is_index_complete) ||
           segment_index_is_pending_full(&segment->index);
}

bool partition_future_is_settled(const struct partition_store *copy)
{
    return copy->busy_count == 0 && list_empty(&copy->appends) && !copy->is_writing &&
           !copy->is_requesting && !copy->is_epochs_dirty && !copy->is_metadata_dirty;
}

bool partition_future_needs_start(const struct partition_store *copy)
{
    return copy->log_start_offset >
           CONTAINER_OF(copy->segments.next, struct partition_segment, link)->index.base_offset;
}

static void rename_store(struct partition_store *store)
{
    char name[partition_name_bytes_max];
    const size_t at = (size_t)((const char *)store->topic.data - store->path);
    partition_name_print(store->topic, store->partition, name);
    memcpy(store->path + at, name, strlen(name) + 1);
    journal_follow_rename(&store->journal);
    store->is_future = false;
    list_each (link, &store->segments) {
        struct partition_segment *segment = CONTAINER_OF(link, struct partition_segment, link);
        if (has_pending_entries(segment))
            log_directory_queue_flush(store->directory, segment);
    }
}

void partition_future_take_place(const struct partition_store *source, struct partition_store *copy)
{
    rename_store(copy);
    copy->leader_epoch = source->leader_epoch;
    copy->written_total = source->written_total;
    copy->cut_count = source->cut_count + 1; /* Whoever remembers places looks again. */
    partition_store_move_log_start(copy, source->log_start_offset);
    /* A copy that a start found begins where its own checkpoint says. */
    partition_store_set_replicated(copy, source->watermark.is_replicated);
    partition_store_raise_high_watermark(copy, source->high_watermark);
    copy->directory->is_high_watermark_changed = true;
}

bool partition_future_is_ahead(const struct partition_store *one,
                               const struct partition_store *other)
{
    const int32_t epoch = partition_store_latest_epoch(one);
    const int32_t other_epoch = partition_store_latest_epoch(other);
    return epoch != other_epoch ? epoch > other_epoch : one->log_end_offset > other->log_end_offset;
}
