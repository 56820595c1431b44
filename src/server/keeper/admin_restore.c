#include "server/keeper/admin_restore.h"

#include "base/assert.h"
#include "server/keeper/admin_json.h"
#include "server/keeper/admin_server.h"
#include "server/keeper/client_link.h"
#include "server/keeper/http_page.h"
#include "server/keeper/keeper_server.h"
#include "server/keeper/keeper_write.h"

#include <inttypes.h>

enum {
    status_ok = 200,
    status_server_error = 500,
    millisecond_ns = 1000000,
    poll_ns = millisecond_ns,
    table_bytes_per_znode = 32, /* While a hash table grows. */
};

static const char name[] = "restore";

/* Above it is no number that any server comes to. */
static const int64_t zxid_sound_max = INT64_MAX / 2;

void admin_restore_init(struct admin_restore *restore, struct keeper_server *server)
{
    *restore = (struct admin_restore){.server = server};
}

bool admin_restore_admit(struct admin_restore *restore)
{
    const struct keeper_server *server = restore->server;
    const uint64_t now_ns = io_now_ns(server->shard->io);
    const uint64_t interval_ns = (uint64_t)server->config.admin_limiter_interval * millisecond_ns;
    if (server->peer != NULL) {
        diag_warn(server->shard->diag, "restore is refused: the others would not follow; restore "
                                       "the folders of all members while they are down");
        return false;
    }
    if (server->phase != KEEPER_SERVER_SERVING || restore->phase != ADMIN_RESTORE_IDLE ||
        (restore->has_limit && now_ns - restore->limit_since_ns < interval_ns))
        return false;
    restore->has_limit = true;
    restore->limit_since_ns = now_ns;
    return true;
}

/* ---- answers ---- */

struct zxid_page {
    struct http_page page;
    int64_t zxid;
};

static void put_zxid(struct http_page *page, struct counted_text *text)
{
    struct admin_json json;
    admin_json_init(&json, text);
    admin_json_open_object(&json);
    admin_json_put_int(&json, "last_zxid", CONTAINER_OF(page, struct zxid_page, page)->zxid);
    admin_json_put_text(&json, "command", name);
    admin_json_key(&json, slice_from_text("error"));
    admin_json_null(&json);
    admin_json_close_object(&json);
}

static struct http_exchange *take_exchange(struct admin_restore *restore)
{
    struct http_exchange *exchange = restore->exchange;
    restore->exchange = NULL;
    return exchange;
}

/* The zxid that the snapshot told, as Apache's servers answer. */
static void answer_done(struct admin_restore *restore)
{
    struct zxid_page page = {
        .page = {.status = status_ok, .content_type = "application/json", .put = put_zxid},
        .zxid = restore->reader.zxid_told};
    http_page_answer(take_exchange(restore), &page.page);
}

static void answer_error(struct admin_restore *restore)
{
    admin_server_answer_error(take_exchange(restore), status_server_error, name, NULL, NULL);
}

/* ---- failures ---- */

/* What was loaded is forgotten; the server's own state has not been touched. */
static void drop(struct admin_restore *restore, const char *what, enum err err)
{
    struct keeper_server *server = restore->server;
    diag_error(server->shard->diag,
               "nothing was restored, and all is as it was: %s: %s, at byte %" PRIu64
               " of %" PRIu64,
               what, err_text(err), restore->reader.offset, restore->bytes);
    server->stats.counts.restore_error_count++;
    snapshot_reader_deinit(&restore->reader);
    if (restore->keeper.heap != NULL)
        keeper_deinit(&restore->keeper);
}

static void fail(struct admin_restore *restore, const char *what, enum err err)
{
    drop(restore, what, err);
    restore->phase = ADMIN_RESTORE_IDLE;
    answer_error(restore);
    keeper_server_pump_stop(restore->server);
}

/* In the middle of the body. */
static void refuse(struct admin_restore *restore, enum err err)
{
    const char *reason = restore->reader.reason;
    drop(restore, reason != NULL ? reason : "the snapshot cannot be loaded", err);
    restore->phase = ADMIN_RESTORE_REFUSED;
}

/* ---- the body ---- */

void admin_restore_begin(struct admin_restore *restore, struct http_exchange *exchange)
{
    struct keeper_server *server = restore->server;
    const int64_t now_ms = keeper_server_now_ms(server);
    assert(restore->phase == ADMIN_RESTORE_IDLE);
    restore->phase = ADMIN_RESTORE_RECEIVING;
    restore->exchange = exchange;
    restore->started_at_ns = io_now_ns(server->shard->io);
    restore->bytes = 0;
    restore->reader = (struct snapshot_reader){0};
    const enum err err =
        keeper_init(&restore->keeper, server->shard->heap, server->keeper.options, now_ms);
    if (err != ERR_OK) {
        refuse(restore, err);
        return;
    }
    snapshot_reader_init(&restore->reader, &restore->keeper, &server->arena, 0, now_ms);
}

/* What the server has prepared must be applied, whatever comes in here. */
static bool has_room(const struct admin_restore *restore, size_t piece_bytes)
{
    const struct keeper_server *server = restore->server;
    const struct snapshot_reader *reader = &restore->reader;
    const struct heap *heap = server->shard->heap;
    const size_t spare = server->keeper.pending.reserved_bytes + 2 * (size_t)slab_reserve_bytes;
    const size_t more = 4 * (reader->carry_size + piece_bytes) +
                        table_bytes_per_znode * (size_t)restore->keeper.tree.by_path.count;
    return heap->used_bytes + heap->kept_bytes + spare + more <= heap->limit_bytes;
}

static void take_piece(struct admin_restore *restore, struct slice piece)
{
    restore->bytes += piece.size;
    if (restore->phase != ADMIN_RESTORE_RECEIVING)
        return;
    enum err err = ERR_NO_MEMORY;
    if (has_room(restore, piece.size))
        err = snapshot_reader_feed(&restore->reader, piece);
    if (err != ERR_OK)
        refuse(restore, err);
}

static enum err finish_reading(struct admin_restore *restore)
{
    struct snapshot_reader *reader = &restore->reader;
    const enum err err = snapshot_reader_finish(reader);
    if (err != ERR_OK)
        return err;
    if (reader->zxid_told < 0 || max_i64(reader->zxid_told, reader->zxid_max) > zxid_sound_max) {
        reader->reason = "a zxid is impossible";
        return ERR_CORRUPT;
    }
    return ERR_OK;
}

/* A snapshot of a tree that changed meanwhile is in parts as it was at first, and in parts as it
 * became. */
static void check_digest(struct admin_restore *restore)
{
    struct keeper_server *server = restore->server;
    const struct snapshot_reader *reader = &restore->reader;
    if (!reader->has_digest || reader->digest == restore->keeper.tree.digest)
        return;
    server->stats.counts.digest_mismatch_count++;
    diag_warn(server->shard->diag,
              "the snapshot to be restored was taken while its tree changed: it is not the tree of "
              "zxid 0x%" PRIx64 " alone",
              (uint64_t)reader->digest_zxid);
}

static void start_writing(struct admin_restore *restore)
{
    const enum err err = snapshot_task_start_restore(&restore->server->snapshot, &restore->keeper);
    restore->phase = ADMIN_RESTORE_WRITING;
    if (err != ERR_OK)
        fail(restore, "the snapshot cannot be written", err);
}

static void end_body(struct admin_restore *restore)
{
    struct keeper_server *server = restore->server;
    if (restore->phase == ADMIN_RESTORE_RECEIVING) {
        const enum err err = finish_reading(restore);
        if (err != ERR_OK)
            refuse(restore, err);
    }
    if (restore->phase == ADMIN_RESTORE_REFUSED) {
        restore->phase = ADMIN_RESTORE_IDLE;
        answer_error(restore);
        return;
    }
    const struct snapshot_reader *reader = &restore->reader;
    check_digest(restore);
    snapshot_reader_deinit(&restore->reader);
    keeper_set_zxid(&restore->keeper, max_i64(reader->zxid_told, reader->zxid_max));
    keeper_start(&restore->keeper, keeper_server_now_ms(server), io_wall_ms(server->shard->io));
    restore->phase = ADMIN_RESTORE_WAITING;
    admin_restore_on_task_end(restore);
}

static void lose_body(struct admin_restore *restore)
{
    if (restore->phase == ADMIN_RESTORE_RECEIVING)
        drop(restore, "the connection ended in the middle of the snapshot", ERR_TRUNCATED);
    restore->exchange = NULL;
    restore->phase = ADMIN_RESTORE_IDLE;
    keeper_server_pump_stop(restore->server);
}

void admin_restore_on_body(struct admin_restore *restore, enum http_body_event event,
                           struct slice piece)
{
    switch (event) {
    case HTTP_BODY_PIECE: take_piece(restore, piece); return;
    case HTTP_BODY_END: end_body(restore); return;
    case HTTP_BODY_LOST: lose_body(restore); return;
    }
}

/* ---- the file ---- */

void admin_restore_on_task_end(struct admin_restore *restore)
{
    if (restore->phase != ADMIN_RESTORE_WAITING)
        return;
    if (restore->server->phase != KEEPER_SERVER_SERVING)
        fail(restore, "the server stops", ERR_CLOSED);
    else if (snapshot_task_is_idle(&restore->server->snapshot))
        start_writing(restore);
}

/* Above all that was given out here, and above the snapshot's own. Never the last one in front of
 * an epoch: its first transaction would seem to follow any older one, should the snapshot be lost.
 */
static int64_t choose_zxid(const struct admin_restore *restore)
{
    const int64_t zxid = max_i64(restore->server->keeper.zxid_prepared + 1,
                                 max_i64(restore->reader.zxid_told, restore->reader.zxid_max));
    return (uint32_t)zxid == 0 ? zxid + 1 : zxid;
}

static bool is_quiet(const struct keeper_server *server)
{
    return list_empty(&server->links) && keeper_write_request_count(server) == 0 &&
           server->gate.held_count == 0;
}

static void poll(struct admin_restore *restore);

static void on_poll(struct io_op *op, int64_t result)
{
    struct admin_restore *restore = CONTAINER_OF(op, struct admin_restore, op);
    (void)result;
    restore->is_polling = false;
    if (restore->server->phase != KEEPER_SERVER_SERVING)
        keeper_server_pump_stop(restore->server); /* The task was canceled, and tells. */
    else if (restore->phase == ADMIN_RESTORE_QUIETING)
        poll(restore);
}

static void poll(struct admin_restore *restore)
{
    struct keeper_server *server = restore->server;
    if (is_quiet(server)) {
        restore->phase = ADMIN_RESTORE_NAMING;
        keeper_set_zxid(&restore->keeper, choose_zxid(restore));
        snapshot_task_release(&server->snapshot);
        return;
    }
    restore->is_polling = true;
    restore->op = (struct io_op){.kind = IO_TIMER, .handle = io_handle_none, .done = on_poll};
    restore->op.timer.deadline_ns = io_now_ns(server->shard->io) + poll_ns;
    io_submit(server->shard->io, &restore->op);
}

void admin_restore_on_held(struct admin_restore *restore)
{
    assert(restore->phase == ADMIN_RESTORE_WRITING);
    restore->phase = ADMIN_RESTORE_QUIETING;
    client_link_close_all(restore->server, "another state is restored");
    poll(restore);
}

/* ---- the new state ---- */

static void swap(struct admin_restore *restore)
{
    struct keeper_server *server = restore->server;
    const uint64_t now_ns = io_now_ns(server->shard->io);
    assert(is_quiet(server));
    keeper_deinit(&server->keeper);
    keeper_move(&server->keeper, &restore->keeper);
    keeper_start(&server->keeper, keeper_server_now_ms(server), io_wall_ms(server->shard->io));
    digest_log_clear(&server->digests);
    server->wants_roll = true;
    /* Without its snapshot the next start must not take the old state for all there is. */
    if (server->config.force_sync)
        ack_mark_advance(&server->mark, server->keeper.zxid_applied);
    metric_summary_add(&server->stats.summaries.restore_time,
                       (now_ns - restore->started_at_ns) / millisecond_ns);
    diag_warn(server->shard->diag,
              "restored %" PRIu64 " znodes and %" PRIu64 " sessions from %" PRIu64
              " bytes of zxid 0x%" PRIx64 ", as zxid 0x%" PRIx64,
              restore->reader.znode_count, server->keeper.sessions.by_id.count, restore->bytes,
              (uint64_t)restore->reader.zxid_told, (uint64_t)server->keeper.zxid_applied);
}

void admin_restore_on_written(struct admin_restore *restore, int64_t error)
{
    struct keeper_server *server = restore->server;
    if (error != 0) {
        fail(restore, "the snapshot cannot be written", err_from_errno((int)error));
        return;
    }
    if (server->phase == KEEPER_SERVER_SERVING)
        swap(restore);
    else
        keeper_deinit(&restore->keeper); /* The next start finds it. */
    restore->phase = ADMIN_RESTORE_IDLE;
    answer_done(restore);
    znode_reaper_wake(&server->reaper);
}
