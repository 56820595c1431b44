#include "server/broker/controller_driver.h"

#include <stdio.h>

#include "broker/topic_name.h"
#include "server/broker/controller_request.h"

enum {
    topic_path_size = 272, /* "/brokers/topics/" and a name. */
    open_count_max = 256,
    topic_block_per_byte = 24, /* Of a topic's JSON, when it is read. */
    topic_block_least = 4096
};

/* A topic as the driver follows it; the controller's topic points to it. */
struct driver_topic {
    struct list all;  /* In driver.followed. */
    struct list link; /* In to_read, to_load or to_clear, or in none. */
    struct controller_driver *driver;
    struct controller_topic *topic; /* NULL: not read yet. */
    struct keeper_watch watch;
    struct slice name;
    uint32_t cursor; /* The next partition to load or to clear. */
    bool has_partitions_node;
    bool is_gone; /* Its znode is not there. */
    char path[topic_path_size];
};

struct driver_broker {
    struct controller_driver *driver;
    struct keeper_watch watch;
    int32_t id;
    bool is_dirty;
    bool is_listed;
    char path[48];
};

struct driver_delivery {
    struct replica_agent_delivery delivery;
    struct controller_driver *driver;
    struct controller_envelope *envelope;
    struct controller_topic *deleted_topic; /* Of a StopReplica. */
};

static void run(struct controller_driver *driver);
static void begin_next(struct controller_driver *driver);
static void on_listing_fired(struct keeper_watch *watch, enum keeper_event_type type);
static void on_topic_fired(struct keeper_watch *watch, enum keeper_event_type type);
static void on_broker_fired(struct keeper_watch *watch, enum keeper_event_type type);

/* ---- topics and brokers as the driver follows them ---- */

static struct driver_topic *add_topic(struct controller_driver *driver, struct slice name)
{
    if (name.size > topic_name_size_max)
        return NULL;
    struct driver_topic *topic = heap_take_zeroed(driver->options.heap, sizeof *topic);
    if (topic == NULL)
        return NULL;
    const int size = snprintf(topic->path, sizeof topic->path, "/brokers/topics/%" SLICE_FORMAT,
                              SLICE_ARGS(name));
    topic->driver = driver;
    topic->name = slice_of(topic->path + size - name.size, name.size);
    topic->watch.fired = on_topic_fired;
    list_push(&driver->followed, &topic->all);
    list_push(&driver->to_read, &topic->link);
    return topic;
}

static void drop_topic(struct controller_driver *driver, struct driver_topic *topic)
{
    keeper_client_disarm(driver->options.session->client, &topic->watch);
    list_remove(&topic->link);
    list_remove(&topic->all);
    if (topic->topic != NULL)
        controller_remove_topic(&driver->controller, topic->topic);
    heap_give(driver->options.heap, topic);
}

static void enqueue(struct list *queue, struct driver_topic *topic)
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
        (topic->topic == NULL || topic->topic->deletion == CONTROLLER_KEPT))
        enqueue(&driver->to_read, topic);
    run(driver);
}

static void drop_broker(struct controller_driver *driver, struct controller_broker *broker)
{
    struct driver_broker *followed = broker->user;
    if (followed != NULL)
        keeper_client_disarm(driver->options.session->client, &followed->watch);
    heap_give(driver->options.heap, followed);
    controller_remove_broker(&driver->controller, broker);
    driver->brokers_have_changed = true;
}

static void on_broker_fired(struct keeper_watch *watch, enum keeper_event_type type)
{
    struct driver_broker *broker = CONTAINER_OF(watch, struct driver_broker, watch);
    if (type == KEEPER_WATCH_ENDED || broker->driver->is_draining)
        return;
    broker->is_dirty = true;
    broker->driver->brokers.is_dirty = true;
    run(broker->driver);
}

/* ---- listings ---- */

static void on_listing_fired(struct keeper_watch *watch, enum keeper_event_type type)
{
    struct controller_listing *listing = CONTAINER_OF(watch, struct controller_listing, watch);
    struct controller_driver *driver = NULL;
    if (type == KEEPER_WATCH_ENDED)
        return;
    listing->is_dirty = true;
    if (slice_equal_text(slice_from_text(watch->path), "/brokers/ids"))
        driver = CONTAINER_OF(listing, struct controller_driver, brokers);
    else if (slice_equal_text(slice_from_text(watch->path), "/brokers/topics"))
        driver = CONTAINER_OF(listing, struct controller_driver, topics);
    else
        driver = CONTAINER_OF(listing, struct controller_driver, deletions);
    if (!driver->is_draining)
        run(driver);
}

static void list_children(struct controller_driver *driver, struct controller_listing *listing,
                          const char *path,
                          void (*done)(struct zk_request *request,
                                       const struct keeper_result *result))
{
    listing->is_dirty = false;
    listing->request.kind = ZK_REQUEST_GET_CHILDREN;
    listing->request.path = path;
    listing->request.watch = &listing->watch;
    listing->request.done = done;
    driver->open_count++;
    zk_session_send(driver->options.session, &listing->request);
}

/* ---- step: brokers ---- */

static void on_broker_read(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_request *op = controller_request_of(request);
    struct controller_driver *driver = op->driver;
    struct driver_broker *followed = op->broker;
    struct controller_broker *earlier = controller_find_broker(&driver->controller, followed->id);
    const size_t memory_size = result->data.size * topic_block_per_byte + topic_block_least;
    void *memory = heap_take(driver->options.heap, memory_size);
    struct znode_broker znode;
    struct arena arena;
    arena_init(&arena, memory, memory == NULL ? 0 : memory_size);
    bool is_kept = earlier != NULL;
    if (!controller_driver_is_over(driver, result) && result->code == KEEPER_OK &&
        znode_json_read_broker(result->data, &arena, &znode) == ERR_OK) {
        struct controller_broker *broker;
        znode.record.id = followed->id;
        znode.record.epoch = result->stat->czxid;
        if (controller_set_broker(&driver->controller, &znode.record, &broker) == ERR_OK) {
            broker->user = followed;
            driver->brokers_have_changed = true;
            is_kept = true;
        }
    }
    heap_give(driver->options.heap, memory);
    if (!is_kept) {
        keeper_client_disarm(driver->options.session->client, &followed->watch);
        heap_give(driver->options.heap, followed);
    }
    controller_request_release(op);
}

static bool read_broker(struct controller_driver *driver, struct driver_broker *broker)
{
    struct controller_request *op = controller_request_acquire(driver);
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
        if (followed == NULL)
            return;
        followed->driver = driver;
        followed->id = id;
        followed->watch.fired = on_broker_fired;
        followed->is_dirty = true;
        snprintf(followed->path, sizeof followed->path, "/brokers/ids/%d", (int)id);
    }
    followed->is_listed = true;
    if (followed->is_dirty && !read_broker(driver, followed) && known == NULL)
        heap_give(driver->options.heap, followed);
}

static void forget_absent_brokers(struct controller_driver *driver)
{
    list_each_safe (link, after, &driver->controller.brokers) {
        struct controller_broker *broker = CONTAINER_OF(link, struct controller_broker, link);
        struct driver_broker *followed = broker->user;
        if (!followed->is_listed)
            drop_broker(driver, broker);
    }
}

static void on_brokers_listed(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_driver *driver =
        CONTAINER_OF(request, struct controller_driver, brokers.request);
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
    controller_driver_close_one(driver);
}

/* ---- step: topics ---- */

static void on_topics_listed(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_driver *driver =
        CONTAINER_OF(request, struct controller_driver, topics.request);
    if (controller_driver_is_over(driver, result) || result->code != KEEPER_OK) {
        controller_driver_close_one(driver);
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
    list_each_safe (link, after, &driver->controller.topics) {
        struct driver_topic *topic = CONTAINER_OF(link, struct controller_topic, link)->user;
        if (topic->is_gone && topic->topic->deletion == CONTROLLER_KEPT)
            drop_topic(driver, topic);
    }
    controller_driver_close_one(driver);
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
    void *memory = heap_take(driver->options.heap, memory_size);
    arena_init(&arena, memory, memory == NULL ? 0 : memory_size);
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
    heap_give(driver->options.heap, memory);
}

static void learn_topic(struct controller_request *op, const struct keeper_result *result)
{
    struct controller_driver *driver = op->driver;
    struct driver_topic *topic = op->topic;
    const size_t memory_size = result->data.size * topic_block_per_byte + topic_block_least;
    void *memory = heap_take(driver->options.heap, memory_size);
    struct znode_topic znode;
    struct arena arena;
    arena_init(&arena, memory, memory == NULL ? 0 : memory_size);
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
            enqueue(&driver->to_load, topic);
    } else {
        diag_error(driver->options.diag, "%s: %s", topic->path, err_text(err));
        if (topic->topic == NULL)
            drop_topic(driver, topic); /* Until the topics are listed again. */
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
            drop_topic(op->driver, op->topic);
        controller_request_release(op);
    }
}

static void read_topics(struct controller_driver *driver)
{
    while (driver->open_count < open_count_max && !list_empty(&driver->to_read)) {
        struct controller_request *op = controller_request_acquire(driver);
        if (op == NULL)
            return;
        op->topic = CONTAINER_OF(list_pop(&driver->to_read), struct driver_topic, link);
        op->request.path = op->topic->path;
        op->request.watch = &op->topic->watch;
        controller_request_send(op, ZK_REQUEST_GET_DATA, on_topic_read);
    }
}

/* ---- step: partition states ---- */

static void print_partition_path(char path[controller_request_path_size],
                                 const struct driver_topic *topic, int32_t index, const char *end)
{
    snprintf(path, controller_request_path_size,
             "/brokers/topics/%" SLICE_FORMAT "/partitions/%d%s", SLICE_ARGS(topic->name),
             (int)index, end);
}

static void on_state_read(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_request *op = controller_request_of(request);
    struct controller_driver *driver = op->driver;
    struct partition_state state = {0};
    if (controller_driver_is_over(driver, result)) {
        controller_request_release(op);
        return;
    }
    controller_not_written(&driver->controller, op->partition);
    if (result->code == KEEPER_OK) {
        struct arena arena;
        arena_init(&arena, op->data, sizeof op->data);
        enum err err = znode_json_read_partition(result->data, &arena, &state);
        state.partition_epoch = result->stat->version;
        if (err == ERR_OK)
            err = controller_set_state(&driver->controller, op->partition, &state);
        if (err != ERR_OK)
            diag_error(driver->options.diag, "%s: %s", op->path, err_text(err));
        op->topic->has_partitions_node = true;
    }
    controller_request_release(op);
}

/* Takes op. */
static void read_state(struct controller_request *op)
{
    print_partition_path(op->path, op->topic, op->partition->index, "/state");
    op->request.path = op->path;
    op->request.watch = NULL;
    controller_request_send(op, ZK_REQUEST_GET_DATA, on_state_read);
}

/* One partition of the topic; false: it was the last. */
static bool load_partition(struct controller_driver *driver, struct driver_topic *topic)
{
    while (topic->cursor < topic->topic->partition_count) {
        struct controller_partition *partition = topic->topic->partitions[topic->cursor++];
        if (partition->replica_count == 0 || partition->partition_epoch >= 0)
            continue;
        struct controller_request *op = controller_request_acquire(driver);
        if (op == NULL)
            return false;
        op->topic = topic;
        op->partition = partition;
        read_state(op);
        return true;
    }
    return false;
}

static void load_states(struct controller_driver *driver)
{
    while (driver->open_count < open_count_max && !list_empty(&driver->to_load)) {
        struct driver_topic *topic =
            CONTAINER_OF(list_first(&driver->to_load), struct driver_topic, link);
        if (!load_partition(driver, topic))
            list_remove(&topic->link);
    }
}

/* ---- step: deletion marks ---- */

static void remove_mark(struct controller_driver *driver, struct slice name)
{
    struct controller_request *op = controller_request_acquire(driver);
    if (op == NULL)
        return;
    snprintf(op->path, sizeof op->path, "/admin/delete_topics/%" SLICE_FORMAT, SLICE_ARGS(name));
    op->ops[1] = (struct keeper_multi_op){
        .kind = KEEPER_MULTI_DELETE, .path = op->path, .version = keeper_any_version};
    controller_request_send_checked(op, 2, controller_request_ignore);
}

static void on_deletions_listed(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_driver *driver =
        CONTAINER_OF(request, struct controller_driver, deletions.request);
    for (int32_t index = 0;
         !controller_driver_is_over(driver, result) && index < result->child_count; index++) {
        struct controller_topic *topic =
            controller_find_topic(&driver->controller, result->children[index]);
        if (topic == NULL || !driver->options.delete_topic_enable)
            remove_mark(driver, result->children[index]);
        else if (topic->deletion == CONTROLLER_KEPT)
            topic->deletion = CONTROLLER_DELETION_WANTED;
    }
    controller_driver_close_one(driver);
}

/* ---- step: what the term begins with ---- */

static void on_old_notifications(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_request *op = controller_request_of(request);
    struct controller_driver *driver = op->driver;
    for (int32_t index = 0;
         !controller_driver_is_over(driver, result) && index < result->child_count; index++) {
        struct controller_request *removal = controller_request_acquire(driver);
        if (removal == NULL)
            break;
        snprintf(removal->path, sizeof removal->path, "%s/%" SLICE_FORMAT, request->path,
                 SLICE_ARGS(result->children[index]));
        removal->ops[1] = (struct keeper_multi_op){
            .kind = KEEPER_MULTI_DELETE, .path = removal->path, .version = keeper_any_version};
        controller_request_send_checked(removal, 2, controller_request_ignore);
    }
    controller_request_release(op);
}

/* Everything is read afresh, so what they tell is known already. */
static void clear_notifications(struct controller_driver *driver, const char *path)
{
    struct controller_request *op = controller_request_acquire(driver);
    if (op == NULL)
        return;
    op->request.path = path;
    controller_request_send(op, ZK_REQUEST_GET_CHILDREN, on_old_notifications);
}

static void set_up_feature(struct controller_driver *driver)
{
    struct controller_request *op = controller_request_acquire(driver);
    if (op == NULL)
        return;
    struct arena arena;
    arena_init(&arena, op->data, sizeof op->data);
    op->request.path = "/feature";
    op->request.data = znode_json_write_feature(&arena, true);
    controller_request_send(op, ZK_REQUEST_CREATE,
                            controller_request_ignore); /* NODEEXISTS: as it should be. */
}

static void begin_term(struct controller_driver *driver)
{
    driver->has_feature = true;
    set_up_feature(driver);
    clear_notifications(driver, "/log_dir_event_notification");
    clear_notifications(driver, "/isr_change_notification");
}

/* ---- step: writes ---- */

static void on_state_written(struct zk_request *request, const struct keeper_result *result)
{
    struct controller_request *op = controller_request_of(request);
    struct controller_driver *driver = op->driver;
    const int32_t code = controller_request_code(op, result);
    const uint32_t part = op->request.op_count - 1;
    switch (code) {
    case KEEPER_OK:
        controller_written(&driver->controller, &op->write,
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
        read_state(op);
        return;
    case KEEPER_BAD_VERSION: read_state(op); return;
    default:
        controller_not_written(&driver->controller, op->partition);
        driver->topics.is_dirty = true; /* The topic itself has gone. */
    }
    controller_request_release(op);
}

static void create_partitions_node(struct controller_driver *driver, struct driver_topic *topic)
{
    struct controller_request *op = controller_request_acquire(driver);
    if (op == NULL)
        return;
    snprintf(op->path, sizeof op->path, "%s/partitions", topic->path);
    op->ops[1] = (struct keeper_multi_op){.kind = KEEPER_MULTI_CREATE, .path = op->path};
    topic->has_partitions_node = true;
    controller_request_send_checked(
        op, 2, controller_request_ignore); /* NODEEXISTS: so much the better. */
}

static void write_state(struct controller_request *op)
{
    struct arena arena;
    arena_init(&arena, op->data, sizeof op->data);
    const struct slice data = znode_json_write_partition(&arena, &op->write.state);
    assert(data.data != NULL);
    print_partition_path(op->path, op->topic, op->partition->index, "/state");
    print_partition_path(op->path_parent, op->topic, op->partition->index, "");
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

static void write_states(struct controller_driver *driver)
{
    struct controller_write write;
    while (driver->open_count < open_count_max &&
           controller_next_write(&driver->controller, &write)) {
        struct driver_topic *topic = write.partition->topic->user;
        if (write.is_first && !topic->has_partitions_node)
            create_partitions_node(driver, topic);
        struct controller_request *op = controller_request_acquire(driver);
        if (op == NULL) {
            controller_not_written(&driver->controller, write.partition);
            return;
        }
        op->topic = topic;
        op->partition = write.partition;
        op->write = write;
        op->write.state.isr = op->write.isr;
        write_state(op);
    }
}

/* ---- step: messages ---- */

static void on_delivered(struct replica_agent_delivery *delivery)
{
    struct driver_delivery *sent = CONTAINER_OF(delivery, struct driver_delivery, delivery);
    struct controller_driver *driver = sent->driver;
    if (delivery->error_code != KAFKA_NONE)
        diag_warn(driver->options.diag, "our own broker refused a controller's message: %s",
                  kafka_error_name(delivery->error_code));
    if (sent->deleted_topic != NULL && !driver->is_draining) {
        sent->deleted_topic->deletion = CONTROLLER_DELETION_REMOVING;
        ((struct driver_topic *)sent->deleted_topic->user)->cursor = 0;
        enqueue(&driver->to_clear, sent->deleted_topic->user);
    }
    heap_give(driver->options.heap, sent->envelope);
    heap_give(driver->options.heap, sent);
    controller_driver_close_one(driver);
}

/* To our own broker in memory; other brokers are not reached yet. */
static void deliver(struct controller_driver *driver, struct controller_message_options options,
                    struct controller_topic *deleted_topic)
{
    if (options.broker->record.id != driver->options.broker_id)
        return;
    struct driver_delivery *sent = heap_take_zeroed(driver->options.heap, sizeof *sent);
    struct controller_envelope *envelope = controller_message(&driver->controller, options);
    if (sent == NULL || envelope == NULL) {
        diag_error(driver->options.diag, "no memory for a controller's message");
        heap_give(driver->options.heap, sent);
        heap_give(driver->options.heap, envelope);
        return;
    }
    sent->driver = driver;
    sent->envelope = envelope;
    sent->deleted_topic = deleted_topic;
    sent->delivery.message = &envelope->message;
    sent->delivery.done = on_delivered;
    driver->open_count++;
    replica_agent_receive(driver->options.agent, &sent->delivery);
}

static bool has_news(const struct controller_driver *driver)
{
    return driver->brokers_have_changed || !list_empty(&driver->controller.changed);
}

static void send_messages(struct controller_driver *driver)
{
    driver->brokers_have_changed = false;
    list_each (link, &driver->controller.brokers) {
        const struct controller_broker *broker = CONTAINER_OF(link, struct controller_broker, link);
        struct controller_message_options options = {
            .kind = CONTROL_LEADER_AND_ISR,
            .scope = broker->is_new ? CONTROLLER_ALL : CONTROLLER_CHANGED,
            .broker = broker,
        };
        deliver(driver, options, NULL);
        options.kind = CONTROL_UPDATE_METADATA;
        deliver(driver, options, NULL);
    }
    controller_forget_changes(&driver->controller);
}

/* ---- step: deletions ---- */

/* As in Kafka: not while a replica's broker is away, since its files would stay. */
static bool can_delete(const struct controller_driver *driver, const struct controller_topic *topic)
{
    for (uint32_t index = 0; index < topic->partition_count; index++) {
        const struct controller_partition *partition = topic->partitions[index];
        for (uint32_t replica = 0; replica < partition->replica_count; replica++)
            if (partition->replicas[replica] != driver->options.broker_id)
                return false;
    }
    return true;
}

static void stop_topic(struct controller_driver *driver, struct controller_topic *topic)
{
    const struct controller_broker *self =
        controller_find_broker(&driver->controller, driver->options.broker_id);
    if (self == NULL)
        return;
    topic->deletion = CONTROLLER_DELETION_STOPPING;
    struct controller_message_options options = {
        .kind = CONTROL_UPDATE_METADATA,
        .scope = CONTROLLER_TOPIC,
        .topic = topic,
        .broker = self,
    };
    deliver(driver, options, NULL);
    options.kind = CONTROL_STOP_REPLICA;
    deliver(driver, options, topic);
}

static bool start_deletions(struct controller_driver *driver)
{
    bool has_started = false;
    list_each_safe (link, after, &driver->controller.topics) {
        struct controller_topic *topic = CONTAINER_OF(link, struct controller_topic, link);
        if (topic->deletion == CONTROLLER_DELETION_WANTED && can_delete(driver, topic)) {
            stop_topic(driver, topic);
            has_started = true;
        }
    }
    return has_started;
}

static void remove_node(struct controller_driver *driver, struct driver_topic *topic,
                        const char *end)
{
    struct controller_request *op = controller_request_acquire(driver);
    if (op == NULL)
        return;
    snprintf(op->path, sizeof op->path, "%s%s", topic->path, end);
    op->ops[1] = (struct keeper_multi_op){
        .kind = KEEPER_MULTI_DELETE, .path = op->path, .version = keeper_any_version};
    controller_request_send_checked(op, 2,
                                    controller_request_ignore); /* NONODE: so much the better. */
}

/* The last nodes; a crash before the mark goes lets the next controller go on from there. */
static void clear_topic(struct controller_driver *driver, struct driver_topic *topic)
{
    remove_node(driver, topic, "/partitions");
    remove_node(driver, topic, "");
    struct controller_request *op = controller_request_acquire(driver);
    if (op != NULL) {
        snprintf(op->path, sizeof op->path, "/config/topics/%" SLICE_FORMAT,
                 SLICE_ARGS(topic->name));
        op->request.version = keeper_any_version;
        controller_request_send(op, ZK_REQUEST_DELETE, controller_request_ignore);
    }
    remove_mark(driver, topic->name);
    diag_info(driver->options.diag, "topic %" SLICE_FORMAT " is deleted", SLICE_ARGS(topic->name));
    drop_topic(driver, topic);
}

static void clear_partition(struct controller_driver *driver, struct driver_topic *topic)
{
    char end[64];
    const uint32_t index = topic->cursor++;
    snprintf(end, sizeof end, "/partitions/%u/state", (unsigned)index);
    remove_node(driver, topic, end);
    snprintf(end, sizeof end, "/partitions/%u", (unsigned)index);
    remove_node(driver, topic, end);
}

static void clear_topics(struct controller_driver *driver)
{
    while (driver->open_count < open_count_max && !list_empty(&driver->to_clear)) {
        struct driver_topic *topic =
            CONTAINER_OF(list_first(&driver->to_clear), struct driver_topic, link);
        if (topic->cursor < topic->topic->partition_count)
            clear_partition(driver, topic);
        else
            clear_topic(driver, topic);
    }
}

/* ---- the steps ---- */

static void free_everything(struct controller_driver *driver)
{
    while (!list_empty(&driver->followed))
        drop_topic(driver, CONTAINER_OF(list_first(&driver->followed), struct driver_topic, all));
    while (!list_empty(&driver->controller.brokers))
        drop_broker(driver, CONTAINER_OF(list_first(&driver->controller.brokers),
                                         struct controller_broker, link));
    struct keeper_client *client = driver->options.session->client;
    keeper_client_disarm(client, &driver->brokers.watch);
    keeper_client_disarm(client, &driver->topics.watch);
    keeper_client_disarm(client, &driver->deletions.watch);
    controller_deinit(&driver->controller);
    driver->is_active = false;
    driver->is_draining = false;
}

/* Begins the next step that has work. False: there is none. */
static bool step(struct controller_driver *driver)
{
    if (!driver->has_feature) {
        begin_term(driver);
        return true;
    }
    if (driver->brokers.is_dirty) {
        list_children(driver, &driver->brokers, "/brokers/ids", on_brokers_listed);
        return true;
    }
    if (driver->topics.is_dirty) {
        list_children(driver, &driver->topics, "/brokers/topics", on_topics_listed);
        return true;
    }
    if (driver->deletions.is_dirty && list_empty(&driver->to_read)) {
        list_children(driver, &driver->deletions, "/admin/delete_topics", on_deletions_listed);
        return true;
    }
    controller_decide(&driver->controller);
    write_states(driver);
    if (driver->open_count > 0)
        return true;
    if (has_news(driver)) {
        send_messages(driver);
        return true;
    }
    return start_deletions(driver);
}

/* Fills the pipeline of the step that is under way. */
static void pump(struct controller_driver *driver)
{
    read_topics(driver);
    if (list_empty(&driver->to_read))
        load_states(driver);
    if (!list_empty(&driver->controller.to_write))
        write_states(driver);
    clear_topics(driver);
}

static void settle(struct controller_driver *driver)
{
    driver->is_loading = false;
    if (driver->is_settled)
        return;
    driver->is_settled = true;
    driver->handler.on_settled(driver->handler.context);
}

static void run(struct controller_driver *driver)
{
    if (!driver->is_active || driver->is_in_step)
        return;
    driver->is_in_step = true;
    while (!driver->is_draining) {
        pump(driver);
        if (driver->open_count > 0)
            break;
        if (!step(driver)) {
            settle(driver);
            break;
        }
    }
    driver->is_in_step = false;
    if (driver->is_draining && driver->open_count == 0) {
        free_everything(driver);
        begin_next(driver);
    }
}

static void begin_next(struct controller_driver *driver)
{
    if (!driver->begins_next)
        return;
    driver->begins_next = false;
    if (controller_init(&driver->controller, driver->options.heap,
                        (struct controller_options){
                            .hash_seed = driver->options.hash_seed,
                            .broker_id = driver->options.broker_id,
                            .epoch = driver->epoch_next,
                        }) != ERR_OK) {
        diag_error(driver->options.diag, "no memory for the controller");
        return;
    }
    driver->is_active = true;
    driver->is_loading = true;
    driver->is_settled = false;
    driver->has_feature = false;
    driver->brokers_have_changed = true;
    driver->epoch_version = driver->epoch_version_next;
    driver->brokers.is_dirty = true;
    driver->topics.is_dirty = true;
    driver->deletions.is_dirty = true;
    run(driver);
}

/* ---- for the requests ---- */

void controller_driver_close_one(struct controller_driver *driver)
{
    assert(driver->open_count > 0);
    driver->open_count--;
    run(driver);
}

bool controller_driver_is_over(struct controller_driver *driver, const struct keeper_result *result)
{
    if (result->code == KEEPER_SESSION_EXPIRED)
        driver->is_draining = true;
    return driver->is_draining;
}

/* ---- terms ---- */

void controller_driver_init(struct controller_driver *driver,
                            struct controller_driver_options options,
                            struct controller_driver_handler handler)
{
    *driver = (struct controller_driver){.options = options, .handler = handler};
    driver->brokers.watch.fired = on_listing_fired;
    driver->topics.watch.fired = on_listing_fired;
    driver->deletions.watch.fired = on_listing_fired;
    list_init(&driver->followed);
    list_init(&driver->to_read);
    list_init(&driver->to_load);
    list_init(&driver->to_clear);
}

void controller_driver_deinit(struct controller_driver *driver)
{
    assert(driver->open_count == 0);
    if (driver->is_active)
        free_everything(driver);
}

void controller_driver_begin(struct controller_driver *driver, int32_t epoch, int32_t epoch_version)
{
    driver->epoch_next = epoch;
    driver->epoch_version_next = epoch_version;
    driver->begins_next = true;
    if (!driver->is_active)
        begin_next(driver);
}

void controller_driver_end(struct controller_driver *driver)
{
    driver->begins_next = false;
    if (!driver->is_active)
        return;
    driver->is_draining = true;
    run(driver);
}

bool controller_driver_is_deleting(const struct controller_driver *driver, struct slice name)
{
    if (!driver->is_active)
        return false;
    const struct controller_topic *topic = controller_find_topic(&driver->controller, name);
    return topic != NULL && topic->deletion != CONTROLLER_KEPT;
}
