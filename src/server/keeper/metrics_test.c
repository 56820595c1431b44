#include "server/keeper/metrics.h"
#include "test/unit_test.h"

static const struct metric *find(const char *name)
{
    size_t count;
    const struct metric *table = metrics_table(&count);
    for (size_t index = 0; index < count; index++)
        if (strcmp(table[index].name, name) == 0)
            return &table[index];
    return NULL;
}

/* Each name once, and each either measured or with a reason why not. */
static void test_rows(void **state)
{
    (void)state;
    size_t count;
    const struct metric *table = metrics_table(&count);
    size_t scopes[METRIC_OF_LINEARIZABLE + 1] = {0};
    for (size_t index = 0; index < count; index++)
        scopes[table[index].scope]++;
    assert_int_equal(150, scopes[METRIC_OF_ALL]); /* As many as Apache's standalone server has. */
    assert_int_equal(1, scopes[METRIC_OF_MEMBERS]);
    assert_int_equal(8, scopes[METRIC_OF_LEADERS]);
    assert_int_equal(1, scopes[METRIC_OF_MASTERS]);
    assert_int_equal(2, scopes[METRIC_OF_LINEARIZABLE]);
    for (size_t index = 0; index < count; index++) {
        const struct metric *metric = &table[index];
        assert_ptr_equal(metric, find(metric->name));
        const bool is_summary =
            metric->kind == METRIC_SUMMARY || metric->kind == METRIC_PERCENTILES;
        const bool is_set = metric->kind == METRIC_GAUGE_SET || metric->kind == METRIC_COUNTER_SET;
        if (metric->absent != NULL)
            assert_true(metric->read == NULL && metric->each == NULL && metric->offset == 0);
        else if (is_set)
            assert_true(metric->read == NULL && metric->each != NULL && metric->offset == 0);
        else if (is_summary)
            assert_true(metric->read == NULL &&
                        metric->offset >= offsetof(struct keeper_stats, summaries));
        if (metric->absent == NULL && metric->read == NULL && !is_summary && !is_set)
            assert_true(metric->offset < offsetof(struct keeper_stats, summaries));
    }
}

static void test_values(void **state)
{
    (void)state;
    char out[counted_text_double_bytes];
    const struct metric_sample whole = {.value = 38659960, .is_whole = true};
    const struct metric_sample fraction = {.value = 38659960};
    const struct metric_sample least = {.value = -1, .is_whole = true};
    assert_string_equal("38659960", metrics_print_value(&whole, out));
    assert_string_equal("3.865996E7", metrics_print_value(&fraction, out));
    assert_string_equal("-1", metrics_print_value(&least, out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
