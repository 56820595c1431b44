/* Snapshots: what is written is read; a fuzzy one and the journal make the whole. */
#include "keeper/snapshot_reader.h"
#include "keeper/snapshot_writer.h"
#include "test/keeper_workload.h"

enum { file_bytes_max = 1 << 20, entries_bytes_max = 1 << 20, entry_count_max = 4096 };

static struct driver driver;

/* A snapshot's bytes, and the entries that were applied since it began. */
static uint8_t file[file_bytes_max];
static size_t file_size;
static uint8_t entries[entries_bytes_max];
static size_t entries_size;
static struct slice entry_list[entry_count_max];
static int entry_count;

static void keep_entry(struct driver *from, struct slice entry)
{
    (void)from;
    assert_true(entry_count < entry_count_max && entries_size + entry.size <= sizeof entries);
    memcpy(entries + entries_size, entry.data, entry.size);
    entry_list[entry_count++] = slice_of(entries + entries_size, entry.size);
    entries_size += entry.size;
}

static void forget_files(void)
{
    file_size = entries_size = 0;
    entry_count = 0;
}

static void start_driver(void)
{
    driver_init(&driver, driver_options());
    workload_add_quota(&driver, "/a");
    driver.on_entry = keep_entry;
    forget_files();
}

static int set_up(void **state)
{
    start_driver();
    *state = &driver;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    driver_deinit(&driver);
    return 0;
}

/* One slice into file; false at the end. */
static bool write_slice(struct snapshot_writer *writer)
{
    size_t size;
    assert_true(sizeof file - file_size >= snapshot_slice_bytes_min);
    assert_int_equal(
        snapshot_writer_next(writer, file + file_size, snapshot_slice_bytes_min, &size), ERR_OK);
    file_size += size;
    return size > 0;
}

static void write_all(void)
{
    struct snapshot_writer writer;
    assert_int_equal(snapshot_writer_init(&writer, &driver.keeper), ERR_OK);
    while (write_slice(&writer))
        ;
    assert_int_equal(writer.bytes, file_size);
    snapshot_writer_deinit(&writer);
}

/* Another keeper, made from files. */
struct loaded {
    struct heap heap;
    struct keeper keeper;
    struct arena arena;
    struct snapshot_reader reader;
};

static void loaded_init(struct loaded *loaded, int64_t zxid)
{
    static _Alignas(16) uint8_t memory[1 << 20];
    arena_init(&loaded->arena, memory, sizeof memory);
    heap_init(&loaded->heap, (struct heap_options){.limit_bytes = 64 << 20});
    assert_int_equal(keeper_init(&loaded->keeper, &loaded->heap, driver_options(), 0), ERR_OK);
    snapshot_reader_init(&loaded->reader, &loaded->keeper, &loaded->arena, zxid, 0);
}

static void loaded_deinit(struct loaded *loaded)
{
    snapshot_reader_deinit(&loaded->reader);
    keeper_deinit(&loaded->keeper);
    assert_int_equal(loaded->heap.block_count, 0);
}

static enum err load(struct loaded *loaded, struct prng *prng, size_t piece_max)
{
    for (size_t at = 0; at < file_size;) {
        const size_t size = min_size(file_size - at, prng_between(prng, 1, piece_max));
        const enum err err = snapshot_reader_feed(&loaded->reader, slice_of(file + at, size));
        if (err != ERR_OK)
            return err;
        at += size;
    }
    return snapshot_reader_finish(&loaded->reader);
}

static void replay(struct loaded *loaded, int from)
{
    for (int index = from; index < entry_count; index++) {
        arena_reset(&loaded->arena);
        struct txn txn;
        struct txn_result result;
        assert_int_equal(txn_codec_decode_entry(entry_list[index], &loaded->arena, &txn), ERR_OK);
        keeper_apply(&loaded->keeper, &txn, 0, NULL, &loaded->arena, &result);
    }
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    for (int step = 0; step < 300; step++)
        workload_step(&driver, &prng);
    write_all();
    static const size_t pieces[] = {1, 7, 100, 5000, file_bytes_max};
    for (size_t index = 0; index < ARRAY_COUNT(pieces); index++) {
        struct loaded loaded;
        loaded_init(&loaded, driver.keeper.zxid_applied);
        assert_int_equal(load(&loaded, &prng, pieces[index]), ERR_OK);
        workload_same(&loaded.keeper, &driver.keeper);
        assert_true(loaded.reader.has_digest);
        assert_int_equal(loaded.reader.digest, driver.keeper.tree.digest);
        assert_int_equal(loaded.reader.digest_zxid, driver.keeper.zxid_applied);
        loaded_deinit(&loaded);
    }
}

/* As to a learner, with something behind it that is not to be touched. */
static void what_is_streamed_is_read(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 2);
    for (int step = 0; step < 300; step++)
        workload_step(&driver, &prng);
    struct snapshot_writer writer;
    assert_int_equal(snapshot_writer_init_stream(&writer, &driver.keeper), ERR_OK);
    while (write_slice(&writer))
        ;
    snapshot_writer_deinit(&writer);
    const size_t stream_size = file_size;
    memset(file + stream_size, 0, 100);
    file_size += 100;
    static const size_t pieces[] = {1, 7, 100, 5000, file_bytes_max};
    for (size_t index = 0; index < ARRAY_COUNT(pieces); index++) {
        struct loaded loaded;
        size_t at = 0;
        loaded_init(&loaded, 0);
        snapshot_reader_init_stream(&loaded.reader, &loaded.keeper, &loaded.arena,
                                    driver.keeper.zxid_applied, 0);
        assert_int_equal(snapshot_reader_finish(&loaded.reader), ERR_TRUNCATED);
        while (!snapshot_reader_is_at_end(&loaded.reader)) {
            size_t used;
            const size_t size = min_size(file_size - at, prng_between(&prng, 1, pieces[index]));
            assert_int_equal(
                snapshot_reader_feed_stream(&loaded.reader, slice_of(file + at, size), &used),
                ERR_OK);
            assert_true(used <= size);
            at += used;
        }
        assert_int_equal(at, stream_size);
        assert_int_equal(snapshot_reader_finish(&loaded.reader), ERR_OK);
        workload_same(&loaded.keeper, &driver.keeper);
        loaded_deinit(&loaded);
    }
}

/* It goes on in its new place as if it had always been there. */
static void a_keeper_moves(void **state)
{
    (void)state;
    struct prng prng;
    struct loaded loaded;
    struct keeper moved;
    prng_init(&prng, 1);
    for (int step = 0; step < 300; step++)
        workload_step(&driver, &prng);
    write_all();
    loaded_init(&loaded, driver.keeper.zxid_applied);
    assert_int_equal(load(&loaded, &prng, 1000), ERR_OK);
    keeper_move(&moved, &loaded.keeper);
    workload_same(&moved, &driver.keeper);
    const int first = entry_count;
    for (int step = 0; step < 300; step++)
        workload_step(&driver, &prng);
    keeper_move(&loaded.keeper, &moved);
    memset(&moved, 0xee, sizeof moved);
    replay(&loaded, first);
    workload_same(&loaded.keeper, &driver.keeper);
    loaded_deinit(&loaded);
}

/* Held back, then told at another zxid than it began with. */
static void the_tail_waits_for_its_zxid(void **state)
{
    (void)state;
    struct prng prng;
    struct snapshot_writer writer;
    struct loaded loaded;
    prng_init(&prng, 1);
    for (int step = 0; step < 300; step++)
        workload_step(&driver, &prng);
    assert_int_equal(snapshot_writer_init(&writer, &driver.keeper), ERR_OK);
    snapshot_writer_hold_tail(&writer);
    while (write_slice(&writer))
        assert_true(file_size < file_bytes_max);
    assert_true(snapshot_writer_is_held(&writer));
    const int64_t zxid = driver.keeper.zxid_applied + 1000;
    keeper_set_zxid(&driver.keeper, zxid);
    snapshot_writer_release_tail(&writer);
    assert_int_equal(writer.zxid, zxid);
    while (write_slice(&writer))
        ;
    snapshot_writer_deinit(&writer);
    loaded_init(&loaded, zxid);
    assert_int_equal(load(&loaded, &prng, 1000), ERR_OK);
    workload_same(&loaded.keeper, &driver.keeper);
    assert_int_equal(loaded.reader.zxid_told, zxid);
    assert_in_range(loaded.reader.zxid_max, 1, zxid - 1000);
    assert_int_equal(loaded.reader.digest_zxid, zxid);
    loaded_deinit(&loaded);
}

static void fuzzy_snapshot_and_journal_make_the_whole(void **state)
{
    (void)state;
    enum { seed_count = 300 };
    uint64_t slice_count = 0;
    for (uint64_t seed = 1; seed <= seed_count; seed++) {
        struct prng prng;
        prng_init(&prng, seed);
        for (int step = 0; step < 200; step++)
            workload_step(&driver, &prng);
        forget_files();
        struct snapshot_writer writer;
        assert_int_equal(snapshot_writer_init(&writer, &driver.keeper), ERR_OK);
        const int64_t zxid = writer.zxid;
        while (write_slice(&writer)) {
            slice_count++;
            for (uint64_t left = prng_below(&prng, 40); left > 0; left--)
                workload_step(&driver, &prng);
        }
        snapshot_writer_deinit(&writer);
        struct loaded loaded;
        loaded_init(&loaded, zxid);
        assert_int_equal(load(&loaded, &prng, 1000), ERR_OK);
        replay(&loaded, 0);
        workload_same(&loaded.keeper, &driver.keeper);
        loaded_deinit(&loaded);
        driver_deinit(&driver);
        start_driver();
    }
    assert_true(slice_count > 3 * seed_count); /* Or nothing was fuzzy. */
}

/* Whatever a fuzzy snapshot shows of the journal's later effects, replaying from the start again
 * ends the same. */
static void replaying_twice_changes_nothing(void **state)
{
    (void)state;
    struct prng prng;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        prng_init(&prng, seed);
        forget_files();
        write_all();
        const int64_t zxid = driver.keeper.zxid_applied;
        for (int step = 0; step < 60; step++)
            workload_step(&driver, &prng);
        struct loaded loaded;
        loaded_init(&loaded, zxid);
        assert_int_equal(load(&loaded, &prng, 1000), ERR_OK);
        replay(&loaded, 0);
        replay(&loaded, 0);
        workload_same(&loaded.keeper, &driver.keeper);
        loaded_deinit(&loaded);
        driver_deinit(&driver);
        start_driver();
    }
}

static void large_records_are_cut_into_slices(void **state)
{
    (void)state;
    static char data[100000];
    memset(data, 'x', sizeof data - 1);
    const struct zk_create_request create = driver_create_request("/big", data, 0);
    assert_int_equal(driver_write(&driver, 0, OP_CREATE, &zk_create_request_wire, &create),
                     CODE_OK);
    write_all();
    struct prng prng;
    prng_init(&prng, 1);
    struct loaded loaded;
    loaded_init(&loaded, driver.keeper.zxid_applied);
    assert_int_equal(load(&loaded, &prng, 999), ERR_OK);
    workload_same(&loaded.keeper, &driver.keeper);
    loaded_deinit(&loaded);
}

/* The seals are those of snapshot.0 of an Apache server 3.9 that was just started: they cover every
 * byte before them. */
static void the_empty_snapshot_is_apaches(void **state)
{
    (void)state;
    static const uint8_t seals[3][4] = {
        {0xb8, 0xa2, 0x3b, 0x49}, {0x95, 0xb9, 0x3d, 0x59}, {0xbd, 0xe8, 0x3f, 0x6d}};
    struct loaded fresh;
    loaded_init(&fresh, 0);
    struct snapshot_writer writer;
    assert_int_equal(snapshot_writer_init(&writer, &fresh.keeper), ERR_OK);
    while (write_slice(&writer))
        ;
    snapshot_writer_deinit(&writer);
    loaded_deinit(&fresh);
    assert_int_equal(file_size, 478);
    assert_memory_equal(file + 415, seals[0], 4);
    assert_memory_equal(file + 448, seals[1], 4);
    assert_memory_equal(file + 469, seals[2], 4);
}

static enum err load_whole(int64_t zxid)
{
    struct prng prng;
    prng_init(&prng, 1);
    struct loaded loaded;
    loaded_init(&loaded, zxid);
    const enum err err = load(&loaded, &prng, file_bytes_max);
    if (err != ERR_OK)
        assert_non_null(loaded.reader.reason);
    loaded_deinit(&loaded);
    return err;
}

static void d11_every_flipped_byte_is_noticed(void **state)
{
    (void)state;
    assert_int_equal(driver_create(&driver, 0, "/a", 0), CODE_OK);
    assert_int_equal(driver_create(&driver, 0, "/a/b", 1), CODE_OK);
    write_all();
    assert_int_equal(load_whole(driver.keeper.zxid_applied), ERR_OK);
    for (size_t at = 0; at < file_size; at++) {
        for (int bit = 0; bit < 8; bit += 3) {
            file[at] ^= (uint8_t)(1 << bit);
            if (load_whole(driver.keeper.zxid_applied) == ERR_OK)
                fail_msg("took a wrong byte %zu", at);
            file[at] ^= (uint8_t)(1 << bit);
        }
    }
}

static void d11_every_cut_is_noticed(void **state)
{
    (void)state;
    assert_int_equal(driver_create(&driver, 0, "/a", 0), CODE_OK);
    write_all();
    const size_t whole = file_size;
    int taken = 0;
    for (file_size = 0; file_size < whole; file_size++)
        taken += load_whole(driver.keeper.zxid_applied) == ERR_OK;
    /* The parts behind the first seal are optional, as in files of older servers. */
    assert_int_equal(taken, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read),
        TEST(fuzzy_snapshot_and_journal_make_the_whole),
        TEST(replaying_twice_changes_nothing),
        TEST(the_empty_snapshot_is_apaches),
        TEST(large_records_are_cut_into_slices),
        TEST(d11_every_flipped_byte_is_noticed),
        TEST(d11_every_cut_is_noticed),
        TEST(what_is_streamed_is_read),
        TEST(a_keeper_moves),
        TEST(the_tail_waits_for_its_zxid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
