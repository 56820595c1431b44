#include "net/net.h"

#include <stdalign.h>

struct net_message *net_message_acquire(struct heap *heap, struct net_message_options options)
{
    const size_t alignment = alignof(struct net_cut);
    const size_t data_end = sizeof(struct net_message) + options.capacity;
    const size_t cuts_start = (data_end + alignment - 1) & ~(alignment - 1);
    const size_t cuts_size = options.cut_capacity * sizeof(struct net_cut);
    struct net_message *message = heap_take_reusable(heap, cuts_start + cuts_size);
    if (message == NULL)
        return NULL;
    *message = (struct net_message){.heap = heap,
                                    .cuts = (void *)((uint8_t *)message + cuts_start),
                                    .cut_capacity = options.cut_capacity,
                                    .capacity = options.capacity};
    list_init(&message->link);
    return message;
}

void net_message_release(struct net_message *message)
{
    if (message->released != NULL) {
        message->released(message->owner);
        return;
    }
    for (uint32_t index = 0; index < message->cut_count; index++) {
        uint32_t *users = message->cuts[index].users;
        assert(*users > 0);
        *users -= 1;
    }
    heap_give_reusable(message->heap, message);
}

uint64_t net_message_wire_size(const struct net_message *message)
{
    uint64_t size = message->size;
    for (uint32_t index = 0; index < message->cut_count; index++)
        size += message->cuts[index].size;
    return size;
}
