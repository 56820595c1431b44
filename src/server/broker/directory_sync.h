/* Makes durable what has happened in a directory, for all who have changed it since the last time:
 * one sync at a time, and whoever comes meanwhile shares the next one.
 *
 * Memory: its own. Shard: one owner.
 */
#ifndef SERVER_BROKER_DIRECTORY_SYNC_H
#define SERVER_BROKER_DIRECTORY_SYNC_H

#include "io/io.h"

enum directory_sync_step {
    DIRECTORY_SYNC_IDLE,
    DIRECTORY_SYNC_OPEN,
    DIRECTORY_SYNC_SYNC,
    DIRECTORY_SYNC_CLOSE,
};

/* A field of whoever waits. The caller sets done. */
struct directory_sync_wait {
    struct list link;
    /* 0 or a negative errno. Never runs inside directory_sync_join. */
    void (*done)(struct directory_sync_wait *wait, int64_t result);
};

struct directory_sync {
    struct io *io;
    const char *path;
    struct list waiting; /* For the next sync. */
    struct list syncing; /* For the one in flight. */
    enum directory_sync_step step;
    struct io_op op;
    int32_t handle;
    int64_t result;
};

/* Keeps io and path. */
void directory_sync_init(struct directory_sync *sync, struct io *io, const char *path);

/* Takes wait until done: what was done in the directory before this is durable then. */
void directory_sync_join(struct directory_sync *sync, struct directory_sync_wait *wait);

#endif
