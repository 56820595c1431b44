/* How a broker stops without anybody waiting for its leaders: it asks the controller to have others
 * lead what it leads (ControlledShutdown), and waits until that is so.
 *
 * It asks a few times, with a pause between them, and goes even if some partitions have nobody
 * else.
 *
 * Memory: its own. Shard: its server's.
 */
#ifndef SERVER_BROKER_DEPARTURE_H
#define SERVER_BROKER_DEPARTURE_H

#include "server/broker/broker_link.h"
#include "server/broker/control.h"
#include "wire/gen/kafka.h"

struct broker_server;

struct departure {
    struct broker_server *server;
    void (*done)(struct departure *departure);
    struct broker_link link;
    struct link_request request;
    struct kafka_controlled_shutdown_request body;
    struct shut_down_broker local; /* When this broker is the controller. */
    struct delay delay;            /* The pause, or the limit of a local try. */
    int64_t tries_left;
    bool has_begun;
    bool is_local; /* The local request is out. */
    bool is_over;  /* done has run; a local answer may still come. */
};

/* done follows, not within this call. */
void departure_begin(struct departure *departure, struct broker_server *server,
                     void (*done)(struct departure *departure));

/* Nothing is asked any more; done does not run. It may have ended, or never have begun. */
void departure_cancel(struct departure *departure);

#endif
