/* The simulated world: many nodes with networks, disks and clocks in one thread, driven by a seed.
 *
 *   events, by (time, tiebreak):   [disk op done][segment arrives][timer][crash] ...
 *   sim_run takes the next one, moves the time there and lets it happen; a node that got something
 *   done runs its callbacks, on a stack of its own, until it waits again.
 *
 * Nothing but the seed decides what happens: one seed, one run, one trace hash. The nodes' code is
 * the shipped code; it sees this world through io/io.h (sim/sim_node.h).
 *
 * Memory: a tracked heap of its own. Shard: one thread.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "base/heap.h"
#include "base/list.h"
#include "base/prng.h"
#include "base/slice.h"

struct sim;
struct sim_node;
struct sim_event;

enum { sim_node_count_max = 32 };

struct sim_event {
    uint64_t time_ns;
    uint64_t tiebreak; /* Drawn: events of one time happen in any order. */
    uint64_t sequence;
    void (*happen)(struct sim *sim, const struct sim_event *event);
    struct sim_node *node; /* NULL, or whose life the event belongs to: dropped with it. */
    uint32_t incarnation;
    uint64_t number; /* The event's own. */
    void *subject;
};

/* What may go wrong, and how often. All zero: nothing ever does, and everything is fast. */
struct sim_faults {
    uint64_t delay_ns_min; /* Of a network segment, one way. */
    uint64_t delay_ns_mean;
    uint32_t segment_bytes_max;  /* A stream is cut at random below that. 0: 64 KiB. */
    uint32_t send_buffer_bytes;  /* Unread bytes of one direction. 0: 256 KiB. */
    uint32_t reset_per_million;  /* Of segments that end in a reset of the connection. */
    uint32_t refuse_per_million; /* Of dials. */
    uint64_t disk_ns_mean;       /* Of a read or write. */
    uint64_t sync_ns_mean;       /* Of a sync. */
    uint32_t stall_per_million;  /* Of disk operations that take a second or so. */
    uint32_t short_read_per_million;
    uint32_t read_error_per_million;
    uint32_t write_error_per_million;
    uint32_t sync_error_per_million;
    bool sync_error_reverts;    /* A failed sync throws the new bytes away (btrfs). */
    bool file_sync_keeps_entry; /* fsync of a file makes its directory entry durable (ext4). */
    uint32_t clock_drift_ppm_max;
};

struct sim_counters {
    uint64_t elapsed_ns; /* Up to the latest event. */
    uint64_t events;
    uint64_t operations;
    uint64_t rounds; /* Of a node's callbacks. */
    uint64_t starts;
    uint64_t kills;
    uint64_t power_losses;
    uint64_t fatals;
    uint64_t syncs;
    uint64_t bytes_written;
    uint64_t bytes_sent;
    uint64_t connections;
    uint64_t resets;
    uint64_t changes_lost; /* Unsynced changes of files and directories that a power loss took. */
    uint64_t writes_torn;
    uint64_t disk_errors;
};

struct sim_options {
    uint64_t seed;
    uint32_t node_count;
    struct sim_faults faults;
    bool is_verbose;              /* Prints diag lines as they come. */
    bool is_traced;               /* Prints every completed operation. */
    size_t heap_limit_bytes;      /* Of the world; 0: 2 GiB. */
    size_t node_heap_limit_bytes; /* Of each node; 0: 256 MiB. */
};

struct sim {
    struct sim_options options;
    struct sim_faults faults;
    struct heap heap;
    struct prng prng; /* Of the scheduler; disks, network and nodes have their own. */
    uint64_t now_ns;
    struct sim_event *events; /* A binary heap. */
    uint32_t event_count;
    uint32_t event_capacity;
    uint64_t sequence;
    uint64_t trace_hash;
    struct sim_node *nodes[sim_node_count_max];
    struct sim_node *running; /* Whose stack we are on; NULL: the simulator's own. */
    struct sim_net *net;
    struct sim_counters counters;
    char last_lines[64][160]; /* The latest diag lines, for a report of a failure. */
    uint32_t last_line_count;
};

void sim_init(struct sim *sim, struct sim_options options);
void sim_deinit(struct sim *sim);

/* Something that happens delay_ns from now. node: NULL, or whose death calls it off. */
void sim_schedule(struct sim *sim, uint64_t delay_ns, struct sim_event event);

/* Lets the next event happen. False: there is none. */
bool sim_step(struct sim *sim);

/* Until time_ns, or until is_enough says so (NULL: never). True: it said so. False: time is up, or
 * nothing is left to happen. */
bool sim_run(struct sim *sim, uint64_t time_ns, bool (*is_enough)(void *context), void *context);

/* Adds to the trace hash. */
void sim_trace(struct sim *sim, uint64_t a, uint64_t b, uint64_t c);
void sim_trace_bytes(struct sim *sim, struct slice bytes);

/* An exponentially distributed time with this mean, at most 20 times of it. */
uint64_t sim_draw_ns(struct prng *prng, uint64_t mean_ns);

/* True per_million times out of a million. */
bool sim_draw(struct prng *prng, uint32_t per_million);

/* A diag line of a node, or of the workload (node NULL). */
void sim_note(struct sim *sim, const struct sim_node *node, struct slice line);

/* Prints the seed and the latest lines: for whoever gives up. */
void sim_report(const struct sim *sim);

#endif
