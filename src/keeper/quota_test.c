#include "keeper/quota.h"
#include "test/keeper_driver.h"

static struct driver driver;

static int set_up(void **state)
{
    struct keeper_options options = driver_options();
    options.enforce_quota = true;
    driver_init(&driver, options);
    *state = &driver;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    driver_deinit(&driver);
    return 0;
}

static void parses(const char *text, int64_t count, int64_t bytes, int64_t hard_count,
                   int64_t hard_bytes)
{
    const struct quota quota = quota_parse(slice_from_text(text));
    assert_int_equal(quota.count, count);
    assert_int_equal(quota.bytes, bytes);
    assert_int_equal(quota.count_hard_limit, hard_count);
    assert_int_equal(quota.bytes_hard_limit, hard_bytes);
}

static void texts_of_apache(void **state)
{
    (void)state;
    parses("count=1,bytes=2", 1, 2, -1, -1);
    parses("bytes=3;count=4", 4, 3, -1, -1);
    parses("count=5,bytes=-1=;byteHardLimit=9;countHardLimit=7", 5, -1, 7, 9);
    parses("count=1,,bytes=2", 1, 2, -1, -1);
    parses("", -1, -1, -1, -1);
    parses("count=,bytes=x,=,count,count=99999999999999999999", -1, -1, -1, -1);
    quota_parse(SLICE_NULL);
}

static int32_t create(const char *path, const char *data)
{
    const struct zk_create_request request = driver_create_request(path, data, 0);
    return driver_write(&driver, 0, OP_CREATE, &zk_create_request_wire, &request);
}

static void add_quota(const char *path, const char *limits)
{
    char name[128];
    snprintf(name, sizeof name, "/zookeeper/quota%s", path);
    assert_int_equal(create(name, ""), CODE_OK);
    snprintf(name, sizeof name, "/zookeeper/quota%s/zookeeper_limits", path);
    assert_int_equal(create(name, limits), CODE_OK);
    snprintf(name, sizeof name, "/zookeeper/quota%s/zookeeper_stats", path);
    assert_int_equal(create(name, "count=0,bytes=0"), CODE_OK);
}

static void uses(const char *path, const char *usage)
{
    char name[128];
    snprintf(name, sizeof name, "/zookeeper/quota%s/zookeeper_stats", path);
    assert_int_equal(driver_look(&driver, 0, OP_GET_DATA, name, false), CODE_OK);
    if (!slice_equal_text(driver.reply.data, usage))
        fail_msg("%s: %.*s, not %s", path, (int)driver.reply.data.size,
                 (const char *)driver.reply.data.data, usage);
}

static void trap_10_usage_is_kept_without_transactions(void **state)
{
    (void)state;
    assert_int_equal(create("/a", "1234"), CODE_OK);
    assert_int_equal(create("/a/x", "12"), CODE_OK);
    add_quota("/a", "count=-1,bytes=-1");
    uses("/a", "count=2,bytes=6");
    const struct zk_stat before = driver.reply.stat;
    assert_int_equal(create("/a/y", "123"), CODE_OK);
    assert_int_equal(create("/ab", "123"), CODE_OK);
    uses("/a", "count=3,bytes=9");
    assert_int_equal(driver.reply.stat.mzxid, before.mzxid);
    assert_int_equal(driver.reply.stat.version, before.version);
    assert_int_equal(driver_set(&driver, 0, "/a/y", "1", -1), CODE_OK);
    uses("/a", "count=3,bytes=7");
    assert_int_equal(driver_delete(&driver, 0, "/a/x", -1), CODE_OK);
    uses("/a", "count=2,bytes=5");
    assert_int_equal(driver_set(&driver, 0, "/a", NULL, -1), CODE_OK);
    uses("/a", "count=2,bytes=1");
}

static void the_nearest_quota_counts(void **state)
{
    (void)state;
    assert_int_equal(create("/a", ""), CODE_OK);
    assert_int_equal(create("/a/b", ""), CODE_OK);
    add_quota("/a", "count=-1,bytes=-1");
    add_quota("/a/b", "count=-1,bytes=-1");
    assert_int_equal(create("/a/b/c", "12"), CODE_OK);
    uses("/a", "count=2,bytes=0");
    uses("/a/b", "count=2,bytes=2");
    assert_int_equal(driver_delete(&driver, 0, "/zookeeper/quota/a/b/zookeeper_limits", -1),
                     CODE_OK);
    assert_int_equal(create("/a/b/d", "1"), CODE_OK);
    uses("/a", "count=3,bytes=1");
}

static void hard_limits_forbid(void **state)
{
    (void)state;
    assert_int_equal(create("/a", "12"), CODE_OK);
    add_quota("/a", "count=1,bytes=1=;byteHardLimit=5;countHardLimit=2");
    assert_int_equal(create("/a/x", "1234"), CODE_QUOTA_EXCEEDED);
    assert_int_equal(create("/a/x", "123"), CODE_OK);
    assert_int_equal(create("/a/y", ""), CODE_QUOTA_EXCEEDED);
    assert_int_equal(driver_set(&driver, 0, "/a", "123", -1), CODE_QUOTA_EXCEEDED);
    /* The quota's error wins over the version's. */
    assert_int_equal(driver_set(&driver, 0, "/a", "123", 77), CODE_QUOTA_EXCEEDED);
    assert_int_equal(driver_set(&driver, 0, "/a", "1", 77), CODE_BAD_VERSION);
    assert_int_equal(driver_set(&driver, 0, "/a", "1", 0), CODE_OK);
    assert_int_equal(create("/b", "123456"), CODE_OK);
    driver.keeper.options.enforce_quota = false;
    assert_int_equal(create("/a/y", ""), CODE_OK);
}

static void soft_limits_do_not(void **state)
{
    (void)state;
    assert_int_equal(create("/a", "12"), CODE_OK);
    add_quota("/a", "count=1,bytes=1");
    assert_int_equal(create("/a/x", "1234"), CODE_OK);
    uses("/a", "count=2,bytes=6");
    const struct quota_breach *breach = &driver.keeper.breach;
    assert_int_equal(breach->kind, QUOTA_COUNT);
    assert_int_equal(breach->used, 2);
    assert_int_equal(breach->limit, 1);
    assert_false(breach->is_hard);
    assert_int_equal(driver_set(&driver, 0, "/a", "123", -1), CODE_OK);
    assert_int_equal(breach->kind, QUOTA_BYTES);
    assert_int_equal(breach->used, 7);
    assert_int_equal(create("/b", ""), CODE_OK);
    assert_int_equal(breach->kind, QUOTA_NONE);
}

/* Which breach is told, and of which path. */
static void a_hard_limit_is_told_first(void **state)
{
    (void)state;
    uint8_t room[256];
    assert_int_equal(create("/a", "12"), CODE_OK);
    assert_int_equal(create("/a/x", ""), CODE_OK);
    add_quota("/a", "count=1,bytes=1=;byteHardLimit=5");
    const struct quota_znodes quota =
        quota_find(&driver.keeper.tree, SLICE_LITERAL("/a/x/y"), room);
    assert_true(slice_equal_text(quota_path(&driver.keeper.tree, quota, room), "/a"));
    struct quota_breach breach =
        quota_judge(&driver.keeper.tree, quota, (struct quota_change){1, 4});
    assert_int_equal(breach.kind, QUOTA_BYTES);
    assert_true(breach.is_hard && breach.used == 6 && breach.limit == 5);
    /* The soft limit of bytes is not looked at beside the hard one. */
    breach = quota_judge(&driver.keeper.tree, quota, (struct quota_change){1, 1});
    assert_int_equal(breach.kind, QUOTA_COUNT);
    assert_false(breach.is_hard);
    assert_int_equal(quota_judge(&driver.keeper.tree, quota, (struct quota_change){0, 3}).kind,
                     QUOTA_NONE);
}

static void odd_quotas_do_no_harm(void **state)
{
    (void)state;
    assert_int_equal(create("/a", "12"), CODE_OK);
    add_quota("/a", "nonsense");
    assert_int_equal(driver_set(&driver, 0, "/zookeeper/quota/a/zookeeper_stats", "junk", -1),
                     CODE_OK);
    assert_int_equal(create("/a/x", "1234"), CODE_OK);
    assert_int_equal(create("/zookeeper/quota/zookeeper_limits", "count=0=;countHardLimit=0"),
                     CODE_OK);
    assert_int_equal(create("/zookeeper/quota/zookeeper_stats", "count=0"), CODE_OK);
    assert_int_equal(create("/b", ""), CODE_OK);
    assert_int_equal(driver_delete(&driver, 0, "/zookeeper/quota/a/zookeeper_stats", -1), CODE_OK);
    assert_int_equal(create("/a/y", "1234"), CODE_OK);
}

static struct quota_sums sums_of(const char *namespace)
{
    const struct tree *tree = &driver.keeper.tree;
    const struct znode *at = quota_first_namespace(tree);
    while (at != NULL && !slice_equal_text(tree_name(at), namespace))
        at = tree_next_sibling(tree, at);
    assert_non_null(at);
    return quota_add_up(tree, at);
}

/* As QuotaMetricsUtils of Apache's server has it. */
static void quotas_of_a_namespace_add_up(void **state)
{
    (void)state;
    assert_null(quota_first_namespace(&driver.keeper.tree));
    assert_int_equal(create("/a", "12"), CODE_OK);
    assert_int_equal(create("/a/b", "345"), CODE_OK);
    assert_int_equal(create("/c", ""), CODE_OK);
    add_quota("/a", "count=10,bytes=100=;byteHardLimit=50");
    add_quota("/a/b", "count=5");
    assert_int_equal(create("/zookeeper/quota/c", ""), CODE_OK);
    assert_int_equal(create("/a/x", "6"), CODE_OK);
    const struct quota_sums sums = sums_of("a");
    assert_true(sums.has_limits && sums.has_usage);
    assert_int_equal(sums.limits.count, 15);
    assert_int_equal(sums.limits.bytes, 49); /* 50, and -1 of the other. */
    assert_int_equal(sums.usage.count, 3 + 1);
    assert_int_equal(sums.usage.bytes, 6 + 3);
    assert_false(sums_of("c").has_limits || sums_of("c").has_usage);
    /* One with children is no quota's. */
    assert_int_equal(create("/zookeeper/quota/c/zookeeper_limits", "count=4"), CODE_OK);
    assert_true(sums_of("c").has_limits && !sums_of("c").has_usage);
    assert_int_equal(sums_of("c").limits.count, 4);
    assert_int_equal(create("/zookeeper/quota/c/zookeeper_limits/x", ""), CODE_OK);
    assert_false(sums_of("c").has_limits);
}

/* No sum may overflow: clients write the numbers. */
static void great_limits_wrap(void **state)
{
    (void)state;
    char path[64];
    assert_int_equal(create("/zookeeper/quota/a", ""), CODE_OK);
    for (int number = 0; number < 20; number++) {
        snprintf(path, sizeof path, "/zookeeper/quota/a/%d", number);
        assert_int_equal(create(path, ""), CODE_OK);
        snprintf(path, sizeof path, "/zookeeper/quota/a/%d/zookeeper_limits", number);
        assert_int_equal(create(path, "count=999999999999999999,bytes=1"), CODE_OK);
    }
    assert_int_equal(sums_of("a").limits.count, (int64_t)(999999999999999999U * 20));
    assert_int_equal(sums_of("a").limits.bytes, 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(texts_of_apache),
        TEST(trap_10_usage_is_kept_without_transactions),
        TEST(the_nearest_quota_counts),
        TEST(hard_limits_forbid),
        TEST(soft_limits_do_not),
        TEST(odd_quotas_do_no_harm),
        TEST(a_hard_limit_is_told_first),
        TEST(quotas_of_a_namespace_add_up),
        TEST(great_limits_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
