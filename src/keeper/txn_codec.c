#include "keeper/txn_codec.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "keeper/path.h"
#include "keeper/tree.h"
#include "wire/wire.h"

enum {
    file_magic = 0x5a4b4c47, /* ZKLG */
    file_version = 2,
    digest_version = 2,
    end_mark = 'B',
};

/* One operation as the struct of its table. */
struct body {
    const struct wire_record *record; /* NULL: no body. */
    int version;
    union {
        struct zk_create_txn create;
        struct zk_create_ttl_txn create_ttl;
        struct zk_create_container_txn create_container;
        struct zk_delete_txn delete;
        struct zk_set_data_txn set_data;
        struct zk_set_acl_txn set_acl;
        struct zk_check_version_txn check;
        struct zk_create_session_txn create_session;
        struct zk_close_session_txn close_session;
        struct zk_error_txn error;
    } as;
};

/* The table that describes the body of a transaction type, NULL if there is none. */
static const struct wire_record *record_of(int32_t type)
{
    switch ((enum op)type) {
    case OP_CREATE:
    case OP_CREATE2: return &zk_create_txn_wire;
    case OP_CREATE_TTL: return &zk_create_ttl_txn_wire;
    case OP_CREATE_CONTAINER: return &zk_create_container_txn_wire;
    case OP_DELETE:
    case OP_DELETE_CONTAINER: return &zk_delete_txn_wire;
    case OP_SET_DATA:
    case OP_RECONFIG: return &zk_set_data_txn_wire;
    case OP_SET_ACL: return &zk_set_acl_txn_wire;
    case OP_CHECK: return &zk_check_version_txn_wire;
    case OP_CREATE_SESSION: return &zk_create_session_txn_wire;
    case OP_CLOSE_SESSION: return &zk_close_session_txn_wire;
    case OP_ERROR: return &zk_error_txn_wire;
    case OP_MULTI:
    case OP_NOTIFICATION:
    case OP_EXISTS:
    case OP_GET_DATA:
    case OP_GET_ACL:
    case OP_GET_CHILDREN:
    case OP_SYNC:
    case OP_PING:
    case OP_GET_CHILDREN2:
    case OP_CHECK_WATCHES:
    case OP_REMOVE_WATCHES:
    case OP_MULTI_READ:
    case OP_AUTH:
    case OP_SET_WATCHES:
    case OP_SASL:
    case OP_GET_EPHEMERALS:
    case OP_GET_ALL_CHILDREN_NUMBER:
    case OP_SET_WATCHES2:
    case OP_ADD_WATCH:
    case OP_WHO_AM_I: break;
    }
    return NULL;
}

/* The tables' structs have pointers to what they could also have decoded. */
static struct zk_acl *items_of(struct acl_list list)
{
    return (struct zk_acl *)(uintptr_t)list.items;
}

static void to_body(const struct txn_op *op, struct body *body)
{
    *body = (struct body){.record = record_of(op->type), .version = 1};
    if (body->record != NULL)
        body->version = body->record->version_max;
    if (body->record == &zk_create_txn_wire) {
        body->as.create = (struct zk_create_txn){.path = op->path,
                                                 .data = op->data,
                                                 .acl = {items_of(op->acl), op->acl.count},
                                                 .ephemeral = op->ephemeral,
                                                 .parent_cversion = op->version};
    } else if (body->record == &zk_create_ttl_txn_wire) {
        body->as.create_ttl = (struct zk_create_ttl_txn){.path = op->path,
                                                         .data = op->data,
                                                         .acl = {items_of(op->acl), op->acl.count},
                                                         .parent_cversion = op->version,
                                                         .ttl_ms = op->ttl_ms};
    } else if (body->record == &zk_create_container_txn_wire) {
        body->as.create_container =
            (struct zk_create_container_txn){.path = op->path,
                                             .data = op->data,
                                             .acl = {items_of(op->acl), op->acl.count},
                                             .parent_cversion = op->version};
    } else if (body->record == &zk_delete_txn_wire) {
        body->as.delete = (struct zk_delete_txn){.path = op->path};
    } else if (body->record == &zk_set_data_txn_wire) {
        body->as.set_data =
            (struct zk_set_data_txn){.path = op->path, .data = op->data, .version = op->version};
    } else if (body->record == &zk_set_acl_txn_wire) {
        body->as.set_acl = (struct zk_set_acl_txn){
            .path = op->path, .acl = {items_of(op->acl), op->acl.count}, .version = op->version};
    } else if (body->record == &zk_check_version_txn_wire) {
        body->as.check = (struct zk_check_version_txn){.path = op->path, .version = op->version};
    } else if (body->record == &zk_create_session_txn_wire) {
        body->as.create_session = (struct zk_create_session_txn){.timeout_ms = op->timeout_ms};
    } else if (body->record == &zk_close_session_txn_wire) {
        body->as.close_session = (struct zk_close_session_txn){
            .paths = {(struct slice *)(uintptr_t)op->paths.items, op->paths.count}};
        if (!op->has_paths)
            body->record = NULL;
    } else if (body->record == &zk_error_txn_wire) {
        body->as.error = (struct zk_error_txn){.err = op->code};
    }
}

static void from_body(const struct body *body, struct txn_op *op)
{
    if (body->record == &zk_create_txn_wire) {
        op->path = body->as.create.path;
        op->data = body->as.create.data;
        op->acl = (struct acl_list){body->as.create.acl.items, body->as.create.acl.count};
        op->ephemeral = body->as.create.ephemeral;
        op->version = body->as.create.parent_cversion;
    } else if (body->record == &zk_create_ttl_txn_wire) {
        op->path = body->as.create_ttl.path;
        op->data = body->as.create_ttl.data;
        op->acl = (struct acl_list){body->as.create_ttl.acl.items, body->as.create_ttl.acl.count};
        op->version = body->as.create_ttl.parent_cversion;
        op->ttl_ms = body->as.create_ttl.ttl_ms;
    } else if (body->record == &zk_create_container_txn_wire) {
        op->path = body->as.create_container.path;
        op->data = body->as.create_container.data;
        op->acl = (struct acl_list){body->as.create_container.acl.items,
                                    body->as.create_container.acl.count};
        op->version = body->as.create_container.parent_cversion;
    } else if (body->record == &zk_delete_txn_wire) {
        op->path = body->as.delete.path;
    } else if (body->record == &zk_set_data_txn_wire) {
        op->path = body->as.set_data.path;
        op->data = body->as.set_data.data;
        op->version = body->as.set_data.version;
    } else if (body->record == &zk_set_acl_txn_wire) {
        op->path = body->as.set_acl.path;
        op->acl = (struct acl_list){body->as.set_acl.acl.items, body->as.set_acl.acl.count};
        op->version = body->as.set_acl.version;
    } else if (body->record == &zk_check_version_txn_wire) {
        op->path = body->as.check.path;
        op->version = body->as.check.version;
    } else if (body->record == &zk_create_session_txn_wire) {
        op->timeout_ms = body->as.create_session.timeout_ms;
    } else if (body->record == &zk_close_session_txn_wire) {
        op->has_paths = true;
        op->paths = (struct slice_list){body->as.close_session.paths.items,
                                        body->as.close_session.paths.count};
    } else if (body->record == &zk_error_txn_wire) {
        op->code = body->as.error.err;
    }
}

/* --- encoding --- */

static size_t body_bytes(const struct txn_op *op)
{
    struct body body;
    to_body(op, &body);
    return body.record == NULL ? 0 : wire_size(body.record, body.version, &body.as);
}

static void encode_body(const struct txn_op *op, struct wire_writer *writer)
{
    struct body body;
    to_body(op, &body);
    if (body.record != NULL)
        wire_encode(body.record, body.version, &body.as, writer);
}

size_t txn_codec_entry_bytes(const struct txn *txn)
{
    size_t size = txn_header_bytes + (txn->has_digest ? (size_t)txn_digest_bytes : 0);
    if (txn->op.type != OP_MULTI)
        return size + body_bytes(&txn->op);
    size += sizeof(int32_t);
    for (int32_t index = 0; index < txn->op_count; index++)
        size += 2 * sizeof(int32_t) + body_bytes(&txn->ops[index]);
    return size;
}

static void encode_multi(const struct txn *txn, struct wire_writer *writer)
{
    wire_put_i32(writer, txn->op_count);
    for (int32_t index = 0; index < txn->op_count; index++) {
        wire_put_i32(writer, txn->ops[index].type);
        wire_put_i32(writer, (int32_t)body_bytes(&txn->ops[index]));
        encode_body(&txn->ops[index], writer);
    }
}

void txn_codec_encode_entry(const struct txn *txn, uint8_t *out)
{
    const size_t size = txn_codec_entry_bytes(txn);
    struct wire_writer writer = wire_writer_of(out, size);
    const struct zk_txn_header header = {
        .client_id = txn->session_id,
        .cxid = txn->cxid,
        .zxid = txn->zxid,
        .time_ms = txn->time_ms,
        .type = txn->op.type,
    };
    wire_encode(&zk_txn_header_wire, 0, &header, &writer);
    if (txn->op.type == OP_MULTI)
        encode_multi(txn, &writer);
    else
        encode_body(&txn->op, &writer);
    if (txn->has_digest) {
        wire_put_i32(&writer, digest_version);
        wire_put_i64(&writer, (int64_t)txn->digest);
    }
    assert(writer.used == size);
}

size_t txn_codec_record_bytes(const struct txn *txn)
{
    return txn_record_head_bytes + txn_codec_entry_bytes(txn) + txn_record_tail_bytes;
}

void txn_codec_seal_record(uint8_t *out, size_t entry_size)
{
    assert(entry_size <= txn_entry_bytes_max);
    const struct slice entry = slice_of(out + txn_record_head_bytes, entry_size);
    store_u64(out, checksum_adler32(1, entry));
    store_u32(out + 8, (uint32_t)entry_size);
    out[txn_record_head_bytes + entry_size] = end_mark;
}

void txn_codec_encode_record(const struct txn *txn, uint8_t *out)
{
    txn_codec_encode_entry(txn, out + txn_record_head_bytes);
    txn_codec_seal_record(out, txn_codec_entry_bytes(txn));
}

void txn_codec_encode_file_header(uint8_t out[txn_file_header_bytes])
{
    store_u32(out, file_magic);
    store_u32(out + 4, file_version);
    store_u64(out + 8, 0);
}

/* --- decoding --- */

/* Whether the tree can take the path. */
static bool path_is_usable(const struct txn_op *op)
{
    const struct wire_record *record = record_of(op->type);
    if (record == &zk_set_data_txn_wire || record == &zk_set_acl_txn_wire)
        return path_is_sound(op->path);
    if (record == &zk_create_txn_wire || record == &zk_create_ttl_txn_wire ||
        record == &zk_create_container_txn_wire || record == &zk_delete_txn_wire)
        return path_is_sound(op->path) && op->path.size > 1 && op->path.size <= tree_path_bytes_max;
    return true;
}

static bool ttl_is_usable(const struct txn_op *op)
{
    return op->type != OP_CREATE_TTL || (op->ttl_ms > 0 && op->ttl_ms <= TREE_TTL_MS_MAX);
}

/* Bodies that older servers wrote: without a parent_cversion, or without paths. */
static enum err decode_old_body(struct body *body, struct slice *input, struct arena *arena)
{
    if (body->record == &zk_close_session_txn_wire) {
        body->record = NULL;
        return ERR_OK;
    }
    if (body->record != &zk_create_txn_wire)
        return ERR_MALFORMED;
    body->version = 0;
    return wire_decode(body->record, 0, input, arena, &body->as);
}

/* Moves input behind the body. */
static enum err decode_body(int32_t type, struct slice *input, struct arena *arena,
                            struct txn_op *op)
{
    *op = (struct txn_op){.type = type};
    struct body body = {.record = record_of(type)};
    if (body.record == NULL)
        return ERR_UNSUPPORTED;
    body.version = body.record->version_max;
    const struct slice start = *input;
    enum err err = wire_decode(body.record, body.version, input, arena, &body.as);
    if (err == ERR_TRUNCATED || err == ERR_MALFORMED) {
        *input = start;
        err = decode_old_body(&body, input, arena);
    }
    if (err != ERR_OK)
        return err;
    from_body(&body, op);
    return path_is_usable(op) && ttl_is_usable(op) ? ERR_OK : ERR_MALFORMED;
}

static bool may_be_in_multi(int32_t type)
{
    return type == OP_CREATE || type == OP_CREATE2 || type == OP_CREATE_TTL ||
           type == OP_CREATE_CONTAINER || type == OP_DELETE || type == OP_DELETE_CONTAINER ||
           type == OP_SET_DATA || type == OP_CHECK || type == OP_ERROR;
}

static enum err decode_multi(struct slice *input, struct arena *arena, struct txn *txn)
{
    struct zk_multi_txn multi;
    enum err err = wire_decode(&zk_multi_txn_wire, 0, input, arena, &multi);
    if (err != ERR_OK)
        return err;
    if (multi.txns.count < 0)
        return ERR_MALFORMED;
    struct txn_op *ops = arena_take_array(arena, (size_t)multi.txns.count, sizeof *ops);
    if (ops == NULL)
        return ERR_NO_MEMORY;
    for (int32_t index = 0; index < multi.txns.count; index++) {
        if (!may_be_in_multi(multi.txns.items[index].type))
            return ERR_MALFORMED;
        struct slice data = multi.txns.items[index].data;
        err = decode_body(multi.txns.items[index].type, &data, arena, &ops[index]);
        if (err != ERR_OK)
            return err;
    }
    txn->ops = ops;
    txn->op_count = multi.txns.count;
    return ERR_OK;
}

static void decode_digest(struct slice rest, struct txn *txn)
{
    txn->has_digest = rest.size >= txn_digest_bytes && load_i32(rest.data) == digest_version;
    if (txn->has_digest)
        txn->digest = load_u64(rest.data + 4);
}

enum err txn_codec_decode_entry(struct slice entry, struct arena *arena, struct txn *txn)
{
    *txn = (struct txn){0};
    struct zk_txn_header header;
    enum err err = wire_decode(&zk_txn_header_wire, 0, &entry, arena, &header);
    if (err != ERR_OK)
        return err;
    txn->session_id = header.client_id;
    txn->cxid = header.cxid;
    txn->zxid = header.zxid;
    txn->time_ms = header.time_ms;
    txn->op.type = header.type;
    err = header.type == OP_MULTI ? decode_multi(&entry, arena, txn)
                                  : decode_body(header.type, &entry, arena, &txn->op);
    if (err == ERR_OK)
        decode_digest(entry, txn);
    return err == ERR_LIMIT ? ERR_NO_MEMORY : err;
}

enum txn_record_verdict txn_codec_read_record(struct slice bytes, struct slice *entry, size_t *size)
{
    *size = txn_record_head_bytes;
    if (bytes.size == 0)
        return TXN_RECORD_END;
    if (bytes.size < txn_record_head_bytes)
        return TXN_RECORD_MORE;
    const uint64_t checksum = load_u64(bytes.data);
    const int32_t entry_size = load_i32(bytes.data + 8);
    if (entry_size == 0 && checksum == 0)
        return TXN_RECORD_END;
    if (entry_size <= 0 || entry_size > txn_entry_bytes_max)
        return TXN_RECORD_IMPOSSIBLE;
    *size = txn_record_head_bytes + (size_t)entry_size + txn_record_tail_bytes;
    if (bytes.size < *size)
        return TXN_RECORD_MORE;
    *entry = slice_of(bytes.data + txn_record_head_bytes, (size_t)entry_size);
    if (bytes.data[*size - 1] != end_mark)
        return TXN_RECORD_NO_MARK;
    return checksum == checksum_adler32(1, *entry) ? TXN_RECORD_OK : TXN_RECORD_CHECKSUM;
}

enum err txn_codec_check_file_header(struct slice bytes)
{
    if (bytes.size < txn_file_header_bytes)
        return ERR_TRUNCATED;
    const uint32_t version = load_u32(bytes.data + 4);
    if (load_u32(bytes.data) != file_magic || version == 0)
        return ERR_MALFORMED;
    return version == file_version ? ERR_OK : ERR_UNSUPPORTED;
}
