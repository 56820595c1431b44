/* Who leads a partition and where that is, for a client that has asked the wrong broker (KIP-951):
 * it need not ask for the metadata first. From Produce 10 and Fetch 16 on.
 *
 * Memory: none. Shard: the server's.
 */
#ifndef SERVER_BROKER_LEADER_HINT_H
#define SERVER_BROKER_LEADER_HINT_H

#include "server/broker/broker_server.h"

enum { leader_hint_produce_version = 10, leader_hint_fetch_version = 16 };

struct leader_hint {
    int32_t leader; /* -1: not known. */
    int32_t leader_epoch;
};

/* As the controller has ordered it here, else as the metadata has it. */
struct leader_hint leader_hint_of(const struct broker_server *server, struct slice topic,
                                  int32_t index);

/* Where the broker is for whoever uses this listener; false: it is not alive, or has no such
 * listener. Lends: until io runs again. */
struct leader_place {
    struct slice host;
    struct slice rack; /* Null: none. */
    int32_t port;
};
bool leader_hint_place(const struct broker_server *server, int32_t broker_id, struct slice listener,
                       struct leader_place *place);

#endif
