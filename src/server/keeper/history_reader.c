#include "server/keeper/history_reader.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "keeper/recovery.h"

#include <inttypes.h>

enum { zxid_offset = 12 }; /* In an entry. */

/* What is in flight outlives a reader that was stopped. */
struct history_block {
    struct history_reader *reader; /* NULL: it was stopped; the block goes when it comes back. */
    struct heap *heap;
    struct journal_read read;
    struct io_op op; /* A timer, for the next round. */
    size_t capacity;
    size_t begin; /* Unread bytes of the buffer. */
    size_t end;
    bool is_at_end; /* Of the file, as far as it is written. */
    bool is_lent;   /* To a callback. */
    uint8_t buffer[];
};

static void go_on(struct history_reader *reader);

static struct history_block *take_block(struct history_reader *reader, size_t capacity)
{
    struct history_block *block = heap_take(reader->heap, sizeof *block + capacity);
    if (block == NULL)
        return NULL;
    *block = (struct history_block){.reader = reader, .heap = reader->heap, .capacity = capacity};
    return block;
}

void history_reader_stop(struct history_reader *reader)
{
    if (reader->block == NULL)
        return;
    if (reader->is_reading || reader->block->is_lent)
        reader->block->reader = NULL;
    else
        heap_give(reader->heap, reader->block);
    reader->block = NULL;
}

static void finish(struct history_reader *reader, enum err err)
{
    history_reader_stop(reader);
    reader->handler.on_done(reader->handler.context, err);
}

/* ---- operations ---- */

/* The reader that an operation of the block was for; NULL: none any more. */
static struct history_reader *arrive(struct history_block *block)
{
    struct history_reader *reader = block->reader;
    if (reader == NULL)
        heap_give(block->heap, block);
    else
        reader->is_reading = false;
    return reader;
}

static void on_turn(struct io_op *op, int64_t result)
{
    struct history_reader *reader = arrive(CONTAINER_OF(op, struct history_block, op));
    (void)result;
    if (reader != NULL && !reader->is_paused)
        go_on(reader);
}

static void take_turn(struct history_reader *reader)
{
    struct io *io = reader->journal->disk->io;
    struct io_op *op = &reader->block->op;
    *op = (struct io_op){.kind = IO_TIMER, .handle = io_handle_none, .done = on_turn};
    op->timer.deadline_ns = io_next_round_ns(io);
    reader->is_reading = true;
    io_submit(io, op);
}

static void on_read(struct journal_read *read, int64_t result)
{
    struct history_block *block = CONTAINER_OF(read, struct history_block, read);
    struct history_reader *reader = arrive(block);
    if (reader == NULL)
        return;
    if (result < 0) {
        finish(reader, result == -2 ? ERR_NOT_FOUND : ERR_IO); /* ENOENT: it was purged. */
        return;
    }
    block->end += (size_t)result;
    block->is_at_end = result == 0;
    if (!reader->is_paused)
        go_on(reader);
}

/* Gets more bytes behind those that are in the buffer. */
static void read_more(struct history_reader *reader, struct journal_segment *segment)
{
    struct history_block *block = reader->block;
    memmove(block->buffer, block->buffer + block->begin, block->end - block->begin);
    block->end -= block->begin;
    block->begin = 0;
    const uint64_t offset = reader->at.offset + block->end;
    const uint64_t size = segment->written_bytes > offset ? min_u64(segment->written_bytes - offset,
                                                                    block->capacity - block->end)
                                                          : 0;
    if (size == 0) {
        block->is_at_end = true;
        take_turn(reader);
        return;
    }
    block->read.done = on_read;
    reader->is_reading = true;
    journal_segment_read(segment, &block->read, block->buffer + block->end, (size_t)size, offset);
}

/* A buffer for a record of so many bytes. ERR_NO_MEMORY. */
static enum err widen(struct history_reader *reader, size_t size)
{
    struct history_block *old = reader->block;
    struct history_block *block = take_block(reader, size);
    if (block == NULL)
        return ERR_NO_MEMORY;
    block->end = old->end - old->begin;
    memcpy(block->buffer, old->buffer + old->begin, block->end);
    heap_give(reader->heap, old);
    reader->block = block;
    return ERR_OK;
}

/* ---- records ---- */

static void skip(struct history_reader *reader, size_t size)
{
    reader->block->begin += size;
    reader->at.offset += size;
}

/* Moves to the next file; false: this was the last. */
static bool next_segment(struct history_reader *reader, struct journal_segment *segment)
{
    struct journal_segment *next = journal_segment_next(segment);
    if (next == NULL)
        return false;
    reader->at = (struct journal_position){next->base, 0};
    reader->block->begin = reader->block->end = 0;
    reader->block->is_at_end = false;
    return true;
}

static enum err refuse(struct history_reader *reader, const struct journal_segment *segment)
{
    diag_error(reader->journal->disk->diag,
               "%s cannot be read at offset %" PRIu64
               ": it is damaged; restart this server to have it checked",
               segment->path, reader->at.offset);
    return ERR_CORRUPT;
}

enum verdict {
    VERDICT_NEXT, /* The next record, at once. */
    VERDICT_WAIT, /* Something is in flight, or the reader was paused or stopped. */
    VERDICT_END,
};

/* What a transaction must follow; -1: anything. Files in front of a snapshot need not reach it: a
 * server that lost its power as it had taken its leader's may have them still. */
static int64_t find_previous(const struct history_reader *reader, int64_t zxid)
{
    if (!reader->has_snapshot || reader->zxid_last >= reader->from)
        return reader->zxid_last;
    return zxid <= reader->from ? -1 : reader->from;
}

/* One record that is whole. */
static enum verdict take_record(struct history_reader *reader, struct slice entry, size_t size,
                                enum err *err)
{
    const int64_t zxid = load_i64(entry.data + zxid_offset);
    if (zxid > reader->to)
        return VERDICT_END;
    const enum err checked = recovery_check_zxid(find_previous(reader, zxid), zxid);
    if (checked != ERR_OK && checked != ERR_EXISTS) {
        *err = ERR_NOT_FOUND;
        return VERDICT_END;
    }
    skip(reader, size);
    if (checked == ERR_EXISTS)
        return VERDICT_NEXT;
    reader->zxid_last = zxid;
    if (zxid <= reader->from) {
        reader->zxid_previous = zxid;
        reader->end_previous = reader->at;
        return VERDICT_NEXT;
    }
    struct history_block *block = reader->block;
    block->is_lent = true;
    const bool goes_on = reader->handler.on_entry(reader->handler.context, zxid, entry);
    block->is_lent = false;
    if (block->reader == NULL) { /* It was stopped, and may have vanished. */
        heap_give(block->heap, block);
        return VERDICT_WAIT;
    }
    reader->is_paused = !goes_on;
    return goes_on ? VERDICT_NEXT : VERDICT_WAIT;
}

/* No record can be read here: the end of the file, or not. A torn tail is one if the next file goes
 * on with what is missing, as after a crash of Apache's. */
static enum verdict leave_segment(struct history_reader *reader, struct journal_segment *segment,
                                  enum txn_record_verdict verdict, enum err *err)
{
    const struct journal_segment *next = journal_segment_next(segment);
    const bool is_continued = next != NULL && next->base == (uint64_t)reader->zxid_last + 1;
    const bool is_end = verdict == TXN_RECORD_END || (verdict == TXN_RECORD_MORE && next == NULL);
    if (!is_end && !is_continued) {
        *err = refuse(reader, segment);
        return VERDICT_END;
    }
    return next_segment(reader, segment) ? VERDICT_NEXT : VERDICT_END;
}

static enum verdict take_header(struct history_reader *reader, struct journal_segment *segment,
                                enum err *err)
{
    const struct history_block *block = reader->block;
    const struct slice bytes = slice_of(block->buffer + block->begin, block->end - block->begin);
    if (bytes.size < txn_file_header_bytes && !block->is_at_end) {
        read_more(reader, segment);
        return VERDICT_WAIT;
    }
    if (bytes.size < txn_file_header_bytes)
        return leave_segment(reader, segment, TXN_RECORD_END, err);
    if (txn_codec_check_file_header(bytes) != ERR_OK) {
        *err = refuse(reader, segment);
        return VERDICT_END;
    }
    skip(reader, txn_file_header_bytes);
    return VERDICT_NEXT;
}

static enum verdict take_next(struct history_reader *reader, enum err *err)
{
    const struct history_block *block = reader->block;
    struct journal_segment *segment = journal_segment_find(reader->journal, reader->at.base);
    if (segment == NULL) { /* There is no file, or this one was purged. */
        *err = reader->journal->segment_count == 0 ? ERR_OK : ERR_NOT_FOUND;
        return VERDICT_END;
    }
    if (reader->at.offset == 0)
        return take_header(reader, segment, err);
    const struct slice bytes = slice_of(block->buffer + block->begin, block->end - block->begin);
    struct slice entry;
    size_t size = 0;
    const enum txn_record_verdict verdict = txn_codec_read_record(bytes, &entry, &size);
    if (verdict == TXN_RECORD_OK && entry.size >= txn_header_bytes)
        return take_record(reader, entry, size, err);
    const bool wants_more = verdict == TXN_RECORD_MORE || bytes.size < txn_record_head_bytes;
    if (!wants_more || block->is_at_end)
        return leave_segment(reader, segment, bytes.size == 0 ? TXN_RECORD_END : verdict, err);
    if (size > block->capacity)
        *err = widen(reader, size);
    if (*err != ERR_OK)
        return VERDICT_END;
    read_more(reader, segment);
    return VERDICT_WAIT;
}

static void go_on(struct history_reader *reader)
{
    enum err err = ERR_OK;
    enum verdict verdict = VERDICT_NEXT;
    while (verdict == VERDICT_NEXT)
        verdict = reader->zxid_last == reader->to ? VERDICT_END : take_next(reader, &err);
    if (verdict == VERDICT_END)
        finish(reader, err);
}

/* ---- start ---- */

enum err history_reader_start(struct history_reader *reader, struct journal *journal,
                              struct heap *heap, struct history_reader_range range,
                              struct history_reader_handler handler)
{
    assert(range.from <= range.to);
    *reader = (struct history_reader){
        .journal = journal,
        .heap = heap,
        .handler = handler,
        .from = range.from,
        .to = range.to,
        .has_snapshot = range.has_snapshot,
        .zxid_previous = -1,
        .zxid_last = -1,
    };
    reader->block = take_block(reader, history_reader_buffer_bytes);
    if (reader->block == NULL)
        return ERR_NO_MEMORY;
    const struct journal_segment *segment =
        range.from >= 0 ? journal_segment_at(journal, (uint64_t)range.from) : NULL;
    if (segment == NULL)
        segment = journal_segment_first(journal);
    if (segment != NULL)
        reader->at = reader->end_previous = (struct journal_position){segment->base, 0};
    take_turn(reader);
    return ERR_OK;
}

void history_reader_resume(struct history_reader *reader)
{
    if (!reader->is_paused || reader->block == NULL)
        return;
    reader->is_paused = false;
    if (!reader->is_reading)
        take_turn(reader);
}
