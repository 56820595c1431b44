#include "broker/fetch_session.h"

#include "test/unit_test.h"

static struct heap heap;
static struct fetch_session_cache cache;

static int set_up(void **state)
{
    (void)state;
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20, .tracked = true});
    const enum err err = fetch_session_cache_init(
        &cache, &heap, (struct fetch_session_options){.session_count_max = 2, .hash_seed = 5});
    return err == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    fetch_session_cache_deinit(&cache);
    assert_int_equal(heap.block_count, 0);
    heap_deinit(&heap);
    return 0;
}

static struct fetch_session_key key(const char *topic, int32_t partition)
{
    return (struct fetch_session_key){.topic = slice_from_text(topic), .partition = partition};
}

static void test_remembers_partitions_in_order(void **state)
{
    (void)state;
    struct fetch_session *session =
        fetch_session_open(&cache, (struct fetch_session_spec){.id = 7});
    assert_non_null(session);
    assert_ptr_equal(fetch_session_find(&cache, 7), session);
    assert_int_equal(session->epoch, 1);
    char name[] = "topic";
    struct fetch_session_partition *first = fetch_session_partition_put(session, key(name, 0));
    struct fetch_session_partition *second = fetch_session_partition_put(session, key(name, 1));
    memset(name, 'x', sizeof name - 1); /* The session has its own copy. */
    assert_ptr_equal(fetch_session_partition_put(session, key("topic", 0)), first);
    assert_int_equal(session->partition_count, 2);
    fetch_session_partition_move_last(session, first);
    assert_ptr_equal(session->partitions.next, &second->link);
    fetch_session_partition_forget(session, second);
    assert_null(fetch_session_partition_find(session, key("topic", 1)));
    assert_int_equal(session->partition_count, 1);
}

static void test_ids_name_partitions_too(void **state)
{
    (void)state;
    struct fetch_session *session =
        fetch_session_open(&cache, (struct fetch_session_spec){.id = 7, .uses_topic_ids = true});
    struct fetch_session_key a = key("", 0);
    struct fetch_session_key b = key("", 0);
    b.topic_id.bytes[15] = 1;
    assert_ptr_not_equal(fetch_session_partition_put(session, a),
                         fetch_session_partition_put(session, b));
    assert_int_equal(session->partition_count, 2);
}

static void test_only_idle_sessions_make_room(void **state)
{
    (void)state;
    struct fetch_session *first =
        fetch_session_open(&cache, (struct fetch_session_spec){.id = 1, .now_ms = 0});
    assert_non_null(fetch_session_open(&cache, (struct fetch_session_spec){.id = 2, .now_ms = 10}));
    assert_null(fetch_session_open(&cache, (struct fetch_session_spec){.id = 2, .now_ms = 10}));
    assert_null(fetch_session_open(
        &cache, (struct fetch_session_spec){.id = 3, .now_ms = fetch_session_idle_ms - 1}));
    fetch_session_acquire(first, 20);
    fetch_session_release(first);
    assert_non_null(fetch_session_open(
        &cache, (struct fetch_session_spec){.id = 3, .now_ms = fetch_session_idle_ms + 10}));
    assert_ptr_equal(fetch_session_find(&cache, 1), first);
    assert_null(fetch_session_find(&cache, 2));
    assert_int_equal(cache.session_count, 2);
}

static void test_followers_take_the_place_of_consumers(void **state)
{
    (void)state;
    const struct fetch_session_spec follower = {.id = 3, .now_ms = 20, .is_privileged = true};
    struct fetch_session *first =
        fetch_session_open(&cache, (struct fetch_session_spec){.id = 1, .is_privileged = true});
    struct fetch_session *second =
        fetch_session_open(&cache, (struct fetch_session_spec){.id = 2, .now_ms = 10});
    fetch_session_acquire(second, 10);
    assert_null(fetch_session_open(&cache, (struct fetch_session_spec){.id = 3, .now_ms = 20}));
    assert_non_null(fetch_session_open(&cache, follower));
    assert_ptr_equal(fetch_session_find(&cache, 1), first);
    assert_null(fetch_session_find(&cache, 2));
    fetch_session_release(second);
    const struct fetch_session_spec third = {.id = 4, .now_ms = 20, .is_privileged = true};
    assert_null(fetch_session_open(&cache, third)); /* Of followers there are two. */
}

static void ignore(struct partition_waiter *waiter)
{
    (void)waiter;
}

static void test_only_open_partitions_are_looked_at(void **state)
{
    (void)state;
    struct list news;
    struct fetch_session *session =
        fetch_session_open(&cache, (struct fetch_session_spec){.id = 7});
    struct fetch_session_partition *a = fetch_session_partition_put(session, key("a", 0));
    struct fetch_session_partition *b = fetch_session_partition_put(session, key("b", 0));
    assert_int_equal(session->open_count, 2);
    fetch_session_partition_open(a);
    assert_int_equal(session->open_count, 2);
    fetch_session_partition_move_last(session, a);
    assert_ptr_equal(CONTAINER_OF(session->open.next, struct fetch_session_partition, open_link),
                     b);
    list_init(&news);
    fetch_session_partition_rest(b);
    fetch_session_partition_rest(b);
    b->news.wake = ignore;
    list_push(&news, &b->news.link);
    assert_int_equal(session->open_count, 1);
    fetch_session_partition_move_last(session, b);
    assert_int_equal(session->open_count, 1);
    fetch_session_partition_open(b);
    assert_int_equal(session->open_count, 2);
    assert_true(list_empty(&news));
    fetch_session_partition_forget(session, b);
    assert_int_equal(session->open_count, 1);
    fetch_session_partition_rest(a);
    list_push(&news, &a->news.link);
    fetch_session_close(session); /* Whoever waits for news goes with it. */
    assert_true(list_empty(&news));
}

static void test_a_held_session_outlives_its_end(void **state)
{
    (void)state;
    struct fetch_session *session =
        fetch_session_open(&cache, (struct fetch_session_spec){.id = 1});
    fetch_session_acquire(session, 1);
    fetch_session_close(session);
    assert_null(fetch_session_find(&cache, 1));
    assert_int_equal(session->id, 1);
    fetch_session_release(session);
    assert_int_equal(cache.session_count, 0);
}

static void test_epochs_wrap_to_one(void **state)
{
    (void)state;
    assert_int_equal(fetch_session_epoch_after(1), 2);
    assert_int_equal(fetch_session_epoch_after(INT32_MAX), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_remembers_partitions_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ids_name_partitions_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_only_idle_sessions_make_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_followers_take_the_place_of_consumers, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_only_open_partitions_are_looked_at, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_held_session_outlives_its_end, set_up, tear_down),
        cmocka_unit_test(test_epochs_wrap_to_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
