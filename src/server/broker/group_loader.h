/* Reads partitions of __consumer_offsets from end to end, one at a time, into the coordinator.
 *
 * Memory: one buffer of a MiB while it works, more for a larger batch. Shard: its server's.
 */
#ifndef SERVER_BROKER_GROUP_LOADER_H
#define SERVER_BROKER_GROUP_LOADER_H

#include "base/arena.h"
#include "base/list.h"
#include "server/broker/partition_store.h"
#include "server/broker/partition_table.h"

struct group_home;
struct group_service;

struct group_loader {
    struct group_service *service;
    struct list queue;       /* Homes that wait. */
    struct group_home *home; /* That is being read; NULL: none. */
    bool is_stale;           /* It is no longer led: what is read goes nowhere. */
    struct partition_read read;
    struct partition_waiter waiter; /* While what it reads is not written yet. */
    struct io_op op;
    uint8_t *buffer;
    size_t buffer_capacity;
    uint8_t *arena_memory; /* For the arrays of one record. */
    uint8_t *unpacked;     /* Records of a compressed batch, behind room for a header. */
    size_t unpacked_capacity;
    uint32_t filled; /* Bytes of the piece that are in the buffer. */
    int64_t offset;
    int64_t end_offset;
    uint64_t record_count;
    uint64_t started_at_ns;
};

void group_loader_init(struct group_loader *loader, struct group_service *service);
void group_loader_deinit(struct group_loader *loader);

/* The home is led here from now on; it becomes is_loaded. */
void group_loader_add(struct group_loader *loader, struct group_home *home);

/* It is no longer led. */
void group_loader_remove(struct group_loader *loader, struct group_home *home);

#endif
