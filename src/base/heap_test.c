#include "base/arena.h"
#include "base/heap.h"
#include "base/pool.h"
#include "base/prng.h"
#include "test/unit_test.h"

static void heap_says_no_at_its_limit_and_counts_exactly(void **state)
{
    (void)state;
    struct heap heap;
    heap_init(&heap, (struct heap_options){.limit_bytes = 1000});
    void *first = heap_take(&heap, 900);
    assert_non_null(first);
    assert_null(heap_take(&heap, 100));
    assert_null(heap_take(&heap, SIZE_MAX));
    heap_give(&heap, first);
    assert_int_equal(heap.used_bytes, 0);
    assert_int_equal(heap.block_count, 0);
    void *again = heap_take_zeroed(&heap, 900);
    assert_int_equal(((uint8_t *)again)[899], 0);
    assert_int_equal(heap_block_size(again), 900);
    heap_give(&heap, again);
}

static void heap_resize_keeps_the_bytes_or_the_old_block(void **state)
{
    (void)state;
    struct heap heap;
    heap_init(&heap, (struct heap_options){.limit_bytes = 200});
    uint8_t *block = heap_resize(&heap, NULL, 4);
    memcpy(block, "rook", 4);
    uint8_t *bigger = heap_resize(&heap, block, 100);
    assert_memory_equal(bigger, "rook", 4);
    assert_null(heap_resize(&heap, bigger, 300));
    assert_memory_equal(bigger, "rook", 4);
    heap_give(&heap, bigger);
    assert_int_equal(heap.used_bytes, 0);
}

static void tracked_heap_gives_everything_back_at_once(void **state)
{
    (void)state;
    struct heap heap;
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20, .tracked = true});
    for (int index = 1; index < 100; index++)
        assert_non_null(heap_take(&heap, (size_t)index));
    heap_deinit(&heap); /* The address sanitizer would report a leak. */
    assert_int_equal(heap.block_count, 0);
}

static void arena_aligns_zeroes_and_ends(void **state)
{
    (void)state;
    _Alignas(max_align_t) uint8_t memory[64];
    memset(memory, 0xff, sizeof memory);
    struct arena arena;
    arena_init(&arena, memory, sizeof memory);
    const uint8_t *first = arena_take(&arena, 1);
    const uint8_t *second = arena_take(&arena, 16);
    assert_int_equal(*first, 0);
    assert_int_equal((uintptr_t)second % _Alignof(max_align_t), 0);
    assert_null(arena_take(&arena, 64));
    assert_null(arena_take_array(&arena, SIZE_MAX / 2, 4));
    assert_false(slice_is_null(arena_copy(&arena, SLICE_LITERAL(""))));
    arena_reset(&arena);
    assert_non_null(arena_take(&arena, 64));
}

/* Random takes and releases; every member is ours alone while taken. */
static void pool_hands_out_each_member_once(void **state)
{
    (void)state;
    enum { item_count = 50 };
    struct heap heap;
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20});
    struct pool pool;
    assert_int_equal(pool_init(&pool, &heap, (struct pool_options){24, item_count}), ERR_OK);
    uint32_t *taken[item_count] = {0};
    struct prng prng;
    prng_init(&prng, 3);
    uint32_t count = 0;
    for (uint32_t step = 1; step < 5000; step++) {
        uint32_t **slot = &taken[prng_below(&prng, item_count)];
        if (*slot != NULL) {
            pool_release(&pool, *slot);
            *slot = NULL;
            count--;
            continue;
        }
        *slot = pool_acquire(&pool);
        assert_non_null(*slot);
        assert_int_equal(**slot, 0);
        **slot = step;
        count++;
        assert_int_equal(pool.used_count, count);
    }
    while (count < item_count) {
        assert_non_null(pool_acquire(&pool));
        count++;
    }
    assert_null(pool_acquire(&pool));
    pool_deinit(&pool, &heap);
    assert_int_equal(heap.used_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap_says_no_at_its_limit_and_counts_exactly),
        cmocka_unit_test(heap_resize_keeps_the_bytes_or_the_old_block),
        cmocka_unit_test(tracked_heap_gives_everything_back_at_once),
        cmocka_unit_test(arena_aligns_zeroes_and_ends),
        cmocka_unit_test(pool_hands_out_each_member_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
