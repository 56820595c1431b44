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
    uint32_t min_ms; /* Of nothing: zero. */
    uint32_t max_ms;
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
        uint64_t restore_error_count;
        uint64_t restore_rate_limited_count;
        uint64_t dropped_connection_count; /* By their clients. */
        uint64_t large_request_refused_count;
        uint64_t held_request_count;
        uint64_t throttled_request_count;
        uint64_t stale_request_count;
        uint64_t stale_reply_count;
        /* Of members of an ensemble. */
        uint64_t looking_count;             /* Elections that were begun. */
        uint64_t unserved_connection_count; /* Closed at once, as nobody was served. */
        uint64_t proposal_count;
        uint64_t commit_count;
        uint64_t snap_count;                  /* Learners that were sent a snapshot; */
        uint64_t diff_count;                  /* or anything else. */
        uint64_t revalidate_count;            /* Asked of a leader by its learners. */
        uint64_t connection_revalidate_count; /* Sessions that moved to this server. */
        uint64_t learner_proposal_count;
        uint64_t learner_commit_count;    /* INFORM counts too. */
        uint64_t disloyal_voter_count;    /* Leading that ended since voters left. */
        uint64_t linearizable_sync_count; /* Leader: that were confirmed by a quorum. */
    } counts;

    /* In milliseconds, or counts. */
    struct keeper_summaries {
        struct metric_summary read_latency;
        struct metric_summary write_latency;
        struct metric_summary write_wait; /* From the journal's queue until durable. */
        struct metric_summary sync_time;
        struct metric_summary linearizable_sync_time; /* Of the leader. */
        struct metric_summary sync_batch;             /* Writes that one sync made durable. */
        struct metric_summary snapshot_time;
        struct metric_summary restore_time;
        struct metric_summary held_time; /* Of requests that were held. */
        struct metric_summary token_deficit;
        struct metric_summary load_time; /* Of the whole start; the next two are parts of it. */
        struct metric_summary load_snapshot_time;
        struct metric_summary load_journal_time;
        struct metric_summary load_txn_count;
        /* Of members of an ensemble; milliseconds, or counts. */
        struct metric_summary election_time;
        struct metric_summary unavailable_time; /* From looking to serving. */
        struct metric_summary leader_unavailable_time;
        struct metric_summary follower_sync_time;
        struct metric_summary observer_sync_time;
        struct metric_summary inflight_diff_count;
        struct metric_summary inflight_snap_count;
        struct metric_summary learner_request_count; /* That wait to be sent to the leader. */
        struct metric_summary proposal_latency;      /* These five: since the request was made. */
        struct metric_summary proposal_ack_latency;
        struct metric_summary quorum_ack_latency;
        struct metric_summary commit_propagation_latency;
        struct metric_summary server_write_commit_time;
        struct metric_summary local_write_commit_time;
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
