#include "sim/workload_assert.h"

static void test_journal(void **state)
{
    (void)state;
    assert_seeds(&workload_journal, 1, 50);
    for (uint64_t seed = 1; seed <= 5; seed++)
        assert_crash_points(&workload_journal, seed, true);
}

static void test_partition(void **state)
{
    (void)state;
    assert_seeds(&workload_partition, 1, 30);
    assert_seeds(&workload_partition, 80, 1);  /* Begun anew, and no file says yet where. */
    assert_seeds(&workload_partition, 173, 1); /* A failed sync leaves batches to the page cache. */
    assert_seeds(&workload_partition, 1077, 1); /* A truncation ends below a start that was told. */
    assert_seeds(&workload_partition, 1205, 1); /* A truncation below the log start. */
    assert_seeds(&workload_partition, 7934, 1); /* Begun anew where the log did not reach. */
    assert_seeds(&workload_partition, 60404, 1); /* What retention has removed comes back. */
    assert_seeds(&workload_partition, 63777, 1); /* Begun anew at a start that crashes. */
    assert_seeds(&workload_partition, 73012, 1); /* A directory fails behind a truncation. */
    struct sim_workload shorter = workload_partition;
    shorter.steps = 40;
    for (uint64_t seed = 1; seed <= 3; seed++)
        assert_crash_points(&shorter, seed, true);
}

static void test_keeper(void **state)
{
    (void)state;
    assert_seeds(&workload_keeper, 1, 30);
    for (uint64_t seed = 1; seed <= 2; seed++)
        assert_crash_points(&workload_keeper, seed, true);
}

static void test_model(void **state)
{
    (void)state;
    assert_seeds(&workload_model, 1, 80);
    struct sim_workload shorter = workload_model;
    shorter.steps = 15;
    for (uint64_t seed = 1; seed <= 2; seed++)
        assert_crash_points(&shorter, seed, true);
}

static void test_broker(void **state)
{
    (void)state;
    assert_seeds(&workload_broker, 1, 10);
    assert_seeds(&workload_broker, 409, 1);  /* A failed sync, with written appends behind it. */
    assert_seeds(&workload_broker, 6123, 1); /* A late delete takes the broker's own znode. */
    struct sim_workload shorter = workload_broker;
    shorter.steps = 12;
    assert_crash_points(&shorter, 1, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_journal), cmocka_unit_test(test_partition),
        cmocka_unit_test(test_keeper),  cmocka_unit_test(test_model),
        cmocka_unit_test(test_broker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
