#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

enum { version_protocol = 5 }; /* From here on the protocol's type and name must be said. */

void api_sync_group_reply(void *ticket, const struct group_synced *synced)
{
    struct kafka_sync_group_reply reply = {.error_code = (int16_t)synced->code,
                                           .assignment = synced->assignment};
    if (synced->group != NULL) {
        reply.protocol_type = synced->group->protocol_type;
        reply.protocol_name = synced->group->protocol;
    }
    broker_request_reply(ticket, &reply);
}

static void refuse(struct broker_request *request, enum error_code code)
{
    /* A member cannot find its generation while the group is being loaded: it shall join again. */
    if (code == KAFKA_COORDINATOR_LOAD_IN_PROGRESS)
        code = KAFKA_REBALANCE_IN_PROGRESS;
    const struct group_synced synced = {.code = code, .assignment = SLICE_LITERAL("")};
    api_sync_group_reply(request, &synced);
}

void api_sync_group(struct broker_request *request)
{
    struct group_service *service = &request->server->groups;
    const struct kafka_sync_group_request *body = request->body;
    enum error_code code = group_service_check(service, body->group_id, true);
    if (request->version >= version_protocol &&
        (slice_is_null(body->protocol_type) || slice_is_null(body->protocol_name)))
        code = KAFKA_INCONSISTENT_GROUP_PROTOCOL;
    if (code != KAFKA_NONE) {
        refuse(request, code);
        return;
    }
    struct group_assignment *assignments =
        broker_request_take_array(request, (size_t)body->assignments.count, sizeof *assignments);
    if (assignments == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    for (int32_t i = 0; i < body->assignments.count; i++)
        assignments[i] = (struct group_assignment){body->assignments.items[i].member_id,
                                                   body->assignments.items[i].assignment};
    const struct group_sync event = {.caller = {.group_id = body->group_id,
                                                .member_id = body->member_id,
                                                .instance_id = body->group_instance_id,
                                                .generation = body->generation_id},
                                     .protocol_type = body->protocol_type,
                                     .protocol = body->protocol_name,
                                     .assignments = assignments,
                                     .assignment_count = (uint32_t)body->assignments.count,
                                     .ticket = request};
    struct group_synced synced;
    if (group_coordinator_sync(&service->coordinator, &event, group_service_now(service), &synced))
        api_sync_group_reply(request, &synced);
    group_service_arm(service);
}
