/* A learner's side, of followers and observers: it accepts the epoch, takes what it lacks, and then
 * what is broadcast.
 *
 * The order on the disk is the order of the writes: first the history, then the epoch in which it
 * counts, and only behind both goes the ACK of NEWLEADER. */
#include "base/assert.h"
#include "base/bytes.h"
#include "zab/zab_role.h"

enum { designation_bytes = 8 };

static void fail(struct zab *zab, const char *reason, struct zab_effects *effects)
{
    zab_end(zab, reason, effects);
}

void zab_learning_drop_all(struct zab *zab, const char *reason, struct zab_effects *effects)
{
    if (zab->learning.link != 0)
        zab_emit_drop(effects, zab->learning.link, reason);
    zab->learning.link = 0;
}

/* ---- discovery ---- */

static void on_link_up(struct zab *zab, const struct zab_event *event, struct zab_effects *effects)
{
    struct zab_learning *learning = &zab->learning;
    assert(event->link != 0);
    if (learning->phase != ZAB_LEARNING_DIAL) {
        zab_emit_drop(effects, event->link, "there is a link to the leader already");
        return;
    }
    learning->phase = ZAB_LEARNING_DISCOVERY;
    learning->link = event->link;
    struct zab_effect *effect = zab_emit_send(
        effects, event->link, learning->is_observer ? ZAB_OBSERVER_INFO : ZAB_FOLLOWER_INFO,
        zab_epoch_start(zab->history.accepted_epoch));
    effect->has_payload = true;
    effect->payload_size = 20;
    store_i64(effect->payload, zab->options.self_id);
    store_i32(effect->payload + 8, zab_protocol_version);
    store_i64(effect->payload + 12, zab->ensemble->version);
}

/* Who has accepted the epoch before does not vote for it again: it may have been another's. */
static void accept_epoch(struct zab *zab, int64_t epoch, struct zab_effects *effects)
{
    uint64_t write_seq = 0;
    int64_t vote = -1;
    if (epoch > zab->history.accepted_epoch) {
        struct zab_effect *effect = zab_emit_write(zab, effects, ZAB_WRITE_ACCEPTED_EPOCH);
        effect->value = epoch;
        write_seq = effect->write_seq;
        vote = zab->history.current_epoch;
    }
    struct zab_effect *effect =
        zab_emit_send(effects, zab->learning.link, ZAB_ACK_EPOCH, zab->history.zxid_last);
    effect->after_write = write_seq;
    zab_set_payload_i32(effect, (int32_t)vote);
    zab->learning.epoch = epoch;
    zab->learning.phase = ZAB_LEARNING_CHOICE;
}

static void on_leader_info(struct zab *zab, const struct zab_event *event,
                           struct zab_effects *effects)
{
    const int64_t zxid = event->packet.zxid;
    if (event->packet.type != ZAB_LEADER_INFO)
        fail(zab, "the leader does not tell its epoch", effects);
    else if (zab_counter_of(zxid) != 0 || !event->packet.has_data ||
             event->packet.data.size < sizeof(int32_t))
        fail(zab, "the leader's LEADERINFO is malformed", effects);
    else if (zab_epoch_of(zxid) < zab->history.accepted_epoch)
        fail(zab, "the leader's epoch is older than one that was accepted", effects);
    else
        accept_epoch(zab, zab_epoch_of(zxid), effects);
}

/* ---- DIFF, TRUNC or SNAP ---- */

static void truncate(struct zab *zab, int64_t zxid, struct zab_effects *effects)
{
    if (zxid < 0 || zxid > zab->history.zxid_last) {
        fail(zab, "the leader's TRUNC keeps more than there is", effects);
        return;
    }
    zab_emit_write(zab, effects, ZAB_WRITE_TRUNCATE)->zxid = zxid;
    zab->learning.zxid_written = zxid;
    zab->learning.phase = ZAB_LEARNING_SYNCHRONISATION;
}

static void take_snapshot(struct zab *zab, int64_t zxid, struct zab_effects *effects)
{
    struct zab_learning *learning = &zab->learning;
    if (zxid < 0 || zab_epoch_of(zxid) > learning->epoch) {
        fail(zab, "the leader's SNAP is of a later epoch than its own", effects);
        return;
    }
    struct zab_effect *effect = zab_emit_write(zab, effects, ZAB_WRITE_SNAPSHOT);
    effect->zxid = zxid;
    effect->link = learning->link;
    learning->snapshot_write = effect->write_seq;
    learning->zxid_snapshot = zxid;
    learning->zxid_written = zxid;
    learning->phase = ZAB_LEARNING_SYNCHRONISATION;
}

static void on_choice(struct zab *zab, const struct zab_event *event, struct zab_effects *effects)
{
    switch (event->packet.type) {
    case ZAB_DIFF: zab->learning.phase = ZAB_LEARNING_SYNCHRONISATION; break;
    case ZAB_TRUNC: truncate(zab, event->packet.zxid, effects); break;
    case ZAB_SNAP: take_snapshot(zab, event->packet.zxid, effects); break;
    case ZAB_PING: break;
    default: fail(zab, "the leader begins with neither DIFF, TRUNC nor SNAP", effects); break;
    }
}

/* ---- transactions ---- */

/* Of the write of a transaction that is not committed. They were written one after another, except
 * that the epoch's write may lie between them: then the answer is a later one, which does as well.
 */
static uint64_t write_of(const struct zab_learning *learning, int64_t zxid)
{
    return learning->txn_write - (uint64_t)(learning->zxid_written - zxid);
}

/* What a snapshot contains need not be written again: the leader began to forward before it made
 * the snapshot. */
static bool is_in_snapshot(const struct zab_learning *learning, int64_t zxid)
{
    return learning->phase < ZAB_LEARNING_BROADCAST && zxid <= learning->zxid_snapshot;
}

/* Why it cannot be written; NULL: it can. */
static const char *find_fault(const struct zab_learning *learning, int64_t zxid, struct slice data)
{
    if (slice_is_null(data) || data.size == 0)
        return "a transaction is empty";
    if (zab_epoch_of(zxid) > learning->epoch)
        return "a transaction is of a later epoch than the leader's";
    if (learning->phase > ZAB_LEARNING_SYNCHRONISATION && zab_epoch_of(zxid) != learning->epoch)
        return "a new transaction is of an old epoch";
    if (!zab_follows(zxid, learning->zxid_written))
        return "there is a hole before a transaction";
    if (learning->zxid_pending != 0 && zab_epoch_of(zxid) != zab_epoch_of(learning->zxid_pending))
        return "an epoch begins while one before has transactions that are not committed";
    return NULL;
}

static bool write_txn(struct zab *zab, int64_t zxid, struct slice data, struct zab_effects *effects)
{
    struct zab_learning *learning = &zab->learning;
    const char *fault = find_fault(learning, zxid, data);
    if (fault != NULL) {
        fail(zab, fault, effects);
        return false;
    }
    struct zab_effect *effect = zab_emit_write(zab, effects, ZAB_WRITE_TXN);
    effect->zxid = zxid;
    effect->data = data;
    learning->txn_write = effect->write_seq;
    learning->zxid_written = zxid;
    if (learning->zxid_pending == 0)
        learning->zxid_pending = zxid;
    return true;
}

static bool commit(struct zab *zab, int64_t zxid, struct zab_effects *effects)
{
    struct zab_learning *learning = &zab->learning;
    if (learning->zxid_pending == 0 || zxid != learning->zxid_pending) {
        fail(zab, "a commit is not of the next transaction", effects);
        return false;
    }
    struct zab_effect *effect = zab_emit(effects, ZAB_COMMIT_TXN);
    effect->zxid = zxid;
    effect->after_write = zab_wait_for(zab, write_of(learning, zxid));
    effect->type = ZAB_COMMIT;
    learning->zxid_pending = zxid < learning->zxid_written ? zxid + 1 : 0;
    return true;
}

static void activate(int64_t zxid, int64_t designated_id, struct zab_effects *effects)
{
    struct zab_effect *committed = &effects->items[effects->count - 1];
    const uint64_t after_write = committed->after_write;
    committed->type = ZAB_COMMIT_AND_ACTIVATE;
    committed->value = designated_id;
    struct zab_effect *effect = zab_emit(effects, ZAB_ACTIVATE);
    effect->zxid = zxid;
    effect->value = designated_id;
    effect->after_write = after_write; /* As the commit's. */
}

/* The data of a packet that may begin with who should lead. */
static bool take_designation(struct slice *data, int64_t *designated_id)
{
    if (slice_is_null(*data) || data->size < designation_bytes)
        return false;
    *designated_id = load_i64(data->data);
    *data = slice_skip(*data, designation_bytes);
    return true;
}

static void on_proposal(struct zab *zab, const struct zab_event *event, struct zab_effects *effects)
{
    const int64_t zxid = event->packet.zxid;
    if (!is_in_snapshot(&zab->learning, zxid))
        (void)write_txn(zab, zxid, event->packet.data, effects);
}

static void on_commit(struct zab *zab, const struct zab_event *event, struct zab_effects *effects)
{
    const int64_t zxid = event->packet.zxid;
    const bool is_activating = event->packet.type == ZAB_COMMIT_AND_ACTIVATE;
    struct slice data = event->packet.data;
    int64_t designated_id = 0;
    if (is_activating && !take_designation(&data, &designated_id))
        fail(zab, "a COMMITANDACTIVATE does not say who leads", effects);
    else if (!is_in_snapshot(&zab->learning, zxid) && commit(zab, zxid, effects) && is_activating)
        activate(zxid, designated_id, effects);
}

static void on_inform(struct zab *zab, const struct zab_event *event, struct zab_effects *effects)
{
    const int64_t zxid = event->packet.zxid;
    const bool is_activating = event->packet.type == ZAB_INFORM_AND_ACTIVATE;
    struct slice data = event->packet.data;
    int64_t designated_id = 0;
    if (!zab->learning.is_observer)
        fail(zab, "an INFORM is for observers", effects);
    else if (is_activating && !take_designation(&data, &designated_id))
        fail(zab, "an INFORMANDACTIVATE does not say who leads", effects);
    else if (!is_in_snapshot(&zab->learning, zxid) && write_txn(zab, zxid, data, effects) &&
             commit(zab, zxid, effects) && is_activating)
        activate(zxid, designated_id, effects);
}

/* ---- NEWLEADER and UPTODATE ---- */

/* Zab, phase 2: the history is durable before the epoch is, and both are before it is said. What is
 * not committed yet is acknowledged behind that, one by one: the leader counts it like any other
 * proposal, and only from then on. */
static void on_new_leader(struct zab *zab, const struct zab_event *event,
                          struct zab_effects *effects)
{
    struct zab_learning *learning = &zab->learning;
    const int64_t epoch_start = zab_epoch_start(learning->epoch);
    if (event->packet.zxid != epoch_start) {
        fail(zab, "the leader's NEWLEADER is of another epoch", effects);
        return;
    }
    if (learning->zxid_pending != 0 && zab_epoch_of(learning->zxid_pending) != learning->epoch) {
        fail(zab, "a transaction of an old epoch is not committed", effects);
        return;
    }
    struct zab_effect *write = zab_emit_write(zab, effects, ZAB_WRITE_CURRENT_EPOCH);
    write->value = learning->epoch;
    learning->current_write = write->write_seq;
    zab_emit_send(effects, learning->link, ZAB_ACK, epoch_start)->after_write =
        learning->current_write;
    learning->zxid_acked =
        learning->zxid_pending != 0 ? learning->zxid_pending - 1 : learning->zxid_written;
    learning->zxid_acked = max_i64(learning->zxid_acked, epoch_start);
    learning->phase = ZAB_LEARNING_CONFIRMATION;
}

static void on_up_to_date(struct zab *zab, struct zab_effects *effects)
{
    struct zab_learning *learning = &zab->learning;
    const uint64_t after_write = zab_wait_for(zab, learning->current_write);
    zab_emit_send(effects, learning->link, ZAB_ACK, zab_epoch_start(learning->epoch))->after_write =
        after_write;
    struct zab_effect *effect = zab_emit(effects, ZAB_ESTABLISH);
    effect->value = learning->epoch;
    effect->after_write = after_write;
    zab_emit(effects, ZAB_SERVE)->after_write = after_write;
    learning->phase = ZAB_LEARNING_BROADCAST;
}

/* Acknowledges what is written, as far as there is room. */
static void acknowledge(struct zab *zab, struct zab_effects *effects)
{
    struct zab_learning *learning = &zab->learning;
    if (learning->phase < ZAB_LEARNING_CONFIRMATION || learning->is_observer)
        return;
    while (learning->zxid_acked < learning->zxid_written && effects->count < zab_effect_count_max) {
        const int64_t zxid = ++learning->zxid_acked;
        const uint64_t write_seq = max_u64(write_of(learning, zxid), learning->current_write);
        zab_emit_send(effects, learning->link, ZAB_ACK, zxid)->after_write =
            zab_wait_for(zab, write_seq);
    }
    effects->is_more = learning->zxid_acked < learning->zxid_written;
}

/* ---- packets ---- */

static void on_ping(struct zab *zab, const struct zab_event *event, struct zab_effects *effects)
{
    if (zab->learning.phase != ZAB_LEARNING_BROADCAST)
        return; /* Apache's leader expects nothing but its ACK until then. */
    struct zab_effect *effect = zab_emit(effects, ZAB_PING_BACK);
    effect->link = event->link;
    effect->type = ZAB_PING;
    effect->zxid = event->packet.zxid;
}

static void on_sync_packet(struct zab *zab, const struct zab_event *event,
                           struct zab_effects *effects)
{
    const bool is_confirming = zab->learning.phase == ZAB_LEARNING_CONFIRMATION;
    switch (event->packet.type) {
    case ZAB_PROPOSAL: on_proposal(zab, event, effects); break;
    case ZAB_COMMIT:
    case ZAB_COMMIT_AND_ACTIVATE: on_commit(zab, event, effects); break;
    case ZAB_INFORM:
    case ZAB_INFORM_AND_ACTIVATE: on_inform(zab, event, effects); break;
    case ZAB_PING: on_ping(zab, event, effects); break;
    case ZAB_NEW_LEADER:
        if (is_confirming)
            fail(zab, "NEWLEADER has come twice", effects);
        else
            on_new_leader(zab, event, effects);
        break;
    case ZAB_UP_TO_DATE:
        if (is_confirming)
            on_up_to_date(zab, effects);
        else
            fail(zab, "UPTODATE has come before NEWLEADER", effects);
        break;
    default: fail(zab, "a packet does not belong into synchronisation", effects); break;
    }
}

/* Observers pass over what is not committed: Apache's do. */
static void on_live_packet(struct zab *zab, const struct zab_event *event,
                           struct zab_effects *effects)
{
    const bool is_observer = zab->learning.is_observer;
    switch (event->packet.type) {
    case ZAB_PROPOSAL:
        if (!is_observer)
            on_proposal(zab, event, effects);
        break;
    case ZAB_COMMIT:
    case ZAB_COMMIT_AND_ACTIVATE:
        if (!is_observer)
            on_commit(zab, event, effects);
        break;
    case ZAB_INFORM:
    case ZAB_INFORM_AND_ACTIVATE: on_inform(zab, event, effects); break;
    case ZAB_PING: on_ping(zab, event, effects); break;
    default: fail(zab, "a packet does not belong into broadcast", effects); break;
    }
}

static void on_packet(struct zab *zab, const struct zab_event *event, struct zab_effects *effects)
{
    struct zab_learning *learning = &zab->learning;
    if (learning->link == 0 || event->link != learning->link)
        return;
    learning->heard_at_ms = event->now_ms;
    switch (learning->phase) {
    case ZAB_LEARNING_DIAL: break;
    case ZAB_LEARNING_DISCOVERY: on_leader_info(zab, event, effects); break;
    case ZAB_LEARNING_CHOICE: on_choice(zab, event, effects); break;
    case ZAB_LEARNING_SYNCHRONISATION:
    case ZAB_LEARNING_CONFIRMATION: on_sync_packet(zab, event, effects); break;
    case ZAB_LEARNING_BROADCAST: on_live_packet(zab, event, effects); break;
    }
}

/* ---- events ---- */

/* While the stream of a snapshot comes in, there are no packets. */
static void on_tick(struct zab *zab, uint64_t now_ms, struct zab_effects *effects)
{
    struct zab_learning *learning = &zab->learning;
    const uint64_t ticks = learning->phase == ZAB_LEARNING_BROADCAST ? zab->options.sync_ticks
                                                                     : zab->options.init_ticks;
    if (learning->snapshot_write > zab->write_durable)
        learning->heard_at_ms = now_ms;
    else if (now_ms - learning->heard_at_ms > ticks * zab->options.tick_ms)
        fail(zab, learning->link == 0 ? "the leader was not reached" : "the leader is silent",
             effects);
}

void zab_learning_start(struct zab *zab, const struct zab_event *event)
{
    zab->learning = (struct zab_learning){
        .phase = ZAB_LEARNING_DIAL,
        .leader_id = event->start.leader_id,
        .is_observer = event->start.is_observer,
        .heard_at_ms = event->now_ms,
        .zxid_snapshot = -1,
        .zxid_written = event->start.history.zxid_last,
    };
}

static void on_link_down(struct zab *zab, const struct zab_event *event,
                         struct zab_effects *effects)
{
    if (zab->learning.link == 0 || event->link != zab->learning.link)
        return;
    zab->learning.link = 0;
    fail(zab, "the link to the leader is lost", effects);
}

void zab_learning_on_event(struct zab *zab, const struct zab_event *event,
                           struct zab_effects *effects)
{
    assert(event->kind != ZAB_EVENT_PROPOSE && event->kind != ZAB_EVENT_COMMITTED &&
           event->kind != ZAB_EVENT_CONFIRM);
    switch (event->kind) {
    case ZAB_EVENT_LINK_UP: on_link_up(zab, event, effects); break;
    case ZAB_EVENT_RECEIVE: on_packet(zab, event, effects); break;
    case ZAB_EVENT_LINK_DOWN: on_link_down(zab, event, effects); break;
    case ZAB_EVENT_TICK: on_tick(zab, event->now_ms, effects); break;
    case ZAB_EVENT_LEAD:
    case ZAB_EVENT_LEARN:
    case ZAB_EVENT_FEED:
    case ZAB_EVENT_STOP:
    case ZAB_EVENT_WRITTEN:
    case ZAB_EVENT_SYNCED:
    case ZAB_EVENT_PROPOSE:
    case ZAB_EVENT_COMMITTED:
    case ZAB_EVENT_CONFIRM:
    case ZAB_EVENT_MORE: break;
    }
    if (zab->role == ZAB_ROLE_LEARNER)
        acknowledge(zab, effects);
}

void zab_learning_invariants(const struct zab *zab)
{
    const struct zab_learning *learning = &zab->learning;
    assert((learning->phase == ZAB_LEARNING_DIAL) == (learning->link == 0));
    if (learning->phase >= ZAB_LEARNING_CHOICE)
        assert(learning->epoch >= zab->history.accepted_epoch);
    if (learning->phase >= ZAB_LEARNING_CONFIRMATION) {
        assert(learning->current_write > 0);
        assert(learning->zxid_acked <=
               max_i64(learning->zxid_written, zab_epoch_start(learning->epoch)));
    }
    if (learning->zxid_pending != 0) {
        assert(learning->zxid_pending <= learning->zxid_written);
        assert(zab_epoch_of(learning->zxid_pending) == zab_epoch_of(learning->zxid_written));
        assert(learning->txn_write > 0);
    }
}
