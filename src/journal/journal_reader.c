#include "journal/journal_reader.h"

#include <string.h>

enum err journal_reader_open_path(struct journal_reader *reader, struct io *io, const char *path,
                                  uint64_t offset, void *buffer, size_t capacity)
{
    assert(capacity > 0);
    *reader = (struct journal_reader){.io = io,
                                      .handle = io_handle_none,
                                      .buffer = buffer,
                                      .capacity = capacity,
                                      .offset = offset};
    struct io_op op = {
        .kind = IO_OPEN, .handle = io_handle_none, .path = {.path = path, .flags = IO_OPEN_READ}};
    const int64_t handle = io_wait(io, &op);
    if (handle < 0)
        return err_from_errno((int)handle);
    reader->handle = (int32_t)handle;
    return ERR_OK;
}

enum err journal_reader_open(struct journal_reader *reader, struct journal_segment *segment,
                             uint64_t offset, void *buffer, size_t capacity)
{
    return journal_reader_open_path(reader, segment->disk->io, segment->path, offset, buffer,
                                    capacity);
}

static enum err fill(struct journal_reader *reader)
{
    memmove(reader->buffer, reader->buffer + reader->begin, reader->end - reader->begin);
    reader->end -= reader->begin;
    reader->begin = 0;
    struct io_op op = {
        .kind = IO_READ,
        .handle = reader->handle,
        .read = {.data = reader->buffer + reader->end,
                 .size = reader->capacity - reader->end,
                 .offset = reader->offset + reader->end},
    };
    const int64_t size = io_wait(reader->io, &op);
    if (size < 0)
        return ERR_IO;
    reader->end += (size_t)size;
    reader->is_at_end = size == 0;
    return ERR_OK;
}

enum err journal_reader_peek(struct journal_reader *reader, size_t size, struct slice *bytes)
{
    if (size > reader->capacity)
        return ERR_LIMIT;
    while (reader->end - reader->begin < size && !reader->is_at_end) {
        const enum err err = fill(reader);
        if (err != ERR_OK)
            return err;
    }
    *bytes = slice_of(reader->buffer + reader->begin, min_size(size, reader->end - reader->begin));
    return ERR_OK;
}

void journal_reader_skip(struct journal_reader *reader, uint64_t size)
{
    const size_t buffered = reader->end - reader->begin;
    reader->offset += size;
    if (size <= buffered) {
        reader->begin += (size_t)size;
        return;
    }
    reader->begin = 0;
    reader->end = 0;
}

void journal_reader_close(struct journal_reader *reader)
{
    if (reader->handle == io_handle_none)
        return;
    struct io_op op = {.kind = IO_CLOSE, .handle = reader->handle};
    /* It was only read: closing it can lose nothing. */
    const int64_t result = io_wait(reader->io, &op);
    (void)result;
    reader->handle = io_handle_none;
}
