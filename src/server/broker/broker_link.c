#include "server/broker/broker_link.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "net/net.h"
#include "wire/gen/kafka.h"

#include <stdalign.h>
#include <stdio.h>

enum {
    setup_timeout_ms = 10000, /* As socket.connection.setup.timeout.ms of Apache's clients. */
    pause_ms_first = 50,
    pause_ms_max = 1000,
    greeting_version = 0, /* Which every broker answers. */
    greeting_arena_bytes = 4096,
    block_bytes_first = 4096,
    block_growth = 8,
};

/* One dial and its connection. The world may hold one that the link has given up. */
struct broker_link_attempt {
    struct heap *heap;
    struct broker_link *link; /* NULL: given up. */
};

static const struct net_handler connection_handler;
static void dial_if_needed(struct broker_link *link);

/* ---- the ends of requests ---- */

static void end_now(struct link_request *request)
{
    list_remove(&request->place);
    request->done(request, request->err);
}

/* All of them; done may add requests to the link, cancel others of these, or free the link. */
static void end_all(struct list *ends)
{
    while (!list_empty(ends))
        end_now(CONTAINER_OF(list_first(ends), struct link_request, place));
}

/* Out of the link, into ends. */
static void leave(struct link_request *request, enum err err, struct list *ends)
{
    delay_queue_remove(request->link->options.delays, &request->delay);
    list_remove(&request->place);
    request->link = NULL;
    request->err = err;
    list_push(ends, &request->place);
}

static void leave_all(struct list *requests, enum err err, struct list *ends)
{
    while (!list_empty(requests))
        leave(CONTAINER_OF(list_first(requests), struct link_request, place), err, ends);
}

static void on_ender(struct delay *delay)
{
    struct broker_link *link = CONTAINER_OF(delay, struct broker_link, ender);
    struct list ends;
    list_move(&ends, &link->ended);
    list_init(&link->ended);
    end_all(&ends);
}

/* Those in link->ended get their done in the next round. */
static void end_soon(struct broker_link *link)
{
    if (!list_empty(&link->ended))
        delay_queue_add(link->options.delays, &link->ender, 0);
}

/* ---- the connection's end ---- */

static void pause_before_dial(struct broker_link *link)
{
    const uint32_t jitter = link->pause_ms / 5;
    const uint64_t pause_ms = link->pause_ms - jitter + prng_below(&link->prng, 2 * jitter + 1);
    link->pause_ms = (uint32_t)min_u64(link->pause_ms * 2, pause_ms_max);
    link->phase = BROKER_LINK_PAUSING;
    delay_queue_add(link->options.delays, &link->delay, pause_ms);
}

/* Lets go of dial and connection, whose requests leave with err. */
static void let_go(struct broker_link *link, const char *reason, enum err err, struct list *ends)
{
    struct net_connection *connection = link->connection;
    if (link->attempt != NULL)
        link->attempt->link = NULL;
    link->attempt = NULL;
    link->connection = NULL;
    link->phase = BROKER_LINK_IDLE;
    link->sent_count = 0;
    delay_queue_remove(link->options.delays, &link->delay);
    leave_all(&link->sent, err, ends);
    if (connection != NULL)
        net_connection_close(connection, reason, false);
}

/* The same because it failed: another one is dialed after a pause. */
static void lose(struct broker_link *link, const char *reason, struct list *ends)
{
    const bool is_idle = link->phase == BROKER_LINK_OPEN && list_empty(&link->sent);
    if (!is_idle && !link->is_failing) {
        link->is_failing = true;
        diag_warn(link->options.diag, "link to broker %d at %s:%u: %s", (int)link->peer, link->host,
                  (unsigned)link->port, reason);
    }
    let_go(link, reason, ERR_CLOSED, ends);
    pause_before_dial(link);
}

static void lose_and_end(struct broker_link *link, const char *reason)
{
    struct list ends;
    list_init(&ends);
    lose(link, reason, &ends);
    end_all(&ends);
}

/* ---- sending ---- */

static struct net_message *encode(struct broker_link *link, const struct kafka_request_header *head,
                                  const struct wire_record *record, const void *body)
{
    const int version = wire_is_flexible(record, head->api_version) ? 2 : 1;
    const size_t size = 4 + wire_size(&kafka_request_header_wire, version, head) +
                        wire_size(record, head->api_version, body);
    struct net_message *message =
        size > INT32_MAX
            ? NULL
            : net_message_acquire(link->options.heap,
                                  (struct net_message_options){.capacity = (uint32_t)size});
    if (message == NULL)
        return NULL;
    struct wire_writer writer = wire_writer_of(message->data, size);
    wire_put_i32(&writer, (int32_t)size - 4);
    wire_encode(&kafka_request_header_wire, version, head, &writer);
    wire_encode(record, head->api_version, body, &writer);
    assert(writer.used == size);
    message->size = (uint32_t)size;
    return message;
}

static struct kafka_request_header next_header(struct broker_link *link, int16_t api_key,
                                               int16_t version)
{
    link->correlation_id = link->correlation_id == INT32_MAX ? 1 : link->correlation_id + 1;
    return (struct kafka_request_header){.api_key = api_key,
                                         .api_version = version,
                                         .correlation_id = link->correlation_id,
                                         .client_id = slice_from_text(link->client_id)};
}

/* The highest version that both have; -1: there is none. */
static int16_t agree(const struct broker_link *link, const struct link_request *request)
{
    for (uint32_t i = 0; i < link->version_count; i++) {
        const struct broker_link_version *peer = &link->versions[i];
        if (peer->api_key != request->api_key)
            continue;
        const int16_t version =
            peer->version_max < request->version_max ? peer->version_max : request->version_max;
        return version >= peer->version_min && version >= request->version_min ? version : -1;
    }
    return -1;
}

/* ERR_OK: it is on its way. */
static enum err send_one(struct broker_link *link, struct link_request *request)
{
    const int16_t version = agree(link, request);
    if (version < 0)
        return ERR_UNSUPPORTED;
    const void *body = request->fill(request, version);
    if (body == NULL)
        return ERR_NO_MEMORY;
    const struct kafka_request_header header = next_header(link, request->api_key, version);
    struct net_message *message = encode(link, &header, request->request, body);
    if (message == NULL)
        return ERR_NO_MEMORY;
    request->version = version;
    request->correlation_id = header.correlation_id;
    list_remove(&request->place);
    list_push(&link->sent, &request->place);
    link->sent_count++;
    net_push(link->connection, message);
    return ERR_OK;
}

static void send_waiting(struct broker_link *link)
{
    while (link->phase == BROKER_LINK_OPEN && link->sent_count < link->options.in_flight_max &&
           !list_empty(&link->waiting)) {
        struct link_request *request =
            CONTAINER_OF(list_first(&link->waiting), struct link_request, place);
        const enum err err = send_one(link, request);
        if (err != ERR_OK)
            leave(request, err, &link->ended);
    }
    end_soon(link);
}

static bool send_greeting(struct broker_link *link)
{
    const struct kafka_api_versions_request body = {0};
    const struct kafka_request_header header =
        next_header(link, KAFKA_API_API_VERSIONS, greeting_version);
    struct net_message *message = encode(link, &header, &kafka_api_versions_request_wire, &body);
    if (message != NULL)
        net_push(link->connection, message);
    return message != NULL;
}

/* ---- receiving ---- */

/* NULL, or why the reply is of no use. */
static const char *read_versions(struct broker_link *link, struct slice body)
{
    alignas(16) uint8_t memory[greeting_arena_bytes];
    struct kafka_api_versions_reply reply;
    struct arena arena;
    arena_init(&arena, memory, sizeof memory);
    if (wire_decode_all(&kafka_api_versions_reply_wire, greeting_version, body, &arena, &reply) !=
        ERR_OK)
        return "its versions are not readable";
    if (reply.error_code != 0 || reply.api_keys.count > broker_link_api_count_max)
        return "it does not tell its versions";
    link->version_count = 0;
    for (int32_t i = 0; i < reply.api_keys.count; i++)
        link->versions[link->version_count++] =
            (struct broker_link_version){.api_key = reply.api_keys.items[i].api_key,
                                         .version_min = reply.api_keys.items[i].min_version,
                                         .version_max = reply.api_keys.items[i].max_version};
    return NULL;
}

static void on_greeting(struct broker_link *link, struct slice frame)
{
    const bool is_ours = frame.size >= 4 && load_i32(frame.data) == link->correlation_id;
    const char *fault =
        is_ours ? read_versions(link, slice_skip(frame, 4)) : "a reply to nothing we asked";
    if (fault != NULL) {
        lose_and_end(link, fault);
        return;
    }
    if (link->is_failing)
        diag_info(link->options.diag, "link to broker %d at %s:%u: works again", (int)link->peer,
                  link->host, (unsigned)link->port);
    link->is_failing = false;
    link->phase = BROKER_LINK_OPEN;
    link->pause_ms = pause_ms_first;
    delay_queue_remove(link->options.delays, &link->delay);
    send_waiting(link);
}

void broker_link_reply_release(struct broker_link_reply *reply)
{
    if (reply == NULL || --reply->user_count > 0)
        return;
    if (reply->buffer != NULL)
        net_buffer_release(reply->buffer);
    heap_give_reusable(reply->heap, reply->block);
    heap_give_reusable(reply->heap, reply);
}

struct broker_link_reply *broker_link_take_reply(struct link_request *request)
{
    assert(request->answer != NULL);
    request->answer->user_count++;
    return request->answer;
}

/* Decodes into a block that is large enough. */
static enum err decode_into_block(struct broker_link_reply *reply, const struct wire_record *record,
                                  int16_t version, struct slice body, size_t limit)
{
    for (size_t room = record->size + block_bytes_first;; room *= block_growth) {
        const size_t capacity = min_size(room, limit);
        heap_give_reusable(reply->heap, reply->block);
        reply->block = heap_take_reusable(reply->heap, capacity);
        if (reply->block == NULL)
            return ERR_NO_MEMORY;
        arena_init(&reply->arena, reply->block, capacity);
        reply->body = arena_take(&reply->arena, record->size);
        if (reply->body == NULL)
            return ERR_LIMIT;
        const enum err err = wire_decode_all(record, version, body, &reply->arena, reply->body);
        if (err != ERR_LIMIT || capacity == limit)
            return err;
    }
}

static enum err read_reply(struct broker_link *link, struct link_request *request,
                           struct slice frame)
{
    const bool has_tags = wire_is_flexible(request->reply, request->version) &&
                          request->api_key != KAFKA_API_API_VERSIONS;
    struct kafka_response_header header;
    struct arena nothing;
    arena_init(&nothing, NULL, 0);
    if (wire_decode(&kafka_response_header_wire, has_tags ? 1 : 0, &frame, &nothing, &header) !=
        ERR_OK)
        return ERR_MALFORMED;
    struct heap *heap = link->options.heap;
    struct broker_link_reply *reply = heap_take_reusable(heap, sizeof *reply);
    if (reply == NULL)
        return ERR_NO_MEMORY;
    *reply = (struct broker_link_reply){.heap = heap, .user_count = 1};
    const enum err err = decode_into_block(reply, request->reply, request->version, frame,
                                           link->options.reply_memory_bytes_max);
    if (err != ERR_OK) {
        broker_link_reply_release(reply);
        return err;
    }
    reply->buffer = net_connection_buffer(link->connection);
    net_buffer_acquire(reply->buffer);
    request->answer = reply;
    request->body = reply->body;
    return ERR_OK;
}

static void on_reply(struct broker_link *link, struct slice frame)
{
    struct link_request *request =
        list_empty(&link->sent) ? NULL
                                : CONTAINER_OF(list_first(&link->sent), struct link_request, place);
    if (request == NULL || frame.size < 4 || load_i32(frame.data) != request->correlation_id) {
        lose_and_end(link, "a reply to nothing we asked");
        return;
    }
    struct list ends;
    list_init(&ends);
    const enum err err = read_reply(link, request, frame);
    link->sent_count--;
    leave(request, err, &ends);
    if (err == ERR_MALFORMED || err == ERR_TRUNCATED) {
        request->err = ERR_MALFORMED;
        lose(link, "a reply is not readable", &ends);
    } else {
        send_waiting(link);
    }
    struct broker_link_reply *reply = request->answer;
    end_now(request);
    broker_link_reply_release(reply);
    end_all(&ends);
}

/* ---- what net calls ---- */

static bool on_open(struct net_connection *connection)
{
    struct broker_link_attempt *attempt = connection->user;
    struct broker_link *link = attempt->link;
    if (link == NULL) {
        heap_give(attempt->heap, attempt);
        return false;
    }
    assert(link->phase == BROKER_LINK_DIALING && link->attempt == attempt);
    link->connection = connection;
    link->phase = BROKER_LINK_GREETING;
    if (!send_greeting(link)) /* The phase's deadline ends it. */
        diag_warn(link->options.diag, "link to broker %d: no memory", (int)link->peer);
    return true;
}

static struct net_verdict on_length(struct net_connection *connection, uint32_t length)
{
    const struct broker_link_attempt *attempt = connection->user;
    if (attempt->link == NULL || length > attempt->link->options.reply_bytes_max)
        return (struct net_verdict){.kind = NET_REFUSE, .reason = "the reply is too large"};
    return (struct net_verdict){.kind = NET_FRAME, .length = length};
}

static void on_frame(struct net_connection *connection, uint8_t *data, size_t size)
{
    const struct broker_link_attempt *attempt = connection->user;
    struct broker_link *link = attempt->link;
    if (link == NULL)
        return;
    if (link->phase == BROKER_LINK_GREETING)
        on_greeting(link, slice_of(data, size));
    else
        on_reply(link, slice_of(data, size));
}

static void on_close(struct net_connection *connection, const char *reason)
{
    struct broker_link_attempt *attempt = connection->user;
    struct broker_link *link = attempt->link;
    heap_give(attempt->heap, attempt);
    if (link == NULL)
        return;
    link->attempt = NULL;
    link->connection = NULL;
    lose_and_end(link, reason);
}

static const struct net_handler connection_handler = {
    .on_open = on_open, .on_length = on_length, .on_frame = on_frame, .on_close = on_close};

/* ---- dialing ---- */

static enum err dial(struct broker_link *link)
{
    struct io_address address;
    if (io_resolve(link->options.io, link->host, link->port, &address) < 0)
        return ERR_NOT_FOUND;
    struct broker_link_attempt *attempt = heap_take(link->options.heap, sizeof *attempt);
    if (attempt == NULL)
        return ERR_NO_MEMORY;
    *attempt = (struct broker_link_attempt){.heap = link->options.heap, .link = link};
    const enum err err = net_connect(link->options.net, &address, &connection_handler, attempt);
    if (err != ERR_OK) {
        heap_give(attempt->heap, attempt);
        return err;
    }
    link->attempt = attempt;
    link->phase = BROKER_LINK_DIALING;
    delay_queue_add(link->options.delays, &link->delay, setup_timeout_ms);
    return ERR_OK;
}

static void dial_if_needed(struct broker_link *link)
{
    if (link->phase != BROKER_LINK_IDLE || link->port == 0 || list_empty(&link->waiting))
        return;
    const enum err err = dial(link);
    if (err != ERR_OK) {
        struct list none;
        list_init(&none);
        lose(link, err == ERR_NOT_FOUND ? "its host has no address" : err_text(err), &none);
        assert(list_empty(&none));
    }
}

static void on_delay(struct delay *delay)
{
    struct broker_link *link = CONTAINER_OF(delay, struct broker_link, delay);
    switch (link->phase) {
    case BROKER_LINK_PAUSING:
        link->phase = BROKER_LINK_IDLE;
        dial_if_needed(link);
        return;
    case BROKER_LINK_DIALING: lose_and_end(link, "no connection in time"); return;
    case BROKER_LINK_GREETING: lose_and_end(link, "it does not tell its versions in time"); return;
    case BROKER_LINK_IDLE:
    case BROKER_LINK_OPEN:
    case BROKER_LINK_CLOSED: assert(false && "this phase has no deadline"); return;
    }
}

/* ---- where the peer is ---- */

static bool is_usable(const struct broker_endpoint *endpoint)
{
    return endpoint != NULL && endpoint->security == CONTROL_PLAINTEXT && endpoint->port > 0 &&
           endpoint->port <= UINT16_MAX && endpoint->host.size > 0 &&
           endpoint->host.size < broker_link_host_bytes_max;
}

static bool is_there(const struct broker_link *link, int32_t peer,
                     const struct broker_endpoint *endpoint)
{
    if (endpoint == NULL)
        return link->port == 0;
    return link->peer == peer && link->port == endpoint->port &&
           slice_equal(slice_from_text(link->host), endpoint->host);
}

/* Dones run later: whoever moves the peer is in the middle of something. */
static void move_to(struct broker_link *link, int32_t peer, const struct broker_endpoint *endpoint)
{
    if (!is_usable(endpoint))
        endpoint = NULL;
    if (is_there(link, peer, endpoint))
        return;
    let_go(link, "the peer has moved", ERR_CLOSED, &link->ended);
    end_soon(link);
    link->peer = peer;
    link->pause_ms = pause_ms_first;
    link->is_failing = false;
    link->port = 0;
    if (endpoint == NULL)
        return;
    memcpy(link->host, endpoint->host.data, endpoint->host.size);
    link->host[endpoint->host.size] = '\0';
    link->port = (uint16_t)endpoint->port;
    dial_if_needed(link);
}

void broker_link_route(struct broker_link *link, const struct broker_endpoint *endpoint)
{
    assert(link->options.view == NULL && link->phase != BROKER_LINK_CLOSED);
    move_to(link, link->options.peer_id, endpoint);
}

static void on_view(struct metadata_listener *listener)
{
    struct broker_link *link = CONTAINER_OF(listener, struct broker_link, listener);
    const struct metadata_view *view = link->options.view;
    const int32_t peer = link->options.peer_id == broker_link_peer_controller
                             ? view->controller_id
                             : link->options.peer_id;
    const struct metadata_broker *broker = metadata_view_broker(view, peer);
    move_to(link, peer,
            broker == NULL ? NULL : metadata_broker_endpoint(broker, link->options.listener));
}

/* ---- what callers call ---- */

void broker_link_init(struct broker_link *link, struct broker_link_options options)
{
    assert(options.in_flight_max > 0 && options.reply_memory_bytes_max > 0);
    memset(link, 0, sizeof *link);
    link->options = options;
    link->peer = options.peer_id;
    link->pause_ms = pause_ms_first;
    snprintf(link->client_id, sizeof link->client_id, "%s", options.client_id);
    list_init(&link->waiting);
    list_init(&link->sent);
    list_init(&link->ended);
    link->delay.expired = on_delay;
    link->ender.expired = on_ender;
    prng_init(&link->prng, options.seed);
    if (options.view == NULL)
        return;
    link->listener.changed = on_view;
    metadata_view_listen(options.view, &link->listener);
    on_view(&link->listener);
}

void broker_link_close(struct broker_link *link)
{
    if (link->phase == BROKER_LINK_CLOSED)
        return;
    struct list ends;
    list_move(&ends, &link->ended);
    list_init(&link->ended);
    let_go(link, "the link is closed", ERR_CLOSED, &ends);
    leave_all(&link->waiting, ERR_CLOSED, &ends);
    delay_queue_remove(link->options.delays, &link->ender);
    if (link->options.view != NULL)
        metadata_view_unlisten(link->options.view, &link->listener);
    link->phase = BROKER_LINK_CLOSED;
    end_all(&ends);
}

static void on_late(struct delay *delay)
{
    struct link_request *request = CONTAINER_OF(delay, struct link_request, delay);
    struct broker_link *link = request->link;
    struct list ends;
    list_init(&ends);
    const bool was_sent = request->correlation_id != 0;
    leave(request, ERR_TIMEOUT, &ends);
    if (was_sent)
        lose(link, "no reply in time", &ends);
    end_all(&ends);
}

void broker_link_send(struct broker_link *link, struct link_request *request)
{
    assert(link->phase != BROKER_LINK_CLOSED);
    request->link = link;
    request->answer = NULL;
    request->body = NULL;
    request->correlation_id = 0;
    request->err = ERR_OK;
    request->delay = (struct delay){.expired = on_late};
    delay_queue_add(link->options.delays, &request->delay, request->timeout_ms);
    list_push(&link->waiting, &request->place);
    dial_if_needed(link);
    send_waiting(link);
}

void broker_link_cancel(struct link_request *request)
{
    struct broker_link *link = request->link;
    struct list ends;
    list_init(&ends);
    if (link == NULL) { /* Its end is due anyway. */
        request->err = ERR_CANCELED;
        end_now(request);
        return;
    }
    const bool was_sent = request->correlation_id != 0;
    leave(request, ERR_CANCELED, &ends);
    if (was_sent)
        let_go(link, "its request was called off", ERR_CLOSED, &ends);
    dial_if_needed(link);
    end_all(&ends);
}
