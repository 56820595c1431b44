/* One HTTP/1.x request, taken from bytes as they come: method, target and headers. Bodies are let
 * through, to who wants one, and not kept.
 *
 *   bytes --http_request_feed--> HTTP_REQUEST_MORE .. HTTP_REQUEST_HEAD .. HTTP_REQUEST_MORE ..
 * HTTP_REQUEST_DONE, or HTTP_REQUEST_BAD
 *
 * The grammar is the library http-parser's; the limits are ours. It knows
 * neither sockets nor commands, so that it can be tested and fuzzed with plain bytes.
 *
 * Memory: embedded, about 10 KiB. Shard: one owner.
 */
#ifndef NET_HTTP_REQUEST_H
#define NET_HTTP_REQUEST_H

#include "base/macros.h"
#include "base/slice.h"

#include <http_parser.h>

enum {
    http_head_bytes_max = 8192, /* Of target, header names and values, together. */
    http_header_count_max = 64,
    http_body_bytes_max = 64 * 1024, /* A longer one is not waited for. */
};

enum http_progress {
    HTTP_REQUEST_MORE, /* All bytes were taken, and more are needed. */
    HTTP_REQUEST_HEAD, /* The head is whole; a body may follow. Said once for each request. */
    HTTP_REQUEST_DONE, /* The request is whole; what is left of the bytes belongs to the next one.
                        */
    HTTP_REQUEST_BAD,  /* Answer with request->bad_status and close. */
};

struct http_header {
    uint16_t name_at; /* In text. */
    uint16_t name_size;
    uint16_t value_at;
    uint16_t value_size;
};

struct http_request {
    http_parser parser;
    uint16_t text_size;
    uint16_t target_size; /* Of the target, which stands at the start of text. */
    uint16_t header_count;
    uint16_t bad_status;
    bool has_begun;     /* A byte of it has come. */
    bool has_value;     /* The last header's value has begun. */
    bool is_head_whole; /* And HTTP_REQUEST_HEAD was said. */
    bool is_done;
    /* Who takes the body, piece by piece; NULL: it is thrown away. To be set at HTTP_REQUEST_HEAD;
     * it must not touch the request. */
    void (*take_body)(struct http_request *request, struct slice piece);
    bool is_keep_alive; /* Valid from HTTP_REQUEST_HEAD on: the connection may serve another
                           request. */
    uint64_t body_bytes_announced; /* 0: unknown, or no body. */
    uint64_t body_bytes;           /* That have come. */
    struct http_header headers[http_header_count_max];
    char text[http_head_bytes_max];
};

/* Before each request. */
void http_request_init(struct http_request *request);

/* Takes bytes from the front of *bytes until something is reached. Not after HTTP_REQUEST_DONE or
 * HTTP_REQUEST_BAD. */
enum http_progress http_request_feed(struct http_request *request, struct slice *bytes);

/* From HTTP_REQUEST_HEAD on, of a body that nobody takes: one is announced that is longer than
 * http_body_bytes_max, or that the client sends only when asked to. Answer at once and close. */
bool http_request_should_skip_body(const struct http_request *request);

enum http_method http_request_method(const struct http_request *request);

/* "/commands/stmk?traceMask=5" gives "/commands/stmk" and "traceMask=5"; null: not there. Lends. */
struct slice http_request_path(const struct http_request *request);
struct slice http_request_query(const struct http_request *request);

/* The first header of that name, whatever its case; null: there is none. Lends. */
struct slice http_request_header(const struct http_request *request, const char *name);

/* The value of name in a query; null: it is not there. Lends: as it was sent. */
struct slice http_query_find(struct slice query, const char *name);

/* %41 becomes A; in a query (is_query) + becomes a space. Out has text.size bytes; the result lies
 * in it. Null: a % without two hex digits. */
struct slice http_decode(struct slice text, bool is_query, char *out);

#endif
