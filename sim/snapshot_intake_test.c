/* Snapshots from a leader that are cut, damaged, or cannot be written: the old tree is back. */
#include "server/keeper/snapshot_intake.h"
#include "test/unit_test.h"

#include "keeper/snapshot_writer.h"
#include "sim/keeper_rig.h"

enum { stream_bytes_max = 4 << 20, new_zxid_more = 1000 };

static struct sim sim;
static struct keeper_rig rig;
static uint8_t stream[stream_bytes_max];
static size_t stream_size;

struct waited {
    bool is_done;
    enum err err;
};

static struct waited waited;

static void on_done(void *context, enum err err)
{
    assert_ptr_equal(context, &waited);
    assert_false(waited.is_done);
    waited = (struct waited){true, err};
}

static struct {
    int64_t zxid;
    uint64_t digest;
    uint64_t session_count;
} before;

/* A server with some znodes, and the stream of a snapshot of an older state. */
static void start(void)
{
    struct snapshot_writer writer;
    size_t size = 1;
    sim_init(&sim, (struct sim_options){.seed = 1, .node_count = 1});
    assert_int_equal(keeper_rig_start(&rig, sim.nodes[0], ""), ERR_OK);
    keeper_rig_write_some(&rig, 1, 30);
    assert_int_equal(snapshot_writer_init_stream(&writer, &rig.server->keeper), ERR_OK);
    for (stream_size = 0; size > 0; stream_size += size)
        assert_int_equal(snapshot_writer_next(&writer, stream + stream_size,
                                              stream_bytes_max - stream_size, &size),
                         ERR_OK);
    snapshot_writer_deinit(&writer);
    memcpy(stream + stream_size, "\0\0\0\012BenWasHere", snapshot_intake_signature_bytes);
    stream_size += snapshot_intake_signature_bytes;
    keeper_rig_write_some(&rig, 2, 30);
    before.zxid = rig.server->keeper.zxid_applied;
    before.digest = rig.server->keeper.tree.digest;
    before.session_count = rig.server->keeper.sessions.by_id.count;
    waited.is_done = false;
}

static void end(void)
{
    keeper_rig_stop(&rig);
    sim_deinit(&sim);
}

static void begin(void)
{
    snapshot_intake_start(rig.server, before.zxid + new_zxid_more, on_done, &waited);
}

static size_t feed(size_t size)
{
    size_t at = 0;
    while (at < size && !snapshot_intake_is_fed(&rig.server->intake)) {
        const size_t piece = min_size(size - at, 1000);
        const size_t used = snapshot_intake_feed(&rig.server->intake, slice_of(stream + at, piece));
        at += used;
        if (used < piece)
            break;
    }
    return at;
}

static void wait_until_done(void)
{
    while (!waited.is_done)
        io_run(rig.node->io, UINT64_MAX);
    assert_int_equal(rig.server->intake.step, SNAPSHOT_INTAKE_IDLE);
    assert_false(rig.server->is_replacing);
}

static void expect_old_tree(void)
{
    assert_int_equal(rig.server->keeper.zxid_applied, before.zxid);
    assert_int_equal(rig.server->keeper.tree.digest, before.digest);
    assert_int_equal(rig.server->keeper.sessions.by_id.count, before.session_count);
}

static void restart(void)
{
    keeper_rig_stop(&rig);
    assert_int_equal(keeper_rig_start(&rig, sim.nodes[0], ""), ERR_OK);
}

static void a_whole_one(void **state)
{
    (void)state;
    start();
    snapshot_task_start(&rig.server->snapshot); /* One is being written. */
    begin();
    memset(stream + stream_size, 0x55, 50);
    assert_int_equal(feed(stream_size + 50), stream_size);
    wait_until_done();
    assert_int_equal(waited.err, ERR_OK);
    assert_int_equal(rig.server->keeper.zxid_applied, before.zxid + new_zxid_more);
    assert_int_equal(rig.server->cache.zxid_before, before.zxid + new_zxid_more);
    const uint64_t digest = rig.server->keeper.tree.digest;
    assert_true(digest != before.digest);
    restart();
    assert_int_equal(rig.server->keeper.zxid_applied, before.zxid + new_zxid_more);
    assert_int_equal(rig.server->keeper.tree.digest, digest);
    keeper_rig_write_some(&rig, 3, 20);
    restart();
    assert_true(rig.server->keeper.zxid_applied > before.zxid + new_zxid_more);
    end();
}

static void one_that_breaks_off_anywhere(void **state)
{
    (void)state;
    start();
    const size_t step = stream_size / 50 + 1;
    for (size_t size = 0; size < stream_size; size += size + step < stream_size ? step : 1) {
        waited.is_done = false;
        begin();
        assert_int_equal(feed(size), size);
        assert_false(snapshot_intake_is_fed(&rig.server->intake));
        snapshot_intake_cancel(&rig.server->intake);
        wait_until_done();
        assert_int_equal(waited.err, ERR_CANCELED);
        expect_old_tree();
    }
    restart();
    expect_old_tree();
    end();
}

static void one_that_is_damaged(void **state)
{
    (void)state;
    start();
    for (size_t i = 0; i < snapshot_intake_signature_bytes; i++) {
        stream[stream_size - 1 - i] ^= 1;
        waited.is_done = false;
        begin();
        assert_int_equal(feed(stream_size), stream_size);
        wait_until_done();
        assert_int_equal(waited.err, ERR_MALFORMED);
        expect_old_tree();
        stream[stream_size - 1 - i] ^= 1;
    }
    memset(stream, 0xff, 4); /* The count of sessions. */
    waited.is_done = false;
    begin();
    feed(stream_size);
    wait_until_done();
    assert_int_equal(waited.err, ERR_MALFORMED);
    expect_old_tree();
    end();
}

static void one_that_cannot_be_written(void **state)
{
    (void)state;
    start();
    begin();
    rig.node->disk.quota_bytes = rig.node->disk.used_bytes + 100;
    assert_int_equal(feed(stream_size), stream_size);
    wait_until_done();
    assert_int_equal(waited.err, ERR_NO_SPACE);
    expect_old_tree();
    rig.node->disk.quota_bytes = 0;
    restart();
    expect_old_tree();
    end();
}

static void a_stop_at_any_time(void **state)
{
    (void)state;
    for (int turns = -2; turns < 40; turns++) {
        start();
        begin();
        if (turns > -2)
            feed(turns == -1 ? stream_size / 2 : stream_size);
        for (int i = 0; i < turns && !waited.is_done; i++)
            io_run(rig.node->io, UINT64_MAX);
        restart();
        const int64_t zxid = rig.server->keeper.zxid_applied;
        assert_true(zxid == before.zxid || zxid == before.zxid + new_zxid_more);
        if (zxid == before.zxid)
            expect_old_tree();
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_one),         cmocka_unit_test(one_that_breaks_off_anywhere),
        cmocka_unit_test(one_that_is_damaged), cmocka_unit_test(one_that_cannot_be_written),
        cmocka_unit_test(a_stop_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
