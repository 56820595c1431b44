#include "client/keeper_client.h"

#include <stdalign.h>

#include "base/bytes.h"
#include "client/keeper_hosts.h"
#include "client/keeper_message.h"
#include "client/keeper_request.h"
#include "client/keeper_watches.h"
#include "wire/gen/zk.h"

enum {
    password_size = 16,
    dial_count_max = 4, /* Given up ones count until the world lets go of them. */
    backoff_ms_first = 50,
    backoff_ms_max_default = 1000,
    frame_bytes_max_default = 4 << 20,
    ping_interval_ms_max = 10000,
    close_timeout_ms = 2000,
    end_poll_ms = 10,
    set_watches_bytes_max = 128 << 10,
    identity_count_max = 16,
    reply_arena_bytes = 16 << 10,
    connect_reply_size_old = 36 /* Without the read-only byte. */
};

enum phase {
    PHASE_IDLE,
    PHASE_WAITING, /* For the next dial. */
    PHASE_DIALING,
    PHASE_HANDSHAKING,
    PHASE_CONNECTED,
    PHASE_CLOSING, /* The close request is on its way. */
    PHASE_ENDING   /* Until nothing is in flight. */
};

/* One attempt to connect. The world may hold one that we have given up for a while. */
struct dial {
    struct keeper_client *client;
    bool is_used;
    bool is_given_up;
};

struct identity {
    struct list link;
    struct keeper_op *op; /* Of the add_auth that brought it, until answered. */
    const char *scheme;
    struct slice bytes;
    bool is_awaited; /* Sent on this connection and not yet answered. */
};

struct keeper_client {
    struct io *io;
    struct net *net;
    struct heap *heap;
    struct diag *diag;
    struct keeper_client_options options;
    struct keeper_client_handler handler;
    struct keeper_hosts hosts;
    struct keeper_watches watches;
    struct prng prng;
    enum phase phase;

    int64_t session_id; /* 0: a new one is wanted. */
    uint8_t password[password_size];
    uint32_t session_timeout_ms;
    int64_t last_zxid;
    int32_t next_xid;

    struct net_connection *connection;
    struct dial dials[dial_count_max];
    struct dial *dial; /* The current one, while dialing. */
    uint32_t failed_dial_count;
    uint32_t backoff_ms;
    uint64_t deadline_ns; /* Of the phase: next dial, end of the dial or of the close. */
    uint64_t heard_ns;
    uint64_t sent_ns;

    struct list unsent; /* Ops in order; they wait for a connection. */
    struct list sent;   /* Ops in the order of their replies. */
    struct list ended;  /* Ops that end without a reply, at the next tick. */
    struct list identities;
    uint32_t identity_count;

    struct io_op timer;
    bool timer_is_running;
    uint64_t timer_deadline_ns;

    struct arena arena; /* For decoding one reply. */
    alignas(16) uint8_t arena_memory[reply_arena_bytes];
};

static const struct net_handler connection_handler;

const char *keeper_code_name(int32_t code)
{
    switch (code) {
    case KEEPER_OK: return "OK";
    case KEEPER_SYSTEM_ERROR: return "SYSTEMERROR";
    case KEEPER_RUNTIME_INCONSISTENCY: return "RUNTIMEINCONSISTENCY";
    case KEEPER_CONNECTION_LOSS: return "CONNECTIONLOSS";
    case KEEPER_MARSHALLING_ERROR: return "MARSHALLINGERROR";
    case KEEPER_UNIMPLEMENTED: return "UNIMPLEMENTED";
    case KEEPER_OPERATION_TIMEOUT: return "OPERATIONTIMEOUT";
    case KEEPER_BAD_ARGUMENTS: return "BADARGUMENTS";
    case KEEPER_NO_NODE: return "NONODE";
    case KEEPER_NO_AUTH: return "NOAUTH";
    case KEEPER_BAD_VERSION: return "BADVERSION";
    case KEEPER_NO_CHILDREN_FOR_EPHEMERALS: return "NOCHILDRENFOREPHEMERALS";
    case KEEPER_NODE_EXISTS: return "NODEEXISTS";
    case KEEPER_NOT_EMPTY: return "NOTEMPTY";
    case KEEPER_SESSION_EXPIRED: return "SESSIONEXPIRED";
    case KEEPER_INVALID_ACL: return "INVALIDACL";
    case KEEPER_AUTH_FAILED: return "AUTHFAILED";
    case KEEPER_SESSION_MOVED: return "SESSIONMOVED";
    case KEEPER_NOT_READ_ONLY: return "NOTREADONLY";
    case KEEPER_NO_WATCHER: return "NOWATCHER";
    default: return "UNKNOWN";
    }
}

static uint64_t now_ns(const struct keeper_client *client)
{
    return io_now_ns(client->io);
}

static uint64_t after_ms(const struct keeper_client *client, uint64_t ms)
{
    return now_ns(client) + ms * 1000000;
}

static void finish(struct keeper_op *op, int32_t code)
{
    if (op->message != NULL)
        net_message_release(op->message);
    op->message = NULL;
    op->done(op, &(struct keeper_result){.code = code});
}

/* Ends all ops of a list; those that their done callbacks add are left for later. */
static void finish_all(struct list *ops, int32_t code)
{
    struct list taken;
    list_init(&taken);
    list_splice(&taken, ops);
    while (!list_empty(&taken))
        finish(CONTAINER_OF(list_pop(&taken), struct keeper_op, link), code);
}

static void finish_ended(struct keeper_client *client)
{
    struct list taken;
    list_init(&taken);
    list_splice(&taken, &client->ended);
    while (!list_empty(&taken)) {
        struct keeper_op *op = CONTAINER_OF(list_pop(&taken), struct keeper_op, link);
        finish(op, op->code);
    }
}

/* ---- time ---- */

static uint64_t ping_interval_ns(const struct keeper_client *client)
{
    return min_u64(client->session_timeout_ms / 3, ping_interval_ms_max) * 1000000;
}

static uint64_t silence_ns_max(const struct keeper_client *client)
{
    return (uint64_t)client->session_timeout_ms * 2 / 3 * 1000000;
}

static uint64_t wanted_deadline_ns(const struct keeper_client *client)
{
    if (!list_empty(&client->ended))
        return now_ns(client);
    switch (client->phase) {
    case PHASE_IDLE: return UINT64_MAX;
    case PHASE_WAITING:
    case PHASE_DIALING:
    case PHASE_HANDSHAKING:
    case PHASE_CLOSING:
    case PHASE_ENDING: return client->deadline_ns;
    case PHASE_CONNECTED:
        return min_u64(client->heard_ns + silence_ns_max(client),
                       client->sent_ns + ping_interval_ns(client));
    }
    return UINT64_MAX;
}

/* The timer may run too early, never too late: it is only moved forward. */
static void schedule(struct keeper_client *client)
{
    const uint64_t wanted = wanted_deadline_ns(client);
    if (wanted == UINT64_MAX)
        return;
    if (!client->timer_is_running) {
        client->timer_is_running = true;
        client->timer_deadline_ns = wanted;
        client->timer.kind = IO_TIMER;
        client->timer.timer.deadline_ns = wanted;
        io_submit(client->io, &client->timer);
    } else if (wanted < client->timer_deadline_ns) {
        client->timer_deadline_ns = wanted; /* So that it is canceled once. */
        io_cancel(client->io, &client->timer);
    }
}

/* ---- dialing ---- */

static struct dial *free_dial(struct keeper_client *client)
{
    for (size_t index = 0; index < dial_count_max; index++)
        if (!client->dials[index].is_used)
            return &client->dials[index];
    return NULL;
}

static uint32_t dial_timeout_ms(const struct keeper_client *client)
{
    if (client->options.connect_timeout_ms != 0)
        return client->options.connect_timeout_ms;
    return (uint32_t)max_u64(client->options.session_timeout_ms / client->hosts.count, 1);
}

/* Every host once without a pause, then a pause that grows. */
static void wait_for_dial(struct keeper_client *client)
{
    uint64_t pause_ms = 0;
    client->failed_dial_count++;
    if (client->failed_dial_count % client->hosts.count == 0) {
        pause_ms = client->backoff_ms / 2 + prng_below(&client->prng, client->backoff_ms / 2 + 1);
        client->backoff_ms =
            (uint32_t)min_u64(client->backoff_ms * 2, client->options.backoff_ms_max);
    }
    client->phase = PHASE_WAITING;
    client->deadline_ns = after_ms(client, pause_ms);
}

static void dial(struct keeper_client *client)
{
    const struct io_address *address = keeper_hosts_next(&client->hosts);
    struct dial *attempt = free_dial(client);
    if (attempt == NULL) {
        wait_for_dial(client);
        return;
    }
    *attempt = (struct dial){.client = client, .is_used = true};
    client->phase = PHASE_DIALING;
    client->deadline_ns = after_ms(client, dial_timeout_ms(client));
    client->dial = attempt;
    if (net_connect(client->net, address, &connection_handler, attempt) != ERR_OK) {
        attempt->is_used = false;
        client->dial = NULL;
        wait_for_dial(client);
    }
}

/* ---- sending ---- */

static void push(struct keeper_client *client, struct net_message *message, int32_t xid)
{
    assert(client->connection != NULL);
    store_i32(message->data + 4, xid);
    client->sent_ns = now_ns(client);
    net_push(client->connection, message);
}

static void send_op(struct keeper_client *client, struct keeper_op *op)
{
    struct net_message *message = op->message;
    op->message = NULL;
    op->xid = client->next_xid;
    client->next_xid = client->next_xid == INT32_MAX ? 1 : client->next_xid + 1;
    list_push(&client->sent, &op->link);
    push(client, message, op->xid);
}

static void on_lost(struct keeper_client *client, const char *reason);

/* Lets go of the connection at once; the world may take a while to see it gone. */
static void close_connection(struct keeper_client *client, const char *reason)
{
    struct net_connection *connection = client->connection;
    if (connection == NULL)
        return;
    struct dial *attempt = connection->user;
    attempt->is_given_up = true;
    client->connection = NULL;
    net_connection_close(connection, reason, false);
    on_lost(client, reason);
}

static bool send_connect_request(struct keeper_client *client)
{
    const struct zk_connect_request request = {
        .last_zxid_seen = client->last_zxid,
        .timeout_ms = (int32_t)client->options.session_timeout_ms,
        .session_id = client->session_id,
        .password = slice_of(client->password, sizeof client->password),
    };
    struct net_message *message = keeper_message_connect(client->heap, &request);
    if (message == NULL)
        return false;
    net_push(client->connection, message);
    return true;
}

static bool send_identity(struct keeper_client *client, struct identity *identity)
{
    const struct zk_auth_request request = {
        .scheme = slice_from_text(identity->scheme),
        .auth = identity->bytes,
    };
    struct net_message *message =
        keeper_message_make(client->heap, ZK_OP_AUTH, &zk_auth_request_wire, &request);
    if (message == NULL)
        return false;
    identity->is_awaited = true;
    push(client, message, KEEPER_XID_AUTH);
    return true;
}

static bool send_watches(struct keeper_client *client)
{
    for (const struct list *next = keeper_watches_first(&client->watches); next != NULL;) {
        struct net_message *message =
            keeper_watches_message(&client->watches, client->hosts.chroot, client->last_zxid,
                                   set_watches_bytes_max, &next);
        if (message == NULL)
            return false;
        push(client, message, KEEPER_XID_SET_WATCHES);
    }
    return true;
}

/* Identities first, then watches, then what was asked for meanwhile: as Apache's client does. */
static bool send_backlog(struct keeper_client *client)
{
    list_each (link, &client->identities)
        if (!send_identity(client, CONTAINER_OF(link, struct identity, link)))
            return false;
    if (!send_watches(client))
        return false;
    while (!list_empty(&client->unsent))
        send_op(client, CONTAINER_OF(list_pop(&client->unsent), struct keeper_op, link));
    return true;
}

static void send_ping(struct keeper_client *client)
{
    struct net_message *message = keeper_message_make(client->heap, ZK_OP_PING, NULL, NULL);
    if (message != NULL)
        push(client, message, KEEPER_XID_PING);
    else
        client->sent_ns = now_ns(client); /* Tried; the next one may fit. */
}

static bool send_close(struct keeper_client *client)
{
    struct net_message *message =
        keeper_message_make(client->heap, ZK_OP_CLOSE_SESSION, NULL, NULL);
    if (message == NULL)
        return false;
    push(client, message, client->next_xid);
    return true;
}

/* ---- the ends of sessions ---- */

static void forget_session(struct keeper_client *client)
{
    client->session_id = 0;
    client->last_zxid = 0;
    memset(client->password, 0, sizeof client->password);
}

static void end_everything(struct keeper_client *client)
{
    finish_all(&client->sent, KEEPER_SESSION_EXPIRED);
    finish_all(&client->unsent, KEEPER_SESSION_EXPIRED);
    keeper_watches_end(&client->watches);
}

static void on_expired(struct keeper_client *client)
{
    diag_warn(client->diag, "keeper session 0x%llx has expired", (long long)client->session_id);
    client->phase = PHASE_IDLE;
    close_connection(client, "the session has expired");
    forget_session(client);
    end_everything(client);
    client->handler.on_event(client->handler.context, KEEPER_EVENT_EXPIRED);
}

static bool has_dials(const struct keeper_client *client)
{
    for (size_t index = 0; index < dial_count_max; index++)
        if (client->dials[index].is_used)
            return true;
    return false;
}

static void finish_identities(struct keeper_client *client)
{
    list_each_safe (link, after, &client->identities) {
        struct identity *identity = CONTAINER_OF(link, struct identity, link);
        struct keeper_op *op = identity->op;
        identity->op = NULL;
        if (op != NULL)
            finish(op, KEEPER_SESSION_EXPIRED);
    }
}

/* Runs from the timer's done until nothing of the client is in flight any more. */
static void try_to_end(struct keeper_client *client)
{
    client->deadline_ns = after_ms(client, end_poll_ms);
    close_connection(client, "stopped");
    finish_identities(client);
    end_everything(client);
    if (client->timer_is_running || has_dials(client) || !list_empty(&client->ended)) {
        schedule(client);
        return;
    }
    client->phase = PHASE_IDLE;
    forget_session(client);
    client->handler.on_event(client->handler.context, KEEPER_EVENT_STOPPED);
}

/* The dial failed, or the connection broke. */
static void on_lost(struct keeper_client *client, const char *reason)
{
    const bool was_connected = client->phase == PHASE_CONNECTED;
    list_each (link, &client->identities)
        CONTAINER_OF(link, struct identity, link)->is_awaited = false;
    if (client->phase == PHASE_CLOSING) {
        client->phase = PHASE_ENDING;
        client->deadline_ns = now_ns(client);
    }
    if (client->phase == PHASE_IDLE || client->phase == PHASE_ENDING) {
        schedule(client);
        return;
    }
    wait_for_dial(client);
    if (was_connected) {
        diag_warn(client->diag, "connection to the keeper lost: %s", reason);
        finish_all(&client->sent, KEEPER_CONNECTION_LOSS);
        client->handler.on_event(client->handler.context, KEEPER_EVENT_DISCONNECTED);
    }
    schedule(client);
}

/* ---- frames ---- */

static void on_connect_reply(struct keeper_client *client, struct slice frame)
{
    struct zk_connect_reply reply;
    const int version = frame.size <= connect_reply_size_old ? 0 : 1;
    arena_reset(&client->arena);
    if (wire_decode(&zk_connect_reply_wire, version, &frame, &client->arena, &reply) != ERR_OK ||
        (reply.timeout_ms > 0 && reply.password.size != password_size)) {
        close_connection(client, "the connect reply is not readable");
        return;
    }
    if (reply.timeout_ms <= 0) {
        on_expired(client);
        return;
    }
    client->session_id = reply.session_id;
    client->session_timeout_ms = (uint32_t)reply.timeout_ms;
    memcpy(client->password, reply.password.data, password_size);
    client->phase = PHASE_CONNECTED;
    client->failed_dial_count = 0;
    client->backoff_ms = backoff_ms_first;
    client->sent_ns = now_ns(client);
    char address[io_address_text_max];
    diag_info(client->diag, "connected to the keeper at %s, session 0x%llx, timeout %d ms",
              io_address_print(&client->connection->peer, address, sizeof address),
              (long long)reply.session_id, (int)reply.timeout_ms);
    if (!send_backlog(client)) {
        close_connection(client, "no memory for the first requests");
        return;
    }
    client->handler.on_event(client->handler.context, KEEPER_EVENT_CONNECTED);
}

static void on_watch_event(struct keeper_client *client, struct slice body)
{
    struct zk_watcher_event event;
    arena_reset(&client->arena);
    if (wire_decode(&zk_watcher_event_wire, 0, &body, &client->arena, &event) != ERR_OK) {
        close_connection(client, "a watch event is not readable");
        return;
    }
    if (event.type < KEEPER_NODE_CREATED || event.type > KEEPER_NODE_CHILDREN_CHANGED)
        return;
    const struct slice path = keeper_message_strip(client->hosts.chroot, event.path);
    keeper_watches_fire(&client->watches, path, (enum keeper_event_type)event.type);
}

static void drop_identity(struct keeper_client *client, struct identity *identity)
{
    list_remove(&identity->link);
    client->identity_count--;
    heap_give(client->heap, identity);
}

static void on_auth_reply(struct keeper_client *client, int32_t code)
{
    struct identity *identity = NULL;
    list_each (link, &client->identities) {
        identity = CONTAINER_OF(link, struct identity, link);
        if (identity->is_awaited)
            break;
        identity = NULL;
    }
    if (identity == NULL)
        return;
    struct keeper_op *op = identity->op;
    identity->is_awaited = false;
    identity->op = NULL;
    if (code != KEEPER_OK)
        drop_identity(client, identity);
    if (op != NULL)
        finish(op, code);
    if (code != KEEPER_OK)
        client->handler.on_event(client->handler.context, KEEPER_EVENT_AUTH_FAILED);
}

static void arm_watch(struct keeper_client *client, const struct keeper_op *op, int32_t code)
{
    struct keeper_watch *watch = op->watch;
    if (watch == NULL || watch->is_armed)
        return;
    if (op->type == ZK_OP_EXISTS && code == KEEPER_NO_NODE)
        watch->kind = KEEPER_WATCH_EXISTS;
    else if (code != KEEPER_OK)
        return;
    keeper_watches_arm(&client->watches, watch);
}

/* Decodes in the client's arena, or for a long list in one that lives as long as the reply. */
static void answer(struct keeper_client *client, struct keeper_op *op, struct slice body,
                   struct keeper_result *result)
{
    const struct keeper_message_reply reply = {op->type, op->part_count, client->hosts.chroot};
    const size_t arena_size = keeper_message_arena_size(op->type, body.size);
    struct arena arena = client->arena;
    void *memory = NULL;
    if (arena_size > sizeof client->arena_memory) {
        memory = heap_take(client->heap, arena_size);
        if (memory == NULL) {
            op->done(op, &(struct keeper_result){.code = KEEPER_SYSTEM_ERROR});
            return;
        }
        arena_init(&arena, memory, arena_size);
    }
    arena_reset(&arena);
    if (result->code == KEEPER_OK && keeper_message_decode(reply, body, &arena, result) != ERR_OK)
        *result = (struct keeper_result){.code = KEEPER_MARSHALLING_ERROR, .zxid = result->zxid};
    op->done(op, result);
    heap_give(client->heap, memory);
}

static void on_reply(struct keeper_client *client, const struct zk_reply_header *header,
                     struct slice body)
{
    struct keeper_op *op = list_empty(&client->sent)
                               ? NULL
                               : CONTAINER_OF(list_first(&client->sent), struct keeper_op, link);
    if (op == NULL && client->phase == PHASE_CLOSING) {
        close_connection(client, "closed");
        return;
    }
    if (op == NULL || op->xid != header->xid) {
        close_connection(client, "a reply came out of order");
        return;
    }
    list_remove(&op->link);
    arm_watch(client, op, header->err);
    struct keeper_result result = {.code = header->err, .zxid = header->zxid};
    answer(client, op, body, &result);
}

static void on_message(struct keeper_client *client, struct slice frame)
{
    struct zk_reply_header header;
    arena_reset(&client->arena);
    if (wire_decode(&zk_reply_header_wire, 0, &frame, &client->arena, &header) != ERR_OK) {
        close_connection(client, "a reply is not readable");
        return;
    }
    client->last_zxid = max_i64(client->last_zxid, header.zxid);
    switch (header.xid) {
    case KEEPER_XID_EVENT: on_watch_event(client, frame); return;
    case KEEPER_XID_PING: return;
    case KEEPER_XID_AUTH: on_auth_reply(client, header.err); return;
    case KEEPER_XID_SET_WATCHES:
        if (header.err != KEEPER_OK)
            close_connection(client, "the keeper did not take the watches");
        return;
    default: on_reply(client, &header, frame);
    }
}

/* ---- what net calls ---- */

static bool on_open(struct net_connection *connection)
{
    struct dial *attempt = connection->user;
    struct keeper_client *client = attempt->client;
    if (attempt->is_given_up) {
        attempt->is_used = false;
        return false;
    }
    assert(client->phase == PHASE_DIALING && client->dial == attempt);
    client->dial = NULL;
    client->connection = connection;
    client->phase = PHASE_HANDSHAKING;
    client->heard_ns = now_ns(client);
    if (!send_connect_request(client))
        client->deadline_ns = now_ns(client); /* No memory: give up at the next tick. */
    schedule(client);
    return true;
}

static struct net_verdict on_length(struct net_connection *connection, uint32_t length)
{
    const struct dial *attempt = connection->user;
    if (length > attempt->client->options.frame_bytes_max)
        return (struct net_verdict){.kind = NET_REFUSE, .reason = "the reply is too large"};
    return (struct net_verdict){.kind = NET_FRAME, .length = length};
}

static void on_frame(struct net_connection *connection, uint8_t *data, size_t size)
{
    struct dial *attempt = connection->user;
    struct keeper_client *client = attempt->client;
    if (client->connection != connection)
        return;
    client->heard_ns = now_ns(client);
    if (client->phase == PHASE_HANDSHAKING)
        on_connect_reply(client, slice_of(data, size));
    else if (client->phase == PHASE_CONNECTED || client->phase == PHASE_CLOSING)
        on_message(client, slice_of(data, size));
    schedule(client);
}

static void on_close(struct net_connection *connection, const char *reason)
{
    struct dial *attempt = connection->user;
    struct keeper_client *client = attempt->client;
    const bool was_given_up = attempt->is_given_up;
    attempt->is_used = false;
    if (was_given_up) {
        schedule(client);
        return;
    }
    if (client->dial == attempt)
        client->dial = NULL;
    client->connection = NULL;
    on_lost(client, reason);
}

static const struct net_handler connection_handler = {
    .on_open = on_open,
    .on_length = on_length,
    .on_frame = on_frame,
    .on_close = on_close,
};

/* ---- the timer ---- */

static void give_up_dial(struct keeper_client *client)
{
    client->dial->is_given_up = true;
    client->dial = NULL;
    on_lost(client, "no connection in time");
}

static void check_connection(struct keeper_client *client)
{
    const uint64_t now = now_ns(client);
    if (now >= client->heard_ns + silence_ns_max(client))
        close_connection(client, "the keeper is silent");
    else if (now >= client->sent_ns + ping_interval_ns(client))
        send_ping(client);
}

static void tick(struct keeper_client *client)
{
    finish_ended(client);
    const bool is_due = now_ns(client) >= client->deadline_ns;
    switch (client->phase) {
    case PHASE_IDLE: break;
    case PHASE_WAITING:
        if (is_due)
            dial(client);
        break;
    case PHASE_DIALING:
        if (is_due)
            give_up_dial(client);
        break;
    case PHASE_HANDSHAKING:
        if (is_due)
            close_connection(client, "no answer to the connect request in time");
        break;
    case PHASE_CONNECTED: check_connection(client); break;
    case PHASE_CLOSING:
        if (is_due)
            close_connection(client, "no answer to the close request in time");
        break;
    case PHASE_ENDING: break;
    }
}

static void on_timer(struct io_op *op, int64_t result)
{
    struct keeper_client *client = CONTAINER_OF(op, struct keeper_client, timer);
    (void)result; /* Due or canceled: either way look at what is to be done. */
    client->timer_is_running = false;
    tick(client);
    if (client->phase == PHASE_ENDING)
        try_to_end(client); /* The client may be gone after this. */
    else
        schedule(client);
}

/* ---- what callers call ---- */

enum err keeper_client_init(struct keeper_client **out, struct io *io, struct net *net,
                            struct heap *heap, struct diag *diag,
                            struct keeper_client_options options,
                            struct keeper_client_handler handler)
{
    struct keeper_client *client = heap_take_zeroed(heap, sizeof *client);
    if (client == NULL)
        return ERR_NO_MEMORY;
    client->io = io;
    client->net = net;
    client->heap = heap;
    client->diag = diag;
    client->options = options;
    client->handler = handler;
    if (options.backoff_ms_max == 0)
        client->options.backoff_ms_max = backoff_ms_max_default;
    if (options.frame_bytes_max == 0)
        client->options.frame_bytes_max = frame_bytes_max_default;
    client->timer.done = on_timer;
    list_init(&client->unsent);
    list_init(&client->sent);
    list_init(&client->ended);
    list_init(&client->identities);
    arena_init(&client->arena, client->arena_memory, sizeof client->arena_memory);

    uint64_t seeds[2];
    io_entropy(io, seeds, sizeof seeds);
    prng_init(&client->prng, seeds[0]);
    enum err err = keeper_hosts_init(&client->hosts, io, options.connect);
    if (err == ERR_OK)
        err = keeper_watches_init(&client->watches, heap, seeds[1]);
    if (err != ERR_OK) {
        heap_give(heap, client);
        return err == ERR_NO_MEMORY ? err : ERR_CONFIG;
    }
    keeper_hosts_shuffle(&client->hosts, &client->prng);
    *out = client;
    return ERR_OK;
}

void keeper_client_deinit(struct keeper_client *client)
{
    if (client == NULL)
        return;
    assert(client->phase == PHASE_IDLE && !client->timer_is_running);
    while (!list_empty(&client->identities))
        drop_identity(client, CONTAINER_OF(list_first(&client->identities), struct identity, link));
    keeper_watches_deinit(&client->watches);
    heap_give(client->heap, client);
}

void keeper_client_start(struct keeper_client *client)
{
    assert(client->phase == PHASE_IDLE);
    forget_session(client);
    client->next_xid = 1;
    client->failed_dial_count = 0;
    client->backoff_ms = backoff_ms_first;
    client->session_timeout_ms = client->options.session_timeout_ms;
    client->phase = PHASE_WAITING;
    client->deadline_ns = now_ns(client);
    schedule(client);
}

void keeper_client_stop(struct keeper_client *client)
{
    if (client->phase == PHASE_CLOSING || client->phase == PHASE_ENDING)
        return;
    if (client->dial != NULL) {
        client->dial->is_given_up = true;
        client->dial = NULL;
    }
    if (client->phase == PHASE_CONNECTED && send_close(client)) {
        client->phase = PHASE_CLOSING;
        client->deadline_ns = after_ms(client, close_timeout_ms);
    } else {
        client->phase = PHASE_ENDING;
        client->deadline_ns = now_ns(client);
    }
    schedule(client);
}

enum keeper_state keeper_client_state(const struct keeper_client *client)
{
    switch (client->phase) {
    case PHASE_IDLE: return KEEPER_IDLE;
    case PHASE_WAITING:
    case PHASE_DIALING:
    case PHASE_HANDSHAKING: return KEEPER_CONNECTING;
    case PHASE_CONNECTED: return KEEPER_CONNECTED;
    case PHASE_CLOSING:
    case PHASE_ENDING: return KEEPER_STOPPING;
    }
    return KEEPER_IDLE;
}

int64_t keeper_client_session_id(const struct keeper_client *client)
{
    return client->session_id;
}

uint32_t keeper_client_session_timeout_ms(const struct keeper_client *client)
{
    return client->session_timeout_ms;
}

/* Ends op at the next tick, as its done may not run inside the call that brought it. */
static void end_later(struct keeper_client *client, struct keeper_op *op, int32_t code)
{
    op->code = code;
    list_push(&client->ended, &op->link);
    schedule(client);
}

void keeper_client_submit(struct keeper_client *client, struct keeper_op *op, int32_t type,
                          struct net_message *message)
{
    op->type = type;
    op->message = message;
    if (message == NULL) {
        end_later(client, op, KEEPER_SYSTEM_ERROR);
        return;
    }
    switch (client->phase) {
    case PHASE_CONNECTED: send_op(client, op); return;
    case PHASE_WAITING:
    case PHASE_DIALING:
    case PHASE_HANDSHAKING: list_push(&client->unsent, &op->link); return;
    case PHASE_IDLE:
    case PHASE_CLOSING:
    case PHASE_ENDING: end_later(client, op, KEEPER_SESSION_EXPIRED); return;
    }
}

struct slice keeper_client_chroot(const struct keeper_client *client)
{
    return client->hosts.chroot;
}

struct heap *keeper_client_heap(const struct keeper_client *client)
{
    return client->heap;
}

void keeper_client_add_auth(struct keeper_client *client, struct keeper_op *op, const char *scheme,
                            struct slice identity)
{
    op->message = NULL;
    op->watch = NULL;
    const size_t scheme_size = strlen(scheme) + 1;
    struct identity *kept = NULL;
    if (client->identity_count < identity_count_max)
        kept = heap_take_zeroed(client->heap, sizeof *kept + scheme_size + identity.size);
    if (kept == NULL) {
        end_later(client, op, KEEPER_SYSTEM_ERROR);
        return;
    }
    uint8_t *text = (uint8_t *)(kept + 1);
    memcpy(text, scheme, scheme_size);
    if (identity.size > 0)
        memcpy(text + scheme_size, identity.data, identity.size);
    kept->op = op;
    kept->scheme = (const char *)text;
    kept->bytes = slice_of(text + scheme_size, identity.size);
    list_push(&client->identities, &kept->link);
    client->identity_count++;
    if (client->phase == PHASE_CONNECTED && !send_identity(client, kept)) {
        drop_identity(client, kept);
        end_later(client, op, KEEPER_SYSTEM_ERROR);
    }
}

static void forget_watch(struct list *ops, const struct keeper_watch *watch)
{
    list_each (link, ops) {
        struct keeper_op *op = CONTAINER_OF(link, struct keeper_op, link);
        if (op->watch == watch)
            op->watch = NULL;
    }
}

void keeper_client_disarm(struct keeper_client *client, struct keeper_watch *watch)
{
    forget_watch(&client->unsent, watch);
    forget_watch(&client->sent, watch);
    if (watch->link.next != NULL)
        keeper_watches_disarm(&client->watches, watch);
}
