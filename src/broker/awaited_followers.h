/* The followers that a leader waits for: they are in sync, but have not fetched yet what it has
 * begun to lead.
 *
 * A follower names a partition that is new to it with its next Fetch. While one of its Fetches is
 * parked here, for want of news of the partitions that it names, the new partition's first records
 * would have to wait for that one's end. So whoever begins to lead calls the followers' Fetches
 * back, and while a follower is awaited its Fetches do not wait for long: at first for an instant,
 * then longer and longer, as it may have trouble with the partition.
 *
 *   a partition is led, anew or again --> awaited_followers_add, then _call
 *   a follower's Fetch parks          --> awaited_followers_park, for awaited_followers_wait_ms
 *   a follower has fetched            --> awaited_followers_remove
 *
 * Who has left the ISR is awaited no longer: nothing waits for it.
 *
 * Memory: the heap, a struct for each broker that follows. Shard: one owner.
 */
#ifndef BROKER_AWAITED_FOLLOWERS_H
#define BROKER_AWAITED_FOLLOWERS_H

#include "base/heap.h"
#include "base/list.h"
#include "broker/replica_set.h"

enum {
    awaited_followers_wait_ms_min = 10,
    awaited_followers_wait_part = 4, /* A Fetch waits for a fourth of the time so far. */
};

/* A field of whoever parks. */
struct parked_fetch {
    struct list link; /* Alone once it is called; who parks may remove it. */
    int32_t broker_id;
    void (*call)(struct parked_fetch *fetch);
};

struct awaited_followers {
    struct heap *heap;
    struct list followers; /* One for each broker. */
    struct list parked;    /* struct parked_fetch, of any broker. */
};

void awaited_followers_init(struct awaited_followers *awaited, struct heap *heap);
void awaited_followers_deinit(struct awaited_followers *awaited);

/* The followers in the ISR, of a set that is new. Keeps its replicas until they are removed. False:
 * no memory. */
MUST_CHECK bool awaited_followers_add(struct awaited_followers *awaited, struct replica_set *set,
                                      uint64_t now_ms);

/* It has fetched. Nothing happens if it is not awaited. */
void awaited_followers_remove(struct replica *replica);

/* The set goes. */
void awaited_followers_remove_all(struct replica_set *set);

/* The Fetches of the set's followers that are awaited end. */
void awaited_followers_call(struct awaited_followers *awaited, const struct replica_set *set);

/* How long a Fetch of the broker may be parked that is ready to wait for wait_ms. */
uint64_t awaited_followers_wait_ms(struct awaited_followers *awaited, int32_t broker_id,
                                   uint64_t wait_ms, uint64_t now_ms);

/* Keeps fetch, whose link is in no list, until it is called or its link removed. */
void awaited_followers_park(struct awaited_followers *awaited, struct parked_fetch *fetch);

#endif
