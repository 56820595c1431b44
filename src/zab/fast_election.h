/* Fast leader election: the servers of an ensemble tell each other whom they vote for, adopt better
 * votes, and settle when a quorum agrees.
 *
 *   fast_election_look ----> LOOKING --quorum for a vote, and no better one for a while--> settled
 *                          ^                                                             |
 *                          +--------- fast_election_look: the leader or the quorum is lost ---+
 *
 * Rounds are numbered (the logical clock, "election epoch" on the wire): votes of an older round
 * are answered and ignored, one of a newer round starts that round here. A server that comes late
 * finds a quorum of settled servers and joins their leader, if that one says itself that it leads.
 *
 * During a reconfiguration two configurations are in force, and a vote needs a quorum of both.
 *
 * Pure: an event with the time goes in, what to send and what is decided comes out. Notifications
 * are idempotent and only the newest to a peer matters, so the sender keeps one for each.
 *
 * Source: fast leader election as Apache ZooKeeper's servers speak it on their election port.
 * Memory: a struct in place. Shard: one owner.
 */
#ifndef ZAB_FAST_ELECTION_H
#define ZAB_FAST_ELECTION_H

#include "wire/gen/zk.h"
#include "zab/ensemble.h"
#include "zab/vote.h"

enum { fast_election_voter_count_max = 2 * ensemble_member_count_max, fast_election_version = 2 };

struct fast_election_options {
    int64_t self_id;
    uint64_t wait_ms_min; /* Of hearing nothing, until the notifications are sent again... */
    uint64_t wait_ms_max; /* ...twice as long each time, up to this. */
    uint64_t finalize_ms; /* How long a better vote is waited for. */
};

/* The last vote of each server. */
struct fast_election_ballots {
    uint32_t count;
    int64_t ids[fast_election_voter_count_max];
    struct vote votes[fast_election_voter_count_max];
};

struct fast_election {
    struct fast_election_options options;
    const struct ensemble *current;
    const struct ensemble *next; /* NULL: no reconfiguration is pending. */
    enum zab_state state;
    int64_t round;        /* The logical clock. */
    struct vote own;      /* For ourselves; what an observer would propose is below any. */
    struct vote proposal; /* While LOOKING. */
    struct vote settled;  /* While not. */
    struct fast_election_ballots round_ballots;
    struct fast_election_ballots
        settled_ballots; /* Of servers that follow or lead, of any round. */
    uint64_t wait_ms;
    uint64_t resend_at_ms;
    uint64_t decide_at_ms; /* 0: no quorum yet. */
};

enum fast_election_send {
    FAST_ELECTION_SEND_NOTHING,
    FAST_ELECTION_SEND_ALL, /* To every voter of both configurations. */
    FAST_ELECTION_SEND_ONE,
};

/* What to do after an event. */
struct fast_election_effects {
    enum fast_election_send send;
    int64_t send_to;                              /* FAST_ELECTION_SEND_ONE */
    struct zk_election_notification notification; /* Its config is the sender's to fill in. */
    bool is_decided;     /* election->state and election->settled are new. */
    uint64_t wake_at_ms; /* fast_election_on_wake is due then; UINT64_MAX: never. */
};

/* Keeps both configurations until the next call of fast_election_set_ensembles. */
void fast_election_init(struct fast_election *election, struct fast_election_options options,
                        const struct ensemble *current);

/* A reconfiguration begins (next is not NULL), or has ended. */
void fast_election_set_ensembles(struct fast_election *election, const struct ensemble *current,
                                 const struct ensemble *next);

struct fast_election_start {
    int64_t zxid;       /* The last one in our log; -1: we know nothing and must not be counted. */
    int64_t peer_epoch; /* Our current epoch. */
    uint64_t now_ms;    /* Monotonic. */
};

/* Starts a new round. */
void fast_election_look(struct fast_election *election, struct fast_election_start start,
                        struct fast_election_effects *effects);

/* Any server's word, also while we are settled. from need not be a member. */
void fast_election_on_notification(struct fast_election *election, uint64_t now_ms, int64_t from,
                                   const struct zk_election_notification *notification,
                                   struct fast_election_effects *effects);

/* effects->wake_at_ms has come; too early does no harm. */
void fast_election_on_wake(struct fast_election *election, uint64_t now_ms,
                           struct fast_election_effects *effects);

/* The leader's epoch is established: what late comers are told from now on must match on all
 * servers. */
void fast_election_set_epoch(struct fast_election *election, int64_t peer_epoch);

#endif
