/* A copy of a partition that is made in another log directory (-future), and the store that it is
 * copied from, both of this broker: where they part, what else the copy takes over, and how it
 * takes the other one's place.
 *
 * Memory: the producers' snapshot, until return. Shard: the stores'.
 */
#ifndef SERVER_BROKER_PARTITION_FUTURE_H
#define SERVER_BROKER_PARTITION_FUTURE_H

#include "server/broker/partition_store.h"

/* A file in the directory of a copy, from before it gets the name of the replica until the old
 * directory has durably lost that name: as long as it is there the replica may count where it was.
 * It holds the old directory's path, for people. Apache's brokers ignore it. */
extern const char partition_takeover_name[];

/* The same in the old directory, from before the copy's file is there: when another directory is
 * away, the copy may lie there under the name of the replica. */
extern const char partition_left_name[];

void partition_future_print_mark(const struct partition_store *store, const char *name, char *path,
                                 size_t capacity);

/* True: the copy must first be truncated to *offset, or (*begins_anew) begun anew there. */
bool partition_future_diverges(const struct partition_store *source,
                               const struct partition_store *copy, int64_t *offset,
                               bool *begins_anew);

/* Both end at the same offset, for now: epochs, producers, log start and high watermark become
 * those of the source. Small files of the copy are being written afterwards. */
void partition_future_inherit(const struct partition_store *source, struct partition_store *copy);

/* Nothing of the copy is in flight and its small files are written. */
bool partition_future_is_settled(const struct partition_store *copy);

/* Whether the checkpoint of the log start tells something that no file's name does. */
bool partition_future_needs_start(const struct partition_store *copy);

/* The directory has its new name: from now on the copy is the partition's store, as the source was.
 */
void partition_future_take_place(const struct partition_store *source,
                                 struct partition_store *copy);

/* Of two stores of one partition that a start finds: whether one holds whatever is acknowledged of
 * the other. Its last epoch is later, or is the same and goes further: the rule by which replicas
 * agree. */
bool partition_future_is_ahead(const struct partition_store *one,
                               const struct partition_store *other);

#endif
