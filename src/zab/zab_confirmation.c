#include "zab/zab_confirmation.h"

#include "base/assert.h"
#include "zab/zab_broadcast.h"
#include "zab/zab_role.h"

/* The zxids of other PINGs are not negative. */
static int64_t zxid_of(int64_t round)
{
    return -1 - round;
}

static int64_t round_of(int64_t zxid)
{
    return -1 - zxid;
}

static void begin_round(struct zab_leader *leader)
{
    leader->round++;
    leader->is_asking = true;
    leader->ticket_asked = leader->ticket_wanted;
}

void zab_confirmation_on_ask(struct zab *zab, const struct zab_event *event)
{
    struct zab_leader *leader = &zab->leader;
    assert(leader->phase == ZAB_LEADER_BROADCAST);
    assert(event->ticket > leader->ticket_wanted);
    leader->ticket_wanted = event->ticket;
    if (!leader->is_asking)
        begin_round(leader);
}

void zab_confirmation_on_ping(struct zab_learner *learner, int64_t zxid)
{
    if (zxid < 0 && round_of(zxid) <= learner->round_told)
        learner->round_answered = max_i64(learner->round_answered, round_of(zxid));
}

/* Who follows us, since the round began. */
static bool is_answered(const struct zab *zab)
{
    const struct zab_leader *leader = &zab->leader;
    struct zab_voters voters = {0};
    zab_voters_add(zab, &voters, zab->options.self_id);
    for (uint32_t index = 0; index < leader->learner_count; index++) {
        const struct zab_learner *learner = &leader->learners[index];
        if (!learner->is_observer && learner->round_answered == leader->round)
            zab_voters_add(zab, &voters, learner->id);
    }
    return zab_voters_decide(zab, &voters);
}

void zab_confirmation_advance(struct zab *zab, struct zab_effects *effects)
{
    struct zab_leader *leader = &zab->leader;
    while (leader->is_asking && is_answered(zab)) {
        leader->is_asking = false;
        zab_emit(effects, ZAB_CONFIRMED)->value = (int64_t)leader->ticket_asked;
        if (leader->ticket_wanted > leader->ticket_asked)
            begin_round(leader);
    }
}

void zab_confirmation_forward(const struct zab_leader *leader, struct zab_learner *learner,
                              struct zab_effects *effects)
{
    if (!leader->is_asking || learner->is_observer || learner->phase != ZAB_LEARNER_UP_TO_DATE ||
        learner->round_told == leader->round)
        return;
    if (effects->count == zab_effect_count_max) {
        effects->is_more = true;
        return;
    }
    (void)zab_emit_send(effects, learner->link, ZAB_PING, zxid_of(leader->round));
    learner->round_told = leader->round;
}
