#include "cli/broker_service.h"

enum { mib = 1 << 20, step_wait_ns = 100000000 };

static struct broker_service *broker_of(struct service *service)
{
    return CONTAINER_OF(service, struct broker_service, service);
}

/* Returns when the broker serves: whoever starts one may connect at once. */
static enum err start(struct service *service, struct shard *shard)
{
    struct broker_service *broker = broker_of(service);
    const enum err err = broker_server_start(&broker->server, shard, &broker->config);
    if (err != ERR_OK)
        return err;
    while (!broker_server_is_serving(broker->server) && !shard->stopping)
        shard_step(shard, step_wait_ns);
    if (broker_server_is_serving(broker->server))
        return ERR_OK;
    const enum err failure = broker->server->failure;
    broker_server_deinit(broker->server);
    broker->server = NULL;
    return failure;
}

static void on_stopped(void *context)
{
    shard_stop(context);
}

static void stop(struct service *service, struct shard *shard)
{
    broker_server_stop(broker_of(service)->server, on_stopped, shard);
}

static void end(struct service *service)
{
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
        .heap_bytes_max = (size_t)broker->config.memory_mib_max * mib,
        .start = start,
        .stop = stop,
        .end = end,
    };
    return err;
}
