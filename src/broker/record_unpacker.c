#define LZ4F_STATIC_LINKING_ONLY /* For memory from a heap of ours. */
#define ZSTD_STATIC_LINKING_ONLY
#include "broker/record_unpacker.h"

#include "base/bytes.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
    gzip_window_bits = 15 + 16,    /* Only gzip's own header, not zlib's. */
    zstd_window_log_max = 27,      /* What Java's library takes. */
    zstd_idle_bytes_max = 4 << 20, /* Levels up to 9 need less. */
    snappy_header_bytes = 16,      /* A magic number and two versions. */
    snappy_ratio_max = 22,         /* 64 bytes of output take three bytes at least. */
};

static const uint8_t snappy_magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

/* ---- memory ---- */

static void *take(void *heap, size_t size)
{
    return heap_take(heap, size);
}

static void *take_zeroed(void *heap, size_t size)
{
    return heap_take_zeroed(heap, size);
}

static void give(void *heap, void *block)
{
    heap_give(heap, block);
}

static void *take_array(void *heap, unsigned count, unsigned size)
{
    return heap_take(heap, (size_t)count * size);
}

/* ---- the start and the end ---- */

static enum err init_gzip(struct record_unpacker *unpacker)
{
    z_stream *stream = heap_take(unpacker->heap, sizeof *stream);
    if (stream == NULL)
        return ERR_NO_MEMORY;
    *stream = (z_stream){.zalloc = take_array, .zfree = give, .opaque = unpacker->heap};
    if (inflateInit2(stream, gzip_window_bits) != Z_OK) {
        heap_give(unpacker->heap, stream);
        return ERR_NO_MEMORY;
    }
    unpacker->state = stream;
    return ERR_OK;
}

static enum err init_lz4(struct record_unpacker *unpacker)
{
    const LZ4F_CustomMem memory = {.customAlloc = take,
                                   .customCalloc = take_zeroed,
                                   .customFree = give,
                                   .opaqueState = unpacker->heap};
    unpacker->state = LZ4F_createDecompressionContext_advanced(memory, LZ4F_VERSION);
    return unpacker->state == NULL ? ERR_NO_MEMORY : ERR_OK;
}

static enum err init_zstd(struct record_unpacker *unpacker)
{
    const ZSTD_customMem memory = {
        .customAlloc = take, .customFree = give, .opaque = unpacker->heap};
    unpacker->state = ZSTD_createDCtx_advanced(memory);
    if (unpacker->state == NULL)
        return ERR_NO_MEMORY;
    const size_t result =
        ZSTD_DCtx_setParameter(unpacker->state, ZSTD_d_windowLogMax, zstd_window_log_max);
    assert(!ZSTD_isError(result));
    return ERR_OK;
}

static enum err init_snappy(struct record_unpacker *unpacker)
{
    const struct slice input = unpacker->input;
    unpacker->is_framed = input.size >= snappy_header_bytes &&
                          memcmp(input.data, snappy_magic, sizeof snappy_magic) == 0;
    if (unpacker->is_framed)
        unpacker->input = slice_skip(input, snappy_header_bytes);
    return ERR_OK;
}

static void free_state(struct heap *heap, enum record_codec codec, void *state)
{
    if (state == NULL)
        return;
    if (codec == CODEC_GZIP) {
        (void)inflateEnd(state);
        heap_give(heap, state);
    } else if (codec == CODEC_LZ4) {
        (void)LZ4F_freeDecompressionContext(state);
    } else if (codec == CODEC_ZSTD) {
        (void)ZSTD_freeDCtx(state);
    }
}

void record_unpacker_idle_deinit(struct record_unpacker_idle *idle, struct heap *heap)
{
    for (int codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
        free_state(heap, (enum record_codec)codec, idle->states[codec]);
        idle->states[codec] = NULL;
    }
}

/* One that was used before begins anew. */
static bool take_idle(struct record_unpacker *unpacker)
{
    const enum record_codec codec = unpacker->codec;
    if (unpacker->idle == NULL || unpacker->idle->states[codec] == NULL)
        return false;
    unpacker->state = unpacker->idle->states[codec];
    unpacker->idle->states[codec] = NULL;
    if (codec == CODEC_GZIP) {
        const int result = inflateReset(unpacker->state);
        assert(result == Z_OK);
    } else if (codec == CODEC_LZ4) {
        LZ4F_resetDecompressionContext(unpacker->state);
    } else {
        const size_t result = ZSTD_DCtx_reset(unpacker->state, ZSTD_reset_session_only);
        assert(!ZSTD_isError(result));
    }
    return true;
}

/* A window that only one batch in many needs is given back. */
static bool is_worth_keeping(const struct record_unpacker *unpacker)
{
    return unpacker->codec != CODEC_ZSTD ||
           ZSTD_sizeof_DCtx(unpacker->state) <= zstd_idle_bytes_max;
}

enum err record_unpacker_init(struct record_unpacker *unpacker, struct heap *heap,
                              struct record_unpacker_idle *idle, enum record_codec codec,
                              struct slice input)
{
    *unpacker =
        (struct record_unpacker){.heap = heap, .idle = idle, .codec = codec, .input = input};
    switch (codec) {
    case CODEC_GZIP: return take_idle(unpacker) ? ERR_OK : init_gzip(unpacker);
    case CODEC_SNAPPY: return init_snappy(unpacker);
    case CODEC_LZ4: return take_idle(unpacker) ? ERR_OK : init_lz4(unpacker);
    case CODEC_ZSTD: return take_idle(unpacker) ? ERR_OK : init_zstd(unpacker);
    case CODEC_NONE: break;
    }
    return ERR_UNSUPPORTED;
}

void record_unpacker_deinit(struct record_unpacker *unpacker)
{
    struct record_unpacker_idle *idle = unpacker->idle;
    if (unpacker->state != NULL && idle != NULL && idle->states[unpacker->codec] == NULL &&
        is_worth_keeping(unpacker))
        idle->states[unpacker->codec] = unpacker->state;
    else
        free_state(unpacker->heap, unpacker->codec, unpacker->state);
    heap_give_reusable(unpacker->heap, unpacker->block);
    unpacker->state = NULL;
    unpacker->block = NULL;
}

/* ---- a piece: each moves input on and says how much came out ---- */

/* Java takes what follows a stream for another one if it looks like one, and ignores it otherwise.
 */
static void end_gzip_stream(struct record_unpacker *unpacker)
{
    const struct slice rest = unpacker->input;
    unpacker->is_done = rest.size < 2 || rest.data[0] != 0x1f || rest.data[1] != 0x8b ||
                        inflateReset(unpacker->state) != Z_OK;
}

static enum err next_gzip(struct record_unpacker *unpacker, struct slice out, size_t *size)
{
    z_stream *stream = unpacker->state;
    stream->next_in = (Bytef *)(uintptr_t)unpacker->input.data; /* zlib does not write there. */
    stream->avail_in = (uInt)unpacker->input.size;
    stream->next_out = (Bytef *)(uintptr_t)out.data;
    stream->avail_out = (uInt)out.size;
    const int result = inflate(stream, Z_NO_FLUSH);
    unpacker->input = slice_skip(unpacker->input, unpacker->input.size - stream->avail_in);
    *size = out.size - stream->avail_out;
    if (result == Z_STREAM_END)
        end_gzip_stream(unpacker);
    if (result == Z_MEM_ERROR)
        return ERR_NO_MEMORY;
    return result == Z_OK || result == Z_STREAM_END ? ERR_OK : ERR_MALFORMED;
}

static enum err next_lz4(struct record_unpacker *unpacker, struct slice out, size_t *size)
{
    size_t taken = unpacker->input.size;
    *size = out.size;
    const size_t result = LZ4F_decompress(unpacker->state, (void *)(uintptr_t)out.data, size,
                                          unpacker->input.data, &taken, NULL);
    if (LZ4F_isError(result))
        return LZ4F_getErrorCode(result) == LZ4F_ERROR_allocation_failed ? ERR_NO_MEMORY
                                                                         : ERR_MALFORMED;
    unpacker->is_done = result == 0;
    const bool is_stuck = taken == 0 && *size == 0 && result != 0;
    unpacker->input = slice_skip(unpacker->input, taken);
    return is_stuck ? ERR_MALFORMED : ERR_OK;
}

static enum err next_zstd(struct record_unpacker *unpacker, struct slice out, size_t *size)
{
    ZSTD_inBuffer in = {.src = unpacker->input.data, .size = unpacker->input.size};
    ZSTD_outBuffer to = {.dst = (void *)(uintptr_t)out.data, .size = out.size};
    const size_t result = ZSTD_decompressStream(unpacker->state, &to, &in);
    if (ZSTD_isError(result))
        return ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation ? ERR_NO_MEMORY
                                                                         : ERR_MALFORMED;
    *size = to.pos;
    unpacker->input = slice_skip(unpacker->input, in.pos);
    unpacker->is_done = result == 0 && unpacker->input.size == 0;
    const bool is_stuck = in.pos == 0 && to.pos == 0 && !unpacker->is_done;
    return is_stuck ? ERR_MALFORMED : ERR_OK;
}

static enum err unpack_snappy_block(struct record_unpacker *unpacker, struct slice packed)
{
    const char *data = (const char *)packed.data;
    size_t size;
    if (snappy_uncompressed_length(data, packed.size, &size) != SNAPPY_OK ||
        size / snappy_ratio_max > packed.size)
        return ERR_MALFORMED;
    if (size > unpacker->block_capacity) {
        heap_give_reusable(unpacker->heap, unpacker->block);
        unpacker->block = heap_take_reusable(unpacker->heap, size);
        unpacker->block_capacity = unpacker->block == NULL ? 0 : size;
        if (unpacker->block == NULL)
            return ERR_NO_MEMORY;
    }
    if (size > 0 &&
        snappy_uncompress(data, packed.size, (char *)unpacker->block, &size) != SNAPPY_OK)
        return ERR_MALFORMED;
    unpacker->rest = slice_of(unpacker->block, size);
    return ERR_OK;
}

static enum err next_snappy_block(struct record_unpacker *unpacker)
{
    struct slice packed = unpacker->input;
    if (unpacker->is_framed) {
        if (packed.size < 4)
            return ERR_MALFORMED;
        const uint32_t size = load_u32(packed.data);
        packed = slice_skip(packed, 4);
        if (size > packed.size)
            return ERR_MALFORMED;
        packed.size = size;
    }
    const uint8_t *end = packed.data + packed.size;
    unpacker->input = slice_skip(unpacker->input, (size_t)(end - unpacker->input.data));
    return unpack_snappy_block(unpacker, packed);
}

static enum err next_snappy(struct record_unpacker *unpacker, struct slice out, size_t *size)
{
    if (unpacker->rest.size == 0) {
        const enum err err = next_snappy_block(unpacker);
        if (err != ERR_OK)
            return err;
    }
    *size = min_size(unpacker->rest.size, out.size);
    if (*size > 0) { /* There are empty blocks. */
        memcpy((uint8_t *)(uintptr_t)out.data, unpacker->rest.data, *size);
        unpacker->rest = slice_skip(unpacker->rest, *size);
    }
    unpacker->is_done = unpacker->rest.size == 0 && unpacker->input.size == 0;
    return ERR_OK;
}

static enum err next_piece(struct record_unpacker *unpacker, struct slice out, size_t *size)
{
    switch (unpacker->codec) {
    case CODEC_GZIP: return next_gzip(unpacker, out, size);
    case CODEC_SNAPPY: return next_snappy(unpacker, out, size);
    case CODEC_LZ4: return next_lz4(unpacker, out, size);
    case CODEC_ZSTD: return next_zstd(unpacker, out, size);
    case CODEC_NONE: break;
    }
    return ERR_UNSUPPORTED;
}

enum err record_unpacker_next(struct record_unpacker *unpacker, uint8_t *out, size_t capacity,
                              size_t *size)
{
    assert(capacity > 0 && capacity <= UINT32_MAX && unpacker->input.size <= UINT32_MAX);
    *size = 0;
    while (!unpacker->is_done && *size == 0) {
        const enum err err = next_piece(unpacker, slice_of(out, capacity), size);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}
