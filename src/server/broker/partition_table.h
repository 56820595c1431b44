/* The partitions that this broker holds: orders from the controller, made real on the disk.
 *
 * A partition has an entry here from the first order on; its store is NULL while it is being
 * created. Requests look entries up by topic and index.
 *
 * Memory: an entry with the topic's name for each partition, from the heap. Shard: one owner.
 */
#ifndef SERVER_BROKER_PARTITION_TABLE_H
#define SERVER_BROKER_PARTITION_TABLE_H

#include "base/hash_table.h"
#include "broker/partition_waiter.h"
#include "broker/replica_set.h"
#include "server/broker/broker_config.h"
#include "server/broker/control.h"
#include "server/broker/directory_wishes.h"
#include "server/broker/log_directory.h"
#include "server/broker/partition_store.h"

struct partition {
    struct hash_link hash;
    struct slice topic; /* Behind this struct. */
    struct uuid topic_id;
    int32_t index;
    int32_t leader_epoch;
    bool is_leader;
    bool is_hosted;           /* Led or followed: not stopped. */
    bool is_internal;         /* __consumer_offsets or __transaction_state. */
    bool is_throttled_leader; /* Its topic's settings name this replica: the throttle's. */
    bool is_throttled_follower;
    struct partition_store *store;
    struct log_directory *directory;
    struct list waiters;          /* For what consumers can read, and for another leadership. */
    struct list news_waiters;     /* For any of these, from fetch sessions that rest. */
    struct list start_waiters;    /* For replicas whose logs begin later. */
    struct list replica_waiters;  /* The same for whatever is written. */
    struct followed *followed;    /* While it is followed; else NULL. */
    struct replica_set *replicas; /* While it is led here and others have it too; else NULL. */
    uint32_t term;                /* How often it was found that it is not led here. */
    struct list commits;          /* struct partition_commit, by offset. */
    struct list lag_link;         /* In the replication's lagging. */
    struct list change_link;      /* In the isr_changes' waiting. */
    int16_t isr_trouble_told;     /* The isr_changes': why its last change failed. */
    int64_t told_high_watermark;  /* To the waiters; -1: nothing yet. */
    int64_t told_log_start_offset;
    struct partition_change *change; /* The order that is being carried out; NULL: none. */
    bool awaits_cut;                 /* It waits for the end of a truncation. */
    bool is_frozen;                  /* Orders are held back: another store takes its place. */
    struct replica_move *move;       /* To another log directory; NULL: none. */
    struct partition_table *table;
    struct partition_config config; /* For the creation. */
};

struct partition_table_events {
    void *context;
    /* This broker is about to lead as state says. False: it cannot. */
    bool (*on_lead)(void *context, struct partition *partition,
                    const struct partition_state *state);
    /* This broker follows the leader that state names from now on. False: it cannot. */
    bool (*on_follow)(void *context, struct partition *partition,
                      const struct partition_state *state);
    /* It is not followed any more: to be led, stopped or deleted. */
    void (*on_unfollow)(void *context, struct partition *partition);
    /* These are the settings of the partition's topic: with each order to lead or follow it, and
     * whenever they change. */
    void (*on_config)(void *context, struct partition *partition,
                      const struct topic_config *config);
    /* It is about to be deleted. */
    void (*on_deletion)(void *context, struct partition *partition);
    /* This broker has begun or ceased to lead a partition. */
    void (*on_leadership)(void *context, struct partition *partition);
};

struct partition_table {
    struct heap *heap;
    struct diag *diag;
    struct hash_table entries;
    uint64_t hash_seed;
    struct log_directory *directories[broker_log_dir_count_max];
    uint32_t directory_count;
    struct directory_wishes wishes;
    bool is_stopping; /* Nobody waits for replicas any more. */
    struct partition_table_events events;
};

/* ERR_NO_MEMORY. Keeps heap and diag. */
MUST_CHECK enum err partition_table_init(struct partition_table *table, struct heap *heap,
                                         struct diag *diag, uint64_t hash_seed,
                                         struct partition_table_events events);
void partition_table_deinit(struct partition_table *table);

/* A directory that has been opened and loaded; keeps it. */
void partition_table_add_directory(struct partition_table *table, struct log_directory *directory);

/* Whether one of them has failed: what lay there is not known. */
bool partition_table_has_lost_directory(const struct partition_table *table);

/* The entry, or NULL: no order ever named it. */
struct partition *partition_table_find(const struct partition_table *table, struct slice topic,
                                       int32_t index);

/* Every entry in no order: start with *position zero and NULL. */
struct partition *partition_table_next(const struct partition_table *table, uint64_t *position,
                                       struct partition *previous);

/* Carries an order of the controller out, and answers it. */
void partition_table_change(struct partition_table *table, struct partition_change *change);

/* Orders wait from now on, until thaw carries the last one out. None is under way. */
void partition_table_freeze(struct partition *partition);
void partition_table_thaw(struct partition *partition);

/* Its store is offline: it is neither led nor followed any more, and requests are told why. */
void partition_table_lose(struct partition *partition);

/* A truncation of the partition's store has ended: an order that waited for it goes on. */
void partition_table_on_cut(struct partition_table *table, struct partition *partition);

/* The settings of a topic have changed. */
void partition_table_configure(struct partition_table *table, struct slice topic,
                               uint32_t partition_count, const struct topic_config *config);

/* Those who wait in one of a partition's lists look again, or in all. */
void partition_wake_list(struct list *waiters);
void partition_wake(struct partition *partition);

static inline bool partition_is_led(const struct partition *partition)
{
    return partition != NULL && partition->is_leader && partition->store != NULL;
}

#endif
