#include "broker/controller_outbox.h"

#include "broker/controller_deletion.h"
#include "broker/kafka_error.h"
#include "test/controller_fixture.h"

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, controller_fixture_setup, controller_fixture_teardown)

static void a_new_broker_hears_of_the_others_first_and_then_everything(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 2);
    struct controller_partition *partition = add_topic(fixture, IDS(1, 9));
    set_state(fixture, partition, 1, 3, IDS(1));
    struct controller_envelope *envelope = take(fixture, 1, CONTROL_UPDATE_METADATA);
    assert_int_equal(envelope->message.broker_count, 2);
    assert_int_equal(envelope->message.partition_count, 1);
    assert_true(slice_equal_text(envelope->message.brokers[1].endpoints[0].host, "host"));
    assert_int_equal(envelope->message.partitions[0].offline_count, 1);
    assert_int_equal(envelope->message.partitions[0].offline[0], 9);
    answer(fixture, envelope, NULL);
    envelope = take(fixture, 1, CONTROL_LEADER_AND_ISR);
    assert_int_equal(envelope->message.partition_count, 1);
    const struct partition_state *told = &envelope->message.partitions[0];
    assert_int_equal(told->leader, 1);
    assert_int_equal(told->leader_epoch, 3);
    assert_int_equal(told->replica_count, 2);
    assert_int_equal(told->replicas[1], 9);
    assert_int_equal(told->isr_count, 1);
    assert_int_equal(told->isr[0], 1);
    assert_int_equal(told->adding_count, 0);
    assert_false(told->is_new); /* Another controller has made it. */
    assert_true(slice_equal_text(told->topic, "t"));
    answer(fixture, envelope, NULL);
    assert_true(controller_outbox_is_empty(&fixture->controller, broker_of(fixture, 1)));
    /* The other has no replica: it gets no order. */
    answer(fixture, take(fixture, 2, CONTROL_UPDATE_METADATA), NULL);
    assert_int_equal(controller_outbox_next(&fixture->controller, broker_of(fixture, 2), &envelope),
                     ERR_OK);
    assert_null(envelope);
    assert_true(controller_outbox_is_empty(&fixture->controller, broker_of(fixture, 2)));
}

static void a_change_is_ordered_first_and_told_then(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 2);
    tell(fixture, 1);
    tell(fixture, 2);
    add_topic(fixture, IDS(1, 2));
    write_all(fixture);
    struct controller_envelope *envelope = take(fixture, 2, CONTROL_LEADER_AND_ISR);
    assert_true(envelope->message.partitions[0].is_new);
    answer(fixture, envelope, NULL);
    envelope = take(fixture, 2, CONTROL_UPDATE_METADATA);
    assert_int_equal(envelope->message.partition_count, 1);
    answer(fixture, envelope, NULL);
    assert_true(controller_outbox_is_empty(&fixture->controller, broker_of(fixture, 2)));
    assert_false(controller_outbox_is_empty(&fixture->controller, broker_of(fixture, 1)));
    tell(fixture, 1);
}

static void what_changes_meanwhile_is_one_message(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 2);
    struct controller_partition *partition = add_topic(fixture, IDS(1, 2));
    write_all(fixture);
    tell(fixture, 1);
    for (int32_t epoch = 1; epoch < 10; epoch++)
        set_state(fixture, partition, 2, epoch, IDS(2));
    struct controller_envelope *envelope = take(fixture, 1, CONTROL_LEADER_AND_ISR);
    assert_int_equal(envelope->message.partition_count, 1);
    assert_int_equal(envelope->message.partitions[0].leader_epoch, 9);
    assert_false(envelope->message.partitions[0].is_new);
    set_state(fixture, partition, 1, 10, IDS(2, 1)); /* While it is on its way. */
    answer(fixture, envelope, NULL);
    envelope = take(fixture, 1, CONTROL_LEADER_AND_ISR);
    assert_int_equal(envelope->message.partitions[0].leader_epoch, 10);
    answer(fixture, envelope, NULL);
    tell(fixture, 1);
}

static void a_lost_message_is_made_anew(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 1);
    tell(fixture, 1);
    struct controller_partition *partition = add_topic(fixture, IDS(1));
    write_all(fixture);
    heap_give(&fixture->heap, take(fixture, 1, CONTROL_LEADER_AND_ISR));
    set_state(fixture, partition, 1, 1, IDS(1));
    struct controller_envelope *envelope = take(fixture, 1, CONTROL_LEADER_AND_ISR);
    assert_int_equal(envelope->message.partitions[0].leader_epoch, 1);
    assert_true(envelope->message.partitions[0].is_new); /* The first may never have come. */
    answer(fixture, envelope, NULL);
    tell(fixture, 1);
}

static void a_broker_that_comes_back_is_told_everything(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 2);
    add_topic(fixture, IDS(1, 2));
    write_all(fixture);
    tell(fixture, 1);
    tell(fixture, 2);
    remove_broker(fixture, 2);
    write_all(fixture);
    struct controller_envelope *envelope = take(fixture, 1, CONTROL_UPDATE_METADATA);
    assert_int_equal(envelope->message.broker_count, 1);
    assert_int_equal(envelope->message.partition_count, 0);
    answer(fixture, envelope, NULL);
    tell(fixture, 1);
    add_broker(fixture, 2, 1);
    write_all(fixture);
    envelope = take(fixture, 2, CONTROL_UPDATE_METADATA);
    assert_int_equal(envelope->message.partition_count, 1);
    answer(fixture, envelope, NULL);
    envelope = take(fixture, 2, CONTROL_LEADER_AND_ISR);
    assert_int_equal(envelope->message.partition_count, 1);
    assert_false(envelope->message.partitions[0].is_new);
    answer(fixture, envelope, NULL);
    tell(fixture, 2);
    envelope = take(fixture, 1, CONTROL_UPDATE_METADATA);
    assert_int_equal(envelope->message.partition_count, 0);
    answer(fixture, envelope, NULL);
    tell(fixture, 1);
}

static void a_change_by_the_leader_is_told_without_an_order(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 2);
    struct controller_partition *partition = add_topic(fixture, IDS(1, 2));
    write_all(fixture);
    tell(fixture, 1);
    struct controller_write write = {
        .partition = partition,
        .state = {.leader = 1, .controller_epoch = fixture_epoch, .isr_count = 1},
        .isr = {1},
        .is_alteration = true,
    };
    partition->is_writing = true;
    controller_decision_written(&fixture->controller, &write, 1);
    answer(fixture, take(fixture, 1, CONTROL_UPDATE_METADATA), NULL);
    assert_true(controller_outbox_is_empty(&fixture->controller, broker_of(fixture, 1)));
}

static void a_broker_that_shuts_down_stops_to_follow(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 2);
    set_topic(fixture, "led", (struct fixture_assignment){.ids = (int32_t[]){1, 2}, .count = 2});
    set_topic(fixture, "followed",
              (struct fixture_assignment){.ids = (int32_t[]){2, 1}, .count = 2});
    write_all(fixture);
    tell(fixture, 1);
    controller_decision_shut_down(&fixture->controller, broker_of(fixture, 1));
    write_all(fixture);
    struct controller_envelope *envelope = take(fixture, 1, CONTROL_LEADER_AND_ISR);
    assert_int_equal(envelope->message.partition_count, 1);
    assert_true(slice_equal_text(envelope->message.partitions[0].topic, "led"));
    assert_int_equal(envelope->message.partitions[0].leader, 2);
    answer(fixture, envelope, NULL);
    answer(fixture, take(fixture, 1, CONTROL_UPDATE_METADATA), NULL);
    envelope = take(fixture, 1, CONTROL_STOP_REPLICA);
    assert_int_equal(envelope->message.partition_count, 1);
    assert_true(slice_equal_text(envelope->message.partitions[0].topic, "followed"));
    assert_false(envelope->message.delete_partition[0]);
    assert_int_equal(envelope->message.partitions[0].leader_epoch, 1);
    answer(fixture, envelope, NULL);
    assert_true(controller_outbox_is_empty(&fixture->controller, broker_of(fixture, 1)));
}

static void replicas_that_come_and_go_are_named(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 3);
    struct controller_partition *partition = add_topic(fixture, IDS(1, 2));
    write_all(fixture);
    for (int32_t id = 1; id <= 3; id++)
        tell(fixture, id);
    set_topic(fixture, "t",
              (struct fixture_assignment){.ids = (int32_t[]){3, 1, 2},
                                          .count = 3,
                                          .adding = (int32_t[]){3},
                                          .adding_count = 1,
                                          .removing = (int32_t[]){1, 2},
                                          .removing_count = 2});
    write_all(fixture);
    struct controller_envelope *envelope = take(fixture, 3, CONTROL_LEADER_AND_ISR);
    const struct partition_state *told = &envelope->message.partitions[0];
    assert_true(told->is_new);
    assert_int_equal(told->replica_count, 3);
    assert_int_equal(told->adding_count, 1);
    assert_int_equal(told->adding[0], 3);
    assert_int_equal(told->removing_count, 2);
    assert_int_equal(told->removing[1], 2);
    answer(fixture, envelope, NULL);
    envelope = take(fixture, 1, CONTROL_LEADER_AND_ISR);
    assert_false(envelope->message.partitions[0].is_new);
    answer(fixture, envelope, NULL);
    tell(fixture, 1);
    tell(fixture, 3);

    set_state(fixture, partition, 1, 1, IDS(1, 2, 3));
    write_all(fixture);
    answer(fixture, take(fixture, 1, CONTROL_UPDATE_METADATA), NULL);
    envelope = take(fixture, 1, CONTROL_STOP_REPLICA); /* No order: it is no replica any more. */
    assert_true(envelope->message.delete_partition[0]);
    assert_int_equal(envelope->message.partitions[0].leader_epoch, partition->leader_epoch);
    answer(fixture, envelope, NULL);
    envelope = take(fixture, 3, CONTROL_LEADER_AND_ISR);
    assert_int_equal(envelope->message.partitions[0].replica_count, 1);
    assert_int_equal(envelope->message.partitions[0].removing_count, 0);
    assert_int_equal(envelope->message.partitions[0].leader, 3);
    answer(fixture, envelope, NULL);
}

static void a_deleted_topic_goes_when_all_know_and_all_files_are_gone(void **state)
{
    struct controller_fixture *fixture = *state;
    struct controller *controller = &fixture->controller;
    add_brokers(fixture, 3);
    struct controller_topic *topic = add_topic(fixture, IDS(1, 2))->topic;
    write_all(fixture);
    for (int32_t id = 1; id <= 3; id++)
        tell(fixture, id);
    remove_broker(fixture, 2);
    write_all(fixture);
    tell(fixture, 1);
    tell(fixture, 3);
    assert_true(controller_deletion_can_begin(topic));
    assert_int_equal(controller_deletion_begin(controller, topic), ERR_OK);
    assert_int_equal(write_all(fixture), 0);
    struct controller_envelope *envelope = take(fixture, 3, CONTROL_UPDATE_METADATA);
    assert_int_equal(envelope->message.partitions[0].leader, control_leader_deleted);
    answer(fixture, envelope, NULL);
    assert_true(controller_outbox_is_empty(controller, broker_of(fixture, 3)));
    answer(fixture, take(fixture, 1, CONTROL_UPDATE_METADATA), NULL);
    envelope = take(fixture, 1, CONTROL_STOP_REPLICA);
    assert_true(envelope->message.delete_partition[0]);
    assert_int_equal(envelope->message.partitions[0].leader_epoch, control_leader_epoch_deleted);
    const int16_t failed = KAFKA_KAFKA_STORAGE_ERROR;
    answer(fixture, envelope, &failed);
    assert_true(controller_outbox_is_empty(controller, broker_of(fixture, 1)));
    assert_false(controller_deletion_is_done(controller, topic));
    remove_broker(fixture, 1);
    add_broker(fixture, 1, 1); /* A new life, another try. */
    answer(fixture, take(fixture, 1, CONTROL_UPDATE_METADATA), NULL);
    answer(fixture, take(fixture, 1, CONTROL_STOP_REPLICA), NULL);
    assert_false(controller_deletion_is_done(controller, topic));
    tell(fixture, 3);
    add_broker(fixture, 2, 1);
    tell(fixture, 2);
    tell(fixture, 1);
    tell(fixture, 3);
    assert_true(controller_deletion_is_done(controller, topic));
}

static void a_replica_on_a_failed_directory_is_away(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 2);
    struct controller_partition *partition = add_topic(fixture, IDS(1, 2));
    write_all(fixture);
    tell(fixture, 1);
    tell(fixture, 2);
    controller_outbox_repeat(broker_of(fixture, 1));
    struct controller_envelope *envelope = take(fixture, 1, CONTROL_LEADER_AND_ISR);
    assert_false(envelope->message.partitions[0].is_new);
    const int16_t failed = KAFKA_KAFKA_STORAGE_ERROR;
    answer(fixture, envelope, &failed);
    write_all(fixture);
    expect_state(partition, 2, 1, IDS(2));
    answer(fixture, take(fixture, 1, CONTROL_LEADER_AND_ISR), &failed);
    answer(fixture, take(fixture, 2, CONTROL_LEADER_AND_ISR), NULL);
    envelope = take(fixture, 2, CONTROL_UPDATE_METADATA);
    assert_int_equal(envelope->message.partitions[0].offline_count, 1);
    assert_int_equal(envelope->message.partitions[0].offline[0], 1);
    answer(fixture, envelope, NULL);
    remove_broker(fixture, 1);
    add_broker(fixture, 1, 1); /* Repaired. */
    assert_true(controller_is_online(&fixture->controller, partition, 1));
}

enum { partitions_max = 10000 };

/* All on brokers 1, 2 and 3, but for some first ones, which are on broker 9. */
static struct controller_topic *set_partitions(struct controller_fixture *fixture, uint32_t count,
                                               uint32_t elsewhere_count)
{
    static struct znode_replicas partitions[partitions_max], none[partitions_max];
    static int32_t ids[] = {1, 2, 3}, elsewhere[] = {9};
    for (uint32_t index = 0; index < count; index++)
        partitions[index] = index < elsewhere_count ? (struct znode_replicas){1, elsewhere}
                                                    : (struct znode_replicas){3, ids};
    const struct znode_topic znode = {.id = {{9}},
                                      .partition_count = count,
                                      .partitions = partitions,
                                      .adding = none,
                                      .removing = none};
    struct controller_topic *topic;
    assert_int_equal(
        controller_set_topic(&fixture->controller, SLICE_LITERAL("t"), &znode, 0, &topic), ERR_OK);
    return topic;
}

static void expect_nothing_for(struct controller_fixture *fixture, int32_t id)
{
    struct controller_envelope *envelope;
    assert_int_equal(
        controller_outbox_next(&fixture->controller, broker_of(fixture, id), &envelope), ERR_OK);
    assert_null(envelope);
}

/* For brokers 1 and 4, of which only the first has replicas; all of them are new. */
static void expect_partitions(struct controller_fixture *fixture, uint32_t count)
{
    struct controller_envelope *envelope = take(fixture, 1, CONTROL_LEADER_AND_ISR);
    assert_int_equal(envelope->message.partition_count, count);
    for (uint32_t index = 0; index < count; index++)
        assert_true(envelope->message.partitions[index].is_new);
    answer(fixture, envelope, NULL);
    for (int32_t id = 1; id <= 4; id += 3) {
        envelope = take(fixture, id, CONTROL_UPDATE_METADATA);
        assert_int_equal(envelope->message.partition_count, count);
        answer(fixture, envelope, NULL);
        expect_nothing_for(fixture, id);
    }
}

/* A client takes a topic of which it sees two partitions for one of two. */
static void partitions_that_are_made_together_are_told_together(void **state)
{
    struct controller_fixture *fixture = *state;
    struct controller *controller = &fixture->controller;
    struct controller_write writes[5];
    add_brokers(fixture, 4);
    tell(fixture, 1);
    tell(fixture, 4);
    set_partitions(fixture, 3, 0);
    assert_true(controller_decision_next(controller, &writes[0]));
    controller_decision_written(controller, &writes[0], 0); /* The others have not been sent. */
    expect_nothing_for(fixture, 1);
    expect_nothing_for(fixture, 4);
    assert_true(controller_decision_next(controller, &writes[1]));
    assert_true(controller_decision_next(controller, &writes[2]));
    controller_decision_written(controller, &writes[2], 0);
    add_broker(fixture, 5, 0); /* It is told everything, which is nothing yet. */
    struct controller_envelope *envelope = take(fixture, 5, CONTROL_UPDATE_METADATA);
    assert_int_equal(envelope->message.partition_count, 0);
    answer(fixture, envelope, NULL);
    answer(fixture, take(fixture, 1, CONTROL_UPDATE_METADATA), NULL);
    answer(fixture, take(fixture, 4, CONTROL_UPDATE_METADATA), NULL);
    expect_nothing_for(fixture, 1);
    controller_decision_written(controller, &writes[1], 0);
    expect_partitions(fixture, 3);
    envelope = take(fixture, 5, CONTROL_UPDATE_METADATA);
    assert_int_equal(envelope->message.partition_count, 3);
    answer(fixture, envelope, NULL);

    set_partitions(fixture, 5, 0);
    assert_true(controller_decision_next(controller, &writes[3]));
    assert_true(controller_decision_next(controller, &writes[4]));
    controller_decision_written(controller, &writes[4], 0);
    expect_nothing_for(fixture, 4);
    controller_decision_written(controller, &writes[3], 0);
    expect_partitions(fixture, 2);
}

/* The keeper has taken it, and the answer was lost: the next attempt finds it there. */
static void partitions_that_are_found_are_told_together(void **state)
{
    struct controller_fixture *fixture = *state;
    struct controller *controller = &fixture->controller;
    struct controller_write writes[2];
    add_brokers(fixture, 4);
    tell(fixture, 1);
    tell(fixture, 4);
    set_partitions(fixture, 2, 0);
    assert_true(controller_decision_next(controller, &writes[0]));
    assert_true(controller_decision_next(controller, &writes[1]));
    struct partition_state found = writes[0].state;
    found.isr = writes[0].isr;
    found.partition_epoch = 0;
    assert_int_equal(controller_decision_found(controller, writes[0].partition, &found), ERR_OK);
    expect_nothing_for(fixture, 1);
    expect_nothing_for(fixture, 4);
    controller_decision_written(controller, &writes[1], 0);
    expect_partitions(fixture, 2);
}

static void a_partition_that_cannot_be_made_holds_up_no_other(void **state)
{
    struct controller_fixture *fixture = *state;
    struct controller *controller = &fixture->controller;
    struct controller_write writes[4];
    add_brokers(fixture, 4);
    tell(fixture, 1);
    tell(fixture, 4);
    set_partitions(fixture, 4, 1); /* Nobody can lead the first. */
    for (size_t index = 1; index < 4; index++)
        assert_true(controller_decision_next(controller, &writes[index]));
    assert_int_equal(writes[1].state.index, 1);
    controller_decision_written(controller, &writes[1], 0);
    controller_decision_refused(controller, writes[2].partition);
    expect_nothing_for(fixture, 1);
    controller_decision_not_written(controller, writes[3].partition);
    expect_partitions(fixture, 1);
    assert_int_equal(write_all(fixture), 2); /* The next round looks at everything. */
    expect_partitions(fixture, 2);
}

static void partitions_wait_for_the_last_even_if_it_cannot_be_made_by_then(void **state)
{
    struct controller_fixture *fixture = *state;
    struct controller *controller = &fixture->controller;
    struct controller_write write;
    add_brokers(fixture, 4);
    add_broker(fixture, 9, 0);
    tell(fixture, 1);
    tell(fixture, 4);
    struct controller_topic *topic = set_partitions(fixture, 2, 1);
    list_remove(&topic->partitions[0]->to_write); /* The other one is the first to be sent. */
    list_push(&controller->to_write, &topic->partitions[0]->to_write);
    assert_true(controller_decision_next(controller, &write));
    assert_int_equal(write.state.index, 1);
    controller_decision_written(controller, &write, 0);
    expect_nothing_for(fixture, 1);
    broker_of(fixture, 9)->is_shutting_down = true;
    assert_false(controller_decision_next(controller, &write));
    expect_partitions(fixture, 1);
}

/* It is the look at everything that finds that nobody can lead the last one. */
static void partitions_do_not_wait_for_one_whose_broker_has_gone(void **state)
{
    struct controller_fixture *fixture = *state;
    struct controller *controller = &fixture->controller;
    struct controller_write write;
    add_brokers(fixture, 4);
    add_broker(fixture, 9, 0);
    tell(fixture, 1);
    const struct controller_topic *topic = set_partitions(fixture, 2, 1);
    list_remove(&topic->partitions[0]->to_write);
    list_push(&controller->to_write, &topic->partitions[0]->to_write);
    assert_true(controller_decision_next(controller, &write));
    controller_decision_written(controller, &write, 0);
    assert_true(topic->partitions[1]->is_held);
    remove_broker(fixture, 9);
    controller_decision_update(controller);
    assert_false(topic->partitions[1]->is_held);
    assert_false(controller_decision_next(controller, &write));
    answer(fixture, take(fixture, 1, CONTROL_UPDATE_METADATA), NULL); /* Of the brokers. */
    struct controller_envelope *envelope = take(fixture, 1, CONTROL_LEADER_AND_ISR);
    assert_int_equal(envelope->message.partition_count, 1);
    answer(fixture, envelope, NULL);
}

static void ten_thousand_partitions_are_two_messages(void **state)
{
    enum { count = partitions_max };
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 3);
    set_partitions(fixture, count, 0);
    assert_int_equal(write_all(fixture), count);
    uint32_t messages = 0;
    struct controller_envelope *envelope;
    for (;;) {
        assert_int_equal(
            controller_outbox_next(&fixture->controller, broker_of(fixture, 2), &envelope), ERR_OK);
        if (envelope == NULL)
            break;
        assert_int_equal(envelope->message.partition_count, count);
        answer(fixture, envelope, NULL);
        messages++;
    }
    assert_int_equal(messages, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_broker_hears_of_the_others_first_and_then_everything),
        TEST(a_change_is_ordered_first_and_told_then),
        TEST(what_changes_meanwhile_is_one_message),
        TEST(a_lost_message_is_made_anew),
        TEST(a_broker_that_comes_back_is_told_everything),
        TEST(a_change_by_the_leader_is_told_without_an_order),
        TEST(a_broker_that_shuts_down_stops_to_follow),
        TEST(replicas_that_come_and_go_are_named),
        TEST(a_deleted_topic_goes_when_all_know_and_all_files_are_gone),
        TEST(a_replica_on_a_failed_directory_is_away),
        TEST(partitions_that_are_made_together_are_told_together),
        TEST(partitions_that_are_found_are_told_together),
        TEST(a_partition_that_cannot_be_made_holds_up_no_other),
        TEST(partitions_wait_for_the_last_even_if_it_cannot_be_made_by_then),
        TEST(partitions_do_not_wait_for_one_whose_broker_has_gone),
        TEST(ten_thousand_partitions_are_two_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
