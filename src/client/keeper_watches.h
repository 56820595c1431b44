/* The armed watches of one client: found by path when an event comes, and sent to the keeper again
 * after a reconnection.
 *
 * Memory: the table's buckets; watches are their owners'. Shard: one owner.
 */
#ifndef CLIENT_KEEPER_WATCHES_H
#define CLIENT_KEEPER_WATCHES_H

#include "client/keeper_client.h"

struct keeper_watches {
    struct heap *heap;
    struct hash_table by_path;
    struct list armed;
    uint64_t hash_seed;
};

MUST_CHECK enum err keeper_watches_init(struct keeper_watches *watches, struct heap *heap,
                                        uint64_t hash_seed);
void keeper_watches_deinit(struct keeper_watches *watches);

/* Keeps watch and its path. */
void keeper_watches_arm(struct keeper_watches *watches, struct keeper_watch *watch);
void keeper_watches_disarm(struct keeper_watches *watches, struct keeper_watch *watch);

/* Disarms all that an event at path (without chroot) ends, and runs their fired. */
void keeper_watches_fire(struct keeper_watches *watches, struct slice path,
                         enum keeper_event_type type);

/* Disarms all, and runs fired with KEEPER_WATCH_ENDED. */
void keeper_watches_end(struct keeper_watches *watches);

/* One setWatches request with the watches from *next on, at most bytes_max (a longer path goes
 * alone); *next moves on, and is NULL behind the last. Start with keeper_watches_first. NULL: no
 * memory. */
struct net_message *keeper_watches_message(const struct keeper_watches *watches,
                                           struct slice chroot, int64_t zxid, size_t bytes_max,
                                           const struct list **next);
const struct list *keeper_watches_first(const struct keeper_watches *watches);

#endif
