/* Brings one learner to the leader's history: DIFF, TRUNC or SNAP, then what it lacks as pairs of
 * PROPOSAL and COMMIT, until it has caught up with what is applied here at that moment.
 *
 *   sync_plan: from memory ------------------> SENDING <----> READING the journal
 *         |--- from the journal --> ASKING -----^                 (older than memory)
 *         |--- a snapshot --------> STREAMING --^
 *
 * A snapshot is taken while the tree changes; the transactions behind its zxid follow. No more is
 * put on a link than a bounded number of bytes that the kernel has not taken.
 *
 * Memory: embedded; while it runs a small block of the heap, a buffer while it reads or streams.
 * Shard: the server's. Several run at once.
 */
#ifndef SERVER_KEEPER_LEARNER_SYNC_H
#define SERVER_KEEPER_LEARNER_SYNC_H

#include "keeper/snapshot_writer.h"
#include "server/keeper/history_reader.h"
#include "server/keeper/keeper_server.h"
#include "server/keeper/quorum_port.h"
#include "zab/sync_plan.h"

enum {
    learner_sync_unsent_bytes_max = 1 << 20, /* And one transaction. */
    learner_sync_slice_bytes = 64 * 1024,
    learner_sync_poll_ms = 5,
};

/* What follows a snapshot on the wire: a jute string. */
#define LEARNER_SYNC_SIGNATURE "BenWasHere"

enum learner_sync_step {
    LEARNER_SYNC_IDLE,
    LEARNER_SYNC_PLAN,
    LEARNER_SYNC_ASKING,
    LEARNER_SYNC_STREAMING,
    LEARNER_SYNC_SENDING,
    LEARNER_SYNC_READING,
};

struct learner_sync_block;

struct learner_sync {
    struct keeper_server *server;
    struct quorum_link *link;
    enum learner_sync_step step;
    int64_t peer_zxid;
    int64_t zxid; /* The learner has all up to here, or it is on its way. */
    struct sync_plan_facts facts;
    struct history_reader reader;
    struct snapshot_writer writer;
    uint8_t *slice; /* While STREAMING. */
    struct learner_sync_block *block;
    uint64_t txn_count; /* Sent. */
    /* It counts among those in flight: of snapshots, or of anything else. */
    bool is_counted;
    bool is_snapshot;
    /* All up to zxid is on the link; what comes next may be sent from within. */
    void (*done)(void *context, struct quorum_link *link, int64_t zxid);
    void *context;
};

/* Begins, when sync is idle; done runs later, never from within. peer_zxid: the learner's last. If
 * it cannot be brought here, link is closed with a reason: on_down follows, and whoever owns the
 * link cancels. Keeps all. ERR_NO_MEMORY. */
MUST_CHECK enum err learner_sync_start(struct learner_sync *sync, struct keeper_server *server,
                                       struct quorum_link *link, int64_t peer_zxid,
                                       void (*done)(void *context, struct quorum_link *link,
                                                    int64_t zxid),
                                       void *context);

/* The link has room again; otherwise that is looked at every learner_sync_poll_ms. */
void learner_sync_on_room(struct learner_sync *sync);

/* At any time, also when idle, and before the link goes: nothing more happens. */
void learner_sync_cancel(struct learner_sync *sync);

/* The learner has acknowledged all of it, or will not: it is in flight no longer. At any time. */
void learner_sync_confirm(struct learner_sync *sync);

static inline bool learner_sync_is_idle(const struct learner_sync *sync)
{
    return sync->step == LEARNER_SYNC_IDLE;
}

#endif
