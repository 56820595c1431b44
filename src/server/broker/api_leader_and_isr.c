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

static uint32_t partition_count_of(const struct kafka_leader_and_isr_request *body)
{
    uint32_t count = (uint32_t)body->ungrouped_partition_states.count;
    for (int32_t i = 0; i < body->topic_states.count; i++)
        count += (uint32_t)body->topic_states.items[i].partition_states.count;
    return count;
}

static struct partition_state state_of(const struct kafka_leader_and_isr_partition *told)
{
    return (struct partition_state){
        .topic = told->topic_name,
        .index = told->partition_index,
        .leader = told->leader,
        .leader_epoch = told->leader_epoch,
        .controller_epoch = told->controller_epoch,
        .partition_epoch = told->partition_epoch,
        .replica_count = (uint32_t)told->replicas.count,
        .isr_count = (uint32_t)told->isr.count,
        .replicas = told->replicas.items,
        .isr = told->isr.items,
        .is_new = told->is_new,
        .is_recovering = told->leader_recovery_state == 1,
    };
}

/* Up to version 1 partitions stand alone, from 2 on under their topics. */
static void flatten(const struct kafka_leader_and_isr_request *body,
                    struct partition_state *partitions)
{
    for (int32_t i = 0; i < body->ungrouped_partition_states.count; i++)
        *partitions++ = state_of(&body->ungrouped_partition_states.items[i]);
    for (int32_t t = 0; t < body->topic_states.count; t++) {
        const struct kafka_leader_and_isr_request_topic_states *topic =
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

static int16_t error_of(const struct receipt *receipt, uint32_t index)
{
    const int16_t *errors = receipt->delivery.partition_errors;
    return errors == NULL ? receipt->delivery.error_code : errors[index];
}

/* Up to version 4: one list. */
static bool list_errors(const struct receipt *receipt, struct kafka_leader_and_isr_reply *reply)
{
    const uint32_t count = receipt->message.partition_count;
    reply->partition_errors.items =
        broker_request_take_array(receipt->request, count, sizeof *reply->partition_errors.items);
    if (reply->partition_errors.items == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++)
        reply->partition_errors.items[i] = (struct kafka_leader_and_isr_reply_partition_errors){
            .topic_name = receipt->message.partitions[i].topic,
            .partition_index = receipt->message.partitions[i].index,
            .error_code = error_of(receipt, i)};
    reply->partition_errors.count = (int32_t)count;
    return true;
}

/* From version 5 on: by topic id, in the order of the request. */
static bool group_errors(const struct receipt *receipt, struct kafka_leader_and_isr_reply *reply)
{
    const struct kafka_leader_and_isr_request *body = receipt->request->body;
    uint32_t index = 0;
    reply->topics.items = broker_request_take_array(
        receipt->request, (size_t)body->topic_states.count, sizeof *reply->topics.items);
    for (int32_t t = 0; reply->topics.items != NULL && t < body->topic_states.count; t++) {
        const struct kafka_leader_and_isr_request_topic_states *asked =
            &body->topic_states.items[t];
        struct kafka_leader_and_isr_reply_topics *topic = &reply->topics.items[t];
        const int32_t count = asked->partition_states.count;
        topic->topic_id = asked->topic_id;
        topic->partition_errors.items = broker_request_take_array(
            receipt->request, (size_t)count, sizeof *topic->partition_errors.items);
        if (topic->partition_errors.items == NULL)
            return false;
        for (int32_t i = 0; i < count; i++)
            topic->partition_errors.items[i] =
                (struct kafka_leader_and_isr_reply_topics_partition_errors){
                    .partition_index = asked->partition_states.items[i].partition_index,
                    .error_code = error_of(receipt, index++)};
        topic->partition_errors.count = count;
    }
    reply->topics.count = body->topic_states.count;
    return reply->topics.items != NULL;
}

/* An error of the whole request is every partition's too. */
static void on_done(struct replica_agent_delivery *delivery)
{
    const struct receipt *receipt = CONTAINER_OF(delivery, const struct receipt, delivery);
    struct broker_request *request = receipt->request;
    struct kafka_leader_and_isr_reply reply = {.error_code = delivery->error_code};
    const bool fits =
        request->version < 5 ? list_errors(receipt, &reply) : group_errors(receipt, &reply);
    if (fits)
        broker_request_reply(request, &reply);
    else
        broker_request_fail_memory(request);
}

void api_leader_and_isr(struct broker_request *request)
{
    const struct kafka_leader_and_isr_request *body = request->body;
    const uint32_t count = partition_count_of(body);
    struct receipt *receipt = broker_request_take(request, sizeof *receipt);
    struct partition_state *partitions =
        broker_request_take_array(request, count, sizeof *partitions);
    if (receipt == NULL || partitions == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    flatten(body, partitions);
    *receipt = (struct receipt){.request = request,
                                .message = {.kind = CONTROL_LEADER_AND_ISR,
                                            .controller_id = body->controller_id,
                                            .controller_epoch = body->controller_epoch,
                                            .broker_epoch = body->broker_epoch,
                                            .partition_count = count,
                                            .partitions = partitions}};
    receipt->delivery =
        (struct replica_agent_delivery){.message = &receipt->message, .done = on_done};
    control_receive(request->server->control, &receipt->delivery);
}
