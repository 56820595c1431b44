/* Tells watchers the events that they are owed, some in each round of the loop, while a write has
 * fired more watches than one round should pay for.
 *
 * Memory: embedded. Shard: the server's.
 */
#ifndef SERVER_KEEPER_EVENT_TASK_H
#define SERVER_KEEPER_EVENT_TASK_H

#include "io/io.h"

struct keeper_server;

enum { event_task_count_max = 2048 }; /* Watches in one round: a millisecond or two. */

struct event_task {
    struct keeper_server *server;
    uint64_t count_max;
    struct io_op op; /* A timer for the next round. */
    bool is_running; /* In flight. */
};

void event_task_init(struct event_task *task, struct keeper_server *server);

/* A new round: so many events may be told at once. */
void event_task_begin(struct event_task *task);

/* Transactions were applied: goes on later if something is owed. */
void event_task_start(struct event_task *task);

static inline bool event_task_is_idle(const struct event_task *task)
{
    return !task->is_running;
}

#endif
