/* A server that cuts its history at any zxid and goes on from there; and the power lost at each
 * write while it does. */
#include "server/keeper/tree_reload.h"
#include "test/unit_test.h"

#include "sim/keeper_rig.h"

#include <stdio.h>

enum { state_count_max = 400, step_count = 6, step_writes = 20 };

static struct sim sim;
static struct keeper_rig rig;

/* What the tree was after some transactions. */
struct known {
    int64_t zxid;
    uint64_t digest;
    uint64_t session_count;
};

static struct known known[state_count_max];
static int known_count;

static void note(void)
{
    const struct keeper *keeper = &rig.server->keeper;
    if (known_count > 0 && known[known_count - 1].zxid >= keeper->zxid_applied)
        return;
    assert_true(known_count < state_count_max);
    known[known_count++] = (struct known){.zxid = keeper->zxid_applied,
                                          .digest = keeper->tree.digest,
                                          .session_count = keeper->sessions.by_id.count};
}

static const struct known *find_known(int64_t zxid)
{
    for (int i = 0; i < known_count; i++)
        if (known[i].zxid == zxid)
            return &known[i];
    return NULL;
}

static bool is_as_known(const struct keeper *keeper, int64_t zxid)
{
    const struct known *state = find_known(zxid);
    return state != NULL && keeper->zxid_applied == zxid && keeper->tree.digest == state->digest &&
           keeper->sessions.by_id.count == state->session_count;
}

struct waited {
    bool is_done;
    enum err err;
};

static void on_done(void *context, enum err err)
{
    struct waited *waited = context;
    assert_false(waited->is_done);
    *waited = (struct waited){true, err};
}

static enum err reload(int64_t zxid)
{
    struct waited waited = {0};
    tree_reload_start(rig.server, zxid, on_done, &waited);
    assert_false(waited.is_done);
    while (!waited.is_done)
        io_run(rig.node->io, UINT64_MAX);
    assert_true(tree_reload_is_idle(&rig.server->reload));
    return waited.err;
}

/* Transactions of two epochs, one by one, in files of their own, with snapshots between them. */
static void write_history(const char *more)
{
    known_count = 0;
    assert_int_equal(keeper_rig_start(&rig, sim.nodes[0], more), ERR_OK);
    note();
    for (int step = 0; step < step_count; step++) {
        if (step == 4)
            keeper_rig_begin_epoch(&rig, 7);
        for (int i = 0; i < step_writes; i++) {
            keeper_rig_write_some(&rig, (uint64_t)(step * step_writes + i + 1), 1);
            note();
        }
        snapshot_task_start(&rig.server->snapshot);
        if (step % 2 == 0)
            while (!snapshot_task_is_idle(&rig.server->snapshot))
                io_run(rig.node->io, UINT64_MAX);
    }
}

static void start_world(void)
{
    sim_init(&sim, (struct sim_options){.seed = 1, .node_count = 1});
}

static bool has_snapshot_behind(int64_t zxid)
{
    char path[64];
    for (int i = 0; i < known_count; i++) {
        snprintf(path, sizeof path, "/data/version-2/snapshot.%llx", (long long)known[i].zxid);
        if (known[i].zxid > zxid && sim_disk_peek(&rig.node->disk, path).data != NULL)
            return true;
    }
    return false;
}

/* Cuts at each of them, goes on, and finds all of that after a restart. */
static void a_cut_everywhere(void **state)
{
    (void)state;
    static const char *const settings[] = {"", "snapshot.compression.method=gz\n",
                                           "forceSync=no\n"};
    int last = 1;
    for (int i = 1; i <= last; i += 3) {
        start_world();
        write_history(settings[i % 3]);
        last = known_count - 1;
        const int64_t zxid = known[i].zxid;
        assert_int_equal(reload(zxid), ERR_OK);
        assert_true(is_as_known(&rig.server->keeper, zxid));
        assert_false(has_snapshot_behind(zxid));
        assert_int_equal(rig.server->cache.zxid_last, zxid);
        keeper_rig_begin_epoch(&rig, 9);
        keeper_rig_write_some(&rig, 1000, 10);
        const struct keeper *keeper = &rig.server->keeper;
        const struct known then = {keeper->zxid_applied, keeper->tree.digest,
                                   keeper->sessions.by_id.count};
        keeper_rig_stop(&rig);
        assert_int_equal(keeper_rig_start(&rig, sim.nodes[0], settings[i % 3]), ERR_OK);
        assert_int_equal(rig.server->keeper.zxid_applied, then.zxid);
        assert_int_equal(rig.server->keeper.tree.digest, then.digest);
        keeper_rig_stop(&rig);
        sim_deinit(&sim);
    }
}

static void what_is_there_is_loaded_again(void **state)
{
    (void)state;
    start_world();
    write_history("");
    const int64_t last = rig.server->keeper.zxid_applied;
    assert_int_equal(reload(TREE_RELOAD_ALL), ERR_OK);
    assert_true(is_as_known(&rig.server->keeper, last));
    assert_int_equal(reload(last), ERR_OK);
    assert_true(is_as_known(&rig.server->keeper, last));
    /* One that is not there: what comes before it stays. */
    const int64_t before = last - 5;
    assert_int_equal(reload(0x600000003), ERR_NOT_FOUND);
    assert_true(rig.server->keeper.zxid_applied >> 32 == 0);
    assert_true(is_as_known(&rig.server->keeper, rig.server->keeper.zxid_applied));
    assert_true(rig.server->keeper.zxid_applied < before);
    keeper_rig_stop(&rig);
    sim_deinit(&sim);
}

/* ---- power losses ---- */

static int64_t cut_zxid;
static int64_t zxid_whole;
static bool was_done;

static void process(struct sim_node *node, void *argument)
{
    const uint64_t *crash = argument;
    const enum sim_loss loss = (enum sim_loss)(crash[1]);
    write_history("");
    while (!snapshot_task_is_idle(&rig.server->snapshot))
        io_run(rig.node->io, UINT64_MAX);
    ack_mark_advance(&rig.server->mark, rig.server->keeper.zxid_applied);
    while (!ack_mark_is_idle(&rig.server->mark))
        io_run(rig.node->io, UINT64_MAX);
    zxid_whole = rig.server->keeper.zxid_applied;
    cut_zxid = known[known_count / 3].zxid;
    sim_crash_at(node, crash[0], loss);
    was_done = reload(cut_zxid) == ERR_OK;
}

static void a_power_loss_at_each_write(void **state)
{
    (void)state;
    int cut_count = 0;
    int whole_count = 0;
    bool is_over = false;
    for (uint64_t boundary = 1; !is_over; boundary++) {
        for (uint64_t loss = 0; loss < sim_loss_count; loss++) {
            uint64_t crash[2] = {boundary, loss};
            start_world();
            was_done = false;
            sim_node_start(sim.nodes[0], process, crash);
            assert_true(sim_node_wait(sim.nodes[0], UINT64_MAX));
            is_over = sim.nodes[0]->end == SIM_NODE_RETURNED;
            assert_true(is_over || sim.nodes[0]->end == SIM_NODE_LOST_POWER);
            sim_crash_at(sim.nodes[0], 0, SIM_LOSS_ALL);
            const enum err err = keeper_rig_start(&rig, sim.nodes[0], "");
            if (err != ERR_OK)
                fail_msg("boundary %d, loss %d: %s", (int)boundary, (int)loss, rig.told);
            const int64_t zxid = rig.server->keeper.zxid_applied;
            if (!is_as_known(&rig.server->keeper, zxid))
                fail_msg("boundary %d, loss %d: an unknown tree at %llx", (int)boundary, (int)loss,
                         (long long)zxid);
            /* Files go from the end, so anything between is possible. */
            assert_true(zxid >= cut_zxid && (zxid == cut_zxid || !was_done));
            cut_count += zxid == cut_zxid;
            whole_count += zxid == zxid_whole;
            keeper_rig_stop(&rig);
            sim_deinit(&sim);
        }
    }
    assert_true(cut_count > 0 && whole_count > 0);
}

static void a_stop_while_it_loads(void **state)
{
    (void)state;
    for (int turns = 0; turns < 40; turns++) {
        struct waited waited = {0};
        start_world();
        write_history("");
        tree_reload_start(rig.server, known[10].zxid, on_done, &waited);
        for (int i = 0; i < turns && !waited.is_done; i++)
            io_run(rig.node->io, UINT64_MAX);
        keeper_rig_stop(&rig);
        assert_int_equal(keeper_rig_start(&rig, sim.nodes[0], ""), ERR_OK);
        assert_true(is_as_known(&rig.server->keeper, rig.server->keeper.zxid_applied));
        keeper_rig_stop(&rig);
        sim_deinit(&sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_everywhere),
        cmocka_unit_test(what_is_there_is_loaded_again),
        cmocka_unit_test(a_power_loss_at_each_write),
        cmocka_unit_test(a_stop_while_it_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
