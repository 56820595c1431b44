#include "server/keeper/record_pool.h"
#include "test/unit_test.h"

static struct heap heap;
static struct record_pool pool;

static int set_up(void **state)
{
    (void)state;
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20});
    record_pool_init(&pool, &heap);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    record_pool_deinit(&pool);
    const bool is_clean = heap.block_count == 0;
    heap_deinit(&heap);
    return is_clean ? 0 : 1;
}

static void test_neighbours_lie_side_by_side(void **state)
{
    (void)state;
    struct record_block *blocks[2];
    uint8_t *first = record_pool_take(&pool, 100, &blocks[0]);
    const uint8_t *second = record_pool_take(&pool, 50, &blocks[1]);
    assert_ptr_equal(first + 100, second);
    record_pool_give(&pool, blocks[0]);
    record_pool_give(&pool, blocks[1]);
    /* Nobody uses the block: it is filled from its start again. */
    assert_ptr_equal(first, record_pool_take(&pool, 70, &blocks[0]));
    record_pool_give(&pool, blocks[0]);
}

static void test_full_block_lives_as_long_as_its_records(void **state)
{
    (void)state;
    enum { count = 20 };
    struct record_block *blocks[count];
    uint8_t *records[count];
    for (int index = 0; index < count; index++) {
        records[index] = record_pool_take(&pool, 8000, &blocks[index]);
        memset(records[index], index, 8000);
    }
    assert_ptr_not_equal(blocks[0], blocks[count - 1]);
    for (int index = count - 1; index >= 0; index--) {
        assert_int_equal(index, records[index][0]);
        assert_int_equal(index, records[index][7999]);
        record_pool_give(&pool, blocks[index]);
    }
}

static void test_large_record_has_its_own_block(void **state)
{
    (void)state;
    struct record_block *small, *large;
    const uint8_t *before = record_pool_take(&pool, 10, &small);
    uint8_t *record = record_pool_take(&pool, 200 * 1024, &large);
    memset(record, 1, 200 * 1024);
    assert_ptr_not_equal(small, large);
    record_pool_give(&pool, large);
    const uint8_t *after = record_pool_take(&pool, 10, &large);
    assert_ptr_equal(before + 10, after);
    record_pool_give(&pool, small);
    record_pool_give(&pool, large);
    assert_null(record_pool_take(&pool, 2 << 20, &large)); /* Above the heap's limit. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_neighbours_lie_side_by_side, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full_block_lives_as_long_as_its_records, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_large_record_has_its_own_block, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
