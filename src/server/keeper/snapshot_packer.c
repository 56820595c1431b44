#include "server/keeper/snapshot_packer.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/macros.h"

#include <snappy-c.h>
#include <zlib.h>

enum { window_bits = 15, gzip_only = 16, memory_level = 8 };

const uint8_t snappy_head[snappy_head_bytes] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
                                                0,    0,   0,   1,   0,   0,   0,   1};

static void *take(void *heap, unsigned count, unsigned size)
{
    return heap_take(heap, (size_t)count * size);
}

static void give(void *heap, void *block)
{
    heap_give(heap, block);
}

enum err snapshot_packer_init(struct snapshot_packer *packer, struct heap *heap,
                              enum recovery_compression method)
{
    *packer = (struct snapshot_packer){.method = method, .heap = heap};
    switch (method) {
    case RECOVERY_PLAIN: packer->is_open = true; break;
    case RECOVERY_GZIP:
        packer->stream = heap_take(heap, sizeof *packer->stream);
        if (packer->stream == NULL)
            break;
        *packer->stream = (z_stream){.zalloc = take, .zfree = give, .opaque = heap};
        packer->is_open =
            deflateInit2(packer->stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, window_bits + gzip_only,
                         memory_level, Z_DEFAULT_STRATEGY) == Z_OK;
        break;
    case RECOVERY_SNAPPY:
        packer->block = heap_take(heap, snapshot_packer_block_bytes);
        packer->is_open = packer->block != NULL;
        break;
    }
    return packer->is_open ? ERR_OK : ERR_NO_MEMORY;
}

void snapshot_packer_deinit(struct snapshot_packer *packer)
{
    if (packer->heap == NULL)
        return;
    if (packer->is_open && packer->method == RECOVERY_GZIP)
        (void)deflateEnd(packer->stream);
    heap_give(packer->heap, packer->stream);
    heap_give(packer->heap, packer->block);
    packer->stream = NULL;
    packer->block = NULL;
    packer->is_open = false;
}

size_t snapshot_packer_bytes_min(void)
{
    return snappy_head_bytes + snappy_length_bytes +
           snappy_max_compressed_length(snapshot_packer_block_bytes);
}

static void pack_gzip(struct snapshot_packer *packer, struct slice *input, bool is_last,
                      uint8_t *out, size_t capacity, size_t *size)
{
    z_stream *stream = packer->stream;
    stream->next_in = (Bytef *)(uintptr_t)input->data; /* zlib does not write there. */
    stream->avail_in = (uInt)input->size;
    stream->next_out = out;
    stream->avail_out = (uInt)capacity;
    const int result = deflate(stream, is_last ? Z_FINISH : Z_NO_FLUSH);
    assert(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR);
    *input = slice_skip(*input, input->size - stream->avail_in);
    *size = capacity - stream->avail_out;
    packer->is_done = result == Z_STREAM_END;
}

/* The waiting bytes as a block behind out, which has room. */
static size_t put_block(struct snapshot_packer *packer, uint8_t *out, size_t room)
{
    size_t packed = room - snappy_length_bytes;
    const snappy_status status = snappy_compress((const char *)packer->block, packer->block_size,
                                                 (char *)out + snappy_length_bytes, &packed);
    assert(status == SNAPPY_OK);
    store_u32(out, (uint32_t)packed);
    packer->block_size = 0;
    return snappy_length_bytes + packed;
}

static void pack_snappy(struct snapshot_packer *packer, struct slice *input, bool is_last,
                        uint8_t *out, size_t capacity, size_t *size)
{
    const size_t block_room =
        snappy_length_bytes + snappy_max_compressed_length(snapshot_packer_block_bytes);
    size_t used = 0;
    if (!packer->has_begun) {
        memcpy(out, snappy_head, snappy_head_bytes);
        used = snappy_head_bytes;
        packer->has_begun = true;
    }
    while (capacity - used >= block_room) {
        const size_t taken =
            min_size(input->size, snapshot_packer_block_bytes - packer->block_size);
        if (taken > 0)
            memcpy(packer->block + packer->block_size, input->data, taken);
        packer->block_size += taken;
        *input = slice_skip(*input, taken);
        const bool is_end = is_last && input->size == 0;
        if (packer->block_size < snapshot_packer_block_bytes && !is_end)
            break;
        if (packer->block_size > 0)
            used += put_block(packer, out + used, capacity - used);
        packer->is_done = is_end;
        if (is_end)
            break;
    }
    *size = used;
}

void snapshot_packer_next(struct snapshot_packer *packer, struct slice *input, bool is_last,
                          uint8_t *out, size_t capacity, size_t *size)
{
    assert(packer->is_open && !packer->is_done && capacity >= snapshot_packer_bytes_min());
    assert(input->size <= UINT32_MAX && capacity <= UINT32_MAX);
    switch (packer->method) {
    case RECOVERY_GZIP: pack_gzip(packer, input, is_last, out, capacity, size); return;
    case RECOVERY_SNAPPY: pack_snappy(packer, input, is_last, out, capacity, size); return;
    case RECOVERY_PLAIN: break;
    }
    *size = min_size(input->size, capacity);
    if (*size > 0)
        memcpy(out, input->data, *size);
    *input = slice_skip(*input, *size);
    packer->is_done = is_last && input->size == 0;
}
