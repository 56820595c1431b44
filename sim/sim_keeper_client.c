#include "sim/sim_keeper_client.h"

#include "base/bytes.h"

enum { arena_bytes = 1 << 16, header_bytes = 16 };

static const uint64_t patience_ns = 5000000000;

void sim_keeper_client_init(struct sim_keeper_client *client, struct io *io, struct heap *heap)
{
    *client = (struct sim_keeper_client){.heap = heap};
    sim_link_init(&client->link, io, heap);
    uint8_t *memory = heap_take(heap, arena_bytes);
    client->frame = heap_take(heap, sim_keeper_frame_bytes);
    assert(memory != NULL && client->frame != NULL);
    arena_init(&client->arena, memory, arena_bytes);
}

/* Sends what is in frame behind its length. */
static bool send_frame(struct sim_keeper_client *client, const struct wire_writer *writer)
{
    store_u32(client->frame, (uint32_t)writer->used - 4);
    return sim_link_send(&client->link, slice_of(client->frame, writer->used), patience_ns);
}

static struct wire_writer start_frame(struct sim_keeper_client *client)
{
    struct wire_writer writer = wire_writer_of(client->frame, sim_keeper_frame_bytes);
    wire_put_i32(&writer, 0);
    return writer;
}

static void keep_session(struct sim_keeper_client *client, const struct zk_connect_reply *reply)
{
    client->session_id = reply->session_id;
    client->timeout_ms = reply->timeout_ms;
    memset(client->password, 0, sizeof client->password);
    memcpy(client->password, reply->password.data,
           min_size(reply->password.size, sizeof client->password));
}

static bool decode_connect_reply(struct sim_keeper_client *client, int version, struct slice frame,
                                 struct zk_connect_reply *reply)
{
    arena_reset(&client->arena);
    return wire_decode(&zk_connect_reply_wire, version, &frame, &client->arena, reply) == ERR_OK;
}

enum sim_keeper_connect sim_keeper_client_connect(struct sim_keeper_client *client,
                                                  struct io_address address, int32_t timeout_ms)
{
    const bool is_new = client->session_id == 0;
    sim_link_close(&client->link);
    if (!sim_link_open(&client->link, address, patience_ns))
        return SIM_KEEPER_FAILED;
    const struct zk_connect_request request = {
        .last_zxid_seen = client->last_zxid,
        .timeout_ms = timeout_ms,
        .session_id = client->session_id,
        .password = slice_of(client->password, sizeof client->password),
        .read_only = client->may_read_only,
    };
    const int version = client->may_read_only ? 1 : 0; /* Whether the byte is there. */
    struct zk_connect_reply reply;
    struct slice frame;
    struct wire_writer writer = start_frame(client);
    wire_encode(&zk_connect_request_wire, version, &request, &writer);
    if (!send_frame(client, &writer) || !sim_link_receive(&client->link, &frame, patience_ns) ||
        !decode_connect_reply(client, version, frame, &reply)) {
        sim_link_close(&client->link);
        return SIM_KEEPER_FAILED;
    }
    if (reply.session_id == 0 || reply.timeout_ms <= 0) {
        sim_link_close(&client->link);
        client->session_id = 0;
        return is_new ? SIM_KEEPER_FAILED : SIM_KEEPER_EXPIRED;
    }
    keep_session(client, &reply);
    client->is_at_read_only = reply.read_only;
    return is_new ? SIM_KEEPER_NEW : SIM_KEEPER_RESUMED;
}

static bool send_request(struct sim_keeper_client *client, const struct wire_writer *writer)
{
    if (client->on_request != NULL)
        client->on_request(client->context, slice_of(client->frame + 4, writer->used - 4));
    return send_frame(client, writer);
}

int32_t sim_keeper_client_send_as(struct sim_keeper_client *client, int32_t xid, int32_t type,
                                  const struct wire_record *record, const void *value)
{
    struct wire_writer writer = start_frame(client);
    wire_put_i32(&writer, xid);
    wire_put_i32(&writer, type);
    if (record != NULL)
        wire_encode(record, 0, value, &writer);
    return send_request(client, &writer) ? xid : 0;
}

int32_t sim_keeper_client_send(struct sim_keeper_client *client, int32_t type,
                               const struct wire_record *record, const void *value)
{
    return sim_keeper_client_send_as(client, ++client->xid, type, record, value);
}

int32_t sim_keeper_client_send_multi(struct sim_keeper_client *client, int32_t type,
                                     const struct sim_keeper_part *parts, uint32_t part_count)
{
    struct wire_writer writer = start_frame(client);
    wire_put_i32(&writer, ++client->xid);
    wire_put_i32(&writer, type);
    for (uint32_t index = 0; index < part_count; index++) {
        const struct zk_multi_header header = {.type = parts[index].type, .err = -1};
        wire_encode(&zk_multi_header_wire, 0, &header, &writer);
        wire_encode(parts[index].record, 0, parts[index].value, &writer);
    }
    const struct zk_multi_header end = {.type = -1, .done = true, .err = -1};
    wire_encode(&zk_multi_header_wire, 0, &end, &writer);
    return send_request(client, &writer) ? client->xid : 0;
}

bool sim_keeper_client_receive(struct sim_keeper_client *client, struct sim_keeper_reply *reply,
                               uint64_t timeout_ns)
{
    struct slice frame;
    if (!sim_link_receive(&client->link, &frame, timeout_ns))
        return false;
    if (frame.size < header_bytes) {
        sim_link_close(&client->link);
        return false;
    }
    *reply = (struct sim_keeper_reply){
        .xid = load_i32(frame.data),
        .zxid = load_i64(frame.data + 4),
        .code = load_i32(frame.data + 12),
        .body = slice_skip(frame, header_bytes),
    };
    return true;
}

bool sim_keeper_client_decode(struct sim_keeper_client *client, const struct wire_record *record,
                              struct slice body, void *out)
{
    arena_reset(&client->arena);
    return wire_decode(record, 0, &body, &client->arena, out) == ERR_OK;
}
