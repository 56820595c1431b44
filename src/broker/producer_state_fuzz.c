/* Any bytes as a producer snapshot, with its CRC put right; what is read is written as the same. */
#include "base/assert.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "broker/producer_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t copy[1 << 16];
static uint8_t again[1 << 16];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct heap heap;
    struct producer_state state;
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 22});
    struct producer_budget budget = {.heap = &heap, .seed = 5, .count_max = 1000};
    if (size > sizeof copy)
        return 0;
    memcpy(copy, data, size);
    if (size > 6)
        store_u32(copy + 2, checksum_crc32c(0, slice_of(copy + 6, size - 6)));
    producer_state_init(&state, &budget);
    if (producer_state_decode(&state, slice_of(copy, size)) == ERR_OK) {
        assert(producer_state_snapshot_bytes(&state) == size);
        producer_state_encode(&state, again);
        assert(producer_state_decode(&state, slice_of(again, size)) == ERR_OK);
    } else {
        assert(producer_state_count(&state) == 0);
    }
    producer_state_deinit(&state);
    assert(heap.block_count == 0);
    return 0;
}
