#include "server/broker/synced_marks.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "server/broker/log_directory.h"
#include "server/broker/partition_store.h"

#include <stdio.h>

static const char head[] = "ROOKERY SYNCED 1\n";

enum { free_capacity_first = 64, version_at = 15 };

uint64_t synced_mark_name(struct slice topic)
{
    return (uint64_t)checksum_crc32c(0, topic) << 32 | checksum_crc32(0, topic);
}

void synced_mark_encode(const struct synced_mark *mark, uint8_t out[synced_mark_bytes])
{
    memset(out, 0, synced_mark_bytes);
    store_i32(out + 4, mark->partition);
    store_u64(out + 8, mark->name);
    memcpy(out + 16, mark->id.bytes, sizeof mark->id.bytes);
    store_u64(out + 32, mark->sequence);
    store_i64(out + 40, mark->offset);
    store_u32(out, checksum_crc32c(0, slice_of(out + 4, synced_mark_bytes - 4)));
}

bool synced_mark_decode(struct synced_mark *mark, const uint8_t in[synced_mark_bytes])
{
    if (load_u32(in) != checksum_crc32c(0, slice_of(in + 4, synced_mark_bytes - 4)))
        return false;
    mark->partition = load_i32(in + 4);
    mark->name = load_u64(in + 8);
    memcpy(mark->id.bytes, in + 16, sizeof mark->id.bytes);
    mark->sequence = load_u64(in + 32);
    mark->offset = load_i64(in + 40);
    return mark->sequence > 0 && mark->offset >= 0;
}

static enum err add_free(struct synced_marks *marks, uint32_t slot)
{
    if (marks->free_count == marks->free_capacity) {
        const uint32_t capacity =
            marks->free_capacity == 0 ? free_capacity_first : marks->free_capacity * 2;
        uint32_t *slots = heap_resize(marks->heap, marks->free_slots, capacity * sizeof *slots);
        if (slots == NULL)
            return ERR_NO_MEMORY;
        marks->free_slots = slots;
        marks->free_capacity = capacity;
    }
    marks->free_slots[marks->free_count++] = slot;
    return ERR_OK;
}

/* Of whole blocks at offset; the count of bytes or a negative errno. */
/* A read may be short before the end of the file. */
static int64_t read_wait(struct synced_marks *marks, void *data, size_t size, uint64_t offset)
{
    size_t got = 0;
    while (got < size) {
        struct io_op op = {
            .kind = IO_READ,
            .handle = marks->handle,
            .read = {.data = (uint8_t *)data + got, .size = size - got, .offset = offset + got}};
        const int64_t result = io_wait(marks->io, &op);
        if (result < 0)
            return result;
        if (result == 0)
            break;
        got += (size_t)result;
    }
    return (int64_t)got;
}

static int64_t write_wait(struct synced_marks *marks, const void *data, size_t size,
                          uint64_t offset)
{
    struct iovec vector = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct io_op op = {.kind = IO_WRITE,
                       .handle = marks->handle,
                       .write = {.vectors = &vector, .vector_count = 1, .offset = offset}};
    return io_wait(marks->io, &op);
}

static uint64_t slot_offset(uint32_t slot)
{
    return synced_slot_bytes + (uint64_t)slot * synced_slot_bytes;
}

static enum err open_file(struct synced_marks *marks)
{
    struct io_op op = {
        .kind = IO_OPEN,
        .handle = io_handle_none,
        .path = {.path = marks->path, .flags = IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE}};
    uint8_t block[synced_slot_bytes] = {0};
    const int64_t handle = io_wait(marks->io, &op);
    if (handle < 0)
        return err_from_errno((int)handle);
    marks->handle = (int32_t)handle;
    const int64_t size = read_wait(marks, block, sizeof block, 0);
    if (size < 0)
        return err_from_errno((int)size);
    if (size >= (int64_t)sizeof head && memcmp(block, head, sizeof head) == 0)
        return ERR_OK;
    const uint8_t version = block[version_at];
    if (memcmp(block, head, version_at) == 0 && version > head[version_at] && version <= '9')
        return ERR_UNSUPPORTED;
    /* New, or its first bytes never reached the disk; each slot speaks for itself. */
    memset(block, 0, sizeof block);
    memcpy(block, head, sizeof head);
    const int64_t written = write_wait(marks, block, sizeof block, 0);
    return written < 0 ? err_from_errno((int)written) : ERR_OK;
}

static bool decode_slot(const uint8_t slot[synced_slot_bytes], struct synced_mark *mark)
{
    struct synced_mark other;
    const bool first = synced_mark_decode(mark, slot);
    if (!synced_mark_decode(&other, slot + synced_mark_bytes))
        return first;
    if (!first || other.sequence > mark->sequence)
        *mark = other;
    return true;
}

static int64_t sync_wait(struct synced_marks *marks)
{
    struct io_op op = {.kind = IO_SYNC, .handle = marks->handle};
    return io_wait(marks->io, &op);
}

static enum err load_slots(struct synced_marks *marks,
                           bool (*visit)(void *context, uint32_t slot,
                                         const struct synced_mark *mark),
                           void *context)
{
    static const uint8_t blank[synced_slot_bytes];
    uint8_t slot[synced_slot_bytes];
    struct synced_mark mark;
    for (;; marks->slot_count++) {
        const uint64_t offset = slot_offset(marks->slot_count);
        const int64_t size = read_wait(marks, slot, sizeof slot, offset);
        if (size < 0)
            return err_from_errno((int)size);
        if (size == 0)
            break;
        memset(slot + size, 0, sizeof slot - (size_t)size);
        const bool is_valid = decode_slot(slot, &mark);
        if (is_valid && visit(context, marks->slot_count, &mark))
            continue;
        /* Erased, so that it cannot be taken for the mark of a later partition of that name. */
        const int64_t written = is_valid ? write_wait(marks, blank, sizeof blank, offset) : 0;
        if (written < 0)
            return err_from_errno((int)written);
        const enum err err = add_free(marks, marks->slot_count);
        if (err != ERR_OK)
            return err;
        marks->blank_count++;
    }
    /* What a process that was killed has erased is blank only as long as the machine runs. */
    const int64_t synced = marks->free_count > 0 ? sync_wait(marks) : 0;
    return synced < 0 ? err_from_errno((int)synced) : ERR_OK;
}

enum err synced_marks_open(
    struct synced_marks *marks, struct io *io, struct heap *heap, const char *directory,
    bool (*visit)(void *context, uint32_t slot, const struct synced_mark *mark), void *context)
{
    marks->io = io;
    marks->heap = heap;
    marks->handle = io_handle_none;
    list_init(&marks->dirty);
    const int size = snprintf(marks->path, sizeof marks->path, "%s/rookery-synced", directory);
    assert(size > 0 && (size_t)size < sizeof marks->path);
    const enum err err = open_file(marks);
    return err != ERR_OK ? err : load_slots(marks, visit, context);
}

static void pump(struct synced_marks *marks);

static void on_written(struct io_op *op, int64_t result)
{
    struct synced_marks *marks = CONTAINER_OF(op, struct synced_marks, op);
    struct partition_store *store = marks->writing;
    marks->writing = NULL;
    if (result < 0) {
        marks->on_failed(marks->context, "write of a mark", result);
        return;
    }
    store->mark_sequence++;
    marks->is_sync_wanted = true;
    if (store->durable_offset > store->synced_mark && !store->is_deleting &&
        !list_linked(&store->mark_link))
        list_push(&marks->dirty, &store->mark_link);
    pump(marks);
    log_directory_on_idle(store->directory, store);
}

static void on_erased(struct io_op *op, int64_t result)
{
    struct synced_marks *marks = CONTAINER_OF(op, struct synced_marks, op);
    marks->is_erasing = false;
    if (result < 0) {
        marks->on_failed(marks->context, "erasure of a mark", result);
        return;
    }
    marks->blank_count++;
    marks->is_sync_wanted = true;
    marks->erased_by = marks->sync_begun + 1;
    pump(marks);
    log_directory_on_idle(marks->context, NULL);
}

/* A replica that leaves and comes back has the same topic id: what was promised of the one that has
 * left must not be asked of the other. */
static void erase(struct synced_marks *marks)
{
    static uint8_t blank[synced_slot_bytes];
    marks->is_erasing = true;
    marks->vector = (struct iovec){.iov_base = blank, .iov_len = sizeof blank};
    marks->op =
        (struct io_op){.kind = IO_WRITE,
                       .handle = marks->handle,
                       .done = on_erased,
                       .write = {.vectors = &marks->vector,
                                 .vector_count = 1,
                                 .offset = slot_offset(marks->free_slots[marks->blank_count])}};
    io_submit(marks->io, &marks->op);
}

static uint32_t take_slot(struct synced_marks *marks)
{
    if (marks->blank_count == 0)
        return marks->slot_count++;
    const uint32_t slot = marks->free_slots[--marks->blank_count];
    marks->free_slots[marks->blank_count] = marks->free_slots[--marks->free_count];
    return slot;
}

static void pump(struct synced_marks *marks)
{
    if (marks->writing != NULL || marks->is_erasing || marks->handle == io_handle_none)
        return;
    if (marks->blank_count < marks->free_count) {
        erase(marks);
        return;
    }
    if (list_empty(&marks->dirty))
        return;
    struct partition_store *store =
        CONTAINER_OF(list_pop(&marks->dirty), struct partition_store, mark_link);
    if (store->mark_slot == UINT32_MAX)
        store->mark_slot = take_slot(marks);
    const struct synced_mark mark = {
        .partition = store->partition,
        .name = synced_mark_name(store->topic),
        .id = store->id,
        .sequence = store->mark_sequence + 1,
        .offset = store->durable_offset,
    };
    store->synced_mark = store->durable_offset;
    synced_mark_encode(&mark, marks->bytes);
    marks->writing = store;
    marks->vector = (struct iovec){.iov_base = marks->bytes, .iov_len = sizeof marks->bytes};
    marks->op = (struct io_op){
        .kind = IO_WRITE,
        .handle = marks->handle,
        .done = on_written,
        .write = {.vectors = &marks->vector,
                  .vector_count = 1,
                  .offset = slot_offset(store->mark_slot) + mark.sequence % 2 * synced_mark_bytes}};
    io_submit(marks->io, &marks->op);
}

void synced_marks_note(struct synced_marks *marks, struct partition_store *store)
{
    if (list_linked(&store->mark_link) || marks->writing == store)
        return;
    list_push(&marks->dirty, &store->mark_link);
    pump(marks);
}

bool synced_marks_is_busy_with(const struct synced_marks *marks,
                               const struct partition_store *store)
{
    return marks->writing == store;
}

void synced_marks_forget(struct synced_marks *marks, struct partition_store *store)
{
    assert(marks->writing != store);
    list_remove(&store->mark_link);
    if (store->mark_slot == UINT32_MAX)
        return;
    /* A slot that does not fit in the list is lost until the next start. */
    (void)!(add_free(marks, store->mark_slot) == ERR_OK);
    store->mark_slot = UINT32_MAX;
    pump(marks);
}

static void on_synced(struct io_op *op, int64_t result)
{
    struct synced_marks *marks = CONTAINER_OF(op, struct synced_marks, sync_op);
    marks->is_syncing = false;
    if (result < 0) {
        marks->on_failed(marks->context, "sync of the marks", result);
        return;
    }
    marks->sync_ended++;
    log_directory_on_idle(marks->context, NULL);
}

void synced_marks_sync(struct synced_marks *marks)
{
    if (!marks->is_sync_wanted || marks->is_syncing || marks->handle == io_handle_none)
        return;
    marks->is_sync_wanted = false;
    marks->is_syncing = true;
    marks->sync_begun++;
    marks->sync_op = (struct io_op){.kind = IO_SYNC, .handle = marks->handle, .done = on_synced};
    io_submit(marks->io, &marks->sync_op);
}

bool synced_marks_is_idle(const struct synced_marks *marks)
{
    return marks->writing == NULL && !marks->is_erasing && list_empty(&marks->dirty) &&
           !marks->is_syncing;
}

bool synced_marks_is_clean(const struct synced_marks *marks)
{
    return marks->blank_count == marks->free_count && !marks->is_erasing &&
           marks->sync_ended >= marks->erased_by;
}
