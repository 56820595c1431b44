/* Which partition needs another state, and which: the first one, another leader, an ISR without
 * those who are away, another leader epoch.
 *
 *   what                        leader                                  ISR                epoch
 *   a partition without state   first live replica                      all live replicas  0
 *   its leader is away          first live replica in the ISR           the live ones      +1
 *     nobody of the ISR lives   nobody, or if unclean first live        kept, or the       +1
 *                                 replica, which has to recover           leader alone
 *   another member is away      stays                                   without it         +1 each
 *   its leader shuts down       first in the ISR that does not          without it         +1
 *   its leader has registered   stays                                   without those who  +1
 *     since, see check_leader                                           are away
 *   preferred                   first replica, if live and in the ISR   stays              +1
 *   assignment has changed      stays                                   without the gone   +1
 *   reassignment is complete    stays, or first live one of the target  without those      +1, +1
 *                                                                         that go          each
 *
 * "First" is by the order of assignment, live is controller_is_online. The last member of an ISR is
 * never taken out. These are the rules of Apache Kafka 3.9's Election, PartitionStateMachine and
 * ReplicaStateMachine, each change with as many epochs as there.
 *
 * Memory: none of its own. Shard: the controller's.
 */
#ifndef BROKER_CONTROLLER_DECISION_H
#define BROKER_CONTROLLER_DECISION_H

#include "broker/controller.h"

/* Looks at what has changed since the last time, or at everything when brokers have come or gone.
 * What needs another state is in controller.to_write then; topics whose unclean setting must be
 * known for it are in controller.to_ask. */
void controller_decision_update(struct controller *controller);

/* One partition has changed, or something is wanted of it. */
void controller_decision_consider(struct controller *controller,
                                  struct controller_partition *partition);

/* The znode of its state was last written at state_zxid. A leader that has registered since may
 * have been restarted, without what it had not synced and others had copied; so it leads on in
 * another leader epoch; and so does one that is away now, if it is back before another is found.
 * Apache's controller lets it go on in the same one when it takes over from
 * another controller. */
void controller_decision_check_leader(struct controller *controller,
                                      struct controller_partition *partition, int64_t state_zxid);

/* All of a topic whose unclean setting is known now. */
void controller_decision_consider_topic(struct controller *controller,
                                        struct controller_topic *topic);

/* Whether leaders may be unclean is to be asked again, for every topic. */
void controller_decision_forget_unclean(struct controller *controller);

/* One state to write. is_first: its znodes do not exist; else partition_epoch is the version that
 * the write expects. */
struct controller_write {
    struct controller_partition *partition;
    struct partition_state state;
    int32_t isr[control_replica_count_max];
    uint32_t wants; /* What it fulfils. */
    bool is_first;
    bool is_arrival;    /* It completes a reassignment. */
    bool is_alteration; /* Its leader wants it: no broker needs an order. */
};

/* False: nothing is to be written. */
MUST_CHECK bool controller_decision_next(struct controller *controller,
                                         struct controller_write *write);

/* The keeper has taken write->state as version partition_epoch. */
void controller_decision_written(struct controller *controller,
                                 const struct controller_write *write, int32_t partition_epoch);

/* It has not: the state must be read again, or tried again with the next update. */
void controller_decision_not_written(struct controller *controller,
                                     struct controller_partition *partition);

/* The same, and its state has been read: it was written all the same, and the answer is lost, or by
 * somebody else. Errors as controller_set_state: then the write is not over. */
MUST_CHECK enum err controller_decision_found(struct controller *controller,
                                              struct controller_partition *partition,
                                              const struct partition_state *state);

/* It does not take it at all: nothing is tried again until is_due is set. */
void controller_decision_refused(struct controller *controller,
                                 struct controller_partition *partition);

/* The broker is about to stop: what it leads is led by others as far as possible, and it stops to
 * follow. */
void controller_decision_shut_down(struct controller *controller, struct controller_broker *broker);

/* Where more than percent of the partitions whose first replica a broker is are led by others, it
 * shall lead them again, as far as it is in sync. Not while any replica moves. */
void controller_decision_rebalance(struct controller *controller, uint32_t percent);

/* Whether nothing is under way for the partition. */
static inline bool controller_decision_is_settled(const struct controller_partition *partition)
{
    return !partition->is_writing && !list_linked(&partition->to_write);
}

#endif
