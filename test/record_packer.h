/* Compresses the records of a batch, as producers do: for tests. */
#ifndef TEST_RECORD_PACKER_H
#define TEST_RECORD_PACKER_H

#include "base/bytes.h"
#include "base/checksum.h"
#include "broker/record_batch.h"

#include <assert.h>
#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

enum { record_packer_snappy_block_bytes = 32 * 1024 };

static inline size_t record_packer_gzip(struct slice from, uint8_t *to, size_t capacity)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)from.data,
                       .avail_in = (uInt)from.size,
                       .next_out = to,
                       .avail_out = (uInt)capacity};
    int result = deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    assert(result == Z_OK);
    result = deflate(&stream, Z_FINISH);
    assert(result == Z_STREAM_END);
    (void)result;
    deflateEnd(&stream);
    return capacity - stream.avail_out;
}

/* As Java's library frames them. */
static inline size_t record_packer_snappy(struct slice from, uint8_t *to, size_t capacity)
{
    static const uint8_t header[16] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
                                       0,    0,   0,   1,   0,   0,   0,   1};
    memcpy(to, header, sizeof header);
    size_t used = sizeof header;
    while (from.size > 0) {
        const size_t piece = min_size(from.size, record_packer_snappy_block_bytes);
        size_t size = capacity - used - 4;
        const snappy_status status =
            snappy_compress((const char *)from.data, piece, (char *)to + used + 4, &size);
        assert(status == SNAPPY_OK);
        (void)status;
        store_u32(to + used, (uint32_t)size);
        used += 4 + size;
        from = slice_skip(from, piece);
    }
    return used;
}

static inline size_t record_packer_bytes(enum record_codec codec, struct slice from, uint8_t *to,
                                         size_t capacity)
{
    if (codec == CODEC_GZIP)
        return record_packer_gzip(from, to, capacity);
    if (codec == CODEC_SNAPPY)
        return record_packer_snappy(from, to, capacity);
    const size_t size = codec == CODEC_LZ4
                            ? LZ4F_compressFrame(to, capacity, from.data, from.size, NULL)
                            : ZSTD_compress(to, capacity, from.data, from.size, 3);
    assert(codec == CODEC_LZ4 ? !LZ4F_isError(size) : !ZSTD_isError(size));
    return size;
}

/* The same batch, of magic 2, with its records compressed, in `to`. */
static inline struct slice record_packer_pack(enum record_codec codec, struct slice batch,
                                              uint8_t *to, size_t capacity)
{
    enum { head = record_batch_header_bytes };
    memcpy(to, batch.data, head);
    const size_t size =
        head + record_packer_bytes(codec, slice_skip(batch, head), to + head, capacity - head);
    store_u32(to + record_batch_length_at, (uint32_t)size - record_batch_prefix_bytes);
    to[22] = (uint8_t)(to[22] | codec);
    store_u32(to + 17, checksum_crc32c(0, slice_of(to + 21, size - 21)));
    return slice_of(to, size);
}

#endif
