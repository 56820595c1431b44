/* A write on its way: prepared, in the journal, and not yet applied.
 *
 *   keeper_write_start -> keeper_prepare -> record -> journal_append ... durable, committed
 *                      -> keeper_apply -> events -> reply -> requests that waited for it
 *
 * What is applied is decoded from the very bytes that went to disk, so a restart that replays them
 * comes to the same tree.
 *
 * A server that stands alone commits what is durable. The leader of an ensemble proposes it, and
 * commits when a quorum has it. A learner forwards its clients' writes to the leader; they come
 * back as proposals, in the order in which they were forwarded, among those of others:
 *
 *   keeper_write_start -> forwarded ... keeper_write_log -> record -> journal_append ...
 *
 * Memory: recycled blocks of the shard's heap; records lie in a record_pool. Shard: the server's.
 */
#ifndef SERVER_KEEPER_WRITE_H
#define SERVER_KEEPER_WRITE_H

#include "server/keeper/keeper_server.h"

struct audit_note;
struct client_link;

enum {
    keeper_write_free_count_max = 4096,      /* Recycled blocks. */
    keeper_write_queued_bytes_max = 32 << 20 /* More and links are not read. */
};

struct keeper_write {
    struct list link; /* In server->writes, forwarded, barriers or free_writes. */
    struct keeper_server *server;
    struct client_link *client; /* NULL: the server's own. Counted in client->user_count. */
    struct net_reply *reply;    /* NULL: nobody waits for an answer. */
    int32_t xid;
    int32_t type; /* Of the request. */
    int64_t session_id;
    int64_t zxid;       /* 0: forwarded, and not yet proposed. A barrier's: it is behind this. */
    uint64_t order;     /* Among the writes that were started here; 0: another server's. */
    uint64_t origin;    /* Leader: the link of the learner that forwarded it; 0: none. */
    uint64_t write_seq; /* Its number for zab. */
    bool is_barrier;    /* A sync: no record, done when all before it is. */
    uint64_t ticket;    /* Leader, of a barrier: the question that must be answered; 0: none. */
    uint64_t started_at_ns;
    int64_t made_at_ms;       /* When the leader made the transaction: its wall clock. */
    uint64_t committed_at_ns; /* Of an ensemble; 0: not yet. */
    struct list waits;        /* Of client_wait: requests that come after it. */
    struct audit_note *note;  /* For the audit trail, NULL: none. */
    struct journal_append append;
    struct iovec vector;
    struct record_block *block; /* Holds the record; NULL: there is none. */
    uint8_t *record;            /* Head, entry, tail. */
    size_t record_size;
    size_t body_size;  /* Of the request. */
    enum code refusal; /* What its client is told if the leader says no; CODE_OK: what it says. */
};

/* One write, as it is asked for. */
struct keeper_write_request {
    struct client_link *client; /* NULL: the server's own. */
    struct net_reply *reply;    /* NULL: no answer is wanted. */
    int32_t xid;
    int32_t type;
    int64_t session_id;
    struct slice body;
    bool is_essential; /* Frees what others hold: may use the disk's reserve. */
    uint64_t origin;   /* A learner's link forwarded it, which gets no answer but the commit. */
    struct acl_id_list identities; /* With origin: of the learner's client. */
    enum code refusal;             /* See keeper_write. */
};

/* CODE_OK: the write is on its way, takes reply and answers it when the outcome is known. Anything
 * else is the answer, which is the caller's to give: nothing was written. */
enum code keeper_write_start(struct keeper_server *server,
                             const struct keeper_write_request *request);

/* Whether the server could write something small and essential now. */
bool keeper_write_is_possible(struct keeper_server *server);

/* Requests that are in progress: writes, and what waits for them. */
uint32_t keeper_write_request_count(const struct keeper_server *server);

/* Whether so much is on its way that links should not be read. */
bool keeper_write_is_saturated(const struct keeper_server *server);

/* Of an ensemble. The journal takes a write that was proposed here: zab's effect. */
void keeper_write_append(struct keeper_write *write, uint64_t write_seq);

/* A proposal of the leader goes to the journal; entry is copied. ERR_MALFORMED and the other errors
 * of txn_codec_decode_entry: nothing happened, this leader must not be followed. */
MUST_CHECK enum err keeper_write_log(struct keeper_server *server, struct slice entry,
                                     uint64_t write_seq);

/* Writes up to zxid may be applied, when they are durable. */
void keeper_write_commit(struct keeper_server *server, int64_t zxid);

/* The write with this zxid that is not yet applied; NULL: none. */
struct keeper_write *keeper_write_find(struct keeper_server *server, int64_t zxid);

/* The bytes of its transaction, as proposals carry them. */
struct slice keeper_write_entry(const struct keeper_write *write);

/* A barrier of a learner, to be set by keeper_write_set_barrier when the leader answers it; its
 * forwarding is the caller's. NULL: no memory. */
struct keeper_write *keeper_write_make_barrier(struct keeper_server *server);

/* Learner: the oldest barrier is answered: it is done when what is committed is applied; or, if it
 * is an observer's, that is told. False: there was none. */
bool keeper_write_set_barrier(struct keeper_server *server);

/* Leader: a barrier of the learner behind this link, behind all that is proposed. It is answered
 * when all that is committed; and, with sync.linearizable, when a quorum has followed us since now,
 * be it that it commits a later write. Follower: one of an observer, answered when the leader does.
 * False: no memory. */
bool keeper_write_add_barrier(struct keeper_server *server, uint64_t origin);

/* Leader, with sync.linearizable: the same for a client of ours; it lies among the writes. NULL: no
 * memory. */
struct keeper_write *keeper_write_add_own_barrier(struct keeper_server *server);

/* Leader: a quorum followed us after the question with this ticket. */
void keeper_write_confirm(struct keeper_server *server, uint64_t ticket);

/* Leader: this link is about to be told that zxid is committed. Its barriers before it are answered
 * first: Apache's learners take the answers to syncs and writes in the order of their requests, and
 * when one is out of it, none of their clients' later writes is answered. */
void keeper_write_end_barriers(struct keeper_server *server, uint64_t origin, int64_t zxid);

/* The server no longer follows: what was forwarded has an unknown fate. Its clients are closed. */
void keeper_write_drop_forwarded(struct keeper_server *server);

/* The write that was started last, NULL: none is on its way. */
struct keeper_write *keeper_write_last(struct keeper_server *server);

/* Gives back the recycled blocks. */
void keeper_write_drain(struct keeper_server *server);

#endif
