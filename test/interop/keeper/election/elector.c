/* Our elector alone, among other people's servers: it takes part in elections and says what it
 * decides.
 *
 *     elector SELF_ID ZXID EPOCH server.ID=HOST:QUORUM_PORT:ELECTION_PORT...
 *
 * A line for each decision: "leading|following LEADER ROUND PEER_EPOCH". */
#include "server/keeper/elector.h"
#include "shard/shard.h"
#include "zab/ensemble_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct shard shard;
static struct elector elector;
static struct ensemble ensemble;
static char config[4096];

static void on_decided(void *context)
{
    const struct vote *vote = &elector.election.settled;
    (void)context;
    printf("%s %" PRId64 " %" PRId64 " %" PRId64 "\n",
           elector.election.state == ZAB_LEADING ? "leading" : "following", vote->leader,
           vote->election_epoch, vote->peer_epoch);
    fflush(stdout);
}

static enum err start(int64_t self_id, struct slice self_address)
{
    const struct elector_options options = {
        .election = {.self_id = self_id,
                     .wait_ms_min = 200,
                     .wait_ms_max = 60000,
                     .finalize_ms = 200},
        .self_address = self_address,
        .connect_timeout_ms = 5000,
    };
    const struct ensemble_member *self = ensemble_find(&ensemble, self_id);
    struct io_address address;
    if (io_resolve(shard.io, "127.0.0.1", self->addresses[0].election_port, &address) != 0)
        return ERR_NOT_FOUND;
    enum err err = elector_init(&elector, shard.io, shard.heap, shard.diag, options,
                                (struct elector_handler){.on_decided = on_decided});
    if (err == ERR_OK)
        err = elector_listen(&elector, &address);
    if (err == ERR_OK)
        err = elector_set_ensemble(&elector, &ensemble, slice_from_text(config));
    return err;
}

int main(int argc, char **argv)
{
    char self_address[64];
    if (argc < 5)
        return 2;
    const int64_t self_id = strtoll(argv[1], NULL, 10);
    size_t size = 0;
    for (int index = 4; index < argc; index++)
        size += (size_t)snprintf(config + size, sizeof config - size, "%s\n", argv[index]);
    static char text[sizeof config];
    memcpy(text, config, sizeof text); /* The members' hosts lie in it. */
    if (ensemble_text_parse(slice_of(text, size), &ensemble) != ERR_OK)
        return 2;
    ensemble_text_print(&ensemble, config, sizeof config);
    snprintf(self_address, sizeof self_address, "127.0.0.1:%u",
             (unsigned)ensemble_find(&ensemble, self_id)->addresses[0].election_port);
    enum err err = shard_init(&shard, (struct shard_options){.name = "elector",
                                                             .heap_bytes_max = 64 << 20,
                                                             .diag_level_min = DIAG_DEBUG});
    if (err == ERR_OK)
        err = start(self_id, slice_from_text(self_address));
    if (err != ERR_OK) {
        fprintf(stderr, "elector: %s\n", err_text(err));
        return 1;
    }
    elector_look(&elector, strtoll(argv[2], NULL, 0), strtoll(argv[3], NULL, 0));
    shard_run(&shard);
    return 0;
}
