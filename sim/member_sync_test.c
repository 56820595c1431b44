/* A leader's part and a learner's part against each other, over a simulated network: whatever the
 * learner has, in the end both hold the same, in memory and on the disk; also if the link breaks or
 * the learner's power goes at any moment, and it tries again.
 */
#include "server/keeper/learner_sync.h"
#include "test/unit_test.h"

#include "sim/keeper_rig.h"
#include "sim/sim_net.h"
#include "zab/zab.h"

#include <stdio.h>

enum { quorum_port_number = 2888, patience_s = 600 };

static struct sim sim;
static struct keeper_rig leader;
static struct keeper_rig learner;

/* ---- the leader ---- */

static struct quorum_port leader_port;
static struct learner_sync syncs[64]; /* One for each link. */

static void send(struct quorum_link *link, enum zab_packet_type type, int64_t zxid)
{
    struct zk_quorum_packet packet = {.type = (int32_t)type, .zxid = zxid};
    packet.identities.count = -1;
    quorum_link_send(link, &packet);
}

static void on_caught_up(void *context, struct quorum_link *link, int64_t zxid)
{
    (void)context;
    assert_int_equal(zxid, leader.server->keeper.zxid_applied);
    send(link, ZAB_UP_TO_DATE, zxid);
}

static void leader_on_up(void *context, struct quorum_link *link)
{
    (void)context;
    for (size_t i = 0; i < ARRAY_COUNT(syncs) && link->user == NULL; i++)
        if (learner_sync_is_idle(&syncs[i]))
            link->user = &syncs[i];
    assert_non_null(link->user);
}

static void leader_on_packet(void *context, struct quorum_link *link,
                             struct zk_quorum_packet *packet)
{
    (void)context;
    assert_int_equal(packet->type, ZAB_ACK_EPOCH);
    assert_int_equal(
        learner_sync_start(link->user, leader.server, link, packet->zxid, on_caught_up, NULL),
        ERR_OK);
}

static void leader_on_room(void *context, struct quorum_link *link)
{
    (void)context;
    learner_sync_on_room(link->user);
}

static void leader_on_down(void *context, struct quorum_link *link, const char *reason)
{
    (void)context;
    (void)reason;
    learner_sync_cancel(link->user);
}

static size_t no_bytes(void *context, struct quorum_link *link, struct slice bytes)
{
    (void)context;
    (void)link;
    (void)bytes;
    fail_msg("raw bytes to the leader");
    return 0;
}

static const struct quorum_port_options port_options = {.packet_bytes_max = 4 << 20,
                                                        .link_count_max = 16,
                                                        .connect_timeout_ms = 10000,
                                                        .unsent_bytes_max = 8 << 20};

static void open_leader(const char *more)
{
    struct io_address address;
    assert_int_equal(keeper_rig_start(&leader, sim.nodes[0], more), ERR_OK);
    assert_int_equal(quorum_port_init(&leader_port, leader.node->io, &leader.node->heap,
                                      &leader.diag, port_options,
                                      (struct quorum_port_handler){.on_up = leader_on_up,
                                                                   .on_packet = leader_on_packet,
                                                                   .on_bytes = no_bytes,
                                                                   .on_room = leader_on_room,
                                                                   .on_down = leader_on_down}),
                     ERR_OK);
    assert_true(io_resolve(leader.node->io, "10.0.0.1", quorum_port_number, &address) >= 0);
    assert_int_equal(quorum_port_listen(&leader_port, &address), ERR_OK);
}

/* The leader's process: does what it is told, and serves. */
static void (*leader_task)(void);
static const char *leader_settings;

static void lead(struct sim_node *node, void *argument)
{
    (void)argument;
    open_leader(leader_settings);
    for (;;) {
        if (leader_task != NULL)
            leader_task();
        leader_task = NULL;
        io_run(node->io, 1000000);
    }
}

static bool is_told_done(void *context)
{
    (void)context;
    return leader_task == NULL;
}

static void tell_leader(void (*task)(void))
{
    leader_task = task;
    assert_true(sim_run(&sim, UINT64_MAX, is_told_done, NULL));
}

static void write_first(void)
{
    keeper_rig_write_some(&leader, 1, 60);
}

static void write_more(void)
{
    keeper_rig_begin_epoch(&leader, 4);
    keeper_rig_write_some(&leader, 2, 60);
}

/* ---- the learner ---- */

struct member {
    struct quorum_port port;
    struct quorum_link *link; /* NULL: none. */
    enum zab_packet_type how;
    bool is_busy;       /* It cuts or takes a snapshot. */
    bool is_up_to_date; /* As the leader told. */
    bool was_down;
    int64_t zxid_before; /* Of the tree that a snapshot takes the place of. */
    uint64_t digest_before;
    uint32_t break_after; /* Events, then the link breaks; 0: never. */
    enum err err;
};

static struct member member;

static void resume(void)
{
    if (member.link != NULL)
        quorum_link_resume(member.link);
}

static void on_cut(void *context, enum err err)
{
    (void)context;
    member.is_busy = false;
    member.err = err;
    /* It does not have what it is to end with: it looks again. */
    if (err != ERR_OK && member.link != NULL)
        quorum_link_close(member.link, "cut further back");
    resume();
}

static void on_taken(void *context, enum err err)
{
    (void)context;
    member.is_busy = false;
    member.err = err;
    if (err != ERR_OK) { /* As it was. */
        assert_int_equal(learner.server->keeper.zxid_applied, member.zxid_before);
        assert_int_equal(learner.server->keeper.tree.digest, member.digest_before);
    }
    if (err != ERR_OK && member.link != NULL)
        quorum_link_close(member.link, "no snapshot");
    resume();
}

static void learner_on_up(void *context, struct quorum_link *link)
{
    (void)context;
    member.link = link;
    send(link, ZAB_ACK_EPOCH, learner.server->keeper.zxid_applied);
}

static bool breaks(struct quorum_link *link)
{
    if (member.break_after == 0 || --member.break_after > 0)
        return false;
    quorum_link_close(link, "broken");
    return true;
}

static void learner_on_packet(void *context, struct quorum_link *link,
                              struct zk_quorum_packet *packet)
{
    (void)context;
    if (breaks(link))
        return;
    switch (packet->type) {
    case ZAB_DIFF: member.how = ZAB_DIFF; return;
    case ZAB_TRUNC:
        member.how = ZAB_TRUNC;
        member.is_busy = true;
        quorum_link_pause(link);
        tree_reload_start(learner.server, packet->zxid, on_cut, NULL);
        return;
    case ZAB_SNAP:
        member.how = ZAB_SNAP;
        member.is_busy = true;
        member.zxid_before = learner.server->keeper.zxid_applied;
        member.digest_before = learner.server->keeper.tree.digest;
        quorum_link_set_raw(link, true);
        snapshot_intake_start(learner.server, packet->zxid, on_taken, NULL);
        return;
    case ZAB_PROPOSAL: keeper_rig_log(&learner, packet->zxid, packet->data); return;
    case ZAB_COMMIT: return;
    case ZAB_UP_TO_DATE: member.is_up_to_date = true; return;
    default: fail_msg("packet of type %d", packet->type);
    }
}

static size_t learner_on_bytes(void *context, struct quorum_link *link, struct slice bytes)
{
    struct snapshot_intake *intake = &learner.server->intake;
    (void)context;
    if (breaks(link))
        return bytes.size;
    const size_t used = snapshot_intake_feed(intake, bytes);
    if (snapshot_intake_is_fed(intake)) {
        quorum_link_set_raw(link, false);
        quorum_link_pause(link);
    }
    return used;
}

static void learner_on_down(void *context, struct quorum_link *link, const char *reason)
{
    (void)context;
    (void)link;
    (void)reason;
    member.link = NULL;
    member.was_down = true;
    snapshot_intake_cancel(&learner.server->intake);
}

/* One try; true: it came to an end as it should. */
static bool try_sync(void)
{
    struct io_address address;
    member.is_up_to_date = member.was_down = false;
    member.how = (enum zab_packet_type)0;
    assert_true(io_resolve(learner.node->io, "10.0.0.1", quorum_port_number, &address) >= 0);
    if (quorum_port_dial(&member.port, &address) == NULL)
        return false;
    while (!member.is_up_to_date && !member.was_down)
        io_run(learner.node->io, UINT64_MAX);
    if (member.link != NULL)
        quorum_link_close(member.link, "done");
    while (keeper_rig_is_logging(&learner) || member.is_busy)
        io_run(learner.node->io, UINT64_MAX);
    return member.is_up_to_date;
}

static enum err open_learner(struct sim_node *node)
{
    const uint32_t break_after = member.break_after;
    const enum err err = keeper_rig_start(&learner, node, "");
    if (err != ERR_OK)
        return err;
    member = (struct member){.break_after = break_after};
    return quorum_port_init(&member.port, node->io, &node->heap, &learner.diag, port_options,
                            (struct quorum_port_handler){.on_up = learner_on_up,
                                                         .on_packet = learner_on_packet,
                                                         .on_bytes = learner_on_bytes,
                                                         .on_down = learner_on_down});
}

/* The process of the learner's node: tries until it is up to date. */
static void learn(struct sim_node *node, void *argument)
{
    int *tries = argument;
    if (open_learner(node) != ERR_OK)
        fail_msg("the learner does not start: %s", learner.told);
    bool is_done = false;
    while (!is_done) {
        (*tries)++;
        is_done = try_sync();
        member.break_after = 0;
    }
}

/* ---- worlds ---- */

static void start_world(const char *settings)
{
    sim_init(&sim, (struct sim_options){.seed = 1, .node_count = 2});
    memset(syncs, 0, sizeof syncs);
    member.break_after = 0;
    leader_settings = settings;
    leader_task = NULL;
    sim_node_start(sim.nodes[0], lead, NULL);
}

static void expect_equal(void)
{
    if (!keeper_rig_is_equal(&leader.server->keeper, &learner.server->keeper))
        fail_msg("leader at %llx, learner at %llx, digests %llx %llx",
                 (long long)leader.server->keeper.zxid_applied,
                 (long long)learner.server->keeper.zxid_applied,
                 (long long)leader.server->keeper.tree.digest,
                 (long long)learner.server->keeper.tree.digest);
}

/* Runs the learner until it is up to date; compares, also after a restart. */
static enum zab_packet_type sync_and_compare(void)
{
    int tries = 0;
    member.break_after = 0;
    sim_node_start(sim.nodes[1], learn, &tries);
    assert_true(sim_node_wait(sim.nodes[1], sim.now_ns + (uint64_t)patience_s * 1000000000));
    assert_int_equal(sim.nodes[1]->end, SIM_NODE_RETURNED);
    const enum zab_packet_type how = member.how;
    assert_int_equal(keeper_rig_start(&learner, sim.nodes[1], ""), ERR_OK);
    expect_equal();
    /* Nothing is left in front of a snapshot: it would have a hole. */
    const struct journal_segment *first = journal_segment_first(&learner.server->journal);
    if (how == ZAB_SNAP && first != NULL)
        assert_true(first->base > (uint64_t)learner.server->snapshot.zxid_last);
    keeper_rig_stop(&learner);
    return how;
}

/* A learner's disk with all transactions of the leader's, and then some of its own. */
static void prepare(struct sim_node *node, void *argument)
{
    const int *own_count = argument;
    int tries = 0;
    learn(node, &tries);
    keeper_rig_begin_epoch(&learner, 3);
    keeper_rig_write_some(&learner, 77, *own_count);
}

static void run_learner(void (*process)(struct sim_node *node, void *argument), int *argument)
{
    sim_node_start(sim.nodes[1], process, argument);
    assert_true(sim_node_wait(sim.nodes[1], sim.now_ns + (uint64_t)patience_s * 1000000000));
}

static void prepare_learner(int own_count)
{
    run_learner(prepare, &own_count);
    assert_int_equal(sim.nodes[1]->end, SIM_NODE_RETURNED);
}

/* ---- tests ---- */

static int first_count;

static void write_so_many(void)
{
    if (first_count > 0)
        keeper_rig_write_some(&leader, 3, first_count);
}

static void a_new_learner(void **state)
{
    (void)state;
    static const int counts[] = {0, 1, 5, 300};
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        start_world("");
        first_count = counts[i];
        tell_leader(write_so_many);
        assert_int_equal(sync_and_compare(), counts[i] == 0 ? ZAB_DIFF : ZAB_SNAP);
        sim_deinit(&sim);
    }
}

static void one_that_was_away(void **state)
{
    (void)state;
    start_world("");
    tell_leader(write_first);
    prepare_learner(0);
    tell_leader(write_more);
    assert_int_equal(sync_and_compare(), ZAB_DIFF);
    assert_int_equal(sync_and_compare(), ZAB_DIFF);
    sim_deinit(&sim);
}

static void one_with_a_tail_of_its_own(void **state)
{
    (void)state;
    for (int goes_on = 0; goes_on < 2; goes_on++) {
        start_world("");
        tell_leader(write_first);
        prepare_learner(7);
        if (goes_on)
            tell_leader(write_more);
        assert_int_equal(sync_and_compare(), goes_on ? ZAB_SNAP : ZAB_TRUNC);
        sim_deinit(&sim);
    }
}

static const char *const settings_of_kind[] = {"", "forceSnapshotSync=true\n"};

/* TRUNC and DIFF, or SNAP. */
static void start_kind(int kind)
{
    start_world(settings_of_kind[kind]);
    tell_leader(write_first);
    prepare_learner(7);
    if (kind == 1)
        tell_leader(write_more);
}

static void broken_links(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        bool is_over = false;
        for (uint32_t events = 1; !is_over; events++) {
            int tries = 0;
            start_kind(kind);
            member.break_after = events;
            run_learner(learn, &tries);
            assert_int_equal(sim.nodes[1]->end, SIM_NODE_RETURNED);
            is_over = tries == 1;
            sync_and_compare();
            sim_deinit(&sim);
        }
    }
}

static void power_losses(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        bool is_over = false;
        for (uint64_t boundary = 1; !is_over; boundary++) {
            for (int loss = 0; loss < sim_loss_count; loss++) {
                int tries = 0;
                start_kind(kind);
                sim_crash_at(sim.nodes[1], boundary, (enum sim_loss)loss);
                run_learner(learn, &tries);
                is_over = sim.nodes[1]->end == SIM_NODE_RETURNED;
                assert_true(is_over || sim.nodes[1]->end == SIM_NODE_LOST_POWER);
                sim_crash_at(sim.nodes[1], 0, SIM_LOSS_ALL);
                sync_and_compare();
                sim_deinit(&sim);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_learner),
        cmocka_unit_test(one_that_was_away),
        cmocka_unit_test(one_with_a_tail_of_its_own),
        cmocka_unit_test(broken_links),
        cmocka_unit_test(power_losses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
