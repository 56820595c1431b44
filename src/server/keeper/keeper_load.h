/* Recovery at start: the newest sound snapshot, then the journal behind it.
 *
 * Memory: a read buffer from the shard's heap while it runs. Shard: the server's.
 */
#ifndef SERVER_KEEPER_LOAD_H
#define SERVER_KEEPER_LOAD_H

#include "server/keeper/keeper_server.h"

/* Makes the folders, takes their lock, loads server->keeper and starts server->journal. Waits for
 * the disk. The reason of an error is a line of diag. Errors as keeper_server_start. */
MUST_CHECK enum err keeper_load(struct keeper_server *server);

#endif
