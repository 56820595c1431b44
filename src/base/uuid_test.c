#include "base/uuid.h"

#include "base/prng.h"
#include "test/unit_test.h"

static void prints_like_kafka(void **state)
{
    (void)state;
    struct uuid uuid = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
    char text[uuid_text_size + 1];
    assert_string_equal(uuid_print(uuid, text), "AAAAAAAAAAAAAAAAAAAAAQ");
    memset(uuid.bytes, 0xff, sizeof uuid.bytes);
    assert_string_equal(uuid_print(uuid, text), "_____________________w");
}

static void reads_back_what_it_prints(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 7);
    for (int round = 0; round < 1000; round++) {
        struct uuid uuid, again;
        for (size_t at = 0; at < sizeof uuid.bytes; at++)
            uuid.bytes[at] = (uint8_t)prng_next(&prng);
        char text[uuid_text_size + 1];
        assert_true(uuid_parse(slice_from_text(uuid_print(uuid, text)), &again));
        assert_true(uuid_equal(uuid, again));
    }
}

static void refuses_what_is_not_one(void **state)
{
    (void)state;
    struct uuid uuid;
    assert_false(uuid_parse(SLICE_LITERAL("short"), &uuid));
    assert_false(uuid_parse(SLICE_LITERAL("AAAAAAAAAAAAAAAAAAAA+Q"), &uuid));
    assert_false(uuid_parse(SLICE_LITERAL("AAAAAAAAAAAAAAAAAAAAAQ=="), &uuid));
    assert_false(uuid_parse(SLICE_NULL, &uuid));
}

static void a_random_one_never_looks_like_an_option(void **state)
{
    (void)state;
    uint8_t entropy[16] = {0xf8};
    struct uuid uuid;
    assert_false(uuid_from_entropy(entropy, &uuid));
    entropy[0] = 0xf4;
    assert_true(uuid_from_entropy(entropy, &uuid));
    assert_int_equal(uuid.bytes[6] >> 4, 4);
    assert_int_equal(uuid.bytes[8] >> 6, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_like_kafka),
        cmocka_unit_test(reads_back_what_it_prints),
        cmocka_unit_test(refuses_what_is_not_one),
        cmocka_unit_test(a_random_one_never_looks_like_an_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
