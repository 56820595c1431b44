#include "base/bytes.h"
#include "base/prng.h"
#include "net/net_receiver.h"
#include "test/unit_test.h"

enum { busy_bytes = 16 * 1024 };

static struct heap heap;
static struct net_pool *pool;

static int set_up(void **state)
{
    static struct net_receiver receiver;
    heap_init(&heap, (struct heap_options){.limit_bytes = 64 << 20});
    pool = net_pool_make(&heap, busy_bytes);
    assert_non_null(pool);
    net_receiver_init(&receiver, pool);
    *state = &receiver;
    return 0;
}

static int tear_down(void **state)
{
    net_receiver_deinit(*state);
    net_pool_end(pool);
    assert_int_equal(heap.block_count, 0);
    heap_deinit(&heap);
    return 0;
}

/* Gives as many of the bytes as there is room for; how many. */
static size_t give(struct net_receiver *receiver, const uint8_t *data, size_t size)
{
    assert_true(net_receiver_reserve(receiver));
    const struct net_room room = net_receiver_room(receiver);
    size = min_size(size, room.size);
    memcpy(room.data, data, size);
    net_receiver_add(receiver, size);
    return size;
}

/* The next whole frame, whatever its length. */
static bool take(struct net_receiver *receiver, struct net_room *frame)
{
    uint32_t length;
    if (net_receiver_read_length(receiver, &length))
        net_receiver_expect(receiver, length);
    return net_receiver_take_frame(receiver, frame);
}

static uint8_t byte_of(uint64_t frame, uint64_t at)
{
    return (uint8_t)(frame * 7 + at * 3 + (at >> 8));
}

static void check_frame(struct net_room frame, uint64_t number, size_t size)
{
    assert_int_equal(frame.size, size);
    for (size_t at = 0; at < size; at++)
        assert_int_equal(frame.data[at], byte_of(number, at));
}

/* Frames of random sizes in random pieces come out as they were put in, also when some of them are
 * held while others come. */
static void random_frames_in_random_pieces(void **state)
{
    enum { stream_bytes = 4 << 20, frame_count_max = 4000, held_count = 3 };
    struct net_receiver *receiver = *state;
    static uint8_t stream[stream_bytes];
    static size_t sizes[frame_count_max];
    struct prng prng;
    prng_init(&prng, 11);
    size_t stream_size = 0;
    uint64_t put = 0;
    for (; put < frame_count_max; put++) {
        const uint64_t size_max = prng_chance(&prng, 1, 100) ? 300000 : 3000;
        sizes[put] = prng_below(&prng, size_max);
        if (stream_size + 4 + sizes[put] > stream_bytes)
            break;
        store_u32(stream + stream_size, (uint32_t)sizes[put]);
        for (size_t at = 0; at < sizes[put]; at++)
            stream[stream_size + 4 + at] = byte_of(put, at);
        stream_size += 4 + sizes[put];
    }

    struct net_buffer *held[held_count] = {0};
    struct net_room held_frames[held_count];
    uint64_t taken = 0;
    for (size_t given = 0; given < stream_size;) {
        const size_t piece = 1 + prng_below(&prng, prng_chance(&prng, 1, 2) ? 40 : 20000);
        given += give(receiver, stream + given, min_size(piece, stream_size - given));
        for (struct net_room frame; take(receiver, &frame); taken++) {
            const size_t slot = taken % held_count;
            if (held[slot] != NULL) {
                check_frame(held_frames[slot], taken - held_count, sizes[taken - held_count]);
                net_buffer_release(held[slot]);
            }
            held[slot] = receiver->buffer;
            held_frames[slot] = frame;
            net_buffer_acquire(receiver->buffer);
        }
    }
    assert_int_equal(taken, put);
    assert_int_equal(net_receiver_size(receiver), 0);
    for (size_t slot = 0; slot < held_count; slot++)
        net_buffer_release(held[slot]);
}

static void a_declared_length_takes_no_memory(void **state)
{
    struct net_receiver *receiver = *state;
    static const uint8_t length[] = {0x7f, 0xff, 0xff, 0xff};
    static uint8_t zeros[1000];
    assert_int_equal(give(receiver, length, sizeof length), sizeof length);
    struct net_room frame;
    assert_false(take(receiver, &frame));
    size_t received = sizeof length;
    while (received < 5 << 20) {
        received += give(receiver, zeros, sizeof zeros);
        assert_false(take(receiver, &frame));
        assert_true(heap.used_bytes <= max_size(2 * received, net_receiver_step_bytes) +
                                           slab_region_bytes + 1024 + sizeof *pool);
    }
}

/* A frame's holder may outlive the connection and its net. */
static void a_held_buffer_keeps_the_pool(void **state)
{
    struct net_receiver *receiver = *state;
    struct net_pool *other = net_pool_make(&heap, busy_bytes);
    assert_non_null(other);
    net_receiver_deinit(receiver);
    net_receiver_init(receiver, other);
    static const uint8_t stream[] = {0, 0, 0, 1, 'x'};
    struct net_room frame;
    give(receiver, stream, sizeof stream);
    assert_true(take(receiver, &frame));
    struct net_buffer *held = receiver->buffer;
    net_buffer_acquire(held);
    net_receiver_deinit(receiver);
    net_pool_end(other);
    assert_int_equal(frame.data[0], 'x');
    net_buffer_release(held);
}

static void a_quiet_connection_holds_little(void **state)
{
    struct net_receiver *receiver = *state;
    static uint8_t stream[20000];
    struct net_room frame;
    store_u32(stream, sizeof stream - 4);
    for (size_t given = 0; given < sizeof stream;) {
        assert_false(take(receiver, &frame));
        given += give(receiver, stream + given, sizeof stream - given);
    }
    assert_true(take(receiver, &frame));
    assert_true(heap.used_bytes > sizeof stream);

    store_u32(stream, 10);
    give(receiver, stream, 14);
    assert_true(take(receiver, &frame));
    assert_true(net_receiver_reserve(receiver));
    assert_int_equal(pool->slab.used_bytes, net_receiver_quiet_bytes);
    assert_true(heap.used_bytes <= slab_region_bytes + 1024 + sizeof *pool);
}

static void the_heap_can_say_no(void **state)
{
    struct net_receiver *receiver = *state;
    heap.limit_bytes = 100;
    assert_false(net_receiver_reserve(receiver));
    heap.limit_bytes = slab_region_bytes + 4096;
    assert_true(net_receiver_reserve(receiver));
    uint8_t length[4] = {0};
    store_u32(length, 60000);
    give(receiver, length, sizeof length);
    struct net_room frame;
    assert_false(take(receiver, &frame));
    assert_false(net_receiver_reserve(receiver));
}

static void raw_bytes_come_out_at_once(void **state)
{
    struct net_receiver *receiver = *state;
    assert_int_equal(net_receiver_take_all(receiver).size, 0);
    give(receiver, (const uint8_t *)"ruok", 4);
    assert_true(slice_equal_text(net_receiver_take_all(receiver), "ruok"));
    give(receiver, (const uint8_t *)"\n", 1);
    assert_true(slice_equal_text(net_receiver_take_all(receiver), "\n"));
}

/* What a protocol did not want yet comes again, in front of what follows. */
static void raw_bytes_can_be_put_back(void **state)
{
    struct net_receiver *receiver = *state;
    give(receiver, (const uint8_t *)"onetwo", 6);
    assert_true(slice_equal_text(net_receiver_take_all(receiver), "onetwo"));
    net_receiver_put_back(receiver, 3, 0);
    assert_int_equal(net_receiver_size(receiver), 3);
    assert_true(slice_equal_text(net_receiver_take_all(receiver), "two"));
    net_receiver_put_back(receiver, 2, 0);
    give(receiver, (const uint8_t *)"three", 5);
    assert_true(slice_equal_text(net_receiver_take_all(receiver), "wothree"));
    net_receiver_put_back(receiver, 0, 0);
    assert_int_equal(net_receiver_take_all(receiver).size, 0);
}

/* What is put back until more is there is not taken before, and moves little while it grows,
 * whether its whole size is known or only that it needs one byte more. */
static void what_is_awaited_grows_without_moving_much(void **state)
{
    enum { whole = 1 << 20, piece = 200, leader = 1000 };
    struct net_receiver *receiver = *state;
    static uint8_t data[leader + whole];
    for (size_t at = 0; at < sizeof data; at++)
        data[at] = byte_of(1, at);
    for (int is_known = 0; is_known < 2; is_known++) {
        const struct net_buffer *buffer = NULL;
        size_t given = 0, size = 0;
        uint32_t move_count = 0;
        while (size < whole) {
            given += give(receiver, data + given, min_size(piece, sizeof data - given));
            move_count += receiver->buffer != buffer;
            assert_true(move_count < 40);
            buffer = receiver->buffer;
            const struct slice bytes = net_receiver_take_raw(receiver);
            if (bytes.size == 0)
                continue;
            size = given > leader ? given - leader : 0;
            assert_true(!is_known || size <= piece || size == whole);
            assert_memory_equal(bytes.data + bytes.size - size, data + given - size, size);
            if (size > 0 && size < whole)
                net_receiver_put_back(receiver, size, is_known ? whole : size + 1);
        }
        assert_true(receiver->buffer->capacity < 2 * whole);
    }
}

static void what_is_awaited_may_be_taken_early(void **state)
{
    struct net_receiver *receiver = *state;
    give(receiver, (const uint8_t *)"one", 3);
    assert_int_equal(net_receiver_take_raw(receiver).size, 3);
    net_receiver_put_back(receiver, 2, 1000);
    assert_int_equal(net_receiver_take_raw(receiver).size, 0);
    net_receiver_await_nothing(receiver);
    assert_true(slice_equal_text(net_receiver_take_raw(receiver), "ne"));
}

#define RECEIVER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RECEIVER_TEST(random_frames_in_random_pieces),
        RECEIVER_TEST(a_declared_length_takes_no_memory),
        RECEIVER_TEST(a_held_buffer_keeps_the_pool),
        RECEIVER_TEST(a_quiet_connection_holds_little),
        RECEIVER_TEST(the_heap_can_say_no),
        RECEIVER_TEST(raw_bytes_come_out_at_once),
        RECEIVER_TEST(raw_bytes_can_be_put_back),
        RECEIVER_TEST(what_is_awaited_grows_without_moving_much),
        RECEIVER_TEST(what_is_awaited_may_be_taken_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
