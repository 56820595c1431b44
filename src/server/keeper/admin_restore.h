/* The admin command `restore`: a snapshot that is sent over HTTP takes the place of the server's
 * tree and sessions, for good.
 *
 *   body -> a second keeper -> its snapshot's file, but for the end -> clients are sent away
 *        -> the end, under a zxid above all that the journal holds -> synced, named -> swapped
 *
 * Until the file has its name a crash leaves the old state, and a failure leaves it serving;
 * afterwards every start finds the new one, whose zxid is behind all of the journal. Clients that
 * come back find their session if the snapshot holds it, and no zxid that is behind what they saw.
 *
 * One at a time, and as far apart as admin.rateLimiterIntervalInMS says; otherwise 429.
 *
 * Memory: embedded; the second tree from the shard's heap, as far as the first one can spare it.
 * Shard: the server's.
 */
#ifndef SERVER_KEEPER_ADMIN_RESTORE_H
#define SERVER_KEEPER_ADMIN_RESTORE_H

#include "io/io.h"
#include "keeper/snapshot_reader.h"
#include "net/http_server.h"

struct keeper_server;

enum admin_restore_phase {
    ADMIN_RESTORE_IDLE,
    ADMIN_RESTORE_RECEIVING,
    ADMIN_RESTORE_REFUSED, /* The rest of the body is thrown away, then the answer is given. */
    ADMIN_RESTORE_WAITING, /* For the snapshot under way. */
    ADMIN_RESTORE_WRITING,
    ADMIN_RESTORE_QUIETING, /* Until the last client and the last write are gone. */
    ADMIN_RESTORE_NAMING,
};

struct admin_restore {
    struct keeper_server *server;
    enum admin_restore_phase phase;
    struct http_exchange *exchange; /* Of who sent it. */
    struct keeper keeper;           /* Valid while loading is done or under way. */
    struct snapshot_reader reader;
    struct io_op op; /* A timer, while quieting. */
    bool is_polling; /* In flight. */
    bool has_limit;  /* A restore began at limit_since_ns. */
    uint64_t limit_since_ns;
    uint64_t started_at_ns;
    uint64_t bytes; /* Of the body so far. */
};

void admin_restore_init(struct admin_restore *restore, struct keeper_server *server);

/* Whether a restore may begin now; if so it counts for the limit. */
bool admin_restore_admit(struct admin_restore *restore);

/* Of a request that was admitted: the body follows. Keeps exchange. */
void admin_restore_begin(struct admin_restore *restore, struct http_exchange *exchange);
void admin_restore_on_body(struct admin_restore *restore, enum http_body_event event,
                           struct slice piece);

/* No client may connect and nothing be written: what would be would not be in the new state. */
static inline bool admin_restore_is_exclusive(const struct admin_restore *restore)
{
    return restore->phase >= ADMIN_RESTORE_QUIETING;
}

/* For the snapshot task: see snapshot_task_start_restore. */
void admin_restore_on_held(struct admin_restore *restore);
void admin_restore_on_written(struct admin_restore *restore, int64_t error);
/* It is idle, or at somebody else's snapshot. */
void admin_restore_on_task_end(struct admin_restore *restore);

/* Nothing is in flight: the server may be freed. */
static inline bool admin_restore_is_idle(const struct admin_restore *restore)
{
    return restore->phase == ADMIN_RESTORE_IDLE && !restore->is_polling;
}

#endif
