/* The keeper server with a few clients that do everything the protocol allows to one small tree,
 * in pipelines, while servers, clients, power, disks and the network fail.
 *
 * The clients write down what they ask and what they are told; afterwards all of it is judged by a
 * model of the protocol that walks along the server's transaction log (sim/keeper_judge.h).
 */
#include "base/bytes.h"
#include "keeper/op.h"
#include "server/keeper/keeper_server.h"
#include "sim/keeper_judge.h"
#include "sim/sim_keeper_client.h"
#include "sim/sim_net.h"
#include "sim/workload.h"

#include <stdio.h>

enum {
    client_count_max = 4,
    client_port = 2181,
    outstanding_count_max = 24,
    known_count_max = 16,
    data_bytes_max = 600,
    trouble_count_max = 60,
    swarm_length = 4,
    list_count_max = 3,
    config_bytes = 600,
};

static const uint64_t ns_per_ms = 1000000;
static const uint64_t ns_per_s = 1000000000;
static const uint64_t answer_ns_max = 20000000000;
static const uint64_t run_ns_max = 3600000000000;

struct owner {
    struct play *play;
    uint32_t index;
    uint32_t steps_left;
    bool is_finished;
};

enum { op_kind_count = 30 };

struct play {
    const struct sim_workload_options *options;
    struct sim_workload_result *result;
    struct sim *sim;
    struct prng prng;
    struct keeper_history history;
    struct model_options model;
    uint32_t tick_ms;
    uint32_t reap_interval_ms;
    uint32_t weights[op_kind_count];
    uint32_t weight_sum;
    uint32_t client_count;
    struct owner owners[client_count_max];
    char config[config_bytes];
    bool is_stopping;
    enum err start_err;
    bool may_fail; /* A disk error or a full disk may end the server. */
    uint32_t revival_count;
    uint64_t quiet_ns;
};

struct player {
    struct play *play;
    struct owner *owner;
    struct sim_node *node;
    struct sim_keeper_client clients[2]; /* A session may move from one to the other. */
    struct sim_keeper_client *client;    /* The one at hand. */
    struct history_connection *connection;
    uint32_t outstanding_count;
    char known[known_count_max][model_path_bytes]; /* Names that it was given. */
    uint32_t known_count;
    uint8_t data[data_bytes_max];
};

static bool is_over(const struct player *player)
{
    return player->play->result->verdict != SIM_RIGHT;
}

static bool is_open(const struct player *player)
{
    return player->client->link.handle != io_handle_none;
}

/* ---- The server. ---- */

static void step_server(struct play *play, struct keeper_server *server)
{
    shard_step(server->shard, 100 * ns_per_ms);
    keeper_history_note(
        &play->history,
        (struct history_progress){server->keeper.zxid_prepared, server->keeper.zxid_applied},
        play->sim->now_ns);
}

static void run_server(struct sim_node *node, void *argument)
{
    struct play *play = argument;
    struct keeper_history *history = &play->history;
    struct shard shard = {
        .name = "keeper", .io = node->io, .heap = &node->heap, .diag = node->diag};
    struct keeper_config config;
    struct keeper_server *server;
    list_init(&shard.inboxes);
    const enum err err = keeper_config_load(
        &config, &node->heap, node->diag,
        (struct config_source){.file_name = "zoo.cfg", .text = slice_from_text(play->config)});
    assert(err == ERR_OK);
    const uint64_t boundaries_before = node->disk.boundary_count;
    play->start_err = keeper_server_start(&server, &shard, &config);
    if (play->start_err != ERR_OK)
        return;
    keeper_history_start(history, server->keeper.zxid_applied, play->sim->now_ns);
    if (history->life_count == 2)
        play->result->recovery_boundary_count = node->disk.boundary_count - boundaries_before;
    while (!play->is_stopping)
        step_server(play, server);
    keeper_server_stop(server, NULL, NULL);
    while (!keeper_server_is_stopped(server))
        step_server(play, server);
    keeper_server_free(server);
}

static void draw_config(struct play *play)
{
    static const uint32_t ticks_ms[] = {100, 200, 500};
    struct prng *prng = &play->prng;
    const bool has_ttl = prng_chance(prng, 3, 4);
    const bool skip_acl = prng_chance(prng, 1, 12);
    play->tick_ms = ticks_ms[prng_below(prng, ARRAY_COUNT(ticks_ms))];
    play->reap_interval_ms = (uint32_t)prng_between(prng, 100, 2000);
    play->model = (struct model_options){
        .skip_acl = skip_acl,
        .has_ttl = has_ttl,
        .unused_ms_max = prng_chance(prng, 1, 3) ? (int64_t)prng_between(prng, 200, 3000) : 0,
        .timeout_ms_min = 2 * (int32_t)play->tick_ms,
        .timeout_ms_max = 20 * (int32_t)play->tick_ms,
        .super_digest = "super:D/InIHSb7yEEbrWz8b9l71RjZJU=",
    };
    const int size = snprintf(
        play->config, sizeof play->config,
        "dataDir=/keeper\nclientPort=%d\ntickTime=%u\nsnapCount=%u\npreAllocSize=16\n"
        "maxClientCnxns=0\njute.maxbuffer=65536\nmemory.limitMb=64\ndisk.reserveMb=1\n"
        "globalOutstandingLimit=%u\nskipACL=%s\nextendedTypesEnabled=%s\n"
        "znode.container.checkIntervalMs=%u\nznode.container.maxNeverUsedIntervalMs=%u\n"
        "DigestAuthenticationProvider.superDigest=%s\n",
        client_port, play->tick_ms, (unsigned)prng_between(prng, 10, 200),
        prng_chance(prng, 1, 3) ? 3 : 1000, skip_acl ? "yes" : "no", has_ttl ? "true" : "false",
        play->reap_interval_ms, (unsigned)play->model.unused_ms_max, play->model.super_digest);
    assert(size > 0 && size < config_bytes);
}

/* ---- What clients say. ---- */

static struct slice draw_path(struct player *player, char path[model_path_bytes])
{
    static const char *const odd[] = {"/",     "/",     "/zookeeper", "/a/",
                                      "/a//b", "/a/..", "name",       "/a/b/c/a/b"};
    struct prng *prng = &player->play->prng;
    if (player->known_count > 0 && prng_chance(prng, 1, 6)) {
        const uint64_t index = prng_below(prng, player->known_count);
        memcpy(path, player->known[index], model_path_bytes);
    } else if (prng_chance(prng, 1, 25)) {
        snprintf(path, model_path_bytes, "%s", odd[prng_below(prng, ARRAY_COUNT(odd))]);
    } else {
        const uint64_t depth = prng_between(prng, 1, 3);
        char *at = path;
        for (uint64_t level = 0; level < depth; level++) {
            *at++ = '/';
            *at++ = (char)('a' + prng_below(prng, 3));
        }
        *at = '\0';
    }
    return slice_from_text(path);
}

static int32_t draw_version(struct prng *prng)
{
    return prng_chance(prng, 1, 2) ? -1 : (int32_t)prng_below(prng, 4);
}

/* Null and empty are two things. */
static struct slice draw_data(struct player *player)
{
    struct prng *prng = &player->play->prng;
    if (prng_chance(prng, 1, 10))
        return SLICE_NULL;
    const size_t size = prng_below(prng, prng_chance(prng, 1, 5) ? data_bytes_max : 20);
    for (size_t index = 0; index < size; index++)
        player->data[index] = (uint8_t)prng_next(prng);
    return slice_of(player->data, size);
}

#define ID(scheme_text, id_text)                                                                   \
    {                                                                                              \
        .scheme = SLICE_LITERAL(scheme_text), .id = SLICE_LITERAL(id_text)                         \
    }

static const struct zk_id open_id = ID("world", "anyone");

static const struct zk_id ids[] = {
    ID("world", "anyone"),
    ID("auth", ""),
    ID("digest", "ann:7RJfAeIvrl4zdj6sS2fXrQHDvHM="),
    ID("digest", "bob:4rsXV9JgUbFl9ZE40xENilxlRV8="),
    ID("ip", "10.0.0.2"),
    ID("ip", "10.0.0.2/31"),
    ID("ip", "10.0.0.0/8"),
    ID("digest", "nobody"),
    ID("world", "somebody"),
    ID("x", "y"),
};

/* Mostly open, or nothing much would happen. */
static int32_t draw_acl(struct prng *prng, struct zk_acl acl[list_count_max])
{
    if (prng_chance(prng, 3, 5)) {
        acl[0] = (struct zk_acl){.perms = 31, .id = open_id};
        return 1;
    }
    const int32_t count = prng_chance(prng, 1, 20) ? 0 : (int32_t)prng_between(prng, 1, 3);
    for (int32_t index = 0; index < count; index++) {
        const size_t known_count = prng_chance(prng, 1, 10) ? ARRAY_COUNT(ids) : 7;
        acl[index].id = ids[prng_below(prng, known_count)];
        acl[index].perms = prng_chance(prng, 1, 2) ? 31 : (int32_t)prng_below(prng, 32);
    }
    return count;
}

/* One operation of a kind, with room for what it refers to. */
struct draft {
    char path[model_path_bytes];
    struct zk_acl acl[list_count_max];
    uint8_t data[data_bytes_max];
    union {
        struct zk_create_request create;
        struct zk_create_ttl_request create_ttl;
        struct zk_delete_request remove;
        struct zk_set_data_request set_data;
        struct zk_set_acl_request set_acl;
        struct zk_check_request check;
        struct zk_get_data_request read;
        struct zk_check_watches_request watch;
        struct zk_sync_request sync;
    } as;
};

static struct slice draft_data(struct player *player, struct draft *draft)
{
    const struct slice data = draw_data(player);
    if (data.data == NULL)
        return data;
    memcpy(draft->data, data.data, data.size);
    return slice_of(draft->data, data.size);
}

static int32_t draw_flags(struct prng *prng, int32_t type)
{
    /* Before it is applied, a container that is asked for with the flag of an ephemeral is one:
     * what happens to it is a matter of time. */
    if (type == OP_CREATE_CONTAINER)
        return prng_chance(prng, 1, 15) ? 2 : 4;
    if (prng_chance(prng, 1, 15))
        return (int32_t)prng_below(prng, 9) - 1;
    if (type == OP_CREATE_TTL)
        return prng_chance(prng, 1, 2) ? 5 : 6;
    return (int32_t)prng_below(prng, 4);
}

static void draw_create(struct player *player, int32_t type, struct draft *draft)
{
    struct prng *prng = &player->play->prng;
    struct zk_create_ttl_request create = {.flags = draw_flags(prng, type)};
    create.path = draw_path(player, draft->path);
    create.data = draft_data(player, draft);
    create.acl.items = draft->acl;
    create.acl.count = draw_acl(prng, draft->acl);
    create.ttl_ms = prng_chance(prng, 1, 20) ? (int64_t)prng_below(prng, 3) - 1
                                             : (int64_t)prng_between(prng, 1, 4000);
    if (type == OP_CREATE_TTL) {
        draft->as.create_ttl = create;
        return;
    }
    draft->as.create =
        (struct zk_create_request){.path = create.path, .data = create.data, .flags = create.flags};
    draft->as.create.acl.items = create.acl.items;
    draft->as.create.acl.count = create.acl.count;
}

static struct sim_keeper_part draw_part(struct player *player, int32_t type, struct draft *draft)
{
    struct prng *prng = &player->play->prng;
    switch (type) {
    case OP_CREATE:
        draw_create(player, type, draft);
        return (struct sim_keeper_part){type, &zk_create_request_wire, &draft->as};
    case OP_CREATE2:
    case OP_CREATE_CONTAINER:
        draw_create(player, type, draft);
        return (struct sim_keeper_part){type, &zk_create_request_wire, &draft->as};
    case OP_CREATE_TTL:
        draw_create(player, type, draft);
        return (struct sim_keeper_part){type, &zk_create_ttl_request_wire, &draft->as};
    case OP_DELETE:
        draft->as.remove = (struct zk_delete_request){.path = draw_path(player, draft->path),
                                                      .version = draw_version(prng)};
        return (struct sim_keeper_part){type, &zk_delete_request_wire, &draft->as};
    case OP_SET_DATA:
        draft->as.set_data = (struct zk_set_data_request){.path = draw_path(player, draft->path),
                                                          .data = draft_data(player, draft),
                                                          .version = draw_version(prng)};
        return (struct sim_keeper_part){type, &zk_set_data_request_wire, &draft->as};
    case OP_CHECK:
        draft->as.check = (struct zk_check_request){.path = draw_path(player, draft->path),
                                                    .version = draw_version(prng)};
        return (struct sim_keeper_part){type, &zk_check_request_wire, &draft->as};
    default: break;
    }
    assert(type == OP_GET_DATA || type == OP_GET_CHILDREN);
    draft->as.read = (struct zk_get_data_request){.path = draw_path(player, draft->path),
                                                  .watch = prng_chance(prng, 1, 2)};
    return (struct sim_keeper_part){type, &zk_get_data_request_wire, &draft->as};
}

static void send_part(struct player *player, int32_t type)
{
    struct draft draft;
    const struct sim_keeper_part part = draw_part(player, type, &draft);
    (void)sim_keeper_client_send(player->client, part.type, part.record, part.value);
}

static void send_multi(struct player *player, int32_t type)
{
    static const int32_t writes[] = {OP_CREATE,     OP_CREATE2,  OP_DELETE, OP_SET_DATA,
                                     OP_SET_DATA,   OP_CHECK,    OP_CREATE, OP_CREATE_CONTAINER,
                                     OP_CREATE_TTL, OP_SET_DATA, OP_DELETE};
    static const int32_t reads[] = {OP_GET_DATA, OP_GET_CHILDREN};
    struct prng *prng = &player->play->prng;
    struct draft drafts[4];
    struct sim_keeper_part parts[4];
    const uint32_t count = (uint32_t)prng_below(prng, 5);
    for (uint32_t index = 0; index < count; index++) {
        const int32_t part = type == OP_MULTI ? writes[prng_below(prng, ARRAY_COUNT(writes))]
                                              : reads[prng_below(prng, ARRAY_COUNT(reads))];
        parts[index] = draw_part(player, part, &drafts[index]);
        /* In a multi only this way of asking for a time to live can be understood. */
        if (part == OP_CREATE || part == OP_CREATE2)
            drafts[index].as.create.flags = (int32_t)prng_below(prng, 5);
        if (part == OP_CREATE_TTL)
            drafts[index].as.create_ttl.flags = prng_chance(prng, 1, 2) ? 5 : 6;
    }
    (void)sim_keeper_client_send_multi(player->client, type, parts, count);
}

static void send_set_acl(struct player *player)
{
    struct draft draft;
    struct prng *prng = &player->play->prng;
    struct zk_set_acl_request set = {.version = draw_version(prng)};
    set.path = draw_path(player, draft.path);
    set.acl.items = draft.acl;
    set.acl.count = draw_acl(prng, draft.acl);
    if (set.path.size == 1)
        return; /* The root stays open, or nobody would get on. */
    (void)sim_keeper_client_send(player->client, OP_SET_ACL, &zk_set_acl_request_wire, &set);
}

static void send_read(struct player *player, int32_t type)
{
    char path[model_path_bytes];
    const struct zk_get_data_request read = {.path = draw_path(player, path),
                                             .watch = prng_chance(&player->play->prng, 1, 2)};
    (void)sim_keeper_client_send(player->client, type, &zk_get_data_request_wire, &read);
}

/* Operations on a path alone, or a prefix. */
static void send_path(struct player *player, int32_t type)
{
    char path[model_path_bytes];
    const struct zk_sync_request request = {.path = draw_path(player, path)};
    (void)sim_keeper_client_send(player->client, type, &zk_sync_request_wire, &request);
}

static void send_watch(struct player *player, int32_t type)
{
    char path[model_path_bytes];
    struct prng *prng = &player->play->prng;
    const int32_t number =
        type == OP_ADD_WATCH ? (int32_t)prng_below(prng, 2) : (int32_t)prng_between(prng, 1, 5);
    const struct zk_check_watches_request request = {.path = draw_path(player, path),
                                                     .type = number};
    (void)sim_keeper_client_send(player->client, type, &zk_check_watches_request_wire, &request);
}

struct path_list {
    char texts[list_count_max][model_path_bytes];
    struct slice items[list_count_max];
};

static int32_t draw_paths(struct player *player, struct path_list *list)
{
    const int32_t count = (int32_t)prng_below(&player->play->prng, list_count_max + 1);
    for (int32_t index = 0; index < count; index++)
        list->items[index] = draw_path(player, list->texts[index]);
    return count;
}

#define DRAW_PATHS(player, list, field)                                                            \
    ((field).items = (list)->items, (field).count = draw_paths((player), (list)))

/* Watches of an earlier connection, as of what was seen then. */
static void send_set_watches(struct player *player, int32_t type)
{
    struct prng *prng = &player->play->prng;
    struct path_list lists[5];
    struct zk_set_watches2_request set = {
        .relative_zxid = prng_chance(prng, 2, 3)
                             ? player->client->last_zxid
                             : (int64_t)prng_below(prng, (uint64_t)player->client->last_zxid + 1)};
    DRAW_PATHS(player, &lists[0], set.data_watches);
    DRAW_PATHS(player, &lists[1], set.exist_watches);
    DRAW_PATHS(player, &lists[2], set.child_watches);
    DRAW_PATHS(player, &lists[3], set.persistent_watches);
    DRAW_PATHS(player, &lists[4], set.persistent_recursive_watches);
    if (type == OP_SET_WATCHES2) {
        (void)sim_keeper_client_send_as(player->client, -8, type, &zk_set_watches2_request_wire,
                                        &set);
        return;
    }
    struct zk_set_watches_request older = {.relative_zxid = set.relative_zxid};
    older.data_watches.items = set.data_watches.items;
    older.data_watches.count = set.data_watches.count;
    older.exist_watches.items = set.exist_watches.items;
    older.exist_watches.count = set.exist_watches.count;
    older.child_watches.items = set.child_watches.items;
    older.child_watches.count = set.child_watches.count;
    (void)sim_keeper_client_send_as(player->client, -8, type, &zk_set_watches_request_wire, &older);
}

static void send_auth(struct player *player)
{
    static const char *const secrets[] = {"ann:secret", "bob:builder", "super:test", "ann:secret",
                                          "bob:builder"};
    struct prng *prng = &player->play->prng;
    const bool is_bad = prng_chance(prng, 1, 15);
    const struct zk_auth_request auth = {
        .scheme = is_bad ? SLICE_LITERAL("nothing") : SLICE_LITERAL("digest"),
        .auth = slice_from_text(secrets[prng_below(prng, ARRAY_COUNT(secrets))])};
    (void)sim_keeper_client_send_as(player->client, -4, OP_AUTH, &zk_auth_request_wire, &auth);
}

static void send_reconfig(struct player *player)
{
    const struct zk_reconfig_request request = {.config_id = -1};
    (void)sim_keeper_client_send(player->client, OP_RECONFIG, &zk_reconfig_request_wire, &request);
}

static const struct {
    int32_t type; /* enum op */
    uint32_t weight_max;
} op_kinds[op_kind_count] = {
    {OP_CREATE, 40},
    {OP_CREATE2, 15},
    {OP_CREATE_CONTAINER, 6},
    {OP_CREATE_TTL, 8},
    {OP_DELETE, 25},
    {OP_SET_DATA, 25},
    {OP_SET_ACL, 6},
    {OP_MULTI, 25},
    {OP_RECONFIG, 1},
    {OP_EXISTS, 15},
    {OP_GET_DATA, 15},
    {OP_GET_ACL, 6},
    {OP_GET_CHILDREN, 10},
    {OP_GET_CHILDREN2, 10},
    {OP_SYNC, 4},
    {OP_PING, 6},
    {OP_CHECK_WATCHES, 5},
    {OP_REMOVE_WATCHES, 5},
    {OP_ADD_WATCH, 6},
    {OP_MULTI_READ, 6},
    {OP_SET_WATCHES, 3},
    {OP_SET_WATCHES2, 3},
    {OP_GET_EPHEMERALS, 4},
    {OP_GET_ALL_CHILDREN_NUMBER, 4},
    {OP_WHO_AM_I, 2},
    {OP_AUTH, 3},
    {OP_CLOSE_SESSION, 1},
    {OP_NOTIFICATION, 8},     /* Not sent: a rest. */
    {OP_ERROR, 1},            /* Not sent: the connection is dropped. */
    {OP_DELETE_CONTAINER, 1}, /* Not sent: the session moves. */
};

/* A third of the kinds do not happen at all; but znodes are made. */
static void draw_weights(struct play *play)
{
    for (uint32_t index = 0; index < op_kind_count; index++) {
        play->weights[index] =
            prng_chance(&play->prng, 1, 3) && index > 0
                ? 0
                : (uint32_t)prng_between(&play->prng, 1, op_kinds[index].weight_max);
        play->weight_sum += play->weights[index];
    }
}

static void send_request(struct player *player, int32_t type)
{
    switch (type) {
    case OP_MULTI:
    case OP_MULTI_READ: send_multi(player, type); return;
    case OP_SET_ACL: send_set_acl(player); return;
    case OP_EXISTS:
    case OP_GET_CHILDREN2: send_read(player, type); return;
    case OP_GET_ACL:
    case OP_SYNC:
    case OP_GET_EPHEMERALS:
    case OP_GET_ALL_CHILDREN_NUMBER: send_path(player, type); return;
    case OP_CHECK_WATCHES:
    case OP_REMOVE_WATCHES:
    case OP_ADD_WATCH: send_watch(player, type); return;
    case OP_SET_WATCHES:
    case OP_SET_WATCHES2: send_set_watches(player, type); return;
    case OP_AUTH: send_auth(player); return;
    case OP_RECONFIG: send_reconfig(player); return;
    case OP_PING: (void)sim_keeper_client_send_as(player->client, -2, type, NULL, NULL); return;
    case OP_WHO_AM_I:
    case OP_CLOSE_SESSION: (void)sim_keeper_client_send(player->client, type, NULL, NULL); return;
    default: send_part(player, type);
    }
}

/* ---- What clients hear. ---- */

static void on_request(void *context, struct slice request)
{
    struct player *player = context;
    player->outstanding_count++;
    keeper_history_ask(&player->play->history, player->connection,
                       (struct history_request){.xid = load_i32(request.data),
                                                .type = load_i32(request.data + 4),
                                                .body = slice_skip(request, 8),
                                                .sent_ns = player->play->sim->now_ns});
}

/* A name that a create was given is worth coming back to. */
static void keep_name(struct player *player, struct slice body)
{
    if (body.size < 4 || load_u32(body.data) > body.size - 4)
        return;
    const struct slice name = slice_of(body.data + 4, load_u32(body.data));
    if (name.size == 0 || name.data[0] != '/' || name.size > 20)
        return;
    for (size_t index = 0; index < name.size; index++) /* Another answer's bytes, perhaps. */
        if (strchr("/abc0123456789", name.data[index]) == NULL || name.data[index] == '\0')
            return;
    MODEL_TEXT(player->known[prng_below(&player->play->prng, known_count_max)], name);
    for (uint32_t index = 0; index < known_count_max; index++)
        if (player->known[index][0] == '\0')
            memcpy(player->known[index], "/a", 3);
    player->known_count = known_count_max;
}

/* The next frame. False: the connection is broken, or nothing comes. */
static bool hear(struct player *player, struct sim_keeper_reply *reply, uint64_t timeout_ns)
{
    if (!sim_keeper_client_receive(player->client, reply, timeout_ns))
        return false;
    player->client->last_zxid = max_i64(player->client->last_zxid, reply->zxid);
    keeper_history_hear(&player->play->history, player->connection,
                        (struct history_frame){.xid = reply->xid,
                                               .zxid = reply->zxid,
                                               .code = reply->code,
                                               .body = reply->body,
                                               .received_ns = player->play->sim->now_ns});
    if (reply->xid != -1) {
        player->outstanding_count--;
        if (reply->code == 0)
            keep_name(player, reply->body);
    }
    return true;
}

static void hang_up(struct player *player)
{
    sim_link_close(&player->client->link);
    if (player->connection != NULL && player->connection->closed_ns == UINT64_MAX)
        player->connection->closed_ns = player->play->sim->now_ns;
    player->outstanding_count = 0;
}

/* ---- A client's life. ---- */

static void note_open(struct player *player, struct history_connection *connection)
{
    connection->outcome = HISTORY_OPEN;
    connection->session_id = player->client->session_id;
    connection->timeout_ms = player->client->timeout_ms;
    memcpy(connection->password, player->client->password, sizeof connection->password);
}

/* Once in a while it tries what must not work. */
static void spoil(struct player *player, struct history_connection *connection)
{
    struct prng *prng = &player->play->prng;
    if (player->client->session_id != 0 && prng_chance(prng, 1, 15)) {
        connection->has_wrong_password = true;
        player->client->password[prng_below(prng, 16)] ^= 1;
    } else if (prng_chance(prng, 1, 30)) {
        connection->has_future_zxid = true;
        player->client->last_zxid = INT64_MAX / 2;
    }
}

static void dial(struct player *player)
{
    struct play *play = player->play;
    struct sim_keeper_client *client = player->client;
    const int64_t session_before = client->session_id;
    const int64_t zxid_before = client->last_zxid;
    uint8_t password_before[16];
    memcpy(password_before, client->password, sizeof password_before);
    struct history_connection *connection =
        keeper_history_dial(&play->history, player->owner->index);
    connection->asked_session_id = client->session_id;
    connection->asked_timeout_ms = (int32_t)prng_below(&play->prng, 25 * play->tick_ms);
    connection->dialled_ns = play->sim->now_ns;
    spoil(player, connection);
    const enum sim_keeper_connect result = sim_keeper_client_connect(
        client, sim_net_address(0, client_port), connection->asked_timeout_ms);
    const bool was_spoiled = connection->has_wrong_password || connection->has_future_zxid;
    connection->answered_ns = play->sim->now_ns;
    if (result == SIM_KEEPER_NEW || result == SIM_KEEPER_RESUMED)
        note_open(player, connection);
    else if (result == SIM_KEEPER_EXPIRED)
        connection->outcome = HISTORY_REFUSED;
    if (was_spoiled) { /* Its session is still its own. */
        client->session_id = session_before;
        memcpy(client->password, password_before, sizeof password_before);
        client->last_zxid = zxid_before;
        sim_link_close(&client->link);
    }
    player->connection = connection;
    player->outstanding_count = 0;
    if (!is_open(player))
        connection->closed_ns = play->sim->now_ns;
}

/* The session moves to another connection; the old one is still open and speaks on, in vain. */
static void move(struct player *player)
{
    static const int32_t types[] = {OP_CREATE, OP_SET_DATA, OP_MULTI, OP_EXISTS, OP_PING};
    struct prng *prng = &player->play->prng;
    struct sim_keeper_reply reply;
    struct sim_keeper_client *old = player->client;
    struct history_connection *old_connection = player->connection;
    struct sim_keeper_client *new = &player->clients[old == &player->clients[0]];
    new->session_id = old->session_id;
    new->xid = old->xid;
    new->last_zxid = old->last_zxid;
    memcpy(new->password, old->password, sizeof new->password);
    player->client = new;
    dial(player);
    struct history_connection *new_connection = player->connection;
    player->client = old;
    player->connection = old_connection;
    old->xid = new->xid;
    for (uint64_t count = prng_below(prng, 4); count > 0 && is_open(player); count--)
        send_request(player, types[prng_below(prng, ARRAY_COUNT(types))]);
    while (is_open(player) && hear(player, &reply, prng_below(prng, 200 * ns_per_ms)))
        ;
    hang_up(player);
    new->xid = old->xid;
    player->client = new;
    player->connection = new_connection;
}

/* A long one ends about when the session does: what is sent then may find it ending. */
static void rest(struct player *player)
{
    struct prng *prng = &player->play->prng;
    struct sim_keeper_reply reply;
    const bool is_long = prng_chance(prng, 1, 6);
    const uint64_t tick_ns = player->play->tick_ms * ns_per_ms;
    const uint64_t timeout_ns = (uint64_t)player->client->timeout_ms * ns_per_ms;
    const uint64_t rest_ns =
        is_long ? timeout_ns + prng_below(prng, 2 * tick_ns) : prng_below(prng, 600 * ns_per_ms);
    const bool has_heard = hear(player, &reply, rest_ns);
    if (!has_heard && is_open(player) && prng_chance(prng, 1, 2))
        send_request(player, OP_PING);
}

static void take_step(struct player *player)
{
    struct play *play = player->play;
    struct sim_keeper_reply reply;
    uint64_t choice = prng_below(&play->prng, play->weight_sum);
    uint32_t kind = 0;
    while (choice >= play->weights[kind])
        choice -= play->weights[kind++];
    const int32_t type = op_kinds[kind].type;
    if (type == OP_ERROR)
        hang_up(player);
    else if (type == OP_DELETE_CONTAINER)
        move(player);
    else if (type == OP_NOTIFICATION)
        rest(player);
    else
        send_request(player, type);
    if (type == OP_CLOSE_SESSION) {
        while (is_open(player) && hear(player, &reply, answer_ns_max))
            ;
        hang_up(player);
        player->client->session_id = 0;
    }
}

/* Waits for all answers. False: the connection is broken. */
static bool hear_all(struct player *player)
{
    struct sim_keeper_reply reply;
    while (player->outstanding_count > 0 && is_open(player))
        if (!hear(player, &reply, answer_ns_max))
            return false;
    return is_open(player);
}

static void live(struct player *player)
{
    struct owner *owner = player->owner;
    struct prng *prng = &player->play->prng;
    struct sim_keeper_reply reply;
    dial(player);
    if (!is_open(player))
        sim_link_sleep(&player->client->link, prng_below(prng, 200 * ns_per_ms));
    if (is_open(player) && prng_chance(prng, 1, 2))
        send_set_watches(player, OP_SET_WATCHES2);
    while (owner->steps_left > 0 && is_open(player) && !is_over(player)) {
        const uint32_t limit = (uint32_t)prng_between(prng, 0, outstanding_count_max);
        while (player->outstanding_count > limit && is_open(player) && !is_over(player))
            if (!hear(player, &reply, answer_ns_max))
                hang_up(player);
        if (!is_open(player))
            break;
        owner->steps_left--;
        take_step(player);
    }
    if (owner->steps_left == 0 && is_open(player) && hear_all(player)) {
        /* Some go without a word. */
        if (prng_chance(prng, 2, 3))
            (void)sim_keeper_client_send(player->client, OP_CLOSE_SESSION, NULL, NULL);
        owner->is_finished = hear_all(player) || player->outstanding_count == 0;
    }
    hang_up(player);
}

static void init_player(struct player *player, struct sim_node *node, struct owner *owner)
{
    player->play = owner->play;
    player->owner = owner;
    player->node = node;
    for (uint32_t index = 0; index < 2; index++) {
        sim_keeper_client_init(&player->clients[index], node->io, &node->heap);
        player->clients[index].on_request = on_request;
        player->clients[index].context = player;
    }
    player->client = &player->clients[0];
}

static void run_client(struct sim_node *node, void *argument)
{
    struct owner *owner = argument;
    struct player *player = heap_take_zeroed(&node->heap, sizeof *player);
    assert(player != NULL);
    init_player(player, node, owner);
    while (!owner->is_finished && !is_over(player))
        live(player);
}

/* ---- The last look. ---- */

static void ask_about(struct player *player, const char *path, int32_t type)
{
    const struct zk_get_data_request read = {.path = slice_from_text(path)};
    if (is_open(player))
        (void)sim_keeper_client_send(player->client, type, &zk_get_data_request_wire, &read);
}

/* Everything below path, as far as it may be read: data, access list, stat, children. */
static bool look_at(struct player *player, const char *path)
{
    struct sim_keeper_reply reply;
    struct zk_get_children_reply children = {.children = {NULL, 0}};
    ask_about(player, path, OP_GET_DATA);
    ask_about(player, path, OP_GET_ACL);
    ask_about(player, path, OP_GET_ALL_CHILDREN_NUMBER);
    ask_about(player, path, OP_GET_CHILDREN);
    while (player->outstanding_count > 0)
        if (!is_open(player) || !hear(player, &reply, answer_ns_max))
            return false;
    if (reply.code != 0)
        return true;
    if (!sim_keeper_client_decode(player->client, &zk_get_children_reply_wire, reply.body,
                                  &children))
        return false;
    char(*names)[model_path_bytes] =
        heap_take(&player->node->heap, ((size_t)children.children.count + 1) * sizeof *names);
    assert(names != NULL);
    const int32_t count = children.children.count;
    for (int32_t index = 0; index < count; index++)
        snprintf(names[index], sizeof names[index], "%s%s%" SLICE_FORMAT, path,
                 path[1] == '\0' ? "" : "/", SLICE_ARGS(children.children.items[index]));
    bool is_seen = true;
    for (int32_t index = 0; index < count && is_seen; index++)
        is_seen = look_at(player, names[index]);
    heap_give(&player->node->heap, names);
    return is_seen;
}

static void run_last_client(struct sim_node *node, void *argument)
{
    struct play *play = argument;
    struct player *player = heap_take_zeroed(&node->heap, sizeof *player);
    assert(player != NULL);
    init_player(player, node, &play->owners[0]);
    const struct zk_auth_request super = {.scheme = SLICE_LITERAL("digest"),
                                          .auth = SLICE_LITERAL("super:test")};
    /* Until whatever nobody wants any more is gone. */
    sim_link_sleep(&player->client->link,
                   (uint64_t)(play->model.timeout_ms_max + 6000) * ns_per_ms +
                       3 * play->reap_interval_ms * ns_per_ms);
    do {
        hang_up(player);
        player->client->session_id = 0;
        dial(player);
        if (is_open(player))
            (void)sim_keeper_client_send_as(player->client, -4, OP_AUTH, &zk_auth_request_wire,
                                            &super);
    } while (!is_open(player) || !look_at(player, "/"));
    hang_up(player);
    play->is_stopping = true;
}

/* ---- The run. ---- */

static void judge_server(struct play *play)
{
    struct sim_workload_result *result = play->result;
    const struct sim_node *node = play->sim->nodes[0];
    const bool may_fail = play->may_fail || play->sim->options.faults.sync_error_per_million > 0 ||
                          play->sim->options.faults.write_error_per_million > 0;
    if (result->verdict != SIM_RIGHT || may_fail)
        return;
    if (node->end == SIM_NODE_FATAL) {
        result->verdict = SIM_CRASHED;
        memcpy(result->why, node->fatal_line, sizeof result->why);
    }
    if (node->end == SIM_NODE_RETURNED && !play->is_stopping)
        sim_workload_wrong(result, play->sim, "the server does not start: %s",
                           err_text(play->start_err));
}

static void revive_server(struct play *play)
{
    struct sim_node *node = play->sim->nodes[0];
    judge_server(play);
    /* After a failed sync only a restart of the machine shows what is durable. */
    if (node->end == SIM_NODE_FATAL || node->end == SIM_NODE_RETURNED) {
        sim_node_lose_power(node, SIM_LOSS_RANDOM);
        node->disk.quota_bytes = 0;
    }
    if (play->options->crash_boundary_again > 0 && play->revival_count++ == 0)
        sim_crash_at(node, play->options->crash_boundary_again, play->options->crash_loss);
    sim_node_start(node, run_server, play);
}

static bool are_finished(void *context)
{
    const struct play *play = context;
    if (play->result->verdict != SIM_RIGHT)
        return true;
    for (uint32_t index = 0; index < play->client_count; index++)
        if (!play->owners[index].is_finished)
            return false;
    return true;
}

static bool needs_help(void *context)
{
    struct play *play = context;
    return are_finished(play) || !sim_node_is_up(play->sim->nodes[0]);
}

/* No room but for deletes and ends of sessions, or no room at all. */
static void fill_disk(struct play *play)
{
    struct sim_disk *disk = &play->sim->nodes[0]->disk;
    if (disk->quota_bytes > 0) {
        disk->quota_bytes = 0;
        return;
    }
    const bool is_really_full = prng_chance(&play->prng, 1, 4);
    play->may_fail = true;
    play->history.was_full = true;
    disk->quota_bytes =
        disk->used_bytes + prng_below(&play->prng, is_really_full ? 1 << 15 : 1 << 20);
}

static void kill_client(struct play *play, uint32_t client)
{
    struct owner *owner = &play->owners[client - 1];
    struct keeper_history *history = &play->history;
    if (owner->is_finished)
        return;
    sim_node_kill(play->sim->nodes[client]);
    for (uint32_t index = 0; index < history->connection_count; index++)
        if (history->connections[index]->client == owner->index)
            history->connections[index]->closed_ns =
                min_u64(history->connections[index]->closed_ns, play->sim->now_ns);
    sim_node_start(play->sim->nodes[client], run_client, owner);
}

static void make_trouble(struct play *play)
{
    struct sim *sim = play->sim;
    struct prng *prng = &play->prng;
    const uint32_t client = (uint32_t)prng_between(prng, 1, play->client_count);
    const uint64_t choice = prng_below(prng, 100);
    if (choice < 28)
        sim_node_lose_power(sim->nodes[0], SIM_LOSS_RANDOM);
    else if (choice < 45)
        sim_node_kill(sim->nodes[0]);
    else if (choice < 57)
        sim_net_reset(sim, client);
    else if (choice < 67)
        sim_net_block(sim, prng_chance(prng, 1, 2) ? client : 0,
                      prng_chance(prng, 1, 2) ? client : 0);
    else if (choice < 80)
        sim_net_heal(sim);
    else if (choice < 85)
        sim_node_jump_wall(sim->nodes[0], (int64_t)prng_below(prng, 40000000) - 20000000);
    else if (choice < 92)
        fill_disk(play);
    else
        kill_client(play, client);
}

static void run_swarm(struct play *play)
{
    struct sim *sim = play->sim;
    const uint64_t pause_ns_max = prng_between(&play->prng, 20 * ns_per_ms, 3 * ns_per_s);
    const uint32_t trouble_count = (uint32_t)prng_below(&play->prng, trouble_count_max);
    for (uint32_t round = 0; round < trouble_count && !are_finished(play); round++) {
        const uint64_t pause_ns = prng_below(&play->prng, pause_ns_max);
        if (!sim_run(sim, sim->now_ns + pause_ns, needs_help, play))
            make_trouble(play);
        if (!sim_node_is_up(sim->nodes[0]))
            revive_server(play);
    }
    sim_net_heal(sim);
    sim->faults = sim_workload_calm();
    sim->nodes[0]->disk.quota_bytes = 0;
    if (!sim_node_is_up(sim->nodes[0]))
        revive_server(play);
}

static void run_quietly(struct play *play)
{
    struct sim *sim = play->sim;
    const uint64_t end_ns = sim->now_ns + run_ns_max;
    play->quiet_ns = sim->now_ns;
    while (!are_finished(play) && sim->now_ns < end_ns) {
        if (!sim_node_is_up(sim->nodes[0])) {
            if (play->result->boundary_count == 0)
                play->result->boundary_count = sim->nodes[0]->disk.boundary_count;
            revive_server(play);
        }
        sim_run(sim, end_ns, needs_help, play);
    }
    if (play->result->boundary_count == 0)
        play->result->boundary_count = sim->nodes[0]->disk.boundary_count;
}

/* A clean stop and start, and a last look at everything; then all is judged. */
static void run_epilogue(struct play *play)
{
    struct sim *sim = play->sim;
    sim_crash_at(sim->nodes[0], 0, SIM_LOSS_ALL);
    if (!sim_node_is_up(sim->nodes[0]))
        revive_server(play);
    play->is_stopping = true;
    if (!sim_node_wait(sim->nodes[0], sim->now_ns + 60 * ns_per_s)) {
        sim_workload_stuck(play->result, "the server does not stop");
        return;
    }
    sim_disk_lose_power(&sim->nodes[0]->disk, SIM_LOSS_ALL);
    play->is_stopping = false;
    sim_node_start(sim->nodes[0], run_server, play);
    if (sim_node_is_up(sim->nodes[1]))
        sim_node_kill(sim->nodes[1]);
    sim_node_start(sim->nodes[1], run_last_client, play);
    const bool is_seen = sim_node_wait(sim->nodes[1], sim->now_ns + 600 * ns_per_s) &&
                         sim_node_wait(sim->nodes[0], sim->now_ns + 60 * ns_per_s);
    judge_server(play);
    if (!is_seen)
        sim_workload_stuck(play->result, "the last look never ends");
}

static void judge_history(struct play *play)
{
    char why[keeper_judge_why_bytes] = "";
    struct keeper_judge_count count = {0};
    const struct keeper_judge_options options = {
        .history = &play->history,
        .disk = &play->sim->nodes[0]->disk,
        .folder = "/keeper/version-2",
        .model = play->model,
        .tick_ms = play->tick_ms,
        .reap_interval_ms = play->reap_interval_ms,
        .quiet_ns = play->quiet_ns,
        .end_ns = play->sim->now_ns,
        .end_wall_ms = io_wall_ms(play->sim->nodes[0]->io),
    };
    if (!keeper_judge(&options, &play->sim->heap, &count, why))
        sim_workload_wrong(play->result, play->sim, "%s", why);
    if (play->options->is_verbose)
        printf("judged: %llu transactions, %llu replies, %llu events, %llu undecided\n",
               (unsigned long long)count.transactions, (unsigned long long)count.replies,
               (unsigned long long)count.events, (unsigned long long)count.undecided);
}

static void start(struct play *play)
{
    struct sim *sim = play->sim;
    const struct sim_workload_options *options = play->options;
    for (uint32_t index = 0; index < play->client_count; index++) {
        struct owner *owner = &play->owners[index];
        owner->play = play;
        owner->index = index;
        owner->steps_left = options->steps * (options->is_swarm ? swarm_length : 1);
        sim_node_start(sim->nodes[index + 1], run_client, owner);
    }
    if (!options->is_swarm)
        sim_crash_at(sim->nodes[0], options->crash_boundary, options->crash_loss);
    sim_node_start(sim->nodes[0], run_server, play);
}

static struct sim_workload_result run(const struct sim_workload_options *options)
{
    struct sim_workload_result result = {.verdict = SIM_RIGHT};
    struct sim sim;
    struct prng prng;
    prng_init(&prng, options->seed ^ 0x6d6f64656c);
    sim_workload_begin(&sim, options, &prng, 1 + client_count_max);
    struct play *play = heap_take_zeroed(&sim.heap, sizeof *play);
    assert(play != NULL);
    play->options = options;
    play->result = &result;
    play->sim = &sim;
    play->prng = prng;
    play->client_count = options->is_swarm ? (uint32_t)prng_between(&prng, 1, client_count_max) : 2;
    keeper_history_init(&play->history, &sim.heap);
    draw_config(play);
    draw_weights(play);
    start(play);
    if (options->is_swarm)
        run_swarm(play);
    run_quietly(play);
    if (!are_finished(play))
        sim_workload_stuck(play->result, "a client never comes to its end");
    if (result.verdict == SIM_RIGHT)
        run_epilogue(play);
    if (result.verdict == SIM_RIGHT)
        judge_history(play);
    sim_workload_end(&sim, &result);
    return result;
}

const struct sim_workload workload_model = {.name = "model", .steps = 40, .run = run};
