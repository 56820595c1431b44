/* A controller in memory with brokers and topics, for the tests of its parts. */
#ifndef TEST_CONTROLLER_FIXTURE_H
#define TEST_CONTROLLER_FIXTURE_H

#include "broker/controller_decision.h"
#include "broker/controller_outbox.h"
#include "test/unit_test.h"

enum { fixture_epoch = 7 };

struct controller_fixture {
    struct heap heap;
    struct controller controller;
};

#define IDS(...) ((int32_t[]){__VA_ARGS__}), (sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

static const struct broker_endpoint fixture_endpoint = {
    SLICE_LITERAL("PLAINTEXT"), SLICE_LITERAL("host"), 9092, CONTROL_PLAINTEXT};

static inline int controller_fixture_setup(void **state)
{
    static struct controller_fixture fixture;
    heap_init(&fixture.heap, (struct heap_options){.limit_bytes = 64 << 20, .tracked = true});
    *state = &fixture;
    return (int)controller_init(
        &fixture.controller, &fixture.heap,
        (struct controller_options){.broker_id = 1, .epoch = fixture_epoch});
}

static inline int controller_fixture_teardown(void **state)
{
    struct controller_fixture *fixture = *state;
    controller_deinit(&fixture->controller);
    const bool leaks = fixture->heap.block_count != 0;
    heap_deinit(&fixture->heap);
    return leaks ? -1 : 0;
}

/* Its epoch is ten times its id, and more with each life. */
static inline struct controller_broker *add_broker(struct controller_fixture *fixture, int32_t id,
                                                   int64_t life)
{
    struct controller_broker *broker;
    const struct broker_record record = {
        .id = id, .epoch = id * 10 + life, .endpoint_count = 1, .endpoints = &fixture_endpoint};
    assert_int_equal(controller_set_broker(&fixture->controller, &record, &broker), ERR_OK);
    return broker;
}

static inline void add_brokers(struct controller_fixture *fixture, int32_t count)
{
    for (int32_t id = 1; id <= count; id++)
        add_broker(fixture, id, 0);
}

static inline struct controller_broker *broker_of(struct controller_fixture *fixture, int32_t id)
{
    return controller_find_broker(&fixture->controller, id);
}

static inline void remove_broker(struct controller_fixture *fixture, int32_t id)
{
    controller_remove_broker(&fixture->controller, broker_of(fixture, id));
}

struct fixture_assignment {
    int32_t *ids;
    size_t count;
    int32_t *adding;
    size_t adding_count;
    int32_t *removing;
    size_t removing_count;
};

/* A topic of one partition. */
static inline struct controller_partition *set_topic(struct controller_fixture *fixture,
                                                     const char *name,
                                                     struct fixture_assignment assignment)
{
    struct znode_replicas partitions[] = {{(uint32_t)assignment.count, assignment.ids}};
    struct znode_replicas adding[] = {{(uint32_t)assignment.adding_count, assignment.adding}};
    struct znode_replicas removing[] = {{(uint32_t)assignment.removing_count, assignment.removing}};
    const struct znode_topic znode = {.id = {{(uint8_t)name[0], 9}},
                                      .partition_count = 1,
                                      .partitions = partitions,
                                      .adding = adding,
                                      .removing = removing};
    struct controller_topic *topic;
    assert_int_equal(
        controller_set_topic(&fixture->controller, slice_from_text(name), &znode, 0, &topic),
        ERR_OK);
    return topic->partitions[0];
}

static inline struct controller_partition *add_topic(struct controller_fixture *fixture,
                                                     int32_t *ids, size_t count)
{
    return set_topic(fixture, "t", (struct fixture_assignment){.ids = ids, .count = count});
}

static inline void set_state(struct controller_fixture *fixture,
                             struct controller_partition *partition, int32_t leader,
                             int32_t leader_epoch, int32_t *isr, size_t isr_count)
{
    const struct partition_state state = {
        .leader = leader,
        .leader_epoch = leader_epoch,
        .controller_epoch = 1,
        .partition_epoch = partition->partition_epoch + 3,
        .isr = isr,
        .isr_count = (uint32_t)isr_count,
    };
    assert_int_equal(controller_set_state(&fixture->controller, partition, &state), ERR_OK);
}

/* Everything that is to be written is, as it would be by a keeper; how many writes it took. */
static inline uint32_t write_all(struct controller_fixture *fixture)
{
    struct controller *controller = &fixture->controller;
    struct controller_write write;
    uint32_t count = 0;
    controller_decision_update(controller);
    while (controller_decision_next(controller, &write)) {
        controller_decision_written(controller, &write, write.state.partition_epoch + 1);
        controller_decision_update(controller);
        assert_true(count++ < 1000000);
    }
    return count;
}

static inline void expect_isr(const struct controller_partition *partition, const int32_t *isr,
                              size_t count)
{
    assert_int_equal(partition->isr_count, count);
    for (size_t index = 0; index < count; index++)
        assert_int_equal(partition->isr[index], isr[index]);
}

static inline void expect_state(const struct controller_partition *partition, int32_t leader,
                                int32_t leader_epoch, const int32_t *isr, size_t count)
{
    assert_int_equal(partition->leader, leader);
    assert_int_equal(partition->leader_epoch, leader_epoch);
    expect_isr(partition, isr, count);
}

/* The next message for a broker, which is to be of this kind; for the caller to give back. */
static inline struct controller_envelope *take(struct controller_fixture *fixture, int32_t id,
                                               enum control_message_kind kind)
{
    struct controller_envelope *envelope;
    assert_false(controller_outbox_is_empty(&fixture->controller, broker_of(fixture, id)));
    assert_int_equal(
        controller_outbox_next(&fixture->controller, broker_of(fixture, id), &envelope), ERR_OK);
    assert_non_null(envelope);
    assert_int_equal(envelope->message.kind, kind);
    assert_int_equal(envelope->message.controller_epoch, fixture_epoch);
    assert_int_equal(envelope->message.broker_epoch, broker_of(fixture, id)->record.epoch);
    return envelope;
}

static inline void answer(struct controller_fixture *fixture, struct controller_envelope *envelope,
                          const int16_t *errors)
{
    struct controller *controller = &fixture->controller;
    struct controller_broker *broker = broker_of(fixture, envelope->broker_id);
    controller_outbox_answered(broker, envelope);
    for (uint32_t index = 0; index < envelope->message.partition_count; index++) {
        const struct partition_state *state = &envelope->message.partitions[index];
        struct controller_partition *partition = controller_find_partition(
            controller_find_topic(controller, state->topic), state->index);
        controller_outbox_learn(controller, broker, envelope, partition,
                                errors == NULL ? (int16_t)0 : errors[index]);
    }
    heap_give(&fixture->heap, envelope);
}

/* The broker is told everything. */
static inline void tell(struct controller_fixture *fixture, int32_t id)
{
    struct controller_envelope *envelope;
    for (int count = 0;; count++) {
        assert_int_equal(
            controller_outbox_next(&fixture->controller, broker_of(fixture, id), &envelope),
            ERR_OK);
        if (envelope == NULL)
            break;
        answer(fixture, envelope, NULL);
        assert_true(count < 10);
    }
    assert_true(controller_outbox_is_empty(&fixture->controller, broker_of(fixture, id)));
}

#endif
