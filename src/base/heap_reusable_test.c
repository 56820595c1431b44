#include "base/heap.h"
#include "base/prng.h"
#include "test/unit_test.h"

static void the_limit_says_no(void **state)
{
    (void)state;
    struct heap heap;
    heap_init(&heap, (struct heap_options){.limit_bytes = 1000});
    void *block = heap_take(&heap, 500);
    assert_non_null(block);
    assert_null(heap_take(&heap, 500));
    assert_null(heap_take(&heap, SIZE_MAX));
    heap_give(&heap, block);
    assert_int_equal(heap.used_bytes, 0);
    assert_int_equal(heap.block_count, 0);
}

static void a_reusable_block_is_used_again(void **state)
{
    (void)state;
    struct heap heap;
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20});
    assert_int_equal(heap_reusable_size(1), 64);
    assert_int_equal(heap_reusable_size(65), 128);
    assert_int_equal(heap_reusable_size(64 * 1024), 64 * 1024);
    assert_int_equal(heap_reusable_size(64 * 1024 + 1), 64 * 1024 + 1);

    void *first = heap_take_reusable(&heap, 100);
    heap_give_reusable(&heap, first);
    assert_int_equal(heap.block_count, 0);
    assert_int_equal(heap.used_bytes, 0);
    assert_ptr_equal(heap_take_reusable(&heap, 128), first);
    assert_int_equal(heap.system_take_count, 1);
    heap_give(&heap, first);
    heap_deinit(&heap);
}

static void kept_blocks_make_room(void **state)
{
    (void)state;
    struct heap heap;
    heap_init(&heap, (struct heap_options){.limit_bytes = 100000});
    heap_give_reusable(&heap, heap_take_reusable(&heap, 64 * 1024));
    void *other = heap_take(&heap, 90000);
    assert_non_null(other);
    assert_int_equal(heap.kept_bytes, 0);
    heap_give(&heap, other);
    heap_deinit(&heap);
}

static void a_block_grows_and_shrinks(void **state)
{
    (void)state;
    for (uint32_t tracked = 0; tracked < 2; tracked++) {
        struct heap heap;
        heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20, .tracked = tracked == 1});
        uint8_t *other = heap_take(&heap, 10);
        uint8_t *block = heap_resize(&heap, NULL, 100);
        memset(block, 7, 100);
        block = heap_resize(&heap, block, 400000);
        assert_int_equal(block[99], 7);
        assert_int_equal(heap_block_size(block), 400000);
        assert_null(heap_resize(&heap, block, 1 << 20));
        block = heap_resize(&heap, block, 50);
        assert_int_equal(block[49], 7);
        heap_give(&heap, block);
        heap_give(&heap, other);
        assert_int_equal(heap.used_bytes, 0);
        assert_int_equal(heap.block_count, 0);
        heap_deinit(&heap);
    }
}

/* Any order of taking and giving keeps blocks apart and the counters right. */
static void random_use(struct heap *heap)
{
    enum { slot_count = 50 };
    uint8_t *blocks[slot_count] = {0};
    size_t sizes[slot_count] = {0};
    struct prng prng;
    prng_init(&prng, 3);
    for (uint32_t step = 0; step < 20000; step++) {
        const uint32_t slot = (uint32_t)prng_below(&prng, slot_count);
        if (blocks[slot] != NULL) {
            for (size_t at = 0; at < sizes[slot]; at += 61)
                assert_int_equal(blocks[slot][at], slot);
            heap_give_reusable(heap, blocks[slot]);
            blocks[slot] = NULL;
            continue;
        }
        sizes[slot] = 1 + prng_below(&prng, prng_chance(&prng, 1, 10) ? 100000 : 1000);
        blocks[slot] = heap_take_reusable(heap, sizes[slot]);
        if (blocks[slot] != NULL)
            memset(blocks[slot], (int)slot, sizes[slot]);
        assert_true(heap->used_bytes + heap->kept_bytes <= heap->limit_bytes);
    }
    for (uint32_t slot = 0; slot < slot_count; slot++)
        heap_give_reusable(heap, blocks[slot]);
    assert_int_equal(heap->used_bytes, 0);
    assert_int_equal(heap->block_count, 0);
}

static void counters_survive_random_use(void **state)
{
    (void)state;
    for (uint32_t tracked = 0; tracked < 2; tracked++) {
        struct heap heap;
        heap_init(&heap, (struct heap_options){.limit_bytes = 500000, .tracked = tracked == 1});
        random_use(&heap);
        heap_deinit(&heap);
        assert_int_equal(heap.kept_bytes, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_says_no),
        cmocka_unit_test(a_reusable_block_is_used_again),
        cmocka_unit_test(kept_blocks_make_room),
        cmocka_unit_test(a_block_grows_and_shrinks),
        cmocka_unit_test(counters_survive_random_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
