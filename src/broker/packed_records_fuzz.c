/* Any bytes as the records of a batch: compressed by each codec, and plain, where the outlines must
 * agree with record_walk however the bytes are cut into pieces.
 *
 *   input: codec u8 | record count u8 | piece size u8 | records
 */
#include "broker/packed_records.h"

#include "base/bytes.h"

enum { bytes_max = 1 << 20, heap_bytes = 256 << 20, prefix_bytes = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct heap heap;
static struct record_unpacker_idle idle; /* States that any bytes went through. */

static void unpack(const struct record_batch *batch, struct slice bytes)
{
    struct packed_records packed;
    struct record_outline record;
    enum err err = packed_records_open(
        &packed, batch, bytes,
        (struct packed_records_options){.heap = &heap, .idle = &idle, .bytes_max = bytes_max});
    int32_t count = 0;
    while (err == ERR_OK || err == ERR_BUSY) {
        if (packed_records_next(&packed, &record, &err))
            count++;
        else if (err != ERR_BUSY)
            break;
    }
    assert(err != ERR_OK || count == batch->record_count);
    packed_records_close(&packed);
    assert(heap.block_count <= 12);
}

static void compare(const struct record_batch *batch, struct slice bytes, size_t piece_size)
{
    struct record_outliner outliner;
    struct record_outline outline;
    struct record_walk walk;
    struct record record;
    enum err err;
    enum err walk_err;
    struct slice rest = slice_skip(bytes, record_batch_header_bytes);
    struct slice piece = slice_of(rest.data, 0);
    record_outliner_init(&outliner, batch);
    record_walk_init(&walk, batch, bytes);
    for (;;) {
        while (!record_outliner_next(&outliner, &piece, &outline, &err)) {
            const bool is_over = err != ERR_OK || rest.size == 0;
            if (is_over) {
                assert(!record_walk_next(&walk, &record, &walk_err));
                assert((walk_err == ERR_OK) ==
                       (err == ERR_OK && record_outliner_is_complete(&outliner)));
                return;
            }
            piece = slice_of(rest.data, min_size(rest.size, piece_size));
            rest = slice_skip(rest, piece.size);
        }
        const bool is_there = record_walk_next(&walk, &record, &walk_err);
        assert(is_there && record.offset == outline.offset &&
               record.timestamp_ms == outline.timestamp_ms &&
               outline.has_key == !slice_is_null(record.key));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[record_batch_header_bytes + (1 << 16)];
    if (size < prefix_bytes || size - prefix_bytes > 1 << 16)
        return 0;
    if (heap.limit_bytes == 0)
        heap_init(&heap, (struct heap_options){.limit_bytes = heap_bytes});
    const size_t whole = record_batch_header_bytes + size - prefix_bytes;
    memcpy(bytes + record_batch_header_bytes, data + prefix_bytes, size - prefix_bytes);
    const struct record_batch batch = {
        .size = (uint32_t)whole,
        .magic = record_batch_magic,
        .attributes = data[0] % 5,
        .record_count = data[1],
        .last_offset_delta = data[1] - 1,
    };
    if (record_batch_codec(&batch) == CODEC_NONE)
        compare(&batch, slice_of(bytes, whole), (size_t)data[2] + 1);
    else
        unpack(&batch, slice_of(bytes, whole));
    return 0;
}
