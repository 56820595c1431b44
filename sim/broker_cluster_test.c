/* Three of our brokers on a keeper of ours in the simulated world: the controller tells all of
 * them, they die, stop, come back and take over from each other. */
#include "sim/broker_rig.h"
#include "test/unit_test.h"

#include "server/broker/replica_agent.h"
#include "sim/sim_net.h"

#include <errno.h>
#include <stdio.h>

enum {
    broker_count = broker_rig_broker_count,
    hand_index = broker_rig_first_client_node,
    patience_s = 300,
    text_size = 600,
    replica_max = 3
};

/* What the process of a broker is to begin. */
struct wishes {
    struct create_topics *create;
    struct delete_topics *deletion;
    struct create_partitions *growth;
    struct elect_leaders *election;
    struct alter_reassignments *reassignment;
    uint32_t answer_count;
};

struct world {
    struct broker_rig rig;
    char lines[text_size];                  /* Of server.properties. */
    struct wishes wishes[broker_count + 1]; /* By id; 0 is none. */
};

static struct world world;

static void start_what_is_asked(struct broker_rig_broker *broker)
{
    struct control *control = broker->server->control;
    struct wishes *wishes = &world.wishes[broker->id];
    const struct wishes asked = *wishes;
    *wishes = (struct wishes){.answer_count = asked.answer_count};
    if (asked.create != NULL)
        control_create_topics(control, asked.create);
    if (asked.deletion != NULL)
        control_delete_topics(control, asked.deletion);
    if (asked.growth != NULL)
        control_create_partitions(control, asked.growth);
    if (asked.election != NULL)
        control_elect_leaders(control, asked.election);
    if (asked.reassignment != NULL)
        control_alter_reassignments(control, asked.reassignment);
}

/* ---- the world ---- */

static const struct broker_server *serving(int32_t id)
{
    return broker_rig_serving(&world.rig, id);
}

static void start_broker(int32_t id)
{
    world.wishes[id] = (struct wishes){0};
    broker_rig_start(&world.rig, id);
}

static void kill_broker(int32_t id)
{
    broker_rig_kill(&world.rig, id);
}

static void run_ms(uint64_t ms)
{
    broker_rig_run_ms(&world.rig, ms);
}

static const char *disagreement = "";

static void wait_for(bool (*condition)(void *context), void *context, const char *what)
{
    if (!broker_rig_run_until(&world.rig, condition, context, patience_s))
        fail_msg("%s: not within %d s %s", what, (int)patience_s, disagreement);
}

static bool knows_all(void *context)
{
    (void)context;
    return broker_rig_complete_count(&world.rig) > 0;
}

/* rebalances: preferred leaders come back by themselves. For those who start from now on. */
static void set_lines(bool rebalances)
{
    snprintf(world.lines, sizeof world.lines,
             "zookeeper.session.timeout.ms=6000\nauto.leader.rebalance.enable=%s\n"
             "leader.imbalance.check.interval.seconds=10\n"
             "controlled.shutdown.retry.backoff.ms=500\n",
             rebalances ? "true" : "false");
}

static void begin(uint64_t seed, struct sim_faults faults)
{
    world = (struct world){.rig = {.lines = world.lines,
                                   .log_dirs = "/disk1,/disk2",
                                   .take_turn = start_what_is_asked}};
    set_lines(false);
    broker_rig_begin(&world.rig, seed, 1, faults);
    for (int32_t id = 1; id <= broker_count; id++) {
        start_broker(id);
        if (id == 1)
            run_ms(2000); /* It becomes the controller. */
    }
    wait_for(knows_all, NULL, "the brokers know each other");
}

static int32_t controller_id(void)
{
    return broker_rig_controller(&world.rig);
}

static bool has_controller(void *context)
{
    (void)context;
    return controller_id() > 0;
}

/* ---- what the keeper holds ---- */

static struct slice data_of(const char *path)
{
    const struct znode *znode = tree_find(&world.rig.keeper->keeper.tree, slice_from_text(path));
    return znode == NULL ? SLICE_NULL : tree_data(&world.rig.keeper->keeper.tree, znode);
}

static bool exists(const char *path)
{
    return tree_find(&world.rig.keeper->keeper.tree, slice_from_text(path)) != NULL;
}

struct stored_state {
    struct partition_state state;
    int32_t isr[replica_max];
    bool exists;
};

static struct stored_state stored(const char *topic, int32_t index)
{
    struct stored_state found = {0};
    char path[text_size];
    uint8_t memory[1024];
    struct arena arena;
    arena_init(&arena, memory, sizeof memory);
    snprintf(path, sizeof path, "/brokers/topics/%s/partitions/%d/state", topic, (int)index);
    const struct slice data = data_of(path);
    if (slice_is_null(data))
        return found;
    assert_int_equal(znode_json_read_partition(data, &arena, &found.state), ERR_OK);
    assert_true(found.state.isr_count <= replica_max);
    memcpy(found.isr, found.state.isr, found.state.isr_count * sizeof found.isr[0]);
    found.exists = true;
    return found;
}

/* Whether a broker's view, and what it does itself, is what the keeper holds. */
static bool is_told(int32_t id, const char *topic, int32_t index)
{
    const struct broker_server *server = serving(id);
    const struct stored_state state = stored(topic, index);
    const struct metadata_partition *view =
        metadata_view_partition(control_metadata(server->control), slice_from_text(topic), index);
    if (!state.exists || view == NULL || view->leader != state.state.leader ||
        view->leader_epoch != state.state.leader_epoch ||
        view->isr_count != state.state.isr_count ||
        memcmp(view->isr, state.isr, view->isr_count * sizeof view->isr[0]) != 0)
        return false;
    const struct partition *partition =
        partition_table_find(&server->partitions, slice_from_text(topic), index);
    const bool leads = partition_is_led(partition);
    return leads == (view->leader == id) &&
           (!leads || partition->leader_epoch == view->leader_epoch);
}

struct agreement {
    const char *topic;
    int32_t partition_count;
};

static bool all_are_told(void *context)
{
    const struct agreement *agreement = context;
    for (int32_t id = 1; id <= broker_count; id++)
        for (int32_t index = 0; index < agreement->partition_count; index++)
            if (serving(id) != NULL && !is_told(id, agreement->topic, index))
                return false;
    return true;
}

static void wait_agreed(const char *topic, int32_t partition_count)
{
    struct agreement agreement = {topic, partition_count};
    wait_for(all_are_told, &agreement, topic);
}

/* ---- requests ---- */

static bool has_answer(void *context)
{
    return ((struct wishes *)context)->answer_count > 0;
}

static void wait_answer(struct wishes *wishes)
{
    wait_for(has_answer, wishes, "an answer");
    wishes->answer_count = 0;
}

static void on_created(struct create_topics *request)
{
    ((struct wishes *)request->user)->answer_count++;
}

static int16_t create_within(const char *name, int32_t partition_count, int16_t factor,
                             int32_t timeout_ms)
{
    static struct topic_create topic;
    static struct create_topics request;
    wait_for(has_controller, NULL, "a controller");
    struct wishes *wishes = &world.wishes[controller_id()];
    topic = (struct topic_create){.name = slice_from_text(name),
                                  .partition_count = partition_count,
                                  .replication_factor = factor};
    request = (struct create_topics){.topics = &topic,
                                     .topic_count = 1,
                                     .timeout_ms = timeout_ms,
                                     .done = on_created,
                                     .user = wishes};
    wishes->create = &request;
    wait_answer(wishes);
    return topic.error_code;
}

static int16_t create(const char *name, int32_t partition_count, int16_t factor)
{
    return create_within(name, partition_count, factor, 60000);
}

static void on_grown(struct create_partitions *request)
{
    ((struct wishes *)request->user)->answer_count++;
}

static int16_t grow(const char *name, int32_t partition_count)
{
    static struct topic_grow topic;
    static struct create_partitions request;
    struct wishes *wishes = &world.wishes[controller_id()];
    topic = (struct topic_grow){.name = slice_from_text(name), .partition_count = partition_count};
    request = (struct create_partitions){
        .topics = &topic, .topic_count = 1, .timeout_ms = 60000, .done = on_grown, .user = wishes};
    wishes->growth = &request;
    wait_answer(wishes);
    return topic.error_code;
}

static void on_deleted(struct delete_topics *request)
{
    ((struct wishes *)request->user)->answer_count++;
}

static int16_t delete (const char *name)
{
    static struct topic_delete topic;
    static struct delete_topics request;
    struct wishes *wishes = &world.wishes[controller_id()];
    topic = (struct topic_delete){.name = slice_from_text(name)};
    request = (struct delete_topics){.topics = &topic,
                                     .topic_count = 1,
                                     .timeout_ms = 60000,
                                     .done = on_deleted,
                                     .user = wishes};
    wishes->deletion = &request;
    wait_answer(wishes);
    return topic.error_code;
}

static void on_elected(struct elect_leaders *request)
{
    ((struct wishes *)request->user)->answer_count++;
}

static int16_t elect(const char *topic, int32_t index, bool is_unclean)
{
    static struct partition_election item;
    static struct elect_leaders request;
    struct wishes *wishes = &world.wishes[controller_id()];
    item = (struct partition_election){.topic = slice_from_text(topic), .index = index};
    request = (struct elect_leaders){.is_unclean = is_unclean,
                                     .partitions = &item,
                                     .partition_count = 1,
                                     .timeout_ms = 10000,
                                     .done = on_elected,
                                     .user = wishes};
    wishes->election = &request;
    wait_answer(wishes);
    return item.error_code;
}

static void on_reassigned(struct alter_reassignments *request)
{
    ((struct wishes *)request->user)->answer_count++;
}

static int16_t reassign(const char *topic, int32_t index, const int32_t *ids, uint32_t count)
{
    static struct partition_reassignment item;
    static struct alter_reassignments request;
    struct wishes *wishes = &world.wishes[controller_id()];
    item = (struct partition_reassignment){.topic = slice_from_text(topic),
                                           .index = index,
                                           .is_cancel = ids == NULL,
                                           .replica_count = count,
                                           .replicas = ids};
    request = (struct alter_reassignments){.partitions = &item,
                                           .partition_count = 1,
                                           .timeout_ms = 10000,
                                           .done = on_reassigned,
                                           .user = wishes};
    wishes->reassignment = &request;
    wait_answer(wishes);
    return request.error_code != KAFKA_NONE ? request.error_code : item.error_code;
}

/* ---- znodes by hand ---- */

struct hand {
    struct zk_session session;
    struct zk_request request;
    bool is_done;
};

static void on_hand_done(struct zk_request *request, const struct keeper_result *result)
{
    assert_int_equal(result->code, KEEPER_OK);
    CONTAINER_OF(request, struct hand, request)->is_done = true;
}

static void on_hand_session(void *context)
{
    struct hand *hand = context;
    zk_session_send(&hand->session, &hand->request);
}

static void on_hand_event(void *context)
{
    (void)context;
}

static void hand_process(struct sim_node *node, void *argument)
{
    struct hand *hand = argument;
    struct net *net;
    assert_int_equal(net_init(&net, node->io, &node->heap, node->diag,
                              (struct net_options){.connection_count_max = 10,
                                                   .receive_bytes_first = 4096,
                                                   .open_reply_count_max = 100,
                                                   .unsent_bytes_max = 1 << 20}),
                     ERR_OK);
    assert_int_equal(
        zk_session_init(
            &hand->session, node->io, net, &node->heap, node->diag,
            (struct keeper_client_options){.connect = "10.0.0.1:2181", .session_timeout_ms = 2000},
            (struct zk_session_handler){on_hand_session, on_hand_event, on_hand_event, hand}),
        ERR_OK);
    zk_session_start(&hand->session);
    for (;;)
        io_run(node->io, UINT64_MAX);
}

static bool is_hand_done(void *context)
{
    return ((struct hand *)context)->is_done;
}

static void do_by_hand(struct zk_request request)
{
    static struct hand hand;
    const char *path = request.path;
    hand = (struct hand){.request = request};
    hand.request.done = on_hand_done;
    sim_node_start(world.rig.sim.nodes[hand_index], hand_process, &hand);
    wait_for(is_hand_done, &hand, path);
    sim_node_kill(world.rig.sim.nodes[hand_index]);
}

static void create_by_hand(const char *path, const char *data, int32_t flags)
{
    do_by_hand((struct zk_request){
        .kind = ZK_REQUEST_CREATE, .path = path, .data = slice_from_text(data), .flags = flags});
}

/* ---- tests ---- */

static void every_broker_hears_of_a_topic_and_of_its_end(void **state)
{
    (void)state;
    begin(1, (struct sim_faults){0});
    assert_int_equal(create("t", 6, 3), KAFKA_NONE);
    wait_agreed("t", 6);
    uint32_t led[broker_count + 1] = {0};
    for (int32_t index = 0; index < 6; index++) {
        const struct stored_state found = stored("t", index);
        assert_int_equal(found.state.leader_epoch, 0);
        assert_int_equal(found.state.isr_count, 3);
        led[found.state.leader]++;
    }
    for (int32_t id = 1; id <= broker_count; id++)
        assert_int_equal(led[id], 2);
    assert_int_equal(delete ("t"), KAFKA_NONE);
    run_ms(2000);
    assert_false(exists("/brokers/topics/t"));
    assert_false(exists("/config/topics/t"));
    assert_false(exists("/admin/delete_topics/t"));
    for (int32_t id = 1; id <= broker_count; id++)
        assert_null(
            metadata_view_topic(control_metadata(serving(id)->control), SLICE_LITERAL("t")));
    sim_deinit(&world.rig.sim);
}

/* ---- what the others know when a request is answered ---- */

/* For brokers whose views show so many partitions of a topic, each with a leader. */
static uint32_t count_knowing(const char *topic, uint32_t partition_count)
{
    uint32_t count = 0;
    for (int32_t id = 1; id <= broker_count; id++) {
        const struct metadata_topic *known =
            metadata_view_topic(control_metadata(serving(id)->control), slice_from_text(topic));
        uint32_t led_count = 0;
        for (uint32_t index = 0; known != NULL && index < known->partition_count; index++)
            led_count += known->partitions[index].leader >= 0;
        count += led_count == partition_count;
    }
    return count;
}

static uint64_t ms_of_creation(const char *topic)
{
    const uint64_t begin_ns = world.rig.sim.now_ns;
    assert_int_equal(create(topic, 4, 3), KAFKA_NONE);
    return (world.rig.sim.now_ns - begin_ns) / 1000000;
}

/* A client may ask another broker next. */
static void all_brokers_know_before_the_client_does(void **state)
{
    (void)state;
    for (uint64_t seed = 30; seed < 36; seed++) {
        begin(seed, (struct sim_faults){.delay_ns_mean = 5000000});
        assert_true(ms_of_creation("t") < 500);
        assert_int_equal(count_knowing("t", 4), 3);
        assert_int_equal(grow("t", 7), KAFKA_NONE);
        assert_int_equal(count_knowing("t", 7), 3);
        assert_int_equal(delete ("t"), KAFKA_NONE);
        assert_int_equal(count_knowing("t", 0), 3);
        sim_deinit(&world.rig.sim);
    }
}

static void a_broker_that_hears_nothing_is_not_waited_for_long(void **state)
{
    (void)state;
    begin(31, (struct sim_faults){0});
    const int32_t controller = controller_id();
    const int32_t other = controller == 1 ? 2 : 1;
    assert_true(ms_of_creation("before") < 500);
    sim_net_block(&world.rig.sim, (uint32_t)controller, (uint32_t)other);
    const uint64_t ms = ms_of_creation("cut-off");
    assert_true(ms >= 500 && ms < 1500);
    assert_int_equal(count_knowing("cut-off", 4), 2);
    sim_net_heal(&world.rig.sim);
    wait_agreed("cut-off", 4);
    /* One that does not answer at all is not waited for, though it counts as alive. */
    kill_broker(other);
    assert_int_equal(create_within("first", 4, 3, 60000), KAFKA_NONE);
    assert_true(ms_of_creation("second") < 500);
    sim_deinit(&world.rig.sim);
}

/* Nobody waits for it, and the controller has yet to read what it wrote. */
static void a_topic_grows_before_anybody_shows_it(void **state)
{
    (void)state;
    begin(5, (struct sim_faults){.delay_ns_mean = 20000000});
    assert_int_equal(create_within("t", 2, 3, 0), KAFKA_REQUEST_TIMED_OUT);
    assert_null(metadata_view_topic(control_metadata(serving(controller_id())->control),
                                    SLICE_LITERAL("t")));
    assert_int_equal(grow("t", 4), KAFKA_NONE);
    wait_agreed("t", 4);
    assert_int_equal(grow("none", 4), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(grow("no/name", 4), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    sim_deinit(&world.rig.sim);
}

static void a_killed_broker_is_replaced_and_comes_back(void **state)
{
    (void)state;
    begin(2, (struct sim_faults){0});
    assert_int_equal(create("t", 3, 3), KAFKA_NONE);
    wait_agreed("t", 3);
    kill_broker(3);
    run_ms(10000); /* Its session expires. */
    wait_agreed("t", 3);
    for (int32_t index = 0; index < 3; index++) {
        const struct stored_state found = stored("t", index);
        assert_int_equal(found.state.leader_epoch, 1);
        assert_int_equal(found.state.isr_count, 2);
        assert_int_not_equal(found.state.leader, 3);
    }
    assert_int_equal(create("u", 3, 3), KAFKA_INVALID_REPLICATION_FACTOR);
    /* A topic that goes while a broker with its files is away is gone for clients, and waits. */
    assert_int_equal(create("v", 3, 2), KAFKA_NONE);
    start_broker(3);
    wait_for(knows_all, NULL, "it is back");
    wait_agreed("t", 3);
    wait_agreed("v", 3);
    sim_deinit(&world.rig.sim);
}

static void a_broker_that_comes_back_at_once_was_away_all_the_same(void **state)
{
    (void)state;
    begin(8, (struct sim_faults){0});
    assert_int_equal(create("t", 3, 3), KAFKA_NONE);
    wait_agreed("t", 3);
    /* The controller does not see it go. */
    sim_net_partition(&world.rig.sim, 1u << 1);
    kill_broker(3);
    start_broker(3);
    run_ms(800);
    sim_net_heal(&world.rig.sim);
    wait_for(knows_all, NULL, "it is back");
    wait_agreed("t", 3);
    assert_int_equal(controller_id(), 1);
    for (int32_t index = 0; index < 3; index++) {
        assert_int_not_equal(stored("t", index).state.leader, 3);
        assert_int_equal(stored("t", index).state.leader_epoch, 1);
    }
    sim_deinit(&world.rig.sim);
}

static bool is_led_as_preferred(void *context)
{
    (void)context;
    for (int32_t index = 0; index < 3; index++) {
        const struct metadata_partition *view = metadata_view_partition(
            control_metadata(serving(1)->control), SLICE_LITERAL("t"), index);
        if (view == NULL || view->leader != view->replicas[0])
            return false;
    }
    return true;
}

static void preferred_leaders_come_back_by_themselves(void **state)
{
    (void)state;
    begin(12, (struct sim_faults){0});
    set_lines(true);
    for (int32_t id = 1; id <= broker_count; id++) {
        kill_broker(id);
        start_broker(id);
    }
    wait_for(knows_all, NULL, "all are back");
    assert_int_equal(create("t", 3, 3), KAFKA_NONE);
    wait_agreed("t", 3);
    const int32_t other = controller_id() % broker_count + 1;
    kill_broker(other);
    run_ms(5000);
    start_broker(other);
    wait_for(knows_all, NULL, "it is back");
    wait_agreed("t", 3);
    assert_false(is_led_as_preferred(NULL));
    wait_for(is_led_as_preferred, NULL, "preferred leaders");
    sim_deinit(&world.rig.sim);
}

static void a_topic_is_deleted_when_the_last_replica_is_back(void **state)
{
    (void)state;
    begin(3, (struct sim_faults){0});
    assert_int_equal(create("t", 3, 3), KAFKA_NONE);
    wait_agreed("t", 3);
    kill_broker(2);
    run_ms(10000);
    assert_int_equal(delete ("t"), KAFKA_NONE);
    run_ms(5000);
    assert_true(exists("/brokers/topics/t"));
    assert_int_equal(create("t", 1, 1), KAFKA_TOPIC_ALREADY_EXISTS);
    start_broker(2);
    wait_for(knows_all, NULL, "it is back");
    run_ms(5000);
    assert_false(exists("/brokers/topics/t"));
    assert_false(exists("/admin/delete_topics/t"));
    assert_int_equal(create("t", 1, 3), KAFKA_NONE);
    wait_agreed("t", 1);
    sim_deinit(&world.rig.sim);
}

static bool are_all_in_sync(void *context)
{
    const struct agreement *agreement = context;
    for (int32_t index = 0; index < agreement->partition_count; index++)
        if (stored(agreement->topic, index).state.isr_count != broker_count)
            return false;
    return all_are_told(context);
}

/* A topic is made while a broker that is not the controller has little memory; then it has enough.
 */
static void starve_a_broker(size_t room, bool (*make)(void))
{
    begin(16, (struct sim_faults){0});
    const int32_t id = controller_id() == 2 ? 3 : 2;
    struct heap *heap = &world.rig.sim.nodes[id]->heap;
    const size_t limit_bytes = heap->limit_bytes;
    heap->limit_bytes = heap->used_bytes + heap->kept_bytes + room;
    assert_true(make());
    run_ms(1000);
    heap->limit_bytes = limit_bytes;
}

static bool make_everywhere(void)
{
    return create_within("t", 8, broker_count, 200) == KAFKA_NONE;
}

/* Wherever it lacks: for the settings, the replicas, or the messages themselves. */
static void a_broker_without_memory_for_a_while_has_all_replicas_later(void **state)
{
    (void)state;
    for (size_t room = 0; room < 16 * 1024; room += 64) {
        starve_a_broker(room, make_everywhere);
        wait_for(are_all_in_sync, &(struct agreement){"t", 8}, "all are in sync");
        sim_deinit(&world.rig.sim);
    }
}

static bool make_at_controller(void)
{
    static int32_t id;
    static struct topic_assignment assignments[8];
    static struct topic_create topic;
    static struct create_topics request;
    struct wishes *wishes = &world.wishes[controller_id()];
    id = controller_id();
    for (int32_t index = 0; index < 8; index++)
        assignments[index] =
            (struct topic_assignment){.partition = index, .broker_count = 1, .brokers = &id};
    topic = (struct topic_create){.name = SLICE_LITERAL("t"),
                                  .partition_count = -1,
                                  .replication_factor = -1,
                                  .assignment_count = ARRAY_COUNT(assignments),
                                  .assignments = assignments};
    request = (struct create_topics){
        .topics = &topic, .topic_count = 1, .timeout_ms = 200, .done = on_created, .user = wishes};
    wishes->create = &request;
    wait_answer(wishes);
    return topic.error_code == KAFKA_NONE;
}

/* Nothing happens to the topic any more that would have the controller tell of it. */
static void a_broker_without_memory_for_a_while_knows_all_later(void **state)
{
    (void)state;
    for (size_t room = 0; room < 16 * 1024; room += 64) {
        starve_a_broker(room, make_at_controller);
        wait_agreed("t", 8);
        sim_deinit(&world.rig.sim);
    }
}

static bool is_shown_nowhere(void *topic)
{
    for (int32_t id = 1; id <= broker_count; id++)
        if (serving(id) == NULL || metadata_view_topic(control_metadata(serving(id)->control),
                                                       slice_from_text(topic)) != NULL)
            return false;
    return true;
}

/* The third broker has no replica, so the deletion does not wait for it, and nobody will tell. */
static void a_topic_that_went_while_a_broker_was_away_is_not_shown(void **state)
{
    (void)state;
    begin(12, (struct sim_faults){0});
    assert_int_equal(create("t", 1, 1), KAFKA_NONE);
    assert_int_equal(create("stays", 3, 3), KAFKA_NONE);
    wait_agreed("t", 1);
    wait_agreed("stays", 3);
    const int32_t leader = stored("t", 0).state.leader;
    const int32_t away = leader == 3 ? 2 : 3;
    assert_int_not_equal(controller_id(), away);
    sim_net_partition(&world.rig.sim, 1u << away);
    run_ms(15000);
    assert_int_equal(delete ("t"), KAFKA_NONE);
    run_ms(2000);
    assert_false(exists("/brokers/topics/t"));
    assert_non_null(
        metadata_view_topic(control_metadata(serving(away)->control), SLICE_LITERAL("t")));
    sim_net_heal(&world.rig.sim);
    wait_for(is_shown_nowhere, (void *)(uintptr_t) "t", "nobody shows it");
    wait_agreed("stays", 3);
    sim_deinit(&world.rig.sim);
}

static void another_controller_goes_on_where_the_last_one_died(void **state)
{
    (void)state;
    begin(4, (struct sim_faults){0});
    assert_int_equal(controller_id(), 1);
    assert_int_equal(create("t", 4, 3), KAFKA_NONE);
    wait_agreed("t", 4);
    kill_broker(1);
    run_ms(10000);
    wait_for(has_controller, NULL, "another controller");
    wait_agreed("t", 4);
    for (int32_t index = 0; index < 4; index++) {
        assert_int_equal(stored("t", index).state.leader_epoch, 1);
        assert_int_equal(stored("t", index).state.isr_count, 2);
    }
    assert_int_equal(create("u", 4, 2), KAFKA_NONE);
    wait_agreed("u", 4);
    start_broker(1);
    wait_for(knows_all, NULL, "it is back");
    assert_int_not_equal(controller_id(), 1);
    wait_agreed("t", 4);
    wait_agreed("u", 4);
    sim_deinit(&world.rig.sim);
}

static void stop(int32_t id)
{
    broker_rig_stop(&world.rig, id);
    assert_true(sim_node_wait(world.rig.sim.nodes[id],
                              world.rig.sim.now_ns + (uint64_t)patience_s * 1000000000));
    assert_int_equal(world.rig.sim.nodes[id]->end, SIM_NODE_RETURNED);
}

static void a_broker_that_stops_hands_over_first(void **state)
{
    (void)state;
    begin(5, (struct sim_faults){0});
    assert_int_equal(create("t", 6, 3), KAFKA_NONE);
    wait_agreed("t", 6);
    const uint64_t since_ns = world.rig.sim.now_ns;
    stop(3);
    assert_true(world.rig.sim.now_ns - since_ns < 1000000000);
    for (int32_t index = 0; index < 6; index++) {
        const struct stored_state found = stored("t", index);
        assert_int_not_equal(found.state.leader, 3);
        assert_int_equal(found.state.leader_epoch, 1); /* Its end changed nothing any more. */
        assert_int_equal(found.state.isr_count, 2);
    }
    wait_agreed("t", 6);
    stop(1); /* The controller. */
    wait_for(has_controller, NULL, "another controller");
    assert_int_equal(controller_id(), 2);
    for (int32_t index = 0; index < 6; index++) {
        assert_int_equal(stored("t", index).state.leader, 2);
        assert_int_equal(stored("t", index).state.leader_epoch, 2);
    }
    wait_agreed("t", 6);
    stop(2);
    sim_deinit(&world.rig.sim);
}

static void leaders_are_elected_and_replicas_taken_away(void **state)
{
    static const int32_t two[] = {3, 2};
    (void)state;
    begin(6, (struct sim_faults){0});
    assert_int_equal(create("t", 3, 3), KAFKA_NONE);
    wait_agreed("t", 3);
    const int32_t leader = stored("t", 0).state.leader;
    assert_int_equal(elect("t", 0, false), KAFKA_ELECTION_NOT_NEEDED);
    assert_int_equal(elect("t", 9, false), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(elect("t", 0, true), KAFKA_ELECTION_NOT_NEEDED);
    assert_int_equal(reassign("t", 0, NULL, 0), KAFKA_NO_REASSIGNMENT_IN_PROGRESS);
    assert_int_equal(reassign("t", 5, two, 2), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(reassign("t", 0, two, 2), KAFKA_NONE);
    run_ms(2000);
    const struct stored_state found = stored("t", 0);
    assert_int_equal(found.state.isr_count, 2);
    assert_int_equal(found.state.leader, leader == 1 ? 3 : leader);
    assert_int_equal(found.state.leader_epoch, 2); /* One for the leader, one for who went. */
    wait_agreed("t", 3);
    assert_null(partition_table_find(&serving(1)->partitions, SLICE_LITERAL("t"), 0));
    if (leader == 2) {
        assert_int_equal(elect("t", 0, false), KAFKA_NONE);
        assert_int_equal(stored("t", 0).state.leader, 3);
    }
    sim_deinit(&world.rig.sim);
}

static bool holds(const char *path, const char *text)
{
    const struct slice data = data_of(path);
    const size_t size = strlen(text);
    for (size_t at = 0; !slice_is_null(data) && at + size <= data.size; at++)
        if (memcmp(data.data + at, text, size) == 0)
            return true;
    return false;
}

struct assignment {
    const char *topic;
    char text[64];
};

static bool is_assigned(void *context)
{
    const struct assignment *assignment = context;
    char path[text_size];
    snprintf(path, sizeof path, "/brokers/topics/%s", assignment->topic);
    return holds(path, assignment->text) && holds(path, "\"adding_replicas\":{}") &&
           holds(path, "\"removing_replicas\":{}");
}

static void wait_assigned(const char *topic, const char *replicas)
{
    struct assignment assignment = {.topic = topic};
    snprintf(assignment.text, sizeof assignment.text, "\"partitions\":{\"0\":[%s]}", replicas);
    wait_for(is_assigned, &assignment, replicas);
}

static void see_reassignment(void *context, const struct reassignment_description *description)
{
    (*(uint32_t *)context)++;
    assert_int_equal(description->adding_count, 1);
    assert_int_equal(description->adding[0], 3);
    assert_int_equal(description->removing_count, 2);
}

static bool another_leads(void *context)
{
    (void)context;
    for (int32_t id = 2; id <= broker_count; id++)
        if (serving(id) != NULL && control_is_controller(serving(id)->control))
            return true;
    return false;
}

/* It has not heard of it yet, and its session lives: but the keeper takes nothing of it any more.
 */
static void a_controller_that_is_one_no_more_changes_nothing(void **state)
{
    static struct topic_create topic;
    static struct create_topics request;
    (void)state;
    begin(11, (struct sim_faults){0});
    assert_int_equal(create("t", 3, 3), KAFKA_NONE);
    wait_agreed("t", 3);
    sim_net_block(&world.rig.sim, broker_rig_keeper_node, 1);
    sim_net_block(&world.rig.sim, 1, broker_rig_keeper_node);
    do_by_hand((struct zk_request){
        .kind = ZK_REQUEST_DELETE, .path = "/controller", .version = keeper_any_version});
    wait_for(another_leads, NULL, "another controller");
    struct wishes *wishes = &world.wishes[1];
    assert_true(control_is_controller(serving(1)->control));
    topic = (struct topic_create){
        .name = SLICE_LITERAL("u"), .partition_count = 1, .replication_factor = 1};
    request = (struct create_topics){
        .topics = &topic, .topic_count = 1, .timeout_ms = 1000, .done = on_created, .user = wishes};
    wishes->create = &request;
    run_ms(100);
    assert_true(exists("/brokers/ids/1"));
    sim_net_heal(&world.rig.sim);
    wait_answer(wishes);
    assert_int_equal(topic.error_code, KAFKA_NOT_CONTROLLER);
    wait_for(knows_all, NULL, "it is back");
    assert_int_not_equal(controller_id(), 1);
    assert_false(exists("/brokers/topics/u"));
    wait_agreed("t", 3);
    sim_deinit(&world.rig.sim);
}

/* The partition of topic t that this broker leads. */
static int32_t find_led_by(int32_t leader)
{
    for (int32_t index = 0; index < broker_count; index++)
        if (stored("t", index).state.leader == leader)
            return index;
    fail_msg("broker %d leads nothing", (int)leader);
    return -1;
}

static bool has_new_leader(void *context)
{
    const struct stored_state *before = context;
    return stored("t", before->state.index).state.leader_epoch > before->state.leader_epoch;
}

/* It knows nothing of its successor, and its session lives: the check in each write holds it back.
 */
static void a_controller_whose_epoch_is_over_writes_no_state(void **state)
{
    (void)state;
    begin(12, (struct sim_faults){0});
    assert_int_equal(create("t", 3, 3), KAFKA_NONE);
    wait_agreed("t", 3);
    assert_int_equal(controller_id(), 1);
    const int32_t index = find_led_by(2);
    struct stored_state before = stored("t", index);
    before.state.index = index;
    do_by_hand((struct zk_request){.kind = ZK_REQUEST_SET_DATA,
                                   .path = "/controller_epoch",
                                   .data = SLICE_LITERAL("2"),
                                   .version = keeper_any_version});
    assert_int_equal(controller_id(), 1);
    kill_broker(2);
    run_ms(10000);
    assert_false(exists("/brokers/ids/2"));
    assert_int_equal(controller_id(), -1);
    assert_int_equal(stored("t", index).state.leader, 2);
    assert_int_equal(stored("t", index).state.leader_epoch, before.state.leader_epoch);
    do_by_hand((struct zk_request){
        .kind = ZK_REQUEST_DELETE, .path = "/controller", .version = keeper_any_version});
    wait_for(has_new_leader, &before, "another leader");
    assert_int_equal(stored("t", index).state.controller_epoch, 3);
    sim_deinit(&world.rig.sim);
}

/* A state that somebody else wrote in between is read before it is changed. */
static void what_others_wrote_of_a_partition_counts(void **state)
{
    uint8_t memory[1024];
    char path[text_size];
    struct arena arena;
    (void)state;
    begin(13, (struct sim_faults){0});
    assert_int_equal(create("t", 3, 3), KAFKA_NONE);
    wait_agreed("t", 3);
    const int32_t index = find_led_by(2);
    struct stored_state before = stored("t", index);
    assert_int_equal(before.isr[0], 2);
    const int32_t in_sync[] = {2, before.isr[2]};
    before.state.index = index;
    before.state.isr = in_sync;
    before.state.isr_count = ARRAY_COUNT(in_sync);
    arena_init(&arena, memory, sizeof memory);
    snprintf(path, sizeof path, "/brokers/topics/t/partitions/%d/state", (int)index);
    do_by_hand((struct zk_request){.kind = ZK_REQUEST_SET_DATA,
                                   .path = path,
                                   .data = znode_json_write_partition(&arena, &before.state),
                                   .version = keeper_any_version});
    kill_broker(2);
    wait_for(has_new_leader, &before, "another leader");
    const struct stored_state after = stored("t", index);
    assert_int_equal(after.state.leader, in_sync[1]);
    assert_int_equal(after.state.isr_count, 1);
    assert_int_equal(after.isr[0], in_sync[1]);
    sim_deinit(&world.rig.sim);
}

/* What a client's Metadata or FindCoordinator makes the broker do that it happens to ask. */
static void any_broker_makes_a_topic_that_it_needs_itself(void **state)
{
    static struct topic_create topic;
    static struct create_topics request;
    (void)state;
    begin(10, (struct sim_faults){0});
    struct wishes *wishes = &world.wishes[controller_id() % broker_count + 1];
    topic = (struct topic_create){
        .name = SLICE_LITERAL("t"), .partition_count = 2, .replication_factor = 3};
    request = (struct create_topics){.topics = &topic,
                                     .topic_count = 1,
                                     .timeout_ms = 10000,
                                     .done = on_created,
                                     .user = wishes};
    wishes->create = &request;
    wait_answer(wishes);
    assert_int_equal(topic.error_code, KAFKA_NOT_CONTROLLER);
    request.by_any_broker = true;
    wishes->create = &request;
    wait_answer(wishes);
    assert_int_equal(topic.error_code, KAFKA_NONE);
    wait_agreed("t", 2);
    wishes->create = &request;
    wait_answer(wishes);
    assert_int_equal(topic.error_code, KAFKA_TOPIC_ALREADY_EXISTS);
    sim_deinit(&world.rig.sim);
}

static void replicas_move_with_their_records_and_back(void **state)
{
    static const int32_t one[] = {1}, others[] = {2, 3}, third[] = {3};
    (void)state;
    begin(7, (struct sim_faults){0});
    assert_int_equal(create("t", 1, 1), KAFKA_NONE);
    wait_agreed("t", 1);
    assert_int_equal(reassign("t", 0, one, 1), KAFKA_NONE);
    wait_assigned("t", "1");
    assert_int_equal(reassign("t", 0, others, 2), KAFKA_NONE);
    wait_assigned("t", "2,3");
    wait_agreed("t", 1);
    const struct stored_state moved = stored("t", 0);
    assert_int_equal(moved.state.leader, 2);
    assert_int_equal(moved.state.isr_count, 2);
    run_ms(2000);
    assert_null(partition_table_find(&serving(1)->partitions, SLICE_LITERAL("t"), 0));
    /* To one that is cut off: it is under way until it is called off. */
    assert_int_equal(reassign("t", 0, one, 1), KAFKA_NONE);
    wait_assigned("t", "1");
    assert_int_equal(reassign("t", 0, (const int32_t[]){1, 2}, 2), KAFKA_NONE);
    wait_assigned("t", "1,2");
    sim_net_partition(&world.rig.sim, 1u << 3);
    assert_int_equal(reassign("t", 0, third, 1), KAFKA_NONE);
    run_ms(1000);
    uint32_t count = 0;
    assert_int_equal(
        control_each_reassignment(serving(controller_id())->control, see_reassignment, &count),
        KAFKA_NONE);
    assert_int_equal(count, 1);
    assert_true(holds("/brokers/topics/t", "\"adding_replicas\":{\"0\":[3]}"));
    run_ms(10000);
    assert_int_equal(reassign("t", 0, third, 1), KAFKA_INVALID_REPLICA_ASSIGNMENT); /* Dead now. */
    assert_int_equal(reassign("t", 0, NULL, 0), KAFKA_NONE);
    wait_assigned("t", "1,2");
    sim_net_heal(&world.rig.sim);
    wait_for(knows_all, NULL, "it is back");
    wait_agreed("t", 1);
    assert_int_equal(stored("t", 0).state.isr_count, 2);
    sim_deinit(&world.rig.sim);
}

static bool is_absent(void *context)
{
    return !exists(context);
}

static void what_tools_and_brokers_leave_in_the_keeper_is_heeded(void **state)
{
    static char elections[] = "/admin/preferred_replica_election";
    static char moves[] = "/admin/reassign_partitions";
    static char changes[] = "/isr_change_notification/isr_change_0000000000";
    static char events[] = "/log_dir_event_notification/log_dir_event_0000000000";
    static const int32_t all[] = {1, 2, 3};
    (void)state;
    begin(9, (struct sim_faults){0});
    assert_int_equal(create("t", 1, 1), KAFKA_NONE);
    assert_int_equal(reassign("t", 0, all, 3), KAFKA_NONE);
    wait_assigned("t", "1,2,3");
    wait_agreed("t", 1);
    create_by_hand(moves,
                   "{\"version\":1,\"partitions\":[{\"topic\":\"t\",\"partition\":0,"
                   "\"replicas\":[2,3]},{\"topic\":\"no\",\"partition\":0,\"replicas\":[1]}]}",
                   KEEPER_PERSISTENT);
    wait_for(is_absent, moves, moves);
    wait_assigned("t", "2,3");
    wait_agreed("t", 1);
    assert_int_equal(stored("t", 0).state.leader, 2);
    kill_broker(2);
    run_ms(5000);
    assert_int_equal(stored("t", 0).state.leader, 3);
    start_broker(2);
    wait_for(knows_all, NULL, "it is back");
    while (stored("t", 0).state.isr_count < 2)
        run_ms(1000);
    create_by_hand(elections, "{\"version\":1,\"partitions\":[{\"topic\":\"t\",\"partition\":0}]}",
                   KEEPER_PERSISTENT);
    wait_for(is_absent, elections, elections);
    assert_int_equal(stored("t", 0).state.leader, 2);
    wait_agreed("t", 1);
    create_by_hand("/isr_change_notification/isr_change_",
                   "{\"version\":1,\"partitions\":[{\"topic\":\"t\",\"partition\":0}]}",
                   KEEPER_SEQUENTIAL);
    wait_for(is_absent, changes, changes);
    create_by_hand("/log_dir_event_notification/log_dir_event_",
                   "{\"version\":1,\"broker\":2,\"event\":1}", KEEPER_SEQUENTIAL);
    wait_for(is_absent, events, events);
    wait_agreed("t", 1);
    sim_deinit(&world.rig.sim);
}

/* ---- log directories ---- */

/* Notes what is not as it should be. */
static bool is_so(bool condition, const char *what, const char *topic, int32_t id)
{
    static char text[64];
    snprintf(text, sizeof text, "(%s %s at %d)", what, topic, (int)id);
    if (!condition)
        disagreement = text;
    return condition;
}

enum { spread_count = 6 };

static const char *const disks[] = {"/disk1", "/disk2"};

static bool lies_on(int32_t id, int32_t index, const char *disk)
{
    char path[text_size];
    struct io_file_info info;
    snprintf(path, sizeof path, "%s/t-%d", disk, (int)index);
    return sim_disk_info(&world.rig.sim.nodes[id]->disk, path, &info) != -ENOENT;
}

static bool has(const int32_t *ids, uint32_t count, int32_t id)
{
    for (uint32_t index = 0; index < count; index++)
        if (ids[index] == id)
            return true;
    return false;
}

struct breach {
    int32_t id;
    uint32_t lost; /* By index: on the disk that has failed. */
};

/* Where the disk has failed others lead, the ISR goes without it, and everybody knows; elsewhere
 * nothing has changed. */
static bool is_contained(void *context)
{
    const struct breach *breach = context;
    for (int32_t index = 0; index < spread_count; index++) {
        const bool is_lost = (breach->lost >> index & 1) != 0;
        const struct stored_state state = stored("t", index);
        if (!is_so(has(state.isr, state.state.isr_count, breach->id) != is_lost, "isr", "t",
                   index) ||
            !is_so(state.state.isr_count == (is_lost ? 2 : 3), "isr count", "t", index) ||
            !is_so(state.state.leader >= 0, "leader", "t", index))
            return false;
        for (int32_t id = 1; id <= broker_count; id++) {
            const struct metadata_partition *view = metadata_view_partition(
                control_metadata(serving(id)->control), SLICE_LITERAL("t"), index);
            if (!is_so(is_told(id, "t", index), "state", "t", id) ||
                !is_so(view->offline_count == (is_lost ? 1 : 0), "offline", "t", id) ||
                !is_so(!is_lost || view->offline[0] == breach->id, "which", "t", id))
                return false;
        }
    }
    return is_so(!exists("/log_dir_event_notification/log_dir_event_0000000000"), "notice", "", 0);
}

static bool is_all_in_sync(void *context)
{
    struct breach breach = {.id = *(const int32_t *)context};
    return knows_all(NULL) && is_contained(&breach);
}

static bool has_ended(void *context)
{
    return world.rig.brokers[*(const int32_t *)context].server == NULL;
}

static enum error_code code_at(int32_t id, int32_t index)
{
    enum error_code code;
    (void)broker_server_partition(
        broker_rig_serving(&world.rig, id),
        (struct broker_partition_name){
            .topic = SLICE_LITERAL("t"), .index = index, .leader_epoch = -1, .may_follow = true},
        &code);
    return code;
}

/* Partitions lie on both disks of each broker; one of the broker's fails, then it starts without,
 * and comes back with it. */
static void lose_and_regain(uint64_t seed, int32_t id)
{
    struct breach breach = {.id = id};
    struct sim_disk *disk;
    begin(seed, (struct sim_faults){0});
    disk = &world.rig.sim.nodes[id]->disk;
    assert_int_equal(create("t", spread_count, 3), KAFKA_NONE);
    wait_agreed("t", spread_count);
    for (int32_t index = 0; index < spread_count; index++)
        breach.lost |= (uint32_t)lies_on(id, index, disks[0]) << index;
    assert_true(breach.lost != 0 && breach.lost != (1u << spread_count) - 1);
    sim_disk_break(disk, disks[0], true);
    wait_for(is_contained, &breach, "the failure is contained");
    assert_non_null(serving(id));
    for (int32_t index = 0; index < spread_count; index++)
        assert_int_equal(code_at(id, index),
                         (breach.lost >> index & 1) != 0 ? KAFKA_KAFKA_STORAGE_ERROR : KAFKA_NONE);
    kill_broker(id);
    start_broker(id);
    run_ms(8000);
    wait_for(knows_all, NULL, "it starts with the other disk");
    wait_for(is_contained, &breach, "the failure is contained after a start");
    for (int32_t index = 0; index < spread_count; index++)
        assert_int_not_equal(lies_on(id, index, disks[0]), lies_on(id, index, disks[1]));
    sim_disk_break(disk, disks[0], false);
    kill_broker(id);
    start_broker(id);
    wait_for(is_all_in_sync, &id, "all is well again");
}

static void a_failed_disk_takes_only_what_lies_on_it(void **state)
{
    (void)state;
    lose_and_regain(10, 2); /* Another broker is the controller. */
    sim_deinit(&world.rig.sim);
    lose_and_regain(11, 1); /* It is the controller itself. */
    sim_deinit(&world.rig.sim);
}

static void a_broker_ends_with_its_last_disk(void **state)
{
    int32_t id = 3;
    (void)state;
    lose_and_regain(12, id);
    world.rig.brokers[id].may_end = true;
    for (size_t index = 0; index < ARRAY_COUNT(disks); index++)
        sim_disk_break(&world.rig.sim.nodes[id]->disk, disks[index], true);
    wait_for(has_ended, &id, "it ends");
    for (int32_t index = 0; index < spread_count; index++)
        assert_int_not_equal(stored("t", index).state.leader, id);
    sim_deinit(&world.rig.sim);
}

/* A new replica goes to the disk that works; a topic that has one on the other waits for it. */
static void topics_come_and_go_beside_a_failed_disk(void **state)
{
    static char mark[] = "/admin/delete_topics/t";
    int32_t id = 2;
    (void)state;
    begin(13, (struct sim_faults){0});
    struct sim_disk *disk = &world.rig.sim.nodes[id]->disk;
    struct breach breach = {.id = id};
    assert_int_equal(create("t", spread_count, 3), KAFKA_NONE);
    wait_agreed("t", spread_count);
    for (int32_t index = 0; index < spread_count; index++)
        breach.lost |= (uint32_t)lies_on(id, index, disks[0]) << index;
    sim_disk_break(disk, disks[0], true);
    assert_int_equal(create("u", 2, 3), KAFKA_NONE); /* Nobody knows of it yet. */
    wait_agreed("u", 2);
    wait_for(is_contained, &breach, "the failure is contained");
    assert_int_equal(create("v", 2, 3), KAFKA_NONE);
    wait_agreed("v", 2);
    for (int32_t index = 0; index < 2; index++) {
        assert_int_equal(stored("u", index).state.isr_count, 3);
        assert_int_equal(stored("v", index).state.isr_count, 3);
    }
    (void)delete ("t");
    run_ms(20000);
    assert_true(exists(mark));
    sim_disk_break(disk, disks[0], false);
    kill_broker(id);
    start_broker(id);
    wait_for(is_absent, mark, mark);
    for (int32_t index = 0; index < spread_count; index++)
        assert_false(lies_on(id, index, disks[0]));
    sim_deinit(&world.rig.sim);
}

/* ---- chaos ---- */

struct restless {
    struct topic_create create;
    struct topic_delete deletion;
    struct create_topics creates;
    struct delete_topics deletes;
    char names[2][16];
};

static void on_any_created(struct create_topics *request)
{
    (void)request;
}

static void on_any_deleted(struct delete_topics *request)
{
    (void)request;
}

static void disturb(struct restless *restless, struct prng *prng)
{
    const int32_t id = controller_id();
    if (id < 0)
        return;
    for (int index = 0; index < 2; index++)
        snprintf(restless->names[index], sizeof restless->names[index], "t%u",
                 (unsigned)prng_below(prng, 6));
    restless->create = (struct topic_create){
        .name = slice_from_text(restless->names[0]), .partition_count = 3, .replication_factor = 2};
    restless->deletion = (struct topic_delete){.name = slice_from_text(restless->names[1])};
    restless->creates = (struct create_topics){
        .topics = &restless->create, .topic_count = 1, .timeout_ms = 100, .done = on_any_created};
    restless->deletes = (struct delete_topics){
        .topics = &restless->deletion, .topic_count = 1, .timeout_ms = 100, .done = on_any_deleted};
    world.wishes[id].create = &restless->creates;
    world.wishes[id].deletion = &restless->deletes;
}

static void trouble(struct prng *prng)
{
    const int32_t id = (int32_t)prng_between(prng, 1, broker_count);
    switch (prng_below(prng, 8)) {
    case 0:
        sim_node_kill(world.rig.sim.nodes[broker_rig_keeper_node]);
        world.rig.keeper = NULL;
        broker_rig_start_keeper(&world.rig);
        break;
    case 1:
    case 2:
        kill_broker(id);
        start_broker(id);
        break;
    case 3: sim_net_partition(&world.rig.sim, 1u << id); break;
    case 4: sim_net_heal(&world.rig.sim); break;
    default: break;
    }
}

static bool everything_agrees(void *context)
{
    (void)context;
    if (!is_so(world.rig.keeper != NULL && world.rig.keeper->is_serving, "keeper", "", 0) ||
        !is_so(knows_all(NULL), "brokers", "", 0) ||
        !is_so(controller_id() >= 0, "controller", "", 0))
        return false;
    for (uint32_t number = 0; number < 6; number++) {
        char topic[16], path[64];
        snprintf(topic, sizeof topic, "t%u", (unsigned)number);
        snprintf(path, sizeof path, "/admin/delete_topics/%s", topic);
        if (!is_so(!exists(path), "mark", topic, 0))
            return false;
        snprintf(path, sizeof path, "/brokers/topics/%s", topic);
        const bool is_there = exists(path);
        snprintf(path, sizeof path, "/config/topics/%s", topic);
        if (!is_so(exists(path) == is_there, "settings", topic, 0))
            return false;
        for (int32_t id = 1; id <= broker_count; id++) {
            const struct metadata_view *view = control_metadata(serving(id)->control);
            if (!is_so((metadata_view_topic(view, slice_from_text(topic)) != NULL) == is_there,
                       "view", topic, id))
                return false;
            for (int32_t index = 0; is_there && index < 3; index++)
                if (!is_so(is_told(id, topic, index), "state", topic, id))
                    return false;
        }
    }
    return true;
}

static void play(uint64_t seed)
{
    static struct restless restless[80];
    struct prng prng;
    begin(seed, (struct sim_faults){.delay_ns_mean = 2000000,
                                    .reset_per_million = 1000,
                                    .sync_ns_mean = 1000000,
                                    .disk_ns_mean = 100000});
    prng_init(&prng, seed);
    for (size_t step = 0; step < ARRAY_COUNT(restless); step++) {
        disturb(&restless[step], &prng);
        run_ms(prng_between(&prng, 1, 1500));
        trouble(&prng);
    }
    sim_net_heal(&world.rig.sim);
    char what[32];
    snprintf(what, sizeof what, "agreement after seed %u", (unsigned)seed);
    wait_for(everything_agrees, NULL, what);
    for (int32_t id = 1; id <= broker_count; id++) {
        kill_broker(id);
        start_broker(id);
    }
    wait_for(everything_agrees, NULL, what);
    sim_deinit(&world.rig.sim);
}

static void after_every_chaos_everything_agrees(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 116; seed++)
        play(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_broker_hears_of_a_topic_and_of_its_end),
        cmocka_unit_test(all_brokers_know_before_the_client_does),
        cmocka_unit_test(a_broker_that_hears_nothing_is_not_waited_for_long),
        cmocka_unit_test(a_topic_grows_before_anybody_shows_it),
        cmocka_unit_test(a_killed_broker_is_replaced_and_comes_back),
        cmocka_unit_test(a_broker_that_comes_back_at_once_was_away_all_the_same),
        cmocka_unit_test(preferred_leaders_come_back_by_themselves),
        cmocka_unit_test(a_topic_is_deleted_when_the_last_replica_is_back),
        cmocka_unit_test(a_broker_without_memory_for_a_while_has_all_replicas_later),
        cmocka_unit_test(a_broker_without_memory_for_a_while_knows_all_later),
        cmocka_unit_test(a_topic_that_went_while_a_broker_was_away_is_not_shown),
        cmocka_unit_test(another_controller_goes_on_where_the_last_one_died),
        cmocka_unit_test(a_broker_that_stops_hands_over_first),
        cmocka_unit_test(leaders_are_elected_and_replicas_taken_away),
        cmocka_unit_test(a_controller_that_is_one_no_more_changes_nothing),
        cmocka_unit_test(a_controller_whose_epoch_is_over_writes_no_state),
        cmocka_unit_test(what_others_wrote_of_a_partition_counts),
        cmocka_unit_test(any_broker_makes_a_topic_that_it_needs_itself),
        cmocka_unit_test(replicas_move_with_their_records_and_back),
        cmocka_unit_test(what_tools_and_brokers_leave_in_the_keeper_is_heeded),
        cmocka_unit_test(a_failed_disk_takes_only_what_lies_on_it),
        cmocka_unit_test(a_broker_ends_with_its_last_disk),
        cmocka_unit_test(topics_come_and_go_beside_a_failed_disk),
        cmocka_unit_test(after_every_chaos_everything_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
