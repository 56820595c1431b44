/* Removes old snapshots, and the journal's files that no kept snapshot needs, as autopurge.* of
 * zoo.cfg asks: at the start and then every interval.
 *
 * As Apache's PurgeTxnLog: the newest snapshots that look whole are kept, so many of them. What is
 * older than the last of these goes, whole or not, and so do the journal's files in front of the
 * one that may hold its zxid. A directory with fewer snapshots is purged behind the last it has.
 *
 * Memory: a short list of names from the heap while it runs. Shard: the server's.
 */
#ifndef SERVER_KEEPER_PURGE_TASK_H
#define SERVER_KEEPER_PURGE_TASK_H

#include "io/io.h"
#include "journal/journal.h"
#include "keeper/recovery.h"
#include "server/keeper/keeper_config.h"

struct keeper_server;

enum { purge_task_file_count_max = 4096, purge_task_mark_bytes = 8 };

enum purge_step {
    PURGE_OPEN, /* Looks at the snapshots, newest first, */
    PURGE_READ, /* whether they begin or end as whole ones do. */
    PURGE_CLOSE,
    PURGE_REMOVE,
};

struct purge_task {
    struct keeper_server *server;
    uint64_t due_at_ns;
    bool is_running;
    bool is_dropping; /* The journal works on request. */
    struct journal_request request;
    struct io_op op;
    struct recovery_file *files; /* Snapshots, newest first. */
    int32_t file_count;
    int32_t file_index;
    enum purge_step step;
    int32_t handle;
    int32_t whole_count; /* Of those that were looked at. */
    int64_t oldest_zxid; /* Of the last whole one. */
    uint64_t size;       /* Of the file at hand. */
    uint8_t mark[purge_task_mark_bytes];
    bool is_whole;
    char path[keeper_path_bytes_max];
};

void purge_task_init(struct purge_task *task, struct keeper_server *server);

/* Called at the start, before the first snapshot is taken, and every tick. */
void purge_task_tick(struct purge_task *task);

static inline bool purge_task_is_idle(const struct purge_task *task)
{
    return !task->is_running && !task->is_dropping;
}

#endif
