/* The keeper server: clients' connections, the journal and snapshots around the keeper of
 * src/keeper/.
 *
 *   frame -> client_link -> keeper_write: prepare, journal, sync, apply -> watch events, reply
 *                        -> keeper_read ------------------------------------------> reply
 *
 * A write's reply leaves after its transaction is durable; syncs are shared by all writes that wait
 * and never stop the loop. A link's reads wait for its own writes, not for others'.
 *
 * Memory: the shard's heap. Shard: one owner. Everything that meets the world goes through
 * shard->io, so the same code runs in the simulator.
 */
#ifndef SERVER_KEEPER_SERVER_H
#define SERVER_KEEPER_SERVER_H

#include "journal/journal.h"
#include "keeper/keeper.h"
#include "keeper/txn_codec.h"
#include "net/net.h"
#include "server/keeper/ack_mark.h"
#include "server/keeper/admin_server.h"
#include "server/keeper/audit_file.h"
#include "server/keeper/connection_throttle.h"
#include "server/keeper/digest_log.h"
#include "server/keeper/ensemble_facts.h"
#include "server/keeper/event_task.h"
#include "server/keeper/host_facts.h"
#include "server/keeper/keeper_config.h"
#include "server/keeper/keeper_stats.h"
#include "server/keeper/namespace_counts.h"
#include "server/keeper/port_move.h"
#include "server/keeper/prometheus_server.h"
#include "server/keeper/purge_task.h"
#include "server/keeper/record_pool.h"
#include "server/keeper/request_gate.h"
#include "server/keeper/session_clock.h"
#include "server/keeper/snapshot_intake.h"
#include "server/keeper/snapshot_task.h"
#include "server/keeper/tree_reload.h"
#include "server/keeper/txn_cache.h"
#include "server/keeper/znode_reaper.h"
#include "shard/shard.h"

struct quorum_peer;

enum keeper_server_phase {
    KEEPER_SERVER_STARTING,
    KEEPER_SERVER_SERVING,
    KEEPER_SERVER_STOPPING,
    KEEPER_SERVER_STOPPED,
};

/* What a server is in its ensemble. */
enum keeper_role {
    KEEPER_ALONE,
    KEEPER_LOOKING,   /* Or on its way to one of the next. Nobody is served. */
    KEEPER_READ_ONLY, /* Still looking, while clients that would have that may read. */
    KEEPER_LEADER,
    KEEPER_LEARNER,
};

struct keeper_server {
    struct shard *shard;
    struct keeper_config config;
    enum keeper_server_phase phase;
    enum keeper_role role;
    bool is_serving;          /* Clients may have sessions. */
    struct quorum_peer *peer; /* NULL: it stands alone. */
    struct keeper keeper;
    struct keeper_sink sink;
    struct arena arena; /* Of the request at hand. */
    void *arena_memory;
    uint64_t started_at_ns;

    struct net *net;
    struct io_address address; /* Where it listens, with the port that was bound. */
    bool is_listening;         /* There. */
    struct port_move client_move;
    char client_host[port_move_host_bytes_max]; /* Where it has moved to. */
    struct list links;                          /* Of client_link, in order of arrival. */
    struct slab links_slab; /* Where they lie: they may outlive the tree of a learner. */
    struct hash_table links_by_session;

    struct journal_disk disk;
    struct journal journal;
    uint8_t file_header[txn_file_header_bytes];
    char journal_path[keeper_folder_bytes_max];
    char snapshot_path[keeper_folder_bytes_max];
    int32_t lock_handle; /* Holds the lock on the folder of the journal. */
    bool is_replacing;   /* The tree is being loaded anew: it must not be looked at. */
    bool wants_roll;     /* The next write starts a new file. */

    struct list writes;       /* Of keeper_write: prepared and not yet applied, by zxid. */
    struct list *uncommitted; /* The first of them that was not told to be committed; or the head.
                               */
    uint32_t write_count;
    uint64_t write_bytes;
    struct list forwarded; /* Learner: of keeper_write, sent to the leader, by order. */
    struct list barriers;  /* Learner: the same of syncs. Leader: learners' syncs. */
    int64_t zxid_durable;  /* Writes up to here are in the journal for good; */
    int64_t
        zxid_committed; /* and up to here they may be applied. INT64_MAX: all that are durable. */
    uint64_t ticket_confirmed; /* Leader: a quorum followed us after this question. */
    uint64_t wall_read_at_ns;  /* When the wall clock was read for figures, and what it said. */
    int64_t wall_read_ms;
    uint64_t write_order; /* Given out last, and of the last one that is done. */
    uint64_t write_order_done;
    struct io_op apply_op; /* A timer for this round or the next. */
    bool is_applying;      /* In flight. */
    struct list free_writes;
    uint32_t free_write_count;
    struct record_pool records; /* Of writes. */
    struct list free_waits;     /* Of client_wait. */
    uint32_t free_wait_count;
    uint32_t wait_count;       /* Requests that wait for a write. */
    bool has_doomed;           /* Some link is to be closed. */
    struct list revalidations; /* Links whose session the leader has yet to judge. */
    struct list paused;        /* Links that are not read until writes have been applied. */
    struct request_gate gate;
    struct connection_throttle throttle;
    uint64_t refused_line_ms;  /* When the last line about maxCnxns was written. */
    uint64_t expelled_line_ms; /* And about a client's misdeed; */
    uint64_t expelled_untold;  /* closed connections without a line since then. */
    uint64_t quota_line_ms;    /* And about a quota; */
    uint64_t quota_untold;     /* breaches without a line since then. */

    struct audit_file audit;
    struct admin_server admin;
    struct prometheus_server prometheus;

    struct ensemble_facts ensemble;
    struct ack_mark mark;
    struct snapshot_task snapshot;
    struct purge_task purge;
    struct tree_reload reload;
    struct snapshot_intake intake;
    struct znode_reaper reaper;
    struct event_task events;
    struct session_clock session_clock;
    int64_t ticked_ms; /* Of the session clock, when the last tick came. */
    struct io_op tick_op;
    bool is_ticking;
    bool is_expiring; /* Overdue sessions wait until their closes can be written. */
    struct journal_request close_request;
    void (*stopped)(void *context);
    void *stopped_context;
    bool is_journal_open;
    struct keeper_stats stats;
    struct namespace_counts quota_refusals;
    uint64_t windows_turned_ns; /* When the windows of its summaries last turned. */
    struct digest_log digests;
    struct txn_cache cache;  /* Of what is applied; only members of an ensemble use it. */
    int64_t zxid_unreadable; /* Below it learners are sent snapshots: the journal has a hole. */
    struct host_facts host;
    int64_t trace_mask; /* As stmk set it; there is no trace that it could mask. */
};

/* Clients shall come to where the own line of the members in force says, if it does; those that are
 * there stay. */
void keeper_server_move_clients(struct keeper_server *server, const struct ensemble_member *self);

/* Loads what is on disk, listens, serves. Waits for the disk, so at start only. Keeps shard; config
 * is copied, its texts are kept. The reason of an error is a line of diag.
 * ERR_CONFIG: what the configuration names cannot be; ERR_CORRUPT: damage that nobody may cut
 * silently; ERR_BUSY: the port or the folder is in use; ERR_NO_MEMORY, ERR_NOT_FOUND,
 * ERR_PERMISSION, ERR_NO_SPACE, ERR_IO. */
MUST_CHECK enum err keeper_server_start(struct keeper_server **server, struct shard *shard,
                                        const struct keeper_config *config);

/* Closes the connections, then the journal, flushed; stopped runs some turns of the loop later. It
 * may be NULL; it must not free the server. */
void keeper_server_stop(struct keeper_server *server, void (*stopped)(void *context),
                        void *context);

static inline bool keeper_server_is_stopped(const struct keeper_server *server)
{
    return server->phase == KEEPER_SERVER_STOPPED;
}

/* How many clients are accepted; maxCnxns are served. */
uint32_t keeper_server_connection_count_max(const struct keeper_config *config);

/* Takes a stopped server. */
void keeper_server_free(struct keeper_server *server);

/* The clock that sessions live by: see session_clock.h. */
static inline int64_t keeper_server_now_ms(const struct keeper_server *server)
{
    return (int64_t)(session_clock_ns(&server->session_clock, io_now_ns(server->shard->io)) /
                     1000000);
}

/* Whether it makes transactions of its own accord: expires sessions, removes containers. */
static inline bool keeper_server_decides(const struct keeper_server *server)
{
    return server->role == KEEPER_ALONE || server->role == KEEPER_LEADER;
}

/* What srst resets: not what a metrics provider of its own counts. */
void keeper_server_reset_stats(struct keeper_server *server);

/* For the parts: writes that were held back for want of room may be started. */
void keeper_server_on_room(struct keeper_server *server);

/* For the parts: something that a stop waits for has ended. */
void keeper_server_pump_stop(struct keeper_server *server);

#endif
