/* The high watermark of a replicated partition: what consumers may read of it, and where it is
 * after a start. */
#define _GNU_SOURCE
#include "server/broker/partition_watermark.h"

#include "test/store_fixture.h"

static void set_up_store(struct fixture *fixture, struct partition_store **store)
{
    set_up(fixture);
    fixture->config.segment_bytes = 20000;
    fixture->config.index_interval_bytes = 1000;
    start(fixture);
    *store = create(fixture, "t");
    partition_store_set_replicated(*store, true);
}

static void let_it_be_located(struct fixture *fixture, struct partition_store *store)
{
    while (store->watermark.is_locating)
        io_run(fixture->io, UINT64_MAX);
}

static void moves_when_told(void **state)
{
    struct fixture fixture;
    struct partition_store *store;
    (void)state;
    set_up_store(&fixture, &store);
    for (int i = 0; i < 5; i++)
        (void)append(&fixture, store, 2, PARTITION_WRITTEN);
    assert_int_equal(partition_store_high_watermark(store), 0);
    assert_int_equal(partition_store_reached_offset(store), 10);
    assert_int_equal(read_at(&fixture, store, 0, 1000).read.size, 0);
    partition_store_raise_high_watermark(store, 4);
    assert_true(store->watermark.is_exact);
    assert_int_equal(read_all(&fixture, store, 0, 100000), 4);
    partition_store_raise_high_watermark(store, 2);
    assert_int_equal(partition_store_high_watermark(store), 4);
    partition_store_raise_high_watermark(store, 1000); /* The leader may be ahead of us. */
    assert_int_equal(partition_store_high_watermark(store), 10);
    assert_int_equal(read_all(&fixture, store, 0, 100000), 10);
    (void)append(&fixture, store, 2, PARTITION_WRITTEN);
    assert_int_equal(partition_store_high_watermark(store), 10);
    partition_store_set_replicated(store, false);
    assert_int_equal(partition_store_high_watermark(store), 12);
    (void)append(&fixture, store, 1, PARTITION_WRITTEN);
    assert_int_equal(partition_store_high_watermark(store), 13);
    stop(&fixture);
    tear_down(&fixture);
}

/* More appends than there are marks: places between them are found in the files. */
static void is_found_behind_many_appends(void **state)
{
    struct fixture fixture;
    struct partition_store *store;
    enum { append_count = partition_mark_count_max + 300 };
    (void)state;
    set_up_store(&fixture, &store);
    for (int i = 0; i < append_count; i++)
        (void)append(&fixture, store, 1, PARTITION_WRITTEN);
    for (int64_t offset = 1; offset < append_count; offset += offset < 1000 ? 97 : 3) {
        partition_store_raise_high_watermark(store, offset);
        let_it_be_located(&fixture, store);
        assert_true(store->watermark.is_exact);
        const int64_t from = offset > 50 ? offset - 50 : 0;
        assert_int_equal(read_all(&fixture, store, from, 100000), offset - from);
    }
    stop(&fixture);
    tear_down(&fixture);
}

static void begins_at_the_checkpoint(void **state)
{
    struct fixture fixture;
    struct partition_store *store;
    (void)state;
    set_up_store(&fixture, &store);
    for (int i = 0; i < 300; i++)
        (void)append(&fixture, store, 2, PARTITION_WRITTEN);
    partition_store_raise_high_watermark(store, 402);
    stop(&fixture);
    start(&fixture);
    stop(&fixture); /* Nobody has said what holds: the line stays. */
    start(&fixture);
    store = find(&fixture, "t");
    partition_store_set_replicated(store, true);
    partition_store_lead(store, 1);
    assert_int_equal(partition_store_high_watermark(store), 402);
    assert_int_equal(partition_store_reached_offset(store), 600);
    let_it_be_located(&fixture, store);
    assert_int_equal(read_all(&fixture, store, 0, 100000), 402);
    (void)append(&fixture, store, 2, PARTITION_WRITTEN);
    partition_store_raise_high_watermark(store, 602);
    assert_int_equal(read_all(&fixture, store, 380, 100000), 222);
    stop(&fixture);
    start(&fixture);
    store = find(&fixture, "t");
    partition_store_lead(store, 2); /* Alone: what is here is all there is. */
    assert_int_equal(partition_store_high_watermark(store), 602);
    stop(&fixture);
    tear_down(&fixture);
}

/* What was said of a partition that was deleted does not hold for the next one of its name. */
static void begins_anew_with_another_life(void **state)
{
    struct fixture fixture;
    struct partition_store *store;
    struct outcome outcome = {0};
    (void)state;
    set_up_store(&fixture, &store);
    for (int i = 0; i < 30; i++)
        (void)append(&fixture, store, 1, PARTITION_WRITTEN);
    partition_store_raise_high_watermark(store, 20);
    stop(&fixture);
    start(&fixture);
    log_directory_delete(fixture.directory, find(&fixture, "t"), on_done, &outcome);
    while (!outcome.is_done)
        io_run(fixture.io, UINT64_MAX);
    assert_int_equal(outcome.err, ERR_OK);
    store = create(&fixture, "t");
    partition_store_set_replicated(store, true);
    for (int i = 0; i < 10; i++)
        (void)append(&fixture, store, 1, PARTITION_DURABLE);
    assert_int_equal(partition_store_high_watermark(store), 0);
    kill_it(&fixture);
    start(&fixture);
    store = find(&fixture, "t");
    partition_store_set_replicated(store, true);
    assert_int_equal(partition_store_reached_offset(store), 10);
    assert_int_equal(partition_store_high_watermark(store), 0);
    stop(&fixture);
    tear_down(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_when_told),
        cmocka_unit_test(is_found_behind_many_appends),
        cmocka_unit_test(begins_at_the_checkpoint),
        cmocka_unit_test(begins_anew_with_another_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
