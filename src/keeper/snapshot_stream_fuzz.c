/* Any bytes as the stream of a snapshot that a leader sends, in pieces whose size the first byte
 * tells. The second byte says whether the end of the znodes is put behind them. */
#include "base/assert.h"
#include "keeper/snapshot_reader.h"
#include "keeper/snapshot_writer.h"

enum { arena_bytes = 1 << 20, file_bytes_max = 1 << 16, end_bytes = 5 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(16) uint8_t memory[arena_bytes];
static uint8_t file[file_bytes_max];

static size_t make_file(struct slice input, bool ends)
{
    size_t size = min_size(input.size, file_bytes_max - end_bytes);
    memcpy(file, input.data, size);
    if (ends)
        memcpy(file + size, "\0\0\0\1/", end_bytes);
    return ends ? size + end_bytes : size;
}

static enum err read_file(struct snapshot_reader *reader, size_t size, size_t piece_size)
{
    size_t used = 0;
    for (size_t at = 0; at < size && !snapshot_reader_is_at_end(reader); at += used) {
        const struct slice piece = slice_of(file + at, min_size(piece_size, size - at));
        const enum err err = snapshot_reader_feed_stream(reader, piece, &used);
        if (err != ERR_OK)
            return err;
        assert(used == piece.size || (used < piece.size && snapshot_reader_is_at_end(reader)));
    }
    return snapshot_reader_finish(reader);
}

/* What was read can be written. */
static void write_again(struct keeper *keeper)
{
    static uint8_t slice[snapshot_slice_bytes_min];
    struct snapshot_writer writer;
    enum err err = snapshot_writer_init(&writer, keeper);
    assert(err == ERR_OK);
    size_t size = 1;
    while (err == ERR_OK && size > 0)
        err = snapshot_writer_next(&writer, slice, sizeof slice, &size);
    assert(err == ERR_OK);
    snapshot_writer_deinit(&writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const size_t file_size = make_file(slice_of(data + 2, size - 2), data[1] % 2 == 0);
    struct heap heap;
    heap_init(&heap, (struct heap_options){.limit_bytes = 64 << 20});
    struct arena arena;
    arena_init(&arena, memory, sizeof memory);
    struct keeper keeper;
    enum err err =
        keeper_init(&keeper, &heap,
                    (struct keeper_options){
                        .memory_bytes_max = 1 << 20, .tick_ms = 2000, .record_bytes_max = 1 << 20},
                    0);
    assert(err == ERR_OK);
    struct snapshot_reader reader;
    snapshot_reader_init_stream(&reader, &keeper, &arena, 77, 0);
    err = read_file(&reader, file_size, (size_t)data[0] + 1);
    assert(err == ERR_OK || reader.reason != NULL);
    snapshot_reader_deinit(&reader);
    keeper_start(&keeper, 0, 0);
    if (err == ERR_OK)
        write_again(&keeper);
    keeper_deinit(&keeper);
    assert(heap.block_count == 0);
    return 0;
}
