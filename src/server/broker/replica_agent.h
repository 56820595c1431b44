/* What a broker does with the controller's messages: it checks their epochs, keeps the metadata
 * view, and orders the partition layer to lead, follow, stop or drop partitions.
 *
 * Messages are handled one after the other, each until the partition layer has answered all of its
 * orders, so a topic becomes visible in the view after its partitions have opened here.
 *
 *   controller (here or on another broker) ---> replica_agent_receive ---> queue
 *     LeaderAndIsr    topic settings read ---> on_partition ... partition_change_done
 *     UpdateMetadata  ---> metadata view
 *     StopReplica     ---> on_partition ... partition_change_done
 *
 * Memory: counted heap. Shard: one owner.
 */
#ifndef SERVER_BROKER_REPLICA_AGENT_H
#define SERVER_BROKER_REPLICA_AGENT_H

#include "broker/controller.h"
#include "server/broker/config_store.h"
#include "server/broker/control.h"
#include "server/broker/metadata_view.h"
#include "server/broker/zk_session.h"

/* One message on its way through the agent: a field of whoever sent it. */
struct replica_agent_delivery {
    const struct control_message *message; /* Kept until done. */
    void (*done)(struct replica_agent_delivery *delivery);
    int16_t error_code;        /* Of the whole message. */
    int16_t *partition_errors; /* [partition_count]; lent until done returns. NULL if error_code is
                                  set, and for UpdateMetadata. */
    struct list link;
};

struct replica_agent_options {
    struct heap *heap;
    struct diag *diag;
    struct zk_session *session;
    struct config_store *store;
    struct metadata_view *view;
    const struct control_handler *handler;
    void *handler_context;
    /* Some orders could not be carried out for now: they are to be given again after a while. */
    void (*ask_again)(void *context);
    void *context;
    uint64_t hash_seed;
    int32_t broker_id;
};

struct replica_agent {
    struct replica_agent_options options;
    int64_t broker_epoch; /* Of the current registration. */
    int32_t controller_epoch;
    struct hash_table hosted; /* The partitions that live here, by topic and index. */
    struct list queue;
    struct replica_agent_delivery *current;
    struct partition_change *changes; /* [partition_count] of the current message. */
    int16_t *errors;
    uint32_t open_count; /* Orders and settings not yet answered. */
};

MUST_CHECK enum err replica_agent_init(struct replica_agent *agent,
                                       struct replica_agent_options options);
void replica_agent_deinit(struct replica_agent *agent);

void replica_agent_receive(struct replica_agent *agent, struct replica_agent_delivery *delivery);

/* The partition does not run here any more: the next message about it starts afresh. */
void replica_agent_drop(struct replica_agent *agent, struct slice topic, int32_t index);

/* Whether nothing is on its way through. */
bool replica_agent_is_idle(const struct replica_agent *agent);

#endif
