/* The broker's control side in the simulated world, on our keeper: both die and come back, and the
 * network is cut, while topics are made and deleted. */
#include "server/broker/control.h"
#include "test/unit_test.h"

#include "net/net.h"
#include "server/broker/delay_queue.h"
#include "server/broker/zk_session.h"
#include "sim/broker_rig.h"
#include "sim/sim_net.h"

#include <stdio.h>

enum { topic_count_max = 64, poll_ms = 10, keeper_index = 0, patience_s = 300 };

/* ---- a broker's node ---- */

/* What the partition layer would know; it outlives the process, as files do. */
struct hosted {
    char name[32];
    int32_t leader_epoch;
    bool is_led; /* By the process that runs now. */
};

struct broker {
    struct sim_node *node;
    int32_t id;
    struct control *control; /* Of the process that runs now. */
    struct delay_queue delays;
    bool is_ready;
    bool has_failed;
    uint32_t order_count;
    struct hosted hosted[topic_count_max];
    struct create_topics *create; /* To be started by the process. */
    struct delete_topics *deletion;
    struct producer_id_request *producer_id;
    struct producer_block_request *block;
    uint32_t answer_count;
};

struct world {
    struct sim sim;
    struct keeper_server *keeper;
    struct broker brokers[3]; /* By node; 0 is not one. */
};

static struct world world;

static struct slice no_value(void *context, const char *key)
{
    (void)context;
    (void)key;
    return SLICE_NULL;
}

static void on_opened(void *context)
{
    struct broker *broker = context;
    const struct broker_endpoint endpoint = {SLICE_LITERAL("PLAINTEXT"), SLICE_LITERAL("broker"),
                                             9092 + broker->id, CONTROL_PLAINTEXT};
    control_register(broker->control, &endpoint, 1);
}

static void on_ready(void *context)
{
    ((struct broker *)context)->is_ready = true;
}

static struct hosted *find_hosted(struct broker *broker, struct slice topic)
{
    struct hosted *free_one = NULL;
    for (size_t index = 0; index < topic_count_max; index++) {
        struct hosted *hosted = &broker->hosted[index];
        if (slice_equal_text(topic, hosted->name))
            return hosted;
        if (hosted->name[0] == '\0')
            free_one = hosted;
    }
    assert_non_null(free_one);
    snprintf(free_one->name, sizeof free_one->name, "%" SLICE_FORMAT, SLICE_ARGS(topic));
    free_one->leader_epoch = -1;
    return free_one;
}

static void on_partition(void *context, struct partition_change *change)
{
    struct broker *broker = context;
    struct hosted *hosted = find_hosted(broker, change->state->topic);
    broker->order_count++;
    if (change->order <= PARTITION_FOLLOW && slice_equal_text(change->state->topic, "careful"))
        assert_int_equal(change->config->min_insync_replicas, 2);
    switch (change->order) {
    case PARTITION_LEAD:
        assert_int_equal(change->state->leader, broker->id);
        assert_true(change->state->leader_epoch >= hosted->leader_epoch);
        hosted->leader_epoch = change->state->leader_epoch;
        hosted->is_led = true;
        break;
    case PARTITION_FOLLOW:
    case PARTITION_STOP: hosted->is_led = false; break;
    case PARTITION_DELETE: *hosted = (struct hosted){.leader_epoch = -1}; break;
    }
    partition_change_done(change, KAFKA_NONE);
}

static void on_broker_config(void *context)
{
    (void)context;
}

static void on_topic_config(void *context, struct slice topic, uint32_t partition_count,
                            const struct topic_config *config)
{
    (void)context;
    (void)topic;
    (void)partition_count;
    (void)config;
}

static void on_failed(void *context, enum err err, const char *reason)
{
    struct broker *broker = context;
    (void)err;
    (void)reason;
    broker->has_failed = true;
}

static void on_stopped(void *context)
{
    (void)context;
}

static const struct control_handler handler = {
    .on_opened = on_opened,
    .on_ready = on_ready,
    .on_partition = on_partition,
    .on_topic_config = on_topic_config,
    .on_broker_config = on_broker_config,
    .on_failed = on_failed,
    .on_stopped = on_stopped,
};

static void start_what_is_asked(struct broker *broker)
{
    struct create_topics *create = broker->create;
    struct delete_topics *deletion = broker->deletion;
    struct producer_id_request *producer_id = broker->producer_id;
    struct producer_block_request *block = broker->block;
    broker->create = NULL;
    broker->deletion = NULL;
    broker->producer_id = NULL;
    broker->block = NULL;
    if (create != NULL)
        control_create_topics(broker->control, create);
    if (deletion != NULL)
        control_delete_topics(broker->control, deletion);
    if (producer_id != NULL)
        control_take_producer_id(broker->control, producer_id);
    if (block != NULL)
        control_take_producer_block(broker->control, block);
}

static struct net *make_net(struct sim_node *node)
{
    struct net *net;
    assert_int_equal(net_init(&net, node->io, &node->heap, node->diag,
                              (struct net_options){
                                  .connection_count_max = 10,
                                  .receive_bytes_first = 4096,
                                  .open_reply_count_max = 100,
                                  .unsent_bytes_max = 1 << 20,
                              }),
                     ERR_OK);
    return net;
}

static void broker_process(struct sim_node *node, void *argument)
{
    struct broker *broker = argument;
    struct shard shard = {
        .name = "broker", .io = node->io, .heap = &node->heap, .diag = node->diag};
    for (size_t index = 0; index < topic_count_max; index++)
        broker->hosted[index].is_led = false;
    delay_queue_init(&broker->delays, node->io);
    assert_int_equal(control_init(&broker->control, &shard, make_net(node),
                                  (struct control_options){
                                      .keeper_connect = "node0:2181/kafka",
                                      .session_timeout_ms = 2000,
                                      .connection_timeout_ms = 120000,
                                      .broker_id = broker->id,
                                      .partition_count = 1,
                                      .replication_factor = 1,
                                      .delete_topic_enable = true,
                                      .delays = &broker->delays,
                                      .inter_broker_listener = SLICE_LITERAL("PLAINTEXT"),
                                      .answer_timeout_ms = 30000,
                                      .static_value = no_value,
                                  },
                                  &handler, broker),
                     ERR_OK);
    control_open(broker->control);
    for (;;) {
        io_run(node->io, (uint64_t)poll_ms * 1000000);
        start_what_is_asked(broker);
    }
}

/* ---- a stranger's node, who changes one znode ---- */

struct stranger {
    struct zk_session session;
    struct zk_request request;
    bool is_done;
};

static void on_stranger_done(struct zk_request *request, const struct keeper_result *result)
{
    assert_int_equal(result->code, KEEPER_OK);
    CONTAINER_OF(request, struct stranger, request)->is_done = true;
}

static void on_stranger_session(void *context)
{
    struct stranger *stranger = context;
    zk_session_send(&stranger->session, &stranger->request);
}

static void on_stranger_event(void *context)
{
    (void)context;
}

static void stranger_process(struct sim_node *node, void *argument)
{
    struct stranger *stranger = argument;
    assert_int_equal(
        zk_session_init(
            &stranger->session, node->io, make_net(node), &node->heap, node->diag,
            (struct keeper_client_options){.connect = "node0:2181", .session_timeout_ms = 2000},
            (struct zk_session_handler){on_stranger_session, on_stranger_event, on_stranger_event,
                                        stranger}),
        ERR_OK);
    zk_session_start(&stranger->session);
    for (;;)
        io_run(node->io, UINT64_MAX);
}

static bool is_stranger_done(void *context)
{
    return ((struct stranger *)context)->is_done;
}

static void change_by_hand(struct zk_request request)
{
    static struct stranger stranger;
    stranger = (struct stranger){.request = request};
    stranger.request.version = -1;
    stranger.request.done = on_stranger_done;
    sim_node_start(world.sim.nodes[2], stranger_process, &stranger);
    assert_true(sim_run(&world.sim, UINT64_MAX, is_stranger_done, &stranger));
    sim_node_kill(world.sim.nodes[2]);
}

/* ---- the world ---- */

static void start_keeper(void)
{
    sim_node_start(world.sim.nodes[keeper_index], broker_rig_keeper_process, &world.keeper);
}

static void start_broker(int32_t id)
{
    struct broker *broker = &world.brokers[id];
    broker->node = world.sim.nodes[id];
    broker->id = id;
    broker->is_ready = false;
    broker->create = NULL;
    broker->deletion = NULL;
    broker->producer_id = NULL;
    sim_node_start(broker->node, broker_process, broker);
}

static void begin(uint64_t seed, struct sim_faults faults)
{
    memset(&world, 0, sizeof world);
    sim_init(&world.sim, (struct sim_options){.seed = seed, .node_count = 3, .faults = faults});
    start_keeper();
}

static void run_ms(uint64_t ms)
{
    (void)sim_run(&world.sim, world.sim.now_ns + ms * 1000000, NULL, NULL);
}

static bool is_registered(void *context)
{
    const struct control *control = ((struct broker *)context)->control;
    return control != NULL && control_broker_epoch(control) >= 0;
}

static bool is_ready(void *context)
{
    const struct broker *broker = context;
    return broker->is_ready || broker->has_failed;
}

static void wait_until_ready(int32_t id)
{
    struct broker *broker = &world.brokers[id];
    const uint64_t end_ns = world.sim.now_ns + (uint64_t)patience_s * 1000000000;
    if (!sim_run(&world.sim, end_ns, is_ready, broker) || broker->has_failed) {
        sim_report(&world.sim);
        fail_msg("broker %d is not ready", (int)id);
    }
}

static bool has_answer(void *context)
{
    return ((struct broker *)context)->answer_count > 0;
}

/* False: no answer in time. */
static bool wait_for_answer(struct broker *broker)
{
    const bool has = sim_run(&world.sim, world.sim.now_ns + (uint64_t)patience_s * 1000000000,
                             has_answer, broker);
    broker->answer_count = 0;
    return has;
}

static void on_created(struct create_topics *request)
{
    ((struct broker *)request->user)->answer_count++;
}

static int16_t create_topic(int32_t id, const char *name)
{
    static struct topic_create topic;
    static struct create_topics request;
    topic = (struct topic_create){
        .name = slice_from_text(name), .partition_count = 1, .replication_factor = 1};
    request = (struct create_topics){
        .topics = &topic,
        .topic_count = 1,
        .timeout_ms = 60000,
        .done = on_created,
        .user = &world.brokers[id],
    };
    world.brokers[id].create = &request;
    assert_true(wait_for_answer(&world.brokers[id]));
    return topic.error_code;
}

static void on_deleted(struct delete_topics *request)
{
    ((struct broker *)request->user)->answer_count++;
}

static int16_t delete_topic(int32_t id, const char *name)
{
    static struct topic_delete topic;
    static struct delete_topics request;
    topic = (struct topic_delete){.name = slice_from_text(name)};
    request = (struct delete_topics){
        .topics = &topic,
        .topic_count = 1,
        .timeout_ms = 60000,
        .done = on_deleted,
        .user = &world.brokers[id],
    };
    world.brokers[id].deletion = &request;
    assert_true(wait_for_answer(&world.brokers[id]));
    return topic.error_code;
}

static int64_t producer_id_last;

static void on_producer_id(struct producer_id_request *request, int16_t error_code,
                           int64_t producer_id)
{
    assert_int_equal(error_code, KAFKA_NONE);
    producer_id_last = producer_id;
    ((struct broker *)request->user)->answer_count++;
}

static int64_t take_producer_id(int32_t id)
{
    static struct producer_id_request request;
    request = (struct producer_id_request){.done = on_producer_id, .user = &world.brokers[id]};
    world.brokers[id].producer_id = &request;
    assert_true(wait_for_answer(&world.brokers[id]));
    return producer_id_last;
}

static void on_producer_block(struct producer_block_request *request, int16_t error_code,
                              int64_t first)
{
    assert_int_equal(error_code, KAFKA_NONE);
    producer_id_last = first;
    ((struct broker *)request->user)->answer_count++;
}

static int64_t take_producer_block(int32_t id, int32_t for_broker)
{
    static struct producer_block_request request;
    request = (struct producer_block_request){
        .broker_id = for_broker, .done = on_producer_block, .user = &world.brokers[id]};
    world.brokers[id].block = &request;
    assert_true(wait_for_answer(&world.brokers[id]));
    return producer_id_last;
}

/* ---- what the keeper holds ---- */

static struct znode *znode_at(const char *path)
{
    return tree_find(&world.keeper->keeper.tree, slice_from_text(path));
}

/* The transaction. */
static int64_t children_changed_at(const char *path)
{
    return tree_more(&world.keeper->keeper.tree, znode_at(path)).pzxid;
}

static bool holds(const char *path, const char *text)
{
    const struct znode *znode = znode_at(path);
    if (znode == NULL)
        return false;
    const struct slice data = tree_data(&world.keeper->keeper.tree, znode);
    const size_t size = strlen(text);
    for (size_t at = 0; at + size <= data.size; at++)
        if (memcmp(data.data + at, text, size) == 0)
            return true;
    return false;
}

static bool is_led(int32_t id, const char *topic)
{
    return find_hosted(&world.brokers[id], slice_from_text(topic))->is_led;
}

/* ---- tests ---- */

static void topics_outlive_the_keeper(void **state)
{
    (void)state;
    begin(1, (struct sim_faults){0});
    start_broker(1);
    wait_until_ready(1);
    assert_int_equal(create_topic(1, "a"), KAFKA_NONE);
    sim_node_kill(world.sim.nodes[keeper_index]);
    run_ms(500);
    start_keeper();
    assert_int_equal(create_topic(1, "b"), KAFKA_NONE);
    assert_int_equal(create_topic(1, "a"), KAFKA_TOPIC_ALREADY_EXISTS);
    assert_true(holds("/kafka/brokers/topics/a/partitions/0/state", "\"leader\":1,"));
    assert_true(holds("/kafka/controller_epoch", "1"));
    assert_int_equal(world.brokers[1].order_count, 2);
    assert_int_equal(delete_topic(1, "a"), KAFKA_NONE);
    run_ms(1000);
    assert_null(znode_at("/kafka/brokers/topics/a"));
    assert_null(znode_at("/kafka/config/topics/a"));
    assert_null(znode_at("/kafka/admin/delete_topics/a"));
    /* Once the topic has gone any broker may make another one, with settings of its own. */
    assert_true(children_changed_at("/kafka/config/topics") <
                children_changed_at("/kafka/brokers/topics"));
    sim_deinit(&world.sim);
}

static void a_killed_broker_takes_its_own_place_at_once(void **state)
{
    (void)state;
    begin(2, (struct sim_faults){0});
    start_broker(1);
    wait_until_ready(1);
    assert_int_equal(create_topic(1, "a"), KAFKA_NONE);
    assert_int_equal(take_producer_id(1), 0);
    const int64_t epoch = control_broker_epoch(world.brokers[1].control);
    sim_node_kill(world.sim.nodes[1]);
    const uint64_t since_ns = world.sim.now_ns;
    start_broker(1);
    wait_until_ready(1);
    sim_node_kill(world.sim.nodes[1]);
    world.brokers[1].control = NULL;
    start_broker(1);
    assert_true(sim_run(&world.sim, UINT64_MAX, is_registered, &world.brokers[1]));
    sim_node_kill(world.sim.nodes[1]); /* Before it could become the controller. */
    start_broker(1);
    wait_until_ready(1);
    assert_true(world.sim.now_ns - since_ns < 1000000000); /* Well before the session expires. */
    assert_true(control_broker_epoch(world.brokers[1].control) > epoch);
    assert_true(control_is_controller(world.brokers[1].control));
    assert_true(is_led(1, "a"));
    assert_true(holds("/kafka/brokers/topics/a/partitions/0/state", "\"leader_epoch\":0"));
    assert_true(holds("/kafka/controller_epoch", "3"));
    assert_int_equal(take_producer_id(1), 1000); /* What was left of the block is not used. */
    assert_int_equal(control_check_broker(world.brokers[1].control, 1, epoch),
                     KAFKA_STALE_BROKER_EPOCH);
    assert_int_equal(control_check_broker(world.brokers[1].control, 7, 1),
                     KAFKA_BROKER_ID_NOT_REGISTERED);
    assert_int_equal(control_check_broker(world.brokers[1].control, 1,
                                          control_broker_epoch(world.brokers[1].control)),
                     KAFKA_NONE);
    assert_int_equal(take_producer_block(1, 7), 2000);
    assert_true(holds("/kafka/latest_producer_id_block", "\"broker\":7,"));
    assert_int_equal(take_producer_block(1, 7), 3000);
    assert_int_equal(take_producer_id(1), 1001); /* The own block is not touched by it. */
    assert_int_equal(create_topic(1, "b"), KAFKA_NONE);
    sim_deinit(&world.sim);
}

static void a_broker_cut_off_registers_again(void **state)
{
    (void)state;
    begin(3, (struct sim_faults){0});
    start_broker(1);
    wait_until_ready(1);
    assert_int_equal(create_topic(1, "a"), KAFKA_NONE);
    const int64_t epoch = control_broker_epoch(world.brokers[1].control);
    sim_net_partition(&world.sim, 1u << keeper_index);
    run_ms(20000);
    assert_null(znode_at("/kafka/brokers/ids/1"));
    sim_net_heal(&world.sim);
    run_ms(30000);
    assert_non_null(znode_at("/kafka/brokers/ids/1"));
    assert_true(control_broker_epoch(world.brokers[1].control) > epoch);
    assert_true(control_is_controller(world.brokers[1].control));
    assert_int_equal(world.brokers[1].order_count, 1); /* The same epoch: nothing to do. */
    assert_int_equal(create_topic(1, "b"), KAFKA_NONE);
    sim_deinit(&world.sim);
}

static bool is_careful_led(void *context)
{
    (void)context;
    return is_led(1, "careful");
}

/* Whenever the session ends, no order is carried out by settings that are not the topic's: with
 * those of others it may acknowledge, or delete, what it must not. */
static void nothing_is_led_without_its_settings(void **state)
{
    static struct topic_config_entry entry = {SLICE_LITERAL("min.insync.replicas"),
                                              SLICE_LITERAL("2")};
    static struct topic_create topic;
    static struct create_topics request;
    (void)state;
    for (uint64_t us = 0; us < 1000; us += 50) {
        begin(7, (struct sim_faults){0});
        start_broker(1);
        wait_until_ready(1);
        topic = (struct topic_create){.name = SLICE_LITERAL("careful"),
                                      .partition_count = 1,
                                      .replication_factor = 1,
                                      .config_count = 1,
                                      .configs = &entry};
        request = (struct create_topics){.topics = &topic,
                                         .topic_count = 1,
                                         .timeout_ms = 100,
                                         .done = on_created,
                                         .user = &world.brokers[1]};
        world.brokers[1].create = &request;
        run_ms(poll_ms);
        (void)sim_run(&world.sim, world.sim.now_ns + us * 1000, NULL, NULL);
        sim_net_partition(&world.sim, 1u << keeper_index);
        run_ms(20000);
        sim_net_heal(&world.sim);
        run_ms(20000);
        if (znode_at("/kafka/brokers/topics/careful") != NULL)
            assert_true(sim_run(&world.sim, world.sim.now_ns + 20000000000, is_careful_led, NULL));
        sim_deinit(&world.sim);
    }
}

static void a_broker_whose_znode_is_deleted_registers_again(void **state)
{
    (void)state;
    begin(5, (struct sim_faults){0});
    start_broker(1);
    wait_until_ready(1);
    assert_int_equal(create_topic(1, "a"), KAFKA_NONE);
    const int64_t epoch = control_broker_epoch(world.brokers[1].control);
    for (int round = 0; round < 2; round++) {
        change_by_hand(
            (struct zk_request){.kind = ZK_REQUEST_DELETE, .path = "/kafka/brokers/ids/1"});
        run_ms(1000); /* Less than the session's timeout. */
        assert_non_null(znode_at("/kafka/brokers/ids/1"));
    }
    assert_true(control_broker_epoch(world.brokers[1].control) > epoch);
    assert_int_equal(control_broker_epoch(world.brokers[1].control),
                     znode_at("/kafka/brokers/ids/1")->czxid);
    assert_true(control_is_controller(world.brokers[1].control));
    assert_true(holds("/kafka/controller_epoch", "1"));
    assert_true(holds("/kafka/brokers/topics/a/partitions/0/state", "\"leader\":1,"));
    assert_int_equal(create_topic(1, "b"), KAFKA_NONE);
    sim_deinit(&world.sim);
}

static void another_broker_takes_over(void **state)
{
    (void)state;
    begin(4, (struct sim_faults){0});
    start_broker(1);
    wait_until_ready(1);
    assert_int_equal(create_topic(1, "a"), KAFKA_NONE);
    start_broker(2);
    wait_until_ready(2);
    assert_false(control_is_controller(world.brokers[2].control));
    assert_int_equal(create_topic(2, "b"), KAFKA_NOT_CONTROLLER);
    sim_node_kill(world.sim.nodes[1]);
    run_ms(20000);
    assert_true(control_is_controller(world.brokers[2].control));
    assert_true(holds("/kafka/controller", "\"brokerid\":2,"));
    assert_true(holds("/kafka/controller_epoch", "2"));
    /* Nobody else has the records of a: it has no leader, and its ISR stays. */
    assert_true(holds("/kafka/brokers/topics/a/partitions/0/state", "\"leader\":-1,"));
    assert_true(holds("/kafka/brokers/topics/a/partitions/0/state", "\"isr\":[1]"));
    assert_int_equal(create_topic(2, "b"), KAFKA_NONE);
    start_broker(1);
    wait_until_ready(1);
    run_ms(1000);
    assert_true(holds("/kafka/brokers/topics/a/partitions/0/state", "\"leader\":1,"));
    assert_true(holds("/kafka/brokers/topics/a/partitions/0/state", "\"leader_epoch\":2"));
    sim_deinit(&world.sim);
}

/* Topics as the keeper has them must be led where they should be, and nothing be left half done. */
static void check_everything(uint32_t name_count)
{
    for (uint32_t index = 0; index < name_count; index++) {
        char topic[16], path[64];
        snprintf(topic, sizeof topic, "t%u", (unsigned)index);
        snprintf(path, sizeof path, "/kafka/brokers/topics/%s", topic);
        const bool exists = znode_at(path) != NULL;
        if (is_led(1, topic) != exists)
            sim_report(&world.sim);
        assert_int_equal(is_led(1, topic), exists);
        assert_int_equal(metadata_view_topic(control_metadata(world.brokers[1].control),
                                             slice_from_text(topic)) != NULL,
                         exists);
        snprintf(path, sizeof path, "/kafka/brokers/topics/%s/partitions/0/state", topic);
        assert_int_equal(znode_at(path) != NULL, exists);
        snprintf(path, sizeof path, "/kafka/config/topics/%s", topic);
        assert_int_equal(znode_at(path) != NULL, exists);
        snprintf(path, sizeof path, "/kafka/admin/delete_topics/%s", topic);
        assert_null(znode_at(path));
    }
}

/* The controller that comes next cannot read it, as Apache's cannot: it asks now and then. */
static void an_unreadable_state_is_no_circle(void **state)
{
    (void)state;
    begin(6, (struct sim_faults){.delay_ns_mean = 1000000});
    start_broker(1);
    wait_until_ready(1);
    assert_int_equal(create_topic(1, "a"), KAFKA_NONE);
    change_by_hand((struct zk_request){.kind = ZK_REQUEST_SET_DATA,
                                       .path = "/kafka/brokers/topics/a/partitions/0/state",
                                       .data = SLICE_LITERAL("nonsense")});
    sim_node_kill(world.sim.nodes[1]);
    start_broker(1);
    wait_until_ready(1);
    const uint64_t before = world.sim.counters.bytes_sent;
    run_ms(10000);
    assert_true(world.sim.counters.bytes_sent - before < 100 * 1024);
    assert_int_equal(create_topic(1, "b"), KAFKA_NONE);
    /* Once it is mended, it is led. */
    change_by_hand((struct zk_request){
        .kind = ZK_REQUEST_SET_DATA,
        .path = "/kafka/brokers/topics/a/partitions/0/state",
        .data = SLICE_LITERAL("{\"controller_epoch\":1,\"leader\":1,\"version\":1,"
                              "\"leader_epoch\":3,\"isr\":[1]}")});
    run_ms(1000);
    assert_true(is_led(1, "a"));
    sim_deinit(&world.sim);
}

struct restless {
    struct prng prng;
    struct topic_create creates[4];
    struct topic_delete deletes[4];
    struct create_topics create;
    struct delete_topics deletion;
    char names[8][16];
};

static void on_any_created(struct create_topics *request)
{
    (void)request;
}

static void on_any_deleted(struct delete_topics *request)
{
    (void)request;
}

/* Asks for a few topics to be made and a few to go, and does not wait. */
static void disturb(struct restless *restless)
{
    for (int index = 0; index < 8; index++)
        snprintf(restless->names[index], sizeof restless->names[index], "t%u",
                 (unsigned)prng_below(&restless->prng, 8));
    for (int index = 0; index < 4; index++) {
        restless->creates[index] = (struct topic_create){
            .name = slice_from_text(restless->names[index]),
            .partition_count = 1,
            .replication_factor = 1,
        };
        restless->deletes[index] =
            (struct topic_delete){.name = slice_from_text(restless->names[4 + index])};
    }
    restless->create = (struct create_topics){
        .topics = restless->creates, .topic_count = 4, .timeout_ms = 100, .done = on_any_created};
    restless->deletion = (struct delete_topics){
        .topics = restless->deletes, .topic_count = 4, .timeout_ms = 100, .done = on_any_deleted};
    world.brokers[1].create = &restless->create;
    world.brokers[1].deletion = &restless->deletion;
}

static void restart(uint32_t index)
{
    sim_node_kill(world.sim.nodes[index]);
    if (index == keeper_index)
        start_keeper();
    else
        start_broker((int32_t)index);
}

/* Both are killed and the network resets while topics come and go; then there is peace, and
 * everything must agree. */
static void play(uint64_t seed)
{
    static struct restless restless[64];
    begin(seed, (struct sim_faults){.delay_ns_mean = 2000000,
                                    .reset_per_million = 2000,
                                    .sync_ns_mean = 1000000,
                                    .disk_ns_mean = 100000});
    struct prng prng;
    prng_init(&prng, seed);
    start_broker(1);
    wait_until_ready(1);
    for (size_t step = 0; step < ARRAY_COUNT(restless); step++) {
        prng_init(&restless[step].prng, prng_next(&prng));
        disturb(&restless[step]);
        run_ms(prng_between(&prng, 1, 60));
        if (prng_chance(&prng, 1, 12))
            restart(keeper_index);
        if (prng_chance(&prng, 1, 6)) {
            restart(1);
            run_ms(prng_below(&prng, 200));
        }
    }
    wait_until_ready(1);
    run_ms(30000);
    if (world.brokers[1].has_failed)
        fail_msg("seed %u: the broker gave up", (unsigned)seed);
    check_everything(8);
    sim_deinit(&world.sim);
}

static void after_every_chaos_everything_agrees(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 110; seed++)
        play(seed);
    play(398); /* The keeper dies between the name of a journal file and its first record. */
}

/* Wherever it lacks, what was asked for is done when there is some again, or not at all. */
static void memory_that_lacks_for_a_while_leaves_nothing_undone(void **state)
{
    static struct topic_create topics[3];
    static struct create_topics request;
    (void)state;
    for (size_t room = 0; room < 24 * 1024; room += 128) {
        begin(9, (struct sim_faults){0});
        start_broker(1);
        wait_until_ready(1);
        struct heap *heap = &world.sim.nodes[1]->heap;
        const size_t limit_bytes = heap->limit_bytes;
        for (size_t index = 0; index < ARRAY_COUNT(topics); index++) {
            static const char *const names[] = {"t0", "t1", "t2"};
            topics[index] = (struct topic_create){.name = slice_from_text(names[index]),
                                                  .partition_count = 1,
                                                  .replication_factor = 1};
        }
        request = (struct create_topics){.topics = topics,
                                         .topic_count = ARRAY_COUNT(topics),
                                         .timeout_ms = 100,
                                         .done = on_created,
                                         .user = &world.brokers[1]};
        world.brokers[1].create = &request;
        heap->limit_bytes = heap->used_bytes + heap->kept_bytes + room;
        run_ms(1000);
        heap->limit_bytes = limit_bytes;
        run_ms(10000);
        assert_false(world.brokers[1].has_failed);
        check_everything(3);
        world.brokers[1].answer_count = 0;
        for (size_t index = 0; index < ARRAY_COUNT(topics); index++)
            (void)delete_topic(1, (const char *)topics[index].name.data);
        run_ms(1000);
        assert_null(znode_at("/kafka/brokers/topics/t0"));
        check_everything(3);
        sim_deinit(&world.sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_outlive_the_keeper),
        cmocka_unit_test(a_killed_broker_takes_its_own_place_at_once),
        cmocka_unit_test(a_broker_cut_off_registers_again),
        cmocka_unit_test(nothing_is_led_without_its_settings),
        cmocka_unit_test(a_broker_whose_znode_is_deleted_registers_again),
        cmocka_unit_test(another_broker_takes_over),
        cmocka_unit_test(an_unreadable_state_is_no_circle),
        cmocka_unit_test(memory_that_lacks_for_a_while_leaves_nothing_undone),
        cmocka_unit_test(after_every_chaos_everything_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
