/* A broker on a keeper, with producers that know what they were promised and a consumer that reads
 * along, while the broker, its power, its keeper and the network fail.
 *
 * Each producer has a topic of its own and gives each record a number. One of them has a producer
 * id and sends again what was not answered; the others never send anything twice. At the end, and
 * by the consumer on the way:
 *
 * - offsets are dense, batches whole, and every record is one that its producer sent;
 * - a record that was acknowledged (acks=all, durable) is at the offset that the answer named,
 * after any crash; one acknowledged with acks=1 unless power was lost since;
 * - no record is there twice; a producer with an id finds all of its records there, in order.
 */
#include "base/bytes.h"
#include "base/checksum.h"
#include "broker/error_code.h"
#include "broker/record_batch.h"
#include "server/broker/broker_server.h"
#include "server/keeper/keeper_server.h"
#include "sim/sim_broker_client.h"
#include "sim/sim_net.h"
#include "sim/workload.h"

#include <stdio.h>

enum {
    keeper_node = 0,
    broker_node = 1,
    first_client_node = 2,
    producer_count_max = 2,
    batch_count_max = 1024,
    batch_record_count_max = 4,
    pending_count_max = 5,
    value_bytes_max = 400,
    batch_bytes_max = 4096,
    broker_port = 9092,
    produce_version = 7,
    fetch_version = 11,
    metadata_version = 4,
    producer_id_version = 1,
    swarm_length = 5,
    trouble_count_max = 30,
};

static const uint64_t ns_per_ms = 1000000;
static const uint64_t ns_per_s = 1000000000;
static const uint64_t answer_ns_max = 40000000000;
static const uint64_t run_ns_max = 7200000000000;

/* What is known of a batch. Its index is its number; record i of it has number index * 16 + i. */
struct batch {
    uint32_t record_count;
    int32_t base_sequence;
    int16_t acks;
    bool is_promised;          /* Must be there for ever. */
    bool is_written;           /* Must be there until power is lost. */
    int64_t offset;            /* Where, if an answer said so; -1. */
    bool is_found;             /* In the scan at hand. */
    uint32_t power_loss_count; /* Of the broker, when it was sent. */
};

struct sender {
    struct play *play;
    uint32_t index;
    bool is_idempotent;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t sequence_next;
    struct batch batches[batch_count_max];
    uint32_t batch_count;
    uint32_t first_pending; /* Sent and not answered: from here on. */
    uint32_t steps_left;
    bool is_finished;
};

struct play {
    const struct sim_workload_options *options;
    struct sim_workload_result *result;
    struct sim *sim;
    struct prng prng;
    uint32_t producer_count;
    struct sender producers[producer_count_max];
    bool is_stopping; /* The broker is asked to end. */
    bool is_checked;  /* The last scan is done. */
    enum err start_err;
    enum err broker_failure;
    uint32_t broker_starts;
    uint32_t revival_count;
    uint32_t power_loss_count;   /* Of the broker. */
    uint64_t disk_errors_before; /* Its latest start. */
};

struct player {
    struct play *play;
    struct sender *producer;
    struct sim_node *node;
    struct sim_broker_client client;
    uint32_t sent; /* Batches from producer->first_pending on that this connection has sent. */
    int32_t correlation_ids[pending_count_max + 1];
    uint8_t batch[batch_bytes_max];
};

#define WRONG(player, ...)                                                                         \
    sim_workload_wrong((player)->play->result, (player)->play->sim, __VA_ARGS__)

static bool is_over(const struct play *play)
{
    return play->result->verdict != SIM_RIGHT;
}

/* ---- The servers. ---- */

static const char keeper_text[] = "dataDir=/keeper\n"
                                  "clientPort=2181\n"
                                  "admin.enableServer=false\n"
                                  "tickTime=1000\n"
                                  "snapCount=200\n"
                                  "preAllocSize=64\n"
                                  "maxClientCnxns=0\n"
                                  "memory.limitMb=64\n"
                                  "disk.reserveMb=0\n";

static void run_keeper(struct sim_node *node, void *argument)
{
    struct play *play = argument;
    struct shard shard = {
        .name = "keeper", .io = node->io, .heap = &node->heap, .diag = node->diag};
    struct keeper_config config;
    struct keeper_server *server;
    list_init(&shard.inboxes);
    const enum err err = keeper_config_load(
        &config, &node->heap, node->diag,
        (struct config_source){"zoo.cfg", slice_of(keeper_text, sizeof keeper_text - 1)});
    assert(err == ERR_OK);
    play->start_err = keeper_server_start(&server, &shard, &config);
    if (play->start_err != ERR_OK)
        return;
    shard_run(&shard); /* Until it is killed, or the world ends. */
}

static const char broker_text[] = "broker.id=7\n"
                                  "listeners=PLAINTEXT://10.0.0.2:9092\n"
                                  "log.dirs=/broker\n"
                                  "zookeeper.connect=10.0.0.1:2181\n"
                                  "zookeeper.session.timeout.ms=6000\n"
                                  "log.segment.bytes=6000\n"
                                  "log.index.interval.bytes=1000\n"
                                  "log.flush.offset.checkpoint.interval.ms=500\n"
                                  "replica.high.watermark.checkpoint.interval.ms=300\n";

static void on_stopped(void *context)
{
    *(bool *)context = true;
}

static void run_broker(struct sim_node *node, void *argument)
{
    struct play *play = argument;
    struct shard shard = {
        .name = "broker", .io = node->io, .heap = &node->heap, .diag = node->diag};
    struct broker_config config = {0};
    struct broker_server *server;
    const struct config_source source = {"server.properties",
                                         slice_of(broker_text, sizeof broker_text - 1)};
    list_init(&shard.inboxes);
    enum err err = config_defaults(&broker_config_table, &config, &node->heap);
    if (err == ERR_OK)
        err = config_load(&broker_config_table, &config, &node->heap, node->diag, source);
    if (err == ERR_OK)
        err = broker_config_init(&config, &node->heap, node->diag, source);
    assert(err == ERR_OK);
    const uint64_t boundaries_before = node->disk.boundary_count;
    play->start_err = broker_server_start(&server, &shard, &config);
    if (play->start_err != ERR_OK)
        return;
    if (play->broker_starts++ == 1)
        play->result->recovery_boundary_count = node->disk.boundary_count - boundaries_before;
    while (!play->is_stopping && !shard.stopping)
        shard_step(&shard, 100 * ns_per_ms);
    play->broker_failure = server->failure;
    if (shard.stopping)
        return;
    bool is_stopped = false;
    broker_server_stop(server, on_stopped, &is_stopped);
    while (!is_stopped)
        shard_step(&shard, 100 * ns_per_ms);
    broker_server_deinit(server);
}

/* ---- Batches. ---- */

static size_t make_value(uint32_t producer, uint64_t number, uint8_t value[value_bytes_max])
{
    struct prng prng;
    prng_init(&prng, (uint64_t)producer << 40 | number);
    const size_t size =
        12 + prng_below(&prng, prng_chance(&prng, 1, 4) ? value_bytes_max - 12 : 40);
    store_u32(value, producer);
    store_u64(value + 4, number);
    for (size_t at = 12; at < size; at++)
        value[at] = (uint8_t)prng_next(&prng);
    return size;
}

static struct slice make_batch(struct player *player, uint32_t index)
{
    const struct sender *producer = player->producer;
    const struct batch *batch = &producer->batches[index];
    struct record_batch_writer writer;
    uint8_t value[value_bytes_max];
    record_batch_writer_init(&writer, player->batch, sizeof player->batch,
                             io_wall_ms(player->node->io));
    for (uint32_t record = 0; record < batch->record_count; record++) {
        const size_t size = make_value(producer->index, index * 16 + record, value);
        const bool fits = record_batch_writer_add(&writer, SLICE_NULL, slice_of(value, size));
        assert(fits);
    }
    const struct slice bytes = record_batch_writer_finish(&writer);
    if (!producer->is_idempotent)
        return bytes;
    store_i64(player->batch + 43, producer->producer_id);
    store_i16(player->batch + 51, producer->producer_epoch);
    store_i32(player->batch + 53, batch->base_sequence);
    store_u32(player->batch + 17, checksum_crc32c(0, slice_skip(bytes, record_batch_crc_from)));
    return bytes;
}

static const char *topic_of(const struct sender *producer, char name[16])
{
    snprintf(name, 16, "topic-%u", producer->index);
    return name;
}

/* ---- Producing. ---- */

static bool send_batch(struct player *player, uint32_t index)
{
    char name[16];
    struct sender *producer = player->producer;
    producer->batches[index].power_loss_count = player->play->power_loss_count;
    struct kafka_produce_request_topics_partitions partition = {
        .index = 0, .records = make_batch(player, index)};
    struct kafka_produce_request_topics topic = {.name = slice_from_text(topic_of(producer, name))};
    topic.partitions.items = &partition;
    topic.partitions.count = 1;
    struct kafka_produce_request request = {.acks = producer->batches[index].acks,
                                            .timeout_ms = 30000};
    request.topics.items = &topic;
    request.topics.count = 1;
    const int32_t id = sim_broker_client_send(&player->client, KAFKA_API_PRODUCE, produce_version,
                                              &kafka_produce_request_wire, &request);
    player->correlation_ids[player->sent++] = id;
    return id != 0;
}

static void add_batch(struct player *player)
{
    struct sender *producer = player->producer;
    struct prng *prng = &player->play->prng;
    struct batch *batch = &producer->batches[producer->batch_count++];
    *batch = (struct batch){
        .record_count = (uint32_t)prng_between(prng, 1, batch_record_count_max),
        .base_sequence = producer->sequence_next,
        .acks = producer->is_idempotent || prng_chance(prng, 1, 2) ? -1 : 1,
        .offset = -1,
    };
    producer->sequence_next += (int32_t)batch->record_count;
}

/* Errors after which the same batch may be sent again: nothing was appended. */
static bool is_retriable(int16_t code)
{
    return code == KAFKA_NOT_LEADER_OR_FOLLOWER || code == KAFKA_LEADER_NOT_AVAILABLE ||
           code == KAFKA_UNKNOWN_TOPIC_OR_PARTITION || code == KAFKA_KAFKA_STORAGE_ERROR;
}

static void note_answer(struct player *player, uint32_t index, int16_t code, int64_t offset)
{
    struct batch *batch = &player->producer->batches[index];
    if (code == KAFKA_NONE) {
        batch->offset = offset;
        batch->is_promised = batch->acks == -1;
        batch->is_written = batch->power_loss_count == player->play->power_loss_count;
    } else if (player->producer->is_idempotent && (code == KAFKA_DUPLICATE_SEQUENCE_NUMBER ||
                                                   code == KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER)) {
        /* Sent again, it is behind what the broker remembers: it must be there. */
        batch->is_promised = true;
    } else if (code != KAFKA_REQUEST_TIMED_OUT && !is_retriable(code)) {
        WRONG(player, "batch %u of producer %u is answered %d", index, player->producer->index,
              code);
    }
}

/* Takes the oldest answer. False: the connection is broken, or to be left. */
static bool take_answer(struct player *player)
{
    struct sender *producer = player->producer;
    struct kafka_produce_reply reply;
    struct slice body;
    int32_t id;
    if (!sim_broker_client_receive(&player->client, &id, &body, answer_ns_max)) {
        sim_link_close(&player->client.link);
        return false;
    }
    if (id != player->correlation_ids[0] ||
        !sim_broker_client_decode(&player->client, &kafka_produce_reply_wire, produce_version, body,
                                  &reply) ||
        reply.topics.count != 1 || reply.topics.items[0].partitions.count != 1) {
        WRONG(player, "an answer to %d, not %d", id, player->correlation_ids[0]);
        return false;
    }
    const struct kafka_produce_reply_topics_partitions *answer =
        &reply.topics.items[0].partitions.items[0];
    const uint32_t index = producer->first_pending;
    note_answer(player, index, answer->error_code, answer->base_offset);
    if (is_retriable(answer->error_code) && producer->is_idempotent) {
        sim_link_close(&player->client.link); /* All from there on once more. */
        return false;
    }
    producer->first_pending++;
    player->sent--;
    memmove(player->correlation_ids, player->correlation_ids + 1,
            player->sent * sizeof player->correlation_ids[0]);
    return !is_over(player->play);
}

/* ---- Getting ready. ---- */

/* One request and its answer. False: the connection is broken. */
static bool ask(struct player *player, int16_t key, int16_t version,
                const struct wire_record *request_record, const void *request,
                const struct wire_record *reply_record, void *reply)
{
    struct slice body;
    int32_t id;
    return sim_broker_client_send(&player->client, key, version, request_record, request) != 0 &&
           sim_broker_client_receive(&player->client, &id, &body, answer_ns_max) &&
           sim_broker_client_decode(&player->client, reply_record, version, body, reply);
}

/* Whether the producer's partition has a leader; the topic is created by asking. */
static bool has_leader(struct player *player, bool *is_connected)
{
    char name[16];
    struct kafka_metadata_request_topics topic = {
        .name = slice_from_text(topic_of(player->producer, name))};
    struct kafka_metadata_request request = {.allow_auto_topic_creation = true};
    struct kafka_metadata_reply reply;
    request.topics.items = &topic;
    request.topics.count = 1;
    *is_connected = ask(player, KAFKA_API_METADATA, metadata_version, &kafka_metadata_request_wire,
                        &request, &kafka_metadata_reply_wire, &reply);
    return *is_connected && reply.topics.count == 1 && reply.topics.items[0].error_code == 0 &&
           reply.topics.items[0].partitions.count > 0 &&
           reply.topics.items[0].partitions.items[0].leader_id == 7;
}

static bool get_producer_id(struct player *player)
{
    struct sender *producer = player->producer;
    const struct kafka_init_producer_id_request request = {.transactional_id = SLICE_NULL,
                                                           .transaction_timeout_ms = 60000};
    struct kafka_init_producer_id_reply reply;
    if (!producer->is_idempotent || producer->producer_id >= 0)
        return true;
    if (!ask(player, KAFKA_API_INIT_PRODUCER_ID, producer_id_version,
             &kafka_init_producer_id_request_wire, &request, &kafka_init_producer_id_reply_wire,
             &reply) ||
        reply.error_code != 0)
        return false;
    producer->producer_id = reply.producer_id;
    producer->producer_epoch = reply.producer_epoch;
    return true;
}

/* Dials until the partition can be written to. */
static bool get_ready(struct player *player)
{
    while (!is_over(player->play)) {
        bool is_connected = false;
        sim_link_close(&player->client.link);
        if (!sim_link_open(&player->client.link, sim_net_address(broker_node, broker_port),
                           5 * ns_per_s)) {
            sim_link_sleep(&player->client.link, 300 * ns_per_ms);
            continue;
        }
        bool is_ready = has_leader(player, &is_connected);
        while (is_connected && !is_ready && !is_over(player->play)) {
            sim_link_sleep(&player->client.link, 200 * ns_per_ms);
            is_ready = has_leader(player, &is_connected);
        }
        if (is_ready && get_producer_id(player))
            return true;
        sim_link_sleep(&player->client.link, 100 * ns_per_ms);
    }
    return false;
}

/* What was sent on an older connection: once more, or given up. */
static bool send_again(struct player *player)
{
    struct sender *producer = player->producer;
    player->sent = 0;
    if (!producer->is_idempotent) {
        producer->first_pending = producer->batch_count;
        return true;
    }
    while (producer->first_pending + player->sent < producer->batch_count) {
        if (!send_batch(player, producer->first_pending + player->sent))
            return false;
    }
    return true;
}

static bool produce_some(struct player *player)
{
    struct sender *producer = player->producer;
    struct prng *prng = &player->play->prng;
    while (producer->steps_left > 0 && !is_over(player->play)) {
        producer->steps_left--;
        if (prng_chance(prng, 1, 6))
            sim_link_sleep(&player->client.link, prng_below(prng, 400 * ns_per_ms));
        while (player->sent == pending_count_max) {
            if (!take_answer(player))
                return false;
        }
        if (producer->batch_count == batch_count_max)
            break;
        add_batch(player);
        if (!send_batch(player, producer->batch_count - 1))
            return false;
    }
    while (player->sent > 0) {
        if (!take_answer(player))
            return false;
    }
    return true;
}

static void run_producer(struct sim_node *node, void *argument)
{
    struct sender *producer = argument;
    struct player *player = heap_take_zeroed(&node->heap, sizeof *player);
    assert(player != NULL);
    player->play = producer->play;
    player->producer = producer;
    player->node = node;
    sim_broker_client_init(&player->client, node->io, &node->heap);
    while (!producer->is_finished && get_ready(player))
        producer->is_finished = send_again(player) && produce_some(player);
    sim_link_close(&player->client.link);
}

/* ---- The last scan. ---- */

static struct batch *batch_of(struct player *player, uint64_t number)
{
    const struct sender *producer = player->producer;
    const uint64_t index = number / 16;
    if (index >= producer->batch_count || number % 16 >= producer->batches[index].record_count)
        return NULL;
    return &player->producer->batches[index];
}

/* One record as it was found. */
static void judge_record(struct player *player, const struct record *record, uint64_t *number)
{
    uint8_t value[value_bytes_max];
    const struct sender *producer = player->producer;
    *number = UINT64_MAX;
    if (record->value.size < 12 || load_u32(record->value.data) != producer->index) {
        WRONG(player, "offset %lld holds what producer %u never sent", (long long)record->offset,
              producer->index);
        return;
    }
    *number = load_u64(record->value.data + 4);
    const size_t size = make_value(producer->index, *number, value);
    if (batch_of(player, *number) == NULL || !slice_equal(slice_of(value, size), record->value))
        WRONG(player, "offset %lld holds a damaged record", (long long)record->offset);
}

/* A whole batch as it was found, which begins at the offset that is due. */
static void judge_batch(struct player *player, const struct record_batch_walk *walk, int64_t due)
{
    struct record_walk records;
    struct record record;
    enum err err;
    uint64_t number;
    uint32_t count = 0;
    struct batch *batch = NULL;
    if (walk->batch.base_offset != due || !record_batch_crc_matches(&walk->batch, walk->bytes)) {
        WRONG(player, "producer %u: a batch at %lld, damaged or not where it is due, %lld",
              player->producer->index, (long long)walk->batch.base_offset, (long long)due);
        return;
    }
    record_walk_init(&records, &walk->batch, walk->bytes);
    while (record_walk_next(&records, &record, &err) && !is_over(player->play)) {
        judge_record(player, &record, &number);
        if (is_over(player->play))
            return;
        if (count == 0)
            batch = batch_of(player, number);
        if (number % 16 != count++ || batch != batch_of(player, number))
            WRONG(player, "offset %lld: records of a batch are mixed", (long long)record.offset);
    }
    if (is_over(player->play) || batch == NULL)
        return;
    if (batch->is_found || count != batch->record_count)
        WRONG(player, "producer %u: batch %u is there twice, or in part", player->producer->index,
              (unsigned)(batch - player->producer->batches));
    batch->is_found = true;
    const bool must_be_there = batch->is_promised || batch->is_written;
    if (must_be_there && batch->offset >= 0 && batch->offset != due)
        WRONG(player, "producer %u: batch %u is at %lld, not at %lld as answered",
              player->producer->index, (unsigned)(batch - player->producer->batches),
              (long long)due, (long long)batch->offset);
}

/* Batches from offset on. False: the connection is broken. */
static bool fetch(struct player *player, int64_t *offset, bool *is_end)
{
    char name[16];
    struct kafka_fetch_request_topics_partitions partition = {
        .current_leader_epoch = -1,
        .fetch_offset = *offset,
        .log_start_offset = -1,
        .partition_max_bytes = (int32_t)prng_between(&player->play->prng, 100, 20000),
    };
    struct kafka_fetch_request_topics topic = {
        .topic = slice_from_text(topic_of(player->producer, name))};
    topic.partitions.items = &partition;
    topic.partitions.count = 1;
    struct kafka_fetch_request request = {.replica_id = -1,
                                          .max_wait_ms = 10,
                                          .min_bytes = 1,
                                          .max_bytes = 1 << 20,
                                          .session_epoch = -1,
                                          .rack_id = SLICE_LITERAL("")};
    struct kafka_fetch_reply reply;
    request.topics.items = &topic;
    request.topics.count = 1;
    if (!ask(player, KAFKA_API_FETCH, fetch_version, &kafka_fetch_request_wire, &request,
             &kafka_fetch_reply_wire, &reply))
        return false;
    if (reply.topics.count != 1 || reply.topics.items[0].partitions.count != 1) {
        WRONG(player, "a fetch answers %d", reply.error_code);
        return true;
    }
    const struct kafka_fetch_reply_topics_partitions *answer =
        &reply.topics.items[0].partitions.items[0];
    if (answer->error_code != KAFKA_NONE) {
        if (!is_retriable(answer->error_code))
            WRONG(player, "a fetch at %lld of %lld answers %d", (long long)*offset,
                  (long long)answer->high_watermark, answer->error_code);
        return false;
    }
    struct record_batch_walk walk;
    enum err err;
    record_batch_walk_init(&walk, answer->records);
    while (record_batch_walk_next(&walk, &err) && !is_over(player->play)) {
        judge_batch(player, &walk, *offset);
        *offset = record_batch_last_offset(&walk.batch) + 1;
    }
    *is_end = *offset >= answer->high_watermark;
    return true;
}

static void judge_batches(struct player *player)
{
    const struct sender *producer = player->producer;
    for (uint32_t index = 0; index < producer->batch_count; index++) {
        const struct batch *batch = &producer->batches[index];
        const bool must_be_there = batch->is_promised || batch->is_written;
        if (must_be_there && !batch->is_found)
            WRONG(player, "producer %u: batch %u, answered with acks=%d at offset %lld, is lost",
                  producer->index, index, batch->acks, (long long)batch->offset);
    }
}

/* Reads all of one producer's partition. */
static void scan(struct player *player)
{
    struct sender *producer = player->producer;
    bool is_end = false;
    while (!is_end && get_ready(player)) {
        int64_t offset = 0;
        for (uint32_t index = 0; index < producer->batch_count; index++)
            producer->batches[index].is_found = false;
        while (!is_end && !is_over(player->play) && fetch(player, &offset, &is_end)) {
        }
    }
    if (is_end && !is_over(player->play))
        judge_batches(player);
}

static void run_scan(struct sim_node *node, void *argument)
{
    struct play *play = argument;
    struct player *player = heap_take_zeroed(&node->heap, sizeof *player);
    assert(player != NULL);
    player->play = play;
    player->node = node;
    sim_broker_client_init(&player->client, node->io, &node->heap);
    for (uint32_t index = 0; index < play->producer_count && !is_over(play); index++) {
        player->producer = &play->producers[index];
        scan(player);
    }
    sim_link_close(&player->client.link);
    play->is_checked = true;
}

/* ---- The run. ---- */

/* With the power goes what was only written; and with a failed sync, which may throw pages away. */
static void on_power_lost(struct play *play)
{
    play->power_loss_count++;
    for (uint32_t producer = 0; producer < play->producer_count; producer++) {
        for (uint32_t index = 0; index < play->producers[producer].batch_count; index++)
            play->producers[producer].batches[index].is_written = false;
    }
}

static void judge_servers(struct play *play)
{
    struct sim_workload_result *result = play->result;
    const bool may_fail = play->sim->options.faults.sync_error_per_million > 0 ||
                          play->sim->options.faults.write_error_per_million > 0;
    for (uint32_t index = 0; index <= broker_node && !may_fail; index++) {
        const struct sim_node *node = play->sim->nodes[index];
        if (is_over(play) || sim_node_is_up(node))
            continue;
        if (node->end == SIM_NODE_FATAL) {
            result->verdict = SIM_CRASHED;
            memcpy(result->why, node->fatal_line, sizeof result->why);
        }
        if (node->end == SIM_NODE_RETURNED && !play->is_stopping)
            sim_workload_wrong(result, play->sim, "%s ends by itself: %s, %s", node->name,
                               err_text(play->start_err), err_text(play->broker_failure));
    }
}

static void revive(struct play *play)
{
    struct sim_node *keeper = play->sim->nodes[keeper_node];
    struct sim_node *broker = play->sim->nodes[broker_node];
    judge_servers(play);
    if (!sim_node_is_up(keeper)) {
        if (keeper->end == SIM_NODE_FATAL || keeper->end == SIM_NODE_RETURNED)
            sim_node_lose_power(keeper, SIM_LOSS_RANDOM);
        sim_node_start(keeper, run_keeper, play);
    }
    if (sim_node_is_up(broker))
        return;
    /* After a failed sync the machine is restarted too, or only the process: then the page cache
     * shows bytes that the kernel will never write. */
    if ((broker->end == SIM_NODE_FATAL || broker->end == SIM_NODE_RETURNED) &&
        prng_chance(&play->prng, 1, 2))
        sim_node_lose_power(broker, SIM_LOSS_RANDOM);
    if (broker->end == SIM_NODE_LOST_POWER ||
        play->sim->counters.disk_errors > play->disk_errors_before)
        on_power_lost(play);
    if (play->options->crash_boundary_again > 0 && play->revival_count++ == 0)
        sim_crash_at(broker, play->options->crash_boundary_again, play->options->crash_loss);
    play->disk_errors_before = play->sim->counters.disk_errors;
    sim_node_start(broker, run_broker, play);
}

static bool are_finished(void *context)
{
    const struct play *play = context;
    if (is_over(play))
        return true;
    for (uint32_t index = 0; index < play->producer_count; index++)
        if (!play->producers[index].is_finished)
            return false;
    return true;
}

static bool is_server_down(const struct play *play)
{
    return !sim_node_is_up(play->sim->nodes[keeper_node]) ||
           !sim_node_is_up(play->sim->nodes[broker_node]);
}

static bool needs_help(void *context)
{
    struct play *play = context;
    return are_finished(play) || is_server_down(play);
}

static void make_trouble(struct play *play)
{
    struct sim *sim = play->sim;
    struct prng *prng = &play->prng;
    const uint32_t node = (uint32_t)prng_below(prng, first_client_node + play->producer_count);
    const uint64_t choice = prng_below(prng, 100);
    if (choice < 35)
        sim_node_lose_power(sim->nodes[broker_node], SIM_LOSS_RANDOM);
    else if (choice < 55)
        sim_node_kill(sim->nodes[broker_node]);
    else if (choice < 62)
        sim_node_lose_power(sim->nodes[keeper_node], SIM_LOSS_RANDOM);
    else if (choice < 70)
        sim_node_kill(sim->nodes[keeper_node]);
    else if (choice < 80)
        sim_net_reset(sim, node);
    else if (choice < 88)
        sim_net_block(sim, node, (uint32_t)prng_below(prng, first_client_node + 1));
    else
        sim_net_heal(sim);
}

static void run_swarm(struct play *play)
{
    struct sim *sim = play->sim;
    const uint64_t pause_ns_max = prng_between(&play->prng, 500 * ns_per_ms, 8 * ns_per_s);
    for (uint32_t round = 0; round < trouble_count_max && !are_finished(play); round++) {
        const uint64_t pause_ns = prng_below(&play->prng, pause_ns_max);
        if (!sim_run(sim, sim->now_ns + pause_ns, needs_help, play))
            make_trouble(play);
        if (is_server_down(play))
            revive(play);
    }
    sim_net_heal(sim);
    sim->faults = sim_workload_calm();
    if (is_server_down(play))
        revive(play);
}

static void note_boundaries(struct play *play)
{
    if (play->result->boundary_count == 0)
        play->result->boundary_count = play->sim->nodes[broker_node]->disk.boundary_count;
}

static void set_stuck(struct play *play, const char *why)
{
    if (is_over(play))
        return;
    play->result->verdict = SIM_STUCK;
    snprintf(play->result->why, sizeof play->result->why, "%s", why);
}

static bool is_enough(void *context)
{
    struct play *play = context;
    return play->is_checked || is_over(play) || is_server_down(play);
}

/* Until everybody is done, and all was read. */
static void run_quietly(struct play *play)
{
    struct sim *sim = play->sim;
    const uint64_t end_ns = sim->now_ns + run_ns_max;
    while (!are_finished(play) && sim->now_ns < end_ns) {
        if (is_server_down(play)) {
            note_boundaries(play);
            revive(play);
        }
        sim_run(sim, end_ns, needs_help, play);
    }
    note_boundaries(play);
    if (!are_finished(play))
        set_stuck(play, "a producer never comes to its end");
}

static void run_last_scan(struct play *play)
{
    struct sim *sim = play->sim;
    const uint64_t end_ns = sim->now_ns + run_ns_max;
    play->is_checked = false;
    if (sim_node_is_up(sim->nodes[first_client_node]))
        sim_node_kill(sim->nodes[first_client_node]);
    sim_node_start(sim->nodes[first_client_node], run_scan, play);
    while (!play->is_checked && !is_over(play) && sim->now_ns < end_ns) {
        if (is_server_down(play))
            revive(play);
        sim_run(sim, end_ns, is_enough, play);
    }
    if (!play->is_checked)
        set_stuck(play, "the last scan never ends");
}

static bool are_servers_down(void *context)
{
    const struct play *play = context;
    return !sim_node_is_up(play->sim->nodes[broker_node]);
}

/* All is read; then the power goes, and all that was promised is read again; then a clean stop. */
static void run_epilogue(struct play *play)
{
    struct sim *sim = play->sim;
    struct sim_node *broker = sim->nodes[broker_node];
    sim_crash_at(broker, 0, SIM_LOSS_ALL);
    run_last_scan(play);
    if (is_over(play))
        return;
    sim_node_lose_power(broker, SIM_LOSS_ALL);
    run_last_scan(play);
    if (is_over(play))
        return;
    play->is_stopping = true;
    if (!sim_run(sim, sim->now_ns + 600 * ns_per_s, are_servers_down, play)) {
        set_stuck(play, "the broker does not stop");
        return;
    }
    play->is_stopping = false;
    sim_disk_lose_power(&broker->disk, SIM_LOSS_ALL);
    sim_node_start(broker, run_broker, play);
    run_last_scan(play);
}

static void start(struct play *play)
{
    struct sim *sim = play->sim;
    const struct sim_workload_options *options = play->options;
    for (uint32_t index = 0; index < play->producer_count; index++) {
        struct sender *producer = &play->producers[index];
        producer->play = play;
        producer->index = index;
        producer->producer_id = -1;
        producer->is_idempotent = index == 0;
        producer->steps_left = options->steps * (options->is_swarm ? swarm_length : 1);
        sim_node_start(sim->nodes[first_client_node + index], run_producer, producer);
    }
    if (!options->is_swarm)
        sim_crash_at(sim->nodes[broker_node], options->crash_boundary, options->crash_loss);
    sim_node_start(sim->nodes[keeper_node], run_keeper, play);
    sim_node_start(sim->nodes[broker_node], run_broker, play);
}

static struct sim_workload_result run(const struct sim_workload_options *options)
{
    struct sim_workload_result result = {.verdict = SIM_RIGHT};
    struct sim sim;
    struct prng prng;
    prng_init(&prng, options->seed ^ 0x62726f6b6572);
    sim_init(&sim, (struct sim_options){
                       .seed = options->seed,
                       .node_count = first_client_node + producer_count_max,
                       .faults = options->is_swarm ? sim_workload_draw_faults(&prng)
                                                   : sim_workload_calm(),
                       .is_verbose = options->is_verbose,
                       .is_traced = options->is_traced,
                   });
    struct play *play = heap_take_zeroed(&sim.heap, sizeof *play);
    assert(play != NULL);
    play->options = options;
    play->result = &result;
    play->sim = &sim;
    play->prng = prng;
    play->producer_count = producer_count_max;
    start(play);
    if (options->is_swarm)
        run_swarm(play);
    run_quietly(play);
    if (!is_over(play))
        run_epilogue(play);
    if (is_over(play))
        sim_report(&sim);
    result.trace_hash = sim.trace_hash;
    result.counters = sim.counters;
    sim_deinit(&sim);
    return result;
}

const struct sim_workload workload_broker = {.name = "broker", .steps = 25, .run = run};
