#include "server/keeper/keeper_config.h"
#include "test/unit_test.h"

struct fixture {
    struct heap heap;
    struct diag diag;
    char text[4096];
    struct keeper_config config;
};

static void collect(struct diag *diag, enum diag_level level, struct slice line)
{
    struct fixture *fixture = CONTAINER_OF(diag, struct fixture, diag);
    const size_t used = strlen(fixture->text);
    (void)level;
    assert_true(used + line.size + 2 < sizeof fixture->text);
    memcpy(fixture->text + used, line.data, line.size);
    fixture->text[used + line.size] = '\n';
}

static enum err load(struct fixture *fixture, const char *text)
{
    *fixture = (struct fixture){.diag.write = collect};
    heap_init(&fixture->heap, (struct heap_options){.limit_bytes = 1 << 20, .tracked = true});
    return keeper_config_load(&fixture->config, &fixture->heap, &fixture->diag,
                              (struct config_source){"zoo.cfg", slice_from_text(text)});
}

static void test_defaults(void **state)
{
    (void)state;
    struct fixture fixture;
    char path[keeper_folder_bytes_max];
    assert_int_equal(ERR_OK, load(&fixture, "dataDir=/d\n"));
    const struct keeper_config *config = &fixture.config;
    assert_int_equal(2181, config->client_port);
    assert_int_equal(3000, config->tick_ms);
    assert_int_equal(6000, keeper_config_timeout_ms_min(config));
    assert_int_equal(60000, keeper_config_timeout_ms_max(config));
    assert_int_equal(1048575, config->frame_bytes_max);
    assert_true(config->force_sync);
    assert_string_equal("/d/version-2", keeper_config_journal_path(config, path, sizeof path));
    heap_deinit(&fixture.heap);
}

static void test_whitelist(void **state)
{
    (void)state;
    struct fixture fixture;
    assert_int_equal(ERR_OK, load(&fixture, "dataDir=/d\n"));
    assert_true(keeper_config_allows_word(&fixture.config, SLICE_LITERAL("srvr")));
    assert_false(keeper_config_allows_word(&fixture.config, SLICE_LITERAL("ruok")));
    heap_deinit(&fixture.heap);
    assert_int_equal(ERR_OK, load(&fixture, "dataDir=/d\n4lw.commands.whitelist=ruok, mntr\n"));
    assert_true(keeper_config_allows_word(&fixture.config, SLICE_LITERAL("mntr")));
    assert_false(keeper_config_allows_word(&fixture.config, SLICE_LITERAL("srvr")));
    heap_deinit(&fixture.heap);
    assert_int_equal(ERR_OK, load(&fixture, "dataDir=/d\n4lw.commands.whitelist=*\n"));
    assert_true(keeper_config_allows_word(&fixture.config, SLICE_LITERAL("wchp")));
    heap_deinit(&fixture.heap);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    assert_int_equal(ERR_CONFIG, load(&fixture, "tickTime=2000\n"));
    assert_non_null(strstr(fixture.text, "dataDir is missing"));
    heap_deinit(&fixture.heap);
    assert_int_equal(ERR_CONFIG, load(&fixture, "dataDir=/d\nserver.1=a:1:2\nserver.2=b:1:2\n"));
    assert_non_null(strstr(fixture.text, "zoo.cfg:3: server.2: ensembles"));
    heap_deinit(&fixture.heap);
    assert_int_equal(ERR_CONFIG,
                     load(&fixture, "dataDir=/d\nminSessionTimeout=9000\nmaxSessionTimeout=5000"));
    heap_deinit(&fixture.heap);
}

/* What Apache's own sample file and people's files have in them draws no error. */
static void test_known_keys(void **state)
{
    (void)state;
    struct fixture fixture;
    assert_int_equal(ERR_OK, load(&fixture, "tickTime=2000\ninitLimit=10\nsyncLimit=5\n"
                                            "dataDir=/tmp/zookeeper\nclientPort=2181\n"
                                            "autopurge.snapRetainCount=3\n"
                                            "autopurge.purgeInterval=1\n"
                                            "zookeeper.skipACL=yes\nserver.1=localhost:2888:3888"));
    assert_string_equal("", fixture.text);
    assert_true(fixture.config.skip_acl);
    heap_deinit(&fixture.heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_whitelist),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_known_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
