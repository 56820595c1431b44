#include "zab/quorum_packet.h"

#include "base/bytes.h"
#include "test/unit_test.h"

enum { data_bytes_max = 1000 };

static enum err measure(struct slice bytes, struct quorum_packet_extent *extent)
{
    return quorum_packet_measure(bytes, data_bytes_max, extent);
}

/* The bytes of a PROPOSAL as Apache's servers send it: written by hand. */
static const uint8_t proposal[] = {0, 0, 0, 2, 0, 0, 0, 1,    0,    0,    0,   5,
                                   0, 0, 0, 3, 1, 2, 3, 0xff, 0xff, 0xff, 0xff};

static void a_packet_is_what_the_protocol_says(void **state)
{
    struct quorum_packet_extent extent;
    struct zk_quorum_packet packet;
    struct arena arena;
    uint8_t out[sizeof proposal];
    (void)state;
    arena_init(&arena, NULL, 0);
    assert_int_equal(measure(slice_of(proposal, sizeof proposal), &extent), ERR_OK);
    assert_int_equal(extent.size, sizeof proposal);
    assert_int_equal(extent.identity_count, 0);
    assert_int_equal(quorum_packet_decode(slice_of(proposal, sizeof proposal), &arena, &packet),
                     ERR_OK);
    assert_int_equal(packet.type, 2);
    assert_int_equal(packet.zxid, INT64_C(0x100000005));
    assert_true(slice_equal(packet.data, slice_of("\1\2\3", 3)));
    assert_int_equal(packet.identities.count, -1);
    assert_int_equal(quorum_packet_bytes(&packet), sizeof proposal);
    quorum_packet_encode(&packet, out);
    assert_memory_equal(out, proposal, sizeof proposal);
}

/* Whatever is there of a packet tells how much more is needed at least, and the end is exact. */
static void measure_at_every_length(const uint8_t *bytes, size_t size, uint32_t identity_count)
{
    struct quorum_packet_extent extent;
    for (size_t at = 0; at < size; at++) {
        assert_int_equal(measure(slice_of(bytes, at), &extent), ERR_TRUNCATED);
        assert_in_range(extent.size, at + 1, size);
    }
    for (size_t more = 0; more <= 4; more++) {
        assert_int_equal(measure(slice_of(bytes, size + more), &extent), ERR_OK);
        assert_int_equal(extent.size, size);
        assert_int_equal(extent.identity_count, identity_count);
    }
}

static void a_part_of_a_packet_tells_what_is_missing(void **state)
{
    struct zk_id ids[] = {{.scheme = SLICE_LITERAL("ip"), .id = SLICE_LITERAL("127.0.0.1")},
                          {.scheme = SLICE_LITERAL(""), .id = SLICE_NULL},
                          {.scheme = SLICE_LITERAL("digest"), .id = SLICE_LITERAL("a:b")}};
    uint8_t bytes[256];
    (void)state;
    for (int count = -1; count <= 3; count++)
        for (size_t size = 0; size < 40; size += 13) {
            struct zk_quorum_packet packet = {.type = 1, .zxid = -1};
            packet.data = size == 0 ? SLICE_NULL : slice_of(proposal, size % sizeof proposal);
            packet.identities.items = ids;
            packet.identities.count = count;
            const size_t whole = quorum_packet_bytes(&packet);
            memset(bytes, 0, sizeof bytes);
            quorum_packet_encode(&packet, bytes);
            measure_at_every_length(bytes, whole, count < 0 ? 0 : (uint32_t)count);
        }
}

static void assert_same_id(const struct zk_id *id, const struct zk_id *same)
{
    assert_ptr_equal(id->scheme.data, same->scheme.data);
    assert_int_equal(id->scheme.size, same->scheme.size);
    assert_ptr_equal(id->id.data, same->id.data);
    assert_int_equal(id->id.size, same->id.size);
}

/* By hand or by the tables, the bytes are the same. */
static void the_tables_say_the_same(void **state)
{
    static uint8_t memory[1 << 16], by_hand[1 << 16], by_table[1 << 16];
    struct zk_quorum_packet packet, decoded, same;
    struct arena arena;
    struct prng prng;
    uint32_t plain_count = 0;
    (void)state;
    prng_init(&prng, 5);
    for (int round = 0; round < 2000; round++) {
        arena_init(&arena, memory, sizeof memory);
        assert_int_equal(wire_random(&zk_quorum_packet_wire, 0, &prng, &arena, &packet), ERR_OK);
        if (prng_chance(&prng, 1, 2))
            packet.identities.count = prng_chance(&prng, 1, 2) ? -1 : 0;
        plain_count += packet.identities.count <= 0;
        const size_t size = wire_size(&zk_quorum_packet_wire, 0, &packet);
        struct wire_writer writer = wire_writer_of(by_table, sizeof by_table);
        wire_encode(&zk_quorum_packet_wire, 0, &packet, &writer);
        assert_int_equal(quorum_packet_bytes(&packet), size);
        quorum_packet_encode(&packet, by_hand);
        assert_memory_equal(by_hand, by_table, size);
        const struct slice bytes = slice_of(by_hand, size);
        assert_int_equal(quorum_packet_decode(bytes, &arena, &decoded), ERR_OK);
        assert_int_equal(wire_decode_all(&zk_quorum_packet_wire, 0, bytes, &arena, &same), ERR_OK);
        assert_int_equal(decoded.type, same.type);
        assert_int_equal(decoded.zxid, same.zxid);
        assert_ptr_equal(decoded.data.data, same.data.data);
        assert_int_equal(decoded.data.size, same.data.size);
        assert_int_equal(decoded.identities.count, same.identities.count);
        for (int32_t index = 0; index < same.identities.count; index++)
            assert_same_id(&decoded.identities.items[index], &same.identities.items[index]);
    }
    assert_in_range(plain_count, 500, 1999);
}

static enum err measure_head(int32_t data_size, int32_t count)
{
    struct quorum_packet_extent extent;
    uint8_t bytes[20] = {0};
    store_i32(bytes + 12, data_size);
    store_i32(bytes + 16, count);
    return measure(slice_of(bytes, sizeof bytes), &extent);
}

static void impossible_numbers_are_refused(void **state)
{
    (void)state;
    assert_int_equal(measure_head(-1, -1), ERR_OK);
    assert_int_equal(measure_head(0, 0), ERR_OK);
    assert_int_equal(measure_head(-2, -1), ERR_MALFORMED);
    assert_int_equal(measure_head(INT32_MIN, -1), ERR_MALFORMED);
    assert_int_equal(measure_head(data_bytes_max, 0), ERR_TRUNCATED);
    assert_int_equal(measure_head(data_bytes_max + 1, 0), ERR_LIMIT);
    assert_int_equal(measure_head(INT32_MAX, 0), ERR_LIMIT);
    assert_int_equal(measure_head(0, -2), ERR_MALFORMED);
    assert_int_equal(measure_head(0, quorum_packet_identity_count_max), ERR_TRUNCATED);
    assert_int_equal(measure_head(0, quorum_packet_identity_count_max + 1), ERR_LIMIT);
    assert_int_equal(measure_head(0, INT32_MAX), ERR_LIMIT);
}

static void identities_are_limited_together(void **state)
{
    enum { part = 30000 };
    static uint8_t bytes[20 + 3 * (4 + part)];
    struct quorum_packet_extent extent;
    (void)state;
    store_i32(bytes + 12, -1);
    store_i32(bytes + 16, 2);
    for (size_t index = 0; index < 3; index++)
        store_i32(bytes + 20 + index * (4 + part), part);
    assert_int_equal(measure(slice_of(bytes, 20 + 2 * (4 + part)), &extent), ERR_TRUNCATED);
    assert_int_equal(measure(slice_of(bytes, sizeof bytes), &extent), ERR_LIMIT);
    store_i32(bytes + 20, -2);
    assert_int_equal(measure(slice_of(bytes, sizeof bytes), &extent), ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_packet_is_what_the_protocol_says),
        cmocka_unit_test(a_part_of_a_packet_tells_what_is_missing),
        cmocka_unit_test(the_tables_say_the_same),
        cmocka_unit_test(impossible_numbers_are_refused),
        cmocka_unit_test(identities_are_limited_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
