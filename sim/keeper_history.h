/* What clients asked a keeper and what they were told, connection by connection: written down by
 * the clients while they live, judged afterwards (sim/keeper_judge.h).
 *
 * A request is written down before it leaves; a frame when it has arrived.
 *
 * Memory: the heap given, until the world ends. Shard: the simulator's thread.
 */
#ifndef SIM_KEEPER_HISTORY_H
#define SIM_KEEPER_HISTORY_H

#include "base/heap.h"
#include "base/slice.h"

struct history_request {
    int32_t xid;
    int32_t type; /* enum op */
    struct slice body;
    uint64_t sent_ns;
    int64_t zxid; /* In the transaction log; 0: not there. Written by the judge. */
};

struct history_frame {
    int32_t xid;
    int64_t zxid;
    int32_t code;
    struct slice body;
    uint64_t received_ns;
};

enum history_outcome {
    HISTORY_NO_ANSWER, /* The connection broke before the connect request was answered. */
    HISTORY_REFUSED,   /* "Your session has expired." */
    HISTORY_OPEN,
};

struct history_connection {
    uint32_t client;
    int64_t asked_session_id; /* 0: a new one. */
    int32_t asked_timeout_ms;
    bool has_wrong_password;
    bool has_future_zxid; /* It says that it has seen what nobody has. */
    enum history_outcome outcome;
    int64_t session_id; /* OPEN: what the answer said. */
    int32_t timeout_ms;
    uint8_t password[16];
    uint64_t dialled_ns;
    uint64_t answered_ns; /* REFUSED, OPEN */
    uint64_t closed_ns;   /* By the client, or found broken; UINT64_MAX: never. */
    struct history_request *requests;
    uint32_t request_count;
    uint32_t request_capacity;
    struct history_frame *frames;
    uint32_t frame_count;
    uint32_t frame_capacity;
};

enum { history_life_count_max = 128, history_zxid_count_max = 1 << 16 };

struct keeper_history {
    struct heap *heap;
    struct history_connection **connections; /* In the order of their dialling. */
    uint32_t connection_count;
    uint32_t connection_capacity;
    uint64_t up_ns[history_life_count_max]; /* When each life of the server began to serve. */
    uint32_t life_count;
    uint64_t applied_ns[history_zxid_count_max]; /* When the server showed a zxid, at the latest. */
    int64_t zxid_applied;
    uint64_t prepared_ns[history_zxid_count_max]; /* When it was decided, at the latest. */
    int64_t zxid_prepared;
    bool was_full; /* The disk was, at some time: writes may be refused. */
};

void keeper_history_init(struct keeper_history *history, struct heap *heap);

/* Lends: until the world ends. */
struct history_connection *keeper_history_dial(struct keeper_history *history, uint32_t client);

void keeper_history_ask(struct keeper_history *history, struct history_connection *connection,
                        struct history_request request);
void keeper_history_hear(struct keeper_history *history, struct history_connection *connection,
                         struct history_frame frame);

/* The server begins to serve, with everything up to zxid applied. */
void keeper_history_start(struct keeper_history *history, int64_t zxid, uint64_t now_ns);

/* How far it is. What was prepared and not applied before may be forgotten by the next start. */
struct history_progress {
    int64_t zxid_prepared;
    int64_t zxid_applied;
};
void keeper_history_note(struct keeper_history *history, struct history_progress progress,
                         uint64_t now_ns);

#endif
