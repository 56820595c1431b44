/* What a follower does to its store: copies, truncations, a log begun anew. */
#define _GNU_SOURCE
#include "server/broker/partition_cut.h"

#include "base/bytes.h"
#include "server/broker/directory_checkpoints.h"
#include "test/store_fixture.h"

enum { producer_id = 5 };

static void set_up_store(struct fixture *fixture, struct partition_store **store)
{
    set_up(fixture);
    fixture->config.segment_bytes = 20000;
    fixture->config.index_interval_bytes = 1000;
    start(fixture);
    *store = create(fixture, "t");
    partition_store_set_replicated(*store, true);
}

/* A batch as a leader has stamped it; the sequence is the offset. */
static void fill_copy(struct pending *pending, int64_t offset, int32_t epoch, int32_t count)
{
    struct record_batch batch;
    fill(pending, count, 100, 1000 + offset);
    store_i64(pending->data + 43, producer_id);
    store_i16(pending->data + 51, 0);
    store_i32(pending->data + 53, (int32_t)offset);
    assert_int_equal(ERR_OK,
                     record_batch_decode(&batch, slice_of(pending->data, pending->append.size)));
    record_batch_set_max_timestamp(&batch, pending->data, 1000 + offset);
    record_batch_stamp(&batch, pending->data,
                       (struct record_batch_stamp){.base_offset = offset, .leader_epoch = epoch});
}

static void copy(struct fixture *fixture, struct partition_store *store, int64_t offset,
                 int32_t epoch, int32_t count)
{
    struct pending pending;
    fill_copy(&pending, offset, epoch, count);
    pending.append.durability = PARTITION_DURABLE;
    assert_int_equal(KAFKA_NONE, partition_store_copy(store, &pending.append));
    assert_int_equal(offset, pending.append.base_offset);
    wait_for(fixture, &pending.is_done);
    assert_int_equal(KAFKA_NONE, pending.code);
}

/* The producer's next batch, as a client would send it. */
static enum error_code produce_on(struct fixture *fixture, struct partition_store *store,
                                  int32_t sequence, bool *is_duplicate)
{
    struct pending pending;
    struct record_batch batch;
    fill_copy(&pending, sequence, 0, 1);
    assert_int_equal(ERR_OK,
                     record_batch_decode(&batch, slice_of(pending.data, pending.append.size)));
    const enum error_code code = partition_store_append(store, &pending.append);
    *is_duplicate = code == KAFKA_NONE && pending.append.is_duplicate;
    if (code == KAFKA_NONE)
        wait_for(fixture, &pending.is_done);
    return code;
}

struct cutting {
    struct partition_cut cut;
    bool is_done;
    enum error_code code;
};

static void on_cut(struct partition_cut *cut, enum error_code code)
{
    struct cutting *cutting = CONTAINER_OF(cut, struct cutting, cut);
    cutting->is_done = true;
    cutting->code = code;
}

static void cut(struct fixture *fixture, struct partition_store *store, int64_t offset,
                bool begins_anew)
{
    static struct cutting cutting;
    cutting =
        (struct cutting){.cut = {.offset = offset, .begins_anew = begins_anew, .done = on_cut}};
    partition_store_cut(store, &cutting.cut);
    assert_false(cutting.is_done);
    wait_for(fixture, &cutting.is_done);
    assert_int_equal(KAFKA_NONE, cutting.code);
    assert_null(store->cut);
}

static void copies_as_the_leader_has_it(void **state)
{
    struct fixture fixture;
    struct partition_store *store;
    (void)state;
    set_up_store(&fixture, &store);
    copy(&fixture, store, 0, 3, 2);
    copy(&fixture, store, 2, 3, 1);
    copy(&fixture, store, 7, 5, 4); /* Compaction took what was between. */
    assert_int_equal(11, partition_store_log_end_offset(store));
    assert_int_equal(0, partition_store_high_watermark(store));
    assert_int_equal(5, partition_store_latest_epoch(store));
    assert_int_equal(7, partition_store_epoch_end(store, 3).end_offset);
    partition_store_raise_high_watermark(store, 9);
    partition_store_follow_log_start(store, 20); /* Not behind the high watermark. */
    assert_int_equal(9, partition_store_log_start_offset(store));
    partition_store_raise_high_watermark(store, 100);
    assert_int_equal(11, partition_store_high_watermark(store));
    stop(&fixture);
    start(&fixture);
    store = find(&fixture, "t");
    partition_store_set_replicated(store, true);
    assert_int_equal(11, partition_store_log_end_offset(store));
    assert_int_equal(11, partition_store_high_watermark(store));
    assert_int_equal(5, partition_store_latest_epoch(store));
    copy(&fixture, store, 11, 5, 1);
    stop(&fixture);
    tear_down(&fixture);
}

static enum error_code copy_damaged(struct partition_store *store, int64_t offset, int at,
                                    uint8_t flip)
{
    struct pending pending;
    fill_copy(&pending, offset, 3, 2);
    pending.data[at] ^= flip;
    return partition_store_copy(store, &pending.append);
}

static void refuses_what_is_no_log(void **state)
{
    struct fixture fixture;
    struct partition_store *store;
    (void)state;
    set_up_store(&fixture, &store);
    copy(&fixture, store, 0, 3, 2);
    fixture.line_count = 0;
    assert_int_equal(KAFKA_CORRUPT_MESSAGE, copy_damaged(store, 2, 80, 1));
    assert_true(has_line(&fixture, "checksum"));
    assert_int_equal(KAFKA_CORRUPT_MESSAGE, copy_damaged(store, 2, 12, 0x80));
    assert_true(has_line(&fixture, "leader epoch"));
    assert_int_equal(KAFKA_CORRUPT_MESSAGE, copy_damaged(store, 2, 23, 0x80));
    assert_true(has_line(&fixture, "offsets"));
    assert_int_equal(KAFKA_CORRUPT_MESSAGE, copy_damaged(store, 2, 10, 1)); /* Its length. */
    assert_int_equal(KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT, copy_damaged(store, 2, 16, 3));
    assert_int_equal(KAFKA_OFFSET_OUT_OF_RANGE, copy_damaged(store, 1, 100, 0));
    assert_int_equal(2, partition_store_log_end_offset(store));
    copy(&fixture, store, 2, 3, 1);
    stop(&fixture);
    tear_down(&fixture);
}

static void truncates_to_a_batch(void **state)
{
    struct fixture fixture;
    struct partition_store *store;
    bool is_duplicate;
    (void)state;
    set_up_store(&fixture, &store);
    for (int64_t offset = 0; offset < 600; offset += 2)
        copy(&fixture, store, offset, offset < 300 ? 1 : 2, 2);
    partition_store_raise_high_watermark(store, 320);
    assert_true(store->segments.next->next != &store->segments); /* Several segments. */
    cut(&fixture, store, 401, false); /* In the middle of a batch: all of it goes. */
    assert_int_equal(400, partition_store_log_end_offset(store));
    assert_int_equal(320, partition_store_high_watermark(store));
    assert_int_equal(400, partition_store_epoch_end(store, 2).end_offset);
    cut(&fixture, store, 400, false); /* Nothing is there. */
    cut(&fixture, store, 300, false);
    assert_int_equal(300, partition_store_high_watermark(store));
    assert_true(has_line(&fixture, "below the high watermark"));
    assert_int_equal(1, partition_store_latest_epoch(store));
    assert_int_equal(300, read_all(&fixture, store, 0, 3000));
    partition_store_set_replicated(store, false);
    partition_store_lead(store, 7);
    assert_int_equal(KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER,
                     produce_on(&fixture, store, 301, &is_duplicate));
    assert_int_equal(KAFKA_NONE, produce_on(&fixture, store, 300, &is_duplicate));
    assert_false(is_duplicate);
    assert_int_equal(KAFKA_NONE, produce_on(&fixture, store, 300, &is_duplicate));
    assert_true(is_duplicate);
    stop(&fixture);
    start(&fixture);
    store = find(&fixture, "t");
    assert_int_equal(301, partition_store_log_end_offset(store));
    assert_int_equal(301, read_all(&fixture, store, 0, 3000));
    stop(&fixture);
    tear_down(&fixture);
}

/* An epoch that began here and had no batch: the leader knows nothing of it. */
static void forgets_an_empty_epoch(void **state)
{
    struct fixture fixture;
    struct partition_store *store;
    (void)state;
    set_up_store(&fixture, &store);
    copy(&fixture, store, 0, 1, 2);
    partition_store_lead(store, 4);
    assert_int_equal(4, partition_store_latest_epoch(store));
    cut(&fixture, store, 10, false);
    assert_int_equal(1, partition_store_latest_epoch(store));
    stop(&fixture);
    tear_down(&fixture);
}

static void begins_anew(void **state)
{
    struct fixture fixture;
    struct partition_store *store;
    static const int64_t offsets[] = {0, 5, 700};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(offsets); i++) {
        const int64_t offset = offsets[i];
        set_up_store(&fixture, &store);
        for (int64_t at = 0; at < 300; at += 2)
            copy(&fixture, store, at, 1, 2);
        partition_store_raise_high_watermark(store, 200);
        cut(&fixture, store, offset, true);
        assert_int_equal(offset, partition_store_log_start_offset(store));
        assert_int_equal(offset, partition_store_log_end_offset(store));
        assert_int_equal(offset, partition_store_high_watermark(store));
        assert_int_equal(-1, partition_store_latest_epoch(store));
        kill_it(&fixture);
        start(&fixture);
        store = find(&fixture, "t");
        assert_int_equal(offset, partition_store_log_end_offset(store));
        assert_int_equal(offset, partition_store_log_start_offset(store));
        copy(&fixture, store, offset, 2, 3);
        stop(&fixture);
        start(&fixture);
        store = find(&fixture, "t");
        assert_int_equal(offset + 3, partition_store_log_end_offset(store));
        assert_int_equal(offset, partition_store_log_start_offset(store));
        stop(&fixture);
        tear_down(&fixture);
    }
}

/* The cut takes a whole batch, and begins in front of the log start that a checkpoint tells. */
static void truncates_below_its_start(void **state)
{
    struct fixture fixture;
    struct partition_store *store;
    int64_t start_offset;
    (void)state;
    set_up_store(&fixture, &store);
    copy(&fixture, store, 0, 1, 2);
    copy(&fixture, store, 2, 1, 10);
    partition_store_raise_high_watermark(store, 12);
    assert_int_equal(KAFKA_NONE, partition_store_delete_records(store, 6, &start_offset));
    cut(&fixture, store, 8, false);
    assert_int_equal(2, partition_store_log_end_offset(store));
    assert_int_equal(2, partition_store_log_start_offset(store));
    copy(&fixture, store, 2, 2, 2);
    kill_it(&fixture);
    start(&fixture);
    store = find(&fixture, "t");
    assert_int_equal(4, partition_store_log_end_offset(store));
    assert_int_equal(2, partition_store_log_start_offset(store));
    assert_int_equal(2, read_all(&fixture, store, 2, 1000));
    stop(&fixture);
    tear_down(&fixture);
}

static void put_file(const struct fixture *fixture, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", fixture->path, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(0, fclose(file));
}

/* The snapshot of before stays on the disk, and the new log has no file yet when the broker dies.
 */
static void knows_no_producers_of_a_log_that_is_gone(void **state)
{
    struct fixture fixture;
    struct partition_store *store;
    bool is_duplicate;
    (void)state;
    set_up_store(&fixture, &store);
    copy(&fixture, store, 0, 1, 2);
    stop(&fixture);
    put_file(&fixture, "log-start-offset-checkpoint", "0\n1\nt 0 20\n");
    start(&fixture);
    assert_true(has_line(&fixture, "ends at 2, before its start 20: begun anew there"));
    kill_it(&fixture);
    start(&fixture);
    store = find(&fixture, "t");
    assert_int_equal(20, partition_store_log_end_offset(store));
    partition_store_lead(store, 2);
    assert_int_equal(KAFKA_NONE, produce_on(&fixture, store, 300, &is_duplicate));
    stop(&fixture);
    tear_down(&fixture);
}

/* What compaction took may be wider than the offsets of one segment reach. */
static void takes_a_wide_hole(void **state)
{
    struct fixture fixture;
    struct partition_store *store;
    const int64_t far = (int64_t)INT32_MAX + 100;
    (void)state;
    set_up_store(&fixture, &store);
    copy(&fixture, store, far, 1, 2);
    assert_int_equal(far + 2, partition_store_log_end_offset(store));
    copy(&fixture, store, far + 2, 1, 2);
    stop(&fixture);
    start(&fixture);
    store = find(&fixture, "t");
    assert_int_equal(far + 4, partition_store_log_end_offset(store));
    assert_int_equal(4, read_all(&fixture, store, far, 100000));
    stop(&fixture);
    tear_down(&fixture);
}

static void remove_marks(const struct fixture *fixture)
{
    char path[128];
    snprintf(path, sizeof path, "%s/rookery-synced", fixture->path);
    assert_int_equal(0, unlink(path));
}

/* Between two segments, as compaction leaves it: after a crash only what was promised to be on the
 * disk tells it from the end that the crash has taken. Without a mark, as in a directory of
 * Apache's, that is what lies below the recovery point. */
static void tells_what_compaction_took_from_what_a_crash_took(void **state)
{
    static const struct {
        bool has_mark;
        bool has_recovery_point;
        bool is_cut;
    } rows[] = {{true, false, false}, {false, true, false}, {false, false, true}};
    const int64_t far = (int64_t)INT32_MAX + 100;
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct fixture fixture;
        struct partition_store *store;
        char text[64];
        set_up_store(&fixture, &store);
        copy(&fixture, store, 0, 1, 2);
        copy(&fixture, store, far, 1, 2);
        while (store->synced_mark < far + 2 || fixture.directory->marks.writing != NULL)
            io_run(fixture.io, UINT64_MAX);
        kill_it(&fixture);
        if (!rows[i].has_mark)
            remove_marks(&fixture);
        snprintf(text, sizeof text, "0\n1\nt 0 %lld\n", (long long)far);
        if (rows[i].has_recovery_point)
            put_file(&fixture, "recovery-point-offset-checkpoint", text);
        start(&fixture);
        store = find(&fixture, "t");
        assert_null(partition_store_offline_reason(store));
        assert_int_equal(rows[i].is_cut, has_line(&fixture, "are missing; cut there"));
        assert_int_equal(rows[i].is_cut ? 2 : far + 2, partition_store_log_end_offset(store));
        assert_int_equal(2, read_all(&fixture, store, rows[i].is_cut ? 0 : far, 100000));
        stop(&fixture);
        start(&fixture);
        assert_int_equal(rows[i].is_cut ? 2 : far + 2,
                         partition_store_log_end_offset(find(&fixture, "t")));
        stop(&fixture);
        tear_down(&fixture);
    }
}

/* Nothing else happens to the store meanwhile. */
static void is_left_alone_during_a_truncation(void **state)
{
    struct fixture fixture;
    struct partition_store *store;
    struct pending pending;
    static struct cutting cutting;
    int64_t start_offset;
    (void)state;
    set_up_store(&fixture, &store);
    copy(&fixture, store, 0, 1, 2);
    copy(&fixture, store, 2, 1, 2);
    fill_copy(&pending, 4, 1, 2);
    assert_int_equal(KAFKA_NONE, partition_store_copy(store, &pending.append));
    cutting = (struct cutting){.cut = {.offset = 2, .done = on_cut}};
    partition_store_cut(store, &cutting.cut);
    struct pending late;
    fill_copy(&late, 6, 1, 2);
    assert_int_equal(KAFKA_NOT_LEADER_OR_FOLLOWER, partition_store_copy(store, &late.append));
    assert_int_equal(KAFKA_NOT_LEADER_OR_FOLLOWER, read_at(&fixture, store, 0, 100).code);
    assert_int_equal(KAFKA_NOT_LEADER_OR_FOLLOWER,
                     partition_store_delete_records(store, 0, &start_offset));
    wait_for(&fixture, &cutting.is_done);
    assert_true(pending.is_done); /* It was in front. */
    assert_int_equal(2, partition_store_log_end_offset(store));
    copy(&fixture, store, 2, 2, 1);
    stop(&fixture);
    tear_down(&fixture);
}

/* What comes in the place of what was cut off has not been committed by that. */
static void a_high_watermark_is_cut_for_good(void **state)
{
    struct fixture fixture;
    struct partition_store *store;
    (void)state;
    set_up_store(&fixture, &store);
    for (int64_t offset = 0; offset < 30; offset += 2)
        copy(&fixture, store, offset, 1, 2);
    partition_store_raise_high_watermark(store, 20);
    stop(&fixture);
    start(&fixture);
    store = find(&fixture, "t");
    partition_store_set_replicated(store, true);
    assert_int_equal(20, partition_store_high_watermark(store));
    cut(&fixture, store, 10, false);
    assert_int_equal(10, partition_store_high_watermark(store));
    for (int64_t offset = 10; offset < 20; offset += 2)
        copy(&fixture, store, offset, 2, 2);
    kill_it(&fixture);
    start(&fixture);
    store = find(&fixture, "t");
    partition_store_set_replicated(store, true);
    assert_int_equal(20, partition_store_log_end_offset(store));
    assert_int_equal(10, partition_store_high_watermark(store));
    stop(&fixture);
    tear_down(&fixture);
}

/* What a start has found is not true any more after a truncation. */
static void a_failed_store_keeps_the_recovery_point_that_it_told(void **state)
{
    struct fixture fixture;
    struct partition_store *store;
    char path[256], text[32] = {0};
    (void)state;
    set_up_store(&fixture, &store);
    copy(&fixture, store, 0, 1, 2);
    copy(&fixture, store, 2, 1, 2);
    stop(&fixture);
    start(&fixture);
    store = find(&fixture, "t");
    assert_int_equal(4, store->recovery_point);
    cut(&fixture, store, 2, false);
    partition_store_fail(store, "a test");
    const uint64_t number = fixture.directory->checkpoint_begun + 1;
    assert_int_equal(ERR_OK, directory_checkpoints_write_set(fixture.directory));
    while (fixture.directory->checkpoint_ended < number)
        io_run(fixture.io, UINT64_MAX);
    kill_it(&fixture);
    snprintf(path, sizeof path, "%s/recovery-point-offset-checkpoint", fixture.path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof text - 1, file) > 0);
    assert_string_equal(text, "0\n1\nt 0 0\n"); /* The segment that was cut is read again. */
    fclose(file);
    tear_down(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_as_the_leader_has_it),
        cmocka_unit_test(refuses_what_is_no_log),
        cmocka_unit_test(truncates_to_a_batch),
        cmocka_unit_test(forgets_an_empty_epoch),
        cmocka_unit_test(truncates_below_its_start),
        cmocka_unit_test(begins_anew),
        cmocka_unit_test(knows_no_producers_of_a_log_that_is_gone),
        cmocka_unit_test(takes_a_wide_hole),
        cmocka_unit_test(tells_what_compaction_took_from_what_a_crash_took),
        cmocka_unit_test(is_left_alone_during_a_truncation),
        cmocka_unit_test(a_high_watermark_is_cut_for_good),
        cmocka_unit_test(a_failed_store_keeps_the_recovery_point_that_it_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
