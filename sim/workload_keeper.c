/* The keeper server with a few clients (sim/keeper_player.h), while servers, clients, power and the
 * network fail.
 */
#include "server/keeper/keeper_server.h"
#include "sim/keeper_player.h"
#include "sim/sim_net.h"
#include "sim/workload.h"

#include <stdio.h>

enum {
    client_port = 2181,
    swarm_length = 8,
    trouble_count_max = 60,
    life_count_max = 128,
};

static const uint64_t ns_per_ms = 1000000;
static const uint64_t ns_per_s = 1000000000;
static const uint64_t run_ns_max = 3600000000000;

struct play {
    const struct sim_workload_options *options;
    struct sim_workload_result *result;
    struct sim *sim;
    struct keeper_stage stage;
    bool is_stopping; /* The server is asked to end. */
    enum err start_err;
    uint64_t up_ns[life_count_max]; /* When the server began to serve, and was found down. */
    uint64_t down_ns[life_count_max];
    uint32_t server_starts;
    uint32_t revival_count;
};

/* ---- The server. ---- */

static const char server_config[] = "dataDir=/keeper\n"
                                    "clientPort=2181\n"
                                    "admin.enableServer=false\n"
                                    "tickTime=1000\n"
                                    "snapCount=40\n"
                                    "preAllocSize=16\n"
                                    "maxClientCnxns=0\n"
                                    "memory.limitMb=64\n"
                                    "disk.reserveMb=0\n";

static void run_server(struct sim_node *node, void *argument)
{
    struct play *play = argument;
    struct shard shard = {
        .name = "keeper", .io = node->io, .heap = &node->heap, .diag = node->diag};
    struct keeper_config config;
    struct keeper_server *server;
    list_init(&shard.inboxes);
    const enum err err = keeper_config_load(
        &config, &node->heap, node->diag,
        (struct config_source){.file_name = "zoo.cfg",
                               .text = slice_of(server_config, sizeof server_config - 1)});
    assert(err == ERR_OK);
    config.snapshot_compression = play->server_starts % 3; /* Each start reads another's files. */
    const uint64_t boundaries_before = node->disk.boundary_count;
    play->start_err = keeper_server_start(&server, &shard, &config);
    if (play->start_err != ERR_OK)
        return;
    if (play->options->seed % 2 == 1) /* Few watches here, but events that are owed all the same. */
        server->events.count_max = 1;
    assert(play->server_starts < life_count_max);
    play->up_ns[play->server_starts] = play->sim->now_ns;
    play->down_ns[play->server_starts] = UINT64_MAX;
    if (play->server_starts++ == 1)
        play->result->recovery_boundary_count = node->disk.boundary_count - boundaries_before;
    while (!play->is_stopping)
        shard_step(&shard, 100 * ns_per_ms);
    keeper_server_stop(server, NULL, NULL);
    while (!keeper_server_is_stopped(server))
        shard_step(&shard, 100 * ns_per_ms);
    keeper_server_free(server);
}

/* ---- The clients. ---- */

static struct io_address dial(struct keeper_stage *stage)
{
    (void)stage;
    return sim_net_address(0, client_port);
}

/* Only if one life of the server lasted for the whole timeout without hearing of it. */
static bool may_expire(const struct keeper_stage *stage, const struct keeper_owner *owner)
{
    const struct play *play = CONTAINER_OF(stage, struct play, stage);
    const uint64_t timeout_ns = (uint64_t)owner->timeout_ms * ns_per_ms / 1000 * 998;
    bool may = false;
    for (uint32_t life = 0; life < play->server_starts; life++) {
        const uint64_t from_ns = max_u64(play->up_ns[life], owner->heard_ns);
        const uint64_t to_ns = min_u64(play->down_ns[life], play->sim->now_ns);
        may |= to_ns >= from_ns + timeout_ns;
    }
    return may;
}

/* What a dead process sent may still be on its way, and its session alive: until one life of the
 * server has been long enough to end it. */
static void outwait_session(struct play *play, struct keeper_player *player)
{
    uint32_t starts;
    do {
        starts = play->server_starts;
        sim_link_sleep(&player->client.link, 3 * (uint64_t)keeper_session_timeout_ms * ns_per_ms);
    } while (starts != play->server_starts || !sim_node_is_up(play->sim->nodes[0]));
}

static void run_client(struct sim_node *node, void *argument)
{
    struct keeper_owner *owner = argument;
    struct keeper_player *player = keeper_player_make(owner->stage, owner, node);
    if (owner->session_id != 0) {
        owner->session_id = -1;
        outwait_session(CONTAINER_OF(owner->stage, struct play, stage), player);
    }
    keeper_player_live(player);
}

/* After all is over: everything that was ever answered is there. */
static void run_last_client(struct sim_node *node, void *argument)
{
    struct play *play = argument;
    keeper_player_look(keeper_player_make(&play->stage, NULL, node));
    play->is_stopping = true;
}

/* ---- The run. ---- */

static void judge_server(struct play *play)
{
    struct sim_workload_result *result = play->result;
    const struct sim_node *node = play->sim->nodes[0];
    const bool may_fail = play->sim->options.faults.sync_error_per_million > 0 ||
                          play->sim->options.faults.write_error_per_million > 0;
    if (result->verdict != SIM_RIGHT)
        return;
    /* A disk that reports its errors excuses the end of the process, but never damage. */
    if (node->end == SIM_NODE_RETURNED && !play->is_stopping && play->start_err == ERR_CORRUPT)
        sim_workload_wrong(result, play->sim, "the server does not start: %s",
                           err_text(play->start_err));
    if (may_fail)
        return;
    if (node->end == SIM_NODE_FATAL) {
        result->verdict = SIM_CRASHED;
        memcpy(result->why, node->fatal_line, sizeof result->why);
    }
    if (node->end == SIM_NODE_RETURNED && !play->is_stopping)
        sim_workload_wrong(result, play->sim, "the server does not start: %s",
                           err_text(play->start_err));
}

/* The server is down, for whatever reason: up with it. */
static void revive_server(struct play *play)
{
    struct sim_node *node = play->sim->nodes[0];
    if (play->server_starts > 0)
        play->down_ns[play->server_starts - 1] =
            min_u64(play->down_ns[play->server_starts - 1], play->sim->now_ns);
    judge_server(play);
    /* After a failed sync the machine is restarted too, or only the process: then the page cache
     * shows bytes that the kernel will never write. */
    if ((node->end == SIM_NODE_FATAL || node->end == SIM_NODE_RETURNED) &&
        prng_chance(&play->stage.prng, 1, 2))
        sim_node_lose_power(node, SIM_LOSS_RANDOM);
    if (play->options->crash_boundary_again > 0 && play->revival_count++ == 0)
        sim_crash_at(node, play->options->crash_boundary_again, play->options->crash_loss);
    sim_node_start(node, run_server, play);
}

static bool are_finished(const struct play *play)
{
    return keeper_stage_is_over(&play->stage);
}

static bool needs_help(void *context)
{
    struct play *play = context;
    return are_finished(play) || !sim_node_is_up(play->sim->nodes[0]);
}

/* Something goes wrong, or right again. */
static void make_trouble(struct play *play)
{
    struct sim *sim = play->sim;
    struct prng *prng = &play->stage.prng;
    const uint32_t client = (uint32_t)prng_between(prng, 1, play->stage.owner_count);
    const uint64_t choice = prng_below(prng, 100);
    if (choice < 35)
        sim_node_lose_power(sim->nodes[0], SIM_LOSS_RANDOM);
    else if (choice < 55)
        sim_node_kill(sim->nodes[0]);
    else if (choice < 65)
        sim_net_reset(sim, client);
    else if (choice < 75)
        sim_net_block(sim, prng_chance(prng, 1, 2) ? client : 0,
                      prng_chance(prng, 1, 2) ? client : 0);
    else if (choice < 85)
        sim_net_heal(sim);
    else if (choice < 90)
        sim_node_jump_wall(sim->nodes[0], (int64_t)prng_below(prng, 40000000) - 20000000);
    else if (!play->stage.owners[client - 1].is_finished) {
        sim_node_kill(sim->nodes[client]);
        sim_node_start(sim->nodes[client], run_client, &play->stage.owners[client - 1]);
    }
}

static void run_swarm(struct play *play)
{
    struct sim *sim = play->sim;
    const uint64_t pause_ns_max = prng_between(&play->stage.prng, 20 * ns_per_ms, 2 * ns_per_s);
    for (uint32_t round = 0; round < trouble_count_max && !are_finished(play); round++) {
        const uint64_t pause_ns = prng_below(&play->stage.prng, pause_ns_max);
        if (!sim_run(sim, sim->now_ns + pause_ns, needs_help, play))
            make_trouble(play);
        if (!sim_node_is_up(sim->nodes[0]))
            revive_server(play);
    }
    sim_net_heal(sim);
    sim->faults = sim_workload_calm();
    if (!sim_node_is_up(sim->nodes[0]))
        revive_server(play);
}

/* Until everybody is done. */
static void run_quietly(struct play *play)
{
    struct sim *sim = play->sim;
    const uint64_t end_ns = sim->now_ns + run_ns_max;
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

/* A clean stop and start, and a last look at everything. */
static void run_epilogue(struct play *play)
{
    struct sim *sim = play->sim;
    sim_crash_at(sim->nodes[0], 0, SIM_LOSS_ALL);
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
    if (!sim_node_wait(sim->nodes[1], sim->now_ns + 600 * ns_per_s))
        sim_workload_stuck(play->result, "the last look never ends");
    judge_server(play);
}

static void start(struct play *play)
{
    struct sim *sim = play->sim;
    const struct sim_workload_options *options = play->options;
    for (uint32_t index = 0; index < play->stage.owner_count; index++) {
        keeper_player_cast(&play->stage, index,
                           options->steps * (options->is_swarm ? swarm_length : 1));
        sim_node_start(sim->nodes[index + 1], run_client, &play->stage.owners[index]);
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
    prng_init(&prng, options->seed ^ 0x6b6565706572);
    sim_workload_begin(&sim, options, &prng, 1 + keeper_owner_count_max);
    struct play *play = heap_take_zeroed(&sim.heap, sizeof *play);
    assert(play != NULL);
    play->options = options;
    play->result = &result;
    play->sim = &sim;
    play->stage.result = &result;
    play->stage.sim = &sim;
    play->stage.dial = dial;
    play->stage.may_expire = may_expire;
    play->stage.prng = prng;
    play->stage.owner_count =
        options->is_swarm ? (uint32_t)prng_between(&prng, 1, keeper_owner_count_max) : 1;
    start(play);
    if (options->is_swarm)
        run_swarm(play);
    run_quietly(play);
    if (!are_finished(play))
        sim_workload_stuck(play->result, "a client never comes to its end");
    if (result.verdict == SIM_RIGHT)
        run_epilogue(play);
    sim_workload_end(&sim, &result);
    return result;
}

const struct sim_workload workload_keeper = {.name = "keeper", .steps = 60, .run = run};
