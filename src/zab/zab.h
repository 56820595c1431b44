/* Atomic broadcast: how a leader and its learners come to one history and extend it.
 *
 *   LOOKING --(election)--> discovery -> synchronisation -> broadcast --(quorum lost)--> LOOKING
 *
 * Pure: an event goes in, effects come out. The contract is one sentence: do the effects in order,
 * but let each wait until the write that it names in after_write is durable. Writes are numbered as
 * they come out, and become durable in that order; ZAB_EVENT_WRITTEN says how far they have come.
 *
 * The bytes of transactions stay with the caller: the machine knows them by their zxid. What a
 * learner lacks is sent by the caller too (ZAB_SYNC), as it is read from the disk.
 *
 * A leader is its own first follower, without a connection.
 *
 * A follower may feed observers in the leader's place (ZAB_EVENT_FEED), by a machine of its own
 * beside the one that follows: it knows the epoch, hears what is committed, and needs no quorum.
 *
 * What the machine relies on:
 * - A role starts when no write of the last one is in flight: history is what is on the disk.
 *   Numbers of writes go on from role to role.
 * - A leader proposes zxids without a hole, from (epoch << 32) + 1 on, once ZAB_ESTABLISH is out.
 * - While the stream of a snapshot comes in, the caller judges whether the leader is silent.
 * - A learner's transactions up to the zxid of SYNCED are on its link, and the caller has those
 *   after it at hand: the machine forwards them. Usually that zxid is the last committed one.
 *
 * Whether we still lead can be asked (ZAB_EVENT_CONFIRM): a round of PINGs goes out, and when a
 * quorum has answered, it followed us after the question. Then no other leader had been established
 * when the question came, because each of its quorum would have left us first, for good; so all
 * that was committed by then is in our history, and ZAB_CONFIRMED says so. A PING of a round has
 * a number in place of its zxid, which Apache's learners send back as ours do: docs/decisions/0006.
 *
 * Source: ZAB as Apache ZooKeeper's servers speak it on their quorum port.
 * Memory: a struct in place. Shard: one owner.
 */
#ifndef ZAB_ZAB_H
#define ZAB_ZAB_H

#include "base/slice.h"
#include "zab/ensemble.h"
#include "zab/vote.h"

/* Numbers of the protocol: zk_quorum_packet.type. */
enum zab_packet_type {
    ZAB_REQUEST = 1,
    ZAB_PROPOSAL = 2,
    ZAB_ACK = 3,
    ZAB_COMMIT = 4,
    ZAB_PING = 5,
    ZAB_REVALIDATE = 6,
    ZAB_SYNC_BARRIER = 7, /* SYNC */
    ZAB_INFORM = 8,
    ZAB_COMMIT_AND_ACTIVATE = 9,
    ZAB_NEW_LEADER = 10,
    ZAB_FOLLOWER_INFO = 11,
    ZAB_UP_TO_DATE = 12,
    ZAB_DIFF = 13,
    ZAB_TRUNC = 14,
    ZAB_SNAP = 15,
    ZAB_OBSERVER_INFO = 16,
    ZAB_LEADER_INFO = 17,
    ZAB_ACK_EPOCH = 18,
    ZAB_INFORM_AND_ACTIVATE = 19,
};

enum {
    zab_learner_count_max = 4 * ensemble_member_count_max, /* Observers need not be members. */
    zab_effect_count_max = 4 * zab_learner_count_max,
    zab_payload_bytes_max = 24,
};

/* So that at least a million zxids of an epoch are left for what is on its way. */
#define ZAB_EPOCH_TXN_COUNT_MAX INT64_C(0xffefffff)

struct zab_options {
    int64_t self_id;
    uint32_t tick_ms;
    uint32_t init_ticks;    /* initLimit: discovery and synchronisation. */
    uint32_t sync_ticks;    /* syncLimit: afterwards. */
    uint32_t txn_count_max; /* Of an epoch, at most ZAB_EPOCH_TXN_COUNT_MAX. */
};

/* What is on our disk. zxid_last may be of a later epoch than the current one: of a leader from
 * which we had not got everything, when it was lost. Such a history counts as the current epoch's.
 */
struct zab_history {
    int64_t accepted_epoch;
    int64_t current_epoch;
    int64_t zxid_last; /* Of the last transaction that is logged, and therefore applied. */
};

enum zab_event_kind {
    ZAB_EVENT_LEAD,    /* The election made us leader. */
    ZAB_EVENT_LEARN,   /* The election made us follower or observer; the caller dials. */
    ZAB_EVENT_FEED,    /* We follow, in broadcast, and let observers learn from us. */
    ZAB_EVENT_STOP,    /* The role is given up; no effects but drops. */
    ZAB_EVENT_LINK_UP, /* Leader: a learner has connected. Learner: the leader is reached. */
    ZAB_EVENT_RECEIVE, /* A packet; not REQUEST, REVALIDATE, SYNC_BARRIER, which are the caller's.
                        */
    ZAB_EVENT_LINK_DOWN,
    ZAB_EVENT_WRITTEN,   /* Writes up to write_seq are durable. */
    ZAB_EVENT_SYNCED,    /* Leader: what ZAB_SYNC asked for, up to zxid, was put on the link. */
    ZAB_EVENT_PROPOSE,   /* Leader: the next transaction, with this zxid. */
    ZAB_EVENT_COMMITTED, /* Who feeds: the next transaction is committed, and at hand. */
    ZAB_EVENT_CONFIRM,   /* Leader, established: do we still lead? ticket grows from one to the
                            next. */
    ZAB_EVENT_TICK,      /* At least every half tick_ms. */
    ZAB_EVENT_MORE,      /* The answer to zab_effects.is_more. */
};

struct zab_event {
    enum zab_event_kind kind;
    uint64_t now_ms; /* Monotonic. */
    uint64_t link;   /* Which connection: the caller's number, never zero, never used twice. */
    union {
        struct { /* LEAD, LEARN, FEED: then the current epoch is the leader's. */
            struct zab_history history;
            int64_t leader_id;      /* LEARN */
            bool is_observer;       /* LEARN */
            int64_t zxid_committed; /* FEED: the last one of which we have heard. */
        } start;
        struct { /* COMMITTED */
            int64_t zxid;
            bool is_activating;    /* It is a reconfiguration that takes effect ... */
            int64_t designated_id; /* ... and this is who should lead now. */
        } commit;
        struct { /* RECEIVE; data is lent until zab_step returns. */
            int32_t type;
            int64_t zxid;
            bool has_data;
            struct slice data;
        } packet;
        uint64_t write_seq; /* WRITTEN */
        int64_t zxid;       /* SYNCED, PROPOSE */
        uint64_t ticket;    /* CONFIRM */
    };
};

enum zab_effect_kind {
    /* Writes, each with a number of its own. */
    ZAB_WRITE_ACCEPTED_EPOCH, /* value */
    ZAB_WRITE_CURRENT_EPOCH,  /* value */
    ZAB_WRITE_TXN,      /* zxid. Leader: the proposed one. Learner: data is head, body and digest of
                         * the transaction as in a PROPOSAL, lent until zab_step's next call. */
    ZAB_WRITE_TRUNCATE, /* Everything behind zxid goes from log and tree; durable means reloaded. */
    ZAB_WRITE_SNAPSHOT, /* The stream of a snapshot at zxid follows on the link, instead of packets,
                         * and replaces the tree; durable means loaded, and in a file. */

    ZAB_SEND,      /* A packet to link: type, zxid, payload. */
    ZAB_SEND_TXN,  /* PROPOSAL, INFORM or INFORM_AND_ACTIVATE of the transaction zxid, whose bytes
                    * the caller has, to link; they follow the payload, if there is one. */
    ZAB_PING_BACK, /* Learner: answer the ping (zxid) with the sessions that were touched. */
    ZAB_TOUCH,     /* Leader: sessions of a learner live: data as in its PING; link. */
    ZAB_SYNC,      /* Leader: find what link lacks, whose last transaction is zxid; send DIFF, TRUNC
                    * or SNAP and what belongs to it up to the last commit; then SYNCED. */
    ZAB_COMMIT_TXN, /* Transactions up to zxid are committed and may be applied, once durable here.
                     * Learner: type is that of the packet, and value as ZAB_ACTIVATE's. */
    ZAB_ESTABLISH,  /* The epoch (value) is ours: new elections are told so. Leader: clients may be
                     * served, zxids begin at value << 32. */
    ZAB_SERVE,      /* Learner: UPTODATE has come: clients may be served. */
    ZAB_CONFIRMED,  /* Leader: questions with tickets up to value are answered: we led after them.
                     */
    ZAB_ACTIVATE,   /* The reconfiguration zxid, just committed, takes effect; value is who should
                     * lead now. Call zab_set_ensembles. */
    ZAB_DROP,       /* Close link, for the reason. */
    ZAB_LOOK, /* The role has ended, for the reason: look for a leader. Always the last one. */
};

struct zab_effect {
    enum zab_effect_kind kind;
    uint64_t write_seq;   /* Of a write: its number. Else 0. */
    uint64_t after_write; /* Not before this write is durable; 0: at once. */
    uint64_t link;
    int32_t type; /* ZAB_SEND, ZAB_SEND_TXN: enum zab_packet_type */
    int64_t zxid;
    int64_t value;
    struct slice data; /* Lent from the event. */
    bool has_payload;  /* ZAB_SEND, ZAB_SEND_TXN */
    uint32_t payload_size;
    uint8_t payload[zab_payload_bytes_max]; /* Small data of a packet, encoded. */
    bool has_config;                        /* ZAB_SEND: data is the text of the configuration. */
    const char *reason;                     /* ZAB_DROP, ZAB_LOOK: constant text for people. */
};

struct zab_effects {
    uint32_t count;
    bool is_more; /* Not all had room: step with ZAB_EVENT_MORE when these are done. */
    struct zab_effect items[zab_effect_count_max];
};

enum zab_role { ZAB_ROLE_NONE, ZAB_ROLE_LEADER, ZAB_ROLE_LEARNER };

/* ---- the leader's side ---- */

/* Where a learner stands: each phase follows the one before it. */
enum zab_learner_phase {
    ZAB_LEARNER_CONNECTED,      /* Its FOLLOWERINFO or OBSERVERINFO is awaited. */
    ZAB_LEARNER_INTRODUCED,     /* It waits for the epoch. */
    ZAB_LEARNER_EPOCH_OFFERED,  /* LEADERINFO is sent, its ACKEPOCH is awaited. */
    ZAB_LEARNER_EPOCH_ACKED,    /* It waits for the others' ACKEPOCHs. */
    ZAB_LEARNER_SYNCING,        /* The caller sends what it lacks. */
    ZAB_LEARNER_CATCHING_UP,    /* It gets what was proposed meanwhile. */
    ZAB_LEARNER_LEADER_OFFERED, /* NEWLEADER is sent, its ACK awaited; live traffic goes there. */
    ZAB_LEARNER_LEADER_ACKED,   /* It has our history on disk: from here on its ACKs count. */
    ZAB_LEARNER_UP_TO_DATE,     /* UPTODATE is sent. */
};

struct zab_learner {
    uint64_t link;
    int64_t id; /* Negative and made up by us if it has none. */
    enum zab_learner_phase phase;
    bool is_observer;
    int64_t zxid_last;        /* In its ACKEPOCH. */
    int64_t zxid_proposed;    /* What is on its link: of an observer, nothing uncommitted is. */
    int64_t zxid_committed;   /* Commits on its link. */
    int64_t zxid_acked;       /* By it, and therefore everything before. */
    int64_t zxid_watched;     /* Its ACK is awaited ... 0: none is. */
    uint64_t watched_from_ms; /* ... since then. */
    uint64_t proposed_at_ms;  /* When zxid_proposed was sent. */
    uint64_t heard_at_ms;
    int64_t round_told;     /* The last round of confirmation whose PING is on its link, */
    int64_t round_answered; /* and that it has answered. */
};

enum zab_leader_phase {
    ZAB_LEADER_DISCOVERY,       /* Hears accepted epochs, until a quorum has said its own. */
    ZAB_LEADER_EPOCH,           /* Has an epoch, until a quorum has accepted it. */
    ZAB_LEADER_SYNCHRONISATION, /* Until a quorum has its history. */
    ZAB_LEADER_BROADCAST,
};

/* Voters that agree, in each of the two ensembles. */
struct zab_voters {
    struct ensemble_set current;
    struct ensemble_set next;
};

struct zab_leader {
    enum zab_leader_phase phase;
    bool is_follower;     /* It feeds observers, and leads nobody. */
    uint64_t deadline_ms; /* Of the phase; not of broadcast. */
    uint64_t ping_at_ms;
    uint64_t count_at_ms; /* When the quorum is counted next. */
    struct zab_voters introduced;
    struct zab_voters epoch_acked; /* Without ourselves. */
    int64_t epoch;                 /* In discovery: the highest accepted one of which we heard. */
    uint64_t accepted_write;
    uint64_t current_write;
    int64_t zxid_proposed; /* epoch << 32 before the first. */
    int64_t zxid_committed;
    int64_t zxid_activated; /* The last reconfiguration that was committed; 0: none. */
    int64_t designated_id;  /* Who should lead since then. */
    int64_t anonymous_id;   /* The last one given. */
    int64_t round;          /* The last round of confirmation; 0: there was none. */
    bool is_asking;         /* It is under way. */
    uint64_t ticket_asked;  /* It answers questions up to this one; */
    uint64_t ticket_wanted; /* later ones have the next round. */
    uint32_t learner_count;
    struct zab_learner learners[zab_learner_count_max];
};

/* ---- the learner's side ---- */

enum zab_learning_phase {
    ZAB_LEARNING_DIAL,            /* The caller dials. */
    ZAB_LEARNING_DISCOVERY,       /* LEADERINFO is awaited. */
    ZAB_LEARNING_CHOICE,          /* DIFF, TRUNC or SNAP is awaited. */
    ZAB_LEARNING_SYNCHRONISATION, /* What we lack comes, and NEWLEADER at its end. */
    ZAB_LEARNING_CONFIRMATION,    /* UPTODATE is awaited. */
    ZAB_LEARNING_BROADCAST,
};

struct zab_learning {
    enum zab_learning_phase phase;
    uint64_t link;
    int64_t leader_id;
    bool is_observer;
    uint64_t heard_at_ms;
    int64_t epoch;
    uint64_t snapshot_write; /* 0: none. */
    int64_t zxid_snapshot;   /* It contains what came before; -1: none. */
    int64_t zxid_written;    /* The last that we wrote, durable or not. */
    int64_t zxid_pending;    /* The first uncommitted one, up to zxid_written; 0: none. */
    int64_t zxid_acked;      /* ACKs are out up to here, waiting or not. From NEWLEADER on. */
    uint64_t txn_write;      /* The last transaction's. */
    uint64_t current_write;
};

struct zab {
    struct zab_options options;
    const struct ensemble *ensemble;
    const struct ensemble *next; /* NULL: no reconfiguration is pending. */
    enum zab_role role;
    struct zab_history history; /* As the role began. */
    int64_t epoch_heard;        /* A member that came too late had accepted it. */
    uint64_t write_issued;
    uint64_t write_durable;
    union {
        struct zab_leader leader;
        struct zab_learning learning;
    };
};

/* Keeps ensemble, in which a role need not be. Of options, nothing may be zero but self_id. */
void zab_init(struct zab *zab, struct zab_options options, const struct ensemble *ensemble);

/* Keeps both. next is a configuration that is proposed or logged but not committed, or NULL: then
 * both must have a quorum. A leader calls it before it proposes a reconfiguration, whose zxid is
 * next->version, and at ZAB_ACTIVATE; not between LEAD and ZAB_ESTABLISH. */
void zab_set_ensembles(struct zab *zab, const struct ensemble *current,
                       const struct ensemble *next);

/* Cannot fail. effects is emptied first. */
void zab_step(struct zab *zab, const struct zab_event *event, struct zab_effects *effects);

/* Whether our epoch has txn_count_max transactions, so that we should stop leading, for the sake of
 * another: zxids count them in 32 bits. More may still be proposed. */
bool zab_must_roll(const struct zab *zab);

/* Asserts what is always true; zab_step ends with it. */
void zab_invariants(const struct zab *zab);

#endif
