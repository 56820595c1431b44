/* How far this server has acknowledged: a zxid in a small file beside the journal, `acknowledged`,
 * which Apache's servers ignore.
 *
 * It tells a torn tail, which recovery may cut, from damage, which it must not: whatever lies up to
 * the mark was durable once. The mark follows some seconds behind; it never runs ahead. Two slots
 * are written in turn, each synced before the next is begun, so one of them is always sound.
 *
 * Memory: embedded. Shard: the server's.
 */
#ifndef SERVER_KEEPER_ACK_MARK_H
#define SERVER_KEEPER_ACK_MARK_H

#include "io/io.h"
#include "server/keeper/keeper_config.h"

struct keeper_server;

enum { ack_mark_slot_bytes = 32, ack_mark_slot_stride = 512 };

enum ack_mark_step { ACK_MARK_IDLE, ACK_MARK_WRITE, ACK_MARK_SYNC, ACK_MARK_CLOSE };

struct ack_mark {
    struct keeper_server *server;
    enum ack_mark_step step;
    struct io_op op;
    struct iovec vector;
    int32_t handle;
    int64_t zxid; /* As written last. */
    uint64_t sequence;
    bool is_closing;
    bool has_failed; /* Told once; the mark stays where it is. */
    uint8_t slot[ack_mark_slot_bytes];
};

/* Reads the mark; false: there is none. Waits for the disk, as the next does. */
bool ack_mark_load(struct keeper_server *server, int64_t *zxid);

/* Makes the file anew with this zxid, up to which everything is durable, and opens it.
 * ERR_NO_SPACE, ERR_IO, .. told by diag. */
MUST_CHECK enum err ack_mark_start(struct ack_mark *mark, struct keeper_server *server,
                                   int64_t zxid);

/* Everything up to zxid is durable; called every tick. */
void ack_mark_advance(struct ack_mark *mark, int64_t zxid);

/* What lies behind zxid is to be cut: the mark goes back. It is durable when the mark is idle
 * again, unless it has failed. The mark is idle. */
void ack_mark_lower(struct ack_mark *mark, int64_t zxid);

static inline bool ack_mark_is_idle(const struct ack_mark *mark)
{
    return mark->step == ACK_MARK_IDLE;
}

/* Closes the file soon. */
void ack_mark_stop(struct ack_mark *mark);

static inline bool ack_mark_is_stopped(const struct ack_mark *mark)
{
    return mark->step == ACK_MARK_IDLE && mark->handle == io_handle_none;
}

#endif
