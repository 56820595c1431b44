/* Which client sessions are alive, and when each one dies.
 *
 * Deadlines are rounded up to whole ticks, and live sessions hang in a wheel of lists, one list
 * per tick: a heartbeat moves one link, and expiry visits only the sessions that may die. A session
 * whose deadline is laps away is seen once a lap and stays. Only session_table_expire_next moves
 * time, so a simulated week takes no time at all.
 *
 * Memory: the wheel at init, then a piece of the slab for each session. Shard: one owner.
 */
#ifndef KEEPER_SESSION_TABLE_H
#define KEEPER_SESSION_TABLE_H

#include "base/hash_table.h"
#include "base/slab_table.h"
#include "keeper/code.h"

enum {
    session_password_bytes = 16,
    session_wheel_slot_count = 1024,
};

struct session {
    struct slab_link by_id;
    struct list link; /* In a wheel slot, or in table->due. */
    int64_t id;
    int64_t deadline_tick;
    uint64_t owner;     /* Whose requests it takes: a connection or a server; 0: nobody's yet. */
    int32_t timeout_ms; /* As it was created; replicated, and kept in snapshots. */
    bool closing;       /* Its close is proposed but not yet committed. */
};

/* A session whose creation is prepared and not yet applied: its client may hear of it from another
 * server before that, and write. */
struct session_promise {
    struct list link; /* In table->promises. */
    int64_t id;
    uint64_t owner;
    bool closing;
};

struct session_table_options {
    uint32_t tick_ms;
    uint64_t hash_seed;
};

struct session_table {
    struct session_table_options options;
    struct slab *slab;
    struct slab_table by_id;
    struct list due;
    struct list *wheel;   /* [session_wheel_slot_count] */
    struct list promises; /* In the order in which they will be kept. */
    uint32_t promise_count;
    int64_t tick_now;
};

/* ERR_NO_MEMORY. */
MUST_CHECK enum err session_table_init(struct session_table *table, struct slab *slab,
                                       struct session_table_options options, int64_t now_ms);

void session_table_deinit(struct session_table *table);

/* Moves everything to another struct, whose slab is that of from, moved. Keeps slab. */
void session_table_move(struct session_table *table, struct session_table *from, struct slab *slab);

/* A session that a committed transaction or a snapshot names; opening it again renews it.
 * ERR_NO_MEMORY. */
MUST_CHECK enum err session_table_open(struct session_table *table, int64_t id, int32_t timeout_ms,
                                       int64_t now_ms);

/* A session is about to be opened; until then it can be checked and marked closing, and no more.
 * False: no memory. */
MUST_CHECK bool session_table_promise(struct session_table *table, int64_t id, uint64_t owner);

/* What is promised will not come: this one, if it was promised, or all. */
void session_table_drop_promise(struct session_table *table, int64_t id);
void session_table_drop_promises(struct session_table *table);

/* Lends: valid until its close. NULL: no such session. */
struct session *session_table_find(const struct session_table *table, int64_t id);

/* Whether it is open or promised. */
bool session_table_has(const struct session_table *table, int64_t id);

/* Whether it is open or promised, and not closing. */
bool session_table_lives(const struct session_table *table, int64_t id);

/* A heartbeat. False: no such session, or it is closing; tell the client that it expired. */
bool session_table_touch(struct session_table *table, int64_t id, int32_t timeout_ms,
                         int64_t now_ms);

/* Whether a request of owner may go on. CODE_SESSION_EXPIRED, CODE_SESSION_MOVED. The first owner
 * that asks gets the session. */
MUST_CHECK enum code session_table_check(struct session_table *table, int64_t id, uint64_t owner);

/* A reconnect moves the session. */
void session_table_set_owner(struct session_table *table, int64_t id, uint64_t owner);

/* The next overdue session, marked closing, or NULL. Lends: valid until its close commits.
 * Drain it before handling the requests of a tick; propose a close for each one returned. */
struct session *session_table_expire_next(struct session_table *table, int64_t now_ms);

/* Its close is proposed: it takes no more requests and will not expire. */
void session_table_mark_closing(struct session_table *table, int64_t id);

/* Applies a committed close; false: there was none. */
bool session_table_close(struct session_table *table, int64_t id);

/* Forgets all that are open; nothing is promised. */
void session_table_close_all(struct session_table *table);

/* Gives every session a full timeout from now: after recovery, and for a new leader. */
void session_table_renew_all(struct session_table *table, int64_t now_ms);

/* Any order: start with *position zero and previous NULL; NULL at the end. */
struct session *session_table_next(const struct session_table *table, uint64_t *position,
                                   const struct session *previous);

/* The first session id of a server that starts at clock_ms: each next one is one more. */
int64_t session_id_first(uint8_t server_id, int64_t clock_ms);

/* The password that Apache's servers compute for the id. */
void session_password(int64_t id, uint8_t password[session_password_bytes]);

#endif
