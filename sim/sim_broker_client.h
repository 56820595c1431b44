/* A Kafka client that is written straight down, for workloads: frames, headers and correlation ids,
 * no judgement.
 *
 * Memory: the node's heap. Shard: the simulator's thread.
 */
#ifndef SIM_SIM_BROKER_CLIENT_H
#define SIM_SIM_BROKER_CLIENT_H

#include "sim/sim_link.h"
#include "wire/gen/kafka.h"

struct sim_broker_client {
    struct sim_link link;
    struct arena arena; /* Of the latest reply. */
    uint8_t *frame;     /* Of the request at hand. */
    int32_t correlation_id;
};

enum { sim_broker_frame_bytes = 1 << 16 };

void sim_broker_client_init(struct sim_broker_client *client, struct io *io, struct heap *heap);

/* One request; its correlation id, or 0: the connection is broken. */
int32_t sim_broker_client_send(struct sim_broker_client *client, int16_t key, int16_t version,
                               const struct wire_record *record, const void *body);

/* The next reply: its correlation id and body, which is lent until the next call. False: nothing in
 * time, or the connection is broken. */
bool sim_broker_client_receive(struct sim_broker_client *client, int32_t *correlation_id,
                               struct slice *body, uint64_t timeout_ns);

/* The body of a reply. False: it is not such a record. */
MUST_CHECK bool sim_broker_client_decode(struct sim_broker_client *client,
                                         const struct wire_record *record, int16_t version,
                                         struct slice body, void *out);

/* One request and its answer, while nothing else is on its way. False: nothing in time, the
 * connection is broken, or it is not such a record. */
struct sim_broker_ask {
    int16_t key;
    int16_t version;
    const struct wire_record *request_record;
    const void *request;
    const struct wire_record *reply_record;
    void *reply;
    uint64_t timeout_ns;
};
bool sim_broker_client_ask(struct sim_broker_client *client, const struct sim_broker_ask *ask);

#endif
