#include "server/keeper/digest_log.h"
#include "test/unit_test.h"

static struct digest_log digests;

static void test_every_128th(void **state)
{
    (void)state;
    digests = (struct digest_log){0};
    for (int64_t zxid = 1; zxid < 400; zxid++)
        digest_log_add(&digests, zxid, (uint64_t)zxid + 7);
    assert_int_equal(3, digest_log_count(&digests));
    assert_int_equal(128, digest_log_at(&digests, 0)->zxid);
    assert_int_equal(135, digest_log_at(&digests, 0)->digest);
    assert_int_equal(384, digest_log_at(&digests, 2)->zxid);
}

static void test_the_newest_are_kept(void **state)
{
    (void)state;
    digests = (struct digest_log){0};
    for (int64_t turn = 1; turn <= digest_log_count_max + 10; turn++)
        digest_log_add(&digests, turn * digest_log_interval, 1);
    assert_int_equal(digest_log_count_max, digest_log_count(&digests));
    assert_int_equal(11 * digest_log_interval, digest_log_at(&digests, 0)->zxid);
    assert_int_equal((digest_log_count_max + 10) * digest_log_interval,
                     digest_log_at(&digests, digest_log_count_max - 1)->zxid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_128th),
        cmocka_unit_test(test_the_newest_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
