/* Any bytes as the batches of a records field, and their records. */
#include "base/assert.h"
#include "broker/record_batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk_records(const struct record_batch *batch, struct slice bytes)
{
    struct record_walk walk;
    struct record record;
    enum err err;
    record_walk_init(&walk, batch, bytes);
    while (record_walk_next(&walk, &record, &err)) {
        assert(slice_is_null(record.key) ||
               record.key.data + record.key.size <= bytes.data + bytes.size);
        assert(slice_is_null(record.value) ||
               record.value.data + record.value.size <= bytes.data + bytes.size);
    }
    assert(err == ERR_OK || err == ERR_MALFORMED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record_batch_walk walk;
    enum err err;
    record_batch_walk_init(&walk, slice_of(data, size));
    while (record_batch_walk_next(&walk, &err)) {
        assert(walk.bytes.size + walk.rest.size <= size);
        (void)record_batch_crc_matches(&walk.batch, walk.bytes);
        if (walk.batch.magic == record_batch_magic && record_batch_codec(&walk.batch) == CODEC_NONE)
            walk_records(&walk.batch, walk.bytes);
    }
    return 0;
}
