/* Connections: listening, framing by a 4-byte length, replies in request order, backpressure, idle
 * timeouts. Both protocols use it; it knows neither.
 *
 *   socket -> receive buffer -> on_length / on_frame (the protocol) -> net_reply_send -> socket
 *
 * Requests are framed as they arrive. The protocol reserves a reply for each request that gets one,
 * and sends it now or later; net lets replies leave in the order of reservation. net_push puts a
 * message (a watch event) behind what has been released so far, ahead of replies that are still
 * open.
 *
 * Backpressure: a connection is not read while its open replies or unsent bytes are above the
 * limits, or while paused; a peer that does not read is closed after send_timeout_ms. Above
 * connection_count_max nothing is accepted. A peer that has sent its last byte still gets the
 * replies that are open.
 *
 * Memory: connections and buffers from the heap, counted, limited by the options. Shard: one owner.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include "base/diag.h"
#include "base/heap.h"
#include "io/io.h"

struct net_connection;
struct net_pool;

/* A receive buffer. A protocol that needs a frame's bytes after on_frame returns acquires it. */
struct net_buffer {
    uint32_t users;
    uint32_t capacity;
    struct net_pool *pool;
    uint8_t data[];
};

void net_buffer_acquire(struct net_buffer *buffer);
void net_buffer_release(struct net_buffer *buffer); /* The last release gives it back. */

/* A range of a file inside a message: sent after the first `position` bytes of the message's own
 * bytes, without copying. *users is counted down when it has been sent or dropped; the owner of the
 * file counts it up when it makes the cut, and keeps the file open while it is above zero. */
struct net_cut {
    uint32_t position;
    int32_t file;
    uint64_t offset;
    uint64_t size;
    uint32_t *users;
};

/* Bytes on their way out. */
struct net_message {
    struct list link;
    struct heap *heap;
    struct net_cut *cuts; /* [cut_capacity], ascending position, behind data. */
    uint32_t cut_count;
    uint32_t cut_capacity;
    uint32_t size; /* Bytes of data to send, cuts not counted. */
    uint32_t capacity;
    /* NULL, or whom it is given back to when it has been sent or dropped: another shard, which has
     * made it. */
    void (*released)(void *owner);
    void *owner;
    uint8_t data[];
};

struct net_message_options {
    uint32_t capacity;
    uint32_t cut_capacity;
};

/* Room for a message; the caller fills data and size. NULL: the heap's limit is reached. */
struct net_message *net_message_acquire(struct heap *heap, struct net_message_options options);
void net_message_release(struct net_message *message);

/* Bytes that it puts on the wire, those of its cuts too. */
uint64_t net_message_wire_size(const struct net_message *message);

enum net_verdict_kind {
    NET_FRAME, /* A frame of `length` bytes follows. */
    NET_RAW,   /* No framing from here on: on_raw gets every byte, these four first. */
    NET_REFUSE /* Close, for the reason given. */
};

struct net_verdict {
    enum net_verdict_kind kind;
    uint32_t length;
    const char *reason; /* Constant text for diag. */
};

/* A socket that was accepted, and is connected. */
struct net_socket {
    int32_t handle;
    uint16_t local_port;
    struct io_address peer;
};

struct net_handler {
    /* NULL, or: sockets are accepted for another shard, and nothing else here is called. Takes the
     * socket, which counts as a connection until net_forget; false: refuse it. */
    bool (*on_socket)(void *user, const struct net_socket *socket);
    /* False: refuse it (the limits on counts are net's own). */
    bool (*on_open)(struct net_connection *connection);
    /* Called with the first four bytes of each frame, as a big-endian number. NULL: all is raw,
     * from the first byte on. */
    struct net_verdict (*on_length)(struct net_connection *connection, uint32_t length);
    /* A whole frame without its length. Writable and lent: until return, or as long as the protocol
     * holds net_connection_buffer. The handler may close the connection. */
    void (*on_frame)(struct net_connection *connection, uint8_t *data, size_t size);
    void (*on_raw)(struct net_connection *connection, struct slice bytes);
    /* NULL, or: the peer's end has taken bytes, and there is room for more to be pushed. */
    void (*on_sent)(struct net_connection *connection);
    /* The last call for this connection, exactly once for each on_open that returned true. Open
     * replies stay valid until sent or dropped. */
    void (*on_close)(struct net_connection *connection, const char *reason);
};

enum { net_push_factor = 8 };

struct net_options {
    uint32_t connection_count_max;
    uint32_t connection_count_max_per_address; /* 0: no limit. */
    uint32_t backlog;
    uint32_t receive_bytes_first; /* A busy connection's receive buffer, e.g. 16 KiB. */

    /* Above these, of one connection, it is no longer read. */
    uint32_t open_reply_count_max;
    uint32_t unsent_bytes_max; /* Cuts count too, and replies that wait for others. */
    /* A push above so many unsent bytes closes the connection. 0: net_push_factor times
     * unsent_bytes_max. */
    uint32_t push_bytes_max;

    /* Each closes the connection; 0: never. */
    uint32_t idle_timeout_ms; /* No byte received, and no reply owed, for so long. */
    /* An accepted connection that has not sent a whole frame, a dialed one that is not connected, a
     * request of net_connection_time_request. */
    uint32_t first_frame_timeout_ms;
    uint32_t send_timeout_ms; /* No byte taken by the peer for so long. */
};

struct net;

/* An end of a connection as the protocol sees it: set user, read the rest. */
struct net_connection {
    struct net *net;
    void *user; /* The protocol's. */
    struct io_address peer;
    uint16_t local_port; /* That it came in at; 0: it was dialed. */
    uint64_t id;         /* Grows; never used twice. */
    uint64_t received_bytes;
    uint64_t sent_bytes;
};

struct net_listener;

/* ERR_NO_MEMORY. Keeps all arguments. */
MUST_CHECK enum err net_init(struct net **net, struct io *io, struct heap *heap, struct diag *diag,
                             struct net_options options);

/* Closes everything and waits for nothing: on_close runs for each connection. The memory comes back
 * when the operations in flight have ended, within the next rounds of io_run. */
void net_deinit(struct net *net);

/* Opens a listening socket and accepts on it; address gets the port that was bound. ERR_BUSY: the
 * port is in use; ERR_PERMISSION; ERR_IO. user: what each connection's user is at on_open. */
MUST_CHECK enum err net_listen(struct net *net, struct io_address *address,
                               const struct net_handler *handler, void *user);

/* The same, and waits for up to three seconds while the port is in use: the kernel keeps the
 * sockets of an io_uring for a moment after its process was killed. At start only, as it waits. */
MUST_CHECK enum err net_listen_wait(struct net *net, struct io_address *address,
                                    const struct net_handler *handler, void *user);

/* Listens there instead of where it does; the connections stay. The sockets of the same port are
 * closed first, which takes some rounds of the io (ERR_BUSY meanwhile: call again), the others once
 * the new one is open. Nothing changes if it listens just there. Errors: as net_listen. */
MUST_CHECK enum err net_listen_move(struct net *net, struct io_address *address,
                                    const struct net_handler *handler, void *user);

/* Other limits from now on, as in net_options; nobody is closed for them. */
struct net_connection_limits {
    uint32_t count_max;
    uint32_t count_max_per_address; /* 0: no limit. */
};
void net_limit_connections(struct net *net, struct net_connection_limits limits);

/* Closes the listening sockets and leaves the connections alone: who dials from now on is refused,
 * and a client that loses its connection to a server that stops does not find that server again. */
void net_listen_stop(struct net *net);

/* Dials; on_open or on_close (if it fails) follows. ERR_NO_MEMORY, ERR_LIMIT. */
MUST_CHECK enum err net_connect(struct net *net, const struct io_address *address,
                                const struct net_handler *handler, void *user);

/* A connection on a socket that another shard has accepted; on_open follows, maybe at once, and if
 * it says no the socket is closed. False: no memory, the socket stays the caller's. */
MUST_CHECK bool net_adopt(struct net *net, const struct net_socket *socket,
                          const struct net_handler *handler, void *user);

/* A socket that on_socket took is closed: there is room for another. */
void net_forget(struct net *net, const struct io_address *peer);

/* The buffer that holds the frame of the running on_frame: acquire it to keep the frame. */
struct net_buffer *net_connection_buffer(struct net_connection *connection);

/* For a protocol that takes raw bytes, which net cannot cut into requests. The last size bytes of
 * the running on_raw come again, in front of what follows, as soon as the connection may be framed:
 * to be called once a reply was reserved for what was taken. */
void net_connection_unread(struct net_connection *connection, size_t size);

/* The same, but they come again when there are at least `wanted` bytes, more than size: what a
 * request whose end is not there yet is known to need. No room is taken for bytes that are wanted
 * and do not come. */
void net_connection_unread_until(struct net_connection *connection, size_t size, size_t wanted);

/* Not from within on_raw: what is unread comes again, however little it is. */
void net_connection_reread(struct net_connection *connection);

/* The same: a request has begun, which must be whole within first_frame_timeout_ms; or none has. */
void net_connection_time_request(struct net_connection *connection, bool has_begun);

/* Stops and starts framing and reading; pausing takes effect after the running on_frame. */
void net_connection_pause(struct net_connection *connection);
void net_connection_resume(struct net_connection *connection);

/* A place in the order of replies. */
struct net_reply {
    struct list link;
    struct net_connection *connection; /* NULL once the connection is closed. */
    struct net_message *message;
    bool is_ready;
    struct heap *heap;
};

/* NULL: the heap's limit is reached; the protocol closes the connection. Lends: until sent or
 * dropped. Of a connection that is closed: a reply that goes nowhere. */
struct net_reply *net_reply_reserve(struct net_connection *connection);

/* Takes message. It leaves when all replies reserved before it have left. */
void net_reply_send(struct net_reply *reply, struct net_message *message);

/* This request gets no reply. */
void net_reply_drop(struct net_reply *reply);

/* Takes message: leaves behind the replies released so far. Above push_bytes_max it is dropped, and
 * the connection closes soon: a peer that misses one event must not get the next. */
void net_push(struct net_connection *connection, struct net_message *message);

/* For what comes in many small pieces: room for the next size bytes, behind what has been pushed;
 * the caller fills it at once. Pieces share blocks, so that those of a loop's round leave in few
 * operations. NULL: they do not fit or no memory is left, and the connection closes soon; or it is
 * closed. */
uint8_t *net_push_room(struct net_connection *connection, size_t size);

/* Pushed or released, and not yet known to be taken by the peer's end. */
uint64_t net_connection_unsent_bytes(const struct net_connection *connection);

/* Closes when everything released so far has been sent (or at once if after_sending is false).
 * on_close runs before this returns when nothing is left to send, later otherwise; no on_frame
 * follows. */
void net_connection_close(struct net_connection *connection, const char *reason,
                          bool after_sending);

uint32_t net_connection_count(const struct net *net);
/* Ever: connections that were refused, for want of room or of memory, or that were closed because
 * no whole request came in time. */
uint64_t net_refused_count(const struct net *net);
uint64_t net_unused_count(const struct net *net);

uint32_t net_connection_open_reply_count(const struct net_connection *connection);

#endif
