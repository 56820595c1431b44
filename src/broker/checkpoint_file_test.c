#include "broker/checkpoint_file.h"
#include "test/unit_test.h"

static void reads_what_it_writes(void **state)
{
    (void)state;
    char text[1024];
    struct checkpoint_writer writer;
    struct checkpoint_reader reader;
    struct checkpoint_entry entry;
    enum err err;
    checkpoint_writer_init(&writer, text, sizeof text, 2);
    checkpoint_writer_add(&writer, (struct checkpoint_entry){SLICE_LITERAL("a.b-c"), 3, INT64_MAX});
    checkpoint_writer_add(&writer, (struct checkpoint_entry){SLICE_LITERAL("t"), INT32_MAX, 0});
    assert_string_equal(text, "0\n2\na.b-c 3 9223372036854775807\nt 2147483647 0\n");

    assert_int_equal(checkpoint_reader_init(&reader, slice_of(text, writer.size)), ERR_OK);
    assert_true(checkpoint_reader_next(&reader, true, &entry, &err));
    assert_true(slice_equal_text(entry.topic, "a.b-c") && entry.number == 3);
    assert_int_equal(entry.offset, INT64_MAX);
    assert_true(checkpoint_reader_next(&reader, true, &entry, &err));
    assert_false(checkpoint_reader_next(&reader, true, &entry, &err));
    assert_int_equal(err, ERR_OK);
}

static enum err read_all(const char *text, bool has_topic)
{
    struct checkpoint_reader reader;
    struct checkpoint_entry entry;
    enum err err = checkpoint_reader_init(&reader, slice_from_text(text));
    if (err != ERR_OK)
        return err;
    while (checkpoint_reader_next(&reader, has_topic, &entry, &err))
        continue;
    return err;
}

static void refuses_other_text(void **state) /* D18 */
{
    (void)state;
    assert_int_equal(read_all("0\n0\n", true), ERR_OK);
    assert_int_equal(read_all("0\n1\n5 7", false), ERR_OK);
    assert_int_equal(read_all("1\n0\n", true), ERR_UNSUPPORTED);
    static const char *const bad[] = {
        "",
        "0",
        "0\n",
        "x\n0\n",
        "0\n-1\n",
        "0\n1\n",
        "0\n0\nt 0 1",
        "0\n2\nt 0 1\n",
        "0\n1\nt 0\n",
        "0\n1\nt 0 -1\n",
        "0\n1\nt x 1\n",
        "0\n1\n 0 1\n",
        "0\n1\nt 0 9223372036854775808\n",
        "0\n1\nt 2147483648 1\n",
        "0\n1\n\n",
        "0\n1\nt 0 1\n\n",
        "0\n1\nt 0 1 \n",
        "0\n99999999999\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_int_equal(read_all(bad[i], true), ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_what_it_writes),
                                       cmocka_unit_test(refuses_other_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
