/* The clients of a topic that is deleted and made again (sim/topic_lives.h): an operator who does
 * it, idempotent producers that ask for acks=all, and a reader whose offsets a group keeps.
 *
 * They find brokers, leaders, the controller and the coordinator as clients do, by asking any
 * broker, and go on whatever happens, until the stage is ending: then the operator makes a last
 * life, which every producer writes to.
 *
 * Memory: the world's; each player's from its node's heap. Shard: the simulator's thread.
 */
#ifndef SIM_LIVES_PLAYER_H
#define SIM_LIVES_PLAYER_H

#include "sim/topic_lives.h"

enum { lives_producer_count = 2, lives_client_count = lives_producer_count + 2 };

struct lives_stage {
    struct topic_lives *lives;
    struct prng prng;
    int32_t first_broker_id;
    uint64_t pause_ns_max; /* Of the operator. */
    bool is_ending;
    bool is_last_life; /* It is there. */
    uint32_t finished_count;
    bool is_done;        /* What came last: the scan, or the end. */
    const char *awaited; /* Where the end still finds something of the topic. */
};

/* The operator is done, and all producers are. */
bool lives_stage_is_finished(const struct lives_stage *stage);

/* Processes for sim_node_start, whose argument is the stage. The reader goes on until it is killed;
 * the scan reads the last life; the end deletes it, and waits until nothing is left of it in the
 * keeper on node 0, and in the group. */
void lives_play_operator(struct sim_node *node, void *stage);
void lives_play_producer(struct sim_node *node, void *stage);
void lives_play_reader(struct sim_node *node, void *stage);
void lives_play_scan(struct sim_node *node, void *stage);
void lives_play_end(struct sim_node *node, void *stage);

#endif
