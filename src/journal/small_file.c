#include "journal/small_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void on_step(struct io_op *op, int64_t result);

static void submit_path(struct small_file *file, enum io_kind kind, const char *path,
                        uint32_t flags)
{
    file->op = (struct io_op){
        .kind = kind,
        .handle = io_handle_none,
        .done = on_step,
        .path = {.path = path, .path_to = file->path, .flags = flags},
    };
    io_submit(file->io, &file->op);
}

static void submit_handle(struct small_file *file, enum io_kind kind)
{
    file->op = (struct io_op){.kind = kind, .handle = file->handle, .done = on_step};
    io_submit(file->io, &file->op);
}

static void submit_write(struct small_file *file)
{
    file->vector = (struct iovec){.iov_base = (void *)(uintptr_t)file->bytes.data,
                                  .iov_len = file->bytes.size};
    file->op = (struct io_op){
        .kind = IO_WRITE,
        .handle = file->handle,
        .done = on_step,
        .write = {.vectors = &file->vector, .vector_count = 1},
    };
    io_submit(file->io, &file->op);
}

static void start_step(struct small_file *file, enum small_file_step step)
{
    file->step = step;
    switch (step) {
    case SMALL_FILE_CREATE:
        submit_path(file, IO_OPEN, file->path_temporary,
                    IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_TRUNCATE);
        return;
    case SMALL_FILE_WRITE: submit_write(file); return;
    case SMALL_FILE_SYNC:
    case SMALL_FILE_SYNC_DIRECTORY: submit_handle(file, IO_SYNC); return;
    case SMALL_FILE_CLOSE:
    case SMALL_FILE_CLOSE_DIRECTORY: submit_handle(file, IO_CLOSE); return;
    case SMALL_FILE_RENAME: submit_path(file, IO_RENAME, file->path_temporary, 0); return;
    case SMALL_FILE_OPEN_DIRECTORY:
        submit_path(file, IO_OPEN, file->path_directory, IO_OPEN_READ | IO_OPEN_DIRECTORY);
        return;
    }
}

/* After a failure an open handle is closed, and nothing else is tried. */
static void on_failed_step(struct small_file *file, int64_t result)
{
    if (file->error == 0)
        file->error = result;
    const enum small_file_step step = file->step;
    if (step == SMALL_FILE_WRITE || step == SMALL_FILE_SYNC)
        start_step(file, SMALL_FILE_CLOSE);
    else if (step == SMALL_FILE_SYNC_DIRECTORY)
        start_step(file, SMALL_FILE_CLOSE_DIRECTORY);
    else
        file->done(file, file->error);
}

static void on_step(struct io_op *op, int64_t result)
{
    struct small_file *file = CONTAINER_OF(op, struct small_file, op);
    const enum small_file_step step = file->step;
    if (result < 0) {
        on_failed_step(file, result);
        return;
    }
    if (step == SMALL_FILE_CREATE || step == SMALL_FILE_OPEN_DIRECTORY)
        file->handle = (int32_t)result;
    if (step == SMALL_FILE_CLOSE_DIRECTORY || file->error != 0)
        file->done(file, file->error);
    else
        start_step(file, step + 1);
}

void small_file_replace(struct small_file *file, struct io *io, const char *path,
                        struct slice bytes)
{
    const char *name = strrchr(path, '/');
    assert(name != NULL && strlen(path) + sizeof ".tmp" <= small_file_path_bytes_max);
    file->io = io;
    file->bytes = bytes;
    file->error = 0;
    snprintf(file->path, sizeof file->path, "%s", path);
    snprintf(file->path_temporary, sizeof file->path_temporary, "%s.tmp", path);
    snprintf(file->path_directory, sizeof file->path_directory, "%.*s",
             name == path ? 1 : (int)(name - path), path);
    start_step(file, SMALL_FILE_CREATE);
}

struct waited_file {
    struct small_file file;
    int64_t result;
    bool is_done;
};

static void on_waited(struct small_file *file, int64_t result)
{
    struct waited_file *waited = CONTAINER_OF(file, struct waited_file, file);
    waited->result = result;
    waited->is_done = true;
}

int64_t small_file_replace_wait(struct io *io, const char *path, struct slice bytes)
{
    struct waited_file waited = {.file.done = on_waited};
    small_file_replace(&waited.file, io, path, bytes);
    while (!waited.is_done)
        io_run(io, UINT64_MAX);
    return waited.result;
}

/* Reads to the end of the file; a short read is not yet the end. */
static int64_t read_whole(struct io *io, int32_t handle, uint8_t *buffer, size_t capacity)
{
    size_t size = 0;
    for (;;) {
        uint8_t beyond = 0;
        const bool is_full = size == capacity;
        struct io_op op = {
            .kind = IO_READ,
            .handle = handle,
            .read = {.data = is_full ? &beyond : buffer + size,
                     .size = is_full ? 1 : capacity - size,
                     .offset = size},
        };
        const int64_t result = io_wait(io, &op);
        if (result <= 0)
            return result < 0 ? result : (int64_t)size;
        if (is_full)
            return -EFBIG;
        size += (size_t)result;
    }
}

int64_t small_file_read_wait(struct io *io, const char *path, void *buffer, size_t capacity)
{
    struct io_op op = {
        .kind = IO_OPEN, .handle = io_handle_none, .path = {.path = path, .flags = IO_OPEN_READ}};
    const int64_t handle = io_wait(io, &op);
    if (handle < 0)
        return handle;
    const int64_t size = read_whole(io, (int32_t)handle, buffer, capacity);
    op = (struct io_op){.kind = IO_CLOSE, .handle = (int32_t)handle};
    const int64_t closed = io_wait(io, &op);
    (void)closed; /* It was only read. */
    return size;
}

int64_t small_file_sync_directory_wait(struct io *io, const char *path)
{
    struct io_op op = {.kind = IO_OPEN,
                       .handle = io_handle_none,
                       .path = {.path = path, .flags = IO_OPEN_READ | IO_OPEN_DIRECTORY}};
    const int64_t handle = io_wait(io, &op);
    if (handle < 0)
        return handle;
    op = (struct io_op){.kind = IO_SYNC, .handle = (int32_t)handle};
    const int64_t synced = io_wait(io, &op);
    op = (struct io_op){.kind = IO_CLOSE, .handle = (int32_t)handle};
    const int64_t closed = io_wait(io, &op);
    return synced < 0 ? synced : closed;
}

int64_t small_file_make_directory_wait(struct io *io, const char *path)
{
    char above[small_file_path_bytes_max];
    const char *name = strrchr(path, '/');
    const size_t above_size = name == NULL ? 0 : (size_t)(name - path);
    assert(strlen(path) < sizeof above);
    snprintf(above, sizeof above, "%.*s", (int)above_size, path);
    if (name == NULL)
        snprintf(above, sizeof above, ".");
    else if (name == path)
        snprintf(above, sizeof above, "/");

    struct io_op op = {.kind = IO_MKDIR, .handle = io_handle_none};
    op.path.path = path;
    const int64_t made = io_wait(io, &op);
    if (made < 0 && made != -EEXIST)
        return made;
    /* Also if it existed: a crash may have come between its making and its sync. */
    return small_file_sync_directory_wait(io, above);
}
