#include "keeper/acl_table.h"

#include "test/unit_test.h"

#define READ_OF(name)                                                                              \
    {                                                                                              \
        ACL_READ,                                                                                  \
        {                                                                                          \
            SLICE_LITERAL("digest"), SLICE_LITERAL(name)                                           \
        }                                                                                          \
    }

struct fixture {
    struct heap heap;
    struct slab slab;
    struct acl_table table;
    size_t used_bytes; /* Of an empty table. */
};

static int set_up(void **state)
{
    static struct fixture fixture;
    heap_init(&fixture.heap, (struct heap_options){.limit_bytes = 1 << 20, .tracked = true});
    slab_init(&fixture.slab, &fixture.heap);
    assert_int_equal(acl_table_init(&fixture.table, &fixture.slab, 7), ERR_OK);
    fixture.used_bytes = fixture.heap.used_bytes;
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    acl_table_deinit(&fixture->table);
    slab_deinit(&fixture->slab);
    heap_deinit(&fixture->heap);
    return 0;
}

static void a_list_is_kept_once_and_goes_with_its_last_user(void **state)
{
    struct fixture *fixture = *state;
    struct acl_table *table = &fixture->table;
    const struct zk_acl a = READ_OF("a:1");
    const struct zk_acl b = READ_OF("b:1");
    struct acl_entry *first = acl_table_acquire(table, (struct acl_list){&a, 1});
    struct acl_entry *second = acl_table_acquire(table, (struct acl_list){&a, 1});
    struct acl_entry *other = acl_table_acquire(table, (struct acl_list){&b, 1});
    assert_ptr_equal(first, second);
    assert_ptr_not_equal(first, other);
    assert_int_equal(first->reference_count, 2);
    assert_ptr_equal(acl_table_share(first), first);
    for (int count = 0; count < 3; count++) {
        assert_ptr_equal(acl_table_acquire_id(table, first->id), first);
        acl_table_release(table, first);
        acl_table_release(table, first);
    }
    assert_null(acl_table_acquire_id(table, 1));
    acl_table_release(table, other);
    assert_int_equal(fixture->heap.used_bytes, fixture->used_bytes);
    /* An id is never given out twice: a snapshot that is being written may still name it. */
    struct acl_entry *again = acl_table_acquire(table, (struct acl_list){&a, 1});
    assert_int_equal(again->id, 3);
    acl_table_release(table, again);
}

static void the_open_list_never_goes(void **state)
{
    struct fixture *fixture = *state;
    struct acl_table *table = &fixture->table;
    const struct zk_acl open = {ACL_ALL, {SLICE_LITERAL("world"), SLICE_LITERAL("anyone")}};
    struct acl_entry *entry = acl_table_acquire(table, (struct acl_list){&open, 1});
    assert_int_equal(entry->id, acl_open_id);
    acl_table_release(table, entry);
    acl_table_purge(table);
    assert_ptr_equal(acl_table_acquire_id(table, acl_open_id), entry);
    acl_table_release(table, entry);
}

/* A snapshot's lists come before its znodes; those that no znode names go, the others stay. */
static void what_no_znode_uses_is_forgotten_after_a_load(void **state)
{
    struct fixture *fixture = *state;
    struct acl_table *table = &fixture->table;
    char name[] = "000:1";
    for (int64_t id = 1; id <= 200; id++) {
        name[0] = (char)('0' + id / 100);
        name[1] = (char)('0' + id / 10 % 10);
        name[2] = (char)('0' + id % 10);
        const struct zk_acl acl = {ACL_READ, {SLICE_LITERAL("digest"), slice_of(name, 5)}};
        assert_int_equal(acl_table_load(table, id, (struct acl_list){&acl, 1}), ERR_OK);
    }
    /* The same id again keeps its list; the same list under another id is another entry. */
    const struct zk_acl other = READ_OF("other:1");
    const struct zk_acl tenth = READ_OF("010:1");
    assert_int_equal(acl_table_load(table, 10, (struct acl_list){&other, 1}), ERR_OK);
    assert_int_equal(acl_table_load(table, 300, (struct acl_list){&tenth, 1}), ERR_OK);
    for (int64_t id = 10; id <= 200; id += 10)
        assert_non_null(acl_table_acquire_id(table, id));
    struct acl_entry *copy = acl_table_acquire_id(table, 300);
    acl_table_purge(table);
    uint32_t count = 0;
    uint64_t position = 0;
    for (struct acl_entry *entry = acl_table_next(table, &position, NULL); entry != NULL;
         entry = acl_table_next(table, &position, entry)) {
        assert_int_equal(entry->reference_count, 1);
        assert_int_equal(entry->id % 10, 0);
        count++;
    }
    assert_int_equal(count, 21);
    struct acl_entry *entry = acl_table_acquire_id(table, 10);
    assert_true(slice_equal_text(entry->list.items[0].id.id, "010:1"));
    acl_table_release(table, entry);
    acl_table_release(table, copy);
    const struct zk_acl new_one = READ_OF("new:1");
    entry = acl_table_acquire(table, (struct acl_list){&new_one, 1});
    assert_int_equal(entry->id, 301);
    acl_table_release(table, entry);
    for (int64_t id = 10; id <= 200; id += 10) {
        entry = acl_table_acquire_id(table, id);
        acl_table_release(table, entry);
        acl_table_release(table, entry);
    }
    assert_int_equal(fixture->table.by_list.count, 1);
}

static void a_full_heap_is_said(void **state)
{
    struct fixture *fixture = *state;
    const struct zk_acl acl = READ_OF("a:1");
    const size_t limit = fixture->heap.limit_bytes;
    fixture->heap.limit_bytes = fixture->heap.used_bytes;
    assert_null(acl_table_acquire(&fixture->table, (struct acl_list){&acl, 1}));
    assert_int_equal(acl_table_load(&fixture->table, 5, (struct acl_list){&acl, 1}), ERR_NO_MEMORY);
    fixture->heap.limit_bytes = limit;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_list_is_kept_once_and_goes_with_its_last_user),
        TEST(the_open_list_never_goes),
        TEST(what_no_znode_uses_is_forgotten_after_a_load),
        TEST(a_full_heap_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
