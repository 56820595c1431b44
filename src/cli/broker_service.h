/* The broker as a service of this process.
 *
 * Memory: see cli/service.h. Shard: the main thread's.
 */
#ifndef CLI_BROKER_SERVICE_H
#define CLI_BROKER_SERVICE_H

#include "cli/service.h"
#include "server/broker/broker_server.h"

/* A shard that has clients' connections. The broker's thread starts and joins it. */
struct gate_thread {
    struct broker_service *broker;
    struct gate *gate;
    struct thread *thread;
    char name[16];
};

struct broker_service {
    struct service service;
    struct broker_config config;
    struct broker_server *server;
    struct gate_thread gates[gate_count_max];
    uint32_t gate_count;
};

/* Reads the configuration. ERR_CONFIG, ERR_NO_MEMORY: said by diag. */
MUST_CHECK enum err broker_service_init(struct broker_service *broker, struct heap *heap,
                                        struct diag *diag, struct config_source source);

#endif
