#include "server/broker/replica_agent.h"

#include "test/unit_test.h"

static void write_nothing(struct diag *diag, enum diag_level level, struct slice line)
{
    (void)diag;
    (void)level;
    (void)line;
}

static void on_done(struct replica_agent_delivery *delivery)
{
    (void)delivery;
}

/* What is answered without an error is in the view: else nobody would tell it again. */
static void metadata_that_finds_no_memory_is_not_heard(void **state)
{
    static const int32_t replicas[] = {1, 2, 3};
    struct partition_state partition = {.topic = SLICE_LITERAL("topic"),
                                        .topic_id = {{1}},
                                        .leader = 1,
                                        .replica_count = ARRAY_COUNT(replicas),
                                        .isr_count = ARRAY_COUNT(replicas),
                                        .replicas = replicas,
                                        .isr = replicas};
    const struct control_message message = {.kind = CONTROL_UPDATE_METADATA,
                                            .controller_id = 1,
                                            .broker_epoch = -1,
                                            .partition_count = 1,
                                            .partitions = &partition};
    struct diag diag = {.write = write_nothing};
    uint32_t refused_count = 0;
    (void)state;
    for (size_t room = 0; room < 2048; room += 8) {
        struct heap heap;
        struct metadata_view view;
        struct replica_agent agent;
        heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20, .tracked = true});
        assert_int_equal(metadata_view_init(&view, &heap, (struct metadata_view_options){7}),
                         ERR_OK);
        assert_int_equal(replica_agent_init(&agent, (struct replica_agent_options){.heap = &heap,
                                                                                   .diag = &diag,
                                                                                   .view = &view}),
                         ERR_OK);
        struct replica_agent_delivery delivery = {.message = &message, .done = on_done};
        heap.limit_bytes = heap.used_bytes + room;
        replica_agent_receive(&agent, &delivery);
        const bool is_known = metadata_view_partition(&view, SLICE_LITERAL("topic"), 0) != NULL;
        assert_int_equal(delivery.error_code, is_known ? KAFKA_NONE : KAFKA_UNKNOWN_SERVER_ERROR);
        refused_count += !is_known;
        replica_agent_deinit(&agent);
        metadata_view_deinit(&view);
        heap_deinit(&heap);
    }
    assert_in_range(refused_count, 10, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metadata_that_finds_no_memory_is_not_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
