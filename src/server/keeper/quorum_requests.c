/* What leader and learners tell each other of their clients: requests, sessions, syncs. */
#include "server/keeper/quorum_peer.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "server/keeper/client_link.h"
#include "server/keeper/client_session.h"
#include "server/keeper/keeper_write.h"
#include "server/keeper/observer_master.h"

enum {
    request_head_bytes = 16, /* Session, xid, type. */
    revalidate_bytes = 12,   /* Session, timeout. */
    verdict_bytes = 9,       /* Session, whether it lives. */
    touch_bytes = 12,        /* Session, timeout. */
    touch_count_max = 80000, /* In one packet; the others have the next one. */
};

static void send(struct quorum_peer *peer, uint64_t link_id, int32_t type, int64_t zxid,
                 struct slice data)
{
    struct quorum_link *link = peer->is_port_open ? quorum_port_find(&peer->port, link_id) : NULL;
    if (link == NULL)
        return;
    const struct zk_quorum_packet packet = {
        .type = type, .zxid = zxid, .data = data, .identities = {.count = -1}};
    quorum_link_send(link, &packet);
}

/* ---- requests ---- */

void quorum_peer_forward(struct quorum_peer *peer, const struct keeper_write_request *request)
{
    struct keeper_server *server = peer->server;
    struct quorum_link *link = quorum_port_find(&peer->port, peer->leader_link);
    if (link == NULL)
        return; /* Its end is on the way, and with it that of all that was forwarded. */
    arena_reset(&server->arena);
    const size_t size = request_head_bytes + request->body.size;
    uint8_t *data = arena_take(&server->arena, size);
    if (data == NULL) {
        quorum_link_close(link, "no memory for a request");
        return;
    }
    store_i64(data, request->session_id);
    store_i32(data + 8, request->xid);
    store_i32(data + 12, request->type);
    if (request->body.size > 0)
        memcpy(data + request_head_bytes, request->body.data, request->body.size);
    struct zk_quorum_packet packet = {
        .type = ZAB_REQUEST, .zxid = -1, .data = slice_of(data, size), .identities = {.count = -1}};
    if (request->client != NULL) {
        struct auth_set *auth = &request->client->keeper.auth;
        packet.identities.items = auth->items;
        packet.identities.count = auth->count;
    }
    metric_summary_add(&server->stats.summaries.learner_request_count, 0); /* None ever waits. */
    quorum_link_send(link, &packet);
}

/* A learner may ask what its clients may, and to open and close sessions. */
static bool is_forwardable(const struct keeper_write_request *request)
{
    if (request->type == OP_CREATE_SESSION)
        return request->body.size == sizeof(int32_t);
    return op_class_of(request->type) == OP_CLASS_WRITE;
}

static void on_request(struct quorum_peer *peer, struct quorum_link *link,
                       const struct zk_quorum_packet *packet)
{
    struct keeper_server *server = peer->server;
    if (packet->data.size < request_head_bytes) {
        quorum_link_close(link, "a forwarded request without its head");
        return;
    }
    const uint8_t *data = packet->data.data;
    const struct keeper_write_request request = {
        .session_id = load_i64(data),
        .xid = load_i32(data + 8),
        .type = load_i32(data + 12),
        .body = slice_skip(packet->data, request_head_bytes),
        .is_essential = true,
        .origin = link->id,
        .identities = {packet->identities.items, packet->identities.count},
    };
    enum code code = CODE_OK;
    if (link->user != NULL)
        ((struct quorum_learner *)link->user)->facts.request_count++;
    if (server->role != KEEPER_LEADER)
        quorum_link_close(link, "a request before the leader serves");
    else if (request.type == OP_SYNC)
        code = keeper_write_add_barrier(server, link->id) ? CODE_OK : CODE_SYSTEM_ERROR;
    else if (is_forwardable(&request))
        code = keeper_write_start(server, &request);
    else
        quorum_link_close(link, "a forwarded request that cannot be forwarded");
    if (code != CODE_OK) /* The learner would wait for ever. */
        quorum_link_close(link, "no memory for a forwarded request");
}

void quorum_peer_end_barrier(struct quorum_peer *peer, uint64_t link)
{
    if (peer->phase == QUORUM_PEER_LEARNING)
        observer_master_end_barrier(peer->master, link);
    else
        send(peer, link, ZAB_SYNC_BARRIER, 0, SLICE_NULL);
}

/* Why it cannot go on; NULL: it can. */
static const char *find_fault(struct quorum_peer *peer, uint64_t observer,
                              const struct zk_quorum_packet *packet)
{
    const struct slice data = packet->data;
    if (packet->type == ZAB_REVALIDATE)
        return data.size < revalidate_bytes ? "a session to revalidate is malformed" : NULL;
    if (data.size < request_head_bytes)
        return "a forwarded request without its head";
    const struct keeper_write_request request = {.type = load_i32(data.data + 12),
                                                 .body = slice_skip(data, request_head_bytes)};
    if (request.type == OP_SYNC)
        return keeper_write_add_barrier(peer->server, observer) ? NULL : "no memory for a sync";
    return is_forwardable(&request) ? NULL : "a forwarded request that cannot be forwarded";
}

bool quorum_requests_pass_on(struct quorum_peer *peer, struct quorum_link *observer,
                             const struct zk_quorum_packet *packet)
{
    struct quorum_link *leader = quorum_port_find(&peer->port, peer->leader_link);
    struct quorum_learner *learner = observer->user;
    if (leader == NULL)
        return false; /* Its end is on the way, and with it that of the observer's link. */
    const char *fault = find_fault(peer, observer->id, packet);
    if (fault != NULL) {
        quorum_link_close(observer, fault);
        return false;
    }
    if (learner != NULL)
        learner->facts.request_count += packet->type == ZAB_REQUEST;
    quorum_link_send(leader, packet);
    return true;
}

/* ---- sessions ---- */

void quorum_peer_revalidate(struct quorum_peer *peer, int64_t session_id, int32_t timeout_ms)
{
    uint8_t data[revalidate_bytes];
    store_i64(data, session_id);
    store_i32(data + 8, timeout_ms);
    send(peer, peer->leader_link, ZAB_REVALIDATE, -1, slice_of(data, sizeof data));
}

static void judge_session(struct quorum_peer *peer, struct quorum_link *link, struct slice data)
{
    struct keeper_server *server = peer->server;
    if (data.size < revalidate_bytes) {
        quorum_link_close(link, "a session to revalidate is malformed");
        return;
    }
    uint8_t verdict[verdict_bytes];
    server->stats.counts.revalidate_count++;
    const int64_t session_id = load_i64(data.data);
    const bool lives = server->role == KEEPER_LEADER &&
                       !keeper_has_local_session(&server->keeper, session_id) &&
                       keeper_touch_session(&server->keeper, session_id, load_i32(data.data + 8),
                                            keeper_server_now_ms(server));
    if (lives)
        keeper_move_session(&server->keeper, session_id, quorum_peer_owner(link->id));
    store_i64(verdict, session_id);
    verdict[8] = lives ? 1 : 0;
    send(peer, link->id, ZAB_REVALIDATE, -1, slice_of(verdict, sizeof verdict));
}

static void on_verdict(struct quorum_peer *peer, struct quorum_link *link, struct slice data)
{
    if (data.size < verdict_bytes) {
        quorum_link_close(link, "the answer to a revalidation is malformed");
        return;
    }
    const int64_t session_id = load_i64(data.data);
    if (!observer_master_on_verdict(peer->master, session_id, data))
        client_session_on_revalidated(peer->server, session_id, data.data[8] != 0);
}

/* Heard of since the last ping, and not known to this server alone. */
static bool is_to_be_told(const struct client_link *client)
{
    return client->is_touched &&
           !keeper_has_local_session(&client->server->keeper, client->keeper.session_id);
}

static uint32_t count_to_be_told(const struct quorum_peer *peer)
{
    uint32_t count = peer->master == NULL ? 0 : peer->master->touch_count;
    list_each (at, &peer->server->links)
        count += is_to_be_told(CONTAINER_OF(at, struct client_link, link));
    return (uint32_t)min_u64(count, touch_count_max);
}

void quorum_requests_ping_back(struct quorum_peer *peer, uint64_t link, int64_t zxid)
{
    struct keeper_server *server = peer->server;
    const uint32_t count = count_to_be_told(peer);
    uint8_t *data = count == 0 ? NULL : heap_take(server->shard->heap, count * touch_bytes);
    uint32_t index = 0;
    list_each (at, &server->links) {
        struct client_link *client = CONTAINER_OF(at, struct client_link, link);
        if (index == count || data == NULL || !is_to_be_told(client))
            continue;
        store_i64(data + index * touch_bytes, client->keeper.session_id);
        store_i32(data + index * touch_bytes + 8, client->timeout_ms);
        client->is_touched = false;
        index++;
    }
    if (peer->master != NULL && data != NULL)
        index +=
            observer_master_take_touches(peer->master, data + index * touch_bytes, count - index);
    send(peer, link, ZAB_PING, zxid,
         data == NULL ? SLICE_LITERAL("") : slice_of(data, index * touch_bytes));
    heap_give(server->shard->heap, data);
}

void quorum_requests_touch(struct quorum_peer *peer, struct slice sessions)
{
    struct keeper_server *server = peer->server;
    const int64_t now_ms = keeper_server_now_ms(server);
    for (size_t at = 0; at + touch_bytes <= sessions.size; at += touch_bytes)
        (void)keeper_touch_session(&server->keeper, load_i64(sessions.data + at),
                                   load_i32(sessions.data + at + 8), now_ms);
}

bool quorum_requests_take(struct quorum_peer *peer, struct quorum_link *link,
                          const struct zk_quorum_packet *packet)
{
    const bool leads = peer->phase == QUORUM_PEER_LEADING;
    switch (packet->type) {
    case ZAB_REQUEST:
        if (leads)
            on_request(peer, link, packet);
        return leads;
    case ZAB_REVALIDATE:
        if (leads)
            judge_session(peer, link, packet->data);
        else
            on_verdict(peer, link, packet->data);
        return true;
    case ZAB_SYNC_BARRIER:
        if (!leads && !keeper_write_set_barrier(peer->server))
            quorum_link_close(link, "the leader answers a sync that nobody asked for");
        return !leads;
    default: return false;
    }
}
