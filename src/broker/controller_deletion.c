#include "broker/controller_deletion.h"

bool controller_deletion_can_begin(const struct controller_topic *topic)
{
    for (uint32_t index = 0; index < topic->partition_count; index++)
        if (topic->partitions[index]->move != CONTROLLER_STAYS ||
            topic->partitions[index]->is_writing)
            return false;
    return true;
}

static bool stop_all(struct controller *controller, struct controller_partition *partition)
{
    for (uint32_t index = 0; index < partition->replica_count; index++)
        if (!controller_add_stop(
                controller, partition,
                (struct controller_stop){.broker_id = partition->replicas[index], .deletes = true}))
            return false;
    return true;
}

enum err controller_deletion_begin(struct controller *controller, struct controller_topic *topic)
{
    for (uint32_t index = 0; index < topic->partition_count; index++)
        if (!stop_all(controller, topic->partitions[index]))
            return ERR_NO_MEMORY;
    topic->deletion = CONTROLLER_DELETION_STOPPING;
    for (uint32_t index = 0; index < topic->partition_count; index++)
        controller_mark_changed(controller, topic->partitions[index]);
    return ERR_OK;
}

static bool is_stopped(const struct controller_partition *partition)
{
    for (uint32_t index = 0; index < partition->stop_count; index++)
        if (partition->stops[index].deletes && !partition->stops[index].is_done)
            return false;
    return true;
}

bool controller_deletion_is_done(const struct controller *controller,
                                 const struct controller_topic *topic)
{
    list_each (link, &controller->brokers)
        if (CONTAINER_OF(link, struct controller_broker, link)->metadata_told < topic->changed_at)
            return false;
    for (uint32_t index = 0; index < topic->partition_count; index++)
        if (!is_stopped(topic->partitions[index]))
            return false;
    return true;
}
