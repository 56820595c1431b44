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

/* Takes store out of the directory: as log_directory_delete. The checkpoints are written without
 * the partition before done: a later one of its name must not find them. */
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

/* Starts what is due. */
void partition_removal_tick(struct log_directory *directory);

/* The store whose deletion a member of directory->removals is still about, or NULL. */
struct partition_store *partition_removal_store(struct list *link);
bool partition_removal_has_store(struct log_directory *directory);

/* A pair of checkpoints has been written, or could not be. */
void partition_removal_on_checkpoint(struct log_directory *directory);

/* Gives back the memory: the files stay until the next start. */
void partition_removal_forget_all(struct log_directory *directory);

/* Something of a store that is being deleted has ended. */
void partition_removal_on_idle(struct log_directory *directory, struct partition_store *store);

#endif
