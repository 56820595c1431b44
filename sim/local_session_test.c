/* Ensembles whose new sessions are known to their own member alone (localSessionsEnabled), until
 * they create an ephemeral. */
#include "server/keeper/quorum_peer.h"
#include "sim/ensemble_rig.h"
#include "sim/sim_net.h"
#include "test/unit_test.h"

#include <stdio.h>

enum { plain = 0, ephemeral = 1 };

static const char upgrading[] = "localSessionsEnabled=true\nlocalSessionsUpgradingEnabled=true\n";
static const char local_only[] = "localSessionsEnabled=true\n";

static const uint64_t ns_per_ms = 1000000;
static const uint64_t ns_per_s = 1000000000;

static struct ensemble_rig world;
static uint32_t member; /* Where a story takes place. */

static struct keeper *keeper_of(uint32_t id)
{
    return &ensemble_rig_server(&world, id)->keeper;
}

static uint64_t local_count(uint32_t id)
{
    return keeper_of(id)->local_sessions.by_id.count;
}

static uint64_t global_count(uint32_t id)
{
    return keeper_of(id)->sessions.by_id.count;
}

/* That this member has applied, all in one epoch. */
static uint32_t txn_count(uint32_t id)
{
    return (uint32_t)keeper_of(id)->zxid_applied;
}

static void begin(uint64_t seed, const char *extra)
{
    ensemble_rig_make(&world, seed, 3, 1);
    world.extra = extra;
    ensemble_rig_start_all(&world);
    ensemble_rig_wait_for_all(&world);
    assert_int_equal(ensemble_rig_leader(&world), 3);
}

/* Through the leader, a follower and an observer. */
static void tell_through_each(void (*story)(struct sim_keeper_client *client))
{
    for (member = 1; member <= world.server_count; member++) {
        ensemble_rig_tell(&world, story);
        ensemble_rig_wait_for_equal_trees(&world);
    }
}

static int32_t close_session(struct sim_keeper_client *client)
{
    struct sim_keeper_reply reply;
    return ensemble_rig_ask(&world, client, OP_CLOSE_SESSION, NULL, NULL, &reply);
}

static const char *path_of(const char *name)
{
    static char path[32];
    snprintf(path, sizeof path, "/%s%u", name, (unsigned)member);
    return path;
}

static int32_t make(struct sim_keeper_client *client, const char *name, int32_t flags)
{
    return ensemble_rig_create(&world, client, path_of(name), flags);
}

/* ---- sessions that stay local ---- */

static void write_locally(struct sim_keeper_client *client)
{
    const uint32_t txns = txn_count(3);
    const uint32_t other = member == 1 ? 2 : 1;
    const uint64_t other_count = local_count(other);
    assert_int_equal(ensemble_rig_connect(&world, client, member), SIM_KEEPER_NEW);
    assert_int_equal(txn_count(3), txns);
    assert_int_equal(local_count(member), 1);
    assert_int_equal(global_count(member), 0);
    assert_int_equal(make(client, "p", plain), CODE_OK);
    assert_int_equal(ensemble_rig_look(&world, client, path_of("p")), CODE_OK);
    /* Another connection of it; another member does not know it. */
    assert_int_equal(ensemble_rig_connect(&world, client, member), SIM_KEEPER_RESUMED);
    assert_int_equal(make(client, "q", plain), CODE_OK);
    assert_int_equal(close_session(client), CODE_OK);
    assert_int_equal(txn_count(3), txns + 2);
    assert_int_equal(local_count(member), 0);
    assert_int_equal(ensemble_rig_connect(&world, client, member), SIM_KEEPER_EXPIRED);
    assert_int_equal(ensemble_rig_connect(&world, client, member), SIM_KEEPER_NEW);
    assert_int_equal(ensemble_rig_connect(&world, client, other), SIM_KEEPER_EXPIRED);
    assert_int_equal(local_count(other), other_count);
    assert_int_equal(txn_count(3), txns + 2);
}

static void a_local_session_costs_nothing(void **state)
{
    (void)state;
    begin(1, upgrading);
    tell_through_each(write_locally);
    ensemble_rig_end(&world);
}

static void fall_silent(struct sim_keeper_client *client)
{
    struct sim_keeper_reply reply;
    const uint32_t txns = txn_count(3);
    assert_int_equal(ensemble_rig_connect(&world, client, member), SIM_KEEPER_NEW);
    const uint64_t connected_ns = world.sim.now_ns;
    assert_false(sim_keeper_client_receive(client, &reply, 30 * ns_per_s));
    const uint64_t took_ms = (world.sim.now_ns - connected_ns) / ns_per_ms;
    assert_true(took_ms >= ensemble_rig_timeout_ms && took_ms < ensemble_rig_timeout_ms + 2000);
    assert_int_equal(local_count(member), 0);
    assert_int_equal(ensemble_rig_connect(&world, client, member), SIM_KEEPER_EXPIRED);
    assert_int_equal(txn_count(3), txns);
}

static void a_local_session_expires_where_it_is(void **state)
{
    (void)state;
    begin(2, upgrading);
    tell_through_each(fall_silent);
    ensemble_rig_end(&world);
}

/* All of a client's requests at once: the end of its session waits for its writes. */
static void close_behind_writes(struct sim_keeper_client *client)
{
    struct sim_keeper_reply reply;
    const struct zk_create_request request = {
        .path = slice_from_text(path_of("w")),
        .acl = {(struct zk_acl *)(uintptr_t)&ensemble_rig_open_acl, 1},
    };
    assert_int_equal(ensemble_rig_connect(&world, client, member), SIM_KEEPER_NEW);
    const int32_t first =
        sim_keeper_client_send(client, OP_CREATE, &zk_create_request_wire, &request);
    const int32_t second =
        sim_keeper_client_send(client, OP_CREATE, &zk_create_request_wire, &request);
    const struct zk_exists_request exists = {.path = request.path};
    const int32_t third =
        sim_keeper_client_send(client, OP_EXISTS, &zk_exists_request_wire, &exists);
    const int32_t fourth = sim_keeper_client_send(client, OP_CLOSE_SESSION, NULL, NULL);
    assert_true(sim_keeper_client_receive(client, &reply, ns_per_s));
    assert_int_equal(reply.xid, first);
    assert_int_equal(reply.code, CODE_OK);
    assert_true(sim_keeper_client_receive(client, &reply, ns_per_s));
    assert_int_equal(reply.xid, second);
    assert_int_equal(reply.code, CODE_NODE_EXISTS);
    assert_true(sim_keeper_client_receive(client, &reply, ns_per_s));
    assert_int_equal(reply.xid, third);
    assert_int_equal(reply.code, CODE_OK);
    assert_true(sim_keeper_client_receive(client, &reply, ns_per_s));
    assert_int_equal(reply.xid, fourth);
    assert_int_equal(reply.code, CODE_OK);
    assert_int_equal(local_count(member), 0);
}

static void hang_up_behind_close(struct sim_keeper_client *client)
{
    const struct zk_create_request request = {
        .path = slice_from_text(path_of("h")),
        .acl = {(struct zk_acl *)(uintptr_t)&ensemble_rig_open_acl, 1},
    };
    assert_int_equal(ensemble_rig_connect(&world, client, member), SIM_KEEPER_NEW);
    sim_keeper_client_send(client, OP_CREATE, &zk_create_request_wire, &request);
    sim_keeper_client_send(client, OP_CLOSE_SESSION, NULL, NULL);
    sim_link_close(&client->link);
    sim_link_sleep(&client->link, 2 * ns_per_s);
    assert_int_equal(local_count(member), 0);
}

static void the_end_of_a_local_session_waits_for_its_writes(void **state)
{
    (void)state;
    begin(3, upgrading);
    tell_through_each(close_behind_writes);
    tell_through_each(hang_up_behind_close);
    ensemble_rig_end(&world);
}

/* ---- sessions that become everybody's ---- */

static void own_something(struct sim_keeper_client *client)
{
    const uint32_t txns = txn_count(3);
    const uint32_t other = member == 1 ? 2 : 1;
    assert_int_equal(ensemble_rig_connect(&world, client, member), SIM_KEEPER_NEW);
    const int64_t session_id = client->session_id;
    assert_int_equal(make(client, "e", ephemeral), CODE_OK);
    assert_int_equal(make(client, "f", ephemeral), CODE_OK);
    assert_int_equal(txn_count(member), txns + 3); /* With its session. */
    assert_int_equal(local_count(member), 0);
    assert_true(keeper_has_session(keeper_of(member), session_id));
    /* It may go where it likes now, and back. */
    assert_int_equal(ensemble_rig_connect(&world, client, other), SIM_KEEPER_RESUMED);
    assert_int_equal(make(client, "g", ephemeral), CODE_OK);
    assert_int_equal(ensemble_rig_connect(&world, client, member), SIM_KEEPER_RESUMED);
    assert_int_equal(client->session_id, session_id);
    assert_int_equal(ensemble_rig_look(&world, client, path_of("g")), CODE_OK);
    assert_int_equal(local_count(member) + local_count(other), 0);
    assert_int_equal(close_session(client), CODE_OK);
    assert_int_equal(ensemble_rig_connect(&world, client, other), SIM_KEEPER_EXPIRED);
    assert_int_equal(ensemble_rig_connect(&world, client, other), SIM_KEEPER_NEW);
    assert_int_equal(ensemble_rig_look(&world, client, path_of("e")), CODE_NO_NODE);
    assert_int_equal(ensemble_rig_look(&world, client, path_of("g")), CODE_NO_NODE);
    assert_int_equal(close_session(client), CODE_OK);
}

/* Its member tells the leader that it lives, as long as something is heard of it. */
static void own_for_long(struct sim_keeper_client *client)
{
    struct sim_keeper_reply reply;
    assert_int_equal(ensemble_rig_connect(&world, client, member), SIM_KEEPER_NEW);
    assert_int_equal(make(client, "l", ephemeral), CODE_OK);
    for (int times = 0; times < 10; times++) {
        sim_link_sleep(&client->link, 2 * ns_per_s);
        assert_int_equal(ensemble_rig_look(&world, client, path_of("l")), CODE_OK);
    }
    assert_false(sim_keeper_client_receive(client, &reply, 30 * ns_per_s));
    assert_int_equal(ensemble_rig_connect(&world, client, member), SIM_KEEPER_EXPIRED);
    assert_int_equal(ensemble_rig_connect(&world, client, member), SIM_KEEPER_NEW);
    assert_int_equal(ensemble_rig_look(&world, client, path_of("l")), CODE_NO_NODE);
    assert_int_equal(close_session(client), CODE_OK);
}

static void an_ephemeral_makes_a_session_everybodys(void **state)
{
    (void)state;
    begin(4, upgrading);
    tell_through_each(own_something);
    tell_through_each(own_for_long);
    assert_int_equal(global_count(1), 0);
    ensemble_rig_end(&world);
}

static void want_to_own(struct sim_keeper_client *client)
{
    const uint32_t txns = txn_count(3);
    assert_int_equal(ensemble_rig_connect(&world, client, member), SIM_KEEPER_NEW);
    assert_int_equal(make(client, "e", ephemeral), CODE_EPHEMERAL_ON_LOCAL_SESSION);
    assert_int_equal(local_count(member), 1);
    assert_int_equal(make(client, "p", plain), CODE_OK);
    assert_int_equal(make(client, "p", ephemeral), CODE_EPHEMERAL_ON_LOCAL_SESSION);
    assert_int_equal(ensemble_rig_look(&world, client, path_of("e")), CODE_NO_NODE);
    assert_int_equal(txn_count(member), txns + 3); /* Refusals, too. */
    assert_int_equal(close_session(client), CODE_OK);
}

static void without_upgrades_nothing_can_be_owned(void **state)
{
    (void)state;
    begin(5, local_only);
    tell_through_each(want_to_own);
    assert_int_equal(global_count(1), 0);
    ensemble_rig_end(&world);
}

/* ---- the end of a role ---- */

static struct {
    int64_t id;
    uint8_t password[session_password_bytes];
} kept;

static void keep(const struct sim_keeper_client *client)
{
    kept.id = client->session_id;
    memcpy(kept.password, client->password, sizeof kept.password);
}

static void come_back(struct sim_keeper_client *client, enum sim_keeper_connect expected)
{
    client->session_id = kept.id;
    memcpy(client->password, kept.password, sizeof kept.password);
    assert_int_equal(ensemble_rig_connect(&world, client, 1), expected);
}

static void open_locally(struct sim_keeper_client *client)
{
    assert_int_equal(ensemble_rig_connect(&world, client, 1), SIM_KEEPER_NEW);
    keep(client);
}

static void open_and_own(struct sim_keeper_client *client)
{
    open_locally(client);
    assert_int_equal(ensemble_rig_create(&world, client, "/owned", ephemeral), CODE_OK);
}

static void find_nothing(struct sim_keeper_client *client)
{
    come_back(client, SIM_KEEPER_EXPIRED);
}

static void find_what_is_owned(struct sim_keeper_client *client)
{
    come_back(client, SIM_KEEPER_RESUMED);
    assert_int_equal(ensemble_rig_look(&world, client, "/owned"), CODE_OK);
}

static void change_leaders(void)
{
    ensemble_rig_kill(&world, 3);
    ensemble_rig_run_ms(&world, 200);
    ensemble_rig_start(&world, 3);
    ensemble_rig_wait_for_all(&world);
}

static void local_sessions_end_with_the_role(void **state)
{
    (void)state;
    begin(6, upgrading);
    ensemble_rig_tell(&world, open_locally);
    assert_int_equal(local_count(1), 1);
    change_leaders();
    assert_int_equal(local_count(1), 0);
    ensemble_rig_tell(&world, find_nothing);
    ensemble_rig_tell(&world, open_and_own);
    change_leaders();
    ensemble_rig_tell(&world, find_what_is_owned);
    ensemble_rig_wait_for_equal_trees(&world);
    ensemble_rig_end(&world);
}

/* The session is promised to the leader, and what made it so is lost on the way. */
static void ask_in_vain(struct sim_keeper_client *client)
{
    const struct zk_create_request request = {
        .path = SLICE_LITERAL("/lost"),
        .acl = {(struct zk_acl *)(uintptr_t)&ensemble_rig_open_acl, 1},
        .flags = ephemeral,
    };
    struct sim_keeper_reply reply;
    open_locally(client);
    sim_net_block(&world.sim, 0, 2);
    sim_keeper_client_send(client, OP_CREATE, &zk_create_request_wire, &request);
    assert_false(sim_keeper_client_receive(client, &reply, 60 * ns_per_s));
    assert_int_equal(local_count(1), 0);
    assert_int_equal(keeper_of(1)->sessions.promise_count, 0);
    sim_net_heal(&world.sim);
}

static void an_upgrade_may_be_lost(void **state)
{
    (void)state;
    begin(7, upgrading);
    ensemble_rig_tell(&world, ask_in_vain);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, find_nothing);
    ensemble_rig_wait_for_equal_trees(&world);
    assert_int_equal(global_count(1), 0);
    ensemble_rig_end(&world);
}

/* ---- unlike members ---- */

static void own_by_a_session_of_all(struct sim_keeper_client *client)
{
    const uint64_t count = global_count(3);
    assert_int_equal(ensemble_rig_connect(&world, client, member), SIM_KEEPER_NEW);
    assert_int_equal(local_count(member), member == 1);
    assert_int_equal(global_count(3), count + (member != 1));
    assert_int_equal(make(client, "e", ephemeral), CODE_OK);
    assert_int_equal(close_session(client), CODE_OK);
}

static void write_to_a_leader_without(struct sim_keeper_client *client)
{
    assert_int_equal(ensemble_rig_connect(&world, client, 1), SIM_KEEPER_NEW);
    /* Such a leader believes nobody's sessions. */
    assert_int_equal(ensemble_rig_create(&world, client, "/p", plain), CODE_SESSION_EXPIRED);
    assert_int_equal(ensemble_rig_connect(&world, client, 1), SIM_KEEPER_RESUMED);
    assert_int_equal(ensemble_rig_create(&world, client, "/p", ephemeral), CODE_OK);
}

static void one_member_alone_may_have_local_sessions(void **state)
{
    (void)state;
    ensemble_rig_make(&world, 8, 3, 0);
    world.extra = upgrading;
    world.extra_for = 1;
    ensemble_rig_start_all(&world);
    ensemble_rig_wait_for_all(&world);
    tell_through_each(own_by_a_session_of_all);
    ensemble_rig_tell(&world, write_to_a_leader_without);
    ensemble_rig_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_local_session_costs_nothing),
        cmocka_unit_test(a_local_session_expires_where_it_is),
        cmocka_unit_test(the_end_of_a_local_session_waits_for_its_writes),
        cmocka_unit_test(an_ephemeral_makes_a_session_everybodys),
        cmocka_unit_test(without_upgrades_nothing_can_be_owned),
        cmocka_unit_test(local_sessions_end_with_the_role),
        cmocka_unit_test(an_upgrade_may_be_lost),
        cmocka_unit_test(one_member_alone_may_have_local_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
