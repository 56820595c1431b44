/* Random lives of small ensembles, by seed: whatever happens, the cluster's checks hold; and when
 * nothing breaks any more, all come to serve one history. ZAB_SEEDS=n tries seeds 1 to n,
 * ZAB_SEED=n tells one. */
#include "sim/zab_cluster.h"

#include "base/prng.h"
#include "test/unit_test.h"

#include <stdio.h>
#include <stdlib.h>

enum { seed_count_usual = 300, action_count = 3000, heal_action_count_max = 60000 };

static struct zab_cluster cluster;
static struct prng prng;
static uint32_t deaf; /* A server to which nothing gets, for a while. */

static uint32_t below(uint32_t limit)
{
    return (uint32_t)prng_below(&prng, limit);
}

static uint32_t any_server(void)
{
    return below(cluster.server_count);
}

static bool is_quorum_looking(void)
{
    struct ensemble_set set = {0};
    for (uint32_t index = 0; index < cluster.server_count; index++)
        if (zab_cluster_is_looking(&cluster, index))
            ensemble_set_add(&cluster.ensemble, &set, index + 1);
    return ensemble_is_quorum(&cluster.ensemble, set);
}

/* A server that has accepted a later epoch than a leader that came to rule nevertheless is kept
 * out, as Apache's keep it, until there is an election again: here somebody asks for one. */
static void free_locked_out(void)
{
    for (uint32_t leader = 0; leader < cluster.server_count; leader++)
        for (uint32_t other = 0; other < cluster.server_count; other++)
            if (cluster.servers[leader].zab.role == ZAB_ROLE_LEADER &&
                cluster.servers[leader].is_serving &&
                cluster.servers[other].durable.accepted_epoch >
                    cluster.servers[leader].zab.leader.epoch)
                (void)zab_cluster_stop(&cluster, leader);
}

/* Those that look elect the best of them; or, if that need not be fair, some of them anyone. */
static void elect(bool is_fair)
{
    uint32_t best = UINT32_MAX;
    if (is_fair)
        free_locked_out();
    if (is_fair && !is_quorum_looking())
        return;
    bool takes_part[zab_cluster_server_count_max] = {false};
    for (uint32_t index = 0; index < cluster.server_count; index++) {
        takes_part[index] = zab_cluster_is_looking(&cluster, index) && (is_fair || below(100) < 80);
        if (takes_part[index] && !cluster.servers[index].is_observer &&
            (best == UINT32_MAX ||
             (is_fair || below(100) < 85 ? zab_cluster_is_better(&cluster, index, best)
                                         : below(2) == 0)))
            best = index;
    }
    if (best == UINT32_MAX || !zab_cluster_lead(&cluster, best))
        return;
    for (uint32_t index = 0; index < cluster.server_count; index++)
        if (takes_part[index])
            (void)zab_cluster_learn(&cluster, index, best);
}

static void join(void)
{
    const uint32_t leader = any_server();
    if (cluster.servers[leader].is_up && cluster.servers[leader].zab.role == ZAB_ROLE_LEADER)
        (void)zab_cluster_learn(&cluster, any_server(), leader);
}

static void deliver_any(void)
{
    const uint32_t from = below(zab_cluster_link_count_max * 2);
    for (uint32_t at = 0; at < zab_cluster_link_count_max * 2; at++) {
        const uint32_t slot = (from + at) % (zab_cluster_link_count_max * 2);
        if (cluster.links[slot / 2].servers[slot % 2] != deaf &&
            zab_cluster_deliver(&cluster, slot / 2, slot % 2))
            return;
    }
}

static void live(bool is_fair)
{
    const uint32_t dice = below(1000);
    if (dice < 550)
        deliver_any();
    else if (dice < 750)
        (void)zab_cluster_flush(&cluster, any_server(), 1 + below(4));
    else if (dice < 800)
        (void)zab_cluster_sync(&cluster, any_server());
    else if (dice < 860)
        (void)zab_cluster_dial(&cluster, any_server());
    else if (dice < 880)
        zab_cluster_pass_time(&cluster);
    else if (dice < 900)
        join();
    else if (dice < 910)
        elect(is_fair);
}

static void harm(uint32_t harm_permille, uint32_t stop_permille)
{
    if (below(1000) < stop_permille)
        (void)zab_cluster_stop(&cluster, any_server());
    if (below(1000) < harm_permille)
        (void)zab_cluster_crash(&cluster, any_server());
    if (below(1000) < 4 * harm_permille)
        (void)zab_cluster_restart(&cluster, any_server());
    if (below(1000) < 2 * harm_permille)
        (void)zab_cluster_break(&cluster, below(zab_cluster_link_count_max), below(2));
}

/* Leaves room in the history for what comes after healing. */
static void propose(void)
{
    if (cluster.value < zab_cluster_log_max - 8)
        (void)zab_cluster_propose(&cluster, any_server());
}

static void make_deaf(void)
{
    const uint32_t dice = below(1000);
    if (dice < 3)
        deaf = any_server();
    else if (dice < 10)
        deaf = UINT32_MAX;
}

static bool heal(void)
{
    deaf = UINT32_MAX;
    int64_t value_end = 0;
    for (uint32_t index = 0; index < cluster.server_count; index++)
        (void)zab_cluster_restart(&cluster, index);
    for (uint32_t count = 0; count < heal_action_count_max && cluster.wrong == NULL; count++) {
        live(true);
        if (!zab_cluster_is_settled(&cluster))
            continue;
        if (value_end == 0)
            value_end = cluster.value + 3;
        if (cluster.value == value_end)
            return true;
        for (uint32_t index = 0; index < cluster.server_count; index++)
            (void)zab_cluster_propose(&cluster, index);
    }
    return false;
}

static const char *run(uint64_t seed, bool is_told)
{
    prng_init(&prng, seed);
    const uint32_t sizes[][2] = {{1, 0}, {2, 0}, {3, 0}, {3, 0}, {3, 0}, {4, 1}, {5, 0}, {5, 2}};
    const uint32_t *size = sizes[below(ARRAY_COUNT(sizes))];
    zab_cluster_init(&cluster, (struct zab_cluster_options){size[0], size[1]});
    cluster.is_told = is_told;
    deaf = UINT32_MAX;
    const bool may_be_deaf = below(2) == 0;
    const uint32_t harm_permille = below(7);
    const uint32_t stop_permille = below(2) == 0 ? 0 : below(30);
    for (uint32_t count = 0; count < action_count && cluster.wrong == NULL; count++) {
        live(false);
        harm(harm_permille, stop_permille);
        if (may_be_deaf)
            make_deaf();
        if (below(100) < 4)
            propose();
        if (below(100) < 4)
            (void)zab_cluster_confirm(&cluster, any_server());
    }
    if (cluster.wrong == NULL && !heal() && cluster.wrong == NULL)
        return "it does not settle";
    return cluster.wrong;
}

static uint32_t read_number(const char *name)
{
    const char *text = getenv(name);
    return text == NULL ? 0 : (uint32_t)strtoul(text, NULL, 10);
}

static void test_seeds(void **state)
{
    (void)state;
    const uint32_t told = read_number("ZAB_SEED");
    const uint32_t wanted = read_number("ZAB_SEEDS");
    const uint32_t end = told != 0 ? told : wanted != 0 ? wanted : seed_count_usual;
    uint64_t sums[8] = {0};
    for (uint32_t seed = told != 0 ? told : 1; seed <= end; seed++) {
        const char *wrong = run(seed, told != 0);
        if (wrong != NULL)
            fail_msg("seed %u: %s", seed, wrong);
        sums[0] += cluster.established_count;
        sums[1] += cluster.served_count;
        sums[2] += cluster.committed.count;
        sums[3] += cluster.diff_count;
        sums[4] += cluster.truncate_count;
        sums[5] += cluster.snapshot_count;
        sums[6] += cluster.drop_count;
        sums[7] += cluster.confirmed_count;
    }
    if (wanted != 0)
        printf("%llu leaders, %llu learners that served, %llu commits, %llu DIFF, %llu TRUNC, "
               "%llu SNAP, %llu drops, %llu confirmations\n",
               (unsigned long long)sums[0], (unsigned long long)sums[1],
               (unsigned long long)sums[2], (unsigned long long)sums[3],
               (unsigned long long)sums[4], (unsigned long long)sums[5],
               (unsigned long long)sums[6], (unsigned long long)sums[7]);
    assert_true(told != 0 || (sums[0] > 0 && sums[1] > 0 && sums[2] > 0 && sums[3] > 0 &&
                              sums[4] > 0 && sums[5] > 0 && sums[7] > 0));
}

/* Until nothing more happens, but at the server that is deaf. */
static void run_out(void)
{
    for (bool has_acted = true; has_acted;) {
        has_acted = false;
        for (uint32_t index = 0; index < cluster.server_count; index++) {
            has_acted |= zab_cluster_dial(&cluster, index);
            has_acted |= zab_cluster_sync(&cluster, index);
            has_acted |= zab_cluster_flush(&cluster, index, UINT32_MAX);
        }
        for (uint32_t slot = 0; slot < zab_cluster_link_count_max * 2; slot++)
            has_acted |= cluster.links[slot / 2].servers[slot % 2] != deaf &&
                         zab_cluster_deliver(&cluster, slot / 2, slot % 2);
    }
    assert_null(cluster.wrong);
}

static void lead_with(uint32_t leader, uint32_t follower)
{
    assert_true(zab_cluster_lead(&cluster, leader));
    assert_true(zab_cluster_learn(&cluster, follower, leader));
    run_out();
    assert_true(cluster.servers[leader].is_serving && cluster.servers[follower].is_serving);
}

/* Server 1 leads, 2 follows; while 1 hears nothing, 2 leads 3, and they commit something. */
static void test_an_old_leader_does_not_confirm(void **state)
{
    (void)state;
    zab_cluster_init(&cluster, (struct zab_cluster_options){.server_count = 3});
    deaf = UINT32_MAX;
    lead_with(0, 1);
    assert_true(zab_cluster_propose(&cluster, 0));
    assert_true(zab_cluster_confirm(&cluster, 0));
    run_out();
    assert_int_equal(cluster.confirmed_count, 1);

    deaf = 0;
    assert_true(zab_cluster_confirm(&cluster, 0)); /* The answer is on the way, */
    run_out();
    assert_true(zab_cluster_stop(&cluster, 1));
    lead_with(1, 2);
    assert_true(zab_cluster_propose(&cluster, 1));
    run_out();
    assert_int_equal(cluster.committed.count, 2);
    assert_true(zab_cluster_confirm(&cluster, 0)); /* when the next question comes. */
    assert_true(cluster.servers[0].is_serving);
    deaf = UINT32_MAX;
    run_out();
    assert_int_equal(cluster.servers[0].ticket, 3);
    assert_int_equal(cluster.confirmed_count, 2);
    assert_true(zab_cluster_confirm(&cluster, 1));
    run_out();
    assert_int_equal(cluster.confirmed_count, 3);
}

static void test_same_seed_same_life(void **state)
{
    (void)state;
    assert_null(run(7, false));
    const uint64_t trace = cluster.trace;
    assert_null(run(7, false));
    assert_int_equal(cluster.trace, trace);
    assert_null(run(8, false));
    assert_int_not_equal(cluster.trace, trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_an_old_leader_does_not_confirm),
        cmocka_unit_test(test_same_seed_same_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
