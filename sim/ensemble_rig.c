#include "sim/ensemble_rig.h"

#include "base/assert.h"
#include "journal/small_file.h"
#include "server/keeper/quorum_peer.h"

#include <stdio.h>
#include <stdlib.h>

static const uint64_t ns_per_ms = 1000000;
static const uint64_t ns_per_s = 1000000000;

/* What the test waits for does not come. */
static void give_up(struct ensemble_rig *rig, const char *why)
{
    sim_report(&rig->sim);
    fprintf(stderr, "ensemble_rig: %s\n", why);
    assert(false && "the ensemble does not do what the test waits for");
}

/* ---- servers ---- */

static void write_myid(struct sim_node *node, uint32_t id)
{
    char text[8];
    snprintf(text, sizeof text, "%u", (unsigned)id);
    assert(small_file_make_directory_wait(node->io, "/keeper") == 0);
    assert(small_file_replace_wait(node->io, "/keeper/myid", slice_from_text(text)) == 0);
}

static size_t print_server(const struct ensemble_rig *rig, char *text, size_t capacity,
                           uint32_t index)
{
    char host[16];
    snprintf(host, sizeof host, "node%u", (unsigned)index);
    return (size_t)snprintf(text, capacity, "server.%u=%s:2888:3888%s\n", (unsigned)(index + 1),
                            rig->hosts[index] == NULL ? host : rig->hosts[index],
                            index < rig->voter_count ? "" : ":observer");
}

static void print_config(const struct ensemble_rig *rig, char *text, size_t capacity, uint32_t self)
{
    size_t size = (size_t)snprintf(text, capacity,
                                   "dataDir=/keeper\nclientPort=%d\nadmin.enableServer=false\n"
                                   "tickTime=1000\ninitLimit=10\nsyncLimit=5\nsnapCount=40\n"
                                   "preAllocSize=16\nmaxClientCnxns=0\nmemory.limitMb=64\n"
                                   "disk.reserveMb=0\n4lw.commands.whitelist=*\n",
                                   (int)ensemble_rig_client_port);
    size += (size_t)snprintf(text + size, capacity - size, "readonlymode.enabled=%s\n",
                             rig->has_read_only_mode ? "true" : "false");
    for (uint32_t index = 0; index < rig->server_count; index++)
        if (index != rig->joiner || self == rig->joiner)
            size += print_server(rig, text + size, capacity - size, index);
    if (rig->extra != NULL && (rig->extra_for == 0 || rig->extra_for == self + 1))
        snprintf(text + size, capacity - size, "%s", rig->extra);
}

static void run_server(struct sim_node *node, void *argument)
{
    struct ensemble_rig_server *self = argument;
    const uint32_t index = (uint32_t)(self - self->rig->servers);
    struct shard shard = {
        .name = "keeper", .io = node->io, .heap = &node->heap, .diag = node->diag};
    struct keeper_config config;
    char text[2048];
    print_config(self->rig, text, sizeof text, index);
    list_init(&shard.inboxes);
    write_myid(node, index + 1);
    enum err err = keeper_config_load(
        &config, &node->heap, node->diag,
        (struct config_source){.file_name = "zoo.cfg", .text = slice_from_text(text)});
    if (err == ERR_OK)
        err = keeper_server_start(&self->server, &shard, &config);
    assert(err == ERR_OK);
    while (!self->is_stopping)
        shard_step(&shard, 100 * ns_per_ms);
    keeper_server_stop(self->server, NULL, NULL);
    while (!keeper_server_is_stopped(self->server))
        shard_step(&shard, 100 * ns_per_ms);
    keeper_server_free(self->server);
    self->server = NULL;
}

static bool is_up(const struct ensemble_rig_server *server)
{
    return server->node->state != SIM_NODE_DOWN && server->server != NULL;
}

bool ensemble_rig_is_up(const struct ensemble_rig *rig, uint32_t id)
{
    return is_up(&rig->servers[id - 1]);
}

struct keeper_server *ensemble_rig_server(const struct ensemble_rig *rig, uint32_t id)
{
    return rig->servers[id - 1].server;
}

void ensemble_rig_start(struct ensemble_rig *rig, uint32_t id)
{
    struct ensemble_rig_server *server = &rig->servers[id - 1];
    server->server = NULL;
    server->is_stopping = false;
    sim_node_start(server->node, run_server, server);
}

void ensemble_rig_kill(struct ensemble_rig *rig, uint32_t id)
{
    sim_node_kill(rig->servers[id - 1].node);
    rig->servers[id - 1].server = NULL;
}

void ensemble_rig_make(struct ensemble_rig *rig, uint64_t seed, uint32_t voter_count,
                       uint32_t observer_count)
{
    memset(rig, 0, sizeof *rig);
    rig->joiner = ensemble_rig_server_count_max;
    rig->voter_count = voter_count;
    rig->server_count = voter_count + observer_count;
    sim_init(&rig->sim,
             (struct sim_options){
                 .seed = seed,
                 .node_count = rig->server_count + 1,
                 .faults = {.delay_ns_mean = 300000, .disk_ns_mean = 50000, .sync_ns_mean = 500000},
                 .is_verbose = getenv("VERBOSE") != NULL});
    for (uint32_t index = 0; index < rig->server_count; index++)
        rig->servers[index] =
            (struct ensemble_rig_server){.rig = rig, .node = rig->sim.nodes[index]};
    rig->client_node = rig->sim.nodes[rig->server_count];
}

void ensemble_rig_start_all(struct ensemble_rig *rig)
{
    for (uint32_t id = 1; id <= rig->server_count; id++)
        ensemble_rig_start(rig, id);
}

void ensemble_rig_begin(struct ensemble_rig *rig, uint64_t seed, uint32_t voter_count,
                        uint32_t observer_count)
{
    ensemble_rig_make(rig, seed, voter_count, observer_count);
    ensemble_rig_start_all(rig);
}

void ensemble_rig_run_ms(struct ensemble_rig *rig, uint64_t ms)
{
    (void)sim_run(&rig->sim, rig->sim.now_ns + ms * ns_per_ms, NULL, NULL);
}

uint32_t ensemble_rig_leader(const struct ensemble_rig *rig)
{
    for (uint32_t index = 0; index < rig->server_count; index++)
        if (is_up(&rig->servers[index]) && rig->servers[index].server->role == KEEPER_LEADER)
            return index + 1;
    return 0;
}

static bool all_serve(void *context)
{
    const struct ensemble_rig *rig = context;
    for (uint32_t index = 0; index < rig->server_count; index++) {
        const struct ensemble_rig_server *server = &rig->servers[index];
        if (server->node->state != SIM_NODE_DOWN &&
            (server->server == NULL || !server->server->is_serving))
            return false;
    }
    return ensemble_rig_leader(rig) != 0;
}

void ensemble_rig_wait_for_all(struct ensemble_rig *rig)
{
    if (!sim_run(&rig->sim, rig->sim.now_ns + ensemble_rig_patience_s * ns_per_s, all_serve, rig))
        give_up(rig, "not all servers serve");
}

static bool all_equal(void *context)
{
    const struct ensemble_rig *rig = context;
    const struct keeper *first = NULL;
    for (uint32_t index = 0; index < rig->server_count; index++) {
        if (!is_up(&rig->servers[index]))
            continue;
        const struct keeper *keeper = &rig->servers[index].server->keeper;
        if (first == NULL)
            first = keeper;
        if (keeper->zxid_applied != first->zxid_applied ||
            keeper->tree.digest != first->tree.digest ||
            keeper->sessions.by_id.count != first->sessions.by_id.count)
            return false;
    }
    return true;
}

void ensemble_rig_wait_for_equal_trees(struct ensemble_rig *rig)
{
    if (!sim_run(&rig->sim, rig->sim.now_ns + ensemble_rig_patience_s * ns_per_s, all_equal, rig))
        give_up(rig, "the servers' trees stay different");
}

void ensemble_rig_end(struct ensemble_rig *rig)
{
    for (uint32_t index = 0; index < rig->server_count; index++)
        rig->servers[index].is_stopping = true;
    for (uint32_t index = 0; index < rig->server_count; index++)
        assert(sim_node_wait(rig->servers[index].node,
                             rig->sim.now_ns + ensemble_rig_patience_s * ns_per_s));
    sim_deinit(&rig->sim);
}

/* ---- a client ---- */

const struct zk_acl ensemble_rig_open_acl = {
    .perms = 31, .id = {.scheme = SLICE_LITERAL("world"), .id = SLICE_LITERAL("anyone")}};

enum sim_keeper_connect ensemble_rig_connect_at(struct ensemble_rig *rig,
                                                struct sim_keeper_client *client, uint32_t id,
                                                uint16_t port)
{
    struct io_address address;
    char host[16];
    snprintf(host, sizeof host, "node%u", (unsigned)(id - 1));
    assert(io_resolve(rig->client_node->io, host, port, &address) == 0);
    return sim_keeper_client_connect(client, address, ensemble_rig_timeout_ms);
}

enum sim_keeper_connect ensemble_rig_connect(struct ensemble_rig *rig,
                                             struct sim_keeper_client *client, uint32_t id)
{
    for (int attempt = 0; attempt < 1000; attempt++) {
        const enum sim_keeper_connect connected =
            ensemble_rig_connect_at(rig, client, id, ensemble_rig_client_port);
        if (connected != SIM_KEEPER_FAILED)
            return connected;
        io_run(rig->client_node->io, 50 * ns_per_ms);
    }
    give_up(rig, "a server takes no clients");
    return SIM_KEEPER_FAILED;
}

int32_t ensemble_rig_ask(struct ensemble_rig *rig, struct sim_keeper_client *client, int32_t type,
                         const struct wire_record *record, const void *value,
                         struct sim_keeper_reply *reply)
{
    const int32_t xid = sim_keeper_client_send(client, type, record, value);
    assert(xid != 0);
    do
        if (!sim_keeper_client_receive(client, reply, 30 * ns_per_s))
            give_up(rig, "no answer");
    while (reply->xid != xid);
    return reply->code;
}

int32_t ensemble_rig_create(struct ensemble_rig *rig, struct sim_keeper_client *client,
                            const char *path, int32_t flags)
{
    struct sim_keeper_reply reply;
    const struct zk_create_request request = {
        .path = slice_from_text(path),
        .data = SLICE_LITERAL("data"),
        .acl = {(struct zk_acl *)(uintptr_t)&ensemble_rig_open_acl, 1},
        .flags = flags,
    };
    return ensemble_rig_ask(rig, client, OP_CREATE, &zk_create_request_wire, &request, &reply);
}

int32_t ensemble_rig_look(struct ensemble_rig *rig, struct sim_keeper_client *client,
                          const char *path)
{
    struct sim_keeper_reply reply;
    const struct zk_sync_request sync = {.path = slice_from_text(path)};
    const struct zk_exists_request exists = {.path = slice_from_text(path)};
    assert(ensemble_rig_ask(rig, client, OP_SYNC, &zk_sync_request_wire, &sync, &reply) == CODE_OK);
    return ensemble_rig_ask(rig, client, OP_EXISTS, &zk_exists_request_wire, &exists, &reply);
}

static void run_client(struct sim_node *node, void *argument)
{
    struct ensemble_rig *rig = argument;
    struct sim_keeper_client client;
    sim_keeper_client_init(&client, node->io, &node->heap);
    rig->story(&client);
    rig->is_told = true;
}

static bool is_told(void *context)
{
    const struct ensemble_rig *rig = context;
    return rig->is_told;
}

void ensemble_rig_tell(struct ensemble_rig *rig, void (*story)(struct sim_keeper_client *client))
{
    rig->story = story;
    rig->is_told = false;
    sim_node_start(rig->client_node, run_client, rig);
    if (!sim_run(&rig->sim, rig->sim.now_ns + ensemble_rig_patience_s * ns_per_s, is_told, rig))
        give_up(rig, "the story does not end");
    (void)sim_node_wait(rig->client_node, rig->sim.now_ns + ns_per_s);
}
