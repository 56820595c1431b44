#include "base/hash_table.h"
#include "base/prng.h"
#include "base/slab_table.h"
#include "test/unit_test.h"

struct member {
    struct slab_link link;
    uint64_t key;
};

static bool has_key(const struct slab_link *link, const void *key)
{
    const struct member *member = CONTAINER_OF(link, const struct member, link);
    return member->key == *(const uint64_t *)key;
}

/* A walk sees every member once, also while the table grows. */
static void check_walk(const struct slab_table *table)
{
    uint64_t seen = 0;
    uint64_t position = 0;
    const struct slab_link *link = NULL;
    while ((link = slab_table_next(table, &position, link)) != NULL)
        seen++;
    assert_int_equal(seen, table->count);
}

/* Random additions and removals against an array of pointers. */
static void follows_a_naive_model(void **state)
{
    (void)state;
    enum { key_count = 30000, step_count = 100000 };
    static struct member *members[key_count];
    struct heap heap;
    heap_init(&heap, (struct heap_options){.limit_bytes = 16 << 20});
    struct slab slab;
    slab_init(&slab, &heap);
    struct slab_table table;
    assert_int_equal(slab_table_init(&table, &slab), ERR_OK);
    struct prng prng;
    prng_init(&prng, 7);
    uint64_t count = 0;

    for (int step = 0; step < step_count; step++) {
        const uint64_t key = prng_below(&prng, key_count);
        struct member *member = members[key];
        const uint64_t hash = hash_u64(key, 1) & 0x3fff; /* Few hashes, so that chains are long. */
        struct slab_link *found = slab_table_find(&table, hash, has_key, &key);
        assert_ptr_equal(found, member == NULL ? NULL : &member->link);
        if (member == NULL) {
            /* Of many sizes, so that members lie in several regions and chunks. */
            member = slab_take(&slab, sizeof *member + key % 300);
            assert_non_null(member);
            member->key = key;
            slab_table_add(&table, &member->link, hash);
            members[key] = member;
            count++;
        } else {
            slab_table_remove(&table, &member->link);
            slab_give(&slab, member, sizeof *member + key % 300);
            members[key] = NULL;
            count--;
        }
        assert_int_equal(table.count, count);
        if (step % 64 == 0)
            check_walk(&table);
        if (step == step_count / 3)
            slab_table_reserve(&table, key_count);
    }
    assert_true(slab.region_count > 4);

    for (uint64_t key = 0; key < key_count; key++) {
        if (members[key] == NULL)
            continue;
        slab_table_remove(&table, &members[key]->link);
        slab_give(&slab, members[key], sizeof *members[key] + key % 300);
    }
    slab_table_deinit(&table);
    slab_deinit(&slab);
    assert_int_equal(heap.block_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(follows_a_naive_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
