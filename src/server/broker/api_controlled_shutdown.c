#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

struct shut_down_state {
    struct broker_request *request;
    struct shut_down_broker shut_down;
    struct kafka_controlled_shutdown_reply reply;
};

static void on_done(struct shut_down_broker *shut_down)
{
    struct shut_down_state *state = shut_down->user;
    struct broker_request *request = state->request;
    const size_t count = shut_down->remaining_count;
    state->reply.error_code = shut_down->error_code;
    state->reply.remaining_partitions.items =
        broker_request_take_array(request, count, sizeof *state->reply.remaining_partitions.items);
    if (state->reply.remaining_partitions.items == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    for (size_t i = 0; i < count; i++)
        state->reply.remaining_partitions.items[i] =
            (struct kafka_controlled_shutdown_reply_remaining_partitions){
                .topic_name = shut_down->remaining[i].topic,
                .partition_index = shut_down->remaining[i].index};
    state->reply.remaining_partitions.count = (int32_t)count;
    broker_request_reply(request, &state->reply);
}

void api_controlled_shutdown(struct broker_request *request)
{
    const struct kafka_controlled_shutdown_request *body = request->body;
    struct shut_down_state *state = broker_request_take(request, sizeof *state);
    if (state == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    state->request = request;
    state->shut_down = (struct shut_down_broker){.broker_id = body->broker_id,
                                                 .broker_epoch = body->broker_epoch,
                                                 .done = on_done,
                                                 .user = state};
    control_shut_down_broker(request->server->control, &state->shut_down);
}
