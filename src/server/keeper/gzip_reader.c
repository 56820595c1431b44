#include "server/keeper/gzip_reader.h"

#include "base/assert.h"
#include "base/macros.h"

enum { window_bits = 15, gzip_only = 16 };

static void *take(void *heap, unsigned count, unsigned size)
{
    return heap_take(heap, (size_t)count * size);
}

static void give(void *heap, void *block)
{
    heap_give(heap, block);
}

enum err gzip_reader_init(struct gzip_reader *reader, struct heap *heap)
{
    *reader = (struct gzip_reader){.stream = {.zalloc = take, .zfree = give, .opaque = heap}};
    reader->is_open = inflateInit2(&reader->stream, window_bits + gzip_only) == Z_OK;
    return reader->is_open ? ERR_OK : ERR_NO_MEMORY;
}

void gzip_reader_deinit(struct gzip_reader *reader)
{
    if (reader->is_open)
        (void)inflateEnd(&reader->stream);
    reader->is_open = false;
}

enum err gzip_reader_next(struct gzip_reader *reader, struct slice *input, uint8_t *out,
                          size_t capacity, size_t *size)
{
    assert(reader->is_open && input->size <= UINT32_MAX && capacity <= UINT32_MAX);
    z_stream *stream = &reader->stream;
    *size = 0;
    if (reader->is_done)
        return input->size == 0 ? ERR_OK : ERR_CORRUPT;
    stream->next_in = (Bytef *)(uintptr_t)input->data; /* zlib does not write there. */
    stream->avail_in = (uInt)input->size;
    stream->next_out = out;
    stream->avail_out = (uInt)capacity;
    const int result = inflate(stream, Z_NO_FLUSH);
    *input = slice_skip(*input, input->size - stream->avail_in);
    *size = capacity - stream->avail_out;
    reader->is_done = result == Z_STREAM_END;
    return result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR ? ERR_OK : ERR_CORRUPT;
}
