#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

struct grow_state {
    struct broker_request *request;
    struct create_partitions growth;
    struct kafka_create_partitions_reply reply;
};

static void on_grown(struct create_partitions *growth)
{
    struct grow_state *state = growth->user;
    for (uint32_t i = 0; i < growth->topic_count; i++) {
        struct kafka_create_partitions_reply_results *result = &state->reply.results.items[i];
        result->error_code = growth->topics[i].error_code;
        if (result->error_code != KAFKA_NONE && growth->topics[i].reason[0] != '\0')
            result->error_message = slice_from_text(growth->topics[i].reason);
    }
    broker_request_reply(state->request, &state->reply);
}

static bool fill_topic(struct grow_state *state, uint32_t index)
{
    const struct kafka_create_partitions_request *body = state->request->body;
    const struct kafka_create_partitions_request_topics *asked = &body->topics.items[index];
    struct topic_grow *topic = &state->growth.topics[index];
    topic->name = asked->name;
    topic->partition_count = asked->count;
    state->reply.results.items[index].name = asked->name;
    if (asked->assignments.count < 0)
        return true;
    const size_t count = (size_t)asked->assignments.count;
    struct topic_assignment *assignments =
        broker_request_take_array(state->request, count, sizeof *assignments);
    if (assignments == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        assignments[i] = (struct topic_assignment){
            .broker_count = (uint32_t)asked->assignments.items[i].broker_ids.count,
            .brokers = asked->assignments.items[i].broker_ids.items};
    topic->assignments = assignments;
    topic->assignment_count = (uint32_t)count;
    return true;
}

static bool prepare(struct grow_state *state)
{
    const struct kafka_create_partitions_request *body = state->request->body;
    const size_t count = (size_t)body->topics.count;
    state->growth.topics =
        broker_request_take_array(state->request, count, sizeof *state->growth.topics);
    state->reply.results.items =
        broker_request_take_array(state->request, count, sizeof *state->reply.results.items);
    if (state->growth.topics == NULL || state->reply.results.items == NULL)
        return false;
    state->growth.topic_count = (uint32_t)count;
    state->reply.results.count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++)
        if (!fill_topic(state, i))
            return false;
    return true;
}

void api_create_partitions(struct broker_request *request)
{
    const struct kafka_create_partitions_request *body = request->body;
    struct grow_state *state = broker_request_take(request, sizeof *state);
    if (state == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    state->request = request;
    if (!prepare(state)) {
        broker_request_fail_memory(request);
        return;
    }
    state->growth.timeout_ms = body->timeout_ms;
    state->growth.validate_only = body->validate_only;
    state->growth.done = on_grown;
    state->growth.user = state;
    control_create_partitions(request->server->control, &state->growth);
}
