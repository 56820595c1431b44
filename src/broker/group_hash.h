/* Which partition of __consumer_offsets a group belongs to.
 *
 * The hash is Java's String.hashCode, over UTF-16 code units and not over the bytes of UTF-8.
 *
 * Memory: none. Shard: any.
 */
#ifndef BROKER_GROUP_HASH_H
#define BROKER_GROUP_HASH_H

#include "base/slice.h"

/* Java's hash of UTF-8 text; bytes that are not UTF-8 count as U+FFFD. */
int32_t group_hash(struct slice group_id);

/* partition_count is above 0. */
int32_t group_hash_partition(struct slice group_id, int32_t partition_count);

#endif
