#include "base/macros.h"
#include "base/prng.h"
#include "keeper/recovery.h"
#include "test/unit_test.h"

static void names_are_apaches(void **state)
{
    (void)state;
    uint8_t memory[recovery_name_bytes_max];
    assert_true(
        slice_equal_text(recovery_file_name(RECOVERY_FILE_JOURNAL, 0x1f, memory), "log.1f"));
    assert_true(slice_equal_text(recovery_file_name(RECOVERY_FILE_SNAPSHOT, 0x100000000, memory),
                                 "snapshot.100000000"));
    struct recovery_file file = recovery_file_of(SLICE_LITERAL("snapshot.1f.gz"));
    assert_int_equal(file.kind, RECOVERY_FILE_SNAPSHOT);
    assert_int_equal(file.compression, RECOVERY_GZIP);
    assert_int_equal(file.zxid, 0x1f);
    file = recovery_file_of(SLICE_LITERAL("log.0"));
    assert_int_equal(file.kind, RECOVERY_FILE_JOURNAL);
    static const char *const others[] = {"log.",
                                         "log.1F",
                                         "log.0x1",
                                         "log.1.gz",
                                         "log.g",
                                         "snapshot.-1",
                                         "log",
                                         "snapshot.1.zip",
                                         "",
                                         "currentEpoch",
                                         "log.ffffffffffffffff",
                                         "log.11111111111111111"};
    for (size_t index = 0; index < ARRAY_COUNT(others); index++)
        if (recovery_file_of(slice_from_text(others[index])).kind != RECOVERY_FILE_OTHER)
            fail_msg("%s", others[index]);
}

static void sorting_puts_new_snapshots_and_old_journals_first(void **state)
{
    (void)state;
    enum { count = 200 };
    struct recovery_file files[count];
    struct prng prng;
    prng_init(&prng, 3);
    for (int index = 0; index < count; index++)
        files[index] = (struct recovery_file){
            .kind = prng_chance(&prng, 1, 2) ? RECOVERY_FILE_SNAPSHOT : RECOVERY_FILE_JOURNAL,
            .zxid = (int64_t)prng_below(&prng, 1000)};
    recovery_sort(files, count);
    for (int index = 1; index < count; index++) {
        const struct recovery_file *a = &files[index - 1];
        const struct recovery_file *b = &files[index];
        if (a->kind == b->kind)
            assert_true(a->kind == RECOVERY_FILE_SNAPSHOT ? a->zxid >= b->zxid
                                                          : a->zxid <= b->zxid);
        else
            assert_int_equal(a->kind, RECOVERY_FILE_SNAPSHOT);
    }
}

static enum recovery_verdict judge(enum txn_record_verdict verdict, bool last, bool zero,
                                   bool followed, int64_t synced)
{
    return recovery_judge_stop(&(struct recovery_stop){
        .verdict = verdict,
        .is_last_file = last,
        .rest_is_zero = zero,
        .is_followed = followed,
        .zxid_last = 10,
        .zxid_synced = synced,
    });
}

static void only_an_unacknowledged_tail_is_cut(void **state)
{
    (void)state;
    static const enum txn_record_verdict bad[] = {TXN_RECORD_MORE, TXN_RECORD_NO_MARK,
                                                  TXN_RECORD_CHECKSUM, TXN_RECORD_IMPOSSIBLE};
    for (size_t index = 0; index < ARRAY_COUNT(bad); index++) {
        assert_int_equal(judge(bad[index], true, false, false, 0), RECOVERY_CUT);
        assert_int_equal(judge(bad[index], true, false, false, 10), RECOVERY_CUT);
        assert_int_equal(judge(bad[index], true, false, false, 11), RECOVERY_REFUSE);
        assert_int_equal(judge(bad[index], true, false, true, 0), RECOVERY_REFUSE);
        assert_int_equal(judge(bad[index], false, false, false, 0), RECOVERY_REFUSE);
    }
    assert_int_equal(judge(TXN_RECORD_END, false, true, false, 11), RECOVERY_GO_ON);
    assert_int_equal(judge(TXN_RECORD_END, true, true, false, 10), RECOVERY_GO_ON);
    assert_int_equal(judge(TXN_RECORD_END, true, true, false, 11), RECOVERY_REFUSE);
    assert_int_equal(judge(TXN_RECORD_END, true, false, false, 0), RECOVERY_CUT);
    assert_int_equal(judge(TXN_RECORD_END, true, false, true, 0), RECOVERY_REFUSE);
}

/* Apache's servers leave a torn tail where it is and go on in a new file. */
static void a_torn_tail_that_the_next_file_continues_is_no_damage(void **state)
{
    (void)state;
    struct recovery_stop stop = {.verdict = TXN_RECORD_CHECKSUM,
                                 .zxid_last = 10,
                                 .zxid_synced = 10,
                                 .knows_synced = true,
                                 .is_continued = true};
    assert_int_equal(recovery_judge_stop(&stop), RECOVERY_GO_ON);
    stop.zxid_synced = 20; /* They acknowledged what follows; the file that follows has it. */
    assert_int_equal(recovery_judge_stop(&stop), RECOVERY_GO_ON);
}

static void empty_files_may_only_be_last(void **state)
{
    (void)state;
    struct recovery_stop stop = {.is_empty_file = true, .is_last_file = true};
    assert_int_equal(recovery_judge_stop(&stop), RECOVERY_DELETE);
    stop.is_last_file = false;
    assert_int_equal(recovery_judge_stop(&stop), RECOVERY_REFUSE);
}

/* Behind our own mark writes that were never acknowledged may be torn anywhere. */
static void what_follows_the_mark_is_cut(void **state)
{
    (void)state;
    struct recovery_stop stop = {
        .verdict = TXN_RECORD_CHECKSUM, .zxid_last = 10, .zxid_synced = 10, .knows_synced = true};
    assert_int_equal(recovery_judge_stop(&stop), RECOVERY_CUT);
    assert_int_equal(recovery_judge_hole(&stop), RECOVERY_CUT);
    stop.verdict = TXN_RECORD_END; /* Zeros, then something. */
    assert_int_equal(recovery_judge_stop(&stop), RECOVERY_CUT);
    stop.is_empty_file = true;
    assert_int_equal(recovery_judge_stop(&stop), RECOVERY_CUT);
    stop.zxid_synced = 11;
    assert_int_equal(recovery_judge_stop(&stop), RECOVERY_REFUSE);
    stop.is_empty_file = false;
    assert_int_equal(recovery_judge_stop(&stop), RECOVERY_REFUSE);
    assert_int_equal(recovery_judge_hole(&stop), RECOVERY_REFUSE);
    stop.knows_synced = false;
    stop.zxid_synced = 0;
    assert_int_equal(recovery_judge_hole(&stop), RECOVERY_REFUSE);
}

static void zxids_leave_no_hole(void **state)
{
    (void)state;
    assert_int_equal(recovery_check_zxid(-1, 77), ERR_OK);
    assert_int_equal(recovery_check_zxid(0, 1), ERR_OK);
    assert_int_equal(recovery_check_zxid(0, 77), ERR_CORRUPT);
    assert_int_equal(recovery_check_zxid(5, 6), ERR_OK);
    assert_int_equal(recovery_check_zxid(5, 5), ERR_EXISTS);
    assert_int_equal(recovery_check_zxid(5, 4), ERR_CORRUPT);
    assert_int_equal(recovery_check_zxid(5, 7), ERR_CORRUPT);
    assert_int_equal(recovery_check_zxid(5, INT64_C(1) << 32 | 1), ERR_OK);
    assert_int_equal(recovery_check_zxid(5, INT64_C(3) << 32 | 1), ERR_OK);
    assert_int_equal(recovery_check_zxid(5, INT64_C(1) << 32 | 2), ERR_CORRUPT);
    assert_int_equal(recovery_check_zxid(INT64_C(1) << 32 | 5, 1), ERR_CORRUPT);
    assert_int_equal(recovery_check_zxid(UINT32_MAX, INT64_C(1) << 32), ERR_OK); /* Alone. */
}

static void records_without_a_snapshot_are_not_trusted(void **state)
{
    (void)state;
    assert_int_equal(recovery_judge_empty(&(struct recovery_empty){0}), RECOVERY_GO_ON);
    assert_int_equal(recovery_judge_empty(&(struct recovery_empty){.has_records = true}),
                     RECOVERY_REFUSE);
    assert_int_equal(recovery_judge_empty(&(struct recovery_empty){.has_records = true,
                                                                   .trust_empty_snapshot = true}),
                     RECOVERY_GO_ON);
    assert_int_equal(recovery_judge_empty(&(struct recovery_empty){.has_snapshots = true,
                                                                   .trust_empty_snapshot = true}),
                     RECOVERY_REFUSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_apaches),
        cmocka_unit_test(sorting_puts_new_snapshots_and_old_journals_first),
        cmocka_unit_test(only_an_unacknowledged_tail_is_cut),
        cmocka_unit_test(a_torn_tail_that_the_next_file_continues_is_no_damage),
        cmocka_unit_test(empty_files_may_only_be_last),
        cmocka_unit_test(what_follows_the_mark_is_cut),
        cmocka_unit_test(zxids_leave_no_hole),
        cmocka_unit_test(records_without_a_snapshot_are_not_trusted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
