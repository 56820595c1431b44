#include "sim/workload_assert.h"

static void test_cluster(void **state)
{
    (void)state;
    assert_seeds(&workload_cluster, 1, 15);
    assert_seeds(&workload_cluster, 168, 1); /* A leader begins anew between two controllers. */
    assert_seeds(&workload_cluster, 187,
                 1); /* A change of the ISR is written, and not known to be. */
    assert_seeds(&workload_cluster, 40143,
                 1); /* A cut where a segment begins, and no snapshot of producers. */
    assert_seeds(&workload_cluster, 84, 1); /* A deletion while a twin of a replica is away. */
    struct sim_workload shorter = workload_cluster;
    shorter.steps = 3;
    assert_crash_points(&shorter, 1, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
