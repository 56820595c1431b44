#include "net/net_inside.h"

#include <errno.h>

enum { pause_ms = 100, refused_line_period_ms = 1000 };

static void accept_next(struct net_listener *listener);

static void submit(struct net_listener *listener, enum io_kind kind, int32_t handle,
                   void (*done)(struct io_op *op, int64_t result))
{
    assert(!listener->is_busy);
    listener->is_busy = true;
    listener->op.kind = kind;
    listener->op.handle = handle;
    listener->op.done = done;
    io_submit(listener->net->io, &listener->op);
}

static void on_closed(struct io_op *op, int64_t result)
{
    struct net_listener *listener = CONTAINER_OF(op, struct net_listener, op);
    struct net *net = listener->net;
    (void)result;
    heap_give(net->heap, listener);
    net_release(net);
}

/* Its op has ended: what comes next. */
static void go_on(struct net_listener *listener)
{
    listener->is_busy = false;
    if (listener->is_closing)
        submit(listener, IO_CLOSE, listener->handle, on_closed);
    else
        accept_next(listener);
}

static void on_refused_closed(struct io_op *op, int64_t result)
{
    (void)result;
    go_on(CONTAINER_OF(op, struct net_listener, op));
}

static void on_pause_over(struct io_op *op, int64_t result)
{
    (void)result;
    go_on(CONTAINER_OF(op, struct net_listener, op));
}

static void pause_accepting(struct net_listener *listener)
{
    struct io *io = listener->net->io;
    listener->is_busy = false;
    listener->op.timer.deadline_ns = io_now_ns(io) + (uint64_t)pause_ms * 1000000;
    submit(listener, IO_TIMER, io_handle_none, on_pause_over);
}

/* At most one line a second, so that a flood of connections is not a flood of lines. */
static void tell_refused(struct net *net, const struct io_address *peer, const char *reason)
{
    const uint64_t now_ns = io_now_ns(net->io);
    net->refused_count++;
    if (net->refused_line_ns != 0 &&
        now_ns < net->refused_line_ns + (uint64_t)refused_line_period_ms * 1000000)
        return;
    char text[io_address_text_max];
    diag_warn(net->diag, "refused %u connections, the last one from %s: %s", net->refused_count,
              io_address_print(peer, text, sizeof text), reason);
    net->refused_line_ns = now_ns;
    net->refused_count = 0;
}

static void refuse(struct net_listener *listener, int32_t handle, const char *reason)
{
    listener->net->refused_total++;
    tell_refused(listener->net, &listener->op.peer.address, reason);
    listener->is_busy = false;
    submit(listener, IO_CLOSE, handle, on_refused_closed);
}

static const char no_memory[] = "no memory is left";

/* NULL: no memory. */
static struct net_connection_state *make_connection(struct net_listener *listener)
{
    struct net *net = listener->net;
    struct net_connection_state *state =
        net_connection_make(net, listener->handler, listener->user);
    if (state == NULL)
        return NULL;
    state->is_counted = true;
    state->connection.peer = listener->op.peer.address;
    state->connection.local_port = listener->address.port;
    return state;
}

static bool pass_on(struct net_listener *listener, int32_t handle)
{
    struct net *net = listener->net;
    const struct net_socket socket = {
        .handle = handle, .local_port = listener->address.port, .peer = listener->op.peer.address};
    io_disown(net->io, handle);
    if (!listener->handler->on_socket(listener->user, &socket))
        return false;
    net->connection_count++;
    return true;
}

/* NULL, or the reason why it is refused. */
static const char *take(struct net_listener *listener, int32_t handle)
{
    struct net *net = listener->net;
    const struct io_address peer = listener->op.peer.address;
    const enum err err = net_address_table_add(&net->addresses, &peer,
                                               net->options.connection_count_max_per_address);
    if (err != ERR_OK)
        return err == ERR_LIMIT ? "its address has too many" : no_memory;
    if (listener->handler->on_socket != NULL) {
        if (pass_on(listener, handle))
            return NULL;
    } else {
        struct net_connection_state *state = make_connection(listener);
        if (state != NULL) {
            net_connection_accept(state, handle);
            return NULL;
        }
    }
    net_address_table_remove(&net->addresses, &peer);
    return no_memory;
}

static const char *what_is_short(int64_t result)
{
    if (result == -EMFILE)
        return "all file handles of this process are in use; raise its limit (ulimit -n, or "
               "LimitNOFILE of its unit)";
    if (result == -ENFILE)
        return "all file handles of the system are in use; raise fs.file-max";
    return "no memory is left";
}

static const char *why_closing(const struct net_listener *listener)
{
    return listener->net->is_ending ? "the server stops" : "it listens elsewhere now";
}

static void on_accepted(struct io_op *op, int64_t result)
{
    struct net_listener *listener = CONTAINER_OF(op, struct net_listener, op);
    if (result == -EMFILE || result == -ENFILE || result == -ENOMEM || result == -ENOBUFS) {
        diag_warn(listener->net->diag, "cannot accept connections: %s", what_is_short(result));
        pause_accepting(listener);
        return;
    }
    if (result < 0) { /* The connection was gone before it was taken. */
        go_on(listener);
        return;
    }
    const char *refusal =
        listener->is_closing ? why_closing(listener) : take(listener, (int32_t)result);
    if (refusal != NULL)
        refuse(listener, (int32_t)result, refusal);
    else
        go_on(listener);
}

/* Above the limit connections wait in the backlog of the system until others end. */
static void accept_next(struct net_listener *listener)
{
    const struct net *net = listener->net;
    if (net->connection_count < net->options.connection_count_max)
        submit(listener, IO_ACCEPT, listener->handle, on_accepted);
}

void net_listener_resume_all(struct net *net)
{
    if (net->is_ending)
        return;
    list_each (link, &net->listeners) {
        struct net_listener *listener = CONTAINER_OF(link, struct net_listener, link);
        if (!listener->is_busy)
            accept_next(listener);
    }
}

void net_limit_connections(struct net *net, struct net_connection_limits limits)
{
    assert(limits.count_max > 0);
    net->options.connection_count_max = limits.count_max;
    net->options.connection_count_max_per_address = limits.count_max_per_address;
    net_listener_resume_all(net);
}

void net_forget(struct net *net, const struct io_address *peer)
{
    assert(net->connection_count > 0);
    net->connection_count--;
    net_address_table_remove(&net->addresses, peer);
    net_listener_resume_all(net);
}

void net_listener_close(struct net_listener *listener)
{
    list_remove(&listener->link);
    listener->is_closing = true;
    if (!listener->is_busy)
        go_on(listener);
    else if (listener->op.kind == IO_ACCEPT || listener->op.kind == IO_TIMER)
        io_cancel(listener->net->io, &listener->op);
}

enum { listen_pause_ms = 50, listen_attempt_count_max = 60, millisecond_ns = 1000000 };

static enum err err_of_listen(int32_t error)
{
    const enum err err = err_from_errno(error);
    return err == ERR_BUSY || err == ERR_PERMISSION ? err : ERR_IO;
}

enum err net_listen(struct net *net, struct io_address *address, const struct net_handler *handler,
                    void *user)
{
    struct net_listener *listener = heap_take_zeroed(net->heap, sizeof *listener);
    if (listener == NULL)
        return ERR_NO_MEMORY;
    const int32_t handle = io_listen(net->io, address, net->options.backlog);
    if (handle < 0) {
        heap_give(net->heap, listener);
        return err_of_listen(handle);
    }
    *listener = (struct net_listener){
        .net = net, .handler = handler, .user = user, .address = *address, .handle = handle};
    list_push(&net->listeners, &listener->link);
    net_keep(net);
    accept_next(listener);
    return ERR_OK;
}

static bool is_at(const struct net_listener *listener, const struct io_address *address)
{
    return listener->address.port == address->port &&
           memcmp(listener->address.bytes, address->bytes, sizeof address->bytes) == 0;
}

/* The sockets of that port, or those of all others. */
static void close_some(struct net *net, uint16_t port, bool has_port)
{
    list_each_safe (link, after, &net->listeners) {
        struct net_listener *listener = CONTAINER_OF(link, struct net_listener, link);
        if ((listener->address.port == port) == has_port)
            net_listener_close(listener);
    }
}

enum err net_listen_move(struct net *net, struct io_address *address,
                         const struct net_handler *handler, void *user)
{
    list_each (link, &net->listeners)
        if (is_at(CONTAINER_OF(link, struct net_listener, link), address))
            return ERR_OK;
    close_some(net, address->port, true);
    const enum err err = net_listen(net, address, handler, user);
    if (err == ERR_OK)
        close_some(net, address->port, false);
    return err;
}

static void on_pause(struct io_op *op, int64_t result)
{
    (void)op;
    (void)result;
}

static void pause_listening(struct net *net)
{
    struct io_op op = {.kind = IO_TIMER, .handle = io_handle_none, .done = on_pause};
    op.timer.deadline_ns = io_now_ns(net->io) + (uint64_t)listen_pause_ms * millisecond_ns;
    (void)io_wait(net->io, &op);
}

enum err net_listen_wait(struct net *net, struct io_address *address,
                         const struct net_handler *handler, void *user)
{
    enum err err = net_listen(net, address, handler, user);
    for (int attempt = 1; err == ERR_BUSY && attempt < listen_attempt_count_max; attempt++) {
        pause_listening(net);
        err = net_listen(net, address, handler, user);
    }
    return err;
}
