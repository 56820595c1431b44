/* A follower that feeds observers, packet by packet. */
#include "zab/zab.h"

#include "base/bytes.h"
#include "test/unit_test.h"

#define ZXID(epoch, counter) ((int64_t)(epoch) << 32 | (counter))

enum { tick_ms = 100, init_ticks = 10, sync_ticks = 5, link = 7 };

static struct ensemble ensemble;
static struct zab zab;
static struct zab_effects effects;
static uint32_t at; /* The effect that is looked at next. */
static uint64_t now_ms;

static void step(struct zab_event event)
{
    event.now_ms = now_ms;
    zab_step(&zab, &event, &effects);
    at = 0;
}

static int set_up(void **state)
{
    (void)state;
    now_ms = 1000;
    ensemble_init(&ensemble);
    for (int64_t id = 1; id <= 3; id++) {
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
    step(
        (struct zab_event){.kind = ZAB_EVENT_FEED,
                           .start = {.history = {4, 4, ZXID(4, 2)}, .zxid_committed = ZXID(4, 2)}});
    assert_int_equal(effects.count, 0);
    return 0;
}

static void receive(enum zab_packet_type type, int64_t zxid, struct slice data)
{
    step((struct zab_event){
        .kind = ZAB_EVENT_RECEIVE,
        .link = link,
        .packet = {
            .type = (int32_t)type, .zxid = zxid, .has_data = !slice_is_null(data), .data = data}});
}

static void introduce(enum zab_packet_type type, int64_t epoch)
{
    uint8_t data[20] = {0};
    store_i64(data, 9);
    store_i32(data + 8, 0x10000);
    step((struct zab_event){.kind = ZAB_EVENT_LINK_UP, .link = link});
    receive(type, ZXID(epoch, 0), slice_of(data, sizeof data));
}

static void commit(int64_t zxid, bool is_activating)
{
    step((struct zab_event){.kind = ZAB_EVENT_COMMITTED,
                            .commit = {zxid, is_activating, is_activating ? 3 : 0}});
}

static const struct zab_effect *next(enum zab_effect_kind kind)
{
    assert_true(at < effects.count);
    assert_int_equal(effects.items[at].kind, kind);
    assert_int_equal(effects.items[at].after_write, 0);
    return &effects.items[at++];
}

static const struct zab_effect *sent(enum zab_effect_kind kind, enum zab_packet_type type,
                                     int64_t zxid)
{
    const struct zab_effect *effect = next(kind);
    assert_int_equal(effect->link, link);
    assert_int_equal(effect->type, type);
    assert_int_equal(effect->zxid, zxid);
    return effect;
}

static void none_left(void)
{
    assert_int_equal(at, effects.count);
    assert_false(effects.is_more);
}

/* As far as the observer's answer to NEWLEADER, which it has not given. */
static void bring_in_step(int64_t zxid_synced)
{
    uint8_t epoch[4] = {0, 0, 0, 4};
    introduce(ZAB_OBSERVER_INFO, 3);
    (void)sent(ZAB_SEND, ZAB_LEADER_INFO, ZXID(4, 0));
    none_left();
    receive(ZAB_ACK_EPOCH, ZXID(3, 1), slice_of(epoch, sizeof epoch));
    assert_int_equal(next(ZAB_SYNC)->zxid, ZXID(3, 1));
    none_left();
    step((struct zab_event){.kind = ZAB_EVENT_SYNCED, .link = link, .zxid = zxid_synced});
}

static void an_observer_is_fed(void **state)
{
    (void)state;
    bring_in_step(ZXID(4, 2));
    assert_true(sent(ZAB_SEND, ZAB_NEW_LEADER, ZXID(4, 0))->has_config);
    none_left();
    commit(ZXID(4, 3), false);
    (void)sent(ZAB_SEND_TXN, ZAB_INFORM, ZXID(4, 3));
    none_left();
    receive(ZAB_ACK, ZXID(4, 0), SLICE_NULL);
    (void)sent(ZAB_SEND, ZAB_UP_TO_DATE, -1);
    none_left();
    receive(ZAB_ACK, ZXID(4, 0), SLICE_NULL); /* Of UPTODATE. */
    none_left();
    commit(ZXID(4, 4), true);
    const struct zab_effect *effect = sent(ZAB_SEND_TXN, ZAB_INFORM_AND_ACTIVATE, ZXID(4, 4));
    assert_int_equal(load_i64(effect->payload), 3);
    none_left();
    commit(ZXID(4, 5), false);
    (void)sent(ZAB_SEND_TXN, ZAB_INFORM, ZXID(4, 5));
    none_left();
    receive(ZAB_PING, 0, SLICE_LITERAL("012345678901"));
    assert_int_equal(next(ZAB_TOUCH)->data.size, 12);
    none_left();
}

/* What is committed and not yet applied where it was brought in step from. */
static void what_is_on_its_way_follows(void **state)
{
    (void)state;
    commit(ZXID(4, 3), false);
    commit(ZXID(4, 4), false);
    none_left();
    bring_in_step(ZXID(4, 2));
    (void)sent(ZAB_SEND_TXN, ZAB_INFORM, ZXID(4, 3));
    (void)sent(ZAB_SEND_TXN, ZAB_INFORM, ZXID(4, 4));
    (void)sent(ZAB_SEND, ZAB_NEW_LEADER, ZXID(4, 0));
    none_left();
}

static void only_observers_are_fed(void **state)
{
    (void)state;
    introduce(ZAB_FOLLOWER_INFO, 4);
    (void)next(ZAB_DROP);
    none_left();
    introduce(ZAB_OBSERVER_INFO, 5); /* It has followed a later leader. */
    (void)next(ZAB_DROP);
    none_left();
    assert_int_equal(zab.role, ZAB_ROLE_LEADER); /* And that is no reason to end it. */
}

/* Who leads counts the quorum; whoever feeds goes on for as long as it follows. */
static void it_needs_no_quorum(void **state)
{
    (void)state;
    bring_in_step(ZXID(4, 2));
    receive(ZAB_ACK, ZXID(4, 0), SLICE_NULL);
    for (int ticks = 0; ticks < 4; ticks++) {
        now_ms += tick_ms;
        step((struct zab_event){.kind = ZAB_EVENT_TICK});
        (void)sent(ZAB_SEND, ZAB_PING, ZXID(4, 2));
        none_left();
    }
    now_ms += (sync_ticks + 1) * tick_ms;
    step((struct zab_event){.kind = ZAB_EVENT_TICK});
    (void)next(ZAB_DROP); /* It is silent. */
    none_left();
    for (int ticks = 0; ticks < 100; ticks++) {
        now_ms += tick_ms;
        step((struct zab_event){.kind = ZAB_EVENT_TICK});
        none_left();
    }
    assert_int_equal(zab.role, ZAB_ROLE_LEADER);
    step((struct zab_event){.kind = ZAB_EVENT_STOP});
    assert_int_equal(zab.role, ZAB_ROLE_NONE);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_observer_is_fed),
        TEST(what_is_on_its_way_follows),
        TEST(only_observers_are_fed),
        TEST(it_needs_no_quorum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
