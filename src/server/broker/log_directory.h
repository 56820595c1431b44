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

#include "base/diag.h"
#include "base/hash_table.h"
#include "base/heap.h"
#include "broker/meta_properties.h"
#include "broker/partition_config.h"
#include "broker/topic_id.h"
#include "io/io.h"

struct log_directory;
struct partition_store;

struct log_directory_events {
    void *context;
    /* The configuration of a partition that load found on the disk. */
    struct partition_config (*config_of)(void *context, struct slice topic, int32_t partition);
    /* More can be read, or the start moved, or the partition went offline. */
    void (*on_progress)(void *context, struct partition_store *store);
    /* The directory failed: every partition on it is offline. */
    void (*on_offline)(void *context, struct log_directory *directory, const char *reason);
};

struct log_directory_options {
    const char *path;                     /* Keeps. */
    int64_t flush_checkpoint_ms;          /* Recovery points and log starts: 60000. */
    int64_t high_watermark_checkpoint_ms; /* 5000 */
    int64_t retention_check_ms;           /* 300000 */
    int64_t producer_id_expiration_ms;    /* 86400000 */
    uint32_t producer_count_max;          /* Of all partitions of the directory. */
    uint32_t open_file_count_max;         /* Of segments; the least recently used are closed. */
    uint32_t partition_count_max;
};

struct log_directory_options log_directory_options_default(const char *path);

/* ERR_NO_MEMORY. Keeps io, heap, diag, and what events points to. */
MUST_CHECK enum err log_directory_init(struct log_directory **directory, struct io *io,
                                       struct heap *heap, struct diag *diag,
                                       struct log_directory_options options,
                                       struct log_directory_events events);

/* Stops without a clean end: what a crash would leave. No operation may be in flight in the world
 * of the process (a simulated crash drops them). */
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
 * another cluster or broker: stop. May be asked before load as well as after it. */
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
};
void log_directory_create(struct log_directory *directory, struct partition_spec spec,
                          void (*done)(void *context, enum err err, struct partition_store *store),
                          void *context);

/* Takes store: from now on it is not found. Its directory is renamed at once, and unlinked after
 * the topic's file_delete_delay_ms, in slices. done runs when the rename is durable. Appends and
 * reads in flight end with KAFKA_STORAGE_ERROR or as if nothing happened. */
void log_directory_delete(struct log_directory *directory, struct partition_store *store,
                          void (*done)(void *context, enum err err), void *context);

/* Starts what is due: checkpoints, retention, unlinking, expiry of producers, rolling by time. Call
 * it about once a second. */
void log_directory_tick(struct log_directory *directory);

/* A clean end: no appends are taken any more; those in flight end first. Then all is synced, the
 * checkpoints and the clean-shutdown file are written, the lock is released. */
void log_directory_close(struct log_directory *directory, void (*done)(void *context, enum err err),
                         void *context);

#endif
