/* What the requests of keeper_client.h are made of: for the files of client/ only.
 *
 * Memory: messages from the client's heap. Shard: the client's.
 */
#ifndef CLIENT_KEEPER_REQUEST_H
#define CLIENT_KEEPER_REQUEST_H

#include "client/keeper_client.h"

/* Takes message and sends it now or when there is a connection; NULL: it could not be made, and op
 * ends with KEEPER_SYSTEM_ERROR. */
void keeper_client_submit(struct keeper_client *client, struct keeper_op *op, int32_t type,
                          struct net_message *message);

struct slice keeper_client_chroot(const struct keeper_client *client);
struct heap *keeper_client_heap(const struct keeper_client *client);

#endif
