#include "journal/journal_rewrite.h"

#include "base/slice.h"

static int64_t wait_handle(struct io *io, enum io_kind kind, int32_t handle)
{
    struct io_op op = {.kind = kind, .handle = handle};
    return io_wait(io, &op);
}

/* A read may be short before the file ends. */
static int64_t read_piece(struct io *io, int32_t handle, uint64_t offset, uint8_t *buffer,
                          size_t capacity)
{
    size_t size = 0;
    while (size < capacity) {
        struct io_op op = {.kind = IO_READ, .handle = handle};
        op.read.data = buffer + size;
        op.read.size = capacity - size;
        op.read.offset = offset + size;
        const int64_t result = io_wait(io, &op);
        if (result < 0)
            return result;
        if (result == 0)
            break;
        size += (size_t)result;
    }
    return (int64_t)size;
}

static int64_t write_piece(struct io *io, int32_t handle, uint64_t offset, uint8_t *bytes,
                           size_t size)
{
    struct iovec vector = {bytes, size};
    struct io_op op = {.kind = IO_WRITE, .handle = handle};
    op.write.vectors = &vector;
    op.write.vector_count = 1;
    op.write.offset = offset;
    return io_wait(io, &op);
}

static int64_t rewrite(struct io *io, int32_t handle, uint64_t offset, uint8_t *buffer,
                       size_t capacity, uint64_t *written)
{
    for (;;) {
        const int64_t size = read_piece(io, handle, offset, buffer, capacity);
        if (size <= 0)
            return size;
        if (!slice_is_zero(slice_of(buffer, (size_t)size))) {
            const int64_t result = write_piece(io, handle, offset, buffer, (size_t)size);
            if (result < 0)
                return result;
            *written += (uint64_t)size;
        }
        offset += (uint64_t)size;
    }
}

static enum err rewrite_file(struct io *io, const char *path, uint64_t offset, void *buffer,
                             size_t capacity, uint64_t *written, bool is_synced)
{
    struct io_op open = {.kind = IO_OPEN, .handle = io_handle_none};
    open.path.path = path;
    open.path.flags = IO_OPEN_READ | IO_OPEN_WRITE;
    const int64_t handle = io_wait(io, &open);
    if (handle < 0)
        return err_from_errno((int)handle);
    int64_t result = rewrite(io, (int32_t)handle, offset, buffer, capacity, written);
    if (result >= 0 && is_synced)
        result = wait_handle(io, IO_SYNC, (int32_t)handle);
    const int64_t closed = wait_handle(io, IO_CLOSE, (int32_t)handle);
    if (result >= 0)
        result = closed;
    return result < 0 ? err_from_errno((int)result) : ERR_OK;
}

enum err journal_rewrite_wait(struct io *io, const char *path, uint64_t offset, void *buffer,
                              size_t capacity, uint64_t *size)
{
    uint64_t written = 0;
    const enum err err = rewrite_file(io, path, offset, buffer, capacity, &written, true);
    if (size != NULL)
        *size = written;
    return err;
}

enum err journal_rewrite_unsynced_wait(struct io *io, const char *path, uint64_t offset,
                                       void *buffer, size_t capacity)
{
    uint64_t written = 0;
    return rewrite_file(io, path, offset, buffer, capacity, &written, false);
}
