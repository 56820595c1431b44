#include "broker/group_coordinator.h"

#include "base/prng.h"
#include "broker/group_offsets.h"
#include "test/unit_test.h"

enum { ticket_count = 16 };

/* What came out for one ticket. */
struct ticket {
    int answer_count;
    enum error_code code;
    int32_t generation;
    bool leads;
    bool skips;
    char member_id[128];
    char leader_id[128];
    char assignment[32];
};

static struct heap heap;
static struct group_coordinator coordinator;
static struct ticket tickets[ticket_count];
static struct group *stored_group;
static uint32_t stored_number;
static int store_count;
static struct group_now now;
static uint8_t entropy[16];

static void keep_text(char *to, size_t capacity, struct slice from)
{
    assert_true(from.size < capacity);
    if (from.size > 0)
        memcpy(to, from.data, from.size);
    to[from.size] = '\0';
}

static void keep_join(struct ticket *ticket, const struct group_joined *joined)
{
    ticket->answer_count++;
    ticket->code = joined->code;
    ticket->generation = joined->generation;
    ticket->leads = joined->lists_members;
    ticket->skips = joined->skip_assignment;
    keep_text(ticket->member_id, sizeof ticket->member_id, joined->member_id);
    keep_text(ticket->leader_id, sizeof ticket->leader_id, joined->leader_id);
}

static void on_join(void *context, void *ticket, const struct group_joined *joined)
{
    (void)context;
    keep_join(ticket, joined);
}

static void on_sync(void *context, void *ticket, const struct group_synced *synced)
{
    struct ticket *kept = ticket;
    (void)context;
    kept->answer_count++;
    kept->code = synced->code;
    keep_text(kept->assignment, sizeof kept->assignment, synced->assignment);
}

static void on_store(void *context, struct group *group, uint32_t number)
{
    (void)context;
    stored_group = group;
    stored_number = number;
    store_count++;
}

static int set_up(void **state)
{
    const struct group_coordinator_options options = {.session_timeout_ms_min = 1000,
                                                      .session_timeout_ms_max = 60000,
                                                      .initial_rebalance_delay_ms = 100,
                                                      .member_count_max = 3,
                                                      .hash_seed = 9};
    const struct group_effects effects = {
        .join_done = on_join, .sync_done = on_sync, .store = on_store};
    (void)state;
    now = (struct group_now){.ms = 1000, .wall_ms = 5000000};
    memset(tickets, 0, sizeof tickets);
    store_count = 0;
    stored_group = NULL;
    heap_init(&heap, (struct heap_options){.limit_bytes = 1 << 20, .tracked = true});
    return group_coordinator_init(&coordinator, &heap, options, effects) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    group_coordinator_deinit(&coordinator);
    assert_int_equal(heap.block_count, 0);
    heap_deinit(&heap);
    return 0;
}

static void pass(uint64_t ms)
{
    now.ms += ms;
    now.wall_ms += (int64_t)ms;
    group_coordinator_tick(&coordinator, now);
}

struct joiner {
    const char *member_id;
    const char *instance_id;
    const char *metadata;
    bool id_required;
    bool skips;
};

static void join(int ticket, struct joiner joiner)
{
    const struct group_protocol protocols[] = {
        {SLICE_LITERAL("range"), slice_from_text(joiner.metadata ? joiner.metadata : "m")},
        {SLICE_LITERAL("sticky"), SLICE_LITERAL("")}};
    const struct group_join request = {
        .group_id = SLICE_LITERAL("g"),
        .member_id = slice_from_text(joiner.member_id ? joiner.member_id : ""),
        .instance_id = joiner.instance_id ? slice_from_text(joiner.instance_id) : SLICE_NULL,
        .client_id = SLICE_LITERAL("client"),
        .client_host = SLICE_LITERAL("/127.0.0.1"),
        .protocol_type = SLICE_LITERAL("consumer"),
        .protocols = protocols,
        .protocol_count = 2,
        .session_timeout_ms = 10000,
        .rebalance_timeout_ms = 5000,
        .id_required = joiner.id_required,
        .skips_assignment = joiner.skips,
        .entropy = entropy,
        .ticket = &tickets[ticket]};
    struct group_joined joined;
    entropy[0]++;
    tickets[ticket] = (struct ticket){0};
    if (group_coordinator_join(&coordinator, &request, now, &joined))
        keep_join(&tickets[ticket], &joined);
}

static struct group_caller caller(const char *member_id, int32_t generation)
{
    return (struct group_caller){.group_id = SLICE_LITERAL("g"),
                                 .member_id = slice_from_text(member_id),
                                 .generation = generation};
}

/* The leader gives every member its own id as the assignment. */
static void sync(int ticket, const char *member_id, int32_t generation, bool leads)
{
    struct group_assignment assignments[8];
    struct group_sync request = {.caller = caller(member_id, generation),
                                 .assignments = assignments,
                                 .ticket = &tickets[ticket]};
    const struct group *group = group_coordinator_find(&coordinator, SLICE_LITERAL("g"));
    struct group_synced synced;
    if (leads)
        list_each (link, &group->members) {
            const struct slice id = CONTAINER_OF(link, struct group_member, link)->id;
            assignments[request.assignment_count++] =
                (struct group_assignment){id, slice_of(id.data, min_size(id.size, 20))};
        }
    tickets[ticket] = (struct ticket){0};
    if (group_coordinator_sync(&coordinator, &request, now, &synced))
        on_sync(NULL, &tickets[ticket], &synced);
}

static void stored(enum error_code code)
{
    group_coordinator_stored(&coordinator, stored_group, stored_number, code, now);
}

static struct group *the_group(void)
{
    return group_coordinator_find(&coordinator, SLICE_LITERAL("g"));
}

/* Two members, tickets 0 and 1, through to a stable group; returns their ids. */
static void make_stable(char first[128], char second[128])
{
    join(0, (struct joiner){0});
    join(1, (struct joiner){0});
    pass(100);
    pass(100);
    assert_int_equal(tickets[0].answer_count, 1);
    assert_int_equal(tickets[1].answer_count, 1);
    assert_int_equal(tickets[0].code, KAFKA_NONE);
    memcpy(first, tickets[0].member_id, 128);
    memcpy(second, tickets[1].member_id, 128);
    assert_true(tickets[0].leads);
    assert_false(tickets[1].leads);
    assert_string_equal(tickets[1].leader_id, first);
    sync(1, second, 1, false);
    sync(0, first, 1, true);
    assert_int_equal(tickets[0].answer_count, 0);
    stored(KAFKA_NONE);
    assert_int_equal(tickets[0].code, KAFKA_NONE);
    assert_int_equal(tickets[1].answer_count, 1);
    assert_int_equal(strncmp(tickets[1].assignment, second, 20), 0);
    assert_int_equal(the_group()->state, GROUP_STABLE);
}

static void test_two_members_share_a_group(void **state)
{
    char first[128];
    char second[128];
    (void)state;
    make_stable(first, second);
    struct group_caller both = caller(first, 1);
    assert_int_equal(group_coordinator_heartbeat(&coordinator, &both, now), KAFKA_NONE);
    both.generation = 2;
    assert_int_equal(group_coordinator_heartbeat(&coordinator, &both, now),
                     KAFKA_ILLEGAL_GENERATION);
}

static void test_a_newcomer_extends_the_first_wait(void **state)
{
    (void)state;
    join(0, (struct joiner){0});
    pass(60);
    join(1, (struct joiner){0});
    pass(60);
    assert_int_equal(tickets[0].answer_count, 0);
    pass(100);
    assert_int_equal(tickets[0].answer_count, 1);
    assert_int_equal(tickets[1].generation, 1);
}

static void test_an_id_is_given_out_first(void **state)
{
    char id[128];
    (void)state;
    join(0, (struct joiner){.id_required = true});
    assert_int_equal(tickets[0].code, KAFKA_MEMBER_ID_REQUIRED);
    memcpy(id, tickets[0].member_id, sizeof id);
    assert_int_equal(strncmp(id, "client-", 7), 0);
    assert_int_equal(the_group()->pending_count, 1);
    join(0, (struct joiner){.member_id = id, .id_required = true});
    assert_int_equal(the_group()->pending_count, 0);
    pass(200);
    assert_int_equal(tickets[0].code, KAFKA_NONE);
    assert_string_equal(tickets[0].member_id, id);
    join(1, (struct joiner){.id_required = true});
    pass(10000); /* Nobody comes with the second id. */
    assert_int_equal(the_group()->pending_count, 0);
    join(2, (struct joiner){.member_id = "never given out"});
    assert_int_equal(tickets[2].code, KAFKA_UNKNOWN_MEMBER_ID);
}

static void test_who_leaves_makes_others_join_again(void **state)
{
    char first[128];
    char second[128];
    (void)state;
    make_stable(first, second);
    struct group_caller leaver = caller(first, -1);
    assert_int_equal(group_coordinator_leave(&coordinator, &leaver, now), KAFKA_NONE);
    assert_int_equal(group_coordinator_leave(&coordinator, &leaver, now), KAFKA_UNKNOWN_MEMBER_ID);
    struct group_caller other = caller(second, 1);
    assert_int_equal(group_coordinator_heartbeat(&coordinator, &other, now),
                     KAFKA_REBALANCE_IN_PROGRESS);
    join(1, (struct joiner){.member_id = second});
    assert_int_equal(tickets[1].answer_count, 1); /* All have joined: no wait. */
    assert_int_equal(tickets[1].generation, 2);
    assert_true(tickets[1].leads);
}

static void test_the_silent_are_removed(void **state)
{
    char first[128];
    char second[128];
    (void)state;
    make_stable(first, second);
    struct group_caller other = caller(second, 1);
    pass(6000);
    assert_int_equal(group_coordinator_heartbeat(&coordinator, &other, now), KAFKA_NONE);
    pass(6000);
    assert_int_equal(the_group()->state, GROUP_PREPARING);
    assert_int_equal(the_group()->member_count, 1);
    pass(5000); /* The other does not join in time either. */
    assert_int_equal(the_group()->state, GROUP_EMPTY);
    assert_int_equal(the_group()->generation, 2);
    assert_int_equal(store_count, 2);
}

static void test_who_never_syncs_is_removed(void **state)
{
    (void)state;
    join(0, (struct joiner){0});
    join(1, (struct joiner){0});
    pass(100);
    pass(100);
    sync(2, tickets[0].member_id, 1, true);
    stored(KAFKA_NONE);
    assert_int_equal(the_group()->state, GROUP_STABLE);
    pass(5000);
    assert_int_equal(the_group()->member_count, 1);
    assert_int_equal(the_group()->state, GROUP_PREPARING);
}

static void test_a_store_of_an_old_generation_is_ignored(void **state)
{
    char first[128];
    char second[128];
    (void)state;
    make_stable(first, second);
    join(0, (struct joiner){.member_id = first});
    join(1, (struct joiner){.member_id = second});
    sync(0, first, 2, true);
    const uint32_t old = stored_number;
    join(2, (struct joiner){0}); /* A third one comes while the assignment is being stored. */
    assert_int_equal(tickets[0].code, KAFKA_REBALANCE_IN_PROGRESS);
    join(0, (struct joiner){.member_id = first});
    join(1, (struct joiner){.member_id = second});
    assert_int_equal(tickets[2].generation, 3);
    group_coordinator_stored(&coordinator, the_group(), old, KAFKA_NONE, now);
    assert_int_equal(the_group()->state, GROUP_COMPLETING);
}

static void test_a_failed_store_starts_over(void **state)
{
    (void)state;
    join(0, (struct joiner){0});
    pass(200);
    sync(1, tickets[0].member_id, 1, true);
    stored(KAFKA_NOT_COORDINATOR);
    assert_int_equal(tickets[1].code, KAFKA_NOT_COORDINATOR);
    assert_int_equal(the_group()->state, GROUP_PREPARING);
}

static void test_a_static_member_comes_back_quietly(void **state)
{
    char first[128];
    char second[128];
    (void)state;
    join(0, (struct joiner){.instance_id = "one"});
    join(1, (struct joiner){.instance_id = "two"});
    pass(100);
    pass(100);
    memcpy(first, tickets[0].member_id, sizeof first);
    memcpy(second, tickets[1].member_id, sizeof second);
    sync(0, first, 1, true);
    sync(1, second, 1, false);
    stored(KAFKA_NONE);
    join(2, (struct joiner){.instance_id = "one", .skips = true});
    assert_int_equal(tickets[2].answer_count, 0);
    stored(KAFKA_NONE);
    assert_int_equal(tickets[2].code, KAFKA_NONE);
    assert_int_equal(tickets[2].generation, 1);
    assert_true(tickets[2].skips);
    assert_string_not_equal(tickets[2].member_id, first);
    assert_int_equal(the_group()->state, GROUP_STABLE);
    struct group_caller fenced = caller(first, 1);
    fenced.instance_id = SLICE_LITERAL("one");
    assert_int_equal(group_coordinator_heartbeat(&coordinator, &fenced, now),
                     KAFKA_FENCED_INSTANCE_ID);
    join(3, (struct joiner){.instance_id = "one"}); /* An old client must not believe it leads. */
    stored(KAFKA_NONE);
    assert_false(tickets[3].leads);
    assert_string_equal(tickets[3].leader_id, tickets[2].member_id);
}

static void test_the_group_has_a_limit(void **state)
{
    char first[128];
    char second[128];
    (void)state;
    make_stable(first, second);
    join(2, (struct joiner){0});
    join(3, (struct joiner){0});
    join(4, (struct joiner){.member_id = first});
    assert_int_equal(tickets[4].answer_count, 0);
    join(5, (struct joiner){.member_id = second}); /* The last to come back of one too many. */
    assert_int_equal(tickets[5].code, KAFKA_GROUP_MAX_SIZE_REACHED);
    assert_int_equal(tickets[4].code, KAFKA_NONE);
    assert_int_equal(the_group()->member_count, 3);
}

static void test_who_may_commit(void **state)
{
    char first[128];
    char second[128];
    struct group *group;
    (void)state;
    struct group_caller simple = caller("", -1);
    assert_int_equal(group_coordinator_check_commit(&coordinator, &simple, now, &group),
                     KAFKA_NONE);
    make_stable(first, second);
    assert_int_equal(group_coordinator_check_commit(&coordinator, &simple, now, &group),
                     KAFKA_UNKNOWN_MEMBER_ID);
    struct group_caller member = caller(first, 1);
    assert_int_equal(group_coordinator_check_commit(&coordinator, &member, now, &group),
                     KAFKA_NONE);
    const struct group_offset_value value = {.offset = 5, .metadata = SLICE_LITERAL("note")};
    assert_true(group_offsets_set(&coordinator, group, SLICE_LITERAL("t"), 3, value));
    assert_true(group_offsets_set(&coordinator, group, SLICE_LITERAL("t"), 3, value));
    assert_int_equal(group->offset_count, 1);
    assert_int_equal(group_offsets_find(&coordinator, group, SLICE_LITERAL("t"), 3)->value.offset,
                     5);
    assert_null(group_offsets_find(&coordinator, group, SLICE_LITERAL("t"), 4));
}

static void test_a_loaded_group_goes_on(void **state)
{
    const struct group_member_record member = {.id = SLICE_LITERAL("m1"),
                                               .instance_id = SLICE_NULL,
                                               .client_id = SLICE_LITERAL("c"),
                                               .client_host = SLICE_LITERAL("/h"),
                                               .rebalance_timeout_ms = 5000,
                                               .session_timeout_ms = 10000,
                                               .subscription = SLICE_LITERAL("s"),
                                               .assignment = SLICE_LITERAL("a")};
    const struct group_record record = {.group_id = SLICE_LITERAL("g"),
                                        .protocol_type = SLICE_LITERAL("consumer"),
                                        .generation = 7,
                                        .protocol = SLICE_LITERAL("range"),
                                        .leader_id = SLICE_LITERAL("m1"),
                                        .members = &member,
                                        .member_count = 1};
    (void)state;
    assert_int_equal(group_coordinator_load(&coordinator, &record, now), ERR_OK);
    sync(0, "m1", 7, false);
    assert_int_equal(tickets[0].code, KAFKA_NONE);
    assert_string_equal(tickets[0].assignment, "a");
    pass(10000);
    assert_int_equal(the_group()->state, GROUP_EMPTY);
    assert_int_equal(the_group()->generation, 8);
}

/* ---- any order of events ---- */

enum { random_ticket_count = 20000, known_id_count = 8, step_count = 15000 };

static struct ticket random_tickets[random_ticket_count];
static char known_ids[known_id_count][128];

static void check_counts(void)
{
    const struct group *group = the_group();
    uint32_t members = 0;
    uint32_t joining = 0;
    uint32_t owing = 0;
    if (group == NULL)
        return;
    list_each (link, &group->members) {
        const struct group_member *member = CONTAINER_OF(link, struct group_member, link);
        members++;
        joining += member->join_ticket != NULL;
        owing += member->owes_sync;
        assert_true(member->sync_ticket == NULL || group->state == GROUP_COMPLETING);
    }
    assert_int_equal(members, group->member_count);
    assert_int_equal(joining, group->joining_count);
    assert_int_equal(owing, group->owing_count);
    assert_int_equal(members == 0, group->leader == NULL);
    assert_true(group->state != GROUP_STABLE || members > 0);
}

static void random_join(struct prng *prng, struct ticket *ticket, char *id)
{
    static const char *const instances[] = {"one", "two"};
    const bool is_static = prng_chance(prng, 1, 4);
    const struct group_protocol protocol = {
        SLICE_LITERAL("range"), prng_chance(prng, 1, 2) ? SLICE_LITERAL("a") : SLICE_LITERAL("b")};
    const struct group_join request = {
        .group_id = SLICE_LITERAL("g"),
        .member_id = prng_chance(prng, 1, 3) ? SLICE_LITERAL("") : slice_from_text(id),
        .instance_id = is_static ? slice_from_text(instances[prng_below(prng, 2)]) : SLICE_NULL,
        .client_id = SLICE_LITERAL("client"),
        .client_host = SLICE_LITERAL("/h"),
        .protocol_type = SLICE_LITERAL("consumer"),
        .protocols = &protocol,
        .protocol_count = 1,
        .session_timeout_ms = 1000 + (int32_t)prng_below(prng, 3000),
        .rebalance_timeout_ms = (int32_t)prng_below(prng, 4000),
        .id_required = prng_chance(prng, 1, 2),
        .skips_assignment = prng_chance(prng, 1, 2),
        .entropy = entropy,
        .ticket = ticket};
    struct group_joined joined;
    const uint64_t number = prng_next(prng);
    memcpy(entropy, &number, sizeof number);
    if (!group_coordinator_join(&coordinator, &request, now, &joined))
        return;
    keep_join(ticket, &joined);
    if (joined.code == KAFKA_NONE || joined.code == KAFKA_MEMBER_ID_REQUIRED)
        memcpy(id, ticket->member_id, sizeof ticket->member_id);
}

static void random_step(struct prng *prng, struct ticket *ticket)
{
    char *id = known_ids[prng_below(prng, known_id_count)];
    const struct group *group = the_group();
    struct group_caller from = caller(id, group == NULL ? 0 : group->generation);
    ticket->answer_count = 1; /* Unless it is handed in. */
    switch (prng_below(prng, 8)) {
    case 0:
    case 1:
    case 2:
        ticket->answer_count = 0;
        random_join(prng, ticket, id);
        return;
    case 3:
    case 4: {
        struct group_synced synced;
        const struct group_assignment assignment = {from.member_id, SLICE_LITERAL("x")};
        const struct group_sync sync_event = {
            .caller = from, .assignments = &assignment, .assignment_count = 1, .ticket = ticket};
        ticket->answer_count = 0;
        if (group_coordinator_sync(&coordinator, &sync_event, now, &synced))
            on_sync(NULL, ticket, &synced);
        return;
    }
    case 5: group_coordinator_heartbeat(&coordinator, &from, now); return;
    case 6:
        if (prng_chance(prng, 1, 6))
            group_coordinator_leave(&coordinator, &from, now);
        return;
    case 7:
        if (stored_group != NULL && group != NULL)
            group_coordinator_stored(&coordinator, stored_group, stored_number,
                                     prng_chance(prng, 1, 8) ? KAFKA_NOT_COORDINATOR : KAFKA_NONE,
                                     now);
        return;
    }
}

/* Whatever clients do, counts agree and every ticket is answered once. */
static void test_any_order_of_events(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct prng prng;
        prng_init(&prng, seed);
        memset(random_tickets, 0, sizeof random_tickets);
        memset(known_ids, 0, sizeof known_ids);
        for (int step = 0; step < step_count; step++) {
            random_step(&prng, &random_tickets[step]);
            check_counts();
            /* A member learns its id from the answer that came late. */
            if (step > 0 && random_tickets[step - 1].code == KAFKA_NONE &&
                random_tickets[step - 1].member_id[0] != '\0')
                memcpy(known_ids[prng_below(&prng, known_id_count)],
                       random_tickets[step - 1].member_id, 128);
            pass(prng_below(&prng, 200));
            check_counts();
        }
        assert_true(store_count > 100);
        assert_true(the_group()->generation > 100);
        group_coordinator_drop(&coordinator, the_group(), KAFKA_NOT_COORDINATOR);
        store_count = 0;
        stored_group = NULL;
        for (int step = 0; step < step_count; step++)
            assert_int_equal(random_tickets[step].answer_count, 1);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_two_members_share_a_group),
        TEST(test_a_newcomer_extends_the_first_wait),
        TEST(test_an_id_is_given_out_first),
        TEST(test_who_leaves_makes_others_join_again),
        TEST(test_the_silent_are_removed),
        TEST(test_who_never_syncs_is_removed),
        TEST(test_a_store_of_an_old_generation_is_ignored),
        TEST(test_a_failed_store_starts_over),
        TEST(test_a_static_member_comes_back_quietly),
        TEST(test_the_group_has_a_limit),
        TEST(test_who_may_commit),
        TEST(test_a_loaded_group_goes_on),
        TEST(test_any_order_of_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
