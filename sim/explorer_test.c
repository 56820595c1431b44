/* Small bounds, exhausted: nothing is violated. How many states there are may change with the
 * machine; a change that nobody expects is worth a look. And the bounds bound. */
#include "sim/explorer.h"

#include "base/prng.h"
#include "test/unit_test.h"

static struct explorer explorer;

static void run(struct explorer_bounds bounds)
{
    if (bounds.depth_max == 0)
        bounds.depth_max = UINT32_MAX;
    if (bounds.state_count_max == 0)
        bounds.state_count_max = 400000;
    explorer_init(&explorer, bounds);
    explorer_run(&explorer);
    if (explorer.wrong != NULL) {
        explorer_tell(&explorer);
        fail_msg("%s", explorer.wrong);
    }
    explorer_deinit(&explorer);
}

static void test_one_server(void **state)
{
    (void)state;
    run((struct explorer_bounds){.server_count = 1, .transaction_count = 1});
    assert_true(explorer.is_exhausted);
    /* Elected, two epochs written, proposed, written: there is no other way. */
    assert_int_equal(explorer.state_count, 6);
    assert_int_equal(explorer.transition_count, 5);
}

static void test_three_servers(void **state)
{
    (void)state;
    run((struct explorer_bounds){.server_count = 3, .transaction_count = 2});
    assert_true(explorer.is_exhausted);
    assert_int_equal(explorer.state_count, 6309);
    run((struct explorer_bounds){.server_count = 3, .crash_count = 1, .transaction_count = 1});
    assert_true(explorer.is_exhausted);
    assert_int_equal(explorer.state_count, 116795);
}

static void test_free_elections(void **state)
{
    (void)state;
    run((struct explorer_bounds){
        .server_count = 3, .transaction_count = 1, .free_election_count = 3});
    assert_true(explorer.is_exhausted);
    assert_int_equal(explorer.state_count, 8679);
    run((struct explorer_bounds){.server_count = 3, .crash_count = 1, .free_election_count = 2});
    assert_true(explorer.is_exhausted);
    assert_int_equal(explorer.state_count, 80656);
}

static void test_bounds(void **state)
{
    (void)state;
    run((struct explorer_bounds){.server_count = 3, .crash_count = 1, .depth_max = 10});
    assert_false(explorer.is_exhausted);
    assert_int_equal(explorer.depth, 10);
    run((struct explorer_bounds){.server_count = 3, .crash_count = 1, .state_count_max = 1000});
    assert_false(explorer.is_exhausted);
    assert_int_equal(explorer.state_count, 1000);
}

/* ---- states ---- */

static struct prng prng;

static uint32_t below(uint32_t limit)
{
    return (uint32_t)prng_below(&prng, limit);
}

static bool is_pair(const struct zab_cluster_link *link, const struct zab_cluster_link *other)
{
    return link->id != 0 && link->servers[0] == other->servers[0] &&
           link->servers[1] == other->servers[1];
}

/* Where the link lies that lies in slot of a cluster that was read: between the same two, with as
 * many older ones. */
static uint32_t find_slot(const struct zab_cluster *cluster, const struct zab_cluster *read,
                          uint32_t slot)
{
    uint32_t older_count = 0;
    for (uint32_t index = 0; index < slot; index++)
        older_count += is_pair(&read->links[index], &read->links[slot]);
    for (uint32_t index = 0; index < zab_cluster_link_count_max; index++) {
        uint32_t count = 0;
        for (uint32_t other = 0; other < zab_cluster_link_count_max; other++)
            count += is_pair(&cluster->links[other], &read->links[slot]) &&
                     cluster->links[other].id < cluster->links[index].id;
        if (is_pair(&cluster->links[index], &read->links[slot]) && count == older_count)
            return index;
    }
    fail_msg("a link is missing");
    return 0;
}

struct happening {
    uint32_t dice;
    uint32_t server;
    uint32_t other;
    uint32_t end;
};

static void happen(struct zab_cluster *cluster, const struct happening *what, uint32_t slot)
{
    switch (what->dice) {
    case 0:
        if (what->server != what->other && zab_cluster_is_looking(cluster, what->other) &&
            zab_cluster_lead(cluster, what->server) &&
            zab_cluster_learn(cluster, what->other, what->server))
            (void)zab_cluster_dial(cluster, what->other);
        break;
    case 1:
        if (cluster->servers[what->other].zab.role == ZAB_ROLE_LEADER &&
            zab_cluster_learn(cluster, what->server, what->other))
            (void)zab_cluster_dial(cluster, what->server);
        break;
    case 2:
    case 3:
    case 4: (void)zab_cluster_flush(cluster, what->server, 1); break;
    case 5:
    case 6: (void)zab_cluster_sync(cluster, what->server); break;
    case 7:
        if (cluster->value < 8)
            (void)zab_cluster_propose(cluster, what->server);
        break;
    case 8:
        if (cluster->servers[what->server].zab.role == ZAB_ROLE_LEADER &&
            cluster->servers[what->server].zab.leader.learner_count == 0)
            (void)zab_cluster_stop(cluster, what->server);
        break;
    case 9:
        if (zab_cluster_crash(cluster, what->server))
            (void)zab_cluster_restart(cluster, what->server);
        break;
    default: (void)zab_cluster_deliver(cluster, slot, what->end); break;
    }
}

static struct happening draw(void)
{
    struct happening what = {below(40), below(3), below(3), below(2)};
    if (what.dice == 9 && below(20) != 0)
        what.dice = 10;
    return what;
}

/* What a state leaves out does not matter: a cluster that is written and read between any two
 * events has the same states as one that is not. */
static void test_states(void **state)
{
    (void)state;
    static struct zab_cluster clusters[2];
    static uint8_t bytes[2][zab_state_bytes_max];
    uint32_t full_count = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        prng_init(&prng, seed);
        for (uint32_t index = 0; index < 2; index++)
            zab_cluster_init(&clusters[index], (struct zab_cluster_options){.server_count = 3});
        for (uint32_t count = 0; count < 1000; count++) {
            const uint32_t size = zab_state_write(&clusters[0], bytes[0]);
            assert_int_equal(zab_state_write(&clusters[1], bytes[1]), size);
            assert_memory_equal(bytes[0], bytes[1], size);
            assert_int_equal(zab_state_read(&clusters[1], bytes[1]), size);
            const struct happening what = draw();
            const uint32_t slot = below(4);
            const bool is_link = clusters[1].links[slot].id != 0;
            if (what.dice >= 10 && !is_link)
                continue;
            happen(&clusters[0], &what, is_link ? find_slot(&clusters[0], &clusters[1], slot) : 0);
            happen(&clusters[1], &what, slot);
        }
        full_count += clusters[0].value == 8;
    }
    assert_true(full_count > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_server),     cmocka_unit_test(test_three_servers),
        cmocka_unit_test(test_free_elections), cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
