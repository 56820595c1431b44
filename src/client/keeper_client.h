/* A session with a keeper (ours or Apache's): asynchronous requests, watches, reconnection.
 *
 *   caller's keeper_op ---> message ---> connection        in flight, in order
 *   op->done(result)   <--- reply   <--- connection
 *
 * The client stays in a session while connections come and go: it dials the hosts in a random
 * order, pings, and arms the watches again. Requests in flight when a connection breaks end with
 * KEEPER_CONNECTION_LOSS (they may or may not have been done); requests made while there is no
 * connection wait for one. Only a keeper can tell that a session has expired; then everything ends
 * with KEEPER_SESSION_EXPIRED, watches included, and keeper_client_start begins a new session.
 *
 * An op is a field of whoever waits: a request allocates its message and nothing else. done and
 * fired never run inside a call that takes the op or the watch.
 *
 * Order: done and fired run in the order in which the keeper sent replies and events, so a change
 * is never seen in a reply before its watch has fired.
 *
 * Memory: messages and armed watches' table from the heap, limited by it. Shard: one owner.
 */
#ifndef CLIENT_KEEPER_CLIENT_H
#define CLIENT_KEEPER_CLIENT_H

#include "base/diag.h"
#include "base/hash_table.h"
#include "base/list.h"
#include "io/io.h"

struct net;
struct zk_acl;
struct zk_stat;
struct keeper_client;

/* The reply codes of the protocol that a caller may want to tell apart. */
enum keeper_code {
    KEEPER_OK = 0,
    KEEPER_SYSTEM_ERROR = -1,
    KEEPER_RUNTIME_INCONSISTENCY = -2, /* In a failed multi: the ops after the failing one. */
    KEEPER_CONNECTION_LOSS = -4,       /* The client's own; never sent by a server. */
    KEEPER_MARSHALLING_ERROR = -5,     /* Also: the reply was not readable. */
    KEEPER_UNIMPLEMENTED = -6,
    KEEPER_OPERATION_TIMEOUT = -7,
    KEEPER_BAD_ARGUMENTS = -8,
    KEEPER_NO_NODE = -101,
    KEEPER_NO_AUTH = -102,
    KEEPER_BAD_VERSION = -103,
    KEEPER_NO_CHILDREN_FOR_EPHEMERALS = -108,
    KEEPER_NODE_EXISTS = -110,
    KEEPER_NOT_EMPTY = -111,
    KEEPER_SESSION_EXPIRED = -112,
    KEEPER_INVALID_ACL = -114,
    KEEPER_AUTH_FAILED = -115,
    KEEPER_SESSION_MOVED = -118,
    KEEPER_NOT_READ_ONLY = -119,
    KEEPER_NO_WATCHER = -121
};

/* Lends: "NONODE", as the protocol's people write it; "UNKNOWN". */
const char *keeper_code_name(int32_t code);

enum keeper_state {
    KEEPER_IDLE,       /* Before keeper_client_start, after expiry, after a stop. */
    KEEPER_CONNECTING, /* No connection now; the session may live on. */
    KEEPER_CONNECTED,
    KEEPER_STOPPING
};

/* What happened to the client as a whole. */
enum keeper_client_event {
    KEEPER_EVENT_CONNECTED,    /* A new session, or the old one on another connection. */
    KEEPER_EVENT_DISCONNECTED, /* The session may live on. */
    KEEPER_EVENT_EXPIRED,      /* All ops and watches have ended. */
    KEEPER_EVENT_AUTH_FAILED,  /* The keeper refused an identity; the session goes on without. */
    KEEPER_EVENT_STOPPED       /* After keeper_client_stop; keeper_client_deinit may follow. */
};

/* One znode's or one multi's answer. Everything it points to is lent until done returns. */
struct keeper_result {
    int32_t code; /* enum keeper_code, or another of the protocol's numbers. */
    int64_t zxid;
    struct slice path;            /* create: the real path, without the chroot. */
    struct slice data;            /* get_data */
    const struct zk_stat *stat;   /* Where the reply carries one, else NULL. */
    const struct slice *children; /* get_children */
    int32_t child_count;
    const struct zk_acl *acl; /* get_acl */
    int32_t acl_count;
    const struct keeper_result *parts; /* multi: one for each op. code of the whole: the first
                                          failing op's. */
    int32_t part_count;
};

struct keeper_op {
    void (*done)(struct keeper_op *op, const struct keeper_result *result);
    struct list link; /* The client's from here on, until done. */
    struct keeper_watch *watch;
    struct net_message *message; /* Not yet sent. */
    int32_t type;
    int32_t xid;
    int32_t code;       /* Of an op that ends without a reply. */
    int32_t part_count; /* Of a multi. */
};

enum keeper_event_type {
    KEEPER_NODE_CREATED = 1,
    KEEPER_NODE_DELETED = 2,
    KEEPER_NODE_DATA_CHANGED = 3,
    KEEPER_NODE_CHILDREN_CHANGED = 4,
    KEEPER_WATCH_ENDED = -1 /* The session expired or the client stopped. */
};

enum keeper_watch_kind { KEEPER_WATCH_DATA, KEEPER_WATCH_EXISTS, KEEPER_WATCH_CHILDREN };

/* A one-shot watch: armed by a reply, ended by fired. It may be given to another request once it
 * has fired, or inside fired. */
struct keeper_watch {
    void (*fired)(struct keeper_watch *watch, enum keeper_event_type type);
    const char *path; /* The request's; kept until fired or disarmed. */
    enum keeper_watch_kind kind;
    bool is_armed;
    struct hash_link by_path;
    struct list link;
};

struct keeper_client_options {
    const char *connect;         /* "host:port,host:port/chroot"; kept. */
    uint32_t session_timeout_ms; /* Wanted; the keeper may give another. */
    uint32_t connect_timeout_ms; /* Of one dial with its handshake; 0: session_timeout_ms divided
                                    by the number of hosts. */
    uint32_t backoff_ms_max;     /* Between rounds of dials; 0: 1000. */
    uint32_t frame_bytes_max;    /* Of a reply; 0: 4 MiB. */
};

struct keeper_client_handler {
    void (*on_event)(void *context, enum keeper_client_event event);
    void *context;
};

/* ERR_CONFIG: connect is not readable, or a host has no address; ERR_NO_MEMORY. Keeps all
 * arguments. */
MUST_CHECK enum err keeper_client_init(struct keeper_client **client, struct io *io,
                                       struct net *net, struct heap *heap, struct diag *diag,
                                       struct keeper_client_options options,
                                       struct keeper_client_handler handler);
void keeper_client_deinit(struct keeper_client *client);

/* Begins a new session; the client is idle. Identities given before are kept. */
void keeper_client_start(struct keeper_client *client);

/* Closes the session at the keeper if there is a connection, else just goes. Ops and watches end
 * with KEEPER_SESSION_EXPIRED and KEEPER_WATCH_ENDED; KEEPER_EVENT_STOPPED follows. */
void keeper_client_stop(struct keeper_client *client);

enum keeper_state keeper_client_state(const struct keeper_client *client);
int64_t keeper_client_session_id(const struct keeper_client *client);
uint32_t keeper_client_session_timeout_ms(const struct keeper_client *client);

/* Paths are absolute within the chroot. All borrow their arguments: the message is made at once.
 * An op that cannot be encoded or for which there is no memory ends with KEEPER_SYSTEM_ERROR. */

enum keeper_create_flags {
    KEEPER_PERSISTENT = 0,
    KEEPER_EPHEMERAL = 1,
    KEEPER_SEQUENTIAL = 2, /* With KEEPER_EPHEMERAL: 3. */
    KEEPER_CONTAINER = 4
};

struct keeper_create {
    const char *path;
    struct slice data;        /* Null and empty differ. */
    const struct zk_acl *acl; /* NULL: world:anyone with all permissions. */
    int32_t acl_count;
    int32_t flags;
    bool is_outside_chroot; /* path is the keeper's own: to make the chroot itself. */
};

enum { keeper_any_version = -1 };

/* create2: result has path and stat. */
void keeper_client_create(struct keeper_client *client, struct keeper_op *op,
                          struct keeper_create create);
void keeper_client_delete(struct keeper_client *client, struct keeper_op *op, const char *path,
                          int32_t version);
/* watch may be NULL in the next three. It is armed when the reply is KEEPER_OK, and that of exists
 * also when it is KEEPER_NO_NODE. A watch that is armed may be given again for the same path. */
void keeper_client_exists(struct keeper_client *client, struct keeper_op *op, const char *path,
                          struct keeper_watch *watch);
void keeper_client_get_data(struct keeper_client *client, struct keeper_op *op, const char *path,
                            struct keeper_watch *watch);
/* getChildren2: with stat. */
void keeper_client_get_children(struct keeper_client *client, struct keeper_op *op,
                                const char *path, struct keeper_watch *watch);
void keeper_client_set_data(struct keeper_client *client, struct keeper_op *op, const char *path,
                            struct slice data, int32_t version);
void keeper_client_get_acl(struct keeper_client *client, struct keeper_op *op, const char *path);
void keeper_client_set_acl(struct keeper_client *client, struct keeper_op *op, const char *path,
                           const struct zk_acl *acl, int32_t acl_count, int32_t version);
void keeper_client_sync(struct keeper_client *client, struct keeper_op *op, const char *path);

/* Adds an identity to the session, now and after each reconnection. A copy is kept. */
void keeper_client_add_auth(struct keeper_client *client, struct keeper_op *op, const char *scheme,
                            struct slice identity);

enum keeper_multi_kind {
    KEEPER_MULTI_CREATE,
    KEEPER_MULTI_DELETE,
    KEEPER_MULTI_SET_DATA,
    KEEPER_MULTI_CHECK
};

struct keeper_multi_op {
    enum keeper_multi_kind kind;
    const char *path;
    struct slice data; /* CREATE SET_DATA */
    int32_t version;   /* DELETE SET_DATA CHECK */
    int32_t flags;     /* CREATE */
    const struct zk_acl *acl;
    int32_t acl_count;
};

/* All or none. */
void keeper_client_multi(struct keeper_client *client, struct keeper_op *op,
                         const struct keeper_multi_op *ops, uint32_t op_count);

/* Forgets an armed watch, or one whose request is in flight: fired will not run. The keeper is not
 * told; its event, if it comes, is dropped. */
void keeper_client_disarm(struct keeper_client *client, struct keeper_watch *watch);

#endif
