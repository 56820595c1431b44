#define _POSIX_C_SOURCE 200809L
#include "net/http_request.h"

#include "base/assert.h"

#include <strings.h>

enum {
    status_bad_request = 400,
    status_uri_too_long = 414,
    status_headers_too_large = 431,
    status_version_not_supported = 505,
    http_major = 1,
};

/* ---- what the library calls ---- */

static struct http_request *request_of(http_parser *parser)
{
    return CONTAINER_OF(parser, struct http_request, parser);
}

static int refuse(struct http_request *request, uint16_t status)
{
    request->bad_status = status;
    return 1;
}

/* False: the head is longer than its limit. */
static bool keep(struct http_request *request, const char *at, size_t size)
{
    if (size > sizeof request->text - request->text_size)
        return false;
    memcpy(request->text + request->text_size, at, size);
    request->text_size = (uint16_t)(request->text_size + size);
    return true;
}

static int on_url(http_parser *parser, const char *at, size_t size)
{
    struct http_request *request = request_of(parser);
    if (!keep(request, at, size))
        return refuse(request, status_uri_too_long);
    request->target_size = request->text_size;
    return 0;
}

static int on_header_field(http_parser *parser, const char *at, size_t size)
{
    struct http_request *request = request_of(parser);
    if (request->header_count == 0 || request->has_value) {
        if (request->header_count == http_header_count_max)
            return refuse(request, status_headers_too_large);
        request->headers[request->header_count++] =
            (struct http_header){.name_at = request->text_size};
        request->has_value = false;
    }
    if (!keep(request, at, size))
        return refuse(request, status_headers_too_large);
    struct http_header *header = &request->headers[request->header_count - 1];
    header->name_size = (uint16_t)(request->text_size - header->name_at);
    return 0;
}

static int on_header_value(http_parser *parser, const char *at, size_t size)
{
    struct http_request *request = request_of(parser);
    struct http_header *header = &request->headers[request->header_count - 1];
    if (!request->has_value)
        header->value_at = request->text_size;
    request->has_value = true;
    if (!keep(request, at, size))
        return refuse(request, status_headers_too_large);
    header->value_size = (uint16_t)(request->text_size - header->value_at);
    return 0;
}

static int on_headers_complete(http_parser *parser)
{
    struct http_request *request = request_of(parser);
    if (parser->http_major != http_major)
        return refuse(request, status_version_not_supported);
    request->is_keep_alive = http_should_keep_alive(parser) != 0;
    if ((parser->flags & F_CONTENTLENGTH) != 0)
        request->body_bytes_announced = parser->content_length;
    http_parser_pause(parser, 1);
    return 0;
}

static int on_body(http_parser *parser, const char *at, size_t size)
{
    struct http_request *request = request_of(parser);
    request->body_bytes += size;
    if (request->take_body != NULL)
        request->take_body(request, slice_of(at, size));
    return 0;
}

static int on_message_complete(http_parser *parser)
{
    request_of(parser)->is_done = true;
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- one request ---- */

void http_request_init(struct http_request *request)
{
    memset(request, 0, offsetof(struct http_request, headers));
    http_parser_init(&request->parser, HTTP_REQUEST);
}

static enum http_progress be_bad(struct http_request *request, uint16_t status)
{
    if (request->bad_status == 0)
        request->bad_status = status;
    request->is_keep_alive = false;
    return HTTP_REQUEST_BAD;
}

/* A target that is neither a path nor an absolute address, or one that holds a fragment. */
static bool is_target_sound(const struct http_request *request)
{
    struct http_parser_url url;
    http_parser_url_init(&url);
    return http_parser_parse_url(request->text, request->target_size,
                                 request->parser.method == HTTP_CONNECT, &url) == 0;
}

enum http_progress http_request_feed(struct http_request *request, struct slice *bytes)
{
    assert(!request->is_done && request->bad_status == 0);
    if (bytes->size == 0)
        return HTTP_REQUEST_MORE;
    request->has_begun = true;
    http_parser_pause(&request->parser, 0);
    const size_t taken =
        http_parser_execute(&request->parser, &settings, (const char *)bytes->data, bytes->size);
    assert(taken <= bytes->size);
    *bytes = slice_skip(*bytes, taken);
    const enum http_errno error = HTTP_PARSER_ERRNO(&request->parser);
    if (error == HPE_HEADER_OVERFLOW)
        return be_bad(request, status_headers_too_large);
    if ((error != HPE_OK && error != HPE_PAUSED) || request->bad_status != 0)
        return be_bad(request, status_bad_request);
    if (request->is_done)
        return HTTP_REQUEST_DONE;
    if (error == HPE_OK)
        return HTTP_REQUEST_MORE;
    assert(!request->is_head_whole);
    request->is_head_whole = true;
    return is_target_sound(request) ? HTTP_REQUEST_HEAD : be_bad(request, status_bad_request);
}

bool http_request_should_skip_body(const struct http_request *request)
{
    if (request->take_body != NULL)
        return false;
    return request->body_bytes_announced > http_body_bytes_max ||
           request->body_bytes > http_body_bytes_max ||
           !slice_is_null(http_request_header(request, "Expect"));
}

enum http_method http_request_method(const struct http_request *request)
{
    return (enum http_method)request->parser.method;
}

static struct slice part_of_target(const struct http_request *request,
                                   enum http_parser_url_fields part)
{
    struct http_parser_url url;
    http_parser_url_init(&url);
    if (http_parser_parse_url(request->text, request->target_size,
                              request->parser.method == HTTP_CONNECT, &url) != 0 ||
        (url.field_set & (1 << part)) == 0)
        return SLICE_NULL;
    return slice_of(request->text + url.field_data[part].off, url.field_data[part].len);
}

struct slice http_request_path(const struct http_request *request)
{
    return part_of_target(request, UF_PATH);
}

struct slice http_request_query(const struct http_request *request)
{
    return part_of_target(request, UF_QUERY);
}

struct slice http_request_header(const struct http_request *request, const char *name)
{
    for (uint16_t index = 0; index < request->header_count; index++) {
        const struct http_header *header = &request->headers[index];
        if (header->name_size == strlen(name) &&
            strncasecmp(request->text + header->name_at, name, header->name_size) == 0)
            return slice_of(request->text + header->value_at, header->value_size);
    }
    return SLICE_NULL;
}

/* ---- texts ---- */

struct slice http_query_find(struct slice query, const char *name)
{
    const size_t name_size = strlen(name);
    while (query.size > 0) {
        const uint8_t *end = memchr(query.data, '&', query.size);
        const size_t size = end == NULL ? query.size : (size_t)(end - query.data);
        const bool is_it = size >= name_size && memcmp(query.data, name, name_size) == 0;
        if (is_it && size == name_size)
            return slice_of(query.data + size, 0);
        if (is_it && query.data[name_size] == '=')
            return slice_of(query.data + name_size + 1, size - name_size - 1);
        query = slice_skip(query, end == NULL ? size : size + 1);
    }
    return SLICE_NULL;
}

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

struct slice http_decode(struct slice text, bool is_query, char *out)
{
    size_t size = 0;
    for (size_t at = 0; at < text.size; at++) {
        uint8_t byte = text.data[at];
        if (byte == '%') {
            const int high = at + 2 < text.size ? hex_digit(text.data[at + 1]) : -1;
            const int low = at + 2 < text.size ? hex_digit(text.data[at + 2]) : -1;
            if (high < 0 || low < 0)
                return SLICE_NULL;
            byte = (uint8_t)(high << 4 | low);
            at += 2;
        } else if (byte == '+' && is_query) {
            byte = ' ';
        }
        out[size++] = (char)byte;
    }
    return slice_of(out, size);
}
