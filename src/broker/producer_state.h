/* What one partition remembers of its idempotent producers, to tell a retry from a gap.
 *
 * For each producer id: its epoch and its last five batches (sequence range, offset, timestamp). A
 * batch that equals one of them is a duplicate and is answered with the first one's offsets;
 * otherwise it must continue the last sequence, or start a higher epoch with sequence 0, or belong
 * to a producer that is not known here (it may have expired).
 *
 * The snapshot file holds the last batch of each producer only, as Apache's does:
 *   version i16 = 1 | crc u32 of all that follows | count i32 | entries
 *
 * Memory: one block for each producer, from the heap, under count_max for all partitions that share
 * a producer_budget. Shard: one owner.
 */
#ifndef BROKER_PRODUCER_STATE_H
#define BROKER_PRODUCER_STATE_H

#include "base/hash_table.h"
#include "base/heap.h"
#include "broker/error_code.h"
#include "broker/record_batch.h"

enum {
    producer_batch_count_max = 5,
    producer_snapshot_header_bytes = 10,
    producer_snapshot_entry_bytes = 46,
};

struct producer_batch {
    int64_t last_offset;
    int64_t timestamp_ms;
    int32_t last_sequence;
    int32_t offset_delta; /* Of the last offset from the first. */
};

struct producer {
    struct hash_link link;
    int64_t id;
    int64_t last_timestamp_ms;
    int64_t transaction_first_offset; /* -1: none is open. */
    int32_t coordinator_epoch;
    int16_t epoch; /* -1: none yet. */
    uint8_t batch_count;
    uint8_t batch_next; /* Where the next one goes in batches. */
    struct producer_batch batches[producer_batch_count_max];
};

/* Shared by the partitions of a directory. */
struct producer_budget {
    struct heap *heap;
    uint64_t seed; /* From entropy. */
    uint32_t count;
    uint32_t count_max;
};

struct producer_state {
    struct producer_budget *budget;
    struct hash_table producers; /* Empty until the first producer: no buckets. */
};

/* Keeps budget. Takes no memory. */
void producer_state_init(struct producer_state *state, struct producer_budget *budget);

/* Forgets all producers. */
void producer_state_deinit(struct producer_state *state);

uint64_t producer_state_count(const struct producer_state *state);

struct producer_verdict {
    enum error_code code;
    bool is_duplicate; /* NONE, and the offsets and the timestamp are those of the first time. */
    int64_t base_offset;
    int64_t last_offset;
    int64_t timestamp_ms;
};

/* Whether a client's batch may follow. A batch without a producer id always may. NONE,
 * OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, or THROTTLING_QUOTA_EXCEEDED: no room for
 * one more producer. After NONE, producer_state_append of this batch cannot fail. */
struct producer_verdict producer_state_check(struct producer_state *state,
                                             const struct record_batch *batch);

/* The batch is in the log, its base offset set. Asks no questions: also for recovery, where
 * ERR_LIMIT or ERR_NO_MEMORY may come of a new producer. */
MUST_CHECK enum err producer_state_append(struct producer_state *state,
                                          const struct record_batch *batch);

/* Forgets who has appended nothing since now_ms - age_ms_max and has no transaction open. */
void producer_state_expire(struct producer_state *state, int64_t now_ms, int64_t age_ms_max);

/* Size of the snapshot of what is known now. */
size_t producer_state_snapshot_bytes(const struct producer_state *state);

/* Writes exactly that many bytes. */
void producer_state_encode(const struct producer_state *state, uint8_t *out);

/* Replaces what is known. ERR_TRUNCATED, ERR_MALFORMED, ERR_UNSUPPORTED (version), ERR_CHECKSUM,
 * ERR_LIMIT, ERR_NO_MEMORY: nothing is known then. */
MUST_CHECK enum err producer_state_decode(struct producer_state *state, struct slice snapshot);

#endif
