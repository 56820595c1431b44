/* Where each leader epoch of a partition starts: the record of who could have written what.
 *
 * Epochs and start offsets both grow. Followers and clients ask where an epoch ended to find out
 * whether their records are the leader's.
 *
 * Memory: one array from the heap. Shard: one owner.
 */
#ifndef BROKER_LEADER_EPOCHS_H
#define BROKER_LEADER_EPOCHS_H

#include "base/err.h"
#include "base/heap.h"
#include "base/macros.h"

struct leader_epoch {
    int32_t epoch;
    int64_t start_offset;
};

struct leader_epochs {
    struct heap *heap;
    struct leader_epoch *entries; /* [count], ascending. */
    uint32_t count;
    uint32_t capacity;
};

enum { leader_epoch_count_max = 100000 };

void leader_epochs_init(struct leader_epochs *epochs, struct heap *heap);
void leader_epochs_deinit(struct leader_epochs *epochs);

/* -1: none. */
int32_t leader_epochs_latest(const struct leader_epochs *epochs);

/* The epoch starts at start_offset. Changes nothing if it is the latest one already; an older one
 * is ignored too. Entries at or above start_offset are replaced (nothing was written in them).
 * *changed tells whether the checkpoint must be written. ERR_NO_MEMORY; ERR_LIMIT. */
MUST_CHECK enum err leader_epochs_assign(struct leader_epochs *epochs, struct leader_epoch entry,
                                         bool *changed);

/* Nothing at or above end_offset is in the log any more. True: entries went. */
bool leader_epochs_cut_end(struct leader_epochs *epochs, int64_t end_offset);

/* Nothing below start_offset is in the log any more: the epoch that holds it now starts there. */
bool leader_epochs_cut_start(struct leader_epochs *epochs, int64_t start_offset);

/* OffsetForLeaderEpoch: the largest epoch at or below the asked one and the offset where the next
 * begins, log_end_offset for the latest. (-1, -1): it is newer than all, or nothing is known. Older
 * than all: itself, and the start of the oldest. */
struct leader_epoch leader_epochs_end_of(const struct leader_epochs *epochs, int32_t epoch,
                                         int64_t log_end_offset);

/* The epoch in which the record at offset was written; -1: not known. */
int32_t leader_epochs_at(const struct leader_epochs *epochs, int64_t offset);

/* leader-epoch-checkpoint. text holds leader_epochs_text_bytes. Returns the size. */
size_t leader_epochs_text_bytes(const struct leader_epochs *epochs);
size_t leader_epochs_encode(const struct leader_epochs *epochs, char *text, size_t capacity);

/* Replaces the entries. ERR_MALFORMED: also for epochs or offsets that do not grow;
 * ERR_UNSUPPORTED, ERR_NO_MEMORY, ERR_LIMIT. There are no entries then. */
MUST_CHECK enum err leader_epochs_decode(struct leader_epochs *epochs, struct slice text);

#endif
