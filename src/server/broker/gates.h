/* The broker's side of its gates: shards that have the clients' connections, so that framing,
 * decoding, checking records and sending are done by other cores than the partitions' work.
 *
 *   clients --> gate 1 --.
 *   clients --> gate 2 ---+--> mailboxes --> struct gates --> broker_request --> api_*.c
 *   clients --> gate 3 --'
 *
 * This shard accepts connections and passes them to the gates in turn. A request of a gate becomes
 * a broker_request whose connection has no net; requests that another one of the same connection
 * holds up wait here. Without gates nothing of this is used.
 *
 * When this shard is behind, gates make some of its writes (docs/decisions/0009): as many at a time
 * each as there are gates, so the more there are to bring work, the less of it stays here.
 *
 * Memory: a visit for each connection of a gate, from the heap. Shard: the broker's.
 */
#ifndef SERVER_BROKER_GATES_H
#define SERVER_BROKER_GATES_H

#include "server/broker/gate_call.h"

enum {
    gate_count_max = 63,
    gate_write_count_max = 16, /* At one gate. */
    gate_write_bytes_min = 8 * 1024,
};

/* What is known here of one gate. */
struct gate_desk {
    struct gate *gate;
    struct gates *gates;
    struct mailbox *inbox;
    struct postbox out;
    struct letter hello;
    struct letter stop;
    struct letter close;
    struct list idle_writes;
    struct gate_write *writes;
    uint32_t write_count; /* Not idle. */
    bool is_stopped;
};

struct gates {
    struct broker_server *server;
    struct gate_desk desks[gate_count_max];
    uint32_t count;
    uint32_t next;   /* Whose turn it is to get a connection. */
    uint32_t latest; /* Whose letter came last. */
    uint32_t running_count;
    bool is_serving;
    bool is_closing;
    bool passes_all; /* For the simulator: writes are passed on whatever their size, and at rest. */
    struct list visits;
    void (*closed)(void *context);
    void *closed_context;
};

void gates_init(struct gates *gates, struct broker_server *server);

/* Before the listeners are bound. Keeps gate, which is ready. ERR_NO_MEMORY. */
MUST_CHECK enum err gates_add(struct gates *gates, struct gate *gate);

/* A connection was accepted. False: no memory. Before gates_serve it waits. */
MUST_CHECK bool gates_take(struct gates *gates, const struct net_socket *socket);
void gates_serve(struct gates *gates);

/* Clients are let go when they have what was answered. */
void gates_stop(struct gates *gates);

/* The net is about to end. */
void gates_leave(struct gates *gates);

/* All ends; closed runs when no gate has anything of ours any more, maybe within this call. */
void gates_close(struct gates *gates, void (*closed)(void *context), void *context);

/* When the gates' threads have ended. */
void gates_deinit(struct gates *gates);

/* Has a gate make op, an IO_WRITE: its done runs later. False: this shard had better make it, as it
 * has nothing else to do, the gates have enough, or a letter costs more than the write. */
bool gates_pass_write(struct gates *gates, struct io_op *op);

/* ---- For broker_request. ---- */

/* What the client gets: takes message, NULL for nothing; or its connection is closed for reason, a
 * constant text. */
void gates_answer(struct gate_call *call, struct net_message *message, const char *reason);

/* The gate has been told to close it: none of its requests starts any more. */
void gates_fail(struct broker_connection *connection);

/* Frame and body are not used any more. */
void gates_end(struct gate_call *call);

/* Nothing holds up the connection's requests any more. */
void gates_go_on(struct broker_connection *connection);

#endif
