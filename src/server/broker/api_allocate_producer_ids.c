/* AllocateProducerIds: an Apache broker has the controller reserve the block of ids from which it
 * serves its producers; ours reserve their own. */
#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

static void reply_with(struct broker_request *request, int16_t code, int64_t first)
{
    const struct kafka_allocate_producer_ids_reply reply = {
        .error_code = code,
        .producer_id_start = code == KAFKA_NONE ? first : 0,
        .producer_id_count = code == KAFKA_NONE ? producer_id_block_size : 0};
    broker_request_reply(request, &reply);
}

static void on_taken(struct producer_block_request *taken, int16_t code, int64_t first)
{
    reply_with(taken->user, code, first);
}

void api_allocate_producer_ids(struct broker_request *request)
{
    const struct kafka_allocate_producer_ids_request *body = request->body;
    struct control *control = request->server->control;
    const int16_t code = control_check_broker(control, body->broker_id, body->broker_epoch);
    if (code != KAFKA_NONE) {
        reply_with(request, code, -1);
        return;
    }
    struct producer_block_request *taken = broker_request_take(request, sizeof *taken);
    if (taken == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    taken->broker_id = body->broker_id;
    taken->done = on_taken;
    taken->user = request;
    control_take_producer_block(control, taken);
}
