#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

enum {
    topic_bytes = 32 * 1024, /* What control_describe_configs asks for. */
    broker_bytes = 256 * 1024,
};

struct describe_state {
    struct broker_request *request;
    struct describe_configs describe;
    struct arena arena;
    struct kafka_describe_configs_reply reply;
};

static bool fill_synonyms(struct describe_state *state, const struct config_description *config,
                          struct kafka_describe_configs_reply_results_configs *reply)
{
    const struct kafka_describe_configs_request *body = state->request->body;
    if (!body->include_synonyms)
        return true;
    reply->synonyms.items = broker_request_take_array(state->request, config->synonym_count,
                                                      sizeof *reply->synonyms.items);
    if (reply->synonyms.items == NULL)
        return false;
    for (uint32_t i = 0; i < config->synonym_count; i++)
        reply->synonyms.items[i] = (struct kafka_describe_configs_reply_results_configs_synonyms){
            .name = config->synonyms[i].name,
            .value = config->synonyms[i].value,
            .source = config->synonyms[i].source};
    reply->synonyms.count = (int32_t)config->synonym_count;
    return true;
}

static bool fill_result(struct describe_state *state,
                        const struct config_resource_describe *resource,
                        struct kafka_describe_configs_reply_results *result)
{
    const struct kafka_describe_configs_request *body = state->request->body;
    result->error_code = resource->error_code;
    result->resource_type = resource->type;
    result->resource_name = resource->name;
    result->error_message = SLICE_LITERAL(""); /* Not null: so does Apache's broker. */
    if (resource->error_code != KAFKA_NONE) {
        result->error_message = slice_from_text(resource->reason);
        return true;
    }
    result->configs.items = broker_request_take_array(state->request, resource->config_count,
                                                      sizeof *result->configs.items);
    if (result->configs.items == NULL)
        return false;
    result->configs.count = (int32_t)resource->config_count;
    for (uint32_t i = 0; i < resource->config_count; i++) {
        const struct config_description *config = &resource->configs[i];
        struct kafka_describe_configs_reply_results_configs *reply = &result->configs.items[i];
        *reply = (struct kafka_describe_configs_reply_results_configs){
            .name = config->name,
            .value = config->value,
            .read_only = config->is_read_only,
            .config_source = config->source,
            .is_sensitive = config->is_sensitive,
            .config_type = config->type};
        if (body->include_documentation && config->doc != NULL)
            reply->documentation = slice_from_text(config->doc);
        if (!fill_synonyms(state, config, reply))
            return false;
    }
    return true;
}

static void on_described(struct describe_configs *describe)
{
    struct describe_state *state = describe->user;
    struct broker_request *request = state->request;
    struct kafka_describe_configs_reply *reply = &state->reply;
    reply->results.items =
        broker_request_take_array(request, describe->resource_count, sizeof *reply->results.items);
    for (uint32_t i = 0; reply->results.items != NULL && i < describe->resource_count; i++) {
        if (!fill_result(state, &describe->resources[i], &reply->results.items[i]))
            break;
        reply->results.count++;
    }
    if (reply->results.count == (int32_t)describe->resource_count)
        broker_request_reply(request, reply);
    else
        broker_request_fail_memory(request);
}

static size_t room_for_all(const struct kafka_describe_configs_request *body)
{
    size_t bytes = 0;
    for (int32_t i = 0; i < body->resources.count; i++)
        bytes += body->resources.items[i].resource_type == CONFIG_RESOURCE_TOPIC ? topic_bytes
                                                                                 : broker_bytes;
    return bytes;
}

static bool prepare(struct describe_state *state)
{
    struct broker_request *request = state->request;
    const struct kafka_describe_configs_request *body = request->body;
    const size_t count = (size_t)body->resources.count;
    const size_t bytes = room_for_all(body);
    struct describe_configs *describe = &state->describe;
    describe->resources = broker_request_take_array(request, count, sizeof *describe->resources);
    void *memory = broker_request_take(request, bytes);
    if (describe->resources == NULL || memory == NULL)
        return false;
    arena_init(&state->arena, memory, bytes);
    describe->arena = &state->arena;
    describe->resource_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        const struct kafka_describe_configs_request_resources *asked = &body->resources.items[i];
        describe->resources[i] = (struct config_resource_describe){
            .type = asked->resource_type,
            .name = asked->resource_name,
            .all_names = asked->configuration_keys.count < 0,
            .name_count = (uint32_t)max_i64(asked->configuration_keys.count, 0),
            .names = asked->configuration_keys.items};
    }
    return true;
}

void api_describe_configs(struct broker_request *request)
{
    struct describe_state *state = broker_request_take(request, sizeof *state);
    if (state == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    state->request = request;
    if (!prepare(state)) {
        broker_request_fail_memory(request);
        return;
    }
    state->describe.done = on_described;
    state->describe.user = state;
    control_describe_configs(request->server->control, &state->describe);
}
