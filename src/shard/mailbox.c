#include "shard/mailbox.h"

#include <stdalign.h>
#include <stdatomic.h>

enum { cache_line_bytes = 64 };

/* Both counters only grow; their difference is the number of messages in the ring. Each lies in a
 * cache line of its own, so that the two threads do not take it from each other. */
struct mailbox {
    struct mailbox_options options;
    struct heap *heap;
    struct list link;
    alignas(cache_line_bytes) _Atomic uint64_t posted; /* Written by the sender. */
    alignas(cache_line_bytes) _Atomic uint64_t read;   /* Written by the reader. */
    alignas(cache_line_bytes) uint8_t slots[];
};

static uint8_t *slot_of(struct mailbox *mailbox, uint64_t number)
{
    const uint64_t index = number & (mailbox->options.message_count_max - 1);
    return mailbox->slots + index * mailbox->options.message_size;
}

enum err mailbox_create(struct mailbox **out, struct heap *heap, struct mailbox_options options)
{
    const uint32_t count = options.message_count_max;
    assert(count > 0 && (count & (count - 1)) == 0);
    assert(options.message_size > 0);
    /* The heap aligns to 16 bytes; the struct wants a cache line. The block's own address is kept
     * in front of the struct. */
    const size_t size = sizeof(struct mailbox) + (size_t)count * options.message_size;
    uint8_t *block = heap_take_zeroed(heap, size + 2 * (size_t)cache_line_bytes);
    if (block == NULL)
        return ERR_NO_MEMORY;
    const uintptr_t past = (uintptr_t)block + 2 * (uintptr_t)cache_line_bytes;
    uint8_t *place = block + (past - past % cache_line_bytes - (uintptr_t)block);
    memcpy(place - sizeof block, &block, sizeof block);

    struct mailbox *mailbox = (struct mailbox *)(void *)place;
    mailbox->options = options;
    mailbox->heap = heap;
    list_init(&mailbox->link);
    *out = mailbox;
    return ERR_OK;
}

void mailbox_destroy(struct mailbox *mailbox)
{
    uint8_t *block;
    memcpy(&block, (uint8_t *)mailbox - sizeof block, sizeof block);
    if (list_linked(&mailbox->link))
        list_remove(&mailbox->link);
    heap_give(mailbox->heap, block);
}

/* The reader announces what it has read and then looks for more before it sleeps; we announce what
 * we posted and then look how far it has read. All four are sequentially consistent, so at least
 * one side sees the other, and a wake is never missed. */
bool mailbox_post(struct mailbox *mailbox, const void *message)
{
    const uint64_t posted = atomic_load_explicit(&mailbox->posted, memory_order_relaxed);
    const uint64_t read = atomic_load_explicit(&mailbox->read, memory_order_acquire);
    if (posted - read == mailbox->options.message_count_max)
        return false;
    memcpy(slot_of(mailbox, posted), message, mailbox->options.message_size);
    atomic_store(&mailbox->posted, posted + 1);
    if (atomic_load(&mailbox->read) == posted)
        io_wake(mailbox->options.reader);
    return true;
}

void mailbox_read(struct mailbox *mailbox)
{
    uint64_t read = atomic_load_explicit(&mailbox->read, memory_order_relaxed);
    const uint64_t end = read + mailbox->options.message_count_max;
    while (read != end && read != atomic_load(&mailbox->posted)) {
        mailbox->options.on_message(mailbox->options.context, slot_of(mailbox, read));
        atomic_store(&mailbox->read, ++read);
    }
}

bool mailbox_is_empty(const struct mailbox *mailbox)
{
    return atomic_load(&mailbox->read) == atomic_load(&mailbox->posted);
}

bool mailbox_has_next(const struct mailbox *mailbox)
{
    const uint64_t read = atomic_load_explicit(&mailbox->read, memory_order_relaxed);
    return atomic_load_explicit(&mailbox->posted, memory_order_relaxed) - read > 1;
}

struct list *mailbox_link(struct mailbox *mailbox)
{
    return &mailbox->link;
}

struct mailbox *mailbox_of_link(struct list *link)
{
    return CONTAINER_OF(link, struct mailbox, link);
}
