#include "broker/replica_assignment.h"

#include "base/prng.h"
#include "test/unit_test.h"

static void one_broker_holds_everything(void **state)
{
    (void)state;
    struct replica_assignment_broker brokers[] = {{.id = 7}};
    int32_t replicas[3];
    assert_int_equal(replica_assignment_make(brokers, 1,
                                             (struct replica_assignment_options){
                                                 .partition_count = 3,
                                                 .replication_factor = 1,
                                                 .start_index = 5,
                                             },
                                             replicas),
                     ERR_OK);
    for (size_t index = 0; index < ARRAY_COUNT(replicas); index++)
        assert_int_equal(replicas[index], 7);
}

static void leaders_go_round_and_followers_shift(void **state)
{
    (void)state;
    struct replica_assignment_broker brokers[] = {
        {.id = 4}, {.id = 0}, {.id = 2}, {.id = 1}, {.id = 3}};
    const int32_t expected[10][3] = {
        {0, 1, 2}, {1, 2, 3}, {2, 3, 4}, {3, 4, 0}, {4, 0, 1},
        {0, 2, 3}, {1, 3, 4}, {2, 4, 0}, {3, 0, 1}, {4, 1, 2},
    };
    int32_t replicas[10][3];
    assert_int_equal(replica_assignment_make(brokers, 5,
                                             (struct replica_assignment_options){
                                                 .partition_count = 10,
                                                 .replication_factor = 3,
                                             },
                                             &replicas[0][0]),
                     ERR_OK);
    assert_memory_equal(replicas, expected, sizeof expected);
}

static void racks_alternate(void **state)
{
    (void)state;
    struct replica_assignment_broker brokers[] = {
        {0, SLICE_LITERAL("a")}, {1, SLICE_LITERAL("b")}, {2, SLICE_LITERAL("c")},
        {3, SLICE_LITERAL("a")}, {4, SLICE_LITERAL("b")}, {5, SLICE_LITERAL("c")},
    };
    int32_t replicas[12][3];
    assert_int_equal(replica_assignment_make(brokers, 6,
                                             (struct replica_assignment_options){
                                                 .partition_count = 12,
                                                 .replication_factor = 3,
                                                 .start_index = 1,
                                             },
                                             &replicas[0][0]),
                     ERR_OK);
    for (size_t index = 0; index < ARRAY_COUNT(replicas); index++) {
        uint32_t racks = 0;
        for (size_t replica = 0; replica < 3; replica++)
            racks |= 1u << replicas[index][replica] % 3;
        assert_int_equal(racks, 7);
    }
}

static void replicas_of_a_partition_differ_and_load_is_even(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 3);
    for (int round = 0; round < 200; round++) {
        struct replica_assignment_broker brokers[9];
        const uint32_t broker_count = (uint32_t)prng_between(&prng, 1, 9);
        const uint32_t factor = (uint32_t)prng_between(&prng, 1, broker_count);
        const bool racks = prng_chance(&prng, 1, 2);
        static const struct slice names[] = {SLICE_LITERAL("x"), SLICE_LITERAL("y"),
                                             SLICE_LITERAL("z")};
        for (uint32_t index = 0; index < broker_count; index++)
            brokers[index] = (struct replica_assignment_broker){
                .id = (int32_t)index, .rack = racks ? names[prng_below(&prng, 3)] : SLICE_NULL};
        int32_t replicas[20 * 9];
        assert_int_equal(
            replica_assignment_make(brokers, broker_count,
                                    (struct replica_assignment_options){
                                        .partition_count = 20,
                                        .first_partition = (uint32_t)prng_below(&prng, 5),
                                        .replication_factor = factor,
                                        .start_index = (uint32_t)prng_next(&prng),
                                        .shift = (uint32_t)prng_below(&prng, 9),
                                    },
                                    replicas),
            ERR_OK);
        uint32_t leaders[9] = {0};
        for (uint32_t partition = 0; partition < 20; partition++) {
            uint32_t seen = 0;
            leaders[replicas[partition * factor]]++;
            for (uint32_t replica = 0; replica < factor; replica++) {
                const uint32_t bit = 1u << replicas[partition * factor + replica];
                assert_int_equal(seen & bit, 0);
                seen |= bit;
            }
        }
        for (uint32_t index = 0; index < broker_count; index++)
            assert_in_range(leaders[index], 20 / broker_count, 20 / broker_count + 1);
    }
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    struct replica_assignment_broker brokers[] = {{0, SLICE_LITERAL("a")}, {1, SLICE_NULL}};
    int32_t replicas[3];
    struct replica_assignment_options options = {.partition_count = 1, .replication_factor = 1};
    assert_int_equal(replica_assignment_make(brokers, 2, options, replicas), ERR_CONFIG);
    options.replication_factor = 3;
    assert_int_equal(replica_assignment_make(brokers, 2, options, replicas), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_broker_holds_everything),
        cmocka_unit_test(leaders_go_round_and_followers_shift),
        cmocka_unit_test(racks_alternate),
        cmocka_unit_test(replicas_of_a_partition_differ_and_load_is_even),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
