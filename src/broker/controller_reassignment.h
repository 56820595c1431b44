/* Where a partition's replicas shall go (KIP-455): what a request is allowed to ask for, and what
 * goes into the topic's znode.
 *
 *   target    the replicas that shall be in the end
 *   origin    those of now without the ones that are being added
 *   replicas  the target, then what else is of origin;  adding = replicas without origin;
 *             removing = replicas without target
 *
 * Memory: the caller's arrays. Shard: the controller's.
 */
#ifndef BROKER_CONTROLLER_REASSIGNMENT_H
#define BROKER_CONTROLLER_REASSIGNMENT_H

#include "broker/controller.h"

enum { controller_reassignment_reason_size = 192 };

struct controller_assignment {
    int32_t replicas[control_replica_count_max];
    int32_t adding[control_replica_count_max];
    int32_t removing[control_replica_count_max];
    uint32_t replica_count;
    uint32_t adding_count;
    uint32_t removing_count;
};

/* What the target makes of the partition. is_cancel: back to where it was. KAFKA_NONE, or the error
 * with its reason in reason: KAFKA_INVALID_REPLICA_ASSIGNMENT, KAFKA_NO_REASSIGNMENT_IN_PROGRESS.
 */
struct controller_target {
    bool is_cancel;
    uint32_t count;
    const int32_t *ids;
};
MUST_CHECK int16_t controller_reassignment_plan(const struct controller *controller,
                                                const struct controller_partition *partition,
                                                struct controller_target target,
                                                struct controller_assignment *assignment,
                                                char *reason);

/* The partition as its topic's znode shall have it now. */
void controller_reassignment_now(const struct controller_partition *partition,
                                 struct controller_assignment *assignment);

static inline bool
controller_reassignment_is_under_way(const struct controller_partition *partition)
{
    return partition->move != CONTROLLER_STAYS;
}

#endif
