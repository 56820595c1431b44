#include "broker/record_batch.h"

#include "base/bytes.h"
#include "base/prng.h"
#include "test/unit_test.h"

/* What kafka-python 2 writes for producer 7, epoch 3, sequence 100: (k1, v1, headers h=x and
 * n=null), (null, "value two"), (k3, null). */
static const uint8_t captured[] = {
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x5c, 0x00, 0x00, 0x00,
    0x00, 0x02, 0x65, 0xaf, 0x56, 0xd0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x01,
    0x8b, 0xcf, 0xe5, 0x68, 0x00, 0x00, 0x00, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x05, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x00, 0x03, 0x00, 0x00, 0x00, 0x64, 0x00, 0x00, 0x00,
    0x03, 0x22, 0x00, 0x00, 0x00, 0x04, 0x6b, 0x31, 0x04, 0x76, 0x31, 0x04, 0x02, 0x68, 0x02,
    0x78, 0x02, 0x6e, 0x01, 0x1e, 0x00, 0x0a, 0x02, 0x01, 0x12, 0x76, 0x61, 0x6c, 0x75, 0x65,
    0x20, 0x74, 0x77, 0x6f, 0x00, 0x10, 0x00, 0x06, 0x04, 0x04, 0x6b, 0x33, 0x01, 0x00,
};

static void reads_what_another_client_writes(void **state)
{
    (void)state;
    const struct slice bytes = slice_of(captured, sizeof captured);
    struct record_batch_walk walk;
    enum err err;
    record_batch_walk_init(&walk, bytes);
    assert_true(record_batch_walk_next(&walk, &err));
    const struct record_batch *batch = &walk.batch;
    assert_int_equal(batch->size, sizeof captured);
    assert_true(record_batch_crc_matches(batch, bytes));
    assert_int_equal(batch->producer_id, 7);
    assert_int_equal(batch->producer_epoch, 3);
    assert_int_equal(batch->base_sequence, 100);
    assert_int_equal(batch->record_count, 3);
    assert_int_equal(record_batch_last_offset(batch), 2);
    assert_int_equal(batch->base_timestamp_ms, INT64_C(1700000000000));
    assert_int_equal(batch->max_timestamp_ms, INT64_C(1700000000005));

    struct record_walk records;
    struct record record;
    record_walk_init(&records, batch, bytes);
    assert_true(record_walk_next(&records, &record, &err));
    assert_true(slice_equal_text(record.key, "k1") && slice_equal_text(record.value, "v1"));
    assert_int_equal(record.header_count, 2);
    assert_true(record_walk_next(&records, &record, &err));
    assert_true(slice_is_null(record.key) && slice_equal_text(record.value, "value two"));
    assert_int_equal(record.timestamp_ms, INT64_C(1700000000005));
    assert_true(record_walk_next(&records, &record, &err));
    assert_true(slice_is_null(record.value) && record.offset == 2);
    assert_false(record_walk_next(&records, &record, &err));
    assert_int_equal(err, ERR_OK);
    assert_false(record_batch_walk_next(&walk, &err));
    assert_int_equal(err, ERR_OK);
}

/* Offsets and epoch are outside the CRC; the append time is not. */
static void stamps_in_place(void **state)
{
    (void)state;
    uint8_t data[sizeof captured];
    struct record_batch batch;
    memcpy(data, captured, sizeof data);
    const struct slice bytes = slice_of(data, sizeof data);
    assert_int_equal(record_batch_decode(&batch, bytes), ERR_OK);
    const uint32_t crc = batch.crc;

    record_batch_stamp(&batch, data,
                       (struct record_batch_stamp){.base_offset = 4000, .leader_epoch = 9});
    assert_int_equal(record_batch_decode(&batch, bytes), ERR_OK);
    assert_int_equal(batch.base_offset, 4000);
    assert_int_equal(batch.leader_epoch, 9);
    assert_int_equal(batch.crc, crc);
    assert_true(record_batch_crc_matches(&batch, bytes));

    record_batch_stamp(&batch, data,
                       (struct record_batch_stamp){.base_offset = 4000,
                                                   .leader_epoch = 9,
                                                   .is_log_append_time = true,
                                                   .log_append_time_ms = 1800000000000});
    assert_int_equal(record_batch_decode(&batch, bytes), ERR_OK);
    assert_int_equal(batch.max_timestamp_ms, INT64_C(1800000000000));
    assert_int_equal(batch.attributes, RECORD_LOG_APPEND_TIME);
    assert_true(batch.crc != crc && record_batch_crc_matches(&batch, bytes));
}

static void every_flipped_bit_behind_the_crc_is_seen(void **state)
{
    (void)state;
    uint8_t data[sizeof captured];
    for (size_t bit = 17 * 8; bit < sizeof data * 8; bit++) {
        struct record_batch batch;
        memcpy(data, captured, sizeof data);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(record_batch_decode(&batch, slice_of(data, sizeof data)), ERR_OK);
        assert_false(record_batch_crc_matches(&batch, slice_of(data, sizeof data)));
    }
}

static void refuses_headers_that_lie(void **state)
{
    (void)state;
    struct record_batch batch;
    uint8_t data[sizeof captured];
    const struct slice bytes = slice_of(data, sizeof data);
    memcpy(data, captured, sizeof data);
    const int32_t lengths[] = {-1, 0, 13, 48, INT32_MIN, INT32_MAX, INT32_MAX - 11};
    for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
        store_i32(data + record_batch_length_at, lengths[i]);
        assert_int_equal(record_batch_decode(&batch, bytes), ERR_MALFORMED);
    }
    memcpy(data, captured, sizeof data);
    const uint8_t magics[] = {3, 127, 255};
    for (size_t i = 0; i < ARRAY_COUNT(magics); i++) {
        data[16] = magics[i];
        assert_int_equal(record_batch_decode(&batch, bytes), ERR_UNSUPPORTED);
    }
    for (size_t size = 0; size < record_batch_header_bytes; size++)
        assert_int_equal(record_batch_decode(&batch, slice_of(captured, size)), ERR_TRUNCATED);
    struct record_batch_walk walk;
    enum err err;
    record_batch_walk_init(&walk, slice_of(captured, sizeof captured - 1));
    assert_false(record_batch_walk_next(&walk, &err));
    assert_int_equal(err, ERR_TRUNCATED);
}

static void knows_old_messages(void **state)
{
    (void)state;
    /* Magic 1, offset 5, key null, value "a", timestamp 1000. */
    uint8_t data[] = {0, 0, 0, 0, 0, 0, 0,    5,    0,    0,    0,    23,   0, 0, 0, 0, 1,  0,
                      0, 0, 0, 0, 0, 0, 0x03, 0xe8, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 'a'};
    store_u32(data + 12, 0);
    struct record_batch batch;
    const struct slice bytes = slice_of(data, sizeof data);
    assert_int_equal(record_batch_decode(&batch, bytes), ERR_OK);
    assert_int_equal(batch.magic, 1);
    assert_int_equal(batch.size, sizeof data);
    assert_int_equal(batch.max_timestamp_ms, 1000);
    assert_int_equal(record_batch_last_offset(&batch), 5);
    assert_false(record_batch_crc_matches(&batch, bytes));
}

static void sequences_wrap_behind_the_largest(void **state)
{
    (void)state;
    assert_int_equal(record_batch_sequence_after(5, 3), 8);
    assert_int_equal(record_batch_sequence_after(INT32_MAX, 0), INT32_MAX);
    assert_int_equal(record_batch_sequence_after(INT32_MAX, 1), 0);
    assert_int_equal(record_batch_sequence_after(INT32_MAX - 1, 4), 2);
}

static void writes_what_it_reads(void **state)
{
    (void)state;
    uint8_t data[4096];
    struct record_batch_writer writer;
    struct prng prng;
    prng_init(&prng, 3);
    record_batch_writer_init(&writer, data, sizeof data, 1234);
    assert_true(slice_is_null(record_batch_writer_finish(&writer)));
    uint8_t blob[300] = {1};
    size_t sizes[64];
    int32_t count = 0;
    for (;; count++) {
        const size_t size = prng_below(&prng, sizeof blob);
        const size_t used = writer.used;
        const struct slice key = slice_of(&count, sizeof count);
        const struct slice value = count % 5 == 4 ? SLICE_NULL : slice_of(blob, size);
        sizes[count] = count % 5 == 4 ? SIZE_MAX : size;
        if (!record_batch_writer_add(&writer, key, value))
            break;
        assert_true(writer.used - used <= record_batch_writer_record_bytes(key, value));
    }
    const struct slice bytes = record_batch_writer_finish(&writer);
    struct record_batch batch;
    struct record_walk walk;
    struct record record;
    enum err err;
    assert_true(count > 10 && bytes.size <= sizeof data);
    assert_int_equal(record_batch_decode(&batch, bytes), ERR_OK);
    assert_true(record_batch_crc_matches(&batch, bytes));
    record_walk_init(&walk, &batch, bytes);
    for (int32_t i = 0; i < count; i++) {
        assert_true(record_walk_next(&walk, &record, &err));
        assert_int_equal(record.timestamp_ms, 1234);
        assert_memory_equal(record.key.data, &i, sizeof i);
        assert_int_equal(slice_is_null(record.value), sizes[i] == SIZE_MAX);
        assert_true(slice_is_null(record.value) || record.value.size == sizes[i]);
    }
    assert_false(record_walk_next(&walk, &record, &err));
    assert_int_equal(err, ERR_OK);
}

/* Lengths of one byte to four, at the borders; and cut anywhere it is an error, not a crash. */
static void reads_lengths_of_any_size(void **state)
{
    (void)state;
    static uint8_t data[3 << 20];
    static uint8_t blob[2 << 20];
    static const size_t sizes[] = {0, 1, 50, 63, 64, 8000, 8191, 8192, 1 << 20, (1 << 20) + 1};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct record_batch_writer writer;
        struct record_batch batch;
        struct record_walk walk;
        struct record record;
        enum err err;
        record_batch_writer_init(&writer, data, sizeof data, 1);
        assert_true(record_batch_writer_add(&writer, SLICE_NULL, slice_of(blob, sizes[i])));
        assert_true(record_batch_writer_add(&writer, slice_of(blob, sizes[i]), SLICE_NULL));
        const struct slice bytes = record_batch_writer_finish(&writer);
        assert_int_equal(record_batch_decode(&batch, bytes), ERR_OK);
        record_walk_init(&walk, &batch, bytes);
        assert_true(record_walk_next(&walk, &record, &err));
        assert_true(slice_is_null(record.key) && record.value.size == sizes[i]);
        assert_true(record_walk_next(&walk, &record, &err));
        assert_true(slice_is_null(record.value) && record.key.size == sizes[i]);
        assert_false(record_walk_next(&walk, &record, &err));
        assert_int_equal(err, ERR_OK);
        for (uint32_t cut = 1; cut < 20 && sizes[i] < 100; cut++) {
            batch.size = (uint32_t)bytes.size - cut;
            record_walk_init(&walk, &batch, slice_of(data, batch.size));
            while (record_walk_next(&walk, &record, &err))
                continue;
            assert_int_equal(err, ERR_MALFORMED);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_another_client_writes),
        cmocka_unit_test(stamps_in_place),
        cmocka_unit_test(every_flipped_bit_behind_the_crc_is_seen),
        cmocka_unit_test(refuses_headers_that_lie),
        cmocka_unit_test(knows_old_messages),
        cmocka_unit_test(sequences_wrap_behind_the_largest),
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(reads_lengths_of_any_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
