/* A journal: a directory of append-only files (segments) with group sync, roll, truncate, drop and
 * reading. It knows nothing of record formats.
 *
 *   journal_append --> queue --> IO_WRITE of many neighbours --> written --> IO_SYNC --> durable
 *
 *   segments:  [base 0 .... size][base 70 ... size][base 95 ..|.....|...... allocated]
 *                                                         durable  end
 *
 * A segment is named after its base, a number of the user's (a zxid, an offset) that grows from
 * segment to segment; the place of a byte is a segment and an offset in its file. Appends are
 * written in the order of submission, and `durable` only moves forward in that order, across
 * segments too: an append reported as durable implies all appends before it. While a write and a
 * sync are in flight, appends pile up and share the next ones: nothing ever blocks the loop.
 *
 * A new segment's first durable append waits for an IO_SYNC of the directory as well.
 *
 * At start: journal_init, journal_load, read the segments with journal_reader, decide where the
 * valid bytes end, journal_start. Bytes behind that end (a torn tail, stale records, zeros) are cut
 * off durably there, so that they can never be taken for records behind later appends.
 *
 * Memory: journal and segments are small (some hundred bytes each, segments from the disk's heap);
 * the bytes of appends stay the caller's. Shard: one owner.
 */
#ifndef JOURNAL_JOURNAL_H
#define JOURNAL_JOURNAL_H

#include "journal/journal_disk.h"

/* How segments are called: prefix, base, suffix. {"log.", "", 16, 0} is ZooKeeper's naming,
 * {"", ".log", 10, 20} is Kafka's. */
struct journal_naming {
    const char *prefix;
    const char *suffix;
    uint32_t radix;  /* 10, or 16 in lower case. */
    uint32_t digits; /* Zero padded to so many; 0: no padding. */
};

extern const struct journal_naming journal_naming_keeper;
extern const struct journal_naming journal_naming_broker;

enum { journal_name_bytes_max = 64, journal_path_bytes_max = 1024 };

/* The name of the segment with this base, into journal_name_bytes_max bytes; lends it back. */
const char *journal_naming_print(const struct journal_naming *naming, uint64_t base, char *name);

/* False: this is not the name of a segment. Only the exact spelling of print is one. */
bool journal_naming_parse(const struct journal_naming *naming, const char *name, uint64_t *base);

struct journal_position {
    uint64_t base;   /* Of the segment. */
    uint64_t offset; /* In its file. */
};

struct journal_segment {
    struct list link; /* In journal->segments by base; in journal->dropped. */
    struct list open_link;
    struct journal *journal;
    uint64_t base;
    uint64_t size_bytes;      /* Bytes submitted; after load: the size of the file. */
    uint64_t written_bytes;   /* Bytes that are in the page cache at least. */
    uint64_t durable_bytes;   /* Bytes that survive a power loss. */
    uint64_t allocated_bytes; /* Size of the file: from size_bytes on it is zeros. */
    int32_t handle;           /* io_handle_none while closed. */
    uint32_t users;           /* Cuts, reads and journal_opens: keeps the handle open. */
    bool is_created;          /* Its file exists. */
    bool is_entry_durable;    /* Its directory entry survives a power loss. */
    bool is_dropped;
    bool is_busy;        /* Its op is in flight. */
    struct list openers; /* journal_open requests that wait for the handle. */
    struct io_op op;     /* Opens and closes the handle. */
};

struct journal_options {
    const char *path; /* Keeps. The directory, which exists at journal_load. */
    struct journal_naming naming;
    struct slice header;          /* Keeps. Starts each new segment; may be empty. */
    uint64_t allocate_step_bytes; /* Extends the active segment with zeros in such steps; 0: no. */
    bool allocate_sparse;         /* Zeros without disk blocks behind them. */
    uint64_t queued_bytes_max;    /* Bytes submitted and not yet written; 0: 64 MiB. */
};

/* One append. The caller fills vectors, vector_count, is_durable, is_essential and done. */
struct journal_append {
    struct list link;
    struct iovec *vectors;           /* Keeps, with the bytes, until done. Not changed. */
    uint32_t vector_count;           /* At most journal_append_vector_count_max. */
    bool is_durable;                 /* done when synced; otherwise done when written. */
    bool is_essential;               /* May use the disk's reserve. */
    struct journal_segment *segment; /* Out: where it lies. */
    uint64_t offset;                 /* Out: of its first byte in the file. */
    uint64_t size;                   /* Out: of all vectors. */
    /* ERR_OK, or ERR_IO once the disk has failed. Never runs inside journal_append. Appends of
     * equal durability are done in order. */
    void (*done)(struct journal_append *append, enum err err);
};

enum { journal_append_vector_count_max = 32 };

/* Waits for durability, a truncation or a drop. The caller sets done. */
struct journal_request {
    struct list link;
    struct journal_position position;
    /* ERR_OK, or ERR_IO once the disk has failed. Never runs inside the function that started it.
     */
    void (*done)(struct journal_request *request, enum err err);
};

/* Asks for an open handle. The caller sets done. */
struct journal_open {
    struct list link;
    struct journal_segment *segment;
    /* ERR_OK: the segment's users has been counted up. ERR_NOT_FOUND: the file is gone. ERR_IO,
     * ERR_LIMIT: no more files may be opened. */
    void (*done)(struct journal_open *open, enum err err);
};

/* A read of a range. The caller sets done. */
struct journal_read {
    struct journal_open open;
    struct io_op op;
    /* Bytes read (fewer than asked for at the end of the file) or a negative errno. */
    void (*done)(struct journal_read *read, int64_t result);
};

enum journal_state { JOURNAL_LOADING, JOURNAL_STARTED, JOURNAL_CLOSING };

struct journal_writer;

struct journal {
    struct journal_disk *disk;
    struct journal_options options;
    enum journal_state state;
    struct list segments; /* By base, ascending. The last one takes the appends. */
    struct list dropped;  /* Renamed or unlinked; the handle lives on while it has users. */
    uint32_t segment_count;
    uint64_t queued_bytes;
    struct list queue;        /* Appends that are not yet being written. */
    struct list unsynced;     /* Durable appends that are written, or being written. */
    struct list syncs;        /* journal_sync requests, by position. */
    struct list structural;   /* Truncations, drops: one at a time, once writes and syncs rest. */
    struct list waiting_link; /* In disk->waiting. */
    struct journal_writer *writer;   /* NULL unless a write is in flight. */
    struct journal_segment *syncing; /* NULL unless a sync is in flight. */
    uint64_t syncing_bytes;
    struct journal_position sync_wanted; /* Somebody waits until all before it is durable. */
    struct io_op sync_op;
    int32_t directory; /* Open during a directory sync. */
    uint64_t write_count;
    uint64_t sync_count;
};

/* Keeps disk and what options point at. */
void journal_init(struct journal *journal, struct journal_disk *disk,
                  struct journal_options options);

/* Finds the segments: with their files' sizes as size_bytes, by base. Waits for the disk: at start
 * only. ERR_NOT_FOUND: no directory; ERR_PERMISSION, ERR_IO, ERR_NO_MEMORY; ERR_CORRUPT: something
 * called like a segment is no regular file. */
MUST_CHECK enum err journal_load(struct journal *journal);

struct journal_start_options {
    /* Where the valid bytes end: later segments are unlinked, the segment's file is cut there.
     * base need not exist if there are no segments (offset 0): nothing is there yet. */
    struct journal_position end;
    /* Segments from this base on are synced, with their directory: they may lie in the page cache
     * only, after a kill. UINT64_MAX: none, they are known to be durable. */
    uint64_t sync_base;
};

/* Appends are possible from now on. Waits for the disk: at start only. ERR_IO: on_failed has run;
 * ERR_NO_SPACE. */
MUST_CHECK enum err journal_start(struct journal *journal, struct journal_start_options options);

/* What journal_append would say about size more bytes: ERR_NO_SPACE: the disk's reserve is reached;
 * ERR_LIMIT: queued_bytes_max is; ERR_IO: the disk has failed. */
MUST_CHECK enum err journal_admit(struct journal *journal, uint64_t size);

/* Takes append until done. Fills segment, offset and size. The journal has a segment: journal_roll
 * makes the first one. Errors as journal_admit: append is untouched then. */
MUST_CHECK enum err journal_append(struct journal *journal, struct journal_append *append);

/* Later appends go to a new segment, whose base is above the last one's. The file is created when
 * it gets its first bytes. Everything before is synced in the background. ERR_NO_MEMORY. */
MUST_CHECK enum err journal_roll(struct journal *journal, uint64_t base);

/* done when everything submitted so far is durable. Takes request until done. */
void journal_sync(struct journal *journal, struct journal_request *request);

/* Cuts everything from position on, durably; later segments are unlinked. No append may be open,
 * and none be submitted until done. Waits for the users of the segments it touches. Takes request
 * until done. A position.base of no segment must be at or below the first one's: all are unlinked.
 */
void journal_truncate(struct journal *journal, struct journal_request *request,
                      struct journal_position position);

/* Removes the segments in front of the one whose base is base (or that holds it): their files are
 * renamed to <name>.deleted, or unlinked. Cuts and reads in progress stay valid. The last segment
 * always stays. Takes request until done. */
void journal_drop(struct journal *journal, struct journal_request *request, uint64_t base);

/* The same, unlinked at once. */
void journal_drop_unlinked(struct journal *journal, struct journal_request *request, uint64_t base);

/* The segment with this base, NULL: none. */
struct journal_segment *journal_segment_find(struct journal *journal, uint64_t base);

/* The segment with the highest base at or below base, NULL: none. */
struct journal_segment *journal_segment_at(struct journal *journal, uint64_t base);

/* First and last, NULL: there is none; the one behind, NULL: it was the last. */
struct journal_segment *journal_segment_first(struct journal *journal);
struct journal_segment *journal_segment_last(struct journal *journal);
struct journal_segment *journal_segment_next(struct journal_segment *segment);

/* True: the handle is open and users counted up, for a net_cut (whose users points to the
 * segment's) or a read. False: open->done will tell. Whoever counted up counts down. */
bool journal_segment_open(struct journal_segment *segment, struct journal_open *open);

/* Reads size bytes at offset; read->done tells. data is kept until then. */
void journal_read(struct journal_segment *segment, struct journal_read *read, void *data,
                  size_t size, uint64_t offset);

/* Where the next append goes; before the first roll: base 0, offset 0. */
struct journal_position journal_end(const struct journal *journal);

/* Everything before it survives a power loss. */
struct journal_position journal_durable(const struct journal *journal);

/* Syncs, closes all handles and gives back all memory: done once that is so. No append, read or cut
 * may follow. The journal may be initialised again afterwards. Takes request until done. */
void journal_close(struct journal *journal, struct journal_request *request);

/* Gives back memory at once, for a node that dies or a start that failed; handles leak. */
void journal_deinit(struct journal *journal);

#endif
