#include "keeper/auth_set.h"

#include "test/unit_test.h"

/* What `openssl dgst -ALGORITHM -binary | base64` says of "super:test". */
static void hashes_by_each_algorithm(void **state)
{
    (void)state;
    static const struct {
        const char *algorithm;
        const char *id;
    } cases[] = {
        {"SHA1", "super:D/InIHSb7yEEbrWz8b9l71RjZJU="},
        {"SHA-224", "super:opwh3FU/0WUpM+8JAOS98bsQFC+823kv438mIg=="},
        {"SHA-256", "super:wjySwxg860UATFtciuZ1lpzrCHrPeov6SPu/ZD56uig="},
        {"SHA-384", "super:FA/2SgoedA21NnGcUl5C1HBsMwuibAPXlAq/FqXTuUQPExUJgxpf8gWeD4eOupjP"},
        {"SHA-512", "super:"
                    "cMAGk13FCMtJkaVQImGEKhjqoGELCiVjYdIhiD8stB1FnIpdGeFvKwAHh5mf4tUYmBR2ZY9181dZTX"
                    "EHMlkVhg=="},
        {"SHA3-224", "super:774X6Nz1d3BUO6raVFndfjoMF6e1LHrnHVv5IA=="},
        {"SHA3-256", "super:cRy/KPYuDpW/dtsepniTMpuiuupnWgdU9txltIfv3hA="},
        {"SHA3-384", "super:a3efqz9Fj+qRHgJMpOPAzqpMP86/aPKowwZfSsm/gM+qBf87ZmeQYtueLs53P8Rw"},
        {"SHA3-512", "super:AdTSPtJYC1bEo1Z0UG5z1VXkw2AEUReEjF0RV0jap6VKcDva8ZPEO/"
                     "WxrOy888alfiJyM5cm5BKhrI4X/YFcTg=="},
        {"MD5", "super:yzhcGieXAe2NBWh0Znxa3g=="},
    };
    for (size_t index = 0; index < ARRAY_COUNT(cases); index++) {
        struct heap heap;
        struct slab slab;
        struct auth_set set;
        const struct auth_options options = {.digest_algorithm = cases[index].algorithm,
                                             .super_digest = slice_from_text(cases[index].id)};
        heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20, .tracked = true});
        slab_init(&slab, &heap);
        assert_int_equal(auth_set_init(&set, &slab, SLICE_LITERAL("::1")), ERR_OK);
        assert_int_equal(auth_set_add(&set, &slab, &options, SLICE_LITERAL("digest"),
                                      SLICE_LITERAL("super:test")),
                         CODE_OK);
        assert_int_equal(set.count, 3);
        assert_true(slice_equal_text(set.items[1].scheme, "super"));
        assert_true(slice_equal_text(set.items[2].id, cases[index].id));
        auth_set_deinit(&set, &slab);
        slab_deinit(&slab);
        heap_deinit(&heap);
    }
}

/* Without the provider nobody has such an identity, and no access list may name one. */
static void a_disabled_digest_is_an_unknown_scheme(void **state)
{
    (void)state;
    struct heap heap;
    struct slab slab;
    struct auth_set set;
    const struct auth_options options = {.digest_disabled = true};
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20, .tracked = true});
    slab_init(&slab, &heap);
    assert_int_equal(auth_set_init(&set, &slab, SLICE_LITERAL("::1")), ERR_OK);
    assert_int_equal(
        auth_set_add(&set, &slab, &options, SLICE_LITERAL("digest"), SLICE_LITERAL("a:b")),
        CODE_AUTH_FAILED);
    const struct zk_acl acl = {ACL_READ, {SLICE_LITERAL("digest"), SLICE_LITERAL("a:b")}};
    const struct acl_list list = {&acl, 1};
    uint8_t memory[4096];
    struct arena arena;
    struct acl_list fixed;
    arena_init(&arena, memory, sizeof memory);
    assert_int_equal(
        acl_list_fix(list, &(struct acl_fix_options){.digest_disabled = true}, &arena, &fixed),
        CODE_INVALID_ACL);
    assert_int_equal(acl_list_fix(list, &(struct acl_fix_options){0}, &arena, &fixed), CODE_OK);
    auth_set_deinit(&set, &slab);
    slab_deinit(&slab);
    heap_deinit(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_by_each_algorithm),
        cmocka_unit_test(a_disabled_digest_is_an_unknown_scheme),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
