#include "server/keeper/keeper_write.h"

#include "base/assert.h"
#include "keeper/txn_codec.h"
#include "server/keeper/audit_trail.h"
#include "server/keeper/client_link.h"
#include "server/keeper/reply_frame.h"

/* What a transaction may need beyond its request: names, expanded access lists, headers, and a
 * fresh block of the record pool. */
enum { record_slack_bytes = 2 * record_block_bytes, second_ms = 1000 };

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

struct keeper_write *keeper_write_last(struct keeper_server *server)
{
    if (list_empty(&server->writes))
        return NULL;
    return CONTAINER_OF(server->writes.prev, struct keeper_write, link);
}

/* ---- after the journal ---- */

static uint64_t elapsed_ms(const struct keeper_write *write)
{
    return (io_now_ns(write->server->shard->io) - write->started_at_ns) / 1000000;
}

static void answer(struct keeper_write *write, const struct txn_result *result)
{
    struct keeper_server *server = write->server;
    struct client_link *client = write->client;
    metric_summary_add(&server->stats.summaries.write_latency, elapsed_ms(write));
    if (client == NULL)
        return;
    if (write->type == OP_CREATE_SESSION) {
        client_link_on_session(client, write->reply, result->code);
        return;
    }
    if (result->code == CODE_SESSION_MOVED) {
        client_link_refuse_moved(client, write->reply);
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
        client_link_run_wait(CONTAINER_OF(link, struct client_wait, link));
}

/* Applies the transaction as the journal has it. What fails here would fail at every restart. */
static void apply(struct keeper_write *write, struct txn_result *result)
{
    struct keeper_server *server = write->server;
    struct txn txn;
    const struct slice entry =
        slice_of(write->record + txn_record_head_bytes,
                 write->record_size - txn_record_head_bytes - txn_record_tail_bytes);
    arena_reset(&server->arena);
    const enum err err = txn_codec_decode_entry(entry, &server->arena, &txn);
    if (err != ERR_OK)
        io_fatal(server->shard->io, "cannot read back the transaction that was just written: %s",
                 err_text(err));
    memset(server->stats.told_count, 0, sizeof server->stats.told_count);
    keeper_apply(&server->keeper, &txn, keeper_server_now_ms(server), &server->sink, &server->arena,
                 result);
    keeper_stats_end_change(&server->stats);
    digest_log_add(&server->digests, txn.zxid, server->keeper.tree.digest);
    audit_trail_tell_session_end(server, &txn);
}

static void end_session(struct keeper_server *server, int64_t session_id)
{
    struct client_link *client = client_link_find(server, session_id);
    if (client != NULL)
        client_link_on_session_end(client);
}

/* The oldest write is durable. */
static void apply_first(struct keeper_server *server)
{
    assert(server->durable_count > 0 && !list_empty(&server->writes));
    struct keeper_write *write = CONTAINER_OF(server->writes.next, struct keeper_write, link);
    struct txn_result result;
    server->durable_count--;
    apply(write, &result);
    list_remove(&write->link);
    server->write_count--;
    server->write_bytes -= write->record_size;
    request_gate_leave(&server->gate, write->body_size);
    audit_trail_tell(server, write->note, &result);
    answer(write, &result);
    if (write->type == OP_CLOSE_SESSION)
        end_session(server, write->session_id);
    run_waits(write);
    snapshot_task_count(&server->snapshot, write->record_size);
    if (write->client != NULL)
        client_link_release(write->client);
    release(server, write);
}

static void want_apply(struct keeper_server *server, uint64_t deadline_ns);

static void on_apply(struct io_op *op, int64_t result)
{
    struct keeper_server *server = CONTAINER_OF(op, struct keeper_server, apply_op);
    (void)result;
    server->is_applying = false;
    event_task_begin(&server->events);
    for (uint32_t count = 0; count < applied_count_max && server->durable_count > 0; count++)
        apply_first(server);
    event_task_start(&server->events);
    znode_reaper_wake(&server->reaper);
    client_link_close_doomed(server);
    keeper_server_on_room(server);
    if (server->durable_count > 0)
        want_apply(server, io_next_round_ns(server->shard->io));
    else
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

static void on_durable(struct journal_append *append, enum err err)
{
    struct keeper_write *write = CONTAINER_OF(append, struct keeper_write, append);
    struct keeper_server *server = write->server;
    assert(err == ERR_OK); /* A journal without on_failed ends the process instead. */
    metric_summary_add(&server->stats.summaries.write_wait, elapsed_ms(write));
    server->durable_count++;
    assert(server->durable_count <= server->write_count);
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

static void submit(struct keeper_server *server, struct keeper_write *write,
                   const struct keeper_write_request *request, const struct txn *txn)
{
    write->zxid = txn->zxid;
    write->record_size = txn_codec_record_bytes(txn);
    write->record = record_pool_take(&server->records, write->record_size, &write->block);
    if (write->record == NULL)
        io_fatal(server->shard->io, "no memory for a transaction of %zu bytes", write->record_size);
    txn_codec_encode_record(txn, write->record);

    write->vector = (struct iovec){write->record, write->record_size};
    write->append = (struct journal_append){.vectors = &write->vector,
                                            .vector_count = 1,
                                            .is_durable = server->config.force_sync,
                                            .is_essential = true, /* It was admitted already. */
                                            .done = on_durable};
    roll_if_wanted(server, txn->zxid);
    list_push(&server->writes, &write->link);
    server->stats.counts.write_count++;
    server->write_count++;
    server->write_bytes += write->record_size;
    write->note = audit_trail_note(server, request);
    write->body_size = request->body.size;
    request_gate_enter(&server->gate, write->body_size);
    if (request->client != NULL) {
        request->client->user_count++;
        client_link_set_barrier(request->client, write);
    }
    const enum err err = journal_append(&server->journal, &write->append);
    if (err != ERR_OK)
        io_fatal(server->shard->io, "the journal refuses what it admitted: %s", err_text(err));
}

/* Disk and memory are looked at before a zxid is taken: afterwards there is no way back. */
static enum code admit(struct keeper_server *server, const struct keeper_write_request *request)
{
    const struct heap *heap = server->shard->heap;
    const uint64_t bytes = 2 * request->body.size + record_slack_bytes;
    if (heap->limit_bytes < heap->used_bytes + bytes)
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

enum code keeper_write_start(struct keeper_server *server,
                             const struct keeper_write_request *request)
{
    enum code code = admit(server, request);
    if (code != CODE_OK)
        return code;
    struct keeper_write *write = acquire(server);
    if (write == NULL)
        return CODE_SYSTEM_ERROR;

    struct txn txn;
    const struct keeper_request prepared = prepare_request(server, request);
    arena_reset(&server->arena);
    code = keeper_prepare(&server->keeper, &prepared, &server->arena, &txn);
    if (server->keeper.breach.kind != QUOTA_NONE)
        tell_breach(server);
    write->server = server;
    write->client = request->client;
    write->reply = request->reply;
    write->xid = request->xid;
    write->type = request->type;
    write->session_id = request->session_id;
    write->started_at_ns = io_now_ns(server->shard->io);
    write->block = NULL;
    list_init(&write->waits);
    if (code != CODE_OK) {
        release(server, write);
        return code;
    }
    submit(server, write, request, &txn);
    return CODE_OK;
}
