/* Three of our brokers on a keeper of ours in the simulated world: what one leads the others
 * follow. Leaders and followers are killed, lose power, or are cut off from the others while a
 * producer waits for acks=all. In the end every replica holds the same bytes, and each acknowledged
 * batch is among them. */
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
    client_index = broker_rig_first_client_node,
    patience_s = 200,
    text_size = 512,
    value_max = 4000,
    log_bytes_max = 4 << 20,
    batch_bytes = 400
};

struct world {
    struct broker_rig rig;
    struct slice topic; /* That is looked at and produced to. */
    struct heap heap;   /* The client's. */
    struct sim_broker_client client;
    int32_t client_peer;   /* Whom it is connected to; 0: nobody. */
    uint32_t value;        /* The last one that was sent. */
    char lines[text_size]; /* Of server.properties. */
    bool is_acknowledged[value_max];
    uint32_t acknowledged_count;
};

static struct world world;

/* ---- the world ---- */

static const char lines[] = "zookeeper.session.timeout.ms=4000\nmin.insync.replicas=2\n"
                            "auto.leader.rebalance.enable=false\nreplica.lag.time.max.ms=2000\n"
                            "replica.fetch.backoff.ms=100\nreplica.socket.timeout.ms=2000\n"
                            "log.segment.bytes=20000\n";

static const struct broker_server *serving(int32_t id)
{
    return broker_rig_serving(&world.rig, id);
}

static void start_broker(int32_t id)
{
    broker_rig_start(&world.rig, id);
}

static void end_broker(int32_t id, bool loses_power)
{
    if (loses_power)
        broker_rig_lose_power(&world.rig, id, SIM_LOSS_RANDOM);
    else
        broker_rig_kill(&world.rig, id);
}

static void run_ms(uint64_t ms)
{
    broker_rig_run_ms(&world.rig, ms);
}

static void wait_for(bool (*condition)(void *context), const char *what)
{
    if (!broker_rig_run_until(&world.rig, condition, NULL, patience_s))
        fail_msg("%s: not within %d s", what, (int)patience_s);
}

static bool all_serve(void *context)
{
    (void)context;
    return broker_rig_complete_count(&world.rig) == broker_count;
}

static const struct partition *partition_of(int32_t id)
{
    const struct broker_server *server = serving(id);
    return server == NULL ? NULL : partition_table_find(&server->partitions, world.topic, 0);
}

static int32_t leader(void)
{
    int32_t found = 0;
    for (int32_t id = 1; id <= broker_count; id++) {
        const struct partition *partition = partition_of(id);
        if (partition_is_led(partition) &&
            (found == 0 || partition->leader_epoch > partition_of(found)->leader_epoch))
            found = id;
    }
    return found;
}

static bool has_leader(void *context)
{
    (void)context;
    return leader() != 0;
}

static uint32_t isr_count(void)
{
    const int32_t id = leader();
    if (id == 0)
        return 0;
    const struct metadata_partition *known =
        metadata_view_partition(control_metadata(serving(id)->control), world.topic, 0);
    return known == NULL ? 0 : known->isr_count;
}

/* ---- the client ---- */

static bool connect_to(int32_t id)
{
    char host[24];
    struct io_address address;
    if (world.client_peer == id && world.client.link.handle != io_handle_none)
        return true;
    sim_link_close(&world.client.link);
    snprintf(host, sizeof host, "10.0.0.%d", (int)id + 1);
    assert_int_equal(0, io_resolve(world.rig.sim.nodes[client_index]->io, host, 9092, &address));
    world.client_peer = id;
    return sim_link_open(&world.client.link, address, 500000000);
}

static bool ask(int16_t key, int16_t version, const void *body, void *reply, uint64_t timeout_ms)
{
    int32_t correlation_id;
    struct slice bytes;
    const int32_t sent =
        sim_broker_client_send(&world.client, key, version, broker_apis[key].request, body);
    while (sent != 0 &&
           sim_broker_client_receive(&world.client, &correlation_id, &bytes, timeout_ms * 1000000))
        if (correlation_id == sent)
            return sim_broker_client_decode(&world.client, broker_apis[key].reply, version, bytes,
                                            reply);
    sim_link_close(&world.client.link);
    return false;
}

static void ask_controller(int16_t key, int16_t version, const void *body, void *reply)
{
    for (int32_t id = 1; id <= broker_count; id++) {
        if (!control_is_controller(serving(id)->control))
            continue;
        assert_true(connect_to(id));
        assert_true(ask(key, version, body, reply, 20000));
        return;
    }
    fail_msg("there is no controller");
}

/* first: who shall lead; 0: anybody. */
static void create_topic(int32_t first)
{
    int32_t brokers[] = {first, first % broker_count + 1, (first + 1) % broker_count + 1};
    struct kafka_create_topics_request_topics_assignments assignment = {.partition_index = 0};
    struct kafka_create_topics_request_topics topic = {.name = world.topic,
                                                       .num_partitions = first == 0 ? 1 : -1,
                                                       .replication_factor =
                                                           first == 0 ? broker_count : -1};
    struct kafka_create_topics_request body = {.timeout_ms = 10000};
    struct kafka_create_topics_reply reply;
    assignment.broker_ids.items = brokers;
    assignment.broker_ids.count = broker_count;
    topic.assignments.items = &assignment;
    topic.assignments.count = first != 0;
    body.topics.items = &topic;
    body.topics.count = 1;
    ask_controller(KAFKA_API_CREATE_TOPICS, 7, &body, &reply);
    assert_int_equal(reply.topics.items[0].error_code, KAFKA_NONE);
}

/* One batch with the next value, to whoever leads. Its value counts as acknowledged if all replicas
 * in sync are said to have it. */
static void produce(void)
{
    static uint8_t memory[batch_bytes];
    struct record_batch_writer writer;
    struct kafka_produce_reply reply;
    char value[100];
    const int32_t id = leader();
    assert_true(world.value + 1 < value_max);
    snprintf(value, sizeof value, "value %u %080u", world.value + 1, 0);
    if (id == 0 || !connect_to(id)) {
        run_ms(50);
        return;
    }
    record_batch_writer_init(&writer, memory, sizeof memory,
                             io_wall_ms(world.rig.sim.nodes[client_index]->io));
    assert_true(record_batch_writer_add(&writer, SLICE_NULL, slice_from_text(value)));
    struct kafka_produce_request_topics_partitions partition = {
        .records = record_batch_writer_finish(&writer)};
    struct kafka_produce_request_topics topic = {.name = world.topic};
    struct kafka_produce_request body = {
        .transactional_id = SLICE_NULL, .acks = -1, .timeout_ms = 1000};
    topic.partitions.items = &partition;
    topic.partitions.count = 1;
    body.topics.items = &topic;
    body.topics.count = 1;
    world.value++;
    if (!ask(KAFKA_API_PRODUCE, 9, &body, &reply, 1500) ||
        reply.topics.items[0].partitions.items[0].error_code != KAFKA_NONE) {
        run_ms(20);
        return;
    }
    world.is_acknowledged[world.value] = true;
    world.acknowledged_count++;
}

static void begin_with(uint64_t seed, const char *more_settings)
{
    world = (struct world){.rig.lines = world.lines, .topic = SLICE_LITERAL("t")};
    snprintf(world.lines, sizeof world.lines, "%s%s", lines, more_settings);
    broker_rig_begin(&world.rig, seed, 1, (struct sim_faults){0});
    heap_init(&world.heap, (struct heap_options){.limit_bytes = 64 << 20, .tracked = true});
    sim_broker_client_init(&world.client, world.rig.sim.nodes[client_index]->io, &world.heap);
    for (int32_t id = 1; id <= broker_count; id++)
        start_broker(id);
    wait_for(all_serve, "the brokers know each other");
    create_topic(0);
    wait_for(has_leader, "a leader");
}

static void begin(uint64_t seed)
{
    begin_with(seed, "");
}

static void end(void)
{
    sim_link_close(&world.client.link);
    sim_deinit(&world.rig.sim);
    heap_deinit(&world.heap);
}

/* ---- judgement ---- */

struct log {
    uint8_t bytes[log_bytes_max];
    size_t size;
};

static struct log logs[broker_count + 1];

static void add_name(void *context, const char *name)
{
    int64_t(*bases)[256] = context;
    const size_t size = strlen(name);
    if (size != 24 || memcmp(name + 20, ".log", 4) != 0)
        return;
    (*bases)[++(*bases)[0]] = strtoll(name, NULL, 10);
}

static int compare(const void *left, const void *right)
{
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

/* All segments of a replica, as they lie on its disk. */
static void read_log(int32_t id)
{
    int64_t bases[256] = {0};
    char path[text_size];
    struct log *log = &logs[id];
    log->size = 0;
    (void)sim_disk_list(&world.rig.sim.nodes[id]->disk, "/broker/t-0", add_name, &bases);
    qsort(bases + 1, (size_t)bases[0], sizeof bases[0], compare);
    for (int64_t i = 1; i <= bases[0]; i++) {
        snprintf(path, sizeof path, "/broker/t-0/%020lld.log", (long long)bases[i]);
        const struct slice bytes = sim_disk_peek(&world.rig.sim.nodes[id]->disk, path);
        assert_true(log->size + bytes.size <= sizeof log->bytes);
        if (bytes.size > 0)
            memcpy(log->bytes + log->size, bytes.data, bytes.size);
        log->size += bytes.size;
    }
}

static bool are_in_step(void *context)
{
    (void)context;
    if (!all_serve(NULL) || leader() == 0 || isr_count() != broker_count)
        return false;
    const struct partition_store *first = partition_of(1)->store;
    for (int32_t id = 1; id <= broker_count; id++) {
        const struct partition *partition = partition_of(id);
        if (partition == NULL || partition->store == NULL || partition->store->cut != NULL ||
            partition_store_log_end_offset(partition->store) !=
                partition_store_log_end_offset(first) ||
            partition_store_high_watermark(partition->store) !=
                partition_store_log_end_offset(first))
            return false;
    }
    return true;
}

static void check_values(const struct log *log)
{
    static bool is_there[value_max];
    struct record_batch_walk walk;
    enum err err;
    memset(is_there, 0, sizeof is_there);
    record_batch_walk_init(&walk, slice_of(log->bytes, log->size));
    int64_t next = 0;
    while (record_batch_walk_next(&walk, &err)) {
        struct record_walk records;
        struct record record;
        assert_int_equal(next, walk.batch.base_offset);
        next = record_batch_last_offset(&walk.batch) + 1;
        record_walk_init(&records, &walk.batch, walk.bytes);
        while (record_walk_next(&records, &record, &err))
            is_there[strtoul((const char *)record.value.data + 6, NULL, 10) % value_max] = true;
    }
    for (uint32_t value = 1; value <= world.value; value++)
        if (world.is_acknowledged[value] && !is_there[value]) {
            sim_report(&world.rig.sim);
            fail_msg("value %u was acknowledged and is lost", value);
        }
}

/* In sync may still be said of a replica that has not come to fetch: one more record makes all of
 * them show what they have. */
static void produce_to_all(void)
{
    const uint32_t before = world.acknowledged_count;
    wait_for(all_serve, "all brokers are up");
    while (world.acknowledged_count == before)
        produce();
    run_ms(3000);
}

static void judge(void)
{
    produce_to_all();
    wait_for(are_in_step, "all replicas are in sync and have the same end");
    for (int32_t id = 1; id <= broker_count; id++) {
        read_log(id);
        const struct leader_epochs *epochs = &partition_of(id)->store->epochs;
        const struct leader_epochs *first = &partition_of(1)->store->epochs;
        if (logs[id].size != logs[1].size ||
            memcmp(logs[id].bytes, logs[1].bytes, logs[1].size) != 0) {
            sim_report(&world.rig.sim);
            fail_msg("brokers 1 and %d do not have the same log", (int)id);
        }
        for (int64_t offset = 0; offset < partition_of(1)->store->log_end_offset; offset++)
            assert_int_equal(leader_epochs_at(first, offset), leader_epochs_at(epochs, offset));
    }
    check_values(&logs[1]);
}

/* ---- tests ---- */

static void followers_copy_what_is_produced(void **state)
{
    (void)state;
    begin(1);
    for (int i = 0; i < 300; i++)
        produce();
    assert_int_equal(300, world.acknowledged_count);
    judge();
    end();
}

static void a_follower_that_was_away_catches_up(void **state)
{
    (void)state;
    begin(2);
    const int32_t away = leader() == 1 ? 2 : 1;
    for (int i = 0; i < 50; i++)
        produce();
    end_broker(away, true);
    run_ms(8000);
    for (int i = 0; i < 200; i++)
        produce();
    assert_true(world.acknowledged_count >= 240);
    start_broker(away);
    judge();
    end();
}

/* ---- another life of the topic ---- */

static bool is_nowhere(void *context)
{
    (void)context;
    for (int32_t id = 1; id <= broker_count; id++)
        if (partition_of(id) != NULL)
            return false;
    return true;
}

static void delete_topic(void)
{
    struct slice name = world.topic;
    struct kafka_delete_topics_request body = {.timeout_ms = 10000};
    struct kafka_delete_topics_reply reply;
    body.topic_names.items = &name;
    body.topic_names.count = 1;
    ask_controller(KAFKA_API_DELETE_TOPICS, 5, &body, &reply);
    assert_int_equal(reply.responses.items[0].error_code, KAFKA_NONE);
    wait_for(is_nowhere, "all brokers delete the topic");
}

/* Of all followers, as their sessions count them. */
static uint64_t fetches_sent(void)
{
    uint64_t count = 0;
    for (int32_t id = 1; id <= broker_count; id++)
        list_each (link, &serving(id)->fetchers.list)
            count += (uint64_t)CONTAINER_OF(link, struct replica_fetcher, link)->session_epoch;
    return count;
}

/* Nothing of the topic before is left in the followers' sessions: the leader would tell them with
 * every answer, at once, that it does not know it. */
static void a_topic_that_is_made_anew_is_followed_in_peace(void **state)
{
    (void)state;
    begin(12);
    const int32_t first = leader();
    for (int life = 0; life < 3; life++) {
        produce_to_all();
        delete_topic();
        memset(world.is_acknowledged, 0, sizeof world.is_acknowledged);
        run_ms(100);
        create_topic(first);
        wait_for(has_leader, "a leader");
        produce_to_all();
        const uint64_t before = fetches_sent();
        run_ms(5000);
        assert_in_range(fetches_sent() - before, 2, 2 * (5000 / 500 + 2));
    }
    judge();
    end();
}

/* ---- the first records ---- */

/* Until a record is acknowledged, in simulated time from now on. */
static uint64_t first_acknowledged_ms(void)
{
    const uint32_t before = world.acknowledged_count;
    const uint64_t since_ns = world.rig.sim.now_ns;
    while (world.acknowledged_count == before)
        produce();
    return (world.rig.sim.now_ns - since_ns) / 1000000;
}

enum { first_patience_ms = 100, parked_ms = 700 };

/* By then the followers' Fetches of what there was before are parked for half a second each. */
static void the_first_records_do_not_wait_for_parked_fetches(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    (void)state;
    begin(8);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        run_ms(parked_ms + 37 * i);
        world.topic = slice_from_text(names[i]);
        create_topic(0);
        wait_for(has_leader, "a leader");
        assert_true(first_acknowledged_ms() < first_patience_ms);
    }
    run_ms(parked_ms);
    end_broker(leader(), true);
    wait_for(has_leader, "another leader");
    assert_true(first_acknowledged_ms() < first_patience_ms);
    end();
}

/* ---- throttles ---- */

static void set_config(int32_t via, enum config_resource_type type, const char *name,
                       const char *key, const char *value)
{
    struct kafka_incremental_alter_configs_request_resources_configs config = {
        .name = slice_from_text(key),
        .config_operation = CONFIG_SET,
        .value = slice_from_text(value)};
    struct kafka_incremental_alter_configs_request_resources resource = {
        .resource_type = (int8_t)type, .resource_name = slice_from_text(name)};
    struct kafka_incremental_alter_configs_request body = {0};
    struct kafka_incremental_alter_configs_reply reply;
    resource.configs.items = &config;
    resource.configs.count = 1;
    body.resources.items = &resource;
    body.resources.count = 1;
    assert_true(connect_to(via));
    assert_true(ask(KAFKA_API_INCREMENTAL_ALTER_CONFIGS, 1, &body, &reply, 20000));
    assert_int_equal(reply.responses.items[0].error_code, KAFKA_NONE);
}

static void set_rate(int32_t id, const char *key, const char *rate)
{
    char name[8];
    snprintf(name, sizeof name, "%d", (int)id);
    set_config(id, CONFIG_RESOURCE_BROKER, name, key, rate);
}

static bool all_in_sync(void *context)
{
    (void)context;
    return isr_count() == broker_count;
}

enum { throttled_count = 200, throttle_rate = 2000 };

/* A follower is away while records are produced, with small answers to its fetches afterwards. The
 * other one's records count in the leader's rate, but it is in sync, so it is not held back.
 * Returns who is away. */
static int32_t fall_behind(uint64_t seed, bool by_leader, const char *rate)
{
    char pair[8] = "*";
    begin_with(seed, "replica.fetch.max.bytes=1000\nreplica.fetch.response.max.bytes=1000\n");
    const int32_t away = leader() == 1 ? 2 : 1;
    wait_for(all_in_sync, "all are in sync");
    if (by_leader) {
        set_rate(leader(), "leader.replication.throttled.rate", rate);
    } else {
        set_rate(away, "follower.replication.throttled.rate", rate);
        snprintf(pair, sizeof pair, "0:%d", (int)away);
    }
    set_config(leader(), CONFIG_RESOURCE_TOPIC, "t",
               by_leader ? "leader.replication.throttled.replicas"
                         : "follower.replication.throttled.replicas",
               pair);
    end_broker(away, false);
    run_ms(8000);
    assert_int_equal(isr_count(), broker_count - 1);
    const uint64_t began_ns = world.rig.sim.now_ns;
    for (int i = 0; i < throttled_count; i++)
        produce();
    assert_int_equal(world.acknowledged_count, throttled_count);
    assert_true((world.rig.sim.now_ns - began_ns) / 1000000 < 5000);
    return away;
}

/* How long the follower takes from its start on until it is in sync. */
static uint64_t catch_up_ms(int32_t away)
{
    const uint64_t began_ns = world.rig.sim.now_ns;
    start_broker(away);
    wait_for(all_in_sync, "the follower is in sync");
    return (world.rig.sim.now_ns - began_ns) / 1000000;
}

/* A quarter more than the rate may go while windows are forgotten. */
static uint64_t throttled_ms_min(void)
{
    const uint64_t bytes = partition_store_size_bytes(partition_of(leader())->store);
    assert_true(bytes > 20000);
    return bytes * 1000 / throttle_rate * 4 / 5;
}

static void a_leader_holds_back_who_is_not_in_sync(void **state)
{
    (void)state;
    const int32_t away = fall_behind(7, true, "2000");
    assert_true(catch_up_ms(away) >= throttled_ms_min());
    judge();
    end();
}

static void a_follower_does_not_ask_faster_than_it_may(void **state)
{
    (void)state;
    const int32_t away = fall_behind(8, false, "2000");
    assert_true(catch_up_ms(away) >= throttled_ms_min());
    judge();
    end();
}

static void a_throttle_that_is_taken_off_is_off(void **state)
{
    (void)state;
    for (uint64_t side = 0; side < 2; side++) {
        const int32_t away = fall_behind(9 + side, side == 0, "1");
        const uint64_t least_ms = throttled_ms_min();
        start_broker(away);
        run_ms(least_ms);
        assert_int_equal(isr_count(), broker_count - 1);
        set_config(leader(), CONFIG_RESOURCE_TOPIC, "t",
                   side == 0 ? "leader.replication.throttled.replicas"
                             : "follower.replication.throttled.replicas",
                   "0:99");
        run_ms(least_ms / 2);
        assert_int_equal(isr_count(), broker_count);
        judge();
        end();
    }
}

/* What only the old leader has goes when it comes back. */
static void an_old_leader_takes_back_what_nobody_else_has(void **state)
{
    (void)state;
    begin(3);
    for (int i = 0; i < 50; i++)
        produce();
    const int32_t old = leader();
    sim_net_partition(&world.rig.sim, 1u << old | 1u << client_index);
    for (int i = 0; i < 5; i++)
        produce(); /* Nobody else has them, so nobody says that they do. */
    assert_int_equal(50, world.acknowledged_count);
    const int64_t lone_end = partition_store_log_end_offset(partition_of(old)->store);
    assert_true(lone_end > 50);
    end_broker(old, false);
    sim_net_heal(&world.rig.sim);
    run_ms(10000);
    wait_for(has_leader, "another leader");
    assert_int_not_equal(old, leader());
    for (int i = 0; i < 20; i++)
        produce();
    assert_int_equal(70, world.acknowledged_count);
    start_broker(old);
    judge();
    assert_int_equal(71, partition_store_log_end_offset(partition_of(old)->store));
    end();
}

static void delete_records(int64_t offset)
{
    struct kafka_delete_records_request_topics_partitions partition = {.offset = offset};
    struct kafka_delete_records_request_topics topic = {.name = SLICE_LITERAL("t")};
    struct kafka_delete_records_request body = {.timeout_ms = 5000};
    struct kafka_delete_records_reply reply;
    topic.partitions.items = &partition;
    topic.partitions.count = 1;
    body.topics.items = &topic;
    body.topics.count = 1;
    assert_true(connect_to(leader()));
    assert_true(ask(KAFKA_API_DELETE_RECORDS, 2, &body, &reply, 10000));
    assert_int_equal(KAFKA_NONE, reply.topics.items[0].partitions.items[0].error_code);
}

/* Its end is below where the leader's log begins by now. */
static void a_log_that_ends_too_early_begins_anew(void **state)
{
    (void)state;
    begin(4);
    const int32_t away = leader() == 1 ? 2 : 1;
    for (int i = 0; i < 50; i++)
        produce();
    end_broker(away, true);
    run_ms(8000);
    for (int i = 0; i < 200; i++)
        produce();
    delete_records(203);
    start_broker(away);
    produce_to_all();
    wait_for(are_in_step, "all replicas are in sync and have the same end");
    assert_int_equal(203, partition_store_log_start_offset(partition_of(away)->store));
    read_log(away);
    read_log(leader());
    const struct log *whole = &logs[leader()];
    const struct log *rest = &logs[away];
    assert_true(rest->size > 0 && rest->size < whole->size);
    assert_memory_equal(whole->bytes + whole->size - rest->size, rest->bytes, rest->size);
    assert_int_equal(203, load_i64(rest->bytes));
    end();
}

static void trouble(struct prng *prng)
{
    const int32_t id = (int32_t)prng_between(prng, 1, broker_count);
    switch (prng_below(prng, 7)) {
    case 0: /* Whoever is back first may lead, so what was acknowledged must be on every disk. */
        for (int32_t each = 1; each <= broker_count; each++)
            end_broker(each, true);
        for (int32_t each = 1; each <= broker_count; each++) {
            run_ms(prng_below(prng, 3000));
            start_broker(each);
        }
        break;
    case 1:
    case 3:
        end_broker(id, prng_chance(prng, 1, 2));
        run_ms(prng_below(prng, 6000));
        start_broker(id);
        break;
    case 2: sim_net_partition(&world.rig.sim, 1u << id); break;
    default: sim_net_heal(&world.rig.sim); break;
    }
}

static void play(uint64_t seed)
{
    struct prng prng;
    prng_init(&prng, seed);
    begin(seed);
    world.rig.sim.faults = (struct sim_faults){.delay_ns_mean = 1000000,
                                               .reset_per_million = 1000,
                                               .sync_ns_mean = 1000000,
                                               .disk_ns_mean = 100000,
                                               .segment_bytes_max = 2000};
    for (int step = 0; step < 25; step++) {
        const uint64_t count = prng_below(&prng, 40);
        for (uint64_t i = 0; i < count; i++)
            produce();
        trouble(&prng);
    }
    sim_net_heal(&world.rig.sim);
    judge();
    end();
}

static uint64_t seed_first = 100;
static uint64_t seed_count = 8;

static void nothing_acknowledged_is_lost(void **state)
{
    (void)state;
    for (uint64_t seed = seed_first; seed < seed_first + seed_count; seed++)
        play(seed);
}

int main(int argument_count, char **arguments)
{
    if (argument_count > 2) { /* Other seeds: the first one, and how many. */
        seed_first = strtoull(arguments[1], NULL, 10);
        seed_count = strtoull(arguments[2], NULL, 10);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(followers_copy_what_is_produced),
        cmocka_unit_test(a_follower_that_was_away_catches_up),
        cmocka_unit_test(a_topic_that_is_made_anew_is_followed_in_peace),
        cmocka_unit_test(the_first_records_do_not_wait_for_parked_fetches),
        cmocka_unit_test(a_leader_holds_back_who_is_not_in_sync),
        cmocka_unit_test(a_follower_does_not_ask_faster_than_it_may),
        cmocka_unit_test(a_throttle_that_is_taken_off_is_off),
        cmocka_unit_test(an_old_leader_takes_back_what_nobody_else_has),
        cmocka_unit_test(a_log_that_ends_too_early_begins_anew),
        cmocka_unit_test(nothing_acknowledged_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
