/* A client connection from this broker to another one, for requests between brokers.
 *
 *   broker_link_send --> waiting --> (connected, version known, room) --> sent --> done
 *                                            |
 *       the peer's endpoint: of the metadata view, or as broker_link_route says
 *
 * It dials when a request waits, asks for ApiVersions first, and takes for each request the highest
 * version that both sides have. Requests leave in order and at most in_flight_max are unanswered.
 * A request that waits survives failed dials (with a growing pause and jitter between them) until
 * its deadline; one that was sent ends with the connection. A deadline that passes unanswered
 * closes the connection, as replies come in order. When the peer's endpoint changes or the peer
 * goes, the connection is closed; requests that wait go on to the new endpoint.
 *
 * A host name is looked up at each dial, which waits for the resolver.
 *
 * Memory: the heap; a reply's arrays up to reply_memory_bytes_max, its frame up to reply_bytes_max.
 * Shard: one owner.
 */
#ifndef SERVER_BROKER_BROKER_LINK_H
#define SERVER_BROKER_BROKER_LINK_H

#include "base/arena.h"
#include "base/diag.h"
#include "base/heap.h"
#include "base/prng.h"
#include "server/broker/delay_queue.h"
#include "server/broker/metadata_view.h"
#include "wire/wire.h"

struct net;
struct net_buffer;
struct broker_link;
struct broker_link_attempt;

/* A reply, for as long as somebody needs its bytes. */
struct broker_link_reply {
    struct heap *heap;
    struct net_buffer *buffer;
    uint32_t user_count;
    struct arena arena;
    void *block; /* What the arena stands in. */
    void *body;  /* A struct of the request's reply record; slices lend from buffer. */
};

/* Gives back a reply that was taken with broker_link_take_reply; NULL is allowed. */
void broker_link_reply_release(struct broker_link_reply *reply);

/* One request: a field of whoever waits. */
struct link_request {
    /* The caller's: set before, kept until done. */
    const struct wire_record *request;
    const struct wire_record *reply;
    int16_t api_key;
    int16_t version_min; /* What the caller can speak; the link takes the highest that the peer */
    int16_t version_max; /* has too. */
    uint32_t timeout_ms; /* From broker_link_send until done, at most. */
    /* The body as it is in this version, a struct of `request`; lent until the link has encoded it,
     * which is at once. Runs when the request is about to leave, maybe inside broker_link_send.
     * NULL: no memory. */
    const void *(*fill)(struct link_request *request, int16_t version);
    /* The last touch, exactly once, never inside broker_link_send. ERR_OK: body and version are
     * there, lent until it returns. Otherwise nothing is: ERR_TIMEOUT; ERR_CLOSED: the connection
     * was lost after the request was sent (the peer may have handled it), or the link was closed;
     * ERR_UNSUPPORTED: the peer has no such version; ERR_MALFORMED: the reply is not readable;
     * ERR_LIMIT, ERR_NO_MEMORY: it does not fit. It may close and free the link. */
    void (*done)(struct link_request *request, enum err err);
    const void *body; /* A struct of `reply`. */
    int16_t version;
    /* The link's. */
    struct broker_link *link;
    struct broker_link_reply *answer;
    struct delay delay;
    struct list place; /* In waiting, sent or ended; or alone. */
    int32_t correlation_id;
    enum err err;
};

/* Within done, after ERR_OK: the reply stays until broker_link_reply_release. */
struct broker_link_reply *broker_link_take_reply(struct link_request *request);

enum {
    /* As a peer: whoever the metadata view says is the controller. */
    broker_link_peer_controller = -2,
    broker_link_host_bytes_max = 256,
    broker_link_client_id_bytes_max = 48,
};

struct broker_link_options {
    struct io *io;
    struct net *net;
    struct heap *heap;
    struct diag *diag;
    struct delay_queue *delays;
    /* Where endpoints come from; NULL: broker_link_route says. */
    struct metadata_view *view;
    struct slice listener; /* inter.broker.listener.name; lends: as long as the link lives. */
    int32_t peer_id;       /* Or broker_link_peer_controller. */
    uint32_t in_flight_max;
    uint32_t reply_bytes_max;
    uint32_t reply_memory_bytes_max;
    uint64_t seed;         /* For the jitter. */
    const char *client_id; /* Copied: "1", "broker-1-fetcher-0". */
};

struct broker_link_version {
    int16_t api_key;
    int16_t version_min;
    int16_t version_max;
};

enum { broker_link_api_count_max = 128 };

enum broker_link_phase {
    BROKER_LINK_IDLE,    /* No connection is needed, or the peer has no endpoint. */
    BROKER_LINK_PAUSING, /* Until the next dial. */
    BROKER_LINK_DIALING,
    BROKER_LINK_GREETING, /* ApiVersions is asked for. */
    BROKER_LINK_OPEN,
    BROKER_LINK_CLOSED
};

struct broker_link {
    struct broker_link_options options;
    char client_id[broker_link_client_id_bytes_max];
    enum broker_link_phase phase;
    struct metadata_listener listener; /* In the view, if there is one. */
    char host[broker_link_host_bytes_max];
    uint16_t port; /* 0: no endpoint is known. */
    int32_t peer;  /* The broker whose endpoint that is. */
    struct broker_link_attempt *attempt;
    struct net_connection *connection; /* NULL: none. */
    struct list waiting;
    struct list sent;  /* In the order of their replies. */
    struct list ended; /* Their done is due in the next round. */
    uint32_t sent_count;
    uint32_t pause_ms;
    struct delay delay; /* Of the phase: next dial, end of the dial or of the greeting. */
    struct delay ender;
    struct prng prng;
    int32_t correlation_id;
    bool is_failing; /* Said so in diag already. */
    uint32_t version_count;
    struct broker_link_version versions[broker_link_api_count_max]; /* The peer's. */
};

/* Keeps what options point to. Nothing is dialed yet. */
void broker_link_init(struct broker_link *link, struct broker_link_options options);

/* All requests end with ERR_CLOSED before it returns, the connection is closed; sending is over.
 * After it, the link's memory is the owner's again. A second call does nothing. To be called before
 * net and the delays end. */
void broker_link_close(struct broker_link *link);

/* Keeps request until its done has run. */
void broker_link_send(struct broker_link *link, struct link_request *request);

/* A request that waits or was sent: its done runs in this call with ERR_CANCELED. One that was sent
 * takes the connection with it. */
void broker_link_cancel(struct link_request *request);

/* Without a view: where the peer is from now on; NULL: nowhere. Copied. */
void broker_link_route(struct broker_link *link, const struct broker_endpoint *endpoint);

/* Whether requests can leave at once. */
static inline bool broker_link_is_open(const struct broker_link *link)
{
    return link->phase == BROKER_LINK_OPEN;
}

#endif
