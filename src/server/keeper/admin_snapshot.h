/* The admin command `snapshot`: a snapshot is written to the data folder as always, and its file is
 * sent to whoever asked, without copying it through us.
 *
 *   run -> (a snapshot under way ends) -> ours is written -> the file is opened -> sent -> closed
 *
 * One snapshot is asked for at a time, and few files are being sent; beyond that, and faster than
 * admin.rateLimiterIntervalInMS allows, the answer is 429.
 *
 * Memory: embedded. Shard: the server's.
 */
#ifndef SERVER_KEEPER_ADMIN_SNAPSHOT_H
#define SERVER_KEEPER_ADMIN_SNAPSHOT_H

#include "net/http_server.h"
#include "server/keeper/keeper_config.h"

struct keeper_server;
struct admin_snapshot;

enum { admin_snapshot_download_count_max = 4 };

/* A snapshot's file on its way to a client. */
struct admin_download {
    struct admin_snapshot *snapshot;
    struct io_op op;
    int32_t file;
    uint32_t users; /* Of the file: messages that are not sent yet. */
    bool is_busy;
};

struct admin_snapshot {
    struct keeper_server *server;
    struct http_exchange *exchange; /* Of who asked; NULL: nobody does. */
    bool is_streaming;              /* The file is wanted, not only its name. */
    bool is_writing;                /* What the snapshot task writes is ours. */
    bool has_limit;                 /* A snapshot was taken at limit_since_ns. */
    uint64_t limit_since_ns;
    int64_t zxid;
    uint64_t size;
    struct admin_download downloads[admin_snapshot_download_count_max];
    char path[keeper_path_bytes_max];
};

void admin_snapshot_init(struct admin_snapshot *snapshot, struct keeper_server *server);

/* Takes exchange, which may do it. */
void admin_snapshot_run(struct admin_snapshot *snapshot, struct http_exchange *exchange,
                        bool is_streaming);

/* The server's snapshot task is idle again; error: a negative errno if it failed. */
void admin_snapshot_on_task_end(struct admin_snapshot *snapshot, int64_t error);

/* Nothing is in flight: the server may be freed. */
bool admin_snapshot_is_idle(const struct admin_snapshot *snapshot);

#endif
