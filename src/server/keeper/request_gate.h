/* How much may be in progress at a time: the bytes of large requests, and requests at all.
 *
 * A request that is over the limit of large ones closes its connection. One that is over
 * request_throttle_max_requests is held, with all that come behind it, of whatever connection; they
 * go on in order when others have ended. As Apache's RequestThrottler.
 *
 * Memory: what is held are client_wait blocks. Shard: the server's.
 */
#ifndef SERVER_KEEPER_REQUEST_GATE_H
#define SERVER_KEEPER_REQUEST_GATE_H

#include "base/list.h"
#include "server/keeper/keeper_config.h"

struct request_gate {
    uint64_t large_bytes_min;   /* Longer requests are large. */
    uint64_t large_bytes_max;   /* Of all large ones together. */
    uint64_t large_bytes;       /* In progress. */
    uint32_t request_count_max; /* 0: nothing is held. */
    uint32_t held_count;
    struct list held; /* Of client_wait. */
};

static inline void request_gate_init(struct request_gate *gate, const struct keeper_config *config)
{
    *gate = (struct request_gate){
        .large_bytes_min = config->large_request_bytes_min < 0
                               ? UINT64_MAX
                               : (uint64_t)config->large_request_bytes_min,
        .large_bytes_max = (uint64_t)config->large_requests_bytes_max,
        .request_count_max = (uint32_t)config->throttle_request_count_max,
    };
    list_init(&gate->held);
}

static inline bool request_gate_is_large(const struct request_gate *gate, size_t size)
{
    return size > gate->large_bytes_min;
}

/* Whether a request of size bytes fits beside the large ones that are in progress. */
static inline bool request_gate_admits(const struct request_gate *gate, size_t size)
{
    return !request_gate_is_large(gate, size) || gate->large_bytes + size <= gate->large_bytes_max;
}

/* It is in progress: held, waiting for a write, or a write. */
static inline void request_gate_enter(struct request_gate *gate, size_t size)
{
    if (request_gate_is_large(gate, size))
        gate->large_bytes += size;
}

/* With the size that it entered with. */
static inline void request_gate_leave(struct request_gate *gate, size_t size)
{
    if (request_gate_is_large(gate, size))
        gate->large_bytes -= size;
}

/* Whether the next one must wait while so many others are in progress. */
static inline bool request_gate_is_full(const struct request_gate *gate, uint32_t count)
{
    return gate->request_count_max > 0 && count >= gate->request_count_max;
}

#endif
