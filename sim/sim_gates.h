/* The gates of a simulated broker: as many shards as its configuration says, in one process with
 * one io. In a round some of them take no turn, as threads do. They get all the writes that there
 * are, as far as they have room.
 *
 * Memory: the node's. Shard: the simulator's thread.
 */
#ifndef SIM_SIM_GATES_H
#define SIM_SIM_GATES_H

#include "base/prng.h"
#include "server/broker/broker_server.h"
#include "server/broker/gate.h"

enum { sim_gate_count_max = 3 };

struct sim_gate {
    struct shard shard;
    struct heap heap;
    struct gate *gate;
};

struct sim_gates {
    struct shard *broker; /* The first shard. */
    struct sim_gate gates[sim_gate_count_max];
    uint32_t count;
    /* Set before. */
    uint32_t mail_count_max; /* 0: as a real one. */
    bool has_own_heaps;      /* Else they have the broker's, which goes with the process. */
    struct prng prng;
};

/* Right after broker_server_start, on zeroed memory. Keeps shard and config. */
void sim_gates_start(struct sim_gates *gates, struct shard *shard, struct broker_server *server,
                     const struct broker_config *config);

/* In place of shard_step of the broker's shard. */
void sim_gates_step(struct sim_gates *gates, uint64_t wait_ns);

/* After the broker has stopped, before broker_server_deinit. */
void sim_gates_end(struct sim_gates *gates);

/* Of gates with heaps, when nothing is in flight any more: nothing may be left in them. */
void sim_gates_deinit(struct sim_gates *gates);

#endif
