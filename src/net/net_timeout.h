/* One kind of timeout for many members: since all have the same limit, a list in order of their
 * start is a queue in order of their ends. Starting again is a move to the end of the list, so ten
 * thousand connections cost one timer of the world.
 *
 * Memory: none; links are fields of the members. Shard: one owner.
 */
#ifndef NET_NET_TIMEOUT_H
#define NET_NET_TIMEOUT_H

#include "base/list.h"

#include <stdint.h>

struct net_timeout {
    struct list members;
    uint64_t limit_ns; /* 0: never. */
};

struct net_timeout_link {
    struct list link; /* Linked while it runs. */
    uint64_t since_ns;
};

void net_timeout_init(struct net_timeout *timeout, uint32_t limit_ms);

void net_timeout_link_init(struct net_timeout_link *member);

/* Runs from now_ns on; starts again if it ran already. Time never goes back. */
void net_timeout_start(struct net_timeout *timeout, struct net_timeout_link *member,
                       uint64_t now_ns);

void net_timeout_stop(struct net_timeout_link *member);

/* A member whose limit is over, stopped, or NULL. */
struct net_timeout_link *net_timeout_pop_due(struct net_timeout *timeout, uint64_t now_ns);

/* When the first one ends; UINT64_MAX: never. */
uint64_t net_timeout_next_ns(const struct net_timeout *timeout);

#endif
