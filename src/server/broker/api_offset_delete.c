#include "base/bytes.h"
#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

struct offset_delete_state {
    struct broker_request *request;
    struct kafka_offset_delete_reply reply;
    struct group_write write;
    uint32_t written_count;
};

/* Whether a consumer's subscription names the topic: a 16-bit version, then an array of names. */
static bool subscribes(struct slice subscription, struct slice topic)
{
    if (subscription.size < 6)
        return false;
    int32_t count = load_i32(subscription.data + 2);
    struct slice rest = slice_skip(subscription, 6);
    for (; count > 0 && rest.size >= 2; count--) {
        const int16_t size = load_i16(rest.data);
        rest = slice_skip(rest, 2);
        if (size < 0 || (size_t)size > rest.size)
            return false;
        if (slice_equal(slice_of(rest.data, (size_t)size), topic))
            return true;
        rest = slice_skip(rest, (size_t)size);
    }
    return false;
}

static bool is_in_use(const struct group *group, struct slice topic)
{
    list_each (link, &group->members) {
        const struct group_member *member = CONTAINER_OF(link, struct group_member, link);
        for (uint32_t i = 0; i < member->protocol_count; i++)
            if (subscribes(member->protocols[i].metadata, topic))
                return true;
    }
    return false;
}

static enum error_code judge(const struct broker_request *request, struct group **group)
{
    const struct kafka_offset_delete_request *body = request->body;
    const struct group_service *service = &request->server->groups;
    const enum error_code code = group_service_check(service, body->group_id, false);
    if (code != KAFKA_NONE)
        return code;
    *group = group_coordinator_find(&service->coordinator, body->group_id);
    if (*group == NULL)
        return KAFKA_GROUP_ID_NOT_FOUND;
    if ((*group)->state == GROUP_EMPTY || slice_equal_text((*group)->protocol_type, "consumer"))
        return KAFKA_NONE;
    return KAFKA_NON_EMPTY_GROUP;
}

static bool prepare_reply(struct offset_delete_state *state, const struct group *group)
{
    struct broker_request *request = state->request;
    const struct kafka_offset_delete_request *body = request->body;
    const struct metadata_view *view = control_metadata(request->server->control);
    struct kafka_offset_delete_reply *reply = &state->reply;
    reply->topics.count = body->topics.count;
    reply->topics.items =
        broker_request_take_array(request, (size_t)body->topics.count, sizeof *reply->topics.items);
    if (reply->topics.items == NULL)
        return false;
    for (int32_t t = 0; t < body->topics.count; t++) {
        const struct kafka_offset_delete_request_topics *asked = &body->topics.items[t];
        struct kafka_offset_delete_reply_topics *topic = &reply->topics.items[t];
        const bool in_use = is_in_use(group, asked->name);
        topic->name = asked->name;
        topic->partitions.count = asked->partitions.count;
        topic->partitions.items = broker_request_take_array(
            request, (size_t)asked->partitions.count, sizeof *topic->partitions.items);
        if (topic->partitions.items == NULL)
            return false;
        for (int32_t p = 0; p < asked->partitions.count; p++) {
            const int32_t index = asked->partitions.items[p].partition_index;
            topic->partitions.items[p].partition_index = index;
            topic->partitions.items[p].error_code = KAFKA_NONE;
            if (metadata_view_partition(view, asked->name, index) == NULL)
                topic->partitions.items[p].error_code = KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
            else if (in_use)
                topic->partitions.items[p].error_code = KAFKA_GROUP_SUBSCRIBED_TO_TOPIC;
        }
    }
    return true;
}

static void delete_offsets(struct offset_delete_state *state, const struct group *group)
{
    struct group_service *service = &state->request->server->groups;
    const struct kafka_offset_delete_reply *reply = &state->reply;
    for (int32_t t = 0; t < reply->topics.count; t++) {
        const struct kafka_offset_delete_reply_topics *topic = &reply->topics.items[t];
        for (int32_t p = 0; p < topic->partitions.count; p++) {
            struct group_offset *offset =
                group_offsets_find(&service->coordinator, group, topic->name,
                                   topic->partitions.items[p].partition_index);
            if (offset == NULL || topic->partitions.items[p].error_code != KAFKA_NONE)
                continue;
            group_batch_add_offset(&state->write.batch, group->id, topic->name, offset->partition,
                                   NULL);
            group_offsets_remove(&service->coordinator, offset);
            state->written_count++;
        }
    }
}

/* A group without members and offsets is no group any more. */
static void drop_if_over(struct offset_delete_state *state, struct group *group)
{
    if (group->state != GROUP_EMPTY || group->offset_count > 0 || group->pending_count > 0)
        return;
    if (group->generation > 0) {
        group_batch_add_group_tombstone(&state->write.batch, group->id);
        state->written_count++;
    }
    group_coordinator_drop(&state->request->server->groups.coordinator, group,
                           KAFKA_GROUP_ID_NOT_FOUND);
}

static void on_written(struct group_write *write, enum error_code code)
{
    struct offset_delete_state *state = CONTAINER_OF(write, struct offset_delete_state, write);
    state->reply.error_code = (int16_t)code;
    broker_request_reply(state->request, &state->reply);
}

void api_offset_delete(struct broker_request *request)
{
    const struct kafka_offset_delete_request *body = request->body;
    struct broker_server *server = request->server;
    struct offset_delete_state *state = broker_request_take(request, sizeof *state);
    struct group *group = NULL;
    if (state == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    state->request = request;
    const enum error_code code = judge(request, &group);
    if (code != KAFKA_NONE) {
        state->reply.error_code = (int16_t)code;
        broker_request_reply(request, &state->reply);
        return;
    }
    if (!prepare_reply(state, group)) {
        broker_request_fail_memory(request);
        return;
    }
    state->write.done = on_written;
    group_batch_init(&state->write.batch, server->heap, io_wall_ms(server->io));
    delete_offsets(state, group);
    drop_if_over(state, group);
    if (state->written_count > 0) {
        group_service_write(&server->groups, body->group_id, &state->write);
        return;
    }
    group_batch_deinit(&state->write.batch);
    broker_request_reply(request, &state->reply);
}
