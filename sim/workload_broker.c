/* A broker on a keeper, with producers that know what they were promised (sim/broker_player.h),
 * while the broker, its power, its keeper and the network fail. acks=1 holds until power is lost.
 * In half of the seeds it has two log directories, and its replicas move between them.
 */
#include "server/broker/broker_server.h"
#include "server/keeper/keeper_server.h"
#include "sim/broker_moves.h"
#include "sim/broker_player.h"
#include "sim/broker_rig.h"
#include "sim/sim_net.h"

#include <stdio.h>

enum {
    keeper_node = 0,
    broker_node = 1,
    first_client_node = 2,
    swarm_length = 5,
    trouble_count_max = 30,
};

static const uint64_t ns_per_ms = 1000000;
static const uint64_t ns_per_s = 1000000000;
static const uint64_t run_ns_max = 7200000000000;

struct play {
    const struct sim_workload_options *options;
    struct sim_workload_result *result;
    struct sim *sim;
    struct broker_stage stage;
    bool is_stopping; /* The broker is asked to end. */
    enum err start_err;
    enum err broker_failure;
    uint32_t broker_starts;
    uint32_t revival_count;
    uint64_t disk_errors_before; /* Its latest start. */
    bool moves_replicas;
    struct prng moves_prng; /* Of that: the stories of other seeds stay what they were. */
};

/* ---- The servers. ---- */

static const char keeper_text[] = "dataDir=/keeper\n"
                                  "clientPort=2181\n"
                                  "admin.enableServer=false\n"
                                  "tickTime=1000\n"
                                  "snapCount=200\n"
                                  "preAllocSize=64\n"
                                  "maxClientCnxns=0\n"
                                  "memory.limitMb=64\n"
                                  "disk.reserveMb=0\n";

static void run_keeper(struct sim_node *node, void *argument)
{
    struct play *play = argument;
    struct shard shard = {
        .name = "keeper", .io = node->io, .heap = &node->heap, .diag = node->diag};
    struct keeper_config config;
    struct keeper_server *server;
    list_init(&shard.inboxes);
    const enum err err = keeper_config_load(
        &config, &node->heap, node->diag,
        (struct config_source){"zoo.cfg", slice_of(keeper_text, sizeof keeper_text - 1)});
    assert(err == ERR_OK);
    play->start_err = keeper_server_start(&server, &shard, &config);
    if (play->start_err != ERR_OK)
        return;
    shard_run(&shard); /* Until it is killed, or the world ends. */
}

static const char broker_text[] = "broker.id=7\n"
                                  "listeners=PLAINTEXT://10.0.0.2:9092\n"
                                  "zookeeper.connect=10.0.0.1:2181\n"
                                  "zookeeper.session.timeout.ms=6000\n"
                                  "log.segment.bytes=6000\n"
                                  "log.index.interval.bytes=1000\n"
                                  "log.flush.offset.checkpoint.interval.ms=500\n"
                                  "replica.high.watermark.checkpoint.interval.ms=300\n";

static void on_stopped(void *context)
{
    *(bool *)context = true;
}

static void run_broker(struct sim_node *node, void *argument)
{
    struct play *play = argument;
    struct shard shard = {
        .name = "broker", .io = node->io, .heap = &node->heap, .diag = node->diag};
    struct broker_config config = {0};
    struct broker_server *server;
    char text[sizeof broker_text + 64];
    list_init(&shard.inboxes);
    snprintf(text, sizeof text, "%slog.dirs=%s\n", broker_text,
             play->moves_replicas ? "/broker,/broker2" : "/broker");
    const enum err err = broker_rig_load_config(&node->heap, node->diag, text, &config);
    assert(err == ERR_OK);
    const uint64_t boundaries_before = node->disk.boundary_count;
    play->broker_failure = ERR_OK;
    play->start_err = broker_server_start(&server, &shard, &config);
    if (play->start_err != ERR_OK)
        return;
    if (play->broker_starts++ == 1)
        play->result->recovery_boundary_count = node->disk.boundary_count - boundaries_before;
    while (!play->is_stopping && !shard.stopping) {
        shard_step(&shard, 100 * ns_per_ms);
        if (play->moves_replicas && prng_chance(&play->moves_prng, 1, 25))
            broker_moves_order_any(server, &play->moves_prng);
    }
    play->broker_failure = server->failure;
    if (shard.stopping)
        return;
    bool is_stopped = false;
    broker_server_stop(server, on_stopped, &is_stopped);
    while (!is_stopped)
        shard_step(&shard, 100 * ns_per_ms);
    broker_server_deinit(server);
}

/* ---- The run. ---- */

static void judge_servers(struct play *play)
{
    struct sim_workload_result *result = play->result;
    const bool may_fail = play->sim->options.faults.sync_error_per_million > 0 ||
                          play->sim->options.faults.write_error_per_million > 0;
    for (uint32_t index = 0; index <= broker_node && !may_fail; index++) {
        const struct sim_node *node = play->sim->nodes[index];
        if (broker_stage_is_over(&play->stage) || sim_node_is_up(node))
            continue;
        if (node->end == SIM_NODE_FATAL) {
            result->verdict = SIM_CRASHED;
            memcpy(result->why, node->fatal_line, sizeof result->why);
        }
        /* A broker that does not reach its keeper in time gives up, as Apache's does. */
        if (node->end == SIM_NODE_RETURNED && !play->is_stopping &&
            play->broker_failure != ERR_TIMEOUT)
            sim_workload_wrong(result, play->sim, "%s ends by itself: %s, %s", node->name,
                               err_text(play->start_err), err_text(play->broker_failure));
    }
}

static void revive(struct play *play)
{
    struct sim_node *keeper = play->sim->nodes[keeper_node];
    struct sim_node *broker = play->sim->nodes[broker_node];
    judge_servers(play);
    if (!sim_node_is_up(keeper)) {
        if (keeper->end == SIM_NODE_FATAL || keeper->end == SIM_NODE_RETURNED)
            sim_node_lose_power(keeper, SIM_LOSS_RANDOM);
        sim_node_start(keeper, run_keeper, play);
    }
    if (sim_node_is_up(broker))
        return;
    /* After a failed sync the machine is restarted too, or only the process: then the page cache
     * shows bytes that the kernel will never write. */
    if ((broker->end == SIM_NODE_FATAL || broker->end == SIM_NODE_RETURNED) &&
        prng_chance(&play->stage.prng, 1, 2))
        sim_node_lose_power(broker, SIM_LOSS_RANDOM);
    if (broker->end == SIM_NODE_LOST_POWER ||
        play->sim->counters.disk_errors > play->disk_errors_before)
        broker_stage_forget_written(&play->stage); /* A failed sync may throw pages away, too. */
    if (play->options->crash_boundary_again > 0 && play->revival_count++ == 0)
        sim_crash_at(broker, play->options->crash_boundary_again, play->options->crash_loss);
    play->disk_errors_before = play->sim->counters.disk_errors;
    sim_node_start(broker, run_broker, play);
}

static bool is_server_down(const struct play *play)
{
    return !sim_node_is_up(play->sim->nodes[keeper_node]) ||
           !sim_node_is_up(play->sim->nodes[broker_node]);
}

static bool needs_help(void *context)
{
    struct play *play = context;
    return broker_stage_is_finished(&play->stage) || is_server_down(play);
}

static void make_trouble(struct play *play)
{
    struct sim *sim = play->sim;
    struct prng *prng = &play->stage.prng;
    const uint32_t node =
        (uint32_t)prng_below(prng, first_client_node + play->stage.producer_count);
    const uint64_t choice = prng_below(prng, 100);
    if (choice < 35)
        sim_node_lose_power(sim->nodes[broker_node], SIM_LOSS_RANDOM);
    else if (choice < 55)
        sim_node_kill(sim->nodes[broker_node]);
    else if (choice < 62)
        sim_node_lose_power(sim->nodes[keeper_node], SIM_LOSS_RANDOM);
    else if (choice < 70)
        sim_node_kill(sim->nodes[keeper_node]);
    else if (choice < 80)
        sim_net_reset(sim, node);
    else if (choice < 88)
        sim_net_block(sim, node, (uint32_t)prng_below(prng, first_client_node + 1));
    else
        sim_net_heal(sim);
}

static void run_swarm(struct play *play)
{
    struct sim *sim = play->sim;
    const uint64_t pause_ns_max = prng_between(&play->stage.prng, 500 * ns_per_ms, 8 * ns_per_s);
    for (uint32_t round = 0; round < trouble_count_max && !broker_stage_is_finished(&play->stage);
         round++) {
        const uint64_t pause_ns = prng_below(&play->stage.prng, pause_ns_max);
        if (!sim_run(sim, sim->now_ns + pause_ns, needs_help, play))
            make_trouble(play);
        if (is_server_down(play))
            revive(play);
    }
    sim_net_heal(sim);
    sim->faults = sim_workload_calm();
    if (play->moves_replicas && sim_node_is_up(sim->nodes[broker_node]))
        sim_node_kill(sim->nodes[broker_node]); /* A directory that was lost is taken back. */
    if (is_server_down(play))
        revive(play);
}

static void note_boundaries(struct play *play)
{
    if (play->result->boundary_count == 0)
        play->result->boundary_count = play->sim->nodes[broker_node]->disk.boundary_count;
}

static bool is_enough(void *context)
{
    struct play *play = context;
    return play->stage.is_scanned || broker_stage_is_over(&play->stage) || is_server_down(play);
}

/* Until everybody is done, and all was read. */
static void run_quietly(struct play *play)
{
    struct sim *sim = play->sim;
    const uint64_t end_ns = sim->now_ns + run_ns_max;
    while (!broker_stage_is_finished(&play->stage) && sim->now_ns < end_ns) {
        if (is_server_down(play)) {
            note_boundaries(play);
            revive(play);
        }
        sim_run(sim, end_ns, needs_help, play);
    }
    note_boundaries(play);
    if (!broker_stage_is_finished(&play->stage))
        broker_stage_set_stuck(&play->stage, "a producer never comes to its end");
}

static void run_last_scan(struct play *play)
{
    struct sim *sim = play->sim;
    const uint64_t end_ns = sim->now_ns + run_ns_max;
    play->stage.is_scanned = false;
    if (sim_node_is_up(sim->nodes[first_client_node]))
        sim_node_kill(sim->nodes[first_client_node]);
    sim_node_start(sim->nodes[first_client_node], broker_play_scan, &play->stage);
    while (!play->stage.is_scanned && !broker_stage_is_over(&play->stage) && sim->now_ns < end_ns) {
        if (is_server_down(play))
            revive(play);
        sim_run(sim, end_ns, is_enough, play);
    }
    if (!play->stage.is_scanned)
        broker_stage_set_stuck(&play->stage, "the last scan never ends");
}

static bool are_servers_down(void *context)
{
    const struct play *play = context;
    return !sim_node_is_up(play->sim->nodes[broker_node]);
}

/* All is read; then the power goes, and all that was promised is read again; then a clean stop. */
static void run_epilogue(struct play *play)
{
    struct sim *sim = play->sim;
    struct sim_node *broker = sim->nodes[broker_node];
    sim_crash_at(broker, 0, SIM_LOSS_ALL);
    run_last_scan(play);
    if (broker_stage_is_over(&play->stage))
        return;
    sim_node_lose_power(broker, SIM_LOSS_ALL);
    run_last_scan(play);
    if (broker_stage_is_over(&play->stage))
        return;
    play->is_stopping = true;
    if (!sim_run(sim, sim->now_ns + 600 * ns_per_s, are_servers_down, play)) {
        broker_stage_set_stuck(&play->stage, "the broker does not stop");
        return;
    }
    play->is_stopping = false;
    sim_disk_lose_power(&broker->disk, SIM_LOSS_ALL);
    sim_node_start(broker, run_broker, play);
    run_last_scan(play);
}

static void start(struct play *play)
{
    struct sim *sim = play->sim;
    const struct sim_workload_options *options = play->options;
    broker_stage_init(&play->stage, options->steps * (options->is_swarm ? swarm_length : 1));
    for (uint32_t index = 0; index < play->stage.producer_count; index++)
        sim_node_start(sim->nodes[first_client_node + index], broker_play_producer,
                       &play->stage.producers[index]);
    if (!options->is_swarm)
        sim_crash_at(sim->nodes[broker_node], options->crash_boundary, options->crash_loss);
    sim_node_start(sim->nodes[keeper_node], run_keeper, play);
    sim_node_start(sim->nodes[broker_node], run_broker, play);
}

static struct sim_workload_result run(const struct sim_workload_options *options)
{
    struct sim_workload_result result = {.verdict = SIM_RIGHT};
    struct sim sim;
    struct prng prng;
    prng_init(&prng, options->seed ^ 0x62726f6b6572);
    sim_workload_begin(&sim, options, &prng, first_client_node + broker_producer_count_max);
    struct play *play = heap_take_zeroed(&sim.heap, sizeof *play);
    assert(play != NULL);
    play->options = options;
    play->result = &result;
    play->sim = &sim;
    play->stage = (struct broker_stage){.sim = &sim,
                                        .result = &result,
                                        .prng = prng,
                                        .first_broker_node = broker_node,
                                        .first_broker_id = 7,
                                        .broker_count = 1,
                                        .pause_ns_max = 400 * ns_per_ms,
                                        .has_acks_1 = true};
    prng_init(&play->moves_prng, options->seed ^ 0x6d6f766573);
    play->moves_replicas = prng_chance(&play->moves_prng, 1, 2);
    start(play);
    if (options->is_swarm)
        run_swarm(play);
    run_quietly(play);
    if (!broker_stage_is_over(&play->stage))
        run_epilogue(play);
    sim_workload_end(&sim, &result);
    return result;
}

const struct sim_workload workload_broker = {.name = "broker", .steps = 25, .run = run};
