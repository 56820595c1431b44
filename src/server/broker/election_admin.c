#include <stdio.h>

#include "broker/controller_decision.h"
#include "server/broker/partition_admin.h"

/* Whether everything decided is written. */
static bool is_quiet(const struct controller_driver *driver)
{
    return driver->open_count == 0 && list_empty(&driver->controller.to_write) &&
           !driver->controller.is_due && list_empty(&driver->controller.to_ask);
}

/* ---- elections ---- */

enum elect_phase { ELECT_BEGINS, ELECT_IS_WRITTEN, ELECT_IS_TOLD };

struct elect_job {
    struct partition_job job;
    struct elect_leaders *request;
    enum elect_phase phase;
};

static struct controller_partition *partition_of(const struct partition_admin *admin,
                                                 const struct partition_election *item)
{
    const struct controller *controller = &admin->driver->controller;
    return controller_find_partition(controller_find_topic(controller, item->topic), item->index);
}

static void refuse(struct partition_election *item, int16_t error_code, const char *reason)
{
    item->error_code = error_code;
    snprintf(item->reason, sizeof item->reason, "%s", reason);
}

static void begin_item(struct partition_admin *admin, struct partition_election *item,
                       bool is_unclean)
{
    struct controller *controller = &admin->driver->controller;
    struct controller_partition *partition = partition_of(admin, item);
    if (partition == NULL) {
        refuse(item, KAFKA_UNKNOWN_TOPIC_OR_PARTITION, "The partition does not exist.");
        return;
    }
    if (partition->topic->deletion != CONTROLLER_KEPT) {
        refuse(item, KAFKA_INVALID_TOPIC_EXCEPTION, "The topic is being deleted");
        return;
    }
    const bool is_led =
        is_unclean ? controller_find_broker(controller, partition->leader) != NULL
                   : partition->replica_count > 0 && partition->leader == partition->replicas[0];
    if (is_led) {
        refuse(item, KAFKA_ELECTION_NOT_NEEDED, "Leader election not needed for topic partition.");
        return;
    }
    item->is_wanted = true;
    partition->wants |= is_unclean ? CONTROLLER_WANT_UNCLEAN : CONTROLLER_WANT_PREFERRED;
    controller_decision_consider(controller, partition);
}

static void end_item(struct partition_admin *admin, struct partition_election *item,
                     bool is_unclean)
{
    const struct controller_partition *partition = partition_of(admin, item);
    if (partition == NULL)
        refuse(item, KAFKA_UNKNOWN_TOPIC_OR_PARTITION, "The partition does not exist.");
    else if (is_unclean && partition->leader < 0)
        item->error_code = KAFKA_ELIGIBLE_LEADERS_NOT_AVAILABLE;
    else if (!is_unclean && partition->leader != partition->replicas[0])
        item->error_code = KAFKA_PREFERRED_LEADER_NOT_AVAILABLE;
    if (item->error_code != KAFKA_NONE && partition != NULL)
        snprintf(item->reason, sizeof item->reason,
                 "Failed to elect leader for partition %.*s-%d under strategy %s",
                 (int)min_size(item->topic.size, 80), (const char *)item->topic.data,
                 (int)item->index,
                 is_unclean ? "OfflinePartitionLeaderElectionStrategy(true)"
                            : "PreferredReplicaPartitionLeaderElectionStrategy");
    item->leader = partition == NULL ? control_leader_none : partition->leader;
}

/* Whether this broker's view shows the new leaders. */
static bool are_shown(const struct partition_admin *admin, const struct elect_leaders *request)
{
    for (uint32_t index = 0; index < request->partition_count; index++) {
        const struct partition_election *item = &request->partitions[index];
        const struct metadata_partition *shown =
            metadata_view_partition(admin->view, item->topic, item->index);
        if (item->is_wanted && item->error_code == KAFKA_NONE &&
            (shown == NULL || shown->leader != item->leader))
            return false;
    }
    return true;
}

static void mark_late(struct elect_leaders *request)
{
    for (uint32_t index = 0; index < request->partition_count; index++)
        if (request->partitions[index].is_wanted &&
            request->partitions[index].error_code == KAFKA_NONE)
            refuse(&request->partitions[index], KAFKA_REQUEST_TIMED_OUT, "");
}

static void each_item(struct elect_job *job,
                      void (*each)(struct partition_admin *admin, struct partition_election *item,
                                   bool is_unclean),
                      bool wanted_only)
{
    for (uint32_t index = 0; index < job->request->partition_count; index++)
        if (!wanted_only || job->request->partitions[index].is_wanted)
            each(job->job.admin, &job->request->partitions[index], job->request->is_unclean);
}

static bool advance_election(struct partition_job *base)
{
    struct elect_job *job = CONTAINER_OF(base, struct elect_job, job);
    struct controller_driver *driver = base->admin->driver;
    if (!partition_admin_is_controller(base->admin)) {
        for (uint32_t index = 0; index < job->request->partition_count; index++)
            job->request->partitions[index].error_code = KAFKA_NOT_CONTROLLER;
        return true;
    }
    switch (job->phase) {
    case ELECT_BEGINS:
        each_item(job, begin_item, false);
        job->phase = ELECT_IS_WRITTEN;
        controller_driver_run(driver);
        if (!is_quiet(driver))
            return false;
        __attribute__((fallthrough));
    case ELECT_IS_WRITTEN:
        if (!is_quiet(driver))
            return false;
        each_item(job, end_item, true);
        job->phase = ELECT_IS_TOLD;
        __attribute__((fallthrough));
    case ELECT_IS_TOLD: break;
    }
    if (are_shown(base->admin, job->request))
        return true;
    if (base->is_late)
        mark_late(job->request);
    return base->is_late;
}

static void finish_election(struct partition_job *base)
{
    struct elect_job *job = CONTAINER_OF(base, struct elect_job, job);
    struct elect_leaders *request = job->request;
    heap_give(base->admin->heap, job);
    request->done(request);
}

void election_admin_elect(struct partition_admin *admin, struct elect_leaders *request)
{
    struct elect_job *job = heap_take_zeroed(admin->heap, sizeof *job);
    for (uint32_t index = 0; index < request->partition_count; index++) {
        struct partition_election *item = &request->partitions[index];
        item->error_code = job == NULL ? KAFKA_UNKNOWN_SERVER_ERROR : KAFKA_NONE;
        item->reason[0] = '\0';
        item->is_wanted = false;
    }
    if (job == NULL) {
        request->done(request); /* There is no memory to do it later. */
        return;
    }
    job->request = request;
    job->job.advance = advance_election;
    job->job.finish = finish_election;
    partition_admin_add(admin, &job->job, (int32_t)max_i64(request->timeout_ms, 1));
}

/* ---- a broker that wants to stop ---- */

struct shut_down_job {
    struct partition_job job;
    struct shut_down_broker *request;
    bool has_begun;
};

static int16_t begin_shut_down(struct controller_driver *driver,
                               const struct shut_down_broker *request)
{
    struct controller_broker *broker =
        controller_find_broker(&driver->controller, request->broker_id);
    if (broker == NULL)
        return KAFKA_BROKER_NOT_AVAILABLE;
    if (request->broker_epoch != -1 && request->broker_epoch < broker->record.epoch)
        return KAFKA_STALE_BROKER_EPOCH;
    diag_info(driver->options.diag, "broker %d wants to stop", (int)request->broker_id);
    controller_decision_shut_down(&driver->controller, broker);
    controller_driver_run(driver);
    return KAFKA_NONE;
}

static bool is_left(const struct shut_down_broker *request,
                    const struct controller_partition *partition)
{
    return partition->leader == request->broker_id && partition->replica_count > 1 &&
           partition->topic->deletion == CONTROLLER_KEPT;
}

/* What it still leads, with memory for it. ERR_NO_MEMORY. */
static enum err list_left(struct partition_admin *admin, struct shut_down_broker *request)
{
    const struct controller *controller = &admin->driver->controller;
    uint32_t count = 0;
    for (int round = 0; round < 2; round++) {
        if (round == 1) {
            request->remaining =
                heap_take_zeroed(admin->heap, (count + 1) * sizeof *request->remaining);
            if (request->remaining == NULL)
                return ERR_NO_MEMORY;
        }
        list_each (link, &controller->topics) {
            const struct controller_topic *topic =
                CONTAINER_OF(link, const struct controller_topic, link);
            for (uint32_t index = 0; index < topic->partition_count; index++) {
                if (!is_left(request, topic->partitions[index]))
                    continue;
                if (round == 0)
                    count++;
                else
                    request->remaining[request->remaining_count++] =
                        (struct remaining_partition){topic->name, (int32_t)index};
            }
        }
    }
    return ERR_OK;
}

static bool advance_shut_down(struct partition_job *base)
{
    struct shut_down_job *job = CONTAINER_OF(base, struct shut_down_job, job);
    struct shut_down_broker *request = job->request;
    if (!partition_admin_is_controller(base->admin)) {
        request->error_code = KAFKA_STALE_CONTROLLER_EPOCH; /* As Apache's: it has moved. */
        return true;
    }
    if (!job->has_begun) {
        job->has_begun = true;
        request->error_code = begin_shut_down(base->admin->driver, request);
    }
    if (request->error_code != KAFKA_NONE)
        return true;
    if (!is_quiet(base->admin->driver))
        return false;
    if (list_left(base->admin, request) != ERR_OK)
        request->error_code = KAFKA_UNKNOWN_SERVER_ERROR;
    return true;
}

static void finish_shut_down(struct partition_job *base)
{
    struct shut_down_job *job = CONTAINER_OF(base, struct shut_down_job, job);
    struct shut_down_broker *request = job->request;
    struct heap *heap = base->admin->heap;
    struct remaining_partition *remaining = request->remaining;
    heap_give(heap, job);
    request->done(request);
    heap_give(heap, remaining);
}

void election_admin_shut_down(struct partition_admin *admin, struct shut_down_broker *request)
{
    struct shut_down_job *job = heap_take_zeroed(admin->heap, sizeof *job);
    request->error_code = job == NULL ? KAFKA_UNKNOWN_SERVER_ERROR : KAFKA_NONE;
    request->remaining_count = 0;
    request->remaining = NULL;
    if (job == NULL) {
        request->done(request); /* There is no memory to do it later. */
        return;
    }
    job->request = request;
    job->job.advance = advance_shut_down;
    job->job.finish = finish_shut_down;
    partition_admin_add(admin, &job->job, 0);
}
