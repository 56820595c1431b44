/* One request of a client, from its frame to its reply.
 *
 *   frame -> header -> body (decoded in place) -> api->handle ... -> broker_request_reply
 *
 * A handler replies at once, or keeps the request while it waits. Memory that lives as long as the
 * request comes from it: a few KiB of its own, then blocks from the server's heap up to a limit.
 * The receive buffer is held as well, so slices of the body stay valid.
 *
 * Replies leave in the order of the requests. Requests of a connection are handled one at a time,
 * as Apache's broker does it; only an api that is pipelined (Produce) lets the next ones start.
 *
 * Memory: a free list of requests, so a steady load allocates nothing. Shard: its server's.
 */
#ifndef SERVER_BROKER_BROKER_REQUEST_H
#define SERVER_BROKER_BROKER_REQUEST_H

#include "broker/kafka_error.h"
#include "net/net.h"
#include "server/broker/delay_queue.h"
#include "server/broker/request_head.h"
#include "wire/wire.h"

#include <stdalign.h>

struct broker_request;
struct broker_server;
struct gate_call;
struct record_facts;

/* A row of the table of what this broker serves. */
struct broker_api {
    const char *name;                               /* As Apache spells it, for diag. */
    void (*handle)(struct broker_request *request); /* NULL: not served. */
    const struct wire_record *request;
    const struct wire_record *reply;
    int8_t version_max; /* The lowest is always 0. */
    bool is_pipelined;
};

struct broker_connection {
    struct list link; /* In the server's connections. */
    struct list requests;
    struct broker_server *server;
    struct net_connection *net; /* NULL: it is a gate's. */
    struct io_address peer;
    uint32_t listener_index;
    uint32_t hold_count; /* Open requests that let no other one start. */
    bool is_paused;      /* Some of them wait: nothing is read meanwhile. */
    bool *is_gone;       /* Set when the connection closes inside a handler; NULL outside. */
};

enum { broker_request_memory_bytes = 6 * 1024 };

struct broker_request {
    struct list link; /* In the connection's requests, or the server's free ones. */
    struct broker_server *server;
    struct broker_connection *connection; /* NULL once it is closed. */
    const struct broker_api *api;
    struct net_reply *reply; /* NULL: it has been answered. */
    struct net_buffer *buffer;
    struct gate_call *call; /* That a gate has made, with body and buffer: then neither is ours. */
    const struct record_facts *facts; /* Of a Produce's partitions, from a gate; may be NULL. */
    struct request_memory own;
    const void *body;       /* The decoded struct of api->request. */
    struct slice client_id; /* May be null. */
    int32_t correlation_id;
    int16_t api_key;
    int16_t version;
    bool is_holding; /* Counts in the connection's hold_count. */
    void *state;     /* The handler's. */
    /* Set by a handler that waits for something which may never come: the connection is closed.
     * It must end the request. */
    void (*cancel)(struct broker_request *request);
    struct delay delay; /* The handler's. */
    alignas(16) uint8_t memory[broker_request_memory_bytes];
};

/* Zeroed, aligned for any type; NULL: the request has reached its limit, or the heap its. Lends:
 * until the request ends. */
void *broker_request_take(struct broker_request *request, size_t size);
void *broker_request_take_array(struct broker_request *request, size_t count, size_t item_size);
struct slice broker_request_copy(struct broker_request *request, struct slice bytes);
/* Printed as with printf, cut at 255 bytes. A null slice when there is no memory. */
struct slice broker_request_print(struct broker_request *request, const char *format, ...)
    PRINTF_LIKE(2, 3);

/* Ends the request: with a reply (a struct of api->reply), without one, or by closing the
 * connection for a constant reason. */
void broker_request_reply(struct broker_request *request, const void *reply);
void broker_request_end(struct broker_request *request);
void broker_request_fail(struct broker_request *request, const char *reason);

/* As broker_request_reply; the i-th field that is WIRE_EXTERNAL is file range i, whose users have
 * been counted up. Takes the ranges. */
struct broker_file_range {
    int32_t file;
    uint32_t size;
    uint64_t position;
    uint32_t *users;
};
void broker_request_reply_files(struct broker_request *request, const void *reply,
                                const struct broker_file_range *ranges, uint32_t range_count);

/* Replies, or with NULL says nothing, but the request goes on without its client: it keeps its
 * memory and its receive buffer, and broker_request_end ends it. Its delay is stopped. */
void broker_request_answer(struct broker_request *request, const void *reply);

/* No later request of this connection starts before this one ends; called inside the handler. */
void broker_request_hold(struct broker_request *request);

/* The name of the listener that the client has connected to; inside the handler. */
struct slice broker_request_listener(const struct broker_request *request);

/* Ends the request: it has reached its limit of memory. */
void broker_request_fail_memory(struct broker_request *request);

/* The address of the client, for texts: "/127.0.0.1". */
const char *broker_request_host(const struct broker_request *request, char *text, size_t capacity);

/* Used by the server: a whole frame has come, or a request of a gate; the connection is closed. */
void broker_request_begin(struct broker_connection *connection, uint8_t *data, size_t size);
void broker_request_begin_call(struct broker_connection *connection, struct gate_call *call);
void broker_request_disconnect(struct broker_connection *connection);

struct broker_request_pool {
    struct list free;
    uint32_t free_count;
    uint32_t used_count;
};

void broker_request_pool_init(struct broker_request_pool *pool);
void broker_request_pool_deinit(struct broker_request_pool *pool, struct heap *heap);

#endif
