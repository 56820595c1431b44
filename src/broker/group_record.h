/* The records of __consumer_offsets: what groups and offsets look like in the log.
 *
 * Keys and values begin with a 16-bit version. Keys 0 and 1 are offsets, 2 is a group; other keys
 * belong to newer coordinators and are left alone. Values are written as version 3, offsets with a
 * time to expire as version 1, as Kafka 3.9 does.
 *
 * Memory: a batch grows in the heap given. Shard: one owner.
 */
#ifndef BROKER_GROUP_RECORD_H
#define BROKER_GROUP_RECORD_H

#include "base/arena.h"
#include "broker/group_coordinator.h"
#include "broker/group_offsets.h"
#include "broker/record_batch.h"

/* A batch in the making. */
struct group_batch {
    struct heap *heap;
    struct record_batch_writer writer;
    uint8_t *scratch; /* Of one key and value. */
    size_t scratch_capacity;
    bool has_failed; /* No memory: nothing of it may be used. */
};

/* Later failures show in group_batch_finish. */
void group_batch_init(struct group_batch *batch, struct heap *heap, int64_t now_wall_ms);

/* Gives everything back, with what finish returned. */
void group_batch_deinit(struct group_batch *batch);

/* value NULL: a tombstone, the offset is forgotten. */
void group_batch_add_offset(struct group_batch *batch, struct slice group_id, struct slice topic,
                            int32_t partition, const struct group_offset_value *value);

/* The group as it is. */
void group_batch_add_group(struct group_batch *batch, const struct group *group);
void group_batch_add_group_tombstone(struct group_batch *batch, struct slice group_id);

/* The whole batch, or a null slice: no memory, or no record. Lends: until deinit. */
struct slice group_batch_finish(struct group_batch *batch);

enum group_record_kind {
    GROUP_RECORD_OFFSET,
    GROUP_RECORD_GROUP,
    GROUP_RECORD_FOREIGN /* Of a version that this coordinator does not know. */
};

struct group_record_decoded {
    enum group_record_kind kind;
    bool is_tombstone;
    struct slice group_id;
    struct slice topic; /* OFFSET: this and the next two. */
    int32_t partition;
    struct group_offset_value offset;
    struct group_record group; /* GROUP, without a tombstone. */
};

/* Slices lend from key and value, arrays from arena. ERR_MALFORMED, ERR_TRUNCATED; ERR_LIMIT: the
 * arena is full. */
MUST_CHECK enum err group_record_decode(struct group_record_decoded *decoded, struct slice key,
                                        struct slice value, struct arena *arena);

#endif
