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

enum err service_start(struct service *service, struct heap *heap, struct service_options options)
{
    service->options = options;
    const struct thread_options thread = {
        .shard = {.name = service->name,
                  .heap_bytes_max = service->heap_bytes_max,
                  .io_choice = options.io_choice,
                  .diag_format = options.diag_format,
                  .diag_level_min = options.diag_level_min},
        .start = start,
        .stop = stop,
        .end = end,
        .context = service,
    };
    return thread_start(&service->thread, heap, thread);
}

void service_stop(struct service *service)
{
    if (service->thread == NULL)
        return;
    thread_ask_stop(service->thread);
    thread_join(service->thread);
    service->thread = NULL;
}
