/* Tells the controller that a log directory of this broker has failed, by a znode as Apache's
 * brokers make it:
 *
 *   /log_dir_event_notification/log_dir_event_<n>   {"version":1,"broker":<id>,"event":1}
 *
 * The controller deletes it. What a session did not live to see is told in the next one.
 *
 * Memory: its own. Shard: one owner.
 */
#ifndef SERVER_BROKER_LOG_DIR_NOTICE_H
#define SERVER_BROKER_LOG_DIR_NOTICE_H

#include "server/broker/zk_session.h"

#include <stdalign.h>

struct log_dir_notice_options {
    struct zk_session *session;
    struct diag *diag;
    int32_t broker_id;
};

struct log_dir_notice {
    struct log_dir_notice_options options;
    struct zk_request request;
    bool is_wanted;
    bool is_sent; /* The request is in flight. */
    alignas(16) uint8_t data[64];
};

/* A directory has failed. */
void log_dir_notice_want(struct log_dir_notice *notice);

/* Tells it, if there is something to tell. The broker is registered. */
void log_dir_notice_send(struct log_dir_notice *notice);

#endif
