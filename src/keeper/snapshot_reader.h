/* Loads a snapshot into a new keeper, from bytes that come in pieces of any size.
 *
 * Nothing is believed before the seal: after an error the keeper is to be thrown away.
 *
 * Memory: a heap block for a record that is cut between pieces; the keeper's heap for the rest.
 * Shard: the keeper's.
 */
#ifndef KEEPER_SNAPSHOT_READER_H
#define KEEPER_SNAPSHOT_READER_H

#include "keeper/keeper.h"

enum { snapshot_record_bytes_max = 1 << 28 };

enum snapshot_reader_phase {
    SNAPSHOT_READER_HEADER,
    SNAPSHOT_READER_SESSION_COUNT,
    SNAPSHOT_READER_SESSIONS,
    SNAPSHOT_READER_ACL_COUNT,
    SNAPSHOT_READER_ACLS,
    SNAPSHOT_READER_ZNODES,
    SNAPSHOT_READER_SEAL,
    SNAPSHOT_READER_TAIL, /* Optional parts, which only the end of the file tells apart. */
};

struct snapshot_reader {
    struct keeper *keeper;
    struct arena *arena;
    enum snapshot_reader_phase phase;
    bool is_stream;
    int64_t zxid; /* Of the file's name. */
    int64_t now_ms;
    int32_t left;   /* Sessions or lists still to come. */
    uint8_t *carry; /* The start of a record whose rest is in the next piece. */
    size_t carry_size;
    size_t carry_capacity;
    uint32_t adler;
    uint64_t offset; /* Of the record that is read next; where an error lies. */
    uint64_t znode_count;
    bool has_digest; /* The tree's digest once the journal is replayed up to digest_zxid. */
    int64_t digest_zxid;
    uint64_t digest;
    int64_t zxid_told;  /* In the file itself, valid after finish; 0: it tells none. */
    int64_t zxid_max;   /* Of the transactions that made or changed a znode. */
    const char *reason; /* For people, after an error. */
};

/* keeper is fresh from keeper_init. zxid: of the file's name. arena: for access lists; reset by the
 * reader. Keeps both. */
void snapshot_reader_init(struct snapshot_reader *reader, struct keeper *keeper,
                          struct arena *arena, int64_t zxid, int64_t now_ms);

/* The file has so many bytes: makes room for the znodes that they are likely to hold, which saves
 * time. They are believed for that only. */
void snapshot_reader_expect(struct snapshot_reader *reader, uint64_t file_bytes);

/* Instead of init: the snapshot comes as a leader sends it to a learner, without header and seals.
 */
void snapshot_reader_init_stream(struct snapshot_reader *reader, struct keeper *keeper,
                                 struct arena *arena, int64_t zxid, int64_t now_ms);

void snapshot_reader_deinit(struct snapshot_reader *reader);

/* The next piece of the file. ERR_MALFORMED, ERR_UNSUPPORTED, ERR_CHECKSUM, ERR_CORRUPT: a sound
 * file of an impossible tree, ERR_NO_MEMORY; see reader->reason and reader->offset. */
MUST_CHECK enum err snapshot_reader_feed(struct snapshot_reader *reader, struct slice piece);

/* Of a stream: the next bytes; *used: how many of them belong to it, fewer than all only where it
 * ends. Errors as above. */
MUST_CHECK enum err snapshot_reader_feed_stream(struct snapshot_reader *reader, struct slice piece,
                                                size_t *used);

/* Whether a stream has come to its end. */
static inline bool snapshot_reader_is_at_end(const struct snapshot_reader *reader)
{
    return reader->phase == SNAPSHOT_READER_SEAL || reader->phase == SNAPSHOT_READER_TAIL;
}

/* The file has ended; or the stream, then at its end. ERR_TRUNCATED: too early. ERR_CHECKSUM,
 * ERR_MALFORMED: of the optional parts. The keeper then stands at zxid. */
MUST_CHECK enum err snapshot_reader_finish(struct snapshot_reader *reader);

#endif
