#include "broker/leader_epochs.h"
#include "test/unit_test.h"

static void assign(struct leader_epochs *epochs, int32_t epoch, int64_t start, bool changes)
{
    bool changed;
    assert_int_equal(leader_epochs_assign(epochs, (struct leader_epoch){epoch, start}, &changed),
                     ERR_OK);
    assert_int_equal(changed, changes);
}

static void expect_end(const struct leader_epochs *epochs, int32_t asked, int32_t epoch,
                       int64_t end)
{
    const struct leader_epoch answer = leader_epochs_end_of(epochs, asked, 100);
    assert_int_equal(answer.epoch, epoch);
    assert_int_equal(answer.start_offset, end);
}

static void knows_where_epochs_end(void **state)
{
    (void)state;
    struct heap heap;
    struct leader_epochs epochs;
    heap_init(&heap, (struct heap_options){.limit_bytes = 4096});
    leader_epochs_init(&epochs, &heap);
    expect_end(&epochs, 0, -1, -1);
    assign(&epochs, 2, 10, true);
    assign(&epochs, 2, 20, false);
    assign(&epochs, 1, 20, false);
    assign(&epochs, 5, 40, true);
    assign(&epochs, 6, 40, true); /* Nothing was written in 5. */
    assign(&epochs, 9, 70, true);
    assert_int_equal(epochs.count, 3);
    expect_end(&epochs, 1, 1, 10);
    expect_end(&epochs, 2, 2, 40);
    expect_end(&epochs, 5, 2, 40);
    expect_end(&epochs, 8, 6, 70);
    expect_end(&epochs, 9, 9, 100);
    expect_end(&epochs, 10, -1, -1);
    expect_end(&epochs, -1, -1, -1);
    assert_int_equal(leader_epochs_at(&epochs, 9), -1);
    assert_int_equal(leader_epochs_at(&epochs, 39), 2);
    assert_int_equal(leader_epochs_at(&epochs, 40), 6);

    char text[256];
    const size_t size = leader_epochs_encode(&epochs, text, sizeof text);
    assert_string_equal(text, "0\n3\n2 10\n6 40\n9 70\n");
    assert_true(leader_epochs_cut_end(&epochs, 70));
    assert_false(leader_epochs_cut_end(&epochs, 70));
    assert_true(leader_epochs_cut_start(&epochs, 50));
    assert_int_equal(epochs.count, 1);
    expect_end(&epochs, 2, 2, 50);
    assert_int_equal(leader_epochs_decode(&epochs, slice_of(text, size)), ERR_OK);
    assert_int_equal(epochs.count, 3);
    static const char *const bad[] = {"0\n2\n6 40\n2 50\n", "0\n2\n2 40\n6 40\n",
                                      "0\n2\n2 1\n2 2\n", "0\n1\n-1 2\n"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) { /* D16 */
        assert_int_equal(leader_epochs_decode(&epochs, slice_from_text(bad[i])), ERR_MALFORMED);
        assert_int_equal(epochs.count, 0);
    }
    leader_epochs_deinit(&epochs);
    assert_int_equal(heap.block_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(knows_where_epochs_end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
