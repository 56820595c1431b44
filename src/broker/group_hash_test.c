#include "broker/group_hash.h"

#include "base/macros.h"
#include "test/unit_test.h"

/* The numbers are what Java's String.hashCode says. */
static void hashes_as_java_does(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int32_t hash;
    } rows[] = {
        {"", 0},
        {"a", 97},
        {"my-group", -1906497762},
        {"\xc3\xa9t\xc3\xa9", 227742},
        {"\xf0\x9f\x90\xa6", 1772425},
        {"polygenelubricants", INT32_MIN},
        {"\xe2\x82\xac"
         "uro",
         249288006},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        assert_int_equal(group_hash(slice_from_text(rows[i].text)), rows[i].hash);
    assert_int_equal(group_hash_partition(SLICE_LITERAL("polygenelubricants"), 50), 0);
    /* Where Apache's broker sends these, whose hashes are negative. */
    assert_int_equal(group_hash_partition(SLICE_LITERAL("held-0"), 5), 0);
    assert_int_equal(group_hash_partition(SLICE_LITERAL("held-1"), 5), 4);
    assert_int_equal(group_hash_partition(SLICE_LITERAL("held-2"), 5), 3);
}

/* Bytes that are not UTF-8 end nowhere else than at the end. */
static void takes_any_bytes(void **state)
{
    (void)state;
    assert_int_equal(group_hash(SLICE_LITERAL("\xff")), 0xfffd);
    assert_int_equal(group_hash(SLICE_LITERAL("\xe2\x82")), 0xfffd);
    (void)group_hash(SLICE_LITERAL("\xf4\x90\x80\x80\xed\xa0\x80\xc0\x80"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hashes_as_java_does),
                                       cmocka_unit_test(takes_any_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
