#include "broker/controller.h"

#include "test/unit_test.h"

struct fixture {
    struct heap heap;
    struct controller controller;
};

static int setup(void **state)
{
    static struct fixture fixture;
    heap_init(&fixture.heap, (struct heap_options){.limit_bytes = 1 << 20, .tracked = true});
    *state = &fixture;
    return (int)controller_init(&fixture.controller, &fixture.heap,
                                (struct controller_options){.broker_id = 1, .epoch = 7});
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    controller_deinit(&fixture->controller);
    const bool leaks = fixture->heap.block_count != 0;
    heap_deinit(&fixture->heap);
    return leaks ? -1 : 0;
}

static const struct broker_endpoint endpoint = {SLICE_LITERAL("PLAINTEXT"), SLICE_LITERAL("h"),
                                                9092, CONTROL_PLAINTEXT};

static void add_broker(struct fixture *fixture, int32_t id)
{
    struct controller_broker *broker;
    const struct broker_record record = {
        .id = id, .epoch = id * 10, .endpoint_count = 1, .endpoints = &endpoint};
    assert_int_equal(controller_set_broker(&fixture->controller, &record, &broker), ERR_OK);
}

static void remove_broker(struct fixture *fixture, int32_t id)
{
    controller_remove_broker(&fixture->controller,
                             controller_find_broker(&fixture->controller, id));
}

static struct controller_topic *add_topic(struct fixture *fixture, int32_t *ids, uint32_t count)
{
    struct znode_replicas partitions[] = {{count, ids}};
    struct znode_replicas none[] = {{0, NULL}};
    const struct znode_topic znode = {.id = {{9}},
                                      .partition_count = 1,
                                      .partitions = partitions,
                                      .adding = none,
                                      .removing = none};
    struct controller_topic *topic;
    assert_int_equal(
        controller_set_topic(&fixture->controller, SLICE_LITERAL("t"), &znode, 0, &topic), ERR_OK);
    return topic;
}

static void expect_write(struct fixture *fixture, int32_t leader, int32_t leader_epoch,
                         uint32_t isr_count, bool is_first)
{
    struct controller_write write;
    controller_decide(&fixture->controller);
    assert_true(controller_next_write(&fixture->controller, &write));
    assert_int_equal(write.state.leader, leader);
    assert_int_equal(write.state.leader_epoch, leader_epoch);
    assert_int_equal(write.state.controller_epoch, 7);
    assert_int_equal(write.state.isr_count, isr_count);
    assert_int_equal(write.is_first, is_first);
    controller_written(&fixture->controller, &write, write.state.partition_epoch + 1);
    controller_decide(&fixture->controller);
    assert_false(controller_next_write(&fixture->controller, &write));
}

static void a_new_partition_is_led_by_its_first_live_replica(void **state)
{
    struct fixture *fixture = *state;
    add_broker(fixture, 1);
    add_broker(fixture, 3);
    add_topic(fixture, (int32_t[]){2, 3, 1}, 3);
    expect_write(fixture, 3, 0, 2, true);
}

static void nothing_happens_while_no_replica_lives(void **state)
{
    struct fixture *fixture = *state;
    struct controller_write write;
    add_broker(fixture, 1);
    add_topic(fixture, (int32_t[]){2}, 1);
    controller_decide(&fixture->controller);
    assert_false(controller_next_write(&fixture->controller, &write));
    add_broker(fixture, 2);
    expect_write(fixture, 2, 0, 1, true);
}

static void a_dead_leader_is_replaced_from_the_isr_only(void **state)
{
    struct fixture *fixture = *state;
    add_broker(fixture, 1);
    add_broker(fixture, 2);
    add_topic(fixture, (int32_t[]){1, 2}, 2);
    expect_write(fixture, 1, 0, 2, true);
    remove_broker(fixture, 1);
    expect_write(fixture, 2, 1, 1, false);
    remove_broker(fixture, 2);
    expect_write(fixture, control_leader_none, 2, 1, false);
    /* Broker 1 is alive again, but was not in sync. */
    add_broker(fixture, 1);
    struct controller_write write;
    controller_decide(&fixture->controller);
    assert_false(controller_next_write(&fixture->controller, &write));
    add_broker(fixture, 2);
    expect_write(fixture, 2, 3, 1, false);
}

static void a_dead_follower_leaves_the_isr(void **state)
{
    struct fixture *fixture = *state;
    add_broker(fixture, 1);
    add_broker(fixture, 2);
    add_topic(fixture, (int32_t[]){1, 2}, 2);
    expect_write(fixture, 1, 0, 2, true);
    remove_broker(fixture, 2);
    expect_write(fixture, 1, 1, 1, false);
}

static void a_write_that_failed_is_decided_again(void **state)
{
    struct fixture *fixture = *state;
    struct controller_write write;
    add_broker(fixture, 1);
    struct controller_topic *topic = add_topic(fixture, (int32_t[]){1}, 1);
    controller_decide(&fixture->controller);
    assert_true(controller_next_write(&fixture->controller, &write));
    controller_decide(&fixture->controller);
    assert_false(controller_next_write(&fixture->controller, &write));
    controller_not_written(&fixture->controller, topic->partitions[0]);
    expect_write(fixture, 1, 0, 1, true);
}

static void messages_carry_what_changed(void **state)
{
    struct fixture *fixture = *state;
    struct controller *controller = &fixture->controller;
    add_broker(fixture, 1);
    add_broker(fixture, 2);
    struct controller_topic *topic = add_topic(fixture, (int32_t[]){1, 9}, 2);
    expect_write(fixture, 1, 0, 1, true);

    struct controller_message_options options = {
        .kind = CONTROL_LEADER_AND_ISR,
        .scope = CONTROLLER_CHANGED,
        .broker = controller_find_broker(controller, 1),
    };
    struct controller_envelope *envelope = controller_message(controller, options);
    assert_int_equal(envelope->message.partition_count, 1);
    assert_int_equal(envelope->message.broker_epoch, 10);
    assert_int_equal(envelope->message.broker_count, 2);
    assert_true(envelope->message.partitions[0].is_new);
    assert_int_equal(envelope->message.partitions[0].replicas[1], 9);
    assert_int_equal(envelope->message.partitions[0].isr[0], 1);
    assert_true(slice_equal_text(envelope->message.partitions[0].topic, "t"));
    assert_true(slice_equal_text(envelope->message.brokers[1].endpoints[0].host, "h"));
    heap_give(&fixture->heap, envelope);

    options.broker = controller_find_broker(controller, 2);
    envelope = controller_message(controller, options);
    assert_int_equal(envelope->message.partition_count, 0);
    heap_give(&fixture->heap, envelope);

    controller_forget_changes(controller);
    options.kind = CONTROL_UPDATE_METADATA;
    envelope = controller_message(controller, options);
    assert_int_equal(envelope->message.partition_count, 0);
    heap_give(&fixture->heap, envelope);

    options.scope = CONTROLLER_TOPIC;
    options.topic = topic;
    envelope = controller_message(controller, options);
    assert_int_equal(envelope->message.partitions[0].leader, control_leader_deleted);
    heap_give(&fixture->heap, envelope);
}

static void a_topic_grows(void **state)
{
    struct fixture *fixture = *state;
    add_broker(fixture, 1);
    add_topic(fixture, (int32_t[]){1}, 1);
    expect_write(fixture, 1, 0, 1, true);
    struct znode_replicas partitions[] = {{1, (int32_t[]){1}}, {1, (int32_t[]){1}}};
    struct znode_replicas none[] = {{0, NULL}, {0, NULL}};
    const struct znode_topic znode = {
        .partition_count = 2, .partitions = partitions, .adding = none, .removing = none};
    struct controller_topic *topic;
    assert_int_equal(
        controller_set_topic(&fixture->controller, SLICE_LITERAL("t"), &znode, 1, &topic), ERR_OK);
    assert_int_equal(topic->partition_count, 2);
    expect_write(fixture, 1, 0, 1, true);
    assert_int_equal(topic->partitions[1]->partition_epoch, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_partition_is_led_by_its_first_live_replica, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(nothing_happens_while_no_replica_lives, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dead_leader_is_replaced_from_the_isr_only, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_dead_follower_leaves_the_isr, setup, teardown),
        cmocka_unit_test_setup_teardown(a_write_that_failed_is_decided_again, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_carry_what_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_topic_grows, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
