#include "base/macros.h"
#include "keeper/path.h"
#include "test/unit_test.h"

static bool valid(const char *text)
{
    return path_is_valid(slice_from_text(text));
}

static void trap_4_and_1_1_path_rules(void **state)
{
    (void)state;
    static const char *const good[] = {"/",
                                       "/a",
                                       "/a/b",
                                       "/...",
                                       "/a/..b",
                                       "/a/b..",
                                       "/.a",
                                       "/ ",
                                       "/\xc2\xa0",
                                       "/\xc3\xa4",
                                       "/a.b",
                                       "/\x7e",
                                       "/\xed\x9f\xbf",
                                       "/\xef\xa4\x80",
                                       "/\xef\xbf\xaf"};
    static const char *const bad[] = {"",
                                      "a",
                                      "/a/",
                                      "//",
                                      "/a//b",
                                      "/.",
                                      "/..",
                                      "/a/../b",
                                      "/a/./b",
                                      "/a/..",
                                      "/\x01",
                                      "/\x1f",
                                      "/\x7f",
                                      "/\xc2\x80",
                                      "/\xc2\x9f",
                                      "/\xed\xa0\x80",
                                      "/\xef\xa3\xbf",
                                      "/\xef\xbf\xb0",
                                      "/\xc0\x80",
                                      "/\xf8\x88",
                                      "/\xe2\x82",
                                      "/\xef\xbf\xbf",
                                      "/\xf0\x9f\x98\x80",
                                      "/\xe0\x80\x80",
                                      "/\x80",
                                      "/a/\xff"};
    for (size_t index = 0; index < ARRAY_COUNT(good); index++)
        if (!valid(good[index]))
            fail_msg("refused good path %zu", index);
    for (size_t index = 0; index < ARRAY_COUNT(bad); index++)
        if (valid(bad[index]))
            fail_msg("took bad path %zu", index);
    assert_false(path_is_valid(SLICE_LITERAL("/a\0b")));
    assert_false(path_is_valid(SLICE_NULL));
}

static void parts_of_a_path(void **state)
{
    (void)state;
    assert_true(slice_equal_text(path_parent(SLICE_LITERAL("/a")), "/"));
    assert_true(slice_equal_text(path_parent(SLICE_LITERAL("/a/bc")), "/a"));
    assert_true(slice_equal_text(path_last(SLICE_LITERAL("/a/bc")), "bc"));
    assert_true(path_is_under(SLICE_LITERAL("/a/b"), SLICE_LITERAL("/a")));
    assert_true(path_is_under(SLICE_LITERAL("/a"), SLICE_LITERAL("/a")));
    assert_true(path_is_under(SLICE_LITERAL("/a"), SLICE_LITERAL("/")));
    assert_false(path_is_under(SLICE_LITERAL("/ab"), SLICE_LITERAL("/a")));
    assert_false(path_is_under(SLICE_LITERAL("/"), SLICE_LITERAL("/a")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(trap_4_and_1_1_path_rules),
                                       cmocka_unit_test(parts_of_a_path)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
