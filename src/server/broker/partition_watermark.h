/* The high watermark of one partition, and where in the files it lies.
 *
 *   log start ........ high watermark ........ reached ........ log end
 *                      readers of consumers    written, or durable if that was asked for
 *
 * Alone, the high watermark is what is reached. In a replicated partition it moves when somebody
 * says so (the leader's replica set, or the leader's word to a follower). Consumers are served
 * ranges of files that end at it, so its place must be known as well: marks at the ends of appends
 * tell it, and where they do not (after a start, or behind many appends), it is looked for in the
 * index. Until it is found, consumers read a little less than they may.
 *
 * Memory: up to partition_mark_count_max marks from the heap, while the high watermark is behind.
 * Shard: the store's.
 */
#ifndef SERVER_BROKER_PARTITION_WATERMARK_H
#define SERVER_BROKER_PARTITION_WATERMARK_H

#include <stdbool.h>
#include <stdint.h>

struct partition_store;
struct heap;

enum { partition_mark_count_max = 1024 };

/* A boundary of batches: everything below offset lies in front of position. */
struct partition_mark {
    int64_t offset;
    int64_t base; /* Of the segment. */
    uint64_t position;
};

struct partition_watermark {
    struct partition_mark high;    /* The offset, and the last boundary at or below it. */
    struct partition_mark reached; /* The highest that it may become. */
    int64_t checkpointed;          /* At load; -1: nothing. */
    bool is_replicated;
    bool is_settled;  /* Since load somebody has said what holds. */
    bool is_exact;    /* high's place is that of its offset. */
    bool is_locating; /* A search is on its way. */
    uint32_t mark_first;
    uint32_t mark_count;
    uint32_t mark_capacity;
    struct partition_mark *marks; /* A ring, ascending, between high and reached. */
};

void partition_watermark_init(struct partition_watermark *watermark);
void partition_watermark_deinit(struct partition_watermark *watermark, struct heap *heap);

/* After load: all up to the mark is there. */
void partition_watermark_load(struct partition_watermark *watermark, struct partition_mark end);

/* An append ends at mark, and it and all before it have the durability that they asked for. True:
 * the high watermark has moved too. */
bool partition_watermark_reach(struct partition_store *store, struct partition_mark mark);

/* The log ends at mark now, which is a boundary. */
void partition_watermark_cut(struct partition_store *store, struct partition_mark mark);

#endif
