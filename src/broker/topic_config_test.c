#include "broker/topic_config.h"

#include "test/unit_test.h"

static struct slice no_value(void *context, const char *key)
{
    (void)context;
    (void)key;
    return SLICE_NULL;
}

static struct slice broker_value(void *context, const char *key)
{
    const struct topic_config_entry *entry = context;
    for (; entry->name.data != NULL; entry++)
        if (slice_equal_text(entry->name, key))
            return entry->value;
    return SLICE_NULL;
}

static void the_rows_are_sorted_and_their_defaults_fit(void **state)
{
    (void)state;
    char reason[128] = "";
    assert_int_equal(topic_config_row_count, 36);
    for (uint32_t index = 0; index < topic_config_row_count; index++) {
        const struct topic_config_row *row = topic_config_row(index);
        assert_true(
            topic_config_check(row, slice_from_text(row->value_default), reason, sizeof reason));
        assert_ptr_equal(topic_config_find(slice_from_text(row->name)), row);
        if (index > 0)
            assert_true(strcmp(topic_config_row(index - 1)->name, row->name) < 0);
    }
}

static void nothing_set_means_kafkas_defaults(void **state)
{
    (void)state;
    const struct topic_config_source source = {no_value, NULL};
    struct topic_config config;
    assert_int_equal(topic_config_resolve(&config, &source, NULL, 0), 0);
    assert_true(config.cleanup_delete);
    assert_false(config.cleanup_compact);
    assert_int_equal(config.retention_ms, 604800000);
    assert_int_equal(config.segment_bytes, 1073741824);
    assert_int_equal(config.message_bytes_max, 1048588);
    assert_int_equal(config.compression, TOPIC_CONFIG_COMPRESSION_PRODUCER);
    assert_true(config.message_timestamp_before_max_ms == INT64_MAX);
    assert_true(config.min_cleanable_dirty_ratio == 0.5);
}

static void the_topic_beats_the_broker_and_milliseconds_beat_hours(void **state)
{
    (void)state;
    struct topic_config_entry broker[] = {
        {SLICE_LITERAL("log.retention.hours"), SLICE_LITERAL("2")},
        {SLICE_LITERAL("log.retention.ms"), SLICE_LITERAL("500")},
        {SLICE_LITERAL("log.roll.hours"), SLICE_LITERAL(" 3 ")},
        {SLICE_LITERAL("log.segment.bytes"), SLICE_LITERAL("2000")},
        {SLICE_NULL, SLICE_NULL},
    };
    const struct topic_config_entry topic[] = {
        {SLICE_LITERAL("segment.bytes"), SLICE_LITERAL("1000")},
        {SLICE_LITERAL("cleanup.policy"), SLICE_LITERAL("compact, delete")},
        {SLICE_LITERAL("compression.type"), SLICE_LITERAL("zstd")},
        {SLICE_LITERAL("message.timestamp.type"), SLICE_LITERAL("LogAppendTime")},
        {SLICE_LITERAL("message.timestamp.difference.max.ms"), SLICE_LITERAL("77")},
        {SLICE_LITERAL("flush.ms"), SLICE_LITERAL("soon")},
        {SLICE_LITERAL("unknown"), SLICE_LITERAL("1")},
    };
    const struct topic_config_source source = {broker_value, broker};
    struct topic_config config;
    assert_int_equal(topic_config_resolve(&config, &source, topic, ARRAY_COUNT(topic)), 2);
    assert_int_equal(config.retention_ms, 500);
    assert_int_equal(config.segment_ms, 3 * 3600000);
    assert_int_equal(config.segment_bytes, 1000);
    assert_true(config.cleanup_delete && config.cleanup_compact);
    assert_int_equal(config.compression, TOPIC_CONFIG_COMPRESSION_ZSTD);
    assert_true(config.timestamp_is_append_time);
    assert_int_equal(config.message_timestamp_after_max_ms, 77);
    assert_true(config.flush_ms == INT64_MAX);
}

/* The largest number says nothing where it is a default, and much where a topic says it. */
static void a_topic_leaves_syncing_to_the_system(void **state)
{
    (void)state;
    struct topic_config_entry entries[] = {
        {SLICE_LITERAL("log.flush.interval.messages"), SLICE_LITERAL("9223372036854775807")},
        {SLICE_NULL, SLICE_NULL},
    };
    const struct topic_config_source source = {broker_value, entries};
    struct topic_config_entry own = {SLICE_LITERAL("flush.messages"),
                                     SLICE_LITERAL("9223372036854775807")};
    struct topic_config config;
    assert_int_equal(topic_config_resolve(&config, &source, NULL, 0), 0);
    assert_false(config.is_sync_left_to_system);
    assert_int_equal(topic_config_resolve(&config, &source, &own, 1), 0);
    assert_true(config.is_sync_left_to_system);
    own.value = SLICE_LITERAL("1");
    assert_int_equal(topic_config_resolve(&config, &source, &own, 1), 0);
    assert_false(config.is_sync_left_to_system);
    assert_int_equal(config.flush_messages, 1);
}

static void a_converted_default_is_printed_in_the_topics_unit(void **state)
{
    (void)state;
    struct topic_config_entry broker[] = {
        {SLICE_LITERAL("log.retention.hours"), SLICE_LITERAL("-1")},
        {SLICE_LITERAL("log.roll.hours"), SLICE_LITERAL("2")},
        {SLICE_NULL, SLICE_NULL},
    };
    const struct topic_config_source source = {broker_value, broker};
    char text[32];
    struct slice value = topic_config_broker_default(
        topic_config_find(SLICE_LITERAL("retention.ms")), &source, text);
    assert_true(slice_equal_text(value, "-1"));
    value =
        topic_config_broker_default(topic_config_find(SLICE_LITERAL("segment.ms")), &source, text);
    assert_true(slice_equal_text(value, "7200000"));
}

static void wrong_values_get_a_reason(void **state)
{
    (void)state;
    const struct {
        const char *name;
        const char *value;
        bool fits;
    } cases[] = {
        {"segment.bytes", "14", true},
        {"segment.bytes", "13", false},
        {"segment.bytes", "2147483648", false},
        {"segment.bytes", "1e3", false},
        {"segment.bytes", "", false},
        {"retention.ms", "-1", true},
        {"retention.ms", "-2", false},
        {"compression.gzip.level", "0", false},
        {"compression.gzip.level", "9", true},
        {"preallocate", "TRUE", true},
        {"preallocate", "yes", false},
        {"cleanup.policy", "delete,compact", true},
        {"cleanup.policy", "delete,keep", false},
        {"min.cleanable.dirty.ratio", "0.25", true},
        {"min.cleanable.dirty.ratio", "1.5", false},
        {"min.cleanable.dirty.ratio", "nan", false},
        {"leader.replication.throttled.replicas", "*", true},
        {"leader.replication.throttled.replicas", "0:1,1:2", true},
        {"leader.replication.throttled.replicas", "0:x", false},
    };
    for (size_t index = 0; index < ARRAY_COUNT(cases); index++) {
        char reason[160] = "";
        const struct topic_config_row *row = topic_config_find(slice_from_text(cases[index].name));
        const bool fits =
            topic_config_check(row, slice_from_text(cases[index].value), reason, sizeof reason);
        assert_int_equal(fits, cases[index].fits);
        assert_int_equal(strlen(reason) == 0, fits);
    }
}

static void a_list_of_throttled_replicas_names_ours(void **state)
{
    (void)state;
    const struct {
        const char *list;
        int32_t partition;
        bool throttles; /* Broker 2's replica. */
    } cases[] = {
        {"", 0, false},       {"*", 0, true},        {" * ", 7, true},       {"0:2", 0, true},
        {"0:2", 1, false},    {"0:1", 0, false},     {"2:0", 0, false},      {"0:22", 0, false},
        {"0:1,1:2", 1, true}, {"0:1, 1:2", 1, true}, {"1:1,11:2", 1, false}, {"0", 0, false},
        {"0:x,0:2", 0, true},
    };
    for (size_t index = 0; index < ARRAY_COUNT(cases); index++)
        assert_int_equal(
            topic_config_throttles(slice_from_text(cases[index].list), cases[index].partition, 2),
            cases[index].throttles);
    assert_false(topic_config_throttles(SLICE_NULL, 0, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rows_are_sorted_and_their_defaults_fit),
        cmocka_unit_test(nothing_set_means_kafkas_defaults),
        cmocka_unit_test(the_topic_beats_the_broker_and_milliseconds_beat_hours),
        cmocka_unit_test(a_topic_leaves_syncing_to_the_system),
        cmocka_unit_test(a_converted_default_is_printed_in_the_topics_unit),
        cmocka_unit_test(wrong_values_get_a_reason),
        cmocka_unit_test(a_list_of_throttled_replicas_names_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
