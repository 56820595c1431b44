/* Deletes containers that have lost their last child, and znodes whose time to live is over.
 *
 * It looks through the candidates every interval, on a timer of its own: the interval may be
 * shorter than a tick. Without a candidate there is no timer.
 *
 * Memory: none. Shard: the server's.
 */
#ifndef SERVER_KEEPER_ZNODE_REAPER_H
#define SERVER_KEEPER_ZNODE_REAPER_H

#include "io/io.h"

struct keeper_server;

struct znode_reaper {
    struct keeper_server *server;
    int64_t zxid_awaited; /* Of its last delete, before which it does not look again. */
    bool is_waiting;
    struct io_op timer_op;
};

void znode_reaper_init(struct znode_reaper *reaper, struct keeper_server *server);

/* Called whenever there may be a first candidate: at the start and behind every change. */
void znode_reaper_wake(struct znode_reaper *reaper);

/* It is idle soon. */
void znode_reaper_cancel(struct znode_reaper *reaper);
bool znode_reaper_is_idle(const struct znode_reaper *reaper);

#endif
