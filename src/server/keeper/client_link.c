#include "server/keeper/client_link.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "server/keeper/four_letter.h"
#include "server/keeper/keeper_write.h"
#include "server/keeper/reply_frame.h"

enum {
    word_bytes = 4,
    second_ms = 1000,
    nanoseconds_per_ms = 1000000,
    request_header_bytes = 8,
    watch_state_connected = 3,
    xid_event = -1,
    xid_ping = -2
};

static const char too_large[] = "a large request above largeRequestMaxBytes";

/* One request, taken apart as far as every operation needs it. */
struct request {
    struct zk_request_header header;
    struct slice frame; /* With the header. */
    struct slice body;
    struct net_buffer *buffer; /* Holds frame. */
    struct net_reply *reply;
    int32_t identity_count; /* Of the client when it came: auth packets behind it do not count. */
    uint64_t started_at_ns;
};

/* ---- sessions ---- */

static bool is_session(const struct hash_link *link, const void *key)
{
    const struct client_link *client = CONTAINER_OF(link, struct client_link, by_session);
    return client->keeper.session_id == *(const int64_t *)key;
}

static uint64_t session_hash(const struct keeper_server *server, int64_t session_id)
{
    return hash_u64((uint64_t)session_id, server->keeper.options.hash_seed);
}

struct client_link *client_link_find(const struct keeper_server *server, int64_t session_id)
{
    struct hash_link *link = hash_table_find(
        &server->links_by_session, session_hash(server, session_id), is_session, &session_id);
    return link == NULL ? NULL : CONTAINER_OF(link, struct client_link, by_session);
}

static void session_add(struct client_link *client)
{
    struct keeper_server *server = client->server;
    assert(!client->is_in_sessions);
    hash_table_add(&server->links_by_session, &client->by_session,
                   session_hash(server, client->keeper.session_id));
    client->is_in_sessions = true;
}

static void session_remove(struct client_link *client)
{
    if (client->is_in_sessions)
        hash_table_remove(&client->server->links_by_session, &client->by_session);
    client->is_in_sessions = false;
}

/* ---- the life of a link ---- */

static void close_link(struct client_link *client, const char *reason, bool after_sending)
{
    if (client->net == NULL || client->phase == CLIENT_LINK_CLOSING)
        return;
    client->phase = CLIENT_LINK_CLOSING;
    session_remove(client);
    net_connection_close(client->net, reason, after_sending);
}

/* At most one line a second, so that a flood of bad input is not a flood of lines. */
static void tell_expelled(struct client_link *client, const char *reason)
{
    struct keeper_server *server = client->server;
    const uint64_t now_ms = (uint64_t)keeper_server_now_ms(server);
    char text[io_address_text_max];
    server->expelled_untold++;
    if (client->net == NULL ||
        (server->expelled_line_ms != 0 && now_ms < server->expelled_line_ms + second_ms))
        return;
    diag_warn(server->shard->diag, "closed %llu connections, the last one from %s: %s",
              (unsigned long long)server->expelled_untold,
              io_address_print(&client->net->peer, text, sizeof text), reason);
    server->expelled_line_ms = now_ms;
    server->expelled_untold = 0;
}

/* Closes a link for what its client did. */
static void expel(struct client_link *client, const char *reason, bool after_sending)
{
    if (client->phase != CLIENT_LINK_CLOSING)
        tell_expelled(client, reason);
    close_link(client, reason, after_sending);
}

void client_link_release(struct client_link *client)
{
    assert(client->user_count > 0);
    if (--client->user_count == 0 && client->net == NULL)
        heap_give(client->server->shard->heap, client);
}

/* At most one line a second, so that a flood of connections is not a flood of lines. */
static bool is_crowded(struct keeper_server *server)
{
    const int64_t count_max = server->config.connection_count_max;
    if (count_max == 0 || net_connection_count(server->net) <= count_max)
        return false;
    const uint64_t now_ms = (uint64_t)keeper_server_now_ms(server);
    if (server->refused_line_ms == 0 || now_ms >= server->refused_line_ms + second_ms) {
        diag_warn(server->shard->diag, "refused a connection: maxCnxns=%lld are open",
                  (long long)count_max);
        server->refused_line_ms = now_ms;
    }
    return true;
}

static bool on_open(struct net_connection *connection)
{
    struct keeper_server *server = connection->user;
    if (server->phase != KEEPER_SERVER_SERVING || is_crowded(server))
        return false;
    struct client_link *client = heap_take_zeroed(server->shard->heap, sizeof *client);
    if (client == NULL)
        return false;
    char host[io_address_text_max];
    io_address_print_host(&connection->peer, host, sizeof host);
    if (keeper_connection_init(&server->keeper, &client->keeper, slice_from_text(host)) != ERR_OK) {
        heap_give(server->shard->heap, client);
        return false;
    }
    client->server = server;
    client->net = connection;
    client->id = connection->id + 1; /* Zero is nobody's. */
    client->connected_at_ms = io_wall_ms(server->shard->io);
    list_init(&client->paused_link);
    list_push(&server->links, &client->link);
    connection->user = client;
    return true;
}

static void on_close(struct net_connection *connection, const char *reason)
{
    struct client_link *client = connection->user;
    (void)reason; /* net has told it. */
    if (client->phase != CLIENT_LINK_CLOSING)
        client->server->stats.counts.dropped_connection_count++;
    client->user_count++;
    session_remove(client);
    list_remove(&client->link);
    list_remove(&client->paused_link);
    keeper_connection_deinit(&client->server->keeper, &client->keeper);
    client->phase = CLIENT_LINK_CLOSED;
    client->net = NULL;
    client_link_release(client);
}

void client_link_close_doomed(struct keeper_server *server)
{
    if (!server->has_doomed)
        return;
    server->has_doomed = false;
    list_each_safe (link, after, &server->links) {
        struct client_link *client = CONTAINER_OF(link, struct client_link, link);
        if (client->is_doomed)
            close_link(client, "no memory for a watch event", false);
    }
}

static void pause(struct client_link *client)
{
    if (client->net == NULL || list_linked(&client->paused_link))
        return;
    list_push(&client->server->paused, &client->paused_link);
    net_connection_pause(client->net);
}

void client_link_resume_paused(struct keeper_server *server)
{
    for (struct list *link = list_pop(&server->paused); link != NULL;
         link = list_pop(&server->paused)) {
        struct client_link *client = CONTAINER_OF(link, struct client_link, paused_link);
        net_connection_resume(client->net);
    }
}

/* ---- replies ---- */

/* The answer to the connect request is not a response, as Apache's servers count. */
static bool has_requested(const struct client_link *client)
{
    return client->type_last != 0 && client->type_last != OP_CREATE_SESSION;
}

static void count_reply(struct client_link *client, const struct net_message *message,
                        uint64_t started_at_ns)
{
    struct keeper_server *server = client->server;
    const uint64_t now_ns = io_now_ns(server->shard->io);
    server->stats.sent_count++;
    if (has_requested(client))
        keeper_stats_add_reply_bytes(&server->stats, message->size - word_bytes);
    keeper_latency_add(&server->stats.latency, now_ns - started_at_ns);
    keeper_latency_add(&client->latency, now_ns - started_at_ns);
    client->latency_last_ms = (now_ns - started_at_ns) / 1000000;
    client->replied_at_ms = now_ns / 1000000;
    client->zxid_last = server->keeper.zxid_applied;
    client->sent_count++;
}

/* An event comes before whatever shows what it tells of. */
static void tell_owed(struct client_link *client)
{
    keeper_tell(&client->server->keeper, &client->keeper, &client->server->sink);
}

void client_link_reply(struct client_link *client, struct net_reply *reply,
                       struct net_message *message, uint64_t started_at_ns)
{
    assert(client->outstanding_count > 0);
    client->outstanding_count--;
    if (client->net == NULL)
        client->server->stats.counts.stale_reply_count++;
    if (client->net == NULL || message == NULL) {
        net_reply_drop(reply);
        if (message != NULL)
            net_message_release(message);
        close_link(client, "no memory for a reply", false);
        return;
    }
    count_reply(client, message, started_at_ns);
    tell_owed(client);
    net_reply_send(reply, message);
}

static void reply_code(struct client_link *client, const struct request *request, int64_t zxid,
                       int32_t code)
{
    const struct zk_reply_header header = {request->header.xid, zxid, code};
    client_link_reply(client, request->reply,
                      reply_frame_header(client->server->shard->heap, &header),
                      request->started_at_ns);
}

void client_link_push_event(struct client_link *client, const struct watch_event *event)
{
    struct keeper_server *server = client->server;
    if (client->net == NULL || client->phase != CLIENT_LINK_OPEN)
        return;
    const struct zk_reply_header header = {.xid = xid_event, .zxid = event->zxid};
    const struct zk_watcher_event body = {
        .type = (int32_t)event->type, .state = watch_state_connected, .path = event->path};
    struct net_message *message =
        reply_frame_record(server->shard->heap, &header, &zk_watcher_event_wire, 0, &body);
    if (message == NULL) {
        client->is_doomed = true;
        server->has_doomed = true;
        return;
    }
    server->stats.sent_count++;
    server->stats.counts.event_bytes += message->size - word_bytes;
    client->sent_count++;
    net_push(client->net, message);
}

/* ---- for people ---- */

void client_link_reset_stats(struct keeper_server *server)
{
    list_each (link, &server->links) {
        struct client_link *client = CONTAINER_OF(link, struct client_link, link);
        client->received_count = 0;
        client->sent_count = 0;
        client->latency = (struct keeper_latency){0};
        client->type_last = OP_ERROR;
        client->xid_last = -1;
        client->zxid_last = -1;
        client->replied_at_ms = 0;
        client->latency_last_ms = 0;
    }
}

const struct client_link *client_link_of_watcher(const struct watcher *watcher)
{
    const struct keeper_connection *connection =
        CONTAINER_OF(watcher, struct keeper_connection, watcher);
    return CONTAINER_OF(connection, struct client_link, keeper);
}

/* ---- the handshake ---- */

static void reply_connect(struct client_link *client, struct net_reply *reply,
                          const struct zk_connect_reply *connect)
{
    const int version = client->has_read_only_byte ? 1 : 0;
    struct net_message *message = reply_frame_record(client->server->shard->heap, NULL,
                                                     &zk_connect_reply_wire, version, connect);
    client_link_reply(client, reply, message, io_now_ns(client->server->shard->io));
}

/* The protocol's way to say that the session has expired. */
static void reply_no_session(struct client_link *client, struct net_reply *reply)
{
    static const uint8_t zeros[session_password_bytes];
    const struct zk_connect_reply connect = {.password = slice_of(zeros, sizeof zeros)};
    reply_connect(client, reply, &connect);
    close_link(client, "no such session", true);
}

static void reply_session(struct client_link *client, struct net_reply *reply)
{
    uint8_t password[session_password_bytes];
    session_password(client->keeper.session_id, password);
    const struct zk_connect_reply connect = {.timeout_ms = client->timeout_ms,
                                             .session_id = client->keeper.session_id,
                                             .password = slice_of(password, sizeof password)};
    reply_connect(client, reply, &connect);
}

void client_link_on_session(struct client_link *client, struct net_reply *reply, int32_t code)
{
    struct keeper_server *server = client->server;
    if (client->net == NULL || client->phase != CLIENT_LINK_CONNECTING || code != CODE_OK) {
        client->outstanding_count--;
        net_reply_drop(reply);
        close_link(client, "no session can be created now", false);
        return;
    }
    keeper_move_session(&server->keeper, client->keeper.session_id, client->id);
    session_add(client);
    client->phase = CLIENT_LINK_OPEN;
    reply_session(client, reply);
    if (client->net != NULL)
        net_connection_resume(client->net);
}

void client_link_refuse_moved(struct client_link *client, struct net_reply *reply)
{
    client->outstanding_count--;
    net_reply_drop(reply);
    close_link(client, "the session has moved to another connection", false);
}

void client_link_on_session_end(struct client_link *client)
{
    close_link(client, "the session has ended", true);
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
        client_link_on_session(client, reply, code);
}

static void resume_session(struct client_link *client, struct net_reply *reply,
                           const struct zk_connect_request *connect)
{
    struct keeper_server *server = client->server;
    const int64_t session_id = connect->session_id;
    if (!keeper_may_resume(&server->keeper, session_id, connect->password) ||
        !keeper_touch_session(&server->keeper, session_id, client->timeout_ms,
                              keeper_server_now_ms(server))) {
        reply_no_session(client, reply);
        return;
    }
    struct client_link *old = client_link_find(server, session_id);
    if (old != NULL)
        close_link(old, "the session has moved to another connection", false);
    keeper_move_session(&server->keeper, session_id, client->id);
    client->keeper.session_id = session_id;
    client->phase = CLIENT_LINK_OPEN;
    /* What the session wrote on another connection may still be on its way. */
    client_link_set_barrier(client, keeper_write_last(server));
    session_add(client);
    reply_session(client, reply);
}

/* The last byte, whether a read-only server would do, is missing from old clients. */
static enum err decode_connect(struct client_link *client, struct slice frame,
                               struct zk_connect_request *connect)
{
    struct slice rest = frame;
    struct arena *arena = &client->server->arena;
    const enum err err = wire_decode(&zk_connect_request_wire, 0, &rest, arena, connect);
    client->has_read_only_byte = err == ERR_OK && rest.size > 0;
    return err;
}

/* Whether the session may be opened or renewed now. */
static bool take_tokens(struct keeper_server *server, bool is_new)
{
    uint32_t random;
    io_entropy(server->shard->io, &random, sizeof random);
    return connection_throttle_take(&server->throttle, is_new, keeper_server_now_ms(server),
                                    random / (UINT32_MAX + 1.0));
}

static void on_connect(struct client_link *client, struct slice frame)
{
    struct keeper_server *server = client->server;
    struct zk_connect_request connect;
    if (decode_connect(client, frame, &connect) != ERR_OK) {
        expel(client, "the connect request is malformed", false);
        return;
    }
    if (!take_tokens(server, connect.session_id == 0)) {
        expel(client, "too many sessions at once (connection_throttle_tokens)", false);
        return;
    }
    server->stats.counts.connect_request_count++;
    metric_summary_add(&server->stats.summaries.token_deficit,
                       (uint64_t)(server->throttle.token_count_max - server->throttle.token_count));
    if (connect.last_zxid_seen > server->keeper.zxid_applied) {
        diag_warn(server->shard->diag, "refused a client that has seen zxid 0x%llx; ours is 0x%llx",
                  (unsigned long long)connect.last_zxid_seen,
                  (unsigned long long)server->keeper.zxid_applied);
        close_link(client, "the client has seen a later zxid", false);
        return;
    }
    struct net_reply *reply = net_reply_reserve(client->net);
    if (reply == NULL) {
        close_link(client, "no memory for a reply", false);
        return;
    }
    client->outstanding_count++;
    client->timeout_ms = keeper_clamp_timeout(&server->keeper, connect.timeout_ms);
    if (connect.session_id == 0) {
        client->type_last = OP_CREATE_SESSION;
        create_session(client, reply);
    } else {
        resume_session(client, reply, &connect);
    }
}

/* ---- requests ---- */

/* The server's own operations. */
/* Answered with the ping's own xid, whatever the request's was. */
static void run_ping(struct client_link *client, const struct request *request)
{
    struct request ping = *request;
    ping.header.xid = xid_ping;
    reply_code(client, &ping, client->server->keeper.zxid_applied, CODE_OK);
}

static void run_sync(struct client_link *client, const struct request *request)
{
    struct keeper_server *server = client->server;
    struct zk_sync_request sync;
    struct slice body = request->body;
    if (wire_decode(&zk_sync_request_wire, 0, &body, &server->arena, &sync) != ERR_OK) {
        reply_code(client, request, server->keeper.zxid_applied, CODE_MARSHALLING_ERROR);
        return;
    }
    const struct zk_reply_header header = {request->header.xid, server->keeper.zxid_applied, 0};
    const struct zk_sync_reply reply = {.path = sync.path};
    client_link_reply(
        client, request->reply,
        reply_frame_record(server->shard->heap, &header, &zk_sync_reply_wire, 0, &reply),
        request->started_at_ns);
}

static void run_read(struct client_link *client, const struct request *request)
{
    struct keeper_server *server = client->server;
    const struct keeper_request read = {
        .session_id = client->keeper.session_id,
        .owner = client->id,
        .cxid = request->header.xid,
        .type = request->header.type,
        .body = request->body,
        .identities = {client->keeper.auth.items, request->identity_count},
        .time_ms = io_wall_ms(server->shard->io)};
    struct keeper_reply reply;
    arena_reset(&server->arena);
    keeper_read(&server->keeper, &read, &client->keeper, &server->sink, &server->arena, &reply);
    struct zk_reply_header header = {.xid = request->header.xid,
                                     .zxid = server->keeper.zxid_applied};
    struct net_message *message =
        reply_frame_read(server->shard->heap, &header, request->header.type, &reply);
    metric_summary_add(&server->stats.summaries.read_latency,
                       (io_now_ns(server->shard->io) - request->started_at_ns) / 1000000);
    client_link_reply(client, request->reply, message, request->started_at_ns);
    client_link_close_doomed(server);
}

static void run(struct client_link *client, const struct request *request)
{
    struct keeper *keeper = &client->server->keeper;
    const bool is_read = op_class_of(request->header.type) == OP_CLASS_READ; /* Checks it itself. */
    const enum code code =
        is_read ? CODE_OK : keeper_check_session(keeper, client->keeper.session_id, client->id);
    if (code != CODE_OK)
        reply_code(client, request, keeper->zxid_applied, code);
    else if (request->header.type == OP_PING)
        run_ping(client, request);
    else if (request->header.type == OP_SYNC)
        run_sync(client, request);
    else
        run_read(client, request);
}

/* The client says which ensemble it wants: another one's gets no answer, so that it tries the next
 * server instead of giving up. */
static void check_ensemble(struct client_link *client, const struct request *request,
                           struct slice name)
{
    if (keeper_config_has_ensemble(&client->server->config, name)) {
        reply_code(client, request, 0, CODE_OK);
        return;
    }
    client->outstanding_count--;
    net_reply_drop(request->reply);
    expel(client, "the client wants another ensemble", false);
}

static void run_auth(struct client_link *client, const struct request *request)
{
    struct keeper_server *server = client->server;
    struct zk_auth_request auth;
    struct slice body = request->body;
    if (wire_decode(&zk_auth_request_wire, 0, &body, &server->arena, &auth) != ERR_OK) {
        client->outstanding_count--;
        net_reply_drop(request->reply);
        expel(client, "the auth packet is malformed", false);
        return;
    }
    if (server->config.ensemble_enabled && slice_equal_text(auth.scheme, "ensemble")) {
        check_ensemble(client, request, auth.auth);
        return;
    }
    const enum code code =
        keeper_connection_auth(&server->keeper, &client->keeper, auth.scheme, auth.auth);
    reply_code(client, request, 0, code);
    if (code == CODE_OK)
        return;
    server->stats.auth_failed_count++;
    expel(client, "authentication failed", true);
}

/* No transaction has to do with it, says the zxid. */
static void refuse(struct client_link *client, const struct request *request, enum code code,
                   const char *reason)
{
    reply_code(client, request, -1, code);
    expel(client, reason, true);
}

static struct client_wait *wait_acquire(struct keeper_server *server)
{
    struct list *link = list_pop(&server->free_waits);
    if (link != NULL) {
        server->free_wait_count--;
        return CONTAINER_OF(link, struct client_wait, link);
    }
    struct client_wait *wait = heap_take(server->shard->heap, sizeof *wait);
    if (wait != NULL)
        list_init(&wait->link);
    return wait;
}

static void wait_release(struct keeper_server *server, struct client_wait *wait)
{
    if (server->free_wait_count >= client_wait_free_count_max) {
        heap_give(server->shard->heap, wait);
        return;
    }
    list_push_front(&server->free_waits, &wait->link);
    server->free_wait_count++;
}

void client_link_drain(struct keeper_server *server)
{
    for (struct list *link = list_pop(&server->free_waits); link != NULL;
         link = list_pop(&server->free_waits))
        heap_give(server->shard->heap, CONTAINER_OF(link, struct client_wait, link));
    server->free_wait_count = 0;
}

void client_link_set_barrier(struct client_link *client, struct keeper_write *write)
{
    client->barrier = write;
    client->barrier_zxid = write == NULL ? 0 : write->zxid;
}

/* A write that has been applied holds nobody up, and its block may serve another one. */
static bool is_held_up(const struct client_link *client)
{
    return client->barrier_zxid > client->server->keeper.zxid_applied;
}

/* NULL: no memory, and the link is closed. */
static struct client_wait *wait_start(struct client_link *client, const struct request *request)
{
    struct client_wait *wait = wait_acquire(client->server);
    if (wait == NULL) {
        client->outstanding_count--;
        net_reply_drop(request->reply);
        close_link(client, "no memory for a request", false);
        return NULL;
    }
    wait->client = client;
    wait->reply = request->reply;
    wait->frame = request->frame;
    wait->identity_count = request->identity_count;
    wait->code = CODE_OK;
    wait->started_at_ns = request->started_at_ns;
    wait->buffer = request->buffer;
    net_buffer_acquire(wait->buffer);
    client->user_count++;
    request_gate_enter(&client->server->gate, wait->frame.size);
    return wait;
}

static void wait_end(struct client_wait *wait)
{
    struct client_link *client = wait->client;
    request_gate_leave(&client->server->gate, wait->frame.size);
    net_buffer_release(wait->buffer);
    wait_release(client->server, wait);
    client_link_release(client);
}

/* code: what client_wait says of it. */
static void wait_for_barrier(struct client_link *client, const struct request *request,
                             enum code code)
{
    struct client_wait *wait = wait_start(client, request);
    if (wait == NULL)
        return;
    wait->code = code;
    client->server->wait_count++;
    list_push(&client->barrier->waits, &wait->link);
}

/* A refusal comes behind the link's earlier writes too: it tells their zxid. */
static void on_write(struct client_link *client, const struct request *request)
{
    struct keeper_server *server = client->server;
    const bool is_close = request->header.type == OP_CLOSE_SESSION;
    const enum code code = keeper_write_start(
        server, &(struct keeper_write_request){.client = client,
                                               .reply = request->reply,
                                               .xid = request->header.xid,
                                               .type = request->header.type,
                                               .session_id = client->keeper.session_id,
                                               .body = is_close ? SLICE_LITERAL("") : request->body,
                                               .is_essential =
                                                   is_close || request->header.type == OP_DELETE});
    if (code != CODE_OK && is_held_up(client))
        wait_for_barrier(client, request, code);
    else if (code != CODE_OK)
        reply_code(client, request, server->keeper.zxid_applied, code);
}

/* A request that is answered from what has been applied: now, or behind the link's writes. */
static void on_read(struct client_link *client, const struct request *request)
{
    if (request->header.type == OP_SYNC && keeper_write_last(client->server) != NULL)
        client_link_set_barrier(client, keeper_write_last(client->server));
    if (is_held_up(client))
        wait_for_barrier(client, request, CODE_OK);
    else
        run(client, request);
}

static void dispatch(struct client_link *client, const struct request *request)
{
    tell_owed(client);
    switch (op_class_of(request->header.type)) {
    case OP_CLASS_WRITE: on_write(client, request); return;
    case OP_CLASS_READ: on_read(client, request); return;
    case OP_CLASS_SERVER:
        if (request->header.type == OP_AUTH)
            run_auth(client, request);
        else if (request->header.type == OP_SASL)
            refuse(client, request, CODE_AUTH_FAILED, "SASL is not supported");
        else
            on_read(client, request);
        return;
    case OP_CLASS_UNKNOWN: break;
    }
    refuse(client, request, CODE_UNIMPLEMENTED, "no such operation");
}

static enum err decode_header(struct request *request, struct arena *arena)
{
    request->body = request->frame;
    return wire_decode(&zk_request_header_wire, 0, &request->body, arena, &request->header);
}

/* Whether the link has proved an identity of a scheme that is asked for, if one is. */
static bool is_authenticated(const struct client_link *client)
{
    const struct keeper_config *config = &client->server->config;
    const struct acl_id_list identities = auth_set_list(&client->keeper.auth);
    if (!config->enforces_auth)
        return true;
    for (int32_t index = 0; index < identities.count; index++)
        if (keeper_config_enforces_scheme(config, identities.items[index].scheme))
            return true;
    return false;
}

/* Behind others of all links, while too many are in progress. */
static bool hold(struct client_link *client, const struct request *request)
{
    struct request_gate *gate = &client->server->gate;
    if (gate->held_count == 0 &&
        !request_gate_is_full(gate, keeper_write_request_count(client->server)))
        return false;
    struct client_wait *wait = wait_start(client, request);
    if (wait == NULL)
        return true;
    list_push(&gate->held, &wait->link);
    gate->held_count++;
    client->server->stats.counts.held_request_count++;
    return true;
}

/* What proves who somebody is comes first; then all requests are treated alike. */
static void judge(struct client_link *client, const struct request *request)
{
    const int32_t type = request->header.type;
    if (type == OP_AUTH || type == OP_SASL) {
        dispatch(client, request);
    } else if (!is_authenticated(client)) {
        reply_code(client, request, 0, CODE_SESSION_CLOSED_REQUIRE_AUTH);
        expel(client, "the client has not authenticated (enforce.auth.schemes)", true);
    } else if (!hold(client, request)) {
        dispatch(client, request);
    }
}

static void on_request(struct client_link *client, struct slice frame)
{
    struct keeper_server *server = client->server;
    struct request request = {.frame = frame,
                              .buffer = net_connection_buffer(client->net),
                              .started_at_ns = io_now_ns(server->shard->io)};
    if (decode_header(&request, &server->arena) != ERR_OK) {
        expel(client, "a request without a header", false);
        return;
    }
    if (!request_gate_admits(&server->gate, frame.size)) {
        server->stats.counts.large_request_refused_count++;
        expel(client, too_large, false);
        return;
    }
    request.reply = net_reply_reserve(client->net);
    if (request.reply == NULL) {
        close_link(client, "no memory for a reply", false);
        return;
    }
    request.identity_count = client->keeper.auth.count;
    client->outstanding_count++;
    if (request.header.xid >= 0) /* What clients count, not their pings. */
        client->xid_last = request.header.xid;
    client->type_last = request.header.type;
    /* A session that is closing stays untouched; its writes are refused by the core. */
    (void)keeper_touch_session(&server->keeper, client->keeper.session_id, client->timeout_ms,
                               keeper_server_now_ms(server));
    client->user_count++; /* It may be closed. */
    judge(client, &request);
    if (client->phase == CLIENT_LINK_OPEN && client->outstanding_count > 0 &&
        keeper_write_is_saturated(server))
        pause(client);
    client_link_release(client);
}

void client_link_run_wait(struct client_wait *wait)
{
    struct client_link *client = wait->client;
    struct keeper_server *server = client->server;
    struct request request = {.frame = wait->frame,
                              .reply = wait->reply,
                              .identity_count = wait->identity_count,
                              .started_at_ns = wait->started_at_ns};
    server->wait_count--;
    if (client->net != NULL)
        tell_owed(client);
    if (client->net == NULL || decode_header(&request, &server->arena) != ERR_OK) {
        client->outstanding_count--;
        net_reply_drop(wait->reply);
    } else if (wait->code != CODE_OK) {
        reply_code(client, &request, server->keeper.zxid_applied, wait->code);
    } else {
        run(client, &request);
    }
    wait_end(wait);
}

/* The client has waited so long that it counts on nothing any more. */
static bool is_stale(const struct client_link *client, const struct request *request,
                     uint64_t waited_ms)
{
    const struct keeper_config *config = &client->server->config;
    return config->throttle_drops_stale && config->stale_by_latency &&
           request->header.type != OP_CLOSE_SESSION && waited_ms > (uint64_t)client->timeout_ms;
}

/* Of a connection that is gone: only the end of its session still matters to anybody. */
static void forget_held(struct client_link *client, const struct request *request)
{
    struct keeper_server *server = client->server;
    const int64_t session_id = client->keeper.session_id;
    client->outstanding_count--;
    net_reply_drop(request->reply);
    if (request->header.type != OP_CLOSE_SESSION || server->phase != KEEPER_SERVER_SERVING ||
        keeper_check_session(&server->keeper, session_id, client->id) != CODE_OK)
        return;
    (void)keeper_write_start(server, &(struct keeper_write_request){.type = OP_CLOSE_SESSION,
                                                                    .session_id = session_id,
                                                                    .body = SLICE_LITERAL(""),
                                                                    .is_essential = true});
}

static void run_held(struct client_link *client, struct request *request)
{
    struct keeper_server *server = client->server;
    const uint64_t waited_ms =
        (io_now_ns(server->shard->io) - request->started_at_ns) / nanoseconds_per_ms;
    const uint64_t waited_ms_max = (uint64_t)server->config.throttled_wait_ms_max;
    const int32_t type = request->header.type;
    metric_summary_add(&server->stats.summaries.held_time, waited_ms);
    if (client->phase != CLIENT_LINK_OPEN) {
        server->stats.counts.stale_request_count++;
        forget_held(client, request);
    } else if (is_stale(client, request, waited_ms)) {
        server->stats.counts.stale_request_count++;
        client->outstanding_count--;
        net_reply_drop(request->reply);
        expel(client, "a request has waited for longer than its session may", false);
    } else if (waited_ms_max > 0 && waited_ms > waited_ms_max && type != OP_PING &&
               type != OP_CLOSE_SESSION) {
        server->stats.counts.throttled_request_count++;
        reply_code(client, request, server->keeper.zxid_applied, CODE_THROTTLED_OP);
    } else {
        dispatch(client, request);
    }
}

void client_link_run_held(struct keeper_server *server)
{
    struct request_gate *gate = &server->gate;
    while (gate->held_count > 0 &&
           !request_gate_is_full(gate, keeper_write_request_count(server))) {
        struct client_wait *wait = CONTAINER_OF(list_pop(&gate->held), struct client_wait, link);
        struct request request = {.frame = wait->frame,
                                  .buffer = wait->buffer,
                                  .reply = wait->reply,
                                  .identity_count = wait->identity_count,
                                  .started_at_ns = wait->started_at_ns};
        gate->held_count--;
        const enum err err = decode_header(&request, &server->arena);
        assert(err == ERR_OK); /* It was decoded when it came. */
        run_held(wait->client, &request);
        wait_end(wait);
    }
}

/* ---- what net calls ---- */

static struct net_verdict refuse_frame(struct client_link *client, const char *reason)
{
    tell_expelled(client, reason);
    return (struct net_verdict){.kind = NET_REFUSE, .reason = reason};
}

static struct net_verdict on_length(struct net_connection *connection, uint32_t length)
{
    struct client_link *client = connection->user;
    if (client->phase == CLIENT_LINK_NEW && four_letter_has_mask(client->server, length)) {
        client->is_masking = true;
        return (struct net_verdict){.kind = NET_FRAME, .length = four_letter_mask_bytes};
    }
    if (client->phase == CLIENT_LINK_NEW && four_letter_is_word(length))
        return (struct net_verdict){.kind = NET_RAW};
    if (length > (uint64_t)client->server->config.frame_bytes_max)
        return refuse_frame(client, "a length that is negative or above jute.maxbuffer");
    if (!request_gate_admits(&client->server->gate, length)) {
        client->server->stats.counts.large_request_refused_count++;
        return refuse_frame(client, too_large);
    }
    return (struct net_verdict){.kind = NET_FRAME, .length = length};
}

static void answer_word(struct client_link *client, struct slice word)
{
    struct net_message *message = four_letter_answer(client->server, word);
    if (message != NULL) {
        client->server->stats.sent_count++;
        net_push(client->net, message);
    }
    close_link(client, "a four-letter word was answered", true);
}

static void on_trace_mask(struct client_link *client, struct slice mask)
{
    assert(mask.size == four_letter_mask_bytes);
    client->server->trace_mask = load_i64(mask.data);
    answer_word(client, SLICE_LITERAL("stmk"));
}

static void on_frame(struct net_connection *connection, uint8_t *data, size_t size)
{
    struct client_link *client = connection->user;
    client->received_count++;
    client->server->stats.received_count++;
    client->server->stats.counts.received_bytes += word_bytes + size;
    if (client->is_masking) {
        on_trace_mask(client, slice_of(data, size));
        return;
    }
    switch (client->phase) {
    case CLIENT_LINK_NEW: on_connect(client, slice_of(data, size)); return;
    case CLIENT_LINK_OPEN: on_request(client, slice_of(data, size)); return;
    case CLIENT_LINK_CONNECTING:
    case CLIENT_LINK_CLOSING:
    case CLIENT_LINK_CLOSED: break;
    }
    assert(client->phase == CLIENT_LINK_CLOSING); /* net frames nothing while it is paused. */
}

/* A four-letter word; what follows it is of no interest. */
static void on_raw(struct net_connection *connection, struct slice bytes)
{
    struct client_link *client = connection->user;
    struct keeper_server *server = client->server;
    if (client->phase != CLIENT_LINK_NEW || bytes.size < word_bytes)
        return;
    client->received_count++;
    server->stats.received_count++;
    server->stats.counts.received_bytes += word_bytes;
    answer_word(client, slice_of(bytes.data, word_bytes));
}

const struct net_handler client_link_handler = {
    .on_open = on_open,
    .on_length = on_length,
    .on_frame = on_frame,
    .on_raw = on_raw,
    .on_close = on_close,
};
