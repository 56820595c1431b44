/* Where a copy parts from the log that it is of, and what else it takes over. */
#define _GNU_SOURCE
#include "server/broker/partition_future.h"

#include "base/bytes.h"
#include "test/store_fixture.h"

enum { producer_id = 5 };

struct pair {
    struct fixture fixture;
    struct partition_store *source;
    struct partition_store *copy;
};

static void begin(struct pair *pair)
{
    set_up(&pair->fixture);
    start(&pair->fixture);
    pair->source = create(&pair->fixture, "source");
    pair->copy = create(&pair->fixture, "copy");
    partition_store_set_replicated(pair->source, true);
    partition_store_set_replicated(pair->copy, true);
}

static void end(struct pair *pair)
{
    stop(&pair->fixture);
    tear_down(&pair->fixture);
}

static void put(struct pair *pair, struct partition_store *store, int64_t offset, int32_t epoch,
                int32_t count)
{
    struct pending pending;
    struct record_batch batch;
    fill(&pending, count, 100, 1000 + offset);
    store_i64(pending.data + 43, producer_id);
    store_i16(pending.data + 51, 0);
    store_i32(pending.data + 53, (int32_t)offset);
    assert_int_equal(ERR_OK,
                     record_batch_decode(&batch, slice_of(pending.data, pending.append.size)));
    record_batch_set_max_timestamp(&batch, pending.data, 1000 + offset);
    record_batch_stamp(&batch, pending.data,
                       (struct record_batch_stamp){.base_offset = offset, .leader_epoch = epoch});
    pending.append.durability = PARTITION_DURABLE;
    assert_int_equal(KAFKA_NONE, partition_store_copy(store, &pending.append));
    wait_for(&pair->fixture, &pending.is_done);
    assert_int_equal(KAFKA_NONE, pending.code);
}

static void expect_same(struct pair *pair)
{
    int64_t offset;
    bool begins_anew;
    assert_false(partition_future_diverges(pair->source, pair->copy, &offset, &begins_anew));
}

static void expect_cut(struct pair *pair, int64_t at, bool anew)
{
    int64_t offset;
    bool begins_anew;
    assert_true(partition_future_diverges(pair->source, pair->copy, &offset, &begins_anew));
    assert_int_equal(offset, at);
    assert_int_equal(begins_anew, anew);
}

static void a_copy_is_the_beginning(void **state)
{
    struct pair pair;
    (void)state;
    begin(&pair);
    expect_same(&pair);
    put(&pair, pair.source, 0, 1, 10);
    expect_same(&pair);
    put(&pair, pair.copy, 0, 1, 10);
    expect_same(&pair);
    put(&pair, pair.source, 10, 3, 5);
    expect_same(&pair);
    put(&pair, pair.copy, 10, 3, 5);
    expect_same(&pair);
    put(&pair, pair.copy, 15, 3, 5); /* The source was truncated, and is shorter now. */
    expect_cut(&pair, 15, false);
    end(&pair);
}

static void epochs_tell_where_they_part(void **state)
{
    struct pair pair;
    (void)state;
    begin(&pair);
    put(&pair, pair.source, 0, 1, 10);
    put(&pair, pair.copy, 0, 1, 10);
    put(&pair, pair.copy, 10, 2, 5); /* Which the source has lost. */
    put(&pair, pair.source, 10, 3, 5);
    put(&pair, pair.source, 15, 3, 5);
    expect_cut(&pair, 10, false);
    end(&pair);
}

static void an_epoch_that_nobody_else_has_is_cut(void **state)
{
    struct pair pair;
    (void)state;
    begin(&pair);
    put(&pair, pair.source, 0, 1, 10);
    put(&pair, pair.source, 10, 1, 10);
    put(&pair, pair.copy, 0, 1, 10);
    put(&pair, pair.copy, 10, 4, 5);
    expect_cut(&pair, 10, false);
    end(&pair);
}

static void nothing_in_common_begins_anew(void **state)
{
    struct pair pair;
    int64_t start;
    (void)state;
    begin(&pair);
    put(&pair, pair.source, 0, 2, 10);
    put(&pair, pair.copy, 0, 1, 10);
    expect_cut(&pair, 0, true);
    partition_store_raise_high_watermark(pair.source, 10);
    assert_int_equal(KAFKA_NONE, partition_store_delete_records(pair.source, 7, &start));
    expect_cut(&pair, 7, true);
    end(&pair);
}

static void a_copy_inherits(void **state)
{
    struct pair pair;
    int64_t start;
    (void)state;
    begin(&pair);
    put(&pair, pair.source, 0, 1, 10);
    put(&pair, pair.copy, 0, 1, 10);
    partition_store_lead(pair.source, 6); /* Of which there is no record. */
    partition_store_raise_high_watermark(pair.source, 10);
    assert_int_equal(KAFKA_NONE, partition_store_delete_records(pair.source, 4, &start));
    producer_state_deinit(&pair.copy->producers);
    partition_future_inherit(pair.source, pair.copy);
    assert_int_equal(producer_state_count(&pair.copy->producers), 1);
    assert_int_equal(partition_store_latest_epoch(pair.copy), 6);
    assert_int_equal(partition_store_epoch_end(pair.copy, 1).end_offset, 10);
    assert_int_equal(partition_store_high_watermark(pair.copy), 10);
    assert_int_equal(partition_store_log_start_offset(pair.copy), 4);
    assert_true(partition_future_needs_start(pair.copy));
    end(&pair);
}

static void the_later_epoch_is_ahead(void **state)
{
    struct pair pair;
    (void)state;
    begin(&pair);
    put(&pair, pair.source, 0, 1, 10);
    put(&pair, pair.copy, 0, 1, 10);
    assert_false(partition_future_is_ahead(pair.source, pair.copy));
    put(&pair, pair.source, 10, 1, 10);
    assert_true(partition_future_is_ahead(pair.source, pair.copy));
    put(&pair, pair.copy, 10, 2, 1); /* The longer one was truncated elsewhere. */
    assert_false(partition_future_is_ahead(pair.source, pair.copy));
    assert_true(partition_future_is_ahead(pair.copy, pair.source));
    end(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_is_the_beginning),
        cmocka_unit_test(epochs_tell_where_they_part),
        cmocka_unit_test(an_epoch_that_nobody_else_has_is_cut),
        cmocka_unit_test(nothing_in_common_begins_anew),
        cmocka_unit_test(a_copy_inherits),
        cmocka_unit_test(the_later_epoch_is_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
