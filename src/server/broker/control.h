/* The control side of one broker: its place in the cluster, kept in the keeper exactly as Apache
 * Kafka 3.9 in ZooKeeper mode keeps it.
 *
 * It opens in two steps, so that the server can do its own between them:
 *
 *   control_open      session, skeleton of znodes, cluster id, broker id, dynamic settings
 *     -> on_opened    the server checks meta.properties, loads its logs, binds its listeners
 *   control_register  registration, controller election, change notifications
 *     -> on_ready     the server starts to answer requests
 *
 * From then on the controller (here or on another broker) decides which partitions live here;
 * on_partition tells. When the keeper's session expires, everything is registered again under a new
 * one, without on_ready; partitions stay as they are until the controller says otherwise.
 *
 * Requests (topics, settings, producer ids) are structs of the caller's, kept until their done
 * runs. done never runs inside the call that starts the request.
 *
 * Memory: counted heap, limited by the cluster's metadata. Shard: one owner.
 */
#ifndef SERVER_BROKER_CONTROL_H
#define SERVER_BROKER_CONTROL_H

#include "base/arena.h"
#include "broker/control_message.h"
#include "broker/kafka_error.h"
#include "broker/topic_config.h"
#include "server/broker/metadata_view.h"
#include "shard/shard.h"

struct control;
struct delay_queue;
struct net;

/* What a partition should do here now. */
enum partition_order {
    PARTITION_LEAD,   /* Open or create the store if need be, and lead with state's leader epoch. */
    PARTITION_FOLLOW, /* Open or create the store if need be, and follow state's leader. */
    PARTITION_STOP,   /* Neither lead nor follow; keep the store. */
    PARTITION_DELETE  /* The same, and drop the store. */
};

/* One order to the partition layer, answered by partition_change_done exactly once, now or later.
 * Orders for one partition never overlap. */
struct partition_change {
    enum partition_order order;
    const struct partition_state *state; /* Lends: until answered. STOP and DELETE: names, index and
                                            leader_epoch only. */
    const struct topic_config *config;   /* LEAD and FOLLOW; lends: until on_partition returns. */
    struct replica_agent *agent;         /* The control side's from here on. */
    struct list link;
    int16_t error_code;
};

/* KAFKA_NONE, or e.g. KAFKA_KAFKA_STORAGE_ERROR; KAFKA_UNKNOWN_SERVER_ERROR: it lacks memory, or
 * another thing that may be there soon, and the order is given again. */
void partition_change_done(struct partition_change *change, int16_t error_code);

/* What the control side asks of the server. All may run only while io runs. */
struct control_handler {
    void (*on_opened)(void *context);
    void (*on_ready)(void *context);
    void (*on_partition)(void *context, struct partition_change *change);
    /* Settings of a topic that has some of its first partition_count partitions here have
     * changed. */
    void (*on_topic_config)(void *context, struct slice topic, uint32_t partition_count,
                            const struct topic_config *config);
    /* Settings of brokers have been read, or have changed. */
    void (*on_broker_config)(void *context);
    /* It cannot go on (another broker has this id, the cluster id changed): the server stops. */
    void (*on_failed)(void *context, enum err err, const char *reason);
    /* After control_stop: nothing of it is in flight any more; control_deinit may follow. */
    void (*on_stopped)(void *context);
};

struct control_options {
    const char *keeper_connect;     /* zookeeper.connect: "host:port,host:port/chroot" */
    uint32_t session_timeout_ms;    /* zookeeper.session.timeout.ms */
    uint32_t connection_timeout_ms; /* zookeeper.connection.timeout.ms: limit for control_open. */
    int32_t broker_id;              /* broker.id; -1: generate one. */
    int32_t broker_id_reserved_max; /* reserved.broker.max.id */
    struct slice rack;              /* broker.rack; null: none. */
    int32_t partition_count;        /* num.partitions */
    int16_t replication_factor;     /* default.replication.factor */
    bool delete_topic_enable;
    struct delay_queue *delays;         /* Kept. */
    struct slice inter_broker_listener; /* The listener that brokers use among themselves. */
    uint32_t answer_timeout_ms;         /* controller.socket.timeout.ms */
    bool auto_leader_rebalance;         /* auto.leader.rebalance.enable */
    uint32_t leader_imbalance_check_s;  /* leader.imbalance.check.interval.seconds */
    uint32_t told_wait_ms;              /* rookery.topic.told.wait.ms */
    uint32_t leader_imbalance_percent;  /* leader.imbalance.per.broker.percentage */
    /* A key of server.properties as text, or a null slice: topics' defaults come from these. Lends:
     * constant while the broker runs. */
    struct slice (*static_value)(void *context, const char *key);
    void *static_value_context;
};

/* Connects at control_open. Keeps all arguments; options by value, their texts kept. ERR_CONFIG:
 * keeper_connect is not readable; ERR_NO_MEMORY. */
MUST_CHECK enum err control_init(struct control **control, struct shard *shard, struct net *net,
                                 struct control_options options,
                                 const struct control_handler *handler, void *context);
void control_open(struct control *control);

/* The listeners that clients and brokers shall use, in the order of advertised.listeners. Keeps the
 * texts. */
void control_register(struct control *control, const struct broker_endpoint *endpoints,
                      uint32_t endpoint_count);

/* Ends the session, so that others see at once that this broker is gone. Requests in flight get
 * KAFKA_BROKER_NOT_AVAILABLE. on_stopped follows. */
void control_stop(struct control *control);
void control_deinit(struct control *control); /* After on_stopped. */

/* Valid after on_opened. */
struct slice control_cluster_id(const struct control *control);
int32_t control_broker_id(const struct control *control);

/* Valid after on_ready. */
int64_t control_broker_epoch(const struct control *control);
bool control_is_controller(const struct control *control);

/* The epoch of the finalized features, for ApiVersions: there are none in ZooKeeper mode. -1: not
 * known yet. */
int64_t control_features_epoch(const struct control *control);

struct metadata_view *control_metadata(struct control *control);

/* A message of a controller on another broker. Keeps delivery until its done has run, which may be
 * within this call. */
struct replica_agent_delivery;
void control_receive(struct control *control, struct replica_agent_delivery *delivery);

/* A log directory has failed: the controller is told (/log_dir_event_notification), and gives its
 * orders again. Those for the partitions that lived there have been dropped before: so they are
 * carried out anew, and answered with KAFKA_STORAGE_ERROR. */
void control_drop_partition(struct control *control, struct slice topic, int32_t index);
void control_report_loss(struct control *control);

enum { control_reason_size = 320 };

/* ---- Topics: only the controller answers, others get KAFKA_NOT_CONTROLLER in every item. ---- */

struct topic_assignment { /* Where one partition's replicas go, as the client wants it. */
    int32_t partition;
    uint32_t broker_count;
    const int32_t *brokers;
};

struct topic_create {
    struct slice name;
    int32_t partition_count;    /* -1: the broker's default, or given by assignments. */
    int16_t replication_factor; /* The same. */
    uint32_t assignment_count;
    const struct topic_assignment *assignments;
    uint32_t config_count;
    const struct topic_config_entry *configs;
    int16_t error_code; /* The answer, from here on. */
    struct uuid id;
    int32_t partition_count_made;
    int16_t replication_factor_made;
    char reason[control_reason_size]; /* "" if there is none. */
};

/* For CreateTopics, and with timeout_ms 0 for topics made by a Metadata request. */
struct create_topics {
    struct topic_create *topics; /* Kept until done, like all it points to. */
    uint32_t topic_count;
    int32_t timeout_ms; /* Wait so long until every partition has a leader; KAFKA_REQUEST_TIMED_OUT
                           if it takes longer. At most 0: do not wait. */
    bool validate_only;
    bool by_any_broker; /* The broker itself wants it: this one need not be the controller. */
    void (*done)(struct create_topics *request);
    void *user;
    void *state; /* The control side's. */
};
void control_create_topics(struct control *control, struct create_topics *request);

struct topic_delete {
    struct slice name; /* Null: by id. After done: the name, if known. */
    struct uuid id;
    int16_t error_code;
    char reason[control_reason_size];
    char name_text[250]; /* Of a topic deleted by id. */
};

struct delete_topics {
    struct topic_delete *topics;
    uint32_t topic_count;
    int32_t timeout_ms;
    void (*done)(struct delete_topics *request);
    void *user;
    void *state;
};
void control_delete_topics(struct control *control, struct delete_topics *request);

struct topic_grow {
    struct slice name;
    int32_t partition_count; /* All, with the new ones. */
    uint32_t assignment_count;
    const struct topic_assignment *assignments; /* Of the new ones; partition is ignored. */
    int16_t error_code;
    char reason[control_reason_size];
};

struct create_partitions {
    struct topic_grow *topics;
    uint32_t topic_count;
    int32_t timeout_ms;
    bool validate_only;
    void (*done)(struct create_partitions *request);
    void *user;
    void *state;
};
void control_create_partitions(struct control *control, struct create_partitions *request);

/* ---- Settings: any broker answers. ---- */

/* The numbers of ConfigResource.Type. */
enum config_resource_type {
    CONFIG_RESOURCE_TOPIC = 2,
    CONFIG_RESOURCE_BROKER = 4,
    CONFIG_RESOURCE_BROKER_LOGGER = 8
};

/* The numbers of AlterConfigOp.OpType. */
enum config_alter_kind { CONFIG_SET, CONFIG_DELETE, CONFIG_APPEND, CONFIG_SUBTRACT };

struct config_alter {
    struct slice name;
    struct slice value;
    int8_t kind; /* enum config_alter_kind, unchecked; AlterConfigs: CONFIG_SET. */
};

struct config_resource_alter {
    int8_t type; /* enum config_resource_type, unchecked. */
    struct slice name;
    uint32_t alter_count;
    const struct config_alter *alters;
    int16_t error_code;
    char reason[control_reason_size];
};

struct alter_configs {
    struct config_resource_alter *resources;
    uint32_t resource_count;
    bool is_incremental; /* False: the alters replace everything that was set. */
    bool validate_only;
    void (*done)(struct alter_configs *request);
    void *user;
    void *state;
};
void control_alter_configs(struct control *control, struct alter_configs *request);

/* The numbers of DescribeConfigs' ConfigSource. */
enum config_source_kind {
    CONFIG_SOURCE_TOPIC = 1,
    CONFIG_SOURCE_DYNAMIC_BROKER = 2,
    CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER = 3,
    CONFIG_SOURCE_STATIC_BROKER = 4,
    CONFIG_SOURCE_DEFAULT = 5
};

struct config_synonym {
    struct slice name;
    struct slice value;
    int8_t source;
};

struct config_description {
    struct slice name;
    struct slice value; /* Null: not set, or sensitive. */
    int8_t source;
    int8_t type; /* enum topic_config_type and Kafka's other numbers. */
    bool is_read_only;
    bool is_sensitive;
    uint32_t synonym_count;
    struct config_synonym *synonyms; /* The strongest first. */
    const char *doc;
};

struct config_resource_describe {
    int8_t type;
    struct slice name;
    bool all_names;
    uint32_t name_count;
    const struct slice *names;
    int16_t error_code;
    char reason[control_reason_size];
    uint32_t config_count;
    struct config_description *configs; /* In the request's arena. */
};

struct describe_configs {
    struct config_resource_describe *resources;
    uint32_t resource_count;
    struct arena *arena; /* Answers go here: 32 KiB for a topic, 256 KiB for a broker are enough;
                            KAFKA_UNKNOWN_SERVER_ERROR if it is too small. */
    void (*done)(struct describe_configs *request);
    void *user;
    void *state;
};
void control_describe_configs(struct control *control, struct describe_configs *request);

/* ---- Producer ids. ---- */

/* The next producer id, unique in the cluster; done with an error code if none is to be had
 * now. */
struct producer_id_request {
    void (*done)(struct producer_id_request *request, int16_t error_code, int64_t producer_id);
    void *user;
    struct list link;
};
void control_take_producer_id(struct control *control, struct producer_id_request *request);

enum { producer_id_block_size = 1000 };

/* AllocateProducerIds: a whole block for another broker, which begins with `first`. */
struct producer_block_request {
    int32_t broker_id;
    void (*done)(struct producer_block_request *request, int16_t error_code, int64_t first);
    void *user;
    struct list link;
};
void control_take_producer_block(struct control *control, struct producer_block_request *request);

/* Whether a broker may ask the controller here for something: KAFKA_NOT_CONTROLLER, also while the
 * controller is loading; KAFKA_BROKER_ID_NOT_REGISTERED; KAFKA_STALE_BROKER_EPOCH. */
int16_t control_check_broker(const struct control *control, int32_t broker_id,
                             int64_t broker_epoch);

/* ---- Changes of the ISR, as leaders ask for them: only the controller answers. ---- */

/* One partition of an AlterPartition: what its leader wants, then what holds. */
struct partition_alter {
    struct slice topic; /* Null: by topic_id (version 2 and later). */
    struct uuid topic_id;
    int32_t index;
    int32_t leader_epoch;
    int32_t partition_epoch; /* The version of the state that the leader goes by. */
    uint32_t isr_count;
    const struct isr_member *isr;
    int8_t leader_recovery_state; /* 0: recovered, 1: recovering. */
    /* The answer, from here on. */
    int16_t error_code;
    int32_t leader_now;
    int32_t leader_epoch_now;
    int32_t partition_epoch_now;
    uint32_t isr_count_now;
    int32_t isr_now[control_replica_count_max];
    int8_t leader_recovery_state_now;
};

/* AlterPartition. error_code is for the whole request (KAFKA_NOT_CONTROLLER, also while the
 * controller is loading; KAFKA_STALE_BROKER_EPOCH): then the partitions have no answer. */
struct alter_partitions {
    int32_t broker_id; /* The leader's, that asks. */
    int64_t broker_epoch;
    int16_t version; /* Of the request: before 2, an ISR with a member that is not alive gets
                        KAFKA_OPERATION_NOT_ATTEMPTED, later KAFKA_INELIGIBLE_REPLICA. */
    uint32_t partition_count;
    struct partition_alter *partitions; /* Kept until done, like all it points to. */
    int16_t error_code;
    void (*done)(struct alter_partitions *request);
    void *user;
    void *state; /* The control side's. */
};
void control_alter_partitions(struct control *control, struct alter_partitions *request);

/* ---- Leaders and replicas: only the controller answers, others get KAFKA_NOT_CONTROLLER. ---- */

struct partition_election {
    struct slice topic;
    int32_t index;
    int16_t error_code; /* The answer, from here on. */
    char reason[control_reason_size];
    int32_t leader;
    bool is_wanted; /* The control side's. */
};

/* ElectLeaders: preferred ones, or any live replica for partitions without a leader. */
struct elect_leaders {
    bool is_unclean;
    uint32_t partition_count;
    struct partition_election *partitions; /* Kept until done, like all it points to. */
    int32_t timeout_ms; /* Wait so long until this broker's metadata shows the leaders. */
    void (*done)(struct elect_leaders *request);
    void *user;
};
void control_elect_leaders(struct control *control, struct elect_leaders *request);

struct partition_reassignment {
    struct slice topic;
    int32_t index;
    bool is_cancel; /* Back to where it was. */
    uint32_t replica_count;
    const int32_t *replicas;
    int16_t error_code; /* The answer, from here on. */
    char reason[control_reason_size];
    int state; /* The control side's. */
};

/* AlterPartitionReassignments: answered when it has begun. error_code is for the whole request. */
struct alter_reassignments {
    uint32_t partition_count;
    struct partition_reassignment *partitions; /* Kept until done, like all it points to. */
    int32_t timeout_ms;
    int16_t error_code;
    void (*done)(struct alter_reassignments *request);
    void *user;
};
void control_alter_reassignments(struct control *control, struct alter_reassignments *request);

struct reassignment_description {
    struct slice topic;
    int32_t index;
    uint32_t replica_count;
    uint32_t adding_count;
    uint32_t removing_count;
    const int32_t *replicas;
    const int32_t *adding;
    const int32_t *removing;
};

/* Shows every reassignment that is under way; lends the description to each. KAFKA_NOT_CONTROLLER:
 * none was shown. */
MUST_CHECK int16_t control_each_reassignment(
    struct control *control,
    void (*each)(void *context, const struct reassignment_description *description), void *context);

struct remaining_partition {
    struct slice topic;
    int32_t index;
};

/* ControlledShutdown: a broker is about to stop, and others shall lead what it leads.
 * KAFKA_STALE_CONTROLLER_EPOCH: this broker is not the controller. */
struct shut_down_broker {
    int32_t broker_id;
    int64_t broker_epoch; /* -1: not told. */
    int16_t error_code;   /* The answer, from here on. */
    uint32_t remaining_count;
    struct remaining_partition *remaining; /* What it still leads, though it has replicas elsewhere.
                                              Lent until done returns. */
    void (*done)(struct shut_down_broker *request);
    void *user;
};
void control_shut_down_broker(struct control *control, struct shut_down_broker *request);

/* The resolved settings of a topic that has partitions here, or the defaults. Lends: until the io
 * loop runs again. */
const struct topic_config *control_topic_config(const struct control *control, struct slice topic);

/* A number that the keeper holds for this broker, else for all brokers; otherwise: neither does, or
 * it is none. Never the file's. */
int64_t control_dynamic_number(const struct control *control, const char *key, int64_t otherwise);

#endif
