/* A client's connection: the handshake, then requests in order.
 *
 *   NEW --connect request--> CONNECTING (its session is being created; not read) --> OPEN -->
 * CLOSED
 *
 * Writes go to keeper_write at once. Anything else waits behind the link's last write (its
 * barrier), because a client must see its own writes; a sync, or a resumed session, makes the last
 * write of the whole server the barrier.
 *
 * Memory: a block from the shard's heap, given back when the connection is closed and no write
 * refers to it. Shard: the server's.
 */
#ifndef SERVER_KEEPER_CLIENT_LINK_H
#define SERVER_KEEPER_CLIENT_LINK_H

#include "server/keeper/keeper_server.h"

struct keeper_write;

enum client_link_phase {
    CLIENT_LINK_NEW,
    CLIENT_LINK_CONNECTING,
    CLIENT_LINK_OPEN,
    CLIENT_LINK_CLOSING, /* Nothing more is read; what was released is still sent. */
    CLIENT_LINK_CLOSED,  /* net is gone. */
};

struct client_link {
    struct list link;        /* In server->links. */
    struct list paused_link; /* In server->paused. */
    struct hash_link by_session;
    struct keeper_server *server;
    struct net_connection *net;      /* NULL: closed. */
    struct keeper_connection keeper; /* Its watches, identities and session. */
    enum client_link_phase phase;
    uint64_t id; /* The owner of its session. */
    uint32_t user_count;
    bool has_read_only_byte;
    bool is_in_sessions;
    bool is_masking; /* Its first frame is the trace mask of the word stmk. */
    bool is_doomed;  /* An event did not fit into memory: it is closed once that is safe. */
    int32_t timeout_ms;
    struct keeper_write *barrier; /* Valid while barrier_zxid is not applied. */
    int64_t barrier_zxid;

    /* For people. */
    int64_t connected_at_ms;
    uint64_t received_count;
    uint64_t sent_count;
    uint32_t outstanding_count;
    int32_t xid_last;
    int32_t type_last;
    int64_t zxid_last;
    uint64_t replied_at_ms;
    uint64_t latency_last_ms;
    struct keeper_latency latency;
};

/* A request that waits for a write or at the gate, with the buffer that holds it. */
struct client_wait {
    struct list link; /* In keeper_write.waits, server->gate.held or server->free_waits. */
    struct client_link *client;
    struct net_reply *reply;
    struct net_buffer *buffer;
    struct slice frame;
    int32_t identity_count; /* Those that the client had when it asked. */
    enum code code; /* CODE_OK: it is run. Otherwise it was refused, and this is its answer. */
    uint64_t started_at_ns;
};

enum { client_wait_free_count_max = 4096 };

/* What net calls. The listener's user is the server. */
extern const struct net_handler client_link_handler;

/* Sends the answer to a request and counts it. Takes reply and message; message NULL: no memory, so
 * the link is closed. */
void client_link_reply(struct client_link *client, struct net_reply *reply,
                       struct net_message *message, uint64_t started_at_ns);

/* The session that the link asked for exists (code zero) or cannot be had. */
void client_link_on_session(struct client_link *client, struct net_reply *reply, int32_t code);

/* The session of the link is gone: tells nothing and closes, after what was released is sent. */
void client_link_on_session_end(struct client_link *client);

/* A write came behind the session's move to another connection: no answer, the link is closed. */
void client_link_refuse_moved(struct client_link *client, struct net_reply *reply);

/* What the link reads from now on comes behind write. */
void client_link_set_barrier(struct client_link *client, struct keeper_write *write);

/* Runs a request that waited. Takes wait. */
void client_link_run_wait(struct client_wait *wait);

/* Goes on with the requests that the gate holds, as far as others have ended. */
void client_link_run_held(struct keeper_server *server);

/* A write no longer refers to it. */
void client_link_release(struct client_link *client);

/* The open link of the session, NULL: none. */
struct client_link *client_link_find(const struct keeper_server *server, int64_t session_id);

/* A watch event for the client. Closes nothing at once, so it may run inside the core. */
void client_link_push_event(struct client_link *client, const struct watch_event *event);

/* Closes the links that missed an event: their clients reconnect and catch up. */
void client_link_close_doomed(struct keeper_server *server);

/* Reads on, after writes have been applied. */
void client_link_resume_paused(struct keeper_server *server);

/* Forgets what was counted for people, of every link. */
void client_link_reset_stats(struct keeper_server *server);

/* The link that a watcher is part of. */
const struct client_link *client_link_of_watcher(const struct watcher *watcher);

/* Gives back recycled blocks. */
void client_link_drain(struct keeper_server *server);

#endif
