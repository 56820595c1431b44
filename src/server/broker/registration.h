/* The broker's own znode, /brokers/ids/<id>: the sign that it lives. Its czxid is the broker epoch.
 *
 * The node is ephemeral, so after a crash the one of the former process stands until its session
 * expires. A node with exactly our endpoints must be such a leftover, since the listeners are bound
 * by us now: it is removed, so that a restart needs no waiting. A node of anybody else is the end:
 * two brokers may not share an id.
 *
 * The node is watched: a delete that an earlier process of ours sent, or somebody's hand, may take
 * it away while the session lives, and it is made again.
 *
 * Memory: its own. Shard: one owner.
 */
#ifndef SERVER_BROKER_REGISTRATION_H
#define SERVER_BROKER_REGISTRATION_H

#include "broker/control_message.h"
#include "server/broker/zk_session.h"

#include <stdalign.h>

enum { registration_data_size = 8192 };

struct registration_handler {
    void (*on_registered)(void *context, int64_t broker_epoch); /* Anew for each node. */
    /* The id is somebody else's, or it cannot be written. */
    void (*on_refused)(void *context, const char *reason);
    void *context;
};

struct registration {
    struct zk_session *session;
    struct diag *diag;
    struct registration_handler handler;
    int32_t broker_id;
    struct broker_record record; /* Endpoints and rack; kept by the caller. */
    int64_t broker_epoch;        /* Of the session's node; -1: not yet. */
    bool is_over;                /* The node goes with the session, and is not made anew. */
    struct zk_request request;
    struct keeper_watch watch;
    struct keeper_multi_op ops[2];
    struct slice data;
    char path[32];
    alignas(16) uint8_t memory[registration_data_size];
};

struct registration_options {
    struct zk_session *session;
    struct diag *diag;
    int32_t broker_id;
};

void registration_init(struct registration *registration, struct registration_options options,
                       struct registration_handler handler);

/* Begins in the current session; a session that ends takes it along, and it is begun again in the
 * next. Keeps what record points to. */
void registration_begin(struct registration *registration, const struct broker_record *record,
                        int64_t timestamp_ms);

/* The session is about to be closed. */
void registration_end(struct registration *registration);

#endif
