#include "server/broker/partition_scan.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "server/broker/log_directory.h"

static void search_offset_index(struct partition_scan *scan);
static void read_headers(struct partition_scan *scan);
static void choose_segment(struct partition_scan *scan);

static void finish(struct partition_scan *scan, enum error_code code)
{
    struct partition_read *read = scan->read;
    struct partition_lookup *lookup = scan->lookup;
    heap_give(scan->store->directory->heap, scan->batch);
    log_directory_release_scan(scan->store->directory, scan);
    if (read != NULL)
        read->done(read, code);
    else
        lookup->done(lookup, code);
}

static void finish_empty(struct partition_scan *scan)
{
    finish(scan, KAFKA_NONE);
}

/* The log cannot be read where it must be readable. */
static void finish_damaged(struct partition_scan *scan, const char *what)
{
    diag_error(scan->store->directory->diag, "%s: segment %lld at byte %llu: %s", scan->store->path,
               (long long)scan->base_offset, (unsigned long long)scan->position, what);
    finish(scan, KAFKA_KAFKA_STORAGE_ERROR);
}

/* The scan's segment; NULL: it went away, and the scan begins anew or has ended. */
static struct partition_segment *segment_again(struct partition_scan *scan)
{
    struct partition_store *store = scan->store;
    struct partition_segment *segment = partition_store_segment_at(store, scan->base_offset);
    if (store->offline_reason != NULL) {
        finish(scan, KAFKA_KAFKA_STORAGE_ERROR);
        return NULL;
    }
    if (segment != NULL && segment->index.base_offset == scan->base_offset)
        return segment;
    if (scan->read != NULL && scan->target_offset < store->log_start_offset)
        finish(scan, KAFKA_OFFSET_OUT_OF_RANGE);
    else
        choose_segment(scan);
    return NULL;
}

/* ---- The search in one index file. ---- */

static size_t entry_bytes(const struct partition_scan *scan)
{
    return scan->is_time ? time_entry_bytes : offset_entry_bytes;
}

static void on_index(struct io_op *op, int64_t result);

static void submit_index(struct partition_scan *scan, enum scan_step step, struct io_op op)
{
    scan->step = step;
    scan->op = op;
    scan->op.done = on_index;
    io_submit(scan->store->directory->io, &scan->op);
}

static void read_entries(struct partition_scan *scan)
{
    const uint32_t block_count = (uint32_t)(scan_buffer_bytes / entry_bytes(scan));
    const bool is_block = scan->high - scan->low <= block_count;
    /* As much as fits, for the reads that follow. */
    const uint32_t count = is_block ? (uint32_t)min_u64(scan->file_count - scan->low, block_count)
                                    : scan->high - scan->low;
    const uint32_t first = is_block ? scan->low : scan->low + count / 2;
    submit_index(
        scan, is_block ? SCAN_READ_ENTRIES : SCAN_READ_ENTRY,
        (struct io_op){.kind = IO_READ,
                       .handle = scan->handle,
                       .read = {.data = scan->buffer,
                                .size = is_block ? count * entry_bytes(scan) : entry_bytes(scan),
                                .offset = first * entry_bytes(scan)}});
}

static bool is_entry_below(const struct partition_scan *scan, const uint8_t *entry)
{
    if (scan->is_time)
        return load_i64(entry) <= scan->target_timestamp_ms;
    return load_u32(entry) <= (uint64_t)(scan->target_offset - scan->base_offset);
}

/* The last entry of the bytes at or below the target; keeps an earlier one if there is none. */
static void find_entry(struct partition_scan *scan, struct slice bytes)
{
    const size_t size = entry_bytes(scan);
    size_t low = 0;
    size_t high = bytes.size / size;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (is_entry_below(scan, bytes.data + middle * size))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return;
    scan->is_found = true;
    memcpy(scan->entry, bytes.data + (low - 1) * size, size);
}

static void close_index(struct partition_scan *scan)
{
    submit_index(scan, SCAN_CLOSE_INDEX, (struct io_op){.kind = IO_CLOSE, .handle = scan->handle});
}

static void use_time_entry(struct partition_scan *scan)
{
    scan->target_offset = scan->base_offset;
    if (scan->is_found)
        scan->target_offset += time_entry_decode(scan->entry).relative_offset;
    search_offset_index(scan);
}

static void use_offset_entry(struct partition_scan *scan)
{
    scan->position = 0;
    if (scan->is_found)
        scan->position = offset_entry_decode(scan->entry).position;
    scan->is_from_start = scan->position == 0;
    read_headers(scan);
}

static void use_entry(struct partition_scan *scan)
{
    if (scan->is_time)
        use_time_entry(scan);
    else
        use_offset_entry(scan);
}

static void on_entry(struct partition_scan *scan, int64_t result)
{
    const uint32_t middle = scan->low + (scan->high - scan->low) / 2;
    if (result < (int64_t)entry_bytes(scan)) { /* A file shorter than it was: do without it. */
        close_index(scan);
        return;
    }
    if (is_entry_below(scan, scan->buffer)) {
        find_entry(scan, slice_of(scan->buffer, entry_bytes(scan)));
        scan->low = middle + 1;
    } else {
        scan->high = middle;
    }
    if (scan->low == scan->high)
        close_index(scan);
    else
        read_entries(scan);
}

/* Keeps the block for the next read; without memory it does without. */
static void keep_block(struct partition_scan *scan, struct slice bytes)
{
    struct partition_store *store = scan->store;
    if (scan->is_time)
        return;
    if (store->index_block == NULL)
        store->index_block = heap_take(store->directory->heap, sizeof *store->index_block);
    struct partition_index_block *block = store->index_block;
    if (block == NULL)
        return;
    log_directory_note_busy(store->directory, store);
    block->base_offset = scan->base_offset;
    block->count = (uint32_t)(bytes.size / offset_entry_bytes);
    block->is_file_end = scan->low + block->count == scan->file_count;
    block->file_count = scan->file_count;
    block->is_used = true;
    memcpy(block->entries, bytes.data, block->count * offset_entry_bytes);
}

static void on_index(struct io_op *op, int64_t result)
{
    struct partition_scan *scan = CONTAINER_OF(op, struct partition_scan, op);
    switch (scan->step) {
    case SCAN_OPEN_INDEX:
        if (result < 0) {
            use_entry(scan); /* No file: what memory knows must do. */
            return;
        }
        scan->handle = (int32_t)result;
        read_entries(scan);
        return;
    case SCAN_READ_ENTRY: on_entry(scan, result); return;
    case SCAN_READ_ENTRIES:
        if (result > 0) {
            find_entry(scan, slice_of(scan->buffer, (size_t)result));
            keep_block(scan, slice_of(scan->buffer, (size_t)result));
        }
        close_index(scan);
        return;
    case SCAN_CLOSE_INDEX: use_entry(scan); return;
    }
}

/* Whether the block that was kept says where to go. file_count: entries in the file by now. */
static bool find_in_block(struct partition_scan *scan, uint32_t file_count)
{
    struct partition_index_block *block = scan->store->index_block;
    if (scan->is_time || block == NULL || block->base_offset != scan->base_offset ||
        block->count == 0)
        return false;
    const uint8_t *last = block->entries + (block->count - 1) * offset_entry_bytes;
    const bool is_behind = is_entry_below(scan, last);
    if (is_behind && (!block->is_file_end || file_count != block->file_count))
        return false;
    find_entry(scan, slice_of(block->entries, block->count * offset_entry_bytes));
    block->is_used = true;
    return scan->is_found;
}

/* What waits in memory is behind what is in the file. */
static void search_index(struct partition_scan *scan, bool is_time)
{
    struct partition_segment *segment = segment_again(scan);
    if (segment == NULL)
        return;
    const struct segment_index *index = &segment->index;
    scan->is_time = is_time;
    scan->is_found = false;
    scan->low = 0;
    scan->high = is_time ? index->time_count : index->offset_count;
    find_entry(scan,
               is_time ? segment_index_pending_times(index) : segment_index_pending_offsets(index));
    scan->file_count = scan->high;
    if (scan->is_found || scan->high == 0 || find_in_block(scan, scan->file_count)) {
        use_entry(scan);
        return;
    }
    if (!index_flush_print_path(scan->path, sizeof scan->path, scan->store->path, scan->base_offset,
                                is_time ? ".timeindex" : ".index")) {
        use_entry(scan);
        return;
    }
    submit_index(scan, SCAN_OPEN_INDEX,
                 (struct io_op){.kind = IO_OPEN,
                                .handle = io_handle_none,
                                .path = {.path = scan->path, .flags = IO_OPEN_READ}});
}

static void search_offset_index(struct partition_scan *scan)
{
    search_index(scan, false);
}

/* ---- A read: the batch is found, its file must be open. ---- */

static void answer_read(struct partition_scan *scan, struct partition_segment *segment)
{
    struct partition_read *read = scan->read;
    const uint64_t limit = partition_store_read_limit(scan->store, segment, read->to_log_end);
    struct journal_segment *file = segment->file;
    const uint64_t room = limit > scan->position ? limit - scan->position : 0;
    uint64_t size = min_u64(room, read->bytes_max);
    if (size < scan->batch_size)
        size = read->at_least_one ? min_u64(room, scan->batch_size) : 0;
    if (size == 0) {
        file->users--;
        finish_empty(scan);
        return;
    }
    read->file = file->handle;
    read->position = scan->position;
    read->size = (uint32_t)size;
    read->users = &file->users;
    finish(scan, KAFKA_NONE);
}

static void on_open(struct journal_open *open, int64_t result)
{
    struct partition_scan *scan = CONTAINER_OF(open, struct partition_scan, open);
    /* users was counted up, so the file stays, but the segment may have left the store. */
    struct partition_segment *segment = partition_store_segment_at(scan->store, scan->base_offset);
    const bool is_there = segment != NULL && segment->file == scan->file;
    if (result < 0) {
        if (is_there)
            log_directory_check_read(scan->store->directory, scan->store->path, result);
        finish_damaged(scan, "the file cannot be opened");
        return;
    }
    if (!is_there) {
        scan->file->users--;
        finish(scan, KAFKA_OFFSET_OUT_OF_RANGE);
        return;
    }
    answer_read(scan, segment);
}

static void open_for_read(struct partition_scan *scan)
{
    struct partition_segment *segment = segment_again(scan);
    if (segment == NULL)
        return;
    scan->file = segment->file;
    scan->open.done = on_open;
    if (journal_segment_open(segment->file, &scan->open))
        answer_read(scan, segment);
}

/* ---- A lookup: the batch is found, the record is looked for. ---- */

static void answer_lookup(struct partition_scan *scan, int64_t offset, int64_t timestamp_ms,
                          int32_t leader_epoch)
{
    struct partition_lookup *lookup = scan->lookup;
    if (lookup->to_log_end || offset < scan->store->high_watermark) {
        lookup->offset = offset;
        lookup->timestamp_found_ms = timestamp_ms;
        lookup->leader_epoch = leader_epoch;
    }
    finish(scan, KAFKA_NONE);
}

static void on_batch(struct journal_read *segment_read, int64_t result);

/* What is missing of the batch. */
static void read_batch(struct partition_scan *scan, struct partition_segment *segment)
{
    scan->segment_read.done = on_batch;
    journal_segment_read(segment->file, &scan->segment_read, scan->batch + scan->got,
                         scan->batch_size - scan->got, scan->position + scan->got);
}

static bool is_late_enough(const struct partition_scan *scan, int64_t offset, int64_t timestamp_ms)
{
    return timestamp_ms >= scan->target_timestamp_ms && offset >= scan->store->log_start_offset;
}

/* A batch that cannot be opened: its first record stands for all. */
static void answer_first(struct partition_scan *scan, const struct record_batch *batch)
{
    answer_lookup(scan, max_i64(batch->base_offset, scan->store->log_start_offset),
                  batch->base_timestamp_ms, batch->leader_epoch);
}

static void answer_last(struct partition_scan *scan, const struct record_batch *batch)
{
    answer_lookup(scan, record_batch_last_offset(batch), batch->max_timestamp_ms,
                  batch->leader_epoch);
}

/* The first record of the batch that is late enough. */
static void look_at_records(struct partition_scan *scan, const struct record_batch *batch)
{
    struct record_walk walk;
    struct record record;
    enum err err;
    record_walk_init(&walk, batch, slice_of(scan->batch, scan->batch_size));
    while (record_walk_next(&walk, &record, &err))
        if (is_late_enough(scan, record.offset, record.timestamp_ms)) {
            answer_lookup(scan, record.offset, record.timestamp_ms, batch->leader_epoch);
            return;
        }
    answer_last(scan, batch);
}

static void look_at_packed(struct partition_scan *scan);

static void on_turn(struct io_op *op, int64_t result)
{
    (void)result;
    look_at_packed(CONTAINER_OF(op, struct partition_scan, op));
}

/* Others have their turn in between, however much comes out of the batch: a timer that is not due
 * in this round of the loop. */
static void look_at_packed(struct partition_scan *scan)
{
    struct packed_records *packed = &scan->packed;
    const struct record_batch batch = packed->batch;
    struct record_outline record;
    enum err err;
    while (packed_records_next(packed, &record, &err))
        if (is_late_enough(scan, record.offset, record.timestamp_ms)) {
            packed_records_close(packed);
            answer_lookup(scan, record.offset, record.timestamp_ms, batch.leader_epoch);
            return;
        }
    if (err == ERR_BUSY) {
        struct io *io = scan->store->directory->io;
        scan->op = (struct io_op){.kind = IO_TIMER,
                                  .handle = io_handle_none,
                                  .done = on_turn,
                                  .timer.deadline_ns = io_now_ns(io) + 1};
        io_submit(io, &scan->op);
        return;
    }
    packed_records_close(packed);
    if (err == ERR_OK)
        answer_last(scan, &batch);
    else
        answer_first(scan, &batch);
}

static void open_packed(struct partition_scan *scan, const struct record_batch *batch)
{
    const struct log_directory *directory = scan->store->directory;
    const struct packed_records_options options = {
        .heap = directory->heap, .bytes_max = directory->options.unpacked_batch_bytes_max};
    const enum err err =
        packed_records_open(&scan->packed, batch, slice_of(scan->batch, scan->batch_size), options);
    if (err == ERR_OK) {
        look_at_packed(scan);
        return;
    }
    packed_records_close(&scan->packed);
    answer_first(scan, batch);
}

static void on_batch(struct journal_read *segment_read, int64_t result)
{
    struct partition_scan *scan = CONTAINER_OF(segment_read, struct partition_scan, segment_read);
    struct partition_segment *segment = segment_again(scan);
    if (segment == NULL)
        return;
    scan->got += result > 0 ? (uint64_t)result : 0;
    if (result > 0 && scan->got < scan->batch_size) {
        read_batch(scan, segment);
        return;
    }
    struct record_batch batch;
    const struct slice bytes = slice_of(scan->batch, scan->batch_size);
    if (scan->got != scan->batch_size || record_batch_decode(&batch, bytes) != ERR_OK ||
        batch.size != scan->batch_size)
        finish_damaged(scan, "a batch cannot be read");
    else if (record_batch_codec(&batch) == CODEC_NONE)
        look_at_records(scan, &batch);
    else
        open_packed(scan, &batch);
}

static void look_into_batch(struct partition_scan *scan, struct partition_segment *segment,
                            const struct record_batch *batch)
{
    struct heap *heap = scan->store->directory->heap;
    heap_give(heap, scan->batch); /* Of a segment that went away meanwhile. */
    scan->batch = batch->magic == record_batch_magic ? heap_take(heap, batch->size) : NULL;
    scan->batch_size = batch->size;
    if (scan->batch == NULL) {
        answer_first(scan, batch);
        return;
    }
    scan->got = 0;
    read_batch(scan, segment);
}

/* ---- Along the headers. ---- */

/* The file ends before the target: compaction left a gap, or nothing is there. */
static void next_segment(struct partition_scan *scan, struct partition_segment *segment)
{
    struct partition_segment *next = partition_store_segment_after(scan->store, segment);
    if (next == NULL) {
        finish_empty(scan);
        return;
    }
    scan->base_offset = next->index.base_offset;
    scan->position = 0;
    scan->is_from_start = true;
    read_headers(scan);
}

static bool is_target(const struct partition_scan *scan, const struct record_batch *batch)
{
    if (scan->read != NULL)
        return record_batch_last_offset(batch) >= scan->target_offset;
    return batch->max_timestamp_ms >= scan->target_timestamp_ms &&
           record_batch_last_offset(batch) >= scan->store->log_start_offset;
}

static void use_batch(struct partition_scan *scan, struct partition_segment *segment,
                      const struct record_batch *batch)
{
    scan->batch_size = batch->size;
    if (scan->read != NULL)
        open_for_read(scan);
    else
        look_into_batch(scan, segment, batch);
}

/* An index that points between batches is no reason to give up: once more from the start. */
static void retry_from_start(struct partition_scan *scan)
{
    if (scan->is_from_start) {
        finish_damaged(scan, "no batch header is there");
        return;
    }
    scan->position = 0;
    scan->is_from_start = true;
    read_headers(scan);
}

static void on_headers(struct journal_read *segment_read, int64_t result);

/* More bytes behind those that buffer holds. limit is above position + got. */
static void read_more(struct partition_scan *scan, struct partition_segment *segment,
                      uint64_t limit)
{
    scan->segment_read.done = on_headers;
    journal_segment_read(segment->file, &scan->segment_read, scan->buffer + scan->got,
                         min_u64(scan_buffer_bytes, limit - scan->position) - scan->got,
                         scan->position + scan->got);
}

/* Walks the headers in buffer, which begins at position. */
static void walk_headers(struct partition_scan *scan, struct partition_segment *segment,
                         uint64_t limit)
{
    const uint64_t read_from = scan->position;
    struct record_batch batch;
    for (;;) {
        const uint64_t done = scan->position - read_from;
        if (scan->position >= limit) {
            next_segment(scan, segment);
            return;
        }
        if (done > 0 && done + record_batch_header_bytes > scan->got) {
            read_headers(scan);
            return;
        }
        const struct slice bytes = slice_of(scan->buffer + done, (size_t)(scan->got - done));
        if (record_batch_decode(&batch, bytes) != ERR_OK || batch.base_offset < scan->base_offset ||
            batch.size > limit - scan->position) {
            retry_from_start(scan);
            return;
        }
        if (is_target(scan, &batch)) {
            use_batch(scan, segment, &batch);
            return;
        }
        scan->position += batch.size;
    }
}

static void on_headers(struct journal_read *segment_read, int64_t result)
{
    struct partition_scan *scan = CONTAINER_OF(segment_read, struct partition_scan, segment_read);
    struct partition_segment *segment = segment_again(scan);
    if (segment == NULL)
        return;
    if (result < 0) {
        log_directory_check_read(scan->store->directory, scan->store->path, result);
        finish_damaged(scan, "the file cannot be read");
        return;
    }
    const uint64_t limit = segment->file->written_bytes;
    scan->got += (uint64_t)result;
    if (result > 0 && scan->got < record_batch_header_bytes && scan->position + scan->got < limit)
        read_more(scan, segment, limit);
    else
        walk_headers(scan, segment, limit);
}

static void read_headers(struct partition_scan *scan)
{
    struct partition_segment *segment = segment_again(scan);
    if (segment == NULL)
        return;
    const uint64_t limit = segment->file->written_bytes;
    if (scan->position >= limit) {
        if (scan->is_from_start || limit > 0)
            next_segment(scan, segment);
        else
            retry_from_start(scan);
        return;
    }
    scan->got = 0;
    read_more(scan, segment, limit);
}

/* ---- The start. ---- */

static struct partition_segment *segment_for_timestamp(struct partition_scan *scan)
{
    list_each (link, &scan->store->segments) {
        struct partition_segment *segment = CONTAINER_OF(link, struct partition_segment, link);
        if (segment->index.max_timestamp_ms >= scan->target_timestamp_ms &&
            partition_store_segment_end(scan->store, segment) > scan->store->log_start_offset)
            return segment;
    }
    return NULL;
}

static void choose_segment(struct partition_scan *scan)
{
    struct partition_segment *segment =
        scan->read != NULL ? partition_store_segment_at(scan->store, scan->target_offset)
                           : segment_for_timestamp(scan);
    if (segment == NULL) {
        finish_empty(scan);
        return;
    }
    scan->base_offset = segment->index.base_offset;
    search_index(scan, scan->read == NULL);
}

void partition_scan_start_read(struct partition_scan *scan, struct partition_read *read)
{
    scan->store = read->wait.store;
    scan->read = read;
    scan->target_offset = read->offset;
    choose_segment(scan);
}

void partition_scan_start_lookup(struct partition_scan *scan, struct partition_lookup *lookup)
{
    scan->store = lookup->wait.store;
    scan->lookup = lookup;
    scan->target_timestamp_ms = lookup->timestamp_ms;
    choose_segment(scan);
}
