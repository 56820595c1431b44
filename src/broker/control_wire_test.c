#include "broker/control_wire.h"

#include "test/unit_test.h"
#include "wire/gen/kafka.h"

#include <stdalign.h>

enum { memory_bytes = 1 << 16 };

static const struct broker_endpoint endpoints[] = {
    {SLICE_LITERAL("OUTSIDE"), SLICE_LITERAL("out"), 1, CONTROL_PLAINTEXT},
    {SLICE_LITERAL("INSIDE"), SLICE_LITERAL("in"), 2, CONTROL_PLAINTEXT}};
static const struct broker_record brokers[] = {
    {.id = 4, .epoch = 40, .rack = SLICE_LITERAL("r"), .endpoint_count = 2, .endpoints = endpoints},
    {.id = 5, .epoch = 50, .endpoint_count = 2, .endpoints = endpoints}};
static const int32_t ids[] = {4, 5, 6};

static struct partition_state partitions[3];
static bool deletes[3];
static alignas(16) uint8_t memory[memory_bytes];
static alignas(16) uint8_t decoded_memory[memory_bytes];
static uint8_t bytes[memory_bytes];

/* Two partitions of one topic and one of another. */
static struct control_message message_of(enum control_message_kind kind)
{
    for (int32_t index = 0; index < 3; index++) {
        partitions[index] = (struct partition_state){
            .topic = index < 2 ? SLICE_LITERAL("a") : SLICE_LITERAL("b"),
            .topic_id = {{(uint8_t)(index < 2 ? 1 : 2)}},
            .index = index,
            .leader = 5,
            .leader_epoch = 7,
            .controller_epoch = 3,
            .partition_epoch = 9,
            .replica_count = 3,
            .replicas = ids,
            .isr_count = 2,
            .isr = ids,
            .adding_count = 1,
            .adding = ids,
            .removing_count = 2,
            .removing = ids + 1,
            .offline_count = 1,
            .offline = ids + 2,
            .is_new = index == 1,
            .is_recovering = index == 2,
        };
        deletes[index] = true;
    }
    return (struct control_message){
        .kind = kind,
        .controller_id = 1,
        .controller_epoch = 3,
        .broker_epoch = 99,
        .partition_count = 3,
        .partitions = partitions,
        .broker_count = 2,
        .brokers = brokers,
        .delete_partition = deletes,
    };
}

/* What a broker of this version reads. */
static const void *over_the_wire(const struct control_message *message, int16_t version)
{
    const struct control_wire_api api = control_wire_api_of(message->kind);
    struct arena arena;
    assert_true(control_wire_size(message) <= sizeof memory);
    arena_init(&arena, memory, control_wire_size(message));
    const void *request = control_wire_request(message, SLICE_LITERAL("INSIDE"), version, &arena);
    assert_non_null(request);
    struct wire_writer writer = wire_writer_of(bytes, sizeof bytes);
    wire_encode(api.request, version, request, &writer);
    struct arena decoded;
    arena_init(&decoded, decoded_memory, sizeof decoded_memory);
    void *out = arena_take(&decoded, api.request->size);
    struct slice input = slice_of(bytes, writer.used);
    assert_int_equal(wire_decode(api.request, version, &input, &decoded, out), ERR_OK);
    assert_int_equal(input.size, 0);
    return out;
}

static void expect_order(const struct kafka_leader_and_isr_partition *told, int16_t version,
                         int32_t index)
{
    assert_int_equal(told->partition_index, index);
    assert_int_equal(told->leader, 5);
    assert_int_equal(told->leader_epoch, 7);
    assert_int_equal(told->controller_epoch, 3);
    assert_int_equal(told->partition_epoch, 9);
    assert_int_equal(told->isr.count, 2);
    assert_int_equal(told->replicas.count, 3);
    assert_int_equal(told->replicas.items[2], 6);
    assert_int_equal(told->adding_replicas.count, version >= 3 ? 1 : 0);
    assert_int_equal(told->removing_replicas.count, version >= 3 ? 2 : 0);
    assert_int_equal(told->is_new, version >= 1 && index == 1);
    assert_int_equal(told->leader_recovery_state, version >= 6 && index == 2);
}

static void orders_are_read_in_every_version(void **state)
{
    (void)state;
    const struct control_message message = message_of(CONTROL_LEADER_AND_ISR);
    for (int16_t version = 0; version <= 7; version++) {
        const struct kafka_leader_and_isr_request *told = over_the_wire(&message, version);
        assert_int_equal(told->controller_id, 1);
        assert_int_equal(told->controller_epoch, 3);
        assert_int_equal(told->broker_epoch, version >= 2 ? 99 : -1);
        assert_int_equal(told->live_leaders.count, 1); /* 4 leads nothing. */
        assert_int_equal(told->live_leaders.items[0].broker_id, 5);
        assert_true(slice_equal_text(told->live_leaders.items[0].host_name, "in"));
        assert_int_equal(told->live_leaders.items[0].port, 2);
        if (version < 2) {
            assert_int_equal(told->ungrouped_partition_states.count, 3);
            assert_true(
                slice_equal_text(told->ungrouped_partition_states.items[2].topic_name, "b"));
            for (int32_t index = 0; index < 3; index++)
                expect_order(&told->ungrouped_partition_states.items[index], version, index);
            continue;
        }
        assert_int_equal(told->topic_states.count, 2);
        assert_int_equal(told->topic_states.items[0].partition_states.count, 2);
        assert_int_equal(told->topic_states.items[1].topic_id.bytes[0], version >= 5 ? 2 : 0);
        expect_order(&told->topic_states.items[0].partition_states.items[1], version, 1);
        expect_order(&told->topic_states.items[1].partition_states.items[0], version, 2);
    }
}

static void metadata_is_read_in_every_version(void **state)
{
    (void)state;
    const struct control_message message = message_of(CONTROL_UPDATE_METADATA);
    for (int16_t version = 0; version <= 8; version++) {
        const struct kafka_update_metadata_request *told = over_the_wire(&message, version);
        assert_int_equal(told->live_brokers.count, 2);
        assert_int_equal(told->live_brokers.items[0].id, 4);
        if (version == 0)
            assert_int_equal(told->live_brokers.items[0].v0_port, 2);
        else
            assert_int_equal(told->live_brokers.items[0].endpoints.count, 2);
        assert_int_equal(slice_is_null(told->live_brokers.items[0].rack), version < 2);
        assert_true(slice_is_null(told->live_brokers.items[1].rack));
        const struct kafka_update_metadata_partition *last =
            version < 5 ? &told->ungrouped_partition_states.items[2]
                        : &told->topic_states.items[1].partition_states.items[0];
        assert_int_equal(last->partition_index, 2);
        assert_int_equal(last->zk_version, 9);
        assert_int_equal(last->offline_replicas.count, version >= 4 ? 1 : 0);
    }
}

static void stops_are_read_in_every_version(void **state)
{
    (void)state;
    const struct control_message message = message_of(CONTROL_STOP_REPLICA);
    for (int16_t version = 0; version <= 4; version++) {
        const struct kafka_stop_replica_request *told = over_the_wire(&message, version);
        if (version < 3)
            assert_true(told->delete_partitions);
        if (version == 0) {
            assert_int_equal(told->ungrouped_partitions.count, 3);
            assert_int_equal(told->ungrouped_partitions.items[2].partition_index, 2);
        } else if (version < 3) {
            assert_int_equal(told->topics.count, 3);
            assert_int_equal(told->topics.items[2].partition_indexes.items[0], 2);
        } else {
            assert_int_equal(told->topic_states.count, 2);
            assert_true(told->topic_states.items[1].partition_states.items[0].delete_partition);
            assert_int_equal(told->topic_states.items[1].partition_states.items[0].leader_epoch, 7);
        }
    }
}

static void count_error(void *context, const struct control_wire_error *error)
{
    int *sum = context;
    *sum += error->code * 100 + error->index * 10 + (slice_is_null(error->topic) ? 1 : 0);
}

static void replies_name_partitions_by_name_or_by_id(void **state)
{
    (void)state;
    struct kafka_leader_and_isr_reply_partition_errors old = {SLICE_LITERAL("a"), 2, 56};
    struct kafka_leader_and_isr_reply_topics_partition_errors recent = {3, 11};
    struct kafka_leader_and_isr_reply_topics topic = {.partition_errors = {&recent, 1}};
    struct kafka_leader_and_isr_reply reply = {.error_code = 77, .partition_errors = {&old, 1}};
    int sum = 0;
    assert_int_equal(control_wire_read(CONTROL_LEADER_AND_ISR, &reply, count_error, &sum), 77);
    assert_int_equal(sum, 5620);
    reply = (struct kafka_leader_and_isr_reply){.topics = {&topic, 1}};
    sum = 0;
    assert_int_equal(control_wire_read(CONTROL_LEADER_AND_ISR, &reply, count_error, &sum), 0);
    assert_int_equal(sum, 1131);
    struct kafka_stop_replica_reply_partition_errors stop = {SLICE_LITERAL("a"), 1, 82};
    const struct kafka_stop_replica_reply stops = {.partition_errors = {&stop, 1}};
    sum = 0;
    assert_int_equal(control_wire_read(CONTROL_STOP_REPLICA, &stops, count_error, &sum), 0);
    assert_int_equal(sum, 8210);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_are_read_in_every_version),
        cmocka_unit_test(metadata_is_read_in_every_version),
        cmocka_unit_test(stops_are_read_in_every_version),
        cmocka_unit_test(replies_name_partitions_by_name_or_by_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
