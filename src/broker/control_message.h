/* What the controller tells brokers: become leader or follower, stop, and how the cluster looks.
 *
 * The messages are plain structs. To itself the controller hands them over in memory; to another
 * broker the same structs are what LeaderAndIsr, UpdateMetadata and StopReplica requests carry.
 *
 * Memory: arrays and slices belong to whoever made the message, until it is answered. Shard: none.
 */
#ifndef BROKER_CONTROL_MESSAGE_H
#define BROKER_CONTROL_MESSAGE_H

#include "base/slice.h"
#include "base/uuid.h"

enum {
    control_leader_none = -1,
    control_leader_deleted = -2,       /* UpdateMetadata: the topic is being deleted. */
    control_leader_epoch_deleted = -2, /* StopReplica: whatever the epoch. */
    control_partition_count_max = 200000,
    control_replica_count_max = 64 /* Of one partition. */
};

/* A replica that a leader wants in the ISR. */
struct isr_member {
    int32_t broker_id;
    int64_t broker_epoch; /* As the follower's fetches carry it (KIP-903); -1: not told. */
};

/* One partition as its znode `state` and its topic's znode tell it. */
struct partition_state {
    struct slice topic;
    struct uuid topic_id;
    int32_t index;
    int32_t leader; /* control_leader_none: nobody leads. */
    int32_t leader_epoch;
    int32_t controller_epoch;
    int32_t partition_epoch; /* The version of the znode. */
    uint32_t replica_count;
    uint32_t isr_count;
    const int32_t *replicas; /* The first is the preferred leader. */
    const int32_t *isr;
    /* Of a reassignment that is under way: replicas that come and that go; all are in replicas. */
    uint32_t adding_count;
    uint32_t removing_count;
    const int32_t *adding;
    const int32_t *removing;
    uint32_t offline_count; /* UpdateMetadata: replicas whose broker or log directory is away. */
    const int32_t *offline;
    bool is_new;
    bool is_recovering; /* leader_recovery_state 1: elected out of the ISR. */
};

/* The numbers of Kafka's SecurityProtocol. */
enum control_security { CONTROL_PLAINTEXT, CONTROL_SSL, CONTROL_SASL_PLAINTEXT, CONTROL_SASL_SSL };

struct broker_endpoint {
    struct slice listener; /* "PLAINTEXT", or a name of the user's. */
    struct slice host;
    int32_t port;
    int16_t security; /* enum control_security */
};

struct broker_record {
    int32_t id;
    int64_t epoch; /* The czxid of its znode. */
    struct slice rack;
    uint32_t endpoint_count;
    const struct broker_endpoint *endpoints;
};

enum control_message_kind { CONTROL_LEADER_AND_ISR, CONTROL_UPDATE_METADATA, CONTROL_STOP_REPLICA };

struct control_message {
    enum control_message_kind kind;
    int32_t controller_id;
    int32_t controller_epoch;
    int64_t broker_epoch; /* The receiver's, as the controller knows it. */
    uint32_t partition_count;
    uint32_t broker_count;
    struct partition_state *partitions;
    const struct broker_record *brokers; /* UpdateMetadata: all live ones, every time. */
    bool *delete_partition;              /* StopReplica: [partition_count]. */
};

/* The bytes of a record's texts and endpoints, and a copy whose endpoints stand at endpoints and
 * whose texts at *place, which moves behind them. */
size_t control_message_record_size(const struct broker_record *record);
struct broker_record control_message_copy_record(const struct broker_record *record,
                                                 struct broker_endpoint *endpoints,
                                                 uint8_t **place);
struct slice control_message_put_text(struct slice text, uint8_t **place);

#endif
