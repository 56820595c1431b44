/* Reads transactions from the files of an open journal, in the background, while it is appended to.
 *
 *   files:   [ .. zxid_previous][from+1 ..................... to][ .. ]
 *                              |  on_entry, one after the other |
 *                        end_previous
 *
 * Nothing that is missing is passed over: each transaction follows the one before it, or is the
 * first of a later epoch. Whoever wants to know whether `from` is in this history looks at
 * zxid_previous when the first entry comes, or at the end.
 *
 * Memory: one block of the heap with a buffer, which grows for a longer record. Shard: the
 * journal's.
 */
#ifndef SERVER_KEEPER_HISTORY_READER_H
#define SERVER_KEEPER_HISTORY_READER_H

#include "base/heap.h"
#include "journal/journal.h"

enum { history_reader_buffer_bytes = 256 * 1024 };

struct history_reader_handler {
    /* A transaction: header, body and digest, lent. False: no more until history_reader_resume. The
     * reader may be stopped. */
    bool (*on_entry)(void *context, int64_t zxid, struct slice entry);
    /* The last call. ERR_OK: all up to `to`, as far as there is so much. ERR_NOT_FOUND:
     * transactions are missing behind zxid_last. ERR_CORRUPT: told by diag; ERR_IO, ERR_NO_MEMORY.
     */
    void (*on_done)(void *context, enum err err);
    void *context;
};

struct history_block;

struct history_reader {
    struct journal *journal;
    struct heap *heap;
    struct history_reader_handler handler;
    int64_t from;
    int64_t to;
    bool has_snapshot;
    struct history_block *block; /* NULL: it is stopped. */
    struct journal_position at;  /* Of the first byte in the block's buffer. */
    bool is_paused;
    bool is_reading;                      /* An operation of the block is in flight. */
    int64_t zxid_previous;                /* The last one at or below from; -1: none was found. */
    struct journal_position end_previous; /* Where its record ends; else of the first file. */
    int64_t zxid_last;                    /* The last one read; -1: none. */
};

struct history_reader_range {
    int64_t from;
    int64_t to;
    bool has_snapshot; /* Of `from`: what is in front of it may be missing. */
};

/* Begins; everything is told later, never from within. The journal is started. Keeps journal and
 * heap. ERR_NO_MEMORY. */
MUST_CHECK enum err history_reader_start(struct history_reader *reader, struct journal *journal,
                                         struct heap *heap, struct history_reader_range range,
                                         struct history_reader_handler handler);

/* Goes on after a pause; entries come later, not from within. */
void history_reader_resume(struct history_reader *reader);

/* At any time, also from a callback: nothing more is told, and the reader may vanish. */
void history_reader_stop(struct history_reader *reader);

static inline bool history_reader_is_running(const struct history_reader *reader)
{
    return reader->block != NULL;
}

#endif
