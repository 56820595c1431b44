/* Timers in order of their deadline: an intrusive pairing heap, so that any number of timers can be
 * in flight without an allocation.
 *
 * Adding costs O(1), removing any timer O(log n) amortised. Timers with equal deadlines come out in
 * the order in which they went in.
 *
 * Memory: none; nodes are fields of the members. Shard: one owner.
 */
#ifndef IO_TIMER_HEAP_H
#define IO_TIMER_HEAP_H

#include "base/macros.h"

#include <stdbool.h>
#include <stdint.h>

struct timer_node {
    uint64_t deadline_ns;
    uint64_t sequence; /* Order of adding. */
    struct timer_node *child;
    struct timer_node *next; /* The next sibling. */
    struct timer_node *prev; /* The sibling before, or the parent of a first child. */
};

struct timer_heap {
    struct timer_node *root; /* NULL when empty; the earliest otherwise. */
    uint64_t sequence;
};

/* Keeps node, whose deadline_ns is set. */
void timer_heap_add(struct timer_heap *heap, struct timer_node *node);

/* node must be in the heap. */
void timer_heap_remove(struct timer_heap *heap, struct timer_node *node);

bool timer_heap_holds(const struct timer_heap *heap, const struct timer_node *node);

/* Removes and returns the earliest timer if it is due at now_ns, or NULL. */
struct timer_node *timer_heap_pop_due(struct timer_heap *heap, uint64_t now_ns);

#endif
