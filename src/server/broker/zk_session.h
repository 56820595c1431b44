/* The broker's session with its keeper: requests that are repeated until they are answered, and one
 * session after the other.
 *
 * A request that ends with a lost connection may or may not have been done; it is sent again, so
 * whoever creates or deletes must take "exists" and "does not exist" for an answer. When a session
 * expires, all requests end with KEEPER_SESSION_EXPIRED and all watches with KEEPER_WATCH_ENDED,
 * then on_expired runs, then a new session is sought.
 *
 * Memory: the keeper client's. Shard: one owner.
 */
#ifndef SERVER_BROKER_ZK_SESSION_H
#define SERVER_BROKER_ZK_SESSION_H

#include "client/keeper_client.h"
#include "wire/gen/zk.h"

enum zk_request_kind {
    ZK_REQUEST_CREATE,
    ZK_REQUEST_DELETE,
    ZK_REQUEST_EXISTS,
    ZK_REQUEST_GET_DATA,
    ZK_REQUEST_GET_CHILDREN,
    ZK_REQUEST_SET_DATA,
    ZK_REQUEST_MULTI
};

/* A field of whoever waits. Everything it points to is kept until done. */
struct zk_request {
    void (*done)(struct zk_request *request, const struct keeper_result *result);
    enum zk_request_kind kind;
    bool is_outside_chroot; /* CREATE */
    const char *path;
    struct slice data;
    int32_t version;
    int32_t flags;
    struct keeper_watch *watch;
    const struct keeper_multi_op *ops;
    uint32_t op_count;
    struct zk_session *session; /* The session's from here on. */
    struct keeper_op op;
};

struct zk_session_handler {
    void (*on_session)(void *context); /* A new one: nothing of an earlier one is left. */
    void (*on_expired)(void *context);
    void (*on_stopped)(void *context);
    void *context;
};

struct zk_session {
    struct keeper_client *client;
    struct zk_session_handler handler;
    int64_t session_id; /* Of the session that on_session told of; 0: none. */
    int64_t earlier_session_id;
};

struct net;
MUST_CHECK enum err zk_session_init(struct zk_session *session, struct io *io, struct net *net,
                                    struct heap *heap, struct diag *diag,
                                    struct keeper_client_options options,
                                    struct zk_session_handler handler);
void zk_session_deinit(struct zk_session *session);

void zk_session_start(struct zk_session *session);
void zk_session_stop(struct zk_session *session); /* on_stopped follows. */

/* Keeps request until its done has run. */
void zk_session_send(struct zk_session *session, struct zk_request *request);

#endif
