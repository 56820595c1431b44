/* What others leave in the keeper for the controller: changed ISRs (of brokers that write them
 * themselves), failed log directories, elections that old tools ask for.
 *
 *   /isr_change_notification/isr_change_<n>     the states it names are read again
 *   /log_dir_event_notification/log_dir_event_<n>   the broker is given its orders again: for what
 * it cannot do it says KAFKA_STORAGE_ERROR /admin/preferred_replica_election           preferred
 * leaders are elected
 *
 * Each is deleted when it has been heeded. What stands there when a term begins is deleted unread,
 * as everything else is read then.
 *
 * Memory: the driver's heap. Shard: the driver's.
 */
#ifndef SERVER_BROKER_CONTROLLER_NOTICES_H
#define SERVER_BROKER_CONTROLLER_NOTICES_H

#include "server/broker/controller_follower.h"

/* What a term begins with: /feature, and the notices of before. */
void controller_notices_begin(struct controller_driver *driver);

/* Reads what has changed. False: nothing has. */
bool controller_notices_step(struct controller_driver *driver);

/* Every election has been written: takes away what asked for them. False: nothing did. */
bool controller_notices_end_elections(struct controller_driver *driver);

#endif
