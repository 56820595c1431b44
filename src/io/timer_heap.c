#include "io/timer_heap.h"

#include "base/assert.h"

#include <stddef.h>

static bool is_earlier(const struct timer_node *a, const struct timer_node *b)
{
    if (a->deadline_ns != b->deadline_ns)
        return a->deadline_ns < b->deadline_ns;
    return a->sequence < b->sequence;
}

/* Both are roots without siblings; either may be NULL. */
static struct timer_node *meld(struct timer_node *a, struct timer_node *b)
{
    if (a == NULL || b == NULL)
        return a == NULL ? b : a;
    struct timer_node *parent = is_earlier(a, b) ? a : b;
    struct timer_node *child = parent == a ? b : a;

    child->next = parent->child;
    if (child->next != NULL)
        child->next->prev = child;
    child->prev = parent;
    parent->child = child;
    return parent;
}

static struct timer_node *detach(struct timer_node *node)
{
    node->next = NULL;
    node->prev = NULL;
    return node;
}

/* The two passes of the pairing heap: meld neighbours from left to right, then all pairs from right
 * to left. The pairs wait in a stack through their next links. */
static struct timer_node *meld_siblings(struct timer_node *first)
{
    struct timer_node *pairs = NULL;
    while (first != NULL) {
        struct timer_node *second = first->next;
        struct timer_node *rest = second == NULL ? NULL : second->next;
        struct timer_node *pair = meld(detach(first), second == NULL ? NULL : detach(second));
        pair->next = pairs;
        pairs = pair;
        first = rest;
    }

    struct timer_node *root = NULL;
    while (pairs != NULL) {
        struct timer_node *pair = pairs;
        pairs = pair->next;
        root = meld(root, detach(pair));
    }
    return root;
}

void timer_heap_add(struct timer_heap *heap, struct timer_node *node)
{
    detach(node);
    node->child = NULL;
    node->sequence = heap->sequence++;
    heap->root = meld(heap->root, node);
}

static void unlink_from_parent(struct timer_node *node)
{
    if (node->prev->child == node)
        node->prev->child = node->next;
    else
        node->prev->next = node->next;
    if (node->next != NULL)
        node->next->prev = node->prev;
    detach(node);
}

void timer_heap_remove(struct timer_heap *heap, struct timer_node *node)
{
    assert(timer_heap_holds(heap, node));
    if (node == heap->root) {
        heap->root = meld_siblings(node->child);
        return;
    }
    unlink_from_parent(node);
    heap->root = meld(heap->root, meld_siblings(node->child));
}

bool timer_heap_holds(const struct timer_heap *heap, const struct timer_node *node)
{
    return node == heap->root || node->prev != NULL;
}

struct timer_node *timer_heap_pop_due(struct timer_heap *heap, uint64_t now_ns)
{
    struct timer_node *first = heap->root;
    if (first == NULL || first->deadline_ns > now_ns)
        return NULL;
    timer_heap_remove(heap, first);
    return first;
}
