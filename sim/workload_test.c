#include "test/unit_test.h"

#include "sim/workload.h"

static void assert_seeds(const struct sim_workload *workload, uint64_t first, uint64_t count)
{
    for (uint64_t seed = first; seed < first + count; seed++) {
        const struct sim_workload_options options = {
            .seed = seed, .steps = workload->steps, .is_swarm = true};
        const struct sim_workload_result result = workload->run(&options);
        if (result.verdict != SIM_RIGHT)
            fail_msg("%s seed %llu: %s", workload->name, (unsigned long long)seed, result.why);
        const struct sim_workload_result twin = workload->run(&options);
        assert_true(twin.trace_hash == result.trace_hash);
    }
}

static void assert_crash_points(const struct sim_workload *workload, uint64_t seed, bool is_deep)
{
    const struct sim_workload_options options = {.seed = seed, .steps = workload->steps};
    const struct sim_crash_report report = sim_workload_crash_points(workload, options, is_deep);
    if (report.result.verdict != SIM_RIGHT)
        fail_msg("%s seed %llu, boundary %llu, loss %d: %s", workload->name,
                 (unsigned long long)seed, (unsigned long long)report.options.crash_boundary,
                 (int)report.options.crash_loss, report.result.why);
    assert_in_range(report.boundary_count, 20, 100000);
}

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
    assert_seeds(&workload_partition, 173, 1); /* A failed sync leaves batches to the page cache. */
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
