#include "broker/replica_set.h"

#include "base/macros.h"
#include "base/prng.h"
#include "broker/error_code.h"
#include "test/unit_test.h"

#include <stdalign.h>
#include <string.h>

/* Broker 1 leads; 2 and 3 follow, unless a test says otherwise. */
struct rig {
    alignas(16) uint8_t memory[4096];
    alignas(16) uint8_t memory_before[4096];
    struct replica_set *set;
    struct replica_facts facts;
    bool is_dead[8];
};

static bool is_alive(const void *context, int32_t broker_id)
{
    const struct rig *rig = context;
    return !rig->is_dead[broker_id];
}

struct members {
    int32_t ids[8];
    uint32_t count;
};

#define MEMBERS(...)                                                                               \
    ((struct members){{__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)})

static struct partition_state state_of(const struct members *replicas, const struct members *isr,
                                       int32_t leader_epoch)
{
    return (struct partition_state){
        .leader = 1,
        .leader_epoch = leader_epoch,
        .partition_epoch = 10,
        .replicas = replicas->ids,
        .replica_count = replicas->count,
        .isr = isr->ids,
        .isr_count = isr->count,
    };
}

/* Leads anew, in an epoch that starts at the log end. */
static void lead(struct rig *rig, struct members replicas, struct members isr, int32_t leader_epoch)
{
    const struct partition_state state = state_of(&replicas, &isr, leader_epoch);
    const struct replica_set *before = NULL;
    assert_true(replica_set_bytes(&state) <= sizeof rig->memory);
    if (rig->set != NULL) {
        memcpy(rig->memory_before, rig->memory, sizeof rig->memory);
        before = (const struct replica_set *)(const void *)rig->memory_before;
    }
    rig->set = (struct replica_set *)(void *)rig->memory;
    replica_set_init(rig->set, &state,
                     (struct replica_set_start){.broker_id = 1,
                                                .log_end_offset = rig->facts.log_end_offset,
                                                .now_ms = rig->facts.now_ms,
                                                .before = before});
}

static void init(struct rig *rig, struct members isr)
{
    *rig = (struct rig){.facts = {.now_ms = 5000,
                                  .lag_ms_max = 100,
                                  .min_isr = 1,
                                  .log_end_offset = 50,
                                  .local_offset = 50,
                                  .high_watermark = 20,
                                  .is_alive = is_alive}};
    rig->facts.context = rig;
    lead(rig, MEMBERS(1, 2, 3), isr, 7);
}

static void grow(struct rig *rig, int64_t end)
{
    rig->facts.log_end_offset = end;
    rig->facts.local_offset = end;
}

static struct replica *replica(struct rig *rig, int32_t broker_id)
{
    struct replica *found = replica_set_find(rig->set, broker_id);
    assert_non_null(found);
    return found;
}

static bool fetch_as(struct rig *rig, int32_t broker_id, int64_t offset, int64_t broker_epoch)
{
    return replica_set_on_fetch(rig->set, replica(rig, broker_id),
                                (struct replica_fetch){.broker_epoch = broker_epoch,
                                                       .fetch_offset = offset,
                                                       .log_start_offset = 0},
                                &rig->facts);
}

static void fetch(struct rig *rig, int32_t broker_id, int64_t offset)
{
    assert_true(fetch_as(rig, broker_id, offset, -1));
}

static void expect_high_watermark(struct rig *rig, int64_t expected)
{
    rig->facts.high_watermark = replica_set_high_watermark(rig->set, &rig->facts);
    assert_int_equal(rig->facts.high_watermark, expected);
}

static void expect_proposal(const struct rig *rig, struct members expected)
{
    struct isr_member members[control_replica_count_max];
    const uint32_t count = replica_set_proposal(rig->set, 900, members);
    assert_int_equal(count, expected.count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(members[i].broker_id, expected.ids[i]);
        if (expected.ids[i] == 1)
            assert_int_equal(members[i].broker_epoch, 900);
    }
}

static struct replica_answer answer_of(const struct rig *rig, int16_t error_code,
                                       const struct members *isr)
{
    return (struct replica_answer){
        .change_number = rig->set->change_number,
        .change_leader_epoch = rig->set->leader_epoch,
        .error_code = error_code,
        .leader_epoch = rig->set->leader_epoch,
        .partition_epoch = rig->set->partition_epoch + 1,
        .isr = isr->ids,
        .isr_count = isr->count,
    };
}

static void answer(struct rig *rig, int16_t error_code, struct members isr,
                   enum replica_outcome outcome)
{
    const struct replica_answer given = answer_of(rig, error_code, &isr);
    assert_int_equal(replica_set_on_answer(rig->set, &given), outcome);
}

static bool can_join(struct rig *rig, int32_t broker_id)
{
    return replica_set_can_join(rig->set, replica(rig, broker_id), &rig->facts);
}

static bool is_in(struct rig *rig, int32_t broker_id)
{
    return replica(rig, broker_id)->isr_place >= 0;
}

/* ---- the high watermark ---- */

static void waits_for_all_in_sync(void **state)
{
    (void)state;
    struct rig rig;
    init(&rig, MEMBERS(1, 2, 3));
    expect_high_watermark(&rig, 20); /* Nobody has fetched yet. */
    fetch(&rig, 2, 50);
    expect_high_watermark(&rig, 20);
    fetch(&rig, 3, 40);
    expect_high_watermark(&rig, 40);
    fetch(&rig, 3, 50);
    expect_high_watermark(&rig, 50);
    rig.facts.log_end_offset = 60; /* The leader itself has not everything for certain. */
    rig.facts.local_offset = 55;
    fetch(&rig, 2, 60);
    fetch(&rig, 3, 60);
    expect_high_watermark(&rig, 55);
    rig.facts.local_offset = 60;
    expect_high_watermark(&rig, 60);
    fetch(&rig, 3, 30); /* It has lost something: the high watermark stays. */
    expect_high_watermark(&rig, 60);
}

static void does_not_move_below_min_isr(void **state)
{
    (void)state;
    struct rig rig;
    init(&rig, MEMBERS(1, 2));
    rig.facts.now_ms += 1000; /* 3 was never near. */
    rig.facts.min_isr = 3;
    fetch(&rig, 2, 50);
    expect_high_watermark(&rig, 20);
    assert_true(replica_set_is_under_min_isr(rig.set, 3));
    assert_false(replica_set_is_under_min_isr(rig.set, 2));
    rig.facts.min_isr = 2;
    expect_high_watermark(&rig, 50);
    /* No more can be asked for than there are replicas. */
    lead(&rig, MEMBERS(1, 2), MEMBERS(1, 2), 8);
    assert_int_equal(replica_set_min_isr(rig.set, 5), 2);
    assert_false(replica_set_is_under_min_isr(rig.set, 5));
    lead(&rig, MEMBERS(1), MEMBERS(1), 9);
    assert_false(replica_set_is_under_min_isr(rig.set, 5));
    rig.facts.min_isr = 5;
    grow(&rig, 70);
    expect_high_watermark(&rig, 70);
}

static void waits_for_one_about_to_join(void **state)
{
    (void)state;
    struct rig rig;
    init(&rig, MEMBERS(1, 2));
    fetch(&rig, 2, 50);
    fetch(&rig, 3, 30); /* Not near the leader, and never was. */
    expect_high_watermark(&rig, 50);
    grow(&rig, 60);
    fetch(&rig, 3, 55); /* It has what the leader had at its last fetch: caught up then. */
    fetch(&rig, 2, 60);
    expect_high_watermark(&rig, 55);
    rig.is_dead[3] = true; /* One that is gone will not join. */
    expect_high_watermark(&rig, 60);
    rig.is_dead[3] = false;
    grow(&rig, 70);
    fetch(&rig, 2, 70);
    rig.facts.now_ms += 100;
    expect_high_watermark(&rig, 60); /* 55, but it never goes back. */
    rig.facts.now_ms += 1;
    expect_high_watermark(&rig, 70);
}

static void counts_the_maximal_isr(void **state)
{
    (void)state;
    struct rig rig;
    init(&rig, MEMBERS(1, 2));
    fetch(&rig, 2, 50);
    fetch(&rig, 3, 50);
    replica_set_join(rig.set, replica(&rig, 3));
    rig.facts.now_ms += 1000;
    grow(&rig, 60);
    fetch(&rig, 2, 60);
    expect_high_watermark(&rig, 50); /* 3 may be a member by now. */
    rig.facts.min_isr = 3;
    assert_true(replica_set_is_under_min_isr(rig.set, 3)); /* But it may as well be none. */
    assert_false(replica_set_is_under_min_isr_after(rig.set, 3));
    fetch(&rig, 3, 60);
    expect_high_watermark(&rig, 50);
    answer(&rig, KAFKA_NONE, MEMBERS(1, 2, 3), REPLICA_OUTCOME_TAKEN);
    expect_high_watermark(&rig, 60);
    /* Who is to leave counts until it has left. */
    rig.facts.min_isr = 2;
    grow(&rig, 70);
    fetch(&rig, 2, 70);
    rig.facts.now_ms += 1000;
    fetch(&rig, 2, 70);
    assert_true(replica_set_shrink(rig.set, &rig.facts));
    expect_high_watermark(&rig, 60);
    assert_false(replica_set_is_under_min_isr_after(rig.set, 3));
    answer(&rig, KAFKA_NONE, MEMBERS(1, 2), REPLICA_OUTCOME_TAKEN);
    expect_high_watermark(&rig, 70);
    assert_true(replica_set_is_under_min_isr_after(rig.set, 3));
}

/* ---- joining ---- */

static void takes_in_who_has_caught_up(void **state)
{
    (void)state;
    struct rig rig;
    init(&rig, MEMBERS(2, 1));
    fetch(&rig, 2, 50);
    assert_false(can_join(&rig, 2)); /* It is in. */
    fetch(&rig, 3, 19);
    assert_false(can_join(&rig, 3)); /* Below the high watermark. */
    fetch(&rig, 3, 49);
    assert_false(can_join(&rig, 3)); /* Below the start of the epoch. */
    fetch(&rig, 3, 50);
    assert_true(can_join(&rig, 3));
    expect_high_watermark(&rig, 50);
    grow(&rig, 60);
    fetch(&rig, 2, 60);
    rig.is_dead[3] = true;
    expect_high_watermark(&rig, 60);
    rig.is_dead[3] = false;
    assert_false(can_join(&rig, 3)); /* At the start of the epoch, below the high watermark. */
    fetch(&rig, 3, 60);
    rig.is_dead[3] = true;
    assert_false(can_join(&rig, 3));
    rig.is_dead[3] = false;
    assert_true(can_join(&rig, 3));
    replica_set_join(rig.set, replica(&rig, 3));
    assert_false(can_join(&rig, 3)); /* One change at a time. */
    expect_proposal(&rig, MEMBERS(2, 1, 3));
    assert_false(is_in(&rig, 3));
    answer(&rig, KAFKA_NONE, MEMBERS(2, 1, 3), REPLICA_OUTCOME_TAKEN);
    assert_true(is_in(&rig, 3));
    assert_int_equal(rig.set->isr_count, 3);
    assert_int_equal(rig.set->partition_epoch, 11);
}

/* ---- leaving ---- */

static void lets_out_who_stays_behind(void **state)
{
    (void)state;
    struct rig rig;
    init(&rig, MEMBERS(3, 1, 2));
    assert_true(replica_set_is_lagging(rig.set, 50));
    rig.facts.now_ms += 100;
    assert_false(replica_set_shrink(rig.set, &rig.facts)); /* They have their time. */
    fetch(&rig, 2, 50);
    rig.facts.now_ms += 1;
    assert_true(replica_set_shrink(rig.set, &rig.facts)); /* 3 never came. */
    assert_false(replica_set_shrink(rig.set, &rig.facts));
    expect_proposal(&rig, MEMBERS(1, 2));
    answer(&rig, KAFKA_NONE, MEMBERS(1, 2), REPLICA_OUTCOME_TAKEN);
    assert_false(is_in(&rig, 3));
    assert_false(replica_set_is_lagging(rig.set, 50));
    /* One that has everything is in sync, however long it has been silent. */
    rig.facts.now_ms += 100000;
    assert_false(replica_set_shrink(rig.set, &rig.facts));
    grow(&rig, 51);
    assert_true(replica_set_is_lagging(rig.set, 51));
    assert_true(replica_set_shrink(rig.set, &rig.facts));
    expect_proposal(&rig, MEMBERS(1));
    answer(&rig, KAFKA_NONE, MEMBERS(1), REPLICA_OUTCOME_TAKEN);
    expect_high_watermark(&rig, 51);
}

/* One that is always a fetch behind a busy leader is in sync; one that falls back is not. */
static void knows_who_keeps_up(void **state)
{
    (void)state;
    struct rig rig;
    init(&rig, MEMBERS(1, 2));
    for (int64_t end = 60; end < 1000; end += 10) {
        rig.facts.now_ms += 60;
        fetch(&rig, 2, end - 10);
        grow(&rig, end);
        assert_false(replica_set_shrink(rig.set, &rig.facts));
    }
    rig.facts.now_ms += 1000; /* A long silence ends: it has all, so its time begins anew. */
    fetch(&rig, 2, 990);
    rig.facts.now_ms += 100;
    grow(&rig, 1000);
    assert_false(replica_set_shrink(rig.set, &rig.facts));
    fetch(&rig, 2, 1000);
    rig.facts.now_ms += 60;
    grow(&rig, 2000);
    fetch(&rig, 2, 1000);
    assert_false(replica_set_shrink(rig.set, &rig.facts)); /* It had all at the fetch before. */
    rig.facts.now_ms += 60;
    fetch(&rig, 2, 1010); /* Now it gets less than comes in. */
    assert_true(replica_set_shrink(rig.set, &rig.facts));
}

static void takes_silence_for_fetches(void **state)
{
    (void)state;
    struct rig rig;
    init(&rig, MEMBERS(1, 2, 3));
    fetch(&rig, 2, 50);
    fetch(&rig, 3, 49); /* Not all. */
    rig.facts.now_ms += 1000;
    replica_set_on_silence(rig.set, replica(&rig, 2), rig.facts.now_ms);
    replica_set_on_silence(rig.set, replica(&rig, 3), rig.facts.now_ms);
    grow(&rig, 60);
    rig.facts.now_ms += 100;
    assert_true(replica_set_shrink(rig.set, &rig.facts));
    expect_proposal(&rig, MEMBERS(1, 2));
    replica_set_on_silence(rig.set, replica(&rig, 2),
                           rig.facts.now_ms - 500); /* Time does not go back. */
    assert_int_equal(replica(&rig, 2)->caught_up_at_ms, rig.facts.now_ms - 100);
    assert_int_equal(replica(&rig, 2)->fetched_at_ms, rig.facts.now_ms - 100);
}

static void takes_silence_of_an_epoch_before_for_nothing(void **state)
{
    (void)state;
    struct rig rig;
    init(&rig, MEMBERS(1, 2, 3));
    fetch(&rig, 2, 50);
    fetch(&rig, 3, 50);
    rig.facts.now_ms += 10;
    lead(&rig, MEMBERS(1, 2, 3), MEMBERS(1, 2), 8);
    replica_set_on_silence(rig.set, replica(&rig, 3), rig.facts.now_ms);
    grow(&rig, 60);
    fetch(&rig, 2, 60);
    expect_high_watermark(&rig, 60);
}

/* ---- answers ---- */

static void follows_answers(void **state)
{
    (void)state;
    static const int16_t stuck[] = {
        KAFKA_UNKNOWN_TOPIC_OR_PARTITION, KAFKA_UNKNOWN_TOPIC_ID, KAFKA_INVALID_UPDATE_VERSION,
        KAFKA_FENCED_LEADER_EPOCH,        KAFKA_INVALID_REQUEST,  KAFKA_NEW_LEADER_ELECTED};
    static const int16_t undone[] = {KAFKA_OPERATION_NOT_ATTEMPTED, KAFKA_INELIGIBLE_REPLICA};
    static const int16_t again[] = {KAFKA_UNKNOWN_SERVER_ERROR, KAFKA_NOT_CONTROLLER, 30000};
    struct rig rig;
    init(&rig, MEMBERS(1, 2));
    fetch(&rig, 3, 50);
    replica_set_join(rig.set, replica(&rig, 3));
    for (size_t i = 0; i < ARRAY_COUNT(again); i++)
        answer(&rig, again[i], MEMBERS(0), REPLICA_OUTCOME_AGAIN);
    for (size_t i = 0; i < ARRAY_COUNT(stuck); i++) {
        answer(&rig, stuck[i], MEMBERS(0), REPLICA_OUTCOME_STUCK);
        assert_int_equal(rig.set->change, REPLICA_CHANGE_JOIN);
        expect_proposal(&rig, MEMBERS(1, 2, 3));
    }
    for (size_t i = 0; i < ARRAY_COUNT(undone); i++) {
        answer(&rig, undone[i], MEMBERS(0), REPLICA_OUTCOME_UNDONE);
        assert_int_equal(rig.set->change, REPLICA_CHANGE_NONE);
        assert_int_equal(rig.set->isr_count, 2);
        assert_true(can_join(&rig, 3));
        replica_set_join(rig.set, replica(&rig, 3));
    }
    /* The state as it is already, which the controller takes for an answer. */
    struct members all = MEMBERS(1, 2, 3);
    struct replica_answer same = answer_of(&rig, KAFKA_NONE, &all);
    same.partition_epoch = rig.set->partition_epoch;
    assert_int_equal(replica_set_on_answer(rig.set, &same), REPLICA_OUTCOME_TAKEN);
    /* The same once more: there is no change that it could be about. */
    assert_int_equal(replica_set_on_answer(rig.set, &same), REPLICA_OUTCOME_OLD);
}

static void ignores_old_answers(void **state)
{
    (void)state;
    struct rig rig;
    struct members two = MEMBERS(1, 2);
    struct members all = MEMBERS(1, 2, 3);
    init(&rig, two);
    fetch(&rig, 3, 50);
    replica_set_join(rig.set, replica(&rig, 3));
    const struct replica_answer first = answer_of(&rig, KAFKA_NONE, &all);
    struct replica_answer wrong = first;
    wrong.leader_epoch++;
    assert_int_equal(replica_set_on_answer(rig.set, &wrong), REPLICA_OUTCOME_OLD);
    wrong = first;
    wrong.partition_epoch = rig.set->partition_epoch - 1;
    assert_int_equal(replica_set_on_answer(rig.set, &wrong), REPLICA_OUTCOME_OLD);
    wrong = first;
    wrong.change_number--;
    assert_int_equal(replica_set_on_answer(rig.set, &wrong), REPLICA_OUTCOME_OLD);
    assert_int_equal(rig.set->change, REPLICA_CHANGE_JOIN);
    /* Another epoch has begun, with a change of the same number under way. */
    lead(&rig, MEMBERS(1, 2, 3), MEMBERS(1, 2), 8);
    assert_int_equal(rig.set->change, REPLICA_CHANGE_NONE);
    assert_int_equal(replica_set_on_answer(rig.set, &first), REPLICA_OUTCOME_OLD);
    replica_set_join(rig.set, replica(&rig, 3));
    assert_int_equal(rig.set->change_number, first.change_number);
    assert_int_equal(replica_set_on_answer(rig.set, &first), REPLICA_OUTCOME_OLD);
    wrong = first;
    wrong.error_code = KAFKA_INELIGIBLE_REPLICA;
    assert_int_equal(replica_set_on_answer(rig.set, &wrong), REPLICA_OUTCOME_OLD);
    assert_int_equal(rig.set->change, REPLICA_CHANGE_JOIN);
    assert_int_equal(rig.set->isr_count, 2);
}

/* ---- epochs and lives ---- */

static void begins_an_epoch(void **state)
{
    (void)state;
    struct rig rig;
    init(&rig, MEMBERS(1, 2));
    assert_int_equal(replica(&rig, 2)->fetch_offset, -1);
    assert_int_equal(rig.set->epoch_start_offset, 50);
    assert_true(fetch_as(&rig, 2, 50, 44));
    grow(&rig, 60);
    fetch(&rig, 3, 40);
    rig.facts.now_ms += 1000;
    /* Leads on: who has what is known, who is in sync has time again. */
    lead(&rig, MEMBERS(3, 2, 1, 4), MEMBERS(1, 2), 8);
    assert_int_equal(rig.set->epoch_start_offset, 60);
    assert_int_equal(rig.set->assigned_count, 4);
    assert_int_equal(replica(&rig, 2)->fetch_offset, 50);
    assert_int_equal(replica(&rig, 2)->broker_epoch, 44);
    assert_int_equal(replica(&rig, 2)->log_start_offset, 0);
    assert_int_equal(replica(&rig, 2)->caught_up_at_ms, rig.facts.now_ms);
    assert_int_equal(replica(&rig, 2)->leader_end_offset, 60);
    assert_int_equal(replica(&rig, 3)->fetch_offset, 40);
    assert_int_equal(replica(&rig, 3)->caught_up_at_ms, replica_never_ms);
    assert_int_equal(replica(&rig, 3)->fetched_at_ms, replica_never_ms);
    assert_int_equal(replica(&rig, 4)->fetch_offset, -1);
    assert_null(replica_set_find(rig.set, 5));
    assert_null(replica_set_find(rig.set, 1));
    /* A member of the ISR that is no replica does not hold anything up, and shall leave. */
    lead(&rig, MEMBERS(1, 2), MEMBERS(1, 2, 5), 9);
    assert_null(replica_set_find(rig.set, 5));
    assert_int_equal(rig.set->isr_count, 3);
    fetch(&rig, 2, 60);
    expect_high_watermark(&rig, 60);
    assert_true(replica_set_is_lagging(rig.set, 60));
    assert_true(replica_set_shrink(rig.set, &rig.facts));
    expect_proposal(&rig, MEMBERS(1, 2));
    lead(&rig, MEMBERS(1, 2), MEMBERS(1, 2), 10);
    assert_false(replica_set_is_lagging(rig.set, 60));
    lead(&rig, MEMBERS(1), MEMBERS(1, 2), 11); /* Even if it has everything. */
    assert_true(replica_set_is_lagging(rig.set, 60));
}

static void refuses_an_earlier_life(void **state)
{
    (void)state;
    struct rig rig;
    init(&rig, MEMBERS(1, 2));
    assert_true(fetch_as(&rig, 3, 30, 70));
    assert_false(fetch_as(&rig, 3, 50, 69));
    assert_int_equal(replica(&rig, 3)->fetch_offset, 30);
    assert_true(fetch_as(&rig, 3, 50, 71));
    struct isr_member members[control_replica_count_max];
    replica_set_join(rig.set, replica(&rig, 3));
    assert_int_equal(replica_set_proposal(rig.set, 900, members), 3);
    assert_int_equal(members[0].broker_epoch, 900);
    assert_int_equal(members[1].broker_epoch, -1);
    assert_int_equal(members[2].broker_epoch, 71);
}

static void knows_who_can_serve(void **state)
{
    (void)state;
    struct rig rig;
    init(&rig, MEMBERS(1, 2));
    assert_true(replica_set_on_fetch(
        rig.set, replica(&rig, 2),
        (struct replica_fetch){.broker_epoch = -1, .fetch_offset = 40, .log_start_offset = 10},
        &rig.facts));
    fetch(&rig, 3, 50);
    assert_true(replica_set_can_serve(replica(&rig, 2), 10));
    assert_true(replica_set_can_serve(replica(&rig, 2), 40));
    assert_false(replica_set_can_serve(replica(&rig, 2), 9));
    assert_false(replica_set_can_serve(replica(&rig, 2), 41));
    assert_false(replica_set_can_serve(replica(&rig, 3), 20)); /* Not in sync. */
}

/* ---- anything, in any order ---- */

/* A controller that answers late or not at all, and followers that lose what they had. Whatever
 * happens, everything below the high watermark is with every member of the ISR that the controller
 * has written, so that each of them may lead. */
struct world {
    struct rig rig;
    struct prng prng;
    int64_t durable[8]; /* What a follower has; it says so in its fetches. */
    struct members isr; /* The controller's. */
    int32_t partition_epoch;
    bool is_asked;
    struct members asked;
    struct replica_answer proposal;
};

static void propose(struct world *world)
{
    struct isr_member members[control_replica_count_max];
    world->asked.count = replica_set_proposal(world->rig.set, 1, members);
    for (uint32_t i = 0; i < world->asked.count; i++)
        world->asked.ids[i] = members[i].broker_id;
    world->proposal = answer_of(&world->rig, KAFKA_NONE, &world->asked);
    world->is_asked = true;
}

static bool has_dead(const struct world *world, const struct members *members)
{
    for (uint32_t i = 0; i < members->count; i++)
        if (world->rig.is_dead[members->ids[i]])
            return true;
    return false;
}

/* What the controller does with the proposal; the leader may not hear of it and ask again. */
static void decide(struct world *world)
{
    struct replica_answer *given = &world->proposal;
    if (!world->is_asked)
        return;
    const bool is_same = memcmp(&world->isr, &world->asked, sizeof world->isr) == 0;
    given->error_code = KAFKA_NONE;
    if (!is_same && has_dead(world, &world->asked))
        given->error_code = KAFKA_INELIGIBLE_REPLICA;
    else if (!is_same)
        world->partition_epoch++;
    if (given->error_code == KAFKA_NONE)
        world->isr = world->asked;
    given->partition_epoch = world->partition_epoch;
    if (prng_below(&world->prng, 3) == 0)
        return; /* The answer is lost. */
    const enum replica_outcome outcome = replica_set_on_answer(world->rig.set, given);
    assert_int_equal(outcome, given->error_code == KAFKA_NONE ? REPLICA_OUTCOME_TAKEN
                                                              : REPLICA_OUTCOME_UNDONE);
    world->is_asked = false;
}

static void fetch_some(struct world *world, int32_t broker_id)
{
    struct rig *rig = &world->rig;
    int64_t *durable = &world->durable[broker_id];
    struct replica *follower = replica(rig, broker_id);
    if (rig->is_dead[broker_id])
        return;
    /* One that restarts and has lost something is out of the ISR, or has lost nothing below the
     * high watermark: it was durable. */
    if (prng_below(&world->prng, 30) == 0)
        *durable = min_i64(*durable, rig->facts.high_watermark);
    fetch(rig, broker_id, *durable);
    if (replica_set_can_join(rig->set, follower, &rig->facts)) {
        replica_set_join(rig->set, follower);
        propose(world);
    }
    *durable +=
        (int64_t)prng_below(&world->prng, (uint64_t)(rig->facts.log_end_offset - *durable) + 1);
}

static void check_safety(const struct world *world)
{
    for (uint32_t i = 0; i < world->isr.count; i++) {
        const int32_t id = world->isr.ids[i];
        assert_true(id == 1 || world->durable[id] >= world->rig.facts.high_watermark);
    }
}

static void step(struct world *world)
{
    struct rig *rig = &world->rig;
    struct replica_facts *facts = &rig->facts;
    const int32_t follower = 2 + (int32_t)prng_below(&world->prng, 3);
    switch (prng_below(&world->prng, 8)) {
    case 0: facts->log_end_offset += (int64_t)prng_below(&world->prng, 10); break;
    case 1:
        facts->local_offset += (int64_t)prng_below(
            &world->prng, (uint64_t)(facts->log_end_offset - facts->local_offset) + 1);
        break;
    case 2: facts->now_ms += (int64_t)prng_below(&world->prng, 80); break;
    case 3:
        if (replica_set_shrink(rig->set, facts))
            propose(world);
        break;
    case 4: decide(world); break;
    case 5: rig->is_dead[follower] = prng_below(&world->prng, 4) == 0; break;
    default: fetch_some(world, follower); break;
    }
    const int64_t before = facts->high_watermark;
    facts->high_watermark = replica_set_high_watermark(rig->set, facts);
    assert_true(facts->high_watermark >= before);
    assert_true(facts->high_watermark <= facts->local_offset);
    check_safety(world);
}

static void is_safe_whatever_happens(void **state)
{
    (void)state;
    uint32_t moved = 0;
    uint32_t changed = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct world world = {.isr = MEMBERS(1, 2, 3, 4), .partition_epoch = 10};
        prng_init(&world.prng, seed);
        init(&world.rig, MEMBERS(1, 2, 3));
        world.rig.facts.high_watermark = 0;
        world.rig.facts.min_isr = 1 + (int64_t)prng_below(&world.prng, 3);
        world.rig.set = NULL;
        lead(&world.rig, MEMBERS(1, 2, 3, 4), MEMBERS(1, 2, 3, 4), 7);
        for (int i = 0; i < 1500; i++)
            step(&world);
        moved += world.rig.facts.high_watermark > 200;
        changed += world.partition_epoch > 20;
    }
    assert_true(moved > 200 && changed > 200); /* It went somewhere. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_for_all_in_sync),
        cmocka_unit_test(does_not_move_below_min_isr),
        cmocka_unit_test(waits_for_one_about_to_join),
        cmocka_unit_test(counts_the_maximal_isr),
        cmocka_unit_test(takes_in_who_has_caught_up),
        cmocka_unit_test(lets_out_who_stays_behind),
        cmocka_unit_test(knows_who_keeps_up),
        cmocka_unit_test(takes_silence_for_fetches),
        cmocka_unit_test(takes_silence_of_an_epoch_before_for_nothing),
        cmocka_unit_test(follows_answers),
        cmocka_unit_test(ignores_old_answers),
        cmocka_unit_test(begins_an_epoch),
        cmocka_unit_test(refuses_an_earlier_life),
        cmocka_unit_test(knows_who_can_serve),
        cmocka_unit_test(is_safe_whatever_happens),
    };
    return cmocka_run_group_tests_name("replica_set", tests, NULL, NULL);
}
