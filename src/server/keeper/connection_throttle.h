/* How fast sessions may be opened and renewed: a bucket of tokens, and BLUE's chance of dropping.
 *
 * Each session takes tokens from the bucket; tokens come back with time. While the bucket is empty
 * the chance grows that a session is turned away though there is a token, and it falls while few
 * are in use: so a crowd that comes back again and again is thinned before the bucket is empty. As
 * Apache's BlueThrottle.
 *
 * Memory: none. Shard: the server's; time and chance are arguments.
 */
#ifndef SERVER_KEEPER_CONNECTION_THROTTLE_H
#define SERVER_KEEPER_CONNECTION_THROTTLE_H

#include "server/keeper/keeper_config.h"

struct connection_throttle {
    int64_t token_count_max; /* 0: no limit. */
    int64_t token_count;
    int64_t fill_ms;
    int64_t fill_count;
    int64_t filled_at_ms;
    int64_t freeze_ms; /* -1: nothing is dropped by chance. */
    int64_t frozen_at_ms;
    double drop; /* The chance, from 0 to 1. */
    double drop_increase;
    double drop_decrease;
    double decrease_ratio;
    int64_t weight_new;
    int64_t weight_renewed;
};

void connection_throttle_init(struct connection_throttle *throttle,
                              const struct keeper_config *config, int64_t now_ms);

/* Takes the tokens of a session. chance: a random number from 0 up to and without 1. False: the
 * connection is to be closed. */
bool connection_throttle_take(struct connection_throttle *throttle, bool is_new, int64_t now_ms,
                              double chance);

#endif
