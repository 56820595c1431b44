#include "server/keeper/journal_replayer.h"

#include "journal/journal_reader.h"
#include "journal/journal_rewrite.h"

#include "base/bytes.h"

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
    const char *why; /* NULL: the verdict says it. */
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

static int64_t zxid_reached(const struct journal_replayer *replayer)
{
    return max_i64(replayer->zxid_last, replayer->server->keeper.zxid_applied);
}

static struct recovery_stop stop_of(const struct journal_replayer *replayer)
{
    return (struct recovery_stop){.zxid_last = zxid_reached(replayer),
                                  .zxid_synced = replayer->zxid_synced,
                                  .knows_synced = replayer->knows_synced};
}

/* What follows the mark may lie in the page cache only, behind a sync that failed: it is written
 * once more before anything is read from it. */
static enum err rewrite_tail(struct journal_replayer *replayer, struct journal_segment *segment,
                             uint64_t offset)
{
    struct keeper_server *server = replayer->server;
    replayer->is_rewritten = true;
    for (; segment != NULL; segment = journal_segment_next(segment), offset = 0) {
        const enum err err = journal_rewrite_wait(server->shard->io, segment->path, offset,
                                                  replayer->buffer, replayer->buffer_size, NULL);
        if (err == ERR_OK)
            continue;
        diag_error(server->shard->diag, "%s cannot be written again and synced: %s", segment->path,
                   err_text(err));
        return err;
    }
    return ERR_OK;
}

static bool must_rewrite(const struct journal_replayer *replayer)
{
    return !replayer->is_rewritten && replayer->server->config.force_sync &&
           zxid_reached(replayer) >= replayer->zxid_synced;
}

/* Reads on from the same place, in bytes that are durable. */
static enum err rewrite_under(struct journal_replayer *replayer, struct journal_reader *reader,
                              struct journal_segment *segment)
{
    const uint64_t offset = reader->offset;
    journal_reader_close(reader);
    const enum err err = rewrite_tail(replayer, segment, offset);
    if (err != ERR_OK)
        return err;
    return journal_reader_open(reader, segment, offset, replayer->buffer, replayer->buffer_size);
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

/* Apache's servers tell the tree's digest behind their transactions; a tree that a snapshot was
 * taken of while it changed has none until it has come to the snapshot's end. */
static void check_digest(struct journal_replayer *replayer, const struct txn *txn)
{
    struct keeper_server *server = replayer->server;
    snapshot_loader_check_digest(replayer->snapshot);
    if (!txn->has_digest || !replayer->snapshot->is_exact ||
        txn->digest == server->keeper.tree.digest)
        return;
    if (server->stats.counts.digest_mismatch_count++ == 0)
        diag_error(server->shard->diag,
                   "at zxid 0x%" PRIx64 " the tree's digest is %" PRIu64
                   ", but the journal says %" PRIu64 "; the server that wrote it held another tree",
                   (uint64_t)txn->zxid, server->keeper.tree.digest, txn->digest);
}

/* Whether the transaction comes next; those that the snapshot holds may stand as they like. */
static enum err check_zxid(const struct journal_replayer *replayer, int64_t zxid)
{
    if (zxid <= replayer->zxid_base && replayer->zxid_last <= replayer->zxid_base)
        return ERR_EXISTS;
    return recovery_check_zxid(max_i64(replayer->zxid_last, replayer->zxid_base), zxid);
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
    /* We write no digests: somebody else went on behind our mark. */
    if (txn.has_digest && txn.zxid > replayer->zxid_synced)
        replayer->knows_synced = false;
    const enum err err = check_zxid(replayer, txn.zxid);
    if (err != ERR_OK && err != ERR_EXISTS)
        return judge_hole(replayer, segment, offset);
    replayer->zxid_last = max_i64(replayer->zxid_last, txn.zxid);
    if (err == ERR_EXISTS)
        return ERR_OK;
    keeper_apply(&server->keeper, &txn, keeper_server_now_ms(server), NULL, &server->arena,
                 &result);
    digest_log_add(&server->digests, txn.zxid, server->keeper.tree.digest);
    txn_cache_add(&server->cache, txn.zxid, entry);
    replayer->txn_count++;
    check_digest(replayer, &txn);
    return ERR_OK;
}

/* Whether only zeros follow the reader's place. */
static enum err rest_is_zero(struct journal_replayer *replayer, struct journal_reader *reader,
                             bool *is_zero)
{
    struct slice bytes;
    *is_zero = true;
    do {
        const enum err err = journal_reader_peek(reader, replayer->buffer_size, &bytes);
        if (err != ERR_OK)
            return err;
        *is_zero = slice_is_zero(bytes);
        journal_reader_skip(reader, bytes.size);
    } while (*is_zero && bytes.size > 0);
    return ERR_OK;
}

/* ---- looking behind a place that cannot be read ---- */

struct search {
    bool is_found;
    bool is_foreign; /* It has a digest, so it is not ours. */
};

/* Whether a later transaction of ours or anybody's begins here, whole and sound. */
static bool is_sound(struct journal_replayer *replayer, struct slice bytes, struct search *search)
{
    struct slice entry;
    size_t size;
    struct txn txn;
    if (txn_codec_read_record(bytes, &entry, &size) != TXN_RECORD_OK)
        return false;
    arena_reset(&replayer->server->arena);
    if (txn_codec_decode_entry(entry, &replayer->server->arena, &txn) != ERR_OK ||
        txn.zxid <= zxid_reached(replayer))
        return false;
    search->is_found = true;
    search->is_foreign = txn.has_digest;
    return true;
}

/* Looks at each byte of the window; *used: how many need not be looked at again. */
static void search_window(struct journal_replayer *replayer, struct slice window, bool is_last,
                          struct search *search, size_t *used)
{
    size_t at = 0;
    if (slice_is_zero(window))
        at = window.size;
    for (; window.size - at > txn_record_head_bytes && !search->is_found; at++) {
        const uint64_t size = load_u32(window.data + at + 8);
        const size_t room = window.size - at - txn_record_head_bytes;
        if (size < txn_header_bytes || size >= replayer->buffer_size / 2)
            continue;
        if (size >= room && !is_last)
            break;
        if (size < room && is_sound(replayer, slice_skip(window, at), search))
            return;
    }
    *used = is_last ? window.size : at;
}

/* A sound record behind offset, of the segment or a later one. Those longer than half the buffer
 * are not seen. */
static enum err search_behind(struct journal_replayer *replayer, struct journal_segment *segment,
                              uint64_t offset, struct search *search)
{
    enum err err = ERR_OK;
    for (; segment != NULL && err == ERR_OK; segment = journal_segment_next(segment), offset = 0) {
        struct journal_reader reader;
        struct slice window = SLICE_NULL;
        err =
            journal_reader_open(&reader, segment, offset, replayer->buffer, replayer->buffer_size);
        bool is_last = false;
        while (err == ERR_OK && !is_last && !search->is_found) {
            err = journal_reader_peek(&reader, replayer->buffer_size, &window);
            if (err != ERR_OK)
                break;
            size_t used = 0;
            is_last = window.size < replayer->buffer_size;
            search_window(replayer, window, is_last, search, &used);
            journal_reader_skip(&reader, used);
        }
        journal_reader_close(&reader);
    }
    return err;
}

/* What the end of the readable records means. Closes reader. */
static enum err judge(struct journal_replayer *replayer, struct journal_reader *reader,
                      struct journal_segment *segment, const struct record *record,
                      enum recovery_verdict *verdict)
{
    const uint64_t offset = reader->offset;
    const struct journal_segment *next = journal_segment_next(segment);
    struct recovery_stop stop = stop_of(replayer);
    stop.verdict = record->verdict;
    stop.is_last_file = next == NULL;
    stop.is_empty_file = segment->size_bytes == 0;
    stop.is_continued = next != NULL && next->base == (uint64_t)stop.zxid_last + 1;
    enum err err = rest_is_zero(replayer, reader, &stop.rest_is_zero);
    journal_reader_close(reader);
    if (err == ERR_OK && !stop.rest_is_zero && !stop.is_continued) {
        struct search search = {0};
        err = search_behind(replayer, segment, offset + 1, &search);
        stop.is_followed = search.is_found;
        stop.knows_synced = stop.knows_synced && !search.is_foreign;
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
        return refuse_at(replayer, segment, offset,
                         record->why != NULL ? record->why : verdict_text(record->verdict));
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
        if (must_rewrite(replayer))
            err = rewrite_under(replayer, reader, segment);
        if (err == ERR_OK)
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

/* A file whose making was interrupted is short, zeros, or worse. */
static enum err check_header(struct journal_replayer *replayer, struct journal_reader *reader,
                             struct journal_segment *segment, bool *is_sound_header)
{
    struct slice header;
    enum err err = journal_reader_peek(reader, txn_file_header_bytes, &header);
    const enum err checked = err == ERR_OK ? txn_codec_check_file_header(header) : ERR_OK;
    *is_sound_header = err == ERR_OK && checked == ERR_OK;
    if (checked == ERR_UNSUPPORTED)
        err = refuse_at(replayer, segment, 0, "it is of an unknown version");
    if (err != ERR_OK)
        journal_reader_close(reader);
    else if (checked == ERR_TRUNCATED)
        err = conclude(replayer, reader, segment, &(struct record){.verdict = TXN_RECORD_MORE});
    else if (checked != ERR_OK)
        err = conclude(replayer, reader, segment,
                       &(struct record){.verdict = TXN_RECORD_CHECKSUM,
                                        .why = "it does not begin as a journal file does"});
    return err;
}

static enum err replay_segment(struct journal_replayer *replayer, struct journal_segment *segment,
                               struct journal_position *end)
{
    struct journal_reader reader;
    bool is_sound_header;
    enum err err = must_rewrite(replayer) ? rewrite_tail(replayer, segment, 0) : ERR_OK;
    if (err == ERR_OK)
        err = journal_reader_open(&reader, segment, 0, replayer->buffer, replayer->buffer_size);
    if (err != ERR_OK)
        return err;
    err = check_header(replayer, &reader, segment, &is_sound_header);
    if (err != ERR_OK || !is_sound_header)
        return err;
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
    const int64_t zxid = zxid_reached(replayer);
    if (zxid < replayer->zxid_synced) {
        diag_error(server->shard->diag,
                   "%s ends at zxid 0x%" PRIx64 ", but 0x%" PRIx64
                   " was acknowledged; restore what is missing, or remove the file acknowledged "
                   "there to go on without it",
                   server->journal_path, (uint64_t)zxid, (uint64_t)replayer->zxid_synced);
        return ERR_CORRUPT;
    }
    return snapshot_loader_check_whole(replayer->snapshot);
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
    replayer->zxid_base = snapshot->has_snapshot ? server->keeper.zxid_applied : -1;
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
