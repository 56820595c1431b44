#include "server/broker/controller_notices.h"

#include <stdio.h>

static const char elections_path[] = "/admin/preferred_replica_election";

/* ---- deleting ---- */

/* Its path is set. Takes op. */
static void remove_notice(struct controller_request *op)
{
    op->request.watch = NULL;
    controller_request_send_delete(op);
}

static struct controller_request *open_notice(struct controller_driver *driver, const char *path,
                                              struct slice name)
{
    struct controller_request *op = controller_request_acquire(driver, false);
    if (op != NULL)
        snprintf(op->path, sizeof op->path, "%s/%" SLICE_FORMAT, path, SLICE_ARGS(name));
    return op;
}

/* ---- changed ISRs ---- */

static void read_state(struct controller_driver *driver, const struct znode_partition_name *name)
{
    struct controller_partition *partition = controller_find_partition(
        controller_find_topic(&driver->controller, name->topic), name->index);
    if (partition == NULL || partition->is_writing) /* The write will find out. */
        return;
    struct controller_request *op = controller_request_acquire(driver, false);
    if (op == NULL)
        return;
    partition->is_writing = true;
    op->topic = partition->topic->user;
    op->partition = partition;
    controller_follower_read_state(op);
}

/* Shows each partition that the data names. */
static void read_names(struct controller_driver *driver, struct slice data,
                       void (*each)(struct controller_driver *driver,
                                    const struct znode_partition_name *name))
{
    struct znode_partition_names names;
    struct arena arena;
    void *memory = controller_follower_take_block(driver, data, &arena);
    if (znode_json_read_partition_names(data, &arena, &names) == ERR_OK)
        for (uint32_t index = 0; index < names.count; index++)
            each(driver, &names.items[index]);
    heap_give(driver->options.heap, memory);
}

static void on_isr_change_read(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_request *op = controller_request_of(request);
    if (controller_driver_is_over(op->driver, result)) {
        controller_request_release(op);
        return;
    }
    if (result->code == KEEPER_OK)
        read_names(op->driver, result->data, read_state);
    remove_notice(op);
}

/* ---- failed log directories ---- */

static void on_log_dir_event_read(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_request *op = controller_request_of(request);
    struct controller_driver *driver = op->driver;
    int32_t broker_id;
    if (controller_driver_is_over(driver, result)) {
        controller_request_release(op);
        return;
    }
    if (result->code == KEEPER_OK &&
        znode_json_read_log_dir_event(result->data, &broker_id) == ERR_OK) {
        struct controller_broker *broker = controller_find_broker(&driver->controller, broker_id);
        diag_warn(driver->options.diag, "broker %d has lost a log directory", (int)broker_id);
        if (broker != NULL)
            controller_outbox_repeat(broker);
    }
    remove_notice(op);
}

/* ---- both ---- */

static void read_each(struct controller_listing *listing, const struct keeper_result *result,
                      void (*done)(struct zk_request *request, const struct keeper_result *result))
{
    struct controller_driver *driver = listing->driver;
    for (int32_t index = 0;
         !controller_driver_is_over(driver, result) && index < result->child_count; index++) {
        struct controller_request *op = open_notice(driver, listing->path, result->children[index]);
        if (op == NULL)
            break;
        if (driver->is_loading)
            remove_notice(op);
        else
            controller_request_send(op, ZK_REQUEST_GET_DATA, done);
    }
    controller_driver_close_one(driver, false);
}

static void on_isr_changes_listed(struct zk_request *request, const struct keeper_result *result)
{
    read_each(controller_listing_of(request), result, on_isr_change_read);
}

static void on_log_dir_events_listed(struct zk_request *request, const struct keeper_result *result)
{
    read_each(controller_listing_of(request), result, on_log_dir_event_read);
}

/* ---- elections ---- */

static void want_preferred(struct controller_driver *driver,
                           const struct znode_partition_name *name)
{
    struct controller_partition *partition = controller_find_partition(
        controller_find_topic(&driver->controller, name->topic), name->index);
    if (partition == NULL)
        return;
    partition->wants |= CONTROLLER_WANT_PREFERRED;
    controller_decision_consider(&driver->controller, partition);
}

static void on_elections_read(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_request *op = controller_request_of(request);
    struct controller_driver *driver = op->driver;
    if (!controller_driver_is_over(driver, result) && result->code == KEEPER_OK) {
        read_names(driver, result->data, want_preferred);
        driver->ends_elections = true;
    }
    controller_request_release(op);
}

static void on_elections_seen(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_driver *driver = controller_listing_of(request)->driver;
    struct controller_request *op = NULL;
    if (!controller_driver_is_over(driver, result) && result->code == KEEPER_OK)
        op = controller_request_acquire(driver, false);
    if (op != NULL) {
        op->request.path = elections_path;
        controller_request_send(op, ZK_REQUEST_GET_DATA, on_elections_read);
    }
    controller_driver_close_one(driver, false);
}

bool controller_notices_end_elections(struct controller_driver *driver)
{
    if (!driver->ends_elections)
        return false;
    driver->ends_elections = false;
    struct controller_request *op = controller_request_acquire(driver, false);
    if (op == NULL)
        return false;
    snprintf(op->path, sizeof op->path, "%s", elections_path);
    remove_notice(op);
    return true;
}

/* ---- reassignments ---- */

static void on_reassignments_read(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_request *op = controller_request_of(request);
    struct controller_driver *driver = op->driver;
    if (!controller_driver_is_over(driver, result) && result->code == KEEPER_OK)
        driver->handler.on_reassignments(driver->handler.context, result->data,
                                         result->stat->version);
    controller_request_release(op);
}

static void on_reassignments_seen(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_listing *listing = controller_listing_of(request);
    struct controller_driver *driver = listing->driver;
    struct controller_request *op = NULL;
    if (!controller_driver_is_over(driver, result) && result->code == KEEPER_OK)
        op = controller_request_acquire(driver, false);
    if (op != NULL) {
        op->request.path = listing->path;
        controller_request_send(op, ZK_REQUEST_GET_DATA, on_reassignments_read);
    }
    controller_driver_close_one(driver, false);
}

/* ---- steps ---- */

bool controller_notices_step(struct controller_driver *driver)
{
    if (driver->isr_changes.is_dirty)
        controller_driver_read(&driver->isr_changes, ZK_REQUEST_GET_CHILDREN,
                               on_isr_changes_listed);
    else if (driver->log_dir_events.is_dirty)
        controller_driver_read(&driver->log_dir_events, ZK_REQUEST_GET_CHILDREN,
                               on_log_dir_events_listed);
    else if (driver->elections.is_dirty && !driver->is_loading)
        controller_driver_read(&driver->elections, ZK_REQUEST_EXISTS, on_elections_seen);
    else if (driver->reassignments.is_dirty && !driver->is_loading)
        controller_driver_read(&driver->reassignments, ZK_REQUEST_EXISTS, on_reassignments_seen);
    else
        return false;
    return true;
}

static void set_up_feature(struct controller_driver *driver)
{
    struct controller_request *op = controller_request_acquire(driver, false);
    if (op == NULL)
        return;
    struct arena arena;
    arena_init(&arena, op->data, sizeof op->data);
    op->request.path = "/feature";
    op->request.data = znode_json_write_feature(&arena, true);
    controller_request_send(op, ZK_REQUEST_CREATE,
                            controller_request_ignore); /* NODEEXISTS: as it should be. */
}

void controller_notices_begin(struct controller_driver *driver)
{
    set_up_feature(driver);
    while (controller_notices_step(driver))
        ;
}
