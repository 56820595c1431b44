#include "test/unit_test.h"

#include "sim/sim_net.h"
#include "sim/sim_node.h"

#include <errno.h>

static const uint64_t second_ns = 1000000000;

static struct sim_options options(uint64_t seed)
{
    return (struct sim_options){
        .seed = seed,
        .node_count = 3,
        .faults = {.delay_ns_min = 100000,
                   .delay_ns_mean = 1000000,
                   .segment_bytes_max = 64,
                   .disk_ns_mean = 50000,
                   .sync_ns_mean = 500000,
                   .short_read_per_million = 300000,
                   .clock_drift_ppm_max = 200},
    };
}

static int64_t run_open(struct io *io, const char *path, uint32_t flags)
{
    struct io_op op = {
        .kind = IO_OPEN, .handle = io_handle_none, .path = {.path = path, .flags = flags}};
    return io_wait(io, &op);
}

static int64_t run_write(struct io *io, int64_t handle, const char *text, uint64_t offset)
{
    struct iovec vector = {(void *)(uintptr_t)text, strlen(text)};
    struct io_op op = {.kind = IO_WRITE,
                       .handle = (int32_t)handle,
                       .write = {.vectors = &vector, .vector_count = 1, .offset = offset}};
    return io_wait(io, &op);
}

static int64_t run_handle(struct io *io, enum io_kind kind, int64_t handle)
{
    struct io_op op = {.kind = kind, .handle = (int32_t)handle};
    return io_wait(io, &op);
}

static int64_t run_path(struct io *io, enum io_kind kind, const char *path, const char *path_to)
{
    struct io_op op = {
        .kind = kind, .handle = io_handle_none, .path = {.path = path, .path_to = path_to}};
    return io_wait(io, &op);
}

static void sync_directory(struct io *io, const char *path)
{
    const int64_t handle = run_open(io, path, IO_OPEN_READ | IO_OPEN_DIRECTORY);
    assert_true(handle >= 0);
    assert_int_equal(run_handle(io, IO_SYNC, handle), 0);
    assert_int_equal(run_handle(io, IO_CLOSE, handle), 0);
}

static const uint32_t create = IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE;

static void assert_text(struct slice bytes, const char *text)
{
    assert_non_null(bytes.data);
    assert_int_equal(bytes.size, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.size);
}

static void test_unsynced_bytes_and_names_are_lost(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, options(1));
    struct sim_node *node = sim.nodes[0];
    const int64_t a = run_open(node->io, "/a", create);
    assert_int_equal(run_write(node->io, a, "hello", 0), 5);
    assert_int_equal(run_handle(node->io, IO_SYNC, a), 0);
    sync_directory(node->io, "/");
    assert_int_equal(run_write(node->io, a, " world", 5), 6);
    const int64_t b = run_open(node->io, "/b", create);
    assert_int_equal(run_write(node->io, b, "no name", 0), 7);
    assert_int_equal(run_handle(node->io, IO_SYNC, b), 0); /* The bytes, not the name. */
    assert_text(sim_disk_peek(&node->disk, "/a"), "hello world");

    sim_node_lose_power(node, SIM_LOSS_ALL);
    assert_text(sim_disk_peek(&node->disk, "/a"), "hello");
    assert_null(sim_disk_peek(&node->disk, "/b").data);
    sim_deinit(&sim);
}

static void test_kill_keeps_the_page_cache(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, options(2));
    struct sim_node *node = sim.nodes[0];
    const int64_t a = run_open(node->io, "/a", create);
    assert_int_equal(run_write(node->io, a, "hello", 0), 5);
    sim_node_kill(node);
    assert_text(sim_disk_peek(&node->disk, "/a"), "hello");
    sim_deinit(&sim);
}

static void test_rename_can_outlive_its_bytes(void **state)
{
    (void)state;
    uint32_t empty_count = 0;
    uint32_t old_count = 0;
    for (uint64_t seed = 0; seed < 64; seed++) {
        struct sim sim;
        sim_init(&sim, options(seed));
        struct sim_node *node = sim.nodes[0];
        const int64_t old = run_open(node->io, "/f", create);
        assert_int_equal(run_write(node->io, old, "old", 0), 3);
        assert_int_equal(run_handle(node->io, IO_SYNC, old), 0);
        sync_directory(node->io, "/");
        const int64_t new = run_open(node->io, "/f.tmp", create);
        assert_int_equal(run_write(node->io, new, "new", 0), 3);
        assert_int_equal(run_path(node->io, IO_RENAME, "/f.tmp", "/f"), 0);
        sim_node_lose_power(node, SIM_LOSS_SUBSET);
        const struct slice bytes = sim_disk_peek(&node->disk, "/f");
        assert_non_null(bytes.data);
        empty_count += !slice_equal_text(bytes, "old") && !slice_equal_text(bytes, "new");
        old_count += slice_equal_text(bytes, "old");
        sim_deinit(&sim);
    }
    assert_in_range(empty_count, 5, 60);
    assert_in_range(old_count, 5, 60);
}

static void test_torn_write(void **state)
{
    (void)state;
    bool seen[11] = {false};
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct sim sim;
        sim_init(&sim, options(seed));
        struct sim_node *node = sim.nodes[0];
        const int64_t a = run_open(node->io, "/a", create);
        sync_directory(node->io, "/");
        assert_int_equal(run_write(node->io, a, "0123456789", 0), 10);
        sim_node_lose_power(node, SIM_LOSS_TORN);
        const struct slice bytes = sim_disk_peek(&node->disk, "/a");
        assert_non_null(bytes.data);
        assert_memory_equal(bytes.data, "0123456789", bytes.size);
        seen[bytes.size] = true;
        sim_deinit(&sim);
    }
    for (int size = 0; size <= 10; size++)
        assert_true(seen[size]);
}

static void test_failed_sync_is_not_repeated_by_the_kernel(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, options(3));
    struct sim_node *node = sim.nodes[0];
    const int64_t a = run_open(node->io, "/a", create);
    sync_directory(node->io, "/");
    assert_int_equal(run_write(node->io, a, "hello", 0), 5);
    node->disk.error_boundary = node->disk.boundary_count + 1;
    assert_int_equal(run_handle(node->io, IO_SYNC, a), -EIO);
    assert_int_equal(run_handle(node->io, IO_SYNC, a), 0); /* The kernel's lie. */
    assert_text(sim_disk_peek(&node->disk, "/a"), "hello");
    sim_node_lose_power(node, SIM_LOSS_NONE);
    assert_text(sim_disk_peek(&node->disk, "/a"), "");
    sim_deinit(&sim);
}

static void sync_and_wait(struct sim_node *node, void *argument)
{
    struct io_op op = {.kind = IO_SYNC};
    const int64_t a = run_open(node->io, "/a", create);
    (void)argument;
    assert_int_equal(run_write(node->io, a, "hello", 0), 5);
    op.handle = (int32_t)a;
    (void)io_wait(node->io, &op);
}

static void sync_again(struct sim_node *node, void *argument)
{
    (void)argument;
    assert_int_equal(run_handle(node->io, IO_SYNC, run_open(node->io, "/a", create)), 0);
    sync_directory(node->io, "/");
}

/* What a process that was killed has not heard, nobody knows: the next one may rely on its sync. */
static void test_a_sync_of_a_killed_process_does_not_fail(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 16; seed++) {
        struct sim sim;
        sim_init(&sim, options(seed));
        struct sim_node *node = sim.nodes[0];
        sim.faults.sync_error_per_million = 1000000;
        sim.faults.sync_ns_mean = 1000 * second_ns;
        sim_node_start(node, sync_and_wait, NULL);
        assert_false(sim_node_wait(node, second_ns));
        sim_node_kill(node);
        sim.faults = (struct sim_faults){0};
        sim_node_start(node, sync_again, NULL);
        assert_true(sim_node_wait(node, UINT64_MAX));
        sim_node_lose_power(node, SIM_LOSS_ALL);
        assert_text(sim_disk_peek(&node->disk, "/a"), "hello");
        sim_deinit(&sim);
    }
}

static void test_quota(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, options(4));
    struct sim_node *node = sim.nodes[0];
    node->disk.quota_bytes = 8;
    const int64_t a = run_open(node->io, "/a", create);
    assert_int_equal(run_write(node->io, a, "12345678", 0), 8);
    assert_int_equal(run_write(node->io, a, "9", 8), -ENOSPC);
    assert_int_equal(run_write(node->io, a, "0", 7), 1);
    assert_int_equal(io_disk_free_bytes(node->io, "/"), 0);
    sim_deinit(&sim);
}

/* ---- Two processes that talk. ---- */

enum { talk_bytes = 20000, talk_port = 7000 };

struct talk {
    uint64_t hash;
    uint64_t received;
    int64_t sent;
    uint32_t round_trips;
    bool saw_end;
};

static void serve(struct sim_node *node, void *argument)
{
    struct talk *talk = argument;
    struct io_address address = {.port = talk_port};
    const int32_t listener = io_listen(node->io, &address, 10);
    assert_true(listener >= 0);
    struct io_op accept = {.kind = IO_ACCEPT, .handle = listener};
    const int64_t socket = io_wait(node->io, &accept);
    assert_true(socket >= 0);
    for (;;) {
        uint8_t buffer[777];
        struct io_op receive = {.kind = IO_RECV,
                                .handle = (int32_t)socket,
                                .read = {.data = buffer, .size = sizeof buffer}};
        const int64_t size = io_wait(node->io, &receive);
        if (size <= 0) {
            talk->saw_end = size == 0;
            return;
        }
        for (int64_t at = 0; at < size; at++)
            assert_int_equal(buffer[at], (uint8_t)(talk->received++ * 7));
    }
}

static void dial(struct sim_node *node, void *argument)
{
    struct talk *talk = argument;
    struct io_op connect = {.kind = IO_CONNECT, .handle = io_handle_none};
    const int resolved = io_resolve(node->io, "node0", talk_port, &connect.peer.address);
    assert_int_equal(resolved, 0);
    const int64_t socket = io_wait(node->io, &connect);
    if (socket < 0) {
        talk->sent = socket;
        return;
    }
    uint8_t *bytes = heap_take(&node->heap, talk_bytes);
    for (uint32_t at = 0; at < talk_bytes; at++)
        bytes[at] = (uint8_t)(at * 7);
    struct iovec vectors[2] = {{bytes, 123}, {bytes + 123, talk_bytes - 123}};
    struct io_op send = {.kind = IO_SEND,
                         .handle = (int32_t)socket,
                         .write = {.vectors = vectors, .vector_count = 2}};
    talk->sent = io_wait(node->io, &send);
    io_shutdown(node->io, (int32_t)socket);
    const int64_t closed = run_handle(node->io, IO_CLOSE, socket);
    assert_int_equal(closed, 0);
}

static struct talk run_talk(struct sim_options world, uint64_t *trace_hash)
{
    struct talk talk = {0};
    struct sim sim;
    sim_init(&sim, world);
    sim_node_start(sim.nodes[0], serve, &talk);
    sim_run(&sim, second_ns, NULL, NULL);
    sim_node_start(sim.nodes[1], dial, &talk);
    sim_node_wait(sim.nodes[0], 1000 * second_ns);
    *trace_hash = sim.trace_hash;
    sim_deinit(&sim);
    return talk;
}

static void test_stream_arrives_whole_in_any_pieces(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        uint64_t hash;
        struct sim_options world = options(seed);
        world.faults.send_buffer_bytes = seed % 2 == 0 ? 100 : 0;
        const struct talk talk = run_talk(world, &hash);
        assert_int_equal(talk.sent, talk_bytes);
        assert_int_equal(talk.received, talk_bytes);
        assert_true(talk.saw_end);
    }
}

static void test_resets_break_streams(void **state)
{
    (void)state;
    uint32_t broken_count = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        uint64_t hash;
        struct sim_options world = options(seed);
        world.faults.reset_per_million = 3000;
        world.faults.send_buffer_bytes = 1000;
        const struct talk talk = run_talk(world, &hash);
        broken_count += talk.received < talk_bytes;
        assert_true(talk.saw_end == (talk.received == talk_bytes));
    }
    assert_in_range(broken_count, 5, 20);
}

static void test_same_seed_same_run(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        uint64_t first;
        uint64_t second;
        uint64_t other;
        run_talk(options(seed), &first);
        struct heap heap; /* Other addresses the second time: pointers must not matter. */
        heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20, .tracked = true});
        assert_non_null(heap_take(&heap, 4096 + seed * 64));
        run_talk(options(seed), &second);
        heap_deinit(&heap);
        run_talk(options(seed + 1000), &other);
        assert_true(first == second);
        assert_true(first != other);
    }
}

static void test_nobody_listens(void **state)
{
    (void)state;
    struct talk talk = {0};
    struct sim sim;
    sim_init(&sim, options(5));
    sim_node_start(sim.nodes[1], dial, &talk);
    assert_true(sim_node_wait(sim.nodes[1], 100 * second_ns));
    assert_int_equal(talk.sent, -ECONNREFUSED);
    sim_net_block(&sim, 0, 1);
    sim_node_start(sim.nodes[1], dial, &talk);
    assert_true(sim_node_wait(sim.nodes[1], 200 * second_ns));
    assert_int_equal(talk.sent, -ETIMEDOUT);
    sim_deinit(&sim);
}

/* ---- A vanished peer: nothing is heard until something is sent. ---- */

struct patience {
    int64_t result;
    uint64_t waited_ns;
};

static void wait_for_bytes(struct sim_node *node, void *argument)
{
    struct patience *patience = argument;
    struct io_op connect = {.kind = IO_CONNECT, .handle = io_handle_none};
    connect.peer.address = sim_net_address(0, talk_port);
    const int64_t socket = io_wait(node->io, &connect);
    assert_true(socket >= 0);
    const uint64_t start = io_now_ns(node->io);
    uint8_t byte;
    struct io_op receive = {
        .kind = IO_RECV, .handle = (int32_t)socket, .read = {.data = &byte, .size = 1}};
    patience->result = io_wait(node->io, &receive);
    patience->waited_ns = io_now_ns(node->io) - start;
}

static void test_power_loss_is_silent_and_kill_is_not(void **state)
{
    (void)state;
    for (int silent = 0; silent < 2; silent++) {
        struct talk talk = {0};
        struct patience patience = {.result = 1};
        struct sim sim;
        sim_init(&sim, options(6));
        sim_node_start(sim.nodes[0], serve, &talk);
        sim_run(&sim, second_ns, NULL, NULL);
        sim_node_start(sim.nodes[1], wait_for_bytes, &patience);
        sim_run(&sim, 2 * second_ns, NULL, NULL);
        if (silent)
            sim_node_lose_power(sim.nodes[0], SIM_LOSS_ALL);
        else
            sim_node_kill(sim.nodes[0]);
        assert_int_equal(sim_node_wait(sim.nodes[1], 60 * second_ns), !silent);
        assert_int_equal(patience.result, silent ? 1 : 0);
        sim_deinit(&sim);
    }
}

static void test_cancelled_receive_and_timer(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, options(7));
    struct sim_node *node = sim.nodes[0];
    const uint64_t start = io_now_ns(node->io);
    struct io_op op = {.kind = IO_TIMER, .timer.deadline_ns = start + 5 * second_ns};
    assert_int_equal(io_wait(node->io, &op), 0);
    assert_in_range(io_now_ns(node->io) - start, 5 * second_ns, 5 * second_ns + 10000000);
    sim_deinit(&sim);
}

static void end_fatally(struct sim_node *node, void *argument)
{
    (void)argument;
    void *block = heap_take(&node->heap, 1000); /* Goes away with the process. */
    assert_non_null(block);
    io_fatal(node->io, "the end of %s", node->name);
}

static void test_fatal_ends_one_process(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, options(8));
    sim_node_start(sim.nodes[2], end_fatally, NULL);
    assert_true(sim_node_wait(sim.nodes[2], second_ns));
    assert_int_equal(sim.nodes[2]->end, SIM_NODE_FATAL);
    assert_string_equal(sim.nodes[2]->fatal_line, "the end of node2");
    assert_int_equal(sim.nodes[2]->heap.block_count, 0);
    sim_node_start(sim.nodes[2], end_fatally, NULL);
    assert_true(sim_node_wait(sim.nodes[2], second_ns));
    sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unsynced_bytes_and_names_are_lost),
        cmocka_unit_test(test_kill_keeps_the_page_cache),
        cmocka_unit_test(test_rename_can_outlive_its_bytes),
        cmocka_unit_test(test_torn_write),
        cmocka_unit_test(test_failed_sync_is_not_repeated_by_the_kernel),
        cmocka_unit_test(test_a_sync_of_a_killed_process_does_not_fail),
        cmocka_unit_test(test_quota),
        cmocka_unit_test(test_stream_arrives_whole_in_any_pieces),
        cmocka_unit_test(test_resets_break_streams),
        cmocka_unit_test(test_same_seed_same_run),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_power_loss_is_silent_and_kill_is_not),
        cmocka_unit_test(test_cancelled_receive_and_timer),
        cmocka_unit_test(test_fatal_ends_one_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
