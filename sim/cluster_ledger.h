/* The replicas of a cluster's partitions as seen from outside: an oracle that reads the brokers'
 * memory after each event of the world, and their disks at the end.
 *
 * It says that
 * - a partition has one leader in each leader epoch, and no broker's leader epoch goes back;
 * - 0 <= log start <= high watermark <= log end, the high watermark never goes back while a broker
 *   lives, and nothing below it is cut off;
 * - what is durable is there after the end of the process;
 * - what sim/cluster_logs.h says of the logs;
 * - at the end all replicas hold the same bytes.
 *
 * Memory: the world's. Shard: the simulator's thread.
 */
#ifndef SIM_CLUSTER_LEDGER_H
#define SIM_CLUSTER_LEDGER_H

#include "sim/cluster_logs.h"

enum { cluster_epoch_count_max = 1 << 12, cluster_partition_name_bytes = 32 };

/* One replica as it was seen last. */
struct cluster_view {
    uint32_t incarnation; /* From 1; 0: never seen. */
    int32_t leader_epoch;
    int64_t high_watermark;
    int64_t durable_offset;
};

struct cluster_ledger {
    struct sim *sim;
    struct sim_workload_result *result;
    uint32_t first_broker_node;
    uint32_t broker_count;
    bool may_lose_written; /* Producers ask for acks=1: a power loss of the leader takes what
                              others may have below their high watermark. */
    /* Who leads it in this leader epoch, from 1; 0: nobody yet. */
    uint8_t leaders[cluster_partition_count_max][cluster_epoch_count_max];
    struct cluster_view views[cluster_broker_count_max][cluster_partition_count_max];
    struct cluster_logs logs[cluster_partition_count_max];
    char names[cluster_partition_count_max][cluster_partition_name_bytes];
};

/* Partition i is number 0 of the topic "topic-i". */
struct slice cluster_topic(uint32_t partition);

/* Of zeroed memory, with the fields above leaders, and the names, set. */
void cluster_ledger_init(struct cluster_ledger *ledger);

/* Looks at one broker's process. */
void cluster_ledger_look(struct cluster_ledger *ledger, uint32_t broker,
                         const struct broker_server *server);

/* The same of one partition, which is this one there. */
void cluster_ledger_look_at(struct cluster_ledger *ledger, uint32_t broker,
                            const struct broker_server *server, uint32_t index,
                            const struct partition *partition);

/* The brokers are down, after a clean stop: compares what they left in their log
 * directories. */
void cluster_ledger_compare_disks(struct cluster_ledger *ledger);

#endif
