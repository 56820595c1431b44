#include "zab/ensemble.h"

#include "base/prng.h"
#include "test/unit_test.h"

static struct ensemble_member voter(int64_t id)
{
    return (struct ensemble_member){.id = id, .is_voter = true, .group = -1, .weight = 1};
}

static struct ensemble majority_of(int64_t count)
{
    struct ensemble ensemble;
    ensemble_init(&ensemble);
    for (int64_t id = 1; id <= count; id++) {
        const struct ensemble_member member = voter(id);
        assert_int_equal(ensemble_add(&ensemble, &member), ERR_OK);
    }
    return ensemble;
}

static bool is_quorum(const struct ensemble *ensemble, const int64_t *ids, size_t count)
{
    struct ensemble_set set = {0};
    for (size_t index = 0; index < count; index++)
        ensemble_set_add(ensemble, &set, ids[index]);
    return ensemble_is_quorum(ensemble, set);
}

#define IS_QUORUM(ensemble, ...)                                                                   \
    is_quorum(&(ensemble), (const int64_t[]){__VA_ARGS__},                                         \
              ARRAY_COUNT(((const int64_t[]){__VA_ARGS__})))

static void more_than_half_of_the_voters_decide(void **state)
{
    (void)state;
    struct ensemble five = majority_of(5);
    assert_false(IS_QUORUM(five, 1, 2));
    assert_false(IS_QUORUM(five, 1, 2, 2, 9));
    assert_true(IS_QUORUM(five, 5, 1, 3));
    const struct ensemble four = majority_of(4);
    assert_false(IS_QUORUM(four, 1, 2));
    assert_true(IS_QUORUM(four, 1, 2, 3));
    const struct ensemble one = majority_of(1);
    assert_true(IS_QUORUM(one, 1));
    const struct ensemble none = majority_of(0);
    assert_false(ensemble_is_quorum(&none, (struct ensemble_set){0}));
}

static void observers_do_not_count(void **state)
{
    (void)state;
    struct ensemble ensemble = majority_of(3);
    struct ensemble_member observer = voter(4);
    observer.is_voter = false;
    assert_int_equal(ensemble_add(&ensemble, &observer), ERR_OK);
    assert_false(IS_QUORUM(ensemble, 1, 4));
    assert_true(IS_QUORUM(ensemble, 1, 2));
    struct ensemble_set set = {0};
    ensemble_set_add(&ensemble, &set, 4);
    assert_false(ensemble_set_has(&ensemble, set, 4));
    ensemble_set_add(&ensemble, &set, 2);
    assert_true(ensemble_set_has(&ensemble, set, 2));
    assert_false(ensemble_is_voter(&ensemble, 4));
    assert_false(ensemble_is_voter(&ensemble, 5));
}

static void groups_decide_by_weight(void **state)
{
    (void)state;
    struct ensemble ensemble;
    ensemble_init(&ensemble);
    for (int64_t id = 1; id <= 9; id++) {
        struct ensemble_member member = voter(id);
        member.group = (id - 1) / 3;
        assert_int_equal(ensemble_add(&ensemble, &member), ERR_OK);
    }
    assert_true(IS_QUORUM(ensemble, 1, 2, 4, 5));
    assert_false(IS_QUORUM(ensemble, 1, 2, 3, 4, 7));
    ensemble.members[0].weight = 5; /* Group 0 weighs 7: member 1 alone wins it. */
    assert_true(IS_QUORUM(ensemble, 1, 4, 5));
    assert_false(IS_QUORUM(ensemble, 2, 3, 4, 5));
    for (uint32_t index = 6; index < 9; index++)
        ensemble.members[index].weight = 0; /* A group without weight is no group: two are left. */
    assert_false(IS_QUORUM(ensemble, 1, 7, 8, 9));
    assert_true(IS_QUORUM(ensemble, 1, 4, 5));
    assert_int_equal(ensemble_weight(&ensemble, 7), 0);
    assert_int_equal(ensemble_weight(&ensemble, 1), 5);
}

static void there_is_room_for_so_many_and_one_of_each_id(void **state)
{
    (void)state;
    struct ensemble ensemble = majority_of(ensemble_member_count_max);
    struct ensemble_member member = voter(7);
    assert_int_equal(ensemble_add(&ensemble, &member), ERR_EXISTS);
    member.id = 1000;
    assert_int_equal(ensemble_add(&ensemble, &member), ERR_LIMIT);
    struct ensemble_set all = {0};
    for (int64_t id = 1; id <= ensemble_member_count_max; id++)
        ensemble_set_add(&ensemble, &all, id);
    assert_true(ensemble_is_quorum(&ensemble, all));
}

/* What makes them quorums at all: any two have a member in common. */
static void any_two_quorums_meet(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    for (int round = 0; round < 20000; round++) {
        struct ensemble ensemble;
        ensemble_init(&ensemble);
        const int64_t count = (int64_t)prng_between(&prng, 1, 7);
        const uint64_t group_count = prng_below(&prng, 4);
        for (int64_t id = 1; id <= count; id++) {
            struct ensemble_member member = voter(id);
            if (group_count > 0) {
                member.group = (int64_t)prng_below(&prng, group_count);
                member.weight = (int64_t)prng_below(&prng, 4);
            }
            assert_int_equal(ensemble_add(&ensemble, &member), ERR_OK);
        }
        const uint64_t all = (UINT64_C(1) << count) - 1;
        const struct ensemble_set a = {prng_next(&prng) & all};
        const struct ensemble_set b = {all & ~a.bits};
        assert_false(ensemble_is_quorum(&ensemble, a) && ensemble_is_quorum(&ensemble, b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_than_half_of_the_voters_decide),
        cmocka_unit_test(observers_do_not_count),
        cmocka_unit_test(groups_decide_by_weight),
        cmocka_unit_test(there_is_room_for_so_many_and_one_of_each_id),
        cmocka_unit_test(any_two_quorums_meet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
