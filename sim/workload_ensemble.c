/* Ensembles of three, five or seven voters, and sometimes an observer, with clients that go from
 * server to server (sim/keeper_player.h), while servers are killed, power is lost, disks fail,
 * clocks jump and the network falls apart.
 *
 * What the servers apply is judged after each event (sim/ensemble_ledger.h). When the faults are
 * over, all servers must come together, under one leader and with equal trees, and the clients must
 * get on; then the power goes everywhere, and what was promised must still be there.
 */
#include "journal/small_file.h"
#include "server/keeper/client_link.h"
#include "server/keeper/keeper_write.h"
#include "sim/ensemble_ledger.h"
#include "sim/keeper_player.h"
#include "sim/sim_fleet.h"
#include "sim/sim_net.h"
#include "sim/workload.h"

#include <stdio.h>

enum {
    client_port = 2181,
    config_bytes_max = 2048,
    trouble_count_max = 60,
    tick_ms = 500,
    sync_limit_ticks = 4,
    long_sync_limit_ticks = 40,
    short_epoch = 50,
    slack_ms = 1500,
    calm_steps = 25,
};

static const uint64_t ns_per_ms = 1000000;
static const uint64_t ns_per_s = 1000000000;
static const uint64_t patience_ns = 300000000000;

struct server {
    struct play *play;
    struct sim_node *node;
    struct keeper_server *server; /* Of the process that runs now. */
    enum err start_err;
    int sync_limit_ticks; /* How long it believes in others, and as a leader in itself. */
    bool is_replacing;    /* As it was seen last: its tree and journal are being replaced. */
};

struct play {
    const struct sim_workload_options *options;
    struct sim_workload_result *result;
    struct sim *sim;
    struct keeper_stage stage;
    struct ensemble_ledger ledger;
    uint32_t voter_count;
    uint32_t server_count;
    struct server servers[ensemble_server_count_max];
    struct sim_fleet fleet;
    bool has_local_sessions;
    bool has_observer_masters;
    bool has_short_epochs; /* Leaders run out of zxids. */
    struct prng haste;     /* For what comes on the heels of trouble. */
    bool is_hasty;
    struct prng read_prng; /* Of what only linearizable reads need: others' seeds stay theirs. */
    bool is_looked_at;
};

/* ---- servers ---- */

static void write_myid(struct sim_node *node, uint32_t id)
{
    char text[8];
    snprintf(text, sizeof text, "%u", id);
    if (small_file_make_directory_wait(node->io, "/keeper") != 0 ||
        small_file_replace_wait(node->io, "/keeper/myid", slice_from_text(text)) != 0)
        io_fatal(node->io, "myid cannot be written");
}

static void print_config(const struct server *self, char *text, size_t capacity)
{
    const struct play *play = self->play;
    size_t size = (size_t)snprintf(text, capacity,
                                   "dataDir=/keeper\nclientPort=%d\nadmin.enableServer=false\n"
                                   "tickTime=%d\ninitLimit=10\nsyncLimit=%d\nsnapCount=40\n"
                                   "preAllocSize=16\nmaxClientCnxns=0\nmemory.limitMb=64\n"
                                   "disk.reserveMb=0\n",
                                   (int)client_port, (int)tick_ms, self->sync_limit_ticks);
    size += (size_t)snprintf(text + size, capacity - size, "sync.linearizable=%s\n",
                             play->stage.is_linearizable ? "true" : "false");
    if (play->has_local_sessions)
        size += (size_t)snprintf(text + size, capacity - size,
                                 "localSessionsEnabled=true\nlocalSessionsUpgradingEnabled=true\n");
    if (play->has_short_epochs)
        size += (size_t)snprintf(text + size, capacity - size, "epoch.transactionsMax=%d\n",
                                 short_epoch);
    if (play->has_observer_masters)
        size += (size_t)snprintf(text + size, capacity - size, "observerMasterPort=2890\n");
    for (uint32_t index = 0; index < play->server_count; index++)
        size += (size_t)snprintf(text + size, capacity - size, "server.%u=node%u:2888:3888%s\n",
                                 index + 1, index, index < play->voter_count ? "" : ":observer");
}

static void run_server(struct sim_node *node, void *argument)
{
    struct server *self = argument;
    struct shard shard = {
        .name = "keeper", .io = node->io, .heap = &node->heap, .diag = node->diag};
    struct keeper_config config;
    char text[config_bytes_max];
    print_config(self, text, sizeof text);
    list_init(&shard.inboxes);
    write_myid(node, node->index + 1);
    self->start_err = keeper_config_load(
        &config, &node->heap, node->diag,
        (struct config_source){.file_name = "zoo.cfg", .text = slice_from_text(text)});
    if (self->start_err == ERR_OK)
        self->start_err = keeper_server_start(&self->server, &shard, &config);
    if (self->start_err != ERR_OK)
        return;
    while (!self->play->fleet.is_stopping[node->index])
        shard_step(&shard, 100 * ns_per_ms);
    keeper_server_stop(self->server, NULL, NULL);
    while (!keeper_server_is_stopped(self->server))
        shard_step(&shard, 100 * ns_per_ms);
    keeper_server_free(self->server);
    self->server = NULL;
}

/* Disks report errors now and then. */
static bool may_fail(const struct play *play)
{
    const struct sim_faults *faults = &play->sim->options.faults;
    return faults->sync_error_per_million > 0 || faults->write_error_per_million > 0;
}

/* One of the next disk operations fails, or power goes there. */
static void fail_soon(struct play *play, struct server *server, uint64_t operation_count_max)
{
    struct sim_disk *disk = &server->node->disk;
    const uint64_t operation = prng_between(&play->haste, 1, operation_count_max);
    if (may_fail(play) && prng_chance(&play->haste, 1, 2))
        disk->error_boundary = disk->boundary_count + operation;
    else
        sim_crash_at(server->node, operation, SIM_LOSS_RANDOM);
}

/* If the play is hasty, often not for long: it fails again while it starts, or is brought up to
 * date. */
static void start_server(void *context, uint32_t index)
{
    struct play *play = context;
    struct server *server = &play->servers[index];
    server->server = NULL;
    server->start_err = ERR_OK;
    sim_node_start(server->node, run_server, server);
    if (play->is_hasty && !play->fleet.is_calm && prng_chance(&play->haste, 1, 3))
        fail_soon(play, server, 40);
}

/* NULL: it is down, or on its way up. */
static const struct keeper_server *server_of(const struct play *play, uint32_t index)
{
    const struct server *server = &play->servers[index];
    const bool is_up = sim_node_is_up(server->node) && server->server != NULL &&
                       server->server->phase == KEEPER_SERVER_SERVING;
    return is_up ? server->server : NULL;
}

/* From 0; server_count: nobody. */
static uint32_t find_leader(const struct play *play)
{
    uint32_t index = 0;
    while (index < play->server_count) {
        const struct keeper_server *server = server_of(play, index);
        if (server != NULL && server->role == KEEPER_LEADER)
            break;
        index++;
    }
    return index;
}

/* ---- clients ---- */

static struct io_address dial(struct keeper_stage *stage)
{
    const struct play *play = CONTAINER_OF(stage, struct play, stage);
    const uint32_t index = (uint32_t)prng_below(&stage->prng, play->server_count);
    return sim_net_address(index, client_port);
}

/* A follower tells its leader of its clients with each ping, and serves them for a while without;
 * so does an observer whom it feeds. A client that was silent for too long may go on with such a
 * server, until it hears of its end. */
static bool may_expire(const struct keeper_stage *stage, const struct keeper_owner *owner)
{
    const struct play *play = CONTAINER_OF(stage, struct play, stage);
    const bool is_slow = play->sim->options.faults.send_buffer_bytes > 0;
    const uint64_t hop_count = play->has_observer_masters ? 2 : 1;
    const uint64_t limit_ticks =
        play->stage.is_linearizable ? long_sync_limit_ticks : sync_limit_ticks;
    const uint64_t trouble_ms = (hop_count + is_slow) * limit_ticks * tick_ms;
    const uint64_t unheard_ns = (slack_ms + (play->fleet.is_calm ? 0 : trouble_ms)) * ns_per_ms;
    const uint64_t timeout_ns = (uint64_t)owner->timeout_ms * ns_per_ms;
    const uint64_t now_ns = play->sim->now_ns;
    return now_ns - owner->heard_ns + unheard_ns >= timeout_ns ||
           (now_ns - owner->gap_to_ns <= unheard_ns &&
            owner->gap_to_ns - owner->gap_from_ns + unheard_ns >= timeout_ns);
}

static bool has_write_of(const struct list *writes, int64_t session_id)
{
    list_each (link, writes)
        if (CONTAINER_OF(link, struct keeper_write, link)->session_id == session_id)
            return true;
    return false;
}

/* What only one server knows of it: that it is there, or what it has written. */
static bool may_live_locally(const struct play *play, int64_t session_id)
{
    for (uint32_t index = 0; index < play->server_count; index++) {
        const struct keeper_server *server = server_of(play, index);
        if (server == NULL || server->is_replacing)
            continue;
        if (keeper_has_local_session(&server->keeper, session_id) ||
            has_write_of(&server->forwarded, session_id) ||
            has_write_of(&server->writes, session_id))
            return true;
    }
    return false;
}

static bool may_live(const struct keeper_stage *stage, int64_t session_id)
{
    const struct play *play = CONTAINER_OF(stage, struct play, stage);
    if (find_leader(play) == play->server_count)
        return true;
    if (play->has_local_sessions && may_live_locally(play, session_id))
        return true;
    for (uint32_t index = 0; index < play->server_count; index++) {
        const struct keeper_server *server = server_of(play, index);
        if (server != NULL && server->is_serving && !server->is_replacing &&
            session_table_find(&server->keeper.sessions, session_id) != NULL)
            return true;
    }
    return false;
}

static void run_client(struct sim_node *node, void *argument)
{
    struct keeper_owner *owner = argument;
    keeper_player_live(keeper_player_make(owner->stage, owner, node));
}

static void run_last_client(struct sim_node *node, void *argument)
{
    struct play *play = argument;
    keeper_player_look(keeper_player_make(&play->stage, NULL, node));
    play->is_looked_at = true;
}

/* ---- judging ---- */

static bool is_over(const struct play *play)
{
    return play->result->verdict != SIM_RIGHT;
}

/* Why is it down? A disk that reports its errors excuses the end of the process, but never damage.
 */
static void judge_end(void *context, uint32_t index)
{
    struct play *play = context;
    const struct server *server = &play->servers[index];
    const struct sim_node *node = server->node;
    const bool has_returned = node->end == SIM_NODE_RETURNED && !play->fleet.is_stopping[index];
    if (is_over(play))
        return;
    if (has_returned && (!may_fail(play) || server->start_err == ERR_CORRUPT))
        sim_workload_wrong(play->result, play->sim, "%s does not start: %s", node->name,
                           err_text(server->start_err));
    if (node->end == SIM_NODE_FATAL && !may_fail(play)) {
        play->result->verdict = SIM_CRASHED;
        snprintf(play->result->why, sizeof play->result->why, "%s: %.200s", node->name,
                 node->fatal_line);
    }
}

/* If the play is hasty, often something fails while a history is cut or replaced. */
static void look_at_replacing(struct play *play, struct server *server, bool is_replacing)
{
    if (is_replacing && !server->is_replacing && play->is_hasty && !play->fleet.is_calm &&
        prng_chance(&play->haste, 1, 2))
        fail_soon(play, server, 8);
    server->is_replacing = is_replacing;
}

/* After each event. */
static void look(void *context)
{
    struct play *play = context;
    for (uint32_t index = 0; index < play->server_count; index++) {
        const struct keeper_server *server = server_of(play, index);
        look_at_replacing(play, &play->servers[index], server != NULL && server->is_replacing);
        if (server != NULL && server->peer != NULL)
            ensemble_ledger_look(&play->ledger, index, server);
    }
}

static bool needs_help(void *context)
{
    struct play *play = context;
    return sim_fleet_needs_help(&play->fleet);
}

static bool all_serve(void *context)
{
    struct play *play = context;
    if (needs_help(play))
        return true;
    for (uint32_t index = 0; index < play->server_count; index++) {
        const struct keeper_server *server = server_of(play, index);
        if (server == NULL || !server->is_serving)
            return false;
    }
    return find_leader(play) < play->server_count;
}

static bool are_finished(void *context)
{
    struct play *play = context;
    return needs_help(play) || keeper_stage_is_over(&play->stage);
}

static bool is_looked_at(void *context)
{
    struct play *play = context;
    return needs_help(play) || play->is_looked_at;
}

static bool are_equal(void *context)
{
    struct play *play = context;
    const struct keeper *first = NULL;
    if (!all_serve(play))
        return false;
    for (uint32_t index = 0; index < play->server_count; index++) {
        const struct keeper_server *server = server_of(play, index);
        if (server == NULL)
            return true; /* It needs help. */
        const struct keeper *keeper = &server->keeper;
        if (first == NULL)
            first = keeper;
        if (keeper->zxid_applied != first->zxid_applied ||
            keeper->tree.digest != first->tree.digest ||
            keeper->sessions.by_id.count != first->sessions.by_id.count)
            return false;
    }
    return true;
}

/* ---- trouble ---- */

static void break_server(struct play *play, uint64_t choice)
{
    struct prng *prng = &play->stage.prng;
    const uint32_t leader = find_leader(play);
    const bool takes_leader = leader < play->server_count && prng_chance(prng, 1, 3);
    const uint32_t index = takes_leader ? leader : (uint32_t)prng_below(prng, play->server_count);
    struct sim_node *node = play->servers[index].node;
    if (choice == 0 && sim_node_is_up(node))
        sim_node_kill(node);
    else if (choice == 1 && sim_node_is_up(node))
        sim_node_lose_power(node, SIM_LOSS_RANDOM);
    else
        sim_crash_at(node, prng_between(prng, 1, 60), SIM_LOSS_RANDOM);
}

static void break_network(struct play *play, uint64_t choice)
{
    struct sim *sim = play->sim;
    struct prng *prng = &play->stage.prng;
    const uint32_t node_count = sim->options.node_count;
    const uint32_t leader = find_leader(play);
    const uint32_t one = (uint32_t)prng_below(prng, play->server_count);
    const uint32_t other = (uint32_t)prng_below(prng, node_count);
    if (choice == 0)
        sim_net_partition(sim, (uint32_t)prng_below(prng, UINT64_C(1) << node_count));
    else if (choice == 1 && leader < play->server_count)
        sim_net_partition(sim, (uint32_t)1 << leader | (uint32_t)1 << other);
    else if (choice == 2 && one != other)
        sim_net_block(sim, one, other);
    else if (choice == 3 && one != other)
        sim_net_block(sim, other, one);
    else
        sim_net_reset(sim, one);
}

static bool run_until(struct play *play, uint64_t time_ns, bool (*is_enough)(void *context))
{
    return sim_fleet_run_until(&play->fleet, time_ns, is_enough);
}

/* The leader goes, and a server fails while the next one brings it up to date; or a leader that was
 * alone for a while comes back, and it fails as what nobody else had is cut off. */
static void fail_in_election(struct play *play)
{
    const uint64_t choice = prng_below(&play->haste, 3);
    const uint32_t leader = find_leader(play);
    uint32_t other = (uint32_t)prng_below(&play->haste, play->server_count);
    if (leader == play->server_count)
        return;
    if (choice == 0) {
        sim_node_kill(play->servers[leader].node);
    } else if (choice == 1) {
        sim_net_reset(play->sim, leader);
    } else {
        sim_net_partition(play->sim, (uint32_t)1 << leader);
        (void)run_until(play, prng_below(&play->haste, 6 * ns_per_s), needs_help);
        sim_net_heal(play->sim);
        other = leader;
    }
    if (sim_node_is_up(play->servers[other].node))
        fail_soon(play, &play->servers[other], 24);
}

static void make_trouble(struct play *play)
{
    struct sim *sim = play->sim;
    struct prng *prng = &play->stage.prng;
    const uint64_t choice = prng_below(prng, 100);
    if (play->is_hasty && prng_chance(&play->haste, 1, 3))
        fail_in_election(play);
    if (choice < 38)
        break_server(play, choice % 3);
    else if (choice < 65)
        break_network(play, choice % 5);
    else if (choice < 85)
        sim_net_heal(sim);
    else if (choice < 90)
        sim_node_jump_wall(sim->nodes[prng_below(prng, play->server_count)],
                           (int64_t)prng_below(prng, 40000000) - 20000000);
    else if (choice < 95)
        sim->faults.sync_ns_mean = prng_between(prng, 100000, 200 * ns_per_ms);
    else if (choice < 97)
        sim_fleet_lose_all_power(&play->fleet, SIM_LOSS_RANDOM);
}

/* Whose client is connected to the leader; NULL: nobody's. */
static struct keeper_owner *find_client_of(struct play *play, uint32_t leader)
{
    const struct keeper_server *server = server_of(play, leader);
    if (server == NULL)
        return NULL;
    list_each (link, &server->links) {
        const int64_t session_id = CONTAINER_OF(link, struct client_link, link)->keeper.session_id;
        for (uint32_t index = 0; index < play->stage.owner_count; index++)
            if (session_id != 0 && play->stage.owners[index].session_id == session_id)
                return &play->stage.owners[index];
    }
    return NULL;
}

static void let_only_read(struct play *play, bool only_reads, const struct keeper_owner *but)
{
    for (uint32_t index = 0; index < play->stage.owner_count; index++)
        if (&play->stage.owners[index] != but)
            play->stage.owners[index].only_reads = only_reads;
}

/* A leader alone with a client that reads behind syncs; both believe for a while that nothing has
 * happened, while the others go on. What is proposed and not committed holds up syncs, so there is
 * a quiet time before. False: there is no such leader. */
static bool leave_leader_alone(struct play *play)
{
    struct prng *prng = &play->read_prng;
    const uint32_t leader = find_leader(play);
    if (!play->stage.is_linearizable || leader == play->server_count || !prng_chance(prng, 1, 3))
        return false;
    struct keeper_owner *owner = find_client_of(play, leader);
    if (owner == NULL)
        return false;
    let_only_read(play, true, NULL);
    sim_net_heal(play->sim);
    (void)run_until(play, prng_between(prng, 0, 3 * ns_per_s), needs_help);
    let_only_read(play, false, owner);
    if (find_leader(play) == leader && find_client_of(play, leader) == owner) {
        const uint32_t client = play->server_count + owner->index;
        sim_net_partition(play->sim, UINT32_C(1) << leader | UINT32_C(1) << client);
        (void)run_until(play, prng_between(prng, 2 * ns_per_s, 18 * ns_per_s), needs_help);
    }
    owner->only_reads = false;
    return true;
}

static void run_swarm(struct play *play)
{
    struct prng *prng = &play->stage.prng;
    const uint64_t pause_ns_max = prng_between(prng, 50 * ns_per_ms, 6 * ns_per_s);
    const uint32_t count = (uint32_t)prng_between(prng, 1, trouble_count_max);
    play->fleet.down_ns_max = prng_between(prng, 50 * ns_per_ms, 8 * ns_per_s);
    for (uint32_t round = 0; round < count && !is_over(play); round++) {
        (void)run_until(play, prng_below(prng, pause_ns_max), needs_help);
        if (!leave_leader_alone(play))
            make_trouble(play);
    }
}

/* ---- the run ---- */

static void calm_down(struct play *play)
{
    sim_fleet_calm_down(&play->fleet);
    if (!run_until(play, patience_ns, all_serve))
        sim_workload_stuck(play->result, "not all servers serve");
}

static void finish(struct play *play)
{
    for (uint32_t index = 0; index < play->stage.owner_count; index++)
        play->stage.owners[index].steps_left = calm_steps;
    if (!run_until(play, 2 * patience_ns, are_finished))
        sim_workload_stuck(play->result, "a client never comes to its end");
    if (!run_until(play, patience_ns, are_equal))
        sim_workload_stuck(play->result, "the servers' trees stay different");
}

/* The power goes everywhere. */
static void look_again(struct play *play)
{
    struct sim_node *node = play->sim->nodes[play->server_count];
    if (is_over(play))
        return;
    sim_fleet_lose_all_power(&play->fleet, SIM_LOSS_ALL);
    if (!run_until(play, patience_ns, all_serve))
        sim_workload_stuck(play->result, "not all servers serve after the power came back");
    if (is_over(play))
        return;
    if (sim_node_is_up(node))
        sim_node_kill(node);
    sim_node_start(node, run_last_client, play);
    if (!run_until(play, 2 * patience_ns, is_looked_at))
        sim_workload_stuck(play->result, "the last look never ends");
    if (!run_until(play, patience_ns, are_equal))
        sim_workload_stuck(play->result, "the servers' trees stay different at the end");
}

static bool are_servers_down(void *context)
{
    const struct play *play = context;
    for (uint32_t index = 0; index < play->server_count; index++)
        if (sim_node_is_up(play->servers[index].node))
            return false;
    return true;
}

/* All together, each as it is told to. */
static void stop_servers(struct play *play)
{
    if (is_over(play))
        return;
    for (uint32_t index = 0; index < play->server_count; index++)
        play->fleet.is_stopping[index] = true;
    if (!run_until(play, patience_ns, are_servers_down))
        sim_workload_stuck(play->result, "the servers do not stop");
}

static void start(struct play *play)
{
    struct sim *sim = play->sim;
    for (uint32_t index = 0; index < play->server_count; index++) {
        const bool is_patient = play->stage.is_linearizable && prng_chance(&play->read_prng, 1, 2);
        play->servers[index] = (struct server){
            .play = play,
            .node = sim->nodes[index],
            .sync_limit_ticks = is_patient ? long_sync_limit_ticks : sync_limit_ticks};
        sim_fleet_start(&play->fleet, index);
    }
    for (uint32_t index = 0; index < play->stage.owner_count; index++) {
        keeper_player_cast(&play->stage, index, UINT32_MAX);
        sim_node_start(sim->nodes[play->server_count + index], run_client,
                       &play->stage.owners[index]);
    }
}

static void set_stage(struct play *play, struct prng *prng)
{
    struct keeper_stage *stage = &play->stage;
    stage->result = play->result;
    stage->sim = play->sim;
    stage->owner_count = (uint32_t)prng_between(prng, 1, keeper_owner_count_max);
    stage->pace_ns = prng_between(prng, 5 * ns_per_ms, 200 * ns_per_ms);
    stage->is_ensemble = true;
    stage->has_local_sessions = play->has_local_sessions;
    stage->settle_ns = 2 * (sync_limit_ticks * tick_ms + slack_ms) * ns_per_ms;
    stage->dial = dial;
    stage->may_expire = may_expire;
    stage->may_live = may_live;
    stage->prng = *prng;
}

/* By a generator of its own: the other seeds stay what they were. */
static void draw_settings(struct play *play)
{
    struct prng prng;
    prng_init(&prng, play->options->seed ^ 0x6c6f63616c);
    play->has_local_sessions = prng_chance(&prng, 1, 3);
    play->has_observer_masters = play->server_count > play->voter_count && prng_chance(&prng, 1, 2);
}

static struct sim_workload_result run(const struct sim_workload_options *options)
{
    static const uint32_t voter_counts[] = {3, 3, 3, 5, 5, 7};
    struct sim_workload_result result = {.verdict = SIM_RIGHT};
    struct sim sim;
    struct prng prng;
    prng_init(&prng, options->seed ^ 0x656e73656d626c);
    const uint32_t voter_count = voter_counts[prng_below(&prng, ARRAY_COUNT(voter_counts))];
    const uint32_t server_count = voter_count + prng_chance(&prng, 1, 4);
    sim_workload_begin(&sim, options, &prng, server_count + keeper_owner_count_max);
    struct play *play = heap_take_zeroed(&sim.heap, sizeof *play);
    assert(play != NULL);
    play->options = options;
    play->result = &result;
    play->sim = &sim;
    play->voter_count = voter_count;
    play->server_count = server_count;
    draw_settings(play);
    prng_init(&play->haste, options->seed ^ 0x6861737465);
    play->is_hasty = options->is_swarm && options->seed % 4 == 0;
    play->has_short_epochs = options->seed % 5 == 0;
    set_stage(play, &prng);
    prng_init(&play->read_prng, options->seed ^ 0x7265616473);
    play->stage.is_linearizable = prng_chance(&play->read_prng, 1, 3);
    ensemble_ledger_init(&play->ledger, &sim, &result, voter_count);
    play->fleet = (struct sim_fleet){
        .events = {.start = start_server, .judge = judge_end, .look = look, .context = play},
        .options = options,
        .result = &result,
        .sim = &sim,
        .prng = &play->stage.prng,
        .server_count = server_count};
    sim_fleet_init(&play->fleet);
    start(play);
    if (options->is_swarm)
        run_swarm(play);
    play->fleet.down_ns_max = ns_per_s;
    calm_down(play);
    finish(play);
    sim_fleet_count_boundaries(&play->fleet);
    look_again(play);
    stop_servers(play);
    sim_workload_end(&sim, &result);
    return result;
}

const struct sim_workload workload_ensemble = {.name = "ensemble", .steps = 1, .run = run};
