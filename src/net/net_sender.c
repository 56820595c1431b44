#include "net/net_sender.h"

/* An operation in flight. */
struct net_sending {
    struct io_op op;
    struct net_sender *sender;
    uint64_t data_size; /* Of the vectors. */
    struct iovec vectors[net_sender_vector_count_max];
};

_Static_assert((int)net_sender_vector_count_max <= (int)io_vector_count_max,
               "the world takes as many vectors");
_Static_assert(sizeof(struct net_sending) <= 1024, "it fits a class of reusable blocks");

void net_sender_init(struct net_sender *sender, const struct net_sender_options *options)
{
    *sender = (struct net_sender){.options = options};
    list_init(&sender->messages);
}

static struct net_message *message_of(struct list *link)
{
    return CONTAINER_OF(link, struct net_message, link);
}

static struct net_message *first_message(const struct net_sender *sender)
{
    struct list *first = list_first(&sender->messages);
    return first == NULL ? NULL : message_of(first);
}

bool net_sender_is_empty(const struct net_sender *sender)
{
    return list_empty(&sender->messages);
}

void net_sender_add(struct net_sender *sender, struct net_message *message)
{
    assert(message->size <= message->capacity && message->cut_count <= message->cut_capacity);
    const uint64_t size = net_message_wire_size(message);
    if (size == 0) {
        net_message_release(message);
        return;
    }
    sender->unsent_bytes += size;
    list_push(&sender->messages, &message->link);
}

/* A message of one piece, or of many small ones. */
static struct net_message *make_block(struct heap *heap, size_t size)
{
    const size_t whole = max_size(size + sizeof(struct net_message), net_sender_block_bytes);
    if (whole > UINT32_MAX / 2)
        return NULL;
    return net_message_acquire(
        heap, (struct net_message_options){
                  .capacity = (uint32_t)(heap_reusable_size(whole) - sizeof(struct net_message))});
}

/* An operation in flight has its own note of how far the last message went when it started, so that
 * more can be put behind. */
uint8_t *net_sender_extend(struct net_sender *sender, size_t size)
{
    assert(size > 0);
    struct net_message *last =
        list_empty(&sender->messages) ? NULL : message_of(sender->messages.prev);
    if (last == NULL || last->capacity - last->size < size) {
        last = make_block(sender->options->heap, size);
        if (last == NULL)
            return NULL;
        list_push(&sender->messages, &last->link);
    }
    uint8_t *room = last->data + last->size;
    last->size += (uint32_t)size;
    sender->unsent_bytes += size;
    return room;
}

/* Where the run of data that starts at position ends: before the next cut, or with the message. */
static uint32_t run_end(const struct net_message *message, uint32_t cut_index)
{
    return cut_index < message->cut_count ? message->cuts[cut_index].position : message->size;
}

/* Removes the messages from the front that are wholly sent, and steps over empty cuts. */
static void step_over_sent(struct net_sender *sender)
{
    for (;;) {
        struct net_message *message = first_message(sender);
        if (message == NULL || sender->first_position < run_end(message, sender->first_cut_index))
            return;
        if (sender->first_cut_index < message->cut_count) {
            if (sender->first_cut_sent < message->cuts[sender->first_cut_index].size)
                return;
            sender->first_cut_index++;
        } else {
            list_remove(&message->link);
            net_message_release(message);
            sender->first_position = 0;
            sender->first_cut_index = 0;
        }
        sender->first_cut_sent = 0;
    }
}

/* The data from the front up to the next cut, or as much as one operation may carry. The cut that
 * comes right behind it, or NULL. */
static const struct net_cut *gather(const struct net_sender *sender, struct net_sending *sending)
{
    uint32_t position = sender->first_position;
    uint32_t cut_index = sender->first_cut_index;
    uint32_t left = net_sender_op_bytes_max;
    uint32_t count = 0;
    const struct net_cut *cut = NULL;
    list_each (link, &sender->messages) {
        struct net_message *message = message_of(link);
        const uint32_t run = run_end(message, cut_index) - position;
        const uint32_t size = run < left ? run : left;
        if (size > 0)
            sending->vectors[count++] =
                (struct iovec){.iov_base = message->data + position, .iov_len = size};
        left -= size;
        if (cut_index < message->cut_count && left > 0)
            cut = &message->cuts[cut_index];
        if (left == 0 || cut != NULL || count == net_sender_vector_count_max)
            break;
        position = 0;
        cut_index = 0;
    }
    sending->data_size = net_sender_op_bytes_max - left;
    sending->op.write.vectors = sending->vectors;
    sending->op.write.vector_count = count;
    return cut;
}

static void prepare(const struct net_sender *sender, struct net_sending *sending)
{
    const struct net_cut *cut = gather(sender, sending);
    sending->op.kind = cut == NULL ? IO_SEND : IO_SEND_FILE;
    if (cut == NULL)
        return;
    /* Only a cut at the very front may be partly sent. */
    const uint64_t sent = sending->data_size == 0 ? sender->first_cut_sent : 0;
    sending->op.send_file.file = cut->file;
    sending->op.send_file.offset = cut->offset + sent;
    sending->op.send_file.size = min_u64(cut->size - sent, net_sender_op_bytes_max);
}

static void account_data(struct net_sender *sender, uint64_t size)
{
    while (size > 0) {
        const struct net_message *message = first_message(sender);
        const uint32_t run = run_end(message, sender->first_cut_index) - sender->first_position;
        const uint32_t sent = (uint32_t)min_u64(size, run);
        sender->first_position += sent;
        size -= sent;
        step_over_sent(sender);
    }
}

static void account_file(struct net_sender *sender, uint64_t size)
{
    sender->first_cut_sent += size;
    step_over_sent(sender);
}

static void on_done(struct io_op *op, int64_t result)
{
    struct net_sending *sending = CONTAINER_OF(op, struct net_sending, op);
    struct net_sender *sender = sending->sender;
    const uint64_t data_size = sending->data_size;
    sender->sending = NULL;
    heap_give_reusable(sender->options->heap, sending);
    if (result > 0) {
        assert((uint64_t)result >= data_size);
        sender->unsent_bytes -= (uint64_t)result;
        sender->sent_bytes += (uint64_t)result;
        account_data(sender, data_size);
        account_file(sender, (uint64_t)result - data_size);
    }
    sender->options->on_sent(sender, result);
}

uint64_t net_sender_progress(const struct net_sender *sender)
{
    return sender->sent_bytes + (sender->sending == NULL ? 0 : sender->sending->op.moved);
}

bool net_sender_flush(struct net_sender *sender, int32_t handle)
{
    if (sender->sending != NULL)
        return true;
    step_over_sent(sender);
    if (net_sender_is_empty(sender))
        return true;
    struct net_sending *sending = heap_take_reusable(sender->options->heap, sizeof *sending);
    if (sending == NULL)
        return false;
    sending->op = (struct io_op){.handle = handle, .done = on_done};
    sending->sender = sender;
    prepare(sender, sending);
    sender->sending = sending;
    io_submit(sender->options->io, &sending->op);
    return true;
}

void net_sender_clear(struct net_sender *sender)
{
    assert(sender->sending == NULL);
    for (struct list *link = list_pop(&sender->messages); link != NULL;
         link = list_pop(&sender->messages))
        net_message_release(message_of(link));
    sender->unsent_bytes = 0;
}
