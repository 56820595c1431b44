/* The servers of a workload that has several of them: they go down, stay down for a while and come
 * up again, and without swarm one of them, another one with each seed, loses its power at a disk
 * operation (--crash-points).
 *
 * Memory: the workload's. Shard: the simulator's thread.
 */
#ifndef SIM_SIM_FLEET_H
#define SIM_SIM_FLEET_H

#include "sim/workload.h"

enum { sim_fleet_server_count_max = 16 };

struct sim_fleet_events {
    /* Starts the process of a server on its node. */
    void (*start)(void *context, uint32_t index);

    /* It is down: was that right? */
    void (*judge)(void *context, uint32_t index);

    /* After each event of the world. */
    void (*look)(void *context);

    /* A process has ended by itself, after a failed sync for one: the page cache may show bytes
     * that the kernel will never write. Whether its machine loses its power each time; else it does
     * half of the time. NULL: that holds for all. */
    bool (*must_lose_power)(const void *context, uint32_t index);

    void *context;
};

struct sim_fleet {
    struct sim_fleet_events events;
    const struct sim_workload_options *options;
    struct sim_workload_result *result;
    struct sim *sim;
    struct prng *prng;
    uint32_t server_count;
    uint64_t down_ns_max;                              /* How long a server stays down. */
    bool is_calm;                                      /* Then nobody stays down. */
    uint64_t revive_at_ns[sim_fleet_server_count_max]; /* 0: it is up, as far as we know. */
    bool is_stopping[sim_fleet_server_count_max];      /* Stays down. */

    struct sim_node *crashing;
    uint32_t crashing_start_count;
    uint64_t boundaries_before; /* The second start of crashing. */
};

/* Of a fleet whose fields above down_ns_max are set; its servers are the first nodes. */
void sim_fleet_init(struct sim_fleet *fleet);

void sim_fleet_start(struct sim_fleet *fleet, uint32_t index);

/* Also one that is down already: until then. */
void sim_fleet_take_down(struct sim_fleet *fleet, uint32_t index, uint64_t down_ns);
void sim_fleet_lose_all_power(struct sim_fleet *fleet, enum sim_loss loss);

/* Looks; whether some server is down and nobody has seen it yet, or all is over. What is waited for
 * must hold then, too: see sim_fleet_run_until. */
bool sim_fleet_needs_help(struct sim_fleet *fleet);

/* Until is_enough, which says so too whenever the fleet needs help, at most for time_ns. False: not
 * in time, or all is over. */
bool sim_fleet_run_until(struct sim_fleet *fleet, uint64_t time_ns,
                         bool (*is_enough)(void *context));

/* No more faults; from here on the disk operations of --crash-points count. */
void sim_fleet_calm_down(struct sim_fleet *fleet);

/* The story is over: how many there were. */
void sim_fleet_count_boundaries(const struct sim_fleet *fleet);

#endif
