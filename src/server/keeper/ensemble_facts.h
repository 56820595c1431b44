/* What a member of an ensemble knows of it, as operators see it.
 *
 * Whoever runs the member fills it in: the words, pages and metrics only read it, but for
 * observer_connection_stat_reset.
 *
 * Memory: embedded; learners embed a struct ensemble_learner. Shard: one owner.
 */
#ifndef SERVER_KEEPER_ENSEMBLE_FACTS_H
#define SERVER_KEEPER_ENSEMBLE_FACTS_H

#include "base/list.h"
#include "io/io.h"
#include "zab/ensemble.h"

enum ensemble_role {
    ENSEMBLE_ALONE,
    ENSEMBLE_LOOKING,   /* Without a leader, or not yet in step with it: nobody is served. */
    ENSEMBLE_READ_ONLY, /* Without a leader, and serves whom reading is enough. */
    ENSEMBLE_FOLLOWER,
    ENSEMBLE_LEADER,
    ENSEMBLE_OBSERVER,
};

/* What a leader, or a follower that feeds observers, knows of one connection to a learner. */
struct ensemble_learner {
    struct list link; /* In facts->learners. */
    int64_t id;
    struct io_address address;
    bool is_voter;             /* Of the configuration in force; */
    bool is_observer;          /* said so itself. Neither: a follower that is no member yet. */
    bool is_synced;            /* It gets what is proposed, or told if it observes. */
    int64_t established_at_ms; /* On the wall clock. */
    uint64_t queued_packet_count;
    uint64_t queued_bytes;
    uint64_t received_count; /* Packets. */
    uint64_t sent_count;
    uint64_t request_count; /* REQUEST packets. */
    int64_t zxid_last;      /* The last that it acknowledged, or was told if it observes. */
};

struct ensemble_facts {
    enum ensemble_role role;
    const struct ensemble *ensemble; /* In force; NULL: the configuration's. */
    int64_t leader_id;               /* Of the leader that is followed, or oneself. */
    struct io_address leader_address;
    uint64_t role_since_ns; /* On the monotonic clock: since when the role is held. */
    bool feeds_observers;   /* A follower that observers may learn from. */

    /* A leader's, or who feeds. */
    struct list learners;        /* In order of arrival. */
    uint64_t pending_sync_count; /* SYNC requests that wait for their proposals. */
    int64_t proposal_bytes_last; /* See ensemble_facts_add_proposal. */
    int64_t proposal_bytes_min;
    int64_t proposal_bytes_max;
    uint64_t proposal_count; /* Since the role was taken. */
    uint32_t snapshot_count; /* Learners that are sent a snapshot, */
    uint32_t diff_count;     /* or what they lack. */
};

/* Of a server that stands alone. */
void ensemble_facts_init(struct ensemble_facts *facts);

/* Nobody is served from now on; keeps ensemble. */
void ensemble_facts_look(struct ensemble_facts *facts, uint64_t now_ns);

/* A role other than looking; the leader's figures begin anew. */
void ensemble_facts_take_role(struct ensemble_facts *facts, enum ensemble_role role,
                              uint64_t now_ns);

/* A proposal went out: the bytes of the transaction, with its header. */
void ensemble_facts_add_proposal(struct ensemble_facts *facts, size_t bytes);

static inline bool ensemble_facts_has_learners(const struct ensemble_facts *facts)
{
    return facts->role == ENSEMBLE_LEADER || facts->feeds_observers;
}

static inline bool ensemble_facts_is_serving(const struct ensemble_facts *facts)
{
    return facts->role != ENSEMBLE_LOOKING;
}

/* "standalone", "leader", ..., as the words say it. */
const char *ensemble_facts_mode(const struct ensemble_facts *facts);

/* "leading - broadcast", as mntr says it. */
const char *ensemble_facts_peer_state(const struct ensemble_facts *facts);

struct ensemble_learner_counts {
    uint32_t all;
    uint32_t synced_followers;
    uint32_t synced_followers_without_vote; /* Of these. */
    uint32_t synced_observers;
};

struct ensemble_learner_counts ensemble_facts_count(const struct ensemble_facts *facts);

/* Sets the counts of observers to zero. */
void ensemble_facts_reset_observers(struct ensemble_facts *facts);

#endif
