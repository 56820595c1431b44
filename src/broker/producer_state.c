#include "broker/producer_state.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/checksum.h"

enum { snapshot_version = 1, snapshot_crc_at = 2, snapshot_count_at = 6 };

void producer_state_init(struct producer_state *state, struct producer_budget *budget)
{
    *state = (struct producer_state){.budget = budget};
}

static bool has_id(const struct hash_link *link, const void *key)
{
    return CONTAINER_OF(link, const struct producer, link)->id == *(const int64_t *)key;
}

static struct producer *find(const struct producer_state *state, int64_t id)
{
    if (state->producers.count == 0)
        return NULL;
    const uint64_t hash = hash_u64((uint64_t)id, state->budget->seed);
    struct hash_link *link = hash_table_find(&state->producers, hash, has_id, &id);
    return link == NULL ? NULL : CONTAINER_OF(link, struct producer, link);
}

static enum err find_or_add(struct producer_state *state, int64_t id, struct producer **out)
{
    struct producer_budget *budget = state->budget;
    struct producer *producer = find(state, id);
    *out = producer;
    if (producer != NULL)
        return ERR_OK;
    if (budget->count >= budget->count_max)
        return ERR_LIMIT;
    if (state->producers.buckets == NULL &&
        hash_table_init(&state->producers, budget->heap) != ERR_OK)
        return ERR_NO_MEMORY;
    producer = heap_take_zeroed(budget->heap, sizeof *producer);
    if (producer == NULL)
        return ERR_NO_MEMORY;
    producer->id = id;
    producer->epoch = -1;
    producer->last_timestamp_ms = -1;
    producer->transaction_first_offset = -1;
    hash_table_add(&state->producers, &producer->link, hash_u64((uint64_t)id, budget->seed));
    budget->count++;
    *out = producer;
    return ERR_OK;
}

static void forget(struct producer_state *state, struct producer *producer)
{
    assert(state->budget->count > 0);
    hash_table_remove(&state->producers, &producer->link);
    heap_give(state->budget->heap, producer);
    state->budget->count--;
}

/* A negative age_ms_max forgets everybody. */
static void expire_if(struct producer_state *state, int64_t now_ms, int64_t age_ms_max)
{
    uint64_t position = 0;
    struct hash_link *link = hash_table_next(&state->producers, &position, NULL);
    while (link != NULL) {
        struct producer *producer = CONTAINER_OF(link, struct producer, link);
        link = hash_table_next(&state->producers, &position, link);
        const bool is_old = age_ms_max < 0 || now_ms - producer->last_timestamp_ms > age_ms_max;
        const bool has_transaction = age_ms_max >= 0 && producer->transaction_first_offset != -1;
        if (is_old && !has_transaction)
            forget(state, producer);
    }
}

void producer_state_deinit(struct producer_state *state)
{
    if (state->producers.buckets == NULL)
        return;
    expire_if(state, 0, -1);
    hash_table_deinit(&state->producers);
    state->producers = (struct hash_table){0};
}

void producer_state_expire(struct producer_state *state, int64_t now_ms, int64_t age_ms_max)
{
    assert(age_ms_max >= 0);
    if (state->producers.buckets == NULL)
        return;
    expire_if(state, now_ms, age_ms_max);
    if (state->producers.count == 0)
        producer_state_deinit(state);
}

uint64_t producer_state_count(const struct producer_state *state)
{
    return state->producers.count;
}

/* 0 is the newest. */
static const struct producer_batch *batch_back(const struct producer *producer, uint32_t back)
{
    assert(back < producer->batch_count);
    const uint32_t index = (uint32_t)producer->batch_next + producer_batch_count_max - 1 - back;
    return &producer->batches[index % producer_batch_count_max];
}

static int32_t first_sequence(const struct producer_batch *batch)
{
    const int64_t first = (int64_t)batch->last_sequence - batch->offset_delta;
    return (int32_t)(first >= 0 ? first : first + INT32_MAX + 1);
}

static bool is_duplicate(const struct producer *producer, const struct record_batch *batch,
                         struct producer_verdict *verdict)
{
    const int32_t last =
        record_batch_sequence_after(batch->base_sequence, batch->last_offset_delta);
    if (producer->epoch != batch->producer_epoch)
        return false;
    for (uint32_t back = 0; back < producer->batch_count; back++) {
        const struct producer_batch *known = batch_back(producer, back);
        if (known->last_sequence != last || first_sequence(known) != batch->base_sequence)
            continue;
        verdict->is_duplicate = true;
        verdict->last_offset = known->last_offset;
        verdict->base_offset = known->last_offset - known->offset_delta;
        verdict->timestamp_ms = known->timestamp_ms;
        return true;
    }
    return false;
}

static bool is_in_sequence(const struct producer *producer, const struct record_batch *batch)
{
    if (producer->epoch == -1)
        return true;
    if (producer->epoch != batch->producer_epoch || producer->batch_count == 0)
        return batch->base_sequence == 0;
    const int32_t last = batch_back(producer, 0)->last_sequence;
    return batch->base_sequence == record_batch_sequence_after(last, 1);
}

struct producer_verdict producer_state_check(struct producer_state *state,
                                             const struct record_batch *batch)
{
    struct producer_verdict verdict = {.code = KAFKA_NONE};
    if (batch->producer_id < 0)
        return verdict;
    assert(batch->producer_epoch >= 0 && batch->base_sequence >= 0);
    assert(batch->last_offset_delta >= 0);
    struct producer *producer;
    if (find_or_add(state, batch->producer_id, &producer) != ERR_OK) {
        verdict.code = KAFKA_THROTTLING_QUOTA_EXCEEDED;
        return verdict;
    }
    if (is_duplicate(producer, batch, &verdict))
        return verdict;
    if (batch->producer_epoch < producer->epoch)
        verdict.code = KAFKA_INVALID_PRODUCER_EPOCH;
    else if (!is_in_sequence(producer, batch))
        verdict.code = KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER;
    return verdict;
}

static void change_epoch(struct producer *producer, int16_t epoch)
{
    if (producer->epoch == epoch)
        return;
    producer->epoch = epoch;
    producer->batch_count = 0;
    producer->batch_next = 0;
}

static void remember(struct producer *producer, struct producer_batch batch)
{
    producer->batches[producer->batch_next] = batch;
    producer->batch_next = (uint8_t)((producer->batch_next + 1) % producer_batch_count_max);
    if (producer->batch_count < producer_batch_count_max)
        producer->batch_count++;
    producer->last_timestamp_ms = batch.timestamp_ms;
}

enum err producer_state_append(struct producer_state *state, const struct record_batch *batch)
{
    if (batch->producer_id < 0)
        return ERR_OK;
    struct producer *producer;
    const enum err err = find_or_add(state, batch->producer_id, &producer);
    if (err != ERR_OK)
        return err;
    change_epoch(producer, batch->producer_epoch);
    if ((batch->attributes & RECORD_CONTROL) != 0) { /* The end of a transaction. */
        producer->transaction_first_offset = -1;
        producer->last_timestamp_ms = batch->max_timestamp_ms;
        return ERR_OK;
    }
    if ((batch->attributes & RECORD_TRANSACTIONAL) != 0 && producer->transaction_first_offset == -1)
        producer->transaction_first_offset = batch->base_offset;
    remember(producer, (struct producer_batch){
                           .last_offset = record_batch_last_offset(batch),
                           .timestamp_ms = batch->max_timestamp_ms,
                           .last_sequence = record_batch_sequence_after(batch->base_sequence,
                                                                        batch->last_offset_delta),
                           .offset_delta = batch->last_offset_delta,
                       });
    return ERR_OK;
}

size_t producer_state_snapshot_bytes(const struct producer_state *state)
{
    return producer_snapshot_header_bytes + state->producers.count * producer_snapshot_entry_bytes;
}

static void encode_entry(const struct producer *producer, uint8_t *out)
{
    static const struct producer_batch none = {
        .last_offset = -1, .timestamp_ms = -1, .last_sequence = -1};
    const struct producer_batch *last = producer->batch_count > 0 ? batch_back(producer, 0) : &none;
    store_i64(out, producer->id);
    store_i16(out + 8, producer->epoch);
    store_i32(out + 10, last->last_sequence);
    store_i64(out + 14, last->last_offset);
    store_i32(out + 22, last->offset_delta);
    store_i64(out + 26, producer->last_timestamp_ms);
    store_i32(out + 34, producer->coordinator_epoch);
    store_i64(out + 38, producer->transaction_first_offset);
}

void producer_state_encode(const struct producer_state *state, uint8_t *out)
{
    uint8_t *at = out + producer_snapshot_header_bytes;
    uint64_t position = 0;
    store_i16(out, snapshot_version);
    store_i32(out + snapshot_count_at, (int32_t)state->producers.count);
    if (state->producers.count > 0) {
        for (struct hash_link *link = hash_table_next(&state->producers, &position, NULL);
             link != NULL; link = hash_table_next(&state->producers, &position, link)) {
            encode_entry(CONTAINER_OF(link, struct producer, link), at);
            at += producer_snapshot_entry_bytes;
        }
    }
    store_u32(out + snapshot_crc_at,
              checksum_crc32c(
                  0, slice_of(out + snapshot_count_at, (size_t)(at - out) - snapshot_count_at)));
}

static enum err decode_entry(struct producer_state *state, const uint8_t *at)
{
    struct producer *producer;
    const int64_t id = load_i64(at);
    if (id < 0 || find(state, id) != NULL)
        return ERR_MALFORMED;
    const struct producer_batch batch = {
        .last_sequence = load_i32(at + 10),
        .last_offset = load_i64(at + 14),
        .offset_delta = load_i32(at + 22),
        .timestamp_ms = load_i64(at + 26),
    };
    if (batch.last_sequence < -1 || batch.offset_delta < 0 || batch.last_offset < -1)
        return ERR_MALFORMED;
    const enum err err = find_or_add(state, id, &producer);
    if (err != ERR_OK)
        return err;
    producer->epoch = load_i16(at + 8);
    if (batch.last_offset >= 0 && batch.last_sequence >= 0)
        remember(producer, batch);
    producer->last_timestamp_ms = batch.timestamp_ms;
    producer->coordinator_epoch = load_i32(at + 34);
    producer->transaction_first_offset = load_i64(at + 38);
    return ERR_OK;
}

enum err producer_state_decode(struct producer_state *state, struct slice snapshot)
{
    producer_state_deinit(state);
    if (snapshot.size < producer_snapshot_header_bytes)
        return ERR_TRUNCATED;
    if (load_i16(snapshot.data) != snapshot_version)
        return ERR_UNSUPPORTED;
    if (checksum_crc32c(0, slice_skip(snapshot, snapshot_count_at)) !=
        load_u32(snapshot.data + snapshot_crc_at))
        return ERR_CHECKSUM;
    const int32_t count = load_i32(snapshot.data + snapshot_count_at);
    const size_t body_size = snapshot.size - producer_snapshot_header_bytes;
    if (count < 0 || body_size != (size_t)count * producer_snapshot_entry_bytes)
        return ERR_MALFORMED;
    const uint8_t *at = snapshot.data + producer_snapshot_header_bytes;
    enum err err = ERR_OK;
    for (int32_t i = 0; i < count && err == ERR_OK; i++, at += producer_snapshot_entry_bytes)
        err = decode_entry(state, at);
    if (err != ERR_OK)
        producer_state_deinit(state);
    return err;
}
