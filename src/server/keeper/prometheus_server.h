/* The page /metrics for Prometheus, on metricsProvider.httpPort.
 *
 * Memory: embedded, and what http_server takes. Shard: the server's.
 */
#ifndef SERVER_KEEPER_PROMETHEUS_SERVER_H
#define SERVER_KEEPER_PROMETHEUS_SERVER_H

#include "net/http_server.h"

struct keeper_server;

struct prometheus_server {
    struct keeper_server *server;
    struct http_server http;
    struct io_address address;
    bool is_open;
};

/* Listens, if metricsProvider.className asks for it. Resolves a name, so at start only. Errors as
 * http_server_open, told by diag. */
MUST_CHECK enum err prometheus_server_open(struct prometheus_server *prometheus,
                                           struct keeper_server *server);

void prometheus_server_close(struct prometheus_server *prometheus);

#endif
