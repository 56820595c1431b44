#include "server/broker/broker_request.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "server/broker/broker_api.h"
#include "server/broker/broker_server.h"
#include "wire/gen/kafka.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    free_count_max = 256,
    block_bytes_first = 64 * 1024,
    header_bytes_min = 8, /* Key, version, correlation id. */
    print_bytes_max = 256,
    cut_count_on_stack = 16,
};

/* A block of the request's memory, behind its link. */
struct block {
    alignas(16) struct block *older;
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
    arena_init(&request->arena, request->memory, sizeof request->memory);
    pool->used_count++;
    return request;
}

static void request_release(struct broker_request *request)
{
    struct broker_server *server = request->server;
    struct broker_request_pool *pool = &server->requests;
    assert(pool->used_count > 0);
    assert(!delay_is_running(&request->delay));
    for (struct block *block = request->block; block != NULL;) {
        struct block *older = block->older;
        heap_give(server->heap, block);
        block = older;
    }
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

/* The arena goes on in a block with room for size. */
static bool add_block(struct broker_request *request, size_t size)
{
    const size_t limit = (size_t)request->server->config->request_memory_bytes_max;
    if (size > limit || request->block_bytes > limit - size)
        return false;
    const size_t capacity = max_size(size, block_bytes_first);
    struct block *block = heap_take(request->server->heap, sizeof *block + capacity);
    if (block == NULL)
        return false;
    block->older = request->block;
    request->block = block;
    request->block_bytes += capacity;
    arena_init(&request->arena, block + 1, capacity);
    return true;
}

void *broker_request_take(struct broker_request *request, size_t size)
{
    void *memory = arena_take(&request->arena, size);
    if (memory == NULL && add_block(request, size))
        memory = arena_take(&request->arena, size);
    return memory;
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
    if (--connection->hold_count == 0 && connection->is_paused) {
        connection->is_paused = false;
        net_connection_resume(connection->net);
    }
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
    if (request->reply != NULL)
        net_reply_drop(request->reply);
    finish(request);
}

void broker_request_fail(struct broker_request *request, const char *reason)
{
    struct broker_connection *connection = request->connection;
    struct net_connection *net = connection == NULL ? NULL : connection->net;
    net_reply_drop(request->reply);
    if (connection != NULL) {
        /* Later requests of the connection are cancelled while it closes; this one is not. */
        list_remove(&request->link);
        request->connection = NULL;
    }
    finish(request);
    if (net != NULL)
        net_connection_close(net, reason, false);
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
    net_reply_send(request->reply, message);
    finish(request);
}

void broker_request_answer(struct broker_request *request, const void *reply)
{
    struct net_message *message = reply == NULL ? NULL : encode_reply(request, reply, NULL, 0);
    struct net_connection *net = request->connection == NULL ? NULL : request->connection->net;
    if (message != NULL)
        net_reply_send(request->reply, message);
    else
        net_reply_drop(request->reply);
    request->reply = NULL;
    delay_queue_remove(&request->server->delays, &request->delay);
    struct broker_connection *held = leave_connection(request);
    if (reply == NULL || message != NULL)
        go_on(held);
    else if (net != NULL)
        net_connection_close(net, no_memory_for_reply, false);
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
        io_address_print_host(&request->connection->net->peer, text + 1, capacity - 1);
    return text;
}

struct slice broker_request_listener(const struct broker_request *request)
{
    assert(request->connection != NULL);
    const struct broker_config *config = request->server->config;
    return slice_from_text(config->listeners[request->connection->listener_index].name);
}

/* ---- the beginning ---- */

static enum err decode_header(struct broker_request *request, struct slice *input)
{
    struct kafka_request_header header;
    int version = wire_is_flexible(request->api->request, request->version) ? 2 : 1;
    if (request->api_key == KAFKA_API_CONTROLLED_SHUTDOWN && request->version == 0)
        version = 0;
    const enum err err =
        wire_decode(&kafka_request_header_wire, version, input, &request->arena, &header);
    if (err == ERR_OK)
        request->client_id = header.client_id;
    return err;
}

/* The array items of a body may need more memory than the request has: a larger block each time. */
static enum err decode_body(struct broker_request *request, struct slice input)
{
    const struct wire_record *record = request->api->request;
    void *body = broker_request_take(request, record->size);
    size_t room = block_bytes_first;
    enum err err = body == NULL ? ERR_LIMIT : ERR_OK;
    if (err != ERR_OK)
        return err;
    for (;;) {
        struct slice rest = input;
        err = wire_decode(record, request->version, &rest, &request->arena, body);
        if (err != ERR_LIMIT || !add_block(request, room))
            break;
        room *= 8;
    }
    request->body = body;
    return err;
}

static const char *decode(struct broker_request *request, struct slice input)
{
    if (decode_header(request, &input) != ERR_OK)
        return "the request's header is malformed";
    const enum err err = decode_body(request, input);
    if (err == ERR_OK)
        return NULL;
    return err == ERR_LIMIT ? "the request needs too much memory" : "the request is malformed";
}

/* A request of a version that is not served: only ApiVersions gets an answer. */
static const char *judge_version(const struct broker_request *request)
{
    if (request->version >= 0 && request->version <= request->api->version_max)
        return NULL;
    return request->api_key == KAFKA_API_API_VERSIONS ? NULL : "the api version is not served";
}

static void handle(struct broker_request *request)
{
    struct broker_connection *connection = request->connection;
    bool is_gone = false;
    connection->is_gone = &is_gone;
    if (!request->api->is_pipelined)
        broker_request_hold(request);
    if (request->version < 0 || request->version > request->api->version_max)
        api_api_versions_unknown(request);
    else
        request->api->handle(request);
    if (is_gone)
        return;
    connection->is_gone = NULL;
    if (connection->hold_count > 0 && !connection->is_paused) {
        connection->is_paused = true;
        net_connection_pause(connection->net);
    }
}

void broker_request_begin(struct broker_connection *connection, uint8_t *data, size_t size)
{
    struct net_connection *net = connection->net;
    const struct broker_api *api = size < header_bytes_min ? NULL : broker_api_find(load_i16(data));
    if (api == NULL) {
        net_connection_close(
            net, size < header_bytes_min ? "a request without a header" : "the api is not served",
            false);
        return;
    }
    struct broker_request *request = request_acquire(connection->server);
    if (request == NULL) {
        net_connection_close(net, "no memory is left for a request", false);
        return;
    }
    request->api = api;
    request->api_key = load_i16(data);
    request->version = load_i16(data + 2);
    request->correlation_id = load_i32(data + 4);
    const char *fault = judge_version(request);
    if (fault == NULL && request->version >= 0 && request->version <= api->version_max)
        fault = decode(request, slice_of(data, size));
    if (fault == NULL) {
        request->reply = net_reply_reserve(net);
        if (request->reply == NULL)
            fault = "no memory is left for a reply";
    }
    if (fault != NULL) {
        diag_info(connection->server->diag, "%s version %d from client %" SLICE_FORMAT ": %s",
                  api->name, request->version, SLICE_ARGS(request->client_id), fault);
        request_release(request);
        net_connection_close(net, fault, false);
        return;
    }
    request->buffer = net_connection_buffer(net);
    net_buffer_acquire(request->buffer);
    request->connection = connection;
    list_push(&connection->requests, &request->link);
    handle(request);
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
