#include "broker/broker_setting_rule.h"

#include "broker/topic_config.h"
#include "test/unit_test.h"

static void every_setting_is_found_and_its_default_fits(void **state)
{
    (void)state;
    char reason[128];
    for (uint32_t index = 0; index < broker_setting_count; index++) {
        const struct broker_setting *setting = broker_setting_at(index);
        assert_ptr_equal(broker_setting_find(slice_from_text(setting->name)), setting);
        if (setting->value_default != NULL)
            assert_true(broker_setting_check(setting, slice_from_text(setting->value_default),
                                             reason, sizeof reason));
    }
    assert_null(broker_setting_find(SLICE_LITERAL("no.such.setting")));
}

static void throttles_are_found_but_not_listed(void **state)
{
    (void)state;
    char reason[128];
    static const char *const names[] = {"leader.replication.throttled.rate",
                                        "follower.replication.throttled.rate",
                                        "replica.alter.log.dirs.io.max.bytes.per.second"};
    for (size_t index = 0; index < ARRAY_COUNT(names); index++) {
        const struct broker_setting *setting = broker_setting_find(slice_from_text(names[index]));
        assert_non_null(setting);
        assert_true(setting->is_dynamic);
        assert_false(broker_setting_is_listed(setting));
        assert_true(broker_setting_check(setting, SLICE_LITERAL("0"), reason, sizeof reason));
        assert_false(broker_setting_check(setting, SLICE_LITERAL("-1"), reason, sizeof reason));
    }
    assert_true(broker_setting_is_listed(broker_setting_at(broker_setting_count - 1)));
}

static void what_changes_topics_is_known(void **state)
{
    (void)state;
    for (uint32_t index = 0; index < topic_config_row_count; index++) {
        const struct topic_config_row *row = topic_config_row(index);
        for (size_t key = 0; key < ARRAY_COUNT(row->broker_keys); key++)
            if (row->broker_keys[key].key != NULL)
                assert_non_null(broker_setting_find(slice_from_text(row->broker_keys[key].key)));
    }
}

static void values_are_checked_by_type(void **state)
{
    (void)state;
    char reason[128];
    const struct broker_setting *number = broker_setting_find(SLICE_LITERAL("log.segment.bytes"));
    assert_true(broker_setting_check(number, SLICE_LITERAL("100"), reason, sizeof reason));
    assert_false(broker_setting_check(number, SLICE_LITERAL("x"), reason, sizeof reason));
    assert_false(broker_setting_check(number, SLICE_LITERAL("3000000000"), reason, sizeof reason));
    assert_true(number->is_dynamic);
    assert_false(broker_setting_find(SLICE_LITERAL("broker.id"))->is_dynamic);
}

/* In Kafka's words: tools show them. */
static void refusals_say_why(void **state)
{
    static const struct {
        const char *name, *value, *why; /* NULL: it is taken. */
    } rows[] = {
        {"log.segment.bytes", "14", NULL},
        {"log.segment.bytes", "13",
         "Invalid value 13 for configuration log.segment.bytes: Value must be at least 14"},
        {"log.segment.bytes", "x",
         "Invalid value x for configuration log.segment.bytes: Not a number of type INT"},
        {"compression.zstd.level", "23",
         "Invalid value 23 for configuration compression.zstd.level: Value must be no more than "
         "22"},
        {"log.cleanup.policy", "compact, delete", NULL},
        {"log.cleanup.policy", "", NULL},
        {"log.cleanup.policy", "delete,x",
         "Invalid value x for configuration log.cleanup.policy: String must be one of: compact, "
         "delete"},
        {"log.message.timestamp.type", "Never",
         "Invalid value Never for configuration log.message.timestamp.type: String must be one of: "
         "CreateTime, LogAppendTime"},
        {"log.message.timestamp.type", "LogAppendTime", NULL},
        {"log.preallocate", "TRUE", NULL},
        {"log.preallocate", "2",
         "Invalid value 2 for configuration log.preallocate: Expected value to be either true or "
         "false"},
        {"log.cleaner.min.cleanable.ratio", "0.5", NULL},
        {"log.cleaner.min.cleanable.ratio", "1.5",
         "Invalid value 1.5 for configuration log.cleaner.min.cleanable.ratio: Value must be no "
         "more than 1"},
    };
    char reason[256];
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct broker_setting *setting = broker_setting_find(slice_from_text(rows[i].name));
        const bool fits =
            broker_setting_check(setting, slice_from_text(rows[i].value), reason, sizeof reason);
        assert_int_equal(fits, rows[i].why == NULL);
        if (!fits)
            assert_string_equal(reason, rows[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_setting_is_found_and_its_default_fits),
        cmocka_unit_test(throttles_are_found_but_not_listed),
        cmocka_unit_test(what_changes_topics_is_known),
        cmocka_unit_test(values_are_checked_by_type),
        cmocka_unit_test(refusals_say_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
