/* Somebody who orders a broker to move its replicas between its log directories, now and then: what
 * the checkers of a workload promise must hold all the same.
 *
 * Memory: none. Shard: the simulator's thread.
 */
#ifndef SIM_BROKER_MOVES_H
#define SIM_BROKER_MOVES_H

#include "server/broker/broker_server.h"

/* Within the broker's process, which serves: any replica of it, to any directory, maybe to where it
 * is. */
void broker_moves_order_any(struct broker_server *server, struct prng *prng);

/* The same, again and again: what rests is moved, and copies that come near the end of their logs
 * do not get there until they are released, so that much happens to the logs meanwhile. */
void broker_moves_hold(struct broker_server *server, struct prng *prng);
void broker_moves_release(struct broker_server *server);

/* A copy has been given the name of its replica, and the replica still has it. */
bool broker_moves_has_two_names(const struct broker_server *server);

#endif
