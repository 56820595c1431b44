#include "sim/broker_player.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "broker/error_code.h"
#include "broker/record_batch.h"
#include "sim/sim_broker_client.h"
#include "sim/sim_net.h"

#include <stdio.h>

enum {
    batch_record_count_max = 4,
    pending_count_max = 5,
    value_bytes_max = 400,
    batch_bytes_max = 4096,
    produce_version = 7,
    fetch_version = 11,
    metadata_version = 7,
    producer_id_version = 1,
};

static const uint64_t ns_per_ms = 1000000;
static const uint64_t ns_per_s = 1000000000;
static const uint64_t answer_ns_max = 40000000000;

struct player {
    struct broker_stage *stage;
    struct broker_producer *producer;
    struct sim_node *node;
    struct sim_broker_client client;
    bool is_reader;
    /* Of each producer's partition, the latest that is known: an older leader may not know that it
     * is one. */
    int32_t leader_epochs[broker_producer_count_max];
    uint32_t sent; /* Batches from producer->first_pending on that this connection has sent. */
    int32_t correlation_ids[pending_count_max + 1];
    uint8_t batch[batch_bytes_max];
};

#define WRONG(player, ...)                                                                         \
    sim_workload_wrong((player)->stage->result, (player)->stage->sim, __VA_ARGS__)

/* ---- The stage. ---- */

void broker_stage_init(struct broker_stage *stage, uint32_t steps)
{
    stage->producer_count = broker_producer_count_max;
    for (uint32_t index = 0; index < stage->producer_count; index++) {
        struct broker_producer *producer = &stage->producers[index];
        producer->stage = stage;
        producer->index = index;
        producer->producer_id = -1;
        producer->is_idempotent = index == 0;
        producer->steps_left = steps;
    }
}

void broker_stage_forget_written(struct broker_stage *stage)
{
    stage->forgotten_count++;
    for (uint32_t index = 0; index < stage->producer_count; index++) {
        struct broker_producer *producer = &stage->producers[index];
        for (uint32_t batch = 0; batch < producer->batch_count; batch++)
            producer->batches[batch].is_written = false;
    }
}

bool broker_stage_is_over(const struct broker_stage *stage)
{
    return stage->result->verdict != SIM_RIGHT;
}

bool broker_stage_is_finished(const struct broker_stage *stage)
{
    for (uint32_t index = 0; index < stage->producer_count; index++)
        if (!stage->producers[index].is_finished && !broker_stage_is_over(stage))
            return false;
    return true;
}

void broker_stage_set_stuck(struct broker_stage *stage, const char *why)
{
    sim_workload_stuck(stage->result, why);
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
    const struct broker_producer *producer = player->producer;
    const struct broker_batch *batch = &producer->batches[index];
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

static const char *topic_of(const struct broker_producer *producer, char name[16])
{
    snprintf(name, 16, "topic-%u", producer->index);
    return name;
}

/* ---- Producing. ---- */

static bool send_batch(struct player *player, uint32_t index)
{
    char name[16];
    struct broker_producer *producer = player->producer;
    producer->batches[index].forgotten_before = player->stage->forgotten_count;
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
    struct broker_producer *producer = player->producer;
    struct prng *prng = &player->stage->prng;
    const bool is_acks_all =
        producer->is_idempotent || !player->stage->has_acks_1 || prng_chance(prng, 1, 2);
    struct broker_batch *batch = &producer->batches[producer->batch_count++];
    *batch = (struct broker_batch){
        .record_count = (uint32_t)prng_between(prng, 1, batch_record_count_max),
        .base_sequence = producer->sequence_next,
        .acks = is_acks_all ? -1 : 1,
        .offset = -1,
        .offset_seen = -1,
    };
    producer->sequence_next += (int32_t)batch->record_count;
}

/* Errors after which the same batch may be sent again: nothing was appended. */
static bool is_retriable(int16_t code)
{
    return code == KAFKA_NOT_LEADER_OR_FOLLOWER || code == KAFKA_LEADER_NOT_AVAILABLE ||
           code == KAFKA_UNKNOWN_TOPIC_OR_PARTITION || code == KAFKA_KAFKA_STORAGE_ERROR ||
           code == KAFKA_NOT_ENOUGH_REPLICAS || code == KAFKA_FENCED_LEADER_EPOCH ||
           code == KAFKA_UNKNOWN_LEADER_EPOCH;
}

/* Errors that leave open whether it was. */
static bool may_be_appended(int16_t code)
{
    return code == KAFKA_REQUEST_TIMED_OUT || code == KAFKA_NOT_ENOUGH_REPLICAS_AFTER_APPEND;
}

static void note_answer(struct player *player, uint32_t index, int16_t code, int64_t offset)
{
    struct broker_batch *batch = &player->producer->batches[index];
    if (code == KAFKA_NONE) {
        batch->offset = offset;
        batch->is_promised = batch->acks == -1 && !player->stage->promises_nothing;
        batch->is_written = batch->forgotten_before == player->stage->forgotten_count &&
                            !player->stage->promises_nothing;
    } else if (player->producer->is_idempotent && (code == KAFKA_DUPLICATE_SEQUENCE_NUMBER ||
                                                   code == KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER)) {
        /* Sent again, it is behind what the broker remembers: it must be there. Not so where
         * replicas were missing: it may have been refused for that, and the one behind it taken as
         * the first of an unknown producer, as Apache's broker does. */
        batch->is_promised = player->stage->broker_count == 1;
    } else if (!is_retriable(code) && !may_be_appended(code)) {
        WRONG(player, "batch %u of producer %u is answered %d", index, player->producer->index,
              code);
    }
}

/* Takes the oldest answer. False: the connection is broken, or to be left. */
static bool take_answer(struct player *player)
{
    struct broker_producer *producer = player->producer;
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
    if (producer->is_idempotent &&
        (is_retriable(answer->error_code) || may_be_appended(answer->error_code))) {
        sim_link_close(&player->client.link); /* All from there on once more. */
        return false;
    }
    producer->first_pending++;
    player->sent--;
    memmove(player->correlation_ids, player->correlation_ids + 1,
            player->sent * sizeof player->correlation_ids[0]);
    return !broker_stage_is_over(player->stage);
}

/* ---- Getting ready. ---- */

/* One request and its answer. False: the connection is broken. */
static bool ask(struct player *player, int16_t key, int16_t version,
                const struct wire_record *request_record, const void *request,
                const struct wire_record *reply_record, void *reply)
{
    return sim_broker_client_ask(&player->client,
                                 &(struct sim_broker_ask){.key = key,
                                                          .version = version,
                                                          .request_record = request_record,
                                                          .request = request,
                                                          .reply_record = reply_record,
                                                          .reply = reply,
                                                          .timeout_ns = answer_ns_max});
}

/* Who leads the producer's partition, which is created by asking; -1: nobody, or one that led
 * before. False: the connection is broken. */
static bool find_leader(struct player *player, int32_t *leader)
{
    char name[16];
    struct kafka_metadata_request_topics topic = {
        .name = slice_from_text(topic_of(player->producer, name))};
    struct kafka_metadata_request request = {.allow_auto_topic_creation = true};
    struct kafka_metadata_reply reply;
    *leader = -1;
    request.topics.items = &topic;
    request.topics.count = 1;
    if (!ask(player, KAFKA_API_METADATA, metadata_version, &kafka_metadata_request_wire, &request,
             &kafka_metadata_reply_wire, &reply))
        return false;
    if (reply.topics.count != 1 || reply.topics.items[0].error_code != KAFKA_NONE ||
        reply.topics.items[0].partitions.count == 0)
        return true;
    const struct kafka_metadata_reply_topics_partitions *partition =
        &reply.topics.items[0].partitions.items[0];
    int32_t *leader_epoch = &player->leader_epochs[player->producer->index];
    if (partition->leader_epoch < *leader_epoch)
        return true;
    *leader_epoch = partition->leader_epoch;
    *leader = partition->leader_id;
    return true;
}

static bool get_producer_id(struct player *player)
{
    struct broker_producer *producer = player->producer;
    const struct kafka_init_producer_id_request request = {.transactional_id = SLICE_NULL,
                                                           .transaction_timeout_ms = 60000};
    struct kafka_init_producer_id_reply reply;
    if (player->is_reader || !producer->is_idempotent || producer->producer_id >= 0)
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

static bool dial(struct player *player, uint32_t broker)
{
    sim_link_close(&player->client.link);
    return sim_link_open(
        &player->client.link,
        sim_net_address(player->stage->first_broker_node + broker, broker_player_port),
        5 * ns_per_s);
}

/* Asks any broker for the leader, and goes to it. False: there is none. */
static bool reach_leader(struct player *player)
{
    const struct broker_stage *stage = player->stage;
    const uint32_t first = (uint32_t)prng_below(&player->stage->prng, stage->broker_count);
    uint32_t broker = first;
    if (!dial(player, broker)) {
        sim_link_sleep(&player->client.link, 300 * ns_per_ms);
        return false;
    }
    while (!broker_stage_is_over(stage)) {
        int32_t leader;
        if (!find_leader(player, &leader))
            return false;
        const uint32_t index = (uint32_t)(leader - stage->first_broker_id);
        if (index == broker)
            return true;
        if (leader < 0 || index >= stage->broker_count) {
            sim_link_sleep(&player->client.link, 200 * ns_per_ms);
            if (stage->broker_count > 1)
                return false;
            continue;
        }
        broker = index;
        if (!dial(player, broker))
            return false;
    }
    return false;
}

/* Dials until the partition can be written to. */
static bool get_ready(struct player *player)
{
    while (!broker_stage_is_over(player->stage)) {
        if (reach_leader(player) && get_producer_id(player))
            return true;
        sim_link_sleep(&player->client.link, 100 * ns_per_ms);
    }
    return false;
}

/* What was sent on an older connection: once more, or given up. */
static bool send_again(struct player *player)
{
    struct broker_producer *producer = player->producer;
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
    struct broker_producer *producer = player->producer;
    struct prng *prng = &player->stage->prng;
    while (producer->steps_left > 0 && !broker_stage_is_over(player->stage)) {
        producer->steps_left--;
        if (prng_chance(prng, 1, 6))
            sim_link_sleep(&player->client.link, prng_below(prng, player->stage->pause_ns_max));
        while (player->sent == pending_count_max) {
            if (!take_answer(player))
                return false;
        }
        if (producer->batch_count == broker_batch_count_max)
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

static struct player *make_player(struct sim_node *node, struct broker_stage *stage)
{
    struct player *player = heap_take_zeroed(&node->heap, sizeof *player);
    assert(player != NULL);
    player->stage = stage;
    player->node = node;
    sim_broker_client_init(&player->client, node->io, &node->heap);
    return player;
}

void broker_play_producer(struct sim_node *node, void *argument)
{
    struct broker_producer *producer = argument;
    struct player *player = make_player(node, producer->stage);
    player->producer = producer;
    while (!producer->is_finished && get_ready(player))
        producer->is_finished = send_again(player) && produce_some(player);
    sim_link_close(&player->client.link);
}

/* ---- The last scan. ---- */

static struct broker_batch *batch_of(struct player *player, uint64_t number)
{
    const struct broker_producer *producer = player->producer;
    const uint64_t index = number / 16;
    if (index >= producer->batch_count || number % 16 >= producer->batches[index].record_count)
        return NULL;
    return &player->producer->batches[index];
}

static bool must_be_found(const struct broker_batch *batch)
{
    return batch->is_promised || batch->is_written;
}

/* One record as it was found. */
static void judge_record(struct player *player, const struct record *record, uint64_t *number)
{
    uint8_t value[value_bytes_max];
    const struct broker_producer *producer = player->producer;
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
    struct broker_batch *batch = NULL;
    if (walk->batch.base_offset != due || !record_batch_crc_matches(&walk->batch, walk->bytes)) {
        WRONG(player, "producer %u: a batch at %lld, damaged or not where it is due, %lld",
              player->producer->index, (long long)walk->batch.base_offset, (long long)due);
        return;
    }
    record_walk_init(&records, &walk->batch, walk->bytes);
    while (record_walk_next(&records, &record, &err) && !broker_stage_is_over(player->stage)) {
        judge_record(player, &record, &number);
        if (broker_stage_is_over(player->stage))
            return;
        if (count == 0)
            batch = batch_of(player, number);
        if (number % 16 != count++ || batch != batch_of(player, number))
            WRONG(player, "offset %lld: records of a batch are mixed", (long long)record.offset);
    }
    if (broker_stage_is_over(player->stage) || batch == NULL)
        return;
    if (batch->offset_seen >= 0 && batch->offset_seen != due)
        WRONG(player, "producer %u: batch %u is at %lld, and was seen at %lld",
              player->producer->index, (unsigned)(batch - player->producer->batches),
              (long long)due, (long long)batch->offset_seen);
    if (player->is_reader) {
        batch->offset_seen = due;
        return;
    }
    if (batch->is_found || count != batch->record_count)
        WRONG(player, "producer %u: batch %u is there twice, or in part", player->producer->index,
              (unsigned)(batch - player->producer->batches));
    batch->is_found = true;
    if (must_be_found(batch) && batch->offset >= 0 && batch->offset != due)
        WRONG(player, "producer %u: batch %u is at %lld, not at %lld as answered",
              player->producer->index, (unsigned)(batch - player->producer->batches),
              (long long)due, (long long)batch->offset);
}

/* Batches from offset on. False: the connection is broken. */
static bool fetch(struct player *player, int64_t *offset, bool *is_end)
{
    char name[16];
    struct kafka_fetch_request_topics_partitions partition = {
        .current_leader_epoch = player->leader_epochs[player->producer->index],
        .fetch_offset = *offset,
        .log_start_offset = -1,
        .partition_max_bytes = (int32_t)prng_between(&player->stage->prng, 100, 20000),
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
    while (record_batch_walk_next(&walk, &err) && !broker_stage_is_over(player->stage)) {
        judge_batch(player, &walk, *offset);
        *offset = record_batch_last_offset(&walk.batch) + 1;
    }
    *is_end = *offset >= answer->high_watermark;
    return true;
}

static void judge_batches(struct player *player)
{
    const struct broker_producer *producer = player->producer;
    for (uint32_t index = 0; index < producer->batch_count; index++) {
        const struct broker_batch *batch = &producer->batches[index];
        const bool must_be_there = must_be_found(batch) || batch->offset_seen >= 0;
        if (must_be_there && !batch->is_found)
            WRONG(player, "producer %u: batch %u, answered with acks=%d at offset %lld, is lost",
                  producer->index, index, batch->acks, (long long)batch->offset);
    }
}

/* Reads all of one producer's partition. */
static void scan(struct player *player)
{
    struct broker_producer *producer = player->producer;
    bool is_end = false;
    while (!is_end && get_ready(player)) {
        int64_t offset = 0;
        for (uint32_t index = 0; index < producer->batch_count; index++)
            producer->batches[index].is_found = false;
        while (!is_end && !broker_stage_is_over(player->stage) && fetch(player, &offset, &is_end)) {
        }
    }
    if (is_end && !broker_stage_is_over(player->stage))
        judge_batches(player);
}

void broker_play_scan(struct sim_node *node, void *argument)
{
    struct broker_stage *stage = argument;
    struct player *player = make_player(node, stage);
    for (uint32_t index = 0; index < stage->producer_count && !broker_stage_is_over(stage);
         index++) {
        player->producer = &stage->producers[index];
        scan(player);
    }
    sim_link_close(&player->client.link);
    stage->is_scanned = true;
}

/* Follows each producer's partition in turn, a few batches at a time. */
void broker_play_reader(struct sim_node *node, void *argument)
{
    struct broker_stage *stage = argument;
    struct player *player = make_player(node, stage);
    int64_t offsets[broker_producer_count_max] = {0};
    player->is_reader = true;
    while (!broker_stage_is_over(stage)) {
        const uint32_t index = (uint32_t)prng_below(&stage->prng, stage->producer_count);
        uint64_t rounds = prng_between(&stage->prng, 1, 20);
        bool is_end = false;
        player->producer = &stage->producers[index];
        if (!get_ready(player))
            break;
        while (rounds-- > 0 && !broker_stage_is_over(stage) &&
               fetch(player, &offsets[index], &is_end)) {
        }
        sim_link_sleep(&player->client.link, prng_below(&stage->prng, 300 * ns_per_ms));
    }
    sim_link_close(&player->client.link);
}
