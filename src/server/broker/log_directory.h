/* One entry of log.dirs: the partitions on it, its checkpoints, its lock and its meta.properties.
 *
 *   .lock  meta.properties  .kafka_cleanshutdown  <topic>-<p>/ ...
 *   recovery-point-offset-checkpoint  log-start-offset-checkpoint  replication-offset-checkpoint
 *   rookery-synced            ours: how far each partition is known to be on the disk
 *
 * Life: init, open (lock and meta.properties), load (all partitions; recovers after a crash),
 * identify (once the keeper has told the cluster's id), work, close (clean) or deinit (as a crash
 * would leave it). Open and load wait for the disk: at start only, not from a callback of io. The
 * others call back, never before they have returned.
 *
 * A failed write or sync that is not a full disk takes the whole directory offline: its partitions
 * answer KAFKA_STORAGE_ERROR and on_offline tells the owner.
 *
 * Memory: partitions and buffers from the heap. Shard: one owner.
 */
#ifndef SERVER_BROKER_LOG_DIRECTORY_H
#define SERVER_BROKER_LOG_DIRECTORY_H

#include "base/deadline_queue.h"
#include "base/diag.h"
#include "base/hash_table.h"
#include "base/heap.h"
#include "broker/meta_properties.h"
#include "broker/partition_config.h"
#include "broker/producer_state.h"
#include "broker/topic_id.h"
#include "io/io.h"
#include "journal/journal_disk.h"
#include "server/broker/directory_sync.h"
#include "server/broker/file_queue.h"
#include "server/broker/index_flush.h"
#include "server/broker/synced_marks.h"

struct log_directory;
struct partition_store;
struct partition_scan;

struct log_directory_events {
    void *context;
    /* The configuration of a partition that load found on the disk. */
    struct partition_config (*config_of)(void *context, struct slice topic, int32_t partition);
    /* The high watermark, the start, or what has been reached moved, or the partition went offline.
     */
    void (*on_progress)(void *context, struct partition_store *store);
    /* Replicas can read more. NULL: nobody asks. */
    void (*on_written)(void *context, struct partition_store *store);
    /* The directory failed: every partition on it is offline. */
    void (*on_offline)(void *context, struct log_directory *directory, const char *reason);
};

/* How far a clean end has come. */
struct log_directory_closing {
    void (*done)(void *context, enum err err);
    void *context;
    uint32_t open_count; /* Stores whose journals are still open. */
    uint32_t step;
    bool has_failed; /* Then no marker is written. */
};

struct log_directory_options {
    const char *path;                     /* Keeps. */
    int64_t flush_checkpoint_ms;          /* Recovery points and log starts: 60000. */
    int64_t high_watermark_checkpoint_ms; /* 5000 */
    int64_t retention_check_ms;           /* 300000 */
    int64_t producer_id_expiration_ms;    /* 86400000 */
    uint32_t producer_count_max;          /* Of all partitions of the directory. */
    uint32_t open_file_count_max;         /* Of segments; the least recently used are closed. */
    int64_t open_file_idle_ms;            /* One that is not used for so long is closed: 300000 */
    uint32_t partition_count_max;
    uint64_t reserve_bytes;            /* Of free space: no appends below it. 0: never asks. */
    uint64_t unpacked_batch_bytes_max; /* Lookups open no batch that becomes larger. */
    /* The disk's, whose user is the directory. */
    bool (*pass_write)(struct journal_disk *disk, struct io_op *op);
};

struct log_directory_options log_directory_options_default(const char *path);

enum log_directory_state { DIRECTORY_NEW, DIRECTORY_OPEN, DIRECTORY_LOADED, DIRECTORY_CLOSING };

enum { index_flush_count = 4, partition_scan_count = 16 };

struct log_directory {
    struct io *io;
    struct heap *heap;
    struct diag *diag;
    struct log_directory_options options;
    struct log_directory_events events;
    enum log_directory_state state;
    bool was_clean;
    bool has_meta;
    const char *offline_reason; /* NULL: it works. */
    struct meta_properties meta;
    struct journal_disk disk;
    struct hash_table stores;
    uint64_t hash_seed;
    struct producer_budget producers;
    int32_t lock;
    struct synced_marks marks;
    struct file_queue files;
    struct directory_sync sync; /* Of the directory itself: the names of partitions. */
    struct list busy_stores;    /* They hold what is given back when they rest. */
    struct list flushes;        /* Segments whose index waits for the disk. */
    struct index_flush flush_slots[index_flush_count];
    struct pool scans;
    struct list scans_waiting;
    struct list deferred; /* Appends that are done without a write. */
    struct io_op defer_op;
    bool is_deferring;
    struct list cuts;               /* Truncations. */
    struct list deletions;          /* Of partitions, until their directories are renamed. */
    struct deadline_queue removals; /* What is to be unlinked. */
    struct removal *removal;        /* Its operation is in flight. */
    uint32_t checkpoints_writing;
    uint64_t flush_checkpoint_at_ns;
    uint64_t high_watermark_checkpoint_at_ns;
    uint64_t retention_at_ns;
    uint64_t rest_at_ns;
    uint64_t expiry_at_ns;
    bool is_high_watermark_changed;
    bool has_checkpoint_failed;
    bool has_checkpoint_set_failed;
    bool is_writing_high_watermarks; /* Alone. */
    bool is_checkpoint_set_wanted;   /* After that. */
    bool has_stale_entries;          /* A checkpoint names partitions that are not here. */
    uint32_t checkpoint_set_count;   /* Files of the set that are on their way. */
    uint64_t checkpoint_begun;       /* Sets. */
    uint64_t checkpoint_ended;
    uint64_t flush_pause_until_ns; /* The disk was full: no index is written before. */
    struct log_directory_closing closing;
};

/* ERR_NO_MEMORY. Keeps io, heap, diag, and what events points to. */
MUST_CHECK enum err log_directory_init(struct log_directory **directory, struct io *io,
                                       struct heap *heap, struct diag *diag,
                                       struct log_directory_options options,
                                       struct log_directory_events events);

/* Gives back the memory, after the close, or an init that failed: nothing may be in flight. */
void log_directory_deinit(struct log_directory *directory);

/* Creates the directory if it is missing, locks it, reads meta.properties; afterwards
 * log_directory_meta tells what it says. Waits for the disk. ERR_BUSY: another process has it;
 * ERR_MALFORMED, ERR_UNSUPPORTED: meta.properties; ERR_IO, ERR_PERMISSION. A diag line says more.
 */
MUST_CHECK enum err log_directory_open(struct log_directory *directory);

/* NULL: the directory has none yet. */
const struct meta_properties *log_directory_meta(const struct log_directory *directory);

/* Loads every partition, and recovers them all if the last end was not clean. Waits for the disk.
 * ERR_CONFIG: an unrelated directory lies in it; ERR_IO, ERR_NO_MEMORY, ERR_LIMIT. Damage in one
 * partition is not an error: that partition is offline, and a diag line names file and place. */
MUST_CHECK enum err log_directory_load(struct log_directory *directory);

/* Writes meta.properties if it is missing, else compares. ERR_CONFIG: the directory belongs to
 * another cluster or broker: stop; ERR_NO_MEMORY, ERR_LIMIT. That it cannot be written takes the
 * directory offline. May be asked before load as well as after it. */
struct log_directory_identity {
    const char *cluster_id; /* Borrows. */
    int32_t broker_id;
};
void log_directory_identify(struct log_directory *directory, struct log_directory_identity identity,
                            void (*done)(void *context, enum err err), void *context);

/* NULL: not here. Offline partitions are found too. */
struct partition_store *log_directory_find(struct log_directory *directory, struct slice topic,
                                           int32_t partition);

/* All of them, in no order: start with *position zero and previous NULL; ends with NULL. */
struct partition_store *log_directory_next(struct log_directory *directory, uint64_t *position,
                                           struct partition_store *previous);

uint32_t log_directory_partition_count(const struct log_directory *directory);
bool log_directory_is_offline(const struct log_directory *directory);

/* A new, empty partition. Lends store in done; NULL with ERR_EXISTS, ERR_LIMIT
 * (partition_count_max), ERR_NO_MEMORY, ERR_NO_SPACE, ERR_IO. id may be none (no partition.metadata
 * then). */
struct partition_spec {
    struct slice topic; /* Borrows. */
    int32_t partition;
    struct topic_id id;
    struct partition_config config;
    bool is_future; /* The directory's name says so: it will take the place of another. */
};
void log_directory_create(struct log_directory *directory, struct partition_spec spec,
                          void (*done)(void *context, enum err err, struct partition_store *store),
                          void *context);

/* Takes store: from now on it is not found. Its directory is renamed at once, and unlinked after
 * the topic's file_delete_delay_ms, in slices. done runs when the rename is durable. ERR_CANCELED:
 * it is, but checkpoints or marks may still tell of the partition; another error: it may still have
 * its name. Appends and reads in flight end with KAFKA_STORAGE_ERROR or as if nothing happened. */
void log_directory_delete(struct log_directory *directory, struct partition_store *store,
                          void (*done)(void *context, enum err err), void *context);

/* Producers are forgotten after another time than options say. */
void log_directory_expire_producers_after(struct log_directory *directory, int64_t ms);

/* Starts what is due: checkpoints, retention, unlinking, expiry of producers, rolling by time. Call
 * it about once a second. */
void log_directory_tick(struct log_directory *directory);

/* A clean end: no appends are taken any more; those in flight end first. Then all is synced, the
 * checkpoints and the clean-shutdown file are written, the lock is released. A directory that has
 * not been opened or loaded only ends what its load has begun. */
void log_directory_close(struct log_directory *directory, void (*done)(void *context, enum err err),
                         void *context);

/* ---- For the stores, and the loader. ---- */

/* Puts a store into the table. */
void log_directory_add(struct log_directory *directory, struct partition_store *store);

/* The store holds something that partition_store_rest gives back. */
void log_directory_note_busy(struct log_directory *directory, struct partition_store *store);

/* Callbacks come from the loop, later: of an append that needs no write, of a scan, and on_idle. */
void log_directory_defer(struct log_directory *directory);
void log_directory_defer_append(struct log_directory *directory, struct list *append_link);
void log_directory_queue_scan(struct log_directory *directory, struct list *wait_link);
void log_directory_release_scan(struct log_directory *directory, struct partition_scan *scan);

/* The segment's index entries should be written soon. */
struct partition_segment;
void log_directory_queue_flush(struct log_directory *directory, struct partition_segment *segment);

/* The store's small files are out of date (is_metadata_dirty, is_epochs_dirty): they are written,
 * the epochs when a segment has ended since, when the directory closes, or for a future replica. */
void log_directory_queue_metadata(struct log_directory *directory, struct partition_store *store);

/* The producers as they are at the log end, into a .snapshot. */
void log_directory_write_snapshot(struct log_directory *directory, struct partition_store *store);

/* An unlink of a dropped segment's files: .log.deleted later, the others at once. */
void log_directory_remove_segment_files(struct log_directory *directory,
                                        const struct partition_store *store, int64_t base_offset);

/* Something ended that a deletion or the clean end may wait for. */
void log_directory_on_idle(struct log_directory *directory, struct partition_store *store);

/* Of a small file, which a full disk may leave as it was; any other failure takes the directory
 * offline. */
void log_directory_check_write(struct log_directory *directory, const char *what, const char *path,
                               int64_t result);

/* Of a file that must be there: takes the directory offline. */
void log_directory_check_read(struct log_directory *directory, const char *path, int64_t result);

/* A write or sync failed: no more work here. */
void log_directory_fail(struct log_directory *directory, const char *reason);

#endif
