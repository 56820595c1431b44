/* Deleting what a log directory no longer needs, a file at a time: the directories of deleted
 * partitions, and the .deleted segments of retention after their delay.
 *
 * Memory: a block with the path for each, from the heap. Shard: one owner.
 */
#ifndef SERVER_BROKER_PARTITION_REMOVAL_H
#define SERVER_BROKER_PARTITION_REMOVAL_H

#include "base/err.h"
#include "base/list.h"
#include "io/io.h"

struct log_directory;
struct partition_store;
struct removal;

/* Takes store out of the directory: as log_directory_delete. The checkpoints are written without
 * the partition before done, and its mark is erased, durably: a later one of its name must not find
 * them. */
void partition_removal_delete(struct log_directory *directory, struct partition_store *store,
                              void (*done)(void *context, enum err err), void *context);

/* Unlinks path, a file or (is_directory) a directory with the files in it, after delay_ms. Without
 * memory it stays until the next start. */
struct removal_options {
    const char *path; /* Borrows. */
    int64_t delay_ms;
    bool is_directory;
};
void partition_removal_add(struct log_directory *directory, struct removal_options options);

/* The same in two steps, so that memory cannot lack when it must be done. NULL: it lacks. What is
 * not used is given back with heap_give. */
struct removal *partition_removal_reserve(struct log_directory *directory);
void partition_removal_use(struct removal *removal, struct removal_options options);

/* Starts what is due: one at a time, the next one when it has ended. */
void partition_removal_tick(struct log_directory *directory);

/* A set of checkpoints has been written, or could not be. */
void partition_removal_on_checkpoint(struct log_directory *directory);

/* Marks have been erased or synced, or the directory is offline. */
void partition_removal_on_marks(struct log_directory *directory);

/* Gives back the memory: the files stay until the next start. */
void partition_removal_forget_all(struct log_directory *directory);

/* Something has ended that a deletion may wait for. */
void partition_removal_on_idle(struct log_directory *directory);

#endif
