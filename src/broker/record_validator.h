/* Whether the records field of a Produce request may be appended, and what to answer if not.
 *
 * Checked are structure, CRC and header fields, and every record of batches that are not
 * compressed. A compressed batch is carried untouched. It is opened for a topic that is compacted,
 * since a record without a key would stay for ever; otherwise it is trusted to hold what its header
 * says (docs/compatibility.md).
 *
 * Produce 0-2 may hold several batches, and messages of magic 0 and 1; those are refused with
 * UNSUPPORTED_FOR_MESSAGE_FORMAT.
 *
 * Memory: to open a batch, from the heap given, until the check is over. Shard: any.
 */
#ifndef BROKER_RECORD_VALIDATOR_H
#define BROKER_RECORD_VALIDATOR_H

#include "base/heap.h"
#include "base/slice.h"
#include "broker/error_code.h"
#include "broker/partition_config.h"
#include "broker/record_batch.h"

struct record_rules {
    const struct partition_config *config;
    int64_t now_ms;              /* Wall clock. */
    int16_t produce_version;     /* Of the request. */
    struct heap *heap;           /* For compressed batches. */
    uint64_t unpacked_bytes_max; /* Of one of them. */
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

/* data may be NULL (a null records field). A max timestamp that is not that of the records is put
 * right in place, as Apache does; nothing else is changed. */
struct record_verdict record_validator_check(const struct record_rules *rules, uint8_t *data,
                                             size_t size);

#endif
