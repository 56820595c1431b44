#include "server/keeper/snapshot_task.h"

#include "base/assert.h"
#include "keeper/recovery.h"
#include "server/keeper/keeper_server.h"

#include <inttypes.h>
#include <stdio.h>

enum { millisecond_ns = 1000000, kib_bytes = 1024 };

/* EIO, ENOMEM, ECANCELED as io reports them. */
enum { input_output_error = -5, no_memory = -12, canceled = -125 };

static void on_step(struct io_op *op, int64_t result);

/* Half to all of the configured amount, so that the servers of an ensemble do not all pause to
 * write at the same time. */
static uint64_t draw_trigger(struct prng *prng, int64_t limit)
{
    const uint64_t half = (uint64_t)limit / 2;
    return limit <= 0 ? UINT64_MAX : half + prng_below(prng, half + 1);
}

static void draw_triggers(struct snapshot_task *task)
{
    const struct keeper_config *config = &task->server->config;
    task->txn_count = 0;
    task->journal_bytes = 0;
    task->txn_count_trigger = draw_trigger(&task->prng, config->snapshot_txn_count);
    task->journal_bytes_trigger =
        draw_trigger(&task->prng, config->snapshot_journal_kib * kib_bytes);
}

void snapshot_task_init(struct snapshot_task *task, struct keeper_server *server)
{
    uint64_t seed;
    io_entropy(server->shard->io, &seed, sizeof seed);
    *task = (struct snapshot_task){
        .server = server, .handle = io_handle_none, .zxid_last = -1, .ended_at_s = -1};
    task->op.done = on_step;
    prng_init(&task->prng, seed);
    draw_triggers(task);
}

void snapshot_task_count(struct snapshot_task *task, uint64_t journal_bytes)
{
    task->txn_count++;
    task->journal_bytes += journal_bytes;
    if (task->txn_count > task->txn_count_trigger ||
        task->journal_bytes > task->journal_bytes_trigger)
        snapshot_task_start(task);
}

/* ---- steps ---- */

static void submit(struct snapshot_task *task, enum snapshot_task_step step, enum io_kind kind)
{
    task->step = step;
    task->op.kind = kind;
    if (kind == IO_SYNC)
        task->op.sync.is_brief = false; /* The place held something else. */
    io_submit(task->server->shard->io, &task->op);
}

static void submit_path(struct snapshot_task *task, enum snapshot_task_step step, enum io_kind kind,
                        const char *path, uint32_t flags)
{
    task->op.path.path = path;
    task->op.path.path_to = task->path;
    task->op.path.flags = flags;
    submit(task, step, kind);
}

static void submit_handle(struct snapshot_task *task, enum snapshot_task_step step,
                          enum io_kind kind)
{
    task->op.handle = task->handle;
    submit(task, step, kind);
}

/* The keeper is not looked at any more. */
static void let_go(struct snapshot_task *task)
{
    task->znode_count = task->writer.keeper != NULL ? task->writer.znode_count : task->znode_count;
    snapshot_writer_deinit(&task->writer);
}

static void give_memory(struct snapshot_task *task)
{
    struct heap *heap = task->server->shard->heap;
    let_go(task);
    snapshot_packer_deinit(&task->packer);
    heap_give(heap, task->slice);
    heap_give(heap, task->packed);
    task->slice = task->packed = NULL;
}

static void finish(struct snapshot_task *task)
{
    struct keeper_server *server = task->server;
    const uint64_t elapsed_ms =
        (io_now_ns(server->shard->io) - task->started_at_ns) / millisecond_ns;
    if (task->error == 0) {
        metric_summary_add(&server->stats.summaries.snapshot_time, elapsed_ms);
        task->zxid_last = task->zxid;
        task->ended_at_s = io_wall_ms(server->shard->io) / 1000;
        diag_info(server->shard->diag,
                  "snapshot 0x%" PRIx64 " of %" PRIu64 " znodes, %" PRIu64 " bytes, in %" PRIu64
                  " ms",
                  (uint64_t)task->zxid, task->znode_count, task->offset, elapsed_ms);
    } else if (!task->is_canceled && !task->is_restore) {
        server->stats.counts.snapshot_error_count++;
        diag_error(server->shard->diag,
                   "the snapshot %s could not be written: %s; the next one will be tried "
                   "later",
                   task->path, err_text(err_from_errno((int)task->error)));
    }
    give_memory(task);
    task->step = SNAPSHOT_TASK_IDLE;
    if (task->is_restore)
        admin_restore_on_written(&server->admin.restore, task->error);
    admin_snapshot_on_task_end(&server->admin.snapshot, task->error);
    admin_restore_on_task_end(&server->admin.restore);
    keeper_server_pump_stop(server);
}

/* Closes the file first, if it is open; then removes it. */
static void fail(struct snapshot_task *task, int64_t error)
{
    if (task->error == 0)
        task->error = error;
    if (task->handle != io_handle_none)
        submit_handle(task, SNAPSHOT_TASK_CLOSE, IO_CLOSE);
    else
        submit_path(task, SNAPSHOT_TASK_REMOVE, IO_UNLINK, task->path_temporary, 0);
}

/* The next bytes of a packed file; none while the packer still gathers. */
static enum err pack_next(struct snapshot_task *task, size_t *size)
{
    if (task->rest.size == 0 && !task->is_complete) {
        size_t made = 0;
        const enum err err = snapshot_writer_next(&task->writer, task->slice,
                                                  snapshot_task_packed_slice_bytes, &made);
        if (err != ERR_OK)
            return err;
        task->rest = slice_of(task->slice, made);
        task->is_complete = made == 0;
    }
    snapshot_packer_next(&task->packer, &task->rest, task->is_complete, task->packed,
                         snapshot_task_slice_bytes, size);
    return ERR_OK;
}

static enum err make_next(struct snapshot_task *task, size_t *size)
{
    if (task->packer.method != RECOVERY_PLAIN)
        return pack_next(task, size);
    const enum err err =
        snapshot_writer_next(&task->writer, task->slice, snapshot_task_slice_bytes, size);
    task->is_complete = *size == 0;
    return err;
}

static void submit_write(struct snapshot_task *task, size_t size)
{
    task->vector = (struct iovec){task->packed != NULL ? task->packed : task->slice, size};
    task->op.write.vectors = &task->vector;
    task->op.write.vector_count = 1;
    task->op.write.offset = task->offset;
    task->offset += size;
    task->op.write.is_patient = true;
    submit_handle(task, SNAPSHOT_TASK_WRITE, IO_WRITE);
}

static bool is_all_made(const struct snapshot_task *task)
{
    return task->packer.method != RECOVERY_PLAIN ? task->packer.is_done : task->is_complete;
}

static bool is_held(const struct snapshot_task *task)
{
    return snapshot_writer_is_held(&task->writer) && task->rest.size == 0;
}

static void write_next(struct snapshot_task *task)
{
    size_t size = 0;
    enum err err = ERR_OK;
    if (is_held(task) && !task->is_canceled) {
        submit_handle(task, SNAPSHOT_TASK_SYNC_HELD, IO_SYNC);
        return;
    }
    if (!is_all_made(task) && !task->is_canceled)
        err = make_next(task, &size);
    if (err != ERR_OK || task->is_canceled) {
        fail(task, err != ERR_OK ? no_memory : canceled);
    } else if (size > 0) {
        submit_write(task, size);
    } else if (is_all_made(task)) {
        let_go(task);
        submit_handle(task, SNAPSHOT_TASK_SYNC, IO_SYNC);
    } else {
        task->op.timer.deadline_ns = io_now_ns(task->server->shard->io);
        submit(task, SNAPSHOT_TASK_WRITE, IO_TIMER);
    }
}

static void on_journal_synced(struct journal_request *request, enum err err)
{
    struct snapshot_task *task = CONTAINER_OF(request, struct snapshot_task, journal_request);
    assert(err == ERR_OK); /* A journal without on_failed ends the process instead. */
    submit_handle(task, SNAPSHOT_TASK_CLOSE, IO_CLOSE);
}

/* What was applied is durable anyway, but for forceSync=no. */
static void sync_journal(struct snapshot_task *task)
{
    struct keeper_server *server = task->server;
    if (server->config.force_sync || server->phase == KEEPER_SERVER_STOPPING) {
        submit_handle(task, SNAPSHOT_TASK_CLOSE, IO_CLOSE);
        return;
    }
    task->step = SNAPSHOT_TASK_SYNC_JOURNAL;
    task->journal_request.done = on_journal_synced;
    journal_sync(&server->journal, &task->journal_request);
}

static void on_closed(struct snapshot_task *task)
{
    task->handle = io_handle_none;
    if (task->error != 0)
        submit_path(task, SNAPSHOT_TASK_REMOVE, IO_UNLINK, task->path_temporary, 0);
    else
        submit_path(task, SNAPSHOT_TASK_RENAME, IO_RENAME, task->path_temporary, 0);
}

static void hold(struct snapshot_task *task)
{
    task->step = SNAPSHOT_TASK_HELD;
    if (task->is_canceled)
        fail(task, canceled);
    else
        admin_restore_on_held(&task->server->admin.restore);
}

/* With the file's name it is decided which tree the next start finds; the one that is served must
 * be that one. */
static void must_not_be_in_doubt(const struct snapshot_task *task, enum snapshot_task_step step,
                                 int64_t error)
{
    const bool may_be_named = step > SNAPSHOT_TASK_RENAME ||
                              (step == SNAPSHOT_TASK_RENAME && error == input_output_error);
    if ((task->is_restore || task->is_taken) && may_be_named)
        io_fatal(task->server->shard->io,
                 "whether %s, the snapshot that was %s, survives a power loss is in doubt: %s; "
                 "start again, then look at what is served",
                 task->path, task->is_restore ? "restored" : "taken over from the leader",
                 err_text(err_from_errno((int)error)));
}

static void on_step(struct io_op *op, int64_t result)
{
    struct snapshot_task *task = CONTAINER_OF(op, struct snapshot_task, op);
    const enum snapshot_task_step step = task->step;
    if (result < 0 && step != SNAPSHOT_TASK_REMOVE && step != SNAPSHOT_TASK_CLOSE &&
        step != SNAPSHOT_TASK_CLOSE_DIRECTORY) {
        must_not_be_in_doubt(task, step, result);
        fail(task, result);
        return;
    }
    switch (step) {
    case SNAPSHOT_TASK_OPEN:
        task->handle = (int32_t)result;
        write_next(task);
        return;
    case SNAPSHOT_TASK_WRITE: write_next(task); return;
    case SNAPSHOT_TASK_SYNC_HELD: hold(task); return;
    case SNAPSHOT_TASK_SYNC: sync_journal(task); return;
    case SNAPSHOT_TASK_CLOSE: on_closed(task); return;
    case SNAPSHOT_TASK_RENAME:
        submit_path(task, SNAPSHOT_TASK_OPEN_DIRECTORY, IO_OPEN, task->server->snapshot_path,
                    IO_OPEN_READ | IO_OPEN_DIRECTORY);
        return;
    case SNAPSHOT_TASK_OPEN_DIRECTORY:
        task->handle = (int32_t)result;
        submit_handle(task, SNAPSHOT_TASK_SYNC_DIRECTORY, IO_SYNC);
        return;
    case SNAPSHOT_TASK_SYNC_DIRECTORY:
        submit_handle(task, SNAPSHOT_TASK_CLOSE_DIRECTORY, IO_CLOSE);
        return;
    case SNAPSHOT_TASK_CLOSE_DIRECTORY:
        task->handle = io_handle_none;
        finish(task);
        return;
    case SNAPSHOT_TASK_REMOVE: finish(task); return;
    case SNAPSHOT_TASK_HELD:
    case SNAPSHOT_TASK_SYNC_JOURNAL:
    case SNAPSHOT_TASK_IDLE: break;
    }
    assert(task->step != SNAPSHOT_TASK_IDLE);
}

/* ---- start and end ---- */

static void name_files(struct snapshot_task *task)
{
    uint8_t name[recovery_name_bytes_max];
    const struct slice text = recovery_file_name(RECOVERY_FILE_SNAPSHOT, task->zxid, name);
    snprintf(task->path, sizeof task->path, "%s/%" SLICE_FORMAT "%s", task->server->snapshot_path,
             SLICE_ARGS(text), recovery_suffix(task->packer.method));
    snprintf(task->path_temporary, sizeof task->path_temporary, "%s/snapshot.tmp",
             task->server->snapshot_path);
}

static enum err take_memory(struct snapshot_task *task, struct keeper *keeper)
{
    struct keeper_server *server = task->server;
    struct heap *heap = server->shard->heap;
    const enum recovery_compression method =
        (enum recovery_compression)server->config.snapshot_compression;
    task->writer = (struct snapshot_writer){0};
    task->packed = NULL;
    enum err err = snapshot_packer_init(&task->packer, heap, method);
    task->slice = heap_take(heap, snapshot_task_slice_bytes);
    if (method != RECOVERY_PLAIN)
        task->packed = heap_take(heap, snapshot_task_slice_bytes);
    if (task->slice == NULL || (method != RECOVERY_PLAIN && task->packed == NULL))
        err = ERR_NO_MEMORY;
    return err == ERR_OK ? snapshot_writer_init(&task->writer, keeper) : err;
}

/* ERR_NO_MEMORY. */
static enum err begin(struct snapshot_task *task, struct keeper *keeper, bool is_restore)
{
    struct keeper_server *server = task->server;
    assert(task->step == SNAPSHOT_TASK_IDLE);
    const enum err err = take_memory(task, keeper);
    if (err != ERR_OK) {
        give_memory(task);
        return err;
    }
    if (is_restore)
        snapshot_writer_hold_tail(&task->writer);
    task->zxid = task->writer.zxid;
    name_files(task);
    task->is_restore = is_restore;
    task->is_taken = false;
    task->error = 0;
    task->offset = 0;
    task->is_canceled = false;
    task->is_complete = false;
    task->rest = SLICE_NULL;
    task->started_at_ns = io_now_ns(server->shard->io);
    submit_path(task, SNAPSHOT_TASK_OPEN, IO_OPEN, task->path_temporary,
                IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_TRUNCATE);
    return ERR_OK;
}

void snapshot_task_start(struct snapshot_task *task)
{
    struct keeper_server *server = task->server;
    draw_triggers(task);
    if (task->step != SNAPSHOT_TASK_IDLE || server->phase == KEEPER_SERVER_STOPPING ||
        server->is_replacing)
        return;
    if (begin(task, &server->keeper, false) == ERR_OK)
        server->wants_roll = true;
    else
        diag_error(server->shard->diag, "no memory for a snapshot; tried again later");
}

enum err snapshot_task_write_taken(struct snapshot_task *task)
{
    const enum err err = begin(task, &task->server->keeper, false);
    task->writer.is_inexact = true;
    task->server->wants_roll = true;
    task->is_taken = true;
    return err;
}

enum err snapshot_task_start_restore(struct snapshot_task *task, struct keeper *keeper)
{
    return begin(task, keeper, true);
}

void snapshot_task_release(struct snapshot_task *task)
{
    assert(task->step == SNAPSHOT_TASK_HELD);
    snapshot_writer_release_tail(&task->writer);
    task->zxid = task->writer.zxid;
    name_files(task);
    write_next(task);
}

void snapshot_task_cancel(struct snapshot_task *task)
{
    task->is_canceled = true;
    let_go(task);
    if (task->step == SNAPSHOT_TASK_HELD)
        fail(task, canceled);
}
