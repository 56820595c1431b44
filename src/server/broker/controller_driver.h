/* The active controller at work: it reads the cluster's znodes under watches, lets the controller
 * decide, writes the decisions under the check of its epoch, and delivers messages.
 *
 * Work goes in steps, each of which waits for the one before: brokers, topics, partition states,
 * deletion marks, decisions and their writes, messages, deletions. A watch that fires marks what to
 * read again and the steps begin anew. Within a step requests are pipelined.
 *
 * Memory: counted heap. Shard: one owner.
 */
#ifndef SERVER_BROKER_CONTROLLER_DRIVER_H
#define SERVER_BROKER_CONTROLLER_DRIVER_H

#include "broker/controller.h"
#include "server/broker/replica_agent.h"

struct controller_driver_handler {
    void (*on_settled)(void *context); /* For the first time in its term nothing is left to do. */
    void (*on_deposed)(void *context); /* A write failed the check of the epoch. */
    void *context;
};

struct controller_driver_options {
    struct io *io;
    struct heap *heap;
    struct diag *diag;
    struct zk_session *session;
    struct replica_agent *agent; /* How it reaches its own broker. */
    uint64_t hash_seed;
    int32_t broker_id;
    bool delete_topic_enable;
};

/* Reading lists of znodes whose watch has fired. */
struct controller_listing {
    struct keeper_watch watch;
    struct zk_request request;
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
    bool is_in_step; /* A step is being done: no other begins. */
    bool has_feature;
    bool brokers_have_changed; /* Since the last UpdateMetadata. */
    bool begins_next;          /* Another term begins when this one has drained. */
    int32_t epoch_version;
    int32_t epoch_next;
    int32_t epoch_version_next;
    uint32_t open_count; /* Requests and deliveries in flight. */
    struct controller_listing brokers;
    struct controller_listing topics;
    struct controller_listing deletions;
    struct list followed; /* All topics it follows. */
    struct list to_read;  /* Topics whose znode is to be read. */
    struct list to_load;  /* Topics whose partition states are to be read. */
    struct list to_clear; /* Topics whose znodes are to be deleted. */
};

void controller_driver_init(struct controller_driver *driver,
                            struct controller_driver_options options,
                            struct controller_driver_handler handler);
void controller_driver_deinit(struct controller_driver *driver);

/* A term begins, at once or when the last one has drained. */
void controller_driver_begin(struct controller_driver *driver, int32_t epoch,
                             int32_t epoch_version);

/* The term is over. What is in flight is let run out. */
void controller_driver_end(struct controller_driver *driver);

/* The topic is on its way out, so its name cannot be used yet. */
bool controller_driver_is_deleting(const struct controller_driver *driver, struct slice topic);

/* ---- For controller_request. ---- */

/* One of what is in flight is answered: goes on with the next step when it was the last. */
void controller_driver_close_one(struct controller_driver *driver);

/* True: the term is over, the answer does not matter any more. */
bool controller_driver_is_over(struct controller_driver *driver,
                               const struct keeper_result *result);

#endif
