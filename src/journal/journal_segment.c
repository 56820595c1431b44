#include "journal/journal_segment.h"

#include "journal/journal.h"

#include <errno.h>
#include <stdio.h>

static const char deleted_suffix[] = ".deleted";

static void print_paths(struct journal_segment *segment, const char *name, size_t path_size)
{
    snprintf(segment->path, path_size, "%s/%s", segment->journal->options.path, name);
    char *path_deleted = segment->path + path_size;
    memcpy(path_deleted, segment->path, path_size - 1);
    memcpy(path_deleted + path_size - 1, deleted_suffix, sizeof deleted_suffix);
    segment->path_deleted = path_deleted;
}

struct journal_segment *journal_segment_take(struct journal *journal, uint64_t base)
{
    char name[journal_name_bytes_max];
    journal_naming_print(&journal->options.naming, base, name);
    const size_t path_size = strlen(journal->options.path) + 1 + strlen(name) + 1;
    const size_t path_deleted_size = path_size + sizeof deleted_suffix - 1;

    struct journal_segment *segment =
        heap_take_zeroed(journal->disk->heap, sizeof *segment + path_size + path_deleted_size);
    if (segment == NULL)
        return NULL;
    segment->journal = journal;
    segment->disk = journal->disk;
    segment->base = base;
    segment->handle = io_handle_none;
    list_init(&segment->link);
    list_init(&segment->open_link);
    list_init(&segment->openers);
    print_paths(segment, name, path_size);
    return segment;
}

void journal_segment_follow_rename(struct journal_segment *segment)
{
    char name[journal_name_bytes_max];
    journal_naming_print(&segment->journal->options.naming, segment->base, name);
    const size_t path_size = strlen(segment->journal->options.path) + 1 + strlen(name) + 1;
    assert(path_size <= strlen(segment->path) + 1 && list_empty(&segment->openers));
    print_paths(segment, name, path_size);
}

void journal_segment_give(struct journal_segment *segment)
{
    struct journal_disk *disk = segment->disk;
    assert(!segment->is_busy);
    if (list_linked(&segment->open_link)) {
        list_remove(&segment->open_link);
        disk->open_count--;
    }
    list_remove(&segment->link);
    heap_give(disk->heap, segment);
}

void journal_segment_retire(struct journal_segment *segment)
{
    list_remove(&segment->link);
    list_push(&segment->disk->retired, &segment->link);
    segment->journal = NULL;
    segment->is_retired = true;
    journal_disk_poll(segment->disk);
}

static void end_openers(struct journal_segment *segment, int64_t result)
{
    struct list openers;
    list_init(&openers);
    list_splice(&openers, &segment->openers);
    if (result == 0)
        list_each (link, &openers)
            segment->users++;
    for (struct list *link = list_pop(&openers); link != NULL; link = list_pop(&openers)) {
        struct journal_open *open = CONTAINER_OF(link, struct journal_open, link);
        open->done(open, result);
    }
}

static void on_open(struct io_op *op, int64_t result)
{
    struct journal_segment *segment = CONTAINER_OF(op, struct journal_segment, op);
    struct journal_disk *disk = segment->disk;
    segment->is_busy = false;
    if (result < 0) {
        end_openers(segment, result);
        return;
    }
    segment->handle = (int32_t)result;
    segment->is_created = true;
    list_push(&disk->open, &segment->open_link);
    disk->open_count++;
    end_openers(segment, 0);
    journal_disk_trim(disk);
}

static void start_open(struct journal_segment *segment)
{
    const uint32_t create = segment->is_created ? 0 : IO_OPEN_CREATE | IO_OPEN_EXCLUSIVE;
    segment->is_busy = true;
    segment->op = (struct io_op){
        .kind = IO_OPEN,
        .handle = io_handle_none,
        .done = on_open,
        .path = {.path = segment->path, .flags = IO_OPEN_READ | IO_OPEN_WRITE | create},
    };
    io_submit(segment->disk->io, &segment->op);
}

bool journal_segment_open(struct journal_segment *segment, struct journal_open *open)
{
    assert(!segment->is_retired);
    segment->used_at_ns = io_now_ns(segment->disk->io);
    if (segment->handle != io_handle_none) {
        segment->users++;
        list_remove(&segment->open_link);
        list_push(&segment->disk->open, &segment->open_link);
        return true;
    }
    list_push(&segment->openers, &open->link);
    if (!segment->is_busy)
        start_open(segment);
    return false;
}

static void on_close(struct io_op *op, int64_t result)
{
    struct journal_segment *segment = CONTAINER_OF(op, struct journal_segment, op);
    segment->is_busy = false;
    if (result < 0)
        journal_disk_fail(segment->disk, "close", segment->path, result);
    if (!list_empty(&segment->openers))
        start_open(segment);
    else if (segment->is_retired)
        journal_segment_give(segment);
}

void journal_segment_close(struct journal_segment *segment)
{
    assert(segment->users == 0 && !segment->is_busy && segment->handle != io_handle_none);
    segment->is_busy = true;
    segment->op = (struct io_op){.kind = IO_CLOSE, .handle = segment->handle, .done = on_close};
    segment->handle = io_handle_none;
    list_remove(&segment->open_link);
    segment->disk->open_count--;
    io_submit(segment->disk->io, &segment->op);
}

static void on_read(struct io_op *op, int64_t result)
{
    struct journal_read *read = CONTAINER_OF(op, struct journal_read, op);
    read->segment->users--;
    read->done(read, result);
}

static void start_read(struct journal_read *read)
{
    read->op.handle = read->segment->handle;
    io_submit(read->segment->disk->io, &read->op);
}

static void on_open_for_read(struct journal_open *open, int64_t result)
{
    struct journal_read *read = CONTAINER_OF(open, struct journal_read, open);
    if (result == 0)
        start_read(read);
    else
        read->done(read, result);
}

void journal_segment_read(struct journal_segment *segment, struct journal_read *read, void *data,
                          size_t size, uint64_t offset)
{
    read->segment = segment;
    read->open.done = on_open_for_read;
    read->op = (struct io_op){
        .kind = IO_READ,
        .done = on_read,
        .read = {.data = data, .size = size, .offset = offset},
    };
    if (journal_segment_open(segment, &read->open))
        start_read(read);
}
