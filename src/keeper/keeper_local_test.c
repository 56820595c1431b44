/* Sessions that only one server knows, as they ask for writes. */
#include "test/keeper_driver.h"

#include "keeper/write_request.h"

enum { own_server_id = 3, local_client = 1 };

static const int64_t foreign_session = INT64_C(0x0100000000000007);
static const int64_t dead_session = INT64_C(0x0300000000000007);

static struct driver driver;

static int set_up(void **state)
{
    struct keeper_options options = driver_options();
    options.server_id = own_server_id;
    options.local_sessions_enabled = true;
    driver_init(&driver, options);
    *state = &driver;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    driver_deinit(&driver);
    return 0;
}

/* The client's session becomes another one. */
static void bear(int64_t session_id)
{
    driver.clients[local_client].connection.session_id = session_id;
}

static void open_local(void)
{
    bear(keeper_next_session_id(&driver.keeper));
    assert_int_equal(keeper_open_local_session(&driver.keeper,
                                               driver.clients[local_client].connection.session_id,
                                               driver_timeout_ms, driver.now_ms),
                     CODE_OK);
}

static int32_t create(const char *path, int32_t flags)
{
    return driver_create(&driver, local_client, path, flags);
}

static void a_leader_believes_sessions_of_others(void **state)
{
    (void)state;
    bear(foreign_session);
    assert_int_equal(create("/a", 0), CODE_OK);
    assert_int_equal(driver_set(&driver, local_client, "/a", "x", -1), CODE_OK);
    assert_int_equal(driver_delete(&driver, local_client, "/a", -1), CODE_OK);
    struct driver_multi multi = driver_multi_begin(&driver);
    driver_multi_create(&multi, OP_CREATE, "/b", 0);
    driver_multi_check(&multi, "/b", -1);
    assert_int_equal(driver_multi_write(&multi, local_client), CODE_OK);
    /* But an ephemeral would never go. */
    assert_int_equal(create("/e", 1), CODE_SESSION_EXPIRED);
    assert_int_equal(create("/e", 3), CODE_SESSION_EXPIRED);
}

static void and_none_that_would_be_its_own(void **state)
{
    (void)state;
    bear(dead_session);
    assert_int_equal(create("/a", 0), CODE_SESSION_EXPIRED);
    assert_int_equal(driver_set(&driver, local_client, "/", "x", -1), CODE_SESSION_EXPIRED);
    bear(foreign_session);
    driver.keeper.options.local_sessions_enabled = false;
    assert_int_equal(create("/a", 0), CODE_SESSION_EXPIRED);
}

static void one_that_ends_is_believed_no_more(void **state)
{
    (void)state;
    bear(foreign_session);
    assert_int_equal(
        driver_prepare_bytes(&driver, local_client, OP_CREATE_SESSION, SLICE_LITERAL("\0\0\x40\0")),
        CODE_OK);
    assert_int_equal(driver_prepare_bytes(&driver, local_client, OP_CLOSE_SESSION, SLICE_NULL),
                     CODE_OK);
    const struct zk_create_request request = driver_create_request("/a", "", 0);
    assert_int_equal(
        driver_prepare(&driver, local_client, OP_CREATE, &zk_create_request_wire, &request),
        CODE_OK);
    driver_apply_all(&driver);
    assert_int_equal(driver.result.code, CODE_SESSION_EXPIRED);
}

static void a_local_session_owns_nothing(void **state)
{
    (void)state;
    open_local();
    assert_int_equal(create("/a", 0), CODE_OK);
    assert_int_equal(create("/e", 1), CODE_EPHEMERAL_ON_LOCAL_SESSION);
    const struct zk_create_request container = driver_create_request("/e", "", 1);
    assert_int_equal(driver_write(&driver, local_client, OP_CREATE_CONTAINER,
                                  &zk_create_request_wire, &container),
                     CODE_SESSION_EXPIRED);
    assert_int_equal(driver_look(&driver, local_client, OP_EXISTS, "/a", false), CODE_OK);
    /* Another connection's. */
    keeper_move_session(&driver.keeper, driver.clients[local_client].connection.session_id, 99);
    assert_int_equal(create("/b", 0), CODE_SESSION_MOVED);
    keeper_end_local_session(&driver.keeper, driver.clients[local_client].connection.session_id);
    driver.clients[local_client].owner = 99;
    assert_int_equal(create("/b", 0), CODE_SESSION_EXPIRED);
}

static void a_promised_session_owns_what_it_likes(void **state)
{
    (void)state;
    open_local();
    const int64_t session_id = driver.clients[local_client].connection.session_id;
    const uint64_t owner = driver.clients[local_client].owner;
    assert_int_equal(keeper_local_session_timeout_ms(&driver.keeper, session_id),
                     driver_timeout_ms);
    assert_true(keeper_promise_session(&driver.keeper, session_id, owner));
    keeper_close_local_session(&driver.keeper, session_id);
    assert_false(keeper_has_local_session(&driver.keeper, session_id));
    assert_true(keeper_has_session(&driver.keeper, session_id));
    assert_int_equal(keeper_check_session(&driver.keeper, session_id, owner), CODE_OK);
    assert_int_equal(create("/e", 1), CODE_OK);
    keeper_drop_promise(&driver.keeper, session_id);
    keeper_drop_promise(&driver.keeper, session_id); /* There is none. */
    assert_false(keeper_has_session(&driver.keeper, session_id));
}

/* --- which requests want an ephemeral --- */

static bool wants(int32_t type, int32_t flags)
{
    const struct zk_create_request request = driver_create_request("/a", "", flags);
    return write_request_wants_ephemeral(
        type, driver_encode(&driver, &zk_create_request_wire, &request), &driver.arena);
}

static bool multi_wants(int32_t type, int32_t first_flags, int32_t flags)
{
    struct driver_multi multi = driver_multi_begin(&driver);
    driver_multi_check(&multi, "/", -1);
    if (first_flags >= 0) {
        const struct zk_create_ttl_request first = {
            .path = SLICE_LITERAL("/t"), .flags = first_flags, .ttl_ms = 1};
        driver_multi_add(&multi, OP_CREATE_TTL, &zk_create_ttl_request_wire, &first);
    }
    driver_multi_create(&multi, type, "/a", flags);
    return write_request_wants_ephemeral(OP_MULTI, driver_multi_end(&multi), &driver.arena);
}

static void flags_tell_what_is_wanted(void **state)
{
    (void)state;
    for (int32_t flags = -1; flags < 8; flags++) {
        const bool is_ephemeral = flags == 1 || flags == 3;
        assert_int_equal(wants(OP_CREATE, flags), is_ephemeral);
        assert_int_equal(wants(OP_CREATE2, flags), is_ephemeral);
        assert_false(wants(OP_CREATE_CONTAINER, flags));
        assert_false(wants(OP_CREATE_TTL, flags));
        assert_false(wants(OP_SET_DATA, flags));
    }
    assert_false(write_request_wants_ephemeral(OP_CREATE, SLICE_LITERAL(""), &driver.arena));
    assert_false(write_request_wants_ephemeral(OP_MULTI, SLICE_LITERAL("\0\0\0"), &driver.arena));
}

static void a_part_of_a_multi_may_want_it(void **state)
{
    (void)state;
    assert_true(multi_wants(OP_CREATE, -1, 1));
    assert_true(multi_wants(OP_CREATE2, -1, 3));
    assert_false(multi_wants(OP_CREATE, -1, 0));
    assert_false(multi_wants(OP_CREATE, -1, 99));
    assert_false(multi_wants(OP_CREATE_CONTAINER, -1, 1));
    assert_true(multi_wants(OP_CREATE, 5, 1));
    assert_true(multi_wants(OP_CREATE, 1, 0));   /* In a multi createTTL is what its flags say. */
    assert_false(multi_wants(OP_CREATE, 99, 1)); /* Nobody looks behind it. */
    struct driver_multi multi = driver_multi_begin(&driver);
    driver_multi_create(&multi, OP_CREATE, "/a", 1);
    const struct slice whole = driver_multi_end(&multi);
    for (size_t size = 0; size < whole.size; size++)
        assert_false(
            write_request_wants_ephemeral(OP_MULTI, slice_of(whole.data, size), &driver.arena));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_leader_believes_sessions_of_others),  TEST(and_none_that_would_be_its_own),
        TEST(one_that_ends_is_believed_no_more),     TEST(a_local_session_owns_nothing),
        TEST(a_promised_session_owns_what_it_likes), TEST(flags_tell_what_is_wanted),
        TEST(a_part_of_a_multi_may_want_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
