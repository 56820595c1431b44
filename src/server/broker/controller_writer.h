/* What the controller's driver writes: the states that the controller decides, and topics whose
 * reassignment is complete; and what it has to ask for before a decision.
 *
 * Memory: the driver's heap. Shard: the driver's.
 */
#ifndef SERVER_BROKER_CONTROLLER_WRITER_H
#define SERVER_BROKER_CONTROLLER_WRITER_H

#include "server/broker/controller_follower.h"

/* Fills the pipeline with states. */
void controller_writer_write_states(struct controller_driver *driver);

/* One state, now; after it *done runs, unless the term ends before. Nothing is in flight for the
 * partition, and write says so already. False: no memory, and the write is undone. */
struct controller_writer_watcher {
    void (*done)(struct controller_writer_watcher *watcher, int32_t keeper_code);
};
bool controller_writer_write_aside(struct controller_driver *driver,
                                   const struct controller_write *write,
                                   struct controller_writer_watcher *watcher);

/* Asks whether leaders of the topics in controller.to_ask may be unclean. */
void controller_writer_ask(struct controller_driver *driver);

/* Writes topics whose reassignments are complete. */
void controller_writer_finish_moves(struct controller_driver *driver);

#endif
