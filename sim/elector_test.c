/* Electors in the simulated world: the shipped machine, port and framing, with servers that die and
 * a network that is cut. */
#include "server/keeper/elector.h"
#include "test/unit_test.h"

#include "sim/sim_net.h"
#include "sim/sim_node.h"

#include <stdio.h>

enum {
    server_count_max = 5,
    election_port = 3888,
    patience_s = 300,
    poll_ms = 50,
    doubt_ms = 4000
};

struct server {
    struct sim_node *node;
    struct elector elector; /* Of the process that runs now. */
    int64_t zxid;
    uint32_t decision_count;
    uint64_t doubt_at_ns; /* Settled, but in vain until then: looks again. */
};

struct world {
    struct sim sim;
    uint32_t server_count;
    struct ensemble ensemble;
    char hosts[server_count_max][16];
    struct server servers[server_count_max];
};

static struct world world;

static bool is_up(const struct server *server)
{
    return server->node->state != SIM_NODE_DOWN;
}

static bool is_settled_on(const struct server *server, int64_t leader)
{
    return is_up(server) && server->elector.election.state != ZAB_LOOKING &&
           server->elector.election.settled.leader == leader;
}

/* What the next phases of the protocol would find out: whether a quorum follows a leader that
 * leads, over a network that lets them. */
static bool is_well(const struct server *server)
{
    const int64_t leader = server->elector.election.settled.leader;
    struct ensemble_set set = {0};
    if (!is_up(&world.servers[leader - 1]) ||
        world.servers[leader - 1].elector.election.state != ZAB_LEADING)
        return false;
    for (uint32_t index = 0; index < world.server_count; index++)
        if (is_settled_on(&world.servers[index], leader))
            ensemble_set_add(&world.ensemble, &set, index + 1);
    return ensemble_is_quorum(&world.ensemble, set);
}

static void on_decided(void *context)
{
    struct server *server = context;
    server->decision_count++;
    server->doubt_at_ns = world.sim.now_ns + (uint64_t)doubt_ms * 1000000;
}

static void process(struct sim_node *node, void *argument)
{
    struct server *server = argument;
    struct elector *elector = &server->elector;
    const int64_t id = server - world.servers + 1;
    static char self_address[server_count_max][32];
    char *text = self_address[id - 1];
    snprintf(text, sizeof self_address[0], "%s:%d", world.hosts[id - 1], (int)election_port);
    assert_int_equal(
        elector_init(elector, node->io, &node->heap, node->diag,
                     (struct elector_options){
                         .election = {.self_id = id,
                                      .wait_ms_min = 200,
                                      .wait_ms_max = 60000,
                                      .finalize_ms = 200},
                         .self_address = slice_from_text(text),
                         .connect_timeout_ms = 5000,
                     },
                     (struct elector_handler){.on_decided = on_decided, .context = server}),
        ERR_OK);
    struct io_address address;
    assert_int_equal(io_resolve(node->io, world.hosts[id - 1], election_port, &address), 0);
    assert_int_equal(elector_listen(elector, &address), ERR_OK);
    assert_int_equal(elector_set_ensemble(elector, &world.ensemble, SLICE_LITERAL("version=0")),
                     ERR_OK);
    elector_look(elector, server->zxid, 0);
    for (;;) {
        io_run(node->io, (uint64_t)poll_ms * 1000000);
        if (elector->election.state == ZAB_LOOKING || world.sim.now_ns < server->doubt_at_ns)
            continue;
        server->doubt_at_ns = world.sim.now_ns + (uint64_t)doubt_ms * 1000000;
        if (!is_well(server))
            elector_look(elector, server->zxid, 0);
    }
}

static void begin(uint64_t seed, uint32_t server_count, struct sim_faults faults)
{
    memset(&world, 0, sizeof world);
    world.server_count = server_count;
    ensemble_init(&world.ensemble);
    sim_init(&world.sim,
             (struct sim_options){.seed = seed, .node_count = server_count, .faults = faults});
    for (uint32_t index = 0; index < server_count; index++) {
        struct ensemble_member member = {
            .id = index + 1, .is_voter = true, .group = -1, .weight = 1, .address_count = 1};
        snprintf(world.hosts[index], sizeof world.hosts[index], "node%u", (unsigned)index);
        member.addresses[0] = (struct ensemble_address){.host = slice_from_text(world.hosts[index]),
                                                        .election_port = election_port};
        assert_int_equal(ensemble_add(&world.ensemble, &member), ERR_OK);
        world.servers[index].node = world.sim.nodes[index];
    }
}

static void start(int64_t id)
{
    sim_node_start(world.sim.nodes[id - 1], process, &world.servers[id - 1]);
}

static void stop(int64_t id)
{
    sim_node_kill(world.sim.nodes[id - 1]);
}

static void run_ms(uint64_t ms)
{
    (void)sim_run(&world.sim, world.sim.now_ns + ms * 1000000, NULL, NULL);
}

static int64_t leader(void)
{
    for (uint32_t index = 0; index < world.server_count; index++) {
        const struct server *server = &world.servers[index];
        if (is_up(server) && server->elector.election.state == ZAB_LEADING && is_well(server))
            return index + 1;
    }
    return 0;
}

/* Whether all that are up have settled on one leader. */
static bool is_one(void *context)
{
    const int64_t id = leader();
    (void)context;
    for (uint32_t index = 0; index < world.server_count; index++)
        if (is_up(&world.servers[index]) && !is_settled_on(&world.servers[index], id))
            return false;
    return id != 0;
}

static int64_t wait_for_leader(void)
{
    const uint64_t end_ns = world.sim.now_ns + (uint64_t)patience_s * 1000000000;
    return sim_run(&world.sim, end_ns, is_one, NULL) ? leader() : 0;
}

/* With what an election takes when nothing goes wrong: the wait for a better vote, and some round
 * trips. */
static void assert_leader_soon(int64_t id)
{
    const uint64_t since_ns = world.sim.now_ns;
    assert_int_equal(wait_for_leader(), id);
    assert_in_range(world.sim.now_ns - since_ns, 0, UINT64_C(300) * 1000000);
}

static void three_servers_find_a_leader_and_another(void **state)
{
    (void)state;
    begin(1, 3, (struct sim_faults){.delay_ns_mean = 500000});
    for (int64_t id = 1; id <= 3; id++)
        start(id);
    assert_leader_soon(3);
    stop(3);
    run_ms(5000);
    assert_int_equal(wait_for_leader(), 2);
    start(3); /* It comes late, and follows. */
    assert_int_equal(wait_for_leader(), 2);
    assert_int_equal(world.servers[2].elector.election.state, ZAB_FOLLOWING);
    run_ms(1000);
    for (uint32_t index = 0; index < 3; index++) /* One connection between each two. */
        assert_int_equal(net_connection_count(world.servers[index].elector.port.net), 2);
    sim_deinit(&world.sim);
}

static void who_has_waited_long_is_quick_when_another_comes(void **state)
{
    (void)state;
    begin(3, 3, (struct sim_faults){.delay_ns_mean = 500000});
    for (int64_t first = 1; first <= 2; first++) {
        start(first);
        run_ms(200000); /* It says something once a minute by now. */
        start(3 - first);
        assert_leader_soon(2);
        stop(1);
        stop(2);
    }
    sim_deinit(&world.sim);
}

static void the_smaller_side_of_a_cut_decides_nothing(void **state)
{
    (void)state;
    begin(2, 5, (struct sim_faults){.delay_ns_mean = 500000});
    sim_net_partition(&world.sim, 1u << 3 | 1u << 4);
    for (int64_t id = 1; id <= 5; id++)
        start(id);
    run_ms(30000);
    assert_int_equal(leader(), 3);
    assert_int_equal(world.servers[3].decision_count, 0);
    assert_int_equal(world.servers[4].decision_count, 0);
    sim_net_heal(&world.sim);
    assert_int_equal(wait_for_leader(), 3);
    sim_deinit(&world.sim);
}

static void play(uint64_t seed)
{
    struct prng prng;
    prng_init(&prng, seed);
    begin(seed, (uint32_t)prng_between(&prng, 1, server_count_max),
          (struct sim_faults){.delay_ns_mean = prng_between(&prng, 100000, 20000000),
                              .reset_per_million = (uint32_t)prng_below(&prng, 5000)});
    for (uint32_t index = 0; index < world.server_count; index++)
        world.servers[index].zxid = (int64_t)prng_below(&prng, 3);
    for (int step = 0; step < 30; step++) {
        const int64_t id = (int64_t)prng_between(&prng, 1, world.server_count);
        if (!is_up(&world.servers[id - 1]))
            start(id);
        else if (prng_chance(&prng, 1, 3))
            stop(id);
        if (prng_chance(&prng, 1, 6))
            sim_net_partition(&world.sim, (uint32_t)prng_below(&prng, 1u << world.server_count));
        if (prng_chance(&prng, 1, 4))
            sim_net_heal(&world.sim);
        run_ms(prng_below(&prng, 2000));
    }
    sim_net_heal(&world.sim);
    for (int64_t id = 1; id <= world.server_count; id++)
        if (!is_up(&world.servers[id - 1]))
            start(id);
    if (wait_for_leader() == 0)
        fail_msg("seed %u: %u servers find no leader", (unsigned)seed,
                 (unsigned)world.server_count);
    sim_deinit(&world.sim);
}

static void after_any_chaos_there_is_one_leader(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++)
        play(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_servers_find_a_leader_and_another),
        cmocka_unit_test(who_has_waited_long_is_quick_when_another_comes),
        cmocka_unit_test(the_smaller_side_of_a_cut_decides_nothing),
        cmocka_unit_test(after_any_chaos_there_is_one_leader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
