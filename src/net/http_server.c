#define _POSIX_C_SOURCE 200809L
#include "net/http_server.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum {
    head_bytes_max = 1024,
    receive_bytes_first = 4096,
    unsent_bytes_max = 1 << 20,
};

/* A connection. */
struct http_link {
    struct http_server *server;
    struct net_connection *connection;
    struct http_exchange *exchange; /* NULL: no request is being answered. */
    struct http_request request;
};

/* ---- answers ---- */

static const struct {
    uint16_t status;
    const char *text;
} reasons[] = {
    {200, "OK"},           {400, "Bad Request"},         {401, "Unauthorized"},
    {403, "Forbidden"},    {404, "Not Found"},           {405, "Method Not Allowed"},
    {414, "URI Too Long"}, {429, "Too Many Requests"},   {431, "Request Header Fields Too Large"},
    {500, "Server Error"}, {503, "Service Unavailable"}, {505, "HTTP Version Not Supported"},
};

static const char *reason_of(uint16_t status)
{
    for (size_t index = 0; index < ARRAY_COUNT(reasons); index++)
        if (reasons[index].status == status)
            return reasons[index].text;
    return "Unknown";
}

/* "Sat, 28 Nov 2026 16:18:19 GMT", as RFC 9110 wants a date. */
static void print_date(struct http_server *server, char *out, size_t capacity)
{
    const time_t seconds = (time_t)(io_wall_ms(server->io) / 1000);
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(out, capacity, "%a, %d %b %Y %H:%M:%S GMT", &parts) == 0)
        out[0] = '\0';
}

static size_t print_head(const struct http_exchange *exchange, const struct http_answer *answer,
                         char *out)
{
    char date[64];
    print_date(exchange->server, date, sizeof date);
    const bool has_type = answer->content_type != NULL;
    const int size =
        snprintf(out, head_bytes_max,
                 "HTTP/1.1 %u %s\r\nDate: %s\r\n%s%s%s%sContent-Length: %" PRIu64
                 "\r\n%sServer: Rookery\r\n\r\n",
                 answer->status, reason_of(answer->status), date,
                 answer->headers == NULL ? "" : answer->headers, has_type ? "Content-Type: " : "",
                 has_type ? answer->content_type : "", has_type ? "\r\n" : "", answer->size,
                 exchange->is_keep_alive ? "" : "Connection: close\r\n");
    assert(size > 0 && size < head_bytes_max);
    return (size_t)size;
}

struct net_message *http_message_acquire(struct http_server *server, uint32_t capacity)
{
    if (capacity > UINT32_MAX - head_bytes_max)
        return NULL;
    return net_message_acquire(
        server->heap,
        (struct net_message_options){.capacity = capacity + head_bytes_max, .cut_capacity = 1});
}

uint8_t *http_message_body(struct net_message *message)
{
    return message->data + head_bytes_max;
}

/* Puts the head in front of the body, which moves up to it. */
static void finish_message(const struct http_exchange *exchange, struct net_message *message,
                           const struct http_answer *answer)
{
    char head[head_bytes_max];
    const size_t head_size = print_head(exchange, answer, head);
    const bool has_body = exchange->method != HTTP_HEAD;
    const size_t body_size = has_body && !answer->has_file ? (size_t)answer->size : 0;
    assert(body_size + head_bytes_max <= message->capacity);
    memmove(message->data + head_size, http_message_body(message), body_size);
    memcpy(message->data, head, head_size);
    message->size = (uint32_t)(head_size + body_size);
    if (!answer->has_file)
        return;
    if (!has_body) {
        --*answer->file.users;
        return;
    }
    message->cuts[0] = answer->file;
    message->cuts[0].position = message->size;
    message->cut_count = 1;
}

void http_exchange_answer(struct http_exchange *exchange, struct net_message *message,
                          const struct http_answer *answer)
{
    struct http_link *link = exchange->link;
    struct net_connection *connection = link == NULL ? NULL : link->connection;
    if (link != NULL) {
        link->exchange = NULL;
        http_request_init(&link->request);
    }
    if (message == NULL) {
        net_reply_drop(exchange->reply);
    } else {
        finish_message(exchange, message, answer);
        net_reply_send(exchange->reply, message);
    }
    const bool is_last = message == NULL || !exchange->is_keep_alive;
    heap_give(exchange->server->heap, exchange);
    if (connection != NULL && is_last)
        net_connection_close(connection, "the last answer was given", true);
}

void http_exchange_answer_empty(struct http_exchange *exchange, uint16_t status,
                                const char *headers)
{
    const struct http_answer answer = {.status = status, .headers = headers};
    http_exchange_answer(exchange, http_message_acquire(exchange->server, 0), &answer);
}

/* ---- requests ---- */

/* One without a reply yet. */
static void init_exchange(struct http_exchange *exchange, struct http_link *link)
{
    *exchange = (struct http_exchange){
        .server = link->server,
        .link = link,
        .method = http_request_method(&link->request),
        .is_keep_alive = link->request.is_keep_alive,
        .request = &link->request,
        .peer = link->connection->peer,
    };
}

static struct http_exchange *make_exchange(struct http_link *link)
{
    struct http_exchange *exchange = heap_take(link->server->heap, sizeof *exchange);
    struct net_reply *reply = exchange == NULL ? NULL : net_reply_reserve(link->connection);
    if (reply == NULL) {
        heap_give(link->server->heap, exchange);
        net_connection_close(link->connection, "no memory for a request", false);
        return NULL;
    }
    init_exchange(exchange, link);
    exchange->reply = reply;
    link->exchange = exchange;
    return exchange;
}

static void refuse(struct http_link *link)
{
    const uint16_t status = link->request.bad_status;
    struct http_exchange *exchange = make_exchange(link);
    if (exchange != NULL)
        http_exchange_answer_empty(exchange, status, NULL);
}

/* The link may be gone afterwards. */
static void hand_over(struct http_link *link)
{
    struct http_server *server = link->server;
    struct http_exchange *exchange = make_exchange(link);
    if (exchange == NULL)
        return;
    server->request_count++;
    server->options.on_request(exchange, server->options.context);
}

/* ---- bodies ---- */

static void take_body(struct http_request *request, struct slice piece)
{
    struct http_link *link = CONTAINER_OF(request, struct http_link, request);
    const struct http_server_options *options = &link->server->options;
    net_connection_time_request(link->connection, true); /* It may be long, but must go on. */
    options->on_body(link->exchange, HTTP_BODY_PIECE, piece, options->context);
}

/* For a client that sends its body only when asked to. */
static void ask_for_body(struct http_link *link)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (slice_is_null(http_request_header(&link->request, "Expect")))
        return;
    struct net_message *message = net_message_acquire(
        link->server->heap, (struct net_message_options){.capacity = sizeof text});
    if (message == NULL)
        return; /* It sends the body after a while. */
    message->size = sizeof text - 1;
    memcpy(message->data, text, message->size);
    net_push(link->connection, message);
}

/* The head is whole: whether somebody wants what follows. */
static void offer_body(struct http_link *link)
{
    const struct http_server_options *options = &link->server->options;
    if (options->on_head == NULL)
        return;
    struct http_exchange *exchange = heap_take(link->server->heap, sizeof *exchange);
    if (exchange == NULL)
        return;
    init_exchange(exchange, link);
    if (!options->on_head(exchange, options->context)) {
        heap_give(link->server->heap, exchange);
        return;
    }
    link->exchange = exchange;
    link->request.take_body = take_body;
    ask_for_body(link);
}

/* The exchange of a body goes, and its taker is told. */
static void lose_body(struct http_link *link)
{
    const struct http_server_options *options = &link->server->options;
    struct http_exchange *exchange = link->exchange;
    link->exchange = NULL;
    link->request.take_body = NULL;
    options->on_body(exchange, HTTP_BODY_LOST, SLICE_NULL, options->context);
    heap_give(link->server->heap, exchange);
}

/* The body is whole. The link may be gone afterwards. */
static void end_body(struct http_link *link)
{
    const struct http_server_options *options = &link->server->options;
    struct http_exchange *exchange = link->exchange;
    exchange->reply = net_reply_reserve(link->connection);
    if (exchange->reply == NULL) {
        net_connection_close(link->connection, "no memory for a request", false);
        return;
    }
    link->server->request_count++;
    options->on_body(exchange, HTTP_BODY_END, SLICE_NULL, options->context);
}

static bool is_taking_body(const struct http_link *link)
{
    return link->request.take_body != NULL;
}

/* What a request has come to, with what is left of the bytes. */
static enum http_progress feed(struct http_link *link, struct slice *bytes)
{
    struct http_request *request = &link->request;
    enum http_progress progress = HTTP_REQUEST_MORE;
    while (bytes->size > 0) {
        progress = http_request_feed(request, bytes);
        if (progress == HTTP_REQUEST_DONE || progress == HTTP_REQUEST_BAD)
            return progress;
        if (progress == HTTP_REQUEST_HEAD)
            offer_body(link);
        if (request->is_head_whole && http_request_should_skip_body(request)) {
            request->is_keep_alive = false; /* What follows is thrown away. */
            return HTTP_REQUEST_DONE;
        }
    }
    return progress;
}

static void on_raw(struct net_connection *connection, struct slice bytes)
{
    struct http_link *link = connection->user;
    /* net frames nothing while a reply is open. */
    assert(link->exchange == NULL || is_taking_body(link));
    if (!link->request.has_begun)
        net_connection_time_request(connection, true);
    const enum http_progress progress = feed(link, &bytes);
    if (progress != HTTP_REQUEST_DONE && progress != HTTP_REQUEST_BAD)
        return;
    net_connection_time_request(connection, false);
    net_connection_unread(connection, bytes.size);
    if (progress == HTTP_REQUEST_BAD) {
        if (is_taking_body(link))
            lose_body(link);
        refuse(link);
        return;
    }
    if (is_taking_body(link)) {
        end_body(link);
        return;
    }
    /* The library goes on behind a tunnel's request as if it were something else. */
    if (link->request.parser.upgrade)
        link->request.is_keep_alive = false;
    hand_over(link);
}

static bool on_open(struct net_connection *connection)
{
    struct http_server *server = connection->user;
    struct http_link *link = heap_take(server->heap, sizeof *link);
    if (link == NULL)
        return false;
    link->server = server;
    link->connection = connection;
    link->exchange = NULL;
    http_request_init(&link->request);
    connection->user = link;
    return true;
}

static struct net_verdict on_length(struct net_connection *connection, uint32_t length)
{
    (void)connection;
    (void)length;
    return (struct net_verdict){.kind = NET_RAW};
}

static void on_frame(struct net_connection *connection, uint8_t *data, size_t size)
{
    (void)connection;
    (void)data;
    (void)size;
    assert(false); /* on_length takes everything raw. */
}

static void on_close(struct net_connection *connection, const char *reason)
{
    struct http_link *link = connection->user;
    (void)reason;
    if (link->exchange != NULL && link->exchange->reply == NULL)
        lose_body(link);
    if (link->exchange != NULL) {
        link->exchange->link = NULL;
        link->exchange->request = NULL;
    }
    heap_give(link->server->heap, link);
}

static const struct net_handler handler = {
    .on_open = on_open,
    .on_length = on_length,
    .on_frame = on_frame,
    .on_raw = on_raw,
    .on_close = on_close,
};

/* ---- life ---- */

enum err http_server_open(struct http_server *server, struct io *io, struct heap *heap,
                          struct diag *diag, struct io_address *address,
                          struct http_server_options options)
{
    *server = (struct http_server){.io = io, .heap = heap, .options = options};
    const struct net_options net_options = {
        .connection_count_max = options.connection_count_max,
        .backlog = options.backlog,
        .receive_bytes_first = receive_bytes_first,
        .open_reply_count_max = 1,
        .unsent_bytes_max = unsent_bytes_max,
        .idle_timeout_ms = options.idle_timeout_ms,
        .first_frame_timeout_ms = options.request_timeout_ms,
        .send_timeout_ms = options.send_timeout_ms,
    };
    enum err err = net_init(&server->net, io, heap, diag, net_options);
    if (err != ERR_OK)
        return err;
    err = options.waits_for_port ? net_listen_wait(server->net, address, &handler, server)
                                 : net_listen(server->net, address, &handler, server);
    if (err != ERR_OK)
        http_server_close(server);
    return err;
}

void http_server_close(struct http_server *server)
{
    if (server->net != NULL)
        net_deinit(server->net);
    server->net = NULL;
}
