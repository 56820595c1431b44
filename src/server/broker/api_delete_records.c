/* DeleteRecords: the leader's log begins later at once; the answer waits until the live replicas'
 * logs do as well, which their fetches tell. */
#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

struct delete_item {
    struct partition_waiter waiter;
    struct delete_state *state;
    struct slice topic;
    int64_t offset; /* Where every log shall begin. */
    struct kafka_delete_records_reply_topics_partitions *reply;
};

struct delete_state {
    struct broker_request *request;
    struct kafka_delete_records_reply reply;
    struct delete_item *items;
    uint32_t item_count;
    uint32_t open_count; /* Wait for replicas. */
};

static void finish(struct delete_state *state)
{
    for (uint32_t i = 0; i < state->item_count; i++)
        list_remove(&state->items[i].waiter.link);
    broker_request_reply(state->request, &state->reply);
}

static void on_time_up(struct delay *delay)
{
    finish(CONTAINER_OF(delay, struct broker_request, delay)->state);
}

static void on_cancel(struct broker_request *request)
{
    struct delete_state *state = request->state;
    for (uint32_t i = 0; i < state->item_count; i++)
        list_remove(&state->items[i].waiter.link);
    broker_request_end(request);
}

/* True: the item has its answer; until then that is REQUEST_TIMED_OUT. */
static bool is_done(struct delete_item *item, const struct partition *partition,
                    enum error_code code)
{
    struct kafka_delete_records_reply_topics_partitions *reply = item->reply;
    const struct broker_server *server = item->state->request->server;
    reply->error_code = (int16_t)code;
    reply->low_watermark = -1;
    if (code != KAFKA_NONE)
        return true;
    reply->low_watermark = replication_low_watermark(&server->replication, partition);
    if (reply->low_watermark >= item->offset)
        return true;
    reply->error_code = KAFKA_REQUEST_TIMED_OUT;
    return false;
}

static void on_wake(struct partition_waiter *waiter)
{
    struct delete_item *item = CONTAINER_OF(waiter, struct delete_item, waiter);
    struct delete_state *state = item->state;
    enum error_code code;
    const struct partition *partition = broker_server_leader(
        state->request->server, item->topic, item->reply->partition_index, -1, &code);
    if (!is_done(item, partition, code))
        return;
    list_remove(&waiter->link);
    if (--state->open_count == 0)
        finish(state);
}

static void delete_one(struct delete_state *state, struct slice topic,
                       const struct kafka_delete_records_request_topics_partitions *asked,
                       struct kafka_delete_records_reply_topics_partitions *reply)
{
    struct delete_item *item = &state->items[state->item_count++];
    enum error_code code;
    struct partition *partition =
        broker_server_leader(state->request->server, topic, asked->partition_index, -1, &code);
    *item = (struct delete_item){
        .waiter.wake = on_wake, .state = state, .topic = topic, .reply = reply};
    list_init(&item->waiter.link);
    reply->partition_index = asked->partition_index;
    if (partition != NULL && partition->is_internal)
        code = KAFKA_INVALID_TOPIC_EXCEPTION;
    else if (partition != NULL && !partition_store_config(partition->store)->deletes)
        code = KAFKA_POLICY_VIOLATION;
    else if (partition != NULL)
        code = partition_store_delete_records(partition->store, asked->offset, &item->offset);
    if (is_done(item, partition, code))
        return;
    state->open_count++;
    list_push(&partition->start_waiters, &item->waiter.link);
}

static bool prepare(struct delete_state *state)
{
    struct broker_request *request = state->request;
    const struct kafka_delete_records_request *body = request->body;
    struct kafka_delete_records_reply *reply = &state->reply;
    size_t count = 0;
    reply->topics.count = body->topics.count;
    reply->topics.items =
        broker_request_take_array(request, (size_t)body->topics.count, sizeof *reply->topics.items);
    for (int32_t t = 0; reply->topics.items != NULL && t < body->topics.count; t++) {
        struct kafka_delete_records_reply_topics *topic = &reply->topics.items[t];
        topic->name = body->topics.items[t].name;
        topic->partitions.count = body->topics.items[t].partitions.count;
        topic->partitions.items = broker_request_take_array(
            request, (size_t)topic->partitions.count, sizeof *topic->partitions.items);
        if (topic->partitions.items == NULL)
            return false;
        count += (size_t)topic->partitions.count;
    }
    state->items = broker_request_take_array(request, count, sizeof *state->items);
    return reply->topics.items != NULL && state->items != NULL;
}

void api_delete_records(struct broker_request *request)
{
    const struct kafka_delete_records_request *body = request->body;
    struct delete_state *state = broker_request_take(request, sizeof *state);
    if (state != NULL)
        state->request = request;
    if (state == NULL || !prepare(state)) {
        broker_request_fail_memory(request);
        return;
    }
    request->state = state;
    for (int32_t t = 0; t < body->topics.count; t++)
        for (int32_t p = 0; p < body->topics.items[t].partitions.count; p++)
            delete_one(state, body->topics.items[t].name,
                       &body->topics.items[t].partitions.items[p],
                       &state->reply.topics.items[t].partitions.items[p]);
    if (state->open_count == 0 || body->timeout_ms <= 0) {
        finish(state);
        return;
    }
    request->cancel = on_cancel;
    request->delay.expired = on_time_up;
    delay_queue_add(&request->server->delays, &request->delay, (uint64_t)body->timeout_ms);
}
