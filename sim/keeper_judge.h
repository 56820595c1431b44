/* Judges what the clients of one keeper were told (sim/keeper_history.h) by the model.
 *
 * The server's own transaction log says in which order things happened, and nothing else: each
 * transaction must be a request that somebody sent (or a session that was due, or a container that
 * was empty); the model does that request, and its answer must be the log's and the client's.
 *
 *   log:         1 ----- 2 ----- 3 ----- 4 ----- 5      zxid; the model walks along
 *   client:         [reply 2][event 3][reply 3][read at 4]
 *
 * A connection's frames are its way along the same line. A reply with zxid z is judged when the
 * model is there; by then every event up to z must have come, in order, and none from beyond. What
 * was never answered has happened if it is in the log, else not; what was answered must be there.
 *
 * Memory: the heap given, given back. Shard: the simulator's thread.
 */
#ifndef SIM_KEEPER_JUDGE_H
#define SIM_KEEPER_JUDGE_H

#include "sim/keeper_history.h"
#include "sim/keeper_model.h"
#include "sim/sim_disk.h"

enum { keeper_judge_why_bytes = 220 };

struct keeper_judge_options {
    const struct keeper_history *history;
    struct sim_disk *disk;
    const char *folder; /* Of the log's files. */
    struct model_options model;
    uint32_t tick_ms;
    uint32_t reap_interval_ms;
    uint64_t quiet_ns; /* Since when there were no faults. */
    uint64_t end_ns;
    int64_t end_wall_ms; /* The server's clock then. */
};

struct keeper_judge_count {
    uint64_t transactions;
    uint64_t replies;
    uint64_t events;
    uint64_t undecided; /* Requests without an answer that have happened. */
};

/* False: why names the first thing that must not be. */
bool keeper_judge(const struct keeper_judge_options *options, struct heap *heap,
                  struct keeper_judge_count *count, char why[keeper_judge_why_bytes]);

#endif
