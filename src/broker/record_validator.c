#include "broker/record_validator.h"

#include "base/assert.h"
#include "broker/record_facts.h"

enum {
    produce_version_one_batch = 3, /* From here on one batch of magic 2 for each partition. */
    produce_version_zstd = 7,
};

static struct record_verdict refuse(struct record_verdict verdict, enum error_code code,
                                    const char *message)
{
    verdict.code = code;
    verdict.message = message;
    return verdict;
}

bool record_rules_refuse_timestamp(const struct record_rules *rules, int64_t timestamp_ms)
{
    if (timestamp_ms == -1 || rules->config->is_log_append_time)
        return false;
    int64_t age_ms;
    if (__builtin_sub_overflow(rules->now_ms, timestamp_ms, &age_ms))
        return true;
    if (age_ms >= 0)
        return age_ms > rules->config->timestamp_before_max_ms;
    return age_ms < -rules->config->timestamp_after_max_ms;
}

static const char no_key[] = "a compacted topic takes no record without a key";
static const char bad_record[] = "a record does not follow the format";
static const char bad_timestamp[] = "the timestamp is outside the range that the topic allows";

static struct record_verdict check_record(const struct record_rules *rules,
                                          struct record_verdict verdict,
                                          const struct record_outline *record)
{
    if (rules->facts != NULL) {
        rules->facts->has_keyless |= !record->has_key;
        record_facts_add_timestamp(rules->facts, record->timestamp_ms);
    }
    if (!record->has_key && rules->config->compacts)
        return refuse(verdict, KAFKA_INVALID_RECORD, no_key);
    if (record_rules_refuse_timestamp(rules, record->timestamp_ms))
        return refuse(verdict, KAFKA_INVALID_TIMESTAMP, bad_timestamp);
    return verdict;
}

static void correct_max(const struct record_rules *rules, struct record_batch *batch, uint8_t *data,
                        int64_t max_timestamp_ms)
{
    if (max_timestamp_ms == batch->max_timestamp_ms)
        return;
    if (rules->facts != NULL)
        rules->facts->is_max_wrong = true;
    else
        record_batch_set_max_timestamp(batch, data, max_timestamp_ms);
}

static struct record_verdict check_records(const struct record_rules *rules,
                                           struct record_verdict verdict,
                                           struct record_batch *batch, uint8_t *data)
{
    struct record_walk walk;
    struct record record;
    enum err err;
    int64_t max_timestamp_ms = -1;
    record_walk_init(&walk, batch, slice_of(data, batch->size));
    while (record_walk_next(&walk, &record, &err)) {
        const struct record_outline outline = {.timestamp_ms = record.timestamp_ms,
                                               .has_key = !slice_is_null(record.key)};
        verdict.record_index = walk.index - 1;
        verdict = check_record(rules, verdict, &outline);
        if (verdict.code != KAFKA_NONE)
            return verdict;
        max_timestamp_ms = max_i64(max_timestamp_ms, record.timestamp_ms);
    }
    verdict.record_index = -1;
    if (err != ERR_OK)
        return refuse(verdict, KAFKA_INVALID_RECORD, bad_record);
    correct_max(rules, batch, data, max_timestamp_ms);
    return verdict;
}

/* MESSAGE_TOO_LARGE has producers split the batch. */
static struct record_verdict refuse_packed(struct record_verdict verdict, enum err err)
{
    verdict.record_index = -1;
    if (err == ERR_LIMIT)
        return refuse(verdict, KAFKA_MESSAGE_TOO_LARGE, "the batch is too large when unpacked");
    if (err == ERR_NO_MEMORY)
        return refuse(verdict, KAFKA_KAFKA_STORAGE_ERROR, "no memory is left to open the batch");
    return refuse(verdict, KAFKA_INVALID_RECORD, "the compressed records do not follow the format");
}

static void open_packed(struct record_check *check, const struct record_batch *batch, uint8_t *data)
{
    const enum err err = packed_records_open(&check->packed, batch, slice_of(data, batch->size),
                                             check->rules.packed);
    check->packed_max_ms = -1;
    check->is_open = err == ERR_OK;
    if (err == ERR_OK)
        return;
    packed_records_close(&check->packed);
    check->verdict = refuse_packed(check->verdict, err);
}

/* The batch is opened, and there is nothing wrong with it. */
static void end_packed(struct record_check *check)
{
    uint8_t *data = check->data + (check->walk.bytes.data - check->data);
    correct_max(&check->rules, &check->walk.batch, data, check->packed_max_ms);
    check->verdict.record_index = -1;
}

/* False: there is more to come out of it in the next turn. */
static bool step_packed(struct record_check *check)
{
    struct record_outline record;
    enum err err = ERR_OK;
    while (check->verdict.code == KAFKA_NONE &&
           packed_records_next(&check->packed, &record, &err)) {
        check->verdict.record_index = check->packed.outliner.index - 1;
        check->verdict = check_record(&check->rules, check->verdict, &record);
        check->packed_max_ms = max_i64(check->packed_max_ms, record.timestamp_ms);
    }
    if (err == ERR_BUSY)
        return false;
    check->is_open = false;
    packed_records_close(&check->packed);
    if (check->verdict.code != KAFKA_NONE)
        return true;
    if (err == ERR_OK)
        end_packed(check);
    else if (err != ERR_LIMIT || check->rules.config->compacts)
        check->verdict = refuse_packed(check->verdict, err);
    else if (check->rules.facts != NULL)
        check->rules.facts->has_keyless = true;
    check->verdict.record_index = -1;
    return true;
}

static struct record_verdict check_producer(struct record_verdict verdict,
                                            const struct record_batch *batch)
{
    const bool has_producer = batch->producer_id >= 0;
    const bool is_transactional = (batch->attributes & RECORD_TRANSACTIONAL) != 0;
    if (batch->producer_id < -1)
        return refuse(verdict, KAFKA_INVALID_RECORD, "the producer id is negative");
    if (has_producer && batch->base_sequence < 0)
        return refuse(verdict, KAFKA_INVALID_RECORD, "a producer id without a sequence number");
    if (has_producer && batch->producer_epoch < 0)
        return refuse(verdict, KAFKA_INVALID_RECORD, "a producer id without an epoch");
    if (is_transactional && !has_producer)
        return refuse(verdict, KAFKA_INVALID_RECORD, "a transactional batch without a producer id");
    verdict.is_idempotent |= has_producer;
    verdict.is_transactional |= is_transactional;
    return verdict;
}

/* The header of a batch of magic 2 whose CRC holds. */
static struct record_verdict check_header(const struct record_rules *rules,
                                          struct record_verdict verdict,
                                          const struct record_batch *batch)
{
    const int16_t attributes = batch->attributes;
    if ((attributes & RECORD_CONTROL) != 0)
        return refuse(verdict, KAFKA_INVALID_RECORD, "clients may not write control records");
    if ((attributes & RECORD_DELETE_HORIZON) != 0)
        return refuse(verdict, KAFKA_INVALID_RECORD, "clients may not set a delete horizon");
    if (record_batch_codec(batch) > CODEC_ZSTD)
        return refuse(verdict, KAFKA_UNSUPPORTED_COMPRESSION_TYPE, "unknown compression type");
    if (record_batch_codec(batch) == CODEC_ZSTD && rules->produce_version < produce_version_zstd)
        return refuse(verdict, KAFKA_UNSUPPORTED_COMPRESSION_TYPE,
                      "zstd needs Produce version 7 or later");
    if (batch->record_count <= 0)
        return refuse(verdict, KAFKA_INVALID_RECORD, "the batch has no records");
    if (batch->last_offset_delta != batch->record_count - 1)
        return refuse(verdict, KAFKA_INVALID_RECORD,
                      "the record count and the last offset do not agree");
    if ((attributes & RECORD_LOG_APPEND_TIME) != 0)
        return refuse(verdict, KAFKA_INVALID_TIMESTAMP, "only the broker sets the append time");
    if (record_batch_codec(batch) == CODEC_NONE)
        return check_producer(verdict, batch);
    if (rules->facts != NULL) {
        record_facts_add_timestamp(rules->facts, batch->base_timestamp_ms);
        record_facts_add_timestamp(rules->facts, batch->max_timestamp_ms);
    }
    if (batch->max_timestamp_ms < batch->base_timestamp_ms)
        return refuse(verdict, KAFKA_INVALID_TIMESTAMP,
                      "the largest timestamp is before the first");
    if (record_rules_refuse_timestamp(rules, batch->base_timestamp_ms) ||
        record_rules_refuse_timestamp(rules, batch->max_timestamp_ms))
        return refuse(verdict, KAFKA_INVALID_TIMESTAMP, bad_timestamp);
    return check_producer(verdict, batch);
}

static struct record_verdict check_batch(const struct record_rules *rules,
                                         struct record_verdict verdict, struct record_batch *batch,
                                         uint8_t *data)
{
    if (batch->magic != record_batch_magic && rules->produce_version >= produce_version_one_batch)
        return refuse(verdict, KAFKA_INVALID_RECORD, "only record format 2 is allowed");
    if (batch->magic != record_batch_magic)
        return refuse(verdict, KAFKA_UNSUPPORTED_FOR_MESSAGE_FORMAT,
                      "message formats 0 and 1 are not taken");
    if (batch->base_offset != 0)
        return refuse(verdict, KAFKA_INVALID_RECORD, "the base offset of a new batch must be 0");
    if (rules->facts != NULL)
        rules->facts->batch_bytes_max =
            (uint32_t)max_size(rules->facts->batch_bytes_max, batch->size);
    if (batch->size > rules->config->message_bytes_max)
        return refuse(verdict, KAFKA_MESSAGE_TOO_LARGE, "the batch is above max.message.bytes");
    if (!record_batch_crc_matches(batch, slice_of(data, batch->size)))
        return refuse(verdict, KAFKA_CORRUPT_MESSAGE, "the checksum of the batch does not match");
    return check_header(rules, verdict, batch);
}

/* The batch where the walk stands; a compressed one is opened. */
static void check_next(struct record_check *check)
{
    const struct record_rules *rules = &check->rules;
    struct record_batch *batch = &check->walk.batch;
    uint8_t *data = check->data + (check->walk.bytes.data - check->data);
    struct record_verdict verdict = check->verdict;
    verdict.batch_index = (int32_t)verdict.batch_count;
    if (verdict.batch_count == 1 && rules->produce_version >= produce_version_one_batch)
        verdict = refuse(verdict, KAFKA_INVALID_RECORD, "more than one batch for a partition");
    else
        verdict = check_batch(rules, verdict, batch, data);
    if (verdict.code == KAFKA_NONE && record_batch_codec(batch) == CODEC_NONE)
        verdict = check_records(rules, verdict, batch, data);
    check->verdict = verdict;
    if (verdict.code == KAFKA_NONE && record_batch_codec(batch) != CODEC_NONE)
        open_packed(check, batch, data);
}

static struct record_verdict check_end(struct record_verdict verdict, enum err err)
{
    if (err == ERR_MALFORMED || err == ERR_UNSUPPORTED ||
        (err != ERR_OK && verdict.batch_count > 0))
        return refuse(verdict, KAFKA_CORRUPT_MESSAGE,
                      "the batch header does not follow the format");
    if (verdict.batch_count == 0)
        return refuse(verdict, KAFKA_INVALID_RECORD, "there is no whole record batch");
    return verdict;
}

void record_check_begin(struct record_check *check, const struct record_rules *rules, uint8_t *data,
                        size_t size)
{
    *check = (struct record_check){
        .rules = *rules,
        .data = data,
        .verdict = {.code = KAFKA_NONE, .batch_index = 0, .record_index = -1},
    };
    record_batch_walk_init(&check->walk, slice_of(data, size));
}

bool record_check_step(struct record_check *check)
{
    for (;;) {
        enum err err;
        if (!check->is_open) {
            if (!record_batch_walk_next(&check->walk, &err)) {
                check->verdict = check_end(check->verdict, err);
                return true;
            }
            check_next(check);
        }
        if (check->is_open && !step_packed(check))
            return false;
        if (check->verdict.code != KAFKA_NONE)
            return true;
        check->verdict.batch_count++;
    }
}

void record_check_cancel(struct record_check *check)
{
    if (check->is_open)
        packed_records_close(&check->packed);
    check->is_open = false;
}

struct record_verdict record_validator_check(const struct record_rules *rules, uint8_t *data,
                                             size_t size)
{
    struct record_check check;
    record_check_begin(&check, rules, data, size);
    while (!record_check_step(&check))
        ;
    return check.verdict;
}
