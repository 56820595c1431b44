#include "server/keeper/request_gate.h"

#include "test/unit_test.h"

static void large_requests_share_a_limit(void **state)
{
    (void)state;
    struct request_gate gate;
    const struct keeper_config config = {.large_request_bytes_min = 100,
                                         .large_requests_bytes_max = 1000};
    request_gate_init(&gate, &config);
    assert_true(request_gate_admits(&gate, 1000));
    assert_false(request_gate_admits(&gate, 1001));
    request_gate_enter(&gate, 600);
    request_gate_enter(&gate, 100); /* Not a large one. */
    assert_true(request_gate_admits(&gate, 400));
    assert_false(request_gate_admits(&gate, 401));
    assert_true(request_gate_admits(&gate, 100));
    request_gate_leave(&gate, 100);
    request_gate_leave(&gate, 600);
    assert_int_equal(gate.large_bytes, 0);
}

static void below_zero_none_is_large(void **state)
{
    (void)state;
    struct request_gate gate;
    const struct keeper_config config = {.large_request_bytes_min = -1};
    request_gate_init(&gate, &config);
    assert_true(request_gate_admits(&gate, 1 << 30));
    request_gate_enter(&gate, 1 << 30);
    assert_true(request_gate_admits(&gate, 1 << 30));
}

static void it_is_full_at_its_count(void **state)
{
    (void)state;
    struct request_gate gate;
    struct keeper_config config = {.throttle_request_count_max = 2};
    request_gate_init(&gate, &config);
    assert_false(request_gate_is_full(&gate, 1));
    assert_true(request_gate_is_full(&gate, 2));
    config.throttle_request_count_max = 0;
    request_gate_init(&gate, &config);
    assert_false(request_gate_is_full(&gate, UINT32_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_requests_share_a_limit),
        cmocka_unit_test(below_zero_none_is_large),
        cmocka_unit_test(it_is_full_at_its_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
