/* The controller's messages as the requests LeaderAndIsr, UpdateMetadata and StopReplica, in every
 * version that Apache Kafka has had, and what their replies say of each partition.
 *
 * Memory: a request's arrays are in the caller's arena; its slices lend from the message. Shard:
 * none.
 */
#ifndef BROKER_CONTROL_WIRE_H
#define BROKER_CONTROL_WIRE_H

#include "base/arena.h"
#include "base/macros.h"
#include "broker/control_message.h"
#include "wire/wire.h"

/* What a kind of message is on the wire. */
struct control_wire_api {
    int16_t key;
    int16_t version_max; /* The lowest is 0. */
    const struct wire_record *request;
    const struct wire_record *reply;
};
struct control_wire_api control_wire_api_of(enum control_message_kind kind);

/* The bytes that control_wire_request takes from its arena at most. */
size_t control_wire_size(const struct control_message *message);

/* The struct of the request. listener: the name of the one that brokers use among themselves, for
 * the leaders' addresses. In a StopReplica all are deleted or none. NULL: the arena is full. */
const void *control_wire_request(const struct control_message *message, struct slice listener,
                                 int16_t version, struct arena *arena);

/* The error of the whole reply; each partition that it names is shown to each, by name or, with a
 * null name, by id. */
struct control_wire_error {
    struct slice topic;
    struct uuid topic_id;
    int32_t index;
    int16_t code;
};
int16_t control_wire_read(enum control_message_kind kind, const void *reply,
                          void (*each)(void *context, const struct control_wire_error *error),
                          void *context);

#endif
