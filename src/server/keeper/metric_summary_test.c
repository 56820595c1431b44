#include "server/keeper/metric_summary.h"
#include "test/unit_test.h"

static void test_buckets_cover_every_number_once(void **state)
{
    (void)state;
    for (uint32_t bucket = 0; bucket < metric_summary_bucket_count; bucket++) {
        const uint64_t max = metric_summary_bucket_max(bucket);
        assert_int_equal(bucket, metric_summary_bucket(max));
        if (bucket + 1 < metric_summary_bucket_count)
            assert_int_equal(bucket + 1, metric_summary_bucket(max + 1));
    }
    assert_int_equal(UINT32_MAX, metric_summary_bucket_max(metric_summary_bucket_count - 1));
    assert_int_equal(metric_summary_bucket_count - 1, metric_summary_bucket(UINT64_MAX));
}

/* Nothing is reported lower than it was, or more than an eighth higher. */
static void test_a_bucket_is_an_eighth_wide(void **state)
{
    (void)state;
    for (uint64_t value = 1; value < UINT32_MAX / 3; value = value * 3 / 2 + 1) {
        const uint64_t max = metric_summary_bucket_max(metric_summary_bucket(value));
        assert_true(max >= value && max <= value + value / 8);
    }
}

static void test_counts(void **state)
{
    (void)state;
    static struct metric_summary summary;
    metric_summary_reset(&summary);
    assert_int_equal(-1, metric_summary_percentile(&summary, METRIC_SUMMARY_ALL, 500));
    metric_summary_add(&summary, 7);
    metric_summary_add(&summary, 3);
    metric_summary_add(&summary, 1000);
    assert_int_equal(3, summary.count);
    assert_int_equal(1010, summary.sum);
    assert_int_equal(3, summary.min);
    assert_int_equal(1000, summary.max);
    assert_int_equal(7, metric_summary_percentile(&summary, METRIC_SUMMARY_ALL, 500));
    assert_int_equal(1000, metric_summary_percentile(&summary, METRIC_SUMMARY_ALL, 999));
    metric_summary_reset(&summary);
    assert_int_equal(0, summary.count);
    assert_int_equal(-1, metric_summary_percentile(&summary, METRIC_SUMMARY_ALL, 999));
}

static void test_percentiles(void **state)
{
    (void)state;
    static struct metric_summary summary;
    metric_summary_reset(&summary);
    for (uint64_t value = 1; value <= 1000; value++)
        metric_summary_add(&summary, value % 10);
    assert_int_equal(4, metric_summary_percentile(&summary, METRIC_SUMMARY_ALL, 500));
    assert_int_equal(8, metric_summary_percentile(&summary, METRIC_SUMMARY_ALL, 900));
    assert_int_equal(9, metric_summary_percentile(&summary, METRIC_SUMMARY_ALL, 990));
}

/* A slow hour is forgotten by "lately" after two turns, and never by the whole. */
static void test_windows_pass(void **state)
{
    (void)state;
    static struct metric_summary summary;
    metric_summary_reset(&summary);
    metric_summary_add(&summary, 12);
    assert_int_equal(12, metric_summary_percentile(&summary, METRIC_SUMMARY_LATELY, 500));
    metric_summary_turn(&summary);
    assert_int_equal(12, metric_summary_percentile(&summary, METRIC_SUMMARY_LATELY, 500));
    metric_summary_add(&summary, 1);
    metric_summary_add(&summary, 1);
    metric_summary_turn(&summary);
    assert_int_equal(1, metric_summary_percentile(&summary, METRIC_SUMMARY_LATELY, 990));
    assert_int_equal(12, metric_summary_percentile(&summary, METRIC_SUMMARY_ALL, 990));
    metric_summary_turn(&summary);
    assert_int_equal(-1, metric_summary_percentile(&summary, METRIC_SUMMARY_LATELY, 500));
    assert_int_equal(1, metric_summary_percentile(&summary, METRIC_SUMMARY_ALL, 500));
    assert_int_equal(3, summary.count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets_cover_every_number_once),
        cmocka_unit_test(test_a_bucket_is_an_eighth_wide),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_windows_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
