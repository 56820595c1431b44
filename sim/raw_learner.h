/* A follower that is written by hand: the shipped elector finds its leader and the shipped quorum
 * port frames its packets, but what it acknowledges, and when, is the test's.
 *
 * It has no disk and keeps no transaction, but knows the last one's zxid. For what no follower of
 * ours would do: acknowledgements in another order or never, and requests by the thousand.
 *
 * Memory: embedded, and the node's heap. Shard: the simulator's thread.
 */
#ifndef SIM_RAW_LEARNER_H
#define SIM_RAW_LEARNER_H

#include "server/keeper/elector.h"
#include "server/keeper/quorum_port.h"
#include "sim/sim_node.h"
#include "zab/zab.h"

struct raw_learner {
    struct sim_node *node;
    int64_t id;
    const char *host;
    const char *leader_host; /* It follows nobody else. */
    const struct ensemble *ensemble;
    bool holds_leader_ack;                     /* NEWLEADER is not acknowledged. */
    bool holds_acks;                           /* Proposals are not. */
    void (*task)(struct raw_learner *learner); /* NULL, or: runs soon, in the node's process. */
    struct elector elector;
    char self_address[32];
    bool has_leader;
    struct quorum_port port;
    struct quorum_link *link; /* NULL: it follows nobody. */
    uint32_t link_count;      /* So many have been up. */
    int64_t epoch;            /* Accepted. */
    int64_t current_epoch;
    bool has_new_leader;
    bool is_up_to_date;
    uint32_t proposal_count;
    uint32_t commit_count;
    uint32_t error_count; /* Of the proposals: transactions that say no. */
    int32_t error_last;
    int64_t zxid_proposed;
    int64_t zxid_acked;
};

/* Its node is down. Learns until it is killed; a link that is lost is dialled anew, when there is a
 * leader. */
void raw_learner_start(struct raw_learner *learner);

/* From outside of its process: runs task, and waits until it has run. */
void raw_learner_do(struct raw_learner *learner, void (*task)(struct raw_learner *learner));

/* From its tasks: a packet; what was held back of acknowledgements; a client's request. */
void raw_learner_say(struct raw_learner *learner, enum zab_packet_type type, int64_t zxid,
                     struct slice data);
void raw_learner_ack_proposals(struct raw_learner *learner);
void raw_learner_ack_leader(struct raw_learner *learner);
void raw_learner_request(struct raw_learner *learner, int64_t session_id, int32_t type,
                         struct slice body);

#endif
