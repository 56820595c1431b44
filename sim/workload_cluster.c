/* Clusters of three to five brokers on one keeper or three, with the clients of
 * sim/broker_player.h, while brokers and keepers are killed, power is lost, disks fail, one log
 * directory of a broker's two among them, and the network falls apart. Where brokers have two,
 * mostly their replicas move between them. In every fifth seed one more topic is deleted and made
 * again all the time, with clients of its own (sim/lives_player.h).
 *
 * What the brokers hold is judged after each event (sim/cluster_ledger.h). When the faults are over
 * all replicas must come into the ISR and be equal, and the producers must get on; then the power
 * goes everywhere, and what was promised must still be there.
 */
#include "journal/small_file.h"
#include "server/keeper/keeper_server.h"
#include "sim/broker_moves.h"
#include "sim/broker_player.h"
#include "sim/broker_rig.h"
#include "sim/cluster_ledger.h"
#include "sim/cluster_topics.h"
#include "sim/lives_player.h"
#include "sim/sim_fleet.h"
#include "sim/sim_gates.h"
#include "sim/sim_net.h"

#include <stdio.h>

enum {
    keeper_count_max = 3,
    server_count_max = keeper_count_max + cluster_broker_count_max,
    reader_count = 1,
    client_count = broker_producer_count_max + reader_count,
    config_bytes_max = 2048,
    swarm_length = 5,
    trouble_count_max = 40,
};

static const uint64_t ns_per_ms = 1000000;
static const uint64_t ns_per_s = 1000000000;
static const uint64_t patience_ns = 600000000000;

struct server {
    struct play *play;
    struct sim_node *node;
    struct broker_server *broker; /* Of the process that runs now; NULL: a keeper, or none. */
    enum err start_err;
    enum err failure;
    uint64_t disk_errors_before; /* Its latest start. */
    bool is_restarting;          /* A broker: stops in good order, and is started again. */
    const char *broken; /* A broker: its log directory on a disk that has failed; or NULL. */
    bool keeps_broken;  /* Its starts mend nothing. */
};

struct play {
    const struct sim_workload_options *options;
    struct sim_workload_result *result;
    struct sim *sim;
    struct broker_stage stage;
    struct cluster_ledger ledger;
    uint32_t keeper_count;
    uint32_t broker_count;
    uint32_t server_count; /* Keepers first, then brokers: their nodes' numbers. */
    struct server servers[server_count_max];
    uint32_t min_isr;
    uint32_t shard_count; /* Of each broker. */
    uint32_t rebalance_s; /* How often leaders go back to where they belong. */
    bool is_unclean;      /* Anybody may lead when nobody of the ISR is there. */
    bool has_two_disks;   /* Each broker has two log directories, of which one may fail. */
    struct sim_fleet fleet;
    bool moves_replicas; /* Between both, all the time. */
    bool holds_copies;   /* They are held where they are nearly at the end. */
    bool parts_twins;    /* A broker that dies while a replica has two names comes back with one. */
    struct prng moves_prng;
    struct prng twins_prng;
    struct cluster_topics topics;
    bool makes_topics;        /* Now and then. */
    uint32_t delete_delay_ms; /* Of files. */
    struct prng topics_prng;
    struct lives_stage *lives; /* Of a topic that is deleted and made again; NULL: there is none. */
    bool changes_leaders;      /* Quickly, with nothing copied in between. */
    struct prng leaders_prng;  /* Of that: other seeds stay what they were. */
    uint32_t watched_partition; /* Who shall lead it ... */
    uint32_t watched_broker;    /* ... or lead it no more. */
};

static bool is_over(const struct play *play)
{
    return broker_stage_is_over(&play->stage);
}

/* ---- Keepers. ---- */

static void print_keeper_config(const struct play *play, char *text, size_t capacity)
{
    size_t size = (size_t)snprintf(text, capacity,
                                   "dataDir=/keeper\nclientPort=2181\nadmin.enableServer=false\n"
                                   "tickTime=500\ninitLimit=10\nsyncLimit=4\nsnapCount=200\n"
                                   "preAllocSize=64\nmaxClientCnxns=0\nmemory.limitMb=64\n"
                                   "disk.reserveMb=0\n");
    for (uint32_t index = 0; play->keeper_count > 1 && index < play->keeper_count; index++)
        size += (size_t)snprintf(text + size, capacity - size, "server.%u=node%u:2888:3888\n",
                                 index + 1, index);
}

static void write_myid(struct sim_node *node)
{
    char text[8];
    snprintf(text, sizeof text, "%u", node->index + 1);
    if (small_file_make_directory_wait(node->io, "/keeper") != 0 ||
        small_file_replace_wait(node->io, "/keeper/myid", slice_from_text(text)) != 0)
        io_fatal(node->io, "myid cannot be written");
}

static void run_keeper(struct sim_node *node, void *argument)
{
    struct server *self = argument;
    struct shard shard = {
        .name = "keeper", .io = node->io, .heap = &node->heap, .diag = node->diag};
    struct keeper_config config;
    struct keeper_server *server;
    char text[config_bytes_max];
    list_init(&shard.inboxes);
    print_keeper_config(self->play, text, sizeof text);
    write_myid(node);
    self->start_err = keeper_config_load(
        &config, &node->heap, node->diag,
        (struct config_source){.file_name = "zoo.cfg", .text = slice_from_text(text)});
    if (self->start_err == ERR_OK)
        self->start_err = keeper_server_start(&server, &shard, &config);
    if (self->start_err == ERR_OK)
        shard_run(&shard); /* Until it is killed, or the world ends. */
}

/* ---- Brokers. ---- */

static void print_broker_config(const struct play *play, uint32_t node, char *text, size_t capacity)
{
    size_t size = (size_t)snprintf(
        text, capacity,
        "broker.id=%u\nlisteners=PLAINTEXT://10.0.0.%u:9092\nlog.dirs=%s\n"
        "default.replication.factor=3\nmin.insync.replicas=%u\nreplica.lag.time.max.ms=3000\n"
        "zookeeper.session.timeout.ms=4000\nlog.segment.bytes=6000\nlog.index.interval.bytes=1000\n"
        "log.flush.offset.checkpoint.interval.ms=500\n"
        "replica.high.watermark.checkpoint.interval.ms=300\n"
        "leader.imbalance.check.interval.seconds=%u\nunclean.leader.election.enable=%s\n"
        "alter.log.dirs.replication.quota.window.num=%u\nlog.segment.delete.delay.ms=%u\n"
        "rookery.broker.shards=%u\n%szookeeper.connect=",
        node - play->keeper_count + 1, node + 1,
        play->has_two_disks ? "/broker,/broker2" : "/broker", play->min_isr, play->rebalance_s,
        play->is_unclean ? "true" : "false", play->holds_copies ? 2 : 11, play->delete_delay_ms,
        play->shard_count, play->lives == NULL ? "" : "offsets.topic.num.partitions=1\n");
    for (uint32_t index = 0; index < play->keeper_count; index++)
        size += (size_t)snprintf(text + size, capacity - size, "%s10.0.0.%u:2181",
                                 index == 0 ? "" : ",", index + 1);
    snprintf(text + size, capacity - size, "\n");
}

static enum err load_broker_config(struct server *self, struct broker_config *config)
{
    struct sim_node *node = self->node;
    char text[config_bytes_max];
    print_broker_config(self->play, node->index, text, sizeof text);
    return broker_rig_load_config(&node->heap, node->diag, text, config);
}

static void on_stopped(void *context)
{
    *(bool *)context = true;
}

static void move_replicas(struct play *play, struct broker_server *broker)
{
    struct prng *prng = &play->moves_prng;
    if (play->holds_copies && (!play->moves_replicas || prng_chance(prng, 1, 100)))
        broker_moves_release(broker);
    else if (play->holds_copies)
        broker_moves_hold(broker, prng);
    else if (play->moves_replicas && prng_chance(prng, 1, 60))
        broker_moves_order_any(broker, prng);
}

static void run_broker(struct sim_node *node, void *argument)
{
    struct server *self = argument;
    struct shard shard = {
        .name = "broker", .io = node->io, .heap = &node->heap, .diag = node->diag};
    struct broker_config config = {0};
    struct sim_gates gates = {0};
    list_init(&shard.inboxes);
    self->start_err = load_broker_config(self, &config);
    if (self->start_err == ERR_OK)
        self->start_err = broker_server_start(&self->broker, &shard, &config);
    if (self->start_err != ERR_OK)
        return;
    sim_gates_start(&gates, &shard, self->broker, &config);
    const bool *is_stopping = &self->play->fleet.is_stopping[node->index];
    while (!*is_stopping && !self->is_restarting && !shard.stopping) {
        sim_gates_step(&gates, 100 * ns_per_ms);
        move_replicas(self->play, self->broker);
        if (self->play->makes_topics && prng_chance(&self->play->topics_prng, 1, 100))
            cluster_topics_make(&self->play->topics, node->index - self->play->keeper_count,
                                self->broker, &self->play->topics_prng);
    }
    self->failure = self->broker->failure;
    if (shard.stopping)
        return;
    bool is_stopped = false;
    broker_server_stop(self->broker, on_stopped, &is_stopped);
    while (!is_stopped)
        sim_gates_step(&gates, 100 * ns_per_ms);
    struct broker_server *broker = self->broker;
    self->broker = NULL;
    sim_gates_end(&gates);
    broker_server_deinit(broker);
}

/* NULL: it is down, or on its way up. */
static const struct broker_server *broker_of(const struct play *play, uint32_t broker)
{
    const struct server *server = &play->servers[play->keeper_count + broker];
    const bool is_up = sim_node_is_up(server->node) && server->broker != NULL &&
                       broker_server_is_serving(server->broker);
    return is_up ? server->broker : NULL;
}

static void look(void *context)
{
    struct play *play = context;
    for (uint32_t broker = 0; broker < play->broker_count; broker++) {
        const struct broker_server *server = broker_of(play, broker);
        if (server == NULL || play->servers[play->keeper_count + broker].is_restarting)
            cluster_topics_end_maker(&play->topics, broker);
        if (server == NULL)
            continue;
        cluster_ledger_look(&play->ledger, broker, server);
        cluster_topics_look(&play->topics, broker, server);
        if (play->lives != NULL)
            topic_lives_look(play->lives->lives, broker, server);
    }
}

/* ---- Log directories. ---- */

/* At most one of a broker's two: with both it would end. */
static void break_disk(struct play *play, uint32_t broker)
{
    static const char *const disks[] = {"/broker", "/broker2"};
    struct server *server = &play->servers[play->keeper_count + broker];
    struct io_file_info info;
    const char *path = disks[prng_below(&play->stage.prng, ARRAY_COUNT(disks))];
    if (server->keeps_broken || server->broken != NULL ||
        sim_disk_info(&server->node->disk, path, &info) != 0)
        return;
    server->broken = path;
    sim_disk_break(&server->node->disk, path, true);
}

static void mend_disk(struct server *server)
{
    if (server->broken != NULL)
        sim_disk_break(&server->node->disk, server->broken, false);
    server->broken = NULL;
}

/* By that, or by an error of the faults. */
static bool has_lost_directory(const struct broker_server *server)
{
    for (uint32_t i = 0; server != NULL && i < server->partitions.directory_count; i++)
        if (log_directory_is_offline(server->partitions.directories[i]))
            return true;
    return false;
}

/* The disks work: the brokers take their log directories back with their next start. */
static void mend_disks(struct play *play)
{
    for (uint32_t broker = 0; broker < play->broker_count; broker++) {
        struct server *server = &play->servers[play->keeper_count + broker];
        if (sim_node_is_up(server->node) &&
            (server->broken != NULL || has_lost_directory(server->broker)))
            sim_node_kill(server->node);
        mend_disk(server);
    }
}

/* ---- Down and up. ---- */

static void start_server(void *context, uint32_t index)
{
    struct play *play = context;
    struct server *server = &play->servers[index];
    const bool is_keeper = index < play->keeper_count;
    server->broker = NULL;
    server->start_err = ERR_OK;
    server->failure = ERR_OK;
    server->is_restarting = false;
    server->disk_errors_before = play->sim->counters.disk_errors;
    if (server->broken != NULL && !server->keeps_broken && prng_chance(&play->stage.prng, 1, 2))
        mend_disk(server);
    sim_node_start(server->node, is_keeper ? run_keeper : run_broker, server);
}

static void judge_end(void *context, uint32_t index)
{
    struct play *play = context;
    const struct server *server = &play->servers[index];
    struct sim_workload_result *result = play->result;
    const struct sim_node *node = server->node;
    const bool may_fail = play->sim->options.faults.sync_error_per_million > 0 ||
                          play->sim->options.faults.write_error_per_million > 0;
    if (may_fail || is_over(play))
        return;
    if (node->end == SIM_NODE_FATAL) {
        result->verdict = SIM_CRASHED;
        memcpy(result->why, node->fatal_line, sizeof result->why);
    }
    /* A broker that does not reach its keeper in time gives up, as Apache's does. */
    const bool is_asked_to = server->is_restarting && server->start_err == ERR_OK;
    if (node->end == SIM_NODE_RETURNED && server->failure != ERR_TIMEOUT && !is_asked_to)
        sim_workload_wrong(result, play->sim, "%s ends by itself: %s, %s", node->name,
                           err_text(server->start_err), err_text(server->failure));
}

static bool is_keeper(const void *context, uint32_t index)
{
    const struct play *play = context;
    return index < play->keeper_count;
}

static bool needs_help(void *context)
{
    struct play *play = context;
    return sim_fleet_needs_help(&play->fleet);
}

static bool is_finished(void *context)
{
    struct play *play = context;
    return needs_help(play) || (broker_stage_is_finished(&play->stage) &&
                                (play->lives == NULL || lives_stage_is_finished(play->lives)));
}

static bool is_scanned(void *context)
{
    struct play *play = context;
    return needs_help(play) || play->stage.is_scanned;
}

/* One leader, all replicas in the ISR, and all of them with everything and where they shall be. */
static bool is_partition_whole(const struct play *play, struct slice topic, int32_t index)
{
    uint32_t leader_count = 0;
    uint32_t replica_count = 0;
    int64_t end = -1;
    for (uint32_t broker = 0; broker < play->broker_count; broker++) {
        const struct broker_server *server = broker_of(play, broker);
        if (server == NULL)
            return false;
        const struct metadata_partition *known =
            metadata_view_partition(control_metadata(server->control), topic, index);
        const struct partition *partition = partition_table_find(&server->partitions, topic, index);
        if (known == NULL || known->isr_count != known->replica_count)
            return false;
        if (partition == NULL || partition->store == NULL)
            continue;
        if (partition->move != NULL)
            return false;
        const int64_t this_end = partition_store_log_end_offset(partition->store);
        if (replica_count > 0 && this_end != end)
            return false;
        end = this_end;
        replica_count++;
        if (!partition_is_led(partition))
            continue;
        leader_count++;
        if (partition_store_high_watermark(partition->store) != end)
            return false;
    }
    return leader_count == 1 && replica_count == 3;
}

/* All partitions that the brokers know of the topic that is deleted, and made again. */
static bool is_last_life_whole(const struct play *play)
{
    const struct broker_server *server = broker_of(play, 0);
    const struct metadata_topic *topic =
        server == NULL ? NULL
                       : metadata_view_topic(control_metadata(server->control), topic_lives_name());
    if (topic == NULL)
        return false;
    for (uint32_t index = 0; index < topic->partition_count; index++)
        if (!is_partition_whole(play, topic_lives_name(), (int32_t)index))
            return false;
    return true;
}

static bool is_whole(void *context)
{
    struct play *play = context;
    if (needs_help(play))
        return true;
    for (uint32_t index = 0; index < cluster_partition_count_max; index++)
        if (!is_partition_whole(play, cluster_topic(index), 0))
            return false;
    return play->lives == NULL || is_last_life_whole(play);
}

/* For people: how it stands with each replica. */
static void tell_partition(const struct play *play, uint32_t broker, struct slice topic,
                           int32_t index)
{
    const struct broker_server *server = broker_of(play, broker);
    const struct partition *partition =
        server == NULL ? NULL : partition_table_find(&server->partitions, topic, index);
    if (partition == NULL || partition->store == NULL)
        return;
    const struct metadata_partition *known =
        metadata_view_partition(control_metadata(server->control), topic, index);
    char line[160];
    const int size = snprintf(
        line, sizeof line,
        "%" SLICE_FORMAT "-%d: %s in epoch %d, high watermark %lld, log end %lld; ISR %u/%u",
        SLICE_ARGS(topic), index, partition->is_leader ? "leads" : "follows",
        partition->leader_epoch, (long long)partition_store_high_watermark(partition->store),
        (long long)partition_store_log_end_offset(partition->store),
        known == NULL ? 0 : known->isr_count, known == NULL ? 0 : known->replica_count);
    sim_note(play->sim, play->servers[play->keeper_count + broker].node,
             slice_of(line, (size_t)size));
}

static void tell_replicas(const struct play *play)
{
    for (uint32_t broker = 0; broker < play->broker_count; broker++) {
        for (uint32_t index = 0; index < cluster_partition_count_max; index++)
            tell_partition(play, broker, cluster_topic(index), 0);
        for (int32_t index = 0; index < topic_lives_partition_count_max; index++)
            tell_partition(play, broker, topic_lives_name(), index);
    }
}

static bool are_brokers_down(void *context)
{
    struct play *play = context;
    for (uint32_t broker = 0; broker < play->broker_count; broker++)
        if (sim_node_is_up(play->servers[play->keeper_count + broker].node))
            return needs_help(play);
    return true;
}

static bool run_until(struct play *play, uint64_t time_ns, bool (*is_enough)(void *context))
{
    return sim_fleet_run_until(&play->fleet, time_ns, is_enough);
}

static void expect(struct play *play, uint64_t time_ns, bool (*is_enough)(void *context),
                   const char *otherwise)
{
    if (is_over(play) || run_until(play, time_ns, is_enough))
        return;
    tell_replicas(play);
    broker_stage_set_stuck(&play->stage, otherwise);
}

/* ---- Trouble. ---- */

/* broker_count: nobody. */
static uint32_t find_leader(const struct play *play, uint32_t index)
{
    uint32_t broker = 0;
    while (broker < play->broker_count) {
        const struct broker_server *server = broker_of(play, broker);
        if (server != NULL &&
            partition_is_led(partition_table_find(&server->partitions, cluster_topic(index), 0)))
            break;
        broker++;
    }
    return broker;
}

/* Half of the time one that leads something: that is where it hurts. */
static uint32_t choose_broker(struct play *play)
{
    struct prng *prng = &play->stage.prng;
    const uint32_t any = (uint32_t)prng_below(prng, play->broker_count);
    const uint32_t index = (uint32_t)prng_below(prng, cluster_partition_count_max);
    const uint32_t leader = find_leader(play, index);
    return prng_chance(prng, 1, 2) || leader == play->broker_count ? any : leader;
}

static void break_server(struct play *play, uint64_t choice)
{
    struct prng *prng = &play->stage.prng;
    const uint32_t broker = choose_broker(play);
    const uint32_t index = prng_chance(prng, 1, 5) ? (uint32_t)prng_below(prng, play->keeper_count)
                                                   : play->keeper_count + broker;
    struct sim_node *node = play->servers[index].node;
    if (choice == 3 && index >= play->keeper_count)
        play->servers[index].is_restarting = sim_node_is_up(node);
    else if (choice == 0 && sim_node_is_up(node))
        sim_node_kill(node);
    else if (choice == 1 && sim_node_is_up(node))
        sim_node_lose_power(node, SIM_LOSS_RANDOM);
    else
        sim_crash_at(node, prng_between(prng, 1, 60), SIM_LOSS_RANDOM);
}

/* From the other brokers, and maybe from the keepers; not from all clients. */
static void isolate_broker(struct play *play, uint32_t node, bool has_keepers)
{
    struct sim *sim = play->sim;
    struct prng *prng = &play->stage.prng;
    if (!has_keepers) {
        const uint32_t clients = (uint32_t)prng_below(prng, UINT64_C(1) << client_count);
        sim_net_partition(sim, (uint32_t)1 << node | clients << play->server_count);
        return;
    }
    for (uint32_t other = play->keeper_count; other < play->server_count; other++) {
        if (other == node)
            continue;
        sim_net_block(sim, node, other);
        sim_net_block(sim, other, node);
    }
}

static void break_network(struct play *play, uint64_t choice)
{
    struct sim *sim = play->sim;
    struct prng *prng = &play->stage.prng;
    const uint32_t node_count = sim->options.node_count;
    const uint32_t one = (uint32_t)prng_below(prng, play->server_count);
    const uint32_t other = (uint32_t)prng_below(prng, node_count);
    if (choice == 0)
        sim_net_partition(sim, (uint32_t)prng_below(prng, UINT64_C(1) << node_count));
    else if (choice == 1)
        sim_net_partition(sim, (uint32_t)1 << one | (uint32_t)1 << other);
    else if (choice == 2 && one != other)
        sim_net_block(sim, one, other);
    else if (choice == 3 && one != other)
        sim_net_block(sim, other, one);
    else if (choice == 4 || choice == 5)
        isolate_broker(play, play->keeper_count + choose_broker(play), choice == 4);
    else
        sim_net_reset(sim, one);
}

static void make_trouble(struct play *play)
{
    struct sim *sim = play->sim;
    struct prng *prng = &play->stage.prng;
    const uint64_t choice = prng_below(prng, 100);
    if (choice < 38)
        break_server(play, choice % 4);
    else if (choice < 62)
        break_network(play, choice % 7);
    else if (choice < 85)
        sim_net_heal(sim);
    else if (choice < 90)
        sim_node_jump_wall(sim->nodes[prng_below(prng, play->server_count)],
                           (int64_t)prng_below(prng, 40000000) - 20000000);
    else if (choice < 95)
        sim->faults.sync_ns_mean = prng_between(prng, 100000, 200 * ns_per_ms);
    else if (choice < 97)
        sim_fleet_lose_all_power(&play->fleet, SIM_LOSS_RANDOM);
    else if (play->has_two_disks)
        break_disk(play, choose_broker(play));
}

/* ---- Leaders that change with nothing copied in between. ---- */

static bool does_another_lead(void *context)
{
    struct play *play = context;
    const uint32_t leader = find_leader(play, play->watched_partition);
    return needs_help(play) || (leader != play->broker_count && leader != play->watched_broker);
}

static bool does_it_lead(void *context)
{
    struct play *play = context;
    return needs_help(play) || find_leader(play, play->watched_partition) == play->watched_broker;
}

static void take_down(struct play *play, uint32_t broker, uint64_t down_ns)
{
    sim_fleet_take_down(&play->fleet, play->keeper_count + broker, down_ns);
}

/* For a while clients reach it, and no follower does: what they send is a tail of its own. */
static void leave_alone(struct play *play, uint32_t broker)
{
    sim_net_heal(play->sim);
    isolate_broker(play, play->keeper_count + broker, true);
    (void)run_until(play, prng_below(&play->leaders_prng, 3 * ns_per_s), needs_help);
}

/* A leader that was alone goes, and another one leads, which is soon alone too. Either the first
 * one comes back then; or all others go, and it leads again, if an unclean leader may. */
static void change_leaders(struct play *play)
{
    struct prng *prng = &play->leaders_prng;
    const uint64_t long_ns = 60 * ns_per_s;
    play->watched_partition = (uint32_t)prng_below(prng, cluster_partition_count_max);
    const uint32_t first = find_leader(play, play->watched_partition);
    if (first == play->broker_count)
        return;
    leave_alone(play, first);
    take_down(play, first, long_ns);
    sim_net_heal(play->sim);
    play->watched_broker = first;
    const bool goes_on = run_until(play, 20 * ns_per_s, does_another_lead);
    const uint32_t second = find_leader(play, play->watched_partition);
    uint64_t *revive_at_ns = &play->fleet.revive_at_ns[play->keeper_count];
    if (goes_on && second != play->broker_count && play->is_unclean) {
        leave_alone(play, second);
        for (uint32_t broker = 0; broker < play->broker_count; broker++)
            if (broker != first)
                take_down(play, broker, long_ns);
        revive_at_ns[first] = play->sim->now_ns + 1;
        if (run_until(play, 20 * ns_per_s, does_it_lead))
            (void)run_until(play, prng_below(prng, 2 * ns_per_s), needs_help);
    }
    for (uint32_t broker = 0; broker < play->broker_count; broker++)
        if (revive_at_ns[broker] > play->sim->now_ns)
            revive_at_ns[broker] = play->sim->now_ns + 1 + prng_below(prng, ns_per_s);
    sim_net_heal(play->sim);
}

/* ---- Twins. ---- */

static bool has_two_names(void *context)
{
    struct play *play = context;
    for (uint32_t broker = 0; broker < play->broker_count; broker++) {
        const struct broker_server *server = broker_of(play, broker);
        if (server == NULL || play->servers[play->keeper_count + broker].broken != NULL ||
            !broker_moves_has_two_names(server))
            continue;
        play->watched_broker = broker;
        return true;
    }
    return needs_help(play);
}

static bool is_watched_broker_up(void *context)
{
    struct play *play = context;
    return needs_help(play) || broker_of(play, play->watched_broker) != NULL;
}

static void live_without(struct play *play, uint32_t broker, const char *disk)
{
    struct prng *prng = &play->twins_prng;
    struct server *server = &play->servers[play->keeper_count + broker];
    server->broken = disk;
    sim_disk_break(&server->node->disk, disk, true);
    play->watched_broker = broker;
    if (run_until(play, 20 * ns_per_s, is_watched_broker_up))
        (void)run_until(play, prng_below(prng, 20 * ns_per_s), needs_help);
    take_down(play, broker, 1 + prng_below(prng, ns_per_s));
    mend_disk(server);
}

/* A broker ends while a replica of it has two names, and lives on with one of them, and then maybe
 * with the other one: when both are back, one is of an earlier time. */
static void part_twins(struct play *play)
{
    static const char *const disks[] = {"/broker", "/broker2"};
    struct prng *prng = &play->twins_prng;
    play->watched_broker = play->broker_count;
    (void)run_until(play, 10 * ns_per_s, has_two_names);
    if (is_over(play) || play->watched_broker == play->broker_count)
        return;
    const uint32_t broker = play->watched_broker;
    struct server *server = &play->servers[play->keeper_count + broker];
    const uint64_t first = prng_below(prng, ARRAY_COUNT(disks));
    server->keeps_broken = true;
    take_down(play, broker, 1 + prng_below(prng, ns_per_s));
    live_without(play, broker, disks[first]);
    if (prng_chance(prng, 1, 2))
        live_without(play, broker, disks[1 - first]);
    play->watched_broker = broker;
    (void)run_until(play, patience_ns, is_watched_broker_up);
    server->keeps_broken = false;
}

static void run_swarm(struct play *play)
{
    struct prng *prng = &play->stage.prng;
    const uint64_t pause_ns_max = prng_between(prng, 50 * ns_per_ms, 8 * ns_per_s);
    const uint32_t count = (uint32_t)prng_between(prng, 1, trouble_count_max);
    play->fleet.down_ns_max = prng_between(prng, 50 * ns_per_ms, 12 * ns_per_s);
    for (uint32_t round = 0; round < count && !is_over(play); round++) {
        (void)run_until(play, prng_below(prng, pause_ns_max), needs_help);
        if (is_over(play))
            return;
        if ((play->changes_leaders || play->holds_copies) && prng_chance(&play->leaders_prng, 1, 4))
            change_leaders(play);
        else if (play->parts_twins && prng_chance(&play->twins_prng, 1, 4))
            part_twins(play);
        else
            make_trouble(play);
    }
}

/* ---- The topic that is deleted. ---- */

/* Its clients' nodes come after all others. */
static struct sim_node *lives_node(const struct play *play, uint32_t client)
{
    return play->sim->nodes[play->server_count + client_count + client];
}

static void start_lives(struct play *play)
{
    sim_node_start(lives_node(play, 0), lives_play_operator, play->lives);
    sim_node_start(lives_node(play, 1), lives_play_reader, play->lives);
    for (uint32_t index = 0; index < lives_producer_count; index++)
        sim_node_start(lives_node(play, 2 + index), lives_play_producer, play->lives);
}

static bool is_lives_part_done(void *context)
{
    struct play *play = context;
    return needs_help(play) || play->lives->is_done;
}

static void play_lives_part(struct play *play, void (*part)(struct sim_node *node, void *stage),
                            const char *otherwise)
{
    struct sim_node *node = lives_node(play, 1);
    if (play->lives == NULL || is_over(play))
        return;
    if (sim_node_is_up(node))
        sim_node_kill(node);
    play->lives->is_done = false;
    sim_node_start(node, part, play->lives);
    expect(play, patience_ns, is_lives_part_done, otherwise);
}

struct remains {
    uint32_t count;
    uint32_t broker; /* Where they are. */
    char name[64];
};

static void note_remains(void *context, const char *name)
{
    struct remains *remains = context;
    const struct slice topic = topic_lives_name();
    if (strncmp(name, (const char *)topic.data, topic.size) != 0)
        return;
    remains->count++;
    snprintf(remains->name, sizeof remains->name, "%s", name);
}

static struct remains find_remains(const struct play *play)
{
    static const char *const roots[] = {"/broker", "/broker2"};
    struct remains remains = {.count = 0};
    for (uint32_t broker = 0; broker < play->broker_count && remains.count == 0; broker++) {
        remains.broker = broker;
        for (uint32_t i = 0; i < ARRAY_COUNT(roots); i++)
            (void)sim_disk_list(&play->servers[play->keeper_count + broker].node->disk, roots[i],
                                note_remains, &remains);
    }
    return remains;
}

static bool has_no_remains(void *context)
{
    struct play *play = context;
    return needs_help(play) || find_remains(play).count == 0;
}

/* It is deleted for the last time: nothing may be left of it, nor of its earlier lives. */
static void end_lives(struct play *play)
{
    char why[128];
    if (play->lives == NULL)
        return;
    play_lives_part(play, lives_play_end, "a topic is never deleted");
    if (!play->lives->is_done && play->lives->awaited != NULL)
        sim_note(play->sim, NULL, slice_from_text(play->lives->awaited));
    if (is_over(play) || run_until(play, 60 * ns_per_s, has_no_remains))
        return;
    const struct remains remains = find_remains(play);
    snprintf(why, sizeof why, "a deleted topic's directory stays on broker %u: %s",
             remains.broker + 1, remains.name);
    broker_stage_set_stuck(&play->stage, why);
}

/* ---- The run. ---- */

static void scan(struct play *play)
{
    struct sim_node *node = play->sim->nodes[play->server_count];
    /* Nothing may be written while it reads: a leader that fails meanwhile knows no high watermark
     * for a while. */
    play->moves_replicas = false;
    play->makes_topics = false;
    expect(play, patience_ns, is_whole, "the replicas do not come together");
    if (is_over(play))
        return;
    if (sim_node_is_up(node))
        sim_node_kill(node);
    broker_stage_forget_written(&play->stage); /* A leader may have gone with it. */
    play->stage.is_scanned = false;
    sim_node_start(node, broker_play_scan, &play->stage);
    expect(play, patience_ns, is_scanned, "the last scan never ends");
    play_lives_part(play, lives_play_scan, "the last life is never read");
}

static void stop_brokers(struct play *play)
{
    if (is_over(play))
        return;
    for (uint32_t broker = 0; broker < play->broker_count; broker++)
        play->fleet.is_stopping[play->keeper_count + broker] = true;
    expect(play, patience_ns, are_brokers_down, "the brokers do not stop");
    if (!is_over(play))
        cluster_ledger_compare_disks(&play->ledger);
}

static void start(struct play *play)
{
    struct sim *sim = play->sim;
    for (uint32_t index = 0; index < play->server_count; index++) {
        play->servers[index] = (struct server){.play = play, .node = sim->nodes[index]};
        sim_fleet_start(&play->fleet, index);
    }
    for (uint32_t index = 0; index < play->stage.producer_count; index++)
        sim_node_start(sim->nodes[play->server_count + index], broker_play_producer,
                       &play->stage.producers[index]);
    if (!play->stage.has_acks_1)
        sim_node_start(sim->nodes[play->server_count + play->stage.producer_count],
                       broker_play_reader, &play->stage);
    if (play->lives != NULL)
        start_lives(play);
}

static void set_stage(struct play *play, struct prng *prng)
{
    const struct sim_workload_options *options = play->options;
    play->min_isr = (uint32_t)prng_between(prng, 1, 2);
    play->ledger = (struct cluster_ledger){.sim = play->sim,
                                           .result = play->result,
                                           .first_broker_node = play->keeper_count,
                                           .broker_count = play->broker_count};
    play->stage = (struct broker_stage){.sim = play->sim,
                                        .result = play->result,
                                        .first_broker_node = play->keeper_count,
                                        .first_broker_id = 1,
                                        .broker_count = play->broker_count,
                                        .has_acks_1 = prng_chance(prng, 1, 3)};
    play->rebalance_s = prng_chance(prng, 1, 2) ? (uint32_t)prng_between(prng, 1, 6) : 300;
    play->shard_count = options->seed % 7 == 3 ? 3 : 1;
    play->changes_leaders = options->is_swarm && options->seed % 4 == 1;
    play->is_unclean = play->stage.has_acks_1 && (prng_chance(prng, 1, 2) || play->changes_leaders);
    prng_init(&play->leaders_prng, options->seed ^ 0x6c656164657273);
    /* In some seeds they go on through most of the trouble. */
    play->stage.pause_ns_max =
        prng_between(prng, 400 * ns_per_ms, options->is_swarm ? 15 * ns_per_s : ns_per_s);
    play->stage.promises_nothing = play->is_unclean;
    play->ledger.may_lose_written = play->stage.has_acks_1;
    for (uint32_t index = 0; index < cluster_partition_count_max; index++)
        snprintf(play->ledger.names[index], sizeof play->ledger.names[index], "topic-%u", index);
    cluster_ledger_init(&play->ledger);
    play->stage.prng = *prng;
    broker_stage_init(&play->stage, options->steps * (options->is_swarm ? swarm_length : 1));
}

static void set_lives(struct play *play)
{
    struct topic_lives *lives = heap_take_zeroed(&play->sim->heap, sizeof *lives);
    struct lives_stage *stage = heap_take_zeroed(&play->sim->heap, sizeof *stage);
    assert(lives != NULL && stage != NULL);
    lives->sim = play->sim;
    lives->result = play->result;
    lives->first_broker_node = play->keeper_count;
    lives->broker_count = play->broker_count;
    lives->promises_nothing = play->is_unclean;
    stage->lives = lives;
    stage->first_broker_id = 1;
    prng_init(&stage->prng, play->options->seed ^ 0x6c69766573);
    stage->pause_ns_max = prng_between(&stage->prng, 500 * ns_per_ms, 15 * ns_per_s);
    play->lives = stage;
}

static struct sim_workload_result run(const struct sim_workload_options *options)
{
    struct sim_workload_result result = {.verdict = SIM_RIGHT};
    struct sim sim;
    struct prng prng;
    prng_init(&prng, options->seed ^ 0x636c7573746572);
    const uint32_t keeper_count = prng_chance(&prng, 1, 3) ? keeper_count_max : 1;
    const uint32_t broker_count = (uint32_t)prng_between(&prng, 3, cluster_broker_count_max);
    const bool has_lives = options->is_swarm && options->seed % 5 == 4;
    sim_workload_begin(&sim, options, &prng,
                       keeper_count + broker_count + client_count +
                           (has_lives ? lives_client_count : 0));
    struct play *play = heap_take_zeroed(&sim.heap, sizeof *play);
    assert(play != NULL);
    play->options = options;
    play->result = &result;
    play->sim = &sim;
    play->keeper_count = keeper_count;
    play->broker_count = broker_count;
    play->server_count = keeper_count + broker_count;
    /* Drawn apart: the stories of the other seeds stay what they were. */
    struct prng disks;
    prng_init(&disks, options->seed ^ 0x6469736b73);
    play->has_two_disks = prng_chance(&disks, 1, 3);
    play->moves_replicas = play->has_two_disks && prng_chance(&disks, 3, 4);
    play->holds_copies = play->moves_replicas && prng_chance(&disks, 1, 2);
    play->parts_twins = play->moves_replicas && prng_chance(&disks, 1, 2) &&
                        sim.options.faults.write_error_per_million == 0 &&
                        sim.options.faults.sync_error_per_million == 0;
    prng_init(&play->moves_prng, options->seed ^ 0x6d6f766573);
    prng_init(&play->twins_prng, options->seed ^ 0x7477696e73);
    play->topics = (struct cluster_topics){.sim = &sim, .result = &result};
    play->makes_topics = options->seed % 6 == 2;
    /* Where many small replicas move, their old directories would be all that the disks are about.
     */
    play->delete_delay_ms =
        (play->moves_replicas && play->makes_topics) || has_lives ? 1000 : 60000;
    prng_init(&play->topics_prng, options->seed ^ 0x746f70696373);
    set_stage(play, &prng);
    if (has_lives)
        set_lives(play);
    play->fleet = (struct sim_fleet){.events = {.start = start_server,
                                                .judge = judge_end,
                                                .look = look,
                                                .must_lose_power = is_keeper,
                                                .context = play},
                                     .options = options,
                                     .result = &result,
                                     .sim = &sim,
                                     .prng = &play->stage.prng,
                                     .server_count = play->server_count};
    sim_fleet_init(&play->fleet);
    start(play);
    if (options->is_swarm)
        run_swarm(play);
    sim_fleet_calm_down(&play->fleet);
    mend_disks(play);
    if (play->lives != NULL)
        play->lives->is_ending = true;
    expect(play, 2 * patience_ns, is_finished, "a producer never comes to its end");
    scan(play);
    sim_fleet_count_boundaries(&play->fleet);
    if (!is_over(play))
        sim_fleet_lose_all_power(&play->fleet, SIM_LOSS_ALL);
    scan(play);
    end_lives(play);
    stop_brokers(play);
    sim_workload_end(&sim, &result);
    return result;
}

const struct sim_workload workload_cluster = {.name = "cluster", .steps = 20, .run = run};
