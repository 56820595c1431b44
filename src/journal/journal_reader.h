/* Reads the bytes of one segment from front to back through a large buffer, waiting for the disk:
 * for recovery at start, and for tools.
 *
 *      while (journal_reader_peek(&reader, 12, &head) == ERR_OK && head.size == 12)
 *          ... peek the whole record, look at it, journal_reader_skip it
 *
 * Memory: the caller's buffer. Shard: one owner.
 */
#ifndef JOURNAL_JOURNAL_READER_H
#define JOURNAL_JOURNAL_READER_H

#include "journal/journal.h"

struct journal_reader {
    struct io *io;
    int32_t handle;
    uint8_t *buffer;
    size_t capacity;
    size_t begin; /* Unread bytes of buffer: begin to end. */
    size_t end;
    uint64_t offset; /* In the file, of the next unread byte. */
    bool is_at_end;  /* The file has nothing behind the buffered bytes. */
};

/* Opens the segment's file for itself. buffer is kept; its capacity is the longest peek.
 * ERR_NOT_FOUND, ERR_PERMISSION, ERR_IO. */
MUST_CHECK enum err journal_reader_open(struct journal_reader *reader,
                                        struct journal_segment *segment, uint64_t offset,
                                        void *buffer, size_t capacity);

/* The same for any file. */
MUST_CHECK enum err journal_reader_open_path(struct journal_reader *reader, struct io *io,
                                             const char *path, uint64_t offset, void *buffer,
                                             size_t capacity);

/* The next size bytes, fewer (or none) only where the file ends. Lends: until the next peek.
 * ERR_LIMIT: size is above capacity; ERR_IO: the disk cannot read here. */
MUST_CHECK enum err journal_reader_peek(struct journal_reader *reader, size_t size,
                                        struct slice *bytes);

/* Moves on by size bytes, buffered or not. */
void journal_reader_skip(struct journal_reader *reader, uint64_t size);

void journal_reader_close(struct journal_reader *reader);

#endif
