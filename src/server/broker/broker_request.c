#include "server/broker/broker_request.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "server/broker/gates.h"
#include "wire/gen/kafka.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    free_count_max = 256,
    print_bytes_max = 256,
    cut_count_on_stack = 16,
};

/* ---- memory ---- */

void broker_request_pool_init(struct broker_request_pool *pool)
{
    *pool = (struct broker_request_pool){0};
    list_init(&pool->free);
}

void broker_request_pool_deinit(struct broker_request_pool *pool, struct heap *heap)
{
    struct list *link;
    if (pool->free.next == NULL)
        return;
    while ((link = list_pop(&pool->free)) != NULL)
        heap_give(heap, CONTAINER_OF(link, struct broker_request, link));
}

static struct broker_request *request_acquire(struct broker_server *server)
{
    struct broker_request_pool *pool = &server->requests;
    struct list *link = list_pop(&pool->free);
    struct broker_request *request = NULL;
    if (link != NULL) {
        request = CONTAINER_OF(link, struct broker_request, link);
        pool->free_count--;
    } else {
        request = heap_take(server->heap, sizeof *request);
        if (request == NULL)
            return NULL;
    }
    memset(request, 0, offsetof(struct broker_request, memory));
    list_init(&request->link);
    request->server = server;
    request_memory_init(&request->own,
                        (struct request_memory_options){
                            .heap = server->heap,
                            .bytes_max = (size_t)server->config->request_memory_bytes_max,
                            .first = request->memory,
                            .first_bytes = sizeof request->memory});
    pool->used_count++;
    return request;
}

static void request_release(struct broker_request *request)
{
    struct broker_server *server = request->server;
    struct broker_request_pool *pool = &server->requests;
    assert(pool->used_count > 0);
    assert(!delay_is_running(&request->delay));
    request_memory_deinit(&request->own);
    if (request->call != NULL)
        gates_end(request->call);
    if (request->buffer != NULL)
        net_buffer_release(request->buffer);
    pool->used_count--;
    if (pool->free_count == free_count_max) {
        heap_give(server->heap, request);
        return;
    }
    list_push_front(&pool->free, &request->link);
    pool->free_count++;
}

void *broker_request_take(struct broker_request *request, size_t size)
{
    return request_memory_take(&request->own, size);
}

void *broker_request_take_array(struct broker_request *request, size_t count, size_t item_size)
{
    size_t size;
    if (__builtin_mul_overflow(count, item_size, &size))
        return NULL;
    return broker_request_take(request, size);
}

struct slice broker_request_copy(struct broker_request *request, struct slice bytes)
{
    uint8_t *copy = slice_is_null(bytes) ? NULL : broker_request_take(request, bytes.size);
    if (copy == NULL)
        return SLICE_NULL;
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    return slice_of(copy, bytes.size);
}

struct slice broker_request_print(struct broker_request *request, const char *format, ...)
{
    char text[print_bytes_max];
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    assert(size >= 0);
    return broker_request_copy(request, slice_of(text, min_size((size_t)size, sizeof text - 1)));
}

/* ---- the end ---- */

void broker_request_hold(struct broker_request *request)
{
    if (request->is_holding || request->connection == NULL)
        return;
    request->is_holding = true;
    request->connection->hold_count++;
}

/* Lends: the connection that it held; NULL: it held none. */
static struct broker_connection *leave_connection(struct broker_request *request)
{
    struct broker_connection *connection = request->connection;
    if (connection != NULL)
        list_remove(&request->link);
    request->connection = NULL;
    return request->is_holding ? connection : NULL;
}

/* One request fewer holds the connection, which may be NULL. */
static void go_on(struct broker_connection *connection)
{
    if (connection == NULL)
        return;
    assert(connection->hold_count > 0);
    if (--connection->hold_count > 0)
        return;
    if (connection->net == NULL) {
        gates_go_on(connection);
    } else if (connection->is_paused) {
        connection->is_paused = false;
        net_connection_resume(connection->net);
    }
}

static bool is_answered(const struct broker_request *request)
{
    return request->call != NULL ? request->call->is_answered : request->reply == NULL;
}

/* Takes message; NULL: there is none. */
static void send_reply(struct broker_request *request, struct net_message *message)
{
    if (request->call != NULL)
        gates_answer(request->call, message, NULL);
    else if (message != NULL)
        net_reply_send(request->reply, message);
    else
        net_reply_drop(request->reply);
    request->reply = NULL;
}

/* The connection is about to be closed for that reason. */
static void drop_reply(struct broker_request *request, const char *reason)
{
    if (request->call != NULL)
        gates_answer(request->call, NULL, reason);
    else
        net_reply_drop(request->reply);
    request->reply = NULL;
}

/* After drop_reply. NULL: it is closed already. */
static void close_connection(struct broker_connection *connection, const char *reason)
{
    if (connection == NULL)
        return;
    if (connection->net == NULL)
        gates_fail(connection);
    else
        net_connection_close(connection->net, reason, false);
}

/* The last touch of request. A connection that it held goes on. */
static void finish(struct broker_request *request)
{
    struct broker_connection *held = leave_connection(request);
    delay_queue_remove(&request->server->delays, &request->delay);
    request_release(request);
    go_on(held);
}

void broker_request_end(struct broker_request *request)
{
    if (!is_answered(request))
        send_reply(request, NULL);
    finish(request);
}

void broker_request_fail(struct broker_request *request, const char *reason)
{
    struct broker_connection *connection = request->connection;
    drop_reply(request, reason);
    if (connection != NULL) {
        /* Later requests of the connection are cancelled while it closes; this one is not. */
        list_remove(&request->link);
        request->connection = NULL;
    }
    finish(request);
    close_connection(connection, reason);
}

void broker_request_fail_memory(struct broker_request *request)
{
    broker_request_fail(request, "the request needs too much memory");
}

/* ApiVersions always has the old reply header, so that a client of any age can read it. */
static bool has_flexible_header(const struct broker_request *request)
{
    return request->api_key != KAFKA_API_API_VERSIONS &&
           wire_is_flexible(request->api->reply, request->version);
}

static void drop_ranges(const struct broker_file_range *ranges, uint32_t range_count)
{
    for (uint32_t i = 0; i < range_count; i++)
        (*ranges[i].users)--;
}

static void put_cuts(struct net_message *message, const struct wire_writer *writer,
                     const struct broker_file_range *ranges, uint32_t range_count)
{
    assert(writer->cut_count == range_count);
    for (uint32_t i = 0; i < range_count; i++) {
        assert(writer->cuts[i].size == ranges[i].size);
        message->cuts[i] = (struct net_cut){.position = (uint32_t)writer->cuts[i].position,
                                            .file = ranges[i].file,
                                            .offset = ranges[i].position,
                                            .size = ranges[i].size,
                                            .users = ranges[i].users};
    }
    message->cut_count = range_count;
}

/* NULL: no memory. */
static struct net_message *encode_reply(struct broker_request *request, const void *reply,
                                        const struct broker_file_range *ranges,
                                        uint32_t range_count)
{
    const struct wire_record *record = request->api->reply;
    const size_t head = has_flexible_header(request) ? 9 : 8;
    const size_t inside = head + wire_size_inline(record, request->version, reply);
    const size_t whole = head - 4 + wire_size(record, request->version, reply);
    struct wire_cut few[cut_count_on_stack];
    struct wire_cut *cuts = few;
    struct net_message *message = NULL;
    if (range_count > cut_count_on_stack)
        cuts = broker_request_take_array(request, range_count, sizeof *cuts);
    if (cuts != NULL && whole <= INT32_MAX)
        message = net_message_acquire(request->server->heap,
                                      (struct net_message_options){.capacity = (uint32_t)inside,
                                                                   .cut_capacity = range_count});
    if (message == NULL)
        return NULL;
    struct wire_writer writer = wire_writer_of(message->data, inside);
    writer.cuts = cuts;
    writer.cut_count_max = range_count;
    wire_put_i32(&writer, (int32_t)whole);
    wire_put_i32(&writer, request->correlation_id);
    if (head == 9)
        wire_put_u8(&writer, 0); /* No tagged fields. */
    wire_encode(record, request->version, reply, &writer);
    assert(writer.used == inside);
    message->size = (uint32_t)inside;
    put_cuts(message, &writer, ranges, range_count);
    return message;
}

static const char no_memory_for_reply[] = "no memory is left for the reply";

void broker_request_reply_files(struct broker_request *request, const void *reply,
                                const struct broker_file_range *ranges, uint32_t range_count)
{
    struct net_message *message = encode_reply(request, reply, ranges, range_count);
    if (message == NULL) {
        drop_ranges(ranges, range_count);
        broker_request_fail(request, no_memory_for_reply);
        return;
    }
    send_reply(request, message);
    finish(request);
}

void broker_request_answer(struct broker_request *request, const void *reply)
{
    struct net_message *message = reply == NULL ? NULL : encode_reply(request, reply, NULL, 0);
    struct broker_connection *connection = request->connection;
    const bool has_failed = reply != NULL && message == NULL;
    if (has_failed)
        drop_reply(request, no_memory_for_reply);
    else
        send_reply(request, message);
    delay_queue_remove(&request->server->delays, &request->delay);
    struct broker_connection *held = leave_connection(request);
    if (has_failed)
        close_connection(connection, no_memory_for_reply);
    else
        go_on(held);
}

void broker_request_reply(struct broker_request *request, const void *reply)
{
    broker_request_reply_files(request, reply, NULL, 0);
}

const char *broker_request_host(const struct broker_request *request, char *text, size_t capacity)
{
    assert(capacity > io_address_text_max);
    text[0] = '/';
    text[1] = '\0';
    if (request->connection != NULL)
        io_address_print_host(&request->connection->peer, text + 1, capacity - 1);
    return text;
}

struct slice broker_request_listener(const struct broker_request *request)
{
    assert(request->connection != NULL);
    const struct broker_config *config = request->server->config;
    return slice_from_text(config->listeners[request->connection->listener_index].name);
}

/* ---- the beginning ---- */

static void handle(struct broker_request *request)
{
    struct broker_connection *connection = request->connection;
    bool is_gone = false;
    connection->is_gone = &is_gone;
    if (!request->api->is_pipelined)
        broker_request_hold(request);
    if (request->body == NULL) /* The version is not known. */
        api_api_versions_unknown(request);
    else
        request->api->handle(request);
    if (is_gone)
        return;
    connection->is_gone = NULL;
    if (connection->hold_count > 0 && !connection->is_paused && connection->net != NULL) {
        connection->is_paused = true;
        net_connection_pause(connection->net);
    }
}

static void take_head(struct broker_request *request, const struct request_head *head)
{
    request->api = head->api;
    request->api_key = head->api_key;
    request->version = head->version;
    request->correlation_id = head->correlation_id;
    request->client_id = head->client_id;
    request->body = head->body;
}

static void begin(struct broker_request *request, struct broker_connection *connection)
{
    request->connection = connection;
    list_push(&connection->requests, &request->link);
    handle(request);
}

static const char no_memory_for_request[] = "no memory is left for a request";

void broker_request_begin(struct broker_connection *connection, uint8_t *data, size_t size)
{
    struct net_connection *net = connection->net;
    struct broker_request *request = request_acquire(connection->server);
    if (request == NULL) {
        net_connection_close(net, no_memory_for_request, false);
        return;
    }
    struct request_head head;
    const char *fault = request_head_read(&head, &request->own, slice_of(data, size));
    take_head(request, &head);
    if (fault == NULL) {
        request->reply = net_reply_reserve(net);
        if (request->reply == NULL)
            fault = "no memory is left for a reply";
    }
    if (fault != NULL) {
        if (head.api != NULL)
            diag_info(connection->server->diag, "%s version %d from client %" SLICE_FORMAT ": %s",
                      head.api->name, head.version, SLICE_ARGS(head.client_id), fault);
        request_release(request);
        net_connection_close(net, fault, false);
        return;
    }
    request->buffer = net_connection_buffer(net);
    net_buffer_acquire(request->buffer);
    begin(request, connection);
}

void broker_request_begin_call(struct broker_connection *connection, struct gate_call *call)
{
    struct broker_request *request = request_acquire(connection->server);
    if (request == NULL) {
        gates_answer(call, NULL, no_memory_for_request);
        gates_fail(connection);
        gates_end(call);
        return;
    }
    take_head(request, &call->head);
    request->call = call;
    request->facts = call->facts;
    begin(request, connection);
}

void broker_request_disconnect(struct broker_connection *connection)
{
    struct list *link;
    while ((link = list_pop(&connection->requests)) != NULL) {
        struct broker_request *request = CONTAINER_OF(link, struct broker_request, link);
        request->connection = NULL;
        if (request->cancel != NULL)
            request->cancel(request);
    }
}
