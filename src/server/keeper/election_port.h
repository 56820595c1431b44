/* The connections between the servers of an ensemble on their election ports: who dials whom, and
 * the newest notification to each.
 *
 * Of two servers the one with the higher id dials. The other one may dial too, to say that it is
 * there: it says hello and hangs up, and is dialled back. Only the newest notification to a server
 * matters; it is said again on each new connection, so that none is missed for long.
 *
 * Memory: links and notifications from the heap, counted; at most one link for each server, and
 * election_stranger_count_max others. Shard: one owner.
 */
#ifndef SERVER_KEEPER_ELECTION_PORT_H
#define SERVER_KEEPER_ELECTION_PORT_H

#include "net/net.h"
#include "zab/election_message.h"
#include "zab/ensemble.h"

enum { election_stranger_count_max = 64 };

struct election_port_options {
    int64_t self_id;
    struct slice self_address; /* Keeps. "host:port", which others dial. */
    uint32_t connect_timeout_ms;
};

struct election_port_handler {
    /* from is no more than what the peer said of itself. Lends notification. */
    void (*on_notification)(void *context, int64_t from,
                            const struct zk_election_notification *notification);
    void *context;
};

/* A server that is dialled. */
struct election_peer {
    int64_t id;
    struct io_address address;
    struct election_link *dial; /* NULL: none is under way. */
    uint8_t *word;              /* The newest notification, encoded; NULL: none yet. */
    size_t word_size;
};

struct election_port {
    struct net *net;
    struct heap *heap;
    struct diag *diag;
    struct election_port_options options;
    struct election_port_handler handler;
    struct list links; /* Of election_link: whoever has said who it is, or was dialled. */
    uint32_t peer_count;
    struct election_peer peers[ensemble_member_count_max];
};

/* Keeps io, heap, diag, and what options point at. ERR_NO_MEMORY. */
MUST_CHECK enum err election_port_init(struct election_port *port, struct io *io, struct heap *heap,
                                       struct diag *diag, struct election_port_options options,
                                       struct election_port_handler handler);

/* Address gets the port that was bound. At start only: waits as net_listen_wait does. ERR_BUSY,
 * ERR_PERMISSION, ERR_IO. */
MUST_CHECK enum err election_port_listen(struct election_port *port, struct io_address *address);

/* ERR_LIMIT: ensemble_member_count_max are known. */
MUST_CHECK enum err election_port_add_peer(struct election_port *port, int64_t id,
                                           const struct io_address *address);

/* To a peer, which is dialled if it is not connected; to anybody else that is; else to nobody. */
void election_port_send(struct election_port *port, int64_t to,
                        const struct zk_election_notification *notification);

/* Closes everything; the memory of connections comes back within the next rounds of the io. */
void election_port_deinit(struct election_port *port);

#endif
