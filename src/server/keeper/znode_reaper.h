/* Deletes containers that have lost their last child, and znodes whose time to live is over.
 *
 * Memory: none. Shard: the server's.
 */
#ifndef SERVER_KEEPER_ZNODE_REAPER_H
#define SERVER_KEEPER_ZNODE_REAPER_H

#include <stdint.h>

struct keeper_server;

struct znode_reaper {
    struct keeper_server *server;
    uint64_t due_at_ns;
};

void znode_reaper_init(struct znode_reaper *reaper, struct keeper_server *server);

/* Called every tick; looks through the candidates when it is time. */
void znode_reaper_tick(struct znode_reaper *reaper);

#endif
