#include "server/keeper/keeper_load.h"

#include "journal/small_file.h"
#include "server/keeper/journal_replayer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum err keeper_load_tell(struct keeper_server *server, const char *what, const char *path,
                          int64_t negative_errno)
{
    const enum err err = err_from_errno((int)negative_errno);
    diag_error(server->shard->diag, "cannot %s %s: %s", what, path, err_text(err));
    return err;
}

/* The folder and those above it, as far as they are missing or may not be durable: those that exist
 * may have been made by a process that was killed before it could sync them. */
enum { millisecond_ns = 1000000 };

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
        if (!exists && !server->config.creates_folders) {
            diag_error(server->shard->diag,
                       "the folder %s is missing, and datadir.autocreate=false; make it by hand",
                       part);
            return ERR_NOT_FOUND;
        }
        if (exists && is_durable)
            continue;
        const int64_t made = small_file_make_directory_wait(server->shard->io, part);
        /* Folders of others above ours may be closed to us: they were there before. */
        if (made < 0 && !(exists && (made == -EACCES || made == -EPERM)))
            return keeper_load_tell(server, "make the folder", part, made);
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
        return keeper_load_tell(server, "open", server->journal_path, handle);
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

/* What lies in a folder where it must not. */
struct misplaced {
    enum recovery_file_kind kind;
    char name[recovery_name_bytes_max];
};

static void on_name(void *context, const char *name)
{
    struct misplaced *misplaced = context;
    if (misplaced->name[0] == '\0' &&
        recovery_file_of(slice_from_text(name)).kind == misplaced->kind)
        snprintf(misplaced->name, sizeof misplaced->name, "%s", name);
}

static enum err check_folder(struct keeper_server *server, const char *path,
                             enum recovery_file_kind kind, const char *key)
{
    struct misplaced misplaced = {.kind = kind};
    const int listed = io_list_directory(server->shard->io, path, on_name, &misplaced);
    if (listed < 0)
        return keeper_load_tell(server, "list", path, listed);
    if (misplaced.name[0] == '\0')
        return ERR_OK;
    diag_error(server->shard->diag,
               "%s/%s does not belong there: with a dataLogDir of their own the journal's files "
               "lie there and the snapshots in dataDir; check both keys, then move it below %s",
               path, misplaced.name, key);
    return ERR_CORRUPT;
}

/* With two folders, files in the wrong one would be passed over in silence. */
static enum err check_folders(struct keeper_server *server)
{
    if (strcmp(server->snapshot_path, server->journal_path) == 0)
        return ERR_OK;
    const enum err err =
        check_folder(server, server->snapshot_path, RECOVERY_FILE_JOURNAL, "dataLogDir");
    return err == ERR_OK
               ? check_folder(server, server->journal_path, RECOVERY_FILE_SNAPSHOT, "dataDir")
               : err;
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
        /* 1 is what Apache's server uses when it stands alone. */
        .server_id = config->is_ensemble ? (uint8_t)config->self_id : 1,
        .local_sessions_enabled = keeper_config_opens_local_sessions(config),
        .record_bytes_max = keeper_config_record_bytes_max(config),
        .auth = {.super_digest = config->super_digest == NULL
                                     ? SLICE_NULL
                                     : slice_from_text(config->super_digest),
                 .digest_algorithm = keeper_config_digest_name(config),
                 .digest_disabled = !config->digest_enabled},
        .skip_acl = config->skip_acl,
        .extended_types_enabled = config->extended_types_enabled,
        .emulates_353_ttl = config->emulates_353_ttl,
        .enforce_quota = config->enforce_quota,
        .reconfig_enabled = config->reconfig_enabled,
    };
    io_entropy(server->shard->io, &options.hash_seed, sizeof options.hash_seed);
    return options;
}

enum err keeper_load_init_keeper(struct keeper_server *server)
{
    const enum err err = keeper_init(&server->keeper, server->shard->heap,
                                     keeper_options_of(server), keeper_server_now_ms(server));
    if (err != ERR_OK)
        diag_error(server->shard->diag, "no memory for an empty tree; raise memory.limitMb");
    return err;
}

/* What members of an ensemble send to each other. */
static enum err init_cache(struct keeper_server *server)
{
    enum { count_min = 500 }; /* As in Apache's server. */
    const struct keeper_config *config = &server->config;
    const struct txn_cache_options options = {
        .count_max = (uint32_t)max_i64(config->commit_cache_count, count_min),
        .bytes_max = (size_t)config->commit_cache_kib_max << 10,
    };
    if (!config->is_ensemble)
        return ERR_OK;
    const enum err err = txn_cache_init(&server->cache, server->shard->heap, options);
    if (err != ERR_OK)
        diag_error(server->shard->diag, "no memory for commitLogCount=%" PRId64,
                   config->commit_cache_count);
    return err;
}

static void on_synced(struct journal *journal, const struct journal_synced *synced)
{
    struct keeper_server *server = CONTAINER_OF(journal, struct keeper_server, journal);
    const uint64_t elapsed_ms = synced->elapsed_ns / millisecond_ns;
    metric_summary_add(&server->stats.summaries.sync_time, elapsed_ms);
    if (elapsed_ms > (uint64_t)server->config.sync_warning_ms)
        diag_warn(server->shard->diag,
                  "syncing the journal took %" PRIu64
                  " ms: writes wait for it; is the disk shared?",
                  elapsed_ms);
    metric_summary_add(&server->stats.summaries.sync_batch, synced->append_count);
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
                     .on_synced = on_synced,
                 });
    server->is_journal_open = true;
    err = journal_load(&server->journal);
    if (err != ERR_OK)
        diag_error(server->shard->diag, "cannot read the journal's files in %s: %s",
                   server->journal_path, err_text(err));
    return err;
}

/* One load, from the files to a keeper. */
struct loading {
    struct snapshot_loader snapshot;
    struct journal_replayer replayer;
    struct journal_start_options start;
};

static enum err check_empty(struct keeper_server *server, const struct loading *loading)
{
    const struct recovery_empty empty = {.has_snapshots = loading->snapshot.file_count > 0,
                                         .has_records = loading->replayer.zxid_last > 0,
                                         .trust_empty_snapshot =
                                             server->config.trust_empty_snapshot};
    if (loading->snapshot.has_snapshot || recovery_judge_empty(&empty) == RECOVERY_GO_ON)
        return ERR_OK;
    diag_error(server->shard->diag,
               "%s has no sound snapshot, though there %s; restore one from a backup%s",
               server->snapshot_path,
               empty.has_snapshots ? "are snapshot files" : "are transactions in the journal",
               empty.has_snapshots ? "" : ", or set snapshot.trust.empty=true");
    return ERR_CORRUPT;
}

static uint64_t elapsed_ms(const struct keeper_server *server, uint64_t since_ns)
{
    return (io_now_ns(server->shard->io) - since_ns) / millisecond_ns;
}

static enum err load_snapshot(struct keeper_server *server, struct loading *loading)
{
    const uint64_t started_ns = io_now_ns(server->shard->io);
    const enum err err = snapshot_loader_run(&loading->snapshot, server);
    metric_summary_add(&server->stats.summaries.load_snapshot_time, elapsed_ms(server, started_ns));
    if (err != ERR_OK)
        return err;
    /* Its name may be one that no sync has made durable yet. */
    const int64_t synced = small_file_sync_directory_wait(server->shard->io, server->snapshot_path);
    return synced < 0 ? err_from_errno((int)synced) : ERR_OK;
}

static enum err replay_journal(struct keeper_server *server, struct loading *loading)
{
    const uint64_t started_ns = io_now_ns(server->shard->io);
    const enum err err =
        journal_replayer_run(&loading->replayer, &loading->snapshot, &loading->start);
    if (!loading->snapshot.has_snapshot)
        return err;
    metric_summary_add(&server->stats.summaries.load_journal_time, elapsed_ms(server, started_ns));
    metric_summary_add(&server->stats.summaries.load_txn_count, loading->replayer.txn_count);
    return err;
}

static enum err load_tree(struct keeper_server *server, struct loading *loading)
{
    enum err err = load_snapshot(server, loading);
    if (err == ERR_OK)
        err = open_journal(server);
    if (err == ERR_OK)
        err = replay_journal(server, loading);
    if (err == ERR_OK)
        err = check_empty(server, loading);
    if (err == ERR_OK)
        err = journal_start(&server->journal, loading->start);
    if (err == ERR_OK && loading->replayer.txn_count > 0)
        diag_info(server->shard->diag, "replayed %" PRIu64 " transactions, up to zxid 0x%" PRIx64,
                  loading->replayer.txn_count, (uint64_t)server->keeper.zxid_applied);
    journal_replayer_deinit(&loading->replayer);
    snapshot_loader_deinit(&loading->snapshot);
    return err;
}

/* Without syncs nothing is known to be durable. */
static int64_t acknowledged_zxid(const struct keeper_server *server)
{
    return server->config.force_sync ? server->keeper.zxid_applied : 0;
}

enum err keeper_load(struct keeper_server *server)
{
    struct loading loading = {.start = {.sync_base = UINT64_MAX}};
    int64_t zxid;
    const bool is_durable = ack_mark_load(server, &zxid); /* It is written after the folders. */
    enum err err = make_folder(server, server->snapshot_path, is_durable);
    if (err == ERR_OK)
        err = make_folder(server, server->journal_path, is_durable);
    if (err == ERR_OK)
        err = lock_folder(server);
    const uint64_t started_ns = io_now_ns(server->shard->io);
    if (err == ERR_OK)
        err = check_folders(server);
    if (err == ERR_OK)
        err = init_cache(server);
    if (err == ERR_OK)
        err = load_tree(server, &loading);
    metric_summary_add(&server->stats.summaries.load_time, elapsed_ms(server, started_ns));
    if (err == ERR_OK)
        err = ack_mark_start(&server->mark, server, acknowledged_zxid(server));
    return err;
}
