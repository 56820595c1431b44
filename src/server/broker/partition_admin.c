#include "server/broker/partition_admin.h"

static void on_soon(struct delay *delay)
{
    partition_admin_advance(CONTAINER_OF(delay, struct partition_admin, soon));
}

static void on_metadata(struct metadata_listener *listener)
{
    struct partition_admin *admin = CONTAINER_OF(listener, struct partition_admin, listener);
    if (!list_empty(&admin->jobs))
        delay_queue_add(admin->delays, &admin->soon, 0);
}

void partition_admin_init(struct partition_admin *admin, struct partition_admin options)
{
    *admin = options;
    list_init(&admin->jobs);
    admin->soon.expired = on_soon;
    admin->listener.changed = on_metadata;
    metadata_view_listen(admin->view, &admin->listener);
}

static void on_late(struct delay *delay)
{
    struct partition_job *job = CONTAINER_OF(delay, struct partition_job, delay);
    job->is_late = true;
    partition_admin_advance(job->admin);
}

void partition_admin_add(struct partition_admin *admin, struct partition_job *job,
                         int32_t timeout_ms)
{
    job->admin = admin;
    job->delay.expired = on_late;
    list_push(&admin->jobs, &job->link);
    if (timeout_ms > 0)
        delay_queue_add(admin->delays, &job->delay, (uint64_t)timeout_ms);
    delay_queue_add(admin->delays, &admin->soon, 0);
}

/* A job that advances may stir the controller, whose progress is heard here once more. */
void partition_admin_advance(struct partition_admin *admin)
{
    if (admin->is_advancing)
        return;
    admin->is_advancing = true;
    list_each_safe (link, after, &admin->jobs) {
        struct partition_job *job = CONTAINER_OF(link, struct partition_job, link);
        if (!job->advance(job))
            continue;
        delay_queue_remove(admin->delays, &job->delay);
        list_remove(&job->link);
        job->finish(job);
    }
    admin->is_advancing = false;
}

bool partition_admin_stop(struct partition_admin *admin)
{
    admin->is_stopping = true;
    partition_admin_advance(admin);
    if (!list_empty(&admin->jobs))
        return false;
    delay_queue_remove(admin->delays, &admin->soon);
    return true;
}
