#include "broker/producer_state.h"

#include "base/bytes.h"
#include "base/checksum.h"
#include "test/unit_test.h"

struct fixture {
    struct heap heap;
    struct producer_budget budget;
    struct producer_state state;
    int64_t log_end;
};

static void set_up(struct fixture *fixture)
{
    heap_init(&fixture->heap, (struct heap_options){.limit_bytes = 1 << 20});
    fixture->budget = (struct producer_budget){.heap = &fixture->heap, .seed = 1, .count_max = 100};
    producer_state_init(&fixture->state, &fixture->budget);
    fixture->log_end = 1000;
}

static void tear_down(struct fixture *fixture)
{
    producer_state_deinit(&fixture->state);
    assert_int_equal(fixture->heap.block_count, 0);
    assert_int_equal(fixture->budget.count, 0);
}

static struct record_batch batch_of(int16_t epoch, int32_t sequence, int32_t count)
{
    return (struct record_batch){.producer_id = 7,
                                 .producer_epoch = epoch,
                                 .base_sequence = sequence,
                                 .last_offset_delta = count - 1,
                                 .record_count = count,
                                 .max_timestamp_ms = 5000};
}

/* Checks and, where that is right, appends. */
static struct producer_verdict offer(struct fixture *fixture, int16_t epoch, int32_t sequence,
                                     int32_t count)
{
    struct record_batch batch = batch_of(epoch, sequence, count);
    const struct producer_verdict verdict = producer_state_check(&fixture->state, &batch);
    if (verdict.code != KAFKA_NONE || verdict.is_duplicate)
        return verdict;
    batch.base_offset = fixture->log_end;
    fixture->log_end += count;
    assert_int_equal(producer_state_append(&fixture->state, &batch), ERR_OK);
    return verdict;
}

static void tells_retries_from_gaps(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    assert_int_equal(offer(&fixture, 0, 50, 10).code, KAFKA_NONE); /* Unknown: any start. */
    assert_int_equal(offer(&fixture, 0, 61, 1).code, KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
    for (int32_t i = 0; i < 5; i++)
        assert_int_equal(offer(&fixture, 0, 60 + i, 1).code, KAFKA_NONE);

    struct producer_verdict verdict = offer(&fixture, 0, 60, 1);
    assert_true(verdict.is_duplicate);
    assert_int_equal(verdict.base_offset, 1010);
    assert_int_equal(verdict.timestamp_ms, 5000);
    verdict = offer(&fixture, 0, 50, 10); /* The sixth last is forgotten. */
    assert_int_equal(verdict.code, KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_false(verdict.is_duplicate);
    assert_int_equal(offer(&fixture, 0, 60, 2).code, KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
    tear_down(&fixture);
}

static void epochs_fence(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    assert_int_equal(offer(&fixture, 3, 0, 1).code, KAFKA_NONE);
    assert_int_equal(offer(&fixture, 2, 1, 1).code, KAFKA_INVALID_PRODUCER_EPOCH);
    assert_int_equal(offer(&fixture, 4, 1, 1).code, KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(offer(&fixture, 4, 0, 1).code, KAFKA_NONE);
    assert_int_equal(offer(&fixture, 3, 0, 1).code, KAFKA_INVALID_PRODUCER_EPOCH);
    assert_false(offer(&fixture, 4, 1, 1).is_duplicate);
    tear_down(&fixture);
}

static void sequences_wrap(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    assert_int_equal(offer(&fixture, 0, INT32_MAX - 1, 4).code, KAFKA_NONE); /* Ends at 1. */
    const struct producer_verdict verdict = offer(&fixture, 0, INT32_MAX - 1, 4);
    assert_true(verdict.is_duplicate && verdict.base_offset == 1000);
    assert_int_equal(offer(&fixture, 0, 2, 1).code, KAFKA_NONE);
    assert_int_equal(offer(&fixture, 0, INT32_MAX, 1).code, KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
    tear_down(&fixture);
}

static void has_a_limit_and_expires(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    for (int64_t id = 0; id < 101; id++) {
        struct record_batch batch = batch_of(0, 0, 1);
        batch.producer_id = id;
        batch.max_timestamp_ms = id;
        const enum error_code code = producer_state_check(&fixture.state, &batch).code;
        assert_int_equal(code, id < 100 ? KAFKA_NONE : KAFKA_THROTTLING_QUOTA_EXCEEDED);
        if (code == KAFKA_NONE)
            assert_int_equal(producer_state_append(&fixture.state, &batch), ERR_OK);
    }
    producer_state_expire(&fixture.state, 149, 100);
    assert_int_equal(producer_state_count(&fixture.state), 51);
    producer_state_expire(&fixture.state, 100000, 100);
    assert_int_equal(producer_state_count(&fixture.state), 0);
    assert_int_equal(fixture.heap.block_count, 0);
    tear_down(&fixture);
}

static void snapshots_hold_the_last_batch(void **state)
{
    (void)state;
    struct fixture fixture;
    uint8_t bytes[256];
    set_up(&fixture);
    assert_int_equal(offer(&fixture, 2, 0, 4).code, KAFKA_NONE);
    assert_int_equal(offer(&fixture, 2, 4, 2).code, KAFKA_NONE);
    const size_t size = producer_state_snapshot_bytes(&fixture.state);
    assert_int_equal(size, 10 + 46);
    producer_state_encode(&fixture.state, bytes);
    assert_int_equal(load_i16(bytes), 1);
    assert_int_equal(load_u32(bytes + 2), checksum_crc32c(0, slice_of(bytes + 6, size - 6)));
    assert_int_equal(load_i64(bytes + 10), 7);
    assert_int_equal(load_i32(bytes + 20), 5);    /* Last sequence. */
    assert_int_equal(load_i64(bytes + 24), 1005); /* Last offset. */
    assert_int_equal(load_i32(bytes + 32), 1);    /* Offset delta. */

    assert_int_equal(producer_state_decode(&fixture.state, slice_of(bytes, size)), ERR_OK);
    assert_true(offer(&fixture, 2, 4, 2).is_duplicate);
    assert_int_equal(offer(&fixture, 2, 0, 4).code, KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_int_equal(offer(&fixture, 2, 6, 1).code, KAFKA_NONE);
    for (size_t at = 0; at < size; at++) { /* D17 */
        bytes[at] ^= 0x10;
        assert_int_not_equal(producer_state_decode(&fixture.state, slice_of(bytes, size)), ERR_OK);
        assert_int_equal(producer_state_count(&fixture.state), 0);
        bytes[at] ^= 0x10;
        assert_int_not_equal(producer_state_decode(&fixture.state, slice_of(bytes, at)), ERR_OK);
    }
    tear_down(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_retries_from_gaps),
        cmocka_unit_test(epochs_fence),
        cmocka_unit_test(sequences_wrap),
        cmocka_unit_test(has_a_limit_and_expires),
        cmocka_unit_test(snapshots_hold_the_last_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
