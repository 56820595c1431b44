/* Topics on their way out, as the controller's driver deletes them: marks under
 * /admin/delete_topics, then brokers, then znodes, the mark last, so that the next controller can
 * go on wherever this one ends.
 *
 * Memory: the driver's heap. Shard: the driver's.
 */
#ifndef SERVER_BROKER_CONTROLLER_CLEANER_H
#define SERVER_BROKER_CONTROLLER_CLEANER_H

#include "server/broker/controller_follower.h"

/* Reads the marks. */
void controller_cleaner_list(struct controller_driver *driver);

/* Begins and ends the deletions that can be. True: znodes are to be removed now. */
bool controller_cleaner_step(struct controller_driver *driver);

/* Fills the pipeline with the removal of znodes. */
void controller_cleaner_clear_topics(struct controller_driver *driver);

#endif
