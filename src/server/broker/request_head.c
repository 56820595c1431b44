#include "server/broker/request_head.h"

#include "base/bytes.h"
#include "server/broker/broker_api.h"
#include "wire/gen/kafka.h"

enum {
    header_bytes_min = 8, /* Key, version, correlation id. */
    room_bytes_first = 64 * 1024,
};

static enum err decode_header(struct request_head *head, struct arena *arena, struct slice *input)
{
    struct kafka_request_header header;
    int version = wire_is_flexible(head->api->request, head->version) ? 2 : 1;
    if (head->api_key == KAFKA_API_CONTROLLED_SHUTDOWN && head->version == 0)
        version = 0;
    const enum err err = wire_decode(&kafka_request_header_wire, version, input, arena, &header);
    if (err == ERR_OK)
        head->client_id = header.client_id;
    return err;
}

/* The array items of a body may need more memory than the request has: a larger block each time. */
static enum err decode_body(struct request_head *head, struct request_memory *memory,
                            struct slice input)
{
    const struct wire_record *record = head->api->request;
    void *body = request_memory_take(memory, record->size);
    size_t room = room_bytes_first;
    enum err err = body == NULL ? ERR_LIMIT : ERR_OK;
    if (err != ERR_OK)
        return err;
    for (;;) {
        struct slice rest = input;
        err = wire_decode(record, head->version, &rest, &memory->arena, body);
        if (err != ERR_LIMIT || !request_memory_grow(memory, room))
            break;
        room *= 8;
    }
    head->body = body;
    return err;
}

bool request_head_is_known(const struct request_head *head)
{
    return head->version >= 0 && head->version <= head->api->version_max;
}

const char *request_head_read(struct request_head *head, struct request_memory *memory,
                              struct slice frame)
{
    *head = (struct request_head){0};
    if (frame.size < header_bytes_min)
        return "a request without a header";
    head->api_key = load_i16(frame.data);
    head->version = load_i16(frame.data + 2);
    head->correlation_id = load_i32(frame.data + 4);
    head->api = broker_api_find(head->api_key);
    if (head->api == NULL)
        return "the api is not served";
    if (!request_head_is_known(head))
        return head->api_key == KAFKA_API_API_VERSIONS ? NULL : "the api version is not served";
    if (decode_header(head, &memory->arena, &frame) != ERR_OK)
        return "the request's header is malformed";
    const enum err err = decode_body(head, memory, frame);
    if (err == ERR_OK)
        return NULL;
    return err == ERR_LIMIT ? "the request needs too much memory" : "the request is malformed";
}
