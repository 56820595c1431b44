#include "journal/journal.h"
#include "journal/journal_writer.h"

#include <string.h>

enum {
    check_interval_ms_default = 1000,
    poll_interval_ms = 10,
    trim_candidate_count = 16,
    cleaning_count_max = 4,
    rest_count_max = 64,
};

static const uint64_t ns_per_ms = 1000000;

enum err journal_disk_init(struct journal_disk *disk, struct io *io, struct heap *heap,
                           struct diag *diag, struct journal_disk_options options)
{
    assert(options.writer_count > 0);
    *disk = (struct journal_disk){.io = io, .heap = heap, .diag = diag, .options = options};
    if (disk->options.check_interval_ms == 0)
        disk->options.check_interval_ms = check_interval_ms_default;
    list_init(&disk->waiting);
    list_init(&disk->polled);
    list_init(&disk->retired);
    list_init(&disk->open);
    return pool_init(&disk->writers, heap,
                     (struct pool_options){.item_size = sizeof(struct journal_writer),
                                           .item_count = options.writer_count});
}

static bool has_busy_segment(const struct journal_disk *disk)
{
    list_each (link, &disk->retired)
        if (CONTAINER_OF(link, struct journal_segment, link)->is_busy)
            return true;
    return false;
}

void journal_disk_deinit(struct journal_disk *disk)
{
    disk->is_ending = true;
    if (disk->is_polling)
        io_cancel(disk->io, &disk->poll_op);
    while (disk->is_polling || has_busy_segment(disk))
        io_run(disk->io, UINT64_MAX);
    for (struct list *link = list_pop(&disk->retired); link != NULL;
         link = list_pop(&disk->retired))
        journal_segment_give(CONTAINER_OF(link, struct journal_segment, link));
    assert(disk->sync_count == 0);
    pool_deinit(&disk->writers, disk->heap);
}

/* One that is gone shows no free space either; whoever can go on without it is told. */
static void look_for_directory(struct journal_disk *disk)
{
    struct io_file_info info;
    const int found = io_file_info(disk->io, disk->options.path, &info);
    if (found < 0 && disk->options.on_failed != NULL)
        journal_disk_fail(disk, "look at the free space", disk->options.path, found);
}

/* Full below the reserve; no longer full only an eighth above it, so that the verdict does not
 * flap with every freed block. */
static void look_at_free_space(struct journal_disk *disk)
{
    const uint64_t reserve = disk->options.reserve_bytes;
    disk->free_bytes = io_disk_free_bytes(disk->io, disk->options.path);
    disk->unchecked_bytes = 0;
    disk->check_at_ns = io_now_ns(disk->io) + (uint64_t)disk->options.check_interval_ms * ns_per_ms;

    if (disk->free_bytes == 0)
        look_for_directory(disk);
    if (disk->is_failed)
        return;
    const bool was_full = disk->is_full;
    disk->is_full = disk->free_bytes < reserve + (was_full ? reserve / 8 : 0);
    if (disk->is_full && !was_full)
        diag_warn(
            disk->diag, "%s: disk full: %llu bytes free, %llu kept in reserve; refusing writes",
            disk->options.path, (unsigned long long)disk->free_bytes, (unsigned long long)reserve);
    if (!disk->is_full && was_full)
        diag_info(disk->diag, "%s: %llu bytes free again; accepting writes", disk->options.path,
                  (unsigned long long)disk->free_bytes);
}

enum err journal_disk_admit(struct journal_disk *disk, uint64_t size)
{
    if (disk->is_failed)
        return ERR_IO;
    if (disk->options.reserve_bytes > 0 &&
        (io_now_ns(disk->io) >= disk->check_at_ns ||
         disk->unchecked_bytes + size > disk->options.reserve_bytes / 4))
        look_at_free_space(disk);
    if (disk->is_failed)
        return ERR_IO;
    return disk->is_full ? ERR_NO_SPACE : ERR_OK;
}

void journal_disk_meet_full(struct journal_disk *disk, const char *path)
{
    if (!disk->is_full)
        diag_warn(disk->diag, "%s: the disk is full; waiting for space", path);
    disk->is_full = true;
    disk->check_at_ns = io_now_ns(disk->io) + (uint64_t)disk->options.check_interval_ms * ns_per_ms;
}

void journal_disk_meet_space(struct journal_disk *disk)
{
    if (disk->options.reserve_bytes == 0)
        disk->is_full = false;
}

void journal_disk_fail(struct journal_disk *disk, const char *what, const char *path,
                       int64_t negative_errno)
{
    if (disk->is_failed)
        return;
    disk->is_failed = true;
    if (disk->options.on_failed == NULL)
        io_fatal(disk->io,
                 "%s of %s failed: %s; what is on the disk is in doubt, so the process "
                 "ends: check the disk and start again",
                 what, path, strerror((int)-negative_errno));
    diag_error(disk->diag, "%s of %s failed: %s", what, path, strerror((int)-negative_errno));
    disk->options.on_failed(disk, what, path, (int)negative_errno);
    for (struct list *link = list_pop(&disk->waiting); link != NULL;
         link = list_pop(&disk->waiting)) {
        const bool failed = journal_has_failed(CONTAINER_OF(link, struct journal, waiting_link));
        assert(failed);
    }
}

static void arm_poll(struct journal_disk *disk);

/* Gives back retired segments that nobody uses any more, and lets journals look again. */
static void on_poll(struct io_op *op, int64_t result)
{
    struct journal_disk *disk = CONTAINER_OF(op, struct journal_disk, poll_op);
    (void)result;
    disk->is_polling = false;
    list_each_safe (link, after, &disk->retired) {
        struct journal_segment *segment = CONTAINER_OF(link, struct journal_segment, link);
        if (segment->users > 0 || segment->is_busy)
            continue;
        if (segment->handle != io_handle_none)
            journal_segment_close(segment);
        else
            journal_segment_give(segment);
    }
    struct list polled;
    list_init(&polled);
    list_splice(&polled, &disk->polled);
    for (struct list *link = list_pop(&polled); link != NULL; link = list_pop(&polled))
        journal_pump(CONTAINER_OF(link, struct journal, polled_link));
    if (!disk->is_ending && (!list_empty(&disk->retired) || !list_empty(&disk->polled)))
        arm_poll(disk);
}

static void arm_poll(struct journal_disk *disk)
{
    if (disk->is_polling)
        return;
    disk->is_polling = true;
    disk->poll_op = (struct io_op){
        .kind = IO_TIMER,
        .handle = io_handle_none,
        .done = on_poll,
        .timer.deadline_ns = io_now_ns(disk->io) + poll_interval_ms * ns_per_ms,
    };
    io_submit(disk->io, &disk->poll_op);
}

void journal_disk_poll(struct journal_disk *disk)
{
    arm_poll(disk);
}

/* If nobody uses it; one that is not on the disk yet is synced first. */
static void try_close(struct journal_segment *segment)
{
    struct journal_disk *disk = segment->disk;
    if (segment->users > 0 || segment->is_busy || !list_empty(&segment->openers))
        return;
    if (segment->durable_bytes == segment->written_bytes)
        journal_segment_close(segment);
    else if (segment->journal != NULL && disk->cleaning_count < cleaning_count_max)
        journal_clean(segment->journal);
}

void journal_disk_trim(struct journal_disk *disk)
{
    uint32_t looked_at = 0;
    if (disk->is_failed || disk->options.handle_count_max == 0)
        return;
    list_each_safe (link, after, &disk->open) {
        if (disk->open_count <= disk->options.handle_count_max ||
            looked_at++ == trim_candidate_count)
            return;
        try_close(CONTAINER_OF(link, struct journal_segment, open_link));
    }
}

void journal_disk_rest(struct journal_disk *disk, uint64_t idle_ms)
{
    uint32_t looked_at = 0;
    if (disk->is_failed)
        return;
    list_each_safe (link, after, &disk->open) {
        struct journal_segment *segment = CONTAINER_OF(link, struct journal_segment, open_link);
        if (segment->used_at_ns + idle_ms * ns_per_ms > io_now_ns(disk->io) ||
            looked_at++ == rest_count_max)
            return;
        try_close(segment);
    }
}
