#include "net/http_request.h"
#include "test/unit_test.h"

#include <stdio.h>

static struct http_request request;

static struct slice rest;

/* Feeds the whole text, letting it go on behind the head. */
static enum http_progress feed(const char *text)
{
    http_request_init(&request);
    rest = slice_from_text(text);
    enum http_progress progress = http_request_feed(&request, &rest);
    if (progress == HTTP_REQUEST_HEAD)
        progress = http_request_feed(&request, &rest);
    return progress;
}

static void expect_slice(const char *text, struct slice slice)
{
    assert_int_equal(strlen(text), slice.size);
    assert_memory_equal(text, slice.data, slice.size);
}

static void test_plain_request(void **state)
{
    (void)state;
    assert_int_equal(HTTP_REQUEST_DONE,
                     feed("GET /commands/stmk?traceMask=5&x=%20y HTTP/1.1\r\n"
                          "Host: here\r\nauthorization:  digest a:b \r\n\r\nGET /"));
    assert_int_equal(HTTP_GET, http_request_method(&request));
    expect_slice("/commands/stmk", http_request_path(&request));
    expect_slice("traceMask=5&x=%20y", http_request_query(&request));
    expect_slice("digest a:b ", http_request_header(&request, "Authorization"));
    assert_true(slice_is_null(http_request_header(&request, "Author")));
    assert_true(request.is_keep_alive);
    assert_false(http_request_should_skip_body(&request));
    expect_slice("GET /", rest);
}

/* Whatever the pieces, the request is the same. */
static void test_byte_by_byte(void **state)
{
    (void)state;
    const char *text = "POST http://h:1/a?b HTTP/1.0\r\nContent-Length: 3\r\nA: b\r\n\r\nxyz";
    http_request_init(&request);
    enum http_progress progress = HTTP_REQUEST_MORE;
    int head_count = 0;
    for (size_t at = 0; text[at] != '\0'; at++) {
        struct slice piece = slice_of(text + at, 1);
        while (piece.size > 0) {
            assert_int_not_equal(HTTP_REQUEST_DONE, progress);
            progress = http_request_feed(&request, &piece);
            head_count += progress == HTTP_REQUEST_HEAD;
        }
    }
    assert_int_equal(HTTP_REQUEST_DONE, progress);
    assert_int_equal(1, head_count);
    assert_int_equal(3, request.body_bytes);
    assert_int_equal(HTTP_POST, http_request_method(&request));
    expect_slice("/a", http_request_path(&request));
    expect_slice("b", http_request_query(&request));
    expect_slice("b", http_request_header(&request, "a"));
    assert_false(request.is_keep_alive); /* HTTP/1.0 */
}

static char taken[64];

static void take_body(struct http_request *taker, struct slice piece)
{
    assert_ptr_equal(&request, taker);
    strncat(taken, (const char *)piece.data, piece.size);
}

/* Who takes a body gets all of it and nothing else, whatever its length. */
static void test_taken_body(void **state)
{
    (void)state;
    const char *text = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n"
                       "\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET";
    rest = slice_from_text(text);
    taken[0] = '\0';
    http_request_init(&request);
    assert_int_equal(HTTP_REQUEST_HEAD, http_request_feed(&request, &rest));
    assert_true(http_request_should_skip_body(&request));
    request.take_body = take_body;
    assert_false(http_request_should_skip_body(&request));
    assert_int_equal(HTTP_REQUEST_DONE, http_request_feed(&request, &rest));
    assert_string_equal("abcde", taken);
    expect_slice("GET", rest);
}

static void test_keep_alive(void **state)
{
    (void)state;
    assert_int_equal(HTTP_REQUEST_DONE, feed("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"));
    assert_false(request.is_keep_alive);
    assert_int_equal(HTTP_REQUEST_DONE, feed("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    assert_true(request.is_keep_alive);
}

static void expect_bad(int status, const char *text)
{
    if (feed(text) != HTTP_REQUEST_BAD)
        fail_msg("taken: %s", text);
    assert_int_equal(status, request.bad_status);
    assert_false(request.is_keep_alive);
}

static void test_bad_requests(void **state)
{
    (void)state;
    expect_bad(400, "ruok\r\n\r\n");
    expect_bad(400, "GET noslash HTTP/1.1\r\n\r\n");
    expect_bad(400, "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx");
    expect_bad(400, "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n");
    expect_bad(400, "GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n");
    expect_bad(505, "GET / HTTP/2.0\r\n\r\n");
    expect_bad(400, "\x16\x03\x01\x02\x00\x01\x00"); /* A TLS hello. */
}

static void test_limits(void **state)
{
    (void)state;
    static char text[4 * http_head_bytes_max];
    size_t size = (size_t)snprintf(text, sizeof text, "GET /");
    memset(text + size, 'a', http_head_bytes_max);
    snprintf(text + size + http_head_bytes_max, 32, " HTTP/1.1\r\n\r\n");
    expect_bad(414, text);

    size = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.1\r\nA: ");
    memset(text + size, 'a', http_head_bytes_max);
    snprintf(text + size + http_head_bytes_max, 32, "\r\n\r\n");
    expect_bad(431, text);

    size = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.1\r\n");
    for (int index = 0; index <= http_header_count_max; index++)
        size += (size_t)snprintf(text + size, sizeof text - size, "A: b\r\n");
    snprintf(text + size, sizeof text - size, "\r\n");
    expect_bad(431, text);
}

/* A body that is too long, or that waits to be asked for, is not waited for. */
static void test_bodies(void **state)
{
    (void)state;
    assert_int_equal(HTTP_REQUEST_MORE, feed("POST / HTTP/1.1\r\nContent-Length: 65537\r\n\r\nx"));
    assert_true(http_request_should_skip_body(&request));
    assert_int_equal(HTTP_REQUEST_MORE, feed("POST / HTTP/1.1\r\nContent-Length: 65536\r\n\r\nx"));
    assert_false(http_request_should_skip_body(&request));
    assert_int_equal(HTTP_REQUEST_DONE,
                     feed("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx"));
    assert_true(http_request_should_skip_body(&request));
    assert_int_equal(
        HTTP_REQUEST_DONE,
        feed("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n"));
    assert_int_equal(3, request.body_bytes);
}

static void test_queries(void **state)
{
    (void)state;
    const struct slice query = SLICE_LITERAL("ab=1&a&b=x=y&c=");
    expect_slice("", http_query_find(query, "a"));
    expect_slice("x=y", http_query_find(query, "b"));
    expect_slice("", http_query_find(query, "c"));
    assert_true(slice_is_null(http_query_find(query, "d")));
    assert_true(slice_is_null(http_query_find(SLICE_NULL, "d")));
}

static void test_decoding(void **state)
{
    (void)state;
    char out[16];
    expect_slice("a b", http_decode(SLICE_LITERAL("a%20b"), false, out));
    expect_slice("a+b", http_decode(SLICE_LITERAL("a+b"), false, out));
    expect_slice("a b", http_decode(SLICE_LITERAL("a+b"), true, out));
    expect_slice("%", http_decode(SLICE_LITERAL("%25"), true, out));
    assert_true(slice_is_null(http_decode(SLICE_LITERAL("%2"), true, out)));
    assert_true(slice_is_null(http_decode(SLICE_LITERAL("%zz"), true, out)));
    expect_slice("", http_decode(SLICE_LITERAL(""), false, out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_request), cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_taken_body),    cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_bad_requests),  cmocka_unit_test(test_limits),
        cmocka_unit_test(test_bodies),        cmocka_unit_test(test_queries),
        cmocka_unit_test(test_decoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
