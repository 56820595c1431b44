/* Settings of topics and brokers, described and altered on request.
 *
 * An alteration reads the entity's znode, applies the changes, checks the result, writes it at the
 * version that was read, and then leaves a notification for all brokers, this one included. It is
 * refused when no controller is there, and never races a change of controllers: the write checks
 * /controller, as in Kafka.
 *
 * Memory: counted heap for each request; descriptions from the request's arena. Shard: one owner.
 */
#ifndef SERVER_BROKER_CONFIG_ADMIN_H
#define SERVER_BROKER_CONFIG_ADMIN_H

#include "server/broker/config_store.h"
#include "server/broker/control.h"
#include "server/broker/zk_session.h"

struct config_admin_options {
    struct io *io;
    struct heap *heap;
    struct diag *diag;
    struct zk_session *session;
    struct config_store *store;
    struct metadata_view *view;
    int32_t broker_id;
};

struct config_admin {
    struct config_admin_options options;
};

void config_admin_init(struct config_admin *admin, struct config_admin_options options);
void config_admin_alter(struct config_admin *admin, struct alter_configs *request);
void config_admin_describe(struct config_admin *admin, struct describe_configs *request);

#endif
