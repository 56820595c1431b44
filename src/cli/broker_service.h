/* The broker as a service of this process.
 *
 * Memory: see cli/service.h. Shard: the main thread's.
 */
#ifndef CLI_BROKER_SERVICE_H
#define CLI_BROKER_SERVICE_H

#include "cli/service.h"
#include "server/broker/broker_server.h"

struct broker_service {
    struct service service;
    struct broker_config config;
    struct broker_server *server;
};

/* Reads the configuration. ERR_CONFIG, ERR_NO_MEMORY: said by diag. */
MUST_CHECK enum err broker_service_init(struct broker_service *broker, struct heap *heap,
                                        struct diag *diag, struct config_source source);

#endif
