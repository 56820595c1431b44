/* What a reconfiguration leaves beside zoo.cfg, on a real disk. */
#define _GNU_SOURCE
#include "server/keeper/ensemble_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/io_create.h"
#include "server/keeper/ensemble_config.h"
#include "test/unit_test.h"
#include "zab/ensemble_text.h"

enum { path_bytes_max = 64, text_bytes_max = 4096 };

struct fixture {
    struct heap heap;
    struct diag diag;
    struct io *io;
    char directory[path_bytes_max];
    char zoo[path_bytes_max * 2];
    char said[text_bytes_max];
    char text[text_bytes_max];
    struct keeper_config config;
    struct ensemble_file file;
    struct ensemble ensemble;
    uint32_t done_count;
    enum err done_err;
};

static struct fixture fixture;

static const char three[] = "server.1=a:1:2:participant\nserver.2=b:1:2:participant;0.0.0.0:2182\n"
                            "server.10=c:1:2:participant\nversion=1000000a7";

static void collect(struct diag *diag, enum diag_level level, struct slice line)
{
    (void)diag;
    (void)level;
    const size_t used = strlen(fixture.said);
    snprintf(fixture.said + used, sizeof fixture.said - used, "%" SLICE_FORMAT "\n",
             SLICE_ARGS(line));
}

static void on_done(struct ensemble_file *file, enum err err)
{
    (void)file;
    fixture.done_count++;
    fixture.done_err = err;
}

static const char *read_text(const char *name)
{
    char path[path_bytes_max * 2];
    snprintf(path, sizeof path, "%s/%s", fixture.directory, name);
    const int64_t size =
        small_file_read_wait(fixture.io, path, fixture.text, sizeof fixture.text - 1);
    if (size < 0)
        return NULL;
    fixture.text[size] = '\0';
    return fixture.text;
}

static void write_zoo(const char *text)
{
    assert_int_equal(small_file_replace_wait(fixture.io, fixture.zoo, slice_from_text(text)), 0);
}

static void begin(const char *zoo, int64_t self_id)
{
    fixture = (struct fixture){.diag.write = collect, .directory = "/tmp/ensemble_file.XXXXXX"};
    heap_init(&fixture.heap, (struct heap_options){.limit_bytes = 16 << 20, .tracked = true});
    assert_non_null(mkdtemp(fixture.directory));
    snprintf(fixture.zoo, sizeof fixture.zoo, "%s/zoo.cfg", fixture.directory);
    assert_int_equal(io_create(&fixture.io, &fixture.heap, &fixture.diag, IO_CHOICE_AUTO), ERR_OK);
    write_zoo(zoo);
    assert_int_equal(keeper_config_load(&fixture.config, &fixture.heap, &fixture.diag,
                                        (struct config_source){"zoo.cfg", slice_from_text(zoo)}),
                     ERR_OK);
    fixture.config.file_path = fixture.zoo;
    fixture.config.self_id = self_id;
    ensemble_file_init(&fixture.file, fixture.io, &fixture.heap, &fixture.diag, &fixture.config);
    fixture.file.done = on_done;
    assert_int_equal(ensemble_text_parse(slice_from_text(three), &fixture.ensemble), ERR_OK);
}

static void end(void)
{
    static const char *const names[] = {"zoo.cfg", "zoo.cfg.bak", "zoo.cfg.dynamic.next",
                                        "zoo.cfg.dynamic.1000000a7", "myid"};
    for (size_t index = 0; index < ARRAY_COUNT(names); index++) {
        char path[path_bytes_max * 2];
        snprintf(path, sizeof path, "%s/%s", fixture.directory, names[index]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(fixture.directory), 0);
    io_destroy(fixture.io);
    heap_deinit(&fixture.heap);
}

static void await_done(void)
{
    while (!ensemble_file_is_idle(&fixture.file))
        io_run(fixture.io, UINT64_MAX);
    assert_int_equal(fixture.done_err, ERR_OK);
}

#define HEAD                                                                                       \
    "dataDir=/d\nreconfigEnabled=true\nstandaloneEnabled=false\ninitLimit=10\nsyncLimit=5\n"
#define STATIC "server.1=a:1:2\nserver.2=b:1:2\nserver.10=c:1:2\n"

static void the_static_file_is_backed_up(void **state)
{
    (void)state;
    begin(HEAD STATIC, 1);
    assert_int_equal(ensemble_file_backup(&fixture.config, fixture.io, &fixture.diag), ERR_OK);
    assert_string_equal(read_text("zoo.cfg.bak"), HEAD STATIC);
    end();
    begin("dataDir=/d\nstandaloneEnabled=false\ninitLimit=10\nsyncLimit=5\n" STATIC, 1);
    assert_int_equal(ensemble_file_backup(&fixture.config, fixture.io, &fixture.diag), ERR_OK);
    assert_null(read_text("zoo.cfg.bak"));
    end();
}

static void a_commit_is_written_and_read_back(void **state)
{
    (void)state;
    begin("# ours\n" HEAD "clientPort=2182\n" STATIC "peerType=participant\n# the end", 2);
    char expected[text_bytes_max];
    ensemble_file_propose(&fixture.file, &fixture.ensemble);
    await_done();
    assert_string_equal(read_text("zoo.cfg.dynamic.next"),
                        "server.10=c:1:2:participant\nserver.1=a:1:2:participant\n"
                        "server.2=b:1:2:participant;0.0.0.0:2182\nversion=1000000a7");
    /* Somebody edits zoo.cfg while the server runs. */
    write_zoo("# ours\n" HEAD "clientPort=2182\nmaxCnxns=7\n" STATIC "# the end");
    ensemble_file_commit(&fixture.file, &fixture.ensemble);
    await_done();
    assert_int_equal(fixture.done_count, 2);
    assert_string_equal(read_text("zoo.cfg.dynamic.1000000a7"),
                        "server.10=c:1:2:participant\nserver.1=a:1:2:participant\n"
                        "server.2=b:1:2:participant;0.0.0.0:2182");
    assert_null(read_text("zoo.cfg.dynamic.next"));
    snprintf(expected, sizeof expected,
             "# ours\n" HEAD "maxCnxns=7\n# the end\ndynamicConfigFile=%s.dynamic.1000000a7\n",
             fixture.zoo);
    assert_string_equal(read_text("zoo.cfg"), expected);

    struct keeper_config config;
    snprintf(expected, sizeof expected, "%s/myid", fixture.directory);
    assert_int_equal(small_file_replace_wait(fixture.io, expected, SLICE_LITERAL("2\n")), 0);
    assert_int_equal(
        keeper_config_load(&config, &fixture.heap, &fixture.diag,
                           (struct config_source){fixture.zoo, slice_from_text(fixture.text)}),
        ERR_OK);
    config.data_dir = fixture.directory;
    assert_int_equal(ensemble_config_load(&config, fixture.io, &fixture.heap, &fixture.diag),
                     ERR_OK);
    assert_int_equal(config.ensemble.version, 0x1000000a7);
    assert_int_equal(config.ensemble.member_count, 3);
    assert_int_equal(config.client_port, 2182);
    assert_int_equal(config.connection_count_max, 7);
    assert_string_equal(fixture.said, "");
    end();
}

static void a_newer_proposal_outlives_a_commit(void **state)
{
    (void)state;
    begin(HEAD STATIC, 1);
    struct ensemble newer = fixture.ensemble;
    newer.version = 0x1000000b0;
    ensemble_file_propose(&fixture.file, &fixture.ensemble);
    ensemble_file_commit(&fixture.file, &fixture.ensemble); /* All of it waits for the first. */
    ensemble_file_propose(&fixture.file, &newer);
    await_done();
    assert_int_equal(fixture.done_count, 1);
    assert_non_null(read_text("zoo.cfg.dynamic.1000000a7"));
    assert_non_null(strstr(read_text("zoo.cfg.dynamic.next"), "version=1000000b0"));
    end();
}

static void a_failure_is_told_and_changes_nothing(void **state)
{
    (void)state;
    begin(HEAD STATIC, 1);
    assert_int_equal(unlink(fixture.zoo), 0);
    ensemble_file_commit(&fixture.file, &fixture.ensemble);
    while (!ensemble_file_is_idle(&fixture.file))
        io_run(fixture.io, UINT64_MAX);
    assert_int_equal(fixture.done_err, ERR_NOT_FOUND);
    assert_null(read_text("zoo.cfg"));
    assert_non_null(strstr(fixture.said, "could not be written beside"));
    end();
}

static const struct {
    const char *zoo;
    bool drops_client_port;
    const char *expected;
} edits[] = {
    {"", false, "dynamicConfigFile=/p\n"},
    {"a=1", false, "a=1\ndynamicConfigFile=/p\n"},
    {"a=1\r\nserver.1=x\r\nb=2\r\n", false, "a=1\r\nb=2\r\ndynamicConfigFile=/p\n"},
    {"# c\nserver.1=x\\\n  y\n# d\nb=2\n", false, "# c\n# d\nb=2\ndynamicConfigFile=/p\n"},
    {"zookeeper.server.1=x\ngroup.1=1\nweight.1 : 2\ndynamicConfigFile=/old\npeerType=observer\n",
     false, "dynamicConfigFile=/p\n"},
    {"clientPort=1\nclientPortAddress=h\nclientPortListenBacklog=5\n", true,
     "clientPortListenBacklog=5\ndynamicConfigFile=/p\n"},
    {"clientPort=1\n", false, "clientPort=1\ndynamicConfigFile=/p\n"},
    {"\n\n  # x\n\nserver.1=a\n\n", false, "\n\n  # x\n\n\ndynamicConfigFile=/p\n"},
};

static void what_people_wrote_stays(void **state)
{
    (void)state;
    for (size_t index = 0; index < ARRAY_COUNT(edits); index++) {
        char text[text_bytes_max] = "";
        struct counted_text out = {.data = text, .capacity = sizeof text};
        const struct ensemble_file_edit edit = {.zoo = slice_from_text(edits[index].zoo),
                                                .dynamic_path = "/p",
                                                .drops_client_port =
                                                    edits[index].drops_client_port};
        assert_int_equal(ensemble_file_rewrite(&edit, &out), ERR_OK);
        assert_string_equal(text, edits[index].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_static_file_is_backed_up),
        cmocka_unit_test(a_commit_is_written_and_read_back),
        cmocka_unit_test(a_newer_proposal_outlives_a_commit),
        cmocka_unit_test(a_failure_is_told_and_changes_nothing),
        cmocka_unit_test(what_people_wrote_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
