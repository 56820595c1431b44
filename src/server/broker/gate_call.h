/* What a gate and the broker tell each other: letters about connections, requests and writes.
 *
 *   gate                                    broker
 *      <-- GATE_VISIT ---------------------   a socket was accepted
 *   frame, decode, check the records
 *      --- GATE_CALL --------------------->   the handler, as for a request of its own
 *   send it, in its place  <-- GATE_ANSWER-   encoded, with file ranges, or nothing
 *      --- GATE_SENT --------------------->   message and ranges are the broker's again
 *      <-- GATE_END -----------------------   frame and body are the gate's again
 *      --- GATE_LEFT --------------------->   the connection is closed
 *
 *      <-- GATE_WRITE ---------------------   of a partition's segment
 *   make it
 *      --- GATE_WRITTEN ------------------>   done, as if it had made it itself
 *
 * Nothing is copied: a call lends frame and body to the broker, an answer lends the message to the
 * gate. Whoever has taken memory gives it back, on its own shard.
 *
 * Memory: calls are the gate's, visits and writes the broker's. Shard: each field has the owner
 * that its comment names; mailboxes carry what was written from one to the other.
 */
#ifndef SERVER_BROKER_GATE_CALL_H
#define SERVER_BROKER_GATE_CALL_H

#include "broker/record_facts.h"
#include "server/broker/broker_request.h"
#include "shard/postbox.h"

struct gate;
struct gate_check;
struct gate_connection;
struct gate_desk;

enum gate_mail_kind {
    /* To the gate; the subject is */
    GATE_HELLO, /* the mailbox of the answers, */
    GATE_VISIT, /* a visit, */
    GATE_ANSWER,
    GATE_END,   /* a call, */
    GATE_WRITE, /* a write, */
    GATE_STOP,  /* nothing: clients are let go, */
    GATE_CLOSE, /* nothing: everything ends. */
    /* To the broker: */
    GATE_CALL,
    GATE_SENT,    /* a call, */
    GATE_LEFT,    /* a visit, */
    GATE_WRITTEN, /* a write, */
    GATE_STOPPED, /* nothing. The last letter. */
};

/* A connection of a gate. */
struct gate_visit {
    /* The broker's. */
    struct broker_connection connection;
    struct gate_desk *desk;
    struct list waiting; /* Calls that others hold up. */
    bool is_in_turn;
    bool is_failed; /* It will be closed: no call starts any more. */
    struct letter to_gate;
    struct net_socket socket; /* Constant. */
    /* The gate's, from GATE_VISIT to GATE_LEFT. */
    struct gate *gate;
    struct letter to_broker;
    struct io_op close;
};

/* An IO_WRITE of the broker's on its way through a gate. What it writes is the broker's or lent to
 * it, and stays until the original op is done. */
struct gate_write {
    /* The broker's. */
    struct list link; /* In the desk's idle writes. */
    struct gate_desk *desk;
    struct io_op *original;
    struct letter to_gate;
    /* The gate's, from GATE_WRITE to GATE_WRITTEN. */
    struct gate *gate;
    struct io_op op; /* The same write. The broker fills it in. */
    int64_t result;
    struct letter to_broker;
};

struct gate_call {
    /* The gate's; the broker reads head and facts from GATE_CALL to GATE_END. */
    struct list link; /* In the connection's calls, or the gate's free ones. */
    struct gate *gate;
    struct gate_connection *connection; /* NULL once it is closed. */
    struct gate_visit *visit;           /* For GATE_CALL. */
    struct request_head head;
    const struct record_facts *facts; /* Of a Produce's partitions in their order; may be NULL. */
    struct gate_check *check;         /* While it lasts, or NULL. */
    struct net_buffer *buffer;
    size_t frame_bytes;
    struct net_reply *reply; /* NULL: it has been answered. */
    bool is_holding;         /* Counts in the connection's hold_count. */
    struct letter to_broker;
    struct request_memory memory;
    /* The broker's, from GATE_CALL to GATE_END; the gate reads the first two after GATE_ANSWER. */
    struct net_message *message; /* NULL: there is none. */
    const char *reason;          /* To close the connection for; NULL: it stays. */
    struct gate_desk *desk;
    uint32_t use_count; /* The request, and the message while the gate has it. */
    bool is_answered;
    struct list waiting_link;
    struct letter answer;
    struct letter end;
    alignas(16) uint8_t first[broker_request_memory_bytes];
};

#endif
