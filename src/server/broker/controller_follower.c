#include "server/broker/controller_follower.h"

#include <stdio.h>

#include "broker/topic_name.h"

enum {
    topic_block_per_byte = 24, /* Of a topic's JSON, when it is read. */
    topic_block_least = 4096
};

static void on_topic_fired(struct keeper_watch *watch, enum keeper_event_type type);
static void on_config_fired(struct keeper_watch *watch, enum keeper_event_type type);
static void on_broker_fired(struct keeper_watch *watch, enum keeper_event_type type);

void *controller_follower_take_block(struct controller_driver *driver, struct slice data,
                                     struct arena *arena)
{
    const size_t size = data.size * topic_block_per_byte + topic_block_least;
    void *memory = heap_take(driver->options.heap, size);
    arena_init(arena, memory, memory == NULL ? 0 : size);
    return memory;
}

void controller_follower_print_path(char path[controller_request_path_size],
                                    const struct driver_topic *topic, int32_t index,
                                    const char *end)
{
    snprintf(path, controller_request_path_size, "%s/partitions/%d%s", topic->path, (int)index,
             end);
}

/* ---- topics and brokers as the driver follows them ---- */

static struct driver_topic *add_topic(struct controller_driver *driver, struct slice name)
{
    if (name.size > topic_name_size_max)
        return NULL;
    struct driver_topic *topic = heap_take_zeroed(driver->options.heap, sizeof *topic);
    if (topic == NULL) {
        controller_driver_list_again(driver);
        return NULL;
    }
    const int size = snprintf(topic->path, sizeof topic->path, "/brokers/topics/%" SLICE_FORMAT,
                              SLICE_ARGS(name));
    topic->driver = driver;
    topic->name = slice_of(topic->path + size - name.size, name.size);
    topic->watch.fired = on_topic_fired;
    topic->config_watch.fired = on_config_fired;
    list_push(&driver->followed, &topic->all);
    list_push(&driver->to_read, &topic->link);
    return topic;
}

void controller_follower_drop_topic(struct driver_topic *topic)
{
    struct controller_driver *driver = topic->driver;
    keeper_client_disarm(driver->options.session->client, &topic->watch);
    keeper_client_disarm(driver->options.session->client, &topic->config_watch);
    list_remove(&topic->link);
    list_remove(&topic->all);
    if (topic->topic != NULL) {
        driver->deleting_count -= topic->topic->deletion != CONTROLLER_KEPT;
        controller_remove_topic(&driver->controller, topic->topic);
    }
    heap_give(driver->options.heap, topic->config_path);
    heap_give(driver->options.heap, topic);
}

void controller_follower_enqueue(struct list *queue, struct driver_topic *topic)
{
    list_remove(&topic->link);
    list_push(queue, &topic->link);
}

static void on_topic_fired(struct keeper_watch *watch, enum keeper_event_type type)
{
    struct driver_topic *topic = CONTAINER_OF(watch, struct driver_topic, watch);
    struct controller_driver *driver = topic->driver;
    if (type == KEEPER_WATCH_ENDED || driver->is_draining)
        return;
    if (type == KEEPER_NODE_DATA_CHANGED &&
        (topic->topic == NULL || topic->topic->deletion < CONTROLLER_DELETION_STOPPING))
        controller_follower_enqueue(&driver->to_read, topic);
    controller_driver_run(driver);
}

/* Whether its leaders may be unclean is to be asked again. */
static void on_config_fired(struct keeper_watch *watch, enum keeper_event_type type)
{
    struct driver_topic *topic = CONTAINER_OF(watch, struct driver_topic, config_watch);
    struct controller_driver *driver = topic->driver;
    if (type == KEEPER_WATCH_ENDED || driver->is_draining || topic->topic == NULL)
        return;
    topic->topic->unclean = CONTROLLER_UNCLEAN_UNKNOWN;
    controller_decision_consider_topic(&driver->controller, topic->topic);
    controller_driver_run(driver);
}

void controller_follower_drop_broker(struct controller_driver *driver,
                                     struct controller_broker *broker)
{
    struct driver_broker *followed = broker->user;
    keeper_client_disarm(driver->options.session->client, &followed->watch);
    controller_channel_close(followed->channel);
    heap_give(driver->options.heap, followed);
    controller_remove_broker(&driver->controller, broker);
}

static void on_broker_fired(struct keeper_watch *watch, enum keeper_event_type type)
{
    struct driver_broker *broker = CONTAINER_OF(watch, struct driver_broker, watch);
    if (type == KEEPER_WATCH_ENDED || broker->driver->is_draining)
        return;
    broker->is_dirty = true;
    broker->driver->brokers.is_dirty = true;
    controller_driver_run(broker->driver);
}

/* ---- brokers ---- */

/* It is listed, and was not known or has other endpoints. */
static enum err learn_broker(struct driver_broker *followed, const struct broker_record *record)
{
    struct controller_driver *driver = followed->driver;
    struct controller_broker *broker;
    if (followed->channel == NULL) {
        followed->channel = controller_channel_open(driver, record);
        if (followed->channel == NULL)
            return ERR_NO_MEMORY;
        diag_info(driver->options.diag, "broker %d is there, epoch %lld", (int)record->id,
                  (long long)record->epoch);
    } else {
        controller_channel_move(followed->channel, record);
    }
    const enum err err = controller_set_broker(&driver->controller, record, &broker);
    if (err == ERR_OK)
        broker->user = followed;
    return err;
}

static void forget(struct driver_broker *followed)
{
    struct controller_driver *driver = followed->driver;
    keeper_client_disarm(driver->options.session->client, &followed->watch);
    controller_channel_close(followed->channel);
    heap_give(driver->options.heap, followed);
}

static void on_broker_read(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_request *op = controller_request_of(request);
    struct controller_driver *driver = op->driver;
    struct driver_broker *followed = op->broker;
    struct controller_broker *known = controller_find_broker(&driver->controller, followed->id);
    struct znode_broker znode;
    struct arena arena;
    void *memory = controller_follower_take_block(driver, result->data, &arena);
    enum err err = ERR_NOT_FOUND;
    if (!controller_driver_is_over(driver, result) && result->code == KEEPER_OK)
        err = znode_json_read_broker(result->data, &arena, &znode);
    if (err == ERR_OK) {
        znode.record.id = followed->id;
        znode.record.epoch = result->stat->czxid;
        if (known != NULL && known->record.epoch != znode.record.epoch) {
            /* It has died and come back: the one comes after the other here too. */
            controller_follower_drop_broker(driver, known);
            driver->has_bounced = true;
        } else {
            err = learn_broker(followed, &znode.record);
        }
    }
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        diag_error(driver->options.diag, "/brokers/ids/%d: %s", (int)followed->id, err_text(err));
    if (err == ERR_NO_MEMORY) {
        followed->is_dirty = true;
        controller_driver_list_again(driver);
    }
    if (err != ERR_OK && known == NULL)
        forget(followed);
    heap_give(driver->options.heap, memory);
    controller_request_release(op);
}

static bool read_broker(struct controller_driver *driver, struct driver_broker *broker)
{
    struct controller_request *op = controller_request_acquire(driver, false);
    if (op == NULL)
        return false;
    op->broker = broker;
    op->request.path = broker->path;
    op->request.watch = &broker->watch;
    broker->is_dirty = false;
    controller_request_send(op, ZK_REQUEST_GET_DATA, on_broker_read);
    return true;
}

static void see_broker(struct controller_driver *driver, int32_t id)
{
    struct controller_broker *known = controller_find_broker(&driver->controller, id);
    struct driver_broker *followed = known == NULL ? NULL : known->user;
    if (followed == NULL) {
        followed = heap_take_zeroed(driver->options.heap, sizeof *followed);
        if (followed == NULL) {
            controller_driver_list_again(driver);
            return;
        }
        followed->driver = driver;
        followed->id = id;
        followed->watch.fired = on_broker_fired;
        followed->is_dirty = true;
        snprintf(followed->path, sizeof followed->path, "/brokers/ids/%d", (int)id);
    }
    followed->is_listed = true;
    if (!followed->is_dirty || read_broker(driver, followed))
        return;
    controller_driver_list_again(driver);
    if (known == NULL)
        heap_give(driver->options.heap, followed);
}

static void forget_absent_brokers(struct controller_driver *driver)
{
    list_each_safe (link, after, &driver->controller.brokers) {
        struct controller_broker *broker = CONTAINER_OF(link, struct controller_broker, link);
        const struct driver_broker *followed = broker->user;
        if (followed->is_listed)
            continue;
        diag_info(driver->options.diag, "broker %d is gone", (int)broker->record.id);
        controller_follower_drop_broker(driver, broker);
    }
}

static void on_brokers_listed(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_driver *driver = controller_listing_of(request)->driver;
    if (!controller_driver_is_over(driver, result) && result->code == KEEPER_OK) {
        list_each (link, &driver->controller.brokers)
            ((struct driver_broker *)CONTAINER_OF(link, struct controller_broker, link)->user)
                ->is_listed = false;
        for (int32_t index = 0; index < result->child_count; index++) {
            int64_t id;
            if (znode_json_read_number(result->children[index], &id) == ERR_OK && id >= 0 &&
                id <= INT32_MAX)
                see_broker(driver, (int32_t)id);
        }
        forget_absent_brokers(driver);
    }
    controller_driver_close_one(driver, false);
}

void controller_follower_list_brokers(struct controller_driver *driver)
{
    controller_driver_read(&driver->brokers, ZK_REQUEST_GET_CHILDREN, on_brokers_listed);
}

/* ---- topics ---- */

static bool is_written(const struct driver_topic *topic)
{
    for (uint32_t index = 0; index < topic->topic->partition_count; index++)
        if (topic->topic->partitions[index]->is_writing)
            return true;
    return topic->is_written;
}

static void forget_absent_topics(struct controller_driver *driver)
{
    list_each_safe (link, after, &driver->controller.topics) {
        struct driver_topic *topic = CONTAINER_OF(link, struct controller_topic, link)->user;
        if (!topic->is_gone || topic->topic->deletion >= CONTROLLER_DELETION_STOPPING)
            continue;
        if (is_written(topic))
            driver->topics.is_dirty = true; /* Once that is over. */
        else
            controller_follower_drop_topic(topic);
    }
}

static void on_topics_listed(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_driver *driver = controller_listing_of(request)->driver;
    if (controller_driver_is_over(driver, result) || result->code != KEEPER_OK) {
        controller_driver_close_one(driver, false);
        return;
    }
    list_each (link, &driver->controller.topics)
        ((struct driver_topic *)CONTAINER_OF(link, struct controller_topic, link)->user)->is_gone =
            true;
    for (int32_t index = 0; index < result->child_count; index++) {
        const struct controller_topic *known =
            controller_find_topic(&driver->controller, result->children[index]);
        if (known != NULL)
            ((struct driver_topic *)known->user)->is_gone = false;
        else if (add_topic(driver, result->children[index]) == NULL)
            diag_error(driver->options.diag, "topic %" SLICE_FORMAT " cannot be followed",
                       SLICE_ARGS(result->children[index]));
    }
    forget_absent_topics(driver);
    controller_driver_close_one(driver, false);
}

void controller_follower_list_topics(struct controller_driver *driver)
{
    controller_driver_read(&driver->topics, ZK_REQUEST_GET_CHILDREN, on_topics_listed);
}

/* A topic made by an old tool has no id. */
static void give_id(struct controller_request *op, const struct znode_topic *znode, int32_t version)
{
    struct controller_driver *driver = op->driver;
    struct znode_topic named = *znode;
    uint8_t entropy[16];
    do
        io_entropy(driver->options.io, entropy, sizeof entropy);
    while (!uuid_from_entropy(entropy, &named.id));
    const size_t memory_size = topic_block_least + named.partition_count * 1024;
    struct arena arena;
    op->block = heap_take(driver->options.heap, memory_size);
    arena_init(&arena, op->block, op->block == NULL ? 0 : memory_size);
    op->ops[1] = (struct keeper_multi_op){
        .kind = KEEPER_MULTI_SET_DATA,
        .path = op->topic->path,
        .data = znode_json_write_topic(&arena, &named),
        .version = version,
    };
    /* The data watch fires when it is done, and the topic is read again. */
    if (op->ops[1].data.data == NULL)
        controller_request_release(op);
    else
        controller_request_send_checked(op, 2, controller_request_ignore);
}

static void learn_topic(struct controller_request *op, const struct keeper_result *result)
{
    struct controller_driver *driver = op->driver;
    struct driver_topic *topic = op->topic;
    struct znode_topic znode;
    struct arena arena;
    void *memory = controller_follower_take_block(driver, result->data, &arena);
    enum err err = znode_json_read_topic(result->data, &arena, &znode);
    if (err == ERR_OK && uuid_is_zero(znode.id)) {
        give_id(op, &znode, result->stat->version);
        heap_give(driver->options.heap, memory);
        return;
    }
    if (err == ERR_OK)
        err = controller_set_topic(&driver->controller, topic->name, &znode, result->stat->version,
                                   &topic->topic);
    if (err == ERR_OK) {
        topic->topic->user = topic;
        topic->cursor = 0;
        if (driver->is_loading)
            controller_follower_enqueue(&driver->to_load, topic);
    } else {
        diag_error(driver->options.diag, "%s: %s", topic->path, err_text(err));
        if (topic->topic == NULL)
            controller_follower_drop_topic(topic); /* Until the topics are listed again. */
        if (err == ERR_NO_MEMORY)
            controller_driver_list_again(driver);
    }
    heap_give(driver->options.heap, memory);
    controller_request_release(op);
}

static void on_topic_read(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_request *op = controller_request_of(request);
    if (controller_driver_is_over(op->driver, result)) {
        controller_request_release(op);
    } else if (result->code == KEEPER_OK) {
        learn_topic(op, result);
    } else { /* It went as fast as it came. */
        if (op->topic->topic == NULL)
            controller_follower_drop_topic(op->topic);
        controller_request_release(op);
    }
}

void controller_follower_read_topics(struct controller_driver *driver)
{
    while (controller_driver_has_room(driver) && !list_empty(&driver->to_read)) {
        struct controller_request *op = controller_request_acquire(driver, false);
        if (op == NULL)
            return;
        op->topic = CONTAINER_OF(list_pop(&driver->to_read), struct driver_topic, link);
        op->request.path = op->topic->path;
        op->request.watch = &op->topic->watch;
        controller_request_send(op, ZK_REQUEST_GET_DATA, on_topic_read);
    }
}

/* ---- partition states ---- */

static void on_state_read(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_request *op = controller_request_of(request);
    struct controller_driver *driver = op->driver;
    struct partition_state state = {0};
    if (controller_driver_is_over(driver, result)) {
        controller_request_release(op);
        return;
    }
    if (result->code == KEEPER_NO_NODE) {
        controller_decision_not_written(&driver->controller, op->partition);
    } else if (result->code != KEEPER_OK) {
        controller_decision_refused(&driver->controller, op->partition);
        controller_driver_retry(driver);
    } else {
        struct arena arena;
        arena_init(&arena, op->data, sizeof op->data);
        enum err err = znode_json_read_partition(result->data, &arena, &state);
        state.partition_epoch = result->stat->version;
        if (err == ERR_OK)
            err = controller_decision_found(&driver->controller, op->partition, &state);
        if (err != ERR_OK) { /* Asked again at once, it says the same. */
            diag_error(driver->options.diag, "%s: %s", op->path, err_text(err));
            controller_decision_refused(&driver->controller, op->partition);
            controller_driver_retry(driver);
        }
        controller_decision_check_leader(&driver->controller, op->partition, result->stat->mzxid);
        op->topic->has_partitions_node = true;
    }
    controller_request_release(op);
}

void controller_follower_read_state(struct controller_request *op)
{
    controller_follower_print_path(op->path, op->topic, op->partition->index, "/state");
    op->request.path = op->path;
    op->request.watch = NULL;
    controller_request_send(op, ZK_REQUEST_GET_DATA, on_state_read);
}

/* One partition of the topic; false: it was the last. */
static bool load_partition(struct controller_driver *driver, struct driver_topic *topic)
{
    while (topic->cursor < topic->topic->partition_count) {
        struct controller_partition *partition = topic->topic->partitions[topic->cursor++];
        if (partition->replica_count == 0 || partition->partition_epoch >= 0 ||
            partition->is_writing)
            continue;
        struct controller_request *op = controller_request_acquire(driver, false);
        if (op == NULL)
            return false;
        partition->is_writing = true; /* Nothing is decided on before it is known. */
        op->topic = topic;
        op->partition = partition;
        controller_follower_read_state(op);
        return true;
    }
    return false;
}

void controller_follower_load_states(struct controller_driver *driver)
{
    while (controller_driver_has_room(driver) && !list_empty(&driver->to_load)) {
        struct driver_topic *topic =
            CONTAINER_OF(list_first(&driver->to_load), struct driver_topic, link);
        if (!load_partition(driver, topic))
            list_remove(&topic->link);
    }
}
