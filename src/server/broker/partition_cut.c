#include "server/broker/partition_cut.h"

#include "base/assert.h"
#include "server/broker/directory_checkpoints.h"
#include "server/broker/log_directory.h"
#include "server/broker/partition_loader.h"
#include "server/broker/partition_store.h"

#include <errno.h>
#include <stdio.h>

enum { scan_bytes = 64 * 1024, snapshot_bytes_max = 256 << 20, name_bytes_max = 64 };

struct name {
    struct list link;
    char text[name_bytes_max];
};

static void go_on(struct partition_cut *cut);
static void scan(struct partition_cut *cut);

static struct log_directory *directory_of(const struct partition_cut *cut)
{
    return cut->store->directory;
}

/* ---- The end. ---- */

static void forget_names(struct partition_cut *cut)
{
    struct list *link;
    while ((link = list_pop(&cut->names)) != NULL)
        heap_give(directory_of(cut)->heap, CONTAINER_OF(link, struct name, link));
}

static void finish(struct partition_cut *cut, enum error_code code)
{
    struct partition_store *store = cut->store;
    forget_names(cut);
    heap_give(directory_of(cut)->heap, cut->buffer);
    producer_state_deinit(&cut->producers);
    list_remove(&cut->link);
    store->cut = NULL;
    list_each (link, &store->segments) {
        struct partition_segment *segment = CONTAINER_OF(link, struct partition_segment, link);
        if (segment->is_sealed && !segment->is_index_complete)
            log_directory_queue_flush(store->directory, segment);
    }
    store->busy_count--;
    log_directory_on_idle(store->directory, store);
    cut->done(cut, code);
}

/* What was begun cannot be ended: the partition is not to be used before the next start. */
static void fail(struct partition_cut *cut, const char *reason)
{
    diag_error(directory_of(cut)->diag,
               "%s: truncation to offset %lld: %s; the partition is offline", cut->store->path,
               (long long)cut->offset, reason);
    partition_store_fail(cut->store, "a truncation failed");
    finish(cut, KAFKA_KAFKA_STORAGE_ERROR);
}

/* ---- What it waits for. ---- */

static bool is_idle(const struct partition_store *store)
{
    return store->busy_count == 1 && list_empty(&store->appends) && !store->is_writing &&
           !store->is_requesting;
}

/* From here on the old log is no longer promised. */
static void lower_promise(struct partition_cut *cut)
{
    struct partition_store *store = cut->store;
    cut->last_base =
        cut->begins_anew ? 0 : partition_store_segment_at(store, cut->offset)->index.base_offset;
    cut->floor = cut->last_base; /* Batches go as a whole, so the log may end below offset. */
    cut->durable_before = store->durable_offset;
    store->log_start_offset = min_i64(store->log_start_offset, cut->offset);
    store->durable_offset = min_i64(store->durable_offset, cut->floor);
    store->sync_asked_offset = min_i64(store->sync_asked_offset, cut->floor);
    list_each (link, &store->segments)
        list_remove(&CONTAINER_OF(link, struct partition_segment, link)->flush_link);
}

/* True: whatever a power loss leaves, no more than floor is promised. */
static bool is_promise_low(struct partition_cut *cut)
{
    const struct partition_store *store = cut->store;
    struct synced_marks *marks = &store->directory->marks;
    if (store->mark_slot == UINT32_MAX)
        return true;
    if (synced_marks_is_busy_with(marks, store))
        return false;
    if (store->synced_mark > cut->floor) {
        synced_marks_note(marks, cut->store);
        return false;
    }
    if (cut->sync_number == 0) {
        marks->is_sync_wanted = true;
        cut->sync_number = marks->sync_begun + 1;
    }
    synced_marks_sync(marks);
    return marks->sync_ended >= cut->sync_number;
}

/* True: a set of checkpoints that was made after that is written. If the disk is full, the tick
 * tries again. */
static bool is_checkpoint_low(struct partition_cut *cut)
{
    struct log_directory *directory = directory_of(cut);
    if (cut->set_number > 0)
        return directory->checkpoint_ended >= cut->set_number;
    if (directory->checkpoint_set_count == 0) {
        cut->set_number = directory->checkpoint_begun + 1;
        if (directory_checkpoints_write_set(directory) != ERR_OK)
            cut->set_number = 0; /* No memory for the text: at the next tick. */
    }
    return false;
}

/* ---- Files that go. ---- */

static bool must_go(const struct partition_cut *cut, const char *text)
{
    static const char *const suffixes[] = {".index", ".timeindex", ".txnindex"};
    int64_t offset;
    for (size_t i = 0; i < ARRAY_COUNT(suffixes); i++)
        if (partition_loader_parse_offset(text, suffixes[i], &offset))
            return cut->begins_anew || offset > cut->last_base;
    return partition_loader_parse_offset(text, ".snapshot", &offset) &&
           (cut->begins_anew || offset > cut->offset);
}

static void on_name(void *context, const char *text)
{
    struct partition_cut *cut = context;
    int64_t offset;
    if (strlen(text) >= name_bytes_max)
        return;
    if (!must_go(cut, text)) {
        if (partition_loader_parse_offset(text, ".snapshot", &offset))
            cut->snapshot_offset = max_i64(cut->snapshot_offset, offset);
        return;
    }
    struct name *name = heap_take(directory_of(cut)->heap, sizeof *name);
    cut->has_failed |= name == NULL;
    if (name == NULL)
        return;
    memcpy(name->text, text, strlen(text) + 1);
    list_push(&cut->names, &name->link);
}

static void on_unlinked(struct io_op *op, int64_t result)
{
    struct partition_cut *cut = CONTAINER_OF(op, struct partition_cut, op);
    cut->is_busy = false;
    if (result < 0 && result != -ENOENT)
        fail(cut, "a file cannot be removed");
    else
        go_on(cut);
}

/* False: nothing is left to remove. */
static bool unlink_next(struct partition_cut *cut)
{
    struct list *link = list_pop(&cut->names);
    if (link == NULL)
        return false;
    struct name *name = CONTAINER_OF(link, struct name, link);
    const int size = snprintf(cut->path, sizeof cut->path, "%s/%s", cut->store->path, name->text);
    heap_give(directory_of(cut)->heap, name);
    assert(size > 0 && (size_t)size < sizeof cut->path);
    cut->is_busy = true;
    cut->op = (struct io_op){.kind = IO_UNLINK,
                             .handle = io_handle_none,
                             .path = {.path = cut->path},
                             .done = on_unlinked};
    io_submit(directory_of(cut)->io, &cut->op);
    return true;
}

/* ---- The producers' snapshot. ---- */

static void use_snapshot(struct partition_cut *cut, size_t size)
{
    const enum err err = producer_state_decode(&cut->producers, slice_of(cut->buffer, size));
    if (err == ERR_OK)
        cut->replay_from = cut->snapshot_offset;
    else
        diag_warn(directory_of(cut)->diag, "%s: the producers' snapshot at %lld: %s",
                  cut->store->path, (long long)cut->snapshot_offset, err_text(err));
}

static void on_snapshot(struct io_op *op, int64_t result);

/* Up to the end of the file: a read of nothing. */
static void read_snapshot_on(struct partition_cut *cut)
{
    cut->op = (struct io_op){.kind = IO_READ,
                             .handle = cut->handle,
                             .read = {.data = cut->buffer + cut->got,
                                      .size = cut->buffer_bytes - cut->got,
                                      .offset = cut->got},
                             .done = on_snapshot};
    io_submit(directory_of(cut)->io, &cut->op);
}

static void on_snapshot(struct io_op *op, int64_t result)
{
    struct partition_cut *cut = CONTAINER_OF(op, struct partition_cut, op);
    struct io *io = directory_of(cut)->io;
    const enum io_kind kind = op->kind;
    if (kind == IO_OPEN && result >= 0) {
        cut->handle = (int32_t)result;
        cut->got = 0;
        read_snapshot_on(cut);
        return;
    }
    if (kind == IO_READ && result > 0) { /* A read may be short. */
        cut->got += (size_t)result;
        read_snapshot_on(cut);
        return;
    }
    if (kind == IO_READ) {
        use_snapshot(cut, cut->got);
        cut->op = (struct io_op){.kind = IO_CLOSE, .handle = cut->handle, .done = on_snapshot};
        io_submit(io, &cut->op);
        return;
    }
    cut->is_busy = false;
    cut->step = CUT_BEGIN_SCAN;
    go_on(cut);
}

/* One that is damaged, or not there: nobody is known. */
static void read_snapshot(struct partition_cut *cut)
{
    struct log_directory *directory = directory_of(cut);
    struct io_file_info info;
    const struct partition_segment *first =
        CONTAINER_OF(cut->store->segments.next, struct partition_segment, link);
    cut->step = CUT_BEGIN_SCAN;
    if (cut->snapshot_offset < first->index.base_offset ||
        /* What came between is gone. */ cut->store->producers.producers.count == 0 ||
        !index_flush_print_path(cut->path, sizeof cut->path, cut->store->path, cut->snapshot_offset,
                                ".snapshot") ||
        io_file_info(directory->io, cut->path, &info) < 0 || info.size_bytes > snapshot_bytes_max)
        return;
    const size_t size = max_size((size_t)info.size_bytes + 1, scan_bytes);
    uint8_t *buffer = heap_resize(directory->heap, cut->buffer, size);
    if (buffer == NULL)
        return;
    cut->buffer = buffer;
    cut->buffer_bytes = size;
    cut->step = CUT_SNAPSHOT;
    cut->is_busy = true;
    cut->op = (struct io_op){.kind = IO_OPEN,
                             .handle = io_handle_none,
                             .path = {.path = cut->path, .flags = IO_OPEN_READ},
                             .done = on_snapshot};
    io_submit(directory->io, &cut->op);
}

/* ---- The walk along the batches. ---- */

static struct partition_segment *segment_of(struct partition_cut *cut, int64_t base)
{
    return partition_store_segment_at(cut->store, base);
}

/* Where it begins: at the snapshot's segment, or at the one that is cut. */
static void begin_scan(struct partition_cut *cut)
{
    struct partition_segment *last = segment_of(cut, cut->last_base);
    struct log_directory *directory = directory_of(cut);
    cut->scan_base = cut->last_base;
    if (cut->replay_from < cut->last_base)
        cut->scan_base = segment_of(cut, cut->replay_from)->index.base_offset;
    cut->position = 0;
    cut->next_offset = cut->scan_base;
    segment_index_deinit(&last->index);
    segment_index_init(&last->index, directory->heap, cut->last_base);
    last->is_sealed = false;
    last->is_index_complete = false;
    last->first_timestamp_ms = -1;
    cut->step = CUT_SCAN;
}

/* True: the batch stays. */
static bool take_batch(struct partition_cut *cut, const struct record_batch *batch)
{
    struct partition_store *store = cut->store;
    if (record_batch_last_offset(batch) >= cut->offset)
        return false;
    if (batch->base_offset >= cut->replay_from && batch->magic == record_batch_magic &&
        producer_state_append(&cut->producers, batch) != ERR_OK)
        diag_warn(store->directory->diag, "%s: no memory for a producer", store->path);
    if (cut->scan_base == cut->last_base) {
        struct partition_segment *last = segment_of(cut, cut->last_base);
        if (last->first_timestamp_ms < 0)
            last->first_timestamp_ms = batch->max_timestamp_ms;
        segment_index_add(&last->index, store->config.index_interval_bytes,
                          (struct segment_index_batch){
                              .last_offset = record_batch_last_offset(batch),
                              .max_timestamp_ms = batch->max_timestamp_ms,
                              .position = (uint32_t)cut->position,
                              .size = batch->size,
                          });
    }
    cut->position += batch->size;
    cut->next_offset = record_batch_last_offset(batch) + 1;
    return true;
}

static void on_flushed(struct index_flush *flush, int64_t result)
{
    struct partition_cut *cut = CONTAINER_OF(flush, struct partition_cut, flush);
    flush->segment = NULL;
    cut->is_busy = false;
    cut->step = CUT_SCAN;
    if (result < 0)
        fail(cut, "an index cannot be written");
    else
        go_on(cut);
}

static void flush_index(struct partition_cut *cut)
{
    cut->step = CUT_FLUSH;
    cut->is_busy = true;
    cut->flush.done = on_flushed;
    index_flush_start(&cut->flush, directory_of(cut)->io, segment_of(cut, cut->last_base));
}

static void truncate_journal(struct partition_cut *cut);
static void scan_on(struct partition_cut *cut);

/* The segment is read to its end, or to the cut. */
static void end_segment(struct partition_cut *cut)
{
    if (cut->scan_base == cut->last_base) {
        truncate_journal(cut);
        return;
    }
    struct partition_segment *next =
        partition_store_segment_after(cut->store, segment_of(cut, cut->scan_base));
    cut->scan_base = next->index.base_offset;
    cut->position = 0;
    cut->next_offset = cut->scan_base;
    scan(cut);
}

/* Uses the whole batches, or what is known of the last one. False: it goes on elsewhere. */
static bool take_batches(struct partition_cut *cut, struct slice rest)
{
    const struct partition_segment *last = segment_of(cut, cut->last_base);
    struct record_batch batch;
    while (rest.size >= record_batch_header_bytes) {
        if (record_batch_decode(&batch, rest) != ERR_OK) {
            fail(cut, "no batch header is where one should be");
            return false;
        }
        if (!take_batch(cut, &batch)) {
            cut->offset = min_i64(cut->offset, batch.base_offset);
            end_segment(cut);
            return false;
        }
        if (segment_index_is_pending_full(&last->index)) {
            flush_index(cut);
            return false;
        }
        rest = batch.size < rest.size ? slice_skip(rest, batch.size) : SLICE_NULL;
    }
    return true;
}

static void on_scanned(struct journal_read *read, int64_t result)
{
    struct partition_cut *cut = CONTAINER_OF(read, struct partition_cut, read);
    cut->is_busy = false;
    if (result <= 0) {
        fail(cut, "the log cannot be read");
        return;
    }
    cut->got += (size_t)result;
    if (cut->got < record_batch_header_bytes) {
        scan_on(cut);
        return;
    }
    if (take_batches(cut, slice_of(cut->buffer, cut->got)))
        scan(cut);
}

/* What is missing of the next piece. */
static void scan_on(struct partition_cut *cut)
{
    struct partition_segment *segment = segment_of(cut, cut->scan_base);
    const uint64_t rest = segment->file->size_bytes - cut->position - cut->got;
    cut->is_busy = true;
    cut->read.done = on_scanned;
    journal_segment_read(segment->file, &cut->read, cut->buffer + cut->got,
                         (size_t)min_u64(scan_bytes - cut->got, rest), cut->position + cut->got);
}

static void scan(struct partition_cut *cut)
{
    cut->got = 0;
    if (cut->position >= segment_of(cut, cut->scan_base)->file->size_bytes)
        end_segment(cut);
    else
        scan_on(cut);
}

/* ---- The journal, and the store. ---- */

static void drop_segments_behind(struct partition_store *store, int64_t base)
{
    while (!list_empty(&store->segments)) {
        struct partition_segment *segment = partition_store_active(store);
        if (segment->index.base_offset <= base)
            return;
        list_remove(&segment->link);
        partition_store_give_segment(segment);
    }
}

/* An epoch that began at the end, and had no batch yet, goes too: the leader never heard of it. */
static void cut_epochs(struct partition_store *store, int64_t offset)
{
    if (leader_epochs_cut_end(&store->epochs, offset))
        partition_store_doubt_epochs(store, offset);
}

static void set_end(struct partition_store *store, int64_t offset)
{
    const struct partition_segment *active = partition_store_active(store);
    store->log_end_offset = offset;
    store->log_start_offset = min_i64(store->log_start_offset, offset);
    cut_epochs(store, offset);
    store->cut_count++;
    partition_watermark_cut(store, (struct partition_mark){.offset = offset,
                                                           .base = active->index.base_offset,
                                                           .position = active->file->size_bytes});
    partition_store_forget_recent(store);
    heap_give(store->directory->heap, store->index_block);
    store->index_block = NULL;
    store->is_changed = true;
    store->directory->events.on_progress(store->directory->events.context, store);
}

/* The checkpoint's log start must not be behind what comes next. */
static void tell_start(struct partition_cut *cut)
{
    cut->step = CUT_START;
    cut->set_number = 0;
    go_on(cut);
}

static void begin_anew(struct partition_cut *cut)
{
    struct partition_store *store = cut->store;
    drop_segments_behind(store, INT64_MIN);
    if (partition_store_add_segment(store, cut->offset) != ERR_OK) {
        fail(cut, "no memory for a segment");
        return;
    }
    store->log_start_offset = cut->offset;
    store->durable_offset = cut->offset;
    store->sync_asked_offset = cut->offset;
    store->high_watermark = cut->offset;
    store->watermark.mark_count = 0;
    partition_watermark_load(&store->watermark,
                             (struct partition_mark){.offset = cut->offset, .base = cut->offset});
    producer_state_deinit(&store->producers);
    cut_epochs(store, 0);
    set_end(store, cut->offset);
    tell_start(cut);
}

static void on_truncated(struct journal_request *request, enum err err)
{
    struct partition_cut *cut = CONTAINER_OF(request, struct partition_cut, request);
    struct partition_store *store = cut->store;
    cut->is_busy = false;
    if (err != ERR_OK) { /* The disk has failed, and told so. */
        finish(cut, KAFKA_KAFKA_STORAGE_ERROR);
        return;
    }
    if (cut->begins_anew) {
        begin_anew(cut);
        return;
    }
    drop_segments_behind(store, cut->last_base);
    producer_state_deinit(&store->producers);
    store->producers = cut->producers;
    producer_state_init(&cut->producers, &store->directory->producers);
    store->durable_offset = min_i64(cut->durable_before, cut->offset);
    store->sync_asked_offset = store->durable_offset;
    synced_marks_note(&store->directory->marks, store);
    /* Batches go as a whole: one may have begun in front of the start that was told. */
    const bool is_start_lower = cut->offset < store->log_start_offset;
    set_end(store, cut->offset);
    if (is_start_lower)
        tell_start(cut);
    else
        finish(cut, KAFKA_NONE);
}

static void truncate_journal(struct partition_cut *cut)
{
    cut->step = CUT_JOURNAL;
    cut->is_busy = true;
    cut->request.done = on_truncated;
    if (cut->begins_anew)
        journal_clear(&cut->store->journal, &cut->request);
    else
        journal_truncate(
            &cut->store->journal, &cut->request,
            (struct journal_position){.base = (uint64_t)cut->last_base, .offset = cut->position});
}

/* ---- From step to step. ---- */

static bool changes_nothing(const struct partition_cut *cut)
{
    return !cut->begins_anew && cut->offset >= cut->store->log_end_offset;
}

static void begin_unlinking(struct partition_cut *cut)
{
    struct log_directory *directory = directory_of(cut);
    cut->step = CUT_UNLINK;
    cut->snapshot_offset = -1;
    cut->replay_from = INT64_MAX;
    cut->buffer = heap_take(directory->heap, scan_bytes);
    cut->buffer_bytes = scan_bytes;
    const int listed = io_list_directory(directory->io, cut->store->path, on_name, cut);
    cut->has_failed |= cut->buffer == NULL || listed < 0;
}

/* Without a snapshot, producers are found in the whole log, as a start does: what was cut from may
 * have none of them, and who knows no producer takes everything that it sends again. */
static void end_unlinking(struct partition_cut *cut)
{
    if (cut->begins_anew) {
        truncate_journal(cut);
        return;
    }
    if (cut->store->producers.producers.count > 0)
        cut->replay_from = CONTAINER_OF(cut->store->segments.next, struct partition_segment, link)
                               ->index.base_offset;
    read_snapshot(cut);
}

static void take_step(struct partition_cut *cut)
{
    switch (cut->step) {
    case CUT_WAIT:
        if (!is_idle(cut->store))
            return;
        if (changes_nothing(cut)) {
            cut_epochs(cut->store, cut->store->log_end_offset);
            finish(cut, KAFKA_NONE);
            return;
        }
        cut->step = CUT_PROMISE;
        lower_promise(cut);
        go_on(cut);
        return;
    case CUT_PROMISE:
        if (!is_promise_low(cut))
            return;
        cut->step = CUT_CHECKPOINT;
        go_on(cut);
        return;
    case CUT_CHECKPOINT:
        if (!is_checkpoint_low(cut))
            return;
        begin_unlinking(cut);
        go_on(cut);
        return;
    case CUT_UNLINK:
        if (cut->has_failed) {
            fail(cut, "no memory, or the directory cannot be listed");
            return;
        }
        if (unlink_next(cut))
            return;
        end_unlinking(cut);
        if (!cut->is_busy)
            go_on(cut);
        return;
    case CUT_BEGIN_SCAN:
        begin_scan(cut);
        scan(cut);
        return;
    case CUT_SCAN: scan(cut); return;
    case CUT_START:
        if (is_checkpoint_low(cut))
            finish(cut, KAFKA_NONE);
        return;
    case CUT_SNAPSHOT:
    case CUT_FLUSH:
    case CUT_JOURNAL: return;
    }
}

static void go_on(struct partition_cut *cut)
{
    if (cut->is_busy)
        return;
    if (cut->store->offline_reason != NULL || cut->store->is_deleting)
        finish(cut, KAFKA_KAFKA_STORAGE_ERROR);
    else
        take_step(cut);
}

void partition_cut_resume(struct log_directory *directory)
{
    list_each_safe (link, after, &directory->cuts)
        go_on(CONTAINER_OF(link, struct partition_cut, link));
}

void partition_store_cut(struct partition_store *store, struct partition_cut *cut)
{
    assert(store->cut == NULL);
    cut->store = store;
    cut->step = CUT_WAIT;
    cut->sync_number = 0;
    cut->set_number = 0;
    cut->is_busy = false;
    cut->has_failed = false;
    cut->buffer = NULL;
    cut->position = 0;
    cut->floor = store->durable_offset;
    cut->flush = (struct index_flush){.step = FLUSH_IDLE};
    list_init(&cut->names);
    producer_state_init(&cut->producers, &store->directory->producers);
    if (list_empty(&store->segments) ||
        cut->offset <
            CONTAINER_OF(store->segments.next, struct partition_segment, link)->index.base_offset)
        cut->begins_anew = true;
    if (cut->offset < store->high_watermark)
        diag_warn(store->directory->diag,
                  "%s: truncated to offset %lld, below the high watermark %lld", store->path,
                  (long long)cut->offset, (long long)store->high_watermark);
    store->cut = cut;
    store->busy_count++;
    list_push(&store->directory->cuts, &cut->link);
    log_directory_defer(store->directory);
}
