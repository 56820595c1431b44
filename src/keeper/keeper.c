#include "keeper/keeper.h"

#include "base/assert.h"

enum err keeper_init(struct keeper *keeper, struct heap *heap, struct keeper_options options,
                     int64_t now_ms)
{
    *keeper = (struct keeper){.options = options, .heap = heap};
    const uint64_t seed = options.hash_seed;
    const struct session_table_options session_options = {.tick_ms = options.tick_ms,
                                                          .hash_seed = seed};
    assert(options.record_bytes_max > 0 && options.tick_ms > 0);
    slab_init(&keeper->slab, heap);
    if (tree_init(&keeper->tree, heap, &keeper->slab,
                  (struct tree_options){
                      .hash_seed = seed,
                      .extended_types_enabled = options.extended_types_enabled,
                      .emulates_353_ttl = options.emulates_353_ttl,
                  }) != ERR_OK ||
        session_table_init(&keeper->sessions, &keeper->slab, session_options, now_ms) != ERR_OK ||
        session_table_init(&keeper->local_sessions, &keeper->slab, session_options, now_ms) !=
            ERR_OK ||
        watch_table_init(&keeper->watches, heap, &keeper->slab,
                         (struct watch_table_options){
                             .hash_seed = seed,
                             .watch_count_max = options.watch_count_max,
                             .acls = &keeper->tree.acls,
                         }) != ERR_OK ||
        pending_init(&keeper->pending, heap, &keeper->tree, seed) != ERR_OK)
        goto fail;
    keeper->session_id_next = session_id_first(options.server_id, now_ms);
    return ERR_OK;

fail:
    keeper_deinit(keeper);
    return ERR_NO_MEMORY;
}

void keeper_deinit(struct keeper *keeper)
{
    heap_give(keeper->heap, keeper->path_room.bytes);
    heap_give(keeper->heap, keeper->quota_room.bytes);
    pending_deinit(&keeper->pending);
    watch_table_deinit(&keeper->watches);
    session_table_deinit(&keeper->local_sessions);
    session_table_deinit(&keeper->sessions);
    if (keeper->tree.heap != NULL)
        tree_deinit(&keeper->tree);
    slab_deinit(&keeper->slab);
    *keeper = (struct keeper){0};
}

void keeper_move(struct keeper *keeper, struct keeper *from)
{
    *keeper = *from;
    slab_move(&keeper->slab, &from->slab);
    tree_move(&keeper->tree, &from->tree, &keeper->slab);
    session_table_move(&keeper->sessions, &from->sessions, &keeper->slab);
    session_table_move(&keeper->local_sessions, &from->local_sessions, &keeper->slab);
    watch_table_move(&keeper->watches, &from->watches, &keeper->slab, &keeper->tree.acls);
    pending_move(&keeper->pending, &from->pending, &keeper->tree);
    *from = (struct keeper){0};
}

void keeper_set_zxid(struct keeper *keeper, int64_t zxid)
{
    assert(keeper->zxid_prepared == keeper->zxid_applied);
    keeper->zxid_applied = zxid;
    keeper->zxid_prepared = zxid;
}

enum err keeper_connection_init(struct keeper *keeper, struct keeper_connection *connection,
                                struct slice address)
{
    connection->session_id = 0;
    watch_table_init_watcher(&connection->watcher);
    return auth_set_init(&connection->auth, &keeper->slab, address);
}

void keeper_connection_deinit(struct keeper *keeper, struct keeper_connection *connection)
{
    watch_table_drop_watcher(&keeper->watches, &connection->watcher);
    auth_set_deinit(&connection->auth, &keeper->slab);
}

enum code keeper_connection_auth(struct keeper *keeper, struct keeper_connection *connection,
                                 struct slice scheme, struct slice secret)
{
    return auth_set_add(&connection->auth, &keeper->slab, &keeper->options.auth, scheme, secret);
}

int32_t keeper_clamp_timeout(const struct keeper *keeper, int32_t timeout_ms)
{
    if (timeout_ms < keeper->options.timeout_ms_min)
        return keeper->options.timeout_ms_min;
    return timeout_ms > keeper->options.timeout_ms_max ? keeper->options.timeout_ms_max
                                                       : timeout_ms;
}

/* --- sessions --- */

enum code keeper_open_local_session(struct keeper *keeper, int64_t session_id, int32_t timeout_ms,
                                    int64_t now_ms)
{
    if (keeper->sessions.by_id.count + keeper->local_sessions.by_id.count >=
        keeper->options.session_count_max)
        return CODE_SYSTEM_ERROR;
    const enum err err =
        session_table_open(&keeper->local_sessions, session_id, timeout_ms, now_ms);
    return err == ERR_OK ? CODE_OK : CODE_SYSTEM_ERROR;
}

bool keeper_has_local_session(const struct keeper *keeper, int64_t session_id)
{
    return keeper->local_sessions.by_id.count > 0 &&
           session_table_find(&keeper->local_sessions, session_id) != NULL;
}

bool keeper_has_session(const struct keeper *keeper, int64_t session_id)
{
    return session_table_has(&keeper->sessions, session_id);
}

void keeper_close_local_session(struct keeper *keeper, int64_t session_id)
{
    (void)session_table_close(&keeper->local_sessions, session_id);
}

void keeper_close_local_sessions(struct keeper *keeper)
{
    session_table_close_all(&keeper->local_sessions);
}

void keeper_end_local_session(struct keeper *keeper, int64_t session_id)
{
    session_table_mark_closing(&keeper->local_sessions, session_id);
}

int32_t keeper_local_session_timeout_ms(const struct keeper *keeper, int64_t session_id)
{
    return session_table_find(&keeper->local_sessions, session_id)->timeout_ms;
}

bool keeper_promise_session(struct keeper *keeper, int64_t session_id, uint64_t owner)
{
    return session_table_promise(&keeper->sessions, session_id, owner);
}

void keeper_drop_promise(struct keeper *keeper, int64_t session_id)
{
    session_table_drop_promise(&keeper->sessions, session_id);
}

bool keeper_expire_next_local(struct keeper *keeper, int64_t now_ms, int64_t *session_id)
{
    const struct session *session = session_table_expire_next(&keeper->local_sessions, now_ms);
    if (session != NULL)
        *session_id = session->id;
    return session != NULL;
}

static const struct session_table *table_of(const struct keeper *keeper, int64_t session_id)
{
    return keeper_has_local_session(keeper, session_id) ? &keeper->local_sessions
                                                        : &keeper->sessions;
}

static struct session_table *table_of_mut(struct keeper *keeper, int64_t session_id)
{
    return keeper_has_local_session(keeper, session_id) ? &keeper->local_sessions
                                                        : &keeper->sessions;
}

int64_t keeper_next_session_id(struct keeper *keeper)
{
    /* A clock that was set back may bring us to ids that are in use; zero and the mark of
     * containers are never ids. */
    while (session_table_find(&keeper->sessions, keeper->session_id_next) != NULL ||
           keeper_has_local_session(keeper, keeper->session_id_next) ||
           keeper->session_id_next == 0 || keeper->session_id_next == TREE_OWNER_CONTAINER_MARK)
        keeper->session_id_next = (int64_t)((uint64_t)keeper->session_id_next + 1);
    const int64_t id = keeper->session_id_next;
    keeper->session_id_next = (int64_t)((uint64_t)id + 1);
    return id;
}

bool keeper_is_password(int64_t session_id, struct slice password)
{
    uint8_t expected[session_password_bytes];
    session_password(session_id, expected);
    return acl_secret_equal(password, slice_of(expected, sizeof expected));
}

bool keeper_may_resume(const struct keeper *keeper, int64_t session_id, struct slice password)
{
    return keeper_is_password(session_id, password) &&
           session_table_lives(table_of(keeper, session_id), session_id);
}

enum err keeper_know_session(struct keeper *keeper, int64_t session_id, int32_t timeout_ms,
                             int64_t now_ms)
{
    return session_table_open(&keeper->sessions, session_id, timeout_ms, now_ms);
}

void keeper_move_session(struct keeper *keeper, int64_t session_id, uint64_t owner)
{
    session_table_set_owner(table_of_mut(keeper, session_id), session_id, owner);
}

bool keeper_touch_session(struct keeper *keeper, int64_t session_id, int32_t timeout_ms,
                          int64_t now_ms)
{
    return session_table_touch(table_of_mut(keeper, session_id), session_id, timeout_ms, now_ms);
}

enum code keeper_check_session(struct keeper *keeper, int64_t session_id, uint64_t owner)
{
    return session_table_check(table_of_mut(keeper, session_id), session_id, owner);
}

bool keeper_expire_next(struct keeper *keeper, int64_t now_ms, int64_t *session_id)
{
    const struct session *session = session_table_expire_next(&keeper->sessions, now_ms);
    if (session != NULL)
        *session_id = session->id;
    return session != NULL;
}

uint64_t keeper_znode_count(const struct keeper *keeper)
{
    /* The root is not in the table. */
    return keeper->tree.by_path.count + 2;
}

void keeper_drop_pending(struct keeper *keeper)
{
    pending_settle(&keeper->pending, INT64_MAX);
    session_table_drop_promises(&keeper->sessions);
    keeper->zxid_prepared = keeper->zxid_applied;
}
