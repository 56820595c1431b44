#include "server/broker/directory_wishes.h"

#include "test/unit_test.h"

#include <stdio.h>

struct fixture {
    struct heap heap;
    struct directory_wishes wishes;
};

/* Places to point at. */
static char rooms[2];

static struct log_directory *room(uint32_t index)
{
    return (struct log_directory *)(void *)&rooms[index];
}

static void begin(struct fixture *fixture)
{
    heap_init(&fixture->heap,
              (struct heap_options){.limit_bytes = UINT64_C(1) << 30, .tracked = true});
    assert_int_equal(ERR_OK, directory_wishes_init(&fixture->wishes, &fixture->heap, 7));
}

static void end(struct fixture *fixture)
{
    directory_wishes_deinit(&fixture->wishes);
    assert_int_equal(0, fixture->heap.used_bytes);
    heap_deinit(&fixture->heap);
}

static void put(struct fixture *fixture, const char *topic, int32_t partition, bool is_known,
                uint32_t at)
{
    assert_int_equal(ERR_OK,
                     directory_wishes_put(&fixture->wishes,
                                          (struct directory_wish){.topic = slice_from_text(topic),
                                                                  .partition = partition,
                                                                  .is_known = is_known,
                                                                  .directory = room(at)}));
}

static struct log_directory *find(struct fixture *fixture, const char *topic, int32_t partition)
{
    return directory_wishes_find(&fixture->wishes, slice_from_text(topic), partition);
}

static void the_last_word_counts(void **state)
{
    struct fixture fixture;
    (void)state;
    begin(&fixture);
    put(&fixture, "a", 0, false, 0);
    put(&fixture, "a", 1, true, 0);
    put(&fixture, "a", 0, true, 1);
    assert_ptr_equal(room(1), find(&fixture, "a", 0));
    assert_ptr_equal(room(0), find(&fixture, "a", 1));
    directory_wishes_forget(&fixture.wishes, SLICE_LITERAL("a"), 0);
    assert_null(find(&fixture, "a", 0));
    assert_int_equal(1, fixture.wishes.known_count);
    assert_int_equal(0, fixture.wishes.unknown_count);
    end(&fixture);
}

/* Whoever wishes for what there is not takes no room from the others. */
static void unknown_ones_have_little_room(void **state)
{
    struct fixture fixture;
    (void)state;
    begin(&fixture);
    put(&fixture, "known", 0, true, 0);
    for (int32_t i = 0; i < 3 * directory_wish_unknown_count_max; i++)
        put(&fixture, "unknown", i, false, 1);
    assert_ptr_equal(room(0), find(&fixture, "known", 0));
    assert_int_equal(directory_wish_unknown_count_max, fixture.wishes.unknown_count);
    assert_null(find(&fixture, "unknown", 2 * directory_wish_unknown_count_max - 1));
    assert_ptr_equal(room(1), find(&fixture, "unknown", 2 * directory_wish_unknown_count_max));
    end(&fixture);
}

static void the_oldest_goes(void **state)
{
    const int32_t count_max = directory_wish_count_max - directory_wish_unknown_count_max;
    struct fixture fixture;
    (void)state;
    begin(&fixture);
    for (int32_t i = 0; i <= count_max; i++)
        put(&fixture, "t", i, true, 0);
    assert_null(find(&fixture, "t", 0));
    assert_ptr_equal(room(0), find(&fixture, "t", 1));
    assert_ptr_equal(room(0), find(&fixture, "t", count_max));
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_last_word_counts),
                                       cmocka_unit_test(unknown_ones_have_little_room),
                                       cmocka_unit_test(the_oldest_goes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
