/* The text of Kafka's checkpoint files: a version line, a line with the count, then the entries.
 *
 *   0                 0
 *   2                 1
 *   orders 0 4711     5 1200
 *   orders 1 17       (leader-epoch-checkpoint: epoch and start offset)
 *   (the three offset checkpoints: topic, partition, offset)
 *
 * Memory: the caller's text. Shard: any.
 */
#ifndef BROKER_CHECKPOINT_FILE_H
#define BROKER_CHECKPOINT_FILE_H

#include "base/err.h"
#include "base/macros.h"
#include "base/slice.h"

enum { checkpoint_header_bytes_max = 16, checkpoint_entry_bytes_max = 320 };

struct checkpoint_entry {
    struct slice topic; /* Null in leader-epoch-checkpoint. */
    int32_t number;     /* Partition, or leader epoch; not negative. */
    int64_t offset;     /* Not negative. */
};

struct checkpoint_reader {
    struct slice rest;
    uint32_t count; /* Entries that the file says it has. */
    uint32_t read_count;
};

/* Keeps text. ERR_UNSUPPORTED: a version other than 0; ERR_MALFORMED. */
MUST_CHECK enum err checkpoint_reader_init(struct checkpoint_reader *reader, struct slice text);

/* The next entry, with a topic or without. False with *err = ERR_OK: the end, and the count was
 * right; ERR_MALFORMED otherwise. Lends the topic. */
bool checkpoint_reader_next(struct checkpoint_reader *reader, bool has_topic,
                            struct checkpoint_entry *entry, enum err *err);

struct checkpoint_writer {
    char *text;
    size_t capacity;
    size_t size;
};

/* Keeps text; capacity holds the header and count entries: see the two sizes above. */
void checkpoint_writer_init(struct checkpoint_writer *writer, char *text, size_t capacity,
                            uint32_t count);
void checkpoint_writer_add(struct checkpoint_writer *writer, struct checkpoint_entry entry);

#endif
