#include "server/broker/metadata_view.h"

#include "test/unit_test.h"

struct fixture {
    struct heap heap;
    struct metadata_view view;
    struct metadata_listener listener;
    int change_count;
    uint32_t gone_partition_count;
};

static void on_change(struct metadata_listener *listener)
{
    CONTAINER_OF(listener, struct fixture, listener)->change_count++;
}

static void on_gone(void *context, struct slice topic, int32_t index)
{
    (void)topic;
    (void)index;
    ((struct fixture *)context)->gone_partition_count++;
}

static int setup(void **state)
{
    static struct fixture fixture;
    memset(&fixture, 0, sizeof fixture);
    heap_init(&fixture.heap, (struct heap_options){.limit_bytes = 1 << 20, .tracked = true});
    fixture.listener.changed = on_change;
    *state = &fixture;
    if (metadata_view_init(&fixture.view, &fixture.heap, (struct metadata_view_options){7}))
        return -1;
    metadata_view_listen(&fixture.view, &fixture.listener);
    metadata_view_tell_gone(&fixture.view, on_gone, &fixture);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    metadata_view_deinit(&fixture->view);
    const bool leaks = fixture->heap.block_count != 0;
    heap_deinit(&fixture->heap);
    return leaks ? -1 : 0;
}

static const int32_t replicas[] = {1, 2, 3};
static const struct broker_endpoint endpoints[] = {
    {SLICE_LITERAL("PLAINTEXT"), SLICE_LITERAL("host-1"), 9092, CONTROL_PLAINTEXT},
    {SLICE_LITERAL("INSIDE"), SLICE_LITERAL("10.0.0.1"), 9093, CONTROL_PLAINTEXT},
};

static struct partition_state partition_of(struct slice topic, uint8_t id, int32_t index)
{
    return (struct partition_state){
        .topic = topic,
        .topic_id = {{id}},
        .index = index,
        .leader = 1,
        .leader_epoch = 4,
        .replica_count = 3,
        .isr_count = 2,
        .replicas = replicas,
        .isr = replicas,
    };
}

static void update(struct fixture *fixture, struct partition_state *states, uint32_t count)
{
    const struct broker_record brokers[] = {
        {.id = 3, .epoch = 30, .endpoint_count = 1, .endpoints = endpoints},
        {.id = 1,
         .epoch = 10,
         .rack = SLICE_LITERAL("r"),
         .endpoint_count = 2,
         .endpoints = endpoints},
    };
    const struct control_message message = {
        .kind = CONTROL_UPDATE_METADATA,
        .controller_id = 3,
        .partition_count = count,
        .partitions = states,
        .broker_count = 2,
        .brokers = brokers,
    };
    assert_int_equal(metadata_view_update(&fixture->view, &message), ERR_OK);
}

static void it_shows_what_the_message_said(void **state)
{
    struct fixture *fixture = *state;
    struct partition_state states[] = {
        partition_of(SLICE_LITERAL("a"), 1, 1),
        partition_of(SLICE_LITERAL("a"), 1, 0),
        partition_of(SLICE_LITERAL("__consumer_offsets"), 2, 0),
    };
    update(fixture, states, 3);

    const struct metadata_topic *topic = metadata_view_topic(&fixture->view, SLICE_LITERAL("a"));
    assert_non_null(topic);
    assert_int_equal(topic->partition_count, 2);
    assert_false(topic->is_internal);
    assert_int_equal(topic->partitions[1].isr_count, 2);
    assert_int_equal(topic->partitions[1].replicas[2], 3);
    assert_ptr_equal(metadata_view_topic_by_id(&fixture->view, (struct uuid){{1}}), topic);
    assert_true(
        metadata_view_topic(&fixture->view, SLICE_LITERAL("__consumer_offsets"))->is_internal);
    assert_null(metadata_view_topic(&fixture->view, SLICE_LITERAL("b")));
    assert_non_null(metadata_view_partition(&fixture->view, SLICE_LITERAL("a"), 1));
    assert_null(metadata_view_partition(&fixture->view, SLICE_LITERAL("a"), 2));
    assert_null(metadata_view_partition(&fixture->view, SLICE_LITERAL("a"), -1));
    assert_int_equal(fixture->view.topic_count, 2);
    assert_int_equal(fixture->view.partition_count, 3);
    assert_int_equal(fixture->view.controller_id, 3);
    assert_int_equal(fixture->change_count, 1);
}

static void it_shows_who_is_offline(void **state)
{
    struct fixture *fixture = *state;
    static const int32_t offline[] = {3};
    struct partition_state states[] = {partition_of(SLICE_LITERAL("a"), 1, 0)};
    states[0].offline = offline;
    states[0].offline_count = 1;
    update(fixture, states, 1);
    const struct metadata_partition *partition =
        metadata_view_partition(&fixture->view, SLICE_LITERAL("a"), 0);
    assert_int_equal(partition->offline_count, 1);
    assert_int_equal(partition->offline[0], 3);
    assert_int_equal(partition->isr[1], 2);
    states[0].offline_count = 0;
    update(fixture, states, 1);
    assert_int_equal(partition->offline_count, 0);
}

static void brokers_are_in_order_and_replaced_each_time(void **state)
{
    struct fixture *fixture = *state;
    update(fixture, NULL, 0);
    update(fixture, NULL, 0);
    assert_int_equal(fixture->view.broker_count, 2);
    assert_int_equal(metadata_view_next_broker(&fixture->view, NULL)->record.id, 1);
    const struct metadata_broker *broker = metadata_view_broker(&fixture->view, 1);
    assert_true(slice_equal_text(broker->record.rack, "r"));
    assert_int_equal(metadata_broker_endpoint(broker, SLICE_LITERAL("INSIDE"))->port, 9093);
    assert_null(metadata_broker_endpoint(broker, SLICE_LITERAL("OUTSIDE")));
    assert_null(metadata_view_broker(&fixture->view, 2));
}

static void a_deleted_topic_goes_and_may_come_back_with_another_id(void **state)
{
    struct fixture *fixture = *state;
    struct partition_state states[] = {
        partition_of(SLICE_LITERAL("a"), 1, 0),
        partition_of(SLICE_LITERAL("a"), 1, 1),
    };
    update(fixture, states, 2);
    states[0].leader = control_leader_none; /* Neither this nor other replicas end a topic. */
    states[1].replicas = replicas + 1;
    states[1].replica_count = 2;
    update(fixture, states, 2);
    assert_int_equal(fixture->gone_partition_count, 0);
    states[0].leader = control_leader_deleted;
    states[1].leader = control_leader_deleted;
    update(fixture, states, 2);
    assert_int_equal(fixture->gone_partition_count, 2);
    assert_null(metadata_view_topic(&fixture->view, SLICE_LITERAL("a")));
    assert_null(metadata_view_topic_by_id(&fixture->view, (struct uuid){{1}}));
    assert_int_equal(fixture->view.partition_count, 0);

    states[0] = partition_of(SLICE_LITERAL("a"), 9, 0);
    update(fixture, states, 1);
    assert_non_null(metadata_view_topic_by_id(&fixture->view, (struct uuid){{9}}));
    assert_int_equal(metadata_view_topic(&fixture->view, SLICE_LITERAL("a"))->partition_count, 1);
    states[0] = partition_of(SLICE_LITERAL("a"), 3, 0);
    update(fixture, states, 1);
    assert_int_equal(fixture->gone_partition_count, 3);

    states[0] = partition_of(SLICE_LITERAL("never heard of"), 4, 0);
    states[0].leader = control_leader_deleted;
    update(fixture, states, 1);
    assert_int_equal(fixture->gone_partition_count, 4);
}

static void what_nobody_names_after_a_doubt_goes(void **state)
{
    struct fixture *fixture = *state;
    struct partition_state states[] = {
        partition_of(SLICE_LITERAL("named"), 1, 0),
        partition_of(SLICE_LITERAL("vouched for"), 2, 0),
        partition_of(SLICE_LITERAL("gone"), 3, 0),
        partition_of(SLICE_LITERAL("gone"), 3, 1),
        partition_of(SLICE_LITERAL("new"), 4, 0),
    };
    update(fixture, states, 4);
    assert_int_equal(metadata_view_end_doubted(&fixture->view), 0);
    assert_int_equal(fixture->change_count, 1);
    metadata_view_doubt(&fixture->view);
    update(fixture, states, 1);
    update(fixture, states + 4, 1);
    metadata_view_vouch(&fixture->view, SLICE_LITERAL("vouched for"));
    metadata_view_vouch(&fixture->view, SLICE_LITERAL("never heard of"));
    assert_int_equal(metadata_view_end_doubted(&fixture->view), 1);
    assert_int_equal(fixture->change_count, 4);
    assert_int_equal(fixture->gone_partition_count, 2);
    assert_int_equal(fixture->view.topic_count, 3);
    assert_null(metadata_view_topic(&fixture->view, SLICE_LITERAL("gone")));
    assert_int_equal(metadata_view_end_doubted(&fixture->view), 0);
}

static void a_hole_is_no_partition(void **state)
{
    struct fixture *fixture = *state;
    struct partition_state states[] = {partition_of(SLICE_LITERAL("a"), 1, 2)};
    update(fixture, states, 1);
    assert_null(metadata_view_partition(&fixture->view, SLICE_LITERAL("a"), 0));
    assert_non_null(metadata_view_partition(&fixture->view, SLICE_LITERAL("a"), 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_shows_what_the_message_said, setup, teardown),
        cmocka_unit_test_setup_teardown(it_shows_who_is_offline, setup, teardown),
        cmocka_unit_test_setup_teardown(brokers_are_in_order_and_replaced_each_time, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_deleted_topic_goes_and_may_come_back_with_another_id,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_nobody_names_after_a_doubt_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_hole_is_no_partition, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
