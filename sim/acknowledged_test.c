/* What acks=all has said: three of our brokers on a keeper of ours, a producer and a consumer,
 * while brokers are killed, lose their power (all at once, too) and are cut off. In the end every
 * record that was acknowledged is where it was said to be, on every replica, and so is every record
 * that a consumer has seen (checkers K-C1, K-C3 and K-C4 of the house). */
#include "sim/broker_rig.h"
#include "test/unit_test.h"

#include "base/bytes.h"
#include "server/broker/broker_api.h"
#include "sim/sim_broker_client.h"
#include "sim/sim_net.h"
#include "wire/gen/kafka.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    broker_count = broker_rig_broker_count,
    producer_index = broker_rig_first_client_node,
    consumer_index,
    client_count = 2,
    patience_s = 600,
    record_count_max = 20000,
    seed_count = 6,
    step_count = 40,
};

struct world {
    struct broker_rig rig;
    struct create_topics *create; /* To be started by the controller's process. */
    const char *min_isr;
    bool is_created;
    bool shall_end; /* The clients. */
    uint32_t sent_count;
    uint32_t acked_count;
    uint32_t seen_count;
    int32_t acked[record_count_max]; /* [offset]: the record that was said to be there; 0: none. */
    int32_t seen[record_count_max];
};

static struct world world;

/* ---- brokers ---- */

static const char lines[] = "zookeeper.session.timeout.ms=2000\nreplica.lag.time.max.ms=1500\n"
                            "replica.socket.timeout.ms=2000\nlog.segment.bytes=4000\n"
                            "replica.high.watermark.checkpoint.interval.ms=200\n";

static void create_what_is_asked(struct broker_rig_broker *broker)
{
    struct create_topics *create = world.create;
    if (create == NULL || !control_is_controller(broker->server->control))
        return;
    world.create = NULL;
    control_create_topics(broker->server->control, create);
}

static void start_broker(int32_t id)
{
    broker_rig_start(&world.rig, id);
}

static struct partition *partition_at(int32_t id)
{
    const struct broker_server *server = broker_rig_serving(&world.rig, id);
    return server == NULL ? NULL : partition_table_find(&server->partitions, SLICE_LITERAL("t"), 0);
}

/* ---- clients ---- */

/* Whoever believes to lead; with several of them, any. 0: nobody. */
static int32_t draw_leader(struct prng *prng)
{
    const int32_t first = (int32_t)prng_below(prng, broker_count);
    for (int32_t i = 0; i < broker_count; i++) {
        const int32_t id = 1 + (first + i) % broker_count;
        if (partition_is_led(partition_at(id)))
            return id;
    }
    return 0;
}

static void pause_ms(struct sim_node *node, uint64_t ms)
{
    const uint64_t end_ns = io_now_ns(node->io) + ms * 1000000;
    while (io_now_ns(node->io) < end_ns)
        io_run(node->io, end_ns - io_now_ns(node->io));
}

/* Asks once. False: no answer. */
static bool ask(struct sim_broker_client *client, int16_t key, int16_t version, const void *body,
                void *reply)
{
    int32_t correlation_id;
    struct slice answer;
    if (sim_broker_client_send(client, key, version, broker_apis[key].request, body) == 0 ||
        !sim_broker_client_receive(client, &correlation_id, &answer, 4000000000) ||
        correlation_id != client->correlation_id) {
        sim_link_close(&client->link);
        return false;
    }
    assert_true(sim_broker_client_decode(client, broker_apis[key].reply, version, answer, reply));
    return true;
}

/* A record with this number; notes where it is said to be. True: it was acknowledged. */
static bool produce(struct sim_broker_client *client, int32_t number)
{
    static uint8_t memory[1000];
    struct record_batch_writer writer;
    uint8_t value[4];
    store_u32(value, (uint32_t)number);
    record_batch_writer_init(&writer, memory, sizeof memory, io_wall_ms(client->link.io));
    assert_true(record_batch_writer_add(&writer, SLICE_NULL, slice_of(value, sizeof value)));
    struct kafka_produce_request_topics_partitions partition = {
        .records = record_batch_writer_finish(&writer)};
    struct kafka_produce_request_topics topic = {.name = SLICE_LITERAL("t")};
    struct kafka_produce_request body = {.acks = -1, .timeout_ms = 1000};
    struct kafka_produce_reply reply;
    topic.partitions.items = &partition;
    topic.partitions.count = 1;
    body.topics.items = &topic;
    body.topics.count = 1;
    if (!ask(client, KAFKA_API_PRODUCE, 9, &body, &reply))
        return false;
    const struct kafka_produce_reply_topics_partitions *told =
        &reply.topics.items[0].partitions.items[0];
    if (told->error_code != KAFKA_NONE)
        return false;
    assert_true(told->base_offset >= 0 && told->base_offset < record_count_max);
    assert_int_equal(world.acked[told->base_offset], 0); /* Said once. */
    world.acked[told->base_offset] = number;
    world.acked_count++;
    return true;
}

/* Every record of the batches that are whole. */
static void see(struct slice records, int64_t *next)
{
    struct record_batch_walk walk;
    enum err err;
    record_batch_walk_init(&walk, records);
    while (record_batch_walk_next(&walk, &err)) {
        struct record_walk inner;
        struct record record;
        record_walk_init(&inner, &walk.batch, walk.bytes);
        while (record_walk_next(&inner, &record, &err)) {
            if (record.offset < *next)
                continue;
            const int32_t number = (int32_t)load_u32(record.value.data);
            assert_int_equal(record.offset, *next); /* No gap. */
            if (world.seen[*next] != 0)
                assert_int_equal(world.seen[*next], number);
            world.seen_count += world.seen[*next] == 0;
            world.seen[(*next)++] = number;
        }
    }
}

/* False: no answer, or not what was asked for. */
static bool fetch(struct sim_broker_client *client, int16_t version, int64_t *next)
{
    struct kafka_fetch_request_topics_partitions partition = {.fetch_offset = *next,
                                                              .current_leader_epoch = -1,
                                                              .last_fetched_epoch = -1,
                                                              .log_start_offset = -1,
                                                              .partition_max_bytes = 4000};
    struct kafka_fetch_request_topics topic = {.topic = SLICE_LITERAL("t")};
    struct kafka_fetch_request body = {.replica_id = -1,
                                       .max_wait_ms = 200,
                                       .min_bytes = 1,
                                       .max_bytes = 4000,
                                       .session_epoch = -1,
                                       .rack_id = SLICE_LITERAL("")};
    struct kafka_fetch_reply reply;
    topic.partitions.items = &partition;
    topic.partitions.count = 1;
    body.topics.items = &topic;
    body.topics.count = 1;
    if (!ask(client, KAFKA_API_FETCH, version, &body, &reply))
        return false;
    const struct kafka_fetch_reply_topics_partitions *told =
        &reply.topics.items[0].partitions.items[0];
    if (told->error_code != KAFKA_NONE)
        return false;
    assert_true(told->high_watermark < record_count_max);
    see(told->records, next);
    return true;
}

/* To another broker now and then, and when the last one has not served us. */
static bool reconnect(struct sim_broker_client *client, struct prng *prng, bool is_good)
{
    if (is_good && client->link.handle != io_handle_none && prng_below(prng, 50) != 0)
        return true;
    sim_link_close(&client->link);
    const int32_t id = draw_leader(prng);
    return id > 0 && sim_link_open(&client->link, sim_net_address((uint32_t)id, 9092), 1000000000);
}

static void producer_process(struct sim_node *node, void *argument)
{
    struct prng prng;
    struct sim_broker_client client;
    bool is_good = false;
    (void)argument;
    prng_init(&prng, node->sim->options.seed + 1);
    sim_broker_client_init(&client, node->io, &node->heap);
    while (!world.shall_end) {
        is_good =
            reconnect(&client, &prng, is_good) && produce(&client, (int32_t)++world.sent_count);
        if (!is_good)
            pause_ms(node, 20);
    }
}

static void consumer_process(struct sim_node *node, void *argument)
{
    struct prng prng;
    struct sim_broker_client client;
    int64_t next = 0;
    bool is_good = false;
    (void)argument;
    prng_init(&prng, node->sim->options.seed + 2);
    sim_broker_client_init(&client, node->io, &node->heap);
    while (!world.shall_end) {
        if (prng_below(&prng, 200) == 0)
            next = 0;
        is_good = reconnect(&client, &prng, is_good) && fetch(&client, 10, &next);
        if (!is_good)
            pause_ms(node, 20);
    }
}

/* ---- the world ---- */

static void run_ms(uint64_t ms)
{
    broker_rig_run_ms(&world.rig, ms);
}

static void wait_for(bool (*condition)(void *context), const char *what)
{
    if (!broker_rig_run_until(&world.rig, condition, NULL, patience_s))
        fail_msg("%s: not within %d s", what, (int)patience_s);
}

static bool knows_all(void *context)
{
    (void)context;
    return broker_rig_complete_count(&world.rig) == broker_count &&
           broker_rig_controller(&world.rig) > 0;
}

static void on_created(struct create_topics *request)
{
    world.is_created = request->topics[0].error_code == KAFKA_NONE;
}

static bool is_created(void *context)
{
    (void)context;
    return world.is_created;
}

static void create_topic(void)
{
    static struct topic_config_entry config;
    static struct topic_create topic;
    static struct create_topics request;
    config = (struct topic_config_entry){.name = SLICE_LITERAL("min.insync.replicas"),
                                         .value = slice_from_text(world.min_isr)};
    topic = (struct topic_create){.name = SLICE_LITERAL("t"),
                                  .partition_count = 1,
                                  .replication_factor = 3,
                                  .config_count = 1,
                                  .configs = &config};
    request = (struct create_topics){
        .topics = &topic, .topic_count = 1, .timeout_ms = 60000, .done = on_created};
    world.create = &request;
    wait_for(is_created, "a topic");
}

static void begin(uint64_t seed)
{
    const struct sim_faults faults = {.delay_ns_mean = 1000000,
                                      .reset_per_million = 1000,
                                      .sync_ns_mean = 2000000,
                                      .disk_ns_mean = 100000};
    memset(&world, 0, sizeof world);
    world.min_isr = seed % 2 == 0 ? "2" : "1";
    world.rig.lines = lines;
    world.rig.take_turn = create_what_is_asked;
    broker_rig_begin(&world.rig, seed, client_count, faults);
    for (int32_t id = 1; id <= broker_count; id++)
        start_broker(id);
    wait_for(knows_all, "the brokers know each other");
    create_topic();
    sim_node_start(world.rig.sim.nodes[producer_index], producer_process, NULL);
    sim_node_start(world.rig.sim.nodes[consumer_index], consumer_process, NULL);
}

static void lose_power(int32_t id, struct prng *prng)
{
    broker_rig_lose_power(&world.rig, id, (enum sim_loss)prng_below(prng, SIM_LOSS_RANDOM));
}

static void trouble(struct prng *prng)
{
    const int32_t id = (int32_t)prng_between(prng, 1, broker_count);
    switch (prng_below(prng, 10)) {
    case 0:
        sim_node_kill(world.rig.sim.nodes[broker_rig_keeper_node]);
        broker_rig_start_keeper(&world.rig);
        break;
    case 1:
    case 2:
        broker_rig_kill(&world.rig, id);
        start_broker(id);
        break;
    case 3:
    case 4:
        lose_power(id, prng);
        run_ms(prng_below(prng, 4000));
        start_broker(id);
        break;
    case 5:
        for (int32_t each = 1; each <= broker_count; each++)
            lose_power(each, prng);
        for (int32_t each = 1; each <= broker_count; each++) {
            start_broker(each);
            run_ms(prng_below(prng, 1000));
        }
        break;
    case 6: sim_net_partition(&world.rig.sim, 1u << id); break;
    case 7: sim_net_block(&world.rig.sim, (uint32_t)id, (uint32_t)(1 + id % broker_count)); break;
    default: sim_net_heal(&world.rig.sim); break;
    }
}

static int32_t leader_id(void)
{
    for (int32_t id = 1; id <= broker_count; id++)
        if (partition_is_led(partition_at(id)))
            return id;
    return 0;
}

/* Every replica is in sync, and all logs are equally long. */
static bool is_calm(void *context)
{
    (void)context;
    const int32_t leader = leader_id();
    if (!knows_all(NULL) || leader == 0)
        return false;
    const struct partition *led = partition_at(leader);
    const int64_t end = partition_store_log_end_offset(led->store);
    if (led->replicas == NULL || led->replicas->isr_count != broker_count ||
        partition_store_high_watermark(led->store) != end)
        return false;
    for (int32_t id = 1; id <= broker_count; id++) {
        const struct partition *partition = partition_at(id);
        if (partition == NULL || partition_is_led(partition) != (id == leader) ||
            partition_store_high_watermark(partition->store) != end ||
            partition_store_log_end_offset(partition->store) != end)
            return false;
    }
    return true;
}

static bool have_ended(void *context)
{
    (void)context;
    return !sim_node_is_up(world.rig.sim.nodes[producer_index]) &&
           !sim_node_is_up(world.rig.sim.nodes[consumer_index]);
}

/* ---- the judgement ---- */

struct reader {
    int32_t id;
    int64_t end;
    bool is_whole;
};

/* Reads everything from one broker; what was seen before must be the same. */
static void reader_process(struct sim_node *node, void *argument)
{
    struct reader *reader = argument;
    struct sim_broker_client client;
    int64_t next = 0;
    sim_broker_client_init(&client, node->io, &node->heap);
    while (next < reader->end) {
        if (client.link.handle == io_handle_none &&
            !sim_link_open(&client.link, sim_net_address((uint32_t)reader->id, 9092), 1000000000))
            continue;
        if (!fetch(&client, 11, &next))
            pause_ms(node, 20);
    }
    reader->is_whole = true;
}

static struct reader reader;

static bool is_whole(void *context)
{
    (void)context;
    return reader.is_whole;
}

static void judge(void)
{
    const int64_t end = partition_store_log_end_offset(partition_at(1)->store);
    for (int32_t id = 1; id <= broker_count; id++) {
        reader = (struct reader){.id = id, .end = end};
        sim_node_start(world.rig.sim.nodes[consumer_index], reader_process, &reader);
        wait_for(is_whole, "a replica is read");
        run_ms(10);
    }
    for (int64_t offset = 0; offset < record_count_max; offset++) {
        if (world.acked[offset] != 0)
            assert_int_equal(world.seen[offset], world.acked[offset]);
        if (world.seen[offset] != 0)
            assert_true(offset < end);
    }
}

static void play(uint64_t seed)
{
    struct prng prng;
    begin(seed);
    prng_init(&prng, seed);
    for (int step = 0; step < step_count; step++) {
        run_ms(prng_between(&prng, 1, 3000));
        trouble(&prng);
    }
    sim_net_heal(&world.rig.sim);
    run_ms(5000);
    world.shall_end = true;
    wait_for(have_ended, "the clients end");
    wait_for(is_calm, "every replica is in sync");
    judge();
    if (getenv("VERBOSE") != NULL)
        printf("seed %llu: %u sent, %u acknowledged, %u seen, %llu changes lost\n",
               (unsigned long long)seed, world.sent_count, world.acked_count, world.seen_count,
               (unsigned long long)world.rig.sim.counters.changes_lost);
    assert_true(world.acked_count > 100 && world.seen_count > 100);
    sim_deinit(&world.rig.sim);
}

static void what_is_acknowledged_stays(void **state)
{
    const char *first = getenv("SEED");
    const char *count = getenv("SEEDS");
    const uint64_t seed = first == NULL ? 1 : strtoull(first, NULL, 10);
    (void)state;
    for (uint64_t i = 0; i < (count == NULL ? seed_count : strtoull(count, NULL, 10)); i++)
        play(seed + i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_acknowledged_stays)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
