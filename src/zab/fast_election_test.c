/* Elections among servers that are real election machines, with a network of this test's between
 * them: it delays, loses and reorders, and keeps only the newest word to a peer, as connections do.
 */
#include "zab/fast_election.h"

#include "base/prng.h"
#include "test/unit_test.h"

enum { server_count_max = 7, patience_ms = 5000, run_ms_max = 600000 };

struct server {
    struct fast_election election;
    bool is_up;
    int64_t zxid;
    int64_t epoch;
    uint64_t wake_at_ms;
    uint64_t doubt_at_ms; /* Settled, but alone until then: looks again. */
    uint32_t decision_count;
};

struct letter {
    bool is_there;
    uint64_t at_ms;
    struct zk_election_notification notification;
};

struct world {
    struct ensemble ensemble;
    struct server servers[server_count_max];
    struct letter letters[server_count_max][server_count_max]; /* [from][to]: the newest. */
    struct prng prng;
    uint64_t now_ms;
    uint64_t delay_ms_max;
    uint32_t loss_percent;
};

static void begin(struct world *world, uint64_t seed, uint32_t server_count)
{
    *world = (struct world){.delay_ms_max = 20, .now_ms = 1000};
    prng_init(&world->prng, seed);
    ensemble_init(&world->ensemble);
    for (uint32_t index = 0; index < server_count; index++) {
        const struct ensemble_member member = {
            .id = index + 1, .is_voter = true, .group = -1, .weight = 1};
        assert_int_equal(ensemble_add(&world->ensemble, &member), ERR_OK);
        world->servers[index].wake_at_ms = UINT64_MAX;
        fast_election_init(
            &world->servers[index].election,
            (struct fast_election_options){
                .self_id = member.id, .wait_ms_min = 200, .wait_ms_max = 60000, .finalize_ms = 200},
            &world->ensemble);
    }
}

static void post(struct world *world, uint32_t from, uint32_t to,
                 const struct zk_election_notification *notification)
{
    if (from == to || !world->servers[to].is_up ||
        prng_below(&world->prng, 100) < world->loss_percent)
        return;
    world->letters[from][to] = (struct letter){
        .is_there = true,
        .at_ms = world->now_ms + 1 + prng_below(&world->prng, world->delay_ms_max),
        .notification = *notification,
    };
}

static void carry_out(struct world *world, uint32_t index,
                      const struct fast_election_effects *effects)
{
    struct server *server = &world->servers[index];
    server->wake_at_ms = effects->wake_at_ms;
    if (effects->is_decided) {
        server->decision_count++;
        server->doubt_at_ms = world->now_ms + patience_ms;
        assert_true(server->election.state != ZAB_LOOKING);
    }
    if (effects->send == FAST_ELECTION_SEND_ONE && effects->send_to <= world->ensemble.member_count)
        post(world, index, (uint32_t)effects->send_to - 1, &effects->notification);
    if (effects->send == FAST_ELECTION_SEND_ALL)
        for (uint32_t to = 0; to < world->ensemble.member_count; to++)
            post(world, index, to, &effects->notification);
}

static void look(struct world *world, uint32_t index)
{
    struct server *server = &world->servers[index];
    struct fast_election_effects effects;
    server->doubt_at_ms = UINT64_MAX;
    fast_election_look(&server->election,
                       (struct fast_election_start){.zxid = server->zxid,
                                                    .peer_epoch = server->epoch,
                                                    .now_ms = world->now_ms},
                       &effects);
    carry_out(world, index, &effects);
}

static void start(struct world *world, int64_t id)
{
    world->servers[id - 1].is_up = true;
    look(world, (uint32_t)id - 1);
}

static void stop(struct world *world, int64_t id)
{
    world->servers[id - 1].is_up = false;
    for (uint32_t other = 0; other < server_count_max; other++)
        world->letters[id - 1][other].is_there = world->letters[other][id - 1].is_there = false;
}

/* A leader needs a quorum of servers that follow it; a follower needs a leader that leads. */
static bool is_well(const struct world *world, uint32_t index)
{
    const struct fast_election *election = &world->servers[index].election;
    const int64_t leader = election->settled.leader;
    struct ensemble_set set = {0};
    if (!world->servers[leader - 1].is_up ||
        world->servers[leader - 1].election.state != ZAB_LEADING)
        return false;
    for (uint32_t other = 0; other < world->ensemble.member_count; other++) {
        const struct server *server = &world->servers[other];
        if (server->is_up && server->election.state != ZAB_LOOKING &&
            server->election.settled.leader == leader)
            ensemble_set_add(&world->ensemble, &set, other + 1);
    }
    return ensemble_is_quorum(&world->ensemble, set);
}

static void deliver(struct world *world)
{
    struct fast_election_effects effects;
    for (uint32_t from = 0; from < server_count_max; from++) {
        for (uint32_t to = 0; to < server_count_max; to++) {
            struct letter *letter = &world->letters[from][to];
            if (!letter->is_there || letter->at_ms > world->now_ms)
                continue;
            const struct zk_election_notification notification = letter->notification;
            letter->is_there = false;
            fast_election_on_notification(&world->servers[to].election, world->now_ms, from + 1,
                                          &notification, &effects);
            carry_out(world, to, &effects);
        }
    }
}

static void run(struct world *world, uint64_t ms)
{
    struct fast_election_effects effects;
    for (const uint64_t end_ms = world->now_ms + ms; world->now_ms < end_ms; world->now_ms++) {
        deliver(world);
        for (uint32_t index = 0; index < world->ensemble.member_count; index++) {
            struct server *server = &world->servers[index];
            if (!server->is_up)
                continue;
            if (server->wake_at_ms <= world->now_ms) {
                fast_election_on_wake(&server->election, world->now_ms, &effects);
                carry_out(world, index, &effects);
            }
            if (server->doubt_at_ms <= world->now_ms) {
                server->doubt_at_ms = world->now_ms + patience_ms;
                if (!is_well(world, index))
                    look(world, index);
            }
        }
    }
}

/* The one whom all that are up have settled on; 0: they have not. */
static int64_t leader_of(const struct world *world)
{
    int64_t leader = 0;
    for (uint32_t index = 0; index < world->ensemble.member_count; index++) {
        const struct server *server = &world->servers[index];
        if (!server->is_up)
            continue;
        if (server->election.state == ZAB_LOOKING ||
            (leader != 0 && server->election.settled.leader != leader))
            return 0;
        leader = server->election.settled.leader;
    }
    if (leader == 0 || !world->servers[leader - 1].is_up)
        return 0;
    return world->servers[leader - 1].election.state == ZAB_LEADING ? leader : 0;
}

static int64_t run_until_settled(struct world *world)
{
    for (uint32_t ms = 0; ms < run_ms_max; ms += 100) {
        run(world, 100);
        if (leader_of(world) != 0)
            return leader_of(world);
    }
    return 0;
}

/* ---- scripts ---- */

static void one_after_the_other_three_of_five_elect_the_third(void **state)
{
    (void)state;
    static struct world world;
    begin(&world, 1, 5);
    start(&world, 1);
    run(&world, 300);
    start(&world, 2);
    run(&world, 1000);
    assert_int_equal(leader_of(&world), 0);
    start(&world, 3);
    assert_int_equal(run_until_settled(&world), 3);
    start(&world, 4);
    assert_int_equal(run_until_settled(&world), 3);
    start(&world, 5);
    assert_int_equal(run_until_settled(&world), 3);
    for (uint32_t index = 0; index < 5; index++)
        assert_int_equal(world.servers[index].decision_count, 1);
}

static void the_longest_history_wins(void **state)
{
    (void)state;
    static struct world world;
    begin(&world, 2, 3);
    world.servers[0].zxid = 0x200000001;
    world.servers[0].epoch = 2;
    world.servers[1].zxid = 0x100000009;
    world.servers[1].epoch = 3; /* The epoch counts first: it was told of a newer leader. */
    world.servers[2].zxid = 0x200000001;
    world.servers[2].epoch = 2;
    for (int64_t id = 1; id <= 3; id++)
        start(&world, id);
    assert_int_equal(run_until_settled(&world), 2);
    stop(&world, 2);
    assert_int_equal(run_until_settled(&world), 3); /* Of equals the highest id. */
}

static void a_late_server_joins_the_leader_of_any_round(void **state)
{
    (void)state;
    static struct world world;
    begin(&world, 3, 3);
    for (int round = 0; round < 4; round++) {
        start(&world, 1); /* Raises the round of 1 and 2. */
        start(&world, 2);
        assert_int_equal(run_until_settled(&world), 2);
    }
    for (uint32_t index = 0; index < 2; index++)
        fast_election_set_epoch(&world.servers[index].election, 9);
    world.servers[2].zxid = 0x500000000; /* More history, but too late. */
    world.servers[2].epoch = 5;
    start(&world, 3);
    assert_int_equal(run_until_settled(&world), 2);
    assert_int_equal(world.servers[2].election.settled.peer_epoch, 9);
    assert_int_equal(world.servers[2].election.round, world.servers[1].election.round);
}

static struct zk_election_notification word_of(enum zab_state state, int64_t leader)
{
    return (struct zk_election_notification){.state = (int32_t)state,
                                             .leader = leader,
                                             .election_epoch = 7,
                                             .peer_epoch = 1,
                                             .version = fast_election_version};
}

static void nobody_follows_on_hearsay(void **state)
{
    (void)state;
    static struct world world;
    struct fast_election_effects effects;
    begin(&world, 4, 5);
    start(&world, 1);
    struct fast_election *election = &world.servers[0].election;
    const struct zk_election_notification hearsay = word_of(ZAB_FOLLOWING, 5);
    for (int64_t from = 2; from <= 4; from++) {
        fast_election_on_notification(election, world.now_ms, from, &hearsay, &effects);
        assert_false(effects.is_decided);
    }
    const struct zk_election_notification word = word_of(ZAB_LEADING, 5);
    fast_election_on_notification(election, world.now_ms, 5, &word, &effects);
    assert_true(effects.is_decided);
    assert_int_equal(election->state, ZAB_FOLLOWING);
    assert_int_equal(election->round, 7);
}

/* Its followers have not noticed its restart: it must not lead on the strength of their old votes.
 */
static void old_votes_do_not_make_a_leader_again(void **state)
{
    (void)state;
    static struct world world;
    struct fast_election_effects effects;
    begin(&world, 5, 3);
    start(&world, 3);
    struct fast_election *election = &world.servers[2].election;
    const struct zk_election_notification word = word_of(ZAB_FOLLOWING, 3);
    for (int64_t from = 1; from <= 2; from++) {
        fast_election_on_notification(election, world.now_ms, from, &word, &effects);
        assert_false(effects.is_decided);
    }
}

static void strangers_are_answered_and_not_counted(void **state)
{
    (void)state;
    static struct world world;
    struct fast_election_effects effects;
    begin(&world, 6, 3);
    start(&world, 1);
    struct fast_election *election = &world.servers[0].election;
    struct zk_election_notification word = word_of(ZAB_LOOKING, 9);
    fast_election_on_notification(election, world.now_ms, 9, &word, &effects);
    assert_int_equal(effects.send, FAST_ELECTION_SEND_ONE);
    assert_int_equal(effects.send_to, 9);
    assert_int_equal(effects.notification.leader, 1);
    assert_int_equal(election->round, 1);
    /* Nor does a voter's vote for a stranger count, nor a state that we do not know. */
    fast_election_on_notification(election, world.now_ms, 2, &word, &effects);
    assert_int_equal(election->round, 1);
    word = word_of(ZAB_LOOKING, 2);
    word.state = 4;
    fast_election_on_notification(election, world.now_ms, 2, &word, &effects);
    assert_int_equal(effects.send, FAST_ELECTION_SEND_NOTHING);
    assert_int_equal(election->round, 1);
}

static void one_that_is_behind_is_told(void **state)
{
    (void)state;
    static struct world world;
    struct fast_election_effects effects;
    begin(&world, 7, 3);
    for (int times = 0; times < 3; times++)
        look(&world, 0);
    struct fast_election *election = &world.servers[0].election;
    struct zk_election_notification word = word_of(ZAB_LOOKING, 2);
    word.election_epoch = 1;
    fast_election_on_notification(election, world.now_ms, 2, &word, &effects);
    assert_int_equal(effects.send, FAST_ELECTION_SEND_ONE);
    assert_int_equal(effects.notification.election_epoch, 3);
    assert_int_equal(election->proposal.leader, 1);
}

static void who_knows_nothing_is_not_counted(void **state)
{
    (void)state;
    static struct world world;
    begin(&world, 8, 3);
    world.servers[2].zxid = -1;
    start(&world, 1);
    start(&world, 3);
    assert_int_equal(run_until_settled(&world), 0);
    start(&world, 2);
    assert_int_equal(run_until_settled(&world), 2); /* And then it may follow. */
    begin(&world, 8, 1);
    world.servers[0].zxid = -1;
    start(&world, 1);
    assert_int_equal(run_until_settled(&world), 0);
}

static void a_better_vote_is_waited_for(void **state)
{
    (void)state;
    static struct world world;
    begin(&world, 13, 3);
    start(&world, 1);
    start(&world, 2);
    run(&world, 150); /* Two agree by now. */
    assert_int_equal(leader_of(&world), 0);
    start(&world, 3);
    assert_int_equal(run_until_settled(&world), 3);
}

/* Servers of Apache's wait anew with each word, and would decide that much later than we do. */
static void who_is_about_to_decide_repeats_nothing(void **state)
{
    (void)state;
    static struct world world;
    struct fast_election_effects effects;
    begin(&world, 14, 3);
    look(&world, 1);
    struct fast_election *election = &world.servers[1].election;
    struct zk_election_notification word = word_of(ZAB_LOOKING, 2);
    word.zxid = election->own.zxid;
    word.election_epoch = election->round;
    word.peer_epoch = election->own.peer_epoch;
    fast_election_on_notification(election, world.now_ms + 1, 1, &word, &effects);
    assert_int_equal(effects.wake_at_ms, world.now_ms + 201);
    fast_election_on_wake(election, world.now_ms + 200, &effects);
    assert_int_equal(effects.send, FAST_ELECTION_SEND_NOTHING);
    fast_election_on_wake(election, world.now_ms + 201, &effects);
    assert_true(effects.is_decided);
    assert_int_equal(election->state, ZAB_LEADING);
}

static void an_observer_joins_and_does_not_decide(void **state)
{
    (void)state;
    static struct world world;
    begin(&world, 9, 3);
    world.ensemble.members[2].is_voter = false;
    start(&world, 3);
    start(&world, 1);
    run(&world, 2000);
    assert_int_equal(world.servers[0].decision_count, 0);
    start(&world, 2);
    assert_int_equal(run_until_settled(&world), 2);
    assert_int_equal(world.servers[2].election.state, ZAB_OBSERVING);
}

static void both_configurations_must_agree(void **state)
{
    (void)state;
    static struct world world;
    struct ensemble next;
    begin(&world, 10, 3);
    ensemble_init(&next);
    for (int64_t id = 3; id <= 5; id++) {
        const struct ensemble_member member = {
            .id = id, .is_voter = true, .group = -1, .weight = 1};
        assert_int_equal(ensemble_add(&next, &member), ERR_OK);
    }
    struct fast_election *election = &world.servers[0].election;
    fast_election_set_ensembles(election, &world.ensemble, &next);
    look(&world, 0);
    struct fast_election_effects effects;
    struct zk_election_notification word = word_of(ZAB_LOOKING, 3);
    for (int64_t from = 2; from <= 3; from++)
        fast_election_on_notification(election, world.now_ms, from, &word, &effects);
    assert_int_equal(election->decide_at_ms, 0); /* All of the current one, one of the next. */
    fast_election_on_notification(election, world.now_ms, 4, &word, &effects);
    assert_true(election->decide_at_ms != 0);
}

static void a_member_without_weight_never_leads(void **state)
{
    (void)state;
    static struct world world;
    begin(&world, 11, 3);
    world.ensemble.has_groups = true;
    for (uint32_t index = 0; index < 3; index++)
        world.ensemble.members[index].group = 0;
    world.ensemble.members[2].weight = 0;
    for (int64_t id = 1; id <= 3; id++)
        start(&world, id);
    assert_int_equal(run_until_settled(&world), 2);
}

static void silence_is_broken_less_and_less_often(void **state)
{
    (void)state;
    static struct world world;
    struct fast_election_effects effects;
    begin(&world, 12, 3);
    struct fast_election *election = &world.servers[0].election;
    look(&world, 0);
    uint64_t waited_ms = 200;
    for (uint64_t at_ms = world.servers[0].wake_at_ms; waited_ms < 60000;
         at_ms = effects.wake_at_ms) {
        fast_election_on_wake(election, at_ms - 1, &effects);
        assert_int_equal(effects.send, FAST_ELECTION_SEND_NOTHING);
        fast_election_on_wake(election, at_ms, &effects);
        assert_int_equal(effects.send, FAST_ELECTION_SEND_ALL);
        waited_ms = min_u64(2 * waited_ms, 60000);
        assert_int_equal(effects.wake_at_ms - at_ms, waited_ms);
    }
}

/* ---- any network ---- */

/* Whether the leader's history is at least as good as that of a quorum: no acknowledged transaction
 * is missing in it. */
static bool is_worthy(const struct world *world, int64_t leader)
{
    const struct server *chosen = &world->servers[leader - 1];
    struct ensemble_set set = {0};
    for (uint32_t index = 0; index < world->ensemble.member_count; index++) {
        const struct server *server = &world->servers[index];
        if (server->epoch < chosen->epoch ||
            (server->epoch == chosen->epoch && server->zxid <= chosen->zxid))
            ensemble_set_add(&world->ensemble, &set, index + 1);
    }
    return ensemble_is_quorum(&world->ensemble, set);
}

static void play(uint64_t seed)
{
    static struct world world;
    struct prng prng;
    prng_init(&prng, seed);
    const uint32_t count = (uint32_t)prng_between(&prng, 1, server_count_max);
    begin(&world, seed, count);
    world.delay_ms_max = prng_between(&prng, 1, 400);
    world.loss_percent = (uint32_t)prng_below(&prng, 40);
    for (uint32_t index = 0; index < count; index++) {
        world.servers[index].epoch = (int64_t)prng_below(&prng, 3);
        world.servers[index].zxid = (int64_t)prng_below(&prng, 3);
    }
    for (int step = 0; step < 20; step++) {
        const int64_t id = (int64_t)prng_between(&prng, 1, count);
        if (!world.servers[id - 1].is_up)
            start(&world, id);
        else if (prng_chance(&prng, 1, 3))
            stop(&world, id);
        run(&world, prng_below(&prng, 800));
    }
    world.loss_percent = 0;
    world.delay_ms_max = min_u64(world.delay_ms_max, 100); /* Less than half of finalize_ms. */
    for (uint32_t index = 0; index < count; index++)
        if (!world.servers[index].is_up && prng_chance(&prng, 3, 4))
            start(&world, index + 1);
    struct ensemble_set up = {0};
    for (uint32_t index = 0; index < count; index++)
        if (world.servers[index].is_up)
            ensemble_set_add(&world.ensemble, &up, index + 1);
    if (!ensemble_is_quorum(&world.ensemble, up))
        return;
    const int64_t leader = run_until_settled(&world);
    if (leader == 0 || !is_worthy(&world, leader))
        fail_msg("seed %u: leader %d of %u", (unsigned)seed, (int)leader, (unsigned)count);
}

static void after_any_chaos_a_worthy_leader_is_found(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2000; seed++)
        play(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_after_the_other_three_of_five_elect_the_third),
        cmocka_unit_test(the_longest_history_wins),
        cmocka_unit_test(a_late_server_joins_the_leader_of_any_round),
        cmocka_unit_test(nobody_follows_on_hearsay),
        cmocka_unit_test(old_votes_do_not_make_a_leader_again),
        cmocka_unit_test(strangers_are_answered_and_not_counted),
        cmocka_unit_test(one_that_is_behind_is_told),
        cmocka_unit_test(who_knows_nothing_is_not_counted),
        cmocka_unit_test(a_better_vote_is_waited_for),
        cmocka_unit_test(who_is_about_to_decide_repeats_nothing),
        cmocka_unit_test(an_observer_joins_and_does_not_decide),
        cmocka_unit_test(both_configurations_must_agree),
        cmocka_unit_test(a_member_without_weight_never_leads),
        cmocka_unit_test(silence_is_broken_less_and_less_often),
        cmocka_unit_test(after_any_chaos_a_worthy_leader_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
