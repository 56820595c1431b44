#include "net/net_inside.h"

struct net_reply *net_reply_reserve(struct net_connection *connection)
{
    struct net_connection_state *state = net_state_of(connection);
    struct heap *heap = connection->net->heap;
    struct net_reply *reply = heap_take_reusable(heap, sizeof *reply);
    if (reply == NULL)
        return NULL;
    *reply = (struct net_reply){.heap = heap};
    list_init(&reply->link);
    if (state->phase != NET_OPEN)
        return reply; /* It goes nowhere. */
    reply->connection = connection;
    list_push(&state->replies, &reply->link);
    state->open_reply_count++;
    return reply;
}

/* Those at the front that are ready leave. */
static void release_ready(struct net_connection_state *state)
{
    for (struct list *link = list_first(&state->replies); link != NULL;
         link = list_first(&state->replies)) {
        struct net_reply *reply = CONTAINER_OF(link, struct net_reply, link);
        if (!reply->is_ready)
            break;
        list_remove(link);
        state->open_reply_count--;
        if (reply->message != NULL) {
            state->held_bytes -= net_message_wire_size(reply->message);
            net_sender_add(&state->sender, reply->message);
        }
        heap_give_reusable(reply->heap, reply);
    }
    net_connection_wants_turn(state);
}

static void make_ready(struct net_reply *reply, struct net_message *message)
{
    assert(!reply->is_ready);
    if (reply->connection == NULL) {
        if (message != NULL)
            net_message_release(message);
        heap_give_reusable(reply->heap, reply);
        return;
    }
    struct net_connection_state *state = net_state_of(reply->connection);
    reply->is_ready = true;
    reply->message = message;
    if (message != NULL)
        state->held_bytes += net_message_wire_size(message);
    if (list_first(&state->replies) == &reply->link)
        release_ready(state);
}

void net_reply_send(struct net_reply *reply, struct net_message *message)
{
    assert(message != NULL);
    make_ready(reply, message);
}

void net_reply_drop(struct net_reply *reply)
{
    make_ready(reply, NULL);
}

static bool fits_push(const struct net_connection_state *state, uint64_t size)
{
    const struct net_options *options = &state->connection.net->options;
    const uint64_t limit = options->push_bytes_max != 0
                               ? options->push_bytes_max
                               : (uint64_t)net_push_factor * options->unsent_bytes_max;
    return state->sender.unsent_bytes + size <= limit;
}

static const char too_slow[] = "the peer is too slow for what is pushed to it";

void net_push(struct net_connection *connection, struct net_message *message)
{
    struct net_connection_state *state = net_state_of(connection);
    if (state->phase == NET_OPEN && state->lost_push_reason == NULL) {
        net_connection_wants_turn(state);
        if (fits_push(state, net_message_wire_size(message))) {
            net_sender_add(&state->sender, message);
            return;
        }
        state->lost_push_reason = too_slow;
    }
    net_message_release(message);
}

uint8_t *net_push_room(struct net_connection *connection, size_t size)
{
    struct net_connection_state *state = net_state_of(connection);
    if (state->phase != NET_OPEN || state->lost_push_reason != NULL)
        return NULL;
    net_connection_wants_turn(state);
    if (!fits_push(state, size)) {
        state->lost_push_reason = too_slow;
        return NULL;
    }
    uint8_t *room = net_sender_extend(&state->sender, size);
    if (room == NULL)
        state->lost_push_reason = "no memory is left for what is pushed";
    return room;
}

uint64_t net_connection_unsent_bytes(const struct net_connection *connection)
{
    return net_state_of(connection)->sender.unsent_bytes;
}

void net_reply_detach_all(struct net_connection_state *state)
{
    for (struct list *link = list_pop(&state->replies); link != NULL;
         link = list_pop(&state->replies)) {
        struct net_reply *reply = CONTAINER_OF(link, struct net_reply, link);
        reply->connection = NULL;
        if (!reply->is_ready)
            continue; /* Its owner still has it. */
        if (reply->message != NULL)
            net_message_release(reply->message);
        heap_give_reusable(reply->heap, reply);
    }
    state->open_reply_count = 0;
    state->held_bytes = 0;
}

uint32_t net_connection_open_reply_count(const struct net_connection *connection)
{
    return net_state_of(connection)->open_reply_count;
}
