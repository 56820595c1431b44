#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

enum {
    endpoint_brokers = 1,
    endpoint_controllers = 2,
    /* Without ACLs everything is allowed; bits of AclOperation. */
    cluster_operations = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12,
};

static bool fill_brokers(struct broker_request *request, struct kafka_describe_cluster_reply *reply)
{
    const struct metadata_view *view = control_metadata(request->server->control);
    const struct slice listener = broker_request_listener(request);
    reply->brokers.items =
        broker_request_take_array(request, view->broker_count, sizeof *reply->brokers.items);
    if (reply->brokers.items == NULL)
        return false;
    metadata_view_each_broker(broker, view)
    {
        const struct broker_endpoint *endpoint = metadata_broker_endpoint(broker, listener);
        if (endpoint == NULL)
            continue;
        reply->brokers.items[reply->brokers.count++] =
            (struct kafka_describe_cluster_reply_brokers){.broker_id = broker->record.id,
                                                          .host = endpoint->host,
                                                          .port = endpoint->port,
                                                          .rack = broker->record.rack};
    }
    return true;
}

void api_describe_cluster(struct broker_request *request)
{
    const struct kafka_describe_cluster_request *body = request->body;
    struct kafka_describe_cluster_reply reply = {
        .endpoint_type = body->endpoint_type,
        .cluster_id = control_cluster_id(request->server->control),
        .controller_id = control_metadata(request->server->control)->controller_id,
        .cluster_authorized_operations =
            body->include_cluster_authorized_operations ? cluster_operations : INT32_MIN};
    if (body->endpoint_type != endpoint_brokers) {
        reply.error_code = body->endpoint_type == endpoint_controllers
                               ? KAFKA_MISMATCHED_ENDPOINT_TYPE
                               : KAFKA_UNSUPPORTED_ENDPOINT_TYPE;
        reply.cluster_authorized_operations = INT32_MIN;
        reply.error_message = SLICE_LITERAL("There are no KRaft controllers here.");
        reply.endpoint_type = endpoint_brokers;
        reply.cluster_id = SLICE_LITERAL("");
        reply.controller_id = -1;
    } else if (!fill_brokers(request, &reply)) {
        broker_request_fail_memory(request);
        return;
    }
    broker_request_reply(request, &reply);
}
