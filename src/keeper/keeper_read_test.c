/* What a read answers and which events come when: the traps of the protocol, one by one. */
#include "test/keeper_driver.h"

static struct driver driver;

static int set_up(void **state)
{
    driver_init(&driver, driver_options());
    *state = &driver;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    driver_deinit(&driver);
    return 0;
}

static void ok(int32_t code)
{
    assert_int_equal(code, CODE_OK);
}

static void heard(const char *events)
{
    assert_string_equal(driver_events(&driver), events);
}

static void watch_data(int client, const char *path)
{
    ok(driver_look(&driver, client, OP_GET_DATA, path, true));
}

static void watch_children(int client, const char *path)
{
    ok(driver_look(&driver, client, OP_GET_CHILDREN, path, true));
}

static int32_t add_watch(int client, const char *path, int32_t mode)
{
    const struct zk_add_watch_request request = {slice_from_text(path), mode};
    return driver_read(&driver, client, OP_ADD_WATCH, &zk_add_watch_request_wire, &request);
}

static int32_t check_watches(int client, const char *path, int32_t type)
{
    const struct zk_check_watches_request request = {slice_from_text(path), type};
    return driver_read(&driver, client, OP_CHECK_WATCHES, &zk_check_watches_request_wire, &request);
}

static int32_t remove_watches(int client, const char *path, int32_t type)
{
    const struct zk_remove_watches_request request = {slice_from_text(path), type};
    return driver_read(&driver, client, OP_REMOVE_WATCHES, &zk_remove_watches_request_wire,
                       &request);
}

static struct zk_acl digest_acl(int32_t perms, const char *id)
{
    return (struct zk_acl){perms, {SLICE_LITERAL("digest"), slice_from_text(id)}};
}

/* --- reads --- */

static void null_and_empty_data_differ(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/a", 0));
    ok(driver_set(&driver, 0, "/a", NULL, -1));
    ok(driver_look(&driver, 0, OP_GET_DATA, "/a", false));
    assert_null(driver.reply.data.data);
    assert_int_equal(driver.reply.stat.data_length, 0);
    ok(driver_set(&driver, 0, "/a", "", -1));
    ok(driver_look(&driver, 0, OP_GET_DATA, "/a", false));
    assert_non_null(driver.reply.data.data);
    assert_int_equal(driver.reply.data.size, 0);
}

static void children_and_their_number(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/p", 0));
    ok(driver_create(&driver, 0, "/p/b", 0));
    ok(driver_create(&driver, 0, "/p/a", 0));
    ok(driver_create(&driver, 0, "/p/a/c", 0));
    ok(driver_look(&driver, 0, OP_GET_CHILDREN2, "/p", false));
    assert_int_equal(driver.reply.names.count, 2);
    assert_true(slice_equal_text(driver.reply.names.items[0], "b"));
    assert_true(slice_equal_text(driver.reply.names.items[1], "a"));
    assert_int_equal(driver.reply.stat.num_children, 2);
    const struct zk_get_all_children_number_request request = {SLICE_LITERAL("/p")};
    ok(driver_read(&driver, 0, OP_GET_ALL_CHILDREN_NUMBER, &zk_get_all_children_number_request_wire,
                   &request));
    assert_int_equal(driver.reply.total, 3);
}

static void trap_24_number_of_all_children_of_the_root(void **state)
{
    (void)state;
    const struct zk_get_all_children_number_request request = {SLICE_LITERAL("/")};
    ok(driver_read(&driver, 0, OP_GET_ALL_CHILDREN_NUMBER, &zk_get_all_children_number_request_wire,
                   &request));
    assert_int_equal(driver.reply.total, 3);
    assert_int_equal(keeper_znode_count(&driver.keeper), 5);
}

static void trap_21_exists_waits_for_a_missing_znode(void **state)
{
    (void)state;
    assert_int_equal(driver_look(&driver, 1, OP_GET_DATA, "/a", true), CODE_NO_NODE);
    assert_int_equal(driver_look(&driver, 1, OP_GET_CHILDREN, "/a", true), CODE_NO_NODE);
    ok(driver_create(&driver, 0, "/a", 0));
    heard("");
    ok(driver_delete(&driver, 0, "/a", -1));
    assert_int_equal(driver_look(&driver, 1, OP_EXISTS, "/a", true), CODE_NO_NODE);
    ok(driver_create(&driver, 0, "/a", 0));
    heard("1:1/a ");
    ok(driver_set(&driver, 0, "/a", "x", -1));
    heard("");
}

static void trap_22_read_permission(void **state)
{
    (void)state;
    const struct zk_acl closed = digest_acl(ACL_ALL, "x:y");
    ok(driver_create_with(&driver, 0, "/closed", &closed, 1));
    static const int32_t types[] = {OP_EXISTS, OP_GET_DATA, OP_GET_CHILDREN, OP_GET_CHILDREN2,
                                    OP_GET_ALL_CHILDREN_NUMBER};
    for (size_t index = 0; index < ARRAY_COUNT(types); index++)
        assert_int_equal(driver_look(&driver, 0, types[index], "/closed", true), CODE_NO_AUTH);
    assert_int_equal(driver_look(&driver, 0, OP_EXISTS, "/closed/none", false), CODE_NO_NODE);
    ok(add_watch(0, "/closed", 0));
    ok(check_watches(0, "/closed", 4));
}

static int32_t get_acl(int client, const char *path)
{
    const struct zk_get_acl_request request = {slice_from_text(path)};
    return driver_read(&driver, client, OP_GET_ACL, &zk_get_acl_request_wire, &request);
}

static void trap_23_get_acl_hides_digests(void **state)
{
    (void)state;
    driver_add_auth(&driver, 1, "user:secret");
    const struct zk_acl list[] = {
        {ACL_READ, {SLICE_LITERAL("world"), SLICE_LITERAL("anyone")}},
        {ACL_ALL, {SLICE_LITERAL("auth"), SLICE_LITERAL("")}},
    };
    ok(driver_create_with(&driver, 1, "/a", list, 2));
    ok(get_acl(0, "/a"));
    assert_true(slice_equal_text(driver.reply.acl.items[1].id.id, "user:x"));
    ok(get_acl(1, "/a"));
    assert_true(driver.reply.acl.items[1].id.id.size > 20);
    const struct zk_acl closed = digest_acl(ACL_ALL, "x:y");
    ok(driver_create_with(&driver, 0, "/closed", &closed, 1));
    assert_int_equal(get_acl(0, "/closed"), CODE_NO_AUTH);
    const struct zk_acl admin = {ACL_ADMIN, {SLICE_LITERAL("ip"), SLICE_LITERAL("127.0.0.0/8")}};
    ok(driver_create_with(&driver, 0, "/admin", &admin, 1));
    ok(get_acl(0, "/admin"));
    assert_int_equal(driver_look(&driver, 0, OP_GET_DATA, "/admin", false), CODE_NO_AUTH);
}

static void addresses_match_by_prefix(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        int32_t code;
    } cases[] = {{"127.0.0.1", CODE_OK},         {"127.0.0.2", CODE_NO_AUTH},
                 {"127.9.9.9/8", CODE_OK},       {"127.0.0.3/30", CODE_OK},
                 {"127.0.0.3/31", CODE_NO_AUTH}, {"0.0.0.0/0", CODE_OK},
                 {"::1", CODE_NO_AUTH}};
    char path[32];
    for (size_t index = 0; index < ARRAY_COUNT(cases); index++) {
        const struct zk_acl acl = {ACL_ALL,
                                   {SLICE_LITERAL("ip"), slice_from_text(cases[index].id)}};
        snprintf(path, sizeof path, "/n%zu", index);
        ok(driver_create_with(&driver, 0, path, &acl, 1));
        assert_int_equal(driver_look(&driver, 0, OP_GET_DATA, path, false), cases[index].code);
    }
}

static void ephemerals_of_the_session(void **state)
{
    (void)state;
    ok(driver_create(&driver, 1, "/a", 1));
    ok(driver_create(&driver, 1, "/ab", 1));
    ok(driver_create(&driver, 1, "/b", 1));
    ok(driver_create(&driver, 0, "/c", 1));
    static const struct {
        const char *prefix;
        int32_t count;
    } cases[] = {{"/a", 2}, {"/", 3}, {"", 3}, {"  ", 3}, {"/none", 0}, {"/b", 1}};
    for (size_t index = 0; index < ARRAY_COUNT(cases); index++) {
        const struct zk_get_ephemerals_request request = {slice_from_text(cases[index].prefix)};
        ok(driver_read(&driver, 1, OP_GET_EPHEMERALS, &zk_get_ephemerals_request_wire, &request));
        assert_int_equal(driver.reply.names.count, cases[index].count);
    }
    const struct zk_get_ephemerals_request request = {SLICE_NULL};
    ok(driver_read(&driver, 2, OP_GET_EPHEMERALS, &zk_get_ephemerals_request_wire, &request));
    assert_int_equal(driver.reply.names.count, 0);
}

static void who_am_i_names_users(void **state)
{
    (void)state;
    driver_add_auth(&driver, 0, "user:secret");
    ok(driver_read(&driver, 0, OP_WHO_AM_I, NULL, NULL));
    assert_int_equal(driver.reply.identities.count, 2);
    assert_true(slice_equal_text(driver.reply.identities.items[0].scheme, "ip"));
    assert_true(slice_equal_text(driver.reply.identities.items[0].id, "127.0.0.1"));
    assert_true(slice_equal_text(driver.reply.identities.items[1].id, "user"));
}

static void trap_27_auth_packets(void **state)
{
    (void)state;
    struct keeper_connection *connection = &driver.clients[0].connection;
    static const struct {
        const char *scheme, *secret;
        enum code code;
    } cases[] = {{"digest", "a:b", CODE_OK},
                 {"digest", "nocolon", CODE_OK},
                 {"digest", "", CODE_OK},
                 {"ip", "anything", CODE_OK},
                 {"world", "anyone", CODE_AUTH_FAILED},
                 {"super", "", CODE_AUTH_FAILED},
                 {"sasl", "x", CODE_AUTH_FAILED}};
    for (size_t index = 0; index < ARRAY_COUNT(cases); index++)
        assert_int_equal(keeper_connection_auth(&driver.keeper, connection,
                                                slice_from_text(cases[index].scheme),
                                                slice_from_text(cases[index].secret)),
                         cases[index].code);
    char secret[16];
    int refused = 0;
    for (int index = 0; index < 100; index++) {
        snprintf(secret, sizeof secret, "u%d:p", index);
        refused += keeper_connection_auth(&driver.keeper, connection, SLICE_LITERAL("digest"),
                                          slice_from_text(secret)) != CODE_OK;
    }
    assert_true(refused > 0 && connection->auth.count == auth_set_count_max);
}

static void multi_read_answers_each_on_its_own(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/a", 0));
    struct driver_multi multi = driver_multi_begin(&driver);
    const struct zk_get_data_request good = {SLICE_LITERAL("/a"), true};
    const struct zk_get_data_request missing = {SLICE_LITERAL("/none"), false};
    const struct zk_get_data_request root = {SLICE_LITERAL("/"), true};
    driver_multi_add(&multi, OP_GET_DATA, &zk_get_data_request_wire, &good);
    driver_multi_add(&multi, OP_GET_DATA, &zk_get_data_request_wire, &missing);
    driver_multi_add(&multi, OP_GET_CHILDREN, &zk_get_data_request_wire, &root);
    ok(driver_read_bytes(&driver, 0, OP_MULTI_READ, driver_multi_end(&multi)));
    assert_int_equal(driver.reply.reply_count, 3);
    assert_int_equal(driver.reply.replies[0].code, CODE_OK);
    assert_true(slice_equal_text(driver.reply.replies[0].data, "data"));
    assert_int_equal(driver.reply.replies[1].code, CODE_NO_NODE);
    assert_int_equal(driver.reply.replies[2].names.count, 2);
    /* Watch flags are dropped. */
    assert_int_equal(driver.keeper.watches.watches.count, 0);
}

static void multi_read_takes_only_reads(void **state)
{
    (void)state;
    struct driver_multi multi = driver_multi_begin(&driver);
    driver_multi_delete(&multi, "/a", -1);
    assert_int_equal(driver_read_bytes(&driver, 0, OP_MULTI_READ, driver_multi_end(&multi)),
                     CODE_MARSHALLING_ERROR);
}

static void undecodable_reads(void **state)
{
    (void)state;
    static const int32_t types[] = {
        OP_EXISTS,        OP_GET_DATA,      OP_GET_ACL,        OP_GET_CHILDREN,
        OP_MULTI_READ,    OP_SET_WATCHES,   OP_SET_WATCHES2,   OP_ADD_WATCH,
        OP_GET_CHILDREN2, OP_CHECK_WATCHES, OP_REMOVE_WATCHES, OP_GET_ALL_CHILDREN_NUMBER};
    for (size_t index = 0; index < ARRAY_COUNT(types); index++) {
        assert_int_equal(driver_read_bytes(&driver, 0, types[index], SLICE_LITERAL("\0\0\0")),
                         CODE_MARSHALLING_ERROR);
    }
}

static void null_paths_cannot_be_read(void **state)
{
    (void)state;
    static const int32_t types[] = {OP_EXISTS,       OP_GET_DATA,      OP_GET_ACL,
                                    OP_GET_CHILDREN, OP_GET_CHILDREN2, OP_GET_ALL_CHILDREN_NUMBER};
    for (size_t index = 0; index < ARRAY_COUNT(types); index++)
        assert_int_equal(
            driver_read_bytes(&driver, 0, types[index], SLICE_LITERAL("\xff\xff\xff\xff\0")),
            CODE_MARSHALLING_ERROR);
}

/* As in Apache's server, whose tables of watches know null. */
static void null_paths_can_be_watched(void **state)
{
    (void)state;
    const struct zk_check_watches_request any = {SLICE_NULL, 3};
    const struct zk_add_watch_request persistent = {SLICE_NULL, 0};
    const struct zk_check_watches_request empty = {SLICE_LITERAL(""), 3};
    assert_int_equal(
        driver_read(&driver, 0, OP_CHECK_WATCHES, &zk_check_watches_request_wire, &any),
        CODE_NO_WATCHER);
    ok(driver_read(&driver, 0, OP_ADD_WATCH, &zk_add_watch_request_wire, &persistent));
    ok(driver_read(&driver, 0, OP_CHECK_WATCHES, &zk_check_watches_request_wire, &any));
    assert_int_equal(
        driver_read(&driver, 0, OP_CHECK_WATCHES, &zk_check_watches_request_wire, &empty),
        CODE_NO_WATCHER);
    ok(driver_read(&driver, 0, OP_REMOVE_WATCHES, &zk_check_watches_request_wire, &any));
    assert_int_equal(driver.keeper.watches.watches.count, 0);
}

/* A part that cannot be answered ends the answers, and those before it are told. */
static void multi_read_tells_what_it_read_before_it_failed(void **state)
{
    (void)state;
    const struct zk_get_data_request root = {SLICE_LITERAL("/"), false};
    const struct zk_get_data_request null = {SLICE_NULL, false};
    struct driver_multi multi = driver_multi_begin(&driver);
    driver_multi_add(&multi, OP_GET_DATA, &zk_get_data_request_wire, &root);
    driver_multi_add(&multi, OP_GET_DATA, &zk_get_data_request_wire, &null);
    driver_multi_add(&multi, OP_GET_DATA, &zk_get_data_request_wire, &root);
    assert_int_equal(driver_read_bytes(&driver, 0, OP_MULTI_READ, driver_multi_end(&multi)),
                     CODE_MARSHALLING_ERROR);
    assert_true(driver.reply.has_replies);
    assert_int_equal(driver.reply.reply_count, 1);
    multi = driver_multi_begin(&driver); /* A read and a write do not mix: nothing is told. */
    driver_multi_add(&multi, OP_GET_DATA, &zk_get_data_request_wire, &root);
    driver_multi_delete(&multi, "/a", -1);
    assert_int_equal(driver_read_bytes(&driver, 0, OP_MULTI_READ, driver_multi_end(&multi)),
                     CODE_MARSHALLING_ERROR);
    assert_false(driver.reply.has_replies);
}

/* The empty path is another name of the root, which then counts itself. */
static void number_of_all_children_of_the_empty_path(void **state)
{
    (void)state;
    const struct zk_get_all_children_number_request root = {SLICE_LITERAL("/")};
    const struct zk_get_all_children_number_request empty = {SLICE_LITERAL("")};
    ok(driver_read(&driver, 0, OP_GET_ALL_CHILDREN_NUMBER, &zk_get_all_children_number_request_wire,
                   &root));
    const int32_t count = driver.reply.total;
    ok(driver_read(&driver, 0, OP_GET_ALL_CHILDREN_NUMBER, &zk_get_all_children_number_request_wire,
                   &empty));
    assert_int_equal(driver.reply.total, count + 1);
}

/* --- events --- */

static void trap_29_create_and_delete(void **state)
{
    (void)state;
    watch_children(1, "/");
    assert_int_equal(driver_look(&driver, 1, OP_EXISTS, "/a", true), CODE_NO_NODE);
    ok(driver_create(&driver, 0, "/a", 0));
    heard("1:1/a 1:4/ ");
    watch_data(1, "/a");
    watch_children(1, "/a");
    watch_children(2, "/a");
    watch_children(1, "/");
    ok(driver_delete(&driver, 0, "/a", -1));
    /* Data, then children of the same znode for who was not told, then the parent. */
    heard("1:2/a 2:2/a 1:4/ ");
    assert_int_equal(driver.keeper.watches.watches.count, 0);
}

static void trap_30_set_data_fires_and_set_acl_does_not(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/a", 0));
    watch_data(1, "/a");
    watch_children(1, "/a");
    ok(driver_set_acl(&driver, 0, "/a", driver_open_acl, 1, -1));
    heard("");
    ok(driver_set(&driver, 0, "/a", "data", -1));
    heard("1:3/a ");
    ok(driver_set(&driver, 0, "/a", "data", -1));
    heard("");
}

static void trap_30_close_fires_for_each_ephemeral(void **state)
{
    (void)state;
    ok(driver_create(&driver, 1, "/a", 1));
    ok(driver_create(&driver, 1, "/b", 1));
    watch_data(0, "/a");
    watch_data(0, "/b");
    watch_children(2, "/");
    ok(driver_close(&driver, 1));
    heard("0:2/a 2:4/ 0:2/b ");
}

static void trap_31_multi_fires_in_order(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/a", 0));
    watch_data(1, "/a");
    watch_children(1, "/");
    struct driver_multi multi = driver_multi_begin(&driver);
    driver_multi_create(&multi, OP_CREATE, "/b", 0);
    driver_multi_set(&multi, "/a", -1);
    driver_multi_delete(&multi, "/b", -1);
    ok(driver_multi_write(&multi, 0));
    heard("1:4/ 1:3/a ");
}

static void trap_32_a_filtered_watch_is_used_up(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/a", 0));
    watch_data(1, "/a");
    const struct zk_acl closed = {ACL_READ | ACL_WRITE | ACL_ADMIN,
                                  {SLICE_LITERAL("ip"), SLICE_LITERAL("10.0.0.1")}};
    ok(driver_set_acl(&driver, 0, "/a", &closed, 1, -1));
    driver_add_auth(&driver, 0, "super:test");
    ok(driver_set(&driver, 0, "/a", "x", -1));
    heard("");
    assert_int_equal(driver.keeper.watches.watches.count, 0);
}

static void set_watches(int client, int64_t zxid, const char *data, const char *exist,
                        const char *child)
{
    struct slice lists[] = {slice_from_text(data), slice_from_text(exist), slice_from_text(child)};
    const struct zk_set_watches_request request = {
        .relative_zxid = zxid,
        .data_watches = {&lists[0], 1},
        .exist_watches = {&lists[1], 1},
        .child_watches = {&lists[2], 1},
    };
    ok(driver_read(&driver, client, OP_SET_WATCHES, &zk_set_watches_request_wire, &request));
}

static void trap_33_set_watches_catches_up(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/a", 0));
    ok(driver_create(&driver, 0, "/b", 0));
    const int64_t seen = driver.keeper.zxid_applied;
    set_watches(1, seen, "/gone", "/a", "/gone2");
    heard("1:2/gone! 1:1/a! 1:2/gone2! ");
    set_watches(1, seen, "/a", "/later", "/a");
    heard("");
    ok(driver_set(&driver, 0, "/a", "x", -1));
    ok(driver_create(&driver, 0, "/a/c", 0));
    ok(driver_create(&driver, 0, "/later", 0));
    heard("1:3/a 1:4/a 1:1/later ");
    set_watches(1, seen, "/a", "/other", "/a");
    heard("1:3/a! 1:4/a! ");
    set_watches(1, seen, "/b", "/other", "/b");
    heard("");
}

static void trap_33_persistent_watches_do_not_catch_up(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/a", 0));
    struct slice persistent[] = {SLICE_LITERAL("/a")};
    struct slice recursive[] = {SLICE_LITERAL("/a"), SLICE_LITERAL("/none")};
    const struct zk_set_watches2_request request = {
        .persistent_watches = {persistent, 1},
        .persistent_recursive_watches = {recursive, 2},
    };
    ok(driver_read(&driver, 1, OP_SET_WATCHES2, &zk_set_watches2_request_wire, &request));
    heard("");
    ok(check_watches(1, "/a", 4));
    ok(check_watches(1, "/none", 5));
    /* Told once of the znode itself, and by both modes of the child. */
    ok(driver_set(&driver, 0, "/a", "x", -1));
    ok(driver_create(&driver, 0, "/a/b", 0));
    heard("1:3/a 1:1/a/b 1:4/a ");
}

static void trap_35_recursive_watches_cover_descendants(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/a", 0));
    ok(add_watch(1, "/", 1));
    ok(add_watch(2, "/a", 1));
    watch_data(2, "/a");
    ok(driver_create(&driver, 0, "/a/b", 0));
    heard("2:1/a/b 1:1/a/b ");
    ok(driver_set(&driver, 0, "/a", "x", -1));
    heard("2:3/a 1:3/a ");
    ok(driver_create(&driver, 0, "/ab", 0));
    heard("1:1/ab ");
    ok(driver_delete(&driver, 0, "/a/b", -1));
    heard("2:2/a/b 1:2/a/b ");
    ok(driver_set(&driver, 0, "/", "x", -1));
    heard("1:3/ ");
}

static void persistent_watches_stay(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/a", 0));
    ok(add_watch(1, "/a", 0));
    for (int round = 0; round < 3; round++) {
        ok(driver_set(&driver, 0, "/a", "x", -1));
        ok(driver_create(&driver, 0, "/a/b", 0));
        ok(driver_delete(&driver, 0, "/a/b", -1));
        heard("1:3/a 1:4/a 1:4/a ");
    }
    ok(driver_delete(&driver, 0, "/a", -1));
    heard("1:2/a ");
    ok(driver_create(&driver, 0, "/a", 0));
    heard("1:1/a ");
}

static void trap_36_types_of_remove_and_check(void **state)
{
    (void)state;
    static const struct {
        int32_t type;
        bool removes[5]; /* data, child, persistent, recursive, missing */
    } cases[] = {{1, {false, true, false, false, false}},
                 {2, {true, false, false, false, false}},
                 {3, {true, true, true, true, false}},
                 {4, {false, false, true, false, false}},
                 {5, {false, false, false, true, false}}};
    static const char *const paths[] = {"/data", "/child", "/persistent", "/recursive", "/missing"};
    for (int index = 0; index < 5; index++)
        ok(driver_create(&driver, 0, paths[index], 0));
    for (size_t index = 0; index < ARRAY_COUNT(cases); index++) {
        watch_data(1, "/data");
        watch_children(1, "/child");
        ok(add_watch(1, "/persistent", 0));
        ok(add_watch(1, "/recursive", 1));
        for (int kind = 0; kind < 5; kind++) {
            const int32_t expected = cases[index].removes[kind] ? CODE_OK : CODE_NO_WATCHER;
            assert_int_equal(check_watches(1, paths[kind], cases[index].type), expected);
            assert_int_equal(check_watches(2, paths[kind], cases[index].type), CODE_NO_WATCHER);
            assert_int_equal(remove_watches(1, paths[kind], cases[index].type), expected);
            assert_int_equal(remove_watches(1, paths[kind], cases[index].type), CODE_NO_WATCHER);
        }
    }
    assert_int_equal(check_watches(1, "/a", 0), CODE_MARSHALLING_ERROR);
    assert_int_equal(remove_watches(1, "/a", 6), CODE_MARSHALLING_ERROR);
    assert_int_equal(add_watch(1, "/a", 2), CODE_MARSHALLING_ERROR);
    assert_int_equal(add_watch(1, "/a", -1), CODE_MARSHALLING_ERROR);
}

static void modes_coexist_on_one_path(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/a", 0));
    watch_data(1, "/a");
    ok(add_watch(1, "/a", 0));
    ok(driver_set(&driver, 0, "/a", "x", -1));
    heard("1:3/a ");
    assert_int_equal(check_watches(1, "/a", 2), CODE_NO_WATCHER);
    ok(check_watches(1, "/a", 4));
    watch_data(1, "/a");
    ok(remove_watches(1, "/a", 4));
    ok(check_watches(1, "/a", 2));
}

static void trap_37_watches_die_with_the_connection(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/a", 0));
    watch_data(1, "/a");
    watch_data(1, "/a");
    assert_int_equal(driver.keeper.watches.watch_count[WATCH_KIND_DATA], 1);
    keeper_connection_deinit(&driver.keeper, &driver.clients[1].connection);
    assert_int_equal(driver.keeper.watches.watches.count, 0);
    assert_int_equal(driver.keeper.watches.watcher_count[WATCH_KIND_DATA], 0);
    driver_connect(&driver, 1);
}

static void watches_are_bounded(void **state)
{
    (void)state;
    driver.keeper.watches.watch_count_max = 1;
    assert_int_equal(driver_look(&driver, 0, OP_EXISTS, "/a", true), CODE_NO_NODE);
    assert_int_equal(driver_look(&driver, 0, OP_EXISTS, "/b", true), CODE_SYSTEM_ERROR);
}

/* --- sessions --- */

static void sessions_expire_and_take_their_ephemerals(void **state)
{
    (void)state;
    ok(driver_create(&driver, 1, "/e", 1));
    watch_data(0, "/e");
    int64_t id;
    driver.now_ms = 11999;
    assert_false(keeper_expire_next(&driver.keeper, driver.now_ms, &id));
    for (int client = 0; client < driver_connection_count; client++)
        if (client != 1)
            assert_true(keeper_touch_session(&driver.keeper,
                                             driver.clients[client].connection.session_id,
                                             driver_timeout_ms, driver.now_ms));
    driver.now_ms = 12000;
    assert_true(keeper_expire_next(&driver.keeper, driver.now_ms, &id));
    assert_int_equal(id, driver.clients[1].connection.session_id);
    assert_false(keeper_expire_next(&driver.keeper, driver.now_ms, &id));
    assert_int_equal(driver_look(&driver, 1, OP_EXISTS, "/", false), CODE_SESSION_EXPIRED);
    ok(driver_close(&driver, 1));
    heard("0:2/e ");
}

static void only_the_right_password_resumes(void **state)
{
    (void)state;
    const int64_t id = driver.clients[0].connection.session_id;
    uint8_t password[session_password_bytes];
    session_password(id, password);
    const struct slice right = slice_of(password, sizeof password);
    assert_true(keeper_may_resume(&driver.keeper, id, right));
    assert_false(keeper_may_resume(&driver.keeper, id + 1, right));
    assert_false(keeper_may_resume(&driver.keeper, id, slice_of(password, 15)));
    assert_false(keeper_may_resume(&driver.keeper, id, SLICE_NULL));
    password[3] ^= 1;
    assert_false(keeper_may_resume(&driver.keeper, id, right));
}

static void timeouts_are_clamped(void **state)
{
    (void)state;
    assert_int_equal(keeper_clamp_timeout(&driver.keeper, -1), 4000);
    assert_int_equal(keeper_clamp_timeout(&driver.keeper, 10000), 10000);
    assert_int_equal(keeper_clamp_timeout(&driver.keeper, INT32_MAX), 40000);
}

static void start_removes_ephemerals_of_unknown_sessions(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/kept", 1));
    ok(driver_create(&driver, 1, "/lost", 1));
    session_table_close(&driver.keeper.sessions, driver.clients[1].connection.session_id);
    keeper_start(&driver.keeper, 50000, 2000000);
    ok(driver_look(&driver, 0, OP_EXISTS, "/kept", false));
    assert_int_equal(driver_look(&driver, 0, OP_EXISTS, "/lost", false), CODE_NO_NODE);
    int64_t id;
    assert_false(keeper_expire_next(&driver.keeper, 59999, &id));
    assert_true(keeper_expire_next(&driver.keeper, 62000, &id));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(null_and_empty_data_differ),
        TEST(children_and_their_number),
        TEST(trap_24_number_of_all_children_of_the_root),
        TEST(trap_21_exists_waits_for_a_missing_znode),
        TEST(trap_22_read_permission),
        TEST(trap_23_get_acl_hides_digests),
        TEST(addresses_match_by_prefix),
        TEST(ephemerals_of_the_session),
        TEST(who_am_i_names_users),
        TEST(trap_27_auth_packets),
        TEST(multi_read_answers_each_on_its_own),
        TEST(multi_read_takes_only_reads),
        TEST(undecodable_reads),
        TEST(null_paths_cannot_be_read),
        TEST(null_paths_can_be_watched),
        TEST(multi_read_tells_what_it_read_before_it_failed),
        TEST(number_of_all_children_of_the_empty_path),
        TEST(trap_29_create_and_delete),
        TEST(trap_30_set_data_fires_and_set_acl_does_not),
        TEST(trap_30_close_fires_for_each_ephemeral),
        TEST(trap_31_multi_fires_in_order),
        TEST(trap_32_a_filtered_watch_is_used_up),
        TEST(trap_33_set_watches_catches_up),
        TEST(trap_33_persistent_watches_do_not_catch_up),
        TEST(trap_35_recursive_watches_cover_descendants),
        TEST(persistent_watches_stay),
        TEST(trap_36_types_of_remove_and_check),
        TEST(modes_coexist_on_one_path),
        TEST(trap_37_watches_die_with_the_connection),
        TEST(watches_are_bounded),
        TEST(sessions_expire_and_take_their_ephemerals),
        TEST(only_the_right_password_resumes),
        TEST(timeouts_are_clamped),
        TEST(start_removes_ephemerals_of_unknown_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
