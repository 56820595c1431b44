#include "server/broker/replica_agent.h"

#include "broker/topic_name.h"

#include <stdio.h>

enum { config_path_size = 300 }; /* "/config/topics/" and a topic's name. */

/* A partition that lives here. */
struct hosted {
    struct hash_link link;
    struct slice topic;
    int32_t index;
    int32_t leader_epoch;
    bool is_running; /* False: stopped, its files kept. */
};

/* The settings of one topic on their way from the keeper. */
struct config_fetch {
    struct zk_request request;
    struct replica_agent *agent;
    struct slice topic; /* In the current message. */
    char path[config_path_size];
};

struct hosted_key {
    struct slice topic;
    int32_t index;
};

static void handle_next(struct replica_agent *agent);

enum err replica_agent_init(struct replica_agent *agent, struct replica_agent_options options)
{
    *agent = (struct replica_agent){.options = options};
    list_init(&agent->queue);
    return hash_table_init(&agent->hosted, options.heap);
}

void replica_agent_deinit(struct replica_agent *agent)
{
    struct heap *heap = agent->options.heap;
    if (heap == NULL)
        return;
    uint64_t position = 0;
    struct hash_link *link = hash_table_next(&agent->hosted, &position, NULL);
    while (link != NULL) {
        struct hash_link *next = hash_table_next(&agent->hosted, &position, link);
        heap_give(heap, CONTAINER_OF(link, struct hosted, link));
        link = next;
    }
    hash_table_deinit(&agent->hosted);
    heap_give(heap, agent->changes);
    heap_give(heap, agent->errors);
    agent->options.heap = NULL;
}

bool replica_agent_is_idle(const struct replica_agent *agent)
{
    return agent->current == NULL;
}

/* ---- the partitions that live here ---- */

static bool is_key(const struct hash_link *link, const void *key)
{
    const struct hosted *hosted = CONTAINER_OF(link, struct hosted, link);
    const struct hosted_key *wanted = key;
    return hosted->index == wanted->index && slice_equal(hosted->topic, wanted->topic);
}

static uint64_t hash_of(const struct replica_agent *agent, struct slice topic, int32_t index)
{
    return hash_bytes(topic, agent->options.hash_seed + (uint64_t)index * 0x9e3779b97f4a7c15u);
}

static struct hosted *find_hosted(const struct replica_agent *agent, struct slice topic,
                                  int32_t index)
{
    const struct hosted_key key = {topic, index};
    struct hash_link *link =
        hash_table_find(&agent->hosted, hash_of(agent, topic, index), is_key, &key);
    return link == NULL ? NULL : CONTAINER_OF(link, struct hosted, link);
}

static struct hosted *add_hosted(struct replica_agent *agent, struct slice topic, int32_t index)
{
    struct hosted *hosted = heap_take_zeroed(agent->options.heap, sizeof *hosted + topic.size);
    if (hosted == NULL)
        return NULL;
    memcpy(hosted + 1, topic.data, topic.size);
    hosted->topic = slice_of(hosted + 1, topic.size);
    hosted->index = index;
    hosted->leader_epoch = -1;
    hash_table_add(&agent->hosted, &hosted->link, hash_of(agent, topic, index));
    return hosted;
}

static void drop_hosted(struct replica_agent *agent, struct hosted *hosted)
{
    hash_table_remove(&agent->hosted, &hosted->link);
    heap_give(agent->options.heap, hosted);
}

void replica_agent_drop(struct replica_agent *agent, struct slice topic, int32_t index)
{
    struct hosted *hosted = find_hosted(agent, topic, index);
    if (hosted != NULL)
        drop_hosted(agent, hosted);
}

/* ---- the end of a message ---- */

/* An order that only lacks something for the moment is answered as if the replica were on a failed
 * log directory, so that others lead it, and asked for again: as what is said of such directories
 * makes controllers do, Apache's too. */
static bool put_off_orders(const struct replica_agent *agent)
{
    const struct control_message *message = agent->current->message;
    bool has_any = false;
    if (message->kind != CONTROL_LEADER_AND_ISR)
        return false;
    for (uint32_t index = 0; index < message->partition_count; index++) {
        if (agent->errors[index] != KAFKA_UNKNOWN_SERVER_ERROR)
            continue;
        agent->errors[index] = KAFKA_KAFKA_STORAGE_ERROR;
        has_any = true;
    }
    return has_any;
}

static void finish(struct replica_agent *agent, int16_t error_code)
{
    struct replica_agent_delivery *delivery = agent->current;
    const bool asks_again = error_code == KAFKA_NONE && put_off_orders(agent);
    int16_t *errors = agent->errors;
    heap_give(agent->options.heap, agent->changes);
    agent->changes = NULL;
    agent->errors = NULL;
    delivery->error_code = error_code;
    delivery->partition_errors = error_code == KAFKA_NONE ? errors : NULL;
    agent->current = NULL;
    if (asks_again)
        agent->options.ask_again(agent->options.context);
    delivery->done(delivery);
    heap_give(agent->options.heap, errors);
}

static void release_one(struct replica_agent *agent)
{
    assert(agent->open_count > 0);
    if (--agent->open_count > 0)
        return;
    finish(agent, KAFKA_NONE);
    handle_next(agent);
}

/* ---- orders ---- */

void partition_change_done(struct partition_change *change, int16_t error_code)
{
    struct replica_agent *agent = change->agent;
    const size_t index = (size_t)(change - agent->changes);
    assert(agent->current != NULL && index < agent->current->message->partition_count);
    agent->errors[index] = error_code;
    if (error_code != KAFKA_NONE) {
        replica_agent_drop(agent, change->state->topic, change->state->index);
        diag_warn(agent->options.diag, "partition %" SLICE_FORMAT "-%d: %s",
                  SLICE_ARGS(change->state->topic), (int)change->state->index,
                  kafka_error_name(error_code));
    }
    release_one(agent);
}

static void give_order(struct replica_agent *agent, uint32_t index, enum partition_order order,
                       const struct topic_config *config)
{
    struct partition_change *change = &agent->changes[index];
    *change = (struct partition_change){
        .order = order,
        .state = &agent->current->message->partitions[index],
        .config = config,
        .agent = agent,
    };
    list_init(&change->link);
    agent->open_count++;
    agent->options.handler->on_partition(agent->options.handler_context, change);
}

/* What no controller may ask for, whoever it is: a name becomes a directory. */
static int16_t check_name(const struct partition_state *state)
{
    char reason[control_reason_size];
    if (!topic_name_check(state->topic, reason, sizeof reason))
        return KAFKA_INVALID_TOPIC_EXCEPTION;
    return state->index < 0 || state->index >= control_partition_count_max ? KAFKA_INVALID_REQUEST
                                                                           : KAFKA_NONE;
}

static int16_t check_replicas(const struct replica_agent *agent,
                              const struct partition_state *state)
{
    if (state->replica_count > control_replica_count_max ||
        state->isr_count > control_replica_count_max)
        return KAFKA_INVALID_REQUEST;
    for (uint32_t index = 0; index < state->replica_count; index++)
        if (state->replicas[index] == agent->options.broker_id)
            return KAFKA_NONE;
    return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
}

/* KAFKA_NONE: an order was given. */
static int16_t start_partition(struct replica_agent *agent, uint32_t index)
{
    const struct partition_state *state = &agent->current->message->partitions[index];
    struct hosted *hosted = find_hosted(agent, state->topic, state->index);
    /* By the settings of other topics it might acknowledge, or delete, what it must not. */
    if (!config_store_has_topic(agent->options.store, state->topic))
        return KAFKA_UNKNOWN_SERVER_ERROR;
    /* The same epoch brings nothing new: starting again would only lose state. */
    if (state->leader_epoch < 0 || (hosted != NULL && state->leader_epoch < hosted->leader_epoch))
        return KAFKA_STALE_CONTROLLER_EPOCH;
    if (hosted != NULL && hosted->is_running && state->leader_epoch == hosted->leader_epoch)
        return KAFKA_STALE_CONTROLLER_EPOCH;
    if (hosted == NULL)
        hosted = add_hosted(agent, state->topic, state->index);
    if (hosted == NULL)
        return KAFKA_UNKNOWN_SERVER_ERROR;
    hosted->leader_epoch = state->leader_epoch;
    hosted->is_running = true;
    config_store_note_partition(agent->options.store, state->topic, state->index);
    give_order(agent, index,
               state->leader == agent->options.broker_id ? PARTITION_LEAD : PARTITION_FOLLOW,
               config_store_topic(agent->options.store, state->topic));
    return KAFKA_NONE;
}

static void start_partitions(struct replica_agent *agent)
{
    const uint32_t count = agent->current->message->partition_count;
    for (uint32_t index = 0; index < count; index++) {
        if (agent->errors[index] != KAFKA_NONE)
            continue;
        const int16_t error_code = start_partition(agent, index);
        if (error_code != KAFKA_NONE) /* Else its order may be answered already. */
            agent->errors[index] = error_code;
    }
}

/* Settings are followed as long as any partition of the topic is here. */
static void shrink_config(struct replica_agent *agent, struct slice name)
{
    const struct config_store_topic *topic = config_store_find_topic(agent->options.store, name);
    uint32_t count = topic == NULL ? 0 : topic->partition_count;
    while (count > 0 && find_hosted(agent, name, (int32_t)count - 1) == NULL)
        count--;
    config_store_shrink_topic(agent->options.store, name, count);
}

static int16_t stop_partition(struct replica_agent *agent, uint32_t index)
{
    const struct control_message *message = agent->current->message;
    const struct partition_state *state = &message->partitions[index];
    const bool deletes = message->delete_partition[index];
    struct hosted *hosted = find_hosted(agent, state->topic, state->index);
    if (hosted != NULL && state->leader_epoch >= 0 && state->leader_epoch < hosted->leader_epoch)
        return KAFKA_FENCED_LEADER_EPOCH;
    if (hosted != NULL && deletes)
        drop_hosted(agent, hosted);
    else if (hosted != NULL)
        hosted->is_running = false;
    if (deletes)
        shrink_config(agent, state->topic);
    give_order(agent, index, deletes ? PARTITION_DELETE : PARTITION_STOP, NULL);
    return KAFKA_NONE;
}

static void stop_partitions(struct replica_agent *agent)
{
    const uint32_t count = agent->current->message->partition_count;
    for (uint32_t index = 0; index < count; index++) {
        if (agent->errors[index] != KAFKA_NONE)
            continue;
        const int16_t error_code = stop_partition(agent, index);
        if (error_code != KAFKA_NONE)
            agent->errors[index] = error_code;
    }
}

/* ---- settings of new topics ---- */

static void on_config(struct zk_request *request, const struct keeper_result *result)
{
    struct config_fetch *fetch = CONTAINER_OF(request, struct config_fetch, request);
    struct replica_agent *agent = fetch->agent;
    enum err err = ERR_EXPIRED;
    if (result->code == KEEPER_OK || result->code == KEEPER_NO_NODE)
        err = config_store_set_topic(agent->options.store, fetch->topic, result->data);
    if (err != ERR_OK)
        diag_warn(agent->options.diag, "settings of topic %" SLICE_FORMAT ": %s",
                  SLICE_ARGS(fetch->topic), err_text(err));
    heap_give(agent->options.heap, fetch);
    if (--agent->open_count > 0)
        return;
    agent->open_count = 1; /* Held while orders are given, as they may be answered at once. */
    start_partitions(agent);
    release_one(agent);
}

static void fetch_config(struct replica_agent *agent, struct slice topic)
{
    struct config_fetch *fetch = heap_take_zeroed(agent->options.heap, sizeof *fetch);
    if (fetch == NULL || topic.size > config_path_size - sizeof "/config/topics/") {
        heap_give(agent->options.heap, fetch);
        return;
    }
    fetch->agent = agent;
    fetch->topic = topic;
    snprintf(fetch->path, sizeof fetch->path, "/config/topics/%" SLICE_FORMAT, SLICE_ARGS(topic));
    fetch->request.kind = ZK_REQUEST_GET_DATA;
    fetch->request.path = fetch->path;
    fetch->request.done = on_config;
    agent->open_count++;
    zk_session_send(agent->options.session, &fetch->request);
}

/* Partitions of one topic stand together in a message. */
static void fetch_configs(struct replica_agent *agent)
{
    const struct control_message *message = agent->current->message;
    struct slice last = SLICE_NULL;
    for (uint32_t index = 0; index < message->partition_count; index++) {
        const struct slice topic = message->partitions[index].topic;
        if (agent->errors[index] != KAFKA_NONE)
            continue;
        if (!slice_equal(topic, last) && !config_store_has_topic(agent->options.store, topic))
            fetch_config(agent, topic);
        last = topic;
    }
}

/* ---- messages ---- */

static void check_partitions(struct replica_agent *agent)
{
    const struct control_message *message = agent->current->message;
    for (uint32_t index = 0; index < message->partition_count; index++) {
        int16_t error_code = check_name(&message->partitions[index]);
        if (error_code == KAFKA_NONE && message->kind == CONTROL_LEADER_AND_ISR)
            error_code = check_replicas(agent, &message->partitions[index]);
        agent->errors[index] = error_code;
    }
}

static bool prepare(struct replica_agent *agent)
{
    const size_t count = agent->current->message->partition_count;
    agent->changes = heap_take_zeroed(agent->options.heap, (count + 1) * sizeof *agent->changes);
    agent->errors = heap_take_zeroed(agent->options.heap, (count + 1) * sizeof *agent->errors);
    return agent->changes != NULL && agent->errors != NULL;
}

static int16_t check_epochs(struct replica_agent *agent)
{
    const struct control_message *message = agent->current->message;
    if (message->broker_epoch >= 0 && message->broker_epoch < agent->broker_epoch)
        return KAFKA_STALE_BROKER_EPOCH;
    if (message->controller_epoch < agent->controller_epoch)
        return KAFKA_STALE_CONTROLLER_EPOCH;
    agent->controller_epoch = message->controller_epoch;
    return KAFKA_NONE;
}

static void handle(struct replica_agent *agent)
{
    const struct control_message *message = agent->current->message;
    int16_t error_code = check_epochs(agent);
    if (error_code != KAFKA_NONE || !prepare(agent)) {
        finish(agent, error_code != KAFKA_NONE ? error_code : KAFKA_UNKNOWN_SERVER_ERROR);
        return;
    }
    agent->open_count = 1; /* Held until everything has been started. */
    if (message->kind != CONTROL_UPDATE_METADATA)
        check_partitions(agent);
    switch (message->kind) {
    case CONTROL_LEADER_AND_ISR:
        fetch_configs(agent);
        if (agent->open_count == 1)
            start_partitions(agent);
        break;
    case CONTROL_UPDATE_METADATA:
        if (metadata_view_update(agent->options.view, message) != ERR_OK) {
            diag_error(agent->options.diag, "no memory for all of the cluster's metadata");
            error_code = KAFKA_UNKNOWN_SERVER_ERROR; /* The controller tells it again. */
        }
        break;
    case CONTROL_STOP_REPLICA: stop_partitions(agent); break;
    }
    if (--agent->open_count == 0)
        finish(agent, error_code);
}

static void handle_next(struct replica_agent *agent)
{
    while (agent->current == NULL && !list_empty(&agent->queue)) {
        agent->current = CONTAINER_OF(list_pop(&agent->queue), struct replica_agent_delivery, link);
        handle(agent);
    }
}

void replica_agent_receive(struct replica_agent *agent, struct replica_agent_delivery *delivery)
{
    list_push(&agent->queue, &delivery->link);
    handle_next(agent);
}
