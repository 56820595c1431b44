/* A shipped leader and followers by hand (sim/raw_learner.h), which do what ours never do. */
#include "server/keeper/keeper_server.h"
#include "server/keeper/keeper_write.h"
#include "server/keeper/quorum_peer.h"
#include "test/unit_test.h"

#include "base/bytes.h"
#include "sim/raw_learner.h"

#include <stdio.h>
#include <stdlib.h>

enum { patience_s = 60, session_id = 0x1234, large_bytes = 600000, brim_bytes = 300 * 1024 };

static const uint64_t ns_per_s = 1000000000;
static const uint64_t ns_per_ms = 1000000;

struct world {
    struct sim sim;
    struct ensemble ensemble;
    struct keeper_server *server; /* Of the process that runs now; node 0, server 3. */
    struct raw_learner learners[2];
    const char *settings;
    uint32_t wanted_count;
    uint32_t path_number;
    uint64_t znode_count; /* As it began. */
};

static struct world world;

/* ---- the server ---- */

static void run_server(struct sim_node *node, void *argument)
{
    struct shard shard = {
        .name = "keeper", .io = node->io, .heap = &node->heap, .diag = node->diag};
    struct keeper_config config;
    char text[1024];
    (void)argument;
    snprintf(text, sizeof text,
             "dataDir=/keeper\nclientPort=2181\nadmin.enableServer=false\ntickTime=1000\n"
             "initLimit=10\nsyncLimit=60\npreAllocSize=16\nmemory.limitMb=64\ndisk.reserveMb=0\n"
             "server.1=node1:2888:3888\nserver.2=node2:2888:3888\nserver.3=node0:2888:3888\n%s",
             world.settings);
    list_init(&shard.inboxes);
    assert_int_equal(small_file_make_directory_wait(node->io, "/keeper"), 0);
    assert_int_equal(small_file_replace_wait(node->io, "/keeper/myid", SLICE_LITERAL("3")), 0);
    assert_int_equal(keeper_config_load(&config, &node->heap, node->diag,
                                        (struct config_source){.file_name = "zoo.cfg",
                                                               .text = slice_from_text(text)}),
                     ERR_OK);
    assert_int_equal(keeper_server_start(&world.server, &shard, &config), ERR_OK);
    for (;;)
        shard_step(&shard, 100 * ns_per_ms);
}

/* ---- the world ---- */

static void add_member(int64_t id, const char *host)
{
    struct ensemble_member member = {
        .id = id, .is_voter = true, .group = -1, .weight = 1, .address_count = 1};
    member.addresses[0] = (struct ensemble_address){
        .host = slice_from_text(host), .quorum_port = 2888, .election_port = 3888};
    assert_int_equal(ensemble_add(&world.ensemble, &member), ERR_OK);
}

static void run_until(bool (*is_enough)(void *context), const char *what)
{
    if (sim_run(&world.sim, world.sim.now_ns + patience_s * ns_per_s, is_enough, NULL))
        return;
    sim_report(&world.sim);
    fail_msg("it does not come to that: %s", what);
}

static void run_ms(uint64_t ms)
{
    (void)sim_run(&world.sim, world.sim.now_ns + ms * ns_per_ms, NULL, NULL);
}

static bool leads(void *context)
{
    (void)context;
    return world.server != NULL && world.server->role == KEEPER_LEADER &&
           world.learners[0].is_up_to_date;
}

/* The server leads, learner 0 follows. */
static void begin(const char *settings)
{
    static const char *const hosts[] = {"node1", "node2"};
    memset(&world, 0, sizeof world);
    world.settings = settings;
    sim_init(&world.sim,
             (struct sim_options){
                 .seed = 1,
                 .node_count = 3,
                 .node_heap_limit_bytes = 64 << 20,
                 .faults = {.delay_ns_mean = 300000, .disk_ns_mean = 50000, .sync_ns_mean = 500000},
                 .is_verbose = getenv("VERBOSE") != NULL});
    ensemble_init(&world.ensemble);
    add_member(1, "node1");
    add_member(2, "node2");
    add_member(3, "node0");
    for (uint32_t index = 0; index < 2; index++)
        world.learners[index] = (struct raw_learner){.node = world.sim.nodes[index + 1],
                                                     .id = index + 1,
                                                     .host = hosts[index],
                                                     .leader_host = "node0",
                                                     .ensemble = &world.ensemble};
    sim_node_start(world.sim.nodes[0], run_server, NULL);
    raw_learner_start(&world.learners[0]);
    run_until(leads, "the server leads");
    world.znode_count = world.server->keeper.tree.by_path.count;
}

static void end(void)
{
    assert_true(sim_node_is_up(world.sim.nodes[0]));
    sim_deinit(&world.sim);
}

/* ---- requests ---- */

static void request_session(struct raw_learner *learner)
{
    uint8_t timeout_ms[4];
    store_i32(timeout_ms, 40000);
    raw_learner_request(learner, session_id, OP_CREATE_SESSION,
                        slice_of(timeout_ms, sizeof timeout_ms));
}

static void request(struct raw_learner *learner, int32_t type, const struct wire_record *record,
                    const void *value)
{
    static uint8_t bytes[large_bytes + 1024];
    const size_t size = wire_size(record, 0, value);
    struct wire_writer writer = wire_writer_of(bytes, sizeof bytes);
    assert_in_range(size, 1, sizeof bytes);
    wire_encode(record, 0, value, &writer);
    raw_learner_request(learner, session_id, type, slice_of(bytes, size));
}

static void request_create(struct raw_learner *learner, size_t size)
{
    static uint8_t filling[large_bytes];
    static struct zk_acl open_acl = {31, {SLICE_LITERAL("world"), SLICE_LITERAL("anyone")}};
    char path[32];
    snprintf(path, sizeof path, "/n%u", (unsigned)world.path_number++);
    const struct zk_create_request create = {
        .path = slice_from_text(path), .data = slice_of(filling, size), .acl = {&open_acl, 1}};
    request(learner, OP_CREATE, &zk_create_request_wire, &create);
}

/* Of what the first request has created. */
static void request_change(struct raw_learner *learner, size_t size)
{
    static uint8_t filling[large_bytes];
    const struct zk_set_data_request set = {SLICE_LITERAL("/n0"), slice_of(filling, size), -1};
    request(learner, OP_SET_DATA, &zk_set_data_request_wire, &set);
}

static void request_one(struct raw_learner *learner)
{
    request_create(learner, 10);
}

static bool are_proposed(void *context)
{
    (void)context;
    return world.learners[0].proposal_count >= world.wanted_count;
}

static bool are_committed(void *context)
{
    (void)context;
    return world.learners[0].commit_count >= world.wanted_count;
}

static void wait_for_proposals(uint32_t count)
{
    world.wanted_count = count;
    run_until(are_proposed, "so much is proposed");
}

static void wait_for_commits(uint32_t count)
{
    world.wanted_count = count;
    run_until(are_committed, "so much is committed");
}

static void begin_with_session(const char *settings)
{
    begin(settings);
    raw_learner_do(&world.learners[0], request_session);
    wait_for_commits(1);
}

/* ---- acknowledgements ---- */

static bool is_second_offered(void *context)
{
    (void)context;
    return world.learners[1].has_new_leader;
}

static bool has_second_acked(void *context)
{
    (void)context;
    return world.learners[1].proposal_count > 0;
}

static bool is_second_up_to_date(void *context)
{
    (void)context;
    return world.learners[1].is_up_to_date;
}

static bool is_second_told(void *context)
{
    (void)context;
    return world.learners[1].commit_count >= 2;
}

/* Of ZOOKEEPER-4685: another thread of Apache's follower may be faster than the one that
 * acknowledges the leader. It is borne, and counts from then on. */
static void a_proposal_may_be_acknowledged_before_the_leader(void **state)
{
    struct raw_learner *second = &world.learners[1];
    (void)state;
    begin_with_session("");
    second->zxid_proposed = second->zxid_acked = world.learners[0].zxid_proposed;
    second->current_epoch = 0;
    second->holds_leader_ack = true;
    raw_learner_start(second);
    run_until(is_second_offered, "the second learner gets NEWLEADER");
    raw_learner_do(&world.learners[0], request_one);
    run_until(has_second_acked, "the second learner acknowledges a proposal");
    run_ms(100);
    raw_learner_do(second, raw_learner_ack_leader);
    run_until(is_second_up_to_date, "the second learner is up to date");
    assert_int_equal(second->link_count, 1);
    sim_node_kill(world.learners[0].node);
    raw_learner_do(second, request_one);
    run_until(is_second_told, "it makes a quorum");
    assert_int_equal(second->link_count, 1);
    end();
}

/* ---- memory ---- */

static void request_many_znodes(struct raw_learner *learner)
{
    for (uint32_t count = 0; count < 20; count++)
        request_create(learner, large_bytes);
}

static void request_many_changes(struct raw_learner *learner)
{
    for (uint32_t count = 0; count < 20; count++)
        request_change(learner, large_bytes);
}

static void request_on_and_on(struct raw_learner *learner)
{
    for (uint32_t count = 0; count < 100; count++)
        request_change(learner, 10);
}

static bool is_full(void *context)
{
    (void)context;
    return world.learners[0].error_count > 0;
}

/* Nothing is acknowledged, so nothing of what learners forward can go. What finds no room any more
 * is refused, as a transaction, since the learner's client waits for one, up to the brim; what
 * found room is done in the end. */
static void fill_up(void (*ask)(struct raw_learner *learner))
{
    struct raw_learner *learner = &world.learners[0];
    begin_with_session("");
    raw_learner_do(learner, request_one);
    wait_for_commits(2);
    learner->holds_acks = true;
    for (uint32_t count = 0; count < 40 && learner->error_count == 0; count++) {
        raw_learner_do(learner, ask);
        run_ms(100);
    }
    run_until(is_full, "a request is refused");
    assert_int_equal(learner->error_last, CODE_SYSTEM_ERROR);
    const struct keeper *keeper = &world.server->keeper;
    while (learner->link_count == 1 &&
           keeper->heap->used_bytes + keeper->pending.reserved_bytes + brim_bytes <
               keeper->heap->limit_bytes) {
        raw_learner_do(learner, request_on_and_on);
        run_ms(5);
    }
}

static void let_go(void)
{
    struct raw_learner *learner = &world.learners[0];
    learner->holds_acks = false;
    raw_learner_do(learner, raw_learner_ack_proposals);
}

/* A session, znodes, and changes of the first znode: what was proposed and says nothing else. */
static void check_what_is_done(void)
{
    const struct raw_learner *learner = &world.learners[0];
    const struct tree *tree = &world.server->keeper.tree;
    const struct znode *znode = tree_find(tree, SLICE_LITERAL("/n0"));
    assert_int_equal(1 + tree->by_path.count - world.znode_count + (uint64_t)znode->version,
                     learner->proposal_count - learner->error_count);
}

static void a_leader_without_room_refuses_what_is_forwarded(void **state)
{
    void (*const ways[])(struct raw_learner * learner) = {request_many_znodes,
                                                          request_many_changes};
    (void)state;
    for (size_t way = 0; way < ARRAY_COUNT(ways); way++) {
        fill_up(ways[way]);
        let_go();
        wait_for_commits(world.learners[0].proposal_count);
        assert_int_equal(world.learners[0].link_count, 1);
        check_what_is_done();
        end();
    }
}

static bool is_let_go(void *context)
{
    (void)context;
    return world.learners[0].link_count > 1;
}

/* It gives up what it cannot refuse any more, and all that it had promised room to is done. */
static void a_leader_without_any_room_lets_its_learner_go(void **state)
{
    struct raw_learner *learner = &world.learners[0];
    (void)state;
    fill_up(request_many_znodes);
    const uint32_t znode_count = learner->proposal_count - learner->error_count - 1;
    for (uint32_t count = 0; count < 600 && learner->link_count == 1; count++)
        raw_learner_do(learner, request_on_and_on);
    run_until(is_let_go, "the leader lets its learner go");
    learner->holds_acks = false;
    run_until(leads, "the server leads again");
    learner->commit_count = 0;
    raw_learner_do(learner, request_one);
    wait_for_commits(1);
    assert_in_range(world.server->keeper.tree.by_path.count, world.znode_count + 10,
                    world.znode_count + znode_count + 1);
    end();
}

/* ---- members ---- */

static void request_less(struct raw_learner *learner)
{
    const struct zk_reconfig_request less = {.joining_servers = SLICE_NULL,
                                             .leaving_servers = SLICE_LITERAL("2"),
                                             .new_members = SLICE_NULL,
                                             .config_id = -1};
    request(learner, OP_RECONFIG, &zk_reconfig_request_wire, &less);
}

static void a_change_of_members_waits_for_the_one_before(void **state)
{
    struct raw_learner *learner = &world.learners[0];
    (void)state;
    begin_with_session("reconfigEnabled=true\nskipACL=yes\n");
    learner->holds_acks = true;
    raw_learner_do(learner, request_less);
    wait_for_proposals(2);
    assert_int_equal(learner->error_count, 0);
    raw_learner_do(learner, request_less);
    wait_for_proposals(3);
    assert_int_equal(learner->error_count, 1);
    assert_int_equal(learner->error_last, CODE_RECONFIG_IN_PROGRESS);
    end();
}

/* ---- zxids ---- */

static void request_some(struct raw_learner *learner)
{
    for (uint32_t count = 0; count < 20; count++)
        request_create(learner, 10);
}

static bool leads_anew(void *context)
{
    return leads(context) && world.learners[0].epoch == 2 && world.learners[0].link_count == 2;
}

/* The next leader, the same here, has an epoch of its own; nothing is lost over it. */
static void a_leader_that_runs_out_of_zxids_begins_an_epoch(void **state)
{
    struct raw_learner *learner = &world.learners[0];
    (void)state;
    begin("epoch.transactionsMax=21\n");
    raw_learner_do(learner, request_session);
    raw_learner_do(learner, request_some);
    wait_for_commits(21);
    run_until(leads_anew, "it leads in another epoch");
    raw_learner_do(learner, request_some);
    wait_for_commits(41);
    assert_int_equal(learner->error_count, 0);
    assert_int_equal(learner->zxid_proposed, (INT64_C(2) << 32) + 20);
    assert_int_equal(world.server->keeper.zxid_applied, (INT64_C(2) << 32) + 20);
    assert_int_equal(world.server->keeper.tree.by_path.count, world.znode_count + 40);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proposal_may_be_acknowledged_before_the_leader),
        cmocka_unit_test(a_leader_without_room_refuses_what_is_forwarded),
        cmocka_unit_test(a_leader_without_any_room_lets_its_learner_go),
        cmocka_unit_test(a_change_of_members_waits_for_the_one_before),
        cmocka_unit_test(a_leader_that_runs_out_of_zxids_begins_an_epoch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
