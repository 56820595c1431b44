#include "server/keeper/local_session.h"

#include <inttypes.h>

#include "base/bytes.h"
#include "keeper/write_request.h"
#include "server/keeper/client_link.h"
#include "server/keeper/client_session.h"
#include "server/keeper/keeper_write.h"

bool local_session_is_due(const struct keeper_server *server)
{
    return server->role == KEEPER_READ_ONLY || keeper_config_opens_local_sessions(&server->config);
}

/* ---- upgrades ---- */

static enum code create_global(struct keeper_server *server, int64_t session_id)
{
    uint8_t timeout[sizeof(int32_t)];
    store_i32(timeout, keeper_local_session_timeout_ms(&server->keeper, session_id));
    return keeper_write_start(server, &(struct keeper_write_request){.type = OP_CREATE_SESSION,
                                                                     .session_id = session_id,
                                                                     .body = slice_of(timeout, 4),
                                                                     .is_essential = true});
}

/* The leader promises the session itself when it prepares the transaction. */
static enum code upgrade(struct keeper_server *server, int64_t session_id, uint64_t owner)
{
    struct keeper *keeper = &server->keeper;
    const bool is_learner = server->role == KEEPER_LEARNER;
    if (is_learner && !keeper_promise_session(keeper, session_id, owner))
        return CODE_SYSTEM_ERROR;
    const enum code code = create_global(server, session_id);
    if (code == CODE_OK)
        keeper_close_local_session(keeper, session_id);
    else if (is_learner)
        keeper_drop_promise(keeper, session_id);
    return code;
}

enum code local_session_admit(struct keeper_server *server, int64_t session_id, uint64_t owner,
                              int32_t type, struct slice body, enum code *refusal)
{
    *refusal = CODE_OK;
    const enum code code = keeper_check_session(&server->keeper, session_id, owner);
    if (code != CODE_OK)
        return code;
    arena_reset(&server->arena);
    if (!write_request_wants_ephemeral(type, body, &server->arena))
        return CODE_OK;
    if (server->config.local_sessions_upgrade)
        return upgrade(server, session_id, owner);
    /* A leader elsewhere can only say that it does not know the session. */
    *refusal = CODE_EPHEMERAL_ON_LOCAL_SESSION;
    return CODE_OK;
}

void local_session_on_refused(struct keeper_server *server, int64_t session_id)
{
    struct client_link *client = client_link_find(server, session_id);
    keeper_drop_promise(&server->keeper, session_id);
    if (client != NULL)
        client_session_on_end(client);
}

/* ---- expiry ---- */

void local_session_expire(struct keeper_server *server)
{
    int64_t session_id;
    while (keeper_expire_next_local(&server->keeper, server->ticked_ms, &session_id)) {
        struct client_link *client = client_link_find(server, session_id);
        server->stats.counts.expired_session_count++;
        diag_info(server->shard->diag, "local session 0x%" PRIx64 " has expired",
                  (uint64_t)session_id);
        keeper_close_local_session(&server->keeper, session_id);
        if (client != NULL)
            client_session_on_end(client);
    }
}
