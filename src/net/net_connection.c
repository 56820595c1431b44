#include "net/net_inside.h"

static struct net_connection_state *state_of_sender(struct net_sender *sender)
{
    return CONTAINER_OF(sender, struct net_connection_state, sender);
}

static struct net *net_of(const struct net_connection_state *state)
{
    return state->connection.net;
}

static bool has_sent_all(const struct net_connection_state *state)
{
    return net_sender_is_empty(&state->sender) && state->sender.sending == NULL;
}

/* Backpressure: above its limits a connection is neither cut into frames nor read. */
static bool may_frame(const struct net_connection_state *state)
{
    const struct net_options *options = &net_of(state)->options;
    return state->phase == NET_OPEN && !state->is_paused &&
           state->open_reply_count < options->open_reply_count_max &&
           state->sender.unsent_bytes + state->held_bytes < options->unsent_bytes_max;
}

/* The end. */

static void give_back(struct net_connection_state *state)
{
    struct net *net = net_of(state);
    net_sender_clear(&state->sender);
    net_receiver_deinit(&state->receiver);
    net_pool_give(net->pool, state, sizeof *state);
    net_release(net);
}

static void on_handle_closed(struct io_op *op, int64_t result)
{
    (void)result;
    give_back(CONTAINER_OF(op, struct net_connection_state, input));
}

/* The handle is closed when nothing uses it any more. */
static void close_handle_if_unused(struct net_connection_state *state)
{
    assert(state->phase == NET_CLOSED);
    if (state->has_input || state->sender.sending != NULL)
        return;
    state->input =
        (struct io_op){.kind = IO_CLOSE, .handle = state->handle, .done = on_handle_closed};
    io_submit(net_of(state)->io, &state->input);
}

/* Out of all lists of net. */
static void leave_net(struct net_connection_state *state)
{
    struct net *net = net_of(state);
    list_remove(&state->link);
    net->connection_count--;
    if (list_linked(&state->turn))
        list_remove(&state->turn);
    net_timeout_stop(&state->idle);
    net_timeout_stop(&state->first_frame);
    net_timeout_stop(&state->send);
    if (state->is_counted)
        net_address_table_remove(&net->addresses, &state->connection.peer);
    net_listener_resume_all(net);
}

static void end_operations(struct net_connection_state *state, bool is_dialing)
{
    struct io *io = net_of(state)->io;
    if (is_dialing && state->has_input) {
        io_cancel(io, &state->input);
    } else if (state->handle != io_handle_none) {
        io_shutdown(io, state->handle);
        close_handle_if_unused(state);
    }
}

void net_connection_end(struct net_connection_state *state, const char *reason)
{
    if (state->phase == NET_CLOSED)
        return;
    const bool is_dialing = state->phase == NET_DIALING;
    state->phase = NET_CLOSED;
    leave_net(state);
    net_reply_detach_all(state);
    state->handler->on_close(&state->connection, reason);
    end_operations(state, is_dialing);
}

void net_connection_close(struct net_connection *connection, const char *reason, bool after_sending)
{
    struct net_connection_state *state = net_state_of(connection);
    if (state->phase == NET_CLOSED)
        return;
    if (!after_sending || has_sent_all(state)) {
        net_connection_end(state, reason);
        return;
    }
    if (state->phase == NET_DRAINING)
        return;
    state->phase = NET_DRAINING;
    state->drain_reason = reason;
    net_reply_detach_all(state);
    net_connection_wants_turn(state);
}

void net_connection_on_idle(struct net_connection_state *state)
{
    const bool is_waiting_for_us = state->open_reply_count > 0 || state->is_paused;
    if (is_waiting_for_us || !has_sent_all(state))
        net_timeout_start(&net_of(state)->idle, &state->idle, io_now_ns(net_of(state)->io));
    else
        net_connection_end(state, "idle for too long");
}

static void start_send_timeout(struct net_connection_state *state)
{
    struct net *net = net_of(state);
    state->progress = net_sender_progress(&state->sender);
    net_timeout_start(&net->send, &state->send, io_now_ns(net->io));
}

void net_connection_on_send_timeout(struct net_connection_state *state)
{
    if (net_sender_progress(&state->sender) > state->progress)
        start_send_timeout(state); /* Slow, but it takes them. */
    else
        net_connection_end(state, "the peer takes no bytes");
}

/* Framing. */

static void judge_length(struct net_connection_state *state)
{
    uint32_t length;
    if (!net_receiver_read_length(&state->receiver, &length))
        return;
    const struct net_verdict verdict = state->handler->on_length(&state->connection, length);
    switch (verdict.kind) {
    case NET_FRAME: net_receiver_expect(&state->receiver, verdict.length); break;
    case NET_RAW: state->is_raw = true; break;
    case NET_REFUSE: net_connection_end(state, verdict.reason); break;
    }
}

/* False: nothing whole is there. */
static bool hand_over_frame(struct net_connection_state *state)
{
    struct net_room frame;
    if (!net_receiver_take_frame(&state->receiver, &frame))
        return false;
    net_timeout_stop(&state->first_frame);
    state->handler->on_frame(&state->connection, frame.data, frame.size);
    return true;
}

static bool hand_over_raw(struct net_connection_state *state)
{
    const struct slice bytes = net_receiver_take_raw(&state->receiver);
    if (bytes.size == 0)
        return false;
    state->handler->on_raw(&state->connection, bytes);
    return true;
}

static void cut_frames(struct net_connection_state *state)
{
    bool has_more = true;
    while (has_more && may_frame(state)) {
        if (!state->is_raw)
            judge_length(state);
        if (!may_frame(state))
            return;
        has_more = state->is_raw ? hand_over_raw(state) : hand_over_frame(state);
    }
}

/* Receiving. */

static void on_received(struct io_op *op, int64_t result)
{
    struct net_connection_state *state = CONTAINER_OF(op, struct net_connection_state, input);
    struct net *net = net_of(state);
    state->has_input = false;
    if (state->phase == NET_CLOSED) {
        close_handle_if_unused(state);
        return;
    }
    if (result < 0) {
        net_connection_end(state, err_text(err_from_errno((int)result)));
        return;
    }
    if (result == 0) {
        state->has_peer_ended = true;
    } else {
        net_receiver_add(&state->receiver, (size_t)result);
        state->connection.received_bytes += (uint64_t)result;
        net_timeout_start(&net->idle, &state->idle, io_now_ns(net->io));
    }
    net_connection_take_turn(state);
}

/* A draining connection is still read, since the system resets a socket that is closed with unread
 * bytes, and the reset can overtake what we sent. */
static void receive(struct net_connection_state *state)
{
    if (state->has_input || state->has_peer_ended)
        return;
    if (state->phase == NET_DRAINING)
        net_receiver_take_all(&state->receiver);
    else if (!may_frame(state))
        return;
    if (!net_receiver_reserve(&state->receiver)) {
        net_connection_end(state, "no memory is left to receive");
        return;
    }
    const struct net_room room = net_receiver_room(&state->receiver);
    state->input = (struct io_op){.kind = IO_RECV, .handle = state->handle, .done = on_received};
    state->input.read.data = room.data;
    state->input.read.size = room.size;
    state->has_input = true;
    io_submit(net_of(state)->io, &state->input);
}

/* Sending. */

void net_connection_on_sent(struct net_sender *sender, int64_t result)
{
    struct net_connection_state *state = state_of_sender(sender);
    if (state->phase == NET_CLOSED) {
        close_handle_if_unused(state);
        return;
    }
    net_timeout_stop(&state->send);
    if (result < 0) {
        net_connection_end(state, err_text(err_from_errno((int)result)));
        return;
    }
    state->connection.sent_bytes += (uint64_t)result;
    if (state->phase == NET_OPEN && state->handler->on_sent != NULL)
        state->handler->on_sent(&state->connection);
    net_connection_take_turn(state);
}

static void flush(struct net_connection_state *state)
{
    if (state->sender.sending != NULL)
        return;
    if (!net_sender_flush(&state->sender, state->handle))
        net_connection_end(state, "no memory is left to send");
    else if (state->sender.sending != NULL)
        start_send_timeout(state);
}

/* The turn. */

static void end_if_over(struct net_connection_state *state)
{
    if (state->lost_push_reason != NULL) {
        net_connection_end(state, state->lost_push_reason);
        return;
    }
    if (!has_sent_all(state))
        return;
    if (state->phase == NET_DRAINING)
        net_connection_end(state, state->drain_reason);
    else if (state->has_peer_ended && state->open_reply_count == 0 && may_frame(state))
        net_connection_end(state, "the peer closed the connection");
}

void net_connection_take_turn(struct net_connection_state *state)
{
    if (state->is_in_turn || state->phase == NET_CLOSED || state->phase == NET_DIALING)
        return;
    state->is_in_turn = true;
    cut_frames(state);
    if (state->phase != NET_CLOSED)
        flush(state);
    if (state->phase != NET_CLOSED)
        receive(state);
    if (state->phase != NET_CLOSED)
        end_if_over(state);
    state->is_in_turn = false;
}

void net_connection_wants_turn(struct net_connection_state *state)
{
    if (state->is_in_turn || state->phase == NET_CLOSED || list_linked(&state->turn))
        return;
    list_push(&net_of(state)->wanting_turn, &state->turn);
    net_want_turn(net_of(state));
}

void net_connection_pause(struct net_connection *connection)
{
    net_state_of(connection)->is_paused = true;
}

void net_connection_resume(struct net_connection *connection)
{
    net_state_of(connection)->is_paused = false;
    net_connection_wants_turn(net_state_of(connection));
}

void net_connection_unread(struct net_connection *connection, size_t size)
{
    struct net_connection_state *state = net_state_of(connection);
    assert(state->is_raw && state->is_in_turn);
    net_receiver_put_back(&state->receiver, size, 0);
}

void net_connection_unread_until(struct net_connection *connection, size_t size, size_t wanted)
{
    struct net_connection_state *state = net_state_of(connection);
    assert(state->is_raw && state->is_in_turn && wanted > size);
    net_receiver_put_back(&state->receiver, size, wanted);
}

void net_connection_reread(struct net_connection *connection)
{
    net_receiver_await_nothing(&net_state_of(connection)->receiver);
    net_connection_wants_turn(net_state_of(connection));
}

void net_connection_time_request(struct net_connection *connection, bool has_begun)
{
    struct net_connection_state *state = net_state_of(connection);
    if (state->phase != NET_OPEN)
        return;
    if (has_begun)
        net_timeout_start(&connection->net->first_frame, &state->first_frame,
                          io_now_ns(connection->net->io));
    else
        net_timeout_stop(&state->first_frame);
}

struct net_buffer *net_connection_buffer(struct net_connection *connection)
{
    assert(net_state_of(connection)->receiver.buffer != NULL);
    return net_state_of(connection)->receiver.buffer;
}

/* The beginning. */

struct net_connection_state *net_connection_make(struct net *net, const struct net_handler *handler,
                                                 void *user)
{
    struct net_connection_state *state = net_pool_take(net->pool, sizeof *state);
    if (state == NULL)
        return NULL;
    *state = (struct net_connection_state){
        .connection = {.net = net, .user = user, .id = net->next_id++},
        .handler = handler,
        .phase = NET_OPEN,
        .handle = io_handle_none,
        .is_raw = handler->on_length == NULL,
    };
    list_init(&state->turn);
    list_init(&state->replies);
    net_timeout_link_init(&state->idle);
    net_timeout_link_init(&state->first_frame);
    net_timeout_link_init(&state->send);
    net_receiver_init(&state->receiver, net->pool);
    net_sender_init(&state->sender, &net->sender_options);
    list_push(&net->connections, &state->link);
    net->connection_count++;
    net_keep(net);
    net_want_clock(net);
    return state;
}

void net_connection_open(struct net_connection_state *state, int32_t handle)
{
    struct net *net = net_of(state);
    state->handle = handle;
    state->phase = NET_OPEN;
    net_timeout_start(&net->idle, &state->idle, io_now_ns(net->io));
    if (!state->handler->on_open(&state->connection)) {
        state->phase = NET_CLOSED;
        leave_net(state);
        end_operations(state, false);
        return;
    }
    net_connection_take_turn(state);
}

void net_connection_accept(struct net_connection_state *state, int32_t handle)
{
    struct net *net = net_of(state);
    net_timeout_start(&net->first_frame, &state->first_frame, io_now_ns(net->io));
    net_connection_open(state, handle);
}

bool net_adopt(struct net *net, const struct net_socket *socket, const struct net_handler *handler,
               void *user)
{
    struct net_connection_state *state = net_connection_make(net, handler, user);
    if (state == NULL)
        return false;
    if (io_adopt(net->io, socket->handle) < 0) {
        leave_net(state);
        give_back(state);
        return false;
    }
    state->connection.peer = socket->peer;
    state->connection.local_port = socket->local_port;
    net_connection_accept(state, socket->handle);
    return true;
}

static void on_dialed(struct io_op *op, int64_t result)
{
    struct net_connection_state *state = CONTAINER_OF(op, struct net_connection_state, input);
    state->has_input = false;
    if (state->phase == NET_CLOSED) { /* Ended meanwhile. */
        state->handle = result < 0 ? io_handle_none : (int32_t)result;
        if (result < 0)
            give_back(state);
        else
            close_handle_if_unused(state);
        return;
    }
    net_timeout_stop(&state->first_frame);
    if (result >= 0) {
        net_connection_open(state, (int32_t)result);
        return;
    }
    net_connection_end(state, err_text(err_from_errno((int)result)));
    give_back(state);
}

enum err net_connect(struct net *net, const struct io_address *address,
                     const struct net_handler *handler, void *user)
{
    if (net->connection_count >= net->options.connection_count_max)
        return ERR_LIMIT;
    struct net_connection_state *state = net_connection_make(net, handler, user);
    if (state == NULL)
        return ERR_NO_MEMORY;
    state->phase = NET_DIALING;
    state->connection.peer = *address;
    state->input = (struct io_op){.kind = IO_CONNECT, .done = on_dialed};
    state->input.peer.address = *address;
    state->has_input = true;
    net_timeout_start(&net->first_frame, &state->first_frame, io_now_ns(net->io));
    io_submit(net->io, &state->input);
    return ERR_OK;
}
