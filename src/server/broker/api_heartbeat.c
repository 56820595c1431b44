#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

void api_heartbeat(struct broker_request *request)
{
    struct group_service *service = &request->server->groups;
    const struct kafka_heartbeat_request *body = request->body;
    const struct group_caller caller = {.group_id = body->group_id,
                                        .member_id = body->member_id,
                                        .instance_id = body->group_instance_id,
                                        .generation = body->generation_id};
    enum error_code code = group_service_check(service, body->group_id, true);
    if (code == KAFKA_COORDINATOR_LOAD_IN_PROGRESS)
        code = KAFKA_NONE; /* Nobody dies for a group that is being loaded. */
    else if (code == KAFKA_NONE)
        code =
            group_coordinator_heartbeat(&service->coordinator, &caller, group_service_now(service));
    group_service_arm(service);
    const struct kafka_heartbeat_reply reply = {.error_code = (int16_t)code};
    broker_request_reply(request, &reply);
}
