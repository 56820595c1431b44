#include "server/keeper/purge_task.h"

#include "base/assert.h"
#include "server/keeper/keeper_server.h"

#include <inttypes.h>
#include <stdio.h>

enum { retain_count_min = 3 };

static const uint64_t hour_ns = UINT64_C(3600) * 1000000000;

static void on_removed(struct io_op *op, int64_t result);

static uint64_t interval_ns(const struct purge_task *task)
{
    return (uint64_t)task->server->config.purge_interval_h * hour_ns;
}

/* Apache's purges at once when it starts, then every interval. */
void purge_task_init(struct purge_task *task, struct keeper_server *server)
{
    *task = (struct purge_task){.server = server};
    task->due_at_ns = io_now_ns(server->shard->io);
    task->op.done = on_removed;
}

static void on_name(void *context, const char *name)
{
    struct purge_task *task = context;
    const struct recovery_file file = recovery_file_of(slice_from_text(name));
    if (file.kind == RECOVERY_FILE_SNAPSHOT && file.compression == RECOVERY_PLAIN &&
        task->file_count < purge_task_file_count_max)
        task->files[task->file_count++] = file;
}

static void finish(struct purge_task *task)
{
    heap_give(task->server->shard->heap, task->files);
    task->files = NULL;
    task->is_running = false;
    keeper_server_pump_stop(task->server);
}

static void remove_next(struct purge_task *task)
{
    struct keeper_server *server = task->server;
    if (task->file_index == task->file_count || server->phase != KEEPER_SERVER_SERVING) {
        finish(task);
        return;
    }
    uint8_t name[recovery_name_bytes_max];
    const struct recovery_file *file = &task->files[task->file_index++];
    const struct slice text = recovery_file_name(RECOVERY_FILE_SNAPSHOT, file->zxid, name);
    snprintf(task->path, sizeof task->path, "%s/%" SLICE_FORMAT, server->snapshot_path,
             SLICE_ARGS(text));
    task->op.kind = IO_UNLINK;
    task->op.path.path = task->path;
    task->op.path.path_to = NULL;
    task->op.path.flags = 0;
    io_submit(server->shard->io, &task->op);
}

static void on_removed(struct io_op *op, int64_t result)
{
    struct purge_task *task = CONTAINER_OF(op, struct purge_task, op);
    if (result < 0)
        diag_warn(task->server->shard->diag, "cannot remove %s: %s", task->path,
                  err_text(err_from_errno((int)result)));
    else
        diag_info(task->server->shard->diag, "removed %s", task->path);
    remove_next(task);
}

static void on_dropped(struct journal_request *request, enum err err)
{
    struct purge_task *task = CONTAINER_OF(request, struct purge_task, request);
    if (err != ERR_OK)
        diag_warn(task->server->shard->diag, "old journal files could not be removed: %s",
                  err_text(err));
    task->is_dropping = false;
    keeper_server_pump_stop(task->server);
}

/* Drops the journal's files before the one that the oldest kept snapshot needs. The snapshots go
 * first: a snapshot without the journal behind it is worth less than none. */
static void start(struct purge_task *task)
{
    struct keeper_server *server = task->server;
    task->files = heap_take(server->shard->heap, sizeof *task->files * purge_task_file_count_max);
    if (task->files == NULL)
        return;
    task->is_running = true;
    task->file_count = 0;
    const int listed = io_list_directory(server->shard->io, server->snapshot_path, on_name, task);
    const int32_t retained = (int32_t)max_i64(server->config.purge_retain_count, retain_count_min);
    if (listed < 0 || task->file_count <= retained) {
        finish(task);
        return;
    }
    recovery_sort(task->files, task->file_count);
    const uint64_t oldest_zxid = (uint64_t)task->files[retained - 1].zxid;
    task->is_dropping = true;
    task->request.done = on_dropped;
    journal_drop_unlinked(&server->journal, &task->request, oldest_zxid + 1);
    task->file_index = retained;
    remove_next(task);
}

void purge_task_tick(struct purge_task *task)
{
    struct keeper_server *server = task->server;
    const uint64_t now_ns = io_now_ns(server->shard->io);
    if (server->config.purge_interval_h == 0 || now_ns < task->due_at_ns ||
        !purge_task_is_idle(task))
        return;
    task->due_at_ns = now_ns + interval_ns(task);
    start(task);
}
