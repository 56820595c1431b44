/* Truncation of a partition: a follower takes back what its leader does not have, or begins anew
 * where its leader's log begins.
 *
 *   idle -> promise -> checkpoints -> snapshots -> scan -> journal -> done
 *
 * Nothing of the store is in flight and nothing begins meanwhile: requests are answered with
 * NOT_LEADER_OR_FOLLOWER. What is promised to be on the disk (the synced mark, the recovery point)
 * is lowered durably before a byte goes, so a power loss at any moment leaves a log that the next
 * start takes: the old one, the new one, or one in between. The log start is lowered with it, for a
 * start above the new end would swallow what comes there; so after a power loss in the middle
 * consumers may see again what was deleted between both. Producers are what the newest snapshot
 * at or below the cut and the batches behind it say; the indexes of the segment that is cut are
 * made anew; both by one walk along the batch headers.
 *
 * Memory: a buffer and the list of files from the heap, until done. Shard: the store's.
 */
#ifndef SERVER_BROKER_PARTITION_CUT_H
#define SERVER_BROKER_PARTITION_CUT_H

#include "broker/error_code.h"
#include "broker/producer_state.h"
#include "journal/journal.h"
#include "server/broker/index_flush.h"

struct partition_store;
struct log_directory;

enum partition_cut_step {
    CUT_WAIT,       /* Until nothing of the store is in flight. */
    CUT_PROMISE,    /* The lower mark is written and synced. */
    CUT_CHECKPOINT, /* So are the recovery point and the log start. */
    CUT_UNLINK,     /* Snapshots above the cut, and index files of the segments that go. */
    CUT_SNAPSHOT,   /* The newest one at or below the cut is read. */
    CUT_BEGIN_SCAN,
    CUT_SCAN,
    CUT_FLUSH, /* Index entries, in the middle of the scan. */
    CUT_JOURNAL,
    CUT_START /* The checkpoint says where the log begins, if that is lower or no file's name. */
};

/* A field of whoever waits. */
struct partition_cut {
    /* The caller's: set before, kept until done. */
    int64_t offset;   /* Nothing at or above it stays. */
    bool begins_anew; /* Nothing at all stays: the log is empty and begins at offset. */
    /* Never inside partition_store_cut. NONE or KAFKA_STORAGE_ERROR. */
    void (*done)(struct partition_cut *cut, enum error_code code);
    /* The store's. */
    struct partition_store *store;
    struct list link; /* In the directory's cuts. */
    enum partition_cut_step step;
    int64_t floor; /* The recovery point until it has ended. */
    int64_t durable_before;
    uint64_t sync_number; /* Of the sync of the marks that it waits for; 0: not yet known. */
    uint64_t set_number;  /* Of the set of checkpoints. */
    bool is_busy;         /* An operation is in flight, or the scan goes on. */
    bool has_failed;
    struct list names;       /* Of files that go. */
    int64_t snapshot_offset; /* -1: there is none. */
    struct producer_state producers;
    int64_t replay_from;
    int64_t scan_base; /* Of the segment being read. */
    int64_t last_base; /* Of the one that is cut. */
    int64_t next_offset;
    uint64_t position;
    uint8_t *buffer;
    size_t buffer_bytes;
    size_t got; /* Bytes in it: a read may be short. */
    int32_t handle;
    struct io_op op;
    struct journal_read read;
    struct journal_request request;
    struct index_flush flush;
    char path[index_flush_path_bytes];
};

/* Begins; the store has no other one under way (asserted). An offset at or behind the log end
 * takes no batch; one below the first segment begins anew. */
void partition_store_cut(struct partition_store *store, struct partition_cut *cut);

/* For the log directory: goes on if what it waits for has come. */
void partition_cut_resume(struct log_directory *directory);

#endif
