#include "test/unit_test.h"

#include "base/macros.h"
#include "zab/sync_plan.h"

#include <stddef.h>

#define NONE              sync_plan_none
#define E(epoch, counter) (((int64_t)(epoch) << 32) + (counter))

struct row {
    const char *what;
    int64_t peer, last, first, cache_last, previous, next;
    bool forces, may_read;
    enum sync_plan_kind kind;
    int64_t zxid, from;
};

static const struct row rows[] = {
    {"a forced snapshot", E(5, 9), E(5, 9), E(5, 1), E(5, 9), E(5, 9), NONE, true, true,
     SYNC_PLAN_SNAP, NONE, NONE},
    {"nothing is lacking", E(5, 9), E(5, 9), E(5, 1), E(5, 9), E(5, 9), NONE, false, true,
     SYNC_PLAN_DIFF, E(5, 9), E(5, 9)},
    {"nothing is lacking, and nothing in memory", E(5, 9), E(5, 9), NONE, NONE, NONE, NONE, false,
     true, SYNC_PLAN_DIFF, E(5, 9), E(5, 9)},
    {"two new servers", 0, 0, NONE, NONE, NONE, NONE, false, true, SYNC_PLAN_DIFF, 0, 0},
    {"both at the beginning of an epoch", E(6, 0), E(6, 0), E(5, 1), E(5, 9), E(5, 9), NONE, false,
     true, SYNC_PLAN_DIFF, E(6, 0), E(6, 0)},
    {"the leader has begun an epoch, nothing else is new", E(5, 9), E(6, 0), E(5, 1), E(5, 9),
     E(5, 9), NONE, false, true, SYNC_PLAN_DIFF, E(5, 9), E(5, 9)},
    {"more than the leader", E(5, 12), E(5, 9), E(5, 1), E(5, 9), E(5, 9), NONE, false, true,
     SYNC_PLAN_TRUNC, E(5, 9), E(5, 9)},
    {"more than the leader, of a later epoch", E(6, 2), E(5, 9), E(5, 1), E(5, 9), E(5, 9), NONE,
     false, true, SYNC_PLAN_TRUNC, E(5, 9), E(5, 9)},
    {"more than the leader, which has nothing in memory", E(5, 12), E(5, 9), NONE, NONE, NONE, NONE,
     false, true, SYNC_PLAN_TRUNC, E(5, 9), E(5, 9)},
    {"more than the leader, which has begun an epoch", E(5, 12), E(6, 0), E(5, 1), E(5, 9), E(5, 9),
     NONE, false, true, SYNC_PLAN_TRUNC, E(5, 9), E(5, 9)},
    {"the beginning of a later epoch", E(6, 0), E(5, 9), E(5, 1), E(5, 9), E(5, 9), NONE, false,
     true, SYNC_PLAN_SNAP, NONE, NONE},
    {"in memory", E(5, 4), E(5, 9), E(5, 1), E(5, 9), E(5, 4), E(5, 5), false, true, SYNC_PLAN_DIFF,
     E(5, 9), E(5, 4)},
    {"the first in memory", E(5, 1), E(5, 9), E(5, 1), E(5, 9), E(5, 1), E(5, 2), false, true,
     SYNC_PLAN_DIFF, E(5, 9), E(5, 1)},
    {"of an earlier epoch, in memory", E(4, 7), E(5, 9), E(4, 3), E(5, 9), E(4, 7), E(5, 1), false,
     true, SYNC_PLAN_DIFF, E(5, 9), E(4, 7)},
    {"the beginning of an epoch, in memory", E(5, 0), E(5, 9), E(4, 3), E(5, 9), E(4, 7), E(5, 1),
     false, true, SYNC_PLAN_DIFF, E(5, 9), E(5, 0)},
    {"the beginning of an epoch that left nothing", E(5, 0), E(6, 9), E(4, 3), E(6, 9), E(4, 7),
     E(6, 1), false, true, SYNC_PLAN_DIFF, E(6, 9), E(5, 0)},
    /* E(4, 8) was proposed by a leader that lost its office. */
    {"not there, before another epoch", E(4, 8), E(5, 9), E(4, 3), E(5, 9), E(4, 7), E(5, 1), false,
     true, SYNC_PLAN_SNAP, NONE, NONE},
    {"not there, between two of its epoch", E(4, 8), E(5, 9), E(4, 3), E(5, 9), E(4, 7), E(4, 9),
     false, true, SYNC_PLAN_TRUNC, E(4, 7), E(4, 7)},
    {"older than memory", E(5, 4), E(5, 9), E(5, 7), E(5, 9), NONE, E(5, 7), false, true,
     SYNC_PLAN_ASK_JOURNAL, NONE, NONE},
    {"older, and nothing in memory", E(5, 4), E(5, 9), NONE, NONE, NONE, NONE, false, true,
     SYNC_PLAN_ASK_JOURNAL, NONE, NONE},
    {"older, and the journal is too large", E(5, 4), E(5, 9), E(5, 7), E(5, 9), NONE, E(5, 7),
     false, false, SYNC_PLAN_SNAP, NONE, NONE},
};

static void every_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        const struct sync_plan_facts facts = {.peer = row->peer,
                                              .last = row->last,
                                              .cache_first = row->first,
                                              .cache_last = row->cache_last,
                                              .in_cache = {row->previous, row->next},
                                              .forces_snapshot = row->forces,
                                              .may_read_journal = row->may_read};
        const struct sync_plan plan = sync_plan_choose(&facts);
        if (plan.kind != row->kind || plan.zxid != row->zxid || plan.from != row->from)
            fail_msg("%s: kind %d, zxid %llx, from %llx", row->what, (int)plan.kind,
                     (unsigned long long)plan.zxid, (unsigned long long)plan.from);
    }
}

struct journal_row {
    const char *what;
    int64_t peer, previous, next;
    enum sync_plan_kind kind;
    int64_t zxid, from;
};

static const struct journal_row journal_rows[] = {
    {"it is there", E(4, 7), E(4, 7), E(4, 8), SYNC_PLAN_DIFF, E(5, 9), E(4, 7)},
    {"it is there, the last of its epoch", E(4, 7), E(4, 7), E(5, 1), SYNC_PLAN_DIFF, E(5, 9),
     E(4, 7)},
    {"the beginning of an epoch", E(4, 0), E(3, 7), E(4, 1), SYNC_PLAN_DIFF, E(5, 9), E(4, 0)},
    {"not there, between two of its epoch", E(4, 8), E(4, 7), E(4, 9), SYNC_PLAN_TRUNC, E(4, 7),
     E(4, 7)},
    {"not there, before another epoch", E(4, 8), E(4, 7), E(5, 1), SYNC_PLAN_SNAP, NONE, NONE},
    {"the journal begins later", E(4, 8), NONE, E(4, 9), SYNC_PLAN_SNAP, NONE, NONE},
    {"the journal begins later than the epoch", E(4, 0), NONE, E(4, 1), SYNC_PLAN_SNAP, NONE, NONE},
    {"the journal has nothing behind it", E(4, 8), E(4, 7), NONE, SYNC_PLAN_SNAP, NONE, NONE},
    {"the journal is empty", E(4, 8), NONE, NONE, SYNC_PLAN_SNAP, NONE, NONE},
};

static void every_row_by_journal(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(journal_rows); i++) {
        const struct journal_row *row = &journal_rows[i];
        const struct sync_plan_facts facts = {.peer = row->peer,
                                              .last = E(5, 9),
                                              .cache_first = E(5, 7),
                                              .cache_last = E(5, 9),
                                              .in_cache = {NONE, E(5, 7)},
                                              .may_read_journal = true};
        assert_int_equal(sync_plan_choose(&facts).kind, SYNC_PLAN_ASK_JOURNAL);
        const struct sync_plan plan = sync_plan_choose_by_journal(
            &facts, (struct sync_plan_neighbours){row->previous, row->next});
        if (plan.kind != row->kind || plan.zxid != row->zxid || plan.from != row->from)
            fail_msg("%s: kind %d, zxid %llx, from %llx", row->what, (int)plan.kind,
                     (unsigned long long)plan.zxid, (unsigned long long)plan.from);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row),
        cmocka_unit_test(every_row_by_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
