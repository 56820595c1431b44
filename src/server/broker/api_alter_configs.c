/* AlterConfigs, which replaces all settings of a resource, and IncrementalAlterConfigs. */
#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

struct alter_state {
    struct broker_request *request;
    struct alter_configs alter;
};

static struct slice reason_of(const struct config_resource_alter *resource)
{
    return resource->error_code == KAFKA_NONE ? SLICE_NULL : slice_from_text(resource->reason);
}

static void on_altered(struct alter_configs *alter)
{
    struct alter_state *state = alter->user;
    struct kafka_alter_configs_reply reply = {0};
    reply.responses.items = broker_request_take_array(state->request, alter->resource_count,
                                                      sizeof *reply.responses.items);
    if (reply.responses.items == NULL) {
        broker_request_fail_memory(state->request);
        return;
    }
    for (uint32_t i = 0; i < alter->resource_count; i++)
        reply.responses.items[i] = (struct kafka_alter_configs_reply_responses){
            .error_code = alter->resources[i].error_code,
            .error_message = reason_of(&alter->resources[i]),
            .resource_type = alter->resources[i].type,
            .resource_name = alter->resources[i].name};
    reply.responses.count = (int32_t)alter->resource_count;
    broker_request_reply(state->request, &reply);
}

static void on_altered_incrementally(struct alter_configs *alter)
{
    struct alter_state *state = alter->user;
    struct kafka_incremental_alter_configs_reply reply = {0};
    reply.responses.items = broker_request_take_array(state->request, alter->resource_count,
                                                      sizeof *reply.responses.items);
    if (reply.responses.items == NULL) {
        broker_request_fail_memory(state->request);
        return;
    }
    for (uint32_t i = 0; i < alter->resource_count; i++)
        reply.responses.items[i] = (struct kafka_incremental_alter_configs_reply_responses){
            .error_code = alter->resources[i].error_code,
            .error_message = reason_of(&alter->resources[i]),
            .resource_type = alter->resources[i].type,
            .resource_name = alter->resources[i].name};
    reply.responses.count = (int32_t)alter->resource_count;
    broker_request_reply(state->request, &reply);
}

static struct alter_state *new_state(struct broker_request *request, int32_t resource_count)
{
    struct alter_state *state = broker_request_take(request, sizeof *state);
    if (state == NULL)
        return NULL;
    state->request = request;
    state->alter.user = state;
    state->alter.resource_count = (uint32_t)resource_count;
    state->alter.resources =
        broker_request_take_array(request, (size_t)resource_count, sizeof *state->alter.resources);
    return state->alter.resources == NULL ? NULL : state;
}

static struct config_alter *new_alters(struct alter_state *state, int32_t index, int32_t count)
{
    struct config_alter *alters =
        broker_request_take_array(state->request, (size_t)count, sizeof *alters);
    state->alter.resources[index].alters = alters;
    state->alter.resources[index].alter_count = (uint32_t)count;
    return alters;
}

void api_alter_configs(struct broker_request *request)
{
    const struct kafka_alter_configs_request *body = request->body;
    struct alter_state *state = new_state(request, body->resources.count);
    for (int32_t r = 0; state != NULL && r < body->resources.count; r++) {
        const struct kafka_alter_configs_request_resources *asked = &body->resources.items[r];
        struct config_alter *alters = new_alters(state, r, asked->configs.count);
        if (alters == NULL)
            state = NULL;
        for (int32_t i = 0; alters != NULL && i < asked->configs.count; i++)
            alters[i] = (struct config_alter){.name = asked->configs.items[i].name,
                                              .value = asked->configs.items[i].value,
                                              .kind = CONFIG_SET};
        if (state != NULL) {
            state->alter.resources[r].type = asked->resource_type;
            state->alter.resources[r].name = asked->resource_name;
        }
    }
    if (state == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    state->alter.validate_only = body->validate_only;
    state->alter.done = on_altered;
    control_alter_configs(request->server->control, &state->alter);
}

void api_incremental_alter_configs(struct broker_request *request)
{
    const struct kafka_incremental_alter_configs_request *body = request->body;
    struct alter_state *state = new_state(request, body->resources.count);
    for (int32_t r = 0; state != NULL && r < body->resources.count; r++) {
        const struct kafka_incremental_alter_configs_request_resources *asked =
            &body->resources.items[r];
        struct config_alter *alters = new_alters(state, r, asked->configs.count);
        if (alters == NULL)
            state = NULL;
        for (int32_t i = 0; alters != NULL && i < asked->configs.count; i++)
            alters[i] = (struct config_alter){.name = asked->configs.items[i].name,
                                              .value = asked->configs.items[i].value,
                                              .kind = asked->configs.items[i].config_operation};
        if (state != NULL) {
            state->alter.resources[r].type = asked->resource_type;
            state->alter.resources[r].name = asked->resource_name;
        }
    }
    if (state == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    state->alter.is_incremental = true;
    state->alter.validate_only = body->validate_only;
    state->alter.done = on_altered_incrementally;
    control_alter_configs(request->server->control, &state->alter);
}
