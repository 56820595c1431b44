/* The controller's way to one broker: one message at a time, each made when the one before has been
 * answered, until the broker knows everything; repeated until the broker is gone.
 *
 *   own broker      replica_agent, in memory
 *   any other one   LeaderAndIsr, UpdateMetadata, StopReplica over a link of its own
 *
 * Memory: the driver's heap. Shard: the driver's.
 */
#ifndef SERVER_BROKER_CONTROLLER_CHANNEL_H
#define SERVER_BROKER_CONTROLLER_CHANNEL_H

#include "broker/controller_outbox.h"
#include "server/broker/broker_link.h"
#include "server/broker/replica_agent.h"

struct controller_driver;

struct controller_channel {
    struct controller_driver *driver;
    int32_t broker_id;
    bool is_local;
    bool is_closed; /* A local delivery is let run out; then it frees itself. */
    bool is_failing;
    struct controller_envelope *envelope; /* On its way. */
    struct delay retry;
    struct replica_agent_delivery delivery; /* Local. */
    struct broker_link link;                /* Not local. */
    struct link_request request;
    void *block; /* The request's body. */
};

/* The channel to a broker of the controller, by its record. NULL: no memory. */
struct controller_channel *controller_channel_open(struct controller_driver *driver,
                                                   const struct broker_record *record);

/* Its endpoints have changed. */
void controller_channel_move(struct controller_channel *channel,
                             const struct broker_record *record);

/* Nothing is sent any more. Takes channel; NULL is allowed. */
void controller_channel_close(struct controller_channel *channel);

/* Sends the next message if none is on its way. */
void controller_channel_pump(struct controller_channel *channel);

/* Whether the broker could not be reached, or did not answer, the last time. */
static inline bool controller_channel_is_failing(const struct controller_channel *channel)
{
    return channel->is_failing || channel->link.is_failing;
}

/* Whether the broker knows everything. */
bool controller_channel_is_idle(const struct controller_channel *channel);

#endif
