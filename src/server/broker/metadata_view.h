/* What this broker knows of the cluster: brokers, topics, who leads each partition. Requests are
 * answered from it.
 *
 * It follows the controller's UpdateMetadata messages and nothing else, so it may lag behind the
 * keeper by a moment, on every broker alike. A topic disappears when its deletion starts.
 *
 * Memory: counted heap. Pointers and slices stay valid until the io loop runs again (a request
 * handler may use them until it returns, not across a wait). Shard: one owner.
 */
#ifndef SERVER_BROKER_METADATA_VIEW_H
#define SERVER_BROKER_METADATA_VIEW_H

#include "base/err.h"
#include "base/hash_table.h"
#include "base/list.h"
#include "broker/control_message.h"

struct metadata_partition {
    int32_t leader; /* control_leader_none: nobody. A partition that does not exist (a hole, which
                       no Apache tool makes) has leader_epoch -1 and no replicas. */
    int32_t leader_epoch;
    int32_t controller_epoch;
    int32_t partition_epoch;
    uint32_t replica_count;
    uint32_t isr_count;
    uint32_t offline_count;
    int32_t *replicas;
    int32_t *isr;     /* In the same block as replicas. */
    int32_t *offline; /* The same: on a log directory that has failed, or their broker was away. */
};

struct metadata_topic {
    struct hash_link by_name;
    struct hash_link by_id;
    struct list link; /* In metadata_view.topics, by order of arrival. */
    struct slice name;
    struct uuid id;
    bool is_internal; /* __consumer_offsets or __transaction_state. */
    bool is_doubted;  /* Not named since metadata_view_doubt. */
    uint32_t partition_count;
    struct metadata_partition *partitions; /* [partition_count], by index. */
};

struct metadata_broker {
    struct list link; /* In metadata_view.brokers, by id. */
    struct broker_record record;
    struct broker_endpoint *endpoints;
};

/* Told after each change; embed it and add it with metadata_view_listen. */
struct metadata_listener {
    void (*changed)(struct metadata_listener *listener);
    struct list link;
};

/* Told of each partition of a topic that was deleted, also of one that is not known here, or
 * deleted and made again. */
typedef void metadata_partition_gone(void *context, struct slice topic, int32_t index);

struct metadata_view {
    struct heap *heap;
    metadata_partition_gone *partition_gone; /* Or null. */
    void *partition_gone_context;
    uint64_t hash_seed;
    struct hash_table topics_by_name;
    struct hash_table topics_by_id;
    struct list topics;
    struct list brokers;
    struct list listeners;
    uint32_t topic_count;
    uint32_t partition_count;
    uint32_t broker_count;
    int32_t controller_id; /* -1: none is known. */
    int32_t controller_epoch;
    uint64_t change_count; /* Grows with each change, for caches. */
};

struct metadata_view_options {
    uint64_t hash_seed;
};

/* ERR_NO_MEMORY. Keeps heap. */
MUST_CHECK enum err metadata_view_init(struct metadata_view *view, struct heap *heap,
                                       struct metadata_view_options options);
void metadata_view_deinit(struct metadata_view *view);

/* The topic, or NULL. */
struct metadata_topic *metadata_view_topic(const struct metadata_view *view, struct slice name);
struct metadata_topic *metadata_view_topic_by_id(const struct metadata_view *view, struct uuid id);

/* The partition, or NULL. */
struct metadata_partition *metadata_view_partition(const struct metadata_view *view,
                                                   struct slice topic, int32_t index);

/* The live broker, or NULL. */
struct metadata_broker *metadata_view_broker(const struct metadata_view *view, int32_t id);

/* The endpoint of this listener, or NULL. */
const struct broker_endpoint *metadata_broker_endpoint(const struct metadata_broker *broker,
                                                       struct slice listener);

#define metadata_view_each_topic(it, view)                                                         \
    for (struct metadata_topic *it = metadata_view_next_topic(view, NULL); it != NULL;             \
         it = metadata_view_next_topic(view, it))
#define metadata_view_each_broker(it, view)                                                        \
    for (struct metadata_broker *it = metadata_view_next_broker(view, NULL); it != NULL;           \
         it = metadata_view_next_broker(view, it))
struct metadata_topic *metadata_view_next_topic(const struct metadata_view *view,
                                                const struct metadata_topic *topic);
struct metadata_broker *metadata_view_next_broker(const struct metadata_view *view,
                                                  const struct metadata_broker *broker);

/* Keeps listener until metadata_view_unlisten. */
void metadata_view_listen(struct metadata_view *view, struct metadata_listener *listener);
void metadata_view_unlisten(struct metadata_view *view, struct metadata_listener *listener);

/* Keeps both, in place of what was kept before. */
void metadata_view_tell_gone(struct metadata_view *view, metadata_partition_gone *gone,
                             void *context);

/* Follows an UpdateMetadata message; epochs were checked before. ERR_NO_MEMORY: some of it is not
 * known here now; the controller repeats it. */
MUST_CHECK enum err metadata_view_update(struct metadata_view *view,
                                         const struct control_message *message);

/* Topics may have gone without a message: those that no message names from now on, and nobody
 * vouches for, are ended by metadata_view_end_doubted, which returns how many. */
void metadata_view_doubt(struct metadata_view *view);
void metadata_view_vouch(struct metadata_view *view, struct slice topic);
uint32_t metadata_view_end_doubted(struct metadata_view *view);

#endif
