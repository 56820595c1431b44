#include "base/prng.h"
#include "io/timer_heap.h"
#include "test/unit_test.h"

enum { timer_count = 500, step_count = 20000 };

struct model_timer {
    struct timer_node node;
    bool is_added;
};

static struct model_timer *find_earliest(struct model_timer *timers)
{
    struct model_timer *first = NULL;
    for (struct model_timer *timer = timers; timer < timers + timer_count; timer++) {
        if (!timer->is_added)
            continue;
        if (first == NULL || timer->node.deadline_ns < first->node.deadline_ns ||
            (timer->node.deadline_ns == first->node.deadline_ns &&
             timer->node.sequence < first->node.sequence))
            first = timer;
    }
    return first;
}

static void pop_and_compare(struct timer_heap *heap, struct model_timer *timers, uint64_t now_ns)
{
    struct model_timer *expected = find_earliest(timers);
    struct timer_node *popped = timer_heap_pop_due(heap, now_ns);
    if (expected == NULL || expected->node.deadline_ns > now_ns) {
        assert_null(popped);
        return;
    }
    assert_ptr_equal(popped, &expected->node);
    expected->is_added = false;
}

static void agrees_with_a_naive_model(void **state)
{
    (void)state;
    static struct model_timer timers[timer_count];
    struct timer_heap heap = {0};
    struct prng prng;
    prng_init(&prng, 7);
    for (uint32_t step = 0; step < step_count; step++) {
        struct model_timer *timer = &timers[prng_below(&prng, timer_count)];
        if (prng_chance(&prng, 1, 3)) {
            pop_and_compare(&heap, timers, prng_below(&prng, 150));
        } else if (timer->is_added) {
            timer_heap_remove(&heap, &timer->node);
            timer->is_added = false;
        } else {
            timer->node.deadline_ns = prng_below(&prng, 100);
            timer_heap_add(&heap, &timer->node);
            timer->is_added = true;
        }
    }
    while (find_earliest(timers) != NULL)
        pop_and_compare(&heap, timers, 100);
    assert_null(heap.root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_a_naive_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
