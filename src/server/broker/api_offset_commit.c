#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

enum { version_commit_timestamp = 1 };

struct commit_state {
    struct broker_request *request;
    struct kafka_offset_commit_reply reply;
    struct group_write write;
    uint32_t written_count;
};

static enum error_code judge_partition(const struct broker_request *request, struct slice topic,
                                       int32_t index)
{
    const struct metadata_partition *partition =
        metadata_view_partition(control_metadata(request->server->control), topic, index);
    return partition == NULL || partition->leader_epoch < 0 ? KAFKA_UNKNOWN_TOPIC_OR_PARTITION
                                                            : KAFKA_NONE;
}

/* Partitions that do not exist are told so, whatever is said of the others. */
static bool prepare_reply(struct commit_state *state)
{
    struct broker_request *request = state->request;
    const struct kafka_offset_commit_request *body = request->body;
    struct kafka_offset_commit_reply *reply = &state->reply;
    reply->topics.count = body->topics.count;
    reply->topics.items =
        broker_request_take_array(request, (size_t)body->topics.count, sizeof *reply->topics.items);
    if (reply->topics.items == NULL)
        return false;
    for (int32_t t = 0; t < body->topics.count; t++) {
        const struct kafka_offset_commit_request_topics *asked = &body->topics.items[t];
        struct kafka_offset_commit_reply_topics *topic = &reply->topics.items[t];
        topic->name = asked->name;
        topic->partitions.count = asked->partitions.count;
        topic->partitions.items = broker_request_take_array(
            request, (size_t)asked->partitions.count, sizeof *topic->partitions.items);
        if (topic->partitions.items == NULL)
            return false;
        for (int32_t p = 0; p < asked->partitions.count; p++) {
            const int32_t index = asked->partitions.items[p].partition_index;
            topic->partitions.items[p].partition_index = index;
            topic->partitions.items[p].error_code =
                (int16_t)judge_partition(request, asked->name, index);
        }
    }
    return true;
}

/* For the partitions that have no error of their own. */
static void reply_with(struct commit_state *state, enum error_code code)
{
    for (int32_t t = 0; t < state->reply.topics.count; t++) {
        struct kafka_offset_commit_reply_topics *topic = &state->reply.topics.items[t];
        for (int32_t p = 0; p < topic->partitions.count; p++)
            if (topic->partitions.items[p].error_code == KAFKA_NONE)
                topic->partitions.items[p].error_code = (int16_t)code;
    }
    broker_request_reply(state->request, &state->reply);
}

static struct group_offset_value
value_of(const struct broker_request *request,
         const struct kafka_offset_commit_request_topics_partitions *asked)
{
    const struct kafka_offset_commit_request *body = request->body;
    const bool says_when =
        request->version == version_commit_timestamp && asked->commit_timestamp >= 0;
    const int64_t at_ms = says_when ? asked->commit_timestamp : io_wall_ms(request->server->io);
    return (struct group_offset_value){
        .offset = asked->committed_offset,
        .commit_at_ms = at_ms,
        .expire_at_ms = body->retention_time_ms >= 0 ? at_ms + body->retention_time_ms : -1,
        .leader_epoch = asked->committed_leader_epoch,
        .metadata = slice_is_null(asked->committed_metadata) ? SLICE_LITERAL("")
                                                             : asked->committed_metadata};
}

static void add_all(struct commit_state *state)
{
    const struct broker_request *request = state->request;
    const struct kafka_offset_commit_request *body = request->body;
    const int64_t metadata_bytes_max = request->server->config->offsets_metadata_bytes_max;
    for (int32_t t = 0; t < body->topics.count; t++) {
        const struct kafka_offset_commit_request_topics *topic = &body->topics.items[t];
        for (int32_t p = 0; p < topic->partitions.count; p++) {
            const struct kafka_offset_commit_request_topics_partitions *asked =
                &topic->partitions.items[p];
            struct kafka_offset_commit_reply_topics_partitions *reply =
                &state->reply.topics.items[t].partitions.items[p];
            if ((int64_t)asked->committed_metadata.size > metadata_bytes_max &&
                reply->error_code == KAFKA_NONE)
                reply->error_code = KAFKA_OFFSET_METADATA_TOO_LARGE;
            if (reply->error_code != KAFKA_NONE)
                continue;
            const struct group_offset_value value = value_of(request, asked);
            group_batch_add_offset(&state->write.batch, body->group_id, topic->name,
                                   asked->partition_index, &value);
            state->written_count++;
        }
    }
}

/* The log has them: now they hold. */
static bool remember(struct commit_state *state, struct group *group)
{
    struct group_service *service = &state->request->server->groups;
    const struct kafka_offset_commit_request *body = state->request->body;
    for (int32_t t = 0; t < body->topics.count; t++) {
        const struct kafka_offset_commit_request_topics *topic = &body->topics.items[t];
        for (int32_t p = 0; p < topic->partitions.count; p++) {
            const struct kafka_offset_commit_request_topics_partitions *asked =
                &topic->partitions.items[p];
            if (state->reply.topics.items[t].partitions.items[p].error_code == KAFKA_NONE &&
                !group_offsets_set(&service->coordinator, group, topic->name,
                                   asked->partition_index, value_of(state->request, asked)))
                return false;
        }
    }
    return true;
}

static void on_written(struct group_write *write, enum error_code code)
{
    struct commit_state *state = CONTAINER_OF(write, struct commit_state, write);
    const struct kafka_offset_commit_request *body = state->request->body;
    struct group_coordinator *coordinator = &write->service->coordinator;
    struct group *group = NULL;
    if (code == KAFKA_NONE)
        group =
            group_coordinator_take(coordinator, body->group_id, group_service_now(write->service));
    if (code == KAFKA_NONE && (group == NULL || !remember(state, group)))
        code = KAFKA_COORDINATOR_NOT_AVAILABLE;
    reply_with(state, code);
}

void api_offset_commit(struct broker_request *request)
{
    struct group_service *service = &request->server->groups;
    const struct kafka_offset_commit_request *body = request->body;
    struct commit_state *state = broker_request_take(request, sizeof *state);
    if (state == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    state->request = request;
    if (!prepare_reply(state)) {
        broker_request_fail_memory(request);
        return;
    }
    const struct group_caller caller = {.group_id = body->group_id,
                                        .member_id = body->member_id,
                                        .instance_id = body->group_instance_id,
                                        .generation = body->generation_id};
    struct group *group;
    enum error_code code = group_service_check(service, body->group_id, false);
    if (code == KAFKA_NONE)
        code = group_coordinator_check_commit(&service->coordinator, &caller,
                                              group_service_now(service), &group);
    group_service_arm(service);
    if (code != KAFKA_NONE) {
        reply_with(state, code);
        return;
    }
    state->write.done = on_written;
    group_batch_init(&state->write.batch, request->server->heap, io_wall_ms(request->server->io));
    add_all(state);
    if (state->written_count > 0) {
        group_service_write(service, body->group_id, &state->write);
        return;
    }
    group_batch_deinit(&state->write.batch);
    reply_with(state, KAFKA_NONE);
}
