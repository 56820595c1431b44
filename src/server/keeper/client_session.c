#include "server/keeper/client_session.h"

#include "base/bytes.h"
#include "server/keeper/client_request.h"
#include "server/keeper/keeper_write.h"
#include "server/keeper/local_session.h"
#include "server/keeper/quorum_peer.h"
#include "server/keeper/reply_frame.h"

enum { millisecond_ns = 1000000 };

static void reply_connect(struct client_link *client, struct net_reply *reply,
                          struct zk_connect_reply *connect)
{
    connect->read_only = client->server->role == KEEPER_READ_ONLY;
    const int version = client->has_read_only_byte ? 1 : 0;
    struct net_message *message = reply_frame_record(client->server->shard->heap, NULL,
                                                     &zk_connect_reply_wire, version, connect);
    client_link_reply(client, reply, message, io_now_ns(client->server->shard->io));
}

/* The protocol's way to say that the session has expired. */
static void reply_no_session(struct client_link *client, struct net_reply *reply)
{
    static const uint8_t zeros[session_password_bytes];
    struct zk_connect_reply connect = {.password = slice_of(zeros, sizeof zeros)};
    reply_connect(client, reply, &connect);
    client_link_close(client, "no such session", true);
}

static void reply_session(struct client_link *client, struct net_reply *reply)
{
    uint8_t password[session_password_bytes];
    session_password(client->keeper.session_id, password);
    struct zk_connect_reply connect = {.timeout_ms = client->timeout_ms,
                                       .session_id = client->keeper.session_id,
                                       .password = slice_of(password, sizeof password)};
    reply_connect(client, reply, &connect);
}

static void open_session(struct client_link *client, struct net_reply *reply)
{
    client_link_add_session(client);
    client->phase = CLIENT_LINK_OPEN;
    client->is_touched = true;
    reply_session(client, reply);
}

void client_session_on_created(struct client_link *client, struct net_reply *reply, int32_t code)
{
    struct keeper_server *server = client->server;
    if (client->net == NULL || client->phase != CLIENT_LINK_CONNECTING || code != CODE_OK) {
        client->outstanding_count--;
        net_reply_drop(reply);
        client_link_close(client, "no session can be created now", false);
        return;
    }
    keeper_move_session(&server->keeper, client->keeper.session_id, client->id);
    open_session(client, reply);
    if (client->net != NULL)
        net_connection_resume(client->net);
}

void client_session_on_moved(struct client_link *client, struct net_reply *reply)
{
    client->outstanding_count--;
    net_reply_drop(reply);
    client_link_close(client, "the session has moved to another connection", false);
}

void client_session_on_end(struct client_link *client)
{
    client_link_close(client, "the session has ended", true);
}

static void create_session(struct client_link *client, struct net_reply *reply)
{
    struct keeper_server *server = client->server;
    uint8_t timeout[4];
    store_i32(timeout, client->timeout_ms);
    client->keeper.session_id = keeper_next_session_id(&server->keeper);
    client->phase = CLIENT_LINK_CONNECTING;
    net_connection_pause(client->net);
    const enum code code = keeper_write_start(
        server, &(struct keeper_write_request){.client = client,
                                               .reply = reply,
                                               .type = OP_CREATE_SESSION,
                                               .session_id = client->keeper.session_id,
                                               .body = slice_of(timeout, 4),
                                               /* Deleting, to make room, needs a session. */
                                               .is_essential = true});
    if (code != CODE_OK)
        client_session_on_created(client, reply, code);
}

/* The session goes on here. */
static void adopt_session(struct client_link *client, struct net_reply *reply, int64_t session_id)
{
    struct keeper_server *server = client->server;
    struct client_link *old = client_link_find(server, session_id);
    if (old != NULL)
        client_link_close(old, "the session has moved to another connection", false);
    keeper_move_session(&server->keeper, session_id, client->id);
    client->keeper.session_id = session_id;
    /* What the session wrote on another connection may still be on its way. */
    client_request_set_barrier(client, keeper_write_last(server));
    open_session(client, reply);
}

/* Known to nobody else; it ends with the role. */
static void create_local_session(struct client_link *client, struct net_reply *reply)
{
    struct keeper *keeper = &client->server->keeper;
    const int64_t session_id = keeper_next_session_id(keeper);
    if (keeper_open_local_session(keeper, session_id, client->timeout_ms,
                                  keeper_server_now_ms(client->server)) == CODE_OK) {
        adopt_session(client, reply, session_id);
        return;
    }
    client->outstanding_count--;
    net_reply_drop(reply);
    client_link_close(client, "no session can be created now", false);
}

/* Only the leader knows which sessions live. */
static void ask_leader(struct client_link *client, struct net_reply *reply, int64_t session_id)
{
    struct keeper_server *server = client->server;
    client->keeper.session_id = session_id;
    client->phase = CLIENT_LINK_CONNECTING;
    client->revalidate = reply;
    client->is_revalidating = true;
    list_push(&server->revalidations, &client->paused_link);
    net_connection_pause(client->net);
    quorum_peer_revalidate(server->peer, session_id, client->timeout_ms);
}

static void resume_session(struct client_link *client, struct net_reply *reply,
                           const struct zk_connect_request *connect)
{
    struct keeper_server *server = client->server;
    const int64_t session_id = connect->session_id;
    const bool is_leaders =
        server->role == KEEPER_LEARNER && !keeper_has_local_session(&server->keeper, session_id);
    if (is_leaders && keeper_is_password(session_id, connect->password))
        ask_leader(client, reply, session_id);
    else if (!is_leaders && keeper_may_resume(&server->keeper, session_id, connect->password) &&
             keeper_touch_session(&server->keeper, session_id, client->timeout_ms,
                                  keeper_server_now_ms(server)))
        adopt_session(client, reply, session_id);
    else
        reply_no_session(client, reply);
}

static struct client_link *find_revalidation(struct keeper_server *server, int64_t session_id)
{
    list_each (at, &server->revalidations) {
        struct client_link *client = CONTAINER_OF(at, struct client_link, paused_link);
        if (client->keeper.session_id == session_id)
            return client;
    }
    return NULL;
}

void client_session_on_revalidated(struct keeper_server *server, int64_t session_id, bool lives)
{
    struct client_link *client = find_revalidation(server, session_id);
    if (client == NULL)
        return; /* It has hung up. */
    struct net_reply *reply = client->revalidate;
    list_remove(&client->paused_link);
    client->revalidate = NULL;
    client->is_revalidating = false;
    client->keeper.session_id = 0;
    /* Its creation may not have come to this server yet. */
    if (lives && keeper_know_session(&server->keeper, session_id, client->timeout_ms,
                                     keeper_server_now_ms(server)) == ERR_OK) {
        adopt_session(client, reply, session_id);
        if (client->net != NULL)
            net_connection_resume(client->net);
    } else {
        reply_no_session(client, reply);
    }
}

/* The last byte, whether a read-only server would do, is missing from old clients. */
static enum err decode_connect(struct client_link *client, struct slice frame,
                               struct zk_connect_request *connect)
{
    struct slice rest = frame;
    struct arena *arena = &client->server->arena;
    const enum err err = wire_decode(&zk_connect_request_wire, 0, &rest, arena, connect);
    client->has_read_only_byte = err == ERR_OK && rest.size > 0;
    connect->read_only = client->has_read_only_byte && rest.data[0] != 0;
    return err;
}

/* Whether the session may be opened or renewed now. */
static bool take_tokens(struct keeper_server *server, bool is_new)
{
    uint32_t random;
    io_entropy(server->shard->io, &random, sizeof random);
    return connection_throttle_take(&server->throttle, is_new,
                                    (int64_t)(io_now_ns(server->shard->io) / millisecond_ns),
                                    random / (UINT32_MAX + 1.0));
}

/* Otherwise the link is closed, and its client tries another server. */
static bool may_be_served(struct client_link *client, const struct zk_connect_request *connect)
{
    struct keeper_server *server = client->server;
    const bool is_read_only = server->role == KEEPER_READ_ONLY;
    if (is_read_only && !connect->read_only) {
        client_link_close(client, "the client would write, and this server is read-only now",
                          false);
        return false;
    }
    if (connect->last_zxid_seen > server->keeper.zxid_applied) {
        diag_warn(server->shard->diag, "refused a client that has seen zxid 0x%llx; ours is 0x%llx",
                  (unsigned long long)connect->last_zxid_seen,
                  (unsigned long long)server->keeper.zxid_applied);
        client_link_close(client, "the client has seen a later zxid", false);
        return false;
    }
    if (is_read_only && keeper_has_session(&server->keeper, connect->session_id)) {
        client_link_close(client, "the client's session needs a leader", false);
        return false;
    }
    return true;
}

void client_session_on_connect(struct client_link *client, struct slice frame)
{
    struct keeper_server *server = client->server;
    struct zk_connect_request connect;
    if (!server->is_serving) {
        server->stats.counts.unserved_connection_count++;
        client_link_close(client, "this server does not serve clients now", false);
        return;
    }
    if (decode_connect(client, frame, &connect) != ERR_OK) {
        client_link_expel(client, "the connect request is malformed", false);
        return;
    }
    if (!take_tokens(server, connect.session_id == 0)) {
        client_link_expel(client, "too many sessions at once (connection_throttle_tokens)", false);
        return;
    }
    server->stats.counts.connect_request_count++;
    if (!may_be_served(client, &connect))
        return;
    metric_summary_add(&server->stats.summaries.token_deficit,
                       (uint64_t)(server->throttle.token_count_max - server->throttle.token_count));
    struct net_reply *reply = net_reply_reserve(client->net);
    if (reply == NULL) {
        client_link_close(client, "no memory for a reply", false);
        return;
    }
    client->outstanding_count++;
    client->timeout_ms = keeper_clamp_timeout(&server->keeper, connect.timeout_ms);
    if (connect.session_id == 0) {
        client->type_last = OP_CREATE_SESSION;
        if (local_session_is_due(server))
            create_local_session(client, reply);
        else
            create_session(client, reply);
    } else {
        server->stats.counts.connection_revalidate_count++;
        resume_session(client, reply, &connect);
    }
}
