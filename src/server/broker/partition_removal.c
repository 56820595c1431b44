#include "server/broker/partition_removal.h"

#include "base/assert.h"
#include "broker/partition_name.h"
#include "server/broker/directory_checkpoints.h"
#include "server/broker/log_directory.h"
#include "server/broker/partition_store.h"

#include <errno.h>
#include <stdio.h>

enum { removal_path_bytes = 1024, ns_per_ms = 1000000 };

enum removal_step {
    REMOVAL_WAIT, /* For the store to be idle, or for the time. */
    REMOVAL_SYNC, /* The journal's last bytes: nothing may open a file after the rename. */
    REMOVAL_RENAME,
    REMOVAL_OPEN_DIRECTORY,
    REMOVAL_SYNC_DIRECTORY,
    REMOVAL_CLOSE_DIRECTORY,
    REMOVAL_CLOSE_JOURNAL,
    REMOVAL_CHECKPOINT, /* checkpoint_ended reaches number. */
    REMOVAL_MARKS,      /* They are clean. */
    REMOVAL_UNLINK,
    REMOVAL_UNLINK_DIRECTORY,
};

struct removal {
    struct list link;         /* In directory->deletions, until done. */
    struct deadline deadline; /* In directory->removals, from then on; in nanoseconds. */
    struct log_directory *directory;
    struct partition_store *store; /* NULL once it is renamed and closed. */
    void (*done)(void *context, enum err err);
    void *context;
    enum removal_step step;
    bool is_directory;
    bool is_busy; /* op is in flight. */
    int32_t handle;
    uint64_t number;
    int64_t error;
    int64_t delay_ms;
    enum err verdict;
    struct io_op op;
    char path[removal_path_bytes];
    char entry[removal_path_bytes];
};

static void on_step(struct io_op *op, int64_t result);

static void submit(struct removal *removal, enum removal_step step, struct io_op op)
{
    removal->step = step;
    removal->is_busy = true;
    removal->op = op;
    removal->op.done = on_step;
    io_submit(removal->directory->io, &removal->op);
}

struct removal *partition_removal_reserve(struct log_directory *directory)
{
    struct removal *removal = heap_take_zeroed(directory->heap, sizeof *removal);
    if (removal == NULL)
        return NULL;
    removal->directory = directory;
    removal->handle = io_handle_none;
    list_init(&removal->link);
    return removal;
}

/* ---- A deleted partition, up to its new name. ---- */

/* The longest delays, which are settings, mean never. */
static void wait_for_time(struct removal *removal, int64_t delay_ms)
{
    struct log_directory *directory = removal->directory;
    const uint64_t delay_ns = min_u64((uint64_t)delay_ms, UINT64_MAX / 4 / ns_per_ms) * ns_per_ms;
    removal->step = REMOVAL_WAIT;
    deadline_queue_add(&directory->removals, &removal->deadline,
                       io_now_ns(directory->io) + delay_ns);
}

static void start_checkpoint(struct log_directory *directory)
{
    if (directory_checkpoints_write_set(directory) != ERR_OK)
        partition_removal_on_checkpoint(directory); /* No memory for the text. */
}

/* A set that is on its way may name the partition still: the next one does not. */
static void wait_for_checkpoint(struct removal *removal)
{
    removal->step = REMOVAL_CHECKPOINT;
    removal->number = removal->directory->checkpoint_begun + 1;
    start_checkpoint(removal->directory);
}

static void end_deletion(struct removal *removal)
{
    void (*done)(void *context, enum err err) = removal->done;
    list_remove(&removal->link);
    wait_for_time(removal, removal->delay_ms);
    done(removal->context, removal->verdict);
}

void partition_removal_on_marks(struct log_directory *directory)
{
    const bool has_failed = directory->offline_reason != NULL;
    const bool is_over = has_failed || synced_marks_is_clean(&directory->marks);
    bool is_awaited = false;
    list_each_safe (link, after, &directory->deletions) {
        struct removal *removal = CONTAINER_OF(link, struct removal, link);
        if (removal->step != REMOVAL_MARKS)
            continue;
        is_awaited = true;
        if (!is_over)
            continue;
        if (has_failed)
            removal->verdict = ERR_CANCELED;
        end_deletion(removal);
    }
    if (is_awaited && !is_over)
        synced_marks_sync(&directory->marks);
}

void partition_removal_on_checkpoint(struct log_directory *directory)
{
    const bool has_failed =
        directory->has_checkpoint_set_failed || directory->offline_reason != NULL;
    bool is_wanted = false;
    list_each_safe (link, after, &directory->deletions) {
        struct removal *removal = CONTAINER_OF(link, struct removal, link);
        if (removal->step != REMOVAL_CHECKPOINT)
            continue;
        const bool is_next = directory->checkpoint_begun < removal->number;
        is_wanted |= is_next && !has_failed;
        if (is_next && !has_failed)
            continue;
        if (has_failed && removal->verdict == ERR_OK)
            removal->verdict = ERR_CANCELED;
        if (removal->verdict == ERR_OK)
            removal->step = REMOVAL_MARKS;
        else
            end_deletion(removal);
    }
    if (is_wanted)
        start_checkpoint(directory);
    partition_removal_on_marks(directory);
}

static void on_closed(struct journal_request *request, enum err err)
{
    struct partition_store *store = CONTAINER_OF(request, struct partition_store, request);
    struct removal *removal = store->user;
    removal->delay_ms = store->config.file_delete_delay_ms;
    removal->verdict = removal->error < 0 ? err_from_errno((int)removal->error) : err;
    synced_marks_forget(&removal->directory->marks, store);
    partition_store_give(store);
    removal->store = NULL;
    wait_for_checkpoint(removal);
}

static void close_journal(struct removal *removal)
{
    removal->step = REMOVAL_CLOSE_JOURNAL;
    if (!removal->store->journal.is_started) {
        journal_deinit(&removal->store->journal);
        on_closed(&removal->store->request, ERR_OK);
        return;
    }
    removal->store->request.done = on_closed;
    journal_close(&removal->store->journal, &removal->store->request);
}

static void rename_directory(struct removal *removal)
{
    submit(removal, REMOVAL_RENAME,
           (struct io_op){.kind = IO_RENAME,
                          .handle = io_handle_none,
                          .path = {.path = removal->store->path, .path_to = removal->path}});
}

static void on_synced(struct journal_request *request, enum err err)
{
    struct partition_store *store = CONTAINER_OF(request, struct partition_store, request);
    (void)err; /* What is deleted need not be durable. */
    rename_directory(store->user);
}

static bool is_idle(const struct partition_store *store)
{
    return list_empty(&store->appends) && store->busy_count == 0 && !store->is_writing &&
           !store->is_requesting && !synced_marks_is_busy_with(&store->directory->marks, store);
}

static void start_deletion(struct removal *removal)
{
    struct partition_store *store = removal->store;
    list_remove(&store->mark_link); /* No mark is needed any more. */
    if (!is_idle(store))
        return;
    store->user = removal;
    if (store->offline_reason != NULL || !store->journal.is_started) {
        rename_directory(removal);
        return;
    }
    removal->step = REMOVAL_SYNC;
    store->request.done = on_synced;
    journal_sync(&store->journal, &store->request);
}

void partition_removal_on_idle(struct log_directory *directory)
{
    list_each_safe (link, after, &directory->deletions) {
        struct removal *removal = CONTAINER_OF(link, struct removal, link);
        if (removal->step == REMOVAL_WAIT)
            start_deletion(removal);
    }
    partition_removal_on_marks(directory);
}

void partition_removal_delete(struct log_directory *directory, struct partition_store *store,
                              void (*done)(void *context, enum err err), void *context)
{
    struct removal *removal = partition_removal_reserve(directory);
    if (removal == NULL) {
        done(context, ERR_NO_MEMORY);
        return;
    }
    char name[partition_name_bytes_max];
    uint8_t id[16];
    io_entropy(directory->io, id, sizeof id);
    partition_name_print_deleted(store->topic, store->partition, id, name);
    const int size =
        snprintf(removal->path, sizeof removal->path, "%s/%s", directory->options.path, name);
    assert(size > 0 && (size_t)size < sizeof removal->path);
    removal->store = store;
    removal->is_directory = true;
    removal->done = done;
    removal->context = context;
    store->is_deleting = true;
    list_push(&directory->deletions, &removal->link);
    log_directory_defer(directory); /* on_idle comes from the loop. */
}

/* ---- Unlinking. ---- */

static void finish(struct removal *removal)
{
    struct log_directory *directory = removal->directory;
    directory->removal = NULL;
    if (removal->error < 0)
        diag_warn(directory->diag, "%s: cannot be removed: %s", removal->path,
                  err_text(err_from_errno((int)removal->error)));
    heap_give(directory->heap, removal);
    partition_removal_tick(directory);
    log_directory_on_idle(directory, NULL);
}

static void on_entry(void *context, const char *name)
{
    struct removal *removal = context;
    const int size =
        snprintf(removal->entry, sizeof removal->entry, "%.700s/%.256s", removal->path, name);
    if (size < 0 || (size_t)size >= sizeof removal->entry)
        removal->entry[0] = 0;
}

/* The next file of the directory, or the directory itself. */
static void unlink_next(struct removal *removal)
{
    removal->entry[0] = 0;
    if (removal->is_directory)
        (void)io_list_directory(removal->directory->io, removal->path, on_entry, removal);
    const bool has_entry = removal->entry[0] != 0;
    const bool is_last = !has_entry;
    submit(removal, is_last ? REMOVAL_UNLINK_DIRECTORY : REMOVAL_UNLINK,
           (struct io_op){
               .kind = IO_UNLINK,
               .handle = io_handle_none,
               .path = {.path = has_entry ? removal->entry : removal->path,
                        .flags = is_last && removal->is_directory ? IO_OPEN_DIRECTORY : 0}});
}

static void on_renamed(struct removal *removal, int64_t result)
{
    if (result < 0) {
        removal->error = result;
        log_directory_check_write(removal->directory, "rename", removal->store->path, result);
        close_journal(removal);
        return;
    }
    submit(removal, REMOVAL_OPEN_DIRECTORY,
           (struct io_op){.kind = IO_OPEN,
                          .handle = io_handle_none,
                          .path = {.path = removal->directory->options.path,
                                   .flags = IO_OPEN_READ | IO_OPEN_DIRECTORY}});
}

static void on_step(struct io_op *op, int64_t result)
{
    struct removal *removal = CONTAINER_OF(op, struct removal, op);
    removal->is_busy = false;
    switch (removal->step) {
    case REMOVAL_WAIT:
    case REMOVAL_SYNC:
    case REMOVAL_CHECKPOINT:
    case REMOVAL_MARKS:
    case REMOVAL_CLOSE_JOURNAL: assert(false && "an operation ends that never began"); return;
    case REMOVAL_RENAME: on_renamed(removal, result); return;
    case REMOVAL_OPEN_DIRECTORY:
        removal->error = result < 0 ? result : 0;
        removal->handle = (int32_t)result;
        if (result < 0)
            close_journal(removal);
        else
            submit(removal, REMOVAL_SYNC_DIRECTORY,
                   (struct io_op){.kind = IO_SYNC, .handle = removal->handle});
        return;
    case REMOVAL_SYNC_DIRECTORY:
        removal->error = result < 0 ? result : 0;
        log_directory_check_write(removal->directory, "sync", removal->directory->options.path,
                                  result);
        submit(removal, REMOVAL_CLOSE_DIRECTORY,
               (struct io_op){.kind = IO_CLOSE, .handle = removal->handle});
        return;
    case REMOVAL_CLOSE_DIRECTORY: close_journal(removal); return;
    case REMOVAL_UNLINK:
        if (result < 0 && result != -ENOENT) {
            removal->error = result;
            finish(removal);
            return;
        }
        unlink_next(removal);
        return;
    case REMOVAL_UNLINK_DIRECTORY:
        removal->error = result == -ENOENT || result >= 0 ? 0 : result;
        finish(removal);
        return;
    }
}

void partition_removal_add(struct log_directory *directory, struct removal_options options)
{
    struct removal *removal = partition_removal_reserve(directory);
    if (removal != NULL)
        partition_removal_use(removal, options);
}

void partition_removal_use(struct removal *removal, struct removal_options options)
{
    const int size = snprintf(removal->path, sizeof removal->path, "%s", options.path);
    assert(size > 0 && (size_t)size < sizeof removal->path);
    removal->is_directory = options.is_directory;
    wait_for_time(removal, options.delay_ms);
}

void partition_removal_tick(struct log_directory *directory)
{
    if (directory->removal != NULL || directory->state != DIRECTORY_LOADED ||
        directory->offline_reason != NULL)
        return;
    struct deadline *due = deadline_queue_pop(&directory->removals, io_now_ns(directory->io));
    if (due == NULL)
        return;
    directory->removal = CONTAINER_OF(due, struct removal, deadline);
    unlink_next(directory->removal);
}

void partition_removal_forget_all(struct log_directory *directory)
{
    for (struct list *link = list_pop(&directory->deletions); link != NULL;
         link = list_pop(&directory->deletions))
        heap_give(directory->heap, CONTAINER_OF(link, struct removal, link));
    for (struct deadline *next = deadline_queue_pop(&directory->removals, UINT64_MAX); next != NULL;
         next = deadline_queue_pop(&directory->removals, UINT64_MAX))
        heap_give(directory->heap, CONTAINER_OF(next, struct removal, deadline));
    heap_give(directory->heap, directory->removal);
    directory->removal = NULL;
}
