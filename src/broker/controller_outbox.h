/* What a broker has not heard yet, as the next message for it.
 *
 *   the live brokers have changed         UpdateMetadata  of all partitions if it is new, else none
 *   a partition it has a replica of has   LeaderAndIsr
 *   any partition has                     UpdateMetadata
 *   a replica of it shall stop            StopReplica
 *
 * One message is on its way to a broker at a time; what changes meanwhile is in the next one, once,
 * however often it changes. A message that was lost is made anew, from what holds by then. The
 * order is that of Apache Kafka 3.9: a broker hears of other brokers before it shall follow them.
 *
 * Memory: the controller's heap. Shard: the controller's.
 */
#ifndef BROKER_CONTROLLER_OUTBOX_H
#define BROKER_CONTROLLER_OUTBOX_H

#include "broker/controller.h"

/* A message in one block, to be given back with heap_give. */
struct controller_envelope {
    struct control_message message;
    uint64_t change; /* The last one that it knows of. */
    int32_t broker_id;
    bool has_partitions; /* UpdateMetadata of the brokers only: false. */
    bool is_repeat;      /* Orders that the broker has had before, too. */
};

/* The next message, or NULL: the broker knows everything. ERR_NO_MEMORY. */
MUST_CHECK enum err controller_outbox_next(struct controller *controller,
                                           struct controller_broker *broker,
                                           struct controller_envelope **out);

/* Whether controller_outbox_next has nothing for it; may say false for nothing. */
bool controller_outbox_is_empty(const struct controller *controller,
                                const struct controller_broker *broker);

/* The broker has handled the message: it knows what the message knew. */
void controller_outbox_answered(struct controller_broker *broker,
                                const struct controller_envelope *envelope);

/* What it said of one partition. A replica on a failed log directory (KAFKA_STORAGE_ERROR) is away
 * from now on; one that was, and is not, is back. */
void controller_outbox_learn(struct controller *controller, const struct controller_broker *broker,
                             const struct controller_envelope *envelope,
                             struct controller_partition *partition, int16_t error);

/* A log directory of the broker has failed: all its replicas are asked for, by an order. */
void controller_outbox_repeat(struct controller_broker *broker);

#endif
