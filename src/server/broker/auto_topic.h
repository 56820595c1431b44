/* Topics that the broker makes by itself: those that a client asks for, and __consumer_offsets.
 *
 * Memory: its own. Shard: its server's.
 */
#ifndef SERVER_BROKER_AUTO_TOPIC_H
#define SERVER_BROKER_AUTO_TOPIC_H

#include "server/broker/broker_config.h"
#include "server/broker/control.h"

struct auto_topic {
    const struct broker_config *config;
    struct topic_config_entry offsets_configs[3];
};

/* Keeps config. */
void auto_topic_init(struct auto_topic *topics, const struct broker_config *config);

/* What to ask the control side for; lends from topics and name. */
struct topic_create auto_topic_spec(const struct auto_topic *topics, struct slice name);

#endif
