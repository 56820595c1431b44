#include "server/keeper/gzip_reader.h"
#include "test/unit_test.h"

#include "base/macros.h"

enum { plain_bytes = 100000, packed_bytes_max = 200000 };

static uint8_t plain[plain_bytes];
static uint8_t packed[packed_bytes_max];
static uint8_t unpacked[plain_bytes];

static size_t pack(void)
{
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(i * i / 7);
    z_stream stream = {0};
    assert_int_equal(Z_OK, deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY));
    stream.next_in = plain;
    stream.avail_in = sizeof plain;
    stream.next_out = packed;
    stream.avail_out = sizeof packed;
    assert_int_equal(Z_STREAM_END, deflate(&stream, Z_FINISH));
    const size_t size = stream.total_out;
    assert_int_equal(Z_OK, deflateEnd(&stream));
    return size;
}

/* Unpacks in pieces of piece_size into room of room_size at a time. */
static enum err unpack(size_t packed_size, size_t piece_size, size_t room_size, bool *is_done)
{
    struct heap heap;
    struct gzip_reader reader;
    size_t filled = 0;
    enum err err = ERR_OK;
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20, .tracked = true});
    assert_int_equal(ERR_OK, gzip_reader_init(&reader, &heap));
    for (size_t at = 0; at < packed_size && err == ERR_OK; at += piece_size) {
        struct slice piece = slice_of(packed + at, min_size(piece_size, packed_size - at));
        size_t size = 1;
        while (err == ERR_OK && (piece.size > 0 || size > 0)) {
            const size_t room = min_size(room_size, sizeof unpacked - filled);
            err = gzip_reader_next(&reader, &piece, unpacked + filled, room, &size);
            filled += size;
        }
    }
    *is_done = reader.is_done && filled == sizeof plain;
    gzip_reader_deinit(&reader);
    assert_int_equal(0, heap.block_count);
    heap_deinit(&heap);
    return err;
}

static void test_pieces_of_any_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 100, 4096, packed_bytes_max};
    const size_t size = pack();
    bool is_done;
    for (size_t i = 0; i < 16; i++) {
        memset(unpacked, 0, sizeof unpacked);
        assert_int_equal(ERR_OK, unpack(size, sizes[i % 4], sizes[i / 4], &is_done));
        assert_true(is_done);
        assert_memory_equal(plain, unpacked, sizeof plain);
    }
}

static void test_damage(void **state)
{
    (void)state;
    bool is_done;
    const size_t size = pack();
    assert_int_equal(ERR_OK, unpack(size - 5, 4096, 4096, &is_done));
    assert_false(is_done); /* Cut short. */
    packed[size / 2] ^= 0x55;
    assert_true(unpack(size, 4096, 4096, &is_done) != ERR_OK || !is_done);
    packed[0] = 'x';
    assert_int_equal(ERR_CORRUPT, unpack(size, 4096, 4096, &is_done));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_of_any_size),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
