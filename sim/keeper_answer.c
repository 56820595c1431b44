#include "sim/keeper_answer.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { arena_bytes = 1 << 18 };

static bool differ(char why[keeper_answer_why_bytes], const char *format, ...) PRINTF_LIKE(2, 3);

static bool differ(char why[keeper_answer_why_bytes], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, keeper_answer_why_bytes, format, arguments);
    va_end(arguments);
    return false;
}

static bool decode(const struct wire_record *record, struct slice *body, void *out)
{
    static _Alignas(max_align_t) uint8_t memory[arena_bytes];
    static struct arena arena;
    arena_init(&arena, memory, sizeof memory);
    return wire_decode(record, 0, body, &arena, out) == ERR_OK;
}

/* ---- The pieces of answers. ---- */

static bool is_stat(const struct zk_stat *found, const struct zk_stat *expected, char *why)
{
    const struct {
        const char *name;
        int64_t found, expected;
    } rows[] = {
        {"czxid", found->czxid, expected->czxid},
        {"mzxid", found->mzxid, expected->mzxid},
        {"ctime", found->ctime, expected->ctime},
        {"mtime", found->mtime, expected->mtime},
        {"version", found->version, expected->version},
        {"cversion", found->cversion, expected->cversion},
        {"aversion", found->aversion, expected->aversion},
        {"ephemeralOwner", found->ephemeral_owner, expected->ephemeral_owner},
        {"dataLength", found->data_length, expected->data_length},
        {"numChildren", found->num_children, expected->num_children},
        {"pzxid", found->pzxid, expected->pzxid},
    };
    for (size_t index = 0; index < ARRAY_COUNT(rows); index++)
        if (rows[index].found != rows[index].expected)
            return differ(why, "%s is %" PRId64 ", not %" PRId64, rows[index].name,
                          rows[index].found, rows[index].expected);
    return true;
}

static bool is_text(struct slice found, const char *expected, char *why)
{
    return slice_equal_text(found, expected) ||
           differ(why, "'%" SLICE_FORMAT "', not '%s'", SLICE_ARGS(found), expected);
}

/* The same names, in any order. */
static bool is_names(struct wire_array found, const struct model_answer *answer, char *why)
{
    const struct slice *names = found.items;
    if (found.count != (int32_t)answer->name_count)
        return differ(why, "%d names, not %u", found.count, answer->name_count);
    for (uint32_t index = 0; index < answer->name_count; index++) {
        int32_t times = 0;
        for (int32_t other = 0; other < found.count; other++)
            times += slice_equal_text(names[other], answer->names[index]);
        if (times != 1)
            return differ(why, "'%s' is listed %d times", answer->names[index], times);
    }
    return true;
}

static bool is_id(const struct zk_id *found, const struct model_id *expected)
{
    return slice_equal_text(found->scheme, expected->scheme) &&
           slice_equal_text(found->id, expected->id);
}

static bool is_acl(struct wire_array found, const struct model_acl *expected, char *why)
{
    const struct zk_acl *entries = found.items;
    if (found.count != (int32_t)expected->ids.count)
        return differ(why, "an access list of %d, not %u", found.count, expected->ids.count);
    for (uint32_t index = 0; index < expected->ids.count; index++) {
        bool is_there = false;
        for (int32_t other = 0; other < found.count; other++)
            is_there |= entries[other].perms == expected->perms[index] &&
                        is_id(&entries[other].id, &expected->ids.items[index]);
        if (!is_there)
            return differ(why, "the access list lacks %s:%s", expected->ids.items[index].scheme,
                          expected->ids.items[index].id);
    }
    return true;
}

/* ---- The bodies, by operation. ---- */

static bool is_created(struct slice *body, const struct model_answer *answer, char *why)
{
    struct zk_create2_reply wide;
    struct zk_create_reply narrow;
    if (answer->type == OP_CREATE)
        return (decode(&zk_create_reply_wire, body, &narrow) || differ(why, "no path")) &&
               is_text(narrow.path, answer->path, why);
    return (decode(&zk_create2_reply_wire, body, &wide) || differ(why, "no path and stat")) &&
           is_text(wide.path, answer->path, why) && is_stat(&wide.stat, &answer->stat, why);
}

static bool is_data(struct slice *body, const struct model_answer *answer, char *why)
{
    struct zk_get_data_reply reply;
    if (!decode(&zk_get_data_reply_wire, body, &reply))
        return differ(why, "no data and stat");
    if (!slice_equal(reply.data, answer->data))
        return differ(why, "%s%zu bytes of data, not the %s%zu of mzxid %" PRId64,
                      slice_is_null(reply.data) ? "null, " : "", reply.data.size,
                      slice_is_null(answer->data) ? "null, " : "", answer->data.size,
                      answer->stat.mzxid);
    return is_stat(&reply.stat, &answer->stat, why);
}

static bool is_children(struct slice *body, const struct model_answer *answer, char *why)
{
    struct zk_get_children2_reply wide;
    struct zk_get_children_reply narrow;
    if (answer->type != OP_GET_CHILDREN2)
        return (decode(&zk_get_children_reply_wire, body, &narrow) || differ(why, "no names")) &&
               is_names((struct wire_array){narrow.children.items, narrow.children.count}, answer,
                        why);
    return (decode(&zk_get_children2_reply_wire, body, &wide) || differ(why, "no names")) &&
           is_names((struct wire_array){wide.children.items, wide.children.count}, answer, why) &&
           is_stat(&wide.stat, &answer->stat, why);
}

static bool is_acl_reply(struct slice *body, const struct model_answer *answer, char *why)
{
    struct zk_get_acl_reply reply;
    return (decode(&zk_get_acl_reply_wire, body, &reply) || differ(why, "no access list")) &&
           is_acl((struct wire_array){reply.acl.items, reply.acl.count}, &answer->acl, why) &&
           is_stat(&reply.stat, &answer->stat, why);
}

static bool is_number(struct slice *body, int32_t expected, char *why)
{
    struct zk_get_all_children_number_reply reply;
    if (!decode(&zk_get_all_children_number_reply_wire, body, &reply))
        return differ(why, "no number");
    return reply.total_number == expected ||
           differ(why, "%d descendants, not %d", reply.total_number, expected);
}

static bool is_stat_reply(struct slice *body, const struct model_answer *answer, char *why)
{
    struct zk_set_data_reply reply; /* exists, setData and setACL answer alike. */
    return (decode(&zk_set_data_reply_wire, body, &reply) || differ(why, "no stat")) &&
           is_stat(&reply.stat, &answer->stat, why);
}

/* What an operation that went well says; moves body behind it. */
static bool is_body(struct slice *body, const struct model_answer *answer, char *why)
{
    switch (answer->type) {
    case OP_CREATE:
    case OP_CREATE2:
    case OP_CREATE_CONTAINER:
    case OP_CREATE_TTL: return is_created(body, answer, why);
    case OP_SET_DATA:
    case OP_SET_ACL:
    case OP_EXISTS: return is_stat_reply(body, answer, why);
    case OP_GET_DATA: return is_data(body, answer, why);
    case OP_GET_CHILDREN:
    case OP_GET_CHILDREN2: return is_children(body, answer, why);
    case OP_GET_EPHEMERALS: {
        struct model_answer plain = *answer;
        plain.type = OP_GET_CHILDREN; /* A list of names too. */
        return is_children(body, &plain, why);
    }
    case OP_GET_ACL: return is_acl_reply(body, answer, why);
    case OP_GET_ALL_CHILDREN_NUMBER: return is_number(body, answer->total, why);
    }
    return true; /* delete, check: nothing. */
}

static bool is_over(struct slice body, char *why)
{
    return body.size == 0 || differ(why, "%zu bytes behind the answer", body.size);
}

static bool is_code(const struct history_frame *frame, int32_t code, char *why)
{
    return frame->code == code || differ(why, "code %d (%s), not %d (%s)", frame->code,
                                         code_name(frame->code), code, code_name(code));
}

/* ---- Whole answers. ---- */

bool keeper_answer_is_part(struct slice *body, const struct model_answer *answer,
                           char why[keeper_answer_why_bytes])
{
    struct zk_multi_header header;
    struct zk_error_result error;
    if (!decode(&zk_multi_header_wire, body, &header))
        return differ(why, "a result is missing");
    if (answer->type == OP_ERROR || answer->code != CODE_OK)
        return (header.type == OP_ERROR && decode(&zk_error_result_wire, body, &error) &&
                error.err == answer->code && header.err == answer->code) ||
               differ(why, "result of type %d, error %d, not %d", header.type, header.err,
                      answer->code);
    const bool is_wide = answer->type == OP_CREATE_CONTAINER || answer->type == OP_CREATE_TTL;
    const int32_t type = is_wide ? OP_CREATE2 : answer->type;
    if (header.type != type || header.err != CODE_OK)
        return differ(why, "result of type %d, error %d, not of type %d", header.type, header.err,
                      type);
    return is_body(body, answer, why);
}

bool keeper_answer_is_end(struct slice body, char why[keeper_answer_why_bytes])
{
    struct zk_multi_header header;
    return (decode(&zk_multi_header_wire, &body, &header) && header.done && header.type == -1 &&
            is_over(body, why)) ||
           differ(why, "no end behind the results");
}

bool keeper_answer_is_write(const struct history_frame *frame, int32_t type,
                            const struct model_answers *answers, char why[keeper_answer_why_bytes])
{
    struct slice body = frame->body;
    if (!is_code(frame, answers->code, why))
        return false;
    if (answers->code != CODE_OK)
        return is_over(body, why);
    for (uint32_t index = 0; index < answers->count; index++) {
        const struct model_answer *answer = &answers->items[index];
        if (type == OP_MULTI ? !keeper_answer_is_part(&body, answer, why)
                             : !is_body(&body, answer, why))
            return false;
    }
    return type == OP_MULTI ? keeper_answer_is_end(body, why) : is_over(body, why);
}

bool keeper_answer_is_read(const struct history_frame *frame, const struct model_answer *answer,
                           char why[keeper_answer_why_bytes])
{
    struct slice body = frame->body;
    return is_code(frame, answer->code, why) &&
           (answer->code != CODE_OK || is_body(&body, answer, why)) && is_over(body, why);
}

bool keeper_answer_is_ids(const struct history_frame *frame, const struct model_ids *ids,
                          char why[keeper_answer_why_bytes])
{
    struct zk_who_am_i_reply reply;
    struct slice body = frame->body;
    if (!is_code(frame, CODE_OK, why))
        return false;
    if (!decode(&zk_who_am_i_reply_wire, &body, &reply) ||
        reply.client_infos.count != (int32_t)ids->count)
        return differ(why, "not %u identities", ids->count);
    for (uint32_t index = 0; index < ids->count; index++) {
        struct model_id id = ids->items[index];
        bool is_there = false;
        if (strcmp(id.scheme, "digest") == 0)
            id.id[strcspn(id.id, ":")] = '\0';
        for (int32_t other = 0; other < reply.client_infos.count; other++)
            is_there |= slice_equal_text(reply.client_infos.items[other].auth_scheme, id.scheme) &&
                        slice_equal_text(reply.client_infos.items[other].user, id.id);
        if (!is_there)
            return differ(why, "identity %s:%s is missing", id.scheme, id.id);
    }
    return true;
}
