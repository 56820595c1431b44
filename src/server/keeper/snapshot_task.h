/* Writes a snapshot in slices while the server goes on: a piece is made, written, and only then the
 * next is made, so requests come in between.
 *
 * A snapshot holds parts of the transactions that were applied while it was written, so the journal
 * up to there is durable before it gets its name.
 *
 * The file grows under a temporary name, is synced, and then gets its own, so a snapshot that can
 * be found is whole. Before it starts the journal moves on to a new file, so that older ones can be
 * purged later.
 *
 * What a restore puts in the place of the server's tree is written by the same task.
 *
 * Memory: one slice from the heap while it runs, two and the packer's with compression. Shard: the
 * server's.
 */
#ifndef SERVER_KEEPER_SNAPSHOT_TASK_H
#define SERVER_KEEPER_SNAPSHOT_TASK_H

#include "base/prng.h"
#include "io/io.h"
#include "journal/journal.h"
#include "keeper/snapshot_writer.h"
#include "server/keeper/keeper_config.h"
#include "server/keeper/snapshot_packer.h"

struct keeper_server;

enum snapshot_task_step {
    SNAPSHOT_TASK_IDLE,
    SNAPSHOT_TASK_OPEN,
    SNAPSHOT_TASK_WRITE,
    SNAPSHOT_TASK_SYNC_HELD, /* Of a restore: all but the tail is out, */
    SNAPSHOT_TASK_HELD,      /* and waits for its zxid. */
    SNAPSHOT_TASK_SYNC,
    SNAPSHOT_TASK_SYNC_JOURNAL,
    SNAPSHOT_TASK_CLOSE,
    SNAPSHOT_TASK_RENAME,
    SNAPSHOT_TASK_OPEN_DIRECTORY,
    SNAPSHOT_TASK_SYNC_DIRECTORY,
    SNAPSHOT_TASK_CLOSE_DIRECTORY,
    SNAPSHOT_TASK_REMOVE, /* It failed: what there is of the file goes. */
};

/* Packing takes more time than writing: a smaller slice keeps the pauses as short. */
enum { snapshot_task_slice_bytes = 64 * 1024, snapshot_task_packed_slice_bytes = 16 * 1024 };

struct snapshot_task {
    struct keeper_server *server;
    enum snapshot_task_step step;
    struct snapshot_writer writer;
    bool is_restore; /* Writes the keeper of admin_restore, not the server's. */
    bool is_taken;   /* Writes what was taken over from a leader. */
    struct io_op op;
    struct iovec vector;
    struct snapshot_packer packer;
    struct journal_request journal_request;
    uint8_t *slice;
    uint8_t *packed;   /* What is written, of a packed snapshot. */
    struct slice rest; /* Of the slice, not yet packed. */
    bool is_complete;  /* The writer has no more. */
    int32_t handle;
    uint64_t offset;
    uint64_t started_at_ns;
    int64_t error; /* The first failure, a negative errno; of the last one, when idle. */
    bool is_canceled;
    int64_t zxid; /* Of this one. */
    uint64_t znode_count;
    struct prng prng;
    int64_t zxid_last;  /* Of the newest whole snapshot; -1: there is none. */
    int64_t ended_at_s; /* When this server wrote it, since 1970; -1: it has not. */
    uint64_t txn_count; /* Since the last one began. */
    uint64_t journal_bytes;
    uint64_t txn_count_trigger;
    uint64_t journal_bytes_trigger;
    char path[keeper_path_bytes_max];
    char path_temporary[keeper_path_bytes_max];
};

/* Nothing runs yet. Keeps server. */
void snapshot_task_init(struct snapshot_task *task, struct keeper_server *server);

/* Counts a transaction of so many journal bytes and starts a snapshot when it is time. */
void snapshot_task_count(struct snapshot_task *task, uint64_t journal_bytes);

/* Begins a snapshot at what is applied, unless one is running. Its failures are lines of diag; the
 * next trigger tries again. */
void snapshot_task_start(struct snapshot_task *task);

/* The same for a tree that was just taken from a leader, which took it while it changed; none is
 * running. Its end is to be waited for, and error tells. ERR_NO_MEMORY. */
MUST_CHECK enum err snapshot_task_write_taken(struct snapshot_task *task);

/* The same of a keeper that is to take the place of the server's, and that does not change
 * meanwhile; the task is idle. It stops in front of the snapshot's end and calls
 * admin_restore_on_held; keeper is at its zxid when the task is released. From when the file gets
 * its name on, nothing may fail: the process ends instead. admin_restore_on_written tells the end.
 * ERR_NO_MEMORY. */
MUST_CHECK enum err snapshot_task_start_restore(struct snapshot_task *task, struct keeper *keeper);
void snapshot_task_release(struct snapshot_task *task);

/* Ends it soon, without a snapshot unless it is all written. The keeper is let go at once. */
void snapshot_task_cancel(struct snapshot_task *task);

static inline bool snapshot_task_is_idle(const struct snapshot_task *task)
{
    return task->step == SNAPSHOT_TASK_IDLE;
}

#endif
