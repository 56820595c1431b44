#include "net/net_receiver.h"

#include "base/bytes.h"

static size_t block_size(const struct net_buffer *buffer)
{
    return buffer->capacity + sizeof *buffer;
}

void net_buffer_acquire(struct net_buffer *buffer)
{
    assert(buffer->users > 0);
    buffer->users++;
}

void net_buffer_release(struct net_buffer *buffer)
{
    assert(buffer->users > 0);
    if (--buffer->users == 0)
        net_pool_give(buffer->pool, buffer, block_size(buffer));
}

/* A buffer whose block has so many bytes, its header included. */
static struct net_buffer *make_buffer(struct net_pool *pool, size_t size)
{
    struct net_buffer *buffer = net_pool_take(pool, size);
    if (buffer == NULL)
        return NULL;
    *buffer = (struct net_buffer){
        .users = 1, .capacity = (uint32_t)(size - sizeof *buffer), .pool = pool};
    return buffer;
}

void net_receiver_init(struct net_receiver *receiver, struct net_pool *pool)
{
    *receiver = (struct net_receiver){.pool = pool};
}

void net_receiver_deinit(struct net_receiver *receiver)
{
    if (receiver->buffer != NULL)
        net_buffer_release(receiver->buffer);
    receiver->buffer = NULL;
}

uint32_t net_receiver_size(const struct net_receiver *receiver)
{
    return receiver->filled - receiver->parsed;
}

/* What is awaited unframed may turn out to need more, again and again; since room grows by a part
 * of what is there, each byte still moves a few times at most. */
static uint64_t raw_bytes_needed(const struct net_receiver *receiver)
{
    const uint64_t size = net_receiver_size(receiver);
    return max_u64(receiver->raw_wanted, size + size / 4);
}

/* From `parsed` on, with what has come of them. */
static uint64_t bytes_needed(const struct net_receiver *receiver)
{
    if (receiver->raw_wanted != 0)
        return raw_bytes_needed(receiver);
    return receiver->has_length ? net_receiver_length_bytes + (uint64_t)receiver->frame_length
                                : net_receiver_length_bytes;
}

/* Of the block for the bytes to come. */
static size_t wanted_size(const struct net_receiver *receiver)
{
    const uint64_t size = net_receiver_size(receiver);
    const uint64_t usual =
        receiver->is_busy ? receiver->pool->busy_bytes : net_receiver_quiet_bytes;
    const uint64_t whole = bytes_needed(receiver) + sizeof(struct net_buffer);
    if (whole <= usual)
        return usual;
    /* With the end of a frame the next ones come, so that a little more is not wasted. */
    if (whole <= net_receiver_step_bytes)
        return max_size(heap_reusable_size(whole), receiver->pool->busy_bytes);
    return min_u64(whole, max_u64(2 * size, net_receiver_step_bytes));
}

/* Whether the next receive can go into the buffer behind what is there. */
static bool has_room(const struct net_receiver *receiver)
{
    const struct net_buffer *buffer = receiver->buffer;
    if (buffer == NULL || receiver->filled == buffer->capacity)
        return false;
    if (net_receiver_size(receiver) == 0) /* Neither a scrap of room nor more than is wanted. */
        return buffer->capacity - receiver->filled >= net_receiver_quiet_bytes / 2 &&
               block_size(buffer) <= wanted_size(receiver);
    if (receiver->parsed + bytes_needed(receiver) <= buffer->capacity)
        return true;
    /* A frame that outgrows its buffer: only one that has the buffer for itself fills it first. */
    return receiver->parsed == 0 && buffer->capacity >= net_receiver_step_bytes / 2;
}

/* Nothing of it is in use any more: it can be filled from its start again. */
static bool can_start_over(const struct net_receiver *receiver)
{
    const struct net_buffer *buffer = receiver->buffer;
    return buffer != NULL && buffer->users == 1 && net_receiver_size(receiver) == 0 &&
           block_size(buffer) == wanted_size(receiver);
}

/* A large frame that has the buffer for itself. */
static bool can_grow(const struct net_receiver *receiver)
{
    const struct net_buffer *buffer = receiver->buffer;
    return buffer != NULL && buffer->users == 1 && receiver->parsed == 0 &&
           block_size(buffer) > slab_cell_bytes_max &&
           wanted_size(receiver) > net_receiver_step_bytes;
}

static bool grow(struct net_receiver *receiver)
{
    const size_t size = wanted_size(receiver);
    struct net_buffer *buffer = heap_resize(receiver->pool->heap, receiver->buffer, size);
    if (buffer == NULL)
        return false;
    buffer->capacity = (uint32_t)(size - sizeof *buffer);
    receiver->buffer = buffer;
    return true;
}

static bool move_to_new_buffer(struct net_receiver *receiver)
{
    struct net_buffer *buffer = make_buffer(receiver->pool, wanted_size(receiver));
    if (buffer == NULL)
        return false;
    const uint32_t size = net_receiver_size(receiver);
    assert(size < buffer->capacity);
    if (receiver->buffer != NULL) {
        memcpy(buffer->data, receiver->buffer->data + receiver->parsed, size);
        net_buffer_release(receiver->buffer);
    }
    receiver->buffer = buffer;
    receiver->parsed = 0;
    receiver->filled = size;
    return true;
}

bool net_receiver_reserve(struct net_receiver *receiver)
{
    assert(receiver->has_length || net_receiver_size(receiver) < bytes_needed(receiver));
    if (can_start_over(receiver)) {
        receiver->parsed = receiver->filled = 0;
        return true;
    }
    if (has_room(receiver))
        return true;
    return can_grow(receiver) ? grow(receiver) : move_to_new_buffer(receiver);
}

struct net_room net_receiver_room(const struct net_receiver *receiver)
{
    struct net_buffer *buffer = receiver->buffer;
    assert(receiver->filled < buffer->capacity);
    return (struct net_room){.data = buffer->data + receiver->filled,
                             .size = buffer->capacity - receiver->filled};
}

void net_receiver_add(struct net_receiver *receiver, size_t size)
{
    assert(size <= net_receiver_room(receiver).size);
    if (size == net_receiver_room(receiver).size)
        receiver->is_busy = true;
    else if (size < net_receiver_quiet_bytes / 2)
        receiver->is_busy = false;
    receiver->filled += (uint32_t)size;
}

bool net_receiver_read_length(const struct net_receiver *receiver, uint32_t *length)
{
    if (receiver->has_length || net_receiver_size(receiver) < net_receiver_length_bytes)
        return false;
    *length = load_u32(receiver->buffer->data + receiver->parsed);
    return true;
}

void net_receiver_expect(struct net_receiver *receiver, uint32_t length)
{
    assert(!receiver->has_length);
    receiver->has_length = true;
    receiver->frame_length = length;
}

bool net_receiver_take_frame(struct net_receiver *receiver, struct net_room *frame)
{
    if (!receiver->has_length || net_receiver_size(receiver) < bytes_needed(receiver))
        return false;
    *frame = (struct net_room){.data = receiver->buffer->data + receiver->parsed +
                                       net_receiver_length_bytes,
                               .size = receiver->frame_length};
    receiver->parsed += (uint32_t)bytes_needed(receiver);
    receiver->has_length = false;
    return true;
}

struct slice net_receiver_take_all(struct net_receiver *receiver)
{
    const uint32_t size = net_receiver_size(receiver);
    if (size == 0)
        return SLICE_NULL;
    const uint8_t *data = receiver->buffer->data + receiver->parsed;
    receiver->parsed = receiver->filled;
    return slice_of(data, size);
}

struct slice net_receiver_take_raw(struct net_receiver *receiver)
{
    if (net_receiver_size(receiver) < receiver->raw_wanted)
        return SLICE_NULL;
    receiver->raw_wanted = 0;
    return net_receiver_take_all(receiver);
}

void net_receiver_put_back(struct net_receiver *receiver, size_t size, size_t wanted)
{
    assert(!receiver->has_length && receiver->parsed == receiver->filled);
    assert(size <= receiver->parsed);
    assert(wanted == 0 || (wanted > size && wanted <= UINT32_MAX / 2));
    receiver->parsed -= (uint32_t)size;
    receiver->raw_wanted = (uint32_t)wanted;
}

void net_receiver_await_nothing(struct net_receiver *receiver)
{
    receiver->raw_wanted = 0;
}
