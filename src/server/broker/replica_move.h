/* One move of a replica to another log directory, from step to step: replica_moves.h says which.
 * This header is between the files that carry it out.
 *
 *   replica_move.c      until the copy is nearly at the end
 *   replica_takeover.c  from the freeze on
 *   replica_moves.c     orders, and what a start finds
 */
#ifndef SERVER_BROKER_REPLICA_MOVE_H
#define SERVER_BROKER_REPLICA_MOVE_H

#include "server/broker/replica_moves.h"

enum move_step {
    MOVE_MAKE,    /* The copy's directory. */
    MOVE_COMPARE, /* Whether the copy is the beginning of the log. */
    MOVE_COPY,
    MOVE_FREEZE, /* The last round; then the copy takes over what is in no record. */
    MOVE_SETTLE, /* Its small files are written. */
    MOVE_CLAIM,  /* Then the one that says that the replica may still count where it was. */
    MOVE_SYNC,
    MOVE_REST, /* No file of it is being opened. */
    MOVE_RENAME,
    MOVE_OPEN_DIRECTORY,
    MOVE_SYNC_DIRECTORY,
    MOVE_CLOSE_DIRECTORY,
    MOVE_RETIRE,  /* The old directory gets a name to be deleted by. */
    MOVE_CONFIRM, /* What was claimed is so. */
    MOVE_REMOVE,  /* The copy goes. */
};

struct replica_move {
    struct list link;   /* In moves->moves. */
    struct list turn;   /* In moves->waiting. */
    struct list orders; /* struct move_order, until the copy that they want is made. */
    struct replica_moves *moves;
    struct partition *partition;    /* NULL: it is deleted. */
    struct partition_store *source; /* While something of it is used. */
    struct partition_store *copy;   /* NULL: it is being made, or is gone. */
    struct log_directory *target;   /* Where the copy lies. */
    struct log_directory *wished;   /* Where the replica shall lie; NULL: the copy shall go. */
    enum move_step step;
    bool is_busy;    /* Something is in flight that will call back. */
    bool is_running; /* Its turn has come. */
    bool is_frozen;
    bool is_near;        /* The last round left little. */
    bool is_remade;      /* The copy was damaged: once. */
    bool has_told_pause; /* In a diag line, since the last round that went well. */
    uint32_t cut_count;  /* Of the source, when the copy was compared. */
    uint64_t frozen_at_ns;
    uint64_t checkpoint_number; /* The pair that it waits for; 0: none. */
    struct delay delay;
    uint8_t *buffer; /* While it runs. */
    size_t buffer_bytes;
    size_t got;
    struct partition_read read;
    struct partition_append append;
    struct journal_request request;
    int32_t handle;
    struct io_op op;
    char path[1024]; /* The replica's name in the target. */
};

/* NULL: no memory. */
struct replica_move *replica_move_take(struct replica_moves *moves, struct partition *partition,
                                       struct log_directory *target);

/* Makes the copy, in the target. */
void replica_move_make(struct replica_move *move);

/* Those who wait for a copy have their answer. */
void replica_move_answer(struct list *orders, enum error_code code);

/* A move of a replica that has none; takes the members of orders. False: a log directory is
 * offline, or there is no memory. */
bool replica_moves_begin(struct replica_moves *moves, struct partition *partition,
                         struct log_directory *directory, struct list *orders);

/* The copy goes; then another one is made, if the replica shall lie elsewhere than it does. */
void replica_move_remove_copy(struct replica_move *move);

/* The copy is there: it is compared and goes on when its turn has come. */
void replica_move_await_turn(struct replica_move *move);

/* Does the next step, if nothing is in flight; may give the move back. */
void replica_move_pump(struct replica_move *move);
void replica_move_wait(struct replica_move *move, uint64_t wait_ms);

/* From the comparison on, after a while; nothing is frozen meanwhile. The orders that have waited
 * may end the move: nothing of it is touched after that. */
void replica_move_retry(struct replica_move *move, uint64_t wait_ms);

/* The same, with a reason for people. */
void replica_move_pause(struct replica_move *move, const char *why);

/* A round: what is behind the copy's end. */
void replica_move_read(struct replica_move *move);
bool replica_move_has_reached_end(const struct replica_move *move);

/* Nothing of it is in flight. A copy that is left is for the next start, or for the next order. */
void replica_move_finish(struct replica_move *move);

/* The store is offline, or its directory. */
bool replica_move_is_lost(const struct partition_store *store);

/* Once the replica says that it may have a twin: appends and orders wait from then on; the rest is
 * copied, and the copy takes the replica's place. */
void replica_takeover_begin(struct replica_move *move);
void replica_takeover_go_on(struct replica_move *move);

/* The copy may be used again, before it has another name. */
void replica_takeover_release(struct replica_move *move);

#endif
