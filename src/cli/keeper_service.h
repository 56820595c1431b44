/* The keeper as a service of this process.
 *
 * Memory: see cli/service.h. Shard: the main thread's.
 */
#ifndef CLI_KEEPER_SERVICE_H
#define CLI_KEEPER_SERVICE_H

#include "cli/service.h"
#include "server/keeper/keeper_server.h"

struct keeper_service {
    struct service service;
    struct keeper_config config;
    char file_path[keeper_path_bytes_max]; /* Of the configuration. */
    struct keeper_server *server;
};

/* Reads the configuration. ERR_CONFIG, ERR_NO_MEMORY: said by diag. */
MUST_CHECK enum err keeper_service_init(struct keeper_service *keeper, struct heap *heap,
                                        struct diag *diag, struct config_source source);

#endif
