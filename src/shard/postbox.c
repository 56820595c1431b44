#include "shard/postbox.h"

static const uint64_t retry_ns = 1000000;

void postbox_init(struct postbox *postbox, struct io *io, struct mailbox *mailbox)
{
    *postbox = (struct postbox){.io = io, .mailbox = mailbox};
    list_init(&postbox->waiting);
}

static void wait_for_room(struct postbox *postbox);

/* A letter is its reader's as soon as it is in the mailbox, so it leaves the list before. */
static void on_retry(struct io_op *op, int64_t result)
{
    struct postbox *postbox = CONTAINER_OF(op, struct postbox, retry);
    (void)result;
    for (struct list *link = list_pop(&postbox->waiting); link != NULL;
         link = list_pop(&postbox->waiting)) {
        const struct mail mail = CONTAINER_OF(link, struct letter, link)->mail;
        if (mailbox_post(postbox->mailbox, &mail))
            continue;
        list_push_front(&postbox->waiting, link);
        wait_for_room(postbox);
        return;
    }
}

static void wait_for_room(struct postbox *postbox)
{
    postbox->retry = (struct io_op){.kind = IO_TIMER, .done = on_retry};
    postbox->retry.timer.deadline_ns = io_now_ns(postbox->io) + retry_ns;
    io_submit(postbox->io, &postbox->retry);
}

void postbox_post(struct postbox *postbox, struct letter *letter, struct mail mail)
{
    const bool is_first = postbox_is_empty(postbox);
    if (is_first && mailbox_post(postbox->mailbox, &mail))
        return;
    letter->mail = mail;
    list_push(&postbox->waiting, &letter->link);
    if (is_first)
        wait_for_room(postbox);
}

bool postbox_is_empty(const struct postbox *postbox)
{
    return list_empty(&postbox->waiting);
}
