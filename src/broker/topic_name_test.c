#include "broker/topic_name.h"

#include "test/unit_test.h"

static void names_are_checked(void **state)
{
    (void)state;
    char reason[192];
    uint8_t long_name[topic_name_size_max + 1];
    memset(long_name, 'x', sizeof long_name);
    assert_true(topic_name_check(SLICE_LITERAL("a.B_c-9"), reason, sizeof reason));
    assert_true(topic_name_check(slice_of(long_name, topic_name_size_max), reason, sizeof reason));
    assert_false(topic_name_check(slice_of(long_name, sizeof long_name), reason, sizeof reason));
    assert_false(topic_name_check(SLICE_LITERAL(""), reason, sizeof reason));
    assert_false(topic_name_check(SLICE_LITERAL("."), reason, sizeof reason));
    assert_false(topic_name_check(SLICE_LITERAL(".."), reason, sizeof reason));
    assert_false(topic_name_check(SLICE_LITERAL("bad name"), reason, sizeof reason));
    assert_false(topic_name_check(SLICE_LITERAL("a/b"), reason, sizeof reason));
    assert_false(topic_name_check(SLICE_LITERAL("\xc3\xa9"), reason, sizeof reason));
}

static void dots_and_underscores_collide(void **state)
{
    (void)state;
    assert_true(topic_name_collides(SLICE_LITERAL("a.b"), SLICE_LITERAL("a_b")));
    assert_false(topic_name_collides(SLICE_LITERAL("a.b"), SLICE_LITERAL("a.b")));
    assert_false(topic_name_collides(SLICE_LITERAL("a.b"), SLICE_LITERAL("a-b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(dots_and_underscores_collide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
