/* The leader's side of replication: what followers have fetched and what the own disk has reached
 * move the high watermark, and whoever waits for it goes on.
 *
 *   followers' Fetch ---> replication_on_fetch ----.
 *   the own disk     ---> replication_on_progress --+--> high watermark --> commits, then consumers
 *   the clock        ---> who stays behind leaves --'--> isr_changes --> the controller
 *
 * The rules are replica_set's. A partition without other replicas has no set and costs nothing.
 *
 * Only partitions with a follower behind the leader, or whose high watermark is behind, are looked
 * at by the clock: that is where records come in. A follower that has everything is in sync however
 * long it is silent.
 *
 * Followers learn of a partition when this broker does, and have Fetches parked here by then:
 * awaited_followers sees to it that its first records need not wait for their end.
 *
 * Memory: a set for each led partition with followers, from the heap. Shard: one owner.
 */
#ifndef SERVER_BROKER_REPLICATION_H
#define SERVER_BROKER_REPLICATION_H

#include "broker/awaited_followers.h"
#include "broker/replica_set.h"
#include "server/broker/delay_queue.h"
#include "server/broker/isr_changes.h"
#include "server/broker/partition_table.h"

struct broker_server;

struct replication {
    struct broker_server *server;
    struct list lagging; /* Partitions, by lag_link. */
    struct awaited_followers awaited;
    struct delay check;
    struct isr_changes changes;
};

void replication_init(struct replication *replication, struct broker_server *server);

/* From now on the clock counts. */
void replication_start(struct replication *replication);

/* Nothing is asked of the controller any more. Before the net and the delays end. */
void replication_stop(struct replication *replication);

/* Before the partitions. */
void replication_deinit(struct replication *replication);

/* This broker is about to lead the partition as state says, anew or again. False: no memory. */
MUST_CHECK bool replication_lead(struct replication *replication, struct partition *partition,
                                 const struct partition_state *state);

/* It leads it from now on: its followers shall fetch. */
void replication_begin_to_lead(struct replication *replication, struct partition *partition);

/* It does not lead it any more, or the partition goes: commits end with NOT_LEADER_OR_FOLLOWER. */
void replication_leave(struct replication *replication, struct partition *partition);

/* Something of the store has moved: what it has reached, the high watermark, its start; or it went
 * offline. Led here or not. */
void replication_on_progress(struct replication *replication, struct partition *partition);

/* A Fetch of a follower, whose offset lies within the log and on our history. */
struct replication_fetch {
    int32_t broker_id;
    int64_t broker_epoch; /* -1: not told. */
    int64_t offset;
    int64_t log_start_offset;
    bool has_leader_epoch; /* It has said, rightly, in which epoch we lead. */
};

/* Whether the broker is a replica, as its first word: NONE, or what to answer
 * (UNKNOWN_LEADER_EPOCH: it knows of an assignment that we do not know yet; else
 * NOT_LEADER_OR_FOLLOWER). */
enum error_code replication_check(const struct partition *partition,
                                  const struct replication_fetch *fetch);

/* The same, and what it has is known from now on. */
enum error_code replication_on_fetch(struct replication *replication, struct partition *partition,
                                     const struct replication_fetch *fetch);

/* The high watermark is still below the start of the leader's epoch: records that consumers may
 * have read already seem to be above it. */
bool replication_is_behind(const struct partition *partition);

/* A follower of a fetch session has last fetched at that time, without news of this partition. */
void replication_on_silence(const struct partition *partition, int32_t broker_id,
                            uint64_t until_ms);

/* Whether the controller counts the follower as in sync. */
bool replication_is_in_sync(const struct partition *partition, int32_t broker_id);

/* Whether the follower is in sync, and has everything. */
bool replication_is_complete(const struct partition *partition, int32_t broker_id);

/* acks=all is refused (NOT_ENOUGH_REPLICAS): too few replicas are in sync. */
bool replication_is_short(const struct partition *partition);

/* Somebody who waits until all replicas in sync have what lies below offset. A field of theirs. */
struct partition_commit {
    struct list link; /* In partition->commits, by offset; the waiter may remove itself. */
    int64_t offset;
    uint32_t term; /* The partition's, when the append began. */
    void (*done)(struct partition_commit *commit, enum error_code code);
};

/* Before the append: its commit counts only as long as we lead without a break. Others may have
 * cut off what we appended in between. */
void replication_begin(const struct partition *partition, struct partition_commit *commit,
                       void (*done)(struct partition_commit *commit, enum error_code code));

/* The append that ends in front of commit->offset is reached here. True: *code is the answer
 * already, done does not run. False: it will run. Codes: NONE, NOT_ENOUGH_REPLICAS_AFTER_APPEND,
 * NOT_LEADER_OR_FOLLOWER, KAFKA_STORAGE_ERROR. store: where it was appended. */
bool replication_await(struct partition_store *store, struct partition_commit *commit,
                       enum error_code *code);

static inline bool partition_commit_is_waiting(const struct partition_commit *commit)
{
    return list_linked(&commit->link);
}

/* The least start of the leader's and the live replicas' logs: nobody serves what is below. -1: a
 * replica has not told yet. */
int64_t replication_low_watermark(const struct replication *replication,
                                  const struct partition *partition);

/* The replica that a consumer in this rack had better read from (KIP-392), or -1: here. */
int32_t replication_preferred(const struct replication *replication,
                              const struct partition *partition, struct slice rack,
                              struct slice listener, int64_t offset);

#endif
