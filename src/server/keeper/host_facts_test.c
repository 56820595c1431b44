#include "server/keeper/host_facts.h"
#include "test/unit_test.h"

static void test_limit(void **state)
{
    (void)state;
    const char text[] =
        "Limit                     Soft Limit           Hard Limit           Units     \n"
        "Max core file size        0                    unlimited            bytes     \n"
        "Max open files            20000                524288               files     \n"
        "Max locked memory         8388608              8388608              bytes     \n";
    assert_int_equal(20000, host_facts_parse_limit(slice_from_text(text)));
    assert_int_equal(0, host_facts_parse_limit(SLICE_LITERAL("Max open files")));
    assert_int_equal(7, host_facts_parse_limit(SLICE_LITERAL("Max open files 7")));
    assert_int_equal(0, host_facts_parse_limit(SLICE_LITERAL("nothing\nof the kind")));
    assert_int_equal(0, host_facts_parse_limit(SLICE_NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
