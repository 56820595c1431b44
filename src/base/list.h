/* A doubly linked ring whose links are fields of the members, so membership costs no allocation.
 *
 * A list head and a link are the same type. A link that is in no list points to itself after
 * list_init or list_remove, so list_linked can tell.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/assert.h"
#include "base/macros.h"

#include <stdbool.h>

struct list {
    struct list *next;
    struct list *prev;
};

#define list_each(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)
#define list_each_safe(it, after, head)                                                            \
    for (struct list *it = (head)->next, *after = it->next; it != (head);                          \
         it = after, after = it->next)

static inline void list_init(struct list *list)
{
    list->next = list;
    list->prev = list;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline bool list_linked(const struct list *link)
{
    return link->next != link;
}

/* Puts link right after place: at the front if place is the head. */
static inline void list_insert_after(struct list *place, struct list *link)
{
    link->next = place->next;
    link->prev = place;
    place->next->prev = link;
    place->next = link;
}

/* Appends at the end. */
static inline void list_push(struct list *head, struct list *link)
{
    list_insert_after(head->prev, link);
}

static inline void list_push_front(struct list *head, struct list *link)
{
    list_insert_after(head, link);
}

static inline void list_remove(struct list *link)
{
    assert(link->next->prev == link && link->prev->next == link);
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

/* Removes and returns the first link, or NULL. */
static inline struct list *list_pop(struct list *head)
{
    if (list_empty(head))
        return NULL;
    struct list *first = head->next;
    list_remove(first);
    return first;
}

static inline struct list *list_first(const struct list *head)
{
    return list_empty(head) ? NULL : head->next;
}

/* Moves all members of source to the end of target. */
static inline void list_splice(struct list *target, struct list *source)
{
    if (list_empty(source))
        return;
    source->next->prev = target->prev;
    target->prev->next = source->next;
    source->prev->next = target;
    target->prev = source->prev;
    list_init(source);
}

/* For a struct that was copied with its list head: the members go from the old head to the copy. */
static inline void list_move(struct list *copy, struct list *old)
{
    list_init(copy);
    list_splice(copy, old);
}

#endif
