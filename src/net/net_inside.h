/* What net's own files share, and nobody else includes: the structs behind the names of net.h.
 *
 * A connection's life:
 *
 *      DIALING --> OPEN --> DRAINING --> CLOSED --> (operations in flight end) --> memory given
 * back
 *
 * All that may have become possible for a connection is done by its turn: cut frames, send,
 * receive, end. It takes its turn when an operation of its own ends; when something else gives it
 * work (a reply from a journal, a push), net_connection_wants_turn queues it, and net's turn at the
 * end of the loop's round works off the queue. So messages of one round leave together.
 *
 * Memory: see net.h. Shard: one owner.
 */
#ifndef NET_NET_INSIDE_H
#define NET_NET_INSIDE_H

#include "net/net.h"
#include "net/net_address_table.h"
#include "net/net_receiver.h"
#include "net/net_sender.h"
#include "net/net_timeout.h"

struct net {
    struct io *io;
    struct heap *heap;
    struct diag *diag;
    struct net_options options;
    struct net_sender_options sender_options;
    struct net_pool *pool;   /* Of connections and receive buffers. */
    struct list connections; /* Not CLOSED, of struct net_connection_state. */
    struct list listeners;
    struct list wanting_turn; /* Of struct net_connection_state. */
    struct net_timeout idle;
    struct net_timeout first_frame;
    struct net_timeout send;
    struct net_address_table addresses;
    struct io_op turn;  /* A timer that is due at once. */
    struct io_op clock; /* A timer that looks for timeouts, while there are connections. */
    uint64_t clock_period_ns;
    uint64_t refused_line_ns; /* When the last line about a refused connection was written. */
    uint64_t next_id;
    uint64_t refused_total;
    uint64_t unused_total;     /* Closed without a whole request. */
    uint32_t refused_count;    /* Refused without a line since then. */
    uint32_t connection_count; /* Of the list, and of sockets that others have. */
    uint32_t keeper_count; /* What keeps this struct: its owner, connections, listeners, timers. */
    bool has_turn;         /* In flight. */
    bool has_clock;        /* In flight. */
    bool is_ending;
};

struct net_listener {
    struct net *net;
    struct list link;
    const struct net_handler *handler;
    void *user;
    struct io_address address;
    struct io_op op; /* ACCEPT; CLOSE of a refused connection; TIMER of a pause; its own CLOSE. */
    int32_t handle;
    bool is_busy;    /* op is in flight. */
    bool is_closing; /* Out of net's list: when op has ended, the socket is closed. */
};

enum net_phase {
    NET_DIALING,  /* The connect is in flight. */
    NET_OPEN,     /* on_open has returned true. */
    NET_DRAINING, /* What was released is being sent; what comes is thrown away. */
    NET_CLOSED    /* on_close has run; operations in flight keep the struct. */
};

struct net_connection_state {
    struct net_connection connection;
    const struct net_handler *handler;
    struct list link; /* In net->connections. */
    struct list turn; /* In net->wanting_turn, or alone. */
    int32_t handle;
    uint32_t open_reply_count; /* Of `replies`. */
    struct io_op input;        /* CONNECT, then RECV, at last CLOSE. */
    struct net_receiver receiver;
    struct net_sender sender;
    struct list replies; /* Reserved and not yet left, in order. */
    uint64_t held_bytes; /* Of ready replies that wait for others. */
    uint64_t progress;   /* Of the sender, when its timeout was started. */
    struct net_timeout_link idle;
    struct net_timeout_link first_frame;
    struct net_timeout_link send;
    const char *drain_reason;
    uint8_t phase;  /* enum net_phase */
    bool has_input; /* input is in flight. */
    bool is_raw;
    bool is_paused;
    bool is_in_turn;
    bool has_peer_ended; /* No more bytes will come. */
    bool is_counted;     /* In net->addresses. */
    /* A push was lost, for this reason: the next turn ends the connection. Else NULL. */
    const char *lost_push_reason;
};

/* There are many of them, and most are quiet: their cells have a size of their own up to here. */
_Static_assert(sizeof(struct net_connection_state) <= slab_fine_bytes_max, "a connection is small");

static inline struct net_connection_state *net_state_of(const struct net_connection *connection)
{
    return CONTAINER_OF((struct net_connection *)(uintptr_t)connection, struct net_connection_state,
                        connection);
}

/* net.c */
void net_keep(struct net *net);
void net_release(struct net *net); /* The last one gives back the struct. */
void net_want_turn(struct net *net);
void net_want_clock(struct net *net);

/* net_listener.c */
void net_listener_close(struct net_listener *listener);
void net_listener_resume_all(struct net *net); /* A connection has ended: there may be room. */

/* net_connection.c */
/* NULL: the heap's limit is reached. The connection is in no phase's lists yet. */
struct net_connection_state *net_connection_make(struct net *net, const struct net_handler *handler,
                                                 void *user);
void net_connection_open(struct net_connection_state *state, int32_t handle);
/* The same for one that was accepted: its first frame is due. */
void net_connection_accept(struct net_connection_state *state, int32_t handle);
void net_connection_end(struct net_connection_state *state, const char *reason);
void net_connection_wants_turn(struct net_connection_state *state);
void net_connection_take_turn(struct net_connection_state *state);
void net_connection_on_idle(struct net_connection_state *state);
void net_connection_on_send_timeout(struct net_connection_state *state);
void net_connection_on_sent(struct net_sender *sender, int64_t result);

/* net_reply.c */
/* The connection is no longer theirs: what is ready is dropped, the rest when it is sent. */
void net_reply_detach_all(struct net_connection_state *state);

#endif
