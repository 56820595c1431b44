#include "io/eager_sync.h"

#include "test/unit_test.h"

static const uint64_t us = 1000;
static const uint64_t ms = 1000000;

static void note(struct eager_sync *eager, uint64_t begin_ns, uint64_t took_ns, bool is_by_loop)
{
    eager_sync_note(eager, (struct eager_sync_time){.begin_ns = begin_ns,
                                                    .end_ns = begin_ns + took_ns,
                                                    .is_by_loop = is_by_loop});
}

static void the_first_one_is_handed_over(void **state)
{
    (void)state;
    struct eager_sync eager = {0};
    assert_false(eager_sync_may(&eager, 0));
    note(&eager, 0, 100 * us, false);
    assert_true(eager_sync_may(&eager, 0));
}

static void a_disk_that_is_usually_slow_is_never_waited_for(void **state)
{
    (void)state;
    struct eager_sync eager = {0};
    for (uint64_t index = 0; index < 100; index++) {
        note(&eager, index * 10 * ms, eager_sync_usual_ns_max + us, false);
        assert_false(eager_sync_may(&eager, (index + 1) * 10 * ms));
    }
    /* It becomes a fast one. */
    for (uint64_t index = 100; index < 200; index++)
        note(&eager, index * 10 * ms, 100 * us, false);
    assert_true(eager_sync_may(&eager, 2000 * ms));
    /* And a slow one again, before it has been slow for long. */
    note(&eager, 2000 * ms, 10 * ms, false);
    assert_false(eager_sync_may(&eager, 2010 * ms));
}

/* Waiting takes the loop at most a hundredth of its time. */
static void a_stall_is_followed_by_a_pause(void **state)
{
    (void)state;
    struct eager_sync eager = {0};
    note(&eager, 0, 100 * us, false);
    note(&eager, ms, 50 * ms, true);
    for (uint64_t index = 0; index < 100; index++)
        note(&eager, 100 * ms, 100 * us, false);
    assert_false(eager_sync_may(&eager, 51 * ms + 100 * 50 * ms - 1));
    assert_true(eager_sync_may(&eager, 51 * ms + 100 * 50 * ms));
}

/* Those that others made cost the loop nothing. */
static void a_stall_of_another_thread_is_only_averaged(void **state)
{
    (void)state;
    struct eager_sync eager = {0};
    note(&eager, 0, 100 * us, false);
    note(&eager, ms, eager_sync_slow_ns, false);
    assert_true(eager_sync_may(&eager, 4 * ms));
}

static void patient_writes_are_followed_by_a_pause(void **state)
{
    (void)state;
    struct eager_sync eager = {0};
    note(&eager, 0, 100 * us, false);
    eager_sync_note_patient_write(&eager, 10 * ms);
    assert_false(eager_sync_may(&eager, 10 * ms + eager_sync_patient_ns - 1));
    assert_true(eager_sync_may(&eager, 10 * ms + eager_sync_patient_ns));
    /* It does not cut short a pause behind a stall. */
    note(&eager, 2000 * ms, 50 * ms, true);
    eager_sync_note_patient_write(&eager, 2100 * ms);
    assert_false(eager_sync_may(&eager, 2050 * ms + 100 * 50 * ms - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_one_is_handed_over),
        cmocka_unit_test(a_disk_that_is_usually_slow_is_never_waited_for),
        cmocka_unit_test(a_stall_is_followed_by_a_pause),
        cmocka_unit_test(patient_writes_are_followed_by_a_pause),
        cmocka_unit_test(a_stall_of_another_thread_is_only_averaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
