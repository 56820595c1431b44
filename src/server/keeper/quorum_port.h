/* The connections between leader and learners on the quorum port: packets in both directions, and
 * raw bytes while a snapshot is on its way.
 *
 *   leader:  quorum_port_listen -> on_up, on_packet ..., on_down
 *   learner: quorum_port_dial   -> on_up, on_packet ..., on_down
 *
 * Packets have no length in front: a packet ends where its last field ends. One that is malformed
 * or above the limits closes its link. Any callback may close links, and the port too.
 *
 * Both ends go on reading however much is unsent. Nothing here asks whether a peer is alive; the
 * protocol's pings do.
 *
 * Memory: links and messages from the heap, counted. Shard: one owner.
 */
#ifndef SERVER_KEEPER_QUORUM_PORT_H
#define SERVER_KEEPER_QUORUM_PORT_H

#include "net/net.h"
#include "wire/gen/zk.h"

/* Dials at a time, and links that were dialled. */
enum { quorum_dial_count_max = 16 };

struct quorum_link {
    struct list link; /* In port->links. */
    struct quorum_port *port;
    struct net_connection *connection; /* NULL while dialling. */
    uint64_t id;                       /* Never zero, never used twice in this process. */
    bool is_dialled;
    bool is_raw; /* on_bytes gets what comes. */
    bool is_paused;
    bool is_busy;        /* In a callback for what has come. */
    bool is_down;        /* on_down has been called, or is. */
    bool has_received;   /* A whole packet. */
    uint64_t sent_count; /* Packets, and their bytes. */
    uint64_t sent_bytes;
    void *user; /* Whoever owns the port may set it in on_up. */
};

struct quorum_port_handler {
    void (*on_up)(void *context, struct quorum_link *link);
    /* Lends packet, also when the link is closed from here. */
    void (*on_packet)(void *context, struct quorum_link *link, struct zk_quorum_packet *packet);
    /* Of a raw link; returns how many bytes it took, at most all: the rest comes again, in front of
     * what follows, as bytes or, after quorum_link_set_raw(link, false), as packets. More than
     * packet_bytes_max left, by a link that is not paused, closes it. */
    size_t (*on_bytes)(void *context, struct quorum_link *link, struct slice bytes);
    /* NULL, or: unsent bytes have left, in portions of up to a mebibyte; now more may be sent. */
    void (*on_room)(void *context, struct quorum_link *link);
    /* The last call, once for each on_up, and for each dial that failed. */
    void (*on_down)(void *context, struct quorum_link *link, const char *reason);
    void *context;
};

struct quorum_port_options {
    uint32_t packet_bytes_max;   /* Of data; more closes the link. */
    uint32_t link_count_max;     /* Accepted ones. */
    uint32_t connect_timeout_ms; /* Of a dial, and of the first packet of who has dialled. */
    uint32_t unsent_bytes_max;   /* More, and a peer that does not read is dropped, soon. */
};

struct quorum_port {
    struct net *net; /* NULL: closed. */
    struct io *io;
    struct heap *heap;
    struct diag *diag;
    struct quorum_port_options options;
    struct quorum_port_handler handler;
    struct list links; /* Of struct quorum_link, until on_down. */
    uint64_t link_id_last;
    uint32_t accepted_count; /* Of the links. */
};

/* Keeps io, heap, diag, handler.context. ERR_NO_MEMORY. */
MUST_CHECK enum err quorum_port_init(struct quorum_port *port, struct io *io, struct heap *heap,
                                     struct diag *diag, struct quorum_port_options options,
                                     struct quorum_port_handler handler);

/* A leader listens from its election on. Address gets the port that was bound. ERR_BUSY: the port
 * is in use, by this one too for some rounds of the io after it stopped listening: try again later;
 * ERR_PERMISSION, ERR_IO, ERR_NO_MEMORY. Does not wait: may be called at any time. */
MUST_CHECK enum err quorum_port_listen(struct quorum_port *port, struct io_address *address);

/* Who dials from now on is refused; links stay. */
void quorum_port_listen_stop(struct quorum_port *port);

/* Dials; on_up or on_down follows, never from within. NULL: no memory or no room. */
struct quorum_link *quorum_port_dial(struct quorum_port *port, const struct io_address *address);

/* A packet of a link that is up; data is copied, once. Without memory, or with unsent_bytes_max
 * unsent, the link closes soon. Packets of one round leave together. */
void quorum_link_send(struct quorum_link *link, const struct zk_quorum_packet *packet);

/* Bytes as they are, as a snapshot's, behind what was sent before; they are copied. */
void quorum_link_send_raw(struct quorum_link *link, struct slice bytes);

/* Sent and not yet taken by the kernel: who streams waits while it is much. */
uint64_t quorum_link_unsent_bytes(const struct quorum_link *link);

/* What comes from now on, from the running on_packet or on_bytes on, is raw, or packets again. */
void quorum_link_set_raw(struct quorum_link *link, bool is_raw);

/* No more is read, and no on_packet or on_bytes comes, until it is resumed. */
void quorum_link_pause(struct quorum_link *link);
void quorum_link_resume(struct quorum_link *link);

/* on_down runs before this returns, and what is unsent is lost. Not for a link that is gone, but
 * allowed again from its own callbacks. reason: constant text. */
void quorum_link_close(struct quorum_link *link, const char *reason);

/* NULL: it is gone. */
struct quorum_link *quorum_port_find(struct quorum_port *port, uint64_t id);

/* Closes everything; on_down runs for each link. Memory comes back within the next rounds of the
 * io. Afterwards the struct may be initialised again. */
void quorum_port_deinit(struct quorum_port *port);

#endif
