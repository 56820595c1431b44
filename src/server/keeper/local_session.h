/* Sessions that only their own member of an ensemble knows (localSessionsEnabled), and those of
 * read-only mode.
 *
 *   connect -> local --first ephemeral--> promised here, create_session to the leader -->
 * everybody's
 *                    --close, silence, the end of the member's role--> gone
 *
 * Opening and closing one costs no transaction, and nobody else hears of it: its writes are the
 * leader's to believe. With an ephemeral it becomes a session of all members, under the same id, if
 * localSessionsUpgradingEnabled; otherwise it may own none.
 *
 * Memory: the keeper's tables. Shard: the server's.
 */
#ifndef SERVER_KEEPER_LOCAL_SESSION_H
#define SERVER_KEEPER_LOCAL_SESSION_H

#include "server/keeper/keeper_server.h"

/* Whether new sessions of this server are local ones now. */
bool local_session_is_due(const struct keeper_server *server);

/* A local session is about to ask for a write. CODE_OK: go on with it, and if the leader says no,
 * the client is told *refusal instead, unless that is CODE_OK. Anything else is the answer. */
MUST_CHECK enum code local_session_admit(struct keeper_server *server, int64_t session_id,
                                         uint64_t owner, int32_t type, struct slice body,
                                         enum code *refusal);

/* The leader has not made it one of all members: it is gone. */
void local_session_on_refused(struct keeper_server *server, int64_t session_id);

/* Closes those of which nothing is heard. */
void local_session_expire(struct keeper_server *server);

#endif
