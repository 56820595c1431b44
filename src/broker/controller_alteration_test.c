#include "broker/controller_alteration.h"

#include "broker/kafka_error.h"
#include "test/controller_fixture.h"

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, controller_fixture_setup, controller_fixture_teardown)

static struct isr_member members[4];

/* As broker 1, the leader of epoch 3, may ask. */
static struct controller_alteration alteration_of(const struct controller_partition *partition,
                                                  const int32_t *isr, size_t count)
{
    for (size_t index = 0; index < count; index++)
        members[index] = (struct isr_member){isr[index], -1};
    return (struct controller_alteration){
        .broker_id = 1,
        .leader_epoch = 3,
        .partition_epoch = partition->partition_epoch,
        .version = 3,
        .isr = members,
        .isr_count = (uint32_t)count,
    };
}

static struct controller_partition *begin(struct controller_fixture *fixture)
{
    add_brokers(fixture, 3);
    struct controller_partition *partition = add_topic(fixture, IDS(1, 2, 3));
    set_state(fixture, partition, 1, 3, IDS(1, 2));
    assert_int_equal(write_all(fixture), 0);
    return partition;
}

static void expect(struct controller_fixture *fixture, struct controller_partition *partition,
                   struct controller_alteration alteration, int16_t code)
{
    struct controller_write write;
    assert_int_equal(
        controller_alteration_check(&fixture->controller, partition, &alteration, &write), code);
    assert_null(write.partition);
}

static void an_isr_is_changed_within_the_leader_epoch(void **state)
{
    struct controller_fixture *fixture = *state;
    struct controller_partition *partition = begin(fixture);
    struct controller_write write;
    const struct controller_alteration alteration = alteration_of(partition, IDS(1, 2, 3));
    assert_int_equal(
        controller_alteration_check(&fixture->controller, partition, &alteration, &write),
        KAFKA_NONE);
    assert_ptr_equal(write.partition, partition);
    assert_int_equal(write.state.partition_epoch, partition->partition_epoch);
    controller_decision_written(&fixture->controller, &write, write.state.partition_epoch + 1);
    expect_state(partition, 1, 3, IDS(1, 2, 3));
    assert_int_equal(partition->controller_epoch, fixture_epoch);
}

static void what_is_so_already_is_fine_whatever_the_version(void **state)
{
    struct controller_fixture *fixture = *state;
    struct controller_partition *partition = begin(fixture);
    struct controller_alteration alteration = alteration_of(partition, IDS(1, 2));
    alteration.partition_epoch--;
    expect(fixture, partition, alteration, KAFKA_NONE);
    alteration.partition_epoch = partition->partition_epoch;
    expect(fixture, partition, alteration, KAFKA_NONE);
}

static void old_news_and_future_ones_are_refused(void **state)
{
    struct controller_fixture *fixture = *state;
    struct controller_partition *partition = begin(fixture);
    struct controller_alteration alteration = alteration_of(partition, IDS(1));
    alteration.leader_epoch = 2;
    expect(fixture, partition, alteration, KAFKA_FENCED_LEADER_EPOCH);
    alteration.leader_epoch = 4;
    expect(fixture, partition, alteration, KAFKA_NOT_CONTROLLER);
    alteration.leader_epoch = 3;
    alteration.partition_epoch--;
    expect(fixture, partition, alteration, KAFKA_INVALID_UPDATE_VERSION);
}

static void only_replicas_that_live_come_into_an_isr(void **state)
{
    struct controller_fixture *fixture = *state;
    struct controller_partition *partition = begin(fixture);
    expect(fixture, partition, alteration_of(partition, IDS(1, 4)), KAFKA_INVALID_REQUEST);
    expect(fixture, partition, alteration_of(partition, IDS(1, 3, 3)), KAFKA_INVALID_REQUEST);
    remove_broker(fixture, 3);
    struct controller_alteration alteration = alteration_of(partition, IDS(1, 2, 3));
    expect(fixture, partition, alteration, KAFKA_INELIGIBLE_REPLICA);
    alteration.version = 1;
    expect(fixture, partition, alteration, KAFKA_OPERATION_NOT_ATTEMPTED);
    add_broker(fixture, 3, 5);
    alteration.version = 3;
    members[2].broker_epoch = 30; /* Of its former life. */
    expect(fixture, partition, alteration, KAFKA_INELIGIBLE_REPLICA);
    controller_decision_shut_down(&fixture->controller, broker_of(fixture, 3));
    members[2].broker_epoch = 35;
    expect(fixture, partition, alteration, KAFKA_INELIGIBLE_REPLICA);
}

static void who_does_not_lead_may_not_ask(void **state)
{
    struct controller_fixture *fixture = *state;
    struct controller_partition *partition = begin(fixture);
    struct controller_alteration alteration = alteration_of(partition, IDS(1));
    alteration.broker_id = 2;
    expect(fixture, partition, alteration, KAFKA_INVALID_REQUEST);
    alteration = alteration_of(partition, IDS(1));
    alteration.isr_count = 0;
    expect(fixture, partition, alteration, KAFKA_INVALID_REQUEST);
}

static void recovery_ends_and_does_not_begin(void **state)
{
    struct controller_fixture *fixture = *state;
    struct controller_partition *partition = begin(fixture);
    struct controller_alteration alteration = alteration_of(partition, IDS(1));
    alteration.recovery_state = 1;
    expect(fixture, partition, alteration, KAFKA_INVALID_REQUEST);
    partition->is_recovering = true;
    alteration = alteration_of(partition, IDS(1, 2, 3));
    alteration.recovery_state = 1;
    expect(fixture, partition, alteration, KAFKA_INVALID_REQUEST);
    struct controller_write write;
    alteration = alteration_of(partition, IDS(1, 2));
    assert_int_equal(
        controller_alteration_check(&fixture->controller, partition, &alteration, &write),
        KAFKA_NONE);
    assert_false(write.state.is_recovering);
    controller_decision_written(&fixture->controller, &write, 9);
    assert_false(partition->is_recovering);
}

static void a_broker_is_known_by_its_epoch(void **state)
{
    struct controller_fixture *fixture = *state;
    add_brokers(fixture, 1);
    assert_int_equal(controller_alteration_check_broker(&fixture->controller, 1, 10), KAFKA_NONE);
    assert_int_equal(controller_alteration_check_broker(&fixture->controller, 1, 9),
                     KAFKA_STALE_BROKER_EPOCH);
    assert_int_equal(controller_alteration_check_broker(&fixture->controller, 2, 20),
                     KAFKA_STALE_BROKER_EPOCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_isr_is_changed_within_the_leader_epoch),
        TEST(what_is_so_already_is_fine_whatever_the_version),
        TEST(old_news_and_future_ones_are_refused),
        TEST(only_replicas_that_live_come_into_an_isr),
        TEST(who_does_not_lead_may_not_ask),
        TEST(recovery_ends_and_does_not_begin),
        TEST(a_broker_is_known_by_its_epoch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
