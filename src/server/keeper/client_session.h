/* The session of a client's connection: opened, resumed here or moved away, and ended.
 *
 * A new session is a write (a local one is not); a session that goes on is asked of the leader if
 * this server is a learner. What a session wrote on another connection comes before all that it
 * reads on this one.
 *
 * Memory: none of its own. Shard: the server's.
 */
#ifndef SERVER_KEEPER_CLIENT_SESSION_H
#define SERVER_KEEPER_CLIENT_SESSION_H

#include "server/keeper/client_link.h"

/* The first frame of a link: the connect request. */
void client_session_on_connect(struct client_link *client, struct slice frame);

/* The session that the link asked for exists (code zero) or cannot be had. */
void client_session_on_created(struct client_link *client, struct net_reply *reply, int32_t code);

/* Learner: the leader says whether the session of the oldest link that asked for it lives. */
void client_session_on_revalidated(struct keeper_server *server, int64_t session_id, bool lives);

/* The session of the link is gone: tells nothing and closes, after what was released is sent. */
void client_session_on_end(struct client_link *client);

/* A write came behind the session's move to another connection: no answer, the link is closed. */
void client_session_on_moved(struct client_link *client, struct net_reply *reply);

#endif
