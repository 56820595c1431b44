/* The leader's side of the handshake: discovery, synchronisation, and who is dropped. What it sends
 * once a learner is synced is in zab_broadcast.c. */
#include "base/assert.h"
#include "base/bytes.h"
#include "zab/zab_broadcast.h"
#include "zab/zab_confirmation.h"
#include "zab/zab_role.h"

enum {
    introduction_bytes_id = 8,        /* LearnerInfo of old: the id. */
    introduction_bytes_protocol = 12, /* And the protocol's version. */
    introduction_bytes = 20,          /* And the configuration's. */
};

/* ---- learners ---- */

static struct zab_learner *find(struct zab_leader *leader, uint64_t link)
{
    for (uint32_t index = 0; index < leader->learner_count; index++)
        if (leader->learners[index].link == link)
            return &leader->learners[index];
    return NULL;
}

static void drop(struct zab_leader *leader, struct zab_learner *learner, const char *reason,
                 struct zab_effects *effects)
{
    zab_emit_drop(effects, learner->link, reason);
    *learner = leader->learners[--leader->learner_count];
}

void zab_leader_drop_all(struct zab *zab, const char *reason, struct zab_effects *effects)
{
    struct zab_leader *leader = &zab->leader;
    while (leader->learner_count > 0)
        drop(leader, &leader->learners[leader->learner_count - 1], reason, effects);
}

static void on_link_up(struct zab *zab, const struct zab_event *event, struct zab_effects *effects)
{
    struct zab_leader *leader = &zab->leader;
    assert(event->link != 0 && find(leader, event->link) == NULL);
    if (leader->learner_count == zab_learner_count_max) {
        zab_emit_drop(effects, event->link, "there are too many learners");
        return;
    }
    leader->learners[leader->learner_count++] =
        (struct zab_learner){.link = event->link, .heard_at_ms = event->now_ms};
}

/* ---- discovery ---- */

/* What a learner says of itself. */
struct introduction {
    int64_t id;
    int64_t protocol_version;
    int64_t config_version;
};

static bool read_introduction(const struct zab_event *event, struct introduction *introduction)
{
    const struct slice data = event->packet.data;
    *introduction = (struct introduction){.protocol_version = zab_protocol_version};
    if (!event->packet.has_data || data.size == 0)
        return true;
    if (data.size < introduction_bytes_id)
        return false;
    introduction->id = load_i64(data.data);
    if (data.size >= introduction_bytes_protocol)
        introduction->protocol_version = load_i32(data.data + introduction_bytes_id);
    if (data.size >= introduction_bytes)
        introduction->config_version = load_i64(data.data + introduction_bytes_protocol);
    return true;
}

/* Why the learner cannot be ours; NULL: it can. */
static const char *find_fault(const struct zab *zab, const struct zab_event *event,
                              const struct introduction *introduction)
{
    const int64_t accepted_epoch = zab_epoch_of(event->packet.zxid);
    if (introduction->id == zab->options.self_id && event->packet.has_data)
        return "it says that it is this server";
    if (zab->leader.is_follower && event->packet.type != ZAB_OBSERVER_INFO)
        return "only observers learn from a follower";
    if (introduction->protocol_version < zab_protocol_version)
        return "it speaks the protocol of before 3.4";
    if (introduction->config_version > zab->ensemble->version)
        return "it has a later configuration than we have";
    if (accepted_epoch < 0 || accepted_epoch >= ZAB_EPOCH_MAX)
        return "its accepted epoch is none";
    if (zab->leader.phase != ZAB_LEADER_DISCOVERY && accepted_epoch > zab->leader.epoch)
        return "it has accepted a later epoch than ours";
    return NULL;
}

/* A server has one link: it has lost the one before, even if we have not. */
static void drop_namesake(struct zab_leader *leader, const struct zab_learner *learner,
                          struct zab_effects *effects)
{
    for (uint32_t index = 0; index < leader->learner_count; index++) {
        struct zab_learner *other = &leader->learners[index];
        if (other != learner && other->phase != ZAB_LEARNER_CONNECTED && other->id == learner->id) {
            drop(leader, other, "it has connected anew", effects);
            return;
        }
    }
}

/* A member that has accepted a later epoch than ours, of a leader that came to nothing, can never
 * follow us: a later one must begin, for all. */
static void give_way(struct zab *zab, const struct zab_event *event,
                     const struct introduction *introduction, struct zab_effects *effects)
{
    const int64_t accepted_epoch = zab_epoch_of(event->packet.zxid);
    const bool is_member = event->packet.has_data && introduction->id != zab->options.self_id &&
                           ensemble_find(zab->ensemble, introduction->id) != NULL;
    if (zab->leader.is_follower || !is_member || accepted_epoch >= ZAB_EPOCH_MAX ||
        accepted_epoch <= zab->leader.epoch)
        return;
    zab->epoch_heard = max_i64(zab->epoch_heard, accepted_epoch);
    if (zab->leader.phase == ZAB_LEADER_BROADCAST)
        zab_end(zab, "a member has accepted a later epoch", effects);
}

static void on_introduction(struct zab *zab, struct zab_learner *learner,
                            const struct zab_event *event, struct zab_effects *effects)
{
    struct zab_leader *leader = &zab->leader;
    struct introduction introduction;
    if (!read_introduction(event, &introduction)) {
        drop(leader, learner, "its introduction is too short", effects);
        return;
    }
    const char *fault = find_fault(zab, event, &introduction);
    if (fault != NULL) {
        drop(leader, learner, fault, effects);
        give_way(zab, event, &introduction, effects);
        return;
    }
    const bool has_id = event->packet.has_data && event->packet.data.size > 0;
    learner->id = has_id ? introduction.id : --leader->anonymous_id;
    learner->is_observer = event->packet.type == ZAB_OBSERVER_INFO;
    learner->phase = ZAB_LEARNER_INTRODUCED;
    if (leader->phase == ZAB_LEADER_DISCOVERY) {
        leader->epoch = max_i64(leader->epoch, zab_epoch_of(event->packet.zxid));
        if (!learner->is_observer)
            zab_voters_add(zab, &leader->introduced, learner->id);
    }
    drop_namesake(leader, learner, effects); /* Moves learners. */
}

static bool is_ahead(const struct zab_history *own, int64_t current_epoch, int64_t zxid_last)
{
    return current_epoch > own->current_epoch ||
           (current_epoch == own->current_epoch && zxid_last > own->zxid_last);
}

/* An epoch of -1 says that it had accepted the epoch before: that may have been another leader's.
 * Who has no history at all does not vote either. */
static void on_epoch_ack(struct zab *zab, struct zab_learner *learner,
                         const struct zab_event *event, struct zab_effects *effects)
{
    struct zab_leader *leader = &zab->leader;
    if (!event->packet.has_data || event->packet.data.size != sizeof(int32_t)) {
        drop(leader, learner, "its ACKEPOCH is malformed", effects);
        return;
    }
    const int64_t current_epoch = load_i32(event->packet.data.data);
    const int64_t zxid_last = event->packet.zxid;
    if (leader->phase == ZAB_LEADER_EPOCH && current_epoch != -1) {
        if (is_ahead(&zab->history, current_epoch, zxid_last)) {
            drop(leader, learner, "it knows more than we do", effects);
            return;
        }
        if (zxid_last != -1 && !learner->is_observer)
            zab_voters_add(zab, &leader->epoch_acked, learner->id);
    }
    learner->zxid_last = zxid_last;
    learner->phase = ZAB_LEARNER_EPOCH_ACKED;
}

/* ---- packets ---- */

static void on_leader_ack(struct zab *zab, struct zab_learner *learner,
                          const struct zab_event *event, struct zab_effects *effects)
{
    const int64_t zxid = event->packet.zxid;
    if (zxid == zab_epoch_start(zab->leader.epoch)) {
        learner->phase = ZAB_LEARNER_LEADER_ACKED;
        if (learner->zxid_acked < learner->zxid_proposed) {
            learner->zxid_watched = learner->zxid_proposed;
            learner->watched_from_ms = event->now_ms;
        }
    } else if (zab_counter_of(zxid) == 0) {
        drop(&zab->leader, learner, "it acknowledges another leader", effects);
    } else {
        /* Another thread of Apache's follower may be faster than the one that acks the leader. */
        zab_broadcast_on_ack(zab, learner, event, effects);
    }
}

static void on_ping(struct zab *zab, struct zab_learner *learner, const struct zab_event *event,
                    struct zab_effects *effects)
{
    if (learner->phase < ZAB_LEARNER_LEADER_ACKED) {
        drop(&zab->leader, learner, "it pings before it has acknowledged us", effects);
        return;
    }
    zab_confirmation_on_ping(learner, event->packet.zxid);
    if (!event->packet.has_data || event->packet.data.size == 0)
        return;
    struct zab_effect *effect = zab_emit(effects, ZAB_TOUCH);
    effect->link = learner->link;
    effect->data = event->packet.data;
}

static void on_live_packet(struct zab *zab, struct zab_learner *learner,
                           const struct zab_event *event, struct zab_effects *effects)
{
    if (event->packet.type == ZAB_PING)
        on_ping(zab, learner, event, effects);
    else if (event->packet.type != ZAB_ACK)
        drop(&zab->leader, learner, "only ACK and PING come from a learner now", effects);
    else if (learner->phase == ZAB_LEARNER_LEADER_OFFERED)
        on_leader_ack(zab, learner, event, effects);
    else
        zab_broadcast_on_ack(zab, learner, event, effects);
}

static void on_packet(struct zab *zab, const struct zab_event *event, struct zab_effects *effects)
{
    struct zab_leader *leader = &zab->leader;
    struct zab_learner *learner = find(leader, event->link);
    if (learner == NULL)
        return; /* Was under way when the link was dropped. */
    learner->heard_at_ms = event->now_ms;
    switch (learner->phase) {
    case ZAB_LEARNER_CONNECTED:
        if (event->packet.type == ZAB_FOLLOWER_INFO || event->packet.type == ZAB_OBSERVER_INFO)
            on_introduction(zab, learner, event, effects);
        else
            drop(leader, learner, "its first packet is no introduction", effects);
        break;
    case ZAB_LEARNER_EPOCH_OFFERED:
        if (event->packet.type == ZAB_ACK_EPOCH)
            on_epoch_ack(zab, learner, event, effects);
        else
            drop(leader, learner, "ACKEPOCH was expected", effects);
        break;
    case ZAB_LEARNER_INTRODUCED:
    case ZAB_LEARNER_EPOCH_ACKED:
    case ZAB_LEARNER_SYNCING:
    case ZAB_LEARNER_CATCHING_UP: drop(leader, learner, "it spoke out of its turn", effects); break;
    case ZAB_LEARNER_LEADER_OFFERED:
    case ZAB_LEARNER_LEADER_ACKED:
    case ZAB_LEARNER_UP_TO_DATE: on_live_packet(zab, learner, event, effects); break;
    }
}

/* ---- the epoch's way from phase to phase ---- */

static uint64_t init_ms(const struct zab *zab)
{
    return (uint64_t)zab->options.init_ticks * zab->options.tick_ms;
}

static uint64_t sync_ms(const struct zab *zab)
{
    return (uint64_t)zab->options.sync_ticks * zab->options.tick_ms;
}

static void enter(struct zab *zab, enum zab_leader_phase phase, uint64_t now_ms)
{
    zab->leader.phase = phase;
    zab->leader.deadline_ms = now_ms + init_ms(zab);
}

static void choose_epoch(struct zab *zab, uint64_t now_ms, struct zab_effects *effects)
{
    struct zab_leader *leader = &zab->leader;
    leader->epoch++;
    assert(leader->epoch <= ZAB_EPOCH_MAX && leader->epoch > zab->history.accepted_epoch);
    leader->zxid_proposed = zab_epoch_start(leader->epoch);
    leader->zxid_committed = leader->zxid_proposed;
    struct zab_effect *effect = zab_emit_write(zab, effects, ZAB_WRITE_ACCEPTED_EPOCH);
    effect->value = leader->epoch;
    leader->accepted_write = effect->write_seq;
    enter(zab, ZAB_LEADER_EPOCH, now_ms);
}

static void begin_synchronisation(struct zab *zab, uint64_t now_ms, struct zab_effects *effects)
{
    struct zab_leader *leader = &zab->leader;
    struct zab_effect *effect = zab_emit_write(zab, effects, ZAB_WRITE_CURRENT_EPOCH);
    effect->value = leader->epoch;
    leader->current_write = effect->write_seq;
    enter(zab, ZAB_LEADER_SYNCHRONISATION, now_ms);
}

static bool has_epoch_quorum(const struct zab *zab)
{
    struct zab_voters voters = zab->leader.epoch_acked;
    if (zab->leader.accepted_write > zab->write_durable)
        return false;
    zab_voters_add(zab, &voters, zab->options.self_id);
    return zab_voters_decide(zab, &voters);
}

/* Those that have our history on disk, and are there. */
static bool has_learner_quorum(const struct zab *zab)
{
    struct zab_voters voters = {0};
    if (zab->leader.current_write > zab->write_durable)
        return false;
    zab_voters_add(zab, &voters, zab->options.self_id);
    for (uint32_t index = 0; index < zab->leader.learner_count; index++) {
        const struct zab_learner *learner = &zab->leader.learners[index];
        if (!learner->is_observer && learner->phase >= ZAB_LEARNER_LEADER_ACKED)
            zab_voters_add(zab, &voters, learner->id);
    }
    return zab_voters_decide(zab, &voters);
}

static void establish(struct zab *zab, uint64_t now_ms, struct zab_effects *effects)
{
    enter(zab, ZAB_LEADER_BROADCAST, now_ms);
    zab->leader.count_at_ms = now_ms + zab->options.tick_ms;
    zab_emit(effects, ZAB_ESTABLISH)->value = zab->leader.epoch;
}

static void advance(struct zab *zab, uint64_t now_ms, struct zab_effects *effects)
{
    struct zab_leader *leader = &zab->leader;
    if (leader->phase == ZAB_LEADER_DISCOVERY && zab_voters_decide(zab, &leader->introduced))
        choose_epoch(zab, now_ms, effects);
    if (leader->phase == ZAB_LEADER_EPOCH && has_epoch_quorum(zab))
        begin_synchronisation(zab, now_ms, effects);
    if (leader->phase == ZAB_LEADER_SYNCHRONISATION && has_learner_quorum(zab))
        establish(zab, now_ms, effects);
    if (leader->phase == ZAB_LEADER_BROADCAST) {
        zab_broadcast_commit(zab, effects);
        zab_confirmation_advance(zab, effects);
    }
}

/* What the epoch's phase allows a learner. */
static void advance_learner(struct zab *zab, struct zab_learner *learner, uint64_t now_ms,
                            struct zab_effects *effects)
{
    const struct zab_leader *leader = &zab->leader;
    if (learner->phase == ZAB_LEARNER_INTRODUCED && leader->phase >= ZAB_LEADER_EPOCH) {
        struct zab_effect *effect =
            zab_emit_send(effects, learner->link, ZAB_LEADER_INFO, zab_epoch_start(leader->epoch));
        effect->after_write = zab_wait_for(zab, leader->accepted_write);
        zab_set_payload_i32(effect, zab_protocol_version);
        learner->phase = ZAB_LEARNER_EPOCH_OFFERED;
    } else if (learner->phase == ZAB_LEARNER_EPOCH_ACKED &&
               leader->phase >= ZAB_LEADER_SYNCHRONISATION) {
        struct zab_effect *effect = zab_emit(effects, ZAB_SYNC);
        effect->link = learner->link;
        effect->zxid = learner->zxid_last;
        learner->phase = ZAB_LEARNER_SYNCING;
    } else if (learner->phase == ZAB_LEARNER_LEADER_ACKED &&
               leader->phase == ZAB_LEADER_BROADCAST) {
        (void)zab_emit_send(effects, learner->link, ZAB_UP_TO_DATE, -1);
        learner->phase = ZAB_LEARNER_UP_TO_DATE;
        learner->heard_at_ms = now_ms; /* It had nothing to say until now. */
    }
}

static void on_synced(struct zab *zab, const struct zab_event *event)
{
    struct zab_leader *leader = &zab->leader;
    struct zab_learner *learner = find(leader, event->link);
    if (learner == NULL)
        return;
    assert(learner->phase == ZAB_LEARNER_SYNCING);
    assert(event->zxid <= leader->zxid_committed);
    learner->phase = ZAB_LEARNER_CATCHING_UP;
    learner->heard_at_ms = event->now_ms;
    learner->zxid_committed = max_i64(event->zxid, zab_epoch_start(leader->epoch));
    learner->zxid_proposed = learner->zxid_committed;
    learner->zxid_acked = learner->zxid_committed;
}

/* ---- time ---- */

/* Why the learner is given up; NULL: it is not. One that has acknowledged us before the quorum has
 * need not say anything: then the phase has an end. */
static const char *find_lateness(const struct zab *zab, const struct zab_learner *learner,
                                 uint64_t now_ms)
{
    if (learner->zxid_watched != 0 && now_ms - learner->watched_from_ms > sync_ms(zab))
        return "it does not acknowledge proposals in time";
    if (learner->phase == ZAB_LEARNER_LEADER_ACKED)
        return NULL;
    const bool is_synced = learner->phase == ZAB_LEARNER_UP_TO_DATE;
    if (now_ms - learner->heard_at_ms > (is_synced ? sync_ms(zab) : init_ms(zab)))
        return "it is silent";
    return NULL;
}

static void drop_late(struct zab *zab, uint64_t now_ms, struct zab_effects *effects)
{
    struct zab_leader *leader = &zab->leader;
    for (uint32_t index = leader->learner_count; index-- > 0;) {
        struct zab_learner *learner = &leader->learners[index];
        const char *reason = find_lateness(zab, learner, now_ms);
        if (reason != NULL)
            drop(leader, learner, reason, effects);
    }
}

static void ping(struct zab *zab, uint64_t now_ms, struct zab_effects *effects)
{
    struct zab_leader *leader = &zab->leader;
    if (now_ms < leader->ping_at_ms)
        return;
    leader->ping_at_ms = now_ms + zab->options.tick_ms / 2;
    for (uint32_t index = 0; index < leader->learner_count; index++)
        if (leader->learners[index].phase >= ZAB_LEARNER_LEADER_OFFERED)
            (void)zab_emit_send(effects, leader->learners[index].link, ZAB_PING,
                                leader->zxid_proposed);
}

/* Why leading is given up; NULL: it is not. */
static const char *find_failure(struct zab *zab, uint64_t now_ms)
{
    struct zab_leader *leader = &zab->leader;
    if (leader->is_follower)
        return NULL; /* Its leader counts. */
    if (leader->phase != ZAB_LEADER_BROADCAST)
        return now_ms > leader->deadline_ms ? "no quorum has come along in time" : NULL;
    if (now_ms < leader->count_at_ms)
        return NULL;
    leader->count_at_ms = now_ms + zab->options.tick_ms;
    return has_learner_quorum(zab) ? NULL : "the quorum of learners is lost";
}

static void on_tick(struct zab *zab, uint64_t now_ms, struct zab_effects *effects)
{
    drop_late(zab, now_ms, effects);
    const char *reason = find_failure(zab, now_ms);
    if (reason != NULL)
        zab_end(zab, reason, effects);
    else
        ping(zab, now_ms, effects);
}

/* ---- events ---- */

/* There is nothing to agree on any more. */
static void begin_feeding(struct zab *zab, const struct zab_event *event)
{
    struct zab_leader *leader = &zab->leader;
    leader->phase = ZAB_LEADER_BROADCAST;
    leader->epoch = zab->history.current_epoch;
    leader->zxid_committed = max_i64(event->start.zxid_committed, zab_epoch_start(leader->epoch));
    leader->zxid_proposed = leader->zxid_committed;
}

void zab_leader_start(struct zab *zab, const struct zab_event *event)
{
    struct zab_leader *leader = &zab->leader;
    leader->phase = ZAB_LEADER_DISCOVERY;
    leader->is_follower = event->kind == ZAB_EVENT_FEED;
    leader->deadline_ms = event->now_ms + init_ms(zab);
    leader->ping_at_ms = event->now_ms;
    leader->introduced = leader->epoch_acked = (struct zab_voters){0};
    leader->epoch = max_i64(zab->history.accepted_epoch, zab->epoch_heard);
    leader->accepted_write = leader->current_write = 0;
    leader->zxid_proposed = leader->zxid_committed = leader->zxid_activated = 0;
    leader->designated_id = zab->options.self_id;
    leader->anonymous_id = 0;
    leader->round = 0;
    leader->is_asking = false;
    leader->ticket_asked = leader->ticket_wanted = 0;
    leader->learner_count = 0;
    zab_voters_add(zab, &leader->introduced, zab->options.self_id);
    if (leader->is_follower)
        begin_feeding(zab, event);
}

static void on_link_down(struct zab_leader *leader, uint64_t link)
{
    struct zab_learner *learner = find(leader, link);
    if (learner != NULL)
        *learner = leader->learners[--leader->learner_count];
}

static void on_committed(struct zab_leader *leader, const struct zab_event *event)
{
    assert(leader->is_follower && event->commit.zxid == leader->zxid_committed + 1);
    leader->zxid_committed = event->commit.zxid;
    leader->zxid_proposed = event->commit.zxid;
    if (!event->commit.is_activating)
        return;
    leader->zxid_activated = event->commit.zxid;
    leader->designated_id = event->commit.designated_id;
}

static void on_event(struct zab *zab, const struct zab_event *event, struct zab_effects *effects)
{
    switch (event->kind) {
    case ZAB_EVENT_LINK_UP: on_link_up(zab, event, effects); break;
    case ZAB_EVENT_RECEIVE: on_packet(zab, event, effects); break;
    case ZAB_EVENT_LINK_DOWN: on_link_down(&zab->leader, event->link); break;
    case ZAB_EVENT_SYNCED: on_synced(zab, event); break;
    case ZAB_EVENT_PROPOSE: zab_broadcast_on_propose(zab, event, effects); break;
    case ZAB_EVENT_COMMITTED: on_committed(&zab->leader, event); break;
    case ZAB_EVENT_CONFIRM: zab_confirmation_on_ask(zab, event); break;
    case ZAB_EVENT_TICK: on_tick(zab, event->now_ms, effects); break;
    case ZAB_EVENT_LEAD:
    case ZAB_EVENT_LEARN:
    case ZAB_EVENT_FEED:
    case ZAB_EVENT_STOP:
    case ZAB_EVENT_WRITTEN:
    case ZAB_EVENT_MORE: break;
    }
}

void zab_leader_on_event(struct zab *zab, const struct zab_event *event,
                         struct zab_effects *effects)
{
    on_event(zab, event, effects);
    if (zab->role != ZAB_ROLE_LEADER)
        return;
    if (zab->leader.phase == ZAB_LEADER_DISCOVERY && zab->leader.epoch >= ZAB_EPOCH_MAX) {
        zab_end(zab, "there is no epoch left", effects);
        return;
    }
    advance(zab, event->now_ms, effects);
    for (uint32_t index = 0; index < zab->leader.learner_count; index++)
        advance_learner(zab, &zab->leader.learners[index], event->now_ms, effects);
    zab_broadcast_forward(zab, event->now_ms, effects);
    for (uint32_t index = 0; index < zab->leader.learner_count; index++)
        zab_confirmation_forward(&zab->leader, &zab->leader.learners[index], effects);
}

static void learner_invariants(const struct zab_leader *leader, const struct zab_learner *learner)
{
    assert(learner->link != 0);
    if (learner->phase < ZAB_LEARNER_CATCHING_UP)
        return;
    /* No commit goes to a learner for what was not proposed to it, and none before its time. */
    assert(learner->zxid_committed <= learner->zxid_proposed);
    assert(learner->zxid_committed <= leader->zxid_committed);
    assert(learner->zxid_acked <= learner->zxid_proposed);
    assert(learner->zxid_proposed <= leader->zxid_proposed);
    assert(!learner->is_observer || learner->zxid_proposed == learner->zxid_committed);
    assert(learner->round_answered <= learner->round_told);
    assert(learner->round_told <= leader->round);
}

void zab_leader_invariants(const struct zab *zab)
{
    const struct zab_leader *leader = &zab->leader;
    assert(leader->epoch >= zab->history.accepted_epoch);
    assert(leader->zxid_committed <= leader->zxid_proposed);
    assert(leader->ticket_asked <= leader->ticket_wanted);
    assert(leader->is_asking || leader->ticket_asked == leader->ticket_wanted);
    if (leader->phase >= ZAB_LEADER_EPOCH)
        assert(leader->zxid_committed >= zab_epoch_start(leader->epoch));
    if (leader->phase < ZAB_LEADER_BROADCAST)
        assert(leader->zxid_proposed == leader->zxid_committed);
    for (uint32_t index = 0; index < leader->learner_count; index++)
        learner_invariants(leader, &leader->learners[index]);
}
