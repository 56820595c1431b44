/* The published bugs of ZooKeeper's synchronisation, played against a shipped server: a leader by
 * hand (sim/raw_leader.h) says what the leaders of those stories said, and power or disk fail at
 * each moment at which they could. docs/simulation.md says which bug is which script.
 *
 * After each failure the server says to its next leader what it has. That is judged by what it has
 * acknowledged, and when it has got the rest, its tree is that of a server to which nothing
 * happened.
 */
#include "server/keeper/keeper_server.h"
#include "server/keeper/quorum_peer.h"
#include "test/unit_test.h"

#include "keeper/snapshot_writer.h"
#include "sim/keeper_rig.h"
#include "sim/raw_leader.h"
#include "zab/quorum_packet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ZXID(epoch, counter) ((int64_t)(epoch) << 32 | (int64_t)(counter))

enum {
    patience_s = 60,
    txn_count_max = 16,
    entry_bytes_max = 512,
    stream_bytes_max = 1 << 20,
    session_id = 0x1234,
};

static const uint64_t ns_per_s = 1000000000;
static const uint64_t ns_per_ms = 1000000;

/* What is made of the transactions of a story. */
enum deed { CREATE_PLAIN, CREATE_SESSION, CREATE_EPHEMERAL, CLOSE_SESSION };

struct entry {
    int64_t zxid;
    enum deed deed;
};

/* The learner has `had`, and perhaps a tail that nobody committed. Then a leader of epoch 3 brings
 * it to had, up to cut, and `more`. */
struct story {
    enum zab_packet_type kind; /* ZAB_DIFF, ZAB_TRUNC or ZAB_SNAP */
    uint32_t had_count;
    uint32_t tail_count;
    uint32_t more_count;
    struct entry had[txn_count_max];
    struct entry tail[txn_count_max];
    struct entry more[txn_count_max];
    uint32_t early_count; /* Of more, the last ones: their commits come behind NEWLEADER. */
    int64_t base;         /* 0, or: the first leader sends a snapshot of nothing with this zxid. */
    const char *settings; /* Of the server. */
};

struct stream {
    uint8_t bytes[stream_bytes_max];
    size_t size;
};

/* What a keeper holds. */
struct picture {
    int64_t zxid;
    uint64_t digest;
    uint64_t znode_count;
    uint64_t session_count;
};

struct world {
    struct sim sim;
    struct ensemble ensemble;
    struct keeper_server *server; /* Of the process that runs now. */
    struct raw_leader leader;
    struct keeper_rig model; /* To which nothing happens. */
    const struct story *story;
    struct picture end;    /* Of it, at the end of the story, */
    struct picture behind; /* and with one transaction more. */
    struct stream whole;   /* It at the end as a snapshot, */
    struct stream empty;   /* and before it had anything. */
    uint32_t packets_left; /* The leader says so many packets more ... */
    bool cuts_last;        /* ... and of the last one only the first half. */
};

static struct world world;

/* ---- transactions ---- */

static int32_t count_changes(const struct entry *entries, uint32_t count, int64_t zxid)
{
    int32_t change_count = 0;
    for (uint32_t index = 0; index < count && entries[index].zxid < zxid; index++)
        change_count += entries[index].deed != CREATE_SESSION;
    return change_count;
}

/* Of the root when a child has been created: all others before it have changed it once, from -1 on.
 */
static int32_t root_version(int64_t zxid, bool is_tail)
{
    const struct story *story = world.story;
    return count_changes(story->had, story->had_count, zxid) +
           (is_tail ? count_changes(story->tail, story->tail_count, zxid)
                    : count_changes(story->more, story->more_count, zxid));
}

static struct slice entry_of(const struct entry *entry, bool is_tail)
{
    static uint8_t bytes[entry_bytes_max];
    static const struct zk_acl open_acl = {31, {SLICE_LITERAL("world"), SLICE_LITERAL("anyone")}};
    static const struct slice ephemeral = SLICE_LITERAL("/ephemeral");
    char path[64];
    struct txn txn = {.session_id = session_id, .zxid = entry->zxid, .time_ms = 1000};
    snprintf(path, sizeof path, "/%s-%llx", is_tail ? "tail" : "node",
             (unsigned long long)entry->zxid);
    switch (entry->deed) {
    case CREATE_PLAIN:
    case CREATE_EPHEMERAL:
        txn.op = (struct txn_op){.type = OP_CREATE,
                                 .path = slice_from_text(path),
                                 .acl = {&open_acl, 1},
                                 .version = root_version(entry->zxid, is_tail)};
        if (entry->deed == CREATE_EPHEMERAL) {
            txn.op.path = ephemeral;
            txn.op.ephemeral = true;
        }
        break;
    case CREATE_SESSION:
        txn.op = (struct txn_op){.type = OP_CREATE_SESSION, .timeout_ms = 40000};
        break;
    case CLOSE_SESSION:
        txn.op =
            (struct txn_op){.type = OP_CLOSE_SESSION, .has_paths = true, .paths = {&ephemeral, 1}};
        break;
    }
    const size_t size = txn_codec_entry_bytes(&txn);
    assert_in_range(size, 1, sizeof bytes);
    txn_codec_encode_entry(&txn, bytes);
    return slice_of(bytes, size);
}

static int64_t zxid_cut(void)
{
    return world.story->had[world.story->had_count - 1].zxid;
}

static int64_t zxid_end(void)
{
    const struct story *story = world.story;
    return story->more_count == 0 ? zxid_cut() : story->more[story->more_count - 1].zxid;
}

/* ---- what the leaders say ---- */

static void say_half(struct raw_leader *leader, enum zab_packet_type type, int64_t zxid,
                     struct slice data)
{
    static uint8_t bytes[2 * entry_bytes_max];
    struct zk_quorum_packet packet = {.type = (int32_t)type, .zxid = zxid, .data = data};
    packet.identities.count = -1;
    assert_in_range(quorum_packet_bytes(&packet), 1, sizeof bytes);
    quorum_packet_encode(&packet, bytes);
    raw_leader_say_bytes(leader, slice_of(bytes, quorum_packet_bytes(&packet) / 2));
}

static void say(struct raw_leader *leader, enum zab_packet_type type, int64_t zxid,
                struct slice data)
{
    if (world.packets_left == 0)
        return;
    if (--world.packets_left == 0 && world.cuts_last)
        say_half(leader, type, zxid, data);
    else
        raw_leader_say(leader, type, zxid, data);
}

static void say_bytes(struct raw_leader *leader, struct slice bytes)
{
    if (world.packets_left == 0)
        return;
    const size_t size = --world.packets_left == 0 && world.cuts_last ? bytes.size / 2 : bytes.size;
    raw_leader_say_bytes(leader, slice_of(bytes.data, size));
}

static void propose(struct raw_leader *leader, const struct entry *entry, bool is_tail)
{
    say(leader, ZAB_PROPOSAL, entry->zxid, entry_of(entry, is_tail));
}

static void commit(struct raw_leader *leader, const struct entry *entry)
{
    say(leader, ZAB_COMMIT, entry->zxid, SLICE_NULL);
}

static void offer(struct raw_leader *leader)
{
    say(leader, ZAB_NEW_LEADER, leader->epoch << 32, SLICE_NULL);
}

/* All of them from behind zxid on. */
static void propose_all(struct raw_leader *leader, const struct entry *entries, uint32_t count,
                        int64_t zxid)
{
    for (uint32_t index = 0; index < count; index++) {
        if (entries[index].zxid <= zxid)
            continue;
        propose(leader, &entries[index], false);
        commit(leader, &entries[index]);
    }
}

static void say_snapshot(struct raw_leader *leader, int64_t zxid, const struct stream *stream)
{
    static const uint8_t signature[14] = "\0\0\0\012BenWasHere";
    say(leader, ZAB_SNAP, zxid, SLICE_NULL);
    say_bytes(leader, slice_of(stream->bytes, stream->size));
    say_bytes(leader, slice_of(signature, sizeof signature));
}

/* Epoch 1. */
static void say_first(struct raw_leader *leader, int64_t zxid_last)
{
    const struct story *story = world.story;
    if (story->base != 0)
        say_snapshot(leader, story->base, &world.empty);
    else
        say(leader, ZAB_DIFF, zxid_cut(), SLICE_NULL);
    propose_all(leader, story->had, story->had_count, zxid_last);
    offer(leader);
    say(leader, ZAB_UP_TO_DATE, -1, SLICE_NULL);
    for (uint32_t index = 0; index < story->tail_count; index++)
        propose(leader, &story->tail[index], true);
}

/* Epoch 3: the story's own way. */
static void say_more(struct raw_leader *leader, int64_t zxid_last)
{
    const struct story *story = world.story;
    const uint32_t calm_count = story->more_count - story->early_count;
    (void)zxid_last;
    if (story->kind == ZAB_SNAP) {
        say_snapshot(leader, zxid_end(), &world.whole);
    } else {
        say(leader, story->kind, zxid_cut(), SLICE_NULL);
        propose_all(leader, story->more, calm_count, zxid_cut());
        for (uint32_t index = calm_count; index < story->more_count; index++)
            propose(leader, &story->more[index], false);
    }
    offer(leader);
    for (uint32_t index = calm_count; index < story->more_count; index++)
        commit(leader, &story->more[index]);
    if (story->early_count > 0)
        say(leader, ZAB_UP_TO_DATE, -1, SLICE_NULL);
}

/* Later epochs: whatever it lacks. */
static void say_rest(struct raw_leader *leader, int64_t zxid_last)
{
    const struct story *story = world.story;
    const bool is_cut =
        zxid_last > zxid_cut() && zxid_last >> 32 == zxid_cut() >> 32 && story->tail_count > 0;
    say(leader, is_cut ? ZAB_TRUNC : ZAB_DIFF, is_cut ? zxid_cut() : zxid_end(), SLICE_NULL);
    const int64_t from = is_cut ? zxid_cut() : zxid_last;
    propose_all(leader, story->had, story->had_count, from);
    propose_all(leader, story->more, story->more_count, from);
    offer(leader);
    say(leader, ZAB_UP_TO_DATE, -1, SLICE_NULL);
}

/* Of the same epoch as the end of the story. */
static struct entry next_entry(void)
{
    return (struct entry){zxid_end() + 1, CREATE_PLAIN};
}

/* One more that is committed, and one that is not. */
static void say_tail(struct raw_leader *leader, int64_t zxid_last)
{
    const struct entry next = next_entry();
    const struct entry tail = {(leader->epoch << 32) + 1, CREATE_PLAIN};
    (void)zxid_last;
    say(leader, ZAB_DIFF, next.zxid, SLICE_NULL);
    propose_all(leader, &next, 1, zxid_end());
    offer(leader);
    say(leader, ZAB_UP_TO_DATE, -1, SLICE_NULL);
    propose(leader, &tail, true);
}

static void say_cut(struct raw_leader *leader, int64_t zxid_last)
{
    (void)zxid_last;
    say(leader, ZAB_TRUNC, next_entry().zxid, SLICE_NULL);
    offer(leader);
    say(leader, ZAB_UP_TO_DATE, -1, SLICE_NULL);
}

/* ---- the server ---- */

static void print_config(char *text, size_t capacity)
{
    const char *settings = world.story->settings;
    snprintf(text, capacity,
             "dataDir=/keeper\nclientPort=2181\nadmin.enableServer=false\ntickTime=1000\n"
             "initLimit=10\nsyncLimit=5\npreAllocSize=16\nmemory.limitMb=64\ndisk.reserveMb=0\n"
             "server.1=node0:2888:3888\nserver.2=node2:2888:3888\nserver.3=node1:2888:3888\n%s",
             settings == NULL ? "" : settings);
}

static void run_server(struct sim_node *node, void *argument)
{
    struct shard shard = {
        .name = "keeper", .io = node->io, .heap = &node->heap, .diag = node->diag};
    struct keeper_config config;
    struct keeper_server *server;
    char text[1024];
    (void)argument;
    print_config(text, sizeof text);
    list_init(&shard.inboxes);
    if (small_file_make_directory_wait(node->io, "/keeper") != 0 ||
        small_file_replace_wait(node->io, "/keeper/myid", SLICE_LITERAL("1")) != 0)
        io_fatal(node->io, "myid cannot be written");
    assert_int_equal(keeper_config_load(&config, &node->heap, node->diag,
                                        (struct config_source){.file_name = "zoo.cfg",
                                                               .text = slice_from_text(text)}),
                     ERR_OK);
    if (keeper_server_start(&server, &shard, &config) != ERR_OK)
        io_fatal(node->io, "the server does not start");
    world.server = server;
    for (;;)
        shard_step(&shard, 100 * ns_per_ms);
}

static struct sim_node *server_node(void)
{
    return world.sim.nodes[0];
}

static bool is_up(void)
{
    return server_node()->state != SIM_NODE_DOWN;
}

static void start_server(void)
{
    world.server = NULL;
    sim_node_start(server_node(), run_server, NULL);
}

/* ---- the model ---- */

static void log_all(const struct entry *entries, uint32_t count)
{
    for (uint32_t index = 0; index < count; index++)
        keeper_rig_log(&world.model, entries[index].zxid, entry_of(&entries[index], false));
    while (keeper_rig_is_logging(&world.model))
        io_run(world.model.node->io, UINT64_MAX);
}

static void make_stream(struct stream *stream)
{
    struct snapshot_writer writer;
    size_t size = 0;
    stream->size = 0;
    assert_int_equal(snapshot_writer_init_stream(&writer, &world.model.server->keeper), ERR_OK);
    do {
        assert_true(stream->size + snapshot_slice_bytes_min <= sizeof stream->bytes);
        assert_int_equal(snapshot_writer_next(&writer, stream->bytes + stream->size,
                                              snapshot_slice_bytes_min, &size),
                         ERR_OK);
        stream->size += size;
    } while (size > 0);
    snapshot_writer_deinit(&writer);
}

static struct picture picture_of(const struct keeper *keeper)
{
    return (struct picture){keeper->zxid_applied, keeper->tree.digest, keeper->tree.by_path.count,
                            keeper->sessions.by_id.count};
}

static bool is_like(struct picture picture)
{
    if (world.server == NULL || !world.server->is_serving)
        return false;
    const struct picture seen = picture_of(&world.server->keeper);
    return seen.zxid == picture.zxid && seen.digest == picture.digest &&
           seen.znode_count == picture.znode_count && seen.session_count == picture.session_count;
}

static void make_model(void)
{
    const struct entry next = next_entry();
    assert_int_equal(keeper_rig_start(&world.model, world.sim.nodes[2], ""), ERR_OK);
    make_stream(&world.empty);
    log_all(world.story->had, world.story->had_count);
    log_all(world.story->more, world.story->more_count);
    make_stream(&world.whole);
    world.end = picture_of(&world.model.server->keeper);
    log_all(&next, 1);
    world.behind = picture_of(&world.model.server->keeper);
    keeper_rig_stop(&world.model);
}

/* ---- the course of a story ---- */

static void add_member(int64_t id, const char *host)
{
    struct ensemble_member member = {
        .id = id, .is_voter = true, .group = -1, .weight = 1, .address_count = 1};
    member.addresses[0] = (struct ensemble_address){
        .host = slice_from_text(host), .quorum_port = 2888, .election_port = 3888};
    assert_int_equal(ensemble_add(&world.ensemble, &member), ERR_OK);
}

static bool run_until(bool (*is_enough)(void *context))
{
    return sim_run(&world.sim, world.sim.now_ns + patience_s * ns_per_s, is_enough, NULL);
}

static void give_up(const char *what)
{
    sim_report(&world.sim);
    fail_msg("%s", what);
}

static void lead(int64_t epoch, void (*tell)(struct raw_leader *leader, int64_t zxid_last))
{
    if (world.leader.node->state != SIM_NODE_DOWN)
        sim_node_kill(world.leader.node);
    world.leader.on_epoch_acked = tell;
    world.packets_left = UINT32_MAX;
    raw_leader_start(&world.leader, epoch);
}

static bool has_first(void *context)
{
    const struct story *story = world.story;
    const int64_t zxid =
        story->tail_count > 0 ? story->tail[story->tail_count - 1].zxid : zxid_cut();
    (void)context;
    return world.server != NULL && world.server->is_serving &&
           world.server->keeper.zxid_applied == zxid_cut() && world.server->zxid_durable == zxid;
}

/* The learner has what it had, and its leader is gone. */
static void begin(const struct story *story, uint64_t seed)
{
    memset(&world, 0, sizeof world);
    world.story = story;
    sim_init(&world.sim,
             (struct sim_options){
                 .seed = seed,
                 .node_count = 3,
                 .faults = {.delay_ns_mean = 300000, .disk_ns_mean = 50000, .sync_ns_mean = 500000},
                 .is_verbose = getenv("VERBOSE") != NULL});
    ensemble_init(&world.ensemble);
    add_member(1, "node0");
    add_member(2, "node2");
    add_member(3, "node1");
    world.leader = (struct raw_leader){
        .node = world.sim.nodes[1], .id = 3, .host = "node1", .ensemble = &world.ensemble};
    make_model();
    start_server();
    lead(1, say_first);
    if (!run_until(has_first))
        give_up("the server does not get its first history");
}

static void end(void)
{
    sim_deinit(&world.sim);
}

static bool is_over(void *context)
{
    (void)context;
    return !is_up() || raw_leader_has_heard(&world.leader, ZAB_ACK, world.leader.epoch << 32);
}

static bool has_told(void *context)
{
    const struct raw_leader *leader = &world.leader;
    (void)context;
    for (uint32_t index = 0; index < leader->heard_count; index++)
        if (leader->heard[index].type == ZAB_ACK_EPOCH)
            return true;
    return false;
}

/* What it says of itself to the leader that runs now. */
struct claim {
    int64_t accepted_epoch;
    int64_t current_epoch;
    int64_t zxid;
};

static struct claim hear_claim(void)
{
    struct claim claim = {0};
    if (!run_until(has_told))
        give_up("the server does not come to its next leader");
    for (uint32_t index = 0; index < world.leader.heard_count; index++) {
        const struct raw_leader_word *word = &world.leader.heard[index];
        if (word->type == ZAB_FOLLOWER_INFO)
            claim.accepted_epoch = word->epoch;
        if (word->type == ZAB_ACK_EPOCH) {
            claim.current_epoch = word->epoch;
            claim.zxid = word->zxid;
        }
    }
    return claim;
}

static bool is_whole(void *context)
{
    (void)context;
    return is_like(world.end);
}

static bool is_part_of_history(int64_t zxid)
{
    const struct story *story = world.story;
    for (uint32_t index = 0; index < story->had_count; index++)
        if (story->had[index].zxid == zxid)
            return true;
    for (uint32_t index = 0; index < story->more_count; index++)
        if (story->more[index].zxid == zxid)
            return true;
    for (uint32_t index = 0; index < story->tail_count; index++)
        if (story->tail[index].zxid == zxid)
            return true;
    return false;
}

/* heard: what it acknowledged to the leader of epoch 3. */
static void judge(const struct raw_leader *heard)
{
    const struct claim claim = hear_claim();
    const bool has_accepted = heard->heard_count > 1; /* Behind FOLLOWERINFO came ACKEPOCH. */
    const int64_t end_acked =
        world.story->early_count == 0
            ? zxid_end()
            : world.story->more[world.story->more_count - world.story->early_count].zxid - 1;
    if (claim.zxid < zxid_cut() || !is_part_of_history(claim.zxid))
        give_up("it has lost what it had");
    if (has_accepted && claim.accepted_epoch < 3)
        give_up("it has forgotten an epoch that it had accepted");
    if (claim.current_epoch >= 3 && claim.zxid < end_acked)
        give_up("its epoch is on its disk, and not the history before");
    if (raw_leader_has_heard(heard, ZAB_ACK, ZXID(3, 0)) &&
        (claim.current_epoch < 3 || claim.zxid < end_acked))
        give_up("it has acknowledged NEWLEADER, and does not have what that says");
    for (uint32_t index = 0; index < heard->heard_count; index++)
        if (heard->heard[index].type == ZAB_ACK && heard->heard[index].zxid > claim.zxid &&
            (int32_t)heard->heard[index].zxid != 0)
            give_up("it has acknowledged a transaction, and does not have it");
    if (!run_until(is_whole))
        give_up("it does not get whole again");
}

static bool has_tail(void *context)
{
    (void)context;
    return !is_up() || raw_leader_has_heard(&world.leader, ZAB_ACK, (world.leader.epoch << 32) + 1);
}

static bool is_cut(void *context)
{
    (void)context;
    return !is_up() || (raw_leader_has_heard(&world.leader, ZAB_ACK, world.leader.epoch << 32) &&
                        is_like(world.behind));
}

static void say_nothing(struct raw_leader *leader, int64_t zxid_last)
{
    say(leader, ZAB_DIFF, zxid_last, SLICE_NULL);
    offer(leader);
    say(leader, ZAB_UP_TO_DATE, -1, SLICE_NULL);
}

/* Whatever lies on its disk by now: it goes on as others do, and what it gets can be cut off again.
 */
static void cut_again(void)
{
    lead(world.leader.epoch + 1, say_tail);
    if (!run_until(has_tail) || !is_up())
        give_up("it does not take a tail");
    lead(world.leader.epoch + 1, say_cut);
    if (!run_until(is_cut) || !is_up())
        give_up("its tail is not cut off again");
    sim_node_lose_power(server_node(), SIM_LOSS_ALL);
    start_server();
    lead(world.leader.epoch + 1, say_nothing);
    if (!run_until(is_cut) || !is_up())
        give_up("what it had is another history after a power loss");
}

/* It is down: what it said, and what it has. */
static void come_back(void)
{
    static struct raw_leader heard;
    heard = world.leader;
    sim_crash_at(server_node(), 0, SIM_LOSS_ALL);
    server_node()->disk.error_boundary = 0;
    start_server();
    lead(4, say_rest);
    judge(&heard);
    cut_again();
}

/* ---- power losses ---- */

static void lose_power_at_each_write(const struct story *story)
{
    bool is_finished = false;
    for (uint64_t boundary = 1; !is_finished; boundary++) {
        for (int loss = 0; loss < sim_loss_count; loss++) {
            begin(story, 1 + boundary);
            sim_crash_at(server_node(), boundary, (enum sim_loss)loss);
            lead(3, say_more);
            if (!run_until(is_over))
                give_up("it says nothing");
            is_finished = is_up();
            if (is_finished)
                sim_node_lose_power(server_node(), (enum sim_loss)loss);
            come_back();
            end();
        }
        assert_in_range(boundary, 1, 200);
    }
}

static uint32_t wanted_count;

static bool has_heard_so_many(void *context)
{
    (void)context;
    return world.leader.heard_count >= wanted_count ||
           raw_leader_has_heard(&world.leader, ZAB_ACK, world.leader.epoch << 32);
}

/* Whatever is said is durable when it arrives. */
static void lose_power_at_each_word(const struct story *story)
{
    for (wanted_count = 1; wanted_count <= 3; wanted_count++) {
        for (uint64_t seed = 1; seed <= 10; seed++) {
            begin(story, seed);
            lead(3, say_more);
            if (!run_until(has_heard_so_many))
                give_up("it says nothing");
            sim_node_lose_power(server_node(), SIM_LOSS_ALL);
            come_back();
            end();
        }
    }
}

/* ---- leaders that die ---- */

static bool is_silent(void *context)
{
    (void)context;
    return world.packets_left == 0 ||
           raw_leader_has_heard(&world.leader, ZAB_ACK, world.leader.epoch << 32);
}

/* How a leader is lost. */
struct end {
    uint32_t packet_count; /* So many it says, and no more; */
    bool cuts_last;        /* of the last one only a half. */
    bool has_time;         /* The next leader ends its work before the power goes. */
};

static void claim_again(struct claim told)
{
    server_node()->disk.delay_ns_extra = 0;
    start_server();
    lead(5, say_rest);
    const struct claim claim = hear_claim();
    if (claim.zxid < told.zxid || claim.current_epoch < told.current_epoch)
        give_up("it has told a leader of what was not on its disk");
    if (!run_until(is_whole))
        give_up("it does not get whole again");
}

/* The disk is slow, and there is a next leader at once. What the server tells that one is on its
 * disk, and what is on its disk it tells. False: the first one had said all. */
static bool lose_leader(const struct story *story, struct end how)
{
    begin(story, how.packet_count);
    lead(3, say_more);
    world.packets_left = how.packet_count;
    world.cuts_last = how.cuts_last;
    server_node()->disk.delay_ns_extra = 300 * ns_per_ms;
    if (!run_until(is_silent))
        give_up("the leader does not come to say it");
    const bool has_said_all = world.packets_left > 0;
    (void)sim_run(&world.sim, world.sim.now_ns + 5 * ns_per_ms, NULL, NULL);
    lead(4, say_rest);
    const struct claim told = hear_claim();
    if (how.has_time && !run_until(is_over))
        give_up("it does not acknowledge its next leader");
    sim_node_lose_power(server_node(), SIM_LOSS_ALL);
    claim_again(told);
    end();
    return !has_said_all;
}

static void lose_leader_at_each_packet(const struct story *story)
{
    bool goes_on = true;
    for (uint32_t count = 1; goes_on; count++)
        for (uint32_t way = 0; way < 4; way++)
            goes_on = lose_leader(story, (struct end){.packet_count = count,
                                                      .cuts_last = way % 2 == 1,
                                                      .has_time = way >= 2});
}

/* ---- disks that fail ---- */

static bool is_over_or_gone(void *context)
{
    return is_over(context) || (world.leader.link_count > 0 && world.leader.link == NULL);
}

/* The process ends, and does not take for done what failed. */
static void fail_at_each_write(const struct story *story, int error)
{
    bool is_finished = false;
    for (uint64_t boundary = 1; !is_finished; boundary++) {
        struct sim_disk *disk;
        begin(story, boundary);
        disk = &server_node()->disk;
        disk->error_boundary = disk->boundary_count + boundary;
        disk->error = error;
        lead(3, say_more);
        if (!run_until(is_over_or_gone))
            give_up("it says nothing");
        is_finished = disk->boundary_count < disk->error_boundary;
        if (is_up())
            sim_node_lose_power(server_node(), SIM_LOSS_ALL);
        else if (boundary % 2 == 0)
            sim_node_lose_power(server_node(), SIM_LOSS_RANDOM);
        come_back();
        end();
        assert_in_range(boundary, 1, 200);
    }
}

/* ---- the stories ---- */

#define HAD                                                                                        \
    .had = {{ZXID(1, 1), CREATE_SESSION},                                                          \
            {ZXID(1, 2), CREATE_EPHEMERAL},                                                        \
            {ZXID(1, 3), CREATE_PLAIN}},                                                           \
    .had_count = 3

static const struct story by_diff = {
    .kind = ZAB_DIFF,
    HAD,
    .more = {{ZXID(1, 4), CREATE_PLAIN}, {ZXID(2, 1), CLOSE_SESSION}, {ZXID(2, 2), CREATE_PLAIN}},
    .more_count = 3,
};

static const struct story by_cut = {
    .kind = ZAB_TRUNC,
    HAD,
    .tail = {{ZXID(1, 4), CLOSE_SESSION}, {ZXID(1, 5), CREATE_PLAIN}},
    .tail_count = 2,
    .more = {{ZXID(2, 1), CREATE_PLAIN}, {ZXID(2, 2), CREATE_PLAIN}},
    .more_count = 2,
};

/* Each transaction brings a snapshot: there is one with the tail. */
static const struct story by_cut_of_a_snapshot = {
    .kind = ZAB_TRUNC,
    HAD,
    .tail = {{ZXID(1, 4), CLOSE_SESSION}, {ZXID(1, 5), CREATE_PLAIN}},
    .tail_count = 2,
    .more = {{ZXID(2, 1), CREATE_PLAIN}, {ZXID(2, 2), CREATE_PLAIN}},
    .more_count = 2,
    .settings = "snapCount=2\n",
};

static const struct story by_snapshot = {
    .kind = ZAB_SNAP,
    HAD,
    .more = {{ZXID(1, 4), CREATE_PLAIN}, {ZXID(2, 1), CLOSE_SESSION}, {ZXID(2, 2), CREATE_PLAIN}},
    .more_count = 3,
};

/* No zxid is left in epoch 1. */
static const struct story at_the_last_zxid = {
    .kind = ZAB_DIFF,
    .base = ZXID(1, 0xfffffffc),
    .had = {{ZXID(1, 0xfffffffd), CREATE_SESSION},
            {ZXID(1, 0xfffffffe), CREATE_EPHEMERAL},
            {ZXID(1, 0xffffffff), CREATE_PLAIN}},
    .had_count = 3,
    .more = {{ZXID(2, 1), CLOSE_SESSION}, {ZXID(2, 2), CREATE_PLAIN}},
    .more_count = 2,
};

static const struct story cut_at_the_last_zxid = {
    .kind = ZAB_TRUNC,
    .base = ZXID(1, 0xfffffffb),
    .had = {{ZXID(1, 0xfffffffc), CREATE_SESSION},
            {ZXID(1, 0xfffffffd), CREATE_EPHEMERAL},
            {ZXID(1, 0xfffffffe), CREATE_PLAIN}},
    .had_count = 3,
    .tail = {{ZXID(1, 0xffffffff), CREATE_PLAIN}},
    .tail_count = 1,
    .more = {{ZXID(2, 1), CLOSE_SESSION}, {ZXID(2, 2), CREATE_PLAIN}},
    .more_count = 2,
};

/* Proposed before NEWLEADER, and committed behind it. */
static const struct story by_diff_while_others_write = {
    .kind = ZAB_DIFF,
    HAD,
    .more = {{ZXID(1, 4), CREATE_PLAIN}, {ZXID(3, 1), CLOSE_SESSION}, {ZXID(3, 2), CREATE_PLAIN}},
    .more_count = 3,
    .early_count = 2,
};

static void a_diff_is_durable_before_it_is_acknowledged(void **state)
{
    (void)state;
    lose_power_at_each_write(&by_diff);
    lose_power_at_each_word(&by_diff);
    lose_power_at_each_write(&by_diff_while_others_write);
    lose_power_at_each_word(&by_diff_while_others_write);
}

static void a_cut_is_durable_before_it_is_acknowledged(void **state)
{
    (void)state;
    lose_power_at_each_write(&by_cut);
    lose_power_at_each_word(&by_cut);
}

static void a_snapshot_is_durable_before_it_is_acknowledged(void **state)
{
    (void)state;
    lose_power_at_each_write(&by_snapshot);
    lose_power_at_each_word(&by_snapshot);
}

static void a_snapshot_with_a_tail_goes_with_it(void **state)
{
    (void)state;
    begin(&by_cut_of_a_snapshot, 1);
    sim_node_kill(world.leader.node);
    (void)sim_run(&world.sim, world.sim.now_ns + 100 * ns_per_ms, NULL, NULL);
    assert_non_null(
        sim_disk_peek_durable(&server_node()->disk, "/keeper/version-2/snapshot.100000005").data);
    end();
    lose_power_at_each_write(&by_cut_of_a_snapshot);
    lose_power_at_each_word(&by_cut_of_a_snapshot);
}

static void what_a_dead_leader_said_is_on_the_disk_or_forgotten(void **state)
{
    static const struct story *const stories[] = {&by_diff, &by_cut, &by_cut_of_a_snapshot,
                                                  &by_snapshot, &by_diff_while_others_write};
    (void)state;
    for (size_t index = 0; index < ARRAY_COUNT(stories); index++)
        lose_leader_at_each_packet(stories[index]);
}

static void a_write_that_fails_is_not_taken_for_done(void **state)
{
    (void)state;
    for (int full = 0; full < 2; full++) {
        fail_at_each_write(&by_diff, full ? ENOSPC : EIO);
        fail_at_each_write(&by_cut, full ? ENOSPC : EIO);
        fail_at_each_write(&by_cut_of_a_snapshot, full ? ENOSPC : EIO);
        fail_at_each_write(&by_snapshot, full ? ENOSPC : EIO);
    }
}

static void an_epoch_may_be_full(void **state)
{
    static const struct story *const stories[] = {&at_the_last_zxid, &cut_at_the_last_zxid};
    (void)state;
    for (size_t index = 0; index < ARRAY_COUNT(stories); index++) {
        lose_power_at_each_write(stories[index]);
        lose_power_at_each_word(stories[index]);
        lose_leader_at_each_packet(stories[index]);
    }
}

static void a_commit_may_come_behind_the_leader(void **state)
{
    (void)state;
    begin(&by_diff_while_others_write, 1);
    lead(3, say_more);
    if (!run_until(is_over) || !run_until(is_whole))
        give_up("it does not get whole");
    assert_int_equal(world.leader.link_count, 1);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_diff_is_durable_before_it_is_acknowledged),
        cmocka_unit_test(a_cut_is_durable_before_it_is_acknowledged),
        cmocka_unit_test(a_snapshot_is_durable_before_it_is_acknowledged),
        cmocka_unit_test(a_snapshot_with_a_tail_goes_with_it),
        cmocka_unit_test(an_epoch_may_be_full),
        cmocka_unit_test(a_commit_may_come_behind_the_leader),
        cmocka_unit_test(what_a_dead_leader_said_is_on_the_disk_or_forgotten),
        cmocka_unit_test(a_write_that_fails_is_not_taken_for_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
