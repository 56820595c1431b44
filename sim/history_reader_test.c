/* Reading the journal of a running server: all of it, from everywhere, while it is written. */
#include "server/keeper/history_reader.h"
#include "test/unit_test.h"

#include "base/bytes.h"
#include "keeper/recovery.h"
#include "sim/keeper_rig.h"

static struct sim sim;
static struct keeper_rig rig;

struct heard {
    struct history_reader reader;
    int64_t zxid_last;
    int64_t stop_at; /* The reader is stopped, and forgotten, in the callback of this one. */
    int pause_each;
    int count;
    uint64_t bytes;
    bool is_done;
    enum err err;
};

static bool on_entry(void *context, int64_t zxid, struct slice entry)
{
    struct heard *heard = context;
    assert_int_equal(zxid, load_i64(entry.data + 12));
    assert_true(zxid > heard->reader.from && zxid <= heard->reader.to);
    if (heard->count > 0)
        assert_int_equal(recovery_check_zxid(heard->zxid_last, zxid), ERR_OK);
    heard->zxid_last = zxid;
    heard->count++;
    heard->bytes += entry.size;
    if (zxid == heard->stop_at) {
        history_reader_stop(&heard->reader);
        memset(&heard->reader, 0xee, sizeof heard->reader);
        heard->is_done = true;
    }
    return heard->pause_each == 0 || heard->count % heard->pause_each != 0;
}

static void on_done(void *context, enum err err)
{
    struct heard *heard = context;
    assert_false(heard->is_done);
    heard->is_done = true;
    heard->err = err;
}

static struct heard heard;

static void read_all(struct history_reader_range range, int64_t stop_at, int pause_each)
{
    heard = (struct heard){.stop_at = stop_at, .pause_each = pause_each};
    assert_int_equal(
        history_reader_start(&heard.reader, &rig.server->journal, &rig.node->heap, range,
                             (struct history_reader_handler){on_entry, on_done, &heard}),
        ERR_OK);
    while (!heard.is_done) {
        io_run(rig.node->io, UINT64_MAX);
        if (!heard.is_done && heard.reader.is_paused)
            history_reader_resume(&heard.reader);
    }
}

static void read_range(int64_t from, int64_t to, int64_t stop_at, int pause_each)
{
    read_all((struct history_reader_range){.from = from, .to = to}, stop_at, pause_each);
}

static void read_behind_snapshot(int64_t from, int64_t to)
{
    read_all((struct history_reader_range){.from = from, .to = to, .has_snapshot = true}, -1, 0);
}

static void start(const char *more)
{
    sim_init(&sim, (struct sim_options){.seed = 1, .node_count = 1});
    assert_int_equal(keeper_rig_start(&rig, sim.nodes[0], more), ERR_OK);
}

enum { epoch_count = 3 };

static int64_t epoch_ends[epoch_count];

/* In several files. */
static void write_epochs(void)
{
    static const int64_t epochs[epoch_count] = {0, 2, 5};
    for (size_t i = 0; i < epoch_count; i++) {
        keeper_rig_begin_epoch(&rig, epochs[i]);
        for (uint64_t seed = 1; seed < 4; seed++) {
            rig.server->wants_roll = true;
            keeper_rig_write_some(&rig, seed, 40);
        }
        epoch_ends[i] = rig.server->keeper.zxid_applied;
        assert_int_equal(epoch_ends[i] >> 32, epochs[i]);
    }
}

/* Behind zxid, which need not exist. */
static int count_behind(int64_t zxid)
{
    int64_t count = 0;
    for (size_t i = 0; i < epoch_count; i++) {
        const int64_t first = epoch_ends[i] >> 32 << 32;
        if (zxid < epoch_ends[i])
            count += epoch_ends[i] - (zxid > first ? zxid : first);
    }
    return (int)count;
}

static int64_t last_up_to(int64_t zxid)
{
    int64_t last = -1;
    for (size_t i = 0; i < epoch_count; i++)
        if (zxid > epoch_ends[i] >> 32 << 32)
            last = zxid < epoch_ends[i] ? zxid : epoch_ends[i];
    return last;
}

static void every_range_is_read_whole(void **state)
{
    (void)state;
    static const int64_t more[] = {0, 0x100000007, 0x200000000, 0x500000000, 0x4ffffffff};
    start("");
    write_epochs();
    const int64_t last = epoch_ends[epoch_count - 1];
    for (size_t i = 0; i < epoch_count; i++) {
        for (int64_t zxid = epoch_ends[i] - 50; zxid <= epoch_ends[i] + 2 && zxid < last; zxid++) {
            read_range(zxid, last, -1, 0);
            assert_int_equal(heard.err, ERR_OK);
            assert_int_equal(heard.count, count_behind(zxid));
            assert_int_equal(heard.zxid_last, last);
            assert_int_equal(heard.reader.zxid_previous, last_up_to(zxid));
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(more); i++) {
        read_range(more[i], last, -1, 7);
        assert_int_equal(heard.err, ERR_OK);
        assert_int_equal(heard.count, count_behind(more[i]));
        assert_int_equal(heard.reader.zxid_previous, last_up_to(more[i]));
        /* Beyond the end: as far as there is. */
        read_range(more[i], INT64_MAX, -1, 1);
        assert_int_equal(heard.err, ERR_OK);
        assert_int_equal(heard.count, count_behind(more[i]));
        assert_int_equal(heard.reader.zxid_last, last);
    }
    read_range(last, last, -1, 0);
    assert_int_equal(heard.count, 0);
    assert_int_equal(heard.reader.zxid_previous, last);
    assert_int_equal(heard.reader.end_previous.offset, journal_end(&rig.server->journal).offset);
    assert_int_equal(rig.told[0], 0);
    keeper_rig_stop(&rig);
    sim_deinit(&sim);
}

static void it_may_be_stopped_at_each_entry(void **state)
{
    (void)state;
    start("");
    write_epochs();
    for (int64_t zxid = 1; zxid <= epoch_ends[0]; zxid++) {
        read_range(0, epoch_ends[2], zxid, 0);
        assert_int_equal(heard.count, zxid);
    }
    /* And while a read is in flight. */
    for (int turns = 0; turns < 20; turns++) {
        heard = (struct heard){.stop_at = -1};
        assert_int_equal(
            history_reader_start(&heard.reader, &rig.server->journal, &rig.node->heap,
                                 (struct history_reader_range){.to = epoch_ends[2]},
                                 (struct history_reader_handler){on_entry, on_done, &heard}),
            ERR_OK);
        for (int i = 0; i < turns && !heard.is_done; i++)
            io_run(rig.node->io, UINT64_MAX);
        history_reader_stop(&heard.reader);
        memset(&heard.reader, 0xee, sizeof heard.reader);
    }
    keeper_rig_stop(&rig);
    sim_deinit(&sim);
}

/* A server that was sent a snapshot, say, has no journal before it. */
static void what_the_journal_does_not_reach(void **state)
{
    (void)state;
    start("");
    keeper_rig_write_some(&rig, 1, 40);
    const int64_t first_end = rig.server->keeper.zxid_applied;
    rig.server->keeper.zxid_prepared += 10; /* Ten are missing. */
    rig.server->wants_roll = true;
    keeper_rig_write_some(&rig, 2, 40);
    const int64_t last = rig.server->keeper.zxid_applied;
    read_range(first_end - 3, last, -1, 0);
    assert_int_equal(heard.err, ERR_NOT_FOUND);
    assert_int_equal(heard.count, 3);
    read_range(first_end + 10, last, -1, 0);
    assert_int_equal(heard.err, ERR_NOT_FOUND); /* What it lacks might have been there. */
    assert_int_equal(heard.count, 0);
    read_range(first_end + 11, last, -1, 0);
    assert_int_equal(heard.err, ERR_OK);
    assert_int_equal(heard.reader.zxid_previous, first_end + 11);
    assert_int_equal(heard.count, last - first_end - 11);
    /* What is in front of a snapshot does not count; what is behind it does. */
    read_behind_snapshot(first_end + 10, last);
    assert_int_equal(heard.err, ERR_OK);
    assert_int_equal(heard.count, last - first_end - 10);
    read_behind_snapshot(first_end + 9, last);
    assert_int_equal(heard.err, ERR_NOT_FOUND);
    assert_int_equal(heard.count, 0);
    read_behind_snapshot(first_end - 3, last);
    assert_int_equal(heard.err, ERR_NOT_FOUND);
    assert_int_equal(heard.count, 3);
    keeper_rig_stop(&rig);
    sim_deinit(&sim);
}

static void damage_is_told(void **state)
{
    (void)state;
    start("");
    keeper_rig_write_some(&rig, 1, 40);
    const int64_t last = rig.server->keeper.zxid_applied;
    assert_true(sim_disk_corrupt(&rig.node->disk, "/data/version-2/log.1", 1000, 4));
    read_range(0, last, -1, 0);
    assert_int_equal(heard.err, ERR_CORRUPT);
    assert_true(heard.count < last);
    assert_non_null(strstr(rig.told, "log.1 cannot be read at offset"));
    keeper_rig_stop(&rig);
    sim_deinit(&sim);
}

static void an_empty_journal(void **state)
{
    (void)state;
    start("");
    read_range(0, 10, -1, 0);
    assert_int_equal(heard.err, ERR_OK);
    assert_int_equal(heard.count, 0);
    keeper_rig_stop(&rig);
    sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_range_is_read_whole),
        cmocka_unit_test(it_may_be_stopped_at_each_entry),
        cmocka_unit_test(what_the_journal_does_not_reach),
        cmocka_unit_test(damage_is_told),
        cmocka_unit_test(an_empty_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
