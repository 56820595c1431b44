#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

static void delete_one(const struct broker_request *request, struct slice topic,
                       const struct kafka_delete_records_request_topics_partitions *asked,
                       struct kafka_delete_records_reply_topics_partitions *reply)
{
    enum error_code code;
    int64_t low_watermark = -1;
    struct partition *partition =
        broker_server_leader(request->server, topic, asked->partition_index, -1, &code);
    if (partition != NULL && partition->is_internal)
        code = KAFKA_INVALID_TOPIC_EXCEPTION;
    else if (partition != NULL && !partition_store_config(partition->store)->deletes)
        code = KAFKA_POLICY_VIOLATION;
    else if (partition != NULL)
        code = partition_store_delete_records(partition->store, asked->offset, &low_watermark);
    reply->partition_index = asked->partition_index;
    reply->error_code = (int16_t)code;
    reply->low_watermark = code == KAFKA_NONE ? low_watermark : -1;
}

void api_delete_records(struct broker_request *request)
{
    const struct kafka_delete_records_request *body = request->body;
    struct kafka_delete_records_reply reply = {0};
    reply.topics.items =
        broker_request_take_array(request, (size_t)body->topics.count, sizeof *reply.topics.items);
    for (int32_t t = 0; reply.topics.items != NULL && t < body->topics.count; t++) {
        const struct kafka_delete_records_request_topics *asked = &body->topics.items[t];
        struct kafka_delete_records_reply_topics *topic = &reply.topics.items[t];
        topic->name = asked->name;
        topic->partitions.items = broker_request_take_array(
            request, (size_t)asked->partitions.count, sizeof *topic->partitions.items);
        if (topic->partitions.items == NULL)
            break;
        for (int32_t p = 0; p < asked->partitions.count; p++)
            delete_one(request, asked->name, &asked->partitions.items[p],
                       &topic->partitions.items[p]);
        topic->partitions.count = asked->partitions.count;
        reply.topics.count++;
    }
    if (reply.topics.count == body->topics.count)
        broker_request_reply(request, &reply);
    else
        broker_request_fail_memory(request);
}
