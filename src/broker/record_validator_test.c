#include "broker/record_validator.h"

#include "base/bytes.h"
#include "base/checksum.h"
#include "broker/record_facts.h"
#include "test/record_packer.h"
#include "test/unit_test.h"

enum { now = 1700000000, version = 9 };

static struct heap heap;

struct fixture {
    uint8_t data[1024];
    size_t size;
    struct partition_config config;
    struct record_rules rules;
};

/* Two records (k, v) at time `now`. */
static void set_up(struct fixture *fixture)
{
    struct record_batch_writer writer;
    fixture->config = partition_config_default();
    fixture->rules = (struct record_rules){.config = &fixture->config,
                                           .now_ms = now,
                                           .produce_version = version,
                                           .packed = {.heap = &heap, .bytes_max = 1 << 20}};
    record_batch_writer_init(&writer, fixture->data, sizeof fixture->data, now);
    assert_true(record_batch_writer_add(&writer, SLICE_LITERAL("k"), SLICE_LITERAL("v")));
    assert_true(record_batch_writer_add(&writer, SLICE_LITERAL("k"), SLICE_LITERAL("v")));
    fixture->size = record_batch_writer_finish(&writer).size;
}

/* The batch as compressed by a producer, for a topic that is compacted. */
static void pack(struct fixture *fixture, enum record_codec codec)
{
    uint8_t plain[sizeof fixture->data];
    memcpy(plain, fixture->data, fixture->size);
    fixture->size = record_packer_pack(codec, slice_of(plain, fixture->size), fixture->data,
                                       sizeof fixture->data)
                        .size;
    fixture->config.compacts = true;
}

static void put_crc(struct fixture *fixture)
{
    store_u32(fixture->data + 17,
              checksum_crc32c(0, slice_of(fixture->data + 21, fixture->size - 21)));
}

static uint32_t pass_count; /* Of checks that facts alone would have answered. */

/* What passes by its facts is what is accepted, with the same verdict and unchanged bytes. */
static struct record_verdict check(struct fixture *fixture)
{
    struct record_facts facts;
    struct record_rules rules = fixture->rules;
    uint8_t before[sizeof fixture->data];
    rules.config = &record_facts_any_topic;
    rules.facts = &facts;
    memcpy(before, fixture->data, sizeof before);
    record_facts_init(&facts);
    facts.verdict = record_validator_check(&rules, fixture->data, fixture->size);
    assert_memory_equal(before, fixture->data, sizeof before);
    const bool has_passed = record_facts_pass(&facts, &fixture->rules);
    const struct record_verdict verdict =
        record_validator_check(&fixture->rules, fixture->data, fixture->size);
    if (has_passed) {
        assert_int_equal(verdict.code, KAFKA_NONE);
        assert_int_equal(verdict.batch_count, facts.verdict.batch_count);
        assert_int_equal(verdict.is_idempotent, facts.verdict.is_idempotent);
        assert_int_equal(verdict.is_transactional, facts.verdict.is_transactional);
        assert_memory_equal(before, fixture->data, sizeof before);
    }
    pass_count += has_passed;
    return verdict;
}

static void takes_a_good_batch(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    pass_count = 0;
    const struct record_verdict verdict = check(&fixture);
    assert_int_equal(pass_count, 1);
    assert_int_equal(verdict.code, KAFKA_NONE);
    assert_int_equal(verdict.batch_count, 1);
    assert_false(verdict.is_idempotent);
}

/* One field of the header each, the CRC put right afterwards: K22 and K23. */
static void refuses_headers(void **state)
{
    (void)state;
    static const struct {
        uint8_t at;
        uint8_t size;
        int64_t value;
        int64_t producer_id;
        enum error_code code;
    } rows[] = {
        {0, 8, 1, -1, KAFKA_INVALID_RECORD},                /* Base offset. */
        {0, 8, -1, -1, KAFKA_INVALID_RECORD},               /* */
        {8, 4, 48, -1, KAFKA_CORRUPT_MESSAGE},              /* Length. */
        {8, 4, -1, -1, KAFKA_CORRUPT_MESSAGE},              /* */
        {8, 4, 5000, -1, KAFKA_INVALID_RECORD},             /* No whole batch. */
        {16, 1, 3, -1, KAFKA_CORRUPT_MESSAGE},              /* Magic. */
        {16, 1, 1, -1, KAFKA_INVALID_RECORD},               /* */
        {21, 2, 0x20, -1, KAFKA_INVALID_RECORD},            /* Control. */
        {21, 2, 0x40, -1, KAFKA_INVALID_RECORD},            /* Delete horizon. */
        {21, 2, 0x08, -1, KAFKA_INVALID_TIMESTAMP},         /* Append time. */
        {21, 2, 0x10, -1, KAFKA_INVALID_RECORD},            /* Transactional, no producer. */
        {21, 2, 5, -1, KAFKA_UNSUPPORTED_COMPRESSION_TYPE}, /* */
        {21, 2, 7, -1, KAFKA_UNSUPPORTED_COMPRESSION_TYPE}, /* */
        {23, 4, 0, -1, KAFKA_INVALID_RECORD},               /* Last offset delta. */
        {23, 4, -1, -1, KAFKA_INVALID_RECORD},              /* */
        {57, 4, 0, -1, KAFKA_INVALID_RECORD},               /* Count. */
        {57, 4, -1, -1, KAFKA_INVALID_RECORD},              /* */
        {57, 4, INT32_MAX, -1, KAFKA_INVALID_RECORD},       /* */
        {57, 4, 3, -1, KAFKA_INVALID_RECORD},               /* */
        {53, 4, -1, 5, KAFKA_INVALID_RECORD},               /* Producer without a sequence. */
        {53, 4, 0, 5, KAFKA_INVALID_RECORD},                /* Without an epoch. */
        {43, 8, -2, -2, KAFKA_INVALID_RECORD},              /* */
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct fixture fixture;
        set_up(&fixture);
        store_i64(fixture.data + 43, rows[i].producer_id);
        uint8_t value[8];
        store_i64(value, rows[i].value);
        memcpy(fixture.data + rows[i].at, value + 8 - rows[i].size, rows[i].size);
        put_crc(&fixture);
        assert_int_equal(check(&fixture).code, rows[i].code);
        assert_non_null(check(&fixture).message);
    }
}

static void refuses_damage_and_more_than_one(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    fixture.data[70] ^= 1;
    assert_int_equal(check(&fixture).code, KAFKA_CORRUPT_MESSAGE);
    fixture.data[70] ^= 1;

    memcpy(fixture.data + fixture.size, fixture.data, fixture.size);
    fixture.size *= 2;
    assert_int_equal(check(&fixture).code, KAFKA_INVALID_RECORD);
    fixture.rules.produce_version = 2; /* Old requests may hold several. */
    assert_int_equal(check(&fixture).code, KAFKA_NONE);
    assert_int_equal(check(&fixture).batch_count, 2);
    fixture.size -= 1;
    assert_int_equal(check(&fixture).code, KAFKA_CORRUPT_MESSAGE);
    fixture.size = 0;
    assert_int_equal(check(&fixture).code, KAFKA_INVALID_RECORD);
    assert_int_equal(record_validator_check(&fixture.rules, NULL, 0).code, KAFKA_INVALID_RECORD);
}

static void refuses_old_formats_and_early_zstd(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    fixture.rules.produce_version = 2;
    fixture.data[16] = 1;
    assert_int_equal(check(&fixture).code, KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT);
    fixture.data[16] = 2;
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20});
    pack(&fixture, CODEC_ZSTD);
    fixture.rules.produce_version = 6;
    assert_int_equal(check(&fixture).code, KAFKA_UNSUPPORTED_COMPRESSION_TYPE);
    fixture.rules.produce_version = 7;
    assert_int_equal(check(&fixture).code, KAFKA_NONE);
}

static void obeys_the_topic(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    fixture.config.message_bytes_max = (uint32_t)fixture.size - 1;
    assert_int_equal(check(&fixture).code, KAFKA_MESSAGE_TOO_LARGE);
    fixture.config.message_bytes_max++;
    fixture.config.timestamp_before_max_ms = 1000;
    fixture.rules.now_ms = now + 1001;
    assert_int_equal(check(&fixture).code, KAFKA_INVALID_TIMESTAMP);
    assert_int_equal(check(&fixture).record_index, 0);
    fixture.config.is_log_append_time = true;
    assert_int_equal(check(&fixture).code, KAFKA_NONE);
    fixture.config.is_log_append_time = false;
    fixture.config.timestamp_after_max_ms = 1000;
    fixture.rules.now_ms = now - 1001;
    assert_int_equal(check(&fixture).code, KAFKA_INVALID_TIMESTAMP);
    fixture.rules.now_ms = now - 1000;
    assert_int_equal(check(&fixture).code, KAFKA_NONE);
}

static void compacted_topics_want_keys(void **state)
{
    (void)state;
    struct fixture fixture;
    struct record_batch_writer writer;
    set_up(&fixture);
    record_batch_writer_init(&writer, fixture.data, sizeof fixture.data, now);
    assert_true(record_batch_writer_add(&writer, SLICE_LITERAL("k"), SLICE_NULL));
    assert_true(record_batch_writer_add(&writer, SLICE_NULL, SLICE_LITERAL("v")));
    fixture.size = record_batch_writer_finish(&writer).size;
    assert_int_equal(check(&fixture).code, KAFKA_NONE);
    fixture.config.compacts = true;
    assert_int_equal(check(&fixture).code, KAFKA_INVALID_RECORD);
    assert_int_equal(check(&fixture).record_index, 1);
}

/* K24: every byte of the records changed to every value, the CRC put right: never a crash, and what
 * is taken can be walked. */
static void refuses_records_that_lie(void **state)
{
    (void)state;
    struct fixture good;
    set_up(&good);
    uint32_t refused_count = 0;
    for (size_t at = record_batch_header_bytes; at < good.size; at++) {
        for (uint32_t value = 0; value < 256; value++) {
            struct fixture fixture = good;
            fixture.rules.config = &fixture.config;
            fixture.data[at] = (uint8_t)value;
            put_crc(&fixture);
            const struct record_verdict verdict = check(&fixture);
            refused_count += verdict.code == KAFKA_INVALID_RECORD;
            assert_true(verdict.code == KAFKA_NONE || verdict.code == KAFKA_INVALID_RECORD);
        }
    }
    assert_true(refused_count > 2000);
}

static void puts_a_wrong_max_timestamp_right(void **state)
{
    (void)state;
    struct fixture fixture;
    struct record_batch batch;
    set_up(&fixture);
    store_i64(fixture.data + 35, INT64_MIN);
    put_crc(&fixture);
    assert_int_equal(check(&fixture).code, KAFKA_NONE);
    assert_int_equal(record_batch_decode(&batch, slice_of(fixture.data, fixture.size)), ERR_OK);
    assert_int_equal(batch.max_timestamp_ms, now);
    assert_true(record_batch_crc_matches(&batch, slice_of(fixture.data, fixture.size)));
}

/* A record without a key would stay in a compacted topic for ever: K24. */
static void opens_compressed_batches(void **state)
{
    (void)state;
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20});
    for (int codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
        struct fixture fixture;
        struct record_batch_writer writer;
        set_up(&fixture);
        pack(&fixture, (enum record_codec)codec);
        pass_count = 0;
        assert_int_equal(check(&fixture).code, KAFKA_NONE);
        assert_int_equal(pass_count, 1);

        store_u32(fixture.data + 57, 3); /* One record more than there are. */
        store_u32(fixture.data + 23, 2);
        put_crc(&fixture);
        struct record_verdict verdict = check(&fixture);
        assert_int_equal(verdict.code, KAFKA_INVALID_RECORD);
        assert_int_equal(verdict.record_index, -1);

        set_up(&fixture);
        record_batch_writer_init(&writer, fixture.data, sizeof fixture.data, now);
        assert_true(record_batch_writer_add(&writer, SLICE_LITERAL("k"), SLICE_NULL));
        assert_true(record_batch_writer_add(&writer, SLICE_NULL, SLICE_LITERAL("v")));
        fixture.size = record_batch_writer_finish(&writer).size;
        pack(&fixture, (enum record_codec)codec);
        verdict = check(&fixture);
        assert_int_equal(verdict.code, KAFKA_INVALID_RECORD);
        assert_int_equal(verdict.record_index, 1);
        fixture.config.compacts = false;
        assert_int_equal(check(&fixture).code, KAFKA_NONE);
        store_u32(fixture.data + 57, 3);
        store_u32(fixture.data + 23, 2);
        put_crc(&fixture);
        assert_int_equal(check(&fixture).code, KAFKA_INVALID_RECORD);
    }
    struct fixture fixture;
    set_up(&fixture);
    pack(&fixture, CODEC_GZIP);
    fixture.rules.packed.bytes_max = 1; /* Producers split what is too large. */
    assert_int_equal(check(&fixture).code, KAFKA_MESSAGE_TOO_LARGE);
    fixture.config.compacts = false; /* Carried unseen. */
    assert_int_equal(check(&fixture).code, KAFKA_NONE);
    assert_int_equal(heap.block_count, 0);
    heap_deinit(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_compressed_batches),
        cmocka_unit_test(takes_a_good_batch),
        cmocka_unit_test(refuses_headers),
        cmocka_unit_test(refuses_damage_and_more_than_one),
        cmocka_unit_test(refuses_old_formats_and_early_zstd),
        cmocka_unit_test(obeys_the_topic),
        cmocka_unit_test(compacted_topics_want_keys),
        cmocka_unit_test(refuses_records_that_lie),
        cmocka_unit_test(puts_a_wrong_max_timestamp_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
