#include "zab/zab.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "zab/zab_role.h"

/* ---- effects ---- */

struct zab_effect *zab_emit(struct zab_effects *effects, enum zab_effect_kind kind)
{
    assert(effects->count < zab_effect_count_max);
    struct zab_effect *effect = &effects->items[effects->count++];
    *effect = (struct zab_effect){.kind = kind};
    return effect;
}

struct zab_effect *zab_emit_write(struct zab *zab, struct zab_effects *effects,
                                  enum zab_effect_kind kind)
{
    struct zab_effect *effect = zab_emit(effects, kind);
    effect->write_seq = ++zab->write_issued;
    return effect;
}

struct zab_effect *zab_emit_send(struct zab_effects *effects, uint64_t link,
                                 enum zab_packet_type type, int64_t zxid)
{
    struct zab_effect *effect = zab_emit(effects, ZAB_SEND);
    effect->link = link;
    effect->type = (int32_t)type;
    effect->zxid = zxid;
    return effect;
}

void zab_set_payload_i32(struct zab_effect *effect, int32_t value)
{
    effect->has_payload = true;
    effect->payload_size = sizeof value;
    store_i32(effect->payload, value);
}

void zab_set_payload_i64(struct zab_effect *effect, int64_t value)
{
    effect->has_payload = true;
    effect->payload_size = sizeof value;
    store_i64(effect->payload, value);
}

void zab_emit_drop(struct zab_effects *effects, uint64_t link, const char *reason)
{
    struct zab_effect *effect = zab_emit(effects, ZAB_DROP);
    effect->link = link;
    effect->reason = reason;
}

uint64_t zab_wait_for(const struct zab *zab, uint64_t write_seq)
{
    assert(write_seq <= zab->write_issued);
    return write_seq > zab->write_durable ? write_seq : 0;
}

/* ---- roles ---- */

static void drop_all(struct zab *zab, const char *reason, struct zab_effects *effects)
{
    switch (zab->role) {
    case ZAB_ROLE_NONE: break;
    case ZAB_ROLE_LEADER: zab_leader_drop_all(zab, reason, effects); break;
    case ZAB_ROLE_LEARNER: zab_learning_drop_all(zab, reason, effects); break;
    }
    zab->role = ZAB_ROLE_NONE;
}

void zab_end(struct zab *zab, const char *reason, struct zab_effects *effects)
{
    drop_all(zab, reason, effects);
    zab_emit(effects, ZAB_LOOK)->reason = reason;
}

static void start(struct zab *zab, const struct zab_event *event)
{
    const struct zab_history *history = &event->start.history;
    assert(zab->role == ZAB_ROLE_NONE);
    assert(history->current_epoch <= history->accepted_epoch);
    assert(zab_epoch_of(history->zxid_last) <= history->accepted_epoch);
    zab->history = *history;
    zab->write_durable = zab->write_issued;
    if (event->kind != ZAB_EVENT_LEARN) {
        zab->role = ZAB_ROLE_LEADER;
        zab_leader_start(zab, event);
    } else {
        zab->role = ZAB_ROLE_LEARNER;
        zab_learning_start(zab, event);
    }
}

static void on_event_without_role(const struct zab_event *event, struct zab_effects *effects)
{
    assert(event->kind != ZAB_EVENT_PROPOSE && event->kind != ZAB_EVENT_CONFIRM);
    if (event->kind == ZAB_EVENT_LINK_UP)
        zab_emit_drop(effects, event->link, "this server neither leads nor learns");
}

static void on_event_of_role(struct zab *zab, const struct zab_event *event,
                             struct zab_effects *effects)
{
    switch (zab->role) {
    case ZAB_ROLE_NONE: on_event_without_role(event, effects); break;
    case ZAB_ROLE_LEADER: zab_leader_on_event(zab, event, effects); break;
    case ZAB_ROLE_LEARNER: zab_learning_on_event(zab, event, effects); break;
    }
}

/* ---- public ---- */

void zab_init(struct zab *zab, struct zab_options options, const struct ensemble *ensemble)
{
    assert(options.tick_ms > 0 && options.init_ticks > 0 && options.sync_ticks > 0);
    assert(options.txn_count_max > 0 && options.txn_count_max <= ZAB_EPOCH_TXN_COUNT_MAX);
    *zab = (struct zab){.options = options, .ensemble = ensemble};
}

void zab_set_ensembles(struct zab *zab, const struct ensemble *current, const struct ensemble *next)
{
    assert(zab->role != ZAB_ROLE_LEADER || zab->leader.phase == ZAB_LEADER_BROADCAST);
    zab->ensemble = current;
    zab->next = next;
}

void zab_step(struct zab *zab, const struct zab_event *event, struct zab_effects *effects)
{
    effects->count = 0;
    effects->is_more = false;
    switch (event->kind) {
    case ZAB_EVENT_LEAD:
    case ZAB_EVENT_LEARN:
    case ZAB_EVENT_FEED: start(zab, event); break;
    case ZAB_EVENT_STOP: drop_all(zab, "the role is given up", effects); break;
    case ZAB_EVENT_WRITTEN:
        assert(event->write_seq <= zab->write_issued);
        if (event->write_seq > zab->write_durable)
            zab->write_durable = event->write_seq;
        break;
    case ZAB_EVENT_LINK_UP:
    case ZAB_EVENT_RECEIVE:
    case ZAB_EVENT_LINK_DOWN:
    case ZAB_EVENT_SYNCED:
    case ZAB_EVENT_PROPOSE:
    case ZAB_EVENT_COMMITTED:
    case ZAB_EVENT_CONFIRM:
    case ZAB_EVENT_TICK:
    case ZAB_EVENT_MORE: break;
    }
    on_event_of_role(zab, event, effects);
    zab_invariants(zab);
}

bool zab_must_roll(const struct zab *zab)
{
    return zab->role == ZAB_ROLE_LEADER &&
           zab_counter_of(zab->leader.zxid_proposed) >= zab->options.txn_count_max;
}

void zab_invariants(const struct zab *zab)
{
    assert(zab->write_durable <= zab->write_issued);
    switch (zab->role) {
    case ZAB_ROLE_NONE: break;
    case ZAB_ROLE_LEADER: zab_leader_invariants(zab); break;
    case ZAB_ROLE_LEARNER: zab_learning_invariants(zab); break;
    }
}
