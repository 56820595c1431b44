/* One request of the controller's driver in flight, with everything that it points to. Most are
 * checked: they fail as a whole when another controller has taken over.
 *
 * Memory: each from the driver's heap. Shard: the driver's.
 */
#ifndef SERVER_BROKER_CONTROLLER_REQUEST_H
#define SERVER_BROKER_CONTROLLER_REQUEST_H

#include "broker/controller_decision.h"
#include "server/broker/controller_driver.h"

#include <stdalign.h>

enum {
    controller_request_path_size = 512,
    controller_request_data_size = 1280 /* A state with control_replica_count_max members. */
};

struct controller_request {
    struct zk_request request;
    struct controller_driver *driver;
    bool is_aside; /* The steps do not wait for it. */
    struct driver_topic *topic;
    struct driver_broker *broker;
    struct controller_partition *partition;
    struct controller_write write;
    void *block; /* Of a request's data that is larger; given back with it. */
    void *user;
    struct keeper_multi_op ops[3];
    char path[controller_request_path_size];
    char path_parent[controller_request_path_size];
    alignas(16) uint8_t data[controller_request_data_size];
};

/* Counted as open until it is released. NULL: no memory. */
struct controller_request *controller_request_acquire(struct controller_driver *driver,
                                                      bool is_aside);
void controller_request_release(struct controller_request *request);

static inline struct controller_request *controller_request_of(struct zk_request *request)
{
    return CONTAINER_OF(request, struct controller_request, request);
}

void controller_request_send(struct controller_request *request, enum zk_request_kind kind,
                             void (*done)(struct zk_request *request,
                                          const struct keeper_result *result));

/* A multi of op_count ops under the check of the epoch: ops[0] is the check, the caller has filled
 * the others. */
void controller_request_send_checked(struct controller_request *request, uint32_t op_count,
                                     void (*done)(struct zk_request *request,
                                                  const struct keeper_result *result));

/* Deletes the znode at the request's path under the check; that it is gone already is as good.
 * Takes request. */
void controller_request_send_delete(struct controller_request *request);

/* The code of a checked request's own part. When the check itself failed, the driver is deposed and
 * the code is KEEPER_SESSION_EXPIRED, as it is when the term is over. */
int32_t controller_request_code(struct controller_request *request,
                                const struct keeper_result *result);

/* The done of requests without consequences. */
void controller_request_ignore(struct zk_request *request, const struct keeper_result *result);

#endif
