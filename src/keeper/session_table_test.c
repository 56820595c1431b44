#include "base/prng.h"
#include "keeper/session_table.h"
#include "test/unit_test.h"

#include <stdio.h>

enum { tick_ms = 2000 };

struct fixture {
    struct heap heap;
    struct slab slab;
    struct session_table table;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    heap_init(&fixture.heap, (struct heap_options){.limit_bytes = 1 << 22});
    slab_init(&fixture.slab, &fixture.heap);
    assert_int_equal(session_table_init(&fixture.table, &fixture.slab,
                                        (struct session_table_options){.tick_ms = tick_ms}, 0),
                     ERR_OK);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    session_table_deinit(&fixture->table);
    slab_deinit(&fixture->slab);
    assert_int_equal(fixture->heap.block_count, 0);
    return 0;
}

static void password_is(int64_t id, const char *expected)
{
    uint8_t password[session_password_bytes];
    session_password(id, password);
    char text[2 * session_password_bytes + 1];
    for (int at = 0; at < session_password_bytes; at++)
        snprintf(text + 2 * at, 3, "%02x", password[at]);
    assert_string_equal(text, expected);
}

static void passwords_are_apaches(void **state)
{
    (void)state;
    password_is(0x1, "054cc74a37327db215e702e20c73f005");
    password_is(0x100000000000000, "f22acd4a97e69d6d20a49bb638eadb38");
    password_is(0x10001d56bbc0000, "86e529479b4f2a89d4f26ddfdc240d33");
}

static void ids_start_with_server_and_clock(void **state)
{
    (void)state;
    assert_int_equal(session_id_first(1, 0), 0x100000000000000);
    assert_int_equal(session_id_first(1, 0x1d56bbc), 0x10001d56bbc0000);
    assert_int_equal((uint64_t)session_id_first(0xff, 0x123456789abcdef) >> 56, 0xff);
}

static void expiry_is_at_the_end_of_the_tick(void **state)
{
    struct fixture *fixture = *state;
    struct session_table *table = &fixture->table;
    assert_int_equal(session_table_open(table, 5, 4000, 1), ERR_OK);
    /* (1 + 4000) / 2000 + 1 = 3 ticks. */
    assert_null(session_table_expire_next(table, 5999));
    struct session *session = session_table_expire_next(table, 6000);
    assert_non_null(session);
    assert_int_equal(session->id, 5);
    assert_true(session->closing);
    assert_null(session_table_expire_next(table, 6000));
    assert_false(session_table_touch(table, 5, 4000, 6000));
    assert_true(session_table_close(table, 5));
    assert_false(session_table_close(table, 5));
}

static void trap_39_closing_sessions_are_expired_for_requests(void **state)
{
    struct fixture *fixture = *state;
    struct session_table *table = &fixture->table;
    assert_int_equal(session_table_check(table, 9, 1), CODE_SESSION_EXPIRED);
    assert_int_equal(session_table_open(table, 9, 4000, 0), ERR_OK);
    assert_int_equal(session_table_check(table, 9, 1), CODE_OK);
    session_table_mark_closing(table, 9);
    assert_int_equal(session_table_check(table, 9, 1), CODE_SESSION_EXPIRED);
    assert_null(session_table_expire_next(table, 1000000));
}

static void trap_46_another_owner_is_told_that_it_moved(void **state)
{
    struct fixture *fixture = *state;
    struct session_table *table = &fixture->table;
    assert_int_equal(session_table_open(table, 9, 4000, 0), ERR_OK);
    assert_int_equal(session_table_check(table, 9, 1), CODE_OK);
    assert_int_equal(session_table_check(table, 9, 2), CODE_SESSION_MOVED);
    session_table_set_owner(table, 9, 2);
    assert_int_equal(session_table_check(table, 9, 2), CODE_OK);
}

static void trap_45_each_touch_uses_its_own_timeout(void **state)
{
    struct fixture *fixture = *state;
    struct session_table *table = &fixture->table;
    assert_int_equal(session_table_open(table, 9, 4000, 0), ERR_OK);
    assert_true(session_table_touch(table, 9, 40000, 0));
    assert_null(session_table_expire_next(table, 41999));
    assert_non_null(session_table_expire_next(table, 42000));
}

/* Random times, among them leaps of many laps, against an array of deadlines. */
static void follows_a_naive_model(void **state)
{
    struct fixture *fixture = *state;
    struct session_table *table = &fixture->table;
    enum { id_count = 64, step_count = 30000 };
    int64_t deadlines[id_count] = {0}; /* 0: not open. */
    struct prng prng;
    prng_init(&prng, 11);
    int64_t now_ms = 0;
    for (int step = 0; step < step_count; step++) {
        now_ms += (int64_t)prng_below(&prng, prng_chance(&prng, 1, 500) ? 9000000 : 700);
        for (struct session *session = session_table_expire_next(table, now_ms); session != NULL;
             session = session_table_expire_next(table, now_ms)) {
            assert_in_range(deadlines[session->id], 1, now_ms);
            deadlines[session->id] = 0;
            assert_true(session_table_close(table, session->id));
        }
        const int64_t id = (int64_t)prng_below(&prng, id_count);
        const int32_t timeout_ms = (int32_t)prng_between(&prng, 1, 5000000);
        const int64_t deadline = ((now_ms + timeout_ms) / tick_ms + 1) * tick_ms;
        for (int other = 0; other < id_count; other++)
            assert_true(deadlines[other] == 0 || deadlines[other] > now_ms);
        assert_int_equal(session_table_touch(table, id, timeout_ms, now_ms), deadlines[id] != 0);
        if (deadlines[id] == 0 && prng_chance(&prng, 1, 2))
            assert_int_equal(session_table_open(table, id, timeout_ms, now_ms), ERR_OK);
        else if (deadlines[id] == 0)
            continue;
        deadlines[id] = deadline;
    }
}

/* Until it is opened, and then it keeps what was said of it. */
static void a_promised_session_can_be_checked(void **state)
{
    struct session_table *table = &((struct fixture *)*state)->table;
    assert_int_equal(session_table_check(table, 1, 5), CODE_SESSION_EXPIRED);
    assert_true(session_table_promise(table, 1, 5));
    assert_true(session_table_promise(table, 2, 5));
    assert_int_equal(session_table_check(table, 1, 5), CODE_OK);
    assert_int_equal(session_table_check(table, 1, 6), CODE_SESSION_MOVED);
    assert_null(session_table_find(table, 1));
    assert_true(session_table_touch(table, 1, 4000, 0) && !session_table_touch(table, 3, 4000, 0));
    session_table_set_owner(table, 1, 7);
    assert_int_equal(session_table_check(table, 1, 7), CODE_OK);
    session_table_set_owner(table, 1, 5);
    session_table_mark_closing(table, 2);
    assert_int_equal(session_table_check(table, 2, 5), CODE_SESSION_EXPIRED);
    for (int64_t id = 1; id <= 2; id++)
        assert_int_equal(session_table_open(table, id, 4000, 0), ERR_OK);
    assert_int_equal(table->promise_count, 0);
    assert_int_equal(session_table_check(table, 1, 6), CODE_SESSION_MOVED);
    assert_int_equal(session_table_check(table, 2, 5), CODE_SESSION_EXPIRED);
    assert_int_equal(session_table_expire_next(table, 100000)->id, 1);
    assert_null(session_table_expire_next(table, 100000));
    assert_true(session_table_promise(table, 3, 5));
    session_table_drop_promises(table);
    assert_int_equal(session_table_check(table, 3, 5), CODE_SESSION_EXPIRED);
    assert_true(session_table_promise(table, 6, 5) && session_table_promise(table, 7, 5));
    session_table_drop_promise(table, 6);
    session_table_drop_promise(table, 6);
    assert_true(!session_table_has(table, 6) && session_table_has(table, 7));
    session_table_drop_promise(table, 7);
    assert_true(session_table_promise(table, 4, 5)); /* Deinit takes it. */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_promised_session_can_be_checked),
        TEST(passwords_are_apaches),
        TEST(ids_start_with_server_and_clock),
        TEST(expiry_is_at_the_end_of_the_tick),
        TEST(trap_39_closing_sessions_are_expired_for_requests),
        TEST(trap_46_another_owner_is_told_that_it_moved),
        TEST(trap_45_each_touch_uses_its_own_timeout),
        TEST(follows_a_naive_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
