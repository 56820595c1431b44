/* Deadlines in order, without a scan: an intrusive pairing heap.
 *
 * Adding and looking at the earliest take constant time, removing any takes logarithmic time on
 * average. Deadlines of one instant come out in an order that depends on nothing but the history of
 * calls, so a simulated run repeats.
 *
 * Memory: the members' own. Shard: one owner.
 */
#ifndef BASE_DEADLINE_QUEUE_H
#define BASE_DEADLINE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct deadline {
    uint64_t at;            /* In the owner's unit. */
    struct deadline *child; /* The first of those that are not earlier. */
    struct deadline *next;  /* The next child of the same parent. */
    struct deadline *prev;  /* The one before it, or the parent of the first; NULL for the root. */
    bool is_queued;
};

struct deadline_queue {
    struct deadline *root; /* The earliest; NULL: empty. */
    uint32_t count;
};

void deadline_queue_init(struct deadline_queue *queue);

/* Keeps deadline until it is removed; it is in no queue now. */
void deadline_queue_add(struct deadline_queue *queue, struct deadline *deadline, uint64_t at);

/* A deadline that is in no queue stays so. */
void deadline_queue_remove(struct deadline_queue *queue, struct deadline *deadline);

/* The earliest, or NULL. */
static inline struct deadline *deadline_queue_first(const struct deadline_queue *queue)
{
    return queue->root;
}

/* Removes and returns the earliest if it is at or before now, else NULL. */
struct deadline *deadline_queue_pop(struct deadline_queue *queue, uint64_t now);

#endif
