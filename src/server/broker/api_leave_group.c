#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

enum { version_many = 3 };

static enum error_code leave(struct broker_request *request, struct slice member_id,
                             struct slice instance_id)
{
    struct group_service *service = &request->server->groups;
    const struct kafka_leave_group_request *body = request->body;
    const struct group_caller caller = {
        .group_id = body->group_id, .member_id = member_id, .instance_id = instance_id};
    return group_coordinator_leave(&service->coordinator, &caller, group_service_now(service));
}

static bool leave_many(struct broker_request *request, struct kafka_leave_group_reply *reply)
{
    const struct kafka_leave_group_request *body = request->body;
    reply->members.items = broker_request_take_array(request, (size_t)body->members.count,
                                                     sizeof *reply->members.items);
    if (reply->members.items == NULL)
        return false;
    for (int32_t i = 0; i < body->members.count; i++) {
        const struct kafka_leave_group_request_members *member = &body->members.items[i];
        reply->members.items[reply->members.count++] = (struct kafka_leave_group_reply_members){
            .member_id = member->member_id,
            .group_instance_id = member->group_instance_id,
            .error_code = (int16_t)leave(request, member->member_id, member->group_instance_id)};
    }
    return true;
}

void api_leave_group(struct broker_request *request)
{
    struct group_service *service = &request->server->groups;
    const struct kafka_leave_group_request *body = request->body;
    struct kafka_leave_group_reply reply = {0};
    enum error_code code = group_service_check(service, body->group_id, true);
    if (code == KAFKA_NONE && request->version < version_many) {
        code = leave(request, body->member_id, SLICE_NULL);
    } else if (code == KAFKA_NONE && !leave_many(request, &reply)) {
        broker_request_fail_memory(request);
        return;
    }
    group_service_arm(service);
    reply.error_code = (int16_t)code;
    broker_request_reply(request, &reply);
}
