#include "server/broker/partition_loader.h"

#include "base/assert.h"
#include "base/checksum.h"
#include "journal/journal_reader.h"
#include "journal/journal_rewrite.h"
#include "journal/small_file.h"
#include "server/broker/index_flush.h"
#include "server/broker/log_directory.h"
#include "server/broker/partition_future.h"

#include <errno.h>
#include <stdio.h>

enum { loader_path_bytes = 768, name_bytes_max = 256 };

struct loader_name {
    struct list link;
    char text[];
};

/* ---- Names in the directory. ---- */

static void on_name(void *context, const char *name)
{
    struct partition_loader *loader = context;
    const size_t size = strlen(name) + 1;
    if (size > name_bytes_max)
        return;
    loader->store->is_contested |= strcmp(name, partition_takeover_name) == 0;
    loader->store->is_left |= strcmp(name, partition_left_name) == 0;
    const enum err err = journal_load_name(&loader->store->journal, name);
    if (err != ERR_OK)
        loader->listing_err = err;
    struct loader_name *entry = heap_take(loader->heap, sizeof *entry + size);
    if (entry == NULL)
        return; /* Then it is neither used nor removed. */
    memcpy(entry->text, name, size);
    list_push(&loader->names, &entry->link);
}

static void forget_names(struct partition_loader *loader)
{
    for (struct list *link = list_pop(&loader->names); link != NULL;
         link = list_pop(&loader->names))
        heap_give(loader->heap, CONTAINER_OF(link, struct loader_name, link));
}

static bool ends_with(const char *text, const char *suffix)
{
    const size_t size = strlen(text);
    const size_t suffix_size = strlen(suffix);
    return size >= suffix_size && memcmp(text + size - suffix_size, suffix, suffix_size) == 0;
}

bool partition_loader_parse_offset(const char *name, const char *suffix, int64_t *offset)
{
    enum { digits = 20 };
    uint64_t value = 0;
    if (strlen(name) != digits + strlen(suffix) || !ends_with(name, suffix))
        return false;
    for (int i = 0; i < digits; i++) {
        if (name[i] < '0' || name[i] > '9' || value > (INT64_MAX - 9) / 10)
            return false;
        value = value * 10 + (uint64_t)(name[i] - '0');
    }
    *offset = (int64_t)value;
    return true;
}

static void remove_file(struct partition_loader *loader, const char *name)
{
    char path[loader_path_bytes];
    const int size = snprintf(path, sizeof path, "%s/%s", loader->store->path, name);
    if (size < 0 || (size_t)size >= sizeof path)
        return;
    struct io_op op = {.kind = IO_UNLINK, .handle = io_handle_none, .path = {.path = path}};
    const int64_t result = io_wait(loader->io, &op);
    if (result < 0)
        diag_warn(loader->diag, "%s: cannot be removed: %s", path,
                  err_text(err_from_errno((int)result)));
}

/* What an interrupted deletion or compaction left, and indexes of no segment. False: something only
 * Apache's broker can finish. */
static bool remove_leftovers(struct partition_loader *loader)
{
    static const char *const index_suffixes[] = {".index", ".timeindex", ".txnindex"};
    list_each (link, &loader->names) {
        const char *name = CONTAINER_OF(link, struct loader_name, link)->text;
        int64_t offset;
        if (ends_with(name, ".swap"))
            return false;
        if (ends_with(name, ".deleted") || ends_with(name, ".cleaned") || ends_with(name, ".tmp"))
            remove_file(loader, name);
        for (size_t i = 0; i < ARRAY_COUNT(index_suffixes); i++)
            if (partition_loader_parse_offset(name, index_suffixes[i], &offset) &&
                journal_segment_find(&loader->store->journal, (uint64_t)offset) == NULL)
                remove_file(loader, name);
    }
    return true;
}

/* The partition is refused. reason is constant; the line says where. */
static void refuse(struct partition_loader *loader, int64_t base_offset, uint64_t position,
                   const char *reason)
{
    struct partition_store *store = loader->store;
    store->offline_reason = reason;
    diag_error(loader->diag,
               "%s/%020lld.log at byte %llu: %s; the partition is offline. Restore the file, or "
               "remove the partition's directory and %s/rookery-synced to accept the loss.",
               store->path, (long long)base_offset, (unsigned long long)position, reason,
               store->directory->options.path);
}

/* ---- Small files. ---- */

size_t partition_loader_print_metadata(const struct topic_id *id, char *text)
{
    char id_text[topic_id_text_bytes];
    topic_id_print(id, id_text);
    const int size =
        snprintf(text, partition_metadata_text_bytes, "version: 0\ntopic_id: %s", id_text);
    assert(size > 0 && size < partition_metadata_text_bytes);
    return (size_t)size;
}

bool partition_loader_parse_metadata(struct topic_id *id, struct slice text)
{
    static const char front[] = "version: 0\ntopic_id: ";
    size_t size = text.size;
    while (size > 0 && (text.data[size - 1] == '\n' || text.data[size - 1] == '\r'))
        size--;
    return size > sizeof front - 1 && memcmp(text.data, front, sizeof front - 1) == 0 &&
           topic_id_parse(id, (const char *)text.data + sizeof front - 1, size - sizeof front + 1);
}

/* The bytes of a small file of the partition in loader->buffer, or a negative errno. */
static int64_t read_small(struct partition_loader *loader, const char *name, struct slice *bytes)
{
    char path[loader_path_bytes];
    const int path_size = snprintf(path, sizeof path, "%s/%s", loader->store->path, name);
    if (path_size < 0 || (size_t)path_size >= sizeof path)
        return -ENAMETOOLONG;
    const int64_t size =
        small_file_read_wait(loader->io, path, loader->buffer, partition_loader_buffer_bytes);
    *bytes = slice_of(loader->buffer, size < 0 ? 0 : (size_t)size);
    return size;
}

void partition_loader_load_metadata(struct partition_loader *loader)
{
    struct slice text;
    if (read_small(loader, "partition.metadata", &text) < 0)
        return;
    if (!partition_loader_parse_metadata(&loader->store->id, text))
        diag_warn(loader->diag, "%s/partition.metadata is not as it should be; ignored",
                  loader->store->path);
}

static void load_epochs(struct partition_loader *loader)
{
    struct slice text;
    struct partition_store *store = loader->store;
    const int64_t size = read_small(loader, "leader-epoch-checkpoint", &text);
    if (size <= 0) /* Apache's brokers begin with an empty file. */
        return;
    const enum err err = leader_epochs_decode(&store->epochs, text);
    if (err == ERR_OK)
        return;
    /* It says what the batches say too: read them all. */
    diag_warn(loader->diag, "%s/leader-epoch-checkpoint: %s; made anew", store->path,
              err_text(err));
    store->is_epochs_dirty = true;
    loader->recover_base = 0;
}

/* Of the log as it lies there: one without segments begins where a checkpoint says. */
static int64_t first_offset(const struct partition_store *store)
{
    return list_empty(&store->segments)
               ? store->log_start_offset
               : CONTAINER_OF(store->segments.next, struct partition_segment, link)
                     ->index.base_offset;
}

static void load_snapshot(struct partition_loader *loader, int64_t offset_max)
{
    struct partition_store *store = loader->store;
    for (;;) {
        struct loader_name *newest = NULL;
        int64_t newest_offset = -1;
        int64_t offset;
        list_each (link, &loader->names) {
            struct loader_name *entry = CONTAINER_OF(link, struct loader_name, link);
            if (partition_loader_parse_offset(entry->text, ".snapshot", &offset) &&
                offset > newest_offset) {
                newest = entry;
                newest_offset = offset;
            }
        }
        if (newest == NULL)
            return;
        struct slice bytes;
        if (newest_offset < first_offset(store))
            return; /* What came between it and the log is gone. */
        const bool is_readable =
            newest_offset <= offset_max && read_small(loader, newest->text, &bytes) >= 0;
        const enum err err =
            is_readable ? producer_state_decode(&store->producers, bytes) : ERR_NOT_FOUND;
        if (err == ERR_OK) {
            loader->replay_from = newest_offset;
            return;
        }
        if (newest_offset <= offset_max)
            diag_warn(loader->diag, "%s/%s: %s; removed", store->path, newest->text, err_text(err));
        remove_file(loader, newest->text);
        list_remove(&newest->link);
        heap_give(loader->heap, newest);
    }
}

/* ---- Index files, waiting. ---- */

static int64_t open_index(struct partition_loader *loader, int64_t base_offset, const char *suffix,
                          uint32_t flags)
{
    char path[loader_path_bytes];
    if (!index_flush_print_path(path, sizeof path, loader->store->path, base_offset, suffix))
        return -ENAMETOOLONG;
    struct io_op op = {.kind = IO_OPEN,
                       .handle = io_handle_none,
                       .path = {.path = path, .flags = IO_OPEN_READ | IO_OPEN_WRITE | flags}};
    return io_wait(loader->io, &op);
}

static void close_index(struct partition_loader *loader, int64_t handle)
{
    struct io_op op = {.kind = IO_CLOSE, .handle = (int32_t)handle};
    (void)io_wait(loader->io, &op);
}

static int64_t write_pending(struct partition_loader *loader, struct partition_segment *segment,
                             bool is_time)
{
    const struct segment_index *index = &segment->index;
    const struct slice bytes =
        is_time ? segment_index_pending_times(index) : segment_index_pending_offsets(index);
    const uint64_t offset = is_time ? (uint64_t)index->time_count * time_entry_bytes
                                    : (uint64_t)index->offset_count * offset_entry_bytes;
    const int64_t handle = open_index(loader, index->base_offset, is_time ? ".timeindex" : ".index",
                                      IO_OPEN_CREATE | (offset == 0 ? IO_OPEN_TRUNCATE : 0));
    if (handle < 0)
        return handle;
    struct iovec vector = {.iov_base = (void *)(uintptr_t)bytes.data, .iov_len = bytes.size};
    struct io_op op = {.kind = IO_WRITE,
                       .handle = (int32_t)handle,
                       .write = {.vectors = &vector, .vector_count = 1, .offset = offset}};
    int64_t result = bytes.size == 0 ? 0 : io_wait(loader->io, &op);
    if (result >= 0 && segment->is_sealed) {
        op = (struct io_op){.kind = IO_SYNC, .handle = (int32_t)handle};
        result = io_wait(loader->io, &op);
    }
    close_index(loader, handle);
    return result;
}

static enum err flush_index(struct partition_loader *loader, struct partition_segment *segment)
{
    for (int is_time = 0; is_time < 2; is_time++) {
        const int64_t result = write_pending(loader, segment, is_time == 1);
        if (result < 0)
            return err_from_errno((int)result);
    }
    segment_index_flushed(&segment->index, segment->index.offset_pending_count,
                          segment->index.time_pending_count);
    segment_index_rest(&segment->index);
    return ERR_OK;
}

/* One kind of index of a segment that is trusted: how many entries, and the last one. False: it is
 * missing, or its end makes no sense. */
static bool load_index_end(struct partition_loader *loader, struct partition_segment *segment,
                           bool is_time, uint8_t *last, uint32_t *count)
{
    const size_t entry_bytes = is_time ? time_entry_bytes : offset_entry_bytes;
    char path[loader_path_bytes];
    struct io_file_info info;
    *count = 0;
    if (!index_flush_print_path(path, sizeof path, loader->store->path, segment->index.base_offset,
                                is_time ? ".timeindex" : ".index") ||
        io_file_info(loader->io, path, &info) < 0 || info.size_bytes % entry_bytes != 0)
        return false;
    *count = (uint32_t)(info.size_bytes / entry_bytes);
    if (*count == 0)
        return true;
    const int64_t handle =
        open_index(loader, segment->index.base_offset, is_time ? ".timeindex" : ".index", 0);
    if (handle < 0)
        return false;
    struct io_op op = {
        .kind = IO_READ,
        .handle = (int32_t)handle,
        .read = {.data = last, .size = entry_bytes, .offset = info.size_bytes - entry_bytes}};
    const int64_t result = io_wait(loader->io, &op);
    close_index(loader, handle);
    return result == (int64_t)entry_bytes;
}

/* The indexes of a segment that needs no recovery. False: they must be made anew. position: of the
 * last batch that has an entry. */
static bool load_index(struct partition_loader *loader, struct partition_segment *segment,
                       uint64_t *position)
{
    struct segment_index *index = &segment->index;
    uint8_t last[time_entry_bytes];
    *position = 0;
    if (!load_index_end(loader, segment, false, last, &index->offset_count))
        return false;
    if (index->offset_count > 0) {
        const struct offset_entry entry = offset_entry_decode(last);
        *position = entry.position;
        if (entry.relative_offset == 0 || entry.position >= segment->file->size_bytes)
            return false;
    }
    if (!load_index_end(loader, segment, true, last, &index->time_count))
        return false;
    if (index->time_count > 0) {
        const struct time_entry entry = time_entry_decode(last);
        if (entry.timestamp_ms <= 0 || entry.relative_offset > INT32_MAX)
            return false;
        index->time_entry_last_ms = entry.timestamp_ms;
        index->max_timestamp_ms = entry.timestamp_ms;
        index->max_timestamp_offset = index->base_offset + entry.relative_offset;
    }
    return true;
}

static void reset_index(struct partition_loader *loader, struct partition_segment *segment)
{
    const int64_t base_offset = segment->index.base_offset;
    static const char *const suffixes[] = {".index", ".timeindex"};
    segment_index_deinit(&segment->index);
    segment_index_init(&segment->index, loader->heap, base_offset);
    for (size_t i = 0; i < ARRAY_COUNT(suffixes); i++) {
        const int64_t handle = open_index(loader, base_offset, suffixes[i], IO_OPEN_TRUNCATE);
        if (handle >= 0)
            close_index(loader, handle);
    }
}

/* ---- Batches. ---- */

struct scan_place {
    struct partition_segment *segment;
    struct journal_reader reader;
    uint64_t position;
    int64_t next_offset; /* At least this one must come next. */
    int64_t end_offset;  /* And all are below this one. */
    bool is_indexed;     /* New entries are made. */
    bool is_rewritten;   /* From here to the end of the file all is durable. */
};

/* What was promised to be on the disk: everything below. */
static int64_t promised_offset(const struct partition_store *store)
{
    return store->synced_mark >= 0 ? store->synced_mark : store->recovery_point;
}

/* Whether the whole batch lies there with the right CRC; the reader moves behind it. ERR_CORRUPT:
 * no. ERR_IO. */
static enum err check_crc(struct scan_place *place, const struct record_batch *batch)
{
    struct slice bytes;
    enum err err;
    if (batch->size <= partition_loader_buffer_bytes) {
        err = journal_reader_peek(&place->reader, batch->size, &bytes);
        if (err != ERR_OK)
            return err;
        journal_reader_skip(&place->reader, bytes.size);
        return bytes.size == batch->size && record_batch_crc_matches(batch, bytes) ? ERR_OK
                                                                                   : ERR_CORRUPT;
    }
    if (batch->magic != record_batch_magic)
        return ERR_CORRUPT;
    uint32_t crc = 0;
    uint64_t rest = batch->size - record_batch_crc_from;
    journal_reader_skip(&place->reader, record_batch_crc_from);
    while (rest > 0) {
        const size_t size = (size_t)min_u64(rest, partition_loader_buffer_bytes);
        err = journal_reader_peek(&place->reader, size, &bytes);
        if (err != ERR_OK)
            return err;
        if (bytes.size < size)
            return ERR_CORRUPT;
        crc = checksum_crc32c(crc, bytes);
        journal_reader_skip(&place->reader, size);
        rest -= size;
    }
    return crc == batch->crc ? ERR_OK : ERR_CORRUPT;
}

static const char *check_batch(struct scan_place *place, const struct record_batch *batch,
                               enum err *err)
{
    *err = ERR_OK;
    if (batch->size > place->segment->file->size_bytes - place->position)
        return "a batch ends behind the end of the file";
    if (batch->magic == record_batch_magic && batch->last_offset_delta < 0)
        return "a batch has a negative number of offsets";
    if (batch->base_offset < place->next_offset ||
        record_batch_last_offset(batch) < batch->base_offset ||
        record_batch_last_offset(batch) >= place->end_offset ||
        record_batch_last_offset(batch) - place->segment->index.base_offset > INT32_MAX)
        return "a batch has offsets that do not belong here";
    *err = check_crc(place, batch);
    if (*err == ERR_CORRUPT) {
        *err = ERR_OK;
        return "the checksum of a batch does not match";
    }
    return NULL;
}

static enum err use_batch(struct partition_loader *loader, struct scan_place *place,
                          const struct record_batch *batch)
{
    struct partition_store *store = loader->store;
    struct partition_segment *segment = place->segment;
    bool changed = false;
    if (place->position == 0)
        segment->first_timestamp_ms = batch->max_timestamp_ms;
    if (place->is_indexed)
        segment_index_add(&segment->index, store->config.index_interval_bytes,
                          (struct segment_index_batch){
                              .last_offset = record_batch_last_offset(batch),
                              .max_timestamp_ms = batch->max_timestamp_ms,
                              .position = (uint32_t)place->position,
                              .size = batch->size,
                          });
    const struct leader_epoch epoch = {.epoch = batch->leader_epoch,
                                       .start_offset = batch->base_offset};
    enum err err = leader_epochs_assign(&store->epochs, epoch, &changed);
    store->is_epochs_dirty |= changed;
    if (err == ERR_OK && batch->base_offset >= loader->replay_from &&
        batch->magic == record_batch_magic)
        err = producer_state_append(&store->producers, batch);
    if (err == ERR_LIMIT)
        err = ERR_OK; /* That producer counts as unknown from now on. */
    if (err == ERR_OK && segment_index_is_pending_full(&segment->index))
        err = flush_index(loader, segment);
    place->position += batch->size;
    place->next_offset = record_batch_last_offset(batch) + 1;
    return err;
}

/* Behind what was promised, what a failed sync has left may be in the page cache only. A clean end
 * has synced everything. */
static bool must_rewrite(const struct partition_loader *loader, const struct scan_place *place,
                         const struct record_batch *batch)
{
    return !loader->was_clean && !place->is_rewritten &&
           record_batch_last_offset(batch) >= promised_offset(loader->store);
}

/* Reads on from the same place, in bytes that the journal's start syncs. */
static enum err rewrite_under(struct partition_loader *loader, struct scan_place *place)
{
    const char *path = place->segment->file->path;
    journal_reader_close(&place->reader);
    const enum err err = journal_rewrite_unsynced_wait(
        loader->io, path, place->position, loader->buffer, partition_loader_buffer_bytes);
    if (err != ERR_OK) {
        diag_error(loader->diag, "%s cannot be written again: %s", path, err_text(err));
        return err;
    }
    loader->sync_base = min_u64(loader->sync_base, place->segment->file->base);
    place->is_rewritten = true;
    return journal_reader_open_path(&place->reader, loader->io, path, place->position,
                                    loader->buffer, partition_loader_buffer_bytes);
}

/* Reads batches up to the end of the file, or to damage: loader->damage. */
static enum err scan_batches(struct partition_loader *loader, struct scan_place *place)
{
    for (;;) {
        struct record_batch batch;
        struct slice bytes;
        if (place->position == place->segment->file->size_bytes)
            return ERR_OK;
        enum err err = journal_reader_peek(&place->reader, record_batch_header_bytes, &bytes);
        if (err != ERR_OK)
            return err;
        if (record_batch_decode(&batch, bytes) != ERR_OK) {
            loader->damage = "no batch header is there";
            return ERR_OK;
        }
        if (must_rewrite(loader, place, &batch)) {
            err = rewrite_under(loader, place);
            if (err != ERR_OK)
                return err;
            continue;
        }
        loader->damage = check_batch(place, &batch, &err);
        if (err != ERR_OK || loader->damage != NULL)
            return err;
        err = use_batch(loader, place, &batch);
        if (err != ERR_OK)
            return err;
    }
}

static enum err scan_segment(struct partition_loader *loader, struct scan_place *place)
{
    enum err err =
        journal_reader_open_path(&place->reader, loader->io, place->segment->file->path,
                                 place->position, loader->buffer, partition_loader_buffer_bytes);
    if (err != ERR_OK)
        return err;
    err = scan_batches(loader, place);
    journal_reader_close(&place->reader);
    return err;
}

/* ---- One segment after the other. ---- */

/* The valid bytes end here. Cut if it was never promised, else refused. */
static void on_damage(struct partition_loader *loader, const struct scan_place *place)
{
    struct partition_store *store = loader->store;
    const int64_t base_offset = place->segment->index.base_offset;
    if (place->next_offset < promised_offset(store)) {
        refuse(loader, base_offset, place->position, loader->damage);
        return;
    }
    loader->is_broken = true;
    loader->end =
        (struct journal_position){.base = (uint64_t)base_offset, .offset = place->position};
    diag_warn(loader->diag,
              "%s/%020lld.log at byte %llu: %s; cut there, at offset %lld (behind the synced mark)",
              store->path, (long long)base_offset, (unsigned long long)place->position,
              loader->damage, (long long)place->next_offset);
}

static bool is_last(const struct partition_store *store, const struct partition_segment *segment)
{
    return segment->link.next == &store->segments;
}

static enum err seal(struct partition_loader *loader, struct partition_segment *segment)
{
    segment_index_seal(&segment->index);
    segment->is_sealed = true;
    segment->is_index_complete = true;
    return flush_index(loader, segment);
}

/* Whether a batch in front of position, which is that of the last index entry, must be replayed. */
static bool must_replay_before(struct partition_loader *loader, struct partition_segment *segment,
                               uint64_t position)
{
    uint8_t last[time_entry_bytes];
    uint32_t count;
    if (position == 0 || loader->replay_from == INT64_MAX)
        return false;
    if (!load_index_end(loader, segment, false, last, &count) || count == 0)
        return true;
    return segment->index.base_offset + offset_entry_decode(last).relative_offset >=
           loader->replay_from;
}

/* The first batch's timestamp, of a segment that is not read from its beginning. */
static enum err load_first_timestamp(struct partition_loader *loader,
                                     struct partition_segment *segment)
{
    struct journal_reader reader;
    struct slice bytes;
    struct record_batch batch;
    enum err err = journal_reader_open_path(&reader, loader->io, segment->file->path, 0,
                                            loader->buffer, record_batch_header_bytes);
    if (err != ERR_OK)
        return err;
    err = journal_reader_peek(&reader, record_batch_header_bytes, &bytes);
    if (err == ERR_OK && record_batch_decode(&batch, bytes) == ERR_OK)
        segment->first_timestamp_ms = batch.max_timestamp_ms;
    journal_reader_close(&reader);
    return err;
}

static enum err load_segment(struct partition_loader *loader, struct partition_segment *segment,
                             int64_t *next_offset)
{
    struct partition_store *store = loader->store;
    const int64_t base_offset = segment->index.base_offset;
    const bool last = is_last(store, segment);
    const int64_t end_offset =
        last ? INT64_MAX
             : CONTAINER_OF(segment->link.next, struct partition_segment, link)->index.base_offset;
    struct scan_place place = {.segment = segment,
                               .next_offset = base_offset,
                               .end_offset = end_offset,
                               .is_indexed = true};
    const bool is_trusted =
        base_offset < loader->recover_base && load_index(loader, segment, &place.position);
    if (is_trusted && !last && end_offset <= loader->replay_from) {
        segment->is_sealed = true;
        segment->is_index_complete = true;
        *next_offset = end_offset;
        return ERR_OK;
    }
    if (!is_trusted)
        reset_index(loader, segment);
    if (!is_trusted || !last || must_replay_before(loader, segment, place.position))
        place.position = 0;
    place.is_indexed = !is_trusted;
    enum err err = place.position > 0 ? load_first_timestamp(loader, segment) : ERR_OK;
    if (err == ERR_OK)
        err = scan_segment(loader, &place);
    if (err != ERR_OK)
        return err;
    *next_offset = place.next_offset;
    if (loader->damage != NULL) {
        on_damage(loader, &place);
        return ERR_OK;
    }
    if (is_trusted && !last) {
        segment->is_sealed = true;
        segment->is_index_complete = true;
        return ERR_OK;
    }
    return last ? ERR_OK : seal(loader, segment);
}

/* Whether the log must end before this segment: offsets are missing in front of it, and they were
 * never promised, so the crash took the end of the segment before. Below the synced mark compaction
 * has taken them. */
static bool is_behind_hole(struct partition_loader *loader, struct partition_segment *segment,
                           int64_t next_offset)
{
    struct partition_store *store = loader->store;
    if (segment->link.prev == &store->segments || segment->index.base_offset <= next_offset ||
        loader->was_clean || next_offset < promised_offset(store))
        return false;
    struct partition_segment *last =
        CONTAINER_OF(segment->link.prev, struct partition_segment, link);
    if (last->index.base_offset < loader->recover_base)
        return false; /* It was not read: next_offset is where it should end. */
    last->is_sealed = false;
    last->is_index_complete = false;
    loader->is_broken = true;
    loader->end =
        (struct journal_position){.base = last->file->base, .offset = last->file->size_bytes};
    diag_warn(loader->diag,
              "%s: offsets %lld to %lld are missing; cut there (behind the synced mark)",
              store->path, (long long)next_offset, (long long)segment->index.base_offset - 1);
    return true;
}

static enum err load_segments(struct partition_loader *loader)
{
    struct partition_store *store = loader->store;
    int64_t next_offset = store->log_start_offset;
    list_each_safe (link, after, &store->segments) {
        struct partition_segment *segment = CONTAINER_OF(link, struct partition_segment, link);
        if (loader->is_broken || is_behind_hole(loader, segment, next_offset)) {
            /* Behind the cut: the journal removes the file. */
            list_remove(link);
            partition_store_give_segment(segment);
            continue;
        }
        const enum err err = load_segment(loader, segment, &next_offset);
        if (err != ERR_OK || store->offline_reason != NULL)
            return err;
    }
    store->log_end_offset = next_offset;
    if (next_offset < promised_offset(store) && store->synced_mark >= 0) {
        const struct partition_segment *last = partition_store_active(store);
        refuse(loader, last == NULL ? 0 : last->index.base_offset,
               last == NULL ? 0 : last->file->size_bytes,
               "the log ends below what was promised to be on the disk");
    }
    return ERR_OK;
}

static enum err adopt_segments(struct partition_loader *loader)
{
    for (struct journal_segment *file = journal_segment_first(&loader->store->journal);
         file != NULL; file = journal_segment_next(file)) {
        if (file->base > INT64_MAX)
            return ERR_CORRUPT;
        if (partition_store_adopt_segment(loader->store, file) == NULL)
            return ERR_NO_MEMORY;
    }
    return ERR_OK;
}

/* Which segments are read whole, and from where producers are replayed. */
static void plan(struct partition_loader *loader)
{
    struct partition_store *store = loader->store;
    const struct partition_segment *active = partition_store_active(store);
    const int64_t last_base = active == NULL ? 0 : active->index.base_offset;
    int64_t recover_base = INT64_MAX; /* Even of the last one only the end is read. */
    if (!loader->was_clean && active != NULL) {
        const struct partition_segment *first =
            partition_store_segment_at(store, store->recovery_point);
        recover_base = min_i64(first->index.base_offset, last_base);
    }
    loader->recover_base = recover_base;
    loader->sync_base = loader->was_clean ? UINT64_MAX : (uint64_t)recover_base;
    loader->replay_from = loader->was_clean ? INT64_MAX : 0;
    load_epochs(loader);
    /* Batches that are read say it themselves; the file may tell of some that were cut off. */
    leader_epochs_cut_end(&store->epochs, loader->recover_base);
    int64_t snapshot_max = loader->was_clean ? INT64_MAX : loader->recover_base;
    if (active == NULL)
        snapshot_max = store->log_start_offset;
    load_snapshot(loader, snapshot_max);
}

static bool is_behind_start(const struct partition_store *store)
{
    return store->log_end_offset < store->log_start_offset;
}

/* True: done at once. */
static bool start(struct partition_loader *loader)
{
    struct partition_store *store = loader->store;
    const struct partition_segment *active = partition_store_active(store);
    struct journal_start_options options = {.sync_base = loader->sync_base,
                                            .is_cleared = is_behind_start(store)};
    if (loader->is_broken)
        options.end = loader->end;
    else if (active != NULL)
        options.end = (struct journal_position){.base = active->file->base,
                                                .offset = active->file->size_bytes};
    return journal_start_begin(&store->journal, &loader->starting, options);
}

/* The journal's files are gone. */
static void begin_anew(struct partition_loader *loader)
{
    struct partition_store *store = loader->store;
    diag_warn(loader->diag, "%s: ends at %lld, before its start %lld: begun anew there",
              store->path, (long long)store->log_end_offset, (long long)store->log_start_offset);
    for (struct list *link = list_pop(&store->segments); link != NULL;
         link = list_pop(&store->segments))
        partition_store_give_segment(CONTAINER_OF(link, struct partition_segment, link));
    store->log_end_offset = store->log_start_offset;
    producer_state_deinit(&store->producers); /* What came behind is not known. */
    loader->replay_from = -1;
}

static void set_offsets(struct partition_loader *loader)
{
    struct partition_store *store = loader->store;
    const struct partition_segment *active = partition_store_active(store);
    const struct partition_segment *first =
        CONTAINER_OF(store->segments.next, struct partition_segment, link);
    store->log_start_offset = max_i64(store->log_start_offset, first->index.base_offset);
    store->high_watermark = store->log_end_offset;
    partition_watermark_load(&store->watermark,
                             (struct partition_mark){.offset = store->log_end_offset,
                                                     .base = active->index.base_offset,
                                                     .position = active->file->size_bytes});
    store->durable_offset = store->log_end_offset;
    store->sync_asked_offset = store->log_end_offset;
    store->is_epochs_dirty |= leader_epochs_cut_end(&store->epochs, store->log_end_offset);
    store->is_epochs_dirty |= leader_epochs_cut_start(&store->epochs, store->log_start_offset);
    if (store->is_epochs_dirty)
        store->epochs_dirty_from = loader->recover_base == INT64_MAX ? 0 : loader->recover_base;
}

/* Each clean end leaves a snapshot at the log end of then: only the newest is of use, and those at
 * the base of a segment. */
static void remove_old_snapshots(struct partition_loader *loader)
{
    list_each (link, &loader->names) {
        const char *name = CONTAINER_OF(link, struct loader_name, link)->text;
        int64_t offset;
        if (partition_loader_parse_offset(name, ".snapshot", &offset) &&
            offset < loader->replay_from &&
            journal_segment_find(&loader->store->journal, (uint64_t)offset) == NULL)
            remove_file(loader, name);
    }
}

/* All that is looked at before the journal starts. */
static enum err read_files(struct partition_loader *loader)
{
    struct partition_store *store = loader->store;
    const int result = io_list_directory(loader->io, store->path, on_name, loader);
    if (result < 0)
        return err_from_errno(result);
    enum err err = loader->listing_err;
    if (err == ERR_OK)
        err = journal_load_sizes(&store->journal);
    if (err == ERR_OK)
        err = adopt_segments(loader);
    if (err == ERR_CORRUPT) {
        refuse(loader, 0, 0, "something that is called like a segment is none");
        return ERR_OK;
    }
    if (err != ERR_OK)
        return err;
    if (!remove_leftovers(loader)) {
        refuse(loader, 0, 0, "a compaction by Apache's broker was interrupted, let it finish");
        return ERR_OK;
    }
    plan(loader);
    err = load_segments(loader);
    if (err == ERR_OK && store->offline_reason == NULL && loader->replay_from != INT64_MAX &&
        !is_behind_start(store))
        remove_old_snapshots(loader);
    return err;
}

/* The journal has started. */
static enum err set_up(struct partition_loader *loader)
{
    struct partition_store *store = loader->store;
    if (is_behind_start(store))
        begin_anew(loader);
    if (list_empty(&store->segments)) {
        const enum err err = partition_store_add_segment(store, store->log_end_offset);
        if (err != ERR_OK)
            return err;
    }
    set_offsets(loader);
    if (loader->replay_from != INT64_MAX && loader->replay_from > store->log_end_offset)
        producer_state_deinit(&store->producers); /* It knows of batches that are not there. */
    /* A clean end relies on a snapshot at the log end. */
    store->is_changed = loader->replay_from != store->log_end_offset;
    return ERR_OK;
}

static void on_started(struct journal_starting *starting, enum err err)
{
    struct partition_loader *loader = CONTAINER_OF(starting, struct partition_loader, starting);
    loader->done(loader, err == ERR_OK ? set_up(loader) : err);
}

void partition_loader_load(struct partition_loader *loader)
{
    list_init(&loader->names);
    loader->listing_err = ERR_OK;
    loader->is_broken = false;
    loader->damage = NULL;
    loader->starting.done = on_started;
    const enum err err = read_files(loader);
    forget_names(loader);
    if (err != ERR_OK || loader->store->offline_reason != NULL)
        loader->done(loader, err);
    else if (start(loader))
        on_started(&loader->starting, ERR_OK);
}
