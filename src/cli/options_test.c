#include "cli/options.h"
#include "test/unit_test.h"

#include "base/macros.h"

static enum err parse(struct options *options, const char **complaint, char *first, char *second,
                      char *third)
{
    char program[] = "rookery";
    char *argv[] = {program, first, second, third};
    int argc = 1;
    while (argc < (int)ARRAY_COUNT(argv) && argv[argc] != NULL)
        argc++;
    return options_parse(options, argc, argv, complaint);
}

static void runs_both_services_by_default(void **state)
{
    (void)state;
    struct options options;
    const char *complaint;
    assert_int_equal(parse(&options, &complaint, NULL, NULL, NULL), ERR_OK);
    assert_int_equal(options.command, CLI_EMBEDDED);
    assert_int_equal(options.keeper_port, 2181);
    assert_int_equal(options.broker_port, 9092);
    assert_string_equal(options.data_path, "rookery-data");
}

static void takes_flags_before_the_command(void **state)
{
    (void)state;
    struct options options;
    const char *complaint;
    char program[] = "rookery", flag[] = "--io", world[] = "libuv", keeper[] = "keeper",
         path[] = "zoo.cfg";
    char *argv[] = {program, flag, world, keeper, path};
    assert_int_equal(options_parse(&options, 5, argv, &complaint), ERR_OK);
    assert_int_equal(options.command, CLI_KEEPER);
    assert_int_equal(options.io_choice, IO_CHOICE_UV);
    assert_string_equal(options.config_path, "zoo.cfg");
}

static void takes_the_form_of_diag_lines(void **state)
{
    (void)state;
    struct options options;
    const char *complaint;
    char program[] = "rookery", diag[] = "--diag", json[] = "json", level[] = "--diag-level",
         warn[] = "warn";
    char *argv[] = {program, diag, json, level, warn};
    assert_int_equal(options_parse(&options, 1, argv, &complaint), ERR_OK);
    assert_int_equal(options.diag_format, DIAG_TEXT);
    assert_int_equal(options.diag_level_min, DIAG_INFO);
    assert_int_equal(options_parse(&options, 5, argv, &complaint), ERR_OK);
    assert_int_equal(options.diag_format, DIAG_JSON);
    assert_int_equal(options.diag_level_min, DIAG_WARN);
    argv[2] = warn;
    assert_int_equal(options_parse(&options, 3, argv, &complaint), ERR_CONFIG);
    assert_string_equal(complaint, "--diag");
}

static void says_which_word_is_wrong(void **state)
{
    (void)state;
    struct options options;
    const char *complaint;
    char port_flag[] = "--broker-port", port[] = "70000", keeper[] = "keeper", zoo[] = "zoo.cfg",
         extra[] = "more", unknown[] = "keper";
    assert_int_equal(parse(&options, &complaint, port_flag, port, NULL), ERR_CONFIG);
    assert_string_equal(complaint, "--broker-port");
    assert_int_equal(parse(&options, &complaint, port_flag, NULL, NULL), ERR_CONFIG);
    assert_int_equal(parse(&options, &complaint, unknown, NULL, NULL), ERR_CONFIG);
    assert_string_equal(complaint, "keper");
    assert_int_equal(parse(&options, &complaint, keeper, zoo, extra), ERR_CONFIG);
    assert_string_equal(complaint, "more");
    assert_int_equal(parse(&options, &complaint, keeper, NULL, NULL), ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_both_services_by_default),
        cmocka_unit_test(takes_flags_before_the_command),
        cmocka_unit_test(takes_the_form_of_diag_lines),
        cmocka_unit_test(says_which_word_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
