/* What the journals of one directory tree share: the file system's free space, the limit on open
 * files, the writers, and the verdict when the disk fails.
 *
 * A disk refuses appends before it is full: below reserve_bytes of free space journal_append says
 * ERR_NO_SPACE until space returns. A write that meets a full disk all the same (somebody else
 * filled it) waits and is repeated; nothing that was accepted is lost, nothing is acknowledged
 * early.
 *
 * A write or sync that fails for any other reason is never repeated: the kernel may have dropped
 * the pages. Without on_failed that is io_fatal; with it the disk is failed for good, open appends
 * end with ERR_IO, and the other disks of the process go on.
 *
 * Memory: writer_count writers of about 1.3 KiB from the heap. Shard: one owner.
 */
#ifndef JOURNAL_JOURNAL_DISK_H
#define JOURNAL_JOURNAL_DISK_H

#include "base/diag.h"
#include "base/heap.h"
#include "base/pool.h"
#include "io/io.h"

struct journal_disk;

struct journal_disk_options {
    const char *path;           /* Keeps. A directory on the disk. */
    uint64_t reserve_bytes;     /* No appends below so much free space. 0: never asks. */
    uint32_t writer_count;      /* Writes in flight at once, of all journals: 1 to some hundreds. */
    uint32_t handle_count_max;  /* Open segments; beyond that those that were not used for longest
                                   are synced, if need be, and closed. 0: no limit. */
    uint32_t check_interval_ms; /* Between two looks at the free space; 0: 1000. */

    /* Asked before a write of op, an IO_WRITE, is submitted. True: another shard makes it, and its
     * done runs later, on this one. NULL: there is no other. */
    bool (*pass_write)(struct journal_disk *disk, struct io_op *op);

    /* The disk has failed: what was tried, on which path, and a negative errno. Runs once. NULL:
     * a failure is io_fatal. */
    void (*on_failed)(struct journal_disk *disk, const char *what, const char *path, int error);
    void *user;
};

struct journal_disk {
    struct io *io;
    struct heap *heap;
    struct diag *diag;
    struct journal_disk_options options;
    struct pool writers;
    struct list waiting; /* Journals that want a writer. */
    struct list polled;  /* Journals that wait for the users of a segment. */
    struct list retired; /* Segments without a journal that still have users or a handle. */
    struct list open;    /* Segments with an open handle, least recently used first. */
    struct io_op poll_op;
    bool is_polling;
    bool is_ending;
    uint32_t open_count;
    uint32_t cleaning_count; /* Journals that sync so that their files can be closed. */
    uint32_t sync_count;     /* IO_SYNCs of its journals in flight. */
    bool is_full;
    bool is_failed;
    uint64_t check_at_ns;
    uint64_t unchecked_bytes; /* Accepted since the last look at the free space. */
    uint64_t free_bytes;      /* At the last look. */
};

/* ERR_NO_MEMORY. Keeps all arguments. */
MUST_CHECK enum err journal_disk_init(struct journal_disk *disk, struct io *io, struct heap *heap,
                                      struct diag *diag, struct journal_disk_options options);

/* No journal of it may be open. Waits for the handles that are being closed, so never from a done
 * callback. */
void journal_disk_deinit(struct journal_disk *disk);

/* Whether size more bytes may be promised now. ERR_NO_SPACE; ERR_IO: the disk has failed. */
MUST_CHECK enum err journal_disk_admit(struct journal_disk *disk, uint64_t size);

/* For journals and segments: the operation what on path failed; never repeat it. */
void journal_disk_fail(struct journal_disk *disk, const char *what, const char *path,
                       int64_t negative_errno);

/* For writers: a write met a full disk, a write succeeded after that. */
void journal_disk_meet_full(struct journal_disk *disk, const char *path);
void journal_disk_meet_space(struct journal_disk *disk);

/* For journals and segments: look again soon, users has no callback. */
void journal_disk_poll(struct journal_disk *disk);

/* For segments and journals: a handle was opened, or can be closed by now; closes one that is idle
 * if there are too many. */
void journal_disk_trim(struct journal_disk *disk);

/* To be called now and then: closes some of the segments that nobody has used for idle_ms. What is
 * not on the disk yet is synced first: only an open handle is sure to be told of a failed write. */
void journal_disk_rest(struct journal_disk *disk, uint64_t idle_ms);

#endif
