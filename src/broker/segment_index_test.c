#include "broker/segment_index.h"

#include "base/prng.h"
#include "test/unit_test.h"

enum { batch_count = 1000, base = 5000 };

/* Random batches; what the index finds is checked against all of them. */
static void finds_the_batch_at_or_before(void **state)
{
    (void)state;
    static struct segment_index_batch batches[batch_count];
    static uint8_t offsets[batch_count * offset_entry_bytes];
    static uint8_t times[batch_count * time_entry_bytes];
    struct heap heap;
    struct segment_index index;
    struct prng prng;
    int64_t offset = base;
    uint32_t position = 0;
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20});
    prng_init(&prng, 11);
    segment_index_init(&index, &heap, base);
    for (uint32_t i = 0; i < batch_count; i++) {
        const uint32_t count = 1 + (uint32_t)prng_below(&prng, 20);
        batches[i] = (struct segment_index_batch){
            .last_offset = offset + count - 1,
            .max_timestamp_ms = 1000 + 10 * i - (int64_t)prng_below(&prng, 50),
            .position = position,
            .size = 100 + (uint32_t)prng_below(&prng, 3000),
        };
        offset += count;
        position += batches[i].size;
        segment_index_add(&index, 4096, batches[i]);
        if (i == batch_count - 1)
            segment_index_seal(&index);
        if (segment_index_is_pending_full(&index) || i == batch_count - 1) {
            const struct slice o = segment_index_pending_offsets(&index);
            const struct slice t = segment_index_pending_times(&index);
            memcpy(offsets + index.offset_count * offset_entry_bytes, o.data, o.size);
            memcpy(times + index.time_count * time_entry_bytes, t.data, t.size);
            segment_index_flushed(&index, index.offset_pending_count, index.time_pending_count);
        }
    }
    const struct slice offset_file =
        slice_of(offsets, sizeof offsets); /* With its tail of zeros. */
    const struct slice time_file = slice_of(times, sizeof times);
    uint32_t count;
    assert_int_equal(offset_index_check(offset_file, position, &count), ERR_OK);
    assert_int_equal(count, index.offset_count);
    assert_true(count > 200 && count < batch_count / 2);
    assert_int_equal(offset_index_check(offset_file, position / 2, &count), ERR_CORRUPT);
    assert_int_equal(time_index_check(time_file, &count), ERR_OK);
    assert_int_equal(count, index.time_count);
    const struct time_entry last = time_entry_decode(times + (count - 1) * time_entry_bytes);
    assert_int_equal(last.timestamp_ms, index.max_timestamp_ms);

    const struct slice whole = slice_of(offsets, index.offset_count * offset_entry_bytes);
    for (uint32_t i = 0; i < batch_count; i++) {
        struct offset_entry entry = {0};
        const uint32_t target = (uint32_t)(batches[i].last_offset - base);
        const bool found = offset_index_find(whole, target, &entry);
        assert_true(entry.relative_offset <= target && entry.position <= batches[i].position);
        assert_true(batches[i].position - entry.position <= 4096 + 3100 + 3100);
        assert_true(found || batches[i].position <= 4096 + 3100);
    }
    segment_index_deinit(&index);
    assert_int_equal(heap.block_count, 0);
}

static void does_without_memory(void **state)
{
    (void)state;
    struct heap heap;
    struct segment_index index;
    heap_init(&heap, (struct heap_options){.limit_bytes = 100});
    segment_index_init(&index, &heap, 0);
    for (uint32_t i = 0; i < 10; i++)
        segment_index_add(&index, 10, (struct segment_index_batch){i, 5, i * 100, 100});
    segment_index_seal(&index);
    assert_int_equal(segment_index_pending_offsets(&index).size, 0);
    assert_int_equal(index.max_timestamp_ms, 5);
    segment_index_deinit(&index);
}

static void add_entries(struct segment_index *index, uint32_t *next, uint32_t count)
{
    for (uint32_t end = *next + count; *next < end; ++*next)
        segment_index_add(index, 10,
                          (struct segment_index_batch){*next, 5 + *next, *next * 100, 100});
}

/* As little memory as the entries need, and none while nothing waits. */
static void takes_memory_as_entries_wait(void **state)
{
    (void)state;
    struct heap heap;
    struct segment_index index;
    uint32_t next = 0;
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20});
    segment_index_init(&index, &heap, 0);
    add_entries(&index, &next, 3);
    assert_int_equal(index.offset_pending_count, 2); /* The first batch has none. */
    assert_true(heap.used_bytes < 300);
    add_entries(&index, &next, segment_index_pending_max / 2 - 2);
    assert_true(segment_index_is_pending_full(&index));
    segment_index_flushed(&index, 120, 120);
    assert_int_equal(index.offset_pending_count, 8);
    assert_int_equal(offset_entry_decode(segment_index_pending_offsets(&index).data).position,
                     121 * 100);
    segment_index_rest(&index); /* Too early. */
    segment_index_flushed(&index, 8, 8);
    assert_int_equal(heap.block_count, 2);
    segment_index_rest(&index);
    assert_int_equal(heap.block_count, 0);
    assert_int_equal(index.offset_count, segment_index_pending_max / 2);
    segment_index_deinit(&index);
}

static void lent_entries_stay_where_they_are(void **state)
{
    (void)state;
    struct heap heap;
    struct segment_index index;
    uint32_t next = 0;
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20});
    segment_index_init(&index, &heap, 0);
    add_entries(&index, &next, 9);
    segment_index_lend(&index);
    const struct slice offsets = segment_index_pending_offsets(&index);
    const struct slice times = segment_index_pending_times(&index);
    add_entries(&index, &next, 100);
    assert_ptr_equal(segment_index_pending_offsets(&index).data, offsets.data);
    assert_ptr_equal(segment_index_pending_times(&index).data, times.data);
    assert_int_equal(index.offset_pending_count, 108);
    segment_index_flushed(&index, 0, 0); /* It failed. */
    assert_int_equal(index.offset_pending_count, 108);
    segment_index_lend(&index);
    segment_index_rest(&index); /* Not while they are lent. */
    segment_index_flushed(&index, 108, 108);
    segment_index_rest(&index);
    assert_int_equal(heap.block_count, 0);
    segment_index_deinit(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds_the_batch_at_or_before),
                                       cmocka_unit_test(takes_memory_as_entries_wait),
                                       cmocka_unit_test(lent_entries_stay_where_they_are),
                                       cmocka_unit_test(does_without_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
