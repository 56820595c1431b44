/* A broker: clients on one side, partitions on the disk and the control side on the other.
 *
 *   start    log directories are opened and loaded, then the keeper is asked for our place
 *   opened   the directories are checked against cluster and broker id, listeners are bound
 *   serving  registered; requests are answered
 *   stopping clients are let go, the registration ends, the logs are closed cleanly
 *
 *      net --> broker_request --> broker_api --> api_*.c --> partition_table --> partition_store
 *                                                   `------> control, metadata_view
 *
 * Memory: the shard's heap. Shard: one owner.
 */
#ifndef SERVER_BROKER_BROKER_SERVER_H
#define SERVER_BROKER_BROKER_SERVER_H

#include "broker/fetch_session.h"
#include "broker/record_unpacker.h"
#include "server/broker/auto_topic.h"
#include "server/broker/broker_config.h"
#include "server/broker/broker_request.h"
#include "server/broker/control.h"
#include "server/broker/departure.h"
#include "server/broker/directory_loss.h"
#include "server/broker/gates.h"
#include "server/broker/group_service.h"
#include "server/broker/partition_table.h"
#include "server/broker/replica_fetchers.h"
#include "server/broker/replica_moves.h"
#include "server/broker/replication.h"
#include "server/broker/replication_throttle.h"
#include "shard/shard.h"

enum broker_state {
    BROKER_OPENING,
    BROKER_REGISTERING,
    BROKER_SERVING,
    BROKER_STOPPING, /* Waits for the control side. */
    BROKER_CLOSING,  /* Waits for the log directories. */
    BROKER_STOPPED
};

struct broker_server {
    struct shard *shard;
    struct io *io;
    struct heap *heap;
    struct diag *diag;
    const struct broker_config *config;
    enum broker_state state;
    enum err failure; /* Why it stopped by itself; ERR_OK: it did not. */
    void (*stopped)(void *context);
    void *stopped_context;
    uint64_t hash_seed;

    struct net *net;
    struct control *control;
    struct partition_table partitions;
    struct replication replication;
    struct replica_fetchers fetchers;
    struct replication_throttle throttle;
    struct replica_moves moves;
    struct fetch_session_cache fetch_sessions;
    struct auto_topic auto_topics;
    struct group_service groups;
    struct delay_queue delays;
    struct delay tick;
    struct broker_request_pool requests;
    struct record_unpacker_idle unpackers;
    uint64_t late_produce_bytes; /* Of Produce requests that are answered, but not on the disk. */
    struct list connections;
    struct gates gates;
    struct departure departure;
    struct directory_loss loss;

    struct io_address bound[broker_listener_count_max];
    uint32_t bound_count;
    uint32_t bind_attempts; /* That found the port in use. */
    struct delay bind_again;
    struct broker_endpoint endpoints[broker_listener_count_max];
    uint32_t endpoint_count;
    char host_name[256];           /* Advertised where a listener has no host. */
    uint32_t unidentified_count;   /* Log directories that are being checked, */
    uint32_t busy_directory_count; /* and those that are being closed, maybe at once. */
};

/* Opens and loads the log directories, waiting for the disk; everything else follows while io runs.
 * Keeps shard and config. ERR_CONFIG, ERR_BUSY (another process has a log directory), ERR_IO,
 * ERR_NO_MEMORY and what the log directories say; diag lines say more. */
MUST_CHECK enum err broker_server_start(struct broker_server **server, struct shard *shard,
                                        const struct broker_config *config);

/* Ends cleanly: connections close, the logs are synced, the registration ends; then stopped runs. A
 * server that cannot go on stops by itself, sets failure, and ends the shard's loop. */
void broker_server_stop(struct broker_server *server, void (*stopped)(void *context),
                        void *context);

static inline bool broker_server_is_serving(const struct broker_server *server)
{
    return server->state == BROKER_SERVING;
}

/* After it has stopped; NULL is allowed. */
void broker_server_deinit(struct broker_server *server);

/* ---- What it has in common with its gates. ---- */

struct net_options broker_server_net_options(const struct broker_config *config);
struct net_verdict broker_server_judge_length(const struct broker_config *config, uint32_t length);

/* The index of the listener that is bound to the port. */
uint32_t broker_server_listener(const struct broker_server *server, uint16_t port);

/* ---- For requests. ---- */

/* The partition, hosted here, and led here unless may_follow; otherwise NULL and the code to
 * answer. leader_epoch is what the client believes, -1: it does not say. */
struct broker_partition_name {
    struct slice topic;
    int32_t index;
    int32_t leader_epoch;
    bool may_follow;
};
struct partition *broker_server_partition(const struct broker_server *server,
                                          struct broker_partition_name name, enum error_code *code);

/* The partition, led here; otherwise NULL and the code to answer. leader_epoch is what the client
 * believes, -1: it does not say. */
struct partition *broker_server_leader(const struct broker_server *server, struct slice topic,
                                       int32_t index, int32_t leader_epoch, enum error_code *code);

/* What acks=all promises for the partition: its topic's word, else this broker's. */
enum partition_durability broker_server_acks_all(const struct broker_server *server,
                                                 const struct partition_store *store);

/* The name of a topic, or a null slice. Lends: until io runs again. */
struct slice broker_server_topic_name(const struct broker_server *server, const void *topic_id);

#endif
