/* Where a port listens, when a reconfiguration changes that while the server runs.
 *
 * It moves at once; while that fails, as somebody else has the new address, it stays where it is
 * and tries again with each tick. Only if the new place has the same port it leaves the old one
 * first. Who is connected stays connected.
 *
 * Looking up a name waits for the resolver, so an unknown one is looked up again only after
 * port_move_pause_ms.
 *
 * Memory: a struct in place. Shard: one owner.
 */
#ifndef SERVER_KEEPER_PORT_MOVE_H
#define SERVER_KEEPER_PORT_MOVE_H

#include "net/net.h"

enum { port_move_host_bytes_max = 256, port_move_pause_ms = 5000 };

struct port_move {
    struct net *net;
    struct diag *diag;
    const struct net_handler *handler;
    void *user;
    const char *whom; /* Constant text: who comes to this port. */
    char host[port_move_host_bytes_max];
    uint16_t port;
    bool is_due;  /* It does not listen there yet. */
    bool is_told; /* That it cannot move. */
    /* The new place was in use once: by our own socket of that port, which goes meanwhile. */
    bool was_busy;
    uint64_t look_up_at_ns; /* Not before. */
};

/* An empty host: all addresses. True: it listens there now, at `address`. */
bool port_move_to(struct port_move *move, struct io *io, struct slice host, uint16_t port,
                  struct io_address *address);

/* Each tick: the same, if it could not move before. */
bool port_move_tick(struct port_move *move, struct io *io, struct io_address *address);

#endif
