/* A service of this process: one shard on its own thread, and how its server starts and stops.
 *
 * keeper_service and broker_service embed one and fill in what is theirs.
 *
 * Memory: configuration texts from a heap of the main thread. Shard: the main thread's.
 */
#ifndef CLI_SERVICE_H
#define CLI_SERVICE_H

#include "shard/thread.h"

struct service_options {
    enum io_choice io_choice;
    enum diag_format diag_format;
    enum diag_level diag_level_min;
};

struct service {
    const char *name; /* Of the shard, for diag. */
    size_t heap_bytes_max;
    uint32_t connection_count_max; /* What its configuration lets in. */
    uint64_t handle_count_max;     /* What the process may open; 0: it is not known. */
    /* On the service's thread. The reason of an error is a line of diag. */
    enum err (*start)(struct service *service, struct shard *shard);
    /* Ends the server in its own time, then calls shard_stop. */
    void (*stop)(struct service *service, struct shard *shard);
    /* After the last round. */
    void (*end)(struct service *service);
    struct service_options options; /* Those that it was started with. */
    struct thread *thread;          /* NULL: not running. */
};

/* Starts the thread (its struct from heap) and waits until the server serves. */
MUST_CHECK enum err service_start(struct service *service, struct heap *heap,
                                  struct service_options options);

/* Asks the server to stop and waits until it has; nothing if it does not run. */
void service_stop(struct service *service);

#endif
