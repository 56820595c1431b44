#include "sim/sim_link.h"

#include "base/bytes.h"

enum { buffer_bytes_first = 4096, frame_bytes_max = 64 << 20 };

void sim_link_init(struct sim_link *link, struct io *io, struct heap *heap)
{
    *link = (struct sim_link){.io = io, .heap = heap, .handle = io_handle_none};
}

static void on_op(struct io_op *op, int64_t result)
{
    struct sim_link *link = CONTAINER_OF(op, struct sim_link, op);
    link->result = result;
    link->is_op_done = true;
}

static void on_timer(struct io_op *op, int64_t result)
{
    struct sim_link *link = CONTAINER_OF(op, struct sim_link, timer);
    (void)result;
    link->is_timer_done = true;
}

static void start(struct sim_link *link, struct io_op op)
{
    link->op = op;
    link->op.done = on_op;
    link->is_op_done = false;
    io_submit(link->io, &link->op);
}

/* Until the operation is done. False: not in time; it is still in flight. */
static bool wait(struct sim_link *link, uint64_t timeout_ns)
{
    if (link->is_op_done)
        return true;
    link->is_timer_done = false;
    link->timer = (struct io_op){
        .kind = IO_TIMER,
        .handle = io_handle_none,
        .done = on_timer,
        .timer.deadline_ns = io_now_ns(link->io) + timeout_ns,
    };
    io_submit(link->io, &link->timer);
    while (!link->is_op_done && !link->is_timer_done)
        io_run(link->io, UINT64_MAX);
    const bool in_time = link->is_op_done;
    if (!link->is_timer_done)
        io_cancel(link->io, &link->timer);
    while (!link->is_timer_done)
        io_run(link->io, UINT64_MAX);
    return in_time;
}

static void wait_for_end(struct sim_link *link)
{
    while (!link->is_op_done)
        io_run(link->io, UINT64_MAX);
}

bool sim_link_open(struct sim_link *link, struct io_address address, uint64_t timeout_ns)
{
    assert(link->handle == io_handle_none);
    start(link,
          (struct io_op){.kind = IO_CONNECT, .handle = io_handle_none, .peer.address = address});
    if (!wait(link, timeout_ns)) {
        io_cancel(link->io, &link->op);
        wait_for_end(link);
    }
    if (link->result < 0)
        return false;
    link->handle = (int32_t)link->result;
    link->begin = 0;
    link->end = 0;
    return true;
}

void sim_link_close(struct sim_link *link)
{
    if (link->handle == io_handle_none)
        return;
    io_shutdown(link->io, link->handle);
    if (link->is_receiving)
        wait_for_end(link);
    link->is_receiving = false;
    start(link, (struct io_op){.kind = IO_CLOSE, .handle = link->handle});
    wait_for_end(link);
    link->handle = io_handle_none;
}

/* Whoever sends while a receive waits uses a struct of its own. */
struct sending {
    struct io_op op;
    int64_t result;
    bool is_done;
};

static void on_sent(struct io_op *op, int64_t result)
{
    struct sending *sending = CONTAINER_OF(op, struct sending, op);
    sending->result = result;
    sending->is_done = true;
}

bool sim_link_send(struct sim_link *link, struct slice bytes, uint64_t timeout_ns)
{
    if (link->handle == io_handle_none)
        return false;
    struct iovec vector = {(void *)(uintptr_t)bytes.data, bytes.size};
    struct sending sending = {.op = {.kind = IO_SEND,
                                     .handle = link->handle,
                                     .done = on_sent,
                                     .write = {.vectors = &vector, .vector_count = 1}}};
    const uint64_t deadline_ns = io_now_ns(link->io) + timeout_ns;
    io_submit(link->io, &sending.op);
    while (!sending.is_done) {
        const uint64_t now_ns = io_now_ns(link->io);
        if (now_ns >= deadline_ns)
            io_shutdown(link->io, link->handle);
        io_run(link->io, now_ns >= deadline_ns ? UINT64_MAX : deadline_ns - now_ns);
    }
    if (sending.result == (int64_t)bytes.size)
        return true;
    sim_link_close(link);
    return false;
}

static void make_room(struct sim_link *link, size_t size)
{
    if (link->end > link->begin)
        memmove(link->buffer, link->buffer + link->begin, link->end - link->begin);
    link->end -= link->begin;
    link->begin = 0;
    if (size <= link->capacity)
        return;
    link->capacity = size;
    link->buffer = heap_resize(link->heap, link->buffer, size);
    assert(link->buffer != NULL);
}

/* More bytes into the buffer. */
static bool receive_some(struct sim_link *link, uint64_t timeout_ns)
{
    if (!link->is_receiving) {
        start(link, (struct io_op){.kind = IO_RECV,
                                   .handle = link->handle,
                                   .read = {.data = link->buffer + link->end,
                                            .size = link->capacity - link->end}});
        link->is_receiving = true;
    }
    if (!wait(link, timeout_ns))
        return false;
    link->is_receiving = false;
    if (link->result <= 0) {
        sim_link_close(link);
        return false;
    }
    link->end += (size_t)link->result;
    return true;
}

bool sim_link_receive(struct sim_link *link, struct slice *frame, uint64_t timeout_ns)
{
    const uint64_t deadline_ns = io_now_ns(link->io) + timeout_ns;
    while (link->handle != io_handle_none) {
        const size_t size = link->end - link->begin;
        const size_t length = size < 4 ? 0 : load_u32(link->buffer + link->begin);
        assert(length <= frame_bytes_max);
        if (size >= 4 && size - 4 >= length) {
            *frame = slice_of(link->buffer + link->begin + 4, length);
            link->begin += 4 + length;
            return true;
        }
        if (!link->is_receiving)
            make_room(link, max_size(buffer_bytes_first, 4 + length));
        const uint64_t now_ns = io_now_ns(link->io);
        if (now_ns >= deadline_ns || !receive_some(link, deadline_ns - now_ns))
            return false;
    }
    return false;
}

void sim_link_sleep(struct sim_link *link, uint64_t time_ns)
{
    struct io_op op = {.kind = IO_TIMER,
                       .handle = io_handle_none,
                       .timer.deadline_ns = io_now_ns(link->io) + time_ns};
    const int64_t result = io_wait(link->io, &op);
    (void)result;
}
