#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

struct reassign_state {
    struct broker_request *request;
    struct alter_reassignments alter;
    struct kafka_alter_partition_reassignments_reply reply;
};

static bool put_topics(struct reassign_state *state)
{
    const struct kafka_alter_partition_reassignments_request *body = state->request->body;
    const struct partition_reassignment *asked = state->alter.partitions;
    const size_t count = (size_t)body->topics.count;
    state->reply.responses.items =
        broker_request_take_array(state->request, count, sizeof *state->reply.responses.items);
    for (size_t t = 0; state->reply.responses.items != NULL && t < count; t++) {
        struct kafka_alter_partition_reassignments_reply_responses *topic =
            &state->reply.responses.items[t];
        const int32_t partition_count = body->topics.items[t].partitions.count;
        topic->name = body->topics.items[t].name;
        topic->partitions.items = broker_request_take_array(state->request, (size_t)partition_count,
                                                            sizeof *topic->partitions.items);
        if (topic->partitions.items == NULL)
            return false;
        topic->partitions.count = partition_count;
        for (int32_t i = 0; i < partition_count; i++, asked++)
            topic->partitions.items[i] =
                (struct kafka_alter_partition_reassignments_reply_responses_partitions){
                    .partition_index = asked->index,
                    .error_code = asked->error_code,
                    .error_message =
                        asked->reason[0] == '\0' ? SLICE_NULL : slice_from_text(asked->reason)};
    }
    state->reply.responses.count = body->topics.count;
    return state->reply.responses.items != NULL;
}

static void on_altered(struct alter_reassignments *alter)
{
    struct reassign_state *state = alter->user;
    state->reply.error_code = alter->error_code;
    state->reply.allow_replication_factor_change = true;
    if (alter->error_code == KAFKA_NOT_CONTROLLER)
        state->reply.error_message =
            SLICE_LITERAL("This is not the correct controller for this cluster.");
    if (alter->error_code == KAFKA_NONE && !put_topics(state))
        broker_request_fail_memory(state->request);
    else
        broker_request_reply(state->request, &state->reply);
}

static bool fill(struct reassign_state *state)
{
    const struct kafka_alter_partition_reassignments_request *body = state->request->body;
    size_t count = 0;
    for (int32_t t = 0; t < body->topics.count; t++)
        count += (size_t)body->topics.items[t].partitions.count;
    struct partition_reassignment *wanted =
        broker_request_take_array(state->request, count, sizeof *wanted);
    if (wanted == NULL)
        return false;
    state->alter.partitions = wanted;
    state->alter.partition_count = (uint32_t)count;
    for (int32_t t = 0; t < body->topics.count; t++)
        for (int32_t i = 0; i < body->topics.items[t].partitions.count; i++) {
            const struct kafka_alter_partition_reassignments_request_topics_partitions *asked =
                &body->topics.items[t].partitions.items[i];
            const bool is_cancel = asked->replicas.count < 0;
            *wanted++ = (struct partition_reassignment){
                .topic = body->topics.items[t].name,
                .index = asked->partition_index,
                .is_cancel = is_cancel,
                .replica_count = is_cancel ? 0 : (uint32_t)asked->replicas.count,
                .replicas = asked->replicas.items};
        }
    return true;
}

void api_alter_partition_reassignments(struct broker_request *request)
{
    const struct kafka_alter_partition_reassignments_request *body = request->body;
    struct reassign_state *state = broker_request_take(request, sizeof *state);
    if (state == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    state->request = request;
    if (!fill(state)) {
        broker_request_fail_memory(request);
        return;
    }
    state->alter.timeout_ms = body->timeout_ms;
    state->alter.done = on_altered;
    state->alter.user = state;
    control_alter_reassignments(request->server->control, &state->alter);
}
