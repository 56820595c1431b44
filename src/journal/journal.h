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
 * sync are in flight, appends pile up and share the next ones: the loop goes on (but see
 * docs/decisions/0007).
 *
 * A new segment's first durable append waits for an IO_SYNC of the directory as well, and a file is
 * made only when the name of the one before is durable: what a power loss leaves has no holes
 * between files.
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

#include "journal/journal_segment.h"

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

struct journal;

/* One sync that made appends durable. */
struct journal_synced {
    uint64_t elapsed_ns;   /* Of the file's last sync. */
    uint32_t append_count; /* At least one. */
};

struct journal_options {
    const char *path; /* Keeps. The directory, which exists at journal_load. */
    struct journal_naming naming;
    struct slice header;          /* Keeps. Starts each new segment; may be empty. */
    uint64_t allocate_step_bytes; /* Extends the active segment with zeros in such steps; 0: no. */
    bool allocate_sparse;         /* Zeros without disk blocks behind them. */
    uint64_t queued_bytes_max;    /* Bytes submitted and not yet written; 0: 64 MiB. */
    /* For figures: before the appends that it made durable are done. NULL: nobody counts. */
    void (*on_synced)(struct journal *journal, const struct journal_synced *synced);
    /* So many more bytes are written, durable ones among them; before their appends are done. NULL:
     * nobody asks. */
    void (*on_written)(struct journal *journal, uint64_t size);
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

enum journal_request_kind {
    JOURNAL_SYNC,
    JOURNAL_CLOSE,
    JOURNAL_TRUNCATE,
    JOURNAL_CLEAR,
    JOURNAL_DROP_RENAMED,
    JOURNAL_DROP_UNLINKED,
};

/* Waits for durability, a truncation or a drop. The caller sets done. */
struct journal_request {
    struct list link;
    enum journal_request_kind kind;
    struct journal_position position;
    /* ERR_OK, or ERR_IO once the disk has failed. Never runs inside the function that started it.
     */
    void (*done)(struct journal_request *request, enum err err);
};

/* What a journal does with its one control operation at a time. */
enum journal_step {
    JOURNAL_IDLE,
    JOURNAL_SYNC_FILE,
    JOURNAL_OPEN_DIRECTORY,
    JOURNAL_SYNC_DIRECTORY,
    JOURNAL_CLOSE_DIRECTORY,
    JOURNAL_OPEN_FILE,
    JOURNAL_TRUNCATE_FILE,
    JOURNAL_SYNC_TRUNCATED,
    JOURNAL_REMOVE_FILE,
    JOURNAL_DEFER,
};

struct journal_writer;

struct journal {
    struct journal_disk *disk;
    struct journal_options options;
    bool is_started;
    struct list segments; /* By base, ascending. The last one takes the appends. */
    uint32_t segment_count;
    uint64_t queued_bytes;
    struct list queue;             /* Appends that are not yet being written. */
    struct list unsynced;          /* Durable appends that are written. */
    struct list syncs;             /* journal_sync and journal_close requests, by position. */
    struct list structural;        /* Truncations and drops, in order. */
    struct list waiting_link;      /* In disk->waiting. */
    struct list polled_link;       /* In disk->polled. */
    struct journal_writer *writer; /* NULL unless a write is in flight. */
    bool is_cleaning; /* A sync is under way that nobody waits for: see journal_clean. */
    struct journal_segment *durable_segment; /* All before it is durable; NULL: no segments. */
    struct journal_position sync_wanted;     /* Somebody waits until all before it is durable. */
    uint32_t writes_since_sync;
    enum journal_step step; /* Of control_op. */
    struct io_op control_op;
    struct journal_segment *control_segment;
    uint64_t control_bytes;
    struct journal_open control_open;
    int32_t directory; /* Open during a directory sync. */
    bool is_sync_turn; /* Syncs and structural requests take turns. */
    uint64_t write_count;
    uint64_t sync_count;
    uint64_t sync_started_ns;
    uint64_t sync_ns_last;      /* How long the last one took. */
    uint64_t synced_count_last; /* Appends that it made durable, if any. */
};

/* Keeps disk and what options point at. */
void journal_init(struct journal *journal, struct journal_disk *disk,
                  struct journal_options options);

/* Finds the segments: with their files' sizes as size_bytes, by base. Waits for the disk: at start
 * only. ERR_NOT_FOUND: no directory; ERR_PERMISSION, ERR_IO, ERR_NO_MEMORY; ERR_CORRUPT: something
 * called like a segment is no regular file. */
MUST_CHECK enum err journal_load(struct journal *journal);

/* The same for whoever lists the directory for other reasons too: each name that is found, then the
 * sizes. Other files' names are passed over. */
MUST_CHECK enum err journal_load_name(struct journal *journal, const char *name);
MUST_CHECK enum err journal_load_sizes(struct journal *journal);

struct journal_start_options {
    /* Where the valid bytes end: later segments are unlinked, the segment's file is cut there.
     * base need not be that of a segment: all from there on are unlinked then. */
    struct journal_position end;
    bool is_cleared; /* No file stays, wherever end is, and journal_roll may begin at any base. */
    /* Segments from this base on are synced, with their directory: they may lie in the page cache
     * only, after a kill. UINT64_MAX: none, they are known to be durable. */
    uint64_t sync_base;
};

/* Appends are possible from now on. Waits for the disk: at start only. ERR_IO: on_failed has run;
 * ERR_NO_SPACE. */
MUST_CHECK enum err journal_start(struct journal *journal, struct journal_start_options options);

/* The same without waiting. True: all is as it should be, done does not run. A field of whoever
 * waits, who sets done. */
struct journal_starting {
    struct journal *journal;
    struct journal_request request;
    void (*done)(struct journal_starting *starting, enum err err);
};
bool journal_start_begin(struct journal *journal, struct journal_starting *starting,
                         struct journal_start_options options);

/* For a directory that holds no segment yet; does not wait. */
void journal_start_empty(struct journal *journal);

/* What journal_append would say about size more bytes: ERR_NO_SPACE: the disk's reserve is reached;
 * ERR_LIMIT: queued_bytes_max is; ERR_IO: the disk has failed. */
MUST_CHECK enum err journal_admit(struct journal *journal, uint64_t size);

/* Takes append until done. Fills segment, offset and size. The journal has a segment: journal_roll
 * makes the first one. Errors as journal_admit: append is untouched then. */
MUST_CHECK enum err journal_append(struct journal *journal, struct journal_append *append);

/* Later appends go to a new segment, whose base is above the last one's. The file is created, and
 * everything before it synced, in the background. ERR_NO_MEMORY. */
MUST_CHECK enum err journal_roll(struct journal *journal, uint64_t base);

/* done when everything submitted so far is durable. Takes request until done. */
void journal_sync(struct journal *journal, struct journal_request *request);

/* Cuts everything from position on, durably; later segments are unlinked, newest first. No append
 * may be open, and none be submitted until done. Waits for the users of the segment that is cut.
 * A segment that would keep less than its header goes too. position.base need not be that
 * of a segment. Takes request until done. */
void journal_truncate(struct journal *journal, struct journal_request *request,
                      struct journal_position position);

/* The same for all segments: no file stays, and journal_roll may begin at any base. */
void journal_clear(struct journal *journal, struct journal_request *request);

/* Removes, oldest first, the segments in front of the one that holds base (the highest at or below
 * it): their files are renamed to <name>.deleted, or unlinked. What remains is without holes at
 * every moment. Cuts and reads in progress stay valid. Waits until the last segment's name is
 * durable; it always stays. Takes request until done. */
void journal_drop(struct journal *journal, struct journal_request *request, uint64_t base);
void journal_drop_unlinked(struct journal *journal, struct journal_request *request, uint64_t base);

/* The segment with this base, NULL: none. */
struct journal_segment *journal_segment_find(struct journal *journal, uint64_t base);

/* The segment with the highest base at or below base, NULL: none. */
struct journal_segment *journal_segment_at(struct journal *journal, uint64_t base);

/* First and last, NULL: there is none; the one behind, NULL: it was the last. */
struct journal_segment *journal_segment_first(struct journal *journal);
struct journal_segment *journal_segment_last(struct journal *journal);
struct journal_segment *journal_segment_next(struct journal_segment *segment);

/* Where the next append goes; before the first roll: base 0, offset 0. */
struct journal_position journal_end(const struct journal *journal);

/* Everything before it survives a power loss. */
struct journal_position journal_durable(const struct journal *journal);

/* Whether an operation of its own is on its way: until that has ended, its memory must stay. */
bool journal_is_in_flight(const struct journal *journal);

/* Whether no operation is in flight or queued, of the journal or of a file of it. */
bool journal_is_at_rest(const struct journal *journal);

/* The directory has been renamed, and options.path, whose bytes the user has changed in place, says
 * how; it is no longer than before. The journal is at rest, since before the rename. */
void journal_follow_rename(struct journal *journal);

/* Syncs, then gives up the segments: done when that is so. Handles are closed once their users are
 * gone. No append may follow; the journal may be initialised again afterwards. Takes request until
 * done. */
void journal_close(struct journal *journal, struct journal_request *request);

/* Gives back the segments at once, after a load or start that failed. Nothing may be in flight. */
void journal_deinit(struct journal *journal);

/* For the disk: syncs what is written, so that its files can be closed. */
void journal_clean(struct journal *journal);

/* For the disk and the writer: starts whatever can be started. */
void journal_pump(struct journal *journal);

/* For the disk and the writer: whether the disk has failed; then everything that is not in flight
 * has been ended with ERR_IO. */
bool journal_has_failed(struct journal *journal);

/* For the writer: whether the journal may write now: it is not being cut. */
bool journal_may_write(const struct journal *journal);

/* For the writer: whether the segment's file may be made: the name of the one before is durable. */
bool journal_may_create(const struct journal_segment *segment);

#endif
