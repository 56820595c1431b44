/* A leader that is written by hand: the shipped elector elects it and the shipped quorum port
 * frames its packets, but what it says to its one learner, and when, is the test's.
 *
 * For what no leader of ours would say: packets in the order in which other leaders send them, and
 * leaders that die in the middle. What the learner says is kept, to be judged.
 *
 * Memory: embedded, and the node's heap. Shard: the simulator's thread.
 */
#ifndef SIM_RAW_LEADER_H
#define SIM_RAW_LEADER_H

#include "server/keeper/elector.h"
#include "server/keeper/quorum_port.h"
#include "sim/sim_node.h"
#include "zab/zab.h"

enum { raw_leader_heard_max = 256 };

struct raw_leader_word {
    int32_t type;
    int64_t zxid;
    int64_t epoch; /* FOLLOWERINFO: the accepted one; ACKEPOCH: the current one, or -1. */
};

struct raw_leader {
    struct sim_node *node;
    int64_t id;
    const char *host;
    const struct ensemble *ensemble;
    int64_t epoch; /* It leads in this one, if anyone follows it. */
    /* When the epoch is accepted: what the learner lacks is to be said. Runs in the node's process.
     */
    void (*on_epoch_acked)(struct raw_leader *leader, int64_t zxid_last);
    void (*task)(struct raw_leader *leader); /* NULL, or: runs soon, in the node's process. */
    struct elector elector;
    char self_address[32];
    struct quorum_port port;
    struct quorum_link *link; /* NULL: nobody has dialled, or it has gone. */
    uint32_t link_count;      /* So many have dialled. */
    uint32_t heard_count;
    struct raw_leader_word heard[raw_leader_heard_max];
};

/* Its node is down. What was heard is forgotten. */
void raw_leader_start(struct raw_leader *leader, int64_t epoch);

/* From its callbacks and tasks: a packet, or bytes of a snapshot. Nothing, if nobody is there. */
void raw_leader_say(struct raw_leader *leader, enum zab_packet_type type, int64_t zxid,
                    struct slice data);
void raw_leader_say_bytes(struct raw_leader *leader, struct slice bytes);

/* From outside of its process: runs task, and waits until it has run. */
void raw_leader_do(struct raw_leader *leader, void (*task)(struct raw_leader *leader));

/* Whether such a word has come. */
bool raw_leader_has_heard(const struct raw_leader *leader, enum zab_packet_type type, int64_t zxid);

#endif
