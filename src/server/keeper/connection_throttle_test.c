#include "server/keeper/connection_throttle.h"

#include "test/unit_test.h"

static const double never = 1.0; /* Above every chance. */

static struct connection_throttle make(struct keeper_config config)
{
    struct connection_throttle throttle;
    connection_throttle_init(&throttle, &config, 1000);
    return throttle;
}

static void without_tokens_there_is_no_limit(void **state)
{
    (void)state;
    struct connection_throttle throttle = make((struct keeper_config){.connection_freeze_ms = -1});
    for (int count = 0; count < 100; count++)
        assert_true(connection_throttle_take(&throttle, true, 1000, never));
}

static void tokens_come_back_with_time(void **state)
{
    (void)state;
    struct connection_throttle throttle = make((struct keeper_config){
        .connection_tokens = 3,
        .connection_fill_ms = 100,
        .connection_fill_count = 2,
        .connection_freeze_ms = -1,
    });
    for (int count = 0; count < 3; count++)
        assert_true(connection_throttle_take(&throttle, true, 1000, never));
    assert_false(connection_throttle_take(&throttle, true, 1000, never));
    assert_false(connection_throttle_take(&throttle, true, 1100, never)); /* Not after, yet. */
    assert_true(connection_throttle_take(&throttle, true, 1101, never));
    assert_true(connection_throttle_take(&throttle, true, 1101, never));
    assert_false(connection_throttle_take(&throttle, true, 1101, never));
    /* Never more than there were. */
    for (int count = 0; count < 3; count++)
        assert_true(connection_throttle_take(&throttle, true, 900000, never));
    assert_false(connection_throttle_take(&throttle, true, 900000, never));
}

static void a_fill_that_overflows_fills(void **state)
{
    (void)state;
    struct connection_throttle throttle = make((struct keeper_config){
        .connection_tokens = INT32_MAX,
        .connection_fill_ms = 1,
        .connection_fill_count = INT32_MAX,
        .connection_freeze_ms = -1,
    });
    assert_true(connection_throttle_take(&throttle, true, 1000, never));
    assert_true(connection_throttle_take(&throttle, true, INT64_MAX / 2, never));
    assert_int_equal(throttle.token_count, INT32_MAX - 1);
}

/* All counts are then in units of a new session, as Apache's are. */
static void sessions_have_weights(void **state)
{
    (void)state;
    struct connection_throttle throttle = make((struct keeper_config){
        .connection_tokens = 2,
        .connection_fill_ms = 1000,
        .connection_fill_count = 1,
        .connection_freeze_ms = -1,
        .connection_has_weights = true,
        .connection_weight_new = 0, /* A mistake: 3. */
        .connection_weight_renewed = 1,
        .connection_weight_local = 2, /* Nothing weighs less. */
    });
    assert_int_equal(throttle.token_count, 6);
    assert_true(connection_throttle_take(&throttle, true, 1000, never));
    assert_int_equal(throttle.token_count, 3);
    assert_true(connection_throttle_take(&throttle, false, 1000, never));
    assert_int_equal(throttle.token_count, 1);
    assert_false(connection_throttle_take(&throttle, false, 1000, never));
}

static void local_sessions_weigh_less(void **state)
{
    (void)state;
    struct keeper_config config = {
        .is_ensemble = true,
        .local_sessions_enabled = true,
        .connection_tokens = 2,
        .connection_fill_ms = 1000,
        .connection_freeze_ms = -1,
        .connection_has_weights = true,
        .connection_weight_new = 3,
        .connection_weight_renewed = 2,
        .connection_weight_local = 1,
    };
    struct connection_throttle throttle = make(config);
    assert_int_equal(throttle.token_count, 6);
    assert_true(connection_throttle_take(&throttle, true, 1000, never));
    assert_int_equal(throttle.token_count, 5);
    assert_true(connection_throttle_take(&throttle, false, 1000, never));
    assert_int_equal(throttle.token_count, 3);
    config.is_ensemble = false; /* Who stands alone has none. */
    throttle = make(config);
    assert_true(connection_throttle_take(&throttle, true, 1000, never));
    assert_int_equal(throttle.token_count, 3);
}

static void the_chance_of_dropping_follows_the_bucket(void **state)
{
    (void)state;
    struct connection_throttle throttle = make((struct keeper_config){
        .connection_tokens = 1,
        .connection_fill_ms = 1000,
        .connection_fill_count = 1,
        .connection_freeze_ms = 10,
        .connection_drop_increase = 0.75,
        .connection_drop_decrease = 0.25,
    });
    assert_true(connection_throttle_take(&throttle, true, 1000, 0.0)); /* No chance yet. */
    assert_false(
        connection_throttle_take(&throttle, true, 1011, 0.8)); /* Empty: the chance grows. */
    assert_true(throttle.drop == 0.75);
    assert_false(connection_throttle_take(&throttle, true, 1015, 0.8)); /* Not looked at again. */
    assert_true(throttle.drop == 0.75);
    assert_false(connection_throttle_take(&throttle, true, 1026, 0.8));
    assert_true(throttle.drop == 1);
    /* There is a token, and it is refused by chance. */
    assert_false(connection_throttle_take(&throttle, true, 3000, 0.7));
    assert_true(throttle.drop == 0.75);
    assert_true(connection_throttle_take(&throttle, true, 3005, 0.8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_tokens_there_is_no_limit),
        cmocka_unit_test(tokens_come_back_with_time),
        cmocka_unit_test(a_fill_that_overflows_fills),
        cmocka_unit_test(sessions_have_weights),
        cmocka_unit_test(local_sessions_weigh_less),
        cmocka_unit_test(the_chance_of_dropping_follows_the_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
