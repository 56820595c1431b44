#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

enum {
    version_rebalance_timeout = 1,
    version_id_required = 4,
    version_skip_assignment = 9,
    version_nullable_protocol = 7,
    host_bytes = io_address_text_max + 1,
};

static bool fill_members(struct broker_request *request, const struct group *group,
                         struct kafka_join_group_reply *reply)
{
    reply->members.items =
        broker_request_take_array(request, group->member_count, sizeof *reply->members.items);
    if (reply->members.items == NULL)
        return false;
    list_each (link, &group->members) {
        const struct group_member *member = CONTAINER_OF(link, struct group_member, link);
        reply->members.items[reply->members.count++] = (struct kafka_join_group_reply_members){
            .member_id = member->id,
            .group_instance_id = member->instance_id,
            .metadata = group_member_metadata(member, group->protocol)};
    }
    return true;
}

void api_join_group_reply(void *ticket, const struct group_joined *joined)
{
    struct broker_request *request = ticket;
    struct kafka_join_group_reply reply = {.error_code = (int16_t)joined->code,
                                           .generation_id = joined->generation,
                                           .leader = joined->leader_id,
                                           .skip_assignment = joined->skip_assignment,
                                           .member_id = joined->member_id};
    if (joined->group != NULL) {
        reply.protocol_type = joined->group->protocol_type;
        reply.protocol_name = joined->group->protocol;
    } else if (request->version < version_nullable_protocol) {
        reply.protocol_name = SLICE_LITERAL("");
    }
    if (joined->lists_members && !fill_members(request, joined->group, &reply))
        broker_request_fail_memory(request);
    else
        broker_request_reply(request, &reply);
}

static struct group_protocol *copy_protocols(struct broker_request *request)
{
    const struct kafka_join_group_request *body = request->body;
    struct group_protocol *protocols =
        broker_request_take_array(request, (size_t)body->protocols.count, sizeof *protocols);
    for (int32_t i = 0; protocols != NULL && i < body->protocols.count; i++)
        protocols[i] = (struct group_protocol){body->protocols.items[i].name,
                                               body->protocols.items[i].metadata};
    return protocols;
}

static void join(struct broker_request *request, const struct group_protocol *protocols)
{
    struct group_service *service = &request->server->groups;
    const struct kafka_join_group_request *body = request->body;
    char host[host_bytes];
    uint8_t entropy[16];
    struct group_joined joined;
    io_entropy(request->server->io, entropy, sizeof entropy);
    const bool has_timeout = request->version >= version_rebalance_timeout;
    const struct group_join event = {
        .group_id = body->group_id,
        .member_id = body->member_id,
        .instance_id = body->group_instance_id,
        .client_id = slice_is_null(request->client_id) ? SLICE_LITERAL("") : request->client_id,
        .client_host = slice_from_text(broker_request_host(request, host, sizeof host)),
        .protocol_type = body->protocol_type,
        .protocols = protocols,
        .protocol_count = (uint32_t)body->protocols.count,
        .session_timeout_ms = body->session_timeout_ms,
        .rebalance_timeout_ms = has_timeout ? (int32_t)max_i64(body->rebalance_timeout_ms, 0)
                                            : body->session_timeout_ms,
        .id_required = request->version >= version_id_required,
        .skips_assignment = request->version >= version_skip_assignment,
        .entropy = entropy,
        .ticket = request};
    if (group_coordinator_join(&service->coordinator, &event, group_service_now(service), &joined))
        api_join_group_reply(request, &joined);
    group_service_arm(service);
}

void api_join_group(struct broker_request *request)
{
    const struct kafka_join_group_request *body = request->body;
    const enum error_code code =
        group_service_check(&request->server->groups, body->group_id, true);
    if (code != KAFKA_NONE) {
        const struct group_joined joined = {.code = code,
                                            .generation = -1,
                                            .member_id = body->member_id,
                                            .leader_id = SLICE_LITERAL("")};
        api_join_group_reply(request, &joined);
        return;
    }
    const struct group_protocol *protocols = copy_protocols(request);
    if (protocols == NULL)
        broker_request_fail_memory(request);
    else
        join(request, protocols);
}
