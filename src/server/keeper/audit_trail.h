/* The audit trail: who changed what, and whether it was allowed, one line each.
 *
 *      2026-11-28 16:00:00,000 INFO o.a.z.a.Slf4jAuditLogger: session=0x100.. <tab> user=127.0.0.1
 *
 * Fields, their order, operations and results are those of Apache's AuditHelper, and the beginning
 * of the line is that of its logback.xml, with UTC. What a request says is noted before it is
 * prepared; the line is written when its outcome is known.
 *
 * Memory: a block from the shard's heap for each write in progress. Shard: the server's.
 */
#ifndef SERVER_KEEPER_AUDIT_TRAIL_H
#define SERVER_KEEPER_AUDIT_TRAIL_H

#include "keeper/txn.h"
#include "server/keeper/keeper_server.h"

struct keeper_write_request;

/* What a line will need of a request. Texts follow in the same block. */
struct audit_note {
    int32_t type;
    int64_t session_id;
    struct slice user;
    struct slice address;
    struct slice body;
};

/* NULL: there is no trail, the operation is not of it, or no memory is left. */
struct audit_note *audit_trail_note(struct keeper_server *server,
                                    const struct keeper_write_request *request);

/* The outcome: lines for the operation, or each of a multi. Takes note, which may be NULL. Uses the
 * server's arena beyond what it holds. */
void audit_trail_tell(struct keeper_server *server, struct audit_note *note,
                      const struct txn_result *result);

/* The ephemerals that went with a session. */
void audit_trail_tell_session_end(struct keeper_server *server, const struct txn *txn);

/* "serverStart" and "success", "serverStop" and "invoked". */
void audit_trail_tell_server(struct keeper_server *server, const char *operation,
                             const char *result);

#endif
