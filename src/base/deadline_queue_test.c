#include "base/deadline_queue.h"

#include "base/prng.h"
#include "test/unit_test.h"

enum { member_count = 200, round_count = 20000 };

static void test_comes_out_in_order(void **state)
{
    (void)state;
    struct deadline_queue queue;
    struct deadline deadlines[4] = {{0}};
    deadline_queue_init(&queue);
    assert_null(deadline_queue_pop(&queue, UINT64_MAX));
    deadline_queue_add(&queue, &deadlines[0], 30);
    deadline_queue_add(&queue, &deadlines[1], 10);
    deadline_queue_add(&queue, &deadlines[2], 20);
    deadline_queue_add(&queue, &deadlines[3], 40);
    assert_null(deadline_queue_pop(&queue, 9));
    assert_ptr_equal(deadline_queue_pop(&queue, 20), &deadlines[1]);
    assert_ptr_equal(deadline_queue_pop(&queue, 20), &deadlines[2]);
    assert_null(deadline_queue_pop(&queue, 20));
    deadline_queue_remove(&queue, &deadlines[0]);
    deadline_queue_remove(&queue, &deadlines[0]);
    assert_ptr_equal(deadline_queue_first(&queue), &deadlines[3]);
    assert_int_equal(queue.count, 1);
}

/* Against an array that is searched from end to end. */
static void test_agrees_with_a_naive_queue(void **state)
{
    (void)state;
    static struct deadline deadlines[member_count];
    struct deadline_queue queue;
    struct prng prng;
    uint64_t now = 0;
    prng_init(&prng, 7);
    deadline_queue_init(&queue);
    for (int round = 0; round < round_count; round++) {
        struct deadline *one = &deadlines[prng_below(&prng, member_count)];
        if (one->is_queued)
            deadline_queue_remove(&queue, one);
        else
            deadline_queue_add(&queue, one, now + prng_below(&prng, 100));
        now += prng_below(&prng, 3);
        uint64_t earliest = UINT64_MAX;
        uint32_t count = 0;
        for (int i = 0; i < member_count; i++) {
            count += deadlines[i].is_queued;
            if (deadlines[i].is_queued && deadlines[i].at < earliest)
                earliest = deadlines[i].at;
        }
        assert_int_equal(queue.count, count);
        if (count > 0)
            assert_int_equal(deadline_queue_first(&queue)->at, earliest);
        struct deadline *due = deadline_queue_pop(&queue, now);
        assert_int_equal(due != NULL, count > 0 && earliest <= now);
        if (due != NULL)
            assert_int_equal(due->at, earliest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes_out_in_order),
        cmocka_unit_test(test_agrees_with_a_naive_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
