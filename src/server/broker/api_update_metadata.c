#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "server/broker/replica_agent.h"
#include "wire/gen/kafka.h"

/* A request on its way through the replica agent. */
struct receipt {
    struct broker_request *request;
    struct control_message message;
    struct replica_agent_delivery delivery;
};

static uint32_t partition_count_of(const struct kafka_update_metadata_request *body)
{
    uint32_t count = (uint32_t)body->ungrouped_partition_states.count;
    for (int32_t i = 0; i < body->topic_states.count; i++)
        count += (uint32_t)body->topic_states.items[i].partition_states.count;
    return count;
}

static struct partition_state state_of(const struct kafka_update_metadata_partition *told)
{
    return (struct partition_state){
        .topic = told->topic_name,
        .index = told->partition_index,
        .leader = told->leader,
        .leader_epoch = told->leader_epoch,
        .controller_epoch = told->controller_epoch,
        .partition_epoch = told->zk_version,
        .replica_count = (uint32_t)told->replicas.count,
        .isr_count = (uint32_t)told->isr.count,
        .replicas = told->replicas.items,
        .isr = told->isr.items,
        .offline_count = (uint32_t)told->offline_replicas.count,
        .offline = told->offline_replicas.items,
    };
}

/* Up to version 4 partitions stand alone, from 5 on under their topics. */
static void flatten(const struct kafka_update_metadata_request *body,
                    struct partition_state *partitions)
{
    for (int32_t i = 0; i < body->ungrouped_partition_states.count; i++)
        *partitions++ = state_of(&body->ungrouped_partition_states.items[i]);
    for (int32_t t = 0; t < body->topic_states.count; t++) {
        const struct kafka_update_metadata_request_topic_states *topic =
            &body->topic_states.items[t];
        for (int32_t i = 0; i < topic->partition_states.count; i++) {
            *partitions = state_of(&topic->partition_states.items[i]);
            partitions->topic = topic->topic_name;
            memcpy(partitions->topic_id.bytes, topic->topic_id.bytes,
                   sizeof partitions->topic_id.bytes);
            partitions++;
        }
    }
}

/* Before listeners had names (version 3), they were called like their protocols. */
static struct slice listener_name(int16_t security)
{
    switch (security) {
    case CONTROL_SSL: return SLICE_LITERAL("SSL");
    case CONTROL_SASL_PLAINTEXT: return SLICE_LITERAL("SASL_PLAINTEXT");
    case CONTROL_SASL_SSL: return SLICE_LITERAL("SASL_SSL");
    default: return SLICE_LITERAL("PLAINTEXT");
    }
}

static bool take_endpoints(struct broker_request *request,
                           const struct kafka_update_metadata_request_live_brokers *told,
                           struct broker_record *broker)
{
    const bool has_one = request->version == 0;
    const uint32_t count = has_one ? 1 : (uint32_t)told->endpoints.count;
    struct broker_endpoint *endpoints =
        broker_request_take_array(request, count, sizeof *endpoints);
    if (endpoints == NULL)
        return false;
    if (has_one)
        endpoints[0] = (struct broker_endpoint){.listener = listener_name(CONTROL_PLAINTEXT),
                                                .host = told->v0_host,
                                                .port = told->v0_port};
    for (uint32_t i = 0; !has_one && i < count; i++) {
        const struct kafka_update_metadata_request_live_brokers_endpoints *end =
            &told->endpoints.items[i];
        endpoints[i] = (struct broker_endpoint){
            .listener =
                request->version < 3 ? listener_name(end->security_protocol) : end->listener,
            .host = end->host,
            .port = end->port,
            .security = end->security_protocol};
    }
    broker->endpoints = endpoints;
    broker->endpoint_count = count;
    return true;
}

static struct broker_record *take_brokers(struct broker_request *request)
{
    const struct kafka_update_metadata_request *body = request->body;
    struct broker_record *brokers =
        broker_request_take_array(request, (size_t)body->live_brokers.count, sizeof *brokers);
    for (int32_t i = 0; brokers != NULL && i < body->live_brokers.count; i++) {
        const struct kafka_update_metadata_request_live_brokers *told =
            &body->live_brokers.items[i];
        brokers[i] = (struct broker_record){.id = told->id, .epoch = -1, .rack = told->rack};
        if (!take_endpoints(request, told, &brokers[i]))
            return NULL;
    }
    return brokers;
}

static void on_done(struct replica_agent_delivery *delivery)
{
    const struct receipt *receipt = CONTAINER_OF(delivery, const struct receipt, delivery);
    const struct kafka_update_metadata_reply reply = {.error_code = delivery->error_code};
    broker_request_reply(receipt->request, &reply);
}

void api_update_metadata(struct broker_request *request)
{
    const struct kafka_update_metadata_request *body = request->body;
    const uint32_t count = partition_count_of(body);
    struct receipt *receipt = broker_request_take(request, sizeof *receipt);
    struct partition_state *partitions =
        broker_request_take_array(request, count, sizeof *partitions);
    struct broker_record *brokers = take_brokers(request);
    if (receipt == NULL || partitions == NULL || brokers == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    flatten(body, partitions);
    *receipt = (struct receipt){.request = request,
                                .message = {.kind = CONTROL_UPDATE_METADATA,
                                            .controller_id = body->controller_id,
                                            .controller_epoch = body->controller_epoch,
                                            .broker_epoch = body->broker_epoch,
                                            .partition_count = count,
                                            .partitions = partitions,
                                            .broker_count = (uint32_t)body->live_brokers.count,
                                            .brokers = brokers}};
    receipt->delivery =
        (struct replica_agent_delivery){.message = &receipt->message, .done = on_done};
    control_receive(request->server->control, &receipt->delivery);
}
