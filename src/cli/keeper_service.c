#define _XOPEN_SOURCE 700
#include "cli/keeper_service.h"

#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    mib = 1 << 20,
    slack_mib = 64, /* Buffers and tables beyond what memory.limitMb counts. */
};

static struct keeper_service *keeper_of(struct service *service)
{
    return CONTAINER_OF(service, struct keeper_service, service);
}

static enum err start(struct service *service, struct shard *shard)
{
    struct keeper_service *keeper = keeper_of(service);
    return keeper_server_start(&keeper->server, shard, &keeper->config);
}

static void on_stopped(void *context)
{
    shard_stop(context);
}

static void stop(struct service *service, struct shard *shard)
{
    keeper_server_stop(keeper_of(service)->server, on_stopped, shard);
}

static void end(struct service *service)
{
    keeper_server_free(keeper_of(service)->server);
}

enum err keeper_service_init(struct keeper_service *keeper, struct heap *heap, struct diag *diag,
                             struct config_source source)
{
    *keeper = (struct keeper_service){0};
    const enum err err = keeper_config_load(&keeper->config, heap, diag, source);
    char path[PATH_MAX];
    if (realpath(source.file_name, path) != NULL &&
        strlen(path) <= keeper_config_path_bytes_max) { /* Longer names are made of it. */
        memcpy(keeper->file_path, path, strlen(path) + 1);
        keeper->config.file_path = keeper->file_path;
    }
    const struct passwd *user = getpwuid(geteuid());
    keeper->config.process_user = user == NULL ? NULL : user->pw_name;
    keeper->service = (struct service){
        .name = "keeper",
        .heap_bytes_max = (size_t)(keeper->config.memory_mib_max + slack_mib) * mib,
        .connection_count_max = keeper_server_connection_count_max(&keeper->config),
        .start = start,
        .stop = stop,
        .end = end,
    };
    return err;
}
