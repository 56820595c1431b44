#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

enum { version_with_result = 5 };

struct create_state {
    struct broker_request *request;
    struct create_topics create;
    struct kafka_create_topics_reply reply;
    struct describe_configs describe; /* Of the topics made, for version 5 and later. */
    int32_t *described;               /* [describe.resource_count]: which reply it belongs to. */
    struct arena arena;
};

enum { describe_arena_bytes = 32 * 1024 };

static void send_reply(struct create_state *state)
{
    broker_request_reply(state->request, &state->reply);
}

/* ---- what was made ---- */

static bool fill_configs(struct create_state *state, struct kafka_create_topics_reply_topics *topic,
                         const struct config_resource_describe *described)
{
    topic->configs.items = broker_request_take_array(state->request, described->config_count,
                                                     sizeof *topic->configs.items);
    if (topic->configs.items == NULL)
        return false;
    for (uint32_t i = 0; i < described->config_count; i++) {
        const struct config_description *config = &described->configs[i];
        topic->configs.items[i] =
            (struct kafka_create_topics_reply_topics_configs){.name = config->name,
                                                              .value = config->value,
                                                              .read_only = config->is_read_only,
                                                              .config_source = config->source,
                                                              .is_sensitive = config->is_sensitive};
    }
    topic->configs.count = (int32_t)described->config_count;
    return true;
}

static void on_described(struct describe_configs *describe)
{
    struct create_state *state = describe->user;
    for (uint32_t i = 0; i < describe->resource_count; i++) {
        struct kafka_create_topics_reply_topics *topic =
            &state->reply.topics.items[state->described[i]];
        if (describe->resources[i].error_code != KAFKA_NONE)
            topic->topic_config_error_code = describe->resources[i].error_code;
        else if (!fill_configs(state, topic, &describe->resources[i])) {
            broker_request_fail_memory(state->request);
            return;
        }
    }
    send_reply(state);
}

/* False: there is nothing to describe. */
static bool describe_made(struct create_state *state)
{
    struct broker_request *request = state->request;
    const size_t count = (size_t)state->reply.topics.count;
    struct describe_configs *describe = &state->describe;
    describe->resources = broker_request_take_array(request, count, sizeof *describe->resources);
    state->described = broker_request_take_array(request, count, sizeof *state->described);
    if (describe->resources == NULL || state->described == NULL)
        return false;
    for (int32_t i = 0; i < state->reply.topics.count; i++) {
        if (state->reply.topics.items[i].error_code != KAFKA_NONE)
            continue;
        state->described[describe->resource_count] = i;
        describe->resources[describe->resource_count++] =
            (struct config_resource_describe){.type = CONFIG_RESOURCE_TOPIC,
                                              .name = state->reply.topics.items[i].name,
                                              .all_names = true};
    }
    const size_t bytes = describe_arena_bytes * (describe->resource_count + (size_t)1);
    void *memory = describe->resource_count == 0 ? NULL : broker_request_take(request, bytes);
    if (memory == NULL)
        return false;
    arena_init(&state->arena, memory, bytes);
    describe->arena = &state->arena;
    describe->done = on_described;
    describe->user = state;
    return true;
}

static void on_created(struct create_topics *create)
{
    struct create_state *state = create->user;
    const struct kafka_create_topics_request *body = state->request->body;
    for (uint32_t i = 0; i < create->topic_count; i++) {
        const struct topic_create *made = &create->topics[i];
        struct kafka_create_topics_reply_topics *topic = &state->reply.topics.items[i];
        topic->error_code = made->error_code;
        topic->num_partitions = made->error_code == KAFKA_NONE ? made->partition_count_made : -1;
        topic->replication_factor =
            (int16_t)(made->error_code == KAFKA_NONE ? made->replication_factor_made : -1);
        memcpy(topic->topic_id.bytes, made->id.bytes, sizeof topic->topic_id.bytes);
        if (made->error_code != KAFKA_NONE && made->reason[0] != '\0')
            topic->error_message = slice_from_text(made->reason);
    }
    if (state->request->version >= version_with_result && !body->validate_only &&
        describe_made(state))
        control_describe_configs(state->request->server->control, &state->describe);
    else
        send_reply(state);
}

/* ---- what is asked for ---- */

static bool copy_assignments(struct broker_request *request,
                             const struct kafka_create_topics_request_topics *asked,
                             struct topic_create *topic)
{
    const size_t count = (size_t)asked->assignments.count;
    struct topic_assignment *assignments =
        broker_request_take_array(request, count, sizeof *assignments);
    if (assignments == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        assignments[i] = (struct topic_assignment){
            .partition = asked->assignments.items[i].partition_index,
            .broker_count = (uint32_t)asked->assignments.items[i].broker_ids.count,
            .brokers = asked->assignments.items[i].broker_ids.items};
    topic->assignments = assignments;
    topic->assignment_count = (uint32_t)count;
    return true;
}

static bool copy_configs(struct broker_request *request,
                         const struct kafka_create_topics_request_topics *asked,
                         struct topic_create *topic)
{
    const size_t count = (size_t)asked->configs.count;
    struct topic_config_entry *configs = broker_request_take_array(request, count, sizeof *configs);
    if (configs == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        configs[i] = (struct topic_config_entry){asked->configs.items[i].name,
                                                 asked->configs.items[i].value};
    topic->configs = configs;
    topic->config_count = (uint32_t)count;
    return true;
}

static bool prepare(struct create_state *state)
{
    struct broker_request *request = state->request;
    const struct kafka_create_topics_request *body = request->body;
    const size_t count = (size_t)body->topics.count;
    state->create.topics = broker_request_take_array(request, count, sizeof *state->create.topics);
    state->reply.topics.items =
        broker_request_take_array(request, count, sizeof *state->reply.topics.items);
    if (state->create.topics == NULL || state->reply.topics.items == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct kafka_create_topics_request_topics *asked = &body->topics.items[i];
        state->create.topics[i] =
            (struct topic_create){.name = asked->name,
                                  .partition_count = asked->num_partitions,
                                  .replication_factor = asked->replication_factor};
        state->reply.topics.items[i].name = asked->name;
        if (!copy_assignments(request, asked, &state->create.topics[i]) ||
            !copy_configs(request, asked, &state->create.topics[i]))
            return false;
    }
    state->create.topic_count = (uint32_t)count;
    state->reply.topics.count = (int32_t)count;
    return true;
}

void api_create_topics(struct broker_request *request)
{
    const struct kafka_create_topics_request *body = request->body;
    struct create_state *state = broker_request_take(request, sizeof *state);
    if (state == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    state->request = request;
    if (!prepare(state)) {
        broker_request_fail_memory(request);
        return;
    }
    state->create.timeout_ms = body->timeout_ms;
    state->create.validate_only = body->validate_only;
    state->create.done = on_created;
    state->create.user = state;
    control_create_topics(request->server->control, &state->create);
}
