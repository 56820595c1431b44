/* Topics of several partitions that controllers make between everything else, and what brokers show
 * of them: a client takes the partitions that a Metadata answer names for all there are.
 *
 * It says that no broker ever knows a part of the partitions that were made together, as far as one
 * controller has made them all. Metadata is answered from what a broker knows, so its memory is
 * looked at, after each event.
 *
 * Memory: of a request, its node's heap. Shard: the simulator's thread.
 */
#ifndef SIM_CLUSTER_TOPICS_H
#define SIM_CLUSTER_TOPICS_H

#include "server/broker/broker_server.h"
#include "sim/workload.h"

enum { cluster_topic_count_max = 12 };

struct cluster_topic_made {
    uint32_t maker; /* The broker that was the controller. */
    int32_t controller_epoch;
    uint32_t partition_count;
    bool is_judged; /* Until the maker ends. */
};

struct cluster_topics {
    struct sim *sim;
    struct sim_workload_result *result;
    struct cluster_topic_made made[cluster_topic_count_max]; /* Topic i is "made-i". */
    uint32_t count;
};

/* Within the process of a broker: asks for one more, if it is the controller. The replicas are its
 * own, so that nothing keeps it from making all of them, and the others hear at once. */
void cluster_topics_make(struct cluster_topics *topics, uint32_t broker,
                         struct broker_server *server, struct prng *prng);

/* Looks at one broker's process. */
void cluster_topics_look(struct cluster_topics *topics, uint32_t broker,
                         const struct broker_server *server);

/* The broker is down, or ends: whoever is the controller next tells what there is by then. */
void cluster_topics_end_maker(struct cluster_topics *topics, uint32_t broker);

#endif
