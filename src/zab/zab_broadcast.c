#include "zab/zab_broadcast.h"

#include "base/assert.h"
#include "zab/zab_role.h"

/* ---- voters ---- */

void zab_voters_add(const struct zab *zab, struct zab_voters *voters, int64_t id)
{
    ensemble_set_add(zab->ensemble, &voters->current, id);
    if (zab->next != NULL)
        ensemble_set_add(zab->next, &voters->next, id);
}

bool zab_voters_decide(const struct zab *zab, const struct zab_voters *voters)
{
    return ensemble_is_quorum(zab->ensemble, voters->current) &&
           (zab->next == NULL || ensemble_is_quorum(zab->next, voters->next));
}

/* ---- proposals and their acknowledgements ---- */

/* In broadcast the writes are the proposals, so the last ones of both are the same. */
static uint64_t write_of(const struct zab *zab, int64_t zxid)
{
    return zab->write_issued - (uint64_t)(zab->leader.zxid_proposed - zxid);
}

void zab_broadcast_on_propose(struct zab *zab, const struct zab_event *event,
                              struct zab_effects *effects)
{
    struct zab_leader *leader = &zab->leader;
    assert(leader->phase == ZAB_LEADER_BROADCAST && !leader->is_follower);
    assert(zab_counter_of(leader->zxid_proposed) < ZAB_COUNTER_MAX);
    assert(event->zxid == leader->zxid_proposed + 1);
    leader->zxid_proposed = event->zxid;
    zab_emit_write(zab, effects, ZAB_WRITE_TXN)->zxid = event->zxid;
}

void zab_broadcast_on_ack(struct zab *zab, struct zab_learner *learner,
                          const struct zab_event *event, struct zab_effects *effects)
{
    const int64_t zxid = event->packet.zxid;
    if (learner->is_observer || zab_counter_of(zxid) == 0 || zxid <= learner->zxid_acked)
        return;
    if (zxid > learner->zxid_proposed) {
        zab_emit_drop(effects, learner->link, "it acknowledges what was not proposed");
        *learner = zab->leader.learners[--zab->leader.learner_count];
        return;
    }
    learner->zxid_acked = zxid;
    if (zxid < learner->zxid_watched)
        return;
    const bool is_behind = zxid < learner->zxid_proposed;
    learner->zxid_watched = is_behind ? learner->zxid_proposed : 0;
    learner->watched_from_ms = learner->proposed_at_ms;
}

/* ---- commits ---- */

static bool is_acked(const struct zab *zab, int64_t zxid)
{
    struct zab_voters voters = {0};
    if (write_of(zab, zxid) <= zab->write_durable)
        zab_voters_add(zab, &voters, zab->options.self_id);
    for (uint32_t index = 0; index < zab->leader.learner_count; index++) {
        const struct zab_learner *learner = &zab->leader.learners[index];
        if (!learner->is_observer && learner->phase >= ZAB_LEARNER_LEADER_ACKED &&
            learner->zxid_acked >= zxid)
            zab_voters_add(zab, &voters, learner->id);
    }
    return zab_voters_decide(zab, &voters);
}

/* We, if we still have a vote; or of those who will have one, whoever has most of our history. */
static int64_t designate(const struct zab *zab)
{
    const struct zab_learner *best = NULL;
    if (ensemble_is_voter(zab->next, zab->options.self_id))
        return zab->options.self_id;
    for (uint32_t index = 0; index < zab->leader.learner_count; index++) {
        const struct zab_learner *learner = &zab->leader.learners[index];
        if (!learner->is_observer && learner->phase >= ZAB_LEARNER_LEADER_ACKED &&
            ensemble_is_voter(zab->next, learner->id) &&
            (best == NULL || learner->zxid_acked > best->zxid_acked))
            best = learner;
    }
    return best != NULL ? best->id : zab->options.self_id;
}

static void emit_commit(struct zab *zab, struct zab_effects *effects)
{
    struct zab_effect *effect = zab_emit(effects, ZAB_COMMIT_TXN);
    effect->zxid = zab->leader.zxid_committed;
    effect->after_write = zab_wait_for(zab, write_of(zab, effect->zxid));
}

static void activate(struct zab *zab, struct zab_effects *effects)
{
    struct zab_leader *leader = &zab->leader;
    leader->zxid_activated = leader->zxid_committed;
    leader->designated_id = designate(zab);
    struct zab_effect *effect = zab_emit(effects, ZAB_ACTIVATE);
    effect->zxid = leader->zxid_activated;
    effect->value = leader->designated_id;
    effect->after_write = zab_wait_for(zab, write_of(zab, effect->zxid));
}

void zab_broadcast_commit(struct zab *zab, struct zab_effects *effects)
{
    struct zab_leader *leader = &zab->leader;
    const int64_t committed_before = leader->zxid_committed;
    int64_t told = committed_before;
    while (leader->zxid_committed < leader->zxid_proposed &&
           is_acked(zab, leader->zxid_committed + 1)) {
        leader->zxid_committed++;
        if (zab->next == NULL || zab->next->version != leader->zxid_committed)
            continue;
        emit_commit(zab, effects);
        activate(zab, effects);
        told = leader->zxid_committed;
    }
    if (leader->zxid_committed > told)
        emit_commit(zab, effects);
}

/* ---- forwarding ---- */

static bool has_room(const struct zab_effects *effects)
{
    return effects->count < zab_effect_count_max;
}

static void send_txn(const struct zab_learner *learner, enum zab_packet_type type, int64_t zxid,
                     struct zab_effects *effects)
{
    struct zab_effect *effect = zab_emit_send(effects, learner->link, type, zxid);
    effect->kind = ZAB_SEND_TXN;
}

static void forward_proposals(const struct zab_leader *leader, struct zab_learner *learner,
                              uint64_t now_ms, struct zab_effects *effects)
{
    while (learner->zxid_proposed < leader->zxid_proposed && has_room(effects)) {
        send_txn(learner, ZAB_PROPOSAL, ++learner->zxid_proposed, effects);
        learner->proposed_at_ms = now_ms;
        if (learner->zxid_watched == 0 && learner->phase >= ZAB_LEARNER_LEADER_ACKED) {
            learner->zxid_watched = learner->zxid_proposed;
            learner->watched_from_ms = now_ms;
        }
    }
}

static void forward_commits(const struct zab_leader *leader, struct zab_learner *learner,
                            struct zab_effects *effects)
{
    const int64_t end = min_i64(leader->zxid_committed, learner->zxid_proposed);
    while (learner->zxid_committed < end && has_room(effects)) {
        const int64_t zxid = ++learner->zxid_committed;
        const bool is_activating = zxid == leader->zxid_activated;
        struct zab_effect *effect = zab_emit_send(
            effects, learner->link, is_activating ? ZAB_COMMIT_AND_ACTIVATE : ZAB_COMMIT, zxid);
        if (is_activating)
            zab_set_payload_i64(effect, leader->designated_id);
    }
}

/* What observers get is committed. */
static void inform(const struct zab_leader *leader, struct zab_learner *learner,
                   struct zab_effects *effects)
{
    while (learner->zxid_committed < leader->zxid_committed && has_room(effects)) {
        const int64_t zxid = ++learner->zxid_committed;
        const bool is_activating = zxid == leader->zxid_activated;
        send_txn(learner, is_activating ? ZAB_INFORM_AND_ACTIVATE : ZAB_INFORM, zxid, effects);
        if (is_activating)
            zab_set_payload_i64(&effects->items[effects->count - 1], leader->designated_id);
    }
    learner->zxid_proposed = learner->zxid_committed;
}

static bool has_all(const struct zab_leader *leader, const struct zab_learner *learner)
{
    return learner->zxid_committed == leader->zxid_committed &&
           (learner->is_observer || learner->zxid_proposed == leader->zxid_proposed);
}

/* Behind what it lacked, so that its acknowledgement says that it lacks nothing. */
static void offer_leader(const struct zab_leader *leader, struct zab_learner *learner,
                         struct zab_effects *effects)
{
    struct zab_effect *effect =
        zab_emit_send(effects, learner->link, ZAB_NEW_LEADER, zab_epoch_start(leader->epoch));
    effect->has_config = true;
    learner->phase = ZAB_LEARNER_LEADER_OFFERED;
}

static void forward(const struct zab_leader *leader, struct zab_learner *learner, uint64_t now_ms,
                    struct zab_effects *effects)
{
    if (learner->phase < ZAB_LEARNER_CATCHING_UP)
        return;
    if (learner->is_observer) {
        inform(leader, learner, effects);
    } else {
        forward_proposals(leader, learner, now_ms, effects);
        forward_commits(leader, learner, effects);
    }
    if (!has_all(leader, learner) ||
        (learner->phase == ZAB_LEARNER_CATCHING_UP && !has_room(effects)))
        effects->is_more = true;
    else if (learner->phase == ZAB_LEARNER_CATCHING_UP)
        offer_leader(leader, learner, effects);
}

void zab_broadcast_forward(struct zab *zab, uint64_t now_ms, struct zab_effects *effects)
{
    struct zab_leader *leader = &zab->leader;
    for (uint32_t index = 0; index < leader->learner_count; index++)
        forward(leader, &leader->learners[index], now_ms, effects);
}
