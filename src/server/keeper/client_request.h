/* The requests of a client's connection, in order.
 *
 * Writes go to keeper_write at once. Anything else waits behind the link's last write (its
 * barrier), because a client must see its own writes; a sync, or a resumed session, makes the last
 * write of the whole server the barrier. While too many requests are in progress, new ones wait at
 * the gate.
 *
 * Memory: waits from the server's heap, recycled. Shard: the server's.
 */
#ifndef SERVER_KEEPER_CLIENT_REQUEST_H
#define SERVER_KEEPER_CLIENT_REQUEST_H

#include "server/keeper/client_link.h"

/* A request that waits for a write or at the gate, with the buffer that holds it. */
struct client_wait {
    struct list link; /* In keeper_write.waits, server->gate.held or server->free_waits. */
    struct client_link *client;
    struct net_reply *reply;
    struct net_buffer *buffer;
    struct slice frame;
    int32_t identity_count; /* Those that the client had when it asked. */
    enum code code; /* CODE_OK: it is run. Otherwise it was refused, and this is its answer. */
    uint64_t started_at_ns;
};

enum { client_wait_free_count_max = 4096 };

/* Why a link whose request is too large is closed. */
extern const char client_request_too_large[];

/* A frame of an open link. */
void client_request_on_frame(struct client_link *client, struct slice frame);

/* What the link reads from now on comes behind write. */
void client_request_set_barrier(struct client_link *client, struct keeper_write *write);

/* Runs a request that waited. Takes wait. */
void client_request_run_wait(struct client_wait *wait);

/* Goes on with the requests that the gate holds, as far as others have ended. */
void client_request_run_held(struct keeper_server *server);

/* Gives back recycled blocks. */
void client_request_drain(struct keeper_server *server);

#endif
