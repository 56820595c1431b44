/* One file of a journal: its name, how much of it is written and durable, and its handle, which is
 * opened when somebody needs it and closed when too many are open.
 *
 * Memory: one block of the disk's heap, with its paths behind it. Shard: the journal's.
 */
#ifndef JOURNAL_JOURNAL_SEGMENT_H
#define JOURNAL_JOURNAL_SEGMENT_H

#include "journal/journal_disk.h"

struct journal;

struct journal_segment {
    struct list link; /* In journal->segments by base, or in disk->retired. */
    struct list open_link;
    struct journal *journal;
    struct journal_disk *disk;
    uint64_t base;
    uint64_t size_bytes;      /* Bytes submitted; after load: the size of the file. */
    uint64_t written_bytes;   /* Bytes that are in the page cache at least. */
    uint64_t durable_bytes;   /* Bytes that survive a power loss. */
    uint64_t allocated_bytes; /* Size of the file: from size_bytes on it is zeros. */
    int32_t handle;           /* io_handle_none while closed. */
    uint32_t users;           /* Cuts, reads, writes: keeps the handle open. */
    uint64_t used_at_ns;      /* When somebody last asked for the handle. */
    bool is_created;          /* Its file exists. */
    bool is_entry_durable;    /* Its directory entry survives a power loss. */
    bool is_size_in_doubt;    /* Found at load: a cut of it may not have reached the disk. */
    bool is_retired;          /* No longer in the journal; goes away with its last user. */
    bool is_busy;             /* Its op is in flight. */
    struct list openers;      /* journal_open requests that wait for the handle. */
    struct io_op op;          /* Opens and closes the handle. */
    const char *path_deleted; /* Where a dropped segment is renamed to. */
    char path[];
};

/* Asks for an open handle. The caller sets done. */
struct journal_open {
    struct list link;
    /* 0: the segment's users has been counted up. Or a negative errno: -ENOENT, -EMFILE, -EIO. */
    void (*done)(struct journal_open *open, int64_t result);
};

/* A read of a range. The caller sets done. */
struct journal_read {
    struct journal_open open;
    struct journal_segment *segment;
    struct io_op op;
    /* Bytes read (fewer than asked for at the end of the file) or a negative errno. */
    void (*done)(struct journal_read *read, int64_t result);
};

/* True: the handle is open and users counted up, for a net_cut (whose users points to the
 * segment's) or a read. False: open->done will tell, later. Whoever counted up counts down. */
bool journal_segment_open(struct journal_segment *segment, struct journal_open *open);

/* Reads size bytes at offset; read->done tells. data is kept until then. */
void journal_segment_read(struct journal_segment *segment, struct journal_read *read, void *data,
                          size_t size, uint64_t offset);

/* For the journal and the disk only: a closed segment that belongs to journal, NULL: no memory. */
struct journal_segment *journal_segment_take(struct journal *journal, uint64_t base);

/* The journal's directory has a new path, which is no longer than the old one; nothing of the
 * segment is in flight. */
void journal_segment_follow_rename(struct journal_segment *segment);

/* Takes the segment out of its journal; it is given back when nobody uses it. */
void journal_segment_retire(struct journal_segment *segment);

/* Submits the close of an open handle that nobody uses. */
void journal_segment_close(struct journal_segment *segment);

/* Gives back the memory. */
void journal_segment_give(struct journal_segment *segment);

#endif
