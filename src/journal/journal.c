#include "journal/journal.h"

#include "journal/journal_writer.h"

#include <errno.h>
#include <stdio.h>

static const uint64_t queued_bytes_max_default = 64u << 20;

/* While more is being written a sync waits for it, but not for more writes than this. */
enum { writes_per_sync_max = 4, brief_bytes_max = 64 * 1024 };

static struct journal_segment *segment_of(struct list *link)
{
    return CONTAINER_OF(link, struct journal_segment, link);
}

static struct journal_request *request_of(struct list *link)
{
    return CONTAINER_OF(link, struct journal_request, link);
}

void journal_init(struct journal *journal, struct journal_disk *disk,
                  struct journal_options options)
{
    assert(strlen(options.path) + journal_name_bytes_max + 16 < journal_path_bytes_max);
    *journal = (struct journal){.disk = disk, .options = options, .directory = io_handle_none};
    if (journal->options.queued_bytes_max == 0)
        journal->options.queued_bytes_max = queued_bytes_max_default;
    list_init(&journal->segments);
    list_init(&journal->queue);
    list_init(&journal->unsynced);
    list_init(&journal->syncs);
    list_init(&journal->structural);
    list_init(&journal->waiting_link);
    list_init(&journal->polled_link);
}

void journal_deinit(struct journal *journal)
{
    assert(!journal_is_in_flight(journal));
    while (!list_empty(&journal->segments))
        journal_segment_give(segment_of(journal->segments.next));
}

struct journal_segment *journal_segment_first(struct journal *journal)
{
    struct list *link = list_first(&journal->segments);
    return link == NULL ? NULL : segment_of(link);
}

struct journal_segment *journal_segment_last(struct journal *journal)
{
    return list_empty(&journal->segments) ? NULL : segment_of(journal->segments.prev);
}

struct journal_segment *journal_segment_next(struct journal_segment *segment)
{
    return segment->link.next == &segment->journal->segments ? NULL
                                                             : segment_of(segment->link.next);
}

struct journal_segment *journal_segment_at(struct journal *journal, uint64_t base)
{
    /* Readers are mostly near the end. */
    for (struct list *link = journal->segments.prev; link != &journal->segments; link = link->prev)
        if (segment_of(link)->base <= base)
            return segment_of(link);
    return NULL;
}

struct journal_segment *journal_segment_find(struct journal *journal, uint64_t base)
{
    struct journal_segment *segment = journal_segment_at(journal, base);
    return segment != NULL && segment->base == base ? segment : NULL;
}

static void insert_segment(struct journal *journal, struct journal_segment *segment)
{
    struct journal_segment *before = journal_segment_at(journal, segment->base);
    assert(before == NULL || before->base < segment->base);
    list_insert_after(before == NULL ? &journal->segments : &before->link, &segment->link);
    journal->segment_count++;
}

enum err journal_load_name(struct journal *journal, const char *name)
{
    uint64_t base;
    assert(!journal->is_started);
    if (!journal_naming_parse(&journal->options.naming, name, &base))
        return ERR_OK;
    struct journal_segment *segment = journal_segment_take(journal, base);
    if (segment == NULL)
        return ERR_NO_MEMORY;
    insert_segment(journal, segment);
    return ERR_OK;
}

struct loading {
    struct journal *journal;
    enum err err;
};

static void on_entry(void *context, const char *name)
{
    struct loading *loading = context;
    if (loading->err == ERR_OK)
        loading->err = journal_load_name(loading->journal, name);
}

static enum err load_size(struct journal_segment *segment)
{
    struct io_file_info info;
    const int result = io_file_info(segment->disk->io, segment->path, &info);
    if (result < 0 || !info.is_regular) {
        diag_error(segment->disk->diag, "%s: %s", segment->path,
                   result < 0 ? err_text(err_from_errno(result)) : "this is no regular file");
        return result < 0 ? err_from_errno(result) : ERR_CORRUPT;
    }
    segment->is_created = true;
    segment->size_bytes = info.size_bytes;
    segment->written_bytes = info.size_bytes;
    segment->allocated_bytes = info.size_bytes;
    return ERR_OK;
}

enum err journal_load_sizes(struct journal *journal)
{
    list_each (link, &journal->segments) {
        const enum err err = load_size(segment_of(link));
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

enum err journal_load(struct journal *journal)
{
    struct loading loading = {.journal = journal, .err = ERR_OK};
    assert(list_empty(&journal->segments) && !journal->is_started);
    const int result =
        io_list_directory(journal->disk->io, journal->options.path, on_entry, &loading);
    if (result < 0)
        return err_from_errno(result);
    return loading.err == ERR_OK ? journal_load_sizes(journal) : loading.err;
}

struct journal_position journal_end(const struct journal *journal)
{
    if (list_empty(&journal->segments))
        return (struct journal_position){0};
    const struct journal_segment *last = segment_of(journal->segments.prev);
    return (struct journal_position){.base = last->base, .offset = last->size_bytes};
}

struct journal_position journal_durable(const struct journal *journal)
{
    const struct journal_segment *segment = journal->durable_segment;
    if (segment == NULL)
        return (struct journal_position){0};
    return (struct journal_position){
        .base = segment->base,
        .offset = segment->is_entry_durable ? segment->durable_bytes : 0,
    };
}

/* Whether everything before position survives a power loss. */
static bool is_reached(const struct journal *journal, struct journal_position position)
{
    const struct journal_segment *segment = journal->durable_segment;
    if (segment == NULL)
        return true;
    if (segment->base != position.base)
        return segment->base > position.base;
    return segment->is_entry_durable && segment->durable_bytes >= position.offset;
}

static bool is_after(struct journal_position one, struct journal_position other)
{
    return one.base != other.base ? one.base > other.base : one.offset > other.offset;
}

static void want_sync(struct journal *journal, struct journal_position position)
{
    if (is_after(position, journal->sync_wanted))
        journal->sync_wanted = position;
}

static bool is_durable(const struct journal_segment *segment)
{
    return segment->is_entry_durable && segment->durable_bytes == segment->size_bytes;
}

static void advance_durable(struct journal *journal)
{
    struct journal_segment *segment = journal->durable_segment;
    while (segment != NULL && is_durable(segment) && journal_segment_next(segment) != NULL)
        segment = journal_segment_next(segment);
    journal->durable_segment = segment;
}

bool journal_may_create(const struct journal_segment *segment)
{
    const struct list *before = segment->link.prev;
    return before == &segment->journal->segments ||
           CONTAINER_OF(before, struct journal_segment, link)->is_entry_durable;
}

static bool is_cut(const struct journal_request *request)
{
    return request->kind == JOURNAL_TRUNCATE || request->kind == JOURNAL_CLEAR;
}

bool journal_may_write(const struct journal *journal)
{
    return list_empty(&journal->structural) || !is_cut(request_of(journal->structural.next));
}

/* ---- The control operation: syncs, truncations and drops, one at a time. ---- */

static void on_control(struct io_op *op, int64_t result);

static bool is_syncing(enum journal_step step)
{
    return step == JOURNAL_SYNC_FILE || step == JOURNAL_SYNC_DIRECTORY ||
           step == JOURNAL_SYNC_TRUNCATED;
}

static void submit_control(struct journal *journal, enum journal_step step, struct io_op op)
{
    assert(journal->step == JOURNAL_IDLE || op.kind != IO_TIMER);
    journal->step = step;
    journal->control_op = op;
    journal->control_op.done = on_control;
    journal->disk->sync_count += is_syncing(step);
    io_submit(journal->disk->io, &journal->control_op);
}

/* Comes back through on_control: callbacks never run inside the calls of users. */
static void defer(struct journal *journal)
{
    if (journal->step != JOURNAL_IDLE)
        return;
    submit_control(journal, JOURNAL_DEFER,
                   (struct io_op){.kind = IO_TIMER,
                                  .handle = io_handle_none,
                                  .timer.deadline_ns = io_now_ns(journal->disk->io)});
}

static void open_directory(struct journal *journal)
{
    submit_control(journal, JOURNAL_OPEN_DIRECTORY,
                   (struct io_op){.kind = IO_OPEN,
                                  .handle = io_handle_none,
                                  .path = {.path = journal->options.path,
                                           .flags = IO_OPEN_READ | IO_OPEN_DIRECTORY}});
}

static void submit_handle(struct journal *journal, enum journal_step step, enum io_kind kind,
                          int32_t handle)
{
    submit_control(journal, step, (struct io_op){.kind = kind, .handle = handle});
}

/* One append waits for it, as one did for the last: nobody else is at work. */
static bool is_brief(const struct journal *journal, const struct journal_segment *segment)
{
    const struct list *first = journal->unsynced.next;
    const bool is_single = first != &journal->unsynced && first->next == &journal->unsynced;
    return is_single && journal->synced_count_last <= 1 && segment->is_entry_durable &&
           segment->written_bytes - segment->durable_bytes <= brief_bytes_max;
}

/* The segment's handle is open: syncs it, or cuts it. */
static void use_file(struct journal *journal)
{
    struct journal_segment *segment = journal->control_segment;
    const bool is_sync = journal_may_write(journal) || journal->is_sync_turn;
    if (is_sync) {
        journal->control_bytes = segment->written_bytes;
        journal->writes_since_sync = 0;
        journal->sync_started_ns = io_now_ns(journal->disk->io);
        submit_control(journal, JOURNAL_SYNC_FILE,
                       (struct io_op){.kind = IO_SYNC,
                                      .handle = segment->handle,
                                      .sync = {.is_brief = is_brief(journal, segment)}});
        return;
    }
    const uint64_t offset = request_of(journal->structural.next)->position.offset;
    submit_control(journal, JOURNAL_TRUNCATE_FILE,
                   (struct io_op){.kind = IO_TRUNCATE,
                                  .handle = segment->handle,
                                  .range = {.offset = offset}});
}

static void on_open_file(struct journal_open *open, int64_t result)
{
    struct journal *journal = CONTAINER_OF(open, struct journal, control_open);
    on_control(&journal->control_op, result);
}

static void open_file(struct journal *journal, struct journal_segment *segment)
{
    journal->control_segment = segment;
    journal->step = JOURNAL_OPEN_FILE;
    journal->control_open.done = on_open_file;
    if (segment->handle == io_handle_none) {
        const bool is_open = journal_segment_open(segment, &journal->control_open);
        assert(!is_open);
        return;
    }
    segment->users++; /* But it is nothing to keep the file open for longer. */
    use_file(journal);
}

/* While a write is coming that can share the sync, the sync waits. */
static bool is_write_coming(const struct journal *journal)
{
    const struct journal_segment *last = segment_of(journal->segments.prev);
    if (journal->durable_segment != last || journal->writes_since_sync >= writes_per_sync_max)
        return false;
    if (journal->writer != NULL)
        return journal->writer->step != JOURNAL_WRITER_RETRY;
    return !list_empty(&journal->queue) && journal_may_write(journal);
}

/* The newest file, if its name must become durable before the next file may be made. */
static struct journal_segment *find_entry_due(const struct journal *journal)
{
    struct list *link = journal->segments.prev;
    if (link == &journal->segments || segment_of(link)->is_created)
        return NULL;
    while (link != &journal->segments && !segment_of(link)->is_created)
        link = link->prev;
    if (link == &journal->segments || segment_of(link)->is_entry_durable)
        return NULL;
    return segment_of(link);
}

static bool can_sync(struct journal *journal)
{
    advance_durable(journal);
    const struct journal_segment *segment = journal->durable_segment;
    if (segment == NULL || !segment->is_created || is_reached(journal, journal->sync_wanted))
        return false;
    const bool is_dirty =
        segment->written_bytes > segment->durable_bytes || !segment->is_entry_durable;
    return is_dirty && !is_write_coming(journal);
}

static void start_sync(struct journal *journal)
{
    struct journal_segment *segment = journal->durable_segment;
    journal->is_sync_turn = true;
    journal->control_segment = segment;
    if (segment->written_bytes > segment->durable_bytes || segment->is_size_in_doubt)
        open_file(journal, segment);
    else
        open_directory(journal);
}

/* Out of the journal: its file is gone, or never was. */
static void remove_segment(struct journal *journal, struct journal_segment *segment)
{
    const bool was_durable_segment = journal->durable_segment == segment;
    journal_segment_retire(segment);
    journal->segment_count--;
    if (was_durable_segment)
        journal->durable_segment = journal_segment_last(journal);
}

static void remove_file(struct journal *journal, struct journal_segment *segment, bool renamed)
{
    journal->control_segment = segment;
    submit_control(
        journal, JOURNAL_REMOVE_FILE,
        (struct io_op){.kind = renamed ? IO_RENAME : IO_UNLINK,
                       .handle = io_handle_none,
                       .path = {.path = segment->path, .path_to = segment->path_deleted}});
}

static bool is_cut_away(const struct journal *journal, const struct journal_segment *segment,
                        const struct journal_request *request)
{
    if (request->kind == JOURNAL_CLEAR)
        return true;
    if (segment->base != request->position.base)
        return segment->base > request->position.base;
    return request->position.offset < journal->options.header.size;
}

static void poll_users(struct journal *journal)
{
    if (!list_linked(&journal->polled_link))
        list_push(&journal->disk->polled, &journal->polled_link);
    journal_disk_poll(journal->disk);
}

/* Starts the next operation of a truncation, or waits for something. True: nothing is left to do.
 */
static bool is_truncated(struct journal *journal, const struct journal_request *request)
{
    const struct journal_position position = request->position;
    if (journal->writer != NULL)
        return false;
    struct journal_segment *last = journal_segment_last(journal);
    while (last != NULL && !last->is_created) {
        remove_segment(journal, last);
        last = journal_segment_last(journal);
    }
    if (last == NULL)
        return true;
    if (is_cut_away(journal, last, request)) {
        remove_file(journal, last, false);
        return false;
    }
    if (last->base < position.base)
        return true; /* The position's own segment kept nothing and is gone. */
    if (position.offset >= last->allocated_bytes && !last->is_size_in_doubt)
        return true;
    if (last->users > 0)
        poll_users(journal);
    else
        open_file(journal, last);
    return false;
}

/* The same for a drop. */
static bool is_dropped(struct journal *journal, const struct journal_request *request)
{
    struct journal_segment *first = journal_segment_first(journal);
    struct journal_segment *next = first == NULL ? NULL : journal_segment_next(first);
    if (next == NULL || next->base > request->position.base)
        return true;
    /* What stays must be able to tell where the journal went on. */
    const struct journal_position started = {.base = journal_segment_last(journal)->base,
                                             .offset = journal->options.header.size};
    if (first != journal->durable_segment && is_reached(journal, started))
        remove_file(journal, first, request->kind == JOURNAL_DROP_RENAMED);
    else
        want_sync(journal, journal_end(journal));
    return false;
}

/* True: the first structural request has nothing left to do. */
static bool is_structural_done(struct journal *journal)
{
    struct journal_request *request = request_of(journal->structural.next);
    advance_durable(journal);
    journal->is_sync_turn = false;
    if (is_cut(request))
        return is_truncated(journal, request);
    return is_dropped(journal, request);
}

static bool has_reached_sync(const struct journal *journal)
{
    return !list_empty(&journal->syncs) &&
           is_reached(journal, request_of(journal->syncs.next)->position);
}

static void control_start(struct journal *journal)
{
    if (journal->step != JOURNAL_IDLE)
        return;
    struct journal_segment *entry_due = find_entry_due(journal);
    if (entry_due != NULL) {
        journal->is_sync_turn = true;
        journal->control_segment = entry_due;
        open_directory(journal);
        return;
    }
    const bool structural_first = !journal->is_sync_turn && !list_empty(&journal->structural);
    if (!structural_first && can_sync(journal)) {
        start_sync(journal);
        return;
    }
    if (!list_empty(&journal->structural) && is_structural_done(journal)) {
        defer(journal);
        return;
    }
    if (journal->step == JOURNAL_IDLE && can_sync(journal))
        start_sync(journal);
    else if (journal->step == JOURNAL_IDLE && has_reached_sync(journal))
        defer(journal);
}

void journal_pump(struct journal *journal)
{
    if (journal_has_failed(journal))
        return;
    journal_writer_start(journal);
    control_start(journal);
}

/* What a completed control operation makes true. */
struct ended {
    struct list appends;
    struct list requests;
};

static void end(struct ended *ended, enum err err)
{
    for (struct list *link = list_pop(&ended->appends); link != NULL;
         link = list_pop(&ended->appends)) {
        struct journal_append *append = CONTAINER_OF(link, struct journal_append, link);
        append->done(append, err);
    }
    for (struct list *link = list_pop(&ended->requests); link != NULL;
         link = list_pop(&ended->requests))
        request_of(link)->done(request_of(link), err);
}

static bool is_append_reached(const struct journal *journal, const struct journal_append *append)
{
    return is_reached(journal, (struct journal_position){.base = append->segment->base,
                                                         .offset = append->offset + append->size});
}

static void end_cleaning(struct journal *journal)
{
    journal->disk->cleaning_count -= journal->is_cleaning;
    journal->is_cleaning = false;
}

void journal_clean(struct journal *journal)
{
    if (journal->is_cleaning || journal->step != JOURNAL_IDLE || journal->writer != NULL ||
        !journal->is_started)
        return;
    journal->is_cleaning = true;
    journal->disk->cleaning_count++;
    want_sync(journal, journal_end(journal));
    journal_pump(journal);
    if (journal->step == JOURNAL_IDLE)
        end_cleaning(journal); /* There was nothing to sync, or something else comes first. */
}

static void retire_all(struct journal *journal)
{
    end_cleaning(journal);
    while (!list_empty(&journal->segments))
        remove_segment(journal, segment_of(journal->segments.next));
    if (list_linked(&journal->polled_link))
        list_remove(&journal->polled_link);
    journal->is_started = false;
}

static void collect_synced(struct journal *journal, struct ended *ended)
{
    struct journal_synced synced = {.elapsed_ns = journal->sync_ns_last};
    while (!list_empty(&journal->unsynced)) {
        struct list *link = journal->unsynced.next;
        if (!is_append_reached(journal, CONTAINER_OF(link, struct journal_append, link)))
            break;
        list_remove(link);
        list_push(&ended->appends, link);
        synced.append_count++;
    }
    if (synced.append_count > 0)
        journal->synced_count_last = synced.append_count;
    if (synced.append_count > 0 && journal->options.on_synced != NULL)
        journal->options.on_synced(journal, &synced);
    while (has_reached_sync(journal)) {
        struct journal_request *request = request_of(journal->syncs.next);
        if (request->kind == JOURNAL_CLOSE && !list_empty(&journal->structural))
            break;
        list_remove(&request->link);
        list_push(&ended->requests, &request->link);
        if (request->kind == JOURNAL_CLOSE)
            retire_all(journal);
    }
}

/* A control operation is over: tells whoever waited for it, last of all. */
static void finish(struct journal *journal)
{
    struct ended ended;
    list_init(&ended.appends);
    list_init(&ended.requests);
    advance_durable(journal);
    journal->step = JOURNAL_IDLE;
    journal->control_segment = NULL;
    collect_synced(journal, &ended);
    journal_pump(journal);
    if (journal->is_cleaning) {
        end_cleaning(journal);
        journal_disk_trim(journal->disk);
    }
    end(&ended, ERR_OK);
}

/* The directory operations that follow a sync or a removal are done. */
static void finish_directory(struct journal *journal)
{
    struct journal_segment *segment = journal->control_segment;
    if (journal->is_sync_turn) {
        segment->is_entry_durable = true;
        journal->is_sync_turn = false;
    } else {
        remove_segment(journal, segment);
        journal->is_sync_turn = true;
    }
    finish(journal);
}

static void finish_sync_file(struct journal *journal)
{
    struct journal_segment *segment = journal->control_segment;
    segment->durable_bytes = journal->control_bytes;
    segment->is_size_in_doubt = false;
    segment->users--;
    journal->sync_count++;
    journal->sync_ns_last = io_now_ns(journal->disk->io) - journal->sync_started_ns;
    if (!segment->is_entry_durable) {
        open_directory(journal);
        return;
    }
    journal->is_sync_turn = false;
    finish(journal);
}

static void finish_truncate(struct journal *journal)
{
    struct journal_segment *segment = journal->control_segment;
    const uint64_t offset = request_of(journal->structural.next)->position.offset;
    segment->users--;
    segment->size_bytes = offset;
    segment->written_bytes = offset;
    segment->durable_bytes = offset;
    segment->allocated_bytes = offset;
    segment->is_size_in_doubt = false;
    journal->is_sync_turn = true;
    finish(journal);
}

/* A removed file that is gone already, or that stays, is told and no more; unless it would hold
 * bytes that were cut. */
static void finish_remove_file(struct journal *journal, int64_t result)
{
    const bool must_go = is_cut(request_of(journal->structural.next));
    if (result < 0 && result != -ENOENT) {
        const char *path = journal->control_segment->path;
        if (must_go) {
            journal_disk_fail(journal->disk, "removal", path, result);
            journal->step = JOURNAL_IDLE;
            journal_pump(journal);
            return;
        }
        diag_warn(journal->disk->diag, "%s: cannot be removed: %s", path,
                  err_text(err_from_errno((int)result)));
    }
    open_directory(journal);
}

/* Nobody waits for what has been cut off. */
static void forget_cut(struct journal *journal)
{
    const struct journal_position end = journal_end(journal);
    if (is_after(journal->sync_wanted, end))
        journal->sync_wanted = end;
    list_each (link, &journal->syncs) {
        if (is_after(request_of(link)->position, end))
            request_of(link)->position = end;
    }
}

static void finish_deferred(struct journal *journal)
{
    struct ended ended;
    list_init(&ended.appends);
    list_init(&ended.requests);
    journal->step = JOURNAL_IDLE;
    end_cleaning(journal);
    if (!list_empty(&journal->structural) && is_structural_done(journal)) {
        struct list *link = list_pop(&journal->structural);
        list_push(&ended.requests, link);
        if (is_cut(request_of(link)))
            forget_cut(journal);
    }
    if (journal->step == JOURNAL_IDLE)
        collect_synced(journal, &ended);
    journal_pump(journal);
    end(&ended, ERR_OK);
}

static void fail_control(struct journal *journal, int64_t result)
{
    static const char *const names[] = {
        [JOURNAL_SYNC_FILE] = "sync",
        [JOURNAL_OPEN_DIRECTORY] = "open of the directory",
        [JOURNAL_SYNC_DIRECTORY] = "sync of the directory",
        [JOURNAL_OPEN_FILE] = "open",
        [JOURNAL_TRUNCATE_FILE] = "truncation",
        [JOURNAL_SYNC_TRUNCATED] = "sync",
    };
    const enum journal_step step = journal->step;
    struct journal_segment *segment = journal->control_segment;
    const bool had_handle = step == JOURNAL_SYNC_FILE || step == JOURNAL_TRUNCATE_FILE ||
                            step == JOURNAL_SYNC_TRUNCATED;
    if (had_handle)
        segment->users--;
    end_cleaning(journal);
    journal_disk_fail(journal->disk, names[step],
                      segment == NULL ? journal->options.path : segment->path, result);
    journal->step = JOURNAL_IDLE;
    journal_pump(journal);
}

static void on_directory_synced(struct journal *journal, int64_t result)
{
    /* The verdict waits until the handle is closed. */
    journal->control_bytes = (uint64_t)result;
    submit_handle(journal, JOURNAL_CLOSE_DIRECTORY, IO_CLOSE, journal->directory);
}

static void on_directory_closed(struct journal *journal)
{
    const int64_t synced = (int64_t)journal->control_bytes;
    journal->directory = io_handle_none;
    if (synced < 0) {
        journal->step = JOURNAL_SYNC_DIRECTORY;
        fail_control(journal, synced);
        return;
    }
    finish_directory(journal);
}

static void on_control(struct io_op *op, int64_t result)
{
    struct journal *journal = CONTAINER_OF(op, struct journal, control_op);
    const enum journal_step step = journal->step;
    journal->disk->sync_count -= is_syncing(step);
    if (result < 0 && step != JOURNAL_SYNC_DIRECTORY && step != JOURNAL_CLOSE_DIRECTORY &&
        step != JOURNAL_REMOVE_FILE && step != JOURNAL_DEFER) {
        fail_control(journal, result);
        return;
    }
    switch (step) {
    case JOURNAL_IDLE: assert(false && "a control operation ends that never began"); return;
    case JOURNAL_SYNC_FILE: finish_sync_file(journal); return;
    case JOURNAL_OPEN_DIRECTORY:
        journal->directory = (int32_t)result;
        submit_handle(journal, JOURNAL_SYNC_DIRECTORY, IO_SYNC, journal->directory);
        return;
    case JOURNAL_SYNC_DIRECTORY: on_directory_synced(journal, result); return;
    case JOURNAL_CLOSE_DIRECTORY: on_directory_closed(journal); return;
    case JOURNAL_OPEN_FILE: use_file(journal); return;
    case JOURNAL_TRUNCATE_FILE:
        submit_handle(journal, JOURNAL_SYNC_TRUNCATED, IO_SYNC, journal->control_segment->handle);
        return;
    case JOURNAL_SYNC_TRUNCATED: finish_truncate(journal); return;
    case JOURNAL_REMOVE_FILE: finish_remove_file(journal, result); return;
    case JOURNAL_DEFER: finish_deferred(journal); return;
    }
}

bool journal_has_failed(struct journal *journal)
{
    if (!journal->disk->is_failed)
        return false;
    struct ended ended;
    list_init(&ended.appends);
    list_init(&ended.requests);
    list_each (link, &journal->queue)
        journal->queued_bytes -= CONTAINER_OF(link, struct journal_append, link)->size;
    list_splice(&ended.appends, &journal->unsynced);
    list_splice(&ended.appends, &journal->queue);
    if (journal->step == JOURNAL_IDLE && journal->writer == NULL) {
        list_splice(&ended.requests, &journal->structural);
        list_splice(&ended.requests, &journal->syncs);
        list_each (link, &ended.requests) {
            if (request_of(link)->kind == JOURNAL_CLOSE)
                retire_all(journal);
        }
    }
    end(&ended, ERR_IO);
    return true;
}

/* ---- What users call. ---- */

enum err journal_admit(struct journal *journal, uint64_t size)
{
    const enum err err = journal_disk_admit(journal->disk, size);
    if (err != ERR_OK)
        return err;
    return journal->queued_bytes + size > journal->options.queued_bytes_max ? ERR_LIMIT : ERR_OK;
}

enum err journal_append(struct journal *journal, struct journal_append *append)
{
    struct journal_segment *last = journal_segment_last(journal);
    assert(journal->is_started && last != NULL && journal_may_write(journal));
    assert(append->vector_count <= journal_append_vector_count_max);
    uint64_t size = 0;
    for (uint32_t index = 0; index < append->vector_count; index++)
        size += append->vectors[index].iov_len;
    assert(size > 0);

    const enum err err = journal_admit(journal, size);
    if (err != ERR_OK && !(err == ERR_NO_SPACE && append->is_essential))
        return err;
    append->segment = last;
    append->offset = last->size_bytes;
    append->size = size;
    last->size_bytes += size;
    journal->queued_bytes += size;
    journal->disk->unchecked_bytes += size;
    if (append->is_durable)
        want_sync(journal, journal_end(journal));
    list_push(&journal->queue, &append->link);
    journal_pump(journal);
    return ERR_OK;
}

/* A last segment that got no byte and no file gives way. */
static void remove_if_unused(struct journal *journal)
{
    struct journal_segment *last = journal_segment_last(journal);
    if (last == NULL || last->is_created || journal->writer != NULL || last->is_busy ||
        last->size_bytes > journal->options.header.size)
        return;
    remove_segment(journal, last);
}

enum err journal_roll(struct journal *journal, uint64_t base)
{
    assert(journal->is_started && journal_may_write(journal));
    struct journal_segment *segment = journal_segment_take(journal, base);
    if (segment == NULL)
        return ERR_NO_MEMORY;
    remove_if_unused(journal);
    want_sync(journal, journal_end(journal));
    segment->size_bytes = journal->options.header.size;
    insert_segment(journal, segment);
    assert(journal_segment_last(journal) == segment);
    if (journal->durable_segment == NULL)
        journal->durable_segment = segment;
    journal_pump(journal);
    return ERR_OK;
}

static void request_start(struct journal *journal, struct journal_request *request,
                          enum journal_request_kind kind, struct journal_position position)
{
    assert(journal->is_started);
    request->kind = kind;
    request->position = position;
    const bool is_structural = kind != JOURNAL_SYNC && kind != JOURNAL_CLOSE;
    if (!is_structural)
        want_sync(journal, position);
    list_push(is_structural ? &journal->structural : &journal->syncs, &request->link);
    defer(journal);
}

void journal_sync(struct journal *journal, struct journal_request *request)
{
    request_start(journal, request, JOURNAL_SYNC, journal_end(journal));
}

void journal_close(struct journal *journal, struct journal_request *request)
{
    request_start(journal, request, JOURNAL_CLOSE, journal_end(journal));
}

bool journal_is_in_flight(const struct journal *journal)
{
    list_each (link, &journal->segments)
        if (CONTAINER_OF(link, struct journal_segment, link)->is_busy)
            return true;
    return journal->step != JOURNAL_IDLE || journal->writer != NULL;
}

bool journal_is_at_rest(const struct journal *journal)
{
    list_each (link, &journal->segments) {
        const struct journal_segment *segment = CONTAINER_OF(link, struct journal_segment, link);
        if (segment->users > 0 || !list_empty(&segment->openers))
            return false;
    }
    return !journal_is_in_flight(journal) && list_empty(&journal->queue) &&
           list_empty(&journal->unsynced) && list_empty(&journal->syncs) &&
           list_empty(&journal->structural);
}

void journal_follow_rename(struct journal *journal)
{
    assert(journal_is_at_rest(journal));
    list_each (link, &journal->segments)
        journal_segment_follow_rename(CONTAINER_OF(link, struct journal_segment, link));
}

static void cut_start(struct journal *journal, struct journal_request *request,
                      enum journal_request_kind kind, struct journal_position position)
{
    assert(list_empty(&journal->queue) && list_empty(&journal->unsynced));
    assert(list_empty(&journal->structural));
    request_start(journal, request, kind, position);
}

void journal_truncate(struct journal *journal, struct journal_request *request,
                      struct journal_position position)
{
    cut_start(journal, request, JOURNAL_TRUNCATE, position);
}

void journal_clear(struct journal *journal, struct journal_request *request)
{
    cut_start(journal, request, JOURNAL_CLEAR, (struct journal_position){0});
}

/* Which segment holds base is settled now: later ones may begin at or below it. */
static void drop_start(struct journal *journal, struct journal_request *request,
                       enum journal_request_kind kind, uint64_t base)
{
    const struct journal_segment *kept = journal_segment_at(journal, base);
    request_start(journal, request, kind,
                  (struct journal_position){.base = kept == NULL ? 0 : kept->base});
}

void journal_drop(struct journal *journal, struct journal_request *request, uint64_t base)
{
    drop_start(journal, request, JOURNAL_DROP_RENAMED, base);
}

void journal_drop_unlinked(struct journal *journal, struct journal_request *request, uint64_t base)
{
    drop_start(journal, request, JOURNAL_DROP_UNLINKED, base);
}

/* Everything the files hold is durable, but for segments from sync_base on. A process that ended
 * because a cut could not be synced leaves a file that seems to be cut: if the kernel takes it for
 * clean, no sync will ever write its size. So it is cut once more. */
static void set_durable(struct journal *journal, uint64_t sync_base)
{
    journal->durable_segment = journal_segment_last(journal);
    for (struct list *link = journal->segments.prev; link != &journal->segments;
         link = link->prev) {
        struct journal_segment *segment = segment_of(link);
        segment->is_entry_durable = segment->base < sync_base;
        segment->durable_bytes = segment->is_entry_durable ? segment->size_bytes : 0;
        segment->is_size_in_doubt = !segment->is_entry_durable;
        if (!segment->is_entry_durable)
            journal->durable_segment = segment;
    }
}

/* The files end where they should, and all of them is on the disk. */
static bool is_as_wanted(const struct journal *journal, struct journal_start_options options)
{
    if (list_empty(&journal->segments))
        return true;
    const struct journal_segment *last = segment_of(journal->segments.prev);
    return !options.is_cleared && last->base == options.end.base &&
           last->size_bytes == options.end.offset &&
           options.end.offset >= journal->options.header.size && last->base < options.sync_base;
}

static void on_start_synced(struct journal_request *request, enum err err)
{
    struct journal_starting *starting = CONTAINER_OF(request, struct journal_starting, request);
    starting->done(starting, err);
}

static void on_start_cut(struct journal_request *request, enum err err)
{
    struct journal_starting *starting = CONTAINER_OF(request, struct journal_starting, request);
    struct journal *journal = starting->journal;
    if (err != ERR_OK || is_reached(journal, journal_end(journal))) {
        starting->done(starting, err);
        return;
    }
    request->done = on_start_synced;
    journal_sync(journal, request);
}

bool journal_start_begin(struct journal *journal, struct journal_starting *starting,
                         struct journal_start_options options)
{
    assert(!journal->is_started);
    journal->is_started = true;
    set_durable(journal, options.sync_base);
    if (is_as_wanted(journal, options))
        return true;
    starting->journal = journal;
    starting->request.done = on_start_cut;
    if (options.is_cleared)
        journal_clear(journal, &starting->request);
    else
        journal_truncate(journal, &starting->request, options.end);
    return false;
}

struct waited_start {
    struct journal_starting starting;
    enum err err;
    bool is_done;
};

static void on_started(struct journal_starting *starting, enum err err)
{
    struct waited_start *waited = CONTAINER_OF(starting, struct waited_start, starting);
    waited->err = err;
    waited->is_done = true;
}

enum err journal_start(struct journal *journal, struct journal_start_options options)
{
    struct waited_start waited = {.starting.done = on_started};
    if (journal_start_begin(journal, &waited.starting, options))
        return ERR_OK;
    while (!waited.is_done)
        io_run(journal->disk->io, UINT64_MAX);
    return waited.err;
}

void journal_start_empty(struct journal *journal)
{
    assert(!journal->is_started && list_empty(&journal->segments));
    journal->is_started = true;
}
