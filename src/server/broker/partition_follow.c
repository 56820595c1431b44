/* What a follower does with what its leader sends. */
#include "base/assert.h"
#include "server/broker/log_directory.h"
#include "server/broker/partition_store.h"

/* What the batches of a copy are together. */
struct summary {
    int64_t first_offset;
    struct partition_extent extent;
};

static enum error_code refuse(struct partition_store *store, enum error_code code,
                              const struct record_batch *batch, const char *reason)
{
    diag_error(store->directory->diag,
               "%s: the leader's batch at offset %lld, behind the log end %lld, is refused: %s",
               store->path, (long long)batch->base_offset, (long long)store->log_end_offset,
               reason);
    return code;
}

static enum error_code check_batch(struct partition_store *store, const struct record_batch *batch,
                                   struct slice bytes, int64_t next_offset)
{
    if (batch->magic != record_batch_magic)
        return refuse(store, KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT, batch,
                      "its format is older than version 2");
    if (batch->base_offset < next_offset || batch->last_offset_delta < 0 ||
        record_batch_last_offset(batch) < batch->base_offset)
        return refuse(store, KAFKA_CORRUPT_MESSAGE, batch, "its offsets do not follow");
    if (batch->leader_epoch < 0)
        return refuse(store, KAFKA_CORRUPT_MESSAGE, batch, "it has no leader epoch");
    if (!record_batch_crc_matches(batch, bytes))
        return refuse(store, KAFKA_CORRUPT_MESSAGE, batch, "its checksum does not match");
    return KAFKA_NONE;
}

static enum error_code summarise(struct partition_store *store,
                                 const struct partition_append *append, struct summary *summary)
{
    struct record_batch_walk walk;
    enum err err;
    int64_t next_offset = store->log_end_offset;
    *summary = (struct summary){.first_offset = -1,
                                .extent = {.max_timestamp_ms = -1, .size = append->size}};
    record_batch_walk_init(&walk, slice_of(append->data, append->size));
    while (record_batch_walk_next(&walk, &err)) {
        if (summary->first_offset < 0) {
            summary->first_offset = walk.batch.base_offset;
            if (walk.batch.base_offset < next_offset)
                return KAFKA_OFFSET_OUT_OF_RANGE;
        }
        const enum error_code code = check_batch(store, &walk.batch, walk.bytes, next_offset);
        if (code != KAFKA_NONE)
            return code;
        next_offset = record_batch_last_offset(&walk.batch) + 1;
        summary->extent.max_timestamp_ms =
            max_i64(summary->extent.max_timestamp_ms, walk.batch.max_timestamp_ms);
    }
    summary->extent.last_offset = next_offset - 1;
    if (err != ERR_OK || summary->first_offset < 0)
        return refuse(store, KAFKA_CORRUPT_MESSAGE,
                      &(struct record_batch){.base_offset = next_offset},
                      "there is no whole batch");
    return KAFKA_NONE;
}

/* Offsets, epochs, producers and index entries, as the leader has them. */
static void remember(struct partition_store *store, struct partition_append *append)
{
    struct record_batch_walk walk;
    enum err err;
    uint64_t position = partition_store_active(store)->file->size_bytes;
    partition_store_use_epoch(store);
    record_batch_walk_init(&walk, slice_of(append->data, append->size));
    while (record_batch_walk_next(&walk, &err)) {
        const struct record_batch *batch = &walk.batch;
        bool changed;
        /* Without memory both are made anew by the next start that reads the batches. */
        err = leader_epochs_assign(
            &store->epochs,
            (struct leader_epoch){.epoch = batch->leader_epoch, .start_offset = batch->base_offset},
            &changed);
        if (changed)
            partition_store_doubt_epochs(store, batch->base_offset);
        if (err == ERR_OK)
            err = producer_state_append(&store->producers, batch);
        if (err != ERR_OK)
            diag_warn(store->directory->diag, "%s: no memory for an epoch or a producer",
                      store->path);
        partition_store_index_batch(store, batch, (uint32_t)position);
        position += batch->size;
        store->log_end_offset = record_batch_last_offset(batch) + 1;
    }
    store->is_changed = true;
    store->is_recent_used = true;
}

enum error_code partition_store_copy(struct partition_store *store, struct partition_append *append)
{
    struct summary summary;
    append->store = store;
    append->is_duplicate = false;
    append->base_offset = -1;
    append->log_append_time_ms = -1;
    enum error_code code = partition_store_check(store);
    if (code != KAFKA_NONE)
        return code;
    code = summarise(store, append, &summary);
    append->base_offset = summary.first_offset;
    if (code != KAFKA_NONE)
        return code;
    enum err err = journal_admit(&store->journal, append->size);
    if (err == ERR_OK)
        err = partition_store_roll_if_due(store, summary.extent);
    if (err != ERR_OK)
        return err == ERR_LIMIT ? KAFKA_THROTTLING_QUOTA_EXCEEDED : KAFKA_KAFKA_STORAGE_ERROR;
    remember(store, append);
    append->last_offset = store->log_end_offset - 1;
    append->log_start_offset = store->log_start_offset;
    partition_store_write(store, append);
    return KAFKA_NONE;
}

void partition_store_follow_log_start(struct partition_store *store, int64_t offset)
{
    if (partition_store_check(store) == KAFKA_NONE)
        partition_store_move_log_start(store, min_i64(offset, store->high_watermark));
}

int32_t partition_store_latest_epoch(const struct partition_store *store)
{
    return leader_epochs_latest(&store->epochs);
}
