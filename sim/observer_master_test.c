/* Ensembles whose observers learn from followers (observerMasterPort). */
#include "base/bytes.h"
#include "server/keeper/observer_master.h"
#include "sim/ensemble_rig.h"
#include "sim/sim_net.h"
#include "test/unit_test.h"

#include <stdio.h>

enum { first_observer = 4, second_observer = 5, master_port = 2890 };

static const char settings[] = "observerMasterPort=2890\n";

static const uint64_t ns_per_s = 1000000000;

static struct ensemble_rig world;
static uint32_t member; /* Where a story takes place. */

static struct quorum_peer *peer_of(uint32_t id)
{
    return ensemble_rig_server(&world, id)->peer;
}

static uint32_t fed_count(uint32_t id)
{
    return observer_master_count(peer_of(id)->master);
}

static void begin(uint64_t seed)
{
    ensemble_rig_make(&world, seed, 3, 2);
    world.extra = settings;
    ensemble_rig_start_all(&world);
    ensemble_rig_wait_for_all(&world);
    assert_int_equal(ensemble_rig_leader(&world), 3);
}

/* Whom the observer learns from: a follower, and by its port. */
static uint32_t master_of(uint32_t observer)
{
    const struct keeper_server *server = ensemble_rig_server(&world, observer);
    assert_int_equal(server->ensemble.role, ENSEMBLE_OBSERVER);
    assert_int_equal(server->ensemble.leader_address.port, master_port);
    const uint32_t id = (uint32_t)server->ensemble.leader_id;
    assert_int_not_equal(id, ensemble_rig_leader(&world));
    assert_true(id < first_observer);
    return id;
}

static void write_through_each(struct sim_keeper_client *client)
{
    char path[16];
    for (uint32_t id = 1; id <= world.server_count; id++) {
        const enum sim_keeper_connect expected = id == 1 ? SIM_KEEPER_NEW : SIM_KEEPER_RESUMED;
        assert_int_equal(ensemble_rig_connect(&world, client, id), expected);
        snprintf(path, sizeof path, "/s%u", (unsigned)id);
        assert_int_equal(ensemble_rig_create(&world, client, path, 0), CODE_OK);
        assert_int_equal(ensemble_rig_create(&world, client, path, 0), CODE_NODE_EXISTS);
        for (uint32_t other = 1; other <= id; other++) {
            snprintf(path, sizeof path, "/s%u", (unsigned)other);
            assert_int_equal(ensemble_rig_look(&world, client, path), CODE_OK);
        }
    }
}

static void observers_learn_from_followers(void **state)
{
    (void)state;
    begin(1);
    ensemble_rig_tell(&world, write_through_each);
    ensemble_rig_wait_for_equal_trees(&world);
    (void)master_of(first_observer);
    (void)master_of(second_observer);
    assert_int_equal(fed_count(1) + fed_count(2), 2);
    assert_int_equal(peer_of(3)->zab.leader.learner_count, 2); /* The followers. */
    assert_int_equal(fed_count(3), 0);
    ensemble_rig_end(&world);
}

/* Its observer's pings reach the leader through the follower; then none do. */
static void live_at_an_observer(struct sim_keeper_client *client)
{
    struct sim_keeper_reply reply;
    assert_int_equal(ensemble_rig_connect(&world, client, first_observer), SIM_KEEPER_NEW);
    assert_int_equal(ensemble_rig_create(&world, client, "/e", 1), CODE_OK);
    for (int times = 0; times < 10; times++) {
        sim_link_sleep(&client->link, 2 * ns_per_s);
        assert_int_equal(ensemble_rig_look(&world, client, "/e"), CODE_OK);
    }
    assert_false(sim_keeper_client_receive(client, &reply, 30 * ns_per_s));
    assert_int_equal(ensemble_rig_connect(&world, client, first_observer), SIM_KEEPER_EXPIRED);
    assert_int_equal(ensemble_rig_connect(&world, client, first_observer), SIM_KEEPER_NEW);
    assert_int_equal(ensemble_rig_look(&world, client, "/e"), CODE_NO_NODE);
}

static void sessions_of_observers_live(void **state)
{
    (void)state;
    begin(2);
    ensemble_rig_tell(&world, live_at_an_observer);
    ensemble_rig_end(&world);
}

static void write_some(struct sim_keeper_client *client)
{
    static uint32_t number;
    char path[32];
    assert_int_equal(ensemble_rig_connect(&world, client, member), SIM_KEEPER_NEW);
    for (uint32_t index = 0; index < 60; index++) {
        snprintf(path, sizeof path, "/w%u", (unsigned)number++);
        assert_int_equal(ensemble_rig_create(&world, client, path, 0), CODE_OK);
    }
}

static void write_at(uint32_t id)
{
    member = id;
    ensemble_rig_tell(&world, write_some);
    ensemble_rig_wait_for_equal_trees(&world);
}

static void an_observer_finds_another_master(void **state)
{
    (void)state;
    begin(3);
    const uint32_t master = master_of(first_observer);
    ensemble_rig_kill(&world, master);
    ensemble_rig_run_ms(&world, 2000);
    ensemble_rig_wait_for_all(&world);
    assert_int_equal(master_of(first_observer), 3 - master);
    assert_int_equal(master_of(second_observer), 3 - master);
    write_at(first_observer);
    ensemble_rig_start(&world, master);
    ensemble_rig_wait_for_all(&world);
    write_at(second_observer);
    ensemble_rig_end(&world);
}

static void a_leader_goes(void **state)
{
    (void)state;
    begin(4);
    write_at(first_observer);
    ensemble_rig_kill(&world, 3);
    ensemble_rig_run_ms(&world, 2000);
    ensemble_rig_wait_for_all(&world);
    assert_int_not_equal(ensemble_rig_leader(&world), 3);
    (void)master_of(first_observer);
    write_at(second_observer);
    ensemble_rig_start(&world, 3);
    ensemble_rig_wait_for_all(&world);
    write_at(first_observer);
    ensemble_rig_end(&world);
}

/* What it lacks comes from its master's memory, or it gets its tree. How many trees were sent. */
static uint64_t an_observer_comes_back(uint32_t rounds)
{
    begin(5);
    write_at(1);
    ensemble_rig_kill(&world, first_observer);
    for (uint32_t round = 0; round < rounds; round++)
        write_at(2);
    const uint64_t snap_count = ensemble_rig_server(&world, 1)->stats.counts.snap_count +
                                ensemble_rig_server(&world, 2)->stats.counts.snap_count;
    ensemble_rig_start(&world, first_observer);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_wait_for_equal_trees(&world);
    (void)master_of(first_observer);
    const uint64_t sent_count = ensemble_rig_server(&world, 1)->stats.counts.snap_count +
                                ensemble_rig_server(&world, 2)->stats.counts.snap_count -
                                snap_count;
    write_at(first_observer);
    ensemble_rig_end(&world);
    return sent_count;
}

static void an_observer_catches_up(void **state)
{
    (void)state;
    assert_int_equal(an_observer_comes_back(1), 0);
    assert_int_equal(an_observer_comes_back(20), 1);
}

static void send_one_away(struct sim_keeper_client *client)
{
    struct sim_keeper_reply reply;
    const struct zk_reconfig_request request = {.leaving_servers = SLICE_LITERAL("5"),
                                                .config_id = -1};
    assert_int_equal(ensemble_rig_connect(&world, client, first_observer), SIM_KEEPER_NEW);
    assert_int_equal(
        ensemble_rig_ask(&world, client, OP_RECONFIG, &zk_reconfig_request_wire, &request, &reply),
        CODE_OK);
    assert_int_equal(ensemble_rig_create(&world, client, "/alive", 0), CODE_OK);
}

/* Observers hear of it with the commit, from whoever feeds them. */
static void members_change(void **state)
{
    (void)state;
    ensemble_rig_make(&world, 7, 3, 2);
    world.extra = "observerMasterPort=2890\nreconfigEnabled=true\nskipACL=yes\n";
    ensemble_rig_start_all(&world);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, send_one_away);
    ensemble_rig_wait_for_equal_trees(&world);
    for (uint32_t id = 1; id <= first_observer; id++) {
        assert_int_equal(peer_of(id)->ensemble.member_count, 4);
        assert_int_equal(peer_of(id)->ensemble.version, peer_of(3)->ensemble.version);
    }
    ensemble_rig_end(&world);
}

/* One voter's host is nobody's; the leader feeds nobody. */
static void masters_may_be_unknown(void **state)
{
    (void)state;
    ensemble_rig_make(&world, 8, 3, 2);
    world.extra = settings;
    world.hosts[1] = "nowhere";
    for (uint32_t id = 1; id <= world.server_count; id++)
        if (id != 2)
            ensemble_rig_start(&world, id);
    ensemble_rig_wait_for_all(&world);
    assert_int_equal(master_of(first_observer), 1);
    assert_int_equal(master_of(second_observer), 1);
    write_at(first_observer);
    ensemble_rig_end(&world);
}

static void without_it_observers_learn_from_the_leader(void **state)
{
    (void)state;
    ensemble_rig_make(&world, 6, 3, 2);
    world.extra = settings;
    world.extra_for = first_observer; /* The followers do not know: nobody listens there. */
    for (uint32_t id = 1; id <= world.server_count; id++)
        if (id != first_observer)
            ensemble_rig_start(&world, id);
    ensemble_rig_wait_for_all(&world);
    assert_int_equal(ensemble_rig_server(&world, second_observer)->ensemble.leader_id, 3);
    ensemble_rig_start(&world, first_observer);
    ensemble_rig_run_ms(&world, 30000);
    assert_false(ensemble_rig_server(&world, first_observer)->is_serving);
    assert_true(ensemble_rig_server(&world, second_observer)->is_serving);
    ensemble_rig_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(observers_learn_from_followers),
        cmocka_unit_test(sessions_of_observers_live),
        cmocka_unit_test(an_observer_finds_another_master),
        cmocka_unit_test(a_leader_goes),
        cmocka_unit_test(an_observer_catches_up),
        cmocka_unit_test(members_change),
        cmocka_unit_test(masters_may_be_unknown),
        cmocka_unit_test(without_it_observers_learn_from_the_leader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
