#include "base/prng.h"
#include "base/slab.h"
#include "test/unit_test.h"

enum { thing_count = 3000, step_count = 100000 };

struct thing {
    uint8_t *bytes; /* NULL: not taken. */
    size_t size;
    uint8_t mark;
};

static void check(const struct thing *thing)
{
    assert_int_equal((uintptr_t)thing->bytes % 8, 0);
    for (size_t at = 0; at < thing->size; at++)
        assert_int_equal(thing->bytes[at], thing->mark);
}

/* Things of random sizes never share memory, and all of it comes back. */
static void things_keep_their_bytes(void **state)
{
    (void)state;
    static struct thing things[thing_count];
    struct heap heap;
    heap_init(&heap, (struct heap_options){.limit_bytes = 32 << 20});
    struct slab slab;
    slab_init(&slab, &heap);
    struct prng prng;
    prng_init(&prng, 5);
    size_t used = 0;
    for (int step = 0; step < step_count; step++) {
        struct thing *thing = &things[prng_below(&prng, thing_count)];
        if (thing->bytes != NULL) {
            check(thing);
            used -= thing->size > slab_cell_bytes_max ? 0 : slab_bytes(thing->size);
            slab_give(&slab, thing->bytes, thing->size);
            thing->bytes = NULL;
        } else {
            thing->size = prng_below(&prng, prng_chance(&prng, 1, 10) ? 3000 : 300);
            thing->mark = (uint8_t)step;
            thing->bytes = slab_take(&slab, thing->size);
            assert_non_null(thing->bytes);
            memset(thing->bytes, thing->mark, thing->size);
            used += thing->size > slab_cell_bytes_max ? 0 : slab_bytes(thing->size);
        }
        assert_int_equal(slab.used_bytes, used);
    }
    for (int index = 0; index < thing_count; index++)
        slab_give(&slab, things[index].bytes, things[index].size);
    slab_deinit(&slab);
    assert_int_equal(heap.block_count, 0);
}

static void chunks_move_between_classes(void **state)
{
    (void)state;
    enum { small_count = 20000 };
    static void *small[small_count];
    struct heap heap;
    heap_init(&heap, (struct heap_options){.limit_bytes = 32 << 20});
    struct slab slab;
    slab_init(&slab, &heap);
    for (int index = 0; index < small_count; index++)
        small[index] = slab_take(&slab, 100);
    const size_t region_bytes = slab.region_bytes;
    for (int index = 0; index < small_count; index++)
        slab_give(&slab, small[index], 100);
    for (int index = 0; index < small_count / 2; index++)
        small[index] = slab_take(&slab, 200);
    assert_int_equal(slab.region_bytes, region_bytes);
    for (int index = 0; index < small_count / 2; index++)
        slab_give(&slab, small[index], 200);
    slab_deinit(&slab);
}

static void the_heap_may_say_no(void **state)
{
    (void)state;
    struct heap heap;
    heap_init(&heap, (struct heap_options){.limit_bytes = slab_region_bytes + 300});
    struct slab slab;
    slab_init(&slab, &heap);
    static void *cells[2000];
    int count = 0;
    while ((cells[count] = slab_take(&slab, slab_cell_bytes_max)) != NULL)
        count++;
    assert_in_range(count, 400, 512);
    assert_null(slab_take(&slab, slab_cell_bytes_max + 1));
    while (count > 0)
        slab_give(&slab, cells[--count], slab_cell_bytes_max);
    slab_deinit(&slab);
    assert_int_equal(heap.used_bytes, 0);
}

static void sizes_round_up_to_classes(void **state)
{
    (void)state;
    size_t previous = 0;
    for (size_t size = 1; size <= slab_cell_bytes_max; size++) {
        const size_t bytes = slab_bytes(size);
        assert_true(bytes >= size && bytes >= previous);
        assert_true(bytes - size < (size <= slab_fine_bytes_max ? 8 : 64));
        previous = bytes;
    }
    assert_int_equal(slab_bytes(0), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(things_keep_their_bytes),
        cmocka_unit_test(chunks_move_between_classes),
        cmocka_unit_test(the_heap_may_say_no),
        cmocka_unit_test(sizes_round_up_to_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
