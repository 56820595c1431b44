#include "server/keeper/keeper_server.h"

#include "base/assert.h"
#include "server/keeper/audit_trail.h"
#include "server/keeper/client_link.h"
#include "server/keeper/client_request.h"
#include "server/keeper/ensemble_config.h"
#include "server/keeper/keeper_facts.h"
#include "server/keeper/keeper_load.h"
#include "server/keeper/keeper_write.h"
#include "server/keeper/local_session.h"
#include "server/keeper/quorum_peer.h"

#include <inttypes.h>

enum {
    millisecond_ns = 1000000,
    arena_bytes_per_frame_byte = 32, /* A request of small operations takes more in memory. */
    connection_count_max_default = 50000,
    connection_count_spare = 64,
    backlog_default = 1024,
    receive_bytes_first = 4096,
    open_reply_count_max = 4096,
    unsent_bytes_max = 4 << 20,
    send_timeout_ms = 60 * 1000,
    trace_mask_default = 306,
    stand_still_told_ns = 1000 * millisecond_ns,
};

/* ---- where clients come to ---- */

static void take_client_address(struct keeper_server *server)
{
    const struct port_move *move = &server->client_move;
    memcpy(server->client_host, move->host, sizeof server->client_host);
    server->config.client_port_address = move->host[0] == '\0' ? NULL : server->client_host;
    server->config.client_port = move->port;
}

static bool is_at(const struct keeper_config *config, const struct ensemble_member *self)
{
    const char *text = config->client_port_address;
    const struct slice here = text == NULL ? SLICE_NULL : slice_from_text(text);
    return config->client_port == self->client_port &&
           slice_equal(ensemble_config_client_host(here),
                       ensemble_config_client_host(self->client_host));
}

void keeper_server_move_clients(struct keeper_server *server, const struct ensemble_member *self)
{
    if (!server->is_listening || self->client_port == 0)
        return;
    /* A move that has failed may have closed what it was to leave. */
    const bool was_due = server->client_move.is_due;
    server->client_move.is_due = false;
    if (is_at(&server->config, self) && !was_due)
        return;
    server->client_move = (struct port_move){.net = server->net,
                                             .diag = server->shard->diag,
                                             .handler = &client_link_handler,
                                             .user = server,
                                             .whom = "clients"};
    if (port_move_to(&server->client_move, server->shard->io,
                     ensemble_config_client_host(self->client_host), self->client_port,
                     &server->address))
        take_client_address(server);
}

/* ---- every tick ---- */

static void submit_tick(struct keeper_server *server);

static void close_session(struct keeper_server *server, int64_t session_id)
{
    server->stats.counts.expired_session_count++;
    diag_info(server->shard->diag, "session 0x%" PRIx64 " has expired", (uint64_t)session_id);
    const enum code code =
        keeper_write_start(server, &(struct keeper_write_request){.type = OP_CLOSE_SESSION,
                                                                  .session_id = session_id,
                                                                  .body = SLICE_LITERAL(""),
                                                                  .is_essential = true});
    if (code != CODE_OK)
        diag_error(server->shard->diag, "session 0x%" PRIx64 " cannot be closed: %s",
                   (uint64_t)session_id, code_name(code));
}

/* One that is taken from the table must be closed, so none is taken while that is not possible; and
 * a hundred thousand that die in one tick are closed as fast as the disk takes them. Between ticks
 * nobody knows whether the server has just stood still, so the time is that of the last one. */
static void expire_sessions(struct keeper_server *server)
{
    int64_t session_id;
    server->is_expiring = keeper_server_decides(server);
    while (server->is_expiring && keeper_write_is_possible(server)) {
        if (!keeper_expire_next(&server->keeper, server->ticked_ms, &session_id)) {
            server->is_expiring = false;
            return;
        }
        close_session(server, session_id);
    }
}

void keeper_server_on_room(struct keeper_server *server)
{
    client_request_run_held(server);
    if (keeper_write_is_saturated(server))
        return;
    client_link_resume_paused(server);
    if (server->is_expiring && server->phase == KEEPER_SERVER_SERVING)
        expire_sessions(server);
}

static void turn_windows(struct keeper_server *server)
{
    const uint64_t now_ns = io_now_ns(server->shard->io);
    if (now_ns - server->windows_turned_ns < metric_summary_window_ms * (uint64_t)millisecond_ns)
        return;
    server->windows_turned_ns = now_ns;
    keeper_stats_turn_windows(&server->stats);
}

static void count_tick(struct keeper_server *server)
{
    const uint64_t missed_ns = session_clock_tick(
        &server->session_clock, server->tick_op.timer.deadline_ns, io_now_ns(server->shard->io),
        (uint64_t)server->config.tick_ms * millisecond_ns);
    if (missed_ns >= stand_still_told_ns)
        diag_warn(server->shard->diag,
                  "the server stood still for %llu ms: sessions live as much longer; is the "
                  "machine short of processors, or suspended?",
                  (unsigned long long)(missed_ns / millisecond_ns));
    server->ticked_ms = keeper_server_now_ms(server);
}

static void on_tick(struct io_op *op, int64_t result)
{
    struct keeper_server *server = CONTAINER_OF(op, struct keeper_server, tick_op);
    server->is_ticking = false;
    if (server->phase != KEEPER_SERVER_SERVING) {
        keeper_server_pump_stop(server);
        return;
    }
    if (result == 0)
        count_tick(server);
    if (result == 0 && !server->is_replacing) {
        expire_sessions(server);
        local_session_expire(server);
        if (server->config.force_sync)
            ack_mark_advance(&server->mark, server->keeper.zxid_applied);
        purge_task_tick(&server->purge);
        admin_server_tick(&server->admin);
        turn_windows(server);
    }
    if (server->is_listening &&
        port_move_tick(&server->client_move, server->shard->io, &server->address))
        take_client_address(server);
    submit_tick(server);
}

/* At the clock's next whole tick, where the deadlines of sessions lie. */
static void submit_tick(struct keeper_server *server)
{
    const uint64_t tick_ns = (uint64_t)server->config.tick_ms * millisecond_ns;
    const uint64_t now_ns = io_now_ns(server->shard->io);
    server->tick_op = (struct io_op){.kind = IO_TIMER, .handle = io_handle_none, .done = on_tick};
    server->tick_op.timer.deadline_ns = (now_ns / tick_ns + 1) * tick_ns;
    server->is_ticking = true;
    io_submit(server->shard->io, &server->tick_op);
}

/* ---- start ---- */

static void on_watch(struct keeper_sink *sink, struct keeper_connection *connection,
                     const struct watch_event *event)
{
    struct keeper_server *server = CONTAINER_OF(sink, struct keeper_server, sink);
    keeper_stats_add_told(&server->stats, (int32_t)event->type);
    client_link_push_event(CONTAINER_OF(connection, struct client_link, keeper), event);
}

/* Those above maxCnxns are closed, so they must be accepted first. */
uint32_t keeper_server_connection_count_max(const struct keeper_config *config)
{
    return config->connection_count_max > 0
               ? (uint32_t)min_i64(config->connection_count_max + connection_count_spare,
                                   UINT32_MAX)
               : connection_count_max_default;
}

static struct net_options net_options_of(const struct keeper_config *config)
{
    return (struct net_options){
        .connection_count_max = keeper_server_connection_count_max(config),
        .connection_count_max_per_address = (uint32_t)config->connection_count_max_per_address,
        .receive_bytes_first = receive_bytes_first,
        .open_reply_count_max = open_reply_count_max,
        .unsent_bytes_max = unsent_bytes_max,
        .first_frame_timeout_ms = (uint32_t)config->sessionless_timeout_ms,
        .send_timeout_ms = send_timeout_ms,
        .backlog = config->backlog > 0 ? (uint32_t)config->backlog : backlog_default,
    };
}

static enum err listen_for_clients(struct keeper_server *server)
{
    const struct keeper_config *config = &server->config;
    char text[io_address_text_max];
    const char *host = config->client_port_address;
    const int resolved =
        io_resolve(server->shard->io, host, (uint16_t)config->client_port, &server->address);
    if (resolved < 0) {
        diag_error(server->shard->diag,
                   "clientPortAddress %s is unknown here; give one of this machine's", host);
        return err_from_errno(resolved);
    }
    enum err err = net_init(&server->net, server->shard->io, server->shard->heap,
                            server->shard->diag, net_options_of(config));
    if (err != ERR_OK)
        return err;
    err = net_listen_wait(server->net, &server->address, &client_link_handler, server);
    io_address_print(&server->address, text, sizeof text);
    if (err == ERR_OK)
        diag_info(server->shard->diag, "serving clients on %s", text);
    server->is_listening = err == ERR_OK;
    if (err != ERR_OK)
        diag_error(server->shard->diag, "cannot listen on %s: %s; is clientPort in use?", text,
                   err_text(err));
    return err;
}

/* A new data folder gets its first snapshot before the first transaction: a journal without a
 * snapshot would not be believed at the next start. A member of an ensemble takes no other one yet:
 * what it has loaded may not be committed, and a snapshot of that would have to go again. */
static enum err write_first_snapshot(struct keeper_server *server)
{
    const bool is_first = server->snapshot.zxid_last < 0;
    if (server->config.is_ensemble && !is_first)
        return ERR_OK;
    snapshot_task_start(&server->snapshot);
    if (!is_first)
        return ERR_OK;
    while (!snapshot_task_is_idle(&server->snapshot))
        io_run(server->shard->io, UINT64_MAX);
    return server->snapshot.error == 0 ? ERR_OK : err_from_errno((int)server->snapshot.error);
}

static enum err take_memory(struct keeper_server *server)
{
    const size_t size = (size_t)server->config.frame_bytes_max * arena_bytes_per_frame_byte;
    server->arena_memory = heap_take(server->shard->heap, size);
    if (server->arena_memory == NULL) {
        diag_error(server->shard->diag,
                   "no memory for requests of jute.maxbuffer=%" PRId64
                   " bytes; raise memory.limitMb",
                   server->config.frame_bytes_max);
        return ERR_NO_MEMORY;
    }
    arena_init(&server->arena, server->arena_memory, size);
    return hash_table_init(&server->links_by_session, server->shard->heap);
}

static void init(struct keeper_server *server, struct shard *shard)
{
    const struct keeper_config *config = &server->config;
    server->shard = shard;
    server->phase = KEEPER_SERVER_STARTING;
    server->sink.on_watch = on_watch;
    server->started_at_ns = io_now_ns(shard->io);
    server->lock_handle = io_handle_none;
    server->wants_roll = true;
    ensemble_facts_init(&server->ensemble);
    list_init(&server->links);
    slab_init(&server->links_slab, shard->heap);
    list_init(&server->writes);
    server->uncommitted = &server->writes;
    list_init(&server->forwarded);
    list_init(&server->barriers);
    list_init(&server->revalidations);
    server->zxid_committed = INT64_MAX;
    list_init(&server->free_writes);
    list_init(&server->free_waits);
    record_pool_init(&server->records, shard->heap);
    list_init(&server->paused);
    request_gate_init(&server->gate, config);
    connection_throttle_init(&server->throttle, config,
                             (int64_t)(server->started_at_ns / millisecond_ns));
    keeper_config_snapshot_path(config, server->snapshot_path, sizeof server->snapshot_path);
    keeper_config_journal_path(config, server->journal_path, sizeof server->journal_path);
    keeper_stats_reset(&server->stats, true);
    namespace_counts_init(&server->quota_refusals, shard->heap,
                          (uint32_t)config->namespace_count_max);
    server->windows_turned_ns = server->started_at_ns;
    server->trace_mask = trace_mask_default;
    admin_server_init(&server->admin, server);
    snapshot_task_init(&server->snapshot, server);
    purge_task_init(&server->purge, server);
    znode_reaper_init(&server->reaper, server);
    event_task_init(&server->events, server);
}

static enum err stand_alone(struct keeper_server *server)
{
    keeper_start(&server->keeper, keeper_server_now_ms(server), io_wall_ms(server->shard->io));
    const enum err err = write_first_snapshot(server);
    server->is_serving = err == ERR_OK;
    return err;
}

static enum err join_ensemble(struct keeper_server *server)
{
    server->role = KEEPER_LOOKING;
    const enum err err = write_first_snapshot(server);
    return err == ERR_OK ? quorum_peer_start(&server->peer, server) : err;
}

enum err keeper_server_start(struct keeper_server **server_out, struct shard *shard,
                             const struct keeper_config *config)
{
    struct keeper_server *server = heap_take_zeroed(shard->heap, sizeof *server);
    *server_out = server;
    if (server == NULL)
        return ERR_NO_MEMORY;
    server->config = *config;
    enum err err = ensemble_config_load(&server->config, shard->io, shard->heap, shard->diag);
    if (err != ERR_OK)
        return err;
    init(server, shard);
    host_facts_load(&server->host, shard->io);
    err = take_memory(server);
    if (err == ERR_OK)
        err = keeper_load(server);
    if (err != ERR_OK)
        return err; /* The process ends, or the simulated one: nothing is in flight. */
    err = audit_file_start(&server->audit, server);
    if (err != ERR_OK)
        return err;
    purge_task_tick(&server->purge);
    /* A test may drive a member that has no others. */
    const bool has_members = server->config.ensemble.member_count > 0;
    err = server->config.is_ensemble && has_members ? join_ensemble(server) : stand_alone(server);
    if (err != ERR_OK)
        return err;
    server->phase = KEEPER_SERVER_SERVING;
    err = prometheus_server_open(&server->prometheus, server);
    if (err == ERR_OK)
        err = listen_for_clients(server);
    const struct ensemble_member *self = keeper_facts_self(server);
    if (err == ERR_OK && self != NULL) /* The members may have changed while that took its time. */
        keeper_server_move_clients(server, self);
    audit_trail_tell_server(server, "serverStart", err == ERR_OK ? "success" : "failure");
    if (err != ERR_OK)
        return err;
    admin_server_open(&server->admin);
    submit_tick(server);
    znode_reaper_wake(&server->reaper);
    return ERR_OK;
}

/* ---- stop ---- */

static void on_journal_closed(struct journal_request *request, enum err err)
{
    struct keeper_server *server = CONTAINER_OF(request, struct keeper_server, close_request);
    if (err != ERR_OK)
        diag_error(server->shard->diag, "the journal could not be flushed: %s", err_text(err));
    server->is_journal_open = false;
    audit_file_stop(&server->audit); /* Behind the last writes. */
    keeper_server_pump_stop(server);
}

void keeper_server_stop(struct keeper_server *server, void (*stopped)(void *context), void *context)
{
    assert(server->phase == KEEPER_SERVER_SERVING);
    server->stopped = stopped;
    server->stopped_context = context;
    server->phase = KEEPER_SERVER_STOPPING;
    diag_info(server->shard->diag, "stopping");
    audit_trail_tell_server(server, "serverStop", "invoked");
    net_deinit(server->net);
    server->net = NULL;
    server->is_listening = false;
    admin_server_close(&server->admin);
    prometheus_server_close(&server->prometheus);
    if (server->peer != NULL)
        quorum_peer_stop(server->peer);
    if (server->is_ticking)
        io_cancel(server->shard->io, &server->tick_op);
    znode_reaper_cancel(&server->reaper);
    snapshot_task_cancel(&server->snapshot);
    if (server->config.force_sync && !server->is_replacing)
        ack_mark_advance(&server->mark, server->keeper.zxid_applied);
    ack_mark_stop(&server->mark);
    server->close_request.done = on_journal_closed;
    journal_close(&server->journal, &server->close_request);
}

static void on_lock_closed(struct io_op *op, int64_t result)
{
    struct keeper_server *server = CONTAINER_OF(op, struct keeper_server, tick_op);
    (void)result;
    server->phase = KEEPER_SERVER_STOPPED;
    diag_info(server->shard->diag, "stopped");
    if (server->stopped != NULL)
        server->stopped(server->stopped_context);
}

static bool are_parts_idle(const struct keeper_server *server)
{
    return (server->peer == NULL || quorum_peer_is_idle(server->peer)) &&
           event_task_is_idle(&server->events) && snapshot_task_is_idle(&server->snapshot) &&
           admin_snapshot_is_idle(&server->admin.snapshot) &&
           admin_restore_is_idle(&server->admin.restore) && purge_task_is_idle(&server->purge) &&
           znode_reaper_is_idle(&server->reaper) && ack_mark_is_stopped(&server->mark) &&
           tree_reload_is_idle(&server->reload) && snapshot_intake_is_quiet(&server->intake) &&
           audit_file_is_stopped(&server->audit);
}

void keeper_server_reset_stats(struct keeper_server *server)
{
    const bool with_metrics = !keeper_config_has_prometheus(&server->config);
    keeper_stats_reset(&server->stats, with_metrics);
    if (with_metrics)
        namespace_counts_reset(&server->quota_refusals);
}

void keeper_server_pump_stop(struct keeper_server *server)
{
    if (server->phase != KEEPER_SERVER_STOPPING || server->is_journal_open || server->is_ticking ||
        server->is_applying || !are_parts_idle(server))
        return;
    if (server->lock_handle == io_handle_none)
        return;
    server->tick_op =
        (struct io_op){.kind = IO_CLOSE, .handle = server->lock_handle, .done = on_lock_closed};
    server->lock_handle = io_handle_none;
    io_submit(server->shard->io, &server->tick_op);
}

void keeper_server_free(struct keeper_server *server)
{
    struct heap *heap = server->shard->heap;
    assert(server->phase == KEEPER_SERVER_STOPPED && list_empty(&server->writes));
    keeper_write_drain(server);
    client_request_drain(server);
    slab_deinit(&server->links_slab);
    if (server->peer != NULL)
        quorum_peer_free(server->peer);
    snapshot_intake_deinit(&server->intake);
    keeper_deinit(&server->keeper);
    journal_disk_deinit(&server->disk);
    audit_file_deinit(&server->audit);
    txn_cache_deinit(&server->cache);
    namespace_counts_deinit(&server->quota_refusals);
    hash_table_deinit(&server->links_by_session);
    heap_give(heap, server->arena_memory);
    ensemble_config_unload(&server->config, heap);
    heap_give(heap, server);
}
