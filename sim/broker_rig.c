#include "sim/broker_rig.h"

#include "base/assert.h"
#include "sim/sim_gates.h"

#include <stdio.h>

enum { poll_ms = 10, config_bytes_max = 1024 };

static const uint64_t ns_per_ms = 1000000;
static const uint64_t ns_per_s = 1000000000;

/* ---- The keeper. ---- */

void broker_rig_keeper_process(struct sim_node *node, void *server)
{
    static const char text[] = "dataDir=/data\nclientPort=2181\ntickTime=100\n"
                               "disk.reserveMb=0\npreAllocSize=64\nadmin.enableServer=false\n";
    struct shard shard = {
        .name = "keeper", .io = node->io, .heap = &node->heap, .diag = node->diag};
    struct keeper_config config;
    list_init(&shard.inboxes);
    enum err err = keeper_config_load(&config, &node->heap, node->diag,
                                      (struct config_source){"zoo.cfg", slice_from_text(text)});
    if (err == ERR_OK)
        err = keeper_server_start(server, &shard, &config);
    assert(err == ERR_OK);
    shard_run(&shard);
}

void broker_rig_start_keeper(struct broker_rig *rig)
{
    sim_node_start(rig->sim.nodes[broker_rig_keeper_node], broker_rig_keeper_process, &rig->keeper);
}

/* ---- Brokers. ---- */

enum err broker_rig_load_config(struct heap *heap, struct diag *diag, const char *text,
                                struct broker_config *config)
{
    const struct config_source source = {"server.properties", slice_from_text(text)};
    enum err err = config_defaults(&broker_config_table, config, heap);
    if (err == ERR_OK)
        err = config_load(&broker_config_table, config, heap, diag, source);
    if (err == ERR_OK)
        err = broker_config_init(config, heap, diag, source);
    return err;
}

static void on_stopped(void *context)
{
    *(bool *)context = true;
}

static void stop(struct broker_rig_broker *self, struct sim_gates *gates)
{
    struct broker_server *server = self->server;
    bool is_stopped = false;
    broker_server_stop(server, on_stopped, &is_stopped);
    while (!is_stopped)
        sim_gates_step(gates, poll_ms * ns_per_ms);
    self->server = NULL;
    sim_gates_end(gates);
    broker_server_deinit(server);
}

static void broker_process(struct sim_node *node, void *argument)
{
    struct broker_rig_broker *self = argument;
    struct broker_rig *rig = self->rig;
    struct shard shard = {
        .name = "broker", .io = node->io, .heap = &node->heap, .diag = node->diag};
    struct broker_config config = {0};
    struct sim_gates gates = {0};
    char text[config_bytes_max];
    list_init(&shard.inboxes);
    snprintf(text, sizeof text,
             "broker.id=%d\nlisteners=PLAINTEXT://10.0.0.%d:9092\nlog.dirs=%s\n"
             "zookeeper.connect=10.0.0.1:2181\nzookeeper.connection.timeout.ms=600000\n"
             "controller.socket.timeout.ms=2000\n%s",
             (int)self->id, (int)self->id + 1, rig->log_dirs == NULL ? "/broker" : rig->log_dirs,
             rig->lines);
    enum err err = broker_rig_load_config(&node->heap, node->diag, text, &config);
    if (err == ERR_OK)
        err = broker_server_start(&self->server, &shard, &config);
    assert(err == ERR_OK);
    sim_gates_start(&gates, &shard, self->server, &config);
    while (!self->is_stopping && !shard.stopping) {
        sim_gates_step(&gates, poll_ms * ns_per_ms);
        if (rig->take_turn != NULL && self->server->state == BROKER_SERVING)
            rig->take_turn(self);
    }
    if (!self->is_stopping && !self->may_end)
        sim_report(&rig->sim);
    assert((self->is_stopping || self->may_end) && "a broker stops by itself");
    stop(self, &gates);
}

void broker_rig_start(struct broker_rig *rig, int32_t id)
{
    rig->brokers[id] = (struct broker_rig_broker){.rig = rig, .id = id};
    sim_node_start(rig->sim.nodes[id], broker_process, &rig->brokers[id]);
}

void broker_rig_kill(struct broker_rig *rig, int32_t id)
{
    sim_node_kill(rig->sim.nodes[id]);
    rig->brokers[id].server = NULL;
}

void broker_rig_lose_power(struct broker_rig *rig, int32_t id, enum sim_loss loss)
{
    sim_node_lose_power(rig->sim.nodes[id], loss);
    rig->brokers[id].server = NULL;
}

void broker_rig_stop(struct broker_rig *rig, int32_t id)
{
    rig->brokers[id].is_stopping = true;
}

struct broker_server *broker_rig_serving(const struct broker_rig *rig, int32_t id)
{
    struct broker_server *server = rig->brokers[id].server;
    const bool is_there = server != NULL && sim_node_is_up(rig->sim.nodes[id]);
    return is_there && server->state == BROKER_SERVING ? server : NULL;
}

int32_t broker_rig_controller(const struct broker_rig *rig)
{
    for (int32_t id = 1; id <= broker_rig_broker_count; id++) {
        const struct broker_server *server = broker_rig_serving(rig, id);
        if (server != NULL && control_is_controller(server->control))
            return id;
    }
    return -1;
}

uint32_t broker_rig_complete_count(const struct broker_rig *rig)
{
    uint32_t up_count = 0;
    for (int32_t id = 1; id <= broker_rig_broker_count; id++)
        up_count += broker_rig_serving(rig, id) != NULL;
    for (int32_t id = 1; id <= broker_rig_broker_count; id++) {
        const struct broker_server *server = broker_rig_serving(rig, id);
        if (sim_node_is_up(rig->sim.nodes[id]) &&
            (server == NULL || control_metadata(server->control)->broker_count != up_count))
            return 0;
    }
    return up_count;
}

/* ---- The world. ---- */

void broker_rig_begin(struct broker_rig *rig, uint64_t seed, uint32_t client_count,
                      struct sim_faults faults)
{
    sim_init(&rig->sim,
             (struct sim_options){.seed = seed,
                                  .node_count = broker_rig_first_client_node + client_count,
                                  .faults = faults});
    broker_rig_start_keeper(rig);
}

void broker_rig_run_ms(struct broker_rig *rig, uint64_t ms)
{
    (void)sim_run(&rig->sim, rig->sim.now_ns + ms * ns_per_ms, NULL, NULL);
}

bool broker_rig_run_until(struct broker_rig *rig, bool (*condition)(void *context), void *context,
                          uint32_t patience_s)
{
    if (sim_run(&rig->sim, rig->sim.now_ns + patience_s * ns_per_s, condition, context))
        return true;
    sim_report(&rig->sim);
    return false;
}
