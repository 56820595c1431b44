#include "server/keeper/snappy_reader.h"

#include "base/bytes.h"
#include "base/macros.h"
#include "server/keeper/snapshot_packer.h"

#include <snappy-c.h>

void snappy_reader_init(struct snappy_reader *reader, struct heap *heap)
{
    *reader = (struct snappy_reader){.heap = heap, .wanted = snappy_head_bytes};
}

void snappy_reader_deinit(struct snappy_reader *reader)
{
    heap_give(reader->heap, reader->packed.bytes);
    heap_give(reader->heap, reader->block.bytes);
    reader->packed = reader->block = (struct snappy_buffer){0};
}

bool snappy_reader_may_end(const struct snappy_reader *reader)
{
    return reader->has_head && !reader->is_block && reader->packed.size == 0 &&
           reader->block_at == reader->block.size;
}

/* Makes room for capacity bytes, of which the first ones stay. */
static enum err reserve(struct snappy_reader *reader, struct snappy_buffer *buffer, size_t capacity)
{
    if (capacity <= buffer->capacity)
        return ERR_OK;
    uint8_t *bytes = heap_take(reader->heap, capacity);
    if (bytes == NULL)
        return ERR_NO_MEMORY;
    if (buffer->size > 0)
        memcpy(bytes, buffer->bytes, buffer->size);
    heap_give(reader->heap, buffer->bytes);
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return ERR_OK;
}

/* Waits for what comes next, of so many bytes. */
static void await(struct snappy_reader *reader, size_t wanted, bool is_block)
{
    reader->packed.size = 0;
    reader->wanted = wanted;
    reader->is_block = is_block;
}

static enum err take_head(struct snappy_reader *reader)
{
    /* The version is not looked at, but the one it is compatible with. */
    const uint8_t *head = reader->packed.bytes;
    if (memcmp(head, snappy_head, 8) != 0 || load_u32(head + 12) > 1)
        return ERR_CORRUPT;
    reader->has_head = true;
    await(reader, snappy_length_bytes, false);
    return ERR_OK;
}

static enum err take_length(struct snappy_reader *reader)
{
    const uint32_t size = load_u32(reader->packed.bytes);
    if (size == 0 || size > snappy_max_compressed_length(snappy_reader_block_bytes_max))
        return ERR_CORRUPT;
    await(reader, size, true);
    return ERR_OK;
}

static enum err take_block(struct snappy_reader *reader)
{
    const char *packed = (const char *)reader->packed.bytes;
    size_t size;
    if (snappy_uncompressed_length(packed, reader->packed.size, &size) != SNAPPY_OK ||
        size > snappy_reader_block_bytes_max)
        return ERR_CORRUPT;
    reader->block.size = 0;
    reader->block_at = 0;
    const enum err err = reserve(reader, &reader->block, size);
    if (err != ERR_OK)
        return err;
    if (size > 0 && snappy_uncompress(packed, reader->packed.size, (char *)reader->block.bytes,
                                      &size) != SNAPPY_OK)
        return ERR_CORRUPT;
    reader->block.size = size;
    await(reader, snappy_length_bytes, false);
    return ERR_OK;
}

/* Gathers bytes of input until what is awaited is there. */
static enum err gather(struct snappy_reader *reader, struct slice *input)
{
    struct snappy_buffer *packed = &reader->packed;
    const size_t taken = min_size(input->size, reader->wanted - packed->size);
    /* Grows with what has come, not with what a length promises. */
    const enum err err =
        reserve(reader, packed, min_size(reader->wanted, 2 * (packed->size + taken)));
    if (err != ERR_OK)
        return err;
    if (taken > 0)
        memcpy(packed->bytes + packed->size, input->data, taken);
    packed->size += taken;
    *input = slice_skip(*input, taken);
    if (packed->size < reader->wanted)
        return ERR_OK;
    if (!reader->has_head)
        return take_head(reader);
    return reader->is_block ? take_block(reader) : take_length(reader);
}

enum err snappy_reader_next(struct snappy_reader *reader, struct slice *input, uint8_t *out,
                            size_t capacity, size_t *size)
{
    *size = 0;
    enum err err = ERR_OK;
    while (err == ERR_OK) {
        const size_t ready = min_size(reader->block.size - reader->block_at, capacity - *size);
        if (ready > 0)
            memcpy(out + *size, reader->block.bytes + reader->block_at, ready);
        *size += ready;
        reader->block_at += ready;
        if (reader->block_at < reader->block.size || input->size == 0)
            break;
        err = gather(reader, input);
    }
    return err;
}
