#include "broker/replication_quota.h"

#include "test/unit_test.h"

enum { measured_count = 11, window_ms = 1000 };

struct fixture {
    struct replication_quota quota;
    struct quota_window windows[measured_count + 1];
};

static void begin(struct fixture *fixture, int64_t bytes_per_s_max)
{
    replication_quota_init(&fixture->quota, fixture->windows, measured_count, window_ms);
    fixture->quota.bytes_per_s_max = bytes_per_s_max;
}

static void without_a_limit_nobody_waits(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, replication_quota_none);
    assert_int_equal(replication_quota_wait_ms(&fixture.quota, 0), 0);
    for (int64_t now_ms = 0; now_ms < 100000; now_ms += 7) {
        replication_quota_record(&fixture.quota, UINT64_C(1) << 40, now_ms);
        assert_int_equal(replication_quota_wait_ms(&fixture.quota, now_ms), 0);
    }
}

/* A window counts as a whole from its first byte on. */
static void the_rate_may_reach_the_limit_but_not_pass_it(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, 1000);
    replication_quota_record(&fixture.quota, 1000, 5000);
    assert_int_equal(replication_quota_wait_ms(&fixture.quota, 5000), 0);
    replication_quota_record(&fixture.quota, 1, 5000);
    assert_true(replication_quota_wait_ms(&fixture.quota, 5000) > 0);
    assert_true(replication_quota_wait_ms(&fixture.quota, 6000) > 0);
    assert_int_equal(replication_quota_wait_ms(&fixture.quota, 6001), 0);
}

static void the_wait_ends_when_it_says(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, 1000);
    replication_quota_record(&fixture.quota, 7000, 100);
    const int64_t wait_ms = replication_quota_wait_ms(&fixture.quota, 400);
    assert_in_range(wait_ms, 6700, 6701);
    assert_true(replication_quota_wait_ms(&fixture.quota, 400 + wait_ms - 2) > 0);
    assert_int_equal(replication_quota_wait_ms(&fixture.quota, 400 + wait_ms), 0);
}

/* What nothing was counted in for all windows is forgotten, and so lets one answer through. */
static void an_answer_that_is_too_large_is_paid_for_by_all_windows(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, 1);
    replication_quota_record(&fixture.quota, 1 << 20, 0);
    assert_int_equal(replication_quota_wait_ms(&fixture.quota, 10), measured_count * window_ms);
    assert_true(replication_quota_wait_ms(&fixture.quota, measured_count * window_ms - 1) > 0);
    assert_int_equal(replication_quota_wait_ms(&fixture.quota, measured_count * window_ms), 0);
    begin(&fixture, 0);
    replication_quota_record(&fixture.quota, 1, 0);
    assert_true(replication_quota_wait_ms(&fixture.quota, measured_count * window_ms - 1) > 0);
    assert_int_equal(replication_quota_wait_ms(&fixture.quota, measured_count * window_ms), 0);
}

static void another_limit_holds_at_once(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, 1000);
    replication_quota_record(&fixture.quota, 5000, 0);
    assert_true(replication_quota_wait_ms(&fixture.quota, 0) > 0);
    fixture.quota.bytes_per_s_max = 5000;
    assert_int_equal(replication_quota_wait_ms(&fixture.quota, 0), 0);
    fixture.quota.bytes_per_s_max = 4999;
    assert_true(replication_quota_wait_ms(&fixture.quota, 0) > 0);
}

enum { rate = 100000 };

/* What somebody gets who takes an answer whenever there is no need to wait. */
static uint64_t take_greedily(uint64_t answer_bytes, int64_t total_ms)
{
    struct fixture fixture;
    uint64_t taken = 0;
    begin(&fixture, rate);
    for (int64_t now_ms = 0; now_ms < total_ms; now_ms++) {
        if (replication_quota_wait_ms(&fixture.quota, now_ms) > 0)
            continue;
        replication_quota_record(&fixture.quota, answer_bytes, now_ms);
        taken += answer_bytes;
    }
    return taken;
}

/* Through many rounds of the windows. Answers of several seconds' worth get more, since a window is
 * forgotten as a whole: at five seconds a quarter more. */
static void a_greedy_follower_gets_the_rate(void **state)
{
    (void)state;
    enum { total_s = 300 };
    const uint64_t allowed = (uint64_t)rate * total_s;
    for (uint64_t bytes = 1000; bytes <= 5 * rate; bytes += 7919) {
        const uint64_t taken = take_greedily(bytes, total_s * 1000);
        const uint64_t most = bytes <= rate ? allowed * 101 / 100 : allowed * 13 / 10;
        assert_in_range(taken, allowed * 99 / 100, most + bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_limit_nobody_waits),
        cmocka_unit_test(the_rate_may_reach_the_limit_but_not_pass_it),
        cmocka_unit_test(the_wait_ends_when_it_says),
        cmocka_unit_test(an_answer_that_is_too_large_is_paid_for_by_all_windows),
        cmocka_unit_test(another_limit_holds_at_once),
        cmocka_unit_test(a_greedy_follower_gets_the_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
