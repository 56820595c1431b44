#include "client/keeper_message.h"

#include "base/bytes.h"
#include "wire/gen/zk.h"

enum { acl_all = 31, reply_bytes_per_arena_byte = 16, arena_bytes_least = 1024 };

const struct zk_acl keeper_message_open_acl = {
    .perms = acl_all,
    .id = {.scheme = {(const uint8_t *)"world", 5}, .id = {(const uint8_t *)"anyone", 6}},
};

struct slice keeper_message_join(struct keeper_message_path *place, struct slice chroot,
                                 const char *path)
{
    const size_t size = strlen(path);
    assert(path[0] == '/');
    if (chroot.size == 0)
        return slice_of(path, size);
    if (size == 1) /* "/" is the chroot. */
        return chroot;
    if (chroot.size + size > sizeof place->text)
        return SLICE_NULL;
    memcpy(place->text, chroot.data, chroot.size);
    memcpy(place->text + chroot.size, path, size);
    place->size = chroot.size + size;
    return slice_of(place->text, place->size);
}

struct slice keeper_message_strip(struct slice chroot, struct slice path)
{
    if (chroot.size == 0 || !slice_starts_with(path, chroot))
        return path;
    const struct slice rest = slice_skip(path, chroot.size);
    if (rest.size == 0)
        return SLICE_LITERAL("/");
    return rest.data[0] == '/' ? rest : path;
}

static struct net_message *acquire(struct heap *heap, size_t body_size, struct wire_writer *writer)
{
    struct net_message *message = net_message_acquire(
        heap, (struct net_message_options){.capacity = (uint32_t)body_size + 4});
    if (message == NULL)
        return NULL;
    message->size = (uint32_t)body_size + 4;
    *writer = wire_writer_of(message->data, message->size);
    wire_put_i32(writer, (int32_t)body_size);
    return message;
}

struct net_message *keeper_message_make(struct heap *heap, int32_t type,
                                        const struct wire_record *record, const void *value)
{
    const size_t size = 8 + (record == NULL ? 0 : wire_size(record, 0, value));
    struct wire_writer writer;
    struct net_message *message = acquire(heap, size, &writer);
    if (message == NULL)
        return NULL;
    wire_put_i32(&writer, 0); /* The xid, put in when it is sent. */
    wire_put_i32(&writer, type);
    if (record != NULL)
        wire_encode(record, 0, value, &writer);
    assert(writer.used == message->size);
    return message;
}

struct net_message *keeper_message_connect(struct heap *heap, const void *connect_request)
{
    struct wire_writer writer;
    struct net_message *message =
        acquire(heap, wire_size(&zk_connect_request_wire, 1, connect_request), &writer);
    if (message != NULL)
        wire_encode(&zk_connect_request_wire, 1, connect_request, &writer);
    return message;
}

/* One part of a multi as its record. */
union part {
    struct zk_create2_request create;
    struct zk_delete_request delete;
    struct zk_set_data_request set_data;
    struct zk_check_request check;
};

static const struct wire_record *fill_part(union part *part, const struct keeper_multi_op *op,
                                           struct slice path, int32_t *type)
{
    switch (op->kind) {
    case KEEPER_MULTI_CREATE:
        *type = ZK_OP_CREATE2;
        part->create =
            (struct zk_create2_request){.path = path, .data = op->data, .flags = op->flags};
        part->create.acl.items =
            (struct zk_acl *)(op->acl == NULL ? &keeper_message_open_acl : op->acl);
        part->create.acl.count = op->acl == NULL ? 1 : op->acl_count;
        return &zk_create2_request_wire;
    case KEEPER_MULTI_DELETE:
        *type = ZK_OP_DELETE;
        part->delete = (struct zk_delete_request){.path = path, .version = op->version};
        return &zk_delete_request_wire;
    case KEEPER_MULTI_SET_DATA:
        *type = ZK_OP_SET_DATA;
        part->set_data =
            (struct zk_set_data_request){.path = path, .data = op->data, .version = op->version};
        return &zk_set_data_request_wire;
    case KEEPER_MULTI_CHECK: break;
    }
    *type = ZK_OP_CHECK;
    part->check = (struct zk_check_request){.path = path, .version = op->version};
    return &zk_check_request_wire;
}

static void put_multi_header(struct wire_writer *writer, int32_t type, bool done)
{
    const struct zk_multi_header header = {.type = type, .done = done, .err = -1};
    wire_encode(&zk_multi_header_wire, 0, &header, writer);
}

/* Writes the parts, or with writer->data NULL counts them. False: a path is too long. */
static bool put_parts(struct wire_writer *writer, struct slice chroot,
                      const struct keeper_multi_op *ops, uint32_t op_count)
{
    struct keeper_message_path place;
    for (uint32_t index = 0; index < op_count; index++) {
        union part part;
        int32_t type;
        const struct slice path = keeper_message_join(&place, chroot, ops[index].path);
        if (path.data == NULL)
            return false;
        const struct wire_record *record = fill_part(&part, &ops[index], path, &type);
        put_multi_header(writer, type, false);
        wire_encode(record, 0, &part, writer);
    }
    put_multi_header(writer, -1, true);
    return true;
}

struct net_message *keeper_message_multi(struct heap *heap, struct slice chroot,
                                         const struct keeper_multi_op *ops, uint32_t op_count)
{
    struct wire_writer writer = wire_writer_of(NULL, 0);
    if (!put_parts(&writer, chroot, ops, op_count))
        return NULL;
    struct net_message *message = acquire(heap, 8 + writer.used, &writer);
    if (message == NULL)
        return NULL;
    wire_put_i32(&writer, 0);
    wire_put_i32(&writer, ZK_OP_MULTI);
    if (!put_parts(&writer, chroot, ops, op_count))
        assert(false);
    assert(writer.used == message->size);
    return message;
}

size_t keeper_message_arena_size(int32_t type, size_t body_size)
{
    const bool has_arrays =
        type == ZK_OP_GET_CHILDREN2 || type == ZK_OP_GET_ACL || type == ZK_OP_MULTI;
    return arena_bytes_least + (has_arrays ? body_size * reply_bytes_per_arena_byte : 0);
}

/* A record in the arena, read from the front of body. */
static enum err read(const struct wire_record *record, struct slice *body, struct arena *arena,
                     void **out)
{
    *out = arena_take(arena, record->size);
    return *out == NULL ? ERR_LIMIT : wire_decode(record, 0, body, arena, *out);
}

static enum err read_create2(struct slice chroot, struct slice *body, struct arena *arena,
                             struct keeper_result *result)
{
    void *out;
    const enum err err = read(&zk_create2_reply_wire, body, arena, &out);
    if (err != ERR_OK)
        return err;
    const struct zk_create2_reply *reply = out;
    result->path = keeper_message_strip(chroot, reply->path);
    result->stat = &reply->stat;
    return ERR_OK;
}

static enum err read_stat(struct slice *body, struct arena *arena, struct keeper_result *result)
{
    void *out;
    const enum err err = read(&zk_stat_wire, body, arena, &out);
    result->stat = out;
    return err;
}

static enum err read_data(struct slice *body, struct arena *arena, struct keeper_result *result)
{
    void *out;
    const enum err err = read(&zk_get_data_reply_wire, body, arena, &out);
    if (err != ERR_OK)
        return err;
    const struct zk_get_data_reply *reply = out;
    result->data = reply->data;
    result->stat = &reply->stat;
    return ERR_OK;
}

static enum err read_children(struct slice *body, struct arena *arena, struct keeper_result *result)
{
    void *out;
    const enum err err = read(&zk_get_children2_reply_wire, body, arena, &out);
    if (err != ERR_OK)
        return err;
    const struct zk_get_children2_reply *reply = out;
    result->children = reply->children.items;
    result->child_count = reply->children.count < 0 ? 0 : reply->children.count;
    result->stat = &reply->stat;
    return ERR_OK;
}

static enum err read_acl(struct slice *body, struct arena *arena, struct keeper_result *result)
{
    void *out;
    const enum err err = read(&zk_get_acl_reply_wire, body, arena, &out);
    if (err != ERR_OK)
        return err;
    const struct zk_get_acl_reply *reply = out;
    result->acl = reply->acl.items;
    result->acl_count = reply->acl.count < 0 ? 0 : reply->acl.count;
    result->stat = &reply->stat;
    return ERR_OK;
}

static enum err read_part(struct slice chroot, int32_t type, struct slice *body,
                          struct arena *arena, struct keeper_result *part)
{
    switch (type) {
    case ZK_OP_CREATE2: return read_create2(chroot, body, arena, part);
    case ZK_OP_SET_DATA: return read_stat(body, arena, part);
    case ZK_OP_DELETE:
    case ZK_OP_CHECK: return ERR_OK;
    case -1: {
        struct zk_error_result error;
        const enum err err = wire_decode(&zk_error_result_wire, 0, body, arena, &error);
        part->code = error.err;
        return err;
    }
    default: return ERR_MALFORMED;
    }
}

/* The whole multi's code is that of the op that failed, not of those it took along. */
static int32_t code_of_parts(const struct keeper_result *parts, int32_t count)
{
    int32_t code = KEEPER_OK;
    for (int32_t index = 0; index < count; index++)
        if (parts[index].code != KEEPER_OK &&
            (code == KEEPER_OK || code == KEEPER_RUNTIME_INCONSISTENCY))
            code = parts[index].code;
    return code;
}

static enum err read_multi(struct keeper_message_reply reply, struct slice *body,
                           struct arena *arena, struct keeper_result *result)
{
    struct keeper_result *parts =
        arena_take_array(arena, (size_t)reply.part_count + 1, sizeof *parts);
    if (parts == NULL)
        return ERR_LIMIT;
    int32_t count = 0;
    for (;;) {
        struct zk_multi_header header;
        enum err err = wire_decode(&zk_multi_header_wire, 0, body, arena, &header);
        if (err != ERR_OK)
            return err;
        if (header.done)
            break;
        if (count == reply.part_count)
            return ERR_MALFORMED;
        err = read_part(reply.chroot, header.type, body, arena, &parts[count++]);
        if (err != ERR_OK)
            return err;
    }
    if (count != reply.part_count)
        return ERR_MALFORMED;
    result->parts = parts;
    result->part_count = count;
    result->code = code_of_parts(parts, count);
    return ERR_OK;
}

enum err keeper_message_decode(struct keeper_message_reply reply, struct slice body,
                               struct arena *arena, struct keeper_result *result)
{
    switch (reply.type) {
    case ZK_OP_CREATE2: return read_create2(reply.chroot, &body, arena, result);
    case ZK_OP_EXISTS:
    case ZK_OP_SET_DATA:
    case ZK_OP_SET_ACL: return read_stat(&body, arena, result);
    case ZK_OP_GET_DATA: return read_data(&body, arena, result);
    case ZK_OP_GET_CHILDREN2: return read_children(&body, arena, result);
    case ZK_OP_GET_ACL: return read_acl(&body, arena, result);
    case ZK_OP_MULTI: return read_multi(reply, &body, arena, result);
    default: return ERR_OK; /* delete and sync: nothing to tell. */
    }
}
