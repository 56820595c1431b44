/* Where replicas shall lie that this broker does not have yet: log directories that somebody has
 * chosen by AlterReplicaLogDirs. A wish goes when its replica is made, and with the process, as
 * Apache's do; and when there are too many, the oldest goes. Any client may wish for partitions
 * that nobody has heard of, so those have little room, and none of the others goes for one of them.
 *
 * Memory: an entry with the topic's name for each wish, from the heap; directory_wish_count_max.
 * Shard: one owner.
 */
#ifndef SERVER_BROKER_DIRECTORY_WISHES_H
#define SERVER_BROKER_DIRECTORY_WISHES_H

#include "base/hash_table.h"
#include "base/heap.h"

struct log_directory;

enum { directory_wish_count_max = 100000, directory_wish_unknown_count_max = 1000 };

struct directory_wishes {
    struct heap *heap;
    struct hash_table wishes;
    struct list known; /* Of partitions that there are, and of others: the oldest first. */
    struct list unknown;
    uint32_t known_count;
    uint32_t unknown_count;
    uint64_t hash_seed;
};

/* ERR_NO_MEMORY. Keeps heap. */
MUST_CHECK enum err directory_wishes_init(struct directory_wishes *wishes, struct heap *heap,
                                          uint64_t hash_seed);
void directory_wishes_deinit(struct directory_wishes *wishes);

/* In the place of an earlier one. Keeps directory. ERR_NO_MEMORY. */
struct directory_wish {
    struct slice topic; /* Borrows. */
    int32_t partition;
    bool is_known; /* There is such a partition. */
    struct log_directory *directory;
};
MUST_CHECK enum err directory_wishes_put(struct directory_wishes *wishes,
                                         struct directory_wish wish);

/* NULL: nobody has chosen. */
struct log_directory *directory_wishes_find(const struct directory_wishes *wishes,
                                            struct slice topic, int32_t partition);

void directory_wishes_forget(struct directory_wishes *wishes, struct slice topic,
                             int32_t partition);

#endif
