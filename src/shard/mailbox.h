/* A bounded queue of fixed-size messages from one shard to another, without locks.
 *
 *      sender's thread                      reader's thread
 *      mailbox_post --> [slots of a ring] --> mailbox_read calls on_message
 *                 \-- io_wake, only if the reader may be asleep
 *
 * Memory: the ring, from the heap of the one who creates it. Shard: one sender, one reader.
 */
#ifndef SHARD_MAILBOX_H
#define SHARD_MAILBOX_H

#include "base/err.h"
#include "base/heap.h"
#include "io/io.h"

struct mailbox;

struct mailbox_options {
    uint32_t message_size;
    uint32_t message_count_max; /* A power of two. */
    struct io *reader;          /* Woken when messages come. */
    /* Borrows message. Runs on the reader's thread. */
    void (*on_message)(void *context, const void *message);
    void *context;
};

/* ERR_NO_MEMORY. */
MUST_CHECK enum err mailbox_create(struct mailbox **mailbox, struct heap *heap,
                                   struct mailbox_options options);

/* On the creator's thread when neither side uses it any more. */
void mailbox_destroy(struct mailbox *mailbox);

/* Copies message_size bytes. False: it is full, nothing was posted. Sender's thread. */
MUST_CHECK bool mailbox_post(struct mailbox *mailbox, const void *message);

/* Hands what is there to on_message, at most message_count_max. Reader's thread. */
void mailbox_read(struct mailbox *mailbox);

/* Whether a message waits to be read. Either thread. */
bool mailbox_is_empty(const struct mailbox *mailbox);

/* Whether a message waits behind the one that on_message has, from there; elsewhere, behind one
 * that waits. Reader's thread. */
bool mailbox_has_next(const struct mailbox *mailbox);

/* The link in the reading shard's list of inboxes. */
struct list *mailbox_link(struct mailbox *mailbox);
struct mailbox *mailbox_of_link(struct list *link);

#endif
