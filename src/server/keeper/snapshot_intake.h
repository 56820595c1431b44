/* A learner takes the snapshot that its leader sends: bytes of a raw link in, a new tree and a
 * durable file out.
 *
 *   FEEDING: sessions | access lists | znodes | "BenWasHere"
 *   WRITING: snapshot.<zxid>, synced and named
 *   ADOPTING: snapshots behind zxid and the journal go, durably
 *
 * The old tree is given up at the beginning, since there may be no memory for two. If the stream
 * breaks off, is not sound, or cannot be written, the old tree is loaded again from the disk, which
 * nothing has touched by then. The whole journal goes, not only what lies behind zxid: what is left
 * would have a hole before zxid, and nobody could see it.
 *
 * Until it is done server->keeper must not be looked at, and no write be open or begun.
 *
 * Memory: that of the tree; a block for a record that is cut. Shard: the server's.
 */
#ifndef SERVER_KEEPER_SNAPSHOT_INTAKE_H
#define SERVER_KEEPER_SNAPSHOT_INTAKE_H

#include "io/io.h"
#include "keeper/snapshot_reader.h"

struct keeper_server;

enum snapshot_intake_step {
    SNAPSHOT_INTAKE_IDLE,
    SNAPSHOT_INTAKE_FEEDING,
    SNAPSHOT_INTAKE_QUIET, /* Until an older snapshot's file is out of the way. */
    SNAPSHOT_INTAKE_WRITING,
    SNAPSHOT_INTAKE_ADOPTING,
    SNAPSHOT_INTAKE_RELOADING, /* It failed. */
};

enum { snapshot_intake_signature_bytes = 14 };

struct snapshot_intake {
    struct keeper_server *server;
    enum snapshot_intake_step step;
    int64_t zxid;
    struct snapshot_reader reader;
    size_t signature_size; /* Bytes of it that have come. */
    struct io_op op;
    bool is_waiting; /* op is in flight. */
    uint64_t started_at_ns;
    uint64_t bytes;
    enum err err; /* Why it failed. */
    /* ERR_OK: the tree is at zxid, and so is what a start would find. Otherwise the old tree is
     * back: ERR_CANCELED; ERR_MALFORMED, ERR_CORRUPT: the stream is not sound; ERR_NO_MEMORY;
     * ERR_NO_SPACE, ERR_IO: the file cannot be written; told by diag. */
    void (*done)(void *context, enum err err);
    void *context;
};

/* Begins; zxid: of the packet SNAP. done runs later, never from within, and never once the server
 * stops. Clients and their watches are gone. */
void snapshot_intake_start(struct keeper_server *server, int64_t zxid,
                           void (*done)(void *context, enum err err), void *context);

/* The next bytes of the link. How many of them belong to the snapshot: fewer than all where it
 * ends; packets follow then, which must wait until done, so the link is to be paused. After a
 * failure all are taken, and ignored. */
size_t snapshot_intake_feed(struct snapshot_intake *intake, struct slice bytes);

/* The stream has come to its end; done follows without more bytes. */
static inline bool snapshot_intake_is_fed(const struct snapshot_intake *intake)
{
    return intake->step != SNAPSHOT_INTAKE_IDLE && intake->step != SNAPSHOT_INTAKE_FEEDING;
}

/* The link is gone: done follows, with ERR_CANCELED if the stream was not whole. Idle: nothing. */
void snapshot_intake_cancel(struct snapshot_intake *intake);

/* For the server: nothing of it is in flight; and it is given up, with the server. */
static inline bool snapshot_intake_is_quiet(const struct snapshot_intake *intake)
{
    return !intake->is_waiting;
}

void snapshot_intake_deinit(struct snapshot_intake *intake);

#endif
