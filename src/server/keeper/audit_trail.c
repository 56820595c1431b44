#define _GNU_SOURCE
#include "server/keeper/audit_trail.h"

#include "base/assert.h"
#include "server/keeper/client_link.h"
#include "server/keeper/keeper_write.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum { line_bytes_max = 64 * 1024 };

/* One line being put together; what does not fit is cut. */
struct line {
    char *text;
    size_t size;
};

static void print(struct line *line, const char *format, ...) PRINTF_LIKE(2, 3);

static void print(struct line *line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int size =
        vsnprintf(line->text + line->size, line_bytes_max - line->size, format, arguments);
    va_end(arguments);
    line->size += min_size((size_t)size, line_bytes_max - line->size - 1);
}

/* Names come from clients: nobody forges a field or a line with them. */
static void print_value(struct line *line, struct slice value)
{
    for (size_t at = 0; at < value.size && line->size < line_bytes_max - 1; at++) {
        const uint8_t byte = value.data[at];
        line->text[line->size++] = byte < 0x20 || byte == 0x7f ? '?' : (char)byte;
    }
}

static void print_field(struct line *line, const char *key, struct slice value)
{
    if (value.data == NULL)
        return;
    print(line, "\t%s=", key);
    print_value(line, value);
}

static void begin(struct keeper_server *server, struct line *line, bool is_failure)
{
    const int64_t wall_ms = io_wall_ms(server->shard->io);
    const time_t seconds = (time_t)(wall_ms / 1000);
    struct tm when;
    gmtime_r(&seconds, &when);
    line->size = 0;
    print(line,
          "%04d-%02d-%02d %02d:%02d:%02d,%03d %s o.a.z.a.Slf4jAuditLogger: ", when.tm_year + 1900,
          when.tm_mon + 1, when.tm_mday, when.tm_hour, when.tm_min, when.tm_sec,
          (int)(wall_ms % 1000), is_failure ? "ERROR" : "INFO");
}

static void finish(struct keeper_server *server, struct line *line, const char *result)
{
    print(line, "\tresult=%s", result);
    audit_file_write(&server->audit, slice_of(line->text, line->size));
}

static bool is_audited(int32_t type)
{
    switch (type) {
    case OP_CREATE:
    case OP_CREATE2:
    case OP_CREATE_CONTAINER:
    case OP_CREATE_TTL:
    case OP_DELETE:
    case OP_SET_DATA:
    case OP_SET_ACL:
    case OP_MULTI:
    case OP_RECONFIG: return true;
    }
    return false;
}

/* ---- notes ---- */

/* The part of an identity that people know: not the hash. Null: it has none. */
static struct slice user_of(const struct zk_id *identity)
{
    const struct slice id = identity->id;
    if (slice_equal_text(identity->scheme, "super"))
        return SLICE_NULL;
    const uint8_t *colon = id.size == 0 ? NULL : memchr(id.data, ':', id.size);
    return slice_equal_text(identity->scheme, "digest") && colon != NULL
               ? slice_of(id.data, (size_t)(colon - id.data))
               : id;
}

/* Users with commas between them into out, unless it is NULL. The size. */
static size_t join_users(struct acl_id_list identities, uint8_t *out)
{
    size_t size = 0;
    for (int32_t index = 0; index < identities.count; index++) {
        const struct slice user = user_of(&identities.items[index]);
        if (user.size == 0)
            continue;
        if (out != NULL && size > 0)
            out[size] = ',';
        size += size > 0;
        if (out != NULL)
            memcpy(out + size, user.data, user.size);
        size += user.size;
    }
    return size;
}

/* The address is a connection's first identity. */
struct audit_note *audit_trail_note(struct keeper_server *server,
                                    const struct keeper_write_request *request)
{
    if (!audit_file_is_open(&server->audit) || request->client == NULL ||
        !is_audited(request->type))
        return NULL;
    const struct acl_id_list identities = auth_set_list(&request->client->keeper.auth);
    if (identities.count == 0)
        return NULL;
    const struct slice address = identities.items[0].id;
    const size_t user_size = join_users(identities, NULL);
    const size_t size = user_size + address.size + request->body.size;
    struct audit_note *note = heap_take(server->shard->heap, sizeof *note + size + 1);
    if (note == NULL)
        return NULL;
    uint8_t *user = (uint8_t *)(note + 1);
    uint8_t *after_user = user + user_size;
    uint8_t *body = after_user + address.size;
    join_users(identities, user);
    memcpy(after_user, address.data, address.size);
    if (request->body.size > 0)
        memcpy(body, request->body.data, request->body.size);
    *note = (struct audit_note){.type = request->type,
                                .session_id = request->session_id,
                                .user = slice_of(user, user_size),
                                .address = slice_of(after_user, address.size),
                                .body = slice_of(body, request->body.size)};
    return note;
}

/* ---- lines ---- */

/* What one line says of an operation. Null: the field is left out. */
struct operation {
    const char *name;
    struct slice path;
    const char *mode;
    struct slice acl;
};

static void tell(struct keeper_server *server, struct line *line, const struct audit_note *note,
                 const struct operation *operation, bool is_failure)
{
    begin(server, line, is_failure);
    print(line, "session=0x%" PRIx64, (uint64_t)note->session_id);
    print_field(line, "user", note->user);
    print_field(line, "ip", note->address);
    print(line, "\toperation=%s", operation->name);
    print_field(line, "znode", operation->path);
    if (operation->mode != NULL)
        print(line, "\tznode_type=%s", operation->mode);
    print_field(line, "acl", operation->acl);
    finish(server, line, is_failure ? "failure" : "success");
}

/* Java's names of the flags; NULL: there is no such mode. */
static const char *name_of_mode(int32_t flags)
{
    static const char *const names[] = {"persistent",
                                        "ephemeral",
                                        "persistent_sequential",
                                        "ephemeral_sequential",
                                        "container",
                                        "persistent_with_ttl",
                                        "persistent_sequential_with_ttl"};
    return flags >= 0 && flags < (int32_t)ARRAY_COUNT(names) ? names[flags] : NULL;
}

static const char *name_of_operation(int32_t type)
{
    switch (type) {
    case OP_CREATE:
    case OP_CREATE2:
    case OP_CREATE_CONTAINER:
    case OP_CREATE_TTL: return "create";
    case OP_DELETE: return "delete";
    case OP_SET_DATA: return "setData";
    case OP_SET_ACL: return "setAcl";
    case OP_MULTI: return "multiOperation";
    case OP_RECONFIG: return "reconfig";
    }
    return NULL;
}

/* What the lists of a set_acl grant, one behind the other without a sign between them. */
static enum err join_acl(const struct zk_acl *items, int32_t count, struct arena *arena,
                         struct slice *out)
{
    static const struct {
        int32_t permission;
        char sign;
    } signs[] = {
        {ACL_CREATE, 'c'}, {ACL_DELETE, 'd'}, {ACL_READ, 'r'}, {ACL_WRITE, 'w'}, {ACL_ADMIN, 'a'}};
    struct line line = {.text = arena_take(arena, line_bytes_max)};
    if (line.text == NULL)
        return ERR_NO_MEMORY;
    for (int32_t index = 0; index < count; index++) {
        print_value(&line, items[index].id.scheme);
        print(&line, ":");
        print_value(&line, items[index].id.id);
        print(&line, ":");
        for (size_t sign = 0; sign < ARRAY_COUNT(signs); sign++)
            if ((items[index].perms & signs[sign].permission) != 0)
                print(&line, "%c", signs[sign].sign);
    }
    *out = slice_of(line.text, line.size);
    return ERR_OK;
}

/* One operation as the client asked for it, alone or in a multi; *input moves behind it. */
static enum err decode_operation(int32_t type, struct slice *input, struct arena *arena,
                                 struct operation *operation)
{
    union {
        struct zk_create_request create;
        struct zk_create_ttl_request create_ttl;
        struct zk_delete_request delete;
        struct zk_set_data_request set_data;
        struct zk_set_acl_request set_acl;
        struct zk_check_request check;
    } as;
    enum err err = ERR_MALFORMED;
    *operation = (struct operation){.name = name_of_operation(type)};
    switch (type) {
    case OP_CREATE:
    case OP_CREATE2:
    case OP_CREATE_CONTAINER:
        err = wire_decode(&zk_create_request_wire, 0, input, arena, &as.create);
        operation->path = as.create.path;
        operation->mode = name_of_mode(as.create.flags);
        break;
    case OP_CREATE_TTL:
        err = wire_decode(&zk_create_ttl_request_wire, 0, input, arena, &as.create_ttl);
        operation->path = as.create_ttl.path;
        operation->mode = name_of_mode(as.create_ttl.flags);
        break;
    case OP_DELETE:
        err = wire_decode(&zk_delete_request_wire, 0, input, arena, &as.delete);
        operation->path = as.delete.path;
        break;
    case OP_SET_DATA:
        err = wire_decode(&zk_set_data_request_wire, 0, input, arena, &as.set_data);
        operation->path = as.set_data.path;
        break;
    case OP_SET_ACL:
        err = wire_decode(&zk_set_acl_request_wire, 0, input, arena, &as.set_acl);
        operation->path = as.set_acl.path;
        if (err == ERR_OK)
            err = join_acl(as.set_acl.acl.items, as.set_acl.acl.count, arena, &operation->acl);
        break;
    case OP_CHECK: err = wire_decode(&zk_check_request_wire, 0, input, arena, &as.check);
    }
    return err;
}

/* The next operation of a multi. False: there is none that can be read. */
static bool next_in_multi(struct slice *input, struct arena *arena, struct operation *operation)
{
    struct zk_multi_header header;
    if (wire_decode(&zk_multi_header_wire, 0, input, arena, &header) != ERR_OK || header.done ||
        decode_operation(header.type, input, arena, operation) != ERR_OK)
        return false;
    if (header.type == OP_CREATE_TTL)
        operation->mode = NULL;
    return true;
}

/* Modes as Apache's says them: not of names with a number behind them, nor with a time to live. */
static void tell_multi(struct keeper_server *server, struct line *line,
                       const struct audit_note *note, const struct txn_result *result)
{
    struct slice input = note->body;
    bool has_failed = result->results == NULL;
    for (int32_t index = 0; index < result->result_count; index++) {
        const struct txn_result *one = &result->results[index];
        struct operation asked;
        struct operation operation = {.name = name_of_operation(one->type), .path = one->path};
        if (!next_in_multi(&input, &server->arena, &asked))
            return;
        has_failed = has_failed || one->type == OP_ERROR;
        if (operation.name == NULL) /* A check, or none that was done. */
            continue;
        if (operation.path.data == NULL)
            operation.path = asked.path;
        if (asked.mode != NULL && slice_equal(operation.path, asked.path))
            operation.mode = asked.mode;
        tell(server, line, note, &operation, false);
    }
    if (has_failed)
        tell(server, line, note, &(struct operation){.name = "multiOperation"}, true);
}

static void tell_one(struct keeper_server *server, struct line *line, const struct audit_note *note,
                     const struct txn_result *result)
{
    struct operation operation = {.name = name_of_operation(note->type)};
    struct slice body = note->body;
    if (note->type != OP_RECONFIG &&
        decode_operation(note->type, &body, &server->arena, &operation) != ERR_OK)
        return;
    const bool is_create = strcmp(operation.name, "create") == 0;
    if (is_create && operation.mode == NULL)
        return; /* No such mode: Apache's trips over it. */
    if (is_create && result->code == CODE_OK)
        operation.path = result->path;
    tell(server, line, note, &operation, result->code != CODE_OK);
}

void audit_trail_tell(struct keeper_server *server, struct audit_note *note,
                      const struct txn_result *result)
{
    if (note == NULL)
        return;
    struct line line = {.text = arena_take(&server->arena, line_bytes_max)};
    if (line.text != NULL && audit_file_is_open(&server->audit)) {
        if (note->type == OP_MULTI)
            tell_multi(server, &line, note, result);
        else
            tell_one(server, &line, note, result);
    }
    heap_give(server->shard->heap, note);
}

/* Who runs the server, as Apache's calls its own deeds. */
static void begin_own(struct keeper_server *server, struct line *line, const char *separator)
{
    const char *user = server->config.process_user;
    print(line, "%suser=%s", separator, user == NULL ? "<NA>" : user);
}

void audit_trail_tell_session_end(struct keeper_server *server, const struct txn *txn)
{
    if (!audit_file_is_open(&server->audit) || txn->op.type != OP_CLOSE_SESSION)
        return;
    struct line line = {.text = arena_take(&server->arena, line_bytes_max)};
    for (int32_t index = 0; line.text != NULL && index < txn->op.paths.count; index++) {
        begin(server, &line, false);
        print(&line, "session=0x%" PRIx64, (uint64_t)txn->session_id);
        begin_own(server, &line, "\t");
        print(&line, "\toperation=ephemeralZNodeDeletionOnSessionCloseOrExpire");
        print_field(&line, "znode", txn->op.paths.items[index]);
        finish(server, &line, "success");
    }
}

void audit_trail_tell_server(struct keeper_server *server, const char *operation,
                             const char *result)
{
    if (!audit_file_is_open(&server->audit))
        return;
    arena_reset(&server->arena);
    struct line line = {.text = arena_take(&server->arena, line_bytes_max)};
    if (line.text == NULL)
        return;
    begin(server, &line, false);
    begin_own(server, &line, "");
    print(&line, "\toperation=%s", operation);
    finish(server, &line, result);
}
