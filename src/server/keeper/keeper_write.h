/* A write on its way: prepared, in the journal, and not yet applied.
 *
 *   keeper_write_start -> keeper_prepare -> record -> journal_append ... durable
 *                      -> keeper_apply -> events -> reply -> requests that waited for it
 *
 * What is applied is decoded from the very bytes that went to disk, so a restart that replays them
 * comes to the same tree.
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
    struct list link; /* In server->writes or free_writes. */
    struct keeper_server *server;
    struct client_link *client; /* NULL: the server's own. Counted in client->user_count. */
    struct net_reply *reply;    /* NULL: nobody waits for an answer. */
    int32_t xid;
    int32_t type; /* Of the request. */
    int64_t session_id;
    int64_t zxid;
    uint64_t started_at_ns;
    struct list waits;       /* Of client_wait: requests that come after it. */
    struct audit_note *note; /* For the audit trail, NULL: none. */
    struct journal_append append;
    struct iovec vector;
    struct record_block *block; /* Holds the record; NULL: there is none. */
    uint8_t *record;            /* Head, entry, tail. */
    size_t record_size;
    size_t body_size; /* Of the request. */
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

/* The write that was started last, NULL: none is on its way. */
struct keeper_write *keeper_write_last(struct keeper_server *server);

/* Gives back the recycled blocks. */
void keeper_write_drain(struct keeper_server *server);

#endif
