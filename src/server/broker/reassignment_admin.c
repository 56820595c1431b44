#include "server/broker/controller_follower.h"
#include "server/broker/partition_admin.h"
#include "server/broker/reassignment_znode.h"

#include <stdio.h>

enum move_state { MOVE_NEW, MOVE_IS_WRITTEN, MOVE_IS_READ, MOVE_DONE };

struct move_job {
    struct partition_job job;
    struct alter_reassignments *request;
    uint32_t open_count; /* Writes in flight. */
};

/* The znode of one topic on its way, with all that the job wants of the topic. */
struct move_write {
    struct move_job *job;
    struct controller_request *op;
    struct slice topic;
    int32_t version;
    uint32_t change_count;
    struct reassignment_change changes[];
};

static struct controller_topic *topic_of(const struct move_job *job,
                                         const struct partition_reassignment *item)
{
    return controller_find_topic(&job->job.admin->driver->controller, item->topic);
}

static void end_item(struct partition_reassignment *item, int16_t error_code)
{
    item->state = MOVE_DONE;
    item->error_code = error_code;
}

static void end_missing(struct partition_reassignment *item)
{
    snprintf(item->reason, sizeof item->reason, "The partition does not exist.");
    end_item(item, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
}

/* ---- one topic ---- */

static void set_states(struct move_job *job, struct slice topic, enum move_state from,
                       enum move_state to)
{
    for (uint32_t index = 0; index < job->request->partition_count; index++) {
        struct partition_reassignment *item = &job->request->partitions[index];
        if (item->state == (int)from && slice_equal(item->topic, topic))
            item->state = (int)to;
    }
}

static void on_written(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_request *op = controller_request_of(request);
    struct move_write *write = op->user;
    struct move_job *job = write->job;
    struct controller_driver *driver = op->driver;
    const int32_t code = controller_request_code(op, result);
    assert(job->open_count > 0);
    job->open_count--;
    if (code != KEEPER_SESSION_EXPIRED) {
        op->topic->is_written = false;
        controller_follower_enqueue(&driver->to_read, op->topic);
    }
    /* After a change by somebody else it is planned again, from what that has made. */
    set_states(job, write->topic, MOVE_IS_WRITTEN,
               code == KEEPER_BAD_VERSION ? MOVE_NEW : MOVE_IS_READ);
    if (code != KEEPER_OK && code != KEEPER_BAD_VERSION && code != KEEPER_SESSION_EXPIRED)
        for (uint32_t index = 0; index < job->request->partition_count; index++) {
            struct partition_reassignment *item = &job->request->partitions[index];
            if (item->state == MOVE_IS_READ && slice_equal(item->topic, write->topic))
                end_item(item, KAFKA_UNKNOWN_SERVER_ERROR);
        }
    heap_give(driver->options.heap, write);
    controller_request_release(op);
}

/* Plans the item into the write; false: it has ended. */
static bool plan_item(struct move_job *job, struct partition_reassignment *item,
                      struct move_write *write)
{
    const struct controller *controller = &job->job.admin->driver->controller;
    const struct controller_topic *topic = topic_of(job, item);
    const struct controller_partition *partition = controller_find_partition(topic, item->index);
    if (partition == NULL || topic->deletion != CONTROLLER_KEPT) {
        end_missing(item);
        return false;
    }
    struct reassignment_change *change = &write->changes[write->change_count];
    change->index = item->index;
    const int16_t code = controller_reassignment_plan(
        controller, partition,
        (struct controller_target){
            .is_cancel = item->is_cancel, .count = item->replica_count, .ids = item->replicas},
        &change->assignment, item->reason);
    if (code != KAFKA_NONE) {
        end_item(item, code);
        return false;
    }
    write->change_count++;
    item->state = MOVE_IS_WRITTEN;
    return true;
}

static void send(struct move_write *write, struct controller_topic *topic)
{
    struct move_job *job = write->job;
    struct controller_driver *driver = job->job.admin->driver;
    struct controller_request *op = controller_request_acquire(driver, true);
    struct slice data = SLICE_NULL;
    if (op != NULL)
        data = reassignment_znode_write(driver->options.heap, topic, write->changes,
                                        write->change_count, &op->block);
    if (data.data == NULL) {
        set_states(job, write->topic, MOVE_IS_WRITTEN, MOVE_NEW); /* Until there is memory. */
        heap_give(driver->options.heap, write);
        if (op != NULL)
            controller_request_release(op);
        return;
    }
    op->topic = topic->user;
    op->topic->is_written = true;
    op->user = write;
    op->ops[1] = (struct keeper_multi_op){
        .kind = KEEPER_MULTI_SET_DATA,
        .path = op->topic->path,
        .data = data,
        .version = topic->znode_version,
    };
    job->open_count++;
    controller_request_send_checked(op, 2, on_written);
}

/* Everything that is wanted of the topic, in one write. */
static void write_topic(struct move_job *job, struct controller_topic *topic)
{
    struct alter_reassignments *request = job->request;
    struct heap *heap = job->job.admin->heap;
    struct move_write *write =
        heap_take_zeroed(heap, sizeof *write + request->partition_count * sizeof write->changes[0]);
    if (write == NULL)
        return; /* Until there is memory, or it is late. */
    write->job = job;
    write->version = topic->znode_version;
    for (uint32_t index = 0; index < request->partition_count; index++) {
        struct partition_reassignment *item = &request->partitions[index];
        if (item->state == MOVE_NEW && slice_equal(item->topic, topic->name) &&
            plan_item(job, item, write))
            write->topic = item->topic;
    }
    if (write->change_count > 0)
        send(write, topic);
    else
        heap_give(heap, write);
}

/* ---- the job ---- */

static bool is_busy(const struct driver_topic *topic)
{
    return topic->is_written || list_linked(&topic->link);
}

static void advance_item(struct move_job *job, struct partition_reassignment *item)
{
    struct controller_topic *topic = topic_of(job, item);
    const struct driver_topic *followed = topic == NULL ? NULL : topic->user;
    switch ((enum move_state)item->state) {
    case MOVE_NEW:
        if (topic == NULL)
            end_missing(item);
        else if (!is_busy(followed))
            write_topic(job, topic);
        return;
    case MOVE_IS_READ: /* It is under way when what was written has been read. */
        if (topic == NULL || (!is_busy(followed) && job->job.admin->driver->open_count == 0))
            end_item(item, KAFKA_NONE);
        return;
    case MOVE_IS_WRITTEN:
    case MOVE_DONE: return;
    }
}

static bool advance(struct partition_job *base)
{
    struct move_job *job = CONTAINER_OF(base, struct move_job, job);
    struct alter_reassignments *request = job->request;
    bool is_done = true;
    if (!partition_admin_is_controller(base->admin)) {
        request->error_code = KAFKA_NOT_CONTROLLER;
        return job->open_count == 0;
    }
    for (uint32_t index = 0; index < request->partition_count; index++) {
        struct partition_reassignment *item = &request->partitions[index];
        advance_item(job, item);
        if (base->is_late && item->state == MOVE_NEW)
            end_item(item, KAFKA_REQUEST_TIMED_OUT);
        is_done = is_done && item->state == MOVE_DONE;
    }
    return is_done;
}

static void finish(struct partition_job *base)
{
    struct move_job *job = CONTAINER_OF(base, struct move_job, job);
    struct alter_reassignments *request = job->request;
    heap_give(base->admin->heap, job);
    request->done(request);
}

void reassignment_admin_alter(struct partition_admin *admin, struct alter_reassignments *request)
{
    struct move_job *job = heap_take_zeroed(admin->heap, sizeof *job);
    request->error_code = job == NULL ? KAFKA_UNKNOWN_SERVER_ERROR : KAFKA_NONE;
    for (uint32_t index = 0; index < request->partition_count; index++) {
        request->partitions[index].error_code = KAFKA_NONE;
        request->partitions[index].reason[0] = '\0';
        request->partitions[index].state = MOVE_NEW;
    }
    if (job == NULL) {
        request->done(request); /* There is no memory to do it later. */
        return;
    }
    job->request = request;
    job->job.advance = advance;
    job->job.finish = finish;
    partition_admin_add(admin, &job->job, (int32_t)max_i64(request->timeout_ms, 1));
}

/* ---- what is under way ---- */

static void describe(const struct controller_partition *partition,
                     void (*each)(void *context,
                                  const struct reassignment_description *description),
                     void *context)
{
    struct controller_assignment now;
    controller_reassignment_now(partition, &now);
    if (now.adding_count + now.removing_count == 0)
        return;
    const struct reassignment_description description = {
        .topic = partition->topic->name,
        .index = partition->index,
        .replica_count = now.replica_count,
        .adding_count = now.adding_count,
        .removing_count = now.removing_count,
        .replicas = now.replicas,
        .adding = now.adding,
        .removing = now.removing,
    };
    each(context, &description);
}

void reassignment_admin_each(const struct partition_admin *admin,
                             void (*each)(void *context,
                                          const struct reassignment_description *description),
                             void *context)
{
    const struct controller *controller = &admin->driver->controller;
    if (controller->moving_count == 0)
        return;
    list_each (link, &controller->topics) {
        const struct controller_topic *topic =
            CONTAINER_OF(link, const struct controller_topic, link);
        for (uint32_t index = 0; index < topic->partition_count; index++)
            if (controller_reassignment_is_under_way(topic->partitions[index]))
                describe(topic->partitions[index], each, context);
    }
}
