/* The names of partition directories: <topic>-<partition>, and the suffixes of Apache's brokers.
 *
 * Memory: none. Shard: any.
 */
#ifndef BROKER_PARTITION_NAME_H
#define BROKER_PARTITION_NAME_H

#include "base/macros.h"
#include "base/slice.h"

enum { topic_name_bytes_max = 249, partition_name_bytes_max = 256 };

enum partition_name_kind {
    PARTITION_NAME_LIVE,
    PARTITION_NAME_DELETED,   /* <topic>-<p>.<32 hex>-delete: to be unlinked. */
    PARTITION_NAME_FUTURE,    /* -future: the target of a move between directories. */
    PARTITION_NAME_STRAY,     /* -stray: a replica that the cluster does not assign here. */
    PARTITION_NAME_UNRELATED, /* Nothing of ours: loading refuses it. */
};

struct partition_name {
    enum partition_name_kind kind;
    struct slice topic; /* Of LIVE and FUTURE. Lends: into the name. */
    int32_t partition;
};

struct partition_name partition_name_parse(struct slice name);

/* "." and ".." are none, nor what is empty, too long, or holds other than letters, digits, '.', '_'
 * and '-'. */
bool topic_name_is_valid(struct slice topic);

/* Into partition_name_bytes_max bytes, with an end mark. The topic is valid. */
void partition_name_print(struct slice topic, int32_t partition, char *text);

/* The name of a copy that is to take the partition's place; partition_name_has_future is true. id:
 * 16 random bytes. */
void partition_name_print_future(struct slice topic, int32_t partition, const uint8_t id[16],
                                 char *text);

/* Whether it can be moved to another log directory: the name that the copy has meanwhile is at most
 * 255 characters long. */
bool partition_name_has_future(struct slice topic, int32_t partition);

/* The name to delete it under, at most 255 characters: the topic is cut if need be. id: 16 random
 * bytes. */
void partition_name_print_deleted(struct slice topic, int32_t partition, const uint8_t id[16],
                                  char *text);

#endif
