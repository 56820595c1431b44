/* The settings of one topic, resolved: what the topic itself says, else the broker's default for
 * it, else Kafka's.
 *
 * The table of all settings (name, type, limits, default, the server.properties keys that change
 * the default, doc) is the one place that CreateTopics, AlterConfigs, DescribeConfigs and the
 * partitions know them from.
 *
 * Memory: by value; texts are slices of whatever they were resolved from. Shard: none.
 */
#ifndef BROKER_TOPIC_CONFIG_H
#define BROKER_TOPIC_CONFIG_H

#include "base/macros.h"
#include "base/slice.h"

enum topic_config_compression {
    TOPIC_CONFIG_COMPRESSION_NONE, /* "uncompressed"; values as in a record batch's attributes. */
    TOPIC_CONFIG_COMPRESSION_GZIP,
    TOPIC_CONFIG_COMPRESSION_SNAPPY,
    TOPIC_CONFIG_COMPRESSION_LZ4,
    TOPIC_CONFIG_COMPRESSION_ZSTD,
    TOPIC_CONFIG_COMPRESSION_PRODUCER /* Whatever the producer chose. */
};

struct topic_config {
    bool cleanup_delete;
    bool cleanup_compact;
    bool message_downconversion_enable;
    bool preallocate;
    bool unclean_leader_election_enable;
    bool remote_storage_enable;
    bool remote_log_copy_disable;
    bool remote_log_delete_on_disable;
    bool timestamp_is_append_time; /* message.timestamp.type=LogAppendTime */
    enum topic_config_compression compression;
    int64_t compression_gzip_level;
    int64_t compression_lz4_level;
    int64_t compression_zstd_level;
    int64_t delete_retention_ms;
    int64_t file_delete_delay_ms;
    int64_t flush_messages;
    bool is_sync_left_to_system; /* The topic itself, not a default, sets flush.messages to its
                                    largest value. */
    int64_t flush_ms;
    int64_t index_interval_bytes;
    int64_t local_retention_bytes; /* -2: as retention_bytes. */
    int64_t local_retention_ms;    /* -2: as retention_ms. */
    int64_t max_compaction_lag_ms;
    int64_t message_bytes_max; /* max.message.bytes */
    int64_t message_timestamp_after_max_ms;
    int64_t message_timestamp_before_max_ms;
    int64_t message_timestamp_difference_max_ms; /* The older name of both; unset: the largest. */
    int64_t min_compaction_lag_ms;
    int64_t min_insync_replicas;
    int64_t retention_bytes; /* -1: no limit. */
    int64_t retention_ms;    /* -1: no limit. */
    int64_t segment_bytes;
    int64_t segment_index_bytes;
    int64_t segment_jitter_ms;
    int64_t segment_ms;
    double min_cleanable_dirty_ratio;
    struct slice follower_throttled_replicas;
    struct slice leader_throttled_replicas;
};

/* A setting as somebody wrote it. value.data == NULL: not set. */
struct topic_config_entry {
    struct slice name;
    struct slice value;
};

/* The numbers of DescribeConfigs' ConfigType. */
enum topic_config_type {
    TOPIC_CONFIG_BOOLEAN = 1,
    TOPIC_CONFIG_STRING = 2,
    TOPIC_CONFIG_INT = 3,
    TOPIC_CONFIG_LONG = 5,
    TOPIC_CONFIG_DOUBLE = 6,
    TOPIC_CONFIG_LIST = 7
};

/* A key of server.properties that changes a topic setting's default. */
struct topic_config_broker_key {
    const char *key;
    int64_t unit; /* How many of the topic setting's units one of this key's is. */
};

struct topic_config_row {
    const char *name;
    enum topic_config_type type;
    int64_t min;
    int64_t max;
    const char *value_default;  /* Kafka's, as DescribeConfigs prints it. */
    const char *const *choices; /* Of a string or of a list's items; NULL: anything. */
    struct topic_config_broker_key broker_keys[3]; /* The strongest first; unused: key NULL. */
    const char *doc;
    uint16_t offset; /* Of the field in struct topic_config; topic_config.c's own. */
};

/* Where broker defaults come from: the value of a server.properties key as text (dynamic settings
 * first, if any), or a null slice. */
struct topic_config_source {
    struct slice (*broker_value)(void *context, const char *key);
    void *context;
};

/* The number of rows; rows are in order of name. */
extern const uint32_t topic_config_row_count;
const struct topic_config_row *topic_config_row(uint32_t index);

/* The row with this name, or NULL. */
const struct topic_config_row *topic_config_find(struct slice name);

/* False: value does not fit the row; reason gets a sentence for people. */
MUST_CHECK bool topic_config_check(const struct topic_config_row *row, struct slice value,
                                   char *reason, size_t reason_size);

/* The strongest key of the row that source sets, with its value; NULL: none is set. */
const struct topic_config_broker_key *
topic_config_broker_key(const struct topic_config_row *row,
                        const struct topic_config_source *source, struct slice *value);

/* The default that holds on this broker, as text: the broker's if a key sets it, else Kafka's.
 * text is room for a number that had to be converted. */
struct slice topic_config_broker_default(const struct topic_config_row *row,
                                         const struct topic_config_source *source, char text[32]);

/* Whether a list of throttled replicas names this broker's replica of the partition. */
bool topic_config_throttles(struct slice replicas, int32_t partition, int32_t broker_id);

/* Everything resolved. Entries with unknown names or wrong values are left out, as they come from
 * outside: their number is returned. */
uint32_t topic_config_resolve(struct topic_config *config, const struct topic_config_source *source,
                              const struct topic_config_entry *entries, uint32_t entry_count);

#endif
