/* A simulated machine that runs one process at a time: its io, memory, clock, disk and address.
 *
 * The process is a function, run on a stack of its own: the server's start and its loop around
 * io_run, as main() would have it. It ends by returning, by io_fatal, or when it is killed: at any
 * point where it waits. The disk outlives it; all its memory is one tracked heap that goes away
 * with it.
 *
 * Node i has the address 10.0.0.(i + 1) and the name "node<i>". 127.0.0.1 is the node itself.
 *
 * Outside of any process (in a test) the same io works too: io_run then runs the world until this
 * node has something done.
 */
#ifndef SIM_SIM_NODE_H
#define SIM_SIM_NODE_H

#include "base/diag.h"
#include "io/io.h"
#include "sim/sim.h"
#include "sim/sim_disk.h"
#include "sim/sim_fiber.h"

enum sim_node_state {
    SIM_NODE_DOWN,
    SIM_NODE_RUNNING, /* On its stack. */
    SIM_NODE_WAITING, /* In io_run. */
};

enum sim_node_end {
    SIM_NODE_NOT_ENDED,
    SIM_NODE_RETURNED,
    SIM_NODE_FATAL,
    SIM_NODE_KILLED,
    SIM_NODE_LOST_POWER,
};

struct sim_io {
    struct io io;
    struct sim_node *node;
};

struct sim_diag {
    struct diag diag;
    struct sim_node *node;
};

struct sim_socket;

/* An operation in flight. */
struct sim_pending {
    struct list link; /* In node->in_flight or node->ready. */
    struct io_op *op;
    struct sim_node *node;
    struct list waiting_link;  /* IO_ACCEPT: in its listener. */
    struct sim_socket *socket; /* Whose receive, send or accept it is. */
    int64_t result;
    uint64_t limit_sequence; /* IO_SYNC: the disk's latest change when it was submitted. */
    uint64_t number;         /* Of the event that will end it; older ones mean it no more. */
    uint64_t progress;       /* IO_SEND, IO_SEND_FILE: bytes taken so far. */
    bool is_disk;
    bool is_decided; /* Its result stands: too late to call it off. */
};

enum sim_handle_kind { SIM_HANDLE_NONE, SIM_HANDLE_FILE, SIM_HANDLE_SOCKET };

struct sim_handle {
    enum sim_handle_kind kind;
    struct sim_inode *inode;
    struct sim_socket *socket;
    uint32_t flags;
    bool is_locked;
};

enum { sim_handle_count_max = 65536 };

struct sim_node {
    struct sim *sim;
    uint32_t index;
    char name[16];
    struct sim_io sim_io;
    struct sim_diag sim_diag;
    struct io *io;     /* For the process. */
    struct diag *diag; /* For the process. */
    struct heap heap;  /* For the process; reset when it ends. */
    struct prng entropy;
    struct sim_disk disk;
    struct sim_fiber fiber;
    void (*process)(struct sim_node *node, void *argument);
    void *argument;
    enum sim_node_state state;
    enum sim_node_end end; /* Of the latest process. */
    char fatal_line[256];
    uint32_t incarnation;
    struct list in_flight;
    struct list ready;
    struct list free_pending;
    struct sim_handle *handles;
    uint32_t handle_count;
    uint64_t wait_number;
    bool is_woken;
    bool is_resume_scheduled;
    uint64_t boot_ns; /* World time and clock of the node at the latest start. */
    uint64_t boot_clock_ns;
    int64_t drift_ppm;
    int64_t wall_offset_ms;
    uint64_t handle_count_max; /* Files and sockets; 0: sim_handle_count_max. */
};

struct sim_node *sim_node_make(struct sim *sim, uint32_t index);
void sim_node_unmake(struct sim_node *node);

/* Starts process(node, argument) on the node, which is down. */
void sim_node_start(struct sim_node *node, void (*process)(struct sim_node *node, void *argument),
                    void *argument);

/* Ends the process: as kill -9 does (the page cache stays, peers see their connections end), or as
 * a power loss does: loss says what becomes of unsynced changes, and peers see nothing. */
void sim_node_kill(struct sim_node *node);
void sim_node_lose_power(struct sim_node *node, enum sim_loss loss);

bool sim_node_is_up(const struct sim_node *node);

/* Runs the world until the node is down, at most until time_ns of the world. */
bool sim_node_wait(struct sim_node *node, uint64_t time_ns);

/* Power goes when the k-th (from 1) of the disk's mutating operations from now on would be done; 0:
 * not at all. */
void sim_crash_at(struct sim_node *node, uint64_t boundary, enum sim_loss loss);

/* The wall clock jumps. */
void sim_node_jump_wall(struct sim_node *node, int64_t by_ms);

/* ---- For sim_disk and sim_net. ---- */

/* pending is done with this result: the process will hear of it. */
void sim_node_complete(struct sim_pending *pending, int64_t result);

/* The same, delay_ns from now; a later call for the same operation takes its place. */
void sim_node_complete_later(struct sim_pending *pending, uint64_t delay_ns, int64_t result);

/* A handle for inode or socket; -EMFILE. */
int32_t sim_node_handle_take(struct sim_node *node, struct sim_handle handle);
struct sim_handle *sim_node_handle(struct sim_node *node, int32_t handle);

/* The open handles of a file. */
bool sim_node_has_open(const struct sim_node *node, const struct sim_inode *inode);

#endif
