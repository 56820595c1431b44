/* Syncs that a quorum confirms (sync.linearizable), and what they are for: a leader that does not
 * know yet that it is none any more.
 */
#include "server/keeper/quorum_peer.h"
#include "sim/ensemble_rig.h"
#include "sim/sim_net.h"
#include "test/unit_test.h"

static const uint64_t ns_per_s = 1000000000;

static struct ensemble_rig world;

static int32_t read_at_once(struct sim_keeper_client *client, const char *path)
{
    struct sim_keeper_reply reply;
    const struct zk_exists_request exists = {.path = slice_from_text(path)};
    return ensemble_rig_ask(&world, client, OP_EXISTS, &zk_exists_request_wire, &exists, &reply);
}

static void sync_everywhere(struct sim_keeper_client *client)
{
    for (uint32_t id = 1; id <= world.server_count; id++) {
        (void)ensemble_rig_connect(&world, client, id);
        (void)ensemble_rig_create(&world, client, "/a", 0);
        assert_int_equal(ensemble_rig_look(&world, client, "/a"), CODE_OK);
        assert_int_equal(ensemble_rig_look(&world, client, "/b"), CODE_NO_NODE);
    }
}

/* The leader is alone with its client, and does not know it. */
static void sync_at_an_old_leader(struct sim_keeper_client *client)
{
    const uint32_t id = ensemble_rig_leader(&world);
    const uint32_t client_index = world.server_count;
    struct sim_keeper_reply reply;
    const struct zk_sync_request sync = {.path = SLICE_LITERAL("/a")};
    (void)ensemble_rig_connect(&world, client, id);
    assert_int_equal(ensemble_rig_look(&world, client, "/a"), CODE_OK);
    sim_net_partition(&world.sim, UINT32_C(1) << (id - 1) | UINT32_C(1) << client_index);
    assert_int_equal(read_at_once(client, "/a"), CODE_OK);
    assert_int_not_equal(sim_keeper_client_send(client, OP_SYNC, &zk_sync_request_wire, &sync), 0);
    assert_false(sim_keeper_client_receive(client, &reply, 30 * ns_per_s));
    assert_int_equal(world.servers[id - 1].server->role, KEEPER_LOOKING);
    sim_net_heal(&world.sim);
}

static void a_sync_may_need_a_quorum(void **state)
{
    (void)state;
    ensemble_rig_make(&world, 15, 3, 1);
    world.extra = "sync.linearizable=true\n";
    ensemble_rig_start_all(&world);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, sync_everywhere);
    const struct keeper_server *server = world.servers[ensemble_rig_leader(&world) - 1].server;
    assert_int_equal(server->stats.counts.linearizable_sync_count, 8);
    assert_int_equal(server->stats.summaries.linearizable_sync_time.count, 8);
    assert_int_equal(server->ensemble.pending_sync_count, 0);
    ensemble_rig_tell(&world, sync_at_an_old_leader);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, sync_everywhere);
    ensemble_rig_wait_for_equal_trees(&world);
    ensemble_rig_end(&world);
}

/* As in Apache's ensembles, whose leaders answer as long as they believe that they lead. */
static void answer_of_an_old_leader(struct sim_keeper_client *client)
{
    const uint32_t id = ensemble_rig_leader(&world);
    const struct zab *zab = &world.servers[id - 1].server->peer->zab;
    (void)ensemble_rig_connect(&world, client, id);
    sim_net_partition(&world.sim, UINT32_C(1) << (id - 1) | UINT32_C(1) << world.server_count);
    assert_int_equal(ensemble_rig_look(&world, client, "/"), CODE_OK);
    assert_int_equal(zab->leader.round, 0);
    sim_net_heal(&world.sim);
}

static void otherwise_a_sync_needs_none(void **state)
{
    (void)state;
    ensemble_rig_begin(&world, 16, 3, 0);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, answer_of_an_old_leader);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sync_may_need_a_quorum),
        cmocka_unit_test(otherwise_a_sync_needs_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
