#include "server/keeper/client_request.h"

#include "base/assert.h"
#include "server/keeper/client_session.h"
#include "server/keeper/keeper_write.h"
#include "server/keeper/local_session.h"
#include "server/keeper/quorum_peer.h"
#include "server/keeper/reply_frame.h"

enum { nanoseconds_per_ms = 1000000, xid_ping = -2 };

const char client_request_too_large[] = "a large request above largeRequestMaxBytes";

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

static bool is_local(const struct client_link *client)
{
    return keeper_has_local_session(&client->server->keeper, client->keeper.session_id);
}

static void reply_code(struct client_link *client, const struct request *request, int64_t zxid,
                       int32_t code)
{
    const struct zk_reply_header header = {request->header.xid, zxid, code};
    client_link_reply(client, request->reply,
                      reply_frame_header(client->server->shard->heap, &header),
                      request->started_at_ns);
}

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
        .identities = {client->keeper.auth.items, request->identity_count}};
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

static void end_local_session(struct client_link *client, const struct request *request)
{
    struct keeper *keeper = &client->server->keeper;
    keeper_close_local_session(keeper, client->keeper.session_id);
    reply_code(client, request, keeper->zxid_applied, CODE_OK);
    client_session_on_end(client);
}

static void run(struct client_link *client, const struct request *request)
{
    if (request->header.type == OP_CLOSE_SESSION)
        end_local_session(client, request);
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
    client_link_expel(client, "the client wants another ensemble", false);
}

static void run_auth(struct client_link *client, const struct request *request)
{
    struct keeper_server *server = client->server;
    struct zk_auth_request auth;
    struct slice body = request->body;
    if (wire_decode(&zk_auth_request_wire, 0, &body, &server->arena, &auth) != ERR_OK) {
        client->outstanding_count--;
        net_reply_drop(request->reply);
        client_link_expel(client, "the auth packet is malformed", false);
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
    client_link_expel(client, "authentication failed", true);
}

/* No transaction has to do with it, says the zxid. */
static void refuse(struct client_link *client, const struct request *request, enum code code,
                   const char *reason)
{
    reply_code(client, request, -1, code);
    client_link_expel(client, reason, true);
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

void client_request_drain(struct keeper_server *server)
{
    for (struct list *link = list_pop(&server->free_waits); link != NULL;
         link = list_pop(&server->free_waits))
        heap_give(server->shard->heap, CONTAINER_OF(link, struct client_wait, link));
    server->free_wait_count = 0;
}

void client_request_set_barrier(struct client_link *client, struct keeper_write *write)
{
    client->barrier = write;
    client->barrier_order = write == NULL ? 0 : write->order;
}

/* A write that has been applied holds nobody up, and its block may serve another one. */
static bool is_held_up(const struct client_link *client)
{
    return client->barrier_order > client->server->write_order_done;
}

/* NULL: no memory, and the link is closed. */
static struct client_wait *wait_start(struct client_link *client, const struct request *request)
{
    struct client_wait *wait = wait_acquire(client->server);
    if (wait == NULL) {
        client->outstanding_count--;
        net_reply_drop(request->reply);
        client_link_close(client, "no memory for a request", false);
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
    const int32_t type = request->header.type;
    const bool is_close = type == OP_CLOSE_SESSION;
    struct keeper_write_request write = {.client = client,
                                         .reply = request->reply,
                                         .xid = request->header.xid,
                                         .type = type,
                                         .session_id = client->keeper.session_id,
                                         .body = is_close ? SLICE_LITERAL("") : request->body,
                                         .is_essential = is_close || type == OP_DELETE};
    enum code code = CODE_OK;
    if (is_local(client))
        code = local_session_admit(server, write.session_id, client->id, type, write.body,
                                   &write.refusal);
    if (code == CODE_OK)
        code = keeper_write_start(server, &write);
    if (code != CODE_OK && is_held_up(client))
        wait_for_barrier(client, request, code);
    else if (code != CODE_OK)
        reply_code(client, request, server->keeper.zxid_applied, code);
}

static struct keeper_write *make_sync_barrier(struct keeper_server *server)
{
    if (server->role == KEEPER_LEARNER)
        return keeper_write_make_barrier(server);
    if (server->role == KEEPER_LEADER && server->config.sync_is_linearizable)
        return keeper_write_add_own_barrier(server);
    return keeper_write_last(server);
}

/* A learner's sync comes behind all that the leader has proposed, another server's behind all that
 * is on its way here. With sync.linearizable a leader waits for its quorum. */
static void set_sync_barrier(struct client_link *client, const struct request *request)
{
    struct keeper_server *server = client->server;
    const bool is_learner = server->role == KEEPER_LEARNER;
    const bool must_wait =
        is_learner || (server->role == KEEPER_LEADER && server->config.sync_is_linearizable);
    struct keeper_write *barrier = make_sync_barrier(server);
    if (is_learner && barrier != NULL)
        quorum_peer_forward(server->peer,
                            &(struct keeper_write_request){.client = client,
                                                           .xid = request->header.xid,
                                                           .type = OP_SYNC,
                                                           .session_id = client->keeper.session_id,
                                                           .body = request->body});
    if (barrier != NULL)
        client_request_set_barrier(client, barrier);
    else if (must_wait) /* An answer now would promise what is not so. */
        client_link_close(client, "no memory for a sync", false);
}

/* A request that is answered from what has been applied: now, or behind the link's writes. Its
 * session is judged now: what the client sends behind it may close it. */
static void on_read(struct client_link *client, const struct request *request)
{
    struct keeper *keeper = &client->server->keeper;
    const enum code code = keeper_check_session(keeper, client->keeper.session_id, client->id);
    if (request->header.type == OP_SYNC)
        set_sync_barrier(client, request);
    if (is_held_up(client))
        wait_for_barrier(client, request, code);
    else if (code != CODE_OK)
        reply_code(client, request, keeper->zxid_applied, code);
    else
        run(client, request);
}

/* Behind its writes, and no transaction. It takes no more requests. */
static void on_local_close(struct client_link *client, const struct request *request)
{
    struct keeper *keeper = &client->server->keeper;
    const int64_t session_id = client->keeper.session_id;
    const bool is_ours = keeper_check_session(keeper, session_id, client->id) == CODE_OK;
    on_read(client, request);
    if (is_ours)
        keeper_end_local_session(keeper, session_id);
}

static bool is_read_only_here(const struct client_link *client, int32_t type)
{
    return client->server->role == KEEPER_READ_ONLY &&
           (op_class_of(type) == OP_CLASS_WRITE || type == OP_SYNC);
}

static void dispatch(struct client_link *client, const struct request *request)
{
    client_link_tell_owed(client);
    if (request->header.type == OP_CLOSE_SESSION && is_local(client)) {
        on_local_close(client, request);
        return;
    }
    if (is_read_only_here(client, request->header.type)) {
        reply_code(client, request, client->server->keeper.zxid_applied, CODE_NOT_READ_ONLY);
        return;
    }
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
        client_link_expel(client, "the client has not authenticated (enforce.auth.schemes)", true);
    } else if (!hold(client, request)) {
        dispatch(client, request);
    }
}

void client_request_on_frame(struct client_link *client, struct slice frame)
{
    struct keeper_server *server = client->server;
    struct request request = {.frame = frame,
                              .buffer = net_connection_buffer(client->net),
                              .started_at_ns = io_now_ns(server->shard->io)};
    if (decode_header(&request, &server->arena) != ERR_OK) {
        client_link_expel(client, "a request without a header", false);
        return;
    }
    if (!request_gate_admits(&server->gate, frame.size)) {
        server->stats.counts.large_request_refused_count++;
        client_link_expel(client, client_request_too_large, false);
        return;
    }
    request.reply = net_reply_reserve(client->net);
    if (request.reply == NULL) {
        client_link_close(client, "no memory for a reply", false);
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
    client->is_touched = true;
    client->user_count++; /* It may be closed. */
    judge(client, &request);
    if (client->phase == CLIENT_LINK_OPEN && client->outstanding_count > 0 &&
        keeper_write_is_saturated(server))
        client_link_pause(client);
    client_link_release(client);
}

void client_request_run_wait(struct client_wait *wait)
{
    struct client_link *client = wait->client;
    struct keeper_server *server = client->server;
    struct request request = {.frame = wait->frame,
                              .reply = wait->reply,
                              .identity_count = wait->identity_count,
                              .started_at_ns = wait->started_at_ns};
    server->wait_count--;
    if (client->net != NULL)
        client_link_tell_owed(client);
    const bool is_decoded = decode_header(&request, &server->arena) == ERR_OK;
    const bool is_close = is_decoded && request.header.type == OP_CLOSE_SESSION;
    if (!is_decoded || (client->net == NULL && !is_close)) {
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
    if (keeper_has_local_session(&server->keeper, session_id)) {
        keeper_close_local_session(&server->keeper, session_id);
        return;
    }
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
        client_link_expel(client, "a request has waited for longer than its session may", false);
    } else if (waited_ms_max > 0 && waited_ms > waited_ms_max && type != OP_PING &&
               type != OP_CLOSE_SESSION) {
        server->stats.counts.throttled_request_count++;
        reply_code(client, request, server->keeper.zxid_applied, CODE_THROTTLED_OP);
    } else {
        dispatch(client, request);
    }
}

void client_request_run_held(struct keeper_server *server)
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
