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
#include "server/broker/broker_config.h"
#include "server/broker/control.h"
#include "server/broker/log_directory.h"
#include "server/broker/partition_store.h"

/* What a Fetch that waits leaves at each partition that it waits for. */
struct partition_waiter {
    struct list link;
    /* More can be read, or the partition is no longer led here. May be called again and again until
     * the waiter removes itself. */
    void (*wake)(struct partition_waiter *waiter);
};

struct partition {
    struct hash_link hash;
    struct slice topic; /* Behind this struct. */
    struct uuid topic_id;
    int32_t index;
    int32_t leader_epoch;
    bool is_leader;
    bool is_internal; /* __consumer_offsets or __transaction_state. */
    struct partition_store *store;
    struct log_directory *directory;
    struct list waiters;
    struct partition_change *change; /* The order that is being carried out; NULL: none. */
    struct partition_table *table;
    struct partition_config config; /* For the creation. */
};

struct partition_table_events {
    void *context;
    /* This broker has begun or ceased to lead a partition. */
    void (*on_leadership)(void *context, struct partition *partition);
    /* A partition that was here is being deleted. */
    void (*on_deleted)(void *context, const struct partition *partition);
};

struct partition_table {
    struct heap *heap;
    struct diag *diag;
    struct hash_table entries;
    uint64_t hash_seed;
    struct log_directory *directories[broker_log_dir_count_max];
    uint32_t directory_count;
    struct partition_table_events events;
};

/* ERR_NO_MEMORY. Keeps heap and diag. */
MUST_CHECK enum err partition_table_init(struct partition_table *table, struct heap *heap,
                                         struct diag *diag, uint64_t hash_seed,
                                         struct partition_table_events events);
void partition_table_deinit(struct partition_table *table);

/* A directory that has been opened and loaded; keeps it. */
void partition_table_add_directory(struct partition_table *table, struct log_directory *directory);

/* The entry, or NULL: no order ever named it. */
struct partition *partition_table_find(const struct partition_table *table, struct slice topic,
                                       int32_t index);

/* Every entry in no order: start with *position zero and NULL. */
struct partition *partition_table_next(const struct partition_table *table, uint64_t *position,
                                       struct partition *previous);

/* Carries an order of the controller out, and answers it. */
void partition_table_change(struct partition_table *table, struct partition_change *change);

/* The settings of a topic have changed. */
void partition_table_configure(struct partition_table *table, struct slice topic,
                               uint32_t partition_count, const struct topic_config *config);

/* Those who wait at a partition look again. */
void partition_wake(struct partition *partition);

static inline bool partition_is_led(const struct partition *partition)
{
    return partition != NULL && partition->is_leader && partition->store != NULL;
}

#endif
