/* What Kafka's znodes hold: JSON with exact types and versions (some numbers are strings, one
 * version is too), and plain numbers in two places.
 *
 * Readers take every version that Apache Kafka 3.9 reads and ignore keys they do not know; writers
 * write what 3.9 writes.
 *
 * Memory: texts and arrays from the arena given; a null slice or ERR_NO_MEMORY when it is full.
 * Shard: none.
 */
#ifndef BROKER_ZNODE_JSON_H
#define BROKER_ZNODE_JSON_H

#include "base/arena.h"
#include "base/err.h"
#include "broker/control_message.h"
#include "broker/topic_config.h"

/* All readers: ERR_MALFORMED: not the JSON that belongs there; ERR_NO_MEMORY. Slices and arrays
 * that they give are in the arena. */

/* /brokers/ids/<id>; record.id and record.epoch are not in it. */
struct znode_broker {
    struct broker_record record;
    int64_t timestamp_ms;
};
struct slice znode_json_write_broker(struct arena *arena, const struct znode_broker *broker);
MUST_CHECK enum err znode_json_read_broker(struct slice data, struct arena *arena,
                                           struct znode_broker *broker);

/* /controller */
struct znode_controller {
    int32_t broker_id;
    int32_t kraft_epoch; /* -1 as long as no KRaft controller takes over. */
    int64_t timestamp_ms;
};
struct slice znode_json_write_controller(struct arena *arena,
                                         const struct znode_controller *controller);
MUST_CHECK enum err znode_json_read_controller(struct slice data,
                                               struct znode_controller *controller);

/* /controller_epoch: a plain decimal number. */
struct slice znode_json_write_number(struct arena *arena, int64_t number);
MUST_CHECK enum err znode_json_read_number(struct slice data, int64_t *number);

/* /cluster/id */
struct slice znode_json_write_cluster_id(struct arena *arena, struct slice id);
MUST_CHECK enum err znode_json_read_cluster_id(struct slice data, struct arena *arena,
                                               struct slice *id);

/* /brokers/topics/<topic> */
struct znode_replicas {
    uint32_t count;
    int32_t *ids;
};
struct znode_topic {
    struct uuid id;                    /* Zero: none yet. */
    uint32_t partition_count;          /* The highest index plus one. */
    struct znode_replicas *partitions; /* count 0: the partition does not exist. */
    struct znode_replicas *adding;     /* Of each partition; usually empty. */
    struct znode_replicas *removing;
};
struct slice znode_json_write_topic(struct arena *arena, const struct znode_topic *topic);
MUST_CHECK enum err znode_json_read_topic(struct slice data, struct arena *arena,
                                          struct znode_topic *topic);

/* /brokers/topics/<topic>/partitions/<p>/state: leader, leader_epoch, controller_epoch, isr and
 * is_recovering of the state. */
struct slice znode_json_write_partition(struct arena *arena, const struct partition_state *state);
MUST_CHECK enum err znode_json_read_partition(struct slice data, struct arena *arena,
                                              struct partition_state *state);

/* /config/<type>/<entity>: values are strings. A znode without data has no entries. */
struct znode_config {
    uint32_t count;
    struct topic_config_entry *entries;
};
struct slice znode_json_write_config(struct arena *arena, const struct znode_config *config);
MUST_CHECK enum err znode_json_read_config(struct slice data, struct arena *arena,
                                           struct znode_config *config);

/* /config/changes/config_change_<n>: "topics/name", "brokers/0", ... */
struct slice znode_json_write_config_change(struct arena *arena, struct slice entity_path);
MUST_CHECK enum err znode_json_read_config_change(struct slice data, struct arena *arena,
                                                  struct slice *entity_path);

/* /feature: the finalized features, of which there are none in ZooKeeper mode. */
struct znode_feature {
    bool is_enabled;
    uint32_t feature_count;
};
struct slice znode_json_write_feature(struct arena *arena, bool is_enabled);
MUST_CHECK enum err znode_json_read_feature(struct slice data, struct znode_feature *feature);

/* /latest_producer_id_block; the end is part of the block. */
struct znode_producer_ids {
    int32_t broker_id;
    int64_t first;
    int64_t last;
};
struct slice znode_json_write_producer_ids(struct arena *arena,
                                           const struct znode_producer_ids *block);
MUST_CHECK enum err znode_json_read_producer_ids(struct slice data,
                                                 struct znode_producer_ids *block);

/* Topics and partitions of /isr_change_notification/<n> and /admin/preferred_replica_election. */
struct znode_partition_name {
    struct slice topic;
    int32_t index;
};
struct znode_partition_names {
    uint32_t count;
    struct znode_partition_name *items;
};
MUST_CHECK enum err znode_json_read_partition_names(struct slice data, struct arena *arena,
                                                    struct znode_partition_names *names);

/* /log_dir_event_notification/<n>: a log directory of the broker has failed. */
struct slice znode_json_write_log_dir_event(struct arena *arena, int32_t broker_id);
MUST_CHECK enum err znode_json_read_log_dir_event(struct slice data, int32_t *broker_id);

/* /admin/reassign_partitions, as tools before KIP-455 leave it. */
struct znode_reassignment {
    struct znode_partition_name name;
    struct znode_replicas replicas;
};
struct znode_reassignments {
    uint32_t count;
    struct znode_reassignment *items;
};
struct slice znode_json_write_reassignments(struct arena *arena,
                                            const struct znode_reassignments *reassignments);
MUST_CHECK enum err znode_json_read_reassignments(struct slice data, struct arena *arena,
                                                  struct znode_reassignments *reassignments);

#endif
