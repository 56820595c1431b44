/* A stream of any frames, given in pieces that the input itself decides: what comes out must be
 * what a reader of the whole stream would cut. The fuzzed bytes are the stream; their values also
 * choose the pieces and which frames stay held. */
#include "base/assert.h"
#include "base/bytes.h"
#include "net/net_receiver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { frame_length_max = 1 << 16 };

struct reader {
    struct net_receiver receiver;
    struct slice stream;
    size_t at; /* Start of the next frame in the stream. */
    struct net_buffer *held;
    struct net_room held_frame;
    size_t held_at;
    bool is_refused;
};

static void check_same(const struct reader *reader, struct net_room frame, size_t at)
{
    assert(frame.size <= reader->stream.size - at);
    assert(frame.size == 0 || memcmp(frame.data, reader->stream.data + at, frame.size) == 0);
}

static void hold(struct reader *reader, struct net_room frame)
{
    if (reader->held != NULL) {
        check_same(reader, reader->held_frame, reader->held_at);
        net_buffer_release(reader->held);
    }
    reader->held = reader->receiver.buffer;
    reader->held_frame = frame;
    reader->held_at = reader->at + net_receiver_length_bytes;
    net_buffer_acquire(reader->held);
}

/* As a connection cuts what has come. */
static void cut_frames(struct reader *reader)
{
    for (;;) {
        uint32_t length;
        if (net_receiver_read_length(&reader->receiver, &length)) {
            assert(length == load_u32(reader->stream.data + reader->at));
            reader->is_refused = length > frame_length_max && length != INT32_MAX;
            if (reader->is_refused)
                return;
            net_receiver_expect(&reader->receiver, length);
        }
        struct net_room frame;
        if (!net_receiver_take_frame(&reader->receiver, &frame))
            return;
        check_same(reader, frame, reader->at + net_receiver_length_bytes);
        if (frame.size % 3 == 1)
            hold(reader, frame);
        reader->at += net_receiver_length_bytes + frame.size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct heap heap;
    heap_init(&heap, (struct heap_options){.limit_bytes = 8 << 20});
    struct reader reader = {.stream = slice_of(data, size)};
    struct net_pool *pool = net_pool_make(&heap, 2048);
    assert(pool != NULL);
    net_receiver_init(&reader.receiver, pool);
    for (size_t given = 0; given < size && !reader.is_refused;) {
        if (!net_receiver_reserve(&reader.receiver))
            break;
        const struct net_room room = net_receiver_room(&reader.receiver);
        const size_t wanted = 1 + (size_t)data[given] * (data[given] % 2 == 0 ? 1 : 40);
        const size_t piece = min_size(min_size(wanted, room.size), size - given);
        memcpy(room.data, data + given, piece);
        net_receiver_add(&reader.receiver, piece);
        given += piece;
        /* Beside the buffer of the frame that comes, at most the held one and old rooms. */
        assert(heap.used_bytes <=
               2 * slab_region_bytes + 3 * max_size(2 * size, net_receiver_step_bytes));
        cut_frames(&reader);
    }
    if (reader.held != NULL) {
        check_same(&reader, reader.held_frame, reader.held_at);
        net_buffer_release(reader.held);
    }
    net_receiver_deinit(&reader.receiver);
    net_pool_end(pool);
    assert(heap.block_count == 0);
    heap_deinit(&heap);
    return 0;
}
