/* A small ensemble of real ZAB machines in one process, with disks and a network of its own.
 *
 * Disks make writes durable late and in order, and lose the rest in a crash. Links keep their order
 * but break, and their ends notice at different times. Whoever drives it picks what happens next;
 * after each step the cluster checks what must never be violated:
 * - one history: whatever a serving server has committed is a prefix of it;
 * - what is committed is durable on a quorum, and every leader that is established has what was
 *   committed in the epochs before its own; no learner cuts off what its leader has committed;
 * - a leader that is established has a quorum with its history and its epoch on disk;
 * - an epoch has one established leader; zxids grow without holes in an epoch;
 * - a leader that confirms that it leads has all that was committed when it was asked.
 *
 * Memory: struct in place, large. Shard: one owner.
 */
#ifndef SIM_ZAB_CLUSTER_H
#define SIM_ZAB_CLUSTER_H

#include "zab/zab.h"

enum {
    zab_cluster_server_count_max = 5,
    zab_cluster_link_count_max = 24,
    zab_cluster_queue_max = 160,
    zab_cluster_log_max = 96,
    zab_cluster_wait_max = 400,
    zab_cluster_epoch_max = 512,
    zab_cluster_data_max = 24,
    zab_cluster_ticket_max = 16,
};

struct zab_cluster_entry {
    int64_t zxid;
    int64_t value; /* Never the same twice. */
};

struct zab_cluster_log {
    uint32_t count;
    struct zab_cluster_entry entries[zab_cluster_log_max];
};

struct zab_cluster_disk {
    int64_t accepted_epoch;
    int64_t current_epoch;
    struct zab_cluster_log log;
};

struct zab_cluster_write {
    enum zab_effect_kind kind;
    uint64_t seq;
    int64_t value; /* The epoch, or the zxid. */
    int64_t txn_value;
};

struct zab_cluster_packet {
    int32_t type;
    int64_t zxid;
    bool has_data;
    uint32_t size;
    uint8_t data[zab_cluster_data_max];
};

struct zab_cluster_queue {
    uint32_t count;
    struct zab_cluster_packet packets[zab_cluster_queue_max];
};

/* End 0 is the learner, end 1 the leader. */
struct zab_cluster_link {
    uint64_t id; /* 0: free. */
    uint32_t servers[2];
    bool is_open[2]; /* What that end believes. */
    struct zab_cluster_queue to[2];
    struct zab_cluster_log snapshot; /* The stream behind a SNAP. */
    int64_t zxid_kept;               /* What the leader had committed when it said what to cut. */
};

struct zab_cluster_sync {
    uint64_t link;
    int64_t zxid;
};

struct zab_cluster_server {
    struct zab zab;
    bool is_up;
    bool is_observer;
    bool is_serving; /* As established leader, or as learner after UPTODATE. */
    bool has_dialled;
    uint32_t leader; /* The server to dial. */
    int64_t zxid_applied;
    struct zab_cluster_disk memory; /* With writes that are not durable yet. */
    struct zab_cluster_disk durable;
    struct zab_cluster_log snapshot;
    int64_t zxid_kept; /* As the link's, when it was told what to cut. */
    uint32_t write_count;
    struct zab_cluster_write writes[zab_cluster_wait_max];
    uint32_t wait_count;
    struct zab_effect waiting[zab_cluster_wait_max];
    uint32_t sync_count;
    struct zab_cluster_sync syncs[zab_cluster_link_count_max];
    uint64_t ticket; /* Of the last question whether it leads, */
    uint64_t ticket_confirmed;
    uint32_t committed_counts[zab_cluster_ticket_max]; /* and what was committed then; a ring. */
};

struct zab_cluster {
    struct ensemble ensemble;
    uint32_t server_count;
    struct zab_cluster_server servers[zab_cluster_server_count_max];
    struct zab_cluster_link links[zab_cluster_link_count_max];
    uint64_t link_id;
    uint64_t now_ms;
    int64_t value;                                 /* The last proposed. */
    struct zab_cluster_log committed;              /* The one history. */
    uint32_t epoch_leaders[zab_cluster_epoch_max]; /* Index of the established one, + 1. */
    uint32_t established_count;
    uint32_t served_count; /* Learners that came to serve. */
    uint32_t diff_count;
    uint32_t truncate_count;
    uint32_t snapshot_count;
    uint32_t drop_count;
    uint32_t confirmed_count;
    const char *wrong; /* What was violated first; NULL: nothing. */
    uint64_t trace;    /* A hash of all that happened. */
    bool is_told;      /* Prints what happens. */
};

enum { zab_cluster_tick_ms = 100 };

/* server_count servers, of which the last observer_count are observers. */
struct zab_cluster_options {
    uint32_t server_count;
    uint32_t observer_count;
};

void zab_cluster_init(struct zab_cluster *cluster, struct zab_cluster_options options);

/* ---- what can happen; each is false, and nothing, if it cannot now ---- */

bool zab_cluster_lead(struct zab_cluster *cluster, uint32_t server);
bool zab_cluster_learn(struct zab_cluster *cluster, uint32_t server, uint32_t leader);
bool zab_cluster_dial(struct zab_cluster *cluster, uint32_t server);

/* The next packet to an end arrives; or, if the other end has closed, that there is none. */
bool zab_cluster_deliver(struct zab_cluster *cluster, uint32_t link, uint32_t end);

/* The link breaks, which an end notices now and the other later. */
bool zab_cluster_break(struct zab_cluster *cluster, uint32_t link, uint32_t end);

/* The oldest write_count writes become durable. */
bool zab_cluster_flush(struct zab_cluster *cluster, uint32_t server, uint32_t write_count);

/* A learner gets what it lacks. */
bool zab_cluster_sync(struct zab_cluster *cluster, uint32_t server);

bool zab_cluster_propose(struct zab_cluster *cluster, uint32_t server);

/* Asks it whether it leads. */
bool zab_cluster_confirm(struct zab_cluster *cluster, uint32_t server);

/* Gives up its role, as a server does that is told to. */
bool zab_cluster_stop(struct zab_cluster *cluster, uint32_t server);
bool zab_cluster_crash(struct zab_cluster *cluster, uint32_t server);
bool zab_cluster_restart(struct zab_cluster *cluster, uint32_t server);
void zab_cluster_pass_time(struct zab_cluster *cluster);

/* ---- questions ---- */

/* Whether a packet of this type makes a learner lose what it has. */
static inline bool zab_cluster_is_cut(int32_t type)
{
    return type == ZAB_TRUNC || type == ZAB_SNAP;
}

/* Up, without a role and with a disk at rest: it may take part in an election. */
bool zab_cluster_is_looking(const struct zab_cluster *cluster, uint32_t server);

/* Whether server would win an election against other. */
bool zab_cluster_is_better(const struct zab_cluster *cluster, uint32_t server, uint32_t other);

/* Whether all serve and have the same history, all of it committed. */
bool zab_cluster_is_settled(const struct zab_cluster *cluster);

#endif
