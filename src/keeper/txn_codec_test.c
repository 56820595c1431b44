#include "base/bytes.h"
#include "keeper/txn_codec.h"
#include "test/unit_test.h"

#include <stdio.h>

enum { bytes_max = 4096 };

static _Alignas(16) uint8_t memory[1 << 16];
static uint8_t bytes[bytes_max];
static struct arena arena;

static const struct zk_acl open_acl = {
    31, {{(const uint8_t *)"world", 5}, {(const uint8_t *)"anyone", 6}}};

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, memory, sizeof memory);
    memset(bytes, 0, sizeof bytes);
    return 0;
}

static struct txn create_txn(void)
{
    return (struct txn){
        .session_id = 0x100000000000001,
        .cxid = 7,
        .zxid = 0x10,
        .time_ms = 0x0102030405,
        .op = {.type = OP_CREATE,
               .path = SLICE_LITERAL("/a"),
               .data = SLICE_LITERAL("xy"),
               .acl = {&open_acl, 1},
               .version = 3},
    };
}

static void check_bytes(const uint8_t *actual, size_t size, const char *hex)
{
    char text[2 * 256 + 1];
    assert_true(size <= 256);
    for (size_t at = 0; at < size; at++)
        snprintf(text + 2 * at, 3, "%02x", actual[at]);
    assert_string_equal(text, hex);
}

static void a_record_is_checksum_size_entry_and_mark(void **state)
{
    (void)state;
    struct txn txn = {.session_id = 1,
                      .cxid = 2,
                      .zxid = 3,
                      .time_ms = 4,
                      .op = {.type = OP_ERROR, .code = -101}};
    assert_int_equal(txn_codec_record_bytes(&txn), 12 + 36 + 1);
    txn_codec_encode_record(&txn, bytes);
    check_bytes(bytes, 49,
                "00000000" /* Adler-32, zero-extended */
                "2442079f"
                "00000024"
                "0000000000000001"
                "00000002"
                "0000000000000003"
                "0000000000000004"
                "ffffffff"
                "ffffff9b"
                "42");
}

static void bodies_are_apaches(void **state)
{
    (void)state;
    const struct txn txn = create_txn();
    txn_codec_encode_entry(&txn, bytes);
    check_bytes(bytes + txn_header_bytes, txn_codec_entry_bytes(&txn) - txn_header_bytes,
                "000000022f61"
                "000000027879"
                "000000010000001f00000005776f726c6400000006616e796f6e65"
                "00"
                "00000003");
}

static void digest_follows_the_body(void **state)
{
    (void)state;
    struct txn txn = create_txn();
    txn.has_digest = true;
    txn.digest = 1371985504;
    txn_codec_encode_entry(&txn, bytes);
    const size_t size = txn_codec_entry_bytes(&txn);
    check_bytes(bytes + size - txn_digest_bytes, txn_digest_bytes, "000000020000000051c6d660");
    struct txn again;
    assert_int_equal(txn_codec_decode_entry(slice_of(bytes, size), &arena, &again), ERR_OK);
    assert_true(again.has_digest);
    assert_int_equal(again.digest, 1371985504);
}

static void old_creates_have_no_parent_version(void **state)
{
    (void)state;
    const struct txn txn = create_txn();
    txn_codec_encode_entry(&txn, bytes);
    const size_t size = txn_codec_entry_bytes(&txn) - sizeof(int32_t);
    struct txn again;
    assert_int_equal(txn_codec_decode_entry(slice_of(bytes, size), &arena, &again), ERR_OK);
    assert_int_equal(again.op.version, -1);
    assert_true(slice_equal_text(again.op.path, "/a"));
}

static void old_closes_have_no_paths(void **state)
{
    (void)state;
    const struct txn txn = {.op = {.type = OP_CLOSE_SESSION}};
    txn_codec_encode_entry(&txn, bytes);
    assert_int_equal(txn_codec_entry_bytes(&txn), txn_header_bytes);
    struct txn again;
    assert_int_equal(txn_codec_decode_entry(slice_of(bytes, txn_header_bytes), &arena, &again),
                     ERR_OK);
    assert_false(again.op.has_paths);
    const struct slice paths[] = {SLICE_LITERAL("/a"), SLICE_LITERAL("/b")};
    const struct txn listed = {
        .op = {.type = OP_CLOSE_SESSION, .has_paths = true, .paths = {paths, 2}}};
    txn_codec_encode_entry(&listed, bytes);
    assert_int_equal(
        txn_codec_decode_entry(slice_of(bytes, txn_codec_entry_bytes(&listed)), &arena, &again),
        ERR_OK);
    assert_true(again.op.has_paths);
    assert_int_equal(again.op.paths.count, 2);
}

static void every_cut_of_an_entry_is_an_error(void **state)
{
    (void)state;
    const struct txn_op ops[] = {create_txn().op,
                                 {.type = OP_SET_DATA, .path = SLICE_LITERAL("/a"), .version = 1},
                                 {.type = OP_ERROR, .code = -2}};
    const struct txn txn = {.op = {.type = OP_MULTI}, .ops = ops, .op_count = 3};
    txn_codec_encode_entry(&txn, bytes);
    const size_t size = txn_codec_entry_bytes(&txn);
    struct txn again;
    for (size_t cut = 0; cut < size; cut++) {
        arena_reset(&arena);
        assert_int_not_equal(txn_codec_decode_entry(slice_of(bytes, cut), &arena, &again), ERR_OK);
    }
    assert_int_equal(txn_codec_decode_entry(slice_of(bytes, size), &arena, &again), ERR_OK);
    assert_int_equal(again.op_count, 3);
    assert_int_equal(again.ops[2].code, -2);
    arena_init(&arena, memory, 64);
    assert_int_equal(txn_codec_decode_entry(slice_of(bytes, size), &arena, &again), ERR_NO_MEMORY);
}

static void decode_refuses(const struct txn *txn)
{
    txn_codec_encode_entry(txn, bytes);
    struct txn again;
    assert_int_equal(
        txn_codec_decode_entry(slice_of(bytes, txn_codec_entry_bytes(txn)), &arena, &again),
        ERR_MALFORMED);
}

static void impossible_entries_are_refused(void **state)
{
    (void)state;
    static const char *const paths[] = {"", "a", "/", "/a/", "//", "/a//b"};
    struct txn txn = create_txn();
    for (size_t index = 0; index < 6; index++) {
        txn.op.path = slice_from_text(paths[index]);
        decode_refuses(&txn);
    }
    txn.op.path = SLICE_NULL;
    decode_refuses(&txn);
    txn.op = (struct txn_op){
        .type = OP_CREATE_TTL, .path = SLICE_LITERAL("/a"), .acl = {&open_acl, 1}, .ttl_ms = 0};
    decode_refuses(&txn);
    const struct txn_op nested = {.type = OP_MULTI};
    const struct txn multi = {.op = {.type = OP_MULTI}, .ops = &nested, .op_count = 1};
    decode_refuses(&multi);
    store_i32(bytes + 28, 77);
    struct txn again;
    assert_int_equal(txn_codec_decode_entry(slice_of(bytes, txn_header_bytes), &arena, &again),
                     ERR_UNSUPPORTED);
}

static enum txn_record_verdict verdict(size_t size)
{
    struct slice entry;
    size_t record_size;
    return txn_codec_read_record(slice_of(bytes, size), &entry, &record_size);
}

static void d03_to_d05_verdicts_of_records(void **state)
{
    (void)state;
    assert_int_equal(verdict(0), TXN_RECORD_END);
    assert_int_equal(verdict(100), TXN_RECORD_END);
    assert_int_equal(verdict(11), TXN_RECORD_MORE);
    const struct txn txn = create_txn();
    const size_t size = txn_codec_record_bytes(&txn);
    txn_codec_encode_record(&txn, bytes);
    assert_int_equal(verdict(size), TXN_RECORD_OK);
    assert_int_equal(verdict(bytes_max), TXN_RECORD_OK);
    for (size_t cut = 1; cut < size; cut++)
        assert_int_equal(verdict(cut), TXN_RECORD_MORE);
    for (size_t at = 0; at < size; at++) {
        bytes[at] ^= 4;
        assert_int_not_equal(verdict(bytes_max), TXN_RECORD_OK);
        bytes[at] ^= 4;
    }
    bytes[size - 1] = 0;
    assert_int_equal(verdict(size), TXN_RECORD_NO_MARK);
    bytes[size - 1] = 'B';
    bytes[20] ^= 1;
    assert_int_equal(verdict(size), TXN_RECORD_CHECKSUM);
    store_i32(bytes + 8, -1);
    assert_int_equal(verdict(size), TXN_RECORD_IMPOSSIBLE);
    store_i32(bytes + 8, INT32_MAX);
    assert_int_equal(verdict(size), TXN_RECORD_IMPOSSIBLE);
    store_i32(bytes + 8, 0);
    assert_int_equal(verdict(size), TXN_RECORD_IMPOSSIBLE);
}

static void d02_file_headers(void **state)
{
    (void)state;
    txn_codec_encode_file_header(bytes);
    check_bytes(bytes, txn_file_header_bytes, "5a4b4c47000000020000000000000000");
    assert_int_equal(txn_codec_check_file_header(slice_of(bytes, 16)), ERR_OK);
    assert_int_equal(txn_codec_check_file_header(slice_of(bytes, 15)), ERR_TRUNCATED);
    bytes[7] = 3;
    assert_int_equal(txn_codec_check_file_header(slice_of(bytes, 16)), ERR_UNSUPPORTED);
    bytes[7] = 0;
    assert_int_equal(txn_codec_check_file_header(slice_of(bytes, 16)), ERR_MALFORMED);
    bytes[7] = 2;
    bytes[0] = 0;
    assert_int_equal(txn_codec_check_file_header(slice_of(bytes, 16)), ERR_MALFORMED);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_record_is_checksum_size_entry_and_mark),
        TEST(bodies_are_apaches),
        TEST(digest_follows_the_body),
        TEST(old_creates_have_no_parent_version),
        TEST(old_closes_have_no_paths),
        TEST(every_cut_of_an_entry_is_an_error),
        TEST(impossible_entries_are_refused),
        TEST(d03_to_d05_verdicts_of_records),
        TEST(d02_file_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
