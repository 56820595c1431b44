#include "server/keeper/txn_cache.h"
#include "test/unit_test.h"

#include "base/prng.h"

#include <string.h>

enum { model_count = 3000, size_max = 9000 };

/* The sizes of all that was ever added; the bytes follow from zxid and size. */
static size_t model_sizes[model_count + 1];

static void fill(uint8_t *bytes, int64_t zxid, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)((size_t)zxid * 31 + i);
}

static void check_against_model(const struct txn_cache *cache, int64_t last,
                                struct txn_cache_options options)
{
    static uint8_t expected[size_max];
    struct txn_cache_entry entry = {.zxid = cache->zxid_before};
    size_t bytes = 0;
    uint32_t count = 0;
    assert_int_equal(cache->zxid_last, last);
    while (txn_cache_next(cache, entry.zxid, &entry)) {
        count++;
        bytes += entry.bytes.size;
        assert_int_equal(entry.zxid, cache->zxid_before + count);
        assert_int_equal(entry.bytes.size, model_sizes[entry.zxid]);
        fill(expected, entry.zxid, entry.bytes.size);
        assert_memory_equal(entry.bytes.data, expected, entry.bytes.size);
        assert_int_equal(txn_cache_at(cache, entry.zxid), entry.zxid);
    }
    assert_int_equal(entry.zxid, last);
    assert_int_equal(count, cache->count);
    assert_int_equal(txn_cache_zxid_first(cache), count == 0 ? 0 : cache->zxid_before + 1);
    assert_true(bytes <= options.bytes_max);
    /* What went had no room: a piece in front of the end and one behind may be lost to wrapping. */
    if (count < options.count_max && cache->zxid_before > 0)
        assert_true(bytes + 2 * size_max > options.bytes_max);
}

static void it_holds_the_newest_in_order(void **state)
{
    (void)state;
    static uint8_t bytes[size_max];
    static const struct txn_cache_options options[] = {{500, 1 << 20}, {7, 1 << 20}, {500, 100000},
                                                       {500, 20000},   {1, 300},     {500, 300}};
    for (size_t i = 0; i < ARRAY_COUNT(options); i++) {
        struct heap heap;
        struct txn_cache cache;
        struct prng prng;
        prng_init(&prng, i + 1);
        heap_init(&heap, (struct heap_options){.limit_bytes = 2 << 20});
        assert_int_equal(txn_cache_init(&cache, &heap, options[i]), ERR_OK);
        for (int64_t zxid = 1; zxid <= model_count; zxid++) {
            const uint64_t limit = prng_below(&prng, 4) == 0 ? size_max : 200;
            model_sizes[zxid] = 1 + prng_below(&prng, limit);
            fill(bytes, zxid, model_sizes[zxid]);
            txn_cache_add(&cache, zxid, slice_of(bytes, model_sizes[zxid]));
            if (prng_below(&prng, 8) == 0)
                check_against_model(&cache, zxid, options[i]);
        }
        txn_cache_deinit(&cache);
        assert_int_equal(heap.used_bytes, 0);
    }
}

static void neighbours_in_a_cache_with_holes_between_epochs(void **state)
{
    (void)state;
    struct heap heap;
    struct txn_cache cache;
    struct txn_cache_entry entry;
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20});
    assert_int_equal(txn_cache_init(&cache, &heap, (struct txn_cache_options){10, 1000}), ERR_OK);
    txn_cache_reset(&cache, 0x100000005);
    assert_false(txn_cache_next(&cache, 0, &entry));
    assert_int_equal(txn_cache_at(&cache, INT64_MAX), 0);
    txn_cache_add(&cache, 0x100000006, SLICE_LITERAL("six"));
    txn_cache_add(&cache, 0x300000001, SLICE_LITERAL("one"));
    assert_true(txn_cache_next(&cache, 0x100000006, &entry));
    assert_int_equal(entry.zxid, 0x300000001);
    assert_int_equal(txn_cache_at(&cache, 0x200000000), 0x100000006);
    assert_int_equal(txn_cache_at(&cache, 0x100000005), 0);
    assert_int_equal(txn_cache_at(&cache, 0x300000009), 0x300000001);
    assert_int_equal(cache.zxid_before, 0x100000005);
    txn_cache_deinit(&cache);
}

static void one_that_is_larger_than_all_empties_it(void **state)
{
    (void)state;
    static uint8_t large[2000];
    struct heap heap;
    struct txn_cache cache;
    struct txn_cache_entry entry;
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20});
    assert_int_equal(txn_cache_init(&cache, &heap, (struct txn_cache_options){10, 1000}), ERR_OK);
    txn_cache_add(&cache, 1, SLICE_LITERAL("one"));
    txn_cache_add(&cache, 2, slice_of(large, sizeof large));
    assert_int_equal(cache.zxid_before, 2);
    assert_int_equal(cache.zxid_last, 2);
    txn_cache_add(&cache, 3, SLICE_LITERAL("three"));
    assert_true(txn_cache_next(&cache, 2, &entry));
    assert_int_equal(entry.zxid, 3);
    txn_cache_deinit(&cache);
}

/* Without memory it holds less. */
static void a_heap_that_is_full(void **state)
{
    (void)state;
    static uint8_t bytes[3000];
    struct heap heap;
    struct txn_cache cache = {0};
    heap_init(&heap, (struct heap_options){.limit_bytes = 100000});
    assert_int_equal(txn_cache_init(&cache, &heap, (struct txn_cache_options){10000, 1000}),
                     ERR_NO_MEMORY);
    txn_cache_add(&cache, 1, SLICE_LITERAL("one"));
    assert_int_equal(cache.count, 0);
    assert_int_equal(txn_cache_init(&cache, &heap, (struct txn_cache_options){500, 1 << 20}),
                     ERR_OK);
    for (int64_t zxid = 1; zxid <= 100; zxid++)
        txn_cache_add(&cache, zxid, slice_of(bytes, sizeof bytes));
    assert_int_equal(cache.count, 65536 / sizeof bytes);
    assert_int_equal(cache.zxid_last, 100);
    txn_cache_deinit(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_holds_the_newest_in_order),
        cmocka_unit_test(neighbours_in_a_cache_with_holes_between_epochs),
        cmocka_unit_test(one_that_is_larger_than_all_empties_it),
        cmocka_unit_test(a_heap_that_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
