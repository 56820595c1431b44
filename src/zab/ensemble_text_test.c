#include "zab/ensemble_text.h"

#include "test/unit_test.h"

static struct ensemble_member member_of(const char *value)
{
    struct ensemble_member member;
    const char *reason = ensemble_text_parse_server(slice_from_text(value), &member);
    if (reason != NULL)
        fail_msg("%s: %s", value, reason);
    return member;
}

static void a_server_line_is_read(void **state)
{
    (void)state;
    struct ensemble_member member = member_of("zoo1:2888:3888");
    assert_true(slice_equal_text(member.addresses[0].host, "zoo1"));
    assert_int_equal(member.addresses[0].quorum_port, 2888);
    assert_int_equal(member.addresses[0].election_port, 3888);
    assert_true(member.is_voter);
    assert_int_equal(member.client_port, 0);
    member = member_of(" 10.0.0.1:2888:3888:observer ; 2181 ");
    assert_false(member.is_voter);
    assert_int_equal(member.client_port, 2181);
    assert_int_equal(member.client_host.size, 0);
    member = member_of("[::1]:1:2:participant;[fe80::2]:2181");
    assert_true(slice_equal_text(member.addresses[0].host, "::1"));
    assert_true(slice_equal_text(member.client_host, "fe80::2"));
    member = member_of("a:1:2|b:3:4:observer;127.0.0.1:5");
    assert_int_equal(member.address_count, 2);
    assert_true(slice_equal_text(member.addresses[1].host, "b"));
    assert_int_equal(member.addresses[1].election_port, 4);
    assert_false(member.is_voter);
}

static void a_wrong_line_is_told_what_was_expected(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "zoo1",
        "zoo1:2888",
        "zoo1:2888:",
        ":2888:3888",
        "z:0:3888",
        "z:2888:65536",
        "z:2888:3888:boss",
        "z:1:2;",
        "z:1:2;x",
        "z:1:2;h:0",
        "z:7:7",
        "[::1:1:2",
        "z:1:2|",
        "z:1:2||y:3:4",
        "z:-1:2",
        "a:1:2|a:3:4|a:5:6|a:7:8|a:9:10",
        "z:1:2:participant:3",
    };
    for (size_t index = 0; index < ARRAY_COUNT(wrong); index++) {
        struct ensemble_member member;
        if (ensemble_text_parse_server(slice_from_text(wrong[index]), &member) == NULL)
            fail_msg("\"%s\" was taken", wrong[index]);
    }
}

/* As a server of Apache's prints its configuration. */
static const char plain[] = "server.1=127.0.0.1:2881:3881:participant;0.0.0.0:2181\n"
                            "server.2=zoo2:2882:3882|zoo2b:2892:3892:participant\n"
                            "server.3=[::1]:2883:3883:observer;127.0.0.1:2183\n"
                            "version=1000000a7";
static const char grouped[] = "server.1=a:1:2:participant\n"
                              "server.2=b:1:2:participant\n"
                              "server.3=c:1:2:participant\n"
                              "group.1=1:3\n"
                              "group.2=2\n"
                              "weight.1=1\n"
                              "weight.2=0\n"
                              "weight.3=4\n"
                              "version=0";

static void assert_comes_back(const char *text)
{
    struct ensemble ensemble;
    char printed[1024];
    assert_int_equal(ensemble_text_parse(slice_from_text(text), &ensemble), ERR_OK);
    assert_int_equal(ensemble_text_print(&ensemble, printed, sizeof printed), strlen(text));
    assert_string_equal(printed, text);
    assert_int_equal(ensemble_text_print(&ensemble, NULL, 0), strlen(text));
    char small[20];
    assert_int_equal(ensemble_text_print(&ensemble, small, sizeof small), strlen(text));
}

static void a_configuration_comes_back_as_it_went(void **state)
{
    (void)state;
    struct ensemble ensemble;
    assert_comes_back(plain);
    assert_comes_back(grouped);
    assert_int_equal(ensemble_text_parse(SLICE_LITERAL(""), &ensemble), ERR_OK);
    assert_int_equal(ensemble.member_count, 0);
    assert_int_equal(ensemble_text_parse(slice_from_text(plain), &ensemble), ERR_OK);
    assert_int_equal(ensemble.version, 0x1000000a7);
    assert_int_equal(ensemble_text_parse(slice_from_text(grouped), &ensemble), ERR_OK);
    assert_true(ensemble.has_groups);
    assert_int_equal(ensemble_weight(&ensemble, 3), 4);
}

static void a_wrong_configuration_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "server.x=a:1:2",
        "server.1=a:1",
        "server.1=a:1:2\nserver.1=b:1:2",
        "group.1=1",
        "server.1=a:1:2\ngroup.1=1\ngroup.2=1",
        "weight.1=1",
        "server.1=a:1:2\nweight.1=-1",
        "version=xyz",
        "version=",
        "server.1=a:1:2\ngroup.a=1",
    };
    for (size_t index = 0; index < ARRAY_COUNT(wrong); index++) {
        struct ensemble ensemble;
        if (ensemble_text_parse(slice_from_text(wrong[index]), &ensemble) != ERR_MALFORMED)
            fail_msg("\"%s\" was taken", wrong[index]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_line_is_read),
        cmocka_unit_test(a_wrong_line_is_told_what_was_expected),
        cmocka_unit_test(a_configuration_comes_back_as_it_went),
        cmocka_unit_test(a_wrong_configuration_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
