#include "server/broker/departure.h"

#include "server/broker/broker_server.h"

enum { reply_bytes_max = 16 << 20 };

static void try_once(struct departure *departure);

void departure_cancel(struct departure *departure)
{
    if (!departure->has_begun || departure->is_over)
        return;
    departure->is_over = true;
    delay_queue_remove(&departure->server->delays, &departure->delay);
    broker_link_close(&departure->link);
}

static void end(struct departure *departure)
{
    departure_cancel(departure);
    departure->done(departure);
}

/* It has not worked: once more after a pause, or not. */
static void fail(struct departure *departure, const char *reason, uint32_t remaining_count)
{
    struct broker_server *server = departure->server;
    diag_info(server->diag, "controlled shutdown: %s, %u partitions are still led here", reason,
              (unsigned)remaining_count);
    if (departure->tries_left == 0) {
        diag_warn(server->diag, "nobody has taken over everything: the broker stops all the same");
        end(departure);
        return;
    }
    delay_queue_add(&server->delays, &departure->delay,
                    (uint64_t)server->config->controlled_shutdown_backoff_ms);
}

static void take_answer(struct departure *departure, int16_t error_code, uint32_t remaining_count)
{
    if (error_code == KAFKA_NONE && remaining_count == 0)
        end(departure);
    else
        fail(departure, kafka_error_name(error_code), remaining_count);
}

static const void *fill(struct link_request *request, int16_t version)
{
    (void)version;
    return &CONTAINER_OF(request, struct departure, request)->body;
}

static void on_answer(struct link_request *request, enum err err)
{
    struct departure *departure = CONTAINER_OF(request, struct departure, request);
    const struct kafka_controlled_shutdown_reply *reply = request->body;
    if (departure->is_over)
        return;
    if (err != ERR_OK)
        fail(departure, err_text(err), 0);
    else
        take_answer(departure, reply->error_code, (uint32_t)reply->remaining_partitions.count);
}

static void on_local_answer(struct shut_down_broker *local)
{
    struct departure *departure = local->user;
    departure->is_local = false;
    if (departure->is_over)
        return;
    delay_queue_remove(&departure->server->delays, &departure->delay);
    take_answer(departure, local->error_code, local->remaining_count);
}

/* The pause is over; or the limit, when the keeper is away: then nothing can be handed over. */
static void on_delay(struct delay *delay)
{
    struct departure *departure = CONTAINER_OF(delay, struct departure, delay);
    if (departure->is_local)
        end(departure);
    else
        try_once(departure);
}

static void try_once(struct departure *departure)
{
    struct broker_server *server = departure->server;
    const int64_t epoch = control_broker_epoch(server->control);
    const uint64_t timeout_ms = (uint64_t)server->config->controller_socket_timeout_ms;
    departure->tries_left--;
    if (control_is_controller(server->control)) {
        departure->is_local = true;
        departure->local = (struct shut_down_broker){
            .broker_id = control_broker_id(server->control),
            .broker_epoch = epoch,
            .done = on_local_answer,
            .user = departure,
        };
        delay_queue_add(&server->delays, &departure->delay, timeout_ms);
        control_shut_down_broker(server->control, &departure->local);
        return;
    }
    departure->body = (struct kafka_controlled_shutdown_request){
        .broker_id = control_broker_id(server->control), .broker_epoch = epoch};
    departure->request = (struct link_request){
        .request = &kafka_controlled_shutdown_request_wire,
        .reply = &kafka_controlled_shutdown_reply_wire,
        .api_key = KAFKA_API_CONTROLLED_SHUTDOWN,
        .version_min = 1,
        .version_max = 3,
        .timeout_ms = (uint32_t)timeout_ms,
        .fill = fill,
        .done = on_answer,
    };
    broker_link_send(&departure->link, &departure->request);
}

void departure_begin(struct departure *departure, struct broker_server *server,
                     void (*done)(struct departure *departure))
{
    uint64_t seed;
    io_entropy(server->io, &seed, sizeof seed);
    *departure = (struct departure){
        .server = server,
        .done = done,
        .delay.expired = on_delay,
        .tries_left = server->config->controlled_shutdown_tries_max,
        .has_begun = true,
    };
    broker_link_init(&departure->link,
                     (struct broker_link_options){
                         .io = server->io,
                         .net = server->net,
                         .heap = server->heap,
                         .diag = server->diag,
                         .delays = &server->delays,
                         .view = control_metadata(server->control),
                         .listener = broker_config_inter_broker_listener(server->config),
                         .peer_id = broker_link_peer_controller,
                         .in_flight_max = 1,
                         .reply_bytes_max = reply_bytes_max,
                         .reply_memory_bytes_max = reply_bytes_max,
                         .seed = seed,
                         .client_id = "controlled-shutdown",
                     });
    delay_queue_add(&server->delays, &departure->delay, 0);
}
