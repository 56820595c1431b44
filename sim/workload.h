/* A workload: a small story that nodes play in the simulated world, with an oracle that knows what
 * must be true of it, whatever the world does. The same runner plays all of them.
 *
 * Memory: the world's. Shard: one thread.
 */
#ifndef SIM_WORKLOAD_H
#define SIM_WORKLOAD_H

#include "sim/sim_node.h"

enum sim_verdict {
    SIM_RIGHT,
    SIM_WRONG,   /* A promise was broken. */
    SIM_STUCK,   /* Nothing more happens, or not in time. */
    SIM_CRASHED, /* A process ended itself without being told to. */
};

struct sim_workload_options {
    uint64_t seed;
    uint32_t steps;          /* How long the story is. */
    bool is_swarm;           /* Faults drawn from the seed, crashes at random times. */
    uint64_t crash_boundary; /* Without swarm: power goes at this disk operation; 0: never. */
    enum sim_loss crash_loss;
    uint64_t crash_boundary_again; /* And at this one of the recovery; 0: never. */
    bool is_verbose;
    bool is_traced;
};

struct sim_workload_result {
    enum sim_verdict verdict;
    char why[256];
    uint64_t trace_hash;
    uint64_t boundary_count; /* Disk operations of the node that crashes, up to its first crash. */
    uint64_t recovery_boundary_count; /* Of its recovery after that. */
    struct sim_counters counters;
};

struct sim_workload {
    const char *name;
    uint32_t steps;
    struct sim_workload_result (*run)(const struct sim_workload_options *options);
};

extern const struct sim_workload workload_broker;
extern const struct sim_workload workload_cluster;
extern const struct sim_workload workload_ensemble;
extern const struct sim_workload workload_journal;
extern const struct sim_workload workload_keeper;
extern const struct sim_workload workload_model;
extern const struct sim_workload workload_partition;

/* NULL: no workload of this name. */
const struct sim_workload *sim_workload_find(const char *name);

/* Every workload, ended by NULL. */
const struct sim_workload *const *sim_workload_all(void);

/* A promise was broken: the first one counts. */
void sim_workload_wrong(struct sim_workload_result *result, const struct sim *sim,
                        const char *format, ...) PRINTF_LIKE(3, 4);

/* Nothing more happened, or not in time: the first verdict counts. */
void sim_workload_stuck(struct sim_workload_result *result, const char *why);

/* The world of a story: calm, or with faults that are drawn from prng, of which about half of the
 * kinds are off. */
void sim_workload_begin(struct sim *sim, const struct sim_workload_options *options,
                        struct prng *prng, uint32_t node_count);

/* The end of the world: what it counted goes into the result. */
void sim_workload_end(struct sim *sim, struct sim_workload_result *result);

/* A world with no faults but small delays. */
struct sim_faults sim_workload_calm(void);

/* Plays the story once for each disk operation and each kind of loss with the power going there;
 * with is_deep, again in each of those at one operation of the recovery. Stops at the first result
 * that is not right, and returns it with the options that made it. */
struct sim_crash_report {
    struct sim_workload_options options;
    struct sim_workload_result result;
    uint64_t boundary_count;
    uint64_t run_count;
};
struct sim_crash_report sim_workload_crash_points(const struct sim_workload *workload,
                                                  struct sim_workload_options options,
                                                  bool is_deep);

#endif
