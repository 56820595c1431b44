#include "broker/packed_records.h"

#include "test/record_packer.h"
#include "test/unit_test.h"

#include <stdio.h>

enum { capacity = 1 << 20, record_count = 5000, base_ms = 1700000000, bytes_max = 8 << 20 };

static uint8_t plain_memory[capacity];
static uint8_t packed_memory[capacity];
static struct heap heap;
static struct record_unpacker_idle idle;
static const struct packed_records_options options = {
    .heap = &heap, .idle = &idle, .bytes_max = bytes_max};

static int set_up(void **state)
{
    (void)state;
    heap_init(&heap, (struct heap_options){.limit_bytes = 64 << 20, .tracked = true});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    record_unpacker_idle_deinit(&idle, &heap);
    assert_int_equal(heap.block_count, 0);
    heap_deinit(&heap);
    return 0;
}

/* Every third record has no key. */
static struct slice make_batch(void)
{
    struct record_batch_writer writer;
    char value[64];
    record_batch_writer_init(&writer, plain_memory, sizeof plain_memory, base_ms);
    for (int i = 0; i < record_count; i++) {
        const int size = snprintf(value, sizeof value, "value number %d of them all", i);
        assert_true(record_batch_writer_add(&writer, i % 3 == 0 ? SLICE_NULL : SLICE_LITERAL("key"),
                                            slice_of(value, (size_t)size)));
    }
    return record_batch_writer_finish(&writer);
}

/* The records that come out, and how it ended. */
static int32_t read_all(struct slice bytes, enum err *err)
{
    struct packed_records packed;
    struct record_batch batch;
    struct record_outline record;
    int32_t count = 0;
    assert_int_equal(record_batch_decode(&batch, bytes), ERR_OK);
    *err = packed_records_open(&packed, &batch, bytes, options);
    while (*err == ERR_OK || *err == ERR_BUSY) {
        if (packed_records_next(&packed, &record, err)) {
            assert_int_equal(record.offset, batch.base_offset + count);
            assert_int_equal(record.timestamp_ms, base_ms);
            assert_int_equal(record.has_key, count % 3 != 0);
            count++;
        } else if (*err != ERR_BUSY) {
            break;
        }
    }
    packed_records_close(&packed);
    return count;
}

static void reads_what_each_codec_packed(void **state)
{
    (void)state;
    const struct slice plain = make_batch();
    for (int codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
        const struct slice bytes = record_packer_pack((enum record_codec)codec, plain,
                                                      packed_memory, sizeof packed_memory);
        enum err err;
        assert_true(bytes.size < plain.size / 2);
        assert_int_equal(read_all(bytes, &err), record_count);
        assert_int_equal(err, ERR_OK);
    }
}

/* No malloc for each batch: the library's state stays for the next one. */
static void the_second_batch_takes_no_memory(void **state)
{
    (void)state;
    const struct slice plain = make_batch();
    for (int codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
        const struct slice bytes = record_packer_pack((enum record_codec)codec, plain,
                                                      packed_memory, sizeof packed_memory);
        enum err err;
        read_all(bytes, &err);
        const uint64_t taken = heap.system_take_count;
        for (int i = 0; i < 10; i++)
            assert_int_equal(read_all(bytes, &err), record_count);
        assert_int_equal(heap.system_take_count, taken);
    }
}

/* librdkafka writes snappy without Java's frames; gzip may be several streams. */
static void reads_the_other_ways_to_pack(void **state)
{
    (void)state;
    enum { head = record_batch_header_bytes };
    const struct slice plain = make_batch();
    enum err err;
    record_packer_pack(CODEC_SNAPPY, plain, packed_memory, sizeof packed_memory);
    size_t size = sizeof packed_memory - head;
    assert_int_equal(snappy_compress((const char *)plain.data + head, plain.size - head,
                                     (char *)packed_memory + head, &size),
                     SNAPPY_OK);
    store_u32(packed_memory + record_batch_length_at,
              (uint32_t)(head + size) - record_batch_prefix_bytes);
    assert_int_equal(read_all(slice_of(packed_memory, head + size), &err), record_count);
    assert_int_equal(err, ERR_OK);

    const struct slice first = slice_of(plain.data + head, 1000);
    const struct slice second = slice_skip(plain, head + 1000);
    record_packer_pack(CODEC_GZIP, plain, packed_memory, sizeof packed_memory);
    size = head + record_packer_gzip(first, packed_memory + head, capacity - head);
    size += record_packer_gzip(second, packed_memory + size, capacity - size);
    store_u32(packed_memory + record_batch_length_at, (uint32_t)size - record_batch_prefix_bytes);
    assert_int_equal(read_all(slice_of(packed_memory, size), &err), record_count);
    assert_int_equal(err, ERR_OK);
}

static void refuses_what_contradicts_the_header(void **state)
{
    (void)state;
    const struct slice plain = make_batch();
    for (int codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
        const struct slice bytes = record_packer_pack((enum record_codec)codec, plain,
                                                      packed_memory, sizeof packed_memory);
        enum err err;
        for (int difference = -1; difference <= 1; difference += 2) {
            store_u32(packed_memory + 57, (uint32_t)(record_count + difference));
            read_all(bytes, &err);
            assert_int_equal(err, ERR_MALFORMED);
        }
        store_u32(packed_memory + 57, record_count);
        for (size_t cut = 1; cut < bytes.size - record_batch_header_bytes; cut += 997) {
            const size_t size = bytes.size - cut;
            store_u32(packed_memory + record_batch_length_at,
                      (uint32_t)size - record_batch_prefix_bytes);
            read_all(slice_of(bytes.data, size), &err);
            if (codec == CODEC_GZIP && cut <= 8)
                continue; /* zlib has given everything before it misses the trailer. */
            assert_int_equal(err, ERR_MALFORMED);
        }
    }
}

/* One record that claims 200 MiB of value: next lets others have their turn, and gives up at the
 * limit; memory is not touched by what the bytes claim. */
static void a_bomb_is_given_up(void **state)
{
    (void)state;
    static uint8_t zeros[12 << 20] = {0x80, 0x80, 0x80, 0xc8, 0x01, 0,    0,
                                      0,    1,    0x80, 0x80, 0x80, 0xc0, 0x01};
    static uint8_t memory[13 << 20];
    make_batch();
    for (int codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
        struct packed_records packed;
        struct record_batch batch;
        struct record_outline record;
        enum err err;
        memcpy(memory, plain_memory, record_batch_header_bytes);
        const size_t size =
            record_batch_header_bytes +
            record_packer_bytes((enum record_codec)codec, slice_of(zeros, sizeof zeros),
                                memory + record_batch_header_bytes,
                                sizeof memory - record_batch_header_bytes);
        memory[22] = (uint8_t)codec;
        store_u32(memory + record_batch_length_at, (uint32_t)size - record_batch_prefix_bytes);
        assert_int_equal(record_batch_decode(&batch, slice_of(memory, size)), ERR_OK);
        assert_int_equal(packed_records_open(&packed, &batch, slice_of(memory, size), options),
                         ERR_OK);
        int turns = 0;
        do
            assert_false(packed_records_next(&packed, &record, &err));
        while (err == ERR_BUSY && ++turns < 100);
        assert_int_equal(err, ERR_LIMIT);
        assert_int_equal(turns, bytes_max / packed_records_turn_bytes);
        assert_true(packed.unpacked_bytes <= bytes_max + packed_records_buffer_bytes);
        packed_records_close(&packed);
    }
    assert_true(heap.used_bytes_max < 16 << 20);
}

static void snappy_cannot_claim_more_than_it_can_hold(void **state)
{
    (void)state;
    static const uint8_t claim[] = {0xff, 0xff, 0xff, 0xff, 0x0f, 0xf0, 0, 0, 0};
    struct record_unpacker unpacker;
    uint8_t out[100];
    size_t size;
    assert_int_equal(
        record_unpacker_init(&unpacker, &heap, NULL, CODEC_SNAPPY, slice_of(claim, sizeof claim)),
        ERR_OK);
    assert_int_equal(record_unpacker_next(&unpacker, out, sizeof out, &size), ERR_MALFORMED);
    record_unpacker_deinit(&unpacker);
    assert_int_equal(heap.used_bytes, 0);
}

static void without_memory_it_says_so(void **state)
{
    (void)state;
    const struct slice plain = make_batch();
    for (int codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
        const struct slice bytes = record_packer_pack((enum record_codec)codec, plain,
                                                      packed_memory, sizeof packed_memory);
        enum err err;
        record_unpacker_idle_deinit(&idle, &heap);
        heap.limit_bytes = heap.kept_bytes + 20000;
        read_all(bytes, &err);
        assert_int_equal(err, ERR_NO_MEMORY);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(reads_what_each_codec_packed), TEST(the_second_batch_takes_no_memory),
        TEST(reads_the_other_ways_to_pack), TEST(refuses_what_contradicts_the_header),
        TEST(a_bomb_is_given_up),           TEST(snappy_cannot_claim_more_than_it_can_hold),
        TEST(without_memory_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
