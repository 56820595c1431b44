/* What server.properties says to a broker: Apache Kafka 3.9's keys, and a few of ours.
 *
 *      config_defaults(&broker_config_table, ...) and config_load(&broker_config_table, ...)
 *      broker_config_init   keeps the file's lines as texts, and reads the listeners
 *
 * Keys that are defaults of topic settings are checked here but read as texts, by
 * broker_config_value: the table of topic settings knows how they act together.
 *
 * Memory: texts from the heap given; they live as long as the heap. Shard: constant after start.
 */
#ifndef SERVER_BROKER_BROKER_CONFIG_H
#define SERVER_BROKER_BROKER_CONFIG_H

#include "server/config.h"

enum { broker_listener_count_max = 8, broker_log_dir_count_max = 32 };

/* One of listeners or advertised.listeners. */
struct broker_listener {
    const char *name; /* In capitals. */
    const char *host; /* Empty: every address. */
    uint16_t port;
};

struct broker_config {
    int64_t broker_id;
    int64_t broker_id_reserved_max;
    int64_t keeper_session_timeout_ms;
    int64_t keeper_connection_timeout_ms;
    int64_t partition_count;
    int64_t replication_factor;
    int64_t request_bytes_max;
    int64_t request_memory_bytes_max;
    int64_t unpacked_batch_bytes_max;
    int64_t memory_mib_max;
    int64_t shard_count;
    int64_t connection_count_max;
    int64_t connection_count_max_per_address;
    int64_t connection_idle_ms_max;
    int64_t fetch_bytes_max;
    int64_t fetch_session_count_max;
    int64_t retention_check_ms;
    int64_t flush_checkpoint_ms;
    int64_t high_watermark_checkpoint_ms;
    int64_t producer_id_expiration_ms;
    int64_t open_file_count_max; /* Of each directory; 0: chosen at the start. */
    int64_t open_file_idle_ms;
    int64_t offsets_partition_count;
    int64_t offsets_replication_factor;
    int64_t offsets_segment_bytes;
    int64_t offsets_metadata_bytes_max;
    int64_t offsets_retention_minutes;
    int64_t offsets_retention_check_ms;
    int64_t offsets_commit_timeout_ms;
    int64_t group_session_timeout_ms_min;
    int64_t group_session_timeout_ms_max;
    int64_t group_initial_rebalance_delay_ms;
    int64_t group_member_count_max;
    int64_t transaction_timeout_ms_max;
    int64_t acks_all; /* enum broker_acks_all */
    int64_t replica_lag_ms_max;
    int64_t replica_selector; /* enum broker_selector */
    int64_t request_timeout_ms;
    int64_t controller_socket_timeout_ms;
    int64_t controlled_shutdown_tries_max;
    int64_t controlled_shutdown_backoff_ms;
    int64_t leader_imbalance_check_s;
    int64_t leader_imbalance_percent;
    int64_t told_wait_ms;
    int64_t replica_socket_timeout_ms;
    int64_t replica_fetcher_count;
    int64_t replica_fetch_bytes_max;
    int64_t replica_fetch_reply_bytes_max;
    int64_t replica_fetch_wait_ms_max;
    int64_t replica_fetch_bytes_min;
    int64_t replica_fetch_backoff_ms;
    int64_t replication_quota_window_count;
    int64_t replication_quota_window_s;
    int64_t move_quota_window_count;
    int64_t move_quota_window_s;
    int64_t inter_broker_protocol;
    bool broker_id_generation;
    bool auto_create_topics;
    bool delete_topic_enable;
    bool controlled_shutdown;
    bool auto_leader_rebalance;
    const char *keeper_connect;
    const char *rack;
    const char *log_dir;
    const char *log_dirs;
    const char *listeners_text;
    const char *advertised_listeners_text;
    const char *listener_protocol_map;
    const char *inter_broker_listener;
    struct config_entry *unsupported_security; /* ssl.*, sasl.*: refused, never ignored. */

    int64_t topic_number; /* Rows of topic defaults are checked through these three. */
    const char *topic_text;
    bool topic_flag;

    /* From here on: broker_config_init. */
    struct config_entry *entries; /* Every line of the file, in order. */
    struct broker_listener listeners[broker_listener_count_max];
    struct broker_listener advertised[broker_listener_count_max];
    uint32_t listener_count;
    uint32_t advertised_count;
    const char *log_dir_paths[broker_log_dir_count_max];
    uint32_t log_dir_count;
};

/* What acks=all promises besides the in-sync replicas. */
enum broker_acks_all {
    BROKER_ACKS_DURABLE, /* On the disk: survives a power loss. */
    BROKER_ACKS_WRITTEN  /* In the page cache, as Apache's broker has it by default. */
};

/* Whom the leader sends consumers to. */
enum broker_selector { BROKER_SELECTOR_LEADER, BROKER_SELECTOR_RACK };

extern const struct config_table broker_config_table;

/* After config_load of the same source (its text may be empty). Every error is a line of diag.
 * ERR_CONFIG; ERR_NO_MEMORY. */
MUST_CHECK enum err broker_config_init(struct broker_config *config, struct heap *heap,
                                       struct diag *diag, struct config_source source);

/* The listener at which brokers reach each other. Lends: constant. */
struct slice broker_config_inter_broker_listener(const struct broker_config *config);

/* A key as the file spells its value, or a null slice: not set. Lends. */
struct slice broker_config_value(const struct broker_config *config, const char *key);

#endif
