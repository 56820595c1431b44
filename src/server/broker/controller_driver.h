/* The active controller at work: it reads the cluster's znodes under watches, lets the controller
 * decide, writes the decisions under the check of its epoch, and tells the brokers.
 *
 * Reading and writing goes in steps, each of which waits for the one before: brokers, topics,
 * partition states, deletion marks, notifications, decisions and their writes, deletions. A watch
 * that fires marks what to read again and the steps begin anew. Within a step requests are
 * pipelined. Brokers are told meanwhile, each at its own pace (controller_channel).
 *
 *   controller_follower  brokers, topics and states read
 *   controller_notices   isr_change_notification, log_dir_event_notification, admin
 *   controller_writer    states and topics written
 *   controller_cleaner   topics deleted
 *
 * Memory: counted heap. Shard: one owner.
 */
#ifndef SERVER_BROKER_CONTROLLER_DRIVER_H
#define SERVER_BROKER_CONTROLLER_DRIVER_H

#include "broker/controller.h"
#include "server/broker/delay_queue.h"
#include "server/broker/replica_agent.h"

struct net;

struct controller_driver_handler {
    void (*on_settled)(void *context);  /* For the first time in its term nothing is left to do. */
    void (*on_deposed)(void *context);  /* A write failed the check of the epoch. */
    void (*on_progress)(void *context); /* Something was read, decided, written or told. */
    /* What stands in /admin/reassign_partitions. */
    void (*on_reassignments)(void *context, struct slice data, int32_t version);
    void *context;
};

struct controller_driver_options {
    struct io *io;
    struct net *net;
    struct heap *heap;
    struct diag *diag;
    struct delay_queue *delays;
    struct zk_session *session;
    struct config_store *store;
    struct replica_agent *agent;        /* How it reaches its own broker. */
    struct slice inter_broker_listener; /* How it reaches the others; lends: as long as it lives. */
    uint32_t answer_timeout_ms;         /* Of a broker that is told something. */
    uint32_t imbalance_check_s;         /* 0: preferred leaders are not elected by itself. */
    uint32_t imbalance_percent;         /* What a broker may be without of what it should lead. */
    uint64_t hash_seed;
    int32_t broker_id;
    bool delete_topic_enable;
};

/* A znode whose watch has fired, to be read again. */
struct controller_listing {
    struct keeper_watch watch;
    struct zk_request request;
    struct controller_driver *driver;
    const char *path;
    bool is_dirty;
};

struct controller_driver {
    struct controller_driver_options options;
    struct controller_driver_handler handler;
    struct controller controller;
    bool is_active;   /* It has a controller. */
    bool is_draining; /* Deposed; waits for what is in flight. */
    bool is_loading;  /* The first reading of the term. */
    bool is_settled;
    bool is_in_step;     /* A step is being begun: no other begins. */
    bool is_stirred;     /* Something has happened meanwhile. */
    bool has_begun;      /* What a term begins with is done. */
    bool may_write;      /* Everything has been read: decisions can be written. */
    bool has_bounced;    /* A broker has come anew before its end was seen. */
    bool begins_next;    /* Another term begins when this one has drained. */
    bool is_checking;    /* Whether its epoch still holds. */
    bool ends_elections; /* /admin/preferred_replica_election is to be deleted when all is written.
                          */
    int32_t epoch_version;
    int32_t epoch_next;
    int32_t epoch_version_next;
    uint32_t open_count;     /* Requests in flight: of the step that is under way, */
    uint32_t aside_count;    /* of others, */
    uint32_t delivery_count; /* and messages to our own broker. */
    uint32_t deleting_count; /* Topics that are not CONTROLLER_KEPT. */
    uint64_t began_ns;
    struct delay rebalance;
    struct delay retry;
    bool lists_again; /* Then. */
    struct controller_listing brokers;
    struct controller_listing topics;
    struct controller_listing deletions;
    struct controller_listing isr_changes;
    struct controller_listing log_dir_events;
    struct controller_listing elections;     /* /admin/preferred_replica_election */
    struct controller_listing reassignments; /* /admin/reassign_partitions */
    struct list followed;                    /* All topics it follows. */
    struct list to_read;                     /* Topics whose znode is to be read. */
    struct list to_load;                     /* Topics whose partition states are to be read. */
    struct list to_clear;                    /* Topics whose znodes are to be deleted. */
};

void controller_driver_init(struct controller_driver *driver,
                            struct controller_driver_options options,
                            struct controller_driver_handler handler);
void controller_driver_deinit(struct controller_driver *driver);

/* A term begins, at once or when the last one has drained. */
void controller_driver_begin(struct controller_driver *driver, int32_t epoch,
                             int32_t epoch_version);

/* The term is over: no broker is told anything any more. What is in flight is let run out. */
void controller_driver_end(struct controller_driver *driver);

/* Whether it knows the cluster and may answer requests for it. */
bool controller_driver_is_at_work(const struct controller_driver *driver);

/* Whether nothing of it is in flight. */
bool controller_driver_is_idle(const struct controller_driver *driver);

/* The defaults of topics' settings have changed. */
void controller_driver_reconsider(struct controller_driver *driver);

/* Whether every live broker that answers has been told of all that had changed when the
 * controller's metadata_changed_at was this; true where this broker is not the controller. */
bool controller_driver_has_told(const struct controller_driver *driver, uint64_t change);

/* The topic is on its way out, so its name cannot be used yet. */
bool controller_driver_is_deleting(const struct controller_driver *driver, struct slice topic);

/* ---- For its parts. ---- */

/* Does what there is to do; called after anything has changed. */
void controller_driver_run(struct controller_driver *driver);

/* One of what is in flight is answered: goes on with the next step when it was the last. */
void controller_driver_close_one(struct controller_driver *driver, bool is_aside);

/* A message to our own broker is answered. */
void controller_driver_delivered(struct controller_driver *driver);

/* The keeper has refused something, or memory lacks: everything is decided again in a moment. */
void controller_driver_retry(struct controller_driver *driver);

/* What is listed could not be taken in, for lack of memory: the same, from new lists. */
void controller_driver_list_again(struct controller_driver *driver);

/* Somebody says that there is a younger controller: asks the keeper. */
void controller_driver_check(struct controller_driver *driver);

/* True: the term is over, the answer does not matter any more. */
bool controller_driver_is_over(struct controller_driver *driver,
                               const struct keeper_result *result);

/* Reads the children of the listing's path, or with ZK_REQUEST_GET_DATA or ZK_REQUEST_EXISTS what
 * the path holds, under its watch; done must call controller_driver_close_one. */
void controller_driver_read(struct controller_listing *listing, enum zk_request_kind kind,
                            void (*done)(struct zk_request *request,
                                         const struct keeper_result *result));

static inline struct controller_listing *controller_listing_of(struct zk_request *request)
{
    return CONTAINER_OF(request, struct controller_listing, request);
}

enum { controller_driver_open_count_max = 256 };

/* Whether the step's pipeline takes another request. */
static inline bool controller_driver_has_room(const struct controller_driver *driver)
{
    return driver->open_count < controller_driver_open_count_max;
}

#endif
