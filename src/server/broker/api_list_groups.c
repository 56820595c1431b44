#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

static bool equal_ignoring_case(struct slice a, struct slice b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++) {
        const uint8_t x = a.data[i];
        const uint8_t y = b.data[i];
        const bool is_letter = (x | 0x20) >= 'a' && (x | 0x20) <= 'z';
        if (x != y && !(is_letter && (x | 0x20) == (y | 0x20)))
            return false;
    }
    return true;
}

/* An empty filter lets everything through. */
static bool passes(struct slice text, const struct slice *filter, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        if (equal_ignoring_case(text, filter[i]))
            return true;
    return count <= 0;
}

static enum error_code loading_error(const struct group_service *service)
{
    for (uint32_t i = 0; i < service->home_count; i++) {
        const struct group_home *home = service->homes[i];
        if (home != NULL && home->is_led && !home->is_loaded)
            return KAFKA_COORDINATOR_LOAD_IN_PROGRESS;
    }
    return KAFKA_NONE;
}

void api_list_groups(struct broker_request *request)
{
    const struct kafka_list_groups_request *body = request->body;
    const struct group_service *service = &request->server->groups;
    const struct slice type = SLICE_LITERAL("classic");
    struct kafka_list_groups_reply reply = {.error_code = (int16_t)loading_error(service)};
    reply.groups.items = broker_request_take_array(request, service->coordinator.group_count,
                                                   sizeof *reply.groups.items);
    if (reply.groups.items == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    list_each (link, &service->coordinator.all) {
        const struct group *group = CONTAINER_OF(link, struct group, link);
        const struct slice state = slice_from_text(group_state_text(group->state));
        if (!passes(state, body->states_filter.items, body->states_filter.count) ||
            !passes(type, body->types_filter.items, body->types_filter.count))
            continue;
        reply.groups.items[reply.groups.count++] = (struct kafka_list_groups_reply_groups){
            .group_id = group->id,
            .protocol_type =
                slice_is_null(group->protocol_type) ? SLICE_LITERAL("") : group->protocol_type,
            .group_state = state,
            .group_type = type};
    }
    broker_request_reply(request, &reply);
}
