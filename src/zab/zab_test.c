/* Each phase of both roles, packet by packet, and what each refuses. Lives of whole ensembles are
 * in sim/zab_cluster_test.c. */
#include "zab/zab.h"

#include "base/bytes.h"
#include "test/unit_test.h"

#define ZXID(epoch, counter) ((int64_t)(epoch) << 32 | (counter))

enum { tick_ms = 100, init_ticks = 10, sync_ticks = 5 };

static struct ensemble ensemble;
static struct zab zab;
static struct zab_effects effects;
static uint32_t at; /* The effect that is looked at next. */
static uint64_t now_ms;

/* ---- setting up ---- */

static void set_up(uint32_t voter_count)
{
    now_ms = 1000;
    ensemble_init(&ensemble);
    for (int64_t id = 1; id <= voter_count; id++) {
        const struct ensemble_member member = {
            .id = id, .is_voter = true, .group = -1, .weight = 1};
        assert_int_equal(ensemble_add(&ensemble, &member), ERR_OK);
    }
    zab_init(&zab,
             (struct zab_options){.self_id = 1,
                                  .tick_ms = tick_ms,
                                  .init_ticks = init_ticks,
                                  .sync_ticks = sync_ticks,
                                  .txn_count_max = ZAB_EPOCH_TXN_COUNT_MAX},
             &ensemble);
}

static void step(struct zab_event event)
{
    event.now_ms = now_ms;
    zab_step(&zab, &event, &effects);
    at = 0;
}

static void start(enum zab_event_kind kind, struct zab_history history)
{
    struct zab_event event = {.kind = kind};
    event.start.history = history;
    event.start.leader_id = 2;
    step(event);
}

static void link_up(uint64_t link)
{
    step((struct zab_event){.kind = ZAB_EVENT_LINK_UP, .link = link});
}

static void written(uint64_t write_seq)
{
    step((struct zab_event){.kind = ZAB_EVENT_WRITTEN, .write_seq = write_seq});
}

static void tick_after(uint64_t ms)
{
    now_ms += ms;
    step((struct zab_event){.kind = ZAB_EVENT_TICK});
}

static void synced(uint64_t link, int64_t zxid)
{
    step((struct zab_event){.kind = ZAB_EVENT_SYNCED, .link = link, .zxid = zxid});
}

static void propose(int64_t zxid)
{
    step((struct zab_event){.kind = ZAB_EVENT_PROPOSE, .zxid = zxid});
}

static void receive_data(uint64_t link, enum zab_packet_type type, int64_t zxid, struct slice data)
{
    struct zab_event event = {.kind = ZAB_EVENT_RECEIVE, .link = link};
    event.packet.type = (int32_t)type;
    event.packet.zxid = zxid;
    event.packet.has_data = !slice_is_null(data);
    event.packet.data = data;
    step(event);
}

static void receive(uint64_t link, enum zab_packet_type type, int64_t zxid)
{
    receive_data(link, type, zxid, SLICE_NULL);
}

static void receive_i32(uint64_t link, enum zab_packet_type type, int64_t zxid, int32_t value)
{
    uint8_t data[4];
    store_i32(data, value);
    receive_data(link, type, zxid, slice_of(data, sizeof data));
}

static void introduce_as(uint64_t link, enum zab_packet_type type, int64_t id, int64_t epoch)
{
    uint8_t data[20];
    store_i64(data, id);
    store_i32(data + 8, 0x10000);
    store_i64(data + 12, 0);
    link_up(link);
    receive_data(link, type, ZXID(epoch, 0), slice_of(data, sizeof data));
}

static void introduce(uint64_t link, int64_t id, int64_t epoch)
{
    introduce_as(link, ZAB_FOLLOWER_INFO, id, epoch);
}

/* ---- looking at effects ---- */

static const struct zab_effect *next(enum zab_effect_kind kind)
{
    assert_true(at < effects.count);
    assert_int_equal(effects.items[at].kind, kind);
    return &effects.items[at++];
}

static void none_left(void)
{
    assert_int_equal(at, effects.count);
    assert_false(effects.is_more);
}

static const struct zab_effect *sent(uint64_t link, enum zab_packet_type type, int64_t zxid,
                                     uint64_t after_write)
{
    const struct zab_effect *effect = next(ZAB_SEND);
    assert_int_equal(effect->link, link);
    assert_int_equal(effect->type, type);
    assert_int_equal(effect->zxid, zxid);
    assert_int_equal(effect->after_write, after_write);
    return effect;
}

static void sent_txn(uint64_t link, enum zab_packet_type type, int64_t zxid)
{
    const struct zab_effect *effect = next(ZAB_SEND_TXN);
    assert_int_equal(effect->link, link);
    assert_int_equal(effect->type, type);
    assert_int_equal(effect->zxid, zxid);
    assert_int_equal(effect->after_write, 0);
}

static void wrote(enum zab_effect_kind kind, uint64_t write_seq, int64_t number)
{
    const struct zab_effect *effect = next(kind);
    const bool is_epoch = kind == ZAB_WRITE_ACCEPTED_EPOCH || kind == ZAB_WRITE_CURRENT_EPOCH;
    assert_int_equal(effect->write_seq, write_seq);
    assert_int_equal(effect->after_write, 0);
    assert_int_equal(is_epoch ? effect->value : effect->zxid, number);
}

static void committed(int64_t zxid, uint64_t after_write)
{
    const struct zab_effect *effect = next(ZAB_COMMIT_TXN);
    assert_int_equal(effect->zxid, zxid);
    assert_int_equal(effect->after_write, after_write);
}

static void dropped(uint64_t link)
{
    assert_int_equal(next(ZAB_DROP)->link, link);
    none_left();
}

static void looks(void)
{
    while (effects.items[at].kind == ZAB_DROP)
        at++;
    assert_non_null(next(ZAB_LOOK)->reason);
    none_left();
    assert_int_equal(zab.role, ZAB_ROLE_NONE);
}

/* ---- the leader ---- */

static const struct zab_history old = {
    .accepted_epoch = 4, .current_epoch = 4, .zxid_last = ZXID(4, 9)};

/* Up to the point where server 2, link 12, is to be synced. The epoch is 6. */
static void lead_to_sync(void)
{
    set_up(3);
    start(ZAB_EVENT_LEAD, old);
    none_left();
    introduce(12, 2, 5);
    wrote(ZAB_WRITE_ACCEPTED_EPOCH, 1, 6);
    const struct zab_effect *info = sent(12, ZAB_LEADER_INFO, ZXID(6, 0), 1);
    assert_int_equal(info->payload_size, 4);
    assert_int_equal(load_i32(info->payload), 0x10000);
    none_left();
    written(1);
    none_left();
    receive_i32(12, ZAB_ACK_EPOCH, ZXID(4, 7), 4);
    wrote(ZAB_WRITE_CURRENT_EPOCH, 2, 6);
    const struct zab_effect *sync = next(ZAB_SYNC);
    assert_int_equal(sync->link, 12);
    assert_int_equal(sync->zxid, ZXID(4, 7));
    none_left();
}

static void establish(void)
{
    lead_to_sync();
    synced(12, ZXID(4, 9));
    assert_true(sent(12, ZAB_NEW_LEADER, ZXID(6, 0), 0)->has_config);
    none_left();
    written(2);
    none_left();
    receive(12, ZAB_ACK, ZXID(6, 0));
    assert_int_equal(next(ZAB_ESTABLISH)->value, 6);
    sent(12, ZAB_UP_TO_DATE, -1, 0);
    none_left();
}

/* Server 3, link 13, joins the established leader and lacks nothing but what is broadcast. */
static void join_until_synced(uint64_t link, enum zab_packet_type type, int64_t id)
{
    introduce_as(link, type, id, 4);
    (void)sent(link, ZAB_LEADER_INFO, ZXID(6, 0), 0);
    receive_i32(link, ZAB_ACK_EPOCH, ZXID(4, 9), 4);
    (void)next(ZAB_SYNC);
    none_left();
}

static void test_leader_needs_its_own_write(void **state)
{
    (void)state;
    lead_to_sync();
    synced(12, ZXID(4, 9));
    receive(12, ZAB_ACK, ZXID(6, 0));
    none_left(); /* Our own epoch is not on the disk yet. */
    written(2);
    assert_int_equal(next(ZAB_ESTABLISH)->value, 6);
    sent(12, ZAB_UP_TO_DATE, -1, 0);
    none_left();
}

static void test_leader_alone(void **state)
{
    (void)state;
    set_up(1);
    start(ZAB_EVENT_LEAD, old);
    wrote(ZAB_WRITE_ACCEPTED_EPOCH, 1, 5);
    none_left();
    written(1);
    wrote(ZAB_WRITE_CURRENT_EPOCH, 2, 5);
    written(2);
    assert_int_equal(next(ZAB_ESTABLISH)->value, 5);
    propose(ZXID(5, 1));
    wrote(ZAB_WRITE_TXN, 3, ZXID(5, 1));
    none_left();
    written(3);
    committed(ZXID(5, 1), 0);
    tick_after(10000);
    none_left();
}

static void test_leader_broadcasts(void **state)
{
    (void)state;
    establish();
    propose(ZXID(6, 1));
    wrote(ZAB_WRITE_TXN, 3, ZXID(6, 1));
    sent_txn(12, ZAB_PROPOSAL, ZXID(6, 1));
    propose(ZXID(6, 2));
    wrote(ZAB_WRITE_TXN, 4, ZXID(6, 2));
    sent_txn(12, ZAB_PROPOSAL, ZXID(6, 2));
    none_left();
    written(3);
    none_left();
    receive(12, ZAB_ACK, ZXID(6, 2)); /* And therefore 1. */
    committed(ZXID(6, 1), 0);
    sent(12, ZAB_COMMIT, ZXID(6, 1), 0);
    none_left();
    receive(12, ZAB_ACK, ZXID(6, 1));
    receive(12, ZAB_ACK, ZXID(6, 0));
    receive(12, ZAB_ACK, ZXID(4, 9));
    none_left();
    written(4);
    committed(ZXID(6, 2), 0);
    sent(12, ZAB_COMMIT, ZXID(6, 2), 0);
    receive(12, ZAB_ACK, ZXID(6, 3));
    dropped(12);
}

/* Two of three suffice; what we have not on disk ourselves is applied when we have. */
static void test_commit_without_own_disk(void **state)
{
    (void)state;
    establish();
    join_until_synced(13, ZAB_FOLLOWER_INFO, 3);
    synced(13, ZXID(4, 9));
    (void)sent(13, ZAB_NEW_LEADER, ZXID(6, 0), 0);
    receive(13, ZAB_ACK, ZXID(6, 0));
    sent(13, ZAB_UP_TO_DATE, -1, 0);
    propose(ZXID(6, 1));
    receive(12, ZAB_ACK, ZXID(6, 1));
    none_left();
    receive(13, ZAB_ACK, ZXID(6, 1));
    committed(ZXID(6, 1), 3);
    sent(12, ZAB_COMMIT, ZXID(6, 1), 0);
    sent(13, ZAB_COMMIT, ZXID(6, 1), 0);
    none_left();
}

/* What is proposed and committed while a learner is synced reaches it, before NEWLEADER. */
static void test_learner_catches_up(void **state)
{
    (void)state;
    establish();
    join_until_synced(13, ZAB_FOLLOWER_INFO, 3);
    join_until_synced(14, ZAB_OBSERVER_INFO, 9);
    propose(ZXID(6, 1));
    written(3);
    receive(12, ZAB_ACK, ZXID(6, 1));
    committed(ZXID(6, 1), 0);
    sent(12, ZAB_COMMIT, ZXID(6, 1), 0);
    none_left(); /* No COMMIT for those that have had no PROPOSAL. */
    propose(ZXID(6, 2));
    wrote(ZAB_WRITE_TXN, 4, ZXID(6, 2));
    sent_txn(12, ZAB_PROPOSAL, ZXID(6, 2));
    none_left();
    synced(13, ZXID(6, 1));
    sent_txn(13, ZAB_PROPOSAL, ZXID(6, 2));
    (void)sent(13, ZAB_NEW_LEADER, ZXID(6, 0), 0);
    none_left();
    synced(14, ZXID(4, 9)); /* Behind the last commit. */
    sent_txn(14, ZAB_INFORM, ZXID(6, 1));
    (void)sent(14, ZAB_NEW_LEADER, ZXID(6, 0), 0);
    none_left();
    receive(13, ZAB_ACK, ZXID(6, 2)); /* Early: it does not count yet. */
    written(4);
    receive(13, ZAB_ACK, ZXID(6, 0));
    committed(ZXID(6, 2), 0); /* Now it does. */
    sent(13, ZAB_UP_TO_DATE, -1, 0);
    sent(12, ZAB_COMMIT, ZXID(6, 2), 0);
    sent(13, ZAB_COMMIT, ZXID(6, 2), 0);
    sent_txn(14, ZAB_INFORM, ZXID(6, 2));
    none_left();
}

static void confirm(uint64_t ticket)
{
    step((struct zab_event){.kind = ZAB_EVENT_CONFIRM, .ticket = ticket});
}

static void confirmed(uint64_t ticket)
{
    assert_int_equal(next(ZAB_CONFIRMED)->value, ticket);
}

static void join_follower(uint64_t link, int64_t id)
{
    join_until_synced(link, ZAB_FOLLOWER_INFO, id);
    synced(link, ZXID(4, 9));
    (void)sent(link, ZAB_NEW_LEADER, ZXID(6, 0), 0);
    receive(link, ZAB_ACK, ZXID(6, 0));
}

static void test_leader_confirms_that_it_leads(void **state)
{
    (void)state;
    establish();
    confirm(5);
    sent(12, ZAB_PING, -2, 0);
    none_left();
    receive(12, ZAB_PING, ZXID(6, 0)); /* The answer to a PING of before. */
    receive(12, ZAB_PING, -1);
    receive(12, ZAB_PING, -3); /* It was never sent. */
    none_left();
    receive(12, ZAB_PING, -2);
    confirmed(5);
    none_left();
    receive(12, ZAB_PING, -2);
    none_left();
    confirm(6);
    sent(12, ZAB_PING, -3, 0);
    receive(12, ZAB_PING, -3);
    confirmed(6);
    none_left();
}

/* Its PINGs may have left before the question came. */
static void test_a_round_answers_no_later_question(void **state)
{
    (void)state;
    establish();
    confirm(1);
    sent(12, ZAB_PING, -2, 0);
    confirm(2);
    confirm(3);
    none_left();
    receive(12, ZAB_PING, -2);
    confirmed(1);
    sent(12, ZAB_PING, -3, 0);
    none_left();
    receive(12, ZAB_PING, -2);
    none_left();
    receive(12, ZAB_PING, -3);
    confirmed(3);
    none_left();
}

/* Nor do those count who have no vote, or are not up to date. */
static void test_only_a_quorum_confirms(void **state)
{
    (void)state;
    set_up(5);
    start(ZAB_EVENT_LEAD, old);
    introduce(12, 2, 5);
    introduce(13, 3, 5);
    written(1);
    receive_i32(12, ZAB_ACK_EPOCH, ZXID(4, 9), 4);
    receive_i32(13, ZAB_ACK_EPOCH, ZXID(4, 9), 4);
    written(2);
    synced(12, ZXID(4, 9));
    synced(13, ZXID(4, 9));
    receive(12, ZAB_ACK, ZXID(6, 0));
    receive(13, ZAB_ACK, ZXID(6, 0));
    join_until_synced(14, ZAB_OBSERVER_INFO, 9);
    synced(14, ZXID(4, 9));
    receive(14, ZAB_ACK, ZXID(6, 0));
    confirm(1);
    sent(12, ZAB_PING, -2, 0);
    sent(13, ZAB_PING, -2, 0);
    none_left();
    receive(14, ZAB_PING, -2);
    receive(12, ZAB_PING, -2);
    none_left();
    step((struct zab_event){.kind = ZAB_EVENT_LINK_DOWN, .link = 12});
    receive(13, ZAB_PING, -2);
    none_left(); /* It may follow another by now. */
    join_follower(15, 4);
    sent(15, ZAB_UP_TO_DATE, -1, 0);
    sent(15, ZAB_PING, -2, 0); /* The round goes on with whoever comes. */
    none_left();
    receive(15, ZAB_PING, -2);
    confirmed(1);
    none_left();
}

static void test_one_voter_confirms_by_itself(void **state)
{
    (void)state;
    set_up(1);
    start(ZAB_EVENT_LEAD, old);
    written(1);
    written(2);
    confirm(1);
    confirmed(1);
    none_left();
}

static void test_leader_refuses_whom_it_cannot_lead(void **state)
{
    (void)state;
    set_up(5);
    start(ZAB_EVENT_LEAD, old);
    introduce(12, 2, 4);
    introduce(13, 3, 4);
    written(1);
    receive_i32(12, ZAB_ACK_EPOCH, ZXID(4, 10), 4);
    dropped(12); /* It knows more in the same epoch. */
    receive_i32(13, ZAB_ACK_EPOCH, ZXID(3, 1), 5);
    dropped(13); /* It knows a later epoch. */
    introduce(14, 4, 6);
    dropped(14); /* It has accepted a later one than we have now. */
    introduce(15, 1, 0);
    dropped(15); /* It says that it is us. */
    link_up(16);
    receive(16, ZAB_ACK, ZXID(5, 0));
    dropped(16);
    link_up(17);
    receive_data(17, ZAB_FOLLOWER_INFO, 0, slice_of("1234567", 7));
    dropped(17);
}

/* It accepted an epoch of a leader that came to nothing, and could follow no other before that. */
static void test_leader_gives_way_to_a_later_epoch(void **state)
{
    (void)state;
    establish();
    introduce(13, 99, 8);
    dropped(13); /* It is no member. */
    none_left();
    introduce(13, 3, 8);
    looks();
    start(ZAB_EVENT_LEAD,
          (struct zab_history){.accepted_epoch = 6, .current_epoch = 6, .zxid_last = ZXID(4, 9)});
    none_left();
    introduce(14, 2, 6);
    assert_int_equal(next(ZAB_WRITE_ACCEPTED_EPOCH)->value, 9);
}

static void test_later_configuration_is_refused(void **state)
{
    (void)state;
    uint8_t data[20];
    set_up(3);
    start(ZAB_EVENT_LEAD, old);
    store_i64(data, 2);
    store_i32(data + 8, 0x10000);
    store_i64(data + 12, 1);
    link_up(12);
    receive_data(12, ZAB_FOLLOWER_INFO, 0, slice_of(data, sizeof data));
    dropped(12);
}

/* A quorum must have voted for the epoch: -1 is none, nor is an observer's word. */
static void test_votes_for_the_epoch(void **state)
{
    (void)state;
    set_up(3);
    start(ZAB_EVENT_LEAD, old);
    introduce_as(11, ZAB_OBSERVER_INFO, 7, 4);
    none_left();
    introduce(12, 2, 4);
    written(1);
    receive_i32(12, ZAB_ACK_EPOCH, ZXID(4, 7), -1);
    none_left();
    receive_i32(11, ZAB_ACK_EPOCH, ZXID(4, 7), 4);
    none_left();
    introduce(13, 3, 4);
    (void)sent(13, ZAB_LEADER_INFO, ZXID(5, 0), 0);
    receive_i32(13, ZAB_ACK_EPOCH, ZXID(4, 9), 4);
    wrote(ZAB_WRITE_CURRENT_EPOCH, 2, 5);
    (void)next(ZAB_SYNC);
    (void)next(ZAB_SYNC);
    (void)next(ZAB_SYNC);
    none_left();
}

static void test_leader_gives_up(void **state)
{
    (void)state;
    set_up(3);
    start(ZAB_EVENT_LEAD, old);
    tick_after(init_ticks * tick_ms);
    none_left();
    tick_after(1);
    looks();
    establish();
    step((struct zab_event){.kind = ZAB_EVENT_LINK_DOWN, .link = 12});
    none_left();
    tick_after(tick_ms);
    looks();
}

static void test_silent_and_slow_learners_are_dropped(void **state)
{
    (void)state;
    establish();
    for (uint32_t count = 0; count < 2 * sync_ticks; count++) {
        tick_after(tick_ms / 2);
        sent(12, ZAB_PING, ZXID(6, 0), 0);
        none_left();
    }
    tick_after(1);
    dropped(12);
    tick_after(tick_ms);
    looks();

    establish();
    propose(ZXID(6, 1));
    for (uint32_t count = 0; count < 2 * sync_ticks; count++) {
        tick_after(tick_ms / 2);
        sent(12, ZAB_PING, ZXID(6, 1), 0);
        none_left();
        receive_data(12, ZAB_PING, ZXID(6, 1), slice_of("sessions", 8));
        const struct zab_effect *touch = next(ZAB_TOUCH);
        assert_int_equal(touch->link, 12);
        assert_int_equal(touch->data.size, 8);
    }
    tick_after(1);
    assert_int_equal(next(ZAB_DROP)->link, 12);
}

static void test_server_that_comes_back_replaces_itself(void **state)
{
    (void)state;
    establish();
    introduce(13, 2, 6);
    assert_int_equal(next(ZAB_DROP)->link, 12);
    (void)sent(13, ZAB_LEADER_INFO, ZXID(6, 0), 0);
    none_left();
}

/* Old and new ensemble must both agree; whoever will not vote hands over. */
static void test_reconfiguration(void **state)
{
    (void)state;
    static struct ensemble later;
    establish();
    join_until_synced(13, ZAB_FOLLOWER_INFO, 3);
    synced(13, ZXID(4, 9));
    receive(13, ZAB_ACK, ZXID(6, 0));
    ensemble_init(&later);
    later.version = ZXID(6, 1);
    const struct ensemble_member member = {.id = 3, .is_voter = true, .group = -1, .weight = 1};
    assert_int_equal(ensemble_add(&later, &member), ERR_OK);
    zab_set_ensembles(&zab, &ensemble, &later);
    propose(ZXID(6, 1));
    written(3);
    receive(12, ZAB_ACK, ZXID(6, 1));
    none_left(); /* A quorum of the old ones, but of the new ones nobody. */
    confirm(1);
    sent(12, ZAB_PING, -2, 0);
    sent(13, ZAB_PING, -2, 0);
    receive(12, ZAB_PING, -2);
    none_left(); /* The same. */
    receive(13, ZAB_PING, -2);
    confirmed(1);
    none_left();
    receive(13, ZAB_ACK, ZXID(6, 1));
    committed(ZXID(6, 1), 0);
    const struct zab_effect *activate = next(ZAB_ACTIVATE);
    assert_int_equal(activate->zxid, ZXID(6, 1));
    assert_int_equal(activate->value, 3);
    const struct zab_effect *commit = sent(12, ZAB_COMMIT_AND_ACTIVATE, ZXID(6, 1), 0);
    assert_int_equal(load_i64(commit->payload), 3);
    (void)sent(13, ZAB_COMMIT_AND_ACTIVATE, ZXID(6, 1), 0);
    none_left();
}

/* More than fits into one step's effects comes in several. */
static void test_more(void **state)
{
    (void)state;
    const uint32_t count = zab_effect_count_max + 10;
    establish();
    for (uint32_t index = 1; index <= count; index++)
        propose(ZXID(6, index));
    receive(12, ZAB_ACK, ZXID(6, count));
    none_left();
    written(2 + count);
    assert_true(effects.is_more);
    committed(ZXID(6, count), 0);
    uint32_t commit_count = effects.count - 1;
    step((struct zab_event){.kind = ZAB_EVENT_MORE});
    commit_count += effects.count;
    assert_false(effects.is_more);
    assert_int_equal(commit_count, count);
    assert_int_equal(effects.items[effects.count - 1].zxid, ZXID(6, count));
}

static void test_counter_ends(void **state)
{
    (void)state;
    establish();
    assert_false(zab_must_roll(&zab));
    zab.leader.zxid_proposed = zab.leader.zxid_committed = ZXID(6, ZAB_EPOCH_TXN_COUNT_MAX - 1);
    assert_false(zab_must_roll(&zab));
    zab.leader.zxid_proposed = zab.leader.zxid_committed = ZXID(6, ZAB_EPOCH_TXN_COUNT_MAX);
    assert_true(zab_must_roll(&zab));
}

static void test_stop(void **state)
{
    (void)state;
    establish();
    step((struct zab_event){.kind = ZAB_EVENT_STOP});
    dropped(12);
    assert_int_equal(zab.role, ZAB_ROLE_NONE);
    link_up(13);
    dropped(13);
    receive(12, ZAB_ACK, ZXID(6, 1));
    none_left();
}

/* ---- the learner ---- */

static void learn(bool is_observer)
{
    set_up(3);
    struct zab_event event = {.kind = ZAB_EVENT_LEARN};
    event.start.history = old;
    event.start.leader_id = 2;
    event.start.is_observer = is_observer;
    step(event);
    none_left();
    link_up(21);
    const struct zab_effect *info =
        sent(21, is_observer ? ZAB_OBSERVER_INFO : ZAB_FOLLOWER_INFO, ZXID(4, 0), 0);
    assert_int_equal(info->payload_size, 20);
    assert_int_equal(load_i64(info->payload), 1);
    receive_i32(21, ZAB_LEADER_INFO, ZXID(6, 0), 0x10000);
    wrote(ZAB_WRITE_ACCEPTED_EPOCH, 1, 6);
    const struct zab_effect *ack = sent(21, ZAB_ACK_EPOCH, ZXID(4, 9), 1);
    assert_int_equal(load_i32(ack->payload), 4);
    none_left();
    written(1);
}

static void receive_txn(enum zab_packet_type type, int64_t zxid)
{
    receive_data(21, type, zxid, slice_of("transaction", 11));
}

static void learn_live(bool is_observer)
{
    learn(is_observer);
    receive(21, ZAB_DIFF, ZXID(4, 9));
    receive(21, ZAB_NEW_LEADER, ZXID(6, 0));
    written(2);
    receive(21, ZAB_UP_TO_DATE, -1);
    sent(21, ZAB_ACK, ZXID(6, 0), 0);
    assert_int_equal(next(ZAB_ESTABLISH)->value, 6);
    (void)next(ZAB_SERVE);
    none_left();
}

static void test_learner_epochs(void **state)
{
    (void)state;
    set_up(3);
    start(ZAB_EVENT_LEARN, old);
    link_up(21);
    receive_i32(21, ZAB_LEADER_INFO, ZXID(4, 0), 0x10000);
    assert_int_equal(load_i32(sent(21, ZAB_ACK_EPOCH, ZXID(4, 9), 0)->payload), -1);
    none_left();
    set_up(3);
    start(ZAB_EVENT_LEARN, old);
    link_up(21);
    receive_i32(21, ZAB_LEADER_INFO, ZXID(3, 0), 0x10000);
    looks();
}

/* History, then epoch, then the ACK; and what is not committed is acknowledged behind that. */
static void test_learner_order_on_disk(void **state)
{
    (void)state;
    learn(false);
    receive(21, ZAB_DIFF, ZXID(5, 1));
    none_left();
    receive_txn(ZAB_PROPOSAL, ZXID(5, 1));
    wrote(ZAB_WRITE_TXN, 2, ZXID(5, 1));
    none_left();
    receive(21, ZAB_COMMIT, ZXID(5, 1));
    committed(ZXID(5, 1), 2);
    receive_txn(ZAB_PROPOSAL, ZXID(6, 1));
    receive_txn(ZAB_PROPOSAL, ZXID(6, 2));
    receive(21, ZAB_PING, ZXID(6, 2));
    none_left(); /* The leader expects nothing but its ACK. */
    receive(21, ZAB_NEW_LEADER, ZXID(6, 0));
    wrote(ZAB_WRITE_CURRENT_EPOCH, 5, 6);
    sent(21, ZAB_ACK, ZXID(6, 0), 5);
    sent(21, ZAB_ACK, ZXID(6, 1), 5);
    sent(21, ZAB_ACK, ZXID(6, 2), 5);
    none_left();
    receive_txn(ZAB_PROPOSAL, ZXID(6, 3));
    wrote(ZAB_WRITE_TXN, 6, ZXID(6, 3));
    sent(21, ZAB_ACK, ZXID(6, 3), 6);
    none_left();
    receive(21, ZAB_COMMIT, ZXID(6, 1)); /* Of ZOOKEEPER-4394: proposed before NEWLEADER. */
    assert_int_equal(next(ZAB_COMMIT_TXN)->zxid, ZXID(6, 1));
    receive(21, ZAB_UP_TO_DATE, -1);
    sent(21, ZAB_ACK, ZXID(6, 0), 5);
    assert_int_equal(next(ZAB_ESTABLISH)->after_write, 5);
    assert_int_equal(next(ZAB_SERVE)->after_write, 5);
    written(6);
    receive(21, ZAB_COMMIT, ZXID(6, 2));
    committed(ZXID(6, 2), 0);
}

static void test_learner_truncates(void **state)
{
    (void)state;
    learn(false);
    receive(21, ZAB_TRUNC, ZXID(4, 5));
    wrote(ZAB_WRITE_TRUNCATE, 2, ZXID(4, 5));
    receive_txn(ZAB_PROPOSAL, ZXID(5, 1));
    wrote(ZAB_WRITE_TXN, 3, ZXID(5, 1));
    none_left();
    learn(false);
    receive(21, ZAB_TRUNC, ZXID(4, 10));
    looks();
}

/* The leader began to forward before it took the snapshot. */
static void test_learner_takes_a_snapshot(void **state)
{
    (void)state;
    learn(false);
    receive(21, ZAB_SNAP, ZXID(6, 2));
    wrote(ZAB_WRITE_SNAPSHOT, 2, ZXID(6, 2));
    tick_after(100 * init_ticks * tick_ms); /* It takes its time. */
    none_left();
    receive_txn(ZAB_PROPOSAL, ZXID(6, 1));
    receive(21, ZAB_COMMIT, ZXID(6, 1));
    receive_txn(ZAB_PROPOSAL, ZXID(6, 2));
    receive(21, ZAB_COMMIT, ZXID(6, 2));
    none_left();
    receive_txn(ZAB_PROPOSAL, ZXID(6, 3));
    wrote(ZAB_WRITE_TXN, 3, ZXID(6, 3));
    receive(21, ZAB_COMMIT, ZXID(6, 3));
    committed(ZXID(6, 3), 3);
    receive(21, ZAB_NEW_LEADER, ZXID(6, 0));
    wrote(ZAB_WRITE_CURRENT_EPOCH, 4, 6);
    sent(21, ZAB_ACK, ZXID(6, 0), 4);
    none_left();
}

static void test_learner_live(void **state)
{
    (void)state;
    learn_live(false);
    receive_txn(ZAB_PROPOSAL, ZXID(6, 1));
    wrote(ZAB_WRITE_TXN, 3, ZXID(6, 1));
    sent(21, ZAB_ACK, ZXID(6, 1), 3);
    none_left();
    receive(21, ZAB_PING, ZXID(6, 1));
    assert_int_equal(next(ZAB_PING_BACK)->zxid, ZXID(6, 1));
    uint8_t designated[8];
    store_i64(designated, 3);
    receive_data(21, ZAB_COMMIT_AND_ACTIVATE, ZXID(6, 1), slice_of(designated, 8));
    committed(ZXID(6, 1), 3);
    const struct zab_effect *activate = next(ZAB_ACTIVATE);
    assert_int_equal(activate->value, 3);
    assert_int_equal(activate->after_write, 3);
    none_left();
    tick_after(sync_ticks * tick_ms);
    none_left();
    tick_after(1);
    looks();
}

static void test_observer_live(void **state)
{
    (void)state;
    learn_live(true);
    receive_txn(ZAB_PROPOSAL, ZXID(6, 1));
    receive(21, ZAB_COMMIT, ZXID(6, 1));
    none_left();
    receive_txn(ZAB_INFORM, ZXID(6, 1));
    wrote(ZAB_WRITE_TXN, 3, ZXID(6, 1));
    committed(ZXID(6, 1), 3);
    none_left();
    receive_txn(ZAB_INFORM_AND_ACTIVATE, ZXID(6, 2));
    assert_int_equal(next(ZAB_WRITE_TXN)->data.size, 3);
    (void)next(ZAB_COMMIT_TXN);
    (void)next(ZAB_ACTIVATE);
    none_left();
}

/* What a leader must not send, in each phase. */
static void test_learner_refuses(void **state)
{
    (void)state;
    const struct {
        enum zab_packet_type type;
        int64_t zxid;
    } in_sync[] = {{ZAB_PROPOSAL, ZXID(4, 9)},
                   {ZAB_PROPOSAL, ZXID(4, 11)},
                   {ZAB_PROPOSAL, ZXID(5, 2)},
                   {ZAB_PROPOSAL, ZXID(7, 1)},
                   {ZAB_COMMIT, ZXID(4, 9)},
                   {ZAB_NEW_LEADER, ZXID(5, 0)},
                   {ZAB_UP_TO_DATE, -1},
                   {ZAB_DIFF, ZXID(4, 9)},
                   {ZAB_INFORM, ZXID(4, 10)},
                   {ZAB_LEADER_INFO, ZXID(6, 0)},
                   {ZAB_COMMIT_AND_ACTIVATE, ZXID(4, 10)}};
    for (size_t index = 0; index < ARRAY_COUNT(in_sync); index++) {
        learn(false);
        receive(21, ZAB_DIFF, ZXID(4, 9));
        receive_data(21, in_sync[index].type, in_sync[index].zxid, slice_of("four", 4));
        looks();
    }
    learn_live(false);
    receive_txn(ZAB_PROPOSAL, ZXID(5, 1));
    looks();
    learn_live(false);
    receive_txn(ZAB_PROPOSAL, ZXID(6, 2));
    looks();
    learn_live(false);
    receive(21, ZAB_PROPOSAL, ZXID(6, 1));
    looks();
    learn_live(false);
    receive_txn(ZAB_PROPOSAL, ZXID(6, 1));
    receive_txn(ZAB_PROPOSAL, ZXID(6, 2));
    receive(21, ZAB_COMMIT, ZXID(6, 2));
    looks();
    learn(false);
    receive_txn(ZAB_PROPOSAL, ZXID(4, 10));
    looks();
}

static void test_learner_gives_up(void **state)
{
    (void)state;
    set_up(3);
    start(ZAB_EVENT_LEARN, old);
    tick_after(init_ticks * tick_ms + 1);
    looks();
    learn(false);
    step((struct zab_event){.kind = ZAB_EVENT_LINK_DOWN, .link = 21});
    looks();
    learn(false);
    link_up(22);
    dropped(22);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leader_needs_its_own_write),
        cmocka_unit_test(test_leader_alone),
        cmocka_unit_test(test_leader_broadcasts),
        cmocka_unit_test(test_commit_without_own_disk),
        cmocka_unit_test(test_learner_catches_up),
        cmocka_unit_test(test_leader_confirms_that_it_leads),
        cmocka_unit_test(test_a_round_answers_no_later_question),
        cmocka_unit_test(test_only_a_quorum_confirms),
        cmocka_unit_test(test_one_voter_confirms_by_itself),
        cmocka_unit_test(test_leader_refuses_whom_it_cannot_lead),
        cmocka_unit_test(test_leader_gives_way_to_a_later_epoch),
        cmocka_unit_test(test_later_configuration_is_refused),
        cmocka_unit_test(test_votes_for_the_epoch),
        cmocka_unit_test(test_leader_gives_up),
        cmocka_unit_test(test_silent_and_slow_learners_are_dropped),
        cmocka_unit_test(test_server_that_comes_back_replaces_itself),
        cmocka_unit_test(test_reconfiguration),
        cmocka_unit_test(test_more),
        cmocka_unit_test(test_counter_ends),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_learner_epochs),
        cmocka_unit_test(test_learner_order_on_disk),
        cmocka_unit_test(test_learner_truncates),
        cmocka_unit_test(test_learner_takes_a_snapshot),
        cmocka_unit_test(test_learner_live),
        cmocka_unit_test(test_observer_live),
        cmocka_unit_test(test_learner_refuses),
        cmocka_unit_test(test_learner_gives_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
