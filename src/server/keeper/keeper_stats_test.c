#include "server/keeper/keeper_stats.h"
#include "test/unit_test.h"

static void expect_average(uint64_t total_ms, uint64_t count, const char *text)
{
    char out[keeper_latency_text_bytes];
    const struct keeper_latency latency = {.total_ms = total_ms, .count = count};
    assert_string_equal(text, keeper_latency_print_average(&latency, out));
}

/* As Java prints a double that was rounded to four decimals. */
static void test_averages(void **state)
{
    (void)state;
    expect_average(0, 0, "0.0");
    expect_average(0, 7, "0.0");
    expect_average(9, 5, "1.8");
    expect_average(10, 5, "2.0");
    expect_average(1, 3, "0.3333");
    expect_average(2, 3, "0.6667");
    expect_average(1000, 8, "125.0");
    expect_average(1, 100000, "0.0");
}

static void test_latency(void **state)
{
    (void)state;
    struct keeper_latency latency = {0};
    keeper_latency_add(&latency, 5000000);
    keeper_latency_add(&latency, 2999999);
    keeper_latency_add(&latency, 9000000);
    assert_int_equal(2, latency.min_ms);
    assert_int_equal(9, latency.max_ms);
    assert_int_equal(16, latency.total_ms);
    assert_int_equal(3, latency.count);
}

static struct keeper_stats stats;

static void test_replies(void **state)
{
    (void)state;
    stats.auth_failed_count = 3;
    keeper_stats_reset(&stats, true);
    assert_int_equal(-1, stats.reply_bytes_min);
    keeper_stats_add_reply_bytes(&stats, 20);
    keeper_stats_add_reply_bytes(&stats, 12);
    assert_int_equal(12, stats.reply_bytes_last);
    assert_int_equal(12, stats.reply_bytes_min);
    assert_int_equal(20, stats.reply_bytes_max);
    assert_int_equal(32, stats.counts.reply_bytes);
    assert_int_equal(3, stats.auth_failed_count); /* srst leaves it. */
}

/* A metrics provider of its own keeps its counters when srst resets the server's. */
static void test_reset_with_and_without_metrics(void **state)
{
    (void)state;
    keeper_stats_reset(&stats, true);
    keeper_stats_add_reply_bytes(&stats, 20);
    metric_summary_add(&stats.summaries.read_latency, 4);
    stats.sent_count = 1;
    keeper_stats_reset(&stats, false);
    assert_int_equal(0, stats.sent_count);
    assert_int_equal(20, stats.counts.reply_bytes);
    assert_int_equal(1, stats.summaries.read_latency.count);
    keeper_stats_reset(&stats, true);
    assert_int_equal(0, stats.counts.reply_bytes);
    assert_int_equal(0, stats.summaries.read_latency.count);
}

/* A change is counted once, with how many heard of it; a change that nobody watches is not. */
static void test_watches_told(void **state)
{
    (void)state;
    keeper_stats_reset(&stats, true);
    keeper_stats_add_told(&stats, 3);
    keeper_stats_add_told(&stats, 3);
    keeper_stats_add_told(&stats, 4);
    keeper_stats_end_change(&stats);
    keeper_stats_end_change(&stats);
    assert_int_equal(0, stats.summaries.watch_count[0].count);
    assert_int_equal(1, stats.summaries.watch_count[2].count);
    assert_int_equal(2, stats.summaries.watch_count[2].max);
    assert_int_equal(1, stats.summaries.watch_count[3].sum);
}

static void test_windows_turn(void **state)
{
    (void)state;
    const struct metric_summary *last = &stats.summaries.watch_count[3];
    keeper_stats_reset(&stats, true);
    keeper_stats_add_told(&stats, 4);
    keeper_stats_end_change(&stats);
    keeper_stats_turn_windows(&stats);
    assert_int_equal(1, metric_summary_percentile(last, METRIC_SUMMARY_LATELY, 500));
    keeper_stats_turn_windows(&stats);
    assert_int_equal(-1, metric_summary_percentile(last, METRIC_SUMMARY_LATELY, 500));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_averages),     cmocka_unit_test(test_latency),
        cmocka_unit_test(test_replies),      cmocka_unit_test(test_reset_with_and_without_metrics),
        cmocka_unit_test(test_watches_told), cmocka_unit_test(test_windows_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
