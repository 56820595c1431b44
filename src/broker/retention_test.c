#include "broker/retention.h"
#include "test/unit_test.h"

static void keeps_and_removes(void **state)
{
    (void)state;
    struct partition_config config = partition_config_default();
    const struct retention_view base = {.end_offset = 100,
                                        .largest_timestamp_ms = 1000,
                                        .segment_bytes = 10,
                                        .partition_bytes = 50,
                                        .high_watermark = 500,
                                        .now_ms = 1000 + 604800000};
    struct retention_view view = base;
    assert_int_equal(retention_decide(&config, &view), RETENTION_KEEPS);
    view.now_ms++;
    assert_int_equal(retention_decide(&config, &view), RETENTION_TIME);
    view.high_watermark = 99;
    assert_int_equal(retention_decide(&config, &view), RETENTION_KEEPS);
    view.high_watermark = 100;
    config.deletes = false;
    assert_int_equal(retention_decide(&config, &view), RETENTION_KEEPS);
    view.log_start_offset = 100;
    assert_int_equal(retention_decide(&config, &view), RETENTION_START);
    view = base;
    config.deletes = true;
    config.retention_bytes = 40;
    assert_int_equal(retention_decide(&config, &view), RETENTION_SIZE);
    config.retention_bytes = 41;
    assert_int_equal(retention_decide(&config, &view), RETENTION_KEEPS);
    view.largest_timestamp_ms = -1;
    assert_int_equal(retention_decide(&config, &view), RETENTION_TIME); /* By its creation. */
    view.is_last = true;
    assert_int_equal(retention_decide(&config, &view), RETENTION_TIME);
    view.segment_bytes = 0;
    assert_int_equal(retention_decide(&config, &view), RETENTION_KEEPS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_and_removes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
