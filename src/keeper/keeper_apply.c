/* The consequences: a committed transaction changes the tree and the sessions, and fires watches.
 *
 * Replaying a transaction over a snapshot that already shows its effect must do no harm: what
 * exists stays, what is gone stays gone, and the counters of a parent only rise. */
#include "base/assert.h"
#include "keeper/keeper.h"
#include "keeper/path.h"
#include "keeper/quota.h"

/* One transaction on its way, and the adapter between the watch table and the server. */
struct application {
    struct watch_sink sink;
    struct keeper *keeper;
    struct keeper_sink *out; /* NULL: nobody is connected. */
    const struct txn *txn;
};

static void hand_on(struct watch_sink *sink, struct watcher *watcher,
                    const struct watch_event *event)
{
    struct application *work = CONTAINER_OF(sink, struct application, sink);
    struct keeper_connection *connection = CONTAINER_OF(watcher, struct keeper_connection, watcher);
    const bool may_hear =
        work->keeper->options.skip_acl ||
        acl_list_grants(event->acl->list, ACL_READ, auth_set_list(&connection->auth));
    if (may_hear && work->out != NULL)
        work->out->on_watch(work->out, connection, event);
}

static void fire(struct application *work, enum watch_kind kind, enum watch_event_type type,
                 struct slice path, struct acl_entry *acl)
{
    if (work->keeper->watches.watches.count == 0)
        return;
    const struct watch_event event = {
        .type = type, .path = path, .zxid = work->txn->zxid, .acl = acl};
    watch_table_fire(&work->keeper->watches, kind, &event, &work->sink);
}

static void fire_children_changed(struct application *work, struct slice path,
                                  const struct znode *parent)
{
    watch_table_begin_round(&work->keeper->watches);
    fire(work, WATCH_KIND_CHILD, WATCH_EVENT_CHILDREN_CHANGED, path_parent(path),
         tree_acl(&work->keeper->tree, parent));
}

/* At least size bytes; what was in the room before is lost. */
static uint8_t *take_room(struct keeper *keeper, struct keeper_room *room, size_t size)
{
    if (size > room->capacity) {
        heap_give(keeper->heap, room->bytes);
        room->capacity = 2 * size;
        room->bytes = heap_take(keeper->heap, room->capacity);
        assert(room->bytes != NULL); /* The heap's limit is above what keeper_prepare grants. */
    }
    return room->bytes;
}

/* --- the configuration --- */

enum err keeper_set_config(struct keeper *keeper, struct slice text, int64_t version,
                           int64_t time_ms)
{
    const struct slice path = SLICE_LITERAL("/zookeeper/config");
    struct znode *znode = tree_find(&keeper->tree, path);
    assert(znode != NULL);
    const enum err err = tree_set_data(&keeper->tree, znode, text);
    if (err != ERR_OK)
        return err;
    znode->version = -1; /* As Apache's servers do. */
    znode->mzxid = version;
    tree_set_mtime(znode, time_ms);
    tree_changed(&keeper->tree, znode, path);
    return ERR_OK;
}

/* --- quotas --- */

/* The quota that counts path now has more or less in it. */
static void count_in_quota(struct application *work, struct slice path, struct quota_change change)
{
    struct keeper *keeper = work->keeper;
    uint8_t *room = take_room(keeper, &keeper->quota_room, quota_name_bytes(path));
    const struct quota_znodes quota = quota_find(&keeper->tree, path, room);
    const enum err err = quota_add(&keeper->tree, quota, change);
    assert(err == ERR_OK); /* The heap's limit is above what keeper_prepare grants. */
}

/* A usage znode is born: it starts with what is there. */
static void start_quota(struct application *work, struct znode *znode, struct slice path)
{
    struct slice counted;
    if (!quota_is_usage(path, &counted))
        return;
    const enum err err = quota_count(&work->keeper->tree, znode, counted);
    assert(err == ERR_OK); /* The heap's limit is above what keeper_prepare grants. */
}

/* --- create --- */

static struct acl_entry *acquire_acl(struct tree *tree, struct acl_list acl)
{
    if (acl.items == NULL || acl.count < 0)
        return acl_table_share(tree->acls.open);
    struct acl_entry *entry = acl_table_acquire(&tree->acls, acl);
    assert(entry != NULL); /* keeper_prepare judged that there is room. */
    return entry;
}

static struct znode_more *take_more(struct application *work, struct znode *znode)
{
    struct znode_more *more = tree_take_more(&work->keeper->tree, znode);
    assert(more != NULL); /* The heap's limit is above what keeper_prepare grants. */
    return more;
}

/* A create that was seen before only raises what it left on the parent. */
static void raise_parent(struct application *work, struct znode *parent, struct slice path,
                         int32_t cversion)
{
    struct znode_more *more = take_more(work, parent);
    if (cversion == -1)
        cversion = (int32_t)((uint32_t)more->cversion + 1);
    if (cversion <= more->cversion)
        return;
    more->cversion = cversion;
    more->pzxid = work->txn->zxid;
    tree_changed(&work->keeper->tree, parent, path_parent(path));
}

static int64_t owner_of(const struct application *work, const struct txn_op *op)
{
    if (op->type == OP_CREATE_CONTAINER)
        return TREE_OWNER_CONTAINER_MARK;
    if (op->type == OP_CREATE_TTL)
        return tree_ttl_owner(op->ttl_ms);
    return op->ephemeral ? work->txn->session_id : 0;
}

static enum code apply_create(struct application *work, const struct txn_op *op,
                              struct zk_stat *stat)
{
    struct tree *tree = &work->keeper->tree;
    struct znode *parent = tree_find(tree, path_parent(op->path));
    if (parent == NULL)
        return CODE_NO_NODE;
    if (tree_find(tree, op->path) != NULL) {
        raise_parent(work, parent, op->path, op->version);
        return CODE_NODE_EXISTS;
    }
    struct znode *znode = tree_create(tree, parent,
                                      &(struct tree_create_options){
                                          .path = op->path,
                                          .data = op->data,
                                          .acl = acquire_acl(tree, op->acl),
                                          .owner = owner_of(work, op),
                                          .zxid = work->txn->zxid,
                                          .time_ms = work->txn->time_ms,
                                      });
    assert(znode != NULL); /* keeper_prepare judged that there is room. */
    raise_parent(work, parent, op->path, op->version);
    tree_stat(tree, znode, stat);
    start_quota(work, znode, op->path);
    count_in_quota(work, op->path, (struct quota_change){1, (int64_t)op->data.size});

    watch_table_begin_round(&work->keeper->watches);
    fire(work, WATCH_KIND_DATA, WATCH_EVENT_CREATED, op->path, tree_acl(tree, znode));
    fire_children_changed(work, op->path, parent);
    return CODE_OK;
}

/* --- delete --- */

static void raise_pzxid(struct application *work, struct znode *parent, struct slice path)
{
    if (work->txn->zxid <= tree_more(&work->keeper->tree, parent).pzxid)
        return;
    take_more(work, parent)->pzxid = work->txn->zxid;
    tree_changed(&work->keeper->tree, parent, path_parent(path));
}

static enum code apply_delete(struct application *work, struct slice path)
{
    struct tree *tree = &work->keeper->tree;
    struct znode *parent = tree_find(tree, path_parent(path));
    if (parent == NULL)
        return CODE_NO_NODE;
    raise_pzxid(work, parent, path);
    struct znode *znode = tree_find(tree, path);
    if (znode == NULL)
        return CODE_NO_NODE;
    struct acl_entry *acl = acl_table_share(tree_acl(tree, znode));
    struct quota_change change = {0, 0};
    for (const struct znode *at = znode; at != NULL; at = tree_next_below(tree, at, znode)) {
        change.count--;
        change.bytes -= (int64_t)tree_data(tree, at).size;
    }
    if (tree_first_child(tree, znode) == NULL)
        tree_delete(tree, znode);
    else
        tree_delete_subtree(tree, znode);
    count_in_quota(work, path, change);

    /* Whoever watches both data and children of the znode hears of its end once. */
    watch_table_begin_round(&work->keeper->watches);
    fire(work, WATCH_KIND_DATA, WATCH_EVENT_DELETED, path, acl);
    fire(work, WATCH_KIND_CHILD, WATCH_EVENT_DELETED, path, acl);
    fire_children_changed(work, path, parent);
    acl_table_release(&tree->acls, acl);
    return CODE_OK;
}

/* --- changes --- */

static enum code apply_set_data(struct application *work, const struct txn_op *op,
                                struct zk_stat *stat)
{
    struct tree *tree = &work->keeper->tree;
    struct znode *znode = tree_find(tree, op->path);
    if (znode == NULL)
        return CODE_NO_NODE;
    const int64_t bytes = (int64_t)op->data.size - (int64_t)tree_data(tree, znode).size;
    const enum err err = tree_set_data(tree, znode, op->data);
    assert(err == ERR_OK); /* keeper_prepare judged that there is room. */
    znode->version = op->version;
    znode->mzxid = work->txn->zxid;
    tree_set_mtime(znode, work->txn->time_ms);
    tree_changed(tree, znode, op->path);
    tree_stat(tree, znode, stat);
    count_in_quota(work, op->path, (struct quota_change){0, bytes});
    watch_table_begin_round(&work->keeper->watches);
    fire(work, WATCH_KIND_DATA, WATCH_EVENT_DATA_CHANGED, op->path, tree_acl(tree, znode));
    return CODE_OK;
}

static enum code apply_set_acl(struct application *work, const struct txn_op *op,
                               struct zk_stat *stat)
{
    struct tree *tree = &work->keeper->tree;
    struct znode *znode = tree_find(tree, op->path);
    if (znode == NULL)
        return CODE_NO_NODE;
    tree_set_acl(tree, znode, acquire_acl(tree, op->acl));
    take_more(work, znode)->aversion = op->version;
    tree_changed(tree, znode, op->path);
    tree_stat(tree, znode, stat);
    return CODE_OK;
}

/* --- sessions --- */

static enum code apply_create_session(struct application *work, const struct txn_op *op,
                                      int64_t now_ms)
{
    struct keeper *keeper = work->keeper;
    const enum err err =
        session_table_open(&keeper->sessions, work->txn->session_id, op->timeout_ms, now_ms);
    assert(err == ERR_OK); /* keeper_prepare judged that there is room. */
    return CODE_OK;
}

static struct slice path_of(struct keeper *keeper, const struct znode *znode)
{
    const size_t size = tree_path_bytes(&keeper->tree, znode);
    return tree_path_write(&keeper->tree, znode, take_room(keeper, &keeper->path_room, size));
}

static void delete_ephemerals(struct application *work, int64_t session_id)
{
    struct keeper *keeper = work->keeper;
    for (;;) {
        const struct tree_owner *owner = tree_find_owner(&keeper->tree, session_id);
        if (owner == NULL)
            return;
        const struct znode *znode = tree_owned(owner->znodes.next);
        const enum code code = apply_delete(work, path_of(keeper, znode));
        assert(code == CODE_OK);
    }
}

static enum code apply_close_session(struct application *work, const struct txn_op *op)
{
    for (int32_t index = 0; index < op->paths.count; index++) {
        const struct slice path = op->paths.items[index];
        if (!path_is_sound(path) || path.size == 1)
            continue;
        const enum code code = apply_delete(work, path);
        (void)code; /* Already gone: a replay. */
    }
    delete_ephemerals(work, work->txn->session_id);
    session_table_close(&work->keeper->sessions, work->txn->session_id);
    return CODE_OK;
}

/* --- transactions --- */

static enum code apply_op(struct application *work, const struct txn_op *op, int64_t now_ms,
                          struct zk_stat *stat)
{
    switch (op->type) {
    case OP_CREATE:
    case OP_CREATE2:
    case OP_CREATE_CONTAINER:
    case OP_CREATE_TTL: return apply_create(work, op, stat);
    case OP_DELETE:
    case OP_DELETE_CONTAINER: return apply_delete(work, op->path);
    case OP_SET_DATA:
    case OP_RECONFIG: return apply_set_data(work, op, stat);
    case OP_SET_ACL: return apply_set_acl(work, op, stat);
    case OP_CREATE_SESSION: return apply_create_session(work, op, now_ms);
    case OP_CLOSE_SESSION: return apply_close_session(work, op);
    case OP_ERROR: return (enum code)op->code;
    }
    assert(op->type == OP_CHECK || op->type == OP_MULTI);
    return CODE_OK;
}

static void apply_and_note(struct application *work, const struct txn_op *op, int64_t now_ms,
                           struct txn_result *result)
{
    *result = (struct txn_result){.type = op->type, .zxid = work->txn->zxid, .path = op->path};
    result->code = apply_op(work, op, now_ms, &result->stat);
    if (op->type == OP_RECONFIG)
        result->data = op->data;
    if (result->code != CODE_OK)
        result->type = OP_ERROR;
}

static bool has_failed(const struct txn *txn)
{
    for (int32_t index = 0; index < txn->op_count; index++)
        if (txn->ops[index].type == OP_ERROR)
            return true;
    return false;
}

/* Of a failed multi nothing is applied: what came before the failure answers "ok", what came
 * behind it was refused already. */
static void apply_multi(struct application *work, struct arena *arena, struct txn_result *result)
{
    const struct txn *txn = work->txn;
    const bool failed = has_failed(txn);
    struct txn_result unseen = {0};
    result->results = arena_take_array(arena, (size_t)txn->op_count, sizeof *result->results);
    for (int32_t index = 0; index < txn->op_count; index++) {
        const struct txn_op *op = &txn->ops[index];
        struct txn_result *each = result->results == NULL ? &unseen : &result->results[index];
        if (failed && op->type != OP_ERROR)
            *each = (struct txn_result){.type = OP_ERROR, .zxid = txn->zxid};
        else
            apply_and_note(work, op, 0, each);
    }
    if (result->results == NULL)
        result->code = CODE_SYSTEM_ERROR;
    else
        result->result_count = txn->op_count;
}

void keeper_apply(struct keeper *keeper, const struct txn *txn, int64_t now_ms,
                  struct keeper_sink *sink, struct arena *arena, struct txn_result *result)
{
    struct application work = {.sink = {hand_on}, .keeper = keeper, .out = sink, .txn = txn};
    apply_and_note(&work, &txn->op, now_ms, result);
    if (txn->op.type == OP_MULTI)
        apply_multi(&work, arena, result);
    pending_settle(&keeper->pending, txn->zxid);
    keeper->zxid_applied = max_i64(keeper->zxid_applied, txn->zxid);
    keeper->zxid_prepared = max_i64(keeper->zxid_prepared, keeper->zxid_applied);
}

/* --- events that are owed --- */

void keeper_set_event_budget(struct keeper *keeper, uint64_t watch_count)
{
    watch_table_set_budget(&keeper->watches, watch_count);
}

bool keeper_owes_events(const struct keeper *keeper)
{
    return !list_empty(&keeper->watches.firings);
}

void keeper_tell(struct keeper *keeper, struct keeper_connection *connection,
                 struct keeper_sink *sink)
{
    struct application work = {.sink = {hand_on}, .keeper = keeper, .out = sink};
    watch_table_tell(&keeper->watches, &connection->watcher, &work.sink);
}

bool keeper_tell_some(struct keeper *keeper, uint64_t watch_count, struct keeper_sink *sink)
{
    struct application work = {.sink = {hand_on}, .keeper = keeper, .out = sink};
    return watch_table_tell_some(&keeper->watches, watch_count, &work.sink);
}

/* --- start --- */

/* The first session that has ephemerals and does not exist; false: there is none. */
static bool find_dead_session(const struct keeper *keeper, int64_t *session_id)
{
    uint64_t position = 0;
    struct hash_link *link = hash_table_next(&keeper->tree.owners, &position, NULL);
    for (; link != NULL; link = hash_table_next(&keeper->tree.owners, &position, link)) {
        *session_id = CONTAINER_OF(link, const struct tree_owner, by_id)->id;
        if (session_table_find(&keeper->sessions, *session_id) == NULL)
            return true;
    }
    return false;
}

void keeper_start(struct keeper *keeper, int64_t now_ms, int64_t wall_ms)
{
    const struct txn txn = {.zxid = keeper->zxid_applied, .time_ms = wall_ms};
    struct application work = {.sink = {hand_on}, .keeper = keeper, .txn = &txn};
    int64_t session_id;
    while (find_dead_session(keeper, &session_id))
        delete_ephemerals(&work, session_id);
    session_table_renew_all(&keeper->sessions, now_ms);
    keeper->session_id_next = session_id_first(keeper->options.server_id, wall_ms);
}

void keeper_begin_term(struct keeper *keeper, int64_t zxid, int64_t now_ms, int64_t wall_ms)
{
    keeper_drop_pending(keeper);
    keeper->zxid_prepared = max_i64(zxid, keeper->zxid_applied);
    session_table_renew_all(&keeper->sessions, now_ms);
    const int64_t session_id = session_id_first(keeper->options.server_id, wall_ms);
    keeper->session_id_next = max_i64(keeper->session_id_next, session_id);
}
