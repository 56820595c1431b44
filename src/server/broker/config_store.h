/* The dynamic settings this broker knows: its own, the cluster's default for brokers, and those of
 * the topics it holds partitions of, each resolved.
 *
 * Memory: counted heap. Shard: one owner.
 */
#ifndef SERVER_BROKER_CONFIG_STORE_H
#define SERVER_BROKER_CONFIG_STORE_H

#include "base/hash_table.h"
#include "base/list.h"
#include "broker/topic_config.h"
#include "broker/znode_json.h"

/* The entries of one config znode, with the block that they stand in. */
struct config_store_entries {
    struct znode_config config;
    void *block;
};

struct config_store_topic {
    struct hash_link by_name;
    struct list link;
    struct slice name;
    uint32_t partition_count; /* No partition from this number on has lived here. */
    struct config_store_entries entries;
    struct topic_config resolved;
};

struct config_store {
    struct heap *heap;
    uint64_t hash_seed;
    struct slice (*static_value)(void *context, const char *key);
    void *static_value_context;
    struct config_store_entries broker_own;
    struct config_store_entries broker_default;
    struct hash_table topics_by_name;
    struct list topics;
    struct topic_config defaults; /* Of a topic that sets nothing. */
};

struct config_store_options {
    uint64_t hash_seed;
    struct slice (*static_value)(void *context, const char *key);
    void *static_value_context;
};

/* ERR_NO_MEMORY. */
MUST_CHECK enum err config_store_init(struct config_store *store, struct heap *heap,
                                      struct config_store_options options);
void config_store_deinit(struct config_store *store);

/* data: what the znode holds; null: it does not exist. Unreadable data counts as empty:
 * ERR_MALFORMED tells so. ERR_NO_MEMORY: nothing has changed. */
MUST_CHECK enum err config_store_set_broker(struct config_store *store, bool is_default,
                                            struct slice data);
MUST_CHECK enum err config_store_set_topic(struct config_store *store, struct slice name,
                                           struct slice data);
/* The topic, if its settings are known here, or NULL. */
struct config_store_topic *config_store_find_topic(const struct config_store *store,
                                                   struct slice name);

static inline bool config_store_has_topic(const struct config_store *store, struct slice name)
{
    return config_store_find_topic(store, name) != NULL;
}

/* A partition of the topic lives here. */
void config_store_note_partition(struct config_store *store, struct slice name, int32_t index);
/* None from this number on does. 0: the topic is forgotten. */
void config_store_shrink_topic(struct config_store *store, struct slice name,
                               uint32_t partition_count);

/* The topic's settings, or the defaults. Lends: until it is set or forgotten. */
const struct topic_config *config_store_topic(const struct config_store *store, struct slice name);

/* A key of server.properties: this broker's dynamic value, else the cluster's default, else the
 * file's; or null. */
struct slice config_store_value(const struct config_store *store, const char *key);
/* The same without the file's. */
struct slice config_store_dynamic(const struct config_store *store, const char *key);
struct topic_config_source config_store_source(const struct config_store *store);

/* The value of a name, or null. */
struct slice config_store_find(const struct znode_config *config, struct slice name);

/* Entries read from a znode's data into a block of their own. */
MUST_CHECK enum err config_store_read(struct heap *heap, struct slice data,
                                      struct config_store_entries *entries);
void config_store_release(struct heap *heap, struct config_store_entries *entries);

#endif
