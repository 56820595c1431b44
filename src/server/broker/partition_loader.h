/* Makes a store out of what lies in a partition's directory, after a clean end or a crash.
 *
 * After a clean end only the end of the last segment is looked at. Otherwise every segment from the
 * recovery point on is read whole: batches are checked, indexes, producers and epochs made anew,
 * and a torn end is cut. What is broken below the synced mark (without one: the recovery point) is
 * never cut: the partition is refused, and a diag line says which file and where. What is not below
 * it is written again, and synced before the load is done: a failed sync may have left it in the
 * page cache only. The other files need none of that: indexes are made anew, the small ones were
 * synced before they got their names.
 *
 * Reads wait for the disk: at start only. Syncs do not, so that several loads share their time.
 *
 * Memory: one buffer, shared by all loads. Shard: one owner.
 */
#ifndef SERVER_BROKER_PARTITION_LOADER_H
#define SERVER_BROKER_PARTITION_LOADER_H

#include "server/broker/partition_store.h"

enum { partition_loader_buffer_bytes = 1 << 20 };

struct partition_loader {
    struct partition_store *store;
    struct io *io;
    struct heap *heap;
    struct diag *diag;
    bool was_clean;
    uint8_t
        *buffer; /* partition_loader_buffer_bytes; not used any more while syncs are in flight. */
    /* ERR_NO_MEMORY, ERR_IO, ERR_NO_SPACE: the directory cannot be loaded. Damage makes the store
     * offline, and is ERR_OK. May run inside partition_loader_load. */
    void (*done)(struct partition_loader *loader, enum err err);
    void *context; /* The caller's. */
    struct list names;
    enum err listing_err;
    int64_t recover_base; /* Segments from here on are read whole. */
    int64_t replay_from;  /* The producers' snapshot holds everything below. */
    bool is_broken;       /* The valid bytes end at: */
    struct journal_position end;
    const char *damage; /* What is wrong there; NULL: nothing. */
    uint64_t sync_base; /* Segments from here on are synced. */
    struct journal_starting starting;
};

/* Store: fresh, its recovery_point, synced_mark and log_start_offset set. Takes loader until done.
 */
void partition_loader_load(struct partition_loader *loader);

/* Only the topic id, which the store's marks are compared with. */
void partition_loader_load_metadata(struct partition_loader *loader);

/* The name of a file of a partition: twenty digits and the suffix. */
bool partition_loader_parse_offset(const char *name, const char *suffix, int64_t *offset);

/* The text of partition.metadata. */
enum { partition_metadata_text_bytes = 64 };
size_t partition_loader_print_metadata(const struct topic_id *id, char *text);
bool partition_loader_parse_metadata(struct topic_id *id, struct slice text);

#endif
