#include "server/broker/partition_recent.h"

#include "base/assert.h"

void partition_recent_add(struct partition_recent *recent, struct partition_recent_batch batch)
{
    recent->batches[recent->next] = batch;
    recent->next = (recent->next + 1) % partition_recent_count_max;
    if (recent->count < partition_recent_count_max)
        recent->count++;
}

const struct partition_recent_batch *partition_recent_at(const struct partition_recent *recent,
                                                         uint32_t index)
{
    assert(index < recent->count);
    const uint32_t oldest = recent->next + partition_recent_count_max - recent->count;
    return &recent->batches[(oldest + index) % partition_recent_count_max];
}

bool partition_recent_find(const struct partition_recent *recent, int64_t offset, uint32_t *index)
{
    uint32_t low = 0; /* Batches below low begin at or before offset, from high on behind it. */
    uint32_t high = recent->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (partition_recent_at(recent, middle)->base_offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    *index = low - 1;
    return low > 0;
}
