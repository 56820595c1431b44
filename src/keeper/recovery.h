/* Which files a keeper starts from, and what a damaged one means.
 *
 * Pure decisions: the server lists the directory, reads the files and asks here. The rules are
 * Apache's, but for one: damage is never cut silently. A torn tail (the last record of the last
 * file, never acknowledged) is cut; anything else stops the start, with file and offset.
 *
 * Memory: the caller's. Shard: stateless.
 */
#ifndef KEEPER_RECOVERY_H
#define KEEPER_RECOVERY_H

#include "base/err.h"
#include "base/slice.h"
#include "keeper/txn_codec.h"

enum recovery_file_kind {
    RECOVERY_FILE_OTHER,
    RECOVERY_FILE_SNAPSHOT, /* snapshot.<hex> */
    RECOVERY_FILE_JOURNAL,  /* log.<hex> */
};

enum recovery_compression {
    RECOVERY_PLAIN,
    RECOVERY_GZIP,   /* snapshot.<hex>.gz */
    RECOVERY_SNAPPY, /* snapshot.<hex>.snappy */
};

struct recovery_file {
    enum recovery_file_kind kind;
    enum recovery_compression compression;
    int64_t zxid;
};

enum {
    recovery_name_bytes_max = 40,
    recovery_snapshot_tries_max = 100,
};

/* What a file name of version-2/ says. */
struct recovery_file recovery_file_of(struct slice name);

/* Writes "snapshot.1f" or "log.1f"; lends out. */
struct slice recovery_file_name(enum recovery_file_kind kind, int64_t zxid,
                                uint8_t out[recovery_name_bytes_max]);

/* What stands behind the name of a snapshot: "", ".gz", ".snappy". */
const char *recovery_suffix(enum recovery_compression compression);

/* Sorts newest snapshots first, or oldest journal files first. */
void recovery_sort(struct recovery_file *files, int32_t count);

/* Whether a file of that size ends as a whole plain snapshot does; tail: its last 5 bytes. */
bool recovery_snapshot_looks_whole(uint64_t size, struct slice tail);

/* What was found where reading a journal file stopped. */
struct recovery_stop {
    enum txn_record_verdict verdict;
    bool is_last_file;
    bool is_empty_file;  /* Of size zero. */
    bool rest_is_zero;   /* Nothing but zeros follows the offset. */
    bool is_followed;    /* A sound record lies somewhere behind: this is no tail. */
    bool is_continued;   /* The next file begins with the very transaction that is missing here: a
                          * server that found this torn tail went on there, as Apache's do. */
    int64_t zxid_last;   /* Of the last good record of all files, or the snapshot's. */
    int64_t zxid_synced; /* Up to here all was acknowledged, and possibly more; else 0. */
    bool knows_synced;   /* zxid_synced comes from a mark of ours, and only we wrote what follows
                          * it, so it may be torn anywhere: writes of one sync come to the disk in
                          * any order. */
};

enum recovery_verdict {
    RECOVERY_GO_ON,  /* A clean end: the next file, or done. */
    RECOVERY_CUT,    /* A torn tail: cut the file at the offset, delete later ones, done. */
    RECOVERY_DELETE, /* An empty last file: delete it, done. */
    RECOVERY_REFUSE, /* Damage: do not start. */
};

enum recovery_verdict recovery_judge_stop(const struct recovery_stop *stop);

/* What transactions missing behind zxid_last mean, in front of sound ones. */
enum recovery_verdict recovery_judge_hole(const struct recovery_stop *stop);

/* Whether a record may follow the one before it, or the snapshot; previous_zxid is -1 if there is
 * neither. ERR_EXISTS: the same zxid again, which Apache's servers write after a request that they
 * could not decode; skip it. ERR_CORRUPT: it goes back, or leaves a hole: a later epoch begins with
 * its transaction 1. */
MUST_CHECK enum err recovery_check_zxid(int64_t previous_zxid, int64_t zxid);

/* What a directory without a sound snapshot means. */
struct recovery_empty {
    bool has_snapshots; /* Files, none of them sound. */
    bool has_records;   /* In the journal. */
    bool trust_empty_snapshot;
};

/* RECOVERY_GO_ON: start with an empty tree and replay. RECOVERY_REFUSE. */
enum recovery_verdict recovery_judge_empty(const struct recovery_empty *empty);

#endif
