/* DeleteGroups: groups without members go, with their offsets, one write after the other. */
#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

struct delete_state {
    struct broker_request *request;
    struct kafka_delete_groups_reply reply;
    struct group_write write;
    int32_t index;
};

static void delete_next(struct delete_state *state);

static void on_written(struct group_write *write, enum error_code code)
{
    struct delete_state *state = CONTAINER_OF(write, struct delete_state, write);
    state->reply.results.items[state->index++].error_code = (int16_t)code;
    delete_next(state);
}

static enum error_code judge(const struct group_service *service, struct slice group_id,
                             struct group **group)
{
    const enum error_code code = group_service_check(service, group_id, false);
    if (code != KAFKA_NONE)
        return code;
    *group = group_coordinator_find(&service->coordinator, group_id);
    if (*group == NULL)
        return KAFKA_GROUP_ID_NOT_FOUND;
    return (*group)->state == GROUP_EMPTY ? KAFKA_NONE : KAFKA_NON_EMPTY_GROUP;
}

/* The group is gone at once; the tombstones keep it away after a restart. */
static void begin_delete(struct delete_state *state, struct group *group)
{
    struct broker_server *server = state->request->server;
    const struct slice group_id = state->reply.results.items[state->index].group_id;
    struct group_batch *batch = &state->write.batch;
    group_batch_init(batch, server->heap, io_wall_ms(server->io));
    list_each (link, &group->offsets) {
        const struct group_offset *offset = CONTAINER_OF(link, struct group_offset, link);
        group_batch_add_offset(batch, group_id, offset->topic, offset->partition, NULL);
    }
    group_batch_add_group_tombstone(batch, group_id);
    group_coordinator_drop(&server->groups.coordinator, group, KAFKA_GROUP_ID_NOT_FOUND);
    state->write.done = on_written;
    group_service_write(&server->groups, group_id, &state->write);
}

static void delete_next(struct delete_state *state)
{
    const struct kafka_delete_groups_request *body = state->request->body;
    struct group_service *service = &state->request->server->groups;
    for (; state->index < body->groups_names.count; state->index++) {
        struct kafka_delete_groups_reply_results *result =
            &state->reply.results.items[state->index];
        struct group *group = NULL;
        result->group_id = body->groups_names.items[state->index];
        const enum error_code code = judge(service, result->group_id, &group);
        if (code == KAFKA_NONE) {
            begin_delete(state, group);
            return;
        }
        result->error_code = (int16_t)code;
    }
    broker_request_reply(state->request, &state->reply);
}

void api_delete_groups(struct broker_request *request)
{
    const struct kafka_delete_groups_request *body = request->body;
    struct delete_state *state = broker_request_take(request, sizeof *state);
    if (state != NULL)
        state->reply.results.items = broker_request_take_array(
            request, (size_t)body->groups_names.count, sizeof *state->reply.results.items);
    if (state == NULL || state->reply.results.items == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    state->request = request;
    state->reply.results.count = body->groups_names.count;
    delete_next(state);
}
