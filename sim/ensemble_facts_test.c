/* What operators are told by a member of an ensemble, compared with what Apache's 3.9.5 answers.
 *
 * No ensemble runs here: the facts of one are set by hand in a server that stands alone. */
#include "server/keeper/admin_command.h"
#include "server/keeper/ensemble_config.h"
#include "server/keeper/four_letter.h"
#include "server/keeper/metrics.h"
#include "test/unit_test.h"

#include "sim/sim_node.h"

#include <stdio.h>

enum { answer_bytes_max = 64 * 1024 };

static struct world {
    struct sim sim;
    struct sim_node *node;
    struct shard shard;
    struct keeper_config config;
    struct keeper_server *server;
    struct ensemble_learner learners[3];
    char answer[answer_bytes_max];
} world;

static const char members[] = "initLimit=10\nsyncLimit=5\n"
                              "server.1=127.0.0.1:24191:24201\nserver.2=127.0.0.1:24192:24202\n"
                              "server.3=127.0.0.1:24193:24203\n"
                              "server.4=127.0.0.1:24194:24204:observer\n";

/* A server that stands alone, and what it would have read of an ensemble. */
static void start(int64_t self_id)
{
    struct keeper_config member;
    const char alone[] = "dataDir=/data\nclientPort=24183\ndisk.reserveMb=0\npreAllocSize=64\n"
                         "admin.enableServer=false\n4lw.commands.whitelist=*\n";
    char text[1024];
    memset(&world, 0, sizeof world);
    sim_init(&world.sim, (struct sim_options){.seed = 1, .node_count = 1});
    world.node = world.sim.nodes[0];
    world.shard = (struct shard){.name = "keeper",
                                 .io = world.node->io,
                                 .heap = &world.node->heap,
                                 .diag = world.node->diag};
    assert_int_equal(keeper_config_load(&world.config, &world.node->heap, world.node->diag,
                                        (struct config_source){"zoo.cfg", slice_from_text(alone)}),
                     ERR_OK);
    assert_int_equal(keeper_server_start(&world.server, &world.shard, &world.config), ERR_OK);
    snprintf(text, sizeof text, "%s%s", alone, members);
    assert_int_equal(keeper_config_load(&member, &world.node->heap, world.node->diag,
                                        (struct config_source){"zoo.cfg", slice_from_text(text)}),
                     ERR_OK);
    world.server->config = member;
    world.server->config.self_id = self_id;
    world.server->ensemble.leader_id = 3;
}

static void on_stopped(void *context)
{
    *(bool *)context = true;
}

static void end(void)
{
    bool is_stopped = false;
    list_init(&world.server->ensemble.learners);
    keeper_server_stop(world.server, on_stopped, &is_stopped);
    while (!is_stopped)
        io_run(world.node->io, UINT64_MAX);
    keeper_server_free(world.server);
    sim_deinit(&world.sim);
}

static void take_role(enum ensemble_role role)
{
    ensemble_facts_take_role(&world.server->ensemble, role, io_now_ns(world.node->io));
}

static const char *word(const char *name)
{
    struct net_message *message = four_letter_answer(world.server, slice_from_text(name));
    assert_non_null(message);
    assert_true(message->size < sizeof world.answer);
    memcpy(world.answer, message->data, message->size);
    world.answer[message->size] = '\0';
    net_message_release(message);
    return world.answer;
}

static const char *page(const char *name)
{
    struct counted_text text = {.data = world.answer, .capacity = sizeof world.answer};
    struct admin_command_call call = {.server = world.server};
    admin_command_put(admin_command_find(slice_from_text(name)), &call, &text);
    assert_true(text.size < sizeof world.answer);
    world.answer[text.size] = '\0';
    return world.answer;
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("expected %s\nin %s", part, text);
}

static void assert_lacks(const char *text, const char *part)
{
    if (strstr(text, part) != NULL)
        fail_msg("unexpected %s\nin %s", part, text);
}

static void add_learner(uint32_t index, int64_t id, bool is_voter, bool is_observer)
{
    struct ensemble_learner *learner = &world.learners[index];
    *learner = (struct ensemble_learner){.id = id,
                                         .is_voter = is_voter,
                                         .is_observer = is_observer,
                                         .is_synced = true,
                                         .established_at_ms = 1795893861508,
                                         .queued_bytes = 234,
                                         .received_count = 26,
                                         .sent_count = 39,
                                         .request_count = 4,
                                         .zxid_last = 4294967312};
    assert_int_equal(io_resolve(world.node->io, "127.0.0.1", 51180, &learner->address), 0);
    list_push(&world.server->ensemble.learners, &learner->link);
}

/* ---- words ---- */

static void nobody_is_served_while_looking(void **state)
{
    (void)state;
    static const char *const silent[] = {"srvr", "stat", "mntr", "conf", "cons", "dirs",
                                         "dump", "crst", "srst", "wchs", "wchp", "wchc"};
    start(3);
    ensemble_facts_look(&world.server->ensemble, io_now_ns(world.node->io));
    for (size_t index = 0; index < ARRAY_COUNT(silent); index++)
        assert_string_equal(word(silent[index]),
                            "This ZooKeeper instance is not currently serving requests\n");
    assert_string_equal(word("hash"), "This ZooKeeper instance is not currently serving requests");
    assert_string_equal(word("ruok"), "imok");
    assert_string_equal(word("isro"), "null");
    assert_has(word("envi"), "Environment:\n");
    size_t count;
    size_t answered_count = 0;
    const struct admin_command *commands = admin_command_table(&count);
    for (size_t index = 0; index < count; index++)
        answered_count += admin_command_is_answered(&commands[index], world.server);
    assert_int_equal(answered_count, 5);
    assert_string_equal(page("zabstate"), "{\n  \"voting\" : false,\n  \"zabstate\" : \"\",\n"
                                          "  \"command\" : \"zabstate\",\n  \"error\" : null\n}");
    take_role(ENSEMBLE_FOLLOWER);
    assert_true(admin_command_is_answered(&commands[0], world.server));
    assert_string_equal(word("isro"), "rw");
    end();
}

static void each_role_says_its_mode(void **state)
{
    (void)state;
    start(4);
    assert_has(word("srvr"), "\nMode: standalone\n");
    take_role(ENSEMBLE_FOLLOWER);
    assert_has(word("srvr"), "\nMode: follower\n");
    assert_lacks(word("srvr"), "Proposal");
    assert_has(word("mntr"), "\nzk_server_state\tfollower\nzk_peer_state\tfollowing - broadcast\n");
    assert_has(word("mntr"), "\nzk_quorum_size\t3\n");
    assert_lacks(word("mntr"), "zk_learners");
    take_role(ENSEMBLE_OBSERVER);
    assert_has(word("stat"), "\nMode: observer\n");
    assert_has(word("mntr"), "\nzk_server_state\tobserver\nzk_peer_state\tobserving - broadcast\n"
                             "zk_observer_master_id\t3\n");
    assert_has(page("monitor"), "\"peer_state\" : \"observing - broadcast\",\n"
                                "  \"observer_master_id\" : 3,\n");
    end();
}

static void a_leader_tells_of_its_learners(void **state)
{
    (void)state;
    start(3);
    take_role(ENSEMBLE_LEADER);
    assert_has(word("srvr"), "\nMode: leader\nNode count: 5\n"
                             "Proposal sizes last/min/max: -1/-1/-1\n");
    add_learner(0, 1, true, false);
    add_learner(1, 9, false, false);
    add_learner(2, 4, false, true);
    ensemble_facts_add_proposal(&world.server->ensemble, 50);
    ensemble_facts_add_proposal(&world.server->ensemble, 163);
    ensemble_facts_add_proposal(&world.server->ensemble, 48);
    assert_has(word("srvr"), "\nProposal sizes last/min/max: 48/48/163\n");
    const char *mntr = word("mntr");
    assert_has(mntr, "\nzk_learners\t3\n");
    assert_has(mntr, "\nzk_synced_followers\t2\n");
    assert_has(mntr, "\nzk_synced_non_voting_followers\t1\n");
    assert_has(mntr, "\nzk_synced_observers\t1\n");
    assert_has(mntr, "\nzk_pending_syncs\t0\n");
    assert_has(mntr, "\nzk_last_proposal_size\t48\n");
    assert_has(mntr, "\nzk_max_proposal_size\t163\n");
    assert_has(mntr, "\nzk_leader_uptime\t");
    world.learners[0].is_synced = false;
    assert_has(word("mntr"), "\nzk_synced_followers\t1\n");
    assert_has(page("srvr"),
               "  \"proposal_stats\" : {\n    \"last_buffer_size\" : 48,\n"
               "    \"min_buffer_size\" : 48,\n    \"max_buffer_size\" : 163\n  },\n");
    end();
}

static void conf_shows_the_members(void **state)
{
    (void)state;
    start(4);
    world.server->config.peer_type = KEEPER_PEER_OBSERVER;
    take_role(ENSEMBLE_OBSERVER);
    assert_has(word("conf"), "\nclientPortListenBacklog=-1\nserverId=4\ninitLimit=10\nsyncLimit=5\n"
                             "electionAlg=3\nelectionPort=24204\nquorumPort=24194\npeerType=1\n"
                             "membership: \nserver.1=127.0.0.1:24191:24201:participant\n"
                             "server.2=127.0.0.1:24192:24202:participant\n"
                             "server.3=127.0.0.1:24193:24203:participant\n"
                             "server.4=127.0.0.1:24194:24204:observer\nversion=0");
    assert_has(page("conf"), "\"server_id\" : 4,\n");
    end();
}

/* ---- pages ---- */

static void the_leader_is_named(void **state)
{
    (void)state;
    start(1);
    take_role(ENSEMBLE_FOLLOWER);
    assert_string_equal(page("leader"),
                        "{\n  \"is_leader\" : false,\n  \"leader_id\" : 3,\n"
                        "  \"leader_ip\" : \"127.0.0.1\",\n  \"command\" : \"leader\",\n"
                        "  \"error\" : null\n}");
    assert_int_equal(
        io_resolve(world.node->io, "127.0.0.1", 24193, &world.server->ensemble.leader_address), 0);
    take_role(ENSEMBLE_LEADER);
    assert_has(page("lead"), "{\n  \"is_leader\" : true,\n  \"leader_id\" : 3,\n"
                             "  \"leader_ip\" : \"127.0.0.1\",\n");
    end();
}

static void observers_are_listed(void **state)
{
    (void)state;
    const char observer[] = "{\n  \"synced_observers\" : 1,\n  \"observers\" : [ {\n"
                            "    \"remote_socket_address\" : \"/127.0.0.1:51180\",\n"
                            "    \"sid\" : 4,\n    \"established\" : 1795893861508,\n"
                            "    \"queued_packets\" : 0,\n    \"queued_packets_size\" : 234,\n"
                            "    \"packets_received\" : 26,\n    \"packets_sent\" : 39,\n"
                            "    \"requests\" : 4,\n    \"last_zxid\" : 4294967312\n  } ],\n"
                            "  \"command\" : \"observers\",\n  \"error\" : null\n}";
    start(3);
    take_role(ENSEMBLE_LEADER);
    add_learner(0, 1, true, false);
    add_learner(1, 4, false, true);
    assert_string_equal(page("obsr"), observer);
    (void)page("orst");
    assert_has(page("obsr"), "\"packets_received\" : 0,\n    \"packets_sent\" : 0,\n"
                             "    \"requests\" : 0,\n    \"last_zxid\" : -1\n");
    assert_int_equal(world.learners[0].received_count, 26);
    take_role(ENSEMBLE_FOLLOWER);
    assert_has(page("obsr"), "{\n  \"synced_observers\" : 0,\n  \"observers\" : [ ],\n");
    end();
}

static void the_voters_are_listed(void **state)
{
    (void)state;
    start(3);
    take_role(ENSEMBLE_LEADER);
    const char *view = page("voting_view");
    assert_has(view, "{\n  \"current_config\" : {\n    \"1\" : {\n"
                     "      \"server_addresses\" : [ \"127.0.0.1:24191\" ],\n"
                     "      \"election_addresses\" : [ \"127.0.0.1:24201\" ],\n"
                     "      \"client_address\" : \"\",\n"
                     "      \"learner_type\" : \"participant\"\n    },\n    \"2\" : {\n");
    assert_has(view, "    \"3\" : {\n"
                     "      \"server_addresses\" : [ \"127.0.0.1:24193\" ],\n"
                     "      \"election_addresses\" : [ \"127.0.0.1:24203\" ],\n"
                     "      \"client_address\" : \"0.0.0.0:24183\",\n"
                     "      \"learner_type\" : \"participant\"\n    }\n  },\n"
                     "  \"command\" : \"voting_view\",\n");
    assert_lacks(view, "\"4\"");
    end();
}

#define OWN(key, port)                                                                             \
    "  \"" key "\" : {\n    \"empty\" : false,\n    \"all_addresses\" : [ \"127.0.0.1:" port       \
    "\" ],\n    \"wildcard_addresses\" : [ \"0.0.0.0:" port "\" ],\n    \"all_ports\" : [ " port   \
    " ],\n    \"all_host_strings\" : [ \"127.0.0.1\" ],\n    \"reachable_address\" : "             \
    "\"127.0.0.1:" port "\",\n    \"all_reachable_addresses\" : [ \"127.0.0.1:" port               \
    "\" ],\n    \"all_reachable_addresses_or_all\" : [ \"127.0.0.1:" port                          \
    "\" ],\n    \"reachable_or_one\" : \"127.0.0.1:" port "\",\n    \"one\" : \"127.0.0.1:" port   \
    "\"\n  },\n"

static void the_own_state_is_told(void **state)
{
    (void)state;
    start(3);
    take_role(ENSEMBLE_LEADER);
    world.server->keeper.zxid_applied = 0x100000010;
    assert_string_equal(
        page("zabstate"),
        "{\n  \"myid\" : 3,\n  \"is_leader\" : true,\n" OWN("quorum_address", "24193")
            OWN("election_address", "24203") "  \"client_address\" : \"0.0.0.0:24183\",\n"
                                             "  \"voting\" : true,\n  \"last_zxid\" : "
                                             "\"0x100000010\",\n  \"zab_epoch\" : 1,\n"
                                             "  \"zab_counter\" : 16,\n  \"zabstate\" : "
                                             "\"broadcast\",\n  \"command\" : \"zabstate\",\n"
                                             "  \"error\" : null\n}");
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_served_while_looking),
        cmocka_unit_test(each_role_says_its_mode),
        cmocka_unit_test(a_leader_tells_of_its_learners),
        cmocka_unit_test(conf_shows_the_members),
        cmocka_unit_test(the_leader_is_named),
        cmocka_unit_test(observers_are_listed),
        cmocka_unit_test(the_voters_are_listed),
        cmocka_unit_test(the_own_state_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
