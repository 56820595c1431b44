#include "server/keeper/audit_file.h"

#include "base/assert.h"
#include "server/keeper/keeper_server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum { text_bytes_first = 16 * 1024, mebibyte = 1 << 20 };

static void on_step(struct io_op *op, int64_t result);
static void go_on(struct audit_file *file);

static void fail(struct audit_file *file, const char *what, int64_t result)
{
    if (!file->has_failed)
        diag_error(file->server->shard->diag, "cannot %s the audit file %s: %s; lines are lost",
                   what, file->path, err_text(err_from_errno((int)result)));
    file->has_failed = true;
}

enum err audit_file_start(struct audit_file *file, struct keeper_server *server)
{
    const struct keeper_config *config = &server->config;
    *file = (struct audit_file){
        .server = server,
        .handle = io_handle_none,
        .size_max = (uint64_t)config->audit_file_mib_max * mebibyte,
        .count_max = (int32_t)config->audit_file_count_max,
    };
    file->op.done = on_step;
    if (!config->audits)
        return ERR_OK;
    const char *folder = config->audit_file == NULL ? config->data_dir : "";
    snprintf(file->path, sizeof file->path, "%s%s", folder,
             config->audit_file == NULL ? "/zookeeper_audit.log" : config->audit_file);
    struct io_op open = {.kind = IO_OPEN, .handle = io_handle_none};
    open.path.path = file->path;
    open.path.flags = IO_OPEN_WRITE | IO_OPEN_CREATE;
    const int64_t handle = io_wait(server->shard->io, &open);
    if (handle < 0) {
        const enum err err = err_from_errno((int)handle);
        diag_error(server->shard->diag, "cannot open audit.file %s: %s", file->path, err_text(err));
        return err;
    }
    file->handle = (int32_t)handle;
    struct io_file_info info;
    if (io_file_info(server->shard->io, file->path, &info) == 0)
        file->size = info.size_bytes;
    return ERR_OK;
}

bool audit_file_is_open(const struct audit_file *file)
{
    return file->path[0] != '\0' && !file->is_stopping;
}

static bool make_room(struct audit_file *file, size_t size)
{
    struct audit_text *text = &file->waiting;
    if (text->size + size <= text->capacity)
        return true;
    size_t capacity = text->capacity == 0 ? text_bytes_first : 2 * text->capacity;
    while (capacity < text->size + size)
        capacity *= 2;
    uint8_t *bytes = heap_resize(file->server->shard->heap, text->bytes, capacity);
    if (bytes == NULL)
        return false;
    text->bytes = bytes;
    text->capacity = capacity;
    return true;
}

void audit_file_write(struct audit_file *file, struct slice line)
{
    assert(audit_file_is_open(file));
    if (!make_room(file, line.size + 1)) {
        fail(file, "keep what waits for", -ENOMEM);
        return;
    }
    memcpy(file->waiting.bytes + file->waiting.size, line.data, line.size);
    file->waiting.size += line.size;
    file->waiting.bytes[file->waiting.size++] = '\n';
    if (file->step == AUDIT_FILE_IDLE)
        go_on(file);
}

bool audit_file_is_saturated(const struct audit_file *file)
{
    return file->waiting.size > audit_file_waiting_bytes_max;
}

static void submit(struct audit_file *file, enum audit_file_step step, enum io_kind kind)
{
    file->step = step;
    file->op.kind = kind;
    file->op.handle = file->handle;
    io_submit(file->server->shard->io, &file->op);
}

static void submit_write(struct audit_file *file)
{
    const struct audit_text empty = file->writing;
    file->writing = file->waiting;
    file->waiting = empty;
    file->waiting.size = 0;
    file->vector = (struct iovec){file->writing.bytes, file->writing.size};
    file->op.write.vectors = &file->vector;
    file->op.write.vector_count = 1;
    file->op.write.offset = file->size;
    submit(file, AUDIT_FILE_WRITE, IO_WRITE);
}

/* FILE for 0, else FILE.index. */
static void print_path(const struct audit_file *file, int32_t index,
                       char path[audit_file_path_bytes_max])
{
    if (index == 0)
        snprintf(path, audit_file_path_bytes_max, "%s", file->path);
    else
        snprintf(path, audit_file_path_bytes_max, "%s.%" PRId32, file->path, index);
}

static void submit_rename(struct audit_file *file)
{
    print_path(file, file->rename_index, file->path_from);
    print_path(file, file->rename_index + 1, file->path_to);
    file->op.path.path = file->path_from;
    file->op.path.path_to = file->path_to;
    file->op.path.flags = 0;
    submit(file, AUDIT_FILE_RENAME, IO_RENAME);
}

static void submit_open(struct audit_file *file)
{
    file->op.path.path = file->path;
    file->op.path.path_to = NULL;
    file->op.path.flags = IO_OPEN_WRITE | IO_OPEN_CREATE;
    submit(file, AUDIT_FILE_OPEN, IO_OPEN);
}

/* What is next for a file that is idle. */
static void go_on(struct audit_file *file)
{
    assert(file->step == AUDIT_FILE_IDLE);
    if (file->handle == io_handle_none && file->waiting.size > 0 && !file->is_stopping)
        submit_open(file); /* It was lost; perhaps there is room again. */
    else if (file->handle != io_handle_none && file->waiting.size > 0)
        submit_write(file);
    else if (file->is_stopping && file->handle != io_handle_none)
        submit(file, AUDIT_FILE_CLOSE, IO_CLOSE);
    else if (file->is_stopping)
        keeper_server_pump_stop(file->server);
}

static void on_written(struct audit_file *file, int64_t result)
{
    if (result < 0) {
        fail(file, "write", result);
        return;
    }
    file->has_failed = false;
    file->size += (uint64_t)result;
    if (file->size > file->size_max && !file->is_stopping) {
        file->rename_index = file->count_max - 1;
        submit(file, AUDIT_FILE_CLOSE, IO_CLOSE);
    }
}

static void on_renamed(struct audit_file *file, int64_t result)
{
    if (result < 0 && result != -ENOENT)
        fail(file, "rename", result);
    if (--file->rename_index >= 0)
        submit_rename(file);
    else
        submit_open(file);
}

static void on_opened(struct audit_file *file, int64_t result)
{
    struct io_file_info info;
    if (result < 0) {
        file->waiting.size = 0;
        fail(file, "open", result);
        return;
    }
    file->handle = (int32_t)result;
    file->size = 0;
    if (io_file_info(file->server->shard->io, file->path, &info) == 0)
        file->size = info.size_bytes; /* It could not be renamed. */
}

static void on_step(struct io_op *op, int64_t result)
{
    struct audit_file *file = CONTAINER_OF(op, struct audit_file, op);
    const enum audit_file_step step = file->step;
    const bool was_saturated = audit_file_is_saturated(file);
    file->step = AUDIT_FILE_IDLE;
    switch (step) {
    case AUDIT_FILE_IDLE: assert(false); return;
    case AUDIT_FILE_WRITE: on_written(file, result); break;
    case AUDIT_FILE_RENAME: on_renamed(file, result); break;
    case AUDIT_FILE_OPEN: on_opened(file, result); break;
    case AUDIT_FILE_CLOSE:
        file->handle = io_handle_none;
        if (!file->is_stopping)
            submit_rename(file);
        break;
    }
    if (file->step == AUDIT_FILE_IDLE)
        go_on(file);
    if (was_saturated && !audit_file_is_saturated(file))
        keeper_server_on_room(file->server);
}

void audit_file_stop(struct audit_file *file)
{
    file->is_stopping = true;
    if (file->step == AUDIT_FILE_IDLE)
        go_on(file);
}

bool audit_file_is_stopped(const struct audit_file *file)
{
    return file->step == AUDIT_FILE_IDLE && file->handle == io_handle_none;
}

void audit_file_deinit(struct audit_file *file)
{
    assert(audit_file_is_stopped(file));
    heap_give(file->server->shard->heap, file->waiting.bytes);
    heap_give(file->server->shard->heap, file->writing.bytes);
}
