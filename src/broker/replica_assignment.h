/* On which brokers the replicas of a topic's partitions go.
 *
 * Kafka's rule: leaders round robin over the brokers from a random start, the other replicas at a
 * distance from their leader that grows by one with each round; with racks, brokers are first
 * ordered so that neighbours stand in different racks, and no rack gets two replicas of a partition
 * while another has none.
 *
 * Memory: the caller's arrays. Shard: none.
 */
#ifndef BROKER_REPLICA_ASSIGNMENT_H
#define BROKER_REPLICA_ASSIGNMENT_H

#include "base/err.h"
#include "base/macros.h"
#include "base/slice.h"

struct replica_assignment_broker {
    int32_t id;
    struct slice rack; /* Null: none. Either all brokers have one or none. */
};

struct replica_assignment_options {
    uint32_t partition_count;
    uint32_t first_partition; /* Above 0 when partitions are added. */
    uint32_t replication_factor;
    uint32_t start_index; /* Of the first leader among the brokers; modulo their number. */
    uint32_t shift;       /* Of the second replica in the first round. */
};

enum { replica_assignment_broker_count_max = 1024 };

/* Fills replicas: partition_count times replication_factor ids. brokers are reordered. ERR_LIMIT:
 * fewer brokers than replication_factor, or more than replica_assignment_broker_count_max;
 * ERR_CONFIG: some brokers have a rack and others none. */
MUST_CHECK enum err replica_assignment_make(struct replica_assignment_broker *brokers,
                                            uint32_t broker_count,
                                            struct replica_assignment_options options,
                                            int32_t *replicas);

#endif
