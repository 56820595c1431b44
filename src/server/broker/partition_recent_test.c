#include "server/broker/partition_recent.h"

#include "test/unit_test.h"

static struct partition_recent_batch batch_of(uint32_t number)
{
    return (struct partition_recent_batch){
        .base_offset = 10 * (int64_t)number, .position = number * 100, .size = 100};
}

static void check(const struct partition_recent *recent, uint32_t next)
{
    const uint32_t count = next < partition_recent_count_max ? next : partition_recent_count_max;
    uint32_t index;
    assert_int_equal(recent->count, count);
    for (uint32_t age = 0; age < count; age++)
        assert_int_equal(partition_recent_at(recent, age)->position, (next - count + age) * 100);
    assert_true(partition_recent_find(recent, 10 * (int64_t)next - 5, &index));
    assert_int_equal(index, count - 1);
    assert_true(partition_recent_find(recent, 10 * (int64_t)(next - count), &index));
    assert_int_equal(index, 0);
    assert_false(partition_recent_find(recent, 10 * (int64_t)(next - count) - 1, &index));
}

static void remembers_the_last_ones(void **state)
{
    (void)state;
    struct heap heap;
    struct partition_recent *recent = NULL;
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20});
    for (uint32_t number = 0; number < 3 * partition_recent_count_max; number++) {
        partition_recent_add(&recent, &heap, batch_of(number));
        check(recent, number + 1);
        assert_int_equal(heap.block_count, 1);
        if (number == 0)
            assert_true(heap.used_bytes < 200);
    }
    heap_give(&heap, recent);
}

static void forgets_the_oldest_without_memory(void **state)
{
    (void)state;
    struct heap heap;
    struct partition_recent *recent = NULL;
    heap_init(&heap, (struct heap_options){.limit_bytes = 10});
    partition_recent_add(&recent, &heap, batch_of(0));
    assert_null(recent);
    heap.limit_bytes = 250; /* For the first block, and not for the second one beside it. */
    for (uint32_t number = 0; number < 10; number++)
        partition_recent_add(&recent, &heap, batch_of(number));
    assert_int_equal(recent->count, partition_recent_count_first);
    assert_int_equal(partition_recent_at(recent, 0)->position, 600);
    heap_give(&heap, recent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(remembers_the_last_ones),
                                       cmocka_unit_test(forgets_the_oldest_without_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
