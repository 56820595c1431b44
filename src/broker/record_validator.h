/* Whether the records field of a Produce request may be appended, and what to answer if not.
 *
 * Checked are structure, CRC and header fields of each batch, and every record. A compressed batch
 * is opened for that, and carried untouched. It takes as many turns as there are MiB in it, so that
 * others on the loop go on meanwhile:
 *
 *      record_check_begin, then record_check_step until it is true
 *
 * What becomes more than unpacked_bytes_max is carried unseen, but not to a compacted topic, where
 * a record without a key would stay for ever.
 *
 * Produce 0-2 may hold several batches, and messages of magic 0 and 1; those are refused with
 * UNSUPPORTED_FOR_MESSAGE_FORMAT.
 *
 * Memory: for a compressed batch, from the heap given, until its check is over. Shard: any.
 */
#ifndef BROKER_RECORD_VALIDATOR_H
#define BROKER_RECORD_VALIDATOR_H

#include "base/heap.h"
#include "base/slice.h"
#include "broker/error_code.h"
#include "broker/packed_records.h"
#include "broker/partition_config.h"

struct record_facts;

struct record_rules {
    const struct partition_config *config;
    int64_t now_ms;          /* Wall clock. */
    int16_t produce_version; /* Of the request. */
    struct packed_records_options packed;
    struct record_facts *facts; /* NULL, or: what is seen is noted there, and nothing is changed. */
};

struct record_verdict {
    enum error_code code;
    const char *message;  /* Constant text for the reply and for diag; NULL without an error. */
    int32_t batch_index;  /* Of the first fault. Produce 8+: RecordErrors[].BatchIndex is */
    int32_t record_index; /* record_index, when it is not -1. */
    uint32_t batch_count;
    bool is_transactional; /* A batch is transactional (authorise by each batch). */
    bool is_idempotent;    /* A batch has a producer id. */
};

/* A check under way. */
struct record_check {
    struct record_rules rules;
    uint8_t *data;
    struct record_batch_walk walk;
    struct record_verdict verdict; /* Of the batches so far; in the end of all. */
    struct packed_records packed;
    int64_t packed_max_ms; /* The largest timestamp that came out. */
    bool is_open;          /* packed is. */
};

/* Keeps what rules point at, and data, which may be NULL (a null records field). A max timestamp
 * that is not that of the records is put right in place, as Apache does; nothing else is changed.
 */
void record_check_begin(struct record_check *check, const struct record_rules *rules, uint8_t *data,
                        size_t size);

/* True: check->verdict is there. False: call it again. */
bool record_check_step(struct record_check *check);

/* Ends a check that has not come to its verdict. */
void record_check_cancel(struct record_check *check);

/* Whether a CreateTime is outside what the topic allows; -1 is "none". */
bool record_rules_refuse_timestamp(const struct record_rules *rules, int64_t timestamp_ms);

/* All steps at once. */
struct record_verdict record_validator_check(const struct record_rules *rules, uint8_t *data,
                                             size_t size);

#endif
