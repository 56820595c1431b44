#include "server/keeper/gzip_reader.h"
#include "server/keeper/snappy_reader.h"
#include "server/keeper/snapshot_packer.h"
#include "test/unit_test.h"

#include "base/bytes.h"
#include "base/macros.h"
#include "base/prng.h"

enum { plain_bytes = 300000, packed_bytes_max = 2 * plain_bytes, out_bytes = 65536 };

static uint8_t plain[plain_bytes];
static uint8_t packed[packed_bytes_max];
static uint8_t unpacked[plain_bytes + 1];

static struct heap heap;

static void open_heap(void)
{
    struct prng prng;
    heap_init(&heap, (struct heap_options){.limit_bytes = 16 << 20, .tracked = true});
    prng_init(&prng, 5);
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = i / 1000 % 3 == 0 ? (uint8_t)prng_next(&prng) : (uint8_t)(i / 64);
}

static void close_heap(void)
{
    assert_int_equal(0, heap.block_count);
    heap_deinit(&heap);
}

/* Packs size bytes that come in pieces. */
static size_t pack(enum recovery_compression method, size_t plain_size, size_t piece_size)
{
    struct snapshot_packer packer;
    size_t filled = 0;
    size_t at = 0;
    assert_int_equal(ERR_OK, snapshot_packer_init(&packer, &heap, method));
    while (!packer.is_done) {
        struct slice input = slice_of(plain + at, min_size(piece_size, plain_size - at));
        const bool is_last = at + input.size == plain_size;
        at += input.size;
        do {
            size_t size = 0;
            snapshot_packer_next(&packer, &input, is_last, packed + filled, out_bytes, &size);
            filled += size;
        } while (input.size > 0);
    }
    snapshot_packer_deinit(&packer);
    return filled;
}

/* The bytes that come out, in unpacked; packed comes in pieces, room for room_size at a time. */
static enum err unpack_snappy(size_t packed_size, size_t piece_size, size_t room_size, size_t *size)
{
    struct snappy_reader reader;
    enum err err = ERR_OK;
    *size = 0;
    snappy_reader_init(&reader, &heap);
    for (size_t at = 0; at < packed_size && err == ERR_OK; at += piece_size) {
        struct slice piece = slice_of(packed + at, min_size(piece_size, packed_size - at));
        size_t made = 1;
        while (err == ERR_OK && (piece.size > 0 || made > 0)) {
            const size_t room = min_size(room_size, sizeof unpacked - *size);
            err = snappy_reader_next(&reader, &piece, unpacked + *size, room, &made);
            *size += made;
        }
    }
    if (err == ERR_OK && !snappy_reader_may_end(&reader))
        err = ERR_TRUNCATED;
    snappy_reader_deinit(&reader);
    return err;
}

static void snappy_comes_back_in_pieces_of_any_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 100, 5000, 32768, packed_bytes_max};
    open_heap();
    for (size_t i = 0; i < ARRAY_COUNT(sizes) * ARRAY_COUNT(sizes); i++) {
        size_t size;
        const size_t packed_size = pack(RECOVERY_SNAPPY, sizeof plain, sizes[i % 5]);
        assert_memory_equal(packed, snappy_head, snappy_head_bytes);
        assert_true(packed_size < sizeof plain * 3 / 4);
        memset(unpacked, 0, sizeof unpacked);
        assert_int_equal(ERR_OK,
                         unpack_snappy(packed_size, sizes[(i + 2) % 5], sizes[i / 5], &size));
        assert_int_equal(size, sizeof plain);
        assert_memory_equal(plain, unpacked, sizeof plain);
    }
    close_heap();
}

static void snappy_of_nothing_is_its_head(void **state)
{
    (void)state;
    size_t size;
    open_heap();
    assert_int_equal(pack(RECOVERY_SNAPPY, 0, 1), snappy_head_bytes);
    assert_int_equal(ERR_OK, unpack_snappy(snappy_head_bytes, 16, 100, &size));
    assert_int_equal(size, 0);
    close_heap();
}

/* A cut may only pass between two blocks, where the snapshot's own seal must tell. */
static void snappy_tells_cuts_and_damage(void **state)
{
    (void)state;
    size_t size;
    open_heap();
    const size_t packed_size = pack(RECOVERY_SNAPPY, sizeof plain, 1000);
    const size_t block_end = snappy_head_bytes + 4 + load_u32(packed + snappy_head_bytes);
    assert_int_equal(ERR_OK, unpack_snappy(block_end, 4096, 4096, &size));
    assert_int_equal(size, snapshot_packer_block_bytes);
    for (size_t cut = 1; cut < 5000; cut++)
        if (cut != block_end && cut != snappy_head_bytes)
            assert_int_equal(ERR_TRUNCATED, unpack_snappy(cut, 4096, 4096, &size));
    for (size_t at = 0; at < 8; at++) {
        packed[at] ^= 1;
        assert_int_equal(ERR_CORRUPT, unpack_snappy(packed_size, 4096, 4096, &size));
        packed[at] ^= 1;
    }
    packed[snappy_head_bytes] = 0x7f; /* A block of two gigabytes. */
    assert_int_equal(ERR_CORRUPT, unpack_snappy(packed_size, 4096, 4096, &size));
    assert_true(heap.used_bytes == 0);
    close_heap();
}

static void gzip_comes_back(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 777, 16384, plain_bytes};
    open_heap();
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct gzip_reader reader;
        const size_t packed_size = pack(RECOVERY_GZIP, sizeof plain, sizes[i]);
        struct slice input = slice_of(packed, packed_size);
        size_t size = 0;
        assert_int_equal(ERR_OK, gzip_reader_init(&reader, &heap));
        assert_int_equal(ERR_OK,
                         gzip_reader_next(&reader, &input, unpacked, sizeof unpacked, &size));
        assert_true(reader.is_done);
        gzip_reader_deinit(&reader);
        assert_int_equal(size, sizeof plain);
        assert_memory_equal(plain, unpacked, sizeof plain);
    }
    close_heap();
}

static void without_memory_nothing_is_left(void **state)
{
    (void)state;
    static const enum recovery_compression methods[] = {RECOVERY_GZIP, RECOVERY_SNAPPY};
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
        struct snapshot_packer packer;
        heap_init(&heap, (struct heap_options){.limit_bytes = 1000, .tracked = true});
        assert_int_equal(ERR_NO_MEMORY, snapshot_packer_init(&packer, &heap, methods[i]));
        snapshot_packer_deinit(&packer);
        close_heap();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snappy_comes_back_in_pieces_of_any_size),
        cmocka_unit_test(snappy_of_nothing_is_its_head),
        cmocka_unit_test(snappy_tells_cuts_and_damage),
        cmocka_unit_test(gzip_comes_back),
        cmocka_unit_test(without_memory_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
