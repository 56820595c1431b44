#include "server/keeper/snapshot_loader.h"

#include "journal/journal_reader.h"
#include "keeper/snapshot_reader.h"
#include "server/keeper/keeper_load.h"
#include "server/keeper/snapshot_unpacker.h"

#include <inttypes.h>
#include <stdio.h>

enum { buffer_bytes = 1 << 20, snapshot_tail_bytes = 5 };

static void on_name(void *context, const char *name)
{
    struct snapshot_loader *loader = context;
    const struct recovery_file file = recovery_file_of(slice_from_text(name));
    if (file.kind != RECOVERY_FILE_SNAPSHOT)
        return;
    if (loader->file_count == purge_task_file_count_max) {
        recovery_sort(loader->files, loader->file_count);
        loader->file_count /= 2; /* More than are tried; the newest stay. */
    }
    loader->files[loader->file_count++] = file;
}

static enum err list_snapshots(struct snapshot_loader *loader)
{
    struct keeper_server *server = loader->server;
    const size_t size = sizeof *loader->files * purge_task_file_count_max;
    loader->files = heap_take(server->shard->heap, size);
    if (loader->files == NULL)
        return ERR_NO_MEMORY;
    const int listed = io_list_directory(server->shard->io, server->snapshot_path, on_name, loader);
    if (listed < 0)
        return keeper_load_tell(server, "list", server->snapshot_path, listed);
    recovery_sort(loader->files, loader->file_count);
    return ERR_OK;
}

static void name_file(struct snapshot_loader *loader, const struct recovery_file *file)
{
    uint8_t name[recovery_name_bytes_max];
    const struct slice text = recovery_file_name(RECOVERY_FILE_SNAPSHOT, file->zxid, name);
    snprintf(loader->path, sizeof loader->path, "%s/%" SLICE_FORMAT "%s",
             loader->server->snapshot_path, SLICE_ARGS(text), recovery_suffix(file->compression));
}

static bool looks_whole(struct snapshot_loader *loader)
{
    struct io *io = loader->server->shard->io;
    struct io_file_info info;
    struct journal_reader reader;
    struct slice tail;
    if (io_file_info(io, loader->path, &info) < 0 || info.size_bytes < snapshot_tail_bytes)
        return false;
    if (journal_reader_open_path(&reader, io, loader->path, info.size_bytes - snapshot_tail_bytes,
                                 loader->buffer, buffer_bytes) != ERR_OK)
        return false;
    const enum err err = journal_reader_peek(&reader, snapshot_tail_bytes, &tail);
    const bool whole = err == ERR_OK && recovery_snapshot_looks_whole(info.size_bytes, tail);
    journal_reader_close(&reader);
    return whole;
}

static enum err feed_pieces(struct snapshot_loader *loader, struct snapshot_unpacker *unpacker,
                            struct snapshot_reader *snapshot)
{
    struct journal_reader reader;
    struct slice piece;
    enum err err = journal_reader_open_path(&reader, loader->server->shard->io, loader->path, 0,
                                            loader->buffer, buffer_bytes);
    if (err != ERR_OK)
        return err;
    do {
        err = journal_reader_peek(&reader, buffer_bytes, &piece);
        if (err == ERR_OK && piece.size > 0)
            err = snapshot_unpacker_feed(unpacker, snapshot, piece);
        journal_reader_skip(&reader, piece.size);
    } while (err == ERR_OK && piece.size > 0);
    journal_reader_close(&reader);
    if (err == ERR_OK && !snapshot_unpacker_may_end(unpacker))
        return ERR_TRUNCATED;
    return err == ERR_OK ? snapshot_reader_finish(snapshot) : err;
}

static enum err feed_file(struct snapshot_loader *loader, const struct recovery_file *file,
                          struct snapshot_reader *snapshot)
{
    struct snapshot_unpacker unpacker;
    enum err err =
        snapshot_unpacker_init(&unpacker, loader->server->shard->heap, file->compression);
    if (err == ERR_OK)
        err = feed_pieces(loader, &unpacker, snapshot);
    snapshot_unpacker_deinit(&unpacker);
    return err;
}

void snapshot_loader_check_digest(struct snapshot_loader *loader)
{
    const struct keeper *keeper = &loader->server->keeper;
    if (!loader->has_digest || keeper->zxid_applied != loader->digest_zxid)
        return;
    loader->has_digest = false;
    loader->is_exact = true;
    if (keeper->tree.digest == loader->digest)
        return;
    loader->server->stats.counts.digest_mismatch_count++;
    diag_error(loader->server->shard->diag,
               "at zxid 0x%" PRIx64 " the tree's digest is %" PRIu64
               ", but the snapshot says %" PRIu64,
               (uint64_t)keeper->zxid_applied, keeper->tree.digest, loader->digest);
}

enum err snapshot_loader_check_whole(const struct snapshot_loader *loader)
{
    const struct keeper_server *server = loader->server;
    if (!loader->has_digest || loader->digest_zxid <= server->keeper.zxid_applied ||
        server->config.trust_partial_snapshot)
        return ERR_OK;
    diag_error(server->shard->diag,
               "%s was finished at zxid 0x%" PRIx64 " and holds parts of what led there, but %s "
               "ends at 0x%" PRIx64
               "; restore the journal's files, or move that snapshot away to start from an older "
               "one, or set snapshot.trust.partial=true",
               loader->path, (uint64_t)loader->digest_zxid, server->journal_path,
               (uint64_t)server->keeper.zxid_applied);
    return ERR_CORRUPT;
}

static enum err load_snapshot(struct snapshot_loader *loader, const struct recovery_file *file)
{
    struct keeper_server *server = loader->server;
    struct snapshot_reader snapshot;
    struct io_file_info info;
    snapshot_reader_init(&snapshot, &server->keeper, &server->arena, file->zxid,
                         keeper_server_now_ms(server));
    if (io_file_info(server->shard->io, loader->path, &info) == 0)
        snapshot_reader_expect(&snapshot, info.size_bytes);
    const enum err err = feed_file(loader, file, &snapshot);
    if (err == ERR_OK) {
        diag_info(server->shard->diag, "loaded %s, %" PRIu64 " znodes", loader->path,
                  snapshot.znode_count);
        loader->has_digest = snapshot.has_digest;
        loader->is_exact = false;
        loader->digest_zxid = snapshot.digest_zxid;
        loader->digest = snapshot.digest;
        snapshot_loader_check_digest(loader);
    } else {
        diag_warn(server->shard->diag,
                  "%s is damaged at offset %" PRIu64 ": %s (%s); trying an older one", loader->path,
                  snapshot.offset, err_text(err),
                  snapshot.reason != NULL ? snapshot.reason : "unreadable");
    }
    snapshot_reader_deinit(&snapshot);
    return err;
}

/* Whether it is worth a try; says why not. */
static bool is_candidate(struct snapshot_loader *loader, const struct recovery_file *file)
{
    struct diag *diag = loader->server->shard->diag;
    if (file->compression == RECOVERY_PLAIN && !looks_whole(loader)) {
        diag_warn(diag, "%s is not whole; skipped", loader->path);
        return false;
    }
    return true;
}

/* The newest snapshot that is sound; each failed try leaves an empty keeper. */
static enum err load_newest(struct snapshot_loader *loader)
{
    struct keeper_server *server = loader->server;
    enum err err = keeper_load_init_keeper(server);
    const int32_t count = (int32_t)min_i64(loader->file_count, recovery_snapshot_tries_max);
    for (int32_t i = 0; i < count && err == ERR_OK; i++) {
        const struct recovery_file *file = &loader->files[i];
        name_file(loader, file);
        if (!is_candidate(loader, file))
            continue;
        if (load_snapshot(loader, file) == ERR_OK) {
            loader->has_snapshot = true;
            server->snapshot.zxid_last = file->zxid;
            txn_cache_reset(&server->cache, file->zxid);
            return ERR_OK;
        }
        keeper_deinit(&server->keeper);
        err = keeper_load_init_keeper(server);
    }
    return err;
}

enum err snapshot_loader_run(struct snapshot_loader *loader, struct keeper_server *server)
{
    *loader = (struct snapshot_loader){.server = server, .is_exact = true};
    loader->buffer = heap_take(server->shard->heap, buffer_bytes);
    if (loader->buffer == NULL)
        return ERR_NO_MEMORY;
    const enum err err = list_snapshots(loader);
    return err == ERR_OK ? load_newest(loader) : err;
}

void snapshot_loader_deinit(struct snapshot_loader *loader)
{
    if (loader->server == NULL)
        return;
    heap_give(loader->server->shard->heap, loader->buffer);
    heap_give(loader->server->shard->heap, loader->files);
}
