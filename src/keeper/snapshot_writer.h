/* A snapshot of a keeper as bytes, made in slices while the keeper goes on serving.
 *
 * The walk is fuzzy: what changes meanwhile may be in it or not, and replaying the journal from the
 * snapshot's zxid makes it exact. Znodes and sessions that were created after the start are left
 * out; the journal has them.
 *
 * Memory: the arena-free struct, and a heap block while a record is larger than a slice.
 * Shard: the keeper's.
 */
#ifndef KEEPER_SNAPSHOT_WRITER_H
#define KEEPER_SNAPSHOT_WRITER_H

#include "keeper/keeper.h"

enum {
    snapshot_slice_bytes_min = 4096,
    snapshot_header_bytes = 16,
};

enum snapshot_writer_phase {
    SNAPSHOT_WRITER_HEADER,
    SNAPSHOT_WRITER_SESSIONS,
    SNAPSHOT_WRITER_ACLS,
    SNAPSHOT_WRITER_ZNODES,
    SNAPSHOT_WRITER_SEAL,
    SNAPSHOT_WRITER_DIGEST,
    SNAPSHOT_WRITER_ZXID,
    SNAPSHOT_WRITER_DONE,
};

struct snapshot_writer {
    struct keeper *keeper;
    enum snapshot_writer_phase phase;
    int64_t zxid; /* Names the file. */
    struct tree_cursor cursor;
    int64_t acl_id_last; /* Lists with a higher id are not in it. */
    uint8_t *lists;      /* Sessions and access lists, encoded at the start. */
    size_t lists_size;
    size_t lists_at;
    uint8_t *spill; /* A record that did not fit, and how much of it is out. */
    size_t spill_size;
    size_t spill_at;
    uint32_t adler;
    uint64_t bytes; /* Written so far. */
    uint64_t znode_count;
};

/* A snapshot at keeper->zxid_applied. Keeps keeper until deinit. ERR_NO_MEMORY. */
MUST_CHECK enum err snapshot_writer_init(struct snapshot_writer *writer, struct keeper *keeper);

/* At any time, also early. */
void snapshot_writer_deinit(struct snapshot_writer *writer);

/* The next bytes, at most capacity (at least snapshot_slice_bytes_min); *size zero: all are out.
 * ERR_NO_MEMORY: for a large record; the snapshot may be tried again later. */
MUST_CHECK enum err snapshot_writer_next(struct snapshot_writer *writer, uint8_t *out,
                                         size_t capacity, size_t *size);

#endif
