#include "broker/znode_json.h"

#include "base/prng.h"
#include "test/unit_test.h"

static uint8_t memory[1 << 20];

static struct arena fresh_arena(void)
{
    struct arena arena;
    arena_init(&arena, memory, sizeof memory);
    return arena;
}

static void assert_text(struct slice text, const char *expected)
{
    assert_non_null(text.data);
    if (!slice_equal_text(text, expected))
        fail_msg("%.*s is not %s", SLICE_ARGS(text), expected);
}

static void brokers_are_written_as_3_9_does(void **state)
{
    (void)state;
    struct arena arena = fresh_arena();
    const struct broker_endpoint endpoints[] = {
        {SLICE_LITERAL("SECURE"), SLICE_LITERAL("h"), 9093, CONTROL_SSL},
        {SLICE_LITERAL("PLAINTEXT"), SLICE_LITERAL("127.0.0.1"), 29092, CONTROL_PLAINTEXT},
    };
    struct znode_broker broker = {
        .record = {.rack = SLICE_LITERAL("r1"), .endpoint_count = 2, .endpoints = endpoints},
        .timestamp_ms = 1795341092593,
    };
    const struct slice text = znode_json_write_broker(&arena, &broker);
    assert_text(text, "{\"features\":{},\"listener_security_protocol_map\":{\"SECURE\":\"SSL\","
                      "\"PLAINTEXT\":\"PLAINTEXT\"},\"endpoints\":[\"SECURE://h:9093\","
                      "\"PLAINTEXT://127.0.0.1:29092\"],\"jmx_port\":-1,\"port\":29092,"
                      "\"host\":\"127.0.0.1\",\"version\":5,\"timestamp\":\"1795341092593\","
                      "\"rack\":\"r1\"}");
    struct znode_broker read;
    assert_int_equal(znode_json_read_broker(text, &arena, &read), ERR_OK);
    assert_int_equal(read.record.endpoint_count, 2);
    assert_int_equal(read.record.endpoints[0].security, CONTROL_SSL);
    assert_int_equal(read.record.endpoints[1].port, 29092);
    assert_true(slice_equal_text(read.record.endpoints[0].listener, "SECURE"));
    assert_true(slice_equal_text(read.record.rack, "r1"));
    assert_true(read.timestamp_ms == 1795341092593);

    broker.record.endpoint_count = 1;
    assert_text(znode_json_write_broker(&arena, &broker),
                "{\"features\":{},\"listener_security_protocol_map\":{\"SECURE\":\"SSL\"},"
                "\"endpoints\":[\"SECURE://h:9093\"],\"jmx_port\":-1,\"port\":-1,\"host\":null,"
                "\"version\":5,\"timestamp\":\"1795341092593\",\"rack\":\"r1\"}");
}

static void old_brokers_are_read(void **state)
{
    (void)state;
    struct arena arena = fresh_arena();
    struct znode_broker broker;
    assert_int_equal(
        znode_json_read_broker(
            SLICE_LITERAL("{\"version\":2,\"host\":\"h\",\"port\":1,\"jmx_port\":2,"
                          "\"timestamp\":\"5\",\"endpoints\":[\"SASL_SSL://[::1]:9\"]}"),
            &arena, &broker),
        ERR_OK);
    assert_int_equal(broker.record.endpoints[0].security, CONTROL_SASL_SSL);
    assert_true(slice_equal_text(broker.record.endpoints[0].host, "::1"));
}

static void controllers_and_numbers(void **state)
{
    (void)state;
    struct arena arena = fresh_arena();
    const struct znode_controller controller = {3, -1, 1795341092644};
    const struct slice text = znode_json_write_controller(&arena, &controller);
    assert_text(text, "{\"version\":2,\"brokerid\":3,\"timestamp\":\"1795341092644\","
                      "\"kraftControllerEpoch\":-1}");
    struct znode_controller read;
    assert_int_equal(znode_json_read_controller(text, &read), ERR_OK);
    assert_int_equal(read.broker_id, 3);
    assert_int_equal(
        znode_json_read_controller(
            SLICE_LITERAL("{\"version\":1,\"brokerid\":4,\"timestamp\":\"1\"}"), &read),
        ERR_OK);
    assert_int_equal(read.kraft_epoch, -1);
    assert_text(znode_json_write_number(&arena, 17), "17");
    int64_t number;
    assert_int_equal(znode_json_read_number(SLICE_LITERAL("-12"), &number), ERR_OK);
    assert_int_equal(number, -12);
    assert_int_equal(znode_json_read_number(SLICE_LITERAL("1x"), &number), ERR_MALFORMED);
    assert_int_equal(znode_json_read_number(SLICE_LITERAL("-"), &number), ERR_MALFORMED);
    assert_int_equal(znode_json_read_number(SLICE_NULL, &number), ERR_MALFORMED);
}

static void topics(void **state)
{
    (void)state;
    struct arena arena = fresh_arena();
    int32_t first[] = {0, 1};
    int32_t second[] = {2};
    struct znode_replicas partitions[] = {{2, first}, {1, second}};
    struct znode_replicas adding[] = {{0, NULL}, {1, second}};
    struct znode_topic topic = {
        .partition_count = 2, .partitions = partitions, .adding = adding, .removing = NULL};
    assert_true(uuid_parse(SLICE_LITERAL("X7Otwbi6RFq_i_LERBuF_Q"), &topic.id));
    const struct slice text = znode_json_write_topic(&arena, &topic);
    assert_text(text, "{\"partitions\":{\"0\":[0,1],\"1\":[2]},\"topic_id\":"
                      "\"X7Otwbi6RFq_i_LERBuF_Q\",\"adding_replicas\":{\"1\":[2]},"
                      "\"removing_replicas\":{},\"version\":3}");
    struct znode_topic read;
    assert_int_equal(znode_json_read_topic(text, &arena, &read), ERR_OK);
    assert_true(uuid_equal(read.id, topic.id));
    assert_int_equal(read.partition_count, 2);
    assert_int_equal(read.partitions[0].ids[1], 1);
    assert_int_equal(read.adding[1].count, 1);
    assert_int_equal(read.removing[1].count, 0);

    assert_int_equal(
        znode_json_read_topic(SLICE_LITERAL("{\"version\":1,\"partitions\":{\"1\":[5]}}"), &arena,
                              &read),
        ERR_OK);
    assert_int_equal(read.partition_count, 2);
    assert_int_equal(read.partitions[0].count, 0);
    assert_true(uuid_is_zero(read.id));
    assert_int_equal(
        znode_json_read_topic(SLICE_LITERAL("{\"partitions\":{\"99999999\":[5]}}"), &arena, &read),
        ERR_MALFORMED);
}

static void partition_states(void **state)
{
    (void)state;
    struct arena arena = fresh_arena();
    const int32_t isr[] = {0, 2};
    struct partition_state partition = {
        .leader = 0, .leader_epoch = 5, .controller_epoch = 1, .isr = isr, .isr_count = 2};
    const struct slice text = znode_json_write_partition(&arena, &partition);
    assert_text(text, "{\"controller_epoch\":1,\"leader\":0,\"version\":1,\"leader_epoch\":5,"
                      "\"isr\":[0,2]}");
    partition.is_recovering = true;
    struct partition_state read = {0};
    assert_int_equal(
        znode_json_read_partition(znode_json_write_partition(&arena, &partition), &arena, &read),
        ERR_OK);
    assert_true(read.is_recovering);
    assert_int_equal(read.isr[1], 2);
    assert_int_equal(read.leader_epoch, 5);
}

static void configs_and_their_changes(void **state)
{
    (void)state;
    struct arena arena = fresh_arena();
    struct topic_config_entry entries[] = {
        {SLICE_LITERAL("retention.ms"), SLICE_LITERAL("1000000")}};
    const struct znode_config config = {1, entries};
    const struct slice text = znode_json_write_config(&arena, &config);
    assert_text(text, "{\"version\":1,\"config\":{\"retention.ms\":\"1000000\"}}");
    struct znode_config read;
    assert_int_equal(znode_json_read_config(text, &arena, &read), ERR_OK);
    assert_true(slice_equal_text(read.entries[0].value, "1000000"));
    assert_int_equal(znode_json_read_config(SLICE_NULL, &arena, &read), ERR_OK);
    assert_int_equal(read.count, 0);
    assert_text(znode_json_write_config(&arena, &read), "{\"version\":1,\"config\":{}}");

    struct slice path;
    const struct slice change = znode_json_write_config_change(&arena, SLICE_LITERAL("topics/foo"));
    assert_text(change, "{\"version\":2,\"entity_path\":\"topics/foo\"}");
    assert_int_equal(znode_json_read_config_change(change, &arena, &path), ERR_OK);
    assert_text(path, "topics/foo");
    assert_int_equal(
        znode_json_read_config_change(SLICE_LITERAL("{\"version\":1,\"entity_type\":\"topics\","
                                                    "\"entity_name\":\"foo\"}"),
                                      &arena, &path),
        ERR_OK);
    assert_text(path, "topics/foo");
}

static void the_small_ones(void **state)
{
    (void)state;
    struct arena arena = fresh_arena();
    const struct slice id =
        znode_json_write_cluster_id(&arena, SLICE_LITERAL("Fj0ANPHYQnibxlwbzqBjPQ"));
    assert_text(id, "{\"version\":\"1\",\"id\":\"Fj0ANPHYQnibxlwbzqBjPQ\"}");
    struct slice read_id;
    assert_int_equal(znode_json_read_cluster_id(id, &arena, &read_id), ERR_OK);
    assert_text(read_id, "Fj0ANPHYQnibxlwbzqBjPQ");

    const struct znode_producer_ids block = {0, 1000, 1999};
    const struct slice ids = znode_json_write_producer_ids(&arena, &block);
    assert_text(ids, "{\"version\":1,\"broker\":0,\"block_start\":\"1000\","
                     "\"block_end\":\"1999\"}");
    struct znode_producer_ids read_block;
    assert_int_equal(znode_json_read_producer_ids(ids, &read_block), ERR_OK);
    assert_int_equal(read_block.last, 1999);
    assert_int_equal(znode_json_read_producer_ids(SLICE_NULL, &read_block), ERR_MALFORMED);

    const struct slice text = znode_json_write_feature(&arena, true);
    assert_text(text, "{\"features\":{},\"version\":2,\"status\":1}");
    struct znode_feature feature;
    assert_int_equal(znode_json_read_feature(text, &feature), ERR_OK);
    assert_true(feature.is_enabled);

    struct znode_partition_names names;
    assert_int_equal(
        znode_json_read_partition_names(
            SLICE_LITERAL("{\"version\":1,\"partitions\":[{\"topic\":\"t\",\"partition\":3}]}"),
            &arena, &names),
        ERR_OK);
    assert_int_equal(names.items[0].index, 3);

    int32_t broker_id;
    assert_text(znode_json_write_log_dir_event(&arena, 4),
                "{\"version\":1,\"broker\":4,\"event\":1}");
    assert_int_equal(znode_json_read_log_dir_event(
                         SLICE_LITERAL("{\"version\":1,\"broker\":4,\"event\":1}"), &broker_id),
                     ERR_OK);
    assert_int_equal(broker_id, 4);
    assert_int_equal(znode_json_read_log_dir_event(
                         SLICE_LITERAL("{\"version\":1,\"broker\":4,\"event\":2}"), &broker_id),
                     ERR_MALFORMED);
}

static void reassignments(void **state)
{
    (void)state;
    struct arena arena = fresh_arena();
    int32_t ids[] = {3, 1};
    struct znode_reassignment item = {{SLICE_LITERAL("t"), 5}, {2, ids}};
    const struct znode_reassignments wanted = {1, &item};
    const struct slice text = znode_json_write_reassignments(&arena, &wanted);
    assert_text(text, "{\"version\":1,\"partitions\":[{\"topic\":\"t\",\"partition\":5,"
                      "\"replicas\":[3,1]}]}");
    struct znode_reassignments read;
    assert_int_equal(znode_json_read_reassignments(text, &arena, &read), ERR_OK);
    assert_int_equal(read.count, 1);
    assert_int_equal(read.items[0].name.index, 5);
    assert_int_equal(read.items[0].replicas.count, 2);
    assert_int_equal(read.items[0].replicas.ids[1], 1);
    assert_int_equal(znode_json_read_reassignments(
                         SLICE_LITERAL("{\"partitions\":[{\"topic\":\"t\"}]}"), &arena, &read),
                     ERR_MALFORMED);
}

static void read_all(struct slice data)
{
    struct arena arena = fresh_arena();
    struct znode_broker broker;
    struct znode_controller controller;
    struct znode_topic topic;
    struct znode_config config;
    struct znode_feature feature;
    struct znode_producer_ids ids;
    struct znode_partition_names names;
    struct partition_state partition = {0};
    struct slice text;
    (void)!znode_json_read_broker(data, &arena, &broker);
    (void)!znode_json_read_controller(data, &controller);
    (void)!znode_json_read_topic(data, &arena, &topic);
    (void)!znode_json_read_config(data, &arena, &config);
    (void)!znode_json_read_feature(data, &feature);
    (void)!znode_json_read_producer_ids(data, &ids);
    (void)!znode_json_read_partition_names(data, &arena, &names);
    struct znode_reassignments moves;
    (void)!znode_json_read_reassignments(data, &arena, &moves);
    (void)!znode_json_read_partition(data, &arena, &partition);
    (void)!znode_json_read_cluster_id(data, &arena, &text);
    (void)!znode_json_read_config_change(data, &arena, &text);
}

/* Anybody may write to a znode. */
static void damaged_json_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"version\":3,\"partitions\":{\"0\":[0,1]},\"topic_id\":\"X7Otwbi6RFq_i_LERBuF_Q\"}",
        ("{\"features\":{},\"endpoints\":[\"PLAINTEXT://h:1\"],\"version\":5,\"rack\":\"x\","
         "\"timestamp\":\"1\"}"),
        "{\"leader\":1,\"leader_epoch\":1,\"controller_epoch\":1,\"isr\":[1]}",
        "{\"version\":1,\"config\":{\"a\":\"b\"},\"partitions\":[{\"topic\":\"t\"}]}",
        "[]",
        "7",
        "{\"endpoints\":[1],\"isr\":[\"1\"],\"config\":{\"a\":1},\"id\":1}",
        "{\"endpoints\":[\"PLAINTEXT://\"],\"entity_path\":1,\"version\":2}",
    };
    struct prng prng;
    prng_init(&prng, 11);
    for (int round = 0; round < 4000; round++) {
        const char *text = texts[prng_below(&prng, ARRAY_COUNT(texts))];
        uint8_t damaged[256];
        size_t size = strlen(text);
        memcpy(damaged, text, size);
        if (round >= 100)
            for (uint64_t hits = prng_between(&prng, 1, 3); hits > 0; hits--)
                damaged[prng_below(&prng, size)] = (uint8_t)prng_next(&prng);
        if (prng_chance(&prng, 1, 4))
            size = prng_below(&prng, size);
        read_all(slice_of(damaged, size));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brokers_are_written_as_3_9_does),
        cmocka_unit_test(old_brokers_are_read),
        cmocka_unit_test(controllers_and_numbers),
        cmocka_unit_test(topics),
        cmocka_unit_test(partition_states),
        cmocka_unit_test(configs_and_their_changes),
        cmocka_unit_test(the_small_ones),
        cmocka_unit_test(reassignments),
        cmocka_unit_test(damaged_json_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
