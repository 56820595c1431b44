#include "server/keeper/purge_task.h"

#include "base/assert.h"
#include "server/keeper/keeper_server.h"

#include <inttypes.h>
#include <stdio.h>

enum { tail_bytes = 5 };

static const uint64_t hour_ns = UINT64_C(3600) * 1000000000;

static void on_step(struct io_op *op, int64_t result);

static uint64_t interval_ns(const struct purge_task *task)
{
    return (uint64_t)task->server->config.purge_interval_h * hour_ns;
}

void purge_task_init(struct purge_task *task, struct keeper_server *server)
{
    *task = (struct purge_task){.server = server};
    task->due_at_ns = io_now_ns(server->shard->io);
    task->op.done = on_step;
    task->handle = io_handle_none;
}

static void on_name(void *context, const char *name)
{
    struct purge_task *task = context;
    const struct recovery_file file = recovery_file_of(slice_from_text(name));
    if (file.kind == RECOVERY_FILE_SNAPSHOT && task->file_count < purge_task_file_count_max)
        task->files[task->file_count++] = file;
}

static void finish(struct purge_task *task)
{
    heap_give(task->server->shard->heap, task->files);
    task->files = NULL;
    task->is_running = false;
    keeper_server_pump_stop(task->server);
}

/* Nothing new is begun then. */
static bool is_stopping(const struct purge_task *task)
{
    return task->server->phase == KEEPER_SERVER_STOPPING;
}

static void print_path(struct purge_task *task)
{
    uint8_t name[recovery_name_bytes_max];
    const struct recovery_file *file = &task->files[task->file_index];
    const struct slice text = recovery_file_name(RECOVERY_FILE_SNAPSHOT, file->zxid, name);
    snprintf(task->path, sizeof task->path, "%s/%" SLICE_FORMAT "%s", task->server->snapshot_path,
             SLICE_ARGS(text), recovery_suffix(file->compression));
}

static void submit(struct purge_task *task, enum purge_step step, enum io_kind kind)
{
    task->step = step;
    task->op.kind = kind;
    task->op.handle = task->handle;
    io_submit(task->server->shard->io, &task->op);
}

static void submit_path(struct purge_task *task, enum purge_step step, enum io_kind kind)
{
    print_path(task);
    task->op.path.path = task->path;
    task->op.path.path_to = NULL;
    task->op.path.flags = kind == IO_OPEN ? IO_OPEN_READ : 0;
    submit(task, step, kind);
}

/* The tail of a plain file, the head of a compressed one: as much as Apache's looks at, too. */
static void submit_read(struct purge_task *task)
{
    const bool is_plain = task->files[task->file_index].compression == RECOVERY_PLAIN;
    const uint64_t size = min_u64(task->size, is_plain ? tail_bytes : purge_task_mark_bytes);
    task->op.read.data = task->mark;
    task->op.read.size = size;
    task->op.read.offset = is_plain ? task->size - size : 0;
    submit(task, PURGE_READ, IO_READ);
}

static bool looks_whole(const struct purge_task *task, int64_t read)
{
    static const uint8_t gzip[] = {0x1f, 0x8b};
    static const uint8_t snappy[] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
    if (read < 0)
        return false;
    const struct slice mark = slice_of(task->mark, (size_t)read);
    switch (task->files[task->file_index].compression) {
    case RECOVERY_PLAIN: return recovery_snapshot_looks_whole(task->size, mark);
    case RECOVERY_GZIP: return slice_starts_with(mark, slice_of(gzip, sizeof gzip));
    case RECOVERY_SNAPPY: return slice_starts_with(mark, slice_of(snappy, sizeof snappy));
    }
    return false;
}

static void remove_next(struct purge_task *task)
{
    while (task->file_index < task->file_count &&
           task->files[task->file_index].zxid >= task->oldest_zxid)
        task->file_index++;
    if (task->file_index == task->file_count || is_stopping(task))
        finish(task);
    else
        submit_path(task, PURGE_REMOVE, IO_UNLINK);
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

static void start_removing(struct purge_task *task)
{
    if (task->whole_count == 0 || is_stopping(task)) {
        finish(task);
        return;
    }
    task->is_dropping = true;
    task->request.done = on_dropped;
    journal_drop_unlinked(&task->server->journal, &task->request, (uint64_t)task->oldest_zxid);
    remove_next(task);
}

static void look_at_next(struct purge_task *task)
{
    const int64_t retained = task->server->config.purge_retain_count;
    if (task->file_index == task->file_count || task->whole_count == retained || is_stopping(task))
        start_removing(task);
    else
        submit_path(task, PURGE_OPEN, IO_OPEN);
}

static void on_opened(struct purge_task *task, int64_t result)
{
    struct io_file_info info = {0};
    if (result < 0) {
        task->file_index++;
        look_at_next(task);
        return;
    }
    task->handle = (int32_t)result;
    (void)io_file_info(task->server->shard->io, task->path, &info);
    task->size = info.size_bytes;
    submit_read(task);
}

static void on_closed(struct purge_task *task)
{
    task->handle = io_handle_none;
    if (task->is_whole) {
        task->whole_count++;
        task->oldest_zxid = task->files[task->file_index].zxid;
    }
    task->file_index++;
    look_at_next(task);
}

static void on_removed(struct purge_task *task, int64_t result)
{
    if (result < 0)
        diag_warn(task->server->shard->diag, "cannot remove %s: %s", task->path,
                  err_text(err_from_errno((int)result)));
    else
        diag_info(task->server->shard->diag, "removed %s", task->path);
    task->file_index++;
    remove_next(task);
}

static void on_step(struct io_op *op, int64_t result)
{
    struct purge_task *task = CONTAINER_OF(op, struct purge_task, op);
    switch (task->step) {
    case PURGE_OPEN: on_opened(task, result); break;
    case PURGE_READ:
        task->is_whole = looks_whole(task, result);
        submit(task, PURGE_CLOSE, IO_CLOSE);
        break;
    case PURGE_CLOSE: on_closed(task); break;
    case PURGE_REMOVE: on_removed(task, result); break;
    }
}

static void start(struct purge_task *task)
{
    struct keeper_server *server = task->server;
    task->files = heap_take(server->shard->heap, sizeof *task->files * purge_task_file_count_max);
    if (task->files == NULL)
        return;
    task->is_running = true;
    task->file_count = 0;
    task->file_index = 0;
    task->whole_count = 0;
    if (io_list_directory(server->shard->io, server->snapshot_path, on_name, task) < 0) {
        finish(task);
        return;
    }
    recovery_sort(task->files, task->file_count);
    look_at_next(task);
}

void purge_task_tick(struct purge_task *task)
{
    struct keeper_server *server = task->server;
    const uint64_t now_ns = io_now_ns(server->shard->io);
    if (server->config.purge_interval_h <= 0 || now_ns < task->due_at_ns ||
        !purge_task_is_idle(task))
        return;
    task->due_at_ns = now_ns + interval_ns(task);
    start(task);
}
