#include "server/broker/partition_store.h"

#include "base/assert.h"
#include "broker/partition_name.h"
#include "broker/retention.h"
#include "server/broker/log_directory.h"
#include "server/broker/partition_cut.h"
#include "server/broker/partition_recent.h"

#include <stdio.h>

enum { queued_bytes_max = 64 << 20, position_max = INT32_MAX };

/* ---- Small questions. ---- */

struct slice partition_store_topic(const struct partition_store *store)
{
    return store->topic;
}

int32_t partition_store_partition(const struct partition_store *store)
{
    return store->partition;
}

const struct topic_id *partition_store_topic_id(const struct partition_store *store)
{
    return &store->id;
}

const struct partition_config *partition_store_config(const struct partition_store *store)
{
    return &store->config;
}

int64_t partition_store_log_start_offset(const struct partition_store *store)
{
    return store->log_start_offset;
}

int64_t partition_store_high_watermark(const struct partition_store *store)
{
    return store->high_watermark;
}

uint64_t partition_store_written_total(const struct partition_store *store)
{
    return store->written_total;
}

int64_t partition_store_log_end_offset(const struct partition_store *store)
{
    return store->log_end_offset;
}

int32_t partition_store_leader_epoch(const struct partition_store *store)
{
    return store->leader_epoch;
}

const char *partition_store_offline_reason(const struct partition_store *store)
{
    return store->offline_reason;
}

void partition_store_set_user(struct partition_store *store, void *user)
{
    store->user = user;
}

void *partition_store_user(const struct partition_store *store)
{
    return store->user;
}

void partition_store_configure(struct partition_store *store, struct partition_config config)
{
    store->config = config;
}

static struct partition_segment *segment_of(struct list *link)
{
    return CONTAINER_OF(link, struct partition_segment, link);
}

uint64_t partition_store_size_bytes(const struct partition_store *store)
{
    uint64_t size = 0;
    list_each (link, &store->segments)
        size += segment_of(link)->file->size_bytes;
    return size;
}

/* ---- Life. ---- */

static void on_written(struct journal *journal, uint64_t size)
{
    struct partition_store *store = CONTAINER_OF(journal, struct partition_store, journal);
    const struct log_directory_events *events = &store->directory->events;
    store->written_total += size;
    if (events->on_written != NULL)
        events->on_written(events->context, store);
}

/* The name begins with the topic's. */
static struct partition_store *take(struct log_directory *directory, struct slice topic,
                                    int32_t partition, struct partition_config config,
                                    const char *name)
{
    const size_t directory_size = strlen(directory->options.path);
    const size_t path_size = directory_size + 1 + strlen(name) + 1;
    struct partition_store *store = heap_take_zeroed(directory->heap, sizeof *store + path_size);
    if (store == NULL)
        return NULL;
    store->directory = directory;
    store->config = config;
    store->partition = partition;
    store->leader_epoch = -1;
    store->synced_mark = -1;
    store->mark_slot = UINT32_MAX;
    store->epochs_dirty_from = INT64_MAX;
    store->epochs_writing_from = INT64_MAX;
    list_init(&store->segments);
    list_init(&store->appends);
    list_init(&store->mark_link);
    list_init(&store->rest_link);
    partition_watermark_init(&store->watermark);
    leader_epochs_init(&store->epochs, directory->heap);
    producer_state_init(&store->producers, &directory->producers);
    (void)snprintf(store->path, path_size, "%s/%s", directory->options.path, name);
    store->topic = slice_of(store->path + directory_size + 1, topic.size);
    journal_init(&store->journal, &directory->disk,
                 (struct journal_options){.path = store->path,
                                          .naming = journal_naming_broker,
                                          .on_written = on_written,
                                          .queued_bytes_max = queued_bytes_max});
    return store;
}

struct partition_store *partition_store_take(struct log_directory *directory, struct slice topic,
                                             int32_t partition, struct partition_config config)
{
    char name[partition_name_bytes_max];
    partition_name_print(topic, partition, name);
    return take(directory, topic, partition, config, name);
}

struct partition_store *partition_store_take_future(struct log_directory *directory,
                                                    struct slice topic, int32_t partition,
                                                    struct partition_config config,
                                                    const char *name)
{
    struct partition_store *store = take(directory, topic, partition, config, name);
    if (store != NULL)
        store->is_future = true;
    return store;
}

void partition_store_give_segment(struct partition_segment *segment)
{
    struct heap *heap = segment->store->directory->heap;
    segment->is_dropped = true;
    if (segment->is_flushing)
        return;
    list_remove(&segment->flush_link);
    segment_index_deinit(&segment->index);
    heap_give(heap, segment);
}

void partition_store_give(struct partition_store *store)
{
    struct heap *heap = store->directory->heap;
    assert(list_empty(&store->appends) && store->busy_count == 0);
    for (struct list *link = list_pop(&store->segments); link != NULL;
         link = list_pop(&store->segments))
        partition_store_give_segment(segment_of(link));
    list_remove(&store->mark_link);
    list_remove(&store->rest_link);
    partition_watermark_deinit(&store->watermark, heap);
    leader_epochs_deinit(&store->epochs);
    producer_state_deinit(&store->producers);
    heap_give(heap, store->recent);
    heap_give(heap, store->index_block);
    heap_give(heap, store);
}

static void adopt(struct partition_store *store, struct partition_segment *segment,
                  struct journal_segment *file)
{
    segment->store = store;
    segment->file = file;
    segment->created_ms = io_wall_ms(store->directory->io);
    segment->first_timestamp_ms = -1;
    segment_index_init(&segment->index, store->directory->heap, (int64_t)file->base);
    list_init(&segment->flush_link);
    list_push(&store->segments, &segment->link);
}

struct partition_segment *partition_store_adopt_segment(struct partition_store *store,
                                                        struct journal_segment *file)
{
    struct partition_segment *segment = heap_take_zeroed(store->directory->heap, sizeof *segment);
    if (segment != NULL)
        adopt(store, segment, file);
    return segment;
}

enum err partition_store_add_segment(struct partition_store *store, int64_t base_offset)
{
    struct heap *heap = store->directory->heap;
    struct partition_segment *segment = heap_take_zeroed(heap, sizeof *segment);
    if (segment == NULL)
        return ERR_NO_MEMORY;
    const enum err err = journal_roll(&store->journal, (uint64_t)base_offset);
    if (err == ERR_OK)
        adopt(store, segment, journal_segment_last(&store->journal));
    else
        heap_give(heap, segment);
    return err;
}

/* ---- Segments. ---- */

struct partition_segment *partition_store_active(struct partition_store *store)
{
    return list_empty(&store->segments) ? NULL : segment_of(store->segments.prev);
}

struct partition_segment *partition_store_segment_at(struct partition_store *store, int64_t offset)
{
    if (list_empty(&store->segments))
        return NULL;
    for (struct list *link = store->segments.prev; link != &store->segments; link = link->prev)
        if (segment_of(link)->index.base_offset <= offset)
            return segment_of(link);
    return segment_of(store->segments.next);
}

struct partition_segment *partition_store_segment_after(struct partition_store *store,
                                                        struct partition_segment *segment)
{
    return segment->link.next == &store->segments ? NULL : segment_of(segment->link.next);
}

int64_t partition_store_segment_end(struct partition_store *store,
                                    struct partition_segment *segment)
{
    const struct partition_segment *next = partition_store_segment_after(store, segment);
    return next == NULL ? store->log_end_offset : next->index.base_offset;
}

uint64_t partition_store_read_limit(struct partition_store *store,
                                    struct partition_segment *segment, bool to_log_end)
{
    const struct partition_mark *high = &store->watermark.high;
    if (to_log_end || segment->index.base_offset < high->base)
        return segment->file->written_bytes;
    return segment->index.base_offset == high->base ? high->position : 0;
}

static bool is_expired_by_time(const struct partition_store *store,
                               const struct partition_segment *active, int64_t timestamp_ms)
{
    const int64_t wait_ms_max = store->config.segment_ms - store->config.segment_jitter_ms;
    if (active->first_timestamp_ms >= 0 && timestamp_ms >= 0)
        return timestamp_ms - active->first_timestamp_ms > wait_ms_max;
    return io_wall_ms(store->directory->io) - active->created_ms > wait_ms_max;
}

static bool is_index_full(const struct partition_store *store, const struct segment_index *index)
{
    const uint32_t offset_count_max = store->config.segment_index_bytes / offset_entry_bytes;
    const uint32_t time_count_max = store->config.segment_index_bytes / time_entry_bytes;
    return index->offset_count + index->offset_pending_count >= offset_count_max ||
           index->time_count + index->time_pending_count + 1 >= time_count_max;
}

/* Whether the batches must begin a new segment. */
static bool must_roll(struct partition_store *store, struct partition_extent extent)
{
    const struct partition_segment *active = partition_store_active(store);
    const uint64_t size = active->file->size_bytes;
    const int64_t last_relative = extent.last_offset - active->index.base_offset;
    if (size == 0)
        return last_relative > INT32_MAX;
    return size + extent.size > store->config.segment_bytes || size + extent.size > position_max ||
           last_relative > INT32_MAX ||
           is_expired_by_time(store, active, extent.max_timestamp_ms) ||
           is_index_full(store, &active->index);
}

void partition_store_forget_recent(struct partition_store *store)
{
    heap_give(store->directory->heap, store->recent);
    store->recent = NULL;
}

/* A few entries need less memory than their way to the files is worth. */
static bool is_flush_worthwhile(const struct partition_segment *active)
{
    return active->index.offset_pending_count >= 4 * segment_index_pending_first;
}

/* The index entries that wait go to the files, and their room is given back. False: it is. */
static bool rest_index(struct partition_store *store, struct partition_segment *active)
{
    if (!store->is_deleting && store->cut == NULL && is_flush_worthwhile(active))
        log_directory_queue_flush(store->directory, active);
    segment_index_rest(&active->index);
    return active->index.is_lent || is_flush_worthwhile(active);
}

bool partition_store_rest(struct partition_store *store)
{
    struct partition_segment *active = partition_store_active(store);
    bool is_flushing = false;
    if (!store->is_recent_used) {
        partition_store_forget_recent(store);
        is_flushing = active != NULL && rest_index(store, active);
    }
    store->is_recent_used = false;
    if (store->index_block != NULL && !store->index_block->is_used) {
        heap_give(store->directory->heap, store->index_block);
        store->index_block = NULL;
    }
    if (store->index_block != NULL)
        store->index_block->is_used = false;
    return store->recent != NULL || store->index_block != NULL || is_flushing;
}

static enum err roll_at(struct partition_store *store, int64_t base_offset)
{
    struct partition_segment *active = partition_store_active(store);
    if (active->index.base_offset == base_offset)
        return ERR_OK; /* Empty already. */
    const enum err err = partition_store_add_segment(store, base_offset);
    if (err != ERR_OK)
        return err;
    partition_store_forget_recent(store);
    segment_index_seal(&active->index);
    active->is_sealed = true;
    log_directory_queue_flush(store->directory, active);
    log_directory_write_snapshot(store->directory, store);
    log_directory_queue_metadata(store->directory, store);
    return ERR_OK;
}

enum err partition_store_roll(struct partition_store *store)
{
    return roll_at(store, store->log_end_offset);
}

/* Offsets that compaction took leave a hole which may be wider than a segment's offsets reach. */
enum err partition_store_roll_if_due(struct partition_store *store, struct partition_extent extent)
{
    if (!must_roll(store, extent))
        return ERR_OK;
    return roll_at(store, max_i64(store->log_end_offset, extent.last_offset - INT32_MAX));
}

/* ---- Leading. ---- */

bool partition_store_adopt_topic_id(struct partition_store *store, struct topic_id id)
{
    if (!topic_id_is_none(&store->id) || topic_id_is_none(&id))
        return topic_id_is_none(&id) || topic_id_equal(&store->id, &id);
    store->id = id;
    store->is_metadata_dirty = true;
    log_directory_queue_metadata(store->directory, store);
    return true;
}

void partition_store_lead(struct partition_store *store, int32_t leader_epoch)
{
    bool changed;
    if (leader_epoch < store->leader_epoch || store->offline_reason != NULL)
        return;
    store->leader_epoch = leader_epoch;
    store->watermark.is_settled = true;
    const struct leader_epoch entry = {.epoch = leader_epoch,
                                       .start_offset = store->log_end_offset};
    /* Without memory the entry is missing until the next start finds it in the batches. */
    if (leader_epochs_assign(&store->epochs, entry, &changed) != ERR_OK)
        diag_warn(store->directory->diag, "%s: no memory for leader epoch %d", store->path,
                  leader_epoch);
    store->is_epoch_unused |= changed;
}

void partition_store_doubt_epochs(struct partition_store *store, int64_t offset)
{
    store->is_epochs_dirty = true;
    store->epochs_dirty_from = min_i64(store->epochs_dirty_from, offset);
    log_directory_queue_metadata(store->directory, store);
}

void partition_store_use_epoch(struct partition_store *store)
{
    if (store->is_epoch_unused)
        partition_store_doubt_epochs(store, store->log_end_offset);
    store->is_epoch_unused = false;
}

struct partition_epoch_end partition_store_epoch_end(const struct partition_store *store,
                                                     int32_t leader_epoch)
{
    const struct leader_epoch end =
        leader_epochs_end_of(&store->epochs, leader_epoch, store->log_end_offset);
    return (struct partition_epoch_end){.leader_epoch = end.epoch, .end_offset = end.start_offset};
}

/* ---- Append. ---- */

static struct partition_append *append_of(struct list *link)
{
    return CONTAINER_OF(link, struct partition_append, link);
}

/* True: there is more that can be read. */
static bool reach(struct partition_store *store, const struct partition_append *append)
{
    if (append->is_duplicate || append->last_offset < partition_store_reached_offset(store))
        return false;
    const struct partition_mark mark = {.offset = append->last_offset + 1,
                                        .base = (int64_t)append->journal.segment->base,
                                        .position = append->journal.offset + append->journal.size};
    (void)partition_watermark_reach(store, mark);
    if (append->durability == PARTITION_DURABLE && mark.offset > store->durable_offset) {
        store->durable_offset = mark.offset;
        synced_marks_note(&store->directory->marks, store);
    }
    return true;
}

/* Those at the front that have what they asked for are done. */
static void progress(struct partition_store *store)
{
    bool has_more = false;
    struct list done;
    list_init(&done);
    while (!list_empty(&store->appends) && append_of(store->appends.next)->is_reached) {
        struct list *link = list_pop(&store->appends);
        has_more |= reach(store, append_of(link));
        list_push(&done, link);
    }
    if (has_more)
        store->directory->events.on_progress(store->directory->events.context, store);
    const bool was_last = list_empty(&store->appends);
    store->busy_count++; /* A callback may ask for the deletion. */
    for (struct list *link = list_pop(&done); link != NULL; link = list_pop(&done))
        append_of(link)->done(append_of(link), KAFKA_NONE);
    store->busy_count--;
    if (was_last)
        log_directory_on_idle(store->directory, store);
}

static void on_appended(struct journal_append *journal_append, enum err err)
{
    struct partition_append *append =
        CONTAINER_OF(journal_append, struct partition_append, journal);
    struct partition_store *store = append->store;
    if (err == ERR_OK && store->offline_reason == NULL) {
        append->is_reached = true;
        if (store->appends.next == &append->link)
            progress(store);
        else if (append->written != NULL)
            append->written(append);
        return;
    }
    /* What has its durability, and duplicates, wait behind it for nothing else. */
    struct list *behind = append->link.next;
    list_remove(&append->link);
    append->done(append, KAFKA_KAFKA_STORAGE_ERROR);
    while (behind != &store->appends && append_of(behind)->is_reached) {
        struct list *after = behind->next;
        list_remove(behind);
        append_of(behind)->done(append_of(behind), KAFKA_KAFKA_STORAGE_ERROR);
        behind = after;
    }
    if (list_empty(&store->appends))
        log_directory_on_idle(store->directory, store);
}

static enum error_code code_of(enum err err)
{
    return err == ERR_LIMIT ? KAFKA_THROTTLING_QUOTA_EXCEEDED : KAFKA_KAFKA_STORAGE_ERROR;
}

/* A duplicate waits for what is in front of it: the first one may still be on its way. */
static void append_duplicate(struct partition_store *store, struct partition_append *append,
                             const struct producer_verdict *verdict)
{
    append->is_duplicate = true;
    append->is_reached = true;
    append->base_offset = verdict->base_offset;
    append->last_offset = verdict->last_offset;
    append->log_append_time_ms = store->config.is_log_append_time ? verdict->timestamp_ms : -1;
    append->log_start_offset = store->log_start_offset;
    if (list_empty(&store->appends))
        log_directory_defer_append(store->directory, &append->link);
    else
        list_push(&store->appends, &append->link);
}

/* What the batches of an append are together. */
struct append_summary {
    struct record_batch first;
    int64_t record_count;
    int64_t max_timestamp_ms;
    uint32_t batch_count;
};

static struct append_summary summarise(const struct partition_append *append)
{
    struct append_summary summary = {.max_timestamp_ms = -1};
    struct record_batch_walk walk;
    enum err err;
    record_batch_walk_init(&walk, slice_of(append->data, append->size));
    while (record_batch_walk_next(&walk, &err)) {
        if (summary.batch_count++ == 0)
            summary.first = walk.batch;
        summary.record_count += (int64_t)walk.batch.last_offset_delta + 1;
        summary.max_timestamp_ms = max_i64(summary.max_timestamp_ms, walk.batch.max_timestamp_ms);
    }
    assert(err == ERR_OK && summary.batch_count > 0); /* record_validator_check accepted it. */
    return summary;
}

void partition_store_index_batch(struct partition_store *store, const struct record_batch *batch,
                                 uint32_t position)
{
    struct partition_segment *active = partition_store_active(store);
    if (active->first_timestamp_ms < 0)
        active->first_timestamp_ms = batch->max_timestamp_ms;
    segment_index_add(&active->index, store->config.index_interval_bytes,
                      (struct segment_index_batch){
                          .last_offset = record_batch_last_offset(batch),
                          .max_timestamp_ms = batch->max_timestamp_ms,
                          .position = position,
                          .size = batch->size,
                      });
    if (segment_index_is_pending_full(&active->index))
        log_directory_queue_flush(store->directory, active);
    partition_recent_add(&store->recent, store->directory->heap,
                         (struct partition_recent_batch){.base_offset = batch->base_offset,
                                                         .position = position,
                                                         .size = batch->size});
    log_directory_note_busy(store->directory, store);
}

/* Gives each batch its offset, epoch and time, and remembers it. */
static void stamp(struct partition_store *store, struct partition_append *append)
{
    struct record_batch_walk walk;
    enum err err;
    uint64_t position = partition_store_active(store)->file->size_bytes;
    partition_store_use_epoch(store);
    append->base_offset = store->log_end_offset;
    append->log_append_time_ms =
        store->config.is_log_append_time ? io_wall_ms(store->directory->io) : -1;
    append->log_start_offset = store->log_start_offset;
    record_batch_walk_init(&walk, slice_of(append->data, append->size));
    while (record_batch_walk_next(&walk, &err)) {
        struct record_batch *batch = &walk.batch;
        record_batch_stamp(batch, append->data + (walk.bytes.data - append->data),
                           (struct record_batch_stamp){
                               .base_offset = store->log_end_offset,
                               .leader_epoch = store->leader_epoch,
                               .is_log_append_time = store->config.is_log_append_time,
                               .log_append_time_ms = append->log_append_time_ms,
                           });
        err = producer_state_append(&store->producers, batch);
        assert(err == ERR_OK); /* producer_state_check made room. */
        partition_store_index_batch(store, batch, (uint32_t)position);
        position += batch->size;
        store->log_end_offset = record_batch_last_offset(batch) + 1;
    }
    append->last_offset = store->log_end_offset - 1;
    store->is_changed = true;
    store->is_recent_used = true;
}

/* flush.messages: an append with which too many records have not been synced waits for the disk. */
static void raise_durability(struct partition_store *store, struct partition_append *append)
{
    if (store->log_end_offset - store->sync_asked_offset >= store->config.flush_messages)
        append->durability = PARTITION_DURABLE;
    if (append->durability == PARTITION_DURABLE)
        store->sync_asked_offset = store->log_end_offset;
}

void partition_store_write(struct partition_store *store, struct partition_append *append)
{
    raise_durability(store, append);
    append->vector = (struct iovec){.iov_base = append->data, .iov_len = append->size};
    append->journal = (struct journal_append){
        .vectors = &append->vector,
        .vector_count = 1,
        .is_durable = append->durability == PARTITION_DURABLE,
        .done = on_appended,
    };
    append->is_reached = false;
    list_push(&store->appends, &append->link);
    const enum err err = journal_append(&store->journal, &append->journal);
    assert(err == ERR_OK); /* journal_admit said so. */
}

enum error_code partition_store_check(const struct partition_store *store)
{
    if (store->offline_reason != NULL || store->is_deleting ||
        store->directory->state == DIRECTORY_CLOSING)
        return KAFKA_KAFKA_STORAGE_ERROR;
    if (store->is_frozen)
        return KAFKA_THROTTLING_QUOTA_EXCEEDED;
    return store->cut != NULL ? KAFKA_NOT_LEADER_OR_FOLLOWER : KAFKA_NONE;
}

enum error_code partition_store_append(struct partition_store *store,
                                       struct partition_append *append)
{
    append->store = store;
    append->is_duplicate = false;
    const enum error_code code = partition_store_check(store);
    if (code != KAFKA_NONE)
        return code;
    if (store->leader_epoch < 0)
        return KAFKA_NOT_LEADER_OR_FOLLOWER;
    if (append->size > store->config.segment_bytes)
        return KAFKA_RECORD_LIST_TOO_LARGE;
    const struct append_summary summary = summarise(append);
    if (summary.batch_count > 1 && summary.first.producer_id >= 0)
        return KAFKA_INVALID_RECORD;
    enum err err = journal_admit(&store->journal, append->size);
    if (err != ERR_OK)
        return code_of(err);
    const struct producer_verdict verdict = producer_state_check(&store->producers, &summary.first);
    if (verdict.code != KAFKA_NONE)
        return verdict.code;
    if (verdict.is_duplicate) {
        append_duplicate(store, append, &verdict);
        return KAFKA_NONE;
    }
    err = partition_store_roll_if_due(
        store,
        (struct partition_extent){.last_offset = store->log_end_offset + summary.record_count - 1,
                                  .max_timestamp_ms = summary.max_timestamp_ms,
                                  .size = append->size});
    if (err != ERR_OK)
        return code_of(err);
    stamp(store, append);
    partition_store_write(store, append);
    return KAFKA_NONE;
}

void partition_store_fail(struct partition_store *store, const char *reason)
{
    if (store->offline_reason != NULL)
        return;
    store->offline_reason = reason;
    store->directory->events.on_progress(store->directory->events.context, store);
}

/* ---- Reading. ---- */

/* A read that begins in one of the batches appended last, with its file open. */
static bool read_recent(struct partition_store *store, struct partition_read *read, uint64_t limit,
                        uint64_t *position, uint64_t *batch_size)
{
    const struct partition_recent *recent = store->recent;
    uint32_t index;
    *position = UINT64_MAX;
    *batch_size = 0;
    if (recent == NULL || !partition_recent_find(recent, read->offset, &index))
        return false;
    const struct partition_recent_batch *first = partition_recent_at(recent, index);
    uint64_t end = (uint64_t)first->position + first->size;
    *position = first->position;
    *batch_size = first->size;
    if (end > limit)
        return true; /* It is still being written. */
    while (++index < recent->count) {
        const struct partition_recent_batch *next = partition_recent_at(recent, index);
        const uint64_t next_end = (uint64_t)next->position + next->size;
        if (next_end > limit || next_end - first->position > read->bytes_max)
            break;
        end = next_end;
    }
    if (first->size > read->bytes_max && !read->at_least_one)
        return true; /* Nothing. */
    struct journal_segment *file = partition_store_active(store)->file;
    if (file->handle == io_handle_none)
        return false;
    file->users++;
    read->file = file->handle;
    read->position = first->position;
    read->size = (uint32_t)(end - first->position);
    read->users = &file->users;
    return true;
}

static enum error_code check_readable(const struct partition_store *store)
{
    if (store->offline_reason != NULL || store->is_deleting)
        return KAFKA_KAFKA_STORAGE_ERROR;
    return store->cut != NULL ? KAFKA_NOT_LEADER_OR_FOLLOWER : KAFKA_NONE;
}

bool partition_store_read(struct partition_store *store, struct partition_read *read,
                          enum error_code *code)
{
    read->size = 0;
    read->users = NULL;
    *code = check_readable(store);
    if (*code != KAFKA_NONE)
        return true;
    if (read->offset < store->log_start_offset || read->offset > store->log_end_offset) {
        *code = KAFKA_OFFSET_OUT_OF_RANGE;
        return true;
    }
    if (read->offset >= (read->to_log_end ? store->log_end_offset : store->high_watermark))
        return true;
    struct partition_segment *active = partition_store_active(store);
    uint64_t position = UINT64_MAX;
    uint64_t batch_size = 0;
    const uint64_t limit = partition_store_read_limit(store, active, read->to_log_end);
    if (read->offset >= active->index.base_offset &&
        read_recent(store, read, limit, &position, &batch_size))
        return true;
    read->wait = (struct partition_wait){.store = store};
    log_directory_queue_scan(store->directory, &read->wait.link);
    return false;
}

bool partition_store_lookup(struct partition_store *store, struct partition_lookup *lookup,
                            enum error_code *code)
{
    const int64_t timestamp_ms = lookup->timestamp_ms;
    lookup->offset = -1;
    lookup->timestamp_found_ms = -1;
    lookup->leader_epoch = -1;
    *code = check_readable(store);
    if (*code != KAFKA_NONE)
        return true;
    if (timestamp_ms == PARTITION_LATEST) {
        lookup->offset = lookup->to_log_end ? store->log_end_offset : store->high_watermark;
        lookup->leader_epoch = leader_epochs_latest(&store->epochs);
        return true;
    }
    if (timestamp_ms == PARTITION_EARLIEST || timestamp_ms == PARTITION_EARLIEST_LOCAL) {
        lookup->offset = store->log_start_offset;
        lookup->leader_epoch = leader_epochs_at(&store->epochs, store->log_start_offset);
        return true;
    }
    if (timestamp_ms == PARTITION_MAX_TIMESTAMP) {
        int64_t max_ms = -1;
        list_each (link, &store->segments)
            max_ms = max_i64(max_ms, segment_of(link)->index.max_timestamp_ms);
        lookup->timestamp_ms = max_ms;
    }
    if (lookup->timestamp_ms < 0)
        return true;
    lookup->wait = (struct partition_wait){.store = store, .is_lookup = true};
    log_directory_queue_scan(store->directory, &lookup->wait.link);
    return false;
}

/* ---- Removing. ---- */

void partition_store_move_log_start(struct partition_store *store, int64_t offset)
{
    if (offset <= store->log_start_offset)
        return;
    store->log_start_offset = offset;
    if (leader_epochs_cut_start(&store->epochs, offset)) {
        store->is_epochs_dirty = true;
        log_directory_queue_metadata(store->directory, store);
    }
}

enum error_code partition_store_delete_records(struct partition_store *store, int64_t offset,
                                               int64_t *log_start_offset)
{
    *log_start_offset = -1;
    const enum error_code code = check_readable(store);
    if (code != KAFKA_NONE)
        return code;
    const int64_t target = offset == -1 ? store->high_watermark : offset;
    if (target < 0 || target > store->high_watermark)
        return KAFKA_OFFSET_OUT_OF_RANGE;
    partition_store_move_log_start(store, target);
    *log_start_offset = store->log_start_offset;
    store->directory->events.on_progress(store->directory->events.context, store);
    return KAFKA_NONE;
}

static void on_dropped(struct journal_request *request, enum err err)
{
    struct partition_store *store = CONTAINER_OF(request, struct partition_store, request);
    (void)err; /* A failed disk has told so itself. */
    store->is_requesting = false;
    store->busy_count--;
    log_directory_on_idle(store->directory, store);
}

static enum retention_reason decide(struct partition_store *store,
                                    struct partition_segment *segment, uint64_t partition_bytes,
                                    int64_t now_ms)
{
    const struct retention_view view = {
        .end_offset = partition_store_segment_end(store, segment),
        .largest_timestamp_ms = segment->index.max_timestamp_ms,
        .created_ms = segment->created_ms,
        .segment_bytes = segment->file->size_bytes,
        .partition_bytes = partition_bytes,
        .is_last = segment == partition_store_active(store),
        .log_start_offset = store->log_start_offset,
        .high_watermark = store->high_watermark,
        .now_ms = now_ms,
    };
    return retention_decide(&store->config, &view);
}

static void drop_first_segment(struct partition_store *store)
{
    struct partition_segment *segment = segment_of(list_pop(&store->segments));
    const int64_t base_offset = segment->index.base_offset;
    partition_store_move_log_start(store, segment_of(store->segments.next)->index.base_offset);
    diag_info(store->directory->diag, "%s: retention removes segment %lld", store->path,
              (long long)base_offset);
    partition_store_give_segment(segment);
    log_directory_remove_segment_files(store->directory, store, base_offset);
}

void partition_store_retain(struct partition_store *store, int64_t now_ms)
{
    uint64_t partition_bytes = partition_store_size_bytes(store);
    bool is_dropping = false;
    if (store->is_future || store->is_requesting || store->is_deleting || store->cut != NULL ||
        store->offline_reason != NULL)
        return;
    for (;;) {
        struct partition_segment *segment = segment_of(store->segments.next);
        if (decide(store, segment, partition_bytes, now_ms) == RETENTION_KEEPS)
            break;
        if (segment == partition_store_active(store) && partition_store_roll(store) != ERR_OK)
            break;
        partition_bytes -= segment->file->size_bytes;
        drop_first_segment(store);
        is_dropping = true;
    }
    if (!is_dropping)
        return;
    store->is_requesting = true;
    store->busy_count++;
    store->request.done = on_dropped;
    journal_drop(&store->journal, &store->request,
                 (uint64_t)segment_of(store->segments.next)->index.base_offset);
    store->directory->events.on_progress(store->directory->events.context, store);
}

int64_t partition_store_recovery_point(const struct partition_store *store)
{
    const int64_t rolled = (int64_t)journal_durable(&store->journal).base;
    const int64_t known = min_i64(store->epochs_dirty_from, store->epochs_writing_from);
    if (store->cut != NULL)
        return min_i64(min_i64(store->durable_offset, store->cut->floor), known);
    const int64_t durable = min_i64(max_i64(store->durable_offset, rolled), known);
    list_each (link, &store->segments) {
        const struct partition_segment *segment = segment_of(link);
        if (segment->is_sealed && !segment->is_index_complete)
            return min_i64(durable, segment->index.base_offset);
    }
    return durable;
}
