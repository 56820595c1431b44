/* The model itself, where the protocol's own figures are known. */
#include "sim/watch_model.h"
#include "test/unit_test.h"

static void test_passwords_are_javas(void **state)
{
    static const struct {
        int64_t session_id;
        uint8_t password[16];
    } rows[] = {
        {1,
         {0x05, 0x4c, 0xc7, 0x4a, 0x37, 0x32, 0x7d, 0xb2, 0x15, 0xe7, 0x02, 0xe2, 0x0c, 0x73, 0xf0,
          0x05}},
        {0x100000000000000,
         {0xf2, 0x2a, 0xcd, 0x4a, 0x97, 0xe6, 0x9d, 0x6d, 0x20, 0xa4, 0x9b, 0xb6, 0x38, 0xea, 0xdb,
          0x38}},
        {0x10001d56bbc0000,
         {0x86, 0xe5, 0x29, 0x47, 0x9b, 0x4f, 0x2a, 0x89, 0xd4, 0xf2, 0x6d, 0xdf, 0xdc, 0x24, 0x0d,
          0x33}},
    };
    (void)state;
    for (size_t index = 0; index < ARRAY_COUNT(rows); index++) {
        uint8_t password[16];
        keeper_model_password(rows[index].session_id, password);
        assert_memory_equal(rows[index].password, password, sizeof password);
    }
}

/* One-shot watches fire once; recursive ones stay, and hear of everything below but of children. */
static void test_watches(void **state)
{
    static struct watch_model watches;
    const struct model_trigger below = {.type = MODEL_CHANGED, .path = "/a/b/c"};
    const struct model_trigger child = {
        .is_child = true, .type = MODEL_CHILDREN_CHANGED, .path = "/a/b"};
    (void)state;
    watch_model_add(&watches, "/a/b/c", false, WATCH_MODEL_ONCE);
    assert_true(watch_model_fire(&watches, &below));
    assert_false(watch_model_fire(&watches, &below));
    watch_model_add(&watches, "/", false, WATCH_MODEL_RECURSIVE);
    assert_true(watch_model_fire(&watches, &below));
    assert_true(watch_model_fire(&watches, &below));
    assert_false(watch_model_fire(&watches, &child));
    watch_model_add(&watches, "/a/b", true, WATCH_MODEL_PERSISTENT);
    assert_true(watch_model_fire(&watches, &child));
    assert_true(watch_model_take(&watches, "/a/b", true, WATCH_MODEL_PERSISTENT));
    assert_false(watch_model_fire(&watches, &child));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passwords_are_javas),
        cmocka_unit_test(test_watches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
