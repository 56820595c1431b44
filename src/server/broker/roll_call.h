/* Which of the topics that this broker knows are still there, after it has been away.
 *
 * The controller tells a broker that registers anew of every topic that is there, and of none that
 * went while the broker had no session. So all topics are doubted from then on; what the controller
 * names is not doubted any more, and once it has spoken, the keeper is asked for the others. The
 * controller knows this broker by then: what goes later, it will say.
 *
 * Memory: its own. Shard: one owner.
 */
#ifndef SERVER_BROKER_ROLL_CALL_H
#define SERVER_BROKER_ROLL_CALL_H

#include "server/broker/metadata_view.h"
#include "server/broker/zk_session.h"

struct roll_call {
    struct metadata_view *view;
    struct zk_session *session;
    struct diag *diag;
    struct metadata_listener listener;
    struct zk_request request;
    bool is_due;    /* The controller has not spoken yet. */
    bool is_asking; /* The keeper. */
};

void roll_call_init(struct roll_call *call, struct metadata_view *view, struct zk_session *session,
                    struct diag *diag);

/* The broker has registered, for the first time or anew. */
void roll_call_begin(struct roll_call *call);

#endif
