#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

struct elect_state {
    struct broker_request *request;
    struct elect_leaders elect;
    struct kafka_elect_leaders_reply reply;
};

/* Where all partitions are asked for, those that are led as they should be are left out. */
static bool is_told(const struct elect_state *state, const struct partition_election *election)
{
    const struct kafka_elect_leaders_request *body = state->request->body;
    return body->topic_partitions.count >= 0 || election->error_code != KAFKA_ELECTION_NOT_NEEDED;
}

static void put_result(struct elect_state *state, const struct partition_election *election)
{
    struct kafka_elect_leaders_reply_replica_election_results *results =
        state->reply.replica_election_results.items;
    int32_t *count = &state->reply.replica_election_results.count;
    if (*count == 0 || !slice_equal(results[*count - 1].topic, election->topic)) {
        /* The places of its partitions follow those of the topic before. */
        struct kafka_elect_leaders_reply_replica_election_results_partition_result *place =
            *count == 0 ? results[0].partition_result.items
                        : results[*count - 1].partition_result.items +
                              results[*count - 1].partition_result.count;
        results[(*count)++] = (struct kafka_elect_leaders_reply_replica_election_results){
            .topic = election->topic, .partition_result = {place, 0}};
    }
    struct kafka_elect_leaders_reply_replica_election_results *result = &results[*count - 1];
    result->partition_result.items[result->partition_result.count++] =
        (struct kafka_elect_leaders_reply_replica_election_results_partition_result){
            .partition_id = election->index,
            .error_code = election->error_code,
            .error_message =
                election->reason[0] == '\0' ? SLICE_NULL : slice_from_text(election->reason)};
}

static void on_elected(struct elect_leaders *elect)
{
    struct elect_state *state = elect->user;
    struct broker_request *request = state->request;
    state->reply.replica_election_results.items = broker_request_take_array(
        request, elect->partition_count + 1, sizeof *state->reply.replica_election_results.items);
    struct kafka_elect_leaders_reply_replica_election_results_partition_result *places =
        broker_request_take_array(request, elect->partition_count + 1, sizeof *places);
    if (state->reply.replica_election_results.items == NULL || places == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    state->reply.replica_election_results.items[0].partition_result.items = places;
    for (uint32_t i = 0; i < elect->partition_count; i++)
        if (is_told(state, &elect->partitions[i]))
            put_result(state, &elect->partitions[i]);
    broker_request_reply(request, &state->reply);
}

static uint32_t count_partitions(const struct elect_state *state)
{
    const struct kafka_elect_leaders_request *body = state->request->body;
    const struct metadata_view *view = control_metadata(state->request->server->control);
    uint32_t count = 0;
    if (body->topic_partitions.count < 0)
        return view->partition_count;
    for (int32_t t = 0; t < body->topic_partitions.count; t++)
        count += (uint32_t)body->topic_partitions.items[t].partitions.count;
    return count;
}

static void add(struct elect_leaders *elect, struct slice topic, int32_t index)
{
    elect->partitions[elect->partition_count++] =
        (struct partition_election){.topic = topic, .index = index};
}

/* The view's names do not outlive it. False: no memory. */
static bool add_all(struct elect_state *state)
{
    const struct metadata_view *view = control_metadata(state->request->server->control);
    metadata_view_each_topic(topic, view)
    {
        const struct slice name = broker_request_copy(state->request, topic->name);
        if (name.data == NULL)
            return false;
        for (uint32_t i = 0; i < topic->partition_count; i++)
            if (topic->partitions[i].leader_epoch >= 0)
                add(&state->elect, name, (int32_t)i);
    }
    return true;
}

static bool fill(struct elect_state *state)
{
    const struct kafka_elect_leaders_request *body = state->request->body;
    state->elect.partitions = broker_request_take_array(state->request, count_partitions(state),
                                                        sizeof *state->elect.partitions);
    if (state->elect.partitions == NULL)
        return false;
    if (body->topic_partitions.count < 0)
        return add_all(state);
    for (int32_t t = 0; t < body->topic_partitions.count; t++)
        for (int32_t i = 0; i < body->topic_partitions.items[t].partitions.count; i++)
            add(&state->elect, body->topic_partitions.items[t].topic,
                body->topic_partitions.items[t].partitions.items[i]);
    return true;
}

void api_elect_leaders(struct broker_request *request)
{
    const struct kafka_elect_leaders_request *body = request->body;
    struct elect_state *state = broker_request_take(request, sizeof *state);
    if (state == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    state->request = request;
    if (!fill(state)) {
        broker_request_fail_memory(request);
        return;
    }
    state->elect.is_unclean = body->election_type == 1;
    state->elect.timeout_ms = body->timeout_ms;
    state->elect.done = on_elected;
    state->elect.user = state;
    control_elect_leaders(request->server->control, &state->elect);
}
