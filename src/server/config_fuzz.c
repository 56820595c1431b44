/* Any bytes as zoo.cfg: the parser answers or complains, and never more. */
#include "server/config.h"
#include "server/keeper/keeper_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(struct diag *diag, enum diag_level level, struct slice line)
{
    (void)diag;
    (void)level;
    (void)line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct heap heap;
    heap_init(&heap, (struct heap_options){.limit_bytes = 4 << 20, .tracked = true});
    struct diag diag = {.write = ignore};
    struct keeper_config config;
    const enum err err = keeper_config_load(&config, &heap, &diag,
                                            (struct config_source){"fuzz", slice_of(data, size)});
    assert(err == ERR_OK || err == ERR_CONFIG || err == ERR_NO_MEMORY);
    heap_deinit(&heap);
    return 0;
}
