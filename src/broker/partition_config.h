/* What a topic's configuration means to the storage of one of its partitions.
 *
 * Memory: its own. Shard: any.
 */
#ifndef BROKER_PARTITION_CONFIG_H
#define BROKER_PARTITION_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

struct partition_config {
    int64_t retention_ms;    /* -1: no limit. */
    int64_t retention_bytes; /* -1: no limit. */
    int64_t segment_ms;
    int64_t segment_jitter_ms;
    int64_t timestamp_before_max_ms; /* A CreateTime older than this is refused. */
    int64_t timestamp_after_max_ms;
    int64_t file_delete_delay_ms;
    int64_t flush_messages; /* So many records without a sync are too many. */
    int64_t min_insync_replicas;
    uint32_t segment_bytes;
    uint32_t segment_index_bytes;
    uint32_t index_interval_bytes;
    uint32_t message_bytes_max; /* max.message.bytes */
    bool deletes;               /* cleanup.policy holds `delete`. */
    bool compacts;              /* cleanup.policy holds `compact`: keys are required. */
    bool is_log_append_time;
    bool is_sync_left_to_system; /* acks=all is done when written. */
};

/* Apache's defaults. */
static inline struct partition_config partition_config_default(void)
{
    return (struct partition_config){
        .retention_ms = INT64_C(604800000),
        .retention_bytes = -1,
        .segment_ms = INT64_C(604800000),
        .timestamp_before_max_ms = INT64_MAX,
        .timestamp_after_max_ms = INT64_MAX,
        .file_delete_delay_ms = 60000,
        .flush_messages = INT64_MAX,
        .min_insync_replicas = 1,
        .segment_bytes = 1U << 30,
        .segment_index_bytes = 10U << 20,
        .index_interval_bytes = 4096,
        .message_bytes_max = 1048588,
        .deletes = true,
    };
}

#endif
