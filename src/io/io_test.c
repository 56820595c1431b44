/* The same cases on both real worlds. */
#define _GNU_SOURCE
#include "io/io_create.h"
#include "test/unit_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { second_ns = 1000000000, millisecond_ns = 1000000 };

static enum io_choice choice; /* Of the world under test. */

struct fixture {
    struct io *io;
    struct heap heap;
    struct diag diag;
    uint32_t diag_line_count;
    char last_line[diag_line_bytes_max];
    char directory[64];
    char path[128];
};

static void keep_line(struct diag *diag, enum diag_level level, struct slice line)
{
    (void)level;
    struct fixture *fixture = CONTAINER_OF(diag, struct fixture, diag);
    fixture->diag_line_count++;
    snprintf(fixture->last_line, sizeof fixture->last_line, "%" SLICE_FORMAT, SLICE_ARGS(line));
}

static void start_fixture(struct fixture *fixture)
{
    *fixture = (struct fixture){.diag = {.write = keep_line}};
    heap_init(&fixture->heap, (struct heap_options){.limit_bytes = 64 << 20});
    snprintf(fixture->directory, sizeof fixture->directory, "/tmp/rookery-io-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
}

static int set_up(void **state)
{
    static struct fixture fixture;
    start_fixture(&fixture);
    assert_int_equal(io_create(&fixture.io, &fixture.heap, &fixture.diag, choice), ERR_OK);
    *state = &fixture;
    return 0;
}

static void remove_entry(void *context, const char *name)
{
    struct fixture *fixture = context;
    char path[400];
    snprintf(path, sizeof path, "%s/%s", fixture->directory, name);
    assert_int_equal(remove(path), 0);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(io_list_directory(fixture->io, fixture->directory, remove_entry, fixture), 0);
    assert_int_equal(rmdir(fixture->directory), 0);
    io_destroy(fixture->io);
    assert_int_equal(fixture->heap.block_count, 0);
    return 0;
}

static const char *path_of(struct fixture *fixture, const char *name)
{
    snprintf(fixture->path, sizeof fixture->path, "%s/%s", fixture->directory, name);
    return fixture->path;
}

/* An op whose end is remembered. */
struct recorded {
    struct io_op op;
    int64_t result;
    uint32_t done_count;
    uint32_t order; /* The how-manieth op that was done. */
};

static uint32_t recorded_count;

static void record(struct io_op *op, int64_t result)
{
    struct recorded *recorded = CONTAINER_OF(op, struct recorded, op);
    recorded->result = result;
    recorded->done_count++;
    recorded->order = ++recorded_count;
}

static void start(struct fixture *fixture, struct recorded *recorded)
{
    recorded->op.done = record;
    recorded->done_count = 0;
    io_submit(fixture->io, &recorded->op);
    assert_int_equal(recorded->done_count, 0);
}

static int64_t finish(struct fixture *fixture, struct recorded *recorded)
{
    while (recorded->done_count == 0)
        io_run(fixture->io, UINT64_MAX);
    assert_int_equal(recorded->done_count, 1);
    return recorded->result;
}

static int32_t open_file(struct fixture *fixture, const char *name, uint32_t flags)
{
    struct io_op op = {.kind = IO_OPEN};
    op.path.path = path_of(fixture, name);
    op.path.flags = flags;
    return (int32_t)io_wait(fixture->io, &op);
}

static void close_handle(struct fixture *fixture, int32_t handle)
{
    struct io_op op = {.kind = IO_CLOSE, .handle = handle};
    assert_int_equal(io_wait(fixture->io, &op), 0);
}

static int64_t write_text(struct fixture *fixture, int32_t handle, const char *text, uint64_t at)
{
    struct iovec vector = {.iov_base = (char *)(uintptr_t)text, .iov_len = strlen(text)};
    struct io_op op = {.kind = IO_WRITE, .handle = handle};
    op.write.vectors = &vector;
    op.write.vector_count = 1;
    op.write.offset = at;
    return io_wait(fixture->io, &op);
}

static int64_t read_some(struct fixture *fixture, int32_t handle, void *data, size_t size,
                         uint64_t at)
{
    struct io_op op = {.kind = IO_READ, .handle = handle};
    op.read.data = data;
    op.read.size = size;
    op.read.offset = at;
    return io_wait(fixture->io, &op);
}

static int64_t act_on_range(struct fixture *fixture, enum io_kind kind, int32_t handle,
                            uint64_t offset, uint64_t size)
{
    struct io_op op = {.kind = kind, .handle = handle};
    op.range.offset = offset;
    op.range.size = size;
    return io_wait(fixture->io, &op);
}

/* Files. */

static void a_file_is_written_and_read(void **state)
{
    struct fixture *fixture = *state;
    const uint32_t flags = IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE;
    const int32_t handle = open_file(fixture, "file", flags | IO_OPEN_EXCLUSIVE);
    assert_true(handle >= 0);
    assert_int_equal(open_file(fixture, "file", flags | IO_OPEN_EXCLUSIVE), -EEXIST);
    assert_int_equal(open_file(fixture, "missing", IO_OPEN_READ), -ENOENT);
    assert_int_equal(write_text(fixture, handle, "colony", 0), 6);
    assert_int_equal(write_text(fixture, handle, "nest", 10), 4);

    char text[32] = {0};
    assert_int_equal(read_some(fixture, handle, text, sizeof text, 0), 14);
    assert_memory_equal(text, "colony\0\0\0\0nest", 14);
    assert_int_equal(read_some(fixture, handle, text, sizeof text, 14), 0);
    assert_int_equal(act_on_range(fixture, IO_SYNC, handle, 0, 0), 0);
    close_handle(fixture, handle);
}

static void many_vectors_are_written_in_order(void **state)
{
    struct fixture *fixture = *state;
    const int32_t handle =
        open_file(fixture, "file", IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE);
    struct iovec vectors[io_vector_count_max];
    char text[] = "0123456789";
    for (uint32_t index = 0; index < io_vector_count_max; index++)
        vectors[index] = (struct iovec){text + index % 10, index % 3 == 0 ? 0 : 1};
    struct io_op op = {.kind = IO_WRITE, .handle = handle};
    op.write.vectors = vectors;
    op.write.vector_count = io_vector_count_max;
    op.write.offset = 100;
    const int64_t size = io_vector_count_max - 22;
    assert_int_equal(io_wait(fixture->io, &op), size);

    char found[100];
    assert_int_equal(read_some(fixture, handle, found, sizeof found, 100), size);
    assert_memory_equal(found, "1245780134", 10);
    close_handle(fixture, handle);
}

static void a_file_is_extended_and_cut(void **state)
{
    struct fixture *fixture = *state;
    const int32_t handle = open_file(fixture, "file", IO_OPEN_WRITE | IO_OPEN_CREATE);
    struct io_file_info info;
    assert_int_equal(act_on_range(fixture, IO_ALLOCATE, handle, 1000, 2000), 0);
    assert_int_equal(io_file_info(fixture->io, path_of(fixture, "file"), &info), 0);
    assert_int_equal(info.size_bytes, 3000);
    assert_true(info.is_regular);
    assert_int_equal(act_on_range(fixture, IO_TRUNCATE, handle, 17, 0), 0);
    assert_int_equal(io_file_info(fixture->io, path_of(fixture, "file"), &info), 0);
    assert_int_equal(info.size_bytes, 17);
    close_handle(fixture, handle);
}

static int64_t act_on_path(struct fixture *fixture, enum io_kind kind, const char *name,
                           const char *name_to, uint32_t flags)
{
    char path_to[128];
    snprintf(path_to, sizeof path_to, "%s/%s", fixture->directory, name_to);
    struct io_op op = {.kind = kind};
    op.path.path = path_of(fixture, name);
    op.path.path_to = path_to;
    op.path.flags = flags;
    return io_wait(fixture->io, &op);
}

static void count_entry(void *context, const char *name)
{
    uint32_t *count = context;
    assert_true(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
    *count += 1;
}

static void names_are_made_moved_and_removed(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(act_on_path(fixture, IO_MKDIR, "sub", "", 0), 0);
    assert_int_equal(act_on_path(fixture, IO_MKDIR, "sub", "", 0), -EEXIST);
    close_handle(fixture, open_file(fixture, "a", IO_OPEN_WRITE | IO_OPEN_CREATE));
    close_handle(fixture, open_file(fixture, "b", IO_OPEN_WRITE | IO_OPEN_CREATE));
    assert_int_equal(act_on_path(fixture, IO_RENAME, "a", "b", 0), 0);
    assert_int_equal(act_on_path(fixture, IO_RENAME, "a", "b", 0), -ENOENT);

    uint32_t count = 0;
    assert_int_equal(io_list_directory(fixture->io, fixture->directory, count_entry, &count), 0);
    assert_int_equal(count, 2);
    struct io_file_info info;
    assert_int_equal(io_file_info(fixture->io, path_of(fixture, "sub"), &info), 0);
    assert_true(info.is_directory);

    const int32_t directory = open_file(fixture, ".", IO_OPEN_READ | IO_OPEN_DIRECTORY);
    assert_int_equal(act_on_range(fixture, IO_SYNC, directory, 0, 0), 0);
    close_handle(fixture, directory);
    assert_int_equal(act_on_path(fixture, IO_UNLINK, "b", "", 0), 0);
    assert_int_equal(act_on_path(fixture, IO_UNLINK, "b", "", 0), -ENOENT);
    assert_int_equal(act_on_path(fixture, IO_UNLINK, "sub", "", IO_OPEN_DIRECTORY), 0);
    assert_int_equal(io_file_info(fixture->io, path_of(fixture, "sub"), &info), -ENOENT);
}

static int64_t sync_briefly(struct fixture *fixture, int32_t handle)
{
    struct recorded sync = {.op = {.kind = IO_SYNC, .handle = handle}};
    sync.op.sync.is_brief = true;
    start(fixture, &sync);
    return finish(fixture, &sync);
}

/* By whomever they are made. */
static void brief_syncs_end(void **state)
{
    struct fixture *fixture = *state;
    const int32_t handle = open_file(fixture, "file", IO_OPEN_WRITE | IO_OPEN_CREATE);
    for (uint32_t round = 0; round < 50; round++) {
        assert_int_equal(write_text(fixture, handle, "colony", 6 * round), 6);
        assert_int_equal(sync_briefly(fixture, handle), 0);
    }
    int ends[2]; /* Which cannot be synced. */
    assert_int_equal(pipe(ends), 0);
    for (uint32_t round = 0; round < 5; round++)
        assert_int_equal(sync_briefly(fixture, ends[1]), -EINVAL);
    close_handle(fixture, ends[0]);
    close_handle(fixture, ends[1]);
    close_handle(fixture, handle);
}

/* Which is due at once. */
static int64_t wait_for_timer(struct fixture *fixture)
{
    struct recorded timer = {.op = {.kind = IO_TIMER, .handle = io_handle_none}};
    start(fixture, &timer);
    return finish(fixture, &timer);
}

/* A loop that is never idle hands it over. */
static void a_busy_loop_has_its_brief_sync_made(void **state)
{
    struct fixture *fixture = *state;
    const int32_t handle = open_file(fixture, "file", IO_OPEN_WRITE | IO_OPEN_CREATE);
    for (uint32_t round = 0; round < 20; round++) {
        struct recorded sync = {.op = {.kind = IO_SYNC, .handle = handle}};
        sync.op.sync.is_brief = true;
        assert_int_equal(write_text(fixture, handle, "colony", 6 * round), 6);
        start(fixture, &sync);
        while (sync.done_count == 0)
            assert_int_equal(wait_for_timer(fixture), 0);
        assert_int_equal(sync.result, 0);
    }
    close_handle(fixture, handle);
}

/* The lock that java.nio's FileChannel takes. */
static int lock_as_a_jvm(const char *path)
{
    const int handle = open(path, O_RDWR | O_CLOEXEC);
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    const int result = fcntl(handle, F_SETLK, &whole);
    close(handle);
    return result;
}

static void a_lock_excludes_others(void **state)
{
    struct fixture *fixture = *state;
    const uint32_t flags = IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE;
    const int32_t first = open_file(fixture, ".lock", flags);
    const int32_t second = open_file(fixture, ".lock", flags);
    assert_int_equal(io_lock(fixture->io, first), 0);
    assert_int_equal(io_lock(fixture->io, second), -EBUSY);
    assert_int_equal(lock_as_a_jvm(path_of(fixture, ".lock")), -1);
    close_handle(fixture, first);
    assert_int_equal(lock_as_a_jvm(path_of(fixture, ".lock")), 0);
    assert_int_equal(io_lock(fixture->io, second), 0);
    close_handle(fixture, second);

    const int32_t directory = open_file(fixture, ".", IO_OPEN_READ | IO_OPEN_DIRECTORY);
    const int32_t again = open_file(fixture, ".", IO_OPEN_READ | IO_OPEN_DIRECTORY);
    assert_int_equal(io_lock(fixture->io, directory), 0);
    assert_int_equal(io_lock(fixture->io, again), -EBUSY);
    close_handle(fixture, directory);
    close_handle(fixture, again);
}

static void more_file_operations_than_any_queue_has_room_for(void **state)
{
    enum { op_count = 3000 };
    static struct recorded ops[op_count];
    static uint8_t bytes[op_count];
    struct fixture *fixture = *state;
    const int32_t handle =
        open_file(fixture, "file", IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE);
    assert_int_equal(write_text(fixture, handle, "x", 0), 1);
    for (uint32_t index = 0; index < op_count; index++) {
        struct io_op *op = &ops[index].op;
        *op = (struct io_op){.kind = IO_READ, .handle = handle};
        op->read.data = &bytes[index];
        op->read.size = 1;
        start(fixture, &ops[index]);
    }
    for (uint32_t index = 0; index < op_count; index++) {
        assert_int_equal(finish(fixture, &ops[index]), 1);
        assert_int_equal(bytes[index], 'x');
    }
    close_handle(fixture, handle);
}

/* Sockets. */

struct pair {
    int32_t listener;
    struct io_address address;
    int32_t client;
    int32_t server;
    struct io_address peer; /* Of server. */
};

static void open_listener(struct fixture *fixture, struct pair *pair)
{
    assert_int_equal(io_resolve(fixture->io, "127.0.0.1", 0, &pair->address), 0);
    pair->listener = io_listen(fixture->io, &pair->address, 16);
    assert_true(pair->listener >= 0);
    assert_int_not_equal(pair->address.port, 0);
}

static void open_pair(struct fixture *fixture, struct pair *pair)
{
    open_listener(fixture, pair);
    struct recorded accept = {.op = {.kind = IO_ACCEPT, .handle = pair->listener}};
    struct recorded connect = {.op = {.kind = IO_CONNECT}};
    connect.op.peer.address = pair->address;
    start(fixture, &accept);
    start(fixture, &connect);
    pair->client = (int32_t)finish(fixture, &connect);
    pair->server = (int32_t)finish(fixture, &accept);
    pair->peer = accept.op.peer.address;
    assert_true(pair->client >= 0 && pair->server >= 0);
}

static void close_pair(struct fixture *fixture, struct pair *pair)
{
    close_handle(fixture, pair->client);
    close_handle(fixture, pair->server);
    close_handle(fixture, pair->listener);
}

static void prepare_send(struct recorded *send, int32_t handle, struct iovec *vectors,
                         uint32_t count)
{
    *send = (struct recorded){.op = {.kind = IO_SEND, .handle = handle}};
    send->op.write.vectors = vectors;
    send->op.write.vector_count = count;
}

static void prepare_recv(struct recorded *recv, int32_t handle, void *data, size_t size)
{
    *recv = (struct recorded){.op = {.kind = IO_RECV, .handle = handle}};
    recv->op.read.data = data;
    recv->op.read.size = size;
}

static void sockets_carry_bytes_both_ways(void **state)
{
    struct fixture *fixture = *state;
    struct pair pair = {0};
    open_pair(fixture, &pair);
    assert_true(io_address_is_ipv4(&pair.peer));
    assert_int_not_equal(pair.peer.port, 0);

    struct iovec vectors[2] = {{"jack", 4}, {"daw", 3}};
    char text[16];
    struct recorded recv, send;
    prepare_recv(&recv, pair.server, text, sizeof text);
    start(fixture, &recv);
    prepare_send(&send, pair.client, vectors, 2);
    start(fixture, &send);
    assert_int_equal(finish(fixture, &send), 7);
    assert_int_equal(finish(fixture, &recv), 7);
    assert_memory_equal(text, "jackdaw", 7);

    prepare_recv(&recv, pair.client, text, sizeof text);
    start(fixture, &recv);
    io_shutdown(fixture->io, pair.server);
    assert_int_equal(finish(fixture, &recv), 0);
    close_pair(fixture, &pair);
}

static int option_of(int32_t handle, int level, int option)
{
    int value = 0;
    socklen_t size = sizeof value;
    assert_int_equal(getsockopt(handle, level, option, &value, &size), 0);
    return value;
}

static void sockets_have_no_delay(void **state)
{
    struct fixture *fixture = *state;
    struct pair pair = {0};
    open_pair(fixture, &pair);
    assert_int_equal(option_of(pair.client, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option_of(pair.server, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option_of(pair.server, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option_of(pair.server, IPPROTO_TCP, TCP_KEEPIDLE), 60);
    assert_int_equal(option_of(pair.listener, SOL_SOCKET, SO_REUSEADDR), 1);
    close_pair(fixture, &pair);
}

static void a_send_larger_than_the_socket_is_completed(void **state)
{
    enum { size = 24 << 20 };
    struct fixture *fixture = *state;
    struct pair pair = {0};
    open_pair(fixture, &pair);
    uint8_t *bytes = heap_take(&fixture->heap, size);
    uint8_t *received = heap_take(&fixture->heap, size);
    for (uint32_t index = 0; index < size; index++)
        bytes[index] = (uint8_t)(index * 31 + (index >> 12));
    struct iovec vectors[3] = {{bytes, 1}, {bytes + 1, size / 2}, {bytes + 1 + size / 2, 0}};
    vectors[2].iov_len = size - 1 - size / 2;
    struct recorded send;
    prepare_send(&send, pair.server, vectors, 3);
    start(fixture, &send);

    for (uint64_t at = 0; at < size;) {
        struct recorded recv;
        prepare_recv(&recv, pair.client, received + at, min_u64(size - at, 100000));
        start(fixture, &recv);
        const int64_t result = finish(fixture, &recv);
        assert_true(result > 0);
        at += (uint64_t)result;
    }
    assert_int_equal(finish(fixture, &send), size);
    assert_memory_equal(bytes, received, size);
    heap_give(&fixture->heap, bytes);
    heap_give(&fixture->heap, received);
    close_pair(fixture, &pair);
}

static void a_blocked_send_ends_by_shutdown(void **state)
{
    enum { size = 24 << 20 };
    struct fixture *fixture = *state;
    struct pair pair = {0};
    open_pair(fixture, &pair);
    uint8_t *bytes = heap_take_zeroed(&fixture->heap, size);
    struct iovec vector = {bytes, size};
    struct recorded send;
    prepare_send(&send, pair.server, &vector, 1);
    start(fixture, &send);
    for (uint32_t round = 0; round < 50; round++)
        io_run(fixture->io, millisecond_ns);
    assert_int_equal(send.done_count, 0);
    io_shutdown(fixture->io, pair.server);
    assert_true(finish(fixture, &send) < 0);
    heap_give(&fixture->heap, bytes);
    close_pair(fixture, &pair);
}

static void a_refused_connect_says_so(void **state)
{
    struct fixture *fixture = *state;
    struct pair pair = {0};
    open_listener(fixture, &pair);
    close_handle(fixture, pair.listener);
    struct recorded connect = {.op = {.kind = IO_CONNECT}};
    connect.op.peer.address = pair.address;
    start(fixture, &connect);
    assert_int_equal(finish(fixture, &connect), -ECONNREFUSED);
}

static void a_port_in_use_says_so(void **state)
{
    struct fixture *fixture = *state;
    struct pair pair = {0};
    open_listener(fixture, &pair);
    struct io_address again = pair.address;
    assert_int_equal(io_listen(fixture->io, &again, 16), -EADDRINUSE);
    close_handle(fixture, pair.listener);
}

static void the_wildcard_takes_both_families(void **state)
{
    struct fixture *fixture = *state;
    struct pair pair = {0};
    assert_int_equal(io_resolve(fixture->io, NULL, 0, &pair.address), 0);
    pair.listener = io_listen(fixture->io, &pair.address, 16);
    assert_true(pair.listener >= 0);
    struct recorded accept = {.op = {.kind = IO_ACCEPT, .handle = pair.listener}};
    struct recorded connect = {.op = {.kind = IO_CONNECT}};
    assert_int_equal(
        io_resolve(fixture->io, "localhost", pair.address.port, &connect.op.peer.address), 0);
    start(fixture, &accept);
    start(fixture, &connect);
    pair.client = (int32_t)finish(fixture, &connect);
    pair.server = (int32_t)finish(fixture, &accept);
    assert_true(io_address_is_ipv4(&accept.op.peer.address));
    close_pair(fixture, &pair);
}

static void an_op_on_a_socket_is_canceled(void **state)
{
    struct fixture *fixture = *state;
    struct pair pair = {0};
    char byte;
    open_pair(fixture, &pair);
    struct recorded accept = {.op = {.kind = IO_ACCEPT, .handle = pair.listener}};
    struct recorded recv;
    prepare_recv(&recv, pair.client, &byte, 1);
    start(fixture, &accept);
    start(fixture, &recv);
    io_run(fixture->io, 0);
    io_cancel(fixture->io, &accept.op);
    io_cancel(fixture->io, &recv.op);
    assert_int_equal(recv.done_count, 0);
    assert_int_equal(finish(fixture, &accept), -ECANCELED);
    assert_int_equal(finish(fixture, &recv), -ECANCELED);

    prepare_recv(&recv, pair.client, &byte, 1);
    start(fixture, &recv);
    struct iovec vector = {"x", 1};
    struct recorded send;
    prepare_send(&send, pair.server, &vector, 1);
    start(fixture, &send);
    assert_int_equal(finish(fixture, &recv), 1);
    assert_int_equal(finish(fixture, &send), 1);
    close_pair(fixture, &pair);
}

/* The backlog of the listener is full, so the connect can but wait. */
static void a_connect_is_canceled(void **state)
{
    enum { crowd_count = 8 };
    struct fixture *fixture = *state;
    struct io_address address;
    assert_int_equal(io_resolve(fixture->io, "127.0.0.1", 0, &address), 0);
    const int32_t listener = io_listen(fixture->io, &address, 1);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(address.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int crowd[crowd_count];
    for (uint32_t index = 0; index < crowd_count; index++) {
        crowd[index] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(crowd[index], (struct sockaddr *)&to, sizeof to);
    }

    struct recorded connect = {.op = {.kind = IO_CONNECT}};
    connect.op.peer.address = address;
    start(fixture, &connect);
    for (uint32_t round = 0; round < 5; round++)
        io_run(fixture->io, millisecond_ns);
    assert_int_equal(connect.done_count, 0);
    io_cancel(fixture->io, &connect.op);
    assert_int_equal(finish(fixture, &connect), -ECANCELED);
    for (uint32_t index = 0; index < crowd_count; index++)
        close(crowd[index]);
    close_handle(fixture, listener);
}

static void a_reset_is_reported(void **state)
{
    struct fixture *fixture = *state;
    struct pair pair = {0};
    char byte;
    open_pair(fixture, &pair);
    struct recorded recv;
    prepare_recv(&recv, pair.server, &byte, 1);
    start(fixture, &recv);
    io_run(fixture->io, 0);
    const struct linger now = {.l_onoff = 1};
    assert_int_equal(setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close_handle(fixture, pair.client);
    assert_int_equal(finish(fixture, &recv), -ECONNRESET);
    close_handle(fixture, pair.server);
    close_handle(fixture, pair.listener);
}

/* Ranges of files. */

enum { big_file_bytes = 12 << 20 };

static uint8_t byte_of_file(uint64_t offset)
{
    return (uint8_t)(offset * 13 + (offset >> 10) + (offset >> 18) * 7);
}

static int32_t make_big_file(struct fixture *fixture)
{
    const int32_t handle = open_file(fixture, "big", IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE);
    uint8_t *bytes = heap_take(&fixture->heap, big_file_bytes);
    for (uint32_t index = 0; index < big_file_bytes; index++)
        bytes[index] = byte_of_file(index);
    struct iovec vector = {bytes, big_file_bytes};
    struct io_op op = {.kind = IO_WRITE, .handle = handle};
    op.write.vectors = &vector;
    op.write.vector_count = 1;
    assert_int_equal(io_wait(fixture->io, &op), big_file_bytes);
    heap_give(&fixture->heap, bytes);
    return handle;
}

static void prepare_send_file(struct recorded *send, int32_t socket, int32_t file, uint64_t offset,
                              uint64_t size)
{
    *send = (struct recorded){.op = {.kind = IO_SEND_FILE, .handle = socket}};
    send->op.send_file.file = file;
    send->op.send_file.offset = offset;
    send->op.send_file.size = size;
}

static void receive_and_compare(struct fixture *fixture, int32_t socket, uint64_t offset,
                                uint64_t size)
{
    static uint8_t bytes[300000];
    for (uint64_t at = 0; at < size;) {
        struct recorded recv;
        prepare_recv(&recv, socket, bytes, min_u64(size - at, sizeof bytes));
        start(fixture, &recv);
        const int64_t result = finish(fixture, &recv);
        assert_true(result > 0);
        for (int64_t index = 0; index < result; index++)
            assert_int_equal(bytes[index], byte_of_file(offset + at++));
    }
}

static void send_big_file(struct fixture *fixture, int32_t file)
{
    struct pair pair = {0};
    open_pair(fixture, &pair);
    struct recorded send;
    prepare_send_file(&send, pair.server, file, 12345, big_file_bytes - 23456);
    start(fixture, &send);
    receive_and_compare(fixture, pair.client, 12345, big_file_bytes - 23456);
    assert_int_equal(finish(fixture, &send), big_file_bytes - 23456);

    prepare_send_file(&send, pair.server, file, 0, 0);
    start(fixture, &send);
    assert_int_equal(finish(fixture, &send), 0);
    close_pair(fixture, &pair);
}

static void a_file_range_is_sent(void **state)
{
    struct fixture *fixture = *state;
    const int32_t file = make_big_file(fixture);
    send_big_file(fixture, file);
    close_handle(fixture, file);
}

static void send_with_front(struct fixture *fixture, const struct pair *pair, uint64_t front_size,
                            struct io_op range)
{
    uint8_t *front = heap_take(&fixture->heap, front_size);
    for (uint32_t index = 0; index < front_size; index++)
        front[index] = byte_of_file(index);
    struct iovec vectors[] = {{front, 3}, {front + 3, front_size - 3}};
    struct recorded send;
    prepare_send_file(&send, pair->server, range.send_file.file, range.send_file.offset,
                      range.send_file.size);
    send.op.send_file.vectors = vectors;
    send.op.send_file.vector_count = ARRAY_COUNT(vectors);
    start(fixture, &send);
    receive_and_compare(fixture, pair->client, 0, front_size);
    receive_and_compare(fixture, pair->client, range.send_file.offset, range.send_file.size);
    assert_int_equal(finish(fixture, &send), front_size + range.send_file.size);
    heap_give(&fixture->heap, front);
}

/* Bytes in front, few or more than the socket takes at once; a file range that is copied, and one
 * that is not. */
static void bytes_go_in_front_of_a_file_range(void **state)
{
    struct fixture *fixture = *state;
    const int32_t file = make_big_file(fixture);
    struct pair pair = {0};
    open_pair(fixture, &pair);
    const uint64_t fronts[] = {10, big_file_bytes};
    const uint64_t sizes[] = {1, 5000, 64 * 1024, 100000};
    for (size_t front = 0; front < ARRAY_COUNT(fronts); front++) {
        for (size_t size = 0; size < ARRAY_COUNT(sizes); size++) {
            struct io_op range = {.handle = 0};
            range.send_file.file = file;
            range.send_file.offset = 99;
            range.send_file.size = sizes[size];
            send_with_front(fixture, &pair, fronts[front], range);
        }
    }
    close_handle(fixture, file);
    close_pair(fixture, &pair);
}

static void a_cold_file_range_is_sent(void **state)
{
    struct fixture *fixture = *state;
    const int32_t file = make_big_file(fixture);
    assert_int_equal(act_on_range(fixture, IO_SYNC, file, 0, 0), 0);
    assert_int_equal(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
    send_big_file(fixture, file);
    close_handle(fixture, file);
}

static void a_range_beyond_the_file_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    struct pair pair = {0};
    open_pair(fixture, &pair);
    const int32_t file = make_big_file(fixture);
    struct recorded send;
    prepare_send_file(&send, pair.server, file, big_file_bytes - 100, 200);
    start(fixture, &send);
    receive_and_compare(fixture, pair.client, big_file_bytes - 100, 100);
    assert_int_equal(finish(fixture, &send), -EIO);
    close_handle(fixture, file);
    close_pair(fixture, &pair);
}

static void a_file_range_to_a_peer_that_is_gone_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    struct pair pair = {0};
    open_pair(fixture, &pair);
    const int32_t file = make_big_file(fixture);
    struct recorded send;
    prepare_send_file(&send, pair.server, file, 0, big_file_bytes);
    start(fixture, &send);
    for (uint32_t round = 0; round < 20; round++)
        io_run(fixture->io, millisecond_ns);
    assert_int_equal(send.done_count, 0);
    close_handle(fixture, pair.client);
    const int64_t result = finish(fixture, &send);
    assert_true(result == -EPIPE || result == -ECONNRESET);
    close_handle(fixture, file);
    close_handle(fixture, pair.server);
    close_handle(fixture, pair.listener);
}

/* Time, waking, limits. */

static void start_timer(struct fixture *fixture, struct recorded *timer, uint64_t after_ns)
{
    *timer = (struct recorded){.op = {.kind = IO_TIMER}};
    timer->op.timer.deadline_ns = io_now_ns(fixture->io) + after_ns;
    start(fixture, timer);
}

static void timers_end_in_order_and_never_early(void **state)
{
    static const uint64_t after_ms[] = {30, 10, 20, 10, 0};
    static const uint32_t order[] = {5, 2, 4, 3, 1};
    struct fixture *fixture = *state;
    struct recorded timers[ARRAY_COUNT(after_ms)];
    recorded_count = 0;
    for (size_t index = 0; index < ARRAY_COUNT(after_ms); index++)
        start_timer(fixture, &timers[index], after_ms[index] * millisecond_ns);
    for (size_t index = 0; index < ARRAY_COUNT(after_ms); index++) {
        assert_int_equal(finish(fixture, &timers[index]), 0);
        assert_true(io_now_ns(fixture->io) >= timers[index].op.timer.deadline_ns);
    }
    for (size_t index = 0; index < ARRAY_COUNT(after_ms); index++)
        assert_int_equal(timers[index].order, order[index]);
}

static void a_timer_is_canceled(void **state)
{
    struct fixture *fixture = *state;
    struct recorded late, soon;
    start_timer(fixture, &late, 1000 * (uint64_t)second_ns);
    start_timer(fixture, &soon, millisecond_ns);
    io_cancel(fixture->io, &late.op);
    assert_int_equal(late.done_count, 0);
    assert_int_equal(finish(fixture, &late), -ECANCELED);
    assert_int_equal(finish(fixture, &soon), 0);
}

static void run_ends_when_its_wait_is_over(void **state)
{
    struct fixture *fixture = *state;
    io_run(fixture->io, 0);
    const uint64_t start_ns = io_now_ns(fixture->io);
    do
        io_run(fixture->io, 5 * millisecond_ns);
    while (io_now_ns(fixture->io) < start_ns + 5 * millisecond_ns);
    assert_true(io_now_ns(fixture->io) < start_ns + second_ns);
}

static void *wake_from_thread(void *io)
{
    io_wake(io);
    return NULL;
}

static void another_thread_wakes_the_loop(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t round = 0; round < 20; round++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, wake_from_thread, fixture->io), 0);
        io_run(fixture->io, UINT64_MAX);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
}

static void without_descriptors_clients_see_an_end(void **state)
{
    struct fixture *fixture = *state;
    struct pair pair = {0};
    open_pair(fixture, &pair);
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit tight = {.rlim_cur = (rlim_t)client + 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);

    struct recorded accept = {.op = {.kind = IO_ACCEPT, .handle = pair.listener}};
    start(fixture, &accept);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(pair.address.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(finish(fixture, &accept), -EMFILE);
    char byte;
    assert_int_equal(recv(client, &byte, 1, 0), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    close(client);
    close_pair(fixture, &pair);
}

static void entropy_and_clocks_and_space_answer(void **state)
{
    struct fixture *fixture = *state;
    uint64_t first = 0, second = 0;
    io_entropy(fixture->io, &first, sizeof first);
    io_entropy(fixture->io, &second, sizeof second);
    assert_int_not_equal(first, second);
    assert_true(io_wall_ms(fixture->io) > 1600000000000);
    assert_true(io_disk_free_bytes(fixture->io, fixture->directory) > 0);
    assert_int_equal(io_disk_free_bytes(fixture->io, "/missing/directory"), 0);
    struct io_address address;
    assert_int_not_equal(io_resolve(fixture->io, "no-such-host.invalid", 1, &address), 0);
}

/* As a container's seccomp profile does. */
static void forbid_io_uring(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = ARRAY_COUNT(filter), .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(2);
}

static void check_fallback(void)
{
    struct fixture fixture = {.diag = {.write = keep_line}};
    heap_init(&fixture.heap, (struct heap_options){.limit_bytes = 64 << 20});
    forbid_io_uring();
    if (io_create(&fixture.io, &fixture.heap, &fixture.diag, IO_CHOICE_URING) != ERR_PERMISSION)
        _exit(3);
    fixture.diag_line_count = 0;
    if (io_create(&fixture.io, &fixture.heap, &fixture.diag, IO_CHOICE_AUTO) != ERR_OK)
        _exit(4);
    if (strcmp(fixture.io->world->name, "libuv") != 0 || fixture.diag_line_count != 1)
        _exit(5);
    if (strstr(fixture.last_line, "io_uring is not available") == NULL)
        _exit(6);
    io_destroy(fixture.io);
    _exit(fixture.heap.block_count == 0 ? 0 : 7);
}

static void where_io_uring_is_forbidden_libuv_takes_over(void **state)
{
    (void)state;
    const pid_t child = fork();
    if (child == 0)
        check_fallback();
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static bool has_io_uring(void)
{
    struct fixture fixture = {.diag = {.write = keep_line}};
    heap_init(&fixture.heap, (struct heap_options){.limit_bytes = 64 << 20});
    const bool has =
        io_create(&fixture.io, &fixture.heap, &fixture.diag, IO_CHOICE_URING) == ERR_OK;
    if (has)
        io_destroy(fixture.io);
    return has;
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* As Java prints them: clients compare such text. */
static void addresses_are_printed_in_full(void **state)
{
    (void)state;
    char text[io_address_text_max];
    const struct io_address loopback = {.bytes = {[15] = 1}, .port = 2181};
    assert_string_equal(io_address_print(&loopback, text, sizeof text), "[0:0:0:0:0:0:0:1]:2181");
    const struct io_address six = {.bytes = {0x20, 0x01, 0x0d, 0xb8, [14] = 0xff, [15] = 0x0a}};
    assert_string_equal(io_address_print_host(&six, text, sizeof text), "2001:db8:0:0:0:0:0:ff0a");
    const struct io_address four = {.bytes = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1},
                                    .port = 65535};
    assert_string_equal(io_address_print(&four, text, sizeof text), "127.0.0.1:65535");
    struct io_address longest = {.port = 65535};
    memset(longest.bytes, 0xee, sizeof longest.bytes);
    assert_string_equal(io_address_print(&longest, text, sizeof text),
                        "[eeee:eeee:eeee:eeee:eeee:eeee:eeee:eeee]:65535");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_file_is_written_and_read),
        WORLD_TEST(many_vectors_are_written_in_order),
        WORLD_TEST(a_file_is_extended_and_cut),
        WORLD_TEST(brief_syncs_end),
        WORLD_TEST(a_busy_loop_has_its_brief_sync_made),
        WORLD_TEST(names_are_made_moved_and_removed),
        WORLD_TEST(a_lock_excludes_others),
        WORLD_TEST(more_file_operations_than_any_queue_has_room_for),
        WORLD_TEST(sockets_carry_bytes_both_ways),
        WORLD_TEST(sockets_have_no_delay),
        WORLD_TEST(a_send_larger_than_the_socket_is_completed),
        WORLD_TEST(a_blocked_send_ends_by_shutdown),
        WORLD_TEST(a_refused_connect_says_so),
        WORLD_TEST(a_port_in_use_says_so),
        WORLD_TEST(the_wildcard_takes_both_families),
        WORLD_TEST(an_op_on_a_socket_is_canceled),
        WORLD_TEST(a_connect_is_canceled),
        WORLD_TEST(a_reset_is_reported),
        WORLD_TEST(a_file_range_is_sent),
        WORLD_TEST(bytes_go_in_front_of_a_file_range),
        WORLD_TEST(a_cold_file_range_is_sent),
        WORLD_TEST(a_range_beyond_the_file_is_an_error),
        WORLD_TEST(a_file_range_to_a_peer_that_is_gone_is_an_error),
        WORLD_TEST(timers_end_in_order_and_never_early),
        WORLD_TEST(a_timer_is_canceled),
        WORLD_TEST(run_ends_when_its_wait_is_over),
        WORLD_TEST(another_thread_wakes_the_loop),
        WORLD_TEST(without_descriptors_clients_see_an_end),
        WORLD_TEST(entropy_and_clocks_and_space_answer),
    };
    const struct CMUnitTest choice_tests[] = {
        cmocka_unit_test(where_io_uring_is_forbidden_libuv_takes_over),
        cmocka_unit_test(addresses_are_printed_in_full)};
    int failed = 0;
    choice = IO_CHOICE_URING;
    if (has_io_uring())
        failed += cmocka_run_group_tests_name("io on io_uring", tests, NULL, NULL);
    choice = IO_CHOICE_UV;
    failed += cmocka_run_group_tests_name("io on libuv", tests, NULL, NULL);
    failed += cmocka_run_group_tests_name("choice of io", choice_tests, NULL, NULL);
    return failed;
}
