#include "server/broker/delay_queue.h"

#include "base/assert.h"
#include "base/macros.h"

enum { ns_per_ms = 1000000 };

static void on_timer(struct io_op *op, int64_t result);

/* The timer ends at the earliest deadline or before; it is cancelled only when it would be late. */
static void arm(struct delay_queue *queue)
{
    const struct deadline *first = deadline_queue_first(&queue->deadlines);
    if (first == NULL || queue->is_stopping)
        return;
    if (queue->is_armed) {
        if (first->at < queue->timer_at_ns) {
            queue->timer_at_ns = first->at;
            io_cancel(queue->io, &queue->timer);
        }
        return;
    }
    queue->is_armed = true;
    queue->timer_at_ns = first->at;
    queue->timer = (struct io_op){.kind = IO_TIMER, .done = on_timer};
    queue->timer.timer.deadline_ns = first->at;
    io_submit(queue->io, &queue->timer);
}

static void on_timer(struct io_op *op, int64_t result)
{
    struct delay_queue *queue = CONTAINER_OF(op, struct delay_queue, timer);
    (void)result;
    queue->is_armed = false;
    if (queue->is_stopping) {
        queue->stopped(queue);
        return;
    }
    const uint64_t now_ns = io_now_ns(queue->io);
    struct deadline *due;
    while ((due = deadline_queue_pop(&queue->deadlines, now_ns)) != NULL) {
        struct delay *delay = CONTAINER_OF(due, struct delay, deadline);
        delay->expired(delay);
    }
    arm(queue);
}

void delay_queue_init(struct delay_queue *queue, struct io *io)
{
    *queue = (struct delay_queue){.io = io};
    deadline_queue_init(&queue->deadlines);
}

void delay_queue_stop(struct delay_queue *queue, void (*stopped)(struct delay_queue *queue))
{
    assert(!queue->is_stopping);
    queue->is_stopping = true;
    queue->stopped = stopped;
    if (queue->is_armed)
        io_cancel(queue->io, &queue->timer);
    else
        stopped(queue);
}

void delay_queue_add(struct delay_queue *queue, struct delay *delay, uint64_t wait_ms)
{
    assert(delay->expired != NULL);
    deadline_queue_remove(&queue->deadlines, &delay->deadline);
    const uint64_t wait_ns = min_u64(wait_ms, UINT64_MAX / ns_per_ms / 4) * ns_per_ms;
    deadline_queue_add(&queue->deadlines, &delay->deadline, io_now_ns(queue->io) + wait_ns);
    arm(queue);
}

void delay_queue_remove(struct delay_queue *queue, struct delay *delay)
{
    deadline_queue_remove(&queue->deadlines, &delay->deadline);
}
