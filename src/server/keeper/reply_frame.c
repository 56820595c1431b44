#include "server/keeper/reply_frame.h"

#include "base/assert.h"
#include "base/bytes.h"

enum { length_bytes = 4, header_bytes = 16, stat_bytes = 68 };

/* A body that is more than one record. */
struct body {
    void (*put)(struct wire_writer *writer, const void *value);
    const void *value;
    size_t size; /* If it is known without counting; else 0. */
};

static void put(struct wire_writer *writer, const struct zk_reply_header *header,
                const struct body *body)
{
    if (header != NULL)
        wire_encode(&zk_reply_header_wire, 0, header, writer);
    if (body != NULL)
        body->put(writer, body->value);
}

static size_t size_of(const struct zk_reply_header *header, const struct body *body)
{
    if (header != NULL && (body == NULL || body->size > 0))
        return header_bytes + (body == NULL ? 0 : body->size);
    struct wire_writer counter = {0};
    put(&counter, header, body);
    return counter.used;
}

static struct net_message *make(struct heap *heap, const struct zk_reply_header *header,
                                const struct body *body)
{
    const size_t size = size_of(header, body);
    if (size > UINT32_MAX - length_bytes)
        return NULL;
    struct net_message *message = net_message_acquire(
        heap, (struct net_message_options){.capacity = (uint32_t)(length_bytes + size)});
    if (message == NULL)
        return NULL;
    struct wire_writer writer = wire_writer_of(message->data + length_bytes, size);
    put(&writer, header, body);
    assert(writer.used == size);
    store_u32(message->data, (uint32_t)writer.used);
    message->size = (uint32_t)(length_bytes + writer.used);
    return message;
}

struct net_message *reply_frame_header(struct heap *heap, const struct zk_reply_header *header)
{
    return make(heap, header, NULL);
}

struct record_value {
    const struct wire_record *record;
    int version;
    const void *value;
};

static void put_record(struct wire_writer *writer, const void *value)
{
    const struct record_value *record = value;
    wire_encode(record->record, record->version, record->value, writer);
}

struct net_message *reply_frame_record(struct heap *heap, const struct zk_reply_header *header,
                                       const struct wire_record *record, int version,
                                       const void *value)
{
    const struct record_value record_value = {record, version, value};
    const struct body body = {put_record, &record_value, 0};
    return make(heap, header, &body);
}

/* ---- reads ---- */

static void put_get_acl(struct wire_writer *writer, const void *value)
{
    const struct keeper_reply *reply = value;
    wire_put_i32(writer, reply->acl.count);
    for (int32_t i = 0; i < reply->acl.count; i++)
        wire_encode(&zk_acl_wire, 0, &reply->acl.items[i], writer);
    wire_encode(&zk_stat_wire, 0, &reply->stat, writer);
}

static void put_who_am_i(struct wire_writer *writer, const void *value)
{
    const struct keeper_reply *reply = value;
    wire_put_i32(writer, reply->identities.count);
    for (int32_t i = 0; i < reply->identities.count; i++) {
        const struct zk_id *from = &reply->identities.items[i];
        const struct zk_client_info info = {from->scheme, from->id};
        wire_encode(&zk_client_info_wire, 0, &info, writer);
    }
}

static void put_names(struct wire_writer *writer, struct slice_list names)
{
    wire_put_i32(writer, names.count);
    for (int32_t i = 0; i < names.count; i++) {
        wire_put_i32(writer, (int32_t)names.items[i].size);
        wire_put_bytes(writer, names.items[i]);
    }
}

static void put_get_data(struct wire_writer *writer, const void *value)
{
    const struct keeper_reply *reply = value;
    const struct zk_get_data_reply body = {.data = reply->data, .stat = reply->stat};
    wire_encode(&zk_get_data_reply_wire, 0, &body, writer);
}

static void put_stat(struct wire_writer *writer, const void *value)
{
    const struct keeper_reply *reply = value;
    wire_encode(&zk_stat_wire, 0, &reply->stat, writer);
}

static void put_get_children(struct wire_writer *writer, const void *value)
{
    const struct keeper_reply *reply = value;
    put_names(writer, reply->names);
}

static void put_get_children2(struct wire_writer *writer, const void *value)
{
    const struct keeper_reply *reply = value;
    put_names(writer, reply->names);
    put_stat(writer, value);
}

static void put_total(struct wire_writer *writer, const void *value)
{
    const struct keeper_reply *reply = value;
    wire_put_i32(writer, reply->total);
}

static void put_zero(struct wire_writer *writer, const void *value)
{
    (void)value;
    wire_put_i32(writer, 0);
}

static void put_multi_header(struct wire_writer *writer, int32_t type, bool done, int32_t err)
{
    const struct zk_multi_header header = {.type = type, .done = done, .err = err};
    wire_encode(&zk_multi_header_wire, 0, &header, writer);
}

static void put_error_result(struct wire_writer *writer, int32_t code)
{
    put_multi_header(writer, OP_ERROR, false, code);
    wire_put_i32(writer, code);
}

static void put_multi_read(struct wire_writer *writer, const void *value)
{
    const struct keeper_reply *reply = value;
    for (int32_t i = 0; i < reply->reply_count; i++) {
        const struct keeper_reply *part = &reply->replies[i];
        if (part->code != CODE_OK) {
            put_error_result(writer, part->code);
            continue;
        }
        put_multi_header(writer, part->type, false, 0);
        if (part->type == OP_GET_DATA)
            put_get_data(writer, part);
        else
            put_get_children(writer, part);
    }
    put_multi_header(writer, OP_ERROR, true, -1);
}

/* The body of a successful read, NULL: it has none. */
static void (*read_body_of(int32_t type))(struct wire_writer *, const void *)
{
    switch (type) {
    case OP_GET_DATA: return put_get_data;
    case OP_EXISTS: return put_stat;
    case OP_GET_ACL: return put_get_acl;
    case OP_GET_CHILDREN:
    case OP_GET_EPHEMERALS: return put_get_children;
    case OP_GET_CHILDREN2: return put_get_children2;
    case OP_GET_ALL_CHILDREN_NUMBER: return put_total;
    case OP_WHO_AM_I: return put_who_am_i;
    case OP_MULTI_READ: return put_multi_read;
    case OP_ADD_WATCH: return put_zero;
    }
    return NULL;
}

/* Of the bodies that most replies have. */
static size_t read_body_size_of(int32_t type, const struct keeper_reply *reply)
{
    if (type == OP_GET_DATA)
        return sizeof(int32_t) + reply->data.size + stat_bytes;
    return type == OP_EXISTS ? stat_bytes : 0;
}

struct net_message *reply_frame_read(struct heap *heap, struct zk_reply_header *header,
                                     int32_t type, const struct keeper_reply *reply)
{
    header->err = reply->code;
    const struct body body = {read_body_of(type), reply, read_body_size_of(type, reply)};
    const bool has_body = reply->code == CODE_OK || reply->has_replies;
    return make(heap, header, has_body && body.put != NULL ? &body : NULL);
}

/* ---- writes ---- */

static void put_path(struct wire_writer *writer, const struct txn_result *result)
{
    const struct zk_create_reply body = {.path = result->path};
    wire_encode(&zk_create_reply_wire, 0, &body, writer);
}

static void put_path_and_stat(struct wire_writer *writer, const struct txn_result *result)
{
    const struct zk_create2_reply body = {.path = result->path, .stat = result->stat};
    wire_encode(&zk_create2_reply_wire, 0, &body, writer);
}

static void put_result_stat(struct wire_writer *writer, const struct txn_result *result)
{
    wire_encode(&zk_stat_wire, 0, &result->stat, writer);
}

/* One result inside a multi. Containers and TTL znodes answer as create2 does. */
static void put_multi_result(struct wire_writer *writer, const struct txn_result *result)
{
    switch (result->type) {
    case OP_CREATE:
        put_multi_header(writer, OP_CREATE, false, 0);
        put_path(writer, result);
        return;
    case OP_CREATE2:
    case OP_CREATE_CONTAINER:
    case OP_CREATE_TTL:
        put_multi_header(writer, OP_CREATE2, false, 0);
        put_path_and_stat(writer, result);
        return;
    case OP_SET_DATA:
        put_multi_header(writer, OP_SET_DATA, false, 0);
        put_result_stat(writer, result);
        return;
    case OP_DELETE:
    case OP_CHECK: put_multi_header(writer, result->type, false, 0); return;
    }
    put_error_result(writer, result->code);
}

static void put_multi(struct wire_writer *writer, const void *value)
{
    const struct txn_result *multi = value;
    for (int32_t i = 0; i < multi->result_count; i++)
        put_multi_result(writer, &multi->results[i]);
    put_multi_header(writer, OP_ERROR, true, -1);
}

static void put_create(struct wire_writer *writer, const void *value)
{
    put_path(writer, value);
}

static void put_create2(struct wire_writer *writer, const void *value)
{
    put_path_and_stat(writer, value);
}

static void put_reconfig(struct wire_writer *writer, const void *value)
{
    const struct txn_result *result = value;
    const struct zk_reconfig_reply body = {.data = result->data, .stat = result->stat};
    wire_encode(&zk_reconfig_reply_wire, 0, &body, writer);
}

static void put_set(struct wire_writer *writer, const void *value)
{
    put_result_stat(writer, value);
}

static void (*write_body_of(int32_t type))(struct wire_writer *, const void *)
{
    switch (type) {
    case OP_CREATE: return put_create;
    case OP_CREATE2:
    case OP_CREATE_CONTAINER:
    case OP_CREATE_TTL: return put_create2;
    case OP_SET_DATA:
    case OP_SET_ACL: return put_set;
    case OP_MULTI: return put_multi;
    case OP_RECONFIG: return put_reconfig;
    }
    return NULL;
}

struct net_message *reply_frame_write(struct heap *heap, struct zk_reply_header *header,
                                      int32_t type, const struct txn_result *result)
{
    /* A multi that failed says so in its results; its header never does. */
    const bool is_multi = type == OP_MULTI && result->type == OP_MULTI;
    header->err = is_multi ? CODE_OK : result->code;
    const size_t size = type == OP_SET_DATA || type == OP_SET_ACL ? stat_bytes : 0;
    const struct body body = {write_body_of(type), result, size};
    return make(heap, header, header->err == CODE_OK && body.put != NULL ? &body : NULL);
}
