#include "base/bytes.h"
#include "base/checksum.h"
#include "base/diag.h"
#include "base/err.h"
#include "base/list.h"
#include "test/unit_test.h"

#include <errno.h>

/* The check values that the catalogues of checksums give for the text "123456789". */
static void checksums_match_their_published_check_values(void **state)
{
    (void)state;
    const struct slice digits = SLICE_LITERAL("123456789");
    assert_int_equal(checksum_crc32c(0, digits), 0xe3069283u);
    assert_int_equal(checksum_crc32(0, digits), 0xcbf43926u);
    assert_int_equal(checksum_adler32(1, digits), 0x091e01deu);
}

static void checksums_go_on_from_a_part(void **state)
{
    (void)state;
    const struct slice head = SLICE_LITERAL("1234");
    const struct slice tail = SLICE_LITERAL("56789");
    assert_int_equal(checksum_crc32c(checksum_crc32c(0, head), tail), 0xe3069283u);
    assert_int_equal(checksum_crc32(checksum_crc32(0, head), tail), 0xcbf43926u);
    assert_int_equal(checksum_adler32(checksum_adler32(1, head), tail), 0x091e01deu);
}

/* As RFC 1950 defines it, byte by byte. */
static uint32_t naive_adler32(uint32_t previous, struct slice bytes)
{
    uint32_t low = previous & 0xffff, high = previous >> 16;
    for (size_t index = 0; index < bytes.size; index++) {
        low = (low + bytes.data[index]) % 65521;
        high = (high + low) % 65521;
    }
    return high << 16 | low;
}

static void adler32_is_right_at_every_length(void **state)
{
    static uint8_t bytes[20000];
    (void)state;
    memset(bytes, 0xff, sizeof bytes); /* The sums are largest. */
    for (size_t size = 0; size < sizeof bytes; size += size < 300 ? 1 : 997)
        for (uint32_t previous = 1; previous < 65520; previous += 65518) {
            const struct slice part = slice_of(bytes + size % 32, size - size % 32);
            assert_int_equal(checksum_adler32(previous, part), naive_adler32(previous, part));
        }
}

static void sha1_matches_the_standards_example(void **state)
{
    (void)state;
    static const uint8_t expected[20] = {0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81,
                                         0x6a, 0xba, 0x3e, 0x25, 0x71, 0x78, 0x50,
                                         0xc2, 0x6c, 0x9c, 0xd0, 0xd8, 0x9d};
    uint8_t digest[checksum_digest_bytes_max];
    assert_int_equal(checksum_digest("SHA1", SLICE_LITERAL("abc"), digest), 20);
    assert_memory_equal(digest, expected, sizeof expected);
}

static void bytes_are_big_endian(void **state)
{
    (void)state;
    uint8_t bytes[8];
    store_i64(bytes, -2);
    assert_int_equal(load_i64(bytes), -2);
    assert_int_equal(bytes[7], 0xfe);
    store_u32(bytes, 0x5a4b4c47);
    assert_memory_equal(bytes, "ZKLG", 4);
    store_i16(bytes, -300);
    assert_int_equal(load_i16(bytes), -300);
}

struct kept_line {
    struct diag diag;
    char text[diag_line_bytes_max];
    size_t size;
};

static void keep_line(struct diag *diag, enum diag_level level, struct slice line)
{
    struct kept_line *kept = CONTAINER_OF(diag, struct kept_line, diag);
    (void)level;
    memcpy(kept->text, line.data, line.size);
    kept->size = line.size;
}

static void diag_lines_cannot_be_forged(void **state)
{
    (void)state;
    struct kept_line kept = {.diag = {.write = keep_line, .level_min = DIAG_INFO}};
    diag_info(&kept.diag, "path %s", "a\nERROR b\x1b[0m");
    assert_memory_equal(kept.text, "path a?ERROR b?[0m", kept.size);
    kept.size = 0;
    diag_line(&kept.diag, DIAG_DEBUG, "quiet");
    assert_int_equal(kept.size, 0);
}

static void every_error_has_a_text(void **state)
{
    (void)state;
    assert_string_equal(err_text(ERR_OK), "no error");
    assert_string_equal(err_text(ERR_EXPIRED), "the session has expired");
    assert_int_equal(err_from_errno(-ENOSPC), ERR_NO_SPACE);
    assert_int_equal(err_from_errno(-EXFULL), ERR_IO);
}

static void list_keeps_its_order(void **state)
{
    (void)state;
    struct list head, other, links[4];
    list_init(&head);
    list_init(&other);
    for (int index = 0; index < 4; index++)
        list_push(index < 2 ? &head : &other, &links[index]);
    list_splice(&head, &other);
    assert_true(list_empty(&other));
    list_remove(&links[1]);
    assert_false(list_linked(&links[1]));
    list_push_front(&head, &links[1]);
    const int order[] = {1, 0, 2, 3};
    for (int index = 0; index < 4; index++)
        assert_ptr_equal(list_pop(&head), &links[order[index]]);
    assert_null(list_pop(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_match_their_published_check_values),
        cmocka_unit_test(checksums_go_on_from_a_part),
        cmocka_unit_test(adler32_is_right_at_every_length),
        cmocka_unit_test(sha1_matches_the_standards_example),
        cmocka_unit_test(bytes_are_big_endian),
        cmocka_unit_test(diag_lines_cannot_be_forged),
        cmocka_unit_test(every_error_has_a_text),
        cmocka_unit_test(list_keeps_its_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
