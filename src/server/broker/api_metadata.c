#include "broker/topic_name.h"
#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

enum {
    operations_not_asked = INT32_MIN,
    /* Without ACLs everything is allowed; bits of AclOperation. */
    topic_operations = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11,
    cluster_operations = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12,
    version_name_may_be_null = 12,
};

/* A Metadata request that waits for topics to be made. */
struct metadata_state {
    struct broker_request *request;
    struct create_topics create;
    struct kafka_metadata_reply reply;
    struct kafka_metadata_reply_topics **created; /* [create.topic_count]: where the answers go. */
};

static bool wants_all(const struct broker_request *request)
{
    const struct kafka_metadata_request *body = request->body;
    return body->topics.count < 0 || (request->version == 0 && body->topics.count == 0);
}

static bool fill_brokers(struct broker_request *request, struct kafka_metadata_reply *reply)
{
    const struct metadata_view *view = control_metadata(request->server->control);
    const struct slice listener = broker_request_listener(request);
    reply->brokers.items =
        broker_request_take_array(request, view->broker_count, sizeof *reply->brokers.items);
    if (reply->brokers.items == NULL)
        return false;
    metadata_view_each_broker(broker, view)
    {
        const struct broker_endpoint *endpoint = metadata_broker_endpoint(broker, listener);
        if (endpoint == NULL)
            continue;
        reply->brokers.items[reply->brokers.count++] =
            (struct kafka_metadata_reply_brokers){.node_id = broker->record.id,
                                                  .host = endpoint->host,
                                                  .port = endpoint->port,
                                                  .rack = broker->record.rack};
    }
    return true;
}

static int16_t leader_error(const struct broker_request *request, int32_t leader)
{
    const struct metadata_view *view = control_metadata(request->server->control);
    const struct metadata_broker *broker = metadata_view_broker(view, leader);
    if (broker == NULL)
        return KAFKA_LEADER_NOT_AVAILABLE;
    if (metadata_broker_endpoint(broker, broker_request_listener(request)) == NULL)
        return request->version >= 6 ? KAFKA_LISTENER_NOT_FOUND : KAFKA_LEADER_NOT_AVAILABLE;
    return KAFKA_NONE;
}

/* On a broker that is not alive, or on a log directory that has failed. */
static bool is_offline(const struct metadata_view *view, const struct metadata_partition *partition,
                       int32_t id)
{
    if (metadata_view_broker(view, id) == NULL)
        return true;
    for (uint32_t i = 0; i < partition->offline_count; i++)
        if (partition->offline[i] == id)
            return true;
    return false;
}

static bool fill_offline(struct broker_request *request, const struct metadata_partition *partition,
                         struct kafka_metadata_reply_topics_partitions *reply)
{
    const struct metadata_view *view = control_metadata(request->server->control);
    uint32_t count = 0;
    for (uint32_t i = 0; i < partition->replica_count; i++)
        count += is_offline(view, partition, partition->replicas[i]);
    if (count == 0)
        return true;
    reply->offline_replicas.items =
        broker_request_take_array(request, count, sizeof *reply->offline_replicas.items);
    if (reply->offline_replicas.items == NULL)
        return false;
    for (uint32_t i = 0; i < partition->replica_count; i++)
        if (is_offline(view, partition, partition->replicas[i]))
            reply->offline_replicas.items[reply->offline_replicas.count++] = partition->replicas[i];
    return true;
}

static bool fill_partitions(struct broker_request *request, const struct metadata_topic *topic,
                            struct kafka_metadata_reply_topics *reply)
{
    reply->partitions.items =
        broker_request_take_array(request, topic->partition_count, sizeof *reply->partitions.items);
    if (reply->partitions.items == NULL)
        return false;
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        const struct metadata_partition *partition = &topic->partitions[i];
        if (partition->leader_epoch < 0)
            continue;
        struct kafka_metadata_reply_topics_partitions *one =
            &reply->partitions.items[reply->partitions.count++];
        one->error_code = leader_error(request, partition->leader);
        one->partition_index = (int32_t)i;
        one->leader_id = one->error_code == KAFKA_NONE ? partition->leader : -1;
        one->leader_epoch = partition->leader_epoch;
        one->replica_nodes.items = partition->replicas;
        one->replica_nodes.count = (int32_t)partition->replica_count;
        one->isr_nodes.items = partition->isr;
        one->isr_nodes.count = (int32_t)partition->isr_count;
        if (!fill_offline(request, partition, one))
            return false;
    }
    return true;
}

static bool fill_topic(struct broker_request *request, const struct metadata_topic *topic,
                       struct kafka_metadata_reply_topics *reply)
{
    const struct kafka_metadata_request *body = request->body;
    *reply = (struct kafka_metadata_reply_topics){
        .name = topic->name,
        .is_internal = topic->is_internal,
        .topic_authorized_operations =
            body->include_topic_authorized_operations ? topic_operations : operations_not_asked};
    memcpy(reply->topic_id.bytes, topic->id.bytes, sizeof reply->topic_id.bytes);
    return fill_partitions(request, topic, reply);
}

static bool fill_all(struct broker_request *request, struct kafka_metadata_reply *reply)
{
    const struct metadata_view *view = control_metadata(request->server->control);
    reply->topics.items =
        broker_request_take_array(request, view->topic_count, sizeof *reply->topics.items);
    if (reply->topics.items == NULL)
        return false;
    metadata_view_each_topic(topic, view)
    {
        if (!fill_topic(request, topic, &reply->topics.items[reply->topics.count++]))
            return false;
    }
    return true;
}

static void fill_unknown(struct broker_request *request, struct slice name,
                         const struct wire_uuid *id, struct kafka_metadata_reply_topics *reply)
{
    const struct kafka_metadata_request *body = request->body;
    char reason[control_reason_size];
    *reply =
        (struct kafka_metadata_reply_topics){.name = name,
                                             .topic_id = *id,
                                             .error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
                                             .topic_authorized_operations = operations_not_asked};
    if (slice_is_null(name))
        reply->error_code = KAFKA_UNKNOWN_TOPIC_ID;
    else if (!topic_name_check(name, reason, sizeof reason))
        reply->error_code = KAFKA_INVALID_TOPIC_EXCEPTION;
    else if (request->server->config->auto_create_topics &&
             (request->version < 4 || body->allow_auto_topic_creation))
        reply->error_code = KAFKA_LEADER_NOT_AVAILABLE; /* It is to be made. */
    reply->is_internal = topic_name_is_internal(name);
}

/* A name twice in one request is answered once, as by Apache's broker. */
static bool is_repeated(const struct kafka_metadata_reply *reply, struct slice name)
{
    enum { looked_at_max = 64 };
    const int32_t first =
        reply->topics.count > looked_at_max ? reply->topics.count - looked_at_max : 0;
    for (int32_t i = first; i < reply->topics.count; i++)
        if (slice_equal(reply->topics.items[i].name, name))
            return true;
    return false;
}

static bool fill_named(struct broker_request *request, struct kafka_metadata_reply *reply)
{
    const struct kafka_metadata_request *body = request->body;
    const struct metadata_view *view = control_metadata(request->server->control);
    reply->topics.items =
        broker_request_take_array(request, (size_t)body->topics.count, sizeof *reply->topics.items);
    if (reply->topics.items == NULL)
        return false;
    for (int32_t i = 0; i < body->topics.count; i++) {
        const struct kafka_metadata_request_topics *asked = &body->topics.items[i];
        struct uuid id;
        memcpy(id.bytes, asked->topic_id.bytes, sizeof id.bytes);
        /* An id says more than a name that comes with it. */
        const struct slice asked_name = uuid_is_zero(id) ? asked->name : SLICE_NULL;
        const struct metadata_topic *topic = slice_is_null(asked_name)
                                                 ? metadata_view_topic_by_id(view, id)
                                                 : metadata_view_topic(view, asked_name);
        const struct slice name = topic != NULL ? topic->name : asked_name;
        if (!slice_is_null(name) && is_repeated(reply, name))
            continue;
        struct kafka_metadata_reply_topics *one = &reply->topics.items[reply->topics.count++];
        if (topic == NULL)
            fill_unknown(request, asked_name, &asked->topic_id, one);
        else if (!fill_topic(request, topic, one))
            return false;
    }
    return true;
}

/* ---- topics that asking creates ---- */

static void on_created(struct create_topics *create)
{
    struct metadata_state *state = create->user;
    for (uint32_t i = 0; i < create->topic_count; i++) {
        const int16_t code = create->topics[i].error_code;
        /* Made now or by somebody else a moment ago: the client asks again. */
        if (code != KAFKA_NONE && code != KAFKA_TOPIC_ALREADY_EXISTS &&
            code != KAFKA_REQUEST_TIMED_OUT)
            state->created[i]->error_code = code;
    }
    broker_request_reply(state->request, &state->reply);
}

static bool prepare_create(struct metadata_state *state, uint32_t count)
{
    struct broker_request *request = state->request;
    state->create.topics = broker_request_take_array(request, count, sizeof *state->create.topics);
    state->created = broker_request_take_array(request, count, sizeof *state->created);
    if (state->create.topics == NULL || state->created == NULL)
        return false;
    for (int32_t i = 0; i < state->reply.topics.count; i++) {
        struct kafka_metadata_reply_topics *topic = &state->reply.topics.items[i];
        if (topic->partitions.items != NULL || topic->error_code != KAFKA_LEADER_NOT_AVAILABLE)
            continue;
        state->created[state->create.topic_count] = topic;
        state->create.topics[state->create.topic_count++] =
            auto_topic_spec(&request->server->auto_topics, topic->name);
    }
    state->create.done = on_created;
    state->create.user = state;
    return true;
}

/* The strings of the view are lent until io runs again, so a reply that waits copies them. */
static bool copy_strings(struct metadata_state *state)
{
    struct broker_request *request = state->request;
    struct kafka_metadata_reply *reply = &state->reply;
    for (int32_t i = 0; i < reply->brokers.count; i++) {
        reply->brokers.items[i].host = broker_request_copy(request, reply->brokers.items[i].host);
        reply->brokers.items[i].rack = broker_request_copy(request, reply->brokers.items[i].rack);
        if (slice_is_null(reply->brokers.items[i].host))
            return false;
    }
    for (int32_t i = 0; i < reply->topics.count; i++) {
        struct kafka_metadata_reply_topics *topic = &reply->topics.items[i];
        topic->name = broker_request_copy(request, topic->name);
        for (int32_t p = 0; p < topic->partitions.count; p++) {
            struct kafka_metadata_reply_topics_partitions *one = &topic->partitions.items[p];
            one->replica_nodes.items =
                (int32_t *)(uintptr_t)broker_request_copy(
                    request, slice_of(one->replica_nodes.items,
                                      (size_t)one->replica_nodes.count * sizeof(int32_t)))
                    .data;
            one->isr_nodes.items =
                (int32_t *)(uintptr_t)broker_request_copy(
                    request,
                    slice_of(one->isr_nodes.items, (size_t)one->isr_nodes.count * sizeof(int32_t)))
                    .data;
            if (one->replica_nodes.items == NULL || one->isr_nodes.items == NULL)
                return false;
        }
    }
    return true;
}

static uint32_t count_to_create(const struct kafka_metadata_reply *reply)
{
    uint32_t count = 0;
    for (int32_t i = 0; i < reply->topics.count; i++)
        count += reply->topics.items[i].partitions.items == NULL &&
                 reply->topics.items[i].error_code == KAFKA_LEADER_NOT_AVAILABLE;
    return count;
}

static void create_and_reply(struct broker_request *request,
                             const struct kafka_metadata_reply *reply, uint32_t count)
{
    struct metadata_state *state = broker_request_take(request, sizeof *state);
    if (state == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    state->request = request;
    state->reply = *reply;
    if (!copy_strings(state) || !prepare_create(state, count)) {
        broker_request_fail_memory(request);
        return;
    }
    state->create.by_any_broker = true;
    control_create_topics(request->server->control, &state->create);
}

/* Names and ids that the version cannot have been given. */
static bool is_confused(const struct broker_request *request)
{
    const struct kafka_metadata_request *body = request->body;
    static const struct wire_uuid zero;
    for (int32_t i = 0; i < body->topics.count; i++) {
        const bool has_id = memcmp(&body->topics.items[i].topic_id, &zero, sizeof zero) != 0;
        const bool has_name = !slice_is_null(body->topics.items[i].name);
        if (request->version < version_name_may_be_null && (has_id || !has_name))
            return true;
    }
    return false;
}

static void reply_confused(struct broker_request *request)
{
    const struct kafka_metadata_request *body = request->body;
    struct kafka_metadata_reply error = {.controller_id = -1,
                                         .cluster_authorized_operations = operations_not_asked};
    struct kafka_metadata_reply *reply = &error;
    reply->topics.items =
        broker_request_take_array(request, (size_t)body->topics.count, sizeof *reply->topics.items);
    if (reply->topics.items == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    for (int32_t i = 0; i < body->topics.count; i++)
        reply->topics.items[reply->topics.count++] = (struct kafka_metadata_reply_topics){
            .name = slice_is_null(body->topics.items[i].name) ? SLICE_LITERAL("")
                                                              : body->topics.items[i].name,
            .topic_id = body->topics.items[i].topic_id,
            .error_code = KAFKA_INVALID_REQUEST,
            .topic_authorized_operations = operations_not_asked};
    broker_request_reply(request, reply);
}

void api_metadata(struct broker_request *request)
{
    const struct kafka_metadata_request *body = request->body;
    const struct metadata_view *view = control_metadata(request->server->control);
    struct kafka_metadata_reply reply = {.cluster_id = control_cluster_id(request->server->control),
                                         .controller_id = view->controller_id,
                                         .cluster_authorized_operations =
                                             body->include_cluster_authorized_operations
                                                 ? cluster_operations
                                                 : operations_not_asked};
    const bool all = wants_all(request);
    if (!all && is_confused(request)) {
        reply_confused(request);
        return;
    }
    if (!fill_brokers(request, &reply)) {
        broker_request_fail_memory(request);
        return;
    }
    if (!(all ? fill_all(request, &reply) : fill_named(request, &reply))) {
        broker_request_fail_memory(request);
        return;
    }
    const uint32_t to_create = all ? 0 : count_to_create(&reply);
    if (to_create == 0)
        broker_request_reply(request, &reply);
    else
        create_and_reply(request, &reply, to_create);
}
