/* What a write decides: the traps of the protocol, one by one. */
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

static void created_as(const char *path)
{
    assert_true(slice_equal_text(driver.result.path, path));
}

static void trap_1_cversion_counts_creates_and_deletes(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/p", 0));
    assert_int_equal(driver_stat(&driver, "/p").cversion, 0);
    ok(driver_create(&driver, 0, "/p/a", 0));
    ok(driver_create(&driver, 0, "/p/b", 0));
    assert_int_equal(driver_stat(&driver, "/p").cversion, 2);
    ok(driver_delete(&driver, 0, "/p/a", -1));
    assert_int_equal(driver_stat(&driver, "/p").cversion, 3);
    assert_int_equal(driver_stat(&driver, "/p").num_children, 1);
}

static void trap_2_pzxid_moves_with_children_only(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/p", 0));
    const int64_t created = driver_stat(&driver, "/p").pzxid;
    assert_int_equal(created, driver_stat(&driver, "/p").czxid);
    ok(driver_set(&driver, 0, "/p", "x", -1));
    ok(driver_set_acl(&driver, 0, "/p", driver_open_acl, 1, -1));
    assert_int_equal(driver_stat(&driver, "/p").pzxid, created);
    ok(driver_create(&driver, 0, "/p/a", 0));
    assert_int_equal(driver_stat(&driver, "/p").pzxid, driver.keeper.zxid_applied);
    ok(driver_delete(&driver, 0, "/p/a", -1));
    assert_int_equal(driver_stat(&driver, "/p").pzxid, driver.keeper.zxid_applied);
}

static void trap_3_sequence_is_the_parents_count_of_creates(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/p", 0));
    ok(driver_create(&driver, 0, "/p/n", 2));
    created_as("/p/n0000000000");
    ok(driver_create(&driver, 0, "/p/plain", 0));
    ok(driver_delete(&driver, 0, "/p/n0000000000", -1));
    ok(driver_create(&driver, 0, "/p/other", 3));
    created_as("/p/other0000000002");
}

static void trap_3_sequence_wraps_to_negative(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/p", 0));
    struct tree *tree = &driver.keeper.tree;
    struct znode_more *parent = tree_take_more(tree, tree_find(tree, SLICE_LITERAL("/p")));
    assert_non_null(parent);
    parent->cversion = INT32_MAX;
    ok(driver_create(&driver, 0, "/p/n", 2));
    created_as("/p/n2147483647");
    parent->cversion = -5;
    ok(driver_create(&driver, 0, "/p/n", 2));
    created_as("/p/n-000000005");
    parent->cversion = INT32_MIN;
    ok(driver_create(&driver, 0, "/p/n", 2));
    created_as("/p/n-2147483648");
}

static void trap_4_sequential_name_may_be_empty(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/p", 0));
    ok(driver_create(&driver, 0, "/p/", 2));
    created_as("/p/0000000000");
    assert_int_equal(driver_create(&driver, 0, "/p/", 0), CODE_BAD_ARGUMENTS);
}

static void trap_5_pipelined_requests_see_each_other(void **state)
{
    (void)state;
    const struct zk_create_request create = driver_create_request("/a", "x", 0);
    const struct zk_set_data_request set = {SLICE_LITERAL("/a"), SLICE_LITERAL("y"), 0};
    const struct zk_delete_request delete = {SLICE_LITERAL("/a"), 1};
    ok((int32_t)driver_prepare(&driver, 0, OP_CREATE, &zk_create_request_wire, &create));
    ok((int32_t)driver_prepare(&driver, 1, OP_SET_DATA, &zk_set_data_request_wire, &set));
    ok((int32_t)driver_prepare(&driver, 2, OP_SET_DATA, &zk_set_data_request_wire, &set));
    ok((int32_t)driver_prepare(&driver, 2, OP_DELETE, &zk_delete_request_wire, &delete));
    ok((int32_t)driver_prepare(&driver, 3, OP_DELETE, &zk_delete_request_wire, &delete));
    ok(driver_apply(&driver));
    ok(driver_apply(&driver));
    assert_int_equal(driver_apply(&driver), CODE_BAD_VERSION);
    ok(driver_apply(&driver));
    assert_int_equal(driver_apply(&driver), CODE_NO_NODE);
    assert_int_equal(driver.keeper.pending.by_path.count, 0);
    assert_int_equal(driver.keeper.pending.reserved_bytes, 0);
}

static void trap_6_version_minus_one_is_any(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/a", 0));
    ok(driver_set(&driver, 0, "/a", "x", -1));
    ok(driver_set(&driver, 0, "/a", "x", 1));
    assert_int_equal(driver_set(&driver, 0, "/a", "x", 1), CODE_BAD_VERSION);
    const struct zk_stat before = driver_stat(&driver, "/a");
    ok(driver_set_acl(&driver, 0, "/a", driver_open_acl, 1, 0));
    assert_int_equal(driver_set_acl(&driver, 0, "/a", driver_open_acl, 1, 0), CODE_BAD_VERSION);
    const struct zk_stat after = driver_stat(&driver, "/a");
    assert_int_equal(after.aversion, 1);
    assert_int_equal(after.version, before.version);
    assert_int_equal(after.mzxid, before.mzxid);
    assert_int_equal(driver_delete(&driver, 0, "/a", 7), CODE_BAD_VERSION);
    ok(driver_delete(&driver, 0, "/a", 2));
}

static void trap_7_mtime_is_the_transactions(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/a", 0));
    driver.now_ms = 77;
    ok(driver_set(&driver, 0, "/a", "x", -1));
    const struct zk_stat stat = driver_stat(&driver, "/a");
    assert_int_equal(stat.ctime, 1000000);
    assert_int_equal(stat.mtime, 1000077);
    assert_int_equal(stat.mzxid, driver.keeper.zxid_applied);
}

static void trap_8_failed_writes_use_a_zxid(void **state)
{
    (void)state;
    const int64_t zxid = driver.keeper.zxid_applied;
    assert_int_equal(driver_delete(&driver, 0, "/none", -1), CODE_NO_NODE);
    assert_int_equal(driver.result.type, OP_ERROR);
    assert_int_equal(driver.keeper.zxid_applied, zxid + 1);
    assert_int_equal(driver_look(&driver, 0, OP_GET_DATA, "/none", false), CODE_NO_NODE);
    assert_int_equal(driver.keeper.zxid_applied, zxid + 1);
}

static void trap_9_root_and_builtins(void **state)
{
    (void)state;
    assert_int_equal(driver_stat(&driver, "/").cversion, -1);
    static const char *const builtins[] = {"/", "/zookeeper", "/zookeeper/quota",
                                           "/zookeeper/config"};
    for (size_t index = 0; index < ARRAY_COUNT(builtins); index++)
        assert_int_equal(driver_delete(&driver, 0, builtins[index], -1), CODE_BAD_ARGUMENTS);
    ok(driver_set(&driver, 0, "/", "x", -1));
    assert_int_equal(driver_create(&driver, 0, "/", 0), CODE_NODE_EXISTS);
    assert_int_equal(driver_create(&driver, 0, "", 0), CODE_BAD_ARGUMENTS);
    assert_int_equal(driver_set(&driver, 0, "", "x", -1), CODE_BAD_ARGUMENTS);
    assert_int_equal(driver_set(&driver, 0, "/zookeeper/config", "x", -1), CODE_NO_AUTH);
}

static void trap_10_children_of_zookeeper_are_allowed(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/zookeeper/mine", 0));
    ok(driver_create(&driver, 0, "/zookeeper/quota/a", 0));
}

static const struct zk_acl nobody_acl[] = {
    {ACL_ALL, {{(const uint8_t *)"digest", 6}, {(const uint8_t *)"x:y", 3}}}};
static const struct zk_acl bad_acl[] = {
    {ACL_ALL, {{(const uint8_t *)"world", 5}, {(const uint8_t *)"nobody", 6}}}};

static void trap_13_order_of_checks_of_create(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/e", 1));
    ok(driver_create_with(&driver, 0, "/closed", nobody_acl, 1));
    ok(driver_create_with(&driver, 0, "/p", driver_open_acl, 1));

    /* Flags before everything, also before the session. */
    session_table_mark_closing(&driver.keeper.sessions, driver.clients[3].connection.session_id);
    assert_int_equal(driver_create(&driver, 3, "/x", 7), CODE_BAD_ARGUMENTS);
    assert_int_equal(driver_create(&driver, 3, "/x", -1), CODE_BAD_ARGUMENTS);
    assert_int_equal(driver_create(&driver, 3, "x", 0), CODE_SESSION_EXPIRED);
    /* Session, then the path's slash, then the list, then the parent. */
    assert_int_equal(driver_create_with(&driver, 0, "noslash", bad_acl, 1), CODE_BAD_ARGUMENTS);
    assert_int_equal(driver_create_with(&driver, 0, "/none/x", bad_acl, 1), CODE_INVALID_ACL);
    assert_int_equal(driver_create(&driver, 0, "/none//x", 0), CODE_NO_NODE);
    /* The permission before the final path, that before existence. */
    assert_int_equal(driver_create(&driver, 0, "/closed/.", 0), CODE_NO_AUTH);
    assert_int_equal(driver_create(&driver, 0, "/p/.", 0), CODE_BAD_ARGUMENTS);
    /* Existence before the rule for ephemerals. */
    assert_int_equal(driver_create(&driver, 0, "/e/x", 0), CODE_NO_CHILDREN_FOR_EPHEMERALS);
    assert_int_equal(driver_create(&driver, 0, "/e", 1), CODE_NODE_EXISTS);
}

static void trap_13_ttl_needs_the_extended_types(void **state)
{
    (void)state;
    assert_int_equal(driver_create_ttl(&driver, 0, "/t", 5, 0), CODE_BAD_ARGUMENTS);
    assert_int_equal(driver_create_ttl(&driver, 0, "/t", 5, -1), CODE_BAD_ARGUMENTS);
    assert_int_equal(driver_create_ttl(&driver, 0, "/t", 5, INT64_C(1) << 40), CODE_BAD_ARGUMENTS);
    assert_int_equal(driver_create_ttl(&driver, 0, "/t", 0, 100), CODE_BAD_ARGUMENTS);
    assert_int_equal(driver_create(&driver, 0, "/t", 5), CODE_BAD_ARGUMENTS);
    ok(driver_create_ttl(&driver, 0, "/t", 5, (INT64_C(1) << 40) - 1));
    ok(driver_create_ttl(&driver, 0, "/t/s", 6, 1));
    created_as("/t/s0000000000");
    assert_int_equal(driver_stat(&driver, "/t").ephemeral_owner, 0);
    assert_int_equal(driver.keeper.tree.ttl_znodes.znode_count, 2);
    driver.keeper.options.extended_types_enabled = false;
    assert_int_equal(driver_create_ttl(&driver, 0, "/u", 5, 0), CODE_UNIMPLEMENTED);
}

static void trap_14_opcode_makes_the_kind(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/plain", 4));
    assert_int_equal(driver.keeper.tree.containers.znode_count, 0);
    const struct zk_create_request request = driver_create_request("/container", "x", 0);
    ok(driver_write(&driver, 0, OP_CREATE_CONTAINER, &zk_create_request_wire, &request));
    assert_int_equal(driver.keeper.tree.containers.znode_count, 1);

    struct driver_multi multi = driver_multi_begin(&driver);
    driver_multi_create(&multi, OP_CREATE, "/container2", 4);
    ok(driver_multi_write(&multi, 0));
    assert_int_equal(driver.result.results[0].type, OP_CREATE_CONTAINER);
    assert_int_equal(driver.keeper.tree.containers.znode_count, 2);
}

static void trap_15_containers_and_ttl_znodes_have_children(void **state)
{
    (void)state;
    const struct zk_create_request request = driver_create_request("/c", "x", 4);
    ok(driver_write(&driver, 0, OP_CREATE_CONTAINER, &zk_create_request_wire, &request));
    ok(driver_create(&driver, 0, "/c/a", 1));
    ok(driver_create_ttl(&driver, 0, "/t", 5, 10));
    ok(driver_create(&driver, 0, "/t/a", 0));
}

static void trap_16_order_of_checks_of_delete(void **state)
{
    (void)state;
    ok(driver_create_with(&driver, 0, "/closed", nobody_acl, 1));
    ok(driver_create(&driver, 0, "/p", 0));
    ok(driver_create(&driver, 0, "/p/a", 0));
    session_table_mark_closing(&driver.keeper.sessions, driver.clients[3].connection.session_id);
    assert_int_equal(driver_delete(&driver, 3, "/", -1), CODE_SESSION_EXPIRED);
    assert_int_equal(driver_delete(&driver, 0, "noslash", -1), CODE_BAD_ARGUMENTS);
    assert_int_equal(driver_delete(&driver, 0, "/none/a", -1), CODE_NO_NODE);
    assert_int_equal(driver_delete(&driver, 0, "/closed/none", -1), CODE_NO_AUTH);
    assert_int_equal(driver_delete(&driver, 0, "/p/none", -1), CODE_NO_NODE);
    assert_int_equal(driver_delete(&driver, 0, "/p", 3), CODE_BAD_VERSION);
    assert_int_equal(driver_delete(&driver, 0, "/p", 0), CODE_NOT_EMPTY);
    /* Permissions of the znode itself do not matter. */
    ok(driver_delete(&driver, 0, "/closed", -1));
}

static int32_t delete_container(const char *path)
{
    const struct zk_delete_container_request request = {slice_from_text(path)};
    return driver_write(&driver, 0, OP_DELETE_CONTAINER, &zk_delete_container_request_wire,
                        &request);
}

static void trap_17_and_40_only_empty_containers_are_reaped(void **state)
{
    (void)state;
    const struct zk_create_request request = driver_create_request("/c", "x", 4);
    ok(driver_write(&driver, 0, OP_CREATE_CONTAINER, &zk_create_request_wire, &request));
    ok(driver_create(&driver, 0, "/c/a", 1));
    assert_int_equal(delete_container("/c"), CODE_NOT_EMPTY);
    assert_int_equal(delete_container("/c/a"), CODE_BAD_VERSION);
    ok(driver_delete(&driver, 0, "/c/a", -1));
    ok(driver_create(&driver, 0, "/plain", 0));
    assert_int_equal(delete_container("/plain"), CODE_BAD_VERSION);
    ok(delete_container("/c"));
    assert_int_equal(delete_container("/c"), CODE_NO_NODE);
    assert_int_equal(delete_container("/zookeeper/quota"), CODE_BAD_ARGUMENTS);
    assert_int_equal(op_class_of(OP_DELETE_CONTAINER), OP_CLASS_UNKNOWN);
}

static void trap_41_clients_create_no_sessions(void **state)
{
    (void)state;
    assert_int_equal(op_class_of(OP_CREATE_SESSION), OP_CLASS_UNKNOWN);
    assert_int_equal(op_class_of(OP_CHECK), OP_CLASS_UNKNOWN);
    assert_int_equal(op_class_of(OP_NOTIFICATION), OP_CLASS_UNKNOWN);
    assert_int_equal(op_class_of(9999), OP_CLASS_UNKNOWN);
}

static void trap_19_order_of_checks_of_set(void **state)
{
    (void)state;
    ok(driver_create_with(&driver, 0, "/closed", nobody_acl, 1));
    assert_int_equal(driver_set(&driver, 0, "bad", "x", 9), CODE_BAD_ARGUMENTS);
    assert_int_equal(driver_set(&driver, 0, "/none", "x", 9), CODE_NO_NODE);
    assert_int_equal(driver_set(&driver, 0, "/closed", "x", 9), CODE_NO_AUTH);
    assert_int_equal(driver_set_acl(&driver, 0, "bad", bad_acl, 1, 9), CODE_BAD_ARGUMENTS);
    assert_int_equal(driver_set_acl(&driver, 0, "/none", bad_acl, 1, 9), CODE_INVALID_ACL);
    assert_int_equal(driver_set_acl(&driver, 0, "/none", driver_open_acl, 1, 9), CODE_NO_NODE);
    assert_int_equal(driver_set_acl(&driver, 0, "/closed", driver_open_acl, 1, 9), CODE_NO_AUTH);
}

static struct zk_acl acl_of(const char *scheme, const char *id)
{
    return (struct zk_acl){ACL_ALL, {slice_from_text(scheme), slice_from_text(id)}};
}

static void trap_20_lists_that_are_refused(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"world", "nobody"}, {"unknown", "x"},      {"auth", ""},
        {"super", ""},       {"digest", "nocolon"}, {"digest", "a:"},
        {"digest", "a:b:c"}, {"ip", "300.1.1.1"},   {"ip", "1.2.3.4/33"},
        {"ip", "::1/129"},   {"ip", "1.2.3"},       {"ip", "x"},
        {"ip", "1.2.3.4/"},  {"ip", "1::2::3"},     {"ip", "1:2:3:4:5:6:7:8:9"},
        {"x509", "CN=a"}};
    for (size_t index = 0; index < ARRAY_COUNT(bad); index++) {
        const struct zk_acl acl = acl_of(bad[index][0], bad[index][1]);
        if (driver_create_with(&driver, 0, "/a", &acl, 1) != CODE_INVALID_ACL)
            fail_msg("took %s:%s", bad[index][0], bad[index][1]);
    }
    static const char *const good[][2] = {
        {"digest", "a:b"}, {"digest", ":b"},    {"ip", "1.2.3.4"},        {"ip", "1.2.3.4/0"},
        {"ip", "::1"},     {"ip", "fe80::/10"}, {"ip", "1:2:3:4:5:6:7:8"}};
    char path[16];
    for (size_t index = 0; index < ARRAY_COUNT(good); index++) {
        const struct zk_acl acl = acl_of(good[index][0], good[index][1]);
        snprintf(path, sizeof path, "/g%zu", index);
        if (driver_create_with(&driver, 0, path, &acl, 1) != CODE_OK)
            fail_msg("refused %s:%s", good[index][0], good[index][1]);
    }
    assert_int_equal(driver_create_with(&driver, 0, "/a", driver_open_acl, 0), CODE_INVALID_ACL);
    assert_int_equal(driver_create_with(&driver, 0, "/a", NULL, -1), CODE_INVALID_ACL);
}

static void trap_20_auth_is_replaced_and_duplicates_go(void **state)
{
    (void)state;
    driver_add_auth(&driver, 1, "user:secret");
    driver_add_auth(&driver, 1, "other:secret");
    const struct zk_acl list[] = {acl_of("auth", "ignored"), driver_open_acl[0],
                                  driver_open_acl[0]};
    ok(driver_create_with(&driver, 1, "/a", list, 3));
    const struct znode *znode = tree_find(&driver.keeper.tree, SLICE_LITERAL("/a"));
    const struct acl_list acl = tree_acl(&driver.keeper.tree, znode)->list;
    assert_int_equal(acl.count, 3);
    assert_true(slice_starts_with(acl.items[0].id.id, SLICE_LITERAL("user:")));
    assert_true(slice_starts_with(acl.items[1].id.id, SLICE_LITERAL("other:")));
}

static void trap_26_super_may_do_all(void **state)
{
    (void)state;
    ok(driver_create_with(&driver, 0, "/closed", nobody_acl, 1));
    assert_int_equal(driver_set(&driver, 1, "/closed", "x", -1), CODE_NO_AUTH);
    driver_add_auth(&driver, 1, "super:test");
    ok(driver_set(&driver, 1, "/closed", "x", -1));
    driver_add_auth(&driver, 1, "super:test");
    assert_int_equal(driver.clients[1].connection.auth.count, 3); /* ip, super, digest */
}

static void trap_25_an_empty_list_is_open_to_all(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/a", 0));
    struct acl_entry *empty =
        acl_table_acquire(&driver.keeper.tree.acls, (struct acl_list){driver_open_acl, 0});
    tree_set_acl(&driver.keeper.tree, tree_find(&driver.keeper.tree, SLICE_LITERAL("/a")), empty);
    ok(driver_set(&driver, 1, "/a", "x", -1));
}

static void trap_42_close_deletes_committed_and_pending_ephemerals(void **state)
{
    (void)state;
    ok(driver_create(&driver, 1, "/gone", 1));
    ok(driver_create(&driver, 1, "/a", 1));
    const struct zk_create_request create = driver_create_request("/b", "x", 1);
    const struct zk_delete_request delete = {SLICE_LITERAL("/gone"), -1};
    ok((int32_t)driver_prepare(&driver, 1, OP_CREATE, &zk_create_request_wire, &create));
    ok((int32_t)driver_prepare(&driver, 1, OP_DELETE, &zk_delete_request_wire, &delete));
    ok((int32_t)driver_prepare(&driver, 1, OP_CLOSE_SESSION, NULL, NULL));
    /* Behind the close it is as if they were gone. */
    const struct zk_set_data_request set = {SLICE_LITERAL("/b"), SLICE_LITERAL("y"), -1};
    ok((int32_t)driver_prepare(&driver, 0, OP_SET_DATA, &zk_set_data_request_wire, &set));
    ok(driver_apply(&driver));
    ok(driver_apply(&driver));
    ok(driver_apply(&driver));
    assert_int_equal(driver_apply(&driver), CODE_NO_NODE);
    assert_int_equal(driver.keeper.tree.ephemeral_count, 0);
    assert_null(
        session_table_find(&driver.keeper.sessions, driver.clients[1].connection.session_id));
    assert_int_equal(driver_create(&driver, 1, "/x", 0), CODE_SESSION_EXPIRED);
}

static void trap_42_the_list_of_a_close_is_in_the_transaction(void **state)
{
    (void)state;
    ok(driver_create(&driver, 1, "/a", 1));
    const struct zk_create_request create = driver_create_request("/b", "x", 1);
    ok((int32_t)driver_prepare(&driver, 1, OP_CREATE, &zk_create_request_wire, &create));
    const struct keeper_request request =
        driver_request(&driver, 1, OP_CLOSE_SESSION, SLICE_LITERAL(""));
    struct txn txn;
    assert_int_equal(keeper_prepare(&driver.keeper, &request, &driver.arena, &txn), CODE_OK);
    assert_true(txn.op.has_paths);
    assert_int_equal(txn.op.paths.count, 2);
    assert_true(slice_equal_text(txn.op.paths.items[0], "/a"));
    assert_true(slice_equal_text(txn.op.paths.items[1], "/b"));
    driver_apply_all(&driver);
}

static void trap_49_empty_multi_uses_a_zxid(void **state)
{
    (void)state;
    const int64_t zxid = driver.keeper.zxid_applied;
    struct driver_multi multi = driver_multi_begin(&driver);
    ok(driver_multi_write(&multi, 0));
    assert_int_equal(driver.result.type, OP_MULTI);
    assert_int_equal(driver.result.result_count, 0);
    assert_int_equal(driver.keeper.zxid_applied, zxid + 1);
}

static void trap_49_check_needs_read_and_existence(void **state)
{
    (void)state;
    ok(driver_create_with(&driver, 0, "/closed", nobody_acl, 1));
    static const struct {
        const char *path;
        int32_t version, code;
    } cases[] = {{"/closed", -1, CODE_NO_AUTH},
                 {"/none", -1, CODE_NO_NODE},
                 {"/", 1, CODE_BAD_VERSION},
                 {"/", 0, CODE_OK},
                 {"/", -1, CODE_OK}};
    for (size_t index = 0; index < ARRAY_COUNT(cases); index++) {
        struct driver_multi multi = driver_multi_begin(&driver);
        driver_multi_check(&multi, cases[index].path, cases[index].version);
        ok(driver_multi_write(&multi, 0));
        assert_int_equal(driver.result.results[0].code, cases[index].code);
    }
}

static void trap_50_multi_sees_itself_and_rolls_back(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/p", 0));
    struct driver_multi multi = driver_multi_begin(&driver);
    driver_multi_create(&multi, OP_CREATE, "/p/a", 0);
    driver_multi_set(&multi, "/p/a", 0);
    driver_multi_create(&multi, OP_CREATE, "/p/n", 2);
    driver_multi_delete(&multi, "/p/a", 7);
    driver_multi_create(&multi, OP_CREATE, "/p/b", 0);
    ok(driver_multi_write(&multi, 0));
    static const int32_t codes[] = {CODE_OK, CODE_OK, CODE_OK, CODE_BAD_VERSION,
                                    CODE_RUNTIME_INCONSISTENCY};
    assert_int_equal(driver.result.result_count, 5);
    for (int index = 0; index < 5; index++) {
        assert_int_equal(driver.result.results[index].type, OP_ERROR);
        assert_int_equal(driver.result.results[index].code, codes[index]);
    }
    assert_int_equal(driver.keeper.pending.by_path.count, 0);
    assert_int_equal(driver_stat(&driver, "/p").num_children, 0);
    /* The failed creates left no trace in the sequence. */
    ok(driver_create(&driver, 0, "/p/n", 2));
    created_as("/p/n0000000000");
}

static void trap_50_rollback_keeps_what_was_pending_before(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/p", 0));
    const struct zk_create_request create = driver_create_request("/p/n", "x", 2);
    ok((int32_t)driver_prepare(&driver, 0, OP_CREATE2, &zk_create_request_wire, &create));
    struct driver_multi multi = driver_multi_begin(&driver);
    driver_multi_create(&multi, OP_CREATE, "/p/n", 2);
    driver_multi_check(&multi, "/none", -1);
    ok((int32_t)driver_prepare_bytes(&driver, 0, OP_MULTI, driver_multi_end(&multi)));
    ok((int32_t)driver_prepare(&driver, 0, OP_CREATE2, &zk_create_request_wire, &create));
    ok(driver_apply(&driver));
    created_as("/p/n0000000000");
    ok(driver_apply(&driver));
    ok(driver_apply(&driver));
    created_as("/p/n0000000001");
}

static void trap_51_multi_keeps_the_types_of_its_operations(void **state)
{
    (void)state;
    struct driver_multi multi = driver_multi_begin(&driver);
    driver_multi_create(&multi, OP_CREATE, "/a", 0);
    driver_multi_create(&multi, OP_CREATE2, "/b", 0);
    driver_multi_create(&multi, OP_CREATE_CONTAINER, "/c", 0);
    driver_multi_set(&multi, "/a", 0);
    driver_multi_check(&multi, "/b", 0);
    driver_multi_delete(&multi, "/b", -1);
    ok(driver_multi_write(&multi, 0));
    static const int32_t types[] = {OP_CREATE,   OP_CREATE2, OP_CREATE_CONTAINER,
                                    OP_SET_DATA, OP_CHECK,   OP_DELETE};
    for (int index = 0; index < 6; index++) {
        assert_int_equal(driver.result.results[index].code, CODE_OK);
        assert_int_equal(driver.result.results[index].type, types[index]);
    }
    assert_int_equal(driver.result.results[3].stat.version, 1);
    assert_int_equal(driver_look(&driver, 0, OP_EXISTS, "/b", false), CODE_NO_NODE);
}

static void trap_53_undecodable_writes_have_no_transaction(void **state)
{
    (void)state;
    const int64_t zxid = driver.keeper.zxid_prepared;
    static const int32_t types[] = {OP_CREATE,  OP_CREATE2,          OP_DELETE,    OP_SET_DATA,
                                    OP_SET_ACL, OP_CREATE_CONTAINER, OP_CREATE_TTL};
    for (size_t index = 0; index < ARRAY_COUNT(types); index++)
        assert_int_equal(driver_prepare_bytes(&driver, 0, types[index], SLICE_LITERAL("\0\0\0")),
                         CODE_MARSHALLING_ERROR);
    assert_int_equal(driver.keeper.zxid_prepared, zxid);
    assert_int_equal(driver.keeper.pending.by_path.count, 0);

    /* But a multi has one: that of an error. */
    struct driver_multi multi = driver_multi_begin(&driver);
    driver_multi_create(&multi, OP_CREATE, "/a", 0);
    driver_multi_add(&multi, OP_GET_DATA, NULL, NULL);
    assert_int_equal(driver_multi_write(&multi, 0), CODE_MARSHALLING_ERROR);
    assert_int_equal(driver.keeper.zxid_prepared, zxid + 1);
    assert_int_equal(driver.keeper.pending.by_path.count, 0);
}

static void null_paths_are_marshalling_errors(void **state)
{
    (void)state;
    struct zk_create_request create = driver_create_request("/a", "x", 0);
    create.path = SLICE_NULL;
    assert_int_equal(driver_write(&driver, 0, OP_CREATE, &zk_create_request_wire, &create),
                     CODE_MARSHALLING_ERROR);
    const struct zk_delete_request delete = {SLICE_NULL, -1};
    assert_int_equal(driver_write(&driver, 0, OP_DELETE, &zk_delete_request_wire, &delete),
                     CODE_MARSHALLING_ERROR);
}

/* Whatever was right or wrong with the other parts. */
static void a_multi_with_a_null_path_is_a_marshalling_error(void **state)
{
    (void)state;
    const struct zk_set_data_request set = {SLICE_NULL, SLICE_NULL, -1};
    const int64_t zxid = driver.keeper.zxid_prepared;
    struct driver_multi multi = driver_multi_begin(&driver);
    driver_multi_delete(&multi, "/none", -1);
    driver_multi_add(&multi, OP_SET_DATA, &zk_set_data_request_wire, &set);
    assert_int_equal(driver_multi_write(&multi, 0), CODE_MARSHALLING_ERROR);
    assert_int_equal(driver.keeper.zxid_prepared, zxid + 1);
}

/* Apache's server breaks on it before it has taken a zxid; a single create is told INVALIDACL. */
static void a_multi_with_a_null_access_list_has_no_transaction(void **state)
{
    (void)state;
    struct zk_create_request create = driver_create_request("/a", "x", 0);
    create.acl.items = NULL;
    create.acl.count = -1;
    const int64_t zxid = driver.keeper.zxid_prepared;
    struct driver_multi multi = driver_multi_begin(&driver);
    driver_multi_create(&multi, OP_CREATE, "/b", 0);
    driver_multi_add(&multi, OP_CREATE, &zk_create_request_wire, &create);
    assert_int_equal(driver_multi_write(&multi, 0), CODE_MARSHALLING_ERROR);
    assert_int_equal(driver.keeper.zxid_prepared, zxid);
    assert_int_equal(driver.keeper.pending.by_path.count, 0);
    assert_int_equal(driver_write(&driver, 0, OP_CREATE, &zk_create_request_wire, &create),
                     CODE_INVALID_ACL);
}

/* Within a multi the flags say whose it is; createContainer makes a container all the same. */
static void a_container_flagged_ephemeral_has_no_children_in_its_multi(void **state)
{
    (void)state;
    struct driver_multi multi = driver_multi_begin(&driver);
    driver_multi_create(&multi, OP_CREATE_CONTAINER, "/c", 1);
    driver_multi_create(&multi, OP_CREATE, "/c/a", 0);
    ok(driver_multi_write(&multi, 0));
    assert_int_equal(driver.result.results[1].code, CODE_NO_CHILDREN_FOR_EPHEMERALS);
    multi = driver_multi_begin(&driver);
    driver_multi_create(&multi, OP_CREATE_CONTAINER, "/c", 1);
    ok(driver_multi_write(&multi, 0));
    ok(driver_create(&driver, 0, "/c/a", 0));
}

/* It would be a transaction that no server can read back. */
static void create_ttl_without_the_flag_is_refused(void **state)
{
    (void)state;
    static const int64_t ttls[] = {INT64_MIN, -1, 0, 1000};
    for (int32_t flags = 0; flags < 5; flags++)
        for (size_t index = 0; index < ARRAY_COUNT(ttls); index++)
            assert_int_equal(driver_create_ttl(&driver, 0, "/a", flags, ttls[index]),
                             CODE_BAD_ARGUMENTS);
}

static void versions_wrap(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/a", 0));
    struct znode *znode = tree_find(&driver.keeper.tree, SLICE_LITERAL("/a"));
    znode->version = INT32_MAX;
    ok(driver_set(&driver, 0, "/a", "x", INT32_MAX));
    assert_int_equal(driver_stat(&driver, "/a").version, INT32_MIN);
}

static size_t used_bytes(void)
{
    const struct slab *slab = &driver.keeper.slab;
    return driver.heap.used_bytes - slab->region_bytes + slab->used_bytes;
}

static void writes_beyond_the_memory_are_refused(void **state)
{
    (void)state;
    ok(driver_create(&driver, 0, "/a", 0));
    driver.keeper.options.memory_bytes_max = used_bytes() + 100;
    assert_int_equal(driver_create(&driver, 0, "/b", 0), CODE_SYSTEM_ERROR);
    driver.keeper.options.memory_bytes_max = used_bytes();
    assert_int_equal(driver_set(&driver, 0, "/a", "x", -1), CODE_SYSTEM_ERROR);
    ok(driver_delete(&driver, 0, "/a", -1));
}

static void what_is_pending_counts_as_used(void **state)
{
    (void)state;
    driver.keeper.options.memory_bytes_max = used_bytes() + 2500;
    char path[16];
    int granted = 0;
    for (int index = 0; index < 20; index++) {
        snprintf(path, sizeof path, "/n%d", index);
        const struct zk_create_request create = driver_create_request(path, "data", 0);
        ok((int32_t)driver_prepare(&driver, 0, OP_CREATE, &zk_create_request_wire, &create));
    }
    while (driver.queue_count > 0)
        granted += driver_apply(&driver) == CODE_OK;
    assert_in_range(granted, 1, 6);
    assert_true(used_bytes() <= driver.keeper.options.memory_bytes_max);
}

static void session_count_is_bounded(void **state)
{
    (void)state;
    driver.keeper.options.session_count_max = driver_connection_count + 1;
    struct driver_client *client = &driver.clients[0];
    const int64_t kept = client->connection.session_id;
    int created = 0;
    for (int index = 0; index < 3; index++) {
        client->connection.session_id = keeper_next_session_id(&driver.keeper);
        ok((int32_t)driver_prepare_bytes(&driver, 0, OP_CREATE_SESSION,
                                         SLICE_LITERAL("\0\0\x40\0")));
    }
    while (driver.queue_count > 0)
        created += driver_apply(&driver) == CODE_OK;
    assert_int_equal(created, 1);
    client->connection.session_id = kept;
}

static void few_may_reconfigure(void **state)
{
    (void)state;
    const int64_t zxid = driver.keeper.zxid_prepared;
    assert_int_equal(driver_write(&driver, 0, OP_RECONFIG, NULL, NULL), CODE_MARSHALLING_ERROR);
    assert_int_equal(driver.keeper.zxid_prepared, zxid);
    const struct zk_reconfig_request request = {.config_id = -1};
    assert_int_equal(driver_write(&driver, 0, OP_RECONFIG, &zk_reconfig_request_wire, &request),
                     CODE_RECONFIG_DISABLED);
    assert_int_equal(driver.keeper.zxid_prepared, zxid + 1);
    driver.keeper.options.reconfig_enabled = true;
    assert_int_equal(driver_write(&driver, 0, OP_RECONFIG, &zk_reconfig_request_wire, &request),
                     CODE_NO_AUTH); /* Everybody may read the members, and nobody change them. */
    assert_int_equal(driver.keeper.zxid_prepared, zxid + 2);
    driver.keeper.options.skip_acl = true;
    assert_int_equal(driver_write(&driver, 0, OP_RECONFIG, &zk_reconfig_request_wire, &request),
                     CODE_OK);
    assert_int_equal(driver.keeper.zxid_prepared, zxid + 3);
}

static void a_moved_session_is_told(void **state)
{
    (void)state;
    keeper_move_session(&driver.keeper, driver.clients[0].connection.session_id, 77);
    assert_int_equal(driver_create(&driver, 0, "/a", 0), CODE_SESSION_MOVED);
    assert_int_equal(driver_look(&driver, 0, OP_EXISTS, "/", false), CODE_SESSION_MOVED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(trap_1_cversion_counts_creates_and_deletes),
        TEST(trap_2_pzxid_moves_with_children_only),
        TEST(trap_3_sequence_is_the_parents_count_of_creates),
        TEST(trap_3_sequence_wraps_to_negative),
        TEST(trap_4_sequential_name_may_be_empty),
        TEST(trap_5_pipelined_requests_see_each_other),
        TEST(trap_6_version_minus_one_is_any),
        TEST(trap_7_mtime_is_the_transactions),
        TEST(trap_8_failed_writes_use_a_zxid),
        TEST(trap_9_root_and_builtins),
        TEST(trap_10_children_of_zookeeper_are_allowed),
        TEST(trap_13_order_of_checks_of_create),
        TEST(trap_13_ttl_needs_the_extended_types),
        TEST(trap_14_opcode_makes_the_kind),
        TEST(trap_15_containers_and_ttl_znodes_have_children),
        TEST(trap_16_order_of_checks_of_delete),
        TEST(trap_17_and_40_only_empty_containers_are_reaped),
        TEST(trap_41_clients_create_no_sessions),
        TEST(trap_19_order_of_checks_of_set),
        TEST(trap_20_lists_that_are_refused),
        TEST(trap_20_auth_is_replaced_and_duplicates_go),
        TEST(trap_25_an_empty_list_is_open_to_all),
        TEST(trap_26_super_may_do_all),
        TEST(trap_42_close_deletes_committed_and_pending_ephemerals),
        TEST(trap_42_the_list_of_a_close_is_in_the_transaction),
        TEST(trap_49_empty_multi_uses_a_zxid),
        TEST(trap_49_check_needs_read_and_existence),
        TEST(trap_50_multi_sees_itself_and_rolls_back),
        TEST(trap_50_rollback_keeps_what_was_pending_before),
        TEST(trap_51_multi_keeps_the_types_of_its_operations),
        TEST(trap_53_undecodable_writes_have_no_transaction),
        TEST(null_paths_are_marshalling_errors),
        TEST(a_multi_with_a_null_path_is_a_marshalling_error),
        TEST(a_multi_with_a_null_access_list_has_no_transaction),
        TEST(a_container_flagged_ephemeral_has_no_children_in_its_multi),
        TEST(create_ttl_without_the_flag_is_refused),
        TEST(versions_wrap),
        TEST(writes_beyond_the_memory_are_refused),
        TEST(what_is_pending_counts_as_used),
        TEST(session_count_is_bounded),
        TEST(few_may_reconfigure),
        TEST(a_moved_session_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
