/* An HTTP/1.1 server for few connections and small answers: pages for operators.
 *
 *   bytes -> http_request -> on_request -> http_exchange_answer, now or later -> bytes
 *
 * One request of a connection is answered at a time; those that were sent behind it wait unread.
 * Bodies of requests are thrown away, but for those that on_head takes. What is malformed is
 * answered with its status and closed; a client that takes too long to send its request, or to take
 * the answer, is closed.
 *
 * Memory: a block for each connection and exchange, and the answers, from the heap given; limited
 * by connection_count_max. Shard: one owner.
 */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include "net/http_request.h"
#include "net/net.h"

struct http_server;
struct http_link;

enum http_body_event {
    HTTP_BODY_PIECE,
    HTTP_BODY_END,  /* Answer the exchange, now or later. */
    HTTP_BODY_LOST, /* Its connection is gone before the end: the exchange is too, afterwards. */
};

/* A request that is being answered. */
struct http_exchange {
    struct http_server *server;
    struct http_link *link;             /* NULL: its connection is gone; answer it all the same. */
    struct net_reply *reply;            /* NULL: the body is still to come. */
    const struct http_request *request; /* Valid until on_request returns or it is answered. */
    enum http_method method;
    bool is_keep_alive;
    struct io_address peer;
};

struct http_server_options {
    uint32_t connection_count_max;
    uint32_t idle_timeout_ms;    /* Between requests. */
    uint32_t request_timeout_ms; /* From its first byte to its last one. */
    uint32_t send_timeout_ms;    /* No byte of the answer taken for so long. */
    uint32_t backlog;
    bool waits_for_port; /* Opens as net_listen_wait does: at start only. */
    /* Called for each request: answers it, or keeps the exchange and answers later. */
    void (*on_request)(struct http_exchange *exchange, void *context);
    /* Called when a head is whole, if not NULL. True: keeps the exchange, which must not be
     * answered yet; the body goes to on_body, and on_request is not called. False: lets go of it.
     */
    bool (*on_head)(struct http_exchange *exchange, void *context);
    /* Pieces of any size; then the end, or the loss. Answers at the end only. */
    void (*on_body)(struct http_exchange *exchange, enum http_body_event event, struct slice piece,
                    void *context);
    void *context;
};

struct http_server {
    struct io *io;
    struct heap *heap;
    struct net *net; /* NULL: closed. */
    struct http_server_options options;
    uint64_t request_count;
};

/* Listens on address, which gets the port that was bound. Keeps server. Errors as net_listen, and
 * ERR_NO_MEMORY. */
MUST_CHECK enum err http_server_open(struct http_server *server, struct io *io, struct heap *heap,
                                     struct diag *diag, struct io_address *address,
                                     struct http_server_options options);

/* Closes all connections; exchanges that are kept must still be answered. On a server that is not
 * open: nothing. */
void http_server_close(struct http_server *server);

struct http_answer {
    uint16_t status;
    const char *content_type; /* NULL: none. */
    const char *headers;      /* More of them, each with its end of line; NULL: none. */
    /* The body: bytes written at http_exchange_body, or a range of a file. */
    uint64_t size;
    struct net_cut file; /* Valid if has_file; position is filled in here. */
    bool has_file;
};

/* A message with room for a body of capacity bytes at http_body_of. NULL: no memory. */
struct net_message *http_message_acquire(struct http_server *server, uint32_t capacity);
uint8_t *http_message_body(struct net_message *message);

/* Takes exchange and message; message NULL: there was no memory, and the connection is closed. */
void http_exchange_answer(struct http_exchange *exchange, struct net_message *message,
                          const struct http_answer *answer);

/* The same for an answer without a body. */
void http_exchange_answer_empty(struct http_exchange *exchange, uint16_t status,
                                const char *headers);

#endif
