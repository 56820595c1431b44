#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

/* Two walks: one counts, one fills. */
struct list_state {
    struct broker_request *request;
    struct kafka_list_partition_reassignments_reply reply;
    uint32_t count;
    struct kafka_list_partition_reassignments_reply_topics_partitions *places; /* NULL: counting. */
    bool has_no_memory;
};

/* A null list of topics asks for all. */
static bool is_asked(const struct kafka_list_partition_reassignments_request *body,
                     const struct reassignment_description *description)
{
    if (body->topics.count < 0)
        return true;
    for (int32_t t = 0; t < body->topics.count; t++) {
        if (!slice_equal(body->topics.items[t].name, description->topic))
            continue;
        for (int32_t i = 0; i < body->topics.items[t].partition_indexes.count; i++)
            if (body->topics.items[t].partition_indexes.items[i] == description->index)
                return true;
    }
    return false;
}

static int32_t *copy_ids(struct list_state *state, const int32_t *ids, uint32_t count)
{
    int32_t *copy = broker_request_take_array(state->request, (size_t)count + 1, sizeof *copy);
    state->has_no_memory |= copy == NULL;
    if (copy != NULL && count > 0)
        memcpy(copy, ids, count * sizeof *copy);
    return copy;
}

static struct kafka_list_partition_reassignments_reply_topics_partitions *
place_of(struct list_state *state, struct slice topic)
{
    struct kafka_list_partition_reassignments_reply_topics *topics = state->reply.topics.items;
    int32_t *count = &state->reply.topics.count;
    if (*count == 0 || !slice_equal(topics[*count - 1].name, topic)) {
        topics[*count] = (struct kafka_list_partition_reassignments_reply_topics){
            .name = broker_request_copy(state->request, topic),
            .partitions = {state->places + state->count, 0}};
        state->has_no_memory |= topics[*count].name.data == NULL;
        (*count)++;
    }
    state->count++;
    return &topics[*count - 1].partitions.items[topics[*count - 1].partitions.count++];
}

static void see(void *context, const struct reassignment_description *description)
{
    struct list_state *state = context;
    if (!is_asked(state->request->body, description))
        return;
    if (state->places == NULL) {
        state->count++;
        return;
    }
    *place_of(
        state,
        description->topic) = (struct kafka_list_partition_reassignments_reply_topics_partitions){
        .partition_index = description->index,
        .replicas = {copy_ids(state, description->replicas, description->replica_count),
                     (int32_t)description->replica_count},
        .adding_replicas = {copy_ids(state, description->adding, description->adding_count),
                            (int32_t)description->adding_count},
        .removing_replicas = {copy_ids(state, description->removing, description->removing_count),
                              (int32_t)description->removing_count},
    };
}

void api_list_partition_reassignments(struct broker_request *request)
{
    struct list_state state = {.request = request};
    struct control *control = request->server->control;
    state.reply.error_code = control_each_reassignment(control, see, &state);
    if (state.reply.error_code == KAFKA_NONE && state.count > 0) {
        state.reply.topics.items =
            broker_request_take_array(request, state.count, sizeof *state.reply.topics.items);
        state.places = broker_request_take_array(request, state.count, sizeof *state.places);
        state.count = 0;
        state.has_no_memory = state.reply.topics.items == NULL || state.places == NULL;
        if (!state.has_no_memory)
            state.reply.error_code = control_each_reassignment(control, see, &state);
    }
    if (state.reply.error_code != KAFKA_NONE)
        state.reply.error_message =
            SLICE_LITERAL("This is not the correct controller for this cluster.");
    if (state.has_no_memory)
        broker_request_fail_memory(request);
    else
        broker_request_reply(request, &state.reply);
}
