/* rookery-synced: up to which offset each partition of a log directory is known to be on the disk.
 *
 * A record file that ends, or is damaged, below its mark has lost what was promised: the partition
 * is refused. What is broken above the mark is the torn end of a crash and is cut. Apache's brokers
 * ignore the file.
 *
 *   128 bytes: "ROOKERY SYNCED 1\n", zeros | slots of 128 bytes, one for each partition
 *   slot: two copies of 64 bytes, written in turns, the higher valid sequence counts
 *   copy: crc32c u32 of the rest | partition i32 | name u64 | topic id 16 | sequence u64 | offset
 * i64
 *
 * A mark is written after each group commit, without a sync of its own; the file is synced about
 * once a second. So after the end of the process marks are exact, after a power loss a second old.
 *
 * Memory: one number for each free slot. Shard: one owner.
 */
#ifndef SERVER_BROKER_SYNCED_MARKS_H
#define SERVER_BROKER_SYNCED_MARKS_H

#include "base/heap.h"
#include "broker/topic_id.h"
#include "io/io.h"

struct partition_store;

enum { synced_mark_bytes = 64, synced_slot_bytes = 128, synced_path_bytes = 512 };

struct synced_mark {
    int32_t partition;
    uint64_t name; /* synced_mark_name of the topic. */
    struct topic_id id;
    uint64_t sequence;
    int64_t offset;
};

uint64_t synced_mark_name(struct slice topic);
void synced_mark_encode(const struct synced_mark *mark, uint8_t out[synced_mark_bytes]);

/* False: damaged, or never written. */
bool synced_mark_decode(struct synced_mark *mark, const uint8_t in[synced_mark_bytes]);

struct synced_marks {
    struct io *io;
    struct heap *heap;
    int32_t handle; /* io_handle_none: not open. */
    uint32_t slot_count;
    uint32_t
        *free_slots; /* The first blank_count of them are blank, the others are to be erased. */
    uint32_t blank_count;
    uint32_t free_count;
    uint32_t free_capacity;
    struct list dirty; /* Stores, by mark_link. */
    struct partition_store *writing;
    bool is_erasing; /* free_slots[blank_count] */
    struct io_op op;
    struct iovec vector;
    uint8_t bytes[synced_mark_bytes];
    bool is_sync_wanted;
    bool is_syncing;
    uint64_t sync_begun; /* Syncs ever. */
    uint64_t sync_ended;
    uint64_t erased_by; /* The sync that makes the last erasure durable. */
    struct io_op sync_op;
    void *context;
    void (*on_failed)(void *context, const char *what, int64_t result);
    char path[synced_path_bytes];
};

/* Opens or makes the file in directory, and shows each mark to visit, which says whether it belongs
 * to a partition; others are erased, durably. Waits for the disk. ERR_IO, ERR_NO_MEMORY,
 * ERR_UNSUPPORTED (of a later version). */
MUST_CHECK enum err synced_marks_open(
    struct synced_marks *marks, struct io *io, struct heap *heap, const char *directory,
    bool (*visit)(void *context, uint32_t slot, const struct synced_mark *mark), void *context);

/* The store's durable_offset has changed: writes its mark soon. */
void synced_marks_note(struct synced_marks *marks, struct partition_store *store);

/* The store goes away: its slot is erased and becomes free. Nothing of it is in flight any more. */
bool synced_marks_is_busy_with(const struct synced_marks *marks,
                               const struct partition_store *store);
void synced_marks_forget(struct synced_marks *marks, struct partition_store *store);

/* Starts the sync of what was written, if there is something. */
void synced_marks_sync(struct synced_marks *marks);

bool synced_marks_is_idle(const struct synced_marks *marks);

/* Whether no mark of a store that went away can be found after a power loss. */
bool synced_marks_is_clean(const struct synced_marks *marks);

#endif
