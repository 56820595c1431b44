/* One write in flight: as many neighbouring appends of a journal's queue as fit into one IO_WRITE,
 * in front of it the creation of the segment's file and its extension with zeros where needed.
 *
 * Memory: from the disk's pool of writers. Shard: the journal's.
 */
#ifndef JOURNAL_JOURNAL_WRITER_H
#define JOURNAL_JOURNAL_WRITER_H

#include "journal/journal.h"

enum journal_writer_step {
    JOURNAL_WRITER_OPEN,
    JOURNAL_WRITER_ALLOCATE,
    JOURNAL_WRITER_WRITE,
    JOURNAL_WRITER_RETRY,
};

struct journal_writer {
    struct journal *journal;
    struct journal_segment *segment; /* Its users counts this writer once it is open. */
    struct list appends;
    uint64_t offset; /* Of the write; a header that is not yet written comes first. */
    uint64_t size;
    uint64_t allocate_bytes; /* The file's size after the extension that is in flight. */
    enum journal_writer_step step;
    struct journal_open open;
    struct io_op op;
    struct iovec vectors[io_vector_count_max];
};

/* Writes what the journal has queued, or creates its last file, if there is anything to do, no
 * write is in flight and a writer is free; otherwise the journal gets in line for one. */
void journal_writer_start(struct journal *journal);

#endif
