#include "server/keeper/tree_reload.h"

#include "base/assert.h"
#include "server/keeper/client_link.h"
#include "server/keeper/keeper_load.h"
#include "server/keeper/keeper_server.h"
#include "server/keeper/snapshot_unpacker.h"

#include <inttypes.h>
#include <stdio.h>

enum { poll_ns = 2000000, buffer_bytes = 256 * 1024 };

static void on_step(struct io_op *op, int64_t result);

static _Noreturn void fail(struct tree_reload *reload, const char *what, const char *reason)
{
    io_fatal(reload->server->shard->io,
             "%s: %s; restore this server's folders from a backup, or empty them to let it fetch "
             "everything from the ensemble",
             what, reason);
}

/* ---- end ---- */

static void close_reader(struct tree_reload *reload)
{
    if (!reload->has_reader)
        return;
    snapshot_reader_deinit(&reload->snapshot);
    snapshot_unpacker_deinit(reload->unpacker);
    reload->has_reader = false;
}

static void end(struct tree_reload *reload)
{
    struct heap *heap = reload->server->shard->heap;
    close_reader(reload);
    heap_give(heap, reload->buffer);
    heap_give(heap, reload->files);
    heap_give(heap, reload->unpacker);
    reload->unpacker = NULL;
    reload->buffer = NULL;
    reload->files = NULL;
    reload->step = TREE_RELOAD_IDLE;
}

/* A server that stops needs no tree. */
static bool is_called_off(struct tree_reload *reload)
{
    if (reload->server->phase != KEEPER_SERVER_STOPPING)
        return false;
    end(reload);
    keeper_server_pump_stop(reload->server);
    return true;
}

static void finish(struct tree_reload *reload)
{
    struct keeper_server *server = reload->server;
    const int64_t zxid = server->keeper.zxid_applied;
    if (!reload->is_adopting)
        diag_info(server->shard->diag,
                  "the tree was loaded again, with %" PRIu64 " transactions, up to zxid 0x%" PRIx64,
                  reload->txn_count, (uint64_t)zxid);
    end(reload);
    server->is_replacing = false;
    server->wants_roll = true;
    reload->done(reload->context,
                 reload->zxid == TREE_RELOAD_ALL || reload->zxid == zxid ? ERR_OK : ERR_NOT_FOUND);
}

/* ---- operations ---- */

static void submit(struct tree_reload *reload, enum tree_reload_step step, enum io_kind kind)
{
    reload->step = step;
    reload->op.kind = kind;
    reload->op.handle = reload->handle;
    reload->op.done = on_step;
    if (kind == IO_SYNC)
        reload->op.sync.is_brief = false; /* The place held something else. */
    io_submit(reload->server->shard->io, &reload->op);
}

static void submit_path(struct tree_reload *reload, enum tree_reload_step step, enum io_kind kind,
                        const char *path, uint32_t flags)
{
    reload->op.path.path = path;
    reload->op.path.path_to = NULL;
    reload->op.path.flags = flags;
    submit(reload, step, kind);
}

static void submit_timer(struct tree_reload *reload, enum tree_reload_step step)
{
    reload->op.timer.deadline_ns = io_now_ns(reload->server->shard->io) + poll_ns;
    submit(reload, step, IO_TIMER);
}

/* ---- snapshots ---- */

static void on_name(void *context, const char *name)
{
    struct tree_reload *reload = context;
    const struct recovery_file file = recovery_file_of(slice_from_text(name));
    if (file.kind != RECOVERY_FILE_SNAPSHOT)
        return;
    if (reload->file_count == purge_task_file_count_max)
        fail(reload, reload->server->snapshot_path, "there are too many snapshots");
    reload->files[reload->file_count++] = file;
}

static void list_snapshots(struct tree_reload *reload)
{
    struct keeper_server *server = reload->server;
    reload->file_count = reload->file_index = 0;
    const int listed = io_list_directory(server->shard->io, server->snapshot_path, on_name, reload);
    if (listed < 0)
        fail(reload, server->snapshot_path, err_text(err_from_errno(listed)));
    recovery_sort(reload->files, reload->file_count);
    if (reload->file_count == 0 || reload->files[reload->file_count - 1].zxid > reload->zxid)
        fail(reload, server->snapshot_path, "there is no snapshot old enough to start from");
}

static struct recovery_file *file_at_hand(struct tree_reload *reload)
{
    return &reload->files[reload->file_index];
}

static void name_file(struct tree_reload *reload)
{
    const struct recovery_file *file = file_at_hand(reload);
    uint8_t name[recovery_name_bytes_max];
    const struct slice text = recovery_file_name(RECOVERY_FILE_SNAPSHOT, file->zxid, name);
    snprintf(reload->path, sizeof reload->path, "%s/%" SLICE_FORMAT "%s",
             reload->server->snapshot_path, SLICE_ARGS(text), recovery_suffix(file->compression));
}

static void remove_file(struct tree_reload *reload)
{
    name_file(reload);
    diag_info(reload->server->shard->diag, "%s holds what is cut off; it is removed", reload->path);
    submit_path(reload, TREE_RELOAD_REMOVE, IO_UNLINK, reload->path, 0);
}

static void sync_folder(struct tree_reload *reload)
{
    submit_path(reload, TREE_RELOAD_OPEN_FOLDER, IO_OPEN, reload->server->snapshot_path,
                IO_OPEN_READ | IO_OPEN_DIRECTORY);
}

static void on_removed_all(struct tree_reload *reload);

/* The newest ones first: what remains is always a beginning. */
static void remove_behind(struct tree_reload *reload)
{
    if (file_at_hand(reload)->zxid > reload->zxid)
        remove_file(reload);
    else if (reload->file_index > 0)
        sync_folder(reload);
    else
        on_removed_all(reload);
}

/* ---- the cut ---- */

static void replay(struct tree_reload *reload);

static void on_cut(struct journal_request *request, enum err err)
{
    struct tree_reload *reload = CONTAINER_OF(request, struct tree_reload, request);
    assert(err == ERR_OK); /* A journal without on_failed ends the process instead. */
    if (is_called_off(reload))
        return;
    if (reload->is_adopting)
        finish(reload);
    else
        replay(reload);
}

static void cut(struct tree_reload *reload, struct journal_position end)
{
    reload->step = TREE_RELOAD_CUT;
    reload->request.done = on_cut;
    journal_truncate(&reload->server->journal, &reload->request, end);
}

static void adopt(struct tree_reload *reload)
{
    struct keeper_server *server = reload->server;
    txn_cache_reset(&server->cache, server->keeper.zxid_applied);
    cut(reload, (struct journal_position){0});
}

static bool is_behind(struct journal_position one, struct journal_position other)
{
    return one.base != other.base ? one.base > other.base : one.offset > other.offset;
}

static void on_found(void *context, enum err err)
{
    struct tree_reload *reload = context;
    struct journal *journal = &reload->server->journal;
    struct journal_position end = reload->history.end_previous;
    if (is_called_off(reload))
        return;
    if (err != ERR_OK)
        fail(reload, "the journal cannot be read where it is to be cut", err_text(err));
    if (journal->segment_count == 0 || !is_behind(journal_end(journal), end)) {
        replay(reload);
        return;
    }
    cut(reload, end);
}

static bool on_found_entry(void *context, int64_t zxid, struct slice entry)
{
    (void)context;
    (void)zxid;
    (void)entry;
    return true; /* There is none between zxid and zxid. */
}

static void read_history(struct tree_reload *reload, enum tree_reload_step step,
                         struct history_reader_range range, struct history_reader_handler handler)
{
    struct keeper_server *server = reload->server;
    reload->step = step;
    const enum err err = history_reader_start(&reload->history, &server->journal,
                                              server->shard->heap, range, handler);
    if (err != ERR_OK)
        fail(reload, "the journal cannot be read", err_text(err));
}

static void find_cut(struct tree_reload *reload)
{
    read_history(reload, TREE_RELOAD_FIND,
                 (struct history_reader_range){.from = reload->zxid, .to = reload->zxid},
                 (struct history_reader_handler){on_found_entry, on_found, reload});
}

/* ---- loading a snapshot ---- */

static void load_next(struct tree_reload *reload)
{
    if (reload->file_index == reload->file_count)
        fail(reload, reload->server->snapshot_path, "there is no sound snapshot to start from");
    name_file(reload);
    submit_path(reload, TREE_RELOAD_OPEN, IO_OPEN, reload->path, IO_OPEN_READ);
}

static void read_next(struct tree_reload *reload)
{
    reload->op.read.data = reload->buffer;
    reload->op.read.size = buffer_bytes;
    reload->op.read.offset = reload->offset;
    submit(reload, TREE_RELOAD_READ, IO_READ);
}

static void on_opened(struct tree_reload *reload)
{
    struct keeper_server *server = reload->server;
    const struct recovery_file *file = file_at_hand(reload);
    struct io_file_info info;
    snapshot_reader_init(&reload->snapshot, &server->keeper, &server->arena, file->zxid,
                         keeper_server_now_ms(server));
    if (io_file_info(server->shard->io, reload->path, &info) == 0)
        snapshot_reader_expect(&reload->snapshot, info.size_bytes);
    reload->has_reader = true;
    reload->offset = 0;
    reload->err = snapshot_unpacker_init(reload->unpacker, server->shard->heap, file->compression);
    if (reload->err != ERR_OK)
        fail(reload, reload->path, err_text(reload->err));
    read_next(reload);
}

static void close_file(struct tree_reload *reload)
{
    submit(reload, TREE_RELOAD_CLOSE, IO_CLOSE);
}

static void on_read(struct tree_reload *reload, int64_t result)
{
    if (result > 0) {
        reload->offset += (uint64_t)result;
        reload->err = snapshot_unpacker_feed(reload->unpacker, &reload->snapshot,
                                             slice_of(reload->buffer, (size_t)result));
    } else if (result < 0) {
        reload->err = ERR_IO;
    } else {
        reload->err = snapshot_unpacker_may_end(reload->unpacker)
                          ? snapshot_reader_finish(&reload->snapshot)
                          : ERR_TRUNCATED;
    }
    if (result > 0 && reload->err == ERR_OK)
        read_next(reload);
    else
        close_file(reload);
}

static void start_afresh(struct tree_reload *reload)
{
    struct keeper_server *server = reload->server;
    close_reader(reload);
    client_link_forget_all(server, "the tree is replaced");
    keeper_deinit(&server->keeper);
    if (keeper_load_init_keeper(server) != ERR_OK)
        fail(reload, "the tree cannot be loaded", err_text(ERR_NO_MEMORY));
}

static void start_loading(struct tree_reload *reload)
{
    start_afresh(reload);
    load_next(reload);
}

static void on_removed_all(struct tree_reload *reload)
{
    if (reload->is_adopting)
        adopt(reload);
    else
        start_loading(reload);
}

static void on_closed(struct tree_reload *reload)
{
    struct keeper_server *server = reload->server;
    const bool is_ahead = reload->err == ERR_OK && reload->snapshot.has_digest &&
                          reload->snapshot.digest_zxid > reload->zxid;
    if (reload->err == ERR_OK && !is_ahead) {
        close_reader(reload);
        server->snapshot.zxid_last = file_at_hand(reload)->zxid;
        txn_cache_reset(&server->cache, server->keeper.zxid_applied);
        if (reload->zxid == TREE_RELOAD_ALL)
            replay(reload);
        else
            find_cut(reload);
        return;
    }
    start_afresh(reload);
    if (is_ahead) {
        reload->is_unfit = true;
        remove_file(reload);
        return;
    }
    diag_warn(server->shard->diag, "%s is damaged: %s; trying an older one", reload->path,
              err_text(reload->err));
    reload->file_index++;
    load_next(reload);
}

/* ---- replaying the journal ---- */

static bool on_entry(void *context, int64_t zxid, struct slice entry)
{
    struct tree_reload *reload = context;
    struct keeper_server *server = reload->server;
    struct txn_result result;
    struct txn txn;
    if (recovery_check_zxid(server->keeper.zxid_applied, zxid) != ERR_OK)
        fail(reload, server->journal_path, "transactions are missing behind the snapshot");
    arena_reset(&server->arena);
    const enum err err = txn_codec_decode_entry(entry, &server->arena, &txn);
    if (err != ERR_OK)
        fail(reload, server->journal_path, err_text(err));
    keeper_apply(&server->keeper, &txn, keeper_server_now_ms(server), NULL, &server->arena,
                 &result);
    digest_log_add(&server->digests, zxid, server->keeper.tree.digest);
    txn_cache_add(&server->cache, zxid, entry);
    reload->txn_count++;
    return true;
}

static void on_replayed(void *context, enum err err)
{
    struct tree_reload *reload = context;
    if (is_called_off(reload))
        return;
    if (err != ERR_OK)
        fail(reload, "the journal cannot be replayed", err_text(err));
    finish(reload);
}

static void replay(struct tree_reload *reload)
{
    const struct history_reader_range range = {
        .from = reload->server->keeper.zxid_applied, .to = reload->zxid, .has_snapshot = true};
    read_history(reload, TREE_RELOAD_REPLAY, range,
                 (struct history_reader_handler){on_entry, on_replayed, reload});
}

/* ---- steps ---- */

static bool is_quiet(const struct keeper_server *server)
{
    return snapshot_task_is_idle(&server->snapshot) && purge_task_is_idle(&server->purge) &&
           ack_mark_is_idle(&server->mark);
}

static void on_quiet(struct tree_reload *reload)
{
    struct keeper_server *server = reload->server;
    if (!is_quiet(server)) {
        submit_timer(reload, reload->step);
        return;
    }
    if (reload->step == TREE_RELOAD_MARK && server->mark.has_failed)
        fail(reload, server->journal_path, "the file acknowledged cannot be written");
    if (reload->zxid < server->mark.zxid) {
        ack_mark_lower(&server->mark, reload->zxid);
        submit_timer(reload, TREE_RELOAD_MARK);
        return;
    }
    list_snapshots(reload);
    if (reload->zxid == TREE_RELOAD_ALL)
        start_loading(reload);
    else
        remove_behind(reload);
}

static void on_folder_closed(struct tree_reload *reload)
{
    reload->handle = io_handle_none;
    reload->is_unfit = false;
    on_removed_all(reload);
}

static void on_removed(struct tree_reload *reload)
{
    reload->file_index++;
    if (reload->is_unfit)
        sync_folder(reload);
    else
        remove_behind(reload);
}

static void on_step(struct io_op *op, int64_t result)
{
    struct tree_reload *reload = CONTAINER_OF(op, struct tree_reload, op);
    const enum tree_reload_step step = reload->step;
    if (is_called_off(reload))
        return;
    if (result < 0 && step != TREE_RELOAD_READ && step != TREE_RELOAD_CLOSE)
        fail(reload, step == TREE_RELOAD_REMOVE ? reload->path : reload->server->snapshot_path,
             err_text(err_from_errno((int)result)));
    switch (step) {
    case TREE_RELOAD_QUIET:
    case TREE_RELOAD_MARK: on_quiet(reload); return;
    case TREE_RELOAD_REMOVE: on_removed(reload); return;
    case TREE_RELOAD_OPEN_FOLDER:
        reload->handle = (int32_t)result;
        submit(reload, TREE_RELOAD_SYNC_FOLDER, IO_SYNC);
        return;
    case TREE_RELOAD_SYNC_FOLDER: submit(reload, TREE_RELOAD_CLOSE_FOLDER, IO_CLOSE); return;
    case TREE_RELOAD_CLOSE_FOLDER: on_folder_closed(reload); return;
    case TREE_RELOAD_OPEN:
        reload->handle = (int32_t)result;
        on_opened(reload);
        return;
    case TREE_RELOAD_READ: on_read(reload, result); return;
    case TREE_RELOAD_CLOSE:
        reload->handle = io_handle_none;
        on_closed(reload);
        return;
    case TREE_RELOAD_FIND:
    case TREE_RELOAD_CUT:
    case TREE_RELOAD_REPLAY:
    case TREE_RELOAD_IDLE: break;
    }
    assert(step != TREE_RELOAD_IDLE);
}

static void start(struct keeper_server *server, struct tree_reload options)
{
    struct tree_reload *reload = &server->reload;
    struct heap *heap = server->shard->heap;
    assert(reload->step == TREE_RELOAD_IDLE && list_empty(&server->writes) && options.zxid >= 0);
    *reload = options;
    reload->server = server;
    reload->handle = io_handle_none;
    reload->buffer = heap_take(heap, buffer_bytes);
    reload->files = heap_take(heap, sizeof *reload->files * purge_task_file_count_max);
    reload->unpacker = heap_take_zeroed(heap, sizeof *reload->unpacker);
    if (reload->buffer == NULL || reload->files == NULL || reload->unpacker == NULL)
        fail(reload, "the tree cannot be loaded", err_text(ERR_NO_MEMORY));
    server->is_replacing = true;
    snapshot_task_cancel(&server->snapshot);
    submit_timer(reload, TREE_RELOAD_QUIET);
}

void tree_reload_start(struct keeper_server *server, int64_t zxid,
                       void (*done)(void *context, enum err err), void *context)
{
    start(server, (struct tree_reload){.zxid = zxid, .done = done, .context = context});
}

void tree_reload_adopt(struct keeper_server *server, void (*done)(void *context, enum err err),
                       void *context)
{
    start(server, (struct tree_reload){.zxid = server->keeper.zxid_applied,
                                       .is_adopting = true,
                                       .done = done,
                                       .context = context});
}
