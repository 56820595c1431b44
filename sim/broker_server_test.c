/* The broker server in the simulated world, on a keeper of its own, by a client that speaks through
 * the tables. */
#include "sim/broker_rig.h"
#include "sim/sim_gates.h"
#include "test/unit_test.h"

#include "base/bytes.h"
#include "broker/group_hash.h"
#include "broker/group_record.h"
#include "broker/packed_records.h"
#include "broker/partition_name.h"
#include "io/eager_write.h"
#include "server/broker/broker_api.h"
#include "test/record_packer.h"
#include "wire/gen/kafka.h"

#include <stdalign.h>
#include <stdio.h>

enum {
    heap_bytes = 256 << 20,
    frame_bytes_max = 1 << 20,
    rounds_max = 1000000,
    arena_bytes = 1 << 18,
    batch_capacity = 20000,
    config_text_bytes = 512,
    ms = 1000000,
    client_count = 2,
    gate_mail_count = 64, /* Few, so that some wait. */
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
    struct sim_gates gates;
};

static struct world world;
static bool has_gates;    /* In the tests that run now. */
static struct client *me; /* Who speaks. */
static alignas(16) uint8_t arena_memory[arena_bytes];
static uint8_t frame[frame_bytes_max];
static uint8_t batch_memory[batch_capacity];

/* A round of the loops, in which every shard does something. */
static void turn(uint64_t wait_ns)
{
    if (world.gates.count > 0)
        sim_gates_step(&world.gates, wait_ns);
    else
        shard_step(&world.broker_shard, wait_ns);
}

static uint32_t open_request_count(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < world.gates.count; i++)
        count += world.gates.gates[i].gate->call_count;
    return has_gates ? count : world.broker->requests.used_count;
}

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
        turn(UINT64_MAX);
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
        turn(UINT64_MAX);
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

static void start_broker_on(const char *log_dirs)
{
    char text[config_text_bytes];
    snprintf(text, sizeof text,
             "broker.id=7\nlisteners=PLAINTEXT://127.0.0.1:9092\n"
             "log.dirs=%s\nzookeeper.connect=127.0.0.1:2181\n"
             "offsets.topic.replication.factor=1\n"
             "offsets.topic.num.partitions=2\n"
             "group.initial.rebalance.delay.ms=0\n"
             "rookery.broker.shards=%d\n",
             log_dirs, has_gates ? 3 : 1);
    struct broker_config *config = &world.broker_config;
    memset(config, 0, sizeof *config);
    heap_init(&world.broker_heap,
              (struct heap_options){.limit_bytes = heap_bytes, .tracked = true});
    world.broker_shard = make_shard("broker", &world.broker_heap);
    list_init(&world.broker_shard.inboxes);
    assert_int_equal(ERR_OK,
                     broker_rig_load_config(&world.config_heap, world.node->diag, text, config));
    assert_int_equal(ERR_OK, broker_server_start(&world.broker, &world.broker_shard, config));
    world.gates.mail_count_max = gate_mail_count;
    world.gates.has_own_heaps = true;
    sim_gates_start(&world.gates, &world.broker_shard, world.broker, config);
    while (!broker_server_is_serving(world.broker) && world.broker->state < BROKER_STOPPING)
        turn(UINT64_MAX);
    assert_true(broker_server_is_serving(world.broker));
}

static void start_broker(void)
{
    start_broker_on("/broker");
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
        turn(0);
}

/* Without shards: what is in flight ends. */
static void settle_io(void)
{
    for (int i = 0; i < 200; i++)
        io_run(world.node->io, 0);
}

static void stop_broker(void)
{
    bool is_stopped = false;
    broker_server_stop(world.broker, on_stopped, &is_stopped);
    while (!is_stopped)
        turn(UINT64_MAX);
    sim_gates_end(&world.gates);
    broker_server_deinit(world.broker);
    settle_io();
    assert_int_equal(0, world.broker_heap.block_count);
    heap_deinit(&world.broker_heap);
    sim_gates_deinit(&world.gates);
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
    settle_io();
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

static void await_no_request(void)
{
    for (int i = 0; i < rounds_max && open_request_count() > 0; i++)
        turn(ms);
    assert_int_equal(open_request_count(), 0);
}

/* A connection that closes takes its waiting fetch along. */
static void test_a_waiting_fetch_ends_with_its_connection(void **state)
{
    (void)state;
    dial();
    create_topic("t", 1);
    send_fetch("t", (struct fetch){.session_epoch = -1, .min_bytes = 400, .max_wait_ms = 60000});
    while (open_request_count() == 0)
        turn(UINT64_MAX);
    net_connection_close(me->connection, "enough", false);
    me = &world.clients[1];
    dial();
    produce("t", 1, make_batch("x", 1000));
    await_no_request();
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
    for (int i = 0; i < 1000; i++) {
        ask(KAFKA_API_OFFSET_FETCH, 7, &body, &reply);
        if (reply.error_code != KAFKA_COORDINATOR_LOAD_IN_PROGRESS)
            break;
    }
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
            turn(UINT64_MAX);
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

/* A member waits for the others of its group; the broker that stops does not. */
static void test_a_waiting_member_holds_nobody_up(void **state)
{
    enum { stop_ms_max = 5000 };
    struct kafka_join_group_request_protocols protocol = {.name = SLICE_LITERAL("range"),
                                                          .metadata = SLICE_LITERAL("sub")};
    struct kafka_join_group_request join = {.group_id = SLICE_LITERAL("g"),
                                            .session_timeout_ms = 30000,
                                            .rebalance_timeout_ms = 30000,
                                            .member_id = SLICE_LITERAL(""),
                                            .protocol_type = SLICE_LITERAL("consumer")};
    struct kafka_join_group_reply joined;
    (void)state;
    dial();
    await_coordinator("g");
    settle();
    join.protocols.items = &protocol;
    join.protocols.count = 1;
    ask(KAFKA_API_JOIN_GROUP, 3, &join, &joined);
    assert_int_equal(joined.error_code, KAFKA_NONE);
    me = &world.clients[1];
    dial();
    send_request(KAFKA_API_JOIN_GROUP, 3, &join);
    while (open_request_count() == 0)
        turn(UINT64_MAX);
    settle();
    assert_int_equal(open_request_count(), 1);
    const uint64_t before_ns = io_now_ns(world.node->io);
    stop_broker();
    assert_true(io_now_ns(world.node->io) - before_ns < (uint64_t)stop_ms_max * ms);
    start_broker();
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
        turn(UINT64_MAX);
    reply = fetch_now("t", behind);
    assert_int_equal(only(&reply).records.size, 2 * sent.size);
    settle();
    assert_int_equal(open_request_count(), 0);

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
    for (; me->frame_count == count; turns += open_request_count() == 1)
        turn(UINT64_MAX);
    assert_true(turns >= value_bytes / packed_records_turn_bytes);
    struct kafka_produce_reply reply;
    await(count + 2);
    take_reply(KAFKA_API_PRODUCE, 9, &reply);
    assert_int_equal(reply.topics.items[0].partitions.items[0].base_offset, 1);

    send_produce("t", 1, large); /* The broker stops with the batch half open. */
    while (open_request_count() == 0)
        turn(UINT64_MAX);
}

/* Each partition's records are judged by themselves, in one request; and where the connections are
 * has the work of opening them. */
static void test_records_are_judged_where_they_arrive(void **state)
{
    static uint8_t packed[batch_capacity];
    uint8_t damaged[1024];
    struct kafka_produce_request_topics_partitions partitions[3] = {0};
    struct kafka_produce_request_topics named = {.name = SLICE_LITERAL("t")};
    struct kafka_produce_request body = {
        .transactional_id = SLICE_NULL, .acks = 1, .timeout_ms = 1000};
    struct kafka_produce_reply reply;
    (void)state;
    dial();
    create_topic("t", 3);
    const struct slice plain = make_batch("x", 200);
    memcpy(damaged, plain.data, plain.size);
    damaged[plain.size - 1] ^= 1;
    partitions[0].records = slice_of(damaged, plain.size);
    partitions[1].records = record_packer_pack(CODEC_GZIP, plain, packed, sizeof packed);
    partitions[2].records = plain;
    for (int32_t i = 0; i < 3; i++)
        partitions[i].index = i;
    named.partitions.items = partitions;
    named.partitions.count = 3;
    body.topics.items = &named;
    body.topics.count = 1;
    ask(KAFKA_API_PRODUCE, 9, &body, &reply);
    const struct kafka_produce_reply_topics_partitions *told =
        reply.topics.items[0].partitions.items;
    assert_int_equal(told[0].error_code, KAFKA_CORRUPT_MESSAGE);
    assert_int_equal(told[1].error_code, KAFKA_NONE);
    assert_int_equal(told[2].error_code, KAFKA_NONE);
    assert_int_equal(world.broker->unpackers.states[CODEC_GZIP] == NULL, has_gates);
}

/* Without acks an error closes the connection, and what the client has sent behind it is not
 * served. */
static void test_nothing_follows_a_failure(void **state)
{
    (void)state;
    dial();
    create_topic("t", 1);
    send_produce("missing", 0, make_batch("x", 200));
    send_produce("t", 1, make_batch("x", 200));
    while (!me->is_closed)
        turn(UINT64_MAX);
    await_no_request();
    dial();
    assert_int_equal(produce("t", 1, make_batch("x", 200)).base_offset, 0);
}

/* A disk that is behind: what is read of a connection stays little. */
static void test_a_gate_stops_reading(void **state)
{
    enum { request_count = 20, lent_bytes_max = 10000 };
    (void)state;
    if (!has_gates)
        return;
    dial();
    create_topic("t", 1);
    settle();
    for (uint32_t i = 0; i < world.gates.count; i++)
        world.gates.gates[i].gate->lent_bytes_max = lent_bytes_max;
    const uint64_t sync_ns_mean = world.sim.faults.sync_ns_mean;
    world.sim.faults.sync_ns_mean = (uint64_t)100 * ms;
    const uint64_t count = me->frame_count;
    uint32_t most = 0;
    for (uint32_t i = 0; i < request_count; i++)
        send_produce("t", -1, make_batch("x", 4000));
    while (me->frame_count < count + request_count) {
        turn(UINT64_MAX);
        most = most > open_request_count() ? most : open_request_count();
    }
    /* Two that fit, one that does not; and maybe its successor, while its frame comes back. */
    assert_in_range(most, 3, 4);
    world.sim.faults.sync_ns_mean = sync_ns_mean;
}

static uint32_t gate_write_count(void)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < world.gates.count; i++)
        count += world.gates.gates[i].gate->write_count;
    return count;
}

/* What is at a gate counts as little as what is with the world: no answer leaves before it has come
 * back, and the end waits for it. */
static void test_gates_write(void **state)
{
    (void)state;
    if (!has_gates)
        return;
    dial();
    create_topic("t", 1);
    settle();
    const uint64_t disk_ns_mean = world.sim.faults.disk_ns_mean;
    world.sim.faults.disk_ns_mean = (uint64_t)100 * ms;
    const struct slice sent = make_batch("x", 4000);
    const int64_t record_count = load_u32(sent.data + 57);
    const uint64_t count = me->frame_count;
    send_produce("t", 1, sent);
    while (gate_write_count() == 0)
        turn(UINT64_MAX);
    while (gate_write_count() > 0) {
        assert_int_equal(me->frame_count, count);
        turn(UINT64_MAX);
    }
    await(count + 1);
    assert_int_equal(produce("t", 1, sent).base_offset, record_count);
    const struct kafka_fetch_reply reply =
        fetch_now("t", (struct fetch){.session_epoch = -1, .min_bytes = 1});
    assert_int_equal(only(&reply).records.size, 2 * sent.size);
    assert_memory_equal(only(&reply).records.data + 17, sent.data + 17, sent.size - 17);
    send_produce("t", 1, sent);
    while (gate_write_count() == 0)
        turn(UINT64_MAX);
    world.sim.faults.disk_ns_mean = disk_ns_mean;
}

struct scratch {
    struct io_op op;
    struct iovec vector;
    bool is_done;
};

static void on_scratched(struct io_op *op, int64_t result)
{
    struct scratch *scratch = CONTAINER_OF(op, struct scratch, op);
    assert_int_equal(result, scratch->vector.iov_len);
    scratch->is_done = true;
}

static int32_t open_scratch(void)
{
    struct io_op op = {.kind = IO_OPEN,
                       .path = {.path = "/scratch", .flags = IO_OPEN_WRITE | IO_OPEN_CREATE}};
    return (int32_t)io_wait(world.node->io, &op);
}

static void close_scratch(int32_t handle)
{
    struct io_op op = {.kind = IO_CLOSE, .handle = handle};
    (void)io_wait(world.node->io, &op);
}

static bool pass_scratch(struct scratch *scratch, int32_t handle, size_t size)
{
    static char bytes[eager_write_bytes_max + 1];
    scratch->vector = (struct iovec){bytes, size};
    scratch->op = (struct io_op){.kind = IO_WRITE,
                                 .handle = handle,
                                 .done = on_scratched,
                                 .write = {.vectors = &scratch->vector, .vector_count = 1}};
    return gates_pass_write(&world.broker->gates, &scratch->op);
}

/* Only when letters wait, only what is worth a letter, and as many at each gate as there are gates.
 */
static void test_a_gate_writes_for_a_busy_broker(void **state)
{
    enum { gate_count = 2, write_count = gate_count * gate_count, size = gate_write_bytes_min };
    struct scratch scratches[write_count + 1] = {0};
    (void)state;
    if (!has_gates)
        return;
    dial();
    create_topic("t", 1);
    settle();
    const int32_t handle = open_scratch();
    world.broker->gates.passes_all = false;
    assert_false(pass_scratch(&scratches[0], handle, size));
    const uint64_t count = me->frame_count;
    for (int i = 0; i < 3; i++)
        send_produce("t", 1, make_batch("x", 200));
    while (open_request_count() < 3)
        io_run(world.node->io, ms); /* Nobody reads letters. */
    assert_false(pass_scratch(&scratches[0], handle, size - 1));
    assert_false(pass_scratch(&scratches[0], handle, eager_write_bytes_max + 1));
    for (int i = 0; i < write_count; i++)
        assert_true(pass_scratch(&scratches[i], handle, size));
    assert_false(pass_scratch(&scratches[write_count], handle, size));
    while (me->frame_count < count + 3 || !scratches[write_count - 1].is_done)
        turn(UINT64_MAX);
    for (int i = 0; i < write_count; i++)
        assert_true(scratches[i].is_done);
    close_scratch(handle);
}

/* Also for those that no request waits for; and none begins behind the gates' last letter. */
static void test_the_end_waits_for_writes_at_gates(void **state)
{
    struct scratch scratch = {0};
    struct scratch late = {0};
    bool is_stopped = false;
    (void)state;
    if (!has_gates)
        return;
    settle();
    const uint64_t disk_ns_mean = world.sim.faults.disk_ns_mean;
    const int32_t handle = open_scratch();
    world.sim.faults.disk_ns_mean = (uint64_t)1000 * ms;
    broker_server_stop(world.broker, on_stopped, &is_stopped);
    for (bool is_idle = true; world.broker->state < BROKER_CLOSING; is_idle = scratch.is_done) {
        scratch.is_done = false;
        if (is_idle)
            assert_true(pass_scratch(&scratch, handle, 100));
        turn(UINT64_MAX);
    }
    assert_false(scratch.is_done);
    assert_false(pass_scratch(&late, handle, 100));
    while (world.broker->gates.running_count > 0)
        turn(UINT64_MAX);
    assert_true(scratch.is_done);
    while (!is_stopped)
        turn(UINT64_MAX);
    world.sim.faults.disk_ns_mean = disk_ns_mean;
    close_scratch(handle);
}

/* A file system makes writers wait for a sync: then it is not a gate that waits. */
static void test_no_gate_writes_beside_a_sync(void **state)
{
    (void)state;
    if (!has_gates)
        return;
    dial();
    create_topic("t", 1);
    settle();
    const struct journal_disk *disk = &world.broker->partitions.directories[0]->disk;
    const uint64_t sync_ns_mean = world.sim.faults.sync_ns_mean;
    world.sim.faults.sync_ns_mean = (uint64_t)100 * ms;
    const uint64_t count = me->frame_count;
    send_produce("t", -1, make_batch("x", 200));
    while (disk->sync_count == 0)
        turn(UINT64_MAX);
    send_produce("t", 1, make_batch("x", 200));
    while (me->frame_count < count + 2) {
        assert_true(disk->sync_count == 0 || gate_write_count() == 0);
        turn(UINT64_MAX);
    }
    world.sim.faults.sync_ns_mean = sync_ns_mean;
}

static void await_connections(uint32_t count)
{
    for (int i = 0; i < rounds_max && net_connection_count(world.broker->net) != count; i++)
        turn(ms);
    assert_int_equal(net_connection_count(world.broker->net), count);
}

static void test_connections_are_counted(void **state)
{
    (void)state;
    settle();
    const uint32_t before = net_connection_count(world.broker->net);
    for (uint32_t i = 0; i < client_count; i++) {
        me = &world.clients[i];
        dial();
        await_connections(before + i + 1);
    }
    for (uint32_t i = 0; i < client_count; i++)
        net_connection_close(world.clients[i].connection, "enough", false);
    await_connections(before);
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

/* Of all shards. */
static uint64_t system_take_count(void)
{
    uint64_t count = world.broker_heap.system_take_count;
    for (uint32_t i = 0; i < world.gates.count; i++)
        count += world.gates.gates[i].heap.system_take_count;
    return count;
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
                before = system_take_count();
        }
        assert_int_equal(before, system_take_count());
    }
    for (int codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
        static uint8_t packed[batch_capacity];
        uint64_t before = 0;
        for (int round = 0; round < 60; round++) {
            const struct slice batch = record_packer_pack(
                (enum record_codec)codec, make_batch("0123456789", 16000), packed, sizeof packed);
            assert_int_equal(produce("t", 1, batch).error_code, KAFKA_NONE);
            if (round == 40)
                before = system_take_count();
        }
        assert_int_equal(before, system_take_count());
    }
}

/* ---- a controller on another broker, which the client plays ---- */

enum { other_controller_epoch = 9 };

struct order {
    const char *topic;
    int32_t index;
    int32_t leader;
    int32_t leader_epoch;
    int32_t controller_epoch;
    int64_t broker_epoch;
    uint8_t id; /* Of the topic, repeated. */
    bool is_twice;
    bool is_of_others; /* No replica of it is here. */
};

static struct wire_uuid id_of(uint8_t byte)
{
    struct wire_uuid id;
    memset(id.bytes, byte, sizeof id.bytes);
    return id;
}

static int16_t order_error; /* Of the whole request. */

/* The error of the (last) partition. */
static int16_t lead(int16_t version, struct order order)
{
    int32_t replicas[] = {7, 8};
    int32_t strangers[] = {8, 9};
    struct kafka_leader_and_isr_partition partitions[2];
    struct kafka_leader_and_isr_request_topic_states topic = {
        .topic_name = slice_from_text(order.topic), .topic_id = id_of(order.id)};
    struct kafka_leader_and_isr_request body = {.controller_id = 8,
                                                .controller_epoch = order.controller_epoch,
                                                .broker_epoch = order.broker_epoch};
    struct kafka_leader_and_isr_reply reply;
    const int32_t count = order.is_twice ? 2 : 1;
    memset(partitions, 0, sizeof partitions);
    for (int32_t i = 0; i < count; i++) {
        partitions[i].topic_name = slice_from_text(order.topic);
        partitions[i].partition_index = order.index;
        partitions[i].leader = order.leader;
        partitions[i].leader_epoch = order.leader_epoch + i;
        partitions[i].controller_epoch = order.controller_epoch;
        partitions[i].isr.items = partitions[i].replicas.items =
            order.is_of_others ? strangers : replicas;
        partitions[i].isr.count = partitions[i].replicas.count = 2;
    }
    body.ungrouped_partition_states.items = topic.partition_states.items = partitions;
    body.ungrouped_partition_states.count = version < 2 ? count : 0;
    topic.partition_states.count = count;
    body.topic_states.items = &topic;
    body.topic_states.count = version < 2 ? 0 : 1;
    ask(KAFKA_API_LEADER_AND_ISR, version, &body, &reply);
    order_error = reply.error_code;
    if (version < 5) {
        assert_int_equal(count, reply.partition_errors.count);
        assert_true(slice_equal_text(reply.partition_errors.items[0].topic_name, order.topic));
        return reply.partition_errors.items[count - 1].error_code;
    }
    assert_memory_equal(topic.topic_id.bytes, reply.topics.items[0].topic_id.bytes, 16);
    assert_int_equal(count, reply.topics.items[0].partition_errors.count);
    return reply.topics.items[0].partition_errors.items[count - 1].error_code;
}

static int16_t stop(int16_t version, struct order order, bool deletes)
{
    struct kafka_stop_replica_request_ungrouped_partitions alone = {slice_from_text(order.topic),
                                                                    order.index};
    struct kafka_stop_replica_request_topics topic = {.name = slice_from_text(order.topic)};
    struct kafka_stop_replica_request_topic_states_partition_states one[] = {
        {order.index, order.leader_epoch, deletes}, {order.index, order.leader_epoch, deletes}};
    struct kafka_stop_replica_request_topic_states named = {.topic_name =
                                                                slice_from_text(order.topic)};
    struct kafka_stop_replica_request body = {.controller_id = 8,
                                              .controller_epoch = order.controller_epoch,
                                              .broker_epoch = order.broker_epoch,
                                              .delete_partitions = deletes};
    struct kafka_stop_replica_reply reply;
    topic.partition_indexes.items = &order.index;
    topic.partition_indexes.count = 1;
    named.partition_states.items = one;
    named.partition_states.count = order.is_twice ? 2 : 1;
    body.ungrouped_partitions.items = &alone;
    body.ungrouped_partitions.count = version == 0;
    body.topics.items = &topic;
    body.topics.count = version == 1 || version == 2;
    body.topic_states.items = &named;
    body.topic_states.count = version >= 3;
    ask(KAFKA_API_STOP_REPLICA, version, &body, &reply);
    order_error = reply.error_code;
    const int32_t count = reply.partition_errors.count;
    return count == 0 ? KAFKA_NONE : reply.partition_errors.items[count - 1].error_code;
}

static int16_t tell_metadata(int16_t version, struct order order)
{
    int32_t replicas[] = {7, 8};
    struct kafka_update_metadata_partition partition = {.topic_name = slice_from_text(order.topic),
                                                        .partition_index = order.index,
                                                        .controller_epoch = order.controller_epoch,
                                                        .leader = order.leader,
                                                        .leader_epoch = order.leader_epoch,
                                                        .zk_version = 3};
    partition.isr.items = partition.replicas.items = replicas;
    partition.isr.count = partition.replicas.count = 2;
    struct kafka_update_metadata_request_topic_states topic = {
        .topic_name = slice_from_text(order.topic), .topic_id = id_of(order.id)};
    topic.partition_states.items = &partition;
    topic.partition_states.count = 1;
    struct kafka_update_metadata_request_live_brokers_endpoints endpoint = {
        .port = 9093,
        .host = SLICE_LITERAL("there"),
        .listener = SLICE_LITERAL("INSIDE"),
        .security_protocol = CONTROL_PLAINTEXT};
    struct kafka_update_metadata_request_live_brokers broker = {
        .id = 8, .v0_host = SLICE_LITERAL("there"), .v0_port = 9093, .rack = SLICE_NULL};
    broker.endpoints.items = &endpoint;
    broker.endpoints.count = 1;
    struct kafka_update_metadata_request body = {.controller_id = 8,
                                                 .controller_epoch = order.controller_epoch,
                                                 .broker_epoch = order.broker_epoch};
    body.ungrouped_partition_states.items = &partition;
    body.ungrouped_partition_states.count = version < 5;
    body.topic_states.items = &topic;
    body.topic_states.count = version >= 5;
    body.live_brokers.items = &broker;
    body.live_brokers.count = 1;
    struct kafka_update_metadata_reply reply;
    ask(KAFKA_API_UPDATE_METADATA, version, &body, &reply);
    return reply.error_code;
}

/* What version 5 and later carry; older ones know no ids. */
static uint8_t id_in(int16_t version)
{
    return version >= 5 ? 5 : 0;
}

static void test_every_version_of_a_controller_is_understood(void **state)
{
    char topic[8];
    (void)state;
    dial();
    for (int16_t version = 0; version <= 7; version++) {
        snprintf(topic, sizeof topic, "t%d", version);
        const struct order order = {.topic = topic,
                                    .index = 2,
                                    .leader = 7,
                                    .leader_epoch = 4,
                                    .controller_epoch = other_controller_epoch,
                                    .broker_epoch = -1,
                                    .id = id_in(version)};
        assert_int_equal(KAFKA_NONE, lead(version, order));
        assert_int_equal(KAFKA_NONE, order_error);
        const struct partition *partition =
            partition_table_find(&world.broker->partitions, slice_from_text(topic), 2);
        assert_true(partition_is_led(partition));
        assert_int_equal(4, partition->leader_epoch);
    }
    for (int16_t version = 0; version <= 8; version++) {
        snprintf(topic, sizeof topic, "m%d", version);
        assert_int_equal(KAFKA_NONE,
                         tell_metadata(version, (struct order){.topic = topic,
                                                               .index = 1,
                                                               .leader = 8,
                                                               .leader_epoch = 4,
                                                               .controller_epoch = 9,
                                                               .broker_epoch = -1,
                                                               .id = version >= 7 ? 6 : 0}));
        const struct metadata_view *view = control_metadata(world.broker->control);
        const struct metadata_partition *known =
            metadata_view_partition(view, slice_from_text(topic), 1);
        assert_int_equal(8, known->leader);
        assert_int_equal(3, known->partition_epoch);
        assert_int_equal(2, known->isr_count);
        const struct metadata_broker *broker = metadata_view_broker(view, 8);
        const struct slice listener =
            version < 3 ? SLICE_LITERAL("PLAINTEXT") : SLICE_LITERAL("INSIDE");
        assert_int_equal(9093, metadata_broker_endpoint(broker, listener)->port);
        assert_int_equal(8, view->controller_id);
    }
    for (int16_t version = 0; version <= 4; version++) {
        snprintf(topic, sizeof topic, "t%d", version);
        const struct order order = {.topic = topic,
                                    .index = 2,
                                    .leader_epoch = 4,
                                    .controller_epoch = 9,
                                    .broker_epoch = -1};
        assert_int_equal(KAFKA_NONE, stop(version, order, version % 2 == 0));
        assert_int_equal(KAFKA_NONE, order_error);
        const struct partition *partition =
            partition_table_find(&world.broker->partitions, slice_from_text(topic), 2);
        assert_false(partition_is_led(partition));
        assert_true((partition == NULL) == (version % 2 == 0));
    }
}

static void test_old_epochs_of_a_controller_are_refused(void **state)
{
    (void)state;
    dial();
    struct order order = {.topic = "t",
                          .leader = 7,
                          .leader_epoch = 4,
                          .controller_epoch = other_controller_epoch,
                          .broker_epoch = control_broker_epoch(world.broker->control),
                          .id = 5};
    assert_int_equal(KAFKA_NONE, lead(7, order));
    assert_int_equal(KAFKA_STALE_CONTROLLER_EPOCH, lead(7, order)); /* Nothing new. */
    assert_int_equal(KAFKA_NONE, order_error);
    order.leader_epoch = 3;
    assert_int_equal(KAFKA_STALE_CONTROLLER_EPOCH, lead(7, order));
    assert_int_equal(KAFKA_FENCED_LEADER_EPOCH, stop(4, order, true));
    order.leader_epoch = 5;
    order.id = 6;
    assert_int_equal(KAFKA_INCONSISTENT_TOPIC_ID, lead(7, order));
    order.id = 5;
    order.broker_epoch--;
    assert_int_equal(KAFKA_STALE_BROKER_EPOCH, lead(7, order));
    assert_int_equal(KAFKA_STALE_BROKER_EPOCH, order_error);
    assert_int_equal(KAFKA_STALE_BROKER_EPOCH, stop(4, order, true));
    assert_int_equal(KAFKA_STALE_BROKER_EPOCH, order_error);
    assert_int_equal(KAFKA_STALE_BROKER_EPOCH, tell_metadata(8, order));
    order.broker_epoch += 2; /* The controller knows of a registration that we do not. */
    order.controller_epoch--;
    assert_int_equal(KAFKA_STALE_CONTROLLER_EPOCH, lead(7, order));
    assert_int_equal(KAFKA_STALE_CONTROLLER_EPOCH, order_error);
    assert_int_equal(KAFKA_NONE, stop(4, order, true)); /* No partition is named. */
    assert_int_equal(KAFKA_STALE_CONTROLLER_EPOCH, order_error);
    assert_int_equal(KAFKA_STALE_CONTROLLER_EPOCH, tell_metadata(8, order));
    order.controller_epoch = other_controller_epoch;
    assert_int_equal(KAFKA_NONE, lead(7, order));
    order.leader_epoch = -2; /* Its topic is being deleted: whatever the epoch. */
    assert_int_equal(KAFKA_NONE, stop(4, order, true));
    assert_null(partition_table_find(&world.broker->partitions, SLICE_LITERAL("t"), 0));
}

static void test_orders_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    dial();
    struct order order = {.topic = "../../etc",
                          .leader = 7,
                          .leader_epoch = 4,
                          .controller_epoch = other_controller_epoch,
                          .broker_epoch = -1,
                          .id = 5};
    assert_int_equal(KAFKA_INVALID_TOPIC_EXCEPTION, lead(7, order));
    assert_int_equal(KAFKA_INVALID_TOPIC_EXCEPTION, stop(4, order, true));
    order.topic = "";
    assert_int_equal(KAFKA_INVALID_TOPIC_EXCEPTION, lead(1, order));
    order.topic = "t";
    order.index = -1;
    assert_int_equal(KAFKA_INVALID_REQUEST, lead(7, order));
    order.index = INT32_MAX;
    assert_int_equal(KAFKA_INVALID_REQUEST, lead(7, order));
    assert_int_equal(KAFKA_NONE, tell_metadata(8, order)); /* And is forgotten. */
    order.index = 0;
    order.leader_epoch = -7;
    assert_int_equal(KAFKA_STALE_CONTROLLER_EPOCH, lead(7, order));
    order.leader_epoch = 1;
    order.is_of_others = true;
    assert_int_equal(KAFKA_UNKNOWN_TOPIC_OR_PARTITION, lead(7, order));
    order.is_of_others = false;
    order.is_twice = true; /* While the first order makes the directory. */
    assert_int_equal(KAFKA_INVALID_REQUEST, lead(7, order));
    assert_true(
        partition_is_led(partition_table_find(&world.broker->partitions, SLICE_LITERAL("t"), 0)));
    assert_int_equal(KAFKA_INVALID_REQUEST, stop(4, order, true));
    assert_int_equal(KAFKA_NONE, stop(4, order, true)); /* There is nothing left to stop. */
}

/* ---- log directories ---- */

static int16_t want_directory(const char *path, const char *topic, int32_t index)
{
    struct kafka_alter_replica_log_dirs_request_dirs_topics name = {
        .name = slice_from_text(topic), .partitions = {.items = &index, .count = 1}};
    struct kafka_alter_replica_log_dirs_request_dirs dir = {.path = slice_from_text(path),
                                                            .topics = {.items = &name, .count = 1}};
    struct kafka_alter_replica_log_dirs_request body = {.dirs = {.items = &dir, .count = 1}};
    struct kafka_alter_replica_log_dirs_reply reply;
    ask(KAFKA_API_ALTER_REPLICA_LOG_DIRS, 2, &body, &reply);
    assert_int_equal(reply.results.count, 1);
    assert_true(slice_equal_text(reply.results.items[0].topic_name, topic));
    assert_int_equal(reply.results.items[0].partitions.count, 1);
    assert_int_equal(reply.results.items[0].partitions.items[0].partition_index, index);
    return reply.results.items[0].partitions.items[0].error_code;
}

static void test_a_replica_is_made_where_it_is_wanted(void **state)
{
    enum { partition_count = 3 };
    char long_name[topic_name_bytes_max + 1];
    (void)state;
    stop_broker();
    start_broker_on("/broker,/spare");
    dial();
    memset(long_name, 'x', sizeof long_name);
    long_name[topic_name_bytes_max] = 0;
    assert_int_equal(want_directory("/spare", long_name, 0), KAFKA_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(want_directory("/nowhere", "t", 0), KAFKA_LOG_DIR_NOT_FOUND);
    for (int32_t index = 0; index < partition_count; index++) {
        assert_int_equal(want_directory("/broker", "t", index), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        assert_int_equal(want_directory("/spare", "t", index), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    }
    create_topic("t", partition_count + 1);
    for (int32_t index = 0; index < partition_count; index++)
        assert_int_equal(want_directory("/spare", "t", index), KAFKA_NONE);
    assert_int_equal(want_directory("/broker", "t", partition_count),
                     KAFKA_NONE); /* The emptier. */
    sim_disk_break(&world.node->disk, "/spare", true);
    log_directory_fail(world.broker->partitions.directories[1], "a test");
    settle();
    assert_int_equal(want_directory("/spare", "t", 7), KAFKA_KAFKA_STORAGE_ERROR);
    assert_int_equal(want_directory("/broker", "t", 0), KAFKA_KAFKA_STORAGE_ERROR);
}

/* A thing that a description of log directories says of partition 0. */
struct place {
    int32_t count; /* Directories that have it. */
    bool has_future;
    int64_t future_lag;
    char log_dir[16]; /* Of the replica itself. */
};

static struct place place_of(const char *topic)
{
    const struct kafka_describe_log_dirs_request body = {.topics = {.count = -1}};
    struct kafka_describe_log_dirs_reply reply;
    struct place place = {0};
    ask(KAFKA_API_DESCRIBE_LOG_DIRS, 4, &body, &reply);
    for (int32_t d = 0; d < reply.results.count; d++) {
        const struct kafka_describe_log_dirs_reply_results *directory = &reply.results.items[d];
        for (int32_t t = 0; t < directory->topics.count; t++) {
            if (!slice_equal_text(directory->topics.items[t].name, topic))
                continue;
            const struct kafka_describe_log_dirs_reply_results_topics_partitions *one =
                &directory->topics.items[t].partitions.items[0];
            place.count++;
            place.has_future |= one->is_future_key;
            if (one->is_future_key)
                place.future_lag = one->offset_lag;
            else
                snprintf(place.log_dir, sizeof place.log_dir, "%.*s", (int)directory->log_dir.size,
                         (const char *)directory->log_dir.data);
        }
    }
    return place;
}

/* Until nothing moves; the replica lies there then. */
static void await_place(const char *topic, const char *path)
{
    int rounds = 0;
    while (place_of(topic).has_future || strcmp(place_of(topic).log_dir, path) != 0) {
        assert_true(rounds++ < rounds_max / 100);
        io_run(world.node->io, UINT64_MAX);
    }
}

static uint32_t produce_some(const char *topic, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(produce(topic, -1, make_batch("a record that moves", 15000)).error_code,
                         KAFKA_NONE);
    return load_u32(batch_memory + 57);
}

static void expect_end(const char *topic, int64_t end)
{
    const struct kafka_fetch_reply reply =
        fetch_now(topic, (struct fetch){.session_epoch = -1, .offset = end});
    const struct kafka_fetch_reply_topics_partitions found = only(&reply);
    assert_int_equal(found.error_code, KAFKA_NONE);
    assert_int_equal(found.high_watermark, end);
}

/* Topic t lies in the first one. */
static void begin_with_two_directories(void)
{
    stop_broker();
    start_broker_on("/broker,/spare");
    dial();
    assert_int_equal(want_directory("/broker", "t", 0), KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    create_topic("t", 1);
}

static void test_a_replica_moves(void **state)
{
    (void)state;
    begin_with_two_directories();
    const int64_t per_batch = produce_some("t", 100);
    assert_string_equal(place_of("t").log_dir, "/broker");
    world.sim.faults.sync_ns_mean = 200 * ms;
    assert_int_equal(want_directory("/spare", "t", 0), KAFKA_NONE);
    const struct place begun = place_of("t");
    assert_true(begun.has_future && begun.count == 2);
    assert_in_range(begun.future_lag, 1, 100 * per_batch);
    assert_int_equal(produce_some("t", 1), per_batch); /* Meanwhile. */
    await_place("t", "/spare");
    expect_end("t", 101 * per_batch);
    assert_int_equal(produce_some("t", 1), per_batch);
    expect_end("t", 102 * per_batch);
    /* There and back while it is on its way: it stays. */
    assert_int_equal(want_directory("/broker", "t", 0), KAFKA_NONE);
    assert_true(place_of("t").has_future);
    assert_int_equal(want_directory("/spare", "t", 0), KAFKA_NONE);
    await_place("t", "/spare");
    stop_broker();
    start_broker_on("/broker,/spare");
    dial();
    await_place("t", "/spare");
    expect_end("t", 102 * per_batch);
}

/* The copy that a stop has left goes on after the start. */
static void test_a_move_outlives_its_process(void **state)
{
    (void)state;
    begin_with_two_directories();
    const int64_t per_batch = produce_some("t", 100);
    world.broker->moves.quota.bytes_per_s_max = 1000; /* One round, and no more for long. */
    assert_int_equal(want_directory("/spare", "t", 0), KAFKA_NONE);
    assert_true(place_of("t").has_future);
    stop_broker();
    world.sim.faults.sync_ns_mean = 200 * ms;
    start_broker_on("/broker,/spare");
    dial();
    assert_true(place_of("t").has_future);
    await_place("t", "/spare");
    assert_int_equal(world.broker->moves.orphan_count, 0);
    expect_end("t", 100 * per_batch);
}

/* Batches may be as long as a round: a short one before a long one is not the end. */
static void test_a_slow_move_is_slow_to_its_end(void **state)
{
    (void)state;
    begin_with_two_directories();
    int64_t end = 0;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(produce("t", -1, make_batch("short", 100)).error_code, KAFKA_NONE);
        end += load_u32(batch_memory + 57);
        end += produce_some("t", 1);
    }
    world.broker->moves.round_bytes = (uint32_t)make_batch("a record that moves", 15000).size;
    world.broker->moves.quota.bytes_per_s_max = 1;
    assert_int_equal(want_directory("/spare", "t", 0), KAFKA_NONE);
    for (const uint64_t end_ns = world.sim.now_ns + (uint64_t)30000 * ms;
         world.sim.now_ns < end_ns;)
        io_run(world.node->io, UINT64_MAX);
    assert_true(place_of("t").has_future);
    world.broker->moves.quota.bytes_per_s_max = replication_quota_none;
    await_place("t", "/spare");
    expect_end("t", end);
}

/* A directory that cannot be made is told to whoever has ordered the move. */
static void test_a_move_that_cannot_begin_is_refused(void **state)
{
    (void)state;
    begin_with_two_directories();
    sim_disk_break(&world.node->disk, "/spare", true);
    assert_int_equal(want_directory("/spare", "t", 0), KAFKA_KAFKA_STORAGE_ERROR);
    assert_true(list_empty(&world.broker->moves.moves));
    assert_int_equal(produce("t", -1, make_batch("it stays", 15000)).error_code, KAFKA_NONE);
}

/* Once; the replica lies where it is wanted all the same. */
static void test_a_copy_that_is_damaged_is_made_anew(void **state)
{
    (void)state;
    begin_with_two_directories();
    const int64_t per_batch = produce_some("t", 100);
    world.broker->moves.quota.bytes_per_s_max = 1000; /* One round, and no more for long. */
    assert_int_equal(want_directory("/spare", "t", 0), KAFKA_NONE);
    struct partition_store *copy =
        log_directory_find(world.broker->partitions.directories[1], SLICE_LITERAL("t"), 0);
    partition_store_fail(copy, "a test says so");
    world.broker->moves.quota.bytes_per_s_max = replication_quota_none;
    await_place("t", "/spare");
    expect_end("t", 100 * per_batch);
}

static void test_a_move_ends_with_its_topic(void **state)
{
    (void)state;
    begin_with_two_directories();
    (void)produce_some("t", 100);
    assert_int_equal(want_directory("/spare", "t", 0), KAFKA_NONE);
    const struct kafka_delete_topics_request body = {
        .topic_names = {.items = &(struct slice){.data = (const uint8_t *)"t", .size = 1},
                        .count = 1},
        .timeout_ms = 10000};
    struct kafka_delete_topics_reply reply;
    ask(KAFKA_API_DELETE_TOPICS, 4, &body, &reply);
    assert_int_equal(reply.responses.items[0].error_code, KAFKA_NONE);
    int rounds = 0;
    while (place_of("t").count > 0) {
        assert_true(rounds++ < rounds_max / 100);
        settle();
    }
    assert_true(list_empty(&world.broker->moves.moves));
}

/* It would take part in elections, and what the directory that is away has was lost. */
static void test_what_was_never_made_is_no_replica(void **state)
{
    (void)state;
    begin_with_two_directories();
    const int64_t per_batch = produce_some("t", 10);
    stop_broker();
    assert_int_equal(small_file_make_directory_wait(world.node->io, "/spare/t-0"), 0);
    sim_disk_break(&world.node->disk, "/broker", true);
    start_broker_on("/broker,/spare");
    dial();
    settle();
    assert_int_equal(place_of("t").count, 0);
    stop_broker();
    sim_disk_break(&world.node->disk, "/broker", false);
    start_broker_on("/broker,/spare");
    dial();
    await_place("t", "/broker");
    expect_end("t", 10 * per_batch);
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
        TEST(test_a_waiting_member_holds_nobody_up),
        TEST(test_a_slow_disk_outlasts_a_produce),
        TEST(test_a_topic_says_what_is_synced),
        TEST(test_a_large_batch_is_opened_in_turns),
        TEST(test_records_are_judged_where_they_arrive),
        TEST(test_nothing_follows_a_failure),
        TEST(test_a_gate_stops_reading),
        TEST(test_gates_write),
        TEST(test_a_gate_writes_for_a_busy_broker),
        TEST(test_the_end_waits_for_writes_at_gates),
        TEST(test_no_gate_writes_beside_a_sync),
        TEST(test_connections_are_counted),
        TEST(test_hot_paths_do_not_allocate),
        TEST(test_every_version_of_a_controller_is_understood),
        TEST(test_old_epochs_of_a_controller_are_refused),
        TEST(test_orders_that_make_no_sense_are_refused),
        TEST(test_a_replica_is_made_where_it_is_wanted),
        TEST(test_a_replica_moves),
        TEST(test_a_move_outlives_its_process),
        TEST(test_a_slow_move_is_slow_to_its_end),
        TEST(test_a_move_that_cannot_begin_is_refused),
        TEST(test_a_copy_that_is_damaged_is_made_anew),
        TEST(test_a_move_ends_with_its_topic),
        TEST(test_what_was_never_made_is_no_replica),
    };
    const int failed = cmocka_run_group_tests_name("one shard", tests, NULL, NULL);
    has_gates = true;
    return failed + cmocka_run_group_tests_name("with gates", tests, NULL, NULL);
}
