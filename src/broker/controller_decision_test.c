#include "test/controller_fixture.h"

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, controller_fixture_setup, controller_fixture_teardown)

static void a_new_partition_is_led_by_its_first_live_replica(void **state)
{
    struct controller_fixture *fixture = *state;
    add_broker(fixture, 1, 0);
    add_broker(fixture, 3, 0);
    const struct controller_partition *partition = add_topic(fixture, IDS(2, 3, 1));
    assert_int_equal(write_all(fixture), 1);
    expect_state(partition, 3, 0, IDS(3, 1));
    assert_int_equal(partition->controller_epoch, fixture_epoch);
    assert_int_equal(partition->partition_epoch, 0);
}

static void nothing_happens_while_no_replica_lives(void **state)
{
    struct controller_fixture *fixture = *state;
    add_broker(fixture, 1, 0);
    const struct controller_partition *partition = add_topic(fixture, IDS(2));
    assert_int_equal(write_all(fixture), 0);
    add_broker(fixture, 2, 0);
    assert_int_equal(write_all(fixture), 1);
    expect_state(partition, 2, 0, IDS(2));
}

static void a_dead_leader_is_replaced_by_the_first_in_the_isr(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 4);
    struct controller_partition *partition = add_topic(fixture, IDS(1, 2, 3, 4));
    set_state(fixture, partition, 1, 5, IDS(4, 3, 1));
    assert_int_equal(write_all(fixture), 0);
    remove_broker(fixture, 1);
    assert_int_equal(write_all(fixture), 1);
    expect_state(partition, 3, 6,
                 IDS(4, 3)); /* In the order of assignment; the ISR keeps its own. */
}

static void a_dead_leader_is_replaced_from_the_isr_only(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 2);
    struct controller_partition *partition = add_topic(fixture, IDS(1, 2));
    partition->topic->unclean = CONTROLLER_CLEAN;
    write_all(fixture);
    remove_broker(fixture, 1);
    write_all(fixture);
    expect_state(partition, 2, 1, IDS(2));
    remove_broker(fixture, 2);
    write_all(fixture);
    expect_state(partition, control_leader_none, 2, IDS(2));
    add_broker(fixture, 1, 1); /* It was not in sync. */
    assert_int_equal(write_all(fixture), 0);
    add_broker(fixture, 2, 1);
    write_all(fixture);
    expect_state(partition, 2, 3, IDS(2));
}

static void an_isr_that_dies_as_a_whole_is_kept(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 2);
    struct controller_partition *partition = add_topic(fixture, IDS(1, 2));
    write_all(fixture);
    remove_broker(fixture, 1);
    remove_broker(fixture, 2);
    write_all(fixture);
    expect_state(partition, control_leader_none, 1, IDS(1, 2));
    add_broker(fixture, 2, 1);
    write_all(fixture);
    expect_state(partition, 2, 2, IDS(2));
}

/* What it had not synced may be gone, and others may have it. */
static void a_leader_that_was_away_between_two_controllers_leads_in_another_epoch(void **state)
{
    struct controller_fixture *fixture = *state;
    add_broker(fixture, 1, 90);
    add_broker(fixture, 2, 10);
    struct controller_partition *partition = add_topic(fixture, IDS(1, 2));
    const int64_t registered_at = controller_find_broker(&fixture->controller, 1)->record.epoch;
    set_state(fixture, partition, 1, 5, IDS(1, 2));
    controller_decision_check_leader(&fixture->controller, partition, registered_at);
    assert_int_equal(write_all(fixture), 0);
    controller_decision_check_leader(&fixture->controller, partition, registered_at - 1);
    assert_int_equal(write_all(fixture), 1);
    expect_state(partition, 1, 6, IDS(1, 2));
    assert_int_equal(write_all(fixture), 0);
}

static void a_leader_that_registers_while_the_cluster_is_read_leads_in_another_epoch(void **state)
{
    struct controller_fixture *fixture = *state;
    add_broker(fixture, 2, 10);
    struct controller_partition *partition = add_topic(fixture, IDS(1, 2));
    set_state(fixture, partition, 1, 5, IDS(1, 2));
    controller_decision_check_leader(&fixture->controller, partition, 20);
    add_broker(fixture, 1, 90);
    assert_int_equal(write_all(fixture), 1);
    expect_state(partition, 1, 6, IDS(1, 2));
    assert_int_equal(write_all(fixture), 0);
}

static void a_leader_that_comes_back_before_another_is_found_leads_in_another_epoch(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 2);
    struct controller_partition *partition = add_topic(fixture, IDS(1, 2));
    set_state(fixture, partition, 1, 5, IDS(1));
    write_all(fixture);
    remove_broker(fixture, 1);
    assert_int_equal(write_all(fixture), 0); /* The topic is asked whether 2 may lead. */
    add_broker(fixture, 1, 1);
    assert_int_equal(write_all(fixture), 1);
    expect_state(partition, 1, 6, IDS(1));
    assert_int_equal(write_all(fixture), 0);
}

static void each_dead_follower_leaves_the_isr_with_an_epoch(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 4);
    struct controller_partition *partition = add_topic(fixture, IDS(1, 2, 3, 4));
    write_all(fixture);
    remove_broker(fixture, 3);
    assert_int_equal(write_all(fixture), 1);
    expect_state(partition, 1, 1, IDS(1, 2, 4));
    remove_broker(fixture, 2);
    remove_broker(fixture, 4);
    assert_int_equal(write_all(fixture), 1);
    expect_state(partition, 1, 3, IDS(1));
}

static void an_unclean_leader_waits_for_the_topics_word(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 2);
    struct controller_partition *partition = add_topic(fixture, IDS(1, 2));
    set_state(fixture, partition, 1, 5, IDS(1));
    write_all(fixture);
    remove_broker(fixture, 1);
    assert_int_equal(write_all(fixture), 0);
    assert_true(list_linked(&partition->topic->to_ask));
    partition->topic->unclean = CONTROLLER_UNCLEAN;
    controller_decision_consider_topic(&fixture->controller, partition->topic);
    assert_int_equal(write_all(fixture), 1);
    expect_state(partition, 2, 6, IDS(2));
    assert_true(partition->is_recovering);
    controller_decision_forget_unclean(&fixture->controller);
    assert_int_equal(partition->topic->unclean, CONTROLLER_UNCLEAN_UNKNOWN);
    assert_int_equal(write_all(fixture), 0);
}

static void a_clean_topic_has_no_leader_until_somebody_wants_one(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 3);
    struct controller_partition *partition = add_topic(fixture, IDS(1, 2, 3));
    partition->topic->unclean = CONTROLLER_CLEAN;
    set_state(fixture, partition, 1, 5, IDS(1));
    remove_broker(fixture, 1);
    assert_int_equal(write_all(fixture), 1);
    expect_state(partition, control_leader_none, 6, IDS(1));
    assert_false(partition->is_recovering);
    partition->wants |= CONTROLLER_WANT_UNCLEAN;
    controller_decision_consider(&fixture->controller, partition);
    assert_int_equal(write_all(fixture), 1);
    expect_state(partition, 2, 7, IDS(2));
    assert_true(partition->is_recovering);
    assert_int_equal(partition->wants, 0);
}

static void the_preferred_replica_leads_again_if_it_is_in_sync(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 2);
    struct controller_partition *partition = add_topic(fixture, IDS(1, 2));
    set_state(fixture, partition, 2, 4, IDS(2));
    partition->wants |= CONTROLLER_WANT_PREFERRED;
    assert_int_equal(write_all(fixture), 0);
    assert_int_equal(partition->wants, 0);
    set_state(fixture, partition, 2, 4, IDS(2, 1));
    partition->wants |= CONTROLLER_WANT_PREFERRED;
    assert_int_equal(write_all(fixture), 1);
    expect_state(partition, 1, 5, IDS(2, 1));
    assert_int_equal(partition->wants, 0);
}

static void a_broker_that_shuts_down_gives_away_what_it_leads(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 3);
    struct controller_partition *led = set_topic(
        fixture, "led", (struct fixture_assignment){.ids = (int32_t[]){1, 2}, .count = 2});
    struct controller_partition *followed = set_topic(
        fixture, "followed", (struct fixture_assignment){.ids = (int32_t[]){2, 1}, .count = 2});
    struct controller_partition *alone =
        set_topic(fixture, "alone", (struct fixture_assignment){.ids = (int32_t[]){1}, .count = 1});
    struct controller_partition *last = set_topic(
        fixture, "xlast", (struct fixture_assignment){.ids = (int32_t[]){1, 3}, .count = 2});
    write_all(fixture);
    set_state(fixture, last, 1, 0, IDS(1));
    write_all(fixture);
    controller_decision_shut_down(&fixture->controller, broker_of(fixture, 1));
    assert_int_equal(write_all(fixture), 2);
    expect_state(led, 2, 1, IDS(2));
    expect_state(followed, 2, 1, IDS(2));
    expect_state(alone, 1, 0, IDS(1));
    expect_state(last, 1, 0, IDS(1));
    assert_int_equal(led->left_by, 1);
    assert_int_equal(led->stop_count, 0);
    assert_int_equal(followed->stop_count, 1);
    assert_false(followed->stops[0].deletes);
    /* When the other comes into sync, it takes over. */
    set_state(fixture, last, 1, 0, IDS(1, 3));
    write_all(fixture);
    expect_state(last, 3, 1, IDS(3));
    /* It goes: nothing more to do but for the partition that has no other replica. */
    remove_broker(fixture, 1);
    assert_int_equal(write_all(fixture), 1);
    expect_state(alone, control_leader_none, 1, IDS(1));
    assert_int_equal(led->left_by, control_leader_none);
    assert_int_equal(followed->stop_count, 0);
}

static void a_broker_that_shuts_down_leads_nothing_new(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 2);
    controller_decision_shut_down(&fixture->controller, broker_of(fixture, 1));
    const struct controller_partition *partition = add_topic(fixture, IDS(1, 2));
    write_all(fixture);
    expect_state(partition, 2, 0, IDS(2));
}

static void a_reassignment_goes_in_two_steps(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 4);
    struct controller_partition *partition = add_topic(fixture, IDS(1, 2));
    write_all(fixture);
    set_topic(fixture, "t",
              (struct fixture_assignment){.ids = (int32_t[]){3, 4, 1, 2},
                                          .count = 4,
                                          .adding = (int32_t[]){3, 4},
                                          .adding_count = 2,
                                          .removing = (int32_t[]){1, 2},
                                          .removing_count = 2});
    assert_int_equal(partition->move, CONTROLLER_MOVING);
    assert_int_equal(fixture->controller.moving_count, 1);
    assert_int_equal(write_all(fixture), 1);
    expect_state(partition, 1, 1, IDS(1, 2));
    set_state(fixture, partition, 1, 1, IDS(1, 2, 3));
    assert_int_equal(write_all(fixture), 0);
    set_state(fixture, partition, 1, 1, IDS(1, 2, 3, 4));
    assert_int_equal(write_all(fixture), 1);
    /* One epoch for the new leader, one for each replica that leaves the ISR. */
    expect_state(partition, 3, 4, IDS(3, 4));
    assert_int_equal(partition->move, CONTROLLER_MOVED);
    assert_true(partition->topic->has_moved);
    assert_int_equal(partition->stop_count, 2);
    assert_true(partition->stops[0].deletes);
    set_topic(fixture, "t", (struct fixture_assignment){.ids = (int32_t[]){3, 4}, .count = 2});
    assert_int_equal(write_all(fixture), 0);
    assert_int_equal(partition->move, CONTROLLER_STAYS);
    assert_int_equal(fixture->controller.moving_count, 0);
    expect_state(partition, 3, 4, IDS(3, 4));
    assert_int_equal(partition->stop_count, 2);
}

static void a_reassignment_waits_for_a_live_leader(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 2);
    struct controller_partition *partition = add_topic(fixture, IDS(1));
    write_all(fixture);
    set_topic(fixture, "t",
              (struct fixture_assignment){.ids = (int32_t[]){2, 1},
                                          .count = 2,
                                          .adding = (int32_t[]){2},
                                          .adding_count = 1,
                                          .removing = (int32_t[]){1},
                                          .removing_count = 1});
    write_all(fixture);
    remove_broker(fixture, 2);
    set_state(fixture, partition, 1, 1, IDS(1, 2));
    write_all(fixture);
    expect_state(partition, 1, 2, IDS(1)); /* Out of the ISR again. */
    assert_int_equal(partition->move, CONTROLLER_MOVING);
    add_broker(fixture, 2, 1);
    set_state(fixture, partition, 1, 2, IDS(1, 2));
    write_all(fixture);
    expect_state(partition, 2, 4, IDS(2));
}

static void a_new_controller_takes_a_reassignment_up(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 3);
    struct controller_partition *partition =
        set_topic(fixture, "t",
                  (struct fixture_assignment){.ids = (int32_t[]){3, 1},
                                              .count = 2,
                                              .adding = (int32_t[]){3},
                                              .adding_count = 1,
                                              .removing = (int32_t[]){1},
                                              .removing_count = 1});
    set_state(fixture, partition, 1, 5, IDS(1, 3)); /* The last one died before it could go on. */
    assert_int_equal(write_all(fixture), 1);
    expect_state(partition, 3, 7, IDS(3));
    assert_int_equal(partition->move, CONTROLLER_MOVED);
}

static void a_cancelled_reassignment_removes_what_was_added(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 3);
    struct controller_partition *partition = add_topic(fixture, IDS(1, 2));
    write_all(fixture);
    set_topic(fixture, "t",
              (struct fixture_assignment){.ids = (int32_t[]){3, 1, 2},
                                          .count = 3,
                                          .adding = (int32_t[]){3},
                                          .adding_count = 1,
                                          .removing = (int32_t[]){1, 2},
                                          .removing_count = 2});
    write_all(fixture);
    add_topic(fixture, IDS(1, 2));
    assert_int_equal(write_all(fixture), 1);
    expect_state(partition, 1, 2, IDS(1, 2));
    assert_int_equal(partition->move, CONTROLLER_STAYS);
    assert_int_equal(partition->stop_count, 1);
    assert_int_equal(partition->stops[0].broker_id, 3);
    /* Wanted again before it has been stopped. */
    set_topic(
        fixture, "t",
        (struct fixture_assignment){
            .ids = (int32_t[]){3, 1, 2}, .count = 3, .adding = (int32_t[]){3}, .adding_count = 1});
    assert_int_equal(partition->stop_count, 0);
}

/* Whoever follows topics knows nothing of one that is not told to him. */
static void without_memory_there_is_no_new_topic(void **state)
{
    struct controller_fixture *fixture = *state;
    struct znode_replicas partitions[] = {{2, (int32_t[]){1, 2}}, {2, (int32_t[]){2, 1}}};
    struct znode_replicas none[2] = {{0}};
    const struct znode_topic znode = {.id = {{9}},
                                      .partition_count = 2,
                                      .partitions = partitions,
                                      .adding = none,
                                      .removing = none};
    struct controller_topic *topic;
    uint32_t refused_count = 0;
    add_brokers(fixture, 2);
    const uint64_t limit_bytes = fixture->heap.limit_bytes;
    const uint64_t used_with_brokers = fixture->heap.used_bytes;
    for (uint64_t room = 0;; room += 16) {
        fixture->heap.limit_bytes = used_with_brokers + room;
        if (controller_set_topic(&fixture->controller, SLICE_LITERAL("t"), &znode, 0, &topic) ==
            ERR_OK)
            break;
        refused_count++;
        assert_null(controller_find_topic(&fixture->controller, SLICE_LITERAL("t")));
        assert_int_equal(fixture->heap.used_bytes, used_with_brokers);
    }
    fixture->heap.limit_bytes = limit_bytes;
    assert_true(refused_count > 10);
    assert_int_equal(write_all(fixture), 2);
}

static void a_topic_grows(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 1);
    add_topic(fixture, IDS(1));
    write_all(fixture);
    struct znode_replicas partitions[] = {{1, (int32_t[]){1}}, {1, (int32_t[]){1}}};
    struct znode_replicas none[] = {{0, NULL}, {0, NULL}};
    const struct znode_topic znode = {
        .partition_count = 2, .partitions = partitions, .adding = none, .removing = none};
    struct controller_topic *topic;
    assert_int_equal(
        controller_set_topic(&fixture->controller, SLICE_LITERAL("t"), &znode, 1, &topic), ERR_OK);
    assert_int_equal(topic->partition_count, 2);
    assert_int_equal(write_all(fixture), 1);
    expect_state(topic->partitions[1], 1, 0, IDS(1));
    assert_ptr_equal(controller_find_topic_by_id(&fixture->controller, znode.id), topic);
}

static void a_broker_leads_again_when_too_many_others_do_for_it(void **state)
{
    struct controller_fixture *fixture = *state;
    struct controller_partition *partitions[10];
    add_brokers(fixture, 2);
    for (int index = 0; index < 10; index++)
        partitions[index] =
            set_topic(fixture, (char[]){(char)('a' + index), '\0'},
                      (struct fixture_assignment){.ids = (int32_t[]){1, 2}, .count = 2});
    write_all(fixture);
    set_state(fixture, partitions[0], 2, 1, IDS(1, 2));
    controller_decision_rebalance(&fixture->controller, 10);
    assert_int_equal(write_all(fixture), 0);
    set_state(fixture, partitions[1], 2, 1, IDS(1, 2));
    set_state(fixture, partitions[2], 2, 1, IDS(2)); /* Not in sync. */
    controller_decision_rebalance(&fixture->controller, 10);
    assert_int_equal(write_all(fixture), 2);
    expect_state(partitions[0], 1, 2, IDS(1, 2));
    expect_state(partitions[2], 2, 1, IDS(2));
}

static void a_write_that_failed_is_decided_again(void **state)
{
    struct controller_fixture *fixture = *state;
    struct controller *controller = &fixture->controller;
    struct controller_write write;
    add_brokers(fixture, 1);
    struct controller_partition *partition = add_topic(fixture, IDS(1));
    controller_decision_update(controller);
    assert_true(controller_decision_next(controller, &write));
    assert_false(controller_decision_is_settled(partition));
    controller_decision_update(controller);
    assert_false(controller_decision_next(controller, &write));
    controller_decision_not_written(controller, partition);
    assert_int_equal(write_all(fixture), 1);
    assert_true(controller_decision_is_settled(partition));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_partition_is_led_by_its_first_live_replica),
        TEST(nothing_happens_while_no_replica_lives),
        TEST(a_dead_leader_is_replaced_by_the_first_in_the_isr),
        TEST(a_dead_leader_is_replaced_from_the_isr_only),
        TEST(an_isr_that_dies_as_a_whole_is_kept),
        TEST(a_leader_that_was_away_between_two_controllers_leads_in_another_epoch),
        TEST(a_leader_that_comes_back_before_another_is_found_leads_in_another_epoch),
        TEST(each_dead_follower_leaves_the_isr_with_an_epoch),
        TEST(an_unclean_leader_waits_for_the_topics_word),
        TEST(a_leader_that_registers_while_the_cluster_is_read_leads_in_another_epoch),
        TEST(a_clean_topic_has_no_leader_until_somebody_wants_one),
        TEST(the_preferred_replica_leads_again_if_it_is_in_sync),
        TEST(a_broker_that_shuts_down_gives_away_what_it_leads),
        TEST(a_broker_that_shuts_down_leads_nothing_new),
        TEST(a_reassignment_goes_in_two_steps),
        TEST(a_reassignment_waits_for_a_live_leader),
        TEST(a_new_controller_takes_a_reassignment_up),
        TEST(a_cancelled_reassignment_removes_what_was_added),
        TEST(without_memory_there_is_no_new_topic),
        TEST(a_topic_grows),
        TEST(a_broker_leads_again_when_too_many_others_do_for_it),
        TEST(a_write_that_failed_is_decided_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
