#include "cli/broker_service.h"

#include "server/broker/gate.h"

#include <stdio.h>

enum { mib = 1 << 20, step_wait_ns = 100000000 };

static struct broker_service *broker_of(struct service *service)
{
    return CONTAINER_OF(service, struct broker_service, service);
}

/* ---- gates ---- */

static enum err start_gate(struct shard *shard, void *context)
{
    struct gate_thread *thread = context;
    return gate_init(&thread->gate, shard, &thread->broker->config, gate_mail_count_default);
}

static void stop_gate(struct shard *shard, void *context)
{
    (void)context;
    shard_stop(shard);
}

static void end_gate(struct shard *shard, void *context)
{
    struct gate_thread *thread = context;
    (void)shard;
    gate_deinit(thread->gate);
}

static enum err add_gate(struct broker_service *broker, struct shard *shard)
{
    struct gate_thread *thread = &broker->gates[broker->gate_count];
    const struct service_options *options = &broker->service.options;
    thread->broker = broker;
    snprintf(thread->name, sizeof thread->name, "broker-%u", broker->gate_count + 1);
    const enum err err =
        thread_start(&thread->thread, shard->heap,
                     (struct thread_options){
                         .shard = {.name = thread->name,
                                   .heap_bytes_max = broker->service.heap_bytes_max,
                                   .io_choice = options->io_choice,
                                   .diag_format = options->diag_format,
                                   .diag_level_min = options->diag_level_min},
                         .start = start_gate,
                         .stop = stop_gate,
                         .end = end_gate,
                         .context = thread,
                     });
    if (err != ERR_OK)
        return err;
    broker->gate_count++;
    return gates_add(&broker->server->gates, thread->gate);
}

static enum err add_gates(struct broker_service *broker, struct shard *shard)
{
    enum err err = ERR_OK;
    for (int64_t i = 1; i < broker->config.shard_count && err == ERR_OK; i++)
        err = add_gate(broker, shard);
    return err;
}

/* The server has stopped, or never heard of them. */
static void join_gates(struct broker_service *broker)
{
    for (uint32_t i = 0; i < broker->gate_count; i++)
        thread_ask_stop(broker->gates[i].thread);
    for (uint32_t i = 0; i < broker->gate_count; i++)
        thread_join(broker->gates[i].thread);
    broker->gate_count = 0;
}

/* ---- the broker ---- */

static void on_stopped(void *context)
{
    shard_stop(context);
}

/* Half of the files are for connections and the rest. */
static void choose_open_file_count(struct broker_service *broker)
{
    struct broker_config *config = &broker->config;
    const uint64_t share = broker->service.handle_count_max / 2 / config->log_dir_count;
    if (config->open_file_count_max == 0)
        config->open_file_count_max = (int64_t)min_u64(share, INT32_MAX);
}

/* Returns when the broker serves: whoever starts one may connect at once. */
static enum err start(struct service *service, struct shard *shard)
{
    struct broker_service *broker = broker_of(service);
    choose_open_file_count(broker);
    enum err err = broker_server_start(&broker->server, shard, &broker->config);
    if (err != ERR_OK)
        return err;
    err = add_gates(broker, shard);
    if (err != ERR_OK)
        broker_server_stop(broker->server, on_stopped, shard);
    while (!broker_server_is_serving(broker->server) && !shard->stopping)
        shard_step(shard, step_wait_ns);
    if (broker_server_is_serving(broker->server))
        return ERR_OK;
    if (err == ERR_OK)
        err = broker->server->failure;
    join_gates(broker);
    broker_server_deinit(broker->server);
    broker->server = NULL;
    return err;
}

static void stop(struct service *service, struct shard *shard)
{
    broker_server_stop(broker_of(service)->server, on_stopped, shard);
}

static void end(struct service *service)
{
    join_gates(broker_of(service));
    broker_server_deinit(broker_of(service)->server);
}

enum err broker_service_init(struct broker_service *broker, struct heap *heap, struct diag *diag,
                             struct config_source source)
{
    *broker = (struct broker_service){0};
    enum err err = config_defaults(&broker_config_table, &broker->config, heap);
    if (err == ERR_OK)
        err = config_load(&broker_config_table, &broker->config, heap, diag, source);
    if (err == ERR_OK)
        err = broker_config_init(&broker->config, heap, diag, source);
    broker->service = (struct service){
        .name = "broker",
        .heap_bytes_max =
            (size_t)(broker->config.memory_mib_max / max_i64(broker->config.shard_count, 1)) * mib,
        .connection_count_max = (uint32_t)broker->config.connection_count_max,
        .start = start,
        .stop = stop,
        .end = end,
    };
    return err;
}
