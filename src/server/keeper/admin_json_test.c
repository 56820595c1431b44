#include "server/keeper/admin_json.h"
#include "test/unit_test.h"

#include <math.h>

static char data[1024];

static struct counted_text text;

static struct admin_json json;

static void begin(void)
{
    memset(data, 0, sizeof data);
    text = (struct counted_text){.data = data, .capacity = sizeof data};
    admin_json_init(&json, &text);
}

/* As Apache's admin server lays it out. */
static void test_layout(void **state)
{
    (void)state;
    begin();
    admin_json_open_object(&json);
    admin_json_put_text(&json, "command", "ruok");
    admin_json_key(&json, SLICE_LITERAL("list"));
    admin_json_open_array(&json);
    admin_json_int(&json, -1);
    admin_json_open_object(&json);
    admin_json_put_int(&json, "a", 1);
    admin_json_key(&json, SLICE_LITERAL("inner"));
    admin_json_open_object(&json);
    admin_json_put_bool(&json, "b", true);
    admin_json_close_object(&json);
    admin_json_close_object(&json);
    admin_json_open_object(&json);
    admin_json_close_object(&json);
    admin_json_close_array(&json);
    admin_json_key(&json, SLICE_LITERAL("none"));
    admin_json_open_array(&json);
    admin_json_close_array(&json);
    admin_json_key(&json, SLICE_LITERAL("error"));
    admin_json_null(&json);
    admin_json_close_object(&json);
    assert_string_equal("{\n"
                        "  \"command\" : \"ruok\",\n"
                        "  \"list\" : [ -1, {\n"
                        "    \"a\" : 1,\n"
                        "    \"inner\" : {\n"
                        "      \"b\" : true\n"
                        "    }\n"
                        "  }, { } ],\n"
                        "  \"none\" : [ ],\n"
                        "  \"error\" : null\n"
                        "}",
                        data);
}

static void expect_text(const char *expected, struct slice bytes)
{
    begin();
    admin_json_text(&json, bytes);
    assert_string_equal(expected, data);
}

static void test_texts(void **state)
{
    (void)state;
    expect_text("\"\"", SLICE_LITERAL(""));
    expect_text("\"a b\\\"c\\\\\"", SLICE_LITERAL("a b\"c\\"));
    expect_text("\"\\n\\r\\t\\b\\f\\u0001\\u001F\x7f\"", SLICE_LITERAL("\n\r\t\b\f\x01\x1f\x7f"));
    expect_text("\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa6\"",
                SLICE_LITERAL("\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xa6"));
}

/* Whatever is in a path, the answer is UTF-8. */
static void test_broken_texts(void **state)
{
    (void)state;
    expect_text("\"a\xef\xbf\xbd\"", SLICE_LITERAL("a\xff"));
    expect_text("\"\xef\xbf\xbd\xef\xbf\xbd\"", SLICE_LITERAL("\xc0\x80"));
    expect_text("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"", SLICE_LITERAL("\xed\xa0\x80"));
    expect_text("\"\xef\xbf\xbd\xef\xbf\xbd\"", SLICE_LITERAL("\xe2\x82"));
    expect_text("\"\xef\xbf\xbd(\"", SLICE_LITERAL("\xc3("));
}

static void test_doubles(void **state)
{
    (void)state;
    begin();
    admin_json_open_array(&json);
    admin_json_double(&json, 1.5);
    admin_json_double(&json, NAN);
    admin_json_close_array(&json);
    assert_string_equal("[ 1.5, \"NaN\" ]", data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_broken_texts),
        cmocka_unit_test(test_doubles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
