/* A snapshot of a keeper as bytes, made in slices while the keeper goes on serving.
 *
 * The walk is fuzzy: what changes meanwhile is in it as it was or as it is, and replaying the
 * journal from the snapshot's zxid on makes it exact. Sessions and access lists are taken down at
 * the start. Znodes that are created later are left out, since the journal has them; so no path is
 * in a snapshot twice.
 *
 *   header | sessions | access lists | znodes | seal | digest | seal | last zxid | seal
 *
 * A seal is the Adler-32 of everything before it.
 *
 * Memory: a heap block for the lists, and one while a record is larger than a slice.
 * Shard: the keeper's.
 */
#ifndef KEEPER_SNAPSHOT_WRITER_H
#define KEEPER_SNAPSHOT_WRITER_H

#include "keeper/keeper.h"

enum {
    snapshot_slice_bytes_min = 4096,
    snapshot_header_bytes = 16,
    snapshot_seal_bytes = 13,
    snapshot_digest_bytes = 20,
    snapshot_zxid_bytes = 8,
};

#define SNAPSHOT_MAGIC 0x5a4b534e /* ZKSN */

enum { snapshot_version = 2, snapshot_digest_version = 2 };

enum snapshot_writer_phase {
    SNAPSHOT_WRITER_HEADER,
    SNAPSHOT_WRITER_LISTS,
    SNAPSHOT_WRITER_ZNODES,
    SNAPSHOT_WRITER_TAIL,
    SNAPSHOT_WRITER_DONE,
};

/* Bytes that are ready to go out in parts. */
struct snapshot_block {
    uint8_t *bytes;
    size_t size;
    size_t at;
};

struct snapshot_writer {
    struct keeper *keeper;
    enum snapshot_writer_phase phase;
    bool is_stream;
    bool is_inexact; /* The tree is not what it was at one zxid, so its digest says nothing. */
    int64_t zxid;    /* Names the file. */
    struct tree_cursor cursor;
    int64_t acl_id_last;         /* Lists with a higher id are not in it. */
    bool is_tail_held;           /* Next gives nothing behind the znodes. */
    struct snapshot_block lists; /* Sessions and access lists. */
    struct snapshot_block spill; /* A record that is larger than a slice. */
    uint32_t adler;
    uint64_t bytes; /* Written so far. */
    uint64_t znode_count;
};

/* A snapshot at keeper->zxid_applied. Keeps keeper until deinit. ERR_NO_MEMORY. */
MUST_CHECK enum err snapshot_writer_init(struct snapshot_writer *writer, struct keeper *keeper);

/* The same as a leader sends it to a learner: without header, and nothing behind the end of the
 * znodes. */
MUST_CHECK enum err snapshot_writer_init_stream(struct snapshot_writer *writer,
                                                struct keeper *keeper);
/* For a snapshot whose zxid is not known before its znodes are out, of a keeper that does not
 * change meanwhile: next stops in front of what depends on it until it is released. */
void snapshot_writer_hold_tail(struct snapshot_writer *writer);
bool snapshot_writer_is_held(const struct snapshot_writer *writer);
/* The snapshot is one at keeper->zxid_applied, as it is now. */
void snapshot_writer_release_tail(struct snapshot_writer *writer);

/* At any time, also early. */
void snapshot_writer_deinit(struct snapshot_writer *writer);

/* The next bytes, at most capacity (at least snapshot_slice_bytes_min); *size zero: all are out.
 * ERR_NO_MEMORY: for a large record; the snapshot may be tried again later. */
MUST_CHECK enum err snapshot_writer_next(struct snapshot_writer *writer, uint8_t *out,
                                         size_t capacity, size_t *size);

#endif
