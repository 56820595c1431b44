/* Feeds a snapshot's file, plain or packed with gzip or snappy, to a snapshot_reader.
 *
 * Memory: what unpacking takes, and a buffer for what comes out, from the heap. Shard: one owner.
 */
#ifndef SERVER_KEEPER_SNAPSHOT_UNPACKER_H
#define SERVER_KEEPER_SNAPSHOT_UNPACKER_H

#include "keeper/recovery.h"
#include "keeper/snapshot_reader.h"
#include "server/keeper/gzip_reader.h"
#include "server/keeper/snappy_reader.h"

struct snapshot_unpacker {
    enum recovery_compression method;
    struct heap *heap;
    struct gzip_reader gzip;
    struct snappy_reader snappy;
    uint8_t *unpacked;
};

/* ERR_NO_MEMORY; deinit is allowed then. */
MUST_CHECK enum err snapshot_unpacker_init(struct snapshot_unpacker *unpacker, struct heap *heap,
                                           enum recovery_compression method);

/* Of a zeroed one, too. */
void snapshot_unpacker_deinit(struct snapshot_unpacker *unpacker);

/* The next piece of the file. Errors as snapshot_reader_feed. */
MUST_CHECK enum err snapshot_unpacker_feed(struct snapshot_unpacker *unpacker,
                                           struct snapshot_reader *snapshot, struct slice piece);

/* Whether the file may end here. */
bool snapshot_unpacker_may_end(const struct snapshot_unpacker *unpacker);

#endif
