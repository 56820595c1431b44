/* The storage of one partition: its segments on the disk, its offsets, its producers and epochs.
 *
 *   append -> offsets, epoch and index entry are decided at once, the bytes wait their turn
 *          -> one vectored write for all that wait (one copy: receive buffer to page cache)
 *          -> done if PARTITION_WRITTEN is enough, else one fdatasync for all that wait
 *   read   -> a range of a segment file, to be sent without copying
 *
 * Offsets: log_start_offset <= high_watermark <= reached_offset <= log_end_offset. A record is
 * reached when it and all before it have the durability that their append asked for. Consumers read
 * below the high watermark, which is the reached offset or, in a replicated partition, what
 * partition_store_raise_high_watermark says. Replicas read whatever is written.
 *
 * A follower's Fetch says that it has everything below the offset that it asks for. So where
 * acks=all means durable, a follower asks for what is behind its reached_offset, not behind its log
 * end.
 *
 * Memory: about 500 bytes for an idle partition; a writer of some KiB while appends are in flight
 * and index entries wait. Shard: one owner.
 */
#ifndef SERVER_BROKER_PARTITION_STORE_H
#define SERVER_BROKER_PARTITION_STORE_H

#include "base/slice.h"
#include "broker/error_code.h"
#include "broker/leader_epochs.h"
#include "broker/partition_config.h"
#include "broker/producer_state.h"
#include "broker/record_batch.h"
#include "broker/segment_index.h"
#include "broker/topic_id.h"
#include "io/io.h"
#include "journal/journal.h"
#include "server/broker/partition_watermark.h"

struct log_directory;
struct partition_cut;
struct partition_recent;

/* One segment: what the journal does not know of it. */
struct partition_segment {
    struct list link; /* In store->segments, by base. */
    struct partition_store *store;
    struct journal_segment *file;
    struct segment_index index;
    int64_t created_ms;
    int64_t first_timestamp_ms; /* Largest of its first batch; -1: none yet. */
    struct list flush_link; /* In the directory's flushes, while its index waits for the disk. */
    bool is_sealed;         /* It takes no more batches. */
    bool is_flushing;
    bool is_index_complete; /* Sealed, and its index files are written and synced. */
    bool is_dropped;        /* No longer in store->segments: goes when the flush ends. */
};

enum { partition_index_block_entries = 512 };

/* The entries of an .index file that the last scan came by: the next read is mostly behind it. */
struct partition_index_block {
    int64_t base_offset; /* Of the segment; -1: nothing is known. */
    uint32_t count;
    uint32_t file_count; /* Of the file, at that time. */
    bool is_file_end;    /* No entry was behind them. */
    bool is_used;        /* Since partition_store_rest. */
    uint8_t entries[partition_index_block_entries * offset_entry_bytes];
};

struct partition_store {
    struct log_directory *directory;
    struct hash_link link; /* In directory->stores. */
    struct journal journal;
    struct list segments; /* Ascending; the last one takes the appends. Empty only before load. */
    struct list appends;  /* Not yet done, by offset. */
    struct partition_config config;
    struct topic_id id;
    struct leader_epochs epochs;
    struct producer_state producers;
    struct partition_recent *recent; /* NULL: no append since the segment began or for a while. */
    struct partition_index_block
        *index_block; /* NULL: no read went by way of a file for a while. */
    void *user;
    const char *offline_reason;
    int64_t log_start_offset;
    int64_t high_watermark;
    struct partition_watermark watermark;
    uint64_t written_total; /* Bytes, since it was loaded. */
    int64_t log_end_offset;
    int64_t durable_offset;    /* Everything below survives a power loss. */
    int64_t sync_asked_offset; /* Everything below survives soon: an append asked for it. */
    int64_t recovery_point;    /* Of the latest checkpoint; -1: none. */
    int64_t synced_mark;       /* At load: what rookery-synced says; -1: nothing. */
    uint64_t mark_sequence;
    uint32_t mark_slot;   /* UINT32_MAX: none yet. */
    int32_t leader_epoch; /* -1: not leading. */
    int32_t partition;
    uint32_t cut_count;        /* Truncations ever. */
    struct partition_cut *cut; /* The truncation that is on its way, or NULL. */
    uint32_t busy_count;       /* Scans, flushes and files that need the store to stay. */
    bool is_deleting;
    bool is_future;       /* A copy that is to take the place of the partition's store elsewhere. */
    bool is_contested;    /* It may be of an earlier time (replica_moves.h). */
    bool is_left;         /* Another log directory may have a twin of it. */
    bool is_frozen;       /* Nothing changes its end: its copy is about to take its place. */
    bool is_changed;      /* Appended to since the last snapshot of its producers. */
    bool is_recent_used;  /* Appended to since partition_store_rest. */
    bool is_epoch_unused; /* The epoch that is led in has no batch yet, and no line in the */
    bool is_epochs_dirty; /* leader-epoch-checkpoint, which is to be written. */
    int64_t epochs_dirty_from;   /* What it says of offsets from there on is not so; INT64_MAX:  */
    int64_t epochs_writing_from; /* nothing. The same of what is being written just now. */
    bool is_metadata_dirty;      /* partition.metadata is to be written. */
    bool is_writing;             /* One of these two. */
    bool is_requesting;          /* request is the journal's. */
    struct list mark_link;       /* In the directory's marks, while its mark waits for the disk. */
    struct list rest_link;       /* In the directory's busy_stores: partition_store_rest is due. */
    struct journal_request request;
    struct slice topic;
    char path[]; /* Of its directory; the topic's name is a part of it. */
};

/* What readers may ask of a store at any time. */
struct slice partition_store_topic(const struct partition_store *store); /* Lends. */
int32_t partition_store_partition(const struct partition_store *store);
const struct topic_id *partition_store_topic_id(const struct partition_store *store);
const struct partition_config *partition_store_config(const struct partition_store *store);
int64_t partition_store_log_start_offset(const struct partition_store *store);
int64_t partition_store_high_watermark(const struct partition_store *store);
int64_t partition_store_log_end_offset(const struct partition_store *store);
int32_t partition_store_leader_epoch(const struct partition_store *store); /* -1: never led. */
uint64_t partition_store_size_bytes(const struct partition_store *store);

/* Everything below has the durability that it was appended with, so it is what this replica has for
 * certain. At least the high watermark. on_progress tells of its moves. */
int64_t partition_store_reached_offset(const struct partition_store *store);

/* Whether there are other replicas, whose word it takes to move the high watermark. The first call
 * after a start lets it begin where the checkpoint says. Not replicated (the default): it is the
 * reached offset. */
void partition_store_set_replicated(struct partition_store *store, bool is_replicated);

/* Of a replicated partition: moves the high watermark to offset, or to the reached offset if that
 * is less. It never goes back. */
void partition_store_raise_high_watermark(struct partition_store *store, int64_t offset);

/* Grows with whatever becomes readable for replicas. */
uint64_t partition_store_written_total(const struct partition_store *store);

/* NULL: the partition is online. Otherwise why not, for people; every request gets
 * KAFKA_STORAGE_ERROR. */
const char *partition_store_offline_reason(const struct partition_store *store);

/* A pointer of the owner's own, NULL at first. */
void partition_store_set_user(struct partition_store *store, void *user);
void *partition_store_user(const struct partition_store *store);

/* The topic's configuration has changed. */
void partition_store_configure(struct partition_store *store, struct partition_config config);

/* The topic id that the cluster says: written to partition.metadata if there is none yet. False:
 * the directory belongs to another id (INCONSISTENT_TOPIC_ID). */
bool partition_store_adopt_topic_id(struct partition_store *store, struct topic_id id);

/* This broker leads the partition from now on, in this epoch: remembers where the epoch starts.
 * Epochs never go back; the same one again changes nothing. partition_store_set_replicated comes
 * first. */
void partition_store_lead(struct partition_store *store, int32_t leader_epoch);

enum partition_durability {
    PARTITION_WRITTEN, /* In the page cache: survives the process. */
    PARTITION_DURABLE, /* On the disk: survives the machine. */
};

/* One records field on its way. A field of whoever waits. */
struct partition_append {
    /* The caller's: set before, kept until done. */
    uint8_t *data; /* Whole batches that record_validator_check accepted; stamped in place. */
    uint32_t size;
    enum partition_durability durability; /* flush.messages may raise it. */
    void (*done)(struct partition_append *append, enum error_code code);
    /* NULL allowed. Runs before done when the append has what it asked for, but not everything in
     * front of it has: consumers do not see it yet. */
    void (*written)(struct partition_append *append);
    /* Results, valid once partition_store_append has returned NONE. */
    int64_t base_offset;
    int64_t last_offset;
    int64_t log_append_time_ms; /* -1 for CreateTime. */
    int64_t log_start_offset;
    bool
        is_duplicate; /* Already in the log: nothing is written, the offsets are the first ones'. */
    /* The store's. */
    struct partition_store *store;
    struct list link; /* In store->appends, by offset. */
    struct journal_append journal;
    struct iovec vector;
    bool is_reached; /* It has the durability that it asked for. */
};

/* NONE: append->done will run, with NONE or with KAFKA_STORAGE_ERROR (disk full, or directory
 * offline), never before this returns. Otherwise the code to answer, and done does not run:
 * OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, RECORD_LIST_TOO_LARGE, KAFKA_STORAGE_ERROR,
 * NOT_LEADER_OR_FOLLOWER (partition_store_lead was never called), THROTTLING_QUOTA_EXCEEDED (too
 * many bytes wait for the disk; the caller had better stop reading from the client). */
enum error_code partition_store_append(struct partition_store *store,
                                       struct partition_append *append);

/* A follower's append: whole batches as the leader made them, which keep offsets and epochs; data
 * is not changed. Results and callbacks as partition_store_append, and no partition_store_lead is
 * needed. Otherwise: OFFSET_OUT_OF_RANGE: the first batch begins below the log end;
 * CORRUPT_MESSAGE: a checksum, a header or offsets that do not grow;
 * UNSUPPORTED_FOR_MESSAGE_FORMAT: a magic below 2; KAFKA_STORAGE_ERROR, THROTTLING_QUOTA_EXCEEDED.
 * base_offset is that of the first batch, or -1. */
enum error_code partition_store_copy(struct partition_store *store,
                                     struct partition_append *append);

/* The leader's log begins at offset: ours does too, but not behind the high watermark. */
void partition_store_follow_log_start(struct partition_store *store, int64_t offset);

/* The epoch of the last batch, or one that began behind it; -1: none is known. */
int32_t partition_store_latest_epoch(const struct partition_store *store);

/* What a read and a lookup have in common: the store's own. */
struct partition_wait {
    struct list link; /* In the directory's scans_waiting, or nowhere. */
    struct partition_store *store;
    bool is_lookup;
};

/* A range of a segment to send. A field of whoever waits. */
struct partition_read {
    /* The caller's. */
    int64_t offset;  /* From the batch that holds it. */
    bool to_log_end; /* For replicas; consumers read below the high watermark. */
    uint32_t bytes_max;
    bool at_least_one; /* The first batch is returned whole even if it is larger. */
    void (*done)(struct partition_read *read, enum error_code code);
    /* Results. size 0: nothing to read at offset. */
    int32_t file;
    uint32_t size;
    uint64_t position;
    uint32_t *users; /* Already counted up once for the caller: give it to a net_cut, or count it
                        down. NULL if size is 0. */
    struct partition_wait wait; /* The store's. */
};

/* True: the results (and *code) are there now, from memory; done does not run. False: done will
 * run. Codes: NONE, OFFSET_OUT_OF_RANGE (below the log start or above the log end),
 * KAFKA_STORAGE_ERROR. The range begins with the batch that holds offset and may end inside a batch
 * (Kafka's clients drop a partial tail), but holds at least one whole batch if at_least_one. */
bool partition_store_read(struct partition_store *store, struct partition_read *read,
                          enum error_code *code);

/* ListOffsets. */
enum {
    PARTITION_LATEST = -1,        /* The high watermark, or the log end. */
    PARTITION_EARLIEST = -2,      /* The log start. */
    PARTITION_MAX_TIMESTAMP = -3, /* The record with the largest timestamp. */
    PARTITION_EARLIEST_LOCAL = -4,
};

struct partition_lookup {
    /* The caller's. */
    int64_t timestamp_ms; /* Or one of the above. */
    bool to_log_end;      /* For replicas; consumers find what is below the high watermark. */
    void (*done)(struct partition_lookup *lookup, enum error_code code);
    /* Results; -1 each when no record matches. */
    int64_t offset;
    int64_t timestamp_found_ms;
    int32_t leader_epoch;
    struct partition_wait wait; /* The store's. */
};

/* As partition_store_read: true means that the results are there now. */
bool partition_store_lookup(struct partition_store *store, struct partition_lookup *lookup,
                            enum error_code *code);

/* OffsetForLeaderEpoch: the largest epoch <= epoch and where it ends; -1 and -1: unknown. */
struct partition_epoch_end {
    int32_t leader_epoch;
    int64_t end_offset;
};
struct partition_epoch_end partition_store_epoch_end(const struct partition_store *store,
                                                     int32_t leader_epoch);

/* DeleteRecords: nothing below offset (-1: the high watermark) is readable any more. NONE with
 * *log_start_offset, or OFFSET_OUT_OF_RANGE. Files go with the next retention. */
enum error_code partition_store_delete_records(struct partition_store *store, int64_t offset,
                                               int64_t *log_start_offset);

/* ---- For the log directory, the loader and scans. ---- */

/* A store without segments, not yet in a directory's table. NULL: no memory. */
struct partition_store *partition_store_take(struct log_directory *directory, struct slice topic,
                                             int32_t partition, struct partition_config config);

/* The same for a future one, whose directory has this name. */
struct partition_store *partition_store_take_future(struct log_directory *directory,
                                                    struct slice topic, int32_t partition,
                                                    struct partition_config config,
                                                    const char *name);

/* Gives back its memory; nothing of it is in flight. */
void partition_store_give(struct partition_store *store);

/* An empty segment behind the last one. ERR_NO_MEMORY. */
MUST_CHECK enum err partition_store_add_segment(struct partition_store *store, int64_t base_offset);

/* What load has found of a segment that exists in the journal. NULL: no memory. */
struct partition_segment *partition_store_adopt_segment(struct partition_store *store,
                                                        struct journal_segment *file);

/* The segment that holds offset (or would), the one behind, the offset where it ends. */
struct partition_segment *partition_store_segment_at(struct partition_store *store, int64_t offset);
struct partition_segment *partition_store_segment_after(struct partition_store *store,
                                                        struct partition_segment *segment);
int64_t partition_store_segment_end(struct partition_store *store,
                                    struct partition_segment *segment);
struct partition_segment *partition_store_active(struct partition_store *store);

/* Where a reader of the segment must stop. */
uint64_t partition_store_read_limit(struct partition_store *store,
                                    struct partition_segment *segment, bool to_log_end);

/* Begins a new active segment at the log end. ERR_NO_MEMORY. */
MUST_CHECK enum err partition_store_roll(struct partition_store *store);

/* Retention: removes what is due, starting a drop. */
void partition_store_retain(struct partition_store *store, int64_t now_ms);

/* Takes the segment's memory back if its index is not being written. */
void partition_store_give_segment(struct partition_segment *segment);

/* All appends in flight end with STORAGE_ERROR, all requests from now on too. reason: constant. */
void partition_store_fail(struct partition_store *store, const char *reason);

/* Called now and then: gives back what only a partition with appends needs. False: nothing is left
 * of that. */
bool partition_store_rest(struct partition_store *store);

/* Whether appends and changes are possible: KAFKA_NONE. THROTTLING_QUOTA_EXCEEDED: soon again. */
enum error_code partition_store_check(const struct partition_store *store);

/* Appends together: what must_roll and the indexes need to know of them. */
struct partition_extent {
    int64_t last_offset;
    int64_t max_timestamp_ms;
    uint32_t size;
};

/* A new segment if the extent belongs into one. ERR_NO_MEMORY. */
MUST_CHECK enum err partition_store_roll_if_due(struct partition_store *store,
                                                struct partition_extent extent);
/* The batch goes to position of the active segment: into its index and the recent ones. */
void partition_store_index_batch(struct partition_store *store, const struct record_batch *batch,
                                 uint32_t position);
/* Stamped or checked, and admitted by the journal. */
void partition_store_write(struct partition_store *store, struct partition_append *append);

/* The epochs of offsets from there on have changed: until leader-epoch-checkpoint is written
 * (log_directory_queue_metadata says when), recovery must read the batches again. */
void partition_store_doubt_epochs(struct partition_store *store, int64_t offset);

/* A batch is about to be appended at the log end, whoever made it: from now on the epoch that is
 * led in, or was, is no longer one that nobody needs to remember. */
void partition_store_use_epoch(struct partition_store *store);

void partition_store_move_log_start(struct partition_store *store, int64_t offset);
void partition_store_forget_recent(struct partition_store *store);

/* What recovery may skip: everything below is on the disk, indexes included. */
int64_t partition_store_recovery_point(const struct partition_store *store);

#endif
