#include "broker/broker_setting.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_setting_is_found_and_its_default_fits),
        cmocka_unit_test(what_changes_topics_is_known),
        cmocka_unit_test(values_are_checked_by_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
