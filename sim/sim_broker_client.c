#include "sim/sim_broker_client.h"

#include "base/bytes.h"

enum { arena_bytes = 1 << 16 };

static const uint64_t patience_ns = 10000000000;

void sim_broker_client_init(struct sim_broker_client *client, struct io *io, struct heap *heap)
{
    *client = (struct sim_broker_client){.correlation_id = 0};
    sim_link_init(&client->link, io, heap);
    uint8_t *memory = heap_take(heap, arena_bytes);
    client->frame = heap_take(heap, sim_broker_frame_bytes);
    assert(memory != NULL && client->frame != NULL);
    arena_init(&client->arena, memory, arena_bytes);
}

int32_t sim_broker_client_send(struct sim_broker_client *client, int16_t key, int16_t version,
                               const struct wire_record *record, const void *body)
{
    const struct kafka_request_header header = {
        .api_key = key,
        .api_version = version,
        .correlation_id = ++client->correlation_id,
        .client_id = SLICE_LITERAL("workload"),
    };
    struct wire_writer writer = wire_writer_of(client->frame, sim_broker_frame_bytes);
    wire_put_i32(&writer, 0);
    wire_encode(&kafka_request_header_wire, wire_is_flexible(record, version) ? 2 : 1, &header,
                &writer);
    wire_encode(record, version, body, &writer);
    store_u32(client->frame, (uint32_t)writer.used - 4);
    return sim_link_send(&client->link, slice_of(client->frame, writer.used), patience_ns)
               ? client->correlation_id
               : 0;
}

bool sim_broker_client_receive(struct sim_broker_client *client, int32_t *correlation_id,
                               struct slice *body, uint64_t timeout_ns)
{
    struct slice frame;
    if (!sim_link_receive(&client->link, &frame, timeout_ns))
        return false;
    if (frame.size < 4) {
        sim_link_close(&client->link);
        return false;
    }
    *correlation_id = load_i32(frame.data);
    *body = slice_skip(frame, 4);
    return true;
}

bool sim_broker_client_decode(struct sim_broker_client *client, const struct wire_record *record,
                              int16_t version, struct slice body, void *out)
{
    arena_reset(&client->arena);
    if (wire_is_flexible(record, version)) {
        if (body.size < 1)
            return false;
        body = slice_skip(body, 1); /* No tagged field is in the header. */
    }
    return wire_decode(record, version, &body, &client->arena, out) == ERR_OK;
}

bool sim_broker_client_ask(struct sim_broker_client *client, const struct sim_broker_ask *ask)
{
    struct slice body;
    int32_t id;
    return sim_broker_client_send(client, ask->key, ask->version, ask->request_record,
                                  ask->request) != 0 &&
           sim_broker_client_receive(client, &id, &body, ask->timeout_ns) &&
           sim_broker_client_decode(client, ask->reply_record, ask->version, body, ask->reply);
}
