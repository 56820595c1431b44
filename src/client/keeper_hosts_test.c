#include "client/keeper_hosts.h"

#include "test/unit_test.h"

static void a_connect_string_is_read(void **state)
{
    (void)state;
    struct slice list, chroot;
    struct keeper_hosts_entry entry;
    assert_true(
        keeper_hosts_split(SLICE_LITERAL("a:2182, [::1]:2183,b,::1/kafka/x"), &list, &chroot));
    assert_true(slice_equal_text(chroot, "/kafka/x"));
    const struct {
        const char *host;
        uint16_t port;
    } expected[] = {{"a", 2182}, {"::1", 2183}, {"b", 2181}, {"::1", 2181}};
    for (size_t index = 0; index < ARRAY_COUNT(expected); index++) {
        assert_non_null(list.data);
        assert_true(keeper_hosts_read(&list, &entry));
        assert_string_equal(entry.host, expected[index].host);
        assert_int_equal(entry.port, expected[index].port);
    }
    assert_null(list.data);
}

static void chroots_are_paths(void **state)
{
    (void)state;
    struct slice list, chroot;
    assert_true(keeper_hosts_split(SLICE_LITERAL("a"), &list, &chroot));
    assert_int_equal(chroot.size, 0);
    assert_true(keeper_hosts_split(SLICE_LITERAL("a/"), &list, &chroot));
    assert_int_equal(chroot.size, 0);
    assert_false(keeper_hosts_split(SLICE_LITERAL("a/b/"), &list, &chroot));
    assert_false(keeper_hosts_split(SLICE_LITERAL("a/b//c"), &list, &chroot));
}

static void what_is_not_a_host_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",        "a,",  ",a",   "a:",    "a:0",
                                        "a:70000", "a:x", "[::1", "[::1]x"};
    for (size_t index = 0; index < ARRAY_COUNT(wrong); index++) {
        struct slice list = slice_from_text(wrong[index]);
        struct keeper_hosts_entry entry;
        bool reads = true;
        while (reads && list.data != NULL)
            reads = keeper_hosts_read(&list, &entry);
        assert_false(reads);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connect_string_is_read),
        cmocka_unit_test(chroots_are_paths),
        cmocka_unit_test(what_is_not_a_host_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
