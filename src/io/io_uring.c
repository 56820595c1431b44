#define _GNU_SOURCE
#include "io/io_uring.h"

#include "io/eager_sync.h"
#include "io/eager_write.h"
#include "io/io_posix.h"
#include "io/send_file.h"
#include "io/timer_heap.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    submit_entry_count = 512,
    complete_entry_count = 4096,
    transfer_bytes_max = 1 << 30, /* Of one READ or RECV; results may be short anyway. */
    warm_bytes_size = 64 * 1024,
    opcode_truncate = 55, /* IORING_OP_FTRUNCATE of Linux 6.9; our headers are older. */
};

struct uring {
    struct io io;
    struct io_uring ring;
    struct heap *heap;
    struct diag *diag;
    struct timer_heap timers;
    struct eager_write eager;
    struct eager_sync eager_sync;
    struct list syncs;         /* Brief ones that the loop may make itself, */
    uint32_t sync_round_count; /* and for how long they have waited. */
    struct list ready;         /* Ops that go on in the next run without the kernel. */
    struct list backlog;       /* Ops for which the submission ring had no room. */
    uint64_t now_ns;
    uint64_t in_flight; /* Submitted entries whose completions have not come. */
    uint64_t wake_value;
    uint8_t *warm_bytes; /* Where ranges land that are read only to be in the page cache, */
    struct iovec warm_vectors[send_file_range_bytes / warm_bytes_size]; /* each part on the last. */
    int wake_handle;
    int spare_handle; /* See io_posix_shed. */
    bool is_bound;    /* To the thread that runs it. */
    bool can_truncate;
};

/* What a completion is about, in the low bits of its user data; the rest is the op. */
enum stage {
    STAGE_ACT,   /* The op's own action. */
    STAGE_POLL,  /* The socket of the op is ready: act again. */
    STAGE_WARM,  /* A range of an IO_SEND_FILE is in the page cache. */
    STAGE_WAKE,  /* Somebody called io_wake; no op. */
    STAGE_CANCEL /* The answer to an attempt to cancel; no op. */
};

enum { stage_mask = 7 };

/* The world's part of an op. */
struct __attribute__((may_alias)) slot {
    union {
        struct msghdr message; /* SEND */
        struct {
            union io_posix_address address;
            socklen_t address_size;
            int socket;
        } peer;                     /* ACCEPT CONNECT */
        struct send_file send_file; /* SEND_FILE */
        uint64_t sync_begin_ns;     /* SYNC that is brief; 0: another. */
        struct timer_node timer;    /* TIMER */
    };
    union {
        int64_t result;   /* In the list `ready`, but for SEND_FILE. */
        bool is_canceled; /* ACCEPT CONNECT RECV in flight. */
    };
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

static struct uring *uring_of(struct io *io)
{
    return CONTAINER_OF(io, struct uring, io);
}

static void finish(struct uring *uring, struct io_op *op, int64_t result)
{
    uring->io.completed_count++;
    op->done(op, result);
}

/* For a result that is known when done must not run. */
static void finish_later(struct uring *uring, struct io_op *op, int64_t result)
{
    slot_of(op)->result = result;
    list_push(&uring->ready, &op->link);
}

/* Submission. */

static struct io_uring_sqe *take_entry(struct uring *uring)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&uring->ring);
    if (entry == NULL) {
        /* It fails only while completions wait to be reaped; the caller's backlog helps then. */
        const int ignored = io_uring_submit(&uring->ring);
        (void)ignored;
        entry = io_uring_get_sqe(&uring->ring);
    }
    if (entry != NULL)
        uring->in_flight++;
    return entry;
}

static void mark_entry(struct io_uring_sqe *entry, struct io_op *op, enum stage stage)
{
    io_uring_sqe_set_data64(entry, (uint64_t)(uintptr_t)op | stage);
}

static unsigned transfer_size(const struct io_op *op)
{
    return (unsigned)min_size(op->read.size, transfer_bytes_max);
}

static void prepare_send(struct io_uring_sqe *entry, struct io_op *op)
{
    /* Not MSG_WAITALL: short sends come back, and op->moved shows that the peer takes bytes. */
    if (op->write.vector_count == 1) {
        const struct iovec *vector = op->write.vectors;
        io_uring_prep_send(entry, op->handle, vector->iov_base, vector->iov_len, MSG_NOSIGNAL);
        return;
    }
    struct msghdr *message = &slot_of(op)->message;
    *message = (struct msghdr){.msg_iov = op->write.vectors, .msg_iovlen = op->write.vector_count};
    io_uring_prep_sendmsg(entry, op->handle, message, MSG_NOSIGNAL);
}

static void prepare_path(struct io_uring_sqe *entry, struct io_op *op)
{
    const bool is_directory = (op->path.flags & IO_OPEN_DIRECTORY) != 0;
    if (op->kind == IO_OPEN)
        io_uring_prep_openat(entry, AT_FDCWD, op->path.path, io_posix_open_flags(op->path.flags),
                             0644);
    else if (op->kind == IO_RENAME)
        io_uring_prep_rename(entry, op->path.path, op->path.path_to);
    else if (op->kind == IO_UNLINK)
        io_uring_prep_unlink(entry, op->path.path, is_directory ? AT_REMOVEDIR : 0);
    else
        io_uring_prep_mkdir(entry, op->path.path, 0755);
}

static void prepare_truncate(struct io_uring_sqe *entry, struct io_op *op)
{
    io_uring_prep_rw(IORING_OP_NOP, entry, op->handle, NULL, 0, op->range.offset);
    entry->opcode = opcode_truncate;
}

static void prepare_peer(struct io_uring_sqe *entry, struct io_op *op)
{
    struct slot *slot = slot_of(op);
    if (op->kind == IO_CONNECT) {
        slot->peer.address_size = io_posix_address_encode(&op->peer.address, &slot->peer.address);
        io_uring_prep_connect(entry, slot->peer.socket, &slot->peer.address.any,
                              slot->peer.address_size);
        return;
    }
    slot->peer.address_size = sizeof slot->peer.address;
    io_uring_prep_accept(entry, op->handle, &slot->peer.address.any, &slot->peer.address_size,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void prepare(struct io_uring_sqe *entry, struct io_op *op)
{
    switch (op->kind) {
    case IO_READ:
        io_uring_prep_read(entry, op->handle, op->read.data, transfer_size(op), op->read.offset);
        break;
    case IO_WRITE:
        io_uring_prep_writev(entry, op->handle, op->write.vectors, op->write.vector_count,
                             op->write.offset + op->moved);
        break;
    case IO_SYNC:
        io_uring_prep_fsync(
            entry, op->handle,
            op->sync.is_brief || !io_posix_is_directory(op->handle) ? IORING_FSYNC_DATASYNC : 0);
        break;
    case IO_ALLOCATE:
        io_uring_prep_fallocate(entry, op->handle, 0, (off_t)op->range.offset,
                                (off_t)op->range.size);
        break;
    case IO_CLOSE: io_uring_prep_close(entry, op->handle); break;
    case IO_RECV: io_uring_prep_recv(entry, op->handle, op->read.data, transfer_size(op), 0); break;
    case IO_SEND: prepare_send(entry, op); break;
    case IO_TRUNCATE: prepare_truncate(entry, op); break;
    case IO_OPEN:
    case IO_RENAME:
    case IO_UNLINK:
    case IO_MKDIR: prepare_path(entry, op); break;
    case IO_ACCEPT:
    case IO_CONNECT: prepare_peer(entry, op); break;
    case IO_SEND_FILE:
    case IO_TIMER: assert(false); break;
    }
}

/* Puts the op's action into the submission ring, or the op into the backlog. */
static void act(struct uring *uring, struct io_op *op)
{
    struct io_uring_sqe *entry = take_entry(uring);
    if (entry == NULL) {
        list_push(&uring->backlog, &op->link);
        return;
    }
    prepare(entry, op);
    mark_entry(entry, op, STAGE_ACT);
}

static void act_on_backlog(struct uring *uring)
{
    struct list backlog;
    list_init(&backlog);
    list_splice(&backlog, &uring->backlog);
    for (struct list *link = list_pop(&backlog); link != NULL; link = list_pop(&backlog))
        act(uring, CONTAINER_OF(link, struct io_op, link));
}

/* An entry for what is not an op's own action, so that it cannot wait in the backlog. The kernel
 * empties the submission ring at once unless it is out of memory. */
static struct io_uring_sqe *must_take_entry(struct uring *uring)
{
    struct io_uring_sqe *entry = take_entry(uring);
    if (entry == NULL)
        io_fatal(&uring->io, "io_uring takes no more submissions");
    return entry;
}

static bool is_input(const struct io_op *op)
{
    return op->kind == IO_RECV || op->kind == IO_ACCEPT;
}

static void wait_for_socket(struct uring *uring, struct io_op *op)
{
    struct io_uring_sqe *entry = must_take_entry(uring);
    io_uring_prep_poll_add(entry, op->handle, is_input(op) ? POLLIN : POLLOUT);
    mark_entry(entry, op, STAGE_POLL);
}

static void arm_wake(struct uring *uring)
{
    struct io_uring_sqe *entry = must_take_entry(uring);
    io_uring_prep_read(entry, uring->wake_handle, &uring->wake_value, sizeof uring->wake_value, 0);
    mark_entry(entry, NULL, STAGE_WAKE);
}

/* The ring belongs to the thread that enables it. */
static void bind_to_thread(struct uring *uring)
{
    uring->is_bound = true;
    if ((uring->ring.flags & IORING_SETUP_R_DISABLED) != 0) {
        const int failed =
            io_uring_register((unsigned)uring->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
        assert(failed == 0);
    }
    /* Spares each system call a look-up; without it all works as well. */
    const int ignored = io_uring_register_ring_fd(&uring->ring);
    (void)ignored;
    arm_wake(uring);
}

static void start_connect(struct uring *uring, struct io_op *op)
{
    struct slot *slot = slot_of(op);
    const int socket = io_posix_socket(&op->peer.address);
    if (socket < 0) {
        finish_later(uring, op, socket);
        return;
    }
    slot->peer.socket = socket;
    act(uring, op);
}

static void start_truncate(struct uring *uring, struct io_op *op)
{
    if (uring->can_truncate)
        act(uring, op);
    else /* It may wait for the disk, but truncation is rare. */
        finish_later(uring, op, ftruncate(op->handle, (off_t)op->range.offset) == 0 ? 0 : -errno);
}

static void start_write(struct uring *uring, struct io_op *op)
{
    assert(op->write.vector_count > 0 && op->write.vector_count <= io_vector_count_max);
    if (op->write.is_patient)
        eager_sync_note_patient_write(&uring->eager_sync, uring->now_ns);
    if (eager_write_try(&uring->eager, op))
        finish_later(uring, op, (int64_t)eager_write_size(op));
    else
        act(uring, op);
}

static void hand_over_sync(struct uring *uring, struct io_op *op)
{
    uring->eager.sync_count++;
    if (op->sync.is_brief)
        slot_of(op)->sync_begin_ns = io_posix_now_ns();
    act(uring, op);
}

static bool may_sync_by_loop(const struct uring *uring)
{
    return uring->eager.sync_count == 0 && eager_sync_may(&uring->eager_sync, uring->now_ns);
}

static void start_sync(struct uring *uring, struct io_op *op)
{
    if (!op->sync.is_brief || !may_sync_by_loop(uring)) {
        hand_over_sync(uring, op);
        return;
    }
    if (list_empty(&uring->syncs))
        uring->sync_round_count = 0;
    list_push(&uring->syncs, &op->link);
}

static void submit(struct io *io, struct io_op *op)
{
    struct uring *uring = uring_of(io);
    struct slot *slot = slot_of(op);
    if (!uring->is_bound)
        bind_to_thread(uring);
    list_init(&op->link);
    memset(slot, 0, sizeof *slot);
    op->moved = 0;

    switch (op->kind) {
    case IO_TIMER:
        slot->timer.deadline_ns = op->timer.deadline_ns;
        timer_heap_add(&uring->timers, &slot->timer);
        break;
    case IO_SEND_FILE:
        assert(op->send_file.vector_count <= io_vector_count_max);
        list_push(&uring->ready, &op->link);
        break;
    case IO_CONNECT: start_connect(uring, op); break;
    case IO_TRUNCATE: start_truncate(uring, op); break;
    case IO_WRITE: start_write(uring, op); break;
    case IO_SYNC: start_sync(uring, op); break;
    case IO_SEND:
        assert(op->write.vector_count > 0 && op->write.vector_count <= io_vector_count_max);
        act(uring, op);
        break;
    case IO_OPEN:
    case IO_READ:
    case IO_ALLOCATE:
    case IO_RENAME:
    case IO_UNLINK:
    case IO_MKDIR:
    case IO_CLOSE:
    case IO_ACCEPT:
    case IO_RECV: act(uring, op); break;
    }
}

static void cancel(struct io *io, struct io_op *op)
{
    struct uring *uring = uring_of(io);
    struct slot *slot = slot_of(op);
    if (op->kind == IO_TIMER) {
        if (!timer_heap_holds(&uring->timers, &slot->timer))
            return;
        timer_heap_remove(&uring->timers, &slot->timer);
        finish_later(uring, op, -ECANCELED);
        return;
    }
    assert(op->kind == IO_ACCEPT || op->kind == IO_CONNECT || op->kind == IO_RECV);
    if (list_linked(&op->link)) { /* The kernel does not have it. */
        list_remove(&op->link);
        finish_later(uring, op, -ECANCELED);
        return;
    }
    slot->is_canceled = true;
    for (enum stage stage = STAGE_ACT; stage <= STAGE_POLL; stage++) {
        struct io_uring_sqe *entry = must_take_entry(uring);
        io_uring_prep_cancel64(entry, (uint64_t)(uintptr_t)op | stage, 0);
        mark_entry(entry, NULL, STAGE_CANCEL);
    }
}

/* Completion. */

static void warm_range(struct uring *uring, struct io_op *op)
{
    const struct send_file_range range = send_file_cold_range(&slot_of(op)->send_file, op);
    struct io_uring_sqe *entry = must_take_entry(uring);
    io_uring_prep_readv(entry, op->send_file.file, uring->warm_vectors,
                        (unsigned)div_ceil(range.size, warm_bytes_size), range.offset);
    mark_entry(entry, op, STAGE_WARM);
}

static void send_file_go_on(struct uring *uring, struct io_op *op)
{
    int error = 0;
    switch (send_file_step(&slot_of(op)->send_file, op, &error)) {
    case SEND_FILE_DONE: finish(uring, op, (int64_t)op->moved); break;
    case SEND_FILE_MORE: list_push(&uring->ready, &op->link); break;
    case SEND_FILE_WAIT: wait_for_socket(uring, op); break;
    case SEND_FILE_WARM: warm_range(uring, op); break;
    case SEND_FILE_FAILED: finish(uring, op, error); break;
    }
}

static void on_warmed(struct uring *uring, struct io_op *op, int result)
{
    if (result < 0) {
        finish(uring, op, result);
        return;
    }
    slot_of(op)->send_file.is_warmed = true;
    send_file_go_on(uring, op);
}

static void on_socket_ready(struct uring *uring, struct io_op *op, int result)
{
    if (result < 0)
        finish(uring, op, result);
    else if (op->kind == IO_SEND_FILE)
        send_file_go_on(uring, op);
    else
        act(uring, op);
}

static void on_moved(struct uring *uring, struct io_op *op, int result)
{
    if (result < 0) {
        finish(uring, op, result);
        return;
    }
    op->moved += (uint64_t)result;
    if (!io_posix_skip_written(op, (size_t)result))
        finish(uring, op, (int64_t)op->moved);
    else if (result == 0)
        finish(uring, op, -EIO);
    else
        act(uring, op);
}

static void on_synced(struct uring *uring, struct io_op *op, int result)
{
    assert(uring->eager.sync_count > 0);
    uring->eager.sync_count--;
    if (op->sync.is_brief)
        eager_sync_note(&uring->eager_sync,
                        (struct eager_sync_time){.begin_ns = slot_of(op)->sync_begin_ns,
                                                 .end_ns = io_posix_now_ns()});
    finish(uring, op, result);
}

static void on_accepted(struct uring *uring, struct io_op *op, int result)
{
    if (result >= 0)
        io_posix_address_decode(&slot_of(op)->peer.address, &op->peer.address);
    if (result == -EMFILE || result == -ENFILE)
        io_posix_shed(op->handle, &uring->spare_handle);
    finish(uring, op, result);
}

static void on_connected(struct uring *uring, struct io_op *op, int result)
{
    const int socket = slot_of(op)->peer.socket;
    if (result < 0)
        close(socket);
    finish(uring, op, result < 0 ? result : socket);
}

/* The kernel asks for another attempt; true: it is under way. */
static bool try_again(struct uring *uring, struct io_op *op, int result)
{
    const bool is_blocked = result == -EAGAIN && (is_input(op) || op->kind == IO_SEND);
    if (!is_blocked && result != -EINTR)
        return false;
    if (is_input(op) && slot_of(op)->is_canceled)
        finish(uring, op, -ECANCELED);
    else if (is_blocked)
        wait_for_socket(uring, op);
    else
        act(uring, op);
    return true;
}

static void on_acted(struct uring *uring, struct io_op *op, int result)
{
    if (try_again(uring, op, result))
        return;
    switch (op->kind) {
    case IO_WRITE:
    case IO_SEND: on_moved(uring, op, result); break;
    case IO_ACCEPT: on_accepted(uring, op, result); break;
    case IO_CONNECT: on_connected(uring, op, result); break;
    case IO_SYNC: on_synced(uring, op, result); break;
    case IO_OPEN:
    case IO_READ:
    case IO_ALLOCATE:
    case IO_TRUNCATE:
    case IO_RENAME:
    case IO_UNLINK:
    case IO_MKDIR:
    case IO_CLOSE:
    case IO_RECV: finish(uring, op, result); break;
    case IO_SEND_FILE:
    case IO_TIMER: assert(false); break;
    }
}

static void complete(struct uring *uring, uint64_t user_data, int result)
{
    struct io_op *op = (struct io_op *)(uintptr_t)(user_data & ~(uint64_t)stage_mask);
    uring->in_flight--;
    switch ((enum stage)(user_data & stage_mask)) {
    case STAGE_ACT: on_acted(uring, op, result); break;
    case STAGE_POLL: on_socket_ready(uring, op, result); break;
    case STAGE_WARM: on_warmed(uring, op, result); break;
    case STAGE_WAKE: arm_wake(uring); break;
    case STAGE_CANCEL: break;
    }
}

/* Only what is ready now: new completions wait for the next run. */
static void complete_ready(struct uring *uring)
{
    for (unsigned left = io_uring_cq_ready(&uring->ring); left > 0; left--) {
        struct io_uring_cqe *cqe;
        if (io_uring_peek_cqe(&uring->ring, &cqe) != 0)
            return;
        const uint64_t user_data = cqe->user_data;
        const int result = cqe->res;
        io_uring_cqe_seen(&uring->ring, cqe);
        complete(uring, user_data, result);
    }
}

static void go_on_with_ready(struct uring *uring)
{
    struct list ready;
    list_init(&ready);
    list_splice(&ready, &uring->ready);
    for (struct list *link = list_pop(&ready); link != NULL; link = list_pop(&ready)) {
        struct io_op *op = CONTAINER_OF(link, struct io_op, link);
        if (op->kind == IO_SEND_FILE)
            send_file_go_on(uring, op);
        else
            finish(uring, op, slot_of(op)->result);
    }
}

static void expire_timers(struct uring *uring)
{
    for (;;) {
        struct timer_node *due = timer_heap_pop_due(&uring->timers, uring->now_ns);
        if (due == NULL)
            return;
        finish(uring, op_of(due), 0);
    }
}

static uint64_t wait_limit_ns(const struct uring *uring, uint64_t wait_ns)
{
    if (!list_empty(&uring->ready) || !list_empty(&uring->backlog) || !list_empty(&uring->syncs))
        return 0;
    const struct timer_node *first = uring->timers.root;
    if (first == NULL)
        return wait_ns;
    if (first->deadline_ns <= uring->now_ns + 1) /* See io_next_round_ns. */
        return 0;
    return min_u64(wait_ns, first->deadline_ns - uring->now_ns);
}

/* Nothing is to be submitted, and nothing has come. */
static bool is_idle(const struct uring *uring)
{
    return list_empty(&uring->ready) && list_empty(&uring->backlog) &&
           io_uring_sq_ready(&uring->ring) == 0 && io_uring_cq_ready(&uring->ring) == 0;
}

static void sync_by_loop(struct uring *uring, struct io_op *op)
{
    struct eager_sync_time time = {.begin_ns = io_posix_now_ns(), .is_by_loop = true};
    const int64_t result = fdatasync(op->handle) == 0 ? 0 : -errno;
    time.end_ns = io_posix_now_ns();
    uring->now_ns = time.end_ns;
    eager_sync_note(&uring->eager_sync, time);
    if (result == -EINTR)
        hand_over_sync(uring, op);
    else
        finish(uring, op, result);
}

/* Of the syncs that wait for a quiet moment: what was submitted with them has left by now. */
static void go_on_with_syncs(struct uring *uring)
{
    struct list syncs;
    uring->sync_round_count++;
    if (!is_idle(uring) && uring->sync_round_count < eager_sync_round_max)
        return;
    list_init(&syncs);
    list_splice(&syncs, &uring->syncs);
    for (struct list *link = list_pop(&syncs); link != NULL; link = list_pop(&syncs)) {
        struct io_op *op = CONTAINER_OF(link, struct io_op, link);
        if (is_idle(uring) && may_sync_by_loop(uring))
            sync_by_loop(uring, op);
        else
            hand_over_sync(uring, op);
    }
    expire_timers(uring); /* Whoever waited for them goes on. */
}

/* The one system call of a loop. */
static void enter(struct uring *uring, uint64_t wait_ns)
{
    int result;
    if (wait_ns == 0) {
        result = io_uring_submit_and_get_events(&uring->ring);
    } else {
        struct __kernel_timespec limit = {.tv_sec = (int64_t)(wait_ns / 1000000000),
                                          .tv_nsec = (int64_t)(wait_ns % 1000000000)};
        struct io_uring_cqe *cqe;
        result = io_uring_submit_and_wait_timeout(&uring->ring, &cqe, 1,
                                                  wait_ns == UINT64_MAX ? NULL : &limit, NULL);
    }
    const bool is_expected = result >= 0 || result == -ETIME || result == -EINTR ||
                             result == -EAGAIN || result == -EBUSY;
    if (!is_expected)
        io_fatal(&uring->io, "io_uring fails: %s", strerror(-result));
}

static void run(struct io *io, uint64_t wait_ns)
{
    struct uring *uring = uring_of(io);
    const uint64_t completed_before = io->completed_count;
    if (!uring->is_bound)
        bind_to_thread(uring);

    uring->now_ns = io_posix_now_ns();
    act_on_backlog(uring);
    go_on_with_ready(uring);
    const bool has_completed = io->completed_count != completed_before;
    enter(uring, has_completed ? 0 : wait_limit_ns(uring, wait_ns));
    uring->now_ns = io_posix_now_ns();
    complete_ready(
        uring); /* Before the timers: after a pause, bytes that came save their timeouts. */
    expire_timers(uring);
    go_on_with_ready(uring); /* What was submitted just now need not wait for the next round. */
    if (!list_empty(&uring->syncs))
        go_on_with_syncs(uring);
}

static void wake(struct io *io)
{
    const uint64_t one = 1;
    /* It fails only when the counter is full, and then the loop wakes up anyway. */
    const ssize_t ignored = write(uring_of(io)->wake_handle, &one, sizeof one);
    (void)ignored;
}

static uint64_t now_ns(struct io *io)
{
    return uring_of(io)->now_ns;
}

static bool act_now(struct io *io, struct io_op *op, int64_t *result)
{
    if (!io_posix_act(op, result))
        return false;
    uring_of(io)->now_ns = io_posix_now_ns();
    return true;
}

_Noreturn static void fatal(struct io *io, const char *line)
{
    io_posix_fatal(uring_of(io)->diag, line);
}

/* Life. */

/* The kernel must not write into memory that its owner frees after us. */
static void drain(struct uring *uring)
{
    if (!uring->is_bound)
        return;
    struct io_uring_sqe *entry = must_take_entry(uring);
    io_uring_prep_cancel64(entry, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
    mark_entry(entry, NULL, STAGE_CANCEL);
    while (uring->in_flight > 0) {
        struct io_uring_cqe *cqe;
        struct __kernel_timespec limit = {.tv_sec = 1};
        const int result = io_uring_submit_and_wait_timeout(&uring->ring, &cqe, 1, &limit, NULL);
        if (result < 0 && result != -EINTR)
            return;
        for (; io_uring_peek_cqe(&uring->ring, &cqe) == 0; uring->in_flight--)
            io_uring_cqe_seen(&uring->ring, cqe);
    }
}

static void give_back(struct uring *uring)
{
    close(uring->wake_handle);
    close(uring->spare_handle);
    heap_give(uring->heap, uring->warm_bytes);
    heap_give(uring->heap, uring);
}

static void deinit(struct io *io)
{
    struct uring *uring = uring_of(io);
    drain(uring);
    io_uring_queue_exit(&uring->ring);
    give_back(uring);
}

static const struct io_world uring_world = {
    .name = "io_uring",
    .submit = submit,
    .cancel = cancel,
    .run = run,
    .wake = wake,
    .now_ns = now_ns,
    .wall_ms = io_posix_wall_ms,
    .entropy = io_posix_entropy,
    .listen = io_posix_listen,
    .shutdown = io_posix_shutdown,
    .resolve = io_posix_resolve,
    .list_directory = io_posix_list_directory,
    .file_info = io_posix_file_info,
    .lock = io_posix_lock,
    .disk_free_bytes = io_posix_disk_free_bytes,
    .fatal = fatal,
    .act = act_now,
    .deinit = deinit,
};

/* Newer kernels run our completions only when we ask, which spares interruptions. */
static int open_ring(struct io_uring *ring)
{
    static const unsigned flag_sets[] = {
        IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
        IORING_SETUP_COOP_TASKRUN,
        0,
    };
    int result = 0;
    for (size_t index = 0; index < ARRAY_COUNT(flag_sets); index++) {
        struct io_uring_params params = {.flags = flag_sets[index] | IORING_SETUP_CQSIZE,
                                         .cq_entries = complete_entry_count};
        result = io_uring_queue_init_params(submit_entry_count, ring, &params);
        if (result != -EINVAL)
            return result;
    }
    return result;
}

static int check_features(struct uring *uring)
{
    static const int needed[] = {IORING_OP_RENAMEAT, IORING_OP_UNLINKAT, IORING_OP_MKDIRAT,
                                 IORING_OP_SEND,     IORING_OP_ACCEPT,   IORING_OP_FALLOCATE};
    const unsigned features = IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_SUBMIT_STABLE;
    if ((uring->ring.features & features) != features)
        return -EOPNOTSUPP;
    struct io_uring_probe *probe = io_uring_get_probe_ring(&uring->ring);
    if (probe == NULL)
        return -EOPNOTSUPP;
    bool has_all = true;
    for (size_t index = 0; index < ARRAY_COUNT(needed); index++)
        has_all = has_all && io_uring_opcode_supported(probe, needed[index]);
    uring->can_truncate = io_uring_opcode_supported(probe, opcode_truncate);
    io_uring_free_probe(probe);
    return has_all ? 0 : -EOPNOTSUPP;
}

static int open_handles(struct uring *uring)
{
    uring->warm_bytes = heap_take(uring->heap, warm_bytes_size);
    if (uring->warm_bytes == NULL)
        return -ENOMEM;
    for (size_t index = 0; index < ARRAY_COUNT(uring->warm_vectors); index++)
        uring->warm_vectors[index] = (struct iovec){uring->warm_bytes, warm_bytes_size};
    uring->wake_handle = eventfd(0, EFD_CLOEXEC);
    uring->spare_handle = io_posix_spare_open();
    return uring->wake_handle < 0 || uring->spare_handle < 0 ? -errno : 0;
}

int io_uring_world_create(struct io **io, struct heap *heap, struct diag *diag)
{
    struct uring *uring = heap_take_zeroed(heap, sizeof *uring);
    if (uring == NULL)
        return -ENOMEM;
    uring->io.world = &uring_world;
    uring->heap = heap;
    uring->diag = diag;
    uring->wake_handle = uring->spare_handle = io_handle_none;
    uring->now_ns = io_posix_now_ns();
    list_init(&uring->ready);
    list_init(&uring->backlog);
    list_init(&uring->syncs);

    int result = open_handles(uring);
    if (result == 0)
        result = open_ring(&uring->ring);
    if (result != 0) {
        give_back(uring);
        return result;
    }
    result = check_features(uring);
    if (result != 0) {
        deinit(&uring->io);
        return result;
    }
    *io = &uring->io;
    return 0;
}
