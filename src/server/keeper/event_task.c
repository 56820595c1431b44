#include "server/keeper/event_task.h"

#include "server/keeper/client_link.h"
#include "server/keeper/keeper_server.h"

void event_task_init(struct event_task *task, struct keeper_server *server)
{
    *task = (struct event_task){.server = server, .count_max = event_task_count_max};
}

void event_task_begin(struct event_task *task)
{
    keeper_set_event_budget(&task->server->keeper, task->count_max);
}

static void submit(struct event_task *task);

static void on_turn(struct io_op *op, int64_t result)
{
    struct event_task *task = CONTAINER_OF(op, struct event_task, op);
    struct keeper_server *server = task->server;
    (void)result;
    task->is_running = false;
    const bool has_more = keeper_tell_some(&server->keeper, task->count_max, &server->sink);
    client_link_close_doomed(server);
    if (has_more)
        submit(task);
    else
        keeper_server_pump_stop(server);
}

static void submit(struct event_task *task)
{
    task->is_running = true;
    task->op = (struct io_op){.kind = IO_TIMER,
                              .handle = io_handle_none,
                              .done = on_turn,
                              .timer.deadline_ns = io_next_round_ns(task->server->shard->io)};
    io_submit(task->server->shard->io, &task->op);
}

void event_task_start(struct event_task *task)
{
    if (!task->is_running && keeper_owes_events(&task->server->keeper))
        submit(task);
}
