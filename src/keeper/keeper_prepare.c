/* The decisions: requests become transactions. The order of the checks is the protocol's: it
 * decides which of several errors a client sees. */
#include "base/assert.h"
#include "base/bytes.h"
#include "keeper/keeper.h"
#include "keeper/path.h"
#include "keeper/quota.h"
#include "keeper/txn_codec.h"
#include "keeper/write_request.h"

#include <stdio.h>

/* One request on its way. */
struct preparation {
    struct keeper *keeper;
    const struct keeper_request *request;
    struct arena *arena;
    struct txn *txn;
};

static enum code check_global_session(const struct preparation *work)
{
    return session_table_check(&work->keeper->sessions, work->request->session_id,
                               work->request->owner);
}

/* Whether it may be one that only the server knows whose id it bears. */
static bool may_be_foreign(const struct preparation *work)
{
    const struct keeper_options *options = &work->keeper->options;
    const int64_t session_id = work->request->session_id;
    return options->local_sessions_enabled &&
           (uint8_t)((uint64_t)session_id >> 56) != options->server_id &&
           !keeper_has_session(work->keeper, session_id);
}

static enum code check_session(const struct preparation *work)
{
    const struct keeper_request *request = work->request;
    return may_be_foreign(work)
               ? CODE_OK
               : keeper_check_session(work->keeper, request->session_id, request->owner);
}

/* An ephemeral dies with a session that all servers know. */
static enum code check_creator(const struct preparation *work,
                               const struct create_arguments *create,
                               const struct create_mode *mode)
{
    if (!mode->ephemeral)
        return check_session(work);
    const bool is_local = keeper_has_local_session(work->keeper, work->request->session_id);
    if (is_local && create->type != OP_CREATE_CONTAINER)
        return CODE_EPHEMERAL_ON_LOCAL_SESSION; /* It was not upgraded. */
    return check_global_session(work);
}

static enum code check_acl(const struct preparation *work, const struct acl_entry *acl,
                           int32_t permissions)
{
    if (work->keeper->options.skip_acl ||
        acl_list_grants(acl->list, permissions, work->request->identities))
        return CODE_OK;
    return CODE_NO_AUTH;
}

/* Versions wrap as Java's integers do. */
static int32_t next_version(int32_t version)
{
    return (int32_t)((uint32_t)version + 1);
}

static enum code check_version(int32_t version, int32_t expected)
{
    return expected == -1 || expected == version ? CODE_OK : CODE_BAD_VERSION;
}

/* Whether there is room for bytes more once all that is pending is applied, and for the chunks that
 * they may need in the worst case. */
static bool has_room(const struct keeper *keeper, size_t bytes)
{
    const struct heap *heap = keeper->heap;
    const struct slab *slab = &keeper->slab;
    const size_t more = keeper->pending.reserved_bytes + bytes;
    const size_t used = heap->used_bytes - slab->region_bytes + slab->used_bytes;
    return used + more <= keeper->options.memory_bytes_max &&
           heap->used_bytes + heap->kept_bytes + more + slab_reserve_bytes <= heap->limit_bytes &&
           slab->region_bytes + more + slab_reserve_bytes <= SLAB_REGION_BYTES_MAX;
}

static enum code fix_acl(const struct preparation *work, struct acl_list list,
                         struct acl_list *fixed)
{
    const struct acl_fix_options options = {
        .identities = work->request->identities,
        .digest_disabled = work->keeper->options.auth.digest_disabled,
    };
    return acl_list_fix(list, &options, work->arena, fixed);
}

/* Judged by what is committed: as in Apache's server, pipelined requests can go beyond. */
static enum code check_quota(const struct preparation *work, struct slice path,
                             struct quota_change change)
{
    if (!work->keeper->options.enforce_quota)
        return CODE_OK;
    uint8_t *room = arena_take(work->arena, quota_name_bytes(path));
    if (room == NULL)
        return CODE_SYSTEM_ERROR;
    const struct quota_znodes quota = quota_find(&work->keeper->tree, path, room);
    const struct quota_breach breach = quota_judge(&work->keeper->tree, quota, change);
    if (breach.kind == QUOTA_NONE)
        return CODE_OK;
    work->keeper->breach = breach;
    work->keeper->breach.path = quota_path(&work->keeper->tree, quota, room);
    return breach.is_hard ? CODE_QUOTA_EXCEEDED : CODE_OK;
}

static bool is_special(struct slice path)
{
    return slice_equal_text(path, "/") || slice_equal_text(path, "/zookeeper") ||
           slice_equal_text(path, "/zookeeper/quota") ||
           slice_equal_text(path, "/zookeeper/config");
}

static bool has_byte(struct slice path, char byte)
{
    return path.size > 0 && memchr(path.data, byte, path.size) != NULL;
}

/* --- create --- */

static enum code check_ttl(const struct preparation *work, const struct create_arguments *create,
                           const struct create_mode *mode)
{
    if (!mode->ttl) /* Apache's server ends on a createTTL without the flag and below zero. */
        return create->type == OP_CREATE_TTL ? CODE_BAD_ARGUMENTS : CODE_OK;
    if (!work->keeper->options.extended_types_enabled)
        return CODE_UNIMPLEMENTED;
    return create->ttl_ms > 0 && create->ttl_ms <= TREE_TTL_MS_MAX ? CODE_OK : CODE_BAD_ARGUMENTS;
}

/* The path with the number behind it; null: the arena is full. */
static struct slice add_sequence(struct slice path, int32_t number, struct arena *arena)
{
    uint8_t *name = arena_take(arena, path.size + path_sequence_bytes_max + 1);
    if (name == NULL)
        return SLICE_NULL;
    memcpy(name, path.data, path.size);
    const int size =
        snprintf((char *)name + path.size, path_sequence_bytes_max + 1, "%010d", number);
    return slice_of(name, path.size + (size_t)size);
}

/* Everything that can be wrong before the parent is looked at. */
static enum code check_create(const struct preparation *work, const struct create_arguments *create,
                              const struct create_mode *mode, struct acl_list *acl)
{
    if (mode == NULL)
        return CODE_BAD_ARGUMENTS;
    enum code code = check_ttl(work, create, mode);
    if (code == CODE_OK)
        code = check_creator(work, create, mode);
    if (code != CODE_OK)
        return code;
    if (create->path.data == NULL)
        return CODE_MARSHALLING_ERROR;
    if (!has_byte(create->path, '/') || has_byte(create->path, '\0'))
        return CODE_BAD_ARGUMENTS;
    return fix_acl(work, create->acl, acl);
}

/* Everything that can be wrong with the name and its place. */
static enum code check_place(const struct preparation *work, struct slice path,
                             const struct pending_state *parent)
{
    if (!path_is_valid(path))
        return CODE_BAD_ARGUMENTS;
    struct pending_state state;
    if (pending_look(&work->keeper->pending, path, &state))
        return CODE_NODE_EXISTS;
    if (tree_owner_kind_of(&work->keeper->tree, parent->owner) == TREE_OWNER_SESSION)
        return CODE_NO_CHILDREN_FOR_EPHEMERALS;
    return CODE_OK;
}

/* Who owns it as long as it is pending: that follows the flags, as in Apache's server. Once applied
 * the operation decides: createContainer makes a container whatever its flags. */
static int64_t owner_of(const struct preparation *work, const struct create_mode *mode,
                        const struct create_arguments *create)
{
    if (mode->container)
        return TREE_OWNER_CONTAINER_MARK;
    if (mode->ttl)
        return tree_ttl_owner(create->ttl_ms);
    return mode->ephemeral ? work->request->session_id : 0;
}

static enum code note_create(const struct preparation *work, const struct txn_op *op, int64_t owner)
{
    struct pending *pending = &work->keeper->pending;
    const size_t bytes = tree_znode_bytes(path_last(op->path).size, op->data.size) +
                         sizeof(struct tree_owner) + acl_table_bytes(op->acl);
    if (!has_room(work->keeper, bytes))
        return CODE_SYSTEM_ERROR;
    struct pending_znode *parent = pending_change(pending, path_parent(op->path));
    struct pending_znode *znode = parent == NULL ? NULL : pending_change(pending, op->path);
    struct acl_entry *acl =
        znode == NULL ? NULL : acl_table_acquire(&work->keeper->tree.acls, op->acl);
    if (acl == NULL)
        return CODE_SYSTEM_ERROR;
    parent->state.child_count++;
    parent->state.cversion = op->version;
    pending_set_acl(pending, znode, acl);
    acl_table_release(&work->keeper->tree.acls, acl); /* The entry has its own reference. */
    znode->state = (struct pending_state){
        .exists = true, .owner = owner, .data_size = (uint32_t)op->data.size, .acl = acl};
    pending_reserve(pending, znode, bytes);
    return CODE_OK;
}

static enum code prepare_create(const struct preparation *work,
                                const struct create_arguments *create, struct txn_op *op)
{
    const struct create_mode *mode = create_mode_of(create->flags);
    struct acl_list acl;
    enum code code = check_create(work, create, mode, &acl);
    if (code != CODE_OK)
        return code;
    struct pending_state parent;
    if (!pending_look(&work->keeper->pending, path_parent(create->path), &parent))
        return CODE_NO_NODE;
    code = check_acl(work, parent.acl, ACL_CREATE);
    if (code != CODE_OK)
        return code;
    struct slice path = create->path;
    if (mode->sequential)
        path = add_sequence(path, parent.cversion, work->arena);
    if (path.data == NULL)
        return CODE_SYSTEM_ERROR;
    code = check_place(work, path, &parent);
    if (code == CODE_OK)
        code = check_quota(work, path, (struct quota_change){1, (int64_t)create->data.size});
    if (code != CODE_OK)
        return code;
    *op = (struct txn_op){
        .type = create->type,
        .path = path,
        .data = create->data,
        .acl = acl,
        .ephemeral = mode->ephemeral,
        .version = next_version(parent.cversion),
        .ttl_ms = create->ttl_ms,
    };
    return note_create(work, op, owner_of(work, mode, create));
}

/* --- the other changes of one znode --- */

static enum code note_delete(const struct preparation *work, struct slice path)
{
    struct pending *pending = &work->keeper->pending;
    struct pending_znode *parent = pending_change(pending, path_parent(path));
    struct pending_znode *znode = parent == NULL ? NULL : pending_change(pending, path);
    if (znode == NULL)
        return CODE_SYSTEM_ERROR;
    parent->state.child_count--;
    pending_set_acl(pending, znode, NULL);
    znode->state = (struct pending_state){0};
    return CODE_OK;
}

/* The parent's path: CODE_BAD_ARGUMENTS if the path has none or is built in. */
static enum code check_deletable(struct slice path)
{
    if (path.data == NULL)
        return CODE_MARSHALLING_ERROR;
    return !has_byte(path, '/') || has_byte(path, '\0') || is_special(path) ? CODE_BAD_ARGUMENTS
                                                                            : CODE_OK;
}

static enum code prepare_delete(const struct preparation *work,
                                const struct zk_delete_request *request, struct txn_op *op)
{
    enum code code = check_session(work);
    if (code == CODE_OK)
        code = check_deletable(request->path);
    if (code != CODE_OK)
        return code;
    const struct pending *pending = &work->keeper->pending;
    struct pending_state parent;
    struct pending_state state;
    if (!pending_look(pending, path_parent(request->path), &parent))
        return CODE_NO_NODE;
    code = check_acl(work, parent.acl, ACL_DELETE);
    if (code != CODE_OK)
        return code;
    if (!pending_look(pending, request->path, &state))
        return CODE_NO_NODE;
    code = check_version(state.version, request->version);
    if (code != CODE_OK)
        return code;
    if (state.child_count > 0)
        return CODE_NOT_EMPTY;
    *op = (struct txn_op){.type = OP_DELETE, .path = request->path};
    return note_delete(work, request->path);
}

/* The reaper's: no session, no access list. */
static enum code prepare_delete_container(const struct preparation *work, struct slice path,
                                          struct txn_op *op)
{
    const enum code code = check_deletable(path);
    if (code != CODE_OK)
        return code;
    struct pending_state state;
    if (!pending_look(&work->keeper->pending, path, &state))
        return CODE_NO_NODE;
    if (state.child_count > 0)
        return CODE_NOT_EMPTY;
    switch (tree_owner_kind_of(&work->keeper->tree, state.owner)) {
    case TREE_OWNER_NONE:
    case TREE_OWNER_SESSION: return CODE_BAD_VERSION;
    case TREE_OWNER_CONTAINER:
    case TREE_OWNER_TTL: break;
    }
    *op = (struct txn_op){.type = OP_DELETE_CONTAINER, .path = path};
    return note_delete(work, path);
}

/* What setData, setACL and check have in common: a session, a valid path, a znode. */
static enum code look_at(const struct preparation *work, struct slice path,
                         struct pending_state *state)
{
    return pending_look(&work->keeper->pending, path, state) ? CODE_OK : CODE_NO_NODE;
}

static enum code check_session_and_path(const struct preparation *work, struct slice path)
{
    const enum code code = check_session(work);
    if (code != CODE_OK)
        return code;
    return path_is_valid(path) ? CODE_OK : CODE_BAD_ARGUMENTS;
}

static enum code note_set_data(const struct preparation *work, const struct txn_op *op)
{
    struct pending *pending = &work->keeper->pending;
    const size_t bytes = tree_data_bytes(op->data.size);
    if (!has_room(work->keeper, bytes))
        return CODE_SYSTEM_ERROR;
    struct pending_znode *znode = pending_change(pending, op->path);
    if (znode == NULL)
        return CODE_SYSTEM_ERROR;
    znode->state.version = op->version;
    znode->state.data_size = (uint32_t)op->data.size;
    pending_reserve(pending, znode, bytes);
    return CODE_OK;
}

static enum code prepare_set_data(const struct preparation *work,
                                  const struct zk_set_data_request *request, struct txn_op *op)
{
    struct pending_state state;
    enum code code = check_session_and_path(work, request->path);
    if (code == CODE_OK)
        code = look_at(work, request->path, &state);
    if (code == CODE_OK)
        code = check_acl(work, state.acl, ACL_WRITE);
    if (code == CODE_OK)
        code = check_quota(
            work, request->path,
            (struct quota_change){0, (int64_t)request->data.size - (int64_t)state.data_size});
    if (code == CODE_OK)
        code = check_version(state.version, request->version);
    if (code != CODE_OK)
        return code;
    *op = (struct txn_op){
        .type = OP_SET_DATA,
        .path = request->path,
        .data = request->data,
        .version = next_version(state.version),
    };
    return note_set_data(work, op);
}

static enum code note_set_acl(const struct preparation *work, const struct txn_op *op)
{
    struct pending *pending = &work->keeper->pending;
    const size_t bytes = acl_table_bytes(op->acl) + slab_bytes(sizeof(struct znode_more));
    if (!has_room(work->keeper, bytes))
        return CODE_SYSTEM_ERROR;
    struct pending_znode *znode = pending_change(pending, op->path);
    struct acl_entry *acl =
        znode == NULL ? NULL : acl_table_acquire(&work->keeper->tree.acls, op->acl);
    if (acl == NULL)
        return CODE_SYSTEM_ERROR;
    pending_set_acl(pending, znode, acl);
    acl_table_release(&work->keeper->tree.acls, acl); /* The entry has its own reference. */
    znode->state.aversion = op->version;
    pending_reserve(pending, znode, bytes);
    return CODE_OK;
}

static enum code prepare_set_acl(const struct preparation *work,
                                 const struct zk_set_acl_request *request, struct txn_op *op)
{
    struct pending_state state;
    struct acl_list acl = {request->acl.items, request->acl.count};
    enum code code = check_session_and_path(work, request->path);
    if (code == CODE_OK)
        code = fix_acl(work, acl, &acl);
    if (code == CODE_OK)
        code = look_at(work, request->path, &state);
    if (code == CODE_OK)
        code = check_acl(work, state.acl, ACL_ADMIN);
    if (code == CODE_OK)
        code = check_version(state.aversion, request->version);
    if (code != CODE_OK)
        return code;
    *op = (struct txn_op){
        .type = OP_SET_ACL,
        .path = request->path,
        .acl = acl,
        .version = next_version(state.aversion),
    };
    return note_set_acl(work, op);
}

static enum code prepare_check(const struct preparation *work,
                               const struct zk_check_request *request, struct txn_op *op)
{
    struct pending_state state;
    enum code code = check_session_and_path(work, request->path);
    if (code == CODE_OK)
        code = look_at(work, request->path, &state);
    if (code == CODE_OK)
        code = check_acl(work, state.acl, ACL_READ);
    if (code == CODE_OK)
        code = check_version(state.version, request->version);
    if (code != CODE_OK)
        return code;
    *op = (struct txn_op){
        .type = OP_CHECK, .path = request->path, .version = next_version(state.version)};
    return CODE_OK;
}

/* --- sessions --- */

static enum code prepare_create_session(const struct preparation *work, struct txn_op *op)
{
    struct keeper *keeper = work->keeper;
    assert(work->request->body.size == sizeof(int32_t));
    if (keeper->sessions.by_id.count + keeper->sessions.promise_count >=
            keeper->options.session_count_max ||
        !has_room(keeper, sizeof(struct session)) ||
        !session_table_promise(&keeper->sessions, work->request->session_id, work->request->owner))
        return CODE_SYSTEM_ERROR;
    *op = (struct txn_op){
        .type = OP_CREATE_SESSION,
        .timeout_ms = load_i32(work->request->body.data),
    };
    return CODE_OK;
}

/* The ephemerals that a session will have once all that is pending is applied. */
struct ephemerals {
    struct slice *paths;
    int32_t count;
    size_t bytes; /* Of the paths and their sizes. */
};

/* False: the arena is full. */
static bool add_ephemeral(struct ephemerals *list, struct slice path)
{
    list->bytes += sizeof(int32_t) + path.size;
    list->paths[list->count] = path;
    list->count++;
    return path.data != NULL;
}

static bool add_committed(const struct preparation *work, const struct tree_owner *owner,
                          struct ephemerals *list)
{
    list_each (link, &owner->znodes) {
        const struct znode *znode = tree_owned(link);
        uint8_t *memory = arena_take(work->arena, tree_path_bytes(&work->keeper->tree, znode));
        if (memory == NULL)
            return false;
        const struct slice path = tree_path_write(&work->keeper->tree, znode, memory);
        struct pending_state state;
        const bool stays =
            pending_look(&work->keeper->pending, path, &state) && state.owner == owner->id;
        if (stays && !add_ephemeral(list, path))
            return false;
    }
    return true;
}

/* Those that only pending transactions create. */
static bool add_pending(const struct preparation *work, int64_t session_id, struct ephemerals *list)
{
    list_each (link, &work->keeper->pending.znodes) {
        const struct pending_znode *pending = CONTAINER_OF(link, struct pending_znode, link);
        const struct slice path = slice_of(pending->path, pending->path_size);
        if (!pending->state.exists || pending->state.owner != session_id)
            continue;
        const struct znode *znode = tree_find(&work->keeper->tree, path);
        const bool is_committed = znode != NULL && tree_owner_id(znode) == session_id;
        if (!is_committed && !add_ephemeral(list, arena_copy(work->arena, path)))
            return false;
    }
    return true;
}

static bool collect_ephemerals(const struct preparation *work, struct ephemerals *list)
{
    const struct keeper *keeper = work->keeper;
    const int64_t session_id = work->request->session_id;
    const struct tree_owner *owner = tree_find_owner(&keeper->tree, session_id);
    const size_t count_max =
        (owner == NULL ? 0 : owner->znode_count) + keeper->pending.by_path.count;
    list->paths = arena_take_array(work->arena, count_max, sizeof *list->paths);
    return list->paths != NULL && count_max <= INT32_MAX &&
           (owner == NULL || add_committed(work, owner, list)) &&
           add_pending(work, session_id, list);
}

/* Later requests must see them gone. As in Apache's server the parents keep their counts, so a
 * parent cannot be deleted before the close is applied. */
static void note_ephemerals_gone(const struct preparation *work, const struct ephemerals *list)
{
    struct pending *pending = &work->keeper->pending;
    for (int32_t index = 0; index < list->count; index++) {
        struct pending_znode *znode = pending_change(pending, list->paths[index]);
        if (znode == NULL)
            return; /* A request that sees it in vain is refused when it is applied. */
        pending_set_acl(pending, znode, NULL);
        znode->state = (struct pending_state){0};
    }
}

static enum code prepare_close_session(const struct preparation *work, struct txn_op *op)
{
    struct ephemerals list = {0};
    *op = (struct txn_op){.type = OP_CLOSE_SESSION};
    /* Without a list, as older servers write it, each server deletes what it knows: the same. */
    op->has_paths = collect_ephemerals(work, &list) &&
                    list.bytes < (size_t)work->keeper->options.record_bytes_max / 2;
    op->paths = (struct slice_list){list.paths, list.count};
    note_ephemerals_gone(work, &list);
    session_table_mark_closing(&work->keeper->sessions, work->request->session_id);
    return CODE_OK;
}

/* --- requests --- */

static enum code prepare_request(const struct preparation *work,
                                 const struct write_request *request, struct txn_op *op)
{
    switch (request->type) {
    case OP_CREATE:
    case OP_CREATE2:
    case OP_CREATE_CONTAINER:
    case OP_CREATE_TTL: return prepare_create(work, &request->as.create, op);
    case OP_DELETE: return prepare_delete(work, &request->as.delete, op);
    case OP_SET_DATA: return prepare_set_data(work, &request->as.set_data, op);
    case OP_SET_ACL: return prepare_set_acl(work, &request->as.set_acl, op);
    case OP_CHECK: return prepare_check(work, &request->as.check, op);
    case OP_DELETE_CONTAINER:
        return prepare_delete_container(work, request->as.delete_container.path, op);
    }
    return CODE_UNIMPLEMENTED;
}

/* --- multi --- */

/* The operations decided so far; grows by doubling. */
struct op_list {
    struct txn_op *items;
    int32_t count;
    int32_t capacity;
    bool is_broken; /* A part is, see write_request_next_part. */
};

static struct txn_op *add_op(struct op_list *list, struct arena *arena)
{
    if (list->count == list->capacity) {
        const int32_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        struct txn_op *items = arena_take_array(arena, (size_t)capacity, sizeof *items);
        if (items == NULL)
            return NULL;
        if (list->count > 0)
            memcpy(items, list->items, (size_t)list->count * sizeof *items);
        list->items = items;
        list->capacity = capacity;
    }
    return &list->items[list->count++];
}

static struct txn_op error_op(enum code code)
{
    return (struct txn_op){.type = OP_ERROR, .code = code};
}

/* One operation of a multi. After the first that fails, which takes the earlier ones back, the
 * others fail unseen. */
static enum code prepare_in_multi(const struct preparation *work,
                                  const struct write_request *request, bool *has_failed,
                                  struct txn_op *op)
{
    if (*has_failed) {
        *op = error_op(CODE_RUNTIME_INCONSISTENCY);
        return CODE_OK;
    }
    const enum code code = prepare_request(work, request, op);
    if (code == CODE_OK)
        return CODE_OK;
    *has_failed = true;
    *op = error_op(code);
    pending_roll_back(&work->keeper->pending);
    return code == CODE_MARSHALLING_ERROR ? code : CODE_OK;
}

/* Decodes and decides part by part. *refusal: why it cannot be unpacked or decided; otherwise the
 * result is why all of it fails. */
static enum code prepare_parts(const struct preparation *work, struct op_list *list,
                               enum code *refusal)
{
    struct slice input = work->request->body;
    struct write_request request;
    bool has_failed = false;
    enum code code = CODE_OK;
    while (write_request_next_part(&request, &input, work->arena, refusal, &list->is_broken)) {
        struct txn_op *op = add_op(list, work->arena);
        if (op == NULL) {
            *refusal = CODE_SYSTEM_ERROR;
            return code;
        }
        /* A part without a path spoils the whole, even behind one that fails. */
        enum code failure = CODE_MARSHALLING_ERROR;
        if (write_request_path(&request).data != NULL)
            failure = prepare_in_multi(work, &request, &has_failed, op);
        code = code == CODE_OK ? failure : code;
    }
    return code;
}

/* *refusal: why there is no transaction. Otherwise the result is why all of it fails. Unlike other
 * requests that cannot be understood, such a multi uses up a zxid. */
static enum code prepare_multi(const struct preparation *work, enum code *refusal)
{
    struct op_list list = {0};
    const enum code code = prepare_parts(work, &list, refusal);
    if (*refusal == CODE_MARSHALLING_ERROR && !list.is_broken) {
        *refusal = CODE_OK;
        return CODE_MARSHALLING_ERROR;
    }
    work->txn->op = (struct txn_op){.type = OP_MULTI};
    work->txn->ops = list.items;
    work->txn->op_count = list.count;
    return *refusal == CODE_OK ? code : *refusal;
}

/* --- the way in --- */

static enum code prepare_single(const struct preparation *work, enum code *refusal)
{
    struct slice input = work->request->body;
    struct write_request request = {.type = work->request->type};
    *refusal = write_request_decode(&request, &input, work->arena);
    return *refusal == CODE_OK ? prepare_request(work, &request, &work->txn->op) : *refusal;
}

/* CODE_MARSHALLING_ERROR, CODE_SYSTEM_ERROR: the arena is full. Both without a transaction. */
static enum code decode(const struct preparation *work, const struct wire_record *record,
                        struct slice *input, void *out)
{
    const enum err err = wire_decode(record, 0, input, work->arena, out);
    if (err == ERR_OK)
        return CODE_OK;
    return err == ERR_LIMIT ? CODE_SYSTEM_ERROR : CODE_MARSHALLING_ERROR;
}

/* What is asked for was judged by who knows the members. */
static enum code prepare_reconfig(const struct preparation *work, enum code *refusal)
{
    struct zk_reconfig_request request;
    struct slice input = work->request->body;
    *refusal = decode(work, &zk_reconfig_request_wire, &input, &request);
    if (!work->keeper->options.reconfig_enabled)
        return CODE_RECONFIG_DISABLED;
    struct pending_state state;
    enum code code = check_session(work);
    if (code == CODE_OK)
        code = (enum code)work->request->config_code;
    if (code == CODE_OK)
        code = look_at(work, SLICE_LITERAL("/zookeeper/config"), &state);
    if (code == CODE_OK)
        code = check_acl(work, state.acl, ACL_WRITE);
    if (code != CODE_OK)
        return code;
    work->txn->op = (struct txn_op){
        .type = OP_RECONFIG,
        .path = SLICE_LITERAL("/zookeeper/config"),
        .data = work->request->config,
        .version = -1,
    };
    return note_set_data(work, &work->txn->op);
}

static enum code prepare(const struct preparation *work, enum code *refusal)
{
    switch (work->request->type) {
    case OP_MULTI: return prepare_multi(work, refusal);
    case OP_CREATE_SESSION: return prepare_create_session(work, &work->txn->op);
    case OP_CLOSE_SESSION: return prepare_close_session(work, &work->txn->op);
    case OP_RECONFIG: return prepare_reconfig(work, refusal);
    }
    return prepare_single(work, refusal);
}

static void fail(struct txn *txn, enum code code)
{
    txn->op = error_op(code);
    txn->ops = NULL;
    txn->op_count = 0;
}

enum code keeper_prepare(struct keeper *keeper, const struct keeper_request *request,
                         struct arena *arena, struct txn *txn)
{
    *txn = (struct txn){
        .session_id = request->session_id,
        .cxid = request->cxid,
        .zxid = keeper->zxid_prepared + 1,
        .time_ms = request->time_ms,
    };
    const struct preparation work = {keeper, request, arena, txn};
    enum code refusal = CODE_OK;
    keeper->breach = (struct quota_breach){0};
    pending_begin(&keeper->pending, arena, txn->zxid);
    enum code code = prepare(&work, &refusal);
    if (code == CODE_OK && txn_codec_entry_bytes(txn) > (size_t)keeper->options.record_bytes_max)
        code = CODE_BAD_ARGUMENTS; /* Apache's servers could not read it back. */
    if (code == CODE_OK)
        pending_keep(&keeper->pending);
    else
        pending_roll_back(&keeper->pending);
    if (refusal != CODE_OK)
        return refusal;
    if (code != CODE_OK)
        fail(txn, code);
    keeper->zxid_prepared = txn->zxid;
    return CODE_OK;
}

void keeper_prepare_refusal(struct keeper *keeper, const struct keeper_request *request,
                            enum code code, struct txn *txn)
{
    *txn = (struct txn){
        .session_id = request->session_id,
        .cxid = request->cxid,
        .zxid = ++keeper->zxid_prepared,
        .time_ms = request->time_ms,
    };
    fail(txn, code);
}
