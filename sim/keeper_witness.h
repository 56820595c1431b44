/* One connection of a keeper's history as a witness: its answers and events are judged in their
 * order while the model walks along the transaction log (sim/keeper_judge.h).
 *
 * Memory: the heap given. Shard: the simulator's thread.
 */
#ifndef SIM_KEEPER_WITNESS_H
#define SIM_KEEPER_WITNESS_H

#include "sim/keeper_history.h"
#include "sim/keeper_judge.h"
#include "sim/watch_model.h"

enum { keeper_witness_expected_count_max = 256 };

/* What the judge and its witnesses share. */
struct keeper_trial {
    const struct keeper_history *history;
    struct keeper_model model;
    int64_t zxid;                 /* Where the model is. */
    struct model_answers answers; /* Of the transaction there. */
    int64_t answers_session_id;   /* Whose they are; zero: the server's. */
    struct keeper_judge_count count;
    bool is_wrong;
    char *why;
};

struct keeper_expected_event {
    enum model_event type;
    int64_t zxid;
    char path[model_path_bytes];
    bool is_optional; /* An auth packet was on its way: heard or not. */
};

/* How far a connection has been judged. */
struct keeper_witness {
    struct history_connection *connection;
    uint32_t *answers; /* Of each request: the frame behind; UINT32_MAX: none. */
    uint32_t frame;    /* The next one to judge. */
    uint32_t request;  /* Whose answer comes next. */
    uint32_t logged;   /* Requests before it are in the log, or never will be. */
    struct watch_model watches;
    bool was_told;      /* Of the change at hand. */
    bool is_expired;    /* An answer said so: then all later ones do. */
    bool may_be_ending; /* The log ends its session, somewhere. */
    uint64_t moved_ns;  /* Its session was on a later connection by then; UINT64_MAX: never. */
    struct keeper_expected_event expected[keeper_witness_expected_count_max];
    uint32_t expected_count;
};

/* The k-th answer belongs to the k-th request. */
void keeper_witness_init(struct keeper_witness *witness, struct keeper_trial *trial,
                         struct heap *heap, struct history_connection *connection);

/* Something has happened that its watches may have waited for. */
void keeper_witness_expect(struct keeper_trial *trial, struct keeper_witness *witness,
                           const struct model_trigger *trigger);

/* Judges what it was told, as far as the model has come. */
void keeper_witness_pump(struct keeper_trial *trial, struct keeper_witness *witness);

/* Who it was when it sent its request number so. The server takes an auth packet when it comes, so
 * it counts for every later request. */
void keeper_witness_ids(const struct keeper_trial *trial, const struct keeper_witness *witness,
                        uint32_t request, struct model_ids *ids);

/* Something must not be: the first of them counts. */
void keeper_trial_wrong(struct keeper_trial *trial, const char *format, ...) PRINTF_LIKE(2, 3);

/* When the server had applied a zxid, at the latest; UINT64_MAX: never. */
uint64_t keeper_trial_applied_ns(const struct keeper_trial *trial, int64_t zxid);

/* What was certainly applied when a transaction was decided. */
int64_t keeper_trial_seen_zxid(const struct keeper_trial *trial, int64_t zxid);

/* Whether it takes a transaction. */
bool keeper_trial_is_write(int32_t type);

/* What a request begins with, for people. */
struct slice keeper_trial_path(const struct history_request *request);

#endif
