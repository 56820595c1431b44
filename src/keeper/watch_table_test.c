#include "keeper/watch_table.h"
#include "test/unit_test.h"

enum { watcher_count = 6, event_count_max = 64 };

static struct heap heap;
static struct slab slab;
static struct watch_table table;
static struct watcher watchers[watcher_count];

/* What was told, as "watcher type path" in order. */
static struct told {
    const struct watcher *watcher;
    enum watch_event_type type;
    char path[16];
} told[event_count_max];
static int told_count;

static void on_watch(struct watch_sink *sink, struct watcher *watcher,
                     const struct watch_event *event)
{
    (void)sink;
    assert_true(told_count < event_count_max);
    struct told *next = &told[told_count++];
    next->watcher = watcher;
    next->type = event->type;
    memcpy(next->path, event->path.data, event->path.size);
    next->path[event->path.size] = '\0';
}

static struct watch_sink sink = {on_watch};

static int set_up(void **state)
{
    (void)state;
    heap_init(&heap, (struct heap_options){.limit_bytes = 8 << 20});
    slab_init(&slab, &heap);
    assert_int_equal(ERR_OK, watch_table_init(&table, &heap, &slab,
                                              (struct watch_table_options){
                                                  .hash_seed = 7, .watch_count_max = 1000}));
    for (int index = 0; index < watcher_count; index++)
        watch_table_init_watcher(&watchers[index]);
    told_count = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int index = 0; index < watcher_count; index++)
        watch_table_drop_watcher(&table, &watchers[index]);
    watch_table_deinit(&table);
    slab_deinit(&slab);
    const bool is_clean = heap.block_count == 0;
    heap_deinit(&heap);
    return is_clean ? 0 : 1;
}

static void add(int watcher, const char *path, enum watch_mode mode)
{
    assert_int_equal(ERR_OK, watch_table_add(&table, WATCH_KIND_DATA, &watchers[watcher],
                                             slice_from_text(path), mode));
}

static void change(const char *path)
{
    const struct watch_event event = {
        .type = WATCH_EVENT_DATA_CHANGED, .path = slice_from_text(path), .zxid = 1};
    watch_table_begin_round(&table);
    watch_table_fire(&table, WATCH_KIND_DATA, &event, &sink);
}

static int told_to(int watcher)
{
    int count = 0;
    for (int index = 0; index < told_count; index++)
        count += told[index].watcher == &watchers[watcher];
    return count;
}

static void test_within_the_budget_all_is_told_at_once(void **state)
{
    (void)state;
    watch_table_set_budget(&table, 2);
    add(0, "/a", WATCH_MODE_STANDARD);
    add(1, "/a", WATCH_MODE_STANDARD);
    change("/a");
    assert_int_equal(2, told_count);
    assert_true(list_empty(&table.firings));
}

static void test_what_is_above_the_budget_is_owed_and_told_in_parts(void **state)
{
    (void)state;
    watch_table_set_budget(&table, 0);
    for (int index = 0; index < watcher_count; index++)
        add(index, "/a", WATCH_MODE_STANDARD);
    change("/a");
    assert_int_equal(0, told_count);
    assert_true(watch_table_tell_some(&table, 2, &sink));
    assert_true(told_count >= 1 && told_count <= 2);
    while (watch_table_tell_some(&table, 2, &sink)) {
    }
    assert_int_equal(watcher_count, told_count);
    for (int index = 0; index < watcher_count; index++)
        assert_int_equal(1, told_to(index));
    assert_int_equal(0, table.watches.count);
    assert_int_equal(0, table.paths[WATCH_KIND_DATA].count);
}

/* The protocol: a client sees the event before any later answer that shows the change. */
static void test_a_watcher_that_is_answered_is_told_first_and_in_order(void **state)
{
    (void)state;
    watch_table_set_budget(&table, 0);
    for (int index = 0; index < watcher_count; index++) {
        add(index, "/a", WATCH_MODE_STANDARD);
        add(index, "/b", WATCH_MODE_PERSISTENT);
    }
    change("/b");
    change("/a");
    change("/b");
    assert_int_equal(3, watch_table_tell(&table, &watchers[3], &sink));
    assert_int_equal(3, told_to(3));
    assert_string_equal("/b", told[0].path);
    assert_string_equal("/a", told[1].path);
    assert_string_equal("/b", told[2].path);
    assert_int_equal(0, watch_table_tell(&table, &watchers[3], &sink));
    while (watch_table_tell_some(&table, 1, &sink)) {
    }
    for (int index = 0; index < watcher_count; index++)
        assert_int_equal(3, told_to(index));
}

static void test_a_watch_that_comes_later_is_owed_nothing(void **state)
{
    (void)state;
    watch_table_set_budget(&table, 0);
    add(0, "/a", WATCH_MODE_STANDARD);
    add(1, "/a", WATCH_MODE_STANDARD);
    change("/a");
    add(2, "/a", WATCH_MODE_STANDARD);
    watch_table_tell(&table, &watchers[0], &sink);
    add(0, "/a", WATCH_MODE_STANDARD); /* Again, after its event. */
    while (watch_table_tell_some(&table, 1, &sink)) {
    }
    assert_int_equal(2, told_count);
    assert_int_equal(2, table.watches.count);
    change("/a");
    while (watch_table_tell_some(&table, 1, &sink)) {
    }
    assert_int_equal(2, told_to(0));
    assert_int_equal(1, told_to(1));
    assert_int_equal(1, told_to(2));
}

static void test_a_watcher_that_goes_is_told_nothing(void **state)
{
    (void)state;
    watch_table_set_budget(&table, 0);
    for (int index = 0; index < watcher_count; index++)
        add(index, "/a", index % 2 == 0 ? WATCH_MODE_STANDARD : WATCH_MODE_PERSISTENT);
    change("/a");
    assert_true(watch_table_tell_some(&table, 1, &sink));
    for (int index = 0; index < watcher_count - 1; index++)
        watch_table_drop_watcher(&table, &watchers[index]);
    while (watch_table_tell_some(&table, 1, &sink)) {
    }
    assert_true(told_count <= 2);
    assert_int_equal(1, told_to(watcher_count - 1));
    assert_int_equal(1, table.watches.count);
}

static void test_recursive_watchers_are_told_once_a_round(void **state)
{
    (void)state;
    watch_table_set_budget(&table, 0);
    add(0, "/a", WATCH_MODE_RECURSIVE);
    add(0, "/a/b", WATCH_MODE_STANDARD);
    add(1, "/", WATCH_MODE_RECURSIVE);
    add(2, "/a", WATCH_MODE_STANDARD); /* Not of this path. */
    change("/a/b");
    while (watch_table_tell_some(&table, 1, &sink)) {
    }
    assert_int_equal(1, told_to(0));
    assert_int_equal(1, told_to(1));
    assert_int_equal(0, told_to(2));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_within_the_budget_all_is_told_at_once),
        TEST(test_what_is_above_the_budget_is_owed_and_told_in_parts),
        TEST(test_a_watcher_that_is_answered_is_told_first_and_in_order),
        TEST(test_a_watch_that_comes_later_is_owed_nothing),
        TEST(test_a_watcher_that_goes_is_told_nothing),
        TEST(test_recursive_watchers_are_told_once_a_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
