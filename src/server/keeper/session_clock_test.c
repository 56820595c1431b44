#include "server/keeper/session_clock.h"

#include "test/unit_test.h"

enum { tick = 2000 };

static void a_punctual_server_keeps_the_time(void **state)
{
    (void)state;
    struct session_clock clock = {0};
    assert_int_equal(session_clock_tick(&clock, 4000, 4000, tick), 0);
    assert_int_equal(session_clock_tick(&clock, 6000, 6000 + tick - 1, tick), 0);
    assert_int_equal(session_clock_ns(&clock, 9000), 9000);
}

static void time_that_the_server_missed_does_not_count(void **state)
{
    (void)state;
    struct session_clock clock = {0};
    assert_int_equal(session_clock_tick(&clock, 4000, 4000 + 9 * tick + 700, tick), 9 * tick);
    assert_int_equal(session_clock_ns(&clock, 4000 + 9 * tick + 700), 4700);
    assert_int_equal(session_clock_tick(&clock, 24000, 24000 + tick, tick), tick);
    assert_int_equal(session_clock_ns(&clock, 30000), 30000 - 10 * tick);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_punctual_server_keeps_the_time),
        cmocka_unit_test(time_that_the_server_missed_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
