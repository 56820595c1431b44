/* A replica moves between the two log directories of its broker, and while the copy takes its place
 * the power goes at each disk operation, or the operation fails. Then each directory in turn is
 * away when the broker starts: what was acknowledged meanwhile is never missed by a replica that
 * serves, and with both directories there it serves. If its topic is deleted then, it is gone from
 * both. */
#include "sim/broker_rig.h"
#include "test/unit_test.h"

#include "journal/small_file.h"
#include "server/broker/broker_api.h"
#include "server/broker/replica_moves.h"
#include "sim/sim_broker_client.h"
#include "wire/gen/kafka.h"

#include <errno.h>

enum {
    id = 1,
    client_index = broker_rig_first_client_node,
    patience_s = 100,
    batch_bytes = 400,
};

static const char *const disks[] = {"/disk1", "/disk2"}; /* From the first to the second. */
static const char topic[] = "t";

struct world {
    struct broker_rig rig;
    struct heap heap; /* The client's. */
    struct sim_broker_client client;
    int64_t acknowledged_end;
    bool saw_both;              /* The latest start with both directories. */
    bool is_offline_by_failure; /* The replica, after an operation of the move has failed. */
};

static struct world world;

static struct sim_disk *disk_of_broker(void)
{
    return &world.rig.sim.nodes[id]->disk;
}

static void wait_for(bool (*condition)(void *context), const char *what)
{
    if (!broker_rig_run_until(&world.rig, condition, NULL, patience_s))
        fail_msg("%s: not within %d s", what, (int)patience_s);
}

static const struct partition *replica(void)
{
    const struct broker_server *server = broker_rig_serving(&world.rig, id);
    return server == NULL ? NULL
                          : partition_table_find(&server->partitions, slice_from_text(topic), 0);
}

static bool serves(void *context)
{
    const struct partition *partition = replica();
    (void)context;
    return partition_is_led(partition) && partition_store_offline_reason(partition->store) == NULL;
}

static bool is_controller(void *context)
{
    (void)context;
    return broker_rig_controller(&world.rig) == id;
}

static bool has_moved(void *context)
{
    (void)context;
    return !sim_node_is_up(world.rig.sim.nodes[id]) ||
           list_empty(&world.rig.brokers[id].server->moves.moves);
}

/* ---- The client. ---- */

static bool ask(int16_t key, int16_t version, const void *body, void *reply)
{
    struct sim_broker_client *client = &world.client;
    struct io_address address;
    int32_t correlation_id;
    struct slice bytes;
    sim_link_close(&client->link);
    assert_int_equal(io_resolve(world.rig.sim.nodes[client_index]->io, "10.0.0.2", 9092, &address),
                     0);
    return sim_link_open(&client->link, address, 500000000) &&
           sim_broker_client_send(client, key, version, broker_apis[key].request, body) != 0 &&
           sim_broker_client_receive(client, &correlation_id, &bytes, 3000000000) &&
           sim_broker_client_decode(client, broker_apis[key].reply, version, bytes, reply);
}

static void create_topic(void)
{
    struct kafka_create_topics_request_topics wanted = {
        .name = slice_from_text(topic), .num_partitions = 1, .replication_factor = 1};
    struct kafka_create_topics_request body = {.timeout_ms = 10000,
                                               .topics = {.items = &wanted, .count = 1}};
    struct kafka_create_topics_reply reply;
    assert_true(ask(KAFKA_API_CREATE_TOPICS, 7, &body, &reply));
    assert_int_equal(reply.topics.items[0].error_code, KAFKA_NONE);
}

static void produce(void)
{
    uint8_t memory[batch_bytes];
    struct record_batch_writer writer;
    struct kafka_produce_reply reply;
    record_batch_writer_init(&writer, memory, sizeof memory,
                             io_wall_ms(world.rig.sim.nodes[client_index]->io));
    assert_true(record_batch_writer_add(&writer, SLICE_NULL, SLICE_LITERAL("a value")));
    struct kafka_produce_request_topics_partitions partition = {
        .records = record_batch_writer_finish(&writer)};
    struct kafka_produce_request_topics wanted = {.name = slice_from_text(topic),
                                                  .partitions = {.items = &partition, .count = 1}};
    struct kafka_produce_request body = {.transactional_id = SLICE_NULL,
                                         .acks = -1,
                                         .timeout_ms = 1000,
                                         .topics = {.items = &wanted, .count = 1}};
    if (!ask(KAFKA_API_PRODUCE, 9, &body, &reply))
        return;
    if (reply.topics.items[0].partitions.items[0].error_code == KAFKA_NONE)
        world.acknowledged_end = reply.topics.items[0].partitions.items[0].base_offset + 1;
}

static void delete_topic(void)
{
    struct kafka_delete_topics_request_topics wanted = {.name = slice_from_text(topic)};
    struct kafka_delete_topics_request body = {.topics = {.items = &wanted, .count = 1},
                                               .timeout_ms = 1000};
    struct kafka_delete_topics_reply reply;
    (void)ask(KAFKA_API_DELETE_TOPICS, 6, &body, &reply);
}

static void order_move(void)
{
    int32_t index = 0;
    struct kafka_alter_replica_log_dirs_request_dirs_topics name = {
        .name = slice_from_text(topic), .partitions = {.items = &index, .count = 1}};
    struct kafka_alter_replica_log_dirs_request_dirs dir = {.path = slice_from_text(disks[1]),
                                                            .topics = {.items = &name, .count = 1}};
    struct kafka_alter_replica_log_dirs_request body = {.dirs = {.items = &dir, .count = 1}};
    struct kafka_alter_replica_log_dirs_reply reply;
    (void)ask(KAFKA_API_ALTER_REPLICA_LOG_DIRS, 2, &body, &reply);
}

/* ---- The stories. ---- */

enum trouble { TROUBLE_NONE, TROUBLE_CRASH, TROUBLE_ERROR, TROUBLE_FULL };

struct story {
    enum sim_loss loss; /* What goes whenever the power does. */
    enum trouble in_move;
    uint64_t boundary;        /* Of the move, from 1. */
    enum trouble in_recovery; /* In a start with both directories. */
    uint64_t boundary_again;
    bool is_unmarked;    /* By then the copy says no more where it comes from: as Apache's. */
    uint32_t away_first; /* Which directory; the other one next. */
};

static void begin(uint64_t seed)
{
    world = (struct world){.rig.lines = "offsets.topic.num.partitions=1\n",
                           .rig.log_dirs = "/disk1,/disk2"};
    broker_rig_begin(&world.rig, seed, 1, (struct sim_faults){0});
    heap_init(&world.heap, (struct heap_options){.limit_bytes = 64 << 20, .tracked = true});
    sim_broker_client_init(&world.client, world.rig.sim.nodes[client_index]->io, &world.heap);
    broker_rig_start(&world.rig, id);
    wait_for(is_controller, "a controller");
    create_topic();
    wait_for(serves, "a leader");
    assert_string_equal(replica()->directory->options.path, disks[0]);
    for (int i = 0; i < 3; i++)
        produce();
    assert_int_equal(world.acknowledged_end, 3);
}

static void end(void)
{
    sim_link_close(&world.client.link);
    sim_deinit(&world.rig.sim);
    heap_deinit(&world.heap);
}

static void lose_power(enum sim_loss loss)
{
    if (sim_node_is_up(world.rig.sim.nodes[id]))
        broker_rig_lose_power(&world.rig, id, loss);
    world.rig.brokers[id].server = NULL;
}

static void judge(const struct story *story, const char *when)
{
    if (!serves(NULL))
        return;
    const int64_t log_end = partition_store_log_end_offset(replica()->store);
    if (log_end >= world.acknowledged_end)
        return;
    sim_report(&world.rig.sim);
    fail_msg("loss %d, move %d/%d, recovery %d/%d, %s away first: %s: %d was acknowledged and the "
             "log in %s ends at %d",
             (int)story->loss, (int)story->in_move, (int)story->boundary, (int)story->in_recovery,
             (int)story->boundary_again, disks[story->away_first], when,
             (int)world.acknowledged_end, replica()->directory->options.path, (int)log_end);
}

static void make_trouble(enum trouble trouble, uint64_t boundary, enum sim_loss loss)
{
    struct sim_disk *disk = disk_of_broker();
    if (trouble == TROUBLE_CRASH)
        sim_crash_at(world.rig.sim.nodes[id], boundary, loss);
    else if (trouble != TROUBLE_NONE)
        disk->error_boundary = disk->boundary_count + boundary;
    disk->error = trouble == TROUBLE_FULL ? ENOSPC : EIO;
    world.rig.brokers[id].may_end = trouble != TROUBLE_NONE;
}

/* False: there were fewer operations. */
static bool end_trouble(void)
{
    struct sim_disk *disk = disk_of_broker();
    const bool has_come = disk->crash_boundary == 0 && disk->boundary_count >= disk->error_boundary;
    disk->crash_boundary = 0;
    disk->error_boundary = 0;
    return has_come;
}

/* It serves, or nothing comes of it. */
static void live(const struct story *story, const char *when)
{
    (void)sim_run(&world.rig.sim, world.rig.sim.now_ns + 10000000000, serves, NULL);
    judge(story, when);
    assert_true(serves(NULL) || !partition_is_led(replica())); /* Nobody is led on. */
    produce();
    produce();
}

static bool move(const struct story *story)
{
    make_trouble(story->in_move, story->boundary, story->loss);
    order_move();
    (void)sim_run(&world.rig.sim, world.rig.sim.now_ns + 10000000000, has_moved, NULL);
    const bool has_come = end_trouble();
    if (story->in_move != TROUBLE_CRASH) { /* It lives on with what it has. */
        live(story, "after the failure");
        world.is_offline_by_failure = !serves(NULL);
    }
    lose_power(story->loss);
    return has_come;
}

static void live_without(const struct story *story, uint32_t away)
{
    sim_disk_break(disk_of_broker(), disks[away], true);
    broker_rig_start(&world.rig, id);
    live(story, away == 0 ? "without /disk1" : "without /disk2");
    lose_power(story->loss);
    sim_disk_break(disk_of_broker(), disks[away], false);
}

static int count_names(void)
{
    struct io_file_info info;
    return (sim_disk_info(disk_of_broker(), "/disk1/t-0", &info) == 0) +
           (sim_disk_info(disk_of_broker(), "/disk2/t-0", &info) == 0);
}

static bool has_twins(void)
{
    return count_names() == 2;
}

static void remove_mark(void)
{
    struct io *io = world.rig.sim.nodes[id]->io;
    struct io_op op = {.kind = IO_UNLINK,
                       .handle = io_handle_none,
                       .path = {.path = "/disk2/t-0/rookery-takeover"}};
    assert_int_equal(io_wait(io, &op), 0);
    assert_int_equal(small_file_sync_directory_wait(io, "/disk2/t-0"), 0);
}

static bool was_loaded(const struct broker_server *server, uint32_t disk)
{
    return server->partitions.directories[disk]->state >= DIRECTORY_LOADED;
}

/* False: there were fewer operations. */
static bool recover(const struct story *story)
{
    if (story->is_unmarked)
        remove_mark();
    broker_rig_start(&world.rig, id);
    make_trouble(story->in_recovery, story->boundary_again, story->loss);
    live(story, "with both directories");
    const struct broker_server *server = world.rig.brokers[id].server;
    world.saw_both = sim_node_is_up(world.rig.sim.nodes[id]) && server != NULL &&
                     was_loaded(server, 0) && was_loaded(server, 1);
    const bool has_come = end_trouble();
    lose_power(story->loss);
    return has_come;
}

/* With both directories it serves after all that. */
static void finish(const struct story *story)
{
    broker_rig_start(&world.rig, id);
    wait_for(serves, "with both directories it serves");
    judge(story, "in the end");
    assert_false(has_twins());
    end();
}

static bool play_move(const struct story *story)
{
    begin(story->boundary);
    const bool has_come = move(story);
    live_without(story, story->away_first);
    live_without(story, 1 - story->away_first);
    finish(story);
    return has_come;
}

static void play_moves(enum trouble trouble)
{
    /* The file in the old directory, its rename and sync there, the unlink. */
    enum { offline_boundaries_max = 9 };
    struct story story = {.in_move = trouble};
    const uint64_t loss_count = trouble == TROUBLE_CRASH ? sim_loss_count : 1;
    bool has_come = true;
    uint32_t offline_count = 0;
    while (has_come) {
        story.boundary++;
        for (uint64_t i = 0; i < loss_count; i++)
            for (story.away_first = 0; story.away_first < 2; story.away_first++) {
                story.loss = (enum sim_loss)((story.boundary + i) % sim_loss_count);
                has_come = play_move(&story);
                offline_count += world.is_offline_by_failure;
            }
    }
    assert_true(story.boundary > 30);
    assert_in_range(offline_count, 0, offline_boundaries_max * 2 * loss_count);
}

static void a_crash_in_a_takeover_loses_nothing(void **state)
{
    (void)state;
    play_moves(TROUBLE_CRASH);
}

static void a_failure_in_a_takeover_loses_nothing(void **state)
{
    (void)state;
    play_moves(TROUBLE_ERROR);
    play_moves(TROUBLE_FULL);
}

/* ---- A start with twins. ---- */

static bool play_recovery(const struct story *story)
{
    begin(3);
    (void)move(story);
    assert_true(has_twins());
    const bool has_come = recover(story);
    if (!story->is_unmarked) {
        live_without(story, story->away_first);
        live_without(story, 1 - story->away_first);
    } else if (world.saw_both) { /* Else nobody knows that there are two. */
        live_without(story, story->away_first);
    }
    finish(story);
    return has_come;
}

/* The last operation of a move at which a crash leaves twins. */
static uint64_t find_twins(void)
{
    struct story story = {.in_move = TROUBLE_CRASH, .loss = SIM_LOSS_NONE};
    uint64_t found = 0;
    bool has_come = true;
    while (has_come) {
        story.boundary++;
        begin(3);
        has_come = move(&story);
        if (has_twins()) {
            found = story.boundary;
            finish(&story);
        } else {
            end();
        }
    }
    assert_true(found > 0);
    return found;
}

static void play_recoveries(struct story story)
{
    bool has_come = true;
    story.in_move = TROUBLE_CRASH;
    story.boundary = find_twins();
    story.loss = SIM_LOSS_NONE;
    while (has_come) {
        story.boundary_again++;
        for (story.away_first = 0; story.away_first < 2; story.away_first++)
            has_come = play_recovery(&story);
    }
    assert_true(story.boundary_again > 20);
}

static void a_crash_in_a_start_with_twins_loses_nothing(void **state)
{
    (void)state;
    play_recoveries((struct story){.in_recovery = TROUBLE_CRASH});
}

static void a_failure_in_a_start_with_twins_loses_nothing(void **state)
{
    (void)state;
    for (enum trouble trouble = TROUBLE_ERROR; trouble <= TROUBLE_FULL; trouble++)
        for (int is_unmarked = 0; is_unmarked < 2; is_unmarked++)
            play_recoveries(
                (struct story){.in_recovery = trouble, .is_unmarked = is_unmarked == 1});
}

/* ---- A deletion. ---- */

static bool has_znode(const char *path)
{
    return tree_find(&world.rig.keeper->keeper.tree, slice_from_text(path)) != NULL;
}

static bool is_deleted(void *context)
{
    (void)context;
    return !has_znode("/brokers/topics/t") && !has_znode("/admin/delete_topics/t");
}

/* Nothing of it is in the way of a topic of the same name. */
static bool play_deletion(const struct story *story)
{
    begin(story->boundary);
    const bool has_come = move(story);
    sim_disk_break(disk_of_broker(), disks[story->away_first], true);
    broker_rig_start(&world.rig, id);
    wait_for(is_controller, "a controller");
    delete_topic();
    (void)sim_run(&world.rig.sim, world.rig.sim.now_ns + 10000000000, is_deleted, NULL);
    lose_power(story->loss);
    sim_disk_break(disk_of_broker(), disks[story->away_first], false);
    broker_rig_start(&world.rig, id);
    wait_for(is_controller, "a controller again");
    wait_for(is_deleted, "the deletion");
    assert_int_equal(count_names(), 0);
    create_topic();
    wait_for(serves, "the next topic");
    assert_int_equal(partition_store_log_end_offset(replica()->store), 0);
    end();
    return has_come;
}

static void a_deletion_waits_for_a_twin(void **state)
{
    struct story story = {.in_move = TROUBLE_CRASH};
    bool has_come = true;
    (void)state;
    while (has_come) {
        story.boundary++;
        for (uint64_t i = 0; i < sim_loss_count; i++)
            for (story.away_first = 0; story.away_first < 2; story.away_first++) {
                story.loss = (enum sim_loss)((story.boundary + i) % sim_loss_count);
                has_come = play_deletion(&story);
            }
    }
    assert_true(story.boundary > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_in_a_takeover_loses_nothing),
        cmocka_unit_test(a_failure_in_a_takeover_loses_nothing),
        cmocka_unit_test(a_crash_in_a_start_with_twins_loses_nothing),
        cmocka_unit_test(a_failure_in_a_start_with_twins_loses_nothing),
        cmocka_unit_test(a_deletion_waits_for_a_twin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
