#include "keeper/keeper.h"

#include "base/assert.h"

enum err keeper_init(struct keeper *keeper, struct heap *heap, struct keeper_options options,
                     int64_t now_ms)
{
    *keeper = (struct keeper){.options = options, .heap = heap};
    const uint64_t seed = options.hash_seed;
    assert(options.record_bytes_max > 0 && options.tick_ms > 0);
    slab_init(&keeper->slab, heap);
    if (tree_init(&keeper->tree, heap, &keeper->slab,
                  (struct tree_options){
                      .hash_seed = seed,
                      .extended_types_enabled = options.extended_types_enabled,
                  }) != ERR_OK ||
        session_table_init(
            &keeper->sessions, heap,
            (struct session_table_options){.tick_ms = options.tick_ms, .hash_seed = seed},
            now_ms) != ERR_OK ||
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
    session_table_deinit(&keeper->sessions);
    if (keeper->tree.heap != NULL)
        tree_deinit(&keeper->tree);
    slab_deinit(&keeper->slab);
    *keeper = (struct keeper){0};
}

enum err keeper_connection_init(struct keeper *keeper, struct keeper_connection *connection,
                                struct slice address)
{
    connection->session_id = 0;
    watch_table_init_watcher(&connection->watcher);
    return auth_set_init(&connection->auth, keeper->heap, address);
}

void keeper_connection_deinit(struct keeper *keeper, struct keeper_connection *connection)
{
    watch_table_drop_watcher(&keeper->watches, &connection->watcher);
    auth_set_deinit(&connection->auth, keeper->heap);
}

enum code keeper_connection_auth(struct keeper *keeper, struct keeper_connection *connection,
                                 struct slice scheme, struct slice secret)
{
    return auth_set_add(&connection->auth, keeper->heap, &keeper->options.auth, scheme, secret);
}

int32_t keeper_clamp_timeout(const struct keeper *keeper, int32_t timeout_ms)
{
    if (timeout_ms < keeper->options.timeout_ms_min)
        return keeper->options.timeout_ms_min;
    return timeout_ms > keeper->options.timeout_ms_max ? keeper->options.timeout_ms_max
                                                       : timeout_ms;
}

int64_t keeper_next_session_id(struct keeper *keeper)
{
    /* A clock that was set back may bring us to ids that are in use; zero and the mark of
     * containers are never ids. */
    while (session_table_find(&keeper->sessions, keeper->session_id_next) != NULL ||
           keeper->session_id_next == 0 || keeper->session_id_next == TREE_OWNER_CONTAINER_MARK)
        keeper->session_id_next = (int64_t)((uint64_t)keeper->session_id_next + 1);
    const int64_t id = keeper->session_id_next;
    keeper->session_id_next = (int64_t)((uint64_t)id + 1);
    return id;
}

bool keeper_may_resume(const struct keeper *keeper, int64_t session_id, struct slice password)
{
    uint8_t expected[session_password_bytes];
    session_password(session_id, expected);
    const struct session *session = session_table_find(&keeper->sessions, session_id);
    return acl_secret_equal(password, slice_of(expected, sizeof expected)) && session != NULL &&
           !session->closing;
}

void keeper_move_session(struct keeper *keeper, int64_t session_id, uint64_t owner)
{
    session_table_set_owner(&keeper->sessions, session_id, owner);
}

bool keeper_touch_session(struct keeper *keeper, int64_t session_id, int32_t timeout_ms,
                          int64_t now_ms)
{
    return session_table_touch(&keeper->sessions, session_id, timeout_ms, now_ms);
}

enum code keeper_check_session(struct keeper *keeper, int64_t session_id, uint64_t owner)
{
    return session_table_check(&keeper->sessions, session_id, owner);
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
    keeper->pending_session_count = 0;
    keeper->zxid_prepared = keeper->zxid_applied;
}
