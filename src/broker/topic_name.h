/* What a topic may be called.
 *
 * Memory: none. Shard: none.
 */
#ifndef BROKER_TOPIC_NAME_H
#define BROKER_TOPIC_NAME_H

#include "base/macros.h"
#include "base/slice.h"

enum { topic_name_size_max = 249 };

/* False: not a name; reason gets a sentence for people. */
MUST_CHECK bool topic_name_check(struct slice name, char *reason, size_t reason_size);

/* Whether the two differ only in '.' and '_': metrics of both would get one name, so Kafka refuses
 * the second. Equal names do not collide. */
bool topic_name_collides(struct slice name, struct slice other);

/* __consumer_offsets and __transaction_state. */
bool topic_name_is_internal(struct slice name);

#endif
