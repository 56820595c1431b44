#include "sim/sim_node.h"

#include "sim/sim_net.h"

#include <errno.h>
#include <stdio.h>

static const size_t node_heap_limit_default = (size_t)256 << 20;
static const uint64_t ns_per_ms = 1000000;
static const uint64_t timer_lateness_ns_max = 50000;
static const uint64_t round_ns_max = 20000;
static const int64_t wall_ms_at_boot = 1790000000000; /* Some day in 2026. */

static struct sim_node *node_of(struct io *io)
{
    return CONTAINER_OF(io, struct sim_io, io)->node;
}

/* ---- The clock. ---- */

static uint64_t clock_ns(const struct sim_node *node)
{
    const uint64_t passed = node->sim->now_ns - node->boot_ns;
    const int64_t drift = (int64_t)(passed / 1000000) * node->drift_ppm;
    return node->boot_clock_ns + passed + (uint64_t)drift;
}

/* World time until the node's clock shows clock: a little more rather than less. */
static uint64_t world_ns_until(const struct sim_node *node, uint64_t clock)
{
    const uint64_t now = clock_ns(node);
    if (clock <= now)
        return 0;
    const uint64_t wait = clock - now;
    if (wait > UINT64_MAX / 4)
        return UINT64_MAX / 4;
    return node->drift_ppm < 0 ? wait + (wait / 1000000 + 1) * (uint64_t)-node->drift_ppm : wait;
}

static uint64_t world_now_ns(struct io *io)
{
    return clock_ns(node_of(io));
}

static int64_t world_wall_ms(struct io *io)
{
    const struct sim_node *node = node_of(io);
    return wall_ms_at_boot + (int64_t)(node->sim->now_ns / ns_per_ms) + node->wall_offset_ms;
}

void sim_node_jump_wall(struct sim_node *node, int64_t by_ms)
{
    node->wall_offset_ms += by_ms;
}

/* ---- Handles: the lowest free number, so that a stale one soon means something else. ---- */

int32_t sim_node_handle_take(struct sim_node *node, struct sim_handle handle)
{
    const uint64_t limit =
        node->handle_count_max == 0 ? sim_handle_count_max : node->handle_count_max;
    for (uint32_t index = 0; index < limit; index++) {
        if (index == node->handle_count) {
            node->handle_count = node->handle_count == 0 ? 64 : node->handle_count * 2;
            node->handles = heap_resize(&node->sim->heap, node->handles,
                                        node->handle_count * sizeof *node->handles);
            assert(node->handles != NULL);
            memset(node->handles + index, 0, (node->handle_count - index) * sizeof *node->handles);
        }
        if (node->handles[index].kind != SIM_HANDLE_NONE)
            continue;
        node->handles[index] = handle;
        return (int32_t)index;
    }
    return -EMFILE;
}

struct sim_handle *sim_node_handle(struct sim_node *node, int32_t handle)
{
    /* The kernel would say EBADF; here it is a bug of the process. */
    assert(handle >= 0 && (uint32_t)handle < node->handle_count);
    assert(node->handles[handle].kind != SIM_HANDLE_NONE);
    return &node->handles[handle];
}

bool sim_node_has_open(const struct sim_node *node, const struct sim_inode *inode)
{
    for (uint32_t index = 0; index < node->handle_count; index++)
        if (node->handles[index].kind == SIM_HANDLE_FILE && node->handles[index].inode == inode)
            return true;
    return false;
}

/* ---- Running. ---- */

static void happen_resume(struct sim *sim, const struct sim_event *event);

/* The process has something to do, after what it did last. */
static void schedule_resume(struct sim_node *node)
{
    if (node->is_resume_scheduled || node->state != SIM_NODE_WAITING)
        return;
    node->is_resume_scheduled = true;
    sim_schedule(node->sim, 1 + prng_below(&node->sim->prng, round_ns_max),
                 (struct sim_event){.happen = happen_resume, .node = node});
}

static void end_process(struct sim_node *node, enum sim_node_end end)
{
    node->state = SIM_NODE_DOWN;
    node->end = end;
    node->incarnation++;
    node->is_resume_scheduled = false;
    sim_trace(node->sim, node->index, 1000 + (uint64_t)end, 0);
    while (!list_empty(&node->in_flight)) {
        struct list *link = list_pop(&node->in_flight);
        struct sim_pending *pending = CONTAINER_OF(link, struct sim_pending, link);
        if (pending->is_disk)
            sim_disk_settle(&node->disk, pending);
        list_push(&node->free_pending, link);
    }
    list_splice(&node->free_pending, &node->ready);
    sim_net_end_node(node->sim->net, node, end == SIM_NODE_LOST_POWER);
    if (node->handle_count > 0)
        memset(node->handles, 0, node->handle_count * sizeof *node->handles);
    heap_deinit(&node->heap);
}

static void run_process(void *argument)
{
    struct sim_node *node = argument;
    node->process(node, node->argument);
}

/* Lets the process run until it waits or ends. */
static void resume(struct sim_node *node)
{
    struct sim *sim = node->sim;
    sim->running = node;
    node->state = SIM_NODE_RUNNING;
    sim->counters.rounds++;
    sim_fiber_resume(&node->fiber);
    sim->running = NULL;
    if (!node->fiber.is_alive)
        end_process(node, node->end == SIM_NODE_NOT_ENDED ? SIM_NODE_RETURNED : node->end);
}

static void happen_resume(struct sim *sim, const struct sim_event *event)
{
    (void)sim;
    event->node->is_resume_scheduled = false;
    resume(event->node);
}

static void happen_wait_over(struct sim *sim, const struct sim_event *event)
{
    (void)sim;
    struct sim_node *node = event->node;
    if (node->wait_number == event->number && node->state == SIM_NODE_WAITING &&
        !node->is_resume_scheduled)
        resume(node);
}

/* Hands the results over. Those that come meanwhile wait for the next round. */
static void deliver(struct sim_node *node)
{
    struct list round;
    list_init(&round);
    list_splice(&round, &node->ready);
    for (struct list *link = list_pop(&round); link != NULL; link = list_pop(&round)) {
        struct sim_pending *pending = CONTAINER_OF(link, struct sim_pending, link);
        struct io_op *op = pending->op;
        const int64_t result = pending->result;
        list_push(&node->free_pending, link);
        node->io->completed_count++;
        op->done(op, result);
    }
}

/* Outside of any process: the world runs until this node has something, or the wait is over. */
static void run_outside(struct sim_node *node, uint64_t wait_ns)
{
    struct sim *sim = node->sim;
    const uint64_t until = wait_ns > UINT64_MAX - sim->now_ns ? UINT64_MAX : sim->now_ns + wait_ns;
    while (list_empty(&node->ready) && !node->is_woken) {
        if (sim->event_count == 0 || sim->events[0].time_ns > until) {
            assert(until != UINT64_MAX); /* Waiting for what never comes. */
            sim->now_ns = max_u64(sim->now_ns, until);
            break;
        }
        sim_step(sim);
    }
    node->is_woken = false;
    deliver(node);
}

static void world_run(struct io *io, uint64_t wait_ns)
{
    struct sim_node *node = node_of(io);
    if (node->sim->running == NULL) {
        run_outside(node, wait_ns);
        return;
    }
    assert(node->sim->running == node);
    node->state = SIM_NODE_WAITING;
    node->wait_number++;
    if (!list_empty(&node->ready) || node->is_woken || wait_ns == 0) {
        schedule_resume(node);
    } else if (wait_ns != UINT64_MAX) {
        const uint64_t wait = world_ns_until(node, clock_ns(node) + wait_ns);
        sim_schedule(node->sim, max_u64(wait, 1),
                     (struct sim_event){
                         .happen = happen_wait_over, .node = node, .number = node->wait_number});
    }
    sim_fiber_yield(&node->fiber);
    node->is_woken = false;
    deliver(node);
}

static void world_wake(struct io *io)
{
    struct sim_node *node = node_of(io);
    node->is_woken = true;
    schedule_resume(node);
}

void sim_node_complete(struct sim_pending *pending, int64_t result)
{
    struct sim_node *node = pending->node;
    struct sim *sim = node->sim;
    sim->counters.operations++;
    sim_trace(sim, node->index, (uint64_t)pending->op->kind, (uint64_t)result);
    if (sim->options.is_traced) {
        char line[96];
        const int size = snprintf(line, sizeof line, "op %d handle %d result %lld",
                                  (int)pending->op->kind, pending->op->handle, (long long)result);
        sim_note(sim, node, slice_of(line, (size_t)size));
    }
    pending->number = 0;
    pending->result = result;
    list_remove(&pending->link);
    list_push(&node->ready, &pending->link);
    schedule_resume(node);
}

/* ---- Operations. ---- */

static void happen_completed(struct sim *sim, const struct sim_event *event)
{
    struct sim_pending *pending = event->subject;
    (void)sim;
    if (pending->number == event->number)
        sim_node_complete(pending, pending->result);
}

void sim_node_complete_later(struct sim_pending *pending, uint64_t delay_ns, int64_t result)
{
    struct sim *sim = pending->node->sim;
    pending->result = result;
    pending->number = sim->sequence + 1;
    sim_schedule(sim, delay_ns,
                 (struct sim_event){.happen = happen_completed,
                                    .node = pending->node,
                                    .subject = pending,
                                    .number = pending->number});
}

static void submit_timer(struct sim_node *node, struct sim_pending *pending)
{
    const uint64_t wait = world_ns_until(node, pending->op->timer.deadline_ns);
    sim_node_complete_later(pending, wait + prng_below(&node->sim->prng, timer_lateness_ns_max), 0);
}

static struct sim_pending *take_pending(struct sim_node *node, struct io_op *op)
{
    struct list *link = list_pop(&node->free_pending);
    struct sim_pending *pending = link == NULL ? heap_take_zeroed(&node->sim->heap, sizeof *pending)
                                               : CONTAINER_OF(link, struct sim_pending, link);
    assert(pending != NULL);
    *pending = (struct sim_pending){.op = op, .node = node};
    list_push(&node->in_flight, &pending->link);
    return pending;
}

static void world_submit(struct io *io, struct io_op *op)
{
    struct sim_node *node = node_of(io);
    assert(node->sim->running == node || node->sim->running == NULL);
    struct sim_pending *pending = take_pending(node, op);
    op->world[0] = (uint64_t)(uintptr_t)pending;
    switch (op->kind) {
    case IO_TIMER: submit_timer(node, pending); return;
    case IO_ACCEPT:
    case IO_CONNECT:
    case IO_RECV:
    case IO_SEND:
    case IO_SEND_FILE: sim_net_submit(node->sim->net, pending); return;
    case IO_CLOSE:
        if (sim_node_handle(node, op->handle)->kind == SIM_HANDLE_SOCKET) {
            sim_net_submit(node->sim->net, pending);
            return;
        }
        break;
    case IO_OPEN:
    case IO_READ:
    case IO_WRITE:
    case IO_SYNC:
    case IO_ALLOCATE:
    case IO_TRUNCATE:
    case IO_RENAME:
    case IO_UNLINK:
    case IO_MKDIR: break;
    }
    pending->is_disk = true;
    sim_disk_submit(&node->disk, pending);
}

/* Only an operation that is not done yet is called off; done runs in a later round. */
static void world_cancel(struct io *io, struct io_op *op)
{
    struct sim_node *node = node_of(io);
    struct sim_pending *pending = (struct sim_pending *)(uintptr_t)op->world[0];
    bool is_in_flight = false;
    list_each (link, &node->in_flight)
        is_in_flight |= link == &pending->link;
    if (!is_in_flight || pending->op != op || pending->is_disk || pending->is_decided)
        return;
    sim_net_forget(node->sim->net, pending);
    sim_node_complete_later(pending, 1 + prng_below(&node->sim->prng, 1000), -ECANCELED);
}

static void world_entropy(struct io *io, void *out, size_t size)
{
    struct sim_node *node = node_of(io);
    uint8_t *bytes = out;
    for (size_t at = 0; at < size; at++)
        bytes[at] = (uint8_t)prng_next(&node->entropy);
}

static int32_t world_listen(struct io *io, struct io_address *address, uint32_t backlog)
{
    struct sim_node *node = node_of(io);
    return sim_net_listen(node->sim->net, node, address, backlog);
}

static void world_shutdown(struct io *io, int32_t handle)
{
    struct sim_node *node = node_of(io);
    sim_net_shutdown(node->sim->net, sim_node_handle(node, handle)->socket);
}

static int world_resolve(struct io *io, const char *host, uint16_t port, struct io_address *out)
{
    return sim_net_resolve(node_of(io)->sim->net, host, port, out);
}

static int world_list_directory(struct io *io, const char *path,
                                void (*entry)(void *context, const char *name), void *context)
{
    return sim_disk_list(&node_of(io)->disk, path, entry, context);
}

static int world_file_info(struct io *io, const char *path, struct io_file_info *out)
{
    return sim_disk_info(&node_of(io)->disk, path, out);
}

static int world_lock(struct io *io, int32_t handle)
{
    struct sim_node *node = node_of(io);
    struct sim_handle *locked = sim_node_handle(node, handle);
    for (uint32_t index = 0; index < node->handle_count; index++) {
        const struct sim_handle *other = &node->handles[index];
        if (other != locked && other->kind == SIM_HANDLE_FILE && other->is_locked &&
            other->inode == locked->inode)
            return -EBUSY;
    }
    locked->is_locked = true;
    return 0;
}

static uint64_t world_disk_free_bytes(struct io *io, const char *path)
{
    (void)path;
    return sim_disk_free_bytes(&node_of(io)->disk);
}

static void world_fatal(struct io *io, const char *line)
{
    struct sim_node *node = node_of(io);
    snprintf(node->fatal_line, sizeof node->fatal_line, "%s", line);
    sim_note(node->sim, node, slice_from_text(node->fatal_line));
    node->sim->counters.fatals++;
    assert(node->sim->running == node);
    node->end = SIM_NODE_FATAL;
    sim_fiber_leave(&node->fiber);
}

static void world_deinit(struct io *io)
{
    (void)io;
}

static const struct io_world simulated_world = {
    .name = "simulated",
    .submit = world_submit,
    .cancel = world_cancel,
    .run = world_run,
    .wake = world_wake,
    .now_ns = world_now_ns,
    .wall_ms = world_wall_ms,
    .entropy = world_entropy,
    .listen = world_listen,
    .shutdown = world_shutdown,
    .resolve = world_resolve,
    .list_directory = world_list_directory,
    .file_info = world_file_info,
    .lock = world_lock,
    .disk_free_bytes = world_disk_free_bytes,
    .fatal = world_fatal,
    .deinit = world_deinit,
};

/* ---- Life and death. ---- */

static void write_diag(struct diag *diag, enum diag_level level, struct slice line)
{
    struct sim_node *node = CONTAINER_OF(diag, struct sim_diag, diag)->node;
    (void)level;
    sim_note(node->sim, node, line);
}

static void reset_process(struct sim_node *node)
{
    const size_t limit = node->sim->options.node_heap_limit_bytes;
    heap_init(&node->heap,
              (struct heap_options){.limit_bytes = limit == 0 ? node_heap_limit_default : limit,
                                    .tracked = true});
    const uint32_t drift_max = node->sim->faults.clock_drift_ppm_max;
    node->boot_ns = node->sim->now_ns;
    node->boot_clock_ns = 1000000000u + prng_below(&node->sim->prng, 1000000000000u);
    node->drift_ppm =
        drift_max == 0
            ? 0
            : (int64_t)prng_below(&node->sim->prng, 2 * (uint64_t)drift_max) - (int64_t)drift_max;
    node->end = SIM_NODE_NOT_ENDED;
    node->is_woken = false;
    node->fatal_line[0] = 0;
}

struct sim_node *sim_node_make(struct sim *sim, uint32_t index)
{
    struct sim_node *node = heap_take_zeroed(&sim->heap, sizeof *node);
    assert(node != NULL);
    node->sim = sim;
    node->index = index;
    snprintf(node->name, sizeof node->name, "node%u", index);
    node->sim_io = (struct sim_io){.io.world = &simulated_world, .node = node};
    node->sim_diag = (struct sim_diag){.diag.write = write_diag, .node = node};
    node->io = &node->sim_io.io;
    node->diag = &node->sim_diag.diag;
    list_init(&node->in_flight);
    list_init(&node->ready);
    list_init(&node->free_pending);
    prng_init(&node->entropy, prng_next(&sim->prng));
    sim_disk_init(&node->disk, node, prng_next(&sim->prng));
    reset_process(node);
    return node;
}

void sim_node_unmake(struct sim_node *node)
{
    sim_fiber_deinit(&node->fiber);
    heap_deinit(&node->heap);
}

bool sim_node_is_up(const struct sim_node *node)
{
    return node->state != SIM_NODE_DOWN;
}

static void happen_start(struct sim *sim, const struct sim_event *event)
{
    (void)sim;
    event->node->is_resume_scheduled = false;
    resume(event->node);
}

void sim_node_start(struct sim_node *node, void (*process)(struct sim_node *node, void *argument),
                    void *argument)
{
    assert(node->state == SIM_NODE_DOWN);
    heap_deinit(&node->heap); /* What a test left there, outside of any process. */
    reset_process(node);
    node->process = process;
    node->argument = argument;
    node->state = SIM_NODE_WAITING;
    node->is_resume_scheduled = true;
    node->sim->counters.starts++;
    sim_fiber_start(&node->fiber, run_process, node);
    sim_schedule(node->sim, 1, (struct sim_event){.happen = happen_start, .node = node});
}

static void kill_process(struct sim_node *node, enum sim_node_end end)
{
    assert(node->sim->running == NULL); /* From outside only. */
    end_process(node, end);
}

void sim_node_kill(struct sim_node *node)
{
    node->sim->counters.kills++;
    kill_process(node, SIM_NODE_KILLED);
}

void sim_node_lose_power(struct sim_node *node, enum sim_loss loss)
{
    node->sim->counters.power_losses++;
    kill_process(node, SIM_NODE_LOST_POWER);
    sim_disk_lose_power(&node->disk, loss);
}

struct waiting_for_end {
    struct sim_node *node;
};

static bool is_down(void *context)
{
    return !sim_node_is_up(((struct waiting_for_end *)context)->node);
}

bool sim_node_wait(struct sim_node *node, uint64_t time_ns)
{
    struct waiting_for_end waiting = {.node = node};
    return sim_run(node->sim, time_ns, is_down, &waiting);
}

void sim_crash_at(struct sim_node *node, uint64_t boundary, enum sim_loss loss)
{
    node->disk.crash_boundary = boundary == 0 ? 0 : node->disk.boundary_count + boundary;
    node->disk.crash_loss = loss;
}
