/* Any bytes as entries of a journal: pairs of a size and an entry. What can be decoded is encoded
 * to the same meaning, and applied to a keeper, which must bear anything. */
#include "base/assert.h"
#include "base/bytes.h"
#include "keeper/keeper.h"
#include "keeper/txn_codec.h"

enum { arena_bytes = 1 << 20, entry_bytes_max = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Alignas(16) uint8_t memory[2][arena_bytes];
static uint8_t encoded[2][entry_bytes_max];

/* Encoding what was decoded, twice, must give the same bytes. */
static void check_encoding(const struct txn *txn)
{
    const size_t size = txn_codec_record_bytes(txn);
    if (size > entry_bytes_max)
        return;
    txn_codec_encode_record(txn, encoded[0]);
    struct slice entry;
    size_t record_size;
    assert(txn_codec_read_record(slice_of(encoded[0], size), &entry, &record_size) ==
           TXN_RECORD_OK);
    assert(record_size == size);
    struct arena arena;
    arena_init(&arena, memory[1], arena_bytes);
    struct txn again;
    const enum err err = txn_codec_decode_entry(entry, &arena, &again);
    assert(err == ERR_OK);
    assert(txn_codec_record_bytes(&again) == size);
    txn_codec_encode_record(&again, encoded[1]);
    assert(memcmp(encoded[0], encoded[1], size) == 0);
}

static void apply(struct keeper *keeper, struct slice entry)
{
    struct arena arena;
    arena_init(&arena, memory[0], arena_bytes);
    struct txn txn;
    if (txn_codec_decode_entry(entry, &arena, &txn) != ERR_OK)
        return;
    check_encoding(&txn);
    struct txn_result result;
    keeper_apply(keeper, &txn, 0, NULL, &arena, &result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = slice_of(data, size);
    struct slice entry;
    size_t record_size;
    (void)txn_codec_read_record(input, &entry, &record_size);

    struct heap heap;
    heap_init(&heap, (struct heap_options){.limit_bytes = SIZE_MAX / 2});
    struct keeper keeper;
    const enum err err =
        keeper_init(&keeper, &heap,
                    (struct keeper_options){.memory_bytes_max = 1 << 20,
                                            .tick_ms = 2000,
                                            .record_bytes_max = 1 << 20,
                                            .extended_types_enabled = size % 2 == 0},
                    0);
    assert(err == ERR_OK);
    while (input.size >= 2) {
        const size_t entry_size = min_size(load_u16(input.data), input.size - 2);
        apply(&keeper, slice_of(input.data + 2, entry_size));
        input = slice_skip(input, 2 + entry_size);
    }
    keeper_deinit(&keeper);
    assert(heap.block_count == 0);
    return 0;
}
