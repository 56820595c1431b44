#include "server/keeper/election_port.h"

#include <inttypes.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "zab/ensemble_text.h"

enum {
    length_bytes = 4,
    receive_bytes_first = 1024,
    unsent_bytes_max = 1 << 20,
    send_timeout_ms = 60000,
    anonymous_id = -1, /* Of an observer that has none of its own. */
};

enum election_link_phase {
    ELECTION_LINK_SILENT,   /* Accepted; its hello is awaited. */
    ELECTION_LINK_GREETING, /* The address of its hello is awaited. */
    ELECTION_LINK_DIALLING,
    ELECTION_LINK_OPEN,
    ELECTION_LINK_ENDING, /* Replaced. */
};

struct election_link {
    struct list link; /* In port->links. */
    struct election_port *port;
    struct net_connection *connection; /* NULL while dialling. */
    enum election_link_phase phase;
    int64_t id;    /* Known from the second phase on. */
    uint32_t head; /* What on_length was given. */
    uint32_t address_bytes;
};

static const struct net_handler accepted_handler;
static const struct net_handler dialled_handler;

/* ---- peers and links ---- */

static struct election_peer *find_peer(struct election_port *port, int64_t id)
{
    for (uint32_t index = 0; index < port->peer_count; index++)
        if (port->peers[index].id == id)
            return &port->peers[index];
    return NULL;
}

static struct election_link *find_open(struct election_port *port, int64_t id)
{
    list_each (at, &port->links) {
        struct election_link *link = CONTAINER_OF(at, struct election_link, link);
        if (link->phase == ELECTION_LINK_OPEN && link->id == id)
            return link;
    }
    return NULL;
}

static struct election_link *make_link(struct election_port *port, enum election_link_phase phase)
{
    struct election_link *link = heap_take_zeroed(port->heap, sizeof *link);
    if (link == NULL)
        return NULL;
    link->port = port;
    link->phase = phase;
    list_push(&port->links, &link->link);
    return link;
}

static void drop_link(struct election_link *link)
{
    struct election_peer *peer = find_peer(link->port, link->id);
    if (peer != NULL && peer->dial == link)
        peer->dial = NULL;
    list_remove(&link->link);
    heap_give(link->port->heap, link);
}

/* ---- sending ---- */

static struct net_message *message_of(struct election_port *port, struct slice bytes,
                                      size_t room_in_front)
{
    const struct net_message_options options = {.capacity = (uint32_t)(room_in_front + bytes.size)};
    struct net_message *message = net_message_acquire(port->heap, options);
    if (message == NULL)
        return NULL;
    message->size = options.capacity;
    memcpy(message->data + room_in_front, bytes.data, bytes.size);
    return message;
}

/* Without memory the word is not said; it will be, when it is next sent. */
static void say(struct election_link *link, struct slice word)
{
    struct net_message *message = message_of(link->port, word, length_bytes);
    if (message == NULL)
        return;
    store_i32(message->data, (int32_t)word.size);
    net_push(link->connection, message);
}

static void say_hello(struct election_link *link)
{
    struct election_port *port = link->port;
    const struct slice address = port->options.self_address;
    uint8_t hello[election_hello_bytes_min + election_hello_address_bytes_max];
    election_hello_encode(port->options.self_id, address, hello);
    struct net_message *message =
        message_of(port, slice_of(hello, election_hello_bytes(address)), 0);
    if (message == NULL)
        net_connection_close(link->connection, "no memory for a hello", false);
    else
        net_push(link->connection, message);
}

/* False: no memory, and nothing is kept. */
static bool keep_word(struct election_port *port, struct election_peer *peer,
                      const struct zk_election_notification *notification)
{
    const size_t size = election_message_bytes(notification);
    if (peer->word_size != size) {
        heap_give(port->heap, peer->word);
        peer->word = heap_take(port->heap, size);
        peer->word_size = peer->word == NULL ? 0 : size;
    }
    if (peer->word == NULL)
        return false;
    election_message_encode(notification, peer->word);
    return true;
}

static void say_to_stranger(struct election_link *link,
                            const struct zk_election_notification *notification)
{
    struct election_port *port = link->port;
    const size_t size = election_message_bytes(notification);
    uint8_t *word = heap_take(port->heap, size);
    if (word == NULL)
        return;
    election_message_encode(notification, word);
    say(link, slice_of(word, size));
    heap_give(port->heap, word);
}

/* ---- connecting ---- */

static void dial(struct election_port *port, struct election_peer *peer)
{
    if (peer->dial != NULL || find_open(port, peer->id) != NULL)
        return;
    struct io_address address;
    if (!member_route_find(&peer->route, port->io, port->diag, &address))
        return;
    struct election_link *link = make_link(port, ELECTION_LINK_DIALLING);
    if (link == NULL)
        return;
    link->id = peer->id;
    peer->dial = link;
    if (net_connect(port->net, &address, &dialled_handler, link) != ERR_OK)
        drop_link(link);
}

/* The server is heard on another connection: its end of this one may be long gone. */
static void end_open(struct election_port *port, int64_t id)
{
    struct election_link *link = find_open(port, id);
    if (link == NULL)
        return;
    link->phase = ELECTION_LINK_ENDING;
    net_connection_close(link->connection, "the server has connected again", false);
}

/* The connection stands, and takes the place of an older one to the same server. */
static void open_link(struct election_link *link)
{
    struct election_port *port = link->port;
    struct election_peer *peer = find_peer(port, link->id);
    end_open(port, link->id);
    link->phase = ELECTION_LINK_OPEN;
    if (peer != NULL && peer->word != NULL)
        say(link, slice_of(peer->word, peer->word_size));
}

static bool on_dialled(struct net_connection *connection)
{
    struct election_link *link = connection->user;
    struct election_port *port = link->port;
    struct election_peer *peer = find_peer(port, link->id);
    if (peer == NULL || peer->dial != link) { /* It has ceased to be a member meanwhile. */
        drop_link(link);
        return false;
    }
    peer->dial = NULL;
    link->connection = connection;
    say_hello(link);
    if (link->id > port->options.self_id)
        net_connection_close(connection, "the server with the higher id dials", true);
    else
        open_link(link);
    return true;
}

static bool on_accepted(struct net_connection *connection)
{
    struct election_link *link = make_link(connection->user, ELECTION_LINK_SILENT);
    if (link == NULL)
        return false;
    link->connection = connection;
    connection->user = link;
    return true;
}

/* ---- joiners ---- */

/* "host:port", an IPv6 host in brackets, several with | between. */
static bool parse_ends(struct slice text, struct ensemble_member *member)
{
    while (text.size > 0 && member->address_count < ensemble_address_count_max) {
        const uint8_t *bar = memchr(text.data, '|', text.size);
        struct slice end = slice_of(text.data, bar == NULL ? text.size : (size_t)(bar - text.data));
        text = slice_skip(text, bar == NULL ? text.size : end.size + 1);
        size_t colon = end.size;
        while (colon > 0 && end.data[colon - 1] != ':')
            colon--;
        int64_t port;
        if (colon < 2 || !ensemble_text_parse_id(slice_skip(end, colon), &port) || port == 0 ||
            port > UINT16_MAX)
            return false;
        struct slice host = slice_of(end.data, colon - 1);
        if (host.size > 2 && host.data[0] == '[' && host.data[host.size - 1] == ']')
            host = slice_of(host.data + 1, host.size - 2);
        member->addresses[member->address_count++] =
            (struct ensemble_address){.host = host, .election_port = (uint16_t)port};
    }
    return member->address_count > 0;
}

static void forget_peer(struct election_port *port, struct election_peer *peer)
{
    heap_give(port->heap, peer->word);
    heap_give(port->heap, peer->joiner_text);
    *peer = port->peers[--port->peer_count];
}

/* Room for a joiner, in the place of another that has nothing under way, if need be. */
static bool make_room(struct election_port *port)
{
    uint32_t joiner_count = 0;
    struct election_peer *idle = NULL;
    for (uint32_t index = 0; index < port->peer_count; index++) {
        struct election_peer *peer = &port->peers[index];
        joiner_count += peer->joiner_text != NULL;
        if (idle == NULL && peer->joiner_text != NULL && peer->dial == NULL &&
            find_open(port, peer->id) == NULL)
            idle = peer;
    }
    if (joiner_count < election_joiner_count_max)
        return port->peer_count < election_peer_count_max;
    if (idle != NULL)
        forget_peer(port, idle);
    return idle != NULL;
}

/* NULL: it cannot be dialled. */
static struct election_peer *find_joiner(struct election_port *port, int64_t id, struct slice text)
{
    struct election_peer *peer = find_peer(port, id);
    if (peer != NULL && peer->joiner_text == NULL)
        return peer;
    if (peer != NULL && peer->dial != NULL)
        return NULL;
    if (peer != NULL) /* It may have moved. */
        forget_peer(port, peer);
    struct ensemble_member member = {.id = id};
    char *copy = make_room(port) ? heap_take(port->heap, text.size + 1) : NULL;
    if (copy == NULL)
        return NULL;
    memcpy(copy, text.data, text.size);
    if (!parse_ends(slice_of(copy, text.size), &member)) {
        heap_give(port->heap, copy);
        return NULL;
    }
    peer = &port->peers[port->peer_count++];
    *peer = (struct election_peer){.id = id, .joiner_text = copy};
    member_route_init(&peer->route, &member, ENSEMBLE_PORT_ELECTION);
    return peer;
}

/* text: where it listens, as it says. */
static void on_hello(struct election_link *link, struct slice text)
{
    struct election_port *port = link->port;
    if (link->id == INT64_MAX)
        link->id = anonymous_id;
    if (link->id == port->options.self_id) {
        diag_warn(port->diag,
                  "a server at our election port says that it is server %" PRId64
                  " as we are: look for a wrong myid",
                  link->id);
        net_connection_close(link->connection, "it has our own id", false);
    } else if (link->id < port->options.self_id && link->id != anonymous_id) {
        struct election_peer *peer = find_joiner(port, link->id, text);
        end_open(port, link->id);
        net_connection_close(link->connection, "it has the lower id and is dialled back", false);
        if (peer != NULL)
            dial(port, peer);
    } else {
        open_link(link);
    }
}

/* ---- receiving ---- */

static struct net_verdict refuse(const char *reason)
{
    return (struct net_verdict){.kind = NET_REFUSE, .reason = reason};
}

static struct net_verdict on_length(struct net_connection *connection, uint32_t number)
{
    struct election_link *link = connection->user;
    link->head = number;
    switch (link->phase) {
    case ELECTION_LINK_SILENT:
        if (number != UINT32_MAX)
            return refuse("not the hello of a server");
        return (struct net_verdict){.kind = NET_FRAME,
                                    .length = election_hello_bytes_min - sizeof number};
    case ELECTION_LINK_GREETING:
        if (link->address_bytes < sizeof number)
            return refuse("the address in its hello is too short");
        return (struct net_verdict){.kind = NET_FRAME,
                                    .length = link->address_bytes - (uint32_t)sizeof number};
    case ELECTION_LINK_OPEN:
        if (number == 0 || number > election_message_bytes_max)
            return refuse("a notification of an impossible length");
        return (struct net_verdict){.kind = NET_FRAME, .length = number};
    case ELECTION_LINK_DIALLING:
    case ELECTION_LINK_ENDING: break;
    }
    return refuse("nothing is expected");
}

static void on_hello_head(struct election_link *link, const uint8_t *data, size_t size)
{
    uint8_t bytes[election_hello_bytes_min];
    struct election_hello hello;
    assert(size == sizeof bytes - sizeof link->head);
    store_u32(bytes, link->head);
    memcpy(bytes + sizeof link->head, data, size);
    if (election_hello_decode(bytes, &hello) != ERR_OK) {
        net_connection_close(link->connection, "its hello is malformed", false);
        return;
    }
    link->id = hello.server_id;
    link->address_bytes = hello.address_bytes;
    link->phase = ELECTION_LINK_GREETING;
}

/* Its first bytes were taken for a length. */
static void on_address(struct election_link *link, struct slice rest)
{
    uint8_t text[election_hello_address_bytes_max];
    assert(sizeof link->head + rest.size <= sizeof text);
    store_u32(text, link->head);
    memcpy(text + sizeof link->head, rest.data, rest.size);
    on_hello(link, slice_of(text, sizeof link->head + rest.size));
}

static void on_notification(struct election_link *link, struct slice bytes)
{
    struct election_port *port = link->port;
    struct zk_election_notification notification;
    if (election_message_decode(bytes, &notification) == ERR_OK)
        port->handler.on_notification(port->handler.context, link->id, &notification);
    else
        diag_warn(port->diag, "server %" PRId64 " sent a malformed notification: ignored",
                  link->id);
}

static void on_frame(struct net_connection *connection, uint8_t *data, size_t size)
{
    struct election_link *link = connection->user;
    switch (link->phase) {
    case ELECTION_LINK_SILENT: on_hello_head(link, data, size); return;
    case ELECTION_LINK_GREETING: on_address(link, slice_of(data, size)); return;
    case ELECTION_LINK_OPEN: on_notification(link, slice_of(data, size)); return;
    case ELECTION_LINK_DIALLING:
    case ELECTION_LINK_ENDING: return;
    }
}

static void on_close(struct net_connection *connection, const char *reason)
{
    struct election_link *link = connection->user;
    struct election_peer *peer = find_peer(link->port, link->id);
    (void)reason; /* net has told it. */
    if (peer != NULL && peer->dial == link)
        member_route_miss(&peer->route);
    drop_link(link);
}

static const struct net_handler accepted_handler = {
    .on_open = on_accepted, .on_length = on_length, .on_frame = on_frame, .on_close = on_close};
static const struct net_handler dialled_handler = {
    .on_open = on_dialled, .on_length = on_length, .on_frame = on_frame, .on_close = on_close};

/* ---- life ---- */

enum err election_port_init(struct election_port *port, struct io *io, struct heap *heap,
                            struct diag *diag, struct election_port_options options,
                            struct election_port_handler handler)
{
    assert(options.self_address.size <= election_hello_address_bytes_max);
    *port = (struct election_port){
        .io = io, .heap = heap, .diag = diag, .options = options, .handler = handler};
    list_init(&port->links);
    return net_init(
        &port->net, io, heap, diag,
        (struct net_options){
            .connection_count_max = 2 * ensemble_member_count_max + election_stranger_count_max,
            .backlog = ensemble_member_count_max,
            .receive_bytes_first = receive_bytes_first,
            .open_reply_count_max = 1,
            .unsent_bytes_max = unsent_bytes_max,
            .first_frame_timeout_ms = options.connect_timeout_ms,
            .send_timeout_ms = send_timeout_ms,
        });
}

enum err election_port_listen(struct election_port *port, struct io_address *address)
{
    return net_listen_wait(port->net, address, &accepted_handler, port);
}

void election_port_move(struct election_port *port, struct slice self_address, struct slice host,
                        uint16_t number)
{
    struct io_address address;
    assert(self_address.size <= election_hello_address_bytes_max);
    port->options.self_address = self_address;
    port->move = (struct port_move){.net = port->net,
                                    .diag = port->diag,
                                    .handler = &accepted_handler,
                                    .user = port,
                                    .whom = "elections"};
    (void)port_move_to(&port->move, port->io, host, number, &address);
}

void election_port_tick(struct election_port *port)
{
    struct io_address address;
    (void)port_move_tick(&port->move, port->io, &address);
}

enum err election_port_add_peer(struct election_port *port, const struct ensemble_member *member)
{
    assert(find_peer(port, member->id) == NULL && member->id != port->options.self_id);
    if (port->peer_count == election_peer_count_max)
        return ERR_LIMIT;
    struct election_peer *peer = &port->peers[port->peer_count++];
    *peer = (struct election_peer){.id = member->id};
    member_route_init(&peer->route, member, ENSEMBLE_PORT_ELECTION);
    return ERR_OK;
}

void election_port_set_peer(struct election_port *port, const struct ensemble_member *member)
{
    struct election_peer *peer = find_peer(port, member->id);
    if (peer == NULL) {
        if (election_port_add_peer(port, member) != ERR_OK)
            diag_warn(port->diag, "there is no room to dial server %" PRId64, member->id);
        return;
    }
    heap_give(port->heap, peer->joiner_text);
    peer->joiner_text = NULL;
    member_route_init(&peer->route, member, ENSEMBLE_PORT_ELECTION);
}

void election_port_retain(struct election_port *port, const struct ensemble *current,
                          const struct ensemble *next)
{
    for (uint32_t index = port->peer_count; index-- > 0;) {
        struct election_peer *peer = &port->peers[index];
        if (peer->joiner_text == NULL && ensemble_find(current, peer->id) == NULL &&
            (next == NULL || ensemble_find(next, peer->id) == NULL))
            forget_peer(port, peer);
    }
}

void election_port_send(struct election_port *port, int64_t to,
                        const struct zk_election_notification *notification)
{
    struct election_peer *peer = find_peer(port, to);
    struct election_link *link = find_open(port, to);
    if (peer == NULL) {
        if (link != NULL)
            say_to_stranger(link, notification);
        return;
    }
    if (!keep_word(port, peer, notification))
        return;
    if (link != NULL)
        say(link, slice_of(peer->word, peer->word_size));
    else
        dial(port, peer);
}

void election_port_deinit(struct election_port *port)
{
    net_deinit(port->net);
    for (uint32_t index = 0; index < port->peer_count; index++) {
        heap_give(port->heap, port->peers[index].word);
        heap_give(port->heap, port->peers[index].joiner_text);
    }
}
