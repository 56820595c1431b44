#include "server/keeper/keeper_write.h"

#include "base/assert.h"
#include "keeper/txn_codec.h"
#include "server/keeper/audit_trail.h"
#include "server/keeper/client_link.h"
#include "server/keeper/client_request.h"
#include "server/keeper/client_session.h"
#include "server/keeper/local_session.h"
#include "server/keeper/quorum_peer.h"
#include "server/keeper/reply_frame.h"

/* What a transaction may need beyond its request: names, expanded access lists, headers, and a
 * fresh block of the record pool. */
enum { record_slack_bytes = 2 * record_block_bytes, second_ms = 1000, millisecond_ns = 1000000 };

/* A learner's requests that find no room are refused by transactions; beyond this, by its loss. */
enum { refusals_bytes = 2 * record_block_bytes };

/* In one round of the loop. */
enum { applied_count_max = 256 };

/* ---- blocks ---- */

static struct keeper_write *acquire(struct keeper_server *server)
{
    struct list *link = list_pop(&server->free_writes);
    if (link != NULL) {
        server->free_write_count--;
        return CONTAINER_OF(link, struct keeper_write, link);
    }
    struct keeper_write *write = heap_take(server->shard->heap, sizeof *write);
    if (write != NULL)
        list_init(&write->link);
    return write;
}

/* A block with nothing in it but what every write has. NULL: no memory. */
static struct keeper_write *make(struct keeper_server *server)
{
    struct keeper_write *write = acquire(server);
    if (write == NULL)
        return NULL;
    *write = (struct keeper_write){.server = server, .started_at_ns = io_now_ns(server->shard->io)};
    list_init(&write->link);
    list_init(&write->waits);
    return write;
}

static void release(struct keeper_server *server, struct keeper_write *write)
{
    assert(list_empty(&write->waits));
    if (write->block != NULL)
        record_pool_give(&server->records, write->block);
    write->block = NULL;
    write->record = NULL;
    if (server->free_write_count >= keeper_write_free_count_max) {
        heap_give(server->shard->heap, write);
        return;
    }
    list_push_front(&server->free_writes, &write->link);
    server->free_write_count++;
}

void keeper_write_drain(struct keeper_server *server)
{
    for (struct list *link = list_pop(&server->free_writes); link != NULL;
         link = list_pop(&server->free_writes))
        heap_give(server->shard->heap, CONTAINER_OF(link, struct keeper_write, link));
    server->free_write_count = 0;
    record_pool_deinit(&server->records);
}

uint32_t keeper_write_request_count(const struct keeper_server *server)
{
    return server->write_count + server->wait_count;
}

bool keeper_write_is_saturated(const struct keeper_server *server)
{
    const int64_t count_max = server->config.outstanding_request_count_max;
    return server->write_bytes > keeper_write_queued_bytes_max ||
           audit_file_is_saturated(&server->audit) ||
           keeper_write_request_count(server) > count_max || server->gate.held_count > count_max;
}

static struct keeper_write *last_of(const struct list *writes)
{
    return list_empty(writes) ? NULL : CONTAINER_OF(writes->prev, struct keeper_write, link);
}

struct keeper_write *keeper_write_last(struct keeper_server *server)
{
    struct keeper_write *last = last_of(&server->forwarded);
    for (struct list *link = server->writes.prev; last == NULL && link != &server->writes;
         link = link->prev) {
        struct keeper_write *write = CONTAINER_OF(link, struct keeper_write, link);
        if (write->order > 0)
            last = write;
    }
    return last;
}

struct keeper_write *keeper_write_find(struct keeper_server *server, int64_t zxid)
{
    struct keeper_write *newest = last_of(&server->writes);
    if (newest != NULL && newest->zxid == zxid && !newest->is_barrier)
        return newest;
    list_each (link, &server->writes) {
        struct keeper_write *write = CONTAINER_OF(link, struct keeper_write, link);
        if (write->zxid == zxid && !write->is_barrier)
            return write;
    }
    return NULL;
}

struct slice keeper_write_entry(const struct keeper_write *write)
{
    return slice_of(write->record + txn_record_head_bytes,
                    write->record_size - txn_record_head_bytes - txn_record_tail_bytes);
}

/* ---- after the journal ---- */

static uint64_t elapsed_ms(const struct keeper_write *write)
{
    return (io_now_ns(write->server->shard->io) - write->started_at_ns) / millisecond_ns;
}

static void answer(struct keeper_write *write, const struct txn_result *result)
{
    struct keeper_server *server = write->server;
    struct client_link *client = write->client;
    metric_summary_add(&server->stats.summaries.write_latency, elapsed_ms(write));
    if (client == NULL)
        return;
    if (write->type == OP_CREATE_SESSION) {
        client_session_on_created(client, write->reply, result->code);
        return;
    }
    if (result->code == CODE_SESSION_MOVED) {
        client_session_on_moved(client, write->reply);
        return;
    }
    struct zk_reply_header header = {.xid = write->xid, .zxid = server->keeper.zxid_applied};
    struct net_message *message =
        reply_frame_write(server->shard->heap, &header, write->type, result);
    client_link_reply(client, write->reply, message, write->started_at_ns);
}

static void run_waits(struct keeper_write *write)
{
    for (struct list *link = list_pop(&write->waits); link != NULL; link = list_pop(&write->waits))
        client_request_run_wait(CONTAINER_OF(link, struct client_wait, link));
}

/* Applies the transaction as the journal has it. What fails here would fail at every restart. */
static void apply(struct keeper_write *write, struct txn_result *result)
{
    struct keeper_server *server = write->server;
    struct txn txn;
    arena_reset(&server->arena);
    const enum err err = txn_codec_decode_entry(keeper_write_entry(write), &server->arena, &txn);
    if (err != ERR_OK)
        io_fatal(server->shard->io, "cannot read back the transaction that was just written: %s",
                 err_text(err));
    memset(server->stats.told_count, 0, sizeof server->stats.told_count);
    keeper_apply(&server->keeper, &txn, keeper_server_now_ms(server), &server->sink, &server->arena,
                 result);
    keeper_stats_end_change(&server->stats);
    digest_log_add(&server->digests, txn.zxid, server->keeper.tree.digest);
    txn_cache_add(&server->cache, txn.zxid, keeper_write_entry(write));
    audit_trail_tell_session_end(server, &txn);
}

static void end_session(struct keeper_server *server, int64_t session_id)
{
    struct client_link *client = client_link_find(server, session_id);
    if (client != NULL)
        client_session_on_end(client);
}

static void tell_commit_time(struct keeper_server *server, const struct keeper_write *write)
{
    struct keeper_summaries *summaries = &server->stats.summaries;
    if (write->committed_at_ns == 0)
        return;
    const uint64_t elapsed_ns = io_now_ns(server->shard->io) - write->committed_at_ns;
    metric_summary_add(write->order > 0 && write->origin == 0
                           ? &summaries->local_write_commit_time
                           : &summaries->server_write_commit_time,
                       elapsed_ns / millisecond_ns);
}

/* A client's session is created for it; or it has become one of all servers. */
static bool is_upgrade(const struct keeper_write *write)
{
    return write->type == OP_CREATE_SESSION && write->order > 0 && write->origin == 0 &&
           write->client == NULL;
}

static void apply_txn(struct keeper_server *server, struct keeper_write *write)
{
    struct txn_result result;
    tell_commit_time(server, write);
    apply(write, &result);
    audit_trail_tell(server, write->note, &result);
    if (result.code != CODE_OK && write->refusal != CODE_OK)
        result.code = write->refusal;
    answer(write, &result);
    if (write->type == OP_CLOSE_SESSION)
        end_session(server, write->session_id);
    if (is_upgrade(write) && result.code != CODE_OK)
        local_session_on_refused(server, write->session_id);
    snapshot_task_count(&server->snapshot, write->record_size);
}

/* Nothing refers to it any more but what waits for it. */
static void end(struct keeper_server *server, struct keeper_write *write)
{
    if (write->ticket != 0 && server->role == KEEPER_LEADER) {
        server->stats.counts.linearizable_sync_count++;
        metric_summary_add(&server->stats.summaries.linearizable_sync_time, elapsed_ms(write));
    }
    if (server->uncommitted == &write->link)
        server->uncommitted = write->link.next;
    list_remove(&write->link);
    server->write_count--;
    server->ensemble.pending_sync_count -= write->is_barrier && write->origin != 0;
    server->write_bytes -= write->record_size;
    request_gate_leave(&server->gate, write->body_size);
    server->write_order_done = max_u64(server->write_order_done, write->order);
    run_waits(write);
    if (write->client != NULL)
        client_link_release(write->client);
    release(server, write);
}

static void apply_first(struct keeper_server *server)
{
    struct keeper_write *write = CONTAINER_OF(server->writes.next, struct keeper_write, link);
    if (!write->is_barrier)
        apply_txn(server, write);
    end(server, write);
}

/* A barrier that was asked for as one that a quorum confirms. Who acknowledged a later write has
 * followed us since then too. */
static bool is_confirmed(const struct keeper_server *server, const struct keeper_write *barrier)
{
    return barrier->ticket <= server->ticket_confirmed || server->zxid_committed > barrier->zxid;
}

/* The oldest write is durable and committed. */
static bool can_apply(const struct keeper_server *server)
{
    if (list_empty(&server->writes))
        return false;
    const struct keeper_write *write = CONTAINER_OF(server->writes.next, struct keeper_write, link);
    return write->zxid <= min_i64(server->zxid_durable, server->zxid_committed) &&
           is_confirmed(server, write);
}

/* A learner waits for the answer to a sync. */
static bool can_end_barrier(const struct keeper_server *server)
{
    if (server->role != KEEPER_LEADER || list_empty(&server->barriers))
        return false;
    const struct keeper_write *first =
        CONTAINER_OF(server->barriers.next, struct keeper_write, link);
    return first->zxid <= server->zxid_committed && is_confirmed(server, first);
}

static void end_barrier(struct keeper_server *server, struct keeper_write *barrier)
{
    assert(barrier->is_barrier && barrier->origin != 0);
    quorum_peer_end_barrier(server->peer, barrier->origin);
    end(server, barrier);
}

static bool has_work(const struct keeper_server *server)
{
    return can_apply(server) || can_end_barrier(server);
}

static void want_apply(struct keeper_server *server, uint64_t deadline_ns);

static void on_apply(struct io_op *op, int64_t result)
{
    struct keeper_server *server = CONTAINER_OF(op, struct keeper_server, apply_op);
    (void)result;
    server->is_applying = false;
    while (can_end_barrier(server))
        end_barrier(server, CONTAINER_OF(server->barriers.next, struct keeper_write, link));
    event_task_begin(&server->events);
    for (uint32_t count = 0; count < applied_count_max && can_apply(server); count++)
        apply_first(server);
    event_task_start(&server->events);
    znode_reaper_wake(&server->reaper);
    client_link_close_doomed(server);
    keeper_server_on_room(server);
    if (can_apply(server)) {
        want_apply(server, io_next_round_ns(server->shard->io));
        return;
    }
    if (server->peer != NULL && server->write_count == 0)
        quorum_peer_on_drained(server->peer);
    keeper_server_pump_stop(server);
}

/* Some at a time: the answers to the first ones are on their way, and their clients at work, while
 * the next ones are applied; and nobody else waits for a whole group. */
static void want_apply(struct keeper_server *server, uint64_t deadline_ns)
{
    if (server->is_applying)
        return;
    server->is_applying = true;
    server->apply_op = (struct io_op){.kind = IO_TIMER,
                                      .handle = io_handle_none,
                                      .done = on_apply,
                                      .timer.deadline_ns = deadline_ns};
    io_submit(server->shard->io, &server->apply_op);
}

/* The wall clock, read once in a round of the loop: many writes are told of in one. */
static int64_t round_wall_ms(struct keeper_server *server)
{
    const uint64_t now_ns = io_now_ns(server->shard->io);
    if (server->wall_read_at_ns != now_ns) {
        server->wall_read_at_ns = now_ns;
        server->wall_read_ms = io_wall_ms(server->shard->io);
    }
    return server->wall_read_ms;
}

/* Since the leader made it, by two wall clocks: if they are apart, it may seem to be yet to come.
 */
static void tell_age(const struct keeper_write *write, struct metric_summary *summary)
{
    const int64_t age_ms = round_wall_ms(write->server) - write->made_at_ms;
    if (age_ms >= 0)
        metric_summary_add(summary, (uint64_t)age_ms);
}

static void on_durable(struct journal_append *append, enum err err)
{
    struct keeper_write *write = CONTAINER_OF(append, struct keeper_write, append);
    struct keeper_server *server = write->server;
    assert(err == ERR_OK); /* A journal without on_failed ends the process instead. */
    metric_summary_add(&server->stats.summaries.write_wait, elapsed_ms(write));
    assert(write->zxid > server->zxid_durable);
    server->zxid_durable = write->zxid;
    if (server->ensemble.role == ENSEMBLE_LEADER || server->ensemble.role == ENSEMBLE_FOLLOWER)
        tell_age(write, &server->stats.summaries.proposal_ack_latency);
    const uint64_t write_seq = write->write_seq;
    if (can_apply(server))
        want_apply(server, io_now_ns(server->shard->io));
    if (server->peer != NULL && write_seq > 0)
        quorum_peer_on_written(server->peer, write_seq);
}

/* Those between the last commit and this one. A learner is told of each write by itself, and a
 * thousand may be on their way. */
static void tell_commits(struct keeper_server *server, int64_t zxid)
{
    struct keeper_stats *stats = &server->stats;
    const bool leads = server->role == KEEPER_LEADER;
    while (server->uncommitted != &server->writes) {
        struct keeper_write *write = CONTAINER_OF(server->uncommitted, struct keeper_write, link);
        if (write->zxid > zxid)
            return;
        server->uncommitted = write->link.next;
        if (write->is_barrier)
            continue;
        write->committed_at_ns = io_now_ns(server->shard->io);
        stats->counts.commit_count += leads;
        tell_age(write, leads ? &stats->summaries.quorum_ack_latency
                              : &stats->summaries.commit_propagation_latency);
    }
}

void keeper_write_commit(struct keeper_server *server, int64_t zxid)
{
    if (server->role == KEEPER_LEADER || server->role == KEEPER_LEARNER)
        tell_commits(server, zxid);
    assert(zxid >= server->zxid_committed || server->zxid_committed == INT64_MAX);
    server->zxid_committed = zxid;
    if (has_work(server))
        want_apply(server, io_now_ns(server->shard->io));
}

/* ---- before the journal ---- */

static struct keeper_request prepare_request(struct keeper_server *server,
                                             const struct keeper_write_request *request)
{
    struct keeper_request prepared = {
        .session_id = request->session_id,
        .cxid = request->xid,
        .type = request->type,
        .body = request->body,
        .time_ms = io_wall_ms(server->shard->io),
    };
    if (request->client != NULL) {
        prepared.identities = auth_set_list(&request->client->keeper.auth);
        prepared.owner = request->client->id;
    } else if (request->origin != 0) {
        prepared.identities = request->identities;
        prepared.owner = quorum_peer_owner(request->origin);
    }
    return prepared;
}

/* The first file, or one after a snapshot has begun, the server was started or a file has become
 * too large: named after the zxid of its first record. */
static void roll_if_wanted(struct keeper_server *server, int64_t zxid)
{
    const struct journal_position end = journal_end(&server->journal);
    const bool is_fresh = server->journal.segment_count > 0 && end.base == (uint64_t)zxid;
    const int64_t kib_max = server->config.journal_file_kib_max;
    if (kib_max > 0 && end.offset > (uint64_t)kib_max << 10)
        server->wants_roll = true;
    if ((server->journal.segment_count > 0 && !server->wants_roll) || is_fresh) {
        server->wants_roll = false;
        return;
    }
    const enum err err = journal_roll(&server->journal, (uint64_t)zxid);
    if (err != ERR_OK) /* The space for it was looked at before. */
        io_fatal(server->shard->io, "cannot begin the journal file log.%llx: %s",
                 (unsigned long long)zxid, err_text(err));
    server->wants_roll = false;
}

/* Of the request: known before there is a transaction. */
static void fill(struct keeper_write *write, const struct keeper_write_request *request)
{
    struct keeper_server *server = write->server;
    write->client = request->client;
    write->reply = request->reply;
    write->origin = request->origin;
    write->xid = request->xid;
    write->type = request->type;
    write->session_id = request->session_id;
    write->refusal = request->refusal;
    write->body_size = request->body.size;
    write->order = ++server->write_order;
    write->note = audit_trail_note(server, request);
    server->write_count++;
    request_gate_enter(&server->gate, write->body_size);
    if (request->client != NULL) {
        request->client->user_count++;
        client_request_set_barrier(request->client, write);
    }
}

/* A block for the record, whose entry the caller then fills in. */
static void take_record(struct keeper_write *write, size_t record_size)
{
    struct keeper_server *server = write->server;
    write->record_size = record_size;
    write->record = record_pool_take(&server->records, record_size, &write->block);
    if (write->record == NULL)
        io_fatal(server->shard->io, "no memory for a transaction of %zu bytes", record_size);
    server->write_bytes += record_size;
    server->stats.counts.write_count++;
    list_push(&server->writes, &write->link);
    if (server->uncommitted == &server->writes)
        server->uncommitted = &write->link;
}

void keeper_write_append(struct keeper_write *write, uint64_t write_seq)
{
    struct keeper_server *server = write->server;
    write->write_seq = write_seq;
    write->vector = (struct iovec){write->record, write->record_size};
    write->append = (struct journal_append){.vectors = &write->vector,
                                            .vector_count = 1,
                                            .is_durable = server->config.force_sync,
                                            .is_essential = true, /* It was admitted already. */
                                            .done = on_durable};
    roll_if_wanted(server, write->zxid);
    const enum err err = journal_append(&server->journal, &write->append);
    if (err != ERR_OK)
        io_fatal(server->shard->io, "the journal refuses what it admitted: %s", err_text(err));
}

static void submit(struct keeper_server *server, struct keeper_write *write,
                   const struct keeper_write_request *request, const struct txn *txn)
{
    fill(write, request);
    write->zxid = txn->zxid;
    write->made_at_ms = txn->time_ms;
    take_record(write, txn_codec_record_bytes(txn));
    txn_codec_encode_record(txn, write->record);
    if (server->peer == NULL)
        keeper_write_append(write, 0);
    else
        quorum_peer_propose(server->peer, write->zxid);
}

/* Beyond what is promised to writes that are not applied yet. */
static bool has_memory(const struct keeper_server *server, uint64_t bytes)
{
    const struct heap *heap = server->shard->heap;
    return heap->used_bytes + server->keeper.pending.reserved_bytes + bytes <= heap->limit_bytes;
}

/* Disk and memory are looked at before a zxid is taken: afterwards there is no way back. What is
 * left then is for refusals that need a transaction. */
static enum code admit(struct keeper_server *server, const struct keeper_write_request *request)
{
    const uint64_t bytes = 2 * request->body.size + record_slack_bytes;
    if (!has_memory(server, bytes + refusals_bytes) ||
        admin_restore_is_exclusive(&server->admin.restore))
        return CODE_SYSTEM_ERROR;
    const enum err err = journal_admit(&server->journal, bytes);
    if (err == ERR_OK || (err == ERR_NO_SPACE && request->is_essential))
        return CODE_OK;
    return CODE_SYSTEM_ERROR;
}

bool keeper_write_is_possible(struct keeper_server *server)
{
    return !keeper_write_is_saturated(server) &&
           admit(server, &(struct keeper_write_request){.is_essential = true}) == CODE_OK;
}

/* At most one line a second, so that a flood of writes is not a flood of lines. */
static void tell_breach(struct keeper_server *server)
{
    const struct quota_breach *breach = &server->keeper.breach;
    const uint64_t now_ms = (uint64_t)keeper_server_now_ms(server);
    server->quota_untold++;
    if (server->quota_line_ms != 0 && now_ms < server->quota_line_ms + second_ms)
        return;
    const char *kind = breach->kind == QUOTA_COUNT ? "count" : "bytes";
    diag_warn(
        server->shard->diag, "quota exceeded: %" SLICE_FORMAT " [current %s=%lld, %s limit=%lld]%s",
        SLICE_ARGS(breach->path), kind, (long long)breach->used, breach->is_hard ? "hard" : "soft",
        (long long)breach->limit, server->quota_untold > 1 ? ", and others" : "");
    server->quota_line_ms = now_ms;
    server->quota_untold = 0;
}

/* A server without an ensemble has nothing to configure. */
static void judge_reconfig(struct keeper_server *server, struct keeper_request *prepared)
{
    struct zk_reconfig_request request;
    struct slice body = prepared->body;
    prepared->config_code = CODE_UNIMPLEMENTED;
    if (server->peer != NULL &&
        wire_decode(&zk_reconfig_request_wire, 0, &body, &server->arena, &request) == ERR_OK)
        prepared->config_code = (int32_t)quorum_reconfig_judge(
            server->peer, &request, server->keeper.zxid_prepared + 1, &prepared->config);
}

/* A learner's client was promised a commit for what was forwarded: a refusal is a transaction. */
static enum code prepare(struct keeper_server *server, const struct keeper_write_request *request,
                         enum code admitted, struct txn *txn)
{
    struct keeper_request prepared = prepare_request(server, request);
    enum code code = admitted;
    arena_reset(&server->arena);
    if (request->type == OP_RECONFIG)
        judge_reconfig(server, &prepared);
    if (admitted == CODE_OK) {
        code = keeper_prepare(&server->keeper, &prepared, &server->arena, txn);
        if (server->keeper.breach.kind != QUOTA_NONE)
            tell_breach(server);
        if (server->keeper.breach.is_hard)
            namespace_counts_add(&server->quota_refusals, namespace_of(server->keeper.breach.path));
    }
    if (code != CODE_OK && request->origin != 0) {
        keeper_prepare_refusal(&server->keeper, &prepared, code, txn);
        code = CODE_OK;
    }
    return code;
}

static enum code propose(struct keeper_server *server, const struct keeper_write_request *request)
{
    struct txn txn;
    const enum code admitted = admit(server, request);
    if (admitted != CODE_OK && (request->origin == 0 || !has_memory(server, record_slack_bytes)))
        return admitted;
    struct keeper_write *write = make(server);
    if (write == NULL)
        return CODE_SYSTEM_ERROR;
    const enum code code = prepare(server, request, admitted, &txn);
    if (code != CODE_OK) {
        release(server, write);
        return code;
    }
    if (txn.op.type == OP_RECONFIG)
        quorum_reconfig_propose(server->peer, txn.op.data);
    submit(server, write, request, &txn);
    return CODE_OK;
}

static enum code forward(struct keeper_server *server, const struct keeper_write_request *request)
{
    const enum code code = admit(server, request);
    if (code != CODE_OK)
        return code;
    struct keeper_write *write = make(server);
    if (write == NULL)
        return CODE_SYSTEM_ERROR;
    fill(write, request);
    list_push(&server->forwarded, &write->link);
    quorum_peer_forward(server->peer, request);
    return CODE_OK;
}

enum code keeper_write_start(struct keeper_server *server,
                             const struct keeper_write_request *request)
{
    switch (server->role) {
    case KEEPER_ALONE:
    case KEEPER_LEADER: return propose(server, request);
    case KEEPER_LEARNER: return forward(server, request);
    case KEEPER_READ_ONLY: return CODE_NOT_READ_ONLY;
    case KEEPER_LOOKING: break;
    }
    return CODE_SYSTEM_ERROR;
}

/* ---- from the leader ---- */

/* What was forwarded comes back in its order: only the oldest can be meant. */
static struct keeper_write *take_forwarded(struct keeper_server *server, const struct txn *txn)
{
    if (list_empty(&server->forwarded))
        return NULL;
    struct keeper_write *write = CONTAINER_OF(server->forwarded.next, struct keeper_write, link);
    if (write->session_id != txn->session_id || write->xid != txn->cxid)
        return NULL;
    list_remove(&write->link);
    return write;
}

static struct keeper_write *make_foreign(struct keeper_server *server, const struct txn *txn)
{
    struct keeper_write *write = make(server);
    if (write == NULL)
        io_fatal(server->shard->io, "no memory for a transaction of the leader");
    write->type = txn->op.type;
    write->session_id = txn->session_id;
    server->write_count++;
    return write;
}

enum err keeper_write_log(struct keeper_server *server, struct slice entry, uint64_t write_seq)
{
    struct txn txn;
    arena_reset(&server->arena);
    const enum err err = txn_codec_decode_entry(entry, &server->arena, &txn);
    if (err != ERR_OK)
        return err;
    struct keeper_write *write = take_forwarded(server, &txn);
    if (write == NULL)
        write = make_foreign(server, &txn);
    if (txn.op.type == OP_RECONFIG)
        quorum_reconfig_propose(server->peer, txn.op.data);
    write->zxid = txn.zxid;
    write->made_at_ms = txn.time_ms;
    if (server->ensemble.role == ENSEMBLE_FOLLOWER)
        tell_age(write, &server->stats.summaries.proposal_latency);
    take_record(write, txn_record_head_bytes + entry.size + txn_record_tail_bytes);
    memcpy(write->record + txn_record_head_bytes, entry.data, entry.size);
    txn_codec_seal_record(write->record, entry.size);
    keeper_write_append(write, write_seq);
    return ERR_OK;
}

/* ---- barriers ---- */

struct keeper_write *keeper_write_make_barrier(struct keeper_server *server)
{
    struct keeper_write *write = make(server);
    if (write == NULL)
        return NULL;
    write->is_barrier = true;
    write->order = ++server->write_order;
    server->write_count++;
    list_push(&server->barriers, &write->link);
    return write;
}

/* Behind the last write that is committed: those that follow may take their time. */
bool keeper_write_set_barrier(struct keeper_server *server)
{
    struct list *link = list_pop(&server->barriers);
    if (link == NULL)
        return false;
    struct keeper_write *barrier = CONTAINER_OF(link, struct keeper_write, link);
    if (barrier->origin != 0) {
        end_barrier(server, barrier);
        return true;
    }
    struct list *at = server->writes.next;
    while (at != &server->writes &&
           CONTAINER_OF(at, struct keeper_write, link)->zxid <= server->zxid_committed)
        at = at->next;
    list_push(at, link);
    if (can_apply(server))
        want_apply(server, io_now_ns(server->shard->io));
    return true;
}

static int64_t zxid_proposed(const struct keeper_server *server)
{
    const struct keeper_write *newest = last_of(&server->writes);
    return newest == NULL ? server->keeper.zxid_applied : newest->zxid;
}

/* The answer may come at once. */
static void ask_if_wanted(struct keeper_write *barrier)
{
    struct keeper_server *server = barrier->server;
    if (!server->config.sync_is_linearizable || server->role != KEEPER_LEADER)
        return; /* A follower passes an observer's sync on. */
    barrier->ticket = UINT64_MAX;
    barrier->ticket = quorum_peer_ask(server->peer);
}

bool keeper_write_add_barrier(struct keeper_server *server, uint64_t origin)
{
    struct keeper_write *write = make(server);
    if (write == NULL)
        return false;
    write->is_barrier = true;
    write->origin = origin;
    write->zxid = zxid_proposed(server);
    server->write_count++;
    server->ensemble.pending_sync_count++;
    list_push(&server->barriers, &write->link);
    ask_if_wanted(write);
    if (has_work(server))
        want_apply(server, io_now_ns(server->shard->io));
    return true;
}

struct keeper_write *keeper_write_add_own_barrier(struct keeper_server *server)
{
    struct keeper_write *write = make(server);
    if (write == NULL)
        return NULL;
    write->is_barrier = true;
    write->order = ++server->write_order;
    write->zxid = zxid_proposed(server);
    server->write_count++;
    list_push(&server->writes, &write->link);
    if (server->uncommitted == &server->writes)
        server->uncommitted = &write->link;
    ask_if_wanted(write);
    if (can_apply(server))
        want_apply(server, io_now_ns(server->shard->io));
    return write;
}

void keeper_write_confirm(struct keeper_server *server, uint64_t ticket)
{
    assert(ticket > server->ticket_confirmed);
    server->ticket_confirmed = ticket;
    if (has_work(server))
        want_apply(server, io_now_ns(server->shard->io));
}

void keeper_write_end_barriers(struct keeper_server *server, uint64_t origin, int64_t zxid)
{
    struct list *next;
    assert(server->role == KEEPER_LEADER || list_empty(&server->barriers));
    for (struct list *link = server->barriers.next; link != &server->barriers; link = next) {
        struct keeper_write *barrier = CONTAINER_OF(link, struct keeper_write, link);
        next = link->next;
        if (barrier->zxid >= zxid)
            return;
        if (barrier->origin == origin)
            end_barrier(server, barrier);
    }
}

static void drop_all(struct keeper_server *server, struct list *writes)
{
    for (struct list *link = list_pop(writes); link != NULL; link = list_pop(writes)) {
        struct keeper_write *write = CONTAINER_OF(link, struct keeper_write, link);
        if (write->reply != NULL) {
            write->client->outstanding_count--;
            net_reply_drop(write->reply);
        }
        heap_give(server->shard->heap, write->note);
        end(server, write);
    }
}

void keeper_write_drop_forwarded(struct keeper_server *server)
{
    drop_all(server, &server->forwarded);
    drop_all(server, &server->barriers);
}
