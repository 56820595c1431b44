#include "sim/cluster_logs.h"

#include "base/hash_table.h"
#include "broker/replica_set.h"

#include <stdio.h>

#define WRONG(logs, ...) sim_workload_wrong((logs)->result, (logs)->sim, __VA_ARGS__)

enum { path_bytes = 400 };

/* What an empty log is. */
static const uint64_t history_first = 1;

static void begin(struct cluster_log *log)
{
    *log = (struct cluster_log){.segment_base = -1, .leader_epoch = -1, .led_high_watermark = -1};
    log->histories[0] = history_first;
}

void cluster_logs_forget(struct cluster_logs *logs, uint32_t broker)
{
    begin(&logs->logs[broker]);
}

/* ---- Batches. ---- */

/* Log matching. */
static void note_batch(struct cluster_logs *logs, uint32_t broker, const struct record_batch *batch,
                       uint64_t history)
{
    uint32_t *first = &logs->first_at[batch->base_offset];
    for (uint32_t at = *first; at != 0; at = logs->batches[at - 1].after) {
        const struct cluster_batch *known = &logs->batches[at - 1];
        if (known->leader_epoch != batch->leader_epoch)
            continue;
        if (known->history != history)
            WRONG(logs,
                  "%s: the logs of brokers %u and %u share offset %lld of epoch %d, and are "
                  "not the same up to there",
                  logs->name, known->broker, broker + 1, (long long)batch->base_offset,
                  batch->leader_epoch);
        return;
    }
    if (logs->batch_count == cluster_batch_count_max)
        return;
    logs->batches[logs->batch_count++] = (struct cluster_batch){.after = *first,
                                                                .leader_epoch = batch->leader_epoch,
                                                                .history = history,
                                                                .broker = (uint8_t)(broker + 1)};
    *first = logs->batch_count;
}

static void check_epoch(struct cluster_logs *logs, uint32_t broker,
                        const struct partition_store *store, const struct record_batch *batch)
{
    const int32_t told = leader_epochs_at(&store->epochs, batch->base_offset);
    if (batch->leader_epoch < logs->logs[broker].leader_epoch)
        WRONG(logs, "%s on broker %u: epoch %d at offset %lld, behind epoch %d", logs->name,
              broker + 1, batch->leader_epoch, (long long)batch->base_offset,
              logs->logs[broker].leader_epoch);
    if (told != batch->leader_epoch)
        WRONG(logs, "%s on broker %u: offset %lld is of epoch %d, and its list says %d", logs->name,
              broker + 1, (long long)batch->base_offset, batch->leader_epoch, told);
}

/* Entries behind the log's end, or none for the epoch that is led in, make others cut wrongly. */
static void check_epoch_list(struct cluster_logs *logs, uint32_t broker,
                             const struct partition *partition)
{
    const struct partition_store *store = partition->store;
    const struct leader_epochs *epochs = &store->epochs;
    if (epochs->count > 0 &&
        epochs->entries[epochs->count - 1].start_offset > store->log_end_offset)
        WRONG(logs, "%s on broker %u: epoch %d begins at %lld, behind the log end %lld", logs->name,
              broker + 1, leader_epochs_latest(epochs),
              (long long)epochs->entries[epochs->count - 1].start_offset,
              (long long)store->log_end_offset);
    if (partition_is_led(partition) && leader_epochs_latest(epochs) != partition->leader_epoch)
        WRONG(logs, "%s on broker %u: leads in epoch %d, and its list ends with %d", logs->name,
              broker + 1, partition->leader_epoch, leader_epochs_latest(epochs));
}

static void take_batch(struct cluster_logs *logs, uint32_t broker,
                       const struct partition_store *store, const struct record_batch_walk *walk)
{
    struct cluster_log *log = &logs->logs[broker];
    const int64_t end = record_batch_last_offset(&walk->batch) + 1;
    if (walk->batch.base_offset < log->offset || end > cluster_offset_count_max)
        return;
    check_epoch(logs, broker, store, &walk->batch);
    const uint64_t history = hash_bytes(walk->bytes, log->histories[log->offset]) | 1;
    note_batch(logs, broker, &walk->batch, history);
    log->leader_epoch = walk->batch.leader_epoch;
    log->offset = end;
    log->histories[end] = history;
}

/* Whatever of one segment is new and below end. */
static void read_segment(struct cluster_logs *logs, uint32_t broker, struct sim_disk *disk,
                         const struct partition_store *store, int64_t end)
{
    struct cluster_log *log = &logs->logs[broker];
    struct record_batch_walk walk;
    enum err err;
    char path[path_bytes];
    snprintf(path, sizeof path, "%s/%020lld.log", store->path, (long long)log->segment_base);
    const struct slice bytes = sim_disk_peek(disk, path);
    if (bytes.size <= log->position)
        return;
    record_batch_walk_init(&walk, slice_skip(bytes, log->position));
    while (log->offset < end && record_batch_walk_next(&walk, &err)) {
        take_batch(logs, broker, store, &walk);
        log->position += walk.bytes.size;
    }
}

static void read_log(struct cluster_logs *logs, uint32_t broker, struct sim_disk *disk,
                     const struct partition_store *store)
{
    struct cluster_log *log = &logs->logs[broker];
    const int64_t end = partition_store_reached_offset(store);
    if (log->cut_count != store->cut_count || log->offset > end) {
        begin(log);
        log->cut_count = store->cut_count;
    }
    if (log->offset >= end)
        return;
    list_each (link, &store->segments) {
        const struct partition_segment *segment =
            CONTAINER_OF(link, struct partition_segment, link);
        if (segment->index.base_offset < log->segment_base || log->offset >= end)
            continue;
        if (segment->index.base_offset > log->segment_base) {
            log->segment_base = segment->index.base_offset;
            log->position = 0;
        }
        read_segment(logs, broker, disk, store, end);
    }
    if (log->offset < end && end <= cluster_offset_count_max)
        WRONG(logs, "%s on broker %u: offset %lld of %lld is not in its files", logs->name,
              broker + 1, (long long)log->offset, (long long)end);
}

/* ---- What is committed. ---- */

static void commit(struct cluster_logs *logs, const struct cluster_log *log, int64_t offset)
{
    for (int64_t at = logs->committed_offset + 1; at <= offset; at++)
        logs->committed[at] = log->histories[at];
    logs->committed_offset = offset;
}

static void look_at_high_watermark(struct cluster_logs *logs, uint32_t broker,
                                   int64_t high_watermark)
{
    const struct cluster_log *log = &logs->logs[broker];
    const int64_t shared = min_i64(high_watermark, logs->committed_offset);
    if (high_watermark > log->offset)
        return;
    if (log->histories[shared] != logs->committed[shared])
        WRONG(logs,
              "%s on broker %u: below the high watermark %lld there is something else than "
              "others had there",
              logs->name, broker + 1, (long long)high_watermark);
    else if (high_watermark > logs->committed_offset)
        commit(logs, log, high_watermark);
}

static void look_at_leader(struct cluster_logs *logs, uint32_t broker,
                           const struct partition *partition)
{
    const struct cluster_log *log = &logs->logs[broker];
    if (partition->leader_epoch < logs->leader_epoch)
        return; /* It does not know yet. */
    logs->leader_epoch = partition->leader_epoch;
    if (log->offset < logs->committed_offset ||
        log->histories[logs->committed_offset] != logs->committed[logs->committed_offset])
        WRONG(logs, "%s: broker %u leads in epoch %d without all below the high watermark %lld",
              logs->name, broker + 1, partition->leader_epoch, (long long)logs->committed_offset);
}

/* Those who are down have what they had. */
static void look_at_isr(struct cluster_logs *logs, uint32_t broker,
                        const struct partition *partition)
{
    const struct replica_set *set = partition->replicas;
    struct cluster_log *log = &logs->logs[broker];
    const int64_t high_watermark = partition_store_high_watermark(partition->store);
    const int64_t min_isr = partition_store_config(partition->store)->min_insync_replicas;
    if (set != NULL && log->led_high_watermark >= 0 && high_watermark > log->led_high_watermark &&
        set->isr_count < min_i64(min_isr, set->assigned_count))
        WRONG(logs, "%s on broker %u: the high watermark moves to %lld with %u in sync", logs->name,
              broker + 1, (long long)high_watermark, set->isr_count);
    log->led_high_watermark = high_watermark;
    for (uint32_t i = 0; set != NULL && i < set->follower_count; i++) {
        const struct replica *replica = &set->followers[i];
        const bool is_member = replica->isr_place >= 0 || (set->change == REPLICA_CHANGE_JOIN &&
                                                           set->joining == replica->broker_id);
        if (is_member && replica->is_assigned && replica->fetch_offset >= 0 &&
            replica->fetch_offset < high_watermark && high_watermark > set->epoch_start_offset)
            WRONG(logs, "%s: broker %u has a high watermark of %lld, and broker %d has %lld",
                  logs->name, broker + 1, (long long)high_watermark, replica->broker_id,
                  (long long)replica->fetch_offset);
    }
}

void cluster_logs_look(struct cluster_logs *logs, uint32_t broker, struct sim_disk *disk,
                       const struct partition *partition)
{
    const struct partition_store *store = partition->store;
    const int64_t high_watermark = partition_store_high_watermark(store);
    if (partition_store_offline_reason(store) != NULL || store->cut != NULL ||
        list_empty(&store->segments) || high_watermark > cluster_offset_count_max)
        return;
    check_epoch_list(logs, broker, partition);
    read_log(logs, broker, disk, store);
    if (!partition_is_led(partition))
        logs->logs[broker].led_high_watermark = -1;
    if (logs->may_lose_written)
        return;
    logs->committed[0] = history_first;
    look_at_high_watermark(logs, broker, high_watermark);
    if (!partition_is_led(partition))
        return;
    look_at_leader(logs, broker, partition);
    look_at_isr(logs, broker, partition);
}
