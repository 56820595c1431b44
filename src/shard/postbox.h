/* The sending end of a mailbox that may be full: letters that find no room wait in a list, and go,
 * in their order, as soon as there is room.
 *
 *      postbox_post --> [mailbox] --> the reader's on_message gets a struct mail
 *                 `---> waiting, tried again every millisecond
 *
 * A letter is a field of what it is about, so posting never allocates and never fails. What bounds
 * the list is the number of things that there are to write about.
 *
 * Memory: none of its own. Shard: the sender's.
 */
#ifndef SHARD_POSTBOX_H
#define SHARD_POSTBOX_H

#include "io/io.h"
#include "shard/mailbox.h"

/* What the reader gets. */
struct mail {
    void *subject;
    uint32_t kind;
};

struct letter {
    struct list link; /* In waiting. */
    struct mail mail;
};

struct postbox {
    struct io *io;
    struct mailbox *mailbox; /* Of struct mail. */
    struct list waiting;
    struct io_op retry; /* In flight while letters wait. */
};

/* Keeps io, the sender's, and mailbox. */
void postbox_init(struct postbox *postbox, struct io *io, struct mailbox *mailbox);

/* Keeps letter, a zeroed or used one, as long as it may wait: until an answer shows that it has
 * come. */
void postbox_post(struct postbox *postbox, struct letter *letter, struct mail mail);

/* Nothing waits: it may be forgotten. */
bool postbox_is_empty(const struct postbox *postbox);

#endif
