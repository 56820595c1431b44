/* InitProducerId for idempotent producers. Transactions are not served, and a producer that asks
 * for them is told so in a way that ends it. */
#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

static void reply_with(struct broker_request *request, int16_t code, int64_t producer_id)
{
    const struct kafka_init_producer_id_reply reply = {
        .error_code = code,
        .producer_id = code == KAFKA_NONE ? producer_id : -1,
        .producer_epoch = code == KAFKA_NONE ? 0 : -1,
        .ongoing_txn_producer_id = -1,
        .ongoing_txn_producer_epoch = -1};
    broker_request_reply(request, &reply);
}

static void on_taken(struct producer_id_request *taken, int16_t code, int64_t producer_id)
{
    reply_with(taken->user, code, producer_id);
}

void api_init_producer_id(struct broker_request *request)
{
    const struct kafka_init_producer_id_request *body = request->body;
    if (!slice_is_null(body->transactional_id)) {
        reply_with(request, KAFKA_INVALID_REQUEST, -1);
        return;
    }
    struct producer_id_request *taken = broker_request_take(request, sizeof *taken);
    if (taken == NULL) {
        broker_request_fail_memory(request);
        return;
    }
    taken->done = on_taken;
    taken->user = request;
    control_take_producer_id(request->server->control, taken);
}
