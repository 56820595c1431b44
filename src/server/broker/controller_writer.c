#include "server/broker/controller_writer.h"

#include <stdio.h>

#include "broker/controller_reassignment.h"
#include "server/broker/reassignment_znode.h"

/* ---- states ---- */

static void tell_watcher(struct controller_request *op, int32_t code)
{
    struct controller_writer_watcher *watcher = op->user;
    op->user = NULL;
    if (watcher != NULL)
        watcher->done(watcher, code);
}

static void on_state_written(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_request *op = controller_request_of(request);
    struct controller_driver *driver = op->driver;
    const int32_t code = controller_request_code(op, result);
    const uint32_t part = op->request.op_count - 1;
    switch (code) {
    case KEEPER_OK:
        controller_decision_written(&driver->controller, &op->write,
                                    op->write.is_first ? 0 : result->parts[part].stat->version);
        break;
    case KEEPER_SESSION_EXPIRED: break;
    case KEEPER_NODE_EXISTS:
        if (result->parts[1].code == KEEPER_NODE_EXISTS && op->request.op_count == 3) {
            /* The partition's node is there without its state. */
            op->ops[1] = op->ops[2];
            controller_request_send_checked(op, 2, on_state_written);
            return;
        }
        controller_follower_read_state(op);
        return;
    case KEEPER_BAD_VERSION:
        tell_watcher(op, code);
        controller_follower_read_state(op);
        return;
    default: /* The topic itself has gone, or the keeper has no room. */
        controller_decision_refused(&driver->controller, op->partition);
        op->topic->has_partitions_node = false;
        driver->topics.is_dirty = true;
        controller_driver_retry(driver);
    }
    tell_watcher(op, code);
    controller_request_release(op);
}

static void create_partitions_node(struct controller_driver *driver, struct driver_topic *topic)
{
    struct controller_request *op = controller_request_acquire(driver, false);
    if (op == NULL)
        return;
    snprintf(op->path, sizeof op->path, "%s/partitions", topic->path);
    op->ops[1] = (struct keeper_multi_op){.kind = KEEPER_MULTI_CREATE, .path = op->path};
    topic->has_partitions_node = true;
    controller_request_send_checked(
        op, 2, controller_request_ignore); /* NODEEXISTS: so much the better. */
}

static void send_state(struct controller_request *op)
{
    struct arena arena;
    arena_init(&arena, op->data, sizeof op->data);
    const struct slice data = znode_json_write_partition(&arena, &op->write.state);
    assert(data.data != NULL);
    controller_follower_print_path(op->path, op->topic, op->partition->index, "/state");
    controller_follower_print_path(op->path_parent, op->topic, op->partition->index, "");
    if (op->write.is_first) {
        op->ops[1] = (struct keeper_multi_op){.kind = KEEPER_MULTI_CREATE, .path = op->path_parent};
        op->ops[2] =
            (struct keeper_multi_op){.kind = KEEPER_MULTI_CREATE, .path = op->path, .data = data};
    } else {
        op->ops[1] = (struct keeper_multi_op){
            .kind = KEEPER_MULTI_SET_DATA,
            .path = op->path,
            .data = data,
            .version = op->write.state.partition_epoch,
        };
    }
    controller_request_send_checked(op, op->write.is_first ? 3 : 2, on_state_written);
}

static bool write_state(struct controller_driver *driver, const struct controller_write *write,
                        struct controller_writer_watcher *watcher)
{
    struct controller_request *op = controller_request_acquire(driver, watcher != NULL);
    if (op == NULL) {
        controller_decision_not_written(&driver->controller, write->partition);
        return false;
    }
    op->topic = write->partition->topic->user;
    op->partition = write->partition;
    op->write = *write;
    op->write.state.isr = op->write.isr;
    op->user = watcher;
    send_state(op);
    return true;
}

void controller_writer_write_states(struct controller_driver *driver)
{
    struct controller_write write;
    while (controller_driver_has_room(driver) &&
           controller_decision_next(&driver->controller, &write)) {
        struct driver_topic *topic = write.partition->topic->user;
        if (write.is_first && !topic->has_partitions_node)
            create_partitions_node(driver, topic);
        if (!write_state(driver, &write, NULL))
            return;
    }
}

bool controller_writer_write_aside(struct controller_driver *driver,
                                   const struct controller_write *write,
                                   struct controller_writer_watcher *watcher)
{
    return write_state(driver, write, watcher);
}

/* ---- whether leaders may be unclean ---- */

static bool is_unclean(const struct controller_driver *driver, struct slice data)
{
    static const struct slice name = SLICE_LITERAL("unclean.leader.election.enable");
    struct config_store_entries entries;
    bool is_allowed = driver->options.store->defaults.unclean_leader_election_enable;
    if (config_store_read(driver->options.heap, data, &entries) != ERR_OK)
        return is_allowed;
    const struct slice value = config_store_find(&entries.config, name);
    if (!slice_is_null(value))
        is_allowed = slice_equal_text(value, "true");
    config_store_release(driver->options.heap, &entries);
    return is_allowed;
}

static void on_config_read(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_request *op = controller_request_of(request);
    struct controller_driver *driver = op->driver;
    if (!controller_driver_is_over(driver, result)) {
        const bool is_allowed = is_unclean(driver, result->data);
        op->topic->topic->unclean = is_allowed ? CONTROLLER_UNCLEAN : CONTROLLER_CLEAN;
        controller_decision_consider_topic(&driver->controller, op->topic->topic);
    }
    controller_request_release(op);
}

/* The watch needs its path for as long as it lives. False: no memory. */
static bool print_config_path(struct driver_topic *topic)
{
    if (topic->config_path != NULL)
        return true;
    topic->config_path = heap_take(topic->driver->options.heap, driver_topic_path_size);
    if (topic->config_path == NULL)
        return false;
    snprintf(topic->config_path, driver_topic_path_size, "/config/topics/%" SLICE_FORMAT,
             SLICE_ARGS(topic->name));
    return true;
}

void controller_writer_ask(struct controller_driver *driver)
{
    while (controller_driver_has_room(driver) && !list_empty(&driver->controller.to_ask)) {
        struct controller_topic *topic =
            CONTAINER_OF(list_first(&driver->controller.to_ask), struct controller_topic, to_ask);
        struct driver_topic *followed = topic->user;
        if (!print_config_path(followed)) {
            controller_driver_retry(driver);
            return;
        }
        struct controller_request *op = controller_request_acquire(driver, false);
        if (op == NULL)
            return;
        list_remove(&topic->to_ask);
        keeper_client_disarm(driver->options.session->client, &followed->config_watch);
        op->topic = followed;
        op->request.path = followed->config_path;
        op->request.watch = &followed->config_watch;
        controller_request_send(op, ZK_REQUEST_GET_DATA, on_config_read);
    }
}

/* ---- topics whose reassignment is complete ---- */

static void on_topic_written(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_request *op = controller_request_of(request);
    const int32_t code = controller_request_code(op, result);
    op->topic->is_written = false;
    if (code == KEEPER_BAD_VERSION)
        controller_follower_enqueue(&op->driver->to_read, op->topic); /* And then once more. */
    else if (code == KEEPER_OK)
        diag_info(op->driver->options.diag, "topic %" SLICE_FORMAT ": replicas have moved",
                  SLICE_ARGS(op->topic->name));
    controller_request_release(op);
}

/* The data watch fires when it is done, and the topic is read again. */
static void finish_moves(struct controller_driver *driver, struct driver_topic *topic)
{
    struct controller_request *op = controller_request_acquire(driver, false);
    if (op == NULL)
        return;
    const struct slice data =
        reassignment_znode_write(driver->options.heap, topic->topic, NULL, 0, &op->block);
    if (data.data == NULL) {
        diag_error(driver->options.diag, "no memory for the assignment of a topic");
        controller_request_release(op);
        return;
    }
    topic->topic->has_moved = false;
    topic->is_written = true;
    op->topic = topic;
    op->ops[1] = (struct keeper_multi_op){
        .kind = KEEPER_MULTI_SET_DATA,
        .path = topic->path,
        .data = data,
        .version = topic->topic->znode_version,
    };
    controller_request_send_checked(op, 2, on_topic_written);
}

void controller_writer_finish_moves(struct controller_driver *driver)
{
    if (driver->controller.moving_count == 0)
        return;
    list_each (link, &driver->controller.topics) {
        struct controller_topic *topic = CONTAINER_OF(link, struct controller_topic, link);
        struct driver_topic *followed = topic->user;
        if (topic->has_moved && !followed->is_written && !list_linked(&followed->link) &&
            topic->deletion < CONTROLLER_DELETION_STOPPING)
            finish_moves(driver, followed);
    }
}
