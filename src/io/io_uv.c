#define _GNU_SOURCE
#include "io/io_uv.h"

#include "base/pool.h"
#include "io/eager_write.h"
#include "io/io_posix.h"
#include "io/send_file.h"
#include "io/timer_heap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum {
    job_count_max = 128, /* File operations in the thread pool at once; more wait in a list. */
    socket_count_first = 64,
    warm_step_bytes = 32 * 1024,
};

struct uv {
    struct io io;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t wait_limit;
    struct heap *heap;
    struct diag *diag;
    struct timer_heap timers;
    struct eager_write eager;
    struct list ready;          /* Ops to attempt, or to finish, in the next run. */
    struct list jobs_waiting;   /* File ops for which no job was free. */
    struct pool jobs;           /* Of struct job. */
    struct uv_socket **sockets; /* [socket_capacity], by handle; NULL: no socket of ours. */
    uint32_t socket_capacity;
    uint64_t now_ns;
    int spare_handle; /* See io_posix_shed. */
    bool is_ending;   /* No done runs any more. */
};

/* A socket that is known to libuv. It has at most one op in each direction. */
struct uv_socket {
    uv_poll_t poll;
    struct uv *uv;
    struct io_op *input;  /* ACCEPT or RECV. */
    struct io_op *output; /* CONNECT, SEND or SEND_FILE. */
    int events;           /* What libuv watches for. */
    bool may_have_input;  /* Worth an attempt without waiting for libuv. */
};

/* A file operation in the thread pool. */
struct job {
    uv_work_t work;
    struct uv *uv;
    struct io_op *op;
    int64_t result;
};

/* The world's part of an op. */
struct __attribute__((may_alias)) slot {
    union {
        struct send_file send_file; /* SEND_FILE */
        struct timer_node timer;    /* TIMER */
        int socket;                 /* CONNECT */
    };
    int64_t result;
    bool is_finished; /* In the list `ready`: result is known. */
};

_Static_assert(sizeof(struct slot) <= sizeof(((struct io_op *)0)->world), "an op has this room");

static struct slot *slot_of(struct io_op *op)
{
    return (struct slot *)(void *)op->world;
}

static struct io_op *op_of(struct timer_node *timer)
{
    struct slot *slot = CONTAINER_OF(timer, struct slot, timer);
    return CONTAINER_OF(slot, struct io_op, world);
}

static struct uv *uv_of(struct io *io)
{
    return CONTAINER_OF(io, struct uv, io);
}

static void finish(struct uv *uv, struct io_op *op, int64_t result)
{
    uv->io.completed_count++;
    op->done(op, result);
}

/* For a result that is known when done must not run. */
static void finish_later(struct uv *uv, struct io_op *op, int64_t result)
{
    slot_of(op)->result = result;
    slot_of(op)->is_finished = true;
    list_push(&uv->ready, &op->link);
}

static int64_t result_of(ssize_t returned)
{
    return returned < 0 ? -errno : returned;
}

/* Files: this part runs in the thread pool and touches nothing but its op. */

static int64_t warm_range(struct io_op *op)
{
    uint8_t bytes[warm_step_bytes];
    const struct send_file_range range = send_file_cold_range(&slot_of(op)->send_file, op);
    for (uint64_t at = 0; at < range.size; at += warm_step_bytes) {
        const ssize_t size =
            pread(op->send_file.file, bytes, sizeof bytes, (off_t)(range.offset + at));
        if (size < 0 && errno != EINTR)
            return -errno;
    }
    return 0;
}

static int64_t act_on_file(struct io_op *op)
{
    int64_t result = -EINVAL;
    if (op->kind == IO_SEND_FILE)
        return warm_range(op);
    const bool is_done = io_posix_act(op, &result);
    assert(is_done);
    return result;
}

static void run_job(uv_work_t *work)
{
    struct job *job = CONTAINER_OF(work, struct job, work);
    job->result = act_on_file(job->op);
}

/* From here on everything runs on the loop's thread. */

static void after_job(uv_work_t *work, int status);

static void start_job(struct uv *uv, struct io_op *op)
{
    struct job *job = pool_acquire(&uv->jobs);
    if (job == NULL) {
        list_push(&uv->jobs_waiting, &op->link);
        return;
    }
    job->uv = uv;
    job->op = op;
    const int failed = uv_queue_work(&uv->loop, &job->work, run_job, after_job);
    assert(failed == 0);
}

static void after_job(uv_work_t *work, int status)
{
    struct job *job = CONTAINER_OF(work, struct job, work);
    struct uv *uv = job->uv;
    struct io_op *op = job->op;
    const int64_t result = status == 0 ? job->result : status;
    uv->eager.sync_count -= op->kind == IO_SYNC;
    pool_release(&uv->jobs, job);
    struct list *waiting = list_pop(&uv->jobs_waiting);
    if (uv->is_ending)
        return;
    if (waiting != NULL)
        start_job(uv, CONTAINER_OF(waiting, struct io_op, link));

    if (op->kind != IO_SEND_FILE) {
        finish_later(uv, op, result);
        return;
    }
    slot_of(op)->send_file.is_warmed =
        true; /* A range that cannot be read fails when it is sent. */
    list_push(&uv->ready, &op->link);
}

/* The table of sockets. */

static struct uv_socket *socket_of(struct uv *uv, int32_t handle)
{
    if (handle < 0 || (uint32_t)handle >= uv->socket_capacity)
        return NULL;
    return uv->sockets[handle];
}

static int reserve_table(struct uv *uv, uint32_t handle)
{
    if (handle < uv->socket_capacity)
        return 0;
    uint32_t capacity = uv->socket_capacity == 0 ? socket_count_first : uv->socket_capacity;
    while (capacity <= handle)
        capacity *= 2;
    struct uv_socket **sockets =
        heap_resize(uv->heap, uv->sockets, capacity * sizeof(*uv->sockets));
    if (sockets == NULL)
        return -ENOMEM;
    for (uint32_t index = uv->socket_capacity; index < capacity; index++)
        sockets[index] = NULL;
    uv->sockets = sockets;
    uv->socket_capacity = capacity;
    return 0;
}

/* 0 or a negative errno. The handle stays the caller's. */
static int add_socket(struct uv *uv, int32_t handle)
{
    if (reserve_table(uv, (uint32_t)handle) != 0)
        return -ENOMEM;
    struct uv_socket *socket = heap_take_zeroed(uv->heap, sizeof *socket);
    if (socket == NULL)
        return -ENOMEM;
    const int result = uv_poll_init(&uv->loop, &socket->poll, handle);
    if (result != 0) {
        heap_give(uv->heap, socket);
        return result;
    }
    socket->uv = uv;
    assert(uv->sockets[handle] == NULL);
    uv->sockets[handle] = socket;
    return 0;
}

/* The same, but a failure closes the handle. The handle or a negative errno. */
static int32_t adopt_socket(struct uv *uv, int32_t handle)
{
    const int result = add_socket(uv, handle);
    if (result == 0)
        return handle;
    close(handle);
    return result;
}

static void after_close(uv_handle_t *handle)
{
    struct uv_socket *socket = CONTAINER_OF((uv_poll_t *)(void *)handle, struct uv_socket, poll);
    heap_give(socket->uv->heap, socket);
}

static void remove_socket(struct uv *uv, int32_t handle)
{
    struct uv_socket *socket = uv->sockets[handle];
    uv->sockets[handle] = NULL;
    uv_close((uv_handle_t *)&socket->poll, after_close);
}

/* Readiness. */

static void on_ready(uv_poll_t *poll, int status, int events);

static void watch(struct uv_socket *socket, int events)
{
    if (socket->events == events)
        return;
    socket->events = events;
    const int failed =
        events == 0 ? uv_poll_stop(&socket->poll) : uv_poll_start(&socket->poll, events, on_ready);
    assert(failed == 0);
}

static void go_on_later(struct uv *uv, struct io_op *op)
{
    if (!list_linked(&op->link))
        list_push(&uv->ready, &op->link);
}

/* Input stays watched after an op has taken it, since the next op usually comes before the next
 * bytes; output is watched only while an op is blocked on it. */
static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct uv_socket *socket = CONTAINER_OF(poll, struct uv_socket, poll);
    if (status != 0) { /* libuv has stopped watching; the attempts will say what is wrong. */
        events = socket->events;
        socket->events = 0;
    }
    if ((events & UV_WRITABLE) != 0) {
        watch(socket, socket->events & ~UV_WRITABLE);
        if (socket->output != NULL)
            go_on_later(socket->uv, socket->output);
    }
    if ((events & UV_READABLE) == 0)
        return;
    socket->may_have_input = true;
    if (socket->input != NULL)
        go_on_later(socket->uv, socket->input);
    else
        watch(socket, socket->events & ~UV_READABLE);
}

static void wait_for_input(struct uv_socket *socket)
{
    socket->may_have_input = false;
    watch(socket, socket->events | UV_READABLE);
}

static void wait_for_output(struct uv_socket *socket)
{
    watch(socket, socket->events | UV_WRITABLE);
}

static void finish_input(struct uv_socket *socket, int64_t result)
{
    struct io_op *op = socket->input;
    socket->input = NULL;
    finish(socket->uv, op, result);
}

static void finish_output(struct uv_socket *socket, int64_t result)
{
    struct io_op *op = socket->output;
    socket->output = NULL;
    finish(socket->uv, op, result);
}

static void attempt_accept(struct uv_socket *socket)
{
    struct uv *uv = socket->uv;
    struct io_op *op = socket->input;
    union io_posix_address address;
    socklen_t size = sizeof address;
    const int handle = accept4(op->handle, &address.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (handle >= 0) {
        io_posix_address_decode(&address, &op->peer.address);
        finish_input(socket, adopt_socket(uv, handle));
        return;
    }
    if (errno == EAGAIN || errno == EINTR) {
        wait_for_input(socket);
        return;
    }
    const int error = -errno;
    if (error == -EMFILE || error == -ENFILE)
        io_posix_shed(op->handle, &uv->spare_handle);
    finish_input(socket, error);
}

static void attempt_recv(struct uv_socket *socket)
{
    struct io_op *op = socket->input;
    const int64_t result = result_of(recv(op->handle, op->read.data, op->read.size, 0));
    if (result == -EAGAIN || result == -EINTR) {
        wait_for_input(socket);
        return;
    }
    /* A short read has emptied the socket: the next attempt can wait for libuv's word. */
    socket->may_have_input = result == (int64_t)op->read.size;
    finish_input(socket, result);
}

static void attempt_connect(struct uv_socket *socket)
{
    struct io_op *op = socket->output;
    const int32_t handle = slot_of(op)->socket;
    int error = 0;
    socklen_t size = sizeof error;
    const int failed = getsockopt(handle, SOL_SOCKET, SO_ERROR, &error, &size);
    assert(failed == 0);
    if (error == 0) {
        finish_output(socket, handle);
        return;
    }
    socket->output = NULL;
    remove_socket(socket->uv, handle);
    close(handle);
    finish(socket->uv, op, -error);
}

static void attempt_send(struct uv_socket *socket)
{
    struct io_op *op = socket->output;
    const struct msghdr message = {.msg_iov = op->write.vectors,
                                   .msg_iovlen = op->write.vector_count};
    const int64_t result = result_of(sendmsg(op->handle, &message, MSG_NOSIGNAL));
    if (result == -EAGAIN || result == -EINTR) {
        wait_for_output(socket);
    } else if (result < 0) {
        finish_output(socket, result);
    } else {
        op->moved += (uint64_t)result;
        if (io_posix_skip_written(op, (size_t)result))
            wait_for_output(socket); /* A short send has filled the socket. */
        else
            finish_output(socket, (int64_t)op->moved);
    }
}

static void attempt_send_file(struct uv_socket *socket)
{
    struct uv *uv = socket->uv;
    struct io_op *op = socket->output;
    int error = 0;
    switch (send_file_step(&slot_of(op)->send_file, op, &error)) {
    case SEND_FILE_DONE: finish_output(socket, (int64_t)op->moved); break;
    case SEND_FILE_MORE: list_push(&uv->ready, &op->link); break;
    case SEND_FILE_WAIT: wait_for_output(socket); break;
    case SEND_FILE_WARM: start_job(uv, op); break;
    case SEND_FILE_FAILED: finish_output(socket, error); break;
    }
}

static void attempt_input(struct uv_socket *socket)
{
    if (socket->input->kind == IO_ACCEPT)
        attempt_accept(socket);
    else
        attempt_recv(socket);
}

static void attempt_output(struct uv_socket *socket)
{
    if (socket->output->kind == IO_SEND)
        attempt_send(socket);
    else if (socket->output->kind == IO_SEND_FILE)
        attempt_send_file(socket);
    else
        attempt_connect(socket);
}

/* Submission. */

static void start_input(struct uv *uv, struct io_op *op)
{
    struct uv_socket *socket = socket_of(uv, op->handle);
    assert(socket != NULL && socket->input == NULL);
    socket->input = op;
    if (socket->may_have_input)
        list_push(&uv->ready, &op->link);
    else
        wait_for_input(socket);
}

static void start_output(struct uv *uv, struct io_op *op)
{
    struct uv_socket *socket = socket_of(uv, op->handle);
    assert(socket != NULL && socket->output == NULL);
    socket->output = op;
    list_push(&uv->ready, &op->link);
}

static void start_connect(struct uv *uv, struct io_op *op)
{
    int32_t handle = io_posix_socket(&op->peer.address);
    if (handle >= 0)
        handle = adopt_socket(uv, handle);
    if (handle < 0) {
        finish_later(uv, op, handle);
        return;
    }
    slot_of(op)->socket = handle;
    union io_posix_address address;
    const socklen_t size = io_posix_address_encode(&op->peer.address, &address);
    if (connect(handle, &address.any, size) != 0 && errno != EINPROGRESS && errno != EINTR) {
        finish_later(uv, op, -errno);
        remove_socket(uv, handle);
        close(handle);
        return;
    }
    struct uv_socket *socket = socket_of(uv, handle);
    socket->output = op;
    wait_for_output(socket);
}

static void start_close(struct uv *uv, struct io_op *op)
{
    struct uv_socket *socket = socket_of(uv, op->handle);
    if (socket == NULL) {
        start_job(uv, op);
        return;
    }
    assert(socket->input == NULL && socket->output == NULL);
    remove_socket(uv, op->handle);
    finish_later(uv, op, result_of(close(op->handle)));
}

static void start_write(struct uv *uv, struct io_op *op)
{
    if (eager_write_try(&uv->eager, op))
        finish_later(uv, op, (int64_t)eager_write_size(op));
    else
        start_job(uv, op);
}

static void start_sync(struct uv *uv, struct io_op *op)
{
    uv->eager.sync_count++;
    start_job(uv, op);
}

static void submit(struct io *io, struct io_op *op)
{
    struct uv *uv = uv_of(io);
    struct slot *slot = slot_of(op);
    list_init(&op->link);
    memset(slot, 0, sizeof *slot);
    op->moved = 0;

    switch (op->kind) {
    case IO_TIMER:
        slot->timer.deadline_ns = op->timer.deadline_ns;
        timer_heap_add(&uv->timers, &slot->timer);
        break;
    case IO_ACCEPT:
    case IO_RECV: start_input(uv, op); break;
    case IO_SEND:
    case IO_SEND_FILE: start_output(uv, op); break;
    case IO_CONNECT: start_connect(uv, op); break;
    case IO_CLOSE: start_close(uv, op); break;
    case IO_WRITE: start_write(uv, op); break;
    case IO_SYNC: start_sync(uv, op); break;
    case IO_OPEN:
    case IO_READ:
    case IO_ALLOCATE:
    case IO_TRUNCATE:
    case IO_RENAME:
    case IO_UNLINK:
    case IO_MKDIR: start_job(uv, op); break;
    }
}

static void cancel_connect(struct uv *uv, struct io_op *op)
{
    const int32_t handle = slot_of(op)->socket;
    socket_of(uv, handle)->output = NULL;
    remove_socket(uv, handle);
    close(handle);
}

static void cancel(struct io *io, struct io_op *op)
{
    struct uv *uv = uv_of(io);
    struct slot *slot = slot_of(op);
    if (slot->is_finished)
        return;
    if (op->kind == IO_TIMER) {
        timer_heap_remove(&uv->timers, &slot->timer);
    } else if (op->kind == IO_CONNECT) {
        cancel_connect(uv, op);
    } else {
        assert(op->kind == IO_ACCEPT || op->kind == IO_RECV);
        socket_of(uv, op->handle)->input = NULL;
    }
    list_remove(&op->link); /* Of `ready`, if it waited there for an attempt. */
    finish_later(uv, op, -ECANCELED);
}

/* The loop. */

static void go_on(struct uv *uv, struct io_op *op)
{
    if (slot_of(op)->is_finished) {
        finish(uv, op, slot_of(op)->result);
        return;
    }
    const bool is_connect = op->kind == IO_CONNECT;
    struct uv_socket *socket = socket_of(uv, is_connect ? slot_of(op)->socket : op->handle);
    assert(socket != NULL);
    if (socket->input == op)
        attempt_input(socket);
    else
        attempt_output(socket);
}

static void go_on_with_ready(struct uv *uv)
{
    struct list ready;
    list_init(&ready);
    list_splice(&ready, &uv->ready);
    for (struct list *link = list_pop(&ready); link != NULL; link = list_pop(&ready))
        go_on(uv, CONTAINER_OF(link, struct io_op, link));
}

static void expire_timers(struct uv *uv)
{
    for (;;) {
        struct timer_node *due = timer_heap_pop_due(&uv->timers, uv->now_ns);
        if (due == NULL)
            return;
        finish(uv, op_of(due), 0);
    }
}

static uint64_t wait_limit_ns(const struct uv *uv, uint64_t wait_ns)
{
    if (!list_empty(&uv->ready))
        return 0;
    const struct timer_node *first = uv->timers.root;
    if (first == NULL)
        return wait_ns;
    if (first->deadline_ns <= uv->now_ns + 1) /* See io_next_round_ns. */
        return 0;
    return min_u64(wait_ns, first->deadline_ns - uv->now_ns);
}

/* It may run before libuv waits, if starting took as long as the limit: then it must not wait. */
static void on_wait_limit(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

static void on_wake(uv_async_t *async)
{
    (void)async;
}

static void poll_loop(struct uv *uv, uint64_t wait_ns)
{
    if (wait_ns == 0) {
        uv_run(&uv->loop, UV_RUN_NOWAIT);
        return;
    }
    if (wait_ns != UINT64_MAX) {
        uv_update_time(&uv->loop);
        uv_timer_start(&uv->wait_limit, on_wait_limit, div_ceil(wait_ns, 1000000), 0);
    }
    uv_run(&uv->loop, UV_RUN_ONCE);
    uv_timer_stop(&uv->wait_limit);
}

static void run(struct io *io, uint64_t wait_ns)
{
    struct uv *uv = uv_of(io);
    const uint64_t completed_before = io->completed_count;
    uv->now_ns = io_posix_now_ns();
    go_on_with_ready(uv);
    const bool has_completed = io->completed_count != completed_before;
    poll_loop(uv, has_completed ? 0 : wait_limit_ns(uv, wait_ns));
    uv->now_ns = io_posix_now_ns();
    go_on_with_ready(
        uv); /* Before the timers: after a pause, bytes that came save their timeouts. */
    expire_timers(uv);
    go_on_with_ready(uv); /* What was submitted just now need not wait for the next round. */
}

static void wake(struct io *io)
{
    uv_async_send(&uv_of(io)->wake);
}

static uint64_t now_ns(struct io *io)
{
    return uv_of(io)->now_ns;
}

static int32_t listen_on(struct io *io, struct io_address *address, uint32_t backlog)
{
    const int32_t handle = io_posix_listen(io, address, backlog);
    return handle < 0 ? handle : adopt_socket(uv_of(io), handle);
}

static void disown(struct io *io, int32_t handle)
{
    const struct uv_socket *socket = socket_of(uv_of(io), handle);
    assert(socket != NULL && socket->input == NULL && socket->output == NULL);
    remove_socket(uv_of(io), handle);
}

static int adopt(struct io *io, int32_t handle)
{
    return add_socket(uv_of(io), handle);
}

static bool act(struct io *io, struct io_op *op, int64_t *result)
{
    struct uv *uv = uv_of(io);
    if ((op->kind == IO_CLOSE && socket_of(uv, op->handle) != NULL) || !io_posix_act(op, result))
        return false;
    uv->now_ns = io_posix_now_ns();
    return true;
}

_Noreturn static void fatal(struct io *io, const char *line)
{
    io_posix_fatal(uv_of(io)->diag, line);
}

/* Life. */

static void give_back(struct uv *uv)
{
    if (uv->spare_handle >= 0)
        close(uv->spare_handle);
    pool_deinit(&uv->jobs, uv->heap);
    heap_give(uv->heap, uv->sockets);
    heap_give(uv->heap, uv);
}

static void deinit(struct io *io)
{
    struct uv *uv = uv_of(io);
    uv->is_ending = true;
    for (uint32_t handle = 0; handle < uv->socket_capacity; handle++)
        if (uv->sockets[handle] != NULL)
            remove_socket(uv, (int32_t)handle);
    uv_close((uv_handle_t *)&uv->wake, NULL);
    uv_close((uv_handle_t *)&uv->wait_limit, NULL);
    uv_run(&uv->loop, UV_RUN_DEFAULT); /* Until all jobs are back and all handles closed. */
    const int failed = uv_loop_close(&uv->loop);
    assert(failed == 0);
    give_back(uv);
}

static const struct io_world uv_world = {
    .name = "libuv",
    .submit = submit,
    .cancel = cancel,
    .run = run,
    .wake = wake,
    .now_ns = now_ns,
    .wall_ms = io_posix_wall_ms,
    .entropy = io_posix_entropy,
    .listen = listen_on,
    .shutdown = io_posix_shutdown,
    .disown = disown,
    .adopt = adopt,
    .resolve = io_posix_resolve,
    .list_directory = io_posix_list_directory,
    .file_info = io_posix_file_info,
    .lock = io_posix_lock,
    .disk_free_bytes = io_posix_disk_free_bytes,
    .fatal = fatal,
    .act = act,
    .deinit = deinit,
};

static int open_loop(struct uv *uv)
{
    int result = uv_loop_init(&uv->loop);
    if (result != 0)
        return result;
    result = uv_async_init(&uv->loop, &uv->wake, on_wake);
    if (result == 0)
        result = uv_timer_init(&uv->loop, &uv->wait_limit);
    if (result != 0)
        uv_loop_close(&uv->loop);
    return result;
}

int io_uv_create(struct io **io, struct heap *heap, struct diag *diag)
{
    struct uv *uv = heap_take_zeroed(heap, sizeof *uv);
    if (uv == NULL)
        return -ENOMEM;
    uv->io.world = &uv_world;
    uv->heap = heap;
    uv->diag = diag;
    uv->now_ns = io_posix_now_ns();
    list_init(&uv->ready);
    list_init(&uv->jobs_waiting);

    const struct pool_options jobs = {.item_size = sizeof(struct job), .item_count = job_count_max};
    int result = pool_init(&uv->jobs, heap, jobs) == ERR_OK ? 0 : -ENOMEM;
    uv->spare_handle = io_posix_spare_open();
    if (result == 0 && uv->spare_handle < 0)
        result = -errno;
    if (result == 0)
        result = open_loop(uv);
    if (result != 0) {
        give_back(uv);
        return result;
    }
    *io = &uv->io;
    return 0;
}
