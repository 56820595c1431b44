/* A client's connection: the handshake, then requests in order.
 *
 *   NEW --connect request--> CONNECTING (its session is being created; not read) --> OPEN -->
 * CLOSED
 *
 * client_session has the handshake, client_request what comes behind it.
 *
 * Memory: a piece of the core's slab, given back when the connection is closed and no write
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
    struct list paused_link; /* In server->paused or revalidations. */
    struct hash_link by_session;
    struct keeper_server *server;
    struct net_connection *net;      /* NULL: closed. */
    struct keeper_connection keeper; /* Its watches, identities and session. */
    uint64_t id;                     /* The owner of its session. */
    uint32_t user_count;
    int32_t timeout_ms;
    enum client_link_phase phase;
    bool has_read_only_byte : 1;
    bool is_in_sessions : 1;
    bool is_masking : 1;      /* Its first frame is the trace mask of the word stmk. */
    bool is_touched : 1;      /* Heard of since the leader was last told. */
    bool is_revalidating : 1; /* In server->revalidations, by paused_link. */
    bool is_doomed : 1; /* An event did not fit into memory: it is closed once that is safe. */
    union {
        struct net_reply *revalidate; /* While is_revalidating. */
        struct keeper_write *barrier; /* Valid while barrier_order is not done. */
    };
    uint64_t barrier_order;

    /* For people. */
    int64_t connected_at_ms;
    uint64_t received_count;
    uint64_t sent_count;
    uint32_t outstanding_count;
    int32_t xid_last;
    int32_t type_last;
    uint32_t latency_last_ms;
    int64_t zxid_last;
    uint64_t replied_at_ms;
    struct keeper_latency latency;
};

/* What net calls. The listener's user is the server. */
extern const struct net_handler client_link_handler;

/* Sends the answer to a request and counts it. Takes reply and message; message NULL: no memory, so
 * the link is closed. */
void client_link_reply(struct client_link *client, struct net_reply *reply,
                       struct net_message *message, uint64_t started_at_ns);

/* Its session is here now: client_link_find finds it. */
void client_link_add_session(struct client_link *client);

/* Closes it, at once or after what was released is sent. Borrows reason, which is a literal. */
void client_link_close(struct client_link *client, const char *reason, bool after_sending);

/* Closes it for what its client did, which is told to people. */
void client_link_expel(struct client_link *client, const char *reason, bool after_sending);

/* Reads no more until client_link_resume_paused. */
void client_link_pause(struct client_link *client);

/* Sends the events that it is owed: they come before whatever shows what they tell of. */
void client_link_tell_owed(struct client_link *client);

/* A write no longer refers to it. */
void client_link_release(struct client_link *client);

/* The open link of the session, NULL: none. */
struct client_link *client_link_find(const struct keeper_server *server, int64_t session_id);

/* A watch event for the client. Closes nothing at once, so it may run inside the core. */
void client_link_push_event(struct client_link *client, const struct watch_event *event);

/* Closes the links that missed an event: their clients reconnect and catch up. */
void client_link_close_doomed(struct keeper_server *server);

/* Closes every link. */
void client_link_close_all(struct keeper_server *server, const char *reason);

/* The keeper is about to go: whatever it holds for connections goes first, and they are closed. */
void client_link_forget_all(struct keeper_server *server, const char *reason);

/* Reads on, after writes have been applied. */
void client_link_resume_paused(struct keeper_server *server);

/* Forgets what was counted for people, of every link. */
void client_link_reset_stats(struct keeper_server *server);

/* The link that a watcher is part of. */
const struct client_link *client_link_of_watcher(const struct watcher *watcher);

#endif
