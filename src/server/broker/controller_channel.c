#include "server/broker/controller_channel.h"

#include <stdio.h>

#include "broker/control_wire.h"
#include "server/broker/controller_driver.h"

enum {
    retry_ms = 100, /* As Apache's controller pauses. */
    reply_bytes_max = 64 << 20,
    reply_memory_bytes_max = 64 << 20
};

static void on_local_done(struct replica_agent_delivery *delivery);
static void on_remote_done(struct link_request *request, enum err err);
static const void *fill(struct link_request *request, int16_t version);

static struct controller *controller_of(const struct controller_channel *channel)
{
    return &channel->driver->controller;
}

static struct controller_broker *broker_of(const struct controller_channel *channel)
{
    return controller_find_broker(controller_of(channel), channel->broker_id);
}

static void on_retry(struct delay *delay)
{
    struct controller_channel *channel = CONTAINER_OF(delay, struct controller_channel, retry);
    controller_driver_run(channel->driver);
}

static const struct broker_endpoint *endpoint_of(const struct broker_record *record,
                                                 struct slice listener)
{
    for (uint32_t index = 0; index < record->endpoint_count; index++)
        if (slice_equal(record->endpoints[index].listener, listener))
            return &record->endpoints[index];
    return NULL;
}

/* ---- life ---- */

static void open_link(struct controller_channel *channel)
{
    const struct controller_driver_options *options = &channel->driver->options;
    char client_id[broker_link_client_id_bytes_max];
    uint64_t seed;
    io_entropy(options->io, &seed, sizeof seed);
    snprintf(client_id, sizeof client_id, "%d", (int)options->broker_id); /* As Apache's. */
    broker_link_init(&channel->link, (struct broker_link_options){
                                         .io = options->io,
                                         .net = options->net,
                                         .heap = options->heap,
                                         .diag = options->diag,
                                         .delays = options->delays,
                                         .listener = options->inter_broker_listener,
                                         .peer_id = channel->broker_id,
                                         .in_flight_max = 1,
                                         .reply_bytes_max = reply_bytes_max,
                                         .reply_memory_bytes_max = reply_memory_bytes_max,
                                         .seed = seed,
                                         .client_id = client_id,
                                     });
}

struct controller_channel *controller_channel_open(struct controller_driver *driver,
                                                   const struct broker_record *record)
{
    struct controller_channel *channel = heap_take_zeroed(driver->options.heap, sizeof *channel);
    if (channel == NULL)
        return NULL;
    channel->driver = driver;
    channel->broker_id = record->id;
    channel->is_local = record->id == driver->options.broker_id;
    channel->retry.expired = on_retry;
    channel->delivery.done = on_local_done;
    channel->request.fill = fill;
    channel->request.done = on_remote_done;
    channel->request.timeout_ms = driver->options.answer_timeout_ms;
    if (!channel->is_local)
        open_link(channel);
    controller_channel_move(channel, record);
    return channel;
}

void controller_channel_move(struct controller_channel *channel, const struct broker_record *record)
{
    const struct controller_driver_options *options = &channel->driver->options;
    if (channel->is_local)
        return;
    const struct broker_endpoint *endpoint = endpoint_of(record, options->inter_broker_listener);
    if (endpoint == NULL)
        diag_error(options->diag, "broker %d has no listener %" SLICE_FORMAT, (int)record->id,
                   SLICE_ARGS(options->inter_broker_listener));
    broker_link_route(&channel->link, endpoint);
}

static void drop_envelope(struct controller_channel *channel)
{
    struct heap *heap = channel->driver->options.heap;
    heap_give(heap, channel->envelope);
    heap_give(heap, channel->block);
    channel->envelope = NULL;
    channel->block = NULL;
}

void controller_channel_close(struct controller_channel *channel)
{
    if (channel == NULL)
        return;
    channel->is_closed = true;
    delay_queue_remove(channel->driver->options.delays, &channel->retry);
    if (!channel->is_local)
        broker_link_close(&channel->link);
    if (channel->envelope != NULL)
        return; /* The agent has it. */
    drop_envelope(channel);
    heap_give(channel->driver->options.heap, channel);
}

bool controller_channel_is_idle(const struct controller_channel *channel)
{
    const struct controller_broker *broker = broker_of(channel);
    return channel->envelope == NULL &&
           (broker == NULL || controller_outbox_is_empty(controller_of(channel), broker));
}

/* ---- sending ---- */

static void retry_later(struct controller_channel *channel)
{
    delay_queue_add(channel->driver->options.delays, &channel->retry, retry_ms);
}

static const void *fill(struct link_request *request, int16_t version)
{
    struct controller_channel *channel = CONTAINER_OF(request, struct controller_channel, request);
    const struct control_message *message = &channel->envelope->message;
    const size_t size = control_wire_size(message);
    struct arena arena;
    assert(channel->block == NULL);
    channel->block = heap_take(channel->driver->options.heap, size);
    arena_init(&arena, channel->block, channel->block == NULL ? 0 : size);
    return control_wire_request(message, channel->driver->options.inter_broker_listener, version,
                                &arena);
}

static void send(struct controller_channel *channel)
{
    struct controller_envelope *envelope = channel->envelope;
    if (channel->is_local) {
        channel->delivery.message = &envelope->message;
        channel->driver->delivery_count++;
        replica_agent_receive(channel->driver->options.agent, &channel->delivery);
        return;
    }
    const struct control_wire_api api = control_wire_api_of(envelope->message.kind);
    channel->request.request = api.request;
    channel->request.reply = api.reply;
    channel->request.api_key = api.key;
    channel->request.version_min = 0;
    channel->request.version_max = api.version_max;
    broker_link_send(&channel->link, &channel->request);
}

void controller_channel_pump(struct controller_channel *channel)
{
    struct controller_broker *broker = broker_of(channel);
    if (channel->envelope != NULL || delay_is_running(&channel->retry) || broker == NULL)
        return;
    if (controller_outbox_next(controller_of(channel), broker, &channel->envelope) != ERR_OK) {
        diag_error(channel->driver->options.diag, "no memory for a controller's message");
        retry_later(channel);
    } else if (channel->envelope != NULL) {
        send(channel);
    }
}

/* ---- answers ---- */

static void learn(void *context, const struct control_wire_error *error)
{
    struct controller_channel *channel = context;
    if (error->code == KAFKA_UNKNOWN_SERVER_ERROR) {
        retry_later(channel); /* It has no memory, for one: it says nothing of the replica. */
        return;
    }
    struct controller *controller = controller_of(channel);
    struct controller_topic *topic = slice_is_null(error->topic)
                                         ? controller_find_topic_by_id(controller, error->topic_id)
                                         : controller_find_topic(controller, error->topic);
    struct controller_partition *partition = controller_find_partition(topic, error->index);
    if (partition != NULL)
        controller_outbox_learn(controller, broker_of(channel), channel->envelope, partition,
                                error->code);
}

/* An answer of the whole message. Another controller may be at work, or the broker have registered
 * anew: the keeper will tell. Where it has failed at the message, it is told again, as one that
 * does not answer. Whatever else it says, it has heard it. */
static void take_answer(struct controller_channel *channel, int16_t error_code)
{
    struct controller_broker *broker = broker_of(channel);
    const bool was_failing = channel->is_failing;
    channel->is_failing = error_code == KAFKA_UNKNOWN_SERVER_ERROR;
    if (error_code != KAFKA_NONE && !(was_failing && channel->is_failing))
        diag_warn(channel->driver->options.diag, "broker %d refused a controller's message: %s",
                  (int)channel->broker_id, kafka_error_name(error_code));
    if (error_code == KAFKA_STALE_CONTROLLER_EPOCH)
        controller_driver_check(channel->driver);
    if (error_code == KAFKA_STALE_CONTROLLER_EPOCH || error_code == KAFKA_STALE_BROKER_EPOCH ||
        channel->is_failing)
        retry_later(channel);
    else
        controller_outbox_answered(broker, channel->envelope);
}

static void on_local_done(struct replica_agent_delivery *delivery)
{
    struct controller_channel *channel =
        CONTAINER_OF(delivery, struct controller_channel, delivery);
    struct controller_driver *driver = channel->driver;
    const struct control_message *message = delivery->message;
    if (!channel->is_closed && broker_of(channel) != NULL) {
        take_answer(channel, delivery->error_code);
        for (uint32_t index = 0;
             delivery->partition_errors != NULL && index < message->partition_count; index++)
            learn(channel, &(struct control_wire_error){.topic = message->partitions[index].topic,
                                                        .index = message->partitions[index].index,
                                                        .code = delivery->partition_errors[index]});
    }
    drop_envelope(channel);
    if (channel->is_closed)
        heap_give(driver->options.heap, channel);
    controller_driver_delivered(driver);
}

static void on_remote_done(struct link_request *request, enum err err)
{
    struct controller_channel *channel = CONTAINER_OF(request, struct controller_channel, request);
    if (!channel->is_closed && err == ERR_OK && broker_of(channel) != NULL) {
        take_answer(channel, control_wire_read(channel->envelope->message.kind, request->body,
                                               learn, channel));
    } else if (!channel->is_closed) {
        if (!channel->is_failing)
            diag_warn(channel->driver->options.diag, "broker %d does not answer the controller: %s",
                      (int)channel->broker_id, err_text(err));
        channel->is_failing = true;
        retry_later(channel);
    }
    drop_envelope(channel);
    if (!channel->is_closed)
        controller_driver_run(channel->driver);
}
