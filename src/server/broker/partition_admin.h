/* What brokers and administrators ask of the controller about partitions: ISRs changed, leaders
 * elected, replicas moved, a broker that wants to stop.
 *
 * A request is a job that advances whenever the controller has made progress, until it can be
 * answered; answers never leave inside the call that brought the request. When this broker is not
 * the controller, or is not any more, the answer says so.
 *
 *   isr_admin           control_alter_partitions
 *   election_admin      control_elect_leaders, control_shut_down_broker
 *   reassignment_admin  control_alter_reassignments, control_list_reassignments
 *
 * Memory: counted heap for each request. Shard: one owner.
 */
#ifndef SERVER_BROKER_PARTITION_ADMIN_H
#define SERVER_BROKER_PARTITION_ADMIN_H

#include "server/broker/control.h"
#include "server/broker/controller_driver.h"

struct partition_admin {
    struct heap *heap;
    struct diag *diag;
    struct delay_queue *delays;
    struct controller_driver *driver;
    struct metadata_view *view;
    struct metadata_listener listener;
    struct list jobs;
    struct delay soon;
    bool is_advancing;
    bool is_stopping;
};

struct partition_job {
    struct list link;
    struct partition_admin *admin;
    struct delay delay;
    bool is_late; /* Its time is over. */
    /* Whether it can be answered; it is asked again and again. */
    bool (*advance)(struct partition_job *job);
    /* Answers. Takes job. */
    void (*finish)(struct partition_job *job);
};

void partition_admin_init(struct partition_admin *admin, struct partition_admin options);

/* Has the job advance as long as it lives. timeout_ms: when it is late; at most 0: never. */
void partition_admin_add(struct partition_admin *admin, struct partition_job *job,
                         int32_t timeout_ms);

/* The controller has made progress. */
void partition_admin_advance(struct partition_admin *admin);

/* Answers what waits. Idle when it is true; call it again until then. */
bool partition_admin_stop(struct partition_admin *admin);

/* Whether this broker is the controller and knows the cluster. */
static inline bool partition_admin_is_controller(const struct partition_admin *admin)
{
    return !admin->is_stopping && controller_driver_is_at_work(admin->driver);
}

/* Each kind of request: done follows. */
void isr_admin_alter(struct partition_admin *admin, struct alter_partitions *request);
void election_admin_elect(struct partition_admin *admin, struct elect_leaders *request);
void election_admin_shut_down(struct partition_admin *admin, struct shut_down_broker *request);
void reassignment_admin_alter(struct partition_admin *admin, struct alter_reassignments *request);

/* Shows every reassignment that is under way: each runs at once. */
void reassignment_admin_each(const struct partition_admin *admin,
                             void (*each)(void *context,
                                          const struct reassignment_description *description),
                             void *context);

#endif
