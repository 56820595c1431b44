#include "server/broker/reassignment_job.h"

#include "server/broker/controller_request.h"

#include <stdio.h>

#include "broker/controller_reassignment.h"

enum { block_per_byte = 64, block_least = 4096 };

static const char path[] = "/admin/reassign_partitions";

enum phase { PHASE_ASKS, PHASE_MOVES, PHASE_DELETES, PHASE_OVER };

/* What stands in the znode, until it has been done. */
struct znode_job {
    struct partition_job job;
    struct alter_reassignments request;
    enum phase phase;
    int32_t version; /* Of the znode. */
    void *block;     /* Of the names and the replicas. */
};

static void on_begun(struct alter_reassignments *request)
{
    struct znode_job *job = request->user;
    for (uint32_t index = 0; index < request->partition_count; index++) {
        const struct partition_reassignment *item = &request->partitions[index];
        if (item->error_code != KAFKA_NONE)
            diag_warn(job->job.admin->diag, "%s: %" SLICE_FORMAT "-%d: %s %s", path,
                      SLICE_ARGS(item->topic), (int)item->index, kafka_error_name(item->error_code),
                      item->reason);
    }
    job->phase = PHASE_MOVES;
    delay_queue_add(job->job.admin->delays, &job->job.admin->soon, 0);
}

static bool is_any_under_way(const struct znode_job *job)
{
    const struct controller *controller = &job->job.admin->driver->controller;
    for (uint32_t index = 0; index < job->request.partition_count; index++) {
        const struct partition_reassignment *item = &job->request.partitions[index];
        const struct controller_partition *partition =
            controller_find_partition(controller_find_topic(controller, item->topic), item->index);
        if (partition != NULL && controller_reassignment_is_under_way(partition))
            return true;
    }
    return false;
}

/* A version that does not fit: it has been written anew, and its watch has told. */
static void on_deleted(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_request *op = controller_request_of(request);
    struct znode_job *job = op->user;
    (void)controller_request_code(op, result);
    job->phase = PHASE_OVER;
    controller_request_release(op);
}

static void delete_node(struct znode_job *job)
{
    struct controller_request *op = controller_request_acquire(job->job.admin->driver, true);
    if (op == NULL)
        return;
    job->phase = PHASE_DELETES;
    op->user = job;
    op->ops[1] = (struct keeper_multi_op){
        .kind = KEEPER_MULTI_DELETE, .path = path, .version = job->version};
    controller_request_send_checked(op, 2, on_deleted);
}

static bool advance(struct partition_job *base)
{
    struct znode_job *job = CONTAINER_OF(base, struct znode_job, job);
    if (!partition_admin_is_controller(base->admin))
        return job->phase == PHASE_MOVES || job->phase == PHASE_OVER;
    if (job->phase == PHASE_MOVES && !is_any_under_way(job))
        delete_node(job);
    return job->phase == PHASE_OVER;
}

static void finish(struct partition_job *base)
{
    struct znode_job *job = CONTAINER_OF(base, struct znode_job, job);
    struct heap *heap = base->admin->heap;
    heap_give(heap, job->request.partitions);
    heap_give(heap, job->block);
    heap_give(heap, job);
}

static void fill(struct znode_job *job, const struct znode_reassignments *wanted)
{
    for (uint32_t index = 0; index < wanted->count; index++)
        job->request.partitions[index] = (struct partition_reassignment){
            .topic = wanted->items[index].name.topic,
            .index = wanted->items[index].name.index,
            .replica_count = wanted->items[index].replicas.count,
            .replicas = wanted->items[index].replicas.ids,
        };
    job->request.partition_count = wanted->count;
}

void reassignment_job_read(struct partition_admin *admin, struct slice data, int32_t version)
{
    const size_t size = data.size * block_per_byte + block_least;
    struct znode_job *job = heap_take_zeroed(admin->heap, sizeof *job);
    void *block = heap_take(admin->heap, size);
    struct znode_reassignments wanted = {0};
    struct arena arena;
    arena_init(&arena, block, block == NULL ? 0 : size);
    const enum err err = znode_json_read_reassignments(data, &arena, &wanted);
    if (job != NULL && err == ERR_OK)
        job->request.partitions =
            heap_take_zeroed(admin->heap, (wanted.count + 1) * sizeof *job->request.partitions);
    if (job == NULL || job->request.partitions == NULL) {
        diag_error(admin->diag, "%s: %s", path, err_text(err == ERR_OK ? ERR_NO_MEMORY : err));
        heap_give(admin->heap, block);
        heap_give(admin->heap, job);
        return;
    }
    job->block = block;
    job->version = version;
    job->job.advance = advance;
    job->job.finish = finish;
    fill(job, &wanted);
    job->request.timeout_ms = INT32_MAX;
    job->request.done = on_begun;
    job->request.user = job;
    partition_admin_add(admin, &job->job, 0);
    reassignment_admin_alter(admin, &job->request);
}
