#include "test/unit_test.h"
#include "wire/gen/kafka.h"
#include "wire/gen/zk.h"

#include "base/macros.h"

#include <stdio.h>

enum { rounds = 20 };

static uint8_t arena_memory[2][1 << 20];
static _Alignas(16) uint8_t values[2][4096];
static uint8_t frames[2][1 << 18];
static char texts[2][1 << 18];

struct arenas {
    struct arena one, two;
};

static struct arenas arenas_start(void)
{
    struct arenas arenas;
    arena_init(&arenas.one, arena_memory[0], sizeof arena_memory[0]);
    arena_init(&arenas.two, arena_memory[1], sizeof arena_memory[1]);
    return arenas;
}

static void fail_round_trip(const struct wire_record *record, int version, const char *what)
{
    fail_msg("%s version %d: %s\n%s\n%s", record->name, version, what, texts[0], texts[1]);
}

/* A random value is written, read back, and written again: the same text and the same bytes. */
static void round_trip(const struct wire_record *record, int version, struct prng *prng)
{
    struct arenas arenas = arenas_start();
    assert_true(record->size <= sizeof values[0]);
    assert_int_equal(ERR_OK, wire_random(record, version, prng, &arenas.one, values[0]));
    wire_dump(record, version, values[0], texts[0], sizeof texts[0]);
    texts[1][0] = '\0';

    const size_t size = wire_size(record, version, values[0]);
    struct wire_writer writer = wire_writer_of(frames[0], size);
    wire_encode(record, version, values[0], &writer);
    if (writer.used != size)
        fail_round_trip(record, version, "the size differs from what was written");
    memset(values[1], 0xa5, sizeof values[1]);
    if (wire_decode_all(record, version, slice_of(frames[0], size), &arenas.two, values[1]) != 0)
        fail_round_trip(record, version, "what was written cannot be read");
    wire_dump(record, version, values[1], texts[1], sizeof texts[1]);
    if (strcmp(texts[0], texts[1]) != 0)
        fail_round_trip(record, version, "what was read differs");

    struct wire_writer again = wire_writer_of(frames[1], size);
    wire_encode(record, version, values[1], &again);
    if (again.used != size || memcmp(frames[0], frames[1], size) != 0)
        fail_round_trip(record, version, "written again, the bytes differ");
}

/* Every shorter run of the bytes is refused without touching what is behind it. */
static void cut_short(const struct wire_record *record, int version, struct prng *prng)
{
    struct arenas arenas = arenas_start();
    assert_int_equal(ERR_OK, wire_random(record, version, prng, &arenas.one, values[0]));
    const size_t size = wire_size(record, version, values[0]);
    struct wire_writer writer = wire_writer_of(frames[0], size);
    wire_encode(record, version, values[0], &writer);
    for (size_t left = 0; left < size; left += 1 + size / 64) {
        arena_reset(&arenas.two);
        const enum err err =
            wire_decode_all(record, version, slice_of(frames[0], left), &arenas.two, values[1]);
        if (err == ERR_OK)
            fail_round_trip(record, version, "a cut message was read");
    }
}

static void each_record(const struct wire_record *const *records, uint32_t count,
                        void (*visit)(const struct wire_record *, int, struct prng *))
{
    struct prng prng;
    prng_init(&prng, 1);
    for (uint32_t i = 0; i < count; i++) {
        const struct wire_record *record = records[i];
        const int last = record->version_max < 30 ? record->version_max : 0;
        for (int version = record->version_min; version <= last; version++)
            for (int round = 0; round < rounds; round++)
                visit(record, version, &prng);
    }
}

static void test_round_trips(void **state)
{
    (void)state;
    each_record(zk_records, zk_record_count, round_trip);
    each_record(kafka_records, kafka_record_count, round_trip);
}

static void test_cut_messages_are_refused(void **state)
{
    (void)state;
    each_record(zk_records, zk_record_count, cut_short);
    each_record(kafka_records, kafka_record_count, cut_short);
}

static enum err decode_bytes(const struct wire_record *record, int version, const void *bytes,
                             size_t size)
{
    struct arenas arenas = arenas_start();
    return wire_decode_all(record, version, slice_of(bytes, size), &arenas.two, values[1]);
}

#define DECODE(record, version, bytes) decode_bytes(&record, version, bytes, sizeof(bytes) - 1)

static void expect_bytes(const struct wire_record *record, int version, const void *value,
                         const void *bytes, size_t size)
{
    struct wire_writer writer = wire_writer_of(frames[0], sizeof frames[0]);
    wire_encode(record, version, value, &writer);
    assert_int_equal(size, writer.used);
    assert_memory_equal(bytes, frames[0], size);
}

/* The exact bytes of a get_data request and of a create request with the open acl. */
static void test_golden_zookeeper(void **state)
{
    (void)state;
    const struct zk_get_data_request get = {.path = SLICE_LITERAL("/a"), .watch = true};
    expect_bytes(&zk_get_data_request_wire, 0, &get, "\0\0\0\2/a\1", 7);

    struct zk_acl open = {31, {SLICE_LITERAL("world"), SLICE_LITERAL("anyone")}};
    const struct zk_create_request create = {
        .path = SLICE_LITERAL("/b"), .data = SLICE_NULL, .acl = {&open, 1}, .flags = 2};
    expect_bytes(&zk_create_request_wire, 0, &create,
                 "\0\0\0\2/b\xff\xff\xff\xff\0\0\0\1\0\0\0\x1f\0\0\0\5world\0\0\0\6anyone\0\0\0\2",
                 6 + 4 + 4 + 4 + 9 + 10 + 4);
}

/* Metadata version 9 is flexible, version 1 is not. */
static void test_golden_kafka(void **state)
{
    (void)state;
    struct kafka_metadata_request_topics topic = {.name = SLICE_LITERAL("t")};
    struct kafka_metadata_request request;
    wire_set_defaults(&kafka_metadata_request_wire, &request);
    request.topics.items = &topic;
    request.topics.count = 1;
    expect_bytes(&kafka_metadata_request_wire, 1, &request, "\0\0\0\1\0\1t", 7);
    request.allow_auto_topic_creation = true;
    expect_bytes(&kafka_metadata_request_wire, 9, &request, "\2\2t\0\1\0\0\0", 8);
    request.topics.count = -1;
    expect_bytes(&kafka_metadata_request_wire, 1, &request, "\xff\xff\xff\xff", 4);
}

static void test_lengths(void **state)
{
    (void)state;
    /* A path longer than what is left, a length below -1, and the largest length. */
    assert_int_equal(ERR_TRUNCATED, DECODE(zk_get_data_request_wire, 0, "\0\0\0\3/a"));
    assert_int_equal(ERR_MALFORMED, DECODE(zk_get_data_request_wire, 0, "\xff\xff\xff\xfe/a\1"));
    assert_int_equal(ERR_TRUNCATED, DECODE(zk_get_data_request_wire, 0, "\x7f\xff\xff\xff/a\1"));
    assert_int_equal(ERR_MALFORMED, DECODE(zk_get_data_request_wire, 0, "\0\0\0\2/a\1\0"));
    assert_int_equal(ERR_OK, DECODE(zk_get_data_request_wire, 0, "\0\0\0\2/a\2"));
    /* Of arrays ZooKeeper's servers take a count below -1 for an empty one. */
    assert_int_equal(ERR_OK, DECODE(zk_get_children_reply_wire, 0, "\xff\xff\xff\xfb"));
    /* An array that declares more than the bytes can hold. */
    assert_int_equal(ERR_TRUNCATED, DECODE(zk_create_request_wire, 0,
                                           "\0\0\0\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\0\0"));
}

/* A count that the bytes left cannot hold takes no memory at all. */
static void test_counts_take_no_memory(void **state)
{
    (void)state;
    struct arenas arenas = arenas_start();
    uint8_t bytes[400] = {0};
    bytes[10] = 1; /* 256 acls of at least 12 bytes do not fit into 388. */
    const enum err err = wire_decode_all(&zk_create_request_wire, 0, slice_of(bytes, sizeof bytes),
                                         &arenas.one, values[0]);
    assert_int_equal(ERR_TRUNCATED, err);
    assert_int_equal(0, arenas.one.used);
}

static void test_full_arena(void **state)
{
    (void)state;
    struct arena arena;
    uint8_t small[16];
    arena_init(&arena, small, sizeof small);
    const enum err err =
        wire_decode_all(&zk_get_children_reply_wire, 0, SLICE_LITERAL("\0\0\0\2\0\0\0\1a\0\0\0\1b"),
                        &arena, values[0]);
    assert_int_equal(ERR_LIMIT, err);
}

/* Tags: unknown ones are skipped; the same twice, or a smaller one later, is refused. */
static void test_tags(void **state)
{
    (void)state;
    assert_int_equal(ERR_OK, DECODE(kafka_list_groups_request_wire, 3, "\0"));
    assert_int_equal(ERR_OK, DECODE(kafka_list_groups_request_wire, 3, "\1\x50\2xy"));
    assert_int_equal(ERR_OK, DECODE(kafka_list_groups_request_wire, 3, "\2\x50\1x\x51\0"));
    assert_int_equal(ERR_MALFORMED, DECODE(kafka_list_groups_request_wire, 3, "\2\x50\1x\x50\0"));
    assert_int_equal(ERR_MALFORMED, DECODE(kafka_list_groups_request_wire, 3, "\2\x51\1x\x50\0"));
    assert_int_equal(ERR_TRUNCATED, DECODE(kafka_list_groups_request_wire, 3, "\1\x50\5xy"));
    assert_int_equal(ERR_MALFORMED,
                     DECODE(kafka_list_groups_request_wire, 3, "\xff\xff\xff\xff\x1f"));
}

/* A defaulted tagged struct is left out; one that differs is written and read back. */
static void test_tagged_struct(void **state)
{
    (void)state;
    struct kafka_fetch_request request;
    wire_set_defaults(&kafka_fetch_request_wire, &request);
    const size_t without = wire_size(&kafka_fetch_request_wire, 15, &request);
    request.replica_state.replica_id = 3;
    const size_t with = wire_size(&kafka_fetch_request_wire, 15, &request);
    assert_int_equal(2 + 4 + 8 + 1, with - without);
}

/* Records that lie elsewhere leave a cut where they belong. */
static void test_external_records(void **state)
{
    (void)state;
    struct kafka_fetch_reply_topics_partitions partition;
    struct kafka_fetch_reply_topics topic;
    struct kafka_fetch_reply reply;
    wire_set_defaults(&kafka_fetch_reply_wire, &reply);
    memset(&topic, 0, sizeof topic);
    memset(&partition, 0, sizeof partition);
    partition.records = slice_of(WIRE_EXTERNAL, 1000);
    topic.topic = SLICE_LITERAL("t");
    topic.partitions.items = &partition;
    topic.partitions.count = 1;
    reply.topics.items = &topic;
    reply.topics.count = 1;

    struct wire_cut cuts[2];
    const size_t size = wire_size_inline(&kafka_fetch_reply_wire, 4, &reply);
    struct wire_writer writer = wire_writer_of(frames[0], size);
    writer.cuts = cuts;
    writer.cut_count_max = 2;
    wire_encode(&kafka_fetch_reply_wire, 4, &reply, &writer);
    assert_int_equal(size, writer.used);
    assert_int_equal(1, writer.cut_count);
    assert_int_equal(size, cuts[0].position); /* They are the last field of version 4. */
    assert_int_equal(1000, cuts[0].size);
    assert_int_equal(size + 1000, wire_size(&kafka_fetch_reply_wire, 4, &reply));
    assert_memory_equal("\0\0\3\xe8", frames[0] + size - 4, 4);
}

/* Whatever is negative means null, where null is allowed. */
static void test_negative_lengths(void **state)
{
    struct arenas arenas = arenas_start();
    struct kafka_metadata_request all;
    struct kafka_list_offsets_request none;
    (void)state;
    assert_int_equal(ERR_OK, wire_decode_all(&kafka_metadata_request_wire, 1,
                                             SLICE_LITERAL("\377\377\377\376"), &arenas.one, &all));
    assert_int_equal(all.topics.count, -1);
    assert_int_equal(ERR_MALFORMED, wire_decode_all(&kafka_list_offsets_request_wire, 1,
                                                    SLICE_LITERAL("\0\0\0\0\377\377\377\376"),
                                                    &arenas.one, &none));
}

static void test_dump(void **state)
{
    (void)state;
    char text[64];
    const struct zk_get_data_request get = {.path = SLICE_LITERAL("/a\n\""), .watch = true};
    assert_string_equal("{path=\"/a\\x0a\\x22\" watch=true}",
                        wire_dump(&zk_get_data_request_wire, 0, &get, text, sizeof text));
    assert_string_equal("{path=\"", wire_dump(&zk_get_data_request_wire, 0, &get, text, 8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),      cmocka_unit_test(test_cut_messages_are_refused),
        cmocka_unit_test(test_golden_zookeeper), cmocka_unit_test(test_golden_kafka),
        cmocka_unit_test(test_lengths),          cmocka_unit_test(test_counts_take_no_memory),
        cmocka_unit_test(test_full_arena),       cmocka_unit_test(test_tags),
        cmocka_unit_test(test_tagged_struct),    cmocka_unit_test(test_external_records),
        cmocka_unit_test(test_negative_lengths), cmocka_unit_test(test_dump),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
