#include "base/deadline_queue.h"

#include "base/assert.h"

/* Both are roots without siblings; either may be NULL. */
static struct deadline *meld(struct deadline *a, struct deadline *b)
{
    if (a == NULL)
        return b;
    if (b == NULL)
        return a;
    if (b->at < a->at) {
        struct deadline *later = a;
        a = b;
        b = later;
    }
    b->next = a->child;
    if (b->next != NULL)
        b->next->prev = b;
    b->prev = a;
    a->child = b;
    return a;
}

/* The two passes of a pairing heap: siblings are melded in pairs from the left, then the pairs from
 * the right. */
static struct deadline *meld_siblings(struct deadline *first)
{
    struct deadline *pairs = NULL;
    while (first != NULL) {
        struct deadline *second = first->next;
        struct deadline *rest = second == NULL ? NULL : second->next;
        first->next = NULL;
        first->prev = NULL;
        if (second != NULL) {
            second->next = NULL;
            second->prev = NULL;
        }
        struct deadline *pair = meld(first, second);
        pair->next = pairs;
        pairs = pair;
        first = rest;
    }
    struct deadline *root = NULL;
    while (pairs != NULL) {
        struct deadline *pair = pairs;
        pairs = pair->next;
        pair->next = NULL;
        root = meld(root, pair);
    }
    return root;
}

void deadline_queue_init(struct deadline_queue *queue)
{
    *queue = (struct deadline_queue){0};
}

void deadline_queue_add(struct deadline_queue *queue, struct deadline *deadline, uint64_t at)
{
    assert(!deadline->is_queued);
    *deadline = (struct deadline){.at = at, .is_queued = true};
    queue->root = meld(queue->root, deadline);
    queue->count++;
}

static void cut(struct deadline *deadline)
{
    if (deadline->prev->child == deadline)
        deadline->prev->child = deadline->next;
    else
        deadline->prev->next = deadline->next;
    if (deadline->next != NULL)
        deadline->next->prev = deadline->prev;
}

void deadline_queue_remove(struct deadline_queue *queue, struct deadline *deadline)
{
    if (!deadline->is_queued)
        return;
    assert(queue->count > 0);
    struct deadline *orphans = meld_siblings(deadline->child);
    if (queue->root == deadline) {
        queue->root = orphans;
    } else {
        cut(deadline);
        queue->root = meld(queue->root, orphans);
    }
    *deadline = (struct deadline){.at = deadline->at};
    queue->count--;
    assert((queue->root == NULL) == (queue->count == 0));
}

struct deadline *deadline_queue_pop(struct deadline_queue *queue, uint64_t now)
{
    struct deadline *first = queue->root;
    if (first == NULL || first->at > now)
        return NULL;
    deadline_queue_remove(queue, first);
    return first;
}
