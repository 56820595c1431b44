/* The replicas of one partition as its leader sees them: how far each has come, which of them are
 * in sync, and what the high watermark may be.
 *
 *   a follower's Fetch   ---> replica_set_on_fetch      its offset is what it has for certain
 *                             replica_set_can_join ---> replica_set_join
 *   every now and then        replica_set_shrink
 *   a change of the ISR  <--- replica_set_proposal      to the controller, one at a time
 *   its answer           ---> replica_set_on_answer
 *
 * KIP-497: while a change is under way the set goes by the maximal ISR, which is the committed one
 * and whoever is to join: if the controller takes the change, nothing was promised too early, and
 * if it does not, nothing was either. A follower that is to leave counts until it has left.
 *
 * The high watermark is the least offset of the leader and of every replica in the maximal ISR, and
 * of those that are about to join it: alive, and caught up with the leader not long ago. It does
 * not move while the committed ISR is smaller than min.insync.replicas asks for (KIP-966).
 *
 * Time is milliseconds of any clock that does not go back.
 *
 * Memory: one block of the caller's, replica_set_bytes large. Shard: one owner.
 */
#ifndef BROKER_REPLICA_SET_H
#define BROKER_REPLICA_SET_H

#include "base/err.h"
#include "base/list.h"
#include "broker/control_message.h"

struct replica {
    struct list awaited_link; /* In the awaited_followers, until it has fetched. */
    int32_t broker_id;
    bool is_assigned;          /* False: only the ISR names it, which is odd; it shall leave. */
    bool is_leaving;           /* By the change that is under way. */
    int16_t isr_place;         /* Where the committed ISR lists it; -1: it is not in there. */
    int64_t broker_epoch;      /* Of its last fetch; -1: not told. */
    int64_t fetch_offset;      /* It has everything below; -1: it has not fetched yet. */
    int64_t log_start_offset;  /* -1: not told. */
    int64_t leader_end_offset; /* The leader's log end, when it fetched. */
    int64_t fetched_at_ms;
    int64_t caught_up_at_ms; /* It had all that the leader had then. */
};

enum replica_change { REPLICA_CHANGE_NONE, REPLICA_CHANGE_JOIN, REPLICA_CHANGE_LEAVE };

struct replica_set {
    int32_t broker_id; /* The leader's. */
    int32_t leader_epoch;
    int32_t partition_epoch; /* Of the committed ISR. */
    int16_t isr_place;       /* The leader's own. */
    int64_t epoch_start_offset;
    int64_t epoch_start_ms;
    uint32_t assigned_count; /* With the leader. */
    uint32_t isr_count;      /* Committed, with the leader. */
    enum replica_change change;
    uint32_t change_number; /* Of the last change: names the answer. */
    int32_t joining;        /* The broker that is to join. */
    uint32_t follower_count;
    struct replica followers[];
};

/* How long ago "never" is. */
static const int64_t replica_never_ms = INT64_MIN / 4;

/* What a set for this state takes. */
size_t replica_set_bytes(const struct partition_state *state);

struct replica_set_start {
    int32_t broker_id;      /* The leader's, that is: ours. */
    int64_t log_end_offset; /* Where the epoch starts. */
    int64_t now_ms;
    const struct replica_set *before; /* Led in the epoch before: who has what is known; or NULL. */
};

/* This broker leads with state's epoch from now on. */
void replica_set_init(struct replica_set *set, const struct partition_state *state,
                      struct replica_set_start start);

/* What the set does not know by itself. */
struct replica_facts {
    int64_t now_ms;
    int64_t lag_ms_max;     /* replica.lag.time.max.ms */
    int64_t min_isr;        /* min.insync.replicas */
    int64_t log_end_offset; /* Of the leader. */
    int64_t local_offset;   /* What the leader itself has for certain: at most log_end_offset. */
    int64_t high_watermark; /* As it is. */
    bool (*is_alive)(const void *context, int32_t broker_id);
    const void *context;
};

/* Replicas that must be in sync; never more than there are. */
int64_t replica_set_min_isr(const struct replica_set *set, int64_t min_isr);

/* acks=all is refused before anything is written. */
bool replica_set_is_under_min_isr(const struct replica_set *set, int64_t min_isr);

/* The same for what is written already, where the maximal ISR counts. */
bool replica_set_is_under_min_isr_after(const struct replica_set *set, int64_t min_isr);

/* Where the high watermark should be; not below facts->high_watermark. */
int64_t replica_set_high_watermark(const struct replica_set *set,
                                   const struct replica_facts *facts);

/* The replica of the assignment, or NULL. */
struct replica *replica_set_find(struct replica_set *set, int32_t broker_id);

struct replica_fetch {
    int64_t broker_epoch; /* -1: not told. */
    int64_t fetch_offset;
    int64_t log_start_offset;
};

/* A follower asks for fetch_offset, so it has all below. False: the fetch is of an earlier life of
 * the broker (KIP-903) and says nothing. */
bool replica_set_on_fetch(struct replica_set *set, struct replica *replica,
                          struct replica_fetch fetch, const struct replica_facts *facts);

/* Until now the follower has fetched again and again without saying anything new, as those of a
 * fetch session do: if it had everything, it has had it until then. What it said in the epoch
 * before, by which it may have left the ISR, says nothing of this one. */
void replica_set_on_silence(const struct replica_set *set, struct replica *replica,
                            int64_t until_ms);

/* Whether some follower in the ISR has less than the leader, so that it may have to leave. */
bool replica_set_is_lagging(const struct replica_set *set, int64_t log_end_offset);

/* Whether the replica should be taken into the ISR now, and the change that does it. */
bool replica_set_can_join(const struct replica_set *set, const struct replica *replica,
                          const struct replica_facts *facts);
void replica_set_join(struct replica_set *set, const struct replica *replica);

/* True: somebody is too far behind for too long, and a change is under way that lets them leave. */
bool replica_set_shrink(struct replica_set *set, const struct replica_facts *facts);

/* The ISR that the change under way is to bring, in Apache's order; returns how many. members has
 * room for control_replica_count_max. own_broker_epoch: the leader's. */
uint32_t replica_set_proposal(const struct replica_set *set, int64_t own_broker_epoch,
                              struct isr_member *members);

/* What the controller says of the change number. */
struct replica_answer {
    uint32_t change_number;
    int32_t change_leader_epoch; /* With which the change was proposed. */
    int16_t error_code;
    int32_t leader_epoch;
    int32_t partition_epoch;
    uint32_t isr_count;
    const int32_t *isr;
};

enum replica_outcome {
    REPLICA_OUTCOME_OLD,    /* Not of the change under way, or of another epoch: ignored. */
    REPLICA_OUTCOME_TAKEN,  /* The ISR is the answer's; the high watermark may move. */
    REPLICA_OUTCOME_UNDONE, /* Certainly not taken: the committed ISR is as it was. */
    REPLICA_OUTCOME_STUCK,  /* Nobody knows: the change stays under way until the next epoch. */
    REPLICA_OUTCOME_AGAIN,  /* Ask once more. */
};

enum replica_outcome replica_set_on_answer(struct replica_set *set,
                                           const struct replica_answer *answer);

/* A replica that a consumer may be sent to (KIP-392): in the ISR, and offset lies within its log.
 */
bool replica_set_can_serve(const struct replica *replica, int64_t offset);

#endif
