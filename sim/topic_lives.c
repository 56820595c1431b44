#include "sim/topic_lives.h"

#include "base/bytes.h"

#include <stdio.h>

enum { value_bytes_max = 300, value_head_bytes = 8 };

#define WRONG(lives, ...) sim_workload_wrong((lives)->result, (lives)->sim, __VA_ARGS__)

struct slice topic_lives_name(void)
{
    return SLICE_LITERAL("lives");
}

/* ---- Lives. ---- */

uint32_t topic_lives_find(const struct topic_lives *lives, struct uuid id)
{
    uint32_t number = lives->life_count;
    while (number > 0 && !uuid_equal(lives->lives[number - 1].id, id))
        number--;
    return number;
}

static struct cluster_ledger *make_ledger(struct topic_lives *lives, uint32_t number)
{
    struct cluster_ledger *ledger = heap_take_zeroed(&lives->sim->heap, sizeof *ledger);
    assert(ledger != NULL);
    ledger->sim = lives->sim;
    ledger->result = lives->result;
    ledger->first_broker_node = lives->first_broker_node;
    ledger->broker_count = lives->broker_count;
    ledger->may_lose_written = lives->promises_nothing;
    for (uint32_t index = 0; index < topic_lives_partition_count_max; index++)
        snprintf(ledger->names[index], sizeof ledger->names[index], "lives-%u in life %u", index,
                 number);
    cluster_ledger_init(ledger);
    return ledger;
}

static uint32_t learn(struct topic_lives *lives, struct uuid id)
{
    uint32_t number = topic_lives_find(lives, id);
    if (number > 0 || uuid_is_zero(id) || lives->life_count == topic_life_count_max)
        return number;
    struct topic_life *life = &lives->lives[lives->life_count++];
    life->id = id;
    life->ledger = make_ledger(lives, lives->life_count);
    memcpy(life->acked_before, lives->acked_count, sizeof life->acked_before);
    return lives->life_count;
}

/* No batch is twice in a log. */
static int64_t end_max(const struct topic_lives *lives, uint32_t life, int32_t partition)
{
    return lives->sent_count[partition] - lives->lives[life - 1].acked_before[partition];
}

static void look_at(struct topic_lives *lives, uint32_t broker, const struct broker_server *server,
                    const struct partition *partition)
{
    const uint32_t number = learn(lives, partition->topic_id);
    if (number == 0)
        return;
    if (partition_is_led(partition) && number < lives->life_count)
        WRONG(lives, "broker %u leads lives-%d in life %u, and there is life %u", broker + 1,
              partition->index, number, lives->life_count);
    if (partition->store != NULL &&
        partition_store_log_end_offset(partition->store) > end_max(lives, number, partition->index))
        WRONG(lives, "broker %u has %lld records of lives-%d in life %u, of at most %lld",
              broker + 1, (long long)partition_store_log_end_offset(partition->store),
              partition->index, number, (long long)end_max(lives, number, partition->index));
    cluster_ledger_look_at(lives->lives[number - 1].ledger, broker, server,
                           (uint32_t)partition->index, partition);
}

void topic_lives_look(struct topic_lives *lives, uint32_t broker,
                      const struct broker_server *server)
{
    for (int32_t index = 0; index < topic_lives_partition_count_max; index++) {
        const struct partition *partition =
            partition_table_find(&server->partitions, topic_lives_name(), index);
        if (partition != NULL)
            look_at(lives, broker, server, partition);
    }
}

/* ---- Batches. ---- */

/* A value names its batch and its place there. */
static size_t make_value(uint32_t number, uint32_t record, uint8_t value[value_bytes_max])
{
    struct prng prng;
    prng_init(&prng, (uint64_t)number << 8 | record);
    const size_t size = value_head_bytes + prng_below(&prng, value_bytes_max - value_head_bytes);
    store_u32(value, number);
    store_u32(value + 4, record);
    for (size_t at = value_head_bytes; at < size; at++)
        value[at] = (uint8_t)prng_next(&prng);
    return size;
}

uint32_t topic_lives_add_batch(struct topic_lives *lives, struct prng *prng, int32_t partition)
{
    if (lives->batch_count == topic_lives_batch_count_max)
        return UINT32_MAX;
    lives->batches[lives->batch_count] = (struct topic_lives_batch){
        .partition = partition,
        .record_count = (uint32_t)prng_between(prng, 1, topic_lives_record_count_max),
        .sent_first = UINT32_MAX};
    return lives->batch_count++;
}

struct slice topic_lives_write_batch(const struct topic_lives *lives, uint32_t number,
                                     struct record_batch_writer *writer)
{
    uint8_t value[value_bytes_max];
    for (uint32_t record = 0; record < lives->batches[number].record_count; record++) {
        const size_t size = make_value(number, record, value);
        const bool fits = record_batch_writer_add(writer, SLICE_NULL, slice_of(value, size));
        assert(fits);
    }
    return record_batch_writer_finish(writer);
}

void topic_lives_on_send(struct topic_lives *lives, uint32_t number)
{
    struct topic_lives_batch *batch = &lives->batches[number];
    batch->sent_last = lives->life_count;
    if (batch->sent_first != UINT32_MAX)
        return;
    batch->sent_first = lives->life_count;
    lives->sent_count[batch->partition] += batch->record_count;
}

void topic_lives_on_ack(struct topic_lives *lives, uint32_t number, int64_t offset)
{
    struct topic_lives_batch *batch = &lives->batches[number];
    if (lives->life_count == 0)
        WRONG(lives, "batch %u is acknowledged, and nobody knows the topic", number);
    batch->acked = lives->life_count;
    batch->offset = offset;
    lives->acked_count[batch->partition] += batch->record_count;
}

/* ---- What is read. ---- */

/* NULL: it is not one of the batches, or not all of one, and that is said. */
static struct topic_lives_batch *recognise(struct topic_lives *lives,
                                           const struct record_batch_walk *walk)
{
    struct record_walk records;
    struct record record;
    enum err err;
    uint8_t value[value_bytes_max];
    uint32_t count = 0;
    uint32_t number = UINT32_MAX;
    record_walk_init(&records, &walk->batch, walk->bytes);
    while (record_walk_next(&records, &record, &err)) {
        if (count == 0 && record.value.size >= value_head_bytes)
            number = load_u32(record.value.data);
        if (number >= lives->batch_count || count >= lives->batches[number].record_count ||
            !slice_equal(slice_of(value, make_value(number, count, value)), record.value)) {
            WRONG(lives, "offset %lld holds what nobody sent", (long long)record.offset);
            return NULL;
        }
        count++;
    }
    if (count != lives->batches[number].record_count) {
        WRONG(lives, "batch %u is there in part", number);
        return NULL;
    }
    return &lives->batches[number];
}

/* Whether this life, and no other, has acknowledged it. */
static bool is_promised_by(const struct topic_lives_batch *batch, uint32_t life)
{
    return batch->acked == life && batch->sent_last == life;
}

static void judge_batch(struct topic_lives *lives, uint32_t life, struct topic_lives_batch *batch,
                        int64_t offset)
{
    const unsigned number = (unsigned)(batch - lives->batches);
    if (batch->acked != 0 && batch->acked < life)
        WRONG(lives, "batch %u is in life %u at %lld, and was acknowledged in life %u", number,
              life, (long long)offset, batch->acked);
    if (batch->sent_first > life)
        WRONG(lives, "batch %u is in life %u at %lld, and was sent in life %u", number, life,
              (long long)offset, batch->sent_first);
    if (is_promised_by(batch, life) && !lives->promises_nothing && batch->offset != offset)
        WRONG(lives, "batch %u is in life %u at %lld, not at %lld as answered", number, life,
              (long long)offset, (long long)batch->offset);
    if (batch->found_life == life && batch->found_offset != offset && !lives->promises_nothing)
        WRONG(lives, "batch %u is in life %u at %lld, and was at %lld", number, life,
              (long long)offset, (long long)batch->found_offset);
    batch->found_life = life;
    batch->found_offset = offset;
}

void topic_lives_judge(struct topic_lives *lives, uint32_t life, int32_t partition,
                       const struct record_batch_walk *walk, int64_t due)
{
    if (walk->batch.base_offset > due || record_batch_last_offset(&walk->batch) < due ||
        !record_batch_crc_matches(&walk->batch, walk->bytes)) {
        WRONG(lives, "lives-%d in life %u: a batch at %lld, damaged or not where it is due, %lld",
              partition, life, (long long)walk->batch.base_offset, (long long)due);
        return;
    }
    struct topic_lives_batch *batch = recognise(lives, walk);
    if (batch == NULL)
        return;
    if (batch->partition != partition)
        WRONG(lives, "offset %lld of lives-%d in life %u is of lives-%d", (long long)due, partition,
              life, batch->partition);
    judge_batch(lives, life, batch, walk->batch.base_offset);
}

void topic_lives_judge_end(struct topic_lives *lives, uint32_t life, int32_t partition,
                           int64_t high_watermark)
{
    if (high_watermark > end_max(lives, life, partition))
        WRONG(lives, "lives-%d in life %u: a high watermark of %lld is told, of at most %lld",
              partition, life, (long long)high_watermark,
              (long long)end_max(lives, life, partition));
}

/* ---- The last scan. ---- */

void topic_lives_begin_scan(struct topic_lives *lives)
{
    for (uint32_t number = 0; number < lives->batch_count; number++)
        lives->batches[number].found_life = 0;
}

void topic_lives_end_scan(struct topic_lives *lives)
{
    for (uint32_t number = 0; number < lives->batch_count; number++) {
        const struct topic_lives_batch *batch = &lives->batches[number];
        if (is_promised_by(batch, lives->life_count) && batch->found_life == 0 &&
            !lives->promises_nothing)
            WRONG(lives, "batch %u, acknowledged in life %u at %lld, is lost", number,
                  lives->life_count, (long long)batch->offset);
    }
}
