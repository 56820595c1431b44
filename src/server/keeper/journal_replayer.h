/* Replays the journal's transactions behind the snapshot, and decides where its valid bytes end.
 *
 * Memory: a read buffer from the shard's heap, until deinit. Shard: the server's.
 */
#ifndef SERVER_KEEPER_JOURNAL_REPLAYER_H
#define SERVER_KEEPER_JOURNAL_REPLAYER_H

#include "server/keeper/snapshot_loader.h"

struct journal_replayer {
    struct keeper_server *server;
    struct snapshot_loader *snapshot;
    uint8_t *buffer;
    size_t buffer_size;
    uint64_t txn_count;
    int64_t zxid_base;   /* Of the snapshot, which holds all up to there; -1: none was loaded. */
    int64_t zxid_last;   /* Of the last record read; 0: none. */
    int64_t zxid_synced; /* From the mark. */
    bool knows_synced;   /* Until a record behind the mark turns out to be of another server. */
    bool is_rewritten;   /* What follows the mark is on the disk as it was read. */
    bool is_cut;         /* Nothing behind what was read counts. */
};

/* server->journal is loaded; start says how to start it. ERR_CORRUPT: damage that nobody may cut
 * silently; ERR_NO_MEMORY, ERR_IO. Told by diag. */
MUST_CHECK enum err journal_replayer_run(struct journal_replayer *replayer,
                                         struct snapshot_loader *snapshot,
                                         struct journal_start_options *start);

void journal_replayer_deinit(struct journal_replayer *replayer);

#endif
