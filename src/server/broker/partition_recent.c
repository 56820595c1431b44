#include "server/broker/partition_recent.h"

#include "base/assert.h"

const struct partition_recent_batch *partition_recent_at(const struct partition_recent *recent,
                                                         uint32_t index)
{
    assert(index < recent->count);
    const uint32_t oldest = recent->next + recent->capacity - recent->count;
    return &recent->batches[(oldest + index) % recent->capacity];
}

/* A larger one with the same batches; NULL: no memory. */
static struct partition_recent *take_larger(const struct partition_recent *recent,
                                            struct heap *heap)
{
    const uint32_t count = recent == NULL ? 0 : recent->count;
    const uint32_t capacity = recent == NULL ? partition_recent_count_first : count * 2;
    struct partition_recent *larger =
        heap_take(heap, sizeof *larger + capacity * sizeof larger->batches[0]);
    if (larger == NULL)
        return NULL;
    *larger = (struct partition_recent){.count = count, .next = count, .capacity = capacity};
    for (uint32_t age = 0; age < count; age++)
        larger->batches[age] = *partition_recent_at(recent, age);
    return larger;
}

void partition_recent_add(struct partition_recent **recent, struct heap *heap,
                          struct partition_recent_batch batch)
{
    struct partition_recent *now = *recent;
    if (now == NULL ||
        (now->count == now->capacity && now->capacity < partition_recent_count_max)) {
        struct partition_recent *larger = take_larger(now, heap);
        if (larger != NULL) {
            heap_give(heap, now);
            *recent = now = larger;
        }
    }
    if (now == NULL)
        return;
    now->batches[now->next] = batch;
    now->next = (now->next + 1) % now->capacity;
    if (now->count < now->capacity)
        now->count++;
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
