/* The batches that were appended last to a partition's active segment, and where they lie: reads
 * near the end of the log need no look at the disk.
 *
 * Memory: one block, as large as it needs, at most about a KiB. Shard: the store's.
 */
#ifndef SERVER_BROKER_PARTITION_RECENT_H
#define SERVER_BROKER_PARTITION_RECENT_H

#include "base/heap.h"

/* There is room for four at first, then for twice as many. */
enum { partition_recent_count_first = 4, partition_recent_count_max = 64 };

struct partition_recent_batch {
    int64_t base_offset;
    uint32_t position;
    uint32_t size;
};

struct partition_recent {
    uint32_t count;
    uint32_t next; /* Where the next one goes. */
    uint32_t capacity;
    struct partition_recent_batch batches[];
};

/* The next batch of the segment; *recent is NULL at first. Without memory the oldest one is
 * forgotten. */
void partition_recent_add(struct partition_recent **recent, struct heap *heap,
                          struct partition_recent_batch batch);

/* The batch that holds offset, as an index for partition_recent_at; false: it is older than all, or
 * not there yet. */
bool partition_recent_find(const struct partition_recent *recent, int64_t offset, uint32_t *index);

/* By age: 0 is the oldest. */
const struct partition_recent_batch *partition_recent_at(const struct partition_recent *recent,
                                                         uint32_t index);

#endif
