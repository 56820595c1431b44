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

static uint32_t partition_count_of(const struct kafka_stop_replica_request *body)
{
    uint32_t count = (uint32_t)body->ungrouped_partitions.count;
    for (int32_t i = 0; i < body->topics.count; i++)
        count += (uint32_t)body->topics.items[i].partition_indexes.count;
    for (int32_t i = 0; i < body->topic_states.count; i++)
        count += (uint32_t)body->topic_states.items[i].partition_states.count;
    return count;
}

static void add(struct control_message *message, struct slice topic, int32_t index)
{
    message->partitions[message->partition_count++] =
        (struct partition_state){.topic = topic, .index = index, .leader_epoch = -1};
}

/* Three shapes: alone (0), under topics (1 and 2), with an epoch and a wish each (3 and later). */
static void flatten(const struct kafka_stop_replica_request *body, struct control_message *message)
{
    for (int32_t i = 0; i < body->ungrouped_partitions.count; i++)
        add(message, body->ungrouped_partitions.items[i].topic_name,
            body->ungrouped_partitions.items[i].partition_index);
    for (int32_t t = 0; t < body->topics.count; t++)
        for (int32_t i = 0; i < body->topics.items[t].partition_indexes.count; i++)
            add(message, body->topics.items[t].name,
                body->topics.items[t].partition_indexes.items[i]);
    for (uint32_t i = 0; i < message->partition_count; i++)
        message->delete_partition[i] = body->delete_partitions;
    for (int32_t t = 0; t < body->topic_states.count; t++) {
        const struct kafka_stop_replica_request_topic_states *topic = &body->topic_states.items[t];
        for (int32_t i = 0; i < topic->partition_states.count; i++) {
            const uint32_t place = message->partition_count;
            add(message, topic->topic_name, topic->partition_states.items[i].partition_index);
            message->partitions[place].leader_epoch = topic->partition_states.items[i].leader_epoch;
            message->delete_partition[place] = topic->partition_states.items[i].delete_partition;
        }
    }
}

/* Where Apache's broker refuses the whole request, it names the partitions only if its own epoch
 * was the reason. */
static void on_done(struct replica_agent_delivery *delivery)
{
    const struct receipt *receipt = CONTAINER_OF(delivery, const struct receipt, delivery);
    struct broker_request *request = receipt->request;
    struct kafka_stop_replica_reply reply = {.error_code = delivery->error_code};
    const uint32_t count =
        delivery->error_code == KAFKA_STALE_CONTROLLER_EPOCH ? 0 : receipt->message.partition_count;
    reply.partition_errors.items =
        broker_request_take_array(request, count, sizeof *reply.partition_errors.items);
    if (reply.partition_errors.items == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        reply.partition_errors.items[i] = (struct kafka_stop_replica_reply_partition_errors){
            .topic_name = receipt->message.partitions[i].topic,
            .partition_index = receipt->message.partitions[i].index,
            .error_code = delivery->partition_errors == NULL ? delivery->error_code
                                                             : delivery->partition_errors[i]};
    reply.partition_errors.count = (int32_t)count;
    broker_request_reply(request, &reply);
}

void api_stop_replica(struct broker_request *request)
{
    const struct kafka_stop_replica_request *body = request->body;
    const uint32_t count = partition_count_of(body);
    struct receipt *receipt = broker_request_take(request, sizeof *receipt);
    struct partition_state *partitions =
        broker_request_take_array(request, count, sizeof *partitions);
    bool *deletes = broker_request_take_array(request, count, sizeof *deletes);
    if (receipt == NULL || partitions == NULL || deletes == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    *receipt = (struct receipt){.request = request,
                                .message = {.kind = CONTROL_STOP_REPLICA,
                                            .controller_id = body->controller_id,
                                            .controller_epoch = body->controller_epoch,
                                            .broker_epoch = body->broker_epoch,
                                            .partitions = partitions,
                                            .delete_partition = deletes}};
    flatten(body, &receipt->message);
    receipt->delivery =
        (struct replica_agent_delivery){.message = &receipt->message, .done = on_done};
    control_receive(request->server->control, &receipt->delivery);
}
