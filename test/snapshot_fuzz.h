/* What the fuzzers of snapshots share: the input becomes a file, is read in pieces into an empty
 * keeper, and what was read can be written again. The first byte of the input tells the pieces'
 * size, the second one whether the file's end is put behind the rest. */
#ifndef TEST_SNAPSHOT_FUZZ_H
#define TEST_SNAPSHOT_FUZZ_H

#include "base/assert.h"
#include "keeper/snapshot_reader.h"
#include "keeper/snapshot_writer.h"

enum { snapshot_fuzz_bytes_max = 1 << 16, snapshot_fuzz_end_bytes = 5 };

/* The last bytes of the znodes, and of a seal. */
static const char snapshot_fuzz_end[] = "\0\0\0\1/";

struct snapshot_fuzz {
    void (*init)(struct snapshot_reader *reader, struct keeper *keeper, struct arena *arena,
                 int64_t zxid, int64_t now_ms);
    /* The size of the file. */
    size_t (*make_file)(struct slice input, bool ends, uint8_t *file);
    enum err (*read_file)(struct snapshot_reader *reader, struct slice file, size_t piece_size);
};

static void snapshot_fuzz_write_again(struct keeper *keeper)
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

static void snapshot_fuzz_play(const struct snapshot_fuzz *fuzz, struct slice input)
{
    static _Alignas(16) uint8_t memory[1 << 20];
    static uint8_t file[snapshot_fuzz_bytes_max];
    if (input.size < 2)
        return;
    const size_t file_size = fuzz->make_file(slice_skip(input, 2), input.data[1] % 2 == 0, file);
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
    fuzz->init(&reader, &keeper, &arena, 77, 0);
    err = fuzz->read_file(&reader, slice_of(file, file_size), (size_t)input.data[0] + 1);
    assert(err == ERR_OK || reader.reason != NULL);
    snapshot_reader_deinit(&reader);
    keeper_start(&keeper, 0, 0);
    if (err == ERR_OK)
        snapshot_fuzz_write_again(&keeper);
    keeper_deinit(&keeper);
    assert(heap.block_count == 0);
}

#endif
