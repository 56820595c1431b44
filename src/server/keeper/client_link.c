#include "server/keeper/client_link.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "server/keeper/client_request.h"
#include "server/keeper/client_session.h"
#include "server/keeper/four_letter.h"
#include "server/keeper/reply_frame.h"

enum { word_bytes = 4, second_ms = 1000, watch_state_connected = 3, xid_event = -1 };

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

void client_link_add_session(struct client_link *client)
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

void client_link_close(struct client_link *client, const char *reason, bool after_sending)
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
void client_link_expel(struct client_link *client, const char *reason, bool after_sending)
{
    if (client->phase != CLIENT_LINK_CLOSING)
        tell_expelled(client, reason);
    client_link_close(client, reason, after_sending);
}

void client_link_release(struct client_link *client)
{
    assert(client->user_count > 0);
    if (--client->user_count == 0 && client->net == NULL)
        slab_give(&client->server->links_slab, client, sizeof *client);
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
    if (server->phase != KEEPER_SERVER_SERVING ||
        admin_restore_is_exclusive(&server->admin.restore) || is_crowded(server))
        return false;
    struct client_link *client = slab_take(&server->links_slab, sizeof *client);
    if (client == NULL)
        return false;
    *client = (struct client_link){.server = server, .net = connection};
    char host[io_address_text_max];
    io_address_print_host(&connection->peer, host, sizeof host);
    if (keeper_connection_init(&server->keeper, &client->keeper, slice_from_text(host)) != ERR_OK) {
        slab_give(&server->links_slab, client, sizeof *client);
        return false;
    }
    client->id = connection->id + 1; /* Zero is nobody's. */
    client->connected_at_ms = io_wall_ms(server->shard->io);
    list_init(&client->paused_link);
    list_push(&server->links, &client->link);
    connection->user = client;
    return true;
}

static void drop_revalidation(struct client_link *client)
{
    list_remove(&client->paused_link);
    client->outstanding_count--;
    net_reply_drop(client->revalidate);
    client->revalidate = NULL;
    client->is_revalidating = false;
}

static void on_close(struct net_connection *connection, const char *reason)
{
    struct client_link *client = connection->user;
    (void)reason; /* net has told it. */
    if (client->phase != CLIENT_LINK_CLOSING)
        client->server->stats.counts.dropped_connection_count++;
    client->user_count++;
    session_remove(client);
    if (client->is_revalidating)
        drop_revalidation(client);
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
            client_link_close(client, "no memory for a watch event", false);
    }
}

void client_link_close_all(struct keeper_server *server, const char *reason)
{
    list_each_safe (link, after, &server->links) {
        struct client_link *client = CONTAINER_OF(link, struct client_link, link);
        if (client->phase == CLIENT_LINK_CLOSING) /* Its last replies are still on their way. */
            net_connection_close(client->net, reason, false);
        else
            client_link_close(client, reason, false);
    }
}

void client_link_forget_all(struct keeper_server *server, const char *reason)
{
    list_each_safe (at, after, &server->links) {
        struct client_link *client = CONTAINER_OF(at, struct client_link, link);
        keeper_connection_deinit(&server->keeper, &client->keeper);
        watch_table_init_watcher(&client->keeper.watcher);
        client_link_close(client, reason, false);
    }
}

void client_link_pause(struct client_link *client)
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
    client->latency_last_ms = (uint32_t)((now_ns - started_at_ns) / 1000000);
    client->replied_at_ms = now_ns / 1000000;
    client->zxid_last = server->keeper.zxid_applied;
    client->sent_count++;
}

/* An event comes before whatever shows what it tells of. */
void client_link_tell_owed(struct client_link *client)
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
        client_link_close(client, "no memory for a reply", false);
        return;
    }
    count_reply(client, message, started_at_ns);
    client_link_tell_owed(client);
    net_reply_send(reply, message);
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
        return refuse_frame(client, client_request_too_large);
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
    client_link_close(client, "a four-letter word was answered", true);
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
    case CLIENT_LINK_NEW: client_session_on_connect(client, slice_of(data, size)); return;
    case CLIENT_LINK_OPEN: client_request_on_frame(client, slice_of(data, size)); return;
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
