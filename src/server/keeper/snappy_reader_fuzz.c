/* Any bytes as a packed snapshot, in pieces and rooms whose sizes the first two bytes tell. */
#include "server/keeper/snappy_reader.h"

#include "base/assert.h"
#include "base/macros.h"

enum { out_bytes = 4096, memory_bytes = 16 << 20, unpacked_bytes_max = 64 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t out[out_bytes];

static enum err read_piece(struct snappy_reader *reader, struct slice piece, size_t room,
                           size_t *total)
{
    enum err err = ERR_OK;
    size_t made = 1;
    while (err == ERR_OK && (piece.size > 0 || made > 0) && *total < unpacked_bytes_max) {
        const size_t before = piece.size;
        err = snappy_reader_next(reader, &piece, out, room, &made);
        assert(made <= room);
        assert(err != ERR_OK || made > 0 || piece.size < before || piece.size == 0);
        *total += made;
    }
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct heap heap;
    struct snappy_reader reader;
    size_t total = 0;
    heap_init(&heap, (struct heap_options){.limit_bytes = memory_bytes, .tracked = true});
    snappy_reader_init(&reader, &heap);
    enum err err = ERR_OK;
    const size_t piece_size = (size_t)data[0] + 1;
    const size_t room = ((size_t)data[1] + 1) * 16;
    for (size_t at = 2; at < size && err == ERR_OK; at += piece_size)
        err =
            read_piece(&reader, slice_of(data + at, min_size(piece_size, size - at)), room, &total);
    snappy_reader_deinit(&reader);
    assert(heap.block_count == 0);
    heap_deinit(&heap);
    return 0;
}
