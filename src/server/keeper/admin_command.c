#include "server/keeper/admin_command.h"

#include "server/keeper/client_link.h"
#include "server/keeper/keeper_facts.h"
#include "server/keeper/metrics.h"

#include "net/http_request.h"

#include <inttypes.h>
#include <stdio.h>

enum { id_text_bytes = 24, number_bytes_max = 64, end_text_bytes_max = 280 };

static void put_key(struct admin_json *json, const char *key)
{
    admin_json_key(json, slice_from_text(key));
}

static void put_empty_array(struct admin_json *json, const char *key)
{
    put_key(json, key);
    admin_json_open_array(json);
    admin_json_close_array(json);
}

static void put_id_key(struct admin_json *json, int64_t id)
{
    char text[id_text_bytes];
    snprintf(text, sizeof text, "%" PRId64, id);
    put_key(json, text);
}

/* ---- configuration and environment ---- */

static void put_configuration(struct admin_json *json, struct admin_command_call *call)
{
    const struct keeper_server *server = call->server;
    const struct keeper_config *config = &server->config;
    admin_json_put_int(json, "client_port", server->address.port);
    admin_json_put_text(json, "data_dir", server->snapshot_path);
    admin_json_put_text(json, "data_log_dir", server->journal_path);
    admin_json_put_int(json, "tick_time", config->tick_ms);
    admin_json_put_int(json, "max_client_cnxns", config->connection_count_max_per_address);
    admin_json_put_int(json, "min_session_timeout", keeper_config_timeout_ms_min(config));
    admin_json_put_int(json, "max_session_timeout", keeper_config_timeout_ms_max(config));
    admin_json_put_int(json, "server_id", config->is_ensemble ? config->self_id : 0);
    admin_json_put_int(json, "client_port_listen_backlog", config->backlog);
}

static void put_initial_configuration(struct admin_json *json, struct admin_command_call *call)
{
    put_key(json, "initial_configuration");
    admin_json_text(json, call->server->config.text);
}

static void put_variable(void *context, const char *name, const char *value)
{
    admin_json_put_text(context, name, value);
}

static void put_environment(struct admin_json *json, struct admin_command_call *call)
{
    keeper_facts_each_variable(call->server, put_variable, json);
}

/* There is no Java; these three it would have told as well. */
static void put_system_properties(struct admin_json *json, struct admin_command_call *call)
{
    admin_json_put_text(json, "os.arch", call->server->host.architecture);
    admin_json_put_text(json, "os.name", call->server->host.os_name);
    admin_json_put_text(json, "os.version", call->server->host.os_version);
}

static void put_dirs(struct admin_json *json, struct admin_command_call *call)
{
    const struct keeper_server *server = call->server;
    admin_json_put_int(json, "datadir_size",
                       (int64_t)keeper_facts_folder_bytes(server, server->snapshot_path));
    admin_json_put_int(json, "logdir_size",
                       (int64_t)keeper_facts_folder_bytes(server, server->journal_path));
}

/* ---- connections ---- */

static void put_last_operation(struct admin_json *json, const struct client_link *client)
{
    put_key(json, "last_operation");
    if (client->type_last == 0)
        admin_json_null(json);
    else
        admin_json_text(json, slice_from_text(keeper_facts_op_text(client->type_last)));
}

static void put_connection(struct admin_json *json, const struct client_link *client, bool is_brief)
{
    char address[io_address_text_max];
    const struct keeper_latency *latency = &client->latency;
    const bool has_session = client->phase == CLIENT_LINK_OPEN;
    admin_json_open_object(json);
    admin_json_put_text(json, "remote_socket_address",
                        io_address_print(&client->net->peer, address, sizeof address));
    admin_json_put_int(json, "interest_ops", 1);
    admin_json_put_int(json, "outstanding_requests", client->outstanding_count);
    admin_json_put_int(json, "packets_received", (int64_t)client->received_count);
    admin_json_put_int(json, "packets_sent", (int64_t)client->sent_count);
    if (!is_brief) {
        admin_json_put_int(json, "session_id", has_session ? client->keeper.session_id : 0);
        put_last_operation(json, client);
        admin_json_put_int(json, "established", client->connected_at_ms);
        admin_json_put_int(json, "session_timeout",
                           has_session ? client->timeout_ms
                                       : client->server->config.sessionless_timeout_ms);
        admin_json_put_int(json, "last_cxid", client->xid_last);
        admin_json_put_int(json, "last_zxid", client->zxid_last);
        admin_json_put_int(json, "last_response_time", (int64_t)client->replied_at_ms);
        admin_json_put_int(json, "last_latency", (int64_t)client->latency_last_ms);
        admin_json_put_int(json, "min_latency", (int64_t)latency->min_ms);
        admin_json_put_int(json, "avg_latency",
                           (int64_t)(latency->total_ms / max_u64(latency->count, 1)));
        admin_json_put_int(json, "max_latency", (int64_t)latency->max_ms);
    }
    admin_json_close_object(json);
}

static void put_connections_of(struct admin_json *json, const struct keeper_server *server,
                               bool is_brief)
{
    put_key(json, "connections");
    admin_json_open_array(json);
    list_each (link, &server->links) {
        const struct client_link *client = CONTAINER_OF(link, struct client_link, link);
        if (client->net != NULL)
            put_connection(json, client, is_brief);
    }
    admin_json_close_array(json);
    put_empty_array(json, "secure_connections");
}

static void put_connections(struct admin_json *json, struct admin_command_call *call)
{
    put_connections_of(json, call->server, false);
}

static void reset_connections(struct admin_json *json, struct admin_command_call *call)
{
    (void)json;
    client_link_reset_stats(call->server);
}

/* ---- figures ---- */

static void put_reply_sizes(struct admin_json *json, const char *key,
                            const struct keeper_stats *stats)
{
    put_key(json, key);
    admin_json_open_object(json);
    admin_json_put_int(json, "last_buffer_size", stats->reply_bytes_last);
    admin_json_put_int(json, "min_buffer_size", stats->reply_bytes_min);
    admin_json_put_int(json, "max_buffer_size", stats->reply_bytes_max);
    admin_json_close_object(json);
}

static void put_proposal_sizes(struct admin_json *json, const struct ensemble_facts *facts)
{
    put_key(json, "proposal_stats");
    admin_json_open_object(json);
    admin_json_put_int(json, "last_buffer_size", facts->proposal_bytes_last);
    admin_json_put_int(json, "min_buffer_size", facts->proposal_bytes_min);
    admin_json_put_int(json, "max_buffer_size", facts->proposal_bytes_max);
    admin_json_close_object(json);
}

static void put_stats_object(struct admin_json *json, const struct keeper_server *server)
{
    const struct keeper_stats *stats = &server->stats;
    put_key(json, "server_stats");
    admin_json_open_object(json);
    admin_json_put_int(json, "packets_sent", (int64_t)stats->sent_count);
    admin_json_put_int(json, "packets_received", (int64_t)stats->received_count);
    admin_json_put_int(json, "fsync_threshold_exceed_count", 0);
    put_reply_sizes(json, "client_response_stats", stats);
    admin_json_put_int(json, "uptime", (int64_t)keeper_facts_uptime_ms(server));
    admin_json_put_bool(json, "provider_null", false);
    admin_json_put_int(json, "data_dir_size",
                       (int64_t)keeper_facts_folder_bytes(server, server->snapshot_path));
    admin_json_put_int(json, "log_dir_size",
                       (int64_t)keeper_facts_folder_bytes(server, server->journal_path));
    admin_json_put_int(json, "last_processed_zxid", server->keeper.zxid_applied);
    admin_json_put_int(json, "outstanding_requests",
                       (int64_t)keeper_facts_outstanding_count(server));
    admin_json_put_text(json, "server_state", ensemble_facts_mode(&server->ensemble));
    put_key(json, "avg_latency");
    admin_json_double(json, metrics_average(stats->latency.total_ms, stats->latency.count));
    admin_json_put_int(json, "max_latency", (int64_t)stats->latency.max_ms);
    admin_json_put_int(json, "min_latency", (int64_t)stats->latency.min_ms);
    admin_json_put_int(json, "num_alive_client_connections", net_connection_count(server->net));
    admin_json_put_int(json, "auth_failed_count", (int64_t)stats->auth_failed_count);
    admin_json_put_int(json, "non_mtlsremote_conn_count", 0);
    admin_json_put_int(json, "non_mtlslocal_conn_count", 0);
    admin_json_close_object(json);
}

static void put_server_stats(struct admin_json *json, struct admin_command_call *call)
{
    const struct keeper_server *server = call->server;
    admin_json_put_text(json, "version", keeper_facts_version);
    admin_json_put_bool(json, "read_only", server->ensemble.role == ENSEMBLE_READ_ONLY);
    put_stats_object(json, server);
    put_reply_sizes(json, "client_response", &server->stats);
    if (server->ensemble.role == ENSEMBLE_LEADER)
        put_proposal_sizes(json, &server->ensemble);
    admin_json_put_int(json, "node_count", (int64_t)keeper_znode_count(&server->keeper));
}

static void put_stats(struct admin_json *json, struct admin_command_call *call)
{
    put_server_stats(json, call);
    put_connections_of(json, call->server, true);
}

static void reset_stats(struct admin_json *json, struct admin_command_call *call)
{
    (void)json;
    keeper_server_reset_stats(call->server);
}

struct monitor {
    struct metric_visitor visitor;
    struct admin_json *json;
};

static void put_sample(struct metric_visitor *visitor, const struct metric_sample *sample)
{
    struct admin_json *json = CONTAINER_OF(visitor, struct monitor, visitor)->json;
    put_key(json, sample->name);
    if (sample->is_whole)
        admin_json_int(json, (int64_t)sample->value);
    else
        admin_json_double(json, sample->value);
}

static void put_monitor(struct admin_json *json, struct admin_command_call *call)
{
    struct monitor monitor = {.visitor.on_sample = put_sample, .json = json};
    admin_json_put_text(json, "version", keeper_facts_version);
    const struct ensemble_facts *ensemble = &call->server->ensemble;
    admin_json_put_text(json, "server_state", ensemble_facts_mode(ensemble));
    if (ensemble->role != ENSEMBLE_ALONE)
        admin_json_put_text(json, "peer_state", ensemble_facts_peer_state(ensemble));
    if (ensemble->role == ENSEMBLE_OBSERVER)
        admin_json_put_int(json, "observer_master_id", ensemble->leader_id);
    metrics_visit(call->server, &monitor.visitor);
}

static void put_hash(struct admin_json *json, struct admin_command_call *call)
{
    const struct digest_log *digests = &call->server->digests;
    put_key(json, "digests");
    admin_json_open_array(json);
    for (uint64_t index = 0; index < digest_log_count(digests); index++) {
        const struct digest_log_entry *entry = digest_log_at(digests, index);
        admin_json_open_object(json);
        admin_json_put_int(json, "zxid", entry->zxid);
        admin_json_put_int(json, "digest", (int64_t)entry->digest);
        admin_json_put_int(json, "digest_version", snapshot_digest_version);
        admin_json_close_object(json);
    }
    admin_json_close_array(json);
}

static void put_last_snapshot(struct admin_json *json, struct admin_command_call *call)
{
    const struct snapshot_task *task = &call->server->snapshot;
    char zxid[id_text_bytes];
    snprintf(zxid, sizeof zxid, "%" PRIx64, (uint64_t)task->zxid_last);
    admin_json_put_text(json, "zxid", zxid);
    admin_json_put_int(json, "timestamp", task->ended_at_s);
}

/* ---- sessions and watches ---- */

static void put_due(struct admin_json *json, const struct session_table *sessions, int64_t tick)
{
    uint64_t position = 0;
    struct session *session = session_table_next(sessions, &position, NULL);
    for (; session != NULL; session = session_table_next(sessions, &position, session))
        if (session->deadline_tick == tick)
            admin_json_int(json, session->id);
}

/* A tick at which sessions of both kinds end shows those of all servers: as in Apache's server,
 * whose one set takes the place of the other. */
static void put_expiry(struct admin_json *json, const struct keeper_server *server, int64_t tick,
                       bool is_global)
{
    const struct keeper *keeper = &server->keeper;
    put_id_key(json, tick * server->config.tick_ms);
    admin_json_open_array(json);
    put_due(json, is_global ? &keeper->sessions : &keeper->local_sessions, tick);
    admin_json_close_array(json);
}

/* A learner shows none: it does not expire the sessions of all servers. */
static void put_expiries(struct admin_json *json, const struct keeper_server *server)
{
    const struct keeper *keeper = &server->keeper;
    int64_t tick = INT64_MIN;
    while (keeper_server_decides(server)) {
        const struct keeper_facts_expiry global = keeper_facts_next_expiry(&keeper->sessions, tick);
        const struct keeper_facts_expiry local =
            keeper_facts_next_expiry(&keeper->local_sessions, tick);
        if (global.count == 0 && local.count == 0)
            return;
        tick = min_i64(global.tick, local.tick);
        put_expiry(json, server, tick, global.tick == tick);
    }
}

static void put_path(struct admin_json *json, struct keeper_server *server,
                     const struct znode *znode)
{
    struct arena *arena = &server->arena;
    arena_reset(arena);
    uint8_t *path = arena_take(arena, tree_path_bytes(&server->keeper.tree, znode));
    if (path != NULL)
        admin_json_text(json, tree_path_write(&server->keeper.tree, znode, path));
}

static void put_ephemerals(struct admin_json *json, struct keeper_server *server)
{
    const struct session_table *sessions = &server->keeper.sessions;
    uint64_t position = 0;
    struct session *session = session_table_next(sessions, &position, NULL);
    for (; session != NULL; session = session_table_next(sessions, &position, session)) {
        const struct tree_owner *owner = tree_find_owner(&server->keeper.tree, session->id);
        if (owner == NULL)
            continue;
        put_id_key(json, session->id);
        admin_json_open_array(json);
        list_each (link, &owner->znodes)
            put_path(json, server, tree_owned(link));
        admin_json_close_array(json);
    }
}

static void put_dump(struct admin_json *json, struct admin_command_call *call)
{
    struct keeper_server *server = call->server;
    put_key(json, "expiry_time_to_session_ids");
    admin_json_open_object(json);
    put_expiries(json, server);
    admin_json_close_object(json);
    put_key(json, "session_id_to_ephemeral_paths");
    admin_json_open_object(json);
    put_ephemerals(json, server);
    admin_json_close_object(json);
}

/* Like Apache's, the three know of data watches only. */
static void put_watch_summary(struct admin_json *json, struct admin_command_call *call)
{
    const struct watch_table *watches = &call->server->keeper.watches;
    admin_json_put_int(json, "num_connections", (int64_t)watches->watcher_count[WATCH_KIND_DATA]);
    admin_json_put_int(json, "num_paths", (int64_t)watches->paths[WATCH_KIND_DATA].count);
    admin_json_put_int(json, "num_total_watches", (int64_t)watches->watch_count[WATCH_KIND_DATA]);
}

static void put_watches(struct admin_json *json, struct admin_command_call *call)
{
    put_key(json, "session_id_to_watched_paths");
    admin_json_open_object(json);
    list_each (at, &call->server->links) {
        const struct client_link *client = CONTAINER_OF(at, struct client_link, link);
        if (client->keeper.watcher.watch_count[WATCH_KIND_DATA] == 0)
            continue;
        put_id_key(json, client->keeper.session_id);
        admin_json_open_array(json);
        list_each (link, &client->keeper.watcher.watches) {
            const struct watch *watch = CONTAINER_OF(link, struct watch, in_watcher);
            if (watch->kind == WATCH_KIND_DATA)
                admin_json_text(json, slice_of(watch->path->bytes, watch->path->size));
        }
        admin_json_close_array(json);
    }
    admin_json_close_object(json);
}

static void put_watches_by_path(struct admin_json *json, struct admin_command_call *call)
{
    const struct watch_table *watches = &call->server->keeper.watches;
    uint64_t position = 0;
    put_key(json, "path_to_session_ids");
    admin_json_open_object(json);
    struct watched_path *path = watch_table_next_path(watches, WATCH_KIND_DATA, &position, NULL);
    for (; path != NULL; path = watch_table_next_path(watches, WATCH_KIND_DATA, &position, path)) {
        admin_json_key(json, slice_of(path->bytes, path->size));
        admin_json_open_array(json);
        list_each (link, &path->watches) {
            const struct watch *watch = CONTAINER_OF(link, struct watch, in_path);
            admin_json_int(json, client_link_of_watcher(watch->watcher)->keeper.session_id);
        }
        admin_json_close_array(json);
    }
    admin_json_close_object(json);
}

/* ---- the trace mask ---- */

static void put_trace_mask(struct admin_json *json, struct admin_command_call *call)
{
    admin_json_put_int(json, "tracemask", call->server->trace_mask);
}

/* A whole number of 64 bits, as Java reads one. */
static bool parse_number(struct slice text, int64_t *out)
{
    const bool is_negative = text.size > 0 && text.data[0] == '-';
    const bool has_sign = is_negative || (text.size > 0 && text.data[0] == '+');
    const uint64_t limit = (uint64_t)INT64_MAX + (is_negative ? 1 : 0);
    uint64_t value = 0;
    if (has_sign)
        text = slice_skip(text, 1);
    if (text.size == 0)
        return false;
    for (size_t at = 0; at < text.size; at++) {
        const uint8_t digit = (uint8_t)(text.data[at] - '0');
        if (digit > 9 || value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = (int64_t)(is_negative ? 0 - value : value);
    return true;
}

static void set_trace_mask(struct admin_json *json, struct admin_command_call *call)
{
    char decoded[number_bytes_max];
    const struct slice sent = http_query_find(call->query, "traceMask");
    const struct slice value =
        sent.size <= sizeof decoded ? http_decode(sent, true, decoded) : sent;
    if (slice_is_null(sent)) {
        snprintf(call->error, sizeof call->error, "setTraceMask requires long traceMask argument");
    } else if (parse_number(value, &call->server->trace_mask)) {
        put_trace_mask(json, call);
    } else {
        const struct slice shown = slice_of(value.data, min_size(value.size, number_bytes_max));
        snprintf(call->error, sizeof call->error,
                 "setTraceMask requires long traceMask argument, got %" SLICE_FORMAT,
                 SLICE_ARGS(shown));
    }
}

/* ---- what only ensembles know ---- */

static void put_read_only(struct admin_json *json, struct admin_command_call *call)
{
    admin_json_put_bool(json, "read_only", call->server->ensemble.role == ENSEMBLE_READ_ONLY);
}

/* The address that it was dialled by; before that, or of itself, as the configuration has it. */
static void put_leader_host(struct admin_json *json, const struct keeper_server *server)
{
    const struct ensemble_facts *facts = &server->ensemble;
    const struct ensemble_member *leader =
        ensemble_find(keeper_facts_ensemble(server), facts->leader_id);
    char text[io_address_text_max];
    put_key(json, "leader_ip");
    if (facts->leader_address.port != 0) {
        io_address_print(&facts->leader_address, text, sizeof text);
        *strrchr(text, ':') = '\0';
        admin_json_text(json, slice_from_text(text));
    } else {
        admin_json_text(json, leader == NULL ? SLICE_LITERAL("") : leader->addresses[0].host);
    }
}

static void put_leader(struct admin_json *json, struct admin_command_call *call)
{
    const struct ensemble_facts *facts = &call->server->ensemble;
    if (facts->role == ENSEMBLE_ALONE) {
        snprintf(call->error, sizeof call->error, "server is not initialized");
        return;
    }
    admin_json_put_bool(json, "is_leader", facts->role == ENSEMBLE_LEADER);
    admin_json_put_int(json, "leader_id", facts->leader_id);
    put_leader_host(json, call->server);
}

static void put_observer(struct admin_json *json, const struct ensemble_learner *learner)
{
    char text[io_address_text_max + 1] = "/";
    io_address_print(&learner->address, text + 1, sizeof text - 1);
    admin_json_open_object(json);
    admin_json_put_text(json, "remote_socket_address", text);
    admin_json_put_int(json, "sid", learner->id);
    admin_json_put_int(json, "established", learner->established_at_ms);
    admin_json_put_int(json, "queued_packets", (int64_t)learner->queued_packet_count);
    admin_json_put_int(json, "queued_packets_size", (int64_t)learner->queued_bytes);
    admin_json_put_int(json, "packets_received", (int64_t)learner->received_count);
    admin_json_put_int(json, "packets_sent", (int64_t)learner->sent_count);
    admin_json_put_int(json, "requests", (int64_t)learner->request_count);
    admin_json_put_int(json, "last_zxid", learner->zxid_last);
    admin_json_close_object(json);
}

static void put_observers(struct admin_json *json, struct admin_command_call *call)
{
    const struct ensemble_facts *facts = &call->server->ensemble;
    const bool has_learners = ensemble_facts_has_learners(facts);
    admin_json_put_int(json, "synced_observers",
                       has_learners ? ensemble_facts_count(facts).synced_observers : 0);
    put_key(json, "observers");
    admin_json_open_array(json);
    if (has_learners)
        list_each (link, &facts->learners) {
            const struct ensemble_learner *learner =
                CONTAINER_OF(link, struct ensemble_learner, link);
            if (learner->is_observer)
                put_observer(json, learner);
        }
    admin_json_close_array(json);
}

static void reset_observers(struct admin_json *json, struct admin_command_call *call)
{
    (void)json;
    ensemble_facts_reset_observers(&call->server->ensemble);
}

/* "host:port", an IPv6 host in brackets. */
static void put_end(struct admin_json *json, struct slice host, uint16_t port)
{
    char text[end_text_bytes_max];
    const bool has_colon = memchr(host.data, ':', host.size) != NULL;
    snprintf(text, sizeof text, has_colon ? "[%" SLICE_FORMAT "]:%u" : "%" SLICE_FORMAT ":%u",
             SLICE_ARGS(host), port);
    admin_json_text(json, slice_from_text(text));
}

enum port_kind { QUORUM_PORT, ELECTION_PORT };

static uint16_t port_of(const struct ensemble_address *address, enum port_kind kind)
{
    return kind == QUORUM_PORT ? address->quorum_port : address->election_port;
}

static void put_ends(struct admin_json *json, const char *key, const struct ensemble_member *member,
                     enum port_kind kind)
{
    put_key(json, key);
    admin_json_open_array(json);
    for (uint32_t index = 0; index < member->address_count; index++)
        put_end(json, member->addresses[index].host, port_of(&member->addresses[index], kind));
    admin_json_close_array(json);
}

static void put_client_end(struct admin_json *json, const struct keeper_server *server,
                           const struct ensemble_member *member)
{
    char text[end_text_bytes_max];
    put_key(json, "client_address");
    if (member->id == server->config.self_id)
        admin_json_text(json,
                        slice_from_text(keeper_facts_client_address(server, text, sizeof text)));
    else if (member->client_port == 0)
        admin_json_text(json, SLICE_LITERAL(""));
    else
        put_end(json,
                member->client_host.size == 0 ? SLICE_LITERAL("0.0.0.0") : member->client_host,
                member->client_port);
}

static void put_voter(struct admin_json *json, const struct keeper_server *server,
                      const struct ensemble_member *member)
{
    put_id_key(json, member->id);
    admin_json_open_object(json);
    put_ends(json, "server_addresses", member, QUORUM_PORT);
    put_ends(json, "election_addresses", member, ELECTION_PORT);
    put_client_end(json, server, member);
    admin_json_put_text(json, "learner_type", "participant");
    admin_json_close_object(json);
}

static void put_voting_view(struct admin_json *json, struct admin_command_call *call)
{
    const struct ensemble *ensemble = keeper_facts_ensemble(call->server);
    put_key(json, "current_config");
    admin_json_open_object(json);
    for (uint32_t index = 0;
         call->server->ensemble.role != ENSEMBLE_ALONE && index < ensemble->member_count; index++)
        if (ensemble->members[index].is_voter)
            put_voter(json, call->server, &ensemble->members[index]);
    admin_json_close_object(json);
}

static void put_one_end(struct admin_json *json, const char *key,
                        const struct ensemble_member *member, enum port_kind kind)
{
    put_key(json, key);
    put_end(json, member->addresses[0].host, port_of(&member->addresses[0], kind));
}

static void put_wildcard_ends(struct admin_json *json, const struct ensemble_member *member,
                              enum port_kind kind)
{
    put_key(json, "wildcard_addresses");
    admin_json_open_array(json);
    for (uint32_t index = 0; index < member->address_count; index++)
        put_end(json, SLICE_LITERAL("0.0.0.0"), port_of(&member->addresses[index], kind));
    admin_json_close_array(json);
    put_key(json, "all_ports");
    admin_json_open_array(json);
    for (uint32_t index = 0; index < member->address_count; index++)
        admin_json_int(json, port_of(&member->addresses[index], kind));
    admin_json_close_array(json);
    put_key(json, "all_host_strings");
    admin_json_open_array(json);
    for (uint32_t index = 0; index < member->address_count; index++)
        admin_json_text(json, member->addresses[index].host);
    admin_json_close_array(json);
}

/* What Apache's class of several addresses has to tell; the own ones always are within reach. */
static void put_own_addresses(struct admin_json *json, const char *key,
                              const struct ensemble_member *self, enum port_kind kind)
{
    put_key(json, key);
    admin_json_open_object(json);
    admin_json_put_bool(json, "empty", false);
    put_ends(json, "all_addresses", self, kind);
    put_wildcard_ends(json, self, kind);
    put_one_end(json, "reachable_address", self, kind);
    put_ends(json, "all_reachable_addresses", self, kind);
    put_ends(json, "all_reachable_addresses_or_all", self, kind);
    put_one_end(json, "reachable_or_one", self, kind);
    put_one_end(json, "one", self, kind);
    admin_json_close_object(json);
}

static void put_position(struct admin_json *json, const struct keeper_server *server)
{
    const uint64_t zxid = (uint64_t)server->keeper.zxid_applied;
    char text[id_text_bytes];
    snprintf(text, sizeof text, "0x%" PRIx64, zxid);
    admin_json_put_text(json, "last_zxid", text);
    admin_json_put_int(json, "zab_epoch", (int64_t)(zxid >> 32));
    admin_json_put_int(json, "zab_counter", (int64_t)(zxid & UINT32_MAX));
}

static void put_zab_state(struct admin_json *json, struct admin_command_call *call)
{
    const struct keeper_server *server = call->server;
    const struct ensemble_member *self = keeper_facts_self(server);
    const enum ensemble_role role = server->ensemble.role;
    if (role == ENSEMBLE_ALONE || role == ENSEMBLE_LOOKING || self == NULL) {
        admin_json_put_bool(json, "voting", false);
        admin_json_put_text(json, "zabstate", "");
        return;
    }
    admin_json_put_int(json, "myid", self->id);
    admin_json_put_bool(json, "is_leader", role == ENSEMBLE_LEADER);
    put_own_addresses(json, "quorum_address", self, QUORUM_PORT);
    put_own_addresses(json, "election_address", self, ELECTION_PORT);
    put_client_end(json, server, self);
    admin_json_put_bool(json, "voting", self->is_voter);
    put_position(json, server);
    admin_json_put_text(json, "zabstate", "broadcast");
}

/* ---- the table ---- */

static const struct admin_command commands[] = {
    {{"configuration", "conf", "config"}, ADMIN_COMMAND_PAGE, put_configuration, false},
    {{"connection_stat_reset", "crst"}, ADMIN_COMMAND_PAGE, reset_connections, false},
    {{"connections", "cons"}, ADMIN_COMMAND_PAGE, put_connections, false},
    {{"dirs"}, ADMIN_COMMAND_PAGE, put_dirs, false},
    {{"dump"}, ADMIN_COMMAND_PAGE, put_dump, false},
    {{"environment", "env", "envi"}, ADMIN_COMMAND_PAGE, put_environment, true},
    {{"get_trace_mask", "gtmk"}, ADMIN_COMMAND_PAGE, put_trace_mask, true},
    {{"hash"}, ADMIN_COMMAND_PAGE, put_hash, false},
    {{"initial_configuration", "icfg"}, ADMIN_COMMAND_PAGE, put_initial_configuration, false},
    {{"is_read_only", "isro"}, ADMIN_COMMAND_PAGE, put_read_only, false},
    {{"last_snapshot", "lsnp"}, ADMIN_COMMAND_PAGE, put_last_snapshot, false},
    {{"leader", "lead"}, ADMIN_COMMAND_PAGE, put_leader, false},
    {{"monitor", "mntr"}, ADMIN_COMMAND_PAGE, put_monitor, false},
    {{"observer_connection_stat_reset", "orst"}, ADMIN_COMMAND_PAGE, reset_observers, false},
    {{"observers", "obsr"}, ADMIN_COMMAND_PAGE, put_observers, false},
    {{"restore", "rest"}, ADMIN_COMMAND_RESTORE, NULL, false},
    {{"ruok"}, ADMIN_COMMAND_PAGE, NULL, false},
    {{"server_stats", "srvr"}, ADMIN_COMMAND_PAGE, put_server_stats, false},
    {{"set_trace_mask", "stmk"}, ADMIN_COMMAND_PAGE, set_trace_mask, true},
    {{"snapshot", "snap"}, ADMIN_COMMAND_SNAPSHOT, NULL, false},
    {{"stat_reset", "srst"}, ADMIN_COMMAND_PAGE, reset_stats, false},
    {{"stats", "stat"}, ADMIN_COMMAND_PAGE, put_stats, false},
    {{"system_properties", "sysp"}, ADMIN_COMMAND_PAGE, put_system_properties, true},
    {{"voting_view"}, ADMIN_COMMAND_PAGE, put_voting_view, false},
    {{"watch_summary", "wchs"}, ADMIN_COMMAND_PAGE, put_watch_summary, false},
    {{"watches", "wchc"}, ADMIN_COMMAND_PAGE, put_watches, false},
    {{"watches_by_path", "wchp"}, ADMIN_COMMAND_PAGE, put_watches_by_path, false},
    {{"zabstate"}, ADMIN_COMMAND_PAGE, put_zab_state, true},
};

const struct admin_command *admin_command_table(size_t *count)
{
    *count = ARRAY_COUNT(commands);
    return commands;
}

const struct admin_command *admin_command_find(struct slice name)
{
    for (size_t index = 0; index < ARRAY_COUNT(commands); index++)
        for (size_t at = 0; at < admin_command_name_count_max; at++)
            if (commands[index].names[at] != NULL &&
                slice_equal_text(name, commands[index].names[at]))
                return &commands[index];
    return NULL;
}

bool admin_command_is_answered(const struct admin_command *command,
                               const struct keeper_server *server)
{
    return command->is_always_answered || ensemble_facts_is_serving(&server->ensemble);
}

void admin_command_put(const struct admin_command *command, struct admin_command_call *call,
                       struct counted_text *text)
{
    struct admin_json json;
    admin_json_init(&json, text);
    admin_json_open_object(&json);
    call->error[0] = '\0';
    if (command->put != NULL)
        command->put(&json, call);
    if (call->error[0] != '\0')
        admin_json_put_text(&json, "error", call->error);
    admin_json_put_text(&json, "command", command->names[0]);
    if (call->error[0] == '\0') {
        put_key(&json, "error");
        admin_json_null(&json);
    }
    admin_json_close_object(&json);
}

void admin_command_put_error(struct slice name, const char *error, struct counted_text *text)
{
    struct admin_json json;
    admin_json_init(&json, text);
    admin_json_open_object(&json);
    put_key(&json, "command");
    admin_json_text(&json, name);
    put_key(&json, "error");
    if (error == NULL)
        admin_json_null(&json);
    else
        admin_json_text(&json, slice_from_text(error));
    admin_json_close_object(&json);
}
