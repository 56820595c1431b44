/* Any bytes as the records field of a Produce request, with their CRC put right. What is accepted
 * can be stamped and walked. */
#include "base/assert.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "broker/record_validator.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t copy[1 << 16];
static struct heap heap;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct partition_config config = partition_config_default();
    if (size < 1 || size > sizeof copy)
        return 0;
    config.compacts = (data[0] & 0x80) != 0;
    if (heap.limit_bytes == 0)
        heap_init(&heap, (struct heap_options){.limit_bytes = 256 << 20});
    const struct record_rules rules = {.config = &config,
                                       .now_ms = 1000,
                                       .produce_version = data[0] & 0x0f,
                                       .packed = {.heap = &heap, .bytes_max = 1 << 20}};
    size--;
    memcpy(copy, data + 1, size);
    if (size > record_batch_header_bytes)
        store_u32(copy + 17, checksum_crc32c(0, slice_of(copy + 21, size - 21)));
    const struct record_verdict verdict = record_validator_check(&rules, copy, size);
    assert((verdict.code == KAFKA_NONE) == (verdict.message == NULL));
    if (verdict.code != KAFKA_NONE)
        return 0;
    struct record_batch_walk walk;
    enum err err;
    uint32_t count = 0;
    record_batch_walk_init(&walk, slice_of(copy, size));
    for (; record_batch_walk_next(&walk, &err); count++)
        record_batch_stamp(&walk.batch, copy + (walk.bytes.data - copy),
                           (struct record_batch_stamp){.base_offset = 77, .leader_epoch = 1});
    assert(err == ERR_OK && count == verdict.batch_count);
    return 0;
}
