/* A vote of fast leader election: who should lead, and what makes it worthy.
 *
 * The better of two votes has the higher epoch, then the higher zxid, then the higher id.
 */
#ifndef ZAB_VOTE_H
#define ZAB_VOTE_H

#include <stdbool.h>
#include <stdint.h>

/* What a server does, by its number in notifications. */
enum zab_state { ZAB_LOOKING, ZAB_FOLLOWING, ZAB_LEADING, ZAB_OBSERVING };

struct vote {
    int64_t leader;
    int64_t zxid;           /* The leader's last. */
    int64_t election_epoch; /* The round of elections it was cast in. */
    int64_t peer_epoch;     /* The leader's. */
    enum zab_state state;   /* Of the server that cast it. */
    int32_t version;        /* Of its notification; 0: before 3.4.6. */
};

/* Whether vote should be preferred to other. */
static inline bool vote_is_better(const struct vote *vote, const struct vote *other)
{
    if (vote->peer_epoch != other->peer_epoch)
        return vote->peer_epoch > other->peer_epoch;
    if (vote->zxid != other->zxid)
        return vote->zxid > other->zxid;
    return vote->leader > other->leader;
}

/* Whether they support each other. Votes of servers that have settled need not tell the same zxid
 * and round: who came late learned of the leader in another round; and old servers' epochs cannot
 * be relied on. */
static inline bool vote_agrees(const struct vote *vote, const struct vote *other)
{
    if (vote->leader != other->leader)
        return false;
    if (vote->state == ZAB_LOOKING || other->state == ZAB_LOOKING)
        return vote->zxid == other->zxid && vote->election_epoch == other->election_epoch &&
               vote->peer_epoch == other->peer_epoch;
    return (vote->version > 0) != (other->version > 0) || vote->peer_epoch == other->peer_epoch;
}

#endif
