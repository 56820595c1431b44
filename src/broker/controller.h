/* What the active controller knows of the cluster, and what it decides: who leads each partition,
 * what goes into the znodes, what the brokers are told.
 *
 *   facts (brokers, topics, states read)  --->  controller_decide
 *   controller_next_write                 --->  a partition state for the keeper
 *   controller_written                    <---  its new version
 *   controller_message                    --->  what a broker must hear
 *
 * A decision is written to the keeper first and becomes true here only when the keeper has taken
 * it, under the check of the controller's epoch; brokers are told after that. The leader epoch
 * rises with every change.
 *
 * Memory: counted heap; a change that finds no memory is undone and reported. Shard: one owner.
 */
#ifndef BROKER_CONTROLLER_H
#define BROKER_CONTROLLER_H

#include "base/hash_table.h"
#include "broker/control_message.h"
#include "broker/znode_json.h"

struct controller_broker {
    struct list link; /* In controller.brokers, by id. */
    struct broker_record record;
    bool is_new; /* It has not been told everything yet. */
    void *user;  /* The driver's. */
};

enum controller_deletion {
    CONTROLLER_KEPT,
    CONTROLLER_DELETION_WANTED,
    CONTROLLER_DELETION_STOPPING, /* Brokers are being told. */
    CONTROLLER_DELETION_REMOVING  /* No replica is left; the znodes go. */
};

struct controller_partition {
    struct controller_topic *topic;
    struct list link; /* In controller.to_write or, after a write, in controller.changed. */
    int32_t index;
    int32_t leader;
    int32_t leader_epoch;
    int32_t controller_epoch;
    int32_t partition_epoch; /* -1: its znode does not exist. */
    uint32_t replica_count;  /* 0: the partition does not exist. */
    uint32_t isr_count;
    int32_t *replicas; /* The block also holds room for an ISR of the same size. */
    int32_t *isr;
    bool is_recovering;
    bool is_new;     /* Never sent to a broker. */
    bool is_writing; /* Handed out by controller_next_write. */
};

struct controller_topic {
    struct hash_link by_name;
    struct list link; /* In controller.topics. */
    struct slice name;
    struct uuid id;
    int32_t znode_version;
    uint32_t partition_count;
    struct controller_partition **partitions; /* [partition_count] */
    enum controller_deletion deletion;
    bool has_reassignment; /* Adding or removing replicas stand in its znode. */
    void *user;            /* The driver's. */
};

struct controller {
    struct heap *heap;
    uint64_t hash_seed;
    int32_t broker_id; /* Our own. */
    int32_t epoch;
    struct list brokers;
    struct list topics;
    struct hash_table topics_by_name;
    struct list to_write;
    struct list changed; /* Written, or first read: not yet told to the brokers. */
    uint32_t broker_count;
    uint32_t topic_count;
};

struct controller_options {
    uint64_t hash_seed;
    int32_t broker_id;
    int32_t epoch;
};

MUST_CHECK enum err controller_init(struct controller *controller, struct heap *heap,
                                    struct controller_options options);
void controller_deinit(struct controller *controller);

struct controller_broker *controller_find_broker(const struct controller *controller, int32_t id);
struct controller_topic *controller_find_topic(const struct controller *controller,
                                               struct slice name);

/* A live broker, new or changed. ERR_NO_MEMORY. */
MUST_CHECK enum err controller_set_broker(struct controller *controller,
                                          const struct broker_record *record,
                                          struct controller_broker **out);
void controller_remove_broker(struct controller *controller, struct controller_broker *broker);

/* A topic as its znode says: new, or with more partitions, or reassigned. New partitions have no
 * state yet. ERR_NO_MEMORY. */
MUST_CHECK enum err controller_set_topic(struct controller *controller, struct slice name,
                                         const struct znode_topic *znode, int32_t znode_version,
                                         struct controller_topic **out);
void controller_remove_topic(struct controller *controller, struct controller_topic *topic);

/* The state that stands in the partition's znode. ERR_NO_MEMORY. */
MUST_CHECK enum err controller_set_state(struct controller *controller,
                                         struct controller_partition *partition,
                                         const struct partition_state *state);

/* Finds every partition that needs another state: no znode yet, leader dead, ISR with dead
 * members. They are in controller.to_write then. */
void controller_decide(struct controller *controller);

/* One state to write. is_first: its znodes do not exist; else partition_epoch is the version that
 * the write expects. */
struct controller_write {
    struct controller_partition *partition;
    struct partition_state state;
    int32_t isr[control_replica_count_max];
    bool is_first;
};

/* False: nothing is to be written. */
MUST_CHECK bool controller_next_write(struct controller *controller,
                                      struct controller_write *write);

/* The keeper has taken write->state as version partition_epoch. */
void controller_written(struct controller *controller, const struct controller_write *write,
                        int32_t partition_epoch);

/* It has not: the state must be read again, or tried again with the next controller_decide. */
void controller_not_written(struct controller *controller, struct controller_partition *partition);

/* A message in one block, to be given back with heap_give. */
struct controller_envelope {
    struct list link;
    void *user;
    struct control_message message;
};

enum controller_scope {
    CONTROLLER_CHANGED, /* What is in controller.changed. */
    CONTROLLER_ALL,     /* Every partition that has a state. */
    CONTROLLER_TOPIC    /* Of one topic, in its deletion: leader -2, or delete. */
};

struct controller_message_options {
    enum control_message_kind kind;
    enum controller_scope scope;
    const struct controller_topic *topic;   /* CONTROLLER_TOPIC */
    const struct controller_broker *broker; /* The receiver. LeaderAndIsr and StopReplica name only
                                               partitions with a replica there. */
};

/* NULL: no memory. A LeaderAndIsr or StopReplica without partitions need not be sent. */
struct controller_envelope *controller_message(const struct controller *controller,
                                               struct controller_message_options options);

/* All have been told. */
void controller_forget_changes(struct controller *controller);

#endif
