/* Any bytes as an offset index and as a time index: checked, then searched. */
#include "base/assert.h"
#include "broker/segment_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t count;
    struct offset_entry offset = {0};
    struct time_entry time = {0};
    const struct slice bytes = slice_of(data, size);
    if (offset_index_check(bytes, 1 << 20, &count) == ERR_OK) {
        const struct slice whole = slice_of(data, (size_t)count * offset_entry_bytes);
        for (uint32_t target = 0; target < 300; target++)
            if (offset_index_find(whole, target, &offset))
                assert(offset.relative_offset <= target && offset.position < 1 << 20);
    }
    if (time_index_check(bytes, &count) == ERR_OK) {
        const struct slice whole = slice_of(data, (size_t)count * time_entry_bytes);
        for (int64_t target = -3; target < 300; target++)
            if (time_index_find(whole, target, &time))
                assert(time.timestamp_ms <= target);
    }
    return 0;
}
