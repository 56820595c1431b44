#include "keeper/write_request.h"

#include "base/macros.h"
#include "keeper/op.h"

static const struct create_mode modes[] = {
    {0},
    {.ephemeral = true},
    {.sequential = true},
    {.ephemeral = true, .sequential = true},
    {.container = true},
    {.ttl = true},
    {.ttl = true, .sequential = true},
};

const struct create_mode *create_mode_of(int32_t flags)
{
    return flags >= 0 && flags < (int32_t)ARRAY_COUNT(modes) ? &modes[flags] : NULL;
}

/* --- one request --- */

static enum code decode(const struct wire_record *record, struct slice *input, struct arena *arena,
                        void *out)
{
    const enum err err = wire_decode(record, 0, input, arena, out);
    if (err == ERR_OK)
        return CODE_OK;
    return err == ERR_LIMIT ? CODE_SYSTEM_ERROR : CODE_MARSHALLING_ERROR;
}

static enum code decode_create(struct slice *input, struct arena *arena,
                               struct write_request *request)
{
    struct zk_create_request create;
    const enum code code = decode(&zk_create_request_wire, input, arena, &create);
    if (code == CODE_OK)
        request->as.create = (struct create_arguments){
            .type = request->type,
            .path = create.path,
            .data = create.data,
            .acl = {create.acl.items, create.acl.count},
            .flags = create.flags,
            .ttl_ms = -1,
        };
    return code;
}

static enum code decode_create_ttl(struct slice *input, struct arena *arena,
                                   struct write_request *request)
{
    struct zk_create_ttl_request create;
    const enum code code = decode(&zk_create_ttl_request_wire, input, arena, &create);
    if (code == CODE_OK)
        request->as.create = (struct create_arguments){
            .type = request->type,
            .path = create.path,
            .data = create.data,
            .acl = {create.acl.items, create.acl.count},
            .flags = create.flags,
            .ttl_ms = create.ttl_ms,
        };
    return code;
}

enum code write_request_decode(struct write_request *request, struct slice *input,
                               struct arena *arena)
{
    switch (request->type) {
    case OP_CREATE:
    case OP_CREATE2:
    case OP_CREATE_CONTAINER: return decode_create(input, arena, request);
    case OP_CREATE_TTL: return decode_create_ttl(input, arena, request);
    case OP_DELETE: return decode(&zk_delete_request_wire, input, arena, &request->as.delete);
    case OP_SET_DATA: return decode(&zk_set_data_request_wire, input, arena, &request->as.set_data);
    case OP_SET_ACL: return decode(&zk_set_acl_request_wire, input, arena, &request->as.set_acl);
    case OP_CHECK: return decode(&zk_check_request_wire, input, arena, &request->as.check);
    case OP_DELETE_CONTAINER:
        return decode(&zk_delete_container_request_wire, input, arena,
                      &request->as.delete_container);
    }
    return CODE_MARSHALLING_ERROR;
}

/* --- the parts of a multi --- */

/* In a multi the flags decide what kind of create it is, where alone the operation does. */
static enum code rewrite_create(struct write_request *request)
{
    struct create_arguments *create = &request->as.create;
    const struct create_mode *mode = create_mode_of(create->flags);
    if (request->type == OP_CREATE_TTL) {
        if (mode != NULL && mode->ttl)
            return CODE_OK;
        create->type = OP_CREATE;
        create->ttl_ms = -1;
    } else if (mode == NULL || mode->ttl) {
        return CODE_MARSHALLING_ERROR;
    }
    if (mode != NULL && mode->container)
        create->type = OP_CREATE_CONTAINER;
    return CODE_OK;
}

static bool is_multi_type(int32_t type)
{
    switch (type) {
    case OP_CREATE:
    case OP_CREATE2:
    case OP_CREATE_CONTAINER:
    case OP_CREATE_TTL:
    case OP_DELETE:
    case OP_SET_DATA:
    case OP_CHECK: return true;
    }
    return false;
}

struct slice write_request_path(const struct write_request *request)
{
    switch (request->type) {
    case OP_DELETE: return request->as.delete.path;
    case OP_SET_DATA: return request->as.set_data.path;
    case OP_CHECK: return request->as.check.path;
    }
    return request->as.create.path;
}

static bool is_create(const struct write_request *request)
{
    return request->type != OP_DELETE && request->type != OP_SET_DATA && request->type != OP_CHECK;
}

static bool is_broken_part(const struct write_request *request)
{
    const struct create_arguments *create = &request->as.create;
    return is_create(request) && request->type != OP_CREATE_TTL &&
           create_mode_of(create->flags) != NULL && create->acl.items == NULL &&
           create->acl.count < 0;
}

static enum code decode_part(struct write_request *request, struct slice *input,
                             struct arena *arena, bool *is_broken)
{
    if (!is_multi_type(request->type))
        return CODE_MARSHALLING_ERROR;
    const enum code code = write_request_decode(request, input, arena);
    if (code != CODE_OK || !is_create(request))
        return code;
    *is_broken = is_broken_part(request);
    return *is_broken ? CODE_MARSHALLING_ERROR : rewrite_create(request);
}

bool write_request_next_part(struct write_request *request, struct slice *input,
                             struct arena *arena, enum code *refusal, bool *is_broken)
{
    struct zk_multi_header header;
    *refusal = decode(&zk_multi_header_wire, input, arena, &header);
    if (*refusal != CODE_OK || header.done)
        return false;
    request->type = header.type;
    *refusal = decode_part(request, input, arena, is_broken);
    return *refusal == CODE_OK;
}

static bool is_ephemeral(const struct write_request *request)
{
    const struct create_mode *mode = create_mode_of(request->as.create.flags);
    return mode != NULL && mode->ephemeral;
}

/* All parts are unpacked first: one that cannot be spoils the whole. */
static bool has_ephemeral_part(struct slice input, struct arena *arena)
{
    struct write_request request;
    enum code refusal = CODE_OK;
    bool is_found = false;
    bool is_hidden = false;
    bool is_broken = false;
    while (write_request_next_part(&request, &input, arena, &refusal, &is_broken)) {
        if (!is_create(&request) || request.type == OP_CREATE_CONTAINER)
            continue;
        is_hidden |= create_mode_of(request.as.create.flags) == NULL;
        is_found |= !is_hidden && is_ephemeral(&request);
    }
    return is_found && refusal == CODE_OK;
}

bool write_request_wants_ephemeral(int32_t type, struct slice body, struct arena *arena)
{
    struct write_request request = {.type = type};
    if (type == OP_MULTI)
        return has_ephemeral_part(body, arena);
    return (type == OP_CREATE || type == OP_CREATE2) &&
           write_request_decode(&request, &body, arena) == CODE_OK && is_ephemeral(&request);
}
