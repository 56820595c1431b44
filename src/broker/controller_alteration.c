#include "broker/controller_alteration.h"

#include "broker/kafka_error.h"

int16_t controller_alteration_check_broker(const struct controller *controller, int32_t broker_id,
                                           int64_t broker_epoch)
{
    const struct controller_broker *broker = controller_find_broker(controller, broker_id);
    return broker != NULL && broker->record.epoch == broker_epoch ? KAFKA_NONE
                                                                  : KAFKA_STALE_BROKER_EPOCH;
}

/* The order counts, as it does for Apache's controller. */
static bool is_so_already(const struct controller_partition *partition,
                          const struct controller_alteration *alteration)
{
    if (alteration->broker_id != partition->leader ||
        alteration->isr_count != partition->isr_count ||
        (alteration->recovery_state == 1) != partition->is_recovering ||
        alteration->partition_epoch > partition->partition_epoch)
        return false;
    for (uint32_t index = 0; index < alteration->isr_count; index++)
        if (alteration->isr[index].broker_id != partition->isr[index])
            return false;
    return true;
}

static int16_t check_epochs(const struct controller_partition *partition,
                            const struct controller_alteration *alteration)
{
    if (alteration->leader_epoch > partition->leader_epoch)
        return KAFKA_NOT_CONTROLLER; /* It knows a younger controller than we are. */
    if (alteration->leader_epoch < partition->leader_epoch)
        return KAFKA_FENCED_LEADER_EPOCH;
    return KAFKA_NONE;
}

static bool has_twice(const struct controller_alteration *alteration, uint32_t index)
{
    for (uint32_t before = 0; before < index; before++)
        if (alteration->isr[before].broker_id == alteration->isr[index].broker_id)
            return true;
    return false;
}

static int16_t check_shape(const struct controller_partition *partition,
                           const struct controller_alteration *alteration)
{
    const bool is_recovering = alteration->recovery_state == 1;
    if (alteration->broker_id != partition->leader || alteration->isr_count == 0 ||
        alteration->isr_count > control_replica_count_max ||
        (is_recovering && (alteration->isr_count > 1 || !partition->is_recovering)))
        return KAFKA_INVALID_REQUEST;
    for (uint32_t index = 0; index < alteration->isr_count; index++)
        if (has_twice(alteration, index) ||
            !controller_is_replica(partition, alteration->isr[index].broker_id))
            return KAFKA_INVALID_REQUEST;
    return KAFKA_NONE;
}

static bool is_eligible(const struct controller *controller, const struct isr_member *member)
{
    const struct controller_broker *broker = controller_find_broker(controller, member->broker_id);
    return broker != NULL && !broker->is_shutting_down &&
           (member->broker_epoch == -1 || member->broker_epoch == broker->record.epoch);
}

static int16_t check_members(const struct controller *controller,
                             const struct controller_alteration *alteration)
{
    for (uint32_t index = 0; index < alteration->isr_count; index++)
        if (!is_eligible(controller, &alteration->isr[index]))
            return alteration->version > 1 ? KAFKA_INELIGIBLE_REPLICA
                                           : KAFKA_OPERATION_NOT_ATTEMPTED;
    return KAFKA_NONE;
}

int16_t controller_alteration_check(const struct controller *controller,
                                    struct controller_partition *partition,
                                    const struct controller_alteration *alteration,
                                    struct controller_write *write)
{
    assert(!partition->is_writing);
    *write = (struct controller_write){0};
    if (partition->partition_epoch < 0)
        return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    int16_t code = check_epochs(partition, alteration);
    if (code != KAFKA_NONE || is_so_already(partition, alteration))
        return code;
    if (alteration->partition_epoch < partition->partition_epoch)
        return KAFKA_INVALID_UPDATE_VERSION;
    code = check_shape(partition, alteration);
    if (code == KAFKA_NONE)
        code = check_members(controller, alteration);
    if (code != KAFKA_NONE)
        return code;
    *write = (struct controller_write){
        .partition = partition,
        .state =
            {
                .topic = partition->topic->name,
                .topic_id = partition->topic->id,
                .index = partition->index,
                .leader = partition->leader,
                .leader_epoch = partition->leader_epoch,
                .controller_epoch = controller->epoch,
                .partition_epoch = partition->partition_epoch,
                .isr_count = alteration->isr_count,
                .is_recovering = alteration->recovery_state == 1,
            },
        .is_alteration = true,
    };
    for (uint32_t index = 0; index < alteration->isr_count; index++)
        write->isr[index] = alteration->isr[index].broker_id;
    write->state.isr = write->isr; /* Of this struct; a copy sets it anew. */
    partition->is_writing = true;
    return KAFKA_NONE;
}
