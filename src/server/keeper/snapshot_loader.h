/* Finds the newest sound snapshot and loads it into the server's keeper; plain, gzip and snappy
 * ones.
 *
 * Memory: a buffer, what unpacking takes, and a list of names from the shard's heap, until deinit.
 * Shard: the server's.
 */
#ifndef SERVER_KEEPER_SNAPSHOT_LOADER_H
#define SERVER_KEEPER_SNAPSHOT_LOADER_H

#include "keeper/recovery.h"
#include "server/keeper/keeper_server.h"

struct snapshot_loader {
    struct keeper_server *server;
    struct recovery_file *files; /* Newest first. */
    int32_t file_count;
    uint8_t *buffer;
    bool has_snapshot;
    bool has_digest; /* Of the tree at digest_zxid, which the journal has yet to reach. */
    bool is_exact;   /* The tree is what it was at its zxid, not taken while it changed. */
    int64_t digest_zxid;
    uint64_t digest;
    char path[keeper_path_bytes_max];
};

/* server->keeper is initialised, with a snapshot in it if has_snapshot. ERR_NO_MEMORY, or why the
 * folder cannot be read; told by diag, as is each snapshot that is passed over. */
MUST_CHECK enum err snapshot_loader_run(struct snapshot_loader *loader,
                                        struct keeper_server *server);

void snapshot_loader_deinit(struct snapshot_loader *loader);

/* Compares the tree with the snapshot's digest once it has come to its zxid; a difference is told
 * by diag, as Apache's servers do. */
void snapshot_loader_check_digest(struct snapshot_loader *loader);

/* After the replay: a snapshot holds parts of all transactions up to the one at which it was
 * finished, so the journal must have come to there. ERR_CORRUPT, told by diag. */
MUST_CHECK enum err snapshot_loader_check_whole(const struct snapshot_loader *loader);

#endif
