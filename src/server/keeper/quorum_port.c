#include "server/keeper/quorum_port.h"

#include "base/assert.h"
#include "zab/quorum_packet.h"

enum { receive_bytes_first = 64 * 1024, packet_bytes_limit = 1 << 30 };

static const struct net_handler accepted_handler;
static const struct net_handler dialled_handler;

/* ---- links ---- */

static struct quorum_link *make_link(struct quorum_port *port, bool is_dialled)
{
    struct quorum_link *link = heap_take(port->heap, sizeof *link);
    if (link == NULL)
        return NULL;
    *link =
        (struct quorum_link){.port = port, .id = ++port->link_id_last, .is_dialled = is_dialled};
    list_push(&port->links, &link->link);
    port->accepted_count += !is_dialled;
    return link;
}

/* Out of the port; its memory stays for as long as net or a running callback knows it. */
static void end_link(struct quorum_link *link, const char *reason)
{
    struct quorum_port *port = link->port;
    assert(!link->is_down);
    link->is_down = true;
    list_remove(&link->link);
    port->accepted_count -= !link->is_dialled;
    port->handler.on_down(port->handler.context, link, reason);
}

void quorum_link_close(struct quorum_link *link, const char *reason)
{
    if (link->is_down)
        return;
    if (link->connection == NULL)
        end_link(link, reason); /* What the dial comes to is thrown away. */
    else
        net_connection_close(link->connection, reason, false);
}

struct quorum_link *quorum_port_find(struct quorum_port *port, uint64_t id)
{
    list_each (at, &port->links) {
        struct quorum_link *link = CONTAINER_OF(at, struct quorum_link, link);
        if (link->id == id)
            return link;
    }
    return NULL;
}

/* ---- receiving ---- */

static const char *reason_of(enum err err)
{
    return err == ERR_LIMIT ? "a packet above the limits" : "a malformed packet";
}

/* The port, and the link's connection, may be gone afterwards. */
static void hand_over(struct quorum_link *link, struct slice bytes, uint32_t identity_count)
{
    struct quorum_port *port = link->port;
    struct heap *heap = port->heap;
    struct zk_quorum_packet packet;
    struct arena arena;
    void *memory = NULL;
    const size_t memory_bytes = identity_count * sizeof(struct zk_id);
    if (identity_count > 0) {
        memory = heap_take_reusable(heap, memory_bytes);
        if (memory == NULL) {
            quorum_link_close(link, "no memory for a packet");
            return;
        }
    }
    arena_init(&arena, memory, memory_bytes);
    const enum err err = quorum_packet_decode(bytes, &arena, &packet);
    if (err == ERR_OK)
        port->handler.on_packet(port->handler.context, link, &packet);
    else
        quorum_link_close(link, reason_of(err));
    heap_give_reusable(heap, memory);
}

/* Takes the packet at the front of bytes; or how many bytes are needed before it can. */
static size_t take_packet(struct quorum_link *link, struct slice *bytes)
{
    struct quorum_packet_extent extent;
    const enum err err =
        quorum_packet_measure(*bytes, link->port->options.packet_bytes_max, &extent);
    if (err == ERR_TRUNCATED)
        return extent.size;
    if (err != ERR_OK) {
        quorum_link_close(link, reason_of(err));
        return 0;
    }
    if (!link->has_received) {
        link->has_received = true;
        net_connection_time_request(link->connection, false);
    }
    const struct slice packet = slice_of(bytes->data, extent.size);
    *bytes = slice_skip(*bytes, extent.size);
    hand_over(link, packet, extent.identity_count);
    return 0;
}

/* The same for raw bytes: whoever leaves some, and can go on, waits for more. */
static size_t take_bytes(struct quorum_link *link, struct slice *bytes)
{
    struct quorum_port *port = link->port;
    const size_t left_max = port->options.packet_bytes_max;
    const size_t taken = port->handler.on_bytes(port->handler.context, link, *bytes);
    assert(taken <= bytes->size);
    *bytes = slice_skip(*bytes, taken);
    if (link->is_down || link->is_paused || !link->is_raw || bytes->size == 0)
        return 0;
    if (bytes->size > left_max) {
        quorum_link_close(link, "a raw record above the limits");
        return 0;
    }
    return bytes->size + 1;
}

static void on_raw(struct net_connection *connection, struct slice bytes)
{
    struct quorum_link *link = connection->user;
    struct heap *heap = link->port->heap;
    size_t wanted = 0;
    link->is_busy = true;
    while (bytes.size > 0 && wanted == 0 && !link->is_down && !link->is_paused)
        wanted = link->is_raw ? take_bytes(link, &bytes) : take_packet(link, &bytes);
    link->is_busy = false;
    if (link->is_down)
        heap_give(heap, link);
    else if (wanted > 0)
        net_connection_unread_until(connection, bytes.size, wanted);
    else
        net_connection_unread(connection, bytes.size);
}

void quorum_link_set_raw(struct quorum_link *link, bool is_raw)
{
    if (link->is_raw == is_raw)
        return;
    link->is_raw = is_raw;
    if (link->connection != NULL && !link->is_busy && !link->is_down)
        net_connection_reread(link->connection);
}

void quorum_link_pause(struct quorum_link *link)
{
    link->is_paused = true;
    if (link->connection != NULL && !link->is_down)
        net_connection_pause(link->connection);
}

void quorum_link_resume(struct quorum_link *link)
{
    link->is_paused = false;
    if (link->connection != NULL && !link->is_down)
        net_connection_resume(link->connection);
}

/* ---- sending ---- */

/* NULL: it goes nowhere, or does not fit and net ends the connection. */
static uint8_t *room_for(struct quorum_link *link, size_t size)
{
    if (link->is_down)
        return NULL;
    assert(link->connection != NULL);
    return net_push_room(link->connection, size);
}

void quorum_link_send(struct quorum_link *link, const struct zk_quorum_packet *packet)
{
    const size_t size = quorum_packet_bytes(packet);
    uint8_t *room = room_for(link, size);
    if (room == NULL)
        return;
    quorum_packet_encode(packet, room);
    link->sent_count++;
    link->sent_bytes += size;
}

void quorum_link_send_raw(struct quorum_link *link, struct slice bytes)
{
    uint8_t *room = bytes.size == 0 ? NULL : room_for(link, bytes.size);
    if (room != NULL)
        memcpy(room, bytes.data, bytes.size);
}

uint64_t quorum_link_unsent_bytes(const struct quorum_link *link)
{
    if (link->connection == NULL || link->is_down)
        return 0;
    return net_connection_unsent_bytes(link->connection);
}

static void on_sent(struct net_connection *connection)
{
    struct quorum_link *link = connection->user;
    const struct quorum_port_handler *handler = &link->port->handler;
    if (handler->on_room != NULL)
        handler->on_room(handler->context, link);
}

/* ---- connections ---- */

static bool on_accepted(struct net_connection *connection)
{
    struct quorum_port *port = connection->user;
    if (port->accepted_count >= port->options.link_count_max)
        return false;
    struct quorum_link *link = make_link(port, false);
    if (link == NULL)
        return false;
    link->connection = connection;
    connection->user = link;
    port->handler.on_up(port->handler.context, link);
    return true;
}

static bool on_dialled(struct net_connection *connection)
{
    struct quorum_link *link = connection->user;
    struct quorum_port *port = link->port;
    if (link->is_down) { /* Closed while it was dialled. */
        heap_give(port->heap, link);
        return false;
    }
    link->connection = connection;
    if (link->is_paused)
        net_connection_pause(connection);
    port->handler.on_up(port->handler.context, link);
    return true;
}

static void on_close(struct net_connection *connection, const char *reason)
{
    struct quorum_link *link = connection->user;
    struct heap *heap = link->port->heap;
    if (!link->is_down)
        end_link(link, reason);
    if (!link->is_busy)
        heap_give(heap, link);
}

static const struct net_handler accepted_handler = {
    .on_open = on_accepted, .on_raw = on_raw, .on_sent = on_sent, .on_close = on_close};
static const struct net_handler dialled_handler = {
    .on_open = on_dialled, .on_raw = on_raw, .on_sent = on_sent, .on_close = on_close};

/* ---- life ---- */

enum err quorum_port_init(struct quorum_port *port, struct io *io, struct heap *heap,
                          struct diag *diag, struct quorum_port_options options,
                          struct quorum_port_handler handler)
{
    assert(options.packet_bytes_max < packet_bytes_limit);
    *port = (struct quorum_port){
        .io = io, .heap = heap, .diag = diag, .options = options, .handler = handler};
    list_init(&port->links);
    /* Links of an earlier port in this process were fewer than nanoseconds have passed. */
    port->link_id_last = io_now_ns(io);
    return net_init(&port->net, io, heap, diag,
                    (struct net_options){
                        .connection_count_max = options.link_count_max + quorum_dial_count_max,
                        .backlog = options.link_count_max,
                        .receive_bytes_first = receive_bytes_first,
                        .open_reply_count_max = 1,
                        /* Both ends would wait for each other if none were read while much is
                         * unsent. */
                        .unsent_bytes_max = UINT32_MAX,
                        .push_bytes_max = options.unsent_bytes_max,
                        .first_frame_timeout_ms = options.connect_timeout_ms,
                    });
}

enum err quorum_port_listen(struct quorum_port *port, struct io_address *address)
{
    assert(port->net != NULL);
    return net_listen(port->net, address, &accepted_handler, port);
}

void quorum_port_listen_stop(struct quorum_port *port)
{
    if (port->net != NULL)
        net_listen_stop(port->net);
}

struct quorum_link *quorum_port_dial(struct quorum_port *port, const struct io_address *address)
{
    struct quorum_link *link = port->net == NULL ? NULL : make_link(port, true);
    if (link == NULL)
        return NULL;
    if (net_connect(port->net, address, &dialled_handler, link) == ERR_OK)
        return link;
    list_remove(&link->link);
    heap_give(port->heap, link);
    return NULL;
}

void quorum_port_deinit(struct quorum_port *port)
{
    struct net *net = port->net;
    port->net = NULL; /* For who comes again from on_down. */
    if (net != NULL)
        net_deinit(net);
}
