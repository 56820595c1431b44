/* Recovery at start: the newest sound snapshot, then the journal behind it.
 *
 * Memory: buffers from the shard's heap while it runs. Shard: the server's.
 */
#ifndef SERVER_KEEPER_LOAD_H
#define SERVER_KEEPER_LOAD_H

#include "server/keeper/keeper_server.h"

/* Makes the folders, takes their lock, loads server->keeper and starts server->journal. Waits for
 * the disk. The reason of an error is a line of diag. Errors as keeper_server_start. */
MUST_CHECK enum err keeper_load(struct keeper_server *server);

/* The last transaction that is logged; whatever is logged is applied by keeper_load, committed or
 * not, as Apache's servers do. What was not is cut off by the next leader (tree_reload). */
static inline int64_t keeper_load_zxid_last(const struct keeper_server *server)
{
    return server->keeper.zxid_applied;
}

/* For the parts: an empty server->keeper. ERR_NO_MEMORY, told by diag. */
MUST_CHECK enum err keeper_load_init_keeper(struct keeper_server *server);

/* For the parts: "cannot <what> <path>: ..", and the error as a value. */
enum err keeper_load_tell(struct keeper_server *server, const char *what, const char *path,
                          int64_t negative_errno);

#endif
