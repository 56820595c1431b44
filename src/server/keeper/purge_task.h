/* Removes old snapshots, and the journal's files that no kept snapshot needs, as autopurge.* of
 * zoo.cfg asks.
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

enum { purge_task_file_count_max = 4096 };

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
    char path[keeper_path_bytes_max];
};

void purge_task_init(struct purge_task *task, struct keeper_server *server);

/* Called every tick. */
void purge_task_tick(struct purge_task *task);

static inline bool purge_task_is_idle(const struct purge_task *task)
{
    return !task->is_running && !task->is_dropping;
}

#endif
