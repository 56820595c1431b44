#include "server/keeper/keeper_load.h"

#include "base/assert.h"
#include "journal/journal_reader.h"
#include "journal/small_file.h"
#include "keeper/recovery.h"
#include "keeper/snapshot_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum { buffer_bytes_first = 1 << 20, snapshot_tail_bytes = 5 };

struct loader {
    struct keeper_server *server;
    struct recovery_file *snapshots; /* Newest first. */
    int32_t snapshot_count;
    uint8_t *buffer;
    size_t buffer_size;
    bool has_snapshot;
    uint64_t txn_count;
    int64_t zxid_last;   /* Of the last record read; 0: none. */
    int64_t zxid_synced; /* From the mark. */
    bool knows_synced;
    bool is_cut; /* Nothing behind what was read counts. */
    bool has_digest;
    int64_t digest_zxid;
    uint64_t digest;
    char path[keeper_path_bytes_max];
};

/* ---- folders ---- */

static enum err report(struct keeper_server *server, const char *what, const char *path,
                       int64_t negative_errno)
{
    const enum err err = err_from_errno((int)negative_errno);
    diag_error(server->shard->diag, "cannot %s %s: %s", what, path, err_text(err));
    return err;
}

/* The folder and those above it, as far as they are missing or may not be durable: those that exist
 * may have been made by a process that was killed before it could sync them. */
static enum err make_folder(struct keeper_server *server, const char *path, bool is_durable)
{
    char part[keeper_path_bytes_max];
    struct io_file_info info;
    const size_t size = strlen(path);
    for (size_t at = 1; at <= size; at++) {
        if (path[at] != '/' && path[at] != '\0')
            continue;
        memcpy(part, path, at);
        part[at] = '\0';
        const bool exists = io_file_info(server->shard->io, part, &info) == 0 && info.is_directory;
        if (exists && is_durable)
            continue;
        const int64_t made = small_file_make_directory_wait(server->shard->io, part);
        /* Folders of others above ours may be closed to us: they were there before. */
        if (made < 0 && !(exists && (made == -EACCES || made == -EPERM)))
            return report(server, "make the folder", part, made);
    }
    return ERR_OK;
}

/* Two servers on one folder would destroy it. */
static enum err lock_folder(struct keeper_server *server)
{
    struct io *io = server->shard->io;
    struct io_op op = {.kind = IO_OPEN, .handle = io_handle_none};
    op.path.path = server->journal_path;
    op.path.flags = IO_OPEN_READ | IO_OPEN_DIRECTORY;
    const int64_t handle = io_wait(io, &op);
    if (handle < 0)
        return report(server, "open", server->journal_path, handle);
    server->lock_handle = (int32_t)handle;
    const int locked = io_lock(io, server->lock_handle);
    if (locked < 0) {
        diag_error(server->shard->diag,
                   "%s is in use by another process; stop that one or change dataDir",
                   server->journal_path);
        return ERR_BUSY;
    }
    return ERR_OK;
}

/* ---- snapshots ---- */

static void on_name(void *context, const char *name)
{
    struct loader *loader = context;
    const struct recovery_file file = recovery_file_of(slice_from_text(name));
    if (file.kind != RECOVERY_FILE_SNAPSHOT || loader->snapshot_count == purge_task_file_count_max)
        return;
    loader->snapshots[loader->snapshot_count++] = file;
}

static enum err list_snapshots(struct loader *loader)
{
    struct keeper_server *server = loader->server;
    const size_t size = sizeof *loader->snapshots * purge_task_file_count_max;
    loader->snapshots = heap_take(server->shard->heap, size);
    if (loader->snapshots == NULL)
        return ERR_NO_MEMORY;
    const int listed = io_list_directory(server->shard->io, server->snapshot_path, on_name, loader);
    if (listed < 0)
        return report(server, "list", server->snapshot_path, listed);
    recovery_sort(loader->snapshots, loader->snapshot_count);
    return ERR_OK;
}

static void name_file(struct loader *loader, const char *folder, enum recovery_file_kind kind,
                      int64_t zxid)
{
    uint8_t name[recovery_name_bytes_max];
    const struct slice text = recovery_file_name(kind, zxid, name);
    snprintf(loader->path, sizeof loader->path, "%s/%" SLICE_FORMAT, folder, SLICE_ARGS(text));
}

static bool looks_whole(struct loader *loader)
{
    struct io *io = loader->server->shard->io;
    struct io_file_info info;
    struct journal_reader reader;
    struct slice tail;
    if (io_file_info(io, loader->path, &info) < 0 || info.size_bytes < snapshot_tail_bytes)
        return false;
    if (journal_reader_open_path(&reader, io, loader->path, info.size_bytes - snapshot_tail_bytes,
                                 loader->buffer, loader->buffer_size) != ERR_OK)
        return false;
    const enum err err = journal_reader_peek(&reader, snapshot_tail_bytes, &tail);
    const bool whole = err == ERR_OK && recovery_snapshot_looks_whole(info.size_bytes, tail);
    journal_reader_close(&reader);
    return whole;
}

static enum err feed_file(struct loader *loader, struct snapshot_reader *snapshot)
{
    struct journal_reader reader;
    struct slice piece;
    enum err err = journal_reader_open_path(&reader, loader->server->shard->io, loader->path, 0,
                                            loader->buffer, loader->buffer_size);
    if (err != ERR_OK)
        return err;
    do {
        err = journal_reader_peek(&reader, loader->buffer_size, &piece);
        if (err == ERR_OK && piece.size > 0)
            err = snapshot_reader_feed(snapshot, piece);
        journal_reader_skip(&reader, piece.size);
    } while (err == ERR_OK && piece.size > 0);
    journal_reader_close(&reader);
    return err == ERR_OK ? snapshot_reader_finish(snapshot) : err;
}

static struct keeper_options keeper_options_of(struct keeper_server *server)
{
    const struct keeper_config *config = &server->config;
    const uint64_t limit = (uint64_t)config->memory_mib_max << 20;
    struct keeper_options options = {
        .memory_bytes_max = (size_t)min_u64(limit, server->shard->heap->limit_bytes / 8 * 7),
        .session_count_max = (uint32_t)config->session_count_max,
        .watch_count_max = (uint64_t)config->watch_count_max,
        .tick_ms = (uint32_t)config->tick_ms,
        .timeout_ms_min = keeper_config_timeout_ms_min(config),
        .timeout_ms_max = keeper_config_timeout_ms_max(config),
        .server_id = 1, /* What Apache's server uses when it stands alone. */
        .record_bytes_max = (int32_t)min_i64(2 * config->frame_bytes_max, INT32_MAX),
        .auth = {.super_digest = config->super_digest == NULL
                                     ? SLICE_NULL
                                     : slice_from_text(config->super_digest),
                 .digest_disabled = !config->digest_enabled},
        .skip_acl = config->skip_acl,
        .extended_types_enabled = config->extended_types_enabled,
        .enforce_quota = config->enforce_quota,
    };
    io_entropy(server->shard->io, &options.hash_seed, sizeof options.hash_seed);
    return options;
}

static enum err init_keeper(struct keeper_server *server)
{
    const enum err err = keeper_init(&server->keeper, server->shard->heap,
                                     keeper_options_of(server), keeper_server_now_ms(server));
    if (err != ERR_OK)
        diag_error(server->shard->diag, "no memory for an empty tree; raise memory.limitMb");
    return err;
}

/* The state of a snapshot's digest is reached some transactions behind the snapshot. */
static void check_digest(struct loader *loader)
{
    const struct keeper *keeper = &loader->server->keeper;
    if (!loader->has_digest || keeper->zxid_applied != loader->digest_zxid)
        return;
    loader->has_digest = false;
    if (keeper->tree.digest != loader->digest)
        diag_error(loader->server->shard->diag,
                   "at zxid 0x%" PRIx64 " the tree's digest is %" PRIu64
                   ", but the snapshot says %" PRIu64,
                   (uint64_t)keeper->zxid_applied, keeper->tree.digest, loader->digest);
}

static enum err load_snapshot(struct loader *loader, const struct recovery_file *file)
{
    struct keeper_server *server = loader->server;
    struct snapshot_reader snapshot;
    snapshot_reader_init(&snapshot, &server->keeper, &server->arena, file->zxid,
                         keeper_server_now_ms(server));
    const enum err err = feed_file(loader, &snapshot);
    if (err == ERR_OK) {
        diag_info(server->shard->diag, "loaded %s, %" PRIu64 " znodes", loader->path,
                  snapshot.znode_count);
        loader->has_digest = snapshot.has_digest;
        loader->digest_zxid = snapshot.digest_zxid;
        loader->digest = snapshot.digest;
        check_digest(loader);
    } else
        diag_warn(server->shard->diag,
                  "%s is damaged at offset %" PRIu64 ": %s (%s); trying an older one", loader->path,
                  snapshot.offset, err_text(err),
                  snapshot.reason != NULL ? snapshot.reason : "unreadable");
    snapshot_reader_deinit(&snapshot);
    return err;
}

/* The newest snapshot that is sound; each failed try leaves an empty keeper. */
static enum err load_snapshots(struct loader *loader)
{
    struct keeper_server *server = loader->server;
    enum err err = init_keeper(server);
    for (int32_t i = 0; i < loader->snapshot_count && err == ERR_OK; i++) {
        const struct recovery_file *file = &loader->snapshots[i];
        if (i == recovery_snapshot_tries_max)
            break;
        name_file(loader, server->snapshot_path, RECOVERY_FILE_SNAPSHOT, file->zxid);
        if (file->compression != RECOVERY_PLAIN) {
            diag_warn(server->shard->diag, "compressed snapshots cannot be read yet; skipped %s.*",
                      loader->path);
            continue;
        }
        if (!looks_whole(loader)) {
            diag_warn(server->shard->diag, "%s is not whole; skipped", loader->path);
            continue;
        }
        if (load_snapshot(loader, file) == ERR_OK) {
            loader->has_snapshot = true;
            server->snapshot.zxid_last = file->zxid;
            return ERR_OK;
        }
        keeper_deinit(&server->keeper);
        err = init_keeper(server);
    }
    return err;
}

/* ---- the journal ---- */

static enum err grow_buffer(struct loader *loader, size_t size)
{
    uint8_t *buffer = heap_take(loader->server->shard->heap, size);
    if (buffer == NULL)
        return ERR_NO_MEMORY;
    heap_give(loader->server->shard->heap, loader->buffer);
    loader->buffer = buffer;
    loader->buffer_size = size;
    return ERR_OK;
}

/* A reader that keeps its place in the segment when it gets a larger buffer. */
static enum err widen(struct loader *loader, struct journal_reader *reader,
                      struct journal_segment *segment, size_t size)
{
    const uint64_t offset = reader->offset;
    journal_reader_close(reader);
    const enum err err = grow_buffer(loader, size);
    if (err != ERR_OK)
        return err;
    return journal_reader_open(reader, segment, offset, loader->buffer, loader->buffer_size);
}

struct record {
    enum txn_record_verdict verdict;
    struct slice entry;
    size_t size;
};

/* The record at the reader's place, as far as it is there. */
static enum err read_record(struct loader *loader, struct journal_reader *reader,
                            struct journal_segment *segment, struct record *record)
{
    size_t wanted = txn_record_head_bytes;
    for (;;) {
        struct slice bytes;
        enum err err = ERR_OK;
        if (wanted > loader->buffer_size)
            err = widen(loader, reader, segment, wanted);
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

static enum err refuse_at(struct loader *loader, const struct journal_segment *segment,
                          uint64_t offset, const char *what)
{
    diag_error(loader->server->shard->diag,
               "%s is damaged at offset %" PRIu64 ": %s; restore it from a backup, or "
               "move it and all later files away, losing what they hold",
               segment->path, offset, what);
    return ERR_CORRUPT;
}

static struct recovery_stop stop_of(const struct loader *loader)
{
    return (struct recovery_stop){
        .zxid_last = max_i64(loader->zxid_last, loader->server->keeper.zxid_applied),
        .zxid_synced = loader->zxid_synced,
        .knows_synced = loader->knows_synced};
}

/* Sound transactions that do not follow the ones before them. */
static enum err judge_hole(struct loader *loader, const struct journal_segment *segment,
                           uint64_t offset)
{
    const struct recovery_stop stop = stop_of(loader);
    if (recovery_judge_hole(&stop) == RECOVERY_REFUSE)
        return refuse_at(loader, segment, offset, "transactions are missing or out of order");
    loader->is_cut = true;
    return ERR_OK;
}

static enum err replay_record(struct loader *loader, const struct journal_segment *segment,
                              uint64_t offset, struct slice entry)
{
    struct keeper_server *server = loader->server;
    struct txn_result result;
    struct txn txn;
    arena_reset(&server->arena);
    if (txn_codec_decode_entry(entry, &server->arena, &txn) != ERR_OK)
        return refuse_at(loader, segment, offset,
                         "its checksum is right, but it is no transaction");
    const enum err err = recovery_check_zxid(loader->zxid_last, txn.zxid);
    if (err == ERR_EXISTS)
        return ERR_OK;
    if (err != ERR_OK)
        return judge_hole(loader, segment, offset);
    loader->zxid_last = txn.zxid;
    if (txn.zxid <= server->keeper.zxid_applied)
        return ERR_OK;
    keeper_apply(&server->keeper, &txn, keeper_server_now_ms(server), NULL, &server->arena,
                 &result);
    loader->txn_count++;
    check_digest(loader);
    return ERR_OK;
}

/* Whether only zeros follow the reader's place. */
static enum err rest_is_zero(struct loader *loader, struct journal_reader *reader, bool *is_zero)
{
    struct slice bytes;
    *is_zero = true;
    do {
        const enum err err = journal_reader_peek(reader, loader->buffer_size, &bytes);
        if (err != ERR_OK)
            return err;
        for (size_t i = 0; i < bytes.size; i++)
            if (bytes.data[i] != 0) {
                *is_zero = false;
                return ERR_OK;
            }
        journal_reader_skip(reader, bytes.size);
    } while (bytes.size > 0);
    return ERR_OK;
}

/* What the end of the readable records means. */
static enum err judge(struct loader *loader, struct journal_reader *reader,
                      struct journal_segment *segment, const struct record *record,
                      enum recovery_verdict *verdict)
{
    const uint64_t offset = reader->offset;
    const uint64_t end = offset + max_u64(record->size, 1);
    struct recovery_stop stop = stop_of(loader);
    stop.verdict = record->verdict;
    stop.is_last_file = journal_segment_next(segment) == NULL;
    stop.is_empty_file = segment->size_bytes == 0;
    stop.reaches_file_end = end >= segment->size_bytes;
    enum err err = rest_is_zero(loader, reader, &stop.rest_is_zero);
    journal_reader_close(reader);
    if (err == ERR_OK && !stop.reaches_file_end) {
        err = journal_reader_open(reader, segment, end, loader->buffer, loader->buffer_size);
        if (err == ERR_OK)
            err = rest_is_zero(loader, reader, &stop.reaches_file_end);
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

static void tell_cut(struct loader *loader, const struct journal_segment *segment, uint64_t offset)
{
    diag_warn(loader->server->shard->diag,
              "%s is torn at offset %" PRIu64
              ", behind all that is known to be acknowledged; cut there",
              segment->path, offset);
}

/* No more records can be read here: why, and what that means. Closes reader. */
static enum err conclude(struct loader *loader, struct journal_reader *reader,
                         struct journal_segment *segment, const struct record *record)
{
    const uint64_t offset = reader->offset;
    enum recovery_verdict verdict;
    const enum err err = judge(loader, reader, segment, record, &verdict);
    if (err != ERR_OK || verdict == RECOVERY_GO_ON)
        return err;
    if (verdict == RECOVERY_REFUSE)
        return refuse_at(loader, segment, offset, verdict_text(record->verdict));
    loader->is_cut = true;
    if (verdict == RECOVERY_CUT)
        tell_cut(loader, segment, offset);
    return ERR_OK;
}

/* Reads the records behind the header; *end is where the valid bytes end. */
static enum err replay_records(struct loader *loader, struct journal_reader *reader,
                               struct journal_segment *segment, struct journal_position *end)
{
    struct record record = {0};
    enum err err = ERR_OK;
    for (;;) {
        err = read_record(loader, reader, segment, &record);
        if (err != ERR_OK || record.verdict != TXN_RECORD_OK)
            break;
        err = replay_record(loader, segment, reader->offset, record.entry);
        if (err != ERR_OK || loader->is_cut)
            break;
        journal_reader_skip(reader, record.size);
        *end = (struct journal_position){segment->base, reader->offset};
    }
    if (err == ERR_OK && !loader->is_cut)
        return conclude(loader, reader, segment, &record);
    if (loader->is_cut)
        tell_cut(loader, segment, reader->offset);
    journal_reader_close(reader);
    return err;
}

static enum err replay_segment(struct loader *loader, struct journal_segment *segment,
                               struct journal_position *end)
{
    struct journal_reader reader;
    struct slice header;
    enum err err = journal_reader_open(&reader, segment, 0, loader->buffer, loader->buffer_size);
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
        return conclude(loader, &reader, segment, &none);
    }
    /* A last file without records goes: its name may be ahead of the next zxid. */
    journal_reader_skip(&reader, txn_file_header_bytes);
    return replay_records(loader, &reader, segment, end);
}

static struct journal_segment *first_segment(struct loader *loader)
{
    struct journal *journal = &loader->server->journal;
    const uint64_t wanted = (uint64_t)loader->server->keeper.zxid_applied + 1;
    struct journal_segment *segment = journal_segment_at(journal, wanted);
    return segment != NULL ? segment : journal_segment_first(journal);
}

/* Whole files may be missing, which no file that is there shows. */
static enum err check_acknowledged(const struct loader *loader)
{
    const struct keeper_server *server = loader->server;
    const struct recovery_stop stop = stop_of(loader);
    if (stop.zxid_last >= stop.zxid_synced)
        return ERR_OK;
    diag_error(server->shard->diag,
               "%s ends at zxid 0x%" PRIx64 ", but 0x%" PRIx64 " was acknowledged; restore "
               "what is missing, or remove the file acknowledged there to go on without it",
               server->journal_path, (uint64_t)stop.zxid_last, (uint64_t)stop.zxid_synced);
    return ERR_CORRUPT;
}

static enum err replay(struct loader *loader, struct journal_start_options *start)
{
    struct keeper_server *server = loader->server;
    struct journal_segment *segment = first_segment(loader);
    start->sync_base = segment == NULL ? UINT64_MAX : segment->base;
    if (segment != NULL && segment->base <= (uint64_t)server->keeper.zxid_applied)
        loader->zxid_last = 0; /* Its first record stands where it likes. */
    else
        loader->zxid_last = server->keeper.zxid_applied;
    if (segment != NULL)
        start->end = (struct journal_position){segment->base, 0};
    enum err err = ERR_OK;
    for (; segment != NULL && err == ERR_OK && !loader->is_cut;
         segment = journal_segment_next(segment))
        err = replay_segment(loader, segment, &start->end);
    return err == ERR_OK ? check_acknowledged(loader) : err;
}

static enum err open_journal(struct keeper_server *server)
{
    txn_codec_encode_file_header(server->file_header);
    const struct journal_disk_options disk = {
        .path = server->journal_path,
        .reserve_bytes = (uint64_t)server->config.disk_reserve_mib << 20,
        .writer_count = 1,
    };
    enum err err = journal_disk_init(&server->disk, server->shard->io, server->shard->heap,
                                     server->shard->diag, disk);
    if (err != ERR_OK)
        return err;
    journal_init(&server->journal, &server->disk,
                 (struct journal_options){
                     .path = server->journal_path,
                     .naming = journal_naming_keeper,
                     .header = slice_of(server->file_header, sizeof server->file_header),
                     .allocate_step_bytes = (uint64_t)server->config.allocate_kib << 10,
                     .allocate_sparse = true,
                 });
    server->is_journal_open = true;
    err = journal_load(&server->journal);
    if (err != ERR_OK)
        diag_error(server->shard->diag, "cannot read the journal's files in %s: %s",
                   server->journal_path, err_text(err));
    return err;
}

static enum err check_empty(struct loader *loader)
{
    const struct recovery_empty empty = {.has_snapshots = loader->snapshot_count > 0,
                                         .has_records = loader->zxid_last > 0,
                                         .trust_empty_snapshot =
                                             loader->server->config.trust_empty_snapshot};
    if (loader->has_snapshot || recovery_judge_empty(&empty) == RECOVERY_GO_ON)
        return ERR_OK;
    diag_error(loader->server->shard->diag,
               "%s has no sound snapshot, though there %s; restore one from a backup%s",
               loader->server->snapshot_path,
               empty.has_snapshots ? "are snapshot files" : "are transactions in the journal",
               empty.has_snapshots ? "" : ", or set snapshot.trust.empty=true");
    return ERR_CORRUPT;
}

static enum err load_tree(struct loader *loader, struct journal_start_options *start)
{
    loader->knows_synced = ack_mark_load(loader->server, &loader->zxid_synced);
    enum err err = load_snapshots(loader);
    if (err == ERR_OK)
        err = open_journal(loader->server);
    if (err == ERR_OK)
        err = replay(loader, start);
    if (err == ERR_OK)
        err = check_empty(loader);
    return err;
}

/* Without syncs nothing is known to be durable. */
static int64_t acknowledged_zxid(const struct keeper_server *server)
{
    return server->config.force_sync ? server->keeper.zxid_applied : 0;
}

enum err keeper_load(struct keeper_server *server)
{
    struct loader loader = {.server = server};
    struct journal_start_options start = {.sync_base = UINT64_MAX};
    int64_t zxid;
    const bool is_durable = ack_mark_load(server, &zxid); /* It is written after the folders. */
    enum err err = make_folder(server, server->snapshot_path, is_durable);
    if (err == ERR_OK)
        err = make_folder(server, server->journal_path, is_durable);
    if (err == ERR_OK)
        err = lock_folder(server);
    if (err == ERR_OK)
        err = grow_buffer(&loader, buffer_bytes_first);
    if (err == ERR_OK)
        err = list_snapshots(&loader);
    if (err == ERR_OK)
        err = load_tree(&loader, &start);
    if (err == ERR_OK)
        err = journal_start(&server->journal, start);
    if (err == ERR_OK)
        err = ack_mark_start(&server->mark, server, acknowledged_zxid(server));
    heap_give(server->shard->heap, loader.buffer);
    heap_give(server->shard->heap, loader.snapshots);
    if (err == ERR_OK && loader.txn_count > 0)
        diag_info(server->shard->diag, "replayed %" PRIu64 " transactions, up to zxid 0x%" PRIx64,
                  loader.txn_count, (uint64_t)server->keeper.zxid_applied);
    return err;
}
