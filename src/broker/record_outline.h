/* What a reader of records needs to know of each one besides its bytes, read from a stream that
 * comes in pieces: nothing is kept of keys, values and headers, but their form is checked as
 * record_walk checks it.
 *
 * Memory: its own. Shard: any.
 */
#ifndef BROKER_RECORD_OUTLINE_H
#define BROKER_RECORD_OUTLINE_H

#include "broker/record_batch.h"

struct record_outline {
    int64_t offset;
    int64_t timestamp_ms;
    bool has_key;
};

/* What comes next. */
enum record_outline_field {
    OUTLINE_LENGTH,
    OUTLINE_TIMESTAMP,
    OUTLINE_OFFSET,
    OUTLINE_KEY,
    OUTLINE_VALUE,
    OUTLINE_HEADER_COUNT,
    OUTLINE_HEADER_NAME,
    OUTLINE_HEADER_VALUE,
    OUTLINE_END,
};

struct record_outliner {
    const struct record_batch *batch;
    int32_t index; /* Of the record at hand. */
    enum record_outline_field field;
    uint64_t raw;       /* Of a number that has begun, */
    uint32_t raw_count; /* with so many bytes. */
    int64_t left;       /* Bytes of the record behind what was read or is being skipped. */
    int64_t skip;       /* Bytes to leave out before field. */
    int64_t headers_left;
    struct record_outline record;
};

/* Keeps batch: of magic 2. */
void record_outliner_init(struct record_outliner *outliner, const struct record_batch *batch);

/* Reads from the front of input, and moves it on. True: a record has ended. False with ERR_OK:
 * input is used up; ERR_MALFORMED: not a record, or one more than the batch has. */
bool record_outliner_next(struct record_outliner *outliner, struct slice *input,
                          struct record_outline *record, enum err *err);

/* Whether exactly the batch's records were there. */
bool record_outliner_is_complete(const struct record_outliner *outliner);

#endif
