/* Whether the settings of brokers can be what somebody wants them to be, all of one entity
 * together: as Kafka's brokers see it. Settings that nobody knows are kept, for whoever they are
 * meant.
 *
 * Memory: none. Shard: any.
 */
#ifndef SERVER_BROKER_BROKER_ALTERATION_H
#define SERVER_BROKER_BROKER_ALTERATION_H

#include "server/broker/config_store.h"

struct broker_alteration {
    const struct config_store *store; /* What holds now. */
    const struct znode_config *config;
    bool is_default; /* Of all brokers. */
};

/* False: reason says why not (INVALID_REQUEST). */
MUST_CHECK bool broker_alteration_check(const struct broker_alteration *alteration, char *reason,
                                        size_t reason_size);

#endif
