/* Ensembles of keeper servers in the simulated world: what they do when servers die, disks are slow
 * and members change. */
#include "base/bytes.h"
#include "server/keeper/quorum_peer.h"
#include "sim/ensemble_rig.h"
#include "sim/sim_net.h"
#include "test/unit_test.h"

#include <stdio.h>

static const uint64_t ns_per_ms = 1000000;
static const uint64_t ns_per_s = 1000000000;

static struct ensemble_rig world;

/* ---- tests ---- */

static bool is_led(void *context)
{
    (void)context;
    return ensemble_rig_leader(&world) != 0;
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

static void three_servers_serve(void **state)
{
    (void)state;
    ensemble_rig_begin(&world, 1, 3, 0);
    ensemble_rig_wait_for_all(&world);
    assert_int_equal(ensemble_rig_leader(&world), 3);
    ensemble_rig_tell(&world, write_through_each);
    ensemble_rig_wait_for_equal_trees(&world);
    ensemble_rig_end(&world);
}

static void an_observer_serves(void **state)
{
    (void)state;
    ensemble_rig_begin(&world, 2, 3, 1);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, write_through_each);
    ensemble_rig_wait_for_equal_trees(&world);
    ensemble_rig_end(&world);
}

/* All at once: what stands before the end of a session is answered as if there were none. */
static void look_before_the_end(struct sim_keeper_client *client)
{
    const struct zk_create_request made = {
        .path = SLICE_LITERAL("/a"),
        .acl = {(struct zk_acl *)(uintptr_t)&ensemble_rig_open_acl, 1},
    };
    const struct zk_exists_request exists = {.path = made.path};
    struct sim_keeper_reply reply;
    assert_int_equal(ensemble_rig_connect(&world, client, ensemble_rig_leader(&world)),
                     SIM_KEEPER_NEW);
    sim_keeper_client_send(client, OP_CREATE, &zk_create_request_wire, &made);
    sim_keeper_client_send(client, OP_EXISTS, &zk_exists_request_wire, &exists);
    sim_keeper_client_send(client, OP_CLOSE_SESSION, NULL, NULL);
    sim_keeper_client_send(client, OP_EXISTS, &zk_exists_request_wire, &exists);
    for (int count = 0; count < 3; count++) {
        assert_true(sim_keeper_client_receive(client, &reply, ns_per_s));
        assert_int_equal(reply.code, CODE_OK);
    }
}

static void a_session_ends_behind_what_it_asked(void **state)
{
    (void)state;
    ensemble_rig_begin(&world, 15, 3, 0);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, look_before_the_end);
    ensemble_rig_end(&world);
}

static void move_at_once(struct sim_keeper_client *client)
{
    assert_int_equal(ensemble_rig_connect(&world, client, 1), SIM_KEEPER_NEW);
    assert_int_equal(ensemble_rig_create(&world, client, "/a", 0), CODE_OK);
    assert_int_equal(ensemble_rig_connect(&world, client, 2), SIM_KEEPER_RESUMED);
    assert_int_equal(ensemble_rig_create(&world, client, "/b", 0), CODE_OK);
}

/* The others have a session before the leader's own disk has it. */
static void a_session_is_known_to_a_leader_with_a_slow_disk(void **state)
{
    (void)state;
    ensemble_rig_begin(&world, 9, 3, 0);
    ensemble_rig_wait_for_all(&world);
    assert_int_equal(ensemble_rig_leader(&world), 3);
    world.servers[2].node->disk.delay_ns_extra = 50 * ns_per_ms;
    ensemble_rig_tell(&world, move_at_once);
    ensemble_rig_wait_for_equal_trees(&world);
    ensemble_rig_end(&world);
}

/* What Apache's members count when they do the same. */
static void check_figures_of_leader(const struct keeper_server *server)
{
    const struct keeper_counts *counts = &server->stats.counts;
    const struct keeper_summaries *summaries = &server->stats.summaries;
    const uint64_t txn_count = (uint64_t)(uint32_t)server->keeper.zxid_applied;
    assert_int_equal(counts->looking_count, 1);
    assert_int_equal(summaries->election_time.count, 1);
    assert_int_equal(summaries->unavailable_time.count, 1);
    assert_int_equal(summaries->leader_unavailable_time.count, 1);
    assert_int_equal(counts->proposal_count, txn_count);
    assert_int_equal(counts->commit_count, txn_count);
    assert_int_equal(server->ensemble.proposal_count, txn_count);
    assert_true(server->ensemble.proposal_bytes_min > 0);
    assert_true(server->ensemble.proposal_bytes_max > server->ensemble.proposal_bytes_min);
    assert_int_equal(summaries->quorum_ack_latency.count, txn_count);
    assert_int_equal(summaries->proposal_ack_latency.count, txn_count);
    assert_int_equal(summaries->server_write_commit_time.count +
                         summaries->local_write_commit_time.count,
                     txn_count);
    assert_int_equal(counts->diff_count + counts->snap_count, world.server_count - 1);
    assert_int_equal(server->ensemble.diff_count + server->ensemble.snapshot_count, 0);
    assert_int_equal(summaries->inflight_diff_count.count + summaries->inflight_snap_count.count,
                     2 * (world.server_count - 1));
    assert_int_equal(counts->revalidate_count,
                     world.server_count - 2); /* But the first and ours. */
    assert_int_equal(server->ensemble.pending_sync_count, 0);
}

static void check_figures_of_learner(const struct keeper_server *server)
{
    const struct keeper_counts *counts = &server->stats.counts;
    const struct keeper_summaries *summaries = &server->stats.summaries;
    const bool is_follower = server->ensemble.role == ENSEMBLE_FOLLOWER;
    const uint64_t txn_count = (uint64_t)(uint32_t)server->keeper.zxid_applied;
    assert_int_equal(counts->looking_count, 1);
    assert_int_equal(summaries->unavailable_time.count, 1);
    assert_int_equal(summaries->leader_unavailable_time.count, 0);
    assert_int_equal(summaries->election_time.count, is_follower);
    assert_int_equal(summaries->follower_sync_time.count, is_follower);
    assert_int_equal(summaries->observer_sync_time.count, !is_follower);
    assert_int_equal(counts->learner_proposal_count, is_follower ? txn_count : 0);
    assert_int_equal(counts->learner_commit_count, txn_count);
    assert_int_equal(summaries->proposal_latency.count, is_follower ? txn_count : 0);
    assert_int_equal(summaries->proposal_ack_latency.count, is_follower ? txn_count : 0);
    assert_int_equal(summaries->commit_propagation_latency.count, txn_count);
    assert_int_equal(counts->proposal_count + counts->commit_count, 0);
    assert_true(server->ensemble.leader_address.port == 2888);
}

static void members_count_what_they_do(void **state)
{
    (void)state;
    ensemble_rig_begin(&world, 8, 3, 1);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, write_through_each);
    ensemble_rig_wait_for_equal_trees(&world);
    ensemble_rig_run_ms(&world, 1000); /* The leader looks at its learners again. */
    for (uint32_t index = 0; index < world.server_count; index++) {
        const struct keeper_server *server = world.servers[index].server;
        if (index + 1 == ensemble_rig_leader(&world))
            check_figures_of_leader(server);
        else
            check_figures_of_learner(server);
    }
    const struct ensemble_facts *facts =
        &world.servers[ensemble_rig_leader(&world) - 1].server->ensemble;
    uint64_t request_count = 0;
    list_each (link, &facts->learners) {
        const struct ensemble_learner *learner = CONTAINER_OF(link, struct ensemble_learner, link);
        assert_true(learner->sent_count > 0 && learner->received_count > 0);
        assert_int_equal(learner->zxid_last, world.servers[0].server->keeper.zxid_applied);
        request_count += learner->request_count;
    }
    assert_true(request_count > 0);
    ensemble_rig_end(&world);
}

static void write_some(struct sim_keeper_client *client)
{
    static uint32_t number;
    char path[32];
    ensemble_rig_connect(&world, client, ensemble_rig_leader(&world));
    for (uint32_t index = 0; index < 30; index++) {
        snprintf(path, sizeof path, "/w%u", (unsigned)number++);
        assert_int_equal(ensemble_rig_create(&world, client, path, 0), CODE_OK);
    }
}

static void a_killed_server_comes_back(void **state)
{
    (void)state;
    ensemble_rig_begin(&world, 3, 3, 0);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, write_some);
    const uint32_t first = ensemble_rig_leader(&world);
    const uint64_t killed_ns = world.sim.now_ns;
    ensemble_rig_kill(&world, first);
    ensemble_rig_run_ms(&world, 10); /* The others notice. */
    ensemble_rig_wait_for_all(&world);
    assert_int_not_equal(ensemble_rig_leader(&world), first);
    /* The wait for a better vote, and some round trips. */
    assert_in_range(world.sim.now_ns - killed_ns, 200 * ns_per_ms, 300 * ns_per_ms);
    ensemble_rig_tell(&world, write_some);
    ensemble_rig_start(&world, first);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, write_some);
    ensemble_rig_wait_for_equal_trees(&world);
    ensemble_rig_end(&world);
}

static void write_many(struct sim_keeper_client *client)
{
    static uint32_t number;
    char path[32];
    ensemble_rig_connect(&world, client, ensemble_rig_leader(&world));
    for (uint32_t index = 0; index < 700; index++) { /* More than a leader remembers. */
        snprintf(path, sizeof path, "/m%u", (unsigned)number++);
        assert_int_equal(ensemble_rig_create(&world, client, path, 0), CODE_OK);
    }
}

/* One host is nobody's, another has a first address that is none. */
static void hosts_may_be_unknown(void **state)
{
    (void)state;
    ensemble_rig_make(&world, 11, 4, 0);
    world.hosts[3] = "nowhere";
    world.hosts[2] = "nohost:2888:3888|node2";
    world.extra = "multiAddress.enabled=true\n";
    for (uint32_t id = 1; id <= 3; id++)
        ensemble_rig_start(&world, id);
    ensemble_rig_wait_for_all(&world);
    assert_int_equal(ensemble_rig_leader(&world),
                     3); /* The others have dialled its second address. */
    ensemble_rig_tell(&world, write_some);
    ensemble_rig_wait_for_equal_trees(&world);
    ensemble_rig_end(&world);
}

/* The others have not been told of it; it has the lowest id, so they must dial it back. */
static void a_joiner_learns(void **state)
{
    (void)state;
    ensemble_rig_make(&world, 13, 4, 0);
    world.joiner = 0;
    ensemble_rig_start_all(&world);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, write_some);
    ensemble_rig_wait_for_equal_trees(&world);
    assert_int_equal(world.servers[0].server->ensemble.role, ENSEMBLE_FOLLOWER);
    ensemble_rig_end(&world);
}

/* ---- members that change ---- */

struct change {
    const char *joining;
    const char *leaving;
    const char *members;
    int64_t from;
};

static int32_t reconfigure(struct sim_keeper_client *client, struct change change)
{
    struct sim_keeper_reply reply;
    const struct zk_reconfig_request request = {
        .joining_servers = change.joining == NULL ? SLICE_NULL : slice_from_text(change.joining),
        .leaving_servers = change.leaving == NULL ? SLICE_NULL : slice_from_text(change.leaving),
        .new_members = change.members == NULL ? SLICE_NULL : slice_from_text(change.members),
        .config_id = change.from,
    };
    return ensemble_rig_ask(&world, client, OP_RECONFIG, &zk_reconfig_request_wire, &request,
                            &reply);
}

static void ask_for_the_impossible(struct sim_keeper_client *client)
{
    static const char again[] = "server.4=node1:2888:3888;2181";
    ensemble_rig_connect(
        &world, client,
        ensemble_rig_leader(&world) == 1 ? 2 : 1); /* The leader answers through another one. */
    assert_int_equal(reconfigure(client, (struct change){.leaving = "1", .from = 7}),
                     CODE_BAD_VERSION);
    assert_int_equal(reconfigure(client, (struct change){.leaving = "1,2", .from = -1}),
                     CODE_BAD_ARGUMENTS);
    assert_int_equal(reconfigure(client, (struct change){.joining = again, .from = -1}),
                     CODE_BAD_ARGUMENTS);
    assert_int_equal(
        reconfigure(client, (struct change){.joining = "server.4=node3:2888:3888", .from = -1}),
        CODE_BAD_ARGUMENTS); /* No client port. */
    assert_int_equal(reconfigure(client, (struct change){.members = "server.7=a:1:2,server.8=b:1:2,"
                                                                    "server.9=c:1:2",
                                                         .from = -1}),
                     CODE_NEW_CONFIG_NO_QUORUM);
    assert_int_equal(ensemble_rig_create(&world, client, "/alive", 0), CODE_OK);
}

static void take_one_in(struct sim_keeper_client *client)
{
    ensemble_rig_connect(&world, client, 2);
    assert_int_equal(reconfigure(client, (struct change){.joining = "server.1=node0:2888:3888:"
                                                                    "participant;2181",
                                                         .from = -1}),
                     CODE_OK);
    assert_int_equal(ensemble_rig_create(&world, client, "/joined", 0), CODE_OK);
}

static void begin_changing(uint64_t seed, uint32_t voter_count)
{
    ensemble_rig_make(&world, seed, voter_count, 0);
    world.extra = "reconfigEnabled=true\nskipACL=yes\n";
}

static void check_members(int64_t voter_count)
{
    int64_t version = 0;
    for (uint32_t id = 1; id <= world.server_count; id++) {
        if (!ensemble_rig_is_up(&world, id))
            continue;
        const struct quorum_peer *peer = world.servers[id - 1].server->peer;
        int64_t count = 0;
        for (uint32_t index = 0; index < peer->ensemble.member_count; index++)
            count += peer->ensemble.members[index].is_voter;
        assert_int_equal(count, voter_count);
        assert_true(peer->ensemble.version > 0 && peer->next_text == NULL);
        assert_true(version == 0 || peer->ensemble.version == version);
        version = peer->ensemble.version;
    }
}

static void a_joiner_becomes_a_voter(void **state)
{
    (void)state;
    begin_changing(14, 4);
    world.joiner = 0;
    ensemble_rig_start_all(&world);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, take_one_in);
    ensemble_rig_run_ms(&world, 3000);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_wait_for_equal_trees(&world);
    check_members(4);
    ensemble_rig_kill(&world, ensemble_rig_leader(
                                  &world)); /* Three of four are a quorum with the joiner alone. */
    ensemble_rig_run_ms(&world, 10);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, write_some);
    ensemble_rig_wait_for_equal_trees(&world);
    check_members(4);
    ensemble_rig_end(&world);
}

static void send_the_first_away(struct sim_keeper_client *client)
{
    ensemble_rig_connect(&world, client, 4);
    assert_int_equal(reconfigure(client, (struct change){.leaving = "1", .from = -1}), CODE_OK);
    assert_int_equal(ensemble_rig_create(&world, client, "/away", 0), CODE_OK);
}

/* With the commit, and without having to look for its leader again. */
static void an_observer_hears_of_the_members(void **state)
{
    (void)state;
    ensemble_rig_make(&world, 16, 3, 1);
    world.extra = "reconfigEnabled=true\nskipACL=yes\n";
    ensemble_rig_start_all(&world);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, send_the_first_away);
    ensemble_rig_wait_for_equal_trees(&world);
    const struct keeper_server *observer = ensemble_rig_server(&world, 4);
    assert_int_equal(observer->peer->ensemble.member_count, 3);
    assert_int_equal(observer->peer->ensemble.version, observer->keeper.zxid_applied - 1);
    assert_int_equal(observer->stats.counts.looking_count, 1);
    ensemble_rig_end(&world);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    begin_changing(15, 3);
    ensemble_rig_start_all(&world);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, ask_for_the_impossible);
    ensemble_rig_wait_for_equal_trees(&world);
    ensemble_rig_end(&world);
}

static void send_the_leader_away(struct sim_keeper_client *client)
{
    char id[16];
    snprintf(id, sizeof id, "%u", (unsigned)ensemble_rig_leader(&world));
    ensemble_rig_connect(
        &world, client,
        ensemble_rig_leader(&world)); /* The others close their connections as they look anew. */
    assert_int_equal(reconfigure(client, (struct change){.leaving = id, .from = -1}), CODE_OK);
}

static void a_leader_is_sent_away(void **state)
{
    (void)state;
    begin_changing(16, 4);
    ensemble_rig_start_all(&world);
    ensemble_rig_wait_for_all(&world);
    const uint32_t first = ensemble_rig_leader(&world);
    ensemble_rig_tell(&world, send_the_leader_away);
    ensemble_rig_run_ms(&world, 5000);
    ensemble_rig_wait_for_all(&world);
    assert_int_not_equal(ensemble_rig_leader(&world), first);
    check_members(3);
    assert_int_equal(world.servers[first - 1].server->ensemble.role, ENSEMBLE_OBSERVER);
    ensemble_rig_tell(&world, write_some);
    ensemble_rig_wait_for_equal_trees(&world);
    ensemble_rig_end(&world);
}

static void send_the_second_away(struct sim_keeper_client *client)
{
    ensemble_rig_connect(&world, client, ensemble_rig_leader(&world));
    assert_int_equal(reconfigure(client, (struct change){.leaving = "2", .from = -1}), CODE_OK);
}

enum { moved_client_port = 2182, moved_quorum_port = 2889, moved_election_port = 3889 };

static void move_one(struct sim_keeper_client *client)
{
    char line[64];
    const uint32_t id = ensemble_rig_leader(&world) == 1 ? 2 : 1;
    snprintf(line, sizeof line, "server.%u=node%u:2888:%d:participant;%d", (unsigned)id,
             (unsigned)(id - 1), (int)moved_election_port, (int)moved_client_port);
    ensemble_rig_connect(&world, client, id);
    assert_int_equal(reconfigure(client, (struct change){.joining = line, .from = -1}), CODE_OK);
    assert_int_equal(ensemble_rig_create(&world, client, "/over-the-old-connection", 0), CODE_OK);
    uint32_t count = 0;
    while (ensemble_rig_connect_at(&world, client, id, ensemble_rig_client_port) !=
           SIM_KEEPER_FAILED) {
        assert_true(count++ < 100); /* Its socket is closed in some rounds of the io. */
        io_run(world.client_node->io, UINT64_C(1000000));
    }
    assert_int_equal(ensemble_rig_connect_at(&world, client, id, moved_client_port),
                     SIM_KEEPER_RESUMED);
    assert_int_equal(ensemble_rig_create(&world, client, "/at-the-new-port", 0), CODE_OK);
    const struct keeper_server *server = ensemble_rig_server(&world, id);
    assert_int_equal(server->address.port, moved_client_port);
    assert_int_equal(server->peer->elector.port.move.port, moved_election_port);
    assert_false(server->peer->elector.port.move.is_due);
}

static void move_the_leader(struct sim_keeper_client *client)
{
    char line[64];
    const uint32_t id = ensemble_rig_leader(&world);
    snprintf(line, sizeof line, "server.%u=node%u:%d:3888:participant;2181", (unsigned)id,
             (unsigned)(id - 1), (int)moved_quorum_port);
    ensemble_rig_connect(&world, client, id);
    assert_int_equal(reconfigure(client, (struct change){.joining = line, .from = -1}), CODE_OK);
}

static void tell_client_address(struct sim_keeper_client *client, uint32_t id, const char *address)
{
    char line[64];
    snprintf(line, sizeof line, "server.%u=node%u:2888:3888:participant;%s", (unsigned)id,
             (unsigned)(id - 1), address);
    ensemble_rig_connect(&world, client, 3);
    assert_int_equal(reconfigure(client, (struct change){.joining = line, .from = -1}), CODE_OK);
}

/* The address is another member's, on the same port: the old socket has to go first. */
static void move_where_nobody_can(struct sim_keeper_client *client)
{
    tell_client_address(client, 1, "node1:2181");
}

static void move_back(struct sim_keeper_client *client)
{
    assert_int_equal(ensemble_rig_connect_at(&world, client, 1, ensemble_rig_client_port),
                     SIM_KEEPER_FAILED);
    tell_client_address(client, 1, "2181");
}

static void come_to_the_first(struct sim_keeper_client *client)
{
    assert_int_not_equal(ensemble_rig_connect_at(&world, client, 1, ensemble_rig_client_port),
                         SIM_KEEPER_FAILED);
}

static void a_port_that_could_not_move_comes_back(void **state)
{
    (void)state;
    begin_changing(19, 3);
    ensemble_rig_start_all(&world);
    ensemble_rig_wait_for_all(&world);
    assert_int_equal(ensemble_rig_leader(&world), 3);
    ensemble_rig_tell(&world, move_where_nobody_can);
    ensemble_rig_run_ms(&world, 5000);
    ensemble_rig_tell(&world, move_back);
    ensemble_rig_run_ms(&world, 5000);
    ensemble_rig_tell(&world, come_to_the_first);
    ensemble_rig_end(&world);
}

/* At once, and clients keep their connections. Another quorum port is one of another leader. */
static void members_move(void **state)
{
    (void)state;
    begin_changing(18, 3);
    ensemble_rig_start_all(&world);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, move_one);
    ensemble_rig_wait_for_equal_trees(&world);
    check_members(3);
    const uint64_t looked =
        ensemble_rig_server(&world, ensemble_rig_leader(&world))->stats.counts.looking_count;
    ensemble_rig_tell(&world, move_the_leader);
    ensemble_rig_run_ms(&world, 5000);
    ensemble_rig_wait_for_all(&world);
    const struct keeper_server *leader = ensemble_rig_server(&world, ensemble_rig_leader(&world));
    assert_int_equal(leader->stats.counts.looking_count, looked + 1);
    ensemble_rig_wait_for_equal_trees(&world);
    check_members(3);
    ensemble_rig_end(&world);
}

/* It was away when they changed, and the quorum that it knows will never be there again. */
static void who_was_away_hears_of_the_members(void **state)
{
    (void)state;
    begin_changing(17, 4);
    for (uint32_t id = 2; id <= 4; id++)
        ensemble_rig_start(&world, id);
    ensemble_rig_wait_for_all(&world);
    assert_int_equal(ensemble_rig_leader(&world), 4);
    ensemble_rig_tell(&world, send_the_second_away);
    ensemble_rig_run_ms(&world, 3000);
    ensemble_rig_kill(&world, 4);
    ensemble_rig_kill(&world, 2);
    ensemble_rig_start(&world, 1);
    ensemble_rig_wait_for_all(&world);
    check_members(3);
    ensemble_rig_tell(&world, write_some);
    ensemble_rig_wait_for_equal_trees(&world);
    ensemble_rig_end(&world);
}

static void a_leader_may_serve_no_clients(void **state)
{
    (void)state;
    ensemble_rig_make(&world, 12, 3, 0);
    world.extra = "leaderServes=no\n";
    ensemble_rig_start_all(&world);
    assert_true(
        sim_run(&world.sim, world.sim.now_ns + ensemble_rig_patience_s * ns_per_s, is_led, NULL));
    ensemble_rig_run_ms(&world, 2000);
    for (uint32_t id = 1; id <= world.server_count; id++)
        assert_int_equal(world.servers[id - 1].server->is_serving,
                         id != ensemble_rig_leader(&world));
    ensemble_rig_end(&world);
}

static void read_config(struct sim_keeper_client *client)
{
    static const char text[] = "server.1=node0:2888:3888:participant\n"
                               "server.2=node1:2888:3888:participant\n"
                               "server.3=node2:2888:3888:participant\n"
                               "server.4=node3:2888:3888:observer\nversion=0";
    const struct zk_get_data_request request = {.path = SLICE_LITERAL("/zookeeper/config")};
    for (uint32_t id = 1; id <= world.server_count; id++) {
        struct sim_keeper_reply reply;
        struct zk_get_data_reply read;
        ensemble_rig_connect(&world, client, id);
        assert_int_equal(ensemble_rig_ask(&world, client, OP_GET_DATA, &zk_get_data_request_wire,
                                          &request, &reply),
                         CODE_OK);
        assert_true(sim_keeper_client_decode(client, &zk_get_data_reply_wire, reply.body, &read));
        assert_true(slice_equal_text(read.data, text));
        assert_int_equal(read.stat.version, -1);
        assert_int_equal(read.stat.mzxid, 0);
        assert_int_equal(read.stat.czxid, 0);
        assert_true(read.stat.mtime > 0);
    }
}

/* Each member shows it, also when it has got the tree of another one. */
static void the_members_stand_in_a_znode(void **state)
{
    (void)state;
    ensemble_rig_begin(&world, 10, 3, 1);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, read_config);
    ensemble_rig_tell(&world, write_many);
    ensemble_rig_kill(&world, ensemble_rig_leader(&world));
    ensemble_rig_run_ms(&world, 10);
    ensemble_rig_wait_for_all(&world);
    for (uint32_t id = 1; id <= world.server_count; id++)
        if (!ensemble_rig_is_up(&world, id))
            ensemble_rig_start(&world, id);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, read_config);
    ensemble_rig_wait_for_equal_trees(&world);
    ensemble_rig_end(&world);
}

static void a_server_without_anything_gets_a_snapshot(void **state)
{
    (void)state;
    ensemble_rig_begin(&world, 4, 3, 0);
    ensemble_rig_kill(&world, 1);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, write_many);
    ensemble_rig_start(&world, 1);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, write_some);
    ensemble_rig_wait_for_equal_trees(&world);
    ensemble_rig_kill(&world, 1);
    ensemble_rig_start(&world, 1);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_wait_for_equal_trees(&world);
    ensemble_rig_end(&world);
}

/* A server that has got much before it served, and then leads, has that for others too. */
static void who_was_brought_up_to_date_brings_others(void **state)
{
    (void)state;
    ensemble_rig_begin(&world, 18, 5, 0);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, write_some);
    ensemble_rig_wait_for_equal_trees(&world);
    ensemble_rig_kill(&world, 5);
    ensemble_rig_kill(&world, 1);
    ensemble_rig_run_ms(&world, 10);
    ensemble_rig_wait_for_all(&world);
    assert_int_equal(ensemble_rig_leader(&world), 4);
    ensemble_rig_tell(&world, write_some);
    ensemble_rig_start(&world, 5);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, write_some);
    ensemble_rig_wait_for_equal_trees(&world);
    ensemble_rig_kill(&world, 4);
    ensemble_rig_run_ms(&world, 10);
    ensemble_rig_wait_for_all(&world);
    assert_int_equal(ensemble_rig_leader(&world), 5);
    ensemble_rig_start(&world, 1);
    ensemble_rig_wait_for_all(&world);
    assert_int_equal(world.servers[4].server->stats.counts.snap_count, 0);
    ensemble_rig_wait_for_equal_trees(&world);
    ensemble_rig_end(&world);
}

static void write_in_vain(struct sim_keeper_client *client)
{
    const struct zk_create_request request = {
        .path = SLICE_LITERAL("/lost"),
        .acl = {(struct zk_acl *)(uintptr_t)&ensemble_rig_open_acl, 1}};
    const uint32_t id = ensemble_rig_leader(&world);
    ensemble_rig_connect(&world, client, id);
    sim_net_partition(&world.sim, 1u << (id - 1) | 1u << world.server_count);
    (void)sim_keeper_client_send(client, OP_CREATE, &zk_create_request_wire, &request);
    sim_link_sleep(&client->link, 30 * ns_per_ms);
}

/* What only a leader logged, which then lost its quorum, is cut off when it comes back. */
static void lose_what_had_no_quorum(bool has_new_writes)
{
    ensemble_rig_begin(&world, 5, 3, 0);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, write_some);
    const uint32_t first = ensemble_rig_leader(&world);
    ensemble_rig_tell(&world, write_in_vain);
    assert_int_equal(world.servers[first - 1].server->write_count, 1);
    ensemble_rig_kill(&world, first);
    ensemble_rig_run_ms(
        &world, 10000); /* Until the others miss it: what is on the wire must not reach them. */
    sim_net_heal(&world.sim);
    ensemble_rig_wait_for_all(&world);
    if (has_new_writes)
        ensemble_rig_tell(&world, write_some);
    ensemble_rig_start(&world, first);
    ensemble_rig_wait_for_all(&world);
    ensemble_rig_tell(&world, write_some);
    ensemble_rig_wait_for_equal_trees(&world);
    assert_null(tree_find(&world.servers[first - 1].server->keeper.tree, SLICE_LITERAL("/lost")));
    ensemble_rig_end(&world);
}

static void what_had_no_quorum_is_cut(void **state)
{
    (void)state;
    lose_what_had_no_quorum(false);
}

static void what_had_no_quorum_is_replaced(void **state)
{
    (void)state;
    lose_what_had_no_quorum(true);
}

/* Its peers hold connections to it that stand as far as they know. */
static void a_server_that_lost_its_power_comes_back(void **state)
{
    (void)state;
    ensemble_rig_begin(&world, 4, 5, 0);
    ensemble_rig_wait_for_all(&world);
    for (uint32_t id = 1; id <= 4; id++) {
        sim_node_lose_power(world.servers[id - 1].node, SIM_LOSS_ALL);
        ensemble_rig_start(&world, id);
        const uint64_t from_ns = world.sim.now_ns;
        ensemble_rig_wait_for_all(&world);
        assert_true(world.sim.now_ns < from_ns + 10 * ns_per_s);
    }
    ensemble_rig_end(&world);
}

static void write_many_at_once(struct sim_keeper_client *client)
{
    enum { count = 60 };
    char path[16];
    int32_t xids[count];
    struct sim_keeper_reply reply;
    ensemble_rig_connect(&world, client, ensemble_rig_leader(&world) == 1 ? 2 : 1);
    for (uint32_t index = 0; index < count; index++) {
        snprintf(path, sizeof path, "/m%u", (unsigned)index);
        const struct zk_create_request request = {
            .path = slice_from_text(path),
            .acl = {(struct zk_acl *)(uintptr_t)&ensemble_rig_open_acl, 1},
        };
        xids[index] = sim_keeper_client_send(client, OP_CREATE, &zk_create_request_wire, &request);
        if (index % 4 == 0)
            io_run(world.client_node->io, 5 * ns_per_ms);
    }
    for (uint32_t index = 0; index < count; index++) {
        assert_true(sim_keeper_client_receive(client, &reply, 30 * ns_per_s));
        assert_int_equal(reply.xid, xids[index]);
        assert_int_equal(reply.code, CODE_OK);
    }
}

/* Commits overtake the disks, but never each other. */
static void slow_disks_keep_the_order(void **state)
{
    (void)state;
    for (uint64_t seed = 5; seed < 15; seed++) {
        ensemble_rig_begin(&world, seed, 3, 0);
        ensemble_rig_wait_for_all(&world);
        world.sim.faults.sync_ns_mean = 30 * ns_per_ms;
        ensemble_rig_tell(&world, write_many_at_once);
        ensemble_rig_wait_for_equal_trees(&world);
        world.sim.faults.sync_ns_mean = ns_per_ms;
        ensemble_rig_end(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_servers_serve),
        cmocka_unit_test(an_observer_serves),
        cmocka_unit_test(a_session_ends_behind_what_it_asked),
        cmocka_unit_test(a_session_is_known_to_a_leader_with_a_slow_disk),
        cmocka_unit_test(members_count_what_they_do),
        cmocka_unit_test(a_killed_server_comes_back),
        cmocka_unit_test(a_server_that_lost_its_power_comes_back),
        cmocka_unit_test(slow_disks_keep_the_order),
        cmocka_unit_test(the_members_stand_in_a_znode),
        cmocka_unit_test(hosts_may_be_unknown),
        cmocka_unit_test(a_joiner_learns),
        cmocka_unit_test(a_leader_may_serve_no_clients),
        cmocka_unit_test(a_joiner_becomes_a_voter),
        cmocka_unit_test(an_observer_hears_of_the_members),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(a_leader_is_sent_away),
        cmocka_unit_test(members_move),
        cmocka_unit_test(a_port_that_could_not_move_comes_back),
        cmocka_unit_test(who_was_away_hears_of_the_members),
        cmocka_unit_test(a_server_without_anything_gets_a_snapshot),
        cmocka_unit_test(who_was_brought_up_to_date_brings_others),
        cmocka_unit_test(what_had_no_quorum_is_cut),
        cmocka_unit_test(what_had_no_quorum_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
