/* What the server counts and measures of its work; src/server/keeper/metrics.c says under which
 * names operators see it.
 *
 * Memory: embedded. Shard: one owner.
 */
#ifndef SERVER_KEEPER_STATS_H
#define SERVER_KEEPER_STATS_H

#include "server/keeper/metric_summary.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Watch event types from 1 on: created, deleted, data changed, children changed. */
enum { KEEPER_STATS_EVENT_COUNT = 4 };

struct keeper_latency {
    uint64_t count;
    uint64_t total_ms;
    uint64_t min_ms; /* Of nothing: zero. */
    uint64_t max_ms;
};

struct keeper_stats {
    uint64_t received_count;
    uint64_t sent_count;
    struct keeper_latency latency;
    int64_t reply_bytes_last; /* -1: none yet. */
    int64_t reply_bytes_min;
    int64_t reply_bytes_max;

    uint64_t auth_failed_count; /* Stays when the others are reset. */

    struct keeper_counts {
        uint64_t received_bytes;
        uint64_t reply_bytes;
        uint64_t event_bytes;
        uint64_t connect_request_count;
        uint64_t expired_session_count;
        uint64_t write_count;
        uint64_t digest_mismatch_count;
        uint64_t snapshot_error_count;
        uint64_t snapshot_rate_limited_count;
        uint64_t dropped_connection_count; /* By their clients. */
        uint64_t large_request_refused_count;
        uint64_t held_request_count;
        uint64_t throttled_request_count;
        uint64_t stale_request_count;
        uint64_t stale_reply_count;
    } counts;

    /* In milliseconds, or counts. */
    struct keeper_summaries {
        struct metric_summary read_latency;
        struct metric_summary write_latency;
        struct metric_summary write_wait; /* From the journal's queue until durable. */
        struct metric_summary sync_time;
        struct metric_summary sync_batch; /* Writes that one sync made durable. */
        struct metric_summary snapshot_time;
        struct metric_summary held_time; /* Of requests that were held. */
        struct metric_summary token_deficit;
        struct metric_summary load_time; /* Of the whole start; the next two are parts of it. */
        struct metric_summary load_snapshot_time;
        struct metric_summary load_journal_time;
        struct metric_summary load_txn_count;
        struct metric_summary watch_count[KEEPER_STATS_EVENT_COUNT]; /* Told of one change. */
    } summaries;
    uint32_t told_count[KEEPER_STATS_EVENT_COUNT]; /* Of the change that is being applied. */
};

/* Everything but auth_failed_count. with_metrics: also the counts and summaries that a metrics
 * provider of its own keeps, which srst leaves alone. */
void keeper_stats_reset(struct keeper_stats *stats, bool with_metrics);

void keeper_stats_add_reply_bytes(struct keeper_stats *stats, size_t bytes);

/* A watch event of the change that is being applied goes to somebody; the change is over. */
void keeper_stats_add_told(struct keeper_stats *stats, int32_t event_type);
void keeper_stats_end_change(struct keeper_stats *stats);

/* Every metric_summary_window_ms. */
void keeper_stats_turn_windows(struct keeper_stats *stats);

void keeper_latency_add(struct keeper_latency *latency, uint64_t elapsed_ns);

/* The average as Java prints a double of at most four decimals: "0.0", "1.25". Lends text, of at
 * least keeper_latency_text_bytes. */
enum { keeper_latency_text_bytes = 32 };
const char *keeper_latency_print_average(const struct keeper_latency *latency, char *text);

#endif
