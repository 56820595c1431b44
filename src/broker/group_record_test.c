#include "broker/group_record.h"

#include "broker/group_member.h"
#include "test/unit_test.h"

static struct heap heap;
static struct group_coordinator coordinator;
static uint8_t memory[4096] __attribute__((aligned(16)));

static int set_up(void **state)
{
    (void)state;
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20, .tracked = true});
    return group_coordinator_init(&coordinator, &heap, (struct group_coordinator_options){0},
                                  (struct group_effects){0}) == ERR_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    group_coordinator_deinit(&coordinator);
    assert_int_equal(heap.block_count, 0);
    heap_deinit(&heap);
    return 0;
}

static struct group *make_group(void)
{
    const struct group_member_spec spec = {.id = SLICE_LITERAL("m-1"),
                                           .instance_id = SLICE_NULL,
                                           .client_id = SLICE_LITERAL("c"),
                                           .client_host = SLICE_LITERAL("/h"),
                                           .session_timeout_ms = 10,
                                           .rebalance_timeout_ms = 20};
    const struct group_protocol protocol = {SLICE_LITERAL("range"), SLICE_LITERAL("sub")};
    struct group *group =
        group_coordinator_take(&coordinator, SLICE_LITERAL("g"), (struct group_now){.wall_ms = 99});
    struct group_member *member = group_member_add(&coordinator, group, &spec, &protocol, 1);
    assert_true(group_text_set(&heap, &group->protocol, SLICE_LITERAL("range")));
    assert_true(group_text_set(&heap, &group->protocol_type, SLICE_LITERAL("consumer")));
    assert_true(group_member_set_assignment(&coordinator, member, SLICE_LITERAL("part")));
    group->generation = 4;
    return group;
}

static void test_what_is_written_can_be_read(void **state)
{
    struct group_batch batch;
    struct group_offset_value value = {.offset = 42,
                                       .commit_at_ms = 7,
                                       .expire_at_ms = -1,
                                       .leader_epoch = 3,
                                       .metadata = SLICE_LITERAL("note")};
    (void)state;
    group_batch_init(&batch, &heap, 1000);
    group_batch_add_offset(&batch, SLICE_LITERAL("g"), SLICE_LITERAL("t"), 5, &value);
    value.expire_at_ms = 77;
    group_batch_add_offset(&batch, SLICE_LITERAL("g"), SLICE_LITERAL("t"), 6, &value);
    group_batch_add_offset(&batch, SLICE_LITERAL("g"), SLICE_LITERAL("t"), 7, NULL);
    group_batch_add_group(&batch, make_group());
    group_batch_add_group_tombstone(&batch, SLICE_LITERAL("g"));
    const struct slice bytes = group_batch_finish(&batch);
    assert_false(slice_is_null(bytes));

    struct record_batch header;
    struct record_walk walk;
    struct record record;
    enum err err;
    assert_int_equal(record_batch_decode(&header, bytes), ERR_OK);
    assert_true(record_batch_crc_matches(&header, bytes));
    assert_int_equal(header.record_count, 5);
    record_walk_init(&walk, &header, bytes);
    struct group_record_decoded decoded[5];
    struct arena arena;
    arena_init(&arena, memory, sizeof memory);
    for (int i = 0; i < 5; i++) {
        assert_true(record_walk_next(&walk, &record, &err));
        assert_int_equal(group_record_decode(&decoded[i], record.key, record.value, &arena),
                         ERR_OK);
        assert_true(slice_equal_text(decoded[i].group_id, "g"));
    }
    assert_int_equal(decoded[0].kind, GROUP_RECORD_OFFSET);
    assert_int_equal(decoded[0].partition, 5);
    assert_int_equal(decoded[0].offset.offset, 42);
    assert_int_equal(decoded[0].offset.leader_epoch, 3);
    assert_int_equal(decoded[0].offset.expire_at_ms, -1);
    assert_true(slice_equal_text(decoded[0].offset.metadata, "note"));
    assert_int_equal(decoded[1].offset.expire_at_ms, 77);
    assert_int_equal(decoded[1].offset.leader_epoch, -1);
    assert_true(decoded[2].is_tombstone);
    assert_int_equal(decoded[3].kind, GROUP_RECORD_GROUP);
    assert_int_equal(decoded[3].group.generation, 4);
    assert_int_equal(decoded[3].group.changed_at_ms, 99);
    assert_int_equal(decoded[3].group.member_count, 1);
    assert_true(slice_equal_text(decoded[3].group.leader_id, "m-1"));
    assert_true(slice_equal_text(decoded[3].group.members[0].subscription, "sub"));
    assert_true(slice_equal_text(decoded[3].group.members[0].assignment, "part"));
    assert_true(decoded[4].is_tombstone);
    group_batch_deinit(&batch);
}

static void test_strange_keys_are_left_alone(void **state)
{
    struct group_record_decoded decoded;
    struct arena arena;
    (void)state;
    arena_init(&arena, memory, sizeof memory);
    assert_int_equal(
        group_record_decode(&decoded, SLICE_LITERAL("\0\3xyz"), SLICE_LITERAL("v"), &arena),
        ERR_OK);
    assert_int_equal(decoded.kind, GROUP_RECORD_FOREIGN);
    assert_int_equal(group_record_decode(&decoded, SLICE_LITERAL("\0"), SLICE_NULL, &arena),
                     ERR_TRUNCATED);
    assert_int_not_equal(
        group_record_decode(&decoded, SLICE_LITERAL("\0\1\0\177a"), SLICE_NULL, &arena), ERR_OK);
    assert_int_not_equal(
        group_record_decode(&decoded, SLICE_LITERAL("\0\2\0\1g"), SLICE_LITERAL("\0\11"), &arena),
        ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_written_can_be_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_strange_keys_are_left_alone, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
