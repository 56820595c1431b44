/* Who is the controller: the broker whose znode /controller is, fenced by the version of
 * /controller_epoch.
 *
 * Every broker watches /controller and tries to become it when it is free. The winner raises the
 * epoch in the same transaction; the version that this gives is the token that every later write
 * of a controller checks.
 *
 * Memory: its own. Shard: one owner.
 */
#ifndef SERVER_BROKER_ELECTION_H
#define SERVER_BROKER_ELECTION_H

#include "server/broker/zk_session.h"

#include <stdalign.h>

struct election_handler {
    void (*on_elected)(void *context, int32_t epoch, int32_t epoch_version);
    void (*on_deposed)(void *context); /* We were the controller. */
    void (*on_other)(void *context, int32_t controller_id);
    void *context;
};

struct election_options {
    struct zk_session *session;
    struct io *io; /* For the wall clock. */
    struct diag *diag;
    int32_t broker_id;
};

struct election {
    struct election_options options;
    struct election_handler handler;
    int32_t controller_id; /* -1: not known. */
    int32_t epoch;         /* Of the attempt, or of our term. */
    int32_t epoch_version;
    bool is_active;  /* We are it. */
    bool is_running; /* A request of ours is in flight. */
    bool is_dirty;   /* /controller has changed meanwhile. */
    struct keeper_watch watch;
    struct zk_request request;
    struct keeper_multi_op ops[2];
    alignas(16) uint8_t memory[256];
};

void election_init(struct election *election, struct election_options options,
                   struct election_handler handler);

/* Begins in the current session. The broker is registered, so a /controller with its id that is not
 * of this session is a leftover, and is removed. */
void election_begin(struct election *election);

/* The session has ended, or a write of ours failed its epoch check: on_deposed, if we were it. In a
 * living session the election goes on by itself. */
void election_lose(struct election *election);

#endif
