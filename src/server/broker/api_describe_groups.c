#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

/* Bits of AclOperation: read, delete, describe. Without ACLs everything is allowed. */
enum { group_operations = 1 << 3 | 1 << 6 | 1 << 8 };

/* What members said and were given is shown of a stable group only. */
static bool fill_members(struct broker_request *request, const struct group *group,
                         struct kafka_describe_groups_reply_groups *reply)
{
    const bool is_stable = group->state == GROUP_STABLE;
    reply->members.items =
        broker_request_take_array(request, group->member_count, sizeof *reply->members.items);
    if (reply->members.items == NULL)
        return false;
    list_each (link, &group->members) {
        const struct group_member *member = CONTAINER_OF(link, struct group_member, link);
        struct kafka_describe_groups_reply_groups_members *one =
            &reply->members.items[reply->members.count++];
        one->member_id = member->id;
        one->group_instance_id = member->instance_id;
        one->client_id = member->client_id;
        one->client_host = member->client_host;
        one->member_metadata =
            is_stable ? group_member_metadata(member, group->protocol) : SLICE_LITERAL("");
        one->member_assignment = is_stable && !slice_is_null(member->assignment)
                                     ? member->assignment
                                     : SLICE_LITERAL("");
    }
    return true;
}

static struct slice or_empty(struct slice text)
{
    return slice_is_null(text) ? SLICE_LITERAL("") : text;
}

static bool describe(struct broker_request *request, struct slice group_id,
                     struct kafka_describe_groups_reply_groups *reply)
{
    const struct kafka_describe_groups_request *body = request->body;
    const struct group_service *service = &request->server->groups;
    const enum error_code code = group_service_check(service, group_id, false);
    const struct group *group =
        code == KAFKA_NONE ? group_coordinator_find(&service->coordinator, group_id) : NULL;
    *reply = (struct kafka_describe_groups_reply_groups){
        .error_code = (int16_t)code,
        .group_id = group_id,
        .group_state = code == KAFKA_NONE ? SLICE_LITERAL("Dead") : SLICE_LITERAL(""),
        .protocol_type = SLICE_LITERAL(""),
        .protocol_data = SLICE_LITERAL(""),
        .authorized_operations =
            body->include_authorized_operations ? group_operations : INT32_MIN};
    if (group == NULL)
        return true;
    reply->group_state = slice_from_text(group_state_text(group->state));
    reply->protocol_type = or_empty(group->protocol_type);
    if (group->state == GROUP_STABLE)
        reply->protocol_data = or_empty(group->protocol);
    return fill_members(request, group, reply);
}

void api_describe_groups(struct broker_request *request)
{
    const struct kafka_describe_groups_request *body = request->body;
    struct kafka_describe_groups_reply reply = {0};
    reply.groups.items =
        broker_request_take_array(request, (size_t)body->groups.count, sizeof *reply.groups.items);
    for (int32_t i = 0; reply.groups.items != NULL && i < body->groups.count; i++) {
        if (!describe(request, body->groups.items[i], &reply.groups.items[i]))
            break;
        reply.groups.count++;
    }
    if (reply.groups.count == body->groups.count)
        broker_request_reply(request, &reply);
    else
        broker_request_fail_memory(request);
}
