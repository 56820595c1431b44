/* Java's .properties text, line by line: comments, continued lines, escapes, the three separators.
 *
 * Memory: key and value are written into the caller's buffer. Shard: none.
 */
#ifndef SERVER_PROPERTIES_H
#define SERVER_PROPERTIES_H

#include "base/err.h"
#include "base/slice.h"

struct properties {
    struct slice rest; /* Not yet read. */
    uint32_t line;     /* Of the entry last returned, counted from 1. */
    uint32_t next_line;
};

struct properties_entry {
    struct slice key;
    struct slice value; /* Without white space at its ends, as both Apaches read theirs. */
};

void properties_init(struct properties *properties, struct slice text);

/* The next entry, in buffer; NULL key at the end. ERR_LIMIT: the entry is larger than the buffer;
 * ERR_MALFORMED: a \u escape without four hex digits. */
MUST_CHECK enum err properties_next(struct properties *properties, uint8_t *buffer,
                                    size_t buffer_size, struct properties_entry *entry);

#endif
