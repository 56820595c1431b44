/* Any bytes as the stream of a snapshot that a leader sends, with or without the end of the znodes
 * behind them. */
#include "test/snapshot_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t make_file(struct slice input, bool ends, uint8_t *file)
{
    const size_t size = min_size(input.size, snapshot_fuzz_bytes_max - snapshot_fuzz_end_bytes);
    memcpy(file, input.data, size);
    if (ends)
        memcpy(file + size, snapshot_fuzz_end, snapshot_fuzz_end_bytes);
    return ends ? size + snapshot_fuzz_end_bytes : size;
}

static enum err read_file(struct snapshot_reader *reader, struct slice file, size_t piece_size)
{
    size_t used = 0;
    for (size_t at = 0; at < file.size && !snapshot_reader_is_at_end(reader); at += used) {
        const struct slice piece = slice_of(file.data + at, min_size(piece_size, file.size - at));
        const enum err err = snapshot_reader_feed_stream(reader, piece, &used);
        if (err != ERR_OK)
            return err;
        assert(used == piece.size || (used < piece.size && snapshot_reader_is_at_end(reader)));
    }
    return snapshot_reader_finish(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct snapshot_fuzz fuzz = {snapshot_reader_init_stream, make_file, read_file};
    snapshot_fuzz_play(&fuzz, slice_of(data, size));
    return 0;
}
