/* The deletion of a topic: all brokers forget it, the brokers with replicas delete their files,
 * then its znodes may go.
 *
 * A replica whose broker is away is deleted when it comes back; until then the topic's znodes stay.
 *
 * Memory: the controller's. Shard: the controller's.
 */
#ifndef BROKER_CONTROLLER_DELETION_H
#define BROKER_CONTROLLER_DELETION_H

#include "broker/controller.h"

/* Whether it may begin: not while a reassignment or a write is under way. */
bool controller_deletion_can_begin(const struct controller_topic *topic);

/* From here on the topic is CONTROLLER_DELETION_STOPPING. ERR_NO_MEMORY: it has not begun. */
MUST_CHECK enum err controller_deletion_begin(struct controller *controller,
                                              struct controller_topic *topic);

/* Whether every replica is gone and every live broker has heard of it. */
bool controller_deletion_is_done(const struct controller *controller,
                                 const struct controller_topic *topic);

#endif
