/* Replication that is held back (KIP-73): what moves to another broker shall leave room for
 * clients.
 *
 *   a topic's leader.replication.throttled.replicas    --> partition->is_throttled_leader
 *             follower.replication.throttled.replicas  --> partition->is_throttled_follower
 *   brokers'  leader.replication.throttled.rate        --> throttle.leader, with all it has sent
 *             follower.replication.throttled.rate      --> throttle.follower, all it has fetched
 *
 * While the rate is above the limit, a leader answers a follower nothing of a throttled partition
 * that it is not in sync with, and a follower does not ask for one that it has not caught up with.
 * Those who are in sync are counted but never held back, so that they stay in sync.
 *
 * The rates stand in the keeper only: this broker's own, else the cluster's, else there is none.
 *
 * Memory: the windows of both quotas, from the heap. Shard: one owner.
 */
#ifndef SERVER_BROKER_REPLICATION_THROTTLE_H
#define SERVER_BROKER_REPLICATION_THROTTLE_H

#include "broker/replication_quota.h"
#include "server/broker/partition_table.h"

struct broker_server;

struct replication_throttle {
    struct broker_server *server;
    struct quota_window *windows; /* Of both. */
    struct replication_quota leader;
    struct replication_quota follower;
};

/* ERR_NO_MEMORY. Keeps server, whose heap and config are there. */
MUST_CHECK enum err replication_throttle_init(struct replication_throttle *throttle,
                                              struct broker_server *server);
void replication_throttle_deinit(struct replication_throttle *throttle);

/* Settings of brokers have changed. */
void replication_throttle_set_rates(struct replication_throttle *throttle);

/* The partition begins to be led or followed, or settings of its topic have changed. */
void replication_throttle_configure(struct replication_throttle *throttle,
                                    struct partition *partition, const struct topic_config *config);

/* Whether a follower of a partition that is led here gets nothing of it now. */
bool replication_throttle_holds_follower(struct replication_throttle *throttle,
                                         const struct partition *partition, int32_t broker_id);

/* So much of a throttled one has been sent to a follower, in sync or not. */
void replication_throttle_on_sent(struct replication_throttle *throttle, uint64_t bytes);

/* How long a partition that is followed here, and has not caught up, must not be asked for; 0: it
 * may be. */
int64_t replication_throttle_wait_ms(struct replication_throttle *throttle,
                                     const struct partition *partition);

/* So much of it has come. */
void replication_throttle_on_fetched(struct replication_throttle *throttle,
                                     const struct partition *partition, uint64_t bytes);

#endif
