/* The offsets that groups have committed.
 *
 * Memory: the coordinator's heap; one block for each offset. Shard: one owner.
 */
#ifndef BROKER_GROUP_OFFSETS_H
#define BROKER_GROUP_OFFSETS_H

#include "broker/group_coordinator.h"

struct group_offset_value {
    int64_t offset;
    int64_t commit_at_ms;
    int64_t expire_at_ms; /* -1: as the broker's retention says. */
    int32_t leader_epoch; /* -1: not known. */
    struct slice metadata;
};

struct group_offset {
    struct hash_link hash;
    struct list link; /* In group->offsets. */
    struct group *group;
    struct slice topic; /* Behind this struct, and the metadata behind it. */
    int32_t partition;
    uint32_t metadata_capacity;
    struct group_offset_value value;
};

/* The offset, or NULL: none was committed. */
struct group_offset *group_offsets_find(const struct group_coordinator *coordinator,
                                        const struct group *group, struct slice topic,
                                        int32_t partition);

/* False: no memory; the old offset stands. Copies. */
MUST_CHECK bool group_offsets_set(struct group_coordinator *coordinator, struct group *group,
                                  struct slice topic, int32_t partition,
                                  struct group_offset_value value);

void group_offsets_remove(struct group_coordinator *coordinator, struct group_offset *offset);

/* All of a group. */
void group_offsets_drop(struct group_coordinator *coordinator, struct group *group);

/* Whether the offset is to be forgotten now: so long after its commit, or after its group became
 * empty if it had members. */
bool group_offsets_is_expired(const struct group_offset *offset, int64_t retention_ms,
                              int64_t now_wall_ms);

#endif
