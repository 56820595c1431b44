#include "broker/controller_alteration.h"
#include "server/broker/controller_writer.h"
#include "server/broker/partition_admin.h"

enum item_state { ITEM_WAITS, ITEM_IS_WRITTEN, ITEM_DONE };

struct alter_item {
    struct controller_writer_watcher watcher;
    struct alter_job *job;
    struct partition_alter *alter;
    enum item_state state;
};

struct alter_job {
    struct partition_job job;
    struct alter_partitions *request;
    bool is_checked;
    uint32_t open_count; /* Writes in flight. */
    struct alter_item items[];
};

static struct controller_topic *topic_of(const struct alter_item *item)
{
    const struct controller *controller = &item->job->job.admin->driver->controller;
    return slice_is_null(item->alter->topic)
               ? controller_find_topic_by_id(controller, item->alter->topic_id)
               : controller_find_topic(controller, item->alter->topic);
}

static void end_item(struct alter_item *item, int16_t error_code)
{
    item->state = ITEM_DONE;
    item->alter->error_code = error_code;
}

static void answer_item(struct alter_item *item, const struct controller_partition *partition)
{
    struct partition_alter *alter = item->alter;
    end_item(item, KAFKA_NONE);
    alter->leader_now = partition->leader;
    alter->leader_epoch_now = partition->leader_epoch;
    alter->partition_epoch_now = partition->partition_epoch;
    alter->isr_count_now = (uint32_t)min_u64(partition->isr_count, control_replica_count_max);
    memcpy(alter->isr_now, partition->isr, alter->isr_count_now * sizeof *partition->isr);
    alter->leader_recovery_state_now = partition->is_recovering;
}

static void on_written(struct controller_writer_watcher *watcher, int32_t keeper_code)
{
    struct alter_item *item = CONTAINER_OF(watcher, struct alter_item, watcher);
    struct alter_job *job = item->job;
    assert(job->open_count > 0);
    job->open_count--;
    const struct controller_partition *partition =
        keeper_code == KEEPER_SESSION_EXPIRED
            ? NULL
            : controller_find_partition(topic_of(item), item->alter->index);
    if (keeper_code == KEEPER_OK && partition != NULL)
        answer_item(item, partition);
    else if (keeper_code == KEEPER_SESSION_EXPIRED)
        end_item(item, KAFKA_NOT_CONTROLLER);
    else
        /* BAD_VERSION may come from a write of ours that was done, and sent again when its answer
         * was lost: the leader asks once more, and hears of the state that is read by then. */
        end_item(item, KAFKA_UNKNOWN_SERVER_ERROR);
}

/* A write of the controller's own for the partition comes first: it mostly fences this one. */
static void start_item(struct alter_item *item)
{
    struct alter_job *job = item->job;
    struct controller_driver *driver = job->job.admin->driver;
    const struct partition_alter *alter = item->alter;
    struct controller_topic *topic = topic_of(item);
    struct controller_partition *partition = controller_find_partition(topic, alter->index);
    if (topic == NULL && slice_is_null(alter->topic)) {
        end_item(item, KAFKA_UNKNOWN_TOPIC_ID);
        return;
    }
    if (partition == NULL || topic->deletion >= CONTROLLER_DELETION_STOPPING) {
        end_item(item, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        return;
    }
    if (partition->is_writing)
        return;
    struct controller_write write;
    const struct controller_alteration alteration = {
        .broker_id = job->request->broker_id,
        .leader_epoch = alter->leader_epoch,
        .partition_epoch = alter->partition_epoch,
        .recovery_state = alter->leader_recovery_state,
        .version = job->request->version,
        .isr_count = alter->isr_count,
        .isr = alter->isr,
    };
    const int16_t code =
        controller_alteration_check(&driver->controller, partition, &alteration, &write);
    if (code != KAFKA_NONE) {
        end_item(item, code);
    } else if (write.partition == NULL) {
        answer_item(item, partition);
    } else if (controller_writer_write_aside(driver, &write, &item->watcher)) {
        item->state = ITEM_IS_WRITTEN;
        job->open_count++;
    } else {
        end_item(item, KAFKA_UNKNOWN_SERVER_ERROR);
    }
}

static bool advance(struct partition_job *base)
{
    struct alter_job *job = CONTAINER_OF(base, struct alter_job, job);
    struct alter_partitions *request = job->request;
    bool is_done = true;
    if (!partition_admin_is_controller(base->admin)) {
        request->error_code = KAFKA_NOT_CONTROLLER;
        return job->open_count == 0;
    }
    if (!job->is_checked) {
        job->is_checked = true;
        request->error_code = controller_alteration_check_broker(
            &base->admin->driver->controller, request->broker_id, request->broker_epoch);
        if (request->error_code != KAFKA_NONE)
            return true;
    }
    for (uint32_t index = 0; index < request->partition_count; index++) {
        if (job->items[index].state == ITEM_WAITS)
            start_item(&job->items[index]);
        is_done = is_done && job->items[index].state == ITEM_DONE;
    }
    return is_done;
}

static void finish(struct partition_job *base)
{
    struct alter_job *job = CONTAINER_OF(base, struct alter_job, job);
    struct alter_partitions *request = job->request;
    heap_give(base->admin->heap, job);
    request->done(request);
}

void isr_admin_alter(struct partition_admin *admin, struct alter_partitions *request)
{
    struct alter_job *job = heap_take_zeroed(admin->heap, sizeof *job + request->partition_count *
                                                                            sizeof job->items[0]);
    request->error_code = KAFKA_NONE;
    if (job == NULL) {
        request->error_code = KAFKA_UNKNOWN_SERVER_ERROR;
        request->done(request); /* There is no memory to do it later. */
        return;
    }
    job->request = request;
    job->job.advance = advance;
    job->job.finish = finish;
    for (uint32_t index = 0; index < request->partition_count; index++)
        job->items[index] = (struct alter_item){
            .watcher.done = on_written, .job = job, .alter = &request->partitions[index]};
    partition_admin_add(admin, &job->job, 0);
}
