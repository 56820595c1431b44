/* The load of a log directory whose process was killed: partitions share the time of its syncs, and
 * when the disk fails at any of its operations, what was begun ends before the memory goes, and the
 * next start finds everything. */
#include "server/broker/log_directory.h"
#include "server/broker/partition_store.h"
#include "test/unit_test.h"

#include "journal/small_file.h"
#include "sim/broker_rig.h"

#include <errno.h>
#include <stdio.h>

enum { few = 4, many = 64, batch_count = 5, batch_bytes = 400, sync_ms = 10 };

static const uint64_t ns_per_ms = 1000000;

static const char path[] = "/logs";

static struct sim sim;

/* What the process of the test is to do, and what came of it. */
static struct task {
    uint32_t boundary; /* Of the load, where the disk fails; 0: nowhere. */
    int error;
    bool is_filling; /* Partitions are made; no end. */
    uint32_t partition_count;
    enum partition_durability durability;
    enum err err;
    uint64_t load_ms;
    uint64_t load_syncs;
    uint64_t boundary_count; /* That the load and its end had. */
    int64_t end_offsets[many];
    int64_t durable_offsets[many];
} task;

static struct partition_config config_of(void *context, struct slice topic, int32_t partition)
{
    (void)context;
    (void)topic;
    (void)partition;
    return partition_config_default();
}

static void on_progress(void *context, struct partition_store *store)
{
    (void)context;
    (void)store;
}

static void on_offline(void *context, struct log_directory *directory, const char *reason)
{
    (void)context;
    (void)directory;
    (void)reason;
}

static void on_closed(void *context, enum err err)
{
    (void)err;
    *(bool *)context = true;
}

static void on_created(void *context, enum err err, struct partition_store *store)
{
    assert_int_equal(err, ERR_OK);
    *(struct partition_store **)context = store;
}

static void on_appended(struct partition_append *append, enum error_code code)
{
    assert_int_equal(code, KAFKA_NONE);
    append->done = NULL;
}

static void append(struct io *io, struct partition_store *store)
{
    uint8_t memory[batch_bytes];
    struct record_batch_writer writer;
    record_batch_writer_init(&writer, memory, sizeof memory, 1000);
    assert_true(record_batch_writer_add(&writer, SLICE_NULL, SLICE_LITERAL("value")));
    struct partition_append append = {.data = memory,
                                      .size = (uint32_t)record_batch_writer_finish(&writer).size,
                                      .durability = task.durability,
                                      .done = on_appended};
    assert_int_equal(partition_store_append(store, &append), KAFKA_NONE);
    while (append.done != NULL)
        io_run(io, UINT64_MAX);
}

/* Some partitions, one that has no file yet, one that was deleted, and no clean end. */
static void fill(struct io *io, struct log_directory *directory)
{
    for (int32_t index = 0; index < (int32_t)task.partition_count; index++) {
        struct partition_store *store = NULL;
        log_directory_create(directory,
                             (struct partition_spec){.topic = SLICE_LITERAL("t"),
                                                     .partition = index,
                                                     .id = {{1, 2, 3}},
                                                     .config = partition_config_default()},
                             on_created, &store);
        while (store == NULL)
            io_run(io, UINT64_MAX);
        partition_store_lead(store, index);
        for (int i = 0; i < batch_count; i++)
            append(io, store);
    }
    assert_int_equal(small_file_make_directory_wait(io, "/logs/begun-0"), 0);
    assert_int_equal(
        small_file_make_directory_wait(io, "/logs/gone-0.0123456789abcdef0123456789abcdef-delete"),
        0);
}

static void note_ends(struct log_directory *directory)
{
    for (int32_t index = 0; index < many; index++) {
        const struct partition_store *store =
            log_directory_find(directory, SLICE_LITERAL("t"), index);
        task.end_offsets[index] = store == NULL ? -1 : partition_store_log_end_offset(store);
        task.durable_offsets[index] = store == NULL ? -1 : store->durable_offset;
    }
}

static void end(struct sim_node *node, struct log_directory *directory)
{
    bool is_closed = false;
    log_directory_close(directory, on_closed, &is_closed);
    while (!is_closed)
        io_run(node->io, UINT64_MAX);
    log_directory_deinit(directory);
    assert_true(list_empty(&node->in_flight));
}

static void process(struct sim_node *node, void *argument)
{
    const struct log_directory_events events = {
        .config_of = config_of, .on_progress = on_progress, .on_offline = on_offline};
    struct sim_disk *disk = &node->disk;
    struct log_directory *directory;
    const size_t used_bytes = node->heap.used_bytes;
    (void)argument;
    assert_int_equal(log_directory_init(&directory, node->io, &node->heap, node->diag,
                                        log_directory_options_default(path), events),
                     ERR_OK);
    const uint64_t before = disk->boundary_count;
    disk->error_boundary = task.boundary == 0 ? 0 : before + task.boundary;
    disk->error = task.error;
    const uint64_t begin_ns = sim.now_ns, syncs_before = sim.counters.syncs;
    task.err = log_directory_open(directory);
    if (task.err == ERR_OK)
        task.err = log_directory_load(directory);
    task.load_ms = (sim.now_ns - begin_ns) / ns_per_ms;
    task.load_syncs = sim.counters.syncs - syncs_before;
    if (task.is_filling) {
        fill(node->io, directory);
        return;
    }
    if (task.err == ERR_OK)
        note_ends(directory);
    else
        log_directory_fail(directory, "the load");
    end(node, directory);
    disk->error_boundary = 0;
    task.boundary_count = disk->boundary_count - before;
    assert_int_equal(node->heap.used_bytes, used_bytes);
}

static enum err run(struct task what)
{
    task = what;
    sim_node_start(sim.nodes[0], process, NULL);
    assert_true(sim_node_wait(sim.nodes[0], UINT64_MAX));
    assert_int_equal(sim.nodes[0]->end, SIM_NODE_RETURNED);
    return task.err;
}

static void begin(uint32_t partition_count, enum partition_durability durability)
{
    sim_init(&sim,
             (struct sim_options){.seed = 1,
                                  .node_count = 1,
                                  .faults = {.disk_ns_mean = 100000, .sync_ns_mean = 1000000}});
    assert_int_equal(run((struct task){.is_filling = true,
                                       .partition_count = partition_count,
                                       .durability = durability}),
                     ERR_OK);
}

static void begin_few(void)
{
    begin(few, PARTITION_DURABLE);
}

static void the_next_start_finds_everything(void)
{
    assert_int_equal(run((struct task){0}), ERR_OK);
    for (int32_t index = 0; index < few; index++)
        assert_int_equal(task.end_offsets[index], batch_count);
}

/* What was never synced is synced before anybody relies on it. */
static void partitions_share_the_time_of_syncs(void **state)
{
    (void)state;
    begin(many, PARTITION_WRITTEN);
    sim.faults = (struct sim_faults){.sync_ns_mean = sync_ms * ns_per_ms};
    assert_int_equal(run((struct task){0}), ERR_OK);
    assert_true(task.load_syncs >= 2 * many); /* Each file, and its name. */
    assert_true(task.load_ms < task.load_syncs * sync_ms / 8);
    for (int32_t index = 0; index < many; index++) {
        assert_int_equal(task.end_offsets[index], batch_count);
        assert_int_equal(task.durable_offsets[index], batch_count);
    }
    sim_deinit(&sim);
}

static void a_load_may_fail_at_every_operation(void **state)
{
    static const int errors[] = {EIO, EACCES, ENOSPC, EINVAL};
    uint32_t failed_count = 0;
    (void)state;
    begin_few();
    the_next_start_finds_everything();
    const uint64_t count = task.boundary_count;
    sim_deinit(&sim);
    for (size_t i = 0; i < ARRAY_COUNT(errors); i++) {
        for (uint32_t boundary = 1; boundary <= count; boundary++) {
            begin_few();
            failed_count += run((struct task){.boundary = boundary, .error = errors[i]}) != ERR_OK;
            the_next_start_finds_everything();
            sim_deinit(&sim);
        }
    }
    assert_true(failed_count > 10);
}

static void on_stopped(void *context)
{
    *(bool *)context = true;
}

static void broker_process(struct sim_node *node, void *argument)
{
    struct shard shard = {
        .name = "broker", .io = node->io, .heap = &node->heap, .diag = node->diag};
    struct broker_config config = {0};
    struct broker_server *server = NULL;
    (void)argument;
    list_init(&shard.inboxes);
    assert_int_equal(broker_rig_load_config(&node->heap, node->diag,
                                            "broker.id=1\nlisteners=PLAINTEXT://10.0.0.1:9092\n"
                                            "log.dirs=/logs\nzookeeper.connect=10.0.0.2:2181\n",
                                            &config),
                     ERR_OK);
    const size_t used_bytes = node->heap.used_bytes;
    const uint64_t before = node->disk.boundary_count;
    node->disk.error_boundary = before + task.boundary;
    node->disk.error = task.error;
    task.err = broker_server_start(&server, &shard, &config);
    task.boundary_count = node->disk.boundary_count - before;
    if (task.err == ERR_OK) {
        bool is_stopped = false;
        broker_server_stop(server, on_stopped, &is_stopped);
        while (!is_stopped)
            io_run(node->io, UINT64_MAX);
        broker_server_deinit(server);
    }
    node->disk.error_boundary = 0;
    assert_true(list_empty(&node->in_flight));
    assert_int_equal(node->heap.used_bytes, used_bytes);
}

static void a_broker_that_cannot_load_a_directory_leaves_nothing_behind(void **state)
{
    uint32_t failed_count = 0;
    uint64_t count = 1;
    (void)state;
    for (uint32_t boundary = 1; boundary <= count; boundary++) {
        begin_few();
        task = (struct task){.boundary = boundary, .error = ENOMEM};
        sim_node_start(sim.nodes[0], broker_process, NULL);
        assert_true(sim_node_wait(sim.nodes[0], UINT64_MAX));
        assert_int_equal(sim.nodes[0]->end, SIM_NODE_RETURNED);
        failed_count += task.err != ERR_OK;
        if (task.err != ERR_OK) /* What was not read is not written down. */
            assert_null(
                sim_disk_peek(&sim.nodes[0]->disk, "/logs/replication-offset-checkpoint").data);
        count = task.err == ERR_OK ? task.boundary_count : boundary + 1;
        the_next_start_finds_everything();
        sim_deinit(&sim);
    }
    assert_true(failed_count > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partitions_share_the_time_of_syncs),
        cmocka_unit_test(a_load_may_fail_at_every_operation),
        cmocka_unit_test(a_broker_that_cannot_load_a_directory_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
