/* What ZooKeeper is: a tree of znodes with sessions, watches and atomic updates.
 *
 *   request -> keeper_prepare -> txn -> journal (or zab) -> keeper_apply -> result, watch events
 *   request -> keeper_read ----------------------------------------------> result
 *
 * keeper_prepare runs on the leader only and sees its own undecided transactions, so that requests
 * can be pipelined; keeper_apply runs everywhere, in zxid order, and cannot fail: whatever could be
 * refused was refused by keeper_prepare.
 *
 * Invariants: zxid_applied <= zxid_prepared. What is pending has a zxid above zxid_applied.
 * Memory: the heap given to keeper_init. Shard: one owner.
 */
#ifndef KEEPER_KEEPER_H
#define KEEPER_KEEPER_H

#include "keeper/auth_set.h"
#include "keeper/pending.h"
#include "keeper/quota.h"
#include "keeper/session_table.h"
#include "keeper/tree.h"
#include "keeper/txn.h"
#include "keeper/watch_table.h"

struct keeper_options {
    /* Writes that would go beyond are refused, and those after which the heap would have less left
     * than slab_reserve_bytes: deletes, and what is prepared, must go on. */
    size_t memory_bytes_max;
    uint32_t session_count_max;
    uint64_t watch_count_max;
    uint32_t tick_ms;
    int32_t timeout_ms_min; /* Of sessions. */
    int32_t timeout_ms_max;
    uint8_t server_id;
    bool local_sessions_enabled; /* localSessionsEnabled, of an ensemble. */
    uint64_t hash_seed;          /* From the io's entropy. */
    int32_t record_bytes_max;    /* jute.maxbuffer plus its extra: no string or buffer is longer. */
    struct auth_options auth;
    bool skip_acl;               /* zookeeper.skipACL */
    bool extended_types_enabled; /* zookeeper.extendedTypesEnabled: TTL znodes. */
    bool emulates_353_ttl;       /* zookeeper.emulate353TTLNodes: see tree_options. */
    bool enforce_quota;          /* zookeeper.enforceQuota */
    bool reconfig_enabled;       /* reconfigEnabled: only the refusal is another one. */
};

/* Memory that is used again and again, and grows. */
struct keeper_room {
    uint8_t *bytes;
    size_t capacity;
};

struct keeper {
    struct keeper_options options;
    struct heap *heap;
    struct slab slab;
    struct tree tree;
    struct session_table sessions;
    struct session_table local_sessions; /* Known to this server only; in no transaction. */
    struct watch_table watches;
    struct pending pending;
    int64_t zxid_prepared; /* The last one given out. */
    int64_t zxid_applied;  /* What the server answers with. */
    int64_t session_id_next;
    struct keeper_room path_room;  /* For the path of a znode. */
    struct keeper_room quota_room; /* For names of a quota. */
    struct quota_breach breach;    /* Of the request that was prepared last; its path is lent. */
};

/* A client's connection as the core knows it: a part of the server's own struct. */
struct keeper_connection {
    struct watcher watcher;
    struct auth_set auth;
    int64_t session_id;
};

/* One request, its header decoded, its body not. */
struct keeper_request {
    int64_t session_id;
    uint64_t owner; /* Of the session, see session_table_check; 0: the server itself. */
    int32_t cxid;
    int32_t type; /* As the client sent it. */
    struct slice body;
    struct acl_id_list identities;
    int64_t time_ms;     /* Wall clock, of a write; reads do not ask. */
    struct slice config; /* OP_RECONFIG: the new text of /zookeeper/config, */
    int32_t config_code; /* or why there is none. */
};

/* Where the events of watches go, in order; they precede the answer to what caused them. */
struct keeper_sink {
    void (*on_watch)(struct keeper_sink *sink, struct keeper_connection *connection,
                     const struct watch_event *event);
};

/* The answer to a read. Slices are lent until the next keeper_apply. */
struct keeper_reply {
    int32_t code;                       /* enum code */
    struct slice data;                  /* get_data */
    struct zk_stat stat;                /* exists, get_data, get_acl, get_children2 */
    struct acl_list acl;                /* get_acl */
    struct slice_list names;            /* get_children, get_children2, get_ephemerals */
    struct acl_id_list identities;      /* who_am_i */
    int32_t total;                      /* get_all_children_number */
    int32_t type;                       /* In a multi_read: get_data or get_children. */
    const struct keeper_reply *replies; /* multi_read */
    int32_t reply_count;
    bool has_replies; /* multi_read: they are told, even if code is not CODE_OK. */
};

/* A keeper with the built-in znodes, at zxid 0. now_ms is the monotonic clock of sessions.
 * ERR_NO_MEMORY. */
MUST_CHECK enum err keeper_init(struct keeper *keeper, struct heap *heap,
                                struct keeper_options options, int64_t now_ms);

/* Connections must be gone. */
void keeper_deinit(struct keeper *keeper);

/* Moves everything to another struct. from has no connections and nothing pending, and is
 * afterwards as keeper_deinit leaves it. */
void keeper_move(struct keeper *keeper, struct keeper *from);

/* Everything up to zxid counts as applied: a tree that came without its transactions. */
void keeper_set_zxid(struct keeper *keeper, int64_t zxid);

/* --- connections and sessions --- */

/* ERR_NO_MEMORY. address without a port. */
MUST_CHECK enum err keeper_connection_init(struct keeper *keeper,
                                           struct keeper_connection *connection,
                                           struct slice address);

/* Its watches vanish. */
void keeper_connection_deinit(struct keeper *keeper, struct keeper_connection *connection);

/* An auth packet. CODE_AUTH_FAILED: answer so and close. */
MUST_CHECK enum code keeper_connection_auth(struct keeper *keeper,
                                            struct keeper_connection *connection,
                                            struct slice scheme, struct slice secret);

/* The timeout that the client gets for the one that it asked for. */
int32_t keeper_clamp_timeout(const struct keeper *keeper, int32_t timeout_ms);

/* A fresh session id, for a create_session request. */
int64_t keeper_next_session_id(struct keeper *keeper);

/* A session of this server alone: it may read, and write what others do too, but own no znode, and
 * is in no snapshot. What follows of sessions is true of it too, but expiry. CODE_SYSTEM_ERROR: no
 * room. */
MUST_CHECK enum code keeper_open_local_session(struct keeper *keeper, int64_t session_id,
                                               int32_t timeout_ms, int64_t now_ms);
bool keeper_has_local_session(const struct keeper *keeper, int64_t session_id);
void keeper_close_local_session(struct keeper *keeper, int64_t session_id);
void keeper_close_local_sessions(struct keeper *keeper);

/* It takes no more requests, and is about to be closed. */
void keeper_end_local_session(struct keeper *keeper, int64_t session_id);

/* The timeout that it was opened with. It is there. */
int32_t keeper_local_session_timeout_ms(const struct keeper *keeper, int64_t session_id);

/* Learner: the session is about to be created by the leader, for a client that is here already, or
 * will not be. False: no memory. */
MUST_CHECK bool keeper_promise_session(struct keeper *keeper, int64_t session_id, uint64_t owner);
void keeper_drop_promise(struct keeper *keeper, int64_t session_id);

/* Whether it is one of all servers, or about to be. */
bool keeper_has_session(const struct keeper *keeper, int64_t session_id);

/* The next overdue one, which is to be closed. False: none. */
bool keeper_expire_next_local(struct keeper *keeper, int64_t now_ms, int64_t *session_id);

/* Whether a client may resume the session: it exists and is not closing, and the password is
 * right. */
bool keeper_may_resume(const struct keeper *keeper, int64_t session_id, struct slice password);

/* The part of it that any server of an ensemble can tell. */
bool keeper_is_password(int64_t session_id, struct slice password);

/* Learner: the leader says that the session exists, whose creation may not have come here yet.
 * ERR_NO_MEMORY. */
MUST_CHECK enum err keeper_know_session(struct keeper *keeper, int64_t session_id,
                                        int32_t timeout_ms, int64_t now_ms);

/* A resumed session takes requests of this owner from now on. */
void keeper_move_session(struct keeper *keeper, int64_t session_id, uint64_t owner);

/* A sign of life with the timeout of its connection. False: the session is gone or closing. */
bool keeper_touch_session(struct keeper *keeper, int64_t session_id, int32_t timeout_ms,
                          int64_t now_ms);

/* Whether a read, sync or ping of owner may be answered; writes are checked on their way.
 * CODE_SESSION_EXPIRED, CODE_SESSION_MOVED. */
MUST_CHECK enum code keeper_check_session(struct keeper *keeper, int64_t session_id,
                                          uint64_t owner);

/* The next overdue session, which takes no more requests; prepare a close_session for it. False:
 * none. */
bool keeper_expire_next(struct keeper *keeper, int64_t now_ms, int64_t *session_id);

/* As Apache counts: the root counts twice. */
uint64_t keeper_znode_count(const struct keeper *keeper);

/* --- writes --- */

/* Makes the transaction of a request of OP_CLASS_WRITE, or of the server's own:
 *   OP_CREATE_SESSION: body is the timeout as four big-endian bytes; request->session_id is new.
 *   OP_CLOSE_SESSION: body is empty. OP_DELETE_CONTAINER: body is the protocol's record.
 * CODE_OK: *txn must be written, then applied, even if its type is OP_ERROR.
 * Another code: answer with it; nothing happened and no zxid was used.
 * Lends: the transaction refers to arena memory and to the request. */
MUST_CHECK enum code keeper_prepare(struct keeper *keeper, const struct keeper_request *request,
                                    struct arena *arena, struct txn *txn);

/* The transaction that says no, for a request that a learner has forwarded: its client is answered
 * by what commits. */
void keeper_prepare_refusal(struct keeper *keeper, const struct keeper_request *request,
                            enum code code, struct txn *txn);

/* Applies a committed transaction; sessions open and close with it. The events of watches come in
 * order; sink may be NULL while nobody is connected. result is arena memory and slices of txn; if
 * the arena is full its code is CODE_SYSTEM_ERROR, but all was applied. now_ms: monotonic. */
void keeper_apply(struct keeper *keeper, const struct txn *txn, int64_t now_ms,
                  struct keeper_sink *sink, struct arena *arena, struct txn_result *result);

/* A member of an ensemble shows this text in /zookeeper/config, as of the version of its
 * configuration. It is no transaction: each member does it by itself, while nobody is connected.
 * ERR_NO_MEMORY: nothing has changed. */
MUST_CHECK enum err keeper_set_config(struct keeper *keeper, struct slice text, int64_t version,
                                      int64_t time_ms);

/* How many watches the next calls of keeper_apply may fire at once; the events beyond are owed.
 * UINT64_MAX, as at first: all. */
void keeper_set_event_budget(struct keeper *keeper, uint64_t watch_count);

bool keeper_owes_events(const struct keeper *keeper);

/* Tells the connection the events that it is owed: to be called before it is answered anything, and
 * before a request of its own is read. */
void keeper_tell(struct keeper *keeper, struct keeper_connection *connection,
                 struct keeper_sink *sink);

/* Goes on with what is owed, for so many watches; true: there is more. */
bool keeper_tell_some(struct keeper *keeper, uint64_t watch_count, struct keeper_sink *sink);

/* Forgets what was prepared and not applied (a leader that lost its quorum). */
void keeper_drop_pending(struct keeper *keeper);

/* --- reads --- */

/* Answers any operation of OP_CLASS_READ; watches that it leaves are connection's. sink hears the
 * events of set_watches before this returns. The session was checked when the request came: it may
 * have begun to close since. */
void keeper_read(struct keeper *keeper, const struct keeper_request *request,
                 struct keeper_connection *connection, struct keeper_sink *sink,
                 struct arena *arena, struct keeper_reply *reply);

/* --- after snapshot_reader_finish and keeper_apply of the journal's transactions --- */

/* Deletes the ephemerals of sessions that do not exist and gives every session a full timeout. The
 * server then writes a fresh snapshot, so that both are on disk. wall_ms: for new session ids. */
void keeper_start(struct keeper *keeper, int64_t now_ms, int64_t wall_ms);

/* A server of an ensemble leads from now on, with transactions above zxid, or follows: every
 * session gets a full timeout, and belongs to whoever uses it next. Nothing is pending. */
void keeper_begin_term(struct keeper *keeper, int64_t zxid, int64_t now_ms, int64_t wall_ms);

#endif
