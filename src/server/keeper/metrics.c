#include "server/keeper/metrics.h"

#include "base/assert.h"
#include "server/keeper/keeper_facts.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* A label is a namespace, each byte of which may be escaped. */
enum { name_bytes_max = 128 + 2 * namespace_bytes_max, decimals = 10000 };

/* ---- gauges ---- */

static double read_data_bytes(const struct keeper_server *server)
{
    return (double)server->keeper.tree.data_bytes + 1; /* Apache counts the root's path as well. */
}

static double read_ephemeral_count(const struct keeper_server *server)
{
    return (double)server->keeper.tree.ephemeral_count;
}

static double read_local_session_count(const struct keeper_server *server)
{
    return (double)server->keeper.local_sessions.by_id.count;
}

static double read_session_count(const struct keeper_server *server)
{
    return (double)server->keeper.sessions.by_id.count;
}

static double read_znode_count(const struct keeper_server *server)
{
    return (double)keeper_znode_count(&server->keeper);
}

static double read_watch_count(const struct keeper_server *server)
{
    return (double)keeper_facts_watch_count(server);
}

static double read_connection_count(const struct keeper_server *server)
{
    return net_connection_count(server->net);
}

static double read_refused_connection_count(const struct keeper_server *server)
{
    return (double)net_refused_count(server->net);
}

static double read_unused_connection_count(const struct keeper_server *server)
{
    return (double)net_unused_count(server->net);
}

static double read_outstanding_count(const struct keeper_server *server)
{
    return (double)keeper_facts_outstanding_count(server);
}

static double read_open_file_count(const struct keeper_server *server)
{
    return (double)keeper_facts_open_file_count(server);
}

static double read_open_file_count_max(const struct keeper_server *server)
{
    return (double)server->host.open_file_count_max;
}

static double read_uptime_ms(const struct keeper_server *server)
{
    return (double)keeper_facts_uptime_ms(server);
}

static double read_drop_probability(const struct keeper_server *server)
{
    return server->throttle.drop;
}

static double read_latency_min(const struct keeper_server *server)
{
    return (double)server->stats.latency.min_ms;
}

static double read_latency_max(const struct keeper_server *server)
{
    return (double)server->stats.latency.max_ms;
}

double metrics_average(uint64_t sum, uint64_t count)
{
    if (count == 0)
        return 0;
    const double scaled = (double)sum / (double)count * decimals;
    return (double)(uint64_t)(scaled + 0.5) / decimals;
}

static double read_latency_average(const struct keeper_server *server)
{
    return metrics_average(server->stats.latency.total_ms, server->stats.latency.count);
}

static double read_reply_bytes_last(const struct keeper_server *server)
{
    return (double)server->stats.reply_bytes_last;
}

static double read_reply_bytes_min(const struct keeper_server *server)
{
    return (double)server->stats.reply_bytes_min;
}

static double read_reply_bytes_max(const struct keeper_server *server)
{
    return (double)server->stats.reply_bytes_max;
}

static double read_voter_count(const struct keeper_server *server)
{
    return keeper_facts_voter_count(server);
}

static double read_proposal_bytes_last(const struct keeper_server *server)
{
    return (double)server->ensemble.proposal_bytes_last;
}

static double read_proposal_bytes_min(const struct keeper_server *server)
{
    return (double)server->ensemble.proposal_bytes_min;
}

static double read_proposal_bytes_max(const struct keeper_server *server)
{
    return (double)server->ensemble.proposal_bytes_max;
}

static double read_leader_uptime_ms(const struct keeper_server *server)
{
    const uint64_t elapsed_ns = io_now_ns(server->shard->io) - server->ensemble.role_since_ns;
    return (double)(elapsed_ns / 1000000);
}

static double read_learner_count(const struct keeper_server *server)
{
    return ensemble_facts_count(&server->ensemble).all;
}

static double read_synced_follower_count(const struct keeper_server *server)
{
    return ensemble_facts_count(&server->ensemble).synced_followers;
}

static double read_synced_without_vote_count(const struct keeper_server *server)
{
    return ensemble_facts_count(&server->ensemble).synced_followers_without_vote;
}

static double read_synced_observer_count(const struct keeper_server *server)
{
    return ensemble_facts_count(&server->ensemble).synced_observers;
}

static double read_pending_sync_count(const struct keeper_server *server)
{
    return (double)server->ensemble.pending_sync_count;
}

/* ---- sets: one number for each namespace ---- */

/* Which of two sums a gauge tells, of the limits or of what is used. */
static void each_quota(const struct keeper_server *server, struct metric_keys *keys, bool of_limits,
                       bool of_bytes)
{
    if (server->is_replacing)
        return;
    const struct tree *tree = &server->keeper.tree;
    for (const struct znode *at = quota_first_namespace(tree); at != NULL;
         at = tree_next_sibling(tree, at)) {
        const struct quota_sums sums = quota_add_up(tree, at);
        const struct quota_change *sum = of_limits ? &sums.limits : &sums.usage;
        if ((of_limits ? sums.has_limits : sums.has_usage) &&
            tree_name(at).size <= namespace_bytes_max)
            keys->on_key(keys, tree_name(at), of_bytes ? sum->bytes : sum->count);
    }
}

static void each_quota_bytes_limit(const struct keeper_server *server, struct metric_keys *keys)
{
    each_quota(server, keys, true, true);
}

static void each_quota_bytes_usage(const struct keeper_server *server, struct metric_keys *keys)
{
    each_quota(server, keys, false, true);
}

static void each_quota_count_limit(const struct keeper_server *server, struct metric_keys *keys)
{
    each_quota(server, keys, true, false);
}

static void each_quota_count_usage(const struct keeper_server *server, struct metric_keys *keys)
{
    each_quota(server, keys, false, false);
}

static void each_quota_refusal(const struct keeper_server *server, struct metric_keys *keys)
{
    list_each (link, &server->quota_refusals.all) {
        const struct namespace_count *count = CONTAINER_OF(link, struct namespace_count, link);
        keys->on_key(keys, slice_of(count->name, count->name_bytes), (int64_t)count->value);
    }
}

/* ---- the table ---- */

static const char no_feeding_time[] = "how long it takes to tell observers; nothing waits for it";
static const char no_ensemble_names[] = "whether clients named the ensemble";
static const char no_learner_sets[] = "each learner on its own";
static const char no_threads[] = "queues between threads; here one loop does it all";
static const char no_tls[] = "TLS";
static const char no_cache[] = "a cache of replies; here they are made without one";
static const char no_watch_cleaner[] = "a thread that forgets dead watchers; here they go at once";
static const char no_namespaces[] = "how long requests to each namespace take";
static const char no_jvm[] = "the JVM";
static const char ends_the_process[] = "errors after which this process ends";

/* clang-format off */
#define READ(function)  .read = function
#define EACH(function)  .each = function
#define COUNT(field)    .offset = offsetof(struct keeper_stats, field)
#define SUM(field)      .offset = offsetof(struct keeper_stats, summaries.field)
#define ABSENT(reason)  .absent = reason
#define OF_MEMBERS      .scope = METRIC_OF_MEMBERS
#define OF_LEADERS      .scope = METRIC_OF_LEADERS
#define OF_MASTERS      .scope = METRIC_OF_MASTERS
#define OF_LINEARIZABLE .scope = METRIC_OF_LINEARIZABLE
static const struct metric metrics[] = {
    {"approximate_data_size", METRIC_GAUGE, READ(read_data_bytes)},
    {"auth_failed_count", METRIC_GAUGE, COUNT(auth_failed_count)},
    {"avg_latency", METRIC_DECIMAL, READ(read_latency_average)},
    {"connection_drop_probability", METRIC_DECIMAL, READ(read_drop_probability)},
    {"ephemerals_count", METRIC_GAUGE, READ(read_ephemeral_count)},
    {"global_sessions", METRIC_GAUGE, READ(read_session_count)},
    {"last_client_response_size", METRIC_GAUGE, READ(read_reply_bytes_last)},
    {"local_sessions", METRIC_GAUGE, READ(read_local_session_count)},
    {"max_client_response_size", METRIC_GAUGE, READ(read_reply_bytes_max)},
    {"max_file_descriptor_count", METRIC_GAUGE, READ(read_open_file_count_max)},
    {"max_latency", METRIC_GAUGE, READ(read_latency_max)},
    {"min_client_response_size", METRIC_GAUGE, READ(read_reply_bytes_min)},
    {"min_latency", METRIC_GAUGE, READ(read_latency_min)},
    {"non_mtls_local_conn_count", METRIC_GAUGE, ABSENT(no_tls)},
    {"non_mtls_remote_conn_count", METRIC_GAUGE, ABSENT(no_tls)},
    {"num_alive_connections", METRIC_GAUGE, READ(read_connection_count)},
    {"open_file_descriptor_count", METRIC_GAUGE, READ(read_open_file_count)},
    {"outstanding_requests", METRIC_GAUGE, READ(read_outstanding_count)},
    {"outstanding_tls_handshake", METRIC_GAUGE, ABSENT(no_tls)},
    {"packets_received", METRIC_GAUGE, COUNT(received_count)},
    {"packets_sent", METRIC_GAUGE, COUNT(sent_count)},
    {"uptime", METRIC_GAUGE, READ(read_uptime_ms)},
    {"watch_count", METRIC_GAUGE, READ(read_watch_count)},
    {"znode_count", METRIC_GAUGE, READ(read_znode_count)},
    {"quorum_size", METRIC_GAUGE, READ(read_voter_count), OF_MEMBERS},
    {"last_proposal_size", METRIC_GAUGE, READ(read_proposal_bytes_last), OF_LEADERS},
    {"leader_uptime", METRIC_GAUGE, READ(read_leader_uptime_ms), OF_LEADERS},
    {"learners", METRIC_GAUGE, READ(read_learner_count), OF_LEADERS},
    {"max_proposal_size", METRIC_GAUGE, READ(read_proposal_bytes_max), OF_LEADERS},
    {"min_proposal_size", METRIC_GAUGE, READ(read_proposal_bytes_min), OF_LEADERS},
    {"pending_syncs", METRIC_GAUGE, READ(read_pending_sync_count), OF_LEADERS},
    {"synced_followers", METRIC_GAUGE, READ(read_synced_follower_count), OF_LEADERS},
    {"synced_non_voting_followers", METRIC_GAUGE, READ(read_synced_without_vote_count), OF_LEADERS},
    {"synced_observers", METRIC_GAUGE, READ(read_synced_observer_count), OF_MASTERS},
    {"quota_bytes_limit_per_namespace", METRIC_GAUGE_SET, EACH(each_quota_bytes_limit)},
    {"quota_bytes_usage_per_namespace", METRIC_GAUGE_SET, EACH(each_quota_bytes_usage)},
    {"quota_count_limit_per_namespace", METRIC_GAUGE_SET, EACH(each_quota_count_limit)},
    {"quota_count_usage_per_namespace", METRIC_GAUGE_SET, EACH(each_quota_count_usage)},

    {"add_dead_watcher_stall_time", METRIC_COUNTER, ABSENT(no_watch_cleaner)},
    {"bytes_received_count", METRIC_COUNTER, COUNT(counts.received_bytes)},
    {"cnxn_closed_without_zk_server_running", METRIC_COUNTER, COUNT(counts.unserved_connection_count)},
    {"commit_count", METRIC_COUNTER, COUNT(counts.commit_count)},
    {"connection_drop_count", METRIC_COUNTER, COUNT(counts.dropped_connection_count)},
    {"connection_rejected", METRIC_COUNTER, READ(read_refused_connection_count)},
    {"connection_request_count", METRIC_COUNTER, COUNT(counts.connect_request_count)},
    {"connection_revalidate_count", METRIC_COUNTER, COUNT(counts.connection_revalidate_count)},
    {"dead_watchers_cleared", METRIC_COUNTER, ABSENT(no_watch_cleaner)},
    {"dead_watchers_queued", METRIC_COUNTER, ABSENT(no_watch_cleaner)},
    {"diff_count", METRIC_COUNTER, COUNT(counts.diff_count)},
    {"digest_mismatches_count", METRIC_COUNTER, COUNT(counts.digest_mismatch_count)},
    {"ensemble_auth_fail", METRIC_COUNTER, ABSENT(no_ensemble_names)},
    {"ensemble_auth_skip", METRIC_COUNTER, ABSENT(no_ensemble_names)},
    {"ensemble_auth_success", METRIC_COUNTER, ABSENT(no_ensemble_names)},
    {"insecure_admin_count", METRIC_COUNTER, ABSENT(no_tls)},
    {"large_requests_rejected", METRIC_COUNTER, COUNT(counts.large_request_refused_count)},
    {"learner_commit_received_count", METRIC_COUNTER, COUNT(counts.learner_commit_count)},
    {"learner_proposal_received_count", METRIC_COUNTER, COUNT(counts.learner_proposal_count)},
    {"linearizable_sync_count", METRIC_COUNTER, COUNT(counts.linearizable_sync_count), OF_LINEARIZABLE},
    {"looking_count", METRIC_COUNTER, COUNT(counts.looking_count)},
    {"outstanding_changes_queued", METRIC_COUNTER, ABSENT(no_threads)},
    {"outstanding_changes_removed", METRIC_COUNTER, ABSENT(no_threads)},
    {"prep_processor_request_queued", METRIC_COUNTER, COUNT(received_count)},
    {"proposal_count", METRIC_COUNTER, COUNT(counts.proposal_count)},
    {"quit_leading_due_to_disloyal_voter", METRIC_COUNTER, COUNT(counts.disloyal_voter_count)},
    {"quota_exceeded_error_per_namespace", METRIC_COUNTER_SET, EACH(each_quota_refusal)},
    {"request_commit_queued", METRIC_COUNTER, ABSENT(no_threads)},
    {"request_throttle_wait_count", METRIC_COUNTER, COUNT(counts.held_request_count)},
    {"requests_not_forwarded_to_commit_processor", METRIC_COUNTER, ABSENT(no_threads)},
    {"response_bytes", METRIC_COUNTER, COUNT(counts.reply_bytes)},
    {"response_packet_cache_hits", METRIC_COUNTER, ABSENT(no_cache)},
    {"response_packet_cache_misses", METRIC_COUNTER, ABSENT(no_cache)},
    {"response_packet_get_children_cache_hits", METRIC_COUNTER, ABSENT(no_cache)},
    {"response_packet_get_children_cache_misses", METRIC_COUNTER, ABSENT(no_cache)},
    {"restore_error_count", METRIC_COUNTER, COUNT(counts.restore_error_count)},
    {"restore_rate_limited_count", METRIC_COUNTER, COUNT(counts.restore_rate_limited_count)},
    {"revalidate_count", METRIC_COUNTER, COUNT(counts.revalidate_count)},
    {"sessionless_connections_expired", METRIC_COUNTER, READ(read_unused_connection_count)},
    {"skip_learner_request_to_next_processor_count", METRIC_COUNTER, ABSENT(no_threads)},
    {"snap_count", METRIC_COUNTER, COUNT(counts.snap_count)},
    {"snapshot_error_count", METRIC_COUNTER, COUNT(counts.snapshot_error_count)},
    {"snapshot_rate_limited_count", METRIC_COUNTER, COUNT(counts.snapshot_rate_limited_count)},
    {"stale_replies", METRIC_COUNTER, COUNT(counts.stale_reply_count)},
    {"stale_requests", METRIC_COUNTER, COUNT(counts.stale_request_count)},
    {"stale_requests_dropped", METRIC_COUNTER, COUNT(counts.stale_request_count)},
    {"stale_sessions_expired", METRIC_COUNTER, COUNT(counts.expired_session_count)},
    {"sync_processor_request_queued", METRIC_COUNTER, COUNT(counts.write_count)},
    {"throttled_ops", METRIC_COUNTER, COUNT(counts.throttled_request_count)},
    {"tls_handshake_exceeded", METRIC_COUNTER, ABSENT(no_tls)},
    {"unrecoverable_error_count", METRIC_COUNTER, ABSENT(ends_the_process)},
    {"unsuccessful_handshake", METRIC_COUNTER, ABSENT(no_tls)},
    {"watch_bytes", METRIC_COUNTER, COUNT(counts.event_bytes)},

    {"commit_commit_proc_req_queued", METRIC_SUMMARY, ABSENT(no_threads)},
    {"commit_process_time", METRIC_SUMMARY, ABSENT(no_threads)},
    {"concurrent_request_processing_in_commit_processor", METRIC_SUMMARY, ABSENT(no_threads)},
    {"connection_token_deficit", METRIC_SUMMARY, SUM(token_deficit)},
    {"dbinittime", METRIC_SUMMARY, SUM(load_time)},
    {"election_time", METRIC_SUMMARY, SUM(election_time)},
    {"follower_sync_time", METRIC_SUMMARY, SUM(follower_sync_time)},
    {"fsynctime", METRIC_SUMMARY, SUM(sync_time)},
    {"inflight_diff_count", METRIC_SUMMARY, SUM(inflight_diff_count)},
    {"inflight_snap_count", METRIC_SUMMARY, SUM(inflight_snap_count)},
    {"leader_unavailable_time", METRIC_SUMMARY, SUM(leader_unavailable_time)},
    {"learner_request_processor_queue_size", METRIC_SUMMARY, SUM(learner_request_count)},
    {"linearizable_sync_time", METRIC_PERCENTILES, SUM(linearizable_sync_time), OF_LINEARIZABLE},
    {"netty_queued_buffer_capacity", METRIC_SUMMARY, ABSENT(no_threads)},
    {"node_changed_watch_count", METRIC_SUMMARY, SUM(watch_count[2])},
    {"node_children_watch_count", METRIC_SUMMARY, SUM(watch_count[3])},
    {"node_created_watch_count", METRIC_SUMMARY, SUM(watch_count[0])},
    {"node_deleted_watch_count", METRIC_SUMMARY, SUM(watch_count[1])},
    {"observer_sync_time", METRIC_SUMMARY, SUM(observer_sync_time)},
    {"pending_session_queue_size", METRIC_SUMMARY, ABSENT(no_threads)},
    {"prep_process_time", METRIC_SUMMARY, ABSENT(no_threads)},
    {"prep_processor_queue_size", METRIC_SUMMARY, ABSENT(no_threads)},
    {"proposal_process_time", METRIC_SUMMARY, ABSENT(no_threads)},
    {"read_commit_proc_issued", METRIC_SUMMARY, ABSENT(no_threads)},
    {"read_commit_proc_req_queued", METRIC_SUMMARY, ABSENT(no_threads)},
    {"reads_after_write_in_session_queue", METRIC_SUMMARY, ABSENT(no_threads)},
    {"reads_issued_from_session_queue", METRIC_SUMMARY, ABSENT(no_threads)},
    {"requests_in_session_queue", METRIC_SUMMARY, ABSENT(no_threads)},
    {"restore_time", METRIC_SUMMARY, SUM(restore_time)},
    {"session_queues_drained", METRIC_SUMMARY, ABSENT(no_threads)},
    {"snapshottime", METRIC_SUMMARY, SUM(snapshot_time)},
    {"socket_closing_time", METRIC_SUMMARY, ABSENT(no_threads)},
    {"startup_snap_load_time", METRIC_SUMMARY, SUM(load_snapshot_time)},
    {"startup_txns_load_time", METRIC_SUMMARY, SUM(load_journal_time)},
    {"startup_txns_loaded", METRIC_SUMMARY, SUM(load_txn_count)},
    {"sync_process_time", METRIC_SUMMARY, ABSENT(no_threads)},
    {"sync_processor_batch_size", METRIC_SUMMARY, SUM(sync_batch)},
    {"sync_processor_queue_size", METRIC_SUMMARY, ABSENT(no_threads)},
    {"time_waiting_empty_pool_in_commit_processor_read_ms", METRIC_SUMMARY, ABSENT(no_threads)},
    {"unavailable_time", METRIC_SUMMARY, SUM(unavailable_time)},
    {"write_batch_time_in_commit_processor", METRIC_SUMMARY, ABSENT(no_threads)},
    {"write_commit_proc_issued", METRIC_SUMMARY, ABSENT(no_threads)},
    {"write_commit_proc_req_queued", METRIC_SUMMARY, ABSENT(no_threads)},

    {"close_session_prep_time", METRIC_PERCENTILES, ABSENT(no_threads)},
    {"commit_propagation_latency", METRIC_PERCENTILES, SUM(commit_propagation_latency)},
    {"dead_watchers_cleaner_latency", METRIC_PERCENTILES, ABSENT(no_watch_cleaner)},
    {"jvm_pause_time_ms", METRIC_PERCENTILES, ABSENT(no_jvm)},
    {"local_write_committed_time_ms", METRIC_PERCENTILES, SUM(local_write_commit_time)},
    {"om_commit_process_time_ms", METRIC_PERCENTILES, ABSENT(no_feeding_time)},
    {"om_proposal_process_time_ms", METRIC_PERCENTILES, ABSENT(no_feeding_time)},
    {"prep_processor_queue_time_ms", METRIC_PERCENTILES, ABSENT(no_threads)},
    {"propagation_latency", METRIC_PERCENTILES, SUM(write_latency)},
    {"proposal_ack_creation_latency", METRIC_PERCENTILES, SUM(proposal_ack_latency)},
    {"proposal_latency", METRIC_PERCENTILES, SUM(proposal_latency)},
    {"quorum_ack_latency", METRIC_PERCENTILES, SUM(quorum_ack_latency)},
    {"read_commitproc_time_ms", METRIC_PERCENTILES, ABSENT(no_threads)},
    {"read_final_proc_time_ms", METRIC_PERCENTILES, ABSENT(no_threads)},
    {"readlatency", METRIC_PERCENTILES, SUM(read_latency)},
    {"request_throttle_queue_time_ms", METRIC_PERCENTILES, SUM(held_time)},
    {"server_write_committed_time_ms", METRIC_PERCENTILES, SUM(server_write_commit_time)},
    {"sync_processor_queue_and_flush_time_ms", METRIC_PERCENTILES, SUM(write_wait)},
    {"sync_processor_queue_flush_time_ms", METRIC_PERCENTILES, SUM(sync_time)},
    {"sync_processor_queue_time_ms", METRIC_PERCENTILES, ABSENT(no_threads)},
    {"updatelatency", METRIC_PERCENTILES, SUM(write_latency)},
    {"write_commitproc_time_ms", METRIC_PERCENTILES, ABSENT(no_threads)},
    {"write_final_proc_time_ms", METRIC_PERCENTILES, ABSENT(no_threads)},

    {"ack_latency", METRIC_SUMMARY_SET, ABSENT(no_learner_sets)},
    {"learner_handler_qp_size", METRIC_SUMMARY_SET, ABSENT(no_learner_sets)},
    {"learner_handler_qp_time_ms", METRIC_SUMMARY_SET, ABSENT(no_learner_sets)},
    {"read_per_namespace", METRIC_SUMMARY_SET, ABSENT(no_namespaces)},
    {"write_per_namespace", METRIC_SUMMARY_SET, ABSENT(no_namespaces)},
};
/* clang-format on */

const struct metric *metrics_table(size_t *count)
{
    *count = ARRAY_COUNT(metrics);
    return metrics;
}

static const void *field_of(const struct keeper_server *server, const struct metric *metric)
{
    return (const char *)&server->stats + metric->offset;
}

static double value_of(const struct keeper_server *server, const struct metric *metric)
{
    if (metric->absent != NULL)
        return 0;
    if (metric->read != NULL)
        return metric->read(server);
    return (double)*(const uint64_t *)field_of(server, metric);
}

static const struct metric_summary *summary_of(const struct keeper_server *server,
                                               const struct metric *metric)
{
    static const struct metric_summary nothing;
    return metric->absent != NULL ? &nothing : field_of(server, metric);
}

/* ---- samples ---- */

/* How samples are named. */
struct naming {
    bool with_labels; /* The Prometheus provider's; otherwise the default one's. */
    bool on_page;     /* Its page escapes labels and has a comma behind the last one. */
};

PRINTF_LIKE(4, 5)
static void tell(struct metric_visitor *visitor, double value, bool is_whole, const char *format,
                 ...)
{
    char name[name_bytes_max];
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    assert(size > 0 && (size_t)size < sizeof name);
    visitor->on_sample(visitor, &(struct metric_sample){name, value, is_whole});
}

static void tell_summary(struct metric_visitor *visitor, const struct metric_summary *summary,
                         const struct metric *metric)
{
    const char *name = metric->name;
    tell(visitor, metrics_average(summary->sum, summary->count), false, "avg_%s", name);
    tell(visitor, (double)summary->min, true, "min_%s", name);
    tell(visitor, (double)summary->max, true, "max_%s", name);
    tell(visitor, (double)summary->count, true, "cnt_%s", name);
    tell(visitor, (double)summary->sum, true, "sum_%s", name);
    if (metric->kind != METRIC_PERCENTILES)
        return;
    static const struct {
        const char *prefix;
        uint32_t permille;
    } percentiles[] = {{"p50", 500}, {"p95", 950}, {"p99", 990}, {"p999", 999}};
    for (size_t index = 0; index < ARRAY_COUNT(percentiles); index++) {
        const int64_t value =
            metric_summary_percentile(summary, METRIC_SUMMARY_ALL, percentiles[index].permille);
        tell(visitor, (double)max_i64(value, 0), true, "%s_%s", percentiles[index].prefix, name);
    }
}

struct set {
    struct metric_keys keys;
    struct metric_visitor *visitor;
    const struct metric *metric;
    struct naming naming;
};

/* Lends out, of at least 2 * namespace_bytes_max. */
static struct slice escape(struct slice key, char *out)
{
    size_t size = 0;
    for (size_t at = 0; at < key.size; at++) {
        if (key.data[at] == '\\' || key.data[at] == '"')
            out[size++] = '\\';
        out[size++] = (char)key.data[at];
    }
    return slice_of(out, size);
}

static void tell_key(struct metric_keys *keys, struct slice key, int64_t value)
{
    const struct set *set = CONTAINER_OF(keys, struct set, keys);
    const char *name = set->metric->name;
    char escaped[2 * namespace_bytes_max];
    assert(key.size <= namespace_bytes_max);
    if (!set->naming.with_labels)
        tell(set->visitor, (double)value, true, "%" SLICE_FORMAT "_%s", SLICE_ARGS(key), name);
    else if (!set->naming.on_page)
        tell(set->visitor, (double)value, false, "%s{key=\"%" SLICE_FORMAT "\"}", name,
             SLICE_ARGS(key));
    else
        tell(set->visitor, (double)value, false, "%s{key=\"%" SLICE_FORMAT "\",}", name,
             SLICE_ARGS(escape(key, escaped)));
}

static void tell_set(const struct keeper_server *server, struct metric_visitor *visitor,
                     const struct metric *metric, struct naming naming)
{
    struct set set = {{tell_key}, visitor, metric, naming};
    if (metric->each != NULL)
        metric->each(server, &set.keys);
}

static void tell_default(const struct keeper_server *server, struct metric_visitor *visitor,
                         const struct metric *metric)
{
    switch (metric->kind) {
    case METRIC_GAUGE:
    case METRIC_COUNTER: tell(visitor, value_of(server, metric), true, "%s", metric->name); return;
    case METRIC_DECIMAL: tell(visitor, value_of(server, metric), false, "%s", metric->name); return;
    case METRIC_SUMMARY:
    case METRIC_PERCENTILES: tell_summary(visitor, summary_of(server, metric), metric); return;
    case METRIC_GAUGE_SET:
    case METRIC_COUNTER_SET:
    case METRIC_SUMMARY_SET: tell_set(server, visitor, metric, (struct naming){0}); return;
    }
}

static const struct {
    const char *text;
    uint32_t permille;
} quantiles[] = {{"0.5", 500}, {"0.9", 900}, {"0.99", 990}};

static void tell_quantiles(const struct keeper_server *server, struct metric_visitor *visitor,
                           const struct metric *metric, bool on_page)
{
    const char *comma = on_page ? "," : "";
    const struct metric_summary *summary = summary_of(server, metric);
    const size_t count = metric->kind == METRIC_PERCENTILES ? ARRAY_COUNT(quantiles) : 1;
    for (size_t index = 0; index < count; index++) {
        const int64_t value =
            metric_summary_percentile(summary, METRIC_SUMMARY_LATELY, quantiles[index].permille);
        tell(visitor, value < 0 ? NAN : (double)value, false, "%s{quantile=\"%s\"%s}", metric->name,
             quantiles[index].text, comma);
    }
    tell(visitor, (double)summary->count, false, "%s_count", metric->name);
    tell(visitor, (double)summary->sum, false, "%s_sum", metric->name);
}

static void tell_prometheus(const struct keeper_server *server, struct metric_visitor *visitor,
                            const struct metric *metric, bool on_page)
{
    switch (metric->kind) {
    case METRIC_GAUGE:
    case METRIC_DECIMAL:
    case METRIC_COUNTER: tell(visitor, value_of(server, metric), false, "%s", metric->name); return;
    case METRIC_SUMMARY:
    case METRIC_PERCENTILES: tell_quantiles(server, visitor, metric, on_page); return;
    case METRIC_GAUGE_SET:
    case METRIC_COUNTER_SET:
    case METRIC_SUMMARY_SET:
        tell_set(server, visitor, metric, (struct naming){true, on_page});
        return;
    }
}

static bool is_shown(const struct keeper_server *server, const struct metric *metric)
{
    switch (metric->scope) {
    case METRIC_OF_ALL: break;
    case METRIC_OF_MEMBERS:
        return server->ensemble.role != ENSEMBLE_ALONE &&
               server->ensemble.role != ENSEMBLE_READ_ONLY;
    case METRIC_OF_LEADERS: return server->ensemble.role == ENSEMBLE_LEADER;
    case METRIC_OF_MASTERS: return ensemble_facts_has_learners(&server->ensemble);
    case METRIC_OF_LINEARIZABLE: return server->config.sync_is_linearizable;
    }
    return true;
}

void metrics_visit(const struct keeper_server *server, struct metric_visitor *visitor)
{
    const bool is_prometheus = keeper_config_has_prometheus(&server->config);
    for (size_t index = 0; index < ARRAY_COUNT(metrics); index++) {
        if (!is_shown(server, &metrics[index]))
            continue;
        if (is_prometheus)
            tell_prometheus(server, visitor, &metrics[index], false);
        else
            tell_default(server, visitor, &metrics[index]);
    }
}

const char *metrics_print_value(const struct metric_sample *sample, char *out)
{
    if (!sample->is_whole)
        return counted_text_double(sample->value, out);
    snprintf(out, counted_text_double_bytes, "%.0f", sample->value);
    return out;
}

/* ---- the page ---- */

struct page {
    struct metric_visitor visitor;
    struct counted_text *text;
};

static void put_line(struct metric_visitor *visitor, const struct metric_sample *sample)
{
    struct page *page = CONTAINER_OF(visitor, struct page, visitor);
    char value[counted_text_double_bytes];
    counted_text_print(page->text, "%s %s\n", sample->name, metrics_print_value(sample, value));
}

static const char *type_of(enum metric_kind kind)
{
    switch (kind) {
    case METRIC_GAUGE:
    case METRIC_DECIMAL:
    case METRIC_GAUGE_SET: return "gauge";
    case METRIC_COUNTER:
    case METRIC_COUNTER_SET: return "counter";
    case METRIC_SUMMARY:
    case METRIC_PERCENTILES:
    case METRIC_SUMMARY_SET: break;
    }
    return "summary";
}

void metrics_put_page(const struct keeper_server *server, struct counted_text *text)
{
    struct page page = {.visitor.on_sample = put_line, .text = text};
    for (size_t index = 0; index < ARRAY_COUNT(metrics); index++) {
        const struct metric *metric = &metrics[index];
        if (!is_shown(server, metric))
            continue;
        counted_text_print(text, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->name,
                           metric->name, type_of(metric->kind));
        tell_prometheus(server, &page.visitor, metric, true);
    }
}
