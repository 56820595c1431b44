/* What the active controller knows of the cluster: brokers, topics, partitions and their states, as
 * the keeper holds them.
 *
 *   facts (brokers, topics, states read) ---> controller.h
 *   controller_decision                  ---> what goes into a partition's znode next
 *   controller_alteration                ---> what a leader may change
 *   controller_outbox                    ---> what each broker must hear
 *
 * A decision is written to the keeper first and becomes true here only when the keeper has taken
 * it, under the check of the controller's epoch; brokers are told after that. Partitions that are
 * made together are told together: a client takes the partitions it sees for all there are.
 *
 * Every change gets the next number of controller.change, and carries it: a partition the one of
 * its last change, a broker the one up to which it has been told. So nothing is queued for a
 * broker: what it lacks is what has changed since, in its newest form.
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
    bool is_shutting_down; /* It has asked for it: it is told things, but leads nothing new. */
    bool repeats_orders;   /* All orders are to be given again. */
    uint64_t joined_at;    /* Numbers of changes, from here on. */
    uint64_t brokers_told;
    uint64_t orders_told; /* 0: it has not been told everything yet. */
    uint64_t metadata_told;
    void *user; /* The driver's. */
};

enum controller_deletion {
    CONTROLLER_KEPT,
    CONTROLLER_DELETION_WANTED,   /* Not begun: a reassignment is under way. */
    CONTROLLER_DELETION_STOPPING, /* Brokers are being told. */
    CONTROLLER_DELETION_REMOVING  /* No replica is left; the znodes go. */
};

enum controller_move {
    CONTROLLER_STAYS,
    CONTROLLER_MOVING, /* Until the ISR holds all replicas of the target. */
    CONTROLLER_MOVED   /* The leader is one of the target's; the topic's znode is to be written. */
};

/* What somebody wants of a partition beyond its being led; bits. */
enum {
    CONTROLLER_WANT_EPOCH =
        1, /* Another leader epoch: its assignment has changed, or its leader has begun anew. */
    CONTROLLER_WANT_PREFERRED = 2, /* Its first replica as leader. */
    CONTROLLER_WANT_UNCLEAN = 4    /* A leader from outside the ISR, if there is no other. */
};

/* A replica that a broker shall stop. */
struct controller_stop {
    int32_t broker_id;
    bool deletes;
    bool is_done;
    bool has_failed; /* Tried again when the broker comes anew. */
};

struct controller_partition {
    struct controller_topic *topic;
    struct list to_write; /* In controller.to_write. */
    struct list stopping; /* In controller.stopping, while it has stops. */
    int32_t index;
    int32_t leader;
    int32_t leader_epoch;
    int32_t controller_epoch;
    int32_t partition_epoch; /* -1: its znode does not exist. */
    uint32_t replica_count;  /* 0: the partition does not exist. */
    uint32_t isr_count;
    int32_t *replicas; /* The block also holds room for an ISR of the same size. */
    int32_t *isr;
    uint64_t adding;   /* Bits by place in replicas. */
    uint64_t removing; /* The same. */
    uint64_t offline;  /* The same: on a log directory that has failed. */
    enum controller_move move;
    uint32_t wants;
    uint32_t stop_count;
    struct controller_stop *stops;
    uint64_t created_at; /* 0: not by this controller. */
    uint64_t added_at;   /* Of adding. */
    uint64_t ordered_at;
    uint64_t changed_at;
    int32_t left_by; /* The broker that led it until it began to shut down; -1: none. */
    bool is_recovering;
    bool is_writing; /* Its state is being written, or read: nothing is decided on meanwhile. */
    bool is_making;  /* What is being written is its first state. */
    bool is_held;    /* It is made, others of its topic are not yet: no broker hears of it. */
};

enum controller_unclean { CONTROLLER_UNCLEAN_UNKNOWN, CONTROLLER_CLEAN, CONTROLLER_UNCLEAN };

struct controller_topic {
    struct hash_link by_name;
    struct hash_link by_id;
    struct list link;      /* In controller.topics. */
    struct list by_change; /* In controller.topics_by_change. */
    struct list to_ask;    /* In controller.to_ask: unclean is to be found out. */
    struct slice name;
    struct uuid id;
    int32_t znode_version;
    uint32_t partition_count;
    struct controller_partition **partitions; /* [partition_count] */
    enum controller_deletion deletion;
    enum controller_unclean unclean; /* unclean.leader.election.enable */
    uint64_t changed_at;
    uint32_t making_count; /* Partitions that are is_making. */
    uint32_t held_count;   /* And is_held. */
    bool has_moved;        /* Some partition of it is CONTROLLER_MOVED. */
    void *user;            /* The driver's. */
};

struct controller {
    struct heap *heap;
    uint64_t hash_seed;
    int32_t broker_id; /* Our own. */
    int32_t epoch;
    uint64_t change; /* The number of the last change. */
    uint64_t brokers_changed_at;
    uint64_t orders_changed_at;
    uint64_t metadata_changed_at;
    struct list brokers;
    struct list topics;
    struct list topics_by_change; /* The last one changed last. */
    struct hash_table topics_by_name;
    struct hash_table topics_by_id;
    struct list to_write;
    struct list stopping;
    struct list to_ask;
    bool is_due; /* Brokers have come or gone: every partition is to be looked at. */
    uint32_t broker_count;
    uint32_t topic_count;
    uint32_t partition_count;
    uint32_t moving_count; /* Partitions that are not CONTROLLER_STAYS. */
};

struct controller_options {
    uint64_t hash_seed;
    int32_t broker_id;
    int32_t epoch;
};

MUST_CHECK enum err controller_init(struct controller *controller, struct heap *heap,
                                    struct controller_options options);
void controller_deinit(struct controller *controller);

/* ---- Brokers. ---- */

struct controller_broker *controller_find_broker(const struct controller *controller, int32_t id);

/* A live broker, new or with other endpoints. One that was registered anew must have been removed
 * before. ERR_NO_MEMORY. */
MUST_CHECK enum err controller_set_broker(struct controller *controller,
                                          const struct broker_record *record,
                                          struct controller_broker **out);
void controller_remove_broker(struct controller *controller, struct controller_broker *broker);

/* ---- Topics. ---- */

struct controller_topic *controller_find_topic(const struct controller *controller,
                                               struct slice name);
struct controller_topic *controller_find_topic_by_id(const struct controller *controller,
                                                     struct uuid id);

/* A topic as its znode says: new, or with more partitions, or reassigned. New partitions have no
 * state yet. ERR_NO_MEMORY: a new one is not there, of a known one some partitions may be as the
 * znode says. */
MUST_CHECK enum err controller_set_topic(struct controller *controller, struct slice name,
                                         const struct znode_topic *znode, int32_t znode_version,
                                         struct controller_topic **out);
void controller_remove_topic(struct controller *controller, struct controller_topic *topic);

/* ---- Partitions. ---- */

/* The partition if it exists, or NULL. */
struct controller_partition *controller_find_partition(const struct controller_topic *topic,
                                                       int32_t index);

/* The state that stands in the partition's znode. ERR_NO_MEMORY. */
MUST_CHECK enum err controller_set_state(struct controller *controller,
                                         struct controller_partition *partition,
                                         const struct partition_state *state);

/* Whether a broker is alive, does not shut down, and its replica is on a working log directory. */
bool controller_is_online(const struct controller *controller,
                          const struct controller_partition *partition, int32_t id);

static inline bool controller_is_member(const int32_t *ids, uint32_t count, int32_t id)
{
    for (uint32_t index = 0; index < count; index++)
        if (ids[index] == id)
            return true;
    return false;
}

/* The bit of a replica in adding, removing and offline; 0: it is none. */
uint64_t controller_replica_bit(const struct controller_partition *partition, int32_t id);

/* Whether a replica is one still: not when a reassignment has taken it away. */
static inline bool controller_is_replica(const struct controller_partition *partition, int32_t id)
{
    const uint64_t bit = controller_replica_bit(partition, id);
    return bit != 0 && (partition->move != CONTROLLER_MOVED || (bit & partition->removing) == 0);
}

/* ---- Changes. ---- */

/* Brokers with a replica are to be told its state, and all brokers. */
void controller_mark_ordered(struct controller *controller, struct controller_partition *partition);
/* All brokers are to be told its state. */
void controller_mark_changed(struct controller *controller, struct controller_partition *partition);

/* Adds a stop, or has one delete that did not. False: no memory. */
MUST_CHECK bool controller_add_stop(struct controller *controller,
                                    struct controller_partition *partition,
                                    struct controller_stop stop);
/* Those that are done, and those of brokers that are not alive unless the topic goes. */
void controller_drop_stops(struct controller *controller, struct controller_partition *partition);

#endif
