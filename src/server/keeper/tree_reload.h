/* Builds server->keeper anew from the disk while the server runs: after what lies behind a zxid was
 * cut off (a learner whose leader sent TRUNC), or after a snapshot from a leader broke off.
 *
 *   quiet -> mark back -> snapshots behind zxid away -> newest snapshot -> journal cut -> replay
 *            (for a cut) (for a cut)                                      (for a cut)
 *
 * What is removed is so durably before the next step. In that order a power loss leaves, at every
 * moment, either all that was there or all up to zxid. Snapshots behind zxid hold what is cut, and
 * so does one that begins before it but was finished behind it: these go too.
 *
 * It does not wait: everything is done in steps, and io_wait is not allowed in callbacks. Until it
 * is done server->keeper must not be looked at; clients and their watches are gone before it
 * begins, no write is open, and whoever owns the server starts none.
 *
 * Memory: buffers from the shard's heap while it runs. Shard: the server's.
 */
#ifndef SERVER_KEEPER_TREE_RELOAD_H
#define SERVER_KEEPER_TREE_RELOAD_H

#include "keeper/recovery.h"
#include "keeper/snapshot_reader.h"
#include "server/keeper/history_reader.h"
#include "server/keeper/keeper_config.h"

struct keeper_server;
struct snapshot_unpacker;

/* Of a reload that cuts nothing. */
#define TREE_RELOAD_ALL INT64_MAX

enum tree_reload_step {
    TREE_RELOAD_IDLE,
    TREE_RELOAD_QUIET, /* Until snapshots, purging and the mark are done. */
    TREE_RELOAD_MARK,
    TREE_RELOAD_REMOVE, /* A snapshot. */
    TREE_RELOAD_OPEN_FOLDER,
    TREE_RELOAD_SYNC_FOLDER,
    TREE_RELOAD_CLOSE_FOLDER,
    TREE_RELOAD_FIND, /* Where to cut. */
    TREE_RELOAD_CUT,
    TREE_RELOAD_OPEN,
    TREE_RELOAD_READ,
    TREE_RELOAD_CLOSE,
    TREE_RELOAD_REPLAY,
};

struct tree_reload {
    struct keeper_server *server;
    enum tree_reload_step step;
    int64_t zxid; /* Nothing behind it remains. */
    struct io_op op;
    struct journal_request request;
    struct history_reader history;
    struct recovery_file *files; /* Snapshots, newest first. */
    int32_t file_count;
    int32_t file_index;
    bool is_adopting; /* The tree is there. */
    bool is_unfit;    /* The snapshot at hand goes away: it holds what was cut. */
    bool has_reader;  /* snapshot and unpacker. */
    struct snapshot_reader snapshot;
    struct snapshot_unpacker *unpacker;
    enum err err; /* Of the snapshot at hand. */
    uint8_t *buffer;
    uint64_t offset;
    int32_t handle;
    uint64_t txn_count;
    char path[keeper_path_bytes_max];
    /* ERR_OK: the tree is at zxid, or at the end of what there is with TREE_RELOAD_ALL.
     * ERR_NOT_FOUND: there is no transaction zxid here, so it ends before: server->keeper tells. */
    void (*done)(void *context, enum err err);
    void *context;
};

/* Begins; zxid: the last transaction that stays, or TREE_RELOAD_ALL. done runs later, never from
 * within, and never once the server stops. What cannot be cut or read is io_fatal: there is nothing
 * to go on with. */
void tree_reload_start(struct keeper_server *server, int64_t zxid,
                       void (*done)(void *context, enum err err), void *context);

/* The tree was loaded by others and is in the file of a durable snapshot: what else a start would
 * find goes, snapshots behind it and the whole journal. done as above, with ERR_OK. */
void tree_reload_adopt(struct keeper_server *server, void (*done)(void *context, enum err err),
                       void *context);

static inline bool tree_reload_is_idle(const struct tree_reload *reload)
{
    return reload->step == TREE_RELOAD_IDLE;
}

#endif
