/* How settings are described: each with its value, where the value comes from, and what else would
 * set it.
 *
 * Memory: from the arena given. Shard: none.
 */
#ifndef SERVER_BROKER_CONFIG_DESCRIPTION_H
#define SERVER_BROKER_CONFIG_DESCRIPTION_H

#include "server/broker/config_store.h"
#include "server/broker/control.h"

/* Fills resource->configs. ERR_NO_MEMORY: the arena is too small. */
MUST_CHECK enum err config_description_topic(const struct config_store *store,
                                             const struct znode_config *topic, struct arena *arena,
                                             struct config_resource_describe *resource);

/* The broker itself, or with is_default what is set for all brokers. */
MUST_CHECK enum err config_description_broker(const struct config_store *store, bool is_default,
                                              struct arena *arena,
                                              struct config_resource_describe *resource);

#endif
