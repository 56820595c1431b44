#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

enum {
    version_with_ids = 6,
    version_deletion_disabled = 3, /* Knows the code TOPIC_DELETION_DISABLED. */
};

struct delete_state {
    struct broker_request *request;
    struct delete_topics deletion;
    struct kafka_delete_topics_reply reply;
    int32_t *reply_index; /* [deletion.topic_count]: where the answers go. */
};

static void on_deleted(struct delete_topics *deletion)
{
    struct delete_state *state = deletion->user;
    for (uint32_t i = 0; i < deletion->topic_count; i++) {
        const struct topic_delete *topic = &deletion->topics[i];
        struct kafka_delete_topics_reply_responses *reply =
            &state->reply.responses.items[state->reply_index[i]];
        reply->name = topic->name;
        memcpy(reply->topic_id.bytes, topic->id.bytes, sizeof reply->topic_id.bytes);
        reply->error_code = topic->error_code;
        if (topic->error_code != KAFKA_NONE && topic->reason[0] != '\0')
            reply->error_message = slice_from_text(topic->reason);
        if (topic->error_code == KAFKA_TOPIC_DELETION_DISABLED &&
            state->request->version < version_deletion_disabled)
            reply->error_code = KAFKA_INVALID_REQUEST;
    }
    broker_request_reply(state->request, &state->reply);
}

static bool has_id(const struct kafka_delete_topics_request_topics *topic)
{
    static const struct wire_uuid zero;
    return memcmp(&topic->topic_id, &zero, sizeof zero) != 0;
}

/* A topic is named or given by its id; whoever does both or neither means we do not know what. */
static void fill(struct delete_state *state, int32_t count)
{
    const struct kafka_delete_topics_request *body = state->request->body;
    const bool by_name = state->request->version < version_with_ids;
    for (int32_t i = 0; i < count; i++) {
        const struct kafka_delete_topics_request_topics *asked =
            by_name ? NULL : &body->topics.items[i];
        if (!by_name && slice_is_null(asked->name) != has_id(asked)) {
            state->reply.responses.items[i] =
                (struct kafka_delete_topics_reply_responses){.name = asked->name,
                                                             .topic_id = asked->topic_id,
                                                             .error_code = KAFKA_INVALID_REQUEST};
            continue;
        }
        struct topic_delete *topic = &state->deletion.topics[state->deletion.topic_count];
        state->reply_index[state->deletion.topic_count++] = i;
        topic->name = by_name ? body->topic_names.items[i] : asked->name;
        if (!by_name)
            memcpy(topic->id.bytes, asked->topic_id.bytes, sizeof topic->id.bytes);
    }
}

void api_delete_topics(struct broker_request *request)
{
    const struct kafka_delete_topics_request *body = request->body;
    const int32_t count =
        request->version < version_with_ids ? body->topic_names.count : body->topics.count;
    struct delete_state *state = broker_request_take(request, sizeof *state);
    if (state != NULL) {
        state->deletion.topics =
            broker_request_take_array(request, (size_t)count, sizeof *state->deletion.topics);
        state->reply.responses.items =
            broker_request_take_array(request, (size_t)count, sizeof *state->reply.responses.items);
        state->reply_index =
            broker_request_take_array(request, (size_t)count, sizeof *state->reply_index);
    }
    if (state == NULL || state->deletion.topics == NULL || state->reply.responses.items == NULL ||
        state->reply_index == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    state->request = request;
    state->reply.responses.count = count;
    state->deletion.timeout_ms = body->timeout_ms;
    state->deletion.done = on_deleted;
    state->deletion.user = state;
    fill(state, count);
    control_delete_topics(request->server->control, &state->deletion);
}
