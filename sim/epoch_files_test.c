/* Epoch files: what is believed at the start, and what a power loss leaves. */
#include "server/keeper/epoch_files.h"
#include "test/unit_test.h"

#include "sim/sim_node.h"

#include <stdio.h>

enum { write_count = 6 };

static struct sim sim;
static struct epoch_files files;
static char told[2048];

static void on_line(struct diag *diag, enum diag_level level, struct slice line)
{
    (void)diag;
    (void)level;
    snprintf(told, sizeof told, "%" SLICE_FORMAT, SLICE_ARGS(line));
}

static struct diag listener = {.write = on_line};

static void open_world(void)
{
    told[0] = '\0';
    sim_init(&sim, (struct sim_options){.seed = 1, .node_count = 1});
    assert_int_equal(small_file_make_directory_wait(sim.nodes[0]->io, "/d"), 0);
}

static void put(const char *path, const char *text)
{
    if (text != NULL)
        assert_int_equal(small_file_replace_wait(sim.nodes[0]->io, path, slice_from_text(text)), 0);
}

static void expect_file(const char *path, const char *text)
{
    const struct slice bytes = sim_disk_peek_durable(&sim.nodes[0]->disk, path);
    assert_non_null(bytes.data);
    assert_int_equal(bytes.size, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.size);
}

struct row {
    const char *accepted, *current, *temporary;
    int64_t zxid;
    enum err err;
    int64_t accepted_then, current_then;
    const char *named;
};

static const struct row rows[] = {
    {NULL, NULL, NULL, 0, ERR_OK, 0, 0, NULL},
    {NULL, NULL, NULL, -1, ERR_OK, 0, 0, NULL},
    {NULL, NULL, NULL, 0x700000003, ERR_OK, 7, 7, NULL},
    {"9", "8", NULL, 0x700000003, ERR_OK, 9, 8, NULL},
    {"9\n", "7", NULL, 0x700000003, ERR_OK, 9, 7, NULL},
    {"9", NULL, NULL, 0x700000003, ERR_OK, 9, 7, NULL},
    {NULL, "6", NULL, 0x700000003, ERR_OK, 7, 7, NULL},
    {NULL, "8", NULL, 0x700000003, ERR_CORRUPT, 0, 0, "/d/acceptedEpoch"},
    {"6", "7", NULL, 0x700000003, ERR_CORRUPT, 0, 0, "/d/acceptedEpoch"},
    {"6", "6", NULL, 0x700000003, ERR_CORRUPT, 0, 0, "/d/currentEpoch"},
    {"6", "6", "7", 0x700000003, ERR_CORRUPT, 0, 0, "/d/currentEpoch"},
    /* Interrupted learners. */
    {"9", "6", "9", 0x700000003, ERR_OK, 9, 9, NULL},
    {"9", "6", "10", 0x700000003, ERR_OK, 9, 7, NULL},
    {"9", "6", "", 0x700000003, ERR_OK, 9, 7, NULL},
    {"9", "6", NULL, 0x700000003, ERR_OK, 9, 7, NULL},
    /* A .tmp that nobody needs. */
    {"9", "8", "9", 0x700000003, ERR_OK, 9, 8, NULL},
    {"", "7", NULL, 0x700000003, ERR_CORRUPT, 0, 0, "/d/acceptedEpoch"},
    {"9", "-7", NULL, 0x700000003, ERR_CORRUPT, 0, 0, "/d/currentEpoch"},
    {"9", "7x", NULL, 0x700000003, ERR_CORRUPT, 0, 0, "/d/currentEpoch"},
    {"99999999999", "7", NULL, 0x700000003, ERR_CORRUPT, 0, 0, "/d/acceptedEpoch"},
    {"9", "2147483648", NULL, 0x700000003, ERR_CORRUPT, 0, 0, "/d/currentEpoch"},
    {"9", "0000000000000000000000000000000000000007", NULL, 0x700000003, ERR_CORRUPT, 0, 0,
     "/d/currentEpoch"},
};

static void what_is_believed_at_the_start(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        char text[24];
        open_world();
        put("/d/acceptedEpoch", row->accepted);
        put("/d/currentEpoch", row->current);
        put("/d/currentEpoch.tmp", row->temporary);
        const enum err err = epoch_files_load(&files, sim.nodes[0]->io, &listener, "/d", row->zxid);
        if (err != row->err)
            fail_msg("row %zu: expected %s, saw %s: %s", i, err_text(row->err), err_text(err),
                     told);
        if (err == ERR_OK) {
            assert_int_equal(files.values[EPOCH_FILE_ACCEPTED], row->accepted_then);
            assert_int_equal(files.values[EPOCH_FILE_CURRENT], row->current_then);
            snprintf(text, sizeof text, "%d", (int)row->current_then);
            expect_file("/d/currentEpoch", text);
        } else if (strstr(told, row->named) == NULL) {
            fail_msg("row %zu does not name %s: %s", i, row->named, told);
        }
        sim_deinit(&sim);
    }
}

/* ---- power losses ---- */

static int64_t promised[epoch_file_count];

static void on_accepted(void *context)
{
    (void)context;
    promised[EPOCH_FILE_ACCEPTED] = files.values[EPOCH_FILE_ACCEPTED];
}

static void on_current(void *context)
{
    (void)context;
    promised[EPOCH_FILE_CURRENT] = files.values[EPOCH_FILE_CURRENT];
}

/* Epochs as they are accepted and reached; both writes of one are asked for at once. */
static void write_epochs(struct sim_node *node, void *argument)
{
    (void)argument;
    if (epoch_files_load(&files, node->io, &listener, "/d", 0) != ERR_OK)
        return;
    for (int64_t epoch = 9; epoch < 9 + write_count; epoch++) {
        epoch_files_write(
            &files, (struct epoch_files_write){EPOCH_FILE_ACCEPTED, epoch, on_accepted, NULL});
        epoch_files_write(&files,
                          (struct epoch_files_write){EPOCH_FILE_CURRENT, epoch, on_current, NULL});
        while (!epoch_files_is_idle(&files))
            io_run(node->io, UINT64_MAX);
    }
}

static void a_power_loss_takes_nothing_that_was_promised(void **state)
{
    (void)state;
    bool is_whole = false;
    for (uint64_t boundary = 1; !is_whole; boundary++) {
        for (int loss = 0; loss < sim_loss_count; loss++) {
            open_world();
            memset(promised, 0, sizeof promised);
            sim_crash_at(sim.nodes[0], boundary, (enum sim_loss)loss);
            sim_node_start(sim.nodes[0], write_epochs, NULL);
            assert_true(sim_node_wait(sim.nodes[0], UINT64_MAX));
            is_whole = sim.nodes[0]->end == SIM_NODE_RETURNED;
            assert_true(is_whole || sim.nodes[0]->end == SIM_NODE_LOST_POWER);
            sim_crash_at(sim.nodes[0], 0, SIM_LOSS_ALL);
            if (epoch_files_load(&files, sim.nodes[0]->io, &listener, "/d", 0) != ERR_OK)
                fail_msg("boundary %d, loss %d: %s", (int)boundary, loss, told);
            for (int kind = 0; kind < epoch_file_count; kind++) {
                const int64_t value = files.values[kind];
                const int64_t next = promised[kind] == 0 ? 9 : promised[kind] + 1;
                if (value != promised[kind] && value != next)
                    fail_msg("boundary %d, loss %d: %d was promised, %d is there", (int)boundary,
                             loss, (int)promised[kind], (int)value);
            }
            sim_deinit(&sim);
        }
    }
}

static void a_write_that_fails_ends_the_process(void **state)
{
    (void)state;
    open_world();
    struct sim_disk *disk = &sim.nodes[0]->disk;
    disk->error_boundary = disk->boundary_count + 14; /* Behind those of the start. */
    disk->error = 5;
    sim_node_start(sim.nodes[0], write_epochs, NULL);
    assert_true(sim_node_wait(sim.nodes[0], UINT64_MAX));
    assert_int_equal(sim.nodes[0]->end, SIM_NODE_FATAL);
    assert_non_null(strstr(sim.nodes[0]->fatal_line, "Epoch"));
    sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_believed_at_the_start),
        cmocka_unit_test(a_power_loss_takes_nothing_that_was_promised),
        cmocka_unit_test(a_write_that_fails_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
