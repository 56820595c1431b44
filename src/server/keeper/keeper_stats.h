/* What four-letter words tell about the work done: counts and latencies, of the server and of each
 * connection.
 *
 * Memory: embedded. Shard: one owner.
 */
#ifndef SERVER_KEEPER_STATS_H
#define SERVER_KEEPER_STATS_H

#include <stddef.h>
#include <stdint.h>

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
    struct keeper_latency read_latency;
    struct keeper_latency write_latency;
    uint64_t rejected_connection_count;
    uint64_t auth_failed_count;
    uint64_t expired_session_count;
    uint64_t snapshot_count;
    int64_t reply_bytes_last; /* -1: none yet. */
    int64_t reply_bytes_min;
    int64_t reply_bytes_max;
};

void keeper_stats_reset(struct keeper_stats *stats);
void keeper_stats_add_reply(struct keeper_stats *stats, size_t bytes);

void keeper_latency_add(struct keeper_latency *latency, uint64_t elapsed_ns);

/* The average as Java prints a double of at most four decimals: "0.0", "1.25". Lends text, of at
 * least keeper_latency_text_bytes. */
enum { keeper_latency_text_bytes = 32 };
const char *keeper_latency_print_average(const struct keeper_latency *latency, char *text);

#endif
