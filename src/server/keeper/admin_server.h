/* Apache ZooKeeper's AdminServer: its commands over HTTP, under admin.commandURL on
 * admin.serverPort.
 *
 * Memory: embedded, and what http_server takes. Shard: the server's.
 */
#ifndef SERVER_KEEPER_ADMIN_SERVER_H
#define SERVER_KEEPER_ADMIN_SERVER_H

#include "net/http_server.h"
#include "server/keeper/admin_restore.h"
#include "server/keeper/admin_snapshot.h"

struct keeper_server;

/* Of this door and of the page of metrics. */
enum {
    admin_server_connection_count_max = 64,
    admin_server_backlog = 64,
    admin_server_send_timeout_ms = 60 * 1000,
};

struct admin_server {
    struct keeper_server *server;
    struct http_server http;
    struct admin_snapshot snapshot;
    struct admin_restore restore;
    struct io_address address;
    bool is_open;
    bool is_busy; /* Its port was in use: tried once more. */
};

void admin_server_init(struct admin_server *admin, struct keeper_server *server);

/* Listens, if the configuration wants it. That it cannot is told by diag and no more: clients are
 * served all the same. Resolves a name, so at start only. */
void admin_server_open(struct admin_server *admin);

/* A tick has passed: a port that was in use may be free, as after the kill of a former process. */
void admin_server_tick(struct admin_server *admin);

/* Closes the connections; admin_snapshot_is_idle becomes true some turns later. */
void admin_server_close(struct admin_server *admin);

/* For the parts: {"command": name, "error": error}, error NULL: null. Takes exchange. headers: as
 * in struct http_answer. */
void admin_server_answer_error(struct http_exchange *exchange, uint16_t status, const char *name,
                               const char *error, const char *headers);

#endif
