#include "base/hash_table.h"
#include "base/prng.h"
#include "test/unit_test.h"

struct member {
    struct hash_link link;
    uint64_t key;
    bool present;
};

static bool has_key(const struct hash_link *link, const void *key)
{
    const struct member *member = CONTAINER_OF(link, const struct member, link);
    return member->key == *(const uint64_t *)key;
}

/* A walk sees every member once, also while the table grows. */
static void check_walk(const struct hash_table *table)
{
    uint64_t seen = 0;
    uint64_t position = 0;
    struct hash_link *link = NULL;
    while ((link = hash_table_next(table, &position, link)) != NULL) {
        assert_true(CONTAINER_OF(link, struct member, link)->present);
        seen++;
    }
    assert_int_equal(seen, table->count);
}

/* Random additions and removals against an array of flags. */
static void follows_a_naive_model(void **state)
{
    (void)state;
    enum { key_count = 3000, step_count = 60000 };
    static struct member members[key_count];
    struct heap heap;
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20});
    struct hash_table table;
    assert_int_equal(hash_table_init(&table, &heap), ERR_OK);
    struct prng prng;
    prng_init(&prng, 7);
    uint64_t count = 0;

    for (int step = 0; step < step_count; step++) {
        const uint64_t key = prng_below(&prng, key_count);
        struct member *member = &members[key];
        member->key = key;
        const uint64_t hash = hash_u64(key, 1) & 0x3ff; /* Few hashes, so that chains are long. */
        struct hash_link *found = hash_table_find(&table, hash, has_key, &key);
        assert_ptr_equal(found, member->present ? &member->link : NULL);
        if (member->present)
            hash_table_remove(&table, &member->link);
        else
            hash_table_add(&table, &member->link, hash);
        member->present = !member->present;
        count += member->present ? 1 : (uint64_t)-1;
        assert_int_equal(table.count, count);
        if (step == step_count / 3)
            hash_table_reserve(&table, 3000);
        if (step % 16 == 0)
            check_walk(&table);
    }

    check_walk(&table);
    hash_table_deinit(&table);
    assert_int_equal(heap.block_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(follows_a_naive_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
