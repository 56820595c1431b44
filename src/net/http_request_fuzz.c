/* Any bytes as a run of HTTP requests, whole and in pieces that the first byte chooses: both ways
 * the same requests come out, and nothing is read that was not sent. */
#include "base/assert.h"
#include "net/http_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { request_count_max = 64 };

/* What is compared. */
struct outcome {
    enum http_progress progress;
    uint32_t method;
    uint16_t status;
    uint16_t text_size;
    uint16_t header_count;
    uint64_t body_bytes;
    bool is_keep_alive;
};

static void touch(const struct http_request *request)
{
    char out[http_head_bytes_max];
    const struct slice path = http_request_path(request);
    const struct slice query = http_request_query(request);
    const struct slice value = http_query_find(query, "traceMask");
    assert(http_decode(path, false, out).size <= path.size);
    assert(http_decode(value, true, out).size <= query.size);
    assert(http_request_header(request, "Authorization").size <= request->text_size);
}

static uint32_t run(struct slice bytes, size_t piece_size, struct outcome *outcomes)
{
    static struct http_request request;
    uint32_t count = 0;
    http_request_init(&request);
    while (bytes.size > 0 && count < request_count_max) {
        struct slice piece = slice_of(bytes.data, min_size(piece_size, bytes.size));
        const size_t offered = piece.size;
        const enum http_progress progress = http_request_feed(&request, &piece);
        bytes = slice_skip(bytes, offered - piece.size);
        assert(progress != HTTP_REQUEST_MORE || piece.size == 0);
        if (progress == HTTP_REQUEST_HEAD)
            touch(&request);
        if (progress != HTTP_REQUEST_DONE && progress != HTTP_REQUEST_BAD)
            continue;
        outcomes[count++] = (struct outcome){
            .progress = progress,
            .method = http_request_method(&request),
            .status = request.bad_status,
            .text_size = request.text_size,
            .header_count = request.header_count,
            .body_bytes = request.body_bytes,
            .is_keep_alive = request.is_keep_alive,
        };
        if (progress == HTTP_REQUEST_BAD)
            break;
        http_request_init(&request);
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct outcome whole[request_count_max];
    static struct outcome pieces[request_count_max];
    if (size == 0)
        return 0;
    const struct slice bytes = slice_of(data + 1, size - 1);
    const uint32_t count = run(bytes, bytes.size, whole);
    assert(run(bytes, (size_t)data[0] % 17 + 1, pieces) == count);
    for (uint32_t index = 0; index < count; index++) {
        assert(whole[index].progress == pieces[index].progress);
        if (whole[index].progress == HTTP_REQUEST_BAD)
            continue; /* How far it came before depends on the pieces. */
        assert(whole[index].method == pieces[index].method);
        assert(whole[index].text_size == pieces[index].text_size);
        assert(whole[index].header_count == pieces[index].header_count);
        assert(whole[index].body_bytes == pieces[index].body_bytes);
        assert(whole[index].is_keep_alive == pieces[index].is_keep_alive);
    }
    return 0;
}
