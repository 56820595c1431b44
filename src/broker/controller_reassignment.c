#include "broker/controller_reassignment.h"

#include <stdio.h>

#include "broker/kafka_error.h"

static void add(int32_t *ids, uint32_t *count, int32_t id)
{
    assert(*count < control_replica_count_max);
    ids[(*count)++] = id;
}

/* Those that are there now and are not being added. */
static uint32_t origin_of(const struct controller_partition *partition,
                          int32_t ids[control_replica_count_max])
{
    uint32_t count = 0;
    for (uint32_t index = 0; index < partition->replica_count; index++)
        if ((partition->adding >> index & 1) == 0)
            add(ids, &count, partition->replicas[index]);
    return count;
}

static bool make(struct controller_assignment *assignment, const int32_t *target,
                 uint32_t target_count, const int32_t *origin, uint32_t origin_count)
{
    *assignment = (struct controller_assignment){0};
    uint32_t both = target_count;
    for (uint32_t index = 0; index < origin_count; index++)
        both += !controller_is_member(target, target_count, origin[index]);
    if (both > control_replica_count_max)
        return false;
    for (uint32_t index = 0; index < target_count; index++) {
        add(assignment->replicas, &assignment->replica_count, target[index]);
        if (!controller_is_member(origin, origin_count, target[index]))
            add(assignment->adding, &assignment->adding_count, target[index]);
    }
    for (uint32_t index = 0; index < origin_count; index++)
        if (!controller_is_member(target, target_count, origin[index])) {
            add(assignment->replicas, &assignment->replica_count, origin[index]);
            add(assignment->removing, &assignment->removing_count, origin[index]);
        }
    return true;
}

static int16_t refuse(char *reason, const char *text)
{
    snprintf(reason, controller_reassignment_reason_size, "%s", text);
    return KAFKA_INVALID_REPLICA_ASSIGNMENT;
}

static int16_t check_target(struct controller_target target, char *reason)
{
    if (target.count == 0)
        return refuse(reason, "Empty replica list specified in partition reassignment.");
    if (target.count > control_replica_count_max)
        return refuse(reason, "Too many replicas in partition reassignment.");
    for (uint32_t index = 0; index < target.count; index++)
        if (controller_is_member(target.ids, index, target.ids[index]))
            return refuse(reason, "Duplicate replica ids in partition reassignment replica list.");
    for (uint32_t index = 0; index < target.count; index++)
        if (target.ids[index] < 0)
            return refuse(reason, "Invalid broker id in replica list.");
    return KAFKA_NONE;
}

static int16_t check_added(const struct controller *controller,
                           const struct controller_assignment *assignment, char *reason)
{
    for (uint32_t index = 0; index < assignment->adding_count; index++) {
        const struct controller_broker *broker =
            controller_find_broker(controller, assignment->adding[index]);
        if (broker == NULL || broker->is_shutting_down) {
            snprintf(reason, controller_reassignment_reason_size,
                     "Replica assignment has brokers that are not alive: %d",
                     (int)assignment->adding[index]);
            return KAFKA_INVALID_REPLICA_ASSIGNMENT;
        }
    }
    return KAFKA_NONE;
}

int16_t controller_reassignment_plan(const struct controller *controller,
                                     const struct controller_partition *partition,
                                     struct controller_target target,
                                     struct controller_assignment *assignment, char *reason)
{
    int32_t origin[control_replica_count_max];
    const uint32_t origin_count = origin_of(partition, origin);
    if (target.is_cancel) {
        if (!controller_reassignment_is_under_way(partition)) {
            snprintf(reason, controller_reassignment_reason_size,
                     "No partition reassignment is in progress.");
            return KAFKA_NO_REASSIGNMENT_IN_PROGRESS;
        }
        (void)make(assignment, origin, origin_count, origin, origin_count);
        return KAFKA_NONE;
    }
    const int16_t code = check_target(target, reason);
    if (code != KAFKA_NONE)
        return code;
    if (!make(assignment, target.ids, target.count, origin, origin_count))
        return refuse(reason, "Too many replicas, old and new, in partition reassignment.");
    return check_added(controller, assignment, reason);
}

void controller_reassignment_now(const struct controller_partition *partition,
                                 struct controller_assignment *assignment)
{
    *assignment = (struct controller_assignment){0};
    const bool has_moved = partition->move == CONTROLLER_MOVED;
    for (uint32_t index = 0; index < partition->replica_count; index++) {
        const int32_t id = partition->replicas[index];
        const bool is_removed = (partition->removing >> index & 1) != 0;
        if (has_moved && is_removed)
            continue;
        add(assignment->replicas, &assignment->replica_count, id);
        if (!has_moved && is_removed)
            add(assignment->removing, &assignment->removing_count, id);
        if (!has_moved && (partition->adding >> index & 1) != 0)
            add(assignment->adding, &assignment->adding_count, id);
    }
}
