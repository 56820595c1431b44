#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

static void look_up(const struct broker_request *request, struct slice topic,
                    const struct kafka_offset_for_leader_epoch_request_topics_partitions *asked,
                    struct kafka_offset_for_leader_epoch_reply_topics_partitions *reply)
{
    enum error_code code;
    const struct partition *partition = broker_server_leader(
        request->server, topic, asked->partition, asked->current_leader_epoch, &code);
    struct partition_epoch_end end = {.leader_epoch = -1, .end_offset = -1};
    if (partition != NULL)
        end = partition_store_epoch_end(partition->store, asked->leader_epoch);
    reply->error_code = (int16_t)code;
    reply->partition = asked->partition;
    reply->leader_epoch = end.leader_epoch;
    reply->end_offset = end.end_offset;
}

void api_offset_for_leader_epoch(struct broker_request *request)
{
    const struct kafka_offset_for_leader_epoch_request *body = request->body;
    struct kafka_offset_for_leader_epoch_reply reply = {0};
    reply.topics.items =
        broker_request_take_array(request, (size_t)body->topics.count, sizeof *reply.topics.items);
    for (int32_t t = 0; reply.topics.items != NULL && t < body->topics.count; t++) {
        const struct kafka_offset_for_leader_epoch_request_topics *asked = &body->topics.items[t];
        struct kafka_offset_for_leader_epoch_reply_topics *topic = &reply.topics.items[t];
        topic->topic = asked->topic;
        topic->partitions.items = broker_request_take_array(
            request, (size_t)asked->partitions.count, sizeof *topic->partitions.items);
        if (topic->partitions.items == NULL)
            break;
        for (int32_t p = 0; p < asked->partitions.count; p++)
            look_up(request, asked->topic, &asked->partitions.items[p],
                    &topic->partitions.items[p]);
        topic->partitions.count = asked->partitions.count;
        reply.topics.count++;
    }
    if (reply.topics.count == body->topics.count)
        broker_request_reply(request, &reply);
    else
        broker_request_fail_memory(request);
}
