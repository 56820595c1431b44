#include "test/unit_test.h"

#include "journal/journal_reader.h"
#include "journal/journal_rewrite.h"
#include "journal/small_file.h"
#include "sim/sim_node.h"

#include <errno.h>
#include <stdio.h>

/* A journal on a node of a quiet world, used from outside of any process. */
struct fixture {
    struct sim sim;
    struct sim_node *node;
    struct journal_disk disk;
    struct journal journal;
    uint32_t done_count;
    enum err last_err;
    uint32_t failed_count;
};

struct one {
    struct journal_append append;
    struct fixture *fixture;
    struct iovec vector;
};

struct waited {
    struct journal_request request;
    bool is_done;
    enum err err;
};

static void open_world(struct fixture *fixture, struct journal_disk_options disk,
                       struct journal_options options)
{
    *fixture = (struct fixture){.done_count = 0};
    sim_init(&fixture->sim, (struct sim_options){.seed = 1, .node_count = 1});
    fixture->node = fixture->sim.nodes[0];
    disk.path = "/j";
    disk.user = fixture;
    options.path = "/j";
    if (disk.writer_count == 0)
        disk.writer_count = 1;
    if (options.naming.suffix == NULL)
        options.naming = journal_naming_keeper;
    assert_int_equal(small_file_make_directory_wait(fixture->node->io, "/j"), 0);
    assert_int_equal(journal_disk_init(&fixture->disk, fixture->node->io, &fixture->node->heap,
                                       fixture->node->diag, disk),
                     ERR_OK);
    journal_init(&fixture->journal, &fixture->disk, options);
    assert_int_equal(journal_load(&fixture->journal), ERR_OK);
    assert_int_equal(journal_start(&fixture->journal, (struct journal_start_options){0}), ERR_OK);
}

static void close_world(struct fixture *fixture)
{
    sim_deinit(&fixture->sim);
}

static void on_done(struct journal_append *append, enum err err)
{
    struct fixture *fixture = CONTAINER_OF(append, struct one, append)->fixture;
    fixture->done_count++;
    fixture->last_err = err;
}

static enum err append(struct fixture *fixture, struct one *one, const char *text)
{
    *one = (struct one){.fixture = fixture, .vector = {(void *)(uintptr_t)text, strlen(text)}};
    one->append.vectors = &one->vector;
    one->append.vector_count = 1;
    one->append.is_durable = true;
    one->append.done = on_done;
    return journal_append(&fixture->journal, &one->append);
}

static void run_until_done(struct fixture *fixture, uint32_t count)
{
    while (fixture->done_count < count)
        io_run(fixture->node->io, UINT64_MAX);
}

static void on_request(struct journal_request *request, enum err err)
{
    struct waited *waited = CONTAINER_OF(request, struct waited, request);
    waited->is_done = true;
    waited->err = err;
}

static void wait_for(struct fixture *fixture, struct waited *waited)
{
    while (!waited->is_done)
        io_run(fixture->node->io, UINT64_MAX);
    assert_int_equal(waited->err, ERR_OK);
}

static void assert_file(struct fixture *fixture, const char *path, const char *text)
{
    const struct slice bytes = sim_disk_peek(&fixture->node->disk, path);
    if (text == NULL) {
        assert_null(bytes.data);
        return;
    }
    assert_non_null(bytes.data);
    assert_int_equal(bytes.size, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.size);
}

static void test_names(void **state)
{
    (void)state;
    char name[journal_name_bytes_max];
    uint64_t base = 0;
    assert_string_equal(journal_naming_print(&journal_naming_keeper, 0x1a2b, name), "log.1a2b");
    assert_string_equal(journal_naming_print(&journal_naming_broker, 345, name),
                        "00000000000000000345.log");
    assert_true(journal_naming_parse(&journal_naming_keeper, "log.1a2b", &base));
    assert_int_equal(base, 0x1a2b);
    assert_true(journal_naming_parse(&journal_naming_broker, "00000000000000000345.log", &base));
    assert_int_equal(base, 345);
    assert_true(journal_naming_parse(&journal_naming_keeper, "log.ffffffffffffffff", &base));
    static const char *const others[] = {
        "log.",       "log.01",   "log.1A", "log.1g",
        "snapshot.1", "log.1.gz", "xlog.1", "log.10000000000000000"};
    for (size_t index = 0; index < ARRAY_COUNT(others); index++)
        assert_false(journal_naming_parse(&journal_naming_keeper, others[index], &base));
    assert_false(journal_naming_parse(&journal_naming_broker, "345.log", &base));
    assert_false(
        journal_naming_parse(&journal_naming_broker, "00000000000000000345.log.deleted", &base));
    assert_false(journal_naming_parse(&journal_naming_broker, "00000000000000000345.index", &base));
    assert_false(journal_naming_parse(&journal_naming_broker, "99999999999999999999.log", &base));
}

static void test_neighbours_share_writes_and_syncs(void **state)
{
    (void)state;
    struct fixture fixture;
    struct one ones[200];
    open_world(&fixture, (struct journal_disk_options){0}, (struct journal_options){0});
    assert_int_equal(journal_roll(&fixture.journal, 1), ERR_OK);
    for (uint32_t index = 0; index < ARRAY_COUNT(ones); index++)
        assert_int_equal(append(&fixture, &ones[index], "record"), ERR_OK);
    run_until_done(&fixture, ARRAY_COUNT(ones));
    assert_in_range(fixture.journal.write_count, 2, 8);
    assert_in_range(fixture.journal.sync_count, 1, 4);
    assert_int_equal(ones[199].append.offset, 199 * 6);
    assert_int_equal(journal_durable(&fixture.journal).offset, 200 * 6);
    close_world(&fixture);
}

static void test_header_allocation_and_roll(void **state)
{
    (void)state;
    struct fixture fixture;
    struct one ones[3];
    open_world(
        &fixture, (struct journal_disk_options){0},
        (struct journal_options){.header = SLICE_LITERAL("HEAD"), .allocate_step_bytes = 8192});
    assert_int_equal(journal_roll(&fixture.journal, 0x10), ERR_OK);
    assert_int_equal(append(&fixture, &ones[0], "one"), ERR_OK);
    assert_int_equal(append(&fixture, &ones[1], "two"), ERR_OK);
    assert_int_equal(journal_roll(&fixture.journal, 0x12), ERR_OK);
    assert_int_equal(append(&fixture, &ones[2], "three"), ERR_OK);
    run_until_done(&fixture, 3);
    const struct slice first = sim_disk_peek(&fixture.node->disk, "/j/log.10");
    assert_int_equal(first.size, 8192);
    assert_memory_equal(first.data, "HEADonetwo\0\0", 12);
    assert_memory_equal(sim_disk_peek(&fixture.node->disk, "/j/log.12").data, "HEADthree\0", 10);
    assert_int_equal(ones[2].append.offset, 4);
    close_world(&fixture);
}

static void test_cut_and_drop(void **state)
{
    (void)state;
    struct fixture fixture;
    struct one ones[4];
    struct waited waited = {.request.done = on_request};
    open_world(&fixture, (struct journal_disk_options){0}, (struct journal_options){0});
    for (uint32_t index = 0; index < 4; index++) {
        assert_int_equal(journal_roll(&fixture.journal, index + 1), ERR_OK);
        assert_int_equal(append(&fixture, &ones[index], "record"), ERR_OK);
    }
    run_until_done(&fixture, 4);
    journal_truncate(&fixture.journal, &waited.request, (struct journal_position){3, 2});
    wait_for(&fixture, &waited);
    assert_file(&fixture, "/j/log.3", "re");
    assert_file(&fixture, "/j/log.4", NULL);
    assert_int_equal(journal_end(&fixture.journal).base, 3);
    waited.is_done = false;
    journal_drop(&fixture.journal, &waited.request, 2);
    wait_for(&fixture, &waited);
    assert_file(&fixture, "/j/log.1.deleted", "record");
    waited.is_done = false;
    journal_drop_unlinked(&fixture.journal, &waited.request, 1000);
    wait_for(&fixture, &waited);
    assert_file(&fixture, "/j/log.2", NULL);
    assert_int_equal(journal_segment_first(&fixture.journal)->base, 3);
    close_world(&fixture);
}

static void test_users_keep_bytes(void **state)
{
    (void)state;
    struct fixture fixture;
    struct one ones[2];
    struct waited waited = {.request.done = on_request};
    struct journal_open open = {.done = NULL};
    open_world(&fixture, (struct journal_disk_options){0}, (struct journal_options){0});
    assert_int_equal(journal_roll(&fixture.journal, 1), ERR_OK);
    assert_int_equal(append(&fixture, &ones[0], "record"), ERR_OK);
    assert_int_equal(journal_roll(&fixture.journal, 2), ERR_OK);
    assert_int_equal(append(&fixture, &ones[1], "record"), ERR_OK);
    run_until_done(&fixture, 2);

    /* As a cut does that is on its way to a slow reader. */
    struct journal_segment *first = journal_segment_find(&fixture.journal, 1);
    struct journal_segment *second = journal_segment_find(&fixture.journal, 2);
    assert_true(journal_segment_open(first, &open));
    assert_true(journal_segment_open(second, &open));
    journal_drop_unlinked(&fixture.journal, &waited.request, 2);
    wait_for(&fixture, &waited);
    const uint64_t blocks = fixture.node->heap.block_count;
    io_run(fixture.node->io, 50000000);
    assert_int_equal(fixture.node->heap.block_count, blocks);
    assert_true(first->handle != io_handle_none);
    first->users--;
    io_run(fixture.node->io, 50000000);
    io_run(fixture.node->io, 50000000);
    assert_int_equal(fixture.node->heap.block_count, blocks - 1);

    waited.is_done = false;
    journal_truncate(&fixture.journal, &waited.request, (struct journal_position){2, 1});
    io_run(fixture.node->io, 50000000);
    assert_false(waited.is_done);
    assert_file(&fixture, "/j/log.2", "record");
    second->users--;
    wait_for(&fixture, &waited);
    assert_file(&fixture, "/j/log.2", "r");
    close_world(&fixture);
}

static void test_full_disk_refuses_and_resumes(void **state)
{
    (void)state;
    struct fixture fixture;
    struct one ones[64];
    uint32_t accepted = 0;
    open_world(&fixture,
               (struct journal_disk_options){.reserve_bytes = 100, .check_interval_ms = 10},
               (struct journal_options){0});
    fixture.node->disk.quota_bytes = 300;
    assert_int_equal(journal_roll(&fixture.journal, 1), ERR_OK);
    enum err err = ERR_OK;
    while (err == ERR_OK && accepted < ARRAY_COUNT(ones)) {
        err = append(&fixture, &ones[accepted], "0123456789");
        accepted += err == ERR_OK;
        run_until_done(&fixture, accepted);
    }
    assert_int_equal(err, ERR_NO_SPACE);
    assert_in_range(accepted, 18, 23);
    ones[accepted].append.is_essential = true;
    ones[accepted].append.done = on_done;
    assert_int_equal(journal_append(&fixture.journal, &ones[accepted].append), ERR_OK);
    run_until_done(&fixture, accepted + 1);
    fixture.node->disk.quota_bytes = 1000;
    io_run(fixture.node->io, 20000000);
    assert_int_equal(append(&fixture, &ones[accepted + 1], "0123456789"), ERR_OK);
    run_until_done(&fixture, accepted + 2);
    assert_int_equal(fixture.last_err, ERR_OK);
    close_world(&fixture);
}

static void test_write_that_meets_a_full_disk_waits(void **state)
{
    (void)state;
    struct fixture fixture;
    struct one ones[2];
    open_world(&fixture, (struct journal_disk_options){.check_interval_ms = 10},
               (struct journal_options){0});
    assert_int_equal(journal_roll(&fixture.journal, 1), ERR_OK);
    fixture.node->disk.quota_bytes = 4;
    assert_int_equal(append(&fixture, &ones[0], "0123456789"), ERR_OK);
    io_run(fixture.node->io, 50000000);
    io_run(fixture.node->io, 50000000);
    io_run(fixture.node->io, 50000000);
    assert_int_equal(fixture.done_count, 0);
    assert_int_equal(append(&fixture, &ones[1], "x"), ERR_NO_SPACE);
    fixture.node->disk.quota_bytes = 400;
    run_until_done(&fixture, 1);
    assert_int_equal(append(&fixture, &ones[1], "x"), ERR_OK);
    run_until_done(&fixture, 2);
    assert_file(&fixture, "/j/log.1", "0123456789x");
    close_world(&fixture);
}

static void on_failed(struct journal_disk *disk, const char *what, const char *path, int error)
{
    struct fixture *fixture = disk->options.user;
    assert_string_equal(what, "sync");
    assert_string_equal(path, "/j/log.1");
    assert_int_equal(error, -EIO);
    fixture->failed_count++;
}

static void test_failed_sync_fails_the_disk_once(void **state)
{
    (void)state;
    struct fixture fixture;
    struct one ones[3];
    open_world(&fixture, (struct journal_disk_options){.on_failed = on_failed},
               (struct journal_options){0});
    assert_int_equal(journal_roll(&fixture.journal, 1), ERR_OK);
    fixture.node->disk.error_boundary = fixture.node->disk.boundary_count + 3;
    assert_int_equal(append(&fixture, &ones[0], "one"), ERR_OK);
    assert_int_equal(append(&fixture, &ones[1], "two"), ERR_OK);
    run_until_done(&fixture, 2);
    assert_int_equal(fixture.last_err, ERR_IO);
    assert_int_equal(fixture.failed_count, 1);
    assert_int_equal(append(&fixture, &ones[2], "three"), ERR_IO);
    assert_int_equal(journal_durable(&fixture.journal).offset, 0);

    struct waited waited = {.request.done = on_request};
    journal_close(&fixture.journal, &waited.request);
    while (!waited.is_done)
        io_run(fixture.node->io, UINT64_MAX);
    assert_int_equal(waited.err, ERR_IO);
    close_world(&fixture);
}

static void run_fatal(struct sim_node *node, void *argument)
{
    struct fixture *fixture = argument;
    struct one one;
    assert_int_equal(small_file_make_directory_wait(node->io, "/j"), 0);
    const enum err err =
        journal_disk_init(&fixture->disk, node->io, &node->heap, node->diag,
                          (struct journal_disk_options){.path = "/j", .writer_count = 1});
    assert_int_equal(err, ERR_OK);
    journal_init(&fixture->journal, &fixture->disk,
                 (struct journal_options){.path = "/j", .naming = journal_naming_keeper});
    assert_int_equal(journal_load(&fixture->journal), ERR_OK);
    assert_int_equal(journal_start(&fixture->journal, (struct journal_start_options){0}), ERR_OK);
    assert_int_equal(journal_roll(&fixture->journal, 1), ERR_OK);
    node->disk.error_boundary = node->disk.boundary_count + 3;
    assert_int_equal(append(fixture, &one, "one"), ERR_OK);
    run_until_done(fixture, 1);
}

static void test_failed_sync_ends_the_process(void **state)
{
    (void)state;
    struct fixture fixture = {.done_count = 0};
    sim_init(&fixture.sim, (struct sim_options){.seed = 1, .node_count = 1});
    fixture.node = fixture.sim.nodes[0];
    sim_node_start(fixture.node, run_fatal, &fixture);
    assert_true(sim_node_wait(fixture.node, UINT64_MAX / 2));
    assert_int_equal(fixture.node->end, SIM_NODE_FATAL);
    assert_int_equal(fixture.done_count, 0);
    assert_non_null(strstr(fixture.node->fatal_line, "/j/log.1"));
    sim_deinit(&fixture.sim);
}

/* The process has ended, the machine has not: the page cache shows what the kernel will not write,
 * and a sync says yes. Written again it is durable, and the zeros behind it stay unwritten. */
static void test_what_a_failed_sync_left_is_written_again(void **state)
{
    (void)state;
    struct one one;
    struct one two;
    uint8_t buffer[64];
    uint64_t size = 0;
    static struct fixture fixture;
    open_world(&fixture, (struct journal_disk_options){.on_failed = on_failed},
               (struct journal_options){.allocate_step_bytes = 8192, .allocate_sparse = true});
    struct sim_disk *disk = &fixture.node->disk;
    assert_int_equal(journal_roll(&fixture.journal, 1), ERR_OK);
    assert_int_equal(append(&fixture, &one, "first"), ERR_OK);
    run_until_done(&fixture, 1);
    disk->error_boundary = disk->boundary_count + 2; /* The sync behind the next write. */
    assert_int_equal(append(&fixture, &two, "second"), ERR_OK);
    run_until_done(&fixture, 2);
    assert_int_equal(fixture.last_err, ERR_IO);
    assert_memory_equal(sim_disk_peek(disk, "/j/log.1").data, "firstsecond", 11);
    assert_int_equal(sim_disk_peek_durable(disk, "/j/log.1").data[5], 0);
    assert_int_equal(
        journal_rewrite_wait(fixture.node->io, "/j/log.1", 5, buffer, sizeof buffer, &size),
        ERR_OK);
    assert_int_equal(size, sizeof buffer); /* One piece of the buffer's size. */
    assert_memory_equal(sim_disk_peek_durable(disk, "/j/log.1").data, "firstsecond", 11);
    assert_int_equal(
        journal_rewrite_wait(fixture.node->io, "/j/log.2", 0, buffer, sizeof buffer, &size),
        ERR_NOT_FOUND);
    close_world(&fixture);
}

enum { journal_count = 40 };

struct many {
    struct journal journals[journal_count];
    struct one ones[journal_count];
    char paths[journal_count][16];
};

static void open_many(struct fixture *fixture, struct many *many, uint32_t handle_count_max)
{
    open_world(
        fixture,
        (struct journal_disk_options){.writer_count = 3, .handle_count_max = handle_count_max},
        (struct journal_options){0});
    for (int index = 0; index < journal_count; index++) {
        struct journal *journal = &many->journals[index];
        char *path = many->paths[index];
        snprintf(path, sizeof many->paths[index], "/j/p-%d", index);
        assert_int_equal(small_file_make_directory_wait(fixture->node->io, path), 0);
        journal_init(journal, &fixture->disk,
                     (struct journal_options){.path = path, .naming = journal_naming_broker});
        assert_int_equal(journal_load(journal), ERR_OK);
        assert_int_equal(journal_start(journal, (struct journal_start_options){0}), ERR_OK);
        assert_int_equal(journal_roll(journal, 0), ERR_OK);
    }
}

/* Five bytes to each, and waits. */
static void append_to_many(struct fixture *fixture, struct many *many, bool is_durable)
{
    const uint32_t done_count = fixture->done_count;
    for (int index = 0; index < journal_count; index++) {
        struct one *one = &many->ones[index];
        *one = (struct one){.fixture = fixture, .vector = {many->paths[index], 5}};
        one->append = (struct journal_append){
            .vectors = &one->vector, .vector_count = 1, .is_durable = is_durable, .done = on_done};
        assert_int_equal(journal_append(&many->journals[index], &one->append), ERR_OK);
    }
    run_until_done(fixture, done_count + journal_count);
}

static void test_many_journals_share_handles_and_writers(void **state)
{
    (void)state;
    struct fixture fixture;
    struct many many;
    open_many(&fixture, &many, 5);
    for (uint32_t round = 1; round <= 3; round++)
        append_to_many(&fixture, &many, true);
    io_run(fixture.node->io, 1000000000);
    assert_in_range(fixture.disk.open_count, 1, 8);
    for (int index = 0; index < journal_count; index++)
        assert_int_equal(journal_durable(&many.journals[index]).offset, 15);
    close_world(&fixture);
}

static void run_for_ms(struct fixture *fixture, uint64_t ms)
{
    const uint64_t end_ns = io_now_ns(fixture->node->io) + ms * 1000000;
    while (io_now_ns(fixture->node->io) < end_ns)
        io_run(fixture->node->io, end_ns - io_now_ns(fixture->node->io));
}

/* Nobody asks for a sync of theirs: they are synced so that they can be closed. */
static void test_too_many_open_files_are_synced_and_closed(void **state)
{
    (void)state;
    struct fixture fixture;
    struct many many;
    uint32_t durable_count = 0;
    open_many(&fixture, &many, 5);
    append_to_many(&fixture, &many, false);
    run_for_ms(&fixture, 10000);
    assert_int_equal(fixture.disk.open_count, 5);
    assert_int_equal(fixture.disk.cleaning_count, 0);
    for (int index = 0; index < journal_count; index++)
        durable_count += journal_durable(&many.journals[index]).offset == 5;
    assert_in_range(durable_count, journal_count - 5, journal_count);
    close_world(&fixture);
}

static void test_files_that_rest_are_synced_and_closed(void **state)
{
    (void)state;
    struct fixture fixture;
    struct many many;
    open_many(&fixture, &many, 0);
    append_to_many(&fixture, &many, false);
    run_for_ms(&fixture, 5000);
    journal_disk_rest(&fixture.disk, 6000);
    run_for_ms(&fixture, 5000);
    assert_int_equal(fixture.disk.open_count, journal_count);
    for (int round = 0; round < journal_count; round++) {
        journal_disk_rest(&fixture.disk, 6000);
        run_for_ms(&fixture, 1000);
    }
    assert_int_equal(fixture.disk.open_count, 0);
    for (int index = 0; index < journal_count; index++)
        assert_int_equal(journal_durable(&many.journals[index]).offset, 5);
    append_to_many(&fixture, &many, true);
    assert_int_equal(fixture.disk.open_count, journal_count);
    close_world(&fixture);
}

static void test_start_cuts_what_is_behind(void **state)
{
    (void)state;
    struct fixture fixture;
    struct one ones[3];
    struct waited waited = {.request.done = on_request};
    open_world(&fixture, (struct journal_disk_options){0}, (struct journal_options){0});
    for (uint32_t index = 0; index < 3; index++) {
        assert_int_equal(journal_roll(&fixture.journal, 10 * (index + 1)), ERR_OK);
        assert_int_equal(append(&fixture, &ones[index], "record"), ERR_OK);
    }
    run_until_done(&fixture, 3);
    journal_close(&fixture.journal, &waited.request);
    wait_for(&fixture, &waited);
    assert_null(journal_segment_first(&fixture.journal));

    assert_int_equal(journal_load(&fixture.journal), ERR_OK);
    assert_int_equal(fixture.journal.segment_count, 3);
    assert_int_equal(journal_segment_last(&fixture.journal)->size_bytes, 6);
    assert_int_equal(
        journal_start(&fixture.journal,
                      (struct journal_start_options){.end = {20, 3}, .sync_base = UINT64_MAX}),
        ERR_OK);
    assert_file(&fixture, "/j/log.14", "rec");
    assert_file(&fixture, "/j/log.1e", NULL);
    assert_int_equal(append(&fixture, &ones[0], "ord"), ERR_OK);
    run_until_done(&fixture, 4);
    assert_file(&fixture, "/j/log.14", "record");
    close_world(&fixture);
}

/* Whatever their bases are: one may be that of the end. */
static void test_start_cleared(void **state)
{
    (void)state;
    struct fixture fixture;
    struct one ones[2];
    struct waited waited = {.request.done = on_request};
    open_world(&fixture, (struct journal_disk_options){0}, (struct journal_options){0});
    for (uint32_t index = 0; index < 2; index++) {
        assert_int_equal(journal_roll(&fixture.journal, 10 * index), ERR_OK);
        assert_int_equal(append(&fixture, &ones[index], "record"), ERR_OK);
    }
    run_until_done(&fixture, 2);
    journal_close(&fixture.journal, &waited.request);
    wait_for(&fixture, &waited);

    assert_int_equal(journal_load(&fixture.journal), ERR_OK);
    assert_int_equal(fixture.journal.segment_count, 2);
    assert_int_equal(
        journal_start(&fixture.journal, (struct journal_start_options){.is_cleared = true}),
        ERR_OK);
    assert_null(journal_segment_first(&fixture.journal));
    assert_file(&fixture, "/j/log.0", NULL);
    assert_file(&fixture, "/j/log.a", NULL);
    assert_int_equal(journal_roll(&fixture.journal, 5), ERR_OK);
    assert_int_equal(append(&fixture, &ones[0], "anew"), ERR_OK);
    run_until_done(&fixture, 3);
    assert_file(&fixture, "/j/log.5", "anew");
    close_world(&fixture);
}

static void test_reader(void **state)
{
    (void)state;
    struct fixture fixture;
    struct one one;
    struct journal_reader reader;
    uint8_t buffer[8];
    struct slice bytes;
    open_world(&fixture, (struct journal_disk_options){0}, (struct journal_options){0});
    fixture.sim.faults.short_read_per_million = 500000;
    assert_int_equal(journal_roll(&fixture.journal, 1), ERR_OK);
    assert_int_equal(append(&fixture, &one, "abcdefghijklmnopqrstuvwxyz"), ERR_OK);
    run_until_done(&fixture, 1);
    assert_int_equal(journal_reader_open(&reader, journal_segment_last(&fixture.journal), 1, buffer,
                                         sizeof buffer),
                     ERR_OK);
    assert_int_equal(journal_reader_peek(&reader, 9, &bytes), ERR_LIMIT);
    assert_int_equal(journal_reader_peek(&reader, 8, &bytes), ERR_OK);
    assert_true(slice_equal_text(bytes, "bcdefghi"));
    journal_reader_skip(&reader, 3);
    assert_int_equal(journal_reader_peek(&reader, 8, &bytes), ERR_OK);
    assert_true(slice_equal_text(bytes, "efghijkl"));
    journal_reader_skip(&reader, 20);
    assert_int_equal(journal_reader_peek(&reader, 8, &bytes), ERR_OK);
    assert_true(slice_equal_text(bytes, "yz"));
    journal_reader_skip(&reader, 2);
    assert_int_equal(journal_reader_peek(&reader, 1, &bytes), ERR_OK);
    assert_int_equal(bytes.size, 0);
    journal_reader_close(&reader);
    close_world(&fixture);
}

static void test_small_file_holds_old_or_new(void **state)
{
    (void)state;
    static const char *const old = "the old bytes";
    static const char *const new = "the new bytes, which are longer";
    for (uint64_t boundary = 1; boundary <= 4; boundary++) {
        for (int loss = 0; loss < sim_loss_count; loss++) {
            struct sim sim;
            uint8_t buffer[64];
            sim_init(&sim, (struct sim_options){.seed = boundary, .node_count = 1});
            struct sim_node *node = sim.nodes[0];
            assert_int_equal(small_file_read_wait(node->io, "/f", buffer, sizeof buffer), -ENOENT);
            assert_int_equal(small_file_replace_wait(node->io, "/f", slice_from_text(old)), 0);
            struct small_file file = {.done = NULL};
            small_file_replace(&file, node->io, "/f", slice_from_text(new));
            const uint64_t until = node->disk.boundary_count + boundary;
            while (node->disk.boundary_count + 1 < until)
                io_run(node->io, 1);
            sim_node_lose_power(node, (enum sim_loss)loss);
            const int64_t size = small_file_read_wait(node->io, "/f", buffer, sizeof buffer);
            const struct slice bytes = slice_of(buffer, (size_t)size);
            assert_true(slice_equal_text(bytes, old) || slice_equal_text(bytes, new));
            sim_deinit(&sim);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_neighbours_share_writes_and_syncs),
        cmocka_unit_test(test_header_allocation_and_roll),
        cmocka_unit_test(test_cut_and_drop),
        cmocka_unit_test(test_users_keep_bytes),
        cmocka_unit_test(test_full_disk_refuses_and_resumes),
        cmocka_unit_test(test_write_that_meets_a_full_disk_waits),
        cmocka_unit_test(test_failed_sync_fails_the_disk_once),
        cmocka_unit_test(test_failed_sync_ends_the_process),
        cmocka_unit_test(test_what_a_failed_sync_left_is_written_again),
        cmocka_unit_test(test_many_journals_share_handles_and_writers),
        cmocka_unit_test(test_too_many_open_files_are_synced_and_closed),
        cmocka_unit_test(test_files_that_rest_are_synced_and_closed),
        cmocka_unit_test(test_start_cuts_what_is_behind),
        cmocka_unit_test(test_start_cleared),
        cmocka_unit_test(test_reader),
        cmocka_unit_test(test_small_file_holds_old_or_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
