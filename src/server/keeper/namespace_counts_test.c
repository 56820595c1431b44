#include "server/keeper/namespace_counts.h"
#include "test/unit_test.h"

static struct heap heap;
static struct namespace_counts counts;

static int set_up(void **state)
{
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20, .tracked = true});
    namespace_counts_init(&counts, &heap, 3);
    *state = &counts;
    return 0;
}

/* Nothing stays behind. */
static int tear_down(void **state)
{
    (void)state;
    namespace_counts_deinit(&counts);
    const bool is_empty = heap.used_bytes == 0;
    heap_deinit(&heap);
    return is_empty ? 0 : -1;
}

/* -1: it is not there. */
static int64_t value_of(const char *name)
{
    list_each (link, &counts.all) {
        const struct namespace_count *count = CONTAINER_OF(link, struct namespace_count, link);
        if (slice_equal_text(slice_of(count->name, count->name_bytes), name))
            return (int64_t)count->value;
    }
    return -1;
}

static void add(const char *path)
{
    namespace_counts_add(&counts, namespace_of(slice_from_text(path)));
}

static void counts_first_parts(void **state)
{
    (void)state;
    add("/a");
    add("/a/b/c");
    add("/ab/c");
    add("/a/");
    assert_int_equal(value_of("a"), 3);
    assert_int_equal(value_of("ab"), 1);
    assert_int_equal(value_of("b"), -1);
    namespace_counts_reset(&counts);
    assert_int_equal(value_of("a"), 0);
    assert_int_equal(value_of("ab"), 0);
}

static void has_limits(void **state)
{
    (void)state;
    char path[namespace_bytes_max + 3] = "/";
    memset(path + 1, 'x', namespace_bytes_max + 1);
    add(path);
    assert_int_equal(counts.count, 0);
    path[namespace_bytes_max + 1] = '\0';
    add(path);
    assert_int_equal(value_of(path + 1), 1);
    add("/a");
    add("/b");
    add("/c"); /* A fourth one. */
    add("/b");
    assert_int_equal(value_of("c"), -1);
    assert_int_equal(value_of("b"), 2);
    assert_int_equal(counts.count, 3);
}

static void goes_on_without_memory(void **state)
{
    (void)state;
    heap.limit_bytes = heap.used_bytes;
    add("/a");
    assert_int_equal(value_of("a"), -1);
    heap.limit_bytes = 1 << 20;
    add("/a");
    assert_int_equal(value_of("a"), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(counts_first_parts),
        TEST(has_limits),
        TEST(goes_on_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
