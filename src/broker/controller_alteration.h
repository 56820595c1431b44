/* What a leader may change of its partition's state: the ISR, and that it has recovered
 * (AlterPartition, KIP-497, KIP-841, KIP-903).
 *
 * The checks are Apache Kafka 3.9's, in its order, and two that only its later controllers make:
 * who asks must lead, and the members must be replicas.
 *
 * Memory: none of its own. Shard: the controller's.
 */
#ifndef BROKER_CONTROLLER_ALTERATION_H
#define BROKER_CONTROLLER_ALTERATION_H

#include "broker/controller_decision.h"

struct controller_alteration {
    int32_t broker_id; /* Who asks. */
    int32_t leader_epoch;
    int32_t partition_epoch;
    int8_t recovery_state; /* 0: recovered, 1: recovering. */
    int16_t version;       /* Of the request. */
    uint32_t isr_count;
    const struct isr_member *isr;
};

/* KAFKA_NONE: the partition is so already (write->partition is NULL), or write is to be written,
 * and told of as controller_decision_next's are. partition: none of its writes is under way. */
MUST_CHECK int16_t controller_alteration_check(const struct controller *controller,
                                               struct controller_partition *partition,
                                               const struct controller_alteration *alteration,
                                               struct controller_write *write);

/* KAFKA_NONE: the broker lives and this is its epoch. */
MUST_CHECK int16_t controller_alteration_check_broker(const struct controller *controller,
                                                      int32_t broker_id, int64_t broker_epoch);

#endif
