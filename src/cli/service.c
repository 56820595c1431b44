#include "cli/service.h"

static enum err start(struct shard *shard, void *context)
{
    struct service *service = context;
    return service->start(service, shard);
}

static void stop(struct shard *shard, void *context)
{
    struct service *service = context;
    service->stop(service, shard);
}

static void end(struct shard *shard, void *context)
{
    struct service *service = context;
    (void)shard;
    service->end(service);
}

enum err service_start(struct service *service, struct heap *heap, enum io_choice io_choice)
{
    const struct thread_options options = {
        .shard = {.name = service->name,
                  .heap_bytes_max = service->heap_bytes_max,
                  .io_choice = io_choice,
                  .diag_level_min = DIAG_INFO},
        .start = start,
        .stop = stop,
        .end = end,
        .context = service,
    };
    return thread_start(&service->thread, heap, options);
}

void service_stop(struct service *service)
{
    if (service->thread == NULL)
        return;
    thread_ask_stop(service->thread);
    thread_join(service->thread);
    service->thread = NULL;
}
