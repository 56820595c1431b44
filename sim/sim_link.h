/* A client's connection that is written straight down: each call waits, with a time limit. Both
 * protocols' frames begin with their length in four bytes.
 *
 * Used on a node's own stack, by workloads; the link outlives no process.
 *
 * Memory: buffers from the node's heap. Shard: the simulator's thread.
 */
#ifndef SIM_SIM_LINK_H
#define SIM_SIM_LINK_H

#include "base/heap.h"
#include "io/io.h"

struct sim_link {
    struct io *io;
    struct heap *heap;
    int32_t handle; /* io_handle_none: not connected. */
    struct io_op op;
    struct io_op timer;
    int64_t result;
    bool is_op_done;
    bool is_timer_done;
    bool is_receiving; /* op is a receive that outlived its call. */
    uint8_t *buffer;   /* Received and not taken: from begin to end. */
    size_t begin;
    size_t end;
    size_t capacity;
};

void sim_link_init(struct sim_link *link, struct io *io, struct heap *heap);

/* Dials. False: refused, or no answer in time. */
bool sim_link_open(struct sim_link *link, struct io_address address, uint64_t timeout_ns);

/* Sends all bytes. False: the connection is broken, or they do not leave in time; it is closed. */
bool sim_link_send(struct sim_link *link, struct slice bytes, uint64_t timeout_ns);

/* The next frame, without its length; lends it until the next call. False: the connection is
 * closed, or nothing came in time; link->handle tells. */
bool sim_link_receive(struct sim_link *link, struct slice *frame, uint64_t timeout_ns);

/* May be called on a link that is closed. */
void sim_link_close(struct sim_link *link);

/* Waits. */
void sim_link_sleep(struct sim_link *link, uint64_t time_ns);

#endif
