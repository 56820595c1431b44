/* Everything that a small ensemble of real ZAB machines can do, state by state, breadth first: the
 * first violation that is found has the shortest story.
 *
 * What is run is zab_step, by the driver of zab_cluster.h with its disks, links and checks. A state
 * is all machines, their disks with writes that are not durable, effects that wait, links with
 * what is under way, and what was ever committed; zab_state.h says what is left out of it.
 *
 * What happens next, in all possible ways:
 * - the next packet of a link arrives, or the end of a link whose other end has closed;
 * - a server's oldest write becomes durable; a leader sends a learner what it lacks;
 * - an established leader proposes (transaction_count in all);
 * - a server crashes (crash_count in all), loses what is not durable, and is up again;
 * - a role is given up: for nothing by a leader that has no links to a quorum any more, else as
 *   one of time_out_count;
 * - an election: a quorum of servers that look, any of them, follows the best one among them by
 *   epoch, zxid and id, and dials it; or a server that looks follows one that leads already.
 *   With free_election_count, there are so many in all, and they know nothing: a server that looks
 *   leads, whoever it is and whether or not anybody knows of it, and others may follow it. Then all
 *   that protects the history is what leader and learners tell each other, as in the proof of the
 *   protocol. There must be a bound: who leads in vain has begun an epoch each time.
 *
 * What is abstracted: votes (fast_election.h is not run: a quorum agrees in one step, about what is
 * on its disks at that time); time (a time-out comes whenever it wants, as ZAB_EVENT_STOP; there
 * are no ticks, so no pings); a server that is down (one that is up and takes part in no election
 * does the same); links that break while both ends live (the time-out of either end stands for it);
 * observers, and reconfigurations.
 *
 * What is merged: when no time-out is left, a packet that reaches a learner and is quiet is taken
 * at once and alone. Quiet: after it the learner learns still, nothing new is on a link, and
 * nothing more is committed; it changed the learner's memory and its queue of writes. Nobody else
 * can see that. Its links are ordered, so what the learner can do meanwhile is have an older write
 * durable, which comes to the same in either order, or crash, which forgets both the packet and
 * what it did. And whatever others do neither takes the packet away nor depends on it.
 *
 * Beyond the checks of zab_cluster.h, in every state: what an ACK or ACKEPOCH under way says is on
 * its sender's disk.
 *
 * States are told apart by 64 bits of hash: of n states about n^2 / 2^65 are taken for others.
 *
 * Memory: mapped, for state_count_max. Shard: one owner; one explorer runs at a time.
 */
#ifndef SIM_EXPLORER_H
#define SIM_EXPLORER_H

#include "sim/zab_state.h"

struct explorer_bounds {
    uint32_t server_count;
    uint32_t crash_count;
    uint32_t transaction_count;
    uint32_t time_out_count;
    uint32_t free_election_count; /* 0: elections are fair, and any number. */
    uint32_t depth_max;
    uint64_t state_count_max;
};

enum explorer_event_kind {
    EXPLORER_ELECT,   /* leader, and the set of servers that elect it. */
    EXPLORER_JOIN,    /* server, leader */
    EXPLORER_DELIVER, /* slot and end of a link */
    EXPLORER_FLUSH,   /* server, and so on */
    EXPLORER_SYNC,
    EXPLORER_PROPOSE,
    EXPLORER_CRASH,
    EXPLORER_TIME_OUT,
};

struct explorer_event {
    uint8_t kind;
    uint8_t subject; /* The server or slot. */
    uint8_t object;  /* The set, leader or end. */
};

/* How a state was first reached. */
struct explorer_node {
    uint32_t parent; /* Its number; the first state is its own. */
    struct explorer_event event;
};

struct explorer {
    struct explorer_bounds bounds;
    struct zab_cluster cluster; /* The one that is at work. */
    uint32_t crashes_left;
    uint32_t time_outs_left;
    uint32_t elections_left; /* Free ones. */
    uint64_t state_count;
    uint64_t transition_count;
    uint64_t quiet_count; /* Packets that were taken at once. */
    uint32_t depth;
    bool is_exhausted;           /* There is no state within the bounds that it has not seen. */
    const char *wrong;           /* NULL: nothing was violated. */
    uint64_t node_at;            /* Where it is, or where it was violated ... */
    struct explorer_event doing; /* ... by this. */
    struct explorer_node *nodes; /* By number. */
    uint64_t *hashes;            /* Of states, 0: free. */
    uint64_t hash_count;         /* A power of two. */
    uint8_t *queue;              /* States that wait, each behind its size. */
    uint64_t queue_head;
    uint64_t queue_tail;
};

void explorer_init(struct explorer *explorer, struct explorer_bounds bounds);
void explorer_deinit(struct explorer *explorer);

/* Until all is seen, a bound is met, or something is wrong. */
void explorer_run(struct explorer *explorer);

/* How many events lead to where it is, the one it was doing included. */
uint32_t explorer_path_count(const struct explorer *explorer);

/* Does that path once more and prints it. */
void explorer_tell(struct explorer *explorer);

#endif
