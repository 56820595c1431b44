/* Topics made, deleted and grown on request: validated against what this broker knows, written to
 * the keeper under the check of the controller's epoch, and waited for until the metadata view
 * shows it, and a while longer for the other brokers: a client may ask any of them next.
 *
 * Memory: counted heap for each request. Shard: one owner.
 */
#ifndef SERVER_BROKER_TOPIC_ADMIN_H
#define SERVER_BROKER_TOPIC_ADMIN_H

#include "server/broker/controller_driver.h"

struct topic_admin_options {
    struct io *io;
    struct heap *heap;
    struct diag *diag;
    struct zk_session *session;
    struct config_store *store;
    struct metadata_view *view;
    struct controller_driver *driver;
    int32_t partition_count;
    int16_t replication_factor;
    uint32_t told_wait_ms; /* How long other brokers are waited for. */
    bool delete_topic_enable;
};

struct topic_admin {
    struct topic_admin_options options;
    struct list waiting; /* Requests whose writes are done. */
    struct list open;    /* All requests. */
    struct metadata_listener listener;
    struct io_op timer; /* Looks at the deadlines while anything waits. */
    bool timer_is_running;
    bool is_stopping;
};

void topic_admin_init(struct topic_admin *admin, struct topic_admin_options options);

void topic_admin_create(struct topic_admin *admin, struct create_topics *request);
void topic_admin_delete(struct topic_admin *admin, struct delete_topics *request);
void topic_admin_grow(struct topic_admin *admin, struct create_partitions *request);

/* The controller has made progress. */
void topic_admin_advance(struct topic_admin *admin);

/* Answers what waits. Idle when it is true; call it again until then. */
bool topic_admin_stop(struct topic_admin *admin);

#endif
