/* Any bytes as a snapshot, with or without a right seal behind them, which chance would never find.
 */
#include "test/snapshot_fuzz.h"

#include "base/bytes.h"
#include "base/checksum.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t make_file(struct slice input, bool ends, uint8_t *file)
{
    size_t size = min_size(input.size,
                           snapshot_fuzz_bytes_max - snapshot_fuzz_end_bytes - snapshot_seal_bytes);
    memcpy(file, input.data, size);
    if (!ends)
        return size;
    memcpy(file + size, snapshot_fuzz_end, snapshot_fuzz_end_bytes);
    size += snapshot_fuzz_end_bytes;
    store_u64(file + size, checksum_adler32(1, slice_of(file, size)));
    memcpy(file + size + 8, snapshot_fuzz_end, snapshot_fuzz_end_bytes);
    return size + snapshot_seal_bytes;
}

static enum err read_file(struct snapshot_reader *reader, struct slice file, size_t piece_size)
{
    for (size_t at = 0; at < file.size; at += piece_size) {
        const struct slice piece = slice_of(file.data + at, min_size(piece_size, file.size - at));
        const enum err err = snapshot_reader_feed(reader, piece);
        if (err != ERR_OK)
            return err;
    }
    return snapshot_reader_finish(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct snapshot_fuzz fuzz = {snapshot_reader_init, make_file, read_file};
    snapshot_fuzz_play(&fuzz, slice_of(data, size));
    return 0;
}
