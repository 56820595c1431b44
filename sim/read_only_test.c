/* Members of ensembles that serve readers while there is no leader: read-only mode. */
#include "sim/ensemble_rig.h"
#include "test/unit_test.h"

static const uint64_t ns_per_s = 1000000000;

static struct ensemble_rig world;
static struct {
    int64_t id;
    uint8_t password[16];
} session; /* Of an earlier story's client. */

static bool is_read_only(void *context)
{
    const struct ensemble_rig_server *server = context;
    return server->server != NULL && server->server->role == KEEPER_READ_ONLY;
}

static void leave_a_session(struct sim_keeper_client *client)
{
    ensemble_rig_connect(&world, client, 1);
    assert_int_equal(ensemble_rig_create(&world, client, "/a", 0), CODE_OK);
    session.id = client->session_id;
    memcpy(session.password, client->password, sizeof session.password);
}

/* Server 1 is left alone; it serves readers after 2 s, and no sooner. */
static void isolate_first(uint64_t seed)
{
    struct ensemble_rig_server *first = &world.servers[0];
    ensemble_rig_begin(&world, seed, 3, 0);
    world.has_read_only_mode = true; /* Nobody has run yet. */
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, leave_a_session);
    ensemble_rig_wait_for_equal_trees(&world);
    ensemble_rig_kill(&world, 2);
    ensemble_rig_kill(&world, 3);
    ensemble_rig_run_ms(&world, 1900);
    assert_int_equal(first->server->role, KEEPER_LOOKING);
    assert_true(sim_run(&world.sim, world.sim.now_ns + ns_per_s, is_read_only, first));
    assert_string_equal(ensemble_facts_mode(&first->server->ensemble), "read-only");
}

static enum sim_keeper_connect connect_once(struct sim_keeper_client *client)
{
    struct io_address address;
    assert_int_equal(io_resolve(world.client_node->io, "node0", ensemble_rig_client_port, &address),
                     0);
    return sim_keeper_client_connect(client, address, ensemble_rig_timeout_ms);
}

static int32_t look(struct sim_keeper_client *client, const char *path)
{
    struct sim_keeper_reply reply;
    const struct zk_exists_request exists = {.path = slice_from_text(path), .watch = true};
    return ensemble_rig_ask(&world, client, OP_EXISTS, &zk_exists_request_wire, &exists, &reply);
}

static void try_to_get_in(struct sim_keeper_client *client)
{
    assert_int_equal(connect_once(client), SIM_KEEPER_FAILED); /* It would write. */
    client->may_read_only = true;
    client->session_id = session.id;
    memcpy(client->password, session.password, sizeof session.password);
    assert_int_equal(connect_once(client), SIM_KEEPER_FAILED); /* Only a leader may renew it. */
    client->session_id++;
    assert_int_equal(connect_once(client), SIM_KEEPER_EXPIRED); /* Nobody's. */
    client->last_zxid = INT64_MAX;
    assert_int_equal(connect_once(client), SIM_KEEPER_FAILED);
    client->last_zxid = 0;
    assert_int_equal(connect_once(client), SIM_KEEPER_NEW);
    assert_true(client->is_at_read_only);
}

static void read_without_a_leader(struct sim_keeper_client *client)
{
    const struct keeper *keeper = &world.servers[0].server->keeper;
    const uint64_t session_count = keeper->sessions.by_id.count;
    const int64_t zxid = keeper->zxid_applied;
    const struct zk_sync_request sync = {.path = SLICE_LITERAL("/")};
    struct sim_keeper_reply reply;
    try_to_get_in(client);
    assert_int_equal(keeper->local_sessions.by_id.count, 1);
    assert_int_equal(look(client, "/a"), CODE_OK);
    assert_int_equal(look(client, "/b"), CODE_NO_NODE);
    assert_int_equal(ensemble_rig_create(&world, client, "/b", 0), CODE_NOT_READ_ONLY);
    assert_int_equal(
        ensemble_rig_ask(&world, client, OP_SYNC, &zk_sync_request_wire, &sync, &reply),
        CODE_NOT_READ_ONLY);
    assert_int_equal(reply.zxid, zxid);
    assert_int_equal(connect_once(client), SIM_KEEPER_RESUMED);
    assert_int_equal(look(client, "/a"), CODE_OK);
    assert_int_equal(ensemble_rig_ask(&world, client, OP_CLOSE_SESSION, NULL, NULL, &reply),
                     CODE_OK);
    assert_int_equal(connect_once(client), SIM_KEEPER_EXPIRED);
    assert_int_equal(keeper->local_sessions.by_id.count, 0);
    assert_int_equal(keeper->sessions.by_id.count, session_count);
    assert_int_equal(keeper->zxid_applied, zxid);
}

/* Nothing is heard of its client; then a second one, whose connection is there when a leader is. */
static void fall_silent(struct sim_keeper_client *client)
{
    const struct keeper *keeper = &world.servers[0].server->keeper;
    struct sim_keeper_reply reply;
    client->may_read_only = true;
    assert_int_equal(connect_once(client), SIM_KEEPER_NEW);
    assert_false(sim_keeper_client_receive(client, &reply, 10 * ns_per_s));
    assert_int_equal(keeper->local_sessions.by_id.count, 0);
    assert_int_equal(connect_once(client), SIM_KEEPER_EXPIRED);
    assert_int_equal(connect_once(client), SIM_KEEPER_NEW);
    const uint64_t started_ns = world.sim.now_ns;
    ensemble_rig_start(&world, 2);
    assert_false(sim_keeper_client_receive(client, &reply, 30 * ns_per_s));
    assert_true(world.sim.now_ns < started_ns + 5 * ns_per_s); /* It was closed. */
}

static void come_back(struct sim_keeper_client *client)
{
    client->session_id = session.id;
    memcpy(client->password, session.password, sizeof session.password);
    client->may_read_only = true;
    assert_int_equal(ensemble_rig_connect(&world, client, 1), SIM_KEEPER_RESUMED);
    assert_false(client->is_at_read_only);
    assert_int_equal(ensemble_rig_create(&world, client, "/b", 0), CODE_OK);
}

static void a_server_alone_serves_readers(void **state)
{
    (void)state;
    isolate_first(12);
    ensemble_rig_tell(&world, read_without_a_leader);
    ensemble_rig_end(&world);
}

static void readers_end_with_their_mode(void **state)
{
    (void)state;
    isolate_first(13);
    ensemble_rig_tell(&world, fall_silent);
    ensemble_rig_wait_for_all(&world);
    assert_int_equal(world.servers[0].server->keeper.local_sessions.by_id.count, 0);
    ensemble_rig_tell(&world, come_back);
    ensemble_rig_start(&world, 3);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_wait_for_equal_trees(&world);
    ensemble_rig_end(&world);
}

static void nobody_is_served_alone_unless_asked_for(void **state)
{
    (void)state;
    ensemble_rig_begin(&world, 14, 3, 0);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_kill(&world, 2);
    ensemble_rig_kill(&world, 3);
    ensemble_rig_run_ms(&world, 20000);
    assert_int_equal(world.servers[0].server->role, KEEPER_LOOKING);
    assert_false(world.servers[0].server->is_serving);
    ensemble_rig_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_alone_serves_readers),
        cmocka_unit_test(readers_end_with_their_mode),
        cmocka_unit_test(nobody_is_served_alone_unless_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
