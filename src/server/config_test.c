#include "server/config.h"
#include "test/unit_test.h"

struct sample {
    int64_t tick_ms;
    bool force;
    const char *directory;
    int64_t mode;
    struct config_entry *servers;
    double share;
    bool wide;
};

static const char *const modes[] = {"none", "gz", NULL};

static const struct config_row rows[] = {
    {.key = "tickTime",
     .type = CONFIG_INT,
     .offset = offsetof(struct sample, tick_ms),
     .min = 1,
     .max = 60000,
     .value_default = "3000",
     .unit = "ms",
     .doc = "A tick."},
    {.key = "forceSync",
     .type = CONFIG_YES_NO,
     .offset = offsetof(struct sample, force),
     .value_default = "yes",
     .doc = "Sync."},
    {.key = "dataDir",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct sample, directory),
     .doc = "Where."},
    {.key = "mode",
     .type = CONFIG_CHOICE,
     .offset = offsetof(struct sample, mode),
     .choices = modes,
     .value_default = "none",
     .doc = "How."},
    {.key = "server.",
     .type = CONFIG_GROUP,
     .offset = offsetof(struct sample, servers),
     .doc = "Members."},
    {.key = "share",
     .type = CONFIG_RATIO,
     .offset = offsetof(struct sample, share),
     .value_default = "0.02",
     .doc = "A part."},
    {.key = "wide",
     .type = CONFIG_BOOL,
     .offset = offsetof(struct sample, wide),
     .doc = "Or narrow."},
    {.key = "jmx", .type = CONFIG_NOTHING, .doc = "there is no JVM"},
};

static const struct config_table table = {"zoo.cfg", "zookeeper.", rows, ARRAY_COUNT(rows), false};

struct collecting_diag {
    struct diag diag;
    char text[4096];
    size_t size;
};

static void collect(struct diag *diag, enum diag_level level, struct slice line)
{
    struct collecting_diag *collecting = CONTAINER_OF(diag, struct collecting_diag, diag);
    (void)level;
    assert_true(collecting->size + line.size + 2 < sizeof collecting->text);
    memcpy(collecting->text + collecting->size, line.data, line.size);
    collecting->size += line.size;
    collecting->text[collecting->size++] = '\n';
}

static enum err load(const char *text, struct sample *sample, struct heap *heap,
                     struct collecting_diag *diag)
{
    *diag = (struct collecting_diag){.diag.write = collect};
    *sample = (struct sample){0};
    heap_init(heap, (struct heap_options){.limit_bytes = 1 << 20, .tracked = true});
    assert_int_equal(config_defaults(&table, sample, heap), ERR_OK);
    return config_load(&table, sample, heap, &diag->diag,
                       (struct config_source){"a.cfg", slice_from_text(text)});
}

static void reads_every_type_over_defaults(void **state)
{
    (void)state;
    struct sample sample;
    struct heap heap;
    struct collecting_diag diag;
    const char *text = "# comment\r\n"
                       "zookeeper.forceSync = no\n"
                       "  dataDir:/tmp/\\u0061 b \\\n   c  \n"
                       "! another\n"
                       "mode GZ\n"
                       "wide=True\nshare=0.5\ntickTime=0x1F4\n"
                       "server.1=one:1:2\nserver.2=two\n";
    assert_int_equal(load(text, &sample, &heap, &diag), ERR_OK);
    assert_int_equal(sample.tick_ms, 500);
    assert_true(sample.share == 0.5);
    assert_true(sample.wide);
    assert_false(sample.force);
    assert_string_equal(sample.directory, "/tmp/a b c");
    assert_int_equal(sample.mode, 1);
    assert_string_equal(sample.servers->key, "1");
    assert_string_equal(sample.servers->next->value, "two");
    assert_int_equal(sample.servers->next->line, 11);
    assert_int_equal(diag.size, 0);
    heap_deinit(&heap);
}

static void names_file_line_key_and_expectation(void **state)
{
    (void)state;
    struct sample sample;
    struct heap heap;
    struct collecting_diag diag;
    assert_int_equal(
        load("\ntickTime=0\nforceSync=perhaps\nmode=zip\nnew=1\njmx=1\n", &sample, &heap, &diag),
        ERR_CONFIG);
    assert_string_equal(
        diag.text,
        "a.cfg:2: tickTime: expected a whole number from 1 to 60000 in ms, found \"0\"; correct "
        "the line, or remove it for the default 3000\n"
        "a.cfg:3: forceSync: expected yes or no, found \"perhaps\"; correct the line, or "
        "remove it for the default yes\n"
        "a.cfg:4: mode: expected one of none gz, found \"zip\"; correct the line, or remove it "
        "for the default none\n"
        "a.cfg:5: the key new is unknown and does nothing\n"
        "a.cfg:6: jmx does nothing here: there is no JVM\n");
    heap_deinit(&heap);
}

static void refuses_numbers_that_overflow(void **state)
{
    (void)state;
    struct sample sample;
    struct heap heap;
    struct collecting_diag diag;
    const char *wrong[] = {"tickTime=9223372036854775808",
                           "tickTime=1x",
                           "tickTime=",
                           "tickTime=-",
                           "tickTime=99999999999999999999",
                           "dataDir=\\u12",
                           "tickTime=0x",
                           "tickTime=12g",
                           "forceSync=true",
                           "wide=yes",
                           "share=1.1",
                           "share=-0.1",
                           "share=nan",
                           "share=0.5x",
                           "share="};
    for (size_t index = 0; index < ARRAY_COUNT(wrong); index++) {
        assert_int_equal(load(wrong[index], &sample, &heap, &diag), ERR_CONFIG);
        heap_deinit(&heap);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_type_over_defaults),
        cmocka_unit_test(names_file_line_key_and_expectation),
        cmocka_unit_test(refuses_numbers_that_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
