#include "broker/partition_name.h"
#include "broker/topic_id.h"
#include "test/unit_test.h"

#define HEX "0123456789abcdef0123456789abcdef"

static void parses_directory_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum partition_name_kind kind;
    } rows[] = {
        {"a-0", PARTITION_NAME_LIVE},
        {"a-b-12", PARTITION_NAME_LIVE},
        {"__consumer_offsets-49", PARTITION_NAME_LIVE},
        {"a-2147483647", PARTITION_NAME_LIVE},
        {"a-2147483648", PARTITION_NAME_UNRELATED},
        {"a-00", PARTITION_NAME_UNRELATED},
        {"a-", PARTITION_NAME_UNRELATED},
        {"-0", PARTITION_NAME_UNRELATED},
        {"lost+found", PARTITION_NAME_UNRELATED},
        {".snapshot", PARTITION_NAME_UNRELATED},
        {"a b-0", PARTITION_NAME_UNRELATED},
        {"..-0", PARTITION_NAME_UNRELATED},
        {"a-0." HEX "-delete", PARTITION_NAME_DELETED},
        {"a-0." HEX "-stray", PARTITION_NAME_STRAY},
        {"a-0." HEX "-future", PARTITION_NAME_FUTURE},
        {"a-x." HEX "-future", PARTITION_NAME_UNRELATED},
        {"a-0.0123-delete", PARTITION_NAME_UNRELATED},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_int_equal(partition_name_parse(slice_from_text(rows[i].name)).kind, rows[i].kind);
    const struct partition_name name = partition_name_parse(SLICE_LITERAL("a-b-12"));
    assert_true(slice_equal_text(name.topic, "a-b") && name.partition == 12);
}

static void prints_names(void **state)
{
    (void)state;
    char text[partition_name_bytes_max];
    char topic[topic_name_bytes_max];
    const uint8_t id[16] = {0xab, 1};
    memset(topic, 't', sizeof topic);
    partition_name_print(SLICE_LITERAL("a-b"), 12, text);
    assert_string_equal(text, "a-b-12");
    partition_name_print_deleted(SLICE_LITERAL("a"), 3, id, text);
    assert_string_equal(text, "a-3.ab010000000000000000000000000000-delete");
    partition_name_print_deleted(slice_of(topic, sizeof topic), 99, id, text);
    assert_int_equal(strlen(text), 255);
    assert_int_equal(partition_name_parse(slice_from_text(text)).kind, PARTITION_NAME_DELETED);
    partition_name_print(slice_of(topic, sizeof topic), 99, text);
    assert_int_equal(partition_name_parse(slice_from_text(text)).partition, 99);
    partition_name_print_future(SLICE_LITERAL("a"), 7, id, text);
    const struct partition_name future = partition_name_parse(slice_from_text(text));
    assert_int_equal(future.kind, PARTITION_NAME_FUTURE);
    assert_true(slice_equal_text(future.topic, "a"));
    assert_int_equal(future.partition, 7);
}

static void topic_ids_are_text(void **state)
{
    (void)state;
    struct topic_id id = {{0, 0x10, 0x83, 0x10, 0x51, 0x87, 0x20, 0x92, 0x8b, 0x30, 0xd3, 0x8f,
                           0x41, 0x14, 0x93, 0xff}};
    struct topic_id read;
    char text[topic_id_text_bytes];
    topic_id_print(&id, text);
    assert_string_equal(text, "ABCDEFGHIJKLMNOPQRST_w"); /* As base64 -w0 | tr +/ -_ says. */
    assert_true(topic_id_parse(&read, text, 22));
    assert_true(topic_id_equal(&read, &id));
    assert_false(topic_id_parse(&read, text, 21));
    assert_false(topic_id_parse(&read, "ABCDEFGHIJKLMNOPQRST+w", 22));
    assert_false(topic_id_parse(&read, "ABCDEFGHIJKLMNOPQRST_x", 22));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parses_directory_names),
                                       cmocka_unit_test(prints_names),
                                       cmocka_unit_test(topic_ids_are_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
