/* The broker server in the simulated world, on a keeper of its own, by a client that speaks through
 * the tables. */
#include "server/broker/broker_server.h"
#include "server/keeper/keeper_server.h"
#include "test/unit_test.h"

#include "base/bytes.h"
#include "broker/group_hash.h"
#include "broker/group_record.h"
#include "broker/packed_records.h"
#include "server/broker/broker_api.h"
#include "sim/sim_node.h"
#include "test/record_packer.h"
#include "wire/gen/kafka.h"

#include <stdalign.h>

enum {
    heap_bytes = 256 << 20,
    frame_bytes_max = 1 << 20,
    rounds_max = 1000000,
    arena_bytes = 1 << 18,
    batch_capacity = 20000,
    ms = 1000000,
    client_count = 2,
};

struct client {
    struct heap heap;
    struct net *net;
    struct net_connection *connection;
    uint64_t frame_count; /* Received. */
    int32_t correlation_id;
    uint8_t last[frame_bytes_max];
    size_t last_size;
    bool is_closed;
};

struct world {
    struct sim sim;
    struct sim_node *node;
    struct heap keeper_heap;
    struct heap broker_heap;
    struct heap config_heap;
    struct shard keeper_shard;
    struct shard broker_shard;
    struct keeper_config keeper_config;
    struct broker_config broker_config;
    struct keeper_server *keeper;
    struct broker_server *broker;
    struct client clients[client_count];
};

static struct world world;
static struct client *me; /* Who speaks. */
static alignas(16) uint8_t arena_memory[arena_bytes];
static uint8_t frame[frame_bytes_max];
static uint8_t batch_memory[batch_capacity];

/* ---- a client ---- */

static bool on_open(struct net_connection *connection)
{
    struct client *client = connection->user;
    client->connection = connection;
    return true;
}

static struct net_verdict on_length(struct net_connection *connection, uint32_t length)
{
    (void)connection;
    return (struct net_verdict){.kind = NET_FRAME, .length = length};
}

static void on_frame(struct net_connection *connection, uint8_t *data, size_t size)
{
    struct client *client = connection->user;
    assert_true(size <= sizeof client->last);
    memcpy(client->last, data, size);
    client->last_size = size;
    client->frame_count++;
}

static void on_raw(struct net_connection *connection, struct slice bytes)
{
    (void)connection;
    (void)bytes;
}

static void on_close(struct net_connection *connection, const char *reason)
{
    struct client *client = connection->user;
    (void)reason;
    client->is_closed = true;
    client->connection = NULL;
}

static const struct net_handler client_handler = {.on_open = on_open,
                                                  .on_length = on_length,
                                                  .on_frame = on_frame,
                                                  .on_raw = on_raw,
                                                  .on_close = on_close};

static void dial(void)
{
    struct client *client = me;
    const struct net_options options = {.connection_count_max = 10,
                                        .receive_bytes_first = 4096,
                                        .open_reply_count_max = 100,
                                        .unsent_bytes_max = 8 << 20};
    if (client->net == NULL) {
        heap_init(&client->heap, (struct heap_options){.limit_bytes = heap_bytes, .tracked = true});
        assert_int_equal(ERR_OK, net_init(&client->net, world.node->io, &client->heap,
                                          world.node->diag, options));
    }
    client->is_closed = false;
    client->connection = NULL;
    assert_int_equal(ERR_OK,
                     net_connect(client->net, &world.broker->bound[0], &client_handler, client));
    while (client->connection == NULL && !client->is_closed)
        io_run(world.node->io, UINT64_MAX);
    assert_false(client->is_closed);
}

static void send_frame(size_t size)
{
    struct net_message *message = net_message_acquire(
        &me->heap, (struct net_message_options){.capacity = (uint32_t)size + 4});
    assert_non_null(message);
    store_u32(message->data, (uint32_t)size);
    memcpy(message->data + 4, frame, size);
    message->size = (uint32_t)size + 4;
    net_push(me->connection, message);
}

static void send_request(int16_t key, int16_t version, const void *body)
{
    const struct wire_record *record = broker_apis[key].request;
    const struct kafka_request_header header = {.api_key = key,
                                                .api_version = version,
                                                .correlation_id = ++me->correlation_id,
                                                .client_id = SLICE_LITERAL("test")};
    struct wire_writer writer = wire_writer_of(frame, sizeof frame);
    wire_encode(&kafka_request_header_wire, wire_is_flexible(record, version) ? 2 : 1, &header,
                &writer);
    wire_encode(record, version, body, &writer);
    send_frame(writer.used);
}

static void await(uint64_t frame_count)
{
    for (int i = 0; i < rounds_max; i++) {
        if (me->is_closed || me->frame_count >= frame_count)
            return;
        io_run(world.node->io, UINT64_MAX);
    }
    fail_msg("no reply");
}

/* The last reply, decoded; its slices lend from the client's frame. */
static void take_reply(int16_t key, int16_t version, void *reply)
{
    const struct wire_record *record = broker_apis[key].reply;
    struct slice rest = slice_of(me->last, me->last_size);
    struct arena arena;
    arena_init(&arena, arena_memory, sizeof arena_memory);
    assert_int_equal(load_i32(rest.data), me->correlation_id);
    const bool is_flexible = wire_is_flexible(record, version) && key != KAFKA_API_API_VERSIONS;
    rest = slice_skip(rest, is_flexible ? 5 : 4);
    assert_int_equal(ERR_OK, wire_decode_all(record, version, rest, &arena, reply));
}

static void ask(int16_t key, int16_t version, const void *body, void *reply)
{
    const uint64_t count = me->frame_count;
    send_request(key, version, body);
    await(count + 1);
    assert_false(me->is_closed);
    take_reply(key, version, reply);
}

/* ---- a world with a keeper and a broker ---- */

static struct shard make_shard(const char *name, struct heap *heap)
{
    return (struct shard){
        .name = name, .io = world.node->io, .heap = heap, .diag = world.node->diag};
}

static void start_broker(void)
{
    static const char text[] = "broker.id=7\nlisteners=PLAINTEXT://127.0.0.1:9092\n"
                               "log.dirs=/broker\nzookeeper.connect=127.0.0.1:2181\n"
                               "offsets.topic.replication.factor=1\n"
                               "offsets.topic.num.partitions=2\n"
                               "group.initial.rebalance.delay.ms=0\n";
    const struct config_source source = {"server.properties", slice_from_text(text)};
    struct broker_config *config = &world.broker_config;
    memset(config, 0, sizeof *config);
    heap_init(&world.broker_heap,
              (struct heap_options){.limit_bytes = heap_bytes, .tracked = true});
    world.broker_shard = make_shard("broker", &world.broker_heap);
    assert_int_equal(ERR_OK, config_defaults(&broker_config_table, config, &world.config_heap));
    assert_int_equal(ERR_OK, config_load(&broker_config_table, config, &world.config_heap,
                                         world.node->diag, source));
    assert_int_equal(ERR_OK,
                     broker_config_init(config, &world.config_heap, world.node->diag, source));
    assert_int_equal(ERR_OK, broker_server_start(&world.broker, &world.broker_shard, config));
    while (!broker_server_is_serving(world.broker) && world.broker->state < BROKER_STOPPING)
        io_run(world.node->io, UINT64_MAX);
    assert_true(broker_server_is_serving(world.broker));
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

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    me = &world.clients[0];
    sim_init(&world.sim, (struct sim_options){.seed = 3, .node_count = 1});
    world.node = world.sim.nodes[0];
    heap_init(&world.config_heap,
              (struct heap_options){.limit_bytes = heap_bytes, .tracked = true});
    start_keeper();
    start_broker();
    return 0;
}

static void on_stopped(void *context)
{
    *(bool *)context = true;
}

static void settle(void)
{
    for (int i = 0; i < 200; i++)
        io_run(world.node->io, 0);
}

static void stop_broker(void)
{
    bool is_stopped = false;
    broker_server_stop(world.broker, on_stopped, &is_stopped);
    while (!is_stopped)
        io_run(world.node->io, UINT64_MAX);
    broker_server_deinit(world.broker);
    settle();
    assert_int_equal(0, world.broker_heap.block_count);
    heap_deinit(&world.broker_heap);
}

static int tear_down(void **state)
{
    bool is_stopped = false;
    (void)state;
    stop_broker();
    keeper_server_stop(world.keeper, on_stopped, &is_stopped);
    while (!is_stopped)
        io_run(world.node->io, UINT64_MAX);
    keeper_server_free(world.keeper);
    for (int i = 0; i < client_count; i++)
        if (world.clients[i].net != NULL)
            net_deinit(world.clients[i].net);
    settle();
    for (int i = 0; i < client_count; i++)
        if (world.clients[i].net != NULL)
            heap_deinit(&world.clients[i].heap);
    heap_deinit(&world.keeper_heap);
    heap_deinit(&world.config_heap);
    sim_deinit(&world.sim);
    return 0;
}

/* ---- words ---- */

/* flush_messages NULL: as the broker has it. */
static void create_topic_with(const char *name, int32_t partition_count, const char *flush_messages)
{
    struct kafka_create_topics_request_topics_configs config = {
        .name = SLICE_LITERAL("flush.messages")};
    struct kafka_create_topics_request_topics topic = {
        .name = slice_from_text(name), .num_partitions = partition_count, .replication_factor = 1};
    if (flush_messages != NULL) {
        config.value = slice_from_text(flush_messages);
        topic.configs.items = &config;
        topic.configs.count = 1;
    }
    struct kafka_create_topics_request body = {.timeout_ms = 10000};
    struct kafka_create_topics_reply reply;
    body.topics.items = &topic;
    body.topics.count = 1;
    ask(KAFKA_API_CREATE_TOPICS, 7, &body, &reply);
    assert_int_equal(reply.topics.items[0].error_code, KAFKA_NONE);
}

static void create_topic(const char *name, int32_t partition_count)
{
    create_topic_with(name, partition_count, NULL);
}

/* One batch of records without keys, the first with this value, up to size bytes. */
static struct slice make_batch(const char *value, size_t size)
{
    struct record_batch_writer writer;
    record_batch_writer_init(&writer, batch_memory, sizeof batch_memory,
                             io_wall_ms(world.node->io));
    do
        assert_true(record_batch_writer_add(&writer, SLICE_NULL, slice_from_text(value)));
    while (writer.used + strlen(value) + 20 < size);
    return record_batch_writer_finish(&writer);
}

static void send_produce(const char *topic, int16_t acks, struct slice batch)
{
    struct kafka_produce_request_topics_partitions partition = {.records = batch};
    struct kafka_produce_request_topics named = {.name = slice_from_text(topic)};
    struct kafka_produce_request body = {
        .transactional_id = SLICE_NULL, .acks = acks, .timeout_ms = 1000};
    named.partitions.items = &partition;
    named.partitions.count = 1;
    body.topics.items = &named;
    body.topics.count = 1;
    send_request(KAFKA_API_PRODUCE, 9, &body);
}

static struct kafka_produce_reply_topics_partitions produce(const char *topic, int16_t acks,
                                                            struct slice batch)
{
    const uint64_t count = me->frame_count;
    struct kafka_produce_reply reply;
    send_produce(topic, acks, batch);
    await(count + 1);
    take_reply(KAFKA_API_PRODUCE, 9, &reply);
    return reply.topics.items[0].partitions.items[0];
}

struct fetch {
    int64_t offset;
    int32_t max_wait_ms;
    int32_t min_bytes;
    int32_t session_id;
    int32_t session_epoch;
    bool names_nothing; /* Only what the session knows. */
};

static void send_fetch(const char *topic, struct fetch fetch)
{
    struct kafka_fetch_request_topics_partitions partition = {.current_leader_epoch = -1,
                                                              .fetch_offset = fetch.offset,
                                                              .last_fetched_epoch = -1,
                                                              .log_start_offset = -1,
                                                              .partition_max_bytes = 1 << 20,
                                                              .high_watermark = INT64_MAX};
    struct kafka_fetch_request_topics named = {.topic = slice_from_text(topic)};
    struct kafka_fetch_request body = {.replica_id = -1,
                                       .max_wait_ms = fetch.max_wait_ms,
                                       .min_bytes = fetch.min_bytes,
                                       .max_bytes = 1 << 20,
                                       .session_id = fetch.session_id,
                                       .session_epoch = fetch.session_epoch,
                                       .rack_id = SLICE_LITERAL("")};
    named.partitions.items = &partition;
    named.partitions.count = 1;
    body.topics.items = &named;
    body.topics.count = fetch.names_nothing ? 0 : 1;
    send_request(KAFKA_API_FETCH, 12, &body);
}

static struct kafka_fetch_reply fetch_now(const char *topic, struct fetch fetch)
{
    const uint64_t count = me->frame_count;
    struct kafka_fetch_reply reply;
    send_fetch(topic, fetch);
    await(count + 1);
    take_reply(KAFKA_API_FETCH, 12, &reply);
    return reply;
}

static struct kafka_fetch_reply_topics_partitions only(const struct kafka_fetch_reply *reply)
{
    assert_int_equal(reply->error_code, KAFKA_NONE);
    assert_int_equal(reply->topics.count, 1);
    return reply->topics.items[0].partitions.items[0];
}

/* ---- tests ---- */

static void test_what_is_produced_is_fetched(void **state)
{
    (void)state;
    dial();
    create_topic("t", 1);
    const struct slice sent = make_batch("hello", 200);
    const uint32_t record_count = load_u32(sent.data + 57);
    assert_int_equal(produce("t", -1, sent).base_offset, 0);
    assert_int_equal(produce("t", 1, sent).base_offset, record_count);
    const struct kafka_fetch_reply reply =
        fetch_now("t", (struct fetch){.session_epoch = -1, .min_bytes = 1});
    const struct kafka_fetch_reply_topics_partitions found = only(&reply);
    assert_int_equal(found.error_code, KAFKA_NONE);
    assert_int_equal(found.high_watermark, 2 * record_count);
    assert_int_equal(found.records.size, 2 * sent.size);
    assert_memory_equal(found.records.data + 17, sent.data + 17, sent.size - 17);
    assert_int_equal(load_i64(found.records.data + sent.size), record_count);
    const struct kafka_fetch_reply beyond = fetch_now(
        "t", (struct fetch){.session_epoch = -1, .offset = 2 * (int64_t)record_count + 1});
    assert_int_equal(only(&beyond).error_code, KAFKA_OFFSET_OUT_OF_RANGE);
}

static void test_a_fetch_waits_for_bytes_or_time(void **state)
{
    (void)state;
    dial();
    create_topic("t", 1);
    const uint64_t before_ns = io_now_ns(world.node->io);
    const struct kafka_fetch_reply late =
        fetch_now("t", (struct fetch){.session_epoch = -1, .min_bytes = 1, .max_wait_ms = 300});
    assert_int_equal(only(&late).records.size, 0);
    assert_true(io_now_ns(world.node->io) - before_ns >= (uint64_t)300 * ms);

    send_fetch("t", (struct fetch){.session_epoch = -1, .min_bytes = 400, .max_wait_ms = 60000});
    settle();
    const uint64_t count = me->frame_count;
    me = &world.clients[1]; /* Another one brings the bytes, in two pieces. */
    dial();
    produce("t", 1, make_batch("x", 250));
    settle();
    assert_int_equal(world.clients[0].frame_count, count);
    produce("t", 1, make_batch("x", 250));
    me = &world.clients[0];
    await(count + 1);
    struct kafka_fetch_reply reply;
    take_reply(KAFKA_API_FETCH, 12, &reply);
    assert_true(only(&reply).records.size >= 400);
}

/* A connection that closes takes its waiting fetch along. */
static void test_a_waiting_fetch_ends_with_its_connection(void **state)
{
    (void)state;
    dial();
    create_topic("t", 1);
    send_fetch("t", (struct fetch){.session_epoch = -1, .min_bytes = 400, .max_wait_ms = 60000});
    while (world.broker->requests.used_count == 0)
        io_run(world.node->io, UINT64_MAX);
    net_connection_close(me->connection, "enough", false);
    me = &world.clients[1];
    dial();
    produce("t", 1, make_batch("x", 1000));
    settle();
    assert_int_equal(world.broker->requests.used_count, 0);
}

static void test_a_session_tells_what_is_new(void **state)
{
    (void)state;
    dial();
    create_topic("t", 1);
    struct kafka_fetch_reply reply =
        fetch_now("t", (struct fetch){.session_epoch = 0, .max_wait_ms = 10});
    const int32_t id = reply.session_id;
    assert_true(id > 0);
    reply = fetch_now(
        "t", (struct fetch){
                 .session_id = id, .session_epoch = 1, .max_wait_ms = 10, .names_nothing = true});
    assert_int_equal(reply.session_id, id);
    assert_int_equal(reply.topics.count, 0);
    produce("t", 1, make_batch("x", 100));
    reply = fetch_now(
        "t", (struct fetch){
                 .session_id = id, .session_epoch = 2, .max_wait_ms = 10, .names_nothing = true});
    assert_true(only(&reply).records.size > 0);
    reply = fetch_now("t", (struct fetch){.session_id = id, .session_epoch = 9});
    assert_int_equal(reply.error_code, KAFKA_INVALID_FETCH_SESSION_EPOCH);
    reply = fetch_now("t", (struct fetch){.session_id = id + 1, .session_epoch = 1});
    assert_int_equal(reply.error_code, KAFKA_FETCH_SESSION_ID_NOT_FOUND);
}

static void test_versions_from_the_future(void **state)
{
    struct kafka_api_versions_reply reply;
    (void)state;
    dial();
    const uint64_t count = me->frame_count;
    store_i16(frame, KAFKA_API_API_VERSIONS);
    store_i16(frame + 2, 99);
    store_i32(frame + 4, ++me->correlation_id);
    memset(frame + 8, 0xff, 10);
    send_frame(18);
    await(count + 1);
    take_reply(KAFKA_API_API_VERSIONS, 0, &reply);
    assert_int_equal(reply.error_code, KAFKA_UNSUPPORTED_VERSION);
    assert_int_equal(reply.api_keys.count, 1);
    store_i16(frame, KAFKA_API_METADATA);
    send_frame(18);
    await(UINT64_MAX);
    assert_true(me->is_closed);
}

static void commit(const char *group, int64_t offset, int16_t expected)
{
    struct kafka_offset_commit_request_topics_partitions partition = {.committed_offset = offset,
                                                                      .committed_leader_epoch = -1,
                                                                      .committed_metadata =
                                                                          SLICE_LITERAL("note")};
    struct kafka_offset_commit_request_topics topic = {.name = SLICE_LITERAL("t")};
    struct kafka_offset_commit_request body = {.group_id = slice_from_text(group),
                                               .generation_id = -1,
                                               .member_id = SLICE_LITERAL(""),
                                               .retention_time_ms = -1};
    struct kafka_offset_commit_reply reply;
    topic.partitions.items = &partition;
    topic.partitions.count = 1;
    body.topics.items = &topic;
    body.topics.count = 1;
    ask(KAFKA_API_OFFSET_COMMIT, 8, &body, &reply);
    assert_int_equal(reply.topics.items[0].partitions.items[0].error_code, expected);
}

static int64_t committed(const char *group)
{
    struct kafka_offset_fetch_request body = {.group_id = slice_from_text(group)};
    struct kafka_offset_fetch_reply reply;
    body.topics.count = -1;
    ask(KAFKA_API_OFFSET_FETCH, 7, &body, &reply);
    assert_int_equal(reply.error_code, KAFKA_NONE);
    return reply.topics.count == 0 ? -1
                                   : reply.topics.items[0].partitions.items[0].committed_offset;
}

static void await_coordinator(const char *group)
{
    const struct kafka_find_coordinator_request body = {.key = slice_from_text(group)};
    struct kafka_find_coordinator_reply reply;
    for (int i = 0; i < 1000; i++) {
        ask(KAFKA_API_FIND_COORDINATOR, 3, &body, &reply);
        if (reply.error_code == KAFKA_NONE) {
            assert_int_equal(reply.node_id, 7);
            return;
        }
        assert_int_equal(reply.error_code, KAFKA_COORDINATOR_NOT_AVAILABLE);
    }
    fail_msg("no coordinator");
}

static void test_offsets_survive_a_restart(void **state)
{
    (void)state;
    dial();
    create_topic("t", 1);
    await_coordinator("g");
    settle();
    commit("g", 41, KAFKA_NONE);
    commit("g", 42, KAFKA_NONE);
    assert_int_equal(committed("g"), 42);
    assert_int_equal(committed("other"), -1);
    stop_broker();
    settle();
    start_broker();
    dial();
    await_coordinator("g");
    settle();
    assert_int_equal(committed("g"), 42);
}

static bool offsets_appended;

static void on_offsets_appended(struct partition_append *append, enum error_code code)
{
    (void)append;
    assert_int_equal(code, KAFKA_NONE);
    offsets_appended = true;
}

/* As an Apache broker with offsets.topic.compression.codec leaves them: by hand into the log. */
static void test_compressed_offsets_are_loaded(void **state)
{
    static uint8_t packed[4][4096];
    const struct slice group = SLICE_LITERAL("g");
    (void)state;
    dial();
    create_topic("t", 1);
    await_coordinator("g");
    settle();
    for (int i = 0; i < CODEC_ZSTD; i++) {
        struct group_batch batch;
        const struct group_offset_value value = {.offset = 100 + i,
                                                 .leader_epoch = -1,
                                                 .metadata = SLICE_LITERAL(""),
                                                 .commit_at_ms = io_wall_ms(world.node->io),
                                                 .expire_at_ms = -1};
        struct partition_append append = {
            .data = packed[i], .durability = PARTITION_DURABLE, .done = on_offsets_appended};
        group_batch_init(&batch, &world.broker_heap, io_wall_ms(world.node->io));
        group_batch_add_offset(&batch, group, SLICE_LITERAL("t"), 0, &value);
        append.size =
            (uint32_t)record_packer_pack((enum record_codec)(CODEC_GZIP + i),
                                         group_batch_finish(&batch), packed[i], sizeof packed[i])
                .size;
        group_batch_deinit(&batch);
        enum error_code code;
        struct partition *partition =
            broker_server_leader(world.broker, SLICE_LITERAL("__consumer_offsets"),
                                 group_hash_partition(group, 2), -1, &code);
        assert_non_null(partition);
        offsets_appended = false;
        assert_int_equal(partition_store_append(partition->store, &append), KAFKA_NONE);
        while (!offsets_appended)
            io_run(world.node->io, UINT64_MAX);
        stop_broker();
        start_broker();
        dial();
        await_coordinator("g");
        settle();
        assert_int_equal(committed("g"), 100 + i);
    }
}

/* What groups have committed for a topic goes with it. */
static void test_offsets_go_with_their_topic(void **state)
{
    struct slice name = SLICE_LITERAL("t");
    struct kafka_delete_topics_request body = {.timeout_ms = 10000};
    struct kafka_delete_topics_reply reply;
    (void)state;
    dial();
    create_topic("t", 1);
    await_coordinator("g");
    settle();
    commit("g", 42, KAFKA_NONE);
    body.topic_names.items = &name;
    body.topic_names.count = 1;
    ask(KAFKA_API_DELETE_TOPICS, 5, &body, &reply);
    assert_int_equal(reply.responses.items[0].error_code, KAFKA_NONE);
    for (int i = 0; i < 100 && committed("g") >= 0; i++)
        settle();
    assert_int_equal(committed("g"), -1);
    commit("g", 43, KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
}

/* A member joins, is assigned its own bytes, and is still known after a restart. */
static void test_a_group_survives_a_restart(void **state)
{
    struct kafka_join_group_request_protocols protocol = {.name = SLICE_LITERAL("range"),
                                                          .metadata = SLICE_LITERAL("sub")};
    struct kafka_join_group_request join = {.group_id = SLICE_LITERAL("g"),
                                            .session_timeout_ms = 30000,
                                            .rebalance_timeout_ms = 30000,
                                            .member_id = SLICE_LITERAL(""),
                                            .protocol_type = SLICE_LITERAL("consumer")};
    struct kafka_join_group_reply joined;
    struct kafka_sync_group_reply synced;
    char member_id[128];
    (void)state;
    dial();
    await_coordinator("g");
    settle();
    join.protocols.items = &protocol;
    join.protocols.count = 1;
    ask(KAFKA_API_JOIN_GROUP, 3, &join, &joined);
    assert_int_equal(joined.error_code, KAFKA_NONE);
    assert_int_equal(joined.members.count, 1);
    memcpy(member_id, joined.member_id.data, joined.member_id.size);
    const struct slice id = slice_of(member_id, joined.member_id.size);
    struct kafka_sync_group_request_assignments assignment = {id, SLICE_LITERAL("mine")};
    struct kafka_sync_group_request sync = {
        .group_id = SLICE_LITERAL("g"), .generation_id = 1, .member_id = id};
    sync.assignments.items = &assignment;
    sync.assignments.count = 1;
    ask(KAFKA_API_SYNC_GROUP, 3, &sync, &synced);
    assert_int_equal(synced.error_code, KAFKA_NONE);
    assert_true(slice_equal_text(synced.assignment, "mine"));
    stop_broker();
    start_broker();
    dial();
    await_coordinator("g");
    settle();
    sync.assignments.count = 0;
    ask(KAFKA_API_SYNC_GROUP, 3, &sync, &synced);
    assert_int_equal(synced.error_code, KAFKA_NONE);
    assert_true(slice_equal_text(synced.assignment, "mine"));
}

/* acks=all is answered when the client's time is over, as Apache's delayed produce is; what is on
 * its way becomes durable all the same, also when the broker stops meanwhile. */
static void test_a_slow_disk_outlasts_a_produce(void **state)
{
    (void)state;
    dial();
    create_topic("t", 1);
    const struct slice sent = make_batch("x", 200);
    const uint32_t record_count = load_u32(sent.data + 57);
    assert_int_equal(produce("t", -1, sent).error_code, KAFKA_NONE);
    const uint64_t sync_ns_mean = world.sim.faults.sync_ns_mean;
    world.sim.faults.sync_ns_mean = (uint64_t)1000000 * ms;
    const uint64_t before_ns = io_now_ns(world.node->io);
    const struct kafka_produce_reply_topics_partitions late = produce("t", -1, sent);
    const uint64_t waited_ns = io_now_ns(world.node->io) - before_ns;
    assert_int_equal(late.error_code, KAFKA_REQUEST_TIMED_OUT);
    assert_int_equal(late.base_offset, record_count);
    assert_true(waited_ns >= (uint64_t)1000 * ms && waited_ns < (uint64_t)1100 * ms);
    assert_true(world.broker->late_produce_bytes > 0);
    assert_int_equal(produce("t", 1, sent).error_code, KAFKA_NONE); /* The page cache is fast. */

    const struct fetch behind = {
        .session_epoch = -1, .offset = record_count, .min_bytes = 1, .max_wait_ms = 10};
    struct kafka_fetch_reply reply = fetch_now("t", behind);
    assert_int_equal(only(&reply).records.size, 0); /* Not visible before it is durable. */
    world.sim.faults.sync_ns_mean = sync_ns_mean;
    for (int i = 0; i < rounds_max && world.broker->late_produce_bytes > 0; i++)
        io_run(world.node->io, UINT64_MAX);
    reply = fetch_now("t", behind);
    assert_int_equal(only(&reply).records.size, 2 * sent.size);
    settle();
    assert_int_equal(world.broker->requests.used_count, 0);

    world.sim.faults.sync_ns_mean = (uint64_t)1000000 * ms;
    assert_int_equal(produce("t", -1, sent).error_code, KAFKA_REQUEST_TIMED_OUT);
    world.sim.faults.sync_ns_mean = sync_ns_mean;
}

/* A topic's word for how long acks=all waits, and acks=1 too, beats the broker's. */
static void test_a_topic_says_what_is_synced(void **state)
{
    (void)state;
    dial();
    create_topic("t", 1);
    create_topic_with("never", 1, "9223372036854775807");
    create_topic_with("always", 1, "1");
    settle();
    const struct slice sent = make_batch("x", 200);
    const uint64_t sync_ns_mean = world.sim.faults.sync_ns_mean;
    world.sim.faults.sync_ns_mean = (uint64_t)20000 * ms;
    assert_int_equal(produce("never", -1, sent).error_code, KAFKA_NONE);
    assert_int_equal(produce("t", 1, sent).error_code, KAFKA_NONE);
    assert_int_equal(produce("t", -1, sent).error_code, KAFKA_REQUEST_TIMED_OUT);
    const uint64_t before_ns = io_now_ns(world.node->io);
    assert_int_equal(produce("always", 1, sent).error_code, KAFKA_NONE);
    assert_true(io_now_ns(world.node->io) - before_ns >= (uint64_t)1000 * ms);
    world.sim.faults.sync_ns_mean = sync_ns_mean;
}

/* A batch of a few KiB that becomes 50 MiB is opened in turns, so that the loop goes round; its own
 * connection's next request waits. */
static void test_a_large_batch_is_opened_in_turns(void **state)
{
    enum { value_bytes = 50 << 20, slack = 1 << 10 };
    static uint8_t value[value_bytes];
    static uint8_t plain[value_bytes + slack];
    static uint8_t packed[1 << 20];
    struct record_batch_writer writer;
    (void)state;
    record_batch_writer_init(&writer, plain, sizeof plain, io_wall_ms(world.node->io));
    assert_true(
        record_batch_writer_add(&writer, SLICE_LITERAL("k"), slice_of(value, sizeof value)));
    const struct slice large =
        record_packer_pack(CODEC_GZIP, record_batch_writer_finish(&writer), packed, sizeof packed);
    dial();
    create_topic("t", 1);
    const uint64_t count = me->frame_count;
    uint32_t turns = 0;
    send_produce("t", 1, large);
    send_produce("t", 1, make_batch("x", 200));
    for (; me->frame_count == count; turns += world.broker->requests.used_count == 1)
        io_run(world.node->io, UINT64_MAX);
    assert_true(turns >= value_bytes / packed_records_turn_bytes);
    struct kafka_produce_reply reply;
    await(count + 2);
    take_reply(KAFKA_API_PRODUCE, 9, &reply);
    assert_int_equal(reply.topics.items[0].partitions.items[0].base_offset, 1);

    send_produce("t", 1, large); /* The broker stops with the batch half open. */
    while (world.broker->requests.used_count == 0)
        io_run(world.node->io, UINT64_MAX);
}

static void load_once(int16_t acks, int64_t *offset)
{
    const struct slice batch = make_batch("0123456789012345678901234567890123456789", 16000);
    const struct kafka_produce_reply_topics_partitions made = produce("t", acks, batch);
    assert_int_equal(made.error_code, KAFKA_NONE);
    const struct kafka_fetch_reply reply = fetch_now(
        "t", (struct fetch){
                 .session_epoch = -1, .min_bytes = 1, .max_wait_ms = 1000, .offset = *offset});
    assert_true(only(&reply).records.size >= batch.size);
    *offset = made.base_offset + load_i32(batch.data + 57);
}

/* Once warm, Produce and Fetch take no memory from the process, and the broker touches no record
 * that it only sends: the world is asked to send file ranges. */
static void test_hot_paths_do_not_allocate(void **state)
{
    (void)state;
    dial();
    create_topic("t", 1);
    int64_t offset = 0;
    for (int16_t acks = -1; acks <= 1; acks = (int16_t)(acks + 2)) {
        uint64_t before = 0;
        for (int round = 0; round < 300; round++) {
            load_once(acks, &offset);
            if (round == 200)
                before = world.broker_heap.system_take_count;
        }
        assert_int_equal(before, world.broker_heap.system_take_count);
    }
    for (int codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
        static uint8_t packed[batch_capacity];
        uint64_t before = 0;
        for (int round = 0; round < 60; round++) {
            const struct slice batch = record_packer_pack(
                (enum record_codec)codec, make_batch("0123456789", 16000), packed, sizeof packed);
            assert_int_equal(produce("t", 1, batch).error_code, KAFKA_NONE);
            if (round == 40)
                before = world.broker_heap.system_take_count;
        }
        assert_int_equal(before, world.broker_heap.system_take_count);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_produced_is_fetched),
        TEST(test_a_fetch_waits_for_bytes_or_time),
        TEST(test_a_waiting_fetch_ends_with_its_connection),
        TEST(test_a_session_tells_what_is_new),
        TEST(test_versions_from_the_future),
        TEST(test_offsets_survive_a_restart),
        TEST(test_compressed_offsets_are_loaded),
        TEST(test_offsets_go_with_their_topic),
        TEST(test_a_group_survives_a_restart),
        TEST(test_a_slow_disk_outlasts_a_produce),
        TEST(test_a_topic_says_what_is_synced),
        TEST(test_a_large_batch_is_opened_in_turns),
        TEST(test_hot_paths_do_not_allocate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
