/* Moves of replicas between the log directories of this broker (AlterReplicaLogDirs).
 *
 *   make -> compare <-> copy -> freeze -> settle -> claim -> sync -> rename -> retire -> confirm
 *              `-> cut
 *
 * A copy is made in the other directory, under the name <topic>-<p>.<hex>-future, as a follower of
 * the replica itself: what was truncated there is truncated here, and each round is on the disk
 * before the next one. When it is nearly at the end, appends and orders wait for a moment (freeze),
 * the rest is copied, and the copy is given the name of the replica; then, and not before that is
 * durable, the old directory is renamed to -delete. Only when that is durable too does the log go
 * on. So after a crash there is
 *
 *   the replica and a copy       the copy goes on, once the partition is led or followed
 *   two with the replica's name  they have equal ends: the old one goes. If a directory was away
 *                                meanwhile they may differ: the one whose last epoch is later, or
 *                                which goes further in the same, holds all that the other has
 *                                acknowledged (or it is empty and has no topic id: its creation
 *                                failed)
 *   a copy alone                 it goes, unless a directory is offline that may hold the replica
 *   one whose creation failed    it goes, if a directory is offline that may hold the replica
 *
 * Of the two with the replica's name either may be found alone, and later the other. So until the
 * old one has durably lost its name it is the replica: it goes on when the new one's directory
 * fails, or is away at a start. The new one has a file rookery-takeover from before its rename
 * (claim) until then (confirm): found alone with that while a directory is away, it is offline.
 * When the old one's directory fails before it has lost its name, the partition is offline with it.
 * The old one has a file rookery-left from before the freeze. Neither is deleted while a
 * directory is away: the topic would be over, and the other one would be found later.
 *
 * A few moves copy at a time, the others wait for their turn; a partition that does not move costs
 * a pointer. Their rate is limited by replica.alter.log.dirs.io.max.bytes.per.second.
 *
 * Memory: a block for each move, and a buffer for each that copies, from the heap;
 * replica_move_running_max. Shard: its server's.
 */
#ifndef SERVER_BROKER_REPLICA_MOVES_H
#define SERVER_BROKER_REPLICA_MOVES_H

#include "broker/replication_quota.h"
#include "server/broker/delay_queue.h"
#include "server/broker/partition_table.h"

struct broker_server;

enum { replica_move_running_max = 4, replica_move_round_bytes = 1 << 20 };

struct replica_moves {
    struct broker_server *server;
    struct list moves;
    struct list waiting; /* For their turn. */
    uint32_t running_count;
    uint32_t round_bytes;   /* What is copied at a time, if batches are not larger. */
    uint32_t orphan_count;  /* Copies that a start has found, and that no move is about. */
    uint32_t removal_count; /* Of what a start has found and does not need. */
    bool has_leftover;      /* Such that may still have the name of the replica. */
    bool is_stopping;
    struct quota_window *windows;
    struct replication_quota quota;
};

/* ERR_NO_MEMORY. Keeps server, whose heap and config are there. */
MUST_CHECK enum err replica_moves_init(struct replica_moves *moves, struct broker_server *server);
void replica_moves_deinit(struct replica_moves *moves);

/* After the log directories are loaded: what a crash in the middle of a move has left. ERR_CONFIG:
 * two directories hold a partition, and nothing says which one counts. */
MUST_CHECK enum err replica_moves_recover(struct replica_moves *moves);

/* Somebody who waits until a copy is made where he wants it: KAFKA_NONE, or KAFKA_STORAGE_ERROR. A
 * field of his; he may remove its link, which is in a list while he waits. */
struct move_order {
    struct list link;
    void (*done)(struct move_order *order, enum error_code code);
};

/* The replica shall lie in directory, which is online: begins, redirects or cancels a move. The
 * partition is hosted, its store online. True: *code is the answer, KAFKA_NONE or
 * KAFKA_STORAGE_ERROR (a log directory is offline, which may hold a copy, or there is no memory);
 * done does not run. False: it will run. */
bool replica_moves_order(struct replica_moves *moves, struct partition *partition,
                         struct log_directory *directory, struct move_order *order,
                         enum error_code *code);

/* The partition is led or followed from now on: a move of before goes on. */
void replica_moves_resume(struct replica_moves *moves, struct partition *partition);

/* The partition is deleted, and its copy with it. */
void replica_moves_drop(struct replica_moves *moves, struct partition *partition);

/* A log directory has failed. */
void replica_moves_on_loss(struct replica_moves *moves);

/* The dynamic setting of the rate may have changed. */
void replica_moves_set_rate(struct replica_moves *moves);

/* No copy goes on; those that take their place by now come to their end. */
void replica_moves_stop(struct replica_moves *moves);

#endif
