/* Waits with an end: one timer of the io for any number of deadlines.
 *
 * Memory: the waits are fields of whoever waits. Shard: one owner.
 */
#ifndef SERVER_BROKER_DELAY_QUEUE_H
#define SERVER_BROKER_DELAY_QUEUE_H

#include "base/deadline_queue.h"
#include "io/io.h"

/* A wait. The owner sets expired. */
struct delay {
    struct deadline deadline; /* In nanoseconds of io_now_ns. */
    void (*expired)(struct delay *delay);
};

struct delay_queue {
    struct io *io;
    struct deadline_queue deadlines;
    struct io_op timer;
    uint64_t timer_at_ns;
    bool is_armed;
    bool is_stopping;
    void (*stopped)(struct delay_queue *queue);
};

void delay_queue_init(struct delay_queue *queue, struct io *io);

/* No delay expires any more; stopped runs once the timer is at rest, maybe within this call. */
void delay_queue_stop(struct delay_queue *queue, void (*stopped)(struct delay_queue *queue));

/* Keeps delay until it expires or is removed; starts it anew if it is running. */
void delay_queue_add(struct delay_queue *queue, struct delay *delay, uint64_t wait_ms);

/* It will not expire. Nothing happens if it is not running. */
void delay_queue_remove(struct delay_queue *queue, struct delay *delay);

static inline bool delay_is_running(const struct delay *delay)
{
    return delay->deadline.is_queued;
}

#endif
