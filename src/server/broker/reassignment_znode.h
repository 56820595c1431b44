/* A topic's znode with its assignment as the controller has it, or with other ones for some of its
 * partitions.
 *
 * Memory: one block of the heap. Shard: the controller's.
 */
#ifndef SERVER_BROKER_REASSIGNMENT_ZNODE_H
#define SERVER_BROKER_REASSIGNMENT_ZNODE_H

#include "broker/controller_reassignment.h"

struct reassignment_change {
    int32_t index; /* Of the partition. */
    struct controller_assignment assignment;
};

/* The JSON, in *block, which is to be given back. Null: no memory. */
struct slice reassignment_znode_write(struct heap *heap, const struct controller_topic *topic,
                                      const struct reassignment_change *changes,
                                      uint32_t change_count, void **block);

#endif
