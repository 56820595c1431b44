/* Follows the dynamic settings in the keeper: reads them in each new session, and again whenever a
 * notification under /config/changes names them.
 *
 * A notification carries no values, only what to read again; old ones are removed after a quarter
 * of an hour by whoever sees them.
 *
 * Memory: counted heap, bounded by the notifications listed at once. Shard: one owner.
 */
#ifndef SERVER_BROKER_CONFIG_CHANGES_H
#define SERVER_BROKER_CONFIG_CHANGES_H

#include "server/broker/config_store.h"
#include "server/broker/zk_session.h"

enum { config_changes_path_size = 320 };

struct config_changes_handler {
    void (*on_loaded)(void *context); /* The first reading in a session is done. */
    void (*on_topic)(void *context, const struct config_store_topic *topic);
    void (*on_broker)(void *context); /* Settings of brokers, defaults of topics among them. */
    void *context;
};

struct config_changes_options {
    struct io *io;
    struct heap *heap;
    struct diag *diag;
    struct zk_session *session;
    struct config_store *store;
};

struct config_changes {
    struct config_changes_options options;
    struct config_changes_handler handler;
    int32_t broker_id;
    int64_t sequence_last; /* Of the last notification handled; -1: none. */
    struct list entities;  /* To be read again. */
    struct list notices;   /* To be read. */
    struct list kept;      /* Read; to be removed when they are old. */
    bool is_dirty;         /* /config/changes is to be listed. */
    bool is_loaded;
    bool is_running; /* A request is in flight. */
    struct keeper_watch watch;
    struct zk_request request;
    char path[config_changes_path_size];
};

void config_changes_init(struct config_changes *changes, struct config_changes_options options,
                         struct config_changes_handler handler);
void config_changes_deinit(struct config_changes *changes);

/* In the current session. */
void config_changes_begin(struct config_changes *changes, int32_t broker_id);

#endif
