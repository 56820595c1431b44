#include "server/keeper/admin_snapshot.h"

#include "base/assert.h"
#include "server/keeper/admin_server.h"
#include "server/keeper/keeper_server.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    status_ok = 200,
    status_too_many_requests = 429,
    status_server_error = 500,
    poll_ns = 50 * 1000 * 1000,
    headers_bytes_max = 128,
    micros_ns = 1000,
};

static const char name[] = "snapshot";

void admin_snapshot_init(struct admin_snapshot *snapshot, struct keeper_server *server)
{
    *snapshot = (struct admin_snapshot){.server = server};
    for (uint32_t index = 0; index < admin_snapshot_download_count_max; index++)
        snapshot->downloads[index].snapshot = snapshot;
}

static struct admin_download *find_free(struct admin_snapshot *snapshot)
{
    for (uint32_t index = 0; index < admin_snapshot_download_count_max; index++)
        if (!snapshot->downloads[index].is_busy)
            return &snapshot->downloads[index];
    return NULL;
}

bool admin_snapshot_is_idle(const struct admin_snapshot *snapshot)
{
    for (uint32_t index = 0; index < admin_snapshot_download_count_max; index++)
        if (snapshot->downloads[index].is_busy)
            return false;
    return snapshot->exchange == NULL;
}

static struct http_exchange *take_exchange(struct admin_snapshot *snapshot)
{
    struct http_exchange *exchange = snapshot->exchange;
    snapshot->exchange = NULL;
    return exchange;
}

static void fail(struct admin_snapshot *snapshot, const char *what, int64_t error)
{
    diag_error(snapshot->server->shard->diag, "the snapshot that an operator asked for: %s: %s",
               what, err_text(err_from_errno((int)error)));
    snapshot->server->stats.counts.snapshot_error_count++;
    admin_server_answer_error(take_exchange(snapshot), status_server_error, name, NULL, NULL);
}

/* ---- the file ---- */

static void on_closed(struct io_op *op, int64_t result)
{
    struct admin_download *download = CONTAINER_OF(op, struct admin_download, op);
    (void)result; /* It was only read. */
    download->is_busy = false;
    keeper_server_pump_stop(download->snapshot->server);
}

static void close_when_sent(struct admin_download *download);

static void on_poll(struct io_op *op, int64_t result)
{
    (void)result;
    close_when_sent(CONTAINER_OF(op, struct admin_download, op));
}

/* net counts the users of the file down and tells nobody. */
static void close_when_sent(struct admin_download *download)
{
    struct io *io = download->snapshot->server->shard->io;
    if (download->users > 0) {
        download->op = (struct io_op){.kind = IO_TIMER, .handle = io_handle_none, .done = on_poll};
        download->op.timer.deadline_ns = io_now_ns(io) + poll_ns;
    } else {
        download->op =
            (struct io_op){.kind = IO_CLOSE, .handle = download->file, .done = on_closed};
    }
    io_submit(io, &download->op);
}

static const char *print_headers(const struct admin_snapshot *snapshot, char *out)
{
    snprintf(out, headers_bytes_max, "last_zxid: 0x%" PRIx64 "\r\nsnapshot_size: %" PRIu64 "\r\n",
             (uint64_t)snapshot->zxid, snapshot->size);
    return out;
}

static void send_file(struct admin_snapshot *snapshot, struct admin_download *download)
{
    char headers[headers_bytes_max];
    struct http_exchange *exchange = take_exchange(snapshot);
    struct net_message *message = http_message_acquire(exchange->server, 0);
    const struct http_answer answer = {
        .status = status_ok,
        .content_type = "application/octet-stream",
        .headers = print_headers(snapshot, headers),
        .size = snapshot->size,
        .has_file = true,
        .file = {.file = download->file, .size = snapshot->size, .users = &download->users},
    };
    download->users = message == NULL ? 0 : 1;
    http_exchange_answer(exchange, message, &answer);
    close_when_sent(download);
}

static void on_opened(struct io_op *op, int64_t result)
{
    struct admin_download *download = CONTAINER_OF(op, struct admin_download, op);
    struct admin_snapshot *snapshot = download->snapshot;
    if (result >= 0) {
        download->file = (int32_t)result;
        send_file(snapshot, download);
        return;
    }
    download->is_busy = false;
    fail(snapshot, "it cannot be opened", result);
    keeper_server_pump_stop(snapshot->server);
}

static void open_file(struct admin_snapshot *snapshot)
{
    struct admin_download *download = find_free(snapshot);
    assert(download != NULL); /* It was looked for before the snapshot was written. */
    download->is_busy = true;
    download->op = (struct io_op){.kind = IO_OPEN, .handle = io_handle_none, .done = on_opened};
    download->op.path.path = snapshot->path;
    download->op.path.flags = IO_OPEN_READ;
    io_submit(snapshot->server->shard->io, &download->op);
}

/* ---- the snapshot ---- */

static void start(struct admin_snapshot *snapshot)
{
    struct snapshot_task *task = &snapshot->server->snapshot;
    snapshot_task_start(task);
    snapshot->is_writing = !snapshot_task_is_idle(task);
    if (!snapshot->is_writing)
        fail(snapshot, "it cannot be begun", -12); /* ENOMEM, as io reports it. */
}

static void finish(struct admin_snapshot *snapshot)
{
    const struct keeper_server *server = snapshot->server;
    char headers[headers_bytes_max];
    struct io_file_info info;
    snprintf(snapshot->path, sizeof snapshot->path, "%s", server->snapshot.path);
    const int found = io_file_info(server->shard->io, snapshot->path, &info);
    if (found < 0) {
        fail(snapshot, "it cannot be found", found);
        return;
    }
    snapshot->zxid = server->snapshot.zxid_last;
    snapshot->size = info.size_bytes;
    if (snapshot->is_streaming)
        open_file(snapshot);
    else
        admin_server_answer_error(take_exchange(snapshot), status_ok, name, NULL,
                                  print_headers(snapshot, headers));
}

void admin_snapshot_on_task_end(struct admin_snapshot *snapshot, int64_t error)
{
    if (snapshot->exchange == NULL)
        return;
    if (!snapshot->is_writing) {
        start(snapshot);
        return;
    }
    snapshot->is_writing = false;
    if (error != 0)
        fail(snapshot, "it cannot be written", error);
    else
        finish(snapshot);
}

/* Apache's server counts this key, whose name says milliseconds, in microseconds. */
static bool is_allowed(struct admin_snapshot *snapshot)
{
    const uint64_t now_ns = io_now_ns(snapshot->server->shard->io);
    const uint64_t interval_ns =
        (uint64_t)snapshot->server->config.admin_limiter_interval * micros_ns;
    if (snapshot->has_limit && now_ns - snapshot->limit_since_ns < interval_ns)
        return false;
    snapshot->has_limit = true;
    snapshot->limit_since_ns = now_ns;
    return true;
}

void admin_snapshot_run(struct admin_snapshot *snapshot, struct http_exchange *exchange,
                        bool is_streaming)
{
    if (snapshot->exchange != NULL || find_free(snapshot) == NULL || !is_allowed(snapshot)) {
        snapshot->server->stats.counts.snapshot_rate_limited_count++;
        admin_server_answer_error(exchange, status_too_many_requests, name, NULL, NULL);
        return;
    }
    snapshot->exchange = exchange;
    snapshot->is_streaming = is_streaming;
    if (snapshot_task_is_idle(&snapshot->server->snapshot))
        start(snapshot);
}
