#include "server/broker/controller_cleaner.h"

#include <stdio.h>

#include "broker/controller_deletion.h"

/* ---- marks ---- */

static void remove_mark(struct controller_driver *driver, struct slice name)
{
    struct controller_request *op = controller_request_acquire(driver, false);
    if (op == NULL) {
        controller_driver_list_again(driver);
        return;
    }
    snprintf(op->path, sizeof op->path, "/admin/delete_topics/%" SLICE_FORMAT, SLICE_ARGS(name));
    controller_request_send_delete(op);
}

static void on_deletions_listed(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_driver *driver = controller_listing_of(request)->driver;
    for (int32_t index = 0;
         !controller_driver_is_over(driver, result) && index < result->child_count; index++) {
        struct controller_topic *topic =
            controller_find_topic(&driver->controller, result->children[index]);
        if (topic == NULL || !driver->options.delete_topic_enable) {
            remove_mark(driver, result->children[index]);
        } else if (topic->deletion == CONTROLLER_KEPT) {
            topic->deletion = CONTROLLER_DELETION_WANTED;
            driver->deleting_count++;
        }
    }
    controller_driver_close_one(driver, false);
}

void controller_cleaner_list(struct controller_driver *driver)
{
    controller_driver_read(&driver->deletions, ZK_REQUEST_GET_CHILDREN, on_deletions_listed);
}

/* ---- deletions ---- */

static void begin(struct controller_driver *driver, struct controller_topic *topic)
{
    struct driver_topic *followed = topic->user;
    if (!controller_deletion_can_begin(topic) || followed->is_written)
        return;
    list_remove(&followed->link); /* What its znode says does not matter any more. */
    if (controller_deletion_begin(&driver->controller, topic) != ERR_OK)
        diag_error(driver->options.diag, "no memory to delete a topic");
}

bool controller_cleaner_step(struct controller_driver *driver)
{
    bool has_ended = false;
    if (driver->deleting_count == 0)
        return false;
    list_each_safe (link, after, &driver->controller.topics) {
        struct controller_topic *topic = CONTAINER_OF(link, struct controller_topic, link);
        if (topic->deletion == CONTROLLER_KEPT)
            continue;
        if (topic->deletion == CONTROLLER_DELETION_WANTED)
            begin(driver, topic);
        if (topic->deletion == CONTROLLER_DELETION_STOPPING &&
            controller_deletion_is_done(&driver->controller, topic)) {
            struct driver_topic *followed = topic->user;
            topic->deletion = CONTROLLER_DELETION_REMOVING;
            followed->cursor = 0;
            controller_follower_enqueue(&driver->to_clear, followed);
            has_ended = true;
        }
    }
    return has_ended;
}

/* ---- znodes ---- */

/* False: no memory. */
static bool remove_node(struct controller_driver *driver, const char *path, const char *end)
{
    struct controller_request *op = controller_request_acquire(driver, false);
    if (op == NULL)
        return false;
    snprintf(op->path, sizeof op->path, "%s%s", path, end);
    controller_request_send_delete(op);
    return true;
}

/* The last nodes; a crash before the mark goes lets the next controller go on from there. Settings
 * before the topic: once that is gone another one may be made, with its own. False: no memory for
 * all of it; what is removed again then is not there. */
static bool clear_topic(struct driver_topic *topic)
{
    struct controller_driver *driver = topic->driver;
    const char *name = topic->path + strlen("/brokers/topics/");
    if (!remove_node(driver, topic->path, "/partitions") ||
        !remove_node(driver, "/config/topics/", name) || !remove_node(driver, topic->path, "") ||
        !remove_node(driver, "/admin/delete_topics/", name))
        return false;
    diag_info(driver->options.diag, "topic %s is deleted", name);
    controller_follower_drop_topic(topic);
    return true;
}

/* The next one. False: no memory. */
static bool clear_partition(struct driver_topic *topic)
{
    char end[64];
    snprintf(end, sizeof end, "/partitions/%u/state", (unsigned)topic->cursor);
    if (!remove_node(topic->driver, topic->path, end))
        return false;
    snprintf(end, sizeof end, "/partitions/%u", (unsigned)topic->cursor);
    if (!remove_node(topic->driver, topic->path, end))
        return false;
    topic->cursor++;
    return true;
}

void controller_cleaner_clear_topics(struct controller_driver *driver)
{
    while (controller_driver_has_room(driver) && !list_empty(&driver->to_clear)) {
        struct driver_topic *topic =
            CONTAINER_OF(list_first(&driver->to_clear), struct driver_topic, link);
        if (topic->cursor < topic->topic->partition_count ? !clear_partition(topic)
                                                          : !clear_topic(topic))
            return;
    }
}
