#include "broker/controller_reassignment.h"

#include "broker/kafka_error.h"
#include "test/controller_fixture.h"

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, controller_fixture_setup, controller_fixture_teardown)

static int16_t plan(struct controller_fixture *fixture,
                    const struct controller_partition *partition, const int32_t *ids, size_t count,
                    struct controller_assignment *assignment)
{
    char reason[controller_reassignment_reason_size];
    return controller_reassignment_plan(
        &fixture->controller, partition,
        (struct controller_target){.ids = ids, .count = (uint32_t)count}, assignment, reason);
}

static void expect_ids(const int32_t *ids, uint32_t id_count, const int32_t *wanted, size_t count)
{
    assert_int_equal(id_count, count);
    for (size_t index = 0; index < count; index++)
        assert_int_equal(ids[index], wanted[index]);
}

static void the_target_stands_before_what_goes(void **state)
{
    struct controller_fixture *fixture = *state;
    struct controller_assignment assignment;
    add_brokers(fixture, 5);
    const struct controller_partition *partition = add_topic(fixture, IDS(1, 2, 3));
    assert_int_equal(plan(fixture, partition, IDS(4, 2, 5), &assignment), KAFKA_NONE);
    expect_ids(assignment.replicas, assignment.replica_count, IDS(4, 2, 5, 1, 3));
    expect_ids(assignment.adding, assignment.adding_count, IDS(4, 5));
    expect_ids(assignment.removing, assignment.removing_count, IDS(1, 3));
}

static void another_target_starts_from_the_origin(void **state)
{
    struct controller_fixture *fixture = *state;
    struct controller_assignment assignment;
    char reason[controller_reassignment_reason_size];
    add_brokers(fixture, 5);
    struct controller_partition *partition =
        set_topic(fixture, "t",
                  (struct fixture_assignment){.ids = (int32_t[]){4, 1, 2},
                                              .count = 3,
                                              .adding = (int32_t[]){4},
                                              .adding_count = 1,
                                              .removing = (int32_t[]){1},
                                              .removing_count = 1});
    assert_true(controller_reassignment_is_under_way(partition));
    assert_int_equal(plan(fixture, partition, IDS(5, 2), &assignment), KAFKA_NONE);
    expect_ids(assignment.replicas, assignment.replica_count, IDS(5, 2, 1));
    expect_ids(assignment.adding, assignment.adding_count, IDS(5));
    expect_ids(assignment.removing, assignment.removing_count, IDS(1));
    assert_int_equal(controller_reassignment_plan(&fixture->controller, partition,
                                                  (struct controller_target){.is_cancel = true},
                                                  &assignment, reason),
                     KAFKA_NONE);
    expect_ids(assignment.replicas, assignment.replica_count, IDS(1, 2));
    assert_int_equal(assignment.adding_count + assignment.removing_count, 0);
}

static void what_makes_no_sense_is_refused(void **state)
{
    struct controller_fixture *fixture = *state;
    struct controller_assignment assignment;
    char reason[controller_reassignment_reason_size];
    add_brokers(fixture, 3);
    const struct controller_partition *partition = add_topic(fixture, IDS(1, 2, 9));
    assert_int_equal(plan(fixture, partition, NULL, 0, &assignment),
                     KAFKA_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(plan(fixture, partition, IDS(1, 1), &assignment),
                     KAFKA_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(plan(fixture, partition, IDS(1, -2), &assignment),
                     KAFKA_INVALID_REPLICA_ASSIGNMENT);
    assert_int_equal(plan(fixture, partition, IDS(1, 8), &assignment),
                     KAFKA_INVALID_REPLICA_ASSIGNMENT);
    /* A dead one that is a replica already may stay. */
    assert_int_equal(plan(fixture, partition, IDS(9, 1), &assignment), KAFKA_NONE);
    assert_int_equal(controller_reassignment_plan(&fixture->controller, partition,
                                                  (struct controller_target){.is_cancel = true},
                                                  &assignment, reason),
                     KAFKA_NO_REASSIGNMENT_IN_PROGRESS);
}

static void a_finished_one_is_written_without_what_went(void **state)
{
    struct controller_fixture *fixture = *state;
    struct controller_assignment assignment;
    add_brokers(fixture, 2);
    struct controller_partition *partition =
        set_topic(fixture, "t",
                  (struct fixture_assignment){.ids = (int32_t[]){2, 1},
                                              .count = 2,
                                              .adding = (int32_t[]){2},
                                              .adding_count = 1,
                                              .removing = (int32_t[]){1},
                                              .removing_count = 1});
    controller_reassignment_now(partition, &assignment);
    expect_ids(assignment.replicas, assignment.replica_count, IDS(2, 1));
    expect_ids(assignment.removing, assignment.removing_count, IDS(1));
    set_state(fixture, partition, 1, 0, IDS(1, 2));
    write_all(fixture);
    controller_reassignment_now(partition, &assignment);
    expect_ids(assignment.replicas, assignment.replica_count, IDS(2));
    assert_int_equal(assignment.adding_count + assignment.removing_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_target_stands_before_what_goes),
        TEST(another_target_starts_from_the_origin),
        TEST(what_makes_no_sense_is_refused),
        TEST(a_finished_one_is_written_without_what_went),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
