/* The connections between the servers of an ensemble on their election ports: who dials whom, and
 * the newest notification to each.
 *
 * Of two servers the one with the higher id dials. The other one may dial too, to say that it is
 * there: it says hello and hangs up, and is dialled back, also if it is no member, as it may be
 * about to join. Only the newest notification to a server
 * matters; it is said again on each new connection, so that none is missed for long.
 *
 * Memory: links and notifications from the heap, counted; at most one link for each server, and
 * election_stranger_count_max others. Shard: one owner.
 */
#ifndef SERVER_KEEPER_ELECTION_PORT_H
#define SERVER_KEEPER_ELECTION_PORT_H

#include "net/net.h"
#include "server/keeper/member_route.h"
#include "server/keeper/port_move.h"
#include "zab/election_message.h"
#include "zab/ensemble.h"

enum {
    election_stranger_count_max = 64,
    election_joiner_count_max = 16,
    election_peer_count_max = ensemble_member_count_max + election_joiner_count_max,
};

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

/* A server that is dialled: a member, or a joiner, which is known by its hello alone. */
struct election_peer {
    int64_t id;
    struct member_route route;
    char *joiner_text;          /* The addresses of a joiner as it said them; NULL: a member. */
    struct election_link *dial; /* NULL: none is under way. */
    uint8_t *word;              /* The newest notification, encoded; NULL: none yet. */
    size_t word_size;
};

struct election_port {
    struct net *net;
    struct io *io;
    struct heap *heap;
    struct diag *diag;
    struct election_port_options options;
    struct election_port_handler handler;
    struct port_move move;
    struct list links; /* Of election_link: whoever has said who it is, or was dialled. */
    uint32_t peer_count;
    struct election_peer peers[election_peer_count_max];
};

/* Keeps io, heap, diag, and what options point at. ERR_NO_MEMORY. */
MUST_CHECK enum err election_port_init(struct election_port *port, struct io *io, struct heap *heap,
                                       struct diag *diag, struct election_port_options options,
                                       struct election_port_handler handler);

/* Address gets the port that was bound. At start only: waits as net_listen_wait does. ERR_BUSY,
 * ERR_PERMISSION, ERR_IO. */
MUST_CHECK enum err election_port_listen(struct election_port *port, struct io_address *address);

/* Listens there instead, now or with one of the next ticks; an empty host: on all addresses. Keeps
 * self_address. */
void election_port_move(struct election_port *port, struct slice self_address, struct slice host,
                        uint16_t number);
void election_port_tick(struct election_port *port);

/* Keeps member's hosts. ERR_LIMIT: too many are known. */
MUST_CHECK enum err election_port_add_peer(struct election_port *port,
                                           const struct ensemble_member *member);

/* The same of one that may be known, and is dialled anew if its addresses have changed; what does
 * not fit is left out. */
void election_port_set_peer(struct election_port *port, const struct ensemble_member *member);

/* Forgets peers that are members of neither (next may be NULL). */
void election_port_retain(struct election_port *port, const struct ensemble *current,
                          const struct ensemble *next);

/* To a peer, which is dialled if it is not connected; to anybody else that is; else to nobody. */
void election_port_send(struct election_port *port, int64_t to,
                        const struct zk_election_notification *notification);

/* Closes everything; the memory of connections comes back within the next rounds of the io. */
void election_port_deinit(struct election_port *port);

#endif
