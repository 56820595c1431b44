#include "sim/sim_net.h"

#include "sim/sim_node.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

enum {
    segment_bytes_max_default = 65536,
    send_buffer_bytes_default = 262144,
    backlog_min = 16,
};

static const uint64_t local_ns = 1000;
static const uint64_t retry_ns = 200000000;
static const uint64_t connect_timeout_ns = 20000000000;
static const uint64_t silence_timeout_ns = 300000000000;

enum segment_kind { SEGMENT_DATA, SEGMENT_END, SEGMENT_RESET };

struct segment {
    struct list link; /* In the receiver's in_transit. */
    enum segment_kind kind;
    uint64_t sent_ns;
    uint64_t arrival_ns;
    size_t size;
    uint8_t data[];
};

struct sim_socket {
    struct list link; /* In net->sockets. */
    struct sim_node *node;
    bool is_listening;
    bool is_ended;  /* The peer sends no more. */
    bool is_reset;  /* Broken. */
    bool is_shut;   /* We asked for the end. */
    bool is_closed; /* No handle any more. */
    bool is_gone;   /* Its node lost power. */
    struct io_address local;
    struct io_address remote;

    uint32_t backlog; /* Of a listener. */
    uint32_t queued_count;
    struct list queue; /* Connections that nobody has accepted, by queue_link. */
    struct list queue_link;
    struct list accepts; /* Pending, by waiting_link. */

    struct sim_socket *peer;
    struct sim_pending *receive;
    struct sim_pending *send;
    struct list in_transit; /* Segments on their way to us. */
    bool is_arriving;       /* An event for the first of them is scheduled. */
    uint64_t latest_arrival_ns;
    uint64_t in_transit_bytes;
    uint8_t *buffer; /* What arrived and is not read: from begin to end. */
    size_t begin;
    size_t end;
    size_t capacity;
};

struct sim_net {
    struct sim *sim;
    struct prng prng;
    struct list sockets;
    uint16_t port_next;
    bool is_blocked[sim_node_count_max][sim_node_count_max];
};

static struct sim_net *net_of(const struct sim_socket *socket)
{
    return socket->node->sim->net;
}

struct sim_net *sim_net_make(struct sim *sim)
{
    struct sim_net *net = heap_take_zeroed(&sim->heap, sizeof *net);
    assert(net != NULL);
    net->sim = sim;
    net->port_next = sim_port_first;
    prng_init(&net->prng, prng_next(&sim->prng));
    list_init(&net->sockets);
    return net;
}

/* ---- Addresses. ---- */

static struct io_address address_v4(const uint8_t bytes[4], uint16_t port)
{
    struct io_address address = {.bytes = {[10] = 0xff, [11] = 0xff}, .port = port};
    memcpy(address.bytes + 12, bytes, 4);
    return address;
}

struct io_address sim_net_address(uint32_t node_index, uint16_t port)
{
    return address_v4((const uint8_t[]){10, 0, 0, (uint8_t)(node_index + 1)}, port);
}

static bool is_wildcard(const struct io_address *address)
{
    static const uint8_t zeros[16];
    return memcmp(address->bytes, zeros, 16) == 0 ||
           (io_address_is_ipv4(address) && memcmp(address->bytes + 12, zeros, 4) == 0);
}

static bool is_loopback(const struct io_address *address)
{
    static const uint8_t one[16] = {[15] = 1};
    return memcmp(address->bytes, one, 16) == 0 ||
           (io_address_is_ipv4(address) && address->bytes[12] == 127);
}

/* The node that has the address, NULL: none has. */
static struct sim_node *node_at(const struct sim_net *net, struct sim_node *from,
                                const struct io_address *address)
{
    if (is_loopback(address) || is_wildcard(address))
        return from;
    for (uint32_t index = 0; index < net->sim->options.node_count; index++) {
        const struct io_address own = sim_net_address(index, 0);
        if (memcmp(own.bytes, address->bytes, 16) == 0)
            return net->sim->nodes[index];
    }
    return NULL;
}

int sim_net_resolve(struct sim_net *net, const char *host, uint16_t port, struct io_address *out)
{
    if (host == NULL || host[0] == 0) {
        *out = (struct io_address){.port = port};
        return 0;
    }
    for (uint32_t index = 0; index < net->sim->options.node_count; index++) {
        if (strcmp(host, net->sim->nodes[index]->name) == 0) {
            *out = sim_net_address(index, port);
            return 0;
        }
    }
    uint8_t bytes[16];
    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    if (inet_pton(AF_INET, host, bytes) == 1) {
        *out = address_v4(bytes, port);
        return 0;
    }
    if (inet_pton(AF_INET6, host, bytes) == 1) {
        out->port = port;
        memcpy(out->bytes, bytes, 16);
        return 0;
    }
    return -ENOENT;
}

/* ---- Sockets. ---- */

static struct sim_socket *make_socket(struct sim_net *net, struct sim_node *node)
{
    struct sim_socket *socket = heap_take_zeroed(&net->sim->heap, sizeof *socket);
    assert(socket != NULL);
    socket->node = node;
    list_init(&socket->queue);
    list_init(&socket->queue_link);
    list_init(&socket->accepts);
    list_init(&socket->in_transit);
    list_push(&net->sockets, &socket->link);
    return socket;
}

static bool can_answer(const struct sim_socket *listener, const struct sim_node *node,
                       const struct io_address *address)
{
    if (!listener->is_listening || listener->is_closed || listener->is_gone || listener->is_shut ||
        listener->node != node || listener->local.port != address->port)
        return false;
    return is_wildcard(&listener->local) || memcmp(listener->local.bytes, address->bytes, 16) == 0;
}

static struct sim_socket *find_listener(const struct sim_net *net, const struct sim_node *node,
                                        const struct io_address *address)
{
    list_each (link, &net->sockets) {
        struct sim_socket *socket = CONTAINER_OF(link, struct sim_socket, link);
        if (can_answer(socket, node, address))
            return socket;
    }
    return NULL;
}

int32_t sim_net_listen(struct sim_net *net, struct sim_node *node, struct io_address *address,
                       uint32_t backlog)
{
    if (address->port == 0)
        address->port = net->port_next++;
    if (node_at(net, node, address) != node)
        return -EADDRNOTAVAIL;
    if (find_listener(net, node, address) != NULL)
        return -EADDRINUSE;
    struct sim_socket *socket = make_socket(net, node);
    socket->is_listening = true;
    socket->local = *address;
    socket->backlog = backlog < backlog_min ? backlog_min : backlog;
    return sim_node_handle_take(node,
                                (struct sim_handle){.kind = SIM_HANDLE_SOCKET, .socket = socket});
}

static size_t unread(const struct sim_socket *socket)
{
    return socket->end - socket->begin;
}

static void buffer_add(struct sim_socket *socket, const struct segment *segment)
{
    struct heap *heap = &socket->node->sim->heap;
    if (socket->end + segment->size > socket->capacity) {
        if (unread(socket) > 0)
            memmove(socket->buffer, socket->buffer + socket->begin, unread(socket));
        socket->end -= socket->begin;
        socket->begin = 0;
    }
    if (socket->end + segment->size > socket->capacity) {
        socket->capacity = max_size(socket->end + segment->size, 2 * socket->capacity);
        socket->buffer = heap_resize(heap, socket->buffer, socket->capacity);
        assert(socket->buffer != NULL);
    }
    memcpy(socket->buffer + socket->end, segment->data, segment->size);
    socket->end += segment->size;
}

static void buffer_give(struct sim_socket *socket)
{
    heap_give(&socket->node->sim->heap, socket->buffer);
    socket->buffer = NULL;
    socket->begin = 0;
    socket->end = 0;
    socket->capacity = 0;
}

/* ---- Completions: always a little later, so that done never runs inside a submit. ---- */

static void complete_soon(struct sim_pending *pending, int64_t result)
{
    pending->socket = NULL;
    pending->is_decided = true;
    sim_node_complete_later(pending, local_ns, result);
}

/* ---- Segments. ---- */

static uint64_t draw_delay(struct sim_net *net, const struct sim_socket *from,
                           const struct sim_socket *to)
{
    const struct sim_faults *faults = &net->sim->faults;
    if (from->node == to->node)
        return local_ns + sim_draw_ns(&net->prng, local_ns);
    return local_ns + faults->delay_ns_min + sim_draw_ns(&net->prng, faults->delay_ns_mean);
}

static void happen_arrival(struct sim *sim, const struct sim_event *event);

static void schedule_arrival(struct sim_socket *socket, uint64_t time_ns)
{
    struct sim *sim = socket->node->sim;
    socket->is_arriving = true;
    sim_schedule(sim, time_ns > sim->now_ns ? time_ns - sim->now_ns : 0,
                 (struct sim_event){.happen = happen_arrival, .subject = socket});
}

static struct segment *make_segment(struct sim_net *net, enum segment_kind kind, size_t size)
{
    struct segment *segment = heap_take(&net->sim->heap, sizeof *segment + size);
    assert(segment != NULL);
    segment->kind = kind;
    segment->size = size;
    list_init(&segment->link);
    return segment;
}

/* On its way from socket to its peer, behind all that left before. */
static void dispatch(struct sim_socket *socket, struct segment *segment)
{
    struct sim_net *net = net_of(socket);
    struct sim_socket *peer = socket->peer;
    segment->sent_ns = net->sim->now_ns;
    segment->arrival_ns =
        max_u64(net->sim->now_ns + draw_delay(net, socket, peer), peer->latest_arrival_ns);
    peer->latest_arrival_ns = segment->arrival_ns;
    peer->in_transit_bytes += segment->size;
    list_push(&peer->in_transit, &segment->link);
    if (!peer->is_arriving)
        schedule_arrival(peer, segment->arrival_ns);
}

static void dispatch_mark(struct sim_socket *socket, enum segment_kind kind)
{
    if (socket->peer != NULL)
        dispatch(socket, make_segment(net_of(socket), kind, 0));
}

static uint64_t window(const struct sim_socket *socket)
{
    const uint32_t limit = net_of(socket)->sim->faults.send_buffer_bytes;
    const uint64_t used = socket->peer->in_transit_bytes + unread(socket->peer);
    const uint64_t buffer = limit == 0 ? send_buffer_bytes_default : limit;
    return used >= buffer ? 0 : buffer - used;
}

/* Of the vectors of IO_SEND, or in front of the file's range of IO_SEND_FILE: both begin alike. */
static uint64_t vectors_size(const struct io_op *op)
{
    uint64_t size = 0;
    for (uint32_t index = 0; index < op->write.vector_count; index++)
        size += op->write.vectors[index].iov_len;
    return size;
}

static uint64_t send_size(const struct io_op *op)
{
    return vectors_size(op) + (op->kind == IO_SEND_FILE ? op->send_file.size : 0);
}

/* At most size bytes of the vectors, from offset; how many. */
static uint64_t copy_vectors(const struct io_op *op, uint64_t offset, uint8_t *out, uint64_t size)
{
    uint64_t copied = 0;
    for (uint32_t index = 0; index < op->write.vector_count && copied < size; index++) {
        const struct iovec *vector = &op->write.vectors[index];
        if (offset >= vector->iov_len) {
            offset -= vector->iov_len;
            continue;
        }
        const uint64_t part = min_u64(size - copied, vector->iov_len - offset);
        memcpy(out + copied, (const uint8_t *)vector->iov_base + offset, part);
        copied += part;
        offset = 0;
    }
    return copied;
}

/* size bytes of what the operation sends, from offset; false: the file has no such bytes. */
static bool copy_out(struct sim_pending *pending, uint64_t offset, uint8_t *out, uint64_t size)
{
    const struct io_op *op = pending->op;
    const uint64_t copied = copy_vectors(op, offset, out, size);
    if (copied == size)
        return true;
    assert(op->kind == IO_SEND_FILE);
    const struct sim_handle *file = sim_node_handle(pending->node, op->send_file.file);
    assert(file->kind == SIM_HANDLE_FILE);
    const uint64_t start = op->send_file.offset + offset + copied - vectors_size(op);
    const struct slice bytes = sim_inode_bytes(file->inode, start, size - copied);
    if (bytes.size < size - copied)
        return false;
    memcpy(out + copied, bytes.data, size - copied);
    return true;
}

static void end_send(struct sim_socket *socket, int64_t result)
{
    struct sim_pending *pending = socket->send;
    if (pending == NULL)
        return;
    socket->send = NULL;
    complete_soon(pending, result);
}

static void end_receive(struct sim_socket *socket, int64_t result)
{
    struct sim_pending *pending = socket->receive;
    if (pending == NULL)
        return;
    socket->receive = NULL;
    complete_soon(pending, result);
}

/* Lets as much leave as the window takes. */
static void pump_send(struct sim_socket *socket)
{
    struct sim_net *net = net_of(socket);
    struct sim_pending *pending = socket->send;
    if (pending == NULL)
        return;
    if (socket->is_reset || socket->is_shut || socket->peer == NULL) {
        end_send(socket, socket->is_reset ? -ECONNRESET : -EPIPE);
        return;
    }
    const uint64_t total = send_size(pending->op);
    const uint32_t limit = net->sim->faults.segment_bytes_max;
    while (pending->progress < total && window(socket) > 0) {
        const uint64_t most =
            min_u64(min_u64(window(socket), total - pending->progress),
                    limit == 0 ? segment_bytes_max_default : prng_between(&net->prng, 1, limit));
        struct segment *segment = make_segment(net, SEGMENT_DATA, most);
        if (!copy_out(pending, pending->progress, segment->data, most)) {
            heap_give(&net->sim->heap, segment);
            end_send(socket, -EIO);
            return;
        }
        sim_trace_bytes(net->sim, slice_of(segment->data, most));
        net->sim->counters.bytes_sent += most;
        pending->progress += most;
        dispatch(socket, segment);
    }
    if (pending->progress == total)
        end_send(socket, (int64_t)total);
}

static void pump_receive(struct sim_socket *socket)
{
    struct sim_pending *pending = socket->receive;
    if (pending == NULL)
        return;
    if (socket->is_reset) {
        end_receive(socket, -ECONNRESET);
        return;
    }
    if (unread(socket) == 0) {
        if (socket->is_ended || socket->is_shut)
            end_receive(socket, 0);
        return;
    }
    const size_t size = min_size(unread(socket), pending->op->read.size);
    memcpy(pending->op->read.data, socket->buffer + socket->begin, size);
    socket->begin += size;
    end_receive(socket, (int64_t)size);
    if (socket->peer != NULL)
        pump_send(socket->peer);
}

static void break_socket(struct sim_socket *socket)
{
    socket->is_reset = true;
    buffer_give(socket);
    if (socket->is_closed || socket->is_gone)
        return;
    pump_receive(socket);
    pump_send(socket);
}

static void drop_in_transit(struct sim_socket *socket)
{
    while (!list_empty(&socket->in_transit))
        heap_give(&socket->node->sim->heap,
                  CONTAINER_OF(list_pop(&socket->in_transit), struct segment, link));
    socket->in_transit_bytes = 0;
}

static void on_segment(struct sim_socket *socket, const struct segment *segment)
{
    switch (segment->kind) {
    case SEGMENT_DATA:
        if (socket->is_closed || socket->is_gone || socket->is_reset) {
            /* Nobody is there to read it. */
            if (!socket->is_reset)
                dispatch_mark(socket, SEGMENT_RESET);
            return;
        }
        buffer_add(socket, segment);
        pump_receive(socket);
        return;
    case SEGMENT_END:
        socket->is_ended = true;
        pump_receive(socket);
        return;
    case SEGMENT_RESET: break_socket(socket); return;
    }
}

/* True: the first segment cannot get through now; it is tried again, or the connection ends. */
static bool is_held_back(struct sim_socket *socket, const struct segment *segment)
{
    struct sim *sim = socket->node->sim;
    const struct sim_socket *peer = socket->peer;
    const bool is_blocked = sim->net->is_blocked[peer->node->index][socket->node->index];
    const bool is_down = socket->is_gone && !sim_node_is_up(socket->node);
    if (!is_blocked && !is_down)
        return false;
    if (sim->now_ns < segment->sent_ns + silence_timeout_ns) {
        schedule_arrival(socket, sim->now_ns + retry_ns);
        return true;
    }
    drop_in_transit(socket);
    break_socket(socket->peer);
    break_socket(socket);
    return true;
}

static void happen_arrival(struct sim *sim, const struct sim_event *event)
{
    struct sim_socket *socket = event->subject;
    socket->is_arriving = false;
    if (list_empty(&socket->in_transit))
        return;
    struct segment *segment = CONTAINER_OF(socket->in_transit.next, struct segment, link);
    if (is_held_back(socket, segment))
        return;
    list_remove(&segment->link);
    socket->in_transit_bytes -= segment->size;
    if (segment->kind == SEGMENT_DATA && sim_draw(&sim->net->prng, sim->faults.reset_per_million)) {
        sim->counters.resets++;
        break_socket(socket->peer);
        break_socket(socket);
    } else {
        on_segment(socket, segment);
    }
    heap_give(&sim->heap, segment);
    if (!list_empty(&socket->in_transit) && !socket->is_arriving)
        schedule_arrival(socket,
                         CONTAINER_OF(socket->in_transit.next, struct segment, link)->arrival_ns);
}

static void end_listener(struct sim_socket *listener, int64_t result)
{
    while (!list_empty(&listener->accepts))
        complete_soon(CONTAINER_OF(list_pop(&listener->accepts), struct sim_pending, waiting_link),
                      result);
    while (!list_empty(&listener->queue)) {
        struct sim_socket *socket =
            CONTAINER_OF(list_pop(&listener->queue), struct sim_socket, queue_link);
        socket->is_closed = true;
        dispatch_mark(socket, SEGMENT_RESET);
    }
    listener->queued_count = 0;
}

static void close_socket(struct sim_socket *socket)
{
    const bool has_unread = unread(socket) > 0;
    socket->is_closed = true;
    if (socket->is_listening) {
        end_listener(socket, -ECANCELED);
        return;
    }
    end_receive(socket, -ECANCELED);
    end_send(socket, -ECANCELED);
    if (!socket->is_reset && has_unread)
        dispatch_mark(socket, SEGMENT_RESET);
    else if (!socket->is_reset && !socket->is_shut)
        dispatch_mark(socket, SEGMENT_END);
    buffer_give(socket);
}

/* ---- Connecting. ---- */

static void happen_connected(struct sim *sim, const struct sim_event *event)
{
    struct sim_pending *pending = event->subject;
    struct sim_socket *socket = pending->socket;
    (void)sim;
    if (pending->number != event->number)
        return; /* Called off. */
    pending->socket = NULL;
    if (socket->is_reset) {
        sim_node_complete(pending, -ECONNREFUSED);
        return;
    }
    const int32_t handle = sim_node_handle_take(
        pending->node, (struct sim_handle){.kind = SIM_HANDLE_SOCKET, .socket = socket});
    if (handle < 0)
        close_socket(socket);
    sim_node_complete(pending, handle);
}

static void pump_accept(struct sim_socket *listener)
{
    while (!list_empty(&listener->accepts) && !list_empty(&listener->queue)) {
        struct sim_pending *pending =
            CONTAINER_OF(listener->accepts.next, struct sim_pending, waiting_link);
        struct sim_socket *socket =
            CONTAINER_OF(listener->queue.next, struct sim_socket, queue_link);
        const int32_t handle = sim_node_handle_take(
            listener->node, (struct sim_handle){.kind = SIM_HANDLE_SOCKET, .socket = socket});
        list_remove(&pending->waiting_link);
        if (handle >= 0) {
            list_remove(&socket->queue_link);
            listener->queued_count--;
            pending->op->peer.address = socket->remote;
        }
        complete_soon(pending, handle);
    }
}

static struct sim_socket *make_pair(struct sim_net *net, struct sim_node *client,
                                    struct sim_socket *listener, const struct io_address *address)
{
    struct sim_socket *near = make_socket(net, client);
    struct sim_socket *far = make_socket(net, listener->node);
    const bool is_local = client == listener->node;
    near->peer = far;
    far->peer = near;
    near->remote = *address;
    near->local = is_local ? *address : sim_net_address(client->index, 0);
    near->local.port = net->port_next++;
    far->local = near->remote;
    far->remote = near->local;
    list_push(&listener->queue, &far->queue_link);
    listener->queued_count++;
    net->sim->counters.connections++;
    return near;
}

static void schedule_connect(struct sim_net *net, struct sim_pending *pending,
                             void (*happen)(struct sim *sim, const struct sim_event *event))
{
    pending->number = net->sim->sequence + 1;
    sim_schedule(net->sim,
                 local_ns + net->sim->faults.delay_ns_min +
                     sim_draw_ns(&net->prng, net->sim->faults.delay_ns_mean),
                 (struct sim_event){.happen = happen,
                                    .node = pending->node,
                                    .subject = pending,
                                    .number = pending->number});
}

static bool is_reachable(const struct sim_net *net, const struct sim_node *from,
                         const struct sim_node *to)
{
    if (to == NULL || (!sim_node_is_up(to) && to->end == SIM_NODE_LOST_POWER))
        return false;
    return !net->is_blocked[from->index][to->index] && !net->is_blocked[to->index][from->index];
}

/* The first packet reaches the other node, or does not. */
static void happen_dialed(struct sim *sim, const struct sim_event *event)
{
    struct sim_pending *pending = event->subject;
    struct sim_net *net = sim->net;
    if (pending->number != event->number)
        return; /* Called off, and its op may be gone. */
    const struct io_address address = pending->op->peer.address;
    struct sim_node *node = node_at(net, pending->node, &address);
    if (!is_reachable(net, pending->node, node)) {
        sim_node_complete_later(pending, connect_timeout_ns, -ETIMEDOUT);
        return;
    }
    struct sim_socket *listener = find_listener(net, node, &address);
    if (listener == NULL || listener->queued_count >= listener->backlog ||
        sim_draw(&net->prng, net->sim->faults.refuse_per_million)) {
        sim_node_complete_later(pending, local_ns + net->sim->faults.delay_ns_min, -ECONNREFUSED);
        return;
    }
    pending->socket = make_pair(net, pending->node, listener, &address);
    schedule_connect(net, pending, happen_connected);
    pump_accept(listener);
}

static void submit_connect(struct sim_net *net, struct sim_pending *pending)
{
    schedule_connect(net, pending, happen_dialed);
}

/* ---- Ends. ---- */

void sim_net_shutdown(struct sim_net *net, struct sim_socket *socket)
{
    (void)net;
    if (socket->is_shut)
        return;
    socket->is_shut = true;
    if (socket->is_listening) {
        end_listener(socket, -EINVAL);
        return;
    }
    if (!socket->is_reset)
        dispatch_mark(socket, SEGMENT_END);
    pump_receive(socket);
    pump_send(socket);
}

/* The process's operations are gone already: no one is told. */
static void forget_pending(struct sim_socket *socket)
{
    socket->receive = NULL;
    socket->send = NULL;
    while (!list_empty(&socket->accepts))
        list_pop(&socket->accepts);
}

void sim_net_end_node(struct sim_net *net, struct sim_node *node, bool silently)
{
    list_each (link, &net->sockets) {
        struct sim_socket *socket = CONTAINER_OF(link, struct sim_socket, link);
        if (socket->node != node || socket->is_closed || socket->is_gone)
            continue;
        forget_pending(socket);
        if (!silently) {
            close_socket(socket);
            continue;
        }
        socket->is_gone = true;
        while (!list_empty(&socket->queue))
            CONTAINER_OF(list_pop(&socket->queue), struct sim_socket, queue_link)->is_gone = true;
        buffer_give(socket);
    }
}

/* ---- What io asks for. ---- */

static struct sim_socket *socket_of(const struct sim_pending *pending)
{
    const struct sim_handle *handle = sim_node_handle(pending->node, pending->op->handle);
    assert(handle->kind == SIM_HANDLE_SOCKET);
    return handle->socket;
}

static void submit_accept(struct sim_pending *pending)
{
    struct sim_socket *listener = socket_of(pending);
    assert(listener->is_listening);
    if (listener->is_shut) {
        complete_soon(pending, -EINVAL);
        return;
    }
    pending->socket = listener;
    list_push(&listener->accepts, &pending->waiting_link);
    pump_accept(listener);
}

static void submit_stream(struct sim_pending *pending)
{
    struct sim_socket *socket = socket_of(pending);
    const bool is_receive = pending->op->kind == IO_RECV;
    struct sim_pending **slot = is_receive ? &socket->receive : &socket->send;
    assert(!socket->is_listening);
    assert(*slot == NULL); /* One operation at a time in each direction, or bytes would mix. */
    *slot = pending;
    pending->socket = socket;
    if (is_receive)
        pump_receive(socket);
    else
        pump_send(socket);
}

static void submit_close(struct sim_pending *pending)
{
    struct sim_handle *handle = sim_node_handle(pending->node, pending->op->handle);
    close_socket(handle->socket);
    *handle = (struct sim_handle){.kind = SIM_HANDLE_NONE};
    complete_soon(pending, 0);
}

void sim_net_submit(struct sim_net *net, struct sim_pending *pending)
{
    list_init(&pending->waiting_link);
    if (pending->op->kind == IO_CONNECT)
        submit_connect(net, pending);
    else if (pending->op->kind == IO_ACCEPT)
        submit_accept(pending);
    else if (pending->op->kind == IO_CLOSE)
        submit_close(pending);
    else
        submit_stream(pending);
}

void sim_net_forget(struct sim_net *net, struct sim_pending *pending)
{
    (void)net;
    struct sim_socket *socket = pending->socket;
    if (socket == NULL)
        return;
    pending->socket = NULL;
    if (pending->op->kind == IO_CONNECT)
        close_socket(socket);
    if (pending->op->kind == IO_ACCEPT)
        list_remove(&pending->waiting_link);
    if (socket->receive == pending)
        socket->receive = NULL;
    if (socket->send == pending)
        socket->send = NULL;
}

/* ---- Faults. ---- */

void sim_net_block(struct sim *sim, uint32_t from, uint32_t to)
{
    sim->net->is_blocked[from][to] = true;
}

void sim_net_heal(struct sim *sim)
{
    memset(sim->net->is_blocked, 0, sizeof sim->net->is_blocked);
}

void sim_net_partition(struct sim *sim, uint32_t node_set)
{
    for (uint32_t from = 0; from < sim->options.node_count; from++)
        for (uint32_t to = 0; to < sim->options.node_count; to++)
            if ((node_set >> from & 1) != (node_set >> to & 1))
                sim->net->is_blocked[from][to] = true;
}

void sim_net_reset(struct sim *sim, uint32_t node_index)
{
    list_each (link, &sim->net->sockets) {
        struct sim_socket *socket = CONTAINER_OF(link, struct sim_socket, link);
        if (socket->node->index != node_index || socket->peer == NULL || socket->is_closed)
            continue;
        sim->counters.resets++;
        drop_in_transit(socket);
        drop_in_transit(socket->peer);
        break_socket(socket->peer);
        break_socket(socket);
    }
}
