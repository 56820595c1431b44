/* What the brokers' load generators share: connections to every broker of a cluster, and a topic
 * whose partitions have leaders.
 *
 * A cluster is its ports with commas between them, in the order of the broker ids 0, 1, 2, ..; a
 * topic is NAME or NAME:PARTITIONS:REPLICAS. Every failure ends the program with a reason.
 */
#ifndef BENCH_BROKER_WIRE_H
#define BENCH_BROKER_WIRE_H

#include "latency.h"
#include "test/hand/kafka.h"

enum { broker_wire_broker_count_max = 8, broker_wire_partition_count_max = 20000 };

struct broker_wire {
    uint32_t broker_count;
    uint16_t ports[broker_wire_broker_count_max];
    int handles[broker_wire_broker_count_max];
    char topic[64];
    uint32_t partition_count;
    uint32_t replica_count;
    int32_t controller;
    int32_t leaders[broker_wire_partition_count_max];
};

/* Connects to all brokers; nothing is asked. */
void broker_wire_open(struct broker_wire *wire, const char *ports, const char *topic);

/* Creates the topic unless it is there, and waits until each broker says that all partitions have
 * a leader and all replicas in sync. */
void broker_wire_await(struct broker_wire *wire);

/* Another connection to a broker, tried until there is one. */
int broker_wire_dial(uint16_t port);

/* The connection to the partition's leader. */
int broker_wire_leader(const struct broker_wire *wire, uint32_t partition);

#endif
