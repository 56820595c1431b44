/* A broker that leads, in the simulated world: the test is its followers, its consumers and
 * producers, and the controller. */
#include "sim/broker_rig.h"
#include "test/unit_test.h"

#include "base/bytes.h"
#include "server/broker/broker_api.h"
#include "sim/sim_broker_client.h"
#include "sim/sim_keeper_client.h"
#include "wire/gen/kafka.h"

#include <stdalign.h>
#include <stdio.h>

enum {
    heap_bytes = 256 << 20,
    own_id = 1,
    controller_id = 9,
    controller_port = 9999,
    controller_epoch = 50,
    lag_ms = 1000,
    forever_ms = 60000,
    op_create = 1,
};

/* Who talks to the broker. */
enum who { CONTROLLER, SECOND, THIRD, PRODUCER, CONSUMER, who_count };

/* The controller's ear: AlterPartition requests as they came, answered when the test says so. */
struct ear {
    struct net *net;
    struct net_connection *connection;
    int32_t correlation_id;
    int16_t version;
    uint32_t asked_count;
    int32_t index; /* Of the last one. */
    int32_t leader_epoch;
    int32_t partition_epoch;
    int64_t broker_epoch;
    uint8_t topic_id[16];
    int32_t isr[8];
    int64_t epochs[8];
    int32_t isr_count;
};

struct world {
    struct sim sim;
    struct sim_node *node;
    struct heap keeper_heap;
    struct heap broker_heap;
    struct heap config_heap;
    struct heap heap;
    struct shard keeper_shard;
    struct shard broker_shard;
    struct keeper_config keeper_config;
    struct broker_config broker_config;
    struct keeper_server *keeper;
    struct broker_server *broker;
    struct sim_keeper_client keeper_client;
    struct sim_broker_client clients[who_count];
    struct ear ear;
};

static struct world world;
static uint8_t topic_id[16] = {4, 4, 4};
static const char *topic_name; /* What the words below are about. */
static int32_t partition_index;

static void wait_ms(uint64_t wait)
{
    const uint64_t end_ns = world.sim.now_ns + wait * 1000000;
    while (world.sim.now_ns < end_ns)
        io_run(world.node->io, end_ns - world.sim.now_ns);
}

/* ---- the controller's ear ---- */

static void push(const struct wire_record *record, int version, int32_t correlation_id,
                 const void *body)
{
    const bool has_tags =
        wire_is_flexible(record, version) && record != &kafka_api_versions_reply_wire;
    const size_t size = 8 + (has_tags ? 1u : 0u) + wire_size(record, version, body);
    struct net_message *message =
        net_message_acquire(&world.heap, (struct net_message_options){.capacity = (uint32_t)size});
    assert_non_null(message);
    struct wire_writer writer = wire_writer_of(message->data, size);
    wire_put_i32(&writer, (int32_t)size - 4);
    wire_put_i32(&writer, correlation_id);
    if (has_tags)
        wire_put_u8(&writer, 0);
    wire_encode(record, version, body, &writer);
    message->size = (uint32_t)size;
    net_push(world.ear.connection, message);
}

static void tell_versions(int32_t correlation_id)
{
    struct kafka_api_versions_reply_api_keys keys[] = {
        {.api_key = KAFKA_API_API_VERSIONS, .max_version = 4},
        {.api_key = KAFKA_API_ALTER_PARTITION, .max_version = 3}};
    struct kafka_api_versions_reply reply = {.error_code = 0};
    reply.api_keys.items = keys;
    reply.api_keys.count = 2;
    push(&kafka_api_versions_reply_wire, 0, correlation_id, &reply);
}

static void hear(const struct kafka_request_header *head, struct slice input)
{
    static alignas(16) uint8_t memory[1 << 16];
    struct ear *ear = &world.ear;
    struct arena arena;
    struct kafka_alter_partition_request request;
    arena_init(&arena, memory, sizeof memory);
    assert_int_equal(ERR_OK, wire_decode_all(&kafka_alter_partition_request_wire, head->api_version,
                                             input, &arena, &request));
    assert_int_equal(request.broker_id, own_id);
    assert_int_equal(request.broker_epoch, control_broker_epoch(world.broker->control));
    assert_int_equal(request.topics.count, 1);
    const struct kafka_alter_partition_request_topics_partitions *asked =
        &request.topics.items[0].partitions.items[0];
    ear->index = asked->partition_index;
    assert_int_equal(asked->leader_recovery_state, 0);
    memcpy(ear->topic_id, &request.topics.items[0].topic_id, 16);
    ear->correlation_id = head->correlation_id;
    ear->version = head->api_version;
    ear->asked_count++;
    ear->leader_epoch = asked->leader_epoch;
    ear->partition_epoch = asked->partition_epoch;
    ear->isr_count = asked->new_isr_with_epochs.count;
    for (int32_t i = 0; i < ear->isr_count; i++) {
        ear->isr[i] = asked->new_isr_with_epochs.items[i].broker_id;
        ear->epochs[i] = asked->new_isr_with_epochs.items[i].broker_epoch;
    }
}

static bool on_ear_open(struct net_connection *connection)
{
    world.ear.connection = connection;
    return true;
}

static struct net_verdict on_ear_length(struct net_connection *connection, uint32_t length)
{
    (void)connection;
    return (struct net_verdict){.kind = NET_FRAME, .length = length};
}

static void on_ear_frame(struct net_connection *connection, uint8_t *data, size_t size)
{
    struct slice input = slice_of(data, size);
    struct kafka_request_header head;
    struct arena arena;
    (void)connection;
    arena_init(&arena, NULL, 0);
    const bool is_flexible = load_i16(data) == KAFKA_API_ALTER_PARTITION;
    assert_int_equal(ERR_OK, wire_decode(&kafka_request_header_wire, is_flexible ? 2 : 1, &input,
                                         &arena, &head));
    if (head.api_key == KAFKA_API_API_VERSIONS)
        tell_versions(head.correlation_id);
    else
        hear(&head, input);
}

static void on_ear_close(struct net_connection *connection, const char *reason)
{
    (void)reason;
    if (world.ear.connection == connection)
        world.ear.connection = NULL;
}

static const struct net_handler ear_handler = {.on_open = on_ear_open,
                                               .on_length = on_ear_length,
                                               .on_frame = on_ear_frame,
                                               .on_close = on_ear_close};

static void open_ear(void)
{
    const struct net_options options = {.connection_count_max = 10,
                                        .receive_bytes_first = 4096,
                                        .open_reply_count_max = 100,
                                        .unsent_bytes_max = 1 << 20};
    struct io_address address;
    assert_int_equal(0, io_resolve(world.node->io, "127.0.0.1", controller_port, &address));
    assert_int_equal(
        ERR_OK, net_init(&world.ear.net, world.node->io, &world.heap, world.node->diag, options));
    assert_int_equal(ERR_OK, net_listen(world.ear.net, &address, &ear_handler, NULL));
}

static void expect_asked(uint32_t count)
{
    for (int i = 0; i < 2000 && world.ear.asked_count < count; i++)
        wait_ms(1);
    assert_int_equal(world.ear.asked_count, count);
}

/* What the controller answers; all of it when code is NONE. */
static void answer(int16_t request_code, int16_t code)
{
    struct ear *ear = &world.ear;
    struct kafka_alter_partition_reply_topics_partitions partition = {
        .partition_index = ear->index,
        .error_code = code,
        .leader_id = own_id,
        .leader_epoch = ear->leader_epoch,
        .partition_epoch = ear->partition_epoch + 1};
    partition.isr.items = ear->isr;
    partition.isr.count = ear->isr_count;
    struct kafka_alter_partition_reply_topics topic = {.topic_name = slice_from_text(topic_name)};
    memcpy(&topic.topic_id, ear->topic_id, 16);
    topic.partitions.items = &partition;
    topic.partitions.count = 1;
    struct kafka_alter_partition_reply reply = {.error_code = request_code};
    reply.topics.items = &topic;
    reply.topics.count = request_code == KAFKA_NONE;
    push(&kafka_alter_partition_reply_wire, ear->version, ear->correlation_id, &reply);
    wait_ms(5);
}

/* ---- a world ---- */

static struct shard make_shard(const char *name, struct heap *heap)
{
    return (struct shard){
        .name = name, .io = world.node->io, .heap = heap, .diag = world.node->diag};
}

static void start_keeper(void)
{
    static const char text[] = "dataDir=/keeper\nclientPort=2181\ntickTime=100\n"
                               "disk.reserveMb=0\nclientPortAddress=127.0.0.1\n"
                               "admin.enableServer=false\n";
    const struct config_source source = {"zoo.cfg", slice_from_text(text)};
    heap_init(&world.keeper_heap,
              (struct heap_options){.limit_bytes = heap_bytes, .tracked = true});
    world.keeper_shard = make_shard("keeper", &world.keeper_heap);
    assert_int_equal(ERR_OK, keeper_config_load(&world.keeper_config, &world.config_heap,
                                                world.node->diag, source));
    assert_int_equal(ERR_OK,
                     keeper_server_start(&world.keeper, &world.keeper_shard, &world.keeper_config));
}

static void create_znode(const char *path, const char *data)
{
    static const struct zk_acl open_acl = {31, {SLICE_LITERAL("world"), SLICE_LITERAL("anyone")}};
    struct zk_create_request create = {.path = slice_from_text(path),
                                       .data = slice_from_text(data)};
    struct sim_keeper_reply reply;
    create.acl.items = (struct zk_acl *)(uintptr_t)&open_acl;
    create.acl.count = 1;
    assert_true(sim_keeper_client_send(&world.keeper_client, op_create, &zk_create_request_wire,
                                       &create) != 0);
    assert_true(sim_keeper_client_receive(&world.keeper_client, &reply, 10000000000));
    assert_int_equal(reply.code, 0);
}

/* Another broker is the controller already. */
static void fill_keeper(void)
{
    struct io_address address;
    assert_int_equal(0, io_resolve(world.node->io, "127.0.0.1", 2181, &address));
    sim_keeper_client_init(&world.keeper_client, world.node->io, &world.heap);
    assert_int_equal(SIM_KEEPER_NEW,
                     sim_keeper_client_connect(&world.keeper_client, address, 30000));
    create_znode("/controller", "{\"version\":2,\"brokerid\":9,\"timestamp\":\"1\","
                                "\"kraftControllerEpoch\":-1}");
    create_znode("/controller_epoch", "50");
    create_znode("/config", "");
    create_znode("/config/topics", "");
    create_znode("/config/topics/t", "{\"version\":1,\"config\":{\"min.insync.replicas\":\"2\"}}");
    create_znode("/config/topics/__consumer_offsets",
                 "{\"version\":1,\"config\":{\"min.insync.replicas\":\"2\"}}");
}

static void start_broker(void)
{
    static const char text[] =
        "broker.id=1\nlisteners=PLAINTEXT://127.0.0.1:9092\nbroker.rack=a\n"
        "offsets.topic.num.partitions=1\n"
        "log.dirs=/broker\nzookeeper.connect=127.0.0.1:2181\nreplica.lag.time.max.ms=1000\n"
        "replica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector\n";
    struct broker_config *config = &world.broker_config;
    heap_init(&world.broker_heap,
              (struct heap_options){.limit_bytes = heap_bytes, .tracked = true});
    world.broker_shard = make_shard("broker", &world.broker_heap);
    assert_int_equal(ERR_OK,
                     broker_rig_load_config(&world.config_heap, world.node->diag, text, config));
    assert_int_equal(ERR_OK, broker_server_start(&world.broker, &world.broker_shard, config));
    while (!broker_server_is_serving(world.broker) && world.broker->state < BROKER_STOPPING)
        io_run(world.node->io, UINT64_MAX);
    assert_true(broker_server_is_serving(world.broker));
}

static void connect_all(void)
{
    for (int i = 0; i < who_count; i++) {
        sim_broker_client_init(&world.clients[i], world.node->io, &world.heap);
        assert_true(sim_link_open(&world.clients[i].link, world.broker->bound[0], 1000000000));
    }
}

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    topic_name = "t";
    topic_id[0] = 4;
    partition_index = 0;
    sim_init(&world.sim, (struct sim_options){.seed = 3, .node_count = 1});
    world.node = world.sim.nodes[0];
    heap_init(&world.config_heap,
              (struct heap_options){.limit_bytes = heap_bytes, .tracked = true});
    heap_init(&world.heap, (struct heap_options){.limit_bytes = heap_bytes, .tracked = true});
    start_keeper();
    fill_keeper();
    start_broker();
    open_ear();
    connect_all();
    return 0;
}

static void on_stopped(void *context)
{
    *(bool *)context = true;
}

static int tear_down(void **state)
{
    bool is_stopped = false;
    (void)state;
    broker_server_stop(world.broker, on_stopped, &is_stopped);
    while (!is_stopped)
        io_run(world.node->io, UINT64_MAX);
    broker_server_deinit(world.broker);
    wait_ms(10);
    assert_int_equal(0, world.broker_heap.block_count);
    is_stopped = false;
    keeper_server_stop(world.keeper, on_stopped, &is_stopped);
    while (!is_stopped)
        io_run(world.node->io, UINT64_MAX);
    keeper_server_free(world.keeper);
    net_deinit(world.ear.net);
    for (int i = 0; i < who_count; i++)
        sim_link_close(&world.clients[i].link);
    sim_link_close(&world.keeper_client.link);
    wait_ms(10);
    heap_deinit(&world.broker_heap);
    heap_deinit(&world.keeper_heap);
    heap_deinit(&world.config_heap);
    heap_deinit(&world.heap);
    sim_deinit(&world.sim);
    return 0;
}

/* ---- requests ---- */

static void send(enum who who, int16_t key, int16_t version, const void *body)
{
    assert_true(sim_broker_client_send(&world.clients[who], key, version, broker_apis[key].request,
                                       body) != 0);
}

/* False: nothing comes within that time. */
static bool receive(enum who who, int16_t key, int16_t version, void *reply, uint64_t within_ms)
{
    struct sim_broker_client *client = &world.clients[who];
    int32_t correlation_id;
    struct slice body;
    if (!sim_broker_client_receive(client, &correlation_id, &body, within_ms * 1000000))
        return false;
    assert_int_equal(correlation_id, client->correlation_id);
    assert_true(sim_broker_client_decode(client, broker_apis[key].reply, version, body, reply));
    return true;
}

static void ask(enum who who, int16_t key, int16_t version, const void *body, void *reply)
{
    send(who, key, version, body);
    assert_true(receive(who, key, version, reply, forever_ms));
}

/* The controller and both followers live, each in its rack. */
static void tell_brokers(void)
{
    static const int32_t ids[] = {1, 2, 3, controller_id};
    static const char *const racks[] = {"a", "b", "a", "c"};
    struct kafka_update_metadata_request_live_brokers_endpoints endpoints[4];
    struct kafka_update_metadata_request_live_brokers brokers[4];
    memset(endpoints, 0, sizeof endpoints);
    memset(brokers, 0, sizeof brokers);
    for (int i = 0; i < 4; i++) {
        endpoints[i].host = SLICE_LITERAL("127.0.0.1");
        endpoints[i].port = ids[i] == controller_id ? controller_port : 9092 + i;
        endpoints[i].listener = SLICE_LITERAL("PLAINTEXT");
        brokers[i].id = ids[i];
        brokers[i].rack = slice_from_text(racks[i]);
        brokers[i].endpoints.items = &endpoints[i];
        brokers[i].endpoints.count = 1;
    }
    int32_t replicas[] = {1, 2, 3};
    struct kafka_update_metadata_partition partition = {.leader = own_id, .leader_epoch = 1};
    struct kafka_update_metadata_request_topic_states topic = {.topic_name =
                                                                   slice_from_text(topic_name)};
    memcpy(&topic.topic_id, topic_id, 16);
    topic.partition_states.items = &partition;
    topic.partition_states.count = 1;
    partition.isr.items = partition.replicas.items = replicas;
    partition.isr.count = partition.replicas.count = 3;
    struct kafka_update_metadata_request body = {
        .controller_id = controller_id, .controller_epoch = controller_epoch, .broker_epoch = -1};
    struct kafka_update_metadata_reply reply;
    body.topic_states.items = &topic;
    body.topic_states.count = 1;
    body.live_brokers.items = brokers;
    body.live_brokers.count = 4;
    ask(CONTROLLER, KAFKA_API_UPDATE_METADATA, 8, &body, &reply);
    assert_int_equal(reply.error_code, KAFKA_NONE);
}

struct list_of {
    int32_t ids[4];
    int32_t count;
};

#define LIST(...)                                                                                  \
    ((struct list_of){{__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)})

/* Replicas are 1, 2 and 3. */
static void order(int32_t leader, int32_t leader_epoch, struct list_of isr)
{
    int32_t replicas[] = {1, 2, 3};
    struct kafka_leader_and_isr_partition partition = {.partition_index = partition_index,
                                                       .controller_epoch = controller_epoch,
                                                       .leader = leader,
                                                       .leader_epoch = leader_epoch,
                                                       .partition_epoch = 10 * leader_epoch};
    struct kafka_leader_and_isr_request_topic_states topic = {.topic_name =
                                                                  slice_from_text(topic_name)};
    struct kafka_leader_and_isr_request body = {
        .controller_id = controller_id, .controller_epoch = controller_epoch, .broker_epoch = -1};
    partition.replicas.items = replicas;
    partition.replicas.count = 3;
    partition.isr.items = isr.ids;
    partition.isr.count = isr.count;
    memcpy(&topic.topic_id, topic_id, 16);
    topic.partition_states.items = &partition;
    topic.partition_states.count = 1;
    body.topic_states.items = &topic;
    body.topic_states.count = 1;
    struct kafka_leader_and_isr_reply reply;
    ask(CONTROLLER, KAFKA_API_LEADER_AND_ISR, 7, &body, &reply);
    assert_int_equal(reply.error_code, KAFKA_NONE);
    assert_int_equal(reply.topics.items[0].partition_errors.items[0].error_code, KAFKA_NONE);
}

static void lead(int32_t leader_epoch, struct list_of isr)
{
    tell_brokers();
    order(own_id, leader_epoch, isr);
}

static struct partition *partition_here(void)
{
    struct partition *partition = partition_table_find(
        &world.broker->partitions, slice_from_text(topic_name), partition_index);
    assert_non_null(partition);
    return partition;
}

static void send_produce_as(int16_t version, int16_t acks, int32_t count, int32_t timeout_ms)
{
    static uint8_t memory[20000];
    struct record_batch_writer writer;
    record_batch_writer_init(&writer, memory, sizeof memory, io_wall_ms(world.node->io));
    for (int32_t i = 0; i < count; i++)
        assert_true(record_batch_writer_add(&writer, SLICE_NULL, SLICE_LITERAL("value")));
    struct kafka_produce_request_topics_partitions partition = {
        .index = partition_index, .records = record_batch_writer_finish(&writer)};
    struct kafka_produce_request_topics topic = {.name = slice_from_text(topic_name)};
    struct kafka_produce_request body = {.acks = acks, .timeout_ms = timeout_ms};
    topic.partitions.items = &partition;
    topic.partitions.count = 1;
    body.topics.items = &topic;
    body.topics.count = 1;
    send(PRODUCER, KAFKA_API_PRODUCE, version, &body);
}

static void send_produce(int16_t acks, int32_t count, int32_t timeout_ms)
{
    send_produce_as(9, acks, count, timeout_ms);
}

/* Nothing, or the code and offset that the producer is told. */
static bool is_produced(uint64_t within_ms, int16_t code, int64_t base_offset)
{
    struct kafka_produce_reply reply;
    if (!receive(PRODUCER, KAFKA_API_PRODUCE, 9, &reply, within_ms))
        return false;
    const struct kafka_produce_reply_topics_partitions *told =
        &reply.topics.items[0].partitions.items[0];
    assert_int_equal(told->error_code, code);
    assert_int_equal(told->base_offset, base_offset);
    return true;
}

static void produce(int16_t acks, int32_t count, int64_t base_offset)
{
    send_produce(acks, count, forever_ms);
    assert_true(is_produced(forever_ms, KAFKA_NONE, base_offset));
}

struct fetch {
    int64_t offset;
    int64_t log_start_offset;
    int32_t replica_id; /* 0: as the client's place says. */
    int64_t broker_epoch;
    int32_t leader_epoch; /* 0: not told. */
    int32_t last_fetched_epoch;
    int32_t wait_ms;
    int16_t version; /* 0: 12. */
    const char *rack;
};

static const int32_t ids[who_count] = {
    [SECOND] = 2, [THIRD] = 3, [CONSUMER] = -1, [PRODUCER] = -1, [CONTROLLER] = -1};

static int16_t version_of(struct fetch fetch)
{
    return fetch.version == 0 ? 12 : fetch.version;
}

static bool is_of_two; /* Partitions: the next one too. */

static void send_fetch(enum who who, struct fetch fetch)
{
    const int32_t replica_id = fetch.replica_id != 0 ? fetch.replica_id : ids[who];
    struct kafka_fetch_request_topics_partitions partition = {
        .partition = partition_index,
        .fetch_offset = fetch.offset,
        .current_leader_epoch = fetch.leader_epoch == 0 ? -1 : fetch.leader_epoch,
        .last_fetched_epoch = fetch.last_fetched_epoch == 0 ? -1 : fetch.last_fetched_epoch,
        .log_start_offset = replica_id < 0 ? -1 : fetch.log_start_offset,
        .partition_max_bytes = 1 << 20};
    struct kafka_fetch_request_topics topic = {.topic = slice_from_text(topic_name)};
    struct kafka_fetch_request body = {
        .replica_id = replica_id,
        .replica_state = {.replica_id = replica_id,
                          .replica_epoch = fetch.broker_epoch == 0 ? -1 : fetch.broker_epoch},
        .max_wait_ms = fetch.wait_ms,
        .min_bytes = 1,
        .max_bytes = 1 << 20,
        .session_epoch = -1,
        .rack_id = slice_from_text(fetch.rack == NULL ? "" : fetch.rack)};
    memcpy(&topic.topic_id, topic_id, 16);
    struct kafka_fetch_request_topics_partitions partitions[] = {partition, partition};
    partitions[1].partition++;
    partitions[1].fetch_offset = 0;
    topic.partitions.items = partitions;
    topic.partitions.count = is_of_two ? 2 : 1;
    body.topics.items = &topic;
    body.topics.count = 1;
    send(who, KAFKA_API_FETCH, version_of(fetch), &body);
}

/* What is told, with the number of records in it. */
struct fetched {
    int16_t code;
    int32_t record_count;
    int64_t high_watermark;
    int64_t log_start_offset;
    int32_t diverging_epoch;
    int64_t diverging_offset;
    int32_t preferred;
};

static bool take_fetched(enum who who, struct fetch fetch, uint64_t within_ms,
                         struct fetched *fetched)
{
    struct kafka_fetch_reply reply;
    struct record_batch_walk walk;
    enum err err;
    if (!receive(who, KAFKA_API_FETCH, version_of(fetch), &reply, within_ms))
        return false;
    const struct kafka_fetch_reply_topics_partitions *told =
        &reply.topics.items[0].partitions.items[0];
    *fetched = (struct fetched){.code = told->error_code,
                                .high_watermark = told->high_watermark,
                                .log_start_offset = told->log_start_offset,
                                .diverging_epoch = told->diverging_epoch.epoch,
                                .diverging_offset = told->diverging_epoch.end_offset,
                                .preferred = told->preferred_read_replica};
    record_batch_walk_init(&walk, told->records);
    while (record_batch_walk_next(&walk, &err))
        fetched->record_count += walk.batch.last_offset_delta + 1;
    assert_int_equal(err, ERR_OK);
    return true;
}

static struct fetched fetch_as(enum who who, struct fetch fetch)
{
    struct fetched fetched;
    send_fetch(who, fetch);
    assert_true(take_fetched(who, fetch, forever_ms, &fetched));
    return fetched;
}

static struct fetched fetch(enum who who, int64_t offset)
{
    return fetch_as(who, (struct fetch){.offset = offset});
}

static void expect_fetched(enum who who, int64_t offset, int32_t record_count,
                           int64_t high_watermark)
{
    const struct fetched fetched = fetch(who, offset);
    assert_int_equal(fetched.code, KAFKA_NONE);
    assert_int_equal(fetched.record_count, record_count);
    assert_int_equal(fetched.high_watermark, high_watermark);
}

/* ---- tests ---- */

static void test_acks_all_waits_for_every_replica_in_sync(void **state)
{
    (void)state;
    lead(5, LIST(1, 2, 3));
    send_produce(-1, 3, forever_ms);
    assert_false(is_produced(200, KAFKA_NONE, 0));
    expect_fetched(CONSUMER, 0, 0, 0);
    expect_fetched(SECOND, 0, 3, 0);
    expect_fetched(THIRD, 0, 3, 0);
    expect_fetched(SECOND, 3, 0, 0);
    assert_false(is_produced(100, KAFKA_NONE, 0));
    expect_fetched(CONSUMER, 0, 0, 0);
    expect_fetched(THIRD, 3, 0, 3);
    assert_true(is_produced(10, KAFKA_NONE, 0));
    expect_fetched(CONSUMER, 0, 3, 3);
    /* acks=1 waits for nobody, but consumers do not see it. */
    produce(1, 2, 3);
    expect_fetched(CONSUMER, 3, 0, 3);
    expect_fetched(SECOND, 5, 0, 3);
    expect_fetched(CONSUMER, 0, 3, 3);
    expect_fetched(THIRD, 5, 0, 5);
    expect_fetched(CONSUMER, 0, 5, 5);
}

static void test_a_follower_waits_for_the_log_end_only(void **state)
{
    (void)state;
    struct fetched fetched;
    const struct fetch waiting = {.offset = 0, .wait_ms = forever_ms};
    lead(5, LIST(1, 2, 3));
    send_fetch(SECOND, waiting);
    send_fetch(CONSUMER, waiting);
    assert_false(take_fetched(SECOND, waiting, 500, &fetched));
    send_produce(-1, 3, forever_ms);
    assert_true(take_fetched(SECOND, waiting, 20, &fetched));
    assert_int_equal(fetched.record_count, 3);
    expect_fetched(SECOND, 3, 0, 0);
    assert_false(take_fetched(CONSUMER, waiting, 100, &fetched));
    expect_fetched(THIRD, 3, 0, 3);
    assert_true(take_fetched(CONSUMER, waiting, 20, &fetched)); /* The high watermark wakes it. */
    assert_int_equal(fetched.record_count, 3);
    assert_true(is_produced(20, KAFKA_NONE, 0));
}

/* Its name is known, but the order to lead has not come yet, or it is out of date. */
static void test_followers_that_go_by_something_else(void **state)
{
    (void)state;
    lead(5, LIST(1, 2, 3));
    produce(1, 3, 0);
    const struct {
        struct fetch fetch;
        int16_t code;
    } rows[] = {
        {{.replica_id = 4, .leader_epoch = 5}, KAFKA_UNKNOWN_LEADER_EPOCH},
        {{.replica_id = 4}, KAFKA_NOT_LEADER_OR_FOLLOWER},
        {{.replica_id = 4, .leader_epoch = 5, .offset = 99}, KAFKA_UNKNOWN_LEADER_EPOCH},
        {{.replica_id = own_id, .leader_epoch = 5}, KAFKA_UNKNOWN_LEADER_EPOCH},
        {{.replica_id = 2, .leader_epoch = 4}, KAFKA_FENCED_LEADER_EPOCH},
        {{.replica_id = 2, .leader_epoch = 6}, KAFKA_UNKNOWN_LEADER_EPOCH},
        {{.replica_id = 2, .leader_epoch = 5, .offset = 4}, KAFKA_OFFSET_OUT_OF_RANGE},
        {{.replica_id = 2, .leader_epoch = 5, .offset = -1}, KAFKA_OFFSET_OUT_OF_RANGE},
        {{.replica_id = 2, .leader_epoch = 5, .last_fetched_epoch = 6}, KAFKA_OFFSET_OUT_OF_RANGE},
        {{.replica_id = 2, .leader_epoch = 5, .last_fetched_epoch = 5, .offset = 3}, KAFKA_NONE},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct fetched fetched = fetch_as(SECOND, rows[i].fetch);
        assert_int_equal(fetched.code, rows[i].code);
        assert_int_equal(fetched.record_count, 0);
        assert_int_equal(replica_set_find(partition_here()->replicas, 2)->fetch_offset,
                         rows[i].code == KAFKA_NONE ? 3 : -1);
        if (rows[i].code != KAFKA_NONE)
            assert_int_equal(fetched.high_watermark, -1);
    }
    /* Where histories part. */
    order(own_id, 8, LIST(1, 2, 3));
    const struct fetch parted = {
        .leader_epoch = 8, .last_fetched_epoch = 6, .offset = 3, .wait_ms = forever_ms};
    const struct fetched told = fetch_as(SECOND, parted);
    assert_int_equal(told.code, KAFKA_NONE);
    assert_int_equal(told.diverging_epoch, 5);
    assert_int_equal(told.diverging_offset, 3);
    assert_int_equal(told.high_watermark, 0);
    const struct fetch longer = {.leader_epoch = 8, .last_fetched_epoch = 5, .offset = 4};
    assert_int_equal(fetch_as(SECOND, longer).diverging_offset, 3);
    assert_int_equal(replica_set_find(partition_here()->replicas, 2)->fetch_offset, 3);
}

static void test_too_few_in_sync(void **state)
{
    (void)state;
    lead(5, LIST(1)); /* min.insync.replicas is 2. */
    send_produce(-1, 3, forever_ms);
    assert_true(is_produced(forever_ms, KAFKA_NOT_ENOUGH_REPLICAS, -1));
    assert_int_equal(partition_store_log_end_offset(partition_here()->store), 0);
    produce(1, 3, 0);
    expect_fetched(CONSUMER, 0, 0, 0); /* Nobody may read what acks=all would not promise. */
    expect_fetched(SECOND, 0, 3, 0);
    expect_fetched(SECOND, 3, 0, 0); /* It has caught up: */
    expect_asked(1);
    answer(KAFKA_NONE, KAFKA_NONE);
    expect_fetched(CONSUMER, 0, 3, 3);
    send_produce(-1, 1, forever_ms);
    assert_false(is_produced(50, KAFKA_NONE, 3));
    expect_fetched(SECOND, 4, 0, 4);
    assert_true(is_produced(10, KAFKA_NONE, 3));
}

static void test_a_producer_waits_no_longer_than_it_said(void **state)
{
    (void)state;
    lead(5, LIST(1, 2));
    send_produce(-1, 3, 300);
    assert_false(is_produced(250, KAFKA_NONE, 0));
    assert_true(is_produced(100, KAFKA_REQUEST_TIMED_OUT, 0));
    send_produce(-1, 1, 0);
    assert_true(is_produced(100, KAFKA_REQUEST_TIMED_OUT, 3));
    assert_int_equal(world.broker->late_produce_bytes, 0);
    expect_fetched(SECOND, 4, 0, 4); /* It is in the log all the same. */
    expect_fetched(CONSUMER, 0, 4, 4);
    /* Nor does a broker that stops. */
    send_produce(-1, 1, forever_ms);
    wait_ms(20);
    assert_false(list_empty(&partition_here()->commits));
}

static void test_who_loses_the_lead_says_so(void **state)
{
    (void)state;
    struct fetched fetched;
    const struct fetch waiting = {.offset = 1, .wait_ms = forever_ms};
    lead(5, LIST(1, 2));
    send_produce(-1, 1, forever_ms);
    while (partition_store_log_end_offset(partition_here()->store) == 0)
        wait_ms(1);
    send_fetch(THIRD, waiting);
    assert_false(is_produced(50, KAFKA_NONE, 0));
    order(2, 6, LIST(1, 2));
    assert_true(is_produced(50, KAFKA_NOT_LEADER_OR_FOLLOWER, 0));
    assert_true(take_fetched(THIRD, waiting, 50, &fetched));
    assert_int_equal(fetched.code, KAFKA_NOT_LEADER_OR_FOLLOWER);
    assert_null(partition_here()->replicas);
    /* Consumers may read from a follower, below its high watermark. */
    assert_int_equal(fetch_as(CONSUMER, (struct fetch){.version = 10}).code,
                     KAFKA_NOT_LEADER_OR_FOLLOWER);
    const struct fetched here = fetch_as(CONSUMER, (struct fetch){.version = 11});
    assert_int_equal(here.code, KAFKA_NONE);
    assert_int_equal(here.record_count, (int32_t)here.high_watermark);
    assert_int_equal(fetch_as(SECOND, (struct fetch){.offset = 0}).code,
                     KAFKA_NOT_LEADER_OR_FOLLOWER);
}

/* KIP-951: from these versions on a client that is wrong is told who leads, and where. */
static void test_the_leader_is_named(void **state)
{
    (void)state;
    struct kafka_produce_reply produced;
    struct kafka_fetch_reply fetched;
    lead(5, LIST(1, 2));
    order(2, 6, LIST(1, 2));
    send_produce_as(10, -1, 1, forever_ms);
    assert_true(receive(PRODUCER, KAFKA_API_PRODUCE, 10, &produced, forever_ms));
    const struct kafka_produce_reply_topics_partitions *told =
        &produced.topics.items[0].partitions.items[0];
    assert_int_equal(told->error_code, KAFKA_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(told->current_leader.leader_id, 2);
    assert_int_equal(told->current_leader.leader_epoch, 6);
    assert_int_equal(produced.node_endpoints.count, 1);
    assert_int_equal(produced.node_endpoints.items[0].node_id, 2);
    assert_int_equal(produced.node_endpoints.items[0].port, 9093);
    assert_true(slice_equal_text(produced.node_endpoints.items[0].rack, "b"));
    send_fetch(CONSUMER, (struct fetch){.version = 16, .leader_epoch = 5});
    assert_true(receive(CONSUMER, KAFKA_API_FETCH, 16, &fetched, forever_ms));
    const struct kafka_fetch_reply_topics_partitions *seen =
        &fetched.topics.items[0].partitions.items[0];
    assert_int_equal(seen->error_code, KAFKA_FENCED_LEADER_EPOCH);
    assert_int_equal(seen->current_leader.leader_id, 2);
    assert_int_equal(seen->current_leader.leader_epoch, 6);
    assert_int_equal(fetched.node_endpoints.count, 1);
    assert_int_equal(fetched.node_endpoints.items[0].port, 9093);
}

static void expect_isr(struct list_of expected)
{
    assert_int_equal(world.ear.isr_count, expected.count);
    for (int32_t i = 0; i < expected.count; i++)
        assert_int_equal(world.ear.isr[i], expected.ids[i]);
}

static void send_delete_at(int32_t index, int64_t offset, int32_t timeout_ms)
{
    struct kafka_delete_records_request_topics_partitions partition = {.partition_index = index,
                                                                       .offset = offset};
    struct kafka_delete_records_request_topics topic = {.name = slice_from_text(topic_name)};
    struct kafka_delete_records_request body = {.timeout_ms = timeout_ms};
    topic.partitions.items = &partition;
    topic.partitions.count = 1;
    body.topics.items = &topic;
    body.topics.count = 1;
    send(PRODUCER, KAFKA_API_DELETE_RECORDS, 2, &body);
}

static void send_delete(int64_t offset, int32_t timeout_ms)
{
    send_delete_at(0, offset, timeout_ms);
}

static bool is_deleted(uint64_t within_ms, int16_t code, int64_t low_watermark)
{
    struct kafka_delete_records_reply reply;
    if (!receive(PRODUCER, KAFKA_API_DELETE_RECORDS, 2, &reply, within_ms))
        return false;
    assert_int_equal(reply.topics.items[0].partitions.items[0].error_code, code);
    assert_int_equal(reply.topics.items[0].partitions.items[0].low_watermark, low_watermark);
    return true;
}

/* ---- sessions ---- */

struct step {
    int32_t id;
    int32_t epoch;
    int32_t wait_ms;
    int64_t offsets[3]; /* Of partitions 0 to 2; -1: not named. */
    bool is_narrow;     /* There is room for one batch. */
};

static void send_step(enum who who, struct step step)
{
    struct kafka_fetch_request_topics_partitions partitions[3];
    struct kafka_fetch_request_topics topic = {.topic = slice_from_text(topic_name)};
    struct kafka_fetch_request body = {.replica_id = ids[who],
                                       .max_wait_ms = step.wait_ms,
                                       .min_bytes = 1,
                                       .max_bytes = step.is_narrow ? 1 : 1 << 20,
                                       .session_id = step.id,
                                       .session_epoch = step.epoch,
                                       .rack_id = SLICE_LITERAL("")};
    topic.partitions.items = partitions;
    for (int32_t i = 0; i < 3; i++) {
        if (step.offsets[i] < 0)
            continue;
        partitions[topic.partitions.count++] =
            (struct kafka_fetch_request_topics_partitions){.partition = i,
                                                           .fetch_offset = step.offsets[i],
                                                           .current_leader_epoch = -1,
                                                           .last_fetched_epoch = -1,
                                                           .partition_max_bytes = 1 << 20};
    }
    body.topics.items = &topic;
    body.topics.count = topic.partitions.count > 0;
    send(who, KAFKA_API_FETCH, 12, &body);
}

/* Which partitions the reply tells of, as digits: "", "02"; an error as well: "1!6". */
static const char *told_of(enum who who, int32_t *session_id, uint64_t within_ms)
{
    static char text[64];
    struct kafka_fetch_reply reply;
    size_t size = 0;
    if (!receive(who, KAFKA_API_FETCH, 12, &reply, within_ms))
        return "nothing";
    assert_int_equal(reply.error_code, KAFKA_NONE);
    *session_id = reply.session_id;
    text[0] = '\0';
    for (int32_t i = 0; reply.topics.count > 0 && i < reply.topics.items[0].partitions.count; i++) {
        const struct kafka_fetch_reply_topics_partitions *told =
            &reply.topics.items[0].partitions.items[i];
        size += (size_t)snprintf(text + size, sizeof text - size, "%d", (int)told->partition_index);
        if (told->error_code != KAFKA_NONE)
            size += (size_t)snprintf(text + size, sizeof text - size, "!%d", told->error_code);
    }
    return text;
}

static void lead_three(void)
{
    lead(5, LIST(1, 2));
    for (partition_index = 1; partition_index < 3; partition_index++)
        order(own_id, 5, LIST(1, 2));
    partition_index = 0;
}

static uint32_t open_count(int32_t session_id)
{
    return fetch_session_find(&world.broker->fetch_sessions, session_id)->open_count;
}

static const int64_t nothing[3] = {-1, -1, -1};

/* What it is told of, named without the rest. */
static void step(enum who who, int32_t *id, int32_t epoch, const int64_t offsets[3],
                 const char *expected)
{
    struct step next = {.id = *id, .epoch = epoch};
    memcpy(next.offsets, offsets, sizeof next.offsets);
    send_step(who, next);
    assert_string_equal(told_of(who, id, forever_ms), expected);
}

static void test_a_session_looks_where_there_is_news(void **state)
{
    (void)state;
    int32_t id = 0;
    lead_three();
    step(SECOND, &id, 0, (int64_t[]){0, 0, 0}, "012");
    assert_int_equal(open_count(id), 0); /* It has all there is. */
    step(SECOND, &id, 1, nothing, "");
    send_step(SECOND, (struct step){id, 2, forever_ms, {-1, -1, -1}, false});
    assert_string_equal(told_of(SECOND, &id, 100), "nothing");
    partition_index = 1;
    produce(1, 2, 0);
    assert_string_equal(told_of(SECOND, &id, 20), "1");
    assert_int_equal(open_count(id), 1);
    step(SECOND, &id, 3, nothing, "1"); /* It does not say that it has got it: told again. */
    step(SECOND, &id, 4, (int64_t[]){-1, 2, -1}, "1"); /* The high watermark has moved. */
    assert_int_equal(open_count(id), 0);
    assert_int_equal(partition_store_high_watermark(partition_here()->store), 2);
    step(SECOND, &id, 5, nothing, "");
    /* An end of the lead is news, and is told until it is over. */
    order(2, 6, LIST(1, 2));
    step(SECOND, &id, 6, nothing, "1!6");
    step(SECOND, &id, 7, nothing, "1!6");
    order(own_id, 7, LIST(1, 2));
    step(SECOND, &id, 8, nothing, "1");
    step(SECOND, &id, 9, nothing, "");
    assert_int_equal(open_count(id), 0);
}

static void test_a_consumer_session_waits_for_the_high_watermark(void **state)
{
    (void)state;
    int32_t id = 0;
    lead_three();
    step(CONSUMER, &id, 0, (int64_t[]){0, 0, 0}, "012");
    assert_int_equal(open_count(id), 0);
    partition_index = 2;
    produce(1, 2, 0);
    step(CONSUMER, &id, 1, nothing, "");
    send_step(CONSUMER, (struct step){id, 2, forever_ms, {-1, -1, -1}, false});
    assert_string_equal(told_of(CONSUMER, &id, 100), "nothing");
    fetch(SECOND, 2);
    assert_string_equal(told_of(CONSUMER, &id, 20), "2");
    step(CONSUMER, &id, 3, (int64_t[]){-1, -1, 2}, "");
    assert_int_equal(open_count(id), 0);
    send_delete_at(2, 1, 0);
    assert_true(is_deleted(20, KAFKA_REQUEST_TIMED_OUT, -1));
    step(CONSUMER, &id, 4, nothing, "2"); /* The log begins later. */
}

/* What has no room in one reply comes with the next; who goes back is looked at again. */
static void test_nothing_is_forgotten_in_a_session(void **state)
{
    (void)state;
    int32_t id = 0;
    lead_three();
    step(CONSUMER, &id, 0, (int64_t[]){0, 0, 0}, "012");
    for (partition_index = 1; partition_index < 3; partition_index++) {
        produce(1, 2, 0);
        fetch(SECOND, 2);
    }
    send_step(CONSUMER, (struct step){id, 1, 0, {-1, -1, -1}, true});
    assert_string_equal(told_of(CONSUMER, &id, 20), "12"); /* Of one only how much there is. */
    assert_int_equal(open_count(id), 2);
    send_step(CONSUMER, (struct step){id, 2, 0, {-1, 2, -1}, true});
    assert_string_equal(told_of(CONSUMER, &id, 20), "2");
    step(CONSUMER, &id, 3, (int64_t[]){-1, -1, 2}, "");
    assert_int_equal(open_count(id), 0);
    step(CONSUMER, &id, 4, (int64_t[]){-1, 1, -1}, "1");
    step(CONSUMER, &id, 5, (int64_t[]){-1, 2, -1}, "");
    assert_int_equal(open_count(id), 0);
}

/* Its fetches without a word about a partition say that it has everything. */
static void test_who_is_silent_in_a_session_is_in_sync(void **state)
{
    (void)state;
    int32_t id = 0;
    lead_three();
    step(SECOND, &id, 0, (int64_t[]){0, 0, 0}, "012");
    for (int32_t epoch = 1; epoch < 20; epoch++) {
        wait_ms(300);
        step(SECOND, &id, epoch, nothing, "");
    }
    partition_index = 2;
    produce(1, 1, 0);
    wait_ms(lag_ms - 100); /* The clock has looked. */
    assert_int_equal(world.ear.asked_count, 0);
    step(SECOND, &id, 20, nothing, "2");
    wait_ms(2 * lag_ms); /* But now it says nothing at all. */
    expect_asked(1);
    assert_int_equal(world.ear.index, 2);
    expect_isr(LIST(1));
}

/* What it had in the epoch before says nothing of the next one, which begins without it. */
static void test_who_was_silent_in_the_epoch_before_is_not_waited_for(void **state)
{
    (void)state;
    int32_t id = 0;
    lead(5, LIST(1, 2, 3));
    fetch(SECOND, 0);
    step(THIRD, &id, 0, (int64_t[]){0, -1, -1}, "0");
    assert_int_equal(open_count(id), 0);
    wait_ms(10);
    step(THIRD, &id, 1, nothing, "");
    wait_ms(10);
    order(own_id, 6, LIST(1, 2));
    send_produce(-1, 2, forever_ms);
    fetch(SECOND, 2);
    assert_true(is_produced(20, KAFKA_NONE, 0));
}

/* The disk is asked where the first records lie when the connection ends. */
static void test_a_consumer_goes_in_the_middle_of_a_read(void **state)
{
    (void)state;
    struct broker_server *server = world.broker;
    const struct fetch near = {.version = 11, .rack = "z", .wait_ms = forever_ms};
    lead(5, LIST(1, 2));
    partition_index = 1;
    order(own_id, 5, LIST(1, 2));
    partition_index = 0;
    produce(1, 3, 0);
    fetch(SECOND, 3);
    assert_true(partition_store_rest(partition_here()->store));
    assert_false(partition_store_rest(partition_here()->store));
    assert_null(partition_here()->store->recent);
    is_of_two = true;
    send_fetch(CONSUMER, near);
    is_of_two = false;
    while (server->requests.used_count == 0)
        io_run(world.node->io, UINT64_MAX);
    list_each_safe (link, after, &server->connections)
        net_connection_close(CONTAINER_OF(link, struct broker_connection, link)->net, "enough",
                             false);
    wait_ms(100);
    assert_int_equal(server->requests.used_count, 0);
}

static void test_who_catches_up_is_taken_in(void **state)
{
    (void)state;
    lead(5, LIST(1, 2));
    const struct replica_set *set = partition_here()->replicas;
    produce(1, 2, 0);
    fetch(SECOND, 2);
    expect_fetched(CONSUMER, 0, 2, 2);
    fetch(THIRD, 1); /* Below the high watermark. */
    wait_ms(100);
    assert_int_equal(world.ear.asked_count, 0);
    assert_int_equal(
        fetch_as(THIRD, (struct fetch){.offset = 2, .version = 15, .broker_epoch = 77}).code,
        KAFKA_NONE);
    expect_asked(1);
    expect_isr(LIST(1, 2, 3));
    assert_int_equal(world.ear.version, 3);
    assert_int_equal(world.ear.epochs[0], control_broker_epoch(world.broker->control));
    assert_int_equal(world.ear.epochs[1], -1);
    assert_int_equal(world.ear.epochs[2], 77);
    assert_int_equal(world.ear.leader_epoch, 5);
    assert_int_equal(world.ear.partition_epoch, 50);
    assert_memory_equal(world.ear.topic_id, topic_id, 16);
    /* It counts already, and there is one request in flight, however often it fetches. */
    produce(1, 1, 2);
    fetch(SECOND, 3);
    expect_fetched(CONSUMER, 0, 2, 2);
    assert_int_equal(
        fetch_as(THIRD, (struct fetch){.offset = 2, .version = 15, .broker_epoch = 76}).code,
        KAFKA_NOT_LEADER_OR_FOLLOWER); /* From its life before. */
    assert_int_equal(world.ear.asked_count, 1);
    answer(KAFKA_NOT_CONTROLLER, 0); /* The controller has moved: asked again. */
    expect_asked(2);
    expect_isr(LIST(1, 2, 3));
    answer(KAFKA_NONE, KAFKA_INELIGIBLE_REPLICA); /* It is shutting down, say. */
    assert_int_equal(set->isr_count, 2);
    assert_int_equal(set->change, REPLICA_CHANGE_NONE);
    fetch(THIRD, 3);
    expect_asked(3);
    answer(KAFKA_NONE, KAFKA_NONE);
    assert_int_equal(set->isr_count, 3);
    assert_int_equal(set->partition_epoch, 51);
    expect_fetched(CONSUMER, 0, 3, 3);
}

static void test_who_stays_behind_leaves(void **state)
{
    (void)state;
    lead(5, LIST(1, 2, 3));
    const struct replica_set *set = partition_here()->replicas;
    fetch(SECOND, 0);
    fetch(THIRD, 0);
    wait_ms(5 * lag_ms); /* Silent, but they have all there is. */
    assert_int_equal(world.ear.asked_count, 0);
    fetch(SECOND, 0);
    fetch(THIRD, 0);
    send_produce(-1, 2, forever_ms);
    assert_false(is_produced(100, KAFKA_NONE, 0));
    fetch(SECOND, 2);
    wait_ms(2 * lag_ms);
    expect_asked(1);
    expect_isr(LIST(1, 2));
    expect_fetched(CONSUMER, 0, 0, 0); /* Not before it has left for certain. */
    sim_link_close(&world.clients[CONTROLLER].link);
    net_connection_close(world.ear.connection, "gone", false);
    expect_asked(2); /* A lost connection is no answer. */
    answer(KAFKA_NONE, KAFKA_NONE);
    assert_true(is_produced(20, KAFKA_NONE, 0));
    assert_int_equal(set->isr_count, 2);
    expect_fetched(CONSUMER, 0, 2, 2);
    fetch(SECOND, 2);
    wait_ms(5 * lag_ms);
    assert_int_equal(world.ear.asked_count, 2);
    assert_true(list_empty(&world.broker->replication.lagging)); /* Nothing is looked at. */
}

/* The controller keeps it out, though its broker lives: its log directory has failed. */
static void test_who_is_kept_out_is_not_waited_for_long(void **state)
{
    (void)state;
    lead(5, LIST(1, 2));
    fetch(SECOND, 0);
    fetch(THIRD, 0);
    expect_asked(1);
    answer(KAFKA_NONE, KAFKA_INELIGIBLE_REPLICA);
    send_produce(-1, 2, forever_ms);
    fetch(SECOND, 2);
    assert_true(is_produced(3 * lag_ms, KAFKA_NONE, 0));
    wait_ms(5 * lag_ms);
    assert_true(list_empty(&world.broker->replication.lagging)); /* Nothing is looked at. */
}

static void test_an_order_makes_a_change_pointless(void **state)
{
    (void)state;
    lead(5, LIST(1, 2));
    fetch(THIRD, 0);
    expect_asked(1);
    order(own_id, 6, LIST(1, 2));
    answer(KAFKA_NONE, KAFKA_NONE);
    const struct replica_set *set = partition_here()->replicas;
    assert_int_equal(set->isr_count, 2);
    assert_int_equal(set->leader_epoch, 6);
    fetch(THIRD, 0);
    expect_asked(2);
    assert_int_equal(world.ear.leader_epoch, 6);
    answer(KAFKA_NONE, KAFKA_NONE);
    assert_int_equal(set->isr_count, 3);
    /* The controller knows of another state: its order must come first. */
    produce(1, 1, 0);
    fetch(SECOND, 1);
    wait_ms(2 * lag_ms);
    expect_asked(3);
    answer(KAFKA_NONE, KAFKA_INVALID_UPDATE_VERSION);
    wait_ms(5 * lag_ms);
    assert_int_equal(world.ear.asked_count, 3);
    assert_int_equal(set->change, REPLICA_CHANGE_LEAVE);
}

static void test_consumers_are_sent_to_their_rack(void **state)
{
    (void)state;
    lead(5, LIST(1, 2, 3));
    produce(1, 3, 0);
    fetch(SECOND, 3);
    fetch(THIRD, 3);
    const struct fetch near = {.version = 11, .rack = "b", .wait_ms = forever_ms};
    const struct fetched sent = fetch_as(CONSUMER, near);
    assert_int_equal(sent.preferred, 2);
    assert_int_equal(sent.code, KAFKA_NONE);
    assert_int_equal(sent.record_count, 0);
    assert_int_equal(sent.high_watermark, 3);
    static const struct fetch here[] = {
        {.version = 11, .rack = "a"}, /* The leader's own, though a follower stands there too. */
        {.version = 11, .rack = "c"}, {.version = 11, .rack = "z"}, {.version = 11},
        {.version = 10, .rack = "b"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(here); i++) {
        const struct fetched fetched = fetch_as(CONSUMER, here[i]);
        assert_int_equal(fetched.preferred, -1);
        assert_int_equal(fetched.record_count, 3);
    }
    order(own_id, 6, LIST(1, 3)); /* The one in the rack is not in sync. */
    assert_int_equal(fetch_as(CONSUMER, near).preferred, -1);
}

static void test_one_request_at_a_time(void **state)
{
    (void)state;
    lead(5, LIST(1, 2));
    partition_index = 1;
    order(own_id, 5, LIST(1, 2));
    fetch(THIRD, 0);
    expect_asked(1);
    assert_int_equal(world.ear.index, 1);
    partition_index = 0;
    fetch(THIRD, 0);
    wait_ms(200);
    assert_int_equal(world.ear.asked_count, 1);
    answer(KAFKA_NONE, KAFKA_NONE);
    expect_asked(2);
    assert_int_equal(world.ear.index, 0);
    answer(KAFKA_NONE, KAFKA_UNKNOWN_SERVER_ERROR);
    expect_asked(3);
    answer(KAFKA_NONE, KAFKA_NONE);
    assert_int_equal(partition_here()->replicas->isr_count, 3);
}

/* A broker whose session has gone is told so until it has registered anew. */
static void test_what_is_refused_is_asked_for_less_and_less_often(void **state)
{
    uint64_t before_ns = 0, pause_ns = 0;
    (void)state;
    lead(5, LIST(1, 2));
    fetch(THIRD, 0);
    expect_asked(1);
    for (uint32_t count = 2; count < 9; count++) {
        answer(KAFKA_STALE_BROKER_EPOCH, 0);
        before_ns = world.sim.now_ns;
        expect_asked(count);
        assert_true(world.sim.now_ns - before_ns > pause_ns || count > 6);
        pause_ns = world.sim.now_ns - before_ns;
    }
    assert_in_range(pause_ns / 1000000, isr_changes_again_ms_max - 10, isr_changes_again_ms_max);
    answer(KAFKA_NONE, KAFKA_NONE);
    assert_int_equal(partition_here()->replicas->isr_count, 3);
    /* That was that. */
    produce(1, 1, 0);
    fetch(SECOND, 1);
    wait_ms(2 * lag_ms);
    expect_asked(9);
    answer(KAFKA_STALE_BROKER_EPOCH, 0);
    wait_ms(isr_changes_again_ms);
    assert_int_equal(world.ear.asked_count, 10);
}

/* What this broker appended may be cut off while another leads, even if its own disk has not had
 * the time to say that it has it. */
static void test_a_break_in_the_lead_is_noticed(void **state)
{
    (void)state;
    lead(5, LIST(1, 2));
    produce(1, 1, 0);
    const uint64_t sync_ns_mean = world.sim.faults.sync_ns_mean;
    world.sim.faults.sync_ns_mean = 500000000;
    send_produce(-1, 1, forever_ms);
    wait_ms(20);
    order(2, 6, LIST(1, 2));
    order(own_id, 7, LIST(1, 2));
    fetch(SECOND, 2);
    assert_true(partition_store_reached_offset(partition_here()->store) < 2);
    assert_true(is_produced(forever_ms, KAFKA_NOT_LEADER_OR_FOLLOWER, 1));
    world.sim.faults.sync_ns_mean = sync_ns_mean;
}

static void send_commit(void)
{
    struct kafka_offset_commit_request_topics_partitions partition = {.committed_offset = 5,
                                                                      .committed_leader_epoch = -1};
    struct kafka_offset_commit_request_topics topic = {.name = SLICE_LITERAL("t")};
    struct kafka_offset_commit_request body = {.group_id = SLICE_LITERAL("g"),
                                               .generation_id = -1,
                                               .member_id = SLICE_LITERAL(""),
                                               .retention_time_ms = -1};
    topic.partitions.items = &partition;
    topic.partitions.count = 1;
    body.topics.items = &topic;
    body.topics.count = 1;
    send(PRODUCER, KAFKA_API_OFFSET_COMMIT, 8, &body);
}

static bool is_offset_committed(uint64_t within_ms, int16_t code)
{
    struct kafka_offset_commit_reply reply;
    if (!receive(PRODUCER, KAFKA_API_OFFSET_COMMIT, 8, &reply, within_ms))
        return false;
    assert_int_equal(reply.topics.items[0].partitions.items[0].error_code, code);
    return true;
}

/* A commit of a group is a produce with acks=all, of five seconds. */
static void test_groups_wait_for_replicas_too(void **state)
{
    (void)state;
    lead(5, LIST(1, 2));
    topic_name = "__consumer_offsets";
    order(own_id, 5, LIST(1, 2));
    send_commit();
    assert_false(is_offset_committed(200, KAFKA_NONE));
    fetch(SECOND, 1);
    assert_true(is_offset_committed(20, KAFKA_NONE));
    send_commit();
    assert_false(is_offset_committed(4900, KAFKA_NONE));
    assert_true(is_offset_committed(200, KAFKA_REQUEST_TIMED_OUT));
    send_commit();
    wait_ms(20);
    order(2, 6, LIST(1, 2));
    assert_true(is_offset_committed(20, KAFKA_NOT_COORDINATOR));
    order(own_id, 7, LIST(1));
    wait_ms(20); /* It is loaded. */
    send_commit();
    assert_true(is_offset_committed(20, KAFKA_COORDINATOR_NOT_AVAILABLE));
    order(own_id, 8, LIST(1, 2));
    fetch(SECOND, 3);
    send_commit();
    wait_ms(20);
    assert_false(list_empty(&partition_here()->commits)); /* The broker stops over it. */
}

static int16_t latest(int16_t version, int32_t replica_id, int64_t *offset)
{
    struct kafka_list_offsets_request_topics_partitions partition = {.current_leader_epoch = -1,
                                                                     .timestamp = -1};
    struct kafka_list_offsets_request_topics topic = {.name = slice_from_text(topic_name)};
    struct kafka_list_offsets_request body = {.replica_id = replica_id};
    struct kafka_list_offsets_reply reply;
    topic.partitions.items = &partition;
    topic.partitions.count = 1;
    body.topics.items = &topic;
    body.topics.count = 1;
    ask(CONSUMER, KAFKA_API_LIST_OFFSETS, version, &body, &reply);
    *offset = reply.topics.items[0].partitions.items[0].offset;
    return reply.topics.items[0].partitions.items[0].error_code;
}

static void test_a_new_leader_does_not_know_the_latest_offset(void **state)
{
    int64_t offset;
    (void)state;
    lead(5, LIST(1, 2));
    produce(1, 3, 0);
    fetch(SECOND, 2);
    assert_int_equal(latest(5, -1, &offset), KAFKA_NONE);
    assert_int_equal(offset, 2);
    assert_int_equal(latest(5, 2, &offset), KAFKA_NONE);
    assert_int_equal(offset, 3);
    order(own_id, 6, LIST(1, 2)); /* Its epoch begins at 3, above the high watermark. */
    assert_int_equal(latest(5, -1, &offset), KAFKA_OFFSET_NOT_AVAILABLE);
    assert_int_equal(latest(4, -1, &offset), KAFKA_LEADER_NOT_AVAILABLE);
    assert_int_equal(latest(5, 2, &offset), KAFKA_NONE);
    fetch(SECOND, 3);
    assert_int_equal(latest(5, -1, &offset), KAFKA_NONE);
    assert_int_equal(offset, 3);
    order(2, 7, LIST(1, 2));
    assert_int_equal(latest(5, -1, &offset), KAFKA_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(latest(5, -2, &offset), KAFKA_NONE); /* Whoever debugs may ask anybody. */
}

static void test_records_are_deleted_everywhere(void **state)
{
    (void)state;
    lead(5, LIST(1, 2, 3));
    produce(1, 5, 0);
    fetch(SECOND, 5);
    fetch(THIRD, 5);
    send_delete(3, forever_ms);
    assert_false(is_deleted(100, KAFKA_NONE, 3));
    assert_int_equal(fetch(SECOND, 5).log_start_offset, 3); /* So it is told. */
    fetch_as(SECOND, (struct fetch){.offset = 5, .log_start_offset = 3});
    assert_false(is_deleted(100, KAFKA_NONE, 3));
    fetch_as(THIRD, (struct fetch){.offset = 5, .log_start_offset = 4});
    assert_true(is_deleted(20, KAFKA_NONE, 3));
    send_delete(-1, 300);
    assert_false(is_deleted(250, KAFKA_NONE, 5));
    assert_true(is_deleted(100, KAFKA_REQUEST_TIMED_OUT, 3));
    send_delete(5, 0);
    assert_true(is_deleted(20, KAFKA_REQUEST_TIMED_OUT, 3));
    send_delete(5, forever_ms);
    wait_ms(20);
    order(2, 6, LIST(1, 2, 3));
    assert_true(is_deleted(20, KAFKA_NOT_LEADER_OR_FOLLOWER, -1));
}

static void send_deletion(enum who who, int32_t leader_epoch)
{
    struct kafka_stop_replica_request_topic_states_partition_states partition = {
        .partition_index = partition_index, .leader_epoch = leader_epoch, .delete_partition = true};
    struct kafka_stop_replica_request_topic_states topic = {.topic_name =
                                                                slice_from_text(topic_name)};
    struct kafka_stop_replica_request body = {
        .controller_id = controller_id, .controller_epoch = controller_epoch, .broker_epoch = -1};
    topic.partition_states.items = &partition;
    topic.partition_states.count = 1;
    body.topic_states.items = &topic;
    body.topic_states.count = 1;
    send(who, KAFKA_API_STOP_REPLICA, 3, &body);
}

static void expect_deleted(enum who who)
{
    struct kafka_stop_replica_reply reply;
    assert_true(receive(who, KAFKA_API_STOP_REPLICA, 3, &reply, forever_ms));
    assert_int_equal(reply.error_code, KAFKA_NONE);
    assert_int_equal(reply.partition_errors.items[0].error_code, KAFKA_NONE);
}

/* The replica of the partition at hand leaves this broker, its files go. */
static void stop_and_delete(int32_t leader_epoch)
{
    send_deletion(CONTROLLER, leader_epoch);
    expect_deleted(CONTROLLER);
}

static void set_min_isr(const char *value)
{
    struct kafka_incremental_alter_configs_request_resources_configs config = {
        .name = SLICE_LITERAL("min.insync.replicas"), .value = slice_from_text(value)};
    struct kafka_incremental_alter_configs_request_resources resource = {
        .resource_type = CONFIG_RESOURCE_TOPIC, .resource_name = slice_from_text(topic_name)};
    struct kafka_incremental_alter_configs_request body = {0};
    struct kafka_incremental_alter_configs_reply reply;
    resource.configs.items = &config;
    resource.configs.count = 1;
    body.resources.items = &resource;
    body.resources.count = 1;
    ask(CONSUMER, KAFKA_API_INCREMENTAL_ALTER_CONFIGS, 1, &body, &reply);
    assert_int_equal(reply.responses.items[0].error_code, KAFKA_NONE);
    wait_ms(100); /* The notification in the keeper comes round. */
}

static void expect_min_isr(int64_t count)
{
    assert_int_equal(partition_store_config(partition_here()->store)->min_insync_replicas, count);
}

static void test_settings_change_as_long_as_a_partition_is_here(void **state)
{
    (void)state;
    lead(5, LIST(1, 2, 3));
    partition_index = 7; /* One that is not among the metadata yet. */
    order(own_id, 5, LIST(1, 2, 3));
    expect_min_isr(2);
    set_min_isr("3");
    expect_min_isr(3);
    stop_and_delete(5);
    partition_index = 0;
    expect_min_isr(3);
    set_min_isr("1");
    expect_min_isr(1);
    /* When the last one has gone they are forgotten, and read when one comes. */
    stop_and_delete(5);
    set_min_isr("2");
    order(own_id, 6, LIST(1, 2, 3));
    expect_min_isr(2);
}

/* The answer to the first order is what the second one has waited for. */
static void test_a_deletion_may_be_ordered_again_meanwhile(void **state)
{
    (void)state;
    lead(5, LIST(1, 2, 3));
    produce(1, 1, 0);
    send_deletion(CONTROLLER, 5);
    send_deletion(CONSUMER, 5);
    expect_deleted(CONTROLLER);
    expect_deleted(CONSUMER);
    order(own_id, 6, LIST(1, 2, 3));
    assert_int_equal(partition_store_log_end_offset(partition_here()->store), 0);
}

/* An answer that is late says nothing about another topic of that name. */
static void test_a_change_of_a_deleted_topic_is_over(void **state)
{
    (void)state;
    lead(5, LIST(1, 2, 3));
    produce(1, 1, 0);
    fetch(SECOND, 1);
    wait_ms(2 * lag_ms);
    expect_asked(1);
    stop_and_delete(5);
    topic_id[0]++;
    order(own_id, 5, LIST(1, 2, 3));
    const struct replica_set *set = partition_here()->replicas;
    produce(1, 1, 0);
    fetch(SECOND, 1);
    wait_ms(2 * lag_ms);
    assert_int_equal(set->change, REPLICA_CHANGE_LEAVE);
    answer(KAFKA_NONE, KAFKA_NONE);
    assert_int_equal(set->isr_count, 3);
    expect_asked(2);
    answer(KAFKA_NONE, KAFKA_NONE);
    assert_int_equal(set->isr_count, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_acks_all_waits_for_every_replica_in_sync),
        TEST(test_a_follower_waits_for_the_log_end_only),
        TEST(test_followers_that_go_by_something_else),
        TEST(test_too_few_in_sync),
        TEST(test_a_producer_waits_no_longer_than_it_said),
        TEST(test_who_loses_the_lead_says_so),
        TEST(test_who_catches_up_is_taken_in),
        TEST(test_who_stays_behind_leaves),
        TEST(test_who_is_kept_out_is_not_waited_for_long),
        TEST(test_an_order_makes_a_change_pointless),
        TEST(test_consumers_are_sent_to_their_rack),
        TEST(test_the_leader_is_named),
        TEST(test_a_consumer_goes_in_the_middle_of_a_read),
        TEST(test_a_session_looks_where_there_is_news),
        TEST(test_a_consumer_session_waits_for_the_high_watermark),
        TEST(test_nothing_is_forgotten_in_a_session),
        TEST(test_who_is_silent_in_a_session_is_in_sync),
        TEST(test_who_was_silent_in_the_epoch_before_is_not_waited_for),
        TEST(test_a_deletion_may_be_ordered_again_meanwhile),
        TEST(test_a_change_of_a_deleted_topic_is_over),
        TEST(test_one_request_at_a_time),
        TEST(test_what_is_refused_is_asked_for_less_and_less_often),
        TEST(test_a_break_in_the_lead_is_noticed),
        TEST(test_groups_wait_for_replicas_too),
        TEST(test_records_are_deleted_everywhere),
        TEST(test_a_new_leader_does_not_know_the_latest_offset),
        TEST(test_settings_change_as_long_as_a_partition_is_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
