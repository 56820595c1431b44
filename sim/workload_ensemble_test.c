#include "sim/workload_assert.h"

static void test_ensemble(void **state)
{
    (void)state;
    assert_seeds(&workload_ensemble, 1, 60);
    assert_seeds(&workload_ensemble, 5223, 1); /* A connection without a session, and a TRUNC. */
    assert_seeds(&workload_ensemble, 104, 1);  /* The sync of a cut fails, and later the power. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ensemble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
