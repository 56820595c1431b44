#include "server/keeper/journal_replayer.h"

#include "journal/journal_reader.h"

#include <inttypes.h>

enum { buffer_bytes_first = 1 << 20 };

static enum err grow_buffer(struct journal_replayer *replayer, size_t size)
{
    uint8_t *buffer = heap_take(replayer->server->shard->heap, size);
    if (buffer == NULL)
        return ERR_NO_MEMORY;
    heap_give(replayer->server->shard->heap, replayer->buffer);
    replayer->buffer = buffer;
    replayer->buffer_size = size;
    return ERR_OK;
}

/* A reader that keeps its place in the segment when it gets a larger buffer. */
static enum err widen(struct journal_replayer *replayer, struct journal_reader *reader,
                      struct journal_segment *segment, size_t size)
{
    const uint64_t offset = reader->offset;
    journal_reader_close(reader);
    const enum err err = grow_buffer(replayer, size);
    if (err != ERR_OK)
        return err;
    return journal_reader_open(reader, segment, offset, replayer->buffer, replayer->buffer_size);
}

struct record {
    enum txn_record_verdict verdict;
    struct slice entry;
    size_t size;
};

/* The record at the reader's place, as far as it is there. */
static enum err read_record(struct journal_replayer *replayer, struct journal_reader *reader,
                            struct journal_segment *segment, struct record *record)
{
    size_t wanted = txn_record_head_bytes;
    for (;;) {
        struct slice bytes;
        enum err err = ERR_OK;
        if (wanted > replayer->buffer_size)
            err = widen(replayer, reader, segment, wanted);
        if (err == ERR_OK)
            err = journal_reader_peek(reader, wanted, &bytes);
        if (err != ERR_OK)
            return err;
        record->size = 0;
        record->verdict = txn_codec_read_record(bytes, &record->entry, &record->size);
        if (record->verdict != TXN_RECORD_MORE || bytes.size < wanted || record->size <= wanted)
            return ERR_OK;
        wanted = record->size;
    }
}

static enum err refuse_at(struct journal_replayer *replayer, const struct journal_segment *segment,
                          uint64_t offset, const char *what)
{
    diag_error(replayer->server->shard->diag,
               "%s is damaged at offset %" PRIu64 ": %s; restore it from a backup, or "
               "move it and all later files away, losing what they hold",
               segment->path, offset, what);
    return ERR_CORRUPT;
}

static struct recovery_stop stop_of(const struct journal_replayer *replayer)
{
    return (struct recovery_stop){
        .zxid_last = max_i64(replayer->zxid_last, replayer->server->keeper.zxid_applied),
        .zxid_synced = replayer->zxid_synced,
        .knows_synced = replayer->knows_synced};
}

/* Sound transactions that do not follow the ones before them. */
static enum err judge_hole(struct journal_replayer *replayer, const struct journal_segment *segment,
                           uint64_t offset)
{
    const struct recovery_stop stop = stop_of(replayer);
    if (recovery_judge_hole(&stop) == RECOVERY_REFUSE)
        return refuse_at(replayer, segment, offset, "transactions are missing or out of order");
    replayer->is_cut = true;
    return ERR_OK;
}

static enum err replay_record(struct journal_replayer *replayer,
                              const struct journal_segment *segment, uint64_t offset,
                              struct slice entry)
{
    struct keeper_server *server = replayer->server;
    struct txn_result result;
    struct txn txn;
    arena_reset(&server->arena);
    if (txn_codec_decode_entry(entry, &server->arena, &txn) != ERR_OK)
        return refuse_at(replayer, segment, offset,
                         "its checksum is right, but it is no transaction");
    const enum err err = recovery_check_zxid(replayer->zxid_last, txn.zxid);
    if (err == ERR_EXISTS)
        return ERR_OK;
    if (err != ERR_OK)
        return judge_hole(replayer, segment, offset);
    replayer->zxid_last = txn.zxid;
    if (txn.zxid <= server->keeper.zxid_applied)
        return ERR_OK;
    keeper_apply(&server->keeper, &txn, keeper_server_now_ms(server), NULL, &server->arena,
                 &result);
    digest_log_add(&server->digests, txn.zxid, server->keeper.tree.digest);
    replayer->txn_count++;
    snapshot_loader_check_digest(replayer->snapshot);
    return ERR_OK;
}

/* Preallocated files hold many megabytes of zeros: the library compares them faster than a loop. */
static bool all_zero(struct slice bytes)
{
    return bytes.size == 0 ||
           (bytes.data[0] == 0 && memcmp(bytes.data, bytes.data + 1, bytes.size - 1) == 0);
}

/* Whether only zeros follow the reader's place, as far as size_max bytes. */
static enum err rest_is_zero(struct journal_replayer *replayer, struct journal_reader *reader,
                             uint64_t size_max, bool *is_zero)
{
    struct slice bytes;
    const uint64_t end = reader->offset + min_u64(size_max, UINT64_MAX - reader->offset);
    *is_zero = true;
    do {
        const enum err err = journal_reader_peek(reader, replayer->buffer_size, &bytes);
        if (err != ERR_OK)
            return err;
        *is_zero = all_zero(bytes);
        journal_reader_skip(reader, bytes.size);
    } while (*is_zero && bytes.size > 0 && reader->offset < end);
    return ERR_OK;
}

/* What the end of the readable records means. */
static enum err judge(struct journal_replayer *replayer, struct journal_reader *reader,
                      struct journal_segment *segment, const struct record *record,
                      enum recovery_verdict *verdict)
{
    const uint64_t offset = reader->offset;
    const uint64_t end = offset + max_u64(record->size, 1);
    struct recovery_stop stop = stop_of(replayer);
    stop.verdict = record->verdict;
    stop.is_last_file = journal_segment_next(segment) == NULL;
    stop.is_empty_file = segment->size_bytes == 0;
    stop.reaches_file_end = end >= segment->size_bytes;
    /* Behind the mark, at the end of the last file, it makes no difference what follows. */
    const bool is_settled =
        stop.is_last_file && stop.knows_synced && stop.zxid_last >= stop.zxid_synced;
    const uint64_t size_max = is_settled ? replayer->buffer_size : UINT64_MAX;
    enum err err = rest_is_zero(replayer, reader, size_max, &stop.rest_is_zero);
    journal_reader_close(reader);
    if (err == ERR_OK && !stop.reaches_file_end) {
        err = journal_reader_open(reader, segment, end, replayer->buffer, replayer->buffer_size);
        if (err == ERR_OK)
            err = rest_is_zero(replayer, reader, size_max, &stop.reaches_file_end);
        journal_reader_close(reader);
    }
    *verdict = recovery_judge_stop(&stop);
    return err;
}

static const char *verdict_text(enum txn_record_verdict verdict)
{
    switch (verdict) {
    case TXN_RECORD_OK:
    case TXN_RECORD_END: return "something follows the end";
    case TXN_RECORD_MORE: return "a record is cut short";
    case TXN_RECORD_NO_MARK: return "a record has no end mark";
    case TXN_RECORD_CHECKSUM: return "the checksum does not match";
    case TXN_RECORD_IMPOSSIBLE: return "a record has an impossible size";
    }
    return "unreadable";
}

static void tell_cut(struct journal_replayer *replayer, const struct journal_segment *segment,
                     uint64_t offset)
{
    diag_warn(replayer->server->shard->diag,
              "%s is torn at offset %" PRIu64
              ", behind all that is known to be acknowledged; cut there",
              segment->path, offset);
}

/* No more records can be read here: why, and what that means. Closes reader. */
static enum err conclude(struct journal_replayer *replayer, struct journal_reader *reader,
                         struct journal_segment *segment, const struct record *record)
{
    const uint64_t offset = reader->offset;
    enum recovery_verdict verdict;
    const enum err err = judge(replayer, reader, segment, record, &verdict);
    if (err != ERR_OK || verdict == RECOVERY_GO_ON)
        return err;
    if (verdict == RECOVERY_REFUSE)
        return refuse_at(replayer, segment, offset, verdict_text(record->verdict));
    replayer->is_cut = true;
    if (verdict == RECOVERY_CUT)
        tell_cut(replayer, segment, offset);
    return ERR_OK;
}

/* Reads the records behind the header; *end is where the valid bytes end. */
static enum err replay_records(struct journal_replayer *replayer, struct journal_reader *reader,
                               struct journal_segment *segment, struct journal_position *end)
{
    struct record record = {0};
    enum err err = ERR_OK;
    for (;;) {
        err = read_record(replayer, reader, segment, &record);
        if (err != ERR_OK || record.verdict != TXN_RECORD_OK)
            break;
        err = replay_record(replayer, segment, reader->offset, record.entry);
        if (err != ERR_OK || replayer->is_cut)
            break;
        journal_reader_skip(reader, record.size);
        *end = (struct journal_position){segment->base, reader->offset};
    }
    if (err == ERR_OK && !replayer->is_cut)
        return conclude(replayer, reader, segment, &record);
    if (replayer->is_cut)
        tell_cut(replayer, segment, reader->offset);
    journal_reader_close(reader);
    return err;
}

static enum err replay_segment(struct journal_replayer *replayer, struct journal_segment *segment,
                               struct journal_position *end)
{
    struct journal_reader reader;
    struct slice header;
    enum err err =
        journal_reader_open(&reader, segment, 0, replayer->buffer, replayer->buffer_size);
    if (err != ERR_OK)
        return err;
    err = journal_reader_peek(&reader, txn_file_header_bytes, &header);
    if (err != ERR_OK) {
        journal_reader_close(&reader);
        return err;
    }
    if (txn_codec_check_file_header(header) != ERR_OK) {
        /* A file whose making was interrupted: short, zeros, or worse. */
        const struct record none = {
            .verdict = header.size < txn_file_header_bytes ? TXN_RECORD_MORE : TXN_RECORD_CHECKSUM};
        return conclude(replayer, &reader, segment, &none);
    }
    /* A last file without records goes: its name may be ahead of the next zxid. */
    journal_reader_skip(&reader, txn_file_header_bytes);
    return replay_records(replayer, &reader, segment, end);
}

static struct journal_segment *first_segment(struct journal_replayer *replayer)
{
    struct journal *journal = &replayer->server->journal;
    const uint64_t wanted = (uint64_t)replayer->server->keeper.zxid_applied + 1;
    struct journal_segment *segment = journal_segment_at(journal, wanted);
    return segment != NULL ? segment : journal_segment_first(journal);
}

/* Whole files may be missing, which no file that is there shows. */
static enum err check_acknowledged(const struct journal_replayer *replayer)
{
    const struct keeper_server *server = replayer->server;
    const struct recovery_stop stop = stop_of(replayer);
    if (stop.zxid_last >= stop.zxid_synced)
        return ERR_OK;
    diag_error(server->shard->diag,
               "%s ends at zxid 0x%" PRIx64 ", but 0x%" PRIx64 " was acknowledged; restore "
               "what is missing, or remove the file acknowledged there to go on without it",
               server->journal_path, (uint64_t)stop.zxid_last, (uint64_t)stop.zxid_synced);
    return ERR_CORRUPT;
}

enum err journal_replayer_run(struct journal_replayer *replayer, struct snapshot_loader *snapshot,
                              struct journal_start_options *start)
{
    struct keeper_server *server = snapshot->server;
    *replayer = (struct journal_replayer){.server = server, .snapshot = snapshot};
    replayer->knows_synced = ack_mark_load(server, &replayer->zxid_synced);
    enum err err = grow_buffer(replayer, buffer_bytes_first);
    if (err != ERR_OK)
        return err;
    struct journal_segment *segment = first_segment(replayer);
    start->sync_base = segment == NULL ? UINT64_MAX : segment->base;
    if (segment != NULL && segment->base <= (uint64_t)server->keeper.zxid_applied)
        replayer->zxid_last = 0; /* Its first record stands where it likes. */
    else
        replayer->zxid_last = server->keeper.zxid_applied;
    if (segment != NULL)
        start->end = (struct journal_position){segment->base, 0};
    for (; segment != NULL && err == ERR_OK && !replayer->is_cut;
         segment = journal_segment_next(segment))
        err = replay_segment(replayer, segment, &start->end);
    return err == ERR_OK ? check_acknowledged(replayer) : err;
}

void journal_replayer_deinit(struct journal_replayer *replayer)
{
    if (replayer->server != NULL)
        heap_give(replayer->server->shard->heap, replayer->buffer);
}
