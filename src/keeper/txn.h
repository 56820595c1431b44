/* A transaction: one write, decided. Prepared once, written to the journal, applied everywhere.
 *
 * All that was relative is absolute here: versions, names, times, access lists. A write that was
 * refused is a transaction too, of type OP_ERROR, and burns a zxid.
 *
 * Memory: slices of whoever made it (a request, an arena, a record). Shard: stateless.
 */
#ifndef KEEPER_TXN_H
#define KEEPER_TXN_H

#include "keeper/acl.h"
#include "keeper/op.h"
#include "wire/gen/zk.h"

struct slice_list {
    const struct slice *items;
    int32_t count;
};

/* What is done. Fields that the type does not name are zero. */
struct txn_op {
    int32_t type;        /* enum op */
    struct slice path;   /* create*, delete*, set_data, set_acl, check */
    struct slice data;   /* create*, set_data */
    struct acl_list acl; /* create*, set_acl */
    bool ephemeral;      /* create, create2: the owner is the session. */
    int32_t version;     /* create*: the parent's cversion after it, or -1: one more than before;
                          * set_data, set_acl: the new version; check: the expected one. */
    int64_t ttl_ms;      /* create_ttl */
    int32_t timeout_ms;  /* create_session */
    int32_t code;        /* error: an enum code. */
    bool has_paths;      /* close_session: newer servers name the ephemerals. */
    struct slice_list paths;
};

struct txn {
    int64_t session_id;
    int32_t cxid;
    int64_t zxid;
    int64_t time_ms; /* The leader's wall clock: becomes ctime and mtime. */
    struct txn_op op;
    const struct txn_op *ops; /* multi */
    int32_t op_count;
    bool has_digest; /* The tree's digest after it, where the server that made it knew it. */
    uint64_t digest;
};

/* What applying it did: the answer to the client. */
struct txn_result {
    int32_t type; /* enum op: what was done, OP_ERROR when code is not CODE_OK. */
    int32_t code; /* enum code */
    int64_t zxid;
    struct slice path;          /* create*: the name that it got. */
    struct zk_stat stat;        /* create*, set_data, set_acl, reconfig */
    struct slice data;          /* reconfig: the new text. */
    struct txn_result *results; /* multi: one for each of its operations. */
    int32_t result_count;
};

#endif
