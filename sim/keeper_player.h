/* The players of workloads `keeper` and `ensemble`: clients that know what they must be told.
 *
 * Each owns some znodes that only it writes, in a pipeline: when its connection breaks, a prefix of
 * what is unanswered has happened, and reading tells which. So every promise can be checked
 * exactly:
 *
 * - an answered write is there after any crash; an unanswered one wholly (a multi too) or not;
 * - answers come in order, with the codes, versions and zxids that the model says; zxids never go
 *   back, and no two writes share one;
 * - what anybody has read stays: a later read, also after a crash, is never older;
 * - a sequential number is given once, and later ones are higher;
 * - a watch fires once, and before its client sees the new value;
 * - a session lives as long as its client is heard, its ephemerals as long as it, and no longer.
 *
 * In an ensemble others' znodes may be read late, but never backwards; and who comes to a server
 * writes there first, so that what it reads then is no older than that. Behind a sync that a quorum
 * confirms, nothing may be read late: neither what was answered to anybody before the sync was
 * sent, nor what anybody had read. A session that its server alone knows (localSessionsEnabled) may
 * end at any time, but none that owns an ephemeral: of what was asked for behind the end of such a
 * session, creates of ephemerals fail, and the rest is done.
 *
 * Memory: the world's, and the client's node's. Shard: the simulator's thread.
 */
#ifndef SIM_KEEPER_PLAYER_H
#define SIM_KEEPER_PLAYER_H

#include "sim/sim_keeper_client.h"
#include "sim/workload.h"

enum {
    keeper_owner_count_max = 3,
    keeper_key_count = 8, /* The last two are ephemeral. */
    keeper_first_ephemeral_key = 6,
    keeper_ask_count_max = 12,
    keeper_part_count_max = 3,
    keeper_data_bytes_max = 3000,
    keeper_session_timeout_ms = 6000,
    keeper_zxid_slot_count = 1 << 16,
    keeper_sequence_count_max = 1 << 12,
};

struct keeper_key {
    bool exists;
    uint64_t number; /* Of the operation that touched it last; it is what the data say. */
    int32_t version;
};

struct keeper_keys {
    struct keeper_key key[keeper_key_count];
};

enum keeper_part_kind { PART_CREATE, PART_SET, PART_DELETE, PART_CHECK };

struct keeper_part {
    enum keeper_part_kind kind;
    uint32_t key;
    int32_t version; /* Expected; -1: any. */
};

enum keeper_ask_kind { ASK_WRITE, ASK_SEQUENCE, ASK_READ, ASK_PING, ASK_SYNC };

/* A request without an answer. */
struct keeper_ask {
    enum keeper_ask_kind kind;
    int32_t xid;
    uint64_t number;
    uint64_t sent_ns; /* World time. */
    uint32_t part_count;
    bool is_multi;
    struct keeper_part parts[keeper_part_count_max];
    int32_t code;               /* WRITE: what the model expects. */
    uint32_t failing_part;      /* Of a multi. */
    uint32_t owner;             /* READ: whose znode. */
    uint32_t key;               /* READ. */
    bool wants_watch;           /* READ. */
    struct keeper_key at_least; /* READ: answered before it was sent. */
    uint64_t seen;              /* READ: read before, by this client; behind a sync, by anybody. */
    uint64_t sequence_above;    /* SEQUENCE: a higher number is due. */
};

struct keeper_stage;

/* A client's part of the oracle: it outlives the client's process. */
struct keeper_owner {
    struct keeper_stage *stage;
    uint32_t index;
    uint64_t number;                    /* Of its latest operation. */
    struct keeper_keys known;           /* After all that was answered, or found. */
    uint64_t deletes[keeper_key_count]; /* The latest delete that was sent, by number. */
    uint64_t seen[keeper_owner_count_max][keeper_key_count];
    struct keeper_ask pending[keeper_ask_count_max];
    uint32_t pending_count;
    uint32_t steps_left;
    int64_t session_id;
    uint64_t heard_ns;    /* When the latest answered request was sent; world time. */
    uint64_t gap_from_ns; /* The last time that it said nothing for a second or more ... */
    uint64_t gap_to_ns;   /* ... until then. */
    int32_t timeout_ms;
    bool only_reads; /* Behind syncs: nothing that no quorum will ever have holds up its answers. */
    bool is_closing; /* It has asked to close its session. */
    bool is_global;  /* Its session has asked for an ephemeral, and was answered. */
    bool is_finished;
};

/* What the players share. */
struct keeper_stage {
    struct sim_workload_result *result;
    struct sim *sim;
    struct prng prng;
    uint32_t owner_count;
    struct keeper_owner owners[keeper_owner_count_max];
    int64_t zxids[keeper_zxid_slot_count]; /* Of answered writes, a hash table. */
    uint8_t sequences[keeper_sequence_count_max / 8];
    uint64_t sequence_max; /* The highest that was answered, plus one. */
    bool is_ensemble;
    bool is_linearizable; /* A quorum confirms syncs. */
    uint64_t pace_ns;     /* The mean pause between two steps; 0: none. */

    /* Ensemble: a new session is known to its server alone, until it asks for an ephemeral. The
     * leader believes what others forward: what was sent in a session may be done until so long
     * after nobody has it any more. */
    bool has_local_sessions;
    uint64_t settle_ns;

    /* Where a client dials next. */
    struct io_address (*dial)(struct keeper_stage *stage);

    /* Whether a session of that owner may have expired by now. */
    bool (*may_expire)(const struct keeper_stage *stage, const struct keeper_owner *owner);

    /* Ensemble: whether some server has the session, or none is fit to be asked. */
    bool (*may_live)(const struct keeper_stage *stage, int64_t session_id);
};

struct keeper_player {
    struct keeper_stage *stage;
    struct keeper_owner *owner;
    struct sim_node *node;
    struct sim_keeper_client client;
    struct keeper_keys keys; /* After all that was sent. */
    /* mzxid at which one was set; 0: none. */
    int64_t watches[keeper_owner_count_max][keeper_key_count];
    uint8_t data[keeper_data_bytes_max];
};

/* Owner number index has steps to do. */
void keeper_player_cast(struct keeper_stage *stage, uint32_t index, uint32_t steps);

/* A player for the client process on this node, from its heap. owner: NULL for one that only looks.
 */
struct keeper_player *keeper_player_make(struct keeper_stage *stage, struct keeper_owner *owner,
                                         struct sim_node *node);

/* The story of the owner: until it is finished, or something is wrong. */
void keeper_player_live(struct keeper_player *player);

/* Looks at all that was ever answered, of every owner. */
void keeper_player_look(struct keeper_player *player);

/* Whether all owners are finished, or something is wrong. */
bool keeper_stage_is_over(const struct keeper_stage *stage);

#endif
