/* The answers to requests that change nothing but the watches of their connection. */
#include "base/assert.h"
#include "keeper/keeper.h"
#include "keeper/path.h"

/* One request on its way. */
struct reading {
    struct keeper *keeper;
    const struct keeper_request *request;
    struct keeper_connection *connection;
    struct keeper_sink *out;
    struct arena *arena;
    struct keeper_reply *reply;
};

/* The types of watches that clients check and remove. */
enum watch_type {
    WATCH_TYPE_CHILDREN = 1,
    WATCH_TYPE_DATA = 2,
    WATCH_TYPE_ANY = 3,
    WATCH_TYPE_PERSISTENT = 4,
    WATCH_TYPE_RECURSIVE = 5,
};

/* The modes of addWatch. */
enum { add_mode_persistent = 0, add_mode_recursive = 1 };

static enum code decode(const struct reading *work, const struct wire_record *record, void *out)
{
    struct slice input = work->request->body;
    const enum err err = wire_decode(record, 0, &input, work->arena, out);
    if (err == ERR_OK)
        return CODE_OK;
    return err == ERR_LIMIT ? CODE_SYSTEM_ERROR : CODE_MARSHALLING_ERROR;
}

static enum code check_acl(const struct reading *work, const struct znode *znode,
                           int32_t permissions)
{
    if (work->keeper->options.skip_acl ||
        acl_list_grants(tree_acl(&work->keeper->tree, znode)->list, permissions,
                        work->request->identities))
        return CODE_OK;
    return CODE_NO_AUTH;
}

static enum code find(const struct reading *work, struct slice path, struct znode **znode)
{
    if (path.data == NULL)
        return CODE_MARSHALLING_ERROR;
    *znode = tree_find(&work->keeper->tree, path);
    return *znode == NULL ? CODE_NO_NODE : CODE_OK;
}

static enum code find_readable(const struct reading *work, struct slice path, struct znode **znode)
{
    const enum code code = find(work, path, znode);
    return code == CODE_OK ? check_acl(work, *znode, ACL_READ) : code;
}

/* A null path can be watched, though nothing ever happens there: it stands under a name that no
 * path has. */
static struct slice watched_name(struct slice path)
{
    return path.data == NULL ? SLICE_LITERAL("\xff") : path;
}

static enum code add_watch(const struct reading *work, enum watch_kind kind, struct slice path,
                           enum watch_mode mode)
{
    const enum err err = watch_table_add(&work->keeper->watches, kind, &work->connection->watcher,
                                         watched_name(path), mode);
    return err == ERR_OK ? CODE_OK : CODE_SYSTEM_ERROR;
}

/* --- one znode --- */

static enum code read_exists(const struct reading *work)
{
    struct zk_exists_request request;
    enum code code = decode(work, &zk_exists_request_wire, &request);
    if (code != CODE_OK)
        return code;
    if (request.path.data == NULL)
        return CODE_MARSHALLING_ERROR;
    if (request.path.size > 0 && memchr(request.path.data, '\0', request.path.size) != NULL)
        return CODE_BAD_ARGUMENTS;
    struct znode *znode = tree_find(&work->keeper->tree, request.path);
    if (znode != NULL)
        code = check_acl(work, znode, ACL_READ);
    /* Unlike the others it may wait for a znode that does not exist yet. */
    if (code == CODE_OK && request.watch)
        code = add_watch(work, WATCH_KIND_DATA, request.path, WATCH_MODE_STANDARD);
    if (code != CODE_OK)
        return code;
    if (znode == NULL)
        return CODE_NO_NODE;
    tree_stat(&work->keeper->tree, znode, &work->reply->stat);
    return CODE_OK;
}

static enum code reply_data(const struct reading *work, struct slice path,
                            struct keeper_reply *reply)
{
    struct znode *znode;
    const enum code code = find_readable(work, path, &znode);
    if (code != CODE_OK)
        return code;
    reply->data = tree_data(&work->keeper->tree, znode);
    tree_stat(&work->keeper->tree, znode, &reply->stat);
    return CODE_OK;
}

static enum code read_data(const struct reading *work)
{
    struct zk_get_data_request request;
    enum code code = decode(work, &zk_get_data_request_wire, &request);
    if (code == CODE_OK)
        code = reply_data(work, request.path, work->reply);
    if (code == CODE_OK && request.watch)
        code = add_watch(work, WATCH_KIND_DATA, request.path, WATCH_MODE_STANDARD);
    return code;
}

static enum code read_acl(const struct reading *work)
{
    struct zk_get_acl_request request;
    struct znode *znode;
    enum code code = decode(work, &zk_get_acl_request_wire, &request);
    if (code == CODE_OK)
        code = find(work, request.path, &znode);
    if (code == CODE_OK)
        code = check_acl(work, znode, ACL_READ | ACL_ADMIN);
    if (code != CODE_OK)
        return code;
    tree_stat(&work->keeper->tree, znode, &work->reply->stat);
    work->reply->acl = tree_acl(&work->keeper->tree, znode)->list;
    if (check_acl(work, znode, ACL_ADMIN) == CODE_OK)
        return CODE_OK;
    return acl_list_redact(work->reply->acl, work->arena, &work->reply->acl);
}

/* --- children --- */

static enum code reply_children(const struct reading *work, struct slice path,
                                struct keeper_reply *reply)
{
    struct znode *znode;
    const enum code code = find_readable(work, path, &znode);
    if (code != CODE_OK)
        return code;
    const struct tree *tree = &work->keeper->tree;
    const int32_t child_count = tree_more(tree, znode).child_count;
    struct slice *names = arena_take_array(work->arena, (size_t)child_count, sizeof *names);
    if (names == NULL)
        return CODE_SYSTEM_ERROR;
    int32_t count = 0;
    const struct znode *child = tree_first_child(tree, znode);
    for (; child != NULL; child = tree_next_sibling(tree, child))
        names[count++] = tree_name(child);
    assert(count == child_count);
    reply->names = (struct slice_list){names, count};
    tree_stat(tree, znode, &reply->stat);
    return CODE_OK;
}

/* getChildren and getChildren2 ask alike; only the answers differ, on the wire. */
static enum code read_children(const struct reading *work)
{
    struct zk_get_children_request request;
    enum code code = decode(work, &zk_get_children_request_wire, &request);
    if (code == CODE_OK)
        code = reply_children(work, request.path, work->reply);
    if (code == CODE_OK && request.watch)
        code = add_watch(work, WATCH_KIND_CHILD, request.path, WATCH_MODE_STANDARD);
    return code;
}

static enum code read_all_children_number(const struct reading *work)
{
    struct zk_get_all_children_number_request request;
    struct znode *znode;
    enum code code = decode(work, &zk_get_all_children_number_request_wire, &request);
    if (code == CODE_OK)
        code = find_readable(work, request.path, &znode);
    if (code == CODE_OK)
        work->reply->total = (int32_t)tree_descendant_count(&work->keeper->tree, znode);
    if (code == CODE_OK && request.path.size == 0)
        work->reply->total++; /* Apache's other name of the root, which counts the root itself. */
    return code;
}

/* --- the session's own --- */

static bool is_blank_or_root(struct slice prefix)
{
    while (prefix.size > 0 && prefix.data[0] <= ' ')
        prefix = slice_skip(prefix, 1);
    while (prefix.size > 0 && prefix.data[prefix.size - 1] <= ' ')
        prefix.size--;
    return prefix.size == 0 || slice_equal_text(prefix, "/");
}

static enum code read_ephemerals(const struct reading *work)
{
    struct zk_get_ephemerals_request request;
    const enum code code = decode(work, &zk_get_ephemerals_request_wire, &request);
    if (code != CODE_OK)
        return code;
    const bool takes_all = is_blank_or_root(request.prefix);
    const struct tree_owner *owner =
        tree_find_owner(&work->keeper->tree, work->request->session_id);
    const uint64_t count_max = owner == NULL ? 0 : owner->znode_count;
    struct slice *paths = arena_take_array(work->arena, count_max, sizeof *paths);
    if (paths == NULL || count_max > INT32_MAX)
        return CODE_SYSTEM_ERROR;
    int32_t count = 0;
    struct list *link = count_max == 0 ? NULL : owner->znodes.next;
    for (; link != NULL && link != &owner->znodes; link = link->next) {
        const struct znode *znode = tree_owned(link);
        uint8_t *memory = arena_take(work->arena, tree_path_bytes(&work->keeper->tree, znode));
        if (memory == NULL)
            return CODE_SYSTEM_ERROR;
        paths[count] = tree_path_write(&work->keeper->tree, znode, memory);
        count += takes_all || slice_starts_with(paths[count], request.prefix);
    }
    work->reply->names = (struct slice_list){paths, count};
    return CODE_OK;
}

/* The names of the identities: of a digest what is before the colon. */
static enum code read_who_am_i(const struct reading *work)
{
    const struct acl_id_list identities = work->request->identities;
    struct zk_id *names = arena_take_array(work->arena, (size_t)identities.count, sizeof *names);
    if (names == NULL)
        return CODE_SYSTEM_ERROR;
    for (int32_t index = 0; index < identities.count; index++) {
        names[index] = identities.items[index];
        struct slice *id = &names[index].id;
        const uint8_t *colon = id->size == 0 ? NULL : memchr(id->data, ':', id->size);
        if (slice_equal_text(names[index].scheme, "digest") && colon != NULL)
            id->size = (size_t)(colon - id->data);
    }
    work->reply->identities = (struct acl_id_list){names, identities.count};
    return CODE_OK;
}

/* --- multiRead --- */

/* One part of a multiRead, unpacked. */
struct read_part {
    int32_t type;
    bool is_write; /* A multi's: understood, and refused. */
    struct slice path;
};

/* The body of a multi's part; NULL: no part of a multi. */
static const struct wire_record *write_part_of(int32_t type)
{
    switch (type) {
    case OP_CREATE:
    case OP_CREATE2:
    case OP_CREATE_CONTAINER: return &zk_create_request_wire;
    case OP_CREATE_TTL: return &zk_create_ttl_request_wire;
    case OP_DELETE: return &zk_delete_request_wire;
    case OP_SET_DATA: return &zk_set_data_request_wire;
    case OP_CHECK: return &zk_check_request_wire;
    }
    return NULL;
}

static enum err unpack_write_part(const struct reading *work, int32_t type, struct slice *input)
{
    union {
        struct zk_create_request create;
        struct zk_create_ttl_request create_ttl;
        struct zk_delete_request delete;
        struct zk_set_data_request set_data;
        struct zk_check_request check;
    } unused;
    const struct wire_record *record = write_part_of(type);
    return record == NULL ? ERR_MALFORMED : wire_decode(record, 0, input, work->arena, &unused);
}

static enum err unpack_part(const struct reading *work, struct slice *input, struct read_part *part)
{
    part->is_write = part->type != OP_GET_DATA && part->type != OP_GET_CHILDREN;
    if (part->is_write)
        return unpack_write_part(work, part->type, input);
    struct zk_get_data_request request; /* getChildren asks alike. */
    const enum err err = wire_decode(&zk_get_data_request_wire, 0, input, work->arena, &request);
    part->path = err == ERR_OK ? request.path : SLICE_NULL;
    return err;
}

static enum code reply_one(const struct reading *work, const struct read_part *part,
                           struct keeper_reply *reply)
{
    *reply = (struct keeper_reply){.type = part->type};
    if (part->is_write || part->path.data == NULL)
        return CODE_MARSHALLING_ERROR;
    reply->code = part->type == OP_GET_DATA ? reply_data(work, part->path, reply)
                                            : reply_children(work, part->path, reply);
    return CODE_OK;
}

/* Replies grow by doubling: their count is known only at the end of the request. */
static struct keeper_reply *add_reply(struct arena *arena, struct keeper_reply *replies,
                                      int32_t count)
{
    const bool is_full = (count & (count - 1)) == 0; /* Zero, or a power of two. */
    if (!is_full)
        return replies;
    struct keeper_reply *bigger =
        arena_take_array(arena, count == 0 ? 1 : 2 * (size_t)count, sizeof *bigger);
    if (bigger != NULL && count > 0)
        memcpy(bigger, replies, (size_t)count * sizeof *bigger);
    return bigger;
}

/* The answers so far, and why there are no more. */
struct read_parts {
    struct keeper_reply *replies;
    int32_t count;
    enum code refusal;
};

static enum code answer_part(const struct reading *work, const struct read_part *part,
                             struct read_parts *parts)
{
    if (parts->refusal != CODE_OK)
        return CODE_OK;
    parts->replies = add_reply(work->arena, parts->replies, parts->count);
    if (parts->replies == NULL)
        return CODE_SYSTEM_ERROR;
    parts->refusal = reply_one(work, part, &parts->replies[parts->count]);
    parts->count += parts->refusal == CODE_OK;
    return CODE_OK;
}

/* Unpacks and answers part by part; the result is why the whole cannot be unpacked. Reads and
 * writes do not mix. */
static enum code read_parts(const struct reading *work, struct read_parts *parts)
{
    struct slice input = work->request->body;
    bool is_write = false;
    for (bool is_first = true;; is_first = false) {
        struct zk_multi_header header;
        if (wire_decode(&zk_multi_header_wire, 0, &input, work->arena, &header) != ERR_OK)
            return CODE_MARSHALLING_ERROR;
        if (header.done)
            return CODE_OK;
        struct read_part part = {.type = header.type};
        if (unpack_part(work, &input, &part) != ERR_OK || (!is_first && part.is_write != is_write))
            return CODE_MARSHALLING_ERROR;
        is_write = part.is_write;
        const enum code code = answer_part(work, &part, parts);
        if (code != CODE_OK)
            return code;
    }
}

/* A part that cannot be answered fails the whole, which tells what came before it all the same. */
static enum code read_multi(const struct reading *work)
{
    struct read_parts parts = {.refusal = CODE_OK};
    const enum code code = read_parts(work, &parts);
    if (code != CODE_OK)
        return code;
    work->reply->has_replies = true;
    work->reply->replies = parts.replies;
    work->reply->reply_count = parts.count;
    return parts.refusal;
}

/* --- watches --- */

static enum code read_add_watch(const struct reading *work)
{
    struct zk_add_watch_request request;
    enum code code = decode(work, &zk_add_watch_request_wire, &request);
    if (code != CODE_OK)
        return code;
    if (request.mode == add_mode_recursive)
        return add_watch(work, WATCH_KIND_DATA, request.path, WATCH_MODE_RECURSIVE);
    if (request.mode != add_mode_persistent)
        return CODE_MARSHALLING_ERROR;
    code = add_watch(work, WATCH_KIND_DATA, request.path, WATCH_MODE_PERSISTENT);
    return code == CODE_OK ? add_watch(work, WATCH_KIND_CHILD, request.path, WATCH_MODE_PERSISTENT)
                           : code;
}

static bool is_watch_type(int32_t type)
{
    return type >= WATCH_TYPE_CHILDREN && type <= WATCH_TYPE_RECURSIVE;
}

static bool has_watch(const struct reading *work, enum watch_kind kind, struct slice path,
                      uint8_t modes)
{
    return watch_table_has(&work->keeper->watches, kind, &work->connection->watcher, path, modes);
}

static enum code read_check_watches(const struct reading *work)
{
    struct zk_check_watches_request request;
    const enum code code = decode(work, &zk_check_watches_request_wire, &request);
    if (code != CODE_OK)
        return code;
    const struct slice path = watched_name(request.path);
    if (!is_watch_type(request.type))
        return CODE_MARSHALLING_ERROR;
    bool found = false;
    switch ((enum watch_type)request.type) {
    case WATCH_TYPE_CHILDREN:
        found = has_watch(work, WATCH_KIND_CHILD, path, WATCH_MODE_STANDARD);
        break;
    case WATCH_TYPE_DATA:
        found = has_watch(work, WATCH_KIND_DATA, path, WATCH_MODE_STANDARD);
        break;
    case WATCH_TYPE_ANY:
        found = has_watch(work, WATCH_KIND_CHILD, path, WATCH_MODE_ANY) ||
                has_watch(work, WATCH_KIND_DATA, path, WATCH_MODE_ANY);
        break;
    case WATCH_TYPE_PERSISTENT:
        found = has_watch(work, WATCH_KIND_DATA, path, WATCH_MODE_PERSISTENT);
        break;
    case WATCH_TYPE_RECURSIVE:
        found = has_watch(work, WATCH_KIND_DATA, path, WATCH_MODE_RECURSIVE);
        break;
    }
    return found ? CODE_OK : CODE_NO_WATCHER;
}

/* The modes that a type takes away, of each kind. */
static void modes_of_type(enum watch_type type, uint8_t modes[watch_kind_count])
{
    modes[WATCH_KIND_DATA] = 0;
    modes[WATCH_KIND_CHILD] = 0;
    switch (type) {
    case WATCH_TYPE_CHILDREN: modes[WATCH_KIND_CHILD] = WATCH_MODE_STANDARD; break;
    case WATCH_TYPE_DATA: modes[WATCH_KIND_DATA] = WATCH_MODE_STANDARD; break;
    case WATCH_TYPE_ANY:
        modes[WATCH_KIND_DATA] = WATCH_MODE_ANY;
        modes[WATCH_KIND_CHILD] = WATCH_MODE_ANY;
        break;
    case WATCH_TYPE_PERSISTENT:
        modes[WATCH_KIND_DATA] = WATCH_MODE_PERSISTENT;
        modes[WATCH_KIND_CHILD] = WATCH_MODE_PERSISTENT;
        break;
    case WATCH_TYPE_RECURSIVE: modes[WATCH_KIND_DATA] = WATCH_MODE_RECURSIVE; break;
    }
}

static enum code read_remove_watches(const struct reading *work)
{
    struct zk_remove_watches_request request;
    const enum code code = decode(work, &zk_remove_watches_request_wire, &request);
    if (code != CODE_OK)
        return code;
    if (!is_watch_type(request.type))
        return CODE_MARSHALLING_ERROR;
    const struct slice path = watched_name(request.path);
    uint8_t modes[watch_kind_count];
    modes_of_type((enum watch_type)request.type, modes);
    bool removed = false;
    for (int kind = 0; kind < watch_kind_count; kind++)
        removed |= watch_table_remove(&work->keeper->watches, (enum watch_kind)kind,
                                      &work->connection->watcher, path, modes[kind]);
    return removed ? CODE_OK : CODE_NO_WATCHER;
}

/* --- setWatches: what a client missed while it was away --- */

static void tell_missed(const struct reading *work, enum watch_event_type type, struct slice path)
{
    const struct watch_event event = {.type = type, .path = path, .zxid = -1};
    if (work->out != NULL)
        work->out->on_watch(work->out, work->connection, &event);
}

static enum code catch_up_data(const struct reading *work, struct slice path, int64_t seen_zxid)
{
    if (path.data == NULL)
        return CODE_MARSHALLING_ERROR;
    const struct znode *znode = tree_find(&work->keeper->tree, path);
    if (znode != NULL && znode->mzxid <= seen_zxid)
        return add_watch(work, WATCH_KIND_DATA, path, WATCH_MODE_STANDARD);
    tell_missed(work, znode == NULL ? WATCH_EVENT_DELETED : WATCH_EVENT_DATA_CHANGED, path);
    return CODE_OK;
}

static enum code catch_up_exist(const struct reading *work, struct slice path, int64_t seen_zxid)
{
    (void)seen_zxid; /* It waited for a znode that did not exist. */
    if (path.data == NULL)
        return CODE_MARSHALLING_ERROR;
    if (tree_find(&work->keeper->tree, path) == NULL)
        return add_watch(work, WATCH_KIND_DATA, path, WATCH_MODE_STANDARD);
    tell_missed(work, WATCH_EVENT_CREATED, path);
    return CODE_OK;
}

static enum code catch_up_child(const struct reading *work, struct slice path, int64_t seen_zxid)
{
    if (path.data == NULL)
        return CODE_MARSHALLING_ERROR;
    const struct znode *znode = tree_find(&work->keeper->tree, path);
    if (znode != NULL && tree_more(&work->keeper->tree, znode).pzxid <= seen_zxid)
        return add_watch(work, WATCH_KIND_CHILD, path, WATCH_MODE_STANDARD);
    tell_missed(work, znode == NULL ? WATCH_EVENT_DELETED : WATCH_EVENT_CHILDREN_CHANGED, path);
    return CODE_OK;
}

static enum code arm_persistent(const struct reading *work, struct slice path, int64_t seen_zxid)
{
    (void)seen_zxid; /* Persistent watches do not catch up. */
    const enum code code = add_watch(work, WATCH_KIND_CHILD, path, WATCH_MODE_PERSISTENT);
    return code == CODE_OK ? add_watch(work, WATCH_KIND_DATA, path, WATCH_MODE_PERSISTENT) : code;
}

static enum code arm_recursive(const struct reading *work, struct slice path, int64_t seen_zxid)
{
    (void)seen_zxid; /* Persistent watches do not catch up. */
    return add_watch(work, WATCH_KIND_DATA, path, WATCH_MODE_RECURSIVE);
}

/* What is done with each path of a list. */
struct catch_up {
    struct slice_list paths;
    enum code (*each)(const struct reading *work, struct slice path, int64_t seen_zxid);
};

static enum code catch_up_all(const struct reading *work, const struct catch_up *step,
                              int64_t seen_zxid)
{
    if (step->paths.count < 0)
        return CODE_MARSHALLING_ERROR;
    for (int32_t index = 0; index < step->paths.count; index++) {
        const enum code code = step->each(work, step->paths.items[index], seen_zxid);
        if (code != CODE_OK)
            return code;
    }
    return CODE_OK;
}

static enum code set_watches(const struct reading *work,
                             const struct zk_set_watches2_request *request)
{
    const struct catch_up steps[] = {
        {{request->data_watches.items, request->data_watches.count}, catch_up_data},
        {{request->exist_watches.items, request->exist_watches.count}, catch_up_exist},
        {{request->child_watches.items, request->child_watches.count}, catch_up_child},
        {{request->persistent_watches.items, request->persistent_watches.count}, arm_persistent},
        {{request->persistent_recursive_watches.items, request->persistent_recursive_watches.count},
         arm_recursive},
    };
    for (size_t index = 0; index < ARRAY_COUNT(steps); index++) {
        const enum code code = catch_up_all(work, &steps[index], request->relative_zxid);
        if (code != CODE_OK)
            return code;
    }
    return CODE_OK;
}

static enum code read_set_watches(const struct reading *work)
{
    struct zk_set_watches_request request;
    const enum code code = decode(work, &zk_set_watches_request_wire, &request);
    if (code != CODE_OK)
        return code;
    const struct zk_set_watches2_request all = {
        .relative_zxid = request.relative_zxid,
        .data_watches = {request.data_watches.items, request.data_watches.count},
        .exist_watches = {request.exist_watches.items, request.exist_watches.count},
        .child_watches = {request.child_watches.items, request.child_watches.count},
    };
    return set_watches(work, &all);
}

static enum code read_set_watches2(const struct reading *work)
{
    struct zk_set_watches2_request request;
    const enum code code = decode(work, &zk_set_watches2_request_wire, &request);
    return code == CODE_OK ? set_watches(work, &request) : code;
}

/* --- the way in --- */

static enum code answer(const struct reading *work)
{
    switch (work->request->type) {
    case OP_EXISTS: return read_exists(work);
    case OP_GET_DATA: return read_data(work);
    case OP_GET_ACL: return read_acl(work);
    case OP_GET_CHILDREN:
    case OP_GET_CHILDREN2: return read_children(work);
    case OP_GET_ALL_CHILDREN_NUMBER: return read_all_children_number(work);
    case OP_GET_EPHEMERALS: return read_ephemerals(work);
    case OP_WHO_AM_I: return read_who_am_i(work);
    case OP_MULTI_READ: return read_multi(work);
    case OP_ADD_WATCH: return read_add_watch(work);
    case OP_CHECK_WATCHES: return read_check_watches(work);
    case OP_REMOVE_WATCHES: return read_remove_watches(work);
    case OP_SET_WATCHES: return read_set_watches(work);
    case OP_SET_WATCHES2: return read_set_watches2(work);
    }
    return CODE_UNIMPLEMENTED;
}

void keeper_read(struct keeper *keeper, const struct keeper_request *request,
                 struct keeper_connection *connection, struct keeper_sink *sink,
                 struct arena *arena, struct keeper_reply *reply)
{
    *reply = (struct keeper_reply){.type = request->type};
    const struct reading work = {
        .keeper = keeper,
        .request = request,
        .connection = connection,
        .out = sink,
        .arena = arena,
        .reply = reply,
    };
    reply->code = answer(&work);
}
