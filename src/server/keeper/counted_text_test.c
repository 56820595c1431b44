#include "server/keeper/counted_text.h"
#include "test/unit_test.h"

#include <math.h>

static void expect_double(const char *text, double value)
{
    char out[counted_text_double_bytes];
    assert_string_equal(text, counted_text_double(value, out));
}

/* What Java's Double.toString says. */
static void test_doubles(void **state)
{
    (void)state;
    expect_double("0.0", 0);
    expect_double("1.0", 1);
    expect_double("-1.0", -1);
    expect_double("15.0", 15);
    expect_double("6.4444", 6.4444);
    expect_double("0.001", 0.001);
    expect_double("9.5E-4", 0.00095);
    expect_double("9999999.0", 9999999);
    expect_double("1.0E7", 10000000);
    expect_double("3.865996E7", 38659960);
    expect_double("3.83188992E8", 383188992);
    expect_double("1.795882671343E9", 1795882671.343);
    expect_double("0.1", 0.1);
    expect_double("100.0", 100);
    expect_double("120.5", 120.5);
    expect_double("NaN", NAN);
    expect_double("Infinity", INFINITY);
}

static void write_words(struct counted_text *text)
{
    counted_text_print(text, "%d words", 2);
    counted_text_add(text, SLICE_LITERAL(", all told"));
}

static void test_counting_and_writing_agree(void **state)
{
    (void)state;
    char data[64];
    struct counted_text counted = {0};
    write_words(&counted);
    assert_int_equal(17, counted.size);
    struct counted_text written = {.data = data, .capacity = counted.size + 1};
    write_words(&written);
    assert_int_equal(counted.size, written.size);
    assert_memory_equal("2 words, all told", data, counted.size);
}

/* What does not fit is counted and left out. */
static void test_too_little_room(void **state)
{
    (void)state;
    char data[12] = "###########";
    struct counted_text text = {.data = data, .capacity = 10};
    write_words(&text);
    assert_int_equal(17, text.size);
    assert_memory_equal("2 words, a#", data, 11);
    counted_text_print(&text, "more");
    assert_int_equal(21, text.size);
    assert_memory_equal("2 words, a#", data, 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_counting_and_writing_agree),
        cmocka_unit_test(test_too_little_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
