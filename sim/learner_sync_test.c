/* What a leader sends to learners of every kind, from memory, from the journal and as a snapshot,
 * while it goes on. */
#include "server/keeper/learner_sync.h"
#include "test/unit_test.h"

#include "base/bytes.h"
#include "keeper/snapshot_reader.h"
#include "sim/fake_link.h"
#include "sim/keeper_rig.h"
#include "zab/zab.h"

#include <stdio.h>

static struct sim sim;
static struct keeper_rig rig;
static struct fake_link fake;
static struct learner_sync sync;
static int64_t done_zxid;
static int64_t applied_when_done;
static int done_count;
static size_t unsent_max;

static void on_done(void *context, struct quorum_link *link, int64_t zxid)
{
    assert_ptr_equal(context, &fake);
    assert_ptr_equal(link, fake.link);
    assert_true(learner_sync_is_idle(&sync));
    done_zxid = zxid;
    applied_when_done = rig.server->keeper.zxid_applied;
    done_count++;
}

static void start(const char *more)
{
    memset(&sync, 0, sizeof sync); /* Of another server. */
    sim_init(&sim, (struct sim_options){.seed = 1, .node_count = 1});
    assert_int_equal(keeper_rig_start(&rig, sim.nodes[0], more), ERR_OK);
}

static void end(void)
{
    keeper_rig_stop(&rig);
    sim_deinit(&sim);
}

static void start_sync(int64_t peer_zxid)
{
    done_count = 0;
    done_zxid = -1;
    unsent_max = 0;
    fake_link_open(&fake, rig.node, &rig.diag);
    assert_int_equal(learner_sync_start(&sync, rig.server, fake.link, peer_zxid, on_done, &fake),
                     ERR_OK);
}

/* The keeper that a learner would have. */
struct learner {
    struct heap heap;
    struct arena arena;
    struct keeper keeper;
    int64_t zxid; /* Logged; of what is told to be committed. */
    int64_t proposed;
    int txn_count;
    enum zab_packet_type how;
    int64_t how_zxid;
    bool is_there; /* keeper is: it got a snapshot. */
};

static struct learner learner;

static void learner_init(int64_t zxid)
{
    static _Alignas(16) uint8_t memory[4 << 20];
    learner = (struct learner){.zxid = zxid};
    heap_init(&learner.heap, (struct heap_options){.limit_bytes = 64 << 20});
    arena_init(&learner.arena, memory, sizeof memory);
}

/* One turn of the world. */
static void turn(void)
{
    io_run(rig.node->io, 1000000);
    if (fake.link == NULL)
        return;
    const size_t unsent = quorum_link_unsent_bytes(fake.link);
    unsent_max = unsent > unsent_max ? unsent : unsent_max;
}

static void learner_deinit(void)
{
    fake_link_close(&fake);
    if (learner.is_there)
        keeper_deinit(&learner.keeper);
    assert_int_equal(learner.heap.block_count, 0);
}

static void learner_load(int64_t zxid)
{
    struct snapshot_reader reader;
    assert_int_equal(keeper_init(&learner.keeper, &learner.heap, rig.server->keeper.options, 0),
                     ERR_OK);
    learner.is_there = true;
    snapshot_reader_init_stream(&reader, &learner.keeper, &learner.arena, zxid, 0);
    while (!snapshot_reader_is_at_end(&reader)) {
        size_t used;
        assert_int_equal(
            snapshot_reader_feed_stream(
                &reader, slice_of(fake.bytes + fake.taken, fake.size - fake.taken), &used),
            ERR_OK);
        fake.taken += used;
        assert_null(fake.closed);
        if (!snapshot_reader_is_at_end(&reader))
            turn();
    }
    while (fake.size - fake.taken < 14)
        turn();
    assert_memory_equal(fake.bytes + fake.taken,
                        "\0\0\0\x0a"
                        "BenWasHere",
                        14);
    fake.taken += 14;
    assert_int_equal(snapshot_reader_finish(&reader), ERR_OK);
    snapshot_reader_deinit(&reader);
}

static void learner_take_txn(const struct zk_quorum_packet *packet)
{
    struct txn txn;
    struct txn_result result;
    arena_reset(&learner.arena);
    assert_int_equal(txn_codec_decode_entry(packet->data, &learner.arena, &txn), ERR_OK);
    assert_int_equal(txn.zxid, packet->zxid);
    const bool follows = packet->zxid == learner.zxid + 1 ||
                         (packet->zxid >> 32 > learner.zxid >> 32 && (uint32_t)packet->zxid == 1);
    if (!follows)
        fail_msg("%llx after %llx", (long long)packet->zxid, (long long)learner.zxid);
    assert_int_equal(learner.proposed, 0);
    learner.proposed = packet->zxid;
    if (learner.is_there)
        keeper_apply(&learner.keeper, &txn, 0, NULL, &learner.arena, &result);
}

static void learner_take(const struct zk_quorum_packet *packet)
{
    assert_int_equal(packet->identities.count, -1);
    switch (packet->type) {
    case ZAB_PROPOSAL: learner_take_txn(packet); return;
    case ZAB_COMMIT:
        assert_null(packet->data.data);
        assert_int_equal(packet->zxid, learner.proposed);
        learner.proposed = 0;
        learner.zxid = packet->zxid;
        learner.txn_count++;
        return;
    case ZAB_DIFF:
    case ZAB_TRUNC:
    case ZAB_SNAP:
        assert_int_equal(learner.how, 0);
        learner.how = (enum zab_packet_type)packet->type;
        learner.how_zxid = packet->zxid;
        if (packet->type != ZAB_DIFF)
            learner.zxid = packet->zxid;
        if (packet->type == ZAB_SNAP)
            learner_load(packet->zxid);
        return;
    default: fail_msg("packet of type %d", packet->type);
    }
}

static bool is_told(void)
{
    return done_count > 0 && learner.zxid == done_zxid && learner.how != 0 && learner.proposed == 0;
}

/* Until it is done and all has come, or the link closes. */
static void learn(int64_t peer_zxid)
{
    struct zk_quorum_packet packet;
    start_sync(peer_zxid);
    learner_init(peer_zxid);
    while (fake.closed == NULL && !is_told()) {
        turn();
        while (fake_link_next(&fake, &packet))
            learner_take(&packet);
    }
    assert_true(unsent_max < learner_sync_unsent_bytes_max + (1 << 20));
}

static void expect(int64_t peer_zxid, enum zab_packet_type how, int64_t how_zxid, int count)
{
    const int64_t last = rig.server->keeper.zxid_applied;
    learn(peer_zxid);
    if (learner.how != how || learner.how_zxid != how_zxid || learner.txn_count != count)
        fail_msg("peer %llx: packet %d, zxid %llx, %d transactions", (long long)peer_zxid,
                 (int)learner.how, (long long)learner.how_zxid, learner.txn_count);
    assert_null(fake.closed);
    assert_int_equal(learner.zxid, last);
    assert_int_equal(done_zxid, last);
    if (learner.is_there)
        assert_true(keeper_rig_is_equal(&learner.keeper, &rig.server->keeper));
    learner_deinit();
}

static void from_memory(void **state)
{
    (void)state;
    start("");
    keeper_rig_write_some(&rig, 1, 60);
    const int64_t first_end = rig.server->keeper.zxid_applied;
    keeper_rig_begin_epoch(&rig, 3);
    keeper_rig_write_some(&rig, 2, 60);
    const int64_t last = rig.server->keeper.zxid_applied;
    const int count = (int)(last & 0xffffffff);
    for (int64_t zxid = 1; zxid <= first_end; zxid++)
        expect(zxid, ZAB_DIFF, last, count + (int)(first_end - zxid));
    for (int64_t zxid = 0x300000000; zxid <= last; zxid++)
        expect(zxid, ZAB_DIFF, last, (int)(last - zxid));
    expect(0x200000000, ZAB_DIFF, last, count);
    expect(last + 7, ZAB_TRUNC, last, 0);
    expect(0x700000007, ZAB_TRUNC, last, 0);
    expect(0x700000000, ZAB_SNAP, last, 0);
    expect(first_end + 1, ZAB_SNAP, last, 0);
    expect(0x200000001, ZAB_SNAP, last, 0);
    expect(0, ZAB_SNAP, last, 0); /* The journal does not begin at or before it. */
    end();
}

/* A small memory, so that most must come from the files, which are several. */
static void from_the_journal(void **state)
{
    (void)state;
    start("snapshotSizeFactor=0\n");
    txn_cache_deinit(&rig.server->cache);
    assert_int_equal(txn_cache_init(&rig.server->cache, &rig.node->heap,
                                    (struct txn_cache_options){10, 1 << 20}),
                     ERR_OK);
    keeper_rig_write_some(&rig, 1, 60);
    const int64_t first_end = rig.server->keeper.zxid_applied;
    keeper_rig_begin_epoch(&rig, 3);
    for (uint64_t seed = 2; seed < 6; seed++) {
        rig.server->wants_roll = true;
        keeper_rig_write_some(&rig, seed, 60);
    }
    const int64_t last = rig.server->keeper.zxid_applied;
    const int count = (int)(last & 0xffffffff);
    for (int64_t zxid = 1; zxid <= first_end; zxid += 7)
        expect(zxid, ZAB_DIFF, last, count + (int)(first_end - zxid));
    for (int64_t zxid = 0x300000000; zxid <= last; zxid += 7)
        expect(zxid, ZAB_DIFF, last, (int)(last - zxid));
    expect(first_end + 1, ZAB_SNAP, last, 0);
    rig.server->config.snapshot_size_factor = -1;
    expect(1, ZAB_SNAP, last, 0);
    rig.server->config.snapshot_size_factor = 0.33; /* Of the empty one. */
    expect(1, ZAB_SNAP, last, 0);
    rig.server->config.forces_snapshot = true;
    expect(last, ZAB_SNAP, last, 0);
    end();
}

/* The leader writes while it sends: nothing is missing, and done comes when all is there. */
static void while_the_leader_goes_on(void **state)
{
    (void)state;
    static const int peers[] = {1, 40, 0};
    for (size_t i = 0; i < ARRAY_COUNT(peers); i++) {
        struct zk_quorum_packet packet;
        start("snapshotSizeFactor=0\n");
        keeper_rig_write_some(&rig, 1, 100);
        start_sync(peers[i]);
        learner_init(peers[i]);
        for (int round = 0; !is_told(); round++) {
            char path[32];
            snprintf(path, sizeof path, "/round%d", round);
            if (round < 300)
                keeper_rig_create(&rig, 0, path, 200000);
            turn();
            while (fake_link_next(&fake, &packet))
                learner_take(&packet);
        }
        assert_int_equal(learner.how, peers[i] == 0 ? ZAB_SNAP : ZAB_DIFF);
        assert_int_equal(learner.zxid, done_zxid);
        assert_int_equal(done_zxid, applied_when_done);
        assert_true(learner.zxid > 100);
        learner_deinit();
        keeper_rig_run_all(&rig);
        end();
    }
}

/* A learner that does not read: what waits for it is bounded, and it may go at any time. */
static void a_learner_that_does_not_read(void **state)
{
    (void)state;
    for (int peer = 0; peer <= 1; peer++) {
        start("snapshotSizeFactor=0\n");
        for (int i = 0; i < 40; i++) {
            char path[32];
            snprintf(path, sizeof path, "/large%d", i);
            keeper_rig_create(&rig, 0, path, 250000);
        }
        keeper_rig_run_all(&rig);
        for (int turns = 0; turns < 60; turns++) {
            start_sync(peer);
            quorum_link_pause(fake.other);
            for (int i = 0; i < turns; i++)
                turn();
            assert_int_equal(done_count, 0);
            assert_true(unsent_max < learner_sync_unsent_bytes_max + (1 << 20));
            if (turns == 59)
                assert_true(unsent_max >= learner_sync_unsent_bytes_max);
            learner_sync_cancel(&sync);
            memset(&sync, 0, sizeof sync);
            fake_link_close(&fake);
        }
        size_t used_before = 0; /* Nothing is left behind. */
        for (int i = 0; i < 2; i++) {
            start_sync(peer);
            quorum_link_pause(fake.other);
            for (int k = 0; k < 30; k++)
                turn();
            learner_sync_cancel(&sync);
            fake_link_close(&fake);
            assert_true(i == 0 || rig.node->heap.used_bytes <= used_before);
            used_before = rig.node->heap.used_bytes;
        }
        end();
    }
}

/* A hole in the journal, as Apache's servers leave behind a snapshot of their leader's: the first
 * try ends, the next one gets a snapshot. */
static void a_hole_in_the_journal(void **state)
{
    (void)state;
    start("snapshotSizeFactor=0\n");
    keeper_rig_write_some(&rig, 1, 40);
    const int64_t first_end = rig.server->keeper.zxid_applied;
    rig.server->keeper.zxid_prepared += 10;
    rig.server->wants_roll = true;
    keeper_rig_write_some(&rig, 2, 40);
    const int64_t last = rig.server->keeper.zxid_applied;
    txn_cache_reset(&rig.server->cache, last);
    learn(first_end - 3);
    assert_non_null(fake.closed);
    assert_true(learner_sync_is_idle(&sync));
    assert_int_equal(done_count, 0);
    learner_deinit();
    expect(first_end - 3, ZAB_SNAP, last, 0);
    expect(last - 3, ZAB_DIFF, last, 3);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_memory),
        cmocka_unit_test(from_the_journal),
        cmocka_unit_test(while_the_leader_goes_on),
        cmocka_unit_test(a_learner_that_does_not_read),
        cmocka_unit_test(a_hole_in_the_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
