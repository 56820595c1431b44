#include "zab/fast_election.h"

#include "base/assert.h"

/* ---- voters and ballots ---- */

static bool is_voter(const struct fast_election *election, int64_t id)
{
    return ensemble_is_voter(election->current, id) ||
           (election->next != NULL && ensemble_is_voter(election->next, id));
}

static void clear(struct fast_election_ballots *ballots)
{
    ballots->count = 0;
}

static struct vote *find(struct fast_election_ballots *ballots, int64_t id)
{
    for (uint32_t index = 0; index < ballots->count; index++)
        if (ballots->ids[index] == id)
            return &ballots->votes[index];
    return NULL;
}

/* id is a voter, so there is room, unless the configurations have changed since. */
static void cast(struct fast_election_ballots *ballots, int64_t id, const struct vote *vote)
{
    struct vote *old = find(ballots, id);
    if (old != NULL) {
        *old = *vote;
        return;
    }
    if (ballots->count == fast_election_voter_count_max)
        return;
    ballots->ids[ballots->count] = id;
    ballots->votes[ballots->count++] = *vote;
}

static bool has_quorum_of(const struct ensemble *ensemble,
                          const struct fast_election_ballots *ballots, const struct vote *vote)
{
    struct ensemble_set set = {0};
    for (uint32_t index = 0; index < ballots->count; index++)
        if (vote_agrees(vote, &ballots->votes[index]))
            ensemble_set_add(ensemble, &set, ballots->ids[index]);
    return ensemble_is_quorum(ensemble, set);
}

static bool has_quorum(const struct fast_election *election,
                       const struct fast_election_ballots *ballots, const struct vote *vote)
{
    return has_quorum_of(election->current, ballots, vote) &&
           (election->next == NULL || has_quorum_of(election->next, ballots, vote));
}

/* ---- what comes out ---- */

static void send(struct fast_election_effects *effects, const struct vote *vote,
                 enum zab_state state)
{
    effects->notification = (struct zk_election_notification){
        .state = (int32_t)state,
        .leader = vote->leader,
        .zxid = vote->zxid,
        .election_epoch = vote->election_epoch,
        .peer_epoch = vote->peer_epoch,
        .version = fast_election_version,
    };
}

static void answer(struct fast_election_effects *effects, int64_t to, const struct vote *vote,
                   enum zab_state state)
{
    send(effects, vote, state);
    effects->send = FAST_ELECTION_SEND_ONE;
    effects->send_to = to;
}

static void tell_all(const struct fast_election *election, struct fast_election_effects *effects)
{
    send(effects, &election->proposal, ZAB_LOOKING);
    effects->send = FAST_ELECTION_SEND_ALL;
}

static void plan_wake(const struct fast_election *election, struct fast_election_effects *effects)
{
    effects->wake_at_ms = UINT64_MAX;
    if (election->state != ZAB_LOOKING)
        return;
    effects->wake_at_ms = election->resend_at_ms;
    if (election->decide_at_ms != 0)
        effects->wake_at_ms = min_u64(effects->wake_at_ms, election->decide_at_ms);
}

static void settle(struct fast_election *election, const struct vote *vote,
                   struct fast_election_effects *effects)
{
    const int64_t self_id = election->options.self_id;
    assert(election->state == ZAB_LOOKING);
    if (vote->leader == self_id)
        election->state = ZAB_LEADING;
    else
        election->state = is_voter(election, self_id) ? ZAB_FOLLOWING : ZAB_OBSERVING;
    election->settled = *vote;
    election->settled.state = election->state;
    election->settled.version = fast_election_version;
    election->decide_at_ms = 0;
    effects->is_decided = true;
}

/* ---- looking ---- */

/* What weighs nothing is followed by nobody. */
static bool may_replace(const struct fast_election *election, const struct vote *vote,
                        const struct vote *other)
{
    const int64_t weight = ensemble_weight(election->current, vote->leader);
    return (weight > 0 ||
            (election->next != NULL && ensemble_weight(election->next, vote->leader) > 0)) &&
           vote_is_better(vote, other);
}

static void propose(struct fast_election *election, const struct vote *vote)
{
    election->proposal = *vote;
    election->proposal.election_epoch = election->round;
    election->proposal.state = ZAB_LOOKING;
    election->decide_at_ms = 0;
    if (is_voter(election, election->options.self_id) && election->own.zxid != -1)
        cast(&election->round_ballots, election->options.self_id, &election->proposal);
}

/* Meanwhile nothing is repeated: Apache's servers, which agree with us, would wait anew. */
static void consider_deciding(struct fast_election *election, uint64_t now_ms)
{
    if (!has_quorum(election, &election->round_ballots, &election->proposal)) {
        election->decide_at_ms = 0;
    } else if (election->decide_at_ms == 0) {
        election->decide_at_ms = now_ms + election->options.finalize_ms;
        election->resend_at_ms = max_u64(election->resend_at_ms, election->decide_at_ms + 1);
    }
}

/* A better vote, or the better of it and our own in a round that is new to us. */
static void weigh(struct fast_election *election, int64_t from, const struct vote *vote,
                  struct fast_election_effects *effects)
{
    if (vote->election_epoch > election->round) {
        election->round = vote->election_epoch;
        clear(&election->round_ballots);
        propose(election, may_replace(election, vote, &election->own) ? vote : &election->own);
        tell_all(election, effects);
    } else if (may_replace(election, vote, &election->proposal)) {
        propose(election, vote);
        tell_all(election, effects);
    } else if (vote_is_better(&election->proposal, vote)) {
        /* It had not begun to look when we said so, and would only hear of it when we repeat it. */
        answer(effects, from, &election->proposal, ZAB_LOOKING);
    }
}

/* From a voter that looks as we do. */
static void on_vote(struct fast_election *election, uint64_t now_ms, int64_t from,
                    const struct vote *vote, struct fast_election_effects *effects)
{
    if (vote->election_epoch < election->round)
        answer(effects, from, &election->proposal, ZAB_LOOKING);
    const bool is_countable = election->own.zxid != -1 && vote->zxid != -1;
    if (!is_countable || vote->election_epoch < election->round)
        return;
    weigh(election, from, vote, effects);
    cast(&election->round_ballots, from, vote);
    consider_deciding(election, now_ms);
}

/* Nobody follows a server on hearsay: it must say itself that it leads, and if it is us, in the
 * round that we are in. */
static bool is_leader_confirmed(struct fast_election *election,
                                struct fast_election_ballots *ballots, const struct vote *vote)
{
    if (vote->leader == election->options.self_id)
        return vote->election_epoch == election->round;
    const struct vote *word = find(ballots, vote->leader);
    return word != NULL && word->state == ZAB_LEADING;
}

/* From a voter that follows or leads. */
static void on_settled_vote(struct fast_election *election, int64_t from, const struct vote *vote,
                            struct fast_election_effects *effects)
{
    if (vote->election_epoch == election->round) {
        cast(&election->round_ballots, from, vote);
        if (has_quorum(election, &election->round_ballots, vote) &&
            is_leader_confirmed(election, &election->round_ballots, vote)) {
            settle(election, vote, effects);
            return;
        }
    }
    cast(&election->settled_ballots, from, vote);
    if (has_quorum(election, &election->settled_ballots, vote) &&
        is_leader_confirmed(election, &election->settled_ballots, vote)) {
        election->round = vote->election_epoch;
        settle(election, vote, effects);
    }
}

static void on_word_while_looking(struct fast_election *election, uint64_t now_ms, int64_t from,
                                  const struct vote *vote, struct fast_election_effects *effects)
{
    if (!is_voter(election, vote->leader))
        return;
    switch (vote->state) {
    case ZAB_LOOKING: on_vote(election, now_ms, from, vote, effects); return;
    case ZAB_FOLLOWING:
    case ZAB_LEADING: on_settled_vote(election, from, vote, effects); return;
    case ZAB_OBSERVING: return;
    }
}

/* ---- the events ---- */

void fast_election_init(struct fast_election *election, struct fast_election_options options,
                        const struct ensemble *current)
{
    assert(options.wait_ms_min > 0 && options.wait_ms_max >= options.wait_ms_min);
    *election = (struct fast_election){.options = options, .current = current};
}

void fast_election_set_ensembles(struct fast_election *election, const struct ensemble *current,
                                 const struct ensemble *next)
{
    election->current = current;
    election->next = next;
}

void fast_election_look(struct fast_election *election, struct fast_election_start start,
                        struct fast_election_effects *effects)
{
    *effects = (struct fast_election_effects){0};
    election->state = ZAB_LOOKING;
    election->round++;
    clear(&election->round_ballots);
    clear(&election->settled_ballots);
    election->own = (struct vote){.leader = INT64_MIN, .zxid = INT64_MIN, .peer_epoch = INT64_MIN};
    if (is_voter(election, election->options.self_id))
        election->own = (struct vote){.leader = election->options.self_id,
                                      .zxid = start.zxid,
                                      .peer_epoch = start.peer_epoch};
    election->own.version = fast_election_version;
    propose(election, &election->own);
    election->wait_ms = election->options.wait_ms_min;
    election->resend_at_ms = start.now_ms + election->wait_ms;
    consider_deciding(election, start.now_ms);
    tell_all(election, effects);
    plan_wake(election, effects);
}

static bool read_state(int32_t number, enum zab_state *state)
{
    *state = (enum zab_state)number;
    return number >= ZAB_LOOKING && number <= ZAB_OBSERVING;
}

void fast_election_on_notification(struct fast_election *election, uint64_t now_ms, int64_t from,
                                   const struct zk_election_notification *notification,
                                   struct fast_election_effects *effects)
{
    struct vote vote = {
        .leader = notification->leader,
        .zxid = notification->zxid,
        .election_epoch = notification->election_epoch,
        .peer_epoch = notification->peer_epoch,
        .version = notification->version,
    };
    *effects = (struct fast_election_effects){0};
    const bool is_looking = election->state == ZAB_LOOKING;
    if (!is_voter(election, from)) {
        /* An observer, or a server that wants to join: it hears how things stand, and no more. */
        struct vote word = is_looking ? election->proposal : election->settled;
        word.election_epoch = election->round;
        answer(effects, from, &word, election->state);
    } else if (!read_state(notification->state, &vote.state)) {
        /* From a later version, perhaps: nothing to learn from it. */
    } else if (is_looking) {
        on_word_while_looking(election, now_ms, from, &vote, effects);
    } else if (vote.state == ZAB_LOOKING) {
        answer(effects, from, &election->settled, election->state);
    }
    plan_wake(election, effects);
}

void fast_election_on_wake(struct fast_election *election, uint64_t now_ms,
                           struct fast_election_effects *effects)
{
    *effects = (struct fast_election_effects){0};
    if (election->state != ZAB_LOOKING) {
        plan_wake(election, effects);
        return;
    }
    if (election->decide_at_ms != 0)
        consider_deciding(election, now_ms); /* Votes that made the quorum may have changed. */
    if (election->decide_at_ms != 0 && now_ms >= election->decide_at_ms) {
        settle(election, &election->proposal, effects);
    } else if (now_ms >= election->resend_at_ms) {
        election->wait_ms = min_u64(2 * election->wait_ms, election->options.wait_ms_max);
        election->resend_at_ms = now_ms + election->wait_ms;
        tell_all(election, effects);
    }
    plan_wake(election, effects);
}

void fast_election_set_epoch(struct fast_election *election, int64_t peer_epoch)
{
    assert(election->state != ZAB_LOOKING);
    election->settled.peer_epoch = peer_epoch;
}
