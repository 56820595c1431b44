/* The records of a compressed batch, one outline after the other: unpacked on demand, without the
 * whole of it ever being in memory.
 *
 *      open, then next until it is false, then close
 *
 * A batch may claim or become anything: what it may become is limited by bytes_max, and next comes
 * back now and then with ERR_BUSY, so that whoever is on a loop can let others have their turn.
 *
 * Memory: a buffer and the library's state from the heap, as record_unpacker says. Shard: one
 * owner.
 */
#ifndef BROKER_PACKED_RECORDS_H
#define BROKER_PACKED_RECORDS_H

#include "broker/record_outline.h"
#include "broker/record_unpacker.h"

enum {
    packed_records_buffer_bytes = 32 * 1024,
    packed_records_turn_bytes = 1 << 20, /* Unpacked by one call of next. */
};

struct packed_records_options {
    struct heap *heap;
    struct record_unpacker_idle *idle; /* May be NULL. */
    uint64_t bytes_max;                /* Of all records of one batch. */
};

struct packed_records {
    struct packed_records_options options;
    struct record_unpacker unpacker;
    struct record_outliner outliner;
    struct record_batch batch;
    uint8_t *buffer;
    struct slice rest; /* Of the buffer, not yet read. */
    uint64_t unpacked_bytes;
};

/* Keeps bytes, which are the whole batch, compressed, of magic 2. ERR_NO_MEMORY, ERR_UNSUPPORTED.
 * Needs packed_records_close in any case. */
MUST_CHECK enum err packed_records_open(struct packed_records *packed,
                                        const struct record_batch *batch, struct slice bytes,
                                        struct packed_records_options options);

void packed_records_close(struct packed_records *packed);

/* False with *err = ERR_OK: exactly the records of the batch's count were there; ERR_BUSY: call it
 * again; ERR_MALFORMED; ERR_LIMIT: it becomes more than bytes_max; ERR_NO_MEMORY. */
bool packed_records_next(struct packed_records *packed, struct record_outline *record,
                         enum err *err);

#endif
