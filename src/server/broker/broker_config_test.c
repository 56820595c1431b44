#include "server/broker/broker_config.h"

#include "test/unit_test.h"

#include <stdio.h>

struct lines {
    struct diag diag;
    int error_count;
    int warning_count;
    char last[diag_line_bytes_max + 1];
};

static void count_line(struct diag *diag, enum diag_level level, struct slice line)
{
    struct lines *lines = CONTAINER_OF(diag, struct lines, diag);
    lines->error_count += level == DIAG_ERROR;
    lines->warning_count += level == DIAG_WARN;
    memcpy(lines->last, line.data, line.size);
    lines->last[line.size] = '\0';
}

static enum err load(struct broker_config *config, struct heap *heap, struct lines *lines,
                     const char *text)
{
    const struct config_source source = {"server.properties", slice_from_text(text)};
    *lines = (struct lines){.diag = {.write = count_line}};
    memset(config, 0, sizeof *config);
    assert_int_equal(config_defaults(&broker_config_table, config, heap), ERR_OK);
    const enum err err = config_load(&broker_config_table, config, heap, &lines->diag, source);
    return err != ERR_OK ? err : broker_config_init(config, heap, &lines->diag, source);
}

static int set_up(void **state)
{
    static struct heap heap;
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20, .tracked = true});
    *state = &heap;
    return 0;
}

static int tear_down(void **state)
{
    heap_deinit(*state);
    return 0;
}

static void test_reads_a_usual_file(void **state)
{
    static struct broker_config config;
    struct lines lines;
    const char *text = "broker.id=3\n"
                       "listeners=PLAINTEXT://127.0.0.1:0, INSIDE://[::1]:9093\n"
                       "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT\n"
                       "advertised.listeners=PLAINTEXT://broker.example:19092\n"
                       "zookeeper.connect=127.0.0.1:2181/chroot\n"
                       "log.dirs=/a, /b\n"
                       "log.retention.hours=2\n"
                       "num.io.threads=8\n"
                       "log.cleaner.threads=1\n"
                       "no.such.key=1\n";
    assert_int_equal(load(&config, *state, &lines, text), ERR_OK);
    assert_int_equal(lines.error_count, 0);
    assert_int_equal(lines.warning_count, 3);
    assert_non_null(strstr(lines.last, "no.such.key"));
    assert_int_equal(config.broker_id, 3);
    assert_int_equal(config.listener_count, 2);
    assert_string_equal(config.listeners[1].name, "INSIDE");
    assert_string_equal(config.listeners[1].host, "::1");
    assert_int_equal(config.listeners[1].port, 9093);
    assert_int_equal(config.advertised_count, 1);
    assert_string_equal(config.advertised[0].host, "broker.example");
    assert_int_equal(config.log_dir_count, 2);
    assert_string_equal(config.log_dir_paths[1], "/b");
    assert_true(slice_equal_text(broker_config_value(&config, "log.retention.hours"), "2"));
    assert_true(slice_is_null(broker_config_value(&config, "log.retention.ms")));
    assert_int_equal(config.fetch_bytes_max, 57671680);
}

static void test_says_what_is_wrong(void **state)
{
    static struct broker_config config;
    struct lines lines;
    const char *const faults[] = {
        "zookeeper.connect=k:1\nlisteners=PLAINTEXT:/x:9092\n",
        "zookeeper.connect=k:1\nlisteners=PLAINTEXT://x:99999\n",
        "zookeeper.connect=k:1\nlisteners=SSL://x:9092\n",
        "zookeeper.connect=k:1\nlisteners=\n",
        "zookeeper.connect=k:1\nssl.keystore.location=/x\n",
        "zookeeper.connect=k:1\nlog.dirs=,\n",
        "zookeeper.connect=k:1\nnum.partitions=0\n",
        "zookeeper.connect=k:1\nrookery.broker.shards=9\nrookery.memory.max.mb=256\n",
        "listeners=PLAINTEXT://:9092\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        assert_int_equal(load(&config, *state, &lines, faults[i]), ERR_CONFIG);
        assert_int_equal(lines.error_count, 1);
    }
}

static void test_names_the_listener_between_brokers(void **state)
{
    static struct broker_config config;
    struct lines lines;
    const char *keeper = "zookeeper.connect=127.0.0.1:2181\nbroker.id=1\n";
    char text[500];
    snprintf(text, sizeof text, "%s", keeper);
    assert_int_equal(load(&config, *state, &lines, text), ERR_OK);
    assert_true(slice_equal_text(broker_config_inter_broker_listener(&config), "PLAINTEXT"));
    snprintf(text, sizeof text,
             "%slisteners=PLAINTEXT://:1,INSIDE://:2\ninter.broker.listener.name=INSIDE\n"
             "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT\n",
             keeper);
    assert_int_equal(load(&config, *state, &lines, text), ERR_OK);
    assert_true(slice_equal_text(broker_config_inter_broker_listener(&config), "INSIDE"));
    snprintf(text, sizeof text, "%sinter.broker.listener.name=INSIDE\n", keeper);
    assert_int_equal(load(&config, *state, &lines, text), ERR_CONFIG);
    snprintf(text, sizeof text, "%sreplica.socket.timeout.ms=100\n", keeper);
    assert_int_equal(load(&config, *state, &lines, text), ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reads_a_usual_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_says_what_is_wrong, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names_the_listener_between_brokers, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
