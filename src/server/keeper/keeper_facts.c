#include "server/keeper/keeper_facts.h"

#include "server/keeper/client_link.h"

#include <inttypes.h>
#include <stdio.h>

const char keeper_facts_version[] = "3.9.5-rookery, built on 2026-11-22 00:00 UTC";

const char keeper_facts_not_serving[] = "This ZooKeeper instance is not currently serving requests";

/* ---- the ensemble ---- */

const struct ensemble *keeper_facts_ensemble(const struct keeper_server *server)
{
    return server->ensemble.ensemble != NULL ? server->ensemble.ensemble : &server->config.ensemble;
}

const struct ensemble_member *keeper_facts_self(const struct keeper_server *server)
{
    return ensemble_find(keeper_facts_ensemble(server), server->config.self_id);
}

uint32_t keeper_facts_voter_count(const struct keeper_server *server)
{
    const struct ensemble *ensemble = keeper_facts_ensemble(server);
    uint32_t count = 0;
    for (uint32_t index = 0; index < ensemble->member_count; index++)
        count += ensemble->members[index].is_voter;
    return count;
}

const char *keeper_facts_client_address(const struct keeper_server *server, char *text,
                                        size_t capacity)
{
    const char *host = server->config.client_port_address;
    const bool has_colon = host != NULL && strchr(host, ':') != NULL;
    snprintf(text, capacity, has_colon ? "[%s]:%u" : "%s:%u", host == NULL ? "0.0.0.0" : host,
             server->address.port);
    return text;
}

/* ---- figures ---- */

uint64_t keeper_facts_outstanding_count(const struct keeper_server *server)
{
    return server->write_count + server->wait_count;
}

uint64_t keeper_facts_watch_count(const struct keeper_server *server)
{
    const struct watch_table *watches = &server->keeper.watches;
    return watches->watch_count[WATCH_KIND_DATA] + watches->watch_count[WATCH_KIND_CHILD];
}

uint64_t keeper_facts_uptime_ms(const struct keeper_server *server)
{
    return (io_now_ns(server->shard->io) - server->started_at_ns) / 1000000;
}

uint64_t keeper_facts_open_file_count(const struct keeper_server *server)
{
    return server->host.open_file_count + net_connection_count(server->net);
}

/* ---- folders ---- */

struct folder_size {
    struct io *io;
    const char *path;
    uint64_t bytes;
};

static void on_file(void *context, const char *name)
{
    struct folder_size *folder = context;
    char path[keeper_path_bytes_max];
    struct io_file_info info;
    const int size = snprintf(path, sizeof path, "%s/%s", folder->path, name);
    if (size < 0 || (size_t)size >= sizeof path)
        return;
    if (io_file_info(folder->io, path, &info) == 0 && info.is_regular)
        folder->bytes += info.size_bytes;
}

uint64_t keeper_facts_folder_bytes(const struct keeper_server *server, const char *path)
{
    struct folder_size folder = {.io = server->shard->io, .path = path};
    (void)io_list_directory(folder.io, path, on_file, &folder);
    return folder.bytes;
}

/* ---- operations ---- */

const char *keeper_facts_op_text(int32_t type)
{
    switch (type) {
    case OP_PING: return "PING";
    case OP_CREATE_SESSION: return "SESS";
    case OP_MULTI: return "MULT";
    case OP_MULTI_READ: return "MLTR";
    case OP_CREATE:
    case OP_CREATE2:
    case OP_CREATE_TTL:
    case OP_CREATE_CONTAINER: return "CREA";
    case OP_DELETE:
    case OP_DELETE_CONTAINER: return "DELE";
    case OP_SET_DATA: return "SETD";
    case OP_RECONFIG: return "RECO";
    case OP_SET_ACL: return "SETA";
    case OP_CLOSE_SESSION: return "CLOS";
    case OP_SYNC: return "SYNC";
    case OP_CHECK: return "CHEC";
    case OP_EXISTS: return "EXIS";
    case OP_GET_DATA: return "GETD";
    case OP_SET_WATCHES: return "SETW";
    case OP_SET_WATCHES2: return "STW2";
    case OP_ADD_WATCH: return "ADDW";
    case OP_GET_ACL: return "GETA";
    case OP_GET_CHILDREN:
    case OP_GET_CHILDREN2: return "GETC";
    case OP_GET_ALL_CHILDREN_NUMBER: return "GETACN";
    case OP_CHECK_WATCHES: return "CHKW";
    case OP_REMOVE_WATCHES: return "REMW";
    case OP_WHO_AM_I: return "HOMI";
    case OP_GET_EPHEMERALS: return "GETE";
    }
    return "NA";
}

/* ---- times ---- */

int64_t keeper_facts_connection_expiry_ms(const struct client_link *client)
{
    const struct keeper_server *server = client->server;
    const int64_t step_ms = server->config.sessionless_timeout_ms;
    const int64_t timeout_ms = client->phase == CLIENT_LINK_OPEN
                                   ? client->timeout_ms
                                   : server->config.sessionless_timeout_ms;
    return ((keeper_server_now_ms(server) + timeout_ms) / step_ms + 1) * step_ms;
}

int64_t keeper_facts_wall_ms(const struct keeper_server *server, int64_t monotonic_ms)
{
    return io_wall_ms(server->shard->io) + monotonic_ms - keeper_server_now_ms(server);
}

struct keeper_facts_expiry keeper_facts_next_expiry(const struct session_table *sessions,
                                                    int64_t tick)
{
    struct keeper_facts_expiry next = {.tick = INT64_MAX};
    uint64_t position = 0;
    struct session *session = session_table_next(sessions, &position, NULL);
    for (; session != NULL; session = session_table_next(sessions, &position, session)) {
        if (session->deadline_tick <= tick || session->deadline_tick > next.tick)
            continue;
        next.count = session->deadline_tick < next.tick ? 1 : next.count + 1;
        next.tick = session->deadline_tick;
    }
    return next;
}

/* ---- the environment ---- */

void keeper_facts_each_variable(const struct keeper_server *server,
                                keeper_facts_on_variable *on_variable, void *context)
{
    static const char *const of_java[] = {
        "java.version",      "java.vendor",    "java.home",     "java.class.path",
        "java.library.path", "java.io.tmpdir", "java.compiler",
    };
    static const char *const of_user[] = {"user.name", "user.home", "user.dir"};
    const struct heap *heap = server->shard->heap;
    char megabytes[32];
    on_variable(context, "zookeeper.version", keeper_facts_version);
    on_variable(context, "host.name", server->host.host_name);
    for (size_t index = 0; index < ARRAY_COUNT(of_java); index++)
        on_variable(context, of_java[index], "<NA>");
    on_variable(context, "os.name", server->host.os_name);
    on_variable(context, "os.arch", server->host.architecture);
    on_variable(context, "os.version", server->host.os_version);
    for (size_t index = 0; index < ARRAY_COUNT(of_user); index++)
        on_variable(context, of_user[index], "<NA>");
    const size_t free_bytes =
        heap->limit_bytes > heap->used_bytes ? heap->limit_bytes - heap->used_bytes : 0;
    snprintf(megabytes, sizeof megabytes, "%zuMB", free_bytes >> 20);
    on_variable(context, "os.memory.free", megabytes);
    snprintf(megabytes, sizeof megabytes, "%zuMB", heap->limit_bytes >> 20);
    on_variable(context, "os.memory.max", megabytes);
    on_variable(context, "os.memory.total", megabytes);
    on_variable(context, "io.world", server->shard->io->world->name);
}
