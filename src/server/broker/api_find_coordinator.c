/* FindCoordinator for groups: the leader of the partition of __consumer_offsets that the group
 * belongs to. The topic is made when somebody first asks. */
#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

enum { version_many = 4, key_type_group = 0 };

static void set_error(struct kafka_find_coordinator_reply_coordinators *found, enum error_code code,
                      const char *message)
{
    found->node_id = -1;
    found->host = SLICE_LITERAL("");
    found->port = -1;
    found->error_code = (int16_t)code;
    found->error_message = slice_from_text(message);
}

static void find(struct broker_request *request, struct slice key, int8_t key_type,
                 struct kafka_find_coordinator_reply_coordinators *found)
{
    struct broker_server *server = request->server;
    const struct metadata_view *view = control_metadata(server->control);
    const struct slice offsets = SLICE_LITERAL("__consumer_offsets");
    found->key = key;
    if (key_type != key_type_group) {
        set_error(found, KAFKA_INVALID_REQUEST,
                  "This broker coordinates groups; it does not serve transactions.");
        return;
    }
    if (metadata_view_topic(view, offsets) == NULL) {
        group_service_create_topic(&server->groups);
        set_error(found, KAFKA_COORDINATOR_NOT_AVAILABLE, "The coordinator is not available.");
        return;
    }
    const struct metadata_partition *partition =
        metadata_view_partition(view, offsets, group_service_partition_of(&server->groups, key));
    const struct metadata_broker *leader =
        partition == NULL ? NULL : metadata_view_broker(view, partition->leader);
    const struct broker_endpoint *endpoint =
        leader == NULL ? NULL : metadata_broker_endpoint(leader, broker_request_listener(request));
    if (endpoint == NULL) {
        set_error(found, KAFKA_COORDINATOR_NOT_AVAILABLE, "The coordinator is not available.");
        return;
    }
    /* What Apache's broker says here, in the older form and in the newer one. */
    found->error_message =
        request->version < version_many ? SLICE_LITERAL("NONE") : SLICE_LITERAL("");
    found->node_id = leader->record.id;
    found->host = endpoint->host;
    found->port = endpoint->port;
}

void api_find_coordinator(struct broker_request *request)
{
    const struct kafka_find_coordinator_request *body = request->body;
    struct kafka_find_coordinator_reply reply = {0};
    if (request->version < version_many) {
        struct kafka_find_coordinator_reply_coordinators found = {0};
        find(request, body->key, body->key_type, &found);
        reply.error_code = found.error_code;
        reply.error_message = found.error_message;
        reply.node_id = found.node_id;
        reply.host = found.host;
        reply.port = found.port;
        broker_request_reply(request, &reply);
        return;
    }
    reply.coordinators.items = broker_request_take_array(
        request, (size_t)body->coordinator_keys.count, sizeof *reply.coordinators.items);
    if (reply.coordinators.items == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    for (int32_t i = 0; i < body->coordinator_keys.count; i++)
        find(request, body->coordinator_keys.items[i], body->key_type,
             &reply.coordinators.items[i]);
    reply.coordinators.count = body->coordinator_keys.count;
    broker_request_reply(request, &reply);
}
